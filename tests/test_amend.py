"""Changing what is published: crashes, lost replies, publishers beside it, older indexes; on the reference storage."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from pypiprivate import amend, artifact, browse, edits, index, publish, simple
from pypiprivate.amend import Change
from pypiprivate.edits import Edit, Retention, Target
from pypiprivate.errors import Conflict, Contended, NotPublished, PublishRefused, StorageError, UnsupportedIndex
from pypiprivate.model import Existing, Status
from pypiprivate.storage.base import Storage, Stored
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import open_bucket

from .builders import make_sdist, make_wheel
from .repositories import (
    WRITES,
    Observed,
    Retried,
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
    root,
    snapshot,
)
from .servers import seaweedfs, shared

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"
ONE = Target.parse("demo==1.0")


@pytest.fixture(scope="module", autouse=True)
def _built() -> Iterator[None]:
    """Sdist and wheel of releases of demo and other; in ``rebuilt`` with other bytes."""
    for version in ("1.0", "1.1", "2.0.dev1"):
        for project in ("demo", "other"):
            make_sdist(dist(), project, version)
            make_wheel(dist(), project, version)
    make_sdist(dist() / "rebuilt", "demo", "1.0", files={"new": b"new"})
    yield
    shutil.rmtree(dist())
    dist.cache_clear()


@cache
def dist() -> Path:
    return Path(tempfile.mkdtemp(prefix="dist-"))


def built(project: str = "demo", version: str = "1.0") -> list[Path]:
    return [dist() / f"{project}-{version}.tar.gz", dist() / f"{project}-{version}-py3-none-any.whl"]


def send(storage: Storage, *paths: Path, existing: Existing = Existing.REFUSE, now: datetime = NOW) -> None:
    artifacts = [artifact.read(path) for path in paths]
    publish.publish(artifacts, storage, existing=existing, clock=lambda: now, sleep=not_at_all, gather=in_turn)


def published(*more: Path) -> MemoryStorage:
    """Two releases, and a record that is marked as listed."""
    storage = MemoryStorage()
    send(storage, *built())
    send(storage, *built(version="1.1"), *more)
    return storage


Act = Callable[[Storage], Change]


def change(edit: Edit, project: str = "demo") -> Act:
    return lambda storage: amend.amend(storage, project, edit, sleep=not_at_all, gather=in_turn)


def remove(edit: Edit, project: str = "demo") -> Act:
    return lambda storage: amend.remove(storage, project, edit, sleep=not_at_all, gather=in_turn)


def named(act: Act, name: str) -> object:
    return pytest.param(act, id=name)


yank = change(edits.yank(ONE, reason="broken"))
quarantine = change(edits.set_status("quarantined", reason="malware"))
delete = remove(edits.delete(ONE, NOW))
delete_all = remove(edits.delete(Target("demo"), NOW))
prune = remove(edits.prune(Retention(keep=1), NOW))
every_act = pytest.mark.parametrize(
    "act",
    [
        named(yank, "yank"),
        named(quarantine, "quarantine"),
        named(delete, "delete a release"),
        named(delete_all, "delete a project"),
        named(prune, "prune"),
    ],
)


# -- what a change leaves -----------------------------------------------------------------------------------------------------


def test_a_yank_is_in_record_and_page() -> None:
    storage = published()
    done = yank(storage)
    check_at_rest(storage)
    assert {file.filename for file in done.marked} == {SDIST, WHEEL}
    assert (done.changed, done.removed) == (True, ())
    page = storage.get("demo/index.html")
    assert page
    assert page.body.count(b'data-yanked="broken"') == 2
    assert done.after == record(storage, "demo")


def test_what_is_quarantined_is_not_offered_and_comes_back() -> None:
    storage = published()
    before = filenames(storage, "demo")
    assert quarantine(storage).changed
    check_at_rest(storage)
    assert filenames(storage, "demo") == []
    page = storage.get("demo/index.html")
    assert page
    assert b"<a " not in page.body
    assert change(edits.set_status("active"))(storage).changed
    assert filenames(storage, "demo") == before
    check_at_rest(storage)


def test_a_deleted_release_leaves_no_object_and_its_name_stays_taken() -> None:
    storage = published()
    done = delete(storage)
    check_at_rest(storage)
    assert orphans(storage) == []
    assert {file.filename for file in done.removed} == {SDIST, WHEEL}
    assert record(storage, "demo").versions == ("1.1",)
    send(storage, *built())  # these very bytes may come back, under another key
    assert {file.key.partition("/")[0][-2:] for file in record(storage, "demo").files if "1.0" in file.filename} == {"-2"}
    with pytest.raises(PublishRefused, match="was deleted"):
        send(published_then(delete), dist() / "rebuilt" / SDIST)


def published_then(act: Act) -> MemoryStorage:
    storage = published()
    act(storage)
    return storage


def test_a_project_without_files_stays_listed_with_an_empty_page() -> None:
    storage = published_then(delete_all)
    check_at_rest(storage)
    assert sorted(snapshot(storage)) == ["demo/index.html", "demo/index.json", "index.html", "index.json"]
    assert "demo" in root(storage).projects
    assert browse.projects(storage) == ("demo",)
    assert record(storage, "demo").versions == ()


def test_with_a_file_goes_what_it_once_replaced() -> None:
    storage = published()
    send(storage, dist() / "rebuilt" / SDIST, existing=Existing.REPLACE)
    assert len(orphans(storage)) == 1
    delete(storage)
    assert orphans(storage) == []


def test_what_was_replaced_and_not_deleted_is_left_to_its_readers() -> None:
    storage = published(*built("demo", "2.0.dev1"))
    send(storage, dist() / "rebuilt" / SDIST, existing=Existing.REPLACE)
    before = orphans(storage)
    remove(edits.delete(Target.parse("demo==1.1"), NOW))(storage)
    assert orphans(storage) == before != []


@every_act
def test_a_preview_says_the_same_and_writes_nothing(act: Act) -> None:
    storage, seen = published(), []
    spied = Observed(storage, before=lambda verb, _key: seen.append(verb))
    preview = amend.preview(spied, "demo", edit_of(act))
    assert not set(seen) & set(WRITES)
    done = act(storage)
    assert (preview.removed, preview.marked, preview.changed) == (done.removed, done.marked, done.changed)
    assert preview.after.status == done.after.status


def edit_of(act: Act) -> Edit:
    """The edit that an act makes."""
    return {
        yank: edits.yank(ONE, reason="broken"),
        quarantine: edits.set_status("quarantined", reason="malware"),
        delete: edits.delete(ONE, NOW),
        delete_all: edits.delete(Target("demo"), NOW),
        prune: edits.prune(Retention(keep=1), NOW),
    }[act]


# -- requests -----------------------------------------------------------------------------------------------------------------


def requests(act: Act, storage: Storage) -> Counter[str]:
    seen: list[str] = []
    act(Observed(storage, before=lambda verb, _key: seen.append(verb)))
    return Counter(seen)


def test_a_change_reads_and_writes_two_documents_and_nothing_to_do_only_reads() -> None:
    storage = published()
    assert requests(yank, storage) == {"get": 2, "swap": 2}
    assert requests(yank, storage) == {"get": 2}


def test_a_deletion_lists_once_and_deletes_what_it_saw_there() -> None:
    storage = published()
    assert requests(delete, storage) == {"get": 2, "swap": 2, "list": 1, "delete": 4}
    assert requests(delete, storage) == {"get": 2, "list": 1}
    assert requests(prune, published(*built("other"))) == {"get": 2, "swap": 2, "list": 1, "delete": 4}


def test_nothing_is_listed_where_nothing_was_ever_deleted() -> None:
    assert requests(remove(edits.prune(Retention(keep=9), NOW)), published()) == {"get": 2}


# -- refusals -----------------------------------------------------------------------------------------------------------------


def test_an_unknown_project_is_refused_with_those_called_alike() -> None:
    storage = published(*built("other"))
    before = snapshot(storage)
    with pytest.raises(NotPublished, match="there is no project demos in memory:") as caught:
        change(edits.set_status("archived"), "demos")(storage)
    assert caught.value.hint == "Did you mean demo?"
    with pytest.raises(NotPublished) as caught:
        change(edits.set_status("archived"), "xyz")(storage)
    assert caught.value.hint == ""
    assert snapshot(storage) == before


@pytest.mark.parametrize("refused", [named(change(edits.yank(Target.parse("demo==9"))), "yank"),
                                     named(remove(edits.delete(Target.parse("demo==9"), NOW)), "delete")])  # fmt: skip
def test_refusing_comes_last_what_was_left_undone_is_finished_first(refused: Act) -> None:
    for at in range(9):  # the probe, record, page, root record, root page
        storage = MemoryStorage()
        with suppress(StorageError):
            send(failing(storage, at, verbs=["swap"]), *built())
        with pytest.raises(NotPublished):
            refused(storage)
        if storage.get("demo/index.json"):
            check_at_rest(storage)
        else:
            assert at < 5


def test_a_document_that_is_no_record_stops_everything() -> None:
    storage = published()
    put(storage, "demo/index.json", b"not json")
    before = snapshot(storage)
    with pytest.raises(UnsupportedIndex):
        delete(storage)
    assert snapshot(storage) == before


@every_act
def test_a_failed_read_is_never_taken_for_absent(act: Act) -> None:
    for at in range(6):
        storage = published()
        lists = act in (delete, delete_all, prune)
        with suppress(StorageError):
            act(failing(storage, at, verbs=["get", "list"]))
            assert at >= 2 + lists
        check_never_torn(storage)
        act(storage)
        check_at_rest(storage)


# -- crashes, and the same command again --------------------------------------------------------------------------------------


@every_act
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
def test_a_crash_at_any_write_tears_nothing_and_the_same_command_again_ends_it(act: Act, when: str, listed: bool) -> None:
    undisturbed = before(listed)
    act(undisturbed)
    wanted, crashes = snapshot(undisturbed), 0
    for at in count():
        storage = before(listed)
        try:
            act(failing(storage, at, when=when))
        except StorageError:
            crashes += 1
            check_never_torn(storage)
            act(storage)
        check_at_rest(storage)
        assert orphans_but_withheld(storage) == []
        assert without_serials(snapshot(storage)) == without_serials(wanted)
        if crashes < at:
            break
    assert crashes >= 2


def before(listed: bool) -> MemoryStorage:
    if listed:
        return published()
    storage = MemoryStorage()
    send(storage, *built(), *built(version="1.1"))  # nobody has seen it in the root yet
    return storage


def without_serials(objects: dict[str, bytes]) -> dict[str, object]:
    """What is said; not how often it was written, nor whether the root was read."""

    def said(key: str, body: bytes) -> object:
        project = simple.project_from_json(body, key.partition("/")[0])
        return [(file.filename, file.yanked) for file in project.held_files], project.status, project.versions

    return {key: said(key, body) if key.endswith("/index.json") else None for key, body in objects.items()}


@every_act
def test_a_lost_reply_that_the_sdk_repeats_ends_well_and_is_told_as_done(act: Act) -> None:
    storage = published()
    done = act(Retried(storage))
    check_at_rest(storage)
    assert done.changed
    assert (bool(done.removed), bool(done.marked)) == (act in (delete, delete_all, prune), act is yank)


def test_a_record_that_others_keep_changing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy(Observed):
        def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
            raise Conflict(key)

    monkeypatch.setattr(index, "PATIENCE", 0.2)
    with pytest.raises(Contended, match=r"demo/index\.json"):
        yank(Busy(published()))


# -- beside a publisher -------------------------------------------------------------------------------------------------------


def interleavings(storage: Callable[[], MemoryStorage], act: Callable[[Storage], object],
                  other: Callable[[Storage], object]) -> Iterator[MemoryStorage]:  # fmt: skip
    """Run *other* before each operation of *act* in turn; nothing is ever torn, and all is well at rest."""
    for at in count():
        lying = storage()
        meanwhile = Once(lambda lying=lying: other(lying))  # type: ignore[misc]
        act(Observed(during(lying, at, meanwhile), after=lambda _verb, _key, lying=lying: check_never_torn(lying)))  # type: ignore[misc]
        if not meanwhile.done:
            return
        check_at_rest(lying)
        yield lying


class Once:
    """Does something, and remembers that it did."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.done = False
        self._do = do

    def __call__(self) -> None:
        self.done = True
        self._do()


