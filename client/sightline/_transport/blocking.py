"""Performs the steps of operations with a blocking httpx client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from sightline._api import Api
from sightline._images import load
from sightline._steps import Emit, Load, Read, Reply, Request, Sleep, Step, Steps, resume
from sightline._transport import http as _http

T = TypeVar("T")


class Runner:
    """Runs operations of `api` over one pool of connections."""

    def __init__(self, http: httpx.Client, api: Api) -> None:
        self.api = api
        self._http = http

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, steps: Steps[T]) -> T:
        """Return the result of an operation that emits nothing."""
        performer = _StepPerformer(self._http)
        try:
            step = next(steps)
            while True:
                step = resume(steps, performer.perform(step))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            performer.close()

    def each(self, steps: Steps[None]) -> Iterator[Any]:
        """Yield the items that an operation emits."""
        performer = _StepPerformer(self._http)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Emit):
                    yield step.item
                step = resume(steps, performer.perform(step))
        except StopIteration:
            return
        finally:
            steps.close()
            performer.close()


class _StepPerformer:
    """Performs the steps of one operation; holds its open response body."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def perform(self, step: Step) -> Any:
        """Perform a step; return its outcome, or a NoAnswer if the connection failed."""
        try:
            return self._run_step(step)
        except httpx.TransportError as error:
            return _http.no_answer(error, self._http.base_url)

    def close(self) -> None:
        """Close the open response body, if any."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _run_step(self, step: Step) -> Any:
        if isinstance(step, Request):
            return self._send(step)
        if isinstance(step, Read):
            return next(self._chunks, None)
        if isinstance(step, Load):
            return load(step.source)
        return time.sleep(step.seconds) if isinstance(step, Sleep) else None

    def _send(self, request: Request) -> Reply:
        self.close()
        http_request = self._http.build_request(
            request.method, request.path, **_http.request_arguments(request, self._http.timeout)
        )
        response = self._http.send(http_request, stream=True)
        if request.stream and response.is_success:
            self._open, self._chunks = response, response.iter_bytes()
            return _http.reply(response)
        try:
            return _http.reply(response, response.read())
        finally:
            response.close()
