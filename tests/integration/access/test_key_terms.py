"""What a key may do, how long what it leaves is kept, what it has used, and who is told of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from shared.store import keys
from tests.integration.access.keyed_service import KeyedService, keyed_service
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png
from tests.support.servers.receivers import receiving


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def service(tmp_path_factory, audit_log):
    folder = tmp_path_factory.mktemp("terms")
    outward = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
    with keyed_service(folder, SIGHTLINE_AUDIT_LOG=str(audit_log), **outward) as service:
        service.system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0")
        service.system.courier()
        yield service


def answered(service: KeyedService, key: dict[str, str], **body: object) -> str:
    """Return the id of a job that has succeeded."""
    http, body = service.gateways[0], {"prompt": "what is it", **body}
    job = http.post("/v1/jobs", json=body, headers=key).json()["id"]
    eventually(lambda: http.get(f"/v1/jobs/{job}", headers=key).json()["status"] == "succeeded", 60)
    return job


def ended_batch(service: KeyedService, key: dict[str, str]) -> str:
    """Return the id of a batch of one line that has ended."""
    http, url = service.gateways[0], "/v1/chat/completions"
    body = {"model": "simulated", "messages": [{"role": "user", "content": "hi"}]}
    line = {"custom_id": "a", "method": "POST", "url": url, "body": body | {"max_tokens": 1}}
    form = {"file": ("in.jsonl", json.dumps(line).encode()), "purpose": (None, "batch")}
    file = http.post("/v1/files", files=form, headers=key).json()["id"]
    asked = {"input_file_id": file, "endpoint": url, "completion_window": "24h"}
    batch = http.post("/v1/batches", json=asked, headers=key).json()["id"]
    path = f"/v1/batches/{batch}"
    eventually(lambda: http.get(path, headers=key).json()["status"] == "completed", 60)
    return batch


def test_a_key_does_what_its_scopes_say(service):
    http = service.gateways[0]
    submit = service.key("scanner", "--scope", "submit")
    read = service.key("viewer", "--scope", "read")
    admin = service.key("boss", "--scope", "admin")
    usual = service.key("usual")
    job = {"prompt": "hi"}
    made = http.post("/v1/jobs", json=job, headers=submit)
    assert made.status_code == 202
    path = f"/v1/jobs/{made.json()['id']}"
    expected = {
        "scanner": (202, 403, 403, 200, 403, 403),
        "viewer": (403, 200, 403, 200, 403, 403),
        "boss": (202, 200, 404, 200, 200, 404),
        "usual": (202, 200, 404, 200, 403, 404),
    }
    named = {"scanner": submit, "viewer": read, "boss": admin, "usual": usual}
    for name, key in named.items():
        answers = (
            http.post("/v1/jobs", json=job, headers=key),
            http.get("/v1/jobs", headers=key),
            http.delete(path[:-4] + "0000", headers=key),
            http.get("/v1/limits", headers=key),
            http.get("/v1/usage?key=all", headers=key),
            http.post(path + "/review", json={"confirmed": ["/text"]}, headers=key),
        )
        assert tuple(one.status_code for one in answers) == expected[name], name
        refused = [one.json() for one in answers if one.status_code == 403]
        assert all(
            one["code"] == "insufficient_scope" and "scope" in one["hint"] for one in refused
        )
    assert http.get(path, headers=submit).status_code == 403
    assert http.post(f"{path}/cancel", headers=submit).status_code in (200, 202, 409)
    rotated = http.post("/v1/webhooks/secret/rotate", headers=submit)
    assert (rotated.status_code, rotated.json()["code"]) == (403, "insufficient_scope")
    assert http.get("/v1/limits", headers=read).json()["key"]["scopes"] == ["read"]
    # held answers belong to the request that asked for them
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    assert http.post("/v1/chat/completions", json=chat, headers=submit).status_code == 200
    assert http.post("/v1/chat/completions", json=chat, headers=read).status_code == 403
    # whoever has the secret signs in the name of the key
    secret = {"scanner": 403, "viewer": 403, "boss": 200, "usual": 200}
    for name, key in named.items():
        assert http.get("/v1/webhooks/secret", headers=key).status_code == secret[name], name
    # names of conversations and groups can be guessed: what was said there is for readers
    body = {"prompt": "hi", "max_new_tokens": 1, "session_id": "desk", "group": "g"}
    asked = {"model": "simulated", "input": "hi"}
    for key, status in ((submit, 403), (usual, 200)):
        wait = key | {"Prefer": "wait=60"}
        assert http.post("/v1/jobs", json=body, headers=wait).status_code == 200
        assert http.post("/v1/jobs", json=body, headers=wait).status_code == status
        response = http.post("/v1/responses", json=asked, headers=key).json()["id"]
        next_one = asked | {"previous_response_id": response}
        answer = http.post("/v1/responses", json=next_one, headers=key)
        assert answer.status_code == status, answer.text
        for action in ("cancel", "retry"):
            assert http.post(f"/v1/groups/g/{action}", headers=key).status_code == status
    service.admin("set", "viewer", "--scope", "read", "--scope", "submit")
    assert http.post("/v1/jobs", json=job, headers=read).status_code == 202
    assert "may read and submit" in service.admin("list").stdout


def test_what_a_key_leaves_is_gone_when_its_time_is_over(service):
    http = service.gateways[0]
    short, usual = service.key("short", "--retention", "60s"), service.key("long")
    assert http.get("/v1/limits", headers=short).json()["key"]["retention_s"] == 60
    redis, most_ms = service.redis.client(), 61_000
    for key, is_short in ((short, True), (usual, False)):
        tenant = next(
            one["id"]
            for one in json.loads(service.admin("list", "--json").stdout)
            if one["name"] == ("short" if is_short else "long")
        )
        png = plain_png("red" if is_short else "blue", 50, 50)
        image = http.post("/v1/images", files={"image": png}, headers=key).json()["id"]
        job = answered(service, key, images=[image], session_id="talk")
        batch_file = {"file": ("a.jsonl", b"{}"), "purpose": (None, "user_data")}
        file = http.post("/v1/files", files=batch_file, headers=key)
        assert file.status_code == 200, file.text
        batch = http.get(f"/v1/batches/{ended_batch(service, key)}", headers=key).json()
        output = keys.file(tenant, batch["output_file_id"])
        kept = {
            "batch": redis.pttl(keys.batch(tenant, batch["id"])),
            "results": max(redis.pttl(output), redis.pttl(output + keys.FILE_PIECES)),
            "job": redis.pttl(keys.job(job)),
            "events": redis.pttl(keys.events(job)),
            "turns": redis.pttl(keys.session(tenant, "talk") + keys.SESSION_TURNS),
            "session": redis.pttl(keys.session(tenant, "talk")),
            "file": redis.pttl(keys.file(tenant, file.json()["id"])),
        }
        assert all(0 < ms <= most_ms for ms in kept.values()) == is_short, kept
        assert all(ms > 0 for ms in kept.values()), kept
        image_ms = redis.pttl(keys.image(tenant, image))
        # an image lives as long as a question about it may come
        assert (0 < image_ms <= 2 * most_ms) == is_short, image_ms
    # waiting is not cut short: only what has ended is kept for less
    later = http.post("/v1/jobs", json={"prompt": "hi", "ttl_s": 3600}, headers=short).json()
    row = redis.hgetall(keys.job(later["id"]))
    assert int(row["expire_ms"]) - int(row["created_ms"]) == 3_600_000
    assert int(row["ttl_ms"]) == 60_000
    for text in ("59s", "1", "soon"):
        service.admin("set", "short", "--retention", text, code=2)
    service.admin("set", "short", "--retention", "default")
    assert http.get("/v1/limits", headers=short).json()["key"]["retention_s"] is None


def test_usage_is_summed_up_for_each_key(service):
    http = service.gateways[0]
    heavy, admin = service.key("heavy"), service.key("auditor", "--scope", "admin")
    png = plain_png("green", 64, 64)
    image = http.post("/v1/images", files={"image": png}, headers=heavy).json()["id"]
    jobs = [answered(service, heavy, images=[image], max_new_tokens=5) for _ in range(3)]
    rows = [http.get(f"/v1/jobs/{job}", headers=heavy).json() for job in jobs]
    report = http.get("/v1/usage", headers=heavy).json()
    total = report["total"]
    assert (total["jobs"], total["succeeded"], total["images"]) == (3, 3, 3)
    for name in ("prompt_tokens", "completion_tokens", "image_tokens"):
        assert total[name] == sum(row["usage"][name] for row in rows), name
    assert {row["key"] for row in report["data"]} == {"heavy"}
    assert sum(row["jobs"] for row in report["data"]) == 3
    by_month = http.get("/v1/usage?by=month", headers=heavy).json()
    assert by_month["total"] == total
    assert by_month["data"][-1]["period"] == report["to"][:7]
    others = http.get("/v1/usage?key=heavy", headers=admin).json()
    assert others["total"] == total
    everybody = http.get("/v1/usage?key=all&by=month", headers=admin).json()
    assert {"heavy", "first"} & {row["key"] for row in everybody["data"]} == {"heavy"}
    for query, code in {
        "key=nobody": 404,
        "from=2026-02-30": 422,
        "from=2026-03-01&to=2026-02-01": 422,
        "from=2020-01-01": 422,
        "by=year": 422,
    }.items():
        answer = http.get(f"/v1/usage?{query}", headers=admin)
        assert answer.status_code == code, answer.text
    printed = service.admin("heavy", "--csv", area="usage").stdout
    (row,) = csv.DictReader(io.StringIO(printed))
    assert (row["key"], row["jobs"], row["image_tokens"]) == (
        "heavy",
        "3",
        str(total["image_tokens"]),
    )
    assert "heavy" in service.admin("--by", "month", area="usage").stdout
    service.admin("nobody", area="usage", code=1)


def test_the_audit_log_says_who_did_what_without_content(service, audit_log):
    http, key = service.gateways[0], service.key("watched")
    secret = key["Authorization"].split()[1]
    words = "a very private question"
    job = answered(service, key, prompt=words)
    http.get(f"/v1/jobs/{job}?private=1", headers=key)
    http.delete(f"/v1/jobs/{job}", headers=key)
    http.get("/v1/jobs", headers={"X-API-Key": "slk_wrong"})
    http.get("/v1/limits", headers=key)
    service.admin("rotate", "watched", "--overlap", "1h")
    service.admin("revoke", "watched")
    text = audit_log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    mine = [line for line in lines if line["key"] == "watched"]
    events = [line["event"] for line in mine]
    assert events[:2] == ["key.create", "submitted"]
    assert events[-3:] == ["erased", "key.rotate", "key.revoke"]
    assert set(events[2:-3]) == {"read"}
    submitted, erased = mine[1], mine[-3]
    assert (submitted["made"], erased["job_id"], erased["status"]) == (job, job, 204)
    assert submitted["address"] == "127.0.0.1"
    assert submitted["request_id"].startswith("req_")
    refused = [line for line in lines if line["event"] == "refused" and line["status"] == 401]
    assert [line["key"] for line in refused[-1:]] == [None]
    assert not [line for line in mine if line.get("route") == "/v1/limits"]
    maker = service.key("maker")
    form = {"file": ("a.txt", words.encode()), "purpose": (None, "user_data")}
    made = [
        http.post("/v1/files", files=form, headers=maker),
        http.post("/v1/images", files={"image": plain_png("red", 9, 9)}, headers=maker),
        http.post("/v1/responses", json={"model": "simulated", "input": words}, headers=maker),
        http.post("/v1/conversations", json={}, headers=maker),
    ]
    talk = made[-1].json()["id"]
    described = {"metadata": {"about": words}}
    http.post(f"/v1/conversations/{talk}", json=described, headers=maker)
    http.put("/process", content=plain_png("red", 9, 9), headers=maker)
    text = audit_log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    said = [(one["event"], one.get("made")) for one in lines if one["key"] == "maker"][1:]
    ids = [one.json()["id"].replace("resp_", "job_") for one in made]
    assert said[:5] == [*(("submitted", name) for name in ids), ("changed", None)]
    assert said[5][0] == "submitted"
    assert said[5][1].startswith("job_")
    for private in (words, secret, "private=1", "slk_"):
        assert private not in text


def test_a_budget_is_told_and_then_refuses_work_until_the_next_month(service):
    http = service.gateways[0]
    with receiving() as receiver:
        terms = ("--budget-jobs", "5", "--budget-webhook", receiver.url)
        key = service.key("thrifty", *terms)
        secret = http.post("/v1/webhooks/secret/rotate", headers=key).json()["secret"]
        for _ in range(5):
            answered(service, key, max_new_tokens=1)
        refused = http.post("/v1/jobs", json={"prompt": "hi"}, headers=key)
        assert (refused.status_code, refused.json()["code"]) == (402, "budget_spent")
        assert "Retry-After" not in refused.headers
        chat = {"messages": [{"role": "user", "content": "hi"}]}
        assert http.post("/v1/chat/completions", json=chat, headers=key).status_code == 402
        messages = eventually(
            lambda: receiver.requests if len(receiver.requests) == 2 else None, 60
        )
        bodies = [Webhook(secret).verify(one.body, one.headers) for one in messages]
        assert [body["type"] for body in bodies] == ["budget.reached"] * 2
        shares = sorted((body["data"]["percent"], body["data"]["used"]) for body in bodies)
        assert shares == [(80, 4), (100, 5)]
        assert (
            bodies[0]["data"] | {"object": "budget", "budget": "jobs", "limit": 5}
            == bodies[0]["data"]
        )
    (budget,) = http.get("/v1/usage", headers=key).json()["budgets"]
    assert (budget["budget"], budget["limit"], budget["used"]) == ("jobs", 5, 5)
    # reading goes on, and another key's work too
    assert http.get("/v1/jobs", headers=key).status_code == 200
    service.admin("set", "thrifty", "--budget-jobs", "default", "--budget-tokens", "1")
    refused = http.post("/v1/jobs", json={"prompt": "hi"}, headers=key).json()
    assert refused["detail"] == "This key has used all tokens of its budget for this month."
    assert "in a month 1 tokens" in service.admin("list").stdout
    service.admin("set", "thrifty", "--budget-tokens", "default", "--budget-webhook", "none")
    answered(service, key)
    assert http.get("/v1/usage", headers=key).json()["budgets"] == []
    for wrong in (("--budget-jobs", "-1"), ("--budget-pages", "many")):
        service.admin("set", "thrifty", *wrong, code=2)
    service.admin("set", "thrifty", "--budget-webhook", "ftp://a.example", code=1)


def test_a_budget_counts_jobs_that_have_not_ended(service):
    key = service.key("burst", "--budget-jobs", "3")
    statuses = [one.status_code for one in service.at_once(8, key)]
    assert sorted(statuses) == [202] * 3 + [402] * 5
