"""What each verb tells of how far it is: every byte that is read or copied, every object that goes, every project and check."""

from __future__ import annotations

import hashlib
import io
import random
import sys
from argparse import Namespace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import pypiprivate
from pypiprivate import artifact, edits, garbage, inspection
from pypiprivate.checks import Check
from pypiprivate.cli import main
from pypiprivate.cli.watching import watched
from pypiprivate.edits import Retention, Target
from pypiprivate.errors import StorageError
from pypiprivate.findings import Depth
from pypiprivate.publish import publish
from pypiprivate.repository import Repository
from pypiprivate.storage.base import Passes, Sent
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage

from .builders import make_sdist, make_wheel
from .repositories import failing, not_at_all
from .test_doctor import public_index

#: Does not shrink, and is read in several pieces.
LARGE = random.Random(7).randbytes((5 << 20) // 2)


class Told:
    """A progress that keeps what it is told, by name: how much there is, and each part."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.parts: dict[str, list[int]] = {}

    def __call__(self, name: str, total: int) -> Sent:
        self.totals[name], self.parts[name] = total, []
        return self.parts[name].append

    @property
    def sums(self) -> dict[str, int]:
        return {name: sum(parts) for name, parts in self.parts.items()}


class Counts(list[tuple[int, int]]):
    """Keeps how many of how many were done."""

    def __call__(self, done: int, count: int) -> None:
        self.append((done, count))


@pytest.fixture
def dist(tmp_path: Path) -> list[Path]:
    """A wheel and an sdist that take several pieces to read, and small ones of an older release."""
    files = {"demo/large.bin": LARGE, "demo/small.txt": b"small", "demo/again.bin": LARGE}
    new = [make_wheel(tmp_path / "dist", "demo", "2.0", files=files), make_sdist(tmp_path / "dist", "demo", "2.0", files=files)]
    return [*new, make_wheel(tmp_path / "dist", "demo", "1.0"), make_sdist(tmp_path / "dist", "demo", "1.0")]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return pypiprivate.open_repository(str(tmp_path / "index"), project=tmp_path, environ={})


@pytest.fixture
def filled(repository: Repository, dist: list[Path]) -> Repository:
    repository.publish(dist)
    return repository


def sizes(paths: list[Path]) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in paths}


# -- bytes --------------------------------------------------------------------------------------------------------------------


def test_every_byte_is_told_of_once_though_it_is_checked_and_hashed(repository: Repository, dist: list[Path]) -> None:
    reading = Told()
    repository.publish(dist, reading=reading)
    assert reading.totals == reading.sums == sizes(dist)
    for path in dist[:2]:
        assert len([part for part in reading.parts[path.name] if part > 1 << 18]) > 5
        assert min(reading.parts[path.name]) >= 0


def test_a_zip_is_read_like_the_others(tmp_path: Path) -> None:
    told: list[int] = []
    wheel = make_wheel(tmp_path, "demo", "1.0", files={"demo/large.bin": LARGE})
    with wheel.open("rb") as file:
        artifact.examine_published(file, wheel.name, "demo", sent=told.append)
    hashed = wheel.stat().st_size
    assert hashed + len(LARGE) < sum(told) < 2 * hashed


def test_bytes_that_pass_again_are_taken_back() -> None:
    told: list[int] = []
    passes = Passes(told.append, times=2)
    for count in (7, -7, 7, 6):
        passes(count)
    passes.complete(10)
    assert (sum(told), told[:3], passes.told) == (10, [3, -3, 3], 6)


def test_a_deep_verification_tells_of_every_byte_and_another_of_none(filled: Repository, dist: list[Path]) -> None:
    reading = Told()
    filled.verify(reading=reading)
    assert reading.totals == {}
    filled.verify(depth=Depth.BYTES, reading=reading)
    assert reading.totals == reading.sums == sizes(dist)


def test_a_file_that_is_read_twice_because_of_its_name_is_told_of_once() -> None:
    storage, told = MemoryStorage(), list[int]()
    storage.store("demo/nameless", LARGE, sha256=hashlib.sha256(LARGE).hexdigest())
    (entry,) = storage.list("demo/")
    assert inspection._read_metadata(storage, entry, "demo", told.append).metadata is None
    assert sum(told) == len(LARGE)


def test_what_is_promoted_or_taken_over_is_told_of_once_though_it_is_fetched_and_stored(
    filled: Repository, dist: list[Path], tmp_path: Path
) -> None:
    there = pypiprivate.open_repository(f"file://{tmp_path}/there", project=tmp_path, environ={})
    copying = Told()
    filled.promote([Target.parse("demo==2.0")], there, progress=copying)
    assert copying.totals == copying.sums == sizes(dist[:2])
    taken = pypiprivate.open_repository(str(tmp_path / "taken"), project=tmp_path, environ={})
    copying = Told()
    taken.take_over(taken.survey_place(LocalStorage(tmp_path / "dist")), progress=copying)
    assert copying.totals == copying.sums == sizes(dist)


# -- projects and objects -----------------------------------------------------------------------------------------------------


def test_prune_tells_of_each_project_and_of_each_object_that_goes(filled: Repository, tmp_path: Path) -> None:
    filled.publish([make_wheel(tmp_path, "other")])
    rule, counted, removing = Retention(keep=1), Counts(), Told()
    assert len(filled.preview_prune(rule, progress=counted)) == 1
    assert counted == [(0, 2), (1, 2), (2, 2)]
    assert len(filled.prune(rule, progress=counted, removing=removing)) == 1
    assert counted == [(0, 2), (1, 2), (2, 2)] * 2
    assert removing.totals == removing.sums == {"demo": 4}


def test_delete_tells_of_each_object_that_goes(filled: Repository) -> None:
    removing = Told()
    gone = edits.delete(Target("demo"), datetime.now(timezone.utc))
    assert len(filled.remove("demo", gone, removing=removing).removed) == 4
    assert removing.totals == removing.sums == {"demo": 8}


def test_gc_tells_of_each_project_and_of_each_object_that_goes(tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish([artifact.read(make_wheel(tmp_path, name)) for name in ("demo", "other")], storage)
    crashing, unlisted = failing(storage, 0, verbs=["swap"]), artifact.read(make_wheel(tmp_path, "demo", "2.0"))
    with pytest.raises(StorageError):
        publish([unlisted], crashing, sleep=not_at_all)
    later = datetime.now(timezone.utc) + timedelta(days=2)
    counted, removing = Counts(), Told()
    assert len(list(garbage.find(storage, clock=lambda: later, counted=counted))) == 1
    assert counted == [(0, 2), (1, 2), (2, 2)]
    collecting = garbage.collect(storage, clock=lambda: later, compare=lambda *_: None, counted=counted, removing=removing)
    assert len(list(collecting)) == 1
    assert counted == [(0, 2), (1, 2), (2, 2)] * 2
    assert removing.totals == removing.sums == {"demo": 2}


# -- checks -------------------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_of_each_check_as_it_is_done_and_of_each_name_that_is_asked_for(filled: Repository) -> None:
    checked, asking = list[Check](), Told()
    with public_index(demo=200) as url:
        checks = filled.examine(url, public_index=url, checked=checked.append, asking=asking)
    assert set(checked) <= set(checks)
    assert {"write", "store", "delete", "reachable"} <= {check.name for check in checked}
    assert asking.totals == asking.sums == {url: 1}


# -- the program --------------------------------------------------------------------------------------------------------------


#: A directory that answers nothing before somebody was told that it takes long.
SLOW = """
import sys, time
from pathlib import Path
from pypiprivate.storage.base import Backend
from pypiprivate.storage.local import LocalStorage

class Slow(LocalStorage):
    def get(self, key):
        deadline = time.monotonic() + 30
        while " so far" not in sys.stderr.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        return super().get(key)

BACKEND = Backend(type="slow", scheme="slow", options=(), open=lambda _: Slow(Path(PLACE)), url_host=None, url_path=None)
"""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["list"], "reading the list of projects"),
        (["show", "demo"], "reading demo"),
        (["gc"], "looking at projects"),
        (["upload", "{wheel}"], "publishing"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_who_waits_for_a_store_is_told_what_for(
    filled: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], said: str
) -> None:
    about = tmp_path / "site/slow_directory-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-directory\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pypiprivate.storage]\nslow = slow_directory:BACKEND\n")
    (tmp_path / "site/slow_directory.py").write_text(f"PLACE = {filled.settings.options['base_path']!r}\n{SLOW}")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "slow_directory", raising=False)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    wheel = str(make_wheel(tmp_path / "more", "demo", "3.0"))
    assert main(["-p", str(tmp_path), "-r", "slow://", *(word.format(wheel=wheel) for word in command)]) == 0
    assert f"{said}: 2 seconds so far\n{said}: done" in stderr.getvalue()


def test_who_wants_to_hear_nothing_is_told_nothing() -> None:
    assert watched(Namespace(quiet=1)) is None
    assert watched(Namespace(quiet=0)) is sys.stderr
