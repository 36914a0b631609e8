"""Reads BMP files of every layout that Windows and OS/2 wrote, which Pillow knows only in part."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from gateway.images.decoder.checks.checked_file import damage_error
from shared.errors import ImageTruncated, UnsupportedImageFormat

_PLAIN, _RLE8, _RLE4, _BITFIELDS, _JPEG, _PNG, _ALPHA_BITFIELDS = range(7)
_FILE_HEADER_BYTES = 14
_OS2_HEADER, _OS2_LONG_HEADERS = 12, (16, 64)
#: In the longer header of OS/2 these numbers mean Huffman coding and RLE of 24 bits.
_OS2_PACKED = {3: "OS/2 Huffman coding", 4: "OS/2 run lengths of 24 bits"}
_DEPTHS = (1, 2, 4, 8, 16, 24, 32)
_MASKS_555 = (0x7C00, 0x3E0, 0x1F, 0)
_MASKS_888 = (0xFF0000, 0xFF00, 0xFF, 0)

Bytes = NDArray[np.uint8]


class BmpFile(ImageFile.ImageFile):
    """A BMP whose pixels are not read yet, as Pillow's plugins give it."""

    format = "BMP"
    format_description = "Windows and OS/2 bitmap"

    def _open(self) -> None:
        self._data: bytes = self.fp.read() if self.fp else b""
        self._header = read_header(self._data)
        self._size = self._header.width, self._header.height
        self._mode = "RGB"

    def load(self) -> Any:
        """Read the pixels; raises ImageTruncated and ImageDecodeFailed."""
        if self._im is None:
            image = read_pixels(self._data, self._header)
            self.im, self._mode, self.palette = image.im, image.mode, image.palette
        return self.im.pixel_access(self.readonly)


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """What the headers of a BMP say."""

    width: int
    height: int
    #: The first row in the file is the lowest.
    bottom_up: bool
    bits: int
    packing: int
    #: Of red, green, blue and alpha, for 16 and 32 bits.
    masks: tuple[int, int, int, int]
    palette: Bytes
    pixels_at: int

    @property
    def row_bytes(self) -> int:
        """Return the bytes of a row that is not packed."""
        return (self.width * self.bits + 31) // 32 * 4


def read_header(data: bytes) -> BmpHeader:
    """Return the header; raises ImageTruncated, ImageDecodeFailed, UnsupportedImageFormat."""
    size = int.from_bytes(data[14:18], "little")
    if len(data) < _FILE_HEADER_BYTES + size:
        raise ImageTruncated("The BMP file is truncated in its header.")
    pixels_at = int.from_bytes(data[10:14], "little")
    if size == _OS2_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        packing, colours = _PLAIN, 0
    else:
        width, height, _, bits, packing, colours = _long_header(data, size)
    _check_form(size, bits, packing)
    masks = _read_masks(data, size, bits, packing)
    masks_bytes = {_BITFIELDS: 12, _ALPHA_BITFIELDS: 16}.get(packing, 0) if size == 40 else 0
    palette = _read_palette(data, _FILE_HEADER_BYTES + size + masks_bytes, size, bits, colours)
    if not 0 < pixels_at < len(data):
        raise ImageTruncated("The BMP file is truncated before its pixels.")
    return BmpHeader(width, abs(height), height > 0, bits, packing, masks, palette, pixels_at)


def _long_header(data: bytes, size: int) -> tuple[int, int, int, int, int, int]:
    padded = data[18 : _FILE_HEADER_BYTES + size].ljust(36, b"\0")
    width, height, planes, bits, packing, _, _, _, colours = struct.unpack_from(
        "<iiHHIIiiI", padded
    )
    if width < 1 or not height:
        raise damage_error(f"the BMP is {width}x{height}")
    return width, height, planes, bits, packing, colours


def _check_form(size: int, bits: int, packing: int) -> None:
    """Raise UnsupportedImageFormat for valid layouts that are not read, else ImageDecodeFailed."""
    form = None
    if size in _OS2_LONG_HEADERS:
        form = _OS2_PACKED.get(packing)
    elif packing in (_JPEG, _PNG):
        form = "a JPEG or PNG for printers inside"
    elif bits == 64:
        form = "samples of 16 bits"
    if form:
        raise UnsupportedImageFormat(f"The file is a BMP with {form}, which is not supported.")
    fits = {_RLE8: (8,), _RLE4: (4,), _BITFIELDS: (16, 24, 32), _ALPHA_BITFIELDS: (16, 32)}
    if packing > _ALPHA_BITFIELDS or bits not in fits.get(packing, _DEPTHS):
        raise damage_error(
            f"the BMP header has {bits} bits with compression {packing}, which is invalid"
        )


def _read_masks(data: bytes, size: int, bits: int, packing: int) -> tuple[int, int, int, int]:
    usual = _MASKS_555 if bits == 16 else _MASKS_888
    if packing not in (_BITFIELDS, _ALPHA_BITFIELDS) or bits == 24:
        return usual
    with_alpha = packing == _ALPHA_BITFIELDS or size >= 56
    masks = struct.unpack_from("<4I", data[54:70].ljust(16, b"\0"))
    if not any(masks[:3]):
        return usual
    return masks[0], masks[1], masks[2], masks[3] if with_alpha else 0


