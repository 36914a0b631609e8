"""How an image with little text lies: told by reading some of it, and never told wrongly."""

from __future__ import annotations

import random

import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from demo.data import fonts
from shared.documents.picture import judge_picture_turn, turn_picture
from tests.support.documents.drawn import scan
from tests.unit.worker.places import pages
from tests.unit.worker.places.chinese import find_font
from tests.unit.worker.reader.pages import page
from worker.reader import find_weights
from worker.reader.reader import SecondReader

LETTERS = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会"


@pytest.fixture(scope="module")
def reader():
    reader = SecondReader(find_weights(), threads=2)
    yield reader
    reader.close()


def chinese(seed: int, lines: int, *, downwards: bool, size: int = 28) -> Image.Image:
    """Return some lines of Chinese, or columns from right to left."""
    path = find_font()
    if path is None:
        pytest.skip("no typeface for Chinese")
    rnd, font = random.Random(seed), ImageFont.truetype(path, size)
    image = Image.new("RGB", (size * 16, size * 16), "white")
    pen = ImageDraw.Draw(image)
    for line in range(lines):
        for letter in range(rnd.randint(6, 10)):
            along, across = size * (2 + 1.1 * letter), size * (2 + 1.6 * line)
            place = (image.width - across - size, along) if downwards else (along, across)
            pen.text(place, rnd.choice(LETTERS), "black", font)
    return image


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
@pytest.mark.parametrize("lines", [1, 2, 5])
def test_a_page_of_few_lines_is_turned_upright(reader, lines, lies):
    upright = page(lines, lines, size=24, width=500).image
    lying = turn_picture(upright, lies) if lies else upright
    # its ink is too little to tell
    assert judge_picture_turn(lying) is None
    assert reader.find_turn(lying) == -lies % 360


@pytest.mark.parametrize("lies", [0, 90, 270])
@pytest.mark.parametrize("skew", [-4, 4])
def test_a_page_that_is_askew_is_turned_too(reader, skew, lies):
    drawn = page(3, 3, size=24, width=600).image
    upright = drawn.rotate(skew, expand=True, fillcolor="white")
    assert reader.find_turn(turn_picture(upright, lies) if lies else upright) == -lies % 360


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
def test_a_sheet_with_one_line_is_turned_upright(reader, lies):
    sheet = scan(["Payment is due within thirty days"], dpi=100, turn=lies)
    assert reader.find_turn(sheet) == -lies % 360


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
def test_lines_of_chinese_are_turned_upright(reader, lies):
    upright = chinese(1, 3, downwards=False)
    assert reader.find_turn(turn_picture(upright, lies) if lies else upright) == -lies % 360


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_columns_of_chinese_are_upright_as_they_are(reader, columns):
    upright = chinese(columns, columns, downwards=True)
    assert reader.find_turn(upright) == 0
    assert reader.find_turn(turn_picture(upright, 180)) == 180
    # the second reader reads them too, and tells of no turn
    assert reader.read(upright).turned == 0


def sign() -> Image.Image:
    """Return letters one below the other."""
    image, font = Image.new("RGB", (120, 400), "white"), fonts.load(fonts.PILLOW, 50)
    for number, letter in enumerate("HOTEL"):
        ImageDraw.Draw(image).text((60, 20 + 70 * number), letter, "black", font, anchor="ma")
    return image


def chart() -> Image.Image:
    """Return bars with a title, and a label that runs upwards."""
    image, font = Image.new("RGB", (640, 480), "white"), fonts.load(fonts.PILLOW, 20)
    pen = ImageDraw.Draw(image)
    for number in range(12):
        pen.rectangle((60 + 45 * number, 420 - 30 * number, 90 + 45 * number, 460), "steelblue")
    pen.text((200, 4), "Sales by month", "black", font)
    label = Image.new("RGB", (200, 26), "white")
    ImageDraw.Draw(label).text((2, 2), "Revenue in dollars", "black", font)
    image.paste(label.rotate(90, expand=True), (4, 150))
    return image


def figures() -> Image.Image:
    """Return a tall column of figures."""
    image, font = Image.new("RGB", (140, 600), "white"), fonts.load(fonts.PILLOW, 20)
    for number in range(18):
        text = str(7919 * (number + 3) % 1000)
        ImageDraw.Draw(image).text((20, 20 + 31 * number), text, "black", font)
    return image


@pytest.mark.parametrize("draw", [sign, chart, figures, lambda: pages.KINDS["table"](1).image])
def test_what_is_upright_is_never_turned(reader, draw):
    assert reader.find_turn(draw()) == 0


def test_what_cannot_be_read_is_not_turned(reader):
    noise = Image.frombytes("RGB", (40, 30), random.Random(3).randbytes(3600))
    photo = noise.resize((800, 600), Image.Resampling.BICUBIC)
    assert not reader.find_turn(photo)
    assert reader.find_turn(Image.new("RGB", (300, 200), "grey")) == 0
    # letters that look the same on their head
    text = Image.new("RGB", (220, 80), "white")
    ImageDraw.Draw(text).text((20, 20), "SOS OHIXO", "black", fonts.load(fonts.PILLOW, 30))
    assert reader.find_turn(text) == 0
