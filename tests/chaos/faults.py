"""Shared by the chaos runs: the loop of faults, the account of a run, a retrying submitter."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from tests.chaos.trail import SUBMIT_S
from tests.support.harness import Process, RedisServer

#: The name of a fault in the account, and the function that commits it.
Fault = tuple[str, Callable[[], None]]


@dataclasses.dataclass
class Account:
    """What a run did, and how its jobs or deliveries ended."""

    jobs: int
    seconds: float = 0.0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: How the jobs or deliveries ended.
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: Starts of jobs, or requests to receivers, beyond the first of each.
    repeated: int = 0
    #: Webhooks that arrived, and messages beyond the first of each.
    webhooks: int = 0
    repeated_webhooks: int = 0
    #: Ends of the streams that were read while it ran, by kind and end.
    streams: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: What its jobs have used, by day and by month.
    used: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    #: Broken guarantees, each a sentence.
    violations: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs in {self.seconds:.0f} s, faults {dict(self.faults)}, "
            f"ends {dict(self.ends)}, repeated {self.repeated}, "
            f"webhooks {self.webhooks} and {self.repeated_webhooks} again, "
            f"streams {dict(self.streams)}, used {self.used}, violations {len(self.violations)}"
        )


class Monkey(threading.Thread):
    """Commits one fault after another until it is stopped; the system recovers from each."""

    def __init__(
        self,
        deck: list[Fault],
        *,
        seed: int,
        pause_s: tuple[float, float],
        most: int | None = None,
    ) -> None:
        """Commit the whole deck in random order, again and again, up to `most` faults."""
        super().__init__(daemon=True)
        self._deck = deck
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._most = most
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self.faults: collections.Counter[str] = collections.Counter()

    def stop(self) -> None:
        """Stop after the current fault; raises the exception of a fault that failed."""
        self._stopped.set()
        self.join()
        if self._failure:
            raise self._failure

    def run(self) -> None:
        """Commit faults, with a pause before each."""
        hand: list[Fault] = []
        try:
            while not self._stopped.wait(self._random.uniform(*self._pause_s)):
                if self._most is not None and self.faults.total() >= self._most:
                    return
                # a whole round before the next one, so that every kind happens early
                hand = hand or self._random.sample(self._deck, len(self._deck))
                name, fault = hand.pop()
                self.faults[name] += 1
                fault()
        except BaseException as error:  # noqa: BLE001
            self._failure = error


class Team:
    """Processes of one kind; each one that is killed or ended is replaced at once."""

    def __init__(self, size: int, start: Callable[[bool], Process], dice: random.Random) -> None:
        """`start` starts a process; its argument says whether to wait until it is ready."""
        self._start = start
        self._random = dice
        self._members = [start(True) for _ in range(size)]

    def kill(self) -> None:
        """Kill one of them."""
        index = self._random.randrange(len(self._members))
        self._members[index].kill()
        self._members[index] = self._start(False)

    def signal_one(self, number: int) -> None:
        """Send one of them a signal that ends it."""
        index = self._random.randrange(len(self._members))
        self._members[index].signal(number)
        self._members[index] = self._start(False)

    def any(self) -> Process:
        """Return one of them."""
        return self._random.choice(self._members)


def redis_killer(
    redis: RedisServer, dice: random.Random, away_s: tuple[float, float]
) -> Callable[[], None]:
    """Return a fault that kills Redis and starts it again from its append-only file."""

    def kill() -> None:
        redis.kill()
        time.sleep(dice.uniform(*away_s))
        redis.start()

    return kill


def submit(
    clients: Sequence[httpx.Client], body: dict[str, Any], key: str, violations: list[str]
) -> str:
    """Submit with the same key until a gateway accepts, each in turn; return the job's id.

    Any refusal but 503 is a violation, and any doubt but one that is said so: a write whose answer
    was lost for longer than a gateway asks again is neither accepted nor refused, and the contract
    calls outcome_unknown; the caller repeats it with its key, and `History` checks that no
    job was stored twice or for nobody. Raises AssertionError if none accepts in time.
    """
    deadline = time.monotonic() + SUBMIT_S
    for http in itertools.cycle(clients):
        with contextlib.suppress(httpx.TransportError):
            answer = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
            # 200: an earlier attempt was accepted, and the job has ended
            if answer.status_code in (200, 202):
                return str(answer.json()["id"])
            if answer.status_code != 503 and not _says_its_doubt(answer):
                violations.append(f"{key}: {answer.status_code}: {answer.text}")
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    raise AssertionError(f"no submission was accepted for {SUBMIT_S:.0f} s")


def _says_its_doubt(answer: httpx.Response) -> bool:
    """Tell whether an answer says that the job may have been stored, and which one it would be."""
    if answer.status_code != 504:
        return False
    problem = answer.json()
    return problem["code"] == "outcome_unknown" and str(problem["job_id"]).startswith("job_")


def print_account(account: Account) -> int:
    """Print the account of a run; return the exit status."""
    print(account)
    for violation in account.violations:
        print(violation)
    return 1 if account.violations else 0
