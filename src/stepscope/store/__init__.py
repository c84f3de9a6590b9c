"""The only room that writes to disk: output folders, their units, tables and manifests, and reading them back."""

from stepscope.store.manifest import Identity, Manifest
from stepscope.store.record import Record, open_record
from stepscope.store.result import Result
from stepscope.store.table import METRICS, SCHEMA, Row, build_table
from stepscope.store.tensors import Unit
from stepscope.store.trace import Fields, StoredTrace, trace_from_unit, trace_to_unit
from stepscope.store.units import SCHEMA_VERSION, canonical_json, digest, unit_key
from stepscope.store.writer import Writer, create

__all__ = [
    "METRICS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "Fields",
    "Identity",
    "Manifest",
    "Record",
    "Result",
    "Row",
    "StoredTrace",
    "Unit",
    "Writer",
    "build_table",
    "canonical_json",
    "create",
    "digest",
    "open_record",
    "trace_from_unit",
    "trace_to_unit",
    "unit_key",
]
