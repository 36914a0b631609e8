"""The two stages of the training: the tower alone, then the language model with it."""

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
    from demo.training.network import Heads, TowerOutput
    from demo.training.rows import Rows

#: Weight of the tower's loss in the second stage.
DENSE = 0.3


@dataclass(frozen=True)
class TowerBatches:
    """Draws batches for the tower alone, `scale` times as large as for one CPU."""

    seed: int
    scale: float

    def __call__(self, step: int, number: int) -> Images:  # noqa: ARG002
        """Draw batch `number` of a step."""
        return batches.tower_batch(self.seed, number, round(6000 * self.scale))


class TowerStage:
    """The first stage: the vision tower alone, with dense supervision."""

    name = "tower"
    settled = 0

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
        """Return a batch's loss, scores and number of samples."""
        return tower_losses(self.visual, self.heads, batch)


class ReaderPlan(NamedTuple):
    """The batches of the second stage, from short lines to pages."""

    #: Steps in which the tower is not trained.
    frozen: int
    #: First steps in which only the heads are trained, which a checkpoint does not contain.
    settled: int
    #: Share of steps with large pages, for all processes together as they take longer.
    pages: float
    #: Size of the largest other blocks in image tokens.
    largest: int
    #: Every n-th batch is for the tower alone, which learns faster from it; 0 for none.
    dense_every: int
    #: Size of the batches, in those for one CPU.
    scale: float
    #: Batches of each process in a step.
    together: int
    #: Chunks of a batch, to save padding on a CPU and time between them on a GPU.
    parts: int

    def dense(self, step: int, number: int) -> bool:
        """Whether a batch is for the tower alone."""
        every = self.dense_every
        return bool(every) and step >= self.frozen and (number + 1) % every == 0

    def page(self, seed: int, step: int, number: int) -> bool:
        """Whether a batch has large pages; the same for all processes of a step."""
        return Random(f"page:{seed}:{step}:{number % self.together}").random() < self.pages


@dataclass(frozen=True)
class ReaderBatches:
    """Draws conversations by a plan, and now and then a batch for the tower alone."""

    seed: int
    plan: ReaderPlan

    def __call__(self, step: int, number: int) -> Images | tuple[Images, list[Rows]]:
        """Draw batch `number` of a step."""
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


class ReaderStage:
    """The second stage: the language model, after `frozen` steps with the tower."""

    name = "reader"

    def __init__(self, model: nn.Module, heads: Heads, seed: int, plan: ReaderPlan) -> None:
        self.model, self.heads = model, heads
        self.frozen, self.settled = plan.frozen, plan.settled
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
        """Return a batch's loss, scores and number of samples."""
        self.model.requires_grad_(step >= self.settled)
        for part in self.trunk:
            part.requires_grad_(step >= max(self.frozen, self.settled))
        visual = self.model.model.visual
        if not isinstance(batch, tuple):
            return tower_losses(visual, self.heads, batch)
        images, chunks = batch
        output, dense, tower_scores = score_tower(visual, self.heads, images)
        loss, every = DENSE * dense, sum(count_targets(rows) for rows in chunks)
        pictures = len(images.pixels) // sum(len(rows.ids) for rows in chunks)
        sums: Scores = defaultdict(float)
        first = 0
        for rows in chunks:
            share, last = count_targets(rows) / every, first + len(rows.ids)
            shown = network.slice_images(output, first * pictures, last * pictures)
            read, scores = self.read(shown, rows)
            loss, first = loss + share * read, last
            for name, score in scores.items():
                sums[name] += share * score
        return loss, {**tower_scores, **sums}, first

    def read(self, output: TowerOutput, rows: Rows) -> tuple[Tensor, Scores]:
        """Run the language model on one chunk of rows and the images that belong to them."""
        language = self.model.model.language_model
        rows = rows.to(output.tokens.device)
        places = rows.ids == IMAGE
        with torch.autocast(places.device.type, torch.bfloat16):
            embeddings = language.embed_tokens(rows.ids).index_put(
                (places,), output.tokens.flatten(0, 1).float()
            )
            deepstack = [level.flatten(0, 1) for level in output.deepstack]
            language_output = network.run_language_model(
                language, embeddings, rows.positions, deepstack, places, losses.POINTING
            )
            return losses.reading_loss(self.heads, self.model.lm_head.weight, language_output, rows)


def count_targets(rows: Rows) -> int:
    """Count the bytes that the language model has to predict."""
    return int((rows.targets >= 0).sum())


def score_tower(
    visual: nn.Module, heads: Heads, images: Images
) -> tuple[TowerOutput, Tensor, Scores]:
    """Run the tower on a batch of images; return its output, loss and scores."""
    device = visual.pos_embed.weight.device
    images = images.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        output = network.run_tower(visual, images.values(), images.height, images.width)
        loss, scores = losses.tower_loss(heads, output, images.marks)
    return output, loss, scores


def tower_losses(visual: nn.Module, heads: Heads, images: Images) -> tuple[Tensor, Scores, int]:
    """Return the tower's loss, scores and number of images."""
    _, loss, scores = score_tower(visual, heads, images)
    return loss, scores, len(images.pixels)
