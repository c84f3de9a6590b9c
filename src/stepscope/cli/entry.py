"""From a list of words to an exit status: the only place where errors become lines and numbers."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from stepscope.cli.parser import parse
from stepscope.errors import StepscopeError

__all__ = ["main"]

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; None takes them from the process.

    Returns:
        The exit status: 0 done, 2 the user's mistake, 1 our bug, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        options = parse(words)
        with warnings.catch_warnings():
            _hush(debug)
            options.command(options)
            sys.stdout.flush()
        return 0
    except BaseException as error:
        if debug and not isinstance(error, SystemExit):
            traceback.print_exc()
        return _status(error)


def _status(error: BaseException) -> int:
    """Say what went wrong in one line, and give it its number."""
    match error:
        case SystemExit():  # argparse has printed the help or the version
            return int(error.code or 0)
        case KeyboardInterrupt():
            print("Interrupted. What was finished is kept: run the same command again and it resumes.", file=sys.stderr)
            return _INTERRUPTED
        case BrokenPipeError():  # the reader of our output has gone; Python must not complain about it at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case StepscopeError():
            print(error, file=sys.stderr)
            return error.exit_status
        case _:
            told = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"A bug in stepscope: {told}. Run again with --debug and report what it shows.", file=sys.stderr)
            return 1


def _hush(debug: bool) -> None:
    """Keep other libraries' remarks off stderr, where one line is promised."""
    if debug:
        return
    warnings.simplefilter("ignore")
    for name, value in {
        "DIFFUSERS_VERBOSITY": "error",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_VERBOSITY": "error",
    }.items():
        os.environ.setdefault(name, value)
