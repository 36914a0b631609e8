"""Performs the steps of operations with an asynchronous httpx client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx

from sightline._api import Api
from sightline._images import load
from sightline._steps import Emit, Load, Read, Reply, Request, Sleep, Step, Steps, resume
from sightline._transport import http as _http

T = TypeVar("T")


class AsyncRunner:
    """Runs operations of `api` over one pool of connections."""

    def __init__(self, http: httpx.AsyncClient, api: Api) -> None:
        self.api = api
        self._http = http

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, steps: Steps[T]) -> T:
        """Return the result of an operation that emits nothing."""
        performer = _StepPerformer(self._http)
        try:
            step = next(steps)
            while True:
                step = resume(steps, await performer.perform(step))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            await performer.close()

    async def each(self, steps: Steps[None]) -> AsyncIterator[Any]:
        """Yield the items that an operation emits."""
        performer = _StepPerformer(self._http)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Emit):
                    yield step.item
                step = resume(steps, await performer.perform(step))
        except StopIteration:
            return
        finally:
            steps.close()
            await performer.close()


class _StepPerformer:
    """Performs the steps of one operation; holds its open response body."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def perform(self, step: Step) -> Any:
        """Perform a step; return its outcome, or a NoAnswer if the connection failed."""
        try:
            return await self._run_step(step)
        except httpx.TransportError as error:
            return _http.no_answer(error, self._http.base_url)

    async def close(self) -> None:
        """Close the open response body, if any."""
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    async def _run_step(self, step: Step) -> Any:
        if isinstance(step, Request):
            return await self._send(step)
        if isinstance(step, Read):
            return await anext(self._chunks, None) if self._chunks else None
        if isinstance(step, Load):
            return await asyncio.to_thread(load, step.source)
        return await asyncio.sleep(step.seconds) if isinstance(step, Sleep) else None

    async def _send(self, request: Request) -> Reply:
        await self.close()
        http_request = self._http.build_request(
            request.method, request.path, **_http.request_arguments(request, self._http.timeout)
        )
        response = await self._http.send(http_request, stream=True)
        if request.stream and response.is_success:
            self._open, self._chunks = response, response.aiter_bytes()
            return _http.reply(response)
        try:
            return _http.reply(response, await response.aread())
        finally:
            await response.aclose()
