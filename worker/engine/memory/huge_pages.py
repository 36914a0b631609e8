"""Asks the system for large pages, which cost fewer look-ups of addresses."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

#: Bytes of a huge page of x86-64, and of ARM with pages of 4 KiB.
_HUGE = 2 << 20
_MADV_HUGEPAGE = 14


def advise_huge_pages(address: int, size: int) -> None:
    """Ask for huge pages inside `size` bytes of memory that nothing was written to yet.

    A wish: where the system has none, the memory is as before. Systems whose default is `madvise`
    give them only to those that ask.
    """
    start = -(-address // _HUGE) * _HUGE
    end = (address + size) // _HUGE * _HUGE
    if start < end and (advise := _find_madvise()):
        advise(start, end - start, _MADV_HUGEPAGE)


@cache
def _find_madvise() -> Any:
    """Return the C library's madvise; None where it means something else."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        advise = ctypes.CDLL(None).madvise
    except (AttributeError, OSError):
        return None
    advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return advise
