"""Whatever is done to a valid file, decoding it ends in an image or a typed refusal."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.images.uploads import Upload
from shared.errors import ImageError
from shared.jobs.image import StoredImage
from tests.support.images.image_bytes import exif, noise, saved, swapped_profile

_SOURCES = {
    "png": saved(noise(), "PNG", icc_profile=swapped_profile(), exif=exif(6)),
    "palette png": saved(noise().convert("P"), "PNG", transparency=3),
    "jpeg": saved(noise(), "JPEG", icc_profile=swapped_profile(), exif=exif(6)),
    "progressive jpeg": saved(noise(), "JPEG", progressive=True),
    "cmyk jpeg": saved(noise().convert("CMYK"), "JPEG"),
    "webp": saved(noise(), "WEBP", exif=exif(6)),
    "lossless webp": saved(noise().convert("RGBA"), "WEBP", lossless=True),
    "bmp": saved(noise(), "BMP"),
    "gif": saved(
        noise().convert("P"), "GIF", save_all=True, append_images=[noise(seed=2).convert("P")]
    ),
    "tiff": saved(noise(), "TIFF"),
    "lzw tiff": saved(noise(), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": saved(noise(), "TIFF", compression="jpeg"),
    "avif": saved(noise(), "AVIF"),
}
#: Headers lie early in a file; most mutations should hit them.
_places = st.floats(0, 1, exclude_max=True).map(lambda x: x**4)
_mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "flip", "cut", "drop", "double", "ones"]),
        _places,
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def _mutated(data, mutations):
    for kind, place, value in mutations:
        at = int(place * len(data))
        head, byte, tail = data[:at], data[at : at + 1], data[at + 1 :]
        data = {
            "set": head + bytes((value,)) + tail,
            "flip": head + bytes(b ^ (1 << value % 8) for b in byte) + tail,
            "cut": data[: max(1, len(data) - at)],
            "drop": head + tail[value:],
            "double": data[: at + value] + data[at:],
            "ones": head + b"\xff" * 4 + tail[3:],
        }[kind]
    return data


@settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.sampled_from(sorted(_SOURCES)), mutations=_mutations)
def test_a_mutated_file_ends_as_an_image_or_a_typed_refusal(decoder, name, mutations):
    try:
        image = decoder.decode(Upload(_mutated(_SOURCES[name], mutations)))
    except ImageError as refused:
        if "the decoder process ended" in refused.detail:
            raise
    else:
        assert isinstance(image, StoredImage)
