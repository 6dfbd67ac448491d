"""Does this machine's clock go as the store's does? Asked of the store itself, before anything is removed for its age."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from .errors import Conflict, StorageError, WrongClock
from .storage.base import OCTETS, Storage

#: How far the two may be apart; Amazon refuses a request that is dated further off.
TOLERANCE = timedelta(minutes=15)


def compare(storage: Storage, clock: Callable[[], datetime]) -> None:
    """Write an object under a random key, see when the store says that it was written, and remove it.

    :param clock: gives the present moment (UTC), as this machine has it.
    :raises WrongClock: the two are too far apart to tell how old anything is.
    :raises StorageError: the store failed, or does not give back what it took.
    """
    before = clock()
    written = _written(storage)
    after = clock()  # however long the store took
    if before - written > TOLERANCE:
        raise WrongClock(storage.location, before - written)
    if written - after > TOLERANCE:
        raise WrongClock(storage.location, after - written)


def _written(storage: Storage) -> datetime:
    key = f".pypiprivate/probe-{uuid.uuid4().hex}"
    try:
        with suppress(Conflict):  # the trace of our own write whose reply was lost: the key is nobody else's
            storage.swap(key, b"what time is it?", replacing=None, content_type=OCTETS)
        found = storage.stat(key)
    finally:
        with suppress(StorageError):  # a few bytes stay behind, under a name that nobody lists
            storage.delete(key)
    if found is None:
        raise StorageError(storage.location, "the store does not give back what was just written to it.")
    return found.modified
