"""How many bytes of request bodies a gateway process holds at once, over all its connections."""

from __future__ import annotations

from shared.errors import Unavailable

_RETRY_AFTER_S = 5.0


class BodyBudget:
    """Bytes that may still be received; each connection takes some and gives them back."""

    def __init__(self, most_bytes: int) -> None:
        self.left_bytes = most_bytes

    def take(self, size: int) -> None:
        """Take `size` bytes; raises Unavailable and takes none if there are not as many left."""
        self.check(size)
        self.left_bytes -= size

    def check(self, size: int) -> None:
        """Raise Unavailable if there are not `size` bytes left."""
        if size > self.left_bytes:
            raise Unavailable(
                "The gateway is receiving as much as it can hold.", retry_after_s=_RETRY_AFTER_S
            )

    def give_back(self, size: int) -> None:
        """Return bytes that were taken."""
        self.left_bytes += size
