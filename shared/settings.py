"""Every setting: its name, default, bounds and meaning; read from SIGHTLINE_* variables.

`python -m shared.settings` prints all settings, where they come from, and warnings.
"""

from __future__ import annotations

import ipaddress
import json
import os
import runpy
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    AliasGenerator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from shared.addresses import parse_networks, parse_ports
from shared.blobs.address import BlobAddress
from shared.redis_url import SentinelUrl

#: The default model: the small one in this repository.
#: A path of letters, digits and marks that need no escape, without a slash at its end.
BASE_PATH_PATTERN = r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+"
BUNDLED_MODEL = str(Path(__file__).resolve().parent.parent / "demo" / "checkpoint")
#: Selects the engine without weights, for load tests and for trying an integration.
SIMULATED_MODEL = "simulated"

PREFIX = "SIGHTLINE_"
#: Variable of a folder with a file for each secret, as container engines mount them.
SECRETS_DIR = PREFIX + "SECRETS_DIR"

#: The alias that names the default model.
_DEFAULT_ALIAS = "default"

Numerics = Literal["auto", "bf16", "int8", "int4", "fp32"]
EngineName = Literal["auto", "transformers"]
#: The instruction sets of the compiled kernels, of each kind of machine the fastest first.
Instructions = Literal[
    "auto",
    "amx",
    "avx512-bf16",
    "avx512-vnni",
    "avx512",
    "avx2-vnni",
    "avx2",
    "neon-bf16",
    "neon-dotprod",
]


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _alias(name: str, *others: str) -> AliasChoices:
    return AliasChoices(PREFIX + name, *others)


def _split_names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def _parse_json_list(value: Any) -> Any:
    """Return the list of a JSON text; raises ValueError for text that is none."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a JSON list is needed, as in [0, 5, 30]") from None


def _parse_pairs(text: str) -> dict[str, str]:
    """Return the pairs of a text such as a=b,c=d; raises ValueError for what is none."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, mark, real = (piece.strip() for piece in part.partition("="))
        if not (mark and name and real):
            raise ValueError(f"{part!r} is not a pair such as gpt-4o=Qwen3-VL-2B")
        if pairs.setdefault(name, real) != real:
            raise ValueError(f"{name!r} has two meanings")
    return pairs


def secret_file(name: str, environ: Mapping[str, str]) -> Path | None:
    """Return the file that holds a setting's value instead of a variable, if there is one."""
    folder = environ.get(SECRETS_DIR)
    file = Path(folder) / name if folder else None
    return file if file and file.is_file() else None


