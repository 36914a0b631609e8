"""The engine starts and answers right on CPUs that lack what the fast arithmetic needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.long_form import crossed, ends_of

pytest.importorskip("torch")

from worker.engine.kernels.instructions import choose_instructions

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
#: Desktops since 2013 and AMD before Zen 4; servers of 2017, which have no VNNI; what is here.
CPUS = {
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "AVX512_CORE": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "here": {},
}


@cache
def run_samples(cpu: str, numerics: str, native: str = "0") -> dict[str, Any]:
    """Ask the samples, without compiled kernels or with them, on a CPU as the named one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.samples", numerics, native],
        cwd=ROOT,
        env=os.environ | CPUS[cpu],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(("cpu", "numerics"), crossed(CPUS, ["int8", "bf16"]))
def test_the_bundled_model_answers_right_on_every_cpu(cpu: str, numerics: str) -> None:
    result = run_samples(cpu, numerics)
    assert result["asked"] == 12
    assert result["right"] >= 11
    assert numerics.replace("bf16", "bfloat16") in result["arithmetic"]


@pytest.mark.parametrize("cpu", ends_of(CPUS))
def test_products_of_int8_are_exact_on_every_cpu(cpu: str) -> None:
    result = run_samples(cpu, "int8")
    assert result["exact"]
    assert result["ones"] == pytest.approx(32, rel=0.01)
    if cpu != "here":
        assert result["levels"] == 63


def test_the_bundled_model_answers_most_in_int4() -> None:
    if choose_instructions() is None:
        pytest.skip("this CPU has no kernels")
    result = run_samples("here", "int4", "1")
    assert "int4" in result["arithmetic"]
    assert result["right"] >= 8
