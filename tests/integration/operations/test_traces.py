"""Traces at a collector: one from the request through the queue to the stages."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared import tracing
from shared.errors import BadConfig
from shared.settings import Settings
from tests.support.harness import System, eventually

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(http.server.ThreadingHTTPServer):
    """An OTLP receiver on loopback; its spans by (service, name)."""

    def __init__(self) -> None:
        self.spans: dict[tuple[str, str], object] = {}
        super().__init__(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Receiver(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {a.key: a.value.string_value for a in resource_spans.resource.attributes}
            for scope in resource_spans.scope_spans:
                for span in scope.spans:
                    self.server.spans[names["service.name"], span.name] = span
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


def test_one_trace_leads_from_the_callers_request_to_the_workers_stages(
    system: System, collector: Collector
):
    env = {"SIGHTLINE_OTLP_ENDPOINT": collector.url}
    worker = system.worker(**env)
    _, http = system.gateway(**env)
    body = {"prompt": "What is it?", "max_new_tokens": 4}
    job = http.post(
        "/v1/jobs", json=body, headers={"traceparent": CALLER, "Prefer": "wait=60"}
    ).json()
    spans = collector.spans
    request = eventually(lambda: spans.get(("sightline-gateway", "POST /v1/jobs")))
    job_span = eventually(lambda: spans.get(("sightline-worker", "job")))
    assert request.trace_id.hex() == job_span.trace_id.hex() == CALLER.split("-")[1]
    assert request.parent_span_id.hex() == CALLER.split("-")[2]
    assert job_span.parent_span_id == request.span_id
    attributes = {a.key: a.value.string_value for a in job_span.attributes}
    assert (attributes["job.id"], attributes["job.status"]) == (job["id"], "succeeded")
    queue, decode = (spans["sightline-worker", stage] for stage in ("queue", "decode"))
    assert queue.parent_span_id == decode.parent_span_id == job_span.span_id
    took_s = (decode.end_time_unix_nano - decode.start_time_unix_nano) / 1e9
    assert took_s == pytest.approx(job["metrics"]["decode_s"], abs=0.002)
    # seconds as floats are good to a quarter of a microsecond
    assert job_span.start_time_unix_nano <= queue.start_time_unix_nano + 1_000
    assert queue.start_time_unix_nano <= queue.end_time_unix_nano
    (line,) = [json.loads(x) for x in worker.logs().splitlines() if '"job.finished"' in x]
    assert line["traceparent"].split("-")[1] == CALLER.split("-")[1]


def test_without_a_collector_a_callers_trace_only_travels_along():
    quiet = tracing.Tracing(Settings(), "test")
    assert quiet.begin_request(CALLER) == tracing.RequestTrace(CALLER)
    for bad in (None, "", "01-x", CALLER.replace("b7ad6b7169203331", "0" * 16), CALLER + "\n"):
        assert quiet.begin_request(bad).traceparent is None


def test_an_endpoint_without_the_packages_is_told_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(BadConfig, match="make install EXTRAS=otel"):
        tracing.Tracing(Settings(otlp_endpoint="http://127.0.0.1:4318"), "test")
