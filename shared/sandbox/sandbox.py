"""The parent's side: one pool of children for each process, and a second try for each request."""

from __future__ import annotations

import os
import threading

from shared.sandbox import protocol
from shared.sandbox.pool import ChildDied, Pool


class Sandbox:
    """Runs a program's requests in killable children; one of it serves all threads of a process."""

    def __init__(
        self, program: str, *, name: str, size: int, memory_bytes: int, timeout_s: float
    ) -> None:
        """`program` is the module that children run, `name` what messages call them."""
        self._program = program
        self._name = name
        self._size = size
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._pool: Pool | None = None
        self._guard = threading.Lock()

    @property
    def pool(self) -> Pool:
        """Return the children of this process, which are made with the first call."""
        # a forked gunicorn worker must not use its parent's sockets
        with self._guard:
            if self._pool is None or self._pool.owner_pid != os.getpid():
                self._pool = Pool(self._program, self._size, self._name)
            return self._pool

    def start(self) -> None:
        """Start the children now instead of with the first request; call it after any fork."""
        self.pool.start()

    def close(self) -> None:
        """End all children; a later request starts new ones."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool and pool.owner_pid == os.getpid():
            pool.close()

    def ask(
        self,
        header: protocol.Header,
        data: bytes,
        *,
        max_body: int,
        wait_s: float,
        tenant: str = "",
        keep: bool = False,
    ) -> tuple[protocol.Header, bytes]:
        """Return the reply of a child; tenants take turns when all are busy.

        `keep`: more requests about the same `data` object follow, which is not sent again then;
        parent and child keep it until the child's next request. After a child died the next one is
        asked. Raises ChildOverran, ChildDied, and NoChild if none is free within `wait_s`.
        """
        limits = {"memory_bytes": self._memory_bytes, "timeout_s": self._timeout_s}
        for attempt in (1, 2):
            try:
                return self.pool.ask(
                    header | limits,
                    data,
                    timeout_s=self._timeout_s,
                    wait_s=wait_s,
                    max_body=max_body,
                    tenant=tenant,
                    keep=keep,
                )
            except ChildDied:
                # something else may have killed it; a second death is the file's fault
                if attempt == 2:
                    raise
        raise AssertionError
