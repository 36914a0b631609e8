"""Puts a worker process together: engine, store, leases, reaper, job runner."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from importlib.metadata import version

from shared.catalog.presets import load_presets
from shared.catalog.rules import RuleBook, load_rules
from shared.documents.reader import DocumentReader
from shared.errors import ServiceError, StoreUnavailable
from shared.jobs import JobStatus
from shared.jobs.abilities import Ability
from shared.jobs.parameters.route import join_name
from shared.prediction.curves import Speed
from shared.prediction.heartbeat import Heartbeat
from shared.queue import QUEUES, direct_queue, send_doorbells
from shared.queue.celery_control import find_status
from shared.queue.reaper import Reaper
from shared.settings import Settings
from shared.store import Doorbell, Store
from shared.store.blobs.contents import BlobContents
from shared.store.blobs.sweeper import BlobSweeper
from shared.store.connection import connect
from shared.store.feature_store import RedisFeatures
from shared.store.fleet.starting_workers import StartingWorkers
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.jobs.tile_store import TileStore
from shared.store.redis_info import refuse_cluster
from shared.store.session_store import SessionStore
from shared.store.uploads.document_store import DocumentStore
from shared.store.uploads.erased_files import ErasedFiles
from shared.store.uploads.image_store import ImageStore
from shared.system_memory import process_bytes, total_bytes
from shared.tracing import Tracing
from worker.consumers import QueueWatch
from worker.engine.loading import load_engine
from worker.jobs.claimed_job import JobResources
from worker.jobs.drafts.references import References
from worker.jobs.erasures import Erasures
from worker.jobs.leases import Leases
from worker.jobs.load_meter import LoadMeter
from worker.jobs.paged.pages import PageReader
from worker.jobs.paged.steps import PagedSteps
from worker.jobs.questions import QuestionBuilder
from worker.jobs.reader_loading import find_reader
from worker.jobs.reading import QuestionReader
from worker.jobs.runner import JobRunner
from worker.jobs.task_events import EventDispatcher, TaskEvents
from worker.jobs.tiled.steps import TiledSteps
from worker.jobs.upright import Upright
from worker.pipeline import Pipeline
from worker.postprocess import Postprocessor
from worker.sign_of_life import touch_sign_of_life

_log = logging.getLogger(__name__)


class WorkerService:
    """Everything that one worker process owns; Celery starts and stops it."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        queues: QueueWatch,
        dispatcher: Callable[[], EventDispatcher | None],
    ) -> None:
        """Load and warm the model; `name` is Celery's node name.

        `queues` are those that Celery's consumer reads; `dispatcher` returns what sends its events.
        """
        self._task_events = TaskEvents(dispatcher)
        self.settings = settings
        refuse_cluster(settings)
        self._queues = queues
        #: An operator has asked it to take no more jobs.
        self.drained = False
        rules = load_rules(settings)
        # they tell which jobs read
        self._presets = load_presets(settings, rules)
        self._name = name
        self.id = f"{name}:{os.getpid()}"
        self._queue = direct_queue(name)
        self.engine = load_engine(settings, lambda: _open_feature_store(settings))
        self._leaving_since: float | None = None
        self._memory_total_bytes = total_bytes() or 0
        self._meter = LoadMeter(settings.jobs_at_once)
        self._reader = find_reader(settings)
        self._tracing = Tracing(settings, "sightline-worker")
        self._store = Store(settings)
        self._registry = WorkerRegistry(connect(settings), settings.heartbeat_ttl_s)
        self._leases = Leases(
            self._store, settings, every_beat=self._heartbeat, healthy=self._healthy
        )
        self._reaper = Reaper(self._store, settings)
        # an answer of the simulated engine takes as long as it is told
        drafts = settings.speculation and not self._lacks(Ability.DRAFTS)
        self._references = References(TileStore(self._store)) if drafts else None
        self._erasures = Erasures(ErasedFiles(self._store.redis), self._forget)
        self._document_reader = DocumentReader(settings)
        self._blobs = BlobContents.open(settings)
        self._sweeper = BlobSweeper(self._blobs) if self._blobs else None
        self.runner = self._make_runner(rules)

    def _make_runner(self, rules: RuleBook) -> JobRunner:
        images, info = ImageStore(self.settings, blobs=self._blobs), self.engine.info
        sessions, tiles = SessionStore(self._store.redis), TileStore(self._store)
        upright = Upright.of(self._presets, self._reader.find_turn if self._reader else None)
        documents = DocumentStore(self.settings, blobs=self._blobs)
        pages = PageReader(documents, self._document_reader, upright)
        return JobRunner(
            worker_id=self.id,
            resources=JobResources(
                self._store,
                QuestionBuilder(
                    images, sessions, info, self.settings.job_timeout_s, self._presets, upright
                ),
                Pipeline(
                    self.engine,
                    slots=self.settings.jobs_at_once,
                    find_text=self._reader.find_text if self._reader else None,
                ),
                self._must_release,
                QuestionReader(self._reader, self._meter) if self._reader else None,
                self._references,
            ),
            leases=self._leases,
            tiled=TiledSteps(tiles, images, info, self._max_tiles, upright),
            paged=PagedSteps(tiles, pages, info, self._max_tiles),
            postprocessor=Postprocessor(rules),
            meter=self._meter,
            tracing=self._tracing,
            task_events=self._task_events,
        )

    def show_if_canceled(self, job_id: str) -> None:
        """Let Flower show a job that was canceled, or expired, before any worker claimed it."""
        try:
            status = find_status(self._store, job_id)
        except StoreUnavailable:
            return
        if status in (JobStatus.CANCELED, JobStatus.EXPIRED):
            self._task_events.send_revoked(job_id, expired=status is JobStatus.EXPIRED)

    def start(self) -> None:
        """Begin to send heartbeats, renew leases and reap the jobs of dead workers."""
        self._forget_drain()
        self._leases.start()
        self._reaper.start()
        self._erasures.start()
        if self._sweeper:
            self._sweeper.start()
        self._measure_reader()
        try:
            self._heartbeat(0)
            StartingWorkers(self._store.redis).forget(self._name)
        except StoreUnavailable as error:
            _log.warning("beat.waiting", extra={"cause": error.detail})
        info = self.engine.info
        _log.info(
            "worker.ready",
            extra={
                "worker": self.id,
                "model": info.name,
                "engine": info.engine,
                "numerics": info.numerics,
                "numerics_reason": info.numerics_reason,
                "arithmetic": info.arithmetic,
            },
        )

    def _forget_drain(self) -> None:
        """Take jobs, whatever an earlier process of the same name was asked to do."""
        try:
            self._registry.resume(self.id)
        except ServiceError as error:
            _log.warning("beat.waiting", extra={"cause": error.detail})

    def _measure_reader(self) -> None:
        """Load the second reader in the background, but for a worker without a model."""
        if self._reader and not self.engine.info.simulated:
            threading.Thread(
                target=self._reader.measure, args=(self._meter,), name="reader", daemon=True
            ).start()

    def leave(self) -> None:
        """Note that the process is stopping; jobs get `drain_s` to finish."""
        if self._leaving_since is None:
            self._leaving_since = time.monotonic()
            _log.info("worker.leaving", extra={"worker": self.id, "jobs": self._meter.active})

    def stop(self) -> None:
        """End all threads; called when no job is running any more."""
        self._reaper.stop()
        self._erasures.stop()
        if self._sweeper:
            self._sweeper.stop()
        self._leases.stop()
        self._document_reader.close()
        try:
            self._registry.forget(self.id)
        except StoreUnavailable:
            _log.warning("worker.not_forgotten", extra={"worker": self.id})
        self.engine.close()
        if self._reader:
            self._reader.close()
        self._tracing.close()
        _log.info("worker.stopped", extra={"worker": self.id})

    def _forget(self, marks: frozenset[str]) -> None:
        """Keep nothing of files and jobs with these marks, until the next call."""
        self.engine.forget(marks)
        if self._references is not None:
            self._references.forget(marks)

    @property
    def pools(self) -> tuple[str, ...]:
        """Return what it serves: the name of its model, without and with its revision."""
        info = self.engine.info
        return info.name, join_name(info.name, info.revision)

    def _max_tiles(self) -> int:
        """Return how many tiles of its model may run in all: one slot a worker is left free."""
        own = [one for one in self._registry.fresh() if one.model == self.engine.info.name]
        workers = [worker for worker in own if not worker.draining]
        return max(1, sum(max(1, worker.slots - 1) for worker in workers))

    def _lacks(self, ability: Ability) -> bool:
        info = self.engine.info
        return info.simulated or ability in info.lacks

    def _healthy(self) -> bool:
        return self.engine.alive or self._leaving_since is not None

    def _must_release(self) -> bool:
        since = self._leaving_since
        return since is not None and time.monotonic() - since >= self.settings.drain_s

    def _heartbeat(self, busy: int) -> None:
        drained = self._registry.beat(self._describe(busy))
        touch_sign_of_life(self.settings)
        if drained != self.drained:
            self._drain(drained)

    def _drain(self, drained: bool) -> None:
        """Take no more jobs, or take them again."""
        self.drained = drained
        if drained:
            self._queues.leave()
        else:
            self._queues.come_back()
        event = "worker.drained" if drained else "worker.resumed"
        _log.info(event, extra={"worker": self.id, "jobs": self._meter.active})

    def pass_on(self, job_id: str) -> None:
        """Let another worker have a doorbell that came before this one had left its queues."""
        try:
            queue = self._store.queue(job_id)
        except StoreUnavailable:
            # the reconciler rings again
            return
        if queue:
            send_doorbells([Doorbell(job_id, queue)])

    def _consumed_queues(self) -> tuple[str, ...] | None:
        names = self._queues.read()
        return None if names is None else tuple(name for name in QUEUES if name in names)

    def _describe(self, busy: int) -> Heartbeat:
        info, rates, meter = self.engine.info, self.engine.rates, self._meter
        speed = Speed(meter.prepare, rates.encode, rates.prefill, rates.step, meter.read)
        return Heartbeat(
            id=self.id,
            model=info.name,
            revision=info.revision,
            numerics=info.numerics,
            numerics_reason=info.numerics_reason,
            arithmetic=info.arithmetic,
            thinks=info.thinks,
            sampling=dict(info.sampling),
            context_tokens=info.context_tokens,
            min_pixels=info.min_pixels,
            max_pixels=info.max_pixels,
            token_side=info.token_side,
            work_bytes=info.image_room.bytes,
            image_token_bytes=info.image_room.token_bytes,
            tower_token_bytes=info.image_room.largest_token_bytes,
            demo=info.demo,
            reader=self._reader.name if self._reader else "",
            simulated=info.simulated,
            engine=info.engine,
            lacks=info.lacks,
            pools=self.pools,
            queue=self._queue,
            consumes=self._consumed_queues(),
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("sightline-server"),
            slots=self.settings.jobs_at_once,
            busy=busy,
            draining=self.drained or self._leaving_since is not None,
            drained=self.drained,
            memory_bytes=process_bytes() or 0,
            memory_total_bytes=self._memory_total_bytes,
            seconds_per_job=round(self._meter.seconds_per_job, 4),
            encode_tokens_per_s=round(rates.encode_tokens_per_s, 2),
            prefill_tokens_per_s=round(rates.prefill_tokens_per_s, 2),
            decode_tokens_per_s=round(rates.decode_tokens_per_s, 2),
            speed=speed.as_dict(),
            load_factor=round(self._meter.load_factor, 4),
            batch_requests=round(rates.batch_requests, 2),
        )


def _open_feature_store(settings: Settings) -> RedisFeatures | None:
    return RedisFeatures(settings) if settings.features_redis_bytes else None
