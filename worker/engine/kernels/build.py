"""Compiles and loads the kernels of this folder, for CPUs that have what they need."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from ctypes import c_float, c_int64, c_void_p
from pathlib import Path

_SIGNATURES: dict[str, tuple[type, ...]] = {
    "pack_panels": (c_void_p, c_int64, c_int64, c_void_p),
    "quantize_weight": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "linear_bf16": (c_void_p, c_void_p, c_int64, c_void_p, c_void_p),
    "linear_int8": (*(c_void_p,) * 2, c_int64, *(c_void_p,) * 4),
    "linear_unpacked": (c_void_p, c_int64, c_int64, c_void_p, c_int64, c_void_p),
    "rms_norm": (c_void_p, c_int64, c_int64, c_void_p, c_float, c_void_p),
    "layer_norm": (c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_float, c_void_p),
    "store_keys": (*(c_void_p,) * 3, c_float, *(c_void_p,) * 3, *(c_int64,) * 5, c_void_p),
    "attend": (c_void_p, c_void_p, *(c_int64,) * 5, c_void_p),
    "attend_patches": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "set_threads": (c_int64,),
}

_log = logging.getLogger(__name__)

_SOURCES = Path(__file__).parent
_NEEDED = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_bf16", "avx512_vnni"})
_FLAGS = (
    *("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-w", "-mfma", "-mavx512f"),
    *("-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512bf16", "-mavx512vnni"),
)


def load_kernels() -> ctypes.CDLL | None:
    """Return the kernels, compiled now if need be; None where the CPU or a compiler lacks.

    Load torch before: both then share one OpenMP runtime and its threads.
    """
    if not _supported():
        return None
    try:
        kernels = ctypes.CDLL(str(_compiled()))
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("kernels.unavailable", extra={"reason": str(error)})
        return None
    for name, arguments in _SIGNATURES.items():
        function = getattr(kernels, name)
        function.argtypes, function.restype = arguments, None
    return kernels


def _supported() -> bool:
    """Tell whether the CPU has the instructions, and no AMX, which oneDNN uses better."""
    try:
        info = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
    flags = next((line.split() for line in info.splitlines() if line.startswith("flags")), [])
    return platform.machine() == "x86_64" and set(flags) >= _NEEDED and "amx_int8" not in flags


def _compiled() -> Path:
    """Return the library, made once for each version of the sources."""
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in sorted([*_SOURCES.glob("*.cpp"), *_SOURCES.glob("*.h")]):
        digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sightline"
    library = cache / f"kernels-{digest.hexdigest()[:16]}.so"
    if not library.is_file():
        _compile(library)
    return library


def _compile(library: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (g++ or clang++) on PATH")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        unfinished = Path(folder) / library.name
        command = [compiler, *_FLAGS, str(_SOURCES / "kernels.cpp"), "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise OSError(f"{compiler}: {done.stderr.strip()[:500]}")
        unfinished.replace(library)


if __name__ == "__main__":
    # images are built with a compiler and run without one
    sys.stdout.write(f"{_compiled()}\n")
