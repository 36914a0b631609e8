"""What a request's job will cost: its images as the model sees them and the predicted seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.admission.admission import Admission, JobProfile
from gateway.images.sizing import AnyImage, check_fit, image_info, image_notices, reading_info
from gateway.submission.chats.conversation import EarlierMessages
from gateway.submission.images.tiling import choose_tiling
from gateway.submission.planning.reader import check_reader, reader_notices
from gateway.submission.resolve import ResolvedRequest
from shared.errors import InputTooLong
from shared.jobs import DocumentInput, ImageInfo, Reader, Tiling
from shared.prediction.cost_model import Prediction
from shared.prediction.heartbeat import Heartbeat
from shared.store.fleet.forecasts import Forecast


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What is known of a job before it is stored; the same for an estimate and a submission."""

    #: The messages before it that fit.
    earlier: EarlierMessages
    #: All images that the model sees, those of earlier messages first.
    infos: Sequence[ImageInfo]
    #: What was and will be done to them, as `{"code": …, "detail": …}`.
    notices: Sequence[dict[str, str]]
    tiling: Tiling | None
    #: What reads the images of the request.
    reader: Reader
    #: Pixel budget of each image of the request, or of each tile.
    max_pixels: int
    prediction: Prediction
    #: What the prediction was made from.
    forecast: Forecast
    #: The document whose pages are read; the infos are those of pages then.
    document: DocumentInput | None = None


def _fitting(
    earlier: EarlierMessages, own_infos: Sequence[ImageInfo], workers: Sequence[Heartbeat]
) -> EarlierMessages:
    """Return the latest of these messages whose images fit beside others; raises InputTooLong."""
    while True:
        try:
            check_fit([*earlier.image_infos(workers), *own_infos], workers)
        except InputTooLong:
            fewer = earlier.drop_oldest()
            if fewer is None:
                raise
            earlier = fewer
        else:
            return earlier


def plan_job(
    resolved: ResolvedRequest,
    profile: JobProfile,
    images: Sequence[AnyImage],
    admission: Admission,
    earlier: EarlierMessages | None = None,
) -> JobPlan:
    """Return the plan of a job, without earlier messages whose images do not fit.

    Raises BadParameters, ImageAspect, InputTooLong, InputTooLarge.
    """
    forecast = admission.forecast(profile.route)
    workers = forecast.fleet.workers
    earlier = earlier or EarlierMessages()
    reader = check_reader(resolved, profile.reader, len(images))
    tiling = choose_tiling(resolved, images, workers, reader)
    max_pixels = tiling.budget if tiling else resolved.submission.pixel_budget()
    cut = None if tiling and tiling.whole else tiling
    if reader == "second":
        own_infos = [reading_info(image, cut) for image in images]
    else:
        own_infos = [image_info(image, max_pixels, workers, cut) for image in images]
    # tiles that don't fit together are seen one by one
    earlier = _fitting(earlier, [] if tiling else own_infos, workers)
    infos = [*earlier.image_infos(workers), *own_infos]
    return JobPlan(
        earlier=earlier,
        infos=infos,
        notices=[
            *earlier.notices(),
            *reader_notices(resolved, reader),
            *image_notices([*earlier.images, *images], infos),
        ],
        tiling=tiling,
        reader=reader,
        max_pixels=max_pixels,
        prediction=admission.predict(forecast, replace(profile, reader=reader), infos),
        forecast=forecast,
    )
