"""`stepscope estimate MODEL`: what a run will take, before it is paid for; no weight is read without --timed."""

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from stepscope.cli.output import say
from stepscope.errors import BadInputError, UnknownNameError

__all__ = ["run"]

_GIB = 2**30


def run(options: Namespace) -> None:
    """Estimate, and say it."""
    if ".py:" in options.model:
        raise BadInputError(
            f"{options.model} came for an estimate, which reads configurations. A denoiser of your own has none. "
            "Give a diffusers folder, a name or a hub id."
        )
    for name in ("steps", "samples"):
        if (given := getattr(options, name)) < 1:
            raise BadInputError(f"--{name} came as {given}. There is at least 1. Ask for 1 or more.")
    from stepscope.models.estimate import estimate
    from stepscope.models.offload import OFFLOADS

    if options.offload not in OFFLOADS:
        raise UnknownNameError.of("offload", options.offload, OFFLOADS)
    found = estimate(
        options.model,
        num_steps=options.steps,
        runs=options.samples * len(options.seeds),
        guidance=options.guidance,
        num_frames=options.frames,
        height=options.height,
        width=options.width,
        dtype=options.dtype,
        revision=options.revision,
    )
    seconds = _seconds(options) if options.timed else None
    facts = {
        "parameters": found.parameters,
        "model_calls": found.model_calls,
        "tokens": found.tokens,
        "recorded_bytes": found.recorded_bytes,
        "peak_bytes": found.peak_bytes[options.offload],
        "seconds": seconds,
    }
    say(options.json, facts, _lines(found, seconds))


def _lines(found: Any, seconds: float | None) -> list[str]:
    parameters = ", ".join(f"{name} {_count(number)}" for name, number in found.parameters.items())
    peaks = ", ".join(f"{_size(number)} with offload {name}" for name, number in found.peak_bytes.items())
    return [
        f"parameters   {parameters}",
        f"model calls  {found.model_calls}, of {found.tokens} tokens each",
        f"on disk      {_sizes(found.recorded_bytes)}",
        f"activations  {_sizes(found.activation_bytes)}",
        f"memory       {peaks} ({found.dtype})",
        f"time         {'unknown; --timed measures a step' if seconds is None else f'{seconds:.0f} s'}",
    ]


def _sizes(named: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_size(number)}" for name, number in named.items())


def _count(number: int) -> str:
    return f"{number / 1e9:.3g} B" if number >= 1e9 else f"{number / 1e6:.3g} M"


def _size(number: int) -> str:
    return f"{number / _GIB:.1f} GiB" if number >= _GIB else f"{number / 2**20:.1f} MiB"


def _seconds(options: Namespace) -> float:
    """Seconds of all steps, from the second of two runs of one step (the first warms up)."""
    import numpy as np

    from stepscope.scope import load_model
    from stepscope.tasks import Sample

    model = load_model(
        options.model,
        device=options.device,
        dtype=options.dtype,
        revision=options.revision,
        offload=options.offload,
    )
    card = model.card
    height, width = options.height or card.height, options.width or card.width
    sample = Sample("a test", np.zeros((height, width, 3), np.uint8), options.frames or card.num_frames)
    _, second = (_step_seconds(model, sample, options.guidance) for _ in range(2))
    return second * options.steps * options.samples * len(options.seeds)


def _step_seconds(model: Any, sample: Any, guidance: float | None) -> float:
    began = time.perf_counter()
    model.denoise(sample, num_steps=1, guidance=guidance)
    return time.perf_counter() - began
