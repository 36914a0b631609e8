import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from tests.unit.worker.tiling.many import read_in_tiles
from tests.unit.worker.tiling.oracle import text_of
from tests.unit.worker.tiling.pages import FIRST_LOG, draw
from worker.tiling import Tile, cut

#: Three of each kind; and those that came back changed: a slanted page whose last window looked
#: level, signs with a blank before the reach of a cut, signs with wide blanks between their words,
#: a log whose words stand below each other.
SAMPLE = (*range(24), 190, 327, 383, FIRST_LOG + 22)


@pytest.mark.parametrize("number", SAMPLE)
def test_a_page_read_tile_by_tile_says_what_was_drawn(number):
    page = draw(number)

    text, tiles, _ = read_in_tiles(page, number)

    assert tiles > 1
    assert text == text_of(page.lines)


def test_an_image_within_the_budget_is_one_tile():
    assert cut(Image.new("RGB", (800, 600)), 480_000) == [Tile(0, (0, 0, 800, 600))]


def covered(tiles, size):
    shown = np.zeros((size[1], size[0]), dtype=bool)
    for tile in tiles:
        left, top, right, bottom = tile.box
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        shown[top:bottom, left:right] = True
    return shown.all()


@pytest.mark.parametrize(
    "size",
    [(1, 20_000), (20_000, 1), (90, 25_000), (25_000, 90), (3000, 2900), (6000, 700), (64, 65)],
)
def test_tiles_show_every_pixel_of_an_image_of_any_shape(size):
    tiles = cut(Image.new("RGB", size, (250, 250, 240)), 60_000)

    assert covered(tiles, size)
    assert [tile.order for tile in tiles] == list(range(len(tiles)))


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_without_any_gap_is_cut_with_overlap_and_within_the_budget(seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (600, 400, 3), dtype=np.uint8)
    large = Image.fromarray(coarse).resize((3600, 5400), Image.Resampling.NEAREST)
    picture = large.rotate(30).crop((1600, 1200, 2000, 4200))

    tiles = cut(picture, 200_000)

    assert covered(tiles, (400, 3000))
    assert all(tile.overlap > 0 for tile in tiles[1:])
    assert all(tile.width * tile.height <= 200_000 for tile in tiles)


def test_cutting_is_deterministic():
    page = draw(3)

    assert cut(page.image, page.budget) == cut(page.image.copy(), page.budget)


def test_a_tile_survives_json():
    tile = Tile(3, (0, 10, 20, 30), "x", 4, breaks=False, lines=(12, 24))

    assert Tile(**json.loads(json.dumps(dataclasses.asdict(tile)))) == tile


def test_columns_are_read_one_after_the_other_but_a_receipt_is_not():
    columns, receipt = draw(3), draw(2)

    assert any(tile.width < columns.image.width for tile in cut(columns.image, columns.budget))
    assert all(tile.width == receipt.image.width for tile in cut(receipt.image, receipt.budget))


def test_a_budget_too_small_for_text_is_refused():
    with pytest.raises(ValueError, match="4,096"):
        cut(Image.new("RGB", (100, 1000)), 4000)
