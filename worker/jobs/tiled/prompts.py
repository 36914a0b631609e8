"""Prompts about the parts of a long image or document, and how answers to them are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.catalog.presets import detect_language
from shared.jobs import TileOutcome

#: Answer of a part that has nothing to do with the question.
_NOTHING = {"en": "not shown", "zh": "未显示"}
#: Bytes of an answer below which it is of no use, and of its label.
_ANSWER_BYTES_MIN, _LABEL_BYTES = 16, len("[part 9999] \n")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Wording:
    """How the parts of something are spoken of, by language."""

    #: The word in labels such as `[part 3]`, and what progress counts.
    label: str
    unit: Literal["tiles", "pages"]
    #: The question to one part, and the question about the answers of all.
    part: Mapping[str, str]
    reduction: Mapping[str, str]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Return what finds the labels in an answer."""
        return re.compile(rf"\[{self.label} (\d{{1,4}})\]", re.IGNORECASE)


IMAGE = Wording(
    "part",
    "tiles",
    {
        "en": "This image is part {number} of {count} of a longer image. {prompt}\n"
        "If this part does not show it, answer only: not shown",
        "zh": "这张图片是一张长图的第 {number} 部分,共 {count} 部分。{prompt}\n"
        "如果这一部分没有显示,只回答:未显示",
    },
    {
        "en": "A long image was looked at in {count} parts. What each part answered to the "
        "question:\n{answers}\nFrom these answers, answer the question for the whole image: "
        "{prompt}\nEnd with the part that it rests on, as in [part 3].",
        "zh": "一张长图分成 {count} 部分查看。各部分对问题的回答:\n{answers}\n"
        "请根据这些回答,针对整张图片回答问题:{prompt}\n最后注明依据的部分,例如 [part 3]。",
    },
)
DOCUMENT = Wording(
    "page",
    "pages",
    {
        "en": "This is page {number} of a document of {count} pages. {prompt}\n"
        "If this page does not say it, answer only: not shown",
        "zh": "这是一份文档的第 {number} 页,共 {count} 页。{prompt}\n"
        "如果这一页没有写明,只回答:未显示",
    },
    {
        "en": "{count} pages of a document were looked at. What each page answered to the "
        "question:\n{answers}\nFrom these answers, answer the question for the whole document: "
        "{prompt}\nEnd with the page that it rests on, as in [page 3].",
        "zh": "一份文档的 {count} 页已逐页查看。各页对问题的回答:\n{answers}\n"
        "请根据这些回答,针对整份文档回答问题:{prompt}\n最后注明依据的页,例如 [page 3]。",
    },
)


def build_part_prompt(prompt: str, number: int, count: int, wording: Wording = IMAGE) -> str:
    """Return the question to part `number`, counted from 1."""
    template = wording.part[detect_language(prompt)]
    return template.format(number=number, count=count, prompt=prompt)


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
    prompt: str,
    outcomes: Sequence[TileOutcome],
    most_bytes: int,
    wording: Wording = IMAGE,
    numbers: Sequence[int] | None = None,
) -> ReductionPrompt:
    """Return a question of at most `most_bytes`, unless the words around the answers need more.

    Each answer is cut to its share; where that is too little, the most confident answers stay.
    `numbers` are those of the parts, by default from 1.
    """
    labels = numbers or range(1, len(outcomes) + 1)
    template = wording.reduction[detect_language(prompt)]
    frame = template.format(count=len(outcomes), answers="", prompt=prompt)
    room = max(0, most_bytes - len(frame.encode("utf-8", "replace")))
    answering = [n for n, one in enumerate(outcomes) if _has_answer(one)]
    surest = sorted(answering, key=lambda n: -(outcomes[n].confidence or 0.0))
    chosen = sorted(surest[: max(1, room // (_ANSWER_BYTES_MIN + _LABEL_BYTES))])
    share = max(_ANSWER_BYTES_MIN, room // max(1, len(chosen)) - _LABEL_BYTES)
    answers = "\n".join(
        f"[{wording.label} {labels[n]}] {_cut(outcomes[n].text, share)}" for n in chosen
    )
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


def read_evidence(
    text: str,
    outcomes: Sequence[TileOutcome],
    wording: Wording = IMAGE,
    numbers: Sequence[int] | None = None,
) -> EvidencedAnswer:
    """Return the answer and the parts that it rests on: those it names, else those that agree."""
    places = {number: n for n, number in enumerate(numbers or range(1, len(outcomes) + 1))}
    labels = (int(match[1]) for match in wording.pattern.finditer(text))
    named = {places[label] for label in labels if label in places}
    named &= {n for n, one in enumerate(outcomes) if _has_answer(one)}
    plain = wording.pattern.sub("", text).strip()
    if not named and plain:
        named = {
            n for n, one in enumerate(outcomes) if _has_answer(one) and _agree(plain, one.text)
        }
    return EvidencedAnswer(plain, frozenset(named))


def _agree(answer: str, part: str) -> bool:
    one, other = answer.casefold(), part.strip().casefold()
    return one in other or other in one
