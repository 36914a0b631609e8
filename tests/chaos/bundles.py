"""Kills processes and Redis while groups, deferred jobs and batches are worked on; all end once.

`python -m tests.chaos.bundles --groups 60 --batches 12` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime as dt
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Store, keys
from tests.chaos.faults import Account, Fault, Monkey, print_account, submit
from tests.chaos.stage import Size, Stage, staged
from tests.support.servers.receivers import Receiver, receiving

_TENANT = "anonymous"
_CHAT = "/v1/chat/completions"
#: Seconds within which something that is tried again must succeed.
_TRIED_S = 60.0
#: What a job of a group must wait for, by turns; `whole` has hours that are all of the day.
_DELAYS = ("none", "later", "whole")
_LATER_S = (2.0, 6.0)


@dataclass(frozen=True)
class Load:
    """How much is asked for."""

    groups: int = 4
    jobs_per_group: int = 8
    batches: int = 3
    lines_per_batch: int = 25


@dataclass
class Bundles:
    """Submits groups and batches through any gateway, and tries again until one accepts."""

    stage: Stage
    receiver: Receiver
    load: Load
    account: Account
    jobs: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))
    #: When a job may start, seconds since 1970, by its id.
    not_before: dict[str, float] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def submit_all(self) -> None:
        """Submit everything, a batch between groups."""
        rounds = itertools.zip_longest(range(self.load.groups), range(self.load.batches))
        for group, batch in rounds:
            if batch is not None:
                self._start_batch(batch)
            if group is not None:
                self._submit_group(f"group-{group}")

    def _submit_group(self, name: str) -> None:
        size = self.load.jobs_per_group
        body = {"size": size, "webhook": f"{self.receiver.url}/{name}"}
        self.call("PUT", f"/v1/groups/{name}", json=body)
        for number, delay in zip(range(size), itertools.cycle(_DELAYS), strict=False):
            job = {"prompt": f"{name} {number}", "group": name, "max_new_tokens": 4}
            at = time.time() + self.dice.uniform(*_LATER_S)
            if delay == "later":
                job["not_before"] = dt.datetime.fromtimestamp(at, dt.UTC).isoformat()
            if delay == "whole":
                job["window"] = "00:00-00:00 Europe/Berlin"
            job_id = submit(self.stage.clients, job, f"{name}-{number}", self.account.violations)
            self.jobs[name].append(job_id)
            if delay == "later":
                self.not_before[job_id] = at

    def _start_batch(self, number: int) -> None:
        lines = (self._line(number, at) for at in range(self.load.lines_per_batch))
        text = "\n".join(json.dumps(line) for line in lines)
        files = {"file": ("in.jsonl", text.encode())}
        file = self.call("POST", "/v1/files", files=files, data={"purpose": "batch"})
        # one whose answer was lost is made again: each that there is must be right
        self.call(
            "POST",
            "/v1/batches",
            json={
                "input_file_id": file["id"],
                "endpoint": _CHAT,
                "completion_window": "24h",
                "webhook": f"{self.receiver.url}/batch-{number}",
            },
        )

    @staticmethod
    def _line(batch: int, number: int) -> dict[str, Any]:
        messages = [{"role": "user", "content": f"batch {batch} line {number}"}]
        body = {"model": "sightline", "messages": messages, "max_tokens": 3}
        return {"custom_id": f"line-{number}", "method": "POST", "url": _CHAT, "body": body}

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the answer of the first gateway that gives one; others may be dead or cut off."""
        answer = self.try_until(lambda http: http.request(method, path, **options))
        body: dict[str, Any] = answer.json()
        return body

    def read(self, path: str) -> str:
        """Return the text under a path."""
        return self.try_until(lambda http: http.get(path)).text

    def try_until(self, ask: Callable[[httpx.Client], httpx.Response]) -> httpx.Response:
        """Ask each gateway in turn until one answers with success."""
        deadline = time.monotonic() + _TRIED_S
        latest: object = None
        for http in itertools.cycle(self.stage.clients):
            try:
                answer = ask(http)
            except httpx.TransportError as error:
                latest = error
            else:
                if answer.status_code < 300:
                    return answer
                if answer.status_code < 500:
                    self.account.violations.append(f"{answer.url}: {answer.text}")
                latest = answer.text
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        raise AssertionError(f"nobody answered for {_TRIED_S:.0f} s: {latest!r}")


