"""A pipeline on the meta device: the stock class, its components with shapes and number types and no content.

    Release, number type   ->   pipeline

So it can be wrapped by its family as any other, and asked for the sizes of all that it would do.  Components have the
number types in which loading would give them: VAE and image encoder float32, islands float32, all else as asked for.
What has no weights (tokenizer, image processor) is not there.  Cost: a second or two for 28 B weights, some megabytes.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import torch

from stepscope.errors import ModelLoadError
from stepscope.models.configurations import Configuration
from stepscope.models.released import Part

__all__ = ["EXPERTS", "networks", "pipeline_on_meta", "weights_of"]

EXPERTS = ("transformer", "transformer_2")
_NEEDED = ("vae", "transformer")
_FLOAT32_COMPONENTS = ("vae", "image_encoder")


def pipeline_on_meta(found: Configuration, number: torch.dtype) -> Any:
    """The pipeline of a configuration, as if loaded in a number type.

    Raises:
        ModelLoadError: for a pipeline without VAE or transformer, or configurations that make no model.
    """
    import diffusers

    release, kind = found.release, getattr(diffusers, found.release.kind)
    missing = [name for name in _NEEDED if name not in release.parts]
    if missing:
        raise ModelLoadError(
            f"{found.name} has no {' and no '.join(missing)}. An estimate reads the configurations of both. "
            "Fetch or save the folder again."
        )
    made = {name: _network(found.name, part, _number(name, number)) for name, part in release.parts.items()}
    made["scheduler"] = _built(found.name, release.scheduler)
    takes = inspect.signature(kind).parameters
    absent = {name: None for name, parameter in takes.items() if parameter.default is parameter.empty}
    given = {name: value for name, value in {**release.settings, **made}.items() if name in takes}
    return kind(**absent | given)


def networks(pipeline: Any) -> dict[str, torch.nn.Module]:
    """The components of a pipeline that have weights, by name."""
    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}


def weights_of(network: torch.nn.Module) -> Iterator[torch.Tensor]:
    """All that a network brings to the device."""
    yield from network.parameters()
    yield from network.buffers()


def _number(name: str, number: torch.dtype) -> torch.dtype:
    return torch.float32 if name in _FLOAT32_COMPONENTS else number


def _network(model: str, part: Part, number: torch.dtype) -> Any:
    """One component; what its class keeps in float32 is so here."""
    with torch.device("meta"):
        made = _built(model, part)
    islands = _islands(made, part.library, number)
    for name, weight in made.state_dict(keep_vars=True).items():
        if weight.is_floating_point():
            weight.data = weight.data.to(torch.float32 if islands & set(name.split(".")) else number)
    return made.eval()


def _islands(made: Any, library: str, number: torch.dtype) -> set[str]:
    """Names of modules that stay in float32: transformers asks for it in float16 alone."""
    if library == "transformers" and number != torch.float16:
        return set()
    return set(getattr(made, "_keep_in_fp32_modules", None) or ())


def _built(model: str, part: Part) -> Any:
    import diffusers
    import transformers

    libraries = {"diffusers": diffusers, "transformers": transformers}
    try:
        kind: Any = getattr(libraries[part.library], part.kind)
        config = dict(part.config)
        return kind.from_config(config) if part.library == "diffusers" else kind(kind.config_class.from_dict(config))
    except (KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelLoadError(
            f"The configuration of {part.kind} of {model} makes no model ({type(error).__name__}: {error}). "
            "It must be whole. Fetch or save it again."
        ) from error
