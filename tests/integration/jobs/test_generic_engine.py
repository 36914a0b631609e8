"""Models of other architectures through gateway, Redis and worker, by the generic engine."""

from __future__ import annotations

import base64
import io
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import httpx

from tests.model.checkpoints import picture
from tests.support.harness import QUICK, Process, System, eventually, running_redis, running_system
from tests.support.other_models import OTHERS

#: One whose images have as many tokens each, and one whose images have tokens by their size.
NAMES = ("gemma3", pytest.param("paddleocr_vl", marks=pytest.mark.long))


@pytest.fixture(scope="module", params=NAMES)
def system(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[System]:
    """A Redis and the settings of workers that run this architecture."""
    folder = tmp_path_factory.mktemp(request.param)
    model = folder / request.param
    model.mkdir()
    OTHERS[request.param](model)
    settings = {
        "SIGHTLINE_ENGINE": "transformers",
        "SIGHTLINE_MODEL": str(model),
        "SIGHTLINE_NUMERICS": "fp32",
        "SIGHTLINE_THREADS": "1",
        "SIGHTLINE_SECOND_READER": "false",
    }
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK, **settings) as running,
    ):
        yield running


def start_worker(system: System) -> Process:
    """Start a worker, which loads torch and transformers first."""
    worker = system.worker(slots=4, wait=False)
    eventually(lambda: "worker.ready" in worker.logs() or not worker.running, 240)
    assert worker.running, worker.logs()
    return worker


def url_of(seed: int) -> str:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def submit(http: httpx.Client, prompt: str, *images: int, **fields: Any) -> str:
    body = {"prompt": prompt, "images": [url_of(image) for image in images], **fields}
    answer = http.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ended(http: httpx.Client, job_id: str) -> dict[str, Any]:
    def look() -> Any:
        job = http.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
        return job if job["status"] not in ("queued", "running") else None

    job: dict[str, Any] = eventually(look, 240)
    return job


def written(http: httpx.Client, job_id: str) -> Any:
    """Tell whether some of a job's answer was streamed."""
    job = http.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] in ("queued", "running")
    return (job["progress"] or {}).get("output_tokens")


def test_a_model_of_another_architecture_is_served(system: System) -> None:
    worker = start_worker(system)
    _, http = system.gateway()
    name = Path(system.env["SIGHTLINE_MODEL"]).name
    (model,) = eventually(lambda: http.get("/v1/models").json()["data"])
    assert (model["id"], model["engine"]) == (name, "transformers")
    assert model["not_available"] == ["drafts", "image_features", "pointing", "prefix_cache"]
    assert "transformers" in model["arithmetic"]
    (listed,) = http.get("/v1/queue").json()["workers"]
    assert listed["slots"] == 1
    assert listed["decode_tokens_per_s"] > 0

    whole = ended(http, submit(http, "What is it?", 1, 2, max_new_tokens=300, loop_guard=False))
    assert whole["status"] == "succeeded"
    assert whole["usage"]["image_tokens"] > 0
    assert _streamed(http, "What is it?", 1, 2) == whole["output"]["text"]

    # a stream that is read for long, a deadline, and a job that waits behind both
    endless = {"max_new_tokens": 3500, "loop_guard": False}
    running = submit(http, "Write!", 1, **endless)
    waiting = submit(http, "And now?", session_id="talk", max_new_tokens=8)
    eventually(lambda: written(http, running))
    assert http.get(f"/v1/jobs/{waiting}").json()["status"] == "queued"
    http.post(f"/v1/jobs/{running}/cancel")
    cut = ended(http, running)
    assert (cut["status"], cut["output"]["finish_reason"]) == ("canceled", "canceled")
    assert cut["output"]["text"]
    first = ended(http, waiting)
    second = ended(http, submit(http, "And then?", 3, session_id="talk", max_new_tokens=8))
    assert second["status"] == "succeeded"
    own = ended(http, submit(http, "And then?", 3, max_new_tokens=8))
    assert second["usage"]["prompt_tokens"] > own["usage"]["prompt_tokens"]
    assert first["status"] == "succeeded"
    overdue = {"prompt": "Write!", "deadline_s": 3, **endless}

    def accepted() -> Any:
        # refused as long as the worker is taken to be busy
        answer = http.post("/v1/jobs", json=overdue)
        return answer.json()["id"] if answer.status_code == 202 else None

    assert ended(http, eventually(accepted))["status"] == "expired"

    refused = http.post("/v1/jobs", json={"prompt": "cat", "preset": "find", "labels": ["cat"]})
    assert refused.status_code == 422
    given_back = submit(http, "Write!", 1, **endless | {"max_new_tokens": 1500})
    eventually(lambda: written(http, given_back))
    worker.signal(signal.SIGTERM)
    worker.wait()
    start_worker(system)
    assert ended(http, given_back)["status"] == "succeeded"


def _streamed(http: httpx.Client, prompt: str, *images: int) -> str:
    """Return the text of a streamed chat."""
    content = [{"type": "image_url", "image_url": {"url": url_of(image)}} for image in images]
    message = {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}
    from openai import OpenAI

    client = OpenAI(base_url=f"{http.base_url}/v1", api_key="none")
    chunks = client.chat.completions.create(
        model="sightline",
        messages=[message],  # type: ignore[list-item]
        max_tokens=300,
        extra_body={"loop_guard": False},
        temperature=0,
        stream=True,
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
