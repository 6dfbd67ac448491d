"""What a storage backend is: seven verbs, and no unconditional write to anything mutable.

Absence is a value (None), failure is an exception (:class:`~pypiprivate.errors.StorageError`), and the two never mix: only a
proven "there is no such key" is None. A key is a relative ``/``-separated name without leading slash, ``.`` or ``..`` parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Protocol

from ..checks import Check

#: Cache-Control of records and pages, which change (RFC 9111): always ask, and take 304 for an answer.
MUTABLE = "max-age=0, must-revalidate"
#: Cache-Control of artifacts and sidecars, whose URL never changes its bytes (RFC 8246).
IMMUTABLE = "max-age=31536000, immutable"
#: Content-Type of artifacts and sidecars; never a Content-Encoding, which clients would undo before hashing.
OCTETS = "application/octet-stream"

#: Requests that may be in flight at once where thousands of objects are looked at.
IN_FLIGHT = 32

#: Called with the number of bytes sent since the last call, from any thread.
Sent = Callable[[int], None]


#: Called with a name and with how much there is of it when something begins, as a file's name and its bytes when it is sent; what
#: it returns is told of each part that is done.
Progress = Callable[[str, int], Sent]


def quietly(_name: str, _total: int) -> Sent:
    """Show no progress."""
    return lambda _count: None


class Passes:
    """Tells *sent* of each byte once, though it passes several times: as many bytes in all as there are.

    :param times: how often each byte passes.
    :ivar told: of how many bytes *sent* was told.
    """

    def __init__(self, sent: Sent, *, times: int) -> None:
        self._sent, self._times = sent, times
        self._passed, self._lock = 0, Lock()
        self.told = 0

    def __call__(self, count: int) -> None:
        """Be told of bytes that pass, from any thread; of less than none, if they will pass again."""
        with self._lock:
            self._passed += count
            before, self.told = self.told, self._passed // self._times
            new = self.told - before
        self._sent(new)

    def complete(self, total: int) -> None:
        """Tell of what is left of *total* bytes: some of them pass less often."""
        self._sent(total - self.told)


@dataclass(frozen=True)
class Headers:
    """What a store says of an object to whoever reads it over HTTP. ``content_encoding`` is empty where there is none."""

    content_type: str
    cache_control: str = ""
    content_encoding: str = ""


@dataclass(frozen=True)
class Stored:
    """A document as it was read: its bytes, and an opaque mark of this very state.

    :ivar headers: as it would be served, or None where the store keeps none.
    """

    body: bytes
    etag: str
    headers: Headers | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Stat:
    """What a store says of an object without sending it.

    :ivar size: in bytes.
    :ivar sha256: hex digest where the store can say it without reading, else None.
    :ivar modified: when it was written, UTC.
    :ivar content_type: as it would be served, or None where the store keeps none.
    :ivar headers: all that it would be served with, or None where the store does not say.
    """

    size: int
    sha256: str | None
    modified: datetime
    content_type: str | None
    headers: Headers | None = None


@dataclass(frozen=True)
class Entry:
    """One object of a listing. ``size`` is in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime


class Storage(Protocol):
    """One repository's root on one store. Safe to call from several threads."""

    @property
    def location(self) -> str:
        """Where this is, for messages and for telling stores apart: without credentials, equal for equal places."""

    @property
    def conditional(self) -> bool:
        """False where the user vouches that there is one publisher only: :meth:`swap` then writes without condition."""

    def get(self, key: str) -> Stored | None:
        """Read a document whole; None only if the store proves that there is none.

        :raises StorageError: on every other answer.
        """

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        """Write a document on condition that it still is what *replacing* says; None: that there is none.

        A reader sees the old document or the new one, whole. Served with ``Cache-Control:`` :data:`MUTABLE`.

        :raises Conflict: it is something else by now (this may be the trace of our own write whose reply was lost).
        :raises StorageError: on every other failure; whether it was written is then unknown.
        """

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        """Write an artifact or a sidecar, whose key says its bytes: doing it twice is doing it once.

        A reader sees nothing or the whole object. Served as :data:`OCTETS` with ``Cache-Control:`` :data:`IMMUTABLE`.

        :param body: the bytes, or a file that is streamed.
        :param sha256: hex digest of the bytes; what arrives is checked against it where the store can, what is sent always.
        :raises StorageError: it was not stored, or the file no longer has these bytes.
        """

    def stat(self, key: str) -> Stat | None:
        """Say what lies under *key* without downloading it; None only if the store proves that there is nothing.

        :raises StorageError: on every other answer.
        """

    def read(self, key: str) -> Iterator[bytes]:
        """Stream an object in pieces.

        :raises StorageError: it is not there, or could not be read to its end.
        """

    def list(self, prefix: str) -> Iterator[Entry]:
        """List every object whose key begins with *prefix*, at any depth, by key; nothing of the backend's own.

        :raises StorageError: the listing is not complete.
        """

    def delete(self, key: str) -> None:
        """Remove an object; no error when there is none. Only called after no record names the key.

        :raises StorageError: it may still be there.
        """


