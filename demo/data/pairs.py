"""Two pictures in one question: read both in order or one of them, and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from demo.data import entries, prompts, words
from demo.data.drawing import Glyph
from demo.data.scenes import Region, Sample, Script, Turn, block, plain_turn
from demo.data.shapes import NAMES, ShapeConversation, conversed_scene

if TYPE_CHECKING:
    from random import Random

    from demo.data.scenes import Vocabulary

#: Which of them, in English and in Chinese.
ORDINALS = (("first", "一"), ("second", "二"))


def stack(first: Sample, second: Sample) -> Sample:
    """Put two pictures of one size into one sample, without turns; lines are counted in each."""
    width, height = first.image.size
    image = Image.new("RGB", (width, 2 * height))
    image.paste(first.image, (0, 0))
    image.paste(second.image, (0, height))
    glyphs = [Glyph(g.char, g.x, g.y + height, g.line, g.column) for g in second.glyphs]
    regions = [
        Region((x, y + height, end_x, end_y + height), kind)
        for (x, y, end_x, end_y), kind in second.regions
    ]
    return Sample(image, [], first.glyphs + glyphs, first.regions + regions, pictures=2)


class Texts:
    """Two pictures with lines of text, and questions about them."""

    def __init__(self, rng: Random, width: int, height: int) -> None:
        self.rng, self.chinese = rng, rng.random() < 0.35
        tallest = max(14, min(48, height // 2))
        vocabulary: Vocabulary = rng.choice([words.token, entries.mixed])
        state = rng.getstate()
        first = block(rng, width, height, 14, tallest, vocabulary)
        self.alike = rng.random() < 0.3
        if self.alike:
            after = rng.getstate()
            rng.setstate(state)
            second = block(rng, width, height, 14, tallest, vocabulary)
            rng.setstate(after)
        else:
            second = block(rng, width, height, 14, tallest, vocabulary)
        self.turns = (first.turns[0], second.turns[0])
        self.shifts = (0, len(first.glyphs))
        self.sample = stack(first, second)

    def _tell(self, script: Script, which: int) -> None:
        turn, shift = self.turns[which], self.shifts[which]
        script.parts.append(turn.answer)
        script.sources.extend(source + shift if source >= 0 else -1 for source in turn.sources)

    def both(self) -> Turn:
        """Ask to read both in order."""
        script = Script()
        self._tell(script, 0)
        script.mark("\n\n")
        self._tell(script, 1)
        return script.turn(self.rng.choice(prompts.READ_BOTH)[self.chinese])

    def one(self) -> Turn:
        """Ask to read one of them."""
        which, script = self.rng.choice([0, 1]), Script()
        self._tell(script, which)
        question = self.rng.choice(prompts.READ_ONE)[self.chinese]
        return script.turn(question.format(ORDINALS[which][self.chinese]))

    def same(self) -> Turn:
        """Ask whether both say the same."""
        equal = self.turns[0].answer == self.turns[1].answer
        answer = (("no", "yes"), ("不一样", "一样"))[self.chinese][equal]
        return plain_turn(self.rng.choice(prompts.SAME)[self.chinese], answer)


def texts(rng: Random, width: int, height: int) -> Sample:
    """Draw two pictures with text, with one or two questions about them."""
    pair = Texts(rng, width, height)
    makers = rng.sample([pair.both, pair.both, pair.one, pair.one, pair.same], rng.choice([1, 2]))
    pair.sample.turns = [maker() for maker in makers]
    return pair.sample


class Scenes:
    """Two pictures of shapes, and questions about them."""

    def __init__(self, rng: Random, width: int, height: int) -> None:
        self.rng = rng
        one, other = (conversed_scene(rng, width, height) for _ in range(2))
        self.talks: tuple[ShapeConversation, ShapeConversation] = (one[1], other[1])
        self.chinese = one[1].chinese
        other[1].chinese = self.chinese
        self.shift = len(one[0].regions)
        self.sample = stack(one[0], other[0])

    def one(self) -> Turn:
        """Ask about one of them: how many, or what it shows."""
        which = self.rng.choice([0, 1])
        talk, shift = self.talks[which], self.shift * which
        counts = self.rng.random() < 0.6
        turn = talk.count() if counts else talk.describe()
        forms = prompts.COUNT_IN if counts else prompts.DESCRIBE_ONE
        turn.question = self.rng.choice(forms)[self.chinese].format(ORDINALS[which][self.chinese])
        turn.sources = [source + shift if source >= 0 else -1 for source in turn.sources]
        turn.picture = which
        if turn.counted is not None:
            turn.counted = tuple(number + shift for number in turn.counted)
        return turn

    def which(self) -> Turn:
        """Ask in which of them there is a circle, a square or a triangle."""
        name = self.rng.choice(NAMES)
        there = [any(shape.name == name for shape in talk.shapes) for talk in self.talks]
        answer = prompts.WHICH_ANSWERS[there[0] + 2 * there[1]][self.chinese]
        question = self.rng.choice(prompts.WHICH)[self.chinese]
        return plain_turn(question.format((name, prompts.SHAPES[name])[self.chinese]), answer)

    def more(self) -> Turn:
        """Ask which of them has more shapes."""
        one, other = (len(talk.shapes) for talk in self.talks)
        answer = prompts.MORE_ANSWERS[(one > other) - (one < other)][self.chinese]
        return plain_turn(self.rng.choice(prompts.MORE)[self.chinese], answer)


def scenes(rng: Random, width: int, height: int) -> Sample:
    """Draw two pictures of shapes, with one to three questions about them."""
    pair = Scenes(rng, width, height)
    makers = rng.sample([pair.one, pair.one, pair.which, pair.more], rng.randint(1, 3))
    pair.sample.turns = [maker() for maker in makers]
    return pair.sample
