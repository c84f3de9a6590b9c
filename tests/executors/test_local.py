"""Carrying out a recording: what is planned is what is made, and nothing is paid for before it can be done."""

from dataclasses import replace

import numpy as np
import pytest

from stepscope.errors import UserError
from stepscope.executors import ModelReference, Recording, Settings, carry_out, prepare, sample_digest
from stepscope.store import create, open_record
from stepscope.tasks import Sample, Score

DENOISER = """
class Grey:
    latents_shape = (3, 5, 8, 8)

    def velocity(self, latents, sigma, samples):
        return latents / sigma
"""


def picture(level=128, prompt="fade", frames=5):
    return Sample(prompt, np.full((8, 8, 3), level, np.uint8), frames)


@pytest.fixture
def reference(tmp_path):
    (tmp_path / "grey.py").write_text(DENOISER)
    return ModelReference(f"{tmp_path / 'grey.py'}:Grey")


@pytest.mark.parametrize(("solver", "calls"), [("euler", 4), ("heun", 7), ("unipc", 4)])
def test_planned_calls_are_made(reference, tmp_path, solver, calls):
    recording = Recording(reference, (picture(),), (0, 1), Settings(num_steps=4, solver=solver))
    job = prepare(recording, reference.load())
    result = carry_out(job, create(tmp_path / "out", job.identity)).result
    assert result.planned == result.made == 2 * calls


def test_every_step_and_every_decoding_is_told(reference, tmp_path):
    job = prepare(Recording(reference, (picture(),), (0, 1), Settings(num_steps=3)), reference.load())
    ticks = []
    carry_out(job, create(tmp_path / "out", job.identity), lambda: ticks.append(1))
    assert len(ticks) == job.num_ticks == 12


def test_a_unit_is_known_by_everything_that_it_holds():
    plain = Sample("fade", np.full((8, 8, 3), 9, np.uint8), 5, task="fade", seed=1, state={"a": 1})
    video = np.zeros((5, 8, 8, 3), np.uint8)
    changes = (
        {"prompt": "other"},
        {"seed": 2},
        {"state": {"a": 2}},
        {"task": "fade-2"},
        {"solutions": (video,)},
        {"solutions": (video + 1,)},
        {"masks": {"sky": video[..., 0] > 0}},
        {"num_frames": 9},
        {"first_frame": plain.first_frame.transpose(1, 0, 2) + 1},
    )
    digests = [sample_digest(sample) for sample in (plain, *(replace(plain, **change) for change in changes))]
    assert len(set(digests)) == len(digests)
    assert sample_digest(replace(plain)) == digests[0]


class Fade:
    name, palette = "fade", {}

    def __init__(self, version=1):
        self.version = version

    def sample(self, seed, *, split="test"):
        return picture()

    def score(self, frames, sample):
        return Score(False, 0.0, None, f"Rule {self.version}.")


def test_another_version_of_a_task_is_another_unit(reference, tmp_path):
    model = reference.load()
    jobs = [prepare(Recording(reference, (picture(),), task=Fade(version)), model) for version in (1, 2, 1)]
    first, second, again = ([key for *_, key in job.units()] for job in jobs)
    assert first == again != second


def test_several_samples_go_into_one_folder(reference, tmp_path):
    samples = (picture(10), picture(200))
    job = prepare(Recording(reference, samples, (0,), Settings(num_steps=2)), reference.load())
    carry_out(job, create(tmp_path / "out", job.identity))
    first_frames = [trace.sample["first_frame"].flat[0] for trace in open_record(tmp_path / "out").traces()]
    assert sorted(first_frames) == [10, 200]


def test_order_and_company_do_not_matter(reference, tmp_path):
    """A unit has one name and one content, alone or among others."""
    model = reference.load()
    alone = prepare(Recording(reference, (picture(10),), (1,), Settings(num_steps=2)), model)
    among = prepare(Recording(reference, (picture(200), picture(10)), (0, 1), Settings(num_steps=2)), model)
    carry_out(alone, create(tmp_path / "alone", alone.identity))
    carry_out(among, create(tmp_path / "among", among.identity))
    ((_, _, key),) = alone.units()
    assert key in [unit_key for _, _, unit_key in among.units()]
    unit = f"units/{key}.safetensors"
    assert (tmp_path / "alone" / unit).read_bytes() == (tmp_path / "among" / unit).read_bytes()


def test_a_sample_is_known_by_its_content():
    digests = {sample_digest(sample) for sample in (picture(), picture(1), picture(prompt="go"), picture(frames=9))}
    assert len(digests) == 4
    assert sample_digest(picture()) == sample_digest(picture())


@pytest.mark.parametrize(
    "settings",
    [
        Settings(num_steps=0),
        Settings(solver="magic"),
        Settings(schedule="pipeline"),
        Settings(shift=-1.0),
        Settings(guidance=3.0),
        Settings(recorders=("token-energy",)),
        Settings(recorders=("magic",)),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_before_anything_is_computed(reference, settings):
    with pytest.raises(UserError):
        prepare(Recording(reference, (picture(),), (0,), settings), reference.load())


@pytest.mark.parametrize("sample", [picture(prompt=" "), object()], ids=["no words", "no sample"])
def test_what_is_no_question_is_refused(reference, sample):
    with pytest.raises(UserError):
        prepare(Recording(reference, (sample,)), reference.load())
