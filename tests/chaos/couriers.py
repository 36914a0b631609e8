"""Kills couriers and Redis under a receiver that flaps, and checks what was delivered.

`python -m tests.chaos.couriers --jobs 500` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import datetime as dt
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook as Verifier

from tests.harness import QUICK, Process, RedisServer, System, running_redis, running_system
from tests.receivers import Receiver, Request, receiving

_HASTY = {
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_MAX_ATTEMPTS": "20",
    "SIGHTLINE_WEBHOOK_TIMEOUT_S": "1",
    "SIGHTLINE_WEBHOOK_GRACE_S": "0.5",
    "SIGHTLINE_WEBHOOK_SCHEDULE_S": json.dumps([0] + [0.2] * 60),
    "SIGHTLINE_WEBHOOK_BREAKER_S": "0.3",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.01",
}
#: Every so manieth job's receiver answers 410.
_GONE_EVERY = 10


@dataclasses.dataclass
class Account:
    """What a run did and what became of the deliveries."""

    jobs: int
    seconds: float = 0.0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    requests: int = 0
    #: What must never be: each a sentence.
    violations: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs in {self.seconds:.0f} s, faults {dict(self.faults)}, "
            f"ends {dict(self.ends)}, requests {self.requests}, "
            f"violations {len(self.violations)}"
        )


class Monkey(threading.Thread):
    """Kills a courier or Redis, again and again; each is started again."""

    def __init__(self, redis: RedisServer, system: System, seed: int) -> None:
        super().__init__(daemon=True)
        self._redis = redis
        self._system = system
        self._random = random.Random(seed)
        system.worker(slots=8)
        self._couriers = [system.courier(), system.courier()]
        self._stopped = threading.Event()
        self.faults: collections.Counter[str] = collections.Counter()
        self.failure: BaseException | None = None

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self) -> None:
        deck: list[str] = []
        try:
            while not self._stopped.wait(self._random.uniform(1.5, 3.0)):
                deck = deck or self._random.sample(["courier", "courier", "redis"], 3)
                fault = deck.pop()
                self.faults[f"kill_{fault}"] += 1
                self._kill(fault)
        except BaseException as error:  # noqa: BLE001
            # raised again where the run is stopped
            self.failure = error

    def _kill(self, what: str) -> None:
        if what == "courier":
            index = self._random.randrange(len(self._couriers))
            self._couriers[index].kill()
            self._couriers[index] = self._new_courier()
        else:
            self._redis.kill()
            time.sleep(self._random.uniform(0.1, 1.0))
            self._redis.start()

    def _new_courier(self) -> Process:
        command = [sys.executable, "-m", "worker.courier"]
        return self._system.spawn(command, f"again{sum(self.faults.values())}", {})


class Flapping:
    """A receiver that fails, hangs and breaks off; some of its URLs are gone for ever."""

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
    """Let jobs end while a monkey is loose, and return the account of their deliveries."""
    account = Account(jobs)
    began = time.monotonic()
    flapping = Flapping(seed)
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK | _HASTY) as system,
        receiving(flapping) as receiver,
    ):
        _, http = system.gateway()
        secret = http.post("/v1/webhooks/secret/rotate").json()["secret"]
        monkey = Monkey(redis, system, seed)
        monkey.start()
        dice = random.Random(seed)
        ids = [_submit(http, receiver, number, dice) for number in range(jobs)]
        deadline = time.monotonic() + patience_s
        # the last third ends in peace, or a run could go on for ever
        _ended(http, ids, len(ids) * 2 // 3, deadline)
        monkey.stop()
        flapping.calm = True
        ledgers = _ended(http, ids, len(ids), deadline)
        # what was still on its way would be seen now
        time.sleep(2)
        account.faults = monkey.faults
    _check(ids, ledgers, receiver, Verifier(secret), account)
    account.requests = len(receiver.requests)
    account.seconds = time.monotonic() - began
    return account


def _submit(http: httpx.Client, receiver: Receiver, number: int, dice: random.Random) -> str:
    time.sleep(dice.uniform(0, 0.25))
    kind = "gone" if number % _GONE_EVERY == 0 else "hook"
    body = {
        "prompt": f"question {number}",
        "max_new_tokens": 4,
        "webhook": f"{receiver.url}/{kind}/{number}",
    }
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            answer = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": f"k{number}"})
            if answer.status_code == 202:
                return str(answer.json()["id"])
            if answer.status_code != 503:
                raise AssertionError(f"{answer.status_code}: {answer.text}")
        time.sleep(0.2)
    raise AssertionError("no submission was accepted for 40 s")


def _ended(
    http: httpx.Client, ids: list[str], most: int, deadline: float
) -> dict[str, list[dict[str, Any]]]:
    ledgers: dict[str, list[dict[str, Any]]] = {}
    while len(ledgers) < most and time.monotonic() < deadline:
        for job_id in ids:
            if job_id not in ledgers:
                # while Redis is away, the answer is a problem
                data = http.get(f"/v1/jobs/{job_id}/deliveries").json().get("data")
                if data and all(one["status"] != "pending" for one in data):
                    ledgers[job_id] = data
        time.sleep(0.3)
    return ledgers


def _check(
    ids: list[str],
    ledgers: dict[str, list[dict[str, Any]]],
    receiver: Receiver,
    verifier: Verifier,
    account: Account,
) -> None:
    by_path: dict[str, list[Request]] = collections.defaultdict(list)
    for request in receiver.requests:
        by_path[request.path].append(request)
    for number, job_id in enumerate(ids):
        kind = "gone" if number % _GONE_EVERY == 0 else "hook"
        got = by_path[f"/{kind}/{number}"]
        if job_id not in ledgers:
            account.violations.append(f"{job_id}: not ended")
            continue
        if len(ledgers[job_id]) != 1:
            account.violations.append(f"{job_id}: {len(ledgers[job_id])} deliveries")
        (delivery, *_) = ledgers[job_id]
        account.ends[delivery["reason"] or delivery["status"]] += 1
        _check_one(job_id, kind, delivery, got, account)
        for request in got:
            told = verifier.verify(request.body, request.headers)
            if told["data"]["id"] != job_id:
                account.violations.append(f"{job_id}: told of {told['data']['id']}")


def _check_one(
    job_id: str, kind: str, delivery: dict[str, Any], got: list[Request], account: Account
) -> None:
    wanted = "url_gone" if kind == "gone" else None
    if (delivery["reason"], delivery["status"] == "delivered") != (wanted, wanted is None):
        account.violations.append(f"{job_id}: {delivery['status']}, {delivery['reason']}")
    if {request.headers["webhook-id"] for request in got} != {delivery["id"]}:
        account.violations.append(f"{job_id}: its webhook-id changed or nothing came")
    if len({request.body for request in got}) != 1:
        account.violations.append(f"{job_id}: its body changed")
    ended = dt.datetime.fromisoformat(delivery["ended_at"]).timestamp()
    if any(request.at > ended + 0.01 for request in got):
        account.violations.append(f"{job_id}: sent again after its end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        account = run(Path(folder), jobs=arguments.jobs, seed=arguments.seed, patience_s=300)
    print(account)
    print("\n".join(account.violations))
    return 1 if account.violations else 0


if __name__ == "__main__":
    sys.exit(main())
