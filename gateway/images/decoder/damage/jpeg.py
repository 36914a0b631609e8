"""The damage of a JPEG, by the warnings of libjpeg."""

from __future__ import annotations

import re

from gateway.images.decoder.damage import jpeg_levels, libjpeg, zeros
from gateway.images.decoder.damage.report import Damage

_CUT = "premature end"
_DAMAGED = ("Corrupt JPEG data", "Premature end of JPEG", "Inconsistent progression")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes")
#: Cameras and converters fill up the data with a few bytes.
_MOST_FILLING_BYTES = 4
_RESTART_INTERVAL, _SCAN = b"\xff\xdd", b"\xff\xda"


def read_damage(data: bytes) -> Damage | None:
    """Return what is broken in a JPEG that Pillow has drawn, or None."""
    if not libjpeg.is_available():
        return None
    single = data.count(_SCAN) == 1
    lowered = jpeg_levels.lower_levels(data) if single else None
    if lowered:
        report = libjpeg.read_warnings(lowered.data, lowered.most)
    else:
        report = libjpeg.read_warnings(data)
    damages = [(row, text) for row, text in report.warnings if _is_damage(text, data)]
    if not damages:
        return _silent_damage(data, report) if single else None
    text = damages[0][1].removeprefix("Corrupt JPEG data: ")
    return Damage(text, _damaged_part(data, damages, report.rows), is_cut=_CUT in text.lower())


def _silent_damage(data: bytes, report: libjpeg.JpegWarnings) -> Damage | None:
    """Return what libjpeg does not warn of in a JPEG of one scan."""
    if report.too_bright:
        return Damage("a part of it is brighter than white or darker than black")
    if report.left and not _is_filling(report.left):
        return Damage("its pixel data go on behind the end of the picture")
    return zeros.find_in_jpeg(data)


def _is_filling(bits: str) -> bool:
    """Tell whether the rest of the last byte, and the bytes behind it, are zeros or ones alone."""
    rest = len(bits) % 8
    return all(len(set(part)) < 2 for part in (bits[:rest], bits[rest:]))


def _is_damage(text: str, data: bytes) -> bool:
    if match := _EXTRANEOUS.search(text):
        count = int(match[1])
        end = data.rfind(b"\xff\xd9")
        filling = data[end - count : end].strip(b"\0") == b"" or count == 1
        return count > _MOST_FILLING_BYTES or not filling
    return text.startswith(_DAMAGED)


def _damaged_part(data: bytes, damages: list[tuple[int, str]], rows: int) -> float | None:
    """Return the part that may be wrong: all rows from the first, or those that gave warnings."""
    first = damages[0][0]
    if first < 0 or not rows or _EXTRANEOUS.search(damages[0][1]):
        return None
    if _RESTART_INTERVAL in data:
        return len({row for row, _ in damages}) / rows
    return (rows - first) / rows
