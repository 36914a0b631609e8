"""Traces for OpenTelemetry: from the request, through the queue, to the worker's stages.

The packages are an extra (`make install EXTRAS=otel`). Without an endpoint nothing is
recorded; a caller's traceparent is still passed on.
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
    """The trace of a running request."""

    #: Stored with the jobs of this request; None without a trace.
    traceparent: str | None
    #: OpenTelemetry's span, None if none is recorded.
    span: Any = None


class Tracing:
    """Records spans of one process and sends them in the background."""

    def __init__(self, settings: Settings, service: str) -> None:
        """`service` names the process; raises BadConfig when the packages are missing."""
        self._provider = _provider(settings, service) if settings.otlp_endpoint else None
        self._tracer: Any = self._provider.get_tracer("sightline") if self._provider else None

    def begin_request(self, traceparent: str | None) -> RequestTrace:
        """Begin the span of a request with this header; an invalid header is ignored."""
        valid = traceparent if traceparent and _TRACEPARENT.fullmatch(traceparent) else None
        if self._tracer is None:
            return RequestTrace(valid)
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span("request", _context(valid), SpanKind.SERVER)
        return RequestTrace(_traceparent(span), span)

    def end_request(self, trace: RequestTrace, method: str, route: str | None, status: int) -> None:
        """End the span of a request, with its response's status."""
        if trace.span is not None:
            trace.span.update_name(f"{method} {route}" if route else method)
            trace.span.set_attribute("http.request.method", method)
            trace.span.set_attribute("http.response.status_code", status)
            trace.span.end()

    def record_job(
        self, row: JobRow, status: str, metrics: Mapping[str, Any], ended_s: float
    ) -> None:
        """Record a finished job: a span from its creation, with a child span for each stage.

        The row's times are Redis' clock, `ended_s` is this machine's.
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
        context = set_span_in_context(job)
        self._record_stage("queue", context, row.queued_ms / 1000, started)
        for stage in STAGES:
            seconds = metrics.get(f"{stage}_s") or 0.0
            if seconds:
                self._record_stage(stage, context, started, started + seconds)
            started += seconds
        job.end(end_time=_ns(max(ended_s, started)))

    def _record_stage(self, name: str, context: Any, start_s: float, end_s: float) -> None:
        span: Any = self._tracer.start_span(name, context, start_time=_ns(start_s))
        span.end(end_time=_ns(end_s))

    def close(self) -> None:
        """Send the remaining spans."""
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
            "make install EXTRAS=otel"
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
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