class Settings(BaseSettings):
    """The configuration of one process; build it once and pass it on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        # so that errors name the variable
        alias_generator=AliasGenerator(validation_alias=lambda field: PREFIX + field.upper()),
    )

    # Redis
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=_alias("REDIS_URL", "REDIS_URL"),
        description="The queue role: jobs, images of unfinished jobs, events. AOF, noeviction. "
        "With Sentinel: redis+sentinel://host1:26379,host2:26379/service/0, or rediss+sentinel.",
    )
    cache_url: str | None = Field(
        None,
        description="The cache role: image features. Unset: the queue role's server. Several URLs, "
        "separated by spaces, share the images.",
    )
    redis_timeout_s: float = Field(
        5.0, gt=0, le=60, description="Timeout of one Redis command, seconds."
    )
    redis_wait: int = Field(
        0,
        ge=0,
        le=16,
        description="Replicas of the queue role that must have a job, or any other change that a "
        "caller asks for, before it is confirmed; 0: the master alone.",
    )
    redis_wait_s: float = Field(
        1.0,
        gt=0,
        le=10,
        description="Seconds that these replicas have for one change.",
    )
    redis_max_connections: int = Field(
        4096, ge=16, description="Connections per process; every open event stream uses one."
    )

    # large contents outside Redis
    blobs: str = Field(
        "",
        description="Where images, documents and files are kept: s3://bucket/prefix or "
        "file:///folder, which all processes must reach. Unset: in Redis.",
    )
    blobs_endpoint: str = Field(
        "",
        validation_alias=_alias("BLOBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        pattern=r"^(https?://[^\s/@?#]+/?)?$",
        description="Address of a bucket service other than AWS, as in http://minio:9000.",
    )
    blobs_region: str = Field(
        "",
        validation_alias=_alias("BLOBS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        pattern=r"^[A-Za-z0-9-]*$",
        description="Region of the bucket.",
    )
    blobs_path_style: bool | None = Field(
        None,
        description="Whether the bucket is named in the path of a URL and not in its host. Unset: "
        "only with an endpoint of your own.",
    )
    blobs_timeout_s: float = Field(
        20.0, gt=0, le=300, description="Timeout of one request to the blob store, seconds."
    )
    blobs_concurrency: int = Field(
        16, ge=1, le=256, description="Requests to the blob store at once, per gateway process."
    )

    blobs_direct: bool = Field(
        False,
        description="Let clients send to and read from the bucket themselves, by URLs that are "
        "signed for minutes.",
    )
    blobs_public_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s/@?#]+/?)?$",
        description="Address by which clients reach the bucket service, if it is another one.",
    )

    # gateway
    host: str = Field("127.0.0.1", description="Address that the gateway binds to.")
    port: int = Field(
        7860,
        ge=1,
        le=65535,
        validation_alias=_alias("PORT", "PORT"),
        description="Port that the gateway listens on.",
    )
    gateway_processes: int = Field(1, ge=1, le=64, description="gunicorn worker processes.")
    gateway_leave_s: float = Field(
        0.0,
        ge=0,
        le=60,
        description="How long a stopping gateway still takes requests while /healthz answers 503, "
        "so that a proxy sends them elsewhere.",
    )
    base_path: str = Field(
        "",
        pattern=rf"^({BASE_PATH_PATTERN})?$",
        description="Path of the host below which proxies offer the service, as in /sightline; all "
        "links begin with it.",
    )
    allow_anonymous: bool | None = Field(
        None,
        description="Serve callers without an API key. Unset: only on loopback until a key exists.",
    )
    metrics_token: str | None = Field(
        None, min_length=8, description="Bearer token required by /metrics; unset: none."
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies whose headers X-Forwarded-Proto, "
        "X-Forwarded-Prefix and SCRIPT_NAME are believed, as in 10.0.0.5,10.1.0.0/16; unset: "
        "none.",
    )
    allowed_hosts: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.\-, ]*$",
        description="Names beside that of SIGHTLINE_PUBLIC_URL by which browsers may reach a "
        "service without keys, as in vlm.lan,tower.local.",
    )
    cors_origins: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.\-:/*, \[\]]*$",
        description="Origins whose pages may use the API from a browser, as in "
        "https://chat.example,http://localhost:3000; `*` is any, for callers with a key.",
    )
    ping_s: float = Field(
        15.0, gt=0, le=300, description="Seconds between pings of an event stream."
    )
    max_wait_s: int = Field(60, ge=0, le=600, description="Maximum of Prefer: wait and ?wait=.")

    # limits of anonymous callers and of keys without their own; 0 is no limit
    limit_requests_per_minute: int = Field(
        0, ge=0, description="Requests that submit work, per minute."
    )
    limit_tokens_per_minute: int = Field(0, ge=0, description="Visual tokens of jobs per minute.")
    limit_in_flight: int = Field(0, ge=0, description="Unfinished jobs per key.")
    limit_queued: int = Field(0, ge=0, description="Jobs per key that wait for a worker.")
    limit_reads_per_minute: int = Field(
        3000, ge=0, description="Reading requests per minute, except those that follow one job."
    )

    # uploads
    upload_max_bytes: int = Field(20 << 20, ge=1024, description="Maximum size of an image file.")
    request_max_bytes: int = Field(64 << 20, ge=1024, description="Maximum size of a request body.")
    images_per_request: int = Field(8, ge=1, le=64, description="Maximum number of images per job.")
    image_max_pixels: int = Field(50_000_000, ge=1024, description="Maximum pixels of an image.")
    image_max_pixels_jpeg: int = Field(
        200_000_000,
        ge=1024,
        description="Maximum pixels of a baseline JPEG, which is reduced while decoding.",
    )
    image_max_side: int = Field(
        30_000, ge=64, description="Maximum side length of an image, pixels."
    )
    image_max_aspect: float = Field(
        2000.0,
        ge=1,
        description="Maximum ratio of longer to shorter side; above 200 images are cut into tiles.",
    )
    image_kept_pixels: int = Field(
        4_194_304, ge=65_536, description="Stored pixels per image; larger images are scaled down."
    )
    image_long_pixels: int = Field(
        40_000_000,
        ge=65_536,
        description="Stored pixels of an image that may be cut into tiles.",
    )
    decoder_children: int = Field(2, ge=1, le=32, description="Decoder processes per gateway.")
    decoder_timeout_s: float = Field(
        10.0, gt=0, le=120, description="Timeout for decoding an image, seconds."
    )
    decoder_memory_bytes: int = Field(
        1 << 30, ge=256 << 20, description="Memory limit for decoding an image."
    )
    document_max_bytes: int = Field(
        50 << 20, ge=1024, description="Maximum size of a document file."
    )
    document_max_pages: int = Field(
        1000, ge=1, le=10_000, description="Maximum number of pages of a document."
    )
    document_children: int = Field(
        1, ge=1, le=32, description="Processes that read documents, per gateway and per worker."
    )
    document_timeout_s: float = Field(
        20.0, gt=0, le=120, description="Timeout for reading or rendering a page, seconds."
    )
    document_memory_bytes: int = Field(
        1 << 30, ge=256 << 20, description="Memory limit for reading a document."
    )
    prompt_max_chars: int = Field(
        32_768, ge=1, description="Maximum length of a prompt, characters."
    )

    file_ttl_s: int = Field(
        7 * 86_400,
        ge=3600,
        description="How long files and ended batches are kept where nothing else is asked for.",
    )
    batch_lines_max: int = Field(
        50_000, ge=1, le=1_000_000, description="Maximum number of lines of a batch."
    )
    batch_jobs_max: int = Field(
        64, ge=1, le=4096, description="Maximum number of jobs that a batch has in hand."
    )
    answer_max_tokens: int = Field(
        8192, ge=1, le=131_072, description="Maximum length of an answer, tokens."
    )

    # URLs of callers: images and webhooks
    allow_nets: str = Field(
        "", description="Private networks that may be contacted, such as 10.1.0.0/16,fd00::/8."
    )
    allow_ports: str = Field(
        "80,443,8080,8443",
        description="Ports that may be contacted; ranges such as 8000-8999 are allowed.",
    )
    fetch_timeout_s: float = Field(
        15.0, gt=0, le=60, description="Total timeout for all image URLs of a request, seconds."
    )
    fetch_breaker_failures: int = Field(
        5, ge=1, description="Consecutive failures after which an image host is not contacted."
    )
    fetch_breaker_s: float = Field(
        10.0, gt=0, le=120, description="First pause, seconds; doubles with each further one."
    )

    contact: str = Field(
        "",
        max_length=200,
        pattern=r"^[ -'*-~]*$",
        description="Address or URL that hosts of images and receivers of webhooks see in "
        "User-Agent, as in admin@example.org.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of certificate authorities that image hosts, receivers of webhooks "
        "and servers of models may have, beside the public ones.",
    )

    # files of the operator
    rules_file: Path | None = Field(
        None, description="TOML or JSON file with your own rules for answers."
    )
    presets_file: Path | None = Field(None, description="TOML or JSON file with your own presets.")

    # timeouts of a client's connection
    headers_timeout_s: float = Field(
        10.0, gt=0, description="Timeout for a request's headers, seconds."
    )
    body_grace_s: float = Field(
        15.0,
        gt=0,
        description="Timeout for a request body, seconds; larger ones get more, by the rate below.",
    )
    body_min_bytes_s: float = Field(
        16_384.0, gt=0, description="Minimum rate of a request body, bytes per second."
    )
    body_timeout_s: float = Field(
        600.0, gt=0, description="Longest time for a request body, however large it is."
    )
    bodies_max_bytes: int | None = Field(
        None,
        ge=1024,
        description="Bytes of request bodies that a gateway process holds at once. Unset: four of "
        "request_max_bytes.",
    )
    write_timeout_s: float = Field(
        60.0,
        gt=0,
        description="Connections of clients that do not read their response close after this.",
    )

    # when new jobs are refused
    queue_max_wait_s: float = Field(
        600.0, gt=0, description="Jobs that would wait longer are refused with 503."
    )
    queue_max_jobs: int = Field(
        10_000,
        ge=1,
        description="Number of waiting jobs above which new ones are refused with 503.",
    )
    redis_soft_fullness: float = Field(
        0.70,
        gt=0,
        le=1,
        description="Used share of Redis' maxmemory above which separate uploads "
        "and low-priority jobs are refused.",
    )
    redis_fullness: float = Field(
        0.85,
        gt=0,
        le=1,
        description="Used share of Redis' maxmemory above which all new jobs are refused.",
    )

    # webhooks
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s]+[^\s/])?$",
        description="Public base URL of this service, used for URLs inside webhooks.",
    )
    webhook_timeout_s: float = Field(
        15.0, gt=0, le=60, description="Timeout of one attempt, seconds."
    )
    webhook_connect_s: float = Field(5.0, gt=0, le=60, description="Connection timeout, seconds.")
    webhook_grace_s: float = Field(
        5.0,
        ge=0.2,
        le=60,
        description="Seconds after an attempt's timeout before another courier tries.",
    )
    webhook_schedule_s: Annotated[
        tuple[float, ...], NoDecode, BeforeValidator(_parse_json_list)
    ] = Field(
        (0, 5, 30, 120, 600, 1800, 7200, 21_600, 43_200, 86_400),
        min_length=1,
        description="Delay before each attempt, seconds, ±20 %, as a JSON list.",
    )
    webhook_concurrency: int = Field(
        32, ge=1, le=512, description="Concurrent attempts per courier."
    )
    webhook_endpoint_concurrency: int = Field(
        4, ge=1, le=64, description="Concurrent attempts per host."
    )
    webhook_breaker_failures: int = Field(
        5, ge=1, description="Consecutive failures after which a host is paused."
    )
    webhook_breaker_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="First pause, seconds; grows to at most 600.",
    )
    webhook_disable_s: int = Field(
        432_000,
        ge=60,
        description="An endpoint is disabled after this many seconds of nothing but failures.",
    )
    webhook_rotation_s: int = Field(
        86_400,
        ge=0,
        description="How long a replaced secret still signs in addition to the new one.",
    )
    delivery_ttl_s: int = Field(
        259_200, ge=60, description="How long a finished delivery can be read and replayed."
    )

    # the life of a job
    lease_s: float = Field(
        8.0, ge=1, le=600, description="A worker that sends no beat for this long loses its jobs."
    )
    beat_s: float = Field(0.5, ge=0.05, le=60, description="Seconds between a worker's beats.")
    reap_s: float = Field(
        1.0, ge=0.05, le=60, description="Seconds between checks for expired leases."
    )
    reconcile_s: float = Field(
        5.0,
        ge=0.1,
        le=600,
        description="Jobs queued longer than this are checked for a lost doorbell message.",
    )
    max_attempts: int = Field(3, ge=1, le=20, description="Starts before a job fails as poison.")
    job_ttl_s: int = Field(86_400, ge=60, le=30 * 86_400, description="Default lifetime of a job.")
    job_ttl_max_s: int = Field(7 * 86_400, ge=60, description="Maximum ttl_s of a request.")
    job_timeout_s: float = Field(900.0, gt=0, description="Maximum duration of one attempt.")
    watchdog_grace_s: float = Field(
        30.0, gt=0, description="A worker that exceeds job_timeout_s by this kills itself."
    )
    drain_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description="How long a stopping worker may finish its jobs before it hands them back.",
    )
    image_ttl_s: int = Field(86_400, ge=60, description="Lifetime of an image that no job needs.")
    idempotency_ttl_s: int = Field(
        86_400, ge=60, description="How long an Idempotency-Key is valid."
    )
    erased_ttl_s: int = Field(
        7 * 86_400, ge=60, description="How long reads of an erased job return 410."
    )
    session_ttl_s: int = Field(
        86_400, ge=60, description="Lifetime of a conversation after its last turn."
    )
    session_turns_max: int = Field(
        200, ge=1, description="Maximum number of turns per conversation."
    )
    events_max: int = Field(10_000, ge=100, description="Maximum number of events kept per job.")

    # models
    default_model: str | None = Field(
        None,
        description="The model of requests that name none. Unset: the only one that is served; "
        "while several are, requests must name one.",
    )
    model_aliases: str = Field(
        "",
        description="Other names of models, such as gpt-4o=Qwen3-VL-2B,fast=demo. Requests for a "
        "model that is named here wait while it has no workers.",
    )

    # worker
    model: str = Field(
        BUNDLED_MODEL,
        validation_alias=_alias("MODEL", "MODEL"),
        description="A folder, a Hugging Face model ID, modelscope:OWNER/NAME, or 'simulated'. "
        "Unset: the bundled model.",
    )
    model_revision: str = Field(
        "",
        pattern=r"^(\w[\w.+-]*(/\w[\w.+-]*)*)?$",
        description="Branch, tag or commit of a model that is downloaded. Unset: the newest one at "
        "the first download, which is then kept.",
    )
    weights_dir: Path | None = Field(
        None,
        description="Folder for downloaded models, which several workers may share. Unset: the "
        "caches of huggingface_hub and ModelScope.",
    )
    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^@,=\s][^@,=\x00-\x1f]*$",
        description="Name under which requests ask for this worker's model. Unset: that of its "
        "checkpoint.",
    )
    engine: EngineName = Field(
        "auto",
        description="What computes the model. 'auto' is our own engine, for Qwen3-VL; "
        "'transformers' is the generic one: slower, one request at a time, for any "
        "image-text-to-text model of that library.",
    )
    trust_remote_code: bool = Field(
        False,
        description="Let the generic engine run Python code that a checkpoint brings along, with "
        "all rights of the worker.",
    )
    numerics: Numerics = Field(
        "auto",
        description="Arithmetic of the model's linear layers. 'auto' is what the checkpoint names, "
        "else the fastest that is about as right as 'bf16' on this CPU: 'int8', or 'bf16' itself.",
    )
    native_kernels: bool = Field(
        True, description="Use compiled kernels if the CPU and a compiler allow it."
    )
    speculation: bool = Field(
        True,
        description="Guess an answer's next tokens from reference texts and from what was written "
        "before, and let the model check several at once: answers are the same and come faster.",
    )
    instructions: Instructions = Field(
        "auto", description="The fastest instructions that compiled kernels may use."
    )
    threads: int = Field(
        default_factory=_available_cores, ge=1, description="Cores used by the model."
    )
    slots: int = Field(8, ge=1, le=128, description="Jobs that a worker runs at once (-c).")
    kv_max_bytes: int = Field(
        2 << 30,
        ge=1 << 20,
        description="Memory for keys and values of running and idle conversations.",
    )
    work_max_bytes: int | None = Field(
        None,
        ge=1 << 20,
        description="Memory for patches, features and encoding of running requests. Unset: what "
        "the machine or container has left after keys, values and cached features.",
    )
    features_ram_bytes: int = Field(
        256 << 20, ge=0, description="Memory for image features in a worker."
    )
    features_ttl_s: int = Field(
        3600, ge=60, description="Lifetime of image features in Redis after their last use."
    )
    features_redis_bytes: int = Field(
        1 << 30, ge=0, description="Image features stored in each cache server; 0 stores none."
    )
    second_reader: bool = Field(
        True,
        description="Load the second reader where the extra [reader] is installed: it reads text "
        "beside the model, for jobs with reader=second or both.",
    )
    reader_threads: int | None = Field(
        None, ge=1, description="Cores used by the second reader. Unset: as many as by the model."
    )
    heartbeat_ttl_s: float = Field(
        10.0, ge=2, description="A worker counts as alive this long after a heartbeat."
    )
    sign_of_life: Path | None = Field(
        None,
        description="File that a worker or courier touches with each heartbeat Redis accepted; "
        "health checks look at its age.",
    )
    simulated_image_s: float = Field(0.2, ge=0, description="Simulated seconds per image.")
    simulated_token_s: float = Field(0.02, ge=0, description="Simulated seconds per token.")

    # traces and logs
    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="OTLP/HTTP endpoint for traces, such as http://collector:4318; unset: none.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias=_alias("LOG_LEVEL", "LOG_LEVEL"),
        description="Minimum level of log messages.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto",
        validation_alias=_alias("LOG_FORMAT", "LOG_FORMAT"),
        description="Form of log messages on stderr: JSON, or short lines; auto: short lines on a "
        "terminal. The log file has JSON.",
    )
    audit_log: str | None = Field(
        None,
        description="File to which the gateway and `sightline-admin` append a JSON line for each "
        "request to the API and each change of a key: who did what, without content; `-` is the "
        "standard output.",
    )
    log_file: Path | None = Field(
        None, validation_alias=_alias("LOG_FILE", "LOG_FILE"), description="Also log to this file."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `make up` reads that file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - of a folder set in code
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables first, then the files of secrets."""
        folder = os.environ.get(SECRETS_DIR)
        files = (SecretsSettingsSource(settings_cls, folder),) if folder else ()
        return init_settings, env_settings, *files

    @field_validator("allow_nets", "trusted_proxies")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("blobs")
    @classmethod
    def _blobs_have_an_address(cls, value: str) -> str:
        if value:
            BlobAddress.parse(value)
        return value

    @field_validator("redis_url", "cache_url")
    @classmethod
    def _redis_urls_are_urls(cls, value: str | None) -> str | None:
        for url in (value or "").split():
            SentinelUrl.parse(url)
        return value

    @field_validator("allow_ports")
    @classmethod
    def _ports_are_ports(cls, value: str) -> str:
        parse_ports(value)
        return value

    @field_validator("ca_file")
    @classmethod
    def _authorities_are_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context().load_verify_locations(value)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"{value} has no certificates in PEM form: {error}") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for origin in _split_names(value):
            parts = urlsplit(origin)
            is_origin = parts.scheme in ("http", "https") and parts.netloc and not parts.path
            if origin != "*" and not is_origin:
                raise ValueError(f"{origin!r} is not an origin such as https://chat.example")
        return value

    @model_validator(mode="after")
    def _lease_outlives_beats(self) -> Self:
        if self.lease_s < 3 * self.beat_s:
            raise ValueError(
                f"{PREFIX}LEASE_S must be at least three times {PREFIX}BEAT_S: "
                f"{self.lease_s:g} and {self.beat_s:g}"
            )
        return self

    @model_validator(mode="after")
    def _bodies_hold_the_largest(self) -> Self:
        if self.body_budget_bytes < self.request_max_bytes:
            raise ValueError("bodies_max_bytes must be at least request_max_bytes")
        return self

    @model_validator(mode="after")
    def _aliases_name_models(self) -> Self:
        pairs = _parse_pairs(self.model_aliases)
        for alias, real in pairs.items():
            if real in pairs:
                raise ValueError(f"{PREFIX}MODEL_ALIASES: {alias!r} means another alias, {real!r}")
        default = pairs.get(_DEFAULT_ALIAS)
        if default and self.default_model not in (None, default):
            raise ValueError(f"{PREFIX}DEFAULT_MODEL and the alias default differ")
        return self

    @property
    def aliases(self) -> Mapping[str, str]:
        """Return other names of models, but for the default's."""
        pairs = _parse_pairs(self.model_aliases)
        return {alias: real for alias, real in pairs.items() if alias != _DEFAULT_ALIAS}

    @property
    def default_name(self) -> str:
        """Return the model of requests that name none; "" for whichever is served."""
        pairs = _parse_pairs(self.model_aliases)
        default = self.default_model or pairs.get(_DEFAULT_ALIAS) or ""
        return pairs.get(default, default)

    @property
    def jobs_at_once(self) -> int:
        """Return how many jobs a worker runs at once: the generic engine does one by one."""
        return 1 if self.generic else self.slots

    @property
    def generic(self) -> bool:
        """Tell whether the generic engine computes the model."""
        return self.engine == "transformers" and self.model != SIMULATED_MODEL

    @property
    def blobs_in_path(self) -> bool:
        """Tell whether URLs name the bucket in their path."""
        return bool(self.blobs_endpoint) if self.blobs_path_style is None else self.blobs_path_style

    @property
    def cors_origin_list(self) -> list[str]:
        """Return the origins whose pages may use the API, in lower case."""
        return _split_names(self.cors_origins)

    def user_agent(self, name: str) -> str:
        """Return the User-Agent of a part of the service, with the contact."""
        return f"{name} ({self.contact})" if self.contact else name

    @property
    def body_budget_bytes(self) -> int:
        """Return the bytes of request bodies that a gateway process holds at once."""
        return self.bodies_max_bytes or 4 * self.request_max_bytes

    @property
    def cache_urls(self) -> tuple[str, ...]:
        """Return the servers of the cache role, at least one."""
        return tuple((self.cache_url or "").split()) or (self.redis_url,)

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach the gateway."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


if __name__ == "__main__":
    # by name: an import here would make every module that reads settings depend on Redis
    runpy.run_module("shared.config_check", run_name="__main__")
