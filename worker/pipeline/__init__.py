"""From stored images, a question and its history to a request for the engine."""

from worker.pipeline.pipeline import (
    Pipeline,
    Question,
)

__all__ = [
    "Pipeline",
    "Question",
]
