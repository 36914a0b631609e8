"""What one request shows: images, or one document, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from werkzeug.datastructures import FileStorage

from gateway.images import uploads
from gateway.images.sizing import AnyImage
from gateway.images.uploads import Upload
from gateway.services import Services
from gateway.submission.documents.intake import (
    DocumentIntake,
    RequestDocument,
    check_parameters,
    only_document,
)
from gateway.submission.images.request_images import Decoded, RequestImages
from gateway.submission.request import ReceivedRequest, S
from shared.jobs.image import StoredImage
from shared.store import NewJob
from shared.store.uploads.document_store import StoredDocument

#: Fields of a form whose files are read page by page, whatever they could be else.
_DOCUMENT_FIELDS = ("document",)


@dataclass(frozen=True, slots=True)
class RequestContent:
    """The images of a request, or its document."""

    images: Sequence[AnyImage] = ()
    document: RequestDocument | None = None


@dataclass(frozen=True, slots=True)
class SentContent:
    """What a request carries and the store does not have yet."""

    images: Sequence[StoredImage]
    document: StoredDocument | None

    @classmethod
    def of(cls, content: RequestContent, earlier: Sequence[AnyImage]) -> SentContent:
        """Return what is to be stored of a request and of the messages before it."""
        images = [one for one in (*earlier, *content.images) if isinstance(one, StoredImage)]
        return cls(images, content.document.sent if content.document else None)

    def __bool__(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.images) or self.document is not None

    def put(self, job: NewJob, services: Services) -> None:
        """Store it for a job that is about to be stored; raises OutcomeUnknown."""
        for image in self.images:
            services.images.put(job.tenant, image, job_id=job.id)
        if self.document:
            services.documents.put(job.tenant, self.document, job_id=job.id)

    def release(self, job: NewJob, services: Services) -> None:
        """Take it back, as the job was not stored in the end; raises StoreUnavailable."""
        services.images.release(job.tenant, [image.id for image in self.images], job.id)
        if self.document:
            services.documents.release(job.tenant, self.document.id, job.id)


@dataclass(frozen=True, slots=True)
class ContentReader(Generic[Decoded]):
    """Reads the files, texts and ids of one request."""

    images: RequestImages[Decoded]
    documents: DocumentIntake
    _items: list[AnyImage | RequestDocument] = field(default_factory=list)
    _pointers: list[str] = field(default_factory=list)

    def read_all(self, received: ReceivedRequest[S]) -> RequestContent:
        """Return what a request shows, files first; raises InputErrors."""
        submission = received.submission
        for file in received.files:
            self._take_file(file, f"/images/{len(self._items)}")
        for text in submission.images:
            self.take_text(text, f"/images/{len(self._items)}")
        if submission.document is not None:
            self._take_document(submission.document, "/document")
        content = self.content()
        check_parameters(submission, content.document)
        return content

    def content(self) -> RequestContent:
        """Return what was taken so far; raises BadParameters for a document beside others."""
        document = only_document(self._items, self._pointers)
        if document is not None:
            return RequestContent(document=document)
        return RequestContent([one for one in self._items if not isinstance(one, RequestDocument)])

    def take_text(self, text: str, pointer: str) -> None:
        """Read what an id, a URL, a data: URI or base64 stands for; raises InputErrors."""
        if text.startswith("doc_"):
            self._add(self.documents.read_id(text, pointer), pointer)
        elif text.startswith("img_"):
            self._add(self.images.read_text(text, pointer), pointer)
        else:
            self._take_upload(self.images.load_upload(text, pointer), pointer)

    def _take_file(self, file: FileStorage, pointer: str) -> None:
        settings = self.images.services.settings
        upload = uploads.read_file(file, pointer=pointer, settings=settings)
        self._take_upload(upload, pointer, is_document=file.name in _DOCUMENT_FIELDS)

    def _take_document(self, text: str, pointer: str) -> None:
        if text.startswith("doc_"):
            self._add(self.documents.read_id(text, pointer), pointer)
        else:
            upload = self.images.load_upload(text, pointer)
            self._take_upload(upload, pointer, is_document=True)

    def _take_upload(self, upload: Upload, pointer: str, *, is_document: bool = False) -> None:
        if is_document or self.documents.takes(upload.data):
            self.images.check_upload(upload, pointer)
            self._add(self.documents.open(upload, pointer), pointer)
        else:
            self._add(self.images.decode_upload(upload, pointer), pointer)

    def _add(self, item: AnyImage | RequestDocument, pointer: str) -> None:
        self._items.append(item)
        self._pointers.append(pointer)
