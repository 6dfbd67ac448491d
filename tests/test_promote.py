"""Copying releases between repositories: in memory, between directories, into buckets and between them."""

from __future__ import annotations

import base64
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import amend, artifact, edits, promote, publish, simple
from pypiprivate.edits import Target
from pypiprivate.errors import ArtifactDeleted, ArtifactExists, NotPublished, ProjectClosed, StorageError
from pypiprivate.model import Existing, File, Outcome
from pypiprivate.publish import Receipt
from pypiprivate.storage.base import Sent, Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .builders import make_sdist, make_wheel
from .faults import Answer, Fault, Proxy, let_through, proxy, refuse
from .repositories import (
    Observed,
    check_at_rest,
    check_never_torn,
    during,
    failing,
    filenames,
    in_turn,
    not_at_all,
    older_tool,
    orphans,
    put,
    record,
    snapshot,
)
from .servers import BUCKET, Server

YESTERDAY = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
TODAY = YESTERDAY + timedelta(days=1)
SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"
ONE = Target.parse("demo==1.0")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    for version in ("1.0", "1.1"):
        make_sdist(directory, "demo", version)
        make_wheel(directory, "demo", version, requires_python=">=3.10")
    make_sdist(directory / "rebuilt", "demo", "1.0", files={"new": b"new"})
    make_sdist(directory, "other", "1.0")
    return directory


def send(storage: Storage, *paths: Path) -> None:
    publish.publish([artifact.read(path) for path in paths], storage, clock=lambda: YESTERDAY, gather=in_turn)


def would_be_copied(source: Storage, target: Storage) -> tuple[Receipt, ...]:
    """Say what promoting would do."""
    return publish.preview(promote.offers(source, [ONE], gather=in_turn), target, gather=in_turn)


def copy(
    source: Storage, target: Storage, *targets: Target, existing: Existing = Existing.REFUSE, now: datetime = TODAY
) -> tuple[Receipt, ...]:
    """Promote, one request after another."""
    offers = promote.offers(source, targets or (ONE,), gather=in_turn)
    return publish.publish(
        offers, target, existing=existing, send=promote.send, clock=lambda: now, sleep=not_at_all, gather=in_turn
    )


@pytest.fixture
def staging(dist: Path) -> MemoryStorage:
    """A repository with two releases of demo, and another project."""
    storage = MemoryStorage()
    send(storage, *dist.glob("*.*"))
    return storage


def alike(source: Storage, target: Storage, project: str = "demo", version: str = "1.0") -> bool:
    """Whether a release has the same names, bytes, hashes and sidecars in both."""

    def of(storage: Storage) -> dict[str, object]:
        files = [file for file in record(storage, project).files if f"-{version}" in file.filename]
        return {file.filename: (bytes_of(storage, file), file.requires_python, file.core_metadata) for file in files}

    return of(source) == of(target) != {}


def bytes_of(storage: Storage, file: File) -> list[bytes]:
    sidecars = [f"demo/{file.key}.metadata"] if file.core_metadata else []
    return [b"".join(storage.read(key)) for key in (f"demo/{file.key}", *sidecars)]


# -- in memory ----------------------------------------------------------------------------------------------------------------


def test_the_same_bytes_arrive_with_the_time_of_the_promotion_and_the_original_one_kept(staging: MemoryStorage) -> None:
    production = MemoryStorage()
    receipts = copy(staging, production)
    check_at_rest(production)
    assert orphans(production) == []
    assert {(r.filename, r.outcome) for r in receipts} == {(SDIST, Outcome.PUBLISHED), (WHEEL, Outcome.PUBLISHED)}
    assert alike(staging, production)
    assert filenames(production, "demo") == [WHEEL, SDIST]
    for file in record(production, "demo").files:
        assert file.upload_time == "2026-11-22T12:00:00.000000Z"
        assert file.extra == {"_original-upload-time": "2026-11-21T12:00:00.000000Z"}


