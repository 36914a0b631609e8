import itertools
from random import Random

import pytest

from demo.data import (
    bills,
    columns,
    documents,
    drawing,
    entries,
    fonts,
    pages,
    pairs,
    scenes,
    shapes,
    tables,
    talks,
)

KINDS = [
    scenes.block,
    scenes.covered,
    documents.document,
    tables.table,
    tables.receipt,
    shapes.scene,
    talks.about_text,
    scenes.large_print,
    scenes.everyday,
    documents.slide,
    columns.table,
    bills.receipt,
    bills.form,
    pages.dense,
    pages.repeated,
    pages.log,
    pairs.texts,
    pairs.scenes,
]


def _name(kind):
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"


@pytest.mark.parametrize("kind", KINDS, ids=_name)
def test_a_seed_draws_the_same_sample_again(kind):
    one, other = kind(Random("a"), 256, 160), kind(Random("a"), 256, 160)
    assert one.image.tobytes() == other.image.tobytes()
    assert one.turns == other.turns
    assert kind(Random("b"), 256, 160).image.tobytes() != one.image.tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=_name)
def test_every_byte_of_an_answer_has_a_source_or_none(kind):
    for seed in range(40):
        sample = kind(Random(seed), 32 * (3 + seed % 8), 32 * (3 + seed % 4))
        for turn in sample.turns:
            assert len(turn.sources) == len(turn.answer.encode())
            assert max(turn.sources, default=-1) < len(sample.glyphs)


def test_a_read_byte_is_the_character_of_its_glyph():
    sample = scenes.block(Random(3), 320, 128)
    turn = sample.turns[0]
    read = [
        (char, sample.glyphs[source].char)
        for char, source in zip(turn.answer, turn.sources, strict=True)
        if char != "\n"
    ]
    assert read
    assert all(char == drawn for char, drawn in read)


def test_a_document_tells_what_is_drawn_line_by_line():
    marked = 0
    for seed in range(20):
        sample = documents.document(Random(seed), 480, 320)
        (turn,) = sample.turns
        assert turn.answer
        marked += "|---|" in turn.answer
        for char, source in zip(turn.answer, turn.sources, strict=True):
            drawn = sample.glyphs[source]
            assert char in (drawn.char, "|", "-", " ", "\n")
        heights = [glyph.y for glyph in sample.glyphs]
        assert max(heights) < 320
        lines = [glyph.line for glyph in sample.glyphs]
        assert lines == sorted(lines)
    assert 5 < marked < 20


def test_the_order_of_shapes_from_left_to_right_is_plain_to_see():
    for seed in range(60):
        middles = [s.x + s.size / 2 for s in shapes.scatter(Random(seed), 256, 192)]
        assert all(b - a >= shapes.APART for a, b in itertools.pairwise(middles))


def test_hidden_characters_are_marked_once_a_run():
    answers = [scenes.covered(Random(seed), 256, 64).turns[0].answer for seed in range(20)]
    assert sum("[?]" in answer for answer in answers) >= 18
    assert not any("[?][?]" in answer for answer in answers)


def test_known_lines_are_drawn_as_large_as_they_need():
    image = drawing.draw_lines(["one", "a longer line"], size=20)
    assert image.width > drawing.text_width("a longer line", fonts.PILLOW, 20)
    assert image.height > 40
    assert image.getextrema()[0][0] < 100


def test_a_receipt_tells_the_text_that_it_shows():
    image, text = drawing.draw_receipt("Corner Shop", [("Bread", "2.50")], "2.50")
    assert text == "Corner Shop\nBread 2.50\nTotal 2.50"
    assert image.size == (352, 131)


def test_shapes_are_painted_in_their_colours():
    canvas = shapes.draw_shapes([shapes.Shape("square", "red", 10, 10, 40)])
    assert canvas.image.getpixel((30, 30)) == shapes.PAINT["red"]
    assert canvas.image.getpixel((100, 100)) == (255, 255, 255)


def test_pillows_own_face_is_always_there():
    assert fonts.available()[0] == fonts.PILLOW
    assert fonts.load(fonts.PILLOW, 20).getlength("text") > 0


def test_a_table_without_rules_is_marked_where_tables_are_asked_for():
    asked = {True: set(), False: set()}
    for seed in range(60):
        (turn,) = columns.table(Random(seed), 480, 256).turns
        wanted = any(word in turn.question.lower() for word in ("table", "表格"))
        asked[wanted].add("|---|" in turn.answer)
    assert asked[True] == {True}
    # those with rules are marked always
    assert asked[False] == {True, False}


def test_the_value_of_a_field_and_the_total_are_what_the_paper_shows():
    asked = 0
    for seed in range(40):
        for kind in (bills.form, bills.receipt):
            turns = kind(Random(seed), 352, 400).turns
            if len(turns) == 2:
                whole, value = sorted((turn.answer for turn in turns), key=len, reverse=True)
                assert any(line.endswith(value) for line in whole.split("\n"))
                asked += 1
    assert asked > 10


def test_amounts_have_commas_between_their_thousands():
    drawn = [entries.amount(Random(seed)) for seed in range(300)]
    assert sum("," in one and "." in one for one in drawn) > 100


def test_a_page_of_repeated_words_has_few_different_ones_on_many_lines():
    words = [pages.repeated(Random(seed), 640, 640).turns[0].answer.split() for seed in range(8)]
    assert max(len(set(one)) for one in words) <= 40
    assert sum(map(len, words)) > 3 * sum(len(set(one)) for one in words)


def test_two_pictures_are_read_in_order_and_compared():
    kinds = set()
    for seed in range(60):
        sample = pairs.texts(Random(seed), 160, 64)
        one, other = sample.shown()
        assert one.size == other.size == (160, 64)
        for turn in sample.turns:
            kinds.add("\n\n" in turn.answer)
            lines = [sample.glyphs[source].y < 64 for source in turn.sources if source >= 0]
            assert lines == sorted(lines, reverse=True)
    assert kinds == {True, False}
