"""The checks of a JPEG: segments, scans and sizes; what the picture does not need is left out."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.images.decoder.checks.checked_file import CheckedFile, damage_error
from gateway.images.formats import DecodeLimits
from shared.errors import ImageTruncated, UnsupportedImageFormat

#: More than any encoder writes; each scan costs a pass over the whole image.
MAX_SCANS = 100
#: More than the longest metadata need, in segments of 64 KiB.
MAX_SEGMENTS = 2_000

#: Ends entropy-coded data: FF, but neither a stuffed FF 00 nor a restart marker. Of several FF in
#: a row it matches the last alone, so that each byte is looked at once.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TEMPORARY, _START, _END, _SCAN, _COMMENT = 0x01, 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATIONS = range(0xE0, 0xF0)
#: Frame types that libjpeg decodes reduced without keeping the whole image: baseline, extended.
_SEQUENTIAL = frozenset((0xC0, 0xC1, 0xC9))
_HIERARCHICAL = frozenset((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF))
_PROGRESSIVE = frozenset((0xC2, 0xCA))
#: Application segments that change how the picture looks: marker, first bytes, least length of
#: what follows the length field, and whether there may be several.
_USEFUL = (
    (0xE0, b"JFIF\0", 7, False),
    (0xE1, b"Exif\0\0", 6, False),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", 29, False),
    (0xE2, b"ICC_PROFILE\0", 14, True),
    (0xE2, b"MPF\0", 4, False),
    (0xEE, b"Adobe", 12, False),
)


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    #: Offsets of the marker's FF, of the length field, and behind the segment.
    start: int
    at: int
    end: int


def check_jpeg(data: bytes, limits: DecodeLimits) -> CheckedFile:
    """Keep the segments that change how the image looks; comments and previews go."""
    frames, scans, left_out = [], [], []
    seen: set[bytes] = set()
    for segment in _read_segments(data):
        if segment.marker == _END:
            # other pictures and what else follows
            data = data[: segment.end]
        elif segment.marker in _FRAMES:
            _check_frame(data, segment)
            frames.append((segment.marker, *struct.unpack_from(">HH", data, segment.at + 3)))
        elif segment.marker == _SCAN:
            scans.append(segment)
        elif not _keeps_segment(data, segment, seen):
            left_out.append(segment)
        if len(scans) > MAX_SCANS:
            raise damage_error(f"the JPEG has more than {MAX_SCANS} scans")
    if len(frames) != 1 or not scans:
        raise damage_error(f"the JPEG has {len(frames)} frames and {len(scans)} scans")
    kind, height, width = frames[0]
    # with several scans libjpeg keeps every coefficient, however small the result
    reducible = kind in _SEQUENTIAL and len(scans) == 1
    limits.check(width, height, reducible=reducible)
    lacking = kind in _PROGRESSIVE and _lacks_scans(data, scans)
    return CheckedFile(
        _without_segments(data, left_out),
        reducible=reducible,
        animated=b"MPF\0" in seen,
        notices=(_SCANS_MISSING,) if lacking else (),
    )


def _check_frame(data: bytes, segment: _Segment) -> None:
    """Raise UnsupportedImageFormat for kinds of JPEG that are not read here."""
    bits = data[segment.at + 2]
    if bits in (12, 16):
        form = f"samples of {bits} bits"
    elif segment.marker in _HIERARCHICAL:
        form = "a hierarchy of frames"
    else:
        return
    raise UnsupportedImageFormat(f"The file is a JPEG with {form}, which is not supported.")


_SCANS_MISSING = (
    "image_damaged",
    "The JPEG lacks its last scans: the picture is coarser than it was.",
)


def _read_segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the end marker of the main image."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        match = _MARKER.search(data, at)
        if match is None:
            raise _truncated_error()
        marker, at = match[1][0], match.end()
        if marker == _END:
            yield _Segment(marker, match.start(), at, at)
            return
        if marker in (_TEMPORARY, _START):
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if marker == _COMMENT:
            # as libjpeg reads a comment that is shorter than its length field
            length = max(2, length)
        if at + length > len(data):
            raise _truncated_error()
        if length < _least_length(marker):
            raise damage_error("a JPEG segment has an invalid length")
        yield _Segment(marker, match.start(), at, at + length)
        at += length
    raise damage_error(f"the JPEG has more than {MAX_SEGMENTS} segments")


def _least_length(marker: int) -> int:
    if marker in _FRAMES:
        return 8
    return 6 if marker == _SCAN else 2


def _truncated_error() -> ImageTruncated:
    return ImageTruncated("The JPEG file is truncated: its end marker is missing.")


def _keeps_segment(data: bytes, segment: _Segment, seen: set[bytes]) -> bool:
    """Tell whether the picture needs it; broken, private and repeated ones break decoders."""
    if segment.marker == _COMMENT:
        return False
    if segment.marker not in _APPLICATIONS:
        return True
    for marker, name, least, repeats in _USEFUL:
        if segment.marker == marker and data.startswith(name, segment.at + 2):
            fits = segment.end - segment.at - 2 >= least and (repeats or name not in seen)
            if fits:
                seen.add(name)
            return fits
    return False


def _without_segments(data: bytes, left_out: list[_Segment]) -> bytes:
    parts, at = [], 0
    for segment in left_out:
        parts.append(data[at : segment.start])
        at = segment.end
    return b"".join((*parts, data[at:])) if parts else data


def _lacks_scans(data: bytes, scans: list[_Segment]) -> bool:
    """Tell whether coefficients of a progressive JPEG never reach their full precision."""
    exact: dict[int, set[int]] = {}
    for scan in scans:
        count = data[scan.at + 2]
        components = data[scan.at + 3 : scan.at + 3 + 2 * count : 2]
        tail = data[scan.at + 3 + 2 * count : scan.at + 6 + 2 * count]
        if len(tail) < 3 or scan.at + 6 + 2 * count > scan.end:
            raise damage_error("a JPEG scan has an invalid length")
        first, last, low_bit = tail[0], tail[1], tail[2] & 0x0F
        for component in components:
            bands = exact.setdefault(component, set())
            if low_bit == 0:
                bands.update(range(first, last + 1))
    return any(len(bands) < 64 for bands in exact.values())
