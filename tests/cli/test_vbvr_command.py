"""`stepscope vbvr`: three kits are told apart, floors come first, and a kit that fails its test gives no headline."""

import json
import shutil
import sys

import numpy as np
import pytest

import vbvr_kits as kits
from cli.test_mistakes import KNOWS, TOYS
from stepscope.cli import main
from stepscope.store.vbvr_video import count_frames, read_mp4


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return kits.make_truth(tmp_path_factory.mktemp("truth") / "GT")


@pytest.fixture
def vbvr(capsys):
    """Run an action that succeeds: what it says on stdout (as JSON) and on stderr."""

    def run(*argv, as_json=True):
        assert main(["vbvr", *map(str, argv), *(["--json"] if as_json else [])]) == 0
        captured = capsys.readouterr()
        return (json.loads(captured.out) if as_json else captured.out), captured.err.splitlines()

    return run


def kit_words(action, kit, truth):
    return [action, "--evalkit", kit, "--python", sys.executable, "--data", truth]


def test_an_honest_kit_passes(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "honest", opencv="4.13.0")
    before = sorted(kit.rglob("*"))
    found, complaints = vbvr(*kit_words("selftest", kit, truth))
    assert found["passed"] is True
    assert found["faults"] == complaints == []
    assert found["ground_truth"]["task_specific"] == pytest.approx(1, abs=0.01)
    assert found["ground_truth"]["weighted"] == pytest.approx(0.9, abs=0.01)
    assert set(found["floors"]) == {"still", "teleport"}
    assert found["floors"]["still"]["task_specific"] < 0.05
    assert found["kit"]["opencv"] == "4.13.0"
    assert sorted(kit.rglob("*")) == before  # not even byte code


def test_a_kit_that_is_kind_to_still_videos_is_found(vbvr, truth, tmp_path):
    found, _ = vbvr(*kit_words("selftest", kits.make_kit(tmp_path / "kit", "kind"), truth))
    assert found["passed"] is False
    assert len(found["faults"]) == 2
    assert all("nothing happens" in fault for fault in found["faults"])
    assert found["floors"]["still"]["task_specific"] >= 0.8
    assert found["kit"]["opencv"] is None
    told, _ = vbvr(*kit_words("selftest", tmp_path / "kit", truth), as_json=False)
    assert "OpenCV unknown" in told.splitlines()[0]


def test_a_kit_that_is_blind_to_the_ground_truth_is_found(vbvr, truth, tmp_path):
    found, _ = vbvr(*kit_words("selftest", kits.make_kit(tmp_path / "kit", "blind"), truth))
    assert found["passed"] is False
    assert found["ground_truth"] == {"task_specific": 0.0, "weighted": 0.0}
    assert all("invalid index to scalar variable" in fault for fault in found["faults"])
    assert "O-34_dot_to_dot_task, O-39_maze" in found["faults"][0]


def test_a_wrong_opencv_is_found(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "honest", opencv="5.0.0.93")
    found, _ = vbvr(*kit_words("selftest", kit, truth))
    assert found["passed"] is False
    assert "OpenCV 5.0.0.93" in found["faults"][0]


def test_a_score_with_its_intervals(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "honest")
    videos = kits.make_videos(tmp_path / "V", kits.answer)
    found, complaints = vbvr(*kit_words("score", kit, truth), "--videos", videos)
    assert (found["n"], found["unscored"], complaints) == (3, 0, [])
    low, high = found["task_specific"]["ci95"]
    assert low <= found["task_specific"]["value"] <= high
    assert found["task_specific"]["value"] == pytest.approx(1, abs=0.02)
    assert found["weighted"]["value"] == pytest.approx(0.9, abs=0.02)
    assert {name: part["n"] for name, part in found["by_category"].items()} == {"Knowledge": 1, "Spatiality": 2}
    assert found["by_category"]["Knowledge"]["weighted"]["ci95"] is None  # one puzzle has no interval
    assert found["passed"] is True


def test_floors_are_printed_before_the_score(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "honest")
    out, _ = vbvr(
        *kit_words("score", kit, truth), "--videos", kits.make_videos(tmp_path / "V", kits.answer), as_json=False
    )
    places = [out.index(word) for word in ("still", "teleport", "ground truth", "passed", "3 videos scored", "score  ")]
    assert places == sorted(places)


def test_no_headline_from_a_kit_that_failed(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "kind")
    words = [*kit_words("score", kit, truth), "--videos", kits.make_videos(tmp_path / "V", kits.answer)]
    found, _ = vbvr(*words)
    assert found["task_specific"] is found["weighted"] is None
    assert found["by_category"] == {}
    assert found["faults"]
    told, _ = vbvr(*words, "--despite-faults", as_json=False)
    assert told.index("FAULT") < told.index("not a headline")


def test_no_score_is_printed_for_people_either(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "blind")
    words = [*kit_words("score", kit, truth), "--videos", kits.make_videos(tmp_path / "V", kits.answer)]
    out, _ = vbvr(*words, as_json=False)
    assert "No score is printed" in out
    assert "weighted [" not in out


