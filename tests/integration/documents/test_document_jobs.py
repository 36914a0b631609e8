"""Documents over HTTP: wherever an image goes, page by page, and one answer in the end."""

from __future__ import annotations

import pytest
import redis

from sightline import Client
from tests.integration.documents.conftest import read_events, sources
from tests.support.documents.drawn import encrypted, pdf, prose, write
from tests.support.documents.page_kinds import animation, as_base64, pages, tiff
from tests.support.documents.strange import portfolio
from tests.support.images.image_bytes import screenshot


def test_each_page_is_read_as_it_is_made(documents):
    job = documents.done(pages("ttsbt"))
    assert sources(job) == ["text_layer", "text_layer", "model", "blank", "text_layer"]
    texts = [page["text"] for page in job["output"]["pages"]]
    assert texts[3] == ""
    assert all(texts[n] for n in (0, 1, 2, 4))
    assert job["output"]["partial"] is False
    assert [page["tiles"] for page in job["output"]["pages"]] == [0, 0, 1, 0, 0]
    assert job["input"]["document"] | {"id": ""} == {
        "id": "",
        "kind": "pdf",
        "name": "a.pdf",
        "page_count": 5,
        "pages": [1, 2, 3, 4, 5],
    }


def test_pages_are_told_of_as_they_become_ready_and_text_streams_in_order(documents):
    job = documents.done(pages("stst"), postprocess="[]")
    events = read_events(documents.http, job)
    ready = [data for kind, data in events if kind == "output.page"]
    assert sorted(data["page"] for data in ready) == [1, 2, 3, 4]
    assert all(data["warnings"] == [] for data in ready)
    streamed = "".join(data["text"] for kind, data in events if kind == "output.delta")
    assert streamed == job["output"]["text"]
    progress = [data for kind, data in events if kind == "job.progress"]
    # what the worker that splits a job takes itself is ready at once, if it has the time for it
    assert progress[0]["pages_done"] <= 2 < progress[-1]["pages_done"] == 4
    assert {data["pages_total"] for data in progress} == {4}


def test_pages_are_read_in_the_order_in_which_they_are_named(documents):
    job = documents.done(pages("tsbts"), pages="5,-4,1-2")
    assert [page["page"] for page in job["output"]["pages"]] == [5, 2, 1]
    assert job["input"]["document"]["pages"] == [5, 2, 1]


@pytest.mark.parametrize(
    ("text_layer", "expected"),
    [
        ("auto", ["text_layer", "model"]),
        ("only", ["text_layer", "text_layer"]),
        ("ignore", ["model", "model"]),
    ],
)
def test_the_text_layer_is_taken_as_asked(documents, text_layer, expected):
    job = documents.done(pages("ts"), text_layer=text_layer)
    assert sources(job) == expected
    assert job["output"]["reader"] == (None if text_layer == "only" else "model")
    if text_layer == "only":
        first, second = job["output"]["pages"]
        assert (second["text"], first["warnings"]) == ("", [])
        assert second["warnings"][0]["code"] == "text_layer_doubtful"


@pytest.mark.parametrize("field", ["document", "image", "images", "file"])
def test_a_document_may_stand_in_any_field_for_files(documents, field):
    files = {field: ("a.pdf", pages("t"))}
    answer = documents.http.post("/v1/jobs", data={"preset": "ocr"}, files=files)
    assert answer.status_code == 202, answer.text
    assert answer.json()["input"]["document"]["page_count"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"document": as_base64(pages("t"))},
        {"document": "data:application/pdf;base64," + as_base64(pages("t"))},
        {"document": {"data": as_base64(pages("t"))}},
        {"image": as_base64(pages("t"))},
        {"images": ["data:application/pdf;base64," + as_base64(pages("t"))]},
    ],
    ids=["base64", "data-uri", "object", "image", "images"],
)
def test_a_document_may_stand_in_json(documents, body):
    answer = documents.http.post("/predict", json={"preset": "ocr", **body})
    assert answer.status_code == 200, answer.text
    assert sources(answer.json()) == ["text_layer"]


def test_tiffs_have_pages_and_animations_only_if_these_are_asked_for(documents):
    assert sources(documents.done(tiff(3))) == ["model"] * 3
    image = {"image": ("a.gif", animation(3))}
    first = documents.http.post("/v1/jobs", data={"preset": "ocr"}, files=image).json()
    assert first["input"]["document"] is None
    asked = {"preset": "ocr", "pages": "1,3"}
    second = documents.http.post("/v1/jobs", data=asked, files=image).json()
    assert second["input"]["document"]["pages"] == [1, 3]


