"""Publishing to a directory while the disk fails at any step, fills up, forbids, or loses its power."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import artifact, cli
from pypiprivate.artifact import Artifact
from pypiprivate.errors import StorageError
from pypiprivate.publish import publish
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage

from .builders import make_sdist, make_wheel
from .proof import FULL, figure
from .repositories import check_at_rest, check_never_torn, filenames, in_turn, not_at_all, orphans, put

READS = {"read", "stat", "names", "open"}
WRITES = {"create", "write", "close", "fsync", "mkdir", "rename", "link", "date", "unlink", "lock"}


class Disk:
    """The standard library's way to what lies below *base*: notes each step, and lets one go wrong, or all from there on.

    :param at: number of the step that goes wrong, beginning with 0; None: none does.
    :param error: number of the error, from errno.
    :param verbs: kinds of step that are counted.
    :param lasting: whether all further steps of these kinds go wrong too.
    :ivar steps: kind and path of each step so far.
    """

    def __init__(
        self, base: Path, *, at: int | None = None, error: int = errno.EIO, verbs: set[str], lasting: bool = False
    ) -> None:
        self._base, self._at, self._error, self._verbs, self._lasting = base, at, error, verbs, lasting
        self.steps: list[tuple[str, Path]] = []
        self._handles: dict[int, Path] = {}

    @property
    def failed(self) -> bool:
        return self._at is not None and len(self.steps) > self._at

    def step(self, verb: str, path: Path) -> None:
        if verb in self._verbs and (path == self._base or self._base in path.parents):
            self.steps.append((verb, path))
            number = len(self.steps) - 1
            if number == self._at or (self.failed and self._lasting):
                raise OSError(self._error, os.strerror(self._error), str(path))

    @contextmanager
    def inserted(self) -> Iterator[Disk]:
        """Put this between the program and the disk. Nothing is flushed: that is slow, and no process sees a difference."""
        with pytest.MonkeyPatch.context() as patch:
            for name, verb in {"mkdir": "mkdir", "unlink": "unlink", "iterdir": "names", "stat": "stat"}.items():
                patch.setattr(Path, name, self._noted(verb, getattr(Path, name)))
            patch.setattr(Path, "replace", self._rename("rename", Path.replace))
            patch.setattr(os, "link", self._rename("link", os.link))
            patch.setattr(Path, "open", self._open_file(Path.open))
            patch.setattr(os, "open", self._open_handle(os.open))
            patch.setattr(os, "utime", self._noted("date", os.utime))
            patch.setattr(os, "fsync", lambda handle: self.step("fsync", self._handles[handle]))
            patch.setattr(fcntl, "flock", self._lock(fcntl.flock))
            yield self

    def _noted(self, verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Path, *args: Any, **kwargs: Any) -> Any:
            self.step(verb, Path(path))
            return call(path, *args, **kwargs)

        return noted

    def _rename(self, verb: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def rename(path: Path, target: Path) -> Any:
            self.step(verb, target)
            self.renamed(path, target)
            return call(path, target)

        return rename

    def renamed(self, path: Path, target: Path) -> None:
        """For who wants to know what was moved where, or has a second name there."""

    def _open_file(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def open_file(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            self.step("create" if "x" in mode else "open", path)
            file = call(path, mode, *args, **kwargs)
            self._handles[file.fileno()] = path
            return _File(file, path, self.step)

        return open_file

    def _open_handle(self, call: Callable[..., int]) -> Callable[..., int]:
        def open_handle(path: str | Path, flags: int, *args: Any, **kwargs: Any) -> int:
            self.step("create" if flags & os.O_CREAT else "open", Path(path))
            handle = call(path, flags, *args, **kwargs)
            self._handles[handle] = Path(path)
            return handle

        return open_handle

    def _lock(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def lock(handle: int, how: int) -> Any:
            if how & fcntl.LOCK_EX:
                self.step("lock", self._handles[handle])
            return call(handle, how)

        return lock


@dataclass
class _File:
    """An open file; half of what is written before an error arrives."""

    file: Any
    path: Path
    step: Callable[[str, Path], None]

    def __enter__(self) -> _File:  # noqa: PYI034  nobody inherits from it
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.file.close()
        if kind is None and self.file.mode != "rb":
            self.step("close", self.path)  # network file systems say here that there was no room

    def read(self, *size: int) -> Any:
        self.step("read", self.path)
        return self.file.read(*size)

    def write(self, data: bytes) -> int:
        try:
            self.step("write", self.path)
        except OSError:
            self.file.write(data[: len(data) // 2])
            raise
        written: int = self.file.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def build(directory: Path, version: str) -> list[Artifact]:
    return [artifact.read(path) for path in (make_sdist(directory, "demo", version), make_wheel(directory, "demo", version))]


def send(base: Path, artifacts: Sequence[Artifact]) -> StorageError | None:
    """Publish; a failure has to be told well."""
    try:
        publish(artifacts, LocalStorage(base, lock_timeout=5), sleep=not_at_all, gather=in_turn)
    except StorageError as error:
        told = error
    else:
        return None
    assert re.fullmatch(rf"{re.escape(str(base.parent))}/\S+: [a-zA-Z][^:]+\.", str(told)), str(told)
    assert "run the same command again: that is safe" in told.hint, told.hint
    return told


def check_clean(base: Path, artifacts: Sequence[Artifact]) -> None:
    """Nothing is torn, and what no record lists is a whole artifact under its own key or a temporary file in its place."""
    storage = LocalStorage(base)
    check_never_torn(storage)
    hashes = {
        hashlib.sha256(body).hexdigest() for built in artifacts for body in (built.path.read_bytes(), built.metadata or b"")
    }
    for key in orphans(storage):
        digest = hashlib.sha256(b"".join(storage.read(key))).hexdigest()
        assert re.fullmatch(r"demo/[0-9a-f]{32}/demo-\S+(\.whl|\.tar\.gz|\.metadata)", key)
        assert digest in hashes
    own = {re.sub("-[0-9a-f]{32}", "", path.name) for path in base.glob(".pypiprivate/*")}
    assert own <= {"locks", "tmp", "probe"}  # a probe that could not be removed: a few bytes that nobody lists


# each step in turn

#: Error, the kinds of step that meet it, and whether it stays.
FAILURES = {
    "a full disk": (errno.ENOSPC, {"create", "write", "close", "fsync", "mkdir", "rename"}, True),
    "an error once": (errno.EIO, READS | WRITES, False),
    "a dead disk": (errno.EIO, READS | WRITES, True),
    "a full disk, once": (errno.ENOSPC, {"create", "write", "close", "fsync", "mkdir", "rename"}, False),
    "a quota": (errno.EDQUOT, {"write", "close", "fsync"}, True),
    "a read-only disk": (errno.EROFS, WRITES - {"lock"}, True),
    "no permission, once": (errno.EACCES, (READS | WRITES) - {"lock"}, False),
    "no locks": (errno.ENOLCK, {"lock"}, True),
}


@pytest.mark.parametrize("releases", [0, 1])
@pytest.mark.parametrize("failure", FAILURES)
def test_whichever_step_fails_the_command_says_so_and_the_same_again_finishes(
    tmp_path: Path, failure: str, releases: int
) -> None:
    error, verbs, lasting = FAILURES[failure]
    before, release = [build(tmp_path / "dist", f"0.{number}") for number in range(releases)], build(tmp_path / "dist", "1.0")
    every = 1 if FULL else 3  # from another first step for each failure
    for at in count(0 if FULL else list(FAILURES).index(failure) % every, every):
        base = tmp_path / f"index-{at}"
        with Disk(base, verbs=set()).inserted():  # quickly
            assert [send(base, files) for files in before] == [None] * releases
        with Disk(base, at=at, error=error, verbs=verbs, lasting=lasting).inserted() as disk:
            told = send(base, release)
        check_clean(base, release)
        if told and disk.steps[-1][0] != "unlink":
            assert lasting or list(base.glob(".pypiprivate/tmp/*")) == []
        with Disk(base, verbs=set()).inserted():
            assert send(base, release) is None
        check_at_rest(LocalStorage(base))
        assert len(filenames(LocalStorage(base), "demo")) == 2 + 2 * releases
        assert orphans(LocalStorage(base)) == []
        shutil.rmtree(base)
        if not disk.failed:
            break
    figure("faults on disk", failure=failure, releases=releases, steps=len(disk.steps), every=every)
    assert len(disk.steps) >= (2 if failure == "no locks" else 10)


def test_an_artifact_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    release, base = build(tmp_path / "dist", "1.0"), tmp_path / "index"
    for at in count():
        with Disk(tmp_path / "dist", at=at, verbs=READS).inserted() as disk:
            told = send(base, release)
        if not disk.failed:
            break
        assert told is not None
        assert told.what in {str(built.path) for built in release}
        check_clean(base, release)
    assert at >= 4
    check_at_rest(LocalStorage(base))


def test_the_program_says_it_in_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, base = [str(built.path) for built in build(tmp_path / "dist", "1.0")], tmp_path / "index"
    command = ["-r", str(base), "upload", *files]
    with Disk(base, at=0, error=errno.ENOSPC, verbs={"write"}, lasting=True).inserted():
        assert cli.main(command) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if not line.startswith("sending")][-2:] == said[-2:]
    assert re.fullmatch(rf"error: {re.escape(str(base))}/\S+: the disk is full\.", said[-2])
    assert said[-1] == "Put it right, then run the same command again: that is safe."
    assert cli.main(command) == 0
    check_at_rest(LocalStorage(base))


# a disk that is really full

#: Leaves more and more room on a small disk until a release fits; then makes room and runs the same command again.
FILL = """
import sys
from pathlib import Path
from pypiprivate.storage.local import LocalStorage
from tests.repositories import check_at_rest, filenames, orphans
from tests.test_faults_disk import build, check_clean, send

