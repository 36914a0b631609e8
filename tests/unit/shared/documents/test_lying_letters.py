"""Letters whose meaning is missing or wrong in the file: their page is read, not believed."""

import pytest

from shared.documents.model import TextDoubt
from shared.documents.text.letters import has_foreign_letters, makes_sense
from tests.support.documents.drawn import pdf, prose, write
from tests.support.documents.lying_fonts import drawn_letters, numbered_glyphs

LINES = prose(25, 3)


def _moved(letter, step):
    if not letter.isalpha():
        return letter
    return chr((ord(letter) - 97 + step) % 26 + 97)


def test_a_right_table_is_believed(reader):
    page = reader.page_text(numbered_glyphs(LINES, str), 1)
    assert page.trusted
    assert page.text.split("\n") == LINES


@pytest.mark.parametrize("step", [1, 3, 4, 13, 22])
def test_a_table_that_is_moved_by_some_letters_is_not_believed(reader, step):
    page = reader.page_text(numbered_glyphs(LINES, lambda letter: _moved(letter, step)), 1)
    assert page.doubt == TextDoubt.UNMAPPED
    # the vowels of half of these words are vowels still: "the" of "fox" is no sign
    assert page.text


def test_the_numbers_of_glyphs_are_no_letters(reader):
    page = reader.page_text(numbered_glyphs(["Volumes of goods", "and orders"]), 1)
    assert page.doubt == TextDoubt.UNMAPPED


def test_one_font_without_a_table_is_enough(reader):
    right = reader.page_text(numbered_glyphs([], heading=" ".join(LINES[:1])), 1)
    assert right.trusted
    some = reader.page_text(numbered_glyphs(["a total of 100"], heading=" ".join(LINES[:1])), 1)
    assert some.doubt == TextDoubt.UNMAPPED


def test_a_table_with_several_letters_for_a_glyph_keeps_them_all(reader):
    page = reader.page_text(numbered_glyphs(["xyz"], {"x": "ff", "y": "ti", "z": "ffi"}.get), 1)
    assert page.text == "fftiffi"


def test_letters_beyond_the_first_plane_are_one_letter_each(reader):
    meanings = {"x": "\U0001d465", "y": "\U0001f600", "z": "\U0001d467" * 2}
    page = reader.page_text(numbered_glyphs(["x y z"], lambda one: meanings.get(one, one)), 1)
    # a program names letters of formulas twice, though it draws them once
    assert page.text == "\U0001d465 \U0001f600 \U0001d467"
    assert page.trusted


@pytest.mark.parametrize(
    ("word", "read"), [("لا", "لا"), ("حَبيبي", "حَبيبي"), ("شׁ", "شׁ"), ("אבג", "אבג")]
)
def test_a_glyph_of_several_letters_from_right_to_left(reader, word, read):
    page = reader.page_text(numbered_glyphs(["x"], lambda _: word), 1)
    assert page.text == read


def test_drawings_called_as_letters_are_believed_and_numbered_ones_if_they_make_sense(reader):
    right = reader.page_text(drawn_letters(LINES, ord, str), 1)
    assert (right.trusted, right.text.split()) == (True, " ".join(LINES).split())
    guessed = reader.page_text(drawn_letters(LINES, ord, None), 1)
    assert (guessed.trusted, guessed.text.split()) == (True, " ".join(LINES).split())


@pytest.mark.parametrize("first", [33, 1])
def test_drawings_in_the_order_of_their_use_say_nothing(reader, first):
    order = {letter: number for number, letter in enumerate(sorted(set("".join(LINES))), first)}
    page = reader.page_text(drawn_letters(LINES, order.get, None), 1)
    assert page.doubt == TextDoubt.UNMAPPED


@pytest.mark.parametrize("aside", [(0, 0), (0.4, 0), (0.6, -0.6)])
def test_letters_that_are_drawn_twice_to_be_bold_are_read_once(reader, aside):
    lines = [*LINES, "all of the bookkeeping is illegal: 1000 wool balls"]

    def draw(canvas):
        write(canvas, lines)
        write(canvas, lines, x=60 + aside[0], y=770 + aside[1])

    page = reader.page_text(pdf(draw), 1)
    assert page.text.split("\n") == lines
    assert page.trusted


def test_letters_drawn_one_by_one_and_twice_are_read_once(reader):
    def draw(canvas):
        for row, line in enumerate(LINES):
            x = 60
            for letter in line:
                for shift in (0, 0.3):
                    canvas.drawString(x + shift, 770 - 14 * row, letter)
                x += canvas.stringWidth(letter, "Helvetica", 10)

    assert reader.page_text(pdf(draw), 1).text.split("\n") == LINES


@pytest.mark.parametrize(
    "text",
    [
        "Ce contrat est établi entre les parties désignées à l’article premier, sans préjudice",
        "Die Gesellschaft übernimmt die Haftung für Schäden, die durch Störungen entstehen",
        "Hợp đồng này được lập thành hai bản có giá trị pháp lý như nhau, mỗi bên giữ một bản",
        "Umowa została sporządzona w dwóch jednobrzmiących egzemplarzach, po jednym dla stron",
        "Dengan ini menyatakan bahwa semua keterangan yang diberikan adalah benar dan lengkap",
        "甲方应当在收到货物后三十日内向乙方支付全部价款，逾期按日万分之五支付违约金",
        "本契約に定めのない事項については、両当事者が誠意をもって協議し解決するものとする",
        "SKU-4471 XJ9-220 QWX-118 ZZK-904 VVQ-371 KKX-220 JQZ-118 BBX-310 XWQ-220 ZKV-300",
        "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZyB3aGlsZSBlZmZpY2llbnQ",
        "a b c d e f g h i j k l m n o p q r s t u v w x y z XXXXXXXXXXXX",
    ],
)
def test_languages_and_codes_are_not_taken_for_mixed_up_letters(text):
    assert not has_foreign_letters(text)


@pytest.mark.parametrize(
    "text",
    [
        "Äîãîâîð êóïëè-ïðîäàæè íåäâèæèìîãî èìóùåñòâà",
        "䴀甀氀琀椀挀漀氀漀爀䈀氀愀挀欀倀甀爀攀䴀愀最攀渀琀愀䌀礀愀渀",
        "㒃㔾㕮㗂㚻㜰㞎㟆㠭㡵㢡㣺㥑㦸㧟㨷㩘㪚㫰",
    ],
)
def test_other_alphabets_in_a_wrong_table_are_noticed(text):
    assert has_foreign_letters(text)


def test_fonts_without_a_table_make_sense_by_words_or_numbers():
    assert makes_sense(["0.5 1.0 1.5 2.0 -0.5 10.5 x"])
    assert makes_sense(["の削除・インストールについて、メニューのスタートを押下します"])
    assert not makes_sense(["9ROXPHV", "1 2 3"])
    assert not makes_sense(["7KH TXLFN EURZQ IR[ MXPSV RYHU WKH OD]\\ GRJ DQG HIILFLHQW RIILFHUV"])
    assert not makes_sense(["the quick brown fox jumps over lazy dogs and efficient", "KHXZQWVJK"])
