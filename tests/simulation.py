"""A model checker for commands: runs their real code over a storage in memory, one operation at a time, in every order.

A command is deterministic but for the answers of the storage. So the state of a run is what lies in the storage, together with
the answers that each command has had; two orders that lead to one such state have one future, and it is explored once. A command
is brought to a state by giving it the answers that it had, anew if need be. Of a command that has ended only what it reported
is told apart, and one that died or met a dead store is run again from scratch: nothing of what it was told matters any more.

The storage here honours conditions; what goes wrong is chosen by the explorer: a command dies, a write happens and its reply is
lost, the SDK repeats such a write in silence, a condition fails or an operation is refused for no reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from greenlet import greenlet

from pypiprivate import documents, simple
from pypiprivate.errors import Conflict, PypiPrivateError, StorageError
from pypiprivate.model import Project, Used, described_by, readme_of
from pypiprivate.storage.base import Entry, Sent, Stat, Storage, Stored

LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)

#: Runs on a storage and returns what it reports; must be deterministic.
Command = Callable[[Storage], Any]


@dataclass(frozen=True)
class Object:
    """What lies under a key: ``version`` counts the writes, so that equal bytes written again are a new state."""

    body: bytes
    version: int


class Objects(dict[str, Object]):
    """Everything that lies in the storage, by key; never changed, but copied."""

    def having(self, key: str, body: bytes) -> Objects:
        """Return a copy with *body* written under *key*."""
        new, found = self._copy(), self.get(key)
        new[key] = Object(body, found.version + 1 if found else 1)
        return new

    def lacking(self, key: str) -> Objects:
        """Return a copy with nothing under *key*."""
        new = self._copy()
        new.pop(key, None)
        return new

    def _copy(self) -> Objects:
        return type(self)(self)


class FoldingObjects(Objects):
    """On a file system that folds case: keys that differ in case only are one, and a listing shows them in lower case."""

    def __getitem__(self, key: str) -> Object:
        return super().__getitem__(key.casefold())

    def __setitem__(self, key: str, found: Object) -> None:
        super().__setitem__(key.casefold(), found)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).casefold())

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.casefold(), default)

    def pop(self, key: str, *default: Any) -> Any:
        return super().pop(key.casefold(), *default)


@dataclass(frozen=True)
class Operation:
    """One request to the storage."""

    verb: str
    key: str
    body: bytes = b""
    replacing: str | None = None  # an etag; None: must not exist

    @property
    def writes(self) -> bool:
        return self.verb in ("swap", "store", "put", "delete")

    def apply(self, objects: Objects) -> tuple[Objects, Answer]:
        """Do it: what lies there afterwards, and what the caller is told."""
        found = objects.get(self.key)
        if self.verb == "swap" and _etag(found) != self.replacing:
            return objects, Conflict(self.key)
        if self.verb in ("swap", "store", "put"):
            return objects.having(self.key, self.body), None
        if self.verb == "delete":
            return objects.lacking(self.key), None
        return objects, self._look(objects, found)

    def _look(self, objects: Objects, found: Object | None) -> Answer:
        if self.verb == "list":
            return tuple(Entry(key, len(objects[key].body), LONG_AGO) for key in sorted(objects) if self._lists(key))
        if self.verb == "get":
            return Stored(found.body, str(found.version)) if found else None
        if self.verb == "stat":
            return Stat(len(found.body), hashlib.sha256(found.body).hexdigest(), LONG_AGO, None) if found else None
        return found.body if found else StorageError(self.key, "there is no such object.")

    def _lists(self, key: str) -> bool:
        return key.startswith(self.key) and not key.startswith(".pypiprivate/") and not is_slash_page(key)


#: What a command is told: a value, or an exception to raise.
Answer = Any


def _etag(found: Object | None) -> str | None:
    return str(found.version) if found else None


class Stepped:
    """A storage for one command: every operation waits for its answer."""

    location = "simulation"
    # Most commands here need no probe: it would only make them longer, and its random keys make each run another one.
    conditional = False
    #: A command may be given another one, see :class:`~pypiprivate.storage.base.Slashing`.
    slash_pages: str | None = None

    def _ask(self, operation: Operation) -> Any:
        parent = greenlet.getcurrent().parent
        assert parent
        answer = parent.switch(operation)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def get(self, key: str) -> Stored | None:
        return self._ask(Operation("get", key))  # type: ignore[no-any-return]

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        self._ask(Operation("swap", key, body, replacing.etag if replacing else None))

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        self._ask(Operation("store", key, body if isinstance(body, bytes) else body.read_bytes()))

    def stat(self, key: str) -> Stat | None:
        return self._ask(Operation("stat", key))  # type: ignore[no-any-return]

    def read(self, key: str) -> Iterator[bytes]:
        yield self._ask(Operation("read", key))

    def list(self, prefix: str) -> Iterator[Entry]:
        yield from self._ask(Operation("list", prefix))

    def delete(self, key: str) -> None:
        self._ask(Operation("delete", key))

    def put(self, key: str, body: bytes) -> None:
        """Write whatever lies there, as older tools do; no part of the protocol of storages."""
        self._ask(Operation("put", key, body))


class Direct(Stepped):
    """A storage for one command that has it to itself."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def _ask(self, operation: Operation) -> Any:
        self.objects, answer = operation.apply(self.objects)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass(frozen=True)
