"""A verdict follows from the interval, the smallest effect of interest and the control, and from nothing else."""

import json

import pytest

from stepscope.analysis import claims
from stepscope.errors import BadInputError, UnknownNameError

NAMES = (
    "cos-over-cof exploration-then-convergence excess-multiplicity middle-step-sensitivity superposition "
    "working-memory self-correction perception-before-action early-layers-global middle-layers-objects "
    "late-layers-consolidate decisive-layer frames-matter-little compression-collapses-exploration "
    "seed-ensemble-helps ensemble-stabilises shared-seed-bias early-commitment serial-depth-gap"
)


def test_the_ledger_is_complete() -> None:
    assert " ".join(claims.ids()) == NAMES
    for name in claims.ids():
        claim = claims.get(name)
        assert claim.statement.endswith(".")
        assert claim.metric
        assert claim.control


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((0.06, 0.1), "supported"),
        ((-0.1, 0.04), "contradicted"),
        ((0.04, 0.06), "inconclusive"),
        ((0.05, 0.1), "inconclusive"),
        ((0.0, 0.05), "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_the_interval_decides(interval: tuple | None, word: str) -> None:
    assert claims.get("serial-depth-gap").delta == 0.05
    found = claims.verdict("serial-depth-gap", 0.05, interval, 100, True)
    assert found.verdict == word
    assert found.why.endswith(".")


@pytest.mark.parametrize(("passed", "said"), [(False, "The control failed"), (None, "The control was not run")])
def test_without_its_control_nothing_is_decided(passed: bool | None, said: str) -> None:
    found = claims.verdict("serial-depth-gap", 0.5, (0.4, 0.6), 100, passed)
    assert found.verdict == "inconclusive"
    assert found.why.startswith(said)


def test_what_was_not_measured_is_not_tested() -> None:
    found = claims.verdict("decisive-layer", None, None, 0, None, reason="the model has no layers")
    assert (found.verdict, found.why) == ("not-tested", "Not measured: the model has no layers.")


def test_a_verdict_is_json() -> None:
    found = claims.verdict("early-commitment", 0.9, [0.8, 0.95], 40, True).as_json()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"id", "statement", "value", "ci95", "n", "control", "control_passed", "verdict", "why"}
    assert found["ci95"] == [0.8, 0.95]


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown claim 'cos'. Known: .*cos-over-cof"):
        claims.verdict("cos", 1.0, (0.0, 1.0), 1, True)


@pytest.mark.parametrize("interval", [(1.0, 0.0), (float("nan"), 1.0)])
def test_an_interval_has_two_ends_in_order(interval: tuple) -> None:
    with pytest.raises(BadInputError, match=r"low <= high"):
        claims.verdict("early-commitment", 0.5, interval, 1, True)
