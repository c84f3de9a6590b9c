"""Cards: what is known of a model before it is loaded.

A name has a card here; a folder may carry its own in `card.json`, which wins.  A folder without one gets the defaults
of Wan's stock call (guidance 5, 81 frames, 480 x 832, 50 steps) and the shift of its own scheduler.  A transformer that
says the size of its samples (CogVideoX) says frames, height and width too, as in its stock call; where that is no more
than the largest size (1.5), they are the released ones, within it.

Sources: `Wan-AI/*` the settings released with Wan2.1 and Wan2.2; `Video-Reason/VBVR-Wan2.2` those of the code of
arXiv 2603.16870; LTX-Video and CogVideoX those of their stock pipeline's call.  The shift of LTX-Video is what its
dynamic one comes to at this size; that of CogVideoX is the one whose grid lies nearest to its own (.036 in sigma, root
mean square).  Editions of the bundled model are named in its folder, so that `embedded@2` stays what it is.
`embedded-4step` is the same folder with its student merged into it, a LoRA; the name is known where the file is there.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from stepscope.errors import ModelLoadError, UnknownNameError

__all__ = ["BUNDLED", "STUDENT", "Card", "folder_card", "is_bundled", "model_card", "model_names"]

BUNDLED = "embedded"
BUNDLED_FOLDER = Path(__file__).parent / BUNDLED
STUDENT = "embedded-4step"
STUDENT_LORA = Path(__file__).parent / STUDENT / "lora.safetensors"
STUDENT_STEPS = 4


@dataclass(frozen=True)
class Card:
    """What a model is made for.

    Attributes:
        folder: where it lies, None for a hub id or a live model.
        guidance: native guidance; 1 makes one forward a prediction.
        num_frames: pixel frames of a video.
        height: pixels.
        width: pixels.
        shift: native shift of the noise levels.
        num_steps: usual number of denoising steps.
        dtype: number type on an accelerator; on the CPU it is float32.
        frame_rate: frames a second that the model is told, None for a family that is not told or the stock default.
        decode_timestep: time at which a VAE that denoises decodes, in [0, 1].
        decode_noise_scale: share of noise that it is given first; None for the same as `decode_timestep`.
        edition: name of the edition, None if it has none.
        lora: file that is merged into it, None for none.
        bytes: size of folder and LoRA, None if they are not on this disk.
    """

    folder: str | None = None
    guidance: float = 5.0
    num_frames: int = 81
    height: int = 480
    width: int = 832
    shift: float = 5.0
    num_steps: int = 50
    dtype: str = "bfloat16"
    frame_rate: float | int | None = None
    decode_timestep: float | int = 0.0
    decode_noise_scale: float | int | None = None
    edition: str | None = None
    lora: str | None = None
    bytes: int | None = None


_HUB = {
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers": Card(guidance=3.5, num_steps=40),
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": Card(num_frames=121, height=704, width=1280),
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": Card(shift=3.0, num_steps=40),
    "Video-Reason/VBVR-Wan2.2": Card(),
    "Lightricks/LTX-Video": Card(guidance=3.0, num_frames=161, height=512, width=704, shift=25.3),
    "THUDM/CogVideoX-5b-I2V": Card(guidance=6.0, num_frames=49, width=720, shift=2.0),
    "THUDM/CogVideoX1.5-5B-I2V": Card(guidance=6.0, height=768, width=1360, shift=2.0),
}
_OWN_KEYS = {field.name for field in fields(Card)} - {"folder", "lora", "bytes"}  # what a folder may say of itself


def model_names() -> list[str]:
    """Every name that has a card."""
    return [BUNDLED, *([STUDENT] if STUDENT_LORA.is_file() else []), *_HUB]


def is_bundled(name: str) -> bool:
    """Whether a name is that of the bundled model or its student, an edition or not."""
    return name.partition("@")[0] in (BUNDLED, STUDENT)


def model_card(name: str) -> dict[str, Any]:
    """The card of a model: folder, guidance, num_frames, height, width, bytes, and all else that a `Card` says.

    Args:
        name: a name of `model_names()`, an edition of the bundled model or of its student, or a folder.
    """
    return asdict(named_card(name))


def named_card(name: str) -> Card:
    """The card of a name, of an edition, or of a folder."""
    if is_bundled(name):
        return _student_card(name) if name.startswith(STUDENT) else _bundled_card(name)
    if name in _HUB:
        return _HUB[name]
    if Path(name).is_dir():
        return folder_card(Path(name))
    raise UnknownNameError.of("model", name, model_names())


def hub_card(name: str, folder: Path) -> Card:
    """The card of a model from the hub that lies in `folder`."""
    own = folder_card(folder)
    known = _HUB.get(name)
    return own if known is None else replace(known, folder=own.folder, bytes=own.bytes)


def folder_card(folder: Path) -> Card:
    """The card of a folder: its own `card.json` over the defaults.

    Raises:
        ModelLoadError: for a card that is no JSON object, or says what no card can say.
    """
    said = {**_configured(folder), **_own_card(folder)}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Card(**said, folder=str(folder), bytes=size)


def scheduler_shift(config: Any) -> float | None:
    """The shift in a scheduler's configuration, whatever its class calls it; None if the size of a sample decides."""
    if config.get("use_dynamic_shifting"):
        return None
    shift = config.get("flow_shift", config.get("shift"))
    return None if shift is None else float(shift)


