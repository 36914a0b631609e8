"""The contents of rows that lie in the blob store: written before the row, checked when read."""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import Literal

from shared.blobs.address import BlobAddress
from shared.blobs.blob_store import RETRY_AFTER_S, BlobStore, MeasuredWriter, Run, open_backend
from shared.errors import BlobsUnavailable
from shared.settings import Settings
from shared.store.blobs.ledger import BlobLedger
from shared.store.connection import Client, connect

_log = logging.getLogger(__name__)

Kind = Literal["images", "documents", "files", "uploads"]
#: Name of the blob that shows that a folder is the one we know, below the folder.
_MARK = "mark"


class BlobContents:
    """Writes and reads blobs of rows; every method raises BlobsUnavailable and StoreUnavailable."""

    def __init__(self, ledger: BlobLedger, store: BlobStore, address: BlobAddress) -> None:
        self.ledger = ledger
        self.store = store
        self._address = str(address)
        self._home: str | None = None

    @classmethod
    def open(
        cls, settings: Settings, client: Client | None = None, run: Run | None = None
    ) -> BlobContents | None:
        """Return what SIGHTLINE_BLOBS names, None without it; raises BadConfig.

        `client` must return bytes; `run` runs calls that block.
        """
        backend = open_backend(settings)
        if backend is None:
            return None
        redis = client or connect(settings, text=False)
        address = BlobAddress.parse(settings.blobs)
        return cls(BlobLedger(redis), BlobStore(backend, run), address)

    @property
    def home(self) -> str:
        """Return the folder of this service, after a look that it is the one we know."""
        return self._home or self._find_home()

    def _find_home(self, *, probing: bool = False) -> str:
        home, is_marked = self.ledger.home(self._address)
        if is_marked:
            self.check_home(home, probing=probing)
        else:
            self.store.put(f"{home}/{_MARK}", b"sightline\n", probing=probing)
            self.ledger.note_marked(self._address)
        self._home = home
        return home

    def look(self) -> None:
        """Note whether the blob store answers and is ours; raises StoreUnavailable."""
        try:
            if self._home is None:
                self._find_home(probing=True)
            else:
                self.check_home(self._home, probing=True)
            self.store.refusal = None
        except BlobsUnavailable as error:
            self.store.refusal = error.detail

    @property
    def mark(self) -> str:
        """Return the name of the blob that is always there."""
        return f"{self.home}/{_MARK}"

    def check_home(self, home: str, *, probing: bool = False) -> None:
        """Raise BlobsUnavailable where a folder lacks its mark: all in it would seem to be gone."""
        if self.store.size(f"{home}/{_MARK}", probing=probing) is None:
            raise BlobsUnavailable(
                "The blob store is not the one that this service has used: its mark is missing.",
                retry_after_s=RETRY_AFTER_S,
            )

    def announce(self, kind: Kind, row: str) -> str:
        """Return the name of a blob that is about to be written for the row with this key."""
        name = f"{self.home}/{kind}/{secrets.token_hex(20)}"
        self.ledger.reserve(name, row)
        return name

    def write(self, kind: Kind, row: str, data: bytes) -> str:
        """Return the name of a new blob for the row with this key."""
        name = self.announce(kind, row)
        self.store.put(name, data)
        return name

    def open_writer(self, name: str) -> MeasuredWriter:
        """Return a writer of a blob that was announced, for a with statement."""
        return self.store.open_writer(name)

    def exists(self, name: str) -> bool:
        """Tell whether a blob is there."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Return the bytes of a blob; None if it is not there."""
        size = self.store.size(name)
        self._is_there(name, size)
        return size

    def read(self, name: str, checksum: str) -> bytes | None:
        """Return a blob; None if it is gone, or is not what was written."""
        data = self.store.get(name)
        if not self._is_there(name, data) or data is None:
            return None
        if checksum_of(data) != checksum:
            _log.error("blob.damaged", extra={"blob": name})
            return None
        return data

    def read_range(self, name: str, first: int, end: int) -> bytes | None:
        """Return the bytes from `first` up to `end`; None if the blob is gone or is shorter."""
        # no store knows an empty range
        data = self.store.get_range(name, first, end) if first < end else b""
        if not self._is_there(name, data) or data is None or len(data) != end - first:
            return None
        return data

    def _is_there(self, name: str, answer: object) -> bool:
        if answer is None:
            # an empty folder is no answer: perhaps it is not mounted
            self.check_home(name.partition("/")[0])
        return answer is not None


def checksum_of(data: bytes) -> str:
    """Return what a row keeps of its blob, so that another content is never taken for it."""
    return hashlib.sha256(data).hexdigest()


def not_here() -> BlobsUnavailable:
    """Return the error of a process that has no blob store, for a row that names a blob."""
    return BlobsUnavailable(
        "This lies in a blob store that this process does not know.",
        hint="The operator must set SIGHTLINE_BLOBS for every gateway and worker.",
        retry_after_s=RETRY_AFTER_S,
    )
