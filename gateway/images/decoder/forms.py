"""Names valid forms of a format that are not read here, so that they are not called broken."""

from __future__ import annotations

import struct

from gateway.images.formats import ImageFormat

_MOST_ENTRIES = 4096
_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 259, 262, 277, 339
_TIFF_PACKINGS = {
    6: "JPEG in its old form",
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT run lengths",
    32809: "ThunderScan run lengths",
    32909: "Pixar logs",
    34661: "JBIG",
    34676: "LogLuv (SGI)",
    34677: "LogLuv (SGI, 24 bits)",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy DNG",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_TIFF_COLOURS = {
    32803: "a camera's raw mosaic",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw",
    9: "ICCLab",
    10: "ITULab",
}
_INTEGERS, _SIGNED, _FLOATS = 1, 2, 3
_COMPLEX = (5, 6)


def name_unread_form(fmt: ImageFormat, data: bytes) -> str | None:
    """Return what a file that could not be decoded holds, if that is valid but not read here."""
    return _name_tiff_form(data) if fmt == "TIFF" else None


def _name_tiff_form(data: bytes) -> str | None:
    tags = _read_first_tags(data)
    bits, kind = tags.get(_BITS, 1), tags.get(_SAMPLE_FORMAT, _INTEGERS)
    if name := _TIFF_PACKINGS.get(tags.get(_COMPRESSION, 1)):
        return f"pixels packed as {name}"
    if name := _TIFF_COLOURS.get(tags.get(_PHOTOMETRIC, 1)):
        return f"colours as {name}"
    if kind in _COMPLEX:
        return "complex numbers"
    if kind == _FLOATS and bits in (16, 24, 32, 64):
        return f"floating-point samples of {bits} bits"
    several = tags.get(_SAMPLES, 1) > 1
    if bits in (10, 12, 14, 24, 32, 64) or (bits == 16 and (several or kind == _SIGNED)):
        return f"samples of {bits} bits in {tags.get(_SAMPLES, 1)} channels"
    return None


def _read_first_tags(data: bytes) -> dict[int, int]:
    """Return the first value of each short or long tag of the first directory of a TIFF."""
    order = "<" if data.startswith(b"II") else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return {}
    tags: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for entry in range(at + 2, at + 2 + 12 * min(count, _MOST_ENTRIES), 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, entry)
            if size := {3: 2, 4: 4}.get(kind):
                where = entry + 8
                if size * number > 4:
                    (where,) = struct.unpack_from(order + "I", data, where)
                tags[tag] = struct.unpack_from(order + ("H" if size == 2 else "I"), data, where)[0]
    except struct.error:
        # the rest of the directory is missing; what is known may do
        return tags
    return tags
