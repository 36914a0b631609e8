"""The service's metrics for Prometheus, read from Redis: every gateway shows the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.models.fleet import Fleet, FleetModel
from shared.blobs.blob_store import BlobStore
from shared.errors import StoreUnavailable
from shared.prediction.cost_model import FleetSnapshot
from shared.prediction.heartbeat import Heartbeat
from shared.store import Store
from shared.store.connection import Client
from shared.store.fleet.forecasts import RATIO_STEP, RATIO_STEPS, Forecasts, PredictionAccuracy
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.jobs import job_metrics
from shared.store.jobs.reader import Load
from shared.store.redis_info import RedisState, redis_state
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.store.webhooks.delivery_types import Outbox

_COUNTED = {
    "jobs": "Job events.",
    "deliveries": "Webhook delivery events.",
}
#: Shown as 0 from the start: Prometheus sees no increase in a series that begins above 0.
_EVENTS = {
    "jobs": (
        "submitted",
        "succeeded",
        "failed",
        "canceled",
        "expired",
        "poison",
        "lost_lease",
        "reviewed",
    ),
    "deliveries": ("attempts", "delivered", "failed"),
}
_LOOKUPS: dict[job_metrics.Labels, float] = {
    (("cache", cache), ("state", state)): 0.0
    for cache in ("features", "prefix")
    for state in ("hit", "miss")
}
_SUMMED = {
    "tokens": "Tokens of finished jobs, by kind.",
    "cache_lookups": "Cache hits and misses of finished jobs, for features and prefixes.",
    "job_errors": "Failed jobs, by error code.",
    "delivery_failures": "Failed webhook deliveries, by reason.",
    "blob_requests": "Requests to the blob store, by kind and outcome.",
    "blob_bytes": "Bytes sent to and received from the blob store.",
}
_HISTOGRAMS = {
    "stage_seconds": "Seconds that finished jobs spent in each stage.",
    "blob_seconds": "Seconds of requests to the blob store, by kind.",
}


@dataclass(frozen=True, slots=True)
class MetricSources:
    """What the metrics are read from."""

    store: Store
    workers: WorkerRegistry
    deliveries: DeliveryStore
    fleet: Fleet
    #: A client of each Redis role.
    servers: dict[str, Client]
    #: None where everything lies in Redis.
    blobs: BlobStore | None = None


class ServiceCollector(Collector):
    """Reads the state of the whole service from Redis at each scrape."""

    def __init__(self, sources: MetricSources) -> None:
        """Keep the sources; nothing is read before a scrape."""
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those of the gateway and of Redis alone while Redis is down."""
        yield InfoMetricFamily(
            "sightline_gateway", "This gateway.", {"version": version("sightline-server")}
        )
        states = {role: _state_or_none(client) for role, client in self._sources.servers.items()}
        yield from collect_servers(states)
        if self._sources.blobs is not None:
            up = float(self._sources.blobs.refusal is None)
            yield _gauge("blobs_up", "Whether the blob store answers this gateway.", ((), up))
        if states["queue"] is None:
            return
        try:
            # read before anything is yielded: half an exposition would be worse than none
            families = list(self._collect_store())
        except StoreUnavailable:
            return
        yield from families

    def _collect_store(self) -> Iterator[Metric]:
        sources = self._sources
        workers = sources.workers.fresh()
        load = sources.store.load()
        forecasts = Forecasts(sources.store.redis, sources.workers)
        yield from collect_queues(load, forecasts.read().fleet)
        yield from collect_backlog(forecasts.predict_work_s())
        yield from collect_predictions(forecasts.read_accuracy())
        yield from collect_workers(workers)
        yield from collect_models(list(sources.fleet.read(workers)))
        yield from collect_counters(sources.store.counters())
        yield from collect_job_metrics(sources.store.read_metrics())
        yield from collect_outbox(sources.deliveries.outbox())


def _state_or_none(client: Client) -> RedisState | None:
    try:
        return redis_state(client)
    except StoreUnavailable:
        return None


def _gauge(name: str, text: str, *series: tuple[tuple[str, ...], float], by: str = "") -> Metric:
    family = GaugeMetricFamily(f"sightline_{name}", text, labels=by.split())
    for labels, value in series:
        family.add_metric(labels, value)
    return family


