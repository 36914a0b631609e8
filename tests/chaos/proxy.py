"""A TCP proxy on loopback that can delay, reset and silence its connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: Closing with this option sends a reset instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)
_CHUNK = 1 << 16


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one to the server behind it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    #: Sides (`requests`, `answers`) whose bytes are dropped from now on.
    silent: set[str] = field(default_factory=set)

    def abort(self) -> None:
        """Reset both connections."""
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def abort_if_silent(self) -> None:
        """Reset both connections if bytes were dropped: the rest makes no sense to the peer."""
        if self.silent:
            self.abort()


class Proxy:
    """Forwards connections to a port of this machine, from a thread of its own.

    New connections work as usual after every fault.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        #: Number of connections forwarded since the start.
        self.passed = 0
        self._target = target
        self._delay_s = 0.0
        self._is_cut = False
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._listening.wait(10)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def slow(self, delay_s: float, for_s: float) -> None:
        """Delay every chunk by `delay_s`, both ways, for `for_s` seconds."""
        self._delay_s = delay_s
        time.sleep(for_s)
        self._delay_s = 0.0

    def reset(self) -> None:
        """Reset all connections."""
        self._for_each_pair(_Pair.abort)

    def forget(self) -> None:
        """Leave all connections open, but drop their bytes both ways."""
        self._silence("requests", "answers")

    def lose_answers(self, for_s: float) -> None:
        """Forward requests and drop their answers for `for_s` seconds, then reset."""
        self._silence("answers")
        time.sleep(for_s)
        self._for_each_pair(_Pair.abort_if_silent)

    def cut(self, for_s: float) -> None:
        """Reset all connections, and every new one, for `for_s` seconds."""
        self._is_cut = True
        self.reset()
        time.sleep(for_s)
        self._is_cut = False

    def stop(self) -> None:
        """End the proxy and its connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _silence(self, *sides: str) -> None:
        self._for_each_pair(lambda pair: pair.silent.update(sides))

    def _for_each_pair(self, act: Callable[[_Pair], None]) -> None:
        finished = threading.Event()

        def act_on_all() -> None:
            for pair in self._pairs:
                act(pair)
            finished.set()

        self._loop.call_soon_threadsafe(act_on_all)
        finished.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end_connections())
        self._loop.close()

    async def _end_connections(self) -> None:
        """End every connection before its event loop."""
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for pair in list(self._pairs):
            pair.abort()
        if serving:
            await asyncio.wait(serving, timeout=5)
        # transports report their end one turn of the loop later
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, to_server)
        self._pairs.add(pair)
        self.passed += 1
        try:
            await asyncio.gather(
                self._pump(pair, "requests", reader, to_server),
                self._pump(pair, "answers", from_server, writer),
            )
        except OSError:
            pass
        finally:
            pair.abort()
            self._pairs.discard(pair)

    async def _pump(
        self, pair: _Pair, side: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(_CHUNK):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if side not in pair.silent:
                sink.write(data)
                await sink.drain()
        if side not in pair.silent:
            sink.close()


@contextlib.contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """Run a proxy to a port for the block."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.stop()
