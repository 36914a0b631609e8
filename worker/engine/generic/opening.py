"""Opens an image-text-to-text checkpoint of transformers; refuses what would answer wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.settings import Settings
from worker.engine.checkpoint.fields import QUANTIZATION
from worker.engine.checkpoint.folder import describe_contents, read_json
from worker.engine.checkpoint.inputs import read_end_tokens
from worker.engine.generic.conversation import ConversationReader
from worker.engine.generic.image_sizes import ImageSizes, measure_sizes
from worker.engine.generic.limits import ModelLimits, read_limits
from worker.engine.generic.numerics import choose_dtype
from worker.engine.generic.processor import read_processor
from worker.engine.ops.numerics import ChosenNumerics
from worker.reasons import describe_error

_REMOTE = (
    "the checkpoint brings its own code, which is not run: set SIGHTLINE_TRUST_REMOTE_CODE=true if"
    " you have read it and trust it"
)
#: Names of the id that stands for a part of an image, in configurations.
_IMAGE_TOKENS = ("image_token_id", "image_token_index")
#: Weights that are named where some are missing.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint without its weights, whose parts fit together."""

    folder: Path
    config: Any
    numerics: ChosenNumerics
    dtype: torch.dtype
    conversations: ConversationReader
    end_tokens: frozenset[int]
    limits: ModelLimits
    sizes: ImageSizes
    remote_code: bool

    @property
    def arithmetic(self) -> str:
        """Return what computes, for people."""
        import transformers

        return f"transformers {transformers.__version__}, torch in {self.numerics.name}"


def open_checkpoint(folder: Path, settings: Settings) -> OpenedCheckpoint:
    """Check a folder and open it; raises ValueError or OSError with the reason."""
    raw = read_json(folder / "config.json")
    config = _read_config(folder, raw, settings)
    processor = read_processor(folder, config, remote_code=settings.trust_remote_code)
    image_tokens = _image_tokens(config, processor)
    conversations = ConversationReader(processor, image_tokens)
    chosen, dtype = choose_dtype(settings, _weight_bytes(folder), raw)
    return OpenedCheckpoint(
        folder=folder,
        config=config,
        numerics=chosen,
        dtype=dtype,
        conversations=conversations,
        end_tokens=read_end_tokens(folder, processor.tokenizer),
        limits=read_limits(config, dtype.itemsize),
        sizes=measure_sizes(conversations),
        remote_code=settings.trust_remote_code,
    )


def load_weights(opened: OpenedCheckpoint) -> Any:
    """Return transformers' model; raises ValueError where weights are missing.

    transformers would fill them with random numbers and only warn.
    """
    from transformers import AutoModelForImageTextToText, GenerationConfig

    model, report = AutoModelForImageTextToText.from_pretrained(
        opened.folder,
        config=opened.config,
        dtype=opened.dtype,
        use_safetensors=True,
        trust_remote_code=opened.remote_code,
        output_loading_info=True,
    )
    for problem in ("missing_keys", "mismatched_keys"):
        names = sorted(str(name) for name in report.get(problem) or ())
        if names:
            some = ", ".join(names[:_NAMED])
            raise ValueError(f"{len(names)} weights are missing or of another shape, as {some}")
    if not model.can_generate():
        raise ValueError(f"{type(model).__name__} writes no text")
    # what it recommends is read elsewhere, and must not be applied twice
    model.generation_config = GenerationConfig(pad_token_id=min(opened.end_tokens))
    return model.eval()


def _read_config(folder: Path, raw: Mapping[str, Any], settings: Settings) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if raw.get("model_type") not in CONFIG_MAPPING and raw.get("auto_map"):
        if not settings.trust_remote_code:
            raise ValueError(_REMOTE)
        return AutoConfig.from_pretrained(folder, trust_remote_code=True)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        raise ValueError(f"transformers cannot read it: {describe_error(error)}") from error
    _check_kind(config)
    return config


def _check_kind(config: Any) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ValueError(f"{config.model_type} is no image-text-to-text model of transformers")
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{config.model_type} reads questions with an encoder, which is not served"
        )
    quantization = getattr(config, QUANTIZATION, None)
    if quantization:
        described = quantization if isinstance(quantization, Mapping) else vars(quantization)
        method = described.get("quant_method", "an unknown form")
        raise ValueError(f"the weights are quantised ({method}); use the checkpoint in bfloat16")


def _image_tokens(config: Any, processor: Any) -> frozenset[int]:
    """Return the ids that stand for a part of an image; raises ValueError without any."""
    own = {getattr(config, name, None) for name in _IMAGE_TOKENS}
    known = {id_ for id_ in own if isinstance(id_, int)}
    if not known:
        listed = getattr(processor, "image_token_ids", None) or ()
        known = {id_ for id_ in listed if isinstance(id_, int)}
    if not known:
        raise ValueError("neither config.json nor the processor names the token of images")
    return frozenset(known)


def _weight_bytes(folder: Path) -> int:
    """Return the bytes of all weights; raises FileNotFoundError without any."""
    files = list(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"there are no weights: {describe_contents(folder)}")
    return sum(file.stat().st_size for file in files)
