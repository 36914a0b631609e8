"""The second reader in real workers: chosen, refused, waited for, canceled, killed and tiled."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from rapidfuzz.distance import Levenshtein

from shared.prediction.tile_plan import READING_PIXELS
from tests.support.harness import System, eventually
from tests.support.images.image_bytes import saved
from tests.unit.worker.reader.pages import Drawn, page

READ_S = 60


def submit(client, drawn: Drawn, **fields):
    return client.post(
        "/v1/jobs",
        files={"image": ("page.png", saved(drawn.image, "PNG"))},
        data={"preset": "ocr"} | fields,
        headers={"Prefer": "wait=0"},
    )


def ended(client, job_id: str, within_s: float = READ_S):
    def job():
        seen = client.get(f"/v1/jobs/{job_id}").json()
        return seen if seen["status"] not in ("queued", "running") else None

    return eventually(job, within_s)


def errors(text: str, drawn: Drawn) -> float:
    want = "\n".join(drawn.lines)
    got = "\n".join(line for line in text.split("\n") if line)
    return Levenshtein.distance(got, want) / len(want)


def test_a_page_is_read_without_the_model(client):
    drawn = page(20, 8)
    job = ended(client, submit(client, drawn, reader="second").json()["id"])
    assert job["status"] == "succeeded", job
    assert errors(job["output"]["text"], drawn) <= 0.02
    assert job["output"]["reader"] == "second"
    assert job["usage"]["completion_tokens"] == 0
    assert job["metrics"]["read_s"] > 0
    assert [line["text"] for line in job["output"]["lines"]] == job["output"]["text"].split("\n")
    assert min(line["confidence"] for line in job["output"]["lines"]) > 0.7
    events = client.get(f"/v1/jobs/{job['id']}/events").text
    assert "output.delta" in events


def test_both_readings_stand_side_by_side(client):
    drawn = page(21, 3)
    job = ended(client, submit(client, drawn, reader="both").json()["id"])
    assert job["output"]["reader"] == "both"
    assert job["usage"]["completion_tokens"] > 0
    # the simulated model cannot read
    (warning,) = [w for w in job["warnings"] if w["code"] == "readers_disagree"]
    assert drawn.lines[0][:20] in warning["detail"]


def test_the_model_reads_where_nothing_else_is_asked_for(client):
    job = ended(client, submit(client, page(22, 1)).json()["id"])
    assert job["output"]["reader"] == "model"
    assert "read_s" not in job["metrics"]


def test_a_reader_that_no_worker_has_is_refused(system: System):
    system.worker(SIGHTLINE_SECOND_READER="0")
    _, client = system.gateway()
    refused = submit(client, page(23, 1), reader="second")
    assert (refused.status_code, refused.json()["code"]) == (422, "reader_unavailable")
    assert submit(client, page(23, 1), reader="model").status_code == 202


def test_a_job_waits_for_a_worker_with_the_reader_while_others_go_on(system: System):
    _, client = system.gateway()
    drawn = page(24, 2)
    reading = submit(client, drawn, reader="second").json()["id"]
    bare = system.worker(SIGHTLINE_SECOND_READER="0", SIGHTLINE_RECONCILE_S="0.5")
    plain = submit(client, page(25, 1)).json()["id"]
    assert ended(client, plain)["status"] == "succeeded"
    time.sleep(1)
    assert client.get(f"/v1/jobs/{reading}").json()["status"] == "queued"
    system.worker(SIGHTLINE_RECONCILE_S="0.5")
    job = ended(client, reading)
    assert errors(job["output"]["text"], drawn) <= 0.02
    assert job["metrics"]["attempt"] == 1
    assert bare.running
    assert "Traceback" not in bare.logs()


def test_a_reading_is_canceled(system: System):
    system.worker(SIGHTLINE_READER_THREADS="1")
    _, client = system.gateway()
    job_id = submit(client, page(26, 150), reader="second").json()["id"]
    eventually(lambda: client.get(f"/v1/jobs/{job_id}").json()["status"] == "running")
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert ended(client, job_id, 15)["status"] == "canceled"


def test_a_reading_ends_at_its_deadline(system: System):
    system.worker(SIGHTLINE_READER_THREADS="1")
    _, client = system.gateway()
    job_id = submit(client, page(27, 150), reader="second", deadline_s="1.5").json()["id"]
    assert ended(client, job_id, 15)["status"] == "expired"


def test_a_reading_survives_its_worker(system: System):
    doomed = system.worker(SIGHTLINE_READER_THREADS="1")
    _, client = system.gateway()
    drawn = page(28, 30)
    job_id = submit(client, drawn, reader="second").json()["id"]
    eventually(lambda: client.get(f"/v1/jobs/{job_id}").json()["status"] == "running")
    doomed.kill()
    system.worker()
    job = ended(client, job_id)
    assert job["metrics"]["attempt"] == 2
    assert errors(job["output"]["text"], drawn) <= 0.02


def test_both_readings_survive_their_worker(system: System):
    _, client = system.gateway()
    drawn = page(32, 4)
    doomed = system.worker(SIGHTLINE_SIMULATED_TOKEN_S="2")
    job_id = submit(client, drawn, reader="both").json()["id"]

    def writes():
        progress = client.get(f"/v1/jobs/{job_id}").json()["progress"]
        return progress and progress["output_tokens"] > 0

    eventually(writes, READ_S)
    doomed.kill()
    system.worker()
    job = ended(client, job_id)
    assert job["metrics"]["attempt"] == 2
    undisturbed = ended(client, submit(client, drawn, reader="both").json()["id"])
    assert job["output"] == undisturbed["output"]
    assert job["warnings"] == undisturbed["warnings"]
    assert "readers_disagree" in [warning["code"] for warning in job["warnings"]]


@pytest.mark.timeout(300)
def test_a_long_image_is_read_in_tiles(client):
    drawn = page(29, 100, size=36, width=1500)
    assert drawn.image.width * drawn.image.height > 1.5 * READING_PIXELS
    job = ended(client, submit(client, drawn, reader="second").json()["id"], 240)
    assert job["status"] == "succeeded"
    assert len(job["output"]["tiles"]) >= 2
    assert errors(job["output"]["text"], drawn) <= 0.02


def test_a_follow_up_knows_what_was_read(client):
    drawn = page(30, 2)
    first = submit(client, drawn, reader="second", session_id="s1").json()["id"]
    assert ended(client, first)["status"] == "succeeded"
    body = {"prompt": "What was the first word?", "session_id": "s1", "max_new_tokens": 2}
    second = client.post("/v1/jobs", json=body).json()["id"]
    job = ended(client, second)
    assert job["status"] == "succeeded"
    # the image and what was read of it are in the prompt
    assert job["usage"]["prompt_tokens"] > len(" ".join(drawn.lines).split())


def test_an_estimate_knows_the_reader(client):
    drawn = page(31, 6)
    body = {"width": drawn.image.width, "height": drawn.image.height, "preset": "ocr"}
    for reader in ("second", "both"):
        estimate = client.post("/v1/estimate", json=body | {"reader": reader}).json()
        assert estimate["admitted"], estimate
    ended(client, submit(client, drawn, reader="second").json()["id"])

    def measured():
        seconds = client.post("/v1/estimate", json=body | {"reader": "second"}).json()["seconds"]
        return seconds if seconds and seconds["read"] > 0 else None

    seconds = eventually(measured)
    assert seconds["encode"] == seconds["decode"] == 0
