"""The protocol under every order of events: the real code of every verb, explored by the model checker of ``simulation.py``.

Each hole that was found when the protocol was designed is a scenario here, and each broken variant of the protocol is caught.
``SIMULATION_SEED`` in the environment gives the random walks another seed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import (
    adopt,
    amend,
    artifact,
    documents,
    edits,
    garbage,
    listing,
    pages,
    promote,
    publish,
    repair,
    simple,
    survey,
    takeover,
    verify,
)
from pypiprivate.artifact import Artifact
from pypiprivate.edits import Edit, Retention, Target
from pypiprivate.errors import ArtifactExists, NotPublished, PublishRefused, PypiPrivateError, StorageError, UnsafeStorage
from pypiprivate.findings import Depth, Kind
from pypiprivate.index import Index
from pypiprivate.model import Existing, File, Project, Status, timestamp
from pypiprivate.publish import Offer, Receipt, Send
from pypiprivate.storage.base import Entry, Sent, Storage, Stored
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.takeover import Taken

from .builders import make_sdist, make_wheel
from .proof import FULL, figure
from .repositories import in_turn, not_at_all
from .simulation import (
    Command,
    Direct,
    Ended,
    Explorer,
    FoldingObjects,
    Object,
    Objects,
    Operation,
    Reads,
    Run,
    State,
    Stepped,
    Violation,
    everything,
    listed_again,
    litter,
    record_of,
    shown_by_pages,
    tears,
    torn,
    what_publishing_reads,
    what_removing_reads,
)

#: Publishers come in February, all others on the first of March.
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
#: A description of this type is rendered in no time.
PLAIN = {"Description-Content-Type": "text/plain"}
#: To whoever collects garbage then everything is old, also what another command has given up a moment ago.
NEXT_YEAR, THE_YEAR_AFTER = NOW + timedelta(days=365), NOW + timedelta(days=730)
#: The index says no; it is whole.
REFUSALS = (PublishRefused, NotPublished)


@dataclass(frozen=True)
class Scenario:
    """Commands that run side by side.

    :ivar expected: what each project lists in the end; for an alternative, a set of file names each.
    :ivar before: commands run one after another, first.
    :ivar after: commands run when all have ended, as the next ones that anybody runs.
    :ivar private: see :class:`.simulation.State`.
    :ivar reads: see :class:`.simulation.Run`.
    :ivar empty: where the commands before begin.
    :ivar whole: see :class:`.simulation.Explorer`.
    :ivar again: what is run instead of an interrupted command, by its number.
    :ivar contradicting: one command takes back what another one does, so that its report may not hold in the end.
    :ivar same_day: all happens within the day for which readers hold a page.
    :ivar tidy: nothing that is not listed lies there in the end.
    :ivar ends: interrupted commands, and what lay there, at each end.
    """

    commands: Sequence[Command]
    expected: Mapping[str, Sequence[set[str]]]
    before: Sequence[Command] = ()
    after: Sequence[Command] = ()
    private: frozenset[str] = frozenset()
    reads: Reads = everything
    empty: Objects = field(default_factory=Objects)
    whole: Sequence[set[str]] = ()
    again: Mapping[int, Command] = field(default_factory=dict)
    contradicting: bool = False
    same_day: bool = False
    tidy: bool = False
    ends: dict[Any, str | None] = field(default_factory=dict)

    def explorer(self) -> Explorer:
        return Explorer(self.at_rest, self.whole, frozenset(tears(self._begin())))

    def _begin(self) -> Objects:
        objects = self.empty
        for command in self.before:
            objects = run_alone(command, objects)
        return objects

    def state(self, faults: int) -> State:
        objects = self._begin()
        runs = tuple(Run.begin(command, self.reads) for command in self.commands)
        return State(objects, runs, faults, self.private, shown_by_pages(objects) if self.same_day else None)

    def at_rest(self, objects: Objects, runs: tuple[Run, ...]) -> str | None:
        """Run again what was interrupted, and say what is wrong then."""
        interrupted = tuple(number for number, run in enumerate(runs) if _is_interrupted(run))
        key = interrupted, frozenset(objects.items())
        if key not in self.ends:
            commands = [*(self.again.get(number, self.commands[number]) for number in interrupted), *self.after]
            self.ends[key] = self._check(objects, commands) or listed_again(objects)
        reason = self.ends[key] or _unreported(objects, runs) or _unfinished_by_refused(objects, runs) or _slandered(runs)
        return reason or _unkept(objects, runs, contradicting=self.contradicting)

    def _check(self, objects: Objects, commands: Sequence[Command]) -> str | None:
        for command in commands:
            objects = run_alone(command, objects)
        reason = torn(objects) or listed_again(objects) or _unfinished_root(objects, self.expected.keys())
        reason = reason or (litter(objects) if self.tidy else None)
        for project, names in self.expected.items():
            reason = reason or _unfinished(objects, project, names)
        return f"after running again: {reason}" if reason else None


def run_alone(command: Command, objects: Objects) -> Objects:
    storage = Direct(objects)
    with suppress(*REFUSALS):
        command(storage)
    return storage.objects


def _is_interrupted(run: Run) -> bool:
    return run.next is None or (isinstance(run.next, Ended) and _failed(run.next.error))


def _failed(error: PypiPrivateError | None) -> bool:
    return error is not None and not isinstance(error, REFUSALS)


def _unfinished(objects: Objects, project: str, names: Sequence[set[str]]) -> str | None:
    record = objects.get(simple.record_key(project))
    if record is None:
        return f"{project} has no record"
    found = record_of(simple.record_key(project), record.body)
    listed = sorted(file.filename for file in found.files)
    if listed not in [sorted(alternative) for alternative in names]:
        return f"{project} lists {listed}"
    pages = [(objects.get(document.key), document.dump(found)) for document in documents.of_project(found)]
    is_finished = all(page and page.body == wanted for page, wanted in pages)
    if found.slash_pages == "off" and simple.slash_key(project) in objects:
        return f"the slash page of {project} was given up, and is still there"
    return None if is_finished else f"the page of {project} is not that of its record"


def _unfinished_root(objects: Objects, names: Any) -> str | None:
    if "index.json" not in objects or "index.html" not in objects:
        return "there is no root"
    root, page = simple.root_from_json(objects["index.json"].body), objects["index.html"].body
    # An older tool's page stays until the next new project; it names what lies there.
    foreign = documents.serial_of(page) is None and all(f">{name}</a>".encode() in page for name in names)
    if page != pages.root_to_html(root) and not foreign:
        return "the root page is not that of its record"
    if root.slash_pages in ("html", "json"):
        _, slash_page = documents.of_root(root)
        found = objects.get(slash_page.key)
        if not found or found.body != slash_page.dump(root):
            return "the root's slash page is not that of its record"
    return None if names <= root.projects.keys() else "a project is not listed"


def _unreported(objects: Objects, runs: tuple[Run, ...]) -> str | None:
    """What was reported as published or adopted must be listed with these bytes, unless the user had it replaced or deleted."""
    for run in runs:
        for receipt in run.next.result if isinstance(run.next, Ended) and isinstance(run.next.result, tuple) else ():
            record = record_of(simple.record_key(receipt.project), objects[simple.record_key(receipt.project)].body)
            listed = any(file.filename == receipt.filename and file.sha256 == receipt.sha256 for file in record.held_files)
            if not listed and not any(receipt.sha256[:32] in used.key for used in record.used):
                return f"{receipt.filename} was reported as {getattr(receipt, 'outcome', 'adopted')}, and is not there"
    return None


@dataclass(frozen=True)
class Told:
    """What a command reported of a project, if it is none that publishes.

    :ivar marks: which files are yanked and which are not, by key.
    :ivar removed: keys of what is deleted.
    :ivar broken: what was found broken, and was not mended.
    """

    project: str
    marks: frozenset[tuple[str, bool]] = frozenset()
    removed: frozenset[str] = frozenset()
    status: str | None = None
    broken: frozenset[str] = frozenset()

    def is_unkept(self, record: Project) -> str | None:
        """What is deleted or replaced afterwards, and perhaps published again, is another file."""
        held = {file.key: bool(file.yanked) for file in record.held_files}
        if wrong := [key for key, yanked in self.marks if held.get(key, yanked) != yanked]:
            return f"{wrong[0]} was reported as yanked, or as not yanked, and is the contrary"
        if self.status not in (None, record.status.marker):
            return f"{record.name} was reported as {self.status}, and is {record.status.marker}"
        return None


def _unkept(objects: Objects, runs: tuple[Run, ...], *, contradicting: bool) -> str | None:
    """What was reported as yanked, deleted or closed is so, unless another command takes it back."""
    for run in runs:
        if not isinstance(run.next, Ended) or not isinstance(told := run.next.result, Told):
            continue
        if told.broken:
            return f"there seemed to be {sorted(told.broken)}"
        record = record_of(simple.record_key(told.project), objects[simple.record_key(told.project)].body)
        if again := told.removed & {file.key for file in record.held_files}:
            return f"{sorted(again)} were reported as deleted, and are listed"
        if not contradicting and (reason := told.is_unkept(record)):
            return reason
    return None


def _unfinished_by_refused(objects: Objects, runs: tuple[Run, ...]) -> str | None:
    """Refusing comes last: who is refused has finished what the record held, page and root."""
    for run in runs:
        if isinstance(run.next, Ended) and isinstance(run.next.error, REFUSALS):
            # Whom a published file is in the way has seen its commit; a closed project may be changed by another one afterwards.
            if not isinstance(run.next.error, ArtifactExists) and any(map(_is_interrupted, runs)):
                return None
            names = [key.removesuffix("/index.json") for key in objects if key.endswith("/index.json")]
            for name in names:
                record = record_of(f"{name}/index.json", objects[f"{name}/index.json"].body)
                pages = [(objects.get(document.key), document.dump(record)) for document in documents.of_project(record)]
                if not all(page and page.body == wanted for page, wanted in pages):
                    return f"a command was refused, and left the page of {name} behind its record"
            return _unfinished_root(objects, set(names))
    return None


def _slandered(runs: tuple[Run, ...]) -> str | None:
    """The storage here honours conditions, whatever else goes wrong."""
    refused = any(isinstance(run.next, Ended) and isinstance(run.next.error, UnsafeStorage) for run in runs)
    return "a good store was refused" if refused else None


class Workshop:
    """Builds artifacts and the commands that publish them; everything is the same at every run.

    :ivar description: of each of them.
    """

    def __init__(self, directory: Path, description: str = "") -> None:
        self.directory, self.description = directory, description
        self._day = 0

    def build(self, project: str, version: str, *, kinds: str = "s", flavour: str = "a") -> list[Artifact]:
        where, files = self.directory / flavour, {"flavour": flavour.encode()}
        makers = [make for kind, make in (("s", make_sdist), ("w", make_wheel)) if kind in kinds]
        paths = [make(where, project, version, files=files, description=self.description, headers=PLAIN) for make in makers]
        return [artifact.read(path) for path in paths]

    def publish(self, artifacts: Sequence[Artifact], existing: Existing = Existing.REFUSE) -> Command:
        return self._publish(lambda: artifacts, existing, publish.send_from_disk)

    def promote(self, origin: Storage, release: str, existing: Existing = Existing.REFUSE) -> Command:
        targets = [Target.parse(release)]
        return self._publish(lambda: promote.offers(origin, targets, gather=in_turn), existing, promote.send)

    def _publish(self, offers: Callable[[], Sequence[Offer]], existing: Existing, send: Send) -> Command:
        self._day += 1
        moment = datetime(2026, 2, self._day, tzinfo=timezone.utc)

        def run(storage: Storage) -> tuple[Receipt, ...]:
            receipts = publish.publish(
                offers(), storage, existing=existing, send=send, clock=lambda: moment, sleep=not_at_all, gather=in_turn
            )
            # How often others changed the record is nothing to tell ends apart by.
            return tuple(replace(receipt, serial=0) for receipt in receipts)

        return run

    def elsewhere(self, artifacts: Sequence[Artifact]) -> MemoryStorage:
        """Publish to another repository, to be promoted from there."""
        origin = MemoryStorage(clock=lambda: NOW)
        self.publish(artifacts)(origin)
        return origin

    def older_tool(self, path: Path, project: str) -> Command:
        """The original pypiprivate: put the file, then a page of the listing, then a root page of the listing."""
        body = path.read_bytes()

        def run(storage: Any) -> None:
            assert isinstance(storage, Stepped)
            storage.put(f"{project}/{path.name}", body)
            names = {entry.key.split("/")[1] for entry in storage.list(f"{project}/")}
            storage.put(f"{project}/index.html", _page(names))
            storage.put("index.html", _page({entry.key.split("/")[0] for entry in storage.list("")}))

        return run


def _page(names: set[str]) -> bytes:
    links = "".join(f'<a href="{name}">{name}</a>' for name in sorted(names - {"index.html"}))
    return f"<html><body>{links}</body></html>".encode()


@pytest.fixture
def workshop(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    caplog.set_level(logging.CRITICAL, "pypiprivate")  # or a million warnings are kept
    # A command may wait for minutes here while every order of the others is explored.
    monkeypatch.setattr("pypiprivate.index.PATIENCE", float("inf"))
    return Workshop(tmp_path)


# -- commands: the verbs, with what is random or waits taken out of them ------------------------------------------------------


def _changing(target: Target, edit: Edit, report: Callable[[Project], Told]) -> Command:
    return lambda storage: report(amend.amend(storage, target.project, edit, sleep=not_at_all, gather=in_turn).after)


def _marking(target: Target, edit: Edit) -> Command:
    def marks(record: Project) -> Told:
        return Told(record.name, marks=frozenset((file.key, bool(file.yanked)) for file in target.select(record)))

    return _changing(target, edit, marks)


def yank(release: str, reason: str = "") -> Command:
    target = Target.parse(release)
    return _marking(target, edits.yank(target, reason=reason))


def unyank(release: str) -> Command:
    target = Target.parse(release)
    return _marking(target, edits.unyank(target))


def give_status(project: str, marker: str) -> Command:
    return _changing(Target(project), edits.set_status(marker), lambda record: Told(record.name, status=record.status.marker))


def delete(what: str, *, agreed: Sequence[Artifact] | None = None) -> Command:
    """Delete a release or a project; if files were *agreed* to, only these."""
    only = None if agreed is None else [key_of(artifact) for artifact in agreed]
    target = Target.parse(what)
    edit = edits.delete(target, NOW, only=only)

    def run(storage: Storage) -> Told:
        change = amend.remove(storage, target.project, edit, sleep=not_at_all, gather=in_turn)
        return Told(target.project, removed=frozenset(file.key for file in change.removed))

    return run


def key_of(artifact: Artifact) -> str:
    return f"{artifact.sha256[:32]}/{artifact.filename}"


def prune(project: str, *, keep: int) -> Command:
    edit = edits.prune(Retention(keep), NOW)

    def run(storage: Storage) -> Told:
        changes = amend.remove_from_each(storage, [project], edit, sleep=not_at_all)
        return Told(project, removed=frozenset(file.key for change in changes for file in change.removed))

    return run


def collect_garbage(now: datetime = NEXT_YEAR) -> Command:
    def run(storage: Storage) -> None:
        # What lies in the simulation is of long ago. That the clock agrees is looked at before the first write: no part of it.
        list(garbage.collect(storage, clock=lambda: now, compare=lambda *_: None, sleep=not_at_all))

    return run


def mend(project: str, *, perhaps: Sequence[Kind] = ()) -> Command:
    """Repair the whole index; what needs a human must not seem broken, unless it is of such a kind."""

    def run(storage: Storage) -> Told:
        left = repair.repair(storage, sleep=not_at_all).left
        return Told(project, broken=frozenset(finding.kind.value for finding in left if finding.kind not in perhaps))

    return run


def check(project: str, depth: Depth = Depth.FILES) -> Command:
    """Verify the whole index; only what another command has yet to finish may seem broken."""

    def run(storage: Storage) -> Told:
        found = [finding for finding in verify.verify(storage, depth=depth).findings if finding.is_broken]
        unfinished = (Kind.PAGE, Kind.ROOT, Kind.UNLISTED)
        return Told(project, broken=frozenset(finding.kind.value for finding in found if finding.kind not in unfinished))

    return run


def take_over(storage: Storage) -> tuple[Taken, ...]:
    """Adopt in place whatever lies there of an older tool."""
    found = survey.survey(storage, gather=in_turn)
    return takeover.take(found, storage, sleep=not_at_all, gather=in_turn).taken


def take_away(key: str) -> Command:
    """Somebody's hand, not ours."""
    return lambda storage: storage.delete(key)


