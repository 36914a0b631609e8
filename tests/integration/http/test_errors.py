"""Every invalid request gets a problem document that names the fault, never a 5xx."""

from __future__ import annotations

import collections
import gzip
import json
import re
import socket

import jsonschema
import pytest

from gateway.http import mistral_errors
from gateway.submission.fields.submission import Submission
from shared.jobs import new_job_id

REQUEST_ID = re.compile(r"req_[0-9a-f]{24}")
JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
OVER = (1 << 20) + 1


@pytest.fixture(scope="module")
def problem_schema(workerless):
    document = workerless.http.get("/openapi.json").json()
    return {"$ref": "#/components/schemas/Problem", "components": document["components"]}


@pytest.fixture
def refused(workerless, problem_schema):
    """Check that an answer is a whole problem; return it."""

    def check(answer, status, code, pointer=None):
        body = answer.json()
        assert (answer.status_code, body["code"]) == (status, code), answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        jsonschema.validate(body, problem_schema)
        assert body["status"] == status
        assert body["request_id"] == answer.headers["X-Request-Id"]
        assert body["error"]["code"] == code
        assert body["error"]["message"].startswith(body["detail"])
        assert body["pointer"] == body["error"]["param"] == pointer
        assert body["hint"]
        return body

    return check


def post(service, content, kind=JSON, path="/v1/jobs", **headers):
    return service.http.post(path, content=content, headers={"Content-Type": kind, **headers})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"prompt":"hi"}x',
        b'{"prompt":"\xff"}',
        b'{"prompt":"hi","temperature":NaN}',
        b'{"prompt":"hi","metadata":{"a":-Infinity}}',
        b'{"prompt":"hi","metadata":{"a":1e999}}',
        b'{"prompt":"hi","deadline_s":1e999}',
        b'{"prompt":"hi","seed":' + b"1" * 5000 + b"}",
        b'{"prompt":"\\ud800"}',
        b'{"prompt":"hi","stop":["\\udfff"]}',
        b'{"prompt":"hi","metadata":{"\\ud83d":1}}',
        b'{"\\ud800":1}',
        b'{"prompt":"hi","metadata":{"a":' + b"[" * 300 + b"]" * 300 + b"}}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        '{"prompt":"\\ud800"}'.encode("utf-16"),
    ],
    ids=lambda content: repr(content[:40]),
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images"])
def test_what_is_not_json_is_refused(workerless, refused, content, path):
    refused(post(workerless, content, path=path), 400, "invalid_json")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/prompt"),
        ({"prompt": ""}, "/prompt"),
        ({"prompt": None}, "/prompt"),
        ({"prompt": ["hi"]}, "/prompt"),
        ({"prompt": "x" * 32_769}, "/prompt"),
        ({"promt": "hi", "prompt": "hi"}, "/promt"),
        ({"prompt": "hi", "model": ["gpt"]}, "/model"),
        ({"prompt": "hi", "max_new_tokens": 0}, "/max_new_tokens"),
        ({"prompt": "hi", "max_tokens": 10**9}, "/max_tokens"),
        ({"prompt": "hi", "temperature": -1}, "/temperature"),
        ({"prompt": "hi", "temperature": "hot"}, "/temperature"),
        ({"prompt": "hi", "top_p": 0}, "/top_p"),
        ({"prompt": "hi", "seed": -1}, "/seed"),
        ({"prompt": "hi", "seed": 2**63}, "/seed"),
        ({"prompt": "hi", "stop": [""]}, "/stop/0"),
        ({"prompt": "hi", "stop": ["a"] * 9}, "/stop"),
        ({"prompt": "hi", "priority": "urgent"}, "/priority"),
        ({"prompt": "hi", "detail": "ultra"}, "/detail"),
        ({"prompt": "hi", "max_pixels": 1}, "/max_pixels"),
        ({"prompt": "hi", "deadline_s": 0}, "/deadline_s"),
        ({"prompt": "hi", "deadline_s": 1e300}, "/deadline_s"),
        ({"prompt": "hi", "ttl_s": 1}, "/ttl_s"),
        ({"prompt": "hi", "ttl_s": 10**12}, "/ttl_s"),
        ({"prompt": "hi", "session_id": "a b"}, "/session_id"),
        ({"prompt": "hi", "session_id": "s\n"}, "/session_id"),
        ({"prompt": "hi", "metadata": []}, "/metadata"),
        ({"prompt": "hi", "images": [1]}, "/images/0"),
        ({"prompt": "hi", "pages": [1.5]}, "/pages/0"),
        ({"prompt": "hi", "pages": [True]}, "/pages/0"),
        ({"prompt": "hi", "pages": {"first": 1}}, "/pages"),
        ({"prompt": "hi", "Foo": 1}, "/Foo"),
        ({"prompt": "hi", "str": 1}, "/str"),
        ({"prompt": "hi", "images": ["a"] * 9}, "/images"),
    ],
    ids=str,
)
def test_a_parameter_that_is_wrong_is_pointed_at(workerless, refused, fields, pointer):
    refused(post(workerless, json.dumps(fields)), 422, "bad_parameters", pointer)


