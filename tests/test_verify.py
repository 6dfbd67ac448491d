"""Verify says what is wrong, nothing else, and never takes a failure of the store for an absence."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import artifact, edits, simple, survey, takeover
from pypiprivate.amend import amend, remove
from pypiprivate.cli import main
from pypiprivate.concurrency import in_turn, streaming
from pypiprivate.edits import Target
from pypiprivate.errors import NotPublished, StorageError, UnsupportedIndex
from pypiprivate.findings import Depth, Finding, Kind, Report
from pypiprivate.model import Existing
from pypiprivate.publish import publish, utc_now
from pypiprivate.storage.base import OCTETS, Stat, Storage
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
    edit_record,
    edit_root,
    fill,
    overwrite,
    wheel_of,
)
from .builders import make_sdist, make_wheel
from .repositories import Observed, during, failing, filenames, not_at_all, older_tool, put, record, root, snapshot
from .servers import Server

BROKEN = Breakage.__str__


@pytest.fixture(scope="session")
def bucket(seaweed: Server) -> S3Storage:
    return open_bucket(seaweed.options())


@pytest.fixture
def storage(tmp_path: Path) -> MemoryStorage:
    """A sound index of two projects."""
    storage = MemoryStorage()
    fill(storage, tmp_path, "demo", "other")
    return storage


@pytest.fixture(params=["local", "bucket"])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty repository on a real store."""
    if request.param == "local":
        return LocalStorage(tmp_path / "index")
    shared_bucket: S3Storage = request.getfixturevalue("bucket")
    return S3Storage(shared_bucket._client, shared_bucket._bucket, prefix=secrets.token_hex(8))


def kinds(report: Report) -> set[Kind]:
    return set(report.kinds)


def keys(report: Report, kind: Kind) -> list[str]:
    return [finding.key for finding in report.findings if finding.kind is kind]


@pytest.mark.parametrize("depth", Depth)
def test_nothing_is_found_in_a_sound_index(storage: MemoryStorage, depth: Depth) -> None:
    before = snapshot(storage)
    report = verify(storage, depth=depth)
    assert (report.findings, report.is_sound) == ((), True)
    assert (report.projects, report.files) == (2, 0 if depth is Depth.DOCUMENTS else 4)
    assert snapshot(storage) == before


@pytest.mark.parametrize("depth", Depth)
def test_a_place_where_nothing_lies_is_an_error(depth: Depth) -> None:
    storage = MemoryStorage()
    with pytest.raises(NotPublished, match=f"there is no index in {storage.location}"):
        verify(storage, depth=depth)


@pytest.mark.parametrize("breakage", [*MENDABLE, *HEADERS, *ROOT, *FINAL, *BYTES], ids=BROKEN)
def test_what_is_broken_is_found_and_nothing_else(storage: MemoryStorage, breakage: Breakage) -> None:
    breakage.do(storage, "demo")
    before = snapshot(storage)
    report = verify(storage)
    assert kinds(report) == breakage.finds
    assert not report.is_sound
    assert all(finding.is_broken and finding.problem and finding.way_out for finding in report.findings)
    assert snapshot(storage) == before
    assert kinds(verify(storage, ["demo"])) >= breakage.finds - {Kind.RECORD_MISSING}


@pytest.mark.parametrize("breakage", [*BYTES, *DEEP], ids=BROKEN)
def test_what_only_the_bytes_tell_is_found_by_reading_them(storage: MemoryStorage, breakage: Breakage) -> None:
    breakage.do(storage, "demo")
    assert kinds(verify(storage, depth=Depth.BYTES)) == breakage.finds


LOOKS = {
    "style": (rb"<style>[^<]*</style>", b"<style>body{color:red}</style>"),
    "script": (rb"<script>.*</script>", b"<script>if (1 < 2) {\n  x()\n}</script>"),
    "policy": (rb'(Content-Security-Policy" content=)"[^"]*"', rb"""\1"default-src 'none'" """.rstrip()),
}


@pytest.mark.parametrize("key", ["demo/index.html", "demo/", "index.html", ""])
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_in_the_style_of_another_version_says_the_same(key: str, look: str, tmp_path: Path) -> None:
    storage = MemoryStorage(slash_pages="html")
    fill(storage, tmp_path, "demo")
    pattern, other = LOOKS[look]
    page = storage.get(key)
    assert page
    body = re.sub(pattern, other, page.body, flags=re.DOTALL)
    assert body != page.body
    put(storage, key, body)
    assert kinds(verify(storage)) <= {Kind.HEADERS}
    put(storage, key, body.replace(b"</main>", b"<script>x()</script></main>"))
    assert kinds(verify(storage)) >= {Kind.PAGE}


