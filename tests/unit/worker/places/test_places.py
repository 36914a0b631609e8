"""Lines of a text get the places of what was seen, or none; never those of another line."""

from __future__ import annotations

from collections import Counter

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from shared.jobs import TileInfo, TileOutcome
from shared.jobs.answers.lines import ALONG, SeenPiece, SeenRow, SeenWord
from tests.unit.worker.places.many import judge_pages
from tests.unit.worker.places.pages import KINDS
from worker.jobs.placing import join_seen
from worker.places.cells import cells_of
from worker.places.lines import place_lines
from worker.places.seen import SeenImage
from worker.places.tiles import join_tiles
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights
from worker.tiling import Tile


def piece(text: str, left: float, top: float, height: float = 20) -> SeenPiece:
    """Return a piece of letters that are ten pixels wide."""
    right, bottom = left + 10 * len(text), top + height
    words, at = [], 0
    for word in text.split(" "):
        start, stop = at * ALONG // len(text), (at + len(word)) * ALONG // len(text)
        words.append(SeenWord(text=word, start=start, stop=stop, confidence=0.9))
        at += len(word) + 1
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return SeenPiece(corners=corners, words=tuple(words))


def rows(*texts: str | tuple[str, ...]) -> list[SeenImage]:
    """Return an image whose rows are 30 pixels apart and whose pieces 200."""
    seen = []
    for number, row in enumerate(texts):
        parts = (row,) if isinstance(row, str) else row
        placed = [piece(text, 200 * at, 30 * number) for at, text in enumerate(parts)]
        seen.append(SeenRow(pieces=tuple(placed)))
    return [SeenImage(tuple(seen))]


def tops(text: str, seen: list[SeenImage]) -> list[float | None]:
    return [line.box and line.box[1] for line in place_lines(text, seen, "line")]


def test_a_misread_line_stands_where_it_was_seen_and_tells_what_was_seen():
    seen = rows("Total 41.80 EUR", "Thank you very much")
    lines = place_lines("Total 47.80 EUR\nThank you very much", seen, "word")
    assert [line.box for line in lines] == [(0, 0, 150, 20), (0, 30, 190, 50)]
    assert (lines[0].other, lines[1].other) == ("Total 41.80 EUR", None)
    assert 0.9 < (lines[0].agreement or 0) < 1 == lines[1].agreement
    assert [(word.text, word.box) for word in lines[0].words or ()] == [
        ("Total", (0, 0, 50, 20)),
        ("47.80", (60, 0, 110, 20)),
        ("EUR", (120, 0, 150, 20)),
    ]


def test_one_of_two_lines_that_are_alike_has_no_place_when_only_one_was_seen():
    assert tops("Apples 3.40\nSum 9.00\nApples 3.40", rows("Apples 3.40", "Sum 9.00")) == [
        *(None, 30, None)
    ]
    assert tops("Apples 3.40\nSum 9.00", rows("Apples 3.40", "Sum 9.00", "Apples 3.40")) == [
        *(None, 30)
    ]
    both = rows("Apples 3.40", "Sum 9.00", "Apples 3.40")
    assert tops("Apples 3.40\nSum 9.00\nApples 3.40", both) == [0, 30, 60]


def test_an_invented_line_and_one_that_was_not_seen_have_no_place():
    seen = rows("Invoice 2041", "Due in 14 days")
    lines = place_lines("Invoice 2041\nBest regards, Anna\nDue in 14 days", seen, "line")
    assert [line.box is None for line in lines] == [False, True, False]
    assert lines[1].agreement == 0


def test_columns_have_their_places_in_whichever_order_they_are_written():
    seen = rows(("left one", "right one"), ("left two", "right two"), ("left end", "right end"))
    text = "left one\nleft two\nleft end\nright one\nright two\nright end"
    boxes = [line.box for line in place_lines(text, seen, "line")]
    assert [box and box[:2] for box in boxes] == [
        *((0, 0), (0, 30), (0, 60)),
        *((200, 0), (200, 30), (200, 60)),
    ]


def test_a_paragraph_has_the_box_around_its_rows():
    seen = rows("It was a dark and", "stormy night in the", "year of our shame")
    (line,) = place_lines("It was a dark and stormy night in the year of our shame", seen, "line")
    assert line.box == (0, 0, 190, 80)


