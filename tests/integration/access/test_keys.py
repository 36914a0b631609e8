"""API keys and their limits, across two real gateways."""

from __future__ import annotations

import itertools

import httpx
import pytest

from tests.integration.access.keyed_service import KeyedService, keyed_service
from tests.support.harness import eventually, running_redis, running_system
from tests.support.images.image_bytes import plain_png


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with keyed_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def codes(answers: list[httpx.Response]) -> dict[int, int]:
    statuses = [answer.status_code for answer in answers]
    return {code: statuses.count(code) for code in sorted(set(statuses))}


def test_the_first_key_closes_the_door_to_everybody_else(service):
    for http in service.gateways:
        answer = http.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        for path in ("/healthz", "/openapi.json", "/docs/errors"):
            assert http.get(path).status_code == 200
    for headers in (
        {"Authorization": "Bearer slk_guess"},
        {"Authorization": "Basic eDp5"},
        {"X-API-Key": "anonymous"},
        {"Authorization": "Bearer \xff\xfe"},
    ):
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        assert service.gateways[0].post("/predict", headers=raw).status_code == 401


def test_both_headers_carry_a_key(service):
    key = service.key("both")
    secret = key["Authorization"].split()[1]
    for headers in (key, {"X-API-Key": secret}, {"Authorization": f"bearer  {secret}"}):
        assert service.gateways[0].get("/v1/jobs", headers=headers).status_code == 200


def test_what_belongs_to_one_key_is_unknown_to_another(service):
    http, mine, other = service.gateways[0], service.key("mine"), service.key("other")
    png = plain_png("red", 40, 40)
    image = http.post("/v1/images", files={"image": png}, headers=mine).json()["id"]
    body = {"prompt": "hi", "images": [image], "session_id": "talk", "webhook": "https://a.invalid"}
    job = http.post("/v1/jobs", json=body, headers=mine).json()["id"]
    http.post(f"/v1/jobs/{job}/cancel", headers=mine)
    ledger = http.get(f"/v1/jobs/{job}/deliveries", headers=mine).json()["data"]
    paths = [
        ("GET", f"/v1/jobs/{job}"),
        ("GET", f"/v1/jobs/{job}/events"),
        ("GET", f"/v1/jobs/{job}/result"),
        ("GET", f"/v1/jobs/{job}/deliveries"),
        ("POST", f"/v1/jobs/{job}/cancel"),
        ("POST", f"/v1/jobs/{job}/retry"),
        ("GET", f"/v1/jobs?after={job}"),
        ("GET", f"/v1/images/{image}"),
        ("GET", "/v1/sessions/talk"),
        ("GET", f"/v1/deliveries/{ledger[0]['id']}"),
        ("POST", f"/v1/deliveries/{ledger[0]['id']}/replay"),
        ("DELETE", f"/v1/jobs/{job}"),
        ("DELETE", f"/v1/images/{image}"),
        ("DELETE", "/v1/sessions/talk"),
    ]
    never = {job: job[:-6] + "000000", image: "img_" + "0" * 64, "talk": "walk"}
    never[ledger[0]["id"]] = ledger[0]["id"].replace(job[4:], never[job][4:])
    for method, path in paths:
        foreign = http.request(method, path, headers=other)
        unknown_path = path
        for known, unknown in never.items():
            unknown_path = unknown_path.replace(known, unknown)
        unknown = http.request(method, unknown_path, headers=other)
        assert foreign.status_code == unknown.status_code == 404, path
        problems = [
            answer.json() | {"instance": "", "request_id": ""} for answer in (foreign, unknown)
        ]
        assert problems[0] == problems[1]
    for path in ("/v1/jobs", "/v1/sessions", "/v1/webhooks/endpoints"):
        assert http.get(path, headers=other).json()["data"] == []
    secrets = {
        http.get("/v1/webhooks/secret", headers=headers).json()["secret"]
        for headers in (mine, other)
    }
    assert len(secrets) == 2
    assert http.get(f"/v1/jobs/{job}", headers=mine).status_code == 200


def test_two_secrets_open_the_door_until_the_first_one_has_run_out(service):
    old = service.key("turning")
    new = service.headers(service.admin("rotate", "turning").stdout)
    for headers in (old, new):
        assert service.gateways[0].get("/v1/jobs", headers=headers).status_code == 200
    newest = service.headers(service.admin("rotate", "turning", "--overlap", "0s").stdout)
    statuses = [
        http.get("/v1/jobs", headers=headers).status_code
        for http in service.gateways
        for headers in (old, new, newest)
    ]
    assert statuses == [401, 401, 200] * 2


