"""What an index says: files, projects, the list of projects.

Frozen values; an edit returns a new value, equal to the old one when there is nothing to do. All policy about what may enter a
record stands here, so that it can be asked inside every compare-and-swap.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from packaging.version import Version

from .errors import ArtifactDeleted, ArtifactExists, ProjectClosed
from .filenames import Identity, parse_filename, version_in

_README = re.compile(r"(?P<directory>.+)/\.readme/(?P<filename>[^/]+)\.html\Z")
#: Forms of a slash page, which lies where the URL of its directory leads; ``off``: there was one.
SLASH_PAGES = ("html", "json", "off")


class Existing(Enum):
    """What happens to a release file that is published already with other bytes."""

    REFUSE = "refuse"
    KEEP = "keep"
    REPLACE = "replace"


class Outcome(Enum):
    """What became of one artifact."""

    PUBLISHED = "published"
    PRESENT = "already there"
    KEPT = "kept as published before"
    REPLACED = "published in place of the one before"


@dataclass(frozen=True)
class File:
    """An entry of a project's record (PEP 691, PEP 700).

    :ivar url: relative to the project's directory and percent-encoded; an inherited record may hold an absolute one.
    :ivar hashes: hex digests by name of algorithm; ours always have ``sha256``.
    :ivar size: in bytes.
    :ivar upload_time: ``yyyy-mm-ddThh:mm:ss[.ffffff]Z``; None where an inherited record says none.
    :ivar requires_python: a specifier (PEP 345), white space collapsed.
    :ivar core_metadata: hashes of the sidecar ``URL.metadata`` (PEP 658, PEP 714), True where it is there unhashed.
    :ivar yanked: False, True, or the reason (PEP 592).
    :ivar readme: whether its README lies beside it, as a page of its own.
    :ivar extra: keys that this version does not know; kept.
    """

    filename: str
    url: str
    hashes: Mapping[str, str]
    size: int
    upload_time: str | None
    requires_python: str | None = None
    core_metadata: Mapping[str, str] | bool = False
    yanked: bool | str = False
    readme: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The digest that decides whether two files are the same; empty where an inherited record has none."""
        return self.hashes.get("sha256", "")

    @property
    def key(self) -> str:
        """The object's key relative to the project's directory."""
        return unquote(self.url)

    @property
    def place(self) -> tuple[str, str]:
        """What tells it from all other files of its record."""
        return self.filename, self.url


@lru_cache(maxsize=1 << 16)
def _identity(filename: str, project: str) -> Identity | str:
    """What the name parses to; the case-folded name where it does not parse (an inherited record may hold anything)."""
    try:
        return parse_filename(filename, project)
    except ValueError:
        return filename.casefold()


def readme_of(place: str) -> str:
    """Return where the README of a file lies that lies at *place*, be that a key or a URL.

    A directory whose name begins with a dot is nobody's who lists an index: no anchor of a page leads there.
    """
    directory, _, filename = place.rpartition("/")
    return f"{directory}/.readme/{filename}.html"


def described_by(key: str) -> str | None:
    """Return the key of the file whose README would lie under *key*; None where no README lies."""
    match = _README.match(key)
    return f"{match['directory']}/{match['filename']}" if match else None


def url_of(key: str) -> str:
    """Return the URL of *key*, relative to the same directory: ``+`` is ``%2B``, which every client takes alike."""
    return quote(key)


def timestamp(moment: datetime) -> str:
    """Write a moment (UTC) as PEP 700 wants an upload time: six digits of a second, which every reader parses."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Status(NamedTuple):
    """A project's status marker (PEP 792)."""

    marker: str = "active"
    reason: str | None = None


@dataclass(frozen=True)
class Used:
    """A key that was once listed, or condemned as an orphan: it is never named again.

    :ivar key: relative to the project's directory.
    :ivar time: when it entered, as ``upload_time``; readers of an older page may want the object for a day from then.
    """

    key: str
    time: str

    @property
    def directory(self) -> str:
        """What is compared: the directory that says the bytes, names case-folded as some file systems do."""
        return _directory(self.key)