class Silent(Observed):
    """A store that says neither digests nor headers."""

    def stat(self, key: str) -> Stat | None:
        found = super().stat(key)
        return found and replace(found, sha256=None, headers=None)


def test_a_store_that_knows_no_digests_is_read_only_if_asked(storage: MemoryStorage) -> None:
    BYTES[0].do(storage, "demo")
    assert verify(Silent(storage)).is_sound
    assert kinds(verify(Silent(storage), depth=Depth.BYTES)) == {Kind.FILE_DAMAGED}


def test_files_are_not_asked_for_where_documents_are_enough(storage: MemoryStorage) -> None:
    asked: list[tuple[str, str]] = []
    verify(Observed(storage, before=lambda verb, key: asked.append((verb, key))), depth=Depth.DOCUMENTS)
    assert {verb for verb, _ in asked} == {"list", "get"}
    assert not [key for _, key in asked if key.count("/") > 1]


def test_a_sound_index_costs_one_listing_and_no_request_more_than_it_has_objects(storage: MemoryStorage) -> None:
    asked: list[str] = []
    verify(Observed(storage, before=lambda verb, _: asked.append(verb)))
    # Record and page of two projects and of the root, which is first asked how many there may be; two sidecars.
    assert {verb: asked.count(verb) for verb in asked} == {"list": 1, "stat": 4, "get": 4 + 2 + 2 + 1}


def test_withheld_files_are_looked_after(storage: MemoryStorage) -> None:
    amend(storage, "demo", edits.set_status("quarantined"))
    assert verify(storage).files == 4
    storage.delete(f"demo/{wheel_of(storage, 'demo').key}")
    assert kinds(verify(storage)) == {Kind.FILE_MISSING}


def test_what_is_left_of_deleted_files_is_a_note(storage: MemoryStorage) -> None:
    lost = failing(storage, 0, verbs=["delete"])
    with pytest.raises(StorageError):
        remove(lost, "demo", edits.delete(Target.parse("demo"), utc_now()), sleep=not_at_all)
    report = verify(storage)
    assert report.is_sound
    assert report.kinds == {Kind.GIVEN_UP: 3}


def test_what_nobody_lists_is_a_note(storage: MemoryStorage) -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    storage.store(f"demo/{digest[:32]}/demo-2.0.tar.gz", b"body", sha256=digest)
    storage.store(f"fresh/{digest[:32]}/fresh-2.0.tar.gz", b"body", sha256=digest)
    for key in ("demo/notes.txt", "Assets/logo.png", "robots.txt"):
        put(storage, key, b"whatever")
    report = verify(storage)
    assert report.is_sound
    assert keys(report, Kind.ORPHAN) == [f"demo/{digest[:32]}/demo-2.0.tar.gz"]
    assert keys(report, Kind.UNPUBLISHED) == ["fresh/"]
    assert sorted(keys(report, Kind.FOREIGN)) == ["Assets/", "demo/notes.txt", "robots.txt"]


def test_an_index_of_an_older_tool_is_a_note(tmp_path: Path) -> None:
    storage = MemoryStorage()
    older_tool(storage, make_wheel(tmp_path, "demo"), "demo")
    report = verify(storage)
    assert report.is_sound
    assert keys(report, Kind.NOT_ADOPTED) == ["demo/"]
    assert verify(storage, ["demo"]).is_sound


def test_an_adopted_project_is_sound_with_whatever_headers_its_files_have(tmp_path: Path) -> None:
    storage = MemoryStorage()
    older_tool(storage, make_wheel(tmp_path, "demo"), "demo")
    publish([artifact.read(make_sdist(tmp_path, "demo", "2.0"))], storage)
    assert verify(storage, depth=Depth.BYTES).findings == ()
    encode(storage, "demo/demo-1.0-py3-none-any.whl")
    assert keys(verify(storage), Kind.HEADERS) == ["demo/demo-1.0-py3-none-any.whl"]


def encode(storage: MemoryStorage, key: str) -> None:
    found = storage._objects[key]
    storage._objects[key] = replace(found, headers=replace(found.headers, content_encoding="gzip"))


