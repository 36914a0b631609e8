"""The content of an image or a document: in its row, or in the blob that its row names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.commands.core import Script

from shared.blobs.blob_store import RETRY_AFTER_S
from shared.errors import BlobsUnavailable
from shared.store.blobs.contents import BlobContents, Kind, checksum_of, not_here
from shared.store.connection import Client
from shared.store.failures import confirm, guard

_NO_CONTENT = -1
#: Looks at a row whose blob was exchanged for another between two steps of a reader.
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that is about to be stored."""

    key: str
    content: bytes
    #: How long it is kept, the job that needs it and the job's owner, as put_image.lua takes them.
    terms: tuple[int, str, str]
    fields: Mapping[str, str | int]
    #: What the caller is shown where the outcome stays unknown.
    known: Mapping[str, str]


class RowContent:
    """Puts and reads the contents of one kind of rows."""

    def __init__(
        self, client: Client, put: Script, kind: Kind, field: str, blobs: BlobContents | None
    ) -> None:
        """`field` is the row's field that has the content where it is in Redis."""
        self._redis = client
        self._put = put
        self._kind: Kind = kind
        self._field = field
        self._blobs = blobs

    def put(self, row: NewRow) -> bool:
        """Store a row with its content; return False if the job is no longer its owner's.

        Raises OutcomeUnknown, BlobsUnavailable and StoreUnavailable.
        """
        if self._blobs is None:
            fields = {**row.fields, self._field: row.content, "bytes": len(row.content)}
            return bool(self._send(row, ("row", "", "", 0, ""), fields))
        has_content, lost = self._find_content(row.key, self._blobs)
        if has_content:
            reply = self._send(row, ("blob", "", "", 0, ""), row.fields)
            if reply != _NO_CONTENT:
                return bool(reply)
        return self._put_blob(row, lost, self._blobs)

    def _put_blob(self, row: NewRow, lost: str, blobs: BlobContents) -> bool:
        name = blobs.write(self._kind, row.key, row.content)
        place = ("blob", name, checksum_of(row.content), len(row.content), lost)
        reply = self._send(row, place, row.fields)
        if reply == _NO_CONTENT:
            raise BlobsUnavailable(
                "The blob store took too long to store this.", retry_after_s=RETRY_AFTER_S
            )
        return bool(reply)

    def _send(self, row: NewRow, place: Sequence[Any], fields: Mapping[str, Any]) -> int:
        flat = [part for pair in fields.items() for part in pair]
        args = [*row.terms, *place, *flat]
        return int(confirm(lambda: self._put(keys=[row.key], args=args), **row.known))

    def _find_content(self, key: str, blobs: BlobContents) -> tuple[bool, str]:
        """Return whether a row has its content, and the name of a blob that it has lost."""
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hexists(key, self._field)
            pipe.hget(key, "blob")
            in_row, blob = pipe.execute()
        if in_row or blob is None:
            return bool(in_row), ""
        name = blob.decode()
        return (True, "") if blobs.exists(name) else (False, name)

    def read_all(self, row_keys: Sequence[str]) -> list[bytes | None]:
        """Return the content of each row, None for one that is gone.

        Raises BlobsUnavailable and StoreUnavailable.
        """
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            for key in row_keys:
                pipe.hmget(key, self._field, "blob", "blob_sum")
            rows = pipe.execute()
        return [
            content if content is not None or blob is None else self._read(key, blob, checksum)
            for key, (content, blob, checksum) in zip(row_keys, rows, strict=True)
        ]

    def _read(self, key: str, blob: bytes, checksum: bytes) -> bytes | None:
        if self._blobs is None:
            raise not_here()
        for _ in range(_LOOKS):
            data = self._blobs.read(blob.decode(), checksum.decode())
            if data is not None:
                return data
            with guard():
                latest, checksum = self._redis.hmget(key, "blob", "blob_sum")
            if latest in (None, blob):
                return None
            blob = latest
        return None
