"""Uploads that callers send to the bucket themselves, by a URL that is signed for minutes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from shared.errors import NotFound, PayloadTooLarge
from shared.store import keys
from shared.store.blobs.contents import BlobContents
from shared.store.connection import Client
from shared.store.failures import confirm, guard

#: Seconds for which a URL takes the bytes, and for which they can be named by their id: a PUT that
#: began in time may still be under way when its URL has ended.
URL_S, UPLOAD_S = 900, 3600


@dataclass(frozen=True, slots=True)
class DirectUpload:
    """An upload that is still to come."""

    id: str
    #: Takes the bytes by PUT.
    url: str


class DirectUploads:
    """Begins and reads direct uploads; every method raises StoreUnavailable."""

    def __init__(self, client: Client, blobs: BlobContents) -> None:
        """`client` must return bytes."""
        self._redis = client
        self._blobs = blobs

    def begin(self, tenant: str) -> DirectUpload:
        """Return a new upload; raises OutcomeUnknown, and NotFound for a store without URLs."""
        upload_id = f"upload_{secrets.token_hex(24)}"
        key = keys.direct_upload(tenant, upload_id)
        name = self._blobs.announce("uploads", key)
        url = self._blobs.store.sign("PUT", name, URL_S)
        if url is None:
            raise NotFound("The blob store of this service has no URLs.")

        def write() -> None:
            pipe = self._redis.pipeline(transaction=True)
            pipe.hset(key, "blob", name)
            pipe.expire(key, UPLOAD_S)
            pipe.execute()

        confirm(write, upload_id=upload_id)
        return DirectUpload(upload_id, url)

    def read(self, tenant: str, upload_id: str, most_bytes: int) -> bytes:
        """Return what was uploaded; raises NotFound, and PayloadTooLarge without reading it."""
        with guard():
            name = self._redis.hget(keys.direct_upload(tenant, upload_id), "blob")
        if name is None:
            raise NotFound("There is no upload under this ID, or its hour is over.")
        size = self._blobs.size(name.decode())
        if size is None:
            raise NotFound("Nothing was uploaded under this ID yet.")
        if size > most_bytes:
            raise PayloadTooLarge(f"The upload has {size} bytes; at most {most_bytes} are read.")
        # not more than was measured, whatever is sent meanwhile
        data = self._blobs.read_range(name.decode(), 0, size)
        if data is None:
            raise NotFound("The upload was changed while it was read.")
        return data