@every_act
def test_a_release_that_is_published_meanwhile_is_lost_to_nobody(act: Act) -> None:
    def publisher(storage: Storage) -> None:
        with suppress(PublishRefused):  # it is quarantined already
            send(storage, *built(version="2.0.dev1"))

    for storage in interleavings(published, act, publisher):
        held = {file.filename for file in record(storage, "demo").held_files}
        gone = {deleted.filename for deleted in record(storage, "demo").deleted}
        new = {path.name for path in built(version="2.0.dev1")}
        assert new <= held | gone or act is quarantine
        assert new <= held or act in (delete_all, quarantine, prune)
        assert orphans_but_withheld(storage) == []
    for storage in interleavings(published, publisher, act):
        held = {file.filename for file in record(storage, "demo").held_files}
        assert {path.name for path in built(version="2.0.dev1")} <= held | {
            deleted.filename for deleted in record(storage, "demo").deleted
        } or act is quarantine


def orphans_but_withheld(storage: Storage) -> list[str]:
    project = record(storage, "demo")
    kept = {f"demo/{file.key}{ending}" for file in project.withheld for ending in ("", ".metadata")}
    return [key for key in orphans(storage) if key not in kept]


def test_the_same_bytes_published_while_they_are_deleted_are_there_or_gone_and_never_half() -> None:
    def publisher(storage: Storage) -> None:
        send(storage, *built(), now=NOW + timedelta(hours=1))

    ends = set()
    for lie in (interleavings(published, delete, publisher), interleavings(published, publisher, delete)):
        for storage in lie:
            ends.add(SDIST in filenames(storage, "demo"))
            assert (SDIST in filenames(storage, "demo")) == (WHEEL in filenames(storage, "demo"))
            assert orphans(storage) == []
    assert ends == {True, False}


