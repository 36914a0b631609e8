"""The losses of the training, and how often the network is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from demo.training import labels

if TYPE_CHECKING:
    from torch import Tensor

    from demo.training.network import Heads, LanguageOutput, TowerOutput
    from demo.training.rows import Rows

#: Means of right answers by name; they stay on their device until they are printed.
Scores = dict[str, "Tensor | float"]

#: The layer that is trained to know the place in the text, and those trained to attend to it.
EARLY = 1
POINTING = (2, 3)
#: Weight of the numbers in answers to "how many".
NUMBER = 1.0


def character_loss(scores: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy over slots, and the share of characters that are right.

    scores (places, SLOTS · CHARS), wanted (places, SLOTS). All characters count, the end of each
    row of characters, and a sample of the empty places.
    """
    slots = wanted.shape[-1]
    scores = scores.unflatten(-1, (slots, labels.CHARS))
    there = wanted > 0
    ends = torch.zeros_like(there)
    ends[:, 1:] = there[:, :-1] & ~there[:, 1:]
    empty = torch.zeros_like(there)
    empty[:, 0] = torch.rand(len(there), device=there.device) < 0.15
    chosen = there | ends | (empty & ~there)
    loss = functional.cross_entropy(scores[chosen].float(), wanted[chosen])
    with torch.no_grad():
        right = (scores[there].argmax(-1) == wanted[there]).float().mean()
    return loss, right


def class_loss(scores: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy where something is wanted (> 0), and the share that is right."""
    there = wanted > 0
    if not there.any():
        return scores.sum() * 0, float("nan")
    loss = functional.cross_entropy(scores[there].float(), wanted[there])
    right = (scores[there].argmax(-1) == wanted[there]).float().mean()
    return loss, right


def tower_loss(heads: Heads, output: TowerOutput, marks: Tensor) -> tuple[Tensor, Scores]:
    """Return the tower's loss and scores: characters, lines, columns, shapes, their centres."""
    chars, line, column, kind, centre = marks.split([labels.SLOTS, 1, 1, 1, 1], -1)
    patches = output.patches.flatten(0, 1)
    wanted = chars.flatten(0, 1)
    scores_by_name: Scores = {}
    total = torch.zeros((), device=marks.device)
    if (wanted > 0).any():
        per_patch, scores_by_name["patch"] = character_loss(heads.patch_chars(patches), wanted)
        tokens = heads.token_chars(output.tokens.flatten(0, 1)).unflatten(-1, (labels.MERGE**2, -1))
        per_token, scores_by_name["token"] = character_loss(tokens.flatten(0, 1), wanted)
        total = total + per_patch + per_token
    for name, head, mark, weight in (
        ("line", heads.patch_line, line, 0.3),
        ("column", heads.patch_column, column, 0.1),
        ("centre", heads.patch_centre, centre, 0.5),
    ):
        loss, scores_by_name[name] = class_loss(head(patches), mark.flatten())
        total = total + weight * loss
    if (kind > 0).any():
        scores = heads.patch_kind(patches)
        total = total + functional.cross_entropy(scores.float(), kind.flatten())
        _, scores_by_name["kind"] = class_loss(scores, kind.flatten())
    return total, scores_by_name


def pointing_loss(scores: Tensor, pointers: Tensor) -> tuple[Tensor, Tensor | float]:
    """Return the loss of the head that attends to the image token of the next character.

    scores (rows, length, length) before softmax, pointers (rows, length) or -1.
    """
    rows, places = (pointers >= 0).nonzero(as_tuple=True)
    if len(rows) == 0:
        return scores.sum() * 0, float("nan")
    chosen, wanted = scores[rows, places].float(), pointers[rows, places]
    later = torch.arange(scores.shape[-1], device=scores.device) > places[:, None]
    chosen = chosen.masked_fill(later, float("-inf"))
    right = (chosen.argmax(-1) == wanted).float().mean()
    return functional.cross_entropy(chosen, wanted), right


def counting_loss(scores: Tensor, rows: Rows) -> tuple[Tensor, Tensor | float]:
    """Return the loss of the head that attends equally to each counted thing and the image's start.

    The share of the start, one of n + 1, gives the number n. A thing's share may be spread over its
    tokens in any way. Also returns the share of all of them together.
    scores (rows, length, length) before softmax.
    """
    if len(rows.counting) == 0:
        return scores.sum() * 0, float("nan")
    row, place = rows.counting.unbind(-1)
    question, thing, key = rows.counted.unbind(-1)
    later = torch.arange(scores.shape[-1], device=scores.device) > place[:, None]
    shares = scores[row, place].float().masked_fill(later, float("-inf")).softmax(-1)
    each = shares.new_zeros(int(thing[-1]) + 1).index_add(0, thing, shares[question, key])
    return -each.clamp_min(1e-6).log().mean(), each.detach().sum() / len(row)


def reading_loss(
    heads: Heads, head: Tensor, output: LanguageOutput, rows: Rows
) -> tuple[Tensor, Scores]:
    """Return the language model's loss and scores: next bytes, attention, next line and column."""
    there = rows.targets >= 0
    bytes_ = functional.linear(output.last[there], head).float()
    wanted = rows.targets[there]
    loss = functional.cross_entropy(bytes_, wanted)
    scores_by_name: Scores = {"nll": loss.detach()}
    if len(rows.counting):
        # one byte of many, but the whole answer
        numbers = rows.counting.unbind(-1)
        predicted, true = (
            functional.linear(output.last[numbers], head).float(),
            rows.targets[numbers],
        )
        loss = loss + NUMBER * functional.cross_entropy(predicted, true)
        scores_by_name["number"] = (predicted.argmax(-1) == true).float().mean()
    scores_by_name["byte"] = (bytes_.argmax(-1) == wanted).float().mean()
    for number, scores in enumerate(output.scores):
        part, scores_by_name[f"point{number}"] = pointing_loss(scores[:, 0], rows.pointers)
        equal, scores_by_name[f"count{number}"] = counting_loss(scores[:, 1], rows)
        loss = loss + 0.3 * part + 0.6 * equal
    early = output.layers[EARLY]
    for name, read, mark in (
        ("at_line", heads.text_line, rows.lines),
        ("at_column", heads.text_column, rows.columns),
    ):
        chosen = mark > 0
        part, scores_by_name[name] = class_loss(read(early[chosen]), mark[chosen])
        loss = loss + 0.1 * part
    return loss, scores_by_name
