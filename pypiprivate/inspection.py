"""What is wrong with one page or one file, as its project's record says it should be."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from . import adopt, artifact, documents, pages, simple
from .archive import unwatched
from .documents import Document, Record
from .errors import StorageError
from .findings import Depth, Finding, Kind
from .model import File, readme_of
from .readme import Description
from .storage.base import (
    IMMUTABLE,
    MUTABLE,
    OCTETS,
    Entry,
    Headers,
    Passes,
    Progress,
    Sent,
    Stat,
    Storage,
    Stored,
    quietly,
    slash_pages,
)

#: Of the algorithms that a record may name, those that we compute.
_ALGORITHMS = ("sha256", "sha384", "sha512", "md5")
#: What the documents are served with, where a store keeps headers.
RECORD_HEADERS = Headers(simple.JSON_TYPE, MUTABLE)
README_HEADERS = Headers(simple.HTML_TYPE, MUTABLE)
_FILE_HEADERS = Headers(OCTETS, IMMUTABLE)


def of_page(document: Document[Record], found: Stored | None, record: Record) -> Iterator[Finding]:
    """Yield what is wrong with a page, in either form.

    :param found: as it was read.
    """
    key, serial = document.name, record.serial
    made_from = documents.serial_of(found.body) if found else None
    if found is None:
        yield Finding(Kind.PAGE, key, "there is none")
    elif made_from is None:
        yield Finding(Kind.PAGE, key, "another tool wrote it")
    elif made_from > serial:
        outdated = document.key.removesuffix("index.html") + "index.json"
        yield Finding(Kind.RECORD_OUTDATED, outdated, f"its serial is {serial}, and the page was made from {made_from}")
    elif made_from < serial:
        yield Finding(Kind.PAGE, key, f"it was made from serial {made_from}, and the record is at {serial}")
    elif not _says_the_same(document, found.body, document.dump(record)):
        yield Finding(Kind.PAGE, key, "it is not what the record of its serial says")
    yield from of_headers(key, found, headers_of(document))


def _says_the_same(document: Document[Record], found: bytes, made: bytes) -> bool:
    """Tell whether two pages say the same, in whatever style: another version of this program may have written one of them."""
    is_page = document.content_type == simple.HTML_TYPE
    return found == made or (is_page and pages.without_looks(found) == pages.without_looks(made))


def headers_of(document: Document[Record]) -> Headers:
    """Return what a page is served with, where a store keeps headers."""
    return Headers(document.content_type, MUTABLE)


def of_slash_page(storage: Storage, key: str, form: str | None, found: Stored | None) -> Iterator[Finding]:
    """Yield what the settings say of a slash page, and its record does not.

    :param form: as the record says. ``found``: as it was read.
    """
    wanted = slash_pages(storage)
    if wanted and wanted != (form or "off"):
        yield Finding(Kind.SLASH, key, f"the settings say slash_pages = {wanted}, and its record says {form or 'none'}")
    elif form == "off" and found and wanted is not None:
        yield Finding(Kind.SLASH, key, "it was given up, and is still there")


def of_headers(key: str, found: Stored | Stat | None, expected: Headers) -> Iterator[Finding]:
    """Yield what an object should be served with, and is not; nothing where there is no object, or the store keeps no headers."""
    if found and found.headers not in (None, expected):
        said = found.headers
        pairs = {
            "Content-Type": (said.content_type, expected.content_type),
            "Cache-Control": (said.cache_control, expected.cache_control),
            "Content-Encoding": (said.content_encoding, expected.content_encoding),
        }
        wrong = [f"{name} {is_!r} instead of {should!r}" for name, (is_, should) in pairs.items() if is_ != should]
        yield Finding(Kind.HEADERS, key, ", ".join(wrong))


def announces_sidecar(file: File) -> bool:
    """Tell whether clients will ask for the file's sidecar (PEP 658)."""
    return file.core_metadata is not False


def is_announced(metadata: bytes, file: File) -> bool:
    """Tell whether these are the bytes that a record announces as the sidecar of *file*; of one without hash any are."""
    hashes = file.core_metadata if isinstance(file.core_metadata, Mapping) else {}
    return all(hashlib.new(name, metadata, usedforsecurity=False).hexdigest() == hashes[name] for name in _known(hashes))


