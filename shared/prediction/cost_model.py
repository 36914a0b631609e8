"""How many seconds a job will take, told from its size alone by what workers have measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace

from shared.prediction.curves import Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.remaining_work import RunningJob, left_s

#: Prompt tokens that an engine computes in one pass.
_CHUNK = 128
#: What a chat template adds to a question.
_TEMPLATE_TOKENS = 16
#: UTF-8 bytes of a prompt that make a token, about.
_BYTES_PER_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Work:
    """What a job asks of a worker; a tiled image counts as one image for each of its tiles."""

    #: Visual tokens of each image.
    images: tuple[int, ...] = ()
    prompt_tokens: int = 0
    answer_tokens: float = 0.0

    @property
    def visual(self) -> int:
        """Return the visual tokens of all images."""
        return sum(self.images)


def prompt_tokens(prompt: str) -> int:
    """Estimate the tokens of a question with what its template adds."""
    return _TEMPLATE_TOKENS + round(len(prompt.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of a job in a worker, stage by stage."""

    prepare_s: float = 0.0
    encode_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Return the seconds from being taken to being answered."""
        return self.prepare_s + self.encode_s + self.prefill_s + self.decode_s


def stages(
    work: Work, speed: Speed, together: float = 1.0, others_s: float | None = None
) -> Stages:
    """Predict a job's seconds while `together` jobs share the worker.

    Tower and prompts take turns, so they cost the time of all: `others_s` is that of the others,
    who are taken for jobs of the same kind by default. Answers grow in shared steps.
    """
    chunks, rest = divmod(work.visual + work.prompt_tokens, _CHUNK)
    last = speed.prefill.at(rest) if rest else 0.0
    encode_s = sum(speed.encode.at(tokens) for tokens in work.images)
    prefill_s = chunks * speed.prefill.at(_CHUNK) + last
    if others_s is None:
        others_s = (together - 1) * (encode_s + prefill_s)
    towers = encode_s / (encode_s + prefill_s) if encode_s else 0.0
    return Stages(
        prepare_s=speed.prepare.at(work.visual),
        encode_s=encode_s + towers * others_s,
        prefill_s=prefill_s + (1 - towers) * others_s,
        decode_s=work.answer_tokens * speed.step.at(together),
    )


def busy_s(work: Work, speed: Speed, slots: int) -> float:
    """Return the seconds of a full worker that a job uses up: its share of the shared steps."""
    alone = stages(work, speed)
    apart = alone.prepare_s + alone.encode_s + alone.prefill_s
    return apart + work.answer_tokens * speed.step.at(slots) / slots


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and what is being worked on."""

    jobs: int = 0
    running: int = 0
    #: Average of the predicted busy seconds of those that wait.
    mean_s: float = 0.0
    #: Those that are worked on, as far as they were looked at.
    hand: tuple[RunningJob, ...] = ()

    def usual_s(self, own_s: float) -> float:
        """Return the busy seconds of a job among all these, of which `own_s` is one."""
        known = [job.busy_s for job in self.hand if job.busy_s]
        if self.mean_s and not known:
            return self.mean_s
        total = sum(known) + self.jobs * self.mean_s + own_s
        return total / (len(known) + (self.jobs if self.mean_s else 0) + 1)

    def held(self, own_s: float) -> list[RunningJob]:
        """Return the jobs in hand, each with busy seconds; a job that nobody saw is a usual one."""
        usual_s = self.usual_s(own_s)
        seen = [replace(job, busy_s=job.busy_s or usual_s) for job in self.hand]
        # those that came since are the youngest, those that went were the oldest
        seen.sort(key=lambda job: job.since_s)
        return [RunningJob(usual_s)] * (self.running - len(seen)) + seen[: self.running]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a job is told in advance; None where nobody has any experience."""

    position: int
    wait_s: float | None
    stages: Stages | None
    #: Seconds of a full worker that it will use up.
    busy_s: float = 0.0
    #: Jobs that wait, before it and behind it.
    queued: int = 0

    @property
    def run_s(self) -> float | None:
        """Return the seconds from being taken to being answered."""
        return None if self.stages is None else self.stages.total_s

    @property
    def total_s(self) -> float | None:
        """Return the seconds from now to the answer."""
        if self.wait_s is None or self.stages is None:
            return None
        return self.wait_s + self.stages.total_s

    def fields(self) -> dict[str, str]:
        """Return what a job's row keeps of it."""
        if self.stages is None:
            return {}
        told = {name: round(s, 4) for name, s in asdict(self.stages).items()}
        told |= {"wait_s": _rounded(self.wait_s), "total_s": _rounded(self.total_s)}
        return {
            "predicted": json.dumps(told),
            "predicted_ms": str(round(1000 * (self.total_s or 0))),
            "busy_ms": str(round(1000 * self.busy_s)),
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """The workers that are up and what waits for them, at one moment."""

    workers: tuple[Heartbeat, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)

    @property
    def taking(self) -> list[Heartbeat]:
        """Return the workers that take new jobs."""
        return [worker for worker in self.workers if not worker.draining]

    @property
    def free(self) -> int:
        """Return the jobs that would be taken at once."""
        return max(0, sum(worker.slots for worker in self.taking) - self.backlog.running)

    def predict(
        self, work: Work, position: int, queued: int = 0, running: int | None = None
    ) -> Prediction:
        """Predict a job that would be queued now behind so many others, while `queued` wait.

        `running` is newer than what the backlog tells.
        """
        if running is not None:
            newer = replace(self, backlog=replace(self.backlog, running=running))
            return newer.predict(work, position, queued)
        own = self.busy_s(work)
        wait_s = self.wait_s(position, own)
        return Prediction(position, wait_s, self._stages(work, position, own), own, queued)

    def intake_s(self, tokens: int) -> float | None:
        """Predict the seconds to take in an image of so many visual tokens, before any answer."""
        told = [stages(Work(images=(tokens,)), speed).total_s for _, speed in self._speeds()]
        return round(sum(told) / len(told), 3) if told else None

    def busy_s(self, work: Work) -> float:
        """Return the busy seconds of a job on the average of the workers; 0 if none knows."""
        told = [busy_s(work, speed, worker.slots) for worker, speed in self._speeds()]
        return sum(told) / len(told) if told else 0.0

    def wait_s(self, position: int, own_s: float = 0.0) -> float | None:
        """Predict the seconds until a job at `position` is taken; None without experience.

        `own_s` are its busy seconds, in case nothing else is known.
        """
        if position < self.free:
            return 0.0
        turns = position - self.free + 1
        mean_s = self.backlog.mean_s or self.backlog.usual_s(own_s)
        if mean_s and self._capacity:
            each_s = mean_s / self._capacity
            first_s = left_s(self.backlog.held(own_s), self._capacity) if self.backlog.hand else 0.0
            return max(first_s, each_s) + (turns - 1) * each_s
        rate = sum(1 / w.seconds_per_job for w in self.taking if w.seconds_per_job > 0)
        return turns / rate if rate else None

    @property
    def _capacity(self) -> float:
        """Return the busy seconds that all workers together do in a second."""
        return sum(1 / worker.load_factor for worker in self.taking)

    def _stages(self, work: Work, position: int, own_s: float) -> Stages | None:
        """Average over the workers, each shared with as many jobs as it will have by then."""
        speeds = self._speeds()
        if not speeds:
            return None
        beside = (self.backlog.running + position) / len(speeds)
        # some of their work is done, but others will come meanwhile
        usual_s = self.backlog.usual_s(own_s)
        parts = [_loaded(work, worker, speed, beside, usual_s) for worker, speed in speeds]
        count = len(parts)
        return Stages(
            prepare_s=sum(part.prepare_s for part in parts) / count,
            encode_s=sum(part.encode_s for part in parts) / count,
            prefill_s=sum(part.prefill_s for part in parts) / count,
            decode_s=sum(part.decode_s for part in parts) / count,
        )

    def _speeds(self) -> list[tuple[Heartbeat, Speed]]:
        told = [(worker, Speed.of(worker.speed)) for worker in self.taking]
        return [(worker, speed) for worker, speed in told if speed.step]


def _loaded(work: Work, worker: Heartbeat, speed: Speed, beside: float, usual_s: float) -> Stages:
    together = min(float(worker.slots), 1.0 + beside)
    # their answers grow in the same steps as this one's
    apart_s = usual_s - work.answer_tokens * speed.step.at(worker.slots) / worker.slots
    told = stages(work, speed, together, (together - 1) * max(0.0, apart_s))
    # the correction was measured with every slot taken; alone there is none
    fullness = (together - 1) / (worker.slots - 1) if worker.slots > 1 else 0.0
    factor = 1 + (worker.load_factor - 1) * fullness
    return Stages(
        told.prepare_s * factor,
        told.encode_s * factor,
        told.prefill_s * factor,
        told.decode_s * factor,
    )
