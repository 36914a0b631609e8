"""Finds the weights of the second reader: they are files inside the wheel of rapidocr.

The wheel's own code is never imported: it would fetch a missing file from the network, and it
sets up loggers of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_DETECTION, _RECOGNITION = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
#: Modules of the extra `[reader]`.
_NEEDED = ("onnxruntime", "rapidfuzz", "rapidocr", "cv2")


class ReaderIncomplete(Exception):
    """The second reader is not installed, or not as a whole; says what is missing."""


@dataclass(frozen=True, slots=True)
class ReaderWeights:
    """The files of both networks."""

    detection: Path
    recognition: Path
    #: Names the weights.
    name: str


def find_weights() -> ReaderWeights:
    """Return the files of the second reader; raises ReaderIncomplete where one is missing."""
    missing = [module for module in _NEEDED if find_spec(module) is None]
    if missing:
        raise ReaderIncomplete(f"not installed: {', '.join(missing)} (extra [reader])")
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise ReaderIncomplete("not installed: rapidocr (extra [reader])")
    folder = Path(spec.origin).parent / "models"
    detection, recognition = folder / _DETECTION, folder / _RECOGNITION
    lost = [str(file) for file in (detection, recognition) if not file.is_file()]
    if lost:
        raise ReaderIncomplete(f"files are missing: {', '.join(lost)}; install rapidocr again")
    return ReaderWeights(detection, recognition, f"PP-OCRv6 small (rapidocr {_release()})")


def _release() -> str:
    try:
        return version("rapidocr")
    except PackageNotFoundError:
        return "?"
