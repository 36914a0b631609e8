"""Conversations as rows of tokens, with targets and the image tokens that answers come from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demo.data import prompts
from demo.training import labels
from demo.training.tokens import IDS, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from typing import Self

    from demo.data.scenes import Sample, Turn

START, END = IDS["<|im_start|>"], IDS["<|im_end|>"]
PAD, IMAGE = IDS["<|endoftext|>"], IDS["<|image_pad|>"]
NOTHING = -100


@dataclass(slots=True)
class Row:
    """One conversation; all lists have one entry a token, targets one token ahead."""

    ids: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    #: Place in the row of the image token that the next byte is read from, or -1.
    pointers: list[int] = field(default_factory=list)
    #: Line and column + 1 of the glyph that the next byte is read from, 0 for none.
    lines: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    #: Place of a token that is a count, and the places of each counted thing.
    counted: list[tuple[int, list[list[int]]]] = field(default_factory=list)
    #: Where the tokens of each picture begin, and how many each has.
    images: list[int] = field(default_factory=list)
    area: int = 0

    def show(self, pictures: int, area: int) -> None:
        """Append the tokens of the pictures, each between its marks."""
        self.area = area
        for _ in range(pictures):
            self.say([IDS["<|vision_start|>"]])
            self.images.append(len(self.ids))
            self.say([IMAGE] * area + [IDS["<|vision_end|>"]])

    def place(self, token: int) -> int:
        """Return the place of an image token, numbered through all pictures."""
        return self.images[token // self.area] + token % self.area

    def say(self, ids: list[int]) -> None:
        """Append tokens that are no targets."""
        self.ids.extend(ids)
        for name, value in (("targets", NOTHING), ("pointers", -1), ("lines", 0), ("columns", 0)):
            getattr(self, name).extend([value] * len(ids))

    def answer(self, turn: Turn, sample: Sample, tokens: list[int]) -> None:
        """Append an answer; `tokens` gives for each glyph the image token it lies in."""
        answer = [*encode(turn.answer), END]
        start = len(self.ids) - 1
        self.say(answer)
        self.targets[start : start + len(answer)] = answer
        if turn.counted is not None:
            regions = labels.region_tokens(sample)
            things = [[self.place(token) for token in regions[one]] for one in turn.counted]
            self.counted.append((start, [[self.images[turn.picture] - 1], *things]))
        for place, source in enumerate(turn.sources, start=start):
            if source >= 0 and tokens[source] >= 0:
                glyph = sample.glyphs[source]
                self.pointers[place] = self.place(tokens[source])
                if not turn.ordered:
                    continue
                self.lines[place] = min(glyph.line + 1, labels.LINES - 1)
                self.columns[place] = min(glyph.column + 1, labels.COLUMNS - 1)


def build_row(rng: Random, sample: Sample) -> Row:
    """Lay out the whole conversation in Qwen's chat form, sometimes with a system turn in front."""
    row = Row()
    tokens = labels.glyph_tokens(sample)
    area = sample.image.width * sample.image.height // labels.TOKEN**2 // sample.pictures
    if rng.random() < 0.08:
        row.say([START, *encode("system\n" + rng.choice(prompts.SYSTEM)), END, *encode("\n")])
    for number, turn in enumerate(sample.turns):
        row.say([START, *encode("user\n")])
        question = encode(turn.question)
        behind = number == 0 and rng.random() < 0.08
        if behind:
            row.say(question)
        if number == 0:
            row.show(sample.pictures, area)
        row.say([*([] if behind else question), END, *encode("\n")])
        row.say([START, *encode("assistant\n")])
        row.answer(turn, sample, tokens)
        row.say(encode("\n"))
    return row


class Tensors:
    """A dataclass whose tensors are moved together."""

    __slots__ = ()

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = [getattr(self, entry.name) for entry in fields(self)]  # type: ignore[arg-type]
        return type(self)(*(change(v) if isinstance(v, Tensor) else v for v in values))

    def to(self, device: torch.device) -> Self:
        """Move to another device."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Move to pinned memory."""
        return self._each(Tensor.pin_memory)


@dataclass(slots=True)
class Rows(Tensors):
    """Right-padded rows as tensors (rows, length); positions (3, rows, length)."""

    ids: Tensor
    targets: Tensor
    pointers: Tensor
    lines: Tensor
    columns: Tensor
    positions: Tensor
    #: Row and place of each token that is a count: (questions, 2)
    counting: Tensor
    #: Counted things: (places, 3), numbers of a question and of a thing, and one of its places
    counted: Tensor


def positions(images: list[int], length: int, height: int, width: int) -> Tensor:
    """(3, length): time, row and column of each token; pictures of one size begin at `images`."""
    area = height * width
    places = torch.arange(length).expand(3, length).clone()
    cells = torch.arange(area)
    for image in images:
        first = int(places[0, image])
        places[0, image : image + area] = first
        places[1, image : image + area] = first + cells // width
        places[2, image : image + area] = first + cells % width
        places[:, image + area :] += max(height, width) - area
    return places


def collate_counts(rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Return `counting` and `counted` of Rows."""
    counting: list[tuple[int, int]] = []
    counted: list[tuple[int, int, int]] = []
    things = 0
    for number, row in enumerate(rows):
        for place, counted_things in row.counted:
            for thing in counted_things:
                counted += [(len(counting), things, key) for key in thing]
                things += 1
            counting.append((number, place))
    return (
        torch.tensor(counting, dtype=torch.long).reshape(-1, 2),
        torch.tensor(counted, dtype=torch.long).reshape(-1, 3),
    )


def collate(rows: list[Row], height: int, width: int) -> Rows:
    """Pad rows to one length; a picture's size in tokens is the same for all."""
    length = max(len(row.ids) for row in rows)

    def padded(name: str, filler: int) -> Tensor:
        return torch.tensor(
            [getattr(row, name) + [filler] * (length - len(row.ids)) for row in rows]
        )

    return Rows(
        padded("ids", PAD),
        padded("targets", NOTHING),
        padded("pointers", -1),
        padded("lines", 0),
        padded("columns", 0),
        torch.stack([positions(row.images, length, height, width) for row in rows], dim=1),
        *collate_counts(rows),
    )
