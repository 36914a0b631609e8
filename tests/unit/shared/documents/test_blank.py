"""A page of nothing but noise is blank; a page with one small mark of meaning is not."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from shared.documents.ink.blank import is_blank
from shared.documents.picture import BLANK_SIDE, to_grey
from tests.support.documents.drawn import draw_scan, pdf, prose, scan


def _looks_blank(picture):
    return is_blank(to_grey(picture, BLANK_SIDE))


def _dirty(seed, *, specks=40, noise=8, shadow=True):
    """Return a scan of an empty sheet: grain, dust, a dark edge, unevenly lit."""
    rnd = random.Random(seed)
    width, height = 1240, 1754
    light = np.linspace(225, 250, width)[None, :] + np.linspace(-8, 4, height)[:, None]
    grain = np.random.default_rng(seed).normal(0, noise, (height, width))
    page = Image.fromarray((light + grain).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(page)
    for _ in range(specks):
        x, y, size = rnd.randrange(width), rnd.randrange(height), rnd.randint(1, 4)
        pen.ellipse((x, y, x + size, y + size), fill=rnd.randint(20, 120))
    if shadow:
        pen.rectangle((0, 0, 14, height), fill=90)
    return page


@pytest.mark.parametrize("seed", range(6))
def test_an_empty_sheet_is_blank_however_it_was_scanned(seed):
    assert _looks_blank(_dirty(seed))
    assert _looks_blank(_dirty(seed, specks=8).filter(ImageFilter.GaussianBlur(1)))
    assert _looks_blank(_dirty(seed, noise=0, specks=0, shadow=False))


@pytest.mark.parametrize("mark", ["7", "page 12", "-", "一"])
@pytest.mark.parametrize("noise", [0, 4])
def test_a_sheet_with_one_small_mark_is_not_blank(mark, noise):
    page = _dirty(3, noise=noise, specks=10)
    pen = ImageDraw.Draw(page)
    if mark == "-":
        pen.line((600, 800, 640, 800), fill=40, width=3)
    elif mark == "一":
        pen.line((600, 800, 630, 798), fill=60, width=4)
    else:
        from PIL import ImageFont

        from tests.support.documents.drawn import VERA

        pen.text((600, 1600), mark, 40, ImageFont.truetype(VERA, 21))
    assert not _looks_blank(page)


def test_faint_pencil_is_not_blank():
    page = scan(prose(3), noise=0).point(lambda value: 246 - (246 - value) // 5)
    assert not _looks_blank(page)


@pytest.mark.parametrize("colour", [255, 240, 128, 0])
def test_a_sheet_of_one_colour_is_blank(colour):
    assert _looks_blank(Image.new("L", (620, 877), colour))


def test_a_blank_page_is_told_without_rendering_it_large(reader):
    data = pdf(lambda canvas: None, draw_scan(_dirty(1)), draw_scan(scan(prose(2))))
    assert [reader.page_text(data, page).blank for page in (1, 2, 3)] == [True, True, False]
    assert [reader.render(data, page, 100, 10**7).blank for page in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
