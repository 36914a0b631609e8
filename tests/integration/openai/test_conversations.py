"""OpenAI's conversations through openai-python, unchanged: sessions by another name."""

from __future__ import annotations

import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem
from pydantic import TypeAdapter

from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from tests.integration.openai.test_response_documents import asked
from tests.integration.openai.test_responses import client, create, data_url, shown
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.images.image_bytes import plain_png

__all__ = ["client"]

PICTURE = data_url("teal")
ITEM = TypeAdapter(ConversationItem)


def file_part():
    return {"type": "input_file", "file_data": as_base64(pages("t"))}


def said(role, text, *urls):
    kind = "output_text" if role == "assistant" else "input_text"
    shown = [{"type": "input_image", "image_url": url} for url in urls]
    return {"type": "message", "role": role, "content": [*shown, {"type": kind, "text": text}]}


def texts_of(client, conversation_id):
    listed = client.conversations.items.list(conversation_id, order="asc")
    return [(item.role, item.content[-1].text) for item in listed]


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
    # not begun again without a word, which would make an answer that knows nothing
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model="sightline", input="And then?", conversation=made.id)
    assert refused.value.param == "/conversation"


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


def test_messages_are_added_go_into_the_prompt_and_are_deleted_one_by_one(served, client):
    first = [
        said("system", "Speak plainly."),
        said("user", "What is it?", data_url("peru", 90, 70)),
    ]
    conversation = client.conversations.create(items=first)
    added = client.conversations.items.create(
        conversation.id, items=[said("assistant", "A square."), said("user", "Its colour?")]
    )
    for item in added.data:
        ITEM.validate_python(item.to_dict())
    assert [item.role for item in added.data] == ["assistant", "user"]
    assert (added.first_id, added.last_id) == (added.data[0].id, added.data[-1].id)
    expected = [
        *[("system", "Speak plainly."), ("user", "What is it?")],
        *[("assistant", "A square."), ("user", "Its colour?")],
    ]
    assert texts_of(client, conversation.id) == expected
    answer = create(client, "And its size?", conversation=conversation.id, max_output_tokens=4)
    prompt_tokens = answer.usage.input_tokens
    assert texts_of(client, conversation.id)[:4] == expected
    alone = create(client, "And its size?", max_output_tokens=4)
    # the words that were added, and the picture
    assert prompt_tokens > alone.usage.input_tokens + 9
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    (image,) = [part.file_id for part in items[1].content if part.type == "input_image"]
    assert served.http.get(f"/v1/images/{image}").status_code == 200
    # the session of the page shows them as well
    turns = served.http.get(f"/v1/sessions/{conversation.id}").json()["turns"]
    assert [turn["job_id"] for turn in turns[:-1]] == [None] * (len(turns) - 1)
    left = client.conversations.items.delete(items[1].id, conversation_id=conversation.id)
    assert (left.id, left.object) == (conversation.id, "conversation")
    assert served.http.get(f"/v1/images/{image}").status_code == 404
    assert texts_of(client, conversation.id)[:3] == [expected[0], *expected[2:]]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.delete(items[1].id, conversation_id=conversation.id)
    client.conversations.items.delete(answer.output[0].id, conversation_id=conversation.id)
    fewer = create(client, "And", conversation=conversation.id, max_output_tokens=4)
    assert fewer.usage.input_tokens < prompt_tokens


def test_half_of_an_answered_question_is_deleted_and_then_the_rest(served, client):
    conversation = client.conversations.create()
    answer = create(client, "First?", conversation=conversation.id, max_output_tokens=4)
    asked, answered = client.conversations.items.list(conversation.id, order="asc")
    client.conversations.items.delete(asked.id, conversation_id=conversation.id)
    assert texts_of(client, conversation.id) == [("assistant", answer.output_text)]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(asked.id, conversation_id=conversation.id)
    again = create(client, "Second?", conversation=conversation.id, max_output_tokens=4)
    assert again.status in ("completed", "incomplete")
    client.conversations.items.delete(answered.id, conversation_id=conversation.id)
    assert texts_of(client, conversation.id) == [
        ("user", "Second?"),
        ("assistant", again.output_text),
    ]
    # its response stays, and goes with its other half when it is erased
    assert client.responses.retrieve(answer.id).output_text == answer.output_text


def test_nothing_is_added_while_a_response_is_made_or_to_what_is_not_there(workerless):
    url, key = f"{workerless.http.base_url}/v1", "none"
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0) as client:
        conversation = client.conversations.create(items=[said("user", "Before?", PICTURE)])
        response = client.responses.create(
            model="sightline", input="Now?", conversation=conversation.id, background=True
        )
        with pytest.raises(openai.ConflictError, match="answering"):
            client.conversations.items.create(conversation.id, items=[said("user", "x")])
        with pytest.raises(openai.NotFoundError):
            client.conversations.items.create("conv_none", items=[said("user", "x", PICTURE)])
        client.responses.cancel(response.id)
        other = "data:image/png;base64," + plain_png("orchid").hex()
        with pytest.raises(openai.APIStatusError, match="known format"):
            client.conversations.items.create(conversation.id, items=[said("user", "x", other)])
        assert texts_of(client, conversation.id) == [("user", "Before?")]


def test_a_worker_of_an_older_version_leaves_what_follows_an_added_message(workerless):
    url = f"{workerless.http.base_url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        plain, added = client.conversations.create(), client.conversations.create()
        client.conversations.items.create(added.id, items=[said("user", "x")])
    store = Store(Settings(redis_url=workerless.redis.url))
    versions = []
    for conversation in (plain, added):
        new = NewJob("anonymous", JobInput(prompt="?"), session_id=conversation.id)
        job_id = store.add(new).doorbell.job_id
        versions.append(int(store.redis.hget(keys.job(job_id), "version")))
        store.cancel(job_id, "anonymous")
    assert versions[0] < versions[1] == 5


def test_any_session_is_a_conversation(served, client):
    served.ended("What?", session_id="by-hand")
    assert client.conversations.retrieve("by-hand").metadata == {}
    assert len(list(client.conversations.items.list("by-hand"))) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": [{"role": "wizard", "content": "x"}]}, "/items/0/role"),
        ({"items": [{"type": "item_reference", "id": "x"}]}, "/items/0/type"),
        ({"items": [{"role": "user", "content": "x"}] * 21}, "/items"),
        ({"items": [{"role": "user", "content": "x" * 200_001}]}, "/items/0"),
        ({"items": [{"role": "user", "content": [file_part()]}]}, "/items/0/content/0/file_data"),
        ({"items": [{"type": "input_text", "text": "x"}]}, "/items/0/type"),
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
