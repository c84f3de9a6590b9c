"""What a run will take, from configurations alone: parameters, model calls, bytes on disk, memory at its worst.

    calls    = steps · (2 with guidance, else 1) · runs
    weights  = bytes of parameters and buffers in the number types in which they would be loaded
    kept     = 3 latents a step (what entered, the two clean estimates) until the run ends, float32
    peak     = max over stages of  resident weights + activations,   stages: prompt, encode, denoise, decode

The stock pipeline is built on the meta device (`meta_pipeline`), wrapped by its family as after loading, and asked for
one of each stage of a run (`meta_run`): what a family is refused or shows when it is loaded, it is here.

Resident are all weights (`none`); with offload those of the VAE and of one network: of whole ones (`model`), or of a
transformer what lies outside its blocks, and two blocks (`group`).  A video is encoded beside an encoder and decoded
beside a transformer, then in tiles (see `offload`).  Cost: 10 to 70 s on a core; no weight is read.

Checked against one expert of Wan2.2-I2V-A14B, bfloat16, 832x480x81, on an H100: 30.2 GiB measured, 30.1 estimated.
Context and kernel workspaces of the driver (a few hundred MiB) come on top.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models.cards import Card
from stepscope.models.configurations import Configuration, configuration
from stepscope.models.folders import first_line
from stepscope.models.loading import of_family
from stepscope.models.meta_pipeline import EXPERTS, networks, pipeline_on_meta, weights_of
from stepscope.models.meta_run import Blank, MetaRun, Seen

__all__ = ["Estimate", "estimate"]

_NUMBERS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_KEPT_LATENTS = 3
_FLOAT = 4  # bytes of what is kept and recorded


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        parameters: {component: number of weights}.
        model_calls: forwards of the transformer, times samples.
        tokens: of one forward.
        recorded_bytes: {recorder: bytes on disk} of all runs; `raw_block` is every block's output at every step.
        activation_bytes: {stage: most bytes at once besides the weights}, see `meta_run`; `denoise` with what is kept.
        peak_bytes: {offload: memory of the device at its worst}.
        latents_shape: (C, F, H, W).
        dtype: number type of transformer and text encoder.
    """

    parameters: Mapping[str, int]
    model_calls: int
    tokens: int
    recorded_bytes: Mapping[str, int]
    activation_bytes: Mapping[str, int]
    peak_bytes: Mapping[str, int]
    latents_shape: tuple[int, int, int, int]
    dtype: str


def estimate(
    source: str,
    *,
    num_steps: int = 20,
    runs: int = 1,
    guidance: float | int | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    dtype: str | None = None,
    revision: str | None = None,
) -> Estimate:
    """What a run of a model will take.

    Args:
        source: a name with a card, a diffusers folder, or a hub id.
        num_steps: N >= 1.
        runs: samples times seeds.
        guidance: None for the model's own; 1 is none.
        num_frames: None for the model's own.
        height: pixels; None for the model's own.
        width: pixels; None for the model's own.
        dtype: `float32`, `bfloat16` or `float16`; None for the card's, which is that of an accelerator.
        revision: of a hub id.

    Raises:
        UserError: for a model that cannot be found or estimated, or a size that it cannot take.
    """
    _check(num_steps, runs, guidance)
    found = configuration(source, revision)
    number = found.card.dtype if dtype is None else dtype
    if number not in _NUMBERS:
        raise UnknownNameError.of("number type", number, tuple(_NUMBERS))
    sample = _asked(found.card, num_frames, height, width)
    pipeline = pipeline_on_meta(found, _NUMBERS[number])
    asked = float(found.card.guidance if guidance is None else guidance)
    run = MetaRun(of_family(pipeline, found.card), sample, asked)
    kept = _FLOAT * _KEPT_LATENTS * num_steps * math.prod(run.shape)  # a size that is refused is refused here
    seen, activations = _stages(found, run)
    activations["denoise"] += kept
    modules = networks(pipeline)
    return Estimate(
        parameters={name: sum(weight.numel() for weight in module.parameters()) for name, module in modules.items()},
        model_calls=seen.model_calls * num_steps * runs,
        tokens=math.prod(seen.token_grid),
        recorded_bytes=_recorded(run, seen, num_steps, runs),
        activation_bytes=activations,
        peak_bytes=_peaks(modules, activations),
        latents_shape=run.shape,
        dtype=number,
    )


def _check(num_steps: int, runs: int, guidance: float | int | None) -> None:
    if num_steps < 1 or runs < 1:
        raise BadInputError(f"{num_steps} steps of {runs} runs came. There is at least 1 of each. Ask for more.")
    if guidance is not None and not 1 <= guidance < math.inf:
        raise BadInputError(f"Guidance came as {guidance}. It must be 1 (one forward a prediction) or more. Choose 1.")


def _asked(card: Card, num_frames: int | None, height: int | None, width: int | None) -> Blank:
    """The question that is asked, in the card's size where no other came."""
    rows, columns = card.height if height is None else height, card.width if width is None else width
    if rows < 1 or columns < 1:
        raise BadInputError(f"A size of {rows}x{columns} (height x width) came. Both are at least 1. Ask for more.")
    return Blank.of(card.num_frames if num_frames is None else num_frames, rows, columns)


def _stages(found: Configuration, run: MetaRun) -> tuple[Seen, dict[str, int]]:
    try:
        return run.stages()
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelLoadError(
            f"The components of {found.name} do not fit each other ({first_line(error)}). They belong to one pipeline. "
            "Fetch or save it again."
        ) from error


def _recorded(run: MetaRun, seen: Seen, num_steps: int, runs: int) -> dict[str, int]:
    latents, pixels = _FLOAT * math.prod(run.shape), run.sample.num_frames * run.sample.first_frame.size
    of_one_run = {
        "latents": (num_steps + 1) * latents,
        "clean_estimates": num_steps * latents,
        "frames": (num_steps + 1) * pixels,
        "token_energy": _FLOAT * num_steps * seen.tokens,
        "raw_block": _FLOAT * num_steps * seen.values,
    }
    return {name: size * runs for name, size in of_one_run.items()}


def _peaks(modules: Mapping[str, torch.nn.Module], used: Mapping[str, int]) -> dict[str, int]:
    """The worst of the stages, by kind of offload."""
    weights = {name: _bytes(weights_of(module)) for name, module in modules.items()}
    experts = [name for name in EXPERTS if name in weights]
    encoders = max((weights[name] for name in weights.keys() - {*experts, "vae"}), default=0)

    def alone(expert: int) -> int:
        return weights["vae"] + max(encoders + used["encode"], expert + max(used["denoise"], used["decode_in_tiles"]))

    return {
        "none": sum(weights.values()) + max(used["denoise"], used["encode"], used["decode"]),
        "model": alone(max(weights[name] for name in experts)),
        "group": alone(max(_grouped(modules[name]) for name in experts)),
    }


def _grouped(transformer: torch.nn.Module) -> int:
    """Weights of a transformer that are there at once under group offload: one block at work, the next on its way."""
    lists = [child for child in transformer.children() if isinstance(child, torch.nn.ModuleList)]
    blocks = [_bytes(weights_of(block)) for blocks in lists for block in blocks]
    return _bytes(weights_of(transformer)) - sum(blocks) + sum(sorted(blocks)[-2:])


def _bytes(weights: Iterable[Any]) -> int:
    return sum(weight.numel() * weight.element_size() for weight in weights)
