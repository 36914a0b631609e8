"""Writes BMP files of every layout, all of the same small picture."""

import struct

import numpy as np

from tests.support.images.image_bytes import BLUE, GREEN, RED, WHITE, quarters

_PALETTE = (RED, GREEN, BLUE, WHITE)


def _file(header: bytes, tables: bytes, pixels: bytes) -> bytes:
    offset = 14 + len(header) + len(tables)
    start = struct.pack("<IHHI", offset + len(pixels), 0, 0, offset)
    return b"BM" + start + header + tables + pixels


def _header(
    bits: int, packing: int = 0, size: int = 40, height: int = 24, colours: int = 0
) -> bytes:
    head = struct.pack("<IiiHHIIiiII", size, 32, height, 1, bits, packing, 0, 0, 0, colours, 0)
    return head[:size].ljust(size, b"\0")


def _indexes() -> np.ndarray:
    """Return the index of each pixel, lowest row first."""
    indexes = np.zeros((24, 32), np.uint8)
    indexes[:12, 16:] = 1
    indexes[12:, :16], indexes[12:, 16:] = 2, 3
    return indexes[::-1]


def palette_bmp(bits: int, *, os2: bool = False, size: int = 40) -> bytes:
    """Return a picture of 2, 4 or 8 bits with a palette; `os2`: with the oldest header."""
    per_byte = 8 // bits
    groups = _indexes().reshape(24, -1, per_byte)
    shifts = np.arange(8 - bits, -1, -bits)
    pixels = (groups.astype(np.uint32) << shifts).sum(axis=2).astype(np.uint8).tobytes()
    if os2:
        header = struct.pack("<IHHHH", 12, 32, 24, 1, bits)
        table = b"".join(bytes(colour[::-1]) for colour in _PALETTE)
        return _file(header, table.ljust(3 << bits, b"\0"), pixels)
    table = b"".join(bytes((*colour[::-1], 0)) for colour in _PALETTE)
    return _file(_header(bits, size=size, colours=4), table, pixels)


def masked_bmp(bits: int, masks: tuple[int, ...], size: int = 40, packing: int = 3) -> bytes:
    """Return a picture of 16 or 32 bits whose samples lie where `masks` say; alpha is full."""
    words = np.zeros((24, 32), np.uint32)
    for channel, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1 if mask else 0
        rows = np.asarray(quarters())[::-1]
        samples = rows[..., channel] if channel < 3 else np.full((24, 32), 255)
        words |= (samples.astype(np.uint32) * (mask >> shift) // 255) << np.uint32(shift)
    pixels = words.astype("<u2" if bits == 16 else "<u4").tobytes()
    header = _header(bits, packing, size)
    table = struct.pack(f"<{len(masks)}I", *masks) if packing else b""
    if size == 40:
        return _file(header, table, pixels)
    return _file(header[:40] + table.ljust(size - 40, b"\0"), b"", pixels)


def run_length_bmp(bits: int, *, skips: bool = False) -> bytes:
    """Return a picture in run lengths of 4 or 8 bits; `skips`: it leaves out its upper half."""
    rows = []
    for row in _indexes()[: 12 if skips else 24]:
        left, right = int(row[0]), int(row[-1])
        pair = (left * 17, right * 17) if bits == 4 else (left, right)
        rows.append(bytes((16, pair[0], 16, pair[1], 0, 0)))
    table = b"".join(bytes((*colour[::-1], 0)) for colour in _PALETTE)
    header = _header(bits, 2 if bits == 4 else 1, colours=4)
    return _file(header, table, b"".join(rows) + b"\0\1")
