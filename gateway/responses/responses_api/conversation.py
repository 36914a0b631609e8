"""A session as OpenAI's conversation, and its turns as items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.responses.responses_api.view import message_parts, text_part
from shared.jobs import ConversationMessage, FinishReason, Turn
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
    return [item for turn in turns for item in (_question(turn), _answer(turn))]


def _question(turn: Turn) -> dict[str, Any]:
    message = ConversationMessage(
        role="user", text=turn.prompt, images=turn.images, image_places=turn.image_places
    )
    parts = message_parts(message)
    if turn.document:
        document = {"file_id": turn.document.id, "filename": turn.document.name}
        parts.insert(0, {"type": "input_file", **document})
    return _item(f"{_answer_id(turn)}_0", "user", parts)


def _answer(turn: Turn) -> dict[str, Any]:
    item = _item(_answer_id(turn), "assistant", [text_part(turn.text)])
    is_whole = turn.finish_reason == FinishReason.STOP
    return item | {"status": "completed" if is_whole else "incomplete"}


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
