"""The images of one request: stored ones by id, others fetched or unpacked, then decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from gateway.auth import current_party
from gateway.images import uploads
from gateway.images.decoder.decoder import MeasuredImage
from gateway.images.uploads import Upload, UploadChecksum
from gateway.images.url_fetch import ImageFetcher, is_url
from gateway.schemas.parameters import MAX_URL_CHARS
from gateway.services import Services
from shared.errors import BadParameters, ImageNotFound, InvalidBase64, NotFound, PayloadTooLarge
from shared.jobs.image import StoredImage
from shared.store.uploads.image_store import ImageHeader

_FILE_ID = re.compile(r"file-[0-9A-F]{33}")
#: What `GET /v1/files/{id}/url` has answered, whatever name of this service stands in front.
_FILE_LINK = re.compile(r"https?://[^/?#]+[^?#]*/files/(link_[0-9a-f]{48})", re.IGNORECASE)
_UPLOAD_ID = re.compile(r"upload_[0-9a-f]{48}")
_IMAGE_ID = re.compile(r"img_[0-9a-f]{64}")
#: Of ids, cut or made up: read as base64 they would be no image of any format.
_ID_BEGINS = ("file-", "file_", "upload_", "doc_")

#: What becomes of an upload: all of its pixels, or its size alone.
Decoded = TypeVar("Decoded", StoredImage, MeasuredImage)
#: Turns an upload into an image; errors name the pointer.
Decode = Callable[[Upload, str], Decoded]


def timed_decode(services: Services, *, detailed: bool = False) -> Decode[StoredImage]:
    """Return a `Decoder.decode` whose seconds are counted."""
    party = current_party()

    def decode(upload: Upload, pointer: str) -> StoredImage:
        with services.http_metrics.decoding():
            return services.decoder.decode(upload, pointer, detailed=detailed, tenant=party)

    return decode


@dataclass(frozen=True, slots=True)
class RequestImages(Generic[Decoded]):
    """Reads the images of one request of one tenant."""

    services: Services
    tenant: str
    fetcher: ImageFetcher
    decode: Decode[Decoded]
    #: Checksums that the caller sent, by the pointer of their image.
    checksums: Mapping[str, UploadChecksum] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        services: Services,
        tenant: str,
        decode: Decode[Decoded],
        checksums: Mapping[str, UploadChecksum] | None = None,
    ) -> Self:
        """Return the reader of a request; its time to fetch URLs begins now."""
        fetcher = ImageFetcher.start(
            services.outbound, services.host_breaker, services.settings, tenant
        )
        return cls(services, tenant, fetcher, decode, checksums or {})

    def read_text(self, text: str, pointer: str) -> ImageHeader | Decoded:
        """Return the image that an id, a URL, a data: URI or base64 stands for.

        Raises an InputError of many kinds, each naming `pointer`.
        """
        if text.startswith("img_"):
            return self._read_header(text, pointer)
        return self.decode_upload(self.load_upload(text, pointer), pointer)

    def load_upload(self, text: str, pointer: str) -> Upload:
        """Return the bytes that a URL, a data: URI or base64 stands for; raises InputErrors."""
        if _FILE_ID.fullmatch(text):
            return self._load_file(self.tenant, text, pointer)
        if _UPLOAD_ID.fullmatch(text):
            return self._load_direct(text, pointer)
        if is_url(text):
            if len(text) > MAX_URL_CHARS:
                raise BadParameters(
                    f"The URL has {len(text)} characters; at most {MAX_URL_CHARS} are taken.",
                    pointer=pointer,
                )
            return self._follow_link(text, pointer) or self.fetcher.fetch(text, pointer)
        if text.startswith(_ID_BEGINS):
            raise ImageNotFound("There is no file under this ID.", pointer=pointer)
        return uploads.read_text(text, pointer=pointer, settings=self.services.settings)

    def _follow_link(self, url: str, pointer: str) -> Upload | None:
        """Return the stored file that a link of this service opens; None for other URLs.

        No request is made, which would not get through to this service from inside.
        """
        link = _FILE_LINK.fullmatch(url)
        if link is None:
            return None
        try:
            tenant, file_id = self.services.files.open_link(link[1].lower())
        except NotFound:
            return None
        return self._load_file(tenant, file_id, pointer)

    def _load_direct(self, upload_id: str, pointer: str) -> Upload:
        """Return what the caller has sent to the bucket; raises ImageNotFound, PayloadTooLarge."""
        uploaded, settings = self.services.direct_uploads, self.services.settings
        try:
            if uploaded is None:
                raise NotFound("This service takes no direct uploads.")
            data = uploaded.read(self.tenant, upload_id, uploads.max_file_bytes(settings))
        except (NotFound, PayloadTooLarge) as error:
            kind = ImageNotFound if isinstance(error, NotFound) else PayloadTooLarge
            raise kind(error.detail, pointer=pointer) from None
        uploads.check_size(data, pointer, settings)
        return Upload(data, upload_id)

    def _load_file(self, tenant: str, file_id: str, pointer: str) -> Upload:
        """Return a file that was stored before; raises ImageNotFound."""
        files, settings = self.services.files, self.services.settings
        try:
            file = files.get(tenant, file_id)
            if file.bytes > uploads.max_file_bytes(settings):
                raise PayloadTooLarge(
                    f"The file has {file.bytes} bytes; "
                    f"at most {uploads.max_file_bytes(settings)} are read.",
                    pointer=pointer,
                )
            data = files.read(tenant, file_id)
            uploads.check_size(data, pointer, settings)
            return Upload(data, file.filename)
        except NotFound:
            raise ImageNotFound("There is no file under this ID.", pointer=pointer) from None

    def decode_upload(self, upload: Upload, pointer: str) -> Decoded:
        """Return the image in a file's bytes; nothing is stored. Raises UploadMismatch too."""
        self.check_upload(upload, pointer)
        return self.decode(upload, pointer)

    def check_upload(self, upload: Upload, pointer: str) -> None:
        """Raise UploadMismatch when another file has arrived than the caller says."""
        self.checksums.get(pointer, UploadChecksum()).check(upload, pointer)

    def _read_header(self, image_id: str, pointer: str) -> ImageHeader:
        if not _IMAGE_ID.fullmatch(image_id):
            raise InvalidBase64(
                "This is neither an image ID (img_ and 64 hexadecimal digits) nor base64.",
                pointer=pointer,
            )
        try:
            return self.services.images.header(self.tenant, image_id)
        except NotFound:
            raise ImageNotFound(pointer=pointer) from None
