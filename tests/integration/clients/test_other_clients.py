"""mistralai, litellm and langchain-openai, unchanged, against a real gateway and worker."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader

from tests.integration.documents.conftest import documents
from tests.support import tools
from tests.support.documents.drawn import pdf, prose, write
from tests.support.documents.page_kinds import pages
from tests.support.images.image_bytes import plain_png

__all__ = ["documents"]

_SCRIPTS = Path(__file__).resolve().parents[2] / "clients"
_IMAGE = "data:image/png;base64," + base64.b64encode(plain_png("olive")).decode()


def run(documents: Any, script: str, *arguments: str) -> dict[str, Any]:
    """Return what a script has printed."""
    url = str(documents.http.base_url).rstrip("/")
    command = [tools.other_clients(), str(_SCRIPTS / script), url, *arguments]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.splitlines()[-1])


def with_picture(data: bytes) -> bytes:
    """Return a PDF with one more page, on which a picture stands under a text."""

    def draw(canvas: Any) -> None:
        write(canvas, prose(12))
        dots = np.random.default_rng(1).integers(0, 255, (180, 300, 3), np.uint8)
        canvas.drawImage(ImageReader(Image.fromarray(dots, "RGB")), 60, 380, 300, 180)

    with pikepdf.open(io.BytesIO(data)) as whole, pikepdf.open(io.BytesIO(pdf(draw))) as page:
        whole.pages.extend(page.pages)
        out = io.BytesIO()
        whole.save(out)
    return out.getvalue()


@pytest.fixture
def document(tmp_path: Path) -> str:
    path = tmp_path / "a.pdf"
    path.write_bytes(with_picture(pages("ts")))
    return str(path)


@pytest.mark.timeout(240)
def test_mistralai_reads_uploads_links_and_files_and_is_told_why_not(documents, document):
    results = run(documents, "mistral_ocr.py", document)
    assert results["uploaded"]["purpose"] == results["retrieved"]["purpose"] == "ocr"
    assert [page["index"] for page in results["by_url"]["pages"]] == [0]
    read = results["by_id"]["pages"]
    assert [page["index"] for page in read] == [0, 1, 2]
    assert all(page["markdown"] for page in read)
    assert read[0]["dimensions"] == {"dpi": 150, "width": 1240, "height": 1754}
    assert results["by_id"]["usage_info"]["pages_processed"] == 3
    annotated = results["annotated"]
    (page,) = annotated["pages"]
    (figure,) = page["images"]
    assert figure["image_base64"].startswith("data:image/jpeg;base64,")
    assert f"![{figure['id']}]({figure['id']})" in page["markdown"]
    for text in (annotated["document_annotation"], figure["image_annotation"]):
        assert set(json.loads(text)) == {"kind", "pages"}
    assert results["errors"]["validation"][0] == 422
    assert results["errors"]["model"][0] == 404
    assert "gpt-none" in results["errors"]["model"][1]
    assert results["deleted"] is True


@pytest.mark.timeout(240)
def test_litellm_reads_chats_streams_and_responds(documents, document):
    results = run(documents, "litellm_calls.py", document, _IMAGE)
    assert [bool(page["markdown"]) for page in results["ocr"]["pages"]] == [True, True]
    assert results["whole"] == results["streamed"] != ""
    assert results["response"]["output"][0]["content"][0]["text"]


@pytest.mark.timeout(240)
def test_langchain_asks_streams_and_gets_structured_answers(documents):
    results = run(documents, "langchain_calls.py", _IMAGE)
    assert results["whole"] == results["streamed"] != ""
    assert results["usage"]["output_tokens"] == 6
    assert set(results["shape"]) == {"name", "count"}
    assert results["response"]
