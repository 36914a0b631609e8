"""Memory that the images of one request need on a worker, and whether they fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRoom:
    """A worker's memory for the images of one request, bytes, and its cost per visual token."""

    #: 0 is unknown: everything fits.
    bytes: int = 0
    #: For each visual token, and for each of the largest image while it is encoded.
    token_bytes: int = 0
    largest_token_bytes: int = 0

    def required_bytes(self, images: Collection[int]) -> int:
        """Return the bytes that images of so many visual tokens each need."""
        return sum(images) * self.token_bytes + max(images, default=0) * self.largest_token_bytes

    def holds(self, images: Collection[int]) -> bool:
        """Tell whether images of so many visual tokens each fit."""
        return not self.bytes or self.required_bytes(images) <= self.bytes

    def refusal(self, images: Collection[int]) -> str:
        """Return the sentence for images that do not fit."""
        needed = self.required_bytes(images) >> 20
        return (
            f"Input too large: the images' {sum(images)} visual tokens need"
            f" {needed} MiB of memory; the worker has {self.bytes >> 20} MiB."
        )


UNBOUNDED = ImageRoom()
