"""The page of error codes in both languages, from shared/errors.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from scripts.reference.markdown import code, page, table
from shared import errors
from shared.errors import ServiceError
from sightline.errors import api_error

_WORDS = Path(__file__).resolve().parents[2] / "gateway" / "webui" / "words.zh.json"

_HEAD = {
    "en": """# Errors

Every error that a caller can get, from [shared/errors.py](../../shared/errors.py);
`make reference` writes this page. A refused request is answered with `application/problem+json`
and one of these codes; a job that failed has one in `error`. Codes are stable, messages may
change. `detail` describes this occurrence, `pointer` the part of the request, and
`X-Request-Id` finds it in the log. "Later" says whether the same request may succeed later without
changes. What to do beyond the hint: [troubleshooting](../troubleshooting.md).""",
    "zh": (
        "# 错误\n\n"
        "调用方可能遇到的全部错误，取自 [shared/errors.py](../../../shared/errors.py)；"
        "本页由 `make reference` 生成。"
        "请求被拒绝时返回 `application/problem+json`，其中包含下列代码之一；"
        "任务失败时，代码在任务的 `error` 中。代码保持不变，说明文字可能改进。"
        "`detail` 说明本次的具体原因，`pointer` 指出请求中出错的位置，"
        "凭 `X-Request-Id` 可以在日志中找到对应的记录。"
        "“可重试”表示不修改请求、稍后重试是否可能成功。"
        "更多处理办法见[故障排查](../troubleshooting.md)。"
    ),
}
_COLUMNS = {
    "en": ["code", "status", "later", "meaning", "what to do", "client"],
    "zh": ["代码", "状态码", "可重试", "含义", "处理办法", "客户端异常"],
}
_LATER = {"en": ("yes", "no"), "zh": ("是", "否")}
#: An error is listed under the nearest of its base classes here.
_FAMILIES: dict[type[ServiceError], dict[str, str]] = {
    errors.InputError: {"en": "The request", "zh": "请求"},
    errors.ImageError: {"en": "The image", "zh": "图片"},
    errors.Conflict: {"en": "State", "zh": "状态冲突"},
    errors.LimitError: {"en": "Limits of the key", "zh": "密钥限额"},
    errors.Unavailable: {"en": "The service", "zh": "服务"},
    errors.JobFailure: {"en": "A job that failed", "zh": "失败的任务"},
    errors.ServiceError: {"en": "Everything else", "zh": "其他"},
}


def render_errors(language: Literal["en", "zh"]) -> str:
    """Return the page in one language."""
    chinese = json.loads(_WORDS.read_text(encoding="utf-8"))["errors"]
    parts = [_HEAD[language]]
    for title, kinds in _families(language):
        rows = [_row(kind, *_sentences(kind, chinese, language), language) for kind in kinds]
        parts += [f"## {title}", table(_COLUMNS[language], rows)]
    return page(*parts)


def _families(language: str) -> Iterator[tuple[str, list[type[ServiceError]]]]:
    families: dict[type[ServiceError], list[type[ServiceError]]] = {head: [] for head in _FAMILIES}
    for _, kind in sorted(errors.by_code().items()):
        families[next(base for base in kind.__mro__ if base in families)].append(kind)
    for head, kinds in families.items():
        yield _FAMILIES[head][language], kinds


def _sentences(
    kind: type[ServiceError], chinese: dict[str, tuple[str, str]], language: str
) -> tuple[str, str]:
    if language == "zh":
        meaning, hint = chinese[kind.code]
        return meaning, hint
    return kind.title(), kind.hint


def _row(kind: type[ServiceError], meaning: str, hint: str, language: str) -> list[str]:
    yes, no = _LATER[language]
    failed = issubclass(kind, errors.JobFailure)
    raised = "JobFailed" if failed else type(api_error(kind.status, {"code": kind.code})).__name__
    openai = f"<br>OpenAI: {code(kind.openai_code)}" if kind.openai_code else ""
    return [
        f'<a id="{kind.code}"></a>{code(kind.code)}{openai}',
        str(kind.status),
        yes if kind.retryable else no,
        meaning,
        hint.replace("<", "&lt;"),
        code(raised),
    ]
