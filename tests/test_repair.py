"""Repair mends what needs no human, writes nothing else, and loses nothing, whatever happens beside it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pypiprivate import artifact, edits, pages, simple
from pypiprivate.amend import remove
from pypiprivate.cli import main
from pypiprivate.concurrency import streaming
from pypiprivate.edits import Target
from pypiprivate.errors import StorageError, UnsafeStorage, UnsupportedIndex
from pypiprivate.findings import Depth, Kind
from pypiprivate.index import Index
from pypiprivate.model import Existing, ProjectList
from pypiprivate.publish import publish, utc_now
from pypiprivate.repair import Repair, preview, repair
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage, open_bucket
from pypiprivate.verify import verify

from .breakages import (
    BYTES,
    DEEP,
    FINAL,
    HEADERS,
    MENDABLE,
    NO_FILE,
    ROOT,
    Breakage,
    edit_root,
    fill,
    lose_of_respelt,
    overwrite,
    wheel_of,
)
from .builders import make_wheel
from .faults import proxy, refuse
from .repositories import (
    WRITES,
    Imitation,
    Observed,
    check_at_rest,
    during,
    failing,
    filenames,
    not_at_all,
    older_tool,
    put,
    root,
    snapshot,
)
from .servers import Server

BROKEN = Breakage.__str__


@pytest.fixture
def storage(tmp_path: Path) -> MemoryStorage:
    """A sound index of two projects."""
    storage = MemoryStorage()
    fill(storage, tmp_path, "demo", "other")
    return storage


class Counted:
    """Counts what a command writes."""

    def __init__(self, inner: Storage) -> None:
        self.writes: list[tuple[str, str]] = []
        self.storage = Observed(inner, before=self._note)

    def _note(self, verb: str, key: str) -> None:
        if verb in WRITES and not key.startswith(".pypiprivate/"):
            self.writes.append((verb, key))


def mend(storage: Storage, *names: str, depth: Depth = Depth.FILES) -> Repair:
    return repair(storage, names, depth=depth, sleep=not_at_all)


def test_nothing_is_written_to_a_sound_index(storage: MemoryStorage) -> None:
    counted = Counted(storage)
    done = mend(counted.storage)
    assert (done.mended, done.left, counted.writes) == ((), (), [])


@pytest.mark.parametrize("breakage", [*MENDABLE, *HEADERS, *ROOT], ids=BROKEN)
def test_what_needs_no_human_is_mended_and_nothing_is_found_again(storage: MemoryStorage, breakage: Breakage) -> None:
    sound = snapshot(storage)
    breakage.do(storage, "demo")
    done = mend(storage)
    assert {finding.kind for finding in done.mended} == breakage.finds
    assert done.left == ()
    assert verify(storage, depth=Depth.BYTES).findings == ()
    check_at_rest(storage)
    assert {key: body for key, body in snapshot(storage).items() if "index." not in key} == {
        key: body for key, body in sound.items() if "index." not in key
    }
    counted = Counted(storage)
    assert mend(counted.storage).mended == ()
    assert counted.writes == []


@pytest.mark.parametrize("breakage", [*MENDABLE[:4], *HEADERS[:2], *ROOT], ids=BROKEN)
def test_documents_are_mended_from_the_records_alone(storage: MemoryStorage, breakage: Breakage) -> None:
    breakage.do(storage, "demo")
    read: list[str] = []
    observed = Observed(storage, before=lambda verb, key: read.append(key) if verb in {"read", "stat"} else None)
    assert mend(observed, depth=Depth.DOCUMENTS).left == ()
    assert verify(storage).findings == ()
    assert read == []


@pytest.mark.parametrize("breakage", [*FINAL, *BYTES, *DEEP], ids=BROKEN)
def test_what_takes_a_human_is_left_as_it_is(storage: MemoryStorage, breakage: Breakage) -> None:
    breakage.do(storage, "demo")
    before = snapshot(storage)
    done = mend(storage, depth=Depth.BYTES)
    assert done.mended == ()
    assert {finding.kind for finding in done.left} >= breakage.finds
    assert {key: body for key, body in snapshot(storage).items() if key in before} == before


def test_all_that_is_wrong_is_mended_at_once(storage: MemoryStorage, tmp_path: Path) -> None:
    breakages = {f"p{at}": one for at, one in enumerate((*MENDABLE, *HEADERS[:4]))}
    fill(storage, tmp_path, *breakages)
    for project, one in breakages.items():
        one.do(storage, project)
    ROOT[0].do(storage, "demo")
    with streaming(4) as stream:
        done = repair(storage, stream=stream, sleep=not_at_all)
    assert (len(done.mended), done.left) == (len(breakages) + 1, ())
    assert verify(storage, depth=Depth.BYTES).findings == ()
    check_at_rest(storage)


def test_a_sidecar_is_rebuilt_where_the_record_leads_to_its_wheel_in_a_roundabout_way(storage: MemoryStorage) -> None:
    lose_of_respelt(".metadata")(storage, "demo")
    assert {finding.kind for finding in mend(storage).mended} == {Kind.SIDECAR_MISSING}
    assert verify(storage, depth=Depth.BYTES).findings == ()


def older_root(storage: Storage) -> None:
    """Put an old root record back beside a page that names more, also what is known from nowhere else."""
    edit_root(storage, root(storage).add(["ghost"]))
    overwrite(storage, simple.ROOT_RECORD, simple.root_to_json(ProjectList({"demo": {}}, serial=1)), simple.JSON_TYPE)
    page = pages.root_to_html(replace(root(storage), serial=7).add(["ghost", "other"]))
    overwrite(storage, simple.ROOT_PAGE, page, simple.HTML_TYPE)


@pytest.mark.parametrize("names", [(), ("demo",)])
def test_a_root_record_that_is_older_than_its_page_is_left_to_a_human(storage: MemoryStorage, names: tuple[str, ...]) -> None:
    older_root(storage)
    before = snapshot(storage)
    done = mend(storage, *names)
    assert (Kind.RECORD_OUTDATED, simple.ROOT_RECORD) in {(finding.kind, finding.key) for finding in done.left}
    assert done.mended == ()
    assert preview(done.report).mended == ()
    assert snapshot(storage) == before


def test_a_project_is_not_added_to_a_root_record_that_is_older_than_its_page(storage: MemoryStorage) -> None:
    older_root(storage)
    before = snapshot(storage)
    with pytest.raises(UnsupportedIndex, match="index.json in the repository cannot be used: it is older"):
        Index(storage, sleep=not_at_all).mend_root(["new"])
    with pytest.raises(UnsupportedIndex, match="index.json in the repository cannot be used: it is older"):
        Index(storage, sleep=not_at_all).enlist(["new"])
    assert snapshot(storage) == before


def test_a_root_that_grows_while_it_is_looked_at_is_not_taken_for_an_older_one(storage: MemoryStorage) -> None:
    pages = 0

    def grow(verb: str, key: str) -> None:
        nonlocal pages
        pages += (verb, key) == ("get", simple.ROOT_PAGE)
        if (verb, key) == ("get", simple.ROOT_PAGE) and pages == 1:
            Index(storage).enlist(["grown"])

    Index(Observed(storage, before=grow), sleep=not_at_all).mend_root(["new"])
    assert list(root(storage).projects) == ["demo", "grown", "new", "other"]
    check_root(storage)


def check_root(storage: Storage) -> None:
    page = storage.get(simple.ROOT_PAGE)
    assert page
    assert page.body == pages.root_to_html(root(storage))


def test_a_root_record_that_is_made_anew_names_all_that_its_page_named(storage: MemoryStorage) -> None:
    edit_root(storage, root(storage).add(["ghost"]))
    for key in (simple.ROOT_RECORD, "other/index.json", "other/index.html"):
        storage.delete(key)
    mend(storage)
    assert list(root(storage).projects) == ["demo", "ghost", "other"]
    check_root(storage)
    lost = {finding.key for finding in verify(storage).findings if finding.kind is Kind.RECORD_MISSING}
    assert lost == {"ghost/index.json", "other/index.json"}


def test_a_root_of_another_tool_stays_known_also_where_its_projects_have_no_page(tmp_path: Path) -> None:
    storage = MemoryStorage()
    for name in ("foo", "bar"):
        put(storage, f"{name}/{name}-1.0.tar.gz", b"body")
    links = (
        b'<a href="bar/">bar</a> <a href="/simple/Foo_/">x</a> <a href="foo/index.html">foo</a> <a href="readme.txt">?</a> <a>'
    )
    put(storage, simple.ROOT_PAGE, b"<!DOCTYPE html><html><body>" + links)
    fill(storage, tmp_path, "zed")
    assert list(root(storage).projects) == ["bar", "foo", "zed"]
    assert {finding.key: finding.kind for finding in verify(storage).findings} == {
        "bar/": Kind.NOT_ADOPTED,
        "foo/": Kind.NOT_ADOPTED,
    }


def test_only_what_is_named_is_mended(storage: MemoryStorage) -> None:
    for project in ("demo", "other"):
        MENDABLE[0].do(storage, project)
    assert len(mend(storage, "demo").mended) == 1
    assert [finding.key for finding in verify(storage).findings] == ["other/index.html"]


def test_a_root_that_is_lost_is_made_of_everything_also_where_one_project_is_named(storage: MemoryStorage) -> None:
    ROOT[0].do(storage, "demo")
    mend(storage, "demo")
    assert list(root(storage).projects) == ["demo", "other"]
    assert verify(storage).findings == ()


def test_a_root_that_is_lost_is_made_of_projects_of_an_older_index_too(storage: MemoryStorage, tmp_path: Path) -> None:
    page = storage.get(simple.ROOT_PAGE)
    assert page
    older_tool(storage, make_wheel(tmp_path, "ancient"), "ancient")
    put(storage, simple.ROOT_PAGE, page.body)
    storage.delete(simple.ROOT_RECORD)
    mend(storage)
    assert list(root(storage).projects) == ["ancient", "demo", "other"]


def test_files_that_another_tool_put_there_are_adopted_with_its_page(storage: MemoryStorage, tmp_path: Path) -> None:
    older_tool(storage, make_wheel(tmp_path, "demo", "0.9"), "demo")
    done = mend(storage)
    assert done.left == ()
    assert "demo-0.9-py3-none-any.whl" in filenames(storage, "demo")
    check_at_rest(storage)


def test_a_page_of_another_tool_that_lists_what_would_be_lost_is_left(
    storage: MemoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = b'<!DOCTYPE html><html><body><a href="/files/demo-0.9.tar.gz">demo-0.9.tar.gz</a></body></html>'
    overwrite(storage, "demo/index.html", elsewhere, simple.HTML_TYPE)
    MENDABLE[0].do(storage, "other")
    done = mend(storage)
    assert [finding.key for finding in done.left] == ["demo/index.html"]
    assert [finding.key for finding in done.mended] == ["other/index.html"]
    assert "demo is left as it is" in caplog.text


def test_headers_that_a_store_cannot_change_are_left(storage: MemoryStorage) -> None:
    HEADERS[2].do(storage, "demo")
    assert {finding.kind for finding in mend(Observed(storage)).left} == {Kind.HEADERS}  # which has no such method


def test_nothing_is_mended_on_a_store_that_ignores_conditions(tmp_path: Path) -> None:
    sound, imitation = MemoryStorage(), Imitation("If-Match")
    fill(sound, tmp_path, "demo")
    for key, body in snapshot(sound).items():
        put(imitation, key, body)
    imitation.delete("demo/index.html")
    before = snapshot(imitation)
    with pytest.raises(UnsafeStorage):
        mend(imitation)
    assert snapshot(imitation) == before


# -- beside others, and interrupted -------------------------------------------------------------------------------------------


def break_much(storage: Storage) -> None:
    for one, project in ((MENDABLE[2], "demo"), (MENDABLE[4], "demo"), (MENDABLE[0], "other"), (ROOT[1], "demo")):
        one.do(storage, project)


def operations_of(directory: Path) -> int:
    storage, count = MemoryStorage(), 0
    fill(storage, directory, "demo", "other")
    break_much(storage)

    def counted(_verb: str, _key: str) -> None:
        nonlocal count
        count += 1

    mend(Observed(storage, before=counted))
    return count


def publish_another(storage: Storage, directory: Path, project: str = "demo") -> None:
    publish([artifact.read(make_wheel(directory, project, "2.0"))], storage)


def replace_one(storage: Storage, directory: Path) -> None:
    path = make_wheel(directory / "rebuilt", "demo", "1.0", files={"demo/more.py": b"more"})
    publish([artifact.read(path)], storage, existing=Existing.REPLACE)


def delete_one(storage: Storage, _directory: Path) -> None:
    remove(storage, "demo", edits.delete(Target.parse("demo"), utc_now()))


COMMANDS: dict[str, tuple[Callable[[Storage, Path], None], list[str]]] = {
    "publish": (publish_another, ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-2.0-py3-none-any.whl"]),
    "new project": (partial(publish_another, project="zebra"), ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]),
    "replace": (replace_one, ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]),
    "delete": (delete_one, []),
}


@pytest.mark.parametrize("beside", COMMANDS)
def test_nothing_is_lost_beside_a_command_at_any_moment(tmp_path: Path, beside: str) -> None:
    command, listed = COMMANDS[beside]
    for at in range(operations_of(tmp_path)):
        storage = MemoryStorage()
        fill(storage, tmp_path, "demo", "other")
        break_much(storage)
        mend(during(storage, at, partial(command, storage, tmp_path)))
        assert filenames(storage, "demo") == listed
        assert mend(storage).left == ()
        check_at_rest(storage)
        assert verify(storage, depth=Depth.BYTES).is_sound, at


@pytest.mark.parametrize("when", ["before", "after"])
def test_running_it_again_finishes_what_was_interrupted(tmp_path: Path, when: str) -> None:
    for at in range(6):
        storage = MemoryStorage()
        fill(storage, tmp_path, "demo", "other")
        break_much(storage)
        with suppress(StorageError):
            mend(failing(storage, at + 6, when=when))  # the probe comes first
        assert mend(storage).left == ()
        assert verify(storage, depth=Depth.BYTES).findings == ()
        check_at_rest(storage)


def test_a_wheel_that_goes_before_its_sidecar_is_rebuilt_is_not_missed(storage: MemoryStorage) -> None:
    MENDABLE[4].do(storage, "demo")
    asked: list[str] = []

    def delete(verb: str, key: str) -> None:
        if verb == "stat" and key.startswith("demo/") and key.endswith(".whl"):
            asked.append(key)
            if len(asked) == 2:
                storage.delete(key)

    done = mend(Observed(storage, before=delete))
    assert {finding.kind for finding in done.left} == {Kind.SIDECAR_MISSING}


def test_a_document_that_goes_before_it_gets_its_headers_is_not_written(storage: MemoryStorage) -> None:
    HEADERS[1].do(storage, "demo")
    reads: list[str] = []

    def delete(verb: str, key: str) -> None:
        if (verb, key) == ("get", "demo/index.html"):
            reads.append(key)
            if len(reads) == 2:  # looked at, and now to be written
                storage.delete(key)

    mend(Observed(storage, before=delete))
    assert storage.get("demo/index.html") is None


# -- real stores --------------------------------------------------------------------------------------------------------------


def test_what_is_broken_on_a_disk_is_mended(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "index")
    mend_everything(storage, tmp_path, (*MENDABLE, *ROOT[4:]))


def test_what_is_broken_in_a_bucket_is_mended(seaweed: Server, tmp_path: Path) -> None:
    storage = open_bucket(seaweed.options(prefix=secrets.token_hex(8)))
    mend_everything(storage, tmp_path, (*MENDABLE, *ROOT[4:], *HEADERS))


def test_what_is_broken_in_a_bucket_like_amazons_is_mended(amazon: Server, tmp_path: Path) -> None:
    storage = open_bucket(amazon.options(prefix=secrets.token_hex(8)))
    mend_everything(storage, tmp_path, (*MENDABLE[:1], *HEADERS), workers=1)


def mend_everything(storage: Storage, directory: Path, broken: tuple[Breakage, ...], *, workers: int = 8) -> None:
    breakages = {f"p{at}": one for at, one in enumerate(broken)}
    fill(storage, directory, *breakages)
    before = bytes_of_files(storage)
    for project, one in breakages.items():
        one.do(storage, project)
    with streaming(workers) as stream:
        done = repair(storage, stream=stream)
        assert (len(done.mended) >= len(broken), done.left) == (True, ())
        assert verify(storage, depth=Depth.BYTES, stream=stream).findings == ()
        assert repair(storage, stream=stream).mended == ()
    assert bytes_of_files(storage) == before
    check_at_rest(storage)


def bytes_of_files(storage: Storage) -> dict[str, bytes]:
    return {key: body for key, body in snapshot(storage).items() if key.rpartition("/")[2] not in {"index.json", "index.html"}}


def test_an_object_gets_its_headers_and_keeps_its_bytes_and_its_digest(seaweed: Server, tmp_path: Path) -> None:
    storage = open_bucket(seaweed.options(prefix=secrets.token_hex(8)))
    fill(storage, tmp_path, "demo")
    key = f"demo/{wheel_of(storage, 'demo').key}"
    before, body = storage.stat(key), b"".join(storage.read(key))
    assert before
    assert before.sha256
    place = {"Bucket": storage._bucket, "Key": f"{storage._root}{key}"}
    storage._client.put_object(
        **place, Body=body, ContentType="text/plain", ContentEncoding="gzip", Metadata={"sha256": before.sha256}
    )
    assert storage.relabel(key)
    after = storage.stat(key)
    assert after
    assert replace(after, modified=before.modified) == before
    assert b"".join(storage.read(key)) == body


def test_what_cannot_be_copied_keeps_its_headers(seaweed: Server, tmp_path: Path) -> None:
    with proxy(seaweed.url) as faults:
        storage = open_bucket(seaweed.options(prefix=secrets.token_hex(8), endpoint=faults.url), attempts=1)
        storage.store("demo/x", b"", sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        faults.inject(refuse(501, "NotImplemented"), method="PUT")
        assert not storage.relabel("demo/x")
    assert not storage_at(seaweed).relabel("demo/nothing")


def storage_at(server: Server) -> S3Storage:
    return open_bucket(server.options(prefix=secrets.token_hex(8)))


def test_memory_relabels_only_what_is_there(storage: MemoryStorage) -> None:
    assert not storage.relabel("demo/nothing")


# -- the program --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, "demo", "other")
    return storage


def told(index: LocalStorage, *arguments: str) -> int:
    return main(["-r", index.location, *arguments])


def test_the_program_says_what_it_mended(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    MENDABLE[0].do(index, "demo")
    assert told(index, "repair", "--dry-run") == 0
    assert capsys.readouterr().err.splitlines() == [
        "demo/index.html: would be mended (there is none)",
        f"1 finding would be mended in {index.location}",
        f"dry run: nothing was written to {index.location}",
    ]
    assert index.get("demo/index.html") is None
    assert told(index, "repair") == 0
    assert capsys.readouterr().err.splitlines() == [
        "demo/index.html: mended (there is none)",
        f"1 finding mended in {index.location}",
    ]
    assert told(index, "-q", "repair", "--documents", "demo") == 0
    assert capsys.readouterr().err == ""
    check_at_rest(index)


def test_the_program_says_what_is_left_for_a_human(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    NO_FILE.do(index, "demo")
    assert told(index, "-q", "repair") == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0:2] == ["1 finding left for a human:", "files missing: 1"]
    assert said[3].startswith("  -> Put the very bytes back")


def test_the_program_says_it_to_machines(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    NO_FILE.do(index, "demo")
    MENDABLE[0].do(index, "other")
    assert told(index, "repair", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["repository"], said["dry_run"]) == (index.location, False)
    assert [finding["key"] for finding in said["mended"]] == ["other/index.html"]
    assert [finding["kind"] for finding in said["left"]] == ["file_missing"]
