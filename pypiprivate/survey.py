"""Looks for what there is to take over: files of an older index in the repository itself, or in an index of another layout.

Nothing but listings, pages and lists is read, and nothing is written. How layouts differ stands in :mod:`.layouts`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import NamedTuple, TypeVar

from packaging.utils import canonicalize_name

from . import adopt, layouts, simple
from .concurrency import Gather, concurrently
from .errors import ConfigError, NotPublished, PypiPrivateError, UnsupportedIndex
from .filenames import is_normalized, parse_filename
from .index import Index
from .layouts import Layout, Link
from .storage.base import Entry, Storage

T = TypeVar("T")

#: A directory of ours, whose name says the bytes in it.
_BY_CONTENT = re.compile(r"[0-9a-f]{32}(-[0-9]+)?\Z")
_AS_FILES = "Say --layout directory to take every wheel and sdist that lies there."


class ForeignIndex(PypiPrivateError):
    """A document of another tool's index cannot be understood, and nobody knows what it lists.

    :ivar what: the document.
    """

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(
            f"{what}: {reason}", hint=f"Nothing was written. Put it right, or say --layout: {', '.join(layouts.LAYOUTS)}."
        )


@dataclass(frozen=True)
class Candidate:
    """A file of another index that is to be copied.

    :ivar project: normalised name.
    :ivar link: what that index says of it, if anything.
    """

    origin: Storage
    entry: Entry
    project: str
    link: Link | None = None

    @property
    def filename(self) -> str:
        """The last part of its key."""
        return self.entry.key.rpartition("/")[2]


class Kind(Enum):
    """What a remark means for the file."""

    STRANGE = "strange"
    LEFT_OUT = "left out"
    REFUSED = "refused"


class Remark(NamedTuple):
    """Something to know about a file: it was taken though it is strange, is nothing for an index, or could not be taken."""

    kind: Kind
    project: str
    filename: str
    said: str


@dataclass(frozen=True)
class Survey:
    """What there is to take over; nothing but listings and pages was read.

    :ivar in_place: projects whose files lie where a repository of ours keeps those of an older index.
    :ivar copies: files that lie elsewhere, by project.
    :ivar files: how many have to be read. ``size``: their bytes.
    :ivar remarks: on what is no candidate.
    """

    in_place: tuple[str, ...] = ()
    copies: tuple[Candidate, ...] = ()
    files: int = 0
    size: int = 0
    remarks: tuple[Remark, ...] = ()


# -- survey: the repository itself --------------------------------------------------------------------------------------------


def survey(storage: Storage, names: Iterable[str] = (), *, gather: Gather = concurrently) -> Survey:
    """Look for files of an older index in the repository itself: ``PROJECT/FILENAME``. Writes nothing.

    Directories whose name is not normalised are to be copied from: no installer asks for them any more.

    :param names: normalised; only these projects. Empty: all.
    :raises ConfigError: no release file lies there, and no index of ours.
    :raises NotPublished: one of *names* has no such directory.
    :raises StorageError: the store failed.
    """
    wanted, directories, remarks = frozenset(names), _directories(storage), list[Remark]()
    if not directories:
        _check_ours(storage)
    astray = directories.pop("", {})
    # Where nothing lies as it should, nothing is done, which must not pass for success.
    remarks += [] if wanted else _astray(storage, astray, Kind.LEFT_OUT if directories else Kind.REFUSED)
    ours = {name: entries for name, entries in directories.items() if is_normalized(name) and name in (wanted or {name})}
    to_read = gather([partial(_unread, storage, name, entries) for name, entries in ours.items()])
    copies = []
    for directory in sorted(directories.keys() - ours.keys()):
        if canonicalize_name(directory) in (wanted or {canonicalize_name(directory)}):
            candidates, more = _denormalised(storage, directory, directories[directory])
            copies += candidates
            remarks += more
    _check_found(wanted, {*ours, *(candidate.project for candidate in copies)}, storage.location)
    entries = [entry for each in to_read for entry in each] + [candidate.entry for candidate in copies]
    return Survey(tuple(ours), _sorted(copies), len(entries), sum(entry.size for entry in entries), tuple(remarks))


def _directories(storage: Storage) -> dict[str, dict[str, Entry]]:
    """What lies right in each directory that has a release file right in it; under no name, release files elsewhere."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in storage.list(""):
        directory, _, name = entry.key.rpartition("/")
        if directory and "/" not in directory:
            found.setdefault(directory, {})[entry.key] = entry
        elif layouts.is_release_file(name) and not _BY_CONTENT.match(directory.rpartition("/")[2]):
            found.setdefault("", {})[entry.key] = entry
    return {
        name: entries for name, entries in found.items() if any(map(layouts.is_release_file, map(posixpath.basename, entries)))
    }


