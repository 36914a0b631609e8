"""The instruction sets that the kernels are compiled for, and which of them this CPU has.

Imports nothing that is not in Python: images are built where no package is installed.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq")
_AMX = ("-mamx-tile", "-mamx-int8", "-mamx-bf16", "-DSIGHTLINE_TILES=1")
_AVX512_FLAGS = frozenset({"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512dq"})
#: Has products of bfloat16, but slower ones than of float32: 0.7 of their speed without AMX.
_INTEL = "GenuineIntel"
_X86, _ARM = ("x86_64", "AMD64"), ("aarch64", "arm64")


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """What a variant of the kernels needs of a CPU and of a compiler."""

    #: As in SIGHTLINE_INSTRUCTIONS.
    name: str
    #: For people.
    title: str
    machines: tuple[str, ...]
    #: CPU flags as /proc/cpuinfo names them.
    needed: frozenset[str]
    compiler_flags: tuple[str, ...]


#: The fastest first: a CPU takes the first one that it has.
INSTRUCTION_SETS = (
    InstructionSet(
        "amx",
        "AMX",
        _X86,
        _AVX512_FLAGS | {"avx512_bf16", "avx512_vnni", "amx_tile", "amx_int8", "amx_bf16"},
        (*_AVX512, "-mavx512bf16", "-mavx512vnni", *_AMX),
    ),
    InstructionSet(
        "avx512-bf16",
        "AVX512-BF16 and VNNI",
        _X86,
        _AVX512_FLAGS | {"avx512_bf16", "avx512_vnni"},
        (*_AVX512, "-mavx512bf16", "-mavx512vnni"),
    ),
    InstructionSet(
        "avx512-vnni",
        "AVX512-VNNI",
        _X86,
        _AVX512_FLAGS | {"avx512_vnni"},
        (*_AVX512, "-mavx512vnni"),
    ),
    InstructionSet("avx512", "AVX512", _X86, _AVX512_FLAGS, _AVX512),
    InstructionSet(
        "avx2-vnni",
        "AVX2 and AVX-VNNI",
        _X86,
        frozenset({"avx2", "fma", "avx_vnni"}),
        (*_AVX2, "-mavxvnni"),
    ),
    InstructionSet("avx2", "AVX2", _X86, frozenset({"avx2", "fma"}), _AVX2),
    InstructionSet(
        "neon-bf16",
        "NEON with bfloat16",
        _ARM,
        frozenset({"asimddp", "bf16"}),
        ("-march=armv8.2-a+dotprod+bf16",),
    ),
    InstructionSet(
        "neon-dotprod",
        "NEON with dot products",
        _ARM,
        frozenset({"asimddp"}),
        ("-march=armv8.2-a+dotprod",),
    ),
)


def choose_instructions(
    most: str = "auto", machine: str = "", flags: frozenset[str] | None = None
) -> InstructionSet | None:
    """Return the first of `list_usable`, None where there is none."""
    return next(iter(list_usable(most, machine, flags)), None)


def list_usable(
    most: str = "auto", machine: str = "", flags: frozenset[str] | None = None
) -> list[InstructionSet]:
    """Return the instruction sets that this CPU has, the fastest first, from the one named `most`.

    `machine` and `flags` stand for another CPU in tests.
    """
    machine = machine or platform.machine()
    flags = read_cpu_flags() if flags is None else flags
    names = [one.name for one in INSTRUCTION_SETS]
    allowed = INSTRUCTION_SETS[0 if most == "auto" else names.index(most) :]
    slow = "avx512-bf16" if most == "auto" and _INTEL in flags else ""
    return [
        one
        for one in allowed
        if machine in one.machines and flags >= one.needed and one.name != slow
    ]


def list_for_machine(machine: str = "") -> list[InstructionSet]:
    """Return all sets that CPUs of this kind of machine may have, the fastest first."""
    machine = machine or platform.machine()
    return [one for one in INSTRUCTION_SETS if machine in one.machines]


def read_cpu_flags(info: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the first CPU's flags and its maker, empty where the system does not tell them."""
    try:
        text = info.read_text("ascii", "replace")
    except OSError:
        return frozenset()
    first = text.partition("\n\n")[0]
    fields = ("flags", "Features", "vendor_id")
    lines = (line.partition(":") for line in first.splitlines() if line.startswith(fields))
    return frozenset(word for _, _, words in lines for word in words.split())