def spoil(key: str) -> Command:
    """Somebody edits a page, and leaves its serial."""

    def run(storage: Any) -> None:
        storage.put(key, storage.get(key).body + b"<!-- spoilt -->")

    return run


def store(project: str, orphan: Artifact) -> Command:
    """What is left of a command that died before its commit."""
    return lambda storage: storage.store(f"{project}/{key_of(orphan)}", orphan.path, sha256=orphan.sha256)


class Probed:
    """A storage whose conditions have yet to be proved. The random key of a command's probe is the same at each of its runs.

    :param own: the key; a run from scratch keeps its random one.
    """

    conditional = True

    def __init__(self, inner: Stepped, own: str) -> None:
        self.inner = inner
        self.location = inner.location
        self._own = None if isinstance(inner, Direct) else own

    def _key(self, key: str) -> str:
        return self._own if self._own and key.startswith(".pypiprivate/probe-") else key

    def get(self, key: str) -> Stored | None:
        return self.inner.get(self._key(key))

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        self.inner.swap(self._key(key), body, replacing=replacing, content_type=content_type)

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        self.inner.store(key, body, sha256=sha256, sent=sent)

    def list(self, prefix: str) -> Iterator[Entry]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(self._key(key))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class ProbedForSlashes(Probed):
    """One whose conditions are taken for granted."""

    conditional = False


def with_slash_pages(command: Command, form: str = "html", own: str = ".pypiprivate/probe-1/") -> Command:
    """Run a command with the setting.

    :param own: key of its probe, see :class:`Probed`.
    """

    def run(storage: Any) -> Any:
        storage.slash_pages = form
        return command(ProbedForSlashes(storage, own))

    return run


def probing(command: Command, own: str) -> Command:
    def run(storage: Any) -> Any:
        return command(Probed(storage, own))

    return run


# -- scenarios ----------------------------------------------------------------------------------------------------------------


def private(*releases: Sequence[Artifact]) -> frozenset[str]:
    """Keys of artifacts and sidecars that only one of the commands stores; not to be used where anything is deleted."""
    keys = [
        {f"{artifact.project}/{key_of(artifact)}{end}" for artifact in release for end in ("", ".metadata")}
        for release in releases
    ]
    return frozenset(key for own in keys for key in own if sum(key in other for other in keys) == 1)


def names(*releases: Sequence[Artifact]) -> set[str]:
    return {artifact.filename for release in releases for artifact in release}


