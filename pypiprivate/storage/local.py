"""A repository in a directory, for a web server on this machine or on a shared disk.

Whatever becomes visible is complete and on the disk: written under a temporary name, flushed, and moved into place in one
step. What is new is linked there, which fails where something lies. Documents change under a lock, so that what was compared is
what is replaced.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from ..checks import Check
from ..errors import ConfigError, Conflict, StorageError
from . import localchecks
from .base import Backend, Entry, Option, Sent, Stat, Storage, Stored

#: Locks and temporary files; never listed.
_OWN = ".pypiprivate"
#: Bytes read or written at once.
_PIECE = 1 << 20
#: A document is locked for milliseconds; whoever waits this many seconds waits for something that is broken.
_LOCK_TIMEOUT = 60.0
#: Age in seconds after which a temporary file belongs to nobody.
_STALE = 86_400
#: How often a directory may vanish under a file that is being moved into it.
_TRIES = 100
_SECOND = 1_000_000_000  # in nanoseconds
#: What a file system says that knows no second name of a file, or no more of them.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

_UNREAD = "Make it readable for this user, then run the same command again: that is safe."
_UNWRITTEN = "Put it right, then run the same command again: that is safe."
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an input/output error",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EXDEV: "it lies on another file system than base_path, so that nothing can be moved there in one step",
    errno.EISDIR: "there is a directory where a file belongs",
    errno.ENOTDIR: "there is a file where a directory belongs",
    errno.EEXIST: "there is something else where a directory belongs",
}


class LocalStorage:
    """A repository below a directory, which is made by the first write.

    :param base_path: the directory; links in it are followed, as a web server does.
    :param lock_timeout: how many seconds to wait for another publisher's lock before giving up.
    """

    conditional = True
    # A disk answers at once, and what is left takes a processor: threads would only wait for each other.
    in_flight = 1

    def __init__(self, base_path: Path, *, lock_timeout: float = _LOCK_TIMEOUT) -> None:
        self._base = base_path.absolute()
        self._lock_timeout = lock_timeout
        self._swept = False
        self.location = os.path.realpath(self._base)

    def get(self, key: str) -> Stored | None:
        """See :meth:`.Storage.get`."""
        path = self._path(key)
        with _translated(path, _UNREAD):
            try:
                body = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._prove_absent(path)
                return None
        return Stored(body, hashlib.sha256(body).hexdigest())

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:  # noqa: ARG002  files have none
        """See :meth:`.Storage.swap`."""
        if replacing is None:
            if self.create({key: body}):
                raise Conflict(key)
            return
        path = self._path(key)
        with _translated(path, _UNWRITTEN), self._locked(key):
            found = self.get(key)
            if found is None or found.etag != replacing.etag:
                raise Conflict(key)
            with self._temporaries(1) as (temporary,):
                _write(temporary, [body])
                _date_after(temporary, path)
                _move(temporary, path)

    def create(self, bodies: Mapping[str, bytes]) -> frozenset[str]:
        """See :meth:`.Creating.create`. Each file is on the disk before it is seen; a directory is flushed once for all in it."""
        paths = {key: self._path(key) for key in bodies}
        with _translated(self._base, _UNWRITTEN), self._temporaries(len(paths)) as temporaries:
            for temporary, (key, path) in zip(temporaries, paths.items(), strict=True):
                with _translated(path, _UNWRITTEN):
                    _write(temporary, [bodies[key]])
            pairs = zip(temporaries, paths.items(), strict=True)
            taken = [key for temporary, (key, path) in pairs if not self._is_created(temporary, key, path)]
        for directory in {path.parent for path in paths.values()}:
            with _translated(directory, _UNWRITTEN):
                _flush(directory)
        return frozenset(taken)

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        """See :meth:`.Storage.store`. What lies there already, with these bytes, is left alone."""
        path = self._path(key)
        with _translated(path, _UNWRITTEN):
            if not self._holds(key, sha256):
                self._keep(path, body, sha256=sha256, sent=sent)
            elif sent:
                sent(path.stat().st_size)

    def copy(self, key: str, source: Storage, source_key: str, *, sha256: str) -> bool:
        """See :meth:`.Copying.copy`. Another directory's file is read where it lies."""
        if not isinstance(source, LocalStorage):
            return False
        self.store(key, source._path(source_key), sha256=sha256)  # noqa: SLF001  one of our kind
        return True

    def stat(self, key: str) -> Stat | None:
        """See :meth:`.Storage.stat`. A file system keeps neither hash nor content type."""
        path = self._path(key)
        with _translated(path, _UNREAD):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                self._prove_absent(path)
                return None
        return Stat(found.st_size, None, _modified(found), None) if stat.S_ISREG(found.st_mode) else None

    def read(self, key: str) -> Iterator[bytes]:
        """See :meth:`.Storage.read`."""
        if self.stat(key) is None:
            raise StorageError(str(self._path(key)), "there is no such file.")
        yield from _pieces(self._path(key))

    @contextmanager
    def open_file(self, key: str) -> Iterator[BinaryIO]:
        """See :meth:`.Opening.open_file`."""
        path = self._path(key)
        with _translated(path, _UNREAD), path.open("rb") as file:
            before = os.fstat(file.fileno())
            # To read all of a small one takes less than to look for parts of it.
            yield io.BytesIO(file.read()) if before.st_size <= _PIECE else file
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise StorageError(str(path), "it changed while it was read.")

    def list(self, prefix: str) -> Iterator[Entry]:
        """See :meth:`.Storage.list`. Links are followed; what is neither file nor directory is left out."""
        parent, _, start = prefix.rpartition("/")
        if parent.split("/")[0] != _OWN:
            directory = self._path(parent) if parent else self._base
            yield from self._walk(directory, f"{parent}/" if parent else "", start, frozenset())

    def names(self) -> Iterator[str]:
        """See :meth:`.Naming.names`. An empty directory is named, too."""
        found = (name.removesuffix("/") for name, size in self._children(self._base, "") if size is None)
        return (name for name in found if name != _OWN)

    def delete(self, key: str) -> None:
        """See :meth:`.Storage.delete`. The directory of a digest goes with its last file, that of a project stays."""
        path = self._path(key)
        with _translated(path, _UNWRITTEN):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._prove_absent(path)
        with suppress(OSError):  # not empty, or another publisher was faster
            for _ in range(key.count("/") - 1):
                path = path.parent
                path.rmdir()

    def survey(self) -> Iterator[Check]:
        """See :meth:`.Examining.survey`."""
        return localchecks.survey(self._base, self._base / _OWN)

    def examine(self, key: str) -> Iterator[Check]:
        """See :meth:`.Examining.examine`."""
        return localchecks.examine(self._base, key, self._locked, LocalStorage(self._base, lock_timeout=0)._locked)  # noqa: SLF001

    def _path(self, key: str) -> Path:
        for part in key.split("/"):
            if part in {"", ".", ".."} or "\0" in part or os.path.basename(part) != part:  # noqa: PTH119  of each key
                raise ValueError(f"not a key: {key!r}")
        return self._base / key

    def _prove_absent(self, path: Path) -> None:
        """Return if nothing at *path* means that there is no such key, and not that the repository is out of reach."""
        for link in (path, *path.parents):
            _refuse_link_to_nothing(link)
        self._check_base()

    def _check_base(self) -> None:
        with suppress(FileNotFoundError):  # no repository yet
            if not stat.S_ISDIR(self._base.stat().st_mode):
                raise StorageError(str(self._base), "base_path is a file, not a directory.", hint="Name another base_path.")

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        # 256 locks rather than one for each key ever used: two keys that share one wait for each other, for milliseconds
        path = self._own("locks") / hashlib.sha256(key.encode()).hexdigest()[:2]
        # whoever may write into the repository may take its locks, whoever made them
        mode = 0o600 | self._base.stat().st_mode & 0o066
        with _translated(path, _UNWRITTEN):
            try:
                held = FileLock(path, timeout=self._lock_timeout, mode=mode).acquire(poll_interval=0.01)
            except Timeout as error:
                reason = f"another process has held this lock for {self._lock_timeout:g} seconds."
                hint = "Run the same command again when that process has ended; what it is, tells a tool such as fuser."
                raise StorageError(str(path), reason, hint=hint) from error
        with held:
            yield

    def _own(self, name: str) -> Path:
        self._check_base()
        path = self._base / _OWN / name
        _make_directory(path)
        return path

    @contextmanager
    def _temporaries(self, count: int) -> Iterator[Sequence[Path]]:
        directory = self._own("tmp")
        if not self._swept:
            self._swept = True
            _sweep(directory)
        paths = [directory / secrets.token_hex(16) for _ in range(count)]
        try:
            yield paths
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def _is_created(self, temporary: Path, key: str, path: Path) -> bool:
        """Make a finished file visible by a second name, which can only be a new one."""
        with _translated(path, _UNWRITTEN):
            try:
                _place(temporary, path, os.link)
            except FileExistsError:
                _refuse_link_to_nothing(path)
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return self._is_moved(temporary, key, path)
        return True

    def _is_moved(self, temporary: Path, key: str, path: Path) -> bool:
        """Do the same on a file system where a file has but one name."""
        with self._locked(key):
            if self.get(key):
                return False
            _place(temporary, path, Path.replace)
        return True

    def _holds(self, key: str, sha256: str) -> bool:
        path = self._path(key)
        if self.stat(key) is None or _digest(_pieces(path)) != sha256:
            return False
        _flush(path)  # whoever wrote it may have died before this
        _flush(path.parent)
        _flush(path.parent.parent)
        return True

    def _keep(self, path: Path, body: bytes | Path, *, sha256: str, sent: Sent | None) -> None:
        with self._temporaries(1) as (temporary,):
            if _write(temporary, _pieces(body), sent=sent) != sha256:
                what = path if isinstance(body, bytes) else body
                raise StorageError(str(what), "the file changed while it was being published.")
            _move(temporary, path)
            _flush(path.parent.parent)  # whoever made its directory may have died before this

    def _walk(self, directory: Path, prefix: str, start: str, above: frozenset[str]) -> Iterator[Entry]:
        real = os.path.realpath(directory)
        if real in above:  # a link that leads back up
            return
        for name, found in self._children(directory, start):
            if not prefix and name == f"{_OWN}/":
                continue
            if found is None:
                yield from self._walk(directory / name, prefix + name, "", above | {real})
            else:
                yield Entry(prefix + name, found.st_size, _modified(found))

    def _children(self, directory: Path, start: str) -> Sequence[tuple[str, os.stat_result | None]]:
        """Return names in the order of keys: a directory's ends in its slash, and it has no size."""
        children: dict[str, os.stat_result | None] = {}
        with _translated(directory, _UNREAD):
            try:
                names = [path.name for path in directory.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                self._prove_absent(directory)
                return []
            for name in filter(_is_text, names):
                if found := _child(directory / name):
                    is_file = stat.S_ISREG(found.st_mode)
                    children[name if is_file else f"{name}/"] = found if is_file else None
        return sorted((name, found) for name, found in children.items() if name.startswith(start))


def _child(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):  # gone since
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            _refuse_link_to_nothing(path)
            found = path.stat()
        if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
            return found
    return None


def _refuse_link_to_nothing(path: Path) -> None:
    """What it leads to may be a volume that is not mounted."""
    if path.is_symlink() and not path.exists():
        raise StorageError(str(path), "it is a link to something that is not there.", hint=_UNREAD)


def _open(options: Mapping[str, str]) -> LocalStorage:
    if "\0" in options["base_path"]:
        raise ConfigError("base_path holds a NUL character, as no path can")
    return LocalStorage(Path(options["base_path"]))


BACKEND = Backend(
    type="local-filesystem",
    scheme="file",
    options=(Option("base_path", "the directory of the repository; made by the first publish", required=True, path=True),),
    open=_open,
    url_host=None,
    url_path="base_path",
)


@contextmanager
def _translated(path: Path, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise StorageError(str(path), f"{reason}.", hint=hint) from error


def _write(path: Path, pieces: Iterable[bytes], *, sent: Sent | None = None) -> str:
    """Write a new file, readable as the umask says, down to the disk, and return its digest."""
    with path.open("xb") as file:
        digest = _digest(_passing(pieces, file, sent))
        file.flush()
        os.fsync(file.fileno())
    return digest


def _passing(pieces: Iterable[bytes], file: BinaryIO, sent: Sent | None) -> Iterator[bytes]:
    for piece in pieces:
        file.write(piece)
        if sent:
            sent(len(piece))
        yield piece


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _pieces(body: bytes | Path) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    with _translated(body, _UNREAD):
        file = body.open("rb")
    with file:
        while piece := _piece(file, body):
            yield piece


def _piece(file: BinaryIO, path: Path) -> bytes:
    with _translated(path, _UNREAD):
        return file.read(_PIECE)


def _date_after(path: Path, previous: Path) -> None:
    """Date a new version at least a second after the one it replaces: nginx makes its ETag of size and whole seconds."""
    after = max(time.time_ns(), previous.stat().st_mtime_ns + _SECOND)
    os.utime(path, ns=(after, after))


def _move(temporary: Path, path: Path) -> None:
    """Make a finished file visible: readers see what was there before, or all of it."""
    _place(temporary, path, Path.replace)
    _flush(path.parent)


def _place(temporary: Path, path: Path, come: Callable[[Path, Path], object]) -> None:
    """Let a finished file come to *path*, whose directory is made if need be."""
    for _ in range(_TRIES):
        _make_directory(path.parent)
        with suppress(FileNotFoundError):  # a delete took the empty directory away in between
            come(temporary, path)
            return
    for link in path.parents:
        _refuse_link_to_nothing(link)
    reason = "its directory keeps vanishing" if temporary.exists() else "somebody removed its temporary file"
    raise FileNotFoundError(errno.ENOENT, reason)


def _make_directory(path: Path) -> None:
    """Make *path* and what is missing above it, down to the disk."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    with suppress(FileExistsError):  # another publisher was faster; if it is a file, the next step says so
        path.mkdir()
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Bring a file, or the names in a directory, down to the disk."""
    if os.name == "nt":  # pragma: no cover  # where this takes a handle for writing
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that have no such thing
            raise
    finally:
        os.close(handle)


def _sweep(directory: Path) -> None:
    """Remove what crashed publishers left behind long ago."""
    for path in directory.iterdir():
        with suppress(OSError):  # another publisher sweeps too, or it is another user's
            if path.stat().st_mtime < time.time() - _STALE:
                path.unlink()


def _modified(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, timezone.utc)


def _is_text(name: str) -> bool:
    """Tell whether a file name is text; what is not UTF-8 is no key, and could stand in no record."""
    return name.encode(errors="replace").decode() == name
