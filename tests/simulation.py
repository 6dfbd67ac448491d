"""A model checker for commands: runs their real code over a storage in memory, one operation at a time, in every order.

A command is deterministic but for the answers of the storage. So the state of a run is what lies in the storage, together with
the answers that each command has had; two orders that lead to one such state have one future, and it is explored once. A command
is brought to a state by running it anew and giving it the answers that it had.

The storage here honours conditions; what goes wrong is chosen by the explorer: a command dies, a write happens and its reply is
lost, the SDK repeats such a write in silence, a condition fails or an operation is refused for no reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from greenlet import greenlet

from pypiprivate import simple
from pypiprivate.errors import Conflict, PypiPrivateError, StorageError
from pypiprivate.model import Project
from pypiprivate.storage.base import Entry, Sent, Stat, Storage, Stored

LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)

#: Runs on a storage and returns what it reports; must be deterministic.
Command = Callable[[Storage], Any]


@dataclass(frozen=True)
class Object:
    """What lies under a key: ``version`` counts the writes, so that equal bytes written again are a new state."""

    body: bytes
    version: int


#: Everything that lies in the storage.
Objects = Mapping[str, Object]


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
            return {**objects, self.key: Object(self.body, found.version + 1 if found else 1)}, None
        if self.verb == "delete":
            return {key: value for key, value in objects.items() if key != self.key}, None
        return objects, self._look(objects, found)

    def _look(self, objects: Objects, found: Object | None) -> Answer:
        if self.verb == "list":
            return tuple(Entry(key, len(o.body), LONG_AGO) for key, o in sorted(objects.items()) if key.startswith(self.key))
        if self.verb == "get":
            return Stored(found.body, str(found.version)) if found else None
        if self.verb == "stat":
            return Stat(len(found.body), hashlib.sha256(found.body).hexdigest(), LONG_AGO, None) if found else None
        return found.body if found else StorageError(self.key, "there is no such object.")


#: What a command is told: a value, or an exception to raise.
Answer = Any


def _etag(found: Object | None) -> str | None:
    return str(found.version) if found else None


class Stepped:
    """A storage for one command: every operation waits for its answer."""

    location = "simulation"
    # Nothing here needs a probe; its random keys would make each run another one.
    conditional = False

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


def advance(command: Command, answers: tuple[Answer, ...]) -> Operation | Ended:
    """Run a command with the answers that it had; return what it asks next, or its end."""

    def run() -> Ended:
        try:
            return Ended(command(Stepped()))
        except PypiPrivateError as error:
            return Ended(error=error)

    running = greenlet(run)
    asked: Operation | Ended = running.switch()
    for answer in answers:
        asked = running.switch(answer)
    if isinstance(asked, Operation):
        running.throw()  # it is brought here again if need be
    return asked


@dataclass(frozen=True)
class Run:
    """A command on its way.

    :ivar answers: that it had.
    :ivar history: a digest of these, which tells two states of the command apart.
    :ivar next: what it asks next, or its end; None: it died.
    :ivar known: what follows each history; the same one is met again and again while another command moves.
    """

    command: Command
    answers: tuple[Answer, ...]
    history: int
    next: Operation | Ended | None
    known: dict[int, Operation | Ended]

    @classmethod
    def begin(cls, command: Command) -> Run:
        first = advance(command, ())
        return cls(command, (), 0, first, {0: first})

    def told(self, answer: Answer) -> Run:
        history = hash((self.history, _mark(answer)))
        answers = (*self.answers, answer)
        if history not in self.known:
            self.known[history] = advance(self.command, answers)
        return replace(self, answers=answers, history=history, next=self.known[history])

    @property
    def ended(self) -> bool:
        return not isinstance(self.next, Operation)


def _mark(answer: Answer) -> Any:
    return (type(answer), str(answer)) if isinstance(answer, BaseException) else answer


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
    :ivar private: keys that only one of the commands ever touches. What is done to them commutes with all that others do, so an
        order in which it is done at once stands for all.
    """

    objects: Objects
    runs: tuple[Run, ...]
    faults: int
    private: frozenset[str] = frozenset()

    @property
    def key(self) -> Any:
        return self.faults, frozenset(self.objects.items()), tuple((run.history, run.next is None) for run in self.runs)

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
        return replace(self, objects=objects, runs=runs, faults=self.faults - faults)


class Violation(AssertionError):
    """A promise is broken; the schedule that leads there replays."""

    def __init__(self, schedule: tuple[str, ...], reason: str) -> None:
        self.schedule = schedule
        super().__init__("\n".join([reason, *schedule]))


