"""`make secrets`: writes the passwords of compose.yaml, a file each; existing ones stay.

`python3 -m scripts.secrets --rotate [USER …]` and `--end-rotation` change the Redis passwords
without a stop (docs/runbook.md). Needs Python 3.11 and no package.
"""

from __future__ import annotations

import argparse
import re
import secrets
from pathlib import Path

from scripts import redis_users
from scripts.service.instance import ROOT

FOLDER = ROOT / "deploy" / "secrets"
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


def render_secrets(passwords: dict[str, str]) -> dict[str, str]:
    """Return the text of each file by its name; `passwords` are those of the Redis users."""
    urls = {
        f"{user}-{role}-url": f"redis://{user}:{password}@redis-{role}:6379/0"
        for user, password in passwords.items()
        for role in ("queue", "cache")
    }
    return urls | {
        "SIGHTLINE_METRICS_TOKEN": secrets.token_urlsafe(24),
        "flower-login": f"sightline:{secrets.token_urlsafe(18)}",
        "grafana-password": secrets.token_urlsafe(18),
    }


def write_secrets(folder: Path) -> list[str]:
    """Write the files that are missing and put the users' passwords into URLs that have others.

    Returns the names of the files that changed. The Redis users' passwords are written too, and
    `users.acl`, which is always written again.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = redis_users.write_users(folder)
    # readable by the containers' users; the folder keeps all others out
    for name in ("users.acl", "redis-probe-password"):
        (folder / name).chmod(0o644)
    changed = []
    for name, text in render_secrets(passwords).items():
        file = folder / name
        wanted = _with_password(file, passwords) if file.exists() else text
        if not file.exists() or file.read_text() != wanted:
            file.write_text(wanted)
            file.chmod(0o644)
            changed.append(name)
    return changed


def _with_password(file: Path, passwords: dict[str, str]) -> str:
    """Return the file's text; of a URL with its user's password, whatever server it names."""
    text = file.read_text()
    if not file.name.endswith("-url"):
        return text
    return _PASSWORD.sub(passwords[file.name.split("-")[0]], text, count=1)


def main() -> None:
    """Write the files under deploy/secrets."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.secrets", description=__doc__)
    redis_users.add_rotation_arguments(parser)
    arguments = parser.parse_args()
    try:
        redis_users.change_passwords(FOLDER, arguments)
    except ValueError as error:
        parser.error(str(error))
    changed = write_secrets(FOLDER)
    print(f"{FOLDER}: {', '.join(changed) or 'all there already'}")


if __name__ == "__main__":
    main()
