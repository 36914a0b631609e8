"""The document store: files of many pages, named by the sha256 of what was sent.

A document lives as an image does, by the same scripts: as long as a job or a conversation needs it,
or for a while if it was uploaded by itself.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.documents.model import DocumentInfo, DocumentKind, PageInfo, TextDoubt
from shared.errors import NotFound
from shared.jobs.row import dump
from shared.settings import Settings
from shared.store import keys
from shared.store.blobs.contents import BlobContents
from shared.store.blobs.row_content import NewRow, RowContent
from shared.store.connection import Client, connect, load_script
from shared.store.failures import confirm, guard

_HEADER = ("bytes", "sent_bytes", "info", "notices")


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as the service keeps it: never encrypted, so that no password is kept."""

    #: `doc_` + SHA-256 of the file as it was sent.
    id: str
    file: bytes
    #: Bytes of the file as it was sent.
    sent_bytes: int
    info: DocumentInfo
    #: Notices of what was done to the file, as `{"code": …, "detail": …}`.
    notices: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentHeader:
    """A document without its file."""

    id: str
    #: Bytes of the file as it was sent.
    sent_bytes: int
    info: DocumentInfo
    notices: tuple[dict[str, str], ...]
    expires_in_s: int


class DocumentStore:
    """Stores documents for jobs; every method raises StoreUnavailable without Redis."""

    def __init__(
        self,
        settings: Settings,
        client: Client | None = None,
        blobs: BlobContents | None = None,
    ) -> None:
        """Make a store; `client` must return bytes, and without `blobs` files lie in Redis."""
        self._settings = settings
        self._redis = client or connect(settings, text=False)
        put = load_script(self._redis, "images/put_image")
        self._contents = RowContent(self._redis, put, "documents", "file", blobs)
        self._release = load_script(self._redis, "images/release_image")
        self._delete = load_script(self._redis, "images/delete_image")

    def put(
        self, tenant: str, document: StoredDocument, *, uploaded: bool = False, job_id: str = ""
    ) -> None:
        """Store a document; an `uploaded` one stays when the jobs that used it are erased.

        `job_id` is a job that is about to be stored with it. Raises OutcomeUnknown where Redis does
        not confirm it, and BlobsUnavailable.
        """
        fields: dict[str, str | int] = {
            "sent_bytes": document.sent_bytes,
            "info": _dump_info(document.info),
            "notices": dump(list(document.notices)),
        }
        if uploaded:
            fields["uploaded"] = 1
        self._contents.put(
            NewRow(
                keys.document(tenant, document.id),
                document.file,
                (self._settings.image_ttl_s * 1000, job_id, ""),
                fields,
                {"document_id": document.id},
            )
        )

    def release(self, tenant: str, document_id: str, job_id: str) -> None:
        """Take back a document that was put for a job that was not stored in the end."""
        with guard():
            self._release(keys=[keys.document(tenant, document_id)], args=[job_id])

    def header(self, tenant: str, document_id: str) -> DocumentHeader:
        """Return the header of a document; raises NotFound."""
        key = keys.document(tenant, document_id)
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(key, _HEADER)
            pipe.ttl(key)
            values, ttl = pipe.execute()
        if values[0] is None:
            raise NotFound
        _, sent_bytes, info, notices = values
        return DocumentHeader(
            document_id,
            int(sent_bytes),
            _parse_info(info),
            tuple(json.loads(notices)),
            max(0, int(ttl)),
        )

    def file(self, tenant: str, document_id: str) -> bytes | None:
        """Return the file of a document, without encryption; None if it is gone.

        Raises BlobsUnavailable too.
        """
        return self._contents.read_all([keys.document(tenant, document_id)])[0]

    def exists(self, tenant: str, document_id: str) -> bool:
        """Tell whether a document is still stored."""
        with guard():
            return bool(self._redis.exists(keys.document(tenant, document_id)))

    def delete(self, tenant: str, document_id: str) -> None:
        """Delete a document; an unfinished job that needs it will fail as document_gone.

        Raises NotFound, and OutcomeUnknown where Redis does not confirm it.
        """
        key = keys.document(tenant, document_id)
        with guard():
            if not self._redis.exists(key):
                raise NotFound
        confirm(lambda: self._delete(keys=[key]), document_id=document_id)


class DocumentFiles:
    """The files of documents that were read last, so that each page does not fetch all of it.

    Threads share it. A document that was deleted meanwhile is found gone all the same.
    """

    def __init__(self, store: DocumentStore, most_bytes: int = 64 << 20) -> None:
        """Keep files of `most_bytes` altogether, or a single larger one."""
        self._store = store
        self._most_bytes = most_bytes
        #: By tenant and document id, the one used longest ago first.
        self._files: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()

    def get(self, tenant: str, document_id: str) -> bytes | None:
        """Return the file of a document, None if it is gone; raises StoreUnavailable."""
        key = (tenant, document_id)
        with self._lock:
            file = self._files.pop(key, None)
        if file is None:
            file = self._store.file(tenant, document_id)
        elif not self._store.exists(tenant, document_id):
            file = None
        if file is not None:
            self._keep(key, file)
        return file

    def _keep(self, key: tuple[str, str], file: bytes) -> None:
        with self._lock:
            self._files[key] = file
            while len(self._files) > 1 and self._sum() > self._most_bytes:
                del self._files[next(iter(self._files))]

    def _sum(self) -> int:
        return sum(len(file) for file in self._files.values())


#: The members of a page, in the order in which they are stored: a document may have many pages.
_PAGE_FIELDS = tuple(field.name for field in dataclasses.fields(PageInfo))


def _dump_info(info: DocumentInfo) -> str:
    pages = [[getattr(page, name) for name in _PAGE_FIELDS] for page in info.pages]
    return dump(
        {
            "kind": info.kind,
            "encrypted": info.encrypted,
            "title": info.title,
            "fields": _PAGE_FIELDS,
            "pages": pages,
        }
    )


def _parse_info(text: bytes) -> DocumentInfo:
    stored = json.loads(text)
    return DocumentInfo(
        kind=DocumentKind(stored["kind"]),
        pages=tuple(_parse_page(stored["fields"], values) for values in stored["pages"]),
        encrypted=stored["encrypted"],
        title=stored["title"],
    )


def _parse_page(names: Sequence[str], values: Sequence[Any]) -> PageInfo:
    # another version may have stored other members
    fields = {n: value for n, value in zip(names, values, strict=True) if n in _PAGE_FIELDS}
    doubt = fields.get("text_doubt")
    return PageInfo(**fields | {"text_doubt": TextDoubt(doubt) if doubt else None})
