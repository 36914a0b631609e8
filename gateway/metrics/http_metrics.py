"""What this gateway counts of its own requests; all processes under one gunicorn add up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from shared.errors import ServiceError

#: Names the folder in which prometheus_client's processes share their figures.
SHARED_DIR = "PROMETHEUS_MULTIPROC_DIR"
_BOUNDS_S = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0)
_UNKNOWN = "unknown"


class HttpMetrics:
    """Counts requests, refusals and decoded images."""

    def __init__(self) -> None:
        """Figures of other processes are shared through files, if a folder is named for them."""
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

    def answered(
        self,
        method: str,
        route: str | None,
        status: int,
        seconds: float,
        refusal: ServiceError | None,
    ) -> None:
        """Count an answer, and the problem that it tells."""
        # names of what does not exist are a stranger's choice, and each would be a series
        method, place = (method, route) if route else (_UNKNOWN, _UNKNOWN)
        self._requests.labels(method, place, str(status)).inc()
        self._seconds.labels(place).observe(seconds)
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
        """Return what is to be exposed: of all processes where they share, else of this one."""
        if not os.environ.get(SHARED_DIR):
            return self._own
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared
