"""Compares predictions with what happens, on a simulated clock.

`python -m bench.service.prediction_model` prints a table. The stages of the engine take known
seconds, so that what is off is the prediction's model of queue and workers, and not the machine.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.service.simulated_service import SimulatedJob, SimulatedService
from shared.prediction.cost_model import Work
from shared.prediction.curves import Curve, Speed

#: About what a checkpoint of two billion parameters takes on two cores, int8.
SPEED = Speed(
    prepare=Curve(0.03, 2e-5),
    encode=Curve(0.01, 2.0e-3, 3e-7),
    prefill=Curve(0.02, 2.6e-3),
    step=Curve(0.045, 0.006),
)
TILE_TOKENS, PROMPT_TOKENS, ANSWER = 1000, 30, 40
#: Answers spread about their mean by this factor.
SPREAD = 0.3
#: Jobs that run one after the other before any is counted.
LEARNING = 20
#: Headings of the table.
COLUMNS = (
    "took, median s",
    "predicted, median s",
    "median error",
    "within a factor of two",
    "most too long",
)


@dataclass(frozen=True)
class Scenario:
    """Jobs as they come to some workers."""

    name: str
    come: Callable[[SimulatedService, random.Random], None]
    workers: int = 1
    slots: int = 4
    learns: bool = True


def _answer(rng: random.Random, mean: float = ANSWER) -> int:
    return max(1, round(rng.lognormvariate(0, SPREAD) * mean))


def ask(tokens: int) -> Work:
    """Return the work of a question about an image of so many visual tokens."""
    return Work((tokens,), PROMPT_TOKENS)


def read(tiles: int) -> Work:
    """Return the work of reading an image of so many tiles."""
    return Work((TILE_TOKENS,) * tiles, tiles * PROMPT_TOKENS, parts=tiles, answers_apart=True)


def look(tiles: int) -> Work:
    """Return the work of a question about an image of so many tiles."""
    return Work((TILE_TOKENS,) * tiles, PROMPT_TOKENS, parts=tiles)


def _submit(service: SimulatedService, at_s: float, work: Work, rng: random.Random) -> None:
    answers = work.parts if work.answers_apart else 1
    tokens = sum(_answer(rng) for _ in range(answers))
    service.at(at_s, lambda: service.submit(work, tokens))


def one_by_one(service: SimulatedService, rng: random.Random) -> None:
    """Ask about images of any size, each after the answer to the one before."""
    for number in range(40):
        _submit(service, 1e4 + 60 * number, ask(rng.randint(50, 1200)), rng)


def bursts(service: SimulatedService, rng: random.Random) -> None:
    """Ask 12 equal questions at once, again and again."""
    for number in range(8):
        tokens = rng.randint(50, 1200)
        for one in range(12):
            _submit(service, 1e4 + 300 * number + 0.05 * one, ask(tokens), rng)


def mixed_bursts(service: SimulatedService, rng: random.Random) -> None:
    """Ask 12 questions at once about images of any size."""
    for number in range(8):
        for one in range(12):
            _submit(service, 1e4 + 300 * number + 0.05 * one, ask(rng.randint(50, 1200)), rng)


def long_queue(service: SimulatedService, rng: random.Random) -> None:
    """Ask 60 equal questions at once."""
    for one in range(60):
        _submit(service, 1e4 + 0.05 * one, ask(400), rng)


def steady(service: SimulatedService, rng: random.Random) -> None:
    """Ask about images of any size at random moments, near the workers' capacity."""
    at_s = 1e4
    for _ in range(120):
        at_s += rng.expovariate(1 / 4.0)
        _submit(service, at_s, ask(rng.randint(50, 1200)), rng)


def tiles_alone(service: SimulatedService, rng: random.Random) -> None:
    """Read or ask about long images, one after the other."""
    for number in range(20):
        work = rng.choice([read, look])(rng.randint(2, 12))
        _submit(service, 1e4 + 600 * number, work, rng)


def behind_tiles(service: SimulatedService, rng: random.Random) -> None:
    """Ask short questions while long images are read."""
    for number in range(10):
        at_s = 1e4 + 1200 * number
        for one in range(2):
            _submit(service, at_s + one, read(rng.randint(6, 20)), rng)
        for one in range(6):
            _submit(service, at_s + 3 + 2 * one, ask(rng.randint(50, 1200)), rng)


SCENARIOS = (
    Scenario("one by one", one_by_one),
    Scenario("just after the start", bursts, learns=False),
    Scenario("bursts of 12 equal ones", bursts),
    Scenario("bursts of 12 mixed ones", mixed_bursts),
    Scenario("60 equal ones at once", long_queue),
    Scenario("near capacity", steady),
    Scenario("one slot, bursts", mixed_bursts, slots=1),
    Scenario("two workers, bursts", mixed_bursts, workers=2),
    Scenario("two workers of eight slots, bursts", mixed_bursts, workers=2, slots=8),
    Scenario("long images, one by one", tiles_alone),
    Scenario("long images, two workers", tiles_alone, workers=2),
    Scenario("questions behind long images", behind_tiles),
    Scenario("the same, two workers", behind_tiles, workers=2),
)


def run(scenario: Scenario, seed: int = 1) -> list[SimulatedJob]:
    """Return the jobs of a scenario, all of them ended."""
    rng = random.Random(seed)
    service = SimulatedService(SPEED, workers=scenario.workers, slots=scenario.slots, seed=seed)
    learning = LEARNING if scenario.learns else 0
    for number in range(learning):
        _submit(service, 60.0 * number, ask(rng.randint(50, 1200)), rng)
    scenario.come(service, rng)
    service.run()
    return service.jobs[learning:]


@dataclass(frozen=True)
class Accuracy:
    """How predictions compare with what happened."""

    count: int
    took_s: float
    predicted_s: float
    median_error: float
    #: Share of the jobs that took between half and twice what was predicted.
    within_two: float
    #: The largest ratio of predicted to actual seconds.
    worst_over: float


def compare(jobs: Sequence[SimulatedJob]) -> Accuracy:
    """Compare the predictions of jobs that have ended with what they took."""
    took = [job.ended_s - job.came_s for job in jobs]
    predicted = [job.predicted_s or 0.0 for job in jobs]
    ratios = [p / t for p, t in zip(predicted, took, strict=True)]
    return Accuracy(
        count=len(jobs),
        took_s=statistics.median(took),
        predicted_s=statistics.median(predicted),
        median_error=statistics.median(abs(ratio - 1) for ratio in ratios),
        within_two=sum(0.5 <= ratio <= 2 for ratio in ratios) / len(ratios),
        worst_over=max(ratios),
    )


def row(name: str, accuracy: Accuracy) -> str:
    """Return one row of Markdown."""
    seconds = f"{accuracy.took_s:.1f} | {accuracy.predicted_s:.1f}"
    errors = f"{accuracy.median_error:.0%} | {accuracy.within_two:.0%} | {accuracy.worst_over:.2f}"
    return f"| {name} | {accuracy.count} | {seconds} | {errors} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    print(f"| jobs | count | {' | '.join(COLUMNS)} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for scenario in SCENARIOS:
        print(row(scenario.name, compare(run(scenario, seed))))


if __name__ == "__main__":
    main()
