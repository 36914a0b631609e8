"""The name of every key that we keep in Redis; no other module names one."""

from __future__ import annotations

import re

PREFIX = "sl:"
#: Of what only the gateway needs: a worker's Redis user may be kept from it.
_GATE_PREFIX = "slk:"

#: Hash: one job. The only truth about it.
JOB = PREFIX + "job:"
#: Suffix of a job's event stream.
EVENTS = ":events"
#: Suffix of the list of a job's delivery ids.
JOB_DELIVERIES = ":deliveries"
#: Suffix of the text that an unfinished job's present attempt has streamed.
JOB_TEXT = ":text"
#: Suffixes of the counter of requests that waited for a job, and of the hash of those that wait
#: now; its field `left` names the one that left last.
JOB_WAITERS = ":waiters"
JOB_WAITING = ":waiting"
#: Suffix of a long job's hash: `id:<n>` names the child row of a tile, `out:<n>` is its outcome,
#: `by:<n>` the owner that it is from, `told:<n>` what it adds to the text that was streamed, and
#: `seam` what the next page must know of that text.
JOB_TILES = ":tiles"
#: Suffix of the set of the images that a job needs.
JOB_IMAGES = ":images"
#: Zset of long jobs that have tiles to queue, the one served longest ago first.
LONG = PREFIX + "long"
#: The same of one tenant, and zset of the tenants that have such jobs, in the same order.
LONG_OF = PREFIX + "long:of:"
LONG_TENANTS = PREFIX + "long:tenants"
#: Set of the children that are queued or running, and how many of them there may be.
TILES_LIVE = PREFIX + "tiles:live"
TILES_ROOM = PREFIX + "tiles:room"
#: Key that outlives an erased job, so that its id answers 410 and not 404.
GONE = PREFIX + "gone:"
#: Zset of all queued job ids by queue and number, which tells how full each queue is.
QUEUED = PREFIX + "queued"
#: Zset of queued job ids by the millisecond in which they were (last) queued.
QUEUED_SINCE = PREFIX + "queued:since"
#: Zset of queued job ids that may not start yet, by the millisecond from which they may; and of a
#: tenant's own, by their number. They stand in no line.
DEFERRED = PREFIX + "deferred"
TENANT_DEFERRED = PREFIX + "deferred:"
#: Counter that numbers jobs as they come.
SEQUENCE = PREFIX + "queued:sequence"
#: Hash: predicted busy milliseconds of all queued jobs, and how many they are.
BACKLOG = PREFIX + "queued:busy"
#: Hash preset ("ask" without one) -> moving average of the tokens of its answers.
ANSWERS = PREFIX + "answers"
#: The same of the steps that wrote them (guessed tokens take none), and hash of how many answers
#: were counted, up to those that an average remembers.
ANSWER_STEPS = PREFIX + "answers:steps"
ANSWERS_COUNTED = PREFIX + "answers:counted"
#: Hash: how jobs compared with their predictions, as counters; and list of the latest ratios,
#: of all jobs and, with the model's name behind, of each model.
PREDICTIONS = PREFIX + "predictions"
PREDICTIONS_RECENT = PREFIX + "predictions:recent"
#: Zset of a tenant's queued job ids in the order in which its turns take them.
LINE = PREFIX + "line:"
#: Zset of the tenants with queued jobs by the virtual time of their next turn.
TURNS = PREFIX + "turns"
#: Zset of tenants without queued jobs whose last turn still counts, by when the next may be.
TURNED = PREFIX + "turns:past"
#: Virtual time of the latest turn.
TURN = PREFIX + "turn"
#: Zset of the turns that are to come, one of each queued job, by their virtual time; and hash of
#: what it has of each line: virtual time of the first turn, length of one, and how many.
SLOTS = PREFIX + "turns:slots"
SLOTS_OF = PREFIX + "turns:slots_of"
#: What begins the name of the broker's queue that only the workers of a model read.
MODEL_QUEUE = "model."
#: Set of the pools of models in which jobs wait. What has a pool of its own has its name behind a
#: line break; the keys without one are of the pool that is for all workers.
POOLS = PREFIX + "pools"
#: String: a worker serves this model now; and zset of models by the second in which one did last.
SERVES = PREFIX + "serves:"
MODELS_SEEN = PREFIX + "models_seen"
#: String: this model has a worker, of an older version maybe, or had one a moment ago, so that what
#: was meant for it waits; and the model that was there before all others, for which the jobs of
#: older gateways are.
AWAITED = PREFIX + "awaited:"
FIRST_MODEL = PREFIX + "first_model"
#: Set of the row versions whose workers have passed over newer rows; and of such a version, hash
#: line -> the score up to which it can start nothing there.
PASSED = PREFIX + "passed"
PASSED_BY = PREFIX + "passed:"
#: Hash: where the next piece of a collection begins that is looked through bit by bit.
CURSORS = PREFIX + "cursors"
#: Hash tenant -> turns that it gets while others get one.
WEIGHTS = PREFIX + "weights"
#: Hash tenant -> seconds that what it leaves is kept at most.
RETENTION = PREFIX + "retention"
#: Hash: sums over a tenant's ended jobs; `<tenant>:<period>` follows, 2026-11-28 or 2026-11.
USAGE = PREFIX + "usage:"
#: Hash: what a tenant may use in a month, and who is told when that is nearly or all used.
BUDGET = PREFIX + "budget:"
#: Set of a tenant's unfinished job ids.
UNFINISHED = PREFIX + "unfinished:"
#: Zset of the tenants with unfinished jobs by the millisecond of the last look for vanished ones.
UNFINISHED_TENANTS = PREFIX + "unfinished_tenants"
#: String: the job that a claim of this owner got, in case its answer was lost.
CLAIMED = PREFIX + "claimed:"
#: Zset of running job ids by the millisecond in which their lease ends.
LEASES = PREFIX + "leases"
#: Zset of unfinished job ids by the millisecond after which they expire.
EXPIRY = PREFIX + "expiry"
#: Millisecond of the last look for expired leases.
REAPED_AT = PREFIX + "reaped_at"
#: List that never exists: an addition to it shows whether Redis takes writes.
WRITE_PROBE = PREFIX + "write_probe"
#: Key that is written behind a change that replicas must confirm.
REPLICATION_FENCE = PREFIX + "fence"
#: Lock that lets one process at a time compare rows with doorbells.
RECONCILE_LOCK = PREFIX + "reconcile:lock"
#: Hash: what a tenant has used in this minute and in the last; `<kind>:<tenant>` follows.
RATE = PREFIX + "rate:"
#: Zset of a tenant's job ids by the number in which they came.
TENANT_JOBS = PREFIX + "jobs:"
#: Suffixes of its parts: jobs that were cut into tiles and have not ended, the jobs of a
#: conversation, and (with the status after a slash) the jobs that have ended with a status.
JOBS_SPLIT = "/split"
JOBS_OF_SESSION = "/session/"
#: Suffix of what was unfiled in all indexes when those of the tenant were complete.
JOBS_FILED_AT = "/filed"
#: Of all tenants, for operators: zset of the latest jobs that ended with a status, which follows,
#: by the millisecond of their end; and of the jobs that were cut and have not ended, by start.
ENDED = PREFIX + "ended:"
SPLIT = PREFIX + "split"
#: Zset of one point a minute, by its number since 1970: how full the queue was, and the counters.
QUEUE_HISTORY = PREFIX + "queue_history"
#: String that asks a worker to take no more jobs.
DRAIN = PREFIX + "drain:"
#: Hash: idempotency key -> job id and body fingerprint.
IDEMPOTENCY = PREFIX + "idem:"
#: Hash: a canonical image.
IMAGE = PREFIX + "img:"
#: Hash: a document; its life is that of an image, with the same suffixes.
DOCUMENT = PREFIX + "doc:"
#: Suffix of the set of job ids that need an image.
IMAGE_JOBS = ":jobs"
#: Suffix of the zset of all who need an image, by the millisecond until which they do: job ids,
#: keys of conversations, and requests that are about to store a job.
IMAGE_USERS = ":users"
#: Hash: a conversation; its suffixes name the list of its turns and the set of its images, and
#: begin with what no id contains, or one conversation could be the turns of another.
SESSION = PREFIX + "session:"
SESSION_TURNS = "/turns"
SESSION_IMAGES = "/images"
#: Zset of a tenant's session ids by the millisecond of their last use.
TENANT_SESSIONS = PREFIX + "sessions:"
#: Hash: a group of jobs; its suffixes name the zsets of its jobs by number, of those that have not
#: ended by the score by which they are taken, and of those that failed and were not retried.
GROUP = PREFIX + "group:"
GROUP_JOBS = "/jobs"
GROUP_OPEN = "/open"
GROUP_FAILED = "/failed"
#: Zset of a tenant's group ids by the millisecond of their last job.
TENANT_GROUPS = PREFIX + "groups:"
#: Zset of the groups (`<tenant>:<id>`) with unfinished jobs by the last look for ended ones.
GROUPS_OPEN = PREFIX + "groups_open"
#: Hash: a file that a caller stored, or that a batch wrote; its suffix names the hash of its
#: pieces by number, which are lines where it has lines.
FILE = PREFIX + "file:"
FILE_PIECES = "/pieces"
#: Suffix of the string of where its pieces end, 8 bytes each, if its content is a blob.
FILE_ENDS = "/ends"
#: String: the file that a link opens for whoever has it, as `<tenant> <id>`.
FILE_LINK = PREFIX + "filelink:"
#: Hash: an upload that its caller sends to the blob store itself.
DIRECT_UPLOAD = PREFIX + "upload:"
#: Zset of a tenant's file ids by the millisecond of their making.
TENANT_FILES = PREFIX + "files:"
#: Hash: a batch; its suffixes name the hash line -> job of those in hand, and the bits of the lines
#: that have their result.
BATCH = PREFIX + "batch:"
BATCH_OPEN = "/open"
BATCH_SETTLED = "/settled"
#: Zset of unfinished batches (`<tenant>:<id>`) by the millisecond in which they need a pump.
BATCHES_DUE = PREFIX + "batches_due"
#: Zset of a tenant's batch ids by the millisecond of their making.
TENANT_BATCHES = PREFIX + "batches:"
#: Zset of the marks (`stored_file_mark`) of images and documents that were erased, by when.
ERASED_FILES = PREFIX + "erased_files"
#: Hash: address of a blob store -> the folder in it that is this service's, and the same with
#: "marked " before it -> whether the folder has had its mark.
BLOB_HOMES = PREFIX + "blobs:homes"
#: Hash: name of a blob -> key of the row that it was written for; zset of the names by the
#: millisecond of the next look whether that row still has it, and of those that no row has, by
#: the millisecond in which they may be deleted.
BLOB_ROWS = PREFIX + "blobs:rows"
BLOBS = PREFIX + "blobs"
BLOBS_DOOMED = PREFIX + "blobs:doomed"
#: Lock that lets one process at a time list the whole blob store.
BLOBS_LIST_LOCK = PREFIX + "blobs:list_lock"
#: In the cache role, set of the keys of all features of one file, by the file's mark; and string:
#: the features of one picture of it, with a hash of what they are of behind a colon.
FEATURES = PREFIX + "features:"
#: Zset of feature keys by last use, and hash of their sizes with their sum under "".
FEATURES_USED = PREFIX + "features_used"
FEATURES_BYTES = PREFIX + "features_bytes"
#: Hash: one webhook delivery; its suffix names the list of its attempts.
DELIVERY = PREFIX + "delivery:"
DELIVERY_ATTEMPTS = ":attempts"
#: Hash: an endpoint (one origin of one tenant) and its health; its suffixes name the zsets of its
#: delivery ids that wait, by the millisecond of their next attempt, and of those that a courier
#: holds, by the millisecond in which its lease ends.
ENDPOINT = PREFIX + "endpoint:"
ENDPOINT_DUE = ":due"
ENDPOINT_HELD = ":held"
#: Zset of endpoint ids by the millisecond in which they next need a courier.
DELIVERIES = PREFIX + "deliveries"
#: List of at most one element that wakes a courier.
DELIVERIES_BELL = PREFIX + "deliveries:bell"
#: Zset of a tenant's failed delivery ids by the millisecond of their end.
FAILED_DELIVERIES = PREFIX + "deliveries:failed:"
#: Zset of a tenant's endpoint ids by their last use.
TENANT_ENDPOINTS = PREFIX + "endpoints:"
#: Zsets of endpoint ids whose breaker is open and that are disabled, by the millisecond in which
#: that ends or is forgotten.
ENDPOINTS_OPEN = PREFIX + "endpoints_open"
ENDPOINTS_DISABLED = PREFIX + "endpoints_disabled"
#: String: a webhook URL that has answered 410.
GONE_URL = PREFIX + "webhook_gone:"
#: Hash: what a tenant's webhooks are signed with.
WEBHOOK_SECRET = PREFIX + "webhook_secret:"
#: Zset of the ids of all API keys, revoked ones too, by the millisecond of their making.
API_KEYS = _GATE_PREFIX + "keys"
#: Hash: an API key, which is a tenant; its suffix names the zset of the hashes of its secrets.
API_KEY = _GATE_PREFIX + "key:"
API_KEY_SECRETS = ":secrets"
#: Hash: the secret with this sha256, as long as it opens the door.
API_SECRET = _GATE_PREFIX + "secret:"
#: Hash: name of a key that is not revoked -> its id.
API_KEY_NAMES = _GATE_PREFIX + "names"
#: Hash: one worker's heartbeat, with its rates.
WORKER = PREFIX + "worker:"
#: Zset of worker ids by the millisecond of their last heartbeat.
WORKERS = PREFIX + "workers"
#: What a starting worker does, and zset of the names of those that start.
STARTING_WORKER = PREFIX + "starting:"
STARTING = PREFIX + "starting"
#: Hash: monotonic counters.
COUNTERS = PREFIX + "counters"
#: Hash: sums and histograms over finished jobs; see job_metrics.py.
FIGURES = PREFIX + "figures"


