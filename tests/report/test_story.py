"""The headline says what the numbers say, and no more."""

import pytest

from stepscope.report.story import Facts, detail, from_here_on, headline, letter


def curve(*values: float) -> list[list[float]]:
    return [[step, value] for step, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "step"), [((0.95, 0.2, 0.91, 0.99), 2), ((0.9, 0.9), 0), ((0.95, 0.89), None), ((), None)]
)
def test_a_threshold_must_hold_to_the_end(values, step):
    assert from_here_on(curve(*values), lambda v: v >= 0.9) == step


def two(a: tuple, success: bool | None = True, progress: float | None = 1.0) -> Facts:
    return Facts(len(a), (curve(*a), curve(*(1 - v for v in a))), success=success, progress=progress)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (two((0.5, 0.4, 0.05, 0.0)), "Both solutions stayed open until step 2; then the model chose B. Solved."),
        (two((0.89, 0.95, 1.0, 1.0)), "The model settled on solution A at step 1 of 4. Solved."),
        (two((1.0, 1.0)), "The model had chosen solution A at the very first step. Solved."),
        (
            two((0.5, 0.6), success=False, progress=0.43),
            "The model never chose for good: A holds 60%, B holds 40% at the last step. Not solved: 43% of the way.",
        ),
        (two((0.0, 0.0), success=None), "The model had chosen solution B at the very first step."),
    ],
)
def test_headline_of_a_choice(facts, sentence):
    assert headline(facts) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0.4, 0.2, 0.05), "The model reached the solution at step 2 of 3 and kept it."),
        ((0.01, 0.0, 0.0), "The model knew the solution at the very first step."),
        ((0.05, 0.3, 0.2), "The model never reached the solution for good."),
    ],
)
def test_headline_of_a_discovery(values, sentence):
    assert headline(Facts(3, (curve(1.0, 1.0, 1.0),), knowledge=curve(*values))) == sentence


def test_headline_without_a_task_speaks_of_the_picture_alone():
    facts = Facts(4, settling=curve(1.0, 0.5, 0.1, 0.0))
    assert headline(facts) == "By step 2 of 4, nine tenths of the way to the final video were done."
    assert detail(facts) == ""


def test_detail_gives_knowledge_and_the_observer():
    weights = (curve(0.5, 0.5, 1.0), curve(0.5, 0.5, 0.0))
    observer = (curve(0.5, 0.95, 1.0), curve(0.5, 0.05, 0.0))
    said = detail(Facts(3, weights, observer, knowledge=curve(0.31, 0.2, 0.02)))
    assert "from 0.31 at the first step to 0.02 at the last" in said
    assert "the ideal observer had chosen at step 1" in said


def test_letters():
    assert [letter(0), letter(25), letter(26)] == ["A", "Z", "#27"]