def test_what_a_slow_publisher_stored_once_more_under_a_deleted_key_is_never_offered_there() -> None:
    """Its own key was listed and deleted by others before it got there."""

    def others(storage: Storage) -> None:
        send(storage, *built())
        delete(storage)

    def slow(storage: Storage) -> None:
        send(storage, *built(), now=NOW + timedelta(hours=1))

    left_over = set()
    for storage in interleavings(lambda: MemoryStorage(), slow, others):  # noqa: PLW0108  a new one each time
        used = {f"demo/{used.key}{ending}" for used in record(storage, "demo").used for ending in ("", ".metadata")}
        left_over |= set(orphans(storage))
        assert set(orphans(storage)) <= used
        delete(storage)
        assert orphans(storage) == []
    assert left_over


def test_two_who_delete_the_same_both_succeed() -> None:
    for storage in interleavings(published, delete, delete):
        assert filenames(storage, "demo") == filenames(published_then(delete), "demo")
        assert orphans(storage) == []


def test_a_yank_beside_a_deletion_is_refused_or_forgotten() -> None:
    def yanker(storage: Storage) -> None:
        with suppress(NotPublished):
            yank(storage)

    for lie in (interleavings(published, delete, yanker), interleavings(published, yanker, delete)):
        for storage in lie:
            assert filenames(storage, "demo") == filenames(published_then(delete), "demo")