def of_one_project(workshop: Workshop, *, kinds: str = "s", published: int = 0, publishers: int = 2) -> Scenario:
    releases = [workshop.build("demo", f"{number}.0", kinds=kinds) for number in range(1, publishers + 1)]
    earlier = [workshop.build("demo", f"0.{number}") for number in range(published)]
    return Scenario(
        [workshop.publish(release) for release in releases],
        {"demo": [names(*releases, *earlier)]},
        before=[workshop.publish(release) for release in earlier],
        private=private(*releases),
        reads=what_publishing_reads,
        whole=[names(release) for release in releases],
    )


def two_new_projects(workshop: Workshop) -> Scenario:
    releases = [workshop.build(project, "1.0") for project in ("one", "two")]
    expected = {str(release[0].project): [names(release)] for release in releases}
    commands = [workshop.publish(release) for release in releases]
    return Scenario(commands, expected, private=private(*releases), reads=what_publishing_reads)


def two_probers(workshop: Workshop, *, keys: Sequence[str] = (".pypiprivate/probe-1", ".pypiprivate/probe-2")) -> Scenario:
    scenario = of_one_project(workshop)
    commands = [probing(command, own) for command, own in zip(scenario.commands, keys, strict=True)]
    return replace(scenario, commands=commands, private=scenario.private | {key for key in keys if keys.count(key) == 1})


def two_builds_of_one_file(workshop: Workshop, existing: Existing = Existing.REFUSE) -> Scenario:
    releases = [workshop.build("demo", "1.0", flavour=flavour) for flavour in "ab"]
    commands = [workshop.publish(release, existing) for release in releases]
    return Scenario(commands, {"demo": [names(*releases)]}, private=private(*releases), reads=what_publishing_reads)


def two_spellings_of_one_wheel(workshop: Workshop) -> Scenario:
    paths = [
        make_wheel(workshop.directory / flavour, "foo-bar", "1.0", files={"x": flavour.encode()}, filename=name)
        for flavour, name in (("a", "Foo_Bar-1.0-py3-none-any.whl"), ("b", "foo_bar-1.0-py3-none-any.whl"))
    ]
    releases = [[artifact.read(path)] for path in paths]
    commands = [workshop.publish(release) for release in releases]
    expected = {"foo-bar": [names(release) for release in releases]}
    return Scenario(commands, expected, private=private(*releases), reads=what_publishing_reads)


