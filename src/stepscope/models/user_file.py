"""FILE.py:NAME: an object out of a user's own file.

The file is run once as a module of its own; NAME is called if it takes no argument and is no model itself.
"""

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from stepscope.errors import ModelLoadError
from stepscope.models.folders import first_line
from stepscope.models.live import is_live

__all__ = ["object_of_file"]


def object_of_file(source: str) -> Any:
    """The live denoiser, pipeline, task or verifier that FILE.py:NAME names.

    Raises:
        ModelLoadError: for a file that is missing or fails, a name that it does not have, a call that fails.
    """
    path, _, name = source.rpartition(":")
    found = _attribute(Path(path).expanduser(), name)
    if not _is_maker(found) or is_live(found) or hasattr(found, "components"):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ModelLoadError(
            f"{name}() of {path} failed ({first_line(error)}). It is called without arguments. Mend it."
        ) from error


def _is_maker(found: Any) -> bool:
    """Whether it is a class, or a function that needs no argument; what needs some is meant as it is."""
    if not callable(found) or isinstance(found, type):
        return callable(found)
    try:
        inspect.signature(found).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin that does not tell
        return True
    return True


def _attribute(path: Path, name: str) -> Any:
    if not path.is_file():
        raise ModelLoadError(f"The file {path} does not exist. FILE.py:NAME names one. Check the path.")
    module = _run(path)
    if not hasattr(module, name):
        known = ", ".join(key for key in vars(module) if not key.startswith("_"))
        raise ModelLoadError(f"The file {path} has no {name!r}. It has: {known}. Name one of these.")
    return getattr(module, name)


def _run(path: Path) -> Any:
    """The file as a module; from its text, since compiled files are told apart by the second and the length alone."""
    module_name = f"stepscope_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and inspect look a class's module up by name
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # a script may also end itself
        raise ModelLoadError(f"The file {path} cannot be run ({first_line(error)}). Mend it.") from error
    return module
