"""What goes by its age goes only where this machine's clock is the store's: a clock a year ahead takes what is fresh for old."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pypiprivate import open_repository
from pypiprivate.clocks import compare
from pypiprivate.edits import Retention
from pypiprivate.errors import StorageError, WrongClock
from pypiprivate.garbage import collect, find
from pypiprivate.publish import utc_now
from pypiprivate.repository import Repository
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import open_bucket

from .breakages import fill
from .repositories import Observed, failing, not_at_all, snapshot
from .servers import Server

YEAR = timedelta(days=365)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An index whose store has the right time."""
    storage: Storage = MemoryStorage() if request.param == "memory" else LocalStorage(tmp_path / "index")
    if request.param == "s3":
        server: Server = request.getfixturevalue("seaweed")
        storage = open_bucket(server.options(prefix=tmp_path.name))
    fill(storage, tmp_path, "demo")
    return storage


def off_by(span: timedelta) -> Callable[[], datetime]:
    return lambda: utc_now() + span


def litter(storage: Storage) -> str:
    """Store what a publisher is about to list."""
    key = f"demo/{'0' * 32}/demo-9.tar.gz"
    storage.store(key, b"body", sha256=hashlib.sha256(b"body").hexdigest())
    return key


@pytest.mark.parametrize("span", [timedelta(0), 10 * MINUTE, -10 * MINUTE])
def test_a_clock_that_is_nearly_right_will_do(storage: Storage, span: timedelta) -> None:
    before = snapshot(storage)
    compare(storage, off_by(span))
    assert snapshot(storage) == before


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (YEAR, "365 days ahead of"),
        (-YEAR, "365 days behind"),
        (timedelta(hours=5), "5 hours ahead of"),
        (-20 * MINUTE, "20 minutes behind"),
    ],
)
def test_a_clock_that_is_wrong_is_refused_with_a_sentence(storage: Storage, span: timedelta, said: str) -> None:
    with pytest.raises(WrongClock, match=f"this machine's clock is {said} the store's") as caught:
        compare(storage, off_by(span))
    assert abs(caught.value.ahead - span) < 2 * MINUTE
    assert "Set the clock" in caught.value.hint


def test_garbage_is_not_collected_by_a_clock_that_is_a_year_ahead(storage: Storage) -> None:
    key = litter(storage)
    before = snapshot(storage)
    ahead = off_by(YEAR)
    assert [leftover.entry.key for garbage in find(storage, clock=ahead) for leftover in garbage.leftovers] == [key]
    with pytest.raises(WrongClock):
        list(collect(storage, clock=ahead, sleep=not_at_all))
    assert snapshot(storage) == before


def test_where_nothing_may_go_nothing_is_written(storage: Storage) -> None:
    written: list[str] = []
    watched = Observed(storage, before=lambda verb, key: written.append(key) if verb in {"swap", "delete"} else None)
    assert list(collect(watched, clock=off_by(YEAR), sleep=not_at_all)) == []
    assert written == []


def test_a_store_that_takes_its_time_is_not_wrong() -> None:
    moments = iter([timedelta(0), timedelta(hours=2)])
    compare(MemoryStorage(clock=off_by(timedelta(hours=1))), lambda: utc_now() + next(moments))
    with pytest.raises(StopIteration):
        next(moments)


def test_a_store_that_loses_what_it_takes_is_named() -> None:
    storage = MemoryStorage()
    forgetful = Observed(storage, before=lambda verb, key: storage.delete(key) if verb == "stat" else None)
    with pytest.raises(StorageError, match="does not give back what was just written"):
        compare(forgetful, utc_now)


def test_a_key_that_may_not_delete_can_tell_the_time() -> None:
    storage = MemoryStorage()
    compare(failing(storage, 0, verbs=["delete"]), utc_now)
    assert snapshot(storage) == {}


# -- what is pruned by its age ------------------------------------------------------------------------------------------------


@pytest.fixture
def behind(tmp_path: Path) -> Repository:
    """A repository on a store whose clock is a year behind this machine's."""
    repository = open_repository(str(tmp_path / "simple"), environ={})
    vars(repository)["storage"] = MemoryStorage(clock=off_by(-YEAR))
    return repository


def test_nothing_is_pruned_for_its_age_by_a_wrong_clock(behind: Repository, tmp_path: Path) -> None:
    fill(behind.storage, tmp_path, "demo")
    before = snapshot(behind.storage)
    with pytest.raises(WrongClock):
        behind.prune(Retention(older_than=timedelta(days=30)))
    assert snapshot(behind.storage) == before
    assert behind.prune(Retention(keep=1)) == ()


def test_where_no_project_is_there_is_nothing_to_prune(behind: Repository) -> None:
    assert behind.prune(Retention(older_than=timedelta(days=30))) == ()
    assert snapshot(behind.storage) == {}


def test_a_repository_collects_no_garbage_by_a_wrong_clock(behind: Repository, tmp_path: Path) -> None:
    fill(behind.storage, tmp_path, "demo")
    key = litter(behind.storage)
    with pytest.raises(WrongClock):
        behind.collect_garbage()
    assert behind.storage.stat(key)
