"""Sessions and warmed images over HTTP."""

from __future__ import annotations

import pytest

from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png


def test_a_conversation_is_kept_listed_read_and_forgotten(served):
    image = served.http.post("/v1/images", files={"image": plain_png("teal")}).json()["id"]
    first = served.ended("what is it?", session_id="talk", images=[image])
    second = served.ended("它指的是什么?", session_id="talk")
    assert second["session_id"] == "talk"
    session = served.http.get("/v1/sessions/talk").json()
    assert [turn["prompt"] for turn in session["turns"]] == ["what is it?", "它指的是什么?"]
    assert [turn["text"] for turn in session["turns"]] == [
        job["output"]["text"] for job in (first, second)
    ]
    assert session["images"] == [image]
    assert session["busy"] is None
    listed = served.http.get("/v1/sessions").json()["data"]
    assert listed[0]["id"] == "talk"
    assert served.http.delete("/v1/sessions/talk").status_code == 204
    for method in ("GET", "DELETE"):
        assert served.http.request(method, "/v1/sessions/talk").status_code == 404
    assert served.job(first["id"])["status"] == "succeeded"


def test_a_busy_session_refuses_a_second_question_and_tells_clients_not_to_repeat_it(workerless):
    busy = workerless.submit(session_id="busy")
    answer = workerless.http.post("/v1/jobs", json={"prompt": "and?", "session_id": "busy"})
    assert (answer.status_code, answer.json()["code"]) == (409, "session_busy")
    assert answer.headers["x-should-retry"] == "false"
    assert busy["id"] in answer.json()["detail"]
    assert workerless.http.get("/v1/sessions/busy").json()["busy"] == busy["id"]
    workerless.http.post(busy["urls"]["cancel"])
    workerless.submit(session_id="busy")


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "../up"])
def test_a_session_id_must_be_a_short_plain_name(workerless, bad):
    answer = workerless.http.post("/v1/jobs", json={"prompt": "?", "session_id": bad})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/session_id")


def test_an_image_is_encoded_ahead_when_asked(served):
    answer = served.http.post(
        "/v1/images", params={"warm": "1"}, files={"image": plain_png("navy")}
    )
    assert answer.status_code == 201
    job = answer.json()["warm_job"]
    eventually(lambda: served.job(job)["status"] == "succeeded")
    assert served.job(job)["output"]["text"] == ""
    cold = served.http.post("/v1/images", files={"image": plain_png("navy")}).json()
    assert cold["warm_job"] is None


def test_a_question_about_images_that_are_gone_is_not_answered_blind(served):
    images = [
        served.http.post("/v1/images", files={"image": plain_png(("olive", "plum")[n])}).json()[
            "id"
        ]
        for n in range(2)
    ]
    for number, image in enumerate(images):
        served.ended(f"what is on it? {number}", images=[image], session_id="gone")
    served.http.delete(f"/v1/images/{images[0]}").raise_for_status()
    other = served.ended("and on the other one?", session_id="gone")
    assert other["status"] == "succeeded"
    assert "history_image_gone" in {notice["code"] for notice in other["warnings"]}
    served.http.delete(f"/v1/images/{images[1]}").raise_for_status()
    blind = served.ended("and now?", session_id="gone")
    assert (blind["status"], blind["error"]["code"]) == ("failed", "image_gone")
    assert "picture of this conversation" in blind["error"]["message"]
    again = served.http.post("/v1/images", files={"image": plain_png("peru")}).json()["id"]
    seen = served.ended("and with it?", session_id="gone", images=[again])
    assert seen["status"] == "succeeded"
