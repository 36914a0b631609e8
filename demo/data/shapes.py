"""Draws coloured shapes, with conversations about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.data import augment, prompts
from demo.data.drawing import Canvas, Colour, Glyph
from demo.data.scenes import Region, Sample, Script, Turn, plain_turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PAINT: dict[str, Colour] = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 70, 220),
    "yellow": (240, 200, 30),
    "black": (20, 20, 20),
    "purple": (140, 50, 180),
}
#: Other tints of the same name.
TINTS: dict[str, tuple[Colour, ...]] = {
    "red": ((255, 0, 0), (200, 40, 60)),
    "green": ((0, 128, 0), (60, 200, 60), (0, 170, 90)),
    "blue": ((0, 0, 255), (30, 110, 210)),
    "yellow": ((255, 255, 0), (255, 215, 0)),
    "black": ((0, 0, 0), (45, 45, 45)),
    "purple": ((128, 0, 128), (155, 80, 200)),
}
NAMES = tuple(prompts.SHAPES)

#: Horizontal pixels between the centres of any two shapes, so that their order is clear.
APART = 8

#: The character of a glyph that is the centre of a shape.
SHAPE = "\1"


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of `size` pixels with its top left corner at (x, y)."""

    name: str
    colour: str
    x: int
    y: int
    size: int

    @property
    def kind(self) -> int:
        """Class of name and colour together, from 1 on."""
        return 1 + NAMES.index(self.name) * len(PAINT) + list(PAINT).index(self.colour)

    @property
    def region(self) -> Region:
        """What it covers."""
        return Region((self.x, self.y, self.x + self.size, self.y + self.size), self.kind)

    def english(self) -> str:
        """Colour and shape in English."""
        return f"{self.colour} {self.name}"

    def chinese(self) -> str:
        """Colour and shape in Chinese."""
        return prompts.COLOURS[self.colour] + prompts.SHAPES[self.name]


def paint(
    canvas: Canvas, shape: Shape, ink: Colour, scale: int = 1, edge: Colour | None = None
) -> None:
    """Draw a shape on a canvas that is `scale` times as large, with an `edge` around it."""
    x, y, end_x, end_y = (side * scale for side in shape.region.box)
    thick = 2 * scale if edge else 0
    if shape.name == "circle":
        canvas.pen.ellipse((x, y, end_x, end_y), fill=ink, outline=edge, width=thick)
    elif shape.name == "square":
        canvas.pen.rectangle((x, y, end_x, end_y), fill=ink, outline=edge, width=thick)
    else:
        corners = [((x + end_x) / 2, y), (x, end_y), (end_x, end_y)]
        canvas.pen.polygon(corners, fill=ink, outline=edge, width=thick)


def draw_shapes(
    shapes: list[Shape],
    *,
    width: int = 256,
    height: int = 192,
    background: Colour = (255, 255, 255),
) -> Canvas:
    """Draw shapes in their pure colours; the image is the canvas's `image`."""
    canvas = Canvas.blank(width, height, background)
    for shape in shapes:
        paint(canvas, shape, PAINT[shape.colour])
    return canvas


