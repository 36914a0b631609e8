"""The typefaces we draw with: Pillow's own, and freely packaged ones if they are installed."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

#: Names a folder that is searched before those of the system.
VARIABLE = "DEMO_FONTS"
SYSTEM = (Path("/usr/share/fonts/truetype"), Path("/usr/local/share/fonts"))
ROOTS = (*(Path(folder) for folder in filter(None, [os.environ.get(VARIABLE)])), *SYSTEM)

#: Always there: Pillow carries it.
PILLOW = "Aileron"

#: Name of a face to its file below a font root.
FILES = {
    "DejaVu Sans": "dejavu/DejaVuSans.ttf",
    "DejaVu Sans Bold": "dejavu/DejaVuSans-Bold.ttf",
    "DejaVu Sans Mono": "dejavu/DejaVuSansMono.ttf",
    "DejaVu Serif": "dejavu/DejaVuSerif.ttf",
    "Liberation Sans": "liberation/LiberationSans-Regular.ttf",
    "Liberation Sans Bold": "liberation/LiberationSans-Bold.ttf",
    "Liberation Mono": "liberation/LiberationMono-Regular.ttf",
    "Liberation Serif": "liberation/LiberationSerif-Regular.ttf",
    "DejaVu Sans Oblique": "dejavu/DejaVuSans-Oblique.ttf",
    "Liberation Sans Italic": "liberation/LiberationSans-Italic.ttf",
    "Liberation Serif Bold": "liberation/LiberationSerif-Bold.ttf",
    "Liberation Serif Italic": "liberation/LiberationSerif-Italic.ttf",
    "Lato": "lato/Lato-Regular.ttf",
    "Noto Sans": "noto/NotoSans-Regular.ttf",
    "Open Sans": "open-sans/OpenSans-Regular.ttf",
    "Open Sans Bold": "open-sans/OpenSans-Bold.ttf",
    "Roboto": "roboto/unhinted/RobotoTTF/Roboto-Regular.ttf",
    "Roboto Bold": "roboto/unhinted/RobotoTTF/Roboto-Bold.ttf",
}

#: The weights and slants of one family, which stand beside each other on one page.
FAMILIES = (
    (PILLOW,),
    ("DejaVu Sans", "DejaVu Sans Bold", "DejaVu Sans Oblique"),
    ("DejaVu Sans Mono",),
    ("DejaVu Serif",),
    ("Liberation Sans", "Liberation Sans Bold", "Liberation Sans Italic"),
    ("Liberation Mono",),
    ("Liberation Serif", "Liberation Serif Bold", "Liberation Serif Italic"),
    ("Lato",),
    ("Noto Sans",),
    ("Open Sans", "Open Sans Bold"),
    ("Roboto", "Roboto Bold"),
)


def _find(file: str) -> Path | None:
    return next((root / file for root in ROOTS if (root / file).is_file()), None)


@lru_cache(maxsize=1)
def available() -> tuple[str, ...]:
    """Names of the faces that can be drawn here, in a fixed order, Pillow's own first."""
    return (PILLOW, *(name for name, file in FILES.items() if _find(file)))


@lru_cache(maxsize=1)
def families() -> tuple[tuple[str, ...], ...]:
    """Families as far as they can be drawn here; the first face of each is its plain one."""
    there = [tuple(name for name in family if name in available()) for family in FAMILIES]
    return tuple(family for family in there if family)


@lru_cache(maxsize=2048)
def load(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a face at `size` pixels; basic layout, so that a drawing does not depend on libraqm."""
    if name == PILLOW:
        return ImageFont.load_default(size)
    file = _find(FILES[name])
    if file is None:
        raise FileNotFoundError(f"font {name!r} is not installed")
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)