def collect_servers(states: dict[str, RedisState | None]) -> Iterator[Metric]:
    """Yield whether each Redis role answers, and its memory; a state is None if it does not."""
    up = [((role,), float(state is not None)) for role, state in states.items()]
    yield _gauge("redis_up", "Whether this Redis responds.", *up, by="role")
    known = [(role, state) for role, state in states.items() if state]
    writable = [((role,), float(state.refusal is None)) for role, state in known]
    yield _gauge("redis_writable", "Whether this Redis takes writes.", *writable, by="role")
    used = [(role, state.used_bytes) for role, state in known]
    yield _shown_gauge("redis_memory_used_bytes", "Memory used by Redis.", used)
    limits = [(role, state.max_bytes) for role, state in known]
    yield _shown_gauge("redis_memory_max_bytes", "Redis' maxmemory; 0 if unset.", limits)
    replicas = [(role, state.replicas) for role, state in known]
    yield _shown_gauge("redis_replicas", "Replicas that are connected and up to date.", replicas)
    evicted = CounterMetricFamily(
        "sightline_redis_evicted_keys",
        "Keys that Redis evicted for lack of memory.",
        labels=["role"],
    )
    for role, state in known:
        if state.evicted_keys is not None:
            evicted.add_metric([role], state.evicted_keys)
    yield evicted


def _shown_gauge(name: str, text: str, values: list[tuple[str, int | None]]) -> Metric:
    """Return a gauge of the servers that let their user ask."""
    known = [((role,), float(value)) for role, value in values if value is not None]
    return _gauge(name, text, *known, by="role")


def collect_queues(load: Load, fleet: FleetSnapshot) -> Iterator[Metric]:
    """Yield queue depths and waits."""
    depths = [((name,), float(depth)) for name, depth in load.depths.items()]
    yield _gauge("queue_depth", "Waiting jobs, by queue.", *depths, by="queue")
    yield _gauge("jobs_running", "Jobs held by a worker.", ((), load.running))
    yield _gauge(
        "queue_oldest_wait_seconds", "Wait of the oldest waiting job.", ((), load.oldest_wait_s)
    )
    wait = fleet.predict_wait_s(sum(load.depths.values()))
    if wait is not None:
        yield _gauge(
            "queue_predicted_wait_seconds", "Predicted wait of a job submitted now.", ((), wait)
        )


def collect_backlog(seconds: float | None) -> Iterator[Metric]:
    """Yield the work ahead; nothing while nobody knows how long jobs take."""
    text = "Predicted seconds that one worker would need for all waiting and running jobs."
    if seconds is not None:
        yield _gauge("backlog_seconds", text, ((), seconds))


def collect_predictions(accuracy: PredictionAccuracy) -> Iterator[Metric]:
    """Yield how the seconds of finished jobs compare with their predictions."""
    below, buckets = 0.0, []
    for step in range(-RATIO_STEPS, RATIO_STEPS + 1):
        below += accuracy.steps.get(step, 0)
        buckets.append((f"{RATIO_STEP ** (step + 0.5):.4g}", below))
    ratios = HistogramMetricFamily(
        "sightline_prediction_ratio", "Actual divided by predicted seconds of finished jobs."
    )
    ratios.add_metric([], [*buckets, ("+Inf", below)], sum_value=None)
    yield ratios
    seconds = CounterMetricFamily(
        "sightline_prediction_seconds",
        "Predicted and actual seconds of finished jobs.",
        labels=["kind"],
    )
    seconds.add_metric(["predicted"], accuracy.predicted_s)
    seconds.add_metric(["actual"], accuracy.actual_s)
    yield seconds
    if accuracy.median_error is not None:
        yield _gauge(
            "prediction_median_error",
            "Median relative error of predictions.",
            ((), accuracy.median_error),
        )


