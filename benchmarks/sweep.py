"""A full noise-at-step sweep as a tree of branches, beside reruns of every branch from step 0, in one process.

    python benchmarks/sweep.py [--model random] [--device cpu] [--steps 20] [--mode renoise] [--json]

One row a call (see `chunks.py` for more).  On a CPU both must agree bit for bit; the exit status is 1 if they do not.
`--model` is anything that stepscope.load_model takes, or `random`: the stock pipeline with random weights of the tests.
Forwards are counted on the transformer itself.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

import stepscope
from chunks import loaded
from environment import environment
from stepscope import Branch, plan, tasks
from stepscope.interventions import AddNoise


class Forwards:
    """Counts rows that go through the transformers of a pipeline."""

    def __init__(self, model: stepscope.Model) -> None:
        self.rows = 0
        for name in ("transformer", "transformer_2"):
            module = getattr(model.pipeline, name, None)
            if module is not None:
                module.register_forward_hook(self.count)

    def count(self, module: Any, given: Any, told: Any) -> None:
        """One forward."""
        self.rows += len(told[0])

    def of(self, work: Callable[[], Any], device: str) -> tuple[Any, float, int]:
        """What some work gives, its seconds and its rows."""
        self.rows, begun = 0, time.perf_counter()
        done = work()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()
        return done, time.perf_counter() - begun, self.rows


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every number of the benchmark."""
    model = loaded(options.model, options.device)
    sample = tasks.get("maze-two-goals").sample(0, size=options.size)
    settings = {"num_steps": options.steps, "guidance": options.guidance}
    edits = {f"step {step}": (AddNoise(options.mode, step),) for step in range(options.steps)}
    branches = [Branch(name, edit) for name, edit in edits.items()]
    tree = plan(model, [sample], branches, chunk=1, **settings)
    model.denoise(sample, **settings)  # warm

    def rerun() -> dict[str, Any]:
        return {
            name: model.denoise(sample, interventions=edit, **settings) for name, edit in {"clean": (), **edits}.items()
        }

    forwards = Forwards(model)
    naive, naive_seconds, naive_rows = forwards.of(rerun, options.device)
    shared, tree_seconds, tree_rows = forwards.of(tree.run, options.device)
    traces = {name: trace for (_, _, name), trace in shared.items()}
    return {
        "model": options.model,
        "weights_hash": model.weights_hash,
        **{name: getattr(options, name) for name in ("device", "steps", "mode", "size", "guidance")},
        "forwards": {"planned": tree.model_calls(), "tree": tree_rows, "naive": naive_rows},
        "seconds": {"tree": round(tree_seconds, 3), "naive": round(naive_seconds, 3)},
        "share_of_naive_seconds": round(tree_seconds / naive_seconds, 3),
        "bitwise_equal": all(torch.equal(traces[name].latents, trace.latents) for name, trace in naive.items()),
        "bytes": tree.bytes(),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="random")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mode", default="renoise")
    parser.add_argument("--size", type=int, default=7, help="cells along a side of the maze")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    on_cpu = torch.device(options.device).type == "cpu"
    if options.threads:
        torch.set_num_threads(options.threads)
    found = {**measure(options), "environment": environment(options.device)}
    print(json.dumps(found, indent=1) if options.json else table(found))
    return int(on_cpu and not found["bitwise_equal"])


def table(found: dict[str, Any]) -> str:
    """The numbers in lines."""
    return "\n".join(
        [
            f"{found['model']} on {found['environment']['device']}, {found['steps']} steps, {found['mode']}",
            f"          {'forwards':>9} {'seconds':>9}",
            *(f"{name:9} {found['forwards'][name]:9} {found['seconds'][name]:9.2f}" for name in ("naive", "tree")),
            f"tree / naive: {found['share_of_naive_seconds']:.2f} of the time, bitwise equal: {found['bitwise_equal']}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
