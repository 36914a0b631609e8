"""The document of one request: recognised by its content and opened in a child, or named by id."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from gateway.auth import current_party
from gateway.images.uploads import Upload
from gateway.large_input import sha256_hex
from gateway.services import Services
from gateway.submission.fields.submission import Submission
from shared.documents.model import DocumentInfo, DocumentKind
from shared.documents.sniff import document_kind
from shared.errors import (
    BadParameters,
    DocumentEncrypted,
    DocumentError,
    DocumentNotFound,
    DocumentPasswordWrong,
    NotFound,
    UnsupportedImageFormat,
)
from shared.store.uploads.document_store import StoredDocument

_DOCUMENT_ID = re.compile(r"doc_[0-9a-f]{64}")
#: Kinds that are documents whoever sends them; the others are animations to most people.
ALWAYS_DOCUMENTS = (DocumentKind.PDF, DocumentKind.TIFF)


@dataclass(frozen=True, slots=True)
class RequestDocument:
    """The document of a request."""

    #: `doc_` + SHA-256 of the file as it was sent.
    id: str
    info: DocumentInfo
    notices: tuple[dict[str, str], ...] = ()
    #: What is to be stored; None for one that is stored already.
    sent: StoredDocument | None = None


@dataclass(frozen=True, slots=True)
class DocumentIntake:
    """Opens the documents of one request of one tenant."""

    services: Services
    tenant: str
    password: SecretStr | None = None
    #: The request asks for pages, so that an animation counts as a document.
    asks_pages: bool = False

    @classmethod
    def of(cls, services: Services, tenant: str, submission: Submission) -> DocumentIntake:
        """Return the intake of a request with these parameters."""
        return cls(services, tenant, submission.password, bool(submission.pages))

    def takes(self, data: bytes) -> bool:
        """Tell whether a file that stands where an image could is read as a document."""
        kind = document_kind(data)
        return kind in ALWAYS_DOCUMENTS or (kind is not None and self.asks_pages)

    def read_id(self, document_id: str, pointer: str) -> RequestDocument:
        """Return a stored document; raises DocumentNotFound, which names `pointer`."""
        if not _DOCUMENT_ID.fullmatch(document_id):
            raise DocumentNotFound(pointer=pointer)
        try:
            header = self.services.documents.header(self.tenant, document_id)
        except NotFound:
            raise DocumentNotFound(pointer=pointer) from None
        return RequestDocument(document_id, header.info, header.notices)

    def open(self, upload: Upload, pointer: str) -> RequestDocument:
        """Return the document in a file's bytes, unlocked; nothing is stored.

        Raises DocumentErrors and UnsupportedImageFormat, which name `pointer` or the password, and
        Unavailable.
        """
        data = upload.data
        if document_kind(data) is None:
            raise UnsupportedImageFormat(
                "The file is not a document with several pages.",
                pointer=pointer,
                hint="Documents are PDF and TIFF, GIF, WebP or PNG of several pages; send others "
                "as images.",
            )
        reader = self.services.document_reader
        secret = self.password.get_secret_value() if self.password else None
        with _name_pointer(pointer):
            info = reader.inspect(data, secret, tenant=current_party())
            file = reader.unlock(data, secret, tenant=current_party()) if info.encrypted else data
        document_id = f"doc_{sha256_hex(data)}"
        notices = tuple(_notices(info))
        stored = StoredDocument(document_id, bytes(file), len(data), info, notices)
        return RequestDocument(document_id, info, notices, stored)


def only_document(items: Sequence[object], pointers: Sequence[str]) -> RequestDocument | None:
    """Return the one document among what a request holds; raises BadParameters for more."""
    documents = [item for item in items if isinstance(item, RequestDocument)]
    if not documents:
        return None
    if len(items) > 1:
        other = next(n for n, item in enumerate(items) if item is not documents[0])
        raise BadParameters(
            "A job has one document, and no images beside it.",
            pointer=pointers[other],
            hint="Send one job for each document; a session keeps them in one conversation.",
        )
    return documents[0]


def check_parameters(submission: Submission, document: RequestDocument | None) -> None:
    """Raise BadParameters where a parameter needs a document and the request has none."""
    names = submission.document_parameters
    if names and document is None:
        raise BadParameters(
            f"{names[0]} has no effect without a document.",
            pointer=f"/{names[0]}",
            hint="Send a PDF, or another file of several pages, as `document`.",
        )


@contextlib.contextmanager
def _name_pointer(pointer: str) -> Iterator[None]:
    try:
        yield
    except (DocumentEncrypted, DocumentPasswordWrong) as error:
        error.pointer = "/password"
        raise
    except DocumentError as error:
        error.pointer = error.pointer or pointer
        raise


def _notices(info: DocumentInfo) -> Iterator[dict[str, str]]:
    """Return what the sender of a document should know of it."""
    if info.encrypted:
        detail = "The document is stored without its encryption, so that no password is kept."
        yield {"code": "document_unlocked", "detail": detail}
    if info.repaired:
        detail = "The file is damaged and was repaired: pages or parts of them may be missing."
        yield {"code": "document_repaired", "detail": detail}
    if info.dynamic_form:
        detail = (
            "This form (XFA) builds its pages by a script, which is not run: only its fallback "
        )
        detail += "page is read. Open the form in Adobe Reader and print it to a PDF first."
        yield {"code": "document_dynamic_form", "detail": detail}
    if info.portfolio:
        detail = (
            "This PDF is the cover of a portfolio; only the cover is read. Extract its files and "
        )
        detail += f"send each of them: {_name_files(info)}."
        yield {"code": "document_portfolio", "detail": detail}
    elif info.attachments:
        detail = "Files attached to the document are not read; send them separately: "
        detail += f"{_name_files(info)}."
        yield {"code": "document_attachments", "detail": detail}


def _name_files(info: DocumentInfo) -> str:
    """Return the names of files inside of a document, and how many are left out."""
    names = ", ".join(info.attached_names)
    more = info.attachments - len(info.attached_names)
    if not more:
        return names
    return f"{names} and {more} more" if names else f"{more} without a name"
