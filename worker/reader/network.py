"""Runs one of the reader's networks on the CPU, each call in the thread that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

#: (1, 3, height, width) pixels of a network, about -1 to 1.
Input = NDArray[np.float32]
#: Only errors: the rest is noise in a worker's log.
_ERRORS = 3


class Network:
    """A network that any number of threads may run at once; each run takes one core."""

    def __init__(self, file: Path) -> None:
        """Load the weights."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # parallel are the lines of a page: threads inside a run would wait for each other
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS
        # freed after each run, or the largest page would stay in memory
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def run(self, pixels: Input) -> NDArray[np.float32]:
        """Return the network's one output."""
        return cast("NDArray[np.float32]", self._session.run(None, {self._name: pixels})[0])

    def note(self, name: str) -> str:
        """Return a text that the weights carry, "" without it."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(name, ""))
