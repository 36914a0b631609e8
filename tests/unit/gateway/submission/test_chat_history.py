"""A chat that sends all of its past is taken as far as a model can read it."""

from __future__ import annotations

import pytest

from gateway.submission.chats.chat import ChatRules, assemble_chat
from gateway.submission.chats.history import ChatRoom, check_last_turn, keep_latest
from gateway.submission.chats.message import ChatTurn, NamedImage
from gateway.submission.chats.parameters import pick_own_parameters
from gateway.submission.chats.request import ChatRequest
from gateway.submission.fields.fingerprint import fingerprint_of
from shared.errors import BadParameters, InputTooLong
from shared.prediction.heartbeat import Heartbeat
from shared.settings import Settings

ROOM = ChatRoom(characters=100, images=4)


def turn(role: str, text: str, images: int = 0) -> ChatTurn:
    return ChatTurn(role, text, (NamedImage("img", "/"),) * images, 4096)


def kept(*turns: ChatTurn) -> list[str]:
    return [turn.text for turn in keep_latest(turns, ROOM, "/m")[0]]


def test_a_chat_that_fits_is_kept_as_it_is():
    turns = [turn("assistant", "hello"), turn("user", "a" * 90, 4), turn("user", "b")]
    assert keep_latest(turns, ROOM, "/m") == (turns, 0)


@pytest.mark.parametrize("size", [{"text": "x" * 60}, {"text": "x", "images": 3}])
def test_the_oldest_messages_are_left_out_where_text_or_images_do_not_fit(size):
    turns = [
        *(turn("system", "s"), turn("user", **size), turn("assistant", "a1"), turn("system", "t")),
        *(turn("user", **size), turn("assistant", "a2"), turn("user", "last", 1)),
    ]
    latest, left_out = keep_latest(turns, ROOM, "/m")
    assert latest == [turns[0], *turns[3:]]
    assert left_out == 2


def test_no_answer_stays_whose_question_is_left_out():
    turns = [turn("user", "x" * 99), turn("assistant", "a1"), turn("user", "q2"), turn("user", "q")]
    assert kept(*turns) == ["q2", "q"]
    assert kept(turn("user", "x" * 99), turn("assistant", "a1"), turn("user", "q")) == ["q"]


def test_what_must_stay_and_does_not_fit_is_refused():
    with pytest.raises(InputTooLong, match="102 characters; at most 100"):
        keep_latest([turn("system", "x" * 99), turn("user", "q"), turn("user", "abc")], ROOM, "/m")


def test_there_is_room_in_proportion_to_the_widest_model():
    settings = Settings()
    workers = [Heartbeat("a", "m", context_tokens=tokens) for tokens in (2048, 16_384)]
    assert ChatRoom.of(settings, workers) == ChatRoom(65_536, 64)
    assert ChatRoom.of(settings, workers[:1]) == ChatRoom(settings.prompt_max_chars, 8)
    # a bound stays, whatever the model
    assert ChatRoom.of(settings, [Heartbeat("a", "m", context_tokens=10**6)]).characters == 262_144


def test_the_question_itself_is_held_to_the_limits_of_a_job():
    settings = Settings()
    check_last_turn(turn("user", "x" * 32_768, 8), settings, "/m")
    with pytest.raises(InputTooLong):
        check_last_turn(turn("user", "x" * 32_769), settings, "/m")
    with pytest.raises(BadParameters, match="9 images"):
        check_last_turn(turn("user", "x", 9), settings, "/m")
    with pytest.raises(BadParameters, match="role user"):
        check_last_turn(turn("assistant", "x"), settings, "/m")


def fingerprint(workers: list[Heartbeat], **fields: object) -> str:
    """Return what a chat has in common with those that ask the same."""
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], "max_tokens": 3, **fields}
    rules = ChatRules(Settings(), workers, "/messages")
    asked = ChatRequest.model_validate(body)
    own = pick_own_parameters(asked.model_extra or {})
    chat = assemble_chat([turn("user", "q")], asked, own, rules)
    return fingerprint_of(chat.submission, [])


@pytest.mark.parametrize("said", [{}, {"reasoning_effort": "low"}, {"preset": "ocr"}])
def test_a_chat_stays_the_same_request_whichever_workers_are_up(said):
    """A batch that lost its gateway repeats its lines, maybe while no worker is up."""
    thinking, other = Heartbeat("a", "m", thinks=True), Heartbeat("b", "m")
    fleets = ([thinking], [other], [thinking, other], [])
    assert len({fingerprint(workers, **said) for workers in fleets}) == 1
    for changed in ({"max_tokens": 4}, {"reasoning_effort": "high"}, {"max_total_tokens": 9}):
        assert fingerprint([thinking], **said | changed) != fingerprint([thinking], **said)
