"""What a single word on the command line may mean: seeds, dials, names.

--seed 1 2 3   --seed 1,2,3   --dial size=11   --dial named=true   --record token-energy,difference   --mode renoise
"""

import json
from argparse import ArgumentTypeError
from collections.abc import Sequence

from stepscope.errors import BadInputError

__all__ = ["choices", "dial", "listed", "lora", "names", "seed", "seeds"]

LARGEST = 2**63 - 1


def seeds(word: str) -> list[int]:
    """Read one seed, or several behind commas."""
    return [seed(part) for part in word.split(",")]


def seed(word: str) -> int:
    """Read one seed, as large as the table can hold."""
    try:
        number = int(word)
    except ValueError:
        number = LARGEST + 1
    if abs(number) > LARGEST:
        raise ArgumentTypeError(
            f"{word!r} is no seed. Allowed are whole numbers of up to 63 bits, as in 1 2 3 or 1,2,3"
        )
    return number


def names(word: str) -> list[str]:
    """Read one name, or several behind commas."""
    return [part.strip() for part in word.split(",") if part.strip()]


def dial(word: str) -> tuple[str, object]:
    """Read KEY=VALUE; a value is a number, true, false, null, a JSON list (taken as a tuple), or else a text."""
    key, _, value = word.partition("=")
    if not (key and value):
        raise ArgumentTypeError(f"{word!r} is no dial. Allowed is KEY=VALUE, as in size=11")
    return key.replace("-", "_"), _value(value)


def choices(given: Sequence[str]) -> dict[str, object]:
    """Read an experiment's own options, --key value or --key=value, as `dial` reads values."""
    read, rest = {}, list(given)
    while rest:
        key, equals, value = rest.pop(0).partition("=")
        if not key.startswith("--") or not (equals or rest):
            raise BadInputError(
                f"{key!r} came where an option of the experiment was expected. Allowed is --key value, as in "
                "--mode renoise. See `stepscope run --help` and `stepscope experiments`."
            )
        read[key[2:].replace("-", "_")] = _value(value if equals else rest.pop(0))
    return read


def lora(word: str) -> tuple[str, str]:
    """Read EXPERT=FILE."""
    expert, _, file = word.partition("=")
    if not (expert and file):
        raise ArgumentTypeError(f"{word!r} is no LoRA. Allowed is EXPERT=FILE, as in high_noise=lora.safetensors")
    return expert, file


def _value(word: str) -> object:
    try:
        value = json.loads(word.lower() if word in ("True", "False") else word)
    except ValueError:
        return word
    return tuple(value) if isinstance(value, list) else value


def listed(lists: list[list] | None) -> list:
    """Join what several words gave, each thing once, in the order of their first mention."""
    return list(dict.fromkeys(item for items in lists or [] for item in items))
