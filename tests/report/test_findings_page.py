"""The page of an experiment: every claim with its number, its figures, and nothing from anywhere else."""

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from devtools import Chromium

from stepscope.analysis import claims
from stepscope.report import findings_data, render
from stepscope.store import Identity, Manifest, Result, Row, build_table, create, open_record

HOSTILE = "</script><script>alert(1)</script> & {{data}}"
FIGURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 2"><rect width="4" height="2"/></svg>'


def told(id: str, value: float, ci95: tuple[float, float], n: int, control: bool | None) -> dict[str, Any]:
    return dict(claims.verdict(id, value, ci95, n, control).as_json())


CLAIMS = [
    told("superposition", 0.4, (0.3, 0.5), 40, True),
    told("early-commitment", 0.1, (0.0, 0.2), 40, True),
    told("self-correction", 0.01, (-0.1, 0.1), 40, None),
]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("findings") / "out"
    config = {"experiment": "commitment", "model": HOSTILE, "task": "maze", "samples": ["a", "b"]}
    writer = create(folder, Identity(config, "ab" * 32))
    shared = {"run": "r", "weights_hash": "ab" * 32, "sample": 0, "seed": 0}
    cells = [(0, "clean", 0.8), (0, "clean", 0.4), (1, "clean", 0.1), (1, "noise", 9.0), (None, "clean", 7.0)]
    rows = [Row(**shared, metric="knowledge", step=step, branch=branch, value=value) for step, branch, value in cells]
    writer.write_table(build_table([*rows, Row(**shared, metric="knowledge", step=0, frame=1, value=5.0)]))
    writer.write_result(Result("commitment", HOSTILE, planned=6, made=6, naive=8, claims=CLAIMS, metrics={"n": 2}))
    writer.write_manifest(
        Manifest({"python": "3"}, [1.0, 0.5, 0.0], [0], ["stepscope", "run", "commitment"], {"host": "somewhere"})
    )
    return open_record(folder)


@pytest.fixture(scope="module")
def page(record):
    return render(record, {"commitment": FIGURE}).decode()


def test_data_has_its_schema(record, page):
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data == findings_data(record, {"commitment": FIGURE})
    assert data["headline"] == "Of 3 claims: 1 supported, 1 contradicted, 1 inconclusive."
    assert "2 puzzles, 1 seed, 2 steps; 6 model calls instead of 8" in data["detail"]
    assert data["claims"][0]["delta"] == claims.get("superposition").delta


def test_curves_are_means_of_clean_runs(record):
    assert findings_data(record)["curves"] == {"knowledge": [[0, pytest.approx(0.6)], [1, 0.1]]}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_every_claim_is_told(page, claim):
    article = re.search(rf'<article class="claim {claim["verdict"]}" id="{claim["id"]}">(.*?)</article>', page)[1]
    assert claim["statement"] in article
    assert f"<b>{claim['value']:.3g}</b>" in article
    assert {True: "held", None: "not run"}[claim["control_passed"]] in article
    assert f"n {claim['n']}" in article


def test_dot_and_bar_stand_where_the_numbers_are(page):
    article = re.search(r'id="superposition">(.*?)</article>', page)[1]
    zero, delta, low, high, dot = (
        float(re.search(pattern, article)[1])
        for pattern in (
            r'"zero" d="M([\d.]+)', r'"delta" d="M([\d.]+)', r'"span" d="M([\d.]+)', r'"span" d="M[\d.]+ 14H([\d.]+)',
            r'cx="([\d.]+)"',
        )
    )  # fmt: skip
    scale = (high - zero) / 0.5
    assert (low - zero) / scale == pytest.approx(0.3, abs=0.01)
    assert (dot - zero) / scale == pytest.approx(0.4, abs=0.01)
    assert (delta - zero) / scale == pytest.approx(0.05, abs=0.01)


def test_the_policy_names_style_and_script(page):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[-1]
        assert f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy


def test_a_hostile_name_stays_text(page):
    assert "<script>alert" not in page


def test_figures_are_inside_and_their_lack_is_said(record, page):
    assert base64.b64encode(FIGURE).decode() in page
    assert "stepscope[figures]" in render(record).decode()


def test_the_same_page_every_time_and_nothing_volatile(record, page):
    assert render(record, {"commitment": FIGURE}).decode() == page
    assert "somewhere" not in page


@pytest.mark.browser
def test_it_opens_without_complaint(page, tmp_path):
    (tmp_path / "report.html").write_text(page)
    with Chromium() as browser:
        browser.open(tmp_path / "report.html")
        assert browser.evaluate("window.stepscope.state().branch") == "clean"
        assert browser.evaluate("document.querySelectorAll('article.claim').length") == 3
        assert browser.evaluate("document.querySelector('figure img').naturalWidth") > 0
