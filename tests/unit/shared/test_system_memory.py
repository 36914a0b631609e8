"""What a process may take, as the machine and its containers tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.prediction.image_memory import ImageRoom
from shared.system_memory import available_bytes, total_bytes

MIB = 1 << 20


def machine(folder: Path, groups: str, **files: str) -> tuple[Path, Path]:
    """Write what the kernel of a machine of 64 MiB, 48 of them free, tells of its memory."""
    proc, root = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 65536 kB\nMemFree: 10 kB\nMemAvailable: 49152 kB\n")
    (proc / "self/cgroup").write_text(groups)
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return proc, root


def test_without_a_container_the_machine_decides(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, "0::/\n", **{"memory.max": "max", "memory.current": "5"})
    assert total_bytes(proc, groups) == 64 * MIB
    assert available_bytes(proc, groups) == 48 * MIB


def test_a_container_leaves_its_limit_without_what_is_used_beside_caches(tmp_path: Path) -> None:
    files = {
        "memory.max": str(32 * MIB),
        "memory.current": str(20 * MIB),
        "memory.stat": f"anon 1\ninactive_file {4 * MIB}\nactive_file {3 * MIB}",
    }
    proc, groups = machine(tmp_path, "0::/\n", **files)
    assert total_bytes(proc, groups) == 32 * MIB
    assert available_bytes(proc, groups) == 19 * MIB


@pytest.mark.parametrize("tight", ["pod/memory", "pod/worker/memory"])
def test_the_tightest_group_around_the_process_counts(tmp_path: Path, tight: str) -> None:
    files = {
        "pod/memory.max": str(40 * MIB),
        "pod/memory.current": str(9 * MIB),
        "pod/worker/memory.max": "max",
        "pod/worker/memory.current": str(8 * MIB),
        f"{tight}.max": str(16 * MIB),
    }
    proc, groups = machine(tmp_path, "0::/pod/worker\n", **files)
    assert total_bytes(proc, groups) == 16 * MIB
    assert available_bytes(proc, groups) < 9 * MIB


def test_groups_of_the_first_version_are_honoured_too(tmp_path: Path) -> None:
    files = {
        "memory/job/memory.limit_in_bytes": str(24 * MIB),
        "memory/job/memory.usage_in_bytes": str(8 * MIB),
        "memory/memory.limit_in_bytes": str(1 << 62),
        "memory/memory.usage_in_bytes": str(8 * MIB),
    }
    proc, groups = machine(tmp_path, "4:memory:/job\n3:cpu:/other\n", **files)
    assert total_bytes(proc, groups) == 24 * MIB
    assert available_bytes(proc, groups) == 16 * MIB


def test_a_container_that_sees_its_group_at_the_root_is_understood(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": str(8 * MIB), "memory/memory.usage_in_bytes": "0"}
    proc, groups = machine(tmp_path, "4:memory:/outside/abc\n", **files)
    assert available_bytes(proc, groups) == 8 * MIB


def test_a_use_beyond_the_limit_leaves_nothing(tmp_path: Path) -> None:
    proc, groups = machine(tmp_path, "0::/\n", **{"memory.max": "9", "memory.current": "11"})
    assert available_bytes(proc, groups) == 0


def test_a_system_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    assert total_bytes(tmp_path, tmp_path) is None
    assert available_bytes(tmp_path, tmp_path) is None


def test_the_largest_image_costs_what_the_tower_takes_once() -> None:
    room = ImageRoom(bytes=1000, token_bytes=2, largest_token_bytes=5)
    assert room.required_bytes([10, 100]) == 220 + 500
    assert room.holds([100, 50])
    assert not room.holds([100, 100, 100])
    assert "300 visual tokens" in room.refusal([100, 100, 100])


def test_a_worker_that_tells_nothing_of_its_memory_holds_everything() -> None:
    assert ImageRoom().holds([1 << 40])
