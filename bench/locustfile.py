"""The basic load for Locust: users who upload one image and ask one question about it."""

from __future__ import annotations

import os
from pathlib import Path

from locust import HttpUser, between, task

_NOTE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "note.png"
_IMAGE = Path(os.environ.get("IMAGE", _NOTE)).read_bytes()


class Stranger(HttpUser):
    """Sends an image and a prompt as a form, and waits for the answer."""

    wait_time = between(1, 3)

    @task
    def predict(self) -> None:
        """Ask what the picture shows."""
        self.client.post(
            "/predict",
            files={"image": ("note.png", _IMAGE, "image/png")},
            data={"prompt": "图中有什么?"},
        )
