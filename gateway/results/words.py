"""The few words that results add to what was read, in English and Chinese."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh"]

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "result": "Result",
        "page": "Page {number}",
        "pages": "Pages {first}-{last}",
        "image": "Image {number}",
        "table": "Table {number}",
        "table_of": "Table {number} ({place})",
        "text": "Text",
        "fields": "Fields",
        "field": "Field",
        "value": "Value",
        "notes": "Notes",
        "length": "The answer was cut off at its maximum length; more text may follow.",
        "loop": "The answer was stopped because it kept repeating itself.",
        "canceled": "The job was canceled; this is what was written until then.",
        "deadline": "The deadline of the job passed; this is what was written until then.",
        "partial": "Parts of the input could not be read; marks stand in their places.",
        "gap": "A part could not be read.",
        "corrected": "{text} (corrected; read as: {before})",
        "object_label": "Label",
        "object_image": "Image",
        "object_page": "Page",
        "object_left": "Left",
        "object_top": "Top",
        "object_right": "Right",
        "object_bottom": "Bottom",
        "object_confidence": "Confidence",
        "object_source": "Source",
        "object_text": "Text",
    },
    "zh": {
        "result": "识别结果",
        "page": "第 {number} 页",
        "pages": "第 {first}-{last} 页",
        "image": "图片 {number}",
        "table": "表 {number}",
        "table_of": "表 {number}（{place}）",
        "text": "文字",
        "fields": "字段",
        "field": "字段",
        "value": "值",
        "notes": "说明",
        "length": "回答达到长度上限，已被截断，后面可能还有内容。",
        "loop": "回答出现重复，已停止生成。",
        "canceled": "任务已取消，以上是取消前生成的内容。",
        "deadline": "任务已超过截止时间，以上是此前生成的内容。",
        "partial": "有一部分内容未能识别，已在相应位置标出。",
        "gap": "有一部分未能识别。",
        "corrected": "{text}（已更正；原识别为：{before}）",
        "object_label": "标签",
        "object_image": "图片",
        "object_page": "页",
        "object_left": "左",
        "object_top": "上",
        "object_right": "右",
        "object_bottom": "下",
        "object_confidence": "置信度",
        "object_source": "来源",
        "object_text": "文字",
    },
}


def say(name: str, language: Language, **places: object) -> str:
    """Return a word or sentence with its places filled in."""
    return _WORDS[language][name].format(**places)


def knows(name: str) -> bool:
    """Tell whether there is a sentence of this name."""
    return name in _WORDS["en"]
