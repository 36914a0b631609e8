"""Makes a checkpoint's processor, which turns conversations with images into a model's inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from worker.engine.checkpoint.folder import read_json
from worker.engine.checkpoint.inputs import read_tokenizer
from worker.reasons import describe_error

_VIDEOS = "video_processor"


class _NoVideos(dict[str, Any]):
    """Stands where a processor has what reads videos."""

    #: Read by processors of chats, whether there is a video or not.
    num_frames: ClassVar[None] = None
    fps: ClassVar[None] = None


def read_processor(folder: Path, config: Any, *, remote_code: bool) -> Any:
    """Return transformers' processor of a checkpoint; raises ValueError without a usable one.

    Its parts are read one by one: images are scaled by Pillow, so that answers do not depend on
    whether torchvision is installed, and nothing is read for videos, which no request has.
    """
    tokenizer = read_tokenizer(folder, remote_code=remote_code)
    try:
        processor = _assemble(folder, config, tokenizer, remote_code=remote_code)
    except Exception as error:
        # transformers raises what comes to hand where files do not fit together
        raise ValueError(f"the processor cannot be read: {describe_error(error)}") from error
    if getattr(processor, "image_processor", None) is None:
        raise ValueError(f"{type(processor).__name__} reads no images")
    if not getattr(processor, "chat_template", None):
        processor.chat_template = tokenizer.chat_template
    return processor


def _assemble(folder: Path, config: Any, tokenizer: Any, *, remote_code: bool) -> Any:
    kind = _find_class(folder, config)
    if kind is None:
        from transformers import AutoProcessor

        return AutoProcessor.from_pretrained(folder, trust_remote_code=remote_code)
    described, _ = kind.get_processor_dict(folder)
    parts = [_read_part(name, folder, tokenizer, kind.__name__) for name in kind.get_attributes()]
    return _without_videos(kind).from_args_and_dict(parts, described)


def _find_class(folder: Path, config: Any) -> Any:
    """Return transformers' class of processors for a checkpoint; None where it has only its own."""
    from transformers.models.auto.processing_auto import (
        PROCESSOR_MAPPING,
        processor_class_from_name,
    )

    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        name = read_json(folder / file).get("processor_class")
        kind = processor_class_from_name(name) if name else None
        if kind is not None:
            return kind
    return PROCESSOR_MAPPING.get(type(config), None)


def _read_part(name: str, folder: Path, tokenizer: Any, kind: str) -> Any:
    if name == "tokenizer":
        return tokenizer
    if name == "image_processor":
        return _read_images(folder)
    if name == _VIDEOS:
        return _NoVideos()
    raise ValueError(f"{kind} needs a {name}, and only images and text are read")


def _read_images(folder: Path) -> Any:
    """Return the image processor that works with Pillow; another where there is none."""
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, backend="pil")
    except (ImportError, ValueError):
        return AutoImageProcessor.from_pretrained(folder)


def _without_videos(kind: Any) -> Any:
    """Return the class of processors that takes a blank in place of what reads videos."""

    class WithoutVideos(kind):
        def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
            if name == _VIDEOS:
                return _NoVideos
            return super().check_argument_for_proper_class(name, argument)

    WithoutVideos.__name__ = kind.__name__
    return WithoutVideos