class Ended:
    """A command came to its end: with a result, or with an error of ours."""

    result: Any = None
    error: PypiPrivateError | None = None


class Script:
    """A command, brought to any point by the answers that lead there: it goes on where it waits, else it is run anew.

    :ivar known: what follows the answers of each digest; the same ones are met again and again while another command moves.
    :ivar follows: what follows each history, see :class:`Run`.
    """

    #: How many points it waits at.
    WAITING = 200

    def __init__(self, command: Command) -> None:
        self.command = command
        self._waiting: dict[int, greenlet] = {}
        self.known: dict[int, Operation | Ended] = {0: self._goes_on(0, *self._from_scratch(()))}
        self.follows = dict(self.known)

    def told(self, answers: tuple[Answer, ...], before: int, after: int) -> Operation | Ended:
        """Return what it asks next, or its end; *before* and *after* are the digests without the last answer and with it."""
        if after not in self.known:
            running = self._waiting.pop(before, None) or self._from_scratch(answers[:-1])[0]
            self.known[after] = self._goes_on(after, running, running.switch(answers[-1]))
        return self.known[after]

    def _from_scratch(self, answers: tuple[Answer, ...]) -> tuple[greenlet, Operation | Ended]:
        def run() -> Ended:
            try:
                return Ended(self.command(Stepped()))
            except PypiPrivateError as error:
                return Ended(error=error)

        running = greenlet(run)
        asked: Operation | Ended = running.switch()
        for answer in answers:
            asked = running.switch(answer)
        return running, asked

    def _goes_on(self, digest: int, running: greenlet, asked: Operation | Ended) -> Operation | Ended:
        if isinstance(asked, Operation):
            self._waiting[digest] = running
            if len(self._waiting) > self.WAITING:
                self._waiting.pop(next(iter(self._waiting))).throw()  # the one that waits longest
        return asked


#: What matters of an entry in a listing to those who read it; None: nothing.
Reads = Callable[[Entry], Any]


def everything(entry: Entry) -> Any:
    """Tell listings apart by each entry in them."""
    return entry


def what_publishing_reads(entry: Entry) -> Any:
    """Tell listings apart by what lies right in a project's directory, and by which projects have a page.

    What lies under keys by content, and how long a document is, comes to nothing in :mod:`.adopt` and in :mod:`.index`.
    """
    _, _, name = entry.key.partition("/")
    if "/" in name or name in ("", "index.json"):
        return None
    return entry.key if name == "index.html" else entry


def what_removing_reads(entry: Entry) -> Any:
    """Tell listings apart by every artifact in them, and by which documents there are: nobody asks a listing how long one is."""
    return entry.key if entry.key.endswith(("index.json", "index.html")) else entry


