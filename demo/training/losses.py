"""What the network is asked for in training, and how often it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from demo.training import labels

if TYPE_CHECKING:
    from torch import Tensor

    from demo.training.network import Heads, Seen, Thought
    from demo.training.rows import Rows

#: Means of what was right; on their device until somebody reads them.
Scores = dict[str, "Tensor | float"]

#: The language model's layer that knows the place in the text, and those that look there.
EARLY = 1
POINTING = (2, 3)
#: Weight of the numbers that answer how many.
NUMBER = 1.0


def characters(scores: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor | float]:
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


def classes(scores: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor | float]:
    """Cross-entropy where something is wanted (> 0), and the share that is right."""
    there = wanted > 0
    if not there.any():
        return scores.sum() * 0, float("nan")
    loss = functional.cross_entropy(scores[there].float(), wanted[there])
    right = (scores[there].argmax(-1) == wanted[there]).float().mean()
    return loss, right


def dense(heads: Heads, seen: Seen, marks: Tensor) -> tuple[Tensor, Scores]:
    """Score the tower: characters of patches and tokens, lines, columns, shapes, their places."""
    chars, line, column, kind, centre = marks.split([labels.SLOTS, 1, 1, 1, 1], -1)
    patches = seen.patches.flatten(0, 1)
    wanted = chars.flatten(0, 1)
    found: Scores = {}
    total = torch.zeros((), device=marks.device)
    if (wanted > 0).any():
        per_patch, found["patch"] = characters(heads.patch_chars(patches), wanted)
        tokens = heads.token_chars(seen.tokens.flatten(0, 1)).unflatten(-1, (labels.MERGE**2, -1))
        per_token, found["token"] = characters(tokens.flatten(0, 1), wanted)
        total = total + per_patch + per_token
    for name, head, mark, weight in (
        ("line", heads.patch_line, line, 0.3),
        ("column", heads.patch_column, column, 0.1),
        ("centre", heads.patch_centre, centre, 0.5),
    ):
        loss, found[name] = classes(head(patches), mark.flatten())
        total = total + weight * loss
    if (kind > 0).any():
        scores = heads.patch_kind(patches)
        total = total + functional.cross_entropy(scores.float(), kind.flatten())
        _, found["kind"] = classes(scores, kind.flatten())
    return total, found


def pointing(scores: Tensor, pointers: Tensor) -> tuple[Tensor, Tensor | float]:
    """One attention head shall look at the image token that holds the next character.

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


def counting(scores: Tensor, rows: Rows) -> tuple[Tensor, Tensor | float]:
    """One attention head shall look equally at each thing counted and at the image's beginning.

    The share that the beginning gets, one of n + 1, tells the number n. How a thing's share is
    spread over its tokens is free. Also the share that all of them get together.
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


def reading(heads: Heads, head: Tensor, thought: Thought, rows: Rows) -> tuple[Tensor, Scores]:
    """Score the language model: next bytes, where to look, which line and column is next."""
    there = rows.targets >= 0
    bytes_ = functional.linear(thought.last[there], head).float()
    wanted = rows.targets[there]
    loss = functional.cross_entropy(bytes_, wanted)
    found: Scores = {"nll": loss.detach()}
    if len(rows.counting):
        # one byte of many, and yet the whole answer
        numbers = rows.counting.unbind(-1)
        said, true = functional.linear(thought.last[numbers], head).float(), rows.targets[numbers]
        loss = loss + NUMBER * functional.cross_entropy(said, true)
        found["number"] = (said.argmax(-1) == true).float().mean()
    found["byte"] = (bytes_.argmax(-1) == wanted).float().mean()
    for number, scores in enumerate(thought.scores):
        part, found[f"point{number}"] = pointing(scores[:, 0], rows.pointers)
        equal, found[f"count{number}"] = counting(scores[:, 1], rows)
        loss = loss + 0.3 * part + 0.6 * equal
    early = thought.layers[EARLY]
    for name, read, mark in (
        ("at_line", heads.text_line, rows.lines),
        ("at_column", heads.text_column, rows.columns),
    ):
        chosen = mark > 0
        part, found[name] = classes(read(early[chosen]), mark[chosen])
        loss = loss + 0.1 * part
    return loss, found
