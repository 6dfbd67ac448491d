"""The releases of a project: its files by version, and which of them an installer would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from packaging.version import Version

from .model import File, Project

#: Releases that are told of as the newest ones, unless somebody wants to hear of more or fewer.
TOLD = 100


@dataclass(frozen=True)
class Release:
    """The files of one version of a project, in the order of publishing.

    :ivar version: None for files of an older index whose names say none.
    """

    version: Version | None
    files: tuple[File, ...]

    @property
    def upload_time(self) -> str | None:
        """When its first file was published."""
        return min((file.upload_time for file in self.files if file.upload_time), default=None)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def requires_python(self) -> str | None:
        """What its files ask of Python, the first that says it."""
        return next((file.requires_python for file in self.files if file.requires_python), None)

    @cached_property
    def yanked(self) -> bool | str:
        """The reason, or True, where all its files are yanked (PEP 592)."""
        marks = [file.yanked for file in self.files]
        if not all(marks):
            return False
        return next((mark for mark in marks if isinstance(mark, str)), True)


def releases(record: Project) -> tuple[Release, ...]:
    """Return the releases that a record holds, offered or withheld, the newest first."""
    return releases_of(record, record.held_files)


def releases_of(record: Project, files: Iterable[File]) -> tuple[Release, ...]:
    """Return the releases that *files* of a record make up, the newest first."""
    found: dict[Version | None, list[File]] = {}
    for file in files:
        found.setdefault(record.version_of(file.filename), []).append(file)
    parsed = sorted((version for version in found if version), reverse=True)
    return tuple(Release(version, tuple(found[version])) for version in (*parsed, *({None} & found.keys())))


def newest(record: Project) -> Release | None:
    """Return the release that an installer would take: the newest final one that is not yanked, else the newest."""
    return newest_of(releases(record))


def newest_of(found: Iterable[Release]) -> Release | None:
    """Return which of the releases that were found, the newest first, an installer would take; see :func:`newest`."""
    known = [release for release in found if release.version]
    usable = [release for release in known if not release.yanked] or known
    final = [release for release in usable if release.version and not release.version.is_prerelease]
    return next(iter(final or usable), None)