@dataclass(frozen=True)
class Run:
    """A command on its way.

    :ivar reads: what matters to it of a listing.
    :ivar answers: that it had.
    :ivar digest: of these.
    :ivar history: a digest of what mattered of these, which tells two states of the command apart.
    :ivar next: what it asks next, or its end; None: it died.
    """

    script: Script
    reads: Reads
    answers: tuple[Answer, ...]
    digest: int
    history: int
    next: Operation | Ended | None

    @classmethod
    def begin(cls, command: Command, reads: Reads = everything) -> Run:
        script = Script(command)
        return cls(script, reads, (), 0, 0, script.known[0])

    def told(self, answer: Answer) -> Run:
        digest, history = hash((self.digest, _mark(answer))), hash((self.history, _mark(answer, self.reads)))
        answers = (*self.answers, answer)
        asked = self.script.told(answers, self.digest, digest)
        run = replace(self, answers=answers, digest=digest, history=history, next=asked)
        return run._as_others_told_alike()

    def _as_others_told_alike(self) -> Run:
        """Make sure that what was thought not to matter of a listing does not; else states would be merged that are two."""
        assert isinstance(self.next, (Operation, Ended))
        other = self.script.follows.setdefault(self.history, self.next)
        if other is not self.next and _shown(other) != _shown(self.next):
            raise AssertionError(
                f"more matters of a listing than {self.reads.__name__} says: {_shown(other)}, {_shown(self.next)}"
            )
        return self

    @property
    def ended(self) -> bool:
        return not isinstance(self.next, Operation)

    @property
    def mark(self) -> Any:
        """What tells it from other runs of the command: what it was told; once it has ended, only what it reported.

        Nobody asks anything else of a run at rest. One that died is run again, and so is one that ended with a failed store.
        """
        if isinstance(self.next, Operation):
            return self.history
        return _shown(self.next or Ended(error=StorageError("a process", "died")))


def _mark(answer: Answer, reads: Reads = everything) -> Any:
    if isinstance(answer, BaseException):
        return type(answer), str(answer)
    return tuple(filter(None, map(reads, answer))) if isinstance(answer, tuple) else answer


def _shown(asked: Operation | Ended) -> Any:
    return asked if isinstance(asked, Operation) else (asked.result, type(asked.error))


#: Ways for an operation to go wrong: what lies there afterwards, and what the caller is told.
Fault = Callable[[Operation, Objects], tuple[Objects, Answer] | None]


def lost_reply(operation: Operation, objects: Objects) -> tuple[Objects, Answer] | None:
    """It is done, and the caller is told that the store failed."""
    return (operation.apply(objects)[0], _gone(operation)) if operation.writes else None


def silent_retry(operation: Operation, objects: Objects) -> tuple[Objects, Answer] | None:
    """It is done, the reply is lost, and the SDK does it again: the caller is told of the second time."""
    return operation.apply(operation.apply(objects)[0]) if operation.verb == "swap" else None


def refused_condition(operation: Operation, objects: Objects) -> tuple[Objects, Answer] | None:
    """A 409 or 412 although nothing changed."""
    return (objects, Conflict(operation.key)) if operation.verb == "swap" else None


def unavailable(operation: Operation, objects: Objects) -> tuple[Objects, Answer] | None:
    """A 503 or 403: nothing is done."""
    return objects, _gone(operation)


def _gone(operation: Operation) -> StorageError:
    return StorageError(operation.key, "503")


FAULTS: tuple[Fault, ...] = (lost_reply, silent_retry, refused_condition, unavailable)


