"""What jobs still ask of the workers: of running ones, of waiting ones, and of tiles that are held.

`docs/development/prediction.md` explains how it becomes seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

#: Share of its expected steps that an answer is taken to have left, however long it is already.
_LEAST_LEFT = 0.2


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job asks of the worker that runs it."""

    #: Seconds that no other job's overlap: what happens outside the engine, images, the prompt.
    serial_s: float = 0.0
    #: Steps that write its answer; running answers share each of them.
    steps: float = 0.0
    #: Of a long job: how many tiles are done apart. Its own seconds and steps come after them.
    parts: int = 0
    part_serial_s: float = 0.0
    part_steps: float = 0.0

    @property
    def part(self) -> Demand:
        """Return what one of its tiles asks."""
        return Demand(self.part_serial_s, self.part_steps)

    @property
    def merge(self) -> Demand:
        """Return what is left of it once its tiles are done."""
        return replace(self, parts=0, part_serial_s=0.0, part_steps=0.0)

    def busy_s(self, shared_step_s: float) -> float:
        """Return the seconds of a full worker that it uses up, at so many for a step."""
        serial_s = self.serial_s + self.parts * self.part_serial_s
        return serial_s + (self.steps + self.parts * self.part_steps) * shared_step_s

    def dump(self) -> str:
        """Return the form that a row keeps: milliseconds and steps, as a JSON list."""
        return json.dumps(
            [
                round(1000 * self.serial_s, 1),
                round(self.steps, 1),
                self.parts,
                round(1000 * self.part_serial_s, 1),
                round(self.part_steps, 1),
            ]
        )

    @classmethod
    def parse(cls, text: str) -> Demand | None:
        """Return a row's demand; None of a row of an older version."""
        if not text:
            return None
        serial_ms, steps, parts, part_ms, part_steps = json.loads(text)
        return cls(serial_ms / 1000, steps, int(parts), part_ms / 1000, part_steps)

    def after(self, serial_done: float, steps_done: float) -> Demand:
        """Return what is left after a share of its serial seconds and a number of its steps."""
        left = max(self.steps - steps_done, _LEAST_LEFT * self.steps)
        return Demand(self.serial_s * (1 - min(1.0, serial_done)), left)


def average_demand(demands: list[Demand]) -> Demand:
    """Return the mean of demands that have the same number of parts, at least one."""
    count = len(demands)
    return Demand(
        sum(one.serial_s for one in demands) / count,
        sum(one.steps for one in demands) / count,
        demands[0].parts,
        sum(one.part_serial_s for one in demands) / count,
        sum(one.part_steps for one in demands) / count,
    )


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker holds."""

    #: Predicted seconds of a full worker, in all; 0 while unknown.
    busy_s: float
    #: Since it started.
    elapsed_s: float = 0.0
    #: What is left of it; None if nothing was predicted.
    left: Demand | None = None
    #: Id of its worker; "" while unknown.
    worker: str = ""
    #: It is a tile of a long job.
    tile: bool = False


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job in the queue."""

    demand: Demand | None = None
    #: It is a tile of a long job.
    tile: bool = False


@dataclass(frozen=True, slots=True)
class HeldParts:
    """The tiles of one long job that are not queued yet."""

    count: int
    part: Demand
