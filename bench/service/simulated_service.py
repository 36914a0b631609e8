"""A queue, workers and their engines on a clock of their own: every stage takes known seconds.

The engine's own scheduler decides what each step computes; predictions are made as a gateway makes
them, of what it would read of the jobs' rows.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from shared.prediction.cost_model import Backlog, FleetSnapshot, Work
from shared.prediction.curves import Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.workload import Demand, HeldParts, RunningJob, WaitingJob
from worker.engine.memory.budget import MemoryBudget, MemoryNeed
from worker.engine.scheduler import Phase, Plan, Scheduler

#: Blocks of a vision tower, and visual tokens of an image whose block answers wait for.
_DEPTH, _LARGEST_TOKENS = 24, 1024
_NO_NEED = MemoryNeed()
_DONE = 1e-9


@dataclass(slots=True, eq=False)
class SimulatedJob:
    """A job or a tile: what is left of it, and when it came, started and ended."""

    work: Work
    answer: int
    came_s: float
    encode_left_s: float = 0.0
    prefill_left: int = 0
    written: int = 0
    block_s: float = 0.0
    background: bool = False
    started_s: float = -1.0
    ended_s: float = -1.0
    predicted_s: float | None = None
    demand: Demand | None = None
    parent: SimulatedJob | None = None
    tiles_left: int = 0

    @property
    def phase(self) -> Phase:
        """Return what it needs next."""
        if self.encode_left_s > _DONE:
            return Phase.ENCODE
        return Phase.PREFILL if self.prefill_left else Phase.DECODE

    @property
    def need(self) -> MemoryNeed:
        """Return that memory is no matter here."""
        return _NO_NEED

    def share_read(self, speed: Speed) -> float:
        """Return the share of its input that is computed."""
        tokens = self.work.visual_tokens + self.work.prompt_tokens
        whole = _encode_s(self.work, speed) + speed.prefill.each * tokens
        left = self.encode_left_s + speed.prefill.each * self.prefill_left
        return 1 - left / whole if whole else 1.0


def _encode_s(work: Work, speed: Speed) -> float:
    return sum(speed.encode.at(tokens) for tokens in work.images)


class _NoLimit:
    def holds(self, _needs: Any) -> bool:
        return True


@dataclass(slots=True)
class _Worker:
    name: str
    scheduler: Scheduler[SimulatedJob]
    #: Jobs that it holds, those that are still being prepared too.
    held: list[SimulatedJob] = field(default_factory=list)
    stepping: bool = False


class SimulatedService:
    """Takes jobs, predicts each of them, and lets the clock run."""

    def __init__(
        self, speed: Speed, *, workers: int, slots: int, seed: int, jitter: float = 0.1
    ) -> None:
        """`jitter` is the spread of a step's seconds."""
        self.now_s = 0.0
        self.jobs: list[SimulatedJob] = []
        self._speed, self._slots = speed, slots
        self._rng = random.Random(seed)
        self._jitter = jitter
        self._workers = [self._new_worker(number) for number in range(workers)]
        self._waiting: deque[SimulatedJob] = deque()
        self._tiles: deque[SimulatedJob] = deque()
        self._held: deque[list[SimulatedJob]] = deque()
        self._live_tiles = 0
        self._tile_is_next = False
        self._answers: list[int] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def _new_worker(self, number: int) -> _Worker:
        block_s = self._speed.encode.at(_LARGEST_TOKENS) / _DEPTH
        budget = cast("MemoryBudget", _NoLimit())
        scheduler: Scheduler[SimulatedJob] = Scheduler(self._slots, budget)
        scheduler.tower_s = min(0.25, block_s)
        return _Worker(f"w{number}", scheduler)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something at a moment of the clock."""
        heapq.heappush(self._events, (seconds, next(self._numbers), act))

    def run(self) -> None:
        """Let the clock run until nothing is left to do."""
        while self._events:
            self.now_s, _, act = heapq.heappop(self._events)
            act()

    def submit(self, work: Work, answer: int) -> None:
        """Take a job, of whose answer only the average of earlier ones is known, and predict it."""
        job = SimulatedJob(work, answer, self.now_s)
        position = _merged([*self._waiting, job], self._tiles).index(job)
        prediction = self.fleet().predict(self._expected(work), position)
        job.predicted_s, job.demand = prediction.total_s, prediction.demand
        self.jobs.append(job)
        self._waiting.append(job)
        self._claim()

    def _expected(self, work: Work) -> Work:
        latest = self._answers[-10:]
        mean = sum(latest) / len(latest) if latest else 64.0
        answers = work.parts if work.answers_apart else 1
        return Work(
            work.images,
            work.prompt_tokens,
            mean * answers,
            parts=work.parts,
            answers_apart=work.answers_apart,
        )

    def fleet(self) -> FleetSnapshot:
        """Return what a gateway knows of the service."""
        running = tuple(
            RunningJob(
                busy_s=0.0,
                elapsed_s=self.now_s - job.started_s,
                left=self._left(job),
                worker=worker.name,
                tile=job.background,
            )
            for worker in self._workers
            for job in worker.held
        )
        queue = [
            WaitingJob(job.demand, job.background) for job in _merged(self._waiting, self._tiles)
        ]
        held = tuple(HeldParts(len(tiles), tiles[0].demand or Demand()) for tiles in self._held)
        speed = self._speed.as_dict()
        return FleetSnapshot(
            tuple(Heartbeat(w.name, "m", slots=self._slots, speed=speed) for w in self._workers),
            Backlog(
                len(queue), len(running), self._mean_s(queue), running, tuple(queue[:32]), held
            ),
        )

    def _mean_s(self, queue: list[WaitingJob]) -> float:
        step_s = self._speed.step.at(self._slots) / self._slots
        known = [job.demand.busy_s(step_s) for job in queue if job.demand]
        return sum(known) / len(known) if known else 0.0

    def _left(self, job: SimulatedJob) -> Demand | None:
        if job.demand is None or job.demand.parts:
            return job.demand
        return job.demand.after(job.share_read(self._speed), job.written)

    def _claim(self) -> None:
        """Let workers with a free slot take what is next."""
        while True:
            worker = max(self._workers, key=lambda one: self._slots - len(one.held))
            if len(worker.held) >= self._slots:
                return
            job = self._take()
            if job is None:
                return
            self._start(worker, job)

    def _take(self) -> SimulatedJob | None:
        tile_first = self._tiles and (self._tile_is_next or not self._waiting)
        line = self._tiles if tile_first else self._waiting
        self._tile_is_next = not tile_first
        return line.popleft() if line else None

    def _start(self, worker: _Worker, job: SimulatedJob) -> None:
        if job.started_s < 0:
            job.started_s = self.now_s
        worker.held.append(job)
        prepare_s = self._speed.prepare.at(job.work.visual_tokens)
        splits = job.work.parts and not job.tiles_left and job.demand and job.demand.parts
        self.at(
            self.now_s + prepare_s,
            lambda: self._split(worker, job) if splits else self._compute(worker, job),
        )

    def _split(self, worker: _Worker, job: SimulatedJob) -> None:
        """Give a long job's tiles to the queue, as many at once as there is room for."""
        count, work, demand = job.work.parts, job.work, job.demand
        if demand is None:
            return
        tile = Work(work.images[:1], work.prompt_tokens // count if work.answers_apart else 0)
        answer = job.answer // count if work.answers_apart else 0
        tiles = [
            SimulatedJob(tile, answer, self.now_s, background=True, parent=job, demand=demand.part)
            for _ in range(count)
        ]
        job.tiles_left, job.demand = count, demand.merge
        worker.held.remove(job)
        self._held.append(tiles)
        self._queue_tiles()
        self._claim()

    def _queue_tiles(self) -> None:
        room = max(1, len(self._workers) * max(1, self._slots - 1))
        while self._held and self._live_tiles < room:
            tiles = self._held.popleft()
            self._tiles.append(tiles.pop())
            self._live_tiles += 1
            if tiles:
                self._held.append(tiles)

    def _compute(self, worker: _Worker, job: SimulatedJob) -> None:
        """Give a prepared job to its worker's engine."""
        merges = job.work.parts > 0
        if not merges:
            job.encode_left_s = _encode_s(job.work, self._speed)
        if merges and job.work.answers_apart:
            self._end(worker, job)
            return
        images = max(1, len(job.work.images))
        job.block_s = job.encode_left_s / images / _DEPTH
        only_seen = job.background and not job.answer
        tokens = job.work.visual_tokens + job.work.prompt_tokens
        job.prefill_left = 0 if only_seen else tokens
        worker.scheduler.add(job)
        if not worker.stepping:
            self._step(worker)

    def _step(self, worker: _Worker) -> None:
        scheduler = worker.scheduler
        list(scheduler.admit())
        plan = scheduler.plan()
        worker.stepping = bool(plan.encode or plan.prefill or plan.decode)
        if worker.stepping:
            seconds = self._seconds(plan) * self._rng.lognormvariate(0, self._jitter)
            self.at(self.now_s + seconds, lambda: self._end_step(worker, plan))

    def _seconds(self, plan: Plan[SimulatedJob]) -> float:
        tower_s = plan.encode.block_s * plan.blocks if plan.encode else 0.0
        tokens = sum(count for _, count in plan.prefill)
        if tokens:
            return tower_s + self._speed.prefill.at(tokens + len(plan.decode))
        return tower_s + (self._speed.step.at(len(plan.decode)) if plan.decode else 0.0)

    def _end_step(self, worker: _Worker, plan: Plan[SimulatedJob]) -> None:
        if plan.encode:
            plan.encode.encode_left_s -= plan.encode.block_s * plan.blocks
        for job, count in plan.prefill:
            job.prefill_left -= count
        for job in plan.decode:
            job.written += 1
        for job in list(worker.held):
            if job in worker.scheduler.running and _is_over(job):
                worker.scheduler.remove(job)
                self._end(worker, job)
        self._step(worker)

    def _end(self, worker: _Worker, job: SimulatedJob) -> None:
        worker.held.remove(job)
        job.ended_s = self.now_s
        if job.parent is not None:
            self._live_tiles -= 1
            job.parent.tiles_left -= 1
            if not job.parent.tiles_left:
                self._waiting.appendleft(job.parent)
            self._queue_tiles()
        elif not job.work.parts:
            self._answers.append(job.answer)
        self._claim()


def _is_over(job: SimulatedJob) -> bool:
    return job.phase is Phase.DECODE and job.written >= job.answer


def _merged(jobs: Iterable[SimulatedJob], tiles: Iterable[SimulatedJob]) -> list[SimulatedJob]:
    """Return the order in which two lines take turns."""
    turns = itertools.zip_longest(jobs, tiles)
    return [job for turn in turns for job in turn if job is not None]
