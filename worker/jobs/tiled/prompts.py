"""Prompts about the parts of a long image, and how the model's answers to them are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.catalog.presets import detect_language
from shared.jobs import TileOutcome

#: Answer of a part that has nothing to do with the question.
_NOTHING = {"en": "not shown", "zh": "未显示"}
_PART = {
    "en": "This image is part {number} of {count} of a longer image. {prompt}\n"
    "If this part does not show it, answer only: not shown",
    "zh": "这张图片是一张长图的第 {number} 部分,共 {count} 部分。{prompt}\n"
    "如果这一部分没有显示,只回答:未显示",
}
_REDUCTION = {
    "en": "A long image was looked at in {count} parts. What each part answered to the question:\n"
    "{answers}\nFrom these answers, answer the question for the whole image: {prompt}\n"
    "End with the part that it rests on, as in [part 3].",
    "zh": "一张长图分成 {count} 部分查看。各部分对问题的回答:\n{answers}\n"
    "请根据这些回答,针对整张图片回答问题:{prompt}\n最后注明依据的部分,例如 [part 3]。",
}
#: Bytes of an answer below which it is of no use, and of its label.
_ANSWER_BYTES_MIN, _LABEL_BYTES = 16, len("[part 999] \n")
_PART_LABEL = re.compile(r"\[part (\d{1,3})\]", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def build_part_prompt(prompt: str, number: int, count: int) -> str:
    """Return the question to part `number`, counted from 1."""
    return _PART[detect_language(prompt)].format(number=number, count=count, prompt=prompt)


def _has_answer(outcome: TileOutcome) -> bool:
    """Tell whether a part has anything to do with the question."""
    text = outcome.text.strip(" .。").casefold()
    return bool(text) and not outcome.gap and text not in _NOTHING.values()


@dataclass(frozen=True, slots=True)
class ReductionPrompt:
    """The question about all parts' answers, and how many of these found no room in it."""

    prompt: str
    left_out: int


def build_reduction_prompt(
    prompt: str, outcomes: Sequence[TileOutcome], most_bytes: int
) -> ReductionPrompt:
    """Return a question of at most `most_bytes`, unless the words around the answers need more.

    Each answer is cut to its share; where that is too little, the most confident answers stay.
    """
    template = _REDUCTION[detect_language(prompt)]
    frame = template.format(count=len(outcomes), answers="", prompt=prompt)
    room = max(0, most_bytes - len(frame.encode("utf-8", "replace")))
    answering = [n for n, one in enumerate(outcomes) if _has_answer(one)]
    surest = sorted(answering, key=lambda n: -(outcomes[n].confidence or 0.0))
    chosen = sorted(surest[: max(1, room // (_ANSWER_BYTES_MIN + _LABEL_BYTES))])
    share = max(_ANSWER_BYTES_MIN, room // max(1, len(chosen)) - _LABEL_BYTES)
    answers = "\n".join(f"[part {n + 1}] {_cut(outcomes[n].text, share)}" for n in chosen)
    text = template.format(count=len(outcomes), answers=answers or "-", prompt=prompt)
    return ReductionPrompt(text, len(answering) - len(chosen))


def _cut(text: str, most_bytes: int) -> str:
    flat = _SPACE.sub(" ", text.strip())
    return flat.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class EvidencedAnswer:
    """An answer without the labels of parts, and the numbers from 0 of the parts it rests on."""

    text: str
    evidence: frozenset[int]


def read_evidence(text: str, outcomes: Sequence[TileOutcome]) -> EvidencedAnswer:
    """Return the answer and the parts that it rests on: those it names, else those that agree."""
    named = {int(match[1]) - 1 for match in _PART_LABEL.finditer(text)}
    named &= {n for n, one in enumerate(outcomes) if _has_answer(one)}
    plain = _PART_LABEL.sub("", text).strip()
    if not named and plain:
        named = {
            n for n, one in enumerate(outcomes) if _has_answer(one) and _agree(plain, one.text)
        }
    return EvidencedAnswer(plain, frozenset(named))


def _agree(answer: str, part: str) -> bool:
    one, other = answer.casefold(), part.strip().casefold()
    return one in other or other in one
