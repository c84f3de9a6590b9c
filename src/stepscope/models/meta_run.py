"""A run on the meta device: what each of its stages would hold and show, asked of the real denoiser.

    encode            first frame -> condition, as a run begins
    denoise           one prediction, both CFG branches, a tap on the output of every block; the worst of the experts
    decode            latents -> pixels -> what is shown
    decode_in_tiles   the same with the VAE's own tiling

Every stage runs as it would on a device, through the same methods, for one sample, and its live bytes are counted (see
`meta_memory`); so a family has no word to say here.  The prompt is left out: text encoders branch on content, and take
little besides their weights.  Cost: 10 to 70 s on a core.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from stepscope.denoise import Address, Grid, SiteTap, Taps, paper_grid
from stepscope.models.meta_memory import with_peak_bytes
from stepscope.models.meta_pipeline import networks, weights_of
from stepscope.models.offload import tiling
from stepscope.shapes import Image, LatentsBatch

__all__ = ["Blank", "MetaRun", "Seen"]

_BOUNDARIES = {"transformer": 0.0, "transformer_2": 2.0}
"""Where experts hand over, so that one of them answers at every noise level."""


@dataclass(frozen=True, eq=False)
class Blank:
    """A question without content, of the right size.

    Attributes:
        first_frame: uint8 [Y, X, 3], black.
        num_frames: pixel frames of the video.
        prompt: some word.
    """

    first_frame: Image
    num_frames: int
    prompt: str = "video"

    @classmethod
    def of(cls, num_frames: int, height: int, width: int) -> "Blank":
        """A black first frame of a size."""
        return cls(np.zeros((height, width, 3), np.uint8), num_frames)


@dataclass
class Seen:
    """What a tap on every block is shown in one prediction.

    Attributes:
        model_calls: forwards of the transformer.
        token_grid: tokens along frames, rows and columns.
        tokens: of all layers and CFG branches.
        values: of all layers of the conditional forward: tokens times channels.
    """

    model_calls: int = 0
    token_grid: tuple[int, int, int] = (0, 0, 0)
    tokens: int = 0
    values: int = 0

    def look(self, hidden: torch.Tensor, address: Address) -> None:
        """See the output of one block in one CFG branch, [B, L, D]."""
        assert address.token_grid is not None
        self.token_grid = address.token_grid
        self.tokens += math.prod(hidden.shape[:2])
        self.values += hidden.numel() if address.cfg_branch == "cond" else 0


@dataclass(frozen=True)
class MetaRun:
    """The stages of one run.

    Attributes:
        denoiser: of any family, its pipeline on the meta device.
        sample: the question.
        guidance: 1 is none.
    """

    denoiser: Any
    sample: Blank
    guidance: float

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, F, H, W) of the latents; refuses a size that the family refuses."""
        return self.denoiser.latents_shape(self.sample)

    def stages(self) -> tuple[Seen, dict[str, int]]:
        """What the taps see, and {stage: most bytes at once besides the weights}."""
        condition, encode = self.encode()
        seen, denoise = self.denoise(condition)
        decode = self.decode()
        with tiling(self.denoiser.pipeline.vae):
            decode_in_tiles = self.decode()
        return seen, {"encode": encode, "denoise": denoise, "decode": decode, "decode_in_tiles": decode_in_tiles}

    def encode(self) -> tuple[Any, int]:
        """The condition, and the bytes that making it takes."""
        return self._counted(lambda: self.denoiser.wordless(self.sample, self.guidance))

    def denoise(self, condition: Any) -> tuple[Seen, int]:
        """What the taps see, and the bytes of a prediction of the worst expert, condition included."""
        held = [leaf for leaf in tree_leaves(vars(condition)) if isinstance(leaf, torch.Tensor)]
        grid = paper_grid(1, 1.0)
        answers = [self._counted(partial(self._predicted, grid, condition, at), held) for at in self._boundaries()]
        return answers[0][0], sum(map(_bytes, held)) + max(peak for _, peak in answers)

    def decode(self) -> int:
        """The bytes that decoding takes, whole or as the VAE is told."""
        return self._counted(self._decoded)[1]

    def _counted(self, compute: Callable[[], Any], held: Sequence[torch.Tensor] = ()) -> tuple[Any, int]:
        pipeline = self.denoiser.pipeline
        known = (weight for network in networks(pipeline).values() for weight in weights_of(network))
        return with_peak_bytes(compute, (*known, *held), (pipeline.vae.encoder, pipeline.vae.decoder))

    def _boundaries(self) -> Iterator[float]:
        """One for each kind of expert."""
        configs = []
        for name, boundary in _BOUNDARIES.items():
            expert = getattr(self.denoiser.pipeline, name, None)
            if expert is not None and dict(expert.config) not in configs:
                configs.append(dict(expert.config))
                yield boundary

    def _predicted(self, grid: Grid, condition: Any, boundary: float) -> Seen:
        seen = Seen()
        taps = Taps((SiteTap("block", seen.look),), boundary=boundary)
        prediction = self.denoiser.predict(self._latents(), 0, grid, condition, self.guidance, taps)
        seen.model_calls = prediction.model_calls
        return seen

    def _decoded(self) -> Any:
        """Pixels in [0, 1] as they leave the device; the last step of all codecs."""
        video = self.denoiser.codec.video(self._latents()[0])
        return self.denoiser.pipeline.video_processor.postprocess(video[0].transpose(0, 1), output_type="pt")

    def _latents(self) -> LatentsBatch:
        return torch.empty(1, *self.shape)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()
