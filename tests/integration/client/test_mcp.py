"""`sightline mcp` through the client of the MCP SDK, over standard input, with a real service."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.documents.page_kinds import pages
from tests.support.harness import ROOT, eventually
from tests.support.images.image_bytes import plain_png


@asynccontextmanager
async def connected(served, *words):
    environment = os.environ | {
        "SIGHTLINE_URL": str(served.http.base_url),
        "PYTHONPATH": str(ROOT / "client"),
    }
    command = ["-m", "sightline", "mcp", *map(str, words)]
    server = StdioServerParameters(command=sys.executable, args=command, env=environment)
    async with Client(stdio_client(server)) as client:
        yield client


def texts(result):
    return [part.text for part in result.content]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pages("tt"))
    (tmp_path / "a.png").write_bytes(plain_png("purple"))
    return tmp_path


def test_tools_read_and_ask_with_progress(served, files):
    reports = []

    async def note(progress, total, message):
        reports.append((progress, total, message))

    async def use():
        async with connected(served) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"read", "ask", "find"}
            assert set(tools["read"].input_schema["properties"]) == {"file", "pages", "language"}
            read = await client.call_tool("read", {"file": str(files / "a.pdf"), "pages": "2"})
            long = {"question": "What is it? " * 3, "files": [str(files / "a.png")]}
            asked = await client.call_tool("ask", long, progress_callback=note)
            missing = await client.call_tool("read", {"file": str(files / "b.png")})
            refused = await client.call_tool("read", {"file": "data:image/png;base64,AAAA"})
        return read, asked, missing, refused

    read, asked, missing, refused = asyncio.run(use())
    assert (bool(read.is_error), bool(asked.is_error)) == (False, False), texts(read)
    newest, older = served.http.get("/v1/jobs", params={"limit": 2}).json()["data"]
    assert texts(read)[0] == older["output"]["text"] != ""
    assert older["input"]["document"]["pages"] == [2]
    assert texts(asked)[0] == newest["output"]["text"] != ""
    assert missing.is_error
    assert "File not found" in texts(missing)[0]
    assert refused.is_error
    assert texts(refused)[0]
    progress = [report[0] for report in reports]
    assert progress == sorted(set(progress)) != []
    assert all(message for _, _, message in reports)


def test_the_tool_find_gives_boxes(served, files):
    async def use():
        async with connected(served) as client:
            file = {"file": str(files / "a.pdf")}
            (word,) = await words_of(client, file)
            seen = await client.call_tool("find", {**file, "labels": [word]})
            refused = await client.call_tool("find", {**file, "labels": []})
        return word, seen, refused

    async def words_of(client, file):
        read = await client.call_tool("read", {**file, "pages": "1"})
        return texts(read)[0].split()[:1]

    word, seen, refused = asyncio.run(use())
    assert not seen.is_error, texts(seen)
    summary, places = texts(seen)[:2]
    assert summary.startswith("Found: ")
    objects = json.loads(places)
    assert {one["label"] for one in objects} == {word}
    assert all(len(one["box"]) == 4 and one["page"] in (1, 2) for one in objects)
    assert refused.is_error
    assert "labels" in texts(refused)[0]


def test_a_call_that_is_given_up_cancels_its_job_and_folders_bound_what_is_read(served, files):
    async def use():
        async with connected(served, "--folder", files / ".") as client:
            outside = await client.call_tool("read", {"file": str(ROOT / "docs/examples/note.png")})
            question = {"question": "Tell me more", "files": [str(files / "a.png")]}
            call = asyncio.ensure_future(client.call_tool("ask", question))
            await asyncio.to_thread(eventually, is_running)
            call.cancel()
            await asyncio.to_thread(eventually, is_canceled)
        return outside

    def latest():
        (job,) = served.http.get("/v1/jobs", params={"limit": 1}).json()["data"]
        return job

    def is_running():
        return latest()["status"] == "running"

    def is_canceled():
        return latest()["status"] == "canceled"

    outside = asyncio.run(use())
    assert outside.is_error
    assert "outside the folders" in texts(outside)[0]
