"""Figures of a page are cut out of its picture, and know the line that they follow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader

from shared.documents.reader import DocumentReader
from shared.settings import Settings
from tests.support.documents.drawn import A4, pdf, prose, write
from tests.support.documents.page_kinds import pages

DPI = 150
LINES = prose(24)


@pytest.fixture(scope="module")
def reader():
    made = DocumentReader(Settings())
    yield made
    made.close()


def noise(width: int, height: int) -> Image.Image:
    dice = np.random.default_rng(1)
    return Image.fromarray(dice.integers(0, 255, (height, width, 3), np.uint8), "RGB")


def illustrated(canvas) -> None:
    write(canvas, LINES[:12])
    canvas.drawImage(ImageReader(noise(300, 180)), 60, 380, 300, 180)
    write(canvas, LINES[12:], y=350)


def test_a_picture_between_lines_is_cut_out_and_its_place_is_known(reader):
    (figure,) = reader.figures(pdf(illustrated), 1, DPI, 1 << 24)
    scale = DPI / 72
    left, top, right, bottom = figure.box
    # cells of the ink are some pixels wide
    assert abs(left - 60 * scale) < 45
    assert abs(top - (A4[1] - 560) * scale) < 45
    assert abs((right - left) - 300 * scale) < 60
    assert abs((bottom - top) - 180 * scale) < 60
    cut = Image.open(io.BytesIO(figure.jpeg))
    assert cut.size == (right - left, bottom - top)
    # the noise is in it and not white paper
    assert np.asarray(cut.convert("L")).std() > 30
    assert figure.behind == LINES[11]


def test_a_page_without_figures_has_none_and_a_scan_cannot_tell(reader):
    assert reader.figures(pages("ts"), 1, DPI, 1 << 24) == []
    assert reader.figures(pages("ts"), 2, DPI, 1 << 24) is None
