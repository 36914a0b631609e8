"""Guesses follow a text, find it again, and are checked as far as it pays."""

from __future__ import annotations

import random
import time

import pytest

from worker.engine.drafting.drafter import Drafter
from worker.engine.drafting.own_text import OwnText
from worker.engine.drafting.reference_text import ReferenceIndex, ReferenceText
from worker.engine.drafting.sharing import share_rows
from worker.engine.speed.pass_seconds import PassSeconds


def count_right(source, answer) -> int:
    """Return how many tokens of an answer were guessed before they came."""
    right = 0
    for token in answer:
        right += list(source.guess(1)) == [token]
        source.append(token)
    return right


def words(count: int, kinds: int, seed: int = 0) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(kinds) for _ in range(count)]


@pytest.mark.parametrize("kinds", [60, 50_000])
def test_a_reference_is_followed_and_found_again(kinds) -> None:
    text = words(600, kinds)
    assert count_right(ReferenceText(text), text) == 600
    other = kinds + 1
    replaced = [other if at % 20 == 7 else token for at, token in enumerate(text)]
    assert count_right(ReferenceText(text), replaced) == 570
    missing = [token for at, token in enumerate(text) if at % 40 != 7]
    assert count_right(ReferenceText(text), missing) > 510
    doubled = [t for at, token in enumerate(text) for t in [token] * (1 + (at % 40 == 7))]
    assert count_right(ReferenceText(text), doubled) > 510
    # the blocks of a page in another order
    assert count_right(ReferenceText(text), [*text[300:], *text[:300]]) > 580


def test_repeated_lines_do_not_lead_astray() -> None:
    line = words(12, 100)
    text = [token for number in range(50) for token in [*line, 1000 + number]]
    spoilt = [7 if at % 31 == 5 else token for at, token in enumerate(text)]
    assert count_right(ReferenceText(text), spoilt) > len(text) * 0.93


@pytest.mark.parametrize("text", [[1] * 200_000, [1, 2] * 100_000, words(200_000, 3)])
def test_hostile_references_cost_no_more_than_others(text) -> None:
    began = time.process_time()
    source = ReferenceText(text)
    for token in [1, 1, 2, *words(4000, 4, seed=1)]:
        source.append(token)
        source.guess(32)
    assert time.process_time() - began < 5


def test_an_empty_reference_guesses_nothing() -> None:
    source = ReferenceText([])
    for token in range(20):
        source.append(token)
        assert not source.guess(5)
    source.rewind([1, 2])


def test_what_was_written_before_is_guessed_again() -> None:
    row = words(12, 1000)
    assert count_right(OwnText(row), [*row, 5, *row]) > 15
    source = OwnText([])
    assert count_right(source, words(50, 10**6)) == 0
    source.rewind(words(20, 10**6))
    assert not source.guess(3)
    # what was removed is no longer known
    assert all(end <= 20 for end in source._ends.values())


def test_chances_follow_what_was_right() -> None:
    text = words(300, 1000)
    drafter = Drafter([ReferenceText(text)])
    for token in text[:100]:
        drafter.append(token)
    good = drafter.draft(32)
    assert good.tokens == text[100:132]
    assert good.chances[15] > 0.5
    assert list(good.chances) == sorted(good.chances, reverse=True)
    wrong = Drafter([ReferenceText(text)])
    for token in words(100, 1000, seed=5):
        wrong.append(token)
    assert wrong.draft(32).chances[0] < 0.05
    assert not Drafter().draft(32).tokens


def test_a_reference_that_never_fits_costs_next_to_nothing() -> None:
    drafter = Drafter([ReferenceText(words(600, 1000))])
    costs = PassSeconds()
    checked = 0
    for token in words(600, 1000, seed=5):
        draft = drafter.draft(32)
        checked += share_rows([draft.chances], costs.at)[0]
        drafter.append(token)
    # a row is a twentieth of a pass: less than 1 % of 600
    assert checked < 0.01 * 600 * 20 / 2


def test_the_source_that_is_right_is_taken() -> None:
    text = words(300, 1000)
    drafter = Drafter([ReferenceText(words(300, 1000, seed=9)), ReferenceText(text)])
    for token in text[:30]:
        drafter.append(token)
    assert drafter.draft(5).tokens == text[30:35]


def test_no_more_is_checked_than_pays() -> None:
    assert share_rows([[0.9, 0.8, 0.1]], lambda rows: 1 + rows / 20) == [2]
    assert share_rows([[0.04, 0.02]], lambda rows: 1 + rows / 20) == [0]
    assert share_rows([[0.9, 0.5], [0.1]], float) == [0, 0]
    assert share_rows([[0.9, 0.5], []], lambda rows: 1 + rows / 20) == [2, 0]
    # a step in the costs does not hide what lies behind it
    assert share_rows([[0.99] * 20], lambda rows: 1.0 if rows < 3 else 2.5) == [20]
    assert sum(share_rows([[0.9] * 32] * 8, lambda rows: 1 + rows / 1000)) == 64
    # while a prompt is read, answers go on by more than one token
    assert share_rows([[0.5, 0.2]], lambda rows: 0.05 + rows / 400, 96) == [2]


def test_a_pass_costs_what_was_measured() -> None:
    costs = PassSeconds()
    assert costs.at(9) / costs.at(1) == pytest.approx(1.4)
    costs.add(1, 0.05)
    assert costs.at(1) == pytest.approx(0.05)
    assert 0.05 < costs.at(17) < 0.15
    for _ in range(30):
        costs.add(17, 0.08)
        costs.add(1, 0.05)
    assert costs.at(17) == pytest.approx(0.08, rel=0.01)
    assert costs.at(9) == pytest.approx(0.065, rel=0.01)
    # stalls count little, and rows are never free
    costs.add(17, 30.0)
    assert costs.at(17) < 0.09
    for _ in range(9):
        costs.add(9, 0.01)
    assert costs.at(9) >= 0.05 * (1 + 8 / 40) * 0.999
    # what was measured long ago is forgotten: something else may have been running then
    for _ in range(120):
        costs.add(1, 0.05)
    assert costs.at(17) == pytest.approx(0.09, rel=0.01)


def test_answers_share_the_index_of_one_text_and_keep_their_own_places() -> None:
    text = words(300, 1000)
    index = ReferenceIndex(text)
    assert count_right(ReferenceText(index), text[:150]) == 150
    assert count_right(ReferenceText(index), text[150:]) >= 145
    assert count_right(ReferenceText(index), text) == 300