def test_each_cell_of_a_table_has_its_own_place():
    seen = rows(("Item", "Each"), ("Olive oil", "15.80"), ("Flour", "0.99"))
    text = "| Item | Each |\n| --- | --- |\n| **Olive oil** | 15.80 |\n| Flour | 0.99 |"
    lines = place_lines(text, seen, "line")
    assert [line.text for line in lines] == [text.split("\n")[at] for at in (0, 2, 3)]
    assert [cell.box for cell in lines[1].cells or ()] == [(0, 30, 90, 50), (200, 30, 250, 50)]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| a |  | b |", ["a", "", "b"]),
        ("|a||b|", ["a", "", "b"]),
        ("||a|b||", ["", "a", "b", ""]),
        ("||", [""]),
        (r"|a\|b||", [r"a\|b", ""]),
        (r"| a | b\|", ["a", r"b\|"]),
        (r"|a\\|b|", [r"a\\", "b"]),
        ("no row", []),
    ],
)
def test_a_row_keeps_its_empty_cells_however_it_is_written(row, cells):
    assert [cell.text for cell in cells_of(row)] == cells
    assert [row[slice(*cell.span)].strip() for cell in cells_of(row)] == cells


@pytest.mark.parametrize("several", [True, False])
def test_cells_of_html_have_their_places_and_tags_are_no_lines(several):
    seen = rows(("Item", "Sum"), ("Tea & milk", "3.40"), ("Total", "9.00"))
    text = [
        *('<table border="1">', "<tr><th>Item</th><th>Sum</th></tr>"),
        '<tr><td>Tea &amp; <b>milk</b></td><td></td><td colspan="2">3.40</td></tr>',
        *("<tr><td>Total<td>9.00</tr>", "</table>"),
    ]
    lines = place_lines(("\n" if several else "").join(text), seen, "line")
    cells = [[(cell.text, cell.box) for cell in line.cells or ()] for line in lines]
    want = [
        [("Item", (0, 0, 40, 20)), ("Sum", (200, 0, 230, 20))],
        [("Tea & milk", (0, 30, 100, 50)), ("", None), ("3.40", (200, 30, 240, 50))],
        [("Total", (0, 60, 50, 80)), ("9.00", (200, 60, 240, 80))],
    ]
    assert cells == (want if several else [[cell for row in want for cell in row]])


def test_what_two_tiles_show_is_seen_once_and_lies_in_the_image():
    left = [SeenRow(pieces=(piece("one two thr", 0, 10),))]
    right = [SeenRow(pieces=(piece("wo three four", 0, 10),))]
    below = [SeenRow(pieces=(piece("one two thr", 0, 0),)), SeenRow(pieces=(piece("end", 0, 40),))]
    seen = join_tiles(
        [
            (Tile(0, (0, 0, 120, 60)), left),
            (Tile(1, (50, 0, 200, 60), axis="x", overlap=70), right),
            (Tile(2, (0, 10, 120, 80), overlap=50), below),
        ]
    )
    lines = place_lines("one two three four\nend", seen, "word")
    assert [line.box for line in lines] == [(0, 10, 180, 30), (0, 50, 30, 70)]


@pytest.mark.parametrize(
    ("turn", "stored", "expected"),
    [
        (90, (0, 40, 100, 200), (10, 150, 30, 180)),
        (180, (0, 0, 160, 100), (110, 70, 140, 90)),
        (270, (0, 0, 100, 160), (70, 20, 90, 50)),
    ],
)
def test_what_was_seen_in_a_tile_of_a_turned_image_lies_in_the_stored_one(turn, stored, expected):
    # the tile begins at the top left of the turned image, which is 160 or more by 100 pixels
    size = (160, 100)
    tile = TileInfo(
        id="img_1", box=stored, mark="", seam={"order": 0, "box": (0, 0, *size), "turn": turn}
    )
    outcome = TileOutcome(text="end", rows=(SeenRow(pieces=(piece("end", 20, 10),)),))
    seen = join_seen([tile], [outcome], wanted=True)
    (line,) = place_lines("end", list(seen or ()), "line")
    assert line.box == expected


SLANTED_AND_TABLE = {kind: KINDS[kind] for kind in ("slanted", "table")}


def test_lines_of_drawn_pages_have_their_own_boxes():
    reader = SecondReader(find_weights(), threads=2)
    counts: Counter[str] = Counter()
    try:
        for _, own in judge_pages(reader, range(2), SLANTED_AND_TABLE):
            counts += own
    finally:
        reader.close()
    assert counts["wrong"] == 0, counts
    assert counts["right"] >= 0.98 * (sum(counts.values()) - counts["rightly none"]), counts