@dataclass
class Explorer:
    """Goes everywhere from a state, and checks each state, each step and each end.

    :ivar at_rest: says what is wrong when every command has ended, the interrupted ones after a re-run; None: nothing.
    """

    at_rest: Callable[[Objects, tuple[Run, ...]], str | None]
    states: int = 0
    ends: int = 0
    _seen: set[int] = field(default_factory=set)
    _sound: set[int] = field(default_factory=set)

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
        key = hash(state.key)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _check(self, state: State, schedule: tuple[str, ...]) -> None:
        objects = hash(frozenset(state.objects.items()))
        if objects not in self._sound:
            self._sound.add(objects)
            if reason := torn(state.objects):
                raise Violation(schedule, reason)
        if all(run.ended for run in state.runs):
            self.ends += 1
            if reason := self.at_rest(state.objects, state.runs):
                raise Violation(schedule, reason)


def torn(objects: Objects) -> str | None:
    """Say what is listed or shown and not there, whole and with its sidecar; no page may be ahead of its record."""
    for key in [key for key in objects if key.endswith("/index.json")]:
        project = record_of(key, objects[key].body)
        for file in (*project.files, *project.withheld):
            if reason := _torn_file(objects, f"{project.name}/{file.key}", file.sha256, file.core_metadata):
                return reason
        if reason := _torn_page(objects, project):
            return reason
    for key in [key for key in objects if key.endswith(".html") and simple.page_serial(objects[key].body) is not None]:
        if key.replace(".html", ".json") not in objects:
            return f"{key} has no record"
    return None


def _torn_page(objects: Objects, project: Project) -> str | None:
    page = objects.get(simple.page_key(project.name))
    if page is None or (serial := simple.page_serial(page.body)) is None:
        return None
    if serial > project.serial:
        return f"the page of {project.name} is ahead of its record"
    shown = (f"{project.name}/{unquote(url)}" for url in re.findall(r'<a href="([^"#]+)', page.body.decode()))
    missing = [key for key in shown if key not in objects]
    return f"the page of {project.name} shows {missing[0]}, which is not there" if missing else None


def _torn_file(objects: Objects, key: str, sha256: str, core_metadata: Any) -> str | None:
    if key not in objects or hashlib.sha256(objects[key].body).hexdigest() != sha256:
        return f"{key} is listed and is not there, or has other bytes"
    if not core_metadata:
        return None
    sidecar = objects.get(f"{key}.metadata")
    if not sidecar or hashlib.sha256(sidecar.body).hexdigest() != core_metadata["sha256"]:
        return f"{key}.metadata is announced and is not there, or has other bytes"
    return None


def broken_by_step(before: Objects, after: Objects) -> str | None:
    """Say what a single step took away: a listed file, a project's name, a page's serial."""
    for key, found in before.items():
        changed = after.get(key)
        if changed is found:
            continue
        if changed is None and key.endswith((".json", ".html")):
            return f"{key} disappeared"
        if key.endswith("/index.json") and changed and (lost := _lost(key, found, changed)):
            return f"{key} lost {lost}"
        if key == simple.ROOT_RECORD and changed and (names := _names(found) - _names(changed)):
            return f"the root lost {sorted(names)}"
        if key.endswith(".html") and changed and _is_older(changed, found):
            return f"{key} went back to an older serial"
    return None


def _is_older(page: Object, than: Object) -> bool:
    """Only pages of ours have a serial; an older tool writes what it likes."""
    serial, before = simple.page_serial(page.body), simple.page_serial(than.body)
    return serial is not None and before is not None and serial < before


def _lost(key: str, before: Object, after: Object) -> list[str]:
    """What was listed, is not any more, and was neither replaced nor deleted by the user's word: then its key is used up."""
    used = {used.key for used in record_of(key, after.body).used}
    gone = _files(key, before) - _files(key, after)
    return sorted(name for name, sha256 in gone if not any(sha256[:32] in key or name == key for key in used))


def _files(key: str, record: Object) -> set[tuple[str, str]]:
    return {(file.filename, file.sha256) for file in record_of(key, record.body).files}


@lru_cache(maxsize=1 << 14)
def record_of(key: str, body: bytes) -> Project:
    """Read a project's record; the same ones are read over and over."""
    return simple.project_from_json(body, key.removesuffix("/index.json"))


def _names(record: Object) -> set[str]:
    return set(simple.root_from_json(record.body).projects)
