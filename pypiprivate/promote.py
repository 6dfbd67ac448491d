"""Copies releases from one repository to another, by digest: the same bytes under the same names, whole at once.

The target takes them as it takes artifacts: one swap of a record shows all files of a project, and what is there already stays.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from . import browse, readme
from .archive import Unsound
from .concurrency import Gather, concurrently
from .edits import Target
from .errors import NotPublished, PypiPrivateError, StorageError
from .filenames import Identity, parse_filename
from .index import Index
from .metadata import read_core
from .model import File, Project, url_of
from .readme import Description
from .storage.base import Passes, Sent, Storage

#: Key of a file in a record: when it was first uploaded, to where it was promoted from.
ORIGINAL_TIME = "_original-upload-time"


class Yanked(NotPublished):
    """The release is there, but yanked, if only in part, and so nothing to be promoted.

    :ivar filename: the first of its files that is yanked.
    """

    def __init__(self, what: str, location: str, filename: str) -> None:
        self.what, self.location, self.filename = what, location, filename
        message = f"{what} is yanked in {location} ({filename}), and what is yanked is not promoted."
        PypiPrivateError.__init__(self, message, hint="Unyank it there first, if it is to be used.")


@dataclass(frozen=True)
class Published:
    """A file that another repository offers: see :class:`.publish.Offer`.

    :ivar key: where it lies there. ``file``: as the record there has it. ``metadata``: its sidecar.
    :ivar description: the one that the sidecar has.
    """

    origin: Storage
    project: str
    key: str
    file: File
    identity: Identity
    metadata: bytes | None
    description: Description | None = None

    @property
    def version(self) -> Version:
        """The release that it belongs to."""
        return self.identity.version

    @property
    def filename(self) -> str:
        """Its name, the same in both."""
        return self.file.filename

    @property
    def sha256(self) -> str:
        """Hex digest of its bytes."""
        return self.file.sha256

    @property
    def size(self) -> int:
        """Number of its bytes."""
        return self.file.size

    @property
    def source(self) -> str:
        """Where it is, for messages."""
        return f"{self.origin.location}/{self.key}"

    @property
    def readme(self) -> Callable[[], bytes] | None:
        """Makes a page of its description; the one that lies there is not copied, because the record does not vouch for it."""
        title = f"{self.project} {self.version}"
        return partial(readme.page, self.description, title=title) if self.description else None

    def as_file(self, *, key: str, upload_time: str) -> File:
        """Describe it as the other record does, but for where it lies and since when.

        Of keys that this version does not know none is carried: they may announce what is not copied, as signatures.
        """
        core_metadata = self.metadata is not None and {"sha256": hashlib.sha256(self.metadata).hexdigest()}
        # Where it was promoted before, the very first time stays.
        original = self.file.extra.get(ORIGINAL_TIME, self.file.upload_time)
        return replace(
            self.file,
            url=url_of(key),
            hashes={"sha256": self.sha256},
            upload_time=upload_time,
            core_metadata=core_metadata,
            yanked=False,
            readme=False,
            extra={ORIGINAL_TIME: original} if original else {},
        )


def offers(origin: Storage, targets: Iterable[Target], *, gather: Gather = concurrently) -> list[Published]:
    """Return the files of *targets*, which are releases, that the repository on *origin* offers.

    :raises NotPublished: it does not offer such a release, or has yanked it (:class:`Yanked`), or is of an older tool and not
        adopted yet.
    :raises StorageError: the store failed, a file is not there, or it or a sidecar is not what the record says.
    """
    files = [(target.project, file) for target in targets for file in _released(origin, target)]
    return gather([partial(_published, origin, project, file) for project, file in files])


def send(offer: Published, storage: Storage, key: str, sent: Sent) -> None:
    """Store the bytes of *offer*: copied by the store itself where it can, else by way of a temporary file.

    :param sent: is told of each byte once, though it is fetched and stored.
    :raises StorageError: they are not what the record says, or the store failed.
    """
    copying: Any = getattr(storage, "copy", None)
    if copying and copying(key, offer.origin, offer.key, sha256=offer.sha256):
        sent(offer.size)
        return
    try:
        passes = Passes(sent, times=2)
        with tempfile.TemporaryDirectory(prefix="pypiprivate-") as directory:
            path = Path(directory, offer.filename)
            with path.open("wb") as file:
                file.writelines(_checked(offer, passes))
            storage.store(key, path, sha256=offer.sha256, sent=passes)
    except OSError as error:
        reason = f"it is copied by way of a temporary directory, and that failed: {error.strerror or error}."
        raise StorageError(offer.source, reason, hint="Set TMPDIR to where there is room.") from error


def _released(origin: Storage, target: Target) -> tuple[File, ...]:
    record = _record(origin, target.project)
    files = tuple(file for file in target.select(record) if file in record.files)
    if not files:
        hint = f"{target.project} is {record.status.marker} there." if record.withheld else "Its files were deleted there."
        raise NotPublished(f"file of {target} to promote", origin.location, hint=hint)
    if yanked := [file.filename for file in files if file.yanked]:
        raise Yanked(str(target), origin.location, yanked[0])
    return files


def _record(origin: Storage, name: str) -> Project:
    index = Index(origin)
    record = index.project(name)
    if not record.serial:
        browse.project(index, name)  # there is none of the name, or it is of an older tool, which wrote no sidecars
        hint = f"An older tool published it. Adopt it first: pypi-private adopt {name}"
        raise NotPublished(f"record of {name}", origin.location, hint=hint)
    return record


def _published(origin: Storage, project: str, file: File) -> Published:
    if not (browse.lies_here(file) and file.sha256):
        raise NotPublished(f"copy of {file.filename} of {project}, of which the record knows the sha256", origin.location)
    _check_specifier(origin, project, file)
    key = f"{project}/{file.key}"
    _check_there(origin, key, file)
    identity, metadata = parse_filename(file.filename, project), _sidecar(origin, key, file)
    return Published(origin, project, key, file, identity, metadata, _description(metadata))


def _check_there(origin: Storage, key: str, file: File) -> None:
    """A dry run says it, too, and nothing of other files is stored before."""
    found, what = origin.stat(key), f"{origin.location}/{key}"
    if found is None:
        hint = "pypi-private verify says what to do about it there."
        raise StorageError(what, "the record lists it, and nothing lies there, so it cannot be promoted.", hint=hint)
    if found.size != file.size:
        raise _untrue(what)


def _check_specifier(origin: Storage, project: str, file: File) -> None:
    """One page that says what is none may cost installers the whole project."""
    try:
        SpecifierSet(file.requires_python or "")
    except InvalidSpecifier as error:
        what = f"{file.filename} of {project} with a requires-python that can be understood"
        raise NotPublished(what, origin.location, hint=f"The record says {file.requires_python!r:.99}.") from error


def _sidecar(origin: Storage, key: str, file: File) -> bytes | None:
    """Only one whose bytes the record vouches for: it will lie under a key that says the wheel's bytes, not its own."""
    if not isinstance(file.core_metadata, Mapping) or "sha256" not in file.core_metadata:
        return None
    metadata = b"".join(origin.read(f"{key}.metadata"))
    _compare(f"{origin.location}/{key}.metadata", hashlib.sha256(metadata).hexdigest(), file.core_metadata["sha256"])
    return metadata


def _description(metadata: bytes | None) -> Description | None:
    try:
        return read_core(metadata, "METADATA").description if metadata else None
    except Unsound:  # an older tool may have published it
        return None


def _checked(offer: Published, sent: Sent) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for piece in offer.origin.read(offer.key):
        digest.update(piece)
        sent(len(piece))
        yield piece
    _compare(offer.source, digest.hexdigest(), offer.sha256)


def _compare(what: str, found: str, expected: str) -> None:
    if found != expected:
        raise _untrue(what)


def _untrue(what: str) -> StorageError:
    return StorageError(what, "its bytes are not those that the record says.", hint="pypi-private verify --deep says more.")
