"""The surface of the command line: every command, every option, and nothing that does not work yet.

One function a command.  A command is a module of this package, imported when it is called: asking for help costs no
more than argparse.
"""

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from stepscope import __version__
from stepscope.cli import words
from stepscope.errors import BadInputError

__all__ = ["build_parser", "parse"]

DEFAULT_OUT = "runs/demo"


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes told in one line through our errors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Understand the words of a command line; `.command` is the function that carries them out.

    Raises:
        BadInputError: If they make no command.
    """
    parser = build_parser()
    options, rest = parser.parse_known_args(argv)
    if options.name == "run":
        options.choices = words.choices(rest) | dict(options.option or ())
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.words = list(argv)
    if hasattr(options, "seed"):
        options.seeds = words.listed(options.seed)
    return options


def build_parser() -> argparse.ArgumentParser:
    """The whole surface."""
    parser = _Parser(
        prog="stepscope",
        description="A microscope for the denoising steps of video diffusion models.",
        epilog="Begin with `stepscope demo`: the bundled model, one puzzle, a page to look at.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_demo, _record, _run, _generate, _estimate, _vbvr, _models, _tasks, _experiments, _view):
        add(commands)
    return parser


def _demo(commands: Any) -> None:
    demo = _command(commands, "demo", "the bundled model solves one puzzle; a page shows how")
    demo.add_argument("--out", metavar="DIR", default=DEFAULT_OUT, help="where the record goes (default: %(default)s)")
    _seed(demo)
    _overwrite(demo)


def _record(commands: Any) -> None:
    record = _command(commands, "record", "record every denoising step of a model")
    record.add_argument("model", metavar="MODEL", help="embedded, a diffusers folder, a hub id, or FILE.py:NAME")
    _weights(record)
    _what(record.add_argument_group("what to solve: a puzzle, or a picture of your own"))
    _how(record.add_argument_group("how to denoise; what is left out is the model's own"))
    _overwrite(record)
    record.add_argument("--out", metavar="DIR", required=True, help="where the record goes")


def _run(commands: Any) -> None:
    run = _command(commands, "run", "run an experiment: measure a model on many puzzles and test the claims")
    run.epilog = "An experiment's own options follow, as in --mode renoise; `stepscope experiments` lists them."
    run.add_argument("experiment", metavar="EXPERIMENT", help="one of `stepscope experiments`")
    run.add_argument("model", metavar="MODEL", help="embedded, a diffusers folder, a hub id, or FILE.py:NAME")
    _weights(run)
    puzzles = run.add_argument_group("on which puzzles")
    puzzles.add_argument("--task", metavar="T", required=True, help="a task of `stepscope tasks`, or FILE.py:NAME")
    puzzles.add_argument(
        "--samples", metavar="M", type=int, default=8, help="number of different puzzles (default: %(default)s)"
    )
    puzzles.add_argument(
        "--first-sample",
        metavar="K",
        type=words.seed,
        default=0,
        help="seed of the first puzzle (default: %(default)s)",
    )
    puzzles.add_argument("--split", choices=("test", "train"), default="test", help="held out, or not (default: test)")
    puzzles.add_argument("--dial", metavar="KEY=VALUE", type=words.dial, action="append", help="a dial of the task")
    _denoising(run.add_argument_group("how to denoise; what is left out is the model's own"), "--seeds")
    _overwrite(run)
    run.add_argument(
        "--option",
        metavar="KEY=VALUE",
        type=words.dial,
        action="append",
        help="an option of the experiment whose name the command takes, as in steps=[2,4]",
    )
    run.add_argument(
        "--chunk", metavar="K", type=int, help="rows in a model call (default: 1 on a CPU, else by its size)"
    )
    run.add_argument("--dry-run", action="store_true", help="say how many model calls it takes, and stop")
    run.add_argument("--out", metavar="DIR", help="where it goes; the same command resumes")


def _generate(commands: Any) -> None:
    generate = _command(commands, "generate", "one answer by a strategy over seeds, and the model calls that it takes")
    generate.add_argument("model", metavar="MODEL", help="embedded, a diffusers folder, a hub id, or FILE.py:NAME")
    _weights(generate)
    _what(generate.add_argument_group("what to solve: a puzzle, or a picture of your own"))
    group = generate.add_argument_group("which strategy; unless seeds are named, of 1, 3 (ensemble) or 8 seeds")
    strategies = ("single", "ensemble", "prune", "best-of")
    group.add_argument("--strategy", choices=strategies, default="single", help="what it does (default: single)")
    group.add_argument(
        "--verifier",
        metavar="V",
        help="who chooses: multiplicity, agreement, rule, oracle, or FILE.py:NAME (default: multiplicity)",
    )
    group.add_argument("--look", metavar="L", type=int, help="steps that prune takes before it chooses (default: 3)")
    group.add_argument("--keep", metavar="M", type=int, help="seeds that go on after that (default: 1)")
    group.add_argument(
        "--merge", metavar="W", help="what an ensemble merges: block, mlp, velocity, clean-estimate, latents, …"
    )
    group.add_argument("--merge-steps", metavar="K", type=int, nargs="+", help="in which steps (default: 0)")
    _denoising(generate.add_argument_group("how to denoise; what is left out is the model's own"), "--seeds")
    generate.set_defaults(seed=None)
    _overwrite(generate)
    generate.add_argument("--out", metavar="DIR", required=True, help="where the answer goes")


def _what(group: Any) -> None:
    group.add_argument("--task", metavar="T", help="a task of `stepscope tasks`, or FILE.py:NAME")
    group.add_argument(
        "--sample", metavar="N", type=words.seed, help="which puzzle: the seed that makes it (default: 0)"
    )
    group.add_argument("--split", choices=("test", "train"), help="held out, or not (default: test)")
    group.add_argument("--size", metavar="S", type=int, help="short for --dial size=S")
    group.add_argument("--dial", metavar="KEY=VALUE", type=words.dial, action="append", help="a dial of the task")
    group.add_argument("--image", metavar="F", help="the first frame: a picture file")
    group.add_argument("--prompt", metavar="P", help="what is asked of the picture")
    group.add_argument("--frames", metavar="T", type=int, help="number of frames of the video")


def _how(group: Any) -> None:
    _denoising(group)
    group.add_argument(
        "--record", metavar="R", type=words.names, action="append", help="recorders, as in token-energy; behind commas"
    )


def _denoising(group: Any, *seeds: str) -> None:
    group.add_argument("--steps", metavar="N", type=int, default=20, help="denoising steps (default: %(default)s)")
    _seed(group, *seeds)
    group.add_argument("--guidance", metavar="W", type=float, help="classifier-free guidance; 1 is none")
    group.add_argument("--negative-prompt", metavar="P", help="prompt of the unconditional forward")
    group.add_argument("--solver", metavar="S", default="euler", help="euler, heun, unipc or pipeline")
    group.add_argument("--schedule", metavar="S", default="paper", help="paper or pipeline (default: %(default)s)")
    group.add_argument("--shift", metavar="A", type=float, help="shift of the paper schedule")


def _estimate(commands: Any) -> None:
    estimate = _command(commands, "estimate", "model calls, bytes and memory of a run, from the configuration alone")
    estimate.add_argument("model", metavar="MODEL", help="embedded, a diffusers folder, or a hub id")
    estimate.add_argument("--steps", metavar="N", type=int, default=20, help="denoising steps (default: %(default)s)")
    estimate.add_argument(
        "--samples", metavar="M", type=int, default=1, help="number of samples (default: %(default)s)"
    )
    _seed(estimate)
    estimate.add_argument("--guidance", metavar="W", type=float, help="classifier-free guidance; 1 is none")
    estimate.add_argument("--frames", metavar="T", type=int, help="number of frames of the video")
    estimate.add_argument("--height", metavar="Y", type=int, help="height of the video, pixels")
    estimate.add_argument("--width", metavar="X", type=int, help="width of the video, pixels")
    _offload(estimate)
    _revision(estimate)
    estimate.add_argument("--timed", action="store_true", help="load the model and time one step on --device")


def _vbvr(commands: Any) -> None:
    vbvr = commands.add_parser("vbvr", help="VBVR-Bench: its layout in and out, and scores with what they are worth")
    actions = vbvr.add_subparsers(title="actions", metavar="ACTION", required=True, help="what to do")
    export = _action(actions, "export", "write puzzles of a task in the layout of VBVR-Bench")
    export.add_argument("--task", metavar="T", required=True, help="a task of `stepscope tasks`, or FILE.py:NAME")
    export.add_argument("--samples", metavar="M", type=int, default=5, help="how many puzzles (default: %(default)s)")
    export.add_argument("--split", choices=("test", "train"), default="test", help="held out, or not (default: test)")
    export.add_argument("--dial", metavar="KEY=VALUE", type=words.dial, action="append", help="a dial of the task")
    export.add_argument("--out", metavar="DIR", required=True, help="where the questions go")
    generate = _action(actions, "generate", "let a model answer every question of a ground truth")
    generate.add_argument("model", metavar="MODEL", help="embedded, a diffusers folder, a hub id, or FILE.py:NAME")
    _weights(generate)
    _ground_truth(generate)
    generate.add_argument("--frames", metavar="T", type=int, help="number of frames of the videos")
    _how(generate.add_argument_group("how to denoise; what is left out is the model's own"))
    generate.add_argument("--keep-steps", action="store_true", help="keep what the model believed at every step")
    generate.add_argument("--out", metavar="DIR", required=True, help="where the videos go")
    selftest = _action(actions, "selftest", "let a kit score videos whose worth is known")
    score = _action(actions, "score", "let a kit score a model's videos, after its self-test")
    for command in (selftest, score):
        command.add_argument("--evalkit", metavar="DIR", required=True, help="a checkout of VBVR-EvalKit")
        command.add_argument("--python", metavar="PY", required=True, help="the kit's own interpreter")
        _ground_truth(command)
        needed = command is score
        command.add_argument(
            "--videos", metavar="V", required=needed, help="a model's videos; the self-test needs none"
        )
    score.add_argument("--frames", metavar="T", type=int, help="right number of frames (default: what most have)")
    score.add_argument("--despite-faults", action="store_true", help="print the score of a kit that failed its test")


def _ground_truth(command: Any) -> None:
    command.add_argument("--data", metavar="GT", required=True, help="the ground truth: the folder with the two splits")
    command.add_argument("--limit", metavar="M", type=int, help="at most so many samples of each task")


def _action(actions: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    action = _command(actions, name, purpose)
    action.set_defaults(command=_late("vbvr"), action=name)
    return action


def _models(commands: Any) -> None:
    _command(commands, "models", "list the models that are known by name")


def _tasks(commands: Any) -> None:
    _command(commands, "tasks", "list the tasks that are known by name")


def _experiments(commands: Any) -> None:
    _command(commands, "experiments", "list the experiments and the claims that each tests")


def _view(commands: Any) -> None:
    view = _command(commands, "view", "print where a record's page is, and open it where there is a display")
    view.add_argument("folder", metavar="DIR", help="the --out of an earlier run")


def _command(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=purpose, description=f"{purpose[:1].upper()}{purpose[1:]}.")
    every = command.add_argument_group("every command")
    every.add_argument("--json", action="store_true", help="print one JSON object")
    every.add_argument("--device", metavar="D", default="cpu", help="cpu, cuda, cuda:1, mps (default: %(default)s)")
    every.add_argument("--dtype", metavar="T", help="float32, bfloat16 or float16 (default: the model's own)")
    every.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(command=_late(name), name=name)
    return command


def _seed(group: Any, *also: str) -> None:
    group.add_argument(
        "--seed", *also, metavar="K", type=words.seeds, nargs="+", default=[[0]], help="seeds of the noise (default: 0)"
    )


def _weights(command: Any) -> None:
    group = command.add_argument_group("which weights, and where they wait")
    group.add_argument(
        "--lora",
        metavar="EXPERT=FILE",
        type=words.lora,
        action="append",
        help="safetensors to merge into high_noise or low_noise, or transformer where there is one",
    )
    _revision(group)
    _offload(group)


def _revision(group: Any) -> None:
    group.add_argument("--revision", metavar="R", help="revision of a hub id")


def _offload(group: Any) -> None:
    group.add_argument(
        "--offload", metavar="O", default="none", help="none, model or group: what waits on the CPU (default: none)"
    )


def _overwrite(command: Any) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace the record that the folder holds")


def _late(name: str) -> Callable[[argparse.Namespace], None]:
    """The function of a command, imported when it is called."""
    return lambda options: importlib.import_module(f"stepscope.cli.{name}").run(options)
