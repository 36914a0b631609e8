"""Rules that clean an answer's text and extract data from it."""

from worker.postprocess.postprocessor import (
    CLEANERS,
    EXTRACTORS,
    Postprocessor,
    Processed,
)

__all__ = [
    "CLEANERS",
    "EXTRACTORS",
    "Postprocessor",
    "Processed",
]
