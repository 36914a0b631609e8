"""A service that asks for no key obeys its own page and programs, not the pages of others."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.support.harness import QUICK, ROOT, System, running_redis, running_system

ALLOWED = {
    "SIGHTLINE_PUBLIC_URL": "https://vlm.example/base",
    "SIGHTLINE_ALLOWED_HOSTS": "tower.local, VLM.lan",
}
OPEN = {"SIGHTLINE_HOST": "0.0.0.0", "SIGHTLINE_ALLOW_ANONYMOUS": "1"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("foreign")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        yield system


@pytest.fixture(scope="module")
def http(system: System) -> httpx.Client:
    return system.gateway(**ALLOWED)[1]


@pytest.fixture(scope="module")
def reachable(system: System) -> httpx.Client:
    """A gateway that other machines reach, without keys."""
    return system.gateway(**OPEN, **ALLOWED)[1]


def asked_as(http: httpx.Client, host: str, path: str = "/v1/jobs") -> httpx.Response:
    return http.get(path, headers={"Host": host})


OURS = ["127.0.0.1", "localhost:1234", "LOCALHOST", "[::1]:7860", "vlm.example", "vlm.lan:443"]
FOREIGN = [
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    "[::1",
    "a@b",
]


@pytest.mark.parametrize("host", OURS)
def test_a_service_without_keys_answers_under_its_names(http, host):
    assert asked_as(http, host).status_code == 200


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/webhooks/secret", "/v1/limits"])
@pytest.mark.parametrize("host", [*FOREIGN, "10.1.2.3"])
def test_a_page_that_gave_its_own_name_our_address_reads_nothing(http, host, path):
    answer = asked_as(http, host, path)
    assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed")
    assert "SIGHTLINE_ALLOWED_HOSTS" in answer.json()["hint"]


@pytest.mark.parametrize(("host", "status"), [("evil.example", b"421"), ("127.0.0.1", b"200")])
def test_the_host_of_a_request_line_counts_too(http, host, status):
    with socket.create_connection((http.base_url.host, http.base_url.port), 20) as connection:
        head = f"GET http://{host}/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close"
        connection.sendall(head.encode() + b"\r\n\r\n")
        assert connection.recv(100).split()[1] == status


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_probes_are_answered_under_any_name(http, path):
    assert asked_as(http, "10.42.0.7:7860", path).status_code == 200


@pytest.mark.parametrize("host", [*OURS, "192.168.1.5:7860", "[fd00::5]"])
def test_other_machines_may_use_an_address_or_a_listed_name(reachable, host):
    assert asked_as(reachable, host).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_other_machines_may_not_use_any_name(reachable, host):
    assert asked_as(reachable, host).status_code == 421


def pages(http: httpx.Client) -> dict[str, dict[str, str]]:
    """Return the headers that browsers add to a request of a foreign page."""
    return {
        "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        "another port": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        "localhost for 127.0.0.1": {"Origin": f"http://localhost:{http.base_url.port}"},
        "a sandboxed frame": {"Origin": "null"},
        "an extension": {"Origin": "chrome-extension://abc"},
        "without an origin": {"Sec-Fetch-Site": "cross-site"},
        "broken": {"Origin": "http://[::1"},
    }


CHANGES = [
    ("POST", "/v1/jobs"),
    ("POST", "/predict"),
    ("POST", "/v1/webhooks/secret/rotate"),
    ("POST", "/v1/chat/completions"),
    ("DELETE", "/v1/sessions/a"),
    # it is shown once only, so reading it takes it away
    ("GET", "/v1/webhooks/secret"),
]


@pytest.mark.parametrize("page", pages(httpx.Client(base_url="http://a:1")))
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_foreign_page_changes_nothing(http, method, path, page):
    answer = http.request(method, path, headers=pages(http)[page])
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert http.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "own", "Sec-Fetch-Site": "same-origin"},
        # a proxy in front that puts its own idea of the host into Host
        {"Origin": "https://vlm.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_programs_and_the_own_page_may_change_things(http, headers):
    own = f"http://127.0.0.1:{http.base_url.port}"
    sent = {name: own if value == "own" else value for name, value in headers.items()}
    answer = http.post("/v1/webhooks/secret/rotate", headers=sent)
    assert answer.status_code == 200


def test_a_refused_page_uses_up_none_of_the_limit(system):
    _, http = system.gateway(SIGHTLINE_LIMIT_REQUESTS_PER_MINUTE="3")
    for _ in range(5):
        refused = http.post("/v1/jobs", json={"prompt": "hi"}, headers={"Origin": "null"})
        assert refused.status_code == 403
    limits = http.get("/v1/limits").json()["key"]["limits"]
    assert limits["requests_per_minute"] == {"limit": 3, "used": 0}


def test_a_key_opens_the_service_to_every_page_and_name(tmp_path):
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path) as system:
        _, http = system.gateway()
        command = [sys.executable, "-m", "gateway.admin", "keys", "create", "site"]
        secret = subprocess.check_output(command, env=system.env, cwd=ROOT, text=True).strip()
        key = {"X-API-Key": secret}
        foreign = {"Host": "evil.example", "Origin": "https://evil.example"}
        assert http.post("/v1/webhooks/secret/rotate", headers=foreign | key).status_code == 200
        assert http.post("/v1/webhooks/secret/rotate", headers=foreign).status_code == 401
