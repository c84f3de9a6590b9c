"""Train the bundled model: `python train.py codec …`, then `python train.py denoiser …`, resumable.

    python train.py codec    --out DIR --seconds 280                             (again with --codec DIR to go on)
    python train.py denoiser --out DIR --codec DIR --seconds 450 --total 900     (again with --resume to go on)
    python train.py denoiser --out DIR --codec DIR --edition 2 --start DIR …     (from the weights of another edition)
    torchrun --standalone --nproc-per-node 2 -- train.py denoiser …               (on two GPUs)

Checkpoints are written while it trains; a killed run loses at most `--save-every` seconds.  The denoiser draws its own
puzzles while it compiles (`python train.py draw` draws them beforehand).

Everything is written to DIR as safetensors below 15 MB a file, so that it can be carried.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import load_file, save_file

import bank as latent_bank
import check_codec
import codec
import parts
import prompts
import puzzles
import transformer as net
import whole
from company import Company
from denoiser import MATRIX_LR, OTHER_LR, Trainer


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["draw", "codec", "denoiser"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--seconds", type=float, default=280)
    parser.add_argument("--total", type=float)
    parser.add_argument("--puzzles", type=int, default=200_000)
    parser.add_argument("--clips", type=int, default=1500, help="videos a task that only the codec is trained on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--edition", type=int, default=1, choices=[1, 2], help="which mixture of puzzles")
    parser.add_argument("--start", type=Path, help="a transformer folder to begin from")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--layers", type=int, default=0, help="another depth than the bundled model's")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shift", type=float, default=12.0)
    parser.add_argument("--work", type=Path, default=Path("/tmp/embedded"), help="where the full state is kept")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--adam", action="store_true", help="AdamW on everything, for comparison")
    parser.add_argument("--decoder-only", action="store_true", help="keep the codec's latents, improve its pictures")
    parser.add_argument("--check", type=int, default=256, help="held-out solutions a cell through the codec")
    parser.add_argument("--enough", type=float, default=0.0, help="fail if a cell keeps less ground truth than this")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def train_codec(args: argparse.Namespace, device: torch.device, workers: int) -> None:
    """Train, round, measure, check and save the codec."""
    data = puzzles.draw(min(args.puzzles, 24_000), args.seed + 100, workers)
    torch.manual_seed(args.seed)
    vae = AutoencoderKLWan.from_pretrained(args.codec, torch_dtype=torch.float32) if args.codec else codec.build()
    vae.to(device)
    others = puzzles.draw_clips(args.clips, args.seed, workers)
    codec.train(vae, data, others, args.seconds, args.batch, device, args.seed, args.decoder_only)
    vae.eval()
    if args.decoder_only:
        vae.half().float()
    else:
        codec.measure_latents(vae, data, device)
    vae.half().save_pretrained(args.out / "vae")
    with ProcessPoolExecutor(workers) as pool:
        rates = check_codec.check(vae.float(), args.check, device, pool if workers > 1 else None)
    _report_delta(vae, device)
    if min(rates.values()) < args.enough:
        raise SystemExit(f"Some cell keeps less than {args.enough} of the ground truth; train the codec longer.")


@torch.no_grad()
def _report_delta(vae: AutoencoderKLWan, device: torch.device) -> None:
    """||Delta||, the distance of two solutions: it sets the shift (about ||Delta|| / 8)."""
    for size in (7, 9, 11):
        samples = check_codec.samples_of("maze-two-goals", {"size": size}, range(600_000, 600_032), None)
        pairs = np.stack([np.stack(sample.solutions) for sample in samples])
        latents = [latent_bank.standardised(vae, check_codec.to_clip(pairs[:, i], device)) for i in (0, 1)]
        delta = (latents[0] - latents[1]).flatten(1).norm(dim=1)
        print(f"||Delta|| size {size}: mean {delta.mean():.1f} min {delta.min():.1f} max {delta.max():.1f}", flush=True)


def start_drawing(args: argparse.Namespace, workers: int, share: parts.Share = (0, 1)) -> parts.Drawing:
    """The training puzzles of an edition, being drawn."""
    return parts.Drawing(args.work / "parts", args.puzzles, args.seed, args.edition, workers, share)


def make_banks(drawing: parts.Drawing, vae: AutoencoderKLWan, device: torch.device) -> dict[int, latent_bank.Bank]:
    """Encode the training puzzles as they are drawn."""
    began, encoder = time.time(), latent_bank.Encoder(vae, device)
    banks: dict[int, list[latent_bank.Bank]] = {}
    for number, part in enumerate(drawing):
        banks.setdefault(part.num_frames, []).append(encoder.encode(part))
        if number % 25 == 0:
            print(f"part {number} of {len(drawing)} encoded after {time.time() - began:.0f}s", flush=True)
    joined = {num_frames: latent_bank.Bank.joined(banks.pop(num_frames)) for num_frames in list(banks)}
    print(f"banks after {time.time() - began:.0f}s", {n: len(bank) for n, bank in joined.items()}, flush=True)
    return joined


def build_trainer(args: argparse.Namespace, device: torch.device, state: dict | None, company: Company) -> Trainer:
    """The trainer, its blocks compiled against an empty bank."""
    if args.start:
        model = WanTransformer3DModel.from_pretrained(args.start, torch_dtype=torch.float32)
    else:
        model = net.build(args.seed, **({"num_layers": args.layers} if args.layers else {}))
    text, bias = (t.to(device) for t in net.compact_prompts(prompts.embed(puzzles.PROMPTS)))
    trainer = Trainer(
        model.to(device).train(), {17: latent_bank.Bank.blank(args.batch, 17, device)}, text, bias, args.shift, device,
        args.batch, torch.compile(net.block) if args.compile else net.block, matrix_lr=MATRIX_LR * args.rate,
        other_lr=OTHER_LR * args.rate, use_muon=not args.adam, company=company,
    )  # fmt: skip
    if state:
        trainer.resume(state)
    return trainer


def train_denoiser(args: argparse.Namespace, workers: int) -> None:
    """Train the transformer for a while and save its averaged weights."""
    state, total = _stored(args) if args.resume else None, args.total or args.seconds
    if state and state["spent"] >= total:
        checkpoint(build_trainer(args, torch.device(args.device), state, Company()), args)
        return
    called = Company.called()
    # before anything touches the GPU, since it forks
    drawing = start_drawing(args, max(workers // called.size, 1), called.share)
    company, device = called.met(args.device), torch.device(args.device)
    vae = AutoencoderKLWan.from_pretrained(args.codec, torch_dtype=torch.float32).to(device).eval()
    trainer, began = build_trainer(args, device, state, company), time.time()
    if args.compile:
        whole.fuse()
    trainer.loss(17, trainer.run_block)[0].backward()
    trainer.model.zero_grad(set_to_none=True)
    print(f"compiled in {time.time() - began:.0f}s", flush=True)
    trainer.banks = make_banks(drawing, vae, device)
    end = min(trainer.spent + args.seconds, total)
    while trainer.spent < end:
        trainer.train(min(args.save_every, end - trainer.spent), total)
        checkpoint(trainer, args)


def checkpoint(trainer: Trainer, args: argparse.Namespace) -> None:
    """Write the averaged and the last weights to be carried, and the full state beside the work."""
    if trainer.company.rank:
        return
    save_weights(trainer.averaged().state_dict(), args.out / "averaged")
    save_weights(trainer.model.state_dict(), args.out / "last")
    progress = {
        "edition": args.edition, "step": trainer.step, "spent": trainer.spent, "total": args.total or args.seconds,
        "puzzles": args.puzzles, "batch": args.batch * trainer.company.size, "rate": args.rate,
    }  # fmt: skip
    (args.out / "progress.json").write_text(json.dumps(progress))
    torch.save(trainer.state(), args.work / "state.part")
    (args.work / "state.part").rename(args.work / "state.pt")
    print(f"saved at step {trainer.step}, {trainer.spent:.0f}s", flush=True)


def _stored(args: argparse.Namespace) -> dict | None:
    """The state to go on from: the full one if this machine has it, else the carried weights, else none."""
    full = args.work / "state.pt"
    if full.exists():
        return torch.load(full, weights_only=False, map_location="cpu")
    if not (args.out / "progress.json").exists():
        return None
    progress = json.loads((args.out / "progress.json").read_text())
    weights = {"model": load_weights(args.out / "last"), "ema": load_weights(args.out / "averaged")}
    return {**weights, "step": progress["step"], "spent": progress["spent"]}


def save_weights(state: dict[str, torch.Tensor], stem: Path, limit: int = 14_000_000) -> None:
    """Half-precision weights in files below `limit` bytes each: STEM-0.safetensors and so on."""
    parts: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, value in state.items():
        half = value.detach().half().contiguous().cpu()
        if size + half.numel() * 2 > limit:
            parts.append({})
            size = 0
        parts[-1][name] = half
        size += half.numel() * 2
    for index, part in enumerate(parts):
        unfinished = stem.parent / "weights.part"
        save_file(part, unfinished)
        unfinished.rename(f"{stem}-{index}.safetensors")


def weight_files(stem: Path) -> list[Path]:
    """The files of a transformer: those that `save_weights` wrote under a stem, or those of a diffusers folder."""
    return sorted(stem.glob("*.safetensors") if stem.is_dir() else stem.parent.glob(f"{stem.name}-*.safetensors"))


def load_weights(stem: Path) -> dict[str, torch.Tensor]:
    """A transformer's weights in float32; `stem` as in `weight_files`."""
    return {name: value.float() for file in weight_files(stem) for name, value in load_file(file).items()}


if __name__ == "__main__":
    args = parse()
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)
    workers = max(len(os.sched_getaffinity(0)) - 1, 1)
    if args.stage == "draw":
        start_drawing(args, workers).finish()
    elif args.stage == "codec":
        train_codec(args, torch.device(args.device), workers)
    else:
        train_denoiser(args, workers)