disk, dist, reasons = Path(sys.argv[1]), Path(sys.argv[2]), []
for version in range(1, 1000):
    release = build(dist, f"{version}")
    told = send(disk / "index", release)
    check_clean(disk / "index", release)
    if told:
        break
(disk / "room").unlink()
assert told.reason == "the disk is full.", told
assert send(disk / "index", release) is None
check_at_rest(LocalStorage(disk / "index"))
assert orphans(LocalStorage(disk / "index")) == []
assert len(filenames(LocalStorage(disk / "index"), "demo")) == 2 * version
print("full after", version)
"""


@pytest.mark.parametrize("room", range(0, 48, 1 if FULL else 16))
def test_a_disk_that_fills_up_is_named_and_with_more_room_the_same_command_finishes(tmp_path: Path, room: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size={256 + 4 * room}k tmpfs {disk} && head -c 100000 /dev/zero >{disk}/room"
    assert_fills_up(disk, tmp_path / "dist", mount)


@pytest.mark.parametrize("files", range(30, 50, 1 if FULL else 10))
def test_a_disk_that_runs_out_of_names_is_named_too(tmp_path: Path, files: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # a directory takes a name from one and gives it to others: what is removed makes room for one release
    mount = f"mount -t tmpfs -o nr_inodes={files + 10} tmpfs {disk} && mkdir {disk}/many"
    make = f"for n in 1 2 3 4 5 6 7 8 9 10; do touch {disk}/many/$n; done; ln -s many {disk}/room"
    assert_fills_up(
        disk,
        tmp_path / "dist",
        f"{mount} && {make}",
        script=FILL.replace('(disk / "room").unlink()', '[path.unlink() for path in (disk / "many").iterdir()]'),
    )


def assert_fills_up(disk: Path, dist: Path, mount: str, script: str = FILL) -> None:
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*own_mounts, mount], capture_output=True).returncode:
        pytest.skip("needs mounts of its own")
    run = [*own_mounts, f'{mount} && exec "$@"', "sh", sys.executable, "-c", script, str(disk), str(dist)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"full after [1-9]\d*\n", done.stdout)


# what another user forbids


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of a user whom permissions bind; this process is that user until the end of the test."""
    ours = os.geteuid()
    with tempfile.TemporaryDirectory() as directory:
        if ours == 0:
            os.chown(directory, 65534, -1)
            os.seteuid(65534)
        try:
            yield Path(directory)
        finally:
            os.seteuid(ours)