def test_a_revoked_key_ends_at_once_at_every_gateway(service):
    key = service.key("leaving")
    assert [http.get("/v1/jobs", headers=key).status_code for http in service.gateways] == [
        200,
        200,
    ]
    service.admin("revoke", "leaving")
    assert [http.get("/v1/jobs", headers=key).status_code for http in service.gateways] == [
        401,
        401,
    ]
    assert "revoked" in service.admin("list").stdout
    service.key("leaving")


def test_whoever_revokes_the_last_key_is_shown_the_way_back(tmp_path):
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path) as system:
        service = KeyedService(redis, system, [], [])
        service.key("first")
        service.key("second")
        assert "last key" not in service.admin("revoke", "first").stderr
        assert "keys create NAME" in service.admin("revoke", "second").stderr


def test_a_name_is_taken_once_and_an_unknown_one_is_named(service):
    service.admin("create", "twice")
    assert "already" in service.admin("create", "twice", code=1).stderr
    assert "no key nobody" in service.admin("revoke", "nobody", code=1).stderr
    service.admin("create", "two words", code=1)
    service.admin("set", "twice", "--in-flight", "-3", code=2)


def test_fifty_clients_at_once_get_exactly_their_requests(service):
    names = (f"rate{number}" for number in itertools.count())

    def try_new_key():
        key = service.key(name := next(names), "--requests-per-minute", "20")
        answers = service.burst(50, key)
        return answers and (name, key, answers)

    name, key, answers = eventually(try_new_key, 180)
    # a new minute may begin meanwhile, but what was used before still counts
    assert codes(answers) == {202: 20, 429: 30}
    for answer in answers:
        assert answer.headers["RateLimit-Policy"] == '"requests";q=20;w=60'
        assert answer.headers["RateLimit-Limit"] == "20"
        if answer.status_code == 429:
            assert answer.json()["code"] == "rate_limited"
            assert 1 <= int(answer.headers["Retry-After"]) <= 120
            assert '"requests";r=0;t=' in answer.headers["RateLimit"]
    left = {answer.headers["RateLimit-Remaining"] for answer in answers[:]}
    assert left == {str(n) for n in range(20)}
    job = next(answer.json()["id"] for answer in answers if answer.status_code == 202)
    http = service.gateways[0]
    assert http.get(f"/v1/jobs/{job}", headers=key).status_code == 200, "reading is free"
    assert http.post(f"/v1/jobs/{job}/cancel", headers=key).status_code == 200
    service.admin("set", name, "--requests-per-minute", "21")
    assert http.post("/v1/jobs", json={"prompt": "hi"}, headers=key).status_code == 202


@pytest.mark.parametrize(
    ("option", "code"), [("--in-flight", "too_many_in_flight"), ("--queued", "too_many_queued")]
)
def test_fifty_clients_at_once_get_exactly_their_places(service, option, code):
    key = service.key(f"places{option}", option, "7")
    answers = service.at_once(50, key)
    assert codes(answers) == {202: 7, 429: 43}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["code"] for answer in refused} == {code}
    assert all("Retry-After" in answer.headers for answer in refused)
    jobs = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    http = service.gateways[1]
    http.post(f"/v1/jobs/{jobs[0]}/cancel", headers=key)
    http.delete(f"/v1/jobs/{jobs[1]}", headers=key)
    assert codes(service.at_once(5, key)) == {202: 2, 429: 3}


