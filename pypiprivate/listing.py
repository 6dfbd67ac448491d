"""What lies in storage, directory by directory, and what of it no record names any more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import groupby
from typing import Any

from . import simple
from .concurrency import Stream
from .model import Project, Used, described_by, timestamp
from .storage.base import Entry, Storage

#: A key that says its bytes, relative to its project's directory.
_BY_CONTENT = re.compile(r"[0-9a-f]{32}(-[0-9]+)?/[^/]+\Z")


@dataclass(frozen=True)
class Directory:
    """What lies under one name right below the repository's root. The empty name stands for the root itself."""

    name: str
    entries: tuple[Entry, ...]


class Why(Enum):
    """Why no file of a record lies where an object does."""

    GIVEN_UP = auto()  # one did: it was deleted or replaced, or the key was condemned
    ORPHAN = auto()  # none ever did: whoever stored it never came to list it
    FOREIGN = auto()  # no key of ours


@dataclass(frozen=True)
class Leftover:
    """An object that no record names.

    :ivar key: relative to its project's directory, of the artifact also where the object is its sidecar or README.
    :ivar since: when it was given up or stored, whichever came later; as ``upload_time``.
    """

    key: str
    entry: Entry
    why: Why
    since: str


def directories(storage: Storage, names: Sequence[str], stream: Stream) -> Iterator[Directory]:
    """Yield the directories of the projects *names*, also where nothing lies in one; without names all that there are.

    What lies right in the root may come in several pieces.

    :raises StorageError: they could not be listed.
    """
    if names:
        return stream(partial(directory, storage, name) for name in dict.fromkeys(names))
    found = groupby(storage.list(""), key=lambda entry: entry.key.rpartition("/")[0].partition("/")[0])
    return (Directory(name, tuple(entries)) for name, entries in found)


def names_alone(storage: Storage, names: Sequence[str], stream: Stream) -> Iterator[Directory]:
    """Yield the same directories, but not what lies in them, which some stores need not be asked for."""
    if names:
        return (Directory(name, ()) for name in dict.fromkeys(names))
    found: Any = getattr(storage, "names", None)
    listed = found() if found else (directory.name for directory in directories(storage, (), stream))
    return (Directory(name, ()) for name in listed)


def directory(storage: Storage, name: str) -> Directory:
    """List the directory of one project. Errors are as of :func:`directories`."""
    return Directory(name, tuple(storage.list(f"{name}/")))


def leftovers(record: Project, entries: Iterable[Entry]) -> list[Leftover]:
    """Return the objects of a project's directory that lie where no file of its *record* does, by key."""
    documents = {simple.record_key(record.name), simple.page_key(record.name)}
    keys = {entry: _artifact(record.name, entry) for entry in entries if entry.key not in documents}
    orphans = set(record.orphans(keys.values()))
    given_up = {used.directory: used.time for used in record.used}
    return [_leftover(key, entry, given_up) for entry, key in keys.items() if key in orphans]


def is_by_content(project: str, entry: Entry) -> bool:
    """Tell whether an object of a project's directory lies where only we store one: in a directory that says its bytes."""
    return _BY_CONTENT.match(_artifact(project, entry)) is not None


def _artifact(project: str, entry: Entry) -> str:
    """The key of the artifact itself: what is beside it shares its fate."""
    key = entry.key.removeprefix(f"{project}/")
    return described_by(key) or key.removesuffix(".metadata")


def _leftover(key: str, entry: Entry, given_up: dict[str, str]) -> Leftover:
    stored = timestamp(entry.modified)
    directory = Used(key, "").directory
    if directory in given_up:
        # An older tool may have put a file there again since.
        return Leftover(key, entry, Why.GIVEN_UP, max(given_up[directory], stored))
    return Leftover(key, entry, Why.ORPHAN if _BY_CONTENT.match(key) else Why.FOREIGN, stored)
