"""The build from before there were several models, beside ours, in a fleet of two models."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.store import keys
from tests.support.harness import (
    BIN,
    QUICK,
    ROOT,
    Process,
    RedisServer,
    System,
    eventually,
    free_port,
    running_redis,
    running_system,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: The last commit whose workers answer whatever they are asked, with the one model of all.
_OLDER = "1ccae065"
#: What the older build calls the model of its workers, and the model that is added.
_FIRST, _SECOND = "simulated", "second"
_EACH = 5


class MixedFleet:
    """Gateways and workers of both builds on one Redis."""

    def __init__(self, system: System, redis: RedisServer, build: Path) -> None:
        self.system = system
        self._redis = redis.client()
        self._opened = contextlib.ExitStack()
        self._build = build
        #: The model that each job is for, and that each worker has, by its number.
        self.asked: dict[str, str] = {}
        self.served: dict[str, str] = {}

    def _spawn_older(self, command: list[str], name: str, **env: str) -> Process:
        inside = ["sh", "-c", f'cd {self._build} && exec "$@"', "sh", *command]
        paths = f"{self._build}:{self._build / 'client'}"
        return self.system.spawn(inside, name, {"PYTHONPATH": paths, **env})

    def start_older_worker(self) -> Process:
        command = [str(BIN / "celery"), "-A", "worker.app", "worker", "-P", "threads", "-c", "2"]
        command += ["-Q", "high,default,low", "-n", "wold@%h"]
        worker = self._spawn_older(command, "older-worker", SIGHTLINE_SLOTS="2")
        eventually(lambda: "worker.ready" in worker.logs() or not worker.running, 120)
        assert worker.running, worker.logs()
        self.served["old"] = _FIRST
        return worker

    def start_older_gateway(self) -> httpx.Client:
        port = free_port()
        command = [str(BIN / "gunicorn"), "-c", "gateway/gunicorn.conf.py"]
        command.append("gateway.app:create_app()")
        self._spawn_older(command, "older-gateway", SIGHTLINE_PORT=str(port))
        url = f"http://127.0.0.1:{port}"
        client = self._opened.enter_context(httpx.Client(base_url=url, timeout=90, trust_env=False))

        def responds() -> bool:
            try:
                return client.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        eventually(responds, 120)
        return client

    def start_worker(self, model: str) -> None:
        worker = self.system.worker(slots=2, SIGHTLINE_MODEL_NAME=model)
        self.served[worker.log.stem.removeprefix("worker")] = model

    def submit(self, http: httpx.Client, model: str, /, **fields: object) -> None:
        for _ in range(_EACH):
            body = {"prompt": "?", "max_new_tokens": 8, "ttl_s": 3600, **fields}
            answer = http.post("/v1/jobs", json=body)
            assert answer.status_code == 202, answer.text
            self.asked[answer.json()["id"]] = model

    def close(self) -> None:
        self._opened.close()
        self._redis.close()

    def ended_rows(self) -> list[tuple[str, str]] | None:
        """Return status and worker of each job in the order of `asked`; None until all ended."""
        rows = [self._redis.hmget(keys.job(job_id), "status", "worker") for job_id in self.asked]
        is_over = all(status not in ("queued", "running") for status, _ in rows)
        return [(status, worker) for status, worker in rows] if is_over else None


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[MixedFleet]:
    build = tmp_path / "older"
    build.mkdir()
    archive = subprocess.run(["git", "archive", _OLDER], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip("this copy of the project does not know its older commits")
    subprocess.run(["tar", "x", "-C", build], input=archive.stdout, check=True)
    # on a busy machine a worker may be silent for longer than QUICK allows
    env = QUICK | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.1", "SIGHTLINE_HEARTBEAT_TTL_S": "10"}
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path, **env) as system:
        mixed = MixedFleet(system, redis, build)
        yield mixed
        mixed.close()


def test_no_job_of_either_build_is_answered_by_the_wrong_model(fleet: MixedFleet) -> None:
    older_worker, older = fleet.start_older_worker(), fleet.start_older_gateway()
    fleet.submit(older, _FIRST)
    # the wrong way round, which nobody is advised to do: a gateway before the workers
    _, newer = fleet.system.gateway()
    fleet.submit(newer, _FIRST)
    fleet.submit(newer, _SECOND, model=_SECOND, wait_for_model=True)
    for start in (lambda: fleet.start_worker(_SECOND), lambda: fleet.start_worker(_FIRST)):
        start()
        fleet.submit(older, _FIRST)
        fleet.submit(newer, _FIRST, model=_FIRST)
        fleet.submit(newer, _SECOND, model=_SECOND)
    older_worker.signal(signal.SIGTERM)
    fleet.submit(older, _FIRST)
    fleet.submit(newer, _FIRST, model=_FIRST)
    fleet.submit(newer, _SECOND, model=_SECOND)
    rows = eventually(fleet.ended_rows, 300)
    assert {status for status, _ in rows} == {"succeeded"}
    numbers = [worker.partition("@")[0].removeprefix("w") for _, worker in rows]
    assert [fleet.served[number] for number in numbers] == list(fleet.asked.values())
    assert set(numbers) == set(fleet.served)
