"""A transformer of fewer layers to start from: some of the bundled model's, in their order.

    python shallower.py --model ../../src/stepscope/models/embedded --layers 0 2 5 7 --out DIR

What a depth costs is read after training (`edition.sh` with START and LAYERS), not before: layers that never met each
other draw nothing.
"""

import argparse
from pathlib import Path

import torch
from diffusers import WanTransformer3DModel


def kept_of(model: WanTransformer3DModel, layers: list[int]) -> WanTransformer3DModel:
    """The same model with these layers alone."""
    shallow = WanTransformer3DModel.from_config({**model.config, "num_layers": len(layers)})
    shallow.load_state_dict(
        {
            _renamed(name, layers): value
            for name, value in model.state_dict().items()
            if not name.startswith("blocks.") or int(name.split(".")[1]) in layers
        }
    )
    return shallow


def _renamed(name: str, layers: list[int]) -> str:
    if not name.startswith("blocks."):
        return name
    _, layer, rest = name.split(".", 2)
    return f"blocks.{layers.index(int(layer))}.{rest}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    deep = WanTransformer3DModel.from_pretrained(args.model / "transformer", torch_dtype=torch.float32)
    kept_of(deep, args.layers).save_pretrained(args.out)
