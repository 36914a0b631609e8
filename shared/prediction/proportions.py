"""What the sides of an image say of it: whether it is long, and whether it has room for a letter.

It imports nothing, as decoder children need it, which start often.
"""

from __future__ import annotations

#: Longer side over shorter side from which an image counts as long, whatever the question.
LONG_ASPECT = 3.0
#: Pixels; narrower images have no room for a letter.
MIN_SIDE = 8


def is_long(width: int, height: int) -> bool:
    """Tell whether an image is long for its width, or wide for its height."""
    return max(width, height) >= LONG_ASPECT * min(width, height)
