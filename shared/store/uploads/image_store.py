"""The image store: canonical images, named by the sha256 of their pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import NotFound
from shared.jobs.image import StoredImage
from shared.jobs.row import dump
from shared.settings import Settings
from shared.store import keys
from shared.store.blobs.contents import BlobContents
from shared.store.blobs.row_content import NewRow, RowContent
from shared.store.connection import Client, connect, load_script
from shared.store.failures import confirm, guard


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image without its pixels; sizes are width and height."""

    id: str
    width: int
    height: int
    source: tuple[int, int]
    format: str
    bytes: int
    notices: tuple[dict[str, str], ...]
    expires_in_s: int


_HEADER = ("width", "height", "source_width", "source_height", "format", "bytes", "notices")


class ImageStore:
    """Stores images for jobs; every method raises StoreUnavailable without Redis."""

    def __init__(
        self,
        settings: Settings,
        client: Client | None = None,
        blobs: BlobContents | None = None,
    ) -> None:
        """Make a store; `client` must return bytes, and without `blobs` pixels lie in Redis."""
        self._settings = settings
        self._redis = client or connect(settings, text=False)
        put = load_script(self._redis, "images/put_image")
        self._contents = RowContent(self._redis, put, "images", "png", blobs)
        self._release = load_script(self._redis, "images/release_image")
        self._delete = load_script(self._redis, "images/delete_image")

    def put(
        self,
        tenant: str,
        image: StoredImage,
        *,
        uploaded: bool = False,
        job_id: str = "",
        owner: str = "",
    ) -> bool:
        """Store an image; an `uploaded` one stays when the jobs that used it are erased.

        `job_id` is a job that needs it: one that is about to be stored, or, with an `owner`, one
        that this owner runs. Return False, and store nothing, if the job is no longer this owner's.

        Raises OutcomeUnknown where Redis does not confirm it, and BlobsUnavailable.
        """
        fields: dict[str, str | int] = {
            "width": image.width,
            "height": image.height,
            "source_width": image.source[0],
            "source_height": image.source[1],
            "format": image.format,
            "notices": dump(list(image.notices)),
        }
        if uploaded:
            fields["uploaded"] = 1
        return self._contents.put(
            NewRow(
                keys.image(tenant, image.id),
                image.png,
                (self._settings.image_ttl_s * 1000, job_id, owner),
                fields,
                {"image_id": image.id},
            )
        )

    def release(self, tenant: str, image_ids: Sequence[str], job_id: str) -> None:
        """Take back images that were put for a job that was not stored in the end."""
        if image_ids:
            with guard():
                names = [keys.image(tenant, image_id) for image_id in image_ids]
                self._release(keys=names, args=[job_id])

    def header(self, tenant: str, image_id: str) -> ImageHeader:
        """Return the header of an image; raises NotFound."""
        key = keys.image(tenant, image_id)
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(key, _HEADER)
            pipe.ttl(key)
            values, ttl = pipe.execute()
        if values[0] is None:
            raise NotFound
        width, height, source_width, source_height, kind, size, notices = values
        return ImageHeader(
            image_id,
            int(width),
            int(height),
            (int(source_width), int(source_height)),
            kind.decode(),
            int(size),
            tuple(json.loads(notices)),
            max(0, int(ttl)),
        )

    def pngs(self, tenant: str, image_ids: Sequence[str]) -> list[bytes | None]:
        """Return the PNG bytes of each image, None for a gone one; raises BlobsUnavailable."""
        return self._contents.read_all([keys.image(tenant, image_id) for image_id in image_ids])

    def delete(self, tenant: str, image_id: str) -> None:
        """Delete an image; a queued job that needs it will fail as image_gone.

        Raises NotFound, and OutcomeUnknown where Redis does not confirm it.
        """
        key = keys.image(tenant, image_id)
        with guard():
            if not self._redis.exists(key):
                raise NotFound
        confirm(lambda: self._delete(keys=[key]), image_id=image_id)
