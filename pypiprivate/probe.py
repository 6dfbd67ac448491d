"""Does a store honour conditional writes, and keep slash pages? Asked of itself, before the first write that relies on it."""

from __future__ import annotations

import uuid
from contextlib import suppress

from .errors import Conflict, StorageError, UnsafeStorage
from .storage.base import OCTETS, Storage, Stored

#: How often a write to a key that nobody else knows may meet a conflict.
_TRIES = 3
_NO_SLASH = "Leave slash_pages out, and let a web server serve the index (pypi-private recipe nginx-s3)."


def probe(storage: Storage) -> None:
    """Try both kinds of condition on a random key, and remove it.

    :raises UnsafeStorage: the store ignores one of them (many S3 imitations do; some honour one kind only).
    :raises StorageError: the store failed, or does not give back what it took.
    """
    key = f".pypiprivate/probe-{uuid.uuid4().hex}"
    try:
        first = _write(storage, key, b"first", None)
        if not _refused(storage, key, None):
            raise UnsafeStorage(storage.location, "If-None-Match: *")
        _write(storage, key, b"the second", first)
        if not _refused(storage, key, first):
            raise UnsafeStorage(storage.location, "If-Match: ETAG")
    finally:
        # A key that may not delete leaves a few bytes behind, under a name that nobody lists; that is no verdict on the store.
        with suppress(StorageError):
            storage.delete(key)


def probe_slash(storage: Storage) -> None:
    """Try whether the store keeps what is written under a key that ends in a slash: some take it for a directory's.

    :raises StorageError: it does not: clients would be served an empty page, and take that for a project without files.
    """
    key = f".pypiprivate/probe-{uuid.uuid4().hex}/"
    try:
        with suppress(Conflict):
            storage.swap(key, b"probe", replacing=None, content_type=OCTETS)
        stored = storage.get(key)
    except StorageError as error:
        reason = f"an object whose key ends in a slash cannot be written there, or not be read: {error.reason}"
        raise StorageError(storage.location, reason, hint=f"Try again; if it stays so: {_NO_SLASH}") from error
    finally:
        with suppress(StorageError):
            storage.delete(key)
    if stored is None or stored.body != b"probe":
        reason = "this store does not give back what is written under a key that ends in a slash: clients would read empty pages."
        raise StorageError(storage.location, reason, hint=_NO_SLASH)


def _write(storage: Storage, key: str, body: bytes, replacing: Stored | None) -> Stored:
    """Nobody else knows the key: a conflict is the trace of our own write whose reply was lost, or asks to try again; so look."""
    for _ in range(_TRIES):
        with suppress(Conflict):
            storage.swap(key, body, replacing=replacing, content_type=OCTETS)
        stored = storage.get(key)
        if stored and stored.body == body:
            return stored
    raise StorageError(storage.location, "the store does not give back what was just written to it.")


def _refused(storage: Storage, key: str, stale: Stored | None) -> bool:
    try:
        storage.swap(key, b"never to be seen", replacing=stale, content_type=OCTETS)
    except Conflict:
        return True
    return False
