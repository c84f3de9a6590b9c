"""What a verifier saw, for people: every look as small frames, without a decoding.

The map from latents to colours (`Model.preview`) is fitted on the answer, whose frames are decoded anyway, and on the
puzzle at rest.  Cost: two encodings, then one small product a look.
"""

import numpy as np

from stepscope.scope.generate_strategies import Generation
from stepscope.scope.model import Model
from stepscope.shapes import Frames

__all__ = ["look_previews"]


def look_previews(generation: Generation, model: Model) -> list[Frames]:
    """One small video a look, uint8 [F, H, W, 3], one pixel a latent.

    Args:
        generation: what `generate` gave.
        model: the model that it was given.

    Raises:
        BadInputError: If the codec's latents do not divide frames evenly.
    """
    if not generation.looks:
        return []
    sample = generation.trace.sample
    still = np.repeat(sample.first_frame[None], sample.num_frames, axis=0)
    return [model.preview(look.estimate, [generation.frames, still]) for look in generation.looks]
