"""The data of a page: one JSON value, complete, independent of any view.

    {
      "schema": "stepscope.page/1",
      "title": str, "model": str | null,
      "curves": {metric: [[step, value], …]},     the model's curves in the first trace, equal to the table's values;
                                                  "choice" is the weight of the candidate that the model ended on
      "traces": [{
        "sample": int | null, "seed": int, "branch": str, "task": str | null, "prompt": str, "model_calls": int,
        "headline": str, "detail": str,           sentences made from the numbers below
        "success": bool | null, "progress": number | null, "answer": str | null,         of the result
        "num_steps": N, "num_frames": T, "sigmas": [N + 1 numbers],
        "delta": number | null,                   ||Delta|| of the SNR clock: between the two nearest solutions, or
                                                  of the only one from the still video; null where none is known
        "final_candidate": int | null, "choice_step": int | null, "knowledge_step": int | null,
        "finals": {metric: number | str},         the model's values without a step
        "answers": [str | null per step],
        "series": [{"metric", "who", "candidate", "cfg_branch", "points": [[step, value], …]}],
                                                  who: "model" | "observer-state" | "observer-rollout"
        "settling": [[step, value], …],           ||x0_k - x0_end||² / ||x0_0 - x0_end||², from the clean estimates
        "settling_map": [N lists of F numbers],   the same for each latent frame, relative to the frame that moved most
        "width": int, "height": int,              of one frame in the sheets, in pixels
        "source_width": int, "source_height": int,    of one frame as it was decoded
        "steps": [int], "frames": [int],          which steps and frames are pictured
        "columns": int,                           frames a row of a sheet
        "sheets": [data: URI per pictured step],  decoded clean estimates (the result, where only that was decoded)
        "first_frame": data: URI,
        "solutions": [{"name": "A", "sheet": data: URI}]
      }],
      "pictures": {"codec": str, "shown_traces": int, "stored_traces": int, "note": str},
      "provenance": [[label, text], …]
    }

Step indices, seeds and numbers are those of the record.  Pictures are the only part that may be lowered to keep the
page small; `pictures.note` says how.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from stepscope.report.pictures import LADDER, Painter, Rung, first_fit, spread
from stepscope.report.provenance import provenance
from stepscope.report.series import MODEL, Address, Points, Row, curves, finals, group_rows, points_of, series, texts
from stepscope.report.story import Facts, detail, headline, letter
from stepscope.shapes import Frames
from stepscope.store import Record, StoredTrace

__all__ = ["PICTURE_BUDGET", "SCHEMA", "page_data"]

SCHEMA = "stepscope.page/1"
PICTURE_BUDGET = 4_400_000
"""Bytes of all data: URIs together; the rest of the 5 MB is for numbers and the view."""

_MAX_TRACES = 12
_MAX_SOLUTIONS = 6


def page_data(record: Record) -> dict[str, Any]:
    """Fold a record into the data of its page.

    Args:
        record: What `stepscope.store.open_record` returns.

    Returns:
        JSON-ready data, see the module's docstring.
    """
    groups = group_rows(record.table())
    rung, drawings = first_fit(lambda painter: [_drawing(t, painter) for t in _shown(record)], PICTURE_BUDGET)
    numbers = [_numbers(trace, _rows_of(trace, groups)) for trace in _shown(record)]
    traces = [{**told, **drawn} for told, drawn in zip(numbers, drawings, strict=True)]
    return {
        "schema": SCHEMA,
        "title": _title(traces),
        "model": record.manifest.get("config", {}).get("model"),
        "curves": curves(traces[0]["series"], traces[0]["final_candidate"]) if traces else {},
        "traces": traces,
        "pictures": _how_drawn(rung, traces, sum(1 for _ in record.traces())),
        "provenance": provenance(record.manifest, record.result),
    }


def _shown(record: Record) -> Iterator[StoredTrace]:
    """Read the traces anew: one in memory at a time."""
    return islice(record.traces(), _MAX_TRACES)


def _rows_of(trace: StoredTrace, groups: Mapping[Address, list[Row]]) -> list[Row]:
    sample: Any = trace.sample
    return groups.get((sample.get("seed"), trace.seed, trace.branch), [])


def _numbers(trace: StoredTrace, rows: list[Row]) -> dict[str, Any]:
    """Everything of a trace that is no picture."""
    sigmas = [float(sigma) for sigma in np.asarray(trace.sigmas)]
    lines, last = series(rows), finals(rows)
    settling, settling_map = _settling(trace.clean_estimates)
    facts = _facts(len(sigmas) - 1, lines, last, settling)
    return {
        "sample": trace.sample.get("seed"),
        "seed": trace.seed,
        "branch": trace.branch,
        "task": trace.sample.get("task"),
        "prompt": trace.sample["prompt"],
        "model_calls": trace.model_calls,
        "headline": headline(facts),
        "detail": detail(facts),
        "success": facts.success,
        "progress": facts.progress,
        "answer": last.get("answer"),
        "num_steps": facts.num_steps,
        "sigmas": sigmas,
        "delta": trace.sample.get("delta"),
        "final_candidate": facts.final_candidate,
        "choice_step": facts.choice_step,
        "knowledge_step": facts.knowledge_step,
        "finals": last,
        "answers": texts(rows, "answer", facts.num_steps),
        "series": lines,
        "settling": settling,
        "settling_map": settling_map,
    }


def _facts(num_steps: int, lines: list[dict[str, Any]], last: Mapping[str, Any], settling: Points) -> Facts:
    success = _last_value(last, lines, "success")
    return Facts(
        num_steps=num_steps,
        weights=_weights(lines, MODEL),
        observer=_weights(lines, "observer-state"),
        knowledge=points_of(lines, "knowledge"),
        settling=settling,
        success=None if success is None else bool(success),
        progress=_last_value(last, lines, "progress"),
    )


def _weights(lines: list[dict[str, Any]], who: str) -> list[Points]:
    named = {s["candidate"] for s in lines if s["metric"] == "choice" and s["who"] == who} - {None}
    return [points_of(lines, "choice", who, candidate) for candidate in range(max(named, default=-1) + 1)]


def _last_value(last: Mapping[str, Any], lines: list[dict[str, Any]], metric: str) -> float | None:
    """The final of a metric; without one, its value at the last step."""
    points = points_of(lines, metric)
    return last.get(metric, points[-1][1] if points else None)


def _settling(estimates: Any) -> tuple[Points, list[list[float]]]:
    """Squared distance of each clean estimate [N, C, F, H, W] to the last one, whole and by latent frame."""
    last = np.asarray(estimates[-1], np.float64)
    by_frame = np.stack([((np.asarray(e, np.float64) - last) ** 2).mean(axis=(0, 2, 3)) for e in estimates])
    whole = by_frame.mean(axis=1)
    curve = whole / (whole[0] or 1.0)
    shares = by_frame / (by_frame.max() or 1.0)
    return [[step, float(value)] for step, value in enumerate(curve)], np.round(shares, 4).tolist()


def _drawing(trace: StoredTrace, painter: Painter) -> dict[str, Any]:
    """Every picture of a trace."""
    kept, num_frames = _decoded_steps(trace), len(trace.frames())
    steps = [kept[i] for i in spread(len(kept), painter.rung.max_steps)]
    frames = spread(num_frames, painter.rung.max_frames)
    sheets = [painter.sheet(_frames_at(trace, step)[frames]) for step in steps]
    sample: Any = trace.sample
    return {
        "num_frames": num_frames,
        "source_width": trace.frames().shape[2],
        "source_height": trace.frames().shape[1],
        "width": sheets[0].width,
        "height": sheets[0].height,
        "steps": steps,
        "frames": frames,
        "columns": sheets[0].columns,
        "sheets": [drawn.uri for drawn in sheets],
        "first_frame": painter.sheet(sample["first_frame"][None]).uri,
        "solutions": [
            {"name": letter(i), "sheet": painter.sheet(video[frames]).uri}
            for i, video in enumerate(sample.get("solutions", ())[:_MAX_SOLUTIONS])
        ],
    }


def _decoded_steps(trace: StoredTrace) -> list[int]:
    """Steps whose frames were stored; when there are none, the last, whose place the result takes."""
    return sorted(step for step in trace.images if step is not None) or [len(trace.sigmas) - 2]


def _frames_at(trace: StoredTrace, step: int) -> Frames:
    return trace.frames(step if step in trace.images else None)


def _how_drawn(rung: Rung, traces: list[dict[str, Any]], stored: int) -> dict[str, Any]:
    return {
        "codec": rung.codec,
        "shown_traces": len(traces),
        "stored_traces": stored,
        "note": "; ".join(_notes(rung, traces, stored)),
    }


def _notes(rung: Rung, traces: list[dict[str, Any]], stored: int) -> Iterator[str]:
    """Say how the pictures differ from what was decoded, and in what they do not."""
    yield rung.codec
    for trace in traces[:1]:
        yield f"{len(trace['steps'])} of {trace['num_steps']} steps"
        yield f"{len(trace['frames'])} of {trace['num_frames']} frames"
        yield "{width} × {height} of {source_width} × {source_height} pixels".format(**trace)
    if rung != LADDER[0]:
        yield "lowered to keep the page below 5 MB"
    if len(traces) < stored:
        yield f"the first {len(traces)} of {stored} runs of the record"


def _title(traces: list[dict[str, Any]]) -> str:
    return f"stepscope · {traces[0]['task'] or traces[0]['prompt']}" if traces else "stepscope"
