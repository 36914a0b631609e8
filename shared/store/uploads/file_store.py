"""Files: what callers stored for batches and questions, and what batches wrote."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.errors import BlobsUnavailable, NotFound, StoreUnavailable
from shared.settings import Settings
from shared.store import keys
from shared.store.blobs.contents import BlobContents, not_here
from shared.store.blobs.file_content import BlobPieces, WrittenFile, write_file
from shared.store.connection import Client, connect, load_script
from shared.store.failures import RETRY_AFTER_S, confirm, guard

Purpose = Literal["batch", "batch_output", "user_data", "assistants", "vision", "ocr"]
#: Pieces that are written or read at once, and milliseconds for which those live that belong to
#: no file yet.
_PAGE = 200
_UNFINISHED_MS = 3_600_000
#: What put_file.lua returns where the file is not stored.
_BLOB_GONE, _PIECES_LOST = 0, 2


def new_file_id() -> str:
    """Return `file-` and 130 random bits."""
    return "file-" + secrets.token_hex(17)[:33].upper()


def new_link_id() -> str:
    """Return `link_` and 192 random bits."""
    return "link_" + secrets.token_hex(24)


class StoredFile(BaseModel):
    """A file without its content; times are milliseconds of Redis' clock."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    filename: str
    purpose: Purpose
    bytes: int
    #: Pieces of its content, from 0: its lines, where it is one of a batch.
    pieces: int
    created_ms: int
    expires_ms: int
    #: The blob that has its content, and its SHA-256; empty where Redis has it.
    blob: str = ""
    blob_sum: str = ""


