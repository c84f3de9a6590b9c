"""Pictures and videos inside interventions: 8-bit RGB as a value that can be compared, hashed and written down.

    {"pixels": [17, 96, 96, 3], "zlib": "eNrt…"}          puzzles of 500 kB come to a few kB of JSON

Two are equal if their bytes are.
"""

import base64
import binascii
import hashlib
import zlib
from typing import Any

import numpy as np

from stepscope.errors import BadInputError

__all__ = ["Pixels"]


class Pixels:
    """A picture uint8 [Y, X, 3] or a video uint8 [T, Y, X, 3] that never changes.

    Attributes:
        array: the pixels, read-only.
        digest: sha256 of shape and bytes, 64 hexadecimal digits.
    """

    def __init__(self, array: Any) -> None:
        """Copy an array.

        Raises:
            BadInputError: If it is no 8-bit RGB.
        """
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim not in (3, 4) or not array.size:
            came = f"{array.dtype} {list(array.shape)}" if hasattr(array, "shape") else type(array).__name__
            raise BadInputError(
                f"Pixels came as {came}. They are uint8 [height, width, 3] or a video of such. Convert."
            )
        self.array = array.copy()
        self.array.setflags(write=False)
        self.digest = hashlib.sha256(f"{array.shape}".encode() + self.array.tobytes()).hexdigest()

    def __repr__(self) -> str:
        return f"Pixels({'x'.join(map(str, self.array.shape))}, {self.digest[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pixels) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_json(self) -> dict[str, Any]:
        """Shape and compressed bytes."""
        packed = base64.b64encode(zlib.compress(self.array.tobytes(), 9)).decode()
        return {"pixels": list(self.array.shape), "zlib": packed}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Pixels":
        """The pixels that `to_json` wrote.

        Raises:
            BadInputError: If they are something else.
        """
        try:
            flat = np.frombuffer(zlib.decompress(base64.b64decode(data["zlib"])), np.uint8)
            return cls(flat.reshape(data["pixels"]))
        except (KeyError, TypeError, ValueError, zlib.error, binascii.Error) as error:
            raise BadInputError(f"Pixels came as damaged JSON ({error!r}). Write them with to_json.") from error