def _check_ours(storage: Storage) -> None:
    """Where a record lies, of the root or of a project, there is nothing left to adopt; elsewhere there never was."""
    keys = (entry.key for entry in storage.list(""))
    if not any(key.count("/") <= 1 and posixpath.basename(key) == simple.ROOT_RECORD for key in keys):
        said = f"there is nothing to adopt in {storage.location}: no wheel or sdist lies there, and no index"
        hint = "Correct where it is, or look whether these credentials may list it; adopt --from PLACE copies from elsewhere."
        raise ConfigError(said, hint=hint)


def _astray(storage: Storage, entries: Iterable[str], kind: Kind) -> Iterator[Remark]:
    said = f"only what lies in the directory of its project is adopted in place; adopt --from {storage.location} into another one"
    for key in entries:
        yield Remark(kind, "", key, said)


def _unread(storage: Storage, name: str, entries: Mapping[str, Entry]) -> list[Entry]:
    """Release files of a directory that its record does not hold."""
    held = set[str]()
    if simple.record_key(name) in entries:
        with suppress(UnsupportedIndex):  # a takeover says it, and goes on with other projects
            held = {f"{name}/{file.key}" for file in Index(storage).project(name).held_files}
    return [entry for key, entry in entries.items() if key not in held and layouts.is_release_file(posixpath.basename(key), name)]


def _denormalised(storage: Storage, directory: str, entries: Mapping[str, Entry]) -> tuple[list[Candidate], list[Remark]]:
    project = str(canonicalize_name(directory))
    links = adopt.read_links(storage, directory, entries)
    candidates, remarks = list[Candidate](), list[Remark]()
    for entry in (entries[key] for key in sorted(entries) if posixpath.basename(key) not in layouts.PAGE_FORMS):
        filename = posixpath.basename(entry.key)
        if layouts.is_release_file(filename, project):
            candidates.append(Candidate(storage, entry, project, links.get(filename)))
        else:
            remarks.append(Remark(Kind.LEFT_OUT, project, entry.key, f"it is no release file of {project}"))
    said = f"its directory {directory} is not normalised: it is copied to {project}, where installers look"
    return candidates, [*remarks, *(Remark(Kind.STRANGE, project, candidate.filename, said) for candidate in candidates)]


# -- survey: another place ----------------------------------------------------------------------------------------------------


def survey_place(
    origin: Storage,
    names: Iterable[str] = (),
    *,
    layout: Layout | None = None,
    files: Storage | None = None,
    gather: Gather = concurrently,
) -> Survey:
    """Look for release files in an index of another layout. Writes nothing.

    :param origin: where it lies.
    :param names: normalised; only these projects. Empty: all.
    :param layout: None: found out by what lies there.
    :param files: where the files lie that it lists, if they do not lie in *origin*.
    :raises ConfigError: nothing lies there, no layout is known that fits, or there is more than one index.
    :raises NotPublished: one of *names* is not there.
    :raises StorageError: a store failed.
    :raises ForeignIndex: a page or list of it cannot be understood.
    """
    places = [_Place.of(storage) for storage in (origin, *([files] if files else []))]
    for place in places:
        if not place.entries:
            hint = "Correct where it is, or look whether these credentials may list it."
            raise ConfigError(f"nothing lies in {place.storage.location}: there is no such place, or it is empty", hint=hint)
    wanted = frozenset(names)
    seen = _LOOKS[layout](places, gather)
    _check_any(seen, origin.location)
    copies = _sorted(candidate for candidate in seen.candidates if candidate.project in (wanted or {candidate.project}))
    _check_found(wanted, {candidate.project for candidate in copies}, origin.location)
    remarks = tuple(remark for remark in seen.remarks if remark.project in (wanted or {remark.project}))
    return Survey((), copies, len(copies), sum(candidate.entry.size for candidate in copies), remarks)


