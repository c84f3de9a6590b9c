"""The layout of VBVR-Bench: whatever lies in a folder, the rest is read, and nothing outside is written."""

import shutil

import numpy as np
import pytest

import vbvr_kits as kits
from stepscope.errors import BadInputError, OutputError, RecordError, UnknownNameError
from stepscope.store import vbvr_names
from stepscope.store.vbvr import Place, find_videos, read_ground_truth
from stepscope.store.vbvr_names import SPLITS, bench_name, category_of, split_of_task
from stepscope.store.vbvr_video import count_frames, mp4_bytes, read_mp4, read_png, write_mp4
from stepscope.store.vbvr_writing import claim, claimed, inside, scratch, show, write_floor, write_question

MAZE = kits.PLACES[0].path.parent


@pytest.fixture
def truth(tmp_path):
    return kits.make_truth(tmp_path / "GT")


def samples(folder, **options):
    return read_ground_truth(folder, **options).samples


def test_there_are_a_hundred_tasks_in_two_halves():
    tasks = list(vbvr_names._TASKS)
    assert len(tasks) == 100
    assert [sum(split_of_task(task) == split for task in tasks) for split in SPLITS] == [50, 50]
    assert len({category_of(task) for task in tasks}) == 5
    assert all(bench_name(f"{task}_data-generator") == bench_name(task) == task for task in tasks)


def test_names_that_are_met_elsewhere_are_known_and_others_refused():
    assert bench_name("O-4_symbol_substitution_data-generator") == "O-60_symbol_substitute"
    assert bench_name("maze", own={"maze"}) == "maze"
    for name, near in (("O-39_mazes", "O-39_maze"), ("maze", "O-39_maze"), ("../..", "No name is near it")):
        with pytest.raises(UnknownNameError, match=near):
            bench_name(name)


def test_a_written_question_is_read_back(truth):
    found = read_ground_truth(truth)
    assert [sample.place for sample in found.samples] == sorted(kits.PLACES)
    assert found.complaints == ()
    assert found.samples[0].prompt == "Question 0"
    folder = truth / kits.PLACES[1].path
    exact = kits.answer(kits.PLACES[1])
    lossless = np.stack([read_png(path) for path in sorted((folder / "frames").iterdir())])
    assert np.array_equal(lossless, exact)
    assert np.array_equal(read_png(folder / "final_frame.png"), exact[-1])
    assert np.abs(read_mp4(folder / "ground_truth.mp4").astype(int) - exact).mean() < 3
    assert [sample.place.index for sample in samples(truth, limit=1)] == [0, 0]


def test_what_does_not_fit_is_told_and_the_rest_goes_on(truth):
    (truth / MAZE / "00001" / "prompt.txt").unlink()
    (truth / MAZE / "1").mkdir()
    (truth / MAZE / "..;rm -rf\n").mkdir()
    (truth / SPLITS[0] / "O-99_nothing_data-generator").mkdir()
    shutil.copytree(truth / MAZE, truth / SPLITS[0] / MAZE.name)  # in the wrong half
    (truth / "Somewhere").mkdir()
    (truth / "VBVR-Bench.json").write_text("{}")
    found = read_ground_truth(truth)
    assert [sample.place for sample in found.samples] == [kits.PLACES[2], kits.PLACES[0]]
    for told in ("prompt.txt", "five digits", "O-99_nothing", "belongs to Out-of-Domain_50", "Somewhere"):
        assert sum(told in line for line in found.complaints) >= 1
    assert len(found.complaints) == 6
    assert not any("\n" in line for line in found.complaints)


def test_one_question_under_two_names_is_taken_once(tmp_path):
    place = Place("O-60_symbol_substitute", 0)
    write_question(tmp_path, place, "Swap", kits.answer(place))
    shutil.copytree(tmp_path / place.path.parent, tmp_path / SPLITS[1] / "O-4_symbol_substitution_data-generator")
    found = read_ground_truth(tmp_path)
    assert [sample.place for sample in found.samples] == [place]
    assert "twice" in found.complaints[0]


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: (folder / SPLITS[0]).mkdir(parents=True)])
def test_folders_without_questions_are_refused(tmp_path, make):
    make(tmp_path / "GT")
    with pytest.raises(BadInputError, match="GT"):
        read_ground_truth(tmp_path / "GT")


