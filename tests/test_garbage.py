"""Garbage goes after a day, through the record; nothing that anybody lists, withholds or is about to list ever does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from pypiprivate import artifact, edits
from pypiprivate.amend import amend, remove
from pypiprivate.cli import main
from pypiprivate.concurrency import streaming
from pypiprivate.edits import Target
from pypiprivate.errors import NotPublished, StorageError
from pypiprivate.garbage import Garbage, collect, find
from pypiprivate.listing import Why
from pypiprivate.model import Existing, Used
from pypiprivate.publish import publish
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.verify import verify

from .breakages import edit_record, fill, wheel_of
from .builders import make_sdist, make_wheel
from .repositories import (
    Observed,
    check_at_rest,
    check_never_torn,
    during,
    failing,
    filenames,
    not_at_all,
    older_tool,
    orphans,
    put,
    record,
    snapshot,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


class Clock:
    """Says what it was set to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(clock: Clock, tmp_path: Path) -> MemoryStorage:
    """A sound index."""
    storage = MemoryStorage(clock=clock)
    fill(storage, tmp_path, "demo", "other")
    return storage


def crashed_publish(storage: Storage, directory: Path, version: str = "2.0", **more: bytes) -> Path:
    """Store a wheel and its sidecar, and die before the record is written."""
    path = make_wheel(directory, "demo", version)
    with pytest.raises(StorageError):
        publish([artifact.read(path)], failing(storage, 0, verbs=["swap"]), sleep=not_at_all)
    return path


def replaced(storage: Storage, directory: Path, clock: Callable[[], datetime]) -> str:
    """Publish other bytes in place of the wheel, and return the key of what was there."""
    before = wheel_of(storage, "demo").key
    path = make_wheel(directory / "rebuilt", "demo", "1.0", files={"demo/more.py": b"more"})
    publish([artifact.read(path)], storage, existing=Existing.REPLACE, clock=clock)
    return f"demo/{before}"


def gone(garbage: Iterator[Garbage]) -> list[str]:
    return [leftover.entry.key for one in garbage for leftover in one.leftovers]


def run(storage: Storage, clock: Clock, *names: str) -> list[str]:
    return gone(collect(storage, names, clock=clock, sleep=not_at_all))


def test_nothing_goes_from_a_sound_index(storage: MemoryStorage, clock: Clock) -> None:
    clock.now += 10 * DAY
    before = snapshot(storage)
    assert (gone(find(storage, clock=clock)), run(storage, clock)) == ([], [])
    assert snapshot(storage) == before


def test_what_a_crashed_command_stored_goes_after_a_day(storage: MemoryStorage, clock: Clock, tmp_path: Path) -> None:
    sound = snapshot(storage)
    crashed_publish(storage, tmp_path)
    left = orphans(storage)
    assert len(left) == 2
    clock.now += DAY
    assert run(storage, clock) == []
    clock.now += timedelta(seconds=1)
    assert gone(find(storage, clock=clock)) == left
    assert run(storage, clock) == left
    check_at_rest(storage)
    assert snapshot(storage).keys() == sound.keys()
    assert [used.key for used in record(storage, "demo").used] == [left[0].removeprefix("demo/")]
    assert run(storage, clock) == []


def test_a_condemned_key_is_never_named_again(storage: MemoryStorage, clock: Clock, tmp_path: Path) -> None:
    path = crashed_publish(storage, tmp_path)
    clock.now += 2 * DAY
    run(storage, clock)
    publish([artifact.read(path)], storage)
    (file,) = (file for file in record(storage, "demo").files if "2.0" in file.filename)
    assert "-2/" in file.key
    check_at_rest(storage)


def test_a_replaced_file_goes_a_day_after_it_was_replaced(storage: MemoryStorage, clock: Clock, tmp_path: Path) -> None:
    clock.now += 10 * DAY
    key = replaced(storage, tmp_path, clock)
    clock.now += DAY
    assert run(storage, clock) == []
    clock.now += timedelta(seconds=1)
    assert run(storage, clock) == [key, f"{key}.metadata"]
    check_at_rest(storage)
    assert orphans(storage) == []


