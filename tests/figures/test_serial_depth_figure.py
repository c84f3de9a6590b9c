"""The figure of serial depth: one line a number of steps, from the results alone."""

import pytest

from stepscope.errors import BadInputError
from stepscope.figures import serial_depth


def interval(value):
    return {"value": value, "ci95": [value - 0.1, value + 0.1], "n": 8}


def with_steps(num_steps, gap=0.3):
    depths = [
        {"depth": 0, "success": interval(0.9), "twin_success": None},
        {"depth": 1, "success": interval(0.6), "twin_success": interval(0.9)},
        {"depth": 2, "success": {"value": 0.5, "ci95": None, "n": 1}, "twin_success": interval(0.9)},
    ]
    return {"num_steps": num_steps, "depths": depths, "gap": None if gap is None else interval(gap)}


def result(experiment="serial-depth"):
    found = [with_steps(1, gap=None), with_steps(4), with_steps(20)]
    return {"experiment": experiment, "model": "toy", "metrics": {"n": 24, "num_steps": 20, "by_steps": found}}


def test_each_number_of_steps_has_its_lines():
    figure = serial_depth.draw(result())
    success, gap = figure.axes
    assert [line.get_label() for line in success.lines if line.get_linestyle() == "-"] == ["1", "4", "20"]
    assert list(success.lines[0].get_ydata()) == [0.9, 0.6, 0.5]
    assert list(success.lines[1].get_xdata()) == [1, 2]
    assert [line.get_xdata()[0] for line in gap.lines[:2]] == [4, 20]
    assert list(success.get_xticks()) == [0, 1, 2]


def test_the_result_of_another_experiment_is_refused():
    with pytest.raises(BadInputError, match="'commitment'"):
        serial_depth.draw(result(experiment="commitment"))
