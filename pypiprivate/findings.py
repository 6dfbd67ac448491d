"""What an index may be found to lack, and the way out of each: the values that :mod:`.verify` and :mod:`.repair` speak in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeVar

T = TypeVar("T")

#: Is told how many projects were looked at, and how many there may be.
Counted: TypeAlias = Callable[[int, int], object]


def silently(_done: int, _all: int) -> None:
    """Show no progress."""


def telling(results: Iterable[T], counted: Counted, expected: int) -> Iterator[T]:
    """Pass *results* on, one for each project, and tell *counted* how far that is.

    :param expected: how many there are; more may come.
    """
    counted(0, expected)
    for done, result in enumerate(results, 1):
        yield result
        counted(done, max(done, expected))


class Depth(Enum):
    """How far to look."""

    DOCUMENTS = "documents"  # records and pages
    FILES = "files"  # and what the store says of each file, and every sidecar
    BYTES = "bytes"  # and every byte


class Kind(Enum):
    """What may be found, in the words of a heading."""

    RECORD_MISSING = "records missing"
    RECORD_UNREADABLE = "records that cannot be understood"
    RECORD_OUTDATED = "records older than the page made from them"
    RECORD_CONTRADICTORY = "records that contradict themselves"
    FILE_MISSING = "files missing"
    FILE_DAMAGED = "files with other bytes than the record says"
    METADATA_DIFFERS = "sidecars that are not the wheel's metadata"
    SIDECAR_MISSING = "sidecars missing"
    SIDECAR_DAMAGED = "sidecars with other bytes than the record says"
    README_MISSING = "READMEs missing"
    PAGE = "pages that are not those of their records"
    SLASH = "slash pages that are not as the settings say"
    ROOT = "root record missing"
    UNLISTED = "projects that the root does not name"
    HEADERS = "objects served with wrong headers"
    NOT_ADOPTED = "projects of an older index"
    ASTRAY = "release files where no installer looks"
    SIDECAR_UNANNOUNCED = "sidecars that no record announces"
    UNCHECKED = "files that cannot be checked"
    UNPUBLISHED = "projects that no publish has listed yet"
    ORPHAN = "orphans"
    GIVEN_UP = "objects of deleted and replaced files"
    FOREIGN = "objects that are not ours"


#: What :mod:`.repair` does without a human.
MENDABLE = frozenset(
    {
        Kind.PAGE,
        Kind.SLASH,
        Kind.ROOT,
        Kind.UNLISTED,
        Kind.HEADERS,
        Kind.SIDECAR_MISSING,
        Kind.SIDECAR_DAMAGED,
        Kind.README_MISSING,
    }
)
#: What breaks no promise.
NOTES = frozenset(
    {
        Kind.NOT_ADOPTED,
        Kind.ASTRAY,
        Kind.SIDECAR_UNANNOUNCED,
        Kind.UNCHECKED,
        Kind.UNPUBLISHED,
        Kind.ORPHAN,
        Kind.GIVEN_UP,
        Kind.FOREIGN,
    }
)

_RESTORE = "Restore it from a backup or an older version of the bucket's object; then run: pypi-private repair"
_OF_THE_ROOT = "If it is that of the root, take it away: pypi-private repair makes it anew."
_MADE_ANEW = (
    f"{_RESTORE}. If there is none, move the project's directory to another place, and take its files over from there: "
    "pypi-private adopt --from PLACE --layout directory. They get new URLs; what was yanked must be yanked again."
)
_REPAIR = "Run: pypi-private repair (or just publish again, if a publish was interrupted)"
_SIDECAR = (
    "Run: pypi-private repair; it rebuilds the sidecar if the wheel's own metadata have the announced hash. "
    "If they have not, delete the release, and publish it anew under a new version."
)
_LOST = (
    "Put the very bytes back under that key by hand, from a backup, an older version of the bucket's object, or who built them; "
    "to publish them again stores nothing, for the record lists them. "
    "If nobody has them, delete the release (pypi-private delete), and publish a new version."
)
WAYS_OUT: Mapping[Kind, str] = {
    Kind.RECORD_MISSING: _MADE_ANEW,
    Kind.RECORD_UNREADABLE: f"If a newer version of pypiprivate wrote it, use that. Else: {_RESTORE}. {_OF_THE_ROOT}",
    Kind.RECORD_OUTDATED: (
        f"Somebody put an old record back. {_RESTORE}. "
        "If there is no newer one, take the page beside it away, and repair makes a page of what the record says."
    ),
    Kind.RECORD_CONTRADICTORY: (
        f"Somebody edited the record. Restore it, or delete the release and publish a new version. {_OF_THE_ROOT}"
    ),
    Kind.FILE_MISSING: _LOST,
    Kind.FILE_DAMAGED: _LOST,
    Kind.METADATA_DIFFERS: "Delete the release (pypi-private delete), and publish it anew under a new version.",
    Kind.SIDECAR_MISSING: _SIDECAR,
    Kind.SIDECAR_DAMAGED: _SIDECAR,
    Kind.README_MISSING: "Run: pypi-private repair; it makes it anew from the file beside which it lay.",
    Kind.PAGE: _REPAIR,
    Kind.SLASH: "Run: pypi-private repair",
    Kind.ROOT: _REPAIR,
    Kind.UNLISTED: _REPAIR,
    Kind.HEADERS: _REPAIR,
    Kind.NOT_ADOPTED: "They go on working as they are. The next publish takes each over, or all at once: pypi-private adopt",
    Kind.ASTRAY: (
        "What lies in a directory whose name is not normalised is copied to where installers look by: pypi-private adopt. "
        "What lies right in the root can be published: pypi-private upload FILE. Then remove it here."
    ),
    Kind.SIDECAR_UNANNOUNCED: (
        "Installers read the wheel itself, which is slower and as right. If the record announced it once, restore the record."
    ),
    Kind.UNCHECKED: "They are what an older index said; nothing needs to be done.",
    # gc leaves alone what has no record: it may be an older tool's, and a project may be about to begin.
    Kind.UNPUBLISHED: (
        "A first publish that was interrupted left them, or one that is running now. Publish again; "
        "what that does not list goes a day later: pypi-private gc. If nobody will, remove the directory by hand."
    ),
    Kind.ORPHAN: "An interrupted command left them, or one that is running now. After a day they may go: pypi-private gc",
    Kind.GIVEN_UP: "A day after they were given up they may go: pypi-private gc",
    Kind.FOREIGN: "Nobody of ours reads or removes them. Remove them by hand if nobody needs them.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as promised, or worth a note.

    :ivar key: of the object, or of a project's directory (it ends in a slash), relative to the repository's root.
    :ivar problem: half a sentence about it.
    """

    kind: Kind
    key: str
    problem: str

    @property
    def is_broken(self) -> bool:
        """Whether a promise is broken."""
        return self.kind not in NOTES

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return WAYS_OUT[self.kind]


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found.

    :ivar projects: how many were looked at; ``files``: of how many files, where files were looked at.
    """

    depth: Depth
    projects: int
    files: int
    findings: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether every promise is kept."""
        return not any(finding.is_broken for finding in self.findings)

    @property
    def kinds(self) -> Counter[Kind]:
        """How many there are of each kind."""
        return Counter(finding.kind for finding in self.findings)
