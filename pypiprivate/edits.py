"""What can be done to a published project: pure edits of its record, to be made by :mod:`pypiprivate.amend`.

Each function takes what the user said, checks it, and returns the edit; the edit refuses what the record does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from packaging.utils import canonicalize_name
from packaging.version import Version

from .errors import ConfigError, NotPublished
from .filenames import is_normalized, parse_version
from .model import File, Project, Status, timestamp
from .releases import Release, newest, releases

#: From a record to the record that a command wants; pure. Raises :class:`.NotPublished` where there is nothing to do it to.
Edit: TypeAlias = Callable[[Project], Project]

#: Characters of a reason: it stands in every page.
_LONGEST_REASON = 1_000
STATUSES = ("active", "archived", "deprecated", "quarantined")


@dataclass(frozen=True)
class Target:
    """What a user names: a project, or one release of it.

    :ivar project: normalised. ``version``: None: the whole project.
    """

    project: str
    version: Version | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``NAME`` or ``NAME==VERSION``: exactly this version, so that 1.0 is not 1.0+local.

        :raises ConfigError: it is neither.
        """
        name, equals, version = text.partition("==")
        project = canonicalize_name(name.strip())
        # A letter of another script may have an ASCII one as its lower case.
        if not name.isascii() or not is_normalized(project) or (equals and not version.strip()):
            raise ConfigError(f"{text!r:.99} is neither NAME nor NAME==VERSION", hint="Write acme-hello or acme-hello==1.0.")
        return cls(project, parse_version(version.strip()) if equals else None)

    def __str__(self) -> str:
        return self.project if self.version is None else f"{self.project} {self.version}"

    def select(self, record: Project, filenames: Sequence[str] = ()) -> tuple[File, ...]:
        """Return the files that are meant, of a release or the whole project; if *filenames* are given, only these of them.

        :raises NotPublished: there is none of that release, or not every one of that name.
        """
        files = record.held_files if self.version is None else record.release(self.version)
        if self.version and not files:
            raise _missing(self, record)
        named = tuple(file for file in files if file.filename in filenames) if filenames else files
        if unknown := sorted(set(filenames) - {file.filename for file in named}):
            hint = f"There are {', '.join(file.filename for file in files)}."
            raise NotPublished(f"{unknown[0]} of {self}", "the index", hint=hint)
        return named


def yank(target: Target, *, filenames: Sequence[str] = (), reason: str = "") -> Edit:
    """Return the edit that yanks a release, or some of its files (PEP 592): installers take it only where it is pinned.

    :param reason: is shown to who installs it; printable text. Empty: what is yanked already keeps the reason that it has.
    :raises ConfigError: the reason cannot be shown.
    """
    mark = _checked(reason) or True

    def edit(record: Project) -> Project:
        files = target.select(record, filenames)
        return record.mark([file for file in files if mark is not True or not file.yanked], mark)

    return edit


def unyank(target: Target, *, filenames: Sequence[str] = ()) -> Edit:
    """Return the edit that takes back a yank."""
    return lambda record: record.mark(target.select(record, filenames), yanked=False)


def set_status(marker: str, *, reason: str = "") -> Edit:
    """Return the edit that gives a project another status (PEP 792).

    :param marker: ``active``; ``deprecated``; ``archived``: takes no new files; ``quarantined``: offers no file until it is
        given another status.
    :param reason: is shown beside it; printable text. Empty: a project that has this status already keeps its reason.
    :raises ConfigError: there is no such status, or the reason cannot be shown.
    """
    if marker not in STATUSES:
        raise ConfigError(f"there is no status {marker!r:.99}", hint=f"It is one of: {', '.join(STATUSES)} (PEP 792).")
    status = Status(marker, _checked(reason) or None)
    return lambda record: record if record.status.marker == marker and not status.reason else record.set_status(status)


def delete(target: Target, now: datetime, *, only: Collection[str] | None = None) -> Edit:
    """Return the edit that removes a release, or every file of a project; again, it does nothing.

    :param now: UTC; from when on the keys of the files count as used.
    :param only: keys of the files that somebody has agreed to; what was published since stays. None: whatever is there.
    """

    def edit(record: Project) -> Project:
        if target.version and not record.release(target.version) and target.version in _deleted_versions(record):
            return record
        gone = [file for file in target.select(record) if only is None or file.key in only]
        return record.remove(gone, timestamp(now))

    return edit


def _deleted_versions(record: Project) -> set[Version | None]:
    return {record.version_of(gone.filename) for gone in record.deleted}


@dataclass(frozen=True)
class Retention:
    """Which releases may go. Never the one that an installer would take: a rule does not empty a project.

    :ivar keep: so many of the newest ones stay, of those that could go.
    :ivar older_than: only what was uploaded longer ago; None: whatever its age.
    :ivar only: kinds that may go: ``pre`` (a, b, rc and dev releases), ``dev``, ``yanked``; empty: every kind.
    """

    keep: int = 0
    older_than: timedelta | None = None
    only: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing: it would let almost everything go.

        :raises ConfigError: see there.
        """
        if not self.keep and self.older_than is None and not self.only:
            raise ConfigError("nothing says which releases may go", hint="Say how many to keep, how old, or of what kind.")

    def select(self, record: Project, now: datetime) -> tuple[File, ...]:
        """Return the files that may go."""
        spared = newest(record)
        candidates = [release for release in releases(record) if release.version and self._concerns(release, release.version)]
        gone = [release for release in candidates[self.keep :] if release != spared and self._is_old(release, now)]
        return tuple(file for release in gone for file in release.files)

    def _concerns(self, release: Release, version: Version) -> bool:
        kinds = {"pre": version.is_prerelease, "dev": version.is_devrelease, "yanked": release.yanked}
        return not self.only or any(kinds[kind] for kind in self.only)

    def _is_old(self, release: Release, now: datetime) -> bool:
        """A release is as old as its newest file; of one without a time nobody knows it."""
        before = timestamp(now - (self.older_than or timedelta()))
        return self.older_than is None or all(file.upload_time and file.upload_time < before for file in release.files)


def prune(retention: Retention, now: datetime) -> Edit:
    """Return the edit that removes what *retention* lets go.

    :param now: UTC.
    """
    return lambda record: record.remove(gone, timestamp(now)) if (gone := retention.select(record, now)) else record


def _missing(target: Target, record: Project) -> NotPublished:
    versions = sorted((v for v in {record.version_of(file.filename) for file in record.held_files} if v), reverse=True)
    hint = f"There are {', '.join(map(str, versions[:10]))}{' and older ones' if len(versions) > 10 else ''}." if versions else ""
    return NotPublished(str(target), "the index", hint=hint)


def _checked(reason: str) -> str:
    """A reason stands in pages, and clients print it on terminals."""
    text = reason.strip()
    if not text.isprintable() or len(text) > _LONGEST_REASON:
        hint = f"Write one line of at most {_LONGEST_REASON} characters."
        raise ConfigError("the reason has control characters or is too long", hint=hint)
    return text