@dataclass
class Verdict:
    """Looks at what has become of groups and batches, when nothing breaks any more."""

    bundles: Bundles

    @property
    def violations(self) -> list[str]:
        """The broken guarantees of the account."""
        return self.bundles.account.violations

    def wait(self, patience_s: float) -> None:
        """Wait until all groups and batches have ended and are told, or nothing goes on."""
        seen, changed = -1, time.monotonic()
        while time.monotonic() - changed < patience_s:
            done, whole = self._progress()
            if done == whole:
                return
            if done > seen:
                seen, changed = done, time.monotonic()
            time.sleep(0.3)

    def _progress(self) -> tuple[int, int]:
        """Return how many results and messages there are, and how many there are to be."""
        bundles, load = self.bundles, self.bundles.load
        done = 0
        for name in bundles.jobs:
            counts = bundles.call("GET", f"/v1/groups/{name}")["counts"]
            done += sum(counts[status] for status in JobStatus if status.terminal)
        batches = self._batches()
        done += sum(batch["request_counts"]["completed"] for batch in batches)
        done += sum(batch["status"] == "completed" for batch in batches)
        paths = {request.path for request in list(bundles.receiver.requests)}
        whole = load.groups * load.jobs_per_group + len(batches) * (load.lines_per_batch + 1)
        return done + len(paths), whole + load.groups + load.batches

    def _batches(self) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.bundles.call("GET", "/v1/batches?limit=100")["data"]
        return data

    def check(self) -> None:
        """Note every guarantee that is broken."""
        batches = self._batches()
        for name, ids in self.bundles.jobs.items():
            self._check_group(name, ids)
        for batch in batches:
            self._check_batch(batch)
        self._check_jobs(len(batches))
        self._check_messages(batches)

    def _check_group(self, name: str, ids: Sequence[str]) -> None:
        group = self.bundles.call("GET", f"/v1/groups/{name}")
        size = self.bundles.load.jobs_per_group
        counts = {status: count for status, count in group["counts"].items() if count}
        if group["status"] != "completed" or counts != {"total": size, "succeeded": size}:
            self.violations.append(f"{name}: {group['status']} with {counts}")
        if len(set(ids)) != size:
            self.violations.append(f"{name}: jobs {ids}")

    def _check_batch(self, batch: dict[str, Any]) -> None:
        lines = self.bundles.load.lines_per_batch
        counts = {"total": lines, "completed": lines, "failed": 0}
        if batch["status"] != "completed" or batch["request_counts"] != counts:
            self.violations.append(f"{batch['id']}: {batch}")
            return
        text = self.bundles.read(f"/v1/files/{batch['output_file_id']}/content")
        results = [json.loads(line) for line in text.splitlines()]
        names = collections.Counter(result["custom_id"] for result in results)
        if names != {f"line-{number}": 1 for number in range(lines)}:
            self.violations.append(f"{batch['id']}: results {names}")
        for result in results:
            body = result["response"]["body"]
            if result["error"] or not body["choices"][0]["message"]["content"]:
                self.violations.append(f"{batch['id']}: {result}")

    def _check_jobs(self, batches: int) -> None:
        """Check that there is one job for each line and each submission, which ended once."""
        load = self.bundles.load
        store = Store(Settings(redis_url=self.bundles.stage.redis.url))
        ids = store.redis.zrange(keys.tenant_jobs(_TENANT), 0, -1)
        wanted = load.groups * load.jobs_per_group + batches * load.lines_per_batch
        if len(ids) != wanted:
            self.violations.append(f"{len(ids)} jobs are stored and not {wanted}")
        for row in (store.get(job_id, _TENANT) for job_id in ids):
            self.bundles.account.ends[row.status.value] += 1
            self.bundles.account.repeated += max(0, row.attempt - 1)
            if row.status is not JobStatus.SUCCEEDED or row.commits != 1:
                self.violations.append(f"{row.id}: {row.status}, commits {row.commits}")
            at = self.bundles.not_before.get(row.id)
            if at is not None and (row.started_ms or 0) < 1000 * at - 1:
                self.violations.append(f"{row.id}: started {row.started_ms}, not after {at}")
        for name in (keys.DEFERRED, keys.QUEUED, keys.BATCHES_DUE, keys.GROUPS_OPEN):
            if store.redis.zcard(name):
                self.violations.append(f"{name} still holds {store.redis.zrange(name, 0, 5)}")
        store.redis.close()

    def _check_messages(self, batches: Sequence[dict[str, Any]]) -> None:
        """Check that each end was told under one id, of a batch made twice under two."""
        ids: dict[str, set[str]] = collections.defaultdict(set)
        for request in list(self.bundles.receiver.requests):
            ids[request.path].add(request.headers["webhook-id"])
        account, load = self.bundles.account, self.bundles.load
        account.webhooks = sum(map(len, ids.values()))
        account.repeated_webhooks = len(self.bundles.receiver.requests) - account.webhooks
        for number in range(load.groups):
            if len(ids[f"/group-{number}"]) != 1:
                self.violations.append(f"group {number}: messages {ids[f'/group-{number}']}")
        told_of = sum(len(ids[f"/batch-{number}"]) for number in range(load.batches))
        if told_of != len(batches):
            self.violations.append(f"{told_of} messages about {len(batches)} batches")


