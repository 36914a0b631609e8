"""Reads a JPEG once more with the libjpeg inside Pillow, for the warnings that Pillow drops.

libjpeg goes on after most damage: it leaves blocks grey or draws them wrongly, and counts a
warning. Its functions are called by the layout that jpeglib.h fixes for each version; the library
checks version and size itself. A file must have been decoded by Pillow before: an error, unlike a
warning, ends the process.
"""

from __future__ import annotations

import ctypes
import functools
import io
import os
import re
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, _imaging, features

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_FORMAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
#: Offsets in jpeg_error_mgr, in bytes.
_ERROR_EXIT, _OUTPUT_MESSAGE, _FORMAT_MESSAGE, _NUM_WARNINGS = 0, 16, 24, 128
#: Offsets in jpeg_decompress_struct; they are the same in versions 6 to 9.
_ERR, _COMPONENTS, _JPEG_SPACE, _OUTPUT_SPACE = 0, 56, 60, 64
_SCALE_NUMERATOR, _SCALE_DENOMINATOR, _OUTPUT_WIDTH, _OUTPUT_HEIGHT = 68, 72, 136, 140
#: More than either struct has in any version.
_STRUCT_BYTES = 4096
_MESSAGE_BYTES = 200
_WRONG_VERSION = re.compile(r"library is (\d+)")
_WRONG_SIZE = re.compile(r"library thinks size is (\d+)")
_MOST_WARNINGS = 1_000
_EXIT_STATUS = 70
_POINTER_BYTES = 8
#: Where libjpeg-turbo keeps its Huffman decoder, before the end of jpeg_decompress_struct; where
#: that has the bits that were read ahead, by version, their number behind them. They are tried
#: with a known file before they are used.
_HUFFMAN_BEFORE_END, _BIT_BUFFERS, _BUFFER_BYTES = 40, (24, 32, 40), 8
_MOST_BITS_LEFT = 64


@dataclass(slots=True)
class JpegWarnings:
    """The warnings of one JPEG, each with the row of the reduced picture that was being drawn."""

    #: Rows of the picture at an eighth of its size.
    rows: int = 0
    #: (row, text); the row is -1 while data of several scans are collected.
    warnings: list[tuple[int, str]] = field(default_factory=list)
    #: Bits that were read ahead and not needed, as 0 and 1; None where they cannot be known.
    left: str | None = None
    #: A pixel of the first component was further from 128 than allowed.
    too_bright: bool = False


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Return Pillow's own module: names are looked up in the libraries that it has loaded."""
    if ctypes.sizeof(ctypes.c_void_p) != _POINTER_BYTES:
        return None
    library = ctypes.CDLL(_imaging.__file__)
    if not hasattr(library, "jpeg_std_error") or not hasattr(library, "jpeg_mem_src"):
        return None
    return library


@functools.cache
def _bit_buffer() -> int | None:
    """Return where this libjpeg has the bits, by a file that has two bytes too many; else None."""
    if not features.check_feature("libjpeg_turbo"):
        return None
    whole = io.BytesIO()
    Image.new("L", (8, 8), 90).save(whole, "JPEG")
    more = whole.getvalue()[:-2] + b"\xa5\x5a\xff\xd9"
    for offset in _BIT_BUFFERS:
        left = _Reader(offset).read(more).left or ""
        if left.endswith(f"{0xA55A:016b}") and len(left) < 24:
            return offset
    return None


def is_available() -> bool:
    """Tell whether Pillow's libjpeg can be reached; it cannot where it is hidden in Pillow."""
    return _library() is not None and _struct_layout() is not None


def read_warnings(data: bytes, most: int | None = None) -> JpegWarnings:
    """Return libjpeg's warnings of a JPEG that Pillow has decoded.

    `most`: how far its first component may be from 128 in the picture at an eighth of its size.
    """
    plain = b"\xff\xc0" in data or b"\xff\xc1" in data
    return _Reader(_bit_buffer() if plain else None).read(data, most)


@functools.cache
def _struct_layout() -> tuple[int, int] | None:
    """Return version and struct size that the library wants; it names them when it gets others."""
    version, size = 62, 632
    for _ in range(3):
        complaint = _Reader().create(version, size)
        if not complaint:
            return version, size
        if match := _WRONG_VERSION.search(complaint):
            version = int(match[1])
        elif match := _WRONG_SIZE.search(complaint):
            size = int(match[1])
    return None