def pooled(name: str, pool: str) -> str:
    """Return the key of what a pool has of a kind; see POOLS."""
    return f"{name}\n{pool}" if pool else name


def job(job_id: str) -> str:
    """Return the key of a job's row."""
    return JOB + job_id


def events(job_id: str) -> str:
    """Return the key of a job's event stream."""
    return JOB + job_id + EVENTS


def tenant_jobs(tenant: str) -> str:
    """Return the key of a tenant's index of jobs."""
    return TENANT_JOBS + tenant


def idempotency(tenant: str, key: str) -> str:
    """Return the key of one idempotency record."""
    return f"{IDEMPOTENCY}{tenant}:{key}"


def image(tenant: str, image_id: str) -> str:
    """Return the key of an image; `image_id` is `img_<sha256>`."""
    return f"{IMAGE}{tenant}:{image_id.removeprefix('img_')}"


def document(tenant: str, document_id: str) -> str:
    """Return the key of a document; `document_id` is `doc_<sha256>`."""
    return f"{DOCUMENT}{tenant}:{document_id.removeprefix('doc_')}"


def session(tenant: str, session_id: str) -> str:
    """Return the key of a conversation."""
    return f"{SESSION}{tenant}:{session_id}"


def file(tenant: str, file_id: str) -> str:
    """Return the key of a file."""
    return f"{FILE}{tenant}:{file_id}"


