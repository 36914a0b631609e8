"""Measures the checkpoint on new drawings: `python -m demo.evaluate [--short] [--only pages]`."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import sys
import time
from dataclasses import dataclass, field, fields
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from demo.asking import Asker, Message, user_message
from demo.checkpoint import FOLDER
from demo.data import fonts, prompts
from demo.tasks import ALL, TASKS, Task, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.data.scenes import Sample


@dataclass(slots=True)
class Score:
    """Counts of errors and successes in a task's answers."""

    images: int = 0
    errors: int = 0
    characters: int = 0
    right: int = 0
    asked: int = 0
    misses: list[tuple[str, str, str]] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        """Return the sum of both."""
        return Score(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def error_rate(self) -> float:
        """Edits per character of the true answers."""
        return self.errors / max(1, self.characters)

    @property
    def share(self) -> float:
        """Share of right answers."""
        return self.right / max(1, self.asked)


def distance(one: str, other: str) -> int:
    """Levenshtein distance in characters."""
    before = list(range(len(other) + 1))
    for row, left in enumerate(one, start=1):
        now = [row]
        for column, right in enumerate(other, start=1):
            change = before[column - 1] + (left != right)
            now.append(min(before[column] + 1, now[-1] + 1, change))
        before = now
    return before[-1]


def cells(table: str) -> list[str]:
    """Contents of a Markdown table's cells, row by row, its rule left out."""
    rows = [line.strip().strip("|").split("|") for line in table.split("\n") if "---" not in line]
    return [cell.strip() for row in rows for cell in row]


def add_answer(score: Score, measure: str, question: str, answer: str, truth: str) -> None:
    """Add one answer to a score."""
    score.errors += distance(answer, truth)
    score.characters += len(truth)
    if measure == "cells":
        read, wanted = cells(answer), cells(truth)
        score.right += sum(a == b for a, b in zip(read, wanted, strict=False))
        score.asked += len(wanted)
    elif measure == "marks":
        score.right += answer.count("[?]") == truth.count("[?]")
        score.asked += 1
    else:
        score.right += answer == truth
        score.asked += 1
    if answer != truth:
        score.misses.append((question, answer, truth))


def question_kind(question: str, turn: int) -> str:
    """Name the row of the table that a question about shapes belongs to."""
    follow = (*prompts.COLOUR_IT, *prompts.MEANING)
    if turn and any(question in forms for forms in follow):
        return "follow-ups"
    if question in prompts.COUNT:
        return "count all"
    if any(question in forms for forms in prompts.DESCRIBE):
        return "describe"
    if question.startswith(("How many", "有几个", "图中有几个")) or question.endswith("的有几个?"):
        return "count by colour or shape"
    if question.startswith("Is there") or question.endswith("吗?"):
        return "yes or no"
    return "colour or shape of one"


def converse(asker: Asker, sample: Sample) -> Iterator[tuple[int, str, str, str]]:
    """Ask a sample's questions in turn, on top of the model's own answers."""
    messages: list[Message] = []
    shown = sample.shown()
    for number, turn in enumerate(sample.turns):
        messages.append(user_message(turn.question, 0 if number else len(shown)))
        limit = len(turn.answer.encode()) + 24
        answer = asker.ask(messages, shown, limit)
        messages.append({"role": "assistant", "content": answer})
        yield number, turn.question, answer, turn.answer


def evaluate(
    asker: Asker, short: bool, tasks: tuple[Task, ...] = TASKS, share: range = ALL
) -> dict[str, Score]:
    """Return the scores by row of the table; questions about shapes are split by their kind."""
    scores: dict[str, Score] = {}
    for task in tasks:
        for sample in samples(task, task.counts[short], share):
            rows = set()
            for number, question, answer, truth in converse(asker, sample):
                row = task.name
                if task.measure == "shapes":
                    row = f"shapes: {question_kind(question, number)}"
                score = scores.setdefault(row, Score())
                score.images += row not in rows
                rows.add(row)
                add_answer(score, task.measure, question, answer, truth)
    return scores


def choose_tasks(words: str) -> tuple[Task, ...]:
    """Return the tasks whose names have one of the words in them, parted by commas."""
    return tuple(task for task in TASKS if any(word in task.name for word in words.split(",")))


def evaluate_part(folder: Path, short: bool, words: str, share: range) -> dict[str, Score]:
    """Evaluate one of several shares of the samples, in a process of its own."""
    torch.set_num_threads(1)
    return evaluate(Asker(folder), short, choose_tasks(words), share)


def evaluate_together(folder: Path, short: bool, words: str, workers: int) -> dict[str, Score]:
    """Return the scores from several processes, faster than as many threads on so small a model."""
    scores: dict[str, Score] = {}
    with concurrent.futures.ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        shares = [range(rank, sys.maxsize, workers) for rank in range(workers)]
        parts = pool.map(
            evaluate_part, *zip(*((folder, short, words, one) for one in shares), strict=True)
        )
        for part in parts:
            for row, score in part.items():
                scores[row] = scores.get(row, Score()) + score
    return scores


def table(scores: dict[str, Score]) -> str:
    """Lay out the scores as a Markdown table."""
    measures = {task.name: task.measure for task in TASKS}
    lines = ["| task | images | character errors | right |", "|---|---:|---:|---:|"]
    for name, score in scores.items():
        measure = measures.get(name, "exact")
        what = {"cells": "of cells", "marks": "with all marks", "errors": "of images"}.get(
            measure, "of answers"
        )
        lines.append(
            f"| {name} | {score.images} | {score.error_rate:.1%} | {score.share:.0%} {what} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of each, without pages")
    parser.add_argument("--misses", action="store_true", help="print wrong answers too")
    parser.add_argument("--only", default="", help="tasks with one of these words in their names")
    parser.add_argument("--checkpoint", type=Path, default=FOLDER)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args()
    started = time.monotonic()
    scores = evaluate_together(options.checkpoint, options.short, options.only, options.workers)
    if options.misses:
        for name, score in scores.items():
            for question, answer, truth in score.misses:
                print(f"{name}: {question!r}\n  said {answer!r}\n  true {truth!r}")
    print(table(scores))
    print(f"\nfonts: {', '.join(fonts.available())}; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
