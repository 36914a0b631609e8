"""What a model thinks before it answers, as every client of the service gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from openai.types.responses import Response

from tests.integration.http.test_events import following
from tests.support.workers.hand_written import Writer

THOUGHT = "simulated thinking: 先看 the picture, then the question"


@pytest.fixture
def client(served):
    url = f"{served.http.base_url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def ask(client, extra_body=None, **options):
    messages = [{"role": "user", "content": "What is it?"}]
    # a short answer, whatever it is
    body = {"choices": ["yes"], **(extra_body or {})}
    return client.chat.completions.create(
        model="sightline", messages=messages, extra_body=body, **options
    )


def test_a_job_has_the_thinking_beside_its_answer(served):
    job = served.ended(enable_thinking=True, max_new_tokens=3)
    plain = served.ended(max_new_tokens=3)
    assert job["output"]["reasoning"] == THOUGHT
    assert job["output"]["text"] == plain["output"]["text"]
    assert "reasoning" not in plain["output"]
    usage = job["usage"]
    assert (usage["reasoning_tokens"], usage["completion_tokens"]) == (8, 11)
    assert "reasoning_tokens" not in plain["usage"] or plain["usage"]["reasoning_tokens"] == 0
    events = []
    with following(served.http, job["id"]) as stream:
        events = [(e["event"], json.loads(e["data"])) for e in stream if "event" in e]
    thought = [data["text"] for kind, data in events if kind == "output.reasoning"]
    said = [data["text"] for kind, data in events if kind == "output.delta"]
    assert ("".join(thought), "".join(said)) == (THOUGHT, job["output"]["text"])
    kinds = [kind for kind, _ in events]
    last_thought = len(kinds) - kinds[::-1].index("output.reasoning") - 1
    assert last_thought < kinds.index("output.delta")


@pytest.mark.parametrize("budget", [{"max_reasoning_tokens": 2}, {"thinking_budget": 2}])
def test_a_budget_bounds_the_thinking_alone(served, budget):
    job = served.ended(enable_thinking=True, max_new_tokens=3, **budget)
    assert job["output"]["reasoning"] == "simulated thinking:"
    assert job["usage"]["completion_tokens"] == 5


def test_a_chat_has_reasoning_content(served, client):
    answer = ask(client, max_tokens=64, reasoning_effort="high")
    message = answer.choices[0].message
    assert message.model_extra["reasoning_content"] == THOUGHT
    assert message.content
    assert answer.usage.completion_tokens_details.reasoning_tokens == 8
    assert "warnings" not in answer.model_extra or not answer.model_extra["warnings"]
    for off in (
        {"reasoning_effort": "none"},
        {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
        {"extra_body": {"enable_thinking": False}},
    ):
        plain = ask(client, max_tokens=64, **off)
        assert plain.choices[0].message.content == message.content
        assert "reasoning_content" not in plain.choices[0].message.model_extra
    # what the caller allows is for both, and half of it at least for the answer
    short = ask(
        client, max_tokens=24, extra_body={"chat_template_kwargs": {"enable_thinking": True}}
    )
    assert short.usage.completion_tokens <= 24
    assert short.choices[0].message.content


def test_a_streamed_chat_thinks_before_it_answers(client):
    chunks = list(ask(client, max_tokens=64, reasoning_effort="low", stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    thought = [d.model_extra.get("reasoning_content") or "" for d in deltas]
    said = [d.content or "" for d in deltas]
    assert "".join(thought) == THOUGHT
    assert "".join(said)
    last_thought = max(at for at, piece in enumerate(thought) if piece)
    assert last_thought < min(at for at, piece in enumerate(said) if piece)


def test_a_response_has_an_item_of_reasoning(client):
    options = {
        "model": "sightline",
        "input": "What is it?",
        "reasoning": {"effort": "medium"},
        "extra_body": {"choices": ["yes"]},
    }
    response = client.responses.create(**options)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text == THOUGHT
    assert response.usage.output_tokens_details.reasoning_tokens == 8
    Response.model_validate(client.responses.retrieve(response.id).to_dict())
    events = list(client.responses.create(**options, stream=True))
    kinds = [event.type for event in events]
    thought = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
    assert len(thought) > 1
    assert "".join(thought) == THOUGHT
    assert kinds.index("response.reasoning_text.done") < kinds.index("response.output_text.delta")
    assert {e.output_index for e in events if e.type == "response.output_text.delta"} == {1}
    whole = events[-1].response
    assert whole.output_text == "".join(
        e.delta for e in events if e.type == "response.output_text.delta"
    )
    # it resumes with the same numbers
    again = list(client.responses.retrieve(whole.id, stream=True))
    assert [(e.type, e.sequence_number) for e in again] == [
        (e.type, e.sequence_number) for e in events
    ]


def test_a_response_streams_what_is_thought_as_it_comes(workerless):
    asked = {"model": "sightline", "input": "What is it?", "background": True}
    created = workerless.http.post("/v1/responses", json=asked).json()
    job_id = created["id"].replace("resp_", "job_")
    writer = Writer(workerless.redis, job_id)
    writer.store.report(job_id, writer.owner, thought="let me see ")
    path = f"/v1/responses/{created['id']}?stream=true"
    with workerless.http.stream("GET", path) as answer:
        events = read_events(answer.iter_lines())
        said = ""
        while said != "let me see":
            event = next(events)
            said += event["delta"] if event["type"] == "response.reasoning_text.delta" else ""
        # only now does it think further, and answer
        writer.store.report(job_id, writer.owner, thought="clearly", thought_at=11)
        # so few that a slow reader loses no event: the end of this job tells no thought
        writer.write(0, 20)
        writer.finish()
        rest = list(events)
    kinds = [event["type"] for event in rest]
    done = rest[kinds.index("response.reasoning_text.done")]
    assert (done["text"], done["output_index"]) == ("let me see clearly", 0)
    assert kinds.index("response.reasoning_text.done") < kinds.index("response.output_text.delta")
    assert kinds[-1] == "response.completed"


def read_events(lines: Iterator[str]) -> Iterator[dict]:
    return (json.loads(line[6:]) for line in lines if line.startswith("data: "))


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"reasoning_effort": "a lot"}, "/reasoning_effort"),
        ({"extra_body": {"chat_template_kwargs": {"enable_thinking": "so"}}}, "/enable_thinking"),
        ({"extra_body": {"max_reasoning_tokens": -1}}, "/max_reasoning_tokens"),
    ],
)
def test_what_is_no_way_to_think_is_refused_by_its_name(client, options, pointer):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(client, **options)
    assert refused.value.param == pointer


def test_other_arguments_of_a_template_are_told_to_have_no_effect(client):
    answer = ask(client, extra_body={"chat_template_kwargs": {"strange": 1}})
    (warning,) = answer.model_extra["warnings"]
    assert warning["code"] == "parameter_ignored"
    assert "chat_template_kwargs" in warning["detail"]


def test_the_models_say_whether_they_think(served):
    (model,) = served.http.get("/v1/models").json()["data"]
    assert model["thinks"] is True
    # what the engine's checkpoint recommends
    assert model["sampling"] == {"temperature": 0.7}


def test_a_conversation_keeps_answers_alone(served):
    for question in ("one", "two"):
        served.ended(question, session_id="thinking", enable_thinking=True, max_new_tokens=4)
    turns = served.http.get("/v1/sessions/thinking").json()["turns"]
    assert len(turns) == 2
    assert THOUGHT not in json.dumps(turns, ensure_ascii=False)
