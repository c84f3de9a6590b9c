"""The command line's surface is a decision: a new option fails here until it is written down."""

import argparse
import subprocess
import sys
import time

import pytest

from stepscope.cli.parser import build_parser

EVERY = {"--help", "--json", "--device", "--dtype", "--debug"}
WEIGHTS = {"--lora", "--revision", "--offload"}
SURFACE = {
    "demo": EVERY | {"--out", "--seed", "--overwrite"},
    "record": EVERY
    | {"MODEL", "--task", "--sample", "--split", "--size", "--dial", "--image", "--prompt", "--frames"}
    | {"--steps", "--seed", "--guidance", "--negative-prompt", "--solver", "--schedule", "--shift", "--record"}
    | WEIGHTS
    | {"--out", "--overwrite"},
    "run": EVERY
    | WEIGHTS
    | {
        "EXPERIMENT",
        "MODEL",
        "--task",
        "--samples",
        "--first-sample",
        "--split",
        "--dial",
        "--steps",
        "--seeds",
        "--guidance",
    }
    | {"--negative-prompt", "--solver", "--schedule", "--shift", "--overwrite", "--option", "--chunk", "--dry-run"}
    | {"--out"},
    "generate": EVERY
    | {"MODEL", "--task", "--sample", "--split", "--size", "--dial", "--image", "--prompt", "--frames"}
    | {"--steps", "--seeds", "--guidance", "--negative-prompt", "--solver", "--schedule", "--shift"}
    | WEIGHTS
    | {"--strategy", "--verifier", "--look", "--keep", "--merge", "--merge-steps", "--out", "--overwrite"},
    "estimate": EVERY
    | {"MODEL", "--steps", "--samples", "--seed", "--guidance", "--frames", "--height", "--width"}
    | {"--offload", "--revision", "--timed"},
    "vbvr": {"--help", "ACTION"},
    "vbvr export": EVERY | {"--task", "--samples", "--split", "--dial", "--out"},
    "vbvr generate": EVERY
    | WEIGHTS
    | {"MODEL", "--data", "--limit", "--frames", "--keep-steps", "--out"}
    | {"--steps", "--seed", "--guidance", "--negative-prompt", "--solver", "--schedule", "--shift", "--record"},
    "vbvr selftest": EVERY | {"--evalkit", "--python", "--data", "--videos", "--limit"},
    "vbvr score": EVERY | {"--evalkit", "--python", "--data", "--videos", "--limit", "--frames", "--despite-faults"},
    "models": EVERY,
    "tasks": EVERY,
    "experiments": EVERY,
    "view": EVERY | {"DIR"},
}
HELP_SECONDS = 0.5


def commands(parser=None, before=""):
    """Every command by its words, those within commands included."""
    found = {}
    for action in (parser or build_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                found |= {before + name: inner, **commands(inner, f"{before}{name} ")}
    return found


def words(parser):
    return {action.option_strings[-1] if action.option_strings else action.metavar for action in parser._actions}


def test_commands_are_these():
    assert set(commands()) == set(SURFACE)


@pytest.mark.parametrize("name", SURFACE)
def test_options_are_these(name):
    assert words(commands()[name]) == SURFACE[name]


@pytest.mark.parametrize("name", SURFACE)
def test_every_option_says_what_it_does(name):
    assert [action.dest for action in commands()[name]._actions if not action.help] == []


def seconds(*argv):
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "stepscope", *argv], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout


@pytest.mark.alone
def test_help_is_quick():
    runs = [seconds("--help") for _ in range(3)]
    assert min(run[0] for run in runs) <= HELP_SECONDS
    assert all(name in runs[0][1] for name in SURFACE if " " not in name)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["record", "--help"], ["tasks"]])
def test_torch_is_not_imported_for_words(argv):
    program = (
        "import sys; from stepscope.cli import main; status = main(sys.argv[1:]);"
        "assert status == 0, status; assert 'torch' not in sys.modules; assert 'diffusers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, *argv], check=True, capture_output=True)
