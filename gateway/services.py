"""The services that all requests of a gateway process share, and how they are put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import current_app

from gateway.admission.admission import Admission
from gateway.admission.constraints import ConstraintChecker
from gateway.admission.store_health import StoreHealth
from gateway.audit import AuditLog
from gateway.blobs.threads import BlobThreads
from gateway.http.browser_guard import BrowserGuard
from gateway.http.cors import CorsPolicy
from gateway.images.decoder.decoder import Decoder
from gateway.images.host_breaker import HostBreaker
from gateway.metrics.http_metrics import HttpMetrics
from gateway.models.directory import ModelDirectory
from gateway.models.fleet import Fleet
from gateway.results.renderer import Renderer
from shared.catalog.presets import Preset, load_presets
from shared.catalog.rules import RuleBook, load_rules
from shared.documents.reader import DocumentReader
from shared.outbound.client import GuardedClient
from shared.queue.doorbell import DoorbellMessages
from shared.settings import Settings
from shared.store import Store
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.usage_store import UsageStore
from shared.store.batch_store import BatchStore
from shared.store.blobs.contents import BlobContents
from shared.store.connection import Breaker, Client, connect
from shared.store.fleet.forecasts import Forecasts
from shared.store.fleet.model_loads import ModelLoads
from shared.store.fleet.starting_workers import StartingWorkers
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.group_store import GroupStore
from shared.store.jobs.events import EventReader
from shared.store.jobs.review_store import ReviewStore
from shared.store.jobs.waiters import Waiters
from shared.store.operations.job_board import JobBoard
from shared.store.operations.queue_history import QueueHistory
from shared.store.redis_info import roles
from shared.store.session_store import SessionStore
from shared.store.uploads.direct_uploads import DirectUploads
from shared.store.uploads.document_store import DocumentFiles, DocumentStore
from shared.store.uploads.file_store import FileStore
from shared.store.uploads.image_store import ImageStore
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Services:
    """One object of each service; made once by create_app."""

    settings: Settings
    store: Store
    reviews: ReviewStore
    doorbells: DoorbellMessages
    api_keys: ApiKeyStore
    browser_guard: BrowserGuard
    cors: CorsPolicy
    images: ImageStore
    sessions: SessionStore
    events: EventReader
    waiters: Waiters
    workers: WorkerRegistry
    models: ModelDirectory
    fleet: Fleet
    starting: StartingWorkers
    forecasts: Forecasts
    store_health: StoreHealth
    admission: Admission
    constraints: ConstraintChecker
    decoder: Decoder
    documents: DocumentStore
    #: Files of documents whose pages are being looked at.
    document_files: DocumentFiles
    document_reader: DocumentReader
    deliveries: DeliveryStore
    files: FileStore
    #: None where everything lies in Redis.
    blobs: BlobContents | None
    #: None where clients may not send to the bucket themselves.
    direct_uploads: DirectUploads | None
    batches: BatchStore
    groups: GroupStore
    usage: UsageStore
    #: What operators see of all keys.
    job_board: JobBoard
    queue_history: QueueHistory
    audit: AuditLog
    #: Fetches the URLs that callers name.
    outbound: GuardedClient
    host_breaker: HostBreaker
    rules: RuleBook
    presets: Mapping[str, Preset]
    renderer: Renderer
    http_metrics: HttpMetrics
    tracing: Tracing
    #: A client of each Redis role, to check its health.
    servers: dict[str, Client]

    @classmethod
    def build(cls, settings: Settings) -> Services:
        """Return the services, which connect on first use; raises BadConfig."""
        rules = load_rules(settings)
        breaker = Breaker()
        store = Store(settings, connect(settings, breaker=breaker))
        workers = WorkerRegistry(store.redis, settings.heartbeat_ttl_s)
        starting = StartingWorkers(store.redis)
        forecasts = Forecasts(store.redis, workers)
        store_health = StoreHealth(settings, breaker)
        binary = connect(settings, text=False, breaker=breaker)
        blobs = BlobContents.open(settings, binary, BlobThreads(settings))
        documents = DocumentStore(settings, binary, blobs)
        return cls(
            settings=settings,
            store=store,
            reviews=ReviewStore(store.redis),
            doorbells=DoorbellMessages(store.redis),
            api_keys=ApiKeyStore(store.redis),
            browser_guard=BrowserGuard.of(settings),
            cors=CorsPolicy.of(settings),
            images=ImageStore(settings, binary, blobs),
            sessions=SessionStore(store.redis),
            # a blocking read must return before the socket's own timeout
            events=EventReader(store.redis, block_s=settings.redis_timeout_s / 2),
            waiters=Waiters(store.redis),
            workers=workers,
            models=ModelDirectory(workers, starting, settings),
            fleet=Fleet(ModelLoads(store.redis), forecasts, settings.default_name),
            starting=starting,
            forecasts=forecasts,
            store_health=store_health,
            admission=Admission(forecasts, store_health, settings),
            constraints=ConstraintChecker(),
            decoder=Decoder(settings),
            documents=documents,
            document_files=DocumentFiles(documents),
            document_reader=DocumentReader(settings),
            deliveries=DeliveryStore(settings, store.redis),
            files=FileStore(settings, binary, blobs),
            blobs=blobs,
            direct_uploads=DirectUploads(binary, blobs)
            if blobs and settings.blobs_direct
            else None,
            batches=BatchStore(settings, store.redis),
            groups=GroupStore(store.redis),
            usage=UsageStore(store.redis),
            job_board=JobBoard(store.redis),
            queue_history=QueueHistory(store.redis),
            audit=AuditLog.open(settings),
            outbound=GuardedClient.build(settings),
            host_breaker=HostBreaker.from_settings(settings),
            rules=rules,
            presets=load_presets(settings, rules),
            renderer=Renderer(),
            http_metrics=HttpMetrics(),
            tracing=Tracing(settings, "sightline-gateway"),
            servers=roles(settings),
        )


def current_services() -> Services:
    """Return the services of the app that handles this request."""
    services: Services = current_app.extensions["sightline"]
    return services
