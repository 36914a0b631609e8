"""Draws docs/examples/note.png, the printed words of the first question."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

NOTE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "note.png"
TEXT = "Train 42 to Lisbon\nleaves at 10:35"
SIZE = (384, 96)


def main() -> None:
    """Draw dark words on white."""
    image = Image.new("RGB", SIZE, "white")
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 28)
    except OSError:
        font = ImageFont.load_default(28)
    ImageDraw.Draw(image).text((8, 4), TEXT, fill="#111111", font=font)
    NOTE.parent.mkdir(parents=True, exist_ok=True)
    image.save(NOTE, optimize=True)


if __name__ == "__main__":
    main()
