"""A conversation that was deleted and begun again under its id is another one."""

from __future__ import annotations

import pytest

from shared.store import keys
from tests.integration.store.desk import Desk


@pytest.fixture
def desk(settings) -> Desk:
    return Desk(settings)


def test_a_running_question_of_a_deleted_conversation_is_no_part_of_the_next(desk):
    old = desk.add(session_id="talk")
    claim = desk.claim(old)
    desk.sessions.delete("t", "talk")
    new = desk.add(session_id="talk")
    desk.finish(old, claim)
    assert desk.sessions.turns("t", "talk") == []
    desk.finish(new)
    assert [turn.job_id for turn in desk.sessions.turns("t", "talk")] == [new]
    assert desk.sessions.get("t", "talk").busy is None


def test_a_question_does_not_see_the_turns_of_a_later_conversation(desk):
    old = desk.add(session_id="talk")
    desk.sessions.delete("t", "talk")
    desk.finish(desk.add(session_id="talk"))
    next_one = desk.add(session_id="talk")
    assert desk.sessions.turns_before(desk.claim(old).row) == []
    assert len(desk.sessions.turns_before(desk.claim(next_one).row)) == 1


def test_a_row_of_an_older_version_belongs_to_the_conversation_of_its_time(desk):
    first = desk.add(session_id="talk")
    desk.redis.hdel(keys.job(first), "session_generation")
    desk.finish(first)
    assert len(desk.sessions.turns("t", "talk")) == 1
    old = desk.add(session_id="talk")
    desk.redis.hdel(keys.job(old), "session_generation")
    claim = desk.claim(old)
    desk.sessions.delete("t", "talk")
    new = desk.add(session_id="talk")
    desk.redis.hincrby(keys.session("t", "talk"), "created_ms", 1)
    desk.finish(old, claim)
    assert desk.sessions.turns("t", "talk") == []
    desk.store.cancel(new, "t")


def test_a_question_whose_conversation_is_gone_has_lost_its_turns(desk):
    first = desk.add(session_id="talk")
    desk.finish(first)
    second = desk.add(session_id="talk")
    rows = [desk.claim(second).row, desk.store.get(first, "t"), desk.store.get(desk.add(), "t")]
    assert [desk.sessions.has_lost_turns(row) for row in rows] == [False, False, False]
    desk.sessions.delete("t", "talk")
    assert [desk.sessions.has_lost_turns(row) for row in rows] == [True, False, False]
    desk.store.cancel(second, "t")
    desk.add(session_id="talk")
    assert [desk.sessions.has_lost_turns(row) for row in rows] == [True, False, False]
