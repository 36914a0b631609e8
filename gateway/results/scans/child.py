"""The program of a child that writes a result as it lies on its pictures, and ends.

Run as `python -m gateway.results.scans.child` with a frame of `frames.py` as its standard input.
"""

from __future__ import annotations

import sys

from PIL import Image

from gateway.results.child import answer, limit_process
from gateway.results.scans.frames import read_scan
from gateway.results.scans.render import render_scan


def main() -> int:
    """Write what standard input orders to standard output."""
    limit_process()
    # the service has checked its pictures when it stored them
    Image.MAX_IMAGE_PIXELS = None
    order = read_scan(sys.stdin.buffer)
    answer(lambda: render_scan(order))
    return 0


if __name__ == "__main__":
    sys.exit(main())
