"""Storages that misbehave on purpose, what an older tool leaves behind, and the promises as one check over a whole storage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pypiprivate import pages, simple
from pypiprivate.errors import Conflict, StorageError
from pypiprivate.model import Project, ProjectList, readme_of
from pypiprivate.storage.base import Entry, Sent, Stat, Storage, Stored
from pypiprivate.storage.memory import MemoryStorage

T = TypeVar("T")


def in_turn(calls: Sequence[Callable[[], T]], /) -> list[T]:
    """Run calls one after another, so that operations have numbers."""
    return [call() for call in calls]


def not_at_all(_seconds: float) -> None:
    """Sleep no time."""


class Observed:
    """A storage that calls *before* and *after* with the name and key of each operation; either may raise."""

    def __init__(
        self,
        inner: Storage,
        *,
        before: Callable[[str, str], None] = lambda _verb, _key: None,
        after: Callable[[str, str], None] = lambda _verb, _key: None,
    ) -> None:
        self.inner = inner
        self.location = inner.location
        self.conditional = inner.conditional
        self._before = before
        self._after = after

    def _do(self, verb: str, key: str, call: Callable[[], T]) -> T:
        self._before(verb, key)
        result = call()
        self._after(verb, key)
        return result

    def get(self, key: str) -> Stored | None:
        return self._do("get", key, lambda: self.inner.get(key))

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        self._do("swap", key, lambda: self.inner.swap(key, body, replacing=replacing, content_type=content_type))

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        self._do("store", key, lambda: self.inner.store(key, body, sha256=sha256, sent=sent))

    def stat(self, key: str) -> Stat | None:
        return self._do("stat", key, lambda: self.inner.stat(key))

    def read(self, key: str) -> Iterator[bytes]:
        return iter(self._do("read", key, lambda: list(self.inner.read(key))))

    def list(self, prefix: str) -> Iterator[Entry]:
        return iter(self._do("list", prefix, lambda: list(self.inner.list(prefix))))

    def delete(self, key: str) -> None:
        self._do("delete", key, lambda: self.inner.delete(key))


WRITES = ("swap", "store", "delete")


def failing(inner: Storage, at: int, *, verbs: Sequence[str] = WRITES, when: str = "before") -> Observed:
    """Fail for good at the *at*-th operation of these verbs (from 0): ``before`` it is done, or ``after`` (its reply is lost)."""
    count = 0

    def fail(verb: str, key: str) -> None:
        nonlocal count
        if verb in verbs:
            count += 1
            if count > at:
                raise StorageError(key, "the store went away.")

    return Observed(inner, before=fail) if when == "before" else Observed(inner, after=fail)


class Retried(Observed):
    """An SDK that repeats a swap whose reply was lost: the second try meets the first one's success."""

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        for _ in range(2):
            self.inner.swap(key, body, replacing=replacing, content_type=content_type)


class Imitation(MemoryStorage):
    """A store that ignores one kind of condition."""

    def __init__(self, ignores: str) -> None:
        super().__init__()
        self._ignores = ignores

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        try:
            super().swap(key, body, replacing=replacing, content_type=content_type)
        except Conflict:
            if (self._ignores == "If-Match") != (replacing is not None):
                raise
            super().swap(key, body, replacing=self.get(key), content_type=content_type)


def during(inner: Storage, at: int, do: Callable[[], object]) -> Observed:
    """Run *do* once, just before the *at*-th operation (from 0)."""
    count = 0

    def meanwhile(_verb: str, _key: str) -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            do()

    return Observed(inner, before=meanwhile)


def older_tool(storage: MemoryStorage, path: Path, project: str) -> None:
    """Do what the original pypiprivate does: put the file, write a page of its directory and a root page of all directories."""
    put(storage, f"{project}/{path.name}", path.read_bytes())
    names = {entry.key.removeprefix(f"{project}/").split("/")[0] for entry in storage.list(f"{project}/")}
    put(storage, f"{project}/index.html", _older_page(names))
    put(storage, "index.html", _older_page({entry.key.split("/")[0] for entry in storage.list("")}))


def put(storage: MemoryStorage, key: str, body: bytes) -> None:
    """Write whatever lies there, as older tools do."""
    storage.swap(key, body, replacing=storage.get(key), content_type="text/html")


def _older_page(names: set[str]) -> bytes:
    links = "".join(f'<a href="{name}">{name}</a><br>\n' for name in sorted(names - {"index.html"}))
    return f"<!DOCTYPE html>\n<html><body>\n{links}</body>\n</html>\n".encode()


def snapshot(storage: Storage) -> dict[str, bytes]:
    """Everything that lies in the storage, by key."""
    return {entry.key: b"".join(storage.read(entry.key)) for entry in storage.list("")}


def record(storage: Storage, project: str) -> Project:
    """The project's record as it lies there."""
    stored = storage.get(simple.record_key(project))
    assert stored, f"{project} has no record"
    return simple.project_from_json(stored.body, project)


def root(storage: Storage) -> ProjectList:
    """The root record as it lies there."""
    stored = storage.get(simple.ROOT_RECORD)
    assert stored, "there is no root record"
    return simple.root_from_json(stored.body)


def filenames(storage: Storage, project: str) -> list[str]:
    """What the project's record lists, sorted."""
    return sorted(file.filename for file in record(storage, project).files)


def check_never_torn(storage: Storage) -> None:
    """What must hold at every instant: whatever a record or a page lists is there, whole, with its sidecar."""
    objects = snapshot(storage)
    for key, body in objects.items():
        if key.endswith("/index.json"):
            project = key.removesuffix("/index.json")
            for file in simple.project_from_json(body, project).files:
                data = objects[f"{project}/{file.key}"]
                assert hashlib.sha256(data).hexdigest() == file.sha256
                assert len(data) == file.size
                if isinstance(file.core_metadata, dict):
                    sidecar = objects[f"{project}/{file.key}.metadata"]
                    assert hashlib.sha256(sidecar).hexdigest() == file.core_metadata["sha256"]
                assert not file.readme or objects[readme_of(f"{project}/{file.key}")].endswith(b"</html>\n")
        if key.endswith("/index.html") and pages.page_serial(body) is not None:
            project = key.removesuffix("/index.html")
            assert (pages.page_serial(body) or 0) <= record(storage, project).serial


def check_at_rest(storage: Storage) -> None:
    """What must hold when every command has ended: nothing is torn, pages are those of their records, the root names each."""
    check_never_torn(storage)
    objects = snapshot(storage)
    projects = [key.removesuffix("/index.json") for key in objects if key.endswith("/index.json")]
    for project in projects:
        assert objects[f"{project}/index.html"] == pages.project_to_html(record(storage, project))
    assert objects["index.html"] == pages.root_to_html(root(storage))
    assert set(projects) <= set(root(storage).projects)


def orphans(storage: Storage) -> list[str]:
    """Keys that no record names, documents aside."""
    named = {"index.json", "index.html"}
    for key in snapshot(storage):
        if key.endswith("/index.json"):
            project = key.removesuffix("/index.json")
            named |= {key, f"{project}/index.html"}
            for file in record(storage, project).files:
                named |= {f"{project}/{file.key}", f"{project}/{file.key}.metadata"}
                named |= {readme_of(f"{project}/{file.key}")} if file.readme else set()
    return [key for key in snapshot(storage) if key not in named]


def document(storage: Storage, key: str) -> dict[str, Any]:
    """A JSON document as it lies there."""
    stored = storage.get(key)
    assert stored
    value = json.loads(stored.body)
    assert isinstance(value, dict)
    return value
