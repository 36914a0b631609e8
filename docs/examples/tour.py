"""A walk through Sightline: draws its own pictures, asks about them, prints what came back.

Run it beside `make up`; SIGHTLINE_URL and SIGHTLINE_API_KEY name another service. It prints
Markdown, and nothing that differs between two runs on the same model: no ids and no times.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
from typing import Any

from openai import OpenAI
from PIL import Image, ImageDraw, ImageFont

from sightline import APIError, Client
from sightline.errors import NotCancelable

URL = os.environ.get("SIGHTLINE_URL", "http://127.0.0.1:7860")


def main() -> None:
    """Take every step, in order."""
    with Client(URL) as client:
        step("What answers", ", ".join(model["id"] for model in client.models()))
        one_question(client)
        follow_ups(client)
        ready_made(client)
        words_as_they_come(client)
        held_to_a_form(client)
        told_before(client)
        a_bad_file(client)
        a_canceled_job(client)
    through_openai()


def one_question(client: Client) -> None:
    """Ask once about a picture that was drawn here."""
    answer = client.ask("Read the text.", lines("Gate 12"))
    step("One question", said("Gate 12", answer.text))


def follow_ups(client: Client) -> None:
    """Ask on: the service keeps the picture, and what it has computed of it."""
    talk = client.session("tour")
    first = talk.ask("What does it say?", lines("Total 93.50"))
    second = talk.ask("Read the text.")
    reused = second.job["usage"]["cached_tokens"] > 0
    step(
        "A conversation",
        said("Total 93.50", first.text),
        f"Asked on without the picture: {quoted(second.text)}",
        f"Was earlier work reused? {'Yes' if reused else 'No'}.",
        f"The service kept {len(talk.read()['turns'])} turns.",
    )
    talk.delete()


def ready_made(client: Client) -> None:
    """Let presets bring the words."""
    shapes = discs("crimson", "navy", "seagreen")
    counted = client.ask(images=shapes, preset="count")
    read = client.ask(images=lines("INVOICE 2041"), preset="ocr")
    step(
        "Presets",
        f"`count`, three discs drawn: {quoted(counted.text)}",
        f"`ocr`, `INVOICE 2041` drawn: {quoted(read.text)}",
    )


def words_as_they_come(client: Client) -> None:
    """Follow a job from the queue to its last word."""
    job = client.submit("Read the text.", lines("room 7 floor 3"))
    seen: list[str] = []
    text = ""
    for event in job.stream():
        text += event.text
        if event.type not in seen:
            seen.append(event.type)
    names = ", ".join(f"`{name}`" for name in seen)
    step("A stream", f"Events, each named once: {names}", said("room 7 floor 3", text))


def held_to_a_form(client: Client) -> None:
    """Hold an answer to a list of choices."""
    answer = client.ask("Is there text in the picture?", lines("yes"), choices=["yes", "no"])
    step("One of two words", f"`choices` were yes and no: {quoted(answer.text)}")


def told_before(client: Client) -> None:
    """Look at a picture without asking anything."""
    image = client.upload(lines("Gate 12"))
    step(
        "Before asking",
        f"{image['width']} × {image['height']} pixels are {image['tokens']} visual tokens.",
    )


def a_bad_file(client: Client) -> None:
    """See how a failure is told."""
    try:
        client.upload(b"no picture at all")
    except APIError as error:
        step("A bad file", f"`{type(error).__name__}`: {error.code}. {error.hint}")


def a_canceled_job(client: Client) -> None:
    """Change one's mind, unless the answer was quicker."""
    job = client.submit("Read the text.", lines("never mind"), metadata={"tour": "yes"})
    with contextlib.suppress(NotCancelable):
        job.cancel()
    status = job.wait(30).status
    job.erase()
    step("A change of mind", f"The job ended as `{status}` and was erased.")


def through_openai() -> None:
    """Ask through OpenAI's client, on the same queue."""
    key = os.environ.get("SIGHTLINE_API_KEY", "none")
    with OpenAI(base_url=f"{URL}/v1", api_key=key) as client:
        address = "data:image/png;base64," + base64.b64encode(lines("Gate 12")).decode()
        content: list[Any] = [
            {"type": "image_url", "image_url": {"url": address}},
            {"type": "text", "text": "Read the text."},
        ]
        answer = client.chat.completions.create(
            model="sightline", messages=[{"role": "user", "content": content}]
        )
    step("OpenAI's client", said("Gate 12", answer.choices[0].message.content or ""))


def step(title: str, *paragraphs: str) -> None:
    """Print one step."""
    print(f"## {title}", *paragraphs, sep="\n\n", end="\n\n")


def said(drawn: str, answer: str) -> str:
    """Tell what was drawn and what was read."""
    return f"Drawn: {quoted(drawn)} Read: {quoted(answer)}"


def quoted(text: str) -> str:
    """Return a text as code on one line."""
    return f"`{' / '.join(text.splitlines()) or ' '}`"


def lines(text: str) -> bytes:
    """Draw dark words on white."""
    size = (32 * max(4, len(text) * 15 // 32 + 1), 64)
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((8, 10), text, fill="black", font=ImageFont.load_default(26))
    return png(image)


def discs(*colours: str) -> bytes:
    """Draw discs in a row."""
    image = Image.new("RGB", (96 * len(colours), 96), "white")
    pen = ImageDraw.Draw(image)
    for number, colour in enumerate(colours):
        left = 96 * number + 20
        pen.ellipse((left, 20, left + 56, 76), fill=colour)
    return png(image)


def png(image: Image.Image) -> bytes:
    """Return the picture as a file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    main()
