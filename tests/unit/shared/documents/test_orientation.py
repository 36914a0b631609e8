"""A page that lies on its side or head is turned; one that does not is never touched."""

import random
from pathlib import Path

import pytest
from PIL import Image

from shared.documents.picture import find_picture_turn, turn_picture
from tests.support.documents.drawn import VERA, draw_scan, pdf, prose, scan

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
FONTS = [VERA, *(str(DEJAVU / f"DejaVu{name}.ttf") for name in ("Serif", "Sans-Bold", "SansMono"))]
FONTS = [font for font in FONTS if Path(font).exists()]


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("font", FONTS, ids=lambda font: Path(font).stem)
def test_a_page_of_prose_is_turned_upright(font, turn):
    page = scan(prose(40, 2), font=font)
    assert find_picture_turn(page) == 0
    lying = turn_picture(page, turn)
    assert find_picture_turn(lying) == 360 - turn


@pytest.mark.parametrize("degrees", [-1.5, 1.5])
def test_a_page_that_is_askew_is_turned_too(degrees):
    page = scan(prose(40, 2)).rotate(degrees, fillcolor=246)
    assert find_picture_turn(page) == 0
    assert find_picture_turn(turn_picture(page, 270)) == 90


def _figures(seed):
    rnd = random.Random(seed)
    return [
        "   ".join(f"{rnd.randrange(10**6):,}.{rnd.randrange(100):02}" for _ in range(5))
        for _ in range(40)
    ]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_figures_and_capitals_tell_which_way_is_up(turn):
    for lines in (_figures(1), [line.upper() for line in prose(40, 2)]):
        assert find_picture_turn(turn_picture(scan(lines), turn)) == 360 - turn


@pytest.mark.parametrize("seed", range(4))
def test_an_upright_page_is_never_turned(seed):
    font = FONTS[seed % len(FONTS)]
    lines = (prose(40, seed), [line.upper() for line in prose(40, seed)], _figures(seed))
    for content in lines:
        assert find_picture_turn(scan(content, font=font, seed=seed)) == 0


def test_what_is_not_sure_is_left_as_it_is():
    rnd = random.Random(3)
    photo = Image.frombytes("L", (60, 40), rnd.randbytes(2400)).resize((1200, 800))
    for picture in (photo, Image.new("L", (800, 600), 255), scan(["one line"]), scan(["I"] * 40)):
        for turn in (90, 180, 270):
            assert find_picture_turn(turn_picture(picture, turn)) == 0


def test_a_scanned_page_comes_out_upright_and_says_so(reader):
    page = scan(prose(40, 2), turn=180)
    data = pdf(draw_scan(page))
    picture = reader.render(data, 1, 150, 10**7)
    assert picture.turned == 180
    assert [warning["code"] for warning in picture.warnings] == ["page_turned"]
    assert reader.render(data, 1, 150, 10**7, turn=False).turned == 0


def test_text_that_lies_on_its_side_tells_the_turn_of_its_page(reader):
    def draw(canvas):
        canvas.rotate(90)
        for count, line in enumerate(prose(20, 5)):
            canvas.drawString(60, -60 - 14 * count, line.upper())

    picture = reader.render(pdf(draw), 1, 72, 10**7)
    assert picture.turned == 90
    assert (picture.width, picture.height) == (842, 595)
