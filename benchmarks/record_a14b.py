"""What it costs to record Wan2.2-I2V-A14B: our loop with a recorder on all layers, beside the pipeline's own call.

    python benchmarks/record_a14b.py [--device cuda] [--tiny] [--steps 4] [--offload model] [--seconds 170] [--json]

The pipeline is a stock `WanImageToVideoPipeline` with the released configurations of both experts and of the VAE, and
random weights, drawn on the device in the number types in which the released ones are loaded (bfloat16, float32
islands, float32 VAE).  A text encoder of one layer with the released width stands in for UMT5-XXL: what it says enters
both sides alike, and it takes no part in the measured steps.  832x480x81, guidance 1, UniPC on the pipeline's own grid,
and steps enough that both experts are asked.

Measured are seconds of the stock call, of our loop, and of our loop with the token energy of all layers, in turns; the
peak of the allocator beside what `estimate` says of the same configurations; and the same run with offload.  The
latents of all of them must be equal bit for bit: the exit status is 1 if they are not.  Every number is written as soon
as it is known to benchmarks/record_a14b.json (with --tiny nowhere: that rehearses on a CPU).
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanTransformer3DModel
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

import stepscope
from environment import environment
from stepscope.models import LoadedModel, WanDenoiser
from stepscope.models.configurations import configuration
from stepscope.models.estimate import estimate
from stepscope.models.offload import in_tiles, settle
from stepscope.recorders import TokenEnergy
from stepscope.tasks import Sample

RESULT = Path(__file__).with_suffix(".json")
A14B = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
SIZE = (81, 480, 832)
BOUNDARY, SHIFT = 0.9, 5.0  # as released
TINY_EXPERT = {
    "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 36, "text_dim": 4096, "freq_dim": 16,
    "ffn_dim": 32, "num_layers": 2,
}  # fmt: skip
TINY_VAE = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
LEFT_FOR_OFFLOAD = 45.0  # seconds


@dataclass(frozen=True)
class Measured:
    """One piece of work: what it gave, its seconds, and the most memory that it held."""

    made: Any
    seconds: float
    peak: int | None


def measured(work: Callable[[], Any], device: torch.device) -> Measured:
    """Do some work and measure it."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    made = work()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    return Measured(made, seconds, torch.cuda.max_memory_allocated() if on_gpu else None)


