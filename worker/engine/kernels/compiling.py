"""Compiles the kernels of this folder, once for each version of the sources.

Workers that start together share the work: one compiles, the others wait for it. A worker begins
before it imports torch, which takes about as long on another core.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from shared.long_steps import long_step
from worker.engine.kernels.instructions import InstructionSet, list_usable

_log = logging.getLogger(__name__)

_SOURCES = Path(__file__).parent
#: Seconds after which a compiler is stopped, and another process's compiler not waited for.
_COMPILE_S = 300
_LOOK_S = 0.05
_FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-w")

_guard = threading.Lock()
#: What this process compiles or has tried to, by the library's path.
_begun: dict[Path, Future[None]] = {}


def begin_compiling(most: str = "auto") -> None:
    """Compile in the background what load_kernels() will want, if it is not compiled yet.

    Raises nothing: whoever asks for the library hears what went wrong.
    """
    for instructions in list_usable(most)[:1]:
        with contextlib.suppress(OSError):
            library = library_path(instructions)
            if not library.is_file():
                _begin(library, instructions)


def compiled_library(instructions: InstructionSet) -> Path:
    """Return the path of the library; waits until it is compiled.

    Raises FileNotFoundError without a compiler, OSError or subprocess.TimeoutExpired if it fails.
    """
    library = library_path(instructions)
    if not library.is_file():
        compiling = _begin(library, instructions)
        with long_step("compiling the kernels for this CPU, once"):
            compiling.result()
    return library


def library_path(instructions: InstructionSet) -> Path:
    """Return where the library of these sources is, or will be.

    Raises OSError where this user has no folder for it.
    """
    digest = hashlib.sha256(" ".join((*_FLAGS, *instructions.compiler_flags)).encode())
    for source in sorted([*_SOURCES.glob("*.cpp"), *_SOURCES.glob("*.h")]):
        digest.update(source.read_bytes())
    return _cache() / f"kernels-{instructions.name}-{digest.hexdigest()[:16]}.so"


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(named or Path.home() / ".cache") / "sightline"
    except RuntimeError as error:
        raise OSError("no folder to compile into: set XDG_CACHE_HOME") from error


def _begin(library: Path, instructions: InstructionSet) -> Future[None]:
    """Return what is under way or has failed, else begin it in a thread of its own."""
    with _guard:
        compiling = _begun.get(library)
        if compiling is None or (compiling.done() and not compiling.exception()):
            compiling = _begun[library] = Future()
            work = (compiling, library, instructions)
            threading.Thread(target=_finish, args=work, name="kernels", daemon=True).start()
        return compiling


def _finish(compiling: Future[None], library: Path, instructions: InstructionSet) -> None:
    try:
        _compile_once(library, instructions)
    except Exception as error:  # noqa: BLE001
        compiling.set_exception(error)
    else:
        compiling.set_result(None)


def _compile_once(library: Path, instructions: InstructionSet) -> None:
    """Compile, unless another process does or has done it meanwhile."""
    compiler = _find_compiler()
    library.parent.mkdir(parents=True, exist_ok=True)
    with _alone(library.with_suffix(".lock")) as alone:
        if library.is_file():
            return
        if alone:
            _clear_away(library)
        _log.info("kernels.compiling", extra={"instructions": instructions.title})
        started = time.monotonic()
        _compile(compiler, library, instructions)
        _log.info("kernels.compiled", extra={"seconds": round(time.monotonic() - started, 1)})


def _find_compiler() -> str:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise FileNotFoundError("no C++ compiler (g++ or clang++) on PATH")
    return compiler


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[bool]:
    """Hold a lock that ends with the process; yield False without it.

    Nobody waits for one that hangs, or that the file system does not have: two that compile at once
    do no harm.
    """
    with place.open("ab") as lock:
        ends_s = time.monotonic() + _COMPILE_S
        alone = _take(lock)
        while alone is None and time.monotonic() < ends_s:
            time.sleep(_LOOK_S)
            alone = _take(lock)
        yield bool(alone)


def _take(lock: IO[bytes]) -> bool | None:
    """Tell whether this process has the lock now; None while another one has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:
        return False
    return True


def _clear_away(library: Path) -> None:
    """Remove what killed processes have left behind."""
    for folder in library.parent.glob(f"{library.stem}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _compile(compiler: str, library: Path, instructions: InstructionSet) -> None:
    """Put the finished library in its place at once: nobody loads half of it."""
    place = library.parent
    with tempfile.TemporaryDirectory(prefix=f"{library.stem}-", dir=place) as folder:
        unfinished = Path(folder) / library.name
        flags = (*_FLAGS, *instructions.compiler_flags)
        command = [compiler, *flags, str(_SOURCES / "kernels.cpp"), "-o", str(unfinished)]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
        )
        if run.returncode:
            raise OSError(f"{compiler}: {run.stderr.strip()[:500]}")
        unfinished.replace(library)