def test_through_several_repositories_the_very_first_time_is_kept(staging: MemoryStorage) -> None:
    middle, last = MemoryStorage(), MemoryStorage()
    copy(staging, middle)
    copy(middle, last, now=TODAY + timedelta(days=1))
    (file, _) = record(last, "demo").files
    assert (file.upload_time, file.extra["_original-upload-time"]) == (
        "2026-11-23T12:00:00.000000Z",
        "2026-11-21T12:00:00.000000Z",
    )


def test_a_second_promotion_writes_nothing(staging: MemoryStorage) -> None:
    production = MemoryStorage()
    copy(staging, production)
    copy(staging, production, now=TODAY + timedelta(days=1))  # which marks nothing, for nothing is written
    before = snapshot(production)
    receipts = copy(staging, production, ONE, ONE, now=TODAY + timedelta(days=2))
    assert [receipt.outcome for receipt in receipts] == [Outcome.PRESENT, Outcome.PRESENT]
    assert snapshot(production) == before


def test_several_releases_go_at_once(staging: MemoryStorage) -> None:
    production = MemoryStorage()
    copy(staging, production, *map(Target.parse, ("demo==1.0", "demo==1.1", "Other==1")))
    assert len(filenames(production, "demo")) == 4
    assert filenames(production, "other") == ["other-1.0.tar.gz"]


def test_a_release_appears_whole(staging: MemoryStorage) -> None:
    production, seen = MemoryStorage(), set()

    def look(_verb: str, _key: str) -> None:
        check_never_torn(production)
        stored = production.get("demo/index.json")
        seen.add(len(simple.project_from_json(stored.body, "demo").files) if stored else None)

    copy(staging, Observed(production, after=look))
    assert seen == {None, 2}


def test_a_preview_writes_nothing(staging: MemoryStorage) -> None:
    production = MemoryStorage()
    receipts = publish.preview(promote.offers(staging, [ONE]), production)
    assert [receipt.outcome for receipt in receipts] == [Outcome.PUBLISHED] * 2
    assert snapshot(production) == {}


def test_progress_is_told_of_every_byte(staging: MemoryStorage, dist: Path) -> None:
    told: list[int] = []

    def progress(_filename: str, _size: int) -> Sent:
        return told.append

    publish.publish(promote.offers(staging, [ONE]), MemoryStorage(), send=promote.send, progress=progress)
    assert sum(told) == sum((dist / name).stat().st_size for name in (SDIST, WHEEL))


# -- what is not promoted -----------------------------------------------------------------------------------------------------


def refused(source: Storage, words: str, target: Target = ONE) -> str:
    """Check that nothing arrives, and return the way out that is told."""
    production = MemoryStorage()
    with pytest.raises(NotPublished, match=words) as caught:
        copy(source, production, Target.parse("demo==1.1"), target)
    assert snapshot(production) == {}
    return caught.value.hint


def test_what_is_not_there_is_not_promoted(staging: MemoryStorage) -> None:
    assert "There are 1.1, 1.0" in refused(staging, r"no demo 3\.0", Target.parse("demo==3.0"))
    assert "Did you mean demo?" in refused(staging, "no project demos", Target.parse("demos==1.0"))


def test_what_is_yanked_even_in_part_is_not_promoted(staging: MemoryStorage) -> None:
    amend.amend(staging, "demo", edits.yank(ONE, filenames=[WHEEL]))
    assert "Unyank" in refused(staging, rf"^demo 1\.0 is yanked in memory:\S+ \({WHEEL}\), and what is yanked is not promoted\.$")


def test_what_is_quarantined_is_not_promoted_and_what_is_archived_is(staging: MemoryStorage) -> None:
    amend.amend(staging, "demo", edits.set_status("quarantined"))
    assert "demo is quarantined there" in refused(staging, "no file of demo 1.1 to promote")
    amend.amend(staging, "demo", edits.set_status("archived"))
    production = MemoryStorage()
    copy(staging, production)
    assert record(production, "demo").status.marker == "active"


