"""Low-rank updates (LoRA, Hu et al. 2021, arXiv 2106.09685), merged into the weights of one expert.

    W <- W + (alpha / r) B A,    A [r, in],  B [out, r],    in float32, then back to the number type of W

Two forms of keys are read, behind any usual prefix:

    diffusers    transformer.blocks.0.attn1.to_q.lora_A.weight        alpha in the header's `lora_adapter_metadata`
    DiffSynth    blocks.0.self_attn.q.lora_A.default.weight           the names of Wan's own code; alpha = r
    (the same)   diffusion_model.blocks.0.self_attn.q.lora_down.weight, … .alpha

Released pairs such as VBVR's `high_noise_lora` and `low_noise_lora` go into the expert of that name.  What is given for
`transformer` and named `transformer_2` throughout goes into that; for `high_noise` it is refused.  Every key must fit:
an update that is applied in part is another model.  A student's file names its teacher's weights in its header
(`teacher`: their hash as JSON), and is merged into those alone.  Cost: one product a matrix, once.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models.weights import PICKLED

__all__ = ["hash_with_loras", "merge_loras", "parse_key", "with_own_lora"]

_COMPONENTS = {"high_noise": "transformer", "low_noise": "transformer_2", "transformer": "transformer"}
_PREFIXES = re.compile(r"^(?:base_model\.model\.|diffusion_model\.|transformer(?:_2)?\.|pipe\.dit\.|dit\.|model\.)+")
_SECOND = "transformer_2"
_KEY = re.compile(r"(?P<module>.+)\.(?:(?P<a>lora_A|lora_down)|(?P<b>lora_B|lora_up))(?:\.default)?\.weight")
_ALPHA = ".alpha"
_OF_WAN = {
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "head.head": "proj_out",
}


@dataclass(frozen=True)
class _Update:
    """What is added to one matrix: scale · B A."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float


def merge_loras(pipeline: Any, loras: Mapping[str, Any]) -> None:
    """Merge each file into its expert.

    Args:
        pipeline: a pipeline of the Wan family, changed in place.
        loras: {`high_noise` | `low_noise`, or `transformer` where there is one: safetensors file}.

    Raises:
        UnknownNameError: for an expert that the model lacks.
        ModelLoadError: for a file that is missing, pickled or corrupt, or a key that does not fit; nothing was merged.
    """
    there = [name for name, part in _COMPONENTS.items() if getattr(pipeline, part, None) is not None]
    for expert in loras:
        if expert not in there:
            raise UnknownNameError.of("expert", expert, there)
    parts = {expert: _part(expert, Path(path)) for expert, path in loras.items()}
    if len(set(parts.values())) < len(parts):
        raise BadInputError(f"LoRAs came for {' and '.join(loras)}, which are one network. Give it one file.")
    for expert, part in parts.items():
        if getattr(pipeline, part, None) is None:
            raise _misfit(Path(loras[expert]), f"its names are those of {part}, which this model lacks")
    planned = [_fitted(getattr(pipeline, part), Path(loras[expert])) for expert, part in parts.items()]
    for plan in planned:
        for weight, update in plan:
            low_rank = update.scale * (update.up.float() @ update.down.float())
            weight.data = (weight.data.float() + low_rank.to(weight.device)).to(weight.dtype)


def with_own_lora(own: str | None, loras: Mapping[str, Any], weights_hash: str) -> dict[str, Any]:
    """All that is merged into a model that brings a LoRA of its own, a student.

    Args:
        own: its file, None for a model that brings none.
        loras: what was given.
        weights_hash: of the weights without any.

    Raises:
        BadInputError: if another one was given for a student.
        ModelLoadError: if the file was made for other weights.
    """
    if own is None:
        return dict(loras)
    if loras:
        raise BadInputError(
            f"LoRAs came for {sorted(loras)} of a student, which is a LoRA itself. One is merged. Give them to its "
            "teacher."
        )
    _, header = _read(Path(own))
    if (teacher := json.loads(header.get("teacher", "null"))) != weights_hash:
        raise ModelLoadError(
            f"The student {own} was distilled from weights {str(teacher)[:12]}, and those here are "
            f"{weights_hash[:12]}. It fits its teacher alone. Distil it again: recipes/student."
        )
    return {"transformer": own}


def hash_with_loras(weights_hash: str, loras: Mapping[str, Any]) -> str:
    """The hash of weights with LoRAs merged into them; the weights' own without any."""
    if not loras:
        return weights_hash
    files = [
        f"{_part(expert, Path(path))} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
        for expert, path in loras.items()
    ]
    return hashlib.sha256("\n".join([weights_hash, *sorted(files)]).encode()).hexdigest()