def test_no_object_goes_before_no_page_lists_it() -> None:
    storage = published()

    def check(verb: str, key: str) -> None:
        if verb == "delete":
            page = storage.get("demo/index.html")
            assert page
            assert key.removesuffix(".metadata").removeprefix("demo/").encode() not in page.body

    delete_all(Observed(storage, before=check))
    assert orphans(storage) == []


# -- an older index -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def older() -> MemoryStorage:
    """What the original pypiprivate leaves."""
    storage = MemoryStorage()
    for path in (*built(), *built(version="1.1")):
        older_tool(storage, path, "demo")
    return storage


def test_a_change_of_an_older_index_adopts_it_first(older: MemoryStorage) -> None:
    done = yank(older)
    check_at_rest(older)
    assert {file.key for file in done.marked} == {SDIST, WHEEL}
    assert len(filenames(older, "demo")) == 4


def test_a_deletion_in_an_older_index_removes_the_file_where_it_lies(older: MemoryStorage) -> None:
    delete(older)
    check_at_rest(older)
    assert orphans(older) == []
    assert [key for key in snapshot(older) if SDIST in key or WHEEL in key] == []


def test_what_is_refused_or_nothing_to_do_adopts_nothing(older: MemoryStorage) -> None:
    before = snapshot(older)
    with pytest.raises(NotPublished):
        change(edits.yank(Target.parse("demo==9")))(older)
    assert not remove(edits.prune(Retention(keep=9), NOW))(older).changed
    assert not change(edits.set_status("active"))(older).changed
    assert snapshot(older) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_an_older_index_is_changed_loses_nothing(when: str) -> None:
    for at in count():
        storage = MemoryStorage()
        for path in (*built(), *built(version="1.1")):
            older_tool(storage, path, "demo")
        crashed = True
        try:
            delete(failing(storage, at, when=when))
            crashed = False
        except StorageError:
            check_never_torn(storage)
            delete(storage)
        check_at_rest(storage)
        assert orphans(storage) == []
        assert filenames(storage, "demo") == sorted(path.name for path in built(version="1.1"))
        if not crashed:
            return