@dataclass(frozen=True)
class State:
    """Where a simulation is.

    :ivar objects: what lies in the storage.
    :ivar faults: how many may still be chosen.
    :ivar private: keys that only one of the commands ever touches, or that nobody writes. What is done to them commutes with all
        that others do, so an order in which it is done at once stands for all.
    :ivar shown: keys that a page has shown so far: readers who hold it may want them for a day. None: nobody holds an old page.
    """

    objects: Objects
    runs: tuple[Run, ...]
    faults: int
    private: frozenset[str] = frozenset()
    shown: frozenset[str] | None = None

    @property
    def key(self) -> Any:
        """What tells it from other states: those alike in this have one future, and are at rest alike."""
        return self.faults, self.shown, frozenset(self.objects.items()), tuple(run.mark for run in self.runs)

    def fails_readers(self) -> str | None:
        """Say what a reader of an old page does not find any more."""
        missing = sorted(key for key in self.shown or () if key not in self.objects)
        return f"{missing[0]} is not there any more, and a page of the same day shows it" if missing else None

    def steps(self) -> Iterator[tuple[str, State]]:
        """Yield everything that can happen next, by a name that tells it from the others."""
        asking = [(number, run, run.next) for number, run in enumerate(self.runs) if isinstance(run.next, Operation)]
        alone = [(number, run, operation) for number, run, operation in asking if operation.key in self.private]
        for number, run, operation in alone[:1] or asking:
            objects, answer = operation.apply(self.objects)
            yield f"{number} {operation.verb} {operation.key}", self._after(number, objects, run.told(answer), 0)
            if self.faults:
                yield from self._wrong_steps(number, run, operation)

    def _wrong_steps(self, number: int, run: Run, operation: Operation) -> Iterator[tuple[str, State]]:
        yield f"{number} dies", self._after(number, self.objects, replace(run, next=None), 1)
        for fault in FAULTS:
            if outcome := fault(operation, self.objects):
                objects, answer = outcome
                name = f"{number} {operation.verb} {operation.key} {fault.__name__}"
                yield name, self._after(number, objects, run.told(answer), 1)

    def _after(self, number: int, objects: Objects, run: Run, faults: int) -> State:
        runs = (*self.runs[:number], run, *self.runs[number + 1 :])
        shown = None if self.shown is None else self.shown | shown_by_pages(objects)
        return replace(self, objects=objects, runs=runs, faults=self.faults - faults, shown=shown)


def shown_by_pages(objects: Objects) -> frozenset[str]:
    """Return the keys that the projects' pages show."""
    pages = {key: objects[key].body for key in objects if key.endswith("/index.html") or (key and is_slash_page(key))}
    return frozenset(shown for key, page in pages.items() for shown in _shown_by(key.partition("/")[0], page))


def _shown_by(project: str, page: bytes) -> list[str]:
    if page.startswith(b"{"):
        return [f"{project}/{unquote(file['url'])}" for file in json.loads(page)["files"]]
    return [f"{project}/{unquote(url)}" for url in re.findall(r'<(?:a href|iframe [^>]* src)="([^"#]+)', page.decode())]


def is_slash_page(key: str) -> bool:
    """Tell whether a key is that of a slash page; the root's is empty."""
    return not key or (key.endswith("/") and not key.startswith(".pypiprivate/"))


def is_page(key: str) -> bool:
    """Tell whether a key is that of a page, be it a slash page."""
    return key.endswith(".html") or is_slash_page(key)


def record_key_of(page: str) -> str:
    """Return the key of the record that a page is derived from."""
    return page.removesuffix("index.html") + "index.json"


class Violation(AssertionError):
    """A promise is broken; the schedule that leads there replays."""

    def __init__(self, schedule: tuple[str, ...], reason: str) -> None:
        self.schedule = schedule
        super().__init__("\n".join([reason, *schedule]))


