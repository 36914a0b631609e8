"""How much of a field's name stands beside or above a value: `total` before 12.50."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from shared.jobs.answers.lines import Box
from worker.evidence.plain_text import plain_letters
from worker.evidence.sheet_text import SheetText, Span

#: Names of the same thing, as documents and fields write them.
_SAME = (
    ("total", "sum", "amount", "合计", "总计", "总额", "金额", "价税合计"),
    ("date", "day", "datum", "日期", "时间"),
    ("price", "each", "rate", "单价", "价格"),
    ("quantity", "qty", "count", "pieces", "pcs", "units", "数量"),
    ("name", "item", "article", "description", "product", "goods", "名称", "姓名", "品名", "项目"),
    ("number", "no", "nr", "num", "id", "号码", "编号", "单号", "号"),
    ("invoice", "bill", "发票"),
    ("order", "订单"),
    ("customer", "client", "buyer", "购买方", "客户", "买方"),
    ("seller", "vendor", "supplier", "merchant", "销售方", "卖方", "商户"),
    ("tax", "vat", "税额", "税"),
    ("address", "地址"),
    ("phone", "telephone", "tel", "mobile", "电话", "手机"),
    ("email", "mail", "邮箱"),
    ("due", "payable", "到期"),
    ("currency", "币种"),
    ("company", "公司", "单位"),
)
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PARTS = re.compile(r"[^\W_]+")
_LEAST_CHARS = 2
#: Letters by which a longer word is told from a shorter one of the same stem.
_STEM = 4
#: What a label loses that is as far from its value as the page is wide, and one above it.
_FAR, _ABOVE = 0.25, 0.25
#: What another name for the same thing counts.
_OTHER_NAME = 0.8
#: Share of the narrower that header and value have in common, and of the lower of two heights.
_OVERLAP, _LEVEL = 0.3, 0.5


def label_words(name: str) -> list[tuple[str, ...]]:
    """Return the words of a field's name, each with others for the same thing."""
    words = (plain_letters(part) for part in _PARTS.findall(_CAPITALS.sub(" ", name)))
    return [_same_words(word) for word in words if len(word) >= _LEAST_CHARS or not word.isascii()]


def _same_words(word: str) -> tuple[str, ...]:
    groups = [group for group in _SAME if word in group]
    groups += [group for group in _SAME if not word.isascii() and word.endswith(group)]
    return tuple(dict.fromkeys([word, *(other for group in groups for other in group)]))


def names_field(sheet: SheetText, label: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether any word of a field's name is on a sheet."""
    words, text = sheet.vocabulary, sheet.letters
    return any(_stands(name, words, text) for names in label for name in names)


def rate_label(sheet: SheetText, span: Span, label: Sequence[tuple[str, ...]]) -> float:
    """Return how well the words left of or above some others name a field, 0 to 1."""
    if not label:
        return 0.0
    box = sheet.box_of(span)
    return max(_rate_left(sheet, span, box, label), _rate_above(sheet, span, box, label))


def _rate_left(sheet: SheetText, span: Span, box: Box, label: Sequence[tuple[str, ...]]) -> float:
    """Rate the words before a value in its row, up to the value before it."""
    before: list[int] = []
    for number in range(span.first - 1, -1, -1):
        word = sheet.words[number]
        if not is_level(word.box, box) or word.box[2] > box[0] + (box[3] - box[1]):
            break
        if any(map(str.isdigit, word.text)) and before:
            break
        before.insert(0, number)
    share = _share([sheet.plains[number] for number in before], label)
    if not share:
        return 0.0
    gap = max(0.0, box[0] - sheet.words[before[-1]].box[2])
    return share * (1 - _FAR * min(1.0, gap / max(1.0, sheet.width)))


def _rate_above(sheet: SheetText, span: Span, box: Box, label: Sequence[tuple[str, ...]]) -> float:
    """Rate the words above a value, such as the head of its column; the best line counts."""
    above: dict[int, list[str]] = {}
    for number in range(span.first):
        word = sheet.words[number]
        common = min(word.box[2], box[2]) - max(word.box[0], box[0])
        width = min(word.box[2] - word.box[0], box[2] - box[0])
        if word.box[3] <= box[1] + (box[3] - box[1]) / 2 and common >= _OVERLAP * width:
            above.setdefault(word.line, []).append(sheet.plains[number])
    return max((_share(words, label) * (1 - _ABOVE) for words in above.values()), default=0.0)


def _share(words: Sequence[str], label: Sequence[tuple[str, ...]]) -> float:
    """Return the share of the label's words that are among the words."""
    text = "".join(words)
    return sum(_rate_names(names, words, text) for names in label) / len(label)


def _rate_names(names: Sequence[str], words: Sequence[str], text: str) -> float:
    """Rate one word of a label: itself, or another name for the same thing."""
    if _stands(names[0], words, text):
        return 1.0
    return _OTHER_NAME if any(_stands(name, words, text) for name in names[1:]) else 0.0


def _stands(name: str, words: Iterable[str], text: str) -> bool:
    if not name.isascii():
        return name in text
    bare = (word.strip(".,:;#()*|-") for word in words)
    return any(_is_alike(name, word) for word in bare if word)


def _is_alike(name: str, word: str) -> bool:
    if name == word:
        return True
    short, long = sorted((name, word), key=len)
    return len(short) >= _STEM and long.startswith(short)


def is_level(one: Box, other: Box) -> bool:
    """Tell whether two boxes stand in one row."""
    common = min(one[3], other[3]) - max(one[1], other[1])
    return common >= _LEVEL * min(one[3] - one[1], other[3] - other[1])
