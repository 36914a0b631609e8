"""Turns a question with its images and history into a request for the engine."""

from worker.pipeline.pipeline import (
    AnswerTicket,
    Pipeline,
    Question,
)

__all__ = [
    "AnswerTicket",
    "Pipeline",
    "Question",
]