def test_an_unfinished_deletion_is_finished_after_a_day(storage: MemoryStorage, clock: Clock) -> None:
    with pytest.raises(StorageError):
        remove(failing(storage, 0, verbs=["delete"]), "demo", edits.delete(Target.parse("demo"), clock()), sleep=not_at_all)
    clock.now += 2 * DAY
    assert len(run(storage, clock)) == 3
    assert verify(storage).findings == ()
    check_at_rest(storage)


def test_a_key_of_which_nobody_knows_since_when_it_is_used_goes_by_its_own_age(storage: MemoryStorage, clock: Clock) -> None:
    file = wheel_of(storage, "demo")
    found = record(storage, "demo")
    edit_record(storage, replace(found, files=tuple(one for one in found.files if one != file), used=(Used(file.key, ""),)))
    assert run(storage, clock) == []
    clock.now += 2 * DAY
    assert run(storage, clock) == [f"demo/{file.key}", f"demo/{file.key}.metadata"]


@pytest.mark.parametrize(
    "spelt",
    [
        "./{}",
        "../demo/{}",
        "../../simple/demo/{}",
        "/simple/demo/{}",
        "https://pypi.example.com/simple/demo/{}",
        "https://pypi.example.com/simple/demo/{}?as=it#is",
    ],
)
def test_what_a_record_lists_stays_however_its_url_is_spelt(storage: MemoryStorage, clock: Clock, spelt: str) -> None:
    respell(storage, spelt.format)
    clock.now += 10 * DAY
    assert run(storage, clock) == []
    assert gone(find(storage, clock=clock)) == []


def test_what_a_record_lists_stays_also_with_a_slash_too_many(storage: MemoryStorage, clock: Clock) -> None:
    respell(storage, lambda url: url.replace("/", "//"))
    clock.now += 10 * DAY
    assert run(storage, clock) == []


def respell(storage: MemoryStorage, spell: Callable[[str], str]) -> None:
    found = record(storage, "demo")
    edit_record(storage, replace(found, files=tuple(replace(file, url=spell(file.url)) for file in found.files)))


def test_what_an_older_tool_puts_again_under_a_deleted_name_has_its_day(clock: Clock, tmp_path: Path) -> None:
    storage = MemoryStorage(clock=clock)
    path = make_wheel(tmp_path, "demo")
    older_tool(storage, path, "demo")
    publish([artifact.read(make_sdist(tmp_path, "demo", "2.0"))], storage, clock=clock)
    remove(storage, "demo", edits.delete(Target.parse("demo==1.0"), clock()), sleep=not_at_all)
    clock.now += 30 * DAY
    put(storage, f"demo/{path.name}", b"other bytes")
    assert run(storage, clock) == []
    clock.now += 2 * DAY
    assert run(storage, clock) == [f"demo/{path.name}"]


def test_what_is_withheld_stays(storage: MemoryStorage, clock: Clock) -> None:
    amend(storage, "demo", edits.set_status("quarantined"))
    clock.now += 10 * DAY
    assert run(storage, clock) == []


def test_a_project_without_a_record_is_not_touched(clock: Clock, tmp_path: Path) -> None:
    storage = MemoryStorage(clock=clock)
    with pytest.raises(StorageError):
        publish([artifact.read(make_wheel(tmp_path))], failing(storage, 6, verbs=["swap"]), sleep=not_at_all)
    older_tool(storage, make_wheel(tmp_path, "ancient"), "ancient")
    before = snapshot(storage)
    clock.now += 10 * DAY
    assert run(storage, clock) == []
    assert snapshot(storage) == before


def test_what_is_not_ours_stays(storage: MemoryStorage, clock: Clock) -> None:
    for key in ("demo/notes.txt", "demo/demo-0.1.tar.gz", "demo/docs/index.html", "Assets/logo.png", "robots.txt"):
        put(storage, key, b"whatever")
    clock.now += 10 * DAY
    assert run(storage, clock) == []


def test_a_file_of_an_older_index_goes_once_it_was_deleted(clock: Clock, tmp_path: Path) -> None:
    storage = MemoryStorage(clock=clock)
    older_tool(storage, make_wheel(tmp_path, "demo"), "demo")
    publish([artifact.read(make_sdist(tmp_path, "demo", "2.0"))], storage, clock=clock)
    edit = edits.delete(Target.parse("demo==1.0"), clock())
    with pytest.raises(StorageError):
        remove(failing(storage, 0, verbs=["delete"]), "demo", edit, sleep=not_at_all)
    clock.now += 2 * DAY
    key = "demo/demo-1.0-py3-none-any.whl"
    assert run(storage, clock) == [key, f"{key}.metadata"]
    check_at_rest(storage)


