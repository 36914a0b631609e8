"""Presets: named prompts in Chinese and English with generation parameters and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.catalog.config_file import read_config_file
from shared.catalog.rules import MAX_RULES, Name, RuleBook
from shared.constraints.grammar import check_satisfiable
from shared.errors import BadConfig, BadConstraint
from shared.jobs import ASK_TOKENS, READ_TOKENS, GenerationParams
from shared.jobs.answers.find import FIND_TOKENS, name_labels
from shared.jobs.parameters.enhancement import Enhancement
from shared.jobs.parameters.response_format import ANY_OBJECT
from shared.settings import Settings

VARIABLE = "SIGHTLINE_PRESETS_FILE"
Language = Literal["en", "zh"]

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_PLACEHOLDER = re.compile(r"\{(prompt|fields|labels)\}")


class Preset(BaseModel):
    """A named prompt; `{prompt}` is replaced by the caller's prompt, `{fields}` by `fields`.

    One with `{labels}` looks for these, and answers with places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    description: str = Field("", max_length=1000)
    prompt: Mapping[Language, Annotated[str, Field(min_length=1, max_length=32_768)]] = Field(
        min_length=1, description="By language; if one is missing, the other is used for both."
    )
    params: GenerationParams = Field(
        GenerationParams(), description="Defaults that a request can override."
    )
    postprocess: tuple[str, ...] = Field((), max_length=MAX_RULES, description="Names of rules.")
    enhance: Enhancement = Field("off", description="How images are improved first.")
    reads: bool = Field(
        False, description="The preset asks for all text, so long images are read in tiles."
    )

    @model_validator(mode="after")
    def _same_placeholders(self) -> Self:
        if len({self._placeholders(text) for text in self.prompt.values()}) > 1:
            raise ValueError("the languages of the prompt must have the same placeholders")
        if self.finds and (len(self.needs) > 1 or self.reads or self.params.constrained_by):
            raise ValueError("a prompt with {labels} has no other placeholder, constraint or reads")
        return self

    @staticmethod
    def _placeholders(text: str) -> frozenset[str]:
        return frozenset(_PLACEHOLDER.findall(text))

    @property
    def needs(self) -> frozenset[str]:
        """Return which of `prompt`, `fields` and `labels` a request must have."""
        return self._placeholders(next(iter(self.prompt.values())))

    @property
    def finds(self) -> bool:
        """Tell whether it looks for labels, and its answer is where they are."""
        return "labels" in self.needs

    def asks_for_text(self, prompt: str) -> bool:
        """Tell whether a prompt is this preset's own, and asks for all text."""
        return self.reads and prompt in self.prompt.values()

    def render(
        self,
        language: Language,
        prompt: str | None,
        fields: Sequence[str],
        labels: Sequence[str] = (),
    ) -> str:
        """Return the model's prompt; the caller's replaces a preset without `{prompt}`."""
        if prompt and "prompt" not in self.needs:
            return prompt
        template = self.prompt.get(language) or next(iter(self.prompt.values()))
        names = {"fields": name_labels(fields), "labels": name_labels(labels)}
        values = names | {"prompt": prompt or ""}
        return _PLACEHOLDER.sub(lambda m: values[m[1]], template)


class _PresetFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    presets: list[Preset] = Field(max_length=1000)


_TIDY = ("whitespace",)
_TABLES = ("whitespace", "markdown_table")

#: Below this probability a character is more likely wrong than right (bundled model).
_DOUBTFUL = 0.3

#: The instructions that the bundled model is trained on.
_STRICT_EN = (
    "Extract all visible text.",
    "Order it from top to bottom, left to right.",
    "Output a table as a Markdown table.",
    "No explanation and no guessing.",
    "Mark uncertain characters as [?].",
)
_STRICT_ZH = (
    "提取图片中的所有可见文字内容",
    "按从上到下、从左到右的顺序排列",
    "如有表格,以Markdown表格格式输出",
    "不要解释,不要猜测",
    "不确定的字符用[?]标记",
)


def _numbered(head: str, rules: Iterable[str]) -> str:
    return "\n".join([head, *(f"{n}. {rule}" for n, rule in enumerate(rules, start=1))])


