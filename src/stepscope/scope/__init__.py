"""The public face that joins the rooms below: a model, the trace of a run, and what can be read off it."""

from stepscope.scope.model import Model, load_model
from stepscope.scope.readout import Reading, Solutions, encode_solutions, read
from stepscope.scope.stored import stored
from stepscope.scope.trace import Scores, Trace

__all__ = ["Model", "Reading", "Scores", "Solutions", "Trace", "encode_solutions", "load_model", "read", "stored"]
