"""Errors and seconds of the second reader on drawn pages: `python -m bench.quality.reader`.

A page's errors are its edit distance over its letters, empty lines left out. Chinese pages are
drawn where `--chinese` names a font.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from demo.data import fonts
from tests.unit.worker.reader.pages import Drawn, page
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights

#: Frequent characters.
_CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
    "十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of page."""

    name: str
    pages: list[Drawn]


def _cases(each: int, chinese: str | None) -> list[Case]:
    numbers = range(100, 100 + each)

    def pages(count: int, **looks: object) -> list[Drawn]:
        return [page(number, count, **looks) for number in numbers]  # type: ignore[arg-type]

    mono = next((face for face in fonts.available() if "Mono" in face), fonts.PILLOW)
    cases = [
        Case("10 lines", pages(10)),
        Case("20 lines", pages(20)),
        Case("40 lines", pages(40)),
        Case("80 lines", pages(80, size=16)),
        Case("120 lines", pages(120, size=16)),
        Case("40 lines of forty words", pages(40, repetitive=True)),
        Case("20 lines, fixed width", pages(20, face=mono)),
        Case("20 lines of 11 pixels", pages(20, size=11, width=600)),
        Case("6 lines of 90 pixels", pages(6, size=90, width=1500)),
        Case("20 lines, 4 degrees askew", [_askew(drawn) for drawn in pages(20)]),
        Case("two columns of 20 lines", [_columns(number) for number in numbers]),
    ]
    if chinese:
        cases.append(Case("20 lines in Chinese", [_chinese(number, chinese) for number in numbers]))
    return cases


def _askew(drawn: Drawn) -> Drawn:
    image = drawn.image.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    return Drawn(image, drawn.lines, [])


def _columns(number: int) -> Drawn:
    left, right = page(number, 20, width=560), page(number + 500, 20, width=560)
    both = Image.new("RGB", (1120, left.image.height), "white")
    both.paste(left.image, (0, 0))
    both.paste(right.image, (560, 0))
    return Drawn(both, left.lines + right.lines, [])


def _chinese(number: int, file: str) -> Drawn:
    rng, font = Random(number), ImageFont.truetype(file, 24)
    image = Image.new("RGB", (900, 820), "white")
    pen, lines = ImageDraw.Draw(image), []
    for row in range(20):
        lines.append("".join(rng.choice(_CHINESE) for _ in range(rng.randint(12, 33))))
        pen.text((40, 40 + 36 * row), lines[-1], font=font, fill="black")
    return Drawn(image, lines, [])


def _count_errors(text: str, drawn: Drawn) -> tuple[int, int]:
    truth = "\n".join(drawn.lines)
    read = "\n".join(line for line in text.split("\n") if line)
    return Levenshtein.distance(read, truth), len(truth)


def main() -> None:
    """Print a table; its seconds are those of the processor, whatever else the machine does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3, help="pages of each kind")
    parser.add_argument("--chinese", help="file of a font with Chinese letters")
    options = parser.parse_args()
    reader = SecondReader(find_weights(), threads=len(os.sched_getaffinity(0)))
    print("| pages | errors | lines right | processor seconds a page |")
    print("|---|---:|---:|---:|")
    for case in _cases(options.each, options.chinese):
        wrong = letters = lines = right = 0
        began = time.process_time()
        for drawn in case.pages:
            text = reader.read(drawn.image).text
            distance, length = _count_errors(text, drawn)
            wrong, letters = wrong + distance, letters + length
            read = {line for line in text.split("\n") if line}
            lines, right = lines + len(drawn.lines), right + sum(x in read for x in drawn.lines)
        seconds = (time.process_time() - began) / len(case.pages)
        print(
            f"| {case.name} | {wrong / letters:.2%} | {right / lines:.1%} | {seconds:.1f} |",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nMost memory of the process: {peak} MiB")


if __name__ == "__main__":
    main()