def scatter(rng: Random, width: int, height: int) -> list[Shape]:
    """Place up to nine shapes that do not touch, in a clear order from left to right."""
    count, shapes = rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9]), []
    largest = max(26, min(rng.choice([72, 110]), width // 3, height // 2))
    for _ in range(count * 12):
        if len(shapes) == count:
            break
        size = rng.randint(22, largest)
        x, y = rng.randint(2, width - size - 3), rng.randint(2, height - size - 3)
        apart = all(
            x + size + 4 < o.x or x > o.x + o.size + 4 or y + size + 4 < o.y or y > o.y + o.size + 4
            for o in shapes
        )
        middle = x + size / 2
        if apart and all(abs(middle - o.x - o.size / 2) >= APART for o in shapes):
            shapes.append(Shape(rng.choice(NAMES), rng.choice(list(PAINT)), x, y, size))
    return sorted(shapes, key=lambda shape: shape.x + shape.size / 2)


class ShapeConversation:
    """Questions about a set of shapes, in one language, with their answers."""

    def __init__(self, rng: Random, shapes: list[Shape]) -> None:
        self.rng = rng
        self.shapes = shapes
        self.chinese = rng.random() < 0.4
        self.topic: Shape | None = None

    def _ask(self, forms: tuple[tuple[str, str], ...], *names: str) -> str:
        return self.rng.choice(forms)[self.chinese].format(*names)

    def _say(self, english: str, chinese: str) -> str:
        return chinese if self.chinese else english

    def _name(self, name: str) -> str:
        return self._say(name, prompts.SHAPES[name])

    def _colour(self, colour: str) -> str:
        return self._say(colour, prompts.COLOURS[colour])

    def _likely(self, values: list[str], every: tuple[str, ...]) -> str:
        """Choose a present value in most cases, so that "none" is rare."""
        return self.rng.choice(values if values and self.rng.random() < 0.7 else list(every))

    def count(self) -> Turn:
        """Ask for the number of all shapes."""
        return self._number(self.rng.choice(prompts.COUNT), [True] * len(self.shapes))

    def count_colour(self) -> Turn:
        """Ask for the number of shapes of a colour."""
        colour = self._likely([shape.colour for shape in self.shapes], tuple(PAINT))
        question = self._ask(prompts.COUNT_COLOUR, self._colour(colour))
        return self._number(question, [shape.colour == colour for shape in self.shapes])

    def count_shape(self) -> Turn:
        """Ask for the number of circles, squares or triangles."""
        name = self._likely([shape.name for shape in self.shapes], NAMES)
        question = self._ask(prompts.COUNT_SHAPE, self._name(name))
        return self._number(question, [shape.name == name for shape in self.shapes])

    @staticmethod
    def _number(question: str, which: list[bool]) -> Turn:
        """Answer with the number of true values."""
        turn = plain_turn(question, str(sum(which)))
        turn.counted = tuple(number for number, counts in enumerate(which) if counts)
        return turn

    def colour_of(self) -> Turn:
        """Ask for the colour of the only shape of its name."""
        single = self._single("name")
        if single is None:
            return self.present()
        self.topic = single
        return self._about(self._ask(prompts.COLOUR_OF, self._name(single.name)), "colour", single)

    def shape_of(self) -> Turn:
        """Ask for the name of the only shape of its colour."""
        single = self._single("colour")
        if single is None:
            return self.count_colour()
        self.topic = single
        return self._about(self._ask(prompts.SHAPE_OF, self._colour(single.colour)), "name", single)

    def present(self) -> Turn:
        """Ask whether there is a shape of a name."""
        name = self.rng.choice(NAMES)
        matches = [shape for shape in self.shapes if shape.name == name]
        self.topic = matches[0] if len(matches) == 1 else None
        answer = self._say("yes", "有") if matches else self._say("no", "没有")
        source = self.shapes.index(matches[0]) if matches else -1
        return plain_turn(self._ask(prompts.PRESENT, self._name(name)), answer, source)

    def colour_it(self) -> Turn:
        """Ask for the colour of the shape last talked about."""
        if self.topic is None:
            return self.colour_of()
        return self._about(self._ask(prompts.COLOUR_IT), "colour", self.topic)

    def meaning(self) -> Turn:
        """Ask what "it" is."""
        if self.topic is None:
            return self.count()
        return self._about(self._ask(prompts.MEANING), "both", self.topic)

    def describe(self) -> Turn:
        """Ask for all shapes, from left to right."""
        script = Script()
        for number, shape in enumerate(self.shapes):
            if number:
                script.mark(self._say(", ", "、"))
            script.read(self._say(f"a {shape.english()}", shape.chinese()), number, step=0)
        if not self.shapes:
            script.mark(self._say("nothing", "什么都没有"))
        return script.turn(self._ask(prompts.DESCRIBE))

    def _single(self, attribute: str) -> Shape | None:
        values = [getattr(shape, attribute) for shape in self.shapes]
        alone = [
            shape
            for shape, value in zip(self.shapes, values, strict=True)
            if values.count(value) == 1
        ]
        return self.rng.choice(alone) if alone else None

    def _about(self, question: str, what: str, shape: Shape) -> Turn:
        answer = {
            "colour": self._colour(shape.colour),
            "name": self._name(shape.name),
            "both": self._say(f"the {shape.english()}", shape.chinese()),
        }[what]
        return plain_turn(question, answer, self.shapes.index(shape))

    def opening(self) -> Callable[[], Turn]:
        """Pick a question that needs no conversation before it."""
        # counting is learned most slowly
        counts = (self.count, self.count_colour, self.count_shape)
        others = (self.colour_of, self.shape_of, self.present, self.describe, self.describe)
        return self.rng.choice((*counts, *counts, *others))

    def turns(self) -> list[Turn]:
        """Ask one to three questions; one that follows up on the last topic where there is one."""
        turns = [self.opening()()]
        for _ in range(self.rng.choice([0, 1, 2, 2])):
            follow = self.topic is not None and self.rng.random() < 0.6
            maker = self.rng.choice([self.colour_it, self.meaning]) if follow else self.opening()
            turns.append(maker())
        return turns


def tint(rng: Random, colour: str) -> Colour:
    """Pick a tint of a colour's name, mostly the pure one or near it."""
    base = rng.choice((PAINT[colour], PAINT[colour], *TINTS[colour]))
    return tuple(max(0, min(255, part + rng.randint(-15, 15))) for part in base)


def scene(rng: Random, width: int, height: int) -> Sample:
    """Shapes on a light background with a conversation about them."""
    sample, talk = conversed_scene(rng, width, height)
    sample.turns = talk.turns()
    sample.image = augment.add_defects(rng, sample.image)
    return sample


def conversed_scene(rng: Random, width: int, height: int) -> tuple[Sample, ShapeConversation]:
    """Draw shapes on a light background; without turns, but with the questions about them."""
    background = tuple(rng.randint(225, 255) for _ in range(3))
    shapes = scatter(rng, width, height)
    # half of them with smooth edges
    scale, edged = rng.choice([1, 2]), rng.random() < 0.15
    canvas = Canvas.blank(width * scale, height * scale, background)
    for shape in shapes:
        ink = tint(rng, shape.colour)
        edge = tuple(part * 2 // 3 for part in ink) if edged else None
        paint(canvas, shape, ink, scale, edge)
    image = canvas.image if scale == 1 else canvas.image.reduce(scale)
    glyphs = [
        Glyph(SHAPE, shape.x + shape.size / 2, shape.y + shape.size / 2, number, 0)
        for number, shape in enumerate(shapes)
    ]
    regions = [shape.region for shape in shapes]
    return Sample(image, [], glyphs, regions), ShapeConversation(rng, shapes)
