"""Starts a bundle with `make up`, asks it a question, and ends it: `offline_visitor.py FOLDER`.

It runs in a network of its own (`unshare --net`), in which it starts loopback first.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

PORT = "7890"
QUESTION = "What does it say?"
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_READY_S = 1200


def start_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh", b"lo", _UP_AND_RUNNING)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def reaches_others() -> bool:
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=3).close()
    except OSError:
        return False
    return True


def visit(folder: Path) -> int:
    """Return 0 once an answer came; prints what was said."""
    log = folder / "up.log"
    with log.open("wb") as out:
        up = subprocess.Popen(
            ["make", "up", f"PORT={PORT}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _READY_S
        while "Sightline is ready" not in log.read_text(errors="replace"):
            if up.poll() is not None or time.monotonic() > deadline:
                return 1
            time.sleep(0.5)
        ask = [".venv/bin/sightline", "ask", "--url", f"http://127.0.0.1:{PORT}"]
        ask += ["docs/examples/note.png", QUESTION]
        answer = subprocess.run(ask, cwd=folder, capture_output=True, text=True, check=True)
        print("answer:", answer.stdout.strip())
    finally:
        if up.poll() is None:
            os.killpg(up.pid, signal.SIGINT)
            up.wait(60)
        print(log.read_text(errors="replace"))
    return 0 if answer.stdout.strip() else 1


if __name__ == "__main__":
    start_loopback()
    if reaches_others():
        sys.exit("there is a network")
    sys.exit(visit(Path(sys.argv[1])))
