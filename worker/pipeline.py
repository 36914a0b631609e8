"""From stored bytes and a question to a request for the engine, and from tokens to an output."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

from PIL import Image

from shared.errors import InferenceFailed
from shared.jobs import JobInput
from worker.engine.api import Engine, EngineRequest, ImageInput, Message, Ticket


class Pipeline:
    """Turns a job's input into a request; knows nothing of queues and stores."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(
        self,
        job_id: str,
        job: JobInput,
        pngs: Sequence[bytes],
        *,
        scope: str,
        time_left_s: float,
    ) -> Ticket:
        """Submit a job to the engine; `pngs` are its canonical images in order.

        Raises InputTooLong or BadParameters when the model can never answer it.
        """
        images = tuple(
            ImageInput(image_id, _open(png), job.max_pixels)
            for image_id, png in zip(job.images, pngs, strict=True)
        )
        return self.engine.submit(
            EngineRequest(
                id=job_id,
                messages=(Message("user", job.prompt, images),),
                params=job.params,
                deadline=time.monotonic() + time_left_s,
                scope=scope,
            )
        )


def _open(png: bytes) -> Image.Image:
    """Return the canonical image; our own PNG, so a failure is ours too."""
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise InferenceFailed("Image decode failed: the stored image is damaged.") from error
    return image
