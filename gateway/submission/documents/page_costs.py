"""What each page of a document takes to read where nobody says otherwise, as `preset=ocr` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from gateway.services import Services
from gateway.submission.documents.plan import page_infos, page_view, presume
from gateway.submission.fields.submission import Submission
from gateway.submission.planning.job_profile import profile_request
from gateway.submission.planning.reader import choose_reader
from gateway.submission.resolve import resolve
from shared.documents.model import DocumentInfo
from shared.jobs import ImageInfo

_PRESET = "ocr"


@dataclass(frozen=True, slots=True)
class PageCost:
    """What one page costs; a page whose own text is taken costs nothing."""

    tokens: int = 0
    #: Of a reading that is alone in the service; None where no worker has measured its speed.
    seconds: float | None = 0.0


def page_costs(info: DocumentInfo, services: Services, tenant: str) -> Iterator[PageCost]:
    """Yield the cost of each page; raises StoreUnavailable."""
    submission = Submission(preset=_PRESET)
    most_tokens = services.settings.answer_max_tokens
    resolved = resolve(submission, services.presets, services.rules, most_tokens)
    route = services.models.usual_route()
    forecast = services.admission.forecast(route)
    workers = forecast.fleet.workers
    reader = choose_reader(resolved, workers)
    profile = replace(
        profile_request(resolved, tenant, reader, route=route), reads=True, apart=True
    )
    view = page_view(resolved, reader, workers)

    @cache
    def predict(seen: tuple[ImageInfo, ...]) -> float | None:
        run_s = services.admission.predict_idle(forecast, profile, seen).run_s
        return None if run_s is None else round(run_s, 3)

    for page in presume(info.pages):
        seen = tuple(page_infos(info.kind, [page], view, workers))
        yield PageCost(sum(one.tokens for one in seen), predict(seen)) if seen else PageCost()
