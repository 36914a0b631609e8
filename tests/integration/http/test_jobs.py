"""Reading, listing, canceling, retrying and erasing jobs over HTTP."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import itertools
import time

import pytest
import redis

from shared.errors import TileFailed
from shared.jobs import JobStatus, new_job_id
from shared.settings import Settings
from shared.store import Store
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png

#: The simulated engine says 32 words to this, which takes it seconds here.
LONG_ANSWER = "stop me 3"


def one_pixel_image(seed):
    return base64.b64encode(plain_png((seed, 7, 7), 40, 40)).decode()


def running(service, **fields):
    job = service.submit(**fields)
    eventually(lambda: service.job(job["id"])["status"] == "running")
    return job["id"]


def test_a_long_poll_comes_back_as_soon_as_the_job_changes(workerless):
    job = workerless.submit()
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(workerless.job, job["id"], 60)
        time.sleep(0.2)
        workerless.http.post(job["urls"]["cancel"])
        assert poll.result()["status"] == "canceled"
    assert time.monotonic() - started < 30


def test_a_long_poll_without_a_change_tells_the_job_as_it_is(workerless):
    job = workerless.submit()
    answer = workerless.http.get(job["urls"]["self"], params={"wait": "1"})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert 1 <= int(answer.headers["Retry-After"]) <= 120


def test_a_long_poll_on_a_job_that_is_erased_ends_with_410(workerless):
    job = workerless.submit()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(workerless.http.get, job["urls"]["self"], params={"wait": "60"})
        time.sleep(0.2)
        workerless.http.delete(job["urls"]["self"])
        assert poll.result().status_code == 410


def pages(service, limit, **query):
    after = None
    while True:
        params = {"limit": limit, **query, **({"after": after} if after else {})}
        page = service.http.get("/v1/jobs", params=params).json()
        yield [job["id"] for job in page["data"]]
        if not page["has_more"]:
            return
        after = page["last_id"]


def test_pages_show_every_job_once_and_the_newest_first(workerless):
    ids = [workerless.submit()["id"] for _ in range(23)]
    listed_ids = []
    for page in pages(workerless, 5):
        listed_ids += page
        workerless.submit(prompt="younger than the first page")
    assert listed_ids[:23] == ids[::-1]
    assert len(set(listed_ids)) == len(listed_ids)


def test_a_page_may_begin_at_a_job_that_was_erased_meanwhile(workerless):
    ids = [workerless.submit()["id"] for _ in range(9)]
    listed_ids = []
    for page in itertools.islice(pages(workerless, 2), 5):
        listed_ids += page
        for job_id in page:
            workerless.http.delete(f"/v1/jobs/{job_id}")
    assert listed_ids[:9] == ids[::-1]


def test_the_list_is_filtered_by_status_and_session(workerless):
    other = workerless.submit(session_id="filtered")
    workerless.http.post(other["urls"]["cancel"])
    job = workerless.submit(session_id="filtered")
    for status, expected in (("queued", [job["id"]]), ("canceled", [other["id"]]), ("failed", [])):
        query = {"status": status, "session_id": "filtered"}
        listed = workerless.http.get("/v1/jobs", params=query).json()
        assert [row["id"] for row in listed["data"]] == expected


def test_a_queued_job_is_canceled_at_once_and_twice_is_as_good_as_once(workerless):
    job = workerless.submit()
    for _ in range(2):
        answer = workerless.http.post(job["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


def test_a_running_job_stops_long_before_its_end_and_keeps_its_text(served):
    job_id = running(served, prompt=LONG_ANSWER, max_new_tokens=500)
    eventually(lambda: (served.job(job_id)["progress"] or {}).get("output_tokens", 0) > 1)
    assert served.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    ended = served.job(job_id, wait_s=30)
    while ended["status"] == "running":
        ended = served.job(job_id, wait_s=30)
    assert ended["status"] == "canceled"
    assert ended["output"]["text"]
    assert ended["output"]["partial"] is True
    assert ended["output"]["finish_reason"] == "canceled"
    assert ended["usage"]["completion_tokens"] < 500


def test_an_ended_job_cannot_be_canceled_and_clients_need_not_try_again(served):
    job = served.ended()
    answer = served.http.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancelable")
    assert answer.headers["x-should-retry"] == "false"


def test_a_canceled_job_is_retried_as_a_new_job_that_asks_the_same(served):
    request = {"metadata": {"order": "42"}, "session_id": "s_9", "images": [one_pixel_image(1)]}
    job = served.submit(prompt="again", max_new_tokens=2, priority="low", **request)
    served.http.post(job["urls"]["cancel"])
    eventually(lambda: served.job(job["id"])["status"] == "canceled")
    answer = served.http.post(f"/v1/jobs/{job['id']}/retry")
    new = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == new["urls"]["self"]
    assert new["id"] != job["id"]
    assert new["retry_of"] == job["id"]
    assert (new["metadata"], new["session_id"]) == ({"order": "42"}, "s_9")
    assert new["queue"]["name"] == "low"
    assert new["input"]["images"][0]["id"] == job["input"]["images"][0]["id"]
    assert served.job(job["id"])["status"] == "canceled"
    eventually(lambda: served.job(new["id"])["status"] == "succeeded")


def test_a_retry_begins_without_the_warnings_of_the_first_attempt(workerless):
    # only the image's own warning is of the submission
    request = {"prompt": "again", "images": [one_pixel_image(7)], "detail": "low"}
    job = workerless.submit(**request)
    store = Store(Settings(redis_url=workerless.redis.url))
    claim = store.claim(job["id"], "w")
    late = {"code": "tile_failed", "detail": "Part 1 of 2 could not be read"}
    first = list(claim.row.notices)
    fields = {"notices": [*first, late], "error": TileFailed().as_dict()}
    assert store.finish(job["id"], claim.owner, JobStatus.FAILED, fields)
    assert late["code"] in [w["code"] for w in workerless.job(job["id"])["warnings"]]
    new = workerless.http.post(f"/v1/jobs/{job['id']}/retry").json()
    assert new["warnings"] == job["warnings"]
    workerless.http.delete(new["urls"]["self"])


def test_an_expired_job_is_retried_with_the_deadline_it_had(workerless):
    job = workerless.submit(deadline_s=0.3)
    assert workerless.job(job["id"], wait_s=30)["status"] == "expired"
    new = workerless.http.post(f"/v1/jobs/{job['id']}/retry").json()
    assert workerless.job(new["id"], wait_s=30)["status"] == "expired"


def test_only_an_unsuccessful_job_is_retried(served, workerless):
    for service, job in ((served, served.ended()), (workerless, workerless.submit())):
        answer = service.http.post(f"/v1/jobs/{job['id']}/retry")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")


def traces(server, *words):
    """Return the keys that are named by, or hold, one of the words."""
    with contextlib.closing(redis.Redis(port=server.port)) as client:
        return {
            key.decode()
            for key in client.scan_iter()
            if any(
                word.encode() in b"\n".join([key, *stored_values(client, key)]) for word in words
            )
        }


def stored_values(client, key):
    match client.type(key):
        case b"string":
            return [client.get(key) or b""]
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case _:
            return []


def test_an_erased_job_answers_410_and_leaves_nothing_but_that(served):
    headers = {"Idempotency-Key": "to-be-erased", "Prefer": "wait=60"}
    body = {"prompt": "hi", "images": [one_pixel_image(2)], "metadata": {"of": "a customer"}}
    job = served.http.post("/v1/jobs", json=body, headers=headers).json()
    image = job["input"]["images"][0]["id"]
    digest = image.removeprefix("img_")
    assert len(traces(served.redis, job["id"], digest)) >= 4
    assert served.http.delete(job["urls"]["self"]).status_code == 204
    eventually(lambda: traces(served.redis, job["id"], digest) == {f"sl:gone:{job['id']}"})
    assert not traces(served.redis, "to-be-erased")
    for call in (
        served.http.get(job["urls"]["self"]),
        served.http.get(job["urls"]["events"]),
        served.http.get(job["urls"]["result"]),
        served.http.post(job["urls"]["cancel"]),
        served.http.post(job["urls"]["self"] + "/retry"),
        served.http.delete(job["urls"]["self"]),
    ):
        assert (call.status_code, call.json()["code"]) == (410, "erased")
    assert served.http.get(f"/v1/images/{image}").status_code == 404


def test_an_image_that_another_job_needs_outlives_the_erased_one(workerless):
    first, second = (workerless.submit(images=[one_pixel_image(3)]) for _ in range(2))
    image = first["input"]["images"][0]["id"]
    workerless.http.delete(first["urls"]["self"])
    assert workerless.http.get(f"/v1/images/{image}").status_code == 200
    workerless.http.delete(second["urls"]["self"])
    assert workerless.http.get(f"/v1/images/{image}").status_code == 404


def test_erasing_a_running_job_stops_its_work(served):
    job_id = running(served, prompt=LONG_ANSWER, max_new_tokens=500)
    before = served.http.get("/v1/queue").json()["running"]
    assert served.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert served.http.get("/v1/queue").json()["running"] == before - 1
    eventually(lambda: served.http.get("/v1/queue").json()["workers"][0]["busy"] == 0)
    eventually(lambda: traces(served.redis, job_id) == {f"sl:gone:{job_id}"})


@pytest.mark.parametrize("path", ["?wait=30", "/events", "/result"])
def test_an_unknown_job_is_404_at_once(workerless, path):
    answer = workerless.http.get(f"/v1/jobs/{new_job_id()}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_id_with_a_suffix_names_no_other_key(served):
    job = served.ended(images=[one_pixel_image(4)])
    image = job["input"]["images"][0]["id"]
    for path in (f"/v1/jobs/{job['id']}:events", f"/v1/images/{image}:jobs"):
        assert served.http.get(path).status_code == 404
        assert served.http.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/markdown", "text/markdown"),
        ("application/json", "application/json"),
        ("application/json;q=0.1, text/markdown", "text/markdown"),
    ],
)
def test_the_result_comes_as_accept_asks(served, accept, kind):
    job = served.ended(prompt="the same for all")
    answer = served.http.get(job["urls"]["result"], headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == kind
    if kind == "application/json":
        assert answer.json() == job["output"]
    else:
        assert answer.text == job["output"]["text"]


def test_the_result_of_an_unfinished_job_is_202_with_the_job(workerless):
    job = workerless.submit()
    answer = workerless.http.get(job["urls"]["result"])
    assert (answer.status_code, answer.json()["id"]) == (202, job["id"])
    assert answer.headers["Retry-After"]


def test_the_result_of_a_job_that_was_canceled_unstarted_is_a_conflict(workerless):
    job = workerless.submit()
    workerless.http.post(job["urls"]["cancel"])
    answer = workerless.http.get(job["urls"]["result"])
    assert (answer.status_code, answer.json()["code"]) == (409, "no_result")


def test_positions_in_the_queue_are_exact(workerless):
    jobs = [workerless.submit(priority="high") for _ in range(4)]
    places = [workerless.job(job["id"])["queue"]["position"] for job in jobs]
    assert places == list(range(places[0], places[0] + 4))
    for job in jobs:
        workerless.http.post(job["urls"]["cancel"])
