"""Slash pages: the form of a page that lies where the URL of its directory leads, for clients that read the store itself."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pypiprivate import adopt, amend, artifact, documents, edits, garbage, pages, promote, publish, repair, simple, verify
from pypiprivate.edits import Target
from pypiprivate.errors import StorageError, UnsupportedIndex
from pypiprivate.findings import Depth, Kind
from pypiprivate.model import Project, ProjectList
from pypiprivate.storage.base import MUTABLE, Headers, Storage, Stored
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage

from .builders import make_sdist, make_wheel
from .repositories import Observed, during, in_turn, not_at_all, older_tool, put, record, root, snapshot

BOTH = pytest.mark.parametrize("form", ["html", "json"])
TYPES = {"html": simple.HTML_TYPE, "json": simple.JSON_TYPE}


class Slashing(Observed):
    """An observed storage that has a place for slash pages."""

    @property
    def slash_pages(self) -> str | None:
        assert isinstance(self.inner, MemoryStorage)
        return self.inner.slash_pages


class Putting:
    """Publishes releases of a project, each built once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, storage: Storage, *versions: str, project: str = "demo") -> None:
        paths = [self._built(project, version) for version in versions]
        publish.publish(map(artifact.read, paths), storage, sleep=not_at_all)

    def _built(self, project: str, version: str) -> Path:
        path = self._directory / f"{project}-{version}-py3-none-any.whl"
        return path if path.exists() else make_wheel(self._directory, project, version)


@pytest.fixture
def put_up(tmp_path: Path) -> Putting:
    return Putting(tmp_path)


def check_slash_pages(storage: MemoryStorage, form: str = "html") -> None:
    """What lies at the directories' own keys is what lies beside them, of that form."""
    for key in ("", *(f"{name}/" for name in root(storage).projects)):
        slash_page, beside = storage.get(key), storage.get(f"{key}index.{form}")
        assert slash_page
        assert beside
        assert slash_page.body == beside.body
        assert slash_page.headers == Headers(TYPES[form], MUTABLE)


def test_nobody_gets_them_who_does_not_ask(put_up: Putting) -> None:
    for storage in (MemoryStorage(), MemoryStorage(slash_pages="")):
        put_up(storage, "1.0")
        assert (storage.get("demo/"), storage.get("")) == (None, None)
        assert b"_slash" not in snapshot(storage)["demo/index.json"]


@BOTH
def test_each_project_and_the_root_have_one(form: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages=form)
    put_up(storage, "1.0")
    put_up(storage, "1.0", "2.0", project="other")
    put_up(storage, "2.0")
    check_slash_pages(storage, form)
    assert verify.verify(storage, depth=Depth.BYTES).findings == ()


VERBS: dict[str, Callable[[Storage], object]] = {
    "yank": lambda storage: amend.amend(storage, "demo", edits.yank(Target.parse("demo==1.0"))),
    "delete": lambda storage: amend.remove(storage, "demo", edits.delete(Target.parse("demo==1.0"), publish.utc_now())),
    "status": lambda storage: amend.amend(storage, "demo", edits.set_status("archived", reason="over")),
}


@BOTH
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("told", [True, False])
def test_every_verb_rewrites_them_also_by_who_is_not_told_of_them(told: bool, verb: str, form: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages=form)
    put_up(storage, "1.0", "2.0")
    before = storage.get("demo/")
    storage.slash_pages = form if told else ""
    VERBS[verb](storage)
    after = storage.get("demo/")
    assert before
    assert after
    assert before.body != after.body
    check_slash_pages(storage, form)


def test_a_promotion_writes_those_of_its_target(put_up: Putting) -> None:
    origin, target = MemoryStorage(), MemoryStorage(slash_pages="html")
    put_up(origin, "1.0")
    publish.publish(promote.offers(origin, [Target.parse("demo==1.0")]), target, send=promote.send)
    check_slash_pages(target)


