"""Redis users for gateway, worker, Flower and operator, each with the least rights.

`python -m scripts.redis_users FOLDER` writes `users.acl` for Redis 7 (`--aclfile`) and the password
of each user as a file of its own.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from pathlib import Path

#: Keys of Celery.
_CELERY = "~_kombu.* ~unacked* ~high* ~default* ~low* ~worker.* ~celeryev.* ~*.celery.pidbox*"
#: No commands that list or flush all keys or inspect other clients.
_COMMANDS = (
    "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking +@scripting "
    "-@admin -@dangerous +info +time"
)
RULES = {
    # reads API keys, cannot create them
    "gateway": f"~sl:* %R~slk:* {_CELERY} &* {_COMMANDS}",
    "worker": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # aborting a task in it cancels the job, which reads and writes rows
    "flower": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # Flower with FLOWER_READ_ONLY=True: sees the queue but no job
    "watcher": f"{_CELERY} &* {_COMMANDS}",
    # for sightline-admin
    "operator": f"~slk:* ~sl:weights resetchannels {_COMMANDS}",
}


def render_acl(passwords: dict[str, str]) -> str:
    """Return the ACL file for these passwords, as their SHA-256 hashes."""
    users = [
        f"user {name} on #{hashlib.sha256(passwords[name].encode()).hexdigest()} {rules}"
        for name, rules in RULES.items()
    ]
    return "\n".join(["user default off", *users, ""])


def write_users(folder: Path) -> dict[str, str]:
    """Write missing passwords and the ACL file; return all passwords by user."""
    folder.mkdir(parents=True, exist_ok=True)
    passwords = {}
    for name in RULES:
        path = folder / f"redis-{name}-password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        passwords[name] = path.read_text().strip()
    path = folder / "users.acl"
    path.touch(mode=0o600)
    path.write_text(render_acl(passwords))
    return passwords


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_users(Path(sys.argv[1]))
