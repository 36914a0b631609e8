"""Draws the example images: docs/examples/note.png and those that the page offers."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
NOTE = ROOT / "docs" / "examples" / "note.png"
OFFERED = ROOT / "gateway" / "webui" / "assets"

_LINES = ["Train 42 to Lisbon", "leaves at 10:35"]
_CELLS = [["Tea", "2", "4.80"], ["Bread", "1", "3.10"], ["Soup", "3", "12.60"]]
_SIZE = (384, 96)
_INK = "#111111"


def main() -> None:
    """Draw every picture."""
    for path in (NOTE, OFFERED / "example.png"):
        _save(_note(), path)
    _save(_table(), OFFERED / "table.png")
    _save(_shapes(), OFFERED / "shapes.png")


def _note() -> Image.Image:
    image = Image.new("RGB", _SIZE, "white")
    ImageDraw.Draw(image).text((8, 4), "\n".join(_LINES), fill=_INK, font=_font(28))
    return image


def _table() -> Image.Image:
    image = Image.new("RGB", (320, 128), "white")
    pen = ImageDraw.Draw(image)
    xs, ys = (6, 126, 206, 314), (4, 44, 84, 124)
    for x in xs:
        pen.line((x, ys[0], x, ys[-1]), fill=_INK)
    for y in ys:
        pen.line((xs[0], y, xs[-1], y), fill=_INK)
    for row, y in zip(_CELLS, ys, strict=False):
        for text, x in zip(row, xs, strict=False):
            pen.text((x + 8, y + 8), text, fill=_INK, font=_font(20))
    return image


def _shapes() -> Image.Image:
    image = Image.new("RGB", (288, 96), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((26, 20, 82, 76), fill=(220, 30, 30))
    pen.rectangle((116, 20, 172, 76), fill=(40, 70, 220))
    pen.polygon(((234, 20), (206, 76), (262, 76)), fill=(30, 160, 50))
    return image


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


if __name__ == "__main__":
    main()
