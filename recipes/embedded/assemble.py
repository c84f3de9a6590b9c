"""Put the bundled model together: a stock `WanImageToVideoPipeline` folder that diffusers loads without stepscope.

    python assemble.py --codec DIR --weights DIR/averaged --out ../../src/stepscope/models/embedded

Transformer and codec are stored in half precision (they were rounded before they were measured), the text encoder,
which is tiny, in float32.  Each file's metadata says what made it.  Prints the size of the folder; at most 32 MB are
shipped.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline
from safetensors.torch import load_file, save_file

import prompts
import transformer as net
from train import load_weights

LIMIT = 32_000_000


def assemble(args: argparse.Namespace) -> None:
    """Write the folder."""
    tokenizer = prompts.build_tokenizer()
    model = net.build(**({"num_layers": args.layers} if args.layers else {}))
    model.load_state_dict(load_weights(args.weights))
    pipeline = WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=prompts.build_encoder(len(tokenizer)),
        vae=AutoencoderKLWan.from_pretrained(args.codec, torch_dtype=torch.float32),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=args.shift),
        transformer=model,
    )
    shutil.rmtree(args.out, ignore_errors=True)
    pipeline.save_pretrained(args.out)
    origin = {"edition": args.edition, "recipe": "recipes/embedded", "progress": _progress(args.weights)}
    for part in ("transformer", "vae"):
        _halve(args.out / part / "diffusion_pytorch_model.safetensors", origin)
    _name_tokenizer(args.out)
    _forget_where(args.out / "vae" / "config.json")
    for file in args.out.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    (args.out / "card.json").write_text(json.dumps(card(args), indent=1) + "\n")


def _name_tokenizer(folder: Path) -> None:
    """Name the tokenizer's class as transformers 4 and 5 both know it."""
    for file in (folder / "model_index.json", folder / "tokenizer" / "tokenizer_config.json"):
        file.write_text(file.read_text().replace("TokenizersBackend", "PreTrainedTokenizerFast"))


def _forget_where(config: Path) -> None:
    """Leave out the folder that the codec was trained in, which diffusers notes."""
    kept = {name: value for name, value in json.loads(config.read_text()).items() if name != "_name_or_path"}
    config.write_text(json.dumps(kept, indent=2) + "\n")


def card(args: argparse.Namespace) -> dict:
    """How the model wants to be used."""
    return {
        "edition": args.edition,
        "guidance": 1.0,
        "num_frames": 17,
        "height": 96,
        "width": 96,
        "shift": args.shift,
        "num_steps": 20,
        "dtype": "float32",
    }


def _progress(weights: Path) -> str:
    file = weights.parent / "progress.json"
    return file.read_text() if file.exists() else "{}"


def _halve(file: Path, origin: dict[str, str]) -> None:
    tensors = {name: value.half() for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt", **origin})
    _order(file)


def _order(file: Path) -> None:
    """Sort the metadata, which safetensors writes in any order, so that the same weights make the same bytes."""
    whole = file.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
    file.write_bytes(whole[:8] + ordered + whole[8 + length :])


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--edition", default="embedded@1")
    parser.add_argument("--shift", type=float, default=12.0)
    parser.add_argument("--layers", type=int, default=0)
    parsed = parser.parse_args()
    assemble(parsed)
    size = folder_bytes(parsed.out)
    print(f"{parsed.out}: {size / 1e6:.1f} MB of {LIMIT / 1e6:.0f}")
    raise SystemExit(size > LIMIT)
