"""Contents outside Redis: what is written before its row, goes with it, and is missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from shared.blobs.backend import BlobBackend
from shared.blobs.blob_store import open_backend
from shared.blobs.folder import FolderBackend
from shared.errors import BlobsUnavailable, NotFound
from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import keys
from shared.store.batch_store import BatchStore, Ending
from shared.store.blobs.contents import BlobContents
from shared.store.blobs.file_content import WrittenFile
from shared.store.blobs.sweeper import BlobSweeper
from shared.store.connection import connect
from shared.store.uploads.file_store import FileStore
from shared.store.uploads.image_store import ImageStore
from tests.support.harness import RedisServer
from tests.support.servers.bucket import Bucket, running_bucket, settings_of

IMAGE = StoredImage("img_" + "5" * 64, b"pixels" * 500, 4, 3, (4, 3), "PNG")
PIECES = [*(b"%d\n" % n * (n % 7 + 1) for n in range(500)), b"y" * 5_000_000, b"", b"end"]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with running_bucket(tmp_path_factory.mktemp("bucket")) as running:
        yield running


class Place:
    """A service's stores over one place for blobs, and the place itself."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        backend, contents = open_backend(settings), BlobContents.open(settings)
        assert backend is not None
        assert contents is not None
        self.backend: BlobBackend = backend
        self.contents = contents
        self.images = ImageStore(settings, blobs=contents)
        self.files = FileStore(settings, blobs=contents)
        self.sweeper = BlobSweeper(contents)

    def names(self, kind: str) -> list[str]:
        everything = self.backend.iter_older("", -60)
        return [name for some in everything for name in some if f"/{kind}/" in name]

    def image(self, tenant: str = "t") -> bytes | None:
        return self.images.pngs(tenant, [IMAGE.id])[0]


@pytest.fixture(params=["bucket", "folder"])
def place(
    request: pytest.FixtureRequest, redis_server: RedisServer, bucket: Bucket, tmp_path: Path
) -> Place:
    if request.param == "folder":
        return Place(Settings(redis_url=redis_server.url, blobs=f"file://{tmp_path}/blobs"))
    named = settings_of(bucket)
    prefix = f"{named['blobs']}/{time.monotonic_ns()}"
    return Place(Settings(redis_url=redis_server.url, **named | {"blobs": prefix}))


def test_a_blob_is_written_once_for_a_row_and_goes_with_it(
    place: Place, redis_server: RedisServer
) -> None:
    assert place.images.put("t", IMAGE, uploaded=True)
    assert place.images.put("t", IMAGE, job_id="job_1")
    assert place.images.put("other", IMAGE)
    assert len(set(place.names("images"))) == 2, "tenants share nothing"
    assert place.image() == place.image("other") == IMAGE.png
    row = redis_server.client().hgetall(keys.image("t", IMAGE.id))
    assert "png" not in row
    assert IMAGE.id[4:] not in row["blob"], "a name cannot be guessed from the pixels"
    place.images.delete("t", IMAGE.id)
    redis_server.client().pexpire(keys.image("other", IMAGE.id), 1)
    redis_server.client().zadd(
        keys.BLOBS, dict.fromkeys(redis_server.client().zrange(keys.BLOBS, 0, -1), 0)
    )
    place.sweeper.sweep()
    assert place.names("images") == []
    assert place.image() is None
    left = [keys.BLOBS, keys.BLOBS_DOOMED, keys.BLOB_ROWS]
    assert not redis_server.client().exists(*left), "nothing is kept of what is gone"


def test_a_file_is_read_by_its_pieces_and_as_a_whole(place: Place) -> None:
    file = place.files.put("t", "in.jsonl", "batch", PIECES, 3600)
    assert (file.bytes, file.pieces) == (len(b"".join(PIECES)), len(PIECES))
    assert place.files.read("t", file.id) == b"".join(PIECES)
    assert list(place.files.iter_pieces("t", file, 390)) == PIECES[390:]
    wanted = [0, 1, 5, 300, 499, 500, 501, 502]
    assert place.files.read_pieces("t", file.id, wanted) == [(n, PIECES[n]) for n in wanted]
    with pytest.raises(NotFound):
        place.files.read("other", file.id)
    place.files.delete("t", file.id)
    place.sweeper.sweep()
    assert place.names("files") == []


