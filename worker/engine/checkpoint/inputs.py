"""Makes a checkpoint's tokenizer and image processor, and tries both out before any request."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image

from worker.engine.api import ImageInput, Message
from worker.engine.checkpoint.folder import read_json
from worker.engine.config import ModelShape, VisionShape
from worker.engine.input.chat_template import ChatTokenizer
from worker.engine.input.image_processor import ImageReader
from worker.reasons import describe_error

_CHANNELS = 3
#: Any one of these makes a tokenizer.
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")
#: A conversation of every role; its words must come out of the template in this order.
_WORDS = ("Brief", "Look", "Seen", "More")


def read_tokenizer(folder: Path, *, remote_code: bool = False) -> Any:
    """Return transformers' tokenizer with a chat template; raises ValueError without either."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ValueError(f"there is no tokenizer: add {_TOKENIZERS[0]}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=remote_code)
    except Exception as error:
        # transformers and tokenizers raise what comes to hand, bare Exception included
        raise ValueError(f"the tokenizer cannot be read: {describe_error(error)}") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ValueError("the tokenizer has no fast form: add a tokenizer.json")
    if not tokenizer.chat_template:
        tokenizer.chat_template = read_json(folder / "chat_template.json").get("chat_template")
    if not tokenizer.chat_template:
        raise ValueError(
            "there is no chat template: neither chat_template.jinja nor chat_template.json"
            " nor tokenizer_config.json has one"
        )
    return tokenizer


def read_end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end an answer; raises ValueError if there is none."""
    ids = read_json(folder / "generation_config.json").get("eos_token_id")
    ids = tokenizer.eos_token_id if ids is None else ids
    ids = ids if isinstance(ids, list) else [ids]
    if not ids or not all(isinstance(id_, int) for id_ in ids):
        raise ValueError(f"no end-of-answer token is set: eos_token_id is {ids}")
    return frozenset(ids)


def make_chat(tokenizer: Any, shape: ModelShape) -> ChatTokenizer:
    """Return the chat tokenizer, after it has laid out one conversation.

    Raises ValueError if the model has no embedding for a token, or the template loses a part.
    """
    chat = ChatTokenizer(tokenizer, shape.image_token)
    largest = max(chat.backend.get_vocab(with_added_tokens=True).values(), default=0)
    largest = max(largest, *shape.end_tokens)
    if largest >= shape.text.vocab:
        raise ValueError(
            f"the tokenizer has token {largest}, and the model only {shape.text.vocab} embeddings:"
            " they belong to different models"
        )
    _lay_out_conversation(chat)
    return chat


def _lay_out_conversation(chat: ChatTokenizer) -> None:
    picture = ImageInput("img_trial", Image.new("RGB", (32, 32)), 1024)
    roles = ("system", "user", "assistant", "user")
    messages = [
        Message(role, word, (picture,) if word == "Look" else ())
        for role, word in zip(roles, _WORDS, strict=True)
    ]
    try:
        elements = chat.encode(messages)
    except Exception as error:
        # the template is a program of its own: it may raise anything
        reason = describe_error(error)
        raise ValueError(f"the chat template cannot lay out a conversation: {reason}") from error
    ids = [element for element in elements if isinstance(element, int)]
    if len(elements) - len(ids) != 1:
        raise ValueError("the chat template has no placeholder for an image")
    text, at = chat.backend.decode(ids, skip_special_tokens=False), 0
    for word in _WORDS:
        at = text.find(word, at) + 1
        if not at:
            raise ValueError("the chat template or the tokenizer drops text of the conversation")


def read_images(folder: Path, vision: VisionShape) -> ImageReader:
    """Return the image reader; raises ValueError if it cuts images otherwise than the tower."""
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    except Exception as error:
        reason = describe_error(error)
        raise ValueError(f"preprocessor_config.json cannot be used: {reason}") from error
    if not type(processor).__name__.startswith("Qwen2VLImageProcessor"):
        raise ValueError(f"{type(processor).__name__} is not Qwen3-VL's image processor")
    cuts = {
        "patch_size": vision.patch,
        "merge_size": vision.merge,
        "temporal_patch_size": vision.frames,
    }
    for name, needed in cuts.items():
        if getattr(processor, name) != needed:
            raise ValueError(
                f"preprocessor_config.json has {name} {getattr(processor, name)}, and config.json"
                f" {needed}: they belong to different models"
            )
    _check_scaling(processor)
    return _checked_reader(ImageReader(processor, vision.factor))


def _check_scaling(processor: Any) -> None:
    """Raise ValueError if samples would not become numbers around 0, which every tower reads."""
    for name in ("do_resize", "do_rescale", "do_normalize"):
        if not getattr(processor, name):
            raise ValueError(
                f"preprocessor_config.json has {name} off, which the vision tower cannot read"
            )
    factor = processor.rescale_factor
    if not (isinstance(factor, float) and math.isclose(factor, 1 / 255, rel_tol=1e-3)):
        raise ValueError(f"preprocessor_config.json has rescale_factor {factor}, not 1/255")
    for name, least in (("image_mean", 0.0), ("image_std", 0.01)):
        values = getattr(processor, name)
        if not _are_shares(values, least):
            raise ValueError(f"preprocessor_config.json has {name} {values}, not 3 from 0 to 1")


def _are_shares(values: Any, least: float) -> bool:
    """Tell whether these are numbers for red, green and blue between `least` and 1."""
    return (
        isinstance(values, list | tuple)
        and len(values) == _CHANNELS
        and all(isinstance(value, int | float) and least <= value <= 1 for value in values)
    )


def _checked_reader(reader: ImageReader) -> ImageReader:
    try:
        least, most = reader.pixels
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("preprocessor_config.json has no size of images in pixels") from error
    if not 0 < least <= most:
        raise ValueError(f"preprocessor_config.json allows images of {least} to {most} pixels")
    return reader
