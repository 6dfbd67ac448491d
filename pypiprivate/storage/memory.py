"""The reference implementation: a dictionary. What it does is what every backend must do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock

from ..errors import Conflict, StorageError
from .base import IMMUTABLE, MUTABLE, OCTETS, Entry, Headers, Sent, Stat, Stored


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class _Object:
    body: bytes
    etag: str
    modified: datetime
    headers: Headers


class MemoryStorage:
    """A repository in memory, for tests and for trying things.

    :param clock: gives the time of a write.
    :param slash_pages: see :class:`.Slashing`.
    """

    conditional = True

    def __init__(self, *, clock: Callable[[], datetime] = _now, slash_pages: str | None = None) -> None:
        self.slash_pages = slash_pages
        self._objects: dict[str, _Object] = {}
        self._clock = clock
        self._writes = 0
        self._lock = Lock()
        self.location = f"memory:{id(self):x}"

    def get(self, key: str) -> Stored | None:
        """See :meth:`.Storage.get`."""
        found = self._objects.get(key)
        return Stored(found.body, found.etag, found.headers) if found else None

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        """See :meth:`.Storage.swap`."""
        with self._lock:
            found = self._objects.get(key)
            if (found.etag if found else None) != (replacing.etag if replacing else None):
                raise Conflict(key)
            self._put(key, body, Headers(content_type, MUTABLE))

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        """See :meth:`.Storage.store`."""
        try:
            data = body if isinstance(body, bytes) else body.read_bytes()
        except OSError as error:
            raise StorageError(str(body), f"{error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(key if isinstance(body, bytes) else str(body), "the file changed while it was being published.")
        with self._lock:
            self._put(key, data, Headers(OCTETS, IMMUTABLE))
        if sent:
            sent(len(data))

    def stat(self, key: str) -> Stat | None:
        """See :meth:`.Storage.stat`."""
        found = self._objects.get(key)
        if found is None:
            return None
        digest = hashlib.sha256(found.body).hexdigest()
        return Stat(len(found.body), digest, found.modified, found.headers.content_type, found.headers)

    def read(self, key: str) -> Iterator[bytes]:
        """See :meth:`.Storage.read`."""
        found = self._objects.get(key)
        if found is None:
            raise StorageError(f"{self.location}/{key}", "there is no such object.")
        yield found.body

    def list(self, prefix: str) -> Iterator[Entry]:
        """See :meth:`.Storage.list`."""
        for key, found in sorted(self._objects.items()):
            if key.startswith(prefix) and not key.startswith(".pypiprivate/") and key and not key.endswith("/"):
                yield Entry(key, len(found.body), found.modified)

    def delete(self, key: str) -> None:
        """See :meth:`.Storage.delete`."""
        self._objects.pop(key, None)

    def relabel(self, key: str) -> bool:
        """See :meth:`.Relabelling.relabel`."""
        with self._lock:
            found = self._objects.get(key)
            if found:
                self._objects[key] = replace(found, headers=Headers(OCTETS, IMMUTABLE))
        return found is not None

    def _put(self, key: str, body: bytes, headers: Headers) -> None:
        self._writes += 1
        self._objects[key] = _Object(body, f"{self._writes}", self._clock(), headers)
