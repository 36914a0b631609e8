from hypothesis import given, settings
from hypothesis import strategies as st

from worker.tiling import Tile, merge


def below(order, overlap=0, breaks=False, height=200):
    return Tile(order, (0, order * 100, 400, order * 100 + height), "y", overlap, breaks)


def beside(order, overlap=0, lines=(20, 60)):
    left = order * 100
    axis = "x" if order else "y"
    return Tile(order, (left, 0, left + 200, 80), axis, overlap, order == 0, lines)


def test_texts_follow_each_other_in_the_order_of_their_tiles():
    assert merge([(below(1), "c\nd"), (below(0), "a\nb")]) == "a\nb\nc\nd"


def test_a_repeated_line_at_a_clean_cut_is_no_double():
    assert merge([(below(0), "milk 1.00\nmilk 1.00"), (below(1), "milk 1.00")]).count("milk") == 3


def test_what_an_overlap_shows_twice_is_told_once():
    upper = "one line\nanother line\na third one\nhalf a li"
    lower = "othor linc\na third one\nhalf a line\nthe last"

    merged = merge([(below(0), upper), (below(1, overlap=100), lower)])

    assert merged == "one line\nanother line\na third one\nhalf a line\nthe last"


def test_the_reading_farther_from_the_edge_is_kept():
    upper = "alpha beta\ngamma delta\nepsilon zetq"
    lower = "gamna delta\nepsilon zeta\neta theta"

    merged = merge([(below(0), upper), (below(1, overlap=90), lower)])

    assert merged == "alpha beta\ngamma delta\nepsilon zeta\neta theta"


def test_an_uncertain_character_stays_unless_the_other_reading_is_sure():
    upper = "the sum is [?]4\nthe end of it"
    lower = "the sum is 14\nthe e[?]d of it\nnothing el[?]e"

    merged = merge([(below(0), upper), (below(1, overlap=60), lower)])

    assert merged == "the sum is 14\nthe end of it\nnothing el[?]e"


def test_an_overlap_without_a_common_line_loses_nothing():
    assert merge([(below(0), "abc\ndef"), (below(1, overlap=50), "123\n456")]) == (
        "abc\ndef\n123\n456"
    )


def test_a_tile_that_failed_leaves_a_mark_with_its_place():
    merged = merge([(below(0), "a"), (below(1), None), (below(2, overlap=40), "c")])

    assert merged == "a\n[unread: x 0-400, y 100-300]\nc"


def test_the_mark_of_a_failed_tile_can_be_chosen():
    assert merge([(below(0), None)], gap_mark=lambda tile: f"<{tile.order}>") == "<0>"


HEAD = "| name | sum |\n|---|---|\n"


def test_a_table_that_crosses_a_seam_stays_one():
    lower = "| c | 3 |\n|---|---|\n| d | 4 |\nthe end"

    merged = merge([(below(0), f"{HEAD}| a | 1 |"), (below(1), lower)])

    assert merged == f"{HEAD}| a | 1 |\n| c | 3 |\n| d | 4 |\nthe end"


def test_a_header_read_again_below_the_seam_is_left_out():
    merged = merge([(below(0), f"{HEAD}| a | 1 |"), (below(1), f"{HEAD}| b | 2 |")])

    assert merged == f"{HEAD}| a | 1 |\n| b | 2 |"


def test_rows_without_a_header_join_the_table_above():
    assert merge([(below(0), f"{HEAD}| a | 1 |"), (below(1), "| b | 2 |")]) == (
        f"{HEAD}| a | 1 |\n| b | 2 |"
    )


def test_a_table_over_an_overlap_has_each_row_once():
    upper = f"{HEAD}| apples | 1 |\n| pears | 2 |\n| plums | 3 |"
    lower = "| pears | 2 |\n|---|---|\n| plums | 3 |\n| figs | 4 |"

    merged = merge([(below(0), upper), (below(1, overlap=80), lower)])

    assert merged == f"{HEAD}| apples | 1 |\n| pears | 2 |\n| plums | 3 |\n| figs | 4 |"


def test_another_table_behind_a_wide_gap_stays_another():
    merged = merge([(below(0), f"{HEAD}| a | 1 |"), (below(1, breaks=True), f"{HEAD}| b | 2 |")])

    assert merged == f"{HEAD}| a | 1 |\n\n{HEAD}| b | 2 |"


def test_a_table_of_another_width_stays_another():
    other = "| x | y | z |\n|---|---|---|\n| 1 | 2 | 3 |"

    merged = merge([(below(0), f"{HEAD}| a | 1 |"), (below(1), other)])

    assert merged == f"{HEAD}| a | 1 |\n\n{other}"


def test_a_fence_around_a_whole_answer_goes_but_its_text_stays():
    merged = merge([(below(0), f"```markdown\n{HEAD}| a | 1 |\n```"), (below(1), "| b | 2 |")])

    assert merged == f"{HEAD}| a | 1 |\n| b | 2 |"


def test_lines_beside_each_other_are_joined_at_their_height():
    parts = [(beside(0), "to be or\nthat is"), (beside(1), "not to be\nthe question")]

    assert merge(parts) == "to be or not to be\nthat is the question"


def test_words_in_a_sideways_overlap_are_told_once():
    parts = [
        (beside(0), "the quick brown fo\nlorem ipsum dol"),
        (beside(1, overlap=90), "ck brown fox jumps\num dolor sit"),
    ]

    assert merge(parts) == "the quick brown fox jumps\nlorem ipsum dolor sit"


def test_chinese_lines_are_joined_without_a_blank():
    parts = [(beside(0, lines=(40,)), "床前明月光"), (beside(1, lines=(40,)), "疑是地上霜")]

    assert merge(parts) == "床前明月光疑是地上霜"


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
LINES = st.lists(st.lists(WORDS, min_size=2, max_size=5).map(" ".join), unique=True, max_size=14)


@settings(max_examples=150, deadline=None)
@given(LINES, LINES)
def test_clean_cuts_keep_every_line(first, second):
    assert merge([(below(0), "\n".join(first)), (below(1), "\n".join(second))]) == "\n".join(
        first + second
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_an_overlap_of_whole_lines_is_told_once_whatever_lies_cut_at_the_edges(data):
    numbers = st.integers(10**7, 10**8 - 1)
    lines = data.draw(
        st.lists(numbers.map(str), min_size=4, max_size=30, unique_by=lambda n: n[:4])
    )
    shared = data.draw(st.integers(1, len(lines) - 2))
    first = data.draw(st.integers(1, len(lines) - shared - 1))
    upper, lower = lines[: first + shared], lines[first:]
    if data.draw(st.booleans()):
        upper = [*upper, "~.,"]
    if data.draw(st.booleans()):
        lower = ["_-'", *lower]
    pitch = 20
    tile = below(1, overlap=shared * pitch + 5, height=len(lower) * pitch)

    merged = merge([(below(0), "\n".join(upper)), (tile, "\n".join(lower))])

    assert merged.split("\n") == lines


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.data())
def test_any_texts_can_be_merged(texts, data):
    tiles = [
        Tile(
            number,
            (0, number * 50, 100, number * 50 + 80),
            data.draw(st.sampled_from(["x", "y"])),
            data.draw(st.sampled_from([0, 30])),
            data.draw(st.booleans()),
            tuple(range(text.count("\n") + 1)),
        )
        for number, text in enumerate(texts)
    ]

    assert isinstance(merge(list(zip(tiles, texts, strict=True))), str)
