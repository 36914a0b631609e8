"""The OpenAPI document: valid, complete, true to the responses, readable offline."""

from __future__ import annotations

import re

import jsonschema
import openapi_spec_validator
import pytest

from gateway.app import create_app
from tests.support.images.image_bytes import plain_png

#: Pages for people, and documents about the interface, are not the interface.
_DOCUMENTS = re.compile(r"/|/ops|/docs.*|/openapi\.json|/assets/.*|/favicon\.ico")


PNG = plain_png("red", 40, 40)


@pytest.fixture(scope="module")
def document(workerless):
    return workerless.http.get("/openapi.json").json()


@pytest.fixture
def true_to(document):
    """Check an answer against what is documented for it."""

    def check(answer, method, path):
        expected = document["paths"][path][method]["responses"][str(answer.status_code)]
        if answer.status_code == 204:
            assert not answer.content
            return
        kind = answer.headers["Content-Type"].split(";")[0]
        assert kind in expected["content"], f"{method} {path}: {kind} is not documented"
        if kind.endswith("json"):
            schema = expected["content"][kind]["schema"] | {"components": document["components"]}
            jsonschema.validate(answer.json(), closed(schema))

    return check


def closed(schema):
    """Return the schema with every documented object refusing what is not documented."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    if "properties" in inner and inner.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def test_the_document_is_valid(document):
    openapi_spec_validator.validate(document)


def test_every_route_is_in_the_document_and_nothing_else(document):
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in create_app().url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if not _DOCUMENTS.fullmatch(rule.rule)
    }
    operations = {(method, path) for path, item in document["paths"].items() for method in item}
    assert operations == served


def test_the_page_reads_the_same_document(workerless, document):
    assert workerless.http.get("/docs/openapi.json").json() == document


def test_answers_look_as_documented(served, workerless, true_to):
    # the two that are asked here: other tests leave rows that no worker writes
    own = {"limit": 2}
    image = served.http.post("/v1/images", files={"image": PNG})
    true_to(image, "post", "/v1/images")
    image_path = f"/v1/images/{image.json()['id']}"
    true_to(served.http.get(image_path), "get", "/v1/images/{image_id}")
    body = {"prompt": "hi", "images": [image.json()["id"]], "max_new_tokens": 2}
    waited = served.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
    assert waited.status_code == 200
    true_to(waited, "post", "/v1/jobs")
    true_to(served.http.post("/predict", json=body), "post", "/predict")
    true_to(served.http.get("/v1/jobs", params=own), "get", "/v1/jobs")
    job = waited.json()["urls"]
    for accept in ("text/plain", "text/markdown", "application/json"):
        answer = served.http.get(job["result"], headers={"Accept": accept})
        true_to(answer, "get", "/v1/jobs/{job_id}/result")
    events = served.http.get(job["events"])
    true_to(events, "get", "/v1/jobs/{job_id}/events")
    right = {"corrections": [{"pointer": "/text", "value": "x"}], "confirmed": ["/text"]}
    for said in (right, {"confirmed": ["/none"]}, {}):
        answer = served.http.post(job["self"] + "/review", json=said)
        true_to(answer, "post", "/v1/jobs/{job_id}/review")
    true_to(served.http.get(job["self"]), "get", "/v1/jobs/{job_id}")
    true_to(served.http.get("/v1/jobs", params=own), "get", "/v1/jobs")
    true_to(served.http.post(job["cancel"]), "post", "/v1/jobs/{job_id}/cancel")
    true_to(served.http.post(job["self"] + "/retry"), "post", "/v1/jobs/{job_id}/retry")
    for path in ("/healthz", "/readyz", "/v1/queue", "/v1/models", "/v1/limits", "/v1/presets"):
        true_to(served.http.get(path), "get", path)
    true_to(served.http.get(image_path + "/content"), "get", "/v1/images/{image_id}/content")
    true_to(served.http.delete(image_path), "delete", "/v1/images/{image_id}")


def test_what_openais_clients_get_looks_as_documented(served, true_to):
    true_to(served.http.get("/v1/models/sightline"), "get", "/v1/models/{model_id}")
    true_to(served.http.get("/v1/models/none"), "get", "/v1/models/{model_id}")
    chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    for body in (chat, chat | {"stream": True}, chat | {"n": 2}, chat | {"model": "none"}):
        answer = served.http.post("/v1/chat/completions", json=body)
        true_to(answer, "post", "/v1/chat/completions")


def test_unfinished_and_unsuccessful_jobs_look_as_documented_too(workerless, true_to):
    http = workerless.http
    queued = http.post("/v1/jobs", json={"prompt": "hi", "metadata": {"a": [1]}})
    job = queued.json()["urls"]
    true_to(queued, "post", "/v1/jobs")
    true_to(http.get(job["self"]), "get", "/v1/jobs/{job_id}")
    true_to(http.get(job["result"]), "get", "/v1/jobs/{job_id}/result")
    true_to(http.post(job["cancel"]), "post", "/v1/jobs/{job_id}/cancel")
    true_to(http.get(job["result"]), "get", "/v1/jobs/{job_id}/result")
    true_to(http.post(job["self"] + "/retry"), "post", "/v1/jobs/{job_id}/retry")
    true_to(http.delete(job["self"]), "delete", "/v1/jobs/{job_id}")
    for method, path in (("get", ""), ("delete", ""), ("get", "/events"), ("get", "/result")):
        true_to(http.request(method, job["self"] + path), method, "/v1/jobs/{job_id}" + path)
    for path in ("/cancel", "/retry"):
        true_to(http.post(job["self"] + path), "post", "/v1/jobs/{job_id}" + path)
    true_to(http.get("/readyz"), "get", "/readyz")


def test_the_ledger_of_webhooks_looks_as_documented(workerless, true_to):
    http = workerless.http
    job = http.post("/v1/jobs", json={"prompt": "hi", "webhook": "https://nobody.invalid/"}).json()
    http.post(job["urls"]["cancel"])
    ledger = http.get(job["urls"]["self"] + "/deliveries")
    assert len(ledger.json()["data"]) == 1
    true_to(ledger, "get", "/v1/jobs/{job_id}/deliveries")
    delivery = "/v1/deliveries/" + ledger.json()["data"][0]["id"]
    for path in (delivery, "/v1/deliveries/x"):
        true_to(http.get(path), "get", "/v1/deliveries/{delivery_id}")
        true_to(http.post(path + "/replay"), "post", "/v1/deliveries/{delivery_id}/replay")
    for body in ({"since": "2026-01-01T00:00:00Z"}, {"since": "yesterday"}, {}, []):
        true_to(http.post("/v1/deliveries/replay", json=body), "post", "/v1/deliveries/replay")
    for body in ({"url": "https://nobody.invalid/"}, {"url": "http://10.0.0.1/"}, {}):
        true_to(http.post("/v1/webhooks/test", json=body), "post", "/v1/webhooks/test")
    true_to(http.get("/v1/webhooks/endpoints"), "get", "/v1/webhooks/endpoints")
    for _ in range(2):
        true_to(http.get("/v1/webhooks/secret"), "get", "/v1/webhooks/secret")
    true_to(http.post("/v1/webhooks/secret/rotate"), "post", "/v1/webhooks/secret/rotate")


def test_refusals_look_as_documented(workerless, true_to):
    http = workerless.http
    for path in ("/v1/jobs", "/predict", "/v1/images"):
        for kind, content in (
            ("application/json", b"{"),
            ("application/json", b"{}"),
            ("text/plain", b"hi"),
            ("application/json", b" " * (2 << 20)),
        ):
            true_to(http.post(path, content=content, headers={"Content-Type": kind}), "post", path)
    true_to(http.get("/v1/jobs?limit=0"), "get", "/v1/jobs")
    true_to(http.get("/v1/images/x"), "get", "/v1/images/{image_id}")


def test_the_page_of_the_document_loads_nothing_from_elsewhere(workerless):
    answer = workerless.http.get("/docs/swagger")
    assert answer.status_code == 200
    linked = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", answer.text)
    assert linked
    for link in linked:
        assert not re.match(r"(?:\w+:)?//", link), link
        assert workerless.http.get(answer.url.join(link)).status_code == 200
    assert "://" not in answer.text.replace("http://www.w3.org", "")
    assert '"validatorUrl": "none"' in answer.text.replace("&#34;", '"')