def _read_palette(data: bytes, at: int, size: int, bits: int, colours: int) -> Bytes:
    if bits > 8:
        return np.zeros((0, 3), np.uint8)
    step = 3 if size == _OS2_HEADER else 4
    count = min(colours or 1 << bits, 1 << bits)
    end = min(at + step * count, int.from_bytes(data[10:14], "little"), len(data))
    entries = np.frombuffer(data, np.uint8, max(0, end - at) // step * step, min(at, len(data)))
    palette = np.zeros((256, 3), np.uint8)
    table = entries.reshape(-1, step)[:, 2::-1]
    palette[: len(table)] = table
    return palette


def read_pixels(data: bytes, header: BmpHeader) -> Image.Image:
    """Return the picture: P, RGB or RGBA; pixels that run lengths leave out are transparent.

    Raises ImageTruncated and ImageDecodeFailed.
    """
    if header.packing in (_RLE8, _RLE4):
        return _unpack_runs(data, header)
    rows = _read_rows(data, header)
    if header.bits <= 8:
        return _with_palette(_unpack_indexes(rows, header), header)
    if header.bits == 24:
        samples = rows[:, : 3 * header.width].reshape(header.height, header.width, 3)
        return Image.fromarray(np.ascontiguousarray(samples[:, :, ::-1]))
    return _split_masks(rows, header)


def _read_rows(data: bytes, header: BmpHeader) -> Bytes:
    needed = header.row_bytes * header.height
    if header.pixels_at + needed > len(data):
        raise ImageTruncated(
            f"The BMP file is truncated at byte {len(data)} of {header.pixels_at + needed}."
        )
    rows = np.frombuffer(data, np.uint8, needed, header.pixels_at)
    rows = rows.reshape(header.height, header.row_bytes)
    return rows[::-1] if header.bottom_up else rows


def _unpack_indexes(rows: Bytes, header: BmpHeader) -> Bytes:
    if header.bits == 8:
        return rows[:, : header.width]
    if header.bits == 1:
        return np.unpackbits(rows, axis=1)[:, : header.width]
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    indexes = rows[:, :, None] >> shifts & (1 << header.bits) - 1
    return indexes.reshape(header.height, -1)[:, : header.width].astype(np.uint8)


def _with_palette(indexes: Bytes, header: BmpHeader) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(indexes))
    image.putpalette(header.palette.tobytes())
    return image


def _split_masks(rows: Bytes, header: BmpHeader) -> Image.Image:
    words = np.ascontiguousarray(rows).view("<u2" if header.bits == 16 else "<u4")
    words = words[:, : header.width]
    bands = [_scale_band(words, mask) for mask in header.masks]
    # many programs leave the alpha of an opaque picture zero
    opaque = not header.masks[3] or not bands[3].any()
    return Image.fromarray(np.dstack(bands[:3] if opaque else bands))


def _scale_band(words: NDArray[np.unsignedinteger], mask: int) -> Bytes:
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    values = words.astype(np.uint32) & np.uint32(mask)
    values >>= np.uint32(shift)
    if most == 255:
        return values.astype(np.uint8)
    return (values * (255 / most) + 0.5).astype(np.uint8)


def _unpack_runs(data: bytes, header: BmpHeader) -> Image.Image:
    indexes, drawn = _RunReader(data, header).read()
    image = _with_palette(indexes[::-1] if header.bottom_up else indexes, header)
    drawn = drawn[::-1] if header.bottom_up else drawn
    if drawn.all():
        return image
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(np.where(drawn, np.uint8(255), np.uint8(0))))
    return image


class _RunReader:
    """Unpacks run lengths of 8 or 4 bits."""

    def __init__(self, data: bytes, header: BmpHeader) -> None:
        self._data = data
        self._header = header
        self._at = header.pixels_at
        self._x = self._y = 0
        self._indexes = bytearray(header.width * header.height)
        self._drawn = bytearray(header.width * header.height)

    def read(self) -> tuple[Bytes, NDArray[np.bool_]]:
        """Return the indexes, and which of them were drawn."""
        while self._y < self._header.height:
            count, value = self._take(2)
            if count:
                self._draw(self._repeated(count, value))
            elif value == 0:
                self._x, self._y = 0, self._y + 1
            elif value == 1:
                break
            elif value == 2:
                right, up = self._take(2)
                self._x, self._y = self._x + right, self._y + up
            else:
                self._draw(self._literal(value))
        shape = (self._header.height, self._header.width)
        drawn = np.frombuffer(self._drawn, np.bool_).reshape(shape)
        return np.frombuffer(self._indexes, np.uint8).reshape(shape), drawn

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise ImageTruncated("The BMP file is truncated in its run lengths.")
        self._at += count
        return taken

    def _repeated(self, count: int, value: int) -> bytes:
        if self._header.packing == _RLE8:
            return bytes((value,)) * count
        return (bytes((value >> 4, value & 15)) * (count // 2 + 1))[:count]

    def _literal(self, count: int) -> bytes:
        if self._header.packing == _RLE8:
            return self._take(count + count % 2)[:count]
        pairs = self._take((count + 3) // 4 * 2)
        return bytes(half for pair in pairs for half in (pair >> 4, pair & 15))[:count]

    def _draw(self, indexes: bytes) -> None:
        end = self._x + len(indexes)
        if end > self._header.width:
            raise damage_error("a run of the BMP is longer than its row")
        start = self._y * self._header.width + self._x
        self._indexes[start : start + len(indexes)] = indexes
        self._drawn[start : start + len(indexes)] = b"\1" * len(indexes)
        self._x = end
