"""Conversations and their turns as callers see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.jobs import Turn
from shared.jobs.view import timestamp
from shared.store.session_store import Session

_TITLE_CHARS = 80


def session_summary(session: Session) -> dict[str, Any]:
    """Return a conversation without its turns, as `/v1/sessions` lists it."""
    first = session.first if session.first and session.first.role == "user" else None
    return {
        "id": session.id,
        "object": "session",
        "created_at": timestamp(session.created_ms),
        "updated_at": timestamp(session.updated_ms),
        "expires_at": timestamp(session.updated_ms + session.ttl_ms),
        "busy": session.busy,
        "title": first.prompt[:_TITLE_CHARS] if first else None,
        "preset": first.preset if first else None,
    }


def session_view(session: Session, turns: Iterable[Turn]) -> dict[str, Any]:
    """Return a conversation with its turns and the ids of all their images, each once."""
    turn_views = [_turn_view(turn) for turn in turns]
    images = list(dict.fromkeys(image for view in turn_views for image in view["images"]))
    return session_summary(session) | {"turns": turn_views, "images": images}


def _turn_view(turn: Turn) -> dict[str, Any]:
    return {
        "job_id": None if turn.is_added else turn.job_id,
        "created_at": timestamp(turn.created_ms),
        "role": turn.role,
        "part": turn.part,
        "prompt": turn.prompt,
        "preset": turn.preset,
        "images": list(turn.images),
        "text": turn.text,
        "finish_reason": turn.finish_reason,
    }
