"""Walk at random through the lives of jobs: `python -m tests.integration.store.walk --seeds 50`.

Each step does the same to the store and to a model; then both must say the same of every job, line,
list, image and conversation. The clock of Redis is steered, so that leases, deadlines and rows run
out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.integration.store.model.checks import Checks
from tests.integration.store.model.steps import CallerSteps, TimeSteps, WorkerSteps
from tests.support.harness import running_redis


class Walk(CallerSteps, WorkerSteps, TimeSteps, Checks):
    """One random way through a store and its model."""

    def run(self, steps: int, check_every: int) -> None:
        """Take so many steps, and compare all after each few; raises AssertionError."""
        weights = {
            self.add: 22,
            self.claim_next: 22,
            self.claim_one: 3,
            self.beat: 4,
            self.report: 5,
            self.finish: 16,
            self.split: 8,
            self.release: 4,
            self.cancel: 3,
            self.erase: 3,
            self.lose_lease: 4,
            self.reap: 5,
            self.reconcile: 1,
            self.tick: 4,
            self.sleep: 1,
            self.delete_session: 1,
            self.vanish: 1,
        }
        for number in range(steps):
            [step] = self.dice.choices(list(weights), list(weights.values()))
            self.done[step.__name__] += 1
            try:
                self.pass_near_moments()
                step()
                if number % check_every == 0 or number == steps - 1:
                    self.check()
            except Exception as error:
                error.add_note(f"in step {number}, {step.__name__}")
                raise


def walk(redis_url: str, seed: int, steps: int, check_every: int = 10) -> Counter[str]:
    """Take one walk and return how often each step was taken; raises AssertionError."""
    one = Walk(redis_url, seed)
    try:
        one.run(steps, check_every)
        one.clear()
    except Exception as error:
        error.add_note(f"seed {seed}: again with --seed {seed} --seeds 1 --steps {steps}")
        raise
    return one.done


def main() -> int:
    """Take walks from one seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=50, help="how many walks")
    parser.add_argument("--steps", type=int, default=2000, help="steps of each")
    parser.add_argument("--check-every", type=int, default=10, help="steps between two comparisons")
    options = parser.parse_args()
    started, done = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as server:
        for seed in range(options.seed, options.seed + options.seeds):
            done += walk(server.url, seed, options.steps, options.check_every)
            sys.stderr.write(f"seed {seed}: the store and the model agree\n")
    print(f"{done.total()} steps in {time.monotonic() - started:.0f} s: {dict(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
