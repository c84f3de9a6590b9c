"""A model in which one layer decides: the swap finds it, where the mode can, and its controls hold."""

import numpy as np
import pytest
import torch
from layered_models import NUM_LAYERS, model
from planted_denoisers import Explorer

import stepscope
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.executors import Finding
from stepscope.experiments import get
from stepscope.experiments.layer_swap import ledger
from stepscope.experiments.layer_swap.donors import donor_of, random_donor_of, shown_by
from stepscope.interventions import Swap
from stepscope.interventions.swap import MODES
from stepscope.tasks import FindShape

DECISIVE = 2
ONLY = [float(layer == DECISIVE) for layer in range(NUM_LAYERS)]
FROM_THERE = [float(layer >= DECISIVE) for layer in range(NUM_LAYERS)]


def run(samples=2, num_steps=2, guidance=None, decider=None, task="find-shape", **options):
    chosen = decider or model(DECISIVE)
    return stepscope.run(
        "layer-swap", chosen, task=task, samples=samples, num_steps=num_steps, guidance=guidance, **options
    )


def flips(result, kind="swap", reading="flip"):
    (row,) = result.metrics[kind][reading]["mean"]
    return row


@pytest.mark.parametrize(
    ("donor", "mode", "expected"),
    [
        ("other-prompt", "delta", ONLY),
        ("other-prompt", "mlp", ONLY),
        ("other-prompt", "attn", [0.0] * NUM_LAYERS),
        ("other-prompt", "cross_attn", [0.0] * NUM_LAYERS),
        ("other-prompt", "residual", FROM_THERE),
        ("other-scene", "delta", ONLY),
        ("other-scene", "residual", [1.0] * NUM_LAYERS),  # one prompt: all that follows is the donor's
    ],
)
def test_the_layer_that_decides_is_found_where_the_mode_can(donor, mode, expected):
    result = run(donor=donor, mode=mode)
    assert flips(result) == expected
    assert result.metrics["ceiling"]["flip"]["mean"] == [1]
    assert result.metrics["floor"]["flip"]["mean"] == [0]
    assert result.metrics["own"]["value"] == 1


def test_a_swap_with_itself_flips_nothing():
    metrics = run().metrics
    assert metrics["self"]["flip"]["mean"] == metrics["self"]["final"]["mean"] == [0]
    assert metrics["self"]["choice"]["mean"][0] < 1e-6


def test_a_swap_with_itself_is_the_clean_run_at_every_layer_and_in_every_mode():
    swaps = [Swap("clean", layer, 0, mode) for layer in range(NUM_LAYERS) for mode in MODES]
    branches = [stepscope.Branch(f"{swap.layers} {swap.mode}", [swap]) for swap in swaps]
    runs = stepscope.plan(model(DECISIVE), [FindShape().sample(0)], branches, num_steps=1).run()
    clean = runs[0, 0, "clean"].latents[-1]
    assert all(torch.allclose(trace.latents[-1], clean, atol=1e-6) for trace in runs.values())
    assert len(runs) == 1 + NUM_LAYERS * len(MODES)


def test_a_donor_at_random_does_not_show_the_donors_answer():
    result = run(samples=3)
    assert flips(result, "random") == [0.0] * NUM_LAYERS
    assert flips(result, "random", "final") == [0.0] * NUM_LAYERS
    assert result.metrics["decisive"] is None


def found(flips, itself=0.0, choices=None):
    """A puzzle whose layers flipped so at step 0."""
    taken = {"flip": [flips], "choice": [choices or flips], "final": [flips]}
    run = {"swap": taken, "self": {"flip": [itself], "final": [0.0]}}
    return Finding({"steps": [0], "layers": list(range(len(flips)))}, [run], [], 0)


def test_the_claim_is_supported_on_the_other_half():
    verdict = ledger.judge([found(ONLY)] * 14)
    assert (verdict.id, verdict.verdict, verdict.n) == ("decisive-layer", "supported", 7)
    assert verdict.value == 1 - 1 / NUM_LAYERS
    assert verdict.control_passed is True


def test_a_layer_that_was_lucky_on_one_half_is_found_out_on_the_other():
    verdict = ledger.judge([found(ONLY), found(ONLY[::-1])] * 16)
    assert verdict.value == -1 / NUM_LAYERS
    assert verdict.verdict == "contradicted"


def test_layers_that_are_all_alike_decide_nothing():
    assert ledger.judge([found([1.0] * 4)] * 20).value == 0
    assert ledger.judge([found([1.0] * 4)] * 60).verdict == "contradicted"
    assert ledger.chosen_layer([found([0.0] * 4, choices=[0.1, 0.4, 0.2, 0.3])] * 4) == 1


def test_a_single_flip_by_itself_spoils_the_claim():
    verdict = ledger.judge([*[found(ONLY)] * 39, found(ONLY, itself=1.0)])
    assert (verdict.verdict, verdict.control_passed) == ("inconclusive", False)


def test_few_puzzles_or_one_layer_test_nothing():
    assert ledger.judge([found(ONLY)] * 3).verdict == "not-tested"
    assert "compare" in ledger.judge([found([1.0])] * 8).why