def _directory(key: str) -> str:
    """Where *key* lies, however spelt: ``./DIRECTORY/FILE`` and ``DIRECTORY//FILE`` are one."""
    key = posixpath.normpath(key).casefold()
    return posixpath.dirname(key) or key


def _perhaps(file: File) -> set[str]:
    """Directories in which a file may lie. An inherited URL may lead anywhere, also to here in a roundabout way."""
    directory, name = _directory(file.key), posixpath.basename(re.split("[?#]", file.url)[0])
    if "/" not in directory and directory != "..":
        return {directory}
    return {directory, posixpath.basename(directory), _directory(unquote(name))}


@dataclass(frozen=True)
class Deleted:
    """The name of a deleted file and the digest of its bytes: other bytes never come under that name."""

    filename: str
    sha256: str


@dataclass(frozen=True)
class Project:
    """A project's record: the truth about its files.

    :ivar serial: how often the record changed; 0 where there is none yet.
    :ivar versions: of its files and perhaps others, normalised (PEP 700).
    :ivar listed: root record and root page were both seen to name the project.
    :ivar conditions: mark of the store that was probed for conditional writes.
    :ivar withheld: files of a quarantined project: not offered, not forgotten.
    :ivar extra: unknown top-level keys; kept. ``extra_meta``: those of ``meta``.
    :ivar slash_pages: the form of its slash page, of :data:`SLASH_PAGES`; None where it never had one.
    """

    name: str
    files: tuple[File, ...] = ()
    versions: tuple[str, ...] = ()
    status: Status = Status()
    serial: int = 0
    listed: bool = False
    conditions: str | None = None
    used: tuple[Used, ...] = ()
    deleted: tuple[Deleted, ...] = ()
    withheld: tuple[File, ...] = ()
    api_version: tuple[int, int] = (1, 4)
    extra: Mapping[str, Any] = field(default_factory=dict)
    extra_meta: Mapping[str, Any] = field(default_factory=dict)
    slash_pages: str | None = None

    def free_key(self, filename: str, sha256: str) -> str:
        """Return the first key that says these bytes and was never used: ``SHA256[:32]/FILENAME``, then ``SHA256[:32]-2/…``."""
        # A directory goes into `used` with any file in it, so two file names of the same bytes do not share one.
        same = (file for file in self.held_files if file.hashes.get("sha256") == sha256)
        shared = {_directory(file.key) for file in same if file.filename != filename}
        taken = shared | {used.directory for used in self.used}
        names = (sha256[:32] if n == 1 else f"{sha256[:32]}-{n}" for n in count(1))
        return f"{next(name for name in names if name not in taken)}/{filename}"

    def judge(self, new: File, existing: Existing) -> Outcome:
        """Say what adding *new* comes to. Equal bytes are recognised before any clash is judged.

        :raises PublishRefused: the record does not take it.
        """
        twins = self._twins(new)
        if self.status.marker == "quarantined":
            raise ProjectClosed(self.name, *self.status)
        if any(twin.sha256 == new.sha256 for twin in twins):
            # An entry equal in every field, the time included, is our own from an attempt whose reply was lost.
            return Outcome.PUBLISHED if new in twins else Outcome.PRESENT
        if twins and existing is Existing.KEEP:
            return Outcome.KEPT
        self._refuse(new, twins, existing)
        return Outcome.REPLACED if twins else Outcome.PUBLISHED

    def add(self, new: File, existing: Existing) -> Project:
        """Return the record with *new* in it, in place of files of the same identity if *existing* says so.

        :raises PublishRefused: see :meth:`judge`.
        """
        outcome, twins = self.judge(new, existing), self._twins(new)
        if outcome in (Outcome.PRESENT, Outcome.KEPT) or new in twins:
            return self
        added = replace(
            self,
            files=(*(file for file in self.files if file not in twins), new),
            versions=versions_of(self.name, [new], self.versions),
            used=(*self.used, *(Used(twin.key, new.upload_time or "") for twin in twins)),
        )
        # What is of other versions stays as it was found: among thousands of files that takes long.
        version = self.version_of(new.filename)
        others = (file for file in self._of_version.get(version, ()) if file not in twins)
        vars(added)["_of_version"] = {**self._of_version, version: (*others, new)}
        return added

    def adopt(self, found: Iterable[File]) -> tuple[Project, tuple[str, ...]]:
        """Return the record with the files of an older index in it, and why some of them were left out."""
        held, adopted, left_out = self.held_keys, list[File](), []
        for file in (file for file in found if file.key not in held):
            # Asked of what was there before: twins of an older index are kept, both of them.
            if reason := self._unadoptable(file):
                left_out.append(f"{file.filename} was left out: {reason}")
            else:
                adopted.append(file)
        return self._with(adopted) if adopted else self, tuple(left_out)

    def release(self, version: Version) -> tuple[File, ...]:
        """Return the files of a release, offered or withheld."""
        return tuple(file for file in self.held_files if self.version_of(file.filename) == version)

    def version_of(self, filename: str) -> Version | None:
        """Return the version that a release file's name says; None where an inherited name says none."""
        return version_in(filename, self.name)

    def mark(self, files: Collection[File], yanked: bool | str) -> Project:
        """Return the record with *files* of it yanked or not (PEP 592).

        :param yanked: False, True, or the reason.
        """
        places = {file.place for file in files}

        def marked(file: File) -> File:
            return replace(file, yanked=yanked) if file.place in places else file

        changed = replace(self, files=tuple(map(marked, self.files)), withheld=tuple(map(marked, self.withheld)))
        return self if changed == self else changed

    def without_readme(self, file: File) -> Project:
        """Return the record without the mark that *file* of it has a README."""

        def marked(one: File) -> File:
            return replace(one, readme=False) if one.place == file.place else one

        return replace(self, files=tuple(map(marked, self.files)), withheld=tuple(map(marked, self.withheld)))

    def set_status(self, status: Status) -> Project:
        """Return the record with another status (PEP 792). What is quarantined is not offered, and comes back afterwards."""
        if status.marker == "quarantined":
            return replace(self, status=status, files=(), withheld=self.held_files)
        return replace(self, status=status, files=self.held_files, withheld=())

    def remove(self, files: Collection[File], time: str) -> Project:
        """Return the record without *files*: their keys are never used again, nor their names for other bytes.

        :param time: as ``upload_time``.
        """
        places = {file.place for file in files}
        gone = [file for file in self.held_files if file.place in places]
        left = replace(
            self,
            files=tuple(file for file in self.files if file.place not in places),
            withheld=tuple(file for file in self.withheld if file.place not in places),
            deleted=tuple(dict.fromkeys((*self.deleted, *(Deleted(file.filename, file.sha256) for file in gone)))),
        )
        empty = {str(self.version_of(file.filename)) for file in gone}
        empty -= {str(self.version_of(file.filename)) for file in left.held_files}
        versions = tuple(version for version in self.versions if version not in empty)
        return replace(left, versions=versions).condemn([file.key for file in gone], time)

    def condemn(self, keys: Iterable[str], time: str) -> Project:
        """Return the record with *keys* (relative to the project's directory) among those that are never named again."""
        known = {used.key for used in self.used}
        return replace(self, used=(*self.used, *(Used(key, time) for key in keys if key not in known)))

    def orphans(self, keys: Iterable[str]) -> list[str]:
        """Return those of *keys* (relative to the project's directory) in whose directory no file can lie, however spelt."""
        held = set[str]().union(*map(_perhaps, self.held_files))
        return [key for key in keys if _directory(key) not in held]

    def held(self, file: File) -> File:
        """Return the file that stands for *file*: the one with its bytes, else one of the same identity."""
        twins = self._twins(file)
        return next((twin for twin in twins if twin.sha256 == file.sha256), twins[0])

    @property
    def held_keys(self) -> frozenset[str]:
        """Keys of all its files, relative to the project's directory."""
        return frozenset(file.key for file in self.held_files)

    @property
    def held_files(self) -> tuple[File, ...]:
        """All its files, offered or withheld."""
        return (*self.files, *self.withheld)

    def _with(self, found: Collection[File]) -> Project:
        """Files found in a quarantined project are as little offered as the others."""
        versions = versions_of(self.name, found, self.versions)
        if self.status.marker == "quarantined":
            return replace(self, withheld=(*self.withheld, *found), versions=versions)
        return replace(self, files=(*self.files, *found), versions=versions)

    def _twins(self, new: File) -> tuple[File, ...]:
        """Files of the same identity. An adopted index may hold several spellings of one."""
        wanted = self._identify(new)
        # All of a name is dear to parse, and what is of another version is another file.
        return tuple(file for file in self._of_version.get(self.version_of(new.filename), ()) if self._identify(file) == wanted)

    @cached_property
    def _of_version(self) -> Mapping[Version | None, Sequence[File]]:
        """Its files by version: of thousands, each edit asks several times for those of one."""
        found = defaultdict[Version | None, list[File]](list)
        for file in self.held_files:
            found[version_in(file.filename, self.name)].append(file)
        return found

    def _identify(self, file: File | Deleted) -> Identity | str:
        return _identity(file.filename, self.name)

    def _refuse(self, new: File, twins: tuple[File, ...], existing: Existing) -> None:
        if self.status.marker == "archived":
            raise ProjectClosed(self.name, *self.status)
        if deleted := self._deleted_otherwise(new):
            raise ArtifactDeleted(self.name, new.filename, deleted=deleted, offered=new.sha256)
        if twins and existing is not Existing.REPLACE:
            raise ArtifactExists(self.name, new.filename, published=twins[0].sha256, offered=new.sha256)

    def _deleted_otherwise(self, new: File) -> str | None:
        """The digest of a deleted file of the same identity, unless these very bytes were deleted."""
        digests = [deleted.sha256 for deleted in self.deleted if self._identify(deleted) == self._identify(new)]
        return digests[0] if digests and new.sha256 not in digests else None

    def _unadoptable(self, file: File) -> str | None:
        if _directory(file.key) in {used.directory for used in self.used}:
            return "it was replaced or deleted before"
        if self._twins(file):
            return "the project holds this release file already"
        if self._deleted_otherwise(file):
            return "a file of this name was deleted, and these are other bytes"
        return None


def versions_of(project: str, files: Iterable[File], before: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return *before* and every version of a file, normalised and once (PEP 700); a version may stay when its files go."""
    identities = (_identity(file.filename, project) for file in files)
    found = (str(identity.version) for identity in identities if isinstance(identity, Identity))
    return tuple(dict.fromkeys((*before, *found)))


@dataclass(frozen=True)
class ProjectList:
    """The root record: every project that was ever listed. It only grows.

    :ivar projects: unknown keys of each entry, by normalised name.
    :ivar news: whether page and feed of the newest releases are there.
    """

    projects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    serial: int = 0
    conditions: str | None = None
    api_version: tuple[int, int] = (1, 4)
    extra: Mapping[str, Any] = field(default_factory=dict)
    extra_meta: Mapping[str, Any] = field(default_factory=dict)
    news: bool = False
    slash_pages: str | None = None

    def add(self, names: Iterable[str]) -> ProjectList:
        """Return the list with *names* (normalised) in it."""
        new: dict[str, Mapping[str, Any]] = {name: {} for name in names if name not in self.projects}
        return replace(self, projects={**self.projects, **new}) if new else self
