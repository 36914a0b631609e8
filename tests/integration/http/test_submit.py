"""POST /v1/jobs and /predict: every encoding of a request, waiting or not."""

from __future__ import annotations

import base64
import concurrent.futures

import pytest

from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png

ARTICLE = {
    "prompt": "图中有几个主要物体?只需回答一个数字。",
    "max_new_tokens": 16,
    "temperature": 0.1,
    "do_sample": False,
}


PNG = plain_png("red", 64, 48)
TEXT = base64.b64encode(PNG).decode()
URI = f"data:image/png;base64,{TEXT}"


def test_a_submission_is_accepted_with_its_place_and_a_hint_when_to_ask(workerless):
    answer = workerless.http.post("/v1/jobs", json={"prompt": "hi"})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert (job["object"], job["status"]) == ("job", "queued")
    assert workerless.http.get(answer.headers["Location"]).json()["id"] == job["id"]


def test_each_encoding_of_the_same_image_gives_the_same_image(served):
    image_id = served.http.post("/v1/images", files={"image": PNG}).json()["id"]
    bodies = (
        {"images": [URI]},
        {"images": [TEXT]},
        {"images": [image_id]},
        {"images": TEXT},
        {"image": URI},
        {"image_url": URI},
        {"image_base64": TEXT},
    )
    ids = {served.submit(**body)["input"]["images"][0]["id"] for body in bodies}
    form = served.http.post("/v1/jobs", data={"prompt": "hi"}, files={"image": PNG}).json()
    text = served.http.post("/v1/jobs", data={"prompt": "hi", "image_base64": TEXT}).json()
    ids |= {form["input"]["images"][0]["id"], text["input"]["images"][0]["id"]}
    assert ids == {image_id}


def test_a_form_takes_several_files_and_json_in_its_fields(served):
    answer = served.http.post(
        "/v1/jobs",
        data={"prompt": "hi", "metadata": '{"order": "42"}', "stop": '["END"]', "max_tokens": "3"},
        files=[("image", ("a.png", PNG)), ("image", ("b.png", plain_png("blue", 64, 48)))],
        headers={"Prefer": "wait=60"},
    )
    job = answer.json()
    assert answer.status_code == 200, answer.text
    assert len({image["id"] for image in job["input"]["images"]}) == 2
    assert job["metadata"] == {"order": "42"}
    assert job["usage"]["completion_tokens"] == 3
    assert job["output"]["finish_reason"] == "length"


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict"])
def test_the_articles_body_is_taken_as_it_is(served, path):
    answer = served.http.post(path, json=ARTICLE, headers={"Prefer": "wait=60"})
    job = answer.json()
    assert answer.status_code == 200, answer.text
    assert job["status"] == "succeeded"
    assert 0 < job["usage"]["completion_tokens"] <= 16
    assert job["input"]["images"] == []


def test_predict_takes_the_articles_form_and_waits(served):
    answer = served.http.post("/predict", files={"image": PNG}, data={"prompt": "描述"})
    assert answer.status_code == 200
    job = answer.json()
    assert job["output"]["text"]
    assert job["input"]["images"][0]["width"] == 64
    assert job["input"]["model"] == "simulated"


def test_a_preferred_wait_answers_the_ended_job(served):
    answer = served.http.post(
        "/v1/jobs", json={"prompt": "hi", "max_tokens": 2}, headers={"Prefer": "wait=60"}
    )
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.json()["status"] == "succeeded"
    assert "Retry-After" not in answer.headers


def test_a_wait_that_is_too_short_answers_202_and_the_job_goes_on(workerless):
    answer = workerless.http.post("/v1/jobs", json={"prompt": "hi"}, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.headers["Location"]
    assert workerless.job(answer.json()["id"])["status"] == "queued"


def test_the_same_key_and_body_give_the_same_job(workerless):
    def post(prompt):
        return workerless.http.post(
            "/v1/jobs", json={"prompt": prompt}, headers={"Idempotency-Key": "order-1"}
        )

    first, again, other = post("a"), post("a"), post("b")
    assert first.json()["id"] == again.json()["id"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_thirty_posts_at_once_with_one_key_make_one_job(served):
    def post(_):
        return served.http.post(
            "/v1/jobs",
            json={"prompt": "hi", "images": [URI]},
            headers={"Idempotency-Key": "at-once"},
        )

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(post, range(30)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 29


def test_a_key_is_free_again_when_its_job_was_erased(workerless):
    def post():
        headers = {"Idempotency-Key": "order-2"}
        return workerless.http.post("/v1/jobs", json={"prompt": "a"}, headers=headers)

    first = post().json()["id"]
    assert workerless.http.delete(f"/v1/jobs/{first}").status_code == 204
    again = post()
    assert again.status_code == 202
    assert again.json()["id"] != first


def test_a_job_expires_unstarted_at_its_deadline(workerless):
    job = workerless.submit(deadline_s=0.5)
    ended = workerless.job(job["id"], wait_s=30)
    assert ended["status"] == "expired"
    assert ended["started_at"] is None


def test_metadata_and_session_come_back_as_they_were_sent(workerless):
    metadata = {"order": "42", "何": [1, 2.5, None, {"a": "👀\u0000"}]}
    job = workerless.submit(metadata=metadata, session_id="s_1")
    read = workerless.job(job["id"])
    assert read["metadata"] == metadata
    assert read["session_id"] == "s_1"


def test_predict_answers_a_job_without_an_answer_as_an_error(workerless):
    http = workerless.http
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.post, "/predict", json={"prompt": "hi", "metadata": {"a": "b"}})

        def own() -> list[str]:
            jobs = http.get("/v1/jobs", params={"status": "queued"}).json()["data"]
            return [job["id"] for job in jobs if job["metadata"] == {"a": "b"}]

        eventually(own)
        http.post(f"/v1/jobs/{own()[0]}/cancel")
        answer = waiting.result()
    assert (answer.status_code, answer.json()["status"]) == (409, "canceled")
