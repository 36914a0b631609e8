"""A session as OpenAI's conversation, and its turns as items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.responses.responses_api.view import message_parts, text_part
from shared.jobs import ConversationMessage, FinishReason, Turn
from shared.jobs.model import TurnPart
from shared.store.session_store import Session


def conversation_view(session: Session) -> dict[str, Any]:
    """Return a conversation without its messages."""
    return {
        "id": session.id,
        "object": "conversation",
        "created_at": session.created_ms // 1000,
        "metadata": session.metadata,
    }


def conversation_items(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Return a question and an answer for each turn; ids are those of the response's messages."""
    return [item for turn in turns for item in turn_items(turn)]


def turn_items(turn: Turn) -> list[dict[str, Any]]:
    """Return what a conversation has of a turn: a question, an answer, or both."""
    question = [_question(turn)] if turn.has_question else []
    return question + ([_answer(turn)] if turn.has_answer else [])


def find_item(turns: Iterable[Turn], item_id: str) -> tuple[Turn, TurnPart] | None:
    """Return the turn that has an item, and which half of it that is; None if none has."""
    for turn in turns:
        if turn.has_question and item_id == _question_id(turn):
            return turn, "question"
        if turn.has_answer and item_id == _answer_id(turn):
            return turn, "answer"
    return None


def _question(turn: Turn) -> dict[str, Any]:
    message = ConversationMessage(
        role=turn.role, text=turn.prompt, images=turn.images, image_places=turn.image_places
    )
    parts = message_parts(message)
    if turn.document:
        document = {"file_id": turn.document.id, "filename": turn.document.name}
        parts.insert(0, {"type": "input_file", **document})
    return _item(_question_id(turn), turn.role, parts)


def _answer(turn: Turn) -> dict[str, Any]:
    item = _item(_answer_id(turn), "assistant", [text_part(turn.text)])
    is_whole = turn.finish_reason == FinishReason.STOP
    return item | {"status": "completed" if is_whole else "incomplete"}


def _question_id(turn: Turn) -> str:
    return f"{_answer_id(turn)}_0"


def _answer_id(turn: Turn) -> str:
    return "msg_" + turn.job_id.removeprefix("job_")


def _item(item_id: str, role: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "message",
        "id": item_id,
        "status": "completed",
        "role": role,
        "content": parts,
    }
