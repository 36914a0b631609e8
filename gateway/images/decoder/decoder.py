"""Decodes uploads in sandboxed children: the one way by which pixels enter the gateway."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.images.formats import EXTENSIONS, DecodeLimits, ImageFormat, sniff_format
from gateway.images.uploads import Upload
from shared.errors import (
    ImageAspect,
    ImageDecodeFailed,
    ImageDimensions,
    ImageEmpty,
    ImageError,
    ImageTruncated,
    PayloadTooLarge,
    Unavailable,
    UnsupportedImageFormat,
)
from shared.jobs.image import StoredImage
from shared.sandbox import protocol
from shared.sandbox.pool import ChildDied, ChildOverran, NoChild
from shared.sandbox.sandbox import Sandbox
from shared.settings import Settings

_log = logging.getLogger(__name__)

_ERRORS: dict[str, type[ImageError]] = {
    error.code: error
    for error in (
        UnsupportedImageFormat,
        ImageTruncated,
        ImageDecodeFailed,
        ImageDimensions,
        ImageAspect,
    )
}
_COSTLY_HINT = "Save the image again as plain JPEG or PNG, or send a smaller one."
#: A request waits for a free child as long as this many images may take.
_WAIT_IMAGES = 3
#: Bytes that a PNG may add to raw pixels that do not compress.
_PNG_OVERHEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MeasuredImage:
    """An image of which only the size is known; it has what image_info needs of a stored one."""

    #: Pixels that would be kept.
    width: int
    height: int
    #: Pixels of the file, seen upright.
    source: tuple[int, int]
    id: str = ""
    notices: tuple[dict[str, str], ...] = ()


@contextlib.contextmanager
def _name_pointer(pointer: str | None) -> Iterator[None]:
    """Let refusals inside the block name the part of the request that they are about."""
    try:
        yield
    except (ImageError, PayloadTooLarge) as error:
        error.pointer = pointer
        _log.info("image.refused", extra={"code": error.code, "detail": error.detail})
        raise


class Decoder:
    """Decodes uploads in killable children; one of it serves all threads of a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = DecodeLimits(
            max_pixels=settings.image_max_pixels,
            max_pixels_jpeg=settings.image_max_pixels_jpeg,
            max_side=settings.image_max_side,
            max_aspect=settings.image_max_aspect,
            kept_pixels=settings.image_kept_pixels,
            long_pixels=settings.image_long_pixels,
        )
        self.sandbox = Sandbox(
            "gateway.images.decoder.child",
            name="decoder",
            size=settings.decoder_children,
            memory_bytes=settings.decoder_memory_bytes,
            timeout_s=settings.decoder_timeout_s,
        )

    def start(self) -> None:
        """Start the children now instead of with the first image; call it after any fork."""
        self.sandbox.start()

    def decode(
        self,
        upload: Upload,
        pointer: str | None = None,
        *,
        detailed: bool = False,
        tenant: str = "",
    ) -> StoredImage:
        """Return the image to store; `detailed`: it may be cut into tiles and keeps more pixels.

        Tenants take turns when all children are busy.
        Raises ImageErrors and PayloadTooLarge, which name `pointer`, and Unavailable, with seconds
        to wait, if no decoder process is free or can be started.
        """
        with _name_pointer(pointer):
            fmt = self._check_file(upload.data)
            header, png = self._ask(upload.data, tenant, detailed=detailed)
            return _stored_image(header, png, _mismatch_notices(upload, fmt))

    def measure(
        self,
        upload: Upload,
        pointer: str | None = None,
        *,
        detailed: bool = False,
        tenant: str = "",
    ) -> MeasuredImage:
        """Return the size in an upload's header; nothing is decoded. Raises as `decode`."""
        with _name_pointer(pointer):
            self._check_file(upload.data)
            header, _ = self._ask(upload.data, tenant, measure=True)
            if "error" in header:
                raise _refusal(header)
            return self._measured_image(*header["size"], detailed=detailed)

    def measure_size(self, width: int, height: int, *, detailed: bool = False) -> MeasuredImage:
        """Return an image of this size in pixels; raises ImageDimensions and ImageAspect."""
        self._limits.check(width, height, reducible=True)
        return self._measured_image(width, height, detailed=detailed)

    def _measured_image(self, width: int, height: int, *, detailed: bool) -> MeasuredImage:
        limits = dataclasses.replace(self._limits, detailed=detailed)
        kept_width, kept_height = limits.kept_size(width, height)
        return MeasuredImage(kept_width, kept_height, (width, height))

    def close(self) -> None:
        """End all children; a later decode() starts new ones."""
        self.sandbox.close()

    def _check_file(self, data: bytes) -> ImageFormat:
        """Raise ImageEmpty, PayloadTooLarge and UnsupportedImageFormat."""
        if not data:
            raise ImageEmpty
        if len(data) > self._settings.upload_max_bytes:
            raise PayloadTooLarge(
                f"The image file has {len(data)} bytes; "
                f"the limit is {self._settings.upload_max_bytes}."
            )
        return sniff_format(data)

    def _ask(
        self, data: bytes, tenant: str, *, measure: bool = False, detailed: bool = False
    ) -> tuple[protocol.Header, bytes]:
        limits = dataclasses.asdict(dataclasses.replace(self._limits, detailed=detailed))
        request = limits | {"measure": measure}
        seconds = self._settings.decoder_timeout_s
        try:
            return self.sandbox.ask(
                request,
                data,
                max_body=3 * max(self._limits.kept_pixels, self._limits.long_pixels)
                + _PNG_OVERHEAD_BYTES,
                wait_s=_WAIT_IMAGES * seconds,
                tenant=tenant,
            )
        except NoChild as error:
            raise Unavailable(f"The image was not processed: {error}.", retry_after_s=5) from error
        except ChildOverran as error:
            raise ImageDecodeFailed(
                f"Image decode failed: it took more than {seconds:g} seconds.", hint=_COSTLY_HINT
            ) from error
        except ChildDied as error:
            raise ImageDecodeFailed(
                f"Image decode failed: the decoder process ended ({error}).", hint=_COSTLY_HINT
            ) from error


def _stored_image(
    header: protocol.Header, png: bytes, mismatch: list[dict[str, str]]
) -> StoredImage:
    if "error" in header:
        raise _refusal(header)
    width, height = header.pop("source")
    decoded = [{"code": code, "detail": detail} for code, detail in header.pop("notices")]
    return StoredImage(**header, png=png, source=(width, height), notices=(*mismatch, *decoded))


def _refusal(header: protocol.Header) -> ImageError:
    if header["error"] == "memory":
        return ImageDecodeFailed(
            "Image decode failed: it needs more memory than allowed for one image.",
            hint=_COSTLY_HINT,
        )
    error = _ERRORS.get(header["error"], ImageDecodeFailed)
    return error(header["detail"])


def _mismatch_notices(upload: Upload, fmt: ImageFormat) -> list[dict[str, str]]:
    """Return a notice if name or media type promise another format; the content decides."""
    ending = (upload.filename or "").rpartition(".")[2].lower()
    known = {name for names in EXTENSIONS.values() for name in names}
    if ending in known and ending not in EXTENSIONS[fmt]:
        detail = f"The file is named .{ending} but is {fmt}."
        return [{"code": "image_extension_mismatch", "detail": detail}]
    main, _, subtype = (upload.content_type or "").lower().partition("/")
    if main == "image" and subtype not in ("", "*", *EXTENSIONS[fmt]):
        detail = f"The file was sent as image/{subtype[:40]} but is {fmt}."
        return [{"code": "image_extension_mismatch", "detail": detail}]
    return []
