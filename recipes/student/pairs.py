"""What a student learns from: noise, and where the teacher's run from that noise ends.

    y(n) = result of the teacher's N Euler steps from n      puzzles of the training split, in the edition's mixture

A part is a function of (teacher, edition, seed, its number, steps) alone and is kept in a file: what was made is not
made again.  Noise and results are kept in bfloat16, and the teacher starts from the rounded noise.  Cost: N forwards a
pair, 1 MB for seven pairs.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import torch

import bank as latent_bank
from batched import Batched
from parts import Job, Part, draw_part

__all__ = ["Pairs", "made", "part_of"]


@dataclass
class Pairs:
    """Columns: noise, result and condition [n, C, F, H, W], prompt index [n]."""

    noise: torch.Tensor
    result: torch.Tensor
    condition: torch.Tensor
    prompt: torch.Tensor

    def __len__(self) -> int:
        return len(self.prompt)

    @classmethod
    def joined(cls, parts: "list[Pairs]") -> "Pairs":
        """Several parts as one."""
        return cls(*(torch.cat([getattr(part, column.name) for part in parts]) for column in fields(cls)))

    def to(self, device: torch.device) -> "Pairs":
        """The same, elsewhere."""
        return Pairs(*(getattr(self, column.name).to(device) for column in fields(self)))


@torch.no_grad()
def part_of(teacher: Batched, drawn: Part, seed: int, num_steps: int, batch: int) -> Pairs:
    """The pairs of drawn puzzles."""
    bank = latent_bank.Encoder(teacher.vae, teacher.device, min(batch, len(drawn))).encode(drawn)
    generator = torch.Generator(teacher.device).manual_seed(seed)
    noise = torch.randn(bank.condition.shape, generator=generator, device=teacher.device).bfloat16()
    results = []
    for at in range(0, len(bank), batch):
        here = slice(at, at + batch)
        row = (noise[here].float(), bank.condition[here].float(), bank.prompt[here])
        results.append(teacher.estimates(*row, num_steps)[-1].bfloat16())
    return Pairs(noise, torch.cat(results), bank.condition, bank.prompt)


def made(
    teacher: Batched, name: str, folder: Path, jobs: list[Job], pool: ProcessPoolExecutor | None, num_steps: int,
    batch: int,
) -> Iterator[Pairs]:  # fmt: skip
    """Each part in turn, from its file or by the teacher; puzzles are drawn ahead.

    Args:
        teacher: who runs.
        name: what tells one teacher from another.
        folder: where parts are kept.
        jobs: of the puzzles.
        pool: draws them; None draws them here.
        num_steps: N of the teacher.
        batch: rows of a call.
    """
    files = [folder / f"pairs-{name}-{num_steps}-{job.file.stem}.pt" for job in jobs]
    missing = [job for job, file in zip(jobs, files, strict=True) if not file.exists()]
    drawn = iter((pool.map if pool else map)(draw_part, missing))
    for job, file in zip(jobs, files, strict=True):
        if not file.exists():
            pairs = part_of(teacher, next(drawn), job.seed * 100_003 + job.number, num_steps, batch)
            torch.save({column.name: getattr(pairs, column.name).cpu() for column in fields(pairs)}, f"{file}.part")
            Path(f"{file}.part").rename(file)
        yield Pairs(**torch.load(file, map_location=teacher.device))
