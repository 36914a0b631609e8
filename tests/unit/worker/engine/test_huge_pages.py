"""Weights ask for huge pages."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

import pytest

from worker.engine.memory.huge_pages import advise_huge_pages

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir() or sys.platform != "linux",
    reason="this system has no huge pages",
)
MIB = 1 << 20


@pytest.mark.parametrize(("size", "asked"), [(8 * MIB, True), (MIB, False)])
def test_whole_huge_pages_are_asked_for_alone(size: int, asked: bool) -> None:
    memory = mmap.mmap(-1, 16 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    advise_huge_pages(address, size)
    assert (_bytes_asked_for(address, address + 16 * MIB) > 0) is asked


def _bytes_asked_for(start: int, end: int) -> int:
    """Return the bytes of mappings in that range that carry the mark of huge pages."""
    total = at = until = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            at, until = (int(part, 16) for part in head.split("-"))
        elif head == "VmFlags:" and start <= at < end and "hg" in line.split():
            total += until - at
    return total