def test_a_null_says_nothing_as_in_the_requests_of_programs_that_write_all_out(workerless):
    silent = [name for name in Submission.model_fields if name != "prompt"]
    fields = dict.fromkeys([*silent, "max_tokens", "bytes"])
    taken = workerless.http.post("/v1/jobs", json={"prompt": "hi", **fields})
    assert taken.status_code == 202
    # as one that names none of them
    headers = {"Idempotency-Key": "written-out"}
    jobs = [
        workerless.http.post("/v1/jobs", json=body, headers=headers).json()["id"]
        for body in ({"prompt": "hi", **fields}, {"prompt": "hi"})
    ]
    assert jobs[0] == jobs[1]


@pytest.mark.parametrize("text", ["file-abc", "file_123", "upload_9"])
def test_an_id_of_nothing_is_not_taken_for_a_picture_in_base64(workerless, refused, text):
    body = json.dumps({"prompt": "hi", "image": text})
    refused(post(workerless, body), 422, "image_not_found", "/images/0")


def test_metadata_that_is_too_large_is_refused(workerless, refused):
    body = {"prompt": "hi", "metadata": {"a": "x" * 5000}}
    assert (
        "4096" in refused(post(workerless, json.dumps(body)), 422, "bad_parameters", "")["detail"]
    )


def test_an_unknown_field_or_file_of_a_form_is_pointed_at(workerless, refused):
    http = workerless.http
    answer = http.post("/v1/jobs", data={"prompt": "hi", "x": "1"}, files={"image": b""})
    refused(answer, 422, "bad_parameters", "/x")
    answer = http.post("/v1/jobs", data={"prompt": "hi"}, files={"picture": b"x"})
    refused(answer, 422, "bad_parameters", "/picture")
    answer = http.post("/v1/jobs", data={"prompt": "hi", "metadata": "{"}, files={"image": b""})
    refused(answer, 400, "invalid_json", "/metadata")


