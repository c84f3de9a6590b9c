"""Which weights, and where they wait: the options that every command with a model shares."""

import pytest

from stepscope.cli import main
from stepscope.cli.parser import parse
from stepscope.cli.settings import reference_of

COMMANDS = {
    "record": ["record", "MODEL", "--task", "maze", "--out", "o"],
    "run": ["run", "commitment", "MODEL", "--task", "maze", "--out", "o"],
    "generate": ["generate", "MODEL", "--task", "maze", "--out", "o"],
    "vbvr generate": ["vbvr", "generate", "MODEL", "--data", "d", "--out", "o"],
}


@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_a_command_names_its_model_whole(argv):
    plain = reference_of(parse(argv))
    assert (plain.source, plain.loras, plain.revision, plain.offload) == ("MODEL", (), None, "none")
    words = ["--revision", "v2", "--offload", "group", "--lora", "low_noise=a.safetensors", "--device", "cuda:1"]
    whole = reference_of(parse([*argv, *words]))
    assert (whole.revision, whole.offload, whole.device) == ("v2", "group", "cuda:1")
    assert whole.loras == (("low_noise", "a.safetensors"),)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--offload", "model"], "needs an accelerator"),
        (["--offload", "disk"], "Known: group, model, none"),
        (["--revision", "v2"], "Only a hub id has revisions"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(words, told, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["record", str(tmp_path), "--task", "maze", "--out", str(out), *words]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert not out.exists()