def test_videos_of_every_fault(truth, tmp_path):
    videos = kits.make_videos(tmp_path / "V", kits.answer, kits.PLACES[:1])
    folder = videos / MAZE
    (folder / "00001.mp4").write_bytes(b"no video at all")
    (folder / "..mp4").write_bytes(b"")
    (folder / "é\n00000.mp4").write_bytes(b"")
    write_mp4(videos / kits.PLACES[2].path.with_suffix(".mp4"), kits.answer(kits.PLACES[2], count=3))
    found = find_videos(videos, samples(truth))
    assert dict(found.runs) == {"": {kits.PLACES[0]: folder / "00000.mp4"}}
    told = {
        word: sum(word in line for line in found.complaints) for word in ("read", "3 frames", "answers no question")
    }
    assert told == {"read": 1, "3 frames": 1, "answers no question": 2}
    assert len(found.complaints) == 4
    (folder / "00000.mp4").unlink()
    assert "missing" in find_videos(videos, samples(truth)).complaints[2]


@pytest.mark.parametrize(("count", "asked", "accepted"), [(9, None, 3), (9, 6, 0), (1, None, 0)])
def test_the_right_length_is_what_most_have(truth, tmp_path, count, asked, accepted):
    """A model has a length of its own; only who differs from the others is wrong."""
    videos = kits.make_videos(tmp_path / "V", lambda place: kits.answer(place, count))
    found = find_videos(videos, samples(truth), asked)
    assert len(found.runs[""]) == accepted
    assert len(found.complaints) == 3 - accepted


def test_a_single_video_is_compared_with_the_ground_truth(truth, tmp_path):
    videos = kits.make_videos(tmp_path / "V", lambda place: kits.answer(place, 5), kits.PLACES[:1])
    assert not find_videos(videos, samples(truth)[-1:]).runs[""]
    assert find_videos(videos, samples(truth), 5).runs[""]


def test_several_seeds(truth, tmp_path):
    for seed in (0, 7):
        kits.make_videos(tmp_path / "V" / f"seed-{seed}", kits.answer)
    found = find_videos(tmp_path / "V", samples(truth))
    assert {run: len(files) for run, files in found.runs.items()} == {"seed-0": 3, "seed-7": 3}


def test_floors(truth, tmp_path):
    sample = samples(truth)[1]
    first, *_, final = kits.answer(sample.place).astype(int)
    for floor, last in (("still", first), ("teleport", final)):
        write_floor(tmp_path / floor, sample, floor)
        frames = read_mp4(tmp_path / floor / sample.place.path.with_suffix(".mp4"))
        assert len(frames) == kits.FRAMES
        assert np.abs(frames[0] - first).mean() < 3
        assert np.abs(frames[-1] - last).mean() < 3
    (sample.folder / "ground_truth.mp4").write_bytes(b"")
    with pytest.raises(RecordError, match=r"ground_truth\.mp4"):
        write_floor(tmp_path / "again", sample, "still")


def test_nothing_outside_the_folder_is_written(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / SPLITS[1]).symlink_to(outside)
    with pytest.raises(OutputError, match="leads out"):
        write_question(out, kits.PLACES[0], "Out?", kits.answer(kits.PLACES[0]))
    assert list(outside.iterdir()) == []
    with pytest.raises(OutputError, match="leads out"):
        inside(out, kits.PLACES[0].path / "../../../../../x")


def test_a_folder_is_claimed_once(tmp_path):
    facts = {"task": "maze", "n": 2}
    claim(tmp_path / "out", facts)
    claim(tmp_path / "out", facts)
    assert claimed(tmp_path / "out") == facts
    with pytest.raises(OutputError, match="differs in n"):
        claim(tmp_path / "out", {"task": "maze", "n": 3})
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not of this command"):
        claim(tmp_path / "foreign", facts)
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["thesis.txt"]


def test_scratch_is_gone_afterwards(tmp_path):
    (tmp_path / "file").write_text("kept")
    with scratch() as folder:
        show(folder / "links", {tmp_path.__class__("a/b"): tmp_path / "file"})
        assert (folder / "links/a/b").read_text() == "kept"
    assert not folder.exists()
    assert (tmp_path / "file").read_text() == "kept"


def test_equal_frames_make_equal_files_of_any_size(tmp_path):
    odd = np.random.default_rng(0).integers(0, 256, (3, 31, 33, 3), dtype=np.uint8)
    assert mp4_bytes(odd) == mp4_bytes(odd)
    write_mp4(tmp_path / "odd.mp4", odd)
    assert read_mp4(tmp_path / "odd.mp4").shape == odd.shape
    assert count_frames(tmp_path / "odd.mp4") == 3


def test_without_pyav_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(BadInputError, match=r"stepscope\[video\]"):
        mp4_bytes(np.zeros((1, 8, 8, 3), np.uint8))
