"""The program of a decoder child: reads files from a socket and replies with canonical images.

Run as `python -m gateway.images.decoder.child` with a socket as its standard input. It has no
access to secrets; the gateway kills it when an image takes too much time.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import AvifImagePlugin, Image, ImageFile

from gateway.images.decoder import heic, protocol
from gateway.images.decoder.canonical import CanonicalPixels, canonicalize, read_size
from gateway.images.decoder.damage import libjpeg, tiff
from gateway.images.decoder.png import encode_png
from gateway.images.formats import DecodeLimits
from shared.errors import ImageError

_STDIN, _STDERR = 0, 2


def main() -> int:
    """Serve requests until the gateway hangs up."""
    _harden_pillow()
    sock = socket.socket(fileno=_STDIN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    protocol.send(sock, {"ready": os.getpid()})
    # libtiff and others write about broken files here; a failed start was reported before
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
    while True:
        try:
            header, data = protocol.receive(sock, max_body=1 << 31)
            only_measure = header.pop("measure", False)
            limits = DecodeLimits(**header)
            _limit_memory(limits.memory_bytes)
            _limit_cpu(limits.timeout_s)
            protocol.send(sock, *_run(_measure if only_measure else _decode, data, limits))
        except protocol.PeerGone:
            return 0


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


def _end_with_parent() -> None:
    """End at once when the gateway is gone, also in the middle of an image."""
    watch = select.poll()
    watch.register(_STDIN, 0)
    watch.poll()
    os._exit(0)


def _limit_memory(memory_bytes: int) -> None:
    """Bound what this process can ever hold, its libraries included, to `memory_bytes`."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return
    limit = _reserved_bytes() + memory_bytes
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ValueError, OSError):
        # macOS has no such limit; the limits of time and pixels hold there
        if sys.platform == "linux":
            raise


def _reserved_bytes() -> int:
    """Return the bytes of address space that are mapped but not resident."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    mapped, resident = statm.read_text(encoding="ascii").split()[:2]
    return (int(mapped) - int(resident)) * resource.getpagesize()


def _limit_cpu(seconds: float) -> None:
    """Let the kernel end this process when an image has used `seconds` of CPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _run(
    work: Callable[[bytes, DecodeLimits], tuple[protocol.Header, bytes]],
    data: bytes,
    limits: DecodeLimits,
) -> tuple[protocol.Header, bytes]:
    try:
        return work(data, limits)
    except ImageError as error:
        return {"error": error.code, "detail": error.detail}, b""
    except MemoryError:
        return {"error": "memory"}, b""


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
