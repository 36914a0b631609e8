"""The cost model: the seconds a job will wait and run, from sizes and measured speeds alone.

`docs/development/prediction.md` explains it with all formulas.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace

from shared.prediction.curves import Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.remaining_work import RunningJob, remaining_s

#: Prompt tokens that an engine computes in one pass.
_CHUNK = 128
#: Tokens that a chat template adds to a prompt.
_TEMPLATE_TOKENS = 16
#: Pixels that a reading is measured in.
READING_UNIT = 1024
#: UTF-8 bytes of a prompt per token, on average.
_BYTES_PER_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Work:
    """The tokens of one job; a tiled image counts as one image for each of its tiles."""

    #: Visual tokens of each image.
    images: tuple[int, ...] = ()
    prompt_tokens: int = 0
    #: Expected tokens of the answer.
    answer_tokens: float = 0.0
    #: Pixels of each image that the second reader reads, in units of 1,024.
    readings: tuple[float, ...] = ()

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


def predict_stages(
    work: Work, speed: Speed, concurrent: float = 1.0, others_s: float | None = None
) -> Stages:
    """Predict a job's seconds while `concurrent` jobs, itself included, share the worker.

    With n = visual + prompt tokens and the measured curves of `Speed`:

        own encode  = Σ encode(tokens of an image)
        own prefill = ⌊n / 128⌋ · prefill(128) + prefill(n mod 128)
        decode      = answer_tokens · step(concurrent)
        read        = max(0, concurrent · Σ read(pixels of an image) - encode - prefill - decode)

    Images and prompts are computed one after the other, so a job also waits for the encode and
    prefill of the others: `others_s`, by default (concurrent - 1) times its own. They are added
    to both stages in proportion. Answers are decoded together, in shared steps. The second reader
    works beside the model.
    """
    chunks, rest = divmod(work.visual_tokens + work.prompt_tokens, _CHUNK)
    last_s = speed.prefill.at(rest) if rest else 0.0
    encode_s = sum(speed.encode.at(tokens) for tokens in work.images)
    prefill_s = chunks * speed.prefill.at(_CHUNK) + last_s
    if others_s is None:
        others_s = (concurrent - 1) * (encode_s + prefill_s)
    encode_share = encode_s / (encode_s + prefill_s) if encode_s else 0.0
    decode_s = work.answer_tokens * speed.step.at(concurrent)
    reading_s = concurrent * sum(speed.read.at(pixels) for pixels in work.readings)
    return Stages(
        prepare_s=speed.prepare.at(work.visual_tokens),
        encode_s=encode_s + encode_share * others_s,
        prefill_s=prefill_s + (1 - encode_share) * others_s,
        decode_s=decode_s,
        read_s=max(0.0, reading_s - encode_s - prefill_s - decode_s),
    )


def predict_busy_s(work: Work, speed: Speed, slots: int) -> float:
    """Predict a job's busy seconds: its share of a worker whose slots are all taken.

    prepare + encode + prefill + read + answer_tokens · step(slots) / slots, all but the last as of
    a job that is alone.
    """
    alone = predict_stages(work, speed)
    serial_s = alone.prepare_s + alone.encode_s + alone.prefill_s + alone.read_s
    return serial_s + work.answer_tokens * speed.step.at(slots) / slots


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs that wait and the jobs that run."""

    queued: int = 0
    running: int = 0
    #: Mean predicted busy seconds of the queued jobs; 0 while unknown.
    mean_s: float = 0.0
    #: Those running jobs whose rows were read: `running` may be newer, and more or fewer.
    observed: tuple[RunningJob, ...] = ()

    def mean_busy_s(self, own_s: float) -> float:
        """Return the mean busy seconds of all known jobs and a new one of `own_s` busy seconds.

            (Σ observed busy_s + queued · mean_s + own_s) / (observed + queued + 1)

        Jobs without a prediction are left out; if only the queue's mean is known, it is the mean.
        """
        observed = [job.busy_s for job in self.observed if job.busy_s]
        if self.mean_s and not observed:
            return self.mean_s
        total_s = sum(observed) + self.queued * self.mean_s + own_s
        return total_s / (len(observed) + (self.queued if self.mean_s else 0) + 1)

    def running_jobs(self, own_s: float) -> list[RunningJob]:
        """Return exactly `running` jobs, youngest first, each with busy seconds.

        Missing busy seconds are the mean's. If more run than were observed, the new ones have just
        started; if fewer do, the oldest have ended.
        """
        mean_s = self.mean_busy_s(own_s)
        jobs = [replace(job, busy_s=job.busy_s or mean_s) for job in self.observed]
        jobs.sort(key=lambda job: job.elapsed_s)
        return [RunningJob(mean_s)] * (self.running - len(jobs)) + jobs[: self.running]


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
        seconds = {name: round(s, 4) for name, s in asdict(self.stages).items()}
        seconds |= {"wait_s": _rounded(self.wait_s), "total_s": _rounded(self.total_s)}
        return {
            "predicted": json.dumps(seconds),
            "predicted_ms": str(round(1000 * (self.total_s or 0))),
            "busy_ms": str(round(1000 * self.busy_s)),
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """The live workers and their backlog, at one moment."""

    workers: tuple[Heartbeat, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)

    @property
    def accepting(self) -> list[Heartbeat]:
        """Return the workers that accept new jobs: those that are not draining."""
        return [worker for worker in self.workers if not worker.draining]

    @property
    def free_slots(self) -> int:
        """Return how many jobs would start at once."""
        return max(0, sum(worker.slots for worker in self.accepting) - self.backlog.running)

    def with_running(self, running: int) -> FleetSnapshot:
        """Return the snapshot with a newer count of running jobs."""
        return replace(self, backlog=replace(self.backlog, running=running))

    def predict(self, work: Work, position: int, queued: int = 0) -> Prediction:
        """Predict a job that is queued now, behind `position` of the `queued` jobs."""
        own_s = self.predict_busy_s(work)
        wait_s = self.predict_wait_s(position, own_s)
        return Prediction(position, wait_s, self._stages(work, position, own_s), own_s, queued)

    def predict_image_s(self, tokens: int) -> float | None:
        """Predict the seconds to encode an image of so many visual tokens, alone on a worker."""
        seconds = [
            predict_stages(Work(images=(tokens,)), speed).total_s for _, speed in self._speeds()
        ]
        return round(sum(seconds) / len(seconds), 3) if seconds else None

    def predict_busy_s(self, work: Work) -> float:
        """Return a job's busy seconds, averaged over the workers; 0 if none has measured any."""
        seconds = [predict_busy_s(work, speed, worker.slots) for worker, speed in self._speeds()]
        return sum(seconds) / len(seconds) if seconds else 0.0

    def predict_wait_s(self, position: int, own_s: float = 0.0) -> float | None:
        """Predict the seconds until a job at `position` starts; None without any experience.

        With a free slot 0. Else, for `turns` slots that must come free, the last of them for it:

            max(first, mean / capacity) + (turns - 1) · mean / capacity

        where `first` is the time until the running jobs are done (`remaining_s`), `mean` the busy
        seconds of a queued job and `capacity` the busy seconds that all workers do in a second.
        `own_s` are the job's own busy seconds, in case no others are known.
        """
        if position < self.free_slots:
            return 0.0
        turns = position - self.free_slots + 1
        mean_s = self.backlog.mean_s or self.backlog.mean_busy_s(own_s)
        if mean_s and self._capacity:
            each_s = mean_s / self._capacity
            return max(self._first_slot_s(own_s), each_s) + (turns - 1) * each_s
        rate = sum(1 / w.seconds_per_job for w in self.accepting if w.seconds_per_job > 0)
        return turns / rate if rate else None

    def _first_slot_s(self, own_s: float) -> float:
        if not self.backlog.observed:
            return 0.0
        return remaining_s(self.backlog.running_jobs(own_s), self._capacity)

    @property
    def _capacity(self) -> float:
        """Return the busy seconds that all workers together do in a second: Σ 1 / load_factor."""
        return sum(1 / worker.load_factor for worker in self.accepting)

    def _stages(self, work: Work, position: int, own_s: float) -> Stages | None:
        """Average over the workers, each shared with as many jobs as it will have by then."""
        speeds = self._speeds()
        if not speeds:
            return None
        neighbours = (self.backlog.running + position) / len(speeds)
        # their work is partly done by then, but new jobs will have come
        mean_s = self.backlog.mean_busy_s(own_s)
        parts = [
            _stages_under_load(work, worker, speed, neighbours, mean_s) for worker, speed in speeds
        ]
        count = len(parts)
        return Stages(
            prepare_s=sum(part.prepare_s for part in parts) / count,
            encode_s=sum(part.encode_s for part in parts) / count,
            prefill_s=sum(part.prefill_s for part in parts) / count,
            decode_s=sum(part.decode_s for part in parts) / count,
            read_s=sum(part.read_s for part in parts) / count,
        )

    def _speeds(self) -> list[tuple[Heartbeat, Speed]]:
        speeds = [(worker, Speed.parse(worker.speed)) for worker in self.accepting]
        return [(worker, speed) for worker, speed in speeds if speed.step]


def _stages_under_load(
    work: Work, worker: Heartbeat, speed: Speed, neighbours: float, mean_s: float
) -> Stages:
    """Predict a job's stages on one worker, among neighbours of `mean_s` busy seconds each.

        stages(concurrent, (concurrent - 1) · (mean_s - shared steps)) · factor
        factor = 1 + (load_factor - 1) · (concurrent - 1) / (slots - 1)

    The load factor is measured with every slot taken; a job that is alone needs no correction.
    """
    concurrent = min(float(worker.slots), 1.0 + neighbours)
    # the neighbours' answers grow in the same steps as this one's
    serial_s = mean_s - work.answer_tokens * speed.step.at(worker.slots) / worker.slots
    stages = predict_stages(work, speed, concurrent, (concurrent - 1) * max(0.0, serial_s))
    fullness = (concurrent - 1) / (worker.slots - 1) if worker.slots > 1 else 0.0
    return stages.scaled(1 + (worker.load_factor - 1) * fullness)
