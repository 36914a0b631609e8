"""Listing, reading and forgetting conversations."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.views.session import session_summary, session_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.sessions import SessionList, SessionPath, SessionQuery, SessionState
from gateway.services import current_services
from shared import errors

sessions = APIBlueprint("sessions", __name__, abp_tags=[Tag(name="sessions")])

_ERRORS = problems.documented(errors.NotFound, errors.StoreUnavailable)


@sessions.get(
    "/v1/sessions",
    summary="List conversations",
    responses={
        200: SessionList,
        **problems.documented(errors.BadParameters, errors.StoreUnavailable),
    },
)
def list_sessions(query: SessionQuery) -> dict[str, Any]:
    """Return the most recently used conversations, newest first."""
    page = current_services().sessions.page(current_tenant(), query.limit)
    return {"object": "list", "data": [session_summary(session) for session in page]}


@sessions.get(
    "/v1/sessions/<session_id>",
    summary="Get a conversation",
    responses={200: SessionState, **_ERRORS},
)
def read(path: SessionPath) -> dict[str, Any]:
    """Return a conversation with its turns, oldest first."""
    store, tenant = current_services().sessions, current_tenant()
    session = store.get(tenant, path.session_id)
    return session_view(session, store.turns(tenant, path.session_id))


@sessions.delete(
    "/v1/sessions/<session_id>",
    summary="Delete a conversation",
    responses={204: None, **problems.documented(errors.NotFound, *WRITE_ERRORS)},
)
def forget(path: SessionPath) -> tuple[str, int]:
    """Delete the conversation and its turns; its jobs stay until they are erased."""
    current_services().sessions.delete(current_tenant(), path.session_id)
    return "", 204