@pytest.mark.parametrize("kind", ["text/plain", "", "image/png", "application/xml", "x"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images"])
def test_another_content_type_is_refused(workerless, refused, kind, path):
    refused(post(workerless, b'{"prompt":"hi"}', kind, path), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("kind", "content", "cause"),
    [
        ("multipart/form-data", b"x", "no boundary"),
        (FORM, b"x", "ended early"),
        (FORM, b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nhi', "ended early"),
        (FORM, b"--x\r\n\r\n\r\n--x--", "broken"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images"])
def test_a_broken_form_is_refused_for_that(workerless, refused, kind, content, cause, path):
    assert cause in refused(post(workerless, content, kind, path), 422, "bad_parameters")["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images"])
def test_too_many_parts_of_a_form_are_refused_for_that(workerless, refused, path):
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = refused(post(workerless, part * 10_000 + b"--x--", FORM, path), 413, "payload_too_large")
    assert "more than 200 parts" in body["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/estimate"])
def test_too_many_fields_of_a_form_are_refused_for_that(workerless, refused, path):
    kind = "application/x-www-form-urlencoded"
    body = refused(post(workerless, b"a=1&" * 9999, kind, path), 413, "payload_too_large")
    assert "more than 200 fields" in body["detail"]
    # nobody will do the job: /predict waits for its deadline, and shows the job
    short = b"prompt=a+%E5%AD%97&stop=x&stop=y&deadline_s=1"
    answer = post(workerless, short, kind, path)
    ended = answer.status_code, answer.json().get("status")
    assert ended == (409, "expired") if path == "/predict" else answer.status_code < 300


@pytest.mark.parametrize("encoding", ["gzip", "br", "x" * 5000])
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images", "/v1/chat/completions"])
def test_a_compressed_body_is_refused_for_that(workerless, refused, encoding, path):
    body = gzip.compress(b'{"prompt":"hi"}')
    answer = post(workerless, body, path=path, **{"Content-Encoding": encoding})
    assert "compress" in refused(answer, 415, "unsupported_media_type")["hint"]
    assert "compressed" in answer.json()["detail"]
    assert len(answer.content) < 2000
    assert (
        post(workerless, b'{"prompt":"hi"}', **{"Content-Encoding": "identity"}).status_code == 202
    )


@pytest.mark.parametrize("range_", ["bytes=999999999-", "bytes=5-1", "bytes=0-0", "bytes=-0", "x"])
def test_a_range_is_ignored_as_every_answer_is_whole(workerless, range_):
    page = workerless.http.get("/").text
    asset = re.search(r'/assets/[^"]+', page)[0]
    for path in (asset, "/docs/errors", "/openapi.json", "/v1/presets"):
        answer = workerless.http.get(path, headers={"Range": range_})
        assert answer.status_code == 200
        assert answer.content == workerless.http.get(path).content


@pytest.mark.parametrize(
    "text", [b'{"prompt":"hi","metadata":{"a":"\xed\xa0\x80"}}', b'"\xed\xbf\xbf"']
)
def test_half_characters_in_bytes_are_no_json(workerless, refused, text):
    assert "not UTF-8" in refused(post(workerless, text), 400, "invalid_json")["detail"]
    form = {"prompt": (None, "hi"), "metadata": (None, b'{"a": "\xed\xa0\x80"}')}
    assert workerless.http.post("/v1/jobs", files=form).status_code == 202


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/jobs", {"prompt": "hi", "x" * 300_000: 1}),
        ("/v1/jobs", {"prompt": "hi", "preset": "x" * 128}),
        ("/v1/jobs", {"prompt": "hi", "preset": "x" * 300_000}),
        ("/v1/jobs", {"prompt": "hi", "postprocess": ["x" * 128]}),
        ("/v1/jobs", {"prompt": "hi", "enhance": "x" * 300_000}),
        ("/v1/jobs", {"prompt": "hi", "regex": "(" + "x" * 999}),
        ("/v1/jobs", {"prompt": "hi", "webhook": "x" * 300_000}),
        ("/v1/jobs", {"prompt": "hi", "images": ["http://" + "x" * 300_000]}),
        ("/v1/jobs", {"prompt": "hi", "images": ["data:" + "x" * 300_000]}),
        ("/v1/estimate", {"x" * 300_000: 1}),
        ("/v1/images", {"image": "AAAA", "x" * 300_000: 1}),
        ("/v1/webhooks/test", {"url": "x" * 300_000}),
        ("/v1/chat/completions", {"messages": [{"role": "x" * 300_000, "content": "a"}]}),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "a"}], "x" * 300_000: 1, "strict": True},
        ),
        ("/v1/responses", {"input": [{"role": "x" * 300_000, "content": "a"}]}),
        ("/v1/responses", {"input": [{"type": "x" * 300_000}]}),
        ("/v1/responses", {"input": "a", "x" * 300_000: 1, "strict": True}),
        ("/v1/responses", {"input": "a", "previous_response_id": "x" * 300_000}),
        ("/v1/responses", {"input": "a", "conversation": "x" * 300_000}),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "a"}], "stop": "x" * 9999},
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_little_is_quoted_of_what_a_caller_sent(workerless, path, fields):
    answer = workerless.http.post(path, json=fields)
    assert 400 <= answer.status_code < 500, answer.text[:1000]
    assert answer.text.count("x" * 101) == 0
    assert len(answer.content) < 4000
    assert "…" in answer.text or "x" * 10 not in answer.text