@dataclass
class Explorer:
    """Goes everywhere from a state, and checks each state, each step and each end.

    :ivar at_rest: says what is wrong when every command has ended, the interrupted ones after a re-run; None: nothing.
    :ivar whole: names of the files that one command publishes: a record has all of them or none.
    :ivar tolerated: what somebody has torn before all begins, for ``repair``.
    :ivar key: tells states apart.
    :ivar storages: digests of all that ever lay in the storage.
    """

    at_rest: Callable[[Objects, tuple[Run, ...]], str | None]
    whole: Sequence[set[str]] = ()
    tolerated: frozenset[str] = frozenset()
    key: Callable[[State], Any] = attrgetter("key")
    states: int = 0
    ends: int = 0
    storages: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)

    def explore(self, state: State, *, limit: int = 1_000_000) -> None:
        """Visit every state; raise a :class:`Violation` at the first that breaks a promise."""
        stack: list[tuple[State, tuple[str, ...]]] = [(state, ())]
        while stack and self.states < limit:
            here, schedule = stack.pop()
            if not self._is_new(here):
                continue
            self.states += 1
            self._check(here, schedule)
            for name, there in here.steps():
                if reason := broken_by_step(here.objects, there.objects):
                    raise Violation((*schedule, name), reason)
                stack.append((there, (*schedule, name)))

    def walk(self, state: State, choose: Callable[[int], int]) -> None:
        """Take one way to an end; *choose* picks one of so many steps."""
        schedule: tuple[str, ...] = ()
        while steps := list(state.steps()):
            # A fault now and then, or most commands would be dead before they meet.
            sound = [step for step in steps if step[1].faults == state.faults]
            steps = sound if choose(12) else steps
            name, there = steps[choose(len(steps))]
            schedule = (*schedule, name)
            if reason := broken_by_step(state.objects, there.objects):
                raise Violation(schedule, reason)
            state = there
            self.states += 1
            self._check(state, schedule)

    def _is_new(self, state: State) -> bool:
        key = hash(self.key(state))
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _check(self, state: State, schedule: tuple[str, ...]) -> None:
        objects = hash(frozenset(state.objects.items()))
        if objects not in self.storages:
            self.storages.add(objects)
            torn = next((reason for reason in tears(state.objects) if reason not in self.tolerated), None)
            if reason := torn or halved(state.objects, self.whole):
                raise Violation(schedule, reason)
        if reason := state.fails_readers():
            raise Violation(schedule, reason)
        if all(run.ended for run in state.runs):
            self.ends += 1
            if reason := self.at_rest(state.objects, state.runs):
                raise Violation(schedule, reason)


def torn(objects: Objects) -> str | None:
    """Say what is listed or shown and not there, whole and with its sidecar; no page may be ahead of its record."""
    return next(tears(objects), None)


def tears(objects: Objects) -> Iterator[str]:
    """Yield all that is torn."""
    for key in [key for key in objects if key.endswith("/index.json")]:
        project = record_of(key, objects[key].body)
        for file in project.held_files:
            yield from _torn_file(objects, f"{project.name}/{file.key}", file.sha256, file.core_metadata)
            if file.readme and readme_of(f"{project.name}/{file.key}") not in objects:
                yield f"the README of {project.name}/{file.key} is not there"
        for page in (simple.page_key(project.name), simple.slash_key(project.name)):
            yield from _torn_page(objects, project, objects.get(page))
    for key in [key for key in objects if is_page(key) and documents.serial_of(objects[key].body) is not None]:
        if record_key_of(key) not in objects:
            yield f"{key} has no record"


def _torn_page(objects: Objects, project: Project, page: Object | None) -> Iterator[str]:
    if page is None or (serial := documents.serial_of(page.body)) is None:
        return
    if serial > project.serial:
        yield f"the page of {project.name} is ahead of its record"
    for key in _shown_by(project.name, page.body):
        if key not in objects:
            yield f"the page of {project.name} shows {key}, which is not there"


def _torn_file(objects: Objects, key: str, sha256: str, core_metadata: Any) -> Iterator[str]:
    if key not in objects or hashlib.sha256(objects[key].body).hexdigest() != sha256:
        yield f"{key} is listed and is not there, or has other bytes"
    if core_metadata:
        sidecar = objects.get(f"{key}.metadata")
        if not sidecar or hashlib.sha256(sidecar.body).hexdigest() != core_metadata["sha256"]:
            yield f"{key}.metadata is announced and is not there, or has other bytes"


