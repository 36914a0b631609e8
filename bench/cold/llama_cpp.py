"""Measures the engine beside llama.cpp, in turn in one run, both with the same instructions.

python -m bench.cold.llama_cpp --cli llama-mtmd-cli --text TEXT.gguf --tower MMPROJ.gguf
    [--kernels avx2] [--numerics int8] [--sides 512 1024] [--rounds 3] [--tokens 33] [--threads 1]

`--cli` is built for the instructions that `--kernels` names, for `avx2` with `-DGGML_NATIVE=OFF
-DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX512=OFF`, which is not checked here. The GGUF
files are made of the engine's checkpoint by llama.cpp's converter; prompts must have equally many
tokens. Each side computes in a process of its own and sees the same noise as a picture; the engine
is loaded once. Cold is from the picture's file or pixels to the logits of the first token; a token
is one step after it, sampling included. Both are processor seconds of all threads, which other
programs disturb less, and seconds by the wall. Threads that wait sleep at once on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import IO

from bench.cold.asking import Answer, Seconds, ask_engine
from bench.engine.cpus import KINDS
from bench.engine.fullsize import default_folder, ensure_model
from bench.engine.measures import QUESTION, picture

#: The last line before llama-mtmd-cli reads the picture, and those around its tower.
_BEGIN = b"please use the standard llama-cli"
_TOWER, _TOWER_END = b"encoding mtmd batch", b"mtmd batch encoding done"
#: The prompt's tokens in what it prints at the end.
_PROMPT = re.compile(rb"prompt eval time =.*/ +(\d+) tokens")
#: What the table says of a side, in seconds.
_FIGURES: dict[str, Callable[[Answer], float]] = {
    "cold {side}², {tokens} tokens, processor s": lambda answer: answer.cold.cpu,
    "  by the wall, of cold": lambda answer: answer.cold.wall,
    "    of it the tower": lambda answer: answer.tower_wall,
    "a token after {tokens}, processor s": lambda answer: answer.token.cpu,
    "  by the wall, of the token": lambda answer: answer.token.wall,
}
#: Room for a picture of 2048² and words.
_CONTEXT = 8192


def main() -> None:
    """Ask both in turn and print a table."""
    args = _arguments()
    if args.serve:
        _serve(args)
        return
    ensure_model(args.model)
    ours: dict[int, list[Answer]] = {side: [] for side in args.sides}
    theirs: dict[int, list[Answer]] = {side: [] for side in args.sides}
    engine = _EngineProcess(args)
    try:
        for number in range(args.rounds):
            for side in args.sides:
                seed = 1 + number
                ours[side].append(engine.ask(side, seed))
                theirs[side].append(_ask_llama(args, side, seed))
                _check_prompts(ours[side][-1], theirs[side][-1])
    finally:
        engine.close()
    print(f"{engine.name}; {args.threads} threads, {args.rounds} rounds, {args.tokens} tokens\n")
    print(_table(ours, theirs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cli", type=Path, required=True, help="the program llama-mtmd-cli")
    parser.add_argument("--text", type=Path, required=True, help="GGUF of the language model")
    parser.add_argument("--tower", type=Path, required=True, help="GGUF of the tower")
    parser.add_argument("--kernels", choices=[kind.kernels for kind in KINDS], default="avx2")
    parser.add_argument("--numerics", default="int8")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=33)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path, default=default_folder())
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _environment(threads: int) -> dict[str, str]:
    """Return the environment of both sides: threads that wait sleep, or they would be counted."""
    return os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}


class _EngineProcess:
    """The engine in a process of its own, which waits between questions."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Start it and wait until it has answered a first, slower question."""
        [kind] = [kind for kind in KINDS if kind.kernels == args.kernels]
        command = [sys.executable, "-m", "bench.cold.llama_cpp", "--serve", *sys.argv[1:]]
        self._process = subprocess.Popen(
            command,
            env=_environment(args.threads) | kind.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.name = self._read()

    def ask(self, side: int, seed: int) -> Answer:
        """Return what an answer has cost."""
        if self._process.stdin is None:
            raise RuntimeError("the engine's process cannot be asked")
        print(side, seed, file=self._process.stdin, flush=True)
        answer = _read_answer(json.loads(self._read()))
        print("ours", side, answer, file=sys.stderr)
        return answer

    def _read(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the engine's process has ended")
        return line.strip()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def _serve(args: argparse.Namespace) -> None:
    """Load the engine and answer each line of a side and a seed by a line of figures."""
    from shared.settings import Settings
    from worker.engine.engine import load_engine

    settings = Settings(
        model=str(args.model),
        numerics=args.numerics,
        instructions=args.kernels,
        threads=args.threads,
        speculation=False,
    )
    engine = load_engine(settings)
    try:
        ask_engine(engine, 256, 0, 4)
        print(engine.info.arithmetic, flush=True)
        for line in sys.stdin:
            side, seed = map(int, line.split())
            print(json.dumps(asdict(ask_engine(engine, side, seed, args.tokens))), flush=True)
    finally:
        engine.close()


def _read_answer(fields: dict[str, object]) -> Answer:
    times = {name: Seconds(*fields[name]) for name in ("cold", "token")}  # type: ignore[misc]
    return Answer(**fields | times)  # type: ignore[arg-type]


def _ask_llama(args: argparse.Namespace, side: int, seed: int) -> Answer:
    """Run llama-mtmd-cli once; its output tells when it is where."""
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        picture(side, seed).save(file.name)
        command = [str(args.cli), "-m", args.text, "--mmproj", args.tower, "--image", file.name]
        command += ["-p", QUESTION, "-n", str(args.tokens), "--temp", "0", "--ignore-eos"]
        command += ["-t", str(args.threads), "-tb", str(args.threads), "-c", str(_CONTEXT)]
        # prints what the prompt counts
        command += ["--verbosity", "4"]
        process = subprocess.Popen(
            [str(part) for part in command],
            env=_environment(args.threads),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        watch = _Watch(process)
        answer = watch.wait(args.tokens)
    print("theirs", side, answer, file=sys.stderr)
    return answer


class _Watch:
    """Notes when a running llama-mtmd-cli writes what."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Begin to read both of its outputs."""
        self._process = process
        #: When pieces of the answer came; the first is the line end after the prompt.
        self._pieces: list[Seconds] = []
        self._lines: list[tuple[Seconds, bytes]] = []
        self._readers = [
            threading.Thread(target=self._read_pieces, args=(process.stdout,)),
            threading.Thread(target=self._read_lines, args=(process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    def wait(self, tokens: int) -> Answer:
        """Return the costs once it has ended; raises RuntimeError if it failed."""
        status = self._process.wait()
        for reader in self._readers:
            reader.join()
        if status:
            raise RuntimeError(b"\n".join(line for _, line in self._lines[-20:]).decode())
        first, last = self._pieces[0], self._pieces[-1]
        tower = self._when(_TOWER_END).since(self._when(_TOWER))
        # one more step than ours: it computes what would follow the last token too
        return Answer(
            self._prompt_tokens(),
            first.since(self._when(_BEGIN)),
            tower.wall,
            last.since(first).divide(tokens),
        )

    def _now(self) -> Seconds:
        # Linux: the clock of a process by its number, see clock_getcpuclockid(3)
        return Seconds(time.perf_counter(), time.clock_gettime((~self._process.pid << 3) | 2))

    def _read_pieces(self, stream: IO[bytes]) -> None:
        while os.read(stream.fileno(), 1 << 16):
            self._pieces.append(self._now())

    def _read_lines(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.append((self._now(), line))

    def _when(self, words: bytes) -> Seconds:
        return next(moment for moment, line in self._lines if words in line)

    def _prompt_tokens(self) -> int:
        """Return the tokens of the prompt by llama.cpp's own count."""
        counts = [_PROMPT.search(line) for _, line in self._lines]
        return next(int(count[1]) for count in counts if count)


def _check_prompts(ours: Answer, theirs: Answer) -> None:
    if ours.prompt_tokens != theirs.prompt_tokens:
        raise SystemExit(f"prompts differ: {ours.prompt_tokens}, {theirs.prompt_tokens} tokens")


def _table(ours: dict[int, list[Answer]], theirs: dict[int, list[Answer]]) -> str:
    """Return a table in Markdown: medians, and how many times as fast the engine is."""
    lines = ["| | llama.cpp | Sightline | times as fast |", "|---|---|---|---|"]
    for side in ours:
        tokens = ours[side][0].prompt_tokens
        for label, read in _FIGURES.items():
            mine, other = (median(map(read, answers[side])) for answers in (ours, theirs))
            row = label.format(side=side, tokens=tokens)
            lines.append(f"| {row} | {other:.4g} | {mine:.4g} | {other / mine:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
