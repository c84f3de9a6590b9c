"""Train the bundled model's transformer by flow matching on the latent bank.

    x_s = (1 - s) x_0 + s n,   loss = || v(x_s, s) - (n - x_0) ||^2

Noise levels follow the grid on which the model will be sampled (s = a u / (1 + (a - 1) u)), with a share drawn near
pure noise, where the puzzle has to be solved from its picture alone.  One prompt in ten is dropped.  Three in four
batches have 17 frames, the others 5, 9 or 13.  Muon on the matrices of the blocks, AdamW on the rest; the learning
rates fall to zero with the time that is left, over as many sessions as the run takes.  On several GPUs a batch is that
of one of them (see `company`).
"""

import copy
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import WanTransformer3DModel

import transformer as net
from bank import Bank, network_input
from company import Company
from muon import Muon

MATRIX_LR = 0.02
OTHER_LR = 1e-3
EMA = 0.999
DROPPED_PROMPTS = 0.1
NEAR_NOISE = 0.35  # share of draws from the noisiest fifth of the grid
UNIFORM = 0.15  # share of draws uniform in sigma
FALL = 0.5  # the learning rate falls over this last share of the time


@dataclass
class Trainer:
    """Everything that a training run remembers."""

    model: WanTransformer3DModel
    banks: dict[int, Bank]
    text: torch.Tensor
    bias: torch.Tensor
    shift: float
    device: torch.device
    batch: int
    run_block: Callable = net.block
    step: int = 0
    spent: float = 0.0
    matrix_lr: float = MATRIX_LR
    other_lr: float = OTHER_LR
    use_muon: bool = True
    company: Company = field(default_factory=Company)
    ema: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = list(self.model.named_parameters())
        matrices = [p for n, p in named if n.startswith("blocks.") and p.ndim == 2] if self.use_muon else []
        chosen = {id(p) for p in matrices}
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(
            [p for _, p in named if id(p) not in chosen], lr=0.0, betas=(0.9, 0.97), weight_decay=0.0
        )
        self.ema = {n: p.detach().clone() for n, p in named}
        self.generator = torch.Generator(self.device)
        self._begin()

    def _begin(self) -> None:
        """Seed what is drawn from here on: puzzles and noise for each trainer, lengths for all."""
        self.generator.manual_seed(self.step + 17 + 1_000_003 * self.company.rank)
        self.rng = np.random.default_rng(self.step + 17)

    def sigmas(self, count: int) -> torch.Tensor:
        """Noise levels of one batch, [B, 1, 1, 1, 1]."""
        u, kind = torch.rand(2, count, generator=self.generator, device=self.device)
        u = torch.where(kind < NEAR_NOISE, 0.8 + 0.2 * u, u)
        sigma = self.shift * u / (1 + (self.shift - 1) * u)
        sigma = torch.where(kind > 1 - UNIFORM, u, sigma)
        return sigma.clamp(1e-3, 1).view(-1, 1, 1, 1, 1)

    def loss(self, num_frames: int, run_block: Callable) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss of one batch, loss of each row, and its noise levels."""
        bank = self.banks[num_frames]
        rows = torch.randint(len(bank), (self.batch,), generator=self.generator, device=self.device)
        clean = bank.video[rows].float()
        noise = torch.randn(clean.shape, generator=self.generator, device=self.device)
        sigma = self.sigmas(self.batch)
        noisy = (1 - sigma) * clean + sigma * noise
        dropped = torch.rand(self.batch, generator=self.generator, device=self.device) < DROPPED_PROMPTS
        prompt = torch.where(dropped, 0, bank.prompt[rows])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            velocity = net.forward(
                self.model,
                network_input(noisy, bank.condition[rows].float()),
                sigma.flatten() * 1000,
                self.text[prompt],
                self.bias[prompt],
                run_block,
            )
        each = (velocity.float() - (noise - clean)).square().mean(dim=(1, 2, 3, 4))
        return each.mean(), each.detach(), sigma.flatten()

    def update(self, share: float) -> None:
        """One optimizer step; `share` of the whole training is over."""
        rate = min(1.0, (self.step + 1) / 100) * min(1.0, (1 - share) / FALL)
        self.company.average([p.grad for p in self.model.parameters() if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.muon.step(self.matrix_lr * rate)
        for group in self.adam.param_groups:
            group["lr"] = self.other_lr * rate
        self.adam.step()
        self.model.zero_grad(set_to_none=True)
        kept = min(EMA, (1 + self.step) / (10 + self.step))
        named = dict(self.model.named_parameters())
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), [named[n] for n in self.ema], 1 - kept)
        self.step += 1

    def train(self, seconds: float, total: float, report_every: int = 100) -> None:
        """Train for some seconds of a run that takes `total` in all."""
        began, shown = time.time(), []
        others = [n for n in self.banks if n != 17]
        while (now := self.company.agreed(time.time() - began)) < seconds:
            rare = others and self.rng.random() < 0.25
            num_frames = int(self.rng.choice(others)) if rare else 17
            loss, each, sigma = self.loss(num_frames, net.block if rare else self.run_block)
            loss.backward()
            self.update((self.spent + now) / total)
            if num_frames == 17:
                shown.append((each, sigma))
            if self.step % report_every == 0 and shown:
                self._report(shown, self.spent + now)
                shown = []
        self.spent += now

    def _report(self, shown: list[tuple[torch.Tensor, torch.Tensor]], seconds: float) -> None:
        each, sigma = (torch.cat(column) for column in zip(*shown, strict=True))
        edges = [0, 0.5, 0.9, 0.98, 0.995, 1.01]
        bands = [each[(sigma >= a) & (sigma < b)].mean().item() for a, b in itertools.pairwise(edges)]
        print(f"step {self.step} {seconds:.0f}s loss by sigma {edges[1:]}:", *(f"{b:.4f}" for b in bands), flush=True)

    def averaged(self) -> WanTransformer3DModel:
        """A copy of the model with the averaged weights."""
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.ema, strict=False)
        return model.eval()

    def state(self) -> dict:
        """All that `resume` needs."""
        return {
            "model": self.model.state_dict(), "ema": self.ema, "adam": self.adam.state_dict(),
            "muon": self.muon.memory, "step": self.step, "spent": self.spent,
        }  # fmt: skip

    def resume(self, state: dict) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.ema = {name: value.to(self.device) for name, value in state["ema"].items()}
        if "adam" in state:
            self.adam.load_state_dict(state["adam"])
            self.muon.memory = {shape: value.to(self.device) for shape, value in state["muon"].items()}
        self.step, self.spent = state["step"], state["spent"]
        self._begin()
