"""What a directory promises beyond the contract of all backends."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from pypiprivate.errors import ConfigError, StorageError
from pypiprivate.storage import Storage, open_storage
from pypiprivate.storage.conformance import StorageContract
from pypiprivate.storage.local import LocalStorage, _flush, _move, _place

JSON = "application/vnd.pypi.simple.v1+json"
RECORD = "spam/index.json"
DIGEST = hashlib.sha256(b"artifact").hexdigest()
ARTIFACT = f"spam/{DIGEST[:32]}/spam-1.0.tar.gz"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def storage(base: Path) -> LocalStorage:
    return LocalStorage(base)


@pytest.fixture
def users_base() -> Iterator[Path]:
    """The repository of a user whom permissions bind; this process is that user until the end of the test."""
    ours = os.geteuid()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory) / "index"
        base.mkdir()
        if ours == 0:
            os.chown(directory, 65534, -1)
            os.chown(base, 65534, -1)
            os.seteuid(65534)
        try:
            yield base
        finally:
            os.seteuid(ours)


# where it is


def test_it_is_opened_by_its_path(base: Path) -> None:
    storage = open_storage("local-filesystem", {"base_path": str(base)})
    write(storage, RECORD, b"{}")
    assert (base / RECORD).read_bytes() == b"{}"


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="NUL"):
        open_storage("local-filesystem", {"base_path": "simple\0"})


def test_one_directory_has_one_location(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(base)
    monkeypatch.chdir(tmp_path)
    paths = [base, base / ".." / "index", tmp_path / "link", Path("index")]
    assert {LocalStorage(path).location for path in paths} == {os.path.realpath(base)}


def test_reading_makes_nothing(base: Path, storage: LocalStorage) -> None:
    assert (storage.get(RECORD), storage.stat(RECORD), list(storage.list(""))) == (None, None, [])
    storage.delete(RECORD)
    assert not base.exists()


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "spam/../../x", "spam//x", "spam/", "./spam", "a\0b"])
def test_what_is_no_key_never_reaches_the_file_system(storage: LocalStorage, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        storage.get(key)


# what is in the way is never taken for nothing


def test_a_base_path_that_is_a_file_is_named(base: Path, storage: LocalStorage) -> None:
    base.write_text("a file")
    for use in uses(storage):
        with pytest.raises(StorageError, match=f"^{base}: base_path is a file, not a directory.$"):
            use()
    assert base.read_text() == "a file"


def test_a_base_path_below_a_file_is_named(base: Path) -> None:
    base.write_text("a file")
    for use in uses(LocalStorage(base / "simple")):
        with pytest.raises(StorageError, match="there is a file where a directory belongs"):
            use()


@pytest.mark.parametrize("link", ["index", "index/spam", "index/spam/index.json"])
def test_a_link_to_something_out_of_reach_is_not_nothing(base: Path, tmp_path: Path, storage: LocalStorage, link: str) -> None:
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to("/nonexistent/somewhere")
    for read in (storage.get, storage.stat):
        with pytest.raises(StorageError, match=f"{tmp_path / link}: it is a link to something that is not there"):
            read(RECORD)


def test_a_listing_does_not_take_a_link_to_something_out_of_reach_for_nothing(base: Path, storage: LocalStorage) -> None:
    storage.swap(RECORD, b"{}", replacing=None, content_type="application/json")
    (base / "spam/volume").symlink_to("not-mounted")
    with pytest.raises(StorageError, match="a link to something that is not there"):
        list(storage.list("spam/"))


def test_what_may_not_be_read_is_not_nothing(users_base: Path) -> None:
    storage = LocalStorage(users_base)
    write(storage, RECORD, b"{}")
    users_base.chmod(0)
    for use in uses(storage):
        with pytest.raises(StorageError, match="permission denied") as caught:
            use()
        assert "run the same command again" in caught.value.hint


def test_what_may_not_be_written_is_named(users_base: Path) -> None:
    storage = LocalStorage(users_base)
    for _ in range(2):  # the first needs no lock
        write(storage, RECORD, b"{}")
    for path in [users_base, *users_base.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    assert storage.get(RECORD) is not None
    with pytest.raises(StorageError, match=r"spam/index\.html: permission denied"):
        write(storage, "spam/index.html", b"new")
    with pytest.raises(StorageError, match="locks/[0-9a-f]{2}: permission denied"):
        write(storage, RECORD, b"new")
    with pytest.raises(StorageError, match=f"{ARTIFACT}: permission denied"):
        storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    with pytest.raises(StorageError, match=f"{RECORD}: permission denied"):
        storage.delete(RECORD)
    assert files(users_base) == {RECORD: b"{}"}


def test_a_directory_is_no_object(base: Path, storage: LocalStorage) -> None:
    (base / RECORD).mkdir(parents=True)
    assert (storage.get(RECORD), storage.stat(RECORD)) == (None, None)
    with pytest.raises(StorageError, match="there is a directory where a file belongs"):
        write(storage, RECORD, b"{}")
    with pytest.raises(StorageError, match="there is a directory where a file belongs"):
        storage.store(RECORD, b"artifact", sha256=DIGEST)
    storage.delete(RECORD)
    assert (base / RECORD).is_dir()


def test_a_file_in_the_place_of_a_project_is_named(base: Path, storage: LocalStorage) -> None:
    base.mkdir()
    (base / "spam").write_text("a file")
    assert storage.get(RECORD) is None
    with pytest.raises(StorageError, match="a directory belongs"):
        write(storage, RECORD, b"{}")


def test_a_name_too_long_for_the_file_system_is_named(storage: LocalStorage) -> None:
    write(storage, RECORD, b"{}")
    key = f"spam/{'x' * 300}"
    with pytest.raises(StorageError, match="the name is too long for this file system"):
        storage.get(key)
    with pytest.raises(StorageError, match="the name is too long for this file system"):
        storage.store(key, b"artifact", sha256=DIGEST)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_a_project_on_another_file_system_is_named(base: Path, storage: LocalStorage) -> None:
    elsewhere = Path("/dev/shm") / f"pypiprivate-{os.getpid()}"
    elsewhere.mkdir()
    try:
        if elsewhere.stat().st_dev == base.parent.stat().st_dev:
            pytest.skip("needs a second file system")
        base.mkdir()
        (base / "spam").symlink_to(elsewhere)
        with pytest.raises(StorageError, match="it lies on another file system than base_path"):
            write(storage, RECORD, b"{}")
    finally:
        shutil.rmtree(elsewhere)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EIO, "the disk reports an input/output error"),
        (errno.EFBIG, "File too large"),
    ],
)
def test_a_disk_that_fails_leaves_what_was_there(
    base: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    write(storage, RECORD, b"{}")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=f"{RECORD}: {reason}.") as caught:
        write(storage, RECORD, b"new")
    assert "run the same command again" in caught.value.hint
    with pytest.raises(StorageError, match=f"{ARTIFACT}: {reason}."):
        storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    assert files(base) == {RECORD: b"{}"}
    assert list((base / ".pypiprivate/tmp").iterdir()) == []


def test_a_directory_that_cannot_be_flushed_is_a_failure(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_on_directories(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail_on_directories)
    with pytest.raises(StorageError, match="input/output error"):
        write(storage, RECORD, b"{}")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    script = """if True:
        import hashlib, sys
        from pathlib import Path
        from pypiprivate.storage.local import LocalStorage
        from pypiprivate.errors import StorageError
        base, body = Path(sys.argv[1]), bytes(1 << 20)
        try:
            LocalStorage(base).store("spam/0/big", body, sha256=hashlib.sha256(body).hexdigest())
        except StorageError as error:
            print(error.reason, [path.name for path in base.rglob("*") if path.is_file()])
    """
    mount = f"mount -t tmpfs -o size=128k tmpfs {tmp_path}"
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*own_mounts, mount], capture_output=True).returncode:
        pytest.skip("needs mounts of its own")
    command = [*own_mounts, f'{mount} && exec "$@"', "sh", sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("the disk is full. []\n", "")


# documents


def test_versions_differ_by_a_whole_second(base: Path, storage: LocalStorage) -> None:
    times = []
    for number in range(4):
        write(storage, RECORD, b"%d" % number)
        times.append((base / RECORD).stat().st_mtime_ns)
    assert all(later - earlier >= 1_000_000_000 for earlier, later in pairwise(times))


def test_files_are_readable_as_the_umask_says(base: Path, storage: LocalStorage) -> None:
    before = os.umask(0o027)
    try:
        write(storage, RECORD, b"{}")
        storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    finally:
        os.umask(before)
    assert {mode(base / RECORD), mode(base / ARTIFACT)} == {0o640}
    assert mode((base / ARTIFACT).parent) == 0o750


def test_who_may_write_into_the_repository_may_lock_it(base: Path, storage: LocalStorage) -> None:
    base.mkdir()
    base.chmod(0o775)
    before = os.umask(0o077)
    try:
        for _ in range(2):
            write(storage, RECORD, b"{}")
    finally:
        os.umask(before)
    (lock,) = (base / ".pypiprivate/locks").iterdir()
    assert mode(lock) == 0o664


def test_a_lock_is_not_waited_for_without_end(base: Path) -> None:
    storage = LocalStorage(base, lock_timeout=0.2)
    for _ in range(2):
        write(storage, RECORD, b"{}")
    (lock,) = (base / ".pypiprivate/locks").iterdir()
    with held_by_another_process(lock), pytest.raises(StorageError, match=f"{lock}: another process has held this lock"):
        write(storage, RECORD, b"new")
    write(storage, RECORD, b"newer")
    assert files(base) == {RECORD: b"newer"}


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system be one on which a file has but one name."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_links")
class TestWithoutLinks(StorageContract):
    @pytest.fixture
    def storage(self, base: Path) -> LocalStorage:
        return LocalStorage(base)


def test_what_is_created_lies_there_once(base: Path, storage: LocalStorage) -> None:
    assert storage.create({"spam/one": b"one", "spam/two": b"two", "eggs/one": b"eggs"}) == frozenset()
    assert storage.create({"spam/one": b"other", "spam/three": b"three"}) == {"spam/one"}
    assert files(base) == {"spam/one": b"one", "spam/two": b"two", "eggs/one": b"eggs", "spam/three": b"three"}
    assert [path.stat().st_nlink for path in base.rglob("*") if path.is_file()] == [1] * 4


def test_a_link_to_nothing_is_nothing_new(base: Path, storage: LocalStorage) -> None:
    (base / "spam").mkdir(parents=True)
    (base / RECORD).symlink_to("nowhere")
    with pytest.raises(StorageError, match="it is a link to something that is not there"):
        storage.create({RECORD: b"{}"})


def test_processes_do_not_lose_each_others_changes(base: Path, storage: LocalStorage) -> None:
    script = """if True:
        import sys
        from pathlib import Path
        from pypiprivate.errors import Conflict
        from pypiprivate.storage.local import LocalStorage
        storage, left = LocalStorage(Path(sys.argv[1])), 20
        while left:
            found = storage.get("counter")
            try:
                storage.swap("counter", b"%d" % (int(found.body) + 1 if found else 1), replacing=found, content_type="text/plain")
                left -= 1
            except Conflict:
                pass
    """
    processes = [subprocess.Popen([sys.executable, "-c", script, base]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert files(base) == {"counter": b"80"}


def test_a_publisher_killed_at_any_moment_leaves_whole_files(base: Path, storage: LocalStorage) -> None:
    script = """if True:
        import hashlib, itertools, sys
        from pathlib import Path
        from pypiprivate.storage.local import LocalStorage
        storage = LocalStorage(Path(sys.argv[1]))
        for number in itertools.count():
            body = b"%d" % (number % 10) * 500_000
            storage.swap("spam/index.json", body, replacing=storage.get("spam/index.json"), content_type="text/plain")
            storage.store(f"spam/{number}/a", body, sha256=hashlib.sha256(body).hexdigest())
    """
    for moment in (0.0, 0.011, 0.023):
        shutil.rmtree(base, ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-c", script, base])
        wait_for(base / "spam/3/a")
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert {(len(body), len(set(body))) for body in files(base).values()} == {(500_000, 1)}
        assert {entry.key.split("/")[0] for entry in storage.list("")} == {"spam"}
        write(storage, RECORD, b"the next publisher is not held up")


def test_what_a_crash_left_long_ago_is_swept_up(base: Path) -> None:
    old, young = base / ".pypiprivate/tmp/old", base / ".pypiprivate/tmp/young"
    old.parent.mkdir(parents=True)
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 100_000,) * 2)
    write(LocalStorage(base), RECORD, b"{}")
    assert (old.exists(), young.exists()) == (False, True)


# artifacts


@pytest.mark.parametrize("size", [10, 2 << 20])
def test_a_file_that_changes_while_it_is_open_is_an_error(base: Path, storage: LocalStorage, size: int) -> None:
    (base / "spam").mkdir(parents=True)
    (base / "spam/a").write_bytes(bytes(size))
    opened = storage.open_file("spam/a")
    assert len(opened.__enter__().read()) == size
    os.truncate(base / "spam/a", 5)
    with pytest.raises(StorageError, match="spam/a: it changed while it was read"):
        opened.__exit__(None, None, None)


def test_what_is_there_already_is_left_alone(base: Path, storage: LocalStorage) -> None:
    storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    before, sent = (base / ARTIFACT).stat(), list[int]()
    storage.store(ARTIFACT, b"artifact", sha256=DIGEST, sent=sent.append)
    storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    after = (base / ARTIFACT).stat()  # reading it may have changed its time of access
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert sent == [8]


def test_what_is_damaged_is_mended(base: Path, storage: LocalStorage) -> None:
    (base / ARTIFACT).parent.mkdir(parents=True)
    (base / ARTIFACT).write_bytes(b"artifacx")
    storage.store(ARTIFACT, b"artifact", sha256=DIGEST)
    assert (base / ARTIFACT).read_bytes() == b"artifact"


def test_a_digest_directory_goes_with_its_last_file(base: Path, storage: LocalStorage) -> None:
    for key in (ARTIFACT, f"{ARTIFACT}.metadata"):
        storage.store(key, b"artifact", sha256=DIGEST)
    storage.delete(ARTIFACT)
    assert (base / ARTIFACT).parent.is_dir()
    storage.delete(f"{ARTIFACT}.metadata")
    assert not (base / ARTIFACT).parent.exists()
    assert (base / "spam").is_dir()


def test_a_file_is_stored_while_its_directory_is_being_removed(base: Path, storage: LocalStorage) -> None:
    def store_and_delete(number: int) -> None:
        for _ in range(50):
            storage.store(f"{ARTIFACT}-{number}", b"artifact", sha256=DIGEST)
            storage.delete(f"{ARTIFACT}-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store_and_delete, range(4)))
    assert files(base) == {}


def test_a_directory_that_never_stays_is_given_up(base: Path) -> None:
    def removed_meanwhile(temporary: Path, path: Path) -> None:
        path.parent.rmdir()
        temporary.replace(path)

    base.mkdir()
    (base / "temporary").touch()
    with pytest.raises(FileNotFoundError, match="keeps vanishing"):
        _place(base / "temporary", base / "spam/index.json", removed_meanwhile)


def test_a_directory_that_is_a_link_to_nothing_is_said_to_be_one(base: Path) -> None:
    base.mkdir()
    (base / "temporary").touch()
    (base / "spam").symlink_to("nowhere")
    with pytest.raises(StorageError, match="link to something that is not there") as caught:
        _move(base / "temporary", base / "spam/index.json")
    assert str(base / "spam") in str(caught.value)


def test_a_temporary_file_that_somebody_removed_is_said_to_be_gone(base: Path) -> None:
    base.mkdir()
    with pytest.raises(FileNotFoundError, match="removed its temporary file"):
        _move(base / "temporary", base / "spam/index.json")


# listing


def test_links_are_followed_and_other_things_left_out(base: Path, tmp_path: Path, storage: LocalStorage) -> None:
    write(storage, RECORD, b"{}")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/egg-1.0.tar.gz").write_bytes(b"egg")
    (base / "egg").symlink_to(tmp_path / "elsewhere")
    (base / "spam/link").symlink_to("index.json")
    (base / "spam/up").symlink_to("..")
    os.mkfifo(base / "spam/pipe")
    (base / os.fsdecode(b"not-utf-8-\xff")).touch()
    assert [entry.key for entry in storage.list("")] == ["egg/egg-1.0.tar.gz", RECORD, "spam/link"]
    assert storage.get("egg/egg-1.0.tar.gz") is not None
    assert storage.stat("spam/pipe") is None


def test_a_prefix_reads_only_its_own_directory(users_base: Path) -> None:
    storage = LocalStorage(users_base)
    write(storage, RECORD, b"{}")
    (users_base / "other").mkdir(mode=0)
    assert [entry.key for entry in storage.list("spam/")] == [RECORD]
    with pytest.raises(StorageError, match=f"{users_base / 'other'}: permission denied"):
        list(storage.list(""))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that flushes no directories")
def test_a_file_system_that_flushes_no_directories_will_do() -> None:
    handle = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(handle)
    os.close(handle)
    _flush(Path("/proc"))


def write(storage: Storage, key: str, body: bytes) -> None:
    storage.swap(key, body, replacing=storage.get(key), content_type=JSON)


def uses(storage: LocalStorage) -> list[Callable[[], object]]:
    """Return every verb of a storage, ready to call."""
    return [
        lambda: storage.get(RECORD),
        lambda: storage.stat(RECORD),
        lambda: list(storage.list("")),
        lambda: list(storage.read(RECORD)),
        lambda: storage.swap(RECORD, b"{}", replacing=None, content_type=JSON),
        lambda: storage.store(ARTIFACT, b"artifact", sha256=DIGEST),
        lambda: storage.delete(RECORD),
    ]


@contextmanager
def held_by_another_process(lock: Path) -> Iterator[None]:
    script = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.stdin.close()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def files(base: Path) -> dict[str, bytes]:
    """Return what a web server would find, by path."""
    paths = (path for path in base.rglob("*") if path.is_file() and ".pypiprivate" not in path.parts)
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in paths}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
