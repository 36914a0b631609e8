from random import Random

import numpy as np
import pytest

pytest.importorskip("cv2")

from PIL import Image

from demo.data import fonts
from demo.data.drawing import Canvas
from shared.jobs.parameters.enhancement import EnhanceStep
from tests.unit.worker.enhance import drawings
from worker.enhance import enhance, measures, page

BUDGET = 1_048_576


def grey(image):
    return np.asarray(image.convert("L"))


def steps(sentences):
    """Return the step's name that each sentence begins with."""
    return [sentence.split(":")[0] for sentence in sentences]


@pytest.mark.parametrize("angle", [-9.5, -5.3, -2.1, -0.7, 0.7, 1.4, 3.3, 6.8, 9.9])
@pytest.mark.parametrize("seed", range(3))
def test_a_skew_is_measured_to_a_third_of_a_degree(angle, seed):
    image = drawings.turned(drawings.page(Random(seed)), angle)

    assert measures.skew(grey(image)).angle == pytest.approx(-angle, abs=0.3)


@pytest.mark.parametrize("angle", [-6.2, 2.5])
def test_auto_turns_a_skewed_page_level(angle):
    enhanced = enhance(drawings.turned(drawings.page(Random(3)), angle), "auto", BUDGET)

    assert steps(enhanced.report) == ["deskew"]
    assert abs(measures.skew(grey(enhanced.image)).angle) <= 0.3


@pytest.mark.parametrize("seed", range(6))
def test_the_corners_of_a_photographed_page_are_found(seed):
    rng = Random(seed)
    image = drawings.page(rng, rows=12)
    width, height = image.size
    near = [
        (x + rng.uniform(15, 70), y + rng.uniform(15, 70))
        for x, y in ((0, 0), (width, 0), (width + 40, height + 40), (10, height + 40))
    ]

    corners = page.find_corners(grey(drawings.photographed(image, near)))

    assert corners is not None
    assert np.abs(corners - np.array(near)).max() < 3


def test_a_photographed_page_is_seen_from_straight_above():
    image = drawings.page(Random(8), rows=12)
    width, height = image.size
    near = [(60, 30), (width + 20, 75), (width + 100, height + 120), (25, height + 90)]

    enhanced = enhance(drawings.photographed(image, near), "auto", BUDGET)

    assert enhanced.report[0].startswith("perspective: ")
    back = np.asarray(enhanced.image.resize(image.size).convert("L"), dtype=float)
    difference = np.abs(back - grey(image))
    assert difference.mean() < 20
    assert abs(measures.skew(grey(enhanced.image)).angle) <= 0.5


@pytest.mark.parametrize("size", [16, 18, 20])
def test_a_short_lone_word_has_the_contrast_of_its_ink(size):
    canvas = Canvas.blank(704, 480, (250, 221, 221))
    canvas.write("act", 8, 4, fonts.PILLOW, size, (70, 30, 20))
    assert measures.contrast(grey(canvas.image)) >= 80


@pytest.mark.parametrize("number", range(120))
def test_auto_leaves_a_clean_drawing_as_it_is(monkeypatch, number):
    image = drawings.clean(monkeypatch, number)

    enhanced = enhance(image, "auto", BUDGET)

    assert enhanced.report == ()
    assert enhanced.variant == ""
    assert enhanced.image is image


@pytest.mark.parametrize(
    ("spoilt", "step"),
    [
        (lambda image: drawings.grainy(image, 35), "denoise"),
        (lambda image: drawings.faded(image, 0.12), "contrast"),
        (lambda image: drawings.turned(image, 4), "deskew"),
    ],
)
def test_auto_does_what_the_image_needs_and_nothing_else(spoilt, step):
    enhanced = enhance(spoilt(drawings.page(Random(5))), "auto", BUDGET)

    assert steps(enhanced.report) == [step]


def test_small_letters_grow_but_not_beyond_the_budget():
    image = drawings.page(Random(6), size=8, rows=10, width=320)
    area = image.width * image.height

    grown = enhance(image, "auto", BUDGET)
    bounded = enhance(image, "auto", 2 * area)

    assert steps(grown.report) == ["upscale"]
    assert grown.image.height > 2 * image.height
    assert area < bounded.image.width * bounded.image.height <= 2.02 * area


