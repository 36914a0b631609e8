"""Metrics of this gateway's own requests, summed over the processes of its gunicorn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from shared.errors import ServiceError

#: The variable that names the folder where prometheus_client's processes share their counts.
SHARED_DIR = "PROMETHEUS_MULTIPROC_DIR"
_BOUNDS_S = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
_UNKNOWN = "unknown"


class HttpMetrics:
    """Counts and times requests, refusals and image decoding."""

    def __init__(self) -> None:
        """Share counts with other processes through files if `SHARED_DIR` names a folder."""
        self._own = CollectorRegistry()
        self._requests = Counter(
            "sightline_http_requests",
            "HTTP responses.",
            ("method", "route", "status"),
            registry=self._own,
        )
        self._seconds = Histogram(
            "sightline_http_request_seconds",
            "Seconds until the response started; long polls wait on purpose.",
            ("route",),
            buckets=_BOUNDS_S,
            registry=self._own,
        )
        self._refusals = Counter(
            "sightline_http_refusals",
            "Refused requests, by error code.",
            ("code", "status"),
            registry=self._own,
        )
        self._decoded = Histogram(
            "sightline_image_decode_seconds",
            "Seconds to decode an upload into a canonical image, including refused ones.",
            buckets=_BOUNDS_S,
            registry=self._own,
        )

    def count_response(
        self,
        method: str,
        route: str | None,
        status: int,
        seconds: float,
        refusal: ServiceError | None,
    ) -> None:
        """Count a response, and its problem if it is one; `seconds` is until it began."""
        # callers choose the paths and methods that do not exist, and each would be a series
        method, route_name = (method, route) if route else (_UNKNOWN, _UNKNOWN)
        self._requests.labels(method, route_name, str(status)).inc()
        self._seconds.labels(route_name).observe(seconds)
        if refusal:
            self._refusals.labels(refusal.code, str(status)).inc()

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Time the decoding of one image inside the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._decoded.observe(time.perf_counter() - began)

    def registry(self) -> CollectorRegistry:
        """Return the metrics of all processes that share them, or else of this one."""
        if not os.environ.get(SHARED_DIR):
            return self._own
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared
