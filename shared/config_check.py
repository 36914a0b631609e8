"""What is set, where it comes from, and what about it is unwise."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo

from shared.errors import StoreUnavailable
from shared.settings import PREFIX, SECRETS_DIR, Settings, secret_file
from shared.store.redis_info import RedisState, redis_state, roles
from shared.system_memory import owned_bytes

#: Variables with our prefix that `make up` and the client read, and that are no settings.
_OTHERS = {
    SECRETS_DIR,
    *(PREFIX + name for name in ("FLOWER_PORT", "RUN_DIR", "URL", "API_KEY", "WEBHOOK_SECRET")),
}
#: Read as `make up` reads it: below the environment.
DOTENV = Path(".env")
_SECRET = re.compile("token|secret|password")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting as it is in force."""

    name: str
    value: str
    source: str


def settings_in_force(
    settings: Settings, environ: Mapping[str, str], from_file: Mapping[str, str]
) -> Iterator[EffectiveSetting]:
    """Yield every setting with its source; passwords are not shown.

    `environ` holds all variables, `from_file` those of them that come from the file `.env`.
    """
    for field, info in Settings.model_fields.items():
        names = variables(field, info)
        value = _shown(field, getattr(settings, field))
        yield EffectiveSetting(names[0], value, _source(names, environ, from_file))


def variables(field: str, info: FieldInfo) -> list[str]:
    """Return the variables that a setting is read from, in their order."""
    if isinstance(info.validation_alias, AliasChoices):
        return [str(choice) for choice in info.validation_alias.choices]
    return [PREFIX + field.upper()]


def _source(names: list[str], environ: Mapping[str, str], from_file: Mapping[str, str]) -> str:
    for name in names:
        if name in environ:
            place = ".env" if name in from_file else "environment"
            return place if name.startswith(PREFIX) else f"{place} ({name})"
    for name in names:
        if file := secret_file(name, environ):
            return str(file)
    return "default"


def _shown(field: str, value: object) -> str:
    if value is None:
        return "-"
    if _SECRET.search(field):
        return "***"
    text = str(value)
    return " ".join(map(_veiled, text.split())) if field.endswith("_url") else text


def _veiled(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{place}"))


def advice(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what is unwise, a sentence each; asks the Redis servers."""
    yield from misspelt(environ)
    yield from of_exposure(settings)
    yield from of_machine(settings)
    for role, client in roles(settings).items():
        try:
            yield from of_redis(role, redis_state(client))
        except StoreUnavailable as error:
            yield f"the {role} Redis cannot be queried: {error.detail}"


def misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield variables that look like settings and are none."""
    known = {
        name for field, info in Settings.model_fields.items() for name in variables(field, info)
    }
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.upper() not in known | _OTHERS:
            yield f"{name} is not a known setting and has no effect; is it misspelt?"


def of_exposure(settings: Settings) -> Iterator[str]:
    """Yield what strangers could do."""
    if not settings.loopback and settings.allow_anonymous:
        yield f"other machines can reach {settings.host}, and anyone can use it without a key"
    if not settings.loopback and settings.metrics_token is None:
        yield "anyone who reaches the gateway can read /metrics: set SIGHTLINE_METRICS_TOKEN"
    if settings.log_level == "DEBUG":
        yield "at log level DEBUG the log may contain prompts"
    for name in ("redis_url", "cache_url"):
        for url in (getattr(settings, name) or "").split():
            parts = urlsplit(url)
            if parts.hostname and not _here(parts.hostname) and not parts.password:
                yield f"{name} points to {parts.hostname} without a password"
    if not settings.loopback and not settings.public_url:
        yield "without SIGHTLINE_PUBLIC_URL the URLs inside webhooks are only paths"


def _here(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def of_machine(settings: Settings) -> Iterator[str]:
    """Yield what this machine has not got."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if settings.threads > cores:
        yield (
            f"{settings.threads} threads on {cores} cores slow each other down: "
            "lower SIGHTLINE_THREADS"
        )
    memory = settings.kv_max_bytes + settings.features_ram_bytes
    if (owned := owned_bytes()) and memory > owned // 2:
        yield (
            f"kv_max_bytes and features_ram_bytes may take {memory >> 20} of {owned >> 20} MiB, "
            "in addition to the model's weights"
        )


def of_redis(role: str, state: RedisState) -> Iterator[str]:
    """Yield what a server of this role should do differently."""
    if role == "queue":
        if not state.aof:
            yield "the queue Redis has no append-only file: a restart loses all jobs"
        if state.policy != "noeviction":
            yield f"a full queue Redis drops jobs ({state.policy}; use noeviction)"
    elif not state.policy.startswith("allkeys"):
        yield f"a full cache Redis rejects features ({state.policy}; use allkeys-lfu)"
    if not state.max_bytes:
        yield f"the {role} Redis has no maxmemory: it grows until the machine kills it"
    elif state.used_bytes > 0.8 * state.max_bytes and role == "queue":
        yield f"the queue Redis is {state.used_bytes / state.max_bytes:.0%} full"
    if state.evicted_keys and role == "queue":
        yield f"the queue Redis has evicted {state.evicted_keys} keys"


def main() -> int:
    """Print the settings and the advice; return 2 if they cannot be read, 1 if unwise."""
    found = {k: v for k, v in dotenv_values(DOTENV).items() if v is not None}
    from_file = {name: value for name, value in found.items() if name not in os.environ}
    os.environ.update(from_file)
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            where = ".".join(map(str, fault["loc"])) or "settings"
            sys.stderr.write(f"{where}: {fault['msg']}\n")
        return 2
    lines = list(settings_in_force(settings, os.environ, from_file))
    width = max(len(line.name) for line in lines)
    for line in sorted(lines, key=lambda line: line.source == "default"):
        sys.stdout.write(f"{line.name:<{width}}  {line.value}  [{line.source}]\n")
    unwise = list(advice(settings, os.environ))
    sys.stdout.write("\n" + "".join(f"warning: {one}\n" for one in unwise))
    if not unwise:
        sys.stdout.write("no problems found\n")
    return 1 if unwise else 0


if __name__ == "__main__":
    sys.exit(main())
