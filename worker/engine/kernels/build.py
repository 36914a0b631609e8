"""Compiles and loads the kernels of this folder, on CPUs that have the instructions they need."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from ctypes import c_float, c_int64, c_void_p
from pathlib import Path

#: Arguments of each function of kernels.cpp; none returns anything.
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
#: CPU flags that the kernels need, as /proc/cpuinfo names them.
_NEEDED = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_bf16", "avx512_vnni"})
#: Seconds after which a compiler is stopped.
_COMPILE_S = 300
_FLAGS = (
    *("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-w", "-mfma", "-mavx512f"),
    *("-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512bf16", "-mavx512vnni"),
)


def load_kernels() -> ctypes.CDLL | None:
    """Return the kernels, compiled first if need be; None without a suitable CPU or a compiler.

    Import torch before: both then share one OpenMP runtime and its threads.
    """
    if not _supports_cpu():
        return None
    try:
        kernels = ctypes.CDLL(str(compiled_library()))
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("kernels.unavailable", extra={"reason": str(error)})
        return None
    for name, arguments in _SIGNATURES.items():
        function = getattr(kernels, name)
        function.argtypes, function.restype = arguments, None
    return kernels


def _supports_cpu() -> bool:
    """Tell whether the CPU has the instructions, and no AMX: oneDNN is faster with it."""
    try:
        info = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
    flags = next((line.split() for line in info.splitlines() if line.startswith("flags")), [])
    return platform.machine() == "x86_64" and set(flags) >= _NEEDED and "amx_int8" not in flags


def compiled_library() -> Path:
    """Return the path of the library, compiled once for each version of the sources.

    Raises FileNotFoundError without a compiler, OSError or subprocess.TimeoutExpired if it fails.
    """
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
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
        )
        if run.returncode:
            raise OSError(f"{compiler}: {run.stderr.strip()[:500]}")
        unfinished.replace(library)
