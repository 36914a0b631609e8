"""Every variant of the kernels against float32, under AddressSanitizer, on sizes off all tiles."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from shared.settings import Instructions
from tests.support.long_form import ends_of
from worker.engine.kernels import build
from worker.engine.kernels.instructions import (
    INSTRUCTION_SETS,
    InstructionSet,
    choose_instructions,
    list_for_machine,
    list_usable,
    read_cpu_flags,
)

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
CHECK = ROOT / "tests" / "native" / "check_kernels.cpp"
VARIANTS = [one for one in INSTRUCTION_SETS if choose_instructions(one.name) == one]
AVX2 = frozenset({"avx2", "fma"})
ICE_LAKE = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}
SAPPHIRE_RAPIDS = ICE_LAKE | {
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "GenuineIntel",
}
ZEN_4 = ICE_LAKE | {"avx512_bf16", "AuthenticAMD"}


@pytest.mark.parametrize("variant", ends_of(VARIANTS), ids=lambda one: one.name)
def test_a_variant_computes_what_float32_does(variant: InstructionSet, tmp_path: Path) -> None:
    _check_against_float32(variant.compiler_flags, tmp_path)


@pytest.mark.long
@pytest.mark.skipif(choose_instructions("avx512-bf16") is None, reason="widens bfloat16")
def test_tiles_are_filled_right_where_no_cpu_multiplies_them(tmp_path: Path) -> None:
    amx = INSTRUCTION_SETS[0]
    flags = [flag for flag in amx.compiler_flags if "SIGHTLINE_TILES" not in flag]
    _check_against_float32((*flags, "-DSIGHTLINE_TILES=2"), tmp_path)


def _check_against_float32(compiler_flags: tuple[str, ...], tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    program = tmp_path / "check"
    flags = ["-O1", "-std=c++17", "-fopenmp", "-w", "-fsanitize=address"]
    sources = [f"-I{ROOT / 'worker' / 'engine' / 'kernels'}", str(CHECK), "-o", str(program)]
    subprocess.run([compiler, *flags, *compiler_flags, *sources], check=True)
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    environment.pop("LD_PRELOAD", None)
    done = subprocess.run(
        [program, "brief"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.endswith(" 0 failed\n")


@pytest.mark.parametrize(
    ("machine", "flags", "chosen"),
    [
        ("x86_64", ZEN_4, "avx512-bf16"),
        ("x86_64", ICE_LAKE | {"avx512_bf16", "GenuineIntel"}, "avx512-vnni"),
        ("x86_64", SAPPHIRE_RAPIDS, "amx"),
        ("x86_64", SAPPHIRE_RAPIDS - {"amx_tile"}, "avx512-vnni"),
        ("x86_64", ICE_LAKE, "avx512-vnni"),
        ("x86_64", ICE_LAKE - {"avx512_vnni"}, "avx512"),
        ("x86_64", AVX2 | {"avx_vnni"}, "avx2-vnni"),
        ("x86_64", AVX2, "avx2"),
        ("x86_64", frozenset({"sse4_2"}), None),
        ("aarch64", frozenset({"asimd", "asimddp", "i8mm", "bf16"}), "neon-bf16"),
        ("aarch64", frozenset({"asimd", "asimddp"}), "neon-dotprod"),
        ("aarch64", frozenset({"asimd"}), None),
        ("riscv64", frozenset(), None),
    ],
)
def test_a_cpu_takes_the_fastest_that_it_has(
    machine: str, flags: frozenset[str], chosen: str | None
) -> None:
    taken = choose_instructions("auto", machine, flags)
    assert (taken.name if taken else None) == chosen


def test_the_setting_is_a_limit() -> None:
    avx512 = choose_instructions("avx512", "x86_64", ZEN_4)
    older = choose_instructions("avx2-vnni", "x86_64", ZEN_4)
    assert avx512
    assert avx512.name == "avx512"
    assert older
    assert older.name == "avx2"
    assert choose_instructions("neon-bf16", "x86_64", ZEN_4) is None


@pytest.mark.long
@pytest.mark.skipif("amx_tile" in read_cpu_flags(), reason="this CPU has tiles")
def test_what_the_system_refuses_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [INSTRUCTION_SETS[0], VARIANTS[-1]]
    monkeypatch.setattr(build, "list_usable", lambda _: wanted)
    loaded = build.load_kernels()
    assert loaded
    assert loaded.instructions == VARIANTS[-1]


def test_intels_slow_products_of_bfloat16_are_used_only_where_they_are_named() -> None:
    taken = list_usable("auto", "x86_64", SAPPHIRE_RAPIDS)
    assert [one.name for one in taken] == ["amx", "avx512-vnni", "avx512", "avx2"]
    named = list_usable("amx", "x86_64", SAPPHIRE_RAPIDS)
    assert [one.name for one in named] == ["amx", "avx512-bf16", "avx512-vnni", "avx512", "avx2"]


def test_the_setting_knows_all_variants_in_their_order() -> None:
    assert get_args(Instructions) == ("auto", *(one.name for one in INSTRUCTION_SETS))


def test_every_kind_of_machine_has_its_own_variants() -> None:
    assert [one.name for one in list_for_machine("aarch64")] == ["neon-bf16", "neon-dotprod"]
    assert len(list_for_machine("x86_64")) == 6


def test_the_flags_of_the_first_cpu_are_read(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("vendor_id\t: AuthenticAMD\nflags\t\t: fma avx2\nbugs\t: x\n\nflags\t: more\n")
    assert read_cpu_flags(info) == {"AuthenticAMD", "fma", "avx2"}
    info.write_text("processor\t: 0\nFeatures\t: asimd asimddp\n\n")
    assert read_cpu_flags(info) == {"asimd", "asimddp"}
    assert not read_cpu_flags(tmp_path / "nothing")