BUILT_IN = (
    Preset(
        name="describe",
        description="Describe the image.",
        prompt={"en": "Describe the image.", "zh": "描述这张图片"},
        params=GenerationParams(max_new_tokens=ASK_TOKENS),
        postprocess=_TIDY,
    ),
    Preset(
        name="ocr",
        reads=True,
        description="All text in reading order; uncertain characters as [?].",
        prompt={
            "en": _numbered(
                "Extract all text in the image. Follow these rules strictly:", _STRICT_EN
            ),
            "zh": _numbered("请严格按以下要求提取图片中的文字:", _STRICT_ZH),
        },
        params=GenerationParams(
            max_new_tokens=READ_TOKENS, uncertain_below=_DOUBTFUL, line_confidence=True
        ),
        postprocess=_TABLES,
        enhance="auto",
    ),
    Preset(
        name="ocr_table",
        reads=True,
        description="The table in the image, as Markdown.",
        prompt={
            "en": _numbered(
                "You are an OCR engine.",
                ("Extract all visible text.", _STRICT_EN[1], _STRICT_EN[2], _STRICT_EN[3]),
            ),
            "zh": _numbered("请执行OCR:", _STRICT_ZH[:4]),
        },
        params=GenerationParams(max_new_tokens=READ_TOKENS, line_confidence=True),
        postprocess=_TABLES,
        enhance="auto",
    ),
    Preset(
        name="count",
        description="The number of main objects, as one number.",
        prompt={
            "en": "How many objects? Answer with a number.",
            "zh": "图中有几个主要物体?只需回答一个数字。",
        },
        params=GenerationParams(max_new_tokens=16, temperature=0.1, regex=r"\d{1,4}"),
        postprocess=_TIDY,
    ),
    Preset(
        name="qa",
        description="A short answer to the question in `prompt`.",
        prompt={"en": "{prompt}", "zh": "{prompt}"},
        params=GenerationParams(max_new_tokens=ASK_TOKENS),
        postprocess=_TIDY,
    ),
    Preset(
        name="fields",
        description="The values of the members named in `fields`, as a JSON object.",
        prompt={
            "en": "Read these fields from the image: {fields}. Answer with one JSON object that "
            "has exactly these keys. Each value is a string as it is printed, or null if the "
            "image does not show it. No explanation and no guessing.",
            "zh": "从图片中读取以下字段:{fields}。只输出一个 JSON 对象,键与上述字段完全一致;"
            "值为图中所印的原文字符串,图中没有的填 null。不要解释,不要猜测。",
        },
        params=GenerationParams(max_new_tokens=ASK_TOKENS, response_format=ANY_OBJECT),
        postprocess=("json_fields",),
    ),
    Preset(
        name="find",
        description="Where the things or words named in `labels`, or the `phrase`, are: "
        "`output.objects`.",
        prompt={
            "en": "Locate every instance of each of the following in the image: {labels}. Report "
            'bbox coordinates in JSON format: a list of objects with "bbox_2d" and "label", [] if '
            "the image shows none of them. No explanation and no guessing.",
            "zh": "在图片中定位以下各项的每一处:{labels}。以 JSON 格式输出边界框坐标:"
            '由带有 "bbox_2d" 和 "label" 的对象组成的列表;图中都没有则输出 []。不要解释,不要猜测。',
        },
        params=GenerationParams(max_new_tokens=FIND_TOKENS),
    ),
)


def detect_language(*texts: str) -> Language:
    """Return `zh` if any text has a Chinese character, else `en`."""
    return "zh" if any(_CHINESE.search(text) for text in texts) else "en"


def load_presets(settings: Settings, rules: RuleBook) -> dict[str, Preset]:
    """Return the built-in presets and those of the presets file, by name; raises BadConfig."""
    presets = {preset.name: preset for preset in BUILT_IN}
    path = settings.presets_file
    if path is None:
        return presets
    for number, preset in enumerate(read_config_file(path, VARIABLE, _PresetFile).presets, start=1):
        where = f"{VARIABLE}={path}: presets {number} ({preset.name})"
        if preset.name in presets:
            raise BadConfig(f"{where}: this name is already used")
        if (unknown := rules.find_unknown(preset.postprocess)) is not None:
            raise BadConfig(f"{where}, postprocess: unknown rule {unknown!r}")
        try:
            check_satisfiable(preset.params)
        except BadConstraint as error:
            raise BadConfig(f"{where}, params: {error.detail}") from None
        presets[preset.name] = preset
    return presets
