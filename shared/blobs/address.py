"""Where blobs are kept, as SIGHTLINE_BLOBS names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class BlobAddress:
    """A bucket with a prefix, or a folder."""

    kind: Literal["s3", "file"]
    #: The bucket's name; empty for a folder.
    bucket: str
    #: The prefix of all names without slashes at its ends, or the folder's absolute path.
    path: str

    @classmethod
    def parse(cls, url: str) -> BlobAddress:
        """Return the address of a URL; raises ValueError with a sentence for operators."""
        parts = urlsplit(url)
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("it may have no credentials, query or fragment")
        if parts.scheme == "s3":
            return cls._of_bucket(parts.netloc, unquote(parts.path))
        if parts.scheme == "file":
            return cls._of_folder(parts.netloc, unquote(parts.path))
        raise ValueError("it must begin with s3:// or file://")

    @classmethod
    def _of_bucket(cls, bucket: str, path: str) -> BlobAddress:
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("s3:// must be followed by a bucket's name, as in s3://bucket/prefix")
        prefix = path.strip("/")
        if any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
            raise ValueError("the prefix may have no empty parts and no dots alone")
        return cls("s3", bucket, prefix)

    @classmethod
    def _of_folder(cls, host: str, path: str) -> BlobAddress:
        if host not in ("", "localhost") or not path.startswith("/") or path.strip("/") == "":
            raise ValueError(
                "file:// must be followed by an absolute path, as in file:///srv/blobs"
            )
        folder = PurePosixPath(path)
        if ".." in folder.parts:
            raise ValueError("the path may not contain ..")
        return cls("file", "", f"/{str(folder).strip('/')}")

    def __str__(self) -> str:
        """Return it in the one form by which its home is known."""
        return f"{self.kind}://{'/'.join(filter(None, (self.bucket, self.path)))}"
