"""What people should look at, what they say of it, and results with it, through real processes."""

from __future__ import annotations

import json
import threading

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from sightline import Client
from sightline.cli import Exit, main
from sightline.errors import BadReview, NotFound, NotReviewable, ReviewChanged
from tests.integration.conftest import Service
from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.images.image_bytes import saved, text_png
from tests.support.servers.receivers import receiving
from tests.unit.worker.reader.pages import page

PAGE = page(20, 4)
HOOKS = {
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_WEBHOOK_GRACE_S": "0.5",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK, **HOOKS) as run:
        run.worker(slots=8)
        run.courier()
        process, http = run.gateway()
        yield Service(http, redis, process, run)


@pytest.fixture(scope="module")
def looked_at(desk):
    return answered(desk)


def answered(desk, below=1, **fields):
    """Return a job that the second reader has answered, which is never all sure of a line."""
    asked = {"preset": "ocr", "reader": "second", "boxes": "line", **fields}
    answer = desk.http.post(
        "/v1/jobs",
        data=asked | {"review": json.dumps({"below": below})},
        files={"image": ("a.png", saved(PAGE.image, "PNG"))},
        headers={"Prefer": "wait=60"},
    )
    job = answer.json()
    assert job["output"]["text"].split("\n") == PAGE.lines, job
    return job


def post(desk, job, **body):
    return desk.http.post(f"/v1/jobs/{job['id']}/review", json=body)


def review_of(desk, job):
    return desk.job(job["id"])["review"]


def client_of(desk):
    return Client(str(desk.http.base_url))


def test_an_answer_is_listed_corrected_and_kept(desk):
    job = answered(desk)
    pointers, before = job["output"]["review"], PAGE.lines[0]
    assert pointers == [f"/lines/{number}" for number in range(len(PAGE.lines))]
    assert job["review"] == {
        "state": "open",
        "version": 0,
        "pointers": pointers,
        "corrections": [],
        "confirmed": [],
    }
    with client_of(desk) as client:
        review = client.review(job["id"], {"/lines/0/text": "# Total"}, reviewer="Ana")
        assert (review["state"], review["version"]) == ("open", 1)
        (correction,) = review["corrections"]
        assert correction | {"at": ""} == {
            "pointer": "/lines/0/text",
            "value": "# Total",
            "before": before,
            "earlier": [],
            "by": "anonymous",
            "reviewer": "Ana",
            "at": "",
        }
        # the same again changes nothing; another value keeps what was said before
        assert client.review(job["id"], {"/lines/0/text": "# Total"}, reviewer="Ana") == review
        assert (
            client.review(job["id"], {"/lines/0/text": "# Total"}, reviewer="Ana", if_version=0)
            == review
        )
        with pytest.raises(ReviewChanged):
            client.review(job["id"], {"/lines/0/text": "# Sum"}, if_version=0)
        (newer,) = client.review(job["id"], {"/lines/0/text": "# Sum"}, if_version=1)["corrections"]
        assert [one["value"] for one in newer["earlier"]] == ["# Total"]
        for number in range(8):
            client.review(job["id"], {"/lines/0/text": f"# Sum {number}"})
        review = client.review(job["id"], confirmed=pointers)
        assert [one["value"] for one in review["corrections"][0]["earlier"]] == [
            f"# Sum {number}" for number in range(6, 1, -1)
        ]
        assert review["state"] == "done"
        assert [one["pointer"] for one in review["confirmed"]] == pointers
        seen = client.job(job["id"]).data
    assert seen["review"] == review
    assert seen["output"] == job["output"]
    listed = {one["id"]: one for one in desk.http.get("/v1/jobs").json()["data"]}
    assert listed[job["id"]]["review"] == review


def pdf_text(content):
    with pypdfium2.PdfDocument(content) as document:
        return "\n".join(one.get_textpage().get_text_range() for one in document)


def test_results_have_corrections_beside_the_answer_or_in_it(desk):
    job = answered(desk)
    url = job["urls"]["result"]
    assert "X-Sightline-Corrections" not in desk.http.get(url).headers
    assert post(
        desk, job, corrections=[{"pointer": "/lines/0/text", "value": "# Total"}]
    ).is_success
    want = "\n".join(["# Total", *PAGE.lines[1:]])
    for form in ("text", "markdown", "html", "hocr"):
        plain = desk.http.get(url, params={"format": form})
        assert "Total" not in plain.text
        assert plain.headers["X-Sightline-Corrections"] == "count=1, applied=0"
        fixed = desk.http.get(url, params={"format": form, "corrected": "true"})
        assert "Total" in fixed.text
        assert PAGE.lines[0] not in fixed.text
        assert fixed.headers["X-Sightline-Corrections"] == "count=1, applied=1"
    pages = pdf_text(desk.http.get(url, params={"format": "pdf", "corrected": "true"}).content)
    assert "Total" in pages
    assert PAGE.lines[0].split()[0] not in pages.split()
    assert desk.http.get(url, params={"corrected": "true"}).text == want
    raw = desk.http.get(url, params={"format": "json"}).json()
    assert raw["text"] == job["output"]["text"]
    assert [one["value"] for one in raw["corrections"]] == ["# Total"]
    both = desk.http.get(url, params={"format": "json", "corrected": "true"}).json()
    assert (both["text"], both["corrections"]) == (want, raw["corrections"])
    # the picture shows what people have corrected, and that they have
    assert post(desk, job, confirmed=["/lines/1"]).is_success
    overlay = f"/v1/jobs/{job['id']}/overlay.svg"
    seen = desk.http.get(overlay, headers={"Accept-Language": "zh"})
    assert f"<title># Total（已更正；原识别为：{PAGE.lines[0]}）</title>" in seen.text
    assert seen.text.count('fill="#15803d"') == 2
    assert seen.headers["X-Sightline-Corrections"] == "count=1, applied=1"
    as_read = desk.http.get(overlay, params={"corrected": "false"})
    assert f"<title>{PAGE.lines[0]}</title>" in as_read.text
    assert "#15803d" not in as_read.text
    assert as_read.headers["X-Sightline-Corrections"] == "count=1, applied=0"
    # a whole text wins, and is all that there is
    assert post(desk, job, corrections=[{"pointer": "/text", "value": "all"}]).is_success
    whole = desk.http.get(url, params={"format": "markdown", "corrected": "true"})
    assert (whole.text, whole.headers["X-Sightline-Corrections"]) == ("all", "count=2, applied=1")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "bad_review", None),
        ({"corrections": [{"pointer": "/lines/99/text", "value": "x"}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "lines", "value": "x"}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "/lines/~3", "value": "x"}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "/lines/0/confidence", "value": 1}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "/lines", "value": []}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "", "value": {}}]}, "bad_review", "/p"),
        ({"corrections": [{"pointer": "/text", "value": 3}]}, "bad_review", "/v"),
        ({"corrections": [{"pointer": "/text", "value": None}]}, "bad_review", "/v"),
        ({"corrections": [{"pointer": "/text", "value": "x" * 200_000}]}, "bad_review", "/v"),
        ({"corrections": [{"pointer": "/text", "value": "x" * 131_000}]}, "bad_review", None),
        ({"confirmed": ["/lines/0", "/none"]}, "bad_review", "/confirmed/1"),
        ({"confirmed": ["/text"] * 2001}, "bad_parameters", "/confirmed"),
        ({"corrections": [{"pointer": "/text"}]}, "bad_parameters", "/corrections/0/value"),
        ({"corrections": [{"pointer": "/" * 1001, "value": 1}]}, "bad_parameters", "/p"),
        ({"confirmed": ["/text"], "who": "me"}, "bad_parameters", "/who"),
        ({"confirmed": ["/text"], "if_version": -1}, "bad_parameters", "/if_version"),
    ],
)
def test_what_does_not_fit_the_answer_is_refused_by_name(desk, looked_at, body, code, pointer):
    short = {"/p": "/corrections/0/pointer", "/v": "/corrections/0/value"}
    answer = post(desk, looked_at, **body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code), problem
    assert problem.get("pointer") == short.get(pointer, pointer)
    assert review_of(desk, looked_at)["version"] == 0


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
POINTERS = st.one_of(
    st.sampled_from(["/text", "/lines/0/text", "/lines/0/box", "/json", "/json/a", "/fields/a/0"]),
    st.text(alphabet="/lines0123~textjson-", max_size=20),
    st.text(max_size=12),
)