def the_same_file_twice(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0", kinds="w")
    commands = [workshop.publish(release), workshop.publish(release)]
    return Scenario(commands, {"demo": [names(release)]}, reads=what_publishing_reads)


def adoption_beside_a_publish(workshop: Workshop) -> Scenario:
    releases = [workshop.build("demo", version) for version in ("1.0", "2.0")]
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    return Scenario(
        [workshop.publish(release) for release in releases],
        {"demo": [names(*releases) | {older.name}]},
        before=[workshop.older_tool(older, "demo")],
        # Nobody writes the older file again.
        private=private(*releases) | {f"demo/{older.name}"},
        reads=what_publishing_reads,
    )


def taken_over_beside_a_publish(workshop: Workshop) -> Scenario:
    """The publisher adopts what it finds of the project, too."""
    release, older = workshop.build("demo", "1.0"), make_sdist(workshop.directory / "older", "demo", "0.1")
    return Scenario(
        [take_over, workshop.publish(release)],
        {"demo": [names(release) | {older.name}]},
        before=[workshop.older_tool(older, "demo")],
        private=private(release) | {f"demo/{older.name}"},
        reads=what_removing_reads,
    )


def two_projects_taken_over_beside_a_publish(workshop: Workshop) -> Scenario:
    """The other project is left to the takeover."""
    scenario, other = taken_over_beside_a_publish(workshop), make_wheel(workshop.directory / "older", "other", "0.1")
    return replace(
        scenario,
        expected={**scenario.expected, "other": [{other.name}]},
        before=[*scenario.before, workshop.older_tool(other, "other")],
        private=scenario.private | {f"other/{other.name}", f"other/{other.name}.metadata"},
    )


def taken_over_beside_the_older_tool(workshop: Workshop) -> Scenario:
    """What it publishes meanwhile is adopted by the next takeover at the latest, and nobody loses sight of it."""
    older = [make_wheel(workshop.directory / "older", "demo", version) for version in ("0.1", "0.2")]
    theirs = [workshop.older_tool(path, "demo") for path in older]
    return Scenario(
        [take_over, theirs[1]],
        {"demo": [{path.name for path in older}]},
        before=[theirs[0]],
        after=[theirs[1], take_over],
        private=frozenset({f"demo/{older[0].name}"}),
        reads=what_removing_reads,
    )


def taken_over_twice(workshop: Workshop) -> Scenario:
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    return Scenario(
        [take_over, take_over],
        {"demo": [{older.name}]},
        before=[workshop.older_tool(older, "demo")],
        private=frozenset({f"demo/{older.name}"}),
        reads=what_removing_reads,
    )


def the_older_tool_beside_us(workshop: Workshop, *, published: int = 0) -> Scenario:
    release, earlier = (
        workshop.build("demo", "1.0"),
        [workshop.build("demo", f"0.{number}") for number in range(2, 2 + published)],
    )
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    ours = workshop.publish(release)
    return Scenario(
        [ours, workshop.older_tool(older, "demo")],
        {"demo": [names(release, *earlier) | {older.name}]},
        before=[workshop.publish(release) for release in earlier],
        # Its pages are healed by the next command on the project.
        after=[workshop.older_tool(older, "demo"), ours],
        private=private(release),
    )


def one_file_by_the_older_tool_and_by_us(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0", kinds="w")
    ours, theirs = workshop.publish(release), workshop.older_tool(release[0].path, "demo")
    before = [workshop.publish(workshop.build("demo", "0.1"))]
    return Scenario([ours, theirs], {"demo": [names(release) | {"demo-0.1.tar.gz"}]}, before=before, after=[theirs, ours])


def published_again_beside_a_delete(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0", kinds="w")
    again = workshop.publish(release)
    return Scenario(
        [again, delete("demo==1.0")],
        {"demo": [set(), names(release)]},
        before=[workshop.publish(release)],
        after=[again],
        reads=what_removing_reads,
    )


def published_again_beside_a_delete_and_garbage_collection(workshop: Workshop) -> Scenario:
    scenario = published_again_beside_a_delete(workshop)
    return replace(
        scenario,
        commands=[*scenario.commands, collect_garbage()],
        after=[*scenario.after, collect_garbage(THE_YEAR_AFTER)],
        tidy=True,
    )


def promoted_beside_a_delete(workshop: Workshop) -> Scenario:
    """The very bytes come from another repository while they are deleted."""
    scenario = published_again_beside_a_delete(workshop)
    again = workshop.promote(workshop.elsewhere(workshop.build("demo", "1.0", kinds="w")), "demo==1.0")
    return replace(scenario, commands=[again, scenario.commands[1]], after=[again])


def replaced_beside_a_delete(workshop: Workshop) -> Scenario:
    """Either the new bytes are deleted, or they are refused because the name was deleted with others.

    A publisher who is told that it failed, and runs the command again when its file is deleted, publishes it once more.
    """
    old, new = workshop.build("demo", "1.0", kinds="w"), workshop.build("demo", "1.0", kinds="w", flavour="b")
    return Scenario(
        [workshop.publish(new, Existing.REPLACE), delete("demo==1.0")],
        {"demo": [set(), names(new)]},
        before=[workshop.publish(old)],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def deleted_of_an_older_index_beside_a_publish(workshop: Workshop) -> Scenario:
    """What is deleted lies where the older tool put it, and is adopted first."""
    release = workshop.build("demo", "1.0")
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    return Scenario(
        [delete("demo==0.1"), workshop.publish(release)],
        {"demo": [names(release)]},
        before=[workshop.older_tool(older, "demo")],
        private=private(release),
        reads=what_publishing_reads,
    )


def deleted_of_an_older_index_beside_the_older_tool(workshop: Workshop) -> Scenario:
    older = [make_wheel(workshop.directory / "older", "demo", version) for version in ("0.1", "0.2")]
    beside = workshop.older_tool(older[1], "demo")
    return Scenario(
        [delete("demo==0.1"), beside],
        {"demo": [{older[1].name}]},
        before=[workshop.older_tool(older[0], "demo")],
        after=[beside, delete("demo==0.1")],
        reads=what_removing_reads,
    )


def garbage_collected_beside_a_publish(workshop: Workshop) -> Scenario:
    """The very bytes that a command left which died before its commit are published while they are collected."""
    earlier, release = workshop.build("demo", "0.1"), workshop.build("demo", "1.0", kinds="w")
    return Scenario(
        [workshop.publish(release), collect_garbage()],
        {"demo": [names(earlier, release)]},
        before=[workshop.publish(earlier), store("demo", release[0])],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def garbage_collected_twice(workshop: Workshop) -> Scenario:
    left = [workshop.build("demo", version) for version in ("2.0", "3.0")]
    earlier = workshop.build("demo", "1.0")
    return Scenario(
        [collect_garbage(), collect_garbage()],
        {"demo": [names(earlier)]},
        before=[workshop.publish(earlier), *(store("demo", release[0]) for release in left)],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def garbage_collected_beside_a_delete(workshop: Workshop) -> Scenario:
    gone, stays, orphan = (workshop.build("demo", version, kinds="w") for version in ("1.0", "2.0", "3.0"))
    return Scenario(
        [delete("demo==1.0"), collect_garbage()],
        {"demo": [names(stays)]},
        before=[workshop.publish(gone), workshop.publish(stays), store("demo", orphan[0])],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def garbage_collected_beside_a_replacement(workshop: Workshop, *, same_day: bool = False) -> Scenario:
    """Within a day nothing goes that a page has shown, however old the object is; what nobody ever listed goes."""
    old, new, orphan = workshop.build("demo", "1.0"), workshop.build("demo", "1.0", flavour="b"), workshop.build("demo", "3.0")
    replacing = workshop.publish(new, Existing.REPLACE)
    return Scenario(
        [replacing, collect_garbage(datetime(2026, 2, 2, tzinfo=timezone.utc) if same_day else NEXT_YEAR)],
        {"demo": [names(new)]},
        before=[workshop.publish(old), store("demo", orphan[0])],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        same_day=same_day,
        tidy=True,
    )


def a_quarantined_project(workshop: Workshop) -> Scenario:
    """A publisher is refused, and adopts what the older tool left; garbage is collected; then the project is active again."""
    earlier, release, orphan = (
        workshop.build("demo", "1.0", kinds="w"),
        workshop.build("demo", "2.0"),
        workshop.build("demo", "3.0"),
    )
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    quarantine = give_status("demo", "quarantined")
    return Scenario(
        [workshop.publish(release), collect_garbage()],
        {"demo": [names(earlier) | {older.name}]},
        before=[workshop.publish(earlier), quarantine, workshop.older_tool(older, "demo"), store("demo", orphan[0])],
        after=[give_status("demo", "active"), collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def quarantined_beside_a_publish(workshop: Workshop) -> Scenario:
    earlier, release = workshop.build("demo", "1.0", kinds="w"), workshop.build("demo", "2.0")
    return Scenario(
        [workshop.publish(release), give_status("demo", "quarantined"), collect_garbage()],
        {"demo": [names(earlier), names(earlier, release)]},
        before=[workshop.publish(earlier)],
        after=[give_status("demo", "active")],
        reads=what_removing_reads,
    )


def yanked_beside_a_publish(workshop: Workshop) -> Scenario:
    return _changed_beside_a_publish(workshop, yank("demo==0.1", "broken"))


def archived_beside_a_publish(workshop: Workshop) -> Scenario:
    """The release is published wholly or not at all; when the project is archived it is refused."""
    scenario = _changed_beside_a_publish(workshop, give_status("demo", "archived"))
    (both,) = scenario.expected["demo"]
    return replace(scenario, expected={"demo": [both - new for new in (set(), *scenario.whole)]})


def _changed_beside_a_publish(workshop: Workshop, change: Command) -> Scenario:
    earlier, release = workshop.build("demo", "0.1"), workshop.build("demo", "1.0", kinds="sw")
    return Scenario(
        [workshop.publish(release), change],
        {"demo": [names(earlier, release)]},
        before=[workshop.publish(earlier)],
        private=private(release),
        reads=what_publishing_reads,
        whole=[names(release)],
    )


def yanked_beside_the_first_publish(workshop: Workshop) -> Scenario:
    """Who comes too early is told that there is nothing."""
    release = workshop.build("demo", "1.0")
    return Scenario([workshop.publish(release), yank("demo==1.0")], {"demo": [names(release)]}, reads=what_publishing_reads)


def yanked_beside_the_older_tool(workshop: Workshop) -> Scenario:
    """Whoever yanks what the older tool published adopts it; what it publishes meanwhile is adopted, too."""
    older = [make_wheel(workshop.directory / "older", "demo", version) for version in ("0.1", "0.2")]
    return Scenario(
        [yank("demo==0.1"), workshop.older_tool(older[1], "demo")],
        {"demo": [{path.name for path in older}]},
        before=[workshop.older_tool(older[0], "demo")],
        # Its pages are healed by the next command on the project.
        after=[workshop.older_tool(older[1], "demo"), yank("demo==0.1")],
        private=frozenset({f"demo/{older[0].name}"}),
    )


def _of_two_releases(workshop: Workshop, *commands: Command, left: Sequence[str] = ("1.0", "2.0")) -> Scenario:
    releases = {version: workshop.build("demo", version, kinds="w") for version in ("1.0", "2.0")}
    return Scenario(
        commands,
        {"demo": [names(*(releases[version] for version in left))]},
        before=[workshop.publish(release) for release in releases.values()],
        reads=what_removing_reads,
    )


def two_yanks(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, yank("demo==1.0", "broken"), yank("demo==2.0"), yank("demo==1.0", "no good"))


def a_yank_beside_its_taking_back(workshop: Workshop) -> Scenario:
    scenario = _of_two_releases(workshop, unyank("demo==1.0"), yank("demo==1.0", "again"))
    return replace(scenario, before=[*scenario.before, yank("demo==1.0")], contradicting=True)


def yanked_beside_a_delete(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, yank("demo==1.0"), delete("demo==1.0"), left=["2.0"])


def yanked_beside_a_quarantine(workshop: Workshop) -> Scenario:
    """A yank of what is withheld is still there when it is offered again."""
    scenario = _of_two_releases(workshop, yank("demo==1.0"), give_status("demo", "quarantined"))
    return replace(scenario, after=[give_status("demo", "active")])


def quarantined_and_back_beside_a_yank(workshop: Workshop) -> Scenario:
    statuses = give_status("demo", "quarantined"), give_status("demo", "active")
    scenario = _of_two_releases(workshop, yank("demo==1.0"), *statuses)
    return replace(scenario, after=[give_status("demo", "active")], contradicting=True)


def yanked_beside_a_replacement(workshop: Workshop) -> Scenario:
    scenario = _of_two_releases(workshop, yank("demo==1.0"))
    new = workshop.build("demo", "1.0", kinds="w", flavour="b")
    return replace(scenario, commands=[*scenario.commands, workshop.publish(new, Existing.REPLACE)])


def deleted_beside_a_quarantine(workshop: Workshop) -> Scenario:
    scenario = _of_two_releases(workshop, delete("demo==1.0"), give_status("demo", "quarantined"), left=["2.0"])
    return replace(scenario, after=[give_status("demo", "active")])


def pruned_beside_a_yank(workshop: Workshop) -> Scenario:
    """The one that an installer would take stays, whichever it is at the edit."""
    scenario = _of_two_releases(workshop, prune("demo", keep=1), yank("demo==2.0"), left=["2.0"])
    return replace(
        scenario, expected={"demo": [*scenario.expected["demo"], {"demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"}]}
    )


def verified_beside_two_deletes(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, delete("demo==1.0"), delete("demo==2.0"), check("demo"), left=[])


def verified_beside_garbage_collection(workshop: Workshop) -> Scenario:
    scenario = garbage_collected_beside_a_replacement(workshop)
    return replace(scenario, commands=[*scenario.commands, check("demo", Depth.BYTES)])


def repaired_beside_a_publish_and_a_delete(workshop: Workshop) -> Scenario:
    scenario = deleted_beside_a_publish(workshop)
    return replace(scenario, commands=[*scenario.commands, mend("demo")], before=[*scenario.before, take_away("demo/index.html")])


def two_deletes(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, delete("demo==1.0"), delete("demo==2.0"), left=[])


def one_release_deleted_twice(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, delete("demo==1.0"), delete("demo==1.0"), left=["2.0"])


def a_release_and_its_project_deleted(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, delete("demo==1.0"), delete("demo"), left=[])


def deleted_beside_a_publish(workshop: Workshop) -> Scenario:
    scenario = _removed_beside_a_publish(workshop, delete("demo==1.0"))
    return replace(scenario, expected={"demo": [{"demo-2.0.tar.gz", *scenario.whole[0]}]})


def a_project_deleted_beside_a_publish(workshop: Workshop) -> Scenario:
    """A release that comes before the edit goes with the others, one that comes afterwards stays."""
    scenario = _removed_beside_a_publish(workshop, delete("demo"))
    return replace(scenario, expected={"demo": [set(), scenario.whole[0]]})


def what_was_agreed_to_deleted_beside_a_publish(workshop: Workshop) -> Scenario:
    agreed = [*workshop.build("demo", "1.0"), *workshop.build("demo", "2.0")]
    scenario = _removed_beside_a_publish(workshop, delete("demo", agreed=agreed))
    return replace(scenario, expected={"demo": [scenario.whole[0]]})


def pruned_beside_a_publish(workshop: Workshop) -> Scenario:
    """The newest one stays of those that are there at the edit."""
    scenario = _removed_beside_a_publish(workshop, prune("demo", keep=1))
    return replace(scenario, expected={"demo": [scenario.whole[0], {"demo-2.0.tar.gz", *scenario.whole[0]}]})


def _removed_beside_a_publish(workshop: Workshop, command: Command) -> Scenario:
    earlier, release = (
        [workshop.build("demo", version) for version in ("1.0", "2.0")],
        workshop.build("demo", "3.0", kinds="sw"),
    )
    return Scenario(
        [workshop.publish(release), command],
        {},
        before=[workshop.publish(release) for release in earlier],
        reads=what_removing_reads,
        whole=[names(release)],
    )


def promoted_beside_a_publish(workshop: Workshop, *, published: int = 0, other_bytes: bool = False) -> Scenario:
    """The same file comes from another repository and from a build, or one of other bytes, of which one is refused."""
    release = workshop.build("demo", "1.0", kinds="w")
    rebuilt = workshop.build("demo", "1.0", kinds="w", flavour="b") if other_bytes else release
    earlier = [workshop.build("demo", f"0.{number}") for number in range(published)]
    return Scenario(
        [workshop.promote(workshop.elsewhere(release), "demo==1.0"), workshop.publish(rebuilt)],
        {"demo": [names(release, *earlier)]},
        before=[workshop.publish(artifacts) for artifacts in earlier],
        private=private(release, rebuilt),
        reads=what_publishing_reads,
    )


def promoted_from_what_is_deleted(workshop: Workshop, next_one: Callable[[Workshop], Command] | None = None) -> Scenario:
    """Promoting again is refused, because the release is gone where it came from; what was under way may still be done."""
    release, earlier = (workshop.build("demo", version) for version in ("1.0", "0.1"))
    emptied = workshop.elsewhere(release)
    delete("demo==1.0")(emptied)
    again = workshop.promote(emptied, "demo==1.0")
    return Scenario(
        [workshop.promote(workshop.elsewhere(release), "demo==1.0"), again],
        {"demo": [names(earlier), names(earlier, release)]},
        before=[workshop.publish(earlier)],
        again={0: again},
        after=[next_one(workshop)] if next_one else [],
    )


#: Commands that heal what an interrupted promotion left, which cannot be run again.
NEXT_ONES: dict[str, Callable[[Workshop], Command]] = {
    "publish": lambda w: w.publish(w.build("demo", "0.1", kinds="s")),
    "refused": lambda w: w.publish(w.build("demo", "0.1", flavour="b")),
    "yank": lambda _: yank("demo==0.1"),
    "yank what is not there": lambda _: yank("demo==3.0"),
    "status": lambda _: give_status("demo", "deprecated"),
    "repair": lambda _: mend("demo"),
}


def repaired_beside_a_publish(workshop: Workshop) -> Scenario:
    earlier, release = workshop.build("demo", "1.0", kinds="w"), workshop.build("demo", "2.0")
    return Scenario(
        [workshop.publish(release), mend("demo")],
        {"demo": [names(earlier, release)]},
        before=[workshop.publish(earlier), take_away("demo/index.html")],
        reads=what_removing_reads,
    )


def a_root_repaired_beside_a_new_project(workshop: Workshop, lost: Sequence[str] = ("index.json",)) -> Scenario:
    earlier, release = workshop.build("demo", "1.0"), workshop.build("other", "1.0")
    return Scenario(
        [workshop.publish(release), mend("demo")],
        {"demo": [names(earlier)], "other": [names(release)]},
        before=[workshop.publish(earlier), *map(take_away, lost)],
        reads=what_removing_reads,
    )


def repaired_beside_a_delete(workshop: Workshop) -> Scenario:
    """A page is spoilt, and the sidecar is lost of what is being deleted."""
    gone, stays = (workshop.build("demo", version, kinds="w") for version in ("1.0", "2.0"))
    lost = take_away(f"demo/{key_of(gone[0])}.metadata")
    return Scenario(
        # When the wheel went first there is nothing to make a sidecar from, and it was missing indeed.
        [delete("demo==1.0"), mend("demo", perhaps=[Kind.SIDECAR_MISSING])],
        {"demo": [names(stays)]},
        before=[workshop.publish(gone), workshop.publish(stays), spoil("demo/index.html"), lost],
        after=[collect_garbage(THE_YEAR_AFTER)],
        reads=what_removing_reads,
        tidy=True,
    )


def a_sound_project_repaired_beside_a_delete(workshop: Workshop) -> Scenario:
    """What seems to be missing because it is deleted is neither mended nor told."""
    return _of_two_releases(workshop, delete("demo==1.0"), mend("demo"), left=["2.0"])


def repaired_twice(workshop: Workshop) -> Scenario:
    scenario = _of_two_releases(workshop, mend("demo"), mend("demo"))
    return replace(scenario, before=[*scenario.before, spoil("demo/index.html"), take_away("index.html")])


def verified_beside_a_publish(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0")
    before = [workshop.publish(workshop.build("aaa", "1.0"))]
    commands = [workshop.publish(release), check("aaa")]
    return Scenario(commands, {"demo": [names(release)]}, before=before, reads=what_removing_reads)


def verified_beside_a_delete(workshop: Workshop) -> Scenario:
    return _of_two_releases(workshop, delete("demo==1.0"), check("demo", Depth.BYTES), left=["2.0"])


def two_cases(workshop: Workshop) -> list[list[Artifact]]:
    """Wheels of equal bytes under names that differ in case only."""
    paths = [
        make_wheel(workshop.directory / name[0], "demo", "1.0", filename=name)
        for name in ("demo-1.0-py3-none-any.whl", "Demo-1.0-py3-none-any.whl")
    ]
    return [[artifact.read(path)] for path in paths]


def garbage_of_another_case(workshop: Workshop) -> Scenario:
    lower, upper = two_cases(workshop)
    earlier = workshop.build("demo", "0.1")
    return Scenario(
        [workshop.publish(upper), collect_garbage()],
        {"demo": [names(earlier, upper)]},
        before=[workshop.publish(earlier), store("demo", lower[0])],
        reads=what_removing_reads,
        empty=FoldingObjects(),
    )


def a_delete_of_another_case(workshop: Workshop) -> Scenario:
    lower, upper = two_cases(workshop)
    again = workshop.publish(upper)
    return Scenario(
        [again, delete("demo==1.0")],
        {"demo": [set(), names(lower), names(upper)]},
        before=[workshop.publish(lower)],
        after=[again],
        reads=what_removing_reads,
        empty=FoldingObjects(),
    )


def replaced_beside_a_publish(workshop: Workshop) -> Scenario:
    old, new, other = workshop.build("demo", "1.0"), workshop.build("demo", "1.0", flavour="b"), workshop.build("demo", "2.0")
    return Scenario(
        [workshop.publish(new, Existing.REPLACE), workshop.publish(other)],
        {"demo": [names(new, other)]},
        before=[workshop.publish(old)],
        private=private(new, other),
    )


def all_verbs_at_once(workshop: Workshop) -> Scenario:
    earlier = [workshop.build("demo", version, kinds="sw") for version in ("1.0", "2.0", "3.0")]
    new, promoted, orphan = (workshop.build("demo", version, kinds="sw") for version in ("4.0", "5.0", "6.0"))
    return Scenario(
        [
            workshop.publish(new),
            workshop.promote(workshop.elsewhere(promoted), "demo==5.0"),
            yank("demo==1.0", "broken"),
            delete("demo==2.0"),
            give_status("demo", "deprecated"),
            collect_garbage(),
            mend("demo"),
        ],
        {"demo": [names(earlier[0], earlier[2], new, promoted)]},
        before=[*map(workshop.publish, earlier), *(store("demo", artifact) for artifact in (*orphan, *promoted))],
        after=[collect_garbage(THE_YEAR_AFTER)],
        whole=[names(new), names(promoted)],
        tidy=True,
    )


# Whoever is told nothing of slash pages runs on a store that has a place for them, and does what the record says.


def slashed(scenario: Scenario, *forms: str) -> Scenario:
    """Let all before a scenario run with slash pages, and each of its commands with the form of its turn, or the last of them."""
    forms = forms or ("html",)
    each = [*forms, *[forms[-1]] * len(scenario.commands)]
    probes = [f".pypiprivate/probe-{number}/" for number in range(len(scenario.commands))]
    return replace(
        scenario,
        commands=[with_slash_pages(*args) for args in zip(scenario.commands, each[: len(probes)], probes, strict=True)],
        before=[with_slash_pages(command) for command in scenario.before],
        after=[with_slash_pages(command, forms[-1]) for command in scenario.after],
        private=scenario.private | {*probes},
    )


def adopted_with_a_slash_page_of_another_tool(workshop: Workshop) -> Scenario:
    """It wrote its page twice, and comes again beside us."""
    older = [make_wheel(workshop.directory / "older", "demo", version) for version in ("0.1", "0.2")]
    release = workshop.build("demo", "1.0")

    def twice(path: Path) -> Command:
        once = workshop.older_tool(path, "demo")

        def run(storage: Any) -> None:
            once(storage)
            storage.put("demo/", _page({path.name}))

        return run

    return Scenario(
        [with_slash_pages(ours := workshop.publish(release)), twice(older[1])],
        {"demo": [names(release) | {path.name for path in older}]},
        before=[twice(older[0])],
        after=[twice(older[1]), with_slash_pages(ours)],
        private=private(release) | {f"demo/{older[0].name}", ".pypiprivate/probe-1/"},
    )


def slash_pages_given_up_beside_a_publish(workshop: Workshop) -> Scenario:
    """A publisher who began before may put its page back; the next repair takes it away."""
    scenario = slashed(repaired_beside_a_publish(workshop), "", "off")
    return replace(scenario, after=[with_slash_pages(mend("demo"), "off")])


def a_release_deleted_after_slash_pages_were_given_up_beside_a_publish(workshop: Workshop) -> Scenario:
    """A slash page that was put back shows nothing that is gone."""
    scenario = slashed(repaired_beside_a_publish(workshop), "", "off")
    left = [{name for name in names if not name.startswith("demo-1.0")} for names in scenario.expected["demo"]]
    return replace(scenario, expected={"demo": left}, after=[with_slash_pages(delete("demo==1.0"), "")])


def slash_pages_begun_beside_a_publish(workshop: Workshop) -> Scenario:
    """By a repair, of an index that had none."""
    scenario = repaired_beside_a_publish(workshop)
    return replace(slashed(scenario, "", "html"), before=scenario.before)


def a_slash_page_repaired_beside_a_delete(workshop: Workshop) -> Scenario:
    scenario = slashed(_of_two_releases(workshop, delete("demo==1.0"), mend("demo"), left=["2.0"]))
    return replace(scenario, before=[*scenario.before, spoil("demo/"), spoil("")])


Make = Callable[[Workshop], Scenario]


def with_readmes(make: Make) -> Make:
    """Make the same scenario of artifacts that have a description."""
    return lambda workshop: make(Workshop(workshop.directory, "Hello"))


#: By name; the number of faults, and the holes of the protocol's design that it covers.
SCENARIOS: dict[str, tuple[Make, int]] = {
    "two publishers of one file, a new project (2)": (of_one_project, 1),
    "two publishers of one file, a new project on a store to be probed (2, 9)": (two_probers, 1),
    "two publishers of one file, a project with a release (2, 11)": (lambda w: of_one_project(w, published=1), 1),
    "two publishers of one file, a listed project": (lambda w: of_one_project(w, published=2), 1),
    "two publishers of two files, a new project (1)": (lambda w: of_one_project(w, kinds="sw"), 1),
    "three publishers, a listed project": (lambda w: of_one_project(w, published=2, publishers=3), 1),
    "two new projects (4)": (two_new_projects, 1),
    "two builds of one file (8, 11)": (two_builds_of_one_file, 1),
    "two spellings of one wheel (10)": (two_spellings_of_one_wheel, 1),
    "the same file twice": (the_same_file_twice, 1),
    "an adoption beside a publish (1, 4)": (adoption_beside_a_publish, 0),
    "an adoption beside a publish, and a fault (1, 4)": (adoption_beside_a_publish, 1),
    "taken over beside a publish (1, 4)": (taken_over_beside_a_publish, 1),
    "two projects taken over beside a publish (1, 4)": (two_projects_taken_over_beside_a_publish, 0),
    "taken over beside the older tool (4, 13)": (taken_over_beside_the_older_tool, 1),
    "taken over twice (4)": (taken_over_twice, 1),
    "the older tool beside us, a new project (4, 13)": (the_older_tool_beside_us, 1),
    "the older tool beside us, a listed project (13)": (lambda w: the_older_tool_beside_us(w, published=2), 1),
    "one file by the older tool and by us (13, 15)": (one_file_by_the_older_tool_and_by_us, 1),
    "the same bytes again beside a delete (5, 6)": (published_again_beside_a_delete, 1),
    "the same bytes again beside a delete and garbage collection (5, 6)": (
        published_again_beside_a_delete_and_garbage_collection,
        1,
    ),
    "the same bytes promoted beside a delete (5, 6)": (promoted_beside_a_delete, 1),
    "replaced beside a delete": (replaced_beside_a_delete, 1),
    "deleted of an older index beside a publish": (deleted_of_an_older_index_beside_a_publish, 0),
    "deleted of an older index beside the older tool (13)": (deleted_of_an_older_index_beside_the_older_tool, 1),
    "yanked beside a replacement": (yanked_beside_a_replacement, 1),
    "deleted beside a quarantine (12)": (deleted_beside_a_quarantine, 1),
    "pruned beside a yank": (pruned_beside_a_yank, 1),
    "verified beside two deletes": (verified_beside_two_deletes, 0),
    "verified beside a replacement and garbage collection": (verified_beside_garbage_collection, 1),
    "repaired beside a publish and a delete": (repaired_beside_a_publish_and_a_delete, 1),
    "garbage collected beside a publish (7)": (garbage_collected_beside_a_publish, 1),
    "garbage collected twice": (garbage_collected_twice, 1),
    "garbage collected beside a delete (5)": (garbage_collected_beside_a_delete, 1),
    "garbage collected beside a replacement (5)": (garbage_collected_beside_a_replacement, 1),
    "garbage collected beside a replacement, on the same day (14)": (
        lambda w: garbage_collected_beside_a_replacement(w, same_day=True),
        1,
    ),
    "a file replaced beside a publish": (replaced_beside_a_publish, 1),
    "a quarantined project, beside garbage collection (12, 13)": (a_quarantined_project, 1),
    "quarantined beside a publish and garbage collection (11, 12)": (quarantined_beside_a_publish, 1),
    "garbage in another case, on a file system that folds it (7, 16)": (garbage_of_another_case, 1),
    "the same bytes in another case, beside a delete (6, 16)": (a_delete_of_another_case, 1),
    "yanked beside a publish": (yanked_beside_a_publish, 1),
    "yanked beside the first publish": (yanked_beside_the_first_publish, 1),
    "yanked beside the older tool (13)": (yanked_beside_the_older_tool, 1),
    "three yanks of two releases": (two_yanks, 1),
    "a yank beside its taking back": (a_yank_beside_its_taking_back, 1),
    "yanked beside a delete": (yanked_beside_a_delete, 1),
    "yanked beside a quarantine (12)": (yanked_beside_a_quarantine, 1),
    "quarantined and back, beside a yank (12)": (quarantined_and_back_beside_a_yank, 1),
    "archived beside a publish (11)": (archived_beside_a_publish, 1),
    "two releases deleted (5)": (two_deletes, 1),
    "one release deleted twice (5)": (one_release_deleted_twice, 1),
    "a release and its whole project deleted (5)": (a_release_and_its_project_deleted, 1),
    "deleted beside a publish (5)": (deleted_beside_a_publish, 1),
    "a whole project deleted beside a publish (5)": (a_project_deleted_beside_a_publish, 1),
    "what was agreed to deleted beside a publish (5)": (what_was_agreed_to_deleted_beside_a_publish, 1),
    "pruned beside a publish (5)": (pruned_beside_a_publish, 1),
    "promoted beside a publish of the same bytes, a new project (1)": (promoted_beside_a_publish, 1),
    "promoted beside a publish of the same bytes, a listed project": (lambda w: promoted_beside_a_publish(w, published=2), 1),
    "promoted from what is deleted, then published": (lambda w: promoted_from_what_is_deleted(w, NEXT_ONES["publish"]), 1),
    "promoted beside a publish of other bytes (8, 11)": (
        lambda w: promoted_beside_a_publish(w, published=2, other_bytes=True),
        1,
    ),
    "repaired beside a publish": (repaired_beside_a_publish, 1),
    "a root record repaired beside a new project (4)": (a_root_repaired_beside_a_new_project, 1),
    "a root repaired beside a new project (4)": (
        lambda w: a_root_repaired_beside_a_new_project(w, ["index.json", "index.html"]),
        1,
    ),
    "repaired beside a delete (5)": (repaired_beside_a_delete, 1),
    "a sound project repaired beside a delete": (a_sound_project_repaired_beside_a_delete, 1),
    "repaired twice": (repaired_twice, 1),
    "verified beside a publish": (verified_beside_a_publish, 1),
    "verified beside a delete": (verified_beside_a_delete, 1),
    "a file and its README twice": (with_readmes(the_same_file_twice), 1),
    "a file and its README again beside a delete (5, 6)": (with_readmes(published_again_beside_a_delete), 1),
    "garbage collected beside a publish of a README (7)": (with_readmes(garbage_collected_beside_a_publish), 1),
    "garbage collected beside a replacement of a README (5)": (with_readmes(garbage_collected_beside_a_replacement), 1),
    "READMEs verified beside a delete": (with_readmes(verified_beside_a_delete), 1),
    "READMEs repaired beside a delete (5)": (with_readmes(repaired_beside_a_delete), 1),
    "with slash pages: two publishers of one file, a new project": (lambda w: slashed(of_one_project(w)), 1),
    "with slash pages: two publishers of two files, a listed project": (
        lambda w: slashed(of_one_project(w, kinds="sw", published=2), "json"),
        1,
    ),
    "with slash pages: two new projects": (lambda w: slashed(two_new_projects(w)), 1),
    "with slash pages: one publisher is not told of them": (lambda w: slashed(of_one_project(w, published=2), "html", ""), 1),
    "with slash pages: two publishers are told of two forms": (
        lambda w: slashed(of_one_project(w, published=1), "html", "json"),
        1,
    ),
    "with slash pages: deleted beside a publish": (lambda w: slashed(deleted_beside_a_publish(w)), 1),
    "with slash pages: deleted by one who is not told of them": (lambda w: slashed(deleted_beside_a_publish(w), "html", ""), 1),
    "with slash pages: two builds of one file": (lambda w: slashed(two_builds_of_one_file(w)), 1),
    "with slash pages: garbage collected beside a replacement, on the same day": (
        lambda w: slashed(garbage_collected_beside_a_replacement(w, same_day=True)),
        1,
    ),
    "with slash pages: adopted beside another tool that has some, too": (adopted_with_a_slash_page_of_another_tool, 1),
    "with slash pages: repaired beside a delete": (a_slash_page_repaired_beside_a_delete, 1),
    "with slash pages: verified beside a delete": (lambda w: slashed(verified_beside_a_delete(w)), 1),
    "with slash pages: begun beside a publish": (slash_pages_begun_beside_a_publish, 1),
    "with slash pages: given up beside a publish": (slash_pages_given_up_beside_a_publish, 1),
    "with slash pages: a release deleted after they were given up beside a publish": (
        a_release_deleted_after_slash_pages_were_given_up_beside_a_publish,
        1,
    ),
}
#: The holes that were found. The third cannot occur: nothing is ever removed from the root.
HOLES = {*range(1, 17)} - {3}
#: States at which an exploration stops: in the default run, and in a full one, where all of them end before.
SOME, ALL = 8_000, 2_000_000


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_order_with_every_fault_keeps_every_promise(name: str, workshop: Workshop) -> None:
    make, faults = SCENARIOS[name]
    scenario = make(workshop)
    explorer = scenario.explorer()
    explorer.explore(scenario.state(faults), limit=ALL if FULL else SOME)
    figure(f"simulation: {name}", faults=faults, states=explorer.states, ends=explorer.ends)
    assert explorer.ends
    assert explorer.states < ALL


@pytest.mark.parametrize("next_one", NEXT_ONES)
def test_the_next_command_heals_an_interrupted_promotion_of_what_is_gone(next_one: str, workshop: Workshop) -> None:
    scenario = promoted_from_what_is_deleted(workshop, NEXT_ONES[next_one])
    explorer = scenario.explorer()
    explorer.explore(scenario.state(1))
    assert explorer.ends


def test_until_the_next_command_an_interrupted_promotion_of_what_is_gone_may_leave_its_page_behind(workshop: Workshop) -> None:
    """The one command that is no recovery of its own: what it would say again is gone. Nothing is torn meanwhile."""
    assert caught(promoted_from_what_is_deleted(workshop)) == "after running again: the page of demo is not that of its record"


def test_every_hole_that_was_found_is_a_scenario() -> None:
    named = {int(number) for name in SCENARIOS for number in re.findall(r"\b[0-9]+(?=[,)])", name)}
    assert named == HOLES


#: What is explored twice; without merging, the last one has a third of a million states.
MERGED = [
    "two publishers of one file, a listed project",
    "two new projects (4)",
    "the same bytes again beside a delete (5, 6)",
    "garbage collected beside a publish (7)",
    "repaired beside a publish",
    *(["two publishers of two files, a new project (1)", "an adoption beside a publish (1, 4)"] if FULL else []),
]


@pytest.mark.parametrize("name", MERGED)
def test_merging_states_of_one_future_loses_nothing(name: str, workshop: Workshop) -> None:
    make, faults = SCENARIOS[name]
    merged = make(workshop)
    apart = replace(merged, reads=everything, ends={})
    few, many = Explorer(merged.at_rest), Explorer(apart.at_rest, key=told_apart)
    few.explore(merged.state(faults))
    many.explore(apart.state(faults), limit=10 * ALL)
    figure("merging", scenario=name, states=few.states, without=many.states)
    assert few.states < many.states
    assert (few.storages, merged.ends.keys()) == (many.storages, apart.ends.keys())


def told_apart(state: State) -> Any:
    return state.faults, frozenset(state.objects.items()), tuple((run.history, run.next is None) for run in state.runs)


@pytest.mark.parametrize(("publishers", "faults"), [(2, 3), (3, 2), (4, 1)])
def test_random_walks_keep_every_promise(publishers: int, faults: int, workshop: Workshop) -> None:
    scenario = of_one_project(workshop, kinds="sw", publishers=publishers)
    begin, explorer = scenario.state(faults), scenario.explorer()
    seed, walks = int(os.environ.get("SIMULATION_SEED", "1")), 4000 if FULL else 200
    for number in range(walks):
        chance = random.Random(f"{seed} {number}")
        explorer.walk(begin, chance.randrange)
    figure("random walks", publishers=publishers, faults=faults, walks=walks, steps=explorer.states, seed=seed)
    assert explorer.ends == walks


def test_random_walks_of_all_verbs_keep_every_promise(workshop: Workshop) -> None:
    scenario = all_verbs_at_once(workshop)
    begin, explorer = scenario.state(2), scenario.explorer()
    seed, walks = int(os.environ.get("SIMULATION_SEED", "1")), 4000 if FULL else 100
    for number in range(walks):
        chance = random.Random(f"{seed} {number}")
        explorer.walk(begin, chance.randrange)
    figure("random walks of all verbs", commands=len(scenario.commands), faults=2, walks=walks, steps=explorer.states, seed=seed)
    assert explorer.ends == walks


def test_a_violation_tells_a_schedule_that_replays(workshop: Workshop) -> None:
    make, _ = SCENARIOS["two publishers of one file, a new project (2)"]
    scenario = make(workshop)
    explorer = Explorer(lambda _objects, _runs: "for the sake of the example")
    with pytest.raises(Violation) as caught:
        explorer.explore(scenario.state(1))
    state = scenario.state(1)
    for name in caught.value.schedule:
        state = dict(state.steps())[name]
    assert all(run.ended for run in state.runs)


# -- teeth: the protocol, broken in one place ---------------------------------------------------------------------------------


class _Broken:
    """A storage that a command is given instead of its own, with one rule of the protocol broken."""

    conditional = False

    def __init__(self, inner: Stepped) -> None:
        self.inner = inner
        self.location = inner.location

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Unconditional(_Broken):
    """Some documents are written without condition."""

    ending = ""

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        if key.endswith(self.ending):
            self.inner.put(key, body)
        else:
            self.inner.swap(key, body, replacing=replacing, content_type=content_type)


class UnconditionalRecord(Unconditional):
    ending = "demo/index.json"


class UnconditionalRoot(Unconditional):
    ending = "index.json"


class UnconditionalPage(Unconditional):
    ending = "demo/index.html"


class SerialUnseen(_Broken):
    """A page is replaced on condition, but whatever its serial."""

    def get(self, key: str) -> Stored | None:
        stored = self.inner.get(key)
        if stored and key.endswith(".html"):
            return replace(stored, body=re.sub(rb'serial" content="[0-9]+"', b'serial" content="0"', stored.body))
        return stored


class FailedReadIsAbsent(_Broken):
    def get(self, key: str) -> Stored | None:
        try:
            return self.inner.get(key)
        except StorageError:
            return None

    def list(self, prefix: str) -> Iterator[Any]:
        try:
            return iter(list(self.inner.list(prefix)))
        except StorageError:
            return iter(())


class RecordFirst(_Broken):
    """Artifacts, or sidecars alone, are stored only after the record names them."""

    ending = ""

    def __init__(self, inner: Stepped) -> None:
        super().__init__(inner)
        self._late: list[tuple[str, bytes | Path, str]] = []

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        if key.endswith(self.ending):
            self._late.append((key, body, sha256))
        else:
            self.inner.store(key, body, sha256=sha256)

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        self.inner.swap(key, body, replacing=replacing, content_type=content_type)
        while self._late:
            late, data, sha256 = self._late.pop()
            self.inner.store(late, data, sha256=sha256)


class SidecarLast(RecordFirst):
    ending = ".metadata"


BROKEN_STORAGES: dict[type[_Broken], Make] = {
    UnconditionalRecord: lambda w: of_one_project(w, published=2),
    UnconditionalRoot: two_new_projects,
    UnconditionalPage: lambda w: of_one_project(w, published=2),
    SerialUnseen: lambda w: of_one_project(w, published=2),
    FailedReadIsAbsent: lambda w: replace(one := adoption_beside_a_publish(w), commands=one.commands[:1], after=one.commands[1:]),
    RecordFirst: of_one_project,
    SidecarLast: lambda w: of_one_project(w, kinds="w"),
}


def caught(scenario: Scenario, *, faults: int = 1) -> str:
    """Return why the explorer stops."""
    with pytest.raises(Violation) as violation:
        scenario.explorer().explore(scenario.state(faults), limit=300_000)
    return str(violation.value).splitlines()[0]


@pytest.mark.parametrize("broken", BROKEN_STORAGES, ids=lambda broken: broken.__name__)
def test_a_broken_rule_of_storing_is_caught(broken: type[_Broken], workshop: Workshop) -> None:
    scenario = BROKEN_STORAGES[broken](workshop)

    def with_it(command: Command) -> Command:
        return lambda storage: command(
            broken(storage) if isinstance(storage, Stepped) and not isinstance(storage, Direct) else storage
        )

    assert caught(replace(scenario, commands=[with_it(command) for command in scenario.commands]), faults=2)


def ignore_used_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "free_key", lambda _self, filename, sha256: f"{sha256[:32]}/{filename}")


def key_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "free_key", lambda _self, filename, _sha256: filename)


def check_nothing_in_the_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "_twins", lambda _self, _file: ())
    monkeypatch.setattr(Project, "held", lambda _self, file: file)


def refuse_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "PublishRefused", KeyboardInterrupt)


def mark_without_looking_at_the_root_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: Index, names: Sequence[str]) -> None:
        self._read((simple.ROOT_RECORD, simple.ROOT_PAGE))
        stored = self._seen[simple.ROOT_RECORD]
        self._root = simple.root_from_json(stored.body) if stored else None
        self._rooted = frozenset(name for name in names if self._root and name in self._root.projects)

    monkeypatch.setattr(Index, "look_at_root", look)


def do_not_adopt_at_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopt, "find", lambda _storage, _project: adopt.Findings())


def adopt_what_is_half_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies under keys by content is taken for files of an older index."""

    def find(storage: Storage, project: Project) -> adopt.Findings:
        entries = {entry.key.partition("/")[2]: entry for entry in storage.list(f"{project.name}/")}
        keys = [key for key in entries if "/" in key and not key.endswith(".metadata") and key not in project.held_keys]
        return adopt.Findings(tuple(found(key, b"".join(storage.read(entries[key].key))) for key in keys))

    def found(key: str, body: bytes) -> adopt.Found:
        hashes = {"sha256": hashlib.sha256(body).hexdigest()}
        return adopt.Found(File(key.rpartition("/")[2], key, hashes, len(body), timestamp(NOW)), None)

    monkeypatch.setattr(adopt, "find", find)


def adopt_what_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "_unadoptable", lambda _self, _file: None)


def compare_used_keys_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    def free_key(self: Project, filename: str, sha256: str) -> str:
        used = {used.key for used in self.used}
        return next(key for n in ("", "-2", "-3") if (key := f"{sha256[:32]}{n}/{filename}") not in used)

    monkeypatch.setattr(Project, "free_key", free_key)


def check_nothing_but_names_in_the_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's status is looked at once, before anything is stored."""
    change = Index.change

    def as_if_active(self: Index, name: str, edit: Edit) -> Project:
        if "record" not in edit.__qualname__:
            return change(self, name, edit)
        return change(self, name, lambda project: replace(edit(replace(project, status=Status())), status=project.status))

    monkeypatch.setattr(Index, "change", as_if_active)


def delete_objects_before_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Index.finish

    def too_late(self: Index, projects: Sequence[Project]) -> tuple[Project, ...]:
        for project in projects:
            amend.discard(self, project.name, amend._deleted_keys(project))
        return finish(self, projects)

    monkeypatch.setattr(Index, "finish", too_late)


def collect_before_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Index):
        def finish(self, projects: Sequence[Project]) -> tuple[Project, ...]:
            for project in projects:
                amend.discard(self, project.name, [used.key for used in project.used])
            return super().finish(projects)

    monkeypatch.setattr(garbage, "Index", Hasty)


def delete_and_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of deleted files are not remembered as used."""

    def deleted_keys(project: Project) -> list[str]:
        return [f"{gone.sha256[:32]}/{gone.filename}" for gone in project.deleted]

    monkeypatch.setattr(Project, "condemn", lambda self, _keys, _time: self)
    monkeypatch.setattr(amend, "_deleted_keys", lambda project: project.orphans(deleted_keys(project)))


def condemn_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "condemn", lambda self, _keys, _time: self)


def collect_what_is_not_held_in_this_very_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "orphans", lambda self, keys: [key for key in keys if key not in self.held_keys])


def collect_what_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = Project.orphans
    monkeypatch.setattr(Project, "orphans", lambda self, keys: offered(replace(self, withheld=()), keys))


def count_the_day_from_the_age_of_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = listing._leftover
    monkeypatch.setattr(
        listing, "_leftover", lambda key, entry, used: replace(leftover(key, entry, used), since=timestamp(entry.modified))
    )


def quarantine_and_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "set_status", lambda self, status: replace(self, status=status, files=()))


def edit_what_was_seen_at_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is on condition, but made of an older record."""
    change = Index.change

    def stale(self: Index, name: str, edit: Edit) -> Project:
        seen = self.project(name)
        return change(self, name, lambda project: replace(edit(seen), serial=project.serial))

    monkeypatch.setattr(Index, "change", stale)


def repair_without_looking_at_the_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    def mend_at_any_rate(self: Index, project: Project, page: Stored | None) -> None:
        self._seen[simple.page_key(project.name)] = page
        self.derive(project, is_right=lambda _serial, _mine: False)

    monkeypatch.setattr(Index, "mend", mend_at_any_rate)


def repair_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are written without condition."""

    def put(self: Index, project: Project, _page: Stored | None) -> None:
        storage: Any = self.storage
        storage.put(simple.page_key(project.name), pages.project_to_html(project))

    monkeypatch.setattr(Index, "mend", put)


def take_over_a_record_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    edit_what_was_seen_at_the_look(monkeypatch)


def take_over_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of the older tool is replaced without condition, by what was found a moment ago."""

    def put(self: Index, project: Project) -> Project:
        storage: Any = self.storage
        storage.put(simple.page_key(project.name), pages.project_to_html(project))
        return project

    monkeypatch.setattr(Index, "derive", put)


def believe_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_is_unchanged", lambda _storage, _state: True)


def promise_a_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish._Command, "_put_readme", lambda _self, _key, _make: None)


def promote_the_record_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(self: Any, entries: Sequence[Any]) -> None:
        self.stored.update((entry.artifact.project, entry.file.key) for entry in entries)

    monkeypatch.setattr(publish._Command, "store", too_late)


def derive_no_slash_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypiprivate.index.kept", lambda _storage, documents: documents[:1])


def forget_the_slash_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who is told of slash pages writes them."""
    read = simple.project_from_json
    monkeypatch.setattr(simple, "project_from_json", lambda body, name: replace(read(body, name), slash_pages=None))


def take_any_serial_of_a_slash_page(monkeypatch: pytest.MonkeyPatch) -> None:
    derive_one = Index._derive_one

    def at_any_rate(self: Index, document: Any, record: Any, **how: Any) -> Any:
        if document.is_slash:
            how["is_right"] = lambda _serial, _mine: False
        return derive_one(self, document, record, **how)

    monkeypatch.setattr(Index, "_derive_one", at_any_rate)


BROKEN_CODE: dict[Callable[[pytest.MonkeyPatch], None], Make] = {
    ignore_used_keys: published_again_beside_a_delete,
    key_by_name: two_builds_of_one_file,
    check_nothing_in_the_edit: two_builds_of_one_file,
    refuse_at_once: two_builds_of_one_file,
    mark_without_looking_at_the_root_page: of_one_project,
    do_not_adopt_at_the_page: the_older_tool_beside_us,
    adopt_what_is_half_stored: lambda w: replace(of_one_project(w, kinds="sw"), reads=everything),
    adopt_what_is_held: one_file_by_the_older_tool_and_by_us,
    compare_used_keys_exactly: a_delete_of_another_case,
    quarantine_and_forget: yanked_beside_a_quarantine,
    derive_no_slash_page: lambda w: slashed(of_one_project(w, published=1)),
    forget_the_slash_page: lambda w: slashed(deleted_beside_a_publish(w), "", ""),
    take_any_serial_of_a_slash_page: lambda w: slashed(of_one_project(w, published=1), "html", "json"),
}


@pytest.mark.parametrize("breaks", BROKEN_CODE, ids=lambda breaks: breaks.__name__)
def test_a_broken_rule_of_publishing_is_caught(
    breaks: Callable[[pytest.MonkeyPatch], None], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = BROKEN_CODE[breaks](workshop)
    breaks(monkeypatch)
    assert caught(scenario)


#: And what of it is seen.
BROKEN_VERBS: dict[Callable[[pytest.MonkeyPatch], None], tuple[Make, str]] = {
    check_nothing_but_names_in_the_edit: (archived_beside_a_publish, "and was archived"),
    delete_objects_before_the_page: (deleted_beside_a_publish, "shows"),
    delete_and_forget: (published_again_beside_a_delete, "lost"),
    edit_what_was_seen_at_the_look: (deleted_beside_a_publish, "forgot what was given up"),
    condemn_nothing: (garbage_collected_beside_a_publish, "is listed and is not there"),
    collect_before_the_page: (garbage_collected_beside_a_replacement, "shows"),
    collect_what_is_not_held_in_this_very_spelling: (garbage_of_another_case, "is not there"),
    collect_what_is_withheld: (a_quarantined_project, "is not there"),
    count_the_day_from_the_age_of_the_object: (
        lambda w: garbage_collected_beside_a_replacement(w, same_day=True),
        "a page of the same day shows it",
    ),
    repair_without_looking_at_the_serial: (repaired_beside_a_publish, "went back to an older serial"),
    repair_by_hand: (repaired_beside_a_publish, "went back to an older serial"),
    take_over_a_record_as_it_was: (taken_over_beside_a_publish, "lost"),
    take_over_by_hand: (taken_over_beside_a_publish, "went back to an older serial"),
    believe_the_first_look: (verified_beside_a_delete, "there seemed to be"),
    promote_the_record_first: (promoted_beside_a_publish, "is not there"),
    promise_a_readme: (with_readmes(the_same_file_twice), "the README of"),
}


@pytest.mark.parametrize("breaks", BROKEN_VERBS, ids=lambda breaks: breaks.__name__)
def test_a_broken_rule_of_changing_is_caught(
    breaks: Callable[[pytest.MonkeyPatch], None], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, seen = BROKEN_VERBS[breaks]
    scenario = make(workshop)
    breaks(monkeypatch)
    assert seen in caught(scenario)


def test_a_yank_of_the_page_alone_is_caught(workshop: Workshop) -> None:
    def run(storage: Storage) -> Told:
        index = Index(storage, sleep=not_at_all, gather=in_turn)
        project = index.project("demo")
        yanked = edits.yank(Target.parse("demo==0.1"))(project)
        index.mend(replace(yanked, serial=project.serial), storage.get("demo/index.html"))
        return Told("demo", marks=frozenset((file.key, bool(file.yanked)) for file in yanked.files))

    scenario = yanked_beside_a_publish(workshop)
    assert "and is the contrary" in caught(replace(scenario, commands=[run, scenario.commands[0]]))


def test_a_yank_without_condition_is_caught(workshop: Workshop) -> None:
    scenario = yanked_beside_a_publish(workshop)

    def blindly(storage: Any) -> Any:
        return scenario.commands[1](UnconditionalRecord(storage))

    broken = replace(scenario, commands=[scenario.commands[0], blindly])
    assert "lost" in caught(broken, faults=0)


def test_used_keys_compared_exactly_are_caught_beside_garbage_collection(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = garbage_of_another_case(workshop)
    compare_used_keys_exactly(monkeypatch)
    assert "a key that was given up" in caught(scenario)


def test_probing_on_one_key_is_caught(workshop: Workshop) -> None:
    scenario = two_probers(workshop, keys=[".pypiprivate/probe"] * 2)
    assert caught(scenario, faults=0) == "a good store was refused"


def test_a_storage_that_folds_case_has_one_object_for_two_spellings() -> None:
    objects, _ = Operation("store", "a/W", b"1").apply(FoldingObjects())
    objects, _ = Operation("store", "a/w", b"2").apply(objects)
    assert objects == {"a/w": Object(b"2", 2)}
    assert "A/W" in objects
    assert objects["A/W"].body == b"2"
    assert Operation("delete", "A/w").apply(objects)[0] == {}


def test_an_operation_is_what_the_reference_storage_does() -> None:
    objects = Objects()
    for operation in (
        Operation("swap", "a", b"1"),
        Operation("store", "b", b"2"),
        Operation("swap", "a", b"3", "1"),
        Operation("delete", "b"),
    ):
        objects, answer = operation.apply(objects)
        assert answer is None
    assert Operation("get", "a").apply(objects)[1] == Stored(b"3", "2")
    assert Operation("get", "b").apply(objects)[1] is None
    assert isinstance(Operation("swap", "a", b"4", "1").apply(objects)[1], Exception)
