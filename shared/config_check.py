"""The configuration check: the settings in force, their sources, and risks in them."""

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
from shared.system_memory import total_bytes

#: Variables with our prefix that `make up` and the client read; they are no settings.
_OTHERS = {
    SECRETS_DIR,
    *(PREFIX + name for name in ("FLOWER_PORT", "RUN_DIR", "URL", "API_KEY", "WEBHOOK_SECRET")),
}
#: Read as `make up` reads it: the environment overrides it.
DOTENV = Path(".env")
_SECRET = re.compile("token|secret|password")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting in force: its variable, its value as text, and its source."""

    name: str
    value: str
    source: str


def list_effective_settings(
    settings: Settings, environ: Mapping[str, str], from_file: Mapping[str, str]
) -> Iterator[EffectiveSetting]:
    """Yield every setting with its source; passwords and tokens are masked.

    `environ` holds all variables, `from_file` those of them that come from the file `.env`.
    """
    for field, info in Settings.model_fields.items():
        names = variable_names(field, info)
        value = _display(field, getattr(settings, field))
        yield EffectiveSetting(names[0], value, _source(names, environ, from_file))


def variable_names(field: str, info: FieldInfo) -> list[str]:
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


def _display(field: str, value: object) -> str:
    if value is None:
        return "-"
    if _SECRET.search(field):
        return "***"
    text = str(value)
    return " ".join(map(_without_password, text.split())) if field.endswith("_url") else text


def _without_password(url: str) -> str:
    """Return a URL with `***` for its password."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{place}"))


def check_settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each risk in the configuration; queries the Redis servers."""
    yield from find_misspelt(environ)
    yield from check_exposure(settings)
    yield from check_machine(settings)
    for role, client in roles(settings).items():
        try:
            yield from check_redis(role, redis_state(client))
        except StoreUnavailable as error:
            yield f"the {role} Redis cannot be asked: {error.detail}"


def find_misspelt(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each variable that looks like a setting and is none."""
    known = {
        name
        for field, info in Settings.model_fields.items()
        for name in variable_names(field, info)
    }
    for name in sorted(environ):
        if name.startswith(PREFIX) and name.upper() not in known | _OTHERS:
            yield f"{name} is no setting and does nothing; is it misspelt?"


def check_exposure(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each risk from other machines or from the log."""
    if not settings.loopback and settings.allow_anonymous:
        yield from _check_keyless(settings)
    if not settings.loopback and settings.metrics_token is None:
        yield "/metrics can be read by whoever reaches the gateway: set SIGHTLINE_METRICS_TOKEN"
    if settings.log_level == "DEBUG":
        yield "at log level DEBUG prompts may stand in the log"
    for name in ("redis_url", "cache_url"):
        for url in (getattr(settings, name) or "").split():
            parts = urlsplit(url)
            if parts.hostname and not _is_loopback(parts.hostname) and not parts.password:
                yield f"{name} names {parts.hostname} without a password"
    if not settings.loopback and not settings.public_url:
        yield "without SIGHTLINE_PUBLIC_URL the URLs inside webhooks are paths only"


def _check_keyless(settings: Settings) -> Iterator[str]:
    yield f"other machines reach {settings.host}, and everybody may use it without a key"
    if not settings.public_url and not settings.allowed_hosts:
        yield "it answers under addresses only: name its hosts in SIGHTLINE_ALLOWED_HOSTS"


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def check_machine(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each resource that this machine lacks."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if settings.threads > cores:
        yield (
            f"{settings.threads} threads on {cores} cores slow each other down: "
            "lower SIGHTLINE_THREADS"
        )
    memory = settings.kv_max_bytes + settings.features_ram_bytes
    if (total := total_bytes()) and memory > total // 2:
        yield (
            f"kv_max_bytes and features_ram_bytes may take {memory >> 20} of {total >> 20} MiB, "
            "beside the model's weights"
        )


def check_redis(role: str, state: RedisState) -> Iterator[str]:
    """Yield a sentence for each risk in the configuration of a Redis of this role."""
    if role == "queue":
        if not state.aof:
            yield "the queue Redis has no append-only file: its end loses all jobs (appendonly yes)"
        if state.policy != "noeviction":
            yield f"a full queue Redis throws jobs away ({state.policy}; use noeviction)"
    elif not state.policy.startswith("allkeys"):
        yield f"a full cache Redis refuses features ({state.policy}; use allkeys-lfu)"
    if not state.max_bytes:
        yield f"the {role} Redis has no maxmemory: it grows until the machine ends it"
    elif state.used_bytes > 0.8 * state.max_bytes and role == "queue":
        yield f"the queue Redis is {state.used_bytes / state.max_bytes:.0%} full"
    if state.evicted_keys and role == "queue":
        yield f"the queue Redis has thrown away {state.evicted_keys} keys"


def main() -> int:
    """Print the settings and the risks; return 2 if they are invalid, 1 if there are risks."""
    from_file = {
        name: value
        for name, value in dotenv_values(DOTENV).items()
        if value is not None and name not in os.environ
    }
    os.environ.update(from_file)
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            where = ".".join(map(str, fault["loc"])) or "settings"
            sys.stderr.write(f"{where}: {fault['msg']}\n")
        return 2
    effective = list(list_effective_settings(settings, os.environ, from_file))
    width = max(len(line.name) for line in effective)
    for line in sorted(effective, key=lambda line: line.source == "default"):
        sys.stdout.write(f"{line.name:<{width}}  {line.value}  [{line.source}]\n")
    risks = list(check_settings(settings, os.environ))
    sys.stdout.write("\n" + "".join(f"unwise: {risk}\n" for risk in risks))
    if not risks:
        sys.stdout.write("nothing unwise found\n")
    return 1 if risks else 0


if __name__ == "__main__":
    sys.exit(main())
