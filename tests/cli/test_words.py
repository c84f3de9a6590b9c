"""What a single word on the command line may mean."""

from argparse import ArgumentTypeError

import pytest

from stepscope.cli import words
from stepscope.cli.parser import parse
from stepscope.errors import BadInputError


@pytest.mark.parametrize("argv", [["--seed", "3", "1", "2"], ["--seed", "3,1,2"], ["--seed", "3,1", "2", "3"]])
def test_seeds_come_singly_or_behind_commas(argv):
    assert parse(["demo", *argv]).seeds == [3, 1, 2]


def test_one_seed_is_the_default():
    assert parse(["demo"]).seeds == [0]


@pytest.mark.parametrize(
    ("word", "dial"),
    [
        ("size=11", ("size", 11)),
        ("named=True", ("named", True)),
        ("named=false", ("named", False)),
        ("path-length=[8,12]", ("path_length", (8, 12))),
        ("kind=circle", ("kind", "circle")),
        ("rate=0.5", ("rate", 0.5)),
    ],
)
def test_dials_are_values(word, dial):
    assert words.dial(word) == dial


@pytest.mark.parametrize("word", ["size", "=3", "size="])
def test_a_dial_needs_both_halves(word):
    with pytest.raises(ArgumentTypeError, match=r"KEY=VALUE"):
        words.dial(word)


@pytest.mark.parametrize("word", ["one", "1.5", "1,,2"])
def test_a_seed_is_a_whole_number(word):
    with pytest.raises(ArgumentTypeError, match=r"whole numbers"):
        words.seeds(word)


def test_recorders_come_singly_or_behind_commas():
    options = parse(["record", "embedded", "--out", "x", "--record", "a,b", "--record", "c"])
    assert words.listed(options.record) == ["a", "b", "c"]


def test_an_experiment_has_options_of_its_own():
    given = ["--mode", "renoise", "--at=[1,2]", "--latent-frames", "0:5:2", "--strength", "0.5"]
    assert words.choices(given) == {"mode": "renoise", "at": (1, 2), "latent_frames": "0:5:2", "strength": 0.5}


@pytest.mark.parametrize("given", [["--mode"], ["mode", "renoise"], ["--mode", "renoise", "add"]])
def test_an_option_needs_a_name_and_a_value(given):
    with pytest.raises(BadInputError, match=r"--key value"):
        words.choices(given)


def test_no_other_command_takes_what_it_does_not_know():
    with pytest.raises(BadInputError, match=r"[Uu]nrecognized arguments: --mode renoise"):
        parse(["demo", "--mode", "renoise"])
