"""Read each picture of a folder into a text file: `python read_folder.py PICTURES TEXTS`.

Run it again after an interruption: what has its text is left alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from sightline import AsyncClient, SightlineError

URL = os.environ.get("SIGHTLINE_URL", "http://127.0.0.1:7860")
#: Pictures that wait at the service at a time; the client waits where the service asks it to.
AT_ONCE = 8
KINDS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


def main(pictures: Path, texts: Path) -> int:
    """Return how many pictures could not be read."""
    texts.mkdir(parents=True, exist_ok=True)
    images = sorted(path for path in pictures.iterdir() if path.suffix.lower() in KINDS)
    waiting = [path for path in images if not written(path, texts).exists()]
    done = asyncio.run(read_all(waiting, texts))
    print(f"{done.count(True)} read, {done.count(False)} not, {len(images) - len(waiting)} before")
    return done.count(False)


async def read_all(pictures: list[Path], texts: Path) -> list[bool]:
    """Tell of each picture whether it was read."""
    turn = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient(URL) as client:
        return await asyncio.gather(*(read(client, path, texts, turn) for path in pictures))


async def read(client: AsyncClient, path: Path, texts: Path, turn: asyncio.Semaphore) -> bool:
    """Write a picture's text; tell of one that cannot be read, and go on with the others."""
    async with turn:
        try:
            answer = await client.ask(images=path, preset="ocr")
        except SightlineError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return False
    target = written(path, texts)
    unfinished = target.with_suffix(".part")
    unfinished.write_text(f"{answer.text}\n", encoding="utf-8")
    unfinished.replace(target)
    return True


def written(path: Path, texts: Path) -> Path:
    return texts / f"{path.name}.txt"


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]), Path(sys.argv[2]))))