def test_one_step_moves_the_result_by_its_lever_arm_and_all_of_them_the_whole_way():
    once, always = run(num_steps=4), run(num_steps=4, span=None)
    assert flips(once) == flips(always) == ONLY
    assert flips(once, reading="final") == [0.0] * NUM_LAYERS
    assert flips(always, reading="final") == ONLY
    assert once.metrics["lever_arm"] == pytest.approx([0.25])


def test_later_steps_are_swapped_by_themselves():
    result = run(num_steps=3, at="0:3:2", layers=[1, 2])
    assert result.metrics["steps"] == [0, 2]
    assert result.metrics["swap"]["flip"]["mean"] == [[0, 1], [0, 1]]
    assert result.metrics["swap"]["final"]["mean"] == [[0, 0], [0, 1]], "the last estimate is the result"


@pytest.mark.parametrize(("cfg_branch", "flipped"), [(None, 1), ("cond", 1), ("uncond", 0)])
def test_one_cfg_branch_alone(cfg_branch, flipped):
    """The conditional estimate is read, so a swap in the other branch does not show in it."""
    result = run(guidance=2.0, cfg_branch=cfg_branch, layers=[DECISIVE])
    assert flips(result) == [flipped]


def test_tokens_that_are_not_swapped_keep_their_own():
    every = 5 * 24 * 24
    half = run(layers=[DECISIVE], tokens=range(every // 2))
    assert 0.05 < half.metrics["swap"]["choice"]["mean"][0][0] < 0.95
    assert flips(run(layers=[DECISIVE], tokens=range(every))) == [1]


def test_mazes_lend_their_scenes_and_have_no_donor_at_random():
    result = run(samples=3, task="maze-two-goals", dials={"size": 5}, donor="other-scene", mode="residual")
    assert flips(result) == [1.0] * NUM_LAYERS
    assert result.metrics["random"] == {"flip": None, "choice": None, "final": None}


def test_the_table_says_where_each_flip_was_read():
    rows = [row for row in run().table.to_pylist() if row["metric"] == "flip" and row["layer"] is not None]
    now = [row for row in rows if row["step"] is not None]
    end = [row for row in rows if row["step"] is None]
    assert len(now) == len(end) == 2 * 2 * NUM_LAYERS
    assert {row["other_step"] for row in end} == {0}
    assert {row["site"] for row in rows} == {"block"}
    taken = [row["value"] for row in now if row["branch"] == f"swap 0 {DECISIVE}"]
    assert taken == [1, 1]


def test_planned_calls_are_made_and_a_run_resumes(tmp_path):
    first = run(out=tmp_path / "out")
    assert first.model_calls["made"] == first.model_calls["planned"] <= first.model_calls["naive"]
    again = run(out=tmp_path / "out")
    assert again.as_json() == first.as_json()


def test_the_donors_answer_is_shown_in_either_picture():
    sample = FindShape().sample(0)
    scene = donor_of("other-scene", sample, None)
    own, laid = shown_by(scene, sample)
    assert np.array_equal(shown_by(sample, scene)[0], sample.solutions[0])
    assert np.array_equal(own, scene.solutions[0])
    assert np.array_equal(laid[0], sample.first_frame)
    assert FindShape().score(laid, sample).answer not in (None, FindShape().score(sample.solutions[0], sample).answer)
    assert len(shown_by(donor_of("other-prompt", sample, None), sample)) == 1
    assert random_donor_of(sample).prompt == sample.prompt


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"donor": "nobody"}, UnknownNameError, "Unknown donor 'nobody'"),
        ({"mode": "all"}, UnknownNameError, "Unknown mode of Swap"),
        ({"layers": "x"}, BadInputError, "layers came as 'x'"),
        ({"layers": [7]}, stepscope.errors.PlanError, "0 to 3"),
        ({"at": 9}, BadInputError, "Step 9"),
        ({"span": 0}, BadInputError, "span came as 0"),
        ({"span": "long"}, BadInputError, "span came as 'long'"),
        ({"tokens": [-1]}, BadInputError, "tokens came as"),
        ({"cfg_branch": "both"}, UnknownNameError, "CFG branch"),
        ({"task": "maze"}, BadInputError, "Donor 'other-prompt' was asked for"),
        ({"task": "maze", "donor": "other-scene"}, BadInputError, "no other puzzle"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(options, kind, told):
    with pytest.raises(kind, match=told) as caught:
        run(**options)
    assert "\n" not in str(caught.value)


def test_a_model_without_layers_is_not_tested():
    result = run(decider=Explorer(), task="maze-two-goals", dials={"size": 5})
    assert (result.claims[0]["verdict"], result.claims[0]["n"]) == ("not-tested", 0)
    assert "no layers" in result.claims[0]["why"]
    assert result.metrics["layers"] == []


def test_layers_must_be_known_before_branches_are_made():
    with pytest.raises(BadInputError, match="for_model"):
        get("layer-swap").branches(FindShape().sample(0), None, 2)
    assert Swap("clean", 0, 0, cfg_branch="cond") != Swap("clean", 0, 0)