def test_a_question_about_few_pages_is_one_prompt_that_shows_all_of_them(documents):
    job = documents.done(pages("tsb"), prompt="What is the total?")
    assert sources(job) == ["text_layer", "model", "blank"]
    assert [page["text"] for page in job["output"]["pages"]] == [None] * 3
    assert job["usage"]["image_tokens"] > 0
    assert job["usage"]["prompt_tokens"] > job["usage"]["image_tokens"] + 100


def test_a_question_about_many_pages_is_asked_of_each_and_the_evidence_is_told(documents):
    # 40 scans have more tokens than the context of the simulated engine
    job = documents.done(pages("s" * 40), prompt="What is the total?", max_new_tokens="4")
    outputs = job["output"]["pages"]
    assert len(outputs) == 40
    assert all(page["text"] for page in outputs)
    assert job["output"]["text"]


def test_a_conversation_goes_on_about_its_document(documents):
    first = documents.done(pages("ts"), prompt="What is it?", session_id="talk")
    answer = documents.http.post(
        "/v1/jobs", json={"prompt": "And the date?", "session_id": "talk"}
    ).json()
    again = documents.ended(answer)
    assert sources(again) == ["text_layer", "model"]
    assert again["usage"]["image_tokens"] == first["usage"]["image_tokens"] > 0


def test_the_cover_of_a_portfolio_is_no_full_answer_and_its_files_are_named(documents):
    names = [f"part {n}.pdf" for n in range(12)]
    cover = documents.done(portfolio(names))["warnings"]
    assert [notice["code"] for notice in cover] == ["document_portfolio"]
    assert "part 0.pdf, part 1.pdf, part 10.pdf" in cover[0]["detail"]
    assert cover[0]["detail"].endswith(" and 2 more.")
    report = documents.done(portfolio(["data.csv"], collection=False))["warnings"]
    assert [notice["code"] for notice in report] == ["document_attachments"]
    assert "data.csv" in report[0]["detail"]


def test_an_encrypted_document_is_opened_once_and_no_password_is_kept(documents):
    locked = encrypted("open sesame 7", 4)
    assert documents.refuse(locked)["code"] == "document_encrypted"
    wrong = documents.refuse(locked, password="something else 8")
    assert (wrong["code"], wrong["pointer"]) == ("document_password_wrong", "/password")
    job = documents.done(locked, password="open sesame 7")
    assert sources(job) == ["text_layer", "text_layer"]
    assert [notice["code"] for notice in job["warnings"]] == ["document_unlocked"]
    again = documents.http.post(
        "/v1/jobs", json={"preset": "ocr", "document": job["input"]["document"]["id"]}
    )
    assert sources(documents.ended(again.json())) == ["text_layer", "text_layer"]
    assert not holds(documents.redis, b"open sesame 7", b"something else 8", b"/Encrypt")
    logs = "".join(log.read_text() for log in documents.worker.log.parent.glob("*.log"))
    assert "open sesame 7" not in logs
    assert "something else 8" not in logs


def holds(server, *needles: bytes) -> list[bytes]:
    """Return the keys of Redis whose content has one of the needles."""
    with server.client() as text:
        names = list(text.scan_iter("*"))
    with redis.Redis(port=server.port) as raw:
        contents = {name: b"".join(iter_content(raw, name)) for name in names}
    return [name for name, content in contents.items() if any(n in content for n in needles)]


def iter_content(raw, name: str):
    """Yield what a key of any type holds; Redis may store it compressed."""
    match raw.type(name):
        case b"string":
            yield raw.get(name)
        case b"hash":
            yield from raw.hvals(name)
        case b"list":
            yield from raw.lrange(name, 0, -1)
        case b"stream":
            yield str(raw.xrange(name)).encode()