def test_a_content_encoding_is_found(storage: MemoryStorage) -> None:
    key = f"demo/{wheel_of(storage, 'demo').key}"
    encode(storage, key)
    (finding,) = verify(storage).findings
    assert finding == Finding(Kind.HEADERS, key, "Content-Encoding 'gzip' instead of ''")


def test_files_that_cannot_be_checked_are_a_note(storage: MemoryStorage) -> None:
    found, wheel = record(storage, "demo"), wheel_of(storage, "demo")
    elsewhere = (
        replace(wheel, filename="demo-2.0-py3-none-any.whl", url="https://elsewhere.example/demo-2.0-py3-none-any.whl"),
        replace(wheel, filename="demo-3.0-py3-none-any.whl", url="../../packages/demo-3.0-py3-none-any.whl"),
        replace(wheel, filename="demo-4.0-py3-none-any.whl", url="/packages/demo-4.0-py3-none-any.whl"),
        replace(wheel, filename="", url="./"),
    )
    unhashed = tuple(replace(file, hashes={}) for file in found.files if file != wheel)
    edit_record(storage, replace(found, files=(*elsewhere, *unhashed, wheel), versions=("1.0", "2.0", "3.0", "4.0")))
    report = verify(storage, depth=Depth.BYTES)
    assert report.is_sound
    assert report.kinds == {Kind.UNCHECKED: 5}


def relist_wheel(storage: MemoryStorage, **changes: Any) -> None:
    found, wheel = record(storage, "demo"), wheel_of(storage, "demo")
    changed = replace(wheel, **changes)
    edit_record(storage, replace(found, files=tuple(changed if file == wheel else file for file in found.files)))


def test_a_file_with_an_older_digest_is_a_note_until_that_is_compared(storage: MemoryStorage) -> None:
    body = b"".join(storage.read(f"demo/{wheel_of(storage, 'demo').key}"))
    relist_wheel(storage, hashes={"md5": hashlib.md5(body).hexdigest(), "blake3": "unknown"})
    (finding,) = verify(storage).findings
    assert (finding.kind, finding.problem) == (Kind.UNCHECKED, "the record has no sha256 of it; --deep compares its md5")
    assert verify(storage, depth=Depth.BYTES).findings == ()


def test_a_sidecar_that_the_record_announces_no_more_is_a_note(storage: MemoryStorage) -> None:
    relist_wheel(storage, core_metadata=False)
    report = verify(storage, depth=Depth.BYTES)
    assert report.is_sound
    assert keys(report, Kind.SIDECAR_UNANNOUNCED) == [f"demo/{wheel_of(storage, 'demo').key}.metadata"]


def test_a_file_in_the_directory_of_another_project_is_found_for_that_project_may_take_it_away(storage: MemoryStorage) -> None:
    """Neither a deletion nor gc asks any other record."""
    (wheel,) = (file for file in record(storage, "other").files if file.filename.endswith(".whl"))
    relist_wheel(storage, url=f"../other/{wheel.url}", filename=wheel.filename, hashes=wheel.hashes, size=wheel.size)
    key = f"other/{wheel.key}"
    (found,) = [finding for finding in verify(storage, ["demo"]).findings if finding.kind is Kind.RECORD_CONTRADICTORY]
    assert found.problem == f"it lies at {key}, in a directory whose own project may take it away"
    delete_one(storage, Path(), "other")
    assert keys(verify(storage), Kind.FILE_MISSING) == [key]


def test_what_adopt_would_take_is_not_called_nobodys(storage: MemoryStorage, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "Other.Demo", "1.0")
    for key in (f"Other.Demo/{path.name}", "Assets/logo.png", path.name, "robots.txt"):
        overwrite(storage, key, path.read_bytes(), OCTETS)
    report = verify(storage)
    assert report.is_sound
    assert keys(report, Kind.ASTRAY) == ["Other.Demo/", path.name]
    assert keys(report, Kind.FOREIGN) == ["Assets/", "robots.txt"]
    (found,) = [finding for finding in report.findings if finding.key == "Other.Demo/"]
    assert found.problem == "installers look for other-demo; 1 object"
    assert "pypi-private adopt" in found.way_out
    takeover.take(survey.survey(storage), storage)
    assert filenames(storage, "other-demo") == [path.name]