def test_what_an_older_tool_published_is_adopted_first(dist: Path) -> None:
    older = MemoryStorage()
    older_tool(older, dist / SDIST, "demo")
    assert refused(older, "there is no record of demo in memory") == (
        "An older tool published it. Adopt it first: pypi-private adopt demo"
    )


def rewritten(storage: MemoryStorage, change: Callable[[File], File]) -> None:
    """Let another program change each file of the record."""
    project = record(storage, "demo")
    body = simple.project_to_json(replace(project, files=tuple(map(change, project.files))))
    put(storage, "demo/index.json", body)


def test_what_lies_elsewhere_or_has_no_sha256_is_not_promoted(staging: MemoryStorage) -> None:
    rewritten(staging, lambda file: replace(file, url=f"https://elsewhere.example/{file.url}"))
    refused(staging, "no copy of demo-1.1.* of which the record knows the sha256")
    rewritten(staging, lambda file: replace(file, hashes={"md5": "0" * 32}))
    refused(staging, "no copy of")


@pytest.mark.parametrize("url", ["./{}", "../demo/{}", "..", "./", "", "%00"])
def test_what_an_inherited_url_says_to_lie_nowhere_of_ours_is_not_promoted(staging: MemoryStorage, url: str) -> None:
    rewritten(staging, lambda file: replace(file, url=url.format(file.url)))
    refused(staging, "no copy of demo-1.1.* of which the record knows the sha256")


def test_what_requires_no_version_of_python_that_can_be_understood_is_not_promoted(staging: MemoryStorage) -> None:
    rewritten(staging, lambda file: replace(file, requires_python="banana"))
    assert "'banana'" in refused(staging, "no demo-1.1.* with a requires-python that can be understood")


def test_a_size_that_is_not_that_of_the_bytes_does_not_arrive(staging: MemoryStorage) -> None:
    rewritten(staging, lambda file: replace(file, size=5))
    production = MemoryStorage()
    with pytest.raises(StorageError, match="its bytes are not those that the record says"):
        copy(staging, production)
    assert production.get("demo/index.json") is None


def test_what_the_source_announces_and_is_not_copied_is_not_announced(staging: MemoryStorage) -> None:
    announced = {"dist-info-metadata": {"sha256": "0" * 64}, "provenance": "https://staging.example/p", "gpg-sig": True}
    rewritten(staging, lambda file: replace(file, extra={**file.extra, **announced}))
    production = MemoryStorage()
    copy(staging, production)
    assert {key for file in record(production, "demo").files for key in file.extra} == {"_original-upload-time"}


def test_a_sidecar_that_no_hash_vouches_for_is_left_behind(staging: MemoryStorage) -> None:
    for core_metadata in (True, {"md5": "0" * 32}):
        rewritten(staging, lambda file, value=core_metadata: replace(file, core_metadata=value))  # type: ignore[misc]
        production = MemoryStorage()
        copy(staging, production)
        check_at_rest(production)
        assert [file.core_metadata for file in record(production, "demo").files] == [False, False]


def test_a_time_that_the_source_does_not_say_is_not_made_up(staging: MemoryStorage) -> None:
    rewritten(staging, lambda file: replace(file, upload_time=None))
    production = MemoryStorage()
    copy(staging, production)
    assert [file.extra for file in record(production, "demo").files] == [{}, {}]


@pytest.mark.parametrize("ending", ["", ".metadata"])
def test_bytes_that_are_not_those_of_the_record_never_arrive(staging: MemoryStorage, ending: str) -> None:
    (key,) = [key for key in snapshot(staging) if key.endswith(WHEEL + ending)]
    put(staging, key, b"rotten")
    production = MemoryStorage()
    with pytest.raises(StorageError, match="its bytes are not those that the record says") as caught:
        copy(staging, production)
    assert caught.value.what == f"{staging.location}/{key}"
    assert "verify --deep" in caught.value.hint
    assert production.get("demo/index.json") is None


