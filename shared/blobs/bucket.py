"""Blobs in a bucket that speaks S3: AWS, MinIO, Ceph, Aliyun OSS, Tencent COS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from shared.blobs.address import BlobAddress
from shared.blobs.backend import BackendDown
from shared.settings import Settings

#: obstore raises Python's own error for a blob that is not there.
_GONE = (FileNotFoundError, NotFoundError)
_LIST_SIZE = 500
_CONNECT_S = 3.0
_RETRIES = 2
#: A larger blob is sent in parts; a process that dies meanwhile leaves parts that no list shows.
_WHOLE_BYTES = 64 << 20
_PART_BYTES = 8 << 20


@contextmanager
def _as_down() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise BackendDown(_explain(error)) from error
    except OSError as error:
        raise BackendDown("The bucket broke off a transfer.") from error


def _explain(error: BaseError) -> str:
    """Return a sentence that shows neither keys nor addresses."""
    text = str(error)
    if "NoSuchBucket" in text:
        return "The bucket does not exist."
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "The bucket refuses the credentials."
    return "The bucket does not respond."


class BucketBackend:
    """A BlobBackend in a bucket; every request has its time limit."""

    def __init__(self, address: BlobAddress, settings: Settings) -> None:
        """Make the client; credentials come from AWS' usual variables and machine roles."""
        self._store = _open(address, settings, settings.blobs_endpoint)
        # a URL is signed for the host that its holder will ask
        public = settings.blobs_public_endpoint or settings.blobs_endpoint
        self._signer = _open(address, settings, public)

    def put(self, name: str, data: bytes) -> None:
        """Store a blob by one request."""
        with _as_down():
            obstore.put(self._store, name, data, use_multipart=False)

    def open_writer(self, name: str) -> BucketWriter:
        """Return a writer of a new blob."""
        return BucketWriter(self, self._store, name)

    def get(self, name: str) -> bytes | None:
        """Return a blob; None if there is none."""
        with _as_down():
            try:
                return obstore.get(self._store, name).bytes().to_bytes()
            except _GONE as error:
                _check_bucket(error)
                return None

    def get_range(self, name: str, first: int, end: int) -> bytes | None:
        """Return the bytes from `first` up to `end`; None if there is no such blob."""
        with _as_down():
            try:
                return obstore.get_range(self._store, name, start=first, end=end).to_bytes()
            except _GONE as error:
                _check_bucket(error)
                return None

    def size(self, name: str) -> int | None:
        """Return the bytes of a blob; None if there is none."""
        with _as_down():
            try:
                return int(obstore.head(self._store, name)["size"])
            except _GONE as error:
                _check_bucket(error)
                return None

    def delete(self, names: Sequence[str]) -> None:
        """Delete blobs; those that are gone already count as deleted."""
        with _as_down(), suppress(*_GONE):
            obstore.delete(self._store, list(names))

    def iter_older(self, folder: str, than_s: float) -> Iterator[list[str]]:
        """Yield names below a folder that were last changed more than `than_s` seconds ago."""
        before = datetime.now(UTC) - timedelta(seconds=than_s)
        with _as_down():
            for chunk in obstore.list(self._store, folder, chunk_size=_LIST_SIZE):
                yield [str(meta["path"]) for meta in chunk if meta["last_modified"] < before]

    def sign(self, method: str, name: str, for_s: int) -> str | None:
        """Return a URL that lets its holder GET or PUT a blob."""
        allowed: Any = method
        with _as_down():
            return obstore.sign(self._signer, allowed, name, timedelta(seconds=for_s))


class BucketWriter:
    """A blob that is kept here up to a size, and sent in parts beyond."""

    def __init__(self, backend: BucketBackend, store: S3Store, name: str) -> None:
        self._backend, self._store, self._name = backend, store, name
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._parts: Any = None

    def write(self, data: bytes) -> None:
        """Add to it."""
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._parts is not None or self._kept_bytes > _WHOLE_BYTES:
            self._send_parts()

    def _send_parts(self) -> None:
        with _as_down():
            if self._parts is None:
                self._parts = obstore.open_writer(
                    self._store, self._name, buffer_size=_PART_BYTES, max_concurrency=2
                )
            for data in self._kept:
                self._parts.write(data)
        self._kept, self._kept_bytes = [], 0

    def close(self) -> None:
        """Let it be there."""
        if self._parts is None:
            self._backend.put(self._name, b"".join(self._kept))
            return
        with _as_down():
            self._parts.close()

    def abandon(self) -> None:
        """Let go of it: what was sent as parts is for the bucket's own rules to remove."""
        self._kept, self._parts = [], None


def _check_bucket(error: Exception) -> None:
    """Raise BackendDown where it is the bucket that is not there."""
    if "NoSuchBucket" in str(error):
        raise BackendDown("The bucket does not exist.") from error


def _open(address: BlobAddress, settings: Settings, endpoint: str) -> S3Store:
    limit = timedelta(seconds=settings.blobs_timeout_s)
    config: Any = {
        # not every service knows how to delete many by one request
        "disable_bulk_delete": True,
        "virtual_hosted_style_request": not settings.blobs_in_path,
        **({"region": settings.blobs_region} if settings.blobs_region else {}),
        **({"endpoint": _host(address, settings, endpoint)} if endpoint else {}),
    }
    options: Any = {
        "timeout": limit,
        "connect_timeout": timedelta(seconds=min(_CONNECT_S, settings.blobs_timeout_s)),
        "allow_http": endpoint.startswith("http://"),
        # a browser that opens one saves it and runs nothing
        "default_content_type": "application/octet-stream",
    }
    return S3Store(
        address.bucket,
        prefix=address.path or None,
        config=config,
        client_options=options,
        retry_config={"max_retries": _RETRIES, "retry_timeout": limit},
    )


def _host(address: BlobAddress, settings: Settings, endpoint: str) -> str:
    """Return the endpoint, with the bucket in its name where the path does not have it."""
    if settings.blobs_in_path:
        return endpoint.rstrip("/")
    parts = urlsplit(endpoint)
    host = parts.netloc
    if not host.startswith(f"{address.bucket}."):
        host = f"{address.bucket}.{host}"
    return f"{parts.scheme}://{host}"
