"""Redis users for gateway, worker, Flower and operator, each with the least rights.

`python -m scripts.redis_users FOLDER` writes `users.acl` for Redis 7 (`--aclfile`) and the password
of each user as a file of its own. `--rotate [USER …]` gives them new passwords beside the old ones,
`--end-rotation` takes the old ones away.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

#: Keys of Celery.
_CELERY = (
    "~_kombu.* ~unacked* ~high* ~default* ~low* ~worker.* ~model.* ~celeryev.* ~*.celery.pidbox*"
)
#: No commands that list or flush all keys or inspect other clients.
_COMMANDS = (
    "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking +@scripting "
    "-@admin -@dangerous +info +time"
)
#: For copies of the data (`redis-cli --rdb`), limits that are changed at once, and users.acl.
_CARE = "+sync +psync +replconf +config|get +config|set +memory|usage +bgrewriteaof +acl|load"
RULES = {
    # reads API keys, cannot create them
    "gateway": f"~sl:* %R~slk:* {_CELERY} &* {_COMMANDS}",
    "worker": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # aborting a task in it cancels the job, which reads and writes rows
    "flower": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # Flower with FLOWER_READ_ONLY=True: sees the queue but no job
    "watcher": f"{_CELERY} &* {_COMMANDS}",
    # for sightline-admin and the runbook
    "operator": f"~slk:* ~sl:weights %R~* resetchannels {_COMMANDS} {_CARE}",
    # for health checks of containers, which must tell a server that still loads its data
    "probe": "resetkeys resetchannels -@all +ping",
}
#: Nobody can log in as `default`: it is off and has no password. It keeps its rights because Redis
#: replays the append-only file as this user; without them it drops every transaction in the file.
DEFAULT_USER = "user default off resetpass ~* &* +@all"


def render_acl(passwords: Mapping[str, Sequence[str]]) -> str:
    """Return the ACL file for these users; each may have several valid passwords."""
    users = [
        " ".join((f"user {name} on", *map(_hash, passwords[name]), rules))
        for name, rules in RULES.items()
    ]
    return "\n".join([DEFAULT_USER, *users, ""])


def _hash(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def write_users(folder: Path) -> dict[str, str]:
    """Write missing passwords and the ACL file; return the newest password of each user."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = {name: _read_or_make(_password_file(folder, name)) for name in RULES}
    valid = {name: [newest[name], *_read_old(folder, name)] for name in RULES}
    _write(folder / "users.acl", render_acl(valid))
    return newest


def rotate_passwords(folder: Path, users: Iterable[str]) -> None:
    """Give these users new passwords; `write_users` then lists the ones before as valid too.

    Raises ValueError while still older ones are valid, whose processes would be cut off.
    """
    users = list(users)
    if busy := [name for name in users if _old_file(folder, name).exists()]:
        raise ValueError(f"a rotation of {', '.join(busy)} has not been ended: --end-rotation")
    for name in users:
        if (path := _password_file(folder, name)).exists():
            _write(_old_file(folder, name), path.read_text())
            _write(path, secrets.token_urlsafe(24))


def end_rotation(folder: Path) -> list[str]:
    """Delete the old passwords; return their users. The next `write_users` leaves them out."""
    files = {name: _old_file(folder, name) for name in RULES}
    ended = [name for name, path in files.items() if path.exists()]
    for name in ended:
        files[name].unlink()
    return ended


def _password_file(folder: Path, user: str) -> Path:
    return folder / f"redis-{user}-password"


def _old_file(folder: Path, user: str) -> Path:
    return folder / f"redis-{user}-password-old"


def _read_or_make(path: Path) -> str:
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Write in place: a container that has mounted the file would keep seeing a replaced one."""
    path.touch(mode=0o600)
    path.write_text(text)


def _read_old(folder: Path, user: str) -> list[str]:
    path = _old_file(folder, user)
    return [path.read_text().strip()] if path.exists() else []


def add_rotation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--rotate` and `--end-rotation`, which `change_passwords` follows."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--rotate",
        nargs="*",
        choices=list(RULES),
        metavar="USER",
        help="make new passwords for these users, or all; the old ones stay valid",
    )
    choice.add_argument(
        "--end-rotation", action="store_true", help="make the old passwords invalid"
    )


def change_passwords(folder: Path, arguments: argparse.Namespace) -> None:
    """Rotate passwords, or end a rotation, as the arguments say; raises ValueError."""
    if arguments.rotate is not None:
        rotate_passwords(folder, arguments.rotate or RULES)
    elif arguments.end_rotation:
        end_rotation(folder)


def main() -> None:
    """Write the users into the folder on the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.redis_users", description=__doc__)
    parser.add_argument("folder", type=Path)
    add_rotation_arguments(parser)
    arguments = parser.parse_args()
    try:
        change_passwords(arguments.folder, arguments)
    except ValueError as error:
        parser.error(str(error))
    write_users(arguments.folder)


if __name__ == "__main__":
    main()
