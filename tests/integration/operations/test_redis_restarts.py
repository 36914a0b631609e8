"""A Redis with the users that we ship, as each way of deploying starts it, and its restart."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

from scripts import redis_users, secrets
from tests.support.harness import QUICK, ROOT, RedisServer, eventually, running_system


def _from_compose() -> list[str]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return services["redis-queue"]["command"]


def _from_kubernetes() -> list[str]:
    text = (ROOT / "deploy" / "k8s" / "redis.yaml").read_text()
    queue = next(one for one in yaml.safe_load_all(text) if one["kind"] == "StatefulSet")
    return queue["spec"]["template"]["spec"]["containers"][0]["args"]


def _from_page() -> list[str]:
    page = (ROOT / "docs" / "how-to" / "secure-redis.md").read_text()
    line = re.search(r"^redis-server .+users\.acl.+$", page, re.MULTILINE)
    assert line is not None
    return [word for word in shlex.split(line.group()) if word != "…"]


class ShippedRedis(RedisServer):
    """A queue Redis that a deployment's own command starts, with the files of `make secrets`."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        secrets.write_secrets(folder / "secrets")
        super().__init__(folder, login=("probe", self.password("probe", folder)))
        # the value that ${NAME:-value} has without the variable, and the folder of the secrets
        plain = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in command]
        files = [re.sub(r"^\S+/(users\.acl)$", rf"{folder}/secrets/\1", word) for word in plain]
        self._command = [*files, "--port", str(self.port), "--bind", "127.0.0.1"]

    def start(self) -> ShippedRedis:
        self.launch()
        eventually(self._answers)
        return self

    def launch(self, *options: str) -> None:
        """Start it without waiting for its data."""
        command = [*self._command, "--dir", str(self._folder), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def loads(self) -> bool:
        """Tell whether it is still loading; it may not even listen yet."""
        login = {"username": "probe", "password": self.password("probe")}
        with redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), **login) as client:
            try:
                return not client.ping()
            except redis.ConnectionError:
                return True

    def password(self, user: str, folder: Path | None = None, suffix: str = "") -> str:
        file = (folder or self._folder) / "secrets" / f"redis-{user}-password{suffix}"
        return file.read_text()

    def url_of(self, user: str) -> str:
        return f"redis://{user}:{self.password(user)}@127.0.0.1:{self.port}/0"

    def operator(self, suffix: str = "") -> redis.Redis:
        password = self.password("operator", suffix=suffix)
        return redis.Redis(port=self.port, username="operator", password=password)


LOOPBACK = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8"}


def _needs_redis_7(server: RedisServer) -> None:
    program = shutil.which("redis-server")
    version = subprocess.run([program or "", "--version"], capture_output=True, check=False).stdout
    if program is None or int(re.search(rb"v=(\d+)", version).group(1)) < 7:
        pytest.skip("users that may only read need Redis 7")


@pytest.fixture(params=[_from_compose, _from_kubernetes, _from_page])
def shipped(request, tmp_path):
    server = ShippedRedis(tmp_path, request.param())
    _needs_redis_7(server)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def composed(tmp_path):
    server = ShippedRedis(tmp_path, _from_compose())
    _needs_redis_7(server)
    server.start()
    yield server
    server.stop()


_READ = {
    b"string": lambda client, key: client.get(key),
    b"hash": lambda client, key: client.hgetall(key),
    b"list": lambda client, key: client.lrange(key, 0, -1),
    b"set": lambda client, key: client.smembers(key),
    b"zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    b"stream": lambda client, key: client.xrange(key),
}


def _read_all(server: ShippedRedis) -> dict[bytes, object]:
    with server.operator() as client:
        keys = sorted(client.scan_iter("sl*", count=1000))
        # what ends by itself within seconds may end between two looks
        kept = [key for key in keys if client.ttl(key) not in range(30)]
        return {key: _READ[client.type(key)](client, key) for key in kept}


def test_a_restarted_redis_still_has_jobs_sessions_webhooks_and_keys(shipped, tmp_path):
    with running_system(shipped.url_of("gateway"), tmp_path, **LOOPBACK) as system:
        system.worker(SIGHTLINE_REDIS_URL=shipped.url_of("worker"))
        _, http = system.gateway()
        body = {"prompt": "hi", "max_new_tokens": 2, "session_id": "s"}
        body |= {"webhook": "http://127.0.0.1:8080/"}
        for _ in range(2):
            answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}).json()
            assert answer["status"] == "succeeded"
        command = [sys.executable, "-m", "gateway.admin", "keys", "create", "shop"]
        environ = system.env | {"SIGHTLINE_REDIS_URL": shipped.url_of("operator")}
        subprocess.run(command, env=environ, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    before = _read_all(shipped)
    kinds = {key.split(b":")[1] for key in before}
    assert kinds >= {b"job", b"session", b"delivery", b"secret", b"keys"}
    shipped.restart()
    assert _read_all(shipped) == before


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("PING", "NOAUTH"),
        ("GET sl:x", "NOAUTH"),
        ('AUTH ""', "WRONGPASS"),
        ('AUTH default ""', "WRONGPASS"),
        ("AUTH default default", "WRONGPASS"),
        ('HELLO 3 AUTH default ""', "WRONGPASS"),
    ],
)
def test_nobody_gets_in_as_the_default_user(composed, command, refusal):
    with socket.create_connection(("127.0.0.1", composed.port), timeout=60) as connection:
        connection.sendall(f"{command}\r\n".encode())
        assert connection.recv(200).startswith(f"-{refusal}".encode())


