"""A score of VBVR-Bench that says what it is worth: floors and the ground truth first, then the model.

    self-test   the kit scores videos whose worth is known: still (nothing happens), teleport (the final frame out of
                nowhere) and the ground truth itself
    faults      OpenCV 5 or later · a still video at STILL_LIMIT or above · a ground truth at 0, without a score, or
                below TRUTH_LIMIT on average
    score       mean over scored videos with a 95% bootstrap interval over puzzles, a puzzle carrying all its seeds

With a fault there is no headline.  A video that could not be scored counts as unscored and never as 0.  Seen in the
official kit: still videos at 0.71 (weighted) and 0.37 (task-specific), teleports near 0.92, and some ground truths at
0 under OpenCV 5 (threads 234 and 240 of Video-Reason/VBVR-EvalKit).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepscope.analysis import mean_interval
from stepscope.errors import BadInputError, RecordError
from stepscope.executors.vbvr_kit import PROTOCOLS, Kit, Verdict
from stepscope.store.vbvr import VIDEO, BenchSample, Place, Videos
from stepscope.store.vbvr_writing import FLOORS, scratch, show, write_floor

__all__ = ["STILL_LIMIT", "TRUTH_LIMIT", "BenchScore", "SelfTest", "score_videos", "self_test"]

STILL_LIMIT = 0.5
TRUTH_LIMIT = 0.5
_FIRST_BAD_OPENCV = 5

Verdicts = Mapping[str, Mapping[Place, Verdict]]


@dataclass(frozen=True)
class SelfTest:
    """What a kit says of videos whose worth is known.

    Attributes:
        floors: {floor: {protocol: mean as the kit gives it}}.
        ground_truth: {protocol: mean as the kit gives it}.
        n: number of questions.
        faults: a line for each reason not to believe the kit.
        complaints: a line for each question that could not be used.
    """

    floors: Mapping[str, Mapping[str, float | None]]
    ground_truth: Mapping[str, float | None]
    n: int
    faults: tuple[str, ...]
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether a headline may be printed."""
        return not self.faults


@dataclass(frozen=True)
class BenchScore:
    """What a kit says of a model.

    Attributes:
        n: videos with a score by every protocol.
        unscored: videos that were asked for and have none.
        overall: {protocol: {"value", "ci95"}}; None where nothing was scored, an interval from two puzzles on.
        by_category: {category: {"n", protocol: …}}.
        complaints: a line for each video that the kit could not score.
    """

    n: int
    unscored: int
    overall: Mapping[str, Any]
    by_category: Mapping[str, Mapping[str, Any]]
    complaints: tuple[str, ...]


def self_test(kit: Kit, samples: Sequence[BenchSample]) -> SelfTest:
    """Let the kit score still videos, teleports and the ground truth.  Nothing is left on the disk.

    Raises:
        BadInputError: if the kit cannot be run, or no sample can be used.
    """
    complaints: list[str] = []
    with scratch() as folder:
        usable = [sample for sample in samples if _floors(folder, sample, complaints)]
        if not usable:
            raise BadInputError(f"No question can be used: {'; '.join(complaints[:3])} Give whole ground truth.")
        truth = _shown_truth(folder, usable)
        answers = {sample.place.path.with_suffix(".mp4"): sample.folder / VIDEO for sample in usable}
        show(folder / "ground_truth", answers)
        found = {name: _asked(kit, folder, name, truth) for name in (*FLOORS, "ground_truth")}
    places = [sample.place for sample in usable]
    means = {
        name: {protocol: _mean(verdicts[protocol], places) for protocol in PROTOCOLS}
        for name, verdicts in found.items()
    }
    faults = [*_opencv_faults(kit), *_still_faults(means["still"]), *_truth_faults(found["ground_truth"], places)]
    floors = {floor: means[floor] for floor in FLOORS}
    return SelfTest(floors, means["ground_truth"], len(places), tuple(faults), tuple(complaints))


def score_videos(kit: Kit, samples: Sequence[BenchSample], videos: Videos) -> BenchScore:
    """Let the kit score a model's videos by both protocols.

    Raises:
        BadInputError: if the kit cannot be run.
    """
    scored: dict[tuple[str, Place], dict[str, float]] = {}
    complaints: list[str] = []
    with scratch() as folder:
        truth = _shown_truth(folder, samples)
        for run, files in videos.runs.items():
            if not files:
                continue
            name = f"videos{run}"
            show(folder / name, {place.path.with_suffix(".mp4"): path for place, path in files.items()})
            verdicts = _asked(kit, folder, name, truth)
            for place, path in files.items():
                given = {protocol: verdicts[protocol].get(place) for protocol in PROTOCOLS}
                failed = {
                    protocol: verdict for protocol, verdict in given.items() if not (verdict and verdict.is_score)
                }
                if failed:
                    complaints.append(_unscored(path, failed))
                else:
                    scored[run, place] = {protocol: v.score for protocol, v in given.items() if v is not None}
    asked = len(samples) * len(videos.runs)
    return BenchScore(len(scored), asked - len(scored), _summary(scored), _by_category(scored), tuple(complaints))