def test_whatever_is_said_ends_in_a_review_or_a_typed_error(desk, looked_at):
    @settings(max_examples=80, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.tuples(POINTERS, JSON), max_size=3), st.lists(POINTERS, max_size=3), JSON)
    def check(pairs, confirmed, reviewer):
        # its version never comes, so that nothing is stored
        body = {"corrections": [{"pointer": at, "value": value} for at, value in pairs]}
        body |= {"confirmed": confirmed, "reviewer": reviewer, "if_version": 2**40}
        answer = desk.http.post(f"/v1/jobs/{looked_at['id']}/review", json=body)
        assert answer.status_code in (400, 409, 422), (answer.text, body)
        assert answer.json()["code"] in ("bad_review", "bad_parameters", "review_changed")

    check()
    assert review_of(desk, looked_at)["version"] == 0


def test_the_command_line_lists_and_corrects(desk, looked_at, capsys):
    def run(*words):
        status = main(["--url", str(desk.http.base_url), "review", looked_at["id"], *words])
        return status, capsys.readouterr()

    status, shown = run()
    assert status == 0
    assert "/lines/0" in shown.out
    assert shown.err == "review: open\n"
    status, shown = run("--set", "/lines/0/text=a=b", "--confirm", "/lines/1", "--reviewer", "Ana")
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["/lines/0/text", "corrected", "a=b"] in [[*row[:2], row[-1]] for row in rows]
    assert ["/lines/1", "confirmed"] in [row[:2] for row in rows]
    assert run("--set", "/lines/0=x")[0] == Exit.REFUSED
    assert run("--set", "lines")[0] == Exit.USAGE