def test_where_a_record_is_lost_for_good_the_way_out_leads_back_to_its_files(tmp_path: Path) -> None:
    storage, elsewhere = LocalStorage(tmp_path / "index"), tmp_path / "elsewhere"
    fill(storage, tmp_path, "demo", "other")
    storage.delete("demo/index.json")
    (finding,) = verify(storage).findings
    assert "pypi-private adopt --from PLACE --layout directory" in finding.way_out
    with pytest.raises(UnsupportedIndex, match="it is missing") as caught:
        publish_another(storage, tmp_path)
    assert "pypi-private verify" in caught.value.hint
    (tmp_path / "index" / "demo").rename(elsewhere)
    assert told(storage, "adopt", "--from", str(elsewhere), "--layout", "directory") == 0
    assert len(filenames(storage, "demo")) == 2
    assert verify(storage, depth=Depth.BYTES).findings == ()


def test_metadata_that_cannot_be_read_are_a_note(storage: MemoryStorage, tmp_path: Path) -> None:
    found, wheel = record(storage, "demo"), wheel_of(storage, "demo")
    digest = hashlib.sha256(b"no zip").hexdigest()
    strange = replace(wheel, size=6, hashes={"sha256": digest})
    nameless = replace(strange, filename="demo.whl", url="x/demo.whl")
    storage.store(f"demo/{wheel.key}", b"no zip", sha256=digest)
    storage.store("demo/x/demo.whl", b"no zip", sha256=digest)
    overwrite(storage, "demo/x/demo.whl.metadata", b"".join(storage.read(f"demo/{wheel.key}.metadata")))
    storage.relabel("demo/x/demo.whl.metadata")
    edit_record(storage, replace(found, files=(strange, nameless, *(file for file in found.files if file != wheel))))
    report = verify(storage, depth=Depth.BYTES)
    assert report.kinds == {Kind.UNCHECKED: 2}


def test_only_the_projects_that_are_named_are_looked_at(storage: MemoryStorage) -> None:
    MENDABLE[0].do(storage, "other")
    assert verify(storage, ["demo", "demo"]).is_sound
    assert not verify(storage, ["other"]).is_sound


@pytest.mark.parametrize("names", [["unknown"], ["demo", "unknown"]])
def test_a_name_that_nobody_knows_is_an_error(storage: MemoryStorage, names: list[str]) -> None:
    with pytest.raises(NotPublished, match="there is no project unknown in"):
        verify(storage, names)


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("workers", [0, 4])
def test_a_store_that_fails_is_an_error_and_never_a_finding(storage: MemoryStorage, depth: Depth, workers: int) -> None:
    operations: list[str] = []
    verify(Observed(storage, before=lambda verb, _: operations.append(verb)), depth=depth)
    for at in range(len(operations)):
        with pytest.raises(StorageError, match="the store went away"):
            run(failing(storage, at, verbs=["get", "stat", "list", "read"]), depth, workers)


def run(storage: Storage, depth: Depth, workers: int) -> Report:
    if not workers:
        return verify(storage, depth=depth)
    with streaming(workers) as stream:
        return verify(storage, depth=depth, stream=stream)


def publish_another(storage: Storage, directory: Path, project: str = "demo") -> None:
    publish([artifact.read(make_wheel(directory, project, "2.0"))], storage)


def replace_one(storage: Storage, directory: Path) -> None:
    path = make_wheel(directory / "rebuilt", "demo", "1.0", files={"demo/more.py": b"more"})
    publish([artifact.read(path)], storage, existing=Existing.REPLACE)


def delete_one(storage: Storage, _directory: Path, project: str = "demo") -> None:
    remove(storage, project, edits.delete(Target(project), utc_now()))


COMMANDS: dict[str, Callable[[Storage, Path], None]] = {
    "publish": publish_another,
    "new project": partial(publish_another, project="zebra"),
    "replace": replace_one,
    "delete": delete_one,
}


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("beside", COMMANDS)
def test_nothing_is_found_beside_a_command_at_any_moment(tmp_path: Path, beside: str, depth: Depth) -> None:
    command = COMMANDS[beside]
    quiet = MemoryStorage()
    fill(quiet, tmp_path, "demo", "other")
    count = 0

    def counted(_verb: str, _key: str) -> None:
        nonlocal count
        count += 1

    verify(Observed(quiet, before=counted), depth=depth)
    for at in range(count):
        storage = MemoryStorage()
        fill(storage, tmp_path, "demo", "other")
        report = verify(during(storage, at, partial(command, storage, tmp_path)), depth=depth)
        assert report.is_sound, (at, report.findings)


