"""The command `mcp`: tools for language models over the Model Context Protocol, on standard input.

It needs the package `mcp` (the extra `sightline[mcp]`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from sightline._version import __version__
from sightline.cli.terminal import UsageError, progress_line

try:
    import anyio
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import CallToolResult, TextContent, ToolAnnotations
    from pydantic import Field
except ImportError as error:
    raise UsageError(
        "The package mcp is not installed.", "pip install 'sightline[mcp]' installs it."
    ) from error

from sightline._api import find_options
from sightline.aio import AsyncClient, AsyncJob
from sightline.errors import SightlineError
from sightline.jobs import answer_of

if TYPE_CHECKING:
    from sightline.types import SubmitOptions

_INSTRUCTIONS = (
    "Reads text from pictures, scans and PDFs, answers questions about them and finds where things "
    "stand, on the user's own server. It takes from seconds to minutes for each page; progress is "
    "reported."
)
#: Seconds between two reports of progress: clients give up on a silent tool.
_REPORT_S = 2.0
_REFERENCE = re.compile(r"https?://|data:|(img|doc)_[0-9a-f]{64}$", re.IGNORECASE)
_LOOKS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=True)

_FILE = "A path on this machine, an http(s) URL that the server may fetch, or an ID img_… or doc_…."
_PAGES = 'Pages of a document, such as "1-3,7,-1"; all by default.'


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders whose files may be sent; without any, all files that the user can read."""

    allowed: tuple[Path, ...] = ()

    def check(self, source: str) -> str:
        """Return a source that may be sent; raises ToolError."""
        if _REFERENCE.match(source):
            return source
        path = Path(source).expanduser().resolve()
        if self.allowed and not any(path.is_relative_to(folder) for folder in self.allowed):
            shown = ", ".join(map(str, self.allowed))
            raise ToolError(f"{source} is outside the folders that may be read: {shown}.")
        if not path.is_file():
            raise ToolError(f"File not found: {source}.")
        return str(path)


def serve_tools(args: argparse.Namespace) -> int:
    """Serve the tools on standard input and output until it is closed; raises UsageError."""
    folders = Folders(tuple(_folder(name) for name in args.folder or ()))
    try:
        client = AsyncClient(getattr(args, "url", None), api_key=getattr(args, "api_key", None))
    except ValueError as error:
        raise UsageError(str(error)) from None
    build_server(client, folders, args.model).run()
    return 0


def _folder(name: str) -> Path:
    path = Path(name).expanduser().resolve()
    if not path.is_dir():
        raise UsageError(f"Folder not found: {name}.")
    return path


def build_server(client: AsyncClient, folders: Folders, model: str | None = None) -> MCPServer[Any]:
    """Return the server with its tools, which ask `model` through `client`; it is closed then."""

    @asynccontextmanager
    async def closing(_: MCPServer[Any]) -> AsyncIterator[None]:
        async with client:
            yield

    server: MCPServer[Any] = MCPServer(
        "sightline",
        instructions=_INSTRUCTIONS,
        version=__version__,
        lifespan=closing,
        log_level="WARNING",
    )
    tools = Tools(client, folders, model)
    for tool in (tools.read, tools.ask, tools.find):
        server.tool(annotations=_LOOKS_ONLY, structured_output=False)(tool)
    return server


@dataclass(frozen=True, slots=True)
class Tools:
    """What a language model may do; each submits a job and waits for it."""

    client: AsyncClient
    folders: Folders
    #: None: the service's default.
    model: str | None = None

    async def read(
        self,
        context: Context[Any],
        file: Annotated[str, Field(description=_FILE)],
        pages: Annotated[str | None, Field(description=_PAGES)] = None,
        language: Annotated[
            Literal["en", "zh"] | None, Field(description="Of the instructions to the model.")
        ] = None,
    ) -> CallToolResult:
        """Read all text of a picture, a scan or a PDF, tables as Markdown."""
        options: SubmitOptions = {"preset": "ocr"}
        if language:
            options["lang"] = language
        if pages:
            options["pages"] = pages
        return await self._answer(context, None, [file], options)

    async def ask(
        self,
        context: Context[Any],
        question: Annotated[str, Field(min_length=1)],
        files: Annotated[list[str], Field(min_length=1, max_length=16, description=_FILE)],
        pages: Annotated[str | None, Field(description=_PAGES)] = None,
    ) -> CallToolResult:
        """Ask a question about one PDF, or about one or several pictures."""
        options: SubmitOptions = {"pages": pages} if pages else {}
        return await self._answer(context, question, files, options)

    async def find(
        self,
        context: Context[Any],
        file: Annotated[str, Field(description=_FILE)],
        labels: Annotated[
            list[str], Field(max_length=32, description="Words that are printed, or things.")
        ],
        pages: Annotated[str | None, Field(description=_PAGES)] = None,
        fuzzy: Annotated[
            bool, Field(description="Also take text that is only much like a label.")
        ] = False,
    ) -> CallToolResult:
        """Find where words or phrases are printed, and where things are, as boxes on the file.

        Boxes are left, top, right, bottom: pixels of a picture, points of a PDF's page.
        """
        options: SubmitOptions = {"fuzzy": fuzzy} if fuzzy else {}
        if pages:
            options["pages"] = pages
        return await self._answer(context, None, [file], find_options(labels, options))

    async def _answer(
        self,
        context: Context[Any],
        question: str | None,
        files: Sequence[str],
        options: SubmitOptions,
    ) -> CallToolResult:
        sources = [self.folders.check(file) for file in files]
        if self.model:
            options["model"] = self.model
        try:
            job = await self.client.submit(question, sources, **options)
            await _wait(job, context)
            return _result(job)
        except (SightlineError, OSError) as error:
            raise ToolError(str(error)) from error


async def _wait(job: AsyncJob, context: Context[Any]) -> None:
    """Wait for the end of a job and report how far it is; who cancels that cancels the job."""
    began_s = time.monotonic()
    waiting = asyncio.ensure_future(job.wait(on_update=lambda data: setattr(job, "data", data)))
    try:
        await _report(job, context, time.monotonic() - began_s)
        while not (await asyncio.wait({waiting}, timeout=_REPORT_S))[0]:
            await _report(job, context, time.monotonic() - began_s)
        await waiting
    finally:
        if not waiting.done():
            waiting.cancel()
            with anyio.CancelScope(shield=True), suppress(SightlineError):
                await job.cancel()


async def _report(job: AsyncJob, context: Context[Any], passed_s: float) -> None:
    """Report the seconds that have passed, and those of the whole where that can be said."""
    eta_s = job.data.get("eta_s") or (job.data["progress"] or {}).get("eta_s")
    total_s = passed_s + eta_s if eta_s else None
    await context.report_progress(passed_s, total_s, progress_line(job.data))


def _result(job: AsyncJob) -> CallToolResult:
    """Return the text, and behind it what keeps it from being whole; raises JobFailed."""
    answer = answer_of(job.data)
    notes = [str(warning["detail"]) for warning in job.data["warnings"]]
    if answer.truncated:
        notes.append("The answer was cut off before its end.")
    places = [json.dumps(answer.objects, ensure_ascii=False)] if answer.objects else []
    parts = [
        answer.text,
        *places,
        *([f"[Notes on this answer: {' '.join(notes)}]"] if notes else []),
    ]
    return CallToolResult(content=[TextContent(type="text", text=part) for part in parts])
