"""The command `sightline` against a real gateway: output, files and exit statuses."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys

import pytest

from sightline.cli import Exit
from sightline.cli.completion import SCRIPTS, fitting_words
from sightline.cli.parser import build_parser
from tests.support.documents.drawn import encrypted, pdf, write
from tests.support.harness import ROOT, eventually, free_port
from tests.support.images.image_bytes import plain_png, text_png

#: The simulated engine begins each answer with one of these.
STOPS = [word for stop in ("p", "i", "t", "图", "两") for word in ("--stop", stop)]


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.png"
    path.write_bytes(plain_png("red"))
    return str(path)


def command_line(served, *words, **options):
    environment = os.environ | {
        "SIGHTLINE_URL": str(served.http.base_url),
        "PYTHONPATH": str(ROOT / "client"),
    }
    command = [sys.executable, "-m", "sightline", *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_a_question_is_answered_on_standard_output_and_nothing_else(run, note):
    status, out, err = run("ask", note, "What is it?")
    assert (status, err) == (Exit.OK, "")
    assert out.strip()
    assert out.count("\n") == 1


def test_a_program_gets_the_job(run, note):
    status, out, _ = run("--json", "ask", note, "?", "--max-tokens", "3", "--session", "cli")
    job = json.loads(out)
    assert (status, job["status"], job["session_id"]) == (Exit.OK, "succeeded", "cli")
    assert run("watch", job["id"])[1].strip() == job["output"]["text"].strip()
    kinds = [json.loads(line)["type"] for line in run("watch", job["id"], "--json")[1].splitlines()]
    assert (kinds[0], kinds[-1]) == ("job.queued", "job.succeeded")
    assert job["id"] in run("jobs", "--session", "cli")[1]
    assert "> ?" in run("sessions", "cli")[1]
    assert run("sessions", "cli", "--delete")[0] == Exit.OK
    assert run("sessions", "cli")[0] == Exit.REFUSED


def test_an_image_comes_from_standard_input_and_a_preset_needs_no_question(served, note):
    process = command_line(
        served, "ask", "-", "--preset=ocr", "--max-tokens=90", stdin=subprocess.PIPE
    )
    out, err = process.communicate(plain_png("blue"), timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out.strip()


def test_places_are_a_table_or_data_and_nothing_found_is_a_status(run, tmp_path):
    file = tmp_path / "a.pdf"
    file.write_bytes(pdf(lambda canvas: write(canvas, ["The place of", "delivery is Rotterdam"])))
    own = ("--text-layer", "only", "--reader", "second")
    status, out, err = run("find", file, "--phrase", "Place of Delivery", *own)
    assert (status, err) == (Exit.OK, "")
    heading, row = out.splitlines()
    assert heading.split()[:4] == ["FILE", "WHERE", "LABEL", "BOX"]
    assert "page 1" in row
    assert row.endswith("reader  place of delivery")
    words = ("find", file, file, "--label", "Rotterdam", "--label", "zebra", *own)
    status, out, _ = run(*words, "--format", "json")
    first, second = (json.loads(line) for line in out.splitlines())
    assert status == Exit.OK
    assert first == second
    assert first["text"] == "Found: Rotterdam (1). Not found: zebra."
    assert [one["label"] for one in first["objects"]] == ["Rotterdam"]
    status, out, _ = run(*words, "--format", "csv")
    assert out.splitlines()[0] == "file,where,label,box,sure,source,text"
    assert out.count("\n") == 3
    status, out, err = run("find", file, "--label", "zebra", *own)
    assert (status, out) == (Exit.FAILED, "")
    assert "Nothing was found." in err
    status, out, _ = run("--json", "find", file, "--label", "zebra", *own)
    assert (status, json.loads(out)["output"]["objects"]) == (Exit.FAILED, [])


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("find", "NOTE"), Exit.USAGE, "--label X"),
        (("find", "NOTE", "--label", "a", "--phrase", "b"), Exit.USAGE, "--label X"),
        (("find", "NOTE", "--label", " "), Exit.REFUSED, "labels"),
        (("ask", "nofile.png", "?"), Exit.USAGE, "File not found: nofile.png"),
        (("ask", "NOTE"), Exit.USAGE, "No question"),
        (("ask", "/", "?"), Exit.USAGE, "is a folder"),
        (("--url", "ftp://x", "jobs"), Exit.USAGE, "ftp://x"),
        (("ask", "?", "--preset", "nope"), Exit.REFUSED, "Unknown preset"),
        (("ask", "http://10.0.0.1/a.png", "?"), Exit.REFUSED, "sightline ask - "),
        (("webhooks", "test", "http://127.0.0.1:8080/"), Exit.REFUSED, "SIGHTLINE_ALLOW_NETS"),
        (("watch", "job_1"), Exit.REFUSED, "not_found"),
        (("sessions", "--delete"), Exit.USAGE, "No conversation"),
        (("ocr", "nofile.png", "--out", "x"), Exit.USAGE, "File not found"),
        (("webhooks", "replay"), Exit.USAGE, "--since"),
        (("presets", "nope"), Exit.USAGE, "Unknown preset nope"),
    ],
)
def test_what_is_wrong_is_said_with_a_way_out_and_a_status(run, note, words, status, complaint):
    exit_status, out, err = run(*(note if word == "NOTE" else word for word in words))
    assert (exit_status, out) == (status, "")
    assert complaint in err
    assert "Traceback" not in err


def test_a_job_can_be_left_stopped_and_is_then_a_failure(run):
    status, out, _ = run("ask", "?", "--no-wait", "--max-tokens", "2000")
    job = out.strip()
    assert (status, job[:4]) == (Exit.OK, "job_")
    assert run("watch", job, "--timeout", "0.2")[0] == Exit.TIMEOUT
    assert run("cancel", job)[1] == f"{job} canceled\n"
    status, _, err = run("watch", job)
    assert status == Exit.FAILED
    assert "canceled" in err


def test_nobody_at_home_is_a_status_of_its_own(run, monkeypatch):
    monkeypatch.setattr("sightline._steps.Policy.backoff_s", lambda *_: 0.0)
    status, _, err = run("--url", f"http://127.0.0.1:{free_port()}", "jobs")
    assert status == Exit.NO_CONNECTION
    assert "make up" in err


def test_interrupting_a_question_cancels_its_job(served):
    process = command_line(served, "ask", "interrupted", "--max-tokens", "2000")

    def running():
        listed = served.http.get("/v1/jobs?limit=1").json()["data"]
        return listed and listed[0]["status"] == "running" and listed[0]["id"]

    job = eventually(running)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert job in err.decode()
    assert served.job(job)["status"] == "canceled"


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        place = folder / "more" if number % 2 else folder
        (place / f"p{number}.png").write_bytes(plain_png((number, 0, 99)))
    (folder / "notes.txt").write_text("no image")
    return folder


def test_files_are_read_into_a_folder_and_what_is_there_stays(run, pages, tmp_path):
    out = tmp_path / "texts"
    status, _, err = run("ocr", pages, "--out", out, "--max-tokens", "2")
    counts, cut_off, ignored = err.splitlines()
    assert (status, counts) == (Exit.OK, "6 read, 0 skipped, 0 failed")
    assert "--max-tokens" in cut_off
    assert cut_off.endswith("and 1 more")
    assert ignored.endswith(str(pages / "notes.txt"))
    texts = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert texts[:2] == ["more/p1.txt", "more/p3.txt"]
    assert len(texts) == 6
    (pages / "broken.png").write_bytes(b"no image")
    (out / "p0.txt").unlink()
    status, printed, err = run("ocr", pages, "--out", out, "--max-tokens", "2", "--json")
    assert status == Exit.FAILED
    assert "1 read, 5 skipped, 1 failed" in err
    lines = [json.loads(line) for line in printed.splitlines()]
    assert {line["file"][-10:]: bool(line["error"]) for line in lines} == {
        "broken.png": True,
        "ges/p0.png": False,
    }


def test_the_text_of_one_file_is_printed_where_no_folder_is_given(run, tmp_path):
    page = tmp_path / "page.pdf"
    page.write_bytes(pdf(lambda canvas: write(canvas, ["The place of delivery"])))
    status, out, err = run("ocr", page, "--text-layer", "only")
    assert (status, out.strip(), err) == (Exit.OK, "The place of delivery", "")
    status, out, _ = run("ocr", page, "--text-layer", "only", "--format", "json")
    assert json.loads(out)["text"] == "The place of delivery"
    status, out, _ = run("ocr", page, "--text-layer", "only", "--json")
    assert json.loads(out)["output"]["text"] == "The place of delivery"
    page.write_bytes(b"no document")
    status, out, err = run("ocr", page)
    assert (status, out) == (Exit.REFUSED, "")
    assert "unsupported_image_format" in err
    assert list(tmp_path.iterdir()) == [page]


@pytest.fixture
def locked(tmp_path):
    path = tmp_path / "locked.pdf"
    path.write_bytes(encrypted("open sesame 7", 4))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("ocr", "LOCKED", "--text-layer", "only"),
        ("ask", "LOCKED", "What is it?", "--text-layer", "only", "--max-tokens", "3"),
        ("estimate", "LOCKED"),
        ("find", "LOCKED", "--label", "zebra", "--text-layer", "only", "--reader", "second"),
    ],
    ids=lambda words: words[0],
)
def test_a_password_comes_from_an_option_the_environment_or_a_question(
    run, locked, monkeypatch, words
):
    words = [locked if word == "LOCKED" else word for word in words]
    status, _, err = run(*words)
    assert status == Exit.REFUSED
    assert "document_encrypted" in err
    assert "--password -" in err
    status, _, err = run(*words, "--password", "wrong")
    assert status == Exit.REFUSED
    assert "document_password_wrong" in err
    opened = run(*words, "--password", "open sesame 7")
    assert opened[0] in (Exit.OK, Exit.FAILED)
    assert "document_" not in opened[2]
    monkeypatch.setattr(getpass, "getpass", lambda _: "open sesame 7")
    assert run(*words, "--password", "-")[0] == opened[0]
    monkeypatch.setenv("SIGHTLINE_DOCUMENT_PASSWORD", "open sesame 7")
    assert run(*words)[0] == opened[0]


def test_a_password_is_sent_with_those_files_alone_that_need_one(run, locked, tmp_path):
    (locked.parent / "open.pdf").write_bytes(pdf(lambda canvas: write(canvas, ["All may read"])))
    (locked.parent / "page.png").write_bytes(plain_png("red"))
    words = ("ocr", tmp_path, "--out", tmp_path / "texts")
    status, _, err = run(*words, "--password", "open sesame 7", "--max-tokens", "2")
    assert "3 read, 0 skipped, 0 failed" in err
    assert status == Exit.OK


def test_several_images_are_read_one_by_one_under_their_names(run, pages):
    for name in ("p0", "p2"):
        (pages / f"{name}.png").write_bytes(text_png(name))
    status, out, err = run(
        "ask", pages / "p0.png", pages / "p2.png", "--preset", "ocr", "--max-tokens", "2"
    )
    assert status == Exit.OK
    first, second = out.split("\n\n")
    assert (first.split("\n")[0], second.split("\n")[0]) == ("[1: p0.png]", "[2: p2.png]")
    assert "cut off" in err


def test_an_empty_answer_is_no_success_and_a_missing_picture_is_told(run, note):
    status, out, err = run("ask", note, "?", "--stop", " ", "--stop", "s", "--stop", "a", *STOPS)
    assert (status, out.strip()) == (Exit.FAILED, "")
    assert "the answer is empty" in err
    status, _, err = run("ask", "what is it?", "--max-tokens", "4")
    assert status == Exit.OK
    assert "no picture was given" in err
    assert "cut off after 4 tokens; --max-tokens 512" in err


def test_an_interrupted_batch_goes_on_with_the_jobs_it_had(served, pages, tmp_path):
    out = tmp_path / "texts"
    words = ("ocr", pages, "--out", out, "--parallel", "2", "--max-tokens", "8")
    before = {job["id"] for job in served.http.get("/v1/jobs?limit=100").json()["data"]}
    first = command_line(served, *words)
    eventually(lambda: list(out.glob("**/*.txt")))
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == Exit.INTERRUPTED
    assert b"run the same command again to continue" in err
    assert 0 < len(list(out.glob("**/*.txt"))) < 6
    second = command_line(served, *words)
    second.communicate(timeout=60)
    assert second.returncode == Exit.OK
    assert len(list(out.glob("**/*.txt"))) == 6
    after = {job["id"] for job in served.http.get("/v1/jobs?limit=100").json()["data"]}
    assert len(after - before) == 6


def test_two_files_of_one_name_are_not_written_over_each_other(run, pages, tmp_path):
    (pages / "more" / "p0.png").write_bytes(plain_png("white"))
    status, _, err = run(
        "ocr", pages / "p0.png", pages / "more" / "p0.png", "--out", tmp_path / "t"
    )
    assert status == Exit.USAGE
    assert "would both be written to" in err
    twice = pages / "more" / ".." / "p0.png"
    status, _, err = run("ocr", pages / "p0.png", twice, "--out", tmp_path / "t", "--max-tokens=1")
    assert (status, err.splitlines()[0]) == (Exit.OK, "1 read, 0 skipped, 0 failed")


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["w"], ["watch", "webhooks"]),
        (["webhooks", "l"], ["listen"]),
        (["jobs", "--status", "s"], ["succeeded"]),
        (["ask", "--pr"], ["--preset", "--priority"]),
        (["completion", "z"], ["zsh"]),
        (["ask", ""], []),
    ],
)
def test_shells_are_told_the_words_that_fit(words, candidates):
    assert fitting_words(build_parser(), words) == candidates


def test_completion_works_in_a_real_bash(tmp_path):
    (tmp_path / "sightline").write_text(f'#!/bin/sh\nexec {sys.executable} -m sightline "$@"\n')
    (tmp_path / "sightline").chmod(0o755)
    script = SCRIPTS["bash"] + "COMP_WORDS=(sightline jobs --status ca); COMP_CWORD=3\n_sightline\n"
    completed = subprocess.run(
        ["bash", "-c", script + 'echo "${COMPREPLY[@]}"'],
        env=os.environ
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout == "canceled\n"


def batch_line(name, text, **options):
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 2, **options}
    line = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def test_a_batch_is_run_and_its_results_are_fetched(run, tmp_path):
    jobs, out = tmp_path / "jobs.jsonl", tmp_path / "out.jsonl"
    jobs.write_text("\n".join(batch_line(f"{n}", f"question {n}") for n in range(5)))
    status, printed, notes = run("batch", "run", jobs, "--out", out)
    assert (status, printed) == (Exit.OK, "")
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert {answer["custom_id"] for answer in answers} == {f"{n}" for n in range(5)}
    assert "completed: 5 of 5" in notes
    batch_id = notes.partition(";")[0]
    again = tmp_path / "again.jsonl"
    assert run("batch", "wait", batch_id, "--out", again)[0] == Exit.OK
    assert again.read_bytes() == out.read_bytes()


def test_lines_that_fail_are_told_of(run, tmp_path):
    jobs, out = tmp_path / "jobs.jsonl", tmp_path / "out.jsonl"
    jobs.write_text(batch_line("a", "fine") + "\n" + batch_line("b", "x", model="gpt-none"))
    status, _, notes = run("batch", "run", jobs, "--out", out)
    assert status == Exit.FAILED
    assert "1 of 2, 1 failed" in notes
    (error,) = (tmp_path / "out.jsonl.errors").read_text().splitlines()
    assert json.loads(error)["custom_id"] == "b"
    refused = tmp_path / "refused.jsonl"
    jobs.write_text(batch_line("a", "x", max_tokens=0))
    status, _, notes = run("batch", "run", jobs, "--out", refused)
    assert (status, refused.exists()) == (Exit.FAILED, False)
    assert "line 1: " in notes


def test_a_wrong_batch_is_refused_before_anything_is_sent(run, tmp_path):
    jobs = tmp_path / "jobs.jsonl"
    for text in ("", "[]", "{}", "nonsense"):
        jobs.write_text(text)
        assert run("batch", "run", jobs, "--out", tmp_path / "out.jsonl")[0] == Exit.USAGE
    jobs.write_text(batch_line("a", "b"))
    assert run("batch", "run", jobs, "--out", jobs)[0] == Exit.USAGE
    assert run("batch", "run", tmp_path / "none", "--out", tmp_path / "x")[0] == Exit.USAGE