class _Reader:
    """One decompression object of libjpeg, with an error manager that collects warnings."""

    def __init__(self, bit_buffer: int | None = None) -> None:
        """Take `bit_buffer` to tell what is left of data that are packed by Huffman's codes."""
        library = _library()
        if library is None:
            raise RuntimeError("libjpeg cannot be reached")
        self._library = library
        self._bit_buffer = bit_buffer
        self._row = -1
        self._report = JpegWarnings()
        self._complaint = ""
        self._creating = True
        self._errors = ctypes.create_string_buffer(_STRUCT_BYTES)
        self._state = ctypes.create_string_buffer(_STRUCT_BYTES)
        library.jpeg_std_error(self._errors)
        self._format = _FORMAT(self._pointer(self._errors, _FORMAT_MESSAGE).value or 0)
        # kept here: ctypes frees a callback that nothing holds
        self._output, self._exit = _CALLBACK(self._collect), _CALLBACK(self._end)
        for offset, callback in ((_OUTPUT_MESSAGE, self._output), (_ERROR_EXIT, self._exit)):
            address = ctypes.cast(callback, ctypes.c_void_p).value
            self._pointer(self._errors, offset).value = address
        self._pointer(self._state, _ERR).value = ctypes.addressof(self._errors)

    def create(self, version: int, size: int) -> str:
        """Make the decompression object; return libjpeg's complaint about version or size."""
        self._library.jpeg_CreateDecompress(self._state, version, ctypes.c_size_t(size))
        self._creating = False
        return self._complaint

    def read(self, data: bytes, most: int | None = None) -> JpegWarnings:
        layout = _struct_layout()
        if layout is None or self.create(*layout):
            raise RuntimeError("libjpeg has an unknown layout")
        library, state = self._library, self._state
        library.jpeg_mem_src(state, data, ctypes.c_ulong(len(data)))
        library.jpeg_read_header(state, 1)
        # an eighth of the size: all data are unpacked, little is computed
        self._number(_SCALE_NUMERATOR).value, self._number(_SCALE_DENOMINATOR).value = 1, 8
        if most is not None:
            self._number(_OUTPUT_SPACE).value = self._number(_JPEG_SPACE).value
        library.jpeg_start_decompress(state)
        self._report.rows = self._number(_OUTPUT_HEIGHT).value
        self._read_rows(self._number(_OUTPUT_WIDTH).value, most)
        library.jpeg_destroy_decompress(state)
        return self._report

    def _read_rows(self, width: int, most: int | None) -> None:
        row = ctypes.create_string_buffer(4 * width)
        components = self._number(_COMPONENTS).value
        first = np.frombuffer(memoryview(row), np.uint8)[: components * width : components]
        rows = (ctypes.c_void_p * 1)(ctypes.addressof(row))
        for number in range(self._report.rows):
            self._row = number
            self._library.jpeg_read_scanlines(self._state, rows, 1)
            if most is not None and max(int(first.max()) - 128, 128 - int(first.min())) > most:
                self._report.too_bright = True
            if len(self._report.warnings) >= _MOST_WARNINGS:
                return
        self._report.left = self._left_bits()
        # reads what follows the last row
        self._library.jpeg_finish_decompress(self._state)

    def _left_bits(self) -> str | None:
        _, size = _struct_layout() or (0, 0)
        address = self._pointer(self._state, size - _HUFFMAN_BEFORE_END).value
        if self._bit_buffer is None or not address:
            return None
        address += self._bit_buffer
        bits = ctypes.c_uint64.from_address(address).value
        count = ctypes.c_int.from_address(address + _BUFFER_BYTES).value
        if not 0 <= count <= _MOST_BITS_LEFT:
            return None
        return f"{bits & (1 << count) - 1:0{count}b}" if count else ""

    def _collect(self, _state: int | None) -> None:
        self._report.warnings.append((self._row, self._message()))
        if len(self._report.warnings) < _MOST_WARNINGS:
            # libjpeg outputs the first warning alone, and counts it after this; millions of
            # warnings and of other messages must not each come here
            ctypes.c_long.from_buffer(self._errors, _NUM_WARNINGS).value = -1

    def _end(self, _state: int | None) -> None:
        # libjpeg expects this never to return, except while it checks the layout
        if not self._creating:
            os._exit(_EXIT_STATUS)
        self._complaint = self._message()

    def _message(self) -> str:
        text = ctypes.create_string_buffer(_MESSAGE_BYTES)
        self._format(ctypes.addressof(self._state), text)
        return text.value.decode("ascii", "replace")

    @staticmethod
    def _pointer(struct: ctypes.Array[ctypes.c_char], offset: int) -> ctypes.c_void_p:
        return ctypes.c_void_p.from_buffer(struct, offset)

    def _number(self, offset: int) -> ctypes.c_uint:
        return ctypes.c_uint.from_buffer(self._state, offset)
