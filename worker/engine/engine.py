"""The engine's front: accepts requests from any thread and passes them to the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from weakref import WeakValueDictionary

from shared.errors import InputTooLarge, InputTooLong
from shared.jobs import GenerationParams
from shared.jobs.image import stored_file_mark
from shared.prediction.visual_tokens import VisualSize
from shared.settings import Settings
from shared.system_memory import available_bytes
from worker.engine.api import EngineRequest, ImageInput, ModelInfo, Rates, Reference, Ticket
from worker.engine.drafting.drafter import Drafter
from worker.engine.drafting.forced_tokens import ForcedTokens
from worker.engine.drafting.own_text import OwnText
from worker.engine.drafting.reference_text import ReferenceIndex, ReferenceText
from worker.engine.drafting.source import DraftSource
from worker.engine.generation.constraint import Constraint, Grammars
from worker.engine.generation.defaults import for_thinking, with_recommended
from worker.engine.generation.detokenizer import TextStream
from worker.engine.generation.thinking import Thinking
from worker.engine.generation.token_budget import LEAST_ROOM, Budget, wants_thinking
from worker.engine.generation.writer import Writer
from worker.engine.input.prompt import Prompt, build_prompt
from worker.engine.loader import LoadedModel, load_model
from worker.engine.loop import EngineLoop
from worker.engine.memory.budget import MemoryBudget, TokenCosts
from worker.engine.memory.feature_cache import FeatureCache
from worker.engine.memory.malloc import trim_memory
from worker.engine.sequence import PromptImage, Sequence
from worker.engine.speed.rates import RateMeter

_log = logging.getLogger(__name__)


def load_engine(settings: Settings, *, feature_cache: FeatureCache | None = None) -> TorchEngine:
    """Load the model and start its thread; raises ModelNotLoadable when it cannot be loaded."""
    cache = feature_cache or FeatureCache(settings.features_ram_bytes)
    model = load_model(settings)
    trim_memory()
    return TorchEngine(model, settings, cache)


class TorchEngine:
    """An Engine over a LoadedModel."""

    def __init__(self, model: LoadedModel, settings: Settings, features: FeatureCache) -> None:
        """Start the loop's thread; `close` ends it."""
        #: Changed by the loop's thread only; benches read it.
        self.model = model
        self._speculation = settings.speculation
        self._costs = TokenCosts.of(model.shape, model.text.dtype.itemsize)
        budget = MemoryBudget.of(settings, available_bytes())
        if budget.kv_bytes < settings.kv_max_bytes:
            sizes = {"wanted_bytes": settings.kv_max_bytes, "given_bytes": budget.kv_bytes}
            _log.warning("kv.reduced", extra=sizes)
        self._grammars = Grammars(
            model.chat.backend, model.shape.text.vocab, model.shape.end_tokens
        )
        #: Those that answers follow at present: the strips of a page share one.
        self._references: WeakValueDictionary[Reference, ReferenceIndex] = WeakValueDictionary()
        self._loop = EngineLoop(model, features, settings.slots, budget)
        self._info = ModelInfo(
            name=model.name,
            revision=model.revision,
            context_tokens=min(model.shape.text.context, budget.kv_bytes // self._costs.kv),
            numerics=model.numerics.name,
            numerics_reason=model.numerics.reason,
            arithmetic=model.arithmetic,
            min_pixels=model.reader.pixels[0],
            max_pixels=model.reader.pixels[1],
            token_side=model.reader.factor,
            image_room=budget.for_images(self._costs),
            letter_height=model.letter_height,
            tallest_letters=model.tallest_letters,
            letters_at_once=model.letters_at_once,
            sampling=model.sampling,
            thinks=model.chat.thinks,
            demo=model.demo,
        )
        self._loop.start()

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
        """Tokenise and queue a request; raises an InputError when it can never be answered.

        Looks up features, scales images and compiles constraints in the caller's thread, so that
        no other request waits for it.
        """
        params = with_recommended(request.params, self.model.sampling)
        prompt = self._prompt(request, wants_thinking(params))
        free_tokens = self._info.context_tokens - len(prompt.ids)
        if prompt.opened and free_tokens < LEAST_ROOM:
            prompt = self._prompt(request, thinking=False)
            free_tokens = self._info.context_tokens - len(prompt.ids)
        if free_tokens < 1:
            raise InputTooLong(
                f"Input too long: {len(prompt.ids)} tokens, {prompt.image_tokens} of them for"
                f" images, leave no room for an answer in {self._info.context_tokens}."
            )
        images = [span.size.tokens for span in prompt.images]
        if not self._info.image_room.holds(images):
            raise InputTooLarge(self._info.image_room.refusal(images))
        budget = Budget.of(params, free_tokens, on_top=self.model.chat.thinks and params.may_think)
        tokens = 0 if request.encode_only else len(prompt.ids) + budget.total
        constraint = self._grammars.make_constraint(params)
        drafter = Drafter(list(self._draft_sources(request, prompt, constraint)))
        ticket = Ticket(request, self._reference_taker(drafter))
        sequence = Sequence(
            ticket=ticket,
            prompt=prompt,
            need=self._costs.need_of(tokens, images),
            writer=Writer(
                params,
                TextStream(self.model.chat.backend, params.stop),
                limit=budget.answer,
                end_tokens=self.model.shape.end_tokens,
                constraint=constraint,
                prompt=prompt.ids.tolist(),
                thinking=self._thinking(params, prompt, budget),
                total=budget.total,
            ),
            images=[PromptImage(span) for span in prompt.images],
            drafter=drafter,
        )
        sequence.announce()
        self._loop.submit(sequence)
        return ticket

    def forget(self, marks: frozenset[str]) -> None:
        """Drop features, keys and values of files with these marks, until the next call."""
        self._loop.forget(marks)

    def close(self) -> None:
        """Stop the engine; every unfinished request ends as canceled."""
        self._loop.close()
        self._grammars.close()

    def _draft_sources(
        self, request: EngineRequest, prompt: Prompt, constraint: Constraint | None
    ) -> Iterator[DraftSource]:
        """Yield what guesses a request's answer ahead, likeliest first."""
        if not self._speculation or request.encode_only:
            return
        if constraint is not None:
            yield ForcedTokens(constraint.read_forced)
        yield from map(self._reference_text, request.references)
        yield OwnText(prompt.ids.tolist())

    def _reference_text(self, reference: Reference) -> ReferenceText:
        index = self._references.get(reference)
        if index is None:
            index = self._references[reference] = ReferenceIndex(self._tokens_of(reference))
        return ReferenceText(index)

    def _tokens_of(self, reference: Reference) -> list[int] | tuple[int, ...]:
        if isinstance(reference, str):
            return self.model.chat.encode_text(reference)
        return reference

    def _reference_taker(self, drafter: Drafter) -> Callable[[Reference], None] | None:
        """Return what prepares a later reference in its caller's thread; None without drafts."""
        if not self._speculation:
            return None
        return lambda reference: drafter.offer(self._reference_text(reference))

    def _thinking(
        self, params: GenerationParams, prompt: Prompt, budget: Budget
    ) -> Thinking | None:
        """Return what follows an answer's thinking; None of a model without the tags of it."""
        chat = self.model.chat
        if chat.tags is None:
            return None
        return Thinking(
            chat.tags,
            for_thinking(params, self.model.sampling) if self.model.samples else params,
            chat.backend,
            budget=budget.thinking,
            end_tokens=self.model.shape.end_tokens,
            prompt=prompt.ids.tolist(),
            opened=prompt.opened,
            allowed=params.may_think and budget.total >= LEAST_ROOM,
        )

    def _prompt(self, request: EngineRequest, thinking: bool | None = None) -> Prompt:
        def key_of(source: ImageInput, size: VisualSize) -> str:
            """Return a key that differs by scope, pixels, size, model and arithmetic.

            It begins with the mark of the file, by which it is forgotten.
            """
            return (
                f"{stored_file_mark(request.feature_scope, source.file_id or source.id)}:"
                f"{source.id}{source.variant}:{size.width}x{size.height}"
                f":{self._info.revision}:{self._info.numerics}"
            )

        laid_out = self.model.chat.lay_out(request.messages, thinking)
        return build_prompt(
            laid_out,
            image_token=self.model.shape.image_token,
            factor=self.model.reader.factor,
            size_of=self.model.reader.size,
            key_of=key_of,
        )