def parse_key(key: str) -> tuple[str, str] | None:
    """(name of the matrix in diffusers' form, `down` | `up` | `alpha`); None for a key that is no part of a LoRA."""
    bare = _PREFIXES.sub("", key)
    if bare.endswith(_ALPHA):
        return _diffusers_name(bare.removesuffix(_ALPHA)), "alpha"
    found = _KEY.fullmatch(bare)
    return None if found is None else (_diffusers_name(found["module"]), "down" if found["a"] else "up")


def _part(expert: str, path: Path) -> str:
    """The network that a file goes into: its expert's, unless its own names say the second."""
    second = {_SECOND in found[0] for key in _names(path) if (found := _PREFIXES.match(key) or [""])}
    if len(second) > 1:
        raise _misfit(path, f"some of its names are those of {_SECOND} and some are not, one network's and another's")
    part = _COMPONENTS[expert]
    if second != {True} or part == _SECOND:
        return part
    if expert == "high_noise":
        raise _misfit(path, f"its names are those of {_SECOND}, which is low_noise, and it came for high_noise")
    return _SECOND


def _diffusers_name(module: str) -> str:
    block = re.fullmatch(r"(blocks\.\d+\.)(.+)", module)
    before, rest = (block[1], block[2]) if block else ("", module)
    return before + _OF_WAN.get(rest, rest)


def _fitted(transformer: torch.nn.Module, path: Path) -> list[tuple[torch.Tensor, _Update]]:
    """Each matrix with its update; refuses the file unless all of it fits."""
    modules = dict(transformer.named_modules())
    return [(_matrix(modules.get(name), name, update, path), update) for name, update in _updates(path)]


def _matrix(module: Any, name: str, update: _Update, path: Path) -> torch.Tensor:
    if not isinstance(module, torch.nn.Linear):
        raise _misfit(path, f"{name} is no matrix of this model")
    came, fits = (update.up.shape[0], update.down.shape[1]), tuple(module.weight.shape)
    if came != fits or update.up.shape[1] != update.down.shape[0]:
        raise _misfit(path, f"{name} is {list(fits)}, its update {list(update.up.shape)} x {list(update.down.shape)}")
    return module.weight


def _updates(path: Path) -> Iterator[tuple[str, _Update]]:
    tensors, header = _read(path)
    alpha = _alpha(path, header)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        parsed = parse_key(key)
        if parsed is None or (tensor.numel() != 1 if parsed[1] == "alpha" else tensor.ndim != 2):
            raise _misfit(path, f"{key!r} {list(tensor.shape)} is no part of a low-rank update")
        if parsed[1] in parts.setdefault(parsed[0], {}):
            raise _misfit(path, f"two of its keys are the {parsed[1]} of {parsed[0]}, one network's and another's")
        parts[parsed[0]][parsed[1]] = tensor
    if not parts:
        raise _misfit(path, "it holds no tensor")
    for name, part in parts.items():
        if not {"down", "up"} <= set(part):
            raise _misfit(path, f"{name} has {' and '.join(sorted(part))} alone")
        rank = part["down"].shape[0]
        own = part["alpha"].item() if "alpha" in part else rank if alpha is None else alpha
        yield name, _Update(part["down"], part["up"], own / rank)


def _names(path: Path) -> list[str]:
    """The names of a file's tensors."""
    with _opened(path) as file:
        return list(file.keys())


def _read(path: Path) -> tuple[dict[str, torch.Tensor], Mapping[str, str]]:
    """Every tensor of a file, and what its header says."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.suffix in PICKLED:
        raise ModelLoadError(f"{path} is a pickled LoRA. Only safetensors are opened. Convert it.")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelLoadError(f"The LoRA {path} cannot be read ({told}). Give a whole safetensors file.") from error


def _alpha(path: Path, metadata: Mapping[str, str]) -> float | int | None:
    """`lora_alpha` of diffusers' own header, for all of its matrices; what goes beyond one alpha for all is refused."""
    facts: dict[str, list[Any]] = defaultdict(list)  # by name, whatever network it is said of
    try:
        for name, value in json.loads(metadata.get("lora_adapter_metadata", "{}")).items():
            facts[name.rpartition(".")[2]].append(value)
    except (ValueError, AttributeError) as error:
        raise _misfit(path, f"its header cannot be read ({error})") from error
    beyond = [
        name for name in ("alpha_pattern", "rank_pattern", "use_dora", "use_rslora", "lora_bias") if any(facts[name])
    ]
    if beyond:
        raise _misfit(path, f"its header asks for {', '.join(beyond)}")
    alphas = facts["lora_alpha"]
    if any(alpha != alphas[0] or isinstance(alpha, bool | str | list | dict) for alpha in alphas):
        raise _misfit(path, f"its header gives lora_alpha as {' and '.join(map(str, alphas))}")
    return alphas[0] if alphas else None


def _misfit(path: Path, why: str) -> ModelLoadError:
    return ModelLoadError(
        f"The LoRA {path} does not fit: {why}. Allowed are updates W + (alpha/r) B A of this model's matrices, in "
        "diffusers' or DiffSynth's names. Give the file that was made for this expert."
    )
