"""What recorders make of a run, against float64 arithmetic on its raw states: a tiny pipeline and the bundled model.

energy       relative error at most 1e-5 in float32, 1e-3 in bfloat16
components   the three directions lie at least 95% in the space of the exact ones, each of them
CKA          of some tokens within 0.02 of that of all tokens, every pair of layers
"""

import numpy as np
import pytest

from models.tiny import TinySample, pipeline
from stepscope import load_model, tasks
from stepscope.analysis import debiased_cka
from stepscope.recorders import ComponentBasis, Gram, Raw, TokenComponents, TokenEnergy

MODELS = ("tiny float32", "tiny bfloat16", "bundled")
STEPS = 2


@pytest.fixture(scope="module", params=MODELS)
def recorded(request, tmp_path_factory):
    """(records, raw states in float64 [step, layer, L, D], whether the model is in bfloat16)."""
    if request.param == "bundled":
        model, sample = load_model("embedded"), tasks.get("maze-two-goals").sample(0, size=7)
    else:
        folder = tmp_path_factory.mktemp("tiny")
        pipeline("wan2.2-a14b").save_pretrained(folder)
        model, sample = load_model(folder, dtype=request.param.split()[1]), TinySample()
    settings = {"num_steps": STEPS, "seed": 1, "guidance": 1.0}
    first = model.denoise(sample, recorders=[Raw(), TokenEnergy(), Gram(), ComponentBasis()], **settings).records
    basis = first["component_basis"]
    second = model.denoise(sample, recorders=[TokenComponents(basis)], **settings).records
    return {**first, **second}, first["raw_block"].astype(np.float64), "bfloat16" in request.param


def test_energies(recorded):
    records, states, is_small = recorded
    exact = np.linalg.norm(states, axis=-1)
    energy = records["token_energy"][:, 0].reshape(exact.shape)
    assert np.abs(energy / exact - 1).max() <= (1e-3 if is_small else 1e-5)


def test_components(recorded):
    records, states, is_small = recorded
    tokens = states.reshape(-1, states.shape[-1])
    _, vectors = np.linalg.eigh(np.cov(tokens.T))
    basis = records["component_basis"]["basis"]
    assert np.linalg.svd(basis @ vectors[:, -3:], compute_uv=False).min() >= 0.95
    exact = (states - records["component_basis"]["mean"]) @ basis.T / records["component_basis"]["scale"]
    components = np.moveaxis(records["token_components"][:, 0], 2, -1).reshape(exact.shape)
    np.testing.assert_allclose(components, exact, atol=1e-3 if is_small else 1e-4)


def test_cka(recorded):
    records, states, _ = recorded
    layers = range(states.shape[1])
    for step, panel in enumerate(records["gram"]["layers"][:, 0]):
        exact = [[debiased_cka(states[step, a], states[step, b]) for b in layers] for a in layers]
        assert np.abs(panel - exact).max() <= 0.02
    for layer, panel in enumerate(records["gram"]["steps"][0]):
        assert abs(panel[0, 1] - debiased_cka(states[0, layer], states[1, layer])) <= 0.02
