"""The cost model: the seconds a job will wait and run, from sizes and measured speeds alone.

`docs/development/prediction.md` explains it with all formulas.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from shared.prediction.curves import Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.timetable import JobTimes, Timetable, WorkerPace
from shared.prediction.workload import Demand, HeldParts, RunningJob, WaitingJob, average_demand

#: Prompt tokens that an engine computes in one pass.
_CHUNK = 128
#: Tokens that a chat template adds to a prompt.
_TEMPLATE_TOKENS = 16
#: Pixels that a reading is measured in.
READING_UNIT = 1024
#: UTF-8 bytes of a prompt per token, on average.
_BYTES_PER_TOKEN = 3.5
#: Places of the queue that are simulated one by one; those beyond count as mean ones.
_MOST_SIMULATED = 32
#: Seconds within which jobs come together.
_BURST_S = 1.0


@dataclass(frozen=True, slots=True)
class Work:
    """The tokens of one job; a tiled image counts as one image for each of its tiles."""

    #: Visual tokens of each image.
    images: tuple[int, ...] = ()
    prompt_tokens: int = 0
    #: Expected tokens of the answer, as many as it takes steps to write them.
    answer_tokens: float = 0.0
    #: Pixels of each image that the second reader reads, in units of 1,024.
    readings: tuple[float, ...] = ()
    #: Tiles or pages that workers share; 0 of a job that one worker does as a whole.
    parts: int = 0
    #: Each of them has a prompt and an answer, which the tokens above count together.
    answers_apart: bool = False

    @property
    def visual_tokens(self) -> int:
        """Return the visual tokens of all images."""
        return sum(self.images)


def estimate_prompt_tokens(prompt: str) -> int:
    """Estimate the tokens of a prompt, those of the chat template included."""
    return _TEMPLATE_TOKENS + round(len(prompt.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of a job in a worker, stage by stage."""

    prepare_s: float = 0.0
    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    #: Of the second reader, as far as the model does not work meanwhile.
    read_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Return the seconds from the job's start to its end."""
        return self.prepare_s + self.encode_s + self.prefill_s + self.decode_s + self.read_s

    def scaled(self, factor: float) -> Stages:
        """Return every stage times `factor`."""
        return Stages(
            self.prepare_s * factor,
            self.encode_s * factor,
            self.prefill_s * factor,
            self.decode_s * factor,
            self.read_s * factor,
        )


def predict_stages(work: Work, speed: Speed) -> Stages:
    """Predict the seconds of a job that is alone on a worker.

    With n = visual + prompt tokens and the measured curves of `Speed`:

        encode  = Σ encode(tokens of an image)
        prefill = ⌊n / 128⌋ · prefill(128) + prefill(n mod 128)
        decode  = answer_tokens · step(1)
        read    = max(0, Σ read(pixels of an image) - encode - prefill - decode)

    The second reader works beside the model.
    """
    chunks, rest = divmod(work.visual_tokens + work.prompt_tokens, _CHUNK)
    last_s = speed.prefill.at(rest) if rest else 0.0
    encode_s = sum(speed.encode.at(tokens) for tokens in work.images)
    prefill_s = chunks * speed.prefill.at(_CHUNK) + last_s
    decode_s = work.answer_tokens * speed.step.at(1)
    reading_s = sum(speed.read.at(pixels) for pixels in work.readings)
    return Stages(
        prepare_s=speed.prepare.at(work.visual_tokens),
        encode_s=encode_s,
        prefill_s=prefill_s,
        decode_s=decode_s,
        read_s=max(0.0, reading_s - encode_s - prefill_s - decode_s),
    )


