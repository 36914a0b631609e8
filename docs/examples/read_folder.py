"""Read each image of a folder into a text file: `python read_folder.py IMAGES TEXTS`.

Run it again after an interruption: images that have a text are skipped.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from sightline import AsyncClient, SightlineError

URL = os.environ.get("SIGHTLINE_URL", "http://127.0.0.1:7860")
#: Images that wait at the service at a time; the client waits when the service asks it to.
AT_ONCE = 8
KINDS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


def main(folder: Path, texts: Path) -> int:
    """Return how many images could not be read."""
    texts.mkdir(parents=True, exist_ok=True)
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS)
    waiting = [path for path in images if not text_path(path, texts).exists()]
    outcomes = asyncio.run(read_all(waiting, texts))
    failed = outcomes.count(False)
    print(f"{outcomes.count(True)} read, {failed} not, {len(images) - len(waiting)} before")
    return failed


async def read_all(images: list[Path], texts: Path) -> list[bool]:
    """Return for each image whether it was read."""
    slots = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient(URL) as client:
        return await asyncio.gather(*(read(client, path, texts, slots) for path in images))


async def read(client: AsyncClient, path: Path, texts: Path, slots: asyncio.Semaphore) -> bool:
    """Write the text of an image; print the error of one that cannot be read."""
    async with slots:
        try:
            answer = await client.ask(images=path, preset="ocr")
        except SightlineError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return False
    target = text_path(path, texts)
    unfinished = target.with_suffix(".part")
    unfinished.write_text(f"{answer.text}\n", encoding="utf-8")
    unfinished.replace(target)
    return True


def text_path(path: Path, texts: Path) -> Path:
    return texts / f"{path.name}.txt"


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]), Path(sys.argv[2]))))