def test_a_stop_string_has_a_bounded_length(workerless, refused):
    assert (
        post(workerless, json.dumps({"prompt": "hi", "stop": ["x" * 256] * 8})).status_code == 202
    )
    for stop in ("x" * 257, ["a", "x" * 257], "字" * 257):
        answer = post(workerless, json.dumps({"prompt": "hi", "stop": stop}))
        assert refused(answer, 422, "bad_parameters", f"/stop/{int(isinstance(stop, list))}")


PATH_EXAMPLES = collections.defaultdict(
    lambda: "x1",
    job_id=new_job_id(),
    image_id="img_" + "0" * 64,
    document_id="doc_" + "0" * 64,
    page="1",
)


def test_every_path_refuses_a_query_that_it_does_not_know(workerless, refused):
    document = workerless.http.get("/openapi.json").json()
    for path, item in document["paths"].items():
        if not path.startswith(("/v1", "/predict")):
            continue
        known_path = path.format_map(PATH_EXAMPLES)
        for method, operation in item.items():
            assert "`bad_parameters`" in operation["responses"]["422"]["description"]
            for query in ("limt=5", "x" * 300 + "=1"):
                answer = workerless.http.request(method, f"{known_path}?{query}")
                name = query.partition("=")[0]
                pointer = "/" + (name if len(name) < 100 else name[:100] + "…")
                if path in mistral_errors.PATHS:
                    problem = answer.json()
                    assert (problem["code"], problem["param"]) == ("bad_parameters", pointer)
                    continue
                refused(answer, 422, "bad_parameters", pointer)
    for path in ("/healthz", "/?utm_source=x", "/metrics?x=1", "/docs/errors?x=1"):
        assert workerless.http.get(path).status_code == 200


def in_pieces(size):
    for _ in range(size // 65_536 + 1):
        yield b"a" * 65_536


@pytest.mark.parametrize("kind", [JSON, FORM])
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/images"])
def test_a_body_over_the_limit_is_refused_with_and_without_its_length(
    workerless, refused, kind, path
):
    refused(post(workerless, b'"' + b"a" * OVER, kind, path), 413, "payload_too_large")
    refused(post(workerless, in_pieces(OVER), kind, path), 413, "payload_too_large")


def test_a_chunked_body_within_the_limit_is_taken(workerless):
    body = iter((b'{"prompt":', b'"hi"}'))
    assert post(workerless, body).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict"])
def test_an_idempotency_key_has_a_length(workerless, refused, key, path):
    answer = post(workerless, b'{"prompt":"hi"}', path=path, **{"Idempotency-Key": key})
    refused(answer, 422, "bad_parameters", "/Idempotency-Key")


@pytest.mark.parametrize(
    "wish", ["wait=x", "wait=-1", "wait", "wait=" + "9" * 99, "return=minimal"]
)
def test_a_preference_that_we_do_not_know_is_ignored(workerless, wish):
    answer = post(workerless, b'{"prompt":"hi"}', Prefer=wish)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_query_parameter_that_is_given_twice_is_refused(workerless, refused):
    answer = workerless.http.get("/v1/jobs?status=queued&limit=2&status=running")
    refused(answer, 422, "bad_parameters", "/status")
    assert "more than once" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/chat/completions", "/v1/estimate"])
def test_a_member_that_is_given_twice_is_refused(workerless, refused, path):
    answer = post(workerless, b'{"prompt": "one", "prompt": "two"}', path=path)
    refused(answer, 400, "invalid_json")
    assert "'prompt' is given more than once" in answer.json()["detail"]


def test_a_form_field_that_is_given_twice_is_refused(workerless, refused):
    body = b"prompt=one&stop=a&stop=b&prompt=two"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(post(workerless, body, **kind), 422, "bad_parameters", "/prompt")
    assert post(workerless, body.rpartition(b"&")[0], **kind).status_code == 202
    parts = [("sha256", (None, "a")), ("sha256", (None, "b")), ("file", ("a.png", b"x"))]
    for path in ("/v1/images", "/v1/documents", "/v1/files"):
        answer = workerless.http.post(path, files=parts)
        refused(answer, 422, "bad_parameters", "/sha256")
    twice = [("file", ("a.jsonl", b"{}")), ("file", ("b.jsonl", b"{}"))]
    answer = workerless.http.post("/v1/files", files=twice, data={"purpose": "batch"})
    refused(answer, 422, "bad_parameters", "/file")


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/jobs?limit=0", "/limit"),
        ("/v1/jobs?limit=101", "/limit"),
        ("/v1/jobs?limit=x", "/limit"),
        ("/v1/jobs?status=done", "/status"),
        ("/v1/jobs?after=x", "/after"),
        ("/v1/jobs/{unknown}?wait=x", "/wait"),
        ("/v1/jobs/{unknown}?wait=-1", "/wait"),
        ("/v1/jobs/{unknown}?wait=1e3", "/wait"),
    ],
)
def test_a_query_that_is_wrong_is_pointed_at(workerless, refused, path, pointer):
    known_path = path.replace("{unknown}", new_job_id())
    refused(workerless.http.get(known_path), 422, "bad_parameters", pointer)


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1/jobs/",
        "/v1/jobs/x",
        "/v1/jobs/%ff%00",
        "/v1/images/img_zz",
        "/v1/jobs/" + "a" * 3000,
        "/v1/jobs?after={unknown}",
    ],
)
def test_what_is_not_there_is_a_problem_too(workerless, refused, path):
    known_path = path.replace("{unknown}", new_job_id())
    refused(
        workerless.http.get(known_path), 404, "not_found", "/after" if "after=" in path else None
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", {"GET", "POST"}),
        ("GET", "/predict", {"POST"}),
        ("POST", "/healthz", {"GET"}),
        ("PATCH", "/v1/jobs/x", {"GET", "DELETE"}),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    workerless, refused, method, path, allowed
):
    answer = workerless.http.request(method, path)
    refused(answer, 405, "method_not_allowed")
    assert allowed <= set(answer.headers["Allow"].split(", "))