def direct_upload(tenant: str, upload_id: str) -> str:
    """Return the key of an upload to the blob store."""
    return f"{DIRECT_UPLOAD}{tenant}:{upload_id}"


def group(tenant: str, group_id: str) -> str:
    """Return the key of a group of jobs."""
    return f"{GROUP}{tenant}:{group_id}"


def batch(tenant: str, batch_id: str) -> str:
    """Return the key of a batch."""
    return f"{BATCH}{tenant}:{batch_id}"


def usage(tenant: str, period: str) -> str:
    """Return the key of what a tenant has used in a day or a month."""
    return f"{USAGE}{tenant}:{period}"


def tenant_sessions(tenant: str) -> str:
    """Return the key of a tenant's index of conversations."""
    return TENANT_SESSIONS + tenant


def worker(worker_id: str) -> str:
    """Return the key of a worker's heartbeat."""
    return WORKER + worker_id


def starting_worker(name: str) -> str:
    """Return the key of what a starting worker does; `name` is Celery's node name."""
    return STARTING_WORKER + name


#: A comment, a string, or a word that may be the name of a key.
_LUA_TOKEN = re.compile(r"--[^\n]*|'[^'\n]*'|\"[^\"\n]*\"|\b[A-Z][A-Z_]*\b")


def fill_in_names(script: str) -> str:
    """Return a Lua script with the constants above in the place of their names.

    They are no local variables of the script: Lua allows it 200, and the libraries need them.
    """
    names = {
        name: f"'{value}'"
        for name, value in globals().items()
        if name.isupper() and name[0] != "_" and isinstance(value, str)
    }
    return _LUA_TOKEN.sub(lambda match: names.get(match[0], match[0]), script)
