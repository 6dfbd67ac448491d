"""What only a directory can be asked: whether it is one file system, whether locks work, and who else can read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ..checks import Check, Verdict, fail, failure, ok, skipped, warn
from ..errors import StorageError

#: Takes the lock of a key, and gives it back at the end of the block.
Lock = Callable[[str], AbstractContextManager[None]]


def survey(base: Path, own: Path) -> Iterator[Check]:
    """See :meth:`.Examining.survey`.

    :param own: the backend's own directory in *base*.
    """
    try:
        place = _place(base)
        yield place
        if place.verdict is Verdict.OK:
            yield _one_file_system(base, own)
    except OSError as error:
        yield fail("place", f"{error.filename}: {error.strerror}.", "Make it readable for this user.")


def examine(base: Path, key: str, lock: Lock, impatient: Lock) -> Iterator[Check]:
    """See :meth:`.Examining.examine`.

    :param lock: of the repository.
    :param impatient: the same lock, which gives up at once.
    """
    yield _lock(key, lock, impatient)
    yield _readable(base, base / key)


def _place(base: Path) -> Check:
    try:
        found = base.stat()
    except FileNotFoundError:
        return _no_place(base)
    if not stat.S_ISDIR(found.st_mode):
        return fail("place", f"{base} is a file, not a directory.", "Name another base_path.")
    if not os.access(base, os.W_OK | os.X_OK):
        return fail(
            "place", f"{base} is not writable for this user.", "Give this user, or a group of theirs, the right to write."
        )
    return ok("place", f"{base} is there and writable.")


def _no_place(base: Path) -> Check:
    above = next(path for path in base.parents if path.is_dir())
    way_out = "Correct base_path if this is not where the repository is to be."
    if not os.access(above, os.W_OK | os.X_OK):
        return fail("place", f"there is no {base}, and this user may not make it in {above}.", way_out)
    return warn("place", f"there is no {base} yet; the first publish makes it.", way_out)


def _one_file_system(base: Path, own: Path) -> Check:
    """Look at the repository's own directory and each project's: what is written is moved from the one into the other."""
    places = [path for path in (own, own / "tmp", *_directories(base)) if path.exists()]
    here = base.stat().st_dev
    elsewhere = [path for path in places if path.stat().st_dev != here]
    if elsewhere:
        said = f"{elsewhere[0]} lies on another file system than {base}, so that nothing can be moved there in one step."
        return fail("file system", said, "Put the whole repository on one file system.")
    return ok("file system", "the repository lies on one file system.")


def _directories(base: Path) -> list[Path]:
    with os.scandir(base) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir()]


def _lock(key: str, lock: Lock, impatient: Lock) -> Check:
    try:
        with lock(key):
            try:
                with impatient(key):
                    pass
            except StorageError:
                return ok("lock", "a lock that is held keeps others out.")
    except StorageError as error:
        return failure("lock", error)
    said = "a lock that is held keeps nobody out, so two publishers at once could lose releases."
    return fail("lock", said, "Put the repository on a file system with working locks; for NFS, run its lock service.")


def _readable(base: Path, written: Path) -> Check:
    """Look at the rights of everybody: a web server is another user."""
    if os.name == "nt":  # pragma: no cover  # where rights are no mode bits
        return skipped("readable", "who may read it is not looked at on Windows.")
    real = Path(os.path.realpath(base))
    wanted = [*((path, stat.S_IXOTH) for path in (*reversed(real.parents), real)), (written, stat.S_IROTH)]
    wanted += [(real / page, stat.S_IROTH) for page in ("index.html", "index.json") if (real / page).exists()]
    closed = [path for path, right in wanted if not path.stat().st_mode & right]
    if not closed:
        return ok("readable", "every user, and so a web server's, can read what is written.")
    what = "what is written" if closed[0] == written else closed[0]
    way_out = "Publish with umask 022 and open what is there (chmod -R o+rX), or let the web server run as a member of the group."
    return warn("readable", f"only its owner and perhaps its group can read {what}: a web server is another user.", way_out)