def test_letters_grow_for_a_model_that_needs_larger_ones():
    image = drawings.page(Random(6), size=13, rows=10, width=320)

    assert not enhance(image, "auto", BUDGET).report
    grown = enhance(image, "auto", BUDGET, letter_height=11)
    assert steps(grown.report) == ["upscale"]
    assert 1.25 < grown.image.height / image.height < 2


def test_large_letters_shrink_for_a_model_that_reads_smaller_ones():
    image = drawings.page(Random(6), size=80, rows=4, width=1600)

    assert not enhance(image, "auto", BUDGET).report
    shrunk = enhance(image, "auto", BUDGET, letter_height=11, tallest_letters=24)
    assert steps(shrunk.report) == ["downscale"]
    assert 0.25 < shrunk.image.height / image.height < 0.5
    asked = enhance(image, (EnhanceStep.DOWNSCALE,), BUDGET)
    assert steps(asked.report) == ["downscale"]


def test_letters_of_one_line_that_fill_an_image_shrink():
    image = drawings.page(Random(6), size=80, rows=1, width=1600).crop((0, 10, 1600, 100))

    shrunk = enhance(image, "auto", BUDGET, letter_height=11, tallest_letters=24)

    assert steps(shrunk.report) == ["downscale"]


def test_small_print_beside_large_letters_stays_readable():
    headline = drawings.page(Random(6), size=80, rows=4, width=1600)
    print_below = drawings.page(Random(7), size=22, rows=3, width=1600)
    image = Image.new("RGB", (1600, headline.height + print_below.height), "white")
    image.paste(headline, (0, 0))
    image.paste(print_below, (0, headline.height))

    enhanced = enhance(image, "auto", BUDGET, letter_height=11, tallest_letters=24)

    assert enhanced.image.height > 0.8 * image.height


def test_a_step_asked_for_by_name_acts_or_says_why_not():
    image = drawings.turned(drawings.page(Random(7)), 3)

    enhanced = enhance(
        image, (EnhanceStep.BINARIZE, EnhanceStep.DESKEW, EnhanceStep.PERSPECTIVE), BUDGET
    )

    assert steps(enhanced.report) == ["deskew", "binarize"]
    assert steps(enhanced.skipped) == ["perspective"]
    assert set(np.unique(np.asarray(enhanced.image))) == {0, 255}


def test_white_on_black_becomes_black_on_white_when_binarized():
    dark = Image.fromarray(255 - np.asarray(drawings.page(Random(1))))

    enhanced = enhance(dark, (EnhanceStep.BINARIZE,), BUDGET)

    assert np.asarray(enhanced.image).mean() > 128


def test_the_same_outcome_has_the_same_name_and_another_has_another():
    image = drawings.turned(drawings.page(Random(2)), 3)

    first, again = enhance(image, "auto", BUDGET), enhance(image.copy(), "auto", BUDGET)
    other = enhance(image, (EnhanceStep.BINARIZE,), BUDGET)

    assert first.variant == again.variant != other.variant
    assert np.array_equal(np.asarray(first.image), np.asarray(again.image))


@pytest.mark.parametrize("step", EnhanceStep)
@pytest.mark.parametrize("size", [(1, 1), (9, 400), (400, 9), (64, 64), (3000, 16)])
@pytest.mark.parametrize("noise", [False, True])
def test_every_step_bears_an_image_of_any_shape(step, size, noise):
    image = Image.new("RGB", size, (200, 180, 90))
    if noise:
        values = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        image = Image.fromarray(values)

    enhanced = enhance(image, (step,), BUDGET)

    assert enhanced.image.mode == "RGB"
    assert bool(enhanced.variant) == bool(enhanced.report)


def test_a_huge_image_is_worked_on_in_few_pixels():
    image = Image.new("RGB", (6000, 5000), "white")

    enhanced = enhance(image, (EnhanceStep.BINARIZE,), 262_144)

    assert enhanced.image.width * enhanced.image.height <= 4 * 262_144
