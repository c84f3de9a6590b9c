"""Executors carry out plans: they load a model by reference, denoise, score, and hand units to the store.

`recording` what is to be done, as a value; `local` does it in this process; `measuring` does it for an experiment,
`puzzle` by `puzzle`, and keeps numbers alone; `generating` answers one puzzle by a strategy; `sampling` draws puzzles;
`watchers` look before and meanwhile; `rows`, `summary` and `provenance` what is made of a run.  A plan names its model
and never holds it, so that the same plan can be carried out elsewhere.
"""

from stepscope.executors.generating import Answer, answer
from stepscope.executors.local import Job, carry_out, prepare
from stepscope.executors.measuring import Procedure, measure_puzzles, plans_of
from stepscope.executors.provenance import manifest_of
from stepscope.executors.puzzle import Finding, Measured, Puzzle
from stepscope.executors.recording import ModelReference, Recording, Settings, content_digest, sample_digest
from stepscope.executors.rows import reading_rows
from stepscope.executors.sampling import draw_sample
from stepscope.executors.summary import Outcome, planned_calls

__all__ = [
    "Answer",
    "Finding",
    "Job",
    "Measured",
    "ModelReference",
    "Outcome",
    "Procedure",
    "Puzzle",
    "Recording",
    "Settings",
    "answer",
    "carry_out",
    "content_digest",
    "draw_sample",
    "manifest_of",
    "measure_puzzles",
    "planned_calls",
    "plans_of",
    "prepare",
    "reading_rows",
    "sample_digest",
]
