"""Tries a store: whether it takes, gives back, lists, deletes and honours conditions, as publishing relies on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from .. import simple
from ..checks import Check, Verdict, fail, failure, ok, skipped, told, warn
from ..errors import Conflict, PypiPrivateError, StorageError
from ..probe import probe
from ..storage.base import OCTETS, Storage

_BODY = b"Written by pypi-private doctor, which removes it again.\n"
_RIGHTS = "Check the rights of these credentials, or of this user."


def examine(storage: Storage, checked: Callable[[Check], object] = lambda _check: None) -> tuple[Check, ...]:
    """Try everything that publishing asks of *storage*, on a random key under ``.pypiprivate/`` that is removed again.

    Where the place is not there (or not yet) nothing is tried, and so nothing is made.

    :param checked: is told of each check as soon as it is done.
    """
    survey: Any = getattr(storage, "survey", tuple)
    found: tuple[Check, ...] = tuple(survey())
    if any(check.verdict is not Verdict.OK for check in found[:1]):
        return (*found, skipped("write", "nothing was written, because there is no place for it."))
    key = f".pypiprivate/doctor-{uuid.uuid4().hex}"
    try:
        return (*found, *told(_tried(storage, key), checked))
    finally:
        with suppress(StorageError):  # a store that does not delete was said to be one
            storage.delete(key)


def _tried(storage: Storage, key: str) -> Iterator[Check]:
    for name, attempt in (("read", _read), ("absent", _absent), ("list", _list)):
        yield _checked(name, attempt, storage, key)
    written = _checked("write", _write, storage, key)
    yield written
    own: Any = getattr(storage, "examine", lambda _key: ())
    if written.verdict is Verdict.OK:
        for name, attempt in (("store", _store), ("conditions", _conditions)):
            yield _checked(name, attempt, storage, key)
    yield from _own(own, key)
    if written.verdict is Verdict.OK:
        yield _checked("delete", _delete, storage, key)


def _own(examine: Any, key: str) -> Iterator[Check]:
    try:
        yield from examine(key)
    except StorageError as error:
        yield failure("store's own", error)


def _checked(name: str, attempt: Callable[[Storage, str], Check], storage: Storage, key: str) -> Check:
    try:
        return attempt(storage, key)
    except PypiPrivateError as error:
        return failure(name, error)


def _read(storage: Storage, _key: str) -> Check:
    stored = storage.get(simple.ROOT_RECORD)
    if stored is None:
        return ok("read", f"nothing is published in {storage.location} by this program yet.")
    names = simple.root_from_json(stored.body).projects
    return ok("read", f"the index in {storage.location} names {len(names)} project{'s' * (len(names) != 1)}.")


def _absent(storage: Storage, key: str) -> Check:
    if storage.get(key) is not None:
        return fail("absent", "the store gives something for a key that nobody ever wrote.", "Use another store.")
    return ok("absent", "a key that is not there is told from one that may not be read.")


def _list(storage: Storage, _key: str) -> Check:
    """List one project, for a whole index may be long."""
    stored = storage.get(simple.ROOT_RECORD)
    project = min(simple.root_from_json(stored.body).projects, default="") if stored else ""
    record = simple.record_key(project or "pypiprivate-doctor")
    listed = {entry.key for entry in storage.list(record.removesuffix("index.json"))}
    if record not in listed and storage.get(record):
        return fail("list", f"the store does not list {record}, which is there.", _RIGHTS)
    return ok("list", "what is there is listed.")


def _write(storage: Storage, key: str) -> Check:
    with suppress(Conflict):  # the trace of our own write whose reply was lost: the key is nobody else's
        storage.swap(key, _BODY, replacing=None, content_type=OCTETS)
    stored = storage.get(key)
    if stored is None or stored.body != _BODY:
        return fail("write", "the store does not give back what was just written.", "Use another store, or no cache before it.")
    return ok("write", "what is written can be read at once.")


def _store(storage: Storage, key: str) -> Check:
    """An artifact is sent with other headers than a document."""
    storage.store(key, _BODY, sha256=hashlib.sha256(_BODY).hexdigest())
    found = storage.stat(key)
    if found is None or found.size != len(_BODY):
        return fail("store", "the store does not say the size of what was just stored.", "Use another store.")
    if found.content_type not in {None, OCTETS}:
        return warn(
            "store", f"the store serves artifacts as {found.content_type}.", f"Let it keep the type that we send, {OCTETS}."
        )
    return ok("store", "an artifact can be stored, and the store says its size.")


def _conditions(storage: Storage, _key: str) -> Check:
    if not storage.conditional:
        said = "conditional_writes = off: nothing keeps two publishers at once from losing each other's releases."
        return warn("conditions", said, "Try without that setting: this check then says whether the store honours conditions.")
    probe(storage)
    return ok("conditions", "the store honours If-None-Match and If-Match, or does what they do.")


def _delete(storage: Storage, key: str) -> Check:
    storage.delete(key)
    if storage.get(key) is not None:
        return fail("delete", "the store still gives what was just deleted.", _RIGHTS)
    return ok("delete", "what is deleted is gone.")
