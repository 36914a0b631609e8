"""Kills, freezes and cuts off parts of a running system, and checks what became of its jobs.

`python -m tests.chaos.monkey --jobs 10000` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.faults import Account, Fault, Monkey, print_account, submit
from tests.chaos.history import History, undelivered
from tests.chaos.stage import Size, Stage, staged
from tests.support.receivers import Receiver, receiving

#: Every so manieth job of the long form has a webhook.
_HOOKED = 20


def run(
    folder: Path,
    *,
    jobs: int,
    size: Size,
    deck: Callable[[Stage], list[Fault]],
    seed: int = 1,
    tokens: int = 64,
    submitters: int = 1,
    pause_s: tuple[float, float] = (0.8, 2.0),
    most: int | None = None,
    within_s: float = float("inf"),
    patience_s: float = 60,
) -> Account:
    """Submit jobs while a monkey is loose, let them all end, and return the account.

    `most` bounds the faults, and `within_s` ends submission: a slow machine gets done in the end.
    """
    account = Account(jobs)
    began = time.monotonic()
    with staged(folder, size, seed + 1) as stage, receiving() as receiver:
        history = History(stage.redis, account, 0.3 if jobs < 1000 else 2.0)
        history.start()
        monkey = Monkey(deck(stage), seed=seed, pause_s=pause_s, most=most)
        monkey.start()
        until = time.monotonic() + within_s
        hooks = _submit_all(stage, history, jobs, tokens, submitters, receiver, until)
        jobs = account.jobs = len(history.accepted)
        # the last part ends in peace, or a run could go on for ever
        history.wait(jobs * 2 // 3 if jobs < 1000 else jobs * 19 // 20, patience_s)
        monkey.stop()
        history.wait(jobs, patience_s)
        history.stop()
        late = undelivered(receiver, hooks, patience_s)
        account.violations += [f"webhook {path} never came" for path in late]
        history.look()
        history.check(receiver)
        account.faults = monkey.faults
    account.seconds = time.monotonic() - began
    return account


def _submit_all(
    stage: Stage,
    history: History,
    jobs: int,
    tokens: int,
    submitters: int,
    receiver: Receiver,
    until: float,
) -> list[str]:
    """Submit jobs, several at once, until the time is over; return the paths of their webhooks."""
    hooks = []

    def one(number: int) -> None:
        if time.monotonic() > until:
            return
        dice = random.Random(number)
        if submitters == 1:
            time.sleep(dice.uniform(0, 0.3))
        body: dict[str, Any] = {"prompt": f"question {number}", "max_new_tokens": tokens}
        if stage.couriers and number % _HOOKED == 0:
            body["webhook"] = f"{receiver.url}/hook/{number}"
            hooks.append(f"/hook/{number}")
        doors = dice.sample(stage.doors, len(stage.doors))
        history.accepted.append(submit(doors, body, f"k{number}", history.violations))

    with concurrent.futures.ThreadPoolExecutor(submitters) as pool:
        # the first failure ends the run
        for _ in pool.map(one, range(jobs)):
            pass
    return hooks


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--within", type=float, default=3600.0, help="seconds of submitting")
    parser.add_argument("--folder", help="where logs and data are kept; an empty one")
    asked = parser.parse_args()
    size = Size(workers=asked.workers, gateways=2, couriers=2, slots=8, token_s=0.03)
    with contextlib.ExitStack() as opened:
        folder = asked.folder or opened.enter_context(tempfile.TemporaryDirectory())
        account = run(
            Path(folder),
            jobs=asked.jobs,
            size=size,
            deck=Stage.everything,
            seed=asked.seed,
            tokens=8,
            submitters=8,
            pause_s=(2.0, 6.0),
            within_s=asked.within,
            patience_s=120,
        )
    print(f"seed {asked.seed}")
    return print_account(account)


if __name__ == "__main__":
    sys.exit(main())
