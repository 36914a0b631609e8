"""Traces for OpenTelemetry: from the request, through the queue, to the worker's stages.

The packages are an extra (`pip install sightline-server[otel]`); without an endpoint nothing is
traced, and a caller's traceparent only travels along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import BadConfig
from shared.jobs.row import JobRow
from shared.settings import Settings

#: Version, trace id, parent id and flags, as W3C writes them.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
STAGES = ("encode", "prefill", "decode")


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """A request that is under way."""

    #: What jobs of this request carry along; None without a trace.
    traceparent: str | None
    #: OpenTelemetry's span, if one is recorded.
    span: Any = None


class Tracing:
    """Records spans of one process and sends them in the background."""

    def __init__(self, settings: Settings, service: str) -> None:
        """`service` names the process; raises BadConfig when the packages are missing."""
        self._provider = _provider(settings, service) if settings.otlp_endpoint else None
        self._tracer: Any = self._provider.get_tracer("sightline") if self._provider else None

    def begin(self, traceparent: str | None) -> RequestTrace:
        """Note the beginning of a request that came with this header; a bad one does not count."""
        valid = traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None
        if self._tracer is None:
            return RequestTrace(valid)
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span("request", _context(valid), SpanKind.SERVER)
        return RequestTrace(_traceparent(span), span)

    def end(self, traced: RequestTrace, method: str, route: str | None, status: int) -> None:
        """Note the answer to a request."""
        if traced.span is not None:
            traced.span.update_name(f"{method} {route}" if route else method)
            traced.span.set_attribute("http.request.method", method)
            traced.span.set_attribute("http.response.status_code", status)
            traced.span.end()

    def job(self, row: JobRow, status: str, metrics: Mapping[str, Any], ended_s: float) -> None:
        """Record a finished job: one span from its creation, and below it a span for each stage.

        Times of the queue are of Redis' clock, `ended_s` of this machine's.
        """
        if self._tracer is None:
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        parent = _context((row.trace or {}).get("traceparent"))
        attributes = {"job.id": row.id, "job.status": status, "job.attempt": row.attempt}
        job = self._tracer.start_span(
            "job", parent, SpanKind.CONSUMER, attributes, start_time=row.created_ms * 1_000_000
        )
        if status == "failed":
            job.set_status(Status(StatusCode.ERROR))
        started = (row.started_ms or row.queued_ms) / 1000
        within = set_span_in_context(job)
        self._stage("queue", within, row.queued_ms / 1000, started)
        for stage in STAGES:
            seconds = metrics.get(f"{stage}_s") or 0.0
            if seconds:
                self._stage(stage, within, started, started + seconds)
            started += seconds
        job.end(end_time=_ns(max(ended_s, started)))

    def _stage(self, name: str, context: Any, start_s: float, end_s: float) -> None:
        span: Any = self._tracer.start_span(name, context, start_time=_ns(start_s))
        span.end(end_time=_ns(end_s))

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _provider(settings: Settings, service: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadConfig(
            "SIGHTLINE_OTLP_ENDPOINT is set, but the packages for it are missing: "
            "pip install 'sightline-server[otel]'"
        ) from error
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    endpoint = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=5), schedule_delay_millis=1000)
    )
    return provider


def _context(traceparent: str | None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparent} if traceparent else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _traceparent(span: Any) -> str:
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"