def built(kind: Any, config: Any, device: torch.device, number: torch.dtype) -> Any:
    """A network with random weights, drawn on the device, its float32 islands in float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(number)
    try:
        with device:
            network = kind.from_config(dict(config)).eval()
    finally:
        torch.set_default_dtype(before)
    islands = set(network._keep_in_fp32_modules or ())
    for name, weight in network.named_parameters():
        weight.data = weight.data.to(torch.float32 if islands & set(name.split(".")) else number)
    return network


def pipeline(device: torch.device, tiny: bool) -> WanImageToVideoPipeline:
    """The stock pipeline; the same seed draws the same weights."""
    torch.manual_seed(0)
    parts = configuration(A14B).release.parts
    number = torch.float32 if device.type == "cpu" else torch.bfloat16
    expert = TINY_EXPERT if tiny else parts["transformer"].config
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    encoder = UMT5Config(vocab_size=8, d_model=4096, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    made = WanImageToVideoPipeline(
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
        ),
        text_encoder=UMT5EncoderModel(encoder).eval().to(device, number),
        vae=built(AutoencoderKLWan, TINY_VAE if tiny else parts["vae"].config, device, torch.float32),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT),
        transformer=built(WanTransformer3DModel, expert, device, number),
        transformer_2=built(WanTransformer3DModel, expert, device, number),
        boundary_ratio=BOUNDARY,
    )
    made.set_progress_bar_config(disable=True)
    return made


def model_of(made: WanImageToVideoPipeline) -> stepscope.Model:
    """The pipeline as a model; its weights are not hashed, which at 57 GB takes longer than the runs."""
    denoiser = WanDenoiser(made)
    codec, card = denoiser.codec, replace(configuration(A14B).card, guidance=1.0)
    return stepscope.Model(
        LoadedModel("a14b-random", denoiser, codec.encode, codec.decode, made, card, "random:0", None)
    )


def predicted(made: WanImageToVideoPipeline, sample: Any, steps: int, number: str) -> dict[str, int]:
    """What `estimate` says of the same configurations: those of the pipeline, written to a folder without weights."""
    with tempfile.TemporaryDirectory() as folder:
        made.save_config(folder)
        for name in ("vae", "transformer", "transformer_2"):
            getattr(made, name).save_config(Path(folder, name))
        made.text_encoder.config.save_pretrained(Path(folder, "text_encoder"))
        height, width = sample.first_frame.shape[:2]
        found = estimate(
            folder, num_steps=steps, guidance=1, num_frames=sample.num_frames, height=height, width=width, dtype=number
        )
    return dict(found.peak_bytes)


class Measure:
    """The measurement, a number after the other; what is known is written at once."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, torch.device(options.device)
        self.begun, self.found = time.perf_counter(), {"environment": environment(self.device)}
        frames, height, width = (5, 32, 32) if options.tiny else SIZE
        self.found |= {"model": "tiny" if options.tiny else A14B, "steps": options.steps, "guidance": 1.0}
        self.found["frames_height_width"] = [frames, height, width]
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        self.sample = Sample("a red ball rolls", pixels, frames)
        drawn = measured(lambda: pipeline(self.device, options.tiny), self.device)
        self.keep("build_seconds", round(drawn.seconds, 2))
        self.pipeline = drawn.made
        self.model = model_of(self.pipeline)
        shape = self.model.loaded.denoiser.latents_shape(self.sample)
        self.latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def keep(self, name: str, value: Any) -> None:
        """Note a number, on the screen and in the file."""
        self.found[name] = value
        print(f"{time.perf_counter() - self.begun:6.1f} s  {name}: {value}", file=sys.stderr, flush=True)
        if not self.options.tiny:
            RESULT.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")

    @property
    def left(self) -> float:
        """Seconds until the limit."""
        return self.options.seconds - (time.perf_counter() - self.begun)

    def stock(self, steps: int) -> torch.Tensor:
        """The pipeline's own call."""
        height, width = self.sample.first_frame.shape[:2]
        return self.pipeline(
            image=Image.fromarray(self.sample.first_frame), prompt=self.sample.prompt, height=height, width=width,
            num_frames=self.sample.num_frames, num_inference_steps=steps, guidance_scale=1.0,
            latents=self.latents[None].to(self.device), output_type="latent",
        ).frames[0].cpu()  # fmt: skip

    def ours(self, steps: int, *recorders: Any) -> Any:
        """Our loop on the same grid."""
        return self.model.denoise(
            self.sample, num_steps=steps, guidance=1.0, solver="pipeline", schedule="pipeline", latents=self.latents,
            recorders=recorders,
        )  # fmt: skip

    def in_turns(self) -> None:
        """Seconds of the three, again while there is time."""
        steps, rows, taken = self.options.steps, [], 0.0
        self.stock(2)  # kernels are chosen, both experts asked
        while not rows or (len(rows) < self.options.repeats and self.left > LEFT_FOR_OFFLOAD + taken):
            row = {}
            for name, work in {
                "stock": lambda: self.stock(steps),
                "loop": lambda: self.ours(steps),
                "recorded": lambda: self.ours(steps, TokenEnergy()),
            }.items():
                done = measured(work, self.device)
                row[name] = {"seconds": round(done.seconds, 3), "peak_bytes": done.peak}
                self.check(name, done.made)
            rows.append(row)
            taken = max(taken, sum(cell["seconds"] for cell in row.values()))
            self.keep("runs", rows)
        for name in ("loop", "recorded"):
            ratios = [row[name]["seconds"] / row["stock"]["seconds"] for row in rows]
            self.keep(f"{name}_over_stock", round(float(np.median(ratios)) - 1, 4))

    def check(self, name: str, made: Any) -> None:
        """Whether a run ended where the stock call did; what a recorded one holds."""
        if name == "stock":
            self.expected = made
            return
        equal = bool(torch.equal(made.latents[-1], self.expected))
        self.found.setdefault("bitwise_equal", {})[name] = equal
        if name == "recorded":
            self.recorded = made
            grid = self.model.loaded.denoiser.pipeline_grid(self.sample, self.options.steps, None)
            experts = [self.model.loaded.denoiser.expert(grid, step) for step in range(self.options.steps)]
            self.keep("experts", experts)
            self.keep("token_energy", list(made.records["token_energy"].shape))

    def memory(self) -> None:
        """The peak of a whole record, decoding included, beside the estimate."""
        number = "float32" if self.device.type == "cpu" else "bfloat16"
        decoding = measured(lambda: self.recorded.frames(), self.device)
        self.keep("decode", {"seconds": round(decoding.seconds, 3), "peak_bytes": decoding.peak})
        self.estimated = predicted(self.pipeline, self.sample, self.options.steps, number)
        denoising = self.found["runs"][-1]["recorded"]["peak_bytes"]
        worst = None if decoding.peak is None else max(decoding.peak, denoising)
        self.keep("memory_none", beside(worst, self.estimated["none"]))

    def offloaded(self) -> None:
        """The same record with weights that wait on the CPU."""
        kind = self.options.offload
        if kind == "group" and find_spec("accelerate") is None:
            self.keep("offload", {"kind": kind, "not_exercised": "accelerate is not installed"})
            return
        self.recorded = None
        waiting = measured(lambda: settle(self.pipeline.to("cpu"), self.device, kind), self.device)
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where CUDA was not used
        done = measured(lambda: self.ours(self.options.steps, TokenEnergy()), self.device)
        decode = in_tiles(self.pipeline.vae, self.model.loaded.decode)
        decoding = measured(lambda: decode(done.made.latents[-1].to(self.device)), self.device)
        worst = None if done.peak is None or decoding.peak is None else max(done.peak, decoding.peak)
        self.found["bitwise_equal"][f"offload {kind}"] = bool(torch.equal(done.made.latents[-1], self.expected))
        self.keep(
            "offload",
            {
                "kind": kind,
                "seconds": round(done.seconds, 3),
                "to_wait_seconds": round(waiting.seconds, 2),
                "decode_in_tiles": {"seconds": round(decoding.seconds, 3), "peak_bytes": decoding.peak},
                **beside(worst, self.estimated[kind]),
            },
        )


