"""The generic engine's front: any model of transformers behind the same border as our own."""

from __future__ import annotations

import logging

import torch

from shared.errors import BadParameters, InputTooLarge, InputTooLong
from shared.jobs import GenerationParams
from shared.jobs.abilities import Ability
from shared.long_steps import long_step
from shared.prediction.image_memory import ImageRoom
from shared.settings import Settings
from shared.system_memory import available_bytes
from worker.engine.api import EngineRequest, ModelInfo, Rates, Ticket
from worker.engine.checkpoint.folder import find_folder
from worker.engine.checkpoint.weights import revision_of
from worker.engine.generation.constraint import Constraint, Grammars
from worker.engine.generation.defaults import read_recommended, with_recommended
from worker.engine.generation.detokenizer import TextStream
from worker.engine.generation.thinking import Thinking
from worker.engine.generation.token_budget import LEAST_ROOM, Budget, wants_thinking
from worker.engine.generation.writer import Writer
from worker.engine.generic.answer import Answer
from worker.engine.generic.inputs import ModelInputs
from worker.engine.generic.loop import GenericLoop
from worker.engine.generic.opening import OpenedCheckpoint, load_weights, open_checkpoint
from worker.engine.loader import ModelNotLoadable, read_about
from worker.engine.memory.budget import MemoryBudget
from worker.engine.memory.malloc import trim_memory
from worker.engine.speed.rates import RateMeter
from worker.reasons import describe_error

_log = logging.getLogger(__name__)

#: What no model has here: all of it needs the inside of one.
_LACKS = (Ability.DRAFTS, Ability.IMAGE_FEATURES, Ability.POINTING, Ability.PREFIX_CACHE)
NAME = "transformers"


def load_generic_engine(settings: Settings) -> GenericEngine:
    """Load `settings.model` and start its thread; raises ModelNotLoadable with one line."""
    try:
        return _load(settings)
    except MemoryError:
        raise
    except Exception as error:
        # whatever a foreign file makes transformers, tokenizers or torch raise
        raise ModelNotLoadable(f"{settings.model}: {describe_error(error)}") from error


