"""An answer whose worker was killed follows what that had written, and is the same."""

from __future__ import annotations

import pytest

from shared.settings import BUNDLED_MODEL
from tests.support.harness import RedisServer, eventually, running_system

pytestmark = [pytest.mark.model, pytest.mark.long, pytest.mark.timeout(240)]

#: Words drawn at random go on for long, and are the same for the same seed.
LONG = {
    "prompt": "Write!",
    "do_sample": True,
    "temperature": 2,
    "top_p": 1,
    "seed": 5,
    "max_new_tokens": 1500,
    "loop_guard": False,
    "regex": "[a-z ]{900}",
}


def test_an_answer_goes_on_fast_from_where_its_worker_was_killed(
    shared_redis: RedisServer, tmp_path
) -> None:
    settings = {"SIGHTLINE_MODEL": BUNDLED_MODEL}
    with running_system(shared_redis.url, tmp_path, **settings) as system:
        _, client = system.gateway()
        doomed = system.worker()
        accepted = client.post("/v1/jobs", json=LONG)
        assert accepted.status_code == 202, accepted.text
        job_id = accepted.json()["id"]

        def written():
            progress = client.get(f"/v1/jobs/{job_id}").json()["progress"]
            return progress and progress["output_tokens"] > 100

        eventually(written, 60)
        doomed.kill()
        system.worker()

        def ended(job_id: str):
            job = client.get(f"/v1/jobs/{job_id}").json()
            return job if job["status"] == "succeeded" else None

        job = eventually(lambda: ended(job_id), 120)
        again = client.post("/v1/jobs", json=LONG).json()["id"]
        undisturbed = eventually(lambda: ended(again), 120)
    assert job["metrics"]["attempt"] == 2
    assert job["output"]["text"] == undisturbed["output"]["text"]
    assert job["usage"]["accepted_tokens"] > undisturbed["usage"].get("accepted_tokens", 0) + 50
