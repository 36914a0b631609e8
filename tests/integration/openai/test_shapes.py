"""The bodies of our answers have the shapes that OpenAI publishes, as a document and as types."""

from __future__ import annotations

import json

import pytest
from jsonschema import ValidationError
from openai.types import Batch, FileDeleted, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.conversations import Conversation, ConversationItemList
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.integration.openai.test_batches import chat_line
from tests.support.published_schema import validator_of

MESSAGES = [{"role": "user", "content": "hello"}]
CHAT = {"model": "sightline", "messages": MESSAGES, "max_tokens": 3}


def fits(body: object, name: str, kind: object = None) -> None:
    """Check a body as it came over the wire; the library itself would take anything."""
    validator_of(name).validate(body)
    if kind is not None:
        TypeAdapter(kind).validate_json(json.dumps(body), strict=True)


def events(text: str) -> list[dict]:
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]


def test_the_check_can_fail(served):
    answer = served.http.post("/v1/chat/completions", json=CHAT).json()
    for broken in (
        {**answer, "created": str(answer["created"])},
        {name: value for name, value in answer.items() if name != "choices"},
        {**answer, "object": "chat"},
        {**answer, "choices": [{**answer["choices"][0], "finish_reason": "done"}]},
    ):
        with pytest.raises(ValidationError):
            fits(broken, "post /chat/completions")


@pytest.mark.parametrize(
    "options", [{}, {"response_format": {"type": "json_object"}, "max_tokens": 12, "new": 1}]
)
def test_chats(served, options):
    whole = served.http.post("/v1/chat/completions", json=CHAT | options)
    assert whole.status_code == 200, whole.text
    fits(whole.json(), "post /chat/completions", ChatCompletion)
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = served.http.post("/v1/chat/completions", json=CHAT | options | stream)
    chunks = events(streamed.text)
    assert len(chunks) > 2
    for chunk in chunks:
        fits(chunk, "CreateChatCompletionStreamResponse", ChatCompletionChunk)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"background": True, "metadata": {"a": "b"}},
        {"text": {"format": {"type": "json_object"}}, "instructions": "Be short."},
        {"store": False, "top_p": 0.5, "temperature": 1, "max_output_tokens": 1},
    ],
)
def test_responses(served, options):
    body = {"model": "sightline", "input": "hello", "max_output_tokens": 4} | options
    whole = served.http.post("/v1/responses", json=body)
    assert whole.status_code == 200, whole.text
    fits(whole.json(), "post /responses", Response)
    streamed = served.http.post("/v1/responses", json=body | {"stream": True})
    for event in events(streamed.text):
        fits(event, "ResponseStreamEvent", ResponseStreamEvent)
    if options.get("store", True):
        path = f"/v1/responses/{whole.json()['id']}"
        fits(served.http.get(path).json(), "post /responses", Response)
        items = served.http.get(f"{path}/input_items").json()
        fits(items, "get /responses/{response_id}/input_items", ResponseItemList)


def test_files_batches_and_models(served):
    http = served.http
    text = json.dumps(chat_line("a", "x")).encode()
    file = http.post("/v1/files", files={"file": text}, data={"purpose": "batch"}).json()
    fits(file, "post /files", FileObject)
    fits(http.get("/v1/files").json(), "get /files")
    body = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = http.post("/v1/batches", json=body | {"input_file_id": file["id"]}).json()
    fits(batch, "post /batches", Batch)
    fits(http.post(f"/v1/batches/{batch['id']}/cancel").json(), "post /batches", Batch)
    fits(http.get("/v1/batches").json(), "get /batches")
    fits(http.delete(f"/v1/files/{file['id']}").json(), "delete /files/{file_id}", FileDeleted)
    models = http.get("/v1/models").json()
    fits(models, "get /models")
    TypeAdapter(list[Model]).validate_python(models["data"])


def test_conversations(served):
    http, listing = served.http, "get /conversations/{conversation_id}/items"
    items = [{"type": "message", "role": role, "content": "x"} for role in ("system", "user")]
    conversation = http.post("/v1/conversations", json={"items": items}).json()
    fits(conversation, "post /conversations", Conversation)
    path = f"/v1/conversations/{conversation['id']}"
    fits(http.get(f"{path}/items").json(), listing, ConversationItemList)
    added = http.post(f"{path}/items", json={"items": items}).json()
    fits(added, listing, ConversationItemList)
    one = http.get(f"{path}/items/{added['first_id']}").json()
    fits(one, "get /conversations/{conversation_id}/items/{item_id}")
    fits(http.delete(path).json(), "delete /conversations/{conversation_id}")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/responses", {"model": "gpt-none", "input": "x"}),
        ("/v1/batches", {}),
        ("/v1/conversations", {"items": 5}),
        ("/v1/embeddings", {}),
    ],
)
def test_errors_have_a_message_a_type_and_a_code(served, path, body):
    answer = served.http.post(path, json=body)
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert all(isinstance(error[name], str) for name in ("message", "type", "code"))
