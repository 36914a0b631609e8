"""The folder in which the processes of one gateway share their metrics.

A gateway that is killed leaves its folder behind; the next one to start removes it. Whoever uses a
folder holds a lock on a file in it, which ends with the last process that has it open.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "sightline-figures-"
_LOCK = "lock"
#: Open files hold their locks as long as this process and its children live.
_held: list[int] = []


def make_figures_folder() -> Path:
    """Remove what killed gateways of this user have left, and return a new folder."""
    _sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    draft = folder / f"{_LOCK}.new"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # it is locked from the moment in which others can see it
    draft.rename(folder / _LOCK)
    _held.append(descriptor)
    return folder


def _sweep(home: Path) -> None:
    for folder in home.glob(f"{_PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Tell whether a folder is this user's and nobody holds its lock; one without a lock is not."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
