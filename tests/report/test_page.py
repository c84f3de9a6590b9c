"""The page is one offline file, small, safe, and a pure function of a record."""

import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
import synthetic
from PIL import Image

from stepscope.report import page_bytes, page_data, render
from stepscope.store import open_record

HOSTILE = "</script><script>alert(1)</script><!-- {{script}} {{data}} & \u2028 “maze”"
TRACE_KEYS = {
    *("sample", "seed", "branch", "task", "prompt", "model_calls", "headline", "detail", "success", "progress"),
    *("answer", "num_steps", "num_frames", "sigmas", "delta", "final_candidate", "choice_step", "knowledge_step"),
    *("finals", "answers", "series", "settling", "settling_map", "width", "height", "source_width", "source_height"),
    *("steps", "frames", "columns", "sheets", "first_frame", "solutions"),
}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return synthetic.maze_record(tmp_path_factory.mktemp("maze") / "out", prompt=HOSTILE)


@pytest.fixture(scope="module")
def page(record):
    return render(record).decode()


@pytest.fixture(scope="module")
def data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_data_has_its_schema(data):
    assert data["schema"] == "stepscope.page/1"
    assert set(data) == {"schema", "title", "model", "curves", "traces", "pictures", "provenance"}
    assert [set(trace) for trace in data["traces"]] == [TRACE_KEYS]
    trace = data["traces"][0]
    assert len(trace["sigmas"]) == trace["num_steps"] + 1 == synthetic.NUM_STEPS + 1
    assert len(trace["sheets"]) == len(trace["steps"]) == synthetic.NUM_STEPS
    assert trace["frames"] == list(range(synthetic.NUM_FRAMES))


def test_curves_equal_the_table(data, record):
    rows = record.table().to_pylist()
    final = data["traces"][0]["final_candidate"]
    assert set(data["curves"]) >= {"success", "progress", "knowledge", "choice", "multiplicity"}
    for metric, points in data["curves"].items():
        candidate = final if metric == "choice" else None
        wanted = [r for r in rows if (r["metric"], r["strategy"], r["candidate"]) == (metric, "single", candidate)]
        assert points == [[r["step"], r["value"]] for r in wanted if r["step"] is not None]


def test_pictures_are_the_decoded_frames(data, record):
    trace = data["traces"][0]
    for step, uri in zip(trace["steps"], trace["sheets"], strict=True):
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
        frames = sheet.reshape(96, synthetic.NUM_FRAMES, 96, 3).swapaxes(0, 1)
        np.testing.assert_array_equal(frames, record.trace().frames(step))


def test_the_policy_comes_first_and_names_what_is_there(page):
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy[1].startswith("default-src 'none'")
    assert policy.start() < page.index("<style") < page.index("<script")
    for tag in ("style", "script"):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]


def test_the_page_names_no_other_place(page):
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)) == []
    assert not re.search(r"@import|<iframe|<object|\bfetch\(|XMLHttpRequest|WebSocket", page)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {"data:,", "#bench"}


def test_a_hostile_prompt_stays_text(page, data):
    assert data["traces"][0]["prompt"] == HOSTILE
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    assert "\u2028" not in page


def test_a_page_is_small_and_the_same_every_time(record, page):
    assert len(page.encode()) < 1_000_000
    assert page_bytes(page_data(open_record(record.folder))).decode() == page


def test_volatile_facts_stay_out(page, record):
    assert "run_seconds" in record.manifest["volatile"]
    assert "run_seconds" not in page
    assert str(record.folder) not in page


def test_provenance_is_complete(data):
    lines = dict(data["provenance"])
    assert lines["weights hash"] == synthetic.WEIGHTS_HASH
    assert lines["command"] == "stepscope record synthetic --out DIR"
    assert (lines["solver"], lines["schedule"], lines["shift"]) == ("euler", "paper", "8.0")
    assert lines["model calls · made"] == str(synthetic.NUM_STEPS)
    assert lines["versions · torch"]


def test_a_record_without_a_task(tmp_path):
    data = page_data(synthetic.own_image_record(tmp_path / "out"))
    trace = data["traces"][0]
    assert (data["curves"], trace["series"], trace["solutions"], trace["success"]) == ({}, [], [], None)
    assert "<b>" not in page_bytes(data).decode().partition("</head>")[0]
    assert trace["settling"][0] == [0, 1.0]
    assert trace["settling"][-1] == [synthetic.NUM_STEPS - 1, 0.0]


def test_frames_that_were_not_stored_are_not_invented(tmp_path):
    data = page_data(synthetic.own_image_record(tmp_path / "out", keep=(None,)))
    trace = data["traces"][0]
    assert trace["steps"] == [synthetic.NUM_STEPS - 1]
    assert f"1 of {synthetic.NUM_STEPS} steps" in data["pictures"]["note"]


def test_noise_at_full_size_is_lowered_until_it_fits(tmp_path):
    record = synthetic.noise_record(tmp_path / "out")
    data = page_data(record)
    assert len(page_bytes(data)) <= 5_000_000
    assert "lowered to keep the page below 5 MB" in data["pictures"]["note"]
    assert data["pictures"]["codec"] != "WebP, lossless"
