"""Removes what no record names: objects of crashed commands, of replaced files and of unfinished deletions.

Safe beside running publishers. An object is first condemned through the record: a publisher who was about to list it sees that
in its own edit, and stores it under another key. Nothing goes before a day has passed, for readers of an older page may want it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TypeVar

from . import clocks, simple
from .concurrency import Stream, in_turn, singly
from .errors import NotPublished, Unreadable, UnsupportedIndex, raised
from .filenames import is_normalized
from .findings import Counted, silently
from .index import Index
from .listing import Directory, Leftover, Why, directories, leftovers
from .model import Project, timestamp
from .publish import utc_now
from .storage.base import Progress, Sent, Storage, quietly
from .verify import counting

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long an object stays that no record names.
GRACE = timedelta(days=1)


@dataclass(frozen=True)
class Garbage:
    """What may go, or went, of one project's directory."""

    project: str
    leftovers: tuple[Leftover, ...]

    @property
    def size(self) -> int:
        """Bytes of all its objects."""
        return sum(leftover.entry.size for leftover in self.leftovers)


def find(
    storage: Storage,
    names: Sequence[str] = (),
    *,
    clock: Callable[[], datetime] = utc_now,
    unreadable: Unreadable = raised,
    stream: Stream = in_turn,
    counted: Counted = silently,
) -> Iterator[Garbage]:
    """Yield what :func:`collect` would remove, for each project that has any. Writes nothing.

    :param names: normalised; of none: all projects.
    :param clock: gives the present moment (UTC); it is believed, for to ask the store would be to write.
    :param unreadable: is told of projects that cannot be understood, from any thread; nothing of them goes.
    :param stream: runs calls, at once or in turn.
    :param counted: is told how many projects were looked at, and how many there may be.
    :raises NotPublished: there is no such project, or an older index has it, which has no record; or nothing at all.
    :raises StorageError: the store failed.
    """
    looked = _looked(storage, names, clock, unreadable, stream)
    return (garbage for garbage, _ in _due_in(counting(storage, names, looked, counted)))


def collect(
    storage: Storage,
    names: Sequence[str] = (),
    *,
    clock: Callable[[], datetime] = utc_now,
    unreadable: Unreadable = raised,
    compare: Callable[[Storage, Callable[[], datetime]], None] = clocks.compare,
    sleep: Callable[[float], None] = time.sleep,
    stream: Stream = in_turn,
    counted: Counted = silently,
    removing: Progress = quietly,
) -> Iterator[Garbage]:
    """Remove what no record has named for a day, and yield what went: the record first, then its page, then the objects.

    Other arguments and errors are as of :func:`find`. What an interrupted run had condemned goes a day later.

    :param removing: is told of objects that are deleted: the project, and how many there are; what it returns is told of each.
    :param compare: raises where this clock and the store's do not agree; called once, before the first write.
    :raises WrongClock: they do not: fresh objects may look old.
    """
    looked = counting(storage, names, _looked(storage, names, clock, unreadable, stream), counted)
    due = _in_good_time(_due_in(looked), lambda: compare(storage, clock))
    condemn = partial(_understood, unreadable, partial(_condemn, storage, sleep=sleep))
    condemned = filter(None, stream(partial(condemn, found, clock()) for _, found in due))
    begun = ((one, removing(one.project, len(one.leftovers))) for one in condemned if one.leftovers)
    deleted = stream(partial(_delete, storage, one, leftover, removed) for one, removed in begun for leftover in one.leftovers)
    return (garbage for garbage, _ in groupby(deleted))


def _in_good_time(looked: Iterator[T], compare: Callable[[], None]) -> Iterator[T]:
    """Where there is nothing to remove, nothing is written, not even to see what time it is."""
    first = next(looked, None)
    if first is not None:
        compare()
        yield first
        yield from looked


def _looked(
    storage: Storage, names: Sequence[str], clock: Callable[[], datetime], unreadable: Unreadable, stream: Stream
) -> Iterator[tuple[Garbage, Directory] | None]:
    """None stands for a project that cannot be understood."""
    projects = (found for found in _directories(storage, names, stream) if is_normalized(found.name))
    look = partial(_understood, unreadable, partial(_find, storage, must_be_there=bool(names)))
    return stream(partial(look, found, clock()) for found in projects)


def _due_in(looked: Iterator[tuple[Garbage, Directory] | None]) -> Iterator[tuple[Garbage, Directory]]:
    return (each for each in looked if each and each[0].leftovers)


def _understood(unreadable: Unreadable, act: Callable[[Directory, datetime], T], found: Directory, now: datetime) -> T | None:
    try:
        return act(found, now)
    except UnsupportedIndex as error:
        unreadable(error)
        return None


def _directories(storage: Storage, names: Sequence[str], stream: Stream) -> Iterator[Directory]:
    found = directories(storage, names, stream)
    first = next(found, None)
    if first is None:
        raise NotPublished("index", storage.location)
    yield first
    yield from found


def _find(storage: Storage, found: Directory, now: datetime, *, must_be_there: bool) -> tuple[Garbage, Directory]:
    """The record is read after what lies there was listed: what a publisher stores from now on is not looked at."""
    stored = storage.get(simple.record_key(found.name))
    if stored is None and must_be_there:
        raise NotPublished(f"project {found.name} with a record", storage.location)
    due = _due(simple.project_from_json(stored.body, found.name), found, now) if stored else ()
    return Garbage(found.name, due), found


def _due(record: Project, found: Directory, now: datetime) -> tuple[Leftover, ...]:
    before = timestamp(now - GRACE)
    ours = (leftover for leftover in leftovers(record, found.entries) if leftover.why is not Why.FOREIGN)
    return tuple(leftover for leftover in ours if leftover.since < before)


def _condemn(storage: Storage, found: Directory, now: datetime, *, sleep: Callable[[float], None]) -> Garbage:
    due: tuple[Leftover, ...] = ()

    def edit(record: Project) -> Project:
        nonlocal due
        # Of the newest record: what was an orphan when we looked may be listed by now, or even given up again.
        due = _due(record, found, now) if record.serial else ()
        orphans = dict.fromkeys(leftover.key for leftover in due if leftover.why is Why.ORPHAN)
        return record.condemn(orphans, timestamp(now))

    index = Index(storage, sleep=sleep, gather=singly)
    index.look([found.name])
    index.settle(found.name)
    index.finish([index.change(found.name, edit)])
    return Garbage(found.name, due)


def _delete(storage: Storage, garbage: Garbage, leftover: Leftover, removed: Sent) -> Garbage:
    storage.delete(leftover.entry.key)
    log.info("deleted %s", leftover.entry.key)
    removed(1)
    return garbage
