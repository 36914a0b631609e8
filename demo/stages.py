"""The two stages of training: the tower alone, then the language model that reads from it."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from demo import batches, losses, network
from demo.rows import IMAGE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from demo.batches import Images
    from demo.losses import Scores
    from demo.network import Heads, Seen
    from demo.rows import Rows

#: Weight of the tower's own tasks once the language model reads.
DENSE = 0.3


class Tower:
    """The first stage: the vision tower alone, with dense supervision."""

    name = "tower"

    def __init__(self, model: nn.Module, heads: Heads, seed: int) -> None:
        self.visual, self.heads, self.seed = model.model.visual, heads, seed

    def groups(self) -> list[dict[str, Any]]:
        """List the parameters with the learning rate that each group reaches."""
        return [
            {"params": list(self.visual.parameters()), "peak": 1.2e-3},
            {"params": list(self.heads.parameters()), "peak": 2e-3},
        ]

    def losses(self, step: int, number: int) -> tuple[Tensor, Scores, int]:  # noqa: ARG002
        """Draw batch `number`, which is one of a step's; its loss, scores and number of samples."""
        images = batches.tower_batch(self.seed, number)
        _, loss, scores = see(self.visual, self.heads, images)
        return loss, scores, len(images.pixels)


class Plan(NamedTuple):
    """What the reader sees, from short lines to pages."""

    #: Steps for which the tower stays as it is.
    frozen: int
    #: Share of steps with large pages, for all processes together as they take longer.
    pages: float
    #: Size of the largest other blocks in image tokens.
    largest: int
    #: Every how many batches one is for the tower alone, which learns faster from it; 0 for none.
    dense_every: int

    def dense(self, step: int, number: int) -> bool:
        """Whether a batch is for the tower alone."""
        every = self.dense_every
        return bool(every) and step >= self.frozen and (number + 1) % every == 0

    def page(self, seed: int, step: int) -> bool:
        """Whether a step is about large pages."""
        return Random(f"page:{seed}:{step}").random() < self.pages


class Reader:
    """The second stage: the language model reads; after `frozen` steps the tower joins in."""

    name = "reader"

    def __init__(self, model: nn.Module, heads: Heads, seed: int, plan: Plan) -> None:
        self.model, self.heads, self.seed, self.plan = model, heads, seed, plan
        visual = model.model.visual
        self.trunk = [visual.patch_embed, visual.pos_embed, visual.blocks]

    def groups(self) -> list[dict[str, Any]]:
        """List the parameters with the learning rate that each group reaches."""
        trunk = [value for part in self.trunk for value in part.parameters()]
        known = {id(value) for value in trunk}
        rest = [value for value in self.model.parameters() if id(value) not in known]
        return [
            {"params": rest, "peak": 1e-3},
            {"params": trunk, "peak": 8e-4},
            {"params": list(self.heads.parameters()), "peak": 1.5e-3},
        ]

    def losses(self, step: int, number: int) -> tuple[Tensor, Scores, int]:
        """Draw batch `number`, which is one of a step's; its loss, scores and number of samples."""
        for part in self.trunk:
            part.requires_grad_(step >= self.plan.frozen)
        if self.plan.dense(step, number):
            return self.look(number)
        page = self.plan.page(self.seed, step)
        images, chunks = batches.reader_batch(
            self.seed, number, page=page, largest=self.plan.largest
        )
        seen, dense, found = see(self.model.model.visual, self.heads, images)
        loss, every = DENSE * dense, sum(answered(rows) for rows in chunks)
        sums: dict[str, float] = defaultdict(float)
        first = 0
        for rows in chunks:
            share, last = answered(rows) / every, first + len(rows.ids)
            read, scores = self.read(network.part(seen, first, last), rows)
            loss, first = loss + share * read, last
            for name, score in scores.items():
                sums[name] += share * score
        return loss, {**found, **sums}, first

    def look(self, number: int) -> tuple[Tensor, Scores, int]:
        """Let the tower do its own tasks on a batch of the first stage."""
        images = batches.tower_batch(self.seed, number)
        _, loss, scores = see(self.model.model.visual, self.heads, images)
        return loss, scores, len(images.pixels)

    def read(self, seen: Seen, rows: Rows) -> tuple[Tensor, Scores]:
        """Run the language model on one chunk of rows and the images that belong to them."""
        language = self.model.model.language_model
        rows = rows.to(seen.tokens.device)
        places = rows.ids == IMAGE
        with torch.autocast(places.device.type, torch.bfloat16):
            embeddings = language.embed_tokens(rows.ids).index_put(
                (places,), seen.tokens.flatten(0, 1).float()
            )
            deepstack = [level.flatten(0, 1) for level in seen.deepstack]
            thought = network.think(
                language, embeddings, rows.positions, deepstack, places, losses.POINTING
            )
            return losses.reading(self.heads, self.model.lm_head.weight, thought, rows)


def answered(rows: Rows) -> int:
    """Count the bytes that the language model has to predict."""
    return int((rows.targets >= 0).sum())


def see(visual: nn.Module, heads: Heads, images: Images) -> tuple[Seen, Tensor, Scores]:
    """Run the tower on a batch of images and score its own tasks."""
    device = visual.pos_embed.weight.device
    with torch.autocast(device.type, torch.bfloat16):
        seen = network.look(visual, images.pixels.to(device), images.height, images.width)
        loss, scores = losses.dense(heads, seen, images.marks.to(device))
    return seen, loss, scores
