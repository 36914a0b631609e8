"""Which workers a job is for: the model that its caller asked for, and where it waits for them."""

from __future__ import annotations

from dataclasses import dataclass

#: What stands between the name of a model and its revision.
REVISION_MARK = "@"
#: Characters of the name of a model with its revision.
MAX_MODEL_CHARS = 256


def join_name(model: str, revision: str) -> str:
    """Return the name of one revision of a model."""
    return f"{model}{REVISION_MARK}{revision}"


@dataclass(frozen=True, slots=True)
class Route:
    """The model of a job, as its row has it; without any it is for all workers alike."""

    #: Public name of the model that its caller means, or that was meant for it.
    model: str = ""
    #: The model that its caller insists on, maybe with a revision; "" = whichever is served.
    asked: str = ""
    #: What it waits in: "" is read by all workers, any other by those who serve what it names.
    pool: str = ""

    @property
    def filters_by(self) -> str:
        """Return the model whose work is told apart from that of others; "" = none is."""
        return self.model if self.pool else ""

    def is_served_by(self, model: str, revision: str) -> bool:
        """Tell whether a worker with this model may do the job."""
        if self.asked:
            return self.asked in (model, join_name(model, revision))
        return self.model in ("", model)
