"""The page in a real browser: it becomes ready, obeys keys, complains of nothing, and can be photographed."""

import subprocess

import pytest
import synthetic
from devtools import EXECUTABLE, Chromium
from PIL import Image
from screenshots import DESKTOP, MOBILE, screenshots

from stepscope.report import render

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not EXECUTABLE.exists(), reason=f"Chromium is not installed at {EXECUTABLE}"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write one page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    kinds = {
        "maze": synthetic.maze_record(folder / "maze", seeds=(1, 2)),
        "one": synthetic.maze_record(folder / "one", num_goals=1),
        "own": synthetic.own_image_record(folder / "own"),
        "empty": synthetic.write(folder / "empty", [], [], None),
    }
    paths = {name: folder / f"{name}.html" for name in kinds}
    for name, record in kinds.items():
        paths[name].write_bytes(render(record))
    return paths


@pytest.mark.parametrize("kind", ["maze", "own"])
def test_a_page_is_drawn_when_it_has_loaded(pages, kind, tmp_path):
    argv = [EXECUTABLE, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    done = subprocess.run([*argv, pages[kind].as_uri()], capture_output=True, text=True, check=True)
    assert 'data-ready=""' in done.stdout


def state(browser):
    return browser.evaluate("window.stepscope.state()")


@pytest.mark.parametrize("kind", ["maze", "one", "own", "empty"])
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_every_kind_of_page_opens_without_complaint(pages, kind, width, dark):
    with Chromium(width, 800, dark=dark) as browser:
        browser.open(pages[kind])
        assert browser.complaints == []
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert (
            browser.evaluate("performance.getEntriesByType('resource').filter(r => !/^data:/.test(r.name)).length") == 0
        )


def test_the_grid_has_a_cell_for_every_step_and_frame(pages):
    with Chromium() as browser:
        browser.open(pages["maze"])
        cells = browser.evaluate(
            "[...document.querySelectorAll('[data-view=grid] [data-step][data-frame]')]"
            ".map(cell => [Number(cell.dataset.step), Number(cell.dataset.frame)])"
        )
        assert cells == [[k, f] for k in range(synthetic.NUM_STEPS) for f in range(synthetic.NUM_FRAMES)]


def test_keys_move_step_and_frame_and_stop_at_the_edges(pages):
    with Chromium() as browser:
        browser.open(pages["maze"])
        assert state(browser) == {"step": 0, "frame": 0, "seed": 1, "branch": "clean"}
        for key in ("ArrowUp", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowRight"):
            browser.press(key)
        assert state(browser) == {"step": 2, "frame": 1, "seed": 1, "branch": "clean"}
        for _ in range(synthetic.NUM_STEPS):
            browser.press("ArrowDown")
        assert state(browser)["step"] == synthetic.NUM_STEPS - 1
        assert browser.complaints == []


def test_all_views_follow_one_state(pages):
    with Chromium() as browser:
        browser.open(pages["maze"], "step=7&frame=3")
        read = (
            "[Number(document.getElementById('step').value), Number(document.getElementById('frame').value), "
            "document.querySelector('[aria-selected=true]').ariaLabel]"
        )
        assert browser.evaluate(read) == [7, 3, "step 7, frame 3"]
        before = browser.evaluate("document.querySelector('.cursor').getAttribute('x1')")
        browser.click("[data-step='12'][data-frame='5']")
        assert state(browser)["step"] == 12
        assert browser.evaluate(read) == [12, 5, "step 12, frame 5"]
        assert browser.evaluate("document.querySelector('.cursor').getAttribute('x1')") != before


def test_a_drawn_cell_shows_its_own_frame(pages):
    def brightness(browser, row, column):
        return browser.evaluate(
            f"(canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
            f".reduce((sum, value) => sum + value, 0))"
            f'(document.querySelector(\'[data-row="{row}"][data-column="{column}"] canvas\'))'
        )

    with Chromium() as browser:
        browser.open(pages["own"])
        assert brightness(browser, 19, 0) != brightness(browser, 19, 16)


def test_space_plays_and_an_arrow_stops(pages):
    with Chromium() as browser:
        browser.open(pages["own"])
        browser.press(" ")
        assert browser.evaluate("document.getElementById('play-frame').getAttribute('aria-pressed')") == "true"
        browser.press("ArrowRight")
        assert browser.evaluate("document.getElementById('play-frame').getAttribute('aria-pressed')") == "false"


def test_another_run_can_be_chosen(pages):
    with Chromium() as browser:
        browser.open(pages["maze"])
        browser.evaluate(
            "(async () => { const runs = document.getElementById('run'); runs.value = 1; "
            "runs.dispatchEvent(new Event('change')); await new Promise(done => setTimeout(done, 300)); })()"
        )
        assert state(browser)["seed"] == 2
        assert browser.complaints == []


@pytest.mark.parametrize("axis", ["step", "sigma", "snr"])
def test_curves_stay_on_the_chart_on_every_axis(pages, axis):
    with Chromium() as browser:
        browser.open(pages["maze"], f"axis={axis}&step=3")
        numbers = browser.evaluate("[...document.querySelectorAll('.curve')].map(c => c.getAttribute('d')).join('')")
        assert "NaN" not in numbers
        assert "Infinity" not in numbers
        assert browser.evaluate("document.querySelector('[role=radio][aria-checked=true]').dataset.axis") == axis


def test_screenshots(pages, tmp_path):
    desktop, mobile = tmp_path / "desktop.png", tmp_path / "mobile.png"
    screenshots(pages["maze"], desktop, mobile, "step=5&frame=12")
    for place, size in ((desktop, DESKTOP), (mobile, MOBILE)):
        with Image.open(place) as image:
            assert image.size == size
            assert len(image.convert("RGB").getcolors(1 << 24)) > 200
