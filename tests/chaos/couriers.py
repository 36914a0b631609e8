"""Kills couriers, workers and Redis while webhooks go to an unreliable receiver; checks deliveries.

`python -m tests.chaos.couriers --jobs 500` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook as Verifier

from tests.chaos.faults import Account, Monkey, Team, print_account, redis_killer, submit
from tests.support.harness import QUICK, RedisServer, System, running_redis, running_system
from tests.support.servers.receivers import Receiver, Request, receiving

_FAST = {
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_MAX_ATTEMPTS": "20",
    "SIGHTLINE_WEBHOOK_TIMEOUT_S": "1",
    "SIGHTLINE_WEBHOOK_GRACE_S": "0.5",
    "SIGHTLINE_WEBHOOK_SCHEDULE_S": json.dumps([0] + [0.2] * 60),
    "SIGHTLINE_WEBHOOK_BREAKER_S": "0.3",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.01",
}
#: One job in this many has a receiver that responds with 410.
_GONE_EVERY = 10


class FlakyAnswers:
    """Answers of a receiver that fails, hangs and breaks off; URLs under /gone respond 410."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.calm = False

    def __call__(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        dice = 1.0 if self.calm else self._random.random()
        if dice < 0.05:
            time.sleep(1.5)
        if dice < 0.3:
            return 503, {}, b"not now"
        if request.path.startswith("/gone"):
            return 410, {}, b""
        return 200, {"Content-Length": "100"} if dice < 0.35 else {}, b"broken off"


def run(folder: Path, *, jobs: int, seed: int = 1, patience_s: float = 90) -> Account:
    """Submit jobs with webhooks under faults, and return the account of their deliveries."""
    account = Account(jobs)
    started = time.monotonic()
    answers = FlakyAnswers(seed)
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK | _FAST) as system,
        receiving(answers) as receiver,
    ):
        _, http = system.gateway()
        secret = http.post("/v1/webhooks/secret/rotate").json()["secret"]
        dice = random.Random(seed)
        monkey = _monkey(redis, system, seed)
        monkey.start()
        ids = []
        for number in range(jobs):
            time.sleep(dice.uniform(0, 0.25))
            ids.append(
                submit([http], _question(number, receiver), f"k{number}", account.violations)
            )
        deadline = time.monotonic() + patience_s
        # the last third ends without faults, or a run might never end
        _wait_for_ends(http, ids, len(ids) * 2 // 3, deadline)
        monkey.stop()
        answers.calm = True
        deliveries = _wait_for_ends(http, ids, len(ids), deadline)
        # requests that are still on their way arrive meanwhile
        time.sleep(2)
        account.faults = monkey.faults
    _check(ids, deliveries, receiver, Verifier(secret), account)
    account.repeated = len(receiver.requests) - jobs
    account.seconds = time.monotonic() - started
    return account


def _monkey(redis: RedisServer, system: System, seed: int) -> Monkey:
    dice = random.Random(seed + 1)
    workers = Team(2, lambda wait: system.worker(slots=8, wait=wait), dice)
    couriers = Team(2, lambda wait: system.courier(wait=wait), dice)
    deck = [
        ("kill_courier", couriers.kill),
        ("kill_courier", couriers.kill),
        ("kill_worker", workers.kill),
        ("kill_redis", redis_killer(redis, dice, (0.1, 1.0))),
    ]
    return Monkey(deck, seed=seed, pause_s=(1.5, 3.0))


def _question(number: int, receiver: Receiver) -> dict[str, Any]:
    return {
        "prompt": f"question {number}",
        "max_new_tokens": 4,
        "webhook": f"{receiver.url}/{_kind(number)}/{number}",
    }


def _kind(number: int) -> str:
    return "gone" if number % _GONE_EVERY == 0 else "hook"


def _wait_for_ends(
    http: httpx.Client, ids: list[str], count: int, deadline: float
) -> dict[str, list[dict[str, Any]]]:
    """Return the deliveries of each job, once those of `count` jobs have ended."""
    deliveries: dict[str, list[dict[str, Any]]] = {}
    while len(deliveries) < count and time.monotonic() < deadline:
        for job_id in ids:
            if job_id not in deliveries:
                # while Redis is down, the response is a problem without data
                data = http.get(f"/v1/jobs/{job_id}/deliveries").json().get("data")
                if data and all(delivery["status"] != "pending" for delivery in data):
                    deliveries[job_id] = data
        time.sleep(0.3)
    return deliveries


def _check(
    ids: list[str],
    deliveries: dict[str, list[dict[str, Any]]],
    receiver: Receiver,
    verifier: Verifier,
    account: Account,
) -> None:
    by_path: dict[str, list[Request]] = collections.defaultdict(list)
    for request in receiver.requests:
        by_path[request.path].append(request)
    for number, job_id in enumerate(ids):
        kind = _kind(number)
        requests = by_path[f"/{kind}/{number}"]
        if job_id not in deliveries:
            account.violations.append(f"{job_id}: not ended")
            continue
        if len(deliveries[job_id]) != 1:
            account.violations.append(f"{job_id}: {len(deliveries[job_id])} deliveries")
        (delivery, *_) = deliveries[job_id]
        account.ends[delivery["reason"] or delivery["status"]] += 1
        _check_one(job_id, kind, delivery, requests, account)
        for request in requests:
            sent_id = verifier.verify(request.body, request.headers)["data"]["id"]
            if sent_id != job_id:
                account.violations.append(f"{job_id}: got the message of {sent_id}")


def _check_one(
    job_id: str, kind: str, delivery: dict[str, Any], requests: list[Request], account: Account
) -> None:
    expected_reason = "url_gone" if kind == "gone" else None
    if (delivery["reason"], delivery["status"] == "delivered") != (
        expected_reason,
        expected_reason is None,
    ):
        account.violations.append(f"{job_id}: {delivery['status']}, {delivery['reason']}")
    if {request.headers["webhook-id"] for request in requests} != {delivery["id"]}:
        account.violations.append(f"{job_id}: its webhook-id changed or nothing came")
    if len({request.body for request in requests}) != 1:
        account.violations.append(f"{job_id}: its body changed")
    ended = dt.datetime.fromisoformat(delivery["ended_at"]).timestamp()
    if any(request.at > ended + 0.01 for request in requests):
        account.violations.append(f"{job_id}: sent again after its end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        account = run(Path(folder), jobs=arguments.jobs, seed=arguments.seed, patience_s=300)
    return print_account(account)


if __name__ == "__main__":
    sys.exit(main())