@dataclass(frozen=True)
class _Place:
    """What lies somewhere, by key and by file name."""

    storage: Storage
    entries: Mapping[str, Entry]
    named: Mapping[str, Sequence[Entry]]

    @classmethod
    def of(cls, storage: Storage) -> _Place:
        entries = {entry.key: entry for entry in storage.list("")}
        named: dict[str, list[Entry]] = {}
        for entry in entries.values():
            named.setdefault(posixpath.basename(entry.key), []).append(entry)
        return cls(storage, entries, named)

    def read(self, key: str, parse: Callable[[bytes], T]) -> T:
        stored = self.storage.get(key)
        try:
            return parse(stored.body if stored else b"")
        except (ValueError, RecursionError) as error:
            raise ForeignIndex(f"{self.storage.location}/{key}", f"it is not what its name says ({error}).") from error


@dataclass
class _Seen:
    candidates: list[Candidate] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    def add(self, project: str, link: Link, found: Sequence[tuple[Storage, Entry]]) -> None:
        if len(found) == 1:
            self.candidates.append(Candidate(*found[0], project, link))
        else:
            several = f"it lies in {len(found)} places, as {found[0][1].key}" if found else f"it is not there ({link.url})"
            self.remarks.append(Remark(Kind.REFUSED, project, link.filename, f"the older index lists it, but {several}"))


def _look_for_files(places: Sequence[_Place], gather: Gather) -> _Seen:
    """A directory of wheels and sdists, flat or not."""
    seen, place = _Seen(), places[0]
    keys = [key for key in place.entries if not layouts.is_hidden(key) and posixpath.basename(key) not in layouts.PAGE_FORMS]
    metas = [key for key in keys if key.endswith(".meta") and key.removesuffix(".meta") in place.entries]
    links = dict(zip(metas, gather([partial(_meta, place, key) for key in metas]), strict=True))
    pages = _hidden_pages(place, keys, gather)
    for key in (key for key in keys if key not in links):
        directory, _, filename = key.rpartition("/")
        try:
            project = str(parse_filename(filename).project)
        except ValueError as error:
            seen.remarks.append(Remark(Kind.LEFT_OUT, "", key, str(error)))
            continue
        link = links.get(f"{key}.meta") or pages.get(directory, {}).get(filename)
        seen.candidates.append(Candidate(place.storage, place.entries[key], project, link))
    return seen


def _meta(place: _Place, key: str) -> Link:
    return place.read(key, partial(layouts.read_meta, posixpath.basename(key).removesuffix(".meta")))


def _hidden_pages(place: _Place, keys: Iterable[str], gather: Gather) -> dict[str, dict[str, Link]]:
    """What s3pypi notes in pages that no listing shows, by directory: all of its directories are at the top."""
    directories = sorted({posixpath.dirname(key) for key in keys if layouts.is_release_file(posixpath.basename(key))} - {""})
    tops = [directory for directory in directories if "/" not in directory]
    return dict(zip(tops, gather([partial(adopt.read_links, place.storage, top, ()) for top in tops]), strict=True))


def _look_at_pages(places: Sequence[_Place], gather: Gather) -> _Seen:
    """A tree of pages, and of files where these say."""
    place = places[0]
    if pages := _read_pages(place, gather):
        return _look_at(pages, places)
    raise ConfigError(f"no page in {place.storage.location} lists a release file", hint=_AS_FILES)