def _load(settings: Settings) -> GenericEngine:
    torch.set_num_threads(settings.threads)
    folder = find_folder(settings)
    opened = open_checkpoint(folder, settings)
    about = read_about(folder, settings.model)
    with long_step("loading the model", kind="load"):
        loop = GenericLoop(load_weights(opened))
    trim_memory()
    budget = MemoryBudget.of(settings, available_bytes())
    vocabulary = int(opened.config.get_text_config().vocab_size)
    grammars = _try_grammars(opened, vocabulary)
    info = ModelInfo(
        name=settings.model_name or about["name"],
        revision=revision_of(folder),
        context_tokens=min(opened.limits.context, budget.kv_bytes // opened.limits.kv_bytes),
        numerics=opened.numerics.name,
        numerics_reason=opened.numerics.reason,
        arithmetic=opened.arithmetic,
        min_pixels=opened.sizes.min_pixels,
        max_pixels=opened.sizes.max_pixels,
        token_side=opened.sizes.token_side,
        image_room=_image_room(opened, budget),
        letter_height=about["letter_height"],
        tallest_letters=about.get("tallest_letters"),
        letters_at_once=about.get("letters_at_once"),
        sampling=read_recommended(folder),
        thinks=opened.conversations.thinks,
        demo=bool(about.get("demo")),
        engine=NAME,
        lacks=_LACKS if grammars else (*_LACKS, Ability.CONSTRAINTS),
    )
    return GenericEngine(opened, info, loop, grammars)


def _image_room(opened: OpenedCheckpoint, budget: MemoryBudget) -> ImageRoom:
    """Return the memory for images; a token's activations are those of all its patches."""
    vision = getattr(opened.config, "vision_config", None)
    patch = getattr(vision, "patch_size", None)
    patch = patch if isinstance(patch, int) and patch > 0 else 14
    patches = max(1, opened.sizes.input_values // (3 * patch * patch))
    width = opened.dtype.itemsize
    hidden = int(opened.config.get_text_config().hidden_size) * width
    activations = patches * opened.limits.patch_values * width
    # all images of a question pass through the tower together
    return ImageRoom(budget.work_bytes, opened.sizes.input_bytes + hidden + activations, 0)


def _try_grammars(opened: OpenedCheckpoint, vocabulary: int) -> Grammars | None:
    """Return what constrains answers; None where the library cannot read the tokenizer."""
    grammars = Grammars(opened.conversations.backend, vocabulary, opened.end_tokens)
    try:
        grammars.make_constraint(GenerationParams(choices=("yes", "no")))
    except Exception as error:  # noqa: BLE001 - it raises what comes to hand
        grammars.close()
        _log.warning("constraints.unavailable", extra={"reason": describe_error(error)})
        return None
    return grammars


class GenericEngine:
    """An Engine over a model of transformers; it answers one request at a time."""

    def __init__(
        self,
        opened: OpenedCheckpoint,
        info: ModelInfo,
        loop: GenericLoop,
        grammars: Grammars | None,
    ) -> None:
        """Start the loop's thread; `close` ends it."""
        self._opened = opened
        self._info = info
        self._loop = loop
        self._grammars = grammars
        loop.start()

    @property
    def info(self) -> ModelInfo:
        """Return what is loaded."""
        return self._info

    @property
    def rates(self) -> Rates:
        """Return the speeds measured so far."""
        return self._loop.meter.read()

    def forget_rates(self) -> None:
        """Measure all speeds anew, as first passes are slow."""
        self._loop.meter = RateMeter()

    @property
    def alive(self) -> bool:
        """Tell whether the thread that owns the model still works."""
        return self._loop.alive

    def submit(self, request: EngineRequest) -> Ticket:
        """Read the conversation and queue it; raises an InputError if it is never answered.

        Images are prepared in the caller's thread, so that no other request waits for it.
        """
        params = with_recommended(request.params, self._info.sampling)
        inputs = self._read(request, wants_thinking(params))
        if inputs.opened and self._room(inputs) < LEAST_ROOM:
            inputs = self._read(request, thinking=False)
        if self._room(inputs) < 1:
            raise InputTooLong(
                f"Input too long: {len(inputs.ids)} tokens, {inputs.image_tokens} of them for"
                f" images, leave no room for an answer in {self._info.context_tokens}."
            )
        images = [image.tokens for image in inputs.images]
        if not self._info.image_room.holds(images):
            raise InputTooLarge(self._info.image_room.refusal(images))
        ticket = Ticket(request)
        answer = Answer(ticket, inputs, self._writer(params, inputs))
        answer.announce()
        self._loop.submit(answer)
        return ticket

    def forget(self, marks: frozenset[str]) -> None:
        """Do nothing: of images and conversations nothing is kept after their answer."""

    def close(self) -> None:
        """Stop the engine; every unfinished request ends as canceled."""
        self._loop.close()
        if self._grammars is not None:
            self._grammars.close()

    def _read(self, request: EngineRequest, thinking: bool | None) -> ModelInputs:
        return self._opened.conversations.read(request.messages, thinking)

    def _room(self, inputs: ModelInputs) -> int:
        """Return how many tokens a prompt leaves to its answer."""
        return self._info.context_tokens - len(inputs.ids)

    def _writer(self, params: GenerationParams, inputs: ModelInputs) -> Writer:
        conversations = self._opened.conversations
        on_top = conversations.thinks and params.may_think
        budget = Budget.of(params, self._room(inputs), on_top=on_top)
        return Writer(
            params,
            TextStream(conversations.backend, params.stop),
            limit=budget.answer,
            end_tokens=self._opened.end_tokens,
            constraint=self._constraint(params),
            prompt=inputs.ids,
            thinking=self._thinking(params, inputs, budget),
            total=budget.total,
        )

    def _thinking(
        self, params: GenerationParams, inputs: ModelInputs, budget: Budget
    ) -> Thinking | None:
        """Return what follows an answer's thinking; None of a model without the tags of it."""
        conversations = self._opened.conversations
        if conversations.tags is None:
            return None
        return Thinking(
            conversations.tags,
            params,
            conversations.backend,
            budget=budget.thinking,
            end_tokens=self._opened.end_tokens,
            prompt=inputs.ids,
            opened=inputs.opened,
            allowed=params.may_think and budget.total >= LEAST_ROOM,
        )

    def _constraint(self, params: GenerationParams) -> Constraint | None:
        if not params.constrained_by:
            return None
        if self._grammars is None:
            raise BadParameters(
                f"{params.constrained_by[0]} is not available for this model:"
                " its tokenizer has no form that answers can be constrained with.",
                hint="Ask for the form in words, or have another checkpoint run.",
            )
        return self._grammars.make_constraint(params)