def raw(service, request):
    """Return status, headers and body of the answer to these very bytes."""
    port = service.http.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return int(status.split()[1]), dict(h.split(": ", 1) for h in headers), body


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"HELO mail\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        GET + b"no colon\r\n\r\n",
        GET + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n",
        GET + b"Bad Name: 1\r\n\r\n",
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n",
        POST + b"Content-Length: 99\r\n\r\n{" + b'"prompt":"cut"}',
    ],
    ids=lambda request: repr(request[-30:]),
)
def test_what_is_not_http_is_refused_as_a_problem(workerless, request_):
    status, headers, body = raw(workerless, request_)
    problem = json.loads(body)
    assert status == problem["status"] == 400
    assert headers["Content-Type"] == "application/problem+json"
    assert REQUEST_ID.fullmatch(headers["X-Request-Id"])
    assert problem["request_id"] == headers["X-Request-Id"]


def test_a_request_id_is_kept_when_it_is_harmless_and_made_otherwise(workerless):
    def request_id(**headers):
        return workerless.http.get("/healthz", headers=headers).headers["X-Request-Id"]

    assert request_id(**{"X-Request-Id": "my-id_1.2"}) == "my-id_1.2"
    for strange in ("", "a b", "x" * 129, "a;b"):
        assert REQUEST_ID.fullmatch(request_id(**{"X-Request-Id": strange}))
    assert request_id() != request_id()


def test_headers_that_are_no_text_do_no_harm(workerless):
    lines = b"X-Request-Id: \xff\xfe\r\nPrefer: \xff\r\n"
    lines += b"Idempotency-Key: \xfe\xff\r\nLast-Event-ID: \xff\r\n"
    status, _, body = raw(workerless, POST + lines + b'Content-Length: 15\r\n\r\n{"prompt":"hi"}')
    assert status == 202, body


def test_a_row_that_we_cannot_read_is_our_fault_and_not_the_callers(workerless):
    job = workerless.submit()
    with workerless.redis.client() as client:
        client.hset(f"sl:job:{job['id']}", "expire_ms", "soon")
    answer = workerless.http.get(job["urls"]["self"])
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    workerless.http.delete(job["urls"]["self"])
    with workerless.redis.client() as client:
        client.delete(f"sl:job:{job['id']}")