def _known(hashes: Mapping[str, str]) -> list[str]:
    return [name for name in _ALGORITHMS if name in hashes]


def of_entry(file: File) -> str:
    """Return what an installer would stumble over in a record's entry, as half a sentence; empty where there is nothing."""
    if file.filename != unquote(posixpath.basename(re.split("[?#]", file.url)[0])):
        return "the record lists it under another name"
    try:
        SpecifierSet(file.requires_python or "")
    except InvalidSpecifier:
        return f"its requires-python is no specifier: {file.requires_python}"
    if file.upload_time is not None and not is_time(file.upload_time):
        return f"its upload-time is no time: {file.upload_time}"
    return ""


def is_time(text: str) -> bool:
    """Tell whether *text* is a moment as PEP 700 wants it."""
    match = re.fullmatch(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,6})?Z", text, re.ASCII)
    try:
        return bool(match and datetime.fromisoformat(match[1]))
    except ValueError:
        return False


def of_file(storage: Storage, project: str, file: File, depth: Depth, reading: Progress = quietly) -> Iterator[Finding]:
    """Yield what is wrong with a file that a record lists, and with what lies beside it.

    :param reading: is told of the file, if its bytes are read.
    :raises StorageError: the store failed; nothing is taken for absent.
    """
    key = key_of(project, file)
    if key is None:
        yield Finding(Kind.UNCHECKED, f"{project}/{file.key}", "the record says that it lies elsewhere")
        return
    found = storage.stat(key)
    if found is None:
        yield Finding(Kind.FILE_MISSING, key, "the record lists it, and nothing lies there")
    else:
        yield from _of_object(key, file, found, depth)
    sidecar = storage.get(f"{key}.metadata") if announces_sidecar(file) else None
    if announces_sidecar(file):
        yield from _of_sidecar(f"{key}.metadata", file, sidecar)
    if file.readme:
        yield from _of_readme(readme_of(key), storage)
    if found and found.size == file.size and depth is Depth.BYTES:
        sent = Passes(reading(file.filename, found.size), times=1)
        yield from _of_bytes(storage, project, file, Entry(key, found.size, found.modified), sidecar, sent=sent)
        sent.complete(found.size)  # what went away, or could not be read as what it says, was told of in part


def key_of(project: str, file: File) -> str | None:
    """Return the key at which a listed file lies, to which an inherited URL may lead roundabout; None where it lies elsewhere."""
    if file.key.startswith("/") or "://" in file.key or "\0" in file.key:
        return None
    key = posixpath.normpath(f"{project}/{file.key}")
    return None if key in (project, ".") or key.startswith("..") else key


def _of_object(key: str, file: File, found: Stat, depth: Depth) -> Iterator[Finding]:
    if found.size != file.size:
        yield Finding(Kind.FILE_DAMAGED, key, f"it has {found.size} bytes, and the record says {file.size}")
    elif not _known(file.hashes):
        yield Finding(Kind.UNCHECKED, key, "the record has no hash of it")
    elif not file.sha256 and depth is not Depth.BYTES:
        yield Finding(Kind.UNCHECKED, key, f"the record has no sha256 of it; --deep compares its {_known(file.hashes)[0]}")
    elif file.sha256 and found.sha256 not in (None, file.sha256):
        yield _damaged(key, file, found.sha256)
    yield from _of_file_headers(key, found)


def _of_file_headers(key: str, found: Stat | Stored) -> Iterator[Finding]:
    """Of a file of an older index only what would spoil it: clients undo an encoding before they hash."""
    if found.headers and key.count("/") == 1:
        yield from of_headers(key, found, replace(found.headers, content_encoding=""))
    elif found.headers:
        # Some stores know better what a .tar.gz is. No proxy minds, as long as it is no text, which may be transformed.
        said = found.headers.content_type
        is_right = said.startswith("application/")
        yield from of_headers(key, found, replace(_FILE_HEADERS, content_type=said) if is_right else _FILE_HEADERS)


