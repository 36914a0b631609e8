"""The program of a decoder child: reads files from a socket and replies with canonical images.

Run as `python -m gateway.images.decoder.child` with a socket as its standard input. It has no
access to secrets; the gateway kills it when an image takes too much time.
"""

from __future__ import annotations

import sys
import warnings

from PIL import AvifImagePlugin, Image, ImageFile

from gateway.images.decoder import heic
from gateway.images.decoder.canonical import CanonicalPixels, canonicalize, read_size
from gateway.images.decoder.damage import libjpeg, tiff
from gateway.images.formats import DecodeLimits
from shared.errors import ImageError
from shared.pixels.png import encode_png
from shared.sandbox import protocol
from shared.sandbox.serving import serve


def main() -> int:
    """Serve requests until the gateway hangs up."""
    _harden_pillow()
    return serve(_answer)


def _harden_pillow() -> None:
    warnings.simplefilter("ignore")
    # DecodeLimits are checked instead
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # loaded now, or its memory would count as the first HEIC image's
    heic.is_available()
    tiff.keep_warnings()
    if not libjpeg.is_available():
        sys.stderr.write("Pillow hides its libjpeg: damaged JPEGs are not recognised\n")


def _answer(header: protocol.Header, data: bytes) -> tuple[protocol.Header, bytes]:
    work = _measure if header.pop("measure", False) else _decode
    try:
        return work(data, DecodeLimits(**header))
    except ImageError as error:
        return {"error": error.code, "detail": error.detail}, b""


def _measure(data: bytes, limits: DecodeLimits) -> tuple[protocol.Header, bytes]:
    return {"size": read_size(data, limits)}, b""


def _decode(data: bytes, limits: DecodeLimits) -> tuple[protocol.Header, bytes]:
    canonical = canonicalize(data, limits)
    return _header_of(canonical), encode_png(canonical.image)


def _header_of(canonical: CanonicalPixels) -> protocol.Header:
    return {
        "id": canonical.content_id(),
        "width": canonical.image.width,
        "height": canonical.image.height,
        "source": canonical.source,
        "format": canonical.format,
        "notices": canonical.notices,
    }


if __name__ == "__main__":
    sys.exit(main())
