"""openai-js, unchanged, against a real gateway."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from tests.support import tools
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.images.image_bytes import plain_png


@pytest.fixture(scope="module")
def results(served) -> dict:
    image = "data:image/png;base64," + base64.b64encode(plain_png("olive")).decode()
    document = "data:application/pdf;base64," + as_base64(pages("ts"))
    script, url = str(tools.NODE / "chat.mjs"), f"{served.http.base_url}/v1"
    command = [tools.node(), script, url, image, document]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_an_answer_comes_whole(served, results):
    whole = results["whole"]
    assert whole["choices"][0]["message"]["content"] == served.job(whole["id"])["output"]["text"]
    assert whole["usage"]["total_tokens"] > whole["usage"]["completion_tokens"] > 0


def test_an_answer_comes_streamed_with_its_usage(results):
    assert results["streamed"]["text"] == results["whole"]["choices"][0]["message"]["content"] != ""
    assert results["streamed"]["usage"]["completion_tokens"] == 6


def test_an_answer_that_takes_longer_than_the_clients_timeout_arrives(results):
    assert results["patient"] > 10


def test_a_background_response_is_resumed_chained_and_canceled(results):
    responses = results["responses"]
    assert responses["text"] == responses["whole"] != ""
    assert responses["numbers"] == list(range(len(responses["numbers"])))
    assert (responses["canceled"], responses["previous"]) == ("cancelled", True)
    assert responses["items"] == ["message"]


def test_a_file_part_is_a_document(served, results):
    documented = results["documented"]
    job = served.job(documented["id"])
    assert documented["choices"][0]["message"]["content"] == job["output"]["text"] != ""
    assert [page["source"] for page in job["output"]["pages"]] == ["text_layer", "model"]


def test_models_are_listed(results):
    assert results["models"] == ["simulated"]


def test_refusals_are_typed(results):
    refusal = {"status": 422, "type": "invalid_request_error", "param": "/n"}
    named = {"kind": "UnprocessableEntityError", "code": "bad_parameters"}
    assert results["parameter"] == refusal | named
    assert (results["model"]["status"], results["model"]["code"]) == (404, "model_not_found")