class FileStore:
    """Stores files; every method raises StoreUnavailable without Redis."""

    def __init__(
        self,
        settings: Settings,
        client: Client | None = None,
        blobs: BlobContents | None = None,
    ) -> None:
        """Make a store; `client` must return bytes, and without `blobs` files lie in Redis."""
        self._blobs = blobs
        self._redis = client or connect(settings, text=False)
        self._put = load_script(self._redis, "files/put_file")
        self._delete = load_script(self._redis, "files/delete_file")

    def put(
        self, tenant: str, filename: str, purpose: Purpose, pieces: Iterable[bytes], ttl_s: int
    ) -> StoredFile:
        """Store a file, whose pieces are joined when it is read.

        Raises OutcomeUnknown, BlobsUnavailable, and StoreUnavailable where Redis has lost pieces.
        """
        file_id = new_file_id()
        key = keys.file(tenant, file_id)
        if self._blobs is None:
            size, number = self._write_pieces(key, pieces)
            written = WrittenFile("", "", b"", size, number)
        else:
            written = write_file(self._blobs, key, pieces)
        fields = {
            "filename": filename,
            "purpose": purpose,
            "bytes": written.bytes,
            **({"blob_sum": written.checksum} if written.blob else {}),
        }
        flat: list[Any] = [part for pair in fields.items() for part in pair]
        content = [written.pieces, written.blob, written.ends]
        args = [tenant, file_id, ttl_s * 1000, *content, *flat]
        outcome = confirm(lambda: self._put(keys=[], args=args), file_id=file_id)
        if outcome == _BLOB_GONE:
            raise BlobsUnavailable("The blob store took too long to store this.", retry_after_s=5)
        if outcome == _PIECES_LOST:
            raise StoreUnavailable(
                "The job store came back without a part of the file.", retry_after_s=RETRY_AFTER_S
            )
        return self.get(tenant, file_id)

    def _write_pieces(self, key: str, pieces: Iterable[bytes]) -> tuple[int, int]:
        """Write pieces for a file that is still to come; return their bytes and number."""
        number = size = 0
        page: dict[str, bytes] = {}
        for piece in pieces:
            page[str(number)] = piece
            number, size = number + 1, size + len(piece)
            if len(page) == _PAGE:
                self._write(key, page)
                page = {}
        if page:
            self._write(key, page)
        return size, number

    def _write(self, key: str, page: dict[str, bytes]) -> None:
        def write() -> None:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(key + keys.FILE_PIECES, mapping=page)
            pipe.pexpire(key + keys.FILE_PIECES, _UNFINISHED_MS)
            pipe.execute()

        confirm(write)

    def move_pieces(
        self, tenant: str, file_id: str, pieces: int, hold_on: Callable[[], None]
    ) -> WrittenFile | None:
        """Write the pieces of a file to come as a blob, which its row must name next.

        `hold_on` is called again and again meanwhile. None where files lie in Redis, or where a
        piece is gone. Raises BlobsUnavailable.
        """
        if self._blobs is None or not pieces:
            return None
        key = keys.file(tenant, file_id)
        written = write_file(self._blobs, key, self._iter_moved(key, pieces, hold_on))
        return written if written.pieces == pieces else None

    def _iter_moved(self, key: str, pieces: int, hold_on: Callable[[], None]) -> Iterator[bytes]:
        for first in range(0, pieces, _PAGE):
            hold_on()
            page = self._in_redis(key, range(first, min(first + _PAGE, pieces)))
            yield from (piece for piece in page if piece is not None)

    def get(self, tenant: str, file_id: str) -> StoredFile:
        """Return a file; raises NotFound."""
        with guard():
            fields = self._redis.hgetall(keys.file(tenant, file_id))
        if not fields:
            raise NotFound("There is no file under this ID.")
        return StoredFile(**{name.decode(): value.decode() for name, value in fields.items()})

    def page(
        self,
        tenant: str,
        limit: int,
        after: str | None,
        purpose: str | None = None,
        *,
        oldest_first: bool = False,
    ) -> tuple[list[StoredFile], bool]:
        """Return up to `limit` files of a purpose, or of any, and whether more follow."""
        index = keys.TENANT_FILES + tenant
        with guard():
            stored = self._redis.zrange(index, 0, -1, desc=not oldest_first)
        ids = [file_id.decode() for file_id in stored]
        files: list[StoredFile] = []
        for file_id in ids[ids.index(after) + 1 if after in ids else 0 :]:
            try:
                file = self.get(tenant, file_id)
                if purpose not in (None, file.purpose):
                    continue
                if len(files) == limit:
                    return files, True
                files.append(file)
            except NotFound:
                # its time is over
                with guard():
                    self._redis.zrem(index, file_id)
        return files, False

    def iter_pieces(self, tenant: str, file: StoredFile, first: int = 0) -> Iterator[bytes]:
        """Yield the pieces from number `first` on; raises NotFound where one is gone."""
        for begin in range(first, file.pieces, _PAGE):
            numbers = range(begin, min(begin + _PAGE, file.pieces))
            for _, piece in self._some_pieces(tenant, file, numbers):
                yield piece

    def read_pieces(
        self, tenant: str, file_id: str, numbers: Sequence[int]
    ) -> list[tuple[int, bytes]]:
        """Return these pieces with their numbers, which ascend; raises NotFound for one gone."""
        if not numbers:
            return []
        return list(self._some_pieces(tenant, self.get(tenant, file_id), numbers))

    def _some_pieces(
        self, tenant: str, file: StoredFile, numbers: Sequence[int]
    ) -> Iterator[tuple[int, bytes]]:
        key = keys.file(tenant, file.id)
        for number, piece in zip(numbers, self._load_pieces(key, file, numbers), strict=True):
            if piece is None:
                raise NotFound("The file is gone.")
            yield number, piece

    def _load_pieces(
        self, key: str, file: StoredFile, numbers: Sequence[int]
    ) -> Iterable[bytes | None]:
        if file.blob:
            if self._blobs is None:
                raise not_here()
            return BlobPieces(self._redis, self._blobs, key, file.blob).read(numbers)
        return self._in_redis(key, numbers)

    def _in_redis(self, key: str, numbers: Sequence[int]) -> list[bytes | None]:
        with guard():
            pieces: list[bytes | None] = self._redis.hmget(
                key + keys.FILE_PIECES, [str(number) for number in numbers]
            )
        return pieces

    def read(self, tenant: str, file_id: str) -> bytes:
        """Return the whole content of a file; raises NotFound."""
        file = self.get(tenant, file_id)
        if not file.blob or self._blobs is None:
            return b"".join(self.iter_pieces(tenant, file))
        data = self._blobs.read(file.blob, file.blob_sum)
        if data is None:
            raise NotFound("The file is gone.")
        return data

    def delete(self, tenant: str, file_id: str) -> None:
        """Delete a file; raises NotFound and OutcomeUnknown."""
        self.get(tenant, file_id)
        confirm(lambda: self._delete(keys=[], args=[tenant, file_id]), file_id=file_id)

    def make_link(self, tenant: str, file_id: str, ttl_s: int) -> str:
        """Return the id of a new link to a file; raises NotFound and OutcomeUnknown."""
        self.get(tenant, file_id)
        link_id = new_link_id()
        key, value = keys.FILE_LINK + link_id, f"{tenant} {file_id}"
        confirm(lambda: self._redis.set(key, value, px=ttl_s * 1000))
        return link_id

    def open_link(self, link_id: str) -> tuple[str, str]:
        """Return tenant and id of the file that a link opens; raises NotFound."""
        with guard():
            value = self._redis.get(keys.FILE_LINK + link_id)
        if value is None:
            raise NotFound("This link does not exist or has expired.")
        tenant, _, file_id = value.decode().rpartition(" ")
        return tenant, file_id