def test_what_the_older_tool_leaves_again_under_a_deleted_name_does_not_come_back(older: MemoryStorage) -> None:
    delete(older)
    older_tool(older, built()[0], "demo")
    done = change(edits.set_status("archived"))(older)
    assert done.after.status == Status("archived")
    check_at_rest(older)
    assert SDIST not in filenames(older, "demo")


# -- many projects ------------------------------------------------------------------------------------------------------------


def test_a_rule_goes_through_all_projects_and_tells_of_those_that_lost_something() -> None:
    storage = published(*built("other"))
    edit = edits.prune(Retention(keep=1), NOW)
    assert [c.after.name for c in amend.preview_each(storage, None, edit)] == ["demo"]
    assert len(filenames(storage, "demo")) == 4
    (done,) = amend.remove_from_each(storage, None, edit)
    assert {file.filename for file in done.removed} == {SDIST, WHEEL}
    assert amend.remove_from_each(storage, ["other", "demo", "demo"], edit) == ()
    check_at_rest(storage)
    assert orphans(storage) == []


def test_a_rule_that_was_interrupted_is_finished_by_the_same_command() -> None:
    storage = published()
    edit = edits.prune(Retention(keep=1), NOW)
    with pytest.raises(StorageError):
        amend.remove_from_each(failing(storage, 0, verbs=["delete"]), None, edit)
    assert orphans(storage)
    assert amend.remove_from_each(storage, None, edit) == ()
    assert orphans(storage) == []


def test_a_project_that_is_only_listed_hurts_no_rule_and_one_that_is_named_must_be_there(older: MemoryStorage) -> None:
    put(older, "empty/index.html", b"<!DOCTYPE html><title>nothing</title>")
    edit = edits.prune(Retention(keep=1), NOW)
    assert [c.after.name for c in amend.preview_each(older, None, edit)] == ["demo"]
    with pytest.raises(NotPublished, match="empty"):
        amend.preview_each(older, ["demo", "empty"], edit)


# -- on a disk, in a bucket ---------------------------------------------------------------------------------------------------


def test_on_a_disk_directories_of_deleted_files_go_with_them(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "index")
    send(storage, *built(), *built(version="1.1"))
    amend.amend(storage, "demo", edits.yank(Target.parse("demo==1.1")))
    amend.remove(storage, "demo", edits.delete(ONE, NOW - timedelta(1)))
    check_at_rest(storage)
    kept = {file.key.partition("/")[0] for file in record(storage, "demo").files}
    assert {path.name for path in (tmp_path / "index/demo").iterdir()} == {"index.html", "index.json", *kept}


def test_in_a_bucket_every_verb_leaves_what_it_leaves_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as server:
        storage, undisturbed = open_bucket(server.options(prefix=secrets.token_hex(8))), published()
        send(storage, *built())
        send(storage, *built(version="1.1"))
        for act in (yank, quarantine, change(edits.set_status("active")), delete, prune, delete_all):
            done = act(storage)
            check_at_rest(storage)
            assert {file.filename for file in done.removed} == {file.filename for file in act(undisturbed).removed}
            assert orphans_but_withheld(storage) == []
        assert without_serials(snapshot(storage)) == without_serials(snapshot(undisturbed))