def run(
    folder: Path,
    load: Load,
    *,
    size: Size,
    deck: Callable[[Stage], list[Fault]],
    seed: int = 1,
    pause_s: tuple[float, float] = (0.8, 2.0),
    most: int | None = None,
    patience_s: float = 90,
) -> Account:
    """Submit groups and batches under faults, wait for their ends, and return the account."""
    account = Account(load.groups * load.jobs_per_group + load.batches * load.lines_per_batch)
    started = time.monotonic()
    with staged(folder, size, seed + 1) as stage, receiving() as receiver:
        bundles = Bundles(stage, receiver, load, account)
        with _breaking(stage, deck, account, seed=seed, pause_s=pause_s, most=most):
            bundles.submit_all()
            # the rest goes on under faults for as long as the deck lasts
            Verdict(bundles).wait(patience_s / 6)
        verdict = Verdict(bundles)
        verdict.wait(patience_s)
        verdict.check()
    account.seconds = time.monotonic() - started
    return account


@contextlib.contextmanager
def _breaking(
    stage: Stage,
    deck: Callable[[Stage], list[Fault]],
    account: Account,
    *,
    seed: int,
    pause_s: tuple[float, float],
    most: int | None,
) -> Iterator[None]:
    monkey = Monkey(deck(stage), seed=seed, pause_s=pause_s, most=most)
    monkey.start()
    try:
        yield
    finally:
        monkey.stop()
        account.faults = monkey.faults


def killing(stage: Stage) -> list[Fault]:
    """Return kills of all kinds of processes, workers and gateways most often."""
    couriers: list[Fault] = [("kill_courier", stage.couriers.kill)] if stage.couriers else []
    kills: list[Fault] = [("kill_gateway", stage.gateways.kill)] * 2
    return [*stage.processes(), *kills, *couriers]


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", help="where logs and data are kept; an empty one")
    arguments = parser.parse_args()
    size = Size(workers=arguments.workers, gateways=2, couriers=2, slots=8, token_s=0.03)
    load = Load(arguments.groups, 12, arguments.batches, arguments.lines)
    with contextlib.ExitStack() as opened:
        folder = arguments.folder or opened.enter_context(tempfile.TemporaryDirectory())
        account = run(
            Path(folder),
            load,
            size=size,
            deck=Stage.everything,
            seed=arguments.seed,
            pause_s=(2.0, 6.0),
            patience_s=180,
        )
    print(f"seed {arguments.seed}")
    return print_account(account)


if __name__ == "__main__":
    sys.exit(main())
