"""Files of an older index: found where they lie, read, and described as a record would.

The original pypiprivate kept no record, only ``PROJECT/FILENAME`` and pages made from a listing; s3pypi and other writers of such
trees note hashes and marks in their pages. Such files are adopted in place, with what the pages say of them.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, TypeAlias

from . import artifact, documents, layouts, simple
from .artifact import Artifact
from .concurrency import Gather
from .errors import Conflict, StorageError, UnsupportedIndex
from .filenames import Identity, parse_filename
from .layouts import Link
from .model import File, Project, timestamp
from .readme import Description
from .storage.base import OCTETS, Entry, Sent, Storage, slash_pages

#: Reads a file that is offered already: :func:`.artifact.skim_published`, or :func:`.artifact.examine_published`.
Reader: TypeAlias = Callable[[BinaryIO, str, str], Artifact]

#: :meth:`.Creating.create` and :meth:`.Opening.open_file`, which not every storage has.
Create: TypeAlias = Callable[[Mapping[str, bytes]], Collection[str]]
Open: TypeAlias = Callable[[str], AbstractContextManager[BinaryIO]]

#: Bytes of a file that are kept in memory while it is read; more go to a temporary file.
_IN_MEMORY = 4 << 20
_NO_LINK = Link("", "")


@dataclass(frozen=True)
class Found:
    """A file of an older index.

    :ivar file: as the record will hold it.
    :ivar metadata: core metadata of a wheel, for its sidecar; None where there is none to offer.
    :ivar warnings: what is strange about it, a sentence each.
    :ivar description: the long one; None where there is none.
    """

    file: File
    metadata: bytes | None
    warnings: tuple[str, ...] = ()
    description: Description | None = None


@dataclass(frozen=True)
class Findings:
    """What lies right in a project's directory and is not in its record.

    :ivar found: files of an older index.
    :ivar left_alone: why other files were left alone, by their names.
    """

    found: tuple[Found, ...] = ()
    left_alone: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is strange about the files, and what was left alone."""
        left_alone = (f"{name} is left alone: {reason}" for name, reason in self.left_alone.items())
        strange = (f"{found.file.filename}: {warning}" for found in self.found for warning in found.warnings)
        return (*left_alone, *strange)


def find(storage: Storage, project: Project, *, read: Reader = artifact.skim_published, sent: Sent = lambda _: None) -> Findings:
    """Read what lies right in the project's directory and is not in its record. Writes nothing.

    :param sent: is told of bytes read.
    :raises StorageError: the directory or a file in it could not be read; nothing is taken for absent.
    :raises UnsupportedIndex: the older page lists files that lie elsewhere, and a new page would lose them; or one with another
        sha256 than it has, which the new page would not say any more.
    """
    entries = {entry.key: entry for entry in storage.list(f"{project.name}/")}
    lying = simple.legacy_filenames(project.name, entries)
    held = project.held_keys
    names = {name: None for name in lying if name.removesuffix(".metadata") not in held}
    paged = simple.page_key(project.name) in entries or slash_pages(storage)
    links = read_links(storage, project.name, entries) if names or paged else {}
    sidecars = {name for name in names if name.removesuffix(".metadata") != name and name.removesuffix(".metadata") in names}
    reasons = {name: _not_ours(name, project.name) for name in names if name not in sidecars}
    ours = [name for name, reason in reasons.items() if not reason]
    gone = _gone(project, (link for link in links.values() if link.filename not in names))
    found = [
        read_found(storage, entries[f"{project.name}/{name}"], project.name, link=links.get(name), read=read, sent=sent)[1]
        for name in ours
    ]
    return Findings(tuple(found), {name: reason for name, reason in reasons.items() if reason} | gone)


def read_links(storage: Storage, directory: str, keys: Container[str]) -> dict[str, Link]:
    """Return what pages of an older index in *directory* list, by file name; nothing of pages of ours.

    s3pypi writes a page ``index.html``, or an object whose key is the directory's, with its slash, which no listing shows.

    :param keys: of what a listing shows there.
    """
    links: dict[str, Link] = {}
    for key in (f"{directory}/index.html", f"{directory}/"):
        stored = None
        with suppress(ValueError):  # a file system knows no key that ends in a slash
            stored = storage.get(key) if key in keys or key.endswith("/") else None
        if stored and documents.serial_of(stored.body) is None:
            links = {**layouts.read_html(stored.body), **links}
    return links