def test_an_object_that_is_gone_is_a_failure_of_the_store(staging: MemoryStorage) -> None:
    (key,) = [key for key in snapshot(staging) if key.endswith(SDIST) and "demo" in key and "1.0" in key]
    staging.delete(key)
    production = MemoryStorage()
    for act in (copy, would_be_copied):
        with pytest.raises(StorageError, match="the record lists it, and nothing lies there") as caught:
            act(staging, production)
        assert caught.value.what == f"{staging.location}/{key}"
        assert "verify" in caught.value.hint
    assert snapshot(production) == {}


def test_an_object_that_goes_while_it_is_promoted_is_a_failure_of_the_store(staging: MemoryStorage) -> None:
    (key,) = [key for key in snapshot(staging) if key.endswith(SDIST) and "demo" in key and "1.0" in key]
    production = MemoryStorage()
    with pytest.raises(StorageError, match="there is no such object"):
        copy(staging, Observed(production, before=lambda verb, _: staging.delete(key) if verb == "store" else None))
    assert production.get("demo/index.json") is None


def test_a_temporary_directory_that_is_full_or_missing_is_said(staging: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(StorageError, match="temporary directory, and that failed: No such file or directory") as caught:
        copy(staging, MemoryStorage())
    assert "TMPDIR" in caught.value.hint


# -- what the other one takes -------------------------------------------------------------------------------------------------


def test_other_bytes_there_are_refused_kept_or_replaced(staging: MemoryStorage, dist: Path) -> None:
    production = MemoryStorage()
    send(production, dist / "rebuilt" / SDIST)
    with pytest.raises(ArtifactExists):
        copy(staging, production)
    assert filenames(production, "demo") == [SDIST]
    receipts = copy(staging, production, existing=Existing.KEEP)
    assert [receipt.outcome for receipt in receipts] == [Outcome.PUBLISHED, Outcome.KEPT]
    receipts = copy(staging, production, existing=Existing.REPLACE, now=TODAY + timedelta(days=1))
    assert [receipt.outcome for receipt in receipts] == [Outcome.PRESENT, Outcome.REPLACED]
    assert alike(staging, production)
    check_at_rest(production)


@pytest.mark.parametrize("marker", ["archived", "quarantined"])
def test_a_closed_project_takes_none(staging: MemoryStorage, dist: Path, marker: str) -> None:
    production = MemoryStorage()
    send(production, dist / "demo-1.1.tar.gz")
    amend.amend(production, "demo", edits.set_status(marker))
    with pytest.raises(ProjectClosed, match=marker):
        copy(staging, production)
    check_at_rest(production)


def test_what_was_deleted_there_comes_back_as_the_same_bytes_only(staging: MemoryStorage, dist: Path) -> None:
    production = MemoryStorage()
    copy(staging, production)
    amend.remove(production, "demo", edits.delete(ONE, TODAY))
    copy(staging, production)
    assert alike(staging, production)
    check_at_rest(production)
    other = MemoryStorage()
    send(other, dist / "rebuilt" / SDIST)
    amend.remove(other, "demo", edits.delete(ONE, TODAY))
    with pytest.raises(ArtifactDeleted):
        copy(staging, other)


# -- crashes, and others beside -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_tears_nothing_and_the_same_command_again_ends_it(staging: MemoryStorage, when: str) -> None:
    for at in count():
        production = MemoryStorage()
        crashed = True
        try:
            copy(staging, failing(production, at, when=when))
            crashed = False
        except StorageError:
            check_never_torn(production)
            copy(staging, production, now=TODAY + timedelta(hours=1))
        check_at_rest(production)
        assert orphans(production) == []
        assert alike(staging, production)
        if not crashed:
            return


def test_a_publisher_and_a_deletion_beside_it_are_seen_by_it_or_come_after(staging: MemoryStorage, dist: Path) -> None:
    def publisher(storage: Storage) -> None:
        send(storage, dist / "demo-1.1.tar.gz")

    def deleter(storage: Storage) -> None:
        with suppress(NotPublished):
            amend.remove(storage, "demo", edits.delete(ONE, TODAY), sleep=not_at_all, gather=in_turn)

    for other in (publisher, deleter):
        for at in range(14):
            production = MemoryStorage()
            send(production, dist / SDIST)
            beside = during(production, at, lambda production=production, other=other: other(production))  # type: ignore[misc]
            copy(staging, Observed(beside, after=lambda _v, _k, p=production: check_never_torn(p)))  # type: ignore[misc]
            check_at_rest(production)
            assert other is deleter or len(filenames(production, "demo")) in (2, 3)


def test_a_source_that_loses_the_release_meanwhile_gives_all_of_it_or_nothing(staging: MemoryStorage) -> None:
    before = snapshot(staging)
    ends = set()
    for at in range(10):
        source, production = MemoryStorage(), MemoryStorage()
        for key, body in before.items():
            put(source, key, body)

        def deletes(source: MemoryStorage = source) -> None:
            amend.remove(source, "demo", edits.delete(ONE, TODAY))

        with suppress(StorageError, NotPublished):
            copy(during(source, at, deletes), production)
        check_never_torn(production)
        ends.add(len(record(production, "demo").files) if production.get("demo/index.json") else 0)
    assert ends == {0, 2}


# -- directories --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path, dist: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "staging")
    send(storage, *dist.glob("*.*"))
    return storage


def test_between_directories_a_file_is_read_where_it_lies(
    directory: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    production = LocalStorage(tmp_path / "production")
    copy(directory, production)
    check_at_rest(production)
    assert alike(directory, production)


def test_a_file_that_rots_in_its_directory_is_not_copied(directory: LocalStorage, tmp_path: Path) -> None:
    (file,) = [file for file in record(directory, "demo").files if file.filename == SDIST]
    (tmp_path / "staging/demo" / file.key).write_bytes(b"rotten")
    production = LocalStorage(tmp_path / "production")
    with pytest.raises(StorageError, match=SDIST):
        copy(directory, production)
    assert production.get("demo/index.json") is None


# -- buckets ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(seaweed: Server) -> Iterator[Proxy]:
    with proxy(seaweed.url) as running:
        yield running


def bucket(server: Server, *, through: Proxy | None = None) -> S3Storage:
    """A new repository in the bucket of a server."""
    return open_bucket(server.options(prefix=secrets.token_hex(8), endpoint=through.url if through else server.url))


def test_from_a_directory_into_a_bucket_and_back(directory: LocalStorage, seaweed: Server, tmp_path: Path) -> None:
    in_bucket, back = bucket(seaweed), LocalStorage(tmp_path / "back")
    copy(directory, in_bucket)
    check_at_rest(in_bucket)
    copy(in_bucket, back)
    check_at_rest(back)
    assert alike(directory, in_bucket)
    assert alike(directory, back)


def forget(watched: Proxy) -> None:
    """Begin to watch anew."""
    watched.requests.clear()
    watched.headers.clear()


def copies_of(watched: Proxy) -> list[str]:
    """Paths of the objects that the server was asked to make by copying."""
    pairs = zip(watched.requests, watched.headers, strict=True)
    return [path for (method, path), headers in pairs if method == "PUT" and "x-amz-copy-source" in headers]


def downloads_of(watched: Proxy) -> list[str]:
    return [path for method, path in watched.requests if method == "GET" and path.endswith((SDIST, WHEEL))]


def checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def knowing_the_digest(said: str) -> Fault:
    """The server says of an object what Amazon does: the digest that it computed."""

    def fault(client: Any, ask: Callable[[], Answer]) -> None:
        answer = ask()
        client.give(replace(answer, headers={**answer.headers, "x-amz-checksum-sha256": said}))

    return fault


def saying_the_digest(said: str) -> Fault:
    """The server answers a copy as Amazon does: with the digest of what it wrote."""

    def fault(client: Any, ask: Callable[[], Answer]) -> None:
        answer = ask()
        end = b"</CopyObjectResult>"
        assert end in answer.body
        more = answer.body.replace(end, b"<ChecksumSHA256>" + said.encode() + b"</ChecksumSHA256>" + end)
        client.give(replace(answer, body=more))

    return fault


@pytest.mark.parametrize("says", [True, False])
def test_between_buckets_the_store_copies_by_itself_what_it_knows_the_digest_of(
    dist: Path, seaweed: Server, watched: Proxy, says: bool
) -> None:
    source, target = bucket(seaweed, through=watched), bucket(seaweed, through=watched)
    send(source, dist / SDIST)
    forget(watched)
    (offer,) = promote.offers(source, [ONE])
    said = checksum((dist / SDIST).read_bytes())
    watched.at_random(knowing_the_digest(said), seed=1, share=1.0, method="HEAD", key=SDIST)
    watched.inject(saying_the_digest(said) if says else let_through, method="PUT")
    promote.send(offer, target, f"demo/k/{SDIST}", lambda _count: None)
    assert watched.is_spent()
    assert len(copies_of(watched)) == 1
    assert [headers["x-amz-copy-source-if-match"] for headers in watched.headers if "x-amz-copy-source" in headers]
    assert downloads_of(watched) == []
    assert b"".join(target.read(f"demo/k/{SDIST}")) == (dist / SDIST).read_bytes()


def test_a_copy_that_the_store_says_is_another_one_is_a_failure(dist: Path, seaweed: Server, watched: Proxy) -> None:
    source, target = bucket(seaweed, through=watched), bucket(seaweed, through=watched)
    send(source, dist / SDIST)
    watched.at_random(knowing_the_digest(checksum((dist / SDIST).read_bytes())), seed=1, share=1.0, method="HEAD", key=SDIST)
    watched.at_random(of_copies(saying_the_digest(checksum(b"other"))), seed=1, share=1.0, method="PUT")
    with pytest.raises(StorageError, match="what arrived is not what was copied"):
        copy(source, target)
    assert target.get("demo/index.json") is None


@pytest.mark.parametrize("checked", [{}, {"ChecksumAlgorithm": "SHA256"}])
def test_rotten_bytes_of_a_bucket_never_lie_under_the_key_of_the_true_ones(
    dist: Path, amazon: Server, checked: dict[str, str]
) -> None:
    """What we noted beside them, which says that they are the true ones, proves nothing."""
    source, target = bucket(amazon), bucket(amazon)
    send(source, dist / SDIST)
    (file,) = record(source, "demo").files
    amazon.client().put_object(
        Bucket=BUCKET, Key=f"{source._root}demo/{file.key}", Body=bytes(file.size), Metadata={"sha256": file.sha256}, **checked
    )
    seen: list[str] = []
    with pytest.raises(StorageError, match="its bytes are not those that the record says"):
        copy(source, Observed(target, after=lambda verb, key: seen.append(f"{verb} {key}")))
    (offer,) = promote.offers(source, [ONE])
    with pytest.raises(StorageError, match="its bytes are not those that the record says"):
        promote.send(offer, target, f"demo/{file.key}", lambda _count: None)
    assert [entry.key for entry in target.list("demo/")] == []


def test_a_store_that_computes_digests_copies_what_it_has_seen_to_be_true(dist: Path, amazon: Server) -> None:
    source, target = bucket(amazon), bucket(amazon)
    body = (dist / SDIST).read_bytes()
    client, key = amazon.client(), f"{source._root}demo/{SDIST}"
    sha256 = hashlib.sha256(body).hexdigest()
    client.put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumAlgorithm="SHA256")
    assert target.copy("demo/k", source, f"demo/{SDIST}", sha256=sha256)
    assert b"".join(target.read("demo/k")) == body
    assert not target.copy("demo/l", source, f"demo/{SDIST}", sha256="0" * 64)
    assert not target.copy("demo/l", source, "demo/nothing", sha256=sha256)
    assert target.stat("demo/l") is None


def of_copies(fault: Fault) -> Fault:
    """Let it go wrong with copies only."""

    def only(client: Any, ask: Callable[[], Answer]) -> None:
        (fault if "x-amz-copy-source" in client.headers else let_through)(client, ask)

    return only


@pytest.mark.parametrize(
    ("known", "fault", "asked"),
    [
        (False, let_through, 0),
        (True, refuse(403, "AccessDenied"), 2),
        (True, refuse(404, "NoSuchKey"), 2),
        (True, refuse(412, "PreconditionFailed"), 2),
        (True, refuse(501, "NotImplemented"), 2),
    ],
    ids=["knows no digest", "may not", "does not see it", "sees another one", "cannot"],
)
def test_where_it_does_not_the_bytes_are_streamed_and_checked(
    dist: Path, seaweed: Server, watched: Proxy, known: bool, fault: Fault, asked: int
) -> None:
    source, target = bucket(seaweed, through=watched), bucket(seaweed, through=watched)
    send(source, dist / SDIST, dist / WHEEL)
    for name in (SDIST, WHEEL) if known else ():
        told = knowing_the_digest(checksum((dist / name).read_bytes()))
        watched.at_random(told, seed=1, share=1.0, method="HEAD", key=f"{name}$")
    watched.at_random(of_copies(fault), seed=1, share=1.0, method="PUT")
    copy(source, target)
    check_at_rest(target)
    assert alike(source, target)
    assert len(copies_of(watched)) == asked
    assert len(downloads_of(watched)) >= 2


def test_between_stores_that_have_nothing_in_common_the_bytes_are_streamed(dist: Path, seaweed: Server, amazon: Server) -> None:
    source, target = bucket(seaweed), bucket(amazon)
    send(source, dist / SDIST, dist / WHEEL)
    copy(source, target)
    check_at_rest(target)
    assert alike(source, target)


def test_as_on_amazon_a_copy_has_digest_and_headers_of_its_own(dist: Path, amazon: Server) -> None:
    with proxy(amazon.url) as watched:
        source, target = bucket(amazon, through=watched), bucket(amazon, through=watched)
        send(source, dist / SDIST, dist / WHEEL)
        for file in record(source, "demo").files:  # which Amazon computes a digest of, because it is sent with one
            key, body = f"{source._root}demo/{file.key}", (dist / file.filename).read_bytes()
            amazon.client().put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumAlgorithm="SHA256")
        forget(watched)
        copy(source, target)
        assert len(copies_of(watched)) == 2
        assert downloads_of(watched) == []
    check_at_rest(target)
    assert alike(source, target)
    for file in record(target, "demo").files:
        head = amazon.client().head_object(Bucket=BUCKET, Key=f"{target._root}demo/{file.key}")
        assert (head["ContentType"], head["CacheControl"]) == ("application/octet-stream", "max-age=31536000, immutable")
        assert head["Metadata"] == {"sha256": file.sha256}


def test_rotten_bytes_of_another_length_are_noticed_without_a_download(dist: Path, amazon: Server) -> None:
    with proxy(amazon.url) as watched:
        source, target = bucket(amazon, through=watched), bucket(amazon)
        send(source, dist / SDIST)
        (file,) = record(source, "demo").files
        amazon.client().put_object(Bucket=BUCKET, Key=f"{source._root}demo/{file.key}", Body=b"rotten")
        with pytest.raises(StorageError, match="its bytes are not those that the record says"):
            copy(source, target)
        assert downloads_of(watched) == []
    assert target.get("demo/index.json") is None