def test_values_of_a_json_answer_keep_their_kind(desk):
    value = {"price": 1, "paid": True, "note": None, "items": [{"n": "a"}]}
    form = {"type": "json_schema", "json_schema": {"name": "v", "schema": {"const": value}}}
    job = desk.ended(response_format=form, max_new_tokens=400)
    assert job["output"]["json"] == value
    assert job["review"] is None
    good = {"/json/price": 2.5, "/json/paid": None, "/json/note": 7, "/json/items": []}
    with client_of(desk) as client:
        for pointer, wrong in {"/json/price": "2", "/json/paid": 0, "/json/items": {}}.items():
            with pytest.raises(BadReview) as refused:
                client.review(job["id"], {pointer: wrong})
            assert refused.value.pointer == "/corrections/0/value"
        assert client.review(job["id"], good)["state"] == "done"
    fixed = desk.http.get(job["urls"]["result"], params={"corrected": "true"})
    assert json.loads(fixed.text) == {"price": 2.5, "paid": None, "note": 7, "items": []}
    # what is missing is filled with what the schema wants there
    missing = {"properties": {"n": {"type": ["integer", "null"], "const": None}}, "required": ["n"]}
    form["json_schema"]["schema"] = {"type": "object", "additionalProperties": False, **missing}
    job = desk.ended(response_format=form, max_new_tokens=400)
    assert job["output"]["json"] == {"n": None}
    for wrong in ("7", 7.5, True, [7]):
        problem = post(desk, job, corrections=[{"pointer": "/json/n", "value": wrong}]).json()
        assert "'/json/n' is a whole number, and" in problem["detail"]
    assert post(desk, job, corrections=[{"pointer": "/json/n", "value": 7}]).is_success
    # without evidence nothing would say how sure the values are
    asked = {"prompt": "?", "response_format": form, "review": {"below": 0.5}}
    problem = desk.http.post("/v1/jobs", json=asked).json()
    assert (problem["code"], problem["pointer"]) == ("bad_parameters", "/review")


