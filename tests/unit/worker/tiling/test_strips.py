"""Strips for small models: all of a page, once, a few rows at a time."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from PIL import Image, ImageDraw

from demo.data import fonts
from tests.unit.worker.reader.pages import page
from tests.unit.worker.tiling.many import read_in_strips
from tests.unit.worker.tiling.oracle import text_of
from tests.unit.worker.tiling.pages import draw
from worker.tiling.strips import cut_strips, halve_strip

LETTERS = 100


@pytest.mark.parametrize("number", range(24))
def test_a_page_read_strip_by_strip_says_what_was_drawn(number):
    drawn = draw(number)
    text, _ = read_in_strips(drawn, number)
    assert text == text_of(drawn.lines)


@pytest.mark.parametrize(("size", "width"), [(14, 900), (20, 900), (20, 480), (28, 700)])
def test_the_lines_of_a_page_are_counted_and_shared_out(size, width):
    drawn = page(1, 40, size=size, width=width)
    strips = cut_strips(drawn.image, LETTERS)
    assert sum(len(strip.rows) for strip in strips) == 40
    letters = sum(map(len, drawn.lines))
    assert abs(sum(row.letters for strip in strips for row in strip.rows) / letters - 1) < 0.2
    assert max(len(strip.rows) for strip in strips) == max(1, LETTERS * 40 // letters)
    edges = [(strip.tile.box[1], strip.tile.box[3]) for strip in strips]
    assert edges[0][0] == 0
    assert edges[-1][1] == drawn.image.height
    assert all(above[1] == below[0] for above, below in pairwise(edges))


def test_a_strip_is_halved_down_to_one_row():
    drawn = page(2, 7, width=300)
    (whole,) = cut_strips(drawn.image, 10_000)
    strips = [whole]
    while any(len(strip.rows) > 1 for strip in strips):
        strips = [half for strip in strips for half in halve_strip(drawn.image, strip)]
        assert sum(len(strip.rows) for strip in strips) == 7
    assert len(strips) == 7
    assert halve_strip(drawn.image, strips[0]) == [strips[0]]


def table(rules: str) -> Image.Image:
    image = Image.new("RGB", (500, 260), "white")
    pen, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, 20)
    for row in range(7):
        for column in range(3):
            words = ("Quantity", "Price", "Total")[column] if row == 0 else f"{row}{column}7.50"
            pen.text((30 + 150 * column, 14 + 34 * row), words, font=font, fill="black")
    for y in {"head": [43], "all": range(9, 260, 34), "none": []}[rules]:
        pen.line((20, y, 470, y), fill="black")
    return image


def test_a_drawn_table_stays_in_one_look_and_columns_of_figures_do_not():
    assert len(cut_strips(table("head"), 50)) == 1
    assert len(cut_strips(table("all"), 50)) == 1
    assert len(cut_strips(table("none"), 50)) > 1
    # a long one is read part by part
    assert len(cut_strips(table("all"), 20)) > 1


def test_touching_lines_are_asked_about_and_never_cut_through():
    rng = Random(3)
    image = Image.new("RGB", (700, 300), "white")
    pen, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, 24)
    tops = [10, 52, 94, 110, 152, 194]
    for top in tops:
        text = " ".join("".join(rng.choices("gjpqyhkl", k=6)) for _ in range(5))
        pen.text((20, top), text, font=font, fill="black")
    boxes = [(18, top, 600, top + 28) for top in tops]
    asked = []

    def find(image: Image.Image) -> list[tuple[int, int, int, int]]:
        asked.append(image)
        return boxes

    assert sum(len(strip.rows) for strip in cut_strips(image, 40)) == 5
    strips = cut_strips(image, 40, find)
    assert len(asked) == 1
    assert [len(strip.rows) for strip in strips] == [1, 1, 2, 1, 1]
    cut_strips(page(4, 6).image, 40, find)
    assert len(asked) == 1


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (8, 8), (3000, 40)])
def test_an_image_of_any_shape_without_text_is_one_strip(size):
    (strip,) = cut_strips(Image.new("RGB", size, "white"), LETTERS)
    assert strip.tile.box == (0, 0, *size)
