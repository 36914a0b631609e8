"""Compiles and loads the kernels of this folder for one instruction set."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
from ctypes import c_float, c_int64, c_void_p
from pathlib import Path

from shared.long_steps import long_step
from worker.engine.kernels.instructions import InstructionSet, list_usable

#: Arguments of each function of kernels.cpp that returns nothing.
_SIGNATURES: dict[str, tuple[type, ...]] = {
    "pack_panels": (c_void_p, c_int64, c_int64, c_void_p),
    "quantize_weight": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "linear_bf16": (c_void_p, c_void_p, c_int64, *(c_void_p,) * 3),
    "linear_int8": (*(c_void_p,) * 2, c_int64, *(c_void_p,) * 4),
    "pack_int4": (c_void_p, c_int64, c_int64, c_void_p),
    "linear_int4": (*(c_void_p,) * 2, c_int64, *(c_void_p,) * 5),
    "linear_unpacked": (c_void_p, c_int64, c_int64, c_void_p, c_int64, c_void_p),
    "rms_norm": (c_void_p, c_int64, c_int64, c_void_p, c_float, c_void_p),
    "layer_norm": (c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_float, c_void_p),
    "store_keys": (*(c_void_p,) * 3, c_float, *(c_void_p,) * 3, *(c_int64,) * 5, c_void_p),
    "attend": (c_void_p, c_void_p, *(c_int64,) * 5, c_void_p),
    "attend_patches": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "attend_patches_int8": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "set_threads": (c_int64,),
}

_log = logging.getLogger(__name__)

_SOURCES = Path(__file__).parent
#: Seconds after which a compiler is stopped.
_COMPILE_S = 300
_FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-w")


class Kernels(ctypes.CDLL):
    """The functions of kernels.cpp, compiled for one instruction set."""

    def __init__(self, library: Path, instructions: InstructionSet) -> None:
        """Load the library; raises OSError if that fails or the system refuses it."""
        super().__init__(str(library))
        self.instructions = instructions
        for name, arguments in _SIGNATURES.items():
            function = getattr(self, name)
            function.argtypes, function.restype = arguments, None
        for name in ("panel_outputs", "left_bytes", "int4_bytes", "prepare_process"):
            getattr(self, name).restype = c_int64
        self.int4_bytes.argtypes = c_int64, c_int64
        if not self.prepare_process():
            raise OSError(f"{instructions.title}: refused by the system, or not working")
        #: Outputs of a packed panel.
        self.panel = int(self.panel_outputs())
        #: Whether rows of bfloat16 are widened to float32 before they are multiplied.
        self.widens = int(self.left_bytes()) > 2


def load_kernels(most: str = "auto") -> Kernels | None:
    """Return the kernels, compiled first if need be; None without a suitable CPU or a compiler.

    `most` is the fastest instruction set allowed. Import torch before: both then share one OpenMP
    runtime and its threads.
    """
    for instructions in list_usable(most):
        try:
            return Kernels(compiled_library(instructions), instructions)
        except (OSError, subprocess.SubprocessError) as error:
            # an older compiler may know the next ones
            reason = {"instructions": instructions.name, "reason": str(error)}
            _log.warning("kernels.unavailable", extra=reason)
            if isinstance(error, FileNotFoundError | subprocess.TimeoutExpired):
                break
    return None


def compiled_library(instructions: InstructionSet) -> Path:
    """Return the path of the library, compiled once for each version of the sources.

    Raises FileNotFoundError without a compiler, OSError or subprocess.TimeoutExpired if it fails.
    """
    library = library_path(instructions)
    if not library.is_file():
        _log.info("kernels.compiling", extra={"instructions": instructions.title})
        started = time.monotonic()
        with long_step("compiling the kernels for this CPU, once"):
            _compile(library, instructions)
        _log.info("kernels.compiled", extra={"seconds": round(time.monotonic() - started, 1)})
    return library


def library_path(instructions: InstructionSet) -> Path:
    """Return where the library of these sources is, or will be."""
    digest = hashlib.sha256(" ".join((*_FLAGS, *instructions.compiler_flags)).encode())
    for source in sorted([*_SOURCES.glob("*.cpp"), *_SOURCES.glob("*.h")]):
        digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sightline"
    return cache / f"kernels-{instructions.name}-{digest.hexdigest()[:16]}.so"


def _compile(library: Path, instructions: InstructionSet) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (g++ or clang++) on PATH")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        unfinished = Path(folder) / library.name
        flags = (*_FLAGS, *instructions.compiler_flags)
        command = [compiler, *flags, str(_SOURCES / "kernels.cpp"), "-o", str(unfinished)]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
        )
        if run.returncode:
            raise OSError(f"{compiler}: {run.stderr.strip()[:500]}")
        unfinished.replace(library)
