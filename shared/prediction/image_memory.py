"""What the images of one request take of a worker's memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRoom:
    """A worker's memory for the images of one request, and what they take of it."""

    #: 0: nobody tells, so that everything fits.
    bytes: int = 0
    #: A visual token, and one of the largest image, which the tower works on.
    token_bytes: int = 0
    largest_token_bytes: int = 0

    def takes(self, images: Collection[int]) -> int:
        """Return the bytes that images of so many visual tokens each take."""
        return sum(images) * self.token_bytes + max(images, default=0) * self.largest_token_bytes

    def holds(self, images: Collection[int]) -> bool:
        """Tell whether images of so many visual tokens each fit."""
        return not self.bytes or self.takes(images) <= self.bytes

    def refusal(self, images: Collection[int]) -> str:
        """Return why they do not."""
        return (
            f"Input too large: the images' {sum(images)} visual tokens need"
            f" {self.takes(images) >> 20} MiB of memory; the worker has {self.bytes >> 20} MiB."
        )


UNBOUNDED = ImageRoom()
