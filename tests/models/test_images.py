"""A user's picture: read upright, resized to what a model allows, and told."""

import numpy as np
import pytest
import tiny
from PIL import Image

from stepscope.errors import BadInputError
from stepscope.models import fit_image, read_image
from stepscope.models.sizes import Sizes


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((1080, 1920), (464, 832)), ((600, 600), (624, 624)), ((100, 4000), (96, 3984)), ((8, 2000), (32, 9984))],
    ids=str,
)
def test_fitting_keeps_proportions_and_multiples(size, fitted):
    made = fit_image(tiny.picture(0, *size), Sizes((16, 16)), 480 * 832)
    height, width = made.pixels.shape[:2]
    assert (height % 16, width % 16) == (0, 0)
    assert (height, width) == fitted
    assert f"from {size[0]}x{size[1]} to {height}x{width}" in made.said
    assert "multiples of 16x16" in made.said


@pytest.mark.parametrize(
    ("size", "fitted"), [((1080, 1920), (384, 672)), ((600, 600), (384, 384)), ((100, 4000), (16, 720))], ids=str
)
def test_fitting_obeys_a_largest_size(size, fitted):
    sizes = Sizes((16, 16), largest=(384, 720))
    made = fit_image(tiny.picture(0, *size), sizes, 480 * 832)
    assert made.pixels.shape[:2] == fitted
    assert "multiples of 16x16 up to 384x720" in made.said
    sizes.check(*fitted)


@pytest.mark.parametrize("size", [(600, 600), (960, 1440)], ids=str)
def test_fitting_to_one_size_says_what_became_of_the_proportions(size):
    made = fit_image(tiny.picture(0, *size), Sizes((16, 16), only=(480, 720)), 480 * 832)
    assert made.pixels.shape == (480, 720, 3)
    assert "takes only 480x720." in made.said
    assert ("proportions changed" in made.said) == (size == (600, 600))


def test_an_image_that_fits_is_left_alone():
    image = tiny.picture(0, 480, 832)
    made = fit_image(image, Sizes((32, 16)), 480 * 832)
    assert np.array_equal(made.pixels, image)
    assert "as it is" in made.said


def test_reading_turns_a_photo_upright_and_drops_alpha(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    Image.fromarray(tiny.picture(0, 8, 20)).save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png").shape == (20, 8, 3)
    Image.new("RGBA", (4, 6), (10, 20, 30, 255)).save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png").tolist() == np.full((6, 4, 3), (10, 20, 30)).tolist()


def test_grey_of_16_bits_is_scaled_and_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").tolist() == [[[0] * 3, [1] * 3, [255] * 3]]


def test_a_palette_is_read_as_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[[0, 0, 0], [255, 0, 0]]], np.uint8))
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").tolist() == np.asarray(picture).tolist()


def test_colours_that_are_open_are_not_guessed(tmp_path):
    Image.new("RGBA", (4, 6), (10, 20, 30, 128)).save(tmp_path / "glass.png")
    with pytest.raises(BadInputError, match="transparent in places"):
        read_image(tmp_path / "glass.png")
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "floats.tiff")
    with pytest.raises(BadInputError, match="numbers without a white"):
        read_image(tmp_path / "floats.tiff")


def test_images_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInputError, match="does not exist"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(tiny.picture(0, 64, 64)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    for name in ("text.png", "cut.png", "."):
        with pytest.raises(BadInputError, match="cannot be read"):
            read_image(tmp_path / name)
