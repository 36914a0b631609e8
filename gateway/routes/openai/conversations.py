"""OpenAI's conversations: sessions that responses name with `conversation`."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ValidationError

from gateway.audit import note_made
from gateway.auth import current_tenant
from gateway.http import problems
from gateway.http.problems import from_validation
from gateway.responses.paging import page_of, page_view
from gateway.responses.responses_api.conversation import (
    conversation_items,
    conversation_view,
    find_item,
)
from gateway.routes.refusals import SUBMIT_ERRORS, WRITE_ERRORS
from gateway.schemas.openai.conversations import (
    AddedItems,
    ConversationChange,
    ConversationItem,
    ConversationItemPath,
    ConversationObject,
    ConversationPath,
    ConversationRequest,
    DeletedConversation,
)
from gateway.schemas.openai.responses import IncludedQuery, InputItemList, ItemsQuery
from gateway.services import current_services
from gateway.submission.body import is_json, parse_json_object, read_whole_body
from gateway.submission.responses_api.added_items import receive_items
from shared import errors
from shared.store.session_store import new_conversation_id

conversations = APIBlueprint("conversations", __name__, abp_tags=[Tag(name="openai")])

_READ = problems.documented(errors.NotFound, errors.BadParameters, errors.StoreUnavailable)
_WRITE = problems.documented(
    errors.InvalidJson,
    errors.UnsupportedMediaType,
    errors.PayloadTooLarge,
    errors.BadParameters,
    *WRITE_ERRORS,
)
_CHANGE = problems.documented(errors.SessionBusy, *WRITE_ERRORS)
_NO_ITEM = "The conversation has no such item."
#: Times that an item is looked for whose turn is changed at the same moment.
_DELETE_TRIES = 5
M = TypeVar("M", bound=BaseModel)


@conversations.post(
    "/v1/conversations",
    summary="Create a conversation",
    responses={200: ConversationObject, **SUBMIT_ERRORS},
)
def create() -> dict[str, Any]:
    """Begin a conversation, with `items` that were said before or without."""
    services, tenant = current_services(), current_tenant()
    services.store_health.check(for_later=True)
    asked = _receive(ConversationRequest)
    added = receive_items(asked.items, services, tenant) if asked.items else None
    session = services.sessions.create(
        tenant, new_conversation_id(), services.settings.session_ttl_s, asked.metadata or {}
    )
    note_made(session.id)
    if added:
        added.store(services, tenant, session.id)
    return conversation_view(session)


@conversations.get(
    "/v1/conversations/<conversation_id>",
    summary="Get a conversation",
    responses={200: ConversationObject, **_READ},
)
def read(path: ConversationPath) -> dict[str, Any]:
    """Return a conversation without its messages; any session is one."""
    services = current_services()
    return conversation_view(services.sessions.get(current_tenant(), path.conversation_id))


@conversations.post(
    "/v1/conversations/<conversation_id>",
    summary="Update a conversation",
    responses={200: ConversationObject, **_WRITE, **problems.documented(errors.NotFound)},
)
def update(path: ConversationPath) -> dict[str, Any]:
    """Replace the conversation's metadata."""
    services, tenant = current_services(), current_tenant()
    asked = _receive(ConversationChange)
    return conversation_view(
        services.sessions.describe(tenant, path.conversation_id, asked.metadata)
    )


@conversations.delete(
    "/v1/conversations/<conversation_id>",
    summary="Delete a conversation",
    responses={200: DeletedConversation, **_READ, **problems.documented(*WRITE_ERRORS)},
)
def delete(path: ConversationPath) -> dict[str, Any]:
    """Delete the conversation with its messages; its responses stay until they are deleted."""
    current_services().sessions.delete(current_tenant(), path.conversation_id)
    return {"id": path.conversation_id, "object": "conversation.deleted", "deleted": True}


@conversations.get(
    "/v1/conversations/<conversation_id>/items",
    summary="List the items of a conversation",
    responses={200: InputItemList, **_READ},
)
def list_items(path: ConversationPath, query: ItemsQuery) -> dict[str, Any]:
    """Return a page of its answered questions and their answers, newest first."""
    items = _read_items(path.conversation_id)
    if query.order == "desc":
        items.reverse()
    return page_of(items, query.after, query.limit)


@conversations.get(
    "/v1/conversations/<conversation_id>/items/<item_id>",
    summary="Get an item of a conversation",
    responses={200: ConversationItem, **_READ},
)
def read_item(path: ConversationItemPath, query: ItemsQuery) -> dict[str, Any]:  # noqa: ARG001
    """Return one message."""
    for item in _read_items(path.conversation_id):
        if item["id"] == path.item_id:
            return item
    raise errors.NotFound(_NO_ITEM)


@conversations.post(
    "/v1/conversations/<conversation_id>/items",
    summary="Add items to a conversation",
    responses={200: InputItemList, **SUBMIT_ERRORS, **problems.documented(errors.NotFound)},
)
def add_items(path: ConversationPath, query: IncludedQuery) -> dict[str, Any]:  # noqa: ARG001
    """Add messages behind those that are there; not while a response is being made."""
    services, tenant = current_services(), current_tenant()
    services.store_health.check(for_later=True)
    # an unknown conversation is told before images are fetched
    services.sessions.get(tenant, path.conversation_id)
    added = receive_items(_receive(AddedItems).items, services, tenant)
    added.store(services, tenant, path.conversation_id)
    return page_view(conversation_items(added.turns), more=False)


@conversations.delete(
    "/v1/conversations/<conversation_id>/items/<item_id>",
    summary="Delete an item of a conversation",
    responses={200: ConversationObject, **_READ, **_CHANGE},
)
def delete_item(path: ConversationItemPath) -> dict[str, Any]:
    """Take one message out of the conversation, with the images that only it shows.

    Responses that were made with it stay until they are deleted.
    """
    sessions, tenant = current_services().sessions, current_tenant()
    session = sessions.get(tenant, path.conversation_id)
    for attempt in range(_DELETE_TRIES):
        place = find_item(sessions.turns(tenant, session.id), path.item_id)
        if place is None and attempt:
            # it went with a command whose answer was lost
            return conversation_view(session)
        if place is None:
            raise errors.NotFound(_NO_ITEM)
        turn, part = place
        if sessions.change_turn(tenant, session.id, turn, turn.without(part)):
            return conversation_view(session)
    raise errors.SessionBusy("Other requests are changing the conversation.")


def _read_items(conversation_id: str) -> list[dict[str, Any]]:
    """Return the messages of a conversation, oldest first; raises NotFound."""
    sessions, tenant = current_services().sessions, current_tenant()
    # an unknown one has no messages either
    sessions.get(tenant, conversation_id)
    return conversation_items(sessions.turns(tenant, conversation_id))


def _receive(model: type[M]) -> M:
    """Return the JSON body; clients send none where they have nothing to say."""
    if request.mimetype and not is_json(request):
        raise errors.UnsupportedMediaType
    fields = parse_json_object(request) if read_whole_body(request) else {}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None
