"""`python -m worker.engine.kernels`: compiles the kernels and prints the library's path.

Images are built with a compiler and run without one: the build stage fills the cache.
"""

from __future__ import annotations

import sys

from worker.engine.kernels.build import compiled_library

if __name__ == "__main__":
    sys.stdout.write(f"{compiled_library()}\n")
