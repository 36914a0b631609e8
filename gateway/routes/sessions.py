"""Conversations: their turns, and how to forget them."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.schemas.sessions import SessionList, SessionPath, SessionQuery, SessionState
from gateway.services import current_services
from shared import errors
from shared.jobs import Turn
from shared.jobs.view import timestamp
from shared.store.session_store import Session

sessions = APIBlueprint("sessions", __name__, abp_tags=[Tag(name="sessions")])

_ERRORS = problems.documented(errors.NotFound, errors.StoreUnavailable)


_TITLE_CHARS = 80


def _summary(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "object": "session",
        "created_at": timestamp(session.created_ms),
        "updated_at": timestamp(session.updated_ms),
        "expires_at": timestamp(session.updated_ms + session.ttl_ms),
        "busy": session.busy,
        "title": session.first.prompt[:_TITLE_CHARS] if session.first else None,
        "preset": session.first.preset if session.first else None,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "job_id": turn.job_id,
        "created_at": timestamp(turn.created_ms),
        "prompt": turn.prompt,
        "preset": turn.preset,
        "images": list(turn.images),
        "text": turn.text,
        "finish_reason": turn.finish_reason,
    }


@sessions.get(
    "/v1/sessions",
    summary="List conversations",
    responses={
        200: SessionList,
        **problems.documented(errors.BadParameters, errors.StoreUnavailable),
    },
)
def list_sessions(query: SessionQuery) -> dict[str, Any]:
    """Return the conversations used last, newest first."""
    page = current_services().sessions.page(current_tenant(), query.limit)
    return {"object": "list", "data": [_summary(session) for session in page]}


@sessions.get(
    "/v1/sessions/<session_id>",
    summary="Read a conversation",
    responses={200: SessionState, **_ERRORS},
)
def read(path: SessionPath) -> dict[str, Any]:
    """Return a conversation with its turns, oldest first."""
    store, tenant = current_services().sessions, current_tenant()
    session = store.get(tenant, path.session_id)
    turns = [_turn(turn) for turn in store.turns(tenant, path.session_id)]
    images = list(dict.fromkeys(image for turn in turns for image in turn["images"]))
    return _summary(session) | {"turns": turns, "images": images}


@sessions.delete(
    "/v1/sessions/<session_id>",
    summary="Forget a conversation",
    responses={204: None, **_ERRORS},
)
def forget(path: SessionPath) -> tuple[str, int]:
    """Remove the conversation and its turns; its jobs stay until they are erased."""
    current_services().sessions.delete(current_tenant(), path.session_id)
    return "", 204
