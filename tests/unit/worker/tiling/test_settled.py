"""What is shown of a long text while it is still being read: never more than what stays."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.tiling import LiveText, Tile, can_stream, merge, settle_pieces

HEAD = "| name | price |\n|---|---|\n"
LINES = st.sampled_from(
    ["milk 1.00", "bread [?].50", "| a | 1 |", "| name | price |", "|---|---|", "```", "", "  x "]
)
TEXTS = st.one_of(st.none(), st.lists(LINES, max_size=9).map("\n".join))


def below(order: int, overlap: int = 0, image: int = 0) -> Tile:
    top = order * 100
    return Tile(order, (0, top, 400, top + 120), "y", overlap, breaks=False, image=image)


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[Tile], list[str | None]]:
    texts = draw(st.lists(TEXTS, min_size=1, max_size=7))
    tiles, image = [], 0
    for order in range(len(texts)):
        image += order > 0 and draw(st.integers(0, 5)) == 0
        new = not order or image != tiles[-1].image
        tiles.append(
            Tile(
                order,
                (0, order * 50, 100, order * 50 + 80),
                "y" if new else draw(st.sampled_from(["y", "y", "x"])),
                0 if new else draw(st.sampled_from([0, 0, 30])),
                draw(st.booleans()),
                image=image,
            )
        )
    return tiles, texts


@settings(max_examples=300, deadline=None)
@given(pages(), st.data())
def test_what_is_settled_stays_whatever_the_other_tiles_say(page, data):
    tiles, texts = page
    known = data.draw(st.integers(0, len(texts)))
    whole = settle_pieces(tiles, texts)

    assert "".join(whole) == merge(list(zip(tiles, texts, strict=True)))
    assert settle_pieces(tiles, texts[:known]) == whole[:known]


@settings(max_examples=300, deadline=None)
@given(pages(), st.integers(1, 5))
def test_what_a_tile_streams_begins_what_it_adds_in_the_end(page, step):
    tiles, texts = page
    pieces = settle_pieces(tiles, texts)
    for number, live in enumerate(can_stream(tiles)):
        text = texts[number]
        if live and text is not None:
            stream = LiveText()
            shown = "".join(stream.take(text[n : n + step]) for n in range(0, len(text), step))
            first = "\n" if shown and "".join(pieces[:number]) else ""
            assert pieces[number].startswith(first + shown)


def test_a_clean_cut_lets_all_of_a_tile_be_streamed():
    tiles = [below(0), below(1), below(2)]
    assert can_stream(tiles) == [True, True, True]
    assert settle_pieces(tiles, ["one\ntwo"]) == ["one\ntwo"]


def test_what_the_next_tile_shows_again_is_held_back_until_it_is_read():
    tiles = [below(0), below(1, overlap=60), below(2)]
    assert can_stream(tiles) == [False, False, True]
    assert settle_pieces(tiles, ["one\ntwo\nthr"]) == [""]
    texts = ["one\ntwo\nthr", "two\nthree\nfour"]
    assert settle_pieces(tiles, texts) == ["", "one\ntwo\nthree\nfour"]


def test_a_table_is_shown_when_it_is_known_whether_it_continues():
    stream = LiveText()
    assert [stream.take(part) for part in ("\n", "| na", "me |\n", "end")] == [""] * 4
    assert settle_pieces([below(0), below(1)], [f"{HEAD}| a | 1 |", f"{HEAD}| b | 2 |"]) == [
        f"{HEAD}| a | 1 |",
        "\n| b | 2 |",
    ]


def test_an_empty_line_separates_the_texts_of_two_images():
    tiles = [below(0), below(1, image=1), below(2, image=1)]
    assert settle_pieces(tiles, ["one", "two", "three"]) == ["one", "\n\ntwo", "\nthree"]
    assert can_stream(tiles) == [True, False, True]
    assert "image 2, x 0-400" in merge([(tiles[0], "one"), (tiles[1], None)])