def _of_sidecar(key: str, file: File, found: Stored | None) -> Iterator[Finding]:
    if found is None:
        yield Finding(Kind.SIDECAR_MISSING, key, "the record announces it, and nothing lies there")
        return
    if not is_announced(found.body, file):
        yield Finding(Kind.SIDECAR_DAMAGED, key, "its hash is not the one that the record announces")
    yield from _of_file_headers(key, found)


def _of_readme(key: str, storage: Storage) -> Iterator[Finding]:
    """What it says is not compared: another version may have made it otherwise."""
    found = storage.stat(key)
    if found is None:
        yield Finding(Kind.README_MISSING, key, "the record says that it is there, and nothing lies there")
    yield from of_headers(key, found, README_HEADERS)


def _of_bytes(
    storage: Storage, project: str, file: File, found: Entry, sidecar: Stored | None, *, sent: Sent
) -> Iterator[Finding]:
    key, read = found.key, read_back(storage, project, file, found, sent=sent)
    if read is None:
        yield Finding(Kind.FILE_MISSING, key, "it went away while it was read")
    elif file.sha256 and read.sha256 != file.sha256:
        yield _damaged(key, file, read.sha256)
    elif not file.sha256 and (wrong := _other_digest(storage, key, file)):
        yield Finding(Kind.FILE_DAMAGED, key, f"its {wrong} is not the one that the record says")
    elif announces_sidecar(file):
        yield from _of_metadata(key, file, read.metadata, sidecar)


def _other_digest(storage: Storage, key: str, file: File) -> str | None:
    """Return by which algorithm a file is not the listed one, of which an older index knew other digests."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in _known(file.hashes)}
    for piece in storage.read(key) if digests else ():
        for digest in digests.values():
            digest.update(piece)
    return next((name for name, digest in digests.items() if digest.hexdigest() != file.hashes[name]), None)


def _of_metadata(key: str, file: File, metadata: bytes | None, sidecar: Stored | None) -> Iterator[Finding]:
    if metadata is None:
        yield Finding(Kind.UNCHECKED, key, "its own metadata cannot be read, to be compared with its sidecar")
    elif not is_announced(metadata, file) or (file.core_metadata is True and sidecar and sidecar.body != metadata):
        yield Finding(Kind.METADATA_DIFFERS, f"{key}.metadata", "the metadata in the wheel are others")


class Read(NamedTuple):
    """What a file's bytes say: their digest; a wheel's metadata and a long description, None where none can be relied upon."""

    sha256: str
    metadata: bytes | None
    description: Description | None = None


def read_back(storage: Storage, project: str, file: File, found: Entry, *, sent: Sent = unwatched) -> Read | None:
    """Read a file that lies in storage; None if it went away since it was *found*.

    :param sent: is told of each byte once, though it may be fetched and hashed in turn.
    :raises StorageError: it could not be read, or is not as long as it was.
    """
    try:
        has_companion = announces_sidecar(file) or file.readme
        return _read_metadata(storage, found, project, sent) if has_companion else _read(storage, found, sent)
    except StorageError:
        if storage.stat(found.key) is None:
            return None
        raise


def _read_metadata(storage: Storage, entry: Entry, project: str, sent: Sent) -> Read:
    passes = Passes(sent, times=2)
    with suppress(ValueError):  # its name is an inherited one
        read = partial(artifact.skim_published, sent=passes)
        _, again = adopt.read_found(storage, entry, project, link=None, read=read, sent=passes)
        return Read(again.file.sha256, again.metadata, again.description)
    return _read(storage, entry, passes)


def _read(storage: Storage, entry: Entry, sent: Sent) -> Read:
    digest = hashlib.sha256()
    for piece in storage.read(entry.key):
        digest.update(piece)
        sent(len(piece))
    return Read(digest.hexdigest(), None)


def _damaged(key: str, file: File, digest: str) -> Finding:
    return Finding(Kind.FILE_DAMAGED, key, f"its sha256 is {digest[:12]}…, and the record says {file.sha256[:12]}…")