def collect_workers(workers: list[Heartbeat]) -> Iterator[Metric]:
    """Yield states and speeds of workers, from their heartbeats."""
    states = {"ready": 0, "draining": 0}
    for worker in workers:
        states["draining" if worker.draining else "ready"] += 1
    counts = [((state,), float(count)) for state, count in states.items()]
    yield _gauge("workers", "Workers with a fresh heartbeat, by state.", *counts, by="state")
    infos = [((w.id, w.model, w.numerics, w.version), 1.0) for w in workers]
    yield _gauge("worker_info", "A worker.", *infos, by="worker model numerics version")
    yield _worker_gauge(workers, "slots", "Jobs that the worker can run at once.")
    yield _worker_gauge(workers, "busy", "Jobs that the worker is running.")
    yield _worker_gauge(workers, "seconds_per_job", "Busy seconds of the worker per job.")
    yield _worker_gauge(workers, "batch_requests", "Requests that share a pass of the model.")
    speeds = [
        ((worker.id, stage), getattr(worker, f"{stage}_tokens_per_s"))
        for worker in workers
        for stage in ("encode", "prefill", "decode")
    ]
    text = "The worker's measured speed, by stage; decode is for one answer."
    yield _gauge("worker_tokens_per_second", text, *speeds, by="worker stage")


_MODEL_GAUGES: dict[str, tuple[str, Callable[[FleetModel], float | None]]] = {
    "queue_depth": ("Jobs that wait for the model.", lambda model: model.load.queued),
    "jobs_running": ("Jobs of the model held by a worker.", lambda model: model.load.running),
    "oldest_wait_seconds": (
        "Wait of the oldest job that waits for the model.",
        lambda model: model.load.oldest_wait_s,
    ),
    "predicted_wait_seconds": (
        "Predicted wait of a job for the model submitted now.",
        lambda model: model.wait_s,
    ),
    "backlog_seconds": (
        "Predicted seconds that one worker of the model would need for all of its jobs.",
        lambda model: model.work_s,
    ),
    "workers": ("Workers that serve the model.", lambda model: len(model.workers)),
    "slots": ("Jobs that the model's workers can run at once.", lambda model: model.slots),
}


def collect_models(models: list[FleetModel]) -> Iterator[Metric]:
    """Yield what waits and runs for each model; nothing of what is not known of one."""
    for name, (text, read) in _MODEL_GAUGES.items():
        values = [((model.name,), read(model)) for model in models]
        known = [(labels, float(value)) for labels, value in values if value is not None]
        yield _gauge(f"model_{name}", text, *known, by="model")


def _worker_gauge(workers: list[Heartbeat], field: str, text: str) -> Metric:
    values = [((worker.id,), float(getattr(worker, field))) for worker in workers]
    return _gauge(f"worker_{field}", text, *values, by="worker")


def collect_counters(counters: dict[str, int]) -> Iterator[Metric]:
    """Yield the counters of events; `counters` has them as `prefix.event`."""
    for prefix, text in _COUNTED.items():
        family = CounterMetricFamily(f"sightline_{prefix}", text, labels=["event"])
        zeros = {f"{prefix}.{event}": 0 for event in _EVENTS[prefix]}
        for name, count in sorted((zeros | counters).items()):
            kind, _, event = name.partition(".")
            if kind == prefix:
                family.add_metric([event], count)
        yield family


def collect_job_metrics(snapshot: job_metrics.MetricsSnapshot) -> Iterator[Metric]:
    """Yield sums and histograms over all finished jobs."""
    for name, text in _SUMMED.items():
        zeros = _LOOKUPS if name == "cache_lookups" else {}
        series = {**zeros, **snapshot.sums.get(name, {})}
        summed = CounterMetricFamily(f"sightline_{name}", text, labels=_names(series))
        for labels, value in sorted(series.items()):
            summed.add_metric([word for _, word in labels], value)
        yield summed
    for name, text in _HISTOGRAMS.items():
        series_by_labels = snapshot.histograms.get(name, {})
        family = HistogramMetricFamily(f"sightline_{name}", text, labels=_names(series_by_labels))
        for labels, histogram in sorted(series_by_labels.items()):
            family.add_metric(
                [word for _, word in labels], list(histogram.buckets), histogram.total
            )
        yield family


def _names(series: Iterable[job_metrics.Labels]) -> list[str]:
    return [key for key, _ in next(iter(series), ())]


def collect_outbox(outbox: Outbox) -> Iterator[Metric]:
    """Yield the lag of webhook deliveries and the endpoints that get none for now."""
    text = "Seconds by which the most urgent webhook is overdue; grows if no courier is running."
    yield _gauge("webhook_lag_seconds", text, ((), outbox.lag_s))
    counts = (("open",), float(outbox.open)), (("disabled",), float(outbox.disabled))
    text = "Endpoints not contacted: temporarily (open) or until a test succeeds (disabled)."
    yield _gauge("webhook_endpoints", text, *counts, by="state")
