"""Checks every promise of an index on what really lies there. Writes nothing.

Beside running publishers, too: what seems broken of a project is looked at again if its documents have changed meanwhile. A store
that fails is an error, and never a finding.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from typing import TypeAlias, TypeVar

from packaging.utils import canonicalize_name

from . import documents, layouts, simple
from .concurrency import Stream, in_turn
from .errors import NotPublished, UnsupportedIndex
from .filenames import is_normalized
from .findings import NOTES, Counted, Depth, Finding, Kind, Report, silently, telling
from .index import kept
from .inspection import RECORD_HEADERS, announces_sidecar, key_of, of_entry, of_file, of_headers, of_page, of_slash_page
from .listing import Directory, Why, directories, directory, is_by_content, leftovers, names_alone
from .model import File, Project, ProjectList, Used
from .storage.base import Progress, Storage, Stored, quietly, slash_pages

T = TypeVar("T")

#: How often documents that keep changing are looked at.
_LOOKS = 3


@dataclass(frozen=True)
class State:
    """A project as it was seen.

    :ivar record: as it was read, None where there is none. ``page``, ``slash_page``: the same.
    :ivar project: what the record says, None where it says nothing.
    :ivar files: how many files of it were looked at.
    """

    directory: Directory
    record: Stored | None
    page: Stored | None
    project: Project | None = None
    fault: str = ""
    files: int = 0
    findings: tuple[Finding, ...] = ()
    slash_page: Stored | None = None

    @property
    def name(self) -> str:
        """The project's normalised name, or that of a directory that is none's."""
        return self.directory.name

    @property
    def page_serial(self) -> int | None:
        """The serial that the page was made from; None where there is none, or another tool wrote it."""
        return documents.serial_of(self.page.body) if self.page else None


@dataclass
class Tally:
    """Adds up what is seen; ``listed``: projects with a record, ``paged``: those with a page, too."""

    depth: Depth
    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    paged: list[str] = field(default_factory=list)

    def add(self, state: State) -> None:
        """Count a project."""
        self.files += state.files
        self.findings += state.findings
        if state.record:
            self.listed.append(state.name)
        elif state.page:
            self.paged.append(state.name)

    def report(self, findings: Iterable[Finding] = ()) -> Report:
        """Return the report, with *findings* about the root."""
        return Report(self.depth, len(self.listed) + len(self.paged), self.files, (*self.findings, *findings))


def verify(
    storage: Storage,
    names: Sequence[str] = (),
    *,
    depth: Depth = Depth.FILES,
    stream: Stream = in_turn,
    counted: Counted = silently,
    reading: Progress = quietly,
) -> Report:
    """Check the promises of the index on what lies there.

    :param names: normalised; of none: all projects, and what else lies there.
    :param stream: runs calls, at once or in turn.
    :param counted: is told how far it is. ``reading``: of files whose bytes are read, from any thread.
    :raises NotPublished: there is no such project, or nothing at all.
    :raises StorageError: the store failed; nothing is taken for absent.
    """
    tally = Tally(depth)
    states = examine(storage, names, depth=depth, stream=stream, reading=reading)
    for state in counting(storage, names, states, counted):
        tally.add(state)
    return tally.report(examine_root(storage, tally, names, stream=stream))


def counting(storage: Storage, names: Sequence[str], states: Iterable[T], counted: Counted) -> Iterator[T]:
    """Pass *states* on, one for each project, and tell *counted* how far that is."""
    yield from telling(states, counted, len(names) or _count_listed(storage))


def _count_listed(storage: Storage) -> int:
    """Only a guess, so that it may fail: what is wrong with the root is said in its turn."""
    stored = storage.get(simple.ROOT_RECORD)
    with suppress(UnsupportedIndex):
        return len(simple.root_from_json(stored.body).projects) if stored else 0
    return 0


def examine(
    storage: Storage,
    names: Sequence[str] = (),
    *,
    depth: Depth = Depth.FILES,
    stream: Stream = in_turn,
    settled: Collection[Kind] = (),
    reading: Progress = quietly,
) -> Iterator[State]:
    """Yield each project as it is, with what was found wrong with it. Arguments and errors are as of :func:`verify`.

    :param settled: kinds that count at first sight; for others a project is looked at again if others are at work on it.
    """
    list_ = names_alone if depth is Depth.DOCUMENTS else directories
    looks = stream(partial(_look, storage, found) for found in list_(storage, names, stream))
    parts = stream(check for state in looks for check in _checks(storage, state, depth, reading))
    states = (_together(state, parts) for state, parts in groupby(parts, key=lambda part: part[0]))
    doubtful = frozenset(Kind) - NOTES - frozenset(settled)
    return stream(partial(_confirmed, storage, state, depth, doubtful, reading) for state in states)


def examine_root(storage: Storage, tally: Tally, names: Sequence[str] = (), *, stream: Stream = in_turn) -> tuple[Finding, ...]:
    """Check root record and root page against the projects that were seen. Arguments and errors are as of :func:`verify`."""
    for _ in range(_LOOKS):
        # After the projects: a project's record comes before its place in the root.
        root = _look_at_root(storage)
        findings = tuple(_of_root(storage, root, tally, names, stream))
        if not findings or root == _look_at_root(storage):
            break
    if not (any(root) or tally.listed or tally.paged or tally.findings):
        raise NotPublished("index", storage.location)
    return findings


_Root: TypeAlias = tuple[Stored | None, Stored | None, Stored | None]


def _look_at_root(storage: Storage) -> _Root:
    slash_page = storage.get(simple.ROOT_SLASH) if slash_pages(storage) is not None else None
    return storage.get(simple.ROOT_RECORD), storage.get(simple.ROOT_PAGE), slash_page


# -- a project's documents ----------------------------------------------------------------------------------------------------

_Part: TypeAlias = tuple[State, list[Finding]]


def _look(storage: Storage, found: Directory) -> State:
    if not is_normalized(found.name):
        return State(found, None, None)
    record, page = storage.get(simple.record_key(found.name)), storage.get(simple.page_key(found.name))
    try:
        project = simple.project_from_json(record.body, found.name) if record else None
    except UnsupportedIndex as error:
        return State(found, record, page, fault=error.reason)
    return State(found, record, page, project, slash_page=_slash_page(storage, project))


def _slash_page(storage: Storage, project: Project | None) -> Stored | None:
    """Read what the record says to be there, or to have been there."""
    may_be_there = project and project.slash_pages and slash_pages(storage) is not None
    return storage.get(simple.slash_key(project.name)) if project and may_be_there else None


def _checks(storage: Storage, state: State, depth: Depth, reading: Progress) -> Iterator[Callable[[], _Part]]:
    """One call for the documents, and one for each file, so that a project of thousands is not one long call."""
    yield lambda: (state, list(_of_documents(storage, state, depth)))
    if state.project and depth is not Depth.DOCUMENTS:
        for file in state.project.held_files:
            yield partial(_check_file, storage, state, file, depth, reading)


def _check_file(storage: Storage, state: State, file: File, depth: Depth, reading: Progress) -> _Part:
    return state, list(of_file(storage, state.name, file, depth, reading))


def _together(state: State, parts: Iterable[_Part]) -> State:
    lists = [findings for _, findings in parts]
    return replace(state, files=len(lists) - 1, findings=tuple(chain.from_iterable(lists)))


def _confirmed(storage: Storage, state: State, depth: Depth, doubtful: Collection[Kind], reading: Progress) -> State:
    """What is wrong counts if the documents are still those that it was seen in; else others are at work, and we look again."""
    for _ in range(_LOOKS):
        if not any(finding.kind in doubtful for finding in state.findings) or _is_unchanged(storage, state):
            break
        state = _look(storage, state.directory if depth is Depth.DOCUMENTS else directory(storage, state.name))
        state = _together(state, [check() for check in _checks(storage, state, depth, reading)])
    return state


def _is_unchanged(storage: Storage, state: State) -> bool:
    record, page = storage.get(simple.record_key(state.name)), storage.get(simple.page_key(state.name))
    slash_page = _slash_page(storage, state.project)
    return (record, page, slash_page) == (state.record, state.page, state.slash_page)


def _of_documents(storage: Storage, state: State, depth: Depth) -> Iterator[Finding]:
    if not is_normalized(state.name):
        yield from _of_foreign(state.directory)
    elif state.fault:
        yield Finding(Kind.RECORD_UNREADABLE, simple.record_key(state.name), state.fault)
    elif state.project is None:
        yield from _without_record(state)
    else:
        for document in kept(storage, documents.of_project(state.project)):
            yield from of_page(document, state.slash_page if document.is_slash else state.page, state.project)
        yield from of_slash_page(storage, simple.slash_key(state.name), state.project.slash_pages, state.slash_page)
        yield from of_headers(simple.record_key(state.name), state.record, RECORD_HEADERS)
        if depth is not Depth.DOCUMENTS:
            yield from _of_contradictions(state.project)
            yield from _of_unannounced(state.project, state.directory)
            yield from _of_leftovers(state.project, state.directory)


def _of_foreign(found: Directory) -> Iterator[Finding]:
    ours = (simple.ROOT_RECORD, simple.ROOT_PAGE, simple.NEWS_PAGE, simple.NEWS_FEED)
    keys = [entry.key for entry in found.entries if entry.key not in ours]
    if found.name and any(layouts.is_release_file(posixpath.basename(key)) for key in keys if key.count("/") == 1):
        looked_for = f"installers look for {canonicalize_name(found.name)}"
        yield Finding(Kind.ASTRAY, f"{found.name}/", f"{looked_for}; {_objects(len(keys))}")
    elif found.name and keys:
        yield Finding(Kind.FOREIGN, f"{found.name}/", f"no project has this name; {_objects(len(keys))}")
    elif keys:
        yield from map(_in_the_root, keys)


def _in_the_root(key: str) -> Finding:
    kind = Kind.ASTRAY if layouts.is_release_file(key) else Kind.FOREIGN
    return Finding(kind, key, "it lies right in the root of the repository")


def _without_record(state: State) -> Iterator[Finding]:
    if state.page and state.page_serial is None and any(is_by_content(state.name, entry) for entry in state.directory.entries):
        problem = "files lie there as only a record lists them, beside a page of another tool"
        yield Finding(Kind.RECORD_MISSING, simple.record_key(state.name), problem)
    elif state.page is None:
        if count := len(state.directory.entries):
            yield Finding(Kind.UNPUBLISHED, f"{state.name}/", f"neither record nor page; {_objects(count)}")
    elif state.page_serial is None:
        yield Finding(
            Kind.NOT_ADOPTED, f"{state.name}/", f"a page of another tool and no record; {_objects(len(state.directory.entries))}"
        )
    else:
        yield Finding(
            Kind.RECORD_MISSING, simple.record_key(state.name), f"the page beside it was made from serial {state.page_serial}"
        )


def _objects(count: int) -> str:
    return f"{count} object{'s' * (count != 1)}"


def _of_contradictions(project: Project) -> Iterator[Finding]:
    """What an edit of ours never writes."""
    used = {used.directory for used in project.used}
    names = Counter(file.filename for file in project.held_files)
    for file in project.held_files:
        if names[file.filename] > 1:
            problem = f"the record lists {names[file.filename]} files of this name"
        elif used and Used(file.key, "").directory in used:
            problem = "the record lists it, and among the keys that were given up, too"
        elif (version := project.version_of(file.filename)) and str(version) not in project.versions:
            problem = f"the record does not count {version} among the project's versions"
        elif (key := key_of(project.name, file)) and not key.startswith(f"{project.name}/"):
            problem = f"it lies at {key}, in a directory whose own project may take it away"
        elif not (problem := of_entry(file)):
            continue
        yield Finding(Kind.RECORD_CONTRADICTORY, f"{project.name}/{file.key}", problem)
    yield from _of_status(project)
    yield from _of_shared_keys(project)
    yield from _of_deleted(project)


def _of_status(project: Project) -> Iterator[Finding]:
    """What is quarantined is withheld, all of it, and nothing else is."""
    is_quarantined = project.status.marker == "quarantined"
    wrong, state = (project.files, "offered") if is_quarantined else (project.withheld, "withheld")
    problem = f"it is {state}, and the project is {project.status.marker}"
    yield from (Finding(Kind.RECORD_CONTRADICTORY, f"{project.name}/{file.key}", problem) for file in wrong)


def _of_shared_keys(project: Project) -> Iterator[Finding]:
    named = {(key_of(project.name, file), file.filename) for file in project.held_files}
    for key, count in Counter(key for key, _ in named if key).items():
        if count > 1:
            yield Finding(Kind.RECORD_CONTRADICTORY, key, f"the record lists it under {count} names")


def _of_deleted(project: Project) -> Iterator[Finding]:
    deleted: dict[str, set[str]] = {}
    for gone in project.deleted:
        deleted.setdefault(gone.filename, set()).add(gone.sha256)
    for file in project.held_files:
        if file.sha256 not in deleted.get(file.filename, {file.sha256}):
            problem = "a file of this name was deleted, and these are other bytes"
            yield Finding(Kind.RECORD_CONTRADICTORY, f"{project.name}/{file.key}", problem)


def _of_unannounced(project: Project, found: Directory) -> Iterator[Finding]:
    silent = {f"{key_of(project.name, file)}.metadata" for file in project.held_files if not announces_sidecar(file)}
    for entry in found.entries:
        if entry.key in silent:
            yield Finding(Kind.SIDECAR_UNANNOUNCED, entry.key, "it lies there, and the record does not announce it")


_LEFTOVERS = {
    Why.GIVEN_UP: (Kind.GIVEN_UP, "given up on {since}; {size} bytes"),
    Why.ORPHAN: (Kind.ORPHAN, "stored on {since}, and listed by no record; {size} bytes"),
    Why.FOREIGN: (Kind.FOREIGN, "the project's record does not know it"),
}


def _of_leftovers(project: Project, found: Directory) -> Iterator[Finding]:
    for leftover in leftovers(project, found.entries):
        kind, problem = _LEFTOVERS[leftover.why]
        yield Finding(kind, leftover.entry.key, problem.format(since=leftover.since[:10], size=leftover.entry.size))


# -- the root -----------------------------------------------------------------------------------------------------------------


def _of_root(storage: Storage, seen: _Root, tally: Tally, names: Sequence[str], stream: Stream) -> Iterator[Finding]:
    record, page, slash_page = seen
    try:
        root = simple.root_from_json(record.body) if record else ProjectList()
    except UnsupportedIndex as error:
        yield Finding(Kind.RECORD_UNREADABLE, simple.ROOT_RECORD, error.reason)
        return
    yield from _of_ghosts(storage, root, {*tally.listed, *tally.paged}, names, stream)
    if record:
        for document in kept(storage, documents.of_root(root)):
            yield from of_page(document, slash_page if document.is_slash else page, root)
        yield from of_slash_page(storage, "/", root.slash_pages, slash_page)
        yield from of_headers(simple.ROOT_RECORD, record, RECORD_HEADERS)
        yield from _of_repeated(simple.root_names(record.body))
        unlisted = [name for name in tally.listed if name not in root.projects]
        yield from (Finding(Kind.UNLISTED, f"{name}/", "it has a record, and the root does not name it") for name in unlisted)
    elif tally.listed or (page and documents.serial_of(page.body) is not None):
        yield Finding(Kind.ROOT, simple.ROOT_RECORD, f"there is none; projects with a record: {len(tally.listed)}")


def _of_repeated(names: Iterable[str]) -> Iterator[Finding]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Finding(Kind.RECORD_CONTRADICTORY, simple.ROOT_RECORD, f"it names {name} {count} times")


def _of_ghosts(
    storage: Storage, root: ProjectList, seen: Collection[str], names: Sequence[str], stream: Stream
) -> Iterator[Finding]:
    """Names whose page clients do not find, and may ask another index for."""
    for name in names:
        if name not in seen and name not in root.projects:
            raise NotPublished(f"project {name}", storage.location)
    unseen = [name for name in names or root.projects if name not in seen]
    # A project may have come since we listed what there is.
    absent = stream(partial(_is_absent, storage, name) for name in unseen)
    for name in (name for name, is_absent in zip(unseen, absent, strict=True) if is_absent):
        problem = "the root names this project, and it has neither record nor page"
        entries = directory(storage, name).entries
        if entries and not any(is_by_content(name, entry) for entry in entries):
            yield Finding(Kind.NOT_ADOPTED, f"{name}/", f"{problem}; {_objects(len(entries))}")
        else:
            yield Finding(Kind.RECORD_MISSING, simple.record_key(name), problem)


def _is_absent(storage: Storage, name: str) -> bool:
    return storage.get(simple.record_key(name)) is None and storage.get(simple.page_key(name)) is None
