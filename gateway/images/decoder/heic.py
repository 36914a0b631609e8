"""HEIC files by the optional extra `heic`; only the decoder child opens them."""

from __future__ import annotations

import functools
import io
from typing import Any

#: What an operator has to install.
EXTRA = "make install EXTRAS=heic"


@functools.cache
def is_available() -> bool:
    """Tell whether the extra is installed and its libraries load."""
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        return False
    return True


@functools.cache
def _load_plugin() -> Any:
    import pillow_heif

    # one image may use one core; its thumbnails and extra channels are not needed
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    return pillow_heif.HeifImageFile


def open_file(stream: io.BytesIO) -> Any:
    """Return a HEIC file whose pixels are not read yet, as Pillow's plugins do."""
    return _load_plugin()(stream)