def test_garbage_collection_leaves_them_alone(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    before = storage.get("demo/"), storage.get("")
    assert list(garbage.collect(storage, sleep=not_at_all)) == []
    assert (storage.get("demo/"), storage.get("")) == before


def test_a_file_is_never_missing_from_the_path_that_clients_wait_for(put_up: Putting) -> None:
    """Of a listed project no more steps follow one another than without slash pages: what is more goes beside the rest."""
    batches: dict[str, list[int]] = {}
    for form in ("", "html"):
        storage, sizes = MemoryStorage(slash_pages=form), list[int]()
        for version in ("1.0", "2.0"):
            put_up(storage, version)

        def counting(calls: list[Callable[[], object]], sizes: list[int] = sizes) -> list[object]:
            sizes.append(len(calls))
            return [call() for call in calls]

        (path,) = [Path(put_up._built("demo", "3.0"))]
        publish.publish([artifact.read(path)], storage, gather=counting)  # type: ignore[arg-type]
        batches[form] = sizes
    looks, *_, pages = batches["html"]
    assert len(batches[""]) == len(batches["html"])
    assert (looks, pages) == (batches[""][0] + 1, 2)


@BOTH
def test_a_crash_at_any_write_is_healed_by_the_same_command(form: str, put_up: Putting) -> None:
    def crash(at: int) -> bool:
        storage, writes = MemoryStorage(slash_pages=form), 0

        def fail(verb: str, key: str) -> None:
            nonlocal writes
            writes += verb in ("swap", "store")
            if writes > at and verb in ("swap", "store"):
                raise StorageError(key, "the store went away.")

        try:
            publish.publish([artifact.read(put_up._built("demo", "1.0"))], Slashing(storage, before=fail), gather=in_turn)
        except StorageError:
            put_up(storage, "1.0")
            put_up(storage, "1.0")
        check_slash_pages(storage, form)
        return writes > at

    crashed = [crash(at) for at in range(20)]
    assert sum(crashed) > 8
    assert not crashed[-1]


def test_a_project_is_marked_as_listed_only_when_the_root_s_slash_page_names_it_too(put_up: Putting) -> None:
    for told in ("html", ""):
        storage = MemoryStorage(slash_pages="html")
        put_up(storage, "1.0")
        storage.delete("")
        storage.slash_pages = told
        put_up(storage, "2.0")
        check_slash_pages(storage)
        assert not record(storage, "demo").listed
        put_up(storage, "3.0")
        assert record(storage, "demo").listed


# -- another tool's, and the console's ----------------------------------------------------------------------------------------


def test_a_page_of_another_tool_is_adopted_before_it_is_replaced(tmp_path: Path, put_up: Putting) -> None:
    """As s3pypi leaves it: it has no page but that one, and no listing shows it."""
    storage = MemoryStorage(slash_pages="html")
    wheel = make_wheel(tmp_path, "demo", "0.1")
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    put(storage, "demo/", f'<html><body><a href="{wheel.name}" data-yanked="broken">{wheel.name}</a></body></html>'.encode())
    put_up(storage, "1.0")
    check_slash_pages(storage)
    assert {file.filename: file.yanked for file in record(storage, "demo").files} == {
        wheel.name: "broken",
        "demo-1.0-py3-none-any.whl": False,
    }


def test_a_page_that_lists_what_lies_elsewhere_is_not_replaced(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    page = b'<html><body><a href="https://elsewhere.example/demo-0.1.tar.gz">demo-0.1.tar.gz</a></body></html>'
    put(storage, "demo/", page)
    with pytest.raises(UnsupportedIndex, match=r"demo-0\.1\.tar\.gz"):
        put_up(storage, "1.0")
    stored = storage.get("demo/")
    assert stored
    assert stored.body == page
    assert snapshot(storage) == {}


def test_a_marker_of_a_directory_gives_way(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    for key in ("", "demo/"):
        put(storage, key, b"")
    put_up(storage, "2.0")
    put_up(storage, "1.0", project="other")
    check_slash_pages(storage)


def test_what_is_adopted_at_one_page_stands_on_the_other(tmp_path: Path, put_up: Putting) -> None:
    """The older tool comes at any moment of our command."""
    older = make_sdist(tmp_path, "demo", "0.1")
    adopted = 0
    for at in range(30):
        storage = MemoryStorage(slash_pages="html")
        put_up(storage, "1.0")

        def meanwhile(storage: MemoryStorage = storage) -> None:
            older_tool(storage, older, "demo")

        timed = during(storage, at, meanwhile)
        publish.publish(
            [artifact.read(put_up._built("demo", "2.0"))],
            Slashing(storage, before=timed._before),
            gather=in_turn,
            sleep=not_at_all,
        )
        stored = storage.get("demo/index.html")
        if stored and documents.serial_of(stored.body) is not None and older.name in stored.body.decode():
            adopted += 1
            slash_page = storage.get("demo/")
            assert slash_page
            assert slash_page.body == stored.body
    assert adopted > 3


def test_one_of_ours_in_json_is_none_of_another_tool(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="json")
    put_up(storage, "1.0")
    assert adopt.read_links(storage, "demo", ()) == {}
    stored = storage.get("demo/")
    assert stored
    assert documents.serial_of(stored.body) == record(storage, "demo").serial


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"meta": {"api-version": "1.0"}}', b'{"meta": {"api-version": "2.0"}}', b"[]"])
def test_json_without_a_serial_of_ours_is_another_tool_s(body: bytes) -> None:
    assert documents.serial_of(body) is None


def test_both_of_the_root_may_be_another_tool_s_and_are_adopted_at_once(put_up: Putting) -> None:
    """Two threads do so; neither takes what the other one read."""
    names = [f"p{number}" for number in range(2000)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(4):
            storage = MemoryStorage(slash_pages="html")
            body = simple.root_to_json(ProjectList(serial=1, slash_pages="html").add(names))
            storage.swap("index.json", body, replacing=None, content_type=simple.JSON_TYPE)
            for key in ("index.html", ""):
                put(storage, key, b'<html><body><a href="older/">older</a></body></html>')
            put_up(storage, "1.0")
            assert set(root(storage).projects) == {*names, "demo"}
            for key in ("index.html", ""):
                stored = storage.get(key)
                assert stored
                assert documents.serial_of(stored.body) == root(storage).serial
    finally:
        sys.setswitchinterval(interval)


# -- what is wrong with them --------------------------------------------------------------------------------------------------


def _lose(storage: MemoryStorage, key: str) -> None:
    storage.delete(key)


def _edit(storage: MemoryStorage, key: str) -> None:
    stored = storage.get(key)
    assert stored
    storage.swap(key, stored.body + b" ", replacing=stored, content_type=stored.headers.content_type if stored.headers else "")


def _make_older(storage: MemoryStorage, key: str) -> None:
    stored = storage.get(key)
    assert stored
    older = pages.project_to_html(Project("demo", serial=1)) if key else pages.root_to_html(ProjectList(serial=0))
    storage.swap(key, older, replacing=stored, content_type=simple.HTML_TYPE)


def _replace_by_marker(storage: MemoryStorage, key: str) -> None:
    storage.swap(key, b"", replacing=storage.get(key), content_type=simple.HTML_TYPE)


BREAKAGES = {"lost": _lose, "edited": _edit, "older": _make_older, "a marker": _replace_by_marker}


@pytest.mark.parametrize("key", ["demo/", ""])
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_is_wrong_is_found_and_mended(breakage: str, key: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    put_up(storage, "2.0")
    BREAKAGES[breakage](storage, key)
    for depth in Depth:
        assert [(f.kind, f.key) for f in verify.verify(storage, depth=depth).findings] == [(Kind.PAGE, key or "/")]
    repaired = repair.repair(storage, sleep=not_at_all)
    assert (len(repaired.mended), repaired.left) == (1, ())
    check_slash_pages(storage)
    assert verify.verify(storage).findings == ()


@BOTH
@pytest.mark.parametrize("key", ["demo/", ""])
def test_one_that_is_served_as_text_is_found_and_mended(key: str, form: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages=form)
    put_up(storage, "1.0")
    stored = storage.get(key)
    assert stored
    storage.swap(key, stored.body, replacing=stored, content_type="text/plain")
    assert [(f.kind, f.key) for f in verify.verify(storage).findings] == [(Kind.HEADERS, key or "/")]
    assert repair.repair(storage, sleep=not_at_all).left == ()
    check_slash_pages(storage, form)


def test_a_record_that_is_older_than_its_slash_page_is_found(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    before = {key: storage.get(key) for key in ("demo/index.json", "demo/index.html")}
    put_up(storage, "2.0")
    for key, stored in before.items():
        assert stored
        assert stored.headers
        storage.swap(key, stored.body, replacing=storage.get(key), content_type=stored.headers.content_type)
    findings = verify.verify(storage, depth=Depth.DOCUMENTS).findings
    assert [(f.kind, f.key) for f in findings] == [(Kind.RECORD_OUTDATED, "demo/index.json")]


# -- the setting changes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("", "html"), ("", "json"), ("html", "json"), ("json", "html")])
def test_repair_brings_an_index_up_to_the_settings_and_says_so(before: str, after: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages=before)
    put_up(storage, "1.0")
    put_up(storage, "1.0", project="other")
    storage.slash_pages = after
    found = verify.verify(storage).findings
    assert {(f.kind, f.key) for f in found} == {(Kind.SLASH, key) for key in ("demo/", "other/", "/")}
    assert found[0].problem == f"the settings say slash_pages = {after}, and its record says {before or 'none'}"
    assert repair.preview(verify.verify(storage)).mended == found
    assert set(repair.repair(storage, sleep=not_at_all).mended) == set(found)
    check_slash_pages(storage, after)
    assert verify.verify(storage).findings == ()


@BOTH
def test_repair_takes_them_away_where_the_settings_say_off(form: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages=form)
    put_up(storage, "1.0")
    storage.slash_pages = "off"
    assert {(f.kind, f.key) for f in verify.verify(storage).findings} == {(Kind.SLASH, "demo/"), (Kind.SLASH, "/")}
    assert repair.repair(storage, sleep=not_at_all).left == ()
    assert (storage.get("demo/"), storage.get("")) == (None, None)
    for wanted in ("off", ""):
        storage.slash_pages = wanted
        put_up(storage, "1.0", "2.0", project="other")
        put_up(storage, f"3.0{wanted}".removesuffix("off"))
        assert (storage.get("demo/"), storage.get("")) == (None, None)
        assert verify.verify(storage).findings == ()


@pytest.mark.parametrize("told", ["off", ""])
def test_one_that_was_put_back_after_it_was_given_up_is_found_and_taken_away(told: str, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    pages = {key: storage.get(key) for key in ("demo/", "")}
    storage.slash_pages = "off"
    repair.repair(storage, sleep=not_at_all)
    for key, stored in pages.items():
        assert stored
        storage.swap(key, stored.body, replacing=None, content_type=simple.HTML_TYPE)
    storage.slash_pages = told
    found = verify.verify(storage).findings
    assert [(f.key, f.problem) for f in found] == [
        ("demo/", "it was given up, and is still there"),
        ("/", "it was given up, and is still there"),
    ]
    assert repair.repair(storage, sleep=not_at_all).left == ()
    assert (storage.get("demo/"), storage.get("")) == (None, None)


def test_what_is_off_and_never_was_on_is_no_finding(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="off")
    put_up(storage, "1.0")
    assert verify.verify(storage).findings == ()
    assert record(storage, "demo").slash_pages is None


def test_the_same_files_again_begin_them_too(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="")
    put_up(storage, "1.0")
    storage.slash_pages = "html"
    put_up(storage, "1.0")
    slash_page, page = storage.get("demo/"), storage.get("demo/index.html")
    assert slash_page
    assert page
    assert slash_page.body == page.body


def test_a_name_that_is_not_there_gets_no_record_by_the_setting(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    assert not list(garbage.collect(storage, ["demo"], sleep=not_at_all))
    assert set(root(storage).projects) == {"demo"}


def test_a_form_that_this_program_does_not_know_is_not_written_over(put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    stored = storage.get("demo/index.json")
    assert stored
    body = json.dumps(json.loads(stored.body) | {"_slash": "yaml"}).encode()
    storage.swap("demo/index.json", body, replacing=stored, content_type=simple.JSON_TYPE)
    with pytest.raises(UnsupportedIndex, match="'yaml'"):
        put_up(storage, "2.0")


def test_a_copy_of_such_an_index_in_a_directory_has_none_and_remembers(tmp_path: Path, put_up: Putting) -> None:
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0")
    for key, body in snapshot(storage).items():
        path = tmp_path / "copy" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    copy = LocalStorage(tmp_path / "copy")
    put_up(copy, "2.0")
    assert verify.verify(copy).findings == ()
    assert record(copy, "demo").slash_pages == "html"


@pytest.mark.parametrize("told", ["off", ""])
@pytest.mark.parametrize("verb", VERBS)
def test_one_that_was_put_back_after_it_was_given_up_goes_with_the_next_change(verb: str, told: str, put_up: Putting) -> None:
    storage = given_up_and_put_back(put_up)
    storage.slash_pages = told
    VERBS[verb](storage)
    assert storage.get("demo/") is None
    put_up(storage, "1.0", project="other")
    assert storage.get("") is None


def test_no_file_is_deleted_that_one_lists_which_cannot_be_taken_away(put_up: Putting, caplog: pytest.LogCaptureFixture) -> None:
    """Who publishes needs no right to delete; what is wrong with the index is said, and its release is there."""
    storage = given_up_and_put_back(put_up)

    def forbid(verb: str, key: str) -> None:
        if (verb, key) in {("delete", "demo/"), ("delete", "")}:
            raise StorageError(key, "access is denied (403).")

    denied = Slashing(storage, before=forbid)
    put_up(denied, "3.0")
    put_up(denied, "1.0", project="other")
    said = [text.partition(" and may still be there: ") for text in caplog.messages]
    assert [before for before, _, _ in said] == ["demo/ was given up,", "/ was given up,"]
    with pytest.raises(StorageError, match="denied"):
        VERBS["delete"](denied)
    assert any(key.endswith("demo-1.0-py3-none-any.whl") for key in snapshot(storage))
    VERBS["delete"](storage)
    assert not any(key.endswith("demo-1.0-py3-none-any.whl") for key in snapshot(storage))


def test_one_that_is_wanted_again_or_of_another_tool_does_not_go_with_a_change(put_up: Putting) -> None:
    storage = given_up_and_put_back(put_up)
    newer = pages.project_to_html(Project("demo", serial=99))
    for body in (b"", b"<html>another tool's</html>", newer):
        put(storage, "demo/", body)
        VERBS["yank"](storage)
        stored = storage.get("demo/")
        assert stored
        assert stored.body == body


def given_up_and_put_back(put_up: Putting) -> MemoryStorage:
    """By a publisher who began before."""
    storage = MemoryStorage(slash_pages="html")
    put_up(storage, "1.0", "2.0")
    found = {key: storage.get(key) for key in ("demo/", "")}
    storage.slash_pages = "off"
    repair.repair(storage, sleep=not_at_all)
    for key, stored in found.items():
        assert stored
        storage.swap(key, stored.body, replacing=None, content_type=simple.HTML_TYPE)
    return storage


# -- the probe ----------------------------------------------------------------------------------------------------------------


class Directories(MemoryStorage):
    """A store that takes a key with a slash at its end for a directory, and keeps nothing of it."""

    def get(self, key: str) -> Stored | None:
        found = super().get(key)
        return Stored(b"", found.etag) if found and key.endswith("/") else found


@pytest.mark.parametrize("conditional", [True, False])
def test_a_store_that_would_serve_empty_pages_is_refused_before_anything_is_written(conditional: bool, put_up: Putting) -> None:
    storage = Directories(slash_pages="html")
    storage.conditional = conditional
    with pytest.raises(StorageError, match="a key that ends in a slash: clients would read empty pages") as caught:
        put_up(storage, "1.0")
    assert "slash_pages" in caught.value.hint
    assert snapshot(storage) == {}
    assert all(key.startswith(".pypiprivate/") for key in storage._objects)


def test_a_store_that_does_not_take_such_a_key_says_why(put_up: Putting) -> None:
    def fail(verb: str, key: str) -> None:
        if verb == "swap" and key.endswith("/"):
            raise StorageError(key, "409 XMinioObjectExistsAsDirectory.")

    storage = MemoryStorage(slash_pages="html")
    with pytest.raises(StorageError, match=r"key ends in a slash cannot be written.*: 409 XMinio") as caught:
        put_up(Slashing(storage, before=fail), "1.0")
    assert "Leave slash_pages out" in caught.value.hint
    assert snapshot(storage) == {}


def test_repair_refuses_such_a_store_too(put_up: Putting) -> None:
    storage = Directories(slash_pages="")
    put_up(storage, "1.0")
    before = snapshot(storage)
    storage.slash_pages = "html"
    with pytest.raises(StorageError, match="a key that ends in a slash"):
        repair.repair(storage, sleep=not_at_all)
    assert snapshot(storage) == before


def test_a_store_is_asked_once_for_each_form(put_up: Putting) -> None:
    storage, probes = MemoryStorage(slash_pages="html"), list[str]()
    observed = Slashing(storage, before=lambda verb, key: probes.append(f"{verb} {key}"))
    for form, project in (("html", "demo"), ("html", "other"), ("json", "demo")):
        storage.slash_pages = form
        put_up(observed, "1.0", project=project)
    asked = [probe for probe in probes if probe.startswith("swap .pypiprivate/") and probe.endswith("/")]
    assert len(asked) == 2


def test_what_is_written_is_told_by_a_name_that_people_see(put_up: Putting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pypiprivate")
    put_up(MemoryStorage(slash_pages="html"), "1.0")
    assert {"wrote demo/", "wrote /"} <= set(caplog.messages)