def predict_demand(work: Work, speed: Speed) -> Demand:
    """Predict what a job asks of a worker: serial seconds as of a job that is alone, and steps.

    The images of tiles are encoded apart. A job that `answers_apart` has a prompt and an answer in
    each tile; any other reads all of its tiles in one prompt when they are done.
    """
    alone = predict_stages(work, speed)
    outside_s = alone.prepare_s + alone.read_s
    if not work.parts:
        return Demand(outside_s + alone.encode_s + alone.prefill_s, work.answer_tokens)
    if work.answers_apart:
        serial_s = outside_s + alone.encode_s + alone.prefill_s
        return Demand(0.0, 0.0, work.parts, serial_s / work.parts, work.answer_tokens / work.parts)
    part_s = (outside_s + alone.encode_s) / work.parts
    return Demand(alone.prefill_s, work.answer_tokens, work.parts, part_s)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs that wait and the jobs that run."""

    queued: int = 0
    running: int = 0
    #: Mean predicted busy seconds of the queued jobs; 0 while unknown.
    mean_s: float = 0.0
    #: Those running jobs whose rows were read: `running` may be newer, and more or fewer.
    observed: tuple[RunningJob, ...] = ()
    #: The first jobs of the queue, in its order.
    ahead: tuple[WaitingJob, ...] = ()
    #: The tiles of long jobs that are not queued yet.
    held: tuple[HeldParts, ...] = ()

    def with_running(self, running: int) -> Backlog:
        """Return the backlog with a newer count of running jobs.

        If more run than were observed, the first that waited have just started; if fewer do, the
        oldest have ended.
        """
        new = max(0, running - len(self.observed))
        jobs = sorted(self.observed, key=lambda job: job.elapsed_s)[:running]
        started = [
            RunningJob(0.0, left=job.demand, tile=job.tile)
            for job in (*self.ahead[:new], *[WaitingJob()] * (new - len(self.ahead)))
        ]
        return replace(self, running=running, observed=(*started, *jobs), ahead=self.ahead[new:])


@dataclass(frozen=True, slots=True)
class Prediction:
    """The seconds predicted for a job; None where no worker has measured anything yet."""

    #: Jobs that start before it.
    position: int
    wait_s: float | None
    stages: Stages | None
    #: Seconds of a full worker that it will use up.
    busy_s: float = 0.0
    #: All queued jobs, before it and behind it.
    queued: int = 0
    #: What its row keeps for the predictions of others.
    demand: Demand | None = None
    #: Expected tokens of its answer; 0 while unknown, and of a job whose tiles answer.
    answer_tokens: float = 0.0

    @property
    def run_s(self) -> float | None:
        """Return the seconds from the job's start to its end."""
        return None if self.stages is None else self.stages.total_s

    @property
    def total_s(self) -> float | None:
        """Return the seconds from now to the job's end."""
        if self.wait_s is None or self.stages is None:
            return None
        return self.wait_s + self.stages.total_s

    def fields(self) -> dict[str, str]:
        """Return the row fields that keep it; none without a prediction."""
        if self.stages is None:
            return {}
        seconds: dict[str, float | None]
        seconds = {name: round(s, 4) for name, s in asdict(self.stages).items()}
        seconds |= {"wait_s": _rounded(self.wait_s), "total_s": _rounded(self.total_s)}
        seconds["tokens"] = round(self.answer_tokens, 1)
        return {
            "predicted": json.dumps(seconds),
            "predicted_ms": str(round(1000 * (self.total_s or 0))),
            "busy_ms": str(round(1000 * self.busy_s)),
            "demand": self.demand.dump() if self.demand else "",
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


@dataclass(frozen=True)
class FleetSnapshot:
    """The live workers and their backlog, at one moment."""

    workers: tuple[Heartbeat, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)

    @property
    def accepting(self) -> list[Heartbeat]:
        """Return the workers that accept new jobs: those that are not draining."""
        return [worker for worker in self.workers if not worker.draining]

    def with_running(self, running: int) -> FleetSnapshot:
        """Return the snapshot with a newer count of running jobs."""
        if running == len(self.backlog.observed):
            return self
        return replace(self, backlog=self.backlog.with_running(running))

    def predict(self, work: Work, position: int, queued: int = 0) -> Prediction:
        """Predict a job that is queued now, behind `position` of the `queued` jobs."""
        speeds = self._speeds
        if not speeds:
            return Prediction(position, self._guess_wait_s(position), None, 0.0, queued)
        demand = average_demand([predict_demand(work, speed) for _, speed in speeds])
        times, delay_s = self._simulate(position, demand)
        own = _average_stages([predict_stages(work, speed) for _, speed in speeds])
        return Prediction(
            position=position,
            wait_s=delay_s + times.start_s,
            stages=_stretched(own, times, written=demand.steps > 0),
            busy_s=self._busy_s(demand),
            queued=queued,
            demand=demand,
        )

    def predict_idle(self, work: Work) -> Prediction:
        """Predict a job that has all workers for itself."""
        return self._idle.predict(work, position=0)

    @cached_property
    def _idle(self) -> FleetSnapshot:
        return replace(self, backlog=Backlog())

    def predict_wait_s(self, position: int) -> float | None:
        """Predict the seconds until the job at a position starts; None without any experience."""
        if not self._speeds:
            return self._guess_wait_s(position)
        place, delay_s = self._place(position)
        return delay_s + self._listed_times[place].start_s

    def predict_run_s(self, position: int) -> float | None:
        """Predict the seconds that the job at a position runs; None where it was not read."""
        if position >= len(self.backlog.ahead) or not self._speeds:
            return None
        times = self._listed_times[position]
        return times.end_s - times.start_s

    @cached_property
    def _listed_times(self) -> list[JobTimes]:
        """Return the times of the first `_MOST_SIMULATED` places, taken or not."""
        queue, timetable = self._queue(), self._timetable()
        times = [timetable.add_waiting(job, self._unknown) for job in queue]
        timetable.run(times)
        return times

    def _queue(self) -> list[WaitingJob]:
        """Return the first jobs of the queue; usual ones where none was read."""
        ahead = list(self.backlog.ahead[:_MOST_SIMULATED])
        return ahead + [WaitingJob()] * (_MOST_SIMULATED - len(ahead))

    def _place(self, position: int) -> tuple[int, float]:
        """Return a position that is simulated, and the seconds that the jobs beyond it take."""
        beyond = max(0, position - (_MOST_SIMULATED - 1))
        return position - beyond, beyond * self._busy_s(self._unknown) / self._capacity

    def _simulate(self, position: int, demand: Demand) -> tuple[JobTimes, float]:
        """Return the times of a new job at a position, and what is to be added to them."""
        position, delay_s = self._place(position)
        ahead, timetable = self.backlog.ahead[:_MOST_SIMULATED], self._timetable(demand)
        unknown = self._unknown_beside(demand)
        for place in range(position):
            job = ahead[place] if place < len(ahead) else WaitingJob()
            timetable.add_waiting(job, unknown)
        times = timetable.add_waiting(WaitingJob(demand), unknown)
        for job in (*ahead[position:], *[WaitingJob()] * self._newcomers(position)):
            timetable.add_waiting(job, unknown)
        timetable.run([times])
        return times, delay_s

    def _newcomers(self, position: int) -> int:
        """Return how many jobs will come at once after a new one, as far as slots are free.

        Jobs that came within a second come in a burst, of which half has come on average.
        """
        recent = sum(job.elapsed_s < _BURST_S for job in self.backlog.observed)
        slots = sum(worker.slots for worker in self.accepting)
        return max(0, min(recent, slots - len(self.backlog.observed) - position - 1))

    def _timetable(self, own: Demand | None = None) -> Timetable:
        unknown = self._unknown_beside(own) if own else self._unknown
        timetable = Timetable(
            [
                WorkerPace(worker.id, worker.slots, speed.step, worker.load_factor)
                for worker, speed in self._speeds
            ]
        )
        timetable.add_running(self.backlog.observed, unknown)
        timetable.add_held(self.backlog.held)
        return timetable

    @property
    def _unknown(self) -> Demand:
        """Return what a job is taken to ask of which nothing was predicted: the mean of others."""
        return Demand(self.backlog.mean_s or self._mean_running_s())

    def _unknown_beside(self, own: Demand) -> Demand:
        """Return the same beside a new job, which stands for all if no others are known."""
        return (
            self._unknown if self._unknown.serial_s else replace(own.merge, serial_s=own.serial_s)
        )

    def _mean_running_s(self) -> float:
        known = [job.busy_s for job in self.backlog.observed if job.busy_s]
        return sum(known) / len(known) if known else 0.0

    def _busy_s(self, demand: Demand) -> float:
        """Return the seconds of a full worker that a job uses up, averaged over the workers."""
        seconds = [
            demand.busy_s(speed.step.at(worker.slots) / worker.slots)
            for worker, speed in self._speeds
        ]
        return sum(seconds) / len(seconds) if seconds else 0.0

    def _guess_wait_s(self, position: int) -> float | None:
        """Return the wait by the seconds of whole jobs, all that is known of such workers."""
        free = max(0, sum(worker.slots for worker in self.accepting) - self.backlog.running)
        if position < free:
            return 0.0
        rate = sum(1 / w.seconds_per_job for w in self.accepting if w.seconds_per_job > 0)
        return (position - free + 1) / rate if rate else None

    @property
    def _capacity(self) -> float:
        """Return the busy seconds that all workers together do in a second: Σ 1 / load_factor."""
        return sum(1 / worker.load_factor for worker, _ in self._speeds)

    @cached_property
    def _speeds(self) -> list[tuple[Heartbeat, Speed]]:
        """Return the workers that accept jobs and have measured their speed."""
        speeds = [(worker, Speed.parse(worker.speed)) for worker in self.accepting]
        return [(worker, speed) for worker, speed in speeds if speed.step]


def _average_stages(stages: list[Stages]) -> Stages:
    count = len(stages)
    return Stages(
        *(sum(getattr(one, name) for one in stages) / count for name in Stages.__dataclass_fields__)
    )


def _stretched(own: Stages, times: JobTimes, *, written: bool) -> Stages:
    """Return a job's own seconds as they become among its neighbours.

    Until its prompt is read they grow in proportion, and so does the writing. The answers of tiles
    are written meanwhile: then all grow alike.
    """
    run_s = times.end_s - times.start_s
    if not written or not own.decode_s:
        return own.scaled(run_s / own.total_s) if own.total_s else own
    input_s = max(0.0, times.input_s - times.start_s)
    own_input_s = own.total_s - own.decode_s
    read = own.scaled(input_s / own_input_s) if own_input_s else own
    return replace(read, decode_s=run_s - input_s)
