"""Code blocks of the README and the how-to pages, run unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support import tools
from tests.support.harness import ROOT
from tests.support.images.image_bytes import screenshot

NOTE = ROOT / "docs" / "examples" / "note.png"


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"(?<!-->\n)```{language}\n(.*?)```", text, re.DOTALL)


def run(command, address, folder=ROOT, **environ):
    completed = subprocess.run(
        [part.replace("http://127.0.0.1:7860", address) for part in command],
        cwd=folder,
        env=os.environ
        | {
            "SIGHTLINE_URL": address,
            "PYTHONPATH": str(ROOT / "client"),
            "no_proxy": "*",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def run_example(name, address, *arguments):
    completed = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "examples" / name), *map(str, arguments)],
        env=os.environ | {"SIGHTLINE_URL": address, "PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return completed.returncode, completed.stdout, completed.stderr


@pytest.fixture
def address(served):
    return str(served.http.base_url).rstrip("/")


def test_the_readmes_python_asks_with_both_clients(address):
    ours, openai = blocks("README.md", "python")
    assert run([sys.executable, "-c", ours], address).strip()
    assert "simulated" in run([sys.executable, "-c", openai], address)


def test_openais_python_client_asks_as_the_page_says(address):
    question, response, batch = blocks("docs/how-to/use-openai-clients.md", "python")
    assert run([sys.executable, "-c", question], address).strip()
    resumed = run([sys.executable, "-c", f"{question}\nprint('=')\n{response}"], address)
    assert resumed.partition("=")[2].strip()
    made = run([sys.executable, "-c", f"{question}\n{batch}\nprint(batch.status)"], address)
    assert made.split()[-1] in ("validating", "in_progress")


def test_openais_js_client_streams_as_the_page_says(address):
    (block,) = blocks("docs/how-to/use-openai-clients.md", "js")
    messages = 'const messages = [{ role: "user", content: "What is it?" }];\n'
    head, rest = block.split("\n", 1)
    command = [tools.node(), "--input-type=module", "-e", f"{head}\n{messages}{rest}"]
    assert run(command, address, folder=tools.NODE).strip()


@pytest.mark.parametrize(
    ("page", "number", "expected"),
    [
        ("docs/capacity.md", 0, '"tokens"'),
        ("docs/capacity.md", 1, '"object":"job"'),
        ("docs/enhancement.md", 0, '"object":"job"'),
        ("docs/long-images.md", 0, '"tiles"'),
        ("docs/results.md", 0, "<!doctypehtml>"),
    ],
)
def test_the_pages_shell_examples_work(address, tmp_path, page, number, expected):
    (tmp_path / "long.png").write_bytes(screenshot(600, 9000))
    script = blocks(page, "sh")[number].replace("curl ", "curl -sS --fail-with-body ")
    # the examples are in the clone, and what a block writes is not
    script = script.replace("docs/examples/", f"{ROOT}/docs/examples/")
    command = ["bash", "-euo", "pipefail", "-c", script]
    printed = run(command, address, folder=tmp_path, URL=address, IMAGE=str(NOTE))
    assert expected in printed.replace(" ", "")


def test_the_folders_example_reads_what_it_can_and_goes_on_where_it_was(address, tmp_path):
    pictures, texts = tmp_path / "pictures", tmp_path / "texts"
    pictures.mkdir()
    for name in ("one.png", "two.png"):
        (pictures / name).write_bytes(NOTE.read_bytes())
    (pictures / "notes.md").write_text("no picture, and not taken for one")
    (pictures / "broken.png").write_bytes(b"no picture at all")
    code, printed, complained = run_example("read_folder.py", address, pictures, texts)
    assert (code, printed) == (1, "2 read, 1 not, 0 before\n")
    assert complained.startswith("broken.png: unsupported_image_format")
    assert (texts / "one.png.txt").read_text().strip()
    assert {path.name for path in texts.iterdir()} == {"one.png.txt", "two.png.txt"}
    (pictures / "broken.png").unlink()
    assert run_example("read_folder.py", address, pictures, texts)[:2] == (
        0,
        "0 read, 0 not, 2 before\n",
    )