def beside(peak: int | None, said: int) -> dict[str, Any]:
    """A measured peak and the estimated one."""
    share = None if peak is None else round(said / peak - 1, 4)
    return {"peak_bytes": peak, "estimated_bytes": said, "estimated_over_measured": share}


def table(found: dict[str, Any]) -> str:
    """The numbers in lines."""

    def gib(number: int | None) -> str:
        return "        " if number is None else f"{number / 2**30:8.2f}"

    lines = [
        f"{found['model']} on {found['environment']['device']}, {found['steps']} steps, "
        f"experts {', '.join(map(str, found['experts']))}",
        f"{'':22}{'seconds':>9}{'GiB peak':>10}",
    ]
    for row in found["runs"]:
        lines += [f"{name:22}{cell['seconds']:9.3f}  {gib(cell['peak_bytes'])}" for name, cell in row.items()]
    lines += [
        f"{'decode':22}{found['decode']['seconds']:9.3f}  {gib(found['decode']['peak_bytes'])}",
        f"loop over the stock call      {found['loop_over_stock']:+.2%}",
        f"recorded over the stock call  {found['recorded_over_stock']:+.2%} (at most +2%)",
        f"memory, offload none: estimated {gib(found['memory_none']['estimated_bytes']).strip()} GiB, measured "
        f"{gib(found['memory_none']['peak_bytes']).strip() or 'unknown'}",
    ]
    offload = found["offload"]
    if "not_exercised" in offload:
        lines.append(f"offload {offload['kind']}: not exercised, {offload['not_exercised']}")
    else:
        lines.append(
            f"offload {offload['kind']}: {offload['seconds']:.1f} s, estimated "
            f"{gib(offload['estimated_bytes']).strip()} GiB, measured {gib(offload['peak_bytes']).strip() or 'unknown'}"
        )
    return "\n".join([*lines, f"equal to the stock call, bit for bit: {found['bitwise_equal']}"])


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiny", action="store_true", help="two layers and 32x32x5, to rehearse; nothing is written")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2, help="at most so many rounds of the three runs")
    parser.add_argument("--offload", choices=("model", "group"), default="model")
    parser.add_argument("--seconds", type=float, default=170, help="no further round is begun after that")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if torch.device(options.device).type == "cpu" and not options.tiny:
        parser.error("57 GB of weights came for a CPU; name --device cuda, or rehearse with --tiny")
    measure = Measure(options)
    with torch.no_grad():
        measure.in_turns()
        measure.memory()
        measure.offloaded()
    print(json.dumps(measure.found, indent=1) if options.json else table(measure.found))
    return int(not all(measure.found["bitwise_equal"].values()))


if __name__ == "__main__":
    sys.exit(main())
