"""The largest body of each kind, at each door: whatever it asks, others are answered meanwhile."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.long_form import crossed
from tests.support.measures.event_loop import EventLoop, skip_without_figures

MIB = 1 << 20
#: Bytes of the largest bodies, a little below the limit of 64 MiB.
MOST = 60 * MIB
JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
JSON_DOORS = (
    *("/v1/jobs", "/v1/chat/completions", "/predict", "/v1/estimate"),
    *("/v1/images", "/v1/webhooks/test", "/v1/deliveries/replay", "/v1/ocr"),
)
FORM_DOORS = ("/v1/jobs", "/predict", "/v1/estimate", "/v1/images")


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLoop]:
    skip_without_figures()
    folder = tmp_path_factory.mktemp("largest")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        system.worker(slots=16, SIGHTLINE_SIMULATED_TOKEN_S="0")
        gateway, http = system.gateway()
        eventually(lambda: "gateway.ready" in gateway.logs())
        loop = EventLoop(http, gateway)
        yield loop
        loop.report()


def refused_or_taken(answer: httpx.Response) -> None:
    """Check that an answer is a success or a typed refusal that quotes little."""
    assert answer.status_code < 500, answer.text[:500]
    if answer.status_code >= 400:
        assert answer.json()["code"] != "internal_error"
        assert len(answer.content) < 16_384


def member(value: object) -> bytes:
    return json.dumps({"prompt": "hi", "messages": [], "x": value}).encode()


STRUCTURES = {
    "many members": lambda: member({f"k{n}": n for n in range(500_000)}),
    "many members, just taken": lambda: member({f"k{n}": n for n in range(19_900)}),
    "many unknown parameters": lambda: json.dumps({f"k{n}": n for n in range(19_900)}).encode(),
    "many items": lambda: b'{"prompt":"hi","x":[' + b"1," * (MOST // 2) + b"1]}",
    "many lists": lambda: b'{"prompt":' + b"[]," * (MOST // 3) + b"1}",
    "deep lists": lambda: b"[" * MOST,
    "deep members": lambda: b'{"a":' * (MOST // 5),
    "one name again and again": lambda: b"{" + b'"prompt":"hi",' * (MOST // 14) + b'"a":1}',
    "blanks": lambda: b'{"prompt"' + b" " * MOST + b':"hi"}',
    "a huge number": lambda: b'{"seed":' + b"1" * MOST + b"}",
    "huge fractions": lambda: b'{"a":[' + b",".join([b"0." + b"1" * 200] * 19_000) + b"]}",
    "escapes": lambda: b'{"prompt":"' + b"\\u0041" * (MOST // 6) + b'"}',
    "escaped quotes": lambda: b'{"prompt":"' + b'\\"' * (MOST // 2) + b'"}',
    "escapes, just taken": lambda: b'{"prompt":"' + b"\\u0041" * (3 * MIB // 6) + b'"}',
    "backslashes": lambda: b'{"prompt":"' + b"\\\\" * (MOST // 2) + b'"}',
    "a long name": lambda: b'{"' + b"a" * MOST + b'":1}',
    "long names": lambda: (
        b"{" + b",".join(b'"' + b"a" * 20_000 + b'%d":1' % n for n in range(3000)) + b"}"
    ),
    "Chinese": lambda: b'{"prompt":"' + "字".encode() * (MOST // 3) + b'"}',
    "no UTF-8": lambda: b'{"prompt":"' + b"\xff" * MOST + b'"}',
    "never closed": lambda: b'{"prompt":"' + b"a" * MOST,
    "UTF-16": lambda: ("[" + "1," * MIB + "1]").encode("utf-16"),
    "zeros": lambda: b"\0" * MOST,
}


@pytest.mark.parametrize(("name", "path"), crossed(STRUCTURES, JSON_DOORS))
def test_a_structure_of_json_is_refused_while_others_go_on(loop, path, name):
    refused_or_taken(loop.send(name, path, JSON, STRUCTURES[name]()))


LONG = "a" * (50 * MIB)
WORDS = ("prompt", "preset", "lang", "session_id", "detail", "webhook", "regex", "enhance")
LISTS = ("images", "stop", "choices", "postprocess", "fields", "sha256")
TEXTS = {
    **dict.fromkeys((*WORDS, "priority", "tiling", "temperature"), LONG),
    **{name: [LONG] for name in LISTS},
    "metadata": {"a": LONG},
    "many stops": None,
}


@pytest.mark.parametrize(("name", "path"), crossed(TEXTS, ["/v1/jobs", "/v1/estimate"]))
def test_a_parameter_is_bounded_while_others_go_on(loop, path, name):
    fields = {"stop": ["a" * (2 * MIB)] * 8} if name == "many stops" else {name: TEXTS[name]}
    body = json.dumps({"prompt": "hi", **fields}).encode()
    answer = loop.send(name, path, JSON, body)
    assert answer.status_code in (400, 403, 413, 415, 422), answer.text[:500]
    refused_or_taken(answer)


def schema_of(properties: dict[str, object]) -> dict[str, object]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def nested(depth: int) -> dict[str, object]:
    return {"type": "object", "properties": {"a": nested(depth - 1)}} if depth else {}


#: What is costly to check though it is short enough.
CONSTRAINTS = {
    "longest regex": {"regex": "(a|b)" * 199},
    "repeated regex": {"regex": "((a{1,10}){1,10}){1,10}"},
    "regex of classes": {"regex": "[^a-zA-Z]" * 100},
    "most choices": {"choices": [f"{n:03d}" + "x" * 509 for n in range(128)]},
    "widest schema": {
        "response_format": schema_of({f"k{n}": {"type": "string"} for n in range(900)})
    },
    "deepest schema": {"response_format": schema_of({"a": nested(12)})},
    "huge schema": {"response_format": schema_of({"a": {"description": LONG}})},
    "schema of many": {"response_format": schema_of({f"k{n}": {} for n in range(9000)})},
    "unions": {
        "response_format": schema_of({"a": {"anyOf": [{"const": f"k{n}"} for n in range(900)]}})
    },
    "patterns": {
        "response_format": schema_of(
            {f"k{n}": {"type": "string", "pattern": "^(a|b){1,99}$"} for n in range(200)}
        )
    },
    "longest stops": {"stop": ["a" * 256] * 8},
    "largest metadata": {"metadata": {str(n): n for n in range(400)}},
    "longest prompt": {"prompt": "字" * 32_768},
    "most fields": {"preset": "fields", "fields": ["字" * 64] * 32},
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_costliest_parameters_are_checked_while_others_go_on(loop, name):
    body = json.dumps({"prompt": "hi", "max_new_tokens": 1, **CONSTRAINTS[name]}).encode()
    refused_or_taken(loop.send(name, "/v1/jobs", JSON, body))


def chat(*messages: dict[str, object], **fields: object) -> bytes:
    return json.dumps({"messages": messages, "max_tokens": 1, **fields}).encode()


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


PARTS = [{"type": "text", "text": "a"}]
CHATS = {
    "most messages": lambda: chat(*[user("a")] * 1000),
    "more messages than any": lambda: chat(*[user("a")] * 6000),
    "most parts": lambda: chat(user(PARTS * 6000)),
    "wrong messages": lambda: chat(*[{"role": "x", "content": 1}] * 1000),
    "the longest text": lambda: chat(*[user("字" * 1000)] * 1000),
    "a long text": lambda: chat(user(LONG)),
    "a long image": lambda: chat(user([{"type": "image_url", "image_url": {"url": LONG}}])),
    "a long role": lambda: chat({"role": LONG, "content": "a"}),
    "a long model": lambda: chat(user("a"), model=LONG),
    "a long stop": lambda: chat(user("a"), stop=LONG),
    "long metadata": lambda: chat(user("a"), metadata={"a": LONG}),
    "unknown parameters": lambda: chat(user("a"), **{f"k{n}": 1 for n in range(9000)}),
}


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_is_read_while_others_go_on(loop, name):
    headers = {"X-Stainless-Retry-Count": "0"}
    refused_or_taken(loop.send(name, "/v1/chat/completions", JSON, CHATS[name](), **headers))


def test_the_texts_of_a_job_are_bounded_together(loop):
    # control characters take six bytes each in a row
    choices = [f"{n:03d}" + "\1" * 509 for n in range(128)]
    body = chat(*[user("\1" * 1000)] * 200, choices=choices)
    answer = loop.send("texts that grow in a row", "/v1/chat/completions", JSON, body)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert "1048576" in answer.json()["detail"]


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


FORMS = {
    "many fields": (URLENCODED, lambda: b"a=1&" * (10 * MIB // 4)),
    "many empty fields": (URLENCODED, lambda: b"&" * MOST),
    "most fields": (URLENCODED, lambda: b"&".join(b"k%d=1" % n for n in range(200))),
    "escapes": (URLENCODED, lambda: b"prompt=" + b"%41" * (MOST // 3)),
    "escaped image": (URLENCODED, lambda: b"image=" + b"%2B" * (MOST // 3)),
    "plus signs": (URLENCODED, lambda: b"image=" + b"+a" * (MOST // 2)),
    "no UTF-8": (URLENCODED, lambda: b"prompt=" + b"\xff" * MOST),
    "escaped no UTF-8": (URLENCODED, lambda: b"prompt=" + b"%ff" * (MOST // 3)),
    "a long name": (URLENCODED, lambda: b"a" * MOST),
    "a JSON field": (URLENCODED, lambda: b"metadata={" + b'"a":1,' * (MOST // 6)),
    "blanks": (URLENCODED, lambda: b"images=" + b"+" * MOST),
    "many parts": (MULTIPART, lambda: part("a", b"1") * 200_000),
    "most parts": (MULTIPART, lambda: part("a", b"1") * 200 + b"--x--"),
    "a long part": (MULTIPART, lambda: part("prompt", b"a" * MOST) + b"--x--"),
    "a long image": (MULTIPART, lambda: part("image", b"a" * MOST) + b"--x--"),
    "line breaks": (MULTIPART, lambda: part("image", b"a\r\n" * (MOST // 3)) + b"--x--"),
    "nearly boundaries": (MULTIPART, lambda: part("image", b"\r\n--x_" * (MOST // 6)) + b"--x--"),
    "boundaries and blanks": (MULTIPART, lambda: part("a", b"\r\n--x   " * (MOST // 8))),
    "long headers": (MULTIPART, lambda: part("a", b"", ";a=b" * (MOST // 4))),
    "many headers": (MULTIPART, lambda: b"--x\r\n" + b"A: b\r\n" * (MOST // 6)),
    "a preamble": (MULTIPART, lambda: b"\r\n" * (MOST // 2)),
    "a large file": (
        MULTIPART,
        lambda: part("image", b"\x89PNG" * (MOST // 4), '; filename="a.png"') + b"--x--",
    ),
}


@pytest.mark.parametrize(("name", "path"), crossed(FORMS, FORM_DOORS))
def test_a_form_is_read_while_others_go_on(loop, path, name):
    kind, make = FORMS[name]
    refused_or_taken(loop.send(name, path, kind, make()))


#: Just below the limit of 20 MiB of an image, once it is decoded.
LETTERS = 26 * MIB
IMAGES = {
    "digits": lambda: "A" * LETTERS,
    "a data: URI": lambda: "data:image/png;base64," + "A" * LETTERS,
    "a data: URI without an end": lambda: "data:" + "a" * LETTERS,
    "a data: URI of parameters": lambda: "data:" + ";" * LETTERS,
    "escaped bytes": lambda: "data:image/png," + "%41" * (LETTERS // 2),
    "escaped digits": lambda: "%41" * (LETTERS // 2),
    "a gap": lambda: "A" + " " * LETTERS + "A",
    "gaps": lambda: "A " * (LETTERS // 2),
    "short lines": lambda: "A\n" * (LETTERS // 2),
    "lines": lambda: ("A" * 76 + "\n") * (LETTERS // 77),
    "lines joined by spaces": lambda: ("A" * 76 + " ") * (LETTERS // 77) + "A",
    "a URL": lambda: "http://" + "a" * LETTERS,
    "an id": lambda: "img_" + "a" * LETTERS,
    "Chinese": lambda: "字" * MIB,
}


@pytest.mark.parametrize(
    ("name", "path"), crossed(IMAGES, ["/v1/jobs", "/v1/images", "/v1/estimate"])
)
def test_the_text_of_an_image_is_read_while_others_go_on(loop, path, name):
    member_name = "image" if path == "/v1/images" else "images"
    fields = {} if path == "/v1/images" else {"prompt": "hi"}
    body = json.dumps({**fields, member_name: IMAGES[name]()}, ensure_ascii=False).encode()
    answer = loop.send(name, path, JSON, body)
    assert 400 <= answer.status_code < 500
    refused_or_taken(answer)


def png(side: int) -> bytes:
    """Return a PNG that does not compress."""
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(
        file, "PNG", compress_level=0
    )
    return file.getvalue()


def test_an_honest_image_of_20_mib_is_taken_while_others_go_on(loop):
    image = png(2600)
    assert 19 * MIB < len(image) < 20 * MIB
    text = base64.b64encode(image).decode()
    # as encoders of some languages write it
    slashed = json.dumps({"image": text}).replace("/", "\\/").encode()
    for name, path, body in (
        ("an image", "/v1/images", json.dumps({"image": text}).encode()),
        ("an image with escaped slashes", "/v1/images", slashed),
        ("an image", "/v1/jobs", json.dumps({"prompt": "hi", "images": [text, text]}).encode()),
    ):
        answer = loop.send(name, path, JSON, body)
        assert answer.status_code in (201, 202), answer.text[:500]
    urls = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}] * 2
    headers = {"X-Stainless-Retry-Count": "0"}
    answer = loop.send(
        "an image", "/v1/chat/completions", JSON, chat(user([*urls, *PARTS])), **headers
    )
    assert answer.status_code == 200, answer.text[:500]


def batch_line(number: int, **options: object) -> bytes:
    messages = [{"role": "user", "content": f"line {number}"}]
    body = {"model": "sightline", "messages": messages, "max_tokens": 1, **options}
    line = {"custom_id": f"{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode()


BATCHES = {
    "many lines": lambda: [batch_line(number) for number in range(6000)],
    "large lines": lambda: [
        batch_line(1, metadata={f"k{n}": "x" * 100 for n in range(19_000)}),
        batch_line(2, prompt="x" * 8 * MIB),
        batch_line(3, response_format={"type": "json_schema", "json_schema": deep_schema()}),
    ],
}


def deep_schema() -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(60):
        schema = {"type": "object", "properties": {"a": schema}}
    return {"name": "a", "schema": schema}


@pytest.mark.parametrize("name", BATCHES)
def test_others_are_served_while_a_batch_is_checked_and_begun(loop, name):
    lines = b"\n".join(BATCHES[name]())
    http = loop.http

    def check() -> str:
        file = http.post("/v1/files", files={"file": lines}, data={"purpose": "batch"}).json()
        body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions"}
        batch = http.post("/v1/batches", json={**body, "completion_window": "24h"}).json()

        def is_checked() -> dict:
            now = http.get(f"/v1/batches/{batch['id']}").json()
            return now if now["status"] != "validating" else {}

        status = eventually(is_checked, 120)["status"]
        # some lines are run
        eventually(lambda: sum(list(settled(http, batch["id"]))[1:]) > 5 or status == "failed", 60)
        http.post(f"/v1/batches/{batch['id']}/cancel")
        return status

    assert loop.watch(f"a batch of {name}", check) in ("in_progress", "failed")


def settled(http: httpx.Client, batch_id: str) -> list[int]:
    return list(http.get(f"/v1/batches/{batch_id}").json()["request_counts"].values())
