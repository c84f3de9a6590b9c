"""An external checkout of VBVR-EvalKit, run in its own interpreter; never imported, never vendored.

Both official protocols are asked, since they disagree:

    task_specific   run_evaluation.py   the rule of the task alone
    weighted        evaluate.py         .15 first frame + .35 final frame + .15 smoothness + .10 quality + .25 rule

A kit turns every exception into a score of 0 with an `error`; here that is a verdict with its error, and no score.
Cost: a process a protocol, 0.5–1.5 s a video on one core.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepscope.errors import BadInputError
from stepscope.store.vbvr import Place
from stepscope.store.vbvr_names import SUFFIX

__all__ = ["PROTOCOLS", "Kit", "Verdict", "open_kit"]

PROTOCOLS = ("task_specific", "weighted")
_SCRIPTS = {"task_specific": "run_evaluation.py", "weighted": "evaluate.py"}
_NAMED = ("--name", "stepscope")


@dataclass(frozen=True)
class Verdict:
    """What the kit says of one video.

    Attributes:
        score: 0 to 1, 0 also where it failed.
        error: why it failed, None if it did not.
    """

    score: float
    error: str | None

    @property
    def is_score(self) -> bool:
        """Whether the number means anything."""
        return self.error is None


@dataclass(frozen=True)
class Kit:
    """A checkout that can be run; made by `open_kit`.

    Attributes:
        folder: the checkout.
        python: its interpreter.
        opencv: version of OpenCV in it, None if it has none.
        fingerprint: sha256 over its Python files, names and contents.
    """

    folder: Path
    python: str
    opencv: str | None
    fingerprint: str

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader must know to repeat a score."""
        return {"fingerprint": self.fingerprint, "opencv": self.opencv}

    def verdicts(self, protocol: str, videos: Path, truth: Path, out: Path) -> dict[Place, Verdict]:
        """The verdict on every video of a folder in the benchmark's layout.

        Args:
            protocol: one of `PROTOCOLS`.
            videos: the videos.
            truth: the ground truth.
            out: an empty folder for what the kit writes.

        Raises:
            BadInputError: if the kit fails, or writes no result that can be read.
        """
        given = {
            "task_specific": ["--model_path", str(videos), "--gt_base", str(truth), "--output_dir", str(out)],
            "weighted": ["--videos_path", str(videos), "--gt_path", str(truth), "--output_path", str(out), *_NAMED],
        }
        script = _SCRIPTS[protocol]
        done = _run(self.python, self.folder, script, *given[protocol], "--device", "cpu")
        pattern, key = {
            "task_specific": ("*_vbvr_results.json", "samples"),
            "weighted": ("*_eval_results.json", "detailed"),
        }[protocol]
        found = sorted(out.glob(pattern))
        if not done.returncode and not found:
            raise BadInputError(
                f"The kit's {script} ended well and wrote no result. It writes one for tasks that it has rules for. "
                "Give ground truth of the benchmark, and a checkout of VBVR-EvalKit."
            )
        if done.returncode:
            raise BadInputError(
                f"The kit's {script} ended with status {done.returncode} "
                f"({_last_line(done.stderr) or 'it said nothing'}). It must score in its own environment. "
                "Run it there by hand, and mend what it misses."
            )
        try:
            entries = json.loads(found[0].read_text(encoding="utf-8"))[key]
            return dict(_verdict(entry) for entry in entries)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInputError(
                f"The kit's {script} wrote a result that cannot be read ({type(error).__name__}: {error}). "
                "It is expected as VBVR-EvalKit writes it. Use a checkout of it."
            ) from error


def open_kit(folder: Path, python: str) -> Kit:
    """Look a checkout over.

    Raises:
        BadInputError: if it is no checkout, or the interpreter cannot be run.
    """
    lacking = [script for script in _SCRIPTS.values() if not (folder / script).is_file()]
    if lacking:
        raise BadInputError(
            f"The kit {str(folder)!r} has no {' and no '.join(lacking)}. A checkout of VBVR-EvalKit has both. "
            "Give --evalkit one."
        )
    interpreter = shutil.which(python)
    if interpreter is None:
        raise BadInputError(f"The interpreter {python!r} cannot be run. Give --python the kit's own Python.")
    asked = _run(str(Path(interpreter).absolute()), folder, "-c", "import cv2; print(cv2.__version__)")
    opencv = asked.stdout.strip() if asked.returncode == 0 else None
    return Kit(folder, str(Path(interpreter).absolute()), opencv or None, _fingerprint(folder))


def _run(python: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the kit's interpreter in the checkout, without our own import path, leaving no byte code there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [python, *words], cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )


def _verdict(entry: Mapping[str, Any]) -> tuple[Place, Verdict]:
    """One entry of a result.  A score that is none counts as a failure of the kit."""
    stem = Path(str(entry.get("video_path") or entry.get("video_file") or entry["video_idx"])).stem
    place = Place(str(entry["task_name"]).removesuffix(SUFFIX), int(stem))
    score, error = entry.get("score"), entry.get("error")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        return place, Verdict(0.0, str(error or f"the score is {score!r}"))
    return place, Verdict(float(score), str(error) if error else None)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode(errors="replace") + path.read_bytes())
    return digest.hexdigest()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
