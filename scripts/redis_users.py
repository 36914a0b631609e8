"""Redis users for gateway, worker, Flower and operator, each with no more than it needs.

`python -m scripts.redis_users FOLDER` writes `users.acl` for Redis 7 (`--aclfile`) and the password
of each user as a file of its own.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from pathlib import Path

#: What Celery keeps and sends.
_CELERY = "~_kombu.* ~unacked* ~high* ~default* ~low* ~worker.* ~celeryev.* ~*.celery.pidbox*"
#: Nothing that lists or empties the server, or looks at other clients.
_COMMANDS = (
    "-@all +@read +@write +@connection +@transaction +@pubsub +@blocking +@scripting "
    "-@admin -@dangerous +info +time"
)
RULES = {
    # it looks API keys up and cannot make one
    "gateway": f"~sl:* %R~slk:* {_CELERY} &* {_COMMANDS}",
    "worker": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # who aborts in it cancels the job, which takes reading and writing rows
    "flower": f"~sl:* {_CELERY} &* {_COMMANDS}",
    # Flower with FLOWER_READ_ONLY=True sees the queue and no job
    "watcher": f"{_CELERY} &* {_COMMANDS}",
    # for sightline-admin
    "operator": f"~slk:* ~sl:weights resetchannels {_COMMANDS}",
}


def acl(passwords: dict[str, str]) -> str:
    """Return the ACL file for these passwords, which it keeps as SHA-256 only."""
    users = [
        f"user {name} on #{hashlib.sha256(passwords[name].encode()).hexdigest()} {rules}"
        for name, rules in RULES.items()
    ]
    return "\n".join(["user default off", *users, ""])


def write(folder: Path) -> dict[str, str]:
    """Write passwords that are not there yet, and the ACL file; return all passwords."""
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
    path.write_text(acl(passwords))
    return passwords


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
