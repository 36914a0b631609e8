"""Conversations about a text: its first and last line, how many lines there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.data import prompts
from demo.data.scenes import Sample, Script, Turn, block, plain_turn

if TYPE_CHECKING:
    from random import Random


def about_text(rng: Random, width: int, height: int) -> Sample:
    """Draw a block of text with one to three questions about its lines."""
    sample = block(rng, width, height)
    whole = sample.turns[0]
    lines = whole.answer.split("\n")
    chinese = rng.random() < 0.4
    sizes = [len(line) for line in lines]
    starts = [sum(sizes[:number]) for number in range(len(lines))]

    last_start = starts[-1] if sample.glyphs else -1

    def one_line(forms: tuple[tuple[str, str], ...], number: int) -> Turn:
        script = Script()
        script.read(lines[number], starts[number])
        return script.turn(rng.choice(forms)[chinese])

    def first() -> Turn:
        return one_line(prompts.FIRST_LINE, 0)

    def last() -> Turn:
        return one_line(prompts.LAST_LINE, -1)

    def count() -> Turn:
        return plain_turn(rng.choice(prompts.LINES)[chinese], str(len(lines)), last_start)

    makers = [first, last, count, lambda: whole]
    sample.turns = [maker() for maker in rng.sample(makers, rng.randint(1, 3))]
    return sample
