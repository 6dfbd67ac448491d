"""Files of an older index: found where they lie, read, and described as a record would.

The original pypiprivate kept no record, only ``PROJECT/FILENAME`` and pages made from a listing. Such files are adopted in place.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from . import artifact, simple
from .errors import Conflict, StorageError
from .model import File, Project, parse_filename, timestamp
from .storage.base import OCTETS, Entry, Storage


@dataclass(frozen=True)
class Found:
    """A file of an older index.

    :ivar file: as the record will hold it.
    :ivar metadata: core metadata of a wheel, for its sidecar; None where there is none to offer.
    """

    file: File
    metadata: bytes | None


@dataclass(frozen=True)
class Findings:
    """What lies right in a project's directory and is not in its record.

    :ivar found: files of an older index.
    :ivar warnings: what is strange about them, and what was left alone.
    """

    found: tuple[Found, ...] = ()
    warnings: tuple[str, ...] = ()


def find(storage: Storage, project: Project) -> Findings:
    """Read what lies right in the project's directory and is not in its record. Writes nothing.

    :raises StorageError: the directory or a file in it could not be read; nothing is taken for absent.
    """
    entries = {entry.key: entry for entry in storage.list(f"{project.name}/")}
    names = [name for name in simple.legacy_filenames(project.name, entries) if not project.holds(name.removesuffix(".metadata"))]
    reasons = {name: _not_ours(name, project.name) for name in names}
    read = {name: _read(storage, entries[f"{project.name}/{name}"], project.name) for name in names if not reasons[name]}
    left_alone = [f"{name} is left alone: {reason}" for name, reason in reasons.items() if reason]
    strange = [f"{name}: {warning}" for name in read for warning in read[name].warnings]
    found = (_found(artifact, entries[f"{project.name}/{name}"].modified) for name, artifact in read.items())
    return Findings(tuple(found), (*left_alone, *strange))


def keep_sidecar(storage: Storage, project: str, found: Found) -> File:
    """Make sure that a wheel's sidecar lies beside it, and return the file as the record may hold it now.

    The key does not say its bytes, so it is created only where nothing lies; other bytes there are left alone and not announced.
    """
    if found.metadata is None:
        return found.file
    key = f"{project}/{found.file.key}.metadata"
    try:
        storage.swap(key, found.metadata, replacing=None, content_type=OCTETS)
    except Conflict:
        stored = storage.get(key)
        if stored is None or stored.body != found.metadata:
            return replace(found.file, core_metadata=False)
    return found.file


def _not_ours(filename: str, project: str) -> str | None:
    try:
        named = parse_filename(filename, project).project
    except ValueError as error:
        return str(error)
    return None if named == project else f"it is named as a file of {named}"


def _read(storage: Storage, entry: Entry, project: str) -> artifact.Artifact:
    try:
        with tempfile.TemporaryDirectory(prefix="pypiprivate-") as directory:
            path = Path(directory, entry.key.rpartition("/")[2])
            with path.open("wb") as file:
                file.writelines(storage.read(entry.key))
            if path.stat().st_size != entry.size:
                raise StorageError(f"{storage.location}/{entry.key}", "it changed while it was read.")
            return artifact.read_published(path, project)
    except OSError as error:
        reason = f"it is copied to a temporary directory to be adopted, and that failed: {error.strerror}."
        raise StorageError(f"{storage.location}/{entry.key}", reason, hint="Set TMPDIR to where there is room.") from error


def _found(read: artifact.Artifact, modified: datetime) -> Found:
    return Found(read.as_file(key=read.filename, upload_time=timestamp(modified)), read.metadata)
