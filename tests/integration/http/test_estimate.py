"""Estimates of time and tokens, and how they compare with what the job took."""

from __future__ import annotations

import base64

import pytest

from shared.settings import Settings
from shared.store.connection import connect
from shared.store.fleet.forecasts import Forecasts
from shared.store.fleet.worker_registry import WorkerRegistry
from tests.support.harness import System, eventually
from tests.support.images.image_bytes import plain_png


def test_an_estimate_takes_all_that_a_job_takes_or_a_mere_size(system: System):
    system.worker()
    _, http = system.gateway()
    png = plain_png("teal", 640, 480)
    image_id = http.post("/v1/images", files={"image": png}).json()["id"]
    responses = [
        http.post("/v1/estimate", json={"width": 640, "height": 480}),
        http.post("/v1/estimate", json={"images": [image_id], "prompt": "what?"}),
        http.post("/v1/estimate", json={"images": [base64.b64encode(png).decode()]}),
        http.post("/v1/estimate", files={"image": png}, data={"max_new_tokens": "8"}),
    ]
    for answer in responses:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["image_tokens"], body["tiles"], body["admitted"]) == (300, 1, True)
        assert body["images"][0]["used"] == [640, 480]
        assert body["seconds"]["encode"] == pytest.approx(0.2)
        assert body["seconds"]["p50"] <= body["seconds"]["p95"]
        assert body["queue"] == {"position": 0, "wait_s": 0}
    assert responses[3].json()["expected_tokens"] == 8
    assert http.get("/v1/jobs").json()["data"] == []
    stored = http.get(f"/v1/images/{image_id}").json()
    assert stored["predicted_s"] == pytest.approx(responses[1].json()["seconds"]["encode"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"width": 640}, "bad_parameters"),
        ({"width": 0, "height": 5}, "bad_parameters"),
        ({"width": 90_000, "height": 640}, "image_dimensions"),
        ({"width": 20_000, "height": 1}, "image_aspect"),
        ({"images": ["AAAA"]}, "unsupported_image_format"),
        ({"images": ["img_" + "0" * 64]}, "image_not_found"),
        ({"preset": "none such"}, "bad_parameters"),
        ({"width": 9, "height": 9, "nonsense": 1}, "bad_parameters"),
    ],
)
def test_what_could_not_be_asked_cannot_be_estimated(workerless, body, code):
    answer = workerless.http.post("/v1/estimate", json=body)
    assert answer.json()["code"] == code
    assert 400 <= answer.status_code < 500


def test_without_workers_there_is_no_prediction(workerless):
    body = workerless.http.post("/v1/estimate", json={"width": 640, "height": 480}).json()
    assert (body["seconds"], body["image_tokens"], body["admitted"]) == (None, 300, True)


def test_an_estimate_says_when_the_job_would_be_refused(system: System):
    system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.1")
    _, http = system.gateway(SIGHTLINE_QUEUE_MAX_WAIT_S="2")
    for number in range(4):
        http.post("/v1/jobs", json={"prompt": f"{number}"})
    body = eventually(lambda: (e := http.post("/v1/estimate", json={}).json())["admitted"] or e)
    assert body["admitted"] is False
    assert body["refusal"]["code"] == "queue_full"
    assert 1 <= body["refusal"]["retry_after_s"] <= 120


def test_a_job_tells_its_prediction_and_its_time_left_and_the_truth_is_kept(system: System):
    system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0.1")
    _, http = system.gateway()
    files = {"image": plain_png("teal", 320, 320)}
    estimate = http.post("/v1/estimate", files=files, data={"prompt": "what?"}).json()
    response = http.post("/v1/jobs", files=files, data={"prompt": "what?"})
    job = response.json()
    assert job["predicted"]["wait_s"] == 0
    assert job["predicted"]["run_s"] > 0.2
    # one figure wherever it is told
    total_s = job["predicted"]["total_s"]
    assert estimate["seconds"]["p50"] == pytest.approx(total_s, abs=0.05)
    assert job["eta_s"] == round(total_s, 1)
    assert int(response.headers["Retry-After"]) == pytest.approx(total_s, abs=1)
    running = eventually(
        lambda: (j := http.get(job["urls"]["self"]).json())["progress"] and j, 10, 0.02
    )
    assert 0 < running["progress"]["eta_s"] < 15
    succeeded = eventually(
        lambda: (j := http.get(job["urls"]["self"]).json())["status"] == "succeeded" and j, 20
    )
    settings = Settings(redis_url=system.env["SIGHTLINE_REDIS_URL"])
    client = connect(settings)
    forecasts = Forecasts(client, WorkerRegistry(client, 10))
    truth = forecasts.read_accuracy()
    assert truth.count == 1
    assert truth.predicted_s == pytest.approx(job["predicted"]["total_s"], abs=0.01)
    assert sum(truth.steps.values()) == 1
    spoken = succeeded["usage"]["completion_tokens"]
    assert forecasts.read().answer_tokens("ask", 64) == spoken
    client.close()