@pytest.mark.parametrize("mode", [0o000, 0o500, 0o400])
def test_whatever_is_forbidden_is_named_and_once_allowed_the_same_command_finishes(home: Path, mode: int) -> None:
    before, release, base = build(home / "dist", "0.1"), build(home / "dist", "1.0"), home / "index"
    assert send(base, before) is None
    refused = 0
    for path in [base, *sorted(base.rglob("*"))]:
        index = home / "copy"
        shutil.copytree(base, index)
        forbidden = index / path.relative_to(base)
        allowed = forbidden.stat().st_mode
        forbidden.chmod(mode)
        told = send(index, release)
        forbidden.chmod(allowed)
        if told:
            refused += 1
            assert told.reason == "permission denied."
        check_clean(index, release)
        assert send(index, release) is None
        check_at_rest(LocalStorage(index))
        assert len(filenames(LocalStorage(index), "demo")) == 4
        shutil.rmtree(index)
    assert refused >= 4


# power that fails


class Platter(Disk):
    """What of all this is on the disk for certain, and what may be: the names in a directory that was not flushed since.

    :param at: number of the flush that does not happen, as if the process had been killed before it.
    :ivar after: is called after each step that writes.
    """

    def __init__(self, base: Path, *, at: int | None = None) -> None:
        super().__init__(base, at=at, verbs={"fsync"})
        self.after: Callable[[], None] = lambda: None
        self._chance = random.Random(at)
        self._names: dict[Path, str] = {}
        self._maybe: list[tuple[Path, str]] = []
        self._data: dict[str, bytes] = {}

    def step(self, verb: str, path: Path) -> None:
        super().step(verb, path)
        if verb == "mkdir":
            self._maybe.append((path, ""))
        if verb == "fsync" and path.is_file():
            self._data[self._content(path)] = path.read_bytes()
        if verb == "fsync" and path.is_dir():
            self._names.update({name: content for name, content in self._maybe if name.parent == path})
            self._maybe = [(name, content) for name, content in self._maybe if name.parent != path]
        if verb in {"mkdir", "fsync"}:
            self.after()

    def renamed(self, path: Path, target: Path) -> None:
        self._maybe.append((target, path.name))
        self.after()

    def _content(self, path: Path) -> str:
        """Name a file's content after the temporary file that it was written to."""
        return {**self._names, **dict(self._maybe)}.get(path, path.name)

    def survivors(self, share: float = 0.0) -> MemoryStorage:
        """What is found when the power is back, if of the names that may be there this share is; by default, what is certain."""
        names = {**self._names, **{name: content for name, content in self._maybe if self._chance.random() < share}}
        storage = MemoryStorage()
        for name, content in names.items():
            above = [parent for parent in name.parents if self._base in parent.parents]
            if content and all(parent in names for parent in above):
                put(storage, str(name.relative_to(self._base)), self._data.get(content, b"\0" * 100))  # what was never flushed
        return storage

    def possible(self) -> Iterator[MemoryStorage]:
        """Some of what may be found when the power is back: nothing that is unsure, all of it, or any."""
        return map(self.survivors, (0.0, 1.0, 0.5, 0.5, 0.5))

    def check_possible(self) -> None:
        for left in self.possible():
            check_never_torn(left)