def test_only_the_projects_that_are_named_are_looked_at(storage: MemoryStorage, clock: Clock, tmp_path: Path) -> None:
    crashed_publish(storage, tmp_path)
    clock.now += 2 * DAY
    assert run(storage, clock, "other") == []
    assert len(run(storage, clock, "demo")) == 2


def test_a_name_that_nobody_knows_is_an_error(storage: MemoryStorage, clock: Clock) -> None:
    with pytest.raises(NotPublished, match="there is no project unknown with a record"):
        run(storage, clock, "demo", "unknown")


def test_a_place_where_nothing_lies_is_an_error(clock: Clock) -> None:
    with pytest.raises(NotPublished, match="there is no index in"):
        run(MemoryStorage(), clock)


# -- beside others, and interrupted -------------------------------------------------------------------------------------------


def littered(directory: Path, clock: Clock) -> tuple[MemoryStorage, Path]:
    clock.now = NOW
    storage = MemoryStorage(clock=clock)
    fill(storage, directory, "demo")
    path = crashed_publish(storage, directory)
    replaced(storage, directory, clock)
    clock.now += 2 * DAY
    return storage, path


def count_operations(directory: Path, clock: Clock) -> int:
    storage, count = littered(directory, clock)[0], 0

    def counted(_verb: str, _key: str) -> None:
        nonlocal count
        count += 1

    run(Observed(storage, before=counted), clock)
    return count


def test_a_publisher_who_comes_at_any_moment_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    for at in range(count_operations(tmp_path, clock)):
        storage, path = littered(tmp_path, clock)

        def finish(storage: MemoryStorage = storage, path: Path = path) -> None:
            publish([artifact.read(path)], storage, clock=clock)

        run(during(storage, at, finish), clock)
        assert "demo-2.0-py3-none-any.whl" in filenames(storage, "demo")
        check_at_rest(storage)


def test_a_publisher_during_whom_garbage_is_collected_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    for at in range(30):
        storage, path = littered(tmp_path, clock)
        publish([artifact.read(path)], during(storage, at, partial(run, storage, clock)), clock=clock, sleep=not_at_all)
        assert "demo-2.0-py3-none-any.whl" in filenames(storage, "demo")
        check_at_rest(storage)


def test_what_was_listed_and_given_up_in_between_has_its_day(tmp_path: Path, clock: Clock) -> None:
    """It was an orphan when it was looked at; by the time that it would be condemned readers know it."""
    storage, path = littered(tmp_path, clock)
    reads = 0

    def meanwhile(verb: str, key: str) -> None:
        nonlocal reads
        reads += (verb, key) == ("get", "demo/index.json")
        if (verb, key) == ("get", "demo/index.json") and reads == 2:
            publish([artifact.read(path)], storage, clock=clock)
            other = make_wheel(tmp_path / "other", "demo", "2.0", files={"demo/more.py": b"more"})
            publish([artifact.read(other)], storage, existing=Existing.REPLACE, clock=clock)

    went = run(Observed(storage, before=meanwhile), clock)
    assert not [key for key in went if "2.0" in key]
    check_at_rest(storage)


def test_a_record_that_is_lost_meanwhile_condemns_nothing(tmp_path: Path, clock: Clock) -> None:
    storage, _ = littered(tmp_path, clock)
    reads = 0

    def lose(verb: str, key: str) -> None:
        nonlocal reads
        reads += (verb, key) == ("get", "demo/index.json")
        if reads == 2:
            storage.delete("demo/index.json")
            storage.delete("demo/index.html")

    before = len(orphans_and_files(storage))
    run(Observed(storage, before=lose), clock)
    assert len(orphans_and_files(storage)) == before


def orphans_and_files(storage: Storage) -> list[str]:
    return [key for key in snapshot(storage) if not key.endswith(("index.json", "index.html"))]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_moment_tears_nothing_and_is_made_good(tmp_path: Path, clock: Clock, when: str) -> None:
    for at in range(20):
        storage, _ = littered(tmp_path, clock)
        with suppress(StorageError):
            run(failing(storage, at, when=when), clock)
        check_never_torn(storage)
        clock.now += 2 * DAY  # what was condemned by the crashed run has a day, too
        run(storage, clock)
        assert orphans(storage) == []
        check_at_rest(storage)


