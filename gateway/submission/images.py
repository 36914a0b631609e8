"""The images of one request: named by id, URL or base64, or sent as files; fetched and decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from werkzeug.datastructures import FileStorage

from gateway.images import uploads
from gateway.images.sizing import AnyImage
from gateway.images.uploads import Upload, UploadChecksum
from gateway.images.url_fetch import ImageFetcher, is_url
from gateway.services import Services
from shared.errors import ImageNotFound, InvalidBase64, NotFound
from shared.store.image_store import ImageHeader, StoredImage

_IMAGE_ID = re.compile(r"img_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RequestImages:
    """Takes in the images of one request of one tenant."""

    services: Services
    tenant: str
    fetching: ImageFetcher
    #: Images may be looked at in tiles.
    detailed: bool = False
    #: What the sender says of the files, by pointer.
    claims: Mapping[str, UploadChecksum] = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        services: Services,
        tenant: str,
        *,
        detailed: bool = False,
        claims: Mapping[str, UploadChecksum] | None = None,
    ) -> Self:
        """Return the looking of a request that came now."""
        fetching = ImageFetcher.begin(
            services.outward, services.image_hosts, services.settings, tenant
        )
        return cls(services, tenant, fetching, detailed, claims or {})

    def named(self, text: str, pointer: str) -> AnyImage:
        """Return the image that an id, a URL, a data: URI or base64 stands for.

        Raises an InputError of many kinds, each naming `pointer`.
        """
        if text.startswith("img_"):
            return self._known(text, pointer)
        return self.seen(self.uploaded(text, pointer), pointer)

    def uploaded(self, text: str, pointer: str) -> Upload:
        """Return the bytes that a URL, a data: URI or base64 stands for."""
        if is_url(text):
            return self.fetching.fetch(text, pointer)
        return uploads.from_text(text, pointer=pointer, settings=self.services.settings)

    def sent(self, file: FileStorage, pointer: str) -> AnyImage:
        """Return the image in a file of a form."""
        settings = self.services.settings
        return self.seen(uploads.from_file(file, pointer=pointer, settings=settings), pointer)

    def seen(self, upload: Upload, pointer: str) -> AnyImage:
        """Return what there is to know of an upload."""
        return self.decoded(upload, pointer)

    def decoded(self, upload: Upload, pointer: str) -> StoredImage:
        """Return the canonical image of a file's bytes; it is not stored yet."""
        self.compare(upload, pointer)
        with self.services.http_metrics.decoding():
            image = self.services.decoder.decode(upload, pointer=pointer, detailed=self.detailed)
        return StoredImage(
            id=image.id,
            png=image.png,
            width=image.width,
            height=image.height,
            source=(image.source_width, image.source_height),
            format=image.format,
            notices=tuple(notice.model_dump() for notice in image.notices),
        )

    def compare(self, upload: Upload, pointer: str) -> None:
        """Raise UploadMismatch when the sender has said something else of this file."""
        self.claims.get(pointer, UploadChecksum()).check(upload, pointer)

    def _known(self, image_id: str, pointer: str) -> ImageHeader:
        if not _IMAGE_ID.fullmatch(image_id):
            raise InvalidBase64(
                "This is neither an image ID (img_ and 64 hexadecimal digits) nor base64.",
                pointer=pointer,
            )
        try:
            return self.services.images.header(self.tenant, image_id)
        except NotFound:
            raise ImageNotFound(pointer=pointer) from None


class MeasuredImages(RequestImages):
    """Takes in the sizes of a request's images and nothing else of them."""

    def seen(self, upload: Upload, pointer: str) -> AnyImage:
        """Return what an upload's header tells."""
        self.compare(upload, pointer)
        return self.services.decoder.measure(upload, pointer=pointer, detailed=self.detailed)