def test_a_table_that_goes_on_over_pages_and_running_lines_are_joined(documents):
    def page(number: int):
        title = f"Annual report of the harbour office, page {number}"
        return lambda canvas: write(canvas, [title, *rows(number), "Confidential"], step=18)

    def rows(number: int) -> list[str]:
        return prose(5, seed=number)

    document = pdf(*(page(number) for number in (1, 2, 3)))
    once = documents.done(document, postprocess="[]")
    text = once["output"]["text"]
    assert text.count("Annual report") == text.count("Confidential") == 1
    assert [p["header"] for p in once["output"]["pages"]] == [
        f"Annual report of the harbour office, page {n}" for n in (1, 2, 3)
    ]
    assert {p["footer"] for p in once["output"]["pages"]} == {"Confidential"}
    kept = documents.done(document, postprocess="[]", running_lines="keep")["output"]["text"]
    assert kept.count("Confidential") == 3
    dropped = documents.done(document, postprocess="[]", running_lines="drop")["output"]["text"]
    assert "Annual" not in dropped
    for number in (1, 2, 3):
        assert all(row in text and row in kept and row in dropped for row in rows(number))


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"pages": "9"}, "page_out_of_range", "/pages"),
        ({"pages": "one"}, "bad_parameters", "/pages"),
        ({"dpi": "9"}, "bad_parameters", "/dpi"),
        ({"text_layer": "maybe"}, "bad_parameters", "/text_layer"),
    ],
)
def test_wrong_parameters_are_named(documents, fields, code, pointer):
    refused = documents.refuse(pages("t"), **fields)
    assert (refused["code"], refused["pointer"]) == (code, pointer)


@pytest.mark.parametrize("name", ["pages", "password", "dpi", "text_layer", "running_lines"])
def test_what_needs_a_document_is_refused_without_one(documents, name):
    value = {"pages": "1", "dpi": "100", "text_layer": "only", "running_lines": "keep"}
    refused = documents.refuse(screenshot(64, 64), field="image", **{name: value.get(name, "x")})
    assert (refused["code"], refused["pointer"]) == ("bad_parameters", f"/{name}")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 nothing else", "document_damaged"),
        (b"no document", "unsupported_image_format"),
        (b"", "image_empty"),
    ],
)
def test_what_is_no_document_is_refused_by_name(documents, data, code):
    assert documents.refuse(data)["code"] == code


def test_a_job_has_one_document_and_no_images_beside_it(documents):
    two = [("document", ("a.pdf", pages("t"))), ("image", ("a.png", screenshot(64, 64)))]
    answer = documents.http.post("/v1/jobs", data={"preset": "ocr"}, files=two)
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/images/0")


def test_the_same_request_again_is_the_same_job_and_other_bytes_are_refused(documents):
    def post(data: bytes, **fields: str):
        return documents.http.post(
            "/v1/jobs",
            data={"preset": "ocr", **fields},
            files={"document": ("a.pdf", data)},
            headers={"Idempotency-Key": "one document"},
        )

    first, second = post(pages("t")), post(pages("t"))
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    assert post(pages("tt")).json()["code"] == "idempotency_key_reused"
    assert post(pages("t"), pages="1", dpi="100").json()["code"] == "idempotency_key_reused"


def test_an_estimate_counts_the_pages_that_a_model_must_see(documents):
    body = {"preset": "ocr", "document": as_base64(pages("tssb"))}
    estimate = documents.http.post("/v1/estimate", json=body).json()
    # whether the last one is blank is known once it is drawn
    assert estimate["model_pages"] in (2, 3)
    assert estimate["document"]["page_count"] == 4
    assert estimate["image_tokens"] > 2000
    nothing = documents.http.post(
        "/v1/estimate", json={"preset": "ocr", "document": as_base64(pages("tt"))}
    ).json()
    assert (nothing["model_pages"], nothing["image_tokens"]) == (0, 0)


def test_limits_name_those_of_documents(documents):
    limits = documents.http.get("/v1/limits").json()["document"]
    assert limits["max_pages"] == 1000
    assert "pdf" in limits["kinds"]


def test_lists_have_the_beginning_of_a_long_answer_and_the_client_reads_all_of_it(documents):
    job = documents.done(pages("t" * 48))
    assert len(job["output"]["text"]) > 32 << 10
    listed = documents.http.get("/v1/jobs", params={"limit": 1}).json()["data"][0]
    output = listed["output"]
    assert (listed["id"], output["shortened"], output["pages"]) == (job["id"], True, None)
    assert output["text"] == job["output"]["text"][:1000]
    assert listed | {"output": 0} == job | {"output": 0}
    with Client(str(documents.http.base_url)) as client:
        whole, short = (next(client.jobs(limit=1, whole=one)) for one in (True, False))
    assert (whole.data["output"], short.text) == (job["output"], output["text"])


def test_deltas_name_their_page_and_an_answer_its_evidence(documents):
    job = documents.done(pages("tst"), pages="3,2", postprocess="[]")
    deltas = [data for kind, data in documents.events(job) if kind == "output.delta"]
    assert [(data["tile"], data["page"]) for data in deltas] == [(0, 3), (1, 2)]
    asked = documents.done(pages("tb"), prompt="What is the total?")
    assert [page["evidence"] for page in asked["output"]["pages"]] == [True, False]
