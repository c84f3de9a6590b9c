"""Which frames look at which: the mass that chosen queries put on the keys of every latent frame, layer by layer.

    mass[step, cfg_branch, layer, f, g] = mean over heads and over queries in frame f of
                                          sum over tokens in frame g of softmax(q k' / sqrt(d))

A row sums to 1, less what goes to text where text and video attend to each other.  Off the diagonal is what crosses
frames.  Queries are a fixed draw of n cells, the same in every frame, so the full matrix [L, L] is never made: cost, a
share n / (H W) of the attention's own, and 4 F^2 bytes a layer, CFG branch and step.  In float32 or better.

Limits: reads site `self_attn_qk`, which copies queries and keys (choose layers of a large model) and needs PyTorch's
own attention; an attention mask that an intervention sets is not seen.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError
from stepscope.recorders.kept import Kept, laid_out_by_row
from stepscope.recorders.places import place_of, some_tokens

__all__ = ["CrossFrameAttention"]


_State = Kept[Float[torch.Tensor, "B F F"]]


class CrossFrameAttention:
    """Recorder `cross_frame_attention`: float32 [step, cfg_branch (cond, uncond), layer, F (queries), F (keys)].

    A batch of more than one comes first.  Steps that the run did not take are NaN.
    """

    name = "cross_frame_attention"
    sites = ("self_attn_qk",)

    def __init__(self, layers: Sequence[int] | None = None, queries: int = 16) -> None:
        """Follow so many queries of each frame in these layers, all of them for None.

        Raises:
            BadInputError: If no query is to be followed.
        """
        if queries < 1:
            raise BadInputError(f"queries came as {queries}. Allowed is 1 or more a frame. Ask for 16.")
        self.layers, self.queries = layers, queries

    def init(self, run: RunInfo) -> _State:
        """No attention seen yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return Kept.begun(self.name, run, self.layers)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more layer's attention."""
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent):
            return state
        grid = event.address.token_grid
        assert grid is not None, "place_of refuses an event without one"
        mass = self._mass(event.hidden.detach(), grid)
        return state.with_value(place, mass)

    def merge(self, first: _State, second: _State) -> _State:
        """What both parts of a stream saw."""
        return first.joined(second)

    def finish(self, state: _State) -> np.ndarray:
        """The masses, laid out."""
        return laid_out_by_row(state, np.float32)

    def _mass(
        self, hidden: Float[torch.Tensor, "B 2 heads L d"], grid: tuple[int, int, int]
    ) -> Float[torch.Tensor, "B F F"]:
        frames, cells = grid[0], grid[1] * grid[2]
        video = frames * cells
        wide = torch.promote_types(hidden.dtype, torch.float32)
        queries, keys = hidden[:, 0, :, -video:].unflatten(2, (frames, cells)), hidden[:, 1].to(wide)
        chosen = queries[:, :, :, some_tokens(self.queries, cells).to(hidden.device)].to(wide)
        rows = [_over_frames(chosen[:, :, frame], keys, frames, video) for frame in range(frames)]
        return torch.stack(rows, dim=1)


def _over_frames(
    queries: Float[torch.Tensor, "B heads n d"], keys: Float[torch.Tensor, "B heads L d"], frames: int, video: int
) -> Float[torch.Tensor, "B F"]:
    """What the queries of one frame put on each frame; text before the video is in the softmax, not in the result."""
    attention = (queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])).softmax(-1)
    return attention[..., -video:].unflatten(-1, (frames, -1)).sum(-1).mean((1, 2))