def test_the_results_of_a_batch_leave_redis_with_its_end(
    place: Place, redis_server: RedisServer
) -> None:
    redis = redis_server.client()
    batches = BatchStore(place.settings, connect(place.settings))
    names = ("endpoint", "input_file", "output_file", "error_file", "completion_window")
    created = batches.create("t", dict(zip(names, "abcde", strict=True)), 3600, None)
    batch = batches.take("pump")
    assert batch is not None
    assert batch.id == created.id
    assert batches.start(batch, "pump", 301)

    def move(number: int) -> WrittenFile | None:
        return place.files.move_pieces("t", "c", number, lambda: None)

    lines = [f"{number} \N{GREEK SMALL LETTER PI}\n" for number in range(300)]
    for number, line in enumerate(lines):
        assert batches.settle(batch, number, line, failed=False)
    killed, early = move(300), move(300)
    assert place.files.move_pieces("t", "c", 999, lambda: None) is None, "some are gone"
    lines.append("late\n")
    assert batches.settle(batch, 300, lines[-1], failed=False)
    assert batches.finish(batch, "pump", "completed", [], (early, None)) is Ending.STALE
    assert batches.finish(batch, "other", "completed", [], (move(301), None)) is Ending.LOST
    slow = move(301)
    assert slow is not None
    redis.zadd(keys.BLOBS, {slow.blob: 0})
    place.sweeper.sweep()
    assert batches.finish(batch, "pump", "completed", [], (slow, None)) is Ending.STALE
    with pytest.raises(NotFound):
        place.files.get("t", "c")
    assert batches.finish(batch, "pump", "completed", [], (move(301), None)) is Ending.ENDED
    file = place.files.get("t", "c")
    assert place.files.read("t", "c").decode() == "".join(lines)
    assert place.files.read_pieces("t", "c", [300]) == [(300, b"late\n")]
    assert (file.bytes, file.pieces) == (len("".join(lines).encode()), 301)
    assert not redis.exists(keys.file("t", "c") + keys.FILE_PIECES)
    assert 0 < redis.ttl(keys.file("t", "c") + keys.FILE_ENDS) <= redis.ttl(keys.file("t", "c"))
    # nothing but the file's own is left of what pumps wrote that did not come to their end
    assert killed is not None
    assert killed.blob in place.names("files")
    others = [name for name in place.names("files") if name != file.blob]
    redis.zadd(keys.BLOBS, dict.fromkeys(others, 0))
    place.sweeper.sweep()
    assert place.names("files") == [file.blob]
    place.files.delete("t", "c")
    place.sweeper.sweep()
    assert place.names("files") == []


def test_what_is_gone_or_changed_is_missed_and_comes_back_with_the_next_upload(
    place: Place, redis_server: RedisServer
) -> None:
    place.images.put("t", IMAGE, uploaded=True)
    file = place.files.put("t", "a", "batch", PIECES, 3600)
    place.backend.put(place.names("images")[0], b"others" * 500)
    place.backend.put(place.names("files")[0], b"x" * file.bytes)
    assert place.image() is None, "another content is no answer"
    with pytest.raises(NotFound):
        list(place.files.iter_pieces("t", file))
    place.backend.delete([*place.names("images"), *place.names("files")])
    assert place.image() is None
    with pytest.raises(NotFound):
        place.files.read("t", file.id)
    assert place.images.put("t", IMAGE, uploaded=True)
    assert place.image() == IMAGE.png
    # a folder that is not mounted, or the wrong bucket: everything seems to be gone
    place.backend.delete([place.contents.mark])
    place.backend.delete(place.names("images"))
    with pytest.raises(BlobsUnavailable, match="mark is missing"):
        place.image()
    with pytest.raises(BlobsUnavailable, match="mark is missing"):
        Place(place.settings).images.put("t", IMAGE)
    assert redis_server.client().exists(keys.image("t", IMAGE.id))


def test_what_a_killed_process_leaves_is_swept_and_no_late_row_gets_it(
    place: Place, redis_server: RedisServer
) -> None:
    # written, and killed before its row
    orphan = place.contents.write("images", keys.image("t", IMAGE.id), b"left")
    # written by a process whose Redis has lost its last second
    unknown = f"{place.contents.home}/images/unknown"
    place.backend.put(unknown, b"left")
    place.images.put("t", IMAGE)
    kept = [name for name in place.names("images") if name not in (orphan, unknown)]
    others = f"{'0' * 16}/images/of_another_service"
    place.backend.put(others, b"kept")
    place.sweeper.sweep()
    assert orphan in place.names("images"), "it may still get its row"
    redis_server.client().zadd(keys.BLOBS, {orphan: 0})
    assert place.sweeper.find_unknown(-60) == 1
    contents = BlobContents.open(place.settings)
    assert contents is not None
    for sweeper in (place.sweeper, BlobSweeper(contents)):
        sweeper.sweep()
    assert sorted(place.names("images")) == sorted([*kept, others])
    # a process that was frozen between its blob and its row
    slow = place.contents.announce("images", keys.image("slow", IMAGE.id))
    redis_server.client().zadd(keys.BLOBS, {slow: 0})
    place.sweeper.sweep()
    fields = ("blob", slow, "sum", 4, "")
    assert (
        place.images._contents._put(
            keys=[keys.image("slow", IMAGE.id)], args=[1000, "", "", *fields, "width", 4]
        )
        == -1
    )
    assert not redis_server.client().exists(keys.image("slow", IMAGE.id))