def test_unscored_is_not_zero(vbvr, truth, tmp_path):
    kit = kits.make_kit(tmp_path / "kit", "honest")
    videos = kits.make_videos(tmp_path / "V", kits.answer)
    black = np.zeros((kits.FRAMES, 32, 32, 3), np.uint8)
    kits.make_videos(videos, lambda place: black, kits.PLACES[:1])
    (videos / kits.PLACES[1].path.with_suffix(".mp4")).unlink()
    found, complaints = vbvr(*kit_words("score", kit, truth), "--videos", videos)
    assert (found["n"], found["unscored"]) == (1, 2)
    assert found["task_specific"]["value"] > 0.95
    assert len(complaints) == 2
    assert "missing" in complaints[0]
    assert "black" in complaints[1]


def test_an_unreadable_ground_truth_is_left_out(vbvr, truth, tmp_path):
    damaged = shutil.copytree(truth, tmp_path / "GT")
    (damaged / kits.PLACES[0].path / "ground_truth.mp4").write_bytes(b"\0" * 99)
    found, complaints = vbvr(*kit_words("selftest", kits.make_kit(tmp_path / "kit", "honest"), damaged))
    assert found["passed"] is True
    assert len(complaints) == 1
    assert "ground_truth.mp4" in complaints[0]


def test_export_and_self_test_of_a_task(vbvr, tmp_path):
    words = [
        "export",
        "--task",
        "maze",
        "--samples",
        2,
        "--dial",
        "size=3",
        "--dial",
        "num_frames=5",
        "--out",
        tmp_path / "GT",
    ]
    assert vbvr(*words)[0]["written"] == 2
    folder = tmp_path / "GT" / "In-Domain_50" / "maze_data-generator" / "00001"
    assert {path.name for path in folder.iterdir()} == {
        "first_frame.png",
        "final_frame.png",
        "ground_truth.mp4",
        "prompt.txt",
        "frames",
    }
    assert count_frames(folder / "ground_truth.mp4") == len(list((folder / "frames").iterdir())) == 5
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    vbvr(*words)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    found, complaints = vbvr(*kit_words("selftest", kits.make_kit(tmp_path / "kit", "honest"), tmp_path / "GT"))
    assert (found["passed"], complaints) == (True, [])


def test_a_task_of_ones_own_is_exported_and_answered(vbvr, tmp_path):
    truth, out = tmp_path / "GT", tmp_path / "V"
    vbvr("export", "--task", f"{TOYS}:Fade", "--samples", 2, "--out", truth)
    words = ["generate", f"{TOYS}:Grey", "--data", truth, "--steps", 2, "--seed", 0, 1, "--out", out]
    found, complaints = vbvr(*words)
    assert (found["written"], found["kept"], complaints) == (4, 0, [])
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.mp4"))
    assert files[0] == "seed-0/In-Domain_50/fade_data-generator/00000.mp4"
    assert read_mp4(out / files[0]).shape == (5, 8, 8, 3)
    (out / files[2]).unlink()
    found, _ = vbvr(*words)
    assert (found["written"], found["kept"]) == (1, 3)


def test_the_steps_are_kept_on_request(vbvr, truth, tmp_path):
    from safetensors import safe_open

    out = tmp_path / "V"
    small = kits.make_truth(tmp_path / "GT", kits.PLACES[:1])
    for path in small.rglob("first_frame.png"):
        from PIL import Image

        Image.new("RGB", (8, 8)).save(path)
    vbvr("generate", f"{TOYS}:Grey", "--data", small, "--steps", 3, "--keep-steps", "--out", out)
    with safe_open(out / kits.PLACES[0].path.with_suffix(".safetensors"), "pt") as unit:
        assert unit.get_slice("clean_estimates").get_shape() == [3, 3, 5, 8, 8]


def test_a_question_that_cannot_be_used_does_not_stop_the_others(vbvr, tmp_path):
    truth = tmp_path / "GT"
    vbvr("export", "--task", f"{TOYS}:Fade", "--samples", 3, "--out", truth)
    folder = truth / "In-Domain_50" / "fade_data-generator"
    (folder / "00000" / "first_frame.png").write_bytes(b"damaged")
    (folder / "00002" / "prompt.txt").write_text(" ")
    found, complaints = vbvr("generate", f"{TOYS}:Grey", "--data", truth, "--steps", 1, "--out", tmp_path / "V")
    assert found["written"] == 1
    assert len(complaints) == 2
    assert "first_frame.png" in complaints[0]
    assert "prompt" in complaints[1]


