"""The job store: each transition of a job is one Lua script on its row in Redis."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import (
    BudgetSpent,
    DocumentNotFound,
    Erased,
    IdempotencyKeyReused,
    ImageNotFound,
    InputError,
    InputTooLong,
    LimitError,
    NotFound,
    PoisonJob,
    QueueFull,
    SessionBusy,
    TooManyInFlight,
    TooManyQueued,
)
from shared.jobs import ROW_VERSION, JobInput, JobStatus, Turn
from shared.jobs.parameters.route import Route
from shared.jobs.row import JobRow, dump, read_row
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import Client, connect, load_script, pairs
from shared.store.failover.sure_writes import promised
from shared.store.failures import confirm, guard
from shared.store.jobs.index import FIRST_SCORE
from shared.store.jobs.job_metrics import JobMetrics
from shared.store.jobs.reader import JobReader
from shared.store.jobs.types import (
    Claim,
    Doorbell,
    DoorbellMessage,
    NewJob,
    Reported,
    ServedModel,
    StoredJob,
    Verdict,
    read_doorbells,
)

#: The longest silence of all reapers after which leases are renewed instead of reaped.
_REAP_GAP_MS = 3000


#: The position that scripts return for a job that is not queued.
NOWHERE = -1

#: Seconds in which one of the caller's own jobs may have ended.
_JOB_ENDS_S = 5.0

#: One file in lua/jobs/ each.
_TRANSITIONS = (
    "add",
    "claim",
    "beat",
    "report",
    "finish",
    "release",
    "reap",
    "reconcile",
    "cancel",
    "erase",
    "position",
    "read",
)


#: What a job needs that not every worker has: the second reader.
NEEDS_READER = "reader"


class Store(JobReader):
    """Reads and changes job rows; every method raises StoreUnavailable without Redis."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        super().__init__(client or connect(settings))
        self._settings = settings
        self._scripts = {name: load_script(self.redis, f"jobs/{name}") for name in _TRANSITIONS}

    def _run(self, name: str, names: Sequence[str], *args: Any) -> Any:
        with guard():
            return self._scripts[name](keys=list(names), args=list(args))

    def _confirm(self, name: str, names: Sequence[str], *args: Any, job_id: str) -> Any:
        """Run a script that a caller waits for, until it is sure what became of it."""
        script = self._scripts[name]
        return confirm(lambda: script(keys=list(names), args=list(args)), job_id=job_id)

    # the gateway's side

    def add(self, job: NewJob, message: DoorbellMessage | None = None) -> StoredJob:
        """Store a job, put it into the queue and send its doorbell message, all at once.

        Without `message` the job waits for the reconciler to send one. A job that is added again
        under the same id is stored once, so it is sent again where the reply was lost.

        Raises OutcomeUnknown where Redis does not confirm it, ImageNotFound, IdempotencyKeyReused,
        SessionBusy, InputTooLong, BudgetSpent, QueueFull and LimitErrors.
        """
        limits = job.limits
        if 0 < limits.tokens < job.tokens:
            raise InputTooLong(
                f"The input has {job.tokens} visual tokens; "
                f"this key may use {limits.tokens} per minute."
            )
        key, fingerprint = job.idempotency or ("", "")
        priority = job.priority.value
        reply = self._confirm(
            "add",
            [
                keys.idempotency(job.tenant, key),
                *_input_keys(job.tenant, job.input),
            ],
            *(job.id, job.tenant, fingerprint, self._settings.idempotency_ttl_s * 1000, job.waiter),
            *(priority, FIRST_SCORE[job.priority], job.ttl_s * 1000),
            "" if job.deadline_s is None else int(job.deadline_s * 1000),
            self._settings.events_max,
            *(job.session_id or "", self._settings.session_ttl_s * 1000),
            *(job.tokens, limits.tokens, limits.in_flight, limits.queued),
            *_message_args(message),
            *self._fields(job),
            job_id=job.id,
        )
        match reply:
            case ["added" | "replayed" as how, job_id, place, row]:
                position = None if place == NOWHERE else int(place)
                doorbell = Doorbell(job_id, priority)
                return StoredJob(doorbell, how == "replayed", position, pairs(row))
            case ["session_busy", busy]:
                raise SessionBusy(f"The session is answering {busy}.")
            case ["image_missing", index]:
                raise _missing_error(job.input, int(index))
            case ["spent", budget]:
                raise BudgetSpent(f"This key has used all {budget} of its budget for this month.")
            case ["too_many_models", most]:
                raise QueueFull(
                    f"Jobs wait for {most} models already, and for none of this name.",
                    pointer="/model",
                    retry_after_s=_JOB_ENDS_S,
                )
            case ["limited", limit, *wait_ms]:
                raise _limit_error(limit, wait_ms)
            case _:
                raise IdempotencyKeyReused

    def known_route(self, tenant: str, idempotency_key: str, *, live: bool = False) -> Route | None:
        """Return the route of the job that this key stands for; None if there is none.

        The next submission would get that job. With `live` a job that was stopped does not count,
        as for a submission that waits.
        """
        with guard():
            job_id = self.redis.hget(keys.idempotency(tenant, idempotency_key), "job")
            if not job_id:
                return None
            status, cancel, *route = self.redis.hmget(
                keys.job(job_id), ["status", "cancel", "model", "asked", "pool"]
            )
        stopped = status in (JobStatus.CANCELED, JobStatus.EXPIRED) or (
            status == JobStatus.RUNNING and cancel == "1"
        )
        if not status or (live and stopped):
            return None
        return Route(*(name or "" for name in route))

    def forget_key(self, tenant: str, idempotency_key: str) -> None:
        """Forget the job of this key, so that the next submission makes a new one."""
        confirm(lambda: self.redis.delete(keys.idempotency(tenant, idempotency_key)))

    def _fields(self, job: NewJob) -> list[Any]:
        now_ms = int(time.time() * 1000)
        fields = {
            # an older worker would take images that lie elsewhere for gone ones
            "version": ROW_VERSION if self._settings.blobs else job.input.row_version,
            "max_attempts": self._settings.max_attempts,
            "needs": NEEDS_READER if job.input.needs_reader else "",
            "input": job.input.model_dump_json(),
            "images": dump([image.as_dict() for image in job.images]),
            "notices": dump(list(job.notices)),
            # the worker adds its own
            "first_notices": len(job.notices),
            "model": job.route.model,
            # always there: a row without it is of an older gateway, which knew one model
            "asked": job.route.asked,
            **({"pool": job.route.pool} if job.route.pool else {}),
            "metadata": dump(dict(job.metadata)),
            "retry_of": job.retry_of or "",
            **({"group": job.group} if job.group else {}),
            **job.schedule.fields(now_ms, now_ms + 1000 * job.ttl_s),
            "trace": dump(dict(job.trace)),
            **({"response": job.response.model_dump_json()} if job.response else {}),
            # nothing is learned of answers from a job that gives none
            "kind": "" if job.input.encode_only else job.input.preset or "ask",
            **(job.prediction.fields() if job.prediction else {}),
            **(job.webhook.fields(job.tenant) if job.webhook else {}),
        }
        return [part for pair in fields.items() for part in pair]

    def get(self, job_id: str, tenant: str) -> JobRow:
        """Return a job; raises Erased, JobTooNew, or NotFound, also for a foreign job."""
        reply = self._run("read", [], job_id, tenant)
        if reply == "erased":
            raise Erased
        if reply == "unknown":
            raise NotFound
        return read_row(pairs(reply))

    def position(self, job_id: str, tenant: str) -> int | None:
        """Return how many queued jobs will be taken before this one, or None when not queued."""
        position: int | None = self._run("position", [], job_id, tenant)
        return position

    def cancel(self, job_id: str, tenant: str) -> str:
        """Cancel a queued job at once, or ask a running one to stop.

        Returns `canceled`, `canceling`, or the terminal status that the job had. Raises NotFound
        and Erased; OutcomeUnknown where Redis does not confirm it.
        """
        outcome = str(self._confirm("cancel", [], job_id, tenant, job_id=job_id))
        if outcome == "missing":
            self.get(job_id, tenant)
            raise NotFound
        return outcome

    def erase(self, job_id: str, tenant: str) -> None:
        """Remove a job, its events and the images that only it needed.

        Raises NotFound, Erased and OutcomeUnknown.
        """
        row = self.get(job_id, tenant)
        tiles = (keys.image(tenant, tile.id) for tile in row.tiles)
        names = list(dict.fromkeys([*_input_keys(tenant, row.input), *tiles]))
        ttl_ms = self._settings.erased_ttl_s * 1000
        if not self._confirm("erase", names, job_id, tenant, ttl_ms, job_id=job_id):
            raise NotFound

    # the worker's side

    def claim_next(
        self, worker_id: str, *, reads: bool = False, serves: ServedModel | None = None
    ) -> Claim | str:
        """Claim the queued job whose turn it is, or return `nothing`; see `claim`."""
        return self.claim("", worker_id, reads=reads, serves=serves)

    def claim(
        self, job_id: str, worker_id: str, *, reads: bool = False, serves: ServedModel | None = None
    ) -> Claim | str:
        """Claim this queued job, for a worker that `reads` if it has the second reader.

        One that `serves` nothing of its own takes what is for all workers. Else return why not:
        missing, not_queued, expired, too_new, needs_reader, other_model.
        """
        owner = secrets.token_hex(16)
        lease_ms, able = int(self._settings.lease_s * 1000), NEEDS_READER if reads else ""
        model = serves or ServedModel()
        args = (job_id, owner, worker_id, lease_ms, ROW_VERSION, able, model.name, model.revision)
        reply = self._run("claim", [], *args)
        if reply[0] != "claimed":
            return str(reply[0])
        return Claim(read_row(pairs(reply[2])), owner, int(reply[1]), reply[3])

    def beat(self, claims: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Renew the leases of (job id, owner) pairs; return a verdict for each."""
        flat = [part for pair in claims for part in pair]
        reply = self._run("beat", [], int(self._settings.lease_s * 1000), *flat)
        return [Verdict(int(code)) for code in reply]

    def report(
        self,
        job_id: str,
        owner: str,
        text: str = "",
        *,
        at: int = 0,
        progress: Mapping[str, Any] | None = None,
        thought: str = "",
        thought_at: int = 0,
    ) -> Reported:
        """Stream what an attempt has written and set the job's progress, if it is this owner's.

        `text` begins at byte `at` of all that the attempt has written, and `thought` at one of all
        that the model has thought before its answer. What is there already is not
        streamed again; behind a gap nothing is, and the next report must begin earlier.
        """
        progress_json = "" if progress is None else dump(dict(progress))
        args = (job_id, owner, self._settings.events_max, at, text, progress_json)
        verdict, *known = self._run("report", [], *args, thought_at, thought)
        return Reported(Verdict(int(verdict)), *map(int, known))

    def finish(
        self,
        job_id: str,
        owner: str,
        status: JobStatus,
        fields: Mapping[str, Any],
        *,
        text: str | None = None,
        turn: Turn | None = None,
        metrics: JobMetrics | None = None,
    ) -> bool:
        """End a job with its result, if it is still this owner's; return whether it was.

        Its stream is made to say `text` and nothing else, unless that is None. `turn` is added to
        the job's session, `metrics` to the job metrics.
        """
        turn_json = turn.model_dump_json() if turn else ""
        turns_max = self._settings.session_turns_max
        metrics_json = dump(metrics.increments if metrics else {})
        flat = [part for key, value in fields.items() for part in (key, _cell(value))]
        streamed = ("", "") if text is None else ("1", text)
        args = (job_id, owner, status.value, *streamed, turn_json, turns_max, metrics_json)
        # an end that only a lost master had would be made once more, and its webhook sent twice
        with promised():
            return bool(self._run("finish", [], *args, *flat))

    def release(self, job_id: str, owner: str, pause_s: float = 0.0) -> Doorbell | None:
        """Give a job back without counting the attempt; no worker gets it for `pause_s`.

        Returns its doorbell; None when the job was lost, has ended or pauses.
        """
        reply = self._run("release", [], job_id, owner, int(1000 * pause_s))
        return Doorbell(job_id, reply) if reply else None

    def reap(self) -> list[Doorbell]:
        """Requeue jobs of silent workers and end poison and overdue ones.

        Returns the doorbells of the jobs that were queued again.
        """
        gap_ms = max(_REAP_GAP_MS, int(3000 * self._settings.reap_s))
        lease_ms = int(self._settings.lease_s * 1000)
        heartbeat_ms = int(self._settings.heartbeat_ttl_s * 1000)
        poison = dump(PoisonJob().as_dict())
        reply = self._run("reap", [], lease_ms, poison, gap_ms, heartbeat_ms)
        return read_doorbells(reply)

    def reconcile(self, lists: Sequence[str], pool: str = "") -> list[Doorbell]:
        """Return a doorbell for each queued job of a pool beyond the messages in these `lists`.

        They are those that the broker keeps for the queues in which its doorbells are rung.
        """
        age_ms = int(self._settings.reconcile_s * 1000)
        reply = self._run("reconcile", lists, age_ms, max(1, int(age_ms * 0.8)), pool)
        return read_doorbells(reply)

    def pools(self) -> list[str]:
        """Return the models that have a pool of their own in which jobs wait."""
        with guard():
            return sorted(self.redis.smembers(keys.POOLS))

    def find_others(self, job_id: str, serves: ServedModel) -> str | None:
        """Return the other model whose workers are up and should hear of a job; None without one.

        That is where its doorbell was heard by a worker that does not serve it.
        """
        with guard():
            names = ["status", "model", "asked"]
            status, named, asked = self.redis.hmget(keys.job(job_id), names)
            is_known = named and asked is not None
            model = named if is_known else self.redis.get(keys.FIRST_MODEL) or named
            is_others = status == JobStatus.QUEUED and model and model != serves.name
            return model if is_others and self.redis.exists(keys.SERVES + model) else None


def _input_keys(tenant: str, job: JobInput) -> list[str]:
    """Return the keys of all that a job needs: its images, then its document."""
    images = [keys.image(tenant, image) for image in job.every_image]
    return [*images, keys.document(tenant, job.document.id)] if job.document else images


def _missing_error(job: JobInput, index: int) -> InputError:
    if index < len(job.every_image):
        return ImageNotFound(pointer=f"/images/{index}")
    return DocumentNotFound(pointer="/document")


def _message_args(message: DoorbellMessage | None) -> tuple[Any, ...]:
    if message is None:
        return ("",) * 5
    return (
        *(message.list, message.message, message.channel, message.event),
        message.expires_ms or "",
    )


def _limit_error(limit: str, wait_ms: Sequence[Any]) -> LimitError:
    if limit == "tokens":
        return LimitError(
            "This key has used up its visual tokens for this minute.",
            retry_after_s=int(wait_ms[0]) / 1000,
        )
    error = TooManyInFlight if limit == "in_flight" else TooManyQueued
    return error(retry_after_s=_JOB_ENDS_S)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else dump(value)
