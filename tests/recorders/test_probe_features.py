"""What a probe reads is what a stranger's own hooks would average."""

import pytest
import torch

from closed_form import Layered, make_run
from stepscope.denoise import Euler, denoise
from stepscope.errors import BadInputError
from stepscope.recorders import ProbeFeatures
from stepscope.recorders.probe_features import tokens_of

GRID = (2, 2, 2)
WEIGHTS = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25]])


class Hooks:
    """Every event, kept whole."""

    name, sites = "hooks", ("resid_pre", "block")

    def init(self, run):
        return []

    def update(self, state, event):
        return [*state, event]

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return state


def regions(sample, grid):
    assert grid == GRID
    return WEIGHTS


def recorded(recorder, guidance=1.0):
    run, start = make_run(Layered(), Euler(), num_steps=3, guidance=guidance)
    _, _, records = denoise(run, start, [recorder, Hooks()])
    return records["probe_features"], records["hooks"]


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_features_are_weighted_means_of_what_the_conditional_forward_put_out(guidance):
    found, events = recorded(ProbeFeatures(regions), guidance)
    assert set(found) == {"grid", "latents", "embedding", "layer 0", "layer 1", "estimate"}
    assert tuple(found["grid"]) == GRID
    for event in events:
        if hasattr(event, "address"):
            address = event.address
            if address.cfg_branch == "cond" and (address.site == "block" or address.layer == 0):
                source = f"layer {address.layer}" if address.site == "block" else "embedding"
                torch.testing.assert_close(torch.tensor(found[source][address.step]), WEIGHTS @ event.hidden[0])
        else:
            for source, batch in (("latents", event.latents), ("estimate", event.cond)):
                torch.testing.assert_close(torch.tensor(found[source][event.step]), WEIGHTS @ batch[0].flatten(1).T)


def test_chosen_layers_alone_are_kept():
    found, _ = recorded(ProbeFeatures(regions, layers=[1]))
    assert set(found) == {"grid", "latents", "embedding", "layer 1", "estimate"}


def test_parts_of_a_stream_merge():
    run, start = make_run(Layered(), Euler(), num_steps=3)
    recorder, (_, _, records) = ProbeFeatures(regions), denoise(run, start, [Hooks()])
    cut = len(records["hooks"]) // 2
    parts = []
    for events in (records["hooks"][:cut], records["hooks"][cut:]):
        state = recorder.init(run.info)
        for event in events:
            if hasattr(event, "address") or state.grid is not None:
                state = recorder.update(state, event)
        parts.append(state)
    whole, _ = recorded(ProbeFeatures(regions))
    merged = recorder.finish(recorder.merge(*parts))
    for source in ("embedding", "layer 0", "layer 1"):
        torch.testing.assert_close(torch.tensor(merged[source]), torch.tensor(whole[source]))


def test_latents_are_cut_into_patches():
    latents = torch.arange(2 * 2 * 4 * 4.0).reshape(2, 2, 4, 4)
    tokens = tokens_of(latents, (2, 2, 2))
    assert tokens.shape == (8, 8)
    assert tokens[3].tolist() == [*latents[0, 0, 2:, 2:].flatten().tolist(), *latents[1, 0, 2:, 2:].flatten().tolist()]


def test_layers_that_do_not_exist_are_refused():
    run, start = make_run(Layered(), Euler(), num_steps=3)
    with pytest.raises(BadInputError, match=r"layers \[2\] of a model with 2"):
        denoise(run, start, [ProbeFeatures(regions, layers=[2])])