def sample_size(transformer: Any, vae: Any) -> dict[str, Any]:
    """Frames, height and width by the configurations of transformer and VAE; {} for a family that does not say."""
    if not {"sample_frames", "sample_height", "sample_width"} <= set(transformer):
        return {}
    spatial = 2 ** (len(vae["block_out_channels"]) - 1)
    height, width = transformer["sample_height"] * spatial, transformer["sample_width"] * spatial
    if transformer.get("patch_size_t") is not None:
        released = _HUB["THUDM/CogVideoX1.5-5B-I2V"]
        height, width = min(height, released.height), min(width, released.width)
    return {"num_frames": transformer["sample_frames"], "height": height, "width": width}


def _bundled_card(name: str) -> Card:
    if not (BUNDLED_FOLDER / "model_index.json").is_file():
        raise ModelLoadError(
            f"The bundled model {name!r} is not in this build. recipes/embedded makes it. Give a diffusers folder, "
            "a hub id or FILE.py:NAME instead."
        )
    card = folder_card(BUNDLED_FOLDER)
    if name not in (BUNDLED, card.edition):
        raise UnknownNameError.of("edition", name, [BUNDLED, str(card.edition)])
    return card


def _student_card(name: str) -> Card:
    teacher, size = _bundled_card(BUNDLED), STUDENT_LORA.stat().st_size if STUDENT_LORA.is_file() else None
    if size is None:
        raise ModelLoadError(
            f"The student {name!r} is not in this build. recipes/student makes it. Give {BUNDLED!r} with fewer steps "
            "instead."
        )
    edition = (teacher.edition or BUNDLED).replace(BUNDLED, STUDENT, 1)
    if name not in (STUDENT, edition):
        raise UnknownNameError.of("edition", name, [STUDENT, edition])
    both = (teacher.bytes or 0) + size
    return replace(teacher, num_steps=STUDENT_STEPS, edition=edition, lora=str(STUDENT_LORA), bytes=both)


def _own_card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    if not path.is_file():
        return {}
    try:
        said = _json(path)
        unknown = sorted(set(said) - _OWN_KEYS)
    except (ValueError, TypeError) as error:
        raise ModelLoadError(f"{path} is no JSON object: {error}. Mend it, or delete it.") from error
    if unknown:
        raise ModelLoadError(f"{path} says {unknown}. A card says {sorted(_OWN_KEYS)}. Mend it, or delete it.")
    return said


def _configured(folder: Path) -> dict[str, Any]:
    """What the configurations of a folder's components say; loading says what is wrong with them."""
    shift, size = None, {}
    with suppress(OSError, ValueError, AttributeError):
        shift = scheduler_shift(_json(folder / "scheduler" / "scheduler_config.json"))
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        size = sample_size(*(_json(folder / name / "config.json") for name in ("transformer", "vae")))
    return size if shift is None else {"shift": shift, **size}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
