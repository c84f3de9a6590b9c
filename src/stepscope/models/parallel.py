"""Context parallel: the tokens of one video shared out over several GPUs, by diffusers' own `enable_parallelism`.

    each of P processes holds all weights and L / P tokens; in attention they exchange heads (Ulysses) or keys (ring)

A pipeline that is parallel is a live pipeline like any other: every process runs the same loop on the same latents, the
transformer splits its tokens at the first block and joins them behind the last one.  In between a process sees its own
share alone, so what looks inside layers is refused: a recorder would take a part of the video for all of it.
"""

from typing import Any

from stepscope.errors import PlanError

__all__ = ["check_whole"]


def check_whole(transformer: Any) -> None:
    """Refuse to look into layers that hold a share of the tokens.

    Raises:
        PlanError: for a transformer that runs context parallel.
    """
    config = getattr(transformer, "_parallel_config", None)
    if getattr(config, "context_parallel_config", None) is not None:
        raise PlanError(
            "Sites or attention masks were asked for of a transformer that runs context parallel: each process holds "
            "a share of the tokens there. Latents can be recorded and edited. Run it on one device to look inside."
        )