def test_whenever_the_power_fails_nothing_is_torn_and_what_was_reported_is_there(tmp_path: Path) -> None:
    platter, reported, moments = Platter(tmp_path / "index"), set[str](), 0

    def power_fails() -> None:
        nonlocal moments
        for left in platter.possible():
            moments += 1
            check_never_torn(left)
            publish(release, left, sleep=not_at_all, gather=in_turn)
            check_at_rest(left)
            assert set(filenames(left, "demo")) == reported | {built.filename for built in release}

    platter.after = power_fails
    for version in ("1.0", "2.0", "3.0"):
        release = build(tmp_path / "dist", version)
        with platter.inserted():
            assert send(tmp_path / "index", release) is None
        reported |= {built.filename for built in release}
        assert set(filenames(platter.survivors(), "demo")) == reported
    figure("power loss", moments=moments)
    assert moments > 200


def test_what_a_killed_publisher_did_not_flush_is_flushed_by_the_next_one(tmp_path: Path) -> None:
    release = build(tmp_path / "dist", "1.0")

    for at in count():
        platter = Platter(tmp_path / f"index-{at}", at=at)
        with platter.inserted():
            killed = send(tmp_path / f"index-{at}", release)
            platter.after = platter.check_possible
            assert send(tmp_path / f"index-{at}", release) is None
        left = platter.survivors()
        assert filenames(left, "demo") == sorted(built.filename for built in release)
        # a page that was all there, and so was not written again, may be the one before; the next command writes it
        publish(release, left, sleep=not_at_all, gather=in_turn)
        check_at_rest(left)
        if not killed:
            break
    assert at > 15
