"""The command line: parses, calls, prints.

    stepscope demo | record | models | tasks | view

Exit status 0: done; 2: the user's mistake, one line on stderr; 1: a bug of ours, one line on stderr; 130: interrupted.
A traceback is shown with --debug alone.  Results go to stdout (one JSON object with --json), progress to stderr.
torch is imported by the commands that need it, after their options have been understood.
"""

from stepscope.cli.entry import main

__all__ = ["main"]