def _floors(folder: Path, sample: BenchSample, complaints: list[str]) -> bool:
    try:
        for floor in FLOORS:
            write_floor(folder / floor, sample, floor)
    except RecordError as error:
        complaints.append(str(error))
        return False
    return True


def _shown_truth(folder: Path, samples: Sequence[BenchSample]) -> Path:
    """The ground truth under the benchmark's own names, and nothing else."""
    return show(folder / "truth", {sample.place.path: sample.folder for sample in samples})


def _asked(kit: Kit, folder: Path, name: str, truth: Path) -> Verdicts:
    found = {}
    for protocol in PROTOCOLS:
        out = show(folder / f"{name}-{protocol}", {})
        found[protocol] = kit.verdicts(protocol, folder / name, truth, out)
    return found


def _mean(verdicts: Mapping[Place, Verdict], places: Sequence[Place]) -> float | None:
    """The mean as the kit counts it, failures as 0; None if it gave no verdict at all."""
    given = [verdicts[place].score for place in places if place in verdicts]
    return sum(given) / len(given) if given else None


def _opencv_faults(kit: Kit) -> Iterator[str]:
    major = (kit.opencv or "").partition(".")[0]
    if major.isdigit() and int(major) >= _FIRST_BAD_OPENCV:
        yield (
            f"The kit's interpreter has OpenCV {kit.opencv}. Under {_FIRST_BAD_OPENCV} and later its rules fail on "
            "some ground truths. Install opencv-python<5 there."
        )


def _still_faults(still: Mapping[str, float | None]) -> Iterator[str]:
    for protocol, value in still.items():
        if value is None or value >= STILL_LIMIT:
            told = "no verdict" if value is None else f"{value:.2f}"
            yield (
                f"A video in which nothing happens gets {told} ({protocol}). Below {STILL_LIMIT} would be "
                "believable. Do not compare models by this number."
            )


def _truth_faults(verdicts: Verdicts, places: Sequence[Place]) -> Iterator[str]:
    for protocol in PROTOCOLS:
        given = verdicts[protocol]
        silent = {place.task for place in places if place not in given}
        if silent:
            yield f"No verdict on the ground truth of {_few(silent)} ({protocol}). Look at the kit's own output."
        zeros = {place.task: given[place].error for place in places if place in given and given[place].score <= 0}
        zeros |= {place.task: given[place].error for place in places if place in given and given[place].error}
        if zeros:
            why = next((error for error in zeros.values() if error), None)
            because = "" if why is None else f" (“{' '.join(why.split())[:120]}”)"
            yield f"The ground truth of {_few(zeros)} is scored 0 ({protocol}){because}. Mend the kit's environment."
        mean = _mean(given, places)
        if mean is not None and 0 < mean < TRUTH_LIMIT:
            yield f"The ground truth gets {mean:.2f} on average ({protocol}); {TRUTH_LIMIT} is the least. Mend the kit."


def _unscored(path: Path, failed: Mapping[str, Verdict | None]) -> str:
    protocol, verdict = next(iter(failed.items()))
    why = "no verdict" if verdict is None else " ".join(str(verdict.error).split())
    return f"The kit could not score {str(path)!r} ({protocol}: {why})."


def _summary(scored: Mapping[tuple[str, Place], Mapping[str, float]]) -> dict[str, Any]:
    """{protocol: {"value", "ci95"}}, the seeds of a puzzle drawn together."""
    puzzles = [f"{place.task}/{place.index}" for _, place in scored]
    return {protocol: _interval([each[protocol] for each in scored.values()], puzzles) for protocol in PROTOCOLS}


def _interval(values: Sequence[float], puzzles: Sequence[str]) -> dict[str, Any]:
    if len(set(puzzles)) < 2:
        return {"value": sum(values) / len(values) if values else None, "ci95": None}
    value, low, high = mean_interval(values, 0, puzzles)
    return {"value": value, "ci95": [low, high]}


def _by_category(scored: Mapping[tuple[str, Place], Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict] = defaultdict(dict)
    for key, scores in scored.items():
        parts[key[1].category][key] = scores
    return {category: {"n": len(part), **_summary(part)} for category, part in sorted(parts.items())}


def _few(names: Mapping[str, Any] | set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