def read_found(
    storage: Storage, entry: Entry, project: str, *, link: Link | None, read: Reader, sent: Sent
) -> tuple[Identity, Found]:
    """Read a file of an older index; describe it as lying right in its project's directory.

    :param link: what the older index says of it; None: nothing.
    :param sent: is told of bytes read.
    :return: what it is, which the metadata of an sdist with an old name tell, and the file.
    :raises StorageError: it could not be read, or changed meanwhile.
    :raises UnsupportedIndex: the older index says another sha256 than its bytes have.
    """
    link = link or _NO_LINK
    filename = entry.key.rpartition("/")[2]
    with _fetched(storage, entry, sent) as file:
        artifact = read(file, filename, project)
        digests = {"sha256": artifact.sha256} | {name: _digest(file, name) for name in link.hashes if name != "sha256"}
    if link.hashes.get("sha256", artifact.sha256) != artifact.sha256:
        reason = "the older index says another sha256 than its bytes have, for which installers refuse it"
        raise UnsupportedIndex(entry.key, reason)
    said = artifact.as_file(key=filename, upload_time=timestamp(entry.modified))
    warnings = (*artifact.warnings, *link.contradicts(said, digests))
    return artifact.identity, Found(link.describe(said, digests), artifact.metadata, warnings, artifact.description)


def keep_sidecars(storage: Storage, project: str, found: Sequence[Found], gather: Gather) -> list[File]:
    """Make sure that each wheel's sidecar lies beside it, and return the files as the record may hold them now.

    A sidecar's key does not say its bytes, so it is created only where nothing lies; other bytes there are left alone and not
    announced.

    :param gather: runs calls, at once or in turn, and returns their results in order.
    """
    bodies = {_sidecar(project, each): each.metadata for each in found if each.metadata is not None}
    create: Create | None = getattr(storage, "create", None)
    left = create(bodies) if create and bodies else bodies.keys()
    kept = dict(zip(left, gather([partial(_is_kept, storage, key, bodies[key]) for key in left]), strict=True))
    return [each.file if kept.get(_sidecar(project, each), True) else replace(each.file, core_metadata=False) for each in found]


def _sidecar(project: str, found: Found) -> str:
    return f"{project}/{found.file.key}.metadata"


def _is_kept(storage: Storage, key: str, metadata: bytes) -> bool:
    try:
        storage.swap(key, metadata, replacing=None, content_type=OCTETS)
    except Conflict:
        stored = storage.get(key)
        return stored is not None and stored.body == metadata
    return True


def _gone(project: Project, links: Iterable[Link]) -> dict[str, str]:
    """Say of which files that an older page lists there is nothing here.

    :raises UnsupportedIndex: they lie elsewhere. A page of ours lists what lies in its project's directory.
    """
    held = {file.filename for file in project.held_files}
    gone = [link for link in links if link.filename not in held and _not_ours(link.filename, project.name) is None]
    for link in gone:
        if not layouts.leads_below(project.name, link.url):
            reason = f"it lists {link.filename} at {link.url}, which is not in the project's directory, and would be lost"
            raise UnsupportedIndex(simple.page_key(project.name), reason)
    return {link.filename: "the older page lists it, but it is not there" for link in gone}


def _not_ours(filename: str, project: str) -> str | None:
    try:
        named = parse_filename(filename, project).project
    except ValueError as error:
        return str(error)
    return None if named == project else f"it is named as a file of {named}"


@contextmanager
def _fetched(storage: Storage, entry: Entry, sent: Sent) -> Iterator[BinaryIO]:
    """Give an object as a file, which archives are read from: itself, where it is one."""
    open_: Open | None = getattr(storage, "open_file", None)
    with open_(entry.key) if open_ else _copied(storage, entry, sent) as file:
        if file.seek(0, io.SEEK_END) != entry.size:
            raise StorageError(f"{storage.location}/{entry.key}", "it changed while it was read.")
        yield file
    if open_:
        sent(entry.size)


@contextmanager
def _copied(storage: Storage, entry: Entry, sent: Sent) -> Iterator[BinaryIO]:
    """Copy an object: into memory if it is small."""
    what = f"{storage.location}/{entry.key}"
    try:
        with io.BytesIO() if entry.size <= _IN_MEMORY else tempfile.TemporaryFile(prefix="pypiprivate-") as file:
            for piece in storage.read(entry.key):
                file.write(piece)
                sent(len(piece))
            yield file
    except OSError as error:
        reason = f"it is copied to a temporary directory to be adopted, and that failed: {error.strerror}."
        raise StorageError(what, reason, hint="Set TMPDIR to where there is room.") from error


def _digest(file: BinaryIO, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    file.seek(0)
    while piece := file.read(_IN_MEMORY):
        digest.update(piece)
    return digest.hexdigest()