def halved(objects: Objects, releases: Sequence[set[str]]) -> str | None:
    """Say which record has a part of a release only."""
    for key in [key for key in objects if key.endswith("/index.json")]:
        held = {filename for filename, _ in files_of(record_of(key, objects[key].body))}
        if any(release & held not in (set(), release) for release in releases):
            return f"{key} has a part of a release only"
    return None


def broken_by_step(before: Objects, after: Objects) -> str | None:
    """Say what a single step took away: a listed file, what was given up, a project's name, a page's serial; or wrongly added."""
    for key, found in before.items():
        changed = after.get(key)
        if changed is found:
            continue
        is_document = key.endswith(".json") or (is_page(key) and not described_by(key))
        if changed is None and is_document and not _was_given_up(key, after):
            return f"{key} disappeared"
        if key.endswith("/index.json") and changed and (reason := _broken_record(key, found.body, changed.body)):
            return reason
        if key == simple.ROOT_RECORD and changed and (names := _names(found) - _names(changed)):
            return f"the root lost {sorted(names)}"
        if is_page(key) and changed and _is_older(changed, found):
            return f"{key} went back to an older serial"
    return None


def _was_given_up(key: str, objects: Objects) -> bool:
    """Tell whether this is a slash page, and the record says that there is none any more."""
    record = objects.get(record_key_of(key))
    return is_slash_page(key) and record is not None and json.loads(record.body).get("_slash") == "off"


def _is_older(page: Object, than: Object) -> bool:
    """Only pages of ours have a serial; an older tool writes what it likes."""
    serial, before = documents.serial_of(page.body), documents.serial_of(than.body)
    return serial is not None and before is not None and serial < before


@lru_cache(maxsize=1 << 14)
def _broken_record(key: str, before: bytes, after: bytes) -> str | None:
    was, is_ = record_of(key, before), record_of(key, after)
    if lost := _lost(was, is_):
        return f"{key} lost {lost}"
    if {*was.used, *was.deleted} - {*is_.used, *is_.deleted}:
        return f"{key} forgot what was given up"
    # What an older tool left counts as published before, whenever it is found.
    new = {file.key for file in is_.held_files if "/" in file.key} - {file.key for file in was.held_files}
    return f"{key} took {sorted(new)}, and was {was.status.marker}" if new and was.status.marker in CLOSED else None


#: Projects of these statuses take no new files (PEP 792).
CLOSED = ("archived", "quarantined")


def listed_again(objects: Objects) -> str | None:
    """Say what a record lists under a key that was given up: the object may go at any moment."""
    for key in [key for key in objects if key.endswith("/index.json")]:
        project = record_of(key, objects[key].body)
        used = {used.directory for used in project.used}
        if again := [file.key for file in project.held_files if Used(file.key, "").directory in used]:
            return f"{key} lists {again[0]}, a key that was given up"
    return None


def litter(objects: Objects) -> str | None:
    """Say what lies in a project's directory under a key by content, and is no file of its record."""
    for key in [key for key in objects if key.endswith("/index.json")]:
        project = record_of(key, objects[key].body)
        stored = [other.removeprefix(f"{project.name}/") for other in objects if other.startswith(f"{project.name}/")]
        if left := project.orphans(described_by(name) or name for name in stored if "/" in name):
            return f"{project.name}/{left[0]} lies about"
    return None


def _lost(before: Project, after: Project) -> list[str]:
    """What was held, is not any more, and was neither replaced nor deleted by the user's word: then its key is used up."""
    gone = files_of(before) - files_of(after)
    return sorted(name for name, sha256 in gone if not any(sha256[:32] in used.key or name == used.key for used in after.used))


def files_of(project: Project) -> set[tuple[str, str]]:
    """Files of a quarantined project are withheld, not lost."""
    return {(file.filename, file.sha256) for file in project.held_files}


@lru_cache(maxsize=1 << 14)
def record_of(key: str, body: bytes) -> Project:
    """Read a project's record; the same ones are read over and over."""
    return simple.project_from_json(body, key.removesuffix("/index.json"))


def _names(record: Object) -> set[str]:
    return set(simple.root_from_json(record.body).projects)
