"""Everything that pypiprivate raises on purpose.

Facts first: each error keeps what it is about as attributes; ``str(error)`` is one sentence with the thing and the reason,
``error.hint`` one with the way out. Texts may improve between versions, attributes stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, TypeAlias


def printable(text: str) -> str:
    """Return *text* on one line and without control characters, so that no name can steer a terminal or forge a log line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in text)


class PypiPrivateError(Exception):
    """Base of everything raised on purpose.

    :ivar hint: one sentence with the way out; empty where the message says it already.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class ConfigError(PypiPrivateError):
    """A setting is wrong, missing or contradictory.

    :ivar origin: the file, variable or flag that said it, or None.
    """

    def __init__(self, reason: str, *, origin: str | None = None, hint: str = "") -> None:
        self.reason, self.origin = reason, origin
        super().__init__(f"{origin}: {reason}" if origin else reason, hint=hint)


class ArtifactError(PypiPrivateError):
    """A file is no artifact that may be published.

    :ivar filename: its name. ``path``: where it was looked for, if anywhere.
    """

    def __init__(self, filename: str, reason: str, *, path: Path | None = None, hint: str = "") -> None:
        self.filename, self.reason, self.path = filename, reason, path
        super().__init__(f"{path or filename}: {reason}", hint=hint)


class NoArtifacts(PypiPrivateError):
    """No artifact of this project and version lies in the directory."""

    def __init__(self, project: str, version: str, directory: Path, present: Sequence[str]) -> None:
        self.project, self.version, self.directory, self.present = project, version, directory, tuple(present)
        shown = ", ".join(self.present[:20]) + (f" and {len(self.present) - 20} more" if len(self.present) > 20 else "")
        super().__init__(
            f"no artifact of {project} {version} lies in {directory}; what is there: {shown or 'nothing'}.",
            hint="Build it first (python setup.py sdist bdist_wheel, or python -m build), or name the directory with -d.",
        )


class PublishRefused(PypiPrivateError):
    """The index is sound and reachable, and says no to this artifact."""


class ArtifactExists(PublishRefused):
    """The release file is published already, with other bytes."""

    def __init__(self, project: str, filename: str, *, published: str, offered: str) -> None:
        self.project, self.filename, self.published, self.offered = project, filename, published, offered
        super().__init__(
            f"{filename} of {project} is published already with other bytes (sha256 {published[:12]}…, yours {offered[:12]}…).",
            hint="A rebuilt artifact has other bytes (sdists nearly always). Publish a new version, or keep what is published "
            "and add only what is missing (--skip-existing, existing = keep), or swap the new one in (--replace).",
        )


class ArtifactDeleted(PublishRefused):
    """A file of this name was deleted from the index, and these are other bytes."""

    def __init__(self, project: str, filename: str, *, deleted: str, offered: str) -> None:
        self.project, self.filename, self.deleted, self.offered = project, filename, deleted, offered
        super().__init__(
            f"{filename} of {project} was deleted from the index, and a deleted name is never given to other bytes "
            f"(sha256 {deleted[:12]}… then, yours {offered[:12]}…).",
            hint="Publish a new version, or the very file that was deleted.",
        )


class NotPublished(PypiPrivateError):
    """The index has no such project, release or file.

    :ivar what: as the user named it. ``location``: of the repository.
    """

    def __init__(self, what: str, location: str, *, hint: str = "") -> None:
        self.what, self.location = what, location
        super().__init__(f"there is no {what} in {location}.", hint=hint)


class ProjectClosed(PublishRefused):
    """The project's status forbids new files (PEP 792)."""

    def __init__(self, project: str, status: str, reason: str | None) -> None:
        self.project, self.status, self.reason = project, status, reason
        because = f" ({reason})" if reason else ""
        super().__init__(
            f"{project} is {status}{because} and takes no new files.",
            hint="Make the project active again before publishing to it.",
        )


class UnsupportedIndex(PypiPrivateError):
    """A document in storage cannot be understood; nothing was written over it."""

    def __init__(self, key: str, reason: str, *, hint: str = "") -> None:
        self.key, self.reason = key, reason
        ways = "Restore it from a backup or a bucket version, or use the program that wrote it."
        super().__init__(
            f"{key} in the repository cannot be used: {reason}.", hint=hint or f"Nothing was written over it. {ways}"
        )


#: Is told of a project whose documents cannot be understood, and which is left as it is, while others are gone through.
Unreadable: TypeAlias = Callable[[UnsupportedIndex], object]


def raised(error: UnsupportedIndex) -> NoReturn:
    """Let it end the command: an :data:`Unreadable` for who has one project only."""
    raise error


class StorageError(PypiPrivateError):
    """The store failed, refused or could not be reached; what it holds is unknown, never "absent"."""

    def __init__(self, what: str, reason: str, *, hint: str = "Running the same command again is safe.") -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what}: {reason}", hint=hint)


class UnsafeStorage(StorageError):
    """The store ignores conditional writes, so that two publishers would lose each other's releases."""

    def __init__(self, location: str, ignored: str) -> None:
        self.location, self.ignored = location, ignored
        super().__init__(
            location,
            f"this store ignores conditional writes ({ignored}), so two publishers at once would lose releases.",
            hint="Use a store that honours them; if there is never more than one publisher, say so: conditional_writes = off.",
        )


class WrongClock(StorageError):
    """This machine's clock and the store's are too far apart to tell how old anything is.

    :ivar ahead: how far this machine's is ahead; negative if it is behind.
    """

    def __init__(self, location: str, ahead: timedelta) -> None:
        self.location, self.ahead = location, ahead
        away = f"{_span(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'}"
        super().__init__(
            location,
            f"this machine's clock is {away} the store's, and what is removed is chosen by its age; nothing was removed.",
            hint="Set the clock of this machine, or the store's, whichever is wrong; then run the same command again.",
        )


def _span(span: timedelta) -> str:
    for unit, name in ((timedelta(days=2), "days"), (timedelta(hours=2), "hours")):
        if span >= unit:
            return f"{span / (unit / 2):.0f} {name}"
    return f"{span / timedelta(minutes=1):.0f} minutes"


class Conflict(PypiPrivateError):
    """A conditional write found something else than what was read: look again."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"{key} changed since it was read.")


class Contended(StorageError):
    """Others changed the document again and again until the deadline passed."""

    def __init__(self, key: str, seconds: float) -> None:
        self.key, self.seconds = key, seconds
        super().__init__(key, f"other publishers kept changing it for {seconds:.0f} seconds, so this command gave up.")
