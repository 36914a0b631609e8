import itertools
from random import Random

import pytest

from demo.data import documents, drawing, fonts, scenes, shapes, tables, talks

KINDS = [
    scenes.block,
    scenes.covered,
    documents.document,
    tables.table,
    tables.receipt,
    shapes.scene,
    talks.about_text,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_seed_draws_the_same_sample_again(kind):
    one, other = kind(Random("a"), 256, 160), kind(Random("a"), 256, 160)
    assert one.image.tobytes() == other.image.tobytes()
    assert one.turns == other.turns
    assert kind(Random("b"), 256, 160).image.tobytes() != one.image.tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
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
