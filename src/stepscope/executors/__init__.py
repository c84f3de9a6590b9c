"""Executors carry out plans: they load a model by reference, denoise, score, and hand units to the store.

`recording` what is to be done, as a value; `local` does it in this process; `watchers` look before and meanwhile;
`rows`, `scoring` and `summary` what is made of a run.  A plan names its model and never holds it, so that the same plan
can be carried out elsewhere.
"""

from stepscope.executors.local import Job, carry_out, prepare
from stepscope.executors.recording import ModelReference, Recording, Settings, sample_digest
from stepscope.executors.summary import Outcome

__all__ = ["Job", "ModelReference", "Outcome", "Recording", "Settings", "carry_out", "prepare", "sample_digest"]
