"""OpenAI's conversations through openai-python, unchanged: sessions by another name."""

from __future__ import annotations

import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem
from pydantic import TypeAdapter

from tests.integration.documents.test_document_jobs import pages
from tests.integration.openai.test_response_documents import asked
from tests.integration.openai.test_responses import client, create, data_url, shown

__all__ = ["client"]

PICTURE = data_url("teal")
ITEM = TypeAdapter(ConversationItem)


def test_a_conversation_is_made_noted_read_and_deleted(served, client):
    made = client.conversations.create(metadata={"topic": "demo"})
    Conversation.model_validate(made.to_dict())
    assert (made.object, made.metadata) == ("conversation", {"topic": "demo"})
    assert client.conversations.retrieve(made.id) == made
    noted = client.conversations.update(made.id, metadata={"topic": "other", "更": "多"})
    assert client.conversations.retrieve(made.id) == noted
    assert noted.metadata == {"topic": "other", "更": "多"}
    assert served.http.get(f"/v1/sessions/{made.id}").json()["turns"] == []
    assert list(client.conversations.items.list(made.id)) == []
    deleted = client.conversations.delete(made.id)
    ConversationDeletedResource.model_validate(deleted.to_dict())
    assert deleted.deleted
    for call in (client.conversations.retrieve, client.conversations.delete):
        with pytest.raises(openai.NotFoundError):
            call(made.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.update(made.id, metadata={})
    with pytest.raises(openai.NotFoundError):
        list(client.conversations.items.list(made.id))


def test_its_items_are_the_questions_and_answers_of_its_responses(client):
    conversation = client.conversations.create(metadata={"a": "b"})
    first = create(
        client, [shown("First?", PICTURE)], conversation=conversation.id, max_output_tokens=4
    )
    second = create(
        client, asked("Second?", pages("t")), conversation=conversation.id, max_output_tokens=4
    )
    assert first.conversation.id == second.conversation.id == conversation.id
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=3))
    for item in items:
        ITEM.validate_python(item.to_dict())
    assert [item.role for item in items] == ["user", "assistant"] * 2
    assert items[1].content[0].text == first.output_text != ""
    assert [part.type for part in items[0].content] == ["input_image", "input_text"]
    assert [part.type for part in items[2].content] == ["input_file", "input_text"]
    assert items[1].id == first.output[0].id
    newest = next(iter(client.conversations.items.list(conversation.id)))
    assert newest.content[0].text == second.output_text
    one = client.conversations.items.retrieve(items[2].id, conversation_id=conversation.id)
    assert one == items[2]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve("msg_none", conversation_id=conversation.id)
    # what was noted stays when responses are added
    assert client.conversations.retrieve(conversation.id).metadata == {"a": "b"}


def test_any_session_is_a_conversation(served, client):
    served.ended("What?", session_id="by-hand")
    assert client.conversations.retrieve("by-hand").metadata == {}
    assert len(list(client.conversations.items.list("by-hand"))) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": [{"role": "user", "content": "x"}]}, "/items"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"metadata": {"a" * 65: "x"}}, None),
        ({"metadata": {str(n): "x" for n in range(17)}}, "/metadata"),
        ({"name": "x"}, "/name"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(served, body, pointer):
    answer = served.http.post("/v1/conversations", json=body)
    assert answer.status_code == 422
    assert pointer in (None, answer.json()["pointer"])