def _look_at(pages: Mapping[str, Sequence[Link]], places: Sequence[_Place]) -> _Seen:
    seen, place = _Seen(), places[0]
    layouts.check_one_index(pages, place.storage.location)
    for directory, links in pages.items():
        for link in links:
            project = str(canonicalize_name(posixpath.basename(directory)))
            seen.add(project, link, _locate(places, directory, link))
    listed = {candidate.entry.key for candidate in seen.candidates if candidate.origin is place.storage}
    for key in sorted(place.entries.keys() - listed):
        if layouts.is_release_file(posixpath.basename(key)):
            seen.remarks.append(Remark(Kind.LEFT_OUT, "", key, "no page lists it"))
    return seen


def _read_pages(place: _Place, gather: Gather) -> dict[str, list[Link]]:
    """What pages list, by directory, where that is a release file of the project."""
    forms = layouts.pages_of_projects(place.entries)
    read = gather([partial(_links, place, keys) for keys in forms.values()])
    return {directory: links for directory, links in zip(forms, read, strict=True) if links}


def _links(place: _Place, keys: Sequence[str]) -> list[Link]:
    """Return what the pages of one project list that is a release file of it; each form may say what others do not."""
    project = str(canonicalize_name(posixpath.basename(posixpath.dirname(keys[0]))))
    pages = [place.read(key, partial(layouts.read_page, key)) for key in keys]
    links: dict[str, Link] = {}
    for page in pages:
        links |= {name: links[name].completed(link) if name in links else link for name, link in page.items()}
    return [link for link in links.values() if layouts.is_release_file(link.filename, project)]


def _look_at_list(places: Sequence[_Place], gather: Gather) -> _Seen:  # noqa: ARG001  there is but one thing to read
    """What dumb-pypi made pages of, and the files that it does not care for."""
    seen, place = _Seen(), places[0]
    if layouts.PACKAGES not in place.entries:
        raise ConfigError(f"there is nothing to adopt in {place.storage.location}: it has no {layouts.PACKAGES}", hint=_AS_FILES)
    for link in place.read(layouts.PACKAGES, layouts.read_list).values():
        try:
            project = str(parse_filename(link.filename).project)
        except ValueError as error:
            seen.remarks.append(Remark(Kind.LEFT_OUT, "", link.filename, str(error)))
        else:
            seen.add(project, link, _locate(places, "", link))
    return seen


def _look_for_any(places: Sequence[_Place], gather: Gather) -> _Seen:
    """Find out what lies there: a list of all files says most, then pages, then names of files."""
    place = places[0]
    if layouts.PACKAGES in place.entries:
        return _look_at_list(places, gather)
    if pages := _read_pages(place, gather):
        return _look_at(pages, places)
    seen = _look_for_files(places, gather)
    if not seen.candidates:
        say = f"Name another place, or say --layout: {', '.join(layouts.LAYOUTS)}."
        raise ConfigError(f"in {place.storage.location} lies no index that is known here, and no wheel or sdist", hint=say)
    return seen


_LOOKS = {
    None: _look_for_any,
    Layout.DIRECTORY: _look_for_files,
    Layout.SIMPLE: _look_at_pages,
    Layout.DUMB_PYPI: _look_at_list,
}


def _locate(places: Sequence[_Place], directory: str, link: Link) -> list[tuple[Storage, Entry]]:
    """Return where a file lies: where the link leads, else wherever a file of its name lies, in the last place first."""
    place = places[0]
    for key in layouts.resolve(directory, link.url):
        if key in place.entries:
            return [(place.storage, place.entries[key])]
    for each in reversed(places):
        if link.filename in each.named:
            return [(each.storage, entry) for entry in each.named[link.filename]]
    return []


def _check_any(seen: _Seen, location: str) -> None:
    """Where nothing could be taken and nothing is refused, nothing is done, which must not pass for success."""
    if not seen.candidates and all(remark.kind is Kind.LEFT_OUT for remark in seen.remarks):
        hint = f"Name another place, or say another --layout: {', '.join(layouts.LAYOUTS)}."
        raise ConfigError(f"there is nothing to adopt in {location}: no wheel or sdist is found there in this layout", hint=hint)


def _check_found(wanted: Iterable[str], found: Iterable[str], location: str) -> None:
    if missing := sorted({*wanted} - {*found}):
        raise NotPublished(f"file of {missing[0]} to adopt", location)


def _sorted(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda candidate: (candidate.project, candidate.entry.key)))
