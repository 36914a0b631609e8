"""Evidence through real workers: on images, in tiles and on pages; or refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from tests.integration.jobs.reading.test_second_reader import ended
from tests.support.documents.drawn import draw_scan, pdf, scan, sentence, write
from tests.support.images.image_bytes import saved
from tests.unit.worker.evidence.papers import invoice
from tests.unit.worker.places.many import overlap

WITHIN_S = 120


def answers(**values: Any) -> dict[str, str]:
    """Return fields of a request whose answer has these values."""
    schema = {
        "type": "object",
        "properties": {name: {"const": value} for name, value in values.items()},
        "required": list(values),
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "values", "schema": schema}}
    return {"prompt": "Read.", "max_new_tokens": "200", "response_format": json.dumps(form)}


def ask(client, files, **fields):
    sent = client.post("/v1/jobs", files=files, data={"evidence": "true"} | fields)
    assert sent.status_code == 202, sent.text
    job = ended(client, sent.json()["id"], WITHIN_S)
    assert job["status"] == "succeeded", job
    return job


def test_values_of_an_image_have_their_places(client):
    paper = invoice(0)
    values = {name: paper.values[name] for name in ("seller", "date", "total")}
    files = {"image": ("a.png", saved(paper.image, "PNG"))}
    job = ask(client, files, **answers(**values, iban="DE99887766554433221100"))
    output = job["output"]
    assert output["json"]["seller"] == values["seller"]
    for name in values:
        known = output["evidence"][f"/{name}"]
        assert known["status"] == "supported", (name, known)
        assert known["image"] == 0
        assert overlap(known["box"], paper.boxes[f"/{name}"]) > 0.5
    missing = {"status": "not_found", "text": None, "box": None, "confidence": None}
    assert output["evidence"]["/iban"] == missing
    assert job["metrics"]["read_s"] > 0
    check_chats_tell_the_same(client, files["image"][1], values["seller"])
    # who does not ask for it has none, and no second reader
    plain = client.post("/v1/jobs", files=files, data=answers(total="1")).json()
    assert "evidence" not in ended(client, plain["id"], WITHIN_S)["output"]


def check_chats_tell_the_same(client, image, seller):
    """Ask OpenAI's two ways, whole and as streams, with and without evidence."""
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    schema = {"type": "object", "properties": {"seller": {"const": seller}}}
    schema |= {"required": ["seller"], "additionalProperties": False}
    named = {"name": "v", "schema": schema}
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Read."}]
    chat = {"messages": [{"role": "user", "content": parts}], "max_tokens": 200}
    chat["response_format"] = {"type": "json_schema", "json_schema": named}
    asked = {"evidence": True, "review": {"below": 0.01}}
    whole = client.post("/v1/chat/completions", json=chat | asked, timeout=WITHIN_S).json()
    assert whole["evidence"]["/seller"]["status"] == "supported", whole
    assert whole["review"] == []
    frames = client.post(
        "/v1/chat/completions", json=chat | asked | {"stream": True}, timeout=WITHIN_S
    ).text.split("\n\n")
    assert json.loads(frames[-3].removeprefix("data: "))["evidence"] == whole["evidence"]
    assert "evidence" not in client.post("/v1/chat/completions", json=chat, timeout=WITHIN_S).json()
    item = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "Read."}]
    response = {
        "input": [{"role": "user", "content": item}],
        "text": {"format": {"type": "json_schema", **named}},
        "max_output_tokens": 200,
    }
    answered = client.post("/v1/responses", json=response | asked, timeout=WITHIN_S).json()
    assert (answered["evidence"], answered["review"]) == (whole["evidence"], [])
    streamed = response | asked | {"stream": True}
    events = client.post("/v1/responses", json=streamed, timeout=WITHIN_S).text
    last = json.loads(events.strip().split("data: ")[-1])
    assert last["response"]["evidence"] == whole["evidence"]


def test_values_of_a_long_image_have_places_in_the_stored_one(client):
    lines = [f"Entry number {n} costs {n}.75 EUR" for n in range(10, 50)]
    image = scan(lines, dpi=100, noise=0).convert("RGB")
    files = {"image": ("a.png", saved(image, "PNG"))}
    fields = answers(first="10.75", last="49.75")
    job = ask(client, files, tiling="ask", max_pixels="200000", **fields)
    first, last = (job["output"]["evidence"][name] for name in ("/first", "/last"))
    scale = 100 / 72
    assert first["status"] == last["status"] == "supported"
    assert abs(first["box"][1] - 60 * scale) < 8
    assert abs(last["box"][1] - (60 + 39 * 16.5) * scale) < 8


def test_values_of_pages_have_places_on_them(client):
    born = [f"The contract of Mister Born ends in {2030 + n}" for n in range(30)]
    file = pdf(
        lambda canvas: write(canvas, born, x=100, y=700),
        draw_scan(scan(["Deposit of Miss Seen: 4,711.50 EUR"], dpi=100, noise=0)),
    )
    fields = answers(born="Mister Born ends in 2034", deposit=4711.5, paid="18.25")
    job = ask(client, {"document": ("a.pdf", file)}, **fields)
    evidence = job["output"]["evidence"]
    born_in, deposit, paid = (evidence[name] for name in ("/born", "/deposit", "/paid"))
    assert (born_in["status"], born_in["page"]) == ("supported", 1)
    assert abs(born_in["box"][1] - (842 - 700 + 4 * 14)) < 15
    assert (deposit["status"], deposit["page"]) == ("supported", 2)
    assert abs(deposit["box"][1] - 60) < 8
    assert paid["status"] == "not_found"


@pytest.mark.long
def test_values_of_more_pages_than_fit_one_prompt_have_places_too(client):

    def page_of(number: int):
        lines = [f"{number} {line} {sentence(16, number * 60 + line)}" for line in range(50)]
        lines[7] = f"The deposit of page {number} was {number}00.25 EUR"
        return lambda canvas: write(canvas, lines, x=40, y=790, step=14)

    seen = draw_scan(scan(["Deposit of Miss Seen: 4,711.50 EUR"], dpi=100, noise=0))
    file = pdf(*map(page_of, range(11, 40)), seen)
    fields = answers(born=2300.25, deposit="4711.50", paid="18.95")
    job = ask(client, {"document": ("a.pdf", file)}, **fields)
    # each page was asked by itself
    assert job["output"]["pages"][0]["text"] is not None
    evidence = job["output"]["evidence"]
    assert (evidence["/born"]["status"], evidence["/born"]["page"]) == ("supported", 13)
    assert (evidence["/deposit"]["status"], evidence["/deposit"]["page"]) == ("supported", 30)
    assert evidence["/paid"]["status"] == "not_found"


def test_evidence_of_what_has_no_values_is_refused(client):
    files = {"image": ("a.png", saved(invoice(1).image, "PNG"))}
    for fields in (
        {"evidence": "true", "preset": "ocr"},
        {"evidence": "true", "prompt": "What is it?"},
        {"evidence": "true", "tiling": "read"} | answers(total="1"),
        {"evidence": "maybe", "preset": "fields", "fields": "total"},
    ):
        refused = client.post("/v1/jobs", files=files, data=fields)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_parameters"), fields
        assert refused.json()["pointer"] == "/evidence"
    without = client.post("/v1/jobs", data=answers(total="1") | {"evidence": "true"})
    assert (without.status_code, without.json()["pointer"]) == (422, "/evidence")