def test_objects_go_after_record_and_page(tmp_path: Path, clock: Clock) -> None:
    storage, _ = littered(tmp_path, clock)
    written: list[tuple[str, str]] = []
    run(Observed(storage, before=lambda verb, key: written.append((verb, key)) if verb in {"swap", "delete"} else None), clock)
    documents = [at for at, (verb, key) in enumerate(written) if verb == "swap" and key.startswith("demo/")]
    objects = [at for at, (verb, key) in enumerate(written) if verb == "delete" and key.startswith("demo/")]
    assert len(documents) == 2
    assert max(documents) < min(objects)


def test_many_projects_are_collected_at_once(clock: Clock, tmp_path: Path) -> None:
    storage = MemoryStorage(clock=clock)
    names = [f"p{number}" for number in range(20)]
    fill(storage, tmp_path, *names)
    for name in names:
        storage.store(f"{name}/{'0' * 32}/{name}-9.tar.gz", b"body", sha256=hashlib.sha256(b"body").hexdigest())
    clock.now += 2 * DAY
    with streaming(4) as stream:
        found = list(collect(storage, clock=clock, sleep=not_at_all, stream=stream))
    assert sorted(garbage.project for garbage in found) == sorted(names)
    assert {garbage.size for garbage in found} == {4}
    assert {leftover.why for garbage in found for leftover in garbage.leftovers} == {Why.ORPHAN}
    check_at_rest(storage)


# -- the program, on a disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    """An index with an orphan of three days ago."""
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, "demo")
    key = f"demo/{'0' * 32}/demo-9.tar.gz"
    storage.store(key, b"body", sha256=hashlib.sha256(b"body").hexdigest())
    before = time.time() - 3 * 86_400
    os.utime(Path(storage.location, key), (before, before))
    return storage


def told(index: LocalStorage, *arguments: str) -> int:
    return main(["-r", index.location, *arguments])


def test_the_program_says_what_would_go_and_takes_it_only_if_told(
    index: LocalStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"demo/{'0' * 32}/demo-9.tar.gz"
    assert told(index, "gc") == 0
    assert capsys.readouterr().err.splitlines() == [
        f"{key}: would be removed (4 B)",
        "1 object, 4 B would be removed",
        f"dry run: nothing was removed from {index.location}. Say --yes to do it.",
    ]
    assert index.stat(key)
    assert told(index, "gc", "--yes") == 0
    assert capsys.readouterr().err.splitlines() == [f"{key}: removed (4 B)", "1 object, 4 B removed"]
    assert index.stat(key) is None
    assert verify(index).findings == ()
    assert told(index, "-q", "gc", "demo") == 0
    assert capsys.readouterr().err == ""


def test_where_nothing_is_due_the_program_says_what_waits(
    index: LocalStorage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ("1 object, 4 B removed\n", f"nothing is due: no object was removed from {index.location}\n"):
        assert told(index, "gc", "--yes") == 0
        assert capsys.readouterr().err.endswith(said)
    assert told(index, "gc") == 0
    assert capsys.readouterr().err == f"there is nothing to remove from {index.location}\n"
    for count, waiting in enumerate((r"1 object \(4 B\) waits", r"2 objects \(8 B\) wait"), 1):
        index.store(f"demo/{count}{'0' * 31}/demo-9.tar.gz", b"body", sha256=hashlib.sha256(b"body").hexdigest())
        assert told(index, "gc") == 0
        said = rf"nothing is due yet: {waiting} until a day has passed, the first since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC\n"
        assert re.fullmatch(said, capsys.readouterr().err)
    assert told(index, "-q", "gc") == 0
    assert capsys.readouterr().err == ""


def test_the_program_says_it_to_machines(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(index, "gc", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    (found,) = said.pop("objects")
    assert said == {"repository": index.location, "size": 4, "dry_run": True, "unreadable": []}
    assert (found["key"], found["size"], found["why"]) == (f"demo/{'0' * 32}/demo-9.tar.gz", 4, "orphan")