@pytest.mark.parametrize(
    "link", ["00001.mp4", "00001.safetensors", "seed-1", "loop"], ids=["video", "steps", "folder of a run", "itself"]
)
def test_a_link_that_leads_out_costs_its_own_videos_alone(vbvr, tmp_path, link):
    truth, out, outside = tmp_path / "GT", tmp_path / "V", tmp_path / "outside"
    vbvr("export", "--task", f"{TOYS}:Fade", "--samples", 3, "--out", truth)
    words = ["generate", f"{TOYS}:Grey", "--data", truth, "--steps", 1, "--seed", 0, 1, "--keep-steps", "--out", out]
    vbvr(*words)
    outside.mkdir()
    if link == "seed-1":
        shutil.rmtree(out / link)
        (out / link).symlink_to(outside)
    else:
        path = out / "seed-1" / "In-Domain_50" / "fade_data-generator" / (link if link != "loop" else "00001.mp4")
        for suffix in (".mp4", ".safetensors"):
            path.with_suffix(suffix).unlink()
        path.symlink_to(path if link == "loop" else outside / "nowhere")
    (out / "seed-0" / "In-Domain_50" / "fade_data-generator" / "00002.mp4").unlink()
    found, complaints = vbvr(*words)
    assert found["written"] == 1
    assert len(complaints) == (3 if link == "seed-1" else 1)
    assert all("leads out of the output folder" in line for line in complaints)
    assert list(outside.iterdir()) == []


def test_what_generate_leaves_beside_its_videos_is_no_stranger(vbvr, truth, tmp_path):
    exported, out = tmp_path / "GT", tmp_path / "V"
    vbvr("export", "--task", f"{TOYS}:Fade", "--samples", 2, "--out", exported)
    words = ["--data", exported, "--steps", 1, "--seed", 0, 1, "--keep-steps", "--out", out]
    vbvr("generate", f"{TOYS}:Grey", *words)
    kit = kits.make_kit(tmp_path / "kit", "honest")
    assert vbvr(*kit_words("score", kit, exported), "--videos", out)[1] == []
    (out / "seed-1" / "notes.txt").write_text("")
    (out / "seed-1" / "In-Domain_50" / "fade_data-generator" / "00007.safetensors").write_bytes(b"")
    shutil.copytree(truth, out / "elsewhere")
    complaints = vbvr(*kit_words("score", kit, exported), "--videos", out)[1]
    assert [line.rpartition("/")[2].partition("'")[0] for line in complaints] == [
        "elsewhere",
        "00007.safetensors",
        "notes.txt",
    ]
    assert complaints[0].startswith("The folder")
    assert all("answers no question" in line for line in complaints)


BROKEN = {"crash": "import sys; sys.exit('out of order')", "junk": "open({path!r}, 'w').write('no json')", "silent": ""}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_kit_that_cannot_score(capsys, truth, tmp_path, fault):
    kit = kits.make_kit(tmp_path / "kit", "honest")
    source = "import sys\nout = sys.argv[sys.argv.index('--output_dir') + 1] + '/x_vbvr_results.json'\n"
    (kit / "run_evaluation.py").write_text(source + BROKEN[fault].replace("{path!r}", "out"))
    assert main(["vbvr", *map(str, kit_words("selftest", kit, truth))]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "run_evaluation.py" in told
    assert fault != "crash" or "out of order" in told
    assert (fault == "silent") == ("wrote no result" in told)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["selftest", "--evalkit", "{kit}", "--python", "no-such-python", "--data", "{truth}"], "no-such-python"),
        (["selftest", "--evalkit", "{truth}", "--python", sys.executable, "--data", "{truth}"], "evaluate.py"),
        (["selftest", "--evalkit", "{kit}", "--python", sys.executable, "--data", "{kit}"], "In-Domain_50"),
        (["selftest", "--evalkit", "{kit}", "--python", sys.executable], "--data"),
        (["score", "--evalkit", "{kit}", "--python", sys.executable, "--data", "{truth}"], "--videos"),
        (["score", "--evalkit", "{kit}", "--python", sys.executable, "--data", "{truth}", "--videos", "none"], "none"),
        (["selftest", "--evalkit", "{kit}", "--python", "x", "--data", "{truth}", "--limit", "0"], "--limit came as 0"),
        (["export", "--task", "labyrinth", "--out", "{out}"], "labyrinth"),
        (["export", "--task", "maze", "--out", "{truth}"], "not of this command"),
        (["export", "--task", "maze", "--dial", "sise=3", "--out", "{out}"], "Unknown dial 'sise'"),
        (["generate", KNOWS, "--data", "{truth}", "--out", "{out}", "--steps", "0"], "--steps came as 0"),
        (["generate", f"{TOYS}:Nobody", "--data", "{truth}", "--out", "{out}"], "Nobody"),
        (["generate", KNOWS, "--data", "{truth}", "--record", "token-energy", "--out", "{out}"], "--keep-steps"),
        (["dance"], "dance"),
        ([], "ACTION"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_mistakes(capsys, truth, tmp_path, argv, said):
    kit = kits.make_kit(tmp_path / "kit", "honest")
    places = {"kit": kit, "truth": truth, "out": tmp_path / "out"}
    before = sorted(truth.rglob("*"))
    assert main(["vbvr", *(word.format(**places) for word in argv)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert sorted(truth.rglob("*")) == before
    assert not (tmp_path / "out").exists()
