"""The service with one Redis user for each kind of process, also over TLS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError

from scripts import redis_users
from shared.queue.broker import broker_address
from shared.settings import Settings
from shared.store.connection import connect
from tests.support.harness import (
    BIN,
    QUICK,
    ROOT,
    RedisServer,
    System,
    eventually,
    free_port,
    running_redis,
    running_system,
)

PASSWORDS = {name: f"word-of-{name}" for name in redis_users.RULES}


@pytest.fixture
def guarded(tmp_path):
    """A Redis with our users, and one more for the harness to look around."""
    file = tmp_path / "users.acl"
    file.write_text(redis_users.render_acl({name: [word] for name, word in PASSWORDS.items()}))
    with file.open("a") as lines:
        lines.write("user harness on >look ~* &* +@all\n")
    with running_redis(tmp_path, "--aclfile", str(file), login=("harness", "look")) as server:
        if int(server.client().info("server")["redis_version"].split(".")[0]) < 7:
            pytest.skip("users that may only read need Redis 7")
        yield server


def url(server: RedisServer, user: str) -> dict[str, str]:
    return {"SIGHTLINE_REDIS_URL": f"redis://{user}:{PASSWORDS[user]}@127.0.0.1:{server.port}/0"}


def admin(system: System, environ: dict[str, str], *arguments: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-m", "gateway.admin", "keys", *arguments],
        env=system.env | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.stdout if completed.returncode == 0 else "failed: " + completed.stderr


def up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthcheck", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def test_every_process_gets_along_with_a_user_of_its_own(guarded, tmp_path: Path):
    with running_system(guarded.url, tmp_path, **QUICK) as system:
        # slow enough to be met running
        system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0.3", **url(guarded, "worker"))
        _, http = system.gateway(**url(guarded, "gateway"))
        port = str(free_port())
        command = [str(BIN / "celery"), "-A", "shared.queue", "flower", "--address=127.0.0.1"]
        command += ["--basic_auth=me:word", f"--port={port}"]
        system.spawn(command, "flower", url(guarded, "flower"))
        assert "failed" in admin(system, url(guarded, "gateway"), "create", "shop")
        refused = {(entry["username"], entry["object"]) for entry in guarded.client().acl_log()}
        # keys of API keys, which only the operator writes
        assert ("gateway", "slk:names") in refused
        assert all(user == "gateway" and key.startswith("slk:") for user, key in refused)
        guarded.client().acl_log_reset()
        secret = admin(system, url(guarded, "operator"), "create", "shop", "--weight", "2").strip()
        key = {"Authorization": f"Bearer {secret}", "Prefer": "wait=60"}
        body = {"prompt": "hi", "max_new_tokens": 2, "session_id": "s"}
        for _ in range(2):
            answer = http.post("/v1/jobs", json=body, headers=key)
            assert answer.json()["status"] == "succeeded"
        denied = guarded.client().acl_log()
        guarded.restart()
        listed = eventually(lambda: http.get("/v1/jobs", headers=key).json().get("data"))
        assert [job["status"] for job in listed] == ["succeeded"] * 2
        with redis.Redis.from_url(url(guarded, "watcher")["SIGHTLINE_REDIS_URL"]) as watcher:
            eventually(lambda: watcher.scard("_kombu.binding.celeryev") > 0)
            slow = {"prompt": "hi", "max_new_tokens": 64}
            address = f"http://127.0.0.1:{port}"
            eventually(lambda: up(address))
            job = http.post("/v1/jobs", json=slow, headers=key | {"Prefer": "wait=0"}).json()["id"]
            abort = httpx.post(f"{address}/api/task/abort/{job}", auth=("me", "word"), timeout=60)
            assert abort.status_code == 200
            job_path = f"/v1/jobs/{job}"
            eventually(lambda: http.get(job_path, headers=key).json()["status"] == "canceled")
            denied += guarded.client().acl_log()
            assert not denied
            with pytest.raises(NoPermissionError):
                watcher.hgetall("sl:job:x")
        with redis.Redis.from_url(url(guarded, "worker")["SIGHTLINE_REDIS_URL"]) as worker:
            for forbidden in (worker.flushall, worker.client_list, lambda: worker.get("slk:keys")):
                with pytest.raises(NoPermissionError):
                    forbidden()


def test_every_process_speaks_tls_when_the_url_says_so(tmp_path: Path):
    port = free_port()
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make += ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(make, cwd=tmp_path, capture_output=True, check=True)
    # it asks for a certificate of every client too
    options = ["--tls-port", str(port), "--tls-auth-clients", "yes"]
    for name, file in (("cert", "cert"), ("key", "key"), ("ca-cert", "cert")):
        options += [f"--tls-{name}-file", str(tmp_path / f"{file}.pem")]
    own = f"ssl_certfile={tmp_path}/cert.pem&ssl_keyfile={tmp_path}/key.pem"
    safe = f"rediss://127.0.0.1:{port}/0?{own}"
    known = f"{safe}&ssl_ca_certs={tmp_path}/cert.pem"
    with running_redis(tmp_path, *options) as server, running_system(known, tmp_path) as system:
        system.worker()
        _, http = system.gateway()
        body = {"prompt": "hi", "max_new_tokens": 2}
        answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
        assert answer.json()["status"] == "succeeded"
        assert server.client().info("clients")["connected_clients"] > 3
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            connect(Settings(redis_url=safe)).ping()
        with (
            Connection(**_celery_of(safe)) as doorbells,
            pytest.raises(OperationalError) as refused,
        ):
            doorbells.ensure_connection(max_retries=1)
        assert "certificate verify failed" in str(refused.value)


def _celery_of(url: str) -> dict[str, Any]:
    address = broker_address(url)
    return {"hostname": address["broker_url"], "ssl": address["broker_use_ssl"]}