class Copying(Protocol):
    """What a storage may offer beside :class:`Storage`: copies that its store makes by itself."""

    def copy(self, key: str, source: Storage, source_key: str, *, sha256: str) -> bool:
        """Store under *key* what *source* holds under *source_key*, as :meth:`Storage.store` would.

        :param sha256: hex digest that the copy was seen to have.
        :return: whether it was done; False: the two have nothing in common, or the store cannot say what it copied.
        :raises StorageError: it may or may not be there.
        """


class Creating(Protocol):
    """What a storage may offer beside :class:`Storage`, where each small object by itself would cost more than its bytes."""

    def create(self, bodies: Mapping[str, bytes]) -> frozenset[str]:
        """Write objects under keys where nothing lies; each is seen whole or not at all, and in no order.

        :param bodies: the bytes, by key.
        :return: the keys under which something lay already; that was left alone.
        :raises StorageError: some of them may be there, and others not.
        """


class Naming(Protocol):
    """What a storage may offer beside :class:`Storage`: the names of its directories without what lies in them."""

    def names(self) -> Iterator[str]:
        """List the names right below the root under which something may lie; nothing of the backend's own.

        :raises StorageError: the listing is not complete.
        """


class Opening(Protocol):
    """What a storage may offer beside :class:`Storage` whose objects are files already."""

    def open_file(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Give what lies under *key* as a file, to read anywhere in it.

        :raises StorageError: it is not there, could not be read, or changed before it was closed.
        """


class Slashing(Protocol):
    """What a storage may offer beside :class:`Storage`: keys that are a directory's own, with the slash at its end.

    The empty key is that of the repository's root. :meth:`Storage.list` leaves such keys out.
    """

    @property
    def slash_pages(self) -> str | None:
        """What is to lie there: ``html``, ``json``, ``off``; empty: what the records say; None: here is no place for them."""


class Prompt(Protocol):
    """What a storage that answers at once may say beside :class:`Storage`."""

    @property
    def in_flight(self) -> int:
        """How many requests are worth having under way at once."""


def in_flight(storage: Storage) -> int:
    """Return how many requests to have under way at once where thousands of objects are looked at."""
    said: int = getattr(storage, "in_flight", IN_FLIGHT)
    return said


def slash_pages(storage: Storage) -> str | None:
    """Return what a storage says as :class:`Slashing`; None where it is none."""
    said: str | None = getattr(storage, "slash_pages", None)
    return said


class Relabelling(Protocol):
    """What a storage that keeps headers may offer beside :class:`Storage`."""

    def relabel(self, key: str) -> bool:
        """Give an artifact or a sidecar the headers that :meth:`Storage.store` gives; its bytes stay what they are.

        :return: whether it was done; False: there is nothing under *key*, or the store does not let us.
        :raises StorageError: it may or may not have been done.
        """


class Examining(Protocol):
    """What a storage may offer beside :class:`Storage`: checks of what is its own kind's, for ``doctor``."""

    def survey(self) -> Iterable[Check]:
        """Look at the place, and write nothing. The first check says whether it is there; unless it is ok, nothing is tried."""

    def examine(self, key: str) -> Iterable[Check]:
        """Try things on *key*, under which something lies that the caller wrote, and removes afterwards.

        :raises StorageError: what could not be tried any further.
        """


@dataclass(frozen=True)
class Option:
    """A setting of a backend, declared once: files, URLs, ``--help`` and docs derive from it.

    :ivar name: as in a file, underscored.
    :ivar help: one line for people; says the unit or the choices.
    :ivar required: no storage without it.
    :ivar choices: the only values, if they are few.
    :ivar path: a path on this machine: ``~`` is expanded, and it is relative to the file that says it.
    :ivar variable: the environment variable that is its only source: for credentials, which never stand in a file or URL.
    """

    name: str
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    path: bool = False
    variable: str | None = None


@dataclass(frozen=True)
class Backend:
    """A kind of storage. A plug-in names one of these in the entry-point group ``pypiprivate.storage``.

    :ivar type: the value of ``type`` that chooses it.
    :ivar scheme: of its URLs: ``SCHEME://HOST/PATH?OPTION=VALUE``.
    :ivar options: every setting that it takes.
    :ivar open: from settings to storage; imports what it needs only now. Does no I/O beyond looking for credentials.
    :ivar url_host: the option that the host part of a URL says; None: a URL has none.
    :ivar url_path: the option that the path part of a URL says.
    """

    type: str
    scheme: str
    options: tuple[Option, ...]
    open: Callable[[Mapping[str, str]], Storage]
    url_host: str | None
    url_path: str | None
