"""Which way a page lies: draws pages in many fonts, counts errors, and trains the network.

`python -m bench.quality.orientation` counts; `--train` writes the weights beside that module anew.
`--fonts FOLDER …` names folders of fonts; a font whose name has one of --held-out is never trained
on and alone counted. Chinese is drawn in fonts that have it.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.documents.ink import orientation
from shared.documents.ink.mask import find_ink
from shared.documents.picture import find_picture_turn, to_grey, turn_picture
from tests.support.documents.drawn import VERA, WORDS

KINDS = ("lower", "mixed", "upper", "digits", "chinese")
HELD_OUT = ("DejaVuSerif", "VeraIt", "VeraBI", "NotoSerif")
_SIDE = 1800
_WINDOWS_PER_PAGE = 150
_WEIGHTS = Path(orientation.__file__).with_name("upright.npz")


def find_fonts(folders: Sequence[str], held_out: Sequence[str], *, held: bool) -> list[str]:
    """Return the fonts below folders that are held out, or those that are not."""
    files = [str(file) for folder in folders for file in Path(folder).rglob("*.[to]t[fc]")]
    return [file for file in files if any(name in Path(file).stem for name in held_out) == held]


def has_chinese(font: str) -> bool:
    """Tell whether a font draws Chinese, by its two most usual characters."""
    face = ImageFont.truetype(font, 20)
    return bytes(face.getmask("的")) != bytes(face.getmask("一"))


def draw_line(rnd: random.Random, kind: str, length: int) -> str:
    """Return a line of text of a kind."""
    if kind == "chinese":
        return "".join(
            rnd.choice("，。、；")
            if rnd.random() < 0.08
            # the usual characters of GB 2312
            else bytes((rnd.randrange(0xB0, 0xD7), rnd.randrange(0xA1, 0xFE))).decode("gb2312")
            for _ in range(length)
        )
    line = ""
    while len(line) < length:
        line += f"{draw_word(rnd, kind)} "
    return line


def draw_word(rnd: random.Random, kind: str) -> str:
    """Return a word of a kind."""
    word = rnd.choice(WORDS)
    forms = {
        "lower": [word],
        "upper": [word.upper()],
        "digits": [f"{rnd.randrange(10 ** rnd.randint(1, 6)):,}.{rnd.randrange(100):02}"],
        "mixed": [
            word,
            word,
            word.capitalize(),
            word.upper(),
            str(rnd.randrange(9999)),
            f"{word},",
        ],
    }
    return rnd.choice(forms[kind])


def draw_page(rnd: random.Random, kind: str, font: str) -> Image.Image:
    """Return a page as a scanner sees it: grainy and a little askew."""
    scale, points = rnd.choice((100, 150, 200)) / 72, rnd.choice((8, 9, 10, 11, 12, 14))
    face, paper = ImageFont.truetype(font, round(points * scale)), rnd.randint(215, 255)
    page = Image.new("L", (int(595 * scale), int(842 * scale)), paper)
    pen, columns = ImageDraw.Draw(page), rnd.choice((1, 1, 2))
    width, step = (475 / columns - 10) * scale, points * scale * rnd.uniform(1.25, 1.8)
    length = max(8, int(width / face.getlength("国" if kind == "chinese" else "n")))
    for column in range(columns):
        for row in range(rnd.choice((15, 30, 60))):
            at = (60 * scale + column * (width + 20 * scale), 60 * scale + row * step)
            if at[1] < 780 * scale:
                pen.text(at, draw_line(rnd, kind, length), rnd.randint(0, 60), face)
    page = page.rotate(rnd.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=paper)
    grain = np.random.default_rng(rnd.randrange(1 << 30)).normal(
        0, rnd.choice((0, 3, 8)), page.size
    )
    return Image.fromarray((np.asarray(page) + grain.T).clip(0, 255).astype(np.uint8))


def draw_pages(fonts: Sequence[str], count: int, seed: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield kinds and pages, always the same for a seed."""
    rnd = random.Random(seed)
    chinese = [font for font in fonts if has_chinese(font)]
    for number in range(count):
        kind = KINDS[number % (len(KINDS) if chinese else len(KINDS) - 1)]
        usable = chinese if kind == "chinese" else [f for f in fonts if f not in chinese] or fonts
        yield kind, draw_page(rnd, kind, rnd.choice(usable))


def count_errors(fonts: Sequence[str], pages: int) -> None:
    """Print, for each kind, how often pages were turned right, left lying, or turned wrongly."""
    results: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind, page in draw_pages(fonts, pages, seed=2):
        results[kind]["upright, turned"] += find_picture_turn(page) != 0
        for degrees in (90, 180, 270):
            turn = find_picture_turn(turn_picture(page, degrees))
            outcome = "right" if turn == 360 - degrees else "wrong" if turn else "left lying"
            results[kind][outcome] += 1
    print(
        "| kind | upright pages turned | lying: right | left lying | wrong |\n|---|---|---|---|---|"
    )
    for kind, counts in results.items():
        figures = [counts[name] for name in ("upright, turned", "right", "left lying", "wrong")]
        print(f"| {kind} | " + " | ".join(map(str, figures)) + " |")


def train(fonts: Sequence[str], pages: int, epochs: int = 40) -> None:
    """Draw pages, learn from them, and write the weights as 8-bit numbers."""
    import torch

    torch.manual_seed(0)
    windows = []
    for _, page in draw_pages(fonts, pages, seed=1):
        cut = orientation.cut_windows(find_ink(to_grey(page, _SIDE)))
        windows.append(cut[:: max(1, len(cut) // _WINDOWS_PER_PAGE)])
    samples = torch.tensor(np.concatenate(windows))
    size = samples.shape[1]
    net = torch.nn.Sequential(
        torch.nn.Linear(size, 24), torch.nn.ReLU(), torch.nn.Linear(24, 1, bias=False)
    )
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.05)
    for _ in range(epochs):
        for chosen in torch.randperm(len(samples)).split(512):
            batch = samples[chosen].view(-1, orientation.WINDOW_ROWS, orientation.WINDOW_COLUMNS)
            shift = (int(torch.randint(-1, 2, ())), int(torch.randint(-3, 4, ())))
            batch = torch.roll(batch, shift, (1, 2)).reshape(-1, size)
            batch = torch.where(torch.rand_like(batch) < 0.02, 1 - batch, batch)
            loss = torch.nn.functional.softplus(net(batch.flip(1)) - net(batch)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    hidden, biases, output = (weights.detach().numpy() for weights in net.parameters())
    scale = np.float32(np.abs(hidden).max() / 127)
    np.savez_compressed(
        _WEIGHTS,
        hidden=np.rint(hidden.T / scale).astype(np.int8),
        scale=scale,
        biases=biases,
        output=output[0],
    )


def main() -> None:
    """Train if asked to, and count errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--held-out", nargs="*", default=HELD_OUT)
    folders = ["/usr/share/fonts", str(Path(VERA).parent)]
    parser.add_argument("--fonts", nargs="*", default=folders)
    options = parser.parse_args()
    if options.train:
        train(find_fonts(options.fonts, options.held_out, held=False), options.pages)
    count_errors(find_fonts(options.fonts, options.held_out, held=True), options.pages)


if __name__ == "__main__":
    main()
