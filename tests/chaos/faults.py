"""What the chaos runs share: a loop of faults, an account of a run, and a careful submitter."""

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

from tests.support.harness import Process, RedisServer

#: How long a submission is tried.
_SUBMIT_S = 60.0

#: Something that goes wrong, by the name it has in the account.
Fault = tuple[str, Callable[[], None]]


@dataclasses.dataclass
class Account:
    """What a run did and what became of it."""

    jobs: int
    seconds: float = 0.0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: How the jobs or deliveries ended.
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    #: Starts of jobs, or requests to receivers, beyond the first of each.
    repeated: int = 0
    #: Webhooks that came, and messages beyond the first of each.
    webhooks: int = 0
    repeated_webhooks: int = 0
    #: What must never be: each a sentence.
    violations: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.jobs} jobs in {self.seconds:.0f} s, faults {dict(self.faults)}, "
            f"ends {dict(self.ends)}, repeated {self.repeated}, "
            f"webhooks {self.webhooks} and {self.repeated_webhooks} again, "
            f"violations {len(self.violations)}"
        )


class Monkey(threading.Thread):
    """Commits one fault after another until it is stopped; every fault mends itself."""

    def __init__(
        self,
        deck: list[Fault],
        *,
        seed: int,
        pause_s: tuple[float, float],
        most: int | None = None,
    ) -> None:
        """Deal the whole deck in random order, again and again, up to `most` faults in all."""
        super().__init__(daemon=True)
        self._deck = deck
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._most = most
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self.faults: collections.Counter[str] = collections.Counter()

    def stop(self) -> None:
        """End it after the fault under way; raises what went wrong with the faults themselves."""
        self._stopped.set()
        self.join()
        if self._failure:
            raise self._failure

    def run(self) -> None:
        hand: list[Fault] = []
        try:
            while not self._stopped.wait(self._random.uniform(*self._pause_s)):
                if self._most is not None and self.faults.total() >= self._most:
                    return
                # a whole round before the next one, so that every kind comes in time
                hand = hand or self._random.sample(self._deck, len(self._deck))
                name, fault = hand.pop()
                self.faults[name] += 1
                fault()
        except BaseException as error:  # noqa: BLE001
            self._failure = error


class Team:
    """Processes of one kind that can be killed; another takes the place of a dead one."""

    def __init__(self, size: int, start: Callable[[bool], Process], dice: random.Random) -> None:
        """`start` is told whether to wait until the new process is ready."""
        self._start = start
        self._random = dice
        self._members = [start(True) for _ in range(size)]

    def kill(self) -> None:
        index = self._random.randrange(len(self._members))
        self._members[index].kill()
        self._members[index] = self._start(False)

    def signal_one(self, number: int) -> None:
        """Tell one to end by itself; it is replaced at once."""
        index = self._random.randrange(len(self._members))
        self._members[index].signal(number)
        self._members[index] = self._start(False)

    def any(self) -> Process:
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
    doors: Sequence[httpx.Client], body: dict[str, Any], key: str, violations: list[str]
) -> str:
    """Submit as a careful client does: again, with the same key, until the answer is known.

    One gateway is asked after the other. Any refusal but 503 is a violation.
    """
    deadline = time.monotonic() + _SUBMIT_S
    for http in itertools.cycle(doors):
        with contextlib.suppress(httpx.TransportError):
            answer = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
            # 200: it was accepted before, and has ended
            if answer.status_code in (200, 202):
                return str(answer.json()["id"])
            if answer.status_code != 503:
                violations.append(f"{key}: {answer.status_code}: {answer.text}")
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    raise AssertionError(f"no submission was accepted for {_SUBMIT_S:.0f} s")


def print_account(account: Account) -> int:
    """Print the account of a run; return the exit status."""
    print(account)
    for violation in account.violations:
        print(violation)
    return 1 if account.violations else 0
