"""What a worker does before it has a model, and why it could not get one, is to be seen outside."""

from __future__ import annotations

from tests.integration.conftest import SMALL
from tests.support.harness import QUICK, RedisServer, eventually, running_system
from tests.support.servers.model_hub import running_hub, tiny_model

SHARD = "model-00002-of-00002.safetensors"


def test_a_download_and_why_it_failed_are_in_the_readiness_check_and_in_the_queue(
    own_redis: RedisServer, tmp_path
):
    def starting() -> list[dict]:
        states = http.get("/v1/queue").json().get("starting", [])
        return [state for state in states if state["model"] == "Qwen/Tiny"]

    def downloading() -> bool:
        return any(state["kind"] == "download" and state["percent"] for state in starting())

    # nobody else may see what is left of the worker
    with (
        running_system(own_redis.url, tmp_path, **QUICK) as system,
        running_hub(tiny_model(2_000_000), piece_s=0.1) as hub,
    ):
        _, http = system.gateway(**SMALL)
        hub.wrong[SHARD] = 2
        process = system.worker(
            wait=False,
            SIGHTLINE_MODEL="Qwen/Tiny",
            HF_ENDPOINT=hub.url,
            SIGHTLINE_WEIGHTS_DIR=str(tmp_path),
        )
        eventually(downloading, 90)
        detail = http.get("/readyz").json()["detail"]
        assert detail.startswith("No worker is ready yet: ")
        assert "one is downloading Qwen/Tiny (" in detail
        # no worker was ever ready, and yet it is known which model comes
        for name, status in (("Qwen/Tiny", 202), ("gpt-none", 404)):
            answer = http.post("/v1/jobs", json={"prompt": "?", "model": name})
            assert answer.status_code == status, answer.text
        hub.piece_s = 0
        eventually(lambda: any(state["problem"] for state in starting()), 90)
        (state,) = starting()
        assert state["problem"] == "wrong_checksum"
        detail = http.get("/readyz").json()["detail"]
        assert "one could not start (wrong_checksum: see its log)" in detail
        (shown,) = http.get("/v1/ops/workers").json()["starting"]
        assert (shown["name"].split("@")[0], shown["problem"]) == ("w1", "wrong_checksum")
        assert f"{SHARD} came twice" in shown["reason"]
        late = http.post("/v1/jobs", json={"prompt": "?", "model": "Qwen/Tiny"})
        assert (late.status_code, late.json()["code"]) == (404, "model_not_found")
        assert process.wait(60) != 0
        assert f"{SHARD} came twice" in process.log.read_text()
