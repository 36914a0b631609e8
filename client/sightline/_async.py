"""Performs the steps of operations with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import httpx

from sightline import _http
from sightline._api import Api
from sightline._images import load
from sightline._steps import Emit, Load, Read, Reply, Request, Sleep, Step, Steps, resume

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
        performing = _Performing(self._http)
        try:
            step = next(steps)
            while True:
                step = resume(steps, await performing.outcome(step))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            await performing.close()

    async def each(self, steps: Steps[None]) -> AsyncIterator[Any]:
        """Yield what an operation emits."""
        performing = _Performing(self._http)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Emit):
                    yield step.item
                step = resume(steps, await performing.outcome(step))
        except StopIteration:
            return
        finally:
            steps.close()
            await performing.close()


class _Performing:
    """The steps of one operation; holds the body that it reads."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def outcome(self, step: Step) -> Any:
        """Perform a step; return its outcome, or the NoAnswer that it met."""
        try:
            return await self._perform(step)
        except httpx.TransportError as error:
            return _http.no_answer(error, self._http.base_url)

    async def close(self) -> None:
        """Give up the body that is open."""
        if self._open is not None:
            await self._open.aclose()
            self._open = None

    async def _perform(self, step: Step) -> Any:
        if isinstance(step, Request):
            return await self._send(step)
        if isinstance(step, Read):
            return await anext(self._chunks, None) if self._chunks else None
        if isinstance(step, Load):
            return await asyncio.to_thread(load, step.source)
        return await asyncio.sleep(step.seconds) if isinstance(step, Sleep) else None

    async def _send(self, request: Request) -> Reply:
        await self.close()
        told = self._http.build_request(
            request.method, request.path, **_http.arguments(request, self._http.timeout)
        )
        response = await self._http.send(told, stream=True)
        if request.stream and response.is_success:
            self._open, self._chunks = response, response.aiter_bytes()
            return _http.reply(response)
        try:
            return _http.reply(response, await response.aread())
        finally:
            await response.aclose()
