"""Pictures are bit for bit what was decoded while they fit, and lowered in one order when they do not."""

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from stepscope.report.pictures import LADDER, Painter, Rung, first_fit, spread

NOISE = np.random.default_rng(0).integers(0, 256, (17, 48, 32, 3), np.uint8)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_the_first_rung_is_lossless():
    sheet = Painter(LADDER[0], 10**9).sheet(NOISE)
    back = pixels(sheet.uri).reshape(48, 17, 32, 3).swapaxes(0, 1)
    assert (sheet.columns, sheet.width, sheet.height) == (17, 32, 48)
    np.testing.assert_array_equal(back, NOISE)


def test_a_sheet_wider_than_webp_allows_is_broken_into_rows():
    frames = np.zeros((70, 4, 250, 3), np.uint8)
    frames[65:] = 255
    sheet = Painter(LADDER[0], 10**9).sheet(frames)
    assert sheet.columns == 65
    assert pixels(sheet.uri).shape == (8, 65 * 250, 3)
    assert pixels(sheet.uri)[4:, : 5 * 250].min() == 255


def test_frames_are_scaled_by_area_and_keep_their_shape():
    sheet = Painter(Rung(None, 24, 49, 100), 10**9).sheet(NOISE[:1])
    assert (sheet.width, sheet.height) == (16, 24)
    expected = NOISE[0].reshape(24, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(pixels(sheet.uri) - expected).max() <= 1


@pytest.mark.parametrize(("budget", "rung"), [(10**9, 0), (60_000, 1), (1, len(LADDER) - 1)])
def test_the_dearest_rung_that_fits_is_taken(budget, rung):
    taken, sheet = first_fit(lambda painter: painter.sheet(NOISE), budget)
    assert taken == LADDER[rung]
    assert len(sheet.uri) <= budget or rung == len(LADDER) - 1


def test_the_ladder_only_goes_down():
    for above, below in itertools.pairwise(LADDER):
        assert (above.quality or 101) >= (below.quality or 101)
        assert above.max_side >= below.max_side
        assert above.max_frames >= below.max_frames
        assert above.max_steps >= below.max_steps


@pytest.mark.parametrize(("count", "wanted", "chosen"), [(17, 5, [0, 4, 8, 12, 16]), (3, 9, [0, 1, 2]), (9, 1, [0])])
def test_spread_keeps_the_ends(count, wanted, chosen):
    assert spread(count, wanted) == chosen