def test_documents_that_keep_changing_are_not_looked_at_for_ever(storage: MemoryStorage, tmp_path: Path) -> None:
    DEEP[0].do(storage, "demo")

    def change(verb: str, key: str) -> None:
        if (verb, key) == ("get", "demo/index.json"):
            amend(storage, "demo", edits.set_status("active", reason=secrets.token_hex(4)))

    report = verify(Observed(storage, before=change), depth=Depth.BYTES)
    assert Kind.METADATA_DIFFERS in kinds(report)


def test_what_goes_while_it_is_read_is_not_an_error_of_the_store(storage: MemoryStorage) -> None:
    key = f"demo/{wheel_of(storage, 'demo').key}"

    def delete(verb: str, read: str) -> None:
        if (verb, read) == ("read", key):
            storage.delete(key)

    assert kinds(verify(Observed(storage, before=delete), depth=Depth.BYTES)) == {Kind.FILE_MISSING}


def test_a_root_that_keeps_changing_is_not_looked_at_for_ever(storage: MemoryStorage) -> None:
    ROOT[4].do(storage, "demo")
    changes = 0

    def change(verb: str, key: str) -> None:
        nonlocal changes
        if (verb, key) == ("get", simple.ROOT_PAGE):
            changes += 1
            edit_root(storage, root(storage).add([f"new-{changes}"]))
            fresh = replace(record(storage, "other"), name=f"new-{changes}", files=(), versions=())
            edit_record(storage, fresh)

    assert keys(verify(Observed(storage, before=change)), Kind.UNLISTED) == ["demo/"]
    assert changes < 20


def test_what_cannot_be_read_is_an_error_also_where_it_is_there(storage: MemoryStorage) -> None:
    def refuse(verb: str, key: str) -> None:
        if verb == "read":
            raise StorageError(key, "access is denied.")

    with pytest.raises(StorageError, match="access is denied"):
        verify(Observed(storage, before=refuse), depth=Depth.BYTES)


# -- many at once -------------------------------------------------------------------------------------------------------------


def test_a_stream_runs_so_many_calls_at_once_and_takes_no_more_than_it_is_ahead() -> None:
    taken, running, most, lock = 0, 0, 0, threading.Lock()
    together = threading.Barrier(4)

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if number < 4:
            together.wait(timeout=30)  # passes only if four calls run at once
        with lock:
            running -= 1
        return number

    def calls() -> Iterator[Callable[[], int]]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield partial(call, number)

    with streaming(4) as stream:
        results = stream(calls())
        assert next(results) == 0
        assert taken <= 4 * 4
        assert list(results) == list(range(1, 1000))
    assert most == 4


def test_an_error_in_a_stream_ends_what_has_not_begun() -> None:
    done: list[int] = []

    def call(number: int) -> None:
        if number == 3:
            raise StorageError("it", "went away.")
        done.append(number)

    with pytest.raises(StorageError), streaming(2) as stream:
        list(stream(partial(call, number) for number in range(100)))
    assert len(done) < 20


def test_calls_in_turn_are_made_when_their_results_are_asked_for() -> None:
    done: list[int] = []
    results = in_turn(partial(done.append, number) for number in range(3))
    next(results)
    assert done == [0]


def test_progress_is_told_how_far_it_is(storage: MemoryStorage) -> None:
    told: list[tuple[int, int]] = []
    verify(storage, counted=lambda done, count: told.append((done, count)))
    assert (told[0], told[-1]) == ((0, 2), (3, 3))  # the root's own documents are a directory, too
    ROOT[0].do(storage, "demo")
    verify(storage, counted=lambda done, count: told.append((done, count)))
    assert told[-1] == (3, 3)


# -- real stores --------------------------------------------------------------------------------------------------------------


def test_documents_alone_are_found_on_a_real_store(real: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotPublished):
        run(real, Depth.DOCUMENTS, 4)
    real.swap(".pypiprivate/left-behind", b"", replacing=None, content_type="text/plain")  # by a probe that was killed
    fill(real, tmp_path, "demo", "other", "third")
    MENDABLE[0].do(real, "demo")
    FINAL[0].do(real, "other")
    report = run(real, Depth.DOCUMENTS, 4)
    assert sorted(finding.key for finding in report.findings) == ["demo/index.html", "other/index.json"]
    assert report.projects == 3


