"""A reading of Mistral's OCR with figures and annotations: further jobs of the same request."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask, Request, Response, current_app, g
from werkzeug.test import EnvironBuilder

from gateway.responses.following.held_response import HeldResponse, KeepAlive
from gateway.responses.reading_apis.figures import Figures, find_figures
from gateway.responses.reading_apis.held_reading import HeldReading
from gateway.responses.reading_apis.mistral import OcrExtras, OcrView
from gateway.responses.warning_header import add_warnings
from gateway.services import Services
from gateway.submission.fields.submission import Submission
from gateway.submission.idempotency import Idempotency, counts_retries
from gateway.submission.reading_apis.annotations import (
    ask_about_document,
    ask_about_figure,
    in_terms_of,
)
from gateway.submission.reading_apis.mistral import ReceivedOcr
from gateway.submission.request import ReceivedRequest
from gateway.submission.submit import Waiting, submit_received
from shared.jobs import FinishReason
from shared.jobs.row import JobRow
from shared.store.jobs.waiters import new_waiter

#: Figures of one document about which something is said, and those that are asked about at once.
_MOST_ANNOTATED, _AT_ONCE = 64, 4


@dataclass(frozen=True, slots=True)
class FurtherJobs:
    """Submits jobs of one request beside its first, also when its view function has returned."""

    app: Flask
    #: The request that waits.
    request: Request
    services: Services
    tenant: str
    key: str | None
    #: What is known of the caller.
    known: Mapping[str, Any]

    @classmethod
    def of(cls, request: Request, services: Services, idempotency: Idempotency) -> FurtherJobs:
        """Return what submits for the present request."""
        known = {name: getattr(g, name) for name in ("caller", "request_id", "traced")}
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        own = Request(request.environ)
        return cls(app, own, services, idempotency.tenant, idempotency.key, known)

    def submit(self, received: ReceivedRequest[Submission], name: str) -> HeldResponse:
        """Submit a job that a repeated request finds under this name; raises ServiceErrors."""
        key = None if self.key is None else f"{self.key}:{name}"
        idempotency = Idempotency(self.services.store, self.tenant, key, live=True)
        waiting = Waiting(new_waiter())
        with self._as_request() as request:
            stored = submit_received(request, received, self.services, idempotency, waiting)
        return self.hold(stored.row(), waiting.waiter)

    def hold(self, row: JobRow, waiter: str) -> HeldResponse:
        """Return what waits for a job in the name of the request."""
        may_retry = counts_retries(self.request)
        return HeldResponse(self.request, self.services, row, waiter, may_retry=may_retry)

    @contextmanager
    def _as_request(self) -> Iterator[Request]:
        builder = EnvironBuilder(self.request.path, method="POST")
        try:
            with self.app.request_context(builder.get_environ()) as context:
                for name, value in self.known.items():
                    setattr(g, name, value)
                yield context.request
        finally:
            builder.close()


@dataclass(frozen=True, slots=True)
class AnnotatedReading:
    """What one request has asked for, and the job that reads for it."""

    asked: ReceivedOcr
    row: JobRow
    jobs: FurtherJobs

    def respond(self, reading: HeldResponse, keep_alive: KeepAlive) -> Response:
        """Return the answer, or a body that goes on waiting for it; raises ServiceErrors."""
        held = HeldReading(self.jobs.request, lambda waits: self._gather(waits, reading))
        held.hold(reading)
        spent_s = time.perf_counter() - g.started_at
        quiet_s = max(0.0, keep_alive.quiet_s - spent_s)
        response = held.respond(replace(keep_alive, quiet_s=quiet_s))
        add_warnings(response, self.row)
        return response

    def _gather(self, held: HeldReading, reading: HeldResponse) -> dict[str, Any]:
        asked = self.asked
        services, annotations = self.jobs.services, asked.annotations
        about = self._ask_about_document(held) if annotations.document else None
        figures = Figures()
        if asked.options.figures:
            figures = find_figures(self.row, services, asked.options.figures)
        said = self._annotate_figures(held, figures) if annotations.figures else {}
        row = held.wait_for(reading)
        texts = {"": _whole_text(held.wait_for(about))} if about else {}
        notices = [*figures.notices(), *_notices({**texts, **said}, figures, bool(said))]
        whole = {name: text for name, text in said.items() if text is not None}
        extras = OcrExtras(figures, texts.get(""), whole, notices)
        return OcrView(services, asked.options, extras)(row)

    def _ask_about_document(self, held: HeldReading) -> HeldResponse:
        asked, settings = self.asked, self.jobs.services.settings
        with in_terms_of("document_annotation_format"):
            question = ask_about_document(asked.annotations, self.row, asked.own.values, settings)
            return held.hold(self.jobs.submit(question, "document"))

    def _annotate_figures(self, held: HeldReading, figures: Figures) -> dict[str, str | None]:
        """Return what is said about each figure; None where that was cut off."""
        asked, settings = self.asked, self.jobs.services.settings
        said: dict[str, str | None] = {}
        named = itertools.islice(figures.named(), _MOST_ANNOTATED)
        while some := list(itertools.islice(named, _AT_ONCE)):
            held.check_client()
            jobs = {}
            for one in some:
                with in_terms_of("bbox_annotation_format"):
                    question = ask_about_figure(
                        asked.annotations, one.data_url, asked.own.values, settings
                    )
                    jobs[one.name] = held.hold(self.jobs.submit(question, one.name))
            for name, job in jobs.items():
                said[name] = _whole_text(held.wait_for(job))
        return said


def _whole_text(row: JobRow) -> str | None:
    """Return an answer; None if it was cut off, and so is no JSON."""
    output = row.output or {}
    is_whole = output.get("finish_reason") == FinishReason.STOP
    return str(output["text"]) if is_whole else None


def _notices(
    texts: Mapping[str, str | None], figures: Figures, annotated: bool
) -> Iterator[dict[str, str]]:
    cut_off = sum(text is None for text in texts.values())
    if cut_off:
        detail = f"Left out, because they became too long: {cut_off} of {len(texts)} annotations."
        yield {"code": "annotation_left_out", "detail": detail}
    if annotated and sum(1 for _ in figures.named()) > _MOST_ANNOTATED:
        detail = f"Only the first {_MOST_ANNOTATED} figures have an annotation."
        yield {"code": "annotation_left_out", "detail": detail}