def _reload_users(server: ShippedRedis, suffix: str = "") -> None:
    with server.operator(suffix) as operator:
        operator.acl_load()


def _may_log_in(server: ShippedRedis, user: str, password: str) -> bool:
    with redis.Redis(port=server.port, username=user, password=password) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False


def test_passwords_are_changed_while_the_service_runs(composed, tmp_path):
    folder = tmp_path / "secrets"
    with running_system(composed.url_of("gateway"), tmp_path, **QUICK) as system:
        # it keeps the old passwords until it is started again, and has to connect with them
        system.worker(SIGHTLINE_REDIS_URL=composed.url_of("worker"))
        _, http = system.gateway()
        redis_users.rotate_passwords(folder, redis_users.RULES)
        changed = secrets.write_secrets(folder)
        assert {name for name in changed if name.startswith("worker")} == {
            "worker-queue-url",
            "worker-cache-url",
        }
        _reload_users(composed, suffix="-old")
        composed.restart()
        body = {"prompt": "hi", "max_new_tokens": 2}
        headers = {"Prefer": "wait=60", "Idempotency-Key": "after"}
        eventually(
            lambda: (
                http.post("/v1/jobs", json=body, headers=headers).json()["status"] == "succeeded"
            )
        )
        system.worker(SIGHTLINE_REDIS_URL=composed.url_of("worker"))
        system.gateway(SIGHTLINE_REDIS_URL=composed.url_of("gateway"))
    old = composed.password("gateway", suffix="-old")
    assert _may_log_in(composed, "gateway", old)
    redis_users.end_rotation(folder)
    secrets.write_secrets(folder)
    _reload_users(composed)
    assert not _may_log_in(composed, "gateway", old)
    assert _may_log_in(composed, "gateway", composed.password("gateway"))


def test_one_users_password_is_changed_alone(composed, tmp_path):
    folder = tmp_path / "secrets"
    kept = {file.name: file.read_text() for file in folder.iterdir()}
    redis_users.rotate_passwords(folder, ["flower"])
    with pytest.raises(ValueError, match="--end-rotation"):
        redis_users.rotate_passwords(folder, ["worker", "flower"])
    secrets.write_secrets(folder)
    _reload_users(composed)
    assert {name for name, text in kept.items() if (folder / name).read_text() != text} == {
        "redis-flower-password",
        "flower-queue-url",
        "flower-cache-url",
        "users.acl",
    }
    assert _may_log_in(composed, "flower", composed.password("flower"))


def test_a_url_that_names_a_server_of_ones_own_keeps_it_when_its_password_changes(tmp_path):
    secrets.write_secrets(tmp_path)
    file = tmp_path / "gateway-queue-url"
    file.write_text("rediss://gateway:before@redis.example:6380/2?ssl_cert_reqs=required")
    assert secrets.write_secrets(tmp_path) == ["gateway-queue-url"]
    password = (tmp_path / "redis-gateway-password").read_text()
    place = "redis.example:6380/2?ssl_cert_reqs=required"
    assert file.read_text() == f"rediss://gateway:{password}@{place}"


def _health_command() -> str:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    kind, command = services["redis-queue"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return command.replace("$$", "$")


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-tools")
def test_redis_is_healthy_only_once_it_has_loaded_its_data(composed, tmp_path):
    command = _health_command().replace("/run/secrets", str(tmp_path / "secrets"))
    command = command.replace("redis-cli ", f"redis-cli -p {composed.port} ")

    def healthy() -> bool:
        return (
            subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 0
        )

    assert healthy()
    with redis.Redis.from_url(composed.url_of("gateway")) as client:
        client.mset({f"sl:{number}": "x" for number in range(4000)})
    with composed.operator() as operator:
        operator.bgrewriteaof()
        eventually(lambda: operator.info("persistence")["aof_rewrite_in_progress"] == 0)
        eventually(lambda: operator.info("persistence")["aof_base_size"] > 10_000)
    composed.stop()
    # a server that takes a millisecond for each key
    composed.launch("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    seen = []
    eventually(lambda: seen.append((healthy(), composed.loads())) or seen[-1] == (True, False))
    assert (False, True) in seen
    assert (True, True) not in seen
