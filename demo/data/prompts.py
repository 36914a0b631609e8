"""Questions in English and Chinese, and the names of colours and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

READ = (
    "Read the text.",
    "Read the text",
    "Extract all text.",
    "OCR",
    "What does it say?",
    "What is written here?",
    "Read the text in this image.",
    "What does the image say?",
    "Transcribe the image.",
    "提取文字",
    "请提取图片中的所有文字",
    "图中写了什么?",
    "识别图片中的文字",
    "请识别图中所有文字内容。",
)

#: Ask for a table as such, also where it has no rules.
TABLE = (
    "Read the table.",
    "Extract the table.",
    "Output the table as Markdown.",
    "Read the table as a Markdown table.",
    "What does the table say?",
    "提取表格",
    "请以Markdown表格格式输出",
    "识别图中的表格",
)

_ENGLISH_HEADS = (
    "Extract all visible text from the image.",
    "Extract all text in the image. Follow these rules strictly:",
    "Please extract the text of this image:",
    "You are an OCR engine.",
)
_ENGLISH_RULES = (
    ("Extract all visible text.", "Extract all visible text in the image."),
    ("Order it from top to bottom, left to right.", "Keep the order top-to-bottom, left-to-right."),
    ("Output a table as a Markdown table.", "If there is a table, output it as a Markdown table."),
    ("No explanation and no guessing.", "Do not explain or guess."),
    ("Mark uncertain characters as [?].", "Mark characters you are not sure of with [?]."),
)
#: The place of the rule about tables.
_TABLES = 2
_CHINESE_HEADS = (
    "请严格按以下要求提取图片中的文字:",
    "请提取图片中的文字,要求:",
    "请执行OCR:",
    "请提取图中所有文字。",
)
_CHINESE_RULES = (
    ("提取图片中的所有可见文字内容", "提取所有可见文字"),
    ("按从上到下、从左到右的顺序排列", "按从上到下、从左到右顺序排列"),
    ("如有表格,以Markdown表格格式输出", "表格用 Markdown 格式输出"),
    ("不要解释,不要猜测", "不要添加任何解释或猜测"),
    ("不确定的字符用[?]标记", "对不确定的字符用 [?] 标注"),
)

COLOURS = {
    "red": "红色",
    "green": "绿色",
    "blue": "蓝色",
    "yellow": "黄色",
    "black": "黑色",
    "purple": "紫色",
}
SHAPES = {"circle": "圆形", "square": "正方形", "triangle": "三角形"}

COUNT = (
    "How many shapes are there?",
    "How many objects are there?",
    "How many objects? Answer with a number.",
    "How many shapes are there? Answer with one number.",
    "How many shapes?",
    "Count the shapes.",
    "图中有几个主要物体?只需回答一个数字。",
    "图中有几个物体?",
    "图中有多少个图形?",
    "有几个物体?",
)
COUNT_COLOUR = (
    ("How many {} shapes?", "有几个{}的物体?"),
    ("How many {} shapes are there?", "图中有几个{}的物体?"),
    ("How many {} ones?", "{}的有几个?"),
)
COUNT_SHAPE = (("How many {}s are there?", "有几个{}?"), ("How many {}s?", "图中有几个{}?"))
COLOUR_OF = (
    ("What colour is the {}?", "{}是什么颜色?"),
    ("What color is the {}?", "{}是什么颜色的?"),
)
PRESENT = (("Is there a {}?", "图中有{}吗?"), ("Is there a {} in the image?", "有{}吗?"))
DESCRIBE = (
    ("Describe the image.", "描述这张图片"),
    ("Describe this picture.", "请描述这张图片。"),
    ("What is in the image?", "图中有什么?"),
)
COLOUR_IT = (("What colour is it?", "它是什么颜色?"), ("What color is it?", "它是什么颜色的?"))
MEANING = (('What does "it" refer to?', "它指的是什么?"), ("What is it?", "它是什么?"))
SHAPE_OF = (("What shape is the {} one?", "{}的是什么形状?"),)

FIRST_LINE = (("What is the first line?", "第一行是什么?"), ("Read the first line.", "读出第一行"))
LAST_LINE = (("What is the last line?", "最后一行是什么?"), ("Read the last line.", "读出最后一行"))
LINES = (("How many lines of text are there?", "图中有几行文字?"), ("How many lines?", "有几行?"))
#: Ask for the value of a field by its name.
FIELD = (
    ("What is the {}?", "{}是什么?"),
    ("{}?", "{}?"),
    ("Read the field {}.", "读出{}"),
    ("What does it say for {}?", "{}的内容是什么?"),
)
TOTAL = (("What is the total?", "总计是多少?"), ("How much is the total?", "总价是多少?"))

#: Questions about two pictures.
READ_BOTH = (
    ("Read the text in both images.", "请读出两张图片中的文字"),
    ("Read both images.", "读出两张图"),
    ("Read the text of the two images in order.", "请按顺序读出两张图片的文字"),
    ("Read the text.", "提取文字"),
)
READ_ONE = (
    ("What does the {} image say?", "第{}张图写了什么?"),
    ("Read the {} image.", "读出第{}张图"),
    ("Read the text in the {} image.", "请读出第{}张图片中的文字"),
)
SAME = (
    ("Do both images say the same?", "两张图的文字一样吗?"),
    ("Is the text the same in both images?", "两张图片的文字相同吗?"),
    ("Are the two texts the same?", "两段文字一样吗?"),
)
COUNT_IN = (
    ("How many shapes are in the {} image?", "第{}张图有几个物体?"),
    ("Count the shapes in the {} image.", "第{}张图中有几个图形?"),
)
DESCRIBE_ONE = (
    ("Describe the {} image.", "描述第{}张图"),
    ("What is in the {} image?", "第{}张图中有什么?"),
)
WHICH = (("Which image has a {}?", "哪张图有{}?"), ("In which image is a {}?", "{}在哪张图中?"))
#: In neither, in the first, in the second, in both.
WHICH_ANSWERS = (
    ("neither", "都没有"),
    ("the first", "第一张"),
    ("the second", "第二张"),
    ("both", "都有"),
)
MORE = (
    ("Which image has more shapes?", "哪张图的物体更多?"),
    ("Which image shows more objects?", "哪张图的图形多?"),
)
#: As many in both, more in the first, more in the second.
MORE_ANSWERS = (("both the same", "一样多"), ("the first", "第一张"), ("the second", "第二张"))

SYSTEM = (
    "You are a helpful assistant.",
    "You are Sightline, a vision assistant.",
    "Answer briefly.",
    "你是一个图像理解助手。",
)


def instructions(rng: Random, *, tables: bool | None = None) -> str:
    """Compose a strict reading instruction of several rules, like that of the ocr preset.

    If given, `tables` decides whether it has the rule about them.
    """
    chinese = rng.random() < 0.5
    heads, rules = (_CHINESE_HEADS, _CHINESE_RULES) if chinese else (_ENGLISH_HEADS, _ENGLISH_RULES)
    chosen = rules if rng.random() < 0.6 else rules[: rng.randint(2, 4)]
    if tables is not None:
        others = [rule for rule in chosen if rule is not rules[_TABLES]]
        chosen = (*others[:_TABLES], rules[_TABLES], *others[_TABLES:]) if tables else tuple(others)
    form = rng.choice(["{}. {}", "- {1}", "{}. {}", "{}、{}"])
    listed = [form.format(number, rng.choice(rule)) for number, rule in enumerate(chosen, start=1)]
    head = [rng.choice(heads)] if rng.random() < 0.8 else []
    return rng.choice(["\n", "\n", " "]).join(head + listed)


def reading(rng: Random) -> str:
    """Pick a short request to read."""
    return rng.choice(READ)