def test_every_breakage_is_found_on_a_real_store(real: Storage, tmp_path: Path) -> None:
    served = HEADERS if isinstance(real, S3Storage) else ()
    breakages = {f"p{at}": one for at, one in enumerate([*MENDABLE, *served, *FINAL[:-1], *DEEP, *BYTES])}
    fill(real, tmp_path, *breakages)
    assert run(real, Depth.BYTES, 8).findings == ()
    for project, one in breakages.items():
        one.do(real, project)
    report = run(real, Depth.BYTES, 8)
    for project, one in breakages.items():
        found = {finding.kind for finding in report.findings if finding.key.startswith(f"{project}/")}
        if one.name not in {
            "named twice in the root",
            "root served as text",
            "older root record",
            "no record of a listed project",
        }:
            assert found - {Kind.METADATA_DIFFERS} == one.finds - {Kind.METADATA_DIFFERS}, one
    assert "ghost/index.json" in keys(report, Kind.RECORD_MISSING)


# -- the docs -----------------------------------------------------------------------------------------------------------------

DOCS = Path(__file__).parent.parent / "docs" / "commands-maintaining.rst"


@pytest.mark.parametrize("command", re.findall(r"^    pypi-private ([^#\n]*)", DOCS.read_text("utf-8"), re.MULTILINE))
def test_the_commands_of_the_docs_run(tmp_path: Path, command: str) -> None:
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, "acme-hello", "acme")
    assert told(storage, *command.split()) == 0


def test_the_python_of_the_docs_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, "demo")
    MENDABLE[0].do(storage, "demo")
    (block,) = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", DOCS.read_text("utf-8"))
    exec(textwrap.dedent(block).replace("s3://acme-pypi/simple", storage.location), {})
    assert capsys.readouterr().out.splitlines()[1:] == ["()", "0 bytes could go"]
    assert verify(storage).is_sound


# -- the program --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    """A sound index in a directory, to which the program is told the way."""
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, "demo", "other")
    return storage


def told(index: LocalStorage, *arguments: str) -> int:
    return main(["-r", index.location, *arguments])


def test_the_program_says_that_all_is_well(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(index, "verify") == 0
    assert capsys.readouterr().out == "looked at 2 projects, 4 files: every promise is kept\n"
    assert told(index, "verify", "--documents", "demo") == 0
    assert capsys.readouterr().out == "looked at 1 project: every promise is kept\n"


def test_the_program_says_what_is_wrong_by_kind_and_what_to_do(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    MENDABLE[0].do(index, "demo")
    NO_FILE.do(index, "other")
    overwrite(index, "demo/notes.txt", b"whatever")
    assert told(index, "verify") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "files missing: 1"
    assert lines[1].endswith("other-1.0-py3-none-any.whl: the record lists it, and nothing lies there")
    assert lines[2].startswith("  -> Put the very bytes back under that key by hand")
    assert lines[4:6] == ["pages that are not those of their records: 1", "  demo/index.html: there is none"]
    assert lines[8:10] == [
        "objects that are not ours: 1 (no promise is broken)",
        "  demo/notes.txt: the project's record does not know it",
    ]
    assert lines[-1] == "looked at 2 projects, 4 files: 2 promises broken"


def test_the_program_shows_some_of_many_unless_asked_for_all(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        overwrite(index, f"demo/{number:02}.txt", b"whatever")
    assert told(index, "verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[20:22] == ["  demo/19.txt: the project's record does not know it", "  … and 5 more; --verbose shows all"]
    assert told(index, "verify", "-v") == 0
    assert "  demo/24.txt" in capsys.readouterr().out


def test_the_program_says_it_to_machines(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    DEEP[0].do(index, "demo")
    assert told(index, "verify", "--deep", "--json") == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    (finding,) = said.pop("findings")
    assert said == {
        "repository": index.location,
        "depth": "bytes",
        "projects": 2,
        "files": 4,
        "sound": False,
        "kinds": {"metadata_differs": 1},
    }
    assert finding.keys() == {"kind", "broken", "key", "problem", "way_out"}
    assert (finding["kind"], finding["broken"]) == ("metadata_differs", True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verify", "--workers", "0"], 2, "--workers takes a number from 1 to 256."),
        (["verify", "demo==1.0"], 2, "is a release, not a project"),
        (["verify", "unknown"], 1, "there is no project unknown in"),
        (["-r", "./mistyped", "verify"], 1, "there is no index in"),
        (["-r", "./mistyped", "repair"], 1, "there is no index in"),
        (["-r", "./mistyped", "gc"], 1, "there is no index in"),
    ],
)
def test_the_program_says_what_it_was_told_wrong(
    index: LocalStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told(index, *arguments) == code
    assert words in capsys.readouterr().err