def test_only_the_answer_of_ones_own_job_that_succeeded_is_reviewed(desk):
    with client_of(desk) as client:
        with pytest.raises(NotFound):
            client.review("job_" + "0" * 36, confirmed=["/text"])
        waiting = desk.submit(max_new_tokens=4000)
        desk.http.post(f"/v1/jobs/{waiting['id']}/cancel")
        with pytest.raises(NotReviewable):
            client.review(waiting["id"], confirmed=["/text"])
        job = answered(desk)
        client.review(job["id"], {"/text": "secret words"})
        desk.redis.client().hset(f"sl:job:{job['id']}", "tenant", "another")
        with pytest.raises(NotFound):
            client.review(job["id"], confirmed=["/text"])
        desk.redis.client().hset(f"sl:job:{job['id']}", "tenant", "anonymous")
        client.job(job["id"]).erase()
        assert post(desk, job, confirmed=["/text"]).status_code == 410
    dump = [desk.redis.client().dump(key) or b"" for key in desk.redis.client().keys("*")]
    assert not any(b"secret words" in str(part).encode() for part in dump)


def test_of_many_reviewers_at_once_all_are_heard(desk):
    job = answered(desk)
    lines = job["output"]["lines"]
    answers = []

    def say(number):
        body = {"corrections": [{"pointer": "/lines/0/text", "value": f"v{number}"}]}
        body["confirmed"] = [f"/lines/{number % len(lines)}"]
        answers.append(post(desk, job, **body, reviewer=f"r{number}"))

    threads = [threading.Thread(target=say, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    review = review_of(desk, job)
    assert review["version"] == 8
    assert len(review["corrections"][0]["earlier"]) == 5
    assert {one["pointer"] for one in review["confirmed"]} == {
        f"/lines/{n}" for n in range(len(lines))
    }


def test_a_webhook_says_once_that_somebody_should_look(desk):
    with receiving() as receiver:
        hook = receiver.url + "/hook"
        job = answered(desk, webhook=hook)
        sure = answered(desk, webhook=hook, below=1e-9)
        named = answered(desk, webhook=hook, webhook_events="completed")
        assert (sure["output"]["review"], sure["review"]["state"]) == ([], "done")
        jobs = (job, sure, named)
        # it is cut off, which is to be looked at
        asked = {"input": "?", "max_output_tokens": 1, "review": {"below": 0.5}, "webhook": hook}
        response = desk.http.post("/v1/responses", json=asked, timeout=60).json()
        assert (response["status"], response["review"]) == ("incomplete", ["/text"])
        cut = {"id": response["id"].replace("resp_", "job_")}
        eventually(lambda: all(delivered(desk, one) for one in (*jobs, cut)))
    kinds = [[one["type"] for one in delivered(desk, one)] for one in jobs]
    assert kinds == [["job.succeeded", "job.needs_review"], ["job.succeeded"], ["job.succeeded"]]
    bodies = [json.loads(request.body) for request in receiver.requests]
    messages = {b["data"]["id"]: b for b in bodies if b["type"] == "job.needs_review"}
    assert messages.keys() == {job["id"], cut["id"]}
    assert [b["data"]["id"] for b in bodies if b["type"].startswith("response.")] == [
        response["id"]
    ]
    message = messages[job["id"]]
    assert message["data"]["review"]["pointers"] == job["output"]["review"]


def delivered(desk, job):
    data = desk.http.get(f"/v1/jobs/{job['id']}/deliveries").json()["data"]
    return data if data and all(one["status"] == "delivered" for one in data) else None


def test_a_form_has_the_rule_as_json(desk):
    data = {"prompt": "?", "max_new_tokens": "2", "review": '{"below": 0.5}'}
    files = {"image": ("a.png", text_png("x"), "image/png")}
    sent = desk.http.post("/v1/jobs", data=data, files=files, headers={"Prefer": "wait=60"})
    assert sent.json()["review"]["state"] in ("open", "done"), sent.text
    for wrong in ('{"below": 0}', '{"below": 1.5}', "{}", '{"below": 0.5, "x": 1}', "0.5"):
        refused = desk.http.post("/v1/jobs", data=data | {"review": wrong}, files=files)
        assert refused.status_code == 422
        assert refused.json()["pointer"].startswith("/review")
