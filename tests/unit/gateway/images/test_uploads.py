"""Whatever wraps an image's bytes, either the very bytes come out or a typed refusal."""

import base64
import contextlib
import io
import textwrap
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import FileStorage

from gateway.images.uploads import Upload, read_file, read_text
from shared.errors import ImageEmpty, InputError, InvalidBase64, PayloadTooLarge
from shared.settings import Settings

SETTINGS = Settings(upload_max_bytes=4096)
# 3n+1 bytes in which every base64 digit occurs, + and / too
DATA = bytes(range(256)) + b"\xfb\xef\xbe\xff\xff"
PLAIN = base64.b64encode(DATA).decode()
URL_SAFE = base64.urlsafe_b64encode(DATA).decode()

SPELLINGS = {
    "plain": PLAIN,
    "data URI": f"data:image/png;base64,{PLAIN}",
    "data URI in capitals": f"DATA:image/PNG;BASE64,{PLAIN}",
    "data URI with parameters": f"data:image/png;charset=utf-8;name=a.png;base64,{PLAIN}",
    "data URI without a type": f"data:;base64,{PLAIN}",
    "data URI with a space after its comma": f"data:image/png;base64, {PLAIN}",
    "data URI that is not base64": "data:image/png," + quote(DATA),
    "url-safe alphabet": URL_SAFE,
    "url-safe without padding": URL_SAFE.rstrip("="),
    "missing padding": PLAIN.rstrip("="),
    "too much padding": PLAIN + "==",
    "%-encoded": quote(PLAIN, safe=""),
    "%-encoded data URI": "data:image/png;base64," + quote(PLAIN, safe=""),
    "lines of 76": "\n".join(textwrap.wrap(PLAIN, 76)),
    "lines of 64 with CRLF": "\r\n".join(textwrap.wrap(PLAIN, 64)),
    "indented lines": "\n    ".join(textwrap.wrap(PLAIN, 40)),
    "lines joined by spaces": " ".join(textwrap.wrap(PLAIN, 76)),
    "surrounded by space": f"\n  {PLAIN}\n\n",
    "every + eaten by a form decoder": PLAIN.replace("+", " "),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_usual_spelling_of_base64_gives_the_same_bytes(text):
    assert read_text(text, pointer="/image", settings=SETTINGS).data == DATA


LARGE = DATA * 4000
LARGE_PLAIN = base64.b64encode(LARGE).decode()
LARGE_SPELLINGS = {
    "plain": LARGE_PLAIN,
    "%-encoded": quote(LARGE_PLAIN, safe=""),
    "data URI that is not base64": "data:image/png," + quote(LARGE),
    "lines of 76": base64.encodebytes(LARGE).decode(),
    "short lines": "\r\n ".join(LARGE_PLAIN[at : at + 7] for at in range(0, len(LARGE_PLAIN), 7)),
    "lines joined by spaces": " ".join(textwrap.wrap(LARGE_PLAIN, 76)),
    "a gap": LARGE_PLAIN[:262_143] + "\n" + " " * 60_000 + LARGE_PLAIN[262_143:],
    "every + eaten by a form decoder": LARGE_PLAIN.replace("+", " "),
}


@pytest.mark.parametrize("text", LARGE_SPELLINGS.values(), ids=LARGE_SPELLINGS.keys())
def test_a_large_image_is_the_same_however_it_is_cut_into_slices(text):
    large = Settings(upload_max_bytes=len(LARGE))
    assert read_text(text, pointer="/image", settings=large).data == LARGE
    for sign in ("!", "\0", "="):
        broken = text[: len(text) // 2] + sign + text[len(text) // 2 + 1 :]
        if not text.startswith("data:"):
            with pytest.raises(InvalidBase64):
                read_text(broken, pointer="/image", settings=large)


@pytest.mark.parametrize("blank", [" ", "\n ", " \n"])
def test_a_gap_takes_no_quadratic_time(blank):
    large = Settings(upload_max_bytes=20 << 20)
    with pytest.raises(InvalidBase64):
        read_text("AAA" + blank * 1_000_000 + "!", pointer="/image", settings=large)


BROKEN = {
    "a character that is not base64": PLAIN[:40] + "!" + PLAIN[41:],
    "a path": "/tmp/photo.png",
    "a sentence": "Please look at this.",
    "Chinese": "图像",
    "padding in the middle": PLAIN[:40] + "=" + PLAIN[40:],
    "a length that no file encodes to": PLAIN.rstrip("=")[: 4 * 20 + 1],
    "a data URI without a comma": "data:image/png;base64" + PLAIN[:40],
    "a broken escape": PLAIN[:8] + "%zz" + PLAIN[8:],
    "a NUL": PLAIN[:8] + "\0" + PLAIN[8:],
    "a lone surrogate": PLAIN[:8] + "\ud800" + PLAIN[8:],
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_broken_base64_is_refused_with_its_place_in_the_request(text):
    with pytest.raises(InvalidBase64) as refused:
        read_text(text, pointer="/images/3", settings=SETTINGS)
    assert refused.value.pointer == "/images/3"


@pytest.mark.parametrize("text", ["", "  \n", "data:image/png;base64,", "===="])
def test_text_without_bytes_is_an_empty_image(text):
    with pytest.raises(ImageEmpty) as refused:
        read_text(text, pointer="/image", settings=SETTINGS)
    assert refused.value.pointer == "/image"


@pytest.mark.parametrize("wrap", ["{}", "data:image/png;base64,{}"])
def test_base64_of_too_many_bytes_is_refused_before_it_is_decoded(wrap):
    fits = wrap.format(base64.b64encode(bytes(4096)).decode())
    assert len(read_text(fits, pointer="/image", settings=SETTINGS).data) == 4096
    with pytest.raises(PayloadTooLarge, match="4096"):
        read_text(
            wrap.format(base64.b64encode(bytes(4097)).decode()), pointer="/", settings=SETTINGS
        )


def test_the_media_type_of_a_data_uri_is_kept():
    upload = read_text("data:Image/WebP;base64,AAAA", pointer="/image", settings=SETTINGS)
    assert upload == Upload(b"\0\0\0", None, "image/webp")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text() | st.text(st.sampled_from("AB+/-_= %2\ndata:;base64,")))
def test_any_text_gives_bytes_or_a_typed_refusal(text):
    with contextlib.suppress(InputError):
        assert read_text(text, pointer="/image", settings=SETTINGS).data


def _file(data, filename="photo.png", content_type="image/png"):
    return FileStorage(io.BytesIO(data), filename, content_type=content_type)


def test_a_form_file_keeps_its_name_and_type():
    upload = read_file(_file(b"bytes"), pointer="/image", settings=SETTINGS)
    assert upload == Upload(b"bytes", "photo.png", "image/png")


def test_an_empty_form_file_is_an_empty_image():
    with pytest.raises(ImageEmpty):
        read_file(_file(b""), pointer="/image", settings=SETTINGS)


def test_a_form_file_is_never_read_past_its_limit():
    stream = io.BytesIO(bytes(1 << 20))
    with pytest.raises(PayloadTooLarge):
        read_file(FileStorage(stream, "big.png"), pointer="/image", settings=SETTINGS)
    assert stream.tell() == SETTINGS.upload_max_bytes + 1


def test_spaces_stay_and_those_beside_line_breaks_go():
    for text in (
        "QUJD\n  REVG",
        "QUJD   \n REVG",
        "QUJD \r\n \t REVG",
        "QUJD\vREVG",
        "QUJD\n\n\nREVG",
    ):
        assert read_text(text, pointer="/image", settings=SETTINGS).data == b"ABCDEF"
    # a form decoder makes a blank of a +
    mixed = read_text("QU D\nREVG", pointer="/image", settings=SETTINGS)
    assert mixed.data == base64.b64decode("QU+DREVG")


@pytest.mark.parametrize("unit", ["A \n", "A \t\n", "A" + " " * 60 + "\n"])
def test_work_on_blanks_and_breaks_in_base64_grows_with_the_text_and_not_its_square(unit):
    limits = Settings()

    def spent_s(length: int) -> float:
        # whole groups of four digits, so that nothing is refused early
        text = unit * (length // len(unit) // 4 * 4)
        start = time.process_time()
        read_text(text, pointer="/image", settings=limits)
        return time.process_time() - start

    small, large = (min(spent_s(length) for _ in range(3)) for length in (2 << 20, 8 << 20))
    # four times the text: four times the work, sixteen if it grew with the square
    assert large < 10 * small
