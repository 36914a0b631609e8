"""Documents in OpenAI's Responses API: as files of a question, and of those that follow it."""

from __future__ import annotations

import base64
import json

import openai
import pytest

from shared.jobs.response_api import job_id_of
from shared.store import keys
from tests.integration.documents.test_document_jobs import pages


@pytest.fixture
def client(served):
    with openai.OpenAI(
        base_url=f"{served.http.base_url}/v1", api_key="none", max_retries=0
    ) as made:
        yield made


def asked(text: str, data: bytes) -> list[dict]:
    content = "data:application/pdf;base64," + base64.b64encode(data).decode()
    file = {"type": "input_file", "filename": "a.pdf", "file_data": content}
    return [{"role": "user", "content": [file, {"type": "input_text", "text": text}]}]


def document_of(served, response) -> dict:
    row = served.redis.client().hget(keys.job(job_id_of(response.id)), "input")
    return json.loads(row)["document"]


def test_a_document_is_asked_about_and_goes_on_with_its_pages(served, client):
    first = client.responses.create(
        model="sightline",
        input=asked("What is it?", pages("tts")),
        extra_body={"pages": "1,3"},
        max_output_tokens=4,
    )
    document = document_of(served, first)
    assert document["pages"] == [1, 3]
    follow_up = client.responses.create(
        model="sightline",
        input="And the date?",
        previous_response_id=first.id,
        max_output_tokens=4,
    )
    again = document_of(served, follow_up)
    assert (again["id"], again["pages"]) == (document["id"], [1, 3])
    (item,) = client.responses.input_items.list(first.id)
    assert [part.type for part in item.content] == ["input_file", "input_text"]
    assert item.content[0].file_id == document["id"]


def test_pages_are_streamed_as_one_text(client):
    events = list(
        client.responses.create(
            model="sightline",
            input=asked("x", pages("ts")),
            stream=True,
            extra_body={"preset": "ocr"},
        )
    )
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))
    final = events[-1].response
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert final.status == "completed"
    assert text == events[-4].text != ""
    resumed = list(client.responses.retrieve(final.id, stream=True, starting_after=5))
    assert [e.to_dict() for e in resumed][:-1] == [e.to_dict() for e in events[6:-1]]


def test_a_stored_file_may_be_a_document(served, client):
    file = client.files.create(file=("a.pdf", pages("t")), purpose="user_data")
    response = client.responses.create(
        model="sightline",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "file_id": file.id},
                    {"type": "input_text", "text": "?"},
                ],
            }
        ],
        max_output_tokens=2,
    )
    assert document_of(served, response)["page_count"] == 1