def test_visual_tokens_are_charged_exactly_and_once(service):
    http, names = service.gateways[0], (f"tokens{number}" for number in itertools.count())
    png = plain_png("red", 320, 320)

    def try_new_key():
        key = service.key(name := next(names), "--tokens-per-minute", "1000")
        image = http.post("/v1/images", files={"image": png}, headers=key).json()
        many = 1000 // image["tokens"]
        assert 3 <= many < 30
        fields = {"images": [image["id"]]}
        for _ in range(3):
            repeated = key | {"Idempotency-Key": "one"}
            again = http.post("/v1/jobs", json={"prompt": "hi", **fields}, headers=repeated)
            assert again.status_code == 202
        answers = service.burst(many + 5, key, **fields)
        return answers and (name, key, image, many, answers)

    name, key, image, many, answers = eventually(try_new_key, 180)
    assert codes(answers) == {202: many - 1, 429: 6}
    assert f'"tokens";r={1000 - many * image["tokens"]};t=' in min(
        answer.headers["RateLimit"] for answer in answers if answer.status_code == 429
    )
    service.admin("set", name, "--tokens-per-minute", "10")
    body = {"prompt": "hi", "images": [image["id"]]}
    answer = http.post("/v1/jobs", json=body, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_too_long")


def test_a_hundred_posts_with_one_idempotency_key_are_one_job(service):
    key = service.key("again")
    answers = service.at_once(100, key | {"Idempotency-Key": "order-42"})
    assert codes(answers) == {202: 100}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert (replayed.count("true"), replayed.count(None)) == (99, 1)
    other = service.gateways[0].post(
        "/v1/jobs",
        json={"prompt": "else"},
        headers=key | {"Idempotency-Key": "order-42"},
    )
    assert other.json()["code"] == "idempotency_key_reused"


def test_limits_tell_who_asks_what_it_may(service):
    key = service.key("asking", "--in-flight", "5", "--requests-per-minute", "9")
    service.gateways[0].post("/v1/jobs", json={"prompt": "hi"}, headers=key)
    key_limits = service.gateways[1].get("/v1/limits", headers=key).json()["key"]
    assert key_limits["name"] == "asking"
    assert key_limits["limits"] == {
        "requests_per_minute": {"limit": 9, "used": 1},
        "tokens_per_minute": {"limit": None, "used": 0},
        "in_flight": {"limit": 5, "used": 1},
        "queued": {"limit": None, "used": 1},
        "reads_per_minute": {"limit": 3000, "used": 1},
    }


def test_lists_have_a_limit_and_following_a_job_has_none(service):
    key = service.key("reader", "--reads-per-minute", "5")
    http = service.gateways[0]
    job = http.post("/v1/jobs", json={"prompt": "hi"}, headers=key).json()["id"]
    answers = [service.gateways[n % 2].get("/v1/jobs", headers=key) for n in range(8)]
    # a new minute may begin meanwhile, but what was used before still counts
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert answers[4].headers["RateLimit-Policy"] == '"reads";q=5;w=60'
    assert answers[4].headers["RateLimit"].startswith('"reads";r=0;t=')
    assert answers[4].headers["RateLimit-Remaining"] == "0"
    assert answers[7].json()["code"] == "rate_limited"
    assert 1 <= int(answers[7].headers["Retry-After"]) <= 120
    for _ in range(20):
        assert http.get(f"/v1/jobs/{job}", headers=key).status_code == 200
    assert http.get(f"/v1/jobs/{job}/result", headers=key).status_code == 202
    assert http.get("/v1/sessions", headers=key).status_code == 429
    assert http.post(f"/v1/jobs/{job}/cancel", headers=key).status_code == 200
    with http.stream("GET", f"/v1/jobs/{job}/events", headers=key) as events:
        assert events.status_code == 200
    assert http.post("/v1/jobs", json={"prompt": "hi"}, headers=key).status_code == 202


def test_places_come_back_when_a_worker_with_jobs_dies(service):
    key = service.key("mortal", "--in-flight", "3")
    for job in service.at_once(3, key, max_new_tokens=3):
        assert job.status_code == 202
    first = service.system.worker(SIGHTLINE_SIMULATED_TOKEN_S="30")
    first.kill()
    service.system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0.01")
    http = service.gateways[0]
    for job in http.get("/v1/jobs", headers=key).json()["data"]:
        ended = http.get(f"/v1/jobs/{job['id']}?wait=60", headers=key).json()
        while ended["status"] in ("queued", "running"):
            ended = http.get(f"/v1/jobs/{job['id']}?wait=60", headers=key).json()
        assert ended["status"] == "succeeded"
    usage = http.get("/v1/limits", headers=key).json()["key"]["limits"]
    assert (usage["in_flight"]["used"], usage["queued"]["used"]) == (0, 0)


def test_no_log_and_nothing_that_redis_keeps_contains_a_secret(service):
    files = [path.read_bytes() for path in service.system.folder.rglob("*") if path.is_file()]
    assert any(b"request.finished" in content for content in files)
    assert any(b"slk:secret:" in content for content in files)
    for secret in service.secrets:
        assert len(secret) > 40
        assert not any(secret.encode() in content for content in files)
