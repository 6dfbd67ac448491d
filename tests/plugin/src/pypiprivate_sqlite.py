"""A repository in a SQLite database, whose every statement is a compare-and-swap already."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from pypiprivate.errors import Conflict, StorageError
from pypiprivate.storage import Backend, Entry, Option, Stat, Stored
from pypiprivate.storage.base import OCTETS, Sent

_TABLE = "CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, body BLOB, etag TEXT, type TEXT, modified REAL)"


class SQLiteStorage:
    """A repository in one file."""

    conditional = True

    def __init__(self, path: Path) -> None:
        self.location = f"sqlite://{path.resolve()}"
        self._path = path

    def get(self, key: str) -> Stored | None:
        with self._database(key) as database:
            row = database.execute("SELECT body, etag FROM objects WHERE key = ?", (key,)).fetchone()
        return Stored(*row) if row else None

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        values = (key, body, hashlib.sha256(body).hexdigest(), content_type, time.time())
        with self._database(key) as database:
            if replacing is None:
                done = database.execute("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?)", values)
            else:
                update = "UPDATE objects SET (key, body, etag, type, modified) = (?, ?, ?, ?, ?) WHERE key = ? AND etag = ?"
                done = database.execute(update, (*values, key, replacing.etag))
            if done.rowcount == 0:
                raise Conflict(key)

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        try:
            data = body if isinstance(body, bytes) else body.read_bytes()
        except OSError as error:
            raise StorageError(str(body), f"{error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(key, "the file changed while it was being published.")
        with self._database(key) as database:
            values = (key, data, sha256, OCTETS, time.time())
            database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", values)
        if sent:
            sent(len(data))

    def stat(self, key: str) -> Stat | None:
        with self._database(key) as database:
            select = "SELECT length(body), etag, modified, type FROM objects WHERE key = ?"
            row = database.execute(select, (key,)).fetchone()
        return Stat(row[0], row[1], _time(row[2]), row[3]) if row else None

    def read(self, key: str) -> Iterator[bytes]:
        found = self.get(key)
        if found is None:
            raise StorageError(f"{self.location}/{key}", "there is no such object.")
        yield found.body

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._database(prefix) as database:
            rows = database.execute("SELECT key, length(body), modified FROM objects ORDER BY key").fetchall()
        for key, size, modified in rows:
            if key.startswith(prefix) and not key.startswith(".pypiprivate/"):
                yield Entry(key, size, _time(modified))

    def delete(self, key: str) -> None:
        with self._database(key) as database:
            database.execute("DELETE FROM objects WHERE key = ?", (key,))

    @contextmanager
    def _database(self, key: str) -> Iterator[sqlite3.Connection]:
        try:
            database = sqlite3.connect(self._path, timeout=60)
            try:
                with database:
                    database.execute(_TABLE)
                    yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise StorageError(f"{self.location}/{key}", f"{error}.") from error


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _open(options: Mapping[str, str]) -> SQLiteStorage:
    return SQLiteStorage(Path(options["database"]))


BACKEND = Backend(
    type="sqlite",
    scheme="sqlite",
    options=(Option("database", "the file of the database", required=True, path=True),),
    open=_open,
    url_host=None,
    url_path="database",
)
