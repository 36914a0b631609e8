"""Kills, freezes and cuts off parts of a running system, and checks that every job ends once.

`python -m tests.chaos.monkey --jobs 10000` runs the long form and prints its account.
"""

from __future__ import annotations

import argparse
import base64
import concurrent.futures
import contextlib
import dataclasses
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chaos.faults import Account, Fault, Monkey, print_account, submit
from tests.chaos.history import History, undelivered
from tests.chaos.listeners import Listeners
from tests.chaos.stage import Size, Stage, staged
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.images.image_bytes import screenshot
from tests.support.servers.receivers import Receiver, receiving

#: One job in this many has a webhook, in the long form.
_WEBHOOK_EVERY = 20
_LONG_IMAGE = base64.b64encode(screenshot(600, 4500)).decode()
#: One job in this many reads a long image, tile by tile, and one a document, page by page.
_LONG_EVERY = 15
_DOCUMENT_EVERY = 12
#: While so many accepted jobs have not ended, no more are submitted: in a queue that only grows,
#: jobs wait for as long as the run lasts, and few streams are read while their jobs are worked on.
_MOST_UNENDED = 150


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
    """Submit jobs under faults, wait until all have ended, and return the account.

    At most `most` faults are committed. Submission stops after `within_s` seconds, so that the run
    ends on a slow machine too.
    """
    account = Account(jobs)
    started = time.monotonic()
    with staged(folder, size, seed + 1) as stage, receiving() as receiver:
        history = History(stage.redis, account, 0.3 if jobs < 1000 else 2.0)
        history.start()
        monkey = Monkey(deck(stage), seed=seed, pause_s=pause_s, most=most)
        monkey.start()
        until = time.monotonic() + within_s
        listeners = Listeners(stage.clients, tokens, history.since_end_s)
        listeners.start(followers=8, chatters=2)
        submission = Submission(stage, history, listeners, receiver, tokens)
        hook_paths = submission.submit_all(jobs, submitters, until)
        jobs = account.jobs = len(history.accepted)
        # the last jobs end without faults, or a run might never end
        history.wait(jobs * 2 // 3 if jobs < 1000 else jobs * 19 // 20, patience_s)
        monkey.stop()
        history.wait(jobs, patience_s)
        listeners.stop()
        history.stop()
        late = undelivered(receiver, hook_paths, patience_s)
        account.violations += [f"webhook {path} never came" for path in late]
        history.look()
        history.check(receiver, listeners.heard, listeners.unended)
        account.streams = listeners.ends
        account.faults = monkey.faults
    account.seconds = time.monotonic() - started
    return account


@dataclasses.dataclass
class Submission:
    """Submits jobs of all kinds, and has some of them followed."""

    stage: Stage
    history: History
    listeners: Listeners
    receiver: Receiver
    tokens: int
    hook_paths: list[str] = dataclasses.field(default_factory=list)

    def submit_all(self, jobs: int, submitters: int, until: float) -> list[str]:
        """Submit jobs in parallel until the time is over; return the paths of their webhooks."""
        pause_s = 0.3 if submitters == 1 else 0.0
        with concurrent.futures.ThreadPoolExecutor(submitters) as pool:
            # the first failure ends the run
            for _ in pool.map(lambda number: self._submit_one(number, pause_s, until), range(jobs)):
                pass
        return self.hook_paths

    def _submit_one(self, number: int, pause_s: float, until: float) -> None:
        if time.monotonic() > until:
            return
        dice = random.Random(number)
        time.sleep(dice.uniform(0, pause_s))
        while self.history.unended >= _MOST_UNENDED and time.monotonic() < until:
            time.sleep(0.1)
        clients = dice.sample(self.stage.clients, len(self.stage.clients))
        job_id = submit(clients, self._body(number), f"k{number}", self.history.violations)
        self.history.accepted.append(job_id)
        self.listeners.offer(job_id)

    def _body(self, number: int) -> dict[str, Any]:
        body: dict[str, Any] = {"prompt": f"question {number}", "max_new_tokens": self.tokens}
        if number % _LONG_EVERY == 1:
            body |= {"preset": "ocr", "images": [_LONG_IMAGE], "postprocess": []}
        elif number % _DOCUMENT_EVERY == 5:
            document = as_base64(pages("tssbt"))
            body |= {"preset": "ocr", "document": document, "postprocess": []}
        if self.stage.couriers and number % _WEBHOOK_EVERY == 0:
            body["webhook"] = f"{self.receiver.url}/hook/{number}"
            self.hook_paths.append(f"/hook/{number}")
        return body


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--within", type=float, default=3600.0, help="seconds of submitting")
    parser.add_argument("--folder", help="where logs and data are kept; an empty one")
    arguments = parser.parse_args()
    size = Size(workers=arguments.workers, gateways=2, couriers=2, slots=8, token_s=0.03)
    with contextlib.ExitStack() as opened:
        folder = arguments.folder or opened.enter_context(tempfile.TemporaryDirectory())
        account = run(
            Path(folder),
            jobs=arguments.jobs,
            size=size,
            deck=Stage.everything,
            seed=arguments.seed,
            tokens=8,
            submitters=8,
            pause_s=(2.0, 6.0),
            within_s=arguments.within,
            patience_s=120,
        )
    print(f"seed {arguments.seed}")
    return print_account(account)


if __name__ == "__main__":
    sys.exit(main())
