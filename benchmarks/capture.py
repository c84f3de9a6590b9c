"""What it costs to record layers while the model runs, beside full copies of the hidden states.

    python benchmarks/capture.py [--model a14b] [--device cuda] [--repeats 5] [--seconds 480] [--out FILE] [--json]
    python benchmarks/capture.py --model embedded --device cpu --repeats 15 --out benchmarks/capture-cpu.json

plain        the forward alone
energy       TokenEnergy at all layers
everything   the same, TokenComponents and Gram at every `--every`-th layer
copies L     hidden states of L layers, evenly spread, copied whole to the CPU as float32; how the paper's tool captures

`a14b` is one expert of Wan2.2-I2V-A14B (its released configuration, random weights, bfloat16) at 832x480x81, 32,760
tokens; `toy` rehearses the same on a CPU; `embedded` is the bundled model on a 9x9 maze, one forward of `predict`.  All
take turns in every round, plain first: an overhead is the median, over rounds, of a forward's time by that round's
plain one, so that a machine whose speed drifts does no harm.  What a recorder does once a run (moving its sums to the
CPU) is timed by itself.  Memory is the peak of the device's allocator during the forward.  Copies take few rounds.

Accuracy, on one recorded forward: energies against float64 norms of the very states, and CKA of some tokens against
that of all of them in float64.  Recorded or not, the output must be the same bit for bit: the exit status is 1 if it
is not.  With `--out` every row is written as soon as it is known; a table is printed last.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stepscope
from environment import environment
from stepscope.analysis import debiased_cka
from stepscope.denoise import Address, RunInfo, SiteTap, Taps, paper_grid
from stepscope.denoise.folds import Folds
from stepscope.models.attach import attach
from stepscope.models.configurations import configuration
from stepscope.recorders import ComponentBasis, Gram, TokenComponents, TokenEnergy

A14B = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
TOY = {"num_attention_heads": 2, "attention_head_dim": 32, "in_channels": 36, "ffn_dim": 128, "num_layers": 8}
BARS = {  # overhead and GiB at most
    "a14b": {"energy": (0.015, 1.0), "everything": (0.025, 1.0)},
    "embedded": {"energy": (0.10, None), "everything": (0.25, None)},
}


@dataclass(frozen=True)
class Subject:
    """A model that can be asked once.

    Attributes:
        ask: a forward with taps attached; gives what comes out.
        num_layers: its blocks.
        tokens: its tokens.
        every: components and Gram matrices are read at every so-many-th layer.
        weights: what the weights are.
    """

    ask: Callable[[Taps], torch.Tensor]
    num_layers: int
    tokens: int
    every: int
    weights: str

    @property
    def some(self) -> tuple[int, ...]:
        """The layers that are read in full."""
        return tuple(range(self.every - 1, self.num_layers, self.every))


def expert(device: torch.device, name: str, every: int | None) -> Subject:
    """A transformer with random weights, drawn where it runs."""
    from diffusers import WanTransformer3DModel

    config = configuration(A14B).parts["transformer"].config if name == "a14b" else TOY
    frames, height, width = (21, 60, 104) if name == "a14b" else (5, 12, 20)
    network = _drawn(WanTransformer3DModel, config, device)
    generator = torch.Generator(device).manual_seed(1)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=device, generator=generator, dtype=torch.bfloat16)

    asked = {
        "hidden_states": noise(1, 36, frames, height, width),
        "encoder_hidden_states": noise(1, 512, network.config.text_dim),
        "timestep": torch.tensor([900.0], device=device),
    }
    grid = (frames, height // 2, width // 2)

    def ask(taps: Taps) -> torch.Tensor:
        with torch.no_grad(), attach(network, taps, Address(0, 1.0, token_grid=grid)):
            return network(**asked, return_dict=False)[0]

    layers = len(network.blocks)
    return Subject(ask, layers, int(np.prod(grid)), every or (10 if name == "a14b" else 3), "random, bfloat16")


def _drawn(kind: Any, config: Any, device: torch.device) -> Any:
    """Made without weights, which are then drawn on the device in bfloat16; what must stay in float32 does."""
    with torch.device("meta"):
        network = kind(**config).eval()
    islands = set(network._keep_in_fp32_modules)
    for name, weight in network.named_parameters():
        if not islands & set(name.split(".")):
            weight.data = weight.data.to(torch.bfloat16)
    rope = type(network.rope)(network.rope.attention_head_dim, network.rope.patch_size, network.rope.max_seq_len)
    network = network.to_empty(device=device)
    network.rope = rope.to(device)  # its tables are computed, not drawn
    torch.manual_seed(0)
    for name, weight in network.named_parameters():
        is_scale = weight.ndim == 1 and name.endswith("weight")
        torch.nn.init.ones_(weight) if is_scale else torch.nn.init.normal_(weight, std=0.02)
    return network


def bundled(device: torch.device, name: str, every: int | None) -> Subject:
    """The bundled model, or a folder like it, at the first step of a maze."""
    model = stepscope.load_model(name, device=str(device))
    denoiser, sample = model.loaded.denoiser, stepscope.tasks.get("maze-two-goals").sample(0, size=9)
    grid, condition = paper_grid(20, model.card.shift), denoiser.condition((sample,), 1.0, None)
    latents = torch.randn(1, *denoiser.latents_shape(sample), generator=torch.Generator().manual_seed(1)).to(device)
    seen: list[int] = []
    denoiser.predict(latents, 0, grid, condition, 1.0, Taps((SiteTap("block", lambda h, _: seen.append(h.shape[1])),)))

    def ask(taps: Taps) -> torch.Tensor:
        return denoiser.predict(latents, 0, grid, condition, 1.0, taps).velocity

    return Subject(ask, model.num_layers, seen[0], every or 1, model.weights_hash)


class Bench:
    """Setups that take turns, and the rows that come of it."""

    def __init__(self, subject: Subject, device: torch.device, keep: Callable[[list[dict[str, Any]]], None]) -> None:
        self.subject, self.device, self.keep = subject, device, keep
        self.info = RunInfo(paper_grid(50, 5.0), (None,), (0,), subject.num_layers, ("cond",))
        self.rows: list[dict[str, Any]] = []
        self.plain = subject.ask(Taps())
        self.same = True
        self.basis = self.recorded([ComponentBasis(layers=subject.some[-1:])])["component_basis"]

    def recorded(self, recorders: Sequence[Any]) -> dict[str, Any]:
        """What recorders make of one forward."""
        folds = Folds.begun(recorders, self.info)
        self.same &= bool(torch.equal(self.subject.ask(Taps(folds.observers())), self.plain))
        return folds.finish()

    def recorders(self, name: str) -> list[Any]:
        """The recorders of a setup."""
        some = self.subject.some
        everything = [TokenEnergy(), TokenComponents(self.basis, layers=some), Gram(layers=some)]
        return {"plain": [], "energy": everything[:1], "everything": everything}[name]

    def setups(self, name: str) -> tuple[Taps, Callable[[], object]]:
        """What is attached, and what is done when the run is over."""
        if name.startswith("copies"):
            layers = frozenset(_spread(int(name.split()[1]), self.subject.num_layers))
            kept: dict[int | None, torch.Tensor] = {}

            def copy(hidden: torch.Tensor, address: Address) -> None:
                kept[address.layer] = hidden.to("cpu", torch.float32, copy=True)

            return Taps((SiteTap("block", copy, layers),)), kept.clear
        folds = Folds.begun(self.recorders(name), self.info)
        return Taps(folds.observers()), folds.finish

    def turn(self, name: str, number: int) -> None:
        """One forward of a setup, measured."""
        taps, finish = self.setups(name)
        self._wait()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        begun, busy = time.perf_counter(), time.process_time()
        out = self.subject.ask(taps)
        self._wait()
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        peak = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else None
        self.same &= bool(torch.equal(out, self.plain))
        begun = time.perf_counter()
        finish()
        row = {"setup": name, "round": number, "seconds": seconds, "cpu_seconds": busy, "peak_bytes": peak}
        self.rows.append(row | {"finish_seconds": time.perf_counter() - begun})
        self.keep(self.rows)

    def rounds(self, count: int, copies: int, until: float) -> None:
        """All setups in turns; a first round warms up and is thrown away, the next few take copies too."""
        for name in ("plain", "energy", "everything"):
            self.turn(name, -1)
        self.rows.clear()
        layers = self.subject.num_layers
        for number in range(count):
            full = [f"copies {some}" for some in sorted({min(5, layers), layers})] if number < copies else []
            for name in ("plain", "energy", "everything", *full):
                if time.monotonic() < until:
                    self.turn(name, number)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _spread(count: int, layers: int) -> list[int]:
    return np.unique(np.linspace(0, layers - 1, count).round().astype(int)).tolist()


def numbers(bench: Bench) -> dict[str, dict[str, Any]]:
    """Each setup: medians, and overheads by the plain forward of the same round."""
    plain = {row["round"]: row for row in bench.rows if row["setup"] == "plain"}
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(row["setup"] for row in bench.rows):
        rows = [row for row in bench.rows if row["setup"] == name and row["round"] in plain]
        pairs = [(row, plain[row["round"]]) for row in rows]
        peaks = [row["peak_bytes"] - before["peak_bytes"] for row, before in pairs if row["peak_bytes"] is not None]
        found[name] = {
            "n": len(rows),
            "seconds": statistics.median(row["seconds"] for row in rows),
            "overhead": statistics.median(row["seconds"] / before["seconds"] - 1 for row, before in pairs),
            "cpu_overhead": statistics.median(row["cpu_seconds"] / before["cpu_seconds"] - 1 for row, before in pairs),
            "finish_seconds": statistics.median(row["finish_seconds"] for row in rows),
            "peak_gib": max((row["peak_bytes"] for row in rows if row["peak_bytes"] is not None), default=0) / 2**30
            or None,
            "extra_gib": max(peaks) / 2**30 if peaks else None,
        }
    return found


def accuracy(bench: Bench) -> dict[str, float]:
    """What was recorded against the states themselves, in float64."""
    first, last = bench.subject.some[0], bench.subject.some[-1]
    kept: dict[int | None, np.ndarray] = {}
    taps = SiteTap("block", lambda h, a: kept.update({a.layer: h[0].double().cpu().numpy()}), frozenset({first, last}))
    bench.subject.ask(Taps((taps,)))
    made = bench.recorded([TokenEnergy(), Gram(layers=bench.subject.some)])
    errors = []
    for layer, states in kept.items():
        exact = np.linalg.norm(states, axis=1)
        errors.append(np.abs(made["token_energy"][0, 0, layer].ravel() / exact - 1).max())
    apart = 0.0
    if first != last:
        apart = abs(made["gram"]["layers"][0, 0, 0, -1] - debiased_cka(kept[first], kept[last]))
    return {"energy_relative_error": float(max(errors)), "cka_difference": float(apart)}


def held(name: str, found: dict[str, dict[str, Any]]) -> dict[str, bool]:
    """Whether each bar is held."""
    kept = {}
    for setup, (overhead, memory) in BARS.get(name, {}).items():
        kept[f"{setup} time"] = found[setup]["overhead"] <= overhead
        if memory is not None and found[setup]["extra_gib"] is not None:
            kept[f"{setup} memory"] = found[setup]["extra_gib"] <= memory
    return kept


def table(found: dict[str, Any]) -> str:
    """The numbers in lines."""
    lines = [
        f"{found['model']} on {found['environment']['device']}: {found['layers']} layers, {found['tokens']:,} tokens, "
        f"some layers {found['some_layers']}",
        f"{'':12} {'n':>3} {'seconds':>8} {'over':>8} {'cpu over':>8} {'peak GiB':>9} {'more GiB':>9} {'once':>7}",
    ]
    for name, each in found["numbers"].items():
        memory = "".join(
            "         -" if each[key] is None else f" {each[key]:9.2f}" for key in ("peak_gib", "extra_gib")
        )
        lines.append(
            f"{name:12} {each['n']:3} {each['seconds']:8.3f} {each['overhead']:8.1%} {each['cpu_overhead']:8.1%}"
            f"{memory} {each['finish_seconds']:7.3f}"
        )
    told = ", ".join(f"{name} {value:.1e}" for name, value in found["accuracy"].items())
    bars = ", ".join(f"{name} {'held' if is_held else 'MISSED'}" for name, is_held in found["bars"].items())
    return "\n".join([*lines, f"bitwise equal: {found['bitwise_equal']}; {told}", f"bars: {bars or 'none'}"])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="a14b", help="a14b, toy, embedded or a folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=2, help="rounds with full copies")
    parser.add_argument("--every", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=480, help="no forward begins later")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    make = expert if options.model in ("a14b", "toy") else bundled
    subject = make(device, options.model, options.every)
    found: dict[str, Any] = {
        "model": options.model,
        "weights": subject.weights,
        "layers": subject.num_layers,
        "tokens": subject.tokens,
        "some_layers": list(subject.some),
        "environment": environment(device),
    }

    def keep(rows: list[dict[str, Any]]) -> None:
        if options.out is not None:
            options.out.write_text(json.dumps({**found, "rows": rows}, indent=1) + "\n", encoding="utf-8")

    bench = Bench(subject, device, keep)
    bench.rounds(options.repeats, options.copies, until)
    found["numbers"] = numbers(bench)
    found["bars"] = held(options.model, found["numbers"])
    found["accuracy"] = accuracy(bench)
    found["bitwise_equal"] = bench.same
    keep(bench.rows)
    print(json.dumps({**found, "rows": bench.rows}, indent=1) if options.json else table(found))
    return int(not bench.same)


if __name__ == "__main__":
    sys.exit(main())
