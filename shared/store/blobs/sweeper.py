"""The thread that deletes blobs without a row, and looks whether the blob store answers."""

from __future__ import annotations

import logging
import threading
import time

from shared.errors import BlobsUnavailable, StoreUnavailable
from shared.store.blobs.contents import BlobContents

_log = logging.getLogger(__name__)

#: Seconds between two passes, and between two looks at a store that answers or does not.
_PASS_S = 1.0
_PROBE_S, _PROBE_DOWN_S = 10.0, 1.0
#: Seconds for which one sweeper has what it deletes.
_LEASE_S = 120.0
#: Seconds between two listings of the whole store, and the age from which a blob in it must have
#: its row: longer than any upload takes.
_LIST_EVERY_S, _LISTED_AGE_S = 3600, 86_400.0


class BlobSweeper(threading.Thread):
    """One in every gateway and worker process; any number of them is safe."""

    def __init__(self, contents: BlobContents) -> None:
        super().__init__(name="blobs", daemon=True)
        self._contents = contents
        self._stopped = threading.Event()
        self._probed_at = float("-inf")

    def stop(self) -> None:
        """End the thread after its current pass."""
        self._stopped.set()

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.is_set():
            try:
                self.sweep()
            except StoreUnavailable as error:
                _log.info("blobs.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # nothing else notices that the store is back
                _log.exception("blobs.failed")
            self._contents.store.alarm.wait(_PASS_S)
            self._stopped.wait(0.1)

    def sweep(self) -> None:
        """Do one pass; raises BlobsUnavailable and StoreUnavailable."""
        self._probe()
        self._add_figures()
        if self._contents.store.refusal is None:
            while self._delete_some():
                pass
            if self._contents.ledger.may_list(_LIST_EVERY_S):
                self.find_unknown(_LISTED_AGE_S)

    def _probe(self) -> None:
        store = self._contents.store
        every_s = _PROBE_S if store.refusal is None else _PROBE_DOWN_S
        if not store.alarm.is_set() and time.monotonic() - self._probed_at < every_s:
            return
        store.alarm.clear()
        before = store.refusal
        self._contents.look()
        self._probed_at = time.monotonic()
        if before is None and store.refusal is not None:
            _log.error("blobs.down", extra={"cause": store.refusal})
        elif before is not None and store.refusal is None:
            _log.warning("blobs.back")

    def _add_figures(self) -> None:
        store = self._contents.store
        figures = store.take_figures()
        try:
            if figures:
                self._contents.ledger.add_figures(figures)
        except StoreUnavailable:
            store.give_back(figures)
            raise

    def _delete_some(self) -> int:
        """Delete blobs whose time has come; return how many."""
        names = self._contents.ledger.take(_LEASE_S)
        deleted = 0
        for home in sorted({name.partition("/")[0] for name in names}):
            deleted += self._delete([name for name in names if name.startswith(f"{home}/")], home)
        return deleted

    def _delete(self, names: list[str], home: str) -> int:
        """Delete blobs of one folder; return how many, 0 where it is not in this store."""
        try:
            # in another store nothing would be deleted, and all of it forgotten
            self._contents.check_home(home)
        except BlobsUnavailable:
            if home == self._contents.home:
                raise
            _log.warning("blobs.elsewhere", extra={"count": len(names), "home": home})
            return 0
        self._contents.store.delete(names)
        self._contents.ledger.forget(names)
        _log.info("blobs.deleted", extra={"count": len(names)})
        return len(names)

    def find_unknown(self, older_s: float) -> int:
        """Have blobs deleted that are older and in no list; return how many they are.

        Such are left by a Redis that has lost its last second.
        """
        contents, count = self._contents, 0
        for names in contents.store.iter_older(contents.home, older_s):
            count += contents.ledger.doom([name for name in names if name != contents.mark])
        if count:
            _log.warning("blobs.unknown", extra={"count": count})
        return count