def test_what_lies_in_redis_is_read_there_until_it_expires(
    place: Place, redis_server: RedisServer
) -> None:
    before = Settings(redis_url=redis_server.url)
    ImageStore(before).put("t", IMAGE, uploaded=True)
    old = FileStore(before).put("t", "a", "batch", PIECES, 3600)
    assert place.image() == IMAGE.png
    assert place.files.read("t", old.id) == b"".join(PIECES)
    assert place.images.put("t", IMAGE)
    assert place.names("images") == []
    # and the other way: a process without the setting says so instead of calling it gone
    place.images.put("new", IMAGE)
    with pytest.raises(BlobsUnavailable):
        ImageStore(before).pngs("new", [IMAGE.id])
    ImageStore(before).put("new", IMAGE)
    assert ImageStore(before).pngs("new", [IMAGE.id]) == [IMAGE.png]


def test_a_store_that_is_down_or_silent_is_told_of_and_nothing_is_lost(
    redis_server: RedisServer, bucket: Bucket
) -> None:
    named = settings_of(bucket) | {"blobs": f"s3://contents/{time.monotonic_ns()}"}
    place = Place(Settings(redis_url=redis_server.url, blobs_timeout_s=2, **named))
    place.images.put("t", IMAGE, uploaded=True)
    place.images.delete("t", IMAGE.id)
    bucket.door.shut()
    with pytest.raises(BlobsUnavailable):
        place.images.put("t", IMAGE)
    with pytest.raises(BlobsUnavailable):
        place.sweeper._delete_some()
    place.sweeper._probe()
    assert place.contents.store.refusal
    bucket.door.open()
    bucket.freeze()
    try:
        with pytest.raises(BlobsUnavailable):
            place.images.put("t", IMAGE)
        place.contents.store.alarm.set()
        place.sweeper.sweep()
        assert place.contents.store.refusal, "a frozen store is down as well"
    finally:
        bucket.thaw()
    place.contents.store.alarm.set()
    # of another place that was used before
    client = redis_server.client()
    client.zadd(keys.BLOBS_DOOMED, {"elsewhere/images/a": 0})
    client.zadd(keys.BLOBS_DOOMED, dict.fromkeys(client.zrange(keys.BLOBS_DOOMED, 0, -1), 0))
    place.sweeper.sweep()
    assert place.contents.store.refusal is None
    assert client.zrange(keys.BLOBS_DOOMED, 0, -1) == ["elsewhere/images/a"]
    assert place.images.put("t", IMAGE)
    assert place.image() == IMAGE.png
    figures = redis_server.client().hgetall(keys.FIGURES)
    assert any(name.startswith("blob_requests|") and "failed" in name for name in figures)


def test_a_folder_shows_no_half_blob(tmp_path: Path) -> None:
    backend = FolderBackend(str(tmp_path))
    writer = backend.open_writer("home/files/a")
    writer.write(b"half")
    assert backend.size("home/files/a") is None
    [[draft]] = backend.iter_older("home", -60)
    assert draft.endswith(".part")
    writer.abandon()
    assert list(backend.iter_older("home", -60)) == []


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3://a b", "s3://b/../c", "file://relative", "file:///", "file:///a/../b", "gs://b"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="blobs"):
        Settings(blobs=url)


@pytest.mark.long
def test_large_files_reach_a_bucket_in_parts(redis_server: RedisServer, bucket: Bucket) -> None:
    place = Place(Settings(redis_url=redis_server.url, **settings_of(bucket)))
    large = [bytes([n]) * (9 << 20) for n in range(9)]
    file = place.files.put("t", "large", "batch", large, 3600)
    assert [len(piece) for piece in place.files.iter_pieces("t", file)] == [9 << 20] * 9
    assert place.files.read_pieces("t", file.id, [8]) == [(8, large[8])]
    assert obstore.head(bucket.store, f"sightline/{file.blob}")["size"] == 81 << 20
