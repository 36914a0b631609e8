"""The two stages of training: the tower alone, then the language model that reads from it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from demo.training import batches, losses, network
from demo.training.rows import IMAGE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from demo.training.batches import Images
    from demo.training.losses import Scores
    from demo.training.network import Heads, Seen
    from demo.training.rows import Rows

#: Weight of the tower's own tasks once the language model reads.
DENSE = 0.3


@dataclass(frozen=True)
class TowerBatches:
    """Draws what the tower learns from alone, `scale` times as much as one CPU wants at once."""

    seed: int
    scale: float

    def __call__(self, step: int, number: int) -> Images:  # noqa: ARG002
        """Draw batch `number`, which is one of a step's."""
        return batches.tower_batch(self.seed, number, round(6000 * self.scale))


class Tower:
    """The first stage: the vision tower alone, with dense supervision."""

    name = "tower"

    def __init__(self, model: nn.Module, heads: Heads, seed: int, scale: float) -> None:
        self.visual, self.heads = model.model.visual, heads
        self.draw = TowerBatches(seed, scale)

    def groups(self) -> list[dict[str, Any]]:
        """List the parameters with the learning rate that each group reaches."""
        return [
            {"params": list(self.visual.parameters()), "peak": 1.2e-3},
            {"params": list(self.heads.parameters()), "peak": 2e-3},
        ]

    def losses(self, step: int, batch: Images) -> tuple[Tensor, Scores, int]:  # noqa: ARG002
        """Look at a batch; its loss, scores and number of samples."""
        return look(self.visual, self.heads, batch)


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
    #: How much larger batches are than one CPU wants them.
    scale: float
    #: How many batches each process has in a step.
    together: int
    #: Chunks of a batch, to save padding on a CPU and time between them on a GPU.
    parts: int

    def dense(self, step: int, number: int) -> bool:
        """Whether a batch is for the tower alone."""
        every = self.dense_every
        return bool(every) and step >= self.frozen and (number + 1) % every == 0

    def page(self, seed: int, step: int, number: int) -> bool:
        """Whether a batch is about large pages, as those are that others work on meanwhile."""
        return Random(f"page:{seed}:{step}:{number % self.together}").random() < self.pages


@dataclass(frozen=True)
class ReaderBatches:
    """Draws conversations by a plan, and now and then what the tower learns from alone."""

    seed: int
    plan: Plan

    def __call__(self, step: int, number: int) -> Images | tuple[Images, list[Rows]]:
        """Draw batch `number`, which is one of a step's."""
        plan = self.plan
        if plan.dense(step, number):
            return TowerBatches(self.seed, plan.scale)(step, number)
        return batches.reader_batch(
            self.seed,
            number,
            page=plan.page(self.seed, step, number),
            largest=plan.largest,
            budget=batches.BUDGET * plan.scale,
            parts=plan.parts,
        )


class Reader:
    """The second stage: the language model reads; after `frozen` steps the tower joins in."""

    name = "reader"

    def __init__(self, model: nn.Module, heads: Heads, seed: int, plan: Plan) -> None:
        self.model, self.heads, self.frozen = model, heads, plan.frozen
        self.draw = ReaderBatches(seed, plan)
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

    def losses(
        self, step: int, batch: Images | tuple[Images, list[Rows]]
    ) -> tuple[Tensor, Scores, int]:
        """Work on a batch; its loss, scores and number of samples."""
        for part in self.trunk:
            part.requires_grad_(step >= self.frozen)
        visual = self.model.model.visual
        if not isinstance(batch, tuple):
            return look(visual, self.heads, batch)
        images, chunks = batch
        seen, dense, found = see(visual, self.heads, images)
        loss, every = DENSE * dense, sum(answered(rows) for rows in chunks)
        sums: Scores = defaultdict(float)
        first = 0
        for rows in chunks:
            share, last = answered(rows) / every, first + len(rows.ids)
            read, scores = self.read(network.part(seen, first, last), rows)
            loss, first = loss + share * read, last
            for name, score in scores.items():
                sums[name] += share * score
        return loss, {**found, **sums}, first

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
    images = images.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        seen = network.look(visual, images.values(), images.height, images.width)
        loss, scores = losses.dense(heads, seen, images.marks)
    return seen, loss, scores


def look(visual: nn.Module, heads: Heads, images: Images) -> tuple[Tensor, Scores, int]:
    """Let the tower do its own tasks; its loss, scores and number of images."""
    _, loss, scores = see(visual, heads, images)
    return loss, scores, len(images.pixels)
