"""Reads what is published: projects, releases, and what the metadata of a release says. Writes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from packaging.metadata import RawMetadata, parse_email

from . import simple
from .concurrency import WORKERS, streaming
from .errors import NotPublished, Unreadable, UnsupportedIndex, raised
from .filenames import is_normalized
from .index import Index
from .model import File, Project
from .releases import Release, newest
from .storage.base import Storage

#: What names are separated by (PEP 503), and words.
_SEPARATORS = re.compile(r"[-_.\s]+")


@dataclass(frozen=True)
class Hit:
    """A project that a search found; the summary is that of its newest release, None where nothing says it."""

    project: str
    summary: str | None


def projects(storage: Storage) -> tuple[str, ...]:
    """Return the normalised names of all projects, sorted: from the root record, or the directories of an older index.

    What an inherited root record names otherwise has no directory of ours, and is left out.

    :raises StorageError: they could not be read.
    """
    stored = storage.get(simple.ROOT_RECORD)
    if stored:
        return tuple(sorted(filter(is_normalized, simple.root_from_json(stored.body).projects)))
    return simple.projects_with_page(entry.key for entry in storage.list(""))


def project(index: Index, name: str) -> Project:
    """Return a project's record; that of an older index as it would be adopted.

    :param name: normalised.
    :raises NotPublished: there is no such project; says which are called alike.
    """
    found = index.look([name])[name]
    if found.serial or found.files:
        return found
    near = get_close_matches(name, projects(index.storage), 3)
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    raise NotPublished(f"project {name}", index.storage.location, hint=hint)


def metadata(storage: Storage, record: Project, release: Release) -> RawMetadata | None:
    """Return the core metadata of a release, from the sidecar of its first wheel; None where it has none, or it is lost.

    :raises StorageError: the sidecar could not be read.
    """
    wheel = next((file for file in release.files if file.core_metadata and lies_here(file)), None)
    # A wheel of an older index gets its sidecar when it is adopted.
    sidecar = storage.get(f"{record.name}/{wheel.key}.metadata") if wheel else None
    return parse_email(sidecar.body)[0] if sidecar else None


def lies_here(file: File) -> bool:
    """Tell whether a file lies below its project's directory: the URL of an inherited record may lead anywhere, or nowhere."""
    parts = file.key.split("/")
    return "//" not in file.url and not {"", ".", ".."} & {*parts} and "\0" not in file.key


def search_names(storage: Storage, text: str) -> tuple[str, ...]:
    """Return the names that contain *text*, however its words are separated and written; reads one document."""
    wanted = _squeezed(text)
    return tuple(name for name in projects(storage) if wanted and wanted in _squeezed(name))


def search(
    storage: Storage,
    text: str,
    *,
    workers: int = WORKERS,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
    unreadable: Unreadable = raised,
) -> Iterator[Hit]:
    """Yield the projects whose name or summary contains *text*, as they are found.

    Reads the record and one sidecar of each project.

    :param workers: how many projects are read at once.
    :param progress: is told, again and again, how many projects were read, and how many there are.
    :param unreadable: is told of records that cannot be understood, from any thread; such a project is found by its name only.
    """
    names, wanted, words = projects(storage), _squeezed(text), _spaced(text)
    progress(0, len(names))
    with streaming(workers) as stream:
        for done, hit in enumerate(stream(partial(_hit, storage, name, unreadable) for name in names), 1):
            progress(done, len(names))
            if wanted and (wanted in _squeezed(hit.project) or words in _spaced(hit.summary or "")):
                yield hit


def _hit(storage: Storage, name: str, unreadable: Unreadable) -> Hit:
    stored = storage.get(simple.record_key(name))
    try:
        record = simple.project_from_json(stored.body, name) if stored else Project(name)
    except UnsupportedIndex as error:
        unreadable(error)
        return Hit(name, None)
    release = newest(record)
    said = metadata(storage, record, release) if release else None
    return Hit(name, said.get("summary") if said else None)


def _squeezed(text: str) -> str:
    return _SEPARATORS.sub("", text).casefold()


def _spaced(text: str) -> str:
    """Summaries are compared by their words: run together, they would hold what nobody wrote."""
    return _SEPARATORS.sub(" ", text).casefold().strip()
