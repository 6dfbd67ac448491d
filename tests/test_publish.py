"""The promises, on the reference storage: nothing lost, nothing torn, nothing changed, and the same command again heals."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from pypiprivate import amend, artifact, edits, index, pages, publish
from pypiprivate.artifact import Artifact
from pypiprivate.concurrency import concurrently
from pypiprivate.edits import Target
from pypiprivate.errors import (
    ArtifactDeleted,
    ArtifactError,
    ArtifactExists,
    Conflict,
    Contended,
    ProjectClosed,
    PublishRefused,
    StorageError,
    UnsafeStorage,
    UnsupportedIndex,
)
from pypiprivate.model import Deleted, Existing, Outcome, Project, Status, Used
from pypiprivate.publish import Receipt
from pypiprivate.storage.base import Storage, Stored
from pypiprivate.storage.memory import MemoryStorage

from .builders import make_sdist, make_wheel
from .repositories import (
    Imitation,
    Observed,
    Retried,
    check_at_rest,
    check_never_torn,
    document,
    during,
    failing,
    filenames,
    in_turn,
    not_at_all,
    older_tool,
    orphans,
    put,
    record,
    root,
    snapshot,
)

SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"


def send(artifacts: Iterable[Artifact], storage: Storage, existing: Existing = Existing.REFUSE) -> tuple[Receipt, ...]:
    """Publish, one operation after another and without waiting."""
    return publish.publish(artifacts, storage, existing=existing, sleep=not_at_all, gather=in_turn)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Artifact]]:
    """Artifacts of a release, sdist and wheel; *flavour* makes other bytes of the same names."""
    directory = tmp_path_factory.mktemp("dist")

    def build(version: str = "1.0", flavour: str = "a", project: str = "demo") -> list[Artifact]:
        folder = directory / f"{project}-{version}-{flavour}"
        files = {"flavour.txt": flavour.encode()}
        paths = [make_sdist(folder, project, version, files=files), make_wheel(folder, project, version, files=files)]
        return [artifact.read(path) for path in paths]

    return build


Build = Callable[..., list[Artifact]]


def outcomes(receipts: Iterable[Receipt]) -> set[Outcome]:
    return {receipt.outcome for receipt in receipts}


# -- what a publish leaves ----------------------------------------------------------------------------------------------------


def test_a_release_is_recorded_shown_and_listed(built: Build) -> None:
    storage = MemoryStorage()
    moment = datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=timezone.utc)
    receipts = publish.publish(built(), storage, clock=lambda: moment)
    check_at_rest(storage)
    assert orphans(storage) == []
    assert [(r.project, r.version, r.filename, r.outcome, r.serial) for r in receipts] == [
        ("demo", "1.0", WHEEL, Outcome.PUBLISHED, 1),
        ("demo", "1.0", SDIST, Outcome.PUBLISHED, 1),
    ]
    for file, built_file in zip(record(storage, "demo").files, sorted(built(), key=lambda a: a.filename), strict=True):
        assert file.upload_time == "2026-11-22T12:00:00.000005Z"
        assert b"".join(storage.read(f"demo/{file.key}")) == built_file.path.read_bytes()
        assert file.key == f"{built_file.sha256[:32]}/{built_file.filename}"
    assert {receipt.url for receipt in receipts} <= {f"demo/{file.url}" for file in record(storage, "demo").files}


def test_artifacts_and_documents_are_served_as_what_they_are(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    types = {key.rpartition(".")[2]: stat.content_type for key in snapshot(storage) if (stat := storage.stat(key))}
    assert types == {
        "json": "application/vnd.pypi.simple.v1+json",
        "html": "text/html; charset=utf-8",
        "gz": "application/octet-stream",
        "whl": "application/octet-stream",
        "metadata": "application/octet-stream",
    }


def test_epoch_and_local_version_survive_the_url(built: Build) -> None:
    storage = MemoryStorage()
    receipts = send(built("1!2.0+acme.1"), storage)
    check_at_rest(storage)
    assert all("1%212.0%2Bacme.1" in receipt.url for receipt in receipts)


def test_publishing_again_is_free_and_says_so(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    before = snapshot(storage)
    writes: list[str] = []
    again = send(
        built(), Observed(storage, before=lambda verb, key: writes.append(verb) if verb not in ("get", "list") else None)
    )
    assert outcomes(again) == {Outcome.PRESENT}
    assert writes == []
    assert snapshot(storage) == before


def test_a_project_is_marked_as_listed_once_both_root_documents_were_read(built: Build) -> None:
    storage = MemoryStorage()
    for version, listed in (("1.0", False), ("2.0", True), ("3.0", True)):
        send(built(version), storage)
        assert record(storage, "demo").listed is listed
    keys: list[str] = []
    send(built("4.0"), Observed(storage, before=lambda _verb, key: keys.append(key)))
    assert not {"index.html", "index.json"} & set(keys)


def test_a_small_publish_to_a_listed_project_takes_few_requests_and_neither_list_nor_stat(built: Build) -> None:
    storage = MemoryStorage()
    for version in ("1.0", "2.0"):
        send(built(version), storage)
    verbs: list[str] = []
    send(built("3.0"), Observed(storage, before=lambda verb, _key: verbs.append(verb)))
    assert sorted(verbs) == ["get", "get", "store", "store", "store", "swap", "swap"]


def test_several_projects_go_in_one_command_and_one_refusal_stores_nothing_of_any(built: Build) -> None:
    storage = MemoryStorage()
    send([*built(), *built(project="other")], storage)
    check_at_rest(storage)
    assert set(root(storage).projects) == {"demo", "other"}
    before = snapshot(storage)
    with pytest.raises(ArtifactExists):
        send([*built("2.0"), *built(flavour="b", project="other")], storage)
    assert snapshot(storage) == before


def test_the_same_file_given_twice_is_one_and_two_builds_of_one_name_are_refused(built: Build) -> None:
    storage = MemoryStorage()
    assert len(send([*built(), *built()], storage)) == 2
    with pytest.raises(ArtifactError, match="different bytes"):
        send([*built("2.0"), *built("2.0", "b")], storage)


def test_a_preview_says_what_would_be_done_and_writes_nothing(built: Build) -> None:
    storage = MemoryStorage()
    assert outcomes(publish.preview(built(), storage)) == {Outcome.PUBLISHED}
    assert snapshot(storage) == {}
    send(built(), storage)
    before = snapshot(storage)
    assert outcomes(publish.preview(built(), storage)) == {Outcome.PRESENT}
    assert outcomes(publish.preview(built(flavour="b"), storage, existing=Existing.KEEP)) == {Outcome.KEPT}
    assert outcomes(publish.preview(built(flavour="b"), storage, existing=Existing.REPLACE)) == {Outcome.REPLACED}
    with pytest.raises(ArtifactExists):
        publish.preview(built(flavour="b"), storage)
    assert snapshot(storage) == before


def test_progress_is_told_every_byte_of_every_artifact(built: Build) -> None:
    told: dict[str, int] = {}

    def progress(filename: str, size: int) -> Callable[[int], None]:
        told[filename] = -size
        return lambda count: told.__setitem__(filename, told[filename] + count)

    publish.publish(built(), MemoryStorage(), progress=progress)
    assert told == {SDIST: 0, WHEEL: 0}


# -- what is published never changes ------------------------------------------------------------------------------------------


def test_other_bytes_are_refused_and_the_index_stays_as_it_was(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    before = snapshot(storage)
    with pytest.raises(ArtifactExists):
        send(built(flavour="b"), storage)
    assert snapshot(storage) == before


def test_keep_adds_only_what_is_missing(built: Build) -> None:
    storage = MemoryStorage()
    sdist, _ = built()
    send([sdist], storage)
    receipts = {receipt.filename: receipt for receipt in send(built(flavour="b"), storage, Existing.KEEP)}
    assert receipts[SDIST].outcome is Outcome.KEPT
    assert receipts[WHEEL].outcome is Outcome.PUBLISHED
    assert {file.filename: file.sha256 for file in record(storage, "demo").files}[SDIST] == sdist.sha256
    check_at_rest(storage)
    assert orphans(storage) == []


def test_replace_gives_new_bytes_a_new_url_and_leaves_the_old_object_to_its_readers(built: Build) -> None:
    storage = MemoryStorage()
    old = {receipt.url for receipt in send(built(), storage)}
    new = send(built(flavour="b"), storage, Existing.REPLACE)
    assert outcomes(new) == {Outcome.REPLACED}
    assert not old & {receipt.url for receipt in new}
    check_at_rest(storage)
    for url in old:
        assert b"".join(storage.read(url))
    back = send(built(), storage, Existing.REPLACE)
    assert all("-2/" in receipt.url for receipt in back)
    check_at_rest(storage)


# -- the same command again is the recovery from everything -------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_a_crash_or_a_lost_reply_at_any_write_is_never_torn_and_a_rerun_finishes(built: Build, published: int, when: str) -> None:
    for at in count():
        storage = MemoryStorage()
        releases(built, published)(storage)
        before = filenames(storage, "demo") if published else []
        try:
            send(built("9.0"), failing(storage, at, when=when))
        except StorageError:
            check_never_torn(storage)
        else:
            break
        if published:
            assert set(before) <= set(filenames(storage, "demo"))
        send(built("9.0"), storage)
        check_at_rest(storage)
        assert set(filenames(storage, "demo")) == {*before, "demo-9.0.tar.gz", "demo-9.0-py3-none-any.whl"}
        assert [key for key in orphans(storage) if not key.startswith(".pypiprivate/")] == []
    assert at >= 5


@pytest.mark.parametrize("verbs", [("get",), ("list",), ("get", "list", "read")])
def test_a_failed_read_is_never_absent(built: Build, tmp_path: Path, verbs: tuple[str, ...]) -> None:
    storage = MemoryStorage()
    older_tool(storage, make_wheel(tmp_path, "demo", "0.1"), "demo")
    before = snapshot(storage)
    for at in range(3):
        try:
            send(built(), failing(storage, at, verbs=verbs))
        except StorageError:
            check_never_torn(storage)
            assert before.keys() <= snapshot(storage).keys()
    send(built(), storage)
    assert filenames(storage, "demo") == ["demo-0.1-py3-none-any.whl", WHEEL, SDIST]


@pytest.mark.parametrize("at", range(4))
def test_a_read_that_fails_at_the_look_writes_nothing(built: Build, at: int) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    before = snapshot(storage)
    with pytest.raises(StorageError):
        send(built("2.0"), failing(storage, at, verbs=("get",)))
    assert snapshot(storage) == before


def test_an_sdk_that_retries_after_a_lost_reply_meets_its_own_success_and_reports_it(built: Build) -> None:
    storage = MemoryStorage()
    receipts = send(built(), Retried(storage))
    assert outcomes(receipts) == {Outcome.PUBLISHED}
    check_at_rest(storage)
    assert record(storage, "demo").serial == 1


def test_what_is_deleted_before_its_publisher_hears_of_his_success_stays_deleted(built: Build) -> None:
    class Deleted(Retried):
        def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
            if key == "demo/index.json":
                self.inner.swap(key, body, replacing=replacing, content_type=content_type)
                amend.remove(self.inner, "demo", edits.delete(Target.parse("demo"), publish.utc_now()), sleep=not_at_all)
            self.inner.swap(key, body, replacing=replacing, content_type=content_type)

    storage = MemoryStorage()
    receipts = send(built(), Deleted(storage))
    assert outcomes(receipts) == {Outcome.PUBLISHED}
    assert filenames(storage, "demo") == []
    check_at_rest(storage)
    send(built(), storage)  # but who says so afterwards publishes it again
    assert len(filenames(storage, "demo")) == 2


def test_a_file_that_is_replaced_counts_as_used_from_the_commit_and_not_from_the_upload(built: Build) -> None:
    storage, moments = MemoryStorage(), count(1)
    send(built(), storage)
    publish.publish(
        built(flavour="b"),
        storage,
        existing=Existing.REPLACE,
        clock=lambda: datetime(2026, 3, next(moments), tzinfo=timezone.utc),
        gather=in_turn,
    )
    assert {used.time[:10] for used in record(storage, "demo").used} == {"2026-03-02"}


def test_a_refusal_first_finishes_an_interrupted_commit(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    send(built("2.0"), storage)
    # The record's swap is the fourth write; then the process dies.
    with pytest.raises(StorageError):
        send(built("3.0"), failing(storage, 3, when="after"))
    page = storage.get("demo/index.html")
    assert page
    assert b"demo-3.0" not in page.body
    with pytest.raises(ArtifactExists):
        send(built("3.0", flavour="rebuilt"), storage)
    check_at_rest(storage)
    page = storage.get("demo/index.html")
    assert page
    assert b"demo-3.0" in page.body


# -- publishers side by side --------------------------------------------------------------------------------------------------


Prepare = Callable[[MemoryStorage], object]


def nothing(_storage: MemoryStorage) -> None:
    """An empty repository."""


def releases(built: Build, number: int) -> Prepare:
    """A repository with some releases of the project."""
    return lambda storage: [send(built(f"{n}.1"), storage) for n in range(number)]


def stalled(built: Build, prepare: Prepare, rival: Prepare) -> Iterator[MemoryStorage]:
    """Publish 7.0 and let *rival* act just before the first operation, then just before the second, and so on."""
    operations: list[str] = []
    storage = MemoryStorage()
    prepare(storage)
    send(built("7.0"), Observed(storage, before=lambda verb, _key: operations.append(verb)))
    for at in range(len(operations)):
        storage = MemoryStorage()
        prepare(storage)
        send(built("7.0"), during(storage, at, partial(rival, storage)))
        yield storage


@pytest.mark.parametrize("published", [0, 1, 2])
def test_a_publisher_that_stalls_anywhere_loses_nothing_of_another(built: Build, published: int) -> None:
    for storage in stalled(built, releases(built, published), lambda storage: send(built("8.0"), storage)):
        check_at_rest(storage)
        assert {"demo-7.0.tar.gz", "demo-8.0.tar.gz"} <= set(filenames(storage, "demo"))
        assert orphans(storage) == []


def test_two_new_projects_at_once_are_both_listed(built: Build) -> None:
    for storage in stalled(built, nothing, lambda storage: send(built(project="other"), storage)):
        check_at_rest(storage)
        assert set(root(storage).projects) == {"demo", "other"}


def test_the_same_bytes_from_two_publishers_are_one_file_and_two_successes(built: Build) -> None:
    for storage in stalled(built, nothing, lambda storage: send(built("7.0"), storage)):
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 2


def test_of_two_builds_of_one_release_exactly_one_wins_and_the_other_is_told(built: Build) -> None:
    won: list[str] = []

    def attempt(flavour: str, storage: Storage) -> None:
        with suppress(ArtifactExists):
            send(built("7.0", flavour), storage)
            won.append(flavour)

    for at in range(12):
        storage = MemoryStorage()
        won.clear()
        attempt("a", during(storage, at, partial(attempt, "b", storage)))
        assert len(won) == 1
        check_at_rest(storage)
        assert {file.sha256 for file in record(storage, "demo").files} == {item.sha256 for item in built("7.0", won[0])}


def test_a_page_never_goes_back_to_an_older_serial(built: Build) -> None:
    storage, serials = MemoryStorage(), list[int]()

    def note(_verb: str, _key: str) -> None:
        page = storage.get("demo/index.html")
        serials.append(pages.page_serial(page.body) or 0 if page else 0)

    for at in range(12):
        send(built(f"{at}.0"), during(Observed(storage, after=note), at, partial(send, built(f"{at}.5"), storage)))
    assert serials == sorted(serials)


def test_a_document_that_never_stops_changing_is_given_up_with_a_clear_word(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = MemoryStorage()
    monkeypatch.setattr(index, "PATIENCE", 0.05)

    def busy(verb: str, key: str) -> None:
        if verb == "swap" and key == "demo/index.json":
            raise Conflict(key)

    with pytest.raises(Contended, match="gave up") as caught:
        send(built(), Observed(storage, before=busy))
    assert "again is safe" in caught.value.hint


# -- checks that must stand inside the edit -----------------------------------------------------------------------------------


def _edit_behind_the_back(storage: MemoryStorage, edit: Callable[[Project], Project]) -> None:
    index.Index(storage, gather=in_turn).change("demo", edit)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda project: replace(project, status=Status("archived")), ProjectClosed),
        (lambda project: replace(project, status=Status("quarantined")), ProjectClosed),
        (lambda project: replace(project, deleted=(Deleted("demo-7.0.tar.gz", "f" * 64),)), ArtifactDeleted),
    ],
)
def test_what_changes_after_the_look_is_seen_by_the_edit(
    built: Build, edit: Callable[[Project], Project], error: type[PublishRefused]
) -> None:
    storage = MemoryStorage()
    send(built(), storage)

    def just_before_the_commit(verb: str, key: str) -> None:
        if verb == "swap" and key == "demo/index.json" and record(storage, "demo").serial == 1:
            _edit_behind_the_back(storage, edit)

    with pytest.raises(error):
        send(built("7.0"), Observed(storage, before=just_before_the_commit))
    check_at_rest(storage)
    assert filenames(storage, "demo") == [WHEEL, SDIST]


def test_a_key_that_was_condemned_meanwhile_is_not_named_and_the_bytes_are_stored_again(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    condemned = False

    def collect_garbage(verb: str, key: str) -> None:
        nonlocal condemned
        if verb != "swap" or condemned:
            return
        condemned = True
        keys = [f"{item.sha256[:32]}/{item.filename}" for item in built("7.0")]
        _edit_behind_the_back(storage, lambda project: replace(project, used=tuple(Used(key, "now") for key in keys)))
        for stored in keys:
            storage.delete(f"demo/{stored}")
            storage.delete(f"demo/{stored}.metadata")

    receipts = send(built("7.0"), Observed(storage, before=collect_garbage))
    assert all("-2/" in receipt.url for receipt in receipts)
    check_at_rest(storage)


def test_deleted_bytes_may_come_back_under_a_key_of_their_own(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    files = record(storage, "demo").files
    used = tuple(Used(file.key, "now") for file in files)
    deleted = tuple(Deleted(file.filename, file.sha256) for file in files)
    _edit_behind_the_back(storage, lambda project: replace(project, files=(), used=used, deleted=deleted))
    with pytest.raises(ArtifactDeleted):
        send(built(flavour="b"), storage)
    assert all("-2/" in receipt.url for receipt in send(built(), storage))


# -- an older index -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path) -> MemoryStorage:
    """An index that the original tool wrote: two projects, one with a wheel and an sdist."""
    storage = MemoryStorage()
    older_tool(storage, make_wheel(tmp_path, "demo", "0.1", requires_python=">=3.8"), "demo")
    older_tool(storage, make_sdist(tmp_path, "demo", "0.1"), "demo")
    older_tool(storage, make_wheel(tmp_path, "old-one", "3.0"), "old-one")
    return storage


def test_an_older_index_goes_on_working_in_place_and_grows_in_the_new_way(built: Build, older: MemoryStorage) -> None:
    before = snapshot(older)
    send(built(), older)
    check_at_rest(older)
    files = {file.filename: file for file in record(older, "demo").files}
    assert set(files) == {"demo-0.1-py3-none-any.whl", "demo-0.1.tar.gz", WHEEL, SDIST}
    adopted = files["demo-0.1-py3-none-any.whl"]
    assert (adopted.key, adopted.requires_python) == ("demo-0.1-py3-none-any.whl", ">=3.8")
    assert adopted.core_metadata
    assert set(root(older).projects) == {"demo", "old-one"}
    for key, body in before.items():
        if not key.endswith("index.html"):
            assert snapshot(older)[key] == body
    send(built(project="old-one"), older)
    check_at_rest(older)
    assert "old_one-3.0-py3-none-any.whl" in filenames(older, "old-one")


def test_a_preview_of_an_older_index_sees_its_files_and_leaves_it_as_it_is(
    built: Build, older: MemoryStorage, tmp_path: Path
) -> None:
    before = snapshot(older)
    clash = artifact.read(make_sdist(tmp_path / "new", "demo", "0.1", files={"x": b"other"}))
    with pytest.raises(ArtifactExists):
        publish.preview([clash], older)
    with pytest.raises(ArtifactExists):
        send([clash], older)
    assert {key: body for key, body in snapshot(older).items() if "probe" not in key} == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_in_an_adoption_loses_no_file_and_a_rerun_finishes(built: Build, tmp_path: Path, when: str) -> None:
    theirs = [make_wheel(tmp_path, "demo", "0.1"), make_sdist(tmp_path, "demo", "0.1")]
    for at in count():
        storage = MemoryStorage()
        for path in theirs:
            older_tool(storage, path, "demo")
        try:
            send(built(), failing(storage, at, when=when))
        except StorageError:
            check_never_torn(storage)
            page = storage.get("demo/index.html")
            assert page
            assert all(path.name.encode() in page.body for path in theirs)
        else:
            break
        send(built(), storage)
        check_at_rest(storage)
        assert filenames(storage, "demo") == sorted([WHEEL, SDIST, *(path.name for path in theirs)])
    assert at >= 8


def test_a_half_stored_release_is_not_taken_for_files_of_an_older_index(built: Build) -> None:
    storage = MemoryStorage()
    for at in range(2, 5):
        with pytest.raises(StorageError):
            send(built("8.0"), failing(storage, at + 3))
    send(built("7.0"), storage)
    assert filenames(storage, "demo") == ["demo-7.0-py3-none-any.whl", "demo-7.0.tar.gz"]


@pytest.mark.parametrize("published", [0, 1, 2])
def test_the_older_tool_beside_us_loses_nothing_at_any_step(built: Build, tmp_path: Path, published: int) -> None:
    theirs = make_wheel(tmp_path, "demo", "0.1")
    for storage in stalled(built, releases(built, published), lambda storage: older_tool(storage, theirs, "demo")):
        send(built("7.0"), storage)
        send(built("9.0"), storage)
        check_never_torn(storage)
        assert {"demo-0.1-py3-none-any.whl", "demo-7.0.tar.gz", "demo-9.0.tar.gz"} <= set(filenames(storage, "demo"))


def test_a_project_that_only_the_older_tool_wrote_into_the_root_page_stays_listed(built: Build, tmp_path: Path) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    older_tool(storage, make_wheel(tmp_path, "theirs", "1.0"), "theirs")
    send(built(project="other"), storage)
    check_at_rest(storage)
    assert set(root(storage).projects) == {"demo", "other", "theirs"}


@pytest.mark.parametrize("existing", list(Existing))
def test_what_the_older_tool_published_beside_us_is_published(built: Build, tmp_path: Path, existing: Existing) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    theirs = make_sdist(tmp_path, "demo", "2.0", files={"x": b"theirs"})
    older_tool(storage, theirs, "demo")
    ours, _ = built("2.0")
    if existing is Existing.REFUSE:
        with pytest.raises(ArtifactExists):
            send([ours], storage, existing)
    else:
        send([ours], storage, existing)
    check_at_rest(storage)
    (file,) = [file for file in record(storage, "demo").files if file.filename == theirs.name]
    assert (file.sha256 == ours.sha256) == (existing is Existing.REPLACE)


def test_old_sdists_with_dashes_in_their_versions_stay_installable(built: Build, tmp_path: Path) -> None:
    storage = MemoryStorage()
    older_tool(storage, make_sdist(tmp_path, "demo", "1.0.post1", filename="demo-1.0-1.tar.gz"), "demo")
    older_tool(storage, make_sdist(tmp_path, "demo", "1.1b0", filename="demo-1.1-beta.tar.gz"), "demo")
    send(built("2.0"), storage)
    check_at_rest(storage)
    assert set(record(storage, "demo").versions) == {"1.0.post1", "1.1b0", "2.0"}


def test_an_empty_file_in_an_older_directory_stops_nobody(built: Build, older: MemoryStorage) -> None:
    put(older, "demo/demo-0.2.tar.gz", b"")
    send(built(), older)
    check_at_rest(older)
    assert "demo-0.2.tar.gz" in filenames(older, "demo")


def test_adopting_without_temporary_space_is_one_sentence(
    built: Build, older: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(older, "demo/demo-0.3.tar.gz", bytes(5 << 20))  # smaller ones are read in memory
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/directory")
    with pytest.raises(StorageError, match="temporary directory") as caught:
        send(built(), older)
    assert "TMPDIR" in caught.value.hint


def test_what_the_older_tool_published_again_is_not_listed_twice(built: Build, tmp_path: Path) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    older_tool(storage, make_wheel(tmp_path, "demo", "1.0", files={"x": b"other"}), "demo")
    send(built("2.0"), storage)
    assert filenames(storage, "demo").count(WHEEL) == 1


def test_strange_things_in_an_older_directory_are_left_alone(
    built: Build, older: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("notes.txt", "demo-0.1.tar.gz.asc", "other-1.0.tar.gz", "demo-0.2-py3-none-any.whl"):
        put(older, f"demo/{name}", b"not what it says")
    send(built(), older)
    check_at_rest(older)
    assert "demo-0.2-py3-none-any.whl" in filenames(older, "demo")
    for name in ("notes.txt", "demo-0.1.tar.gz.asc", "other-1.0.tar.gz", "demo-0.2-py3-none-any.whl"):
        assert name in caplog.text


def test_a_foreign_sidecar_is_neither_overwritten_nor_announced(built: Build, older: MemoryStorage) -> None:
    put(older, "demo/demo-0.1-py3-none-any.whl.metadata", b"theirs")
    send(built(), older)
    check_at_rest(older)
    adopted = next(file for file in record(older, "demo").files if file.filename == "demo-0.1-py3-none-any.whl")
    assert adopted.core_metadata is False
    assert snapshot(older)["demo/demo-0.1-py3-none-any.whl.metadata"] == b"theirs"


def test_a_file_that_changes_while_it_is_adopted_stops_the_command(built: Build, older: MemoryStorage) -> None:
    def grow(verb: str, key: str) -> None:
        if verb == "read":
            put(older, key, b"longer" * 1000)

    with pytest.raises(StorageError, match="changed while"):
        send(built(), Observed(older, before=grow))


# -- documents that nobody should trust ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["demo/index.json", "index.json"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"meta": {"api-version": "2.0"}, "name": "demo", "files": [], "projects": []}']
)
def test_a_corrupt_or_newer_document_stops_the_command_and_nothing_is_written(built: Build, key: str, body: bytes) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    put(storage, key, body)
    before = snapshot(storage)
    with pytest.raises(UnsupportedIndex) as caught:
        send(built("2.0"), storage)
    assert caught.value.key == key
    assert snapshot(storage) == before


def test_a_record_that_vanished_under_its_page_is_not_taken_for_a_new_project(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    storage.delete("demo/index.json")
    before = snapshot(storage)
    with pytest.raises(UnsupportedIndex, match="missing"):
        send(built("2.0"), storage)
    assert snapshot(storage) == before


@pytest.mark.parametrize("key", ["demo/index.json", "index.json"])
def test_a_record_that_is_older_than_its_page_stops_the_command(built: Build, key: str) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    old = snapshot(storage)[key]
    for version in ("2.0", "3.0"):
        send([*built(version), *built(project=f"other-{version[0]}")], storage)
    put(storage, key, old)
    before = snapshot(storage)
    with pytest.raises(UnsupportedIndex, match="older") as caught:
        send([*built("4.0"), *built(project="new")], storage)
    assert caught.value.key == key
    assert snapshot(storage) == before


def test_a_page_that_is_made_while_we_look_does_not_make_its_record_look_old(built: Build) -> None:
    for storage in stalled(built, releases(built, 2), lambda storage: send(built("8.0"), storage)):
        check_at_rest(storage)


def test_a_root_record_that_vanished_is_made_anew_from_the_directories(built: Build) -> None:
    storage = MemoryStorage()
    for project in ("demo", "other", "third"):
        send(built(project=project), storage)
    storage.delete("index.json")
    send(built(project="fourth"), storage)
    check_at_rest(storage)
    assert set(root(storage).projects) == {"demo", "other", "third", "fourth"}


def test_unknown_keys_of_a_record_outlive_a_publish(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    body = document(storage, "demo/index.json") | {"_future": {"kept": [1, 2]}}
    body["files"][0]["provenance"] = "https://127.0.0.1/p"
    put(storage, "demo/index.json", json.dumps(body).encode())
    send(built("2.0"), storage)
    after = document(storage, "demo/index.json")
    assert after["_future"] == {"kept": [1, 2]}
    assert after["files"][0]["provenance"] == "https://127.0.0.1/p"


# -- stores that ignore conditions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignores", ["If-Match", "If-None-Match"])
def test_a_store_that_ignores_a_condition_is_refused_before_anything_is_written(built: Build, ignores: str) -> None:
    storage = Imitation(ignores)
    with pytest.raises(UnsafeStorage, match=ignores) as caught:
        send(built(), storage)
    assert "conditional_writes = off" in caught.value.hint
    assert snapshot(storage) == {}


def test_a_single_publisher_may_say_so(built: Build) -> None:
    storage = Imitation("If-Match")
    storage.conditional = False
    send(built(), storage)
    check_at_rest(storage)
    assert record(storage, "demo").conditions is None


def test_a_store_that_was_probed_is_not_probed_again_and_a_copy_of_it_is(built: Build) -> None:
    storage = MemoryStorage()
    send(built(), storage)
    send(built("2.0"), storage)
    keys: list[str] = []
    send(built("3.0"), Observed(storage, before=lambda _verb, key: keys.append(key)))
    assert not [key for key in keys if "probe" in key]
    copy = Imitation("If-None-Match")
    for key, body in snapshot(storage).items():
        put(copy, key, body)
    with pytest.raises(UnsafeStorage):
        send(built("4.0"), copy)


def test_what_needs_no_write_needs_no_probe(built: Build) -> None:
    storage = MemoryStorage()
    for version in ("1.0", "2.0"):
        send(built(version), storage)
    storage.location = "somewhere else"
    verbs: set[str] = set()
    send(built("2.0"), Observed(storage, before=lambda verb, _key: verbs.add(verb)))
    assert verbs == {"get"}


def test_a_store_that_forbids_deleting_is_judged_by_its_conditions(built: Build) -> None:
    storage = MemoryStorage()

    def forbid(verb: str, key: str) -> None:
        if verb == "delete":
            raise StorageError(key, "access is denied (403).")

    send(built(), Observed(storage, before=forbid))
    check_at_rest(storage)
    with pytest.raises(UnsafeStorage):
        send(built(), Observed(Imitation("If-Match"), before=forbid))


def test_publishing_nothing_asks_nobody() -> None:
    verbs: list[str] = []
    assert send([], Observed(MemoryStorage(), before=lambda verb, _key: verbs.append(verb))) == ()
    assert verbs == []


def test_a_probe_whose_replies_are_lost_does_not_blame_a_good_store(built: Build) -> None:
    class Once(Retried):
        def swap(self, key: str, body: bytes, **rest: object) -> None:
            (super().swap if "probe" in key else self.inner.swap)(key, body, **rest)  # type: ignore[arg-type]

    storage = MemoryStorage()
    send(built(), Once(storage))
    check_at_rest(storage)


def test_a_store_that_does_not_give_back_what_it_took_is_refused(built: Build) -> None:
    storage = MemoryStorage()

    def forget(verb: str, key: str) -> None:
        if verb == "swap":
            storage.delete(key)

    with pytest.raises(StorageError, match="give back"):
        send(built(), Observed(storage, after=forget))


# -- the tools that the path is made of ---------------------------------------------------------------------------------------


def test_calls_run_at_once_and_come_back_in_order_and_an_error_is_raised() -> None:
    assert concurrently([partial(int, text) for text in "3124"]) == [3, 1, 2, 4]
    assert concurrently([lambda: 5]) == [5]
    assert concurrently(list[Callable[[], int]]()) == []
    with pytest.raises(ValueError, match="x"):
        concurrently([partial(int, text) for text in "1x3"])


def test_a_crowd_of_threads_on_one_project_loses_nothing(built: Build) -> None:
    storage = MemoryStorage()
    crowd = [built(f"{number}.0") for number in range(12)]
    concurrently([partial(publish.publish, release, storage) for release in crowd])
    check_at_rest(storage)
    assert len(filenames(storage, "demo")) == 24
    assert orphans(storage) == []
