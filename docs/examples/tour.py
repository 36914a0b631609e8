"""A tour of Sightline: draws images, asks about them, and prints the answers.

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
        print_step("The model", ", ".join(model["id"] for model in client.models()))
        ask_once(client)
        ask_follow_up(client)
        use_presets(client)
        stream_answer(client)
        constrain_answer(client)
        upload_only(client)
        upload_bad_file(client)
        cancel_job(client)
    ask_through_openai()


def ask_once(client: Client) -> None:
    """Ask one question about an image."""
    answer = client.ask("Read the text.", draw_text("Gate 12"))
    print_step("One question", drawn_and_read("Gate 12", answer.text))


def ask_follow_up(client: Client) -> None:
    """Ask again without sending the image: the service keeps it, and its encoding."""
    talk = client.session("tour")
    first = talk.ask("What does it say?", draw_text("Total 93.50"))
    second = talk.ask("Read the text.")
    reused = second.job["usage"]["cached_tokens"] > 0
    print_step(
        "A conversation",
        drawn_and_read("Total 93.50", first.text),
        f"Follow-up without the picture: {quoted(second.text)}",
        f"Earlier work reused: {'yes' if reused else 'no'}.",
        f"The service kept {len(talk.read()['turns'])} turns.",
    )
    talk.delete()


def use_presets(client: Client) -> None:
    """Use presets instead of a prompt."""
    shapes = draw_discs("crimson", "navy", "seagreen")
    counted = client.ask(images=shapes, preset="count")
    read = client.ask(images=draw_text("INVOICE 2041"), preset="ocr")
    print_step(
        "Presets",
        f"`count`, three discs drawn: {quoted(counted.text)}",
        f"`ocr`, `INVOICE 2041` drawn: {quoted(read.text)}",
    )


def stream_answer(client: Client) -> None:
    """Follow the events of a job to its end."""
    job = client.submit("Read the text.", draw_text("room 7 floor 3"))
    kinds: list[str] = []
    text = ""
    for event in job.stream():
        text += event.text
        if event.type not in kinds:
            kinds.append(event.type)
    names = ", ".join(f"`{name}`" for name in kinds)
    print_step("A streamed answer", f"Event types: {names}", drawn_and_read("room 7 floor 3", text))


def constrain_answer(client: Client) -> None:
    """Restrict an answer to a list of choices."""
    answer = client.ask("Is there text in the picture?", draw_text("yes"), choices=["yes", "no"])
    print_step(
        "A choice between two words", f"With the `choices` yes and no: {quoted(answer.text)}"
    )


def upload_only(client: Client) -> None:
    """Upload an image without a question."""
    image = client.upload(draw_text("Gate 12"))
    print_step(
        "An upload without a question",
        f"{image['width']} × {image['height']} pixels are {image['tokens']} visual tokens.",
    )


def upload_bad_file(client: Client) -> None:
    """See what an error contains."""
    try:
        client.upload(b"no picture at all")
    except APIError as error:
        print_step("A bad file", f"`{type(error).__name__}`: {error.code}. {error.hint}")


def cancel_job(client: Client) -> None:
    """Cancel a job, unless it succeeds first, and erase it."""
    job = client.submit("Read the text.", draw_text("never mind"), metadata={"tour": "yes"})
    with contextlib.suppress(NotCancelable):
        job.cancel()
    status = job.wait(30).status
    job.erase()
    print_step("A canceled job", f"The job ended as `{status}` and was erased.")


def ask_through_openai() -> None:
    """Ask with OpenAI's client, through the same queue."""
    key = os.environ.get("SIGHTLINE_API_KEY", "none")
    with OpenAI(base_url=f"{URL}/v1", api_key=key) as client:
        address = "data:image/png;base64," + base64.b64encode(draw_text("Gate 12")).decode()
        content: list[Any] = [
            {"type": "image_url", "image_url": {"url": address}},
            {"type": "text", "text": "Read the text."},
        ]
        answer = client.chat.completions.create(
            model="sightline", messages=[{"role": "user", "content": content}]
        )
    print_step(
        "The OpenAI client", drawn_and_read("Gate 12", answer.choices[0].message.content or "")
    )


def print_step(title: str, *paragraphs: str) -> None:
    """Print a step of the tour as Markdown."""
    print(f"## {title}", *paragraphs, sep="\n\n", end="\n\n")


def drawn_and_read(drawn: str, answer: str) -> str:
    """Return a line with the text that was drawn and the one that was read."""
    return f"Drawn: {quoted(drawn)} Read: {quoted(answer)}"


def quoted(text: str) -> str:
    """Return a text as code on one line."""
    return f"`{' / '.join(text.splitlines()) or ' '}`"


def draw_text(text: str) -> bytes:
    """Return a PNG of dark text on white."""
    size = (32 * max(4, len(text) * 15 // 32 + 1), 64)
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((8, 10), text, fill="black", font=ImageFont.load_default(26))
    return to_png(image)


def draw_discs(*colours: str) -> bytes:
    """Return a PNG of discs in a row."""
    image = Image.new("RGB", (96 * len(colours), 96), "white")
    pen = ImageDraw.Draw(image)
    for number, colour in enumerate(colours):
        left = 96 * number + 20
        pen.ellipse((left, 20, left + 56, 76), fill=colour)
    return to_png(image)


def to_png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    main()
