"""Loads the compiled kernels for the fastest instruction set that works here."""

from __future__ import annotations

import ctypes
import logging
import subprocess
from ctypes import c_float, c_int64, c_void_p
from pathlib import Path

from worker.engine.kernels.compiling import compiled_library
from worker.engine.kernels.instructions import InstructionSet, list_usable

#: Arguments of each function of kernels.cpp that returns nothing.
_SIGNATURES: dict[str, tuple[type, ...]] = {
    "pack_panels": (c_void_p, c_int64, c_int64, c_void_p),
    "quantize_weight": (c_void_p, c_int64, c_int64, *(c_void_p,) * 3),
    "linear_bf16": (c_void_p, c_void_p, c_int64, *(c_void_p,) * 3),
    "linear_int8": (*(c_void_p,) * 2, c_int64, *(c_void_p,) * 4),
    "pack_int4": (c_void_p, c_int64, c_int64, c_void_p, c_void_p),
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
