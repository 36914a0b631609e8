"""When jobs will start and end: the workers are simulated, job by job.

A worker is what the engine is: images and prompts one after the other, answers in steps that all
of them share. `docs/development/prediction.md` explains it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.prediction.curves import Curve
from shared.prediction.workload import Demand, HeldParts, RunningJob, WaitingJob

#: Share of its time that a worker gives to images and prompts while answers are written too.
_SERIAL_SHARE = 0.8
#: A long job's tiles are simulated in at most so many pieces.
_MOST_PIECES = 64
#: Events after which a simulation gives up.
_MOST_EVENTS = 4000
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class WorkerPace:
    """What a simulation must know of one worker."""

    id: str
    slots: int
    #: Seconds of a step over the answers that share it.
    step: Curve
    #: How much slower it is than its curves with every slot taken.
    load_factor: float = 1.0


@dataclass(slots=True)
class JobTimes:
    """The seconds from now at which a job starts, has read its input, and ends."""

    start_s: float = math.inf
    input_s: float = math.inf
    end_s: float = math.inf


@dataclass(slots=True)
class _LongJob:
    """A long job after its split."""

    part: Demand
    #: Tiles that are not queued, and those that have not ended.
    held: int
    unfinished: int
    merge: _Task | None = None


@dataclass(slots=True)
class _Task:
    """A job, a tile or a merge: in the queue, or what is left of it in a worker."""

    serial_s: float
    steps: float
    #: Where its times are noted; None of a job that nobody asks about.
    times: JobTimes | None = None
    tile_of: _LongJob | None = None
    demand: Demand | None = None
    #: It gives way to others inside the engine.
    tile: bool = False

    @property
    def over(self) -> bool:
        return self.serial_s <= _TINY and self.steps <= _TINY


@dataclass(slots=True)
class _Pass:
    """What a worker does until its next event: one input is read, answers are written."""

    reading: _Task | None
    writing: list[_Task]
    serial_rate: float = 0.0
    step_rate: float = 0.0


@dataclass(slots=True)
class _Worker:
    """A worker, as of the moment at which something last changed in it."""

    pace: WorkerPace
    tasks: list[_Task] = field(default_factory=list)
    at_s: float = 0.0
    #: When its next task has read its input or ends.
    next_s: float = math.inf
    pass_on: _Pass = field(default_factory=lambda: _Pass(None, []))

    @property
    def free(self) -> int:
        return self.pace.slots - len(self.tasks)

    def add(self, task: _Task, now_s: float) -> None:
        """Start a task."""
        self._advance(now_s)
        self.tasks.append(task)
        self._look_ahead()

    def end_tasks(self, now_s: float) -> list[_Task]:
        """Let time pass until its next event; return the tasks that end then, which leave."""
        self._advance(now_s)
        ended = [task for task in self.tasks if task.over]
        self.tasks = [task for task in self.tasks if not task.over]
        self._look_ahead()
        return ended

    def _reading(self) -> _Task | None:
        """Return the task whose images and prompt are computed: tiles come last."""
        unread = [task for task in self.tasks if task.serial_s > _TINY]
        return min(unread, key=lambda task: task.tile, default=None)

    def _writing(self) -> list[_Task]:
        return [task for task in self.tasks if task.serial_s <= _TINY]

    def _rates(self, reading: _Task | None, writers: int) -> tuple[float, float]:
        """Return the serial seconds, and the steps, that it does in a second."""
        pace, others = self.pace, len(self.tasks) - 1
        fullness = others / (pace.slots - 1) if pace.slots > 1 else 1.0
        speed = 1 / (1 + (pace.load_factor - 1) * fullness)
        share = 0.0 if reading is None else _SERIAL_SHARE if writers else 1.0
        step_s = max(pace.step.at(writers), _TINY)
        return speed * share, speed * (1 - share) / step_s

    def _look_ahead(self) -> None:
        reading, writing = self._reading(), self._writing()
        serial_rate, step_rate = self._rates(reading, len(writing))
        self.pass_on = _Pass(reading, writing, serial_rate, step_rate)
        seconds = reading.serial_s / serial_rate if reading else math.inf
        if writing:
            seconds = min(seconds, min(task.steps for task in writing) / step_rate)
        self.next_s = self.at_s + seconds

    def _advance(self, now_s: float) -> None:
        seconds, self.at_s = now_s - self.at_s, now_s
        reading = self.pass_on.reading
        if reading:
            reading.serial_s = max(0.0, reading.serial_s - seconds * self.pass_on.serial_rate)
            if reading.serial_s <= _TINY and reading.times:
                reading.times.input_s = now_s
        steps = seconds * self.pass_on.step_rate
        for task in self.pass_on.writing:
            task.steps = max(0.0, task.steps - steps)


class Timetable:
    """Simulates running and waiting jobs; nothing that comes later is known to it."""

    def __init__(self, paces: Sequence[WorkerPace]) -> None:
        """`paces` are those of the workers that accept jobs, at least one."""
        self._workers = [_Worker(pace) for pace in paces]
        #: One slot of each worker is left to other jobs.
        self._room = max(1, sum(max(1, pace.slots - 1) for pace in paces))
        self._jobs: deque[_Task] = deque()
        self._tiles: deque[_Task] = deque()
        self._long: deque[_LongJob] = deque()
        self._tile_is_next = False
        #: Tiles that are queued or run.
        self._live_tiles = 0
        self._now_s = 0.0
        self._events = 0

    def add_running(self, jobs: Iterable[RunningJob], unknown: Demand) -> None:
        """Give workers the jobs that run; one of which nothing was predicted asks `unknown`."""
        by_id = {worker.pace.id: worker for worker in self._workers}
        for job in sorted(jobs, key=lambda job: -job.elapsed_s):
            left = job.left or unknown
            worker = by_id.get(job.worker) or max(self._workers, key=lambda one: one.free)
            task = _Task(left.serial_s, left.steps, tile=job.tile)
            if left.parts:
                # it is about to be split
                task = self._task_of(left, None)
            if not task.over:
                worker.add(task, 0.0)
                self._live_tiles += task.tile

    def add_held(self, held: Iterable[HeldParts]) -> None:
        """Hold the tiles of long jobs that were split."""
        for one in held:
            count, part = _in_pieces(one.count, one.part)
            if count:
                self._long.append(_LongJob(part, count, count))

    def add_waiting(self, job: WaitingJob, unknown: Demand) -> JobTimes:
        """Queue a job behind all others; return its times, which `run` fills in."""
        times = JobTimes()
        demand = job.demand or unknown
        if job.tile:
            self._tiles.append(_Task(demand.serial_s, demand.steps, times, tile=True))
            self._live_tiles += 1
        else:
            self._jobs.append(self._task_of(demand, times))
        return times

    def run(self, until: Sequence[JobTimes]) -> None:
        """Let time pass until these jobs have ended."""
        while self._events < _MOST_EVENTS and any(math.isinf(one.end_s) for one in until):
            self._events += 1
            self._start_tasks()
            worker = min(self._workers, key=lambda one: one.next_s)
            if math.isinf(worker.next_s):
                return
            self._now_s = worker.next_s
            for task in worker.end_tasks(self._now_s):
                self._end(task)

    @staticmethod
    def _task_of(demand: Demand, times: JobTimes | None) -> _Task:
        if not demand.parts:
            return _Task(max(demand.serial_s, 2 * _TINY), demand.steps, times)
        return _Task(2 * _TINY, 0.0, times, demand=demand)

    def _start_tasks(self) -> None:
        self._queue_tiles()
        if not (self._jobs or self._tiles):
            return
        while (worker := max(self._workers, key=lambda one: one.free)).free > 0:
            task = self._take()
            if task is None:
                return
            if task.times and math.isinf(task.times.start_s):
                task.times.start_s = self._now_s
            worker.add(task, self._now_s)

    def _queue_tiles(self) -> None:
        """Queue tiles of each long job in turn while there is room for them."""
        while self._long and self._live_tiles < self._room:
            job = self._long.popleft()
            job.held -= 1
            self._tiles.append(_Task(job.part.serial_s, job.part.steps, tile_of=job, tile=True))
            self._live_tiles += 1
            if job.held:
                self._long.append(job)

    def _take(self) -> _Task | None:
        """Return the next task: tiles and other jobs take turns."""
        tile_first = self._tiles and (self._tile_is_next or not self._jobs)
        line = self._tiles if tile_first else self._jobs
        self._tile_is_next = not tile_first
        return line.popleft() if line else None

    def _end(self, task: _Task) -> None:
        self._live_tiles -= task.tile
        if task.demand is not None:
            self._split(task.demand, task.times)
        elif task.times is not None:
            task.times.end_s = self._now_s
        job = task.tile_of
        if job is not None:
            job.unfinished -= 1
            if not job.unfinished and job.merge is not None:
                # it keeps its old place in the queue
                self._jobs.appendleft(job.merge)

    def _split(self, demand: Demand, times: JobTimes | None) -> None:
        count, part = _in_pieces(demand.parts, demand.part)
        merge = self._task_of(demand.merge, times)
        self._long.append(_LongJob(part, count, count, merge))


def _in_pieces(count: int, part: Demand) -> tuple[int, Demand]:
    """Return fewer and larger tiles where there are many."""
    size = math.ceil(count / _MOST_PIECES)
    if size <= 1:
        return count, part
    return math.ceil(count / size), Demand(part.serial_s * size, part.steps * size)
