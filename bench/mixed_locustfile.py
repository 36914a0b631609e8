"""A mixed load for Locust: single questions, conversations, long pages, OpenAI's clients.

`locust -f bench/mixed_locustfile.py --host http://127.0.0.1:7860` needs the extra `dev`.
"""

from __future__ import annotations

import base64
import io
import random
import uuid
from typing import Any

from locust import HttpUser, between, task
from PIL import Image, ImageDraw

_SIDES = (96, 256, 512, 1024)


def _picture(width: int, height: int, number: int) -> bytes:
    """Draw numbered lines; no two numbers give the same picture."""
    image = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(image)
    for line, top in enumerate(range(8, height - 12, 24)):
        pen.text((8, top), f"line {line} of {number}", fill=0)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


class _User(HttpUser):
    abstract = True
    wait_time = between(1, 3)

    def ask(self, name: str, **fields: Any) -> dict[str, Any]:
        """Submit a job as JSON and wait for its end; anything but success is a failure."""
        with self.client.post(
            "/v1/jobs",
            json={"max_new_tokens": 16} | fields,
            headers={"Prefer": "wait=60"},
            name=name,
            catch_response=True,
        ) as response:
            job = dict(response.json())
            if job.get("status") != "succeeded":
                response.failure(f"{response.status_code} {job.get('status') or job.get('code')}")
            return job


class Stranger(_User):
    """Uploads a picture of any size and asks one thing."""

    weight = 5

    @task
    def predict(self) -> None:
        """Ask what it shows."""
        side = random.choice(_SIDES)
        picture = _picture(side, side, random.randrange(10**9))
        self.client.post(
            "/predict",
            files={"image": ("picture.png", picture, "image/png")},
            data={"prompt": "What is it?"},
            name=f"/predict {side}",
        )


class Talker(_User):
    """Asks three things about a picture, one after the other."""

    weight = 3

    @task
    def talk(self) -> None:
        """Hold a conversation."""
        picture = base64.b64encode(_picture(256, 256, random.randrange(10**9))).decode()
        session = f"talk-{uuid.uuid4().hex}"
        self.ask("first turn", prompt="What is it?", image=picture, session_id=session)
        for number in (2, 3):
            self.ask("later turn", prompt=f"And line {number}?", session_id=session)


class Reader(_User):
    """Has a long page read in tiles."""

    weight = 1

    @task
    def read(self) -> None:
        """Upload a page of five budgets and wait for its text."""
        files = {"image": ("page.png", _picture(512, 8192, random.randrange(10**9)), "image/png")}
        with self.client.post(
            "/v1/jobs",
            files=files,
            data={"preset": "ocr", "max_new_tokens": "16"},
            headers={"Prefer": "wait=60"},
            name="long page",
            catch_response=True,
        ) as response:
            if response.json().get("status") != "succeeded":
                response.failure(f"{response.status_code} {response.text[:100]}")


class OpenAI(_User):
    """Speaks as OpenAI's clients do, with and without a stream."""

    weight = 2
    model = ""

    def on_start(self) -> None:
        """Learn the model's name."""
        self.model = self.client.get("/v1/models").json()["data"][0]["id"]

    @task
    def complete(self) -> None:
        """Ask about a picture in a data URL."""
        picture = base64.b64encode(_picture(256, 256, random.randrange(10**9))).decode()
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
        streamed = random.random() < 0.5
        body = {
            "model": self.model,
            "stream": streamed,
            "max_tokens": 16,
            "messages": [
                {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}
            ],
        }
        name = f"chat completion{', streamed' if streamed else ''}"
        with self.client.post(
            "/v1/chat/completions", json=body, name=name, catch_response=True
        ) as response:
            if streamed and "data: [DONE]" not in response.text:
                response.failure("the stream has no end")
