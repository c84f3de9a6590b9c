"""Random moving shapes, so that the codec is not a codec of mazes alone.

Each clip shows up to six objects (disc, ring, box, triangle, cross, bar) of random colour, size, motion and spin on a
random background, some of them appearing or vanishing on the way, drawn by signed distance with a one-pixel edge.
"""

import torch

FRAME = 96
KINDS = 6


def _distance(kind: torch.Tensor, x: torch.Tensor, y: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """Signed distance to a shape of radius r at the origin, all kinds at once and then chosen."""
    radius = (x * x + y * y).sqrt()
    shapes = [
        radius - r,
        (radius - 0.75 * r).abs() - 0.25 * r,
        torch.maximum(x.abs(), y.abs()) - 0.85 * r,
        torch.maximum(0.866 * x.abs() + 0.5 * y, -y) - 0.5 * r,
        torch.minimum(torch.maximum(x.abs() - r, y.abs() - 0.3 * r), torch.maximum(y.abs() - r, x.abs() - 0.3 * r)),
        torch.maximum(x.abs() - r, y.abs() - 0.25 * r),
    ]
    out = shapes[0]
    for index, shape in enumerate(shapes[1:], start=1):
        out = torch.where(kind == index, shape, out)
    return out


def clips(batch: int, num_frames: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """A batch of clips: float [B, 3, T, 96, 96] in [-1, 1]."""

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, device=device) * (high - low) + low

    time = torch.arange(num_frames, device=device).view(1, -1, 1, 1).float()
    axis = torch.arange(FRAME, device=device).float()
    yy, xx = axis.view(1, 1, -1, 1), axis.view(1, 1, 1, -1)
    light = uniform(batch, 1, 1, 1, 1) < 0.7
    background = torch.where(light, uniform(batch, 3, 1, 1, 1, low=0.6), uniform(batch, 3, 1, 1, 1, high=0.5))
    video = (background * 2 - 1).expand(batch, 3, num_frames, FRAME, FRAME)
    one = (batch, 1, 1, 1)
    for _ in range(6):
        kind = torch.randint(KINDS, one, generator=generator, device=device)
        moves = (uniform(*one) < 0.6).float()
        x = xx - (uniform(*one, high=FRAME) + moves * uniform(*one, low=-6, high=6) * time)
        y = yy - (uniform(*one, high=FRAME) + moves * uniform(*one, low=-6, high=6) * time)
        turn = uniform(*one, high=6.3) * (uniform(*one) < 0.5) + uniform(*one, low=-0.4, high=0.4) * moves * time
        cos, sin = turn.cos(), turn.sin()
        radius = 2.5 * 9 ** uniform(*one)  # small ones are as common as large ones, and harder
        cover = (0.5 - _distance(kind, cos * x + sin * y, cos * y - sin * x, radius)).clamp(0, 1)
        cover = torch.where(uniform(*one) < 0.5, cover, cover.round())  # soft or hard edges
        born = torch.where(uniform(*one) < 0.3, uniform(*one, high=num_frames), torch.full(one, -1.0, device=device))
        gone = torch.where(uniform(*one) < 0.2, uniform(*one, high=num_frames), torch.full(one, 1e6, device=device))
        cover = (cover * (time >= born) * (time < gone) * (uniform(*one) < 0.75))[:, None]
        colour = uniform(batch, 3, 1, 1, 1) * 2 - 1
        video = video * (1 - cover) + colour * cover
    return video
