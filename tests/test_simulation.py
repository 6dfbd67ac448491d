"""The protocol under every order of events: the real code of publish, explored by the model checker of ``simulation.py``.

Each hole that was found when the protocol was designed is a scenario here, and each broken variant of the protocol is caught.
``SIMULATION_SEED`` in the environment gives the random walks another seed.
"""

from __future__ import annotations

import logging
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import adopt, artifact, publish, simple
from pypiprivate.artifact import Artifact
from pypiprivate.errors import PublishRefused, PypiPrivateError, StorageError
from pypiprivate.index import Index
from pypiprivate.model import Deleted, Existing, Project, Used
from pypiprivate.storage.base import Sent, Storage, Stored

from .builders import make_sdist, make_wheel
from .proof import FULL, figure
from .repositories import in_turn, not_at_all
from .simulation import Command, Direct, Ended, Explorer, Objects, Operation, Run, State, Stepped, Violation, record_of, torn

NOW = "2026-02-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Scenario:
    """Commands that run side by side.

    :ivar expected: what each project lists in the end; for an alternative, a set of file names each.
    :ivar before: commands run one after another, first.
    :ivar after: commands run when all have ended, as the next ones that anybody runs.
    :ivar private: see :class:`.simulation.State`.
    """

    commands: Sequence[Command]
    expected: Mapping[str, Sequence[set[str]]]
    before: Sequence[Command] = ()
    after: Sequence[Command] = ()
    private: frozenset[str] = frozenset()
    _at_rest: dict[Any, str | None] = field(default_factory=dict)

    def state(self, faults: int) -> State:
        objects: Objects = {}
        for command in self.before:
            objects = run_alone(command, objects)
        return State(objects, tuple(Run.begin(command) for command in self.commands), faults, self.private)

    def at_rest(self, objects: Objects, runs: tuple[Run, ...]) -> str | None:
        """Run again what was interrupted, and say what is wrong then."""
        interrupted = tuple(number for number, run in enumerate(runs) if _is_interrupted(run))
        key = interrupted, frozenset(objects.items())
        if key not in self._at_rest:
            commands = [*(self.commands[number] for number in interrupted), *self.after]
            self._at_rest[key] = self._check(objects, commands)
        return self._at_rest[key] or _unreported(objects, runs) or _unfinished_by_refused(objects, runs)

    def _check(self, objects: Objects, commands: Sequence[Command]) -> str | None:
        for command in commands:
            objects = run_alone(command, objects)
        reason = torn(objects) or _unfinished_root(objects, self.expected.keys())
        for project, names in self.expected.items():
            reason = reason or _unfinished(objects, project, names)
        return f"after running again: {reason}" if reason else None


def run_alone(command: Command, objects: Objects) -> Objects:
    storage = Direct(objects)
    with suppress(PublishRefused):
        command(storage)
    return storage.objects


def _is_interrupted(run: Run) -> bool:
    return run.next is None or (isinstance(run.next, Ended) and _failed(run.next.error))


def _failed(error: PypiPrivateError | None) -> bool:
    return error is not None and not isinstance(error, PublishRefused)


def _unfinished(objects: Objects, project: str, names: Sequence[set[str]]) -> str | None:
    record = objects.get(simple.record_key(project))
    if record is None:
        return f"{project} has no record"
    found = record_of(simple.record_key(project), record.body)
    listed = sorted(file.filename for file in found.files)
    if listed not in [sorted(alternative) for alternative in names]:
        return f"{project} lists {listed}"
    page = objects.get(simple.page_key(project))
    return None if page and page.body == simple.project_to_html(found) else f"the page of {project} is not that of its record"


def _unfinished_root(objects: Objects, names: Any) -> str | None:
    if "index.json" not in objects or "index.html" not in objects:
        return "there is no root"
    root, page = simple.root_from_json(objects["index.json"].body), objects["index.html"].body
    # An older tool's page stays until the next new project; it names what lies there.
    foreign = simple.page_serial(page) is None and all(f">{name}</a>".encode() in page for name in names)
    if page != simple.root_to_html(root) and not foreign:
        return "the root page is not that of its record"
    return None if names <= root.projects.keys() else "a project is not listed"


def _unreported(objects: Objects, runs: tuple[Run, ...]) -> str | None:
    """What was reported as published must be listed with these bytes, unless it was replaced or deleted by the user's word."""
    for run in runs:
        for receipt in (isinstance(run.next, Ended) and run.next.result) or ():
            record = record_of(simple.record_key(receipt.project), objects[simple.record_key(receipt.project)].body)
            listed = any(file.filename == receipt.filename and file.sha256 == receipt.sha256 for file in record.files)
            if not listed and not any(receipt.sha256[:32] in used.key for used in record.used):
                return f"{receipt.filename} was reported as {receipt.outcome.value}, and is not there"
    return None


def _unfinished_by_refused(objects: Objects, runs: tuple[Run, ...]) -> str | None:
    """Refusing comes last: who is refused has finished what the record held, page and root."""
    for run in runs:
        if isinstance(run.next, Ended) and isinstance(run.next.error, PublishRefused):
            names = [key.removesuffix("/index.json") for key in objects if key.endswith("/index.json")]
            for name in names:
                record = record_of(f"{name}/index.json", objects[f"{name}/index.json"].body)
                page = objects.get(f"{name}/index.html")
                if not page or page.body != simple.project_to_html(record):
                    return f"a command was refused, and left the page of {name} behind its record"
            return _unfinished_root(objects, set(names))
    return None


class Workshop:
    """Builds artifacts and the commands that publish them; everything is the same at every run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._day = 0

    def build(self, project: str, version: str, *, kinds: str = "s", flavour: str = "a") -> list[Artifact]:
        where, files = self.directory / flavour, {"flavour": flavour.encode()}
        paths = [make_sdist(where, project, version, files=files)] if "s" in kinds else []
        paths += [make_wheel(where, project, version, files=files)] if "w" in kinds else []
        return [artifact.read(path) for path in paths]

    def publish(self, artifacts: Sequence[Artifact], existing: Existing = Existing.REFUSE) -> Command:
        self._day += 1
        moment = datetime(2026, 2, self._day, tzinfo=timezone.utc)
        return lambda storage: publish.publish(
            artifacts, storage, existing=existing, clock=lambda: moment, sleep=not_at_all, gather=in_turn
        )

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
def workshop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Workshop:
    caplog.set_level(logging.CRITICAL, "pypiprivate")  # or a million warnings are kept
    return Workshop(tmp_path)


def remove(project: str, *, page_first: bool = True) -> Command:
    """Delete every file of a project as DESIGN has it: out of the record, then off the page, then the objects."""

    def run(storage: Storage) -> None:
        here = Index(storage, sleep=not_at_all, gather=in_turn)
        gone = here.project(project).files
        record = here.change(project, lambda before: without(before, [file.key for file in gone]))
        if page_first:
            here.derive(record)
        for used in record.used:
            storage.delete(f"{project}/{used.key}")
        here.derive(record)

    return run


def without(project: Project, keys: Sequence[str]) -> Project:
    gone = [file for file in project.files if file.key in keys]
    used = [Used(file.key, NOW) for file in gone]
    deleted = [Deleted(file.filename, file.sha256) for file in gone]
    files = tuple(file for file in project.files if file not in gone)
    return replace(project, files=files, used=(*project.used, *used), deleted=(*project.deleted, *deleted))


def collect_garbage(project: str, *, condemning: bool = True) -> Command:
    """Remove what no record names, however young: condemned by an edit of the record first, then deleted."""

    def run(storage: Storage) -> None:
        here = Index(storage, sleep=not_at_all, gather=in_turn)
        if not here.project(project).serial:
            return
        stored = [entry.key.removeprefix(f"{project}/") for entry in storage.list(f"{project}/")]
        artifacts = [key for key in stored if "/" in key and not key.endswith(".metadata")]
        orphans = [key for key in artifacts if not here.project(project).holds(key)]
        if condemning:
            orphans = condemn(here, project, artifacts)
        for key in orphans:
            storage.delete(f"{project}/{key}")
            storage.delete(f"{project}/{key}.metadata")

    return run


def condemn(here: Index, project: str, keys: Sequence[str]) -> list[str]:
    condemned: list[str] = []

    def edit(record: Project) -> Project:
        nonlocal condemned
        condemned = [key for key in keys if not record.holds(key)]
        new = [Used(key, NOW) for key in condemned if key not in {used.key for used in record.used}]
        return replace(record, used=(*record.used, *new))

    here.derive(here.change(project, edit))
    return condemned


# -- scenarios ----------------------------------------------------------------------------------------------------------------


def private(*releases: Sequence[Artifact]) -> frozenset[str]:
    """Keys of artifacts and sidecars that only one of the commands stores; not to be used where anything is deleted."""
    keys = [
        {f"{a.project}/{a.sha256[:32]}/{a.filename}{end}" for a in release for end in ("", ".metadata")} for release in releases
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
    )


def two_new_projects(workshop: Workshop) -> Scenario:
    releases = [workshop.build(project, "1.0") for project in ("one", "two")]
    expected = {str(release[0].project): [names(release)] for release in releases}
    return Scenario([workshop.publish(release) for release in releases], expected, private=private(*releases))


def two_builds_of_one_file(workshop: Workshop, existing: Existing = Existing.REFUSE) -> Scenario:
    releases = [workshop.build("demo", "1.0", flavour=flavour) for flavour in "ab"]
    commands = [workshop.publish(release, existing) for release in releases]
    return Scenario(commands, {"demo": [names(*releases)]}, private=private(*releases))


def two_spellings_of_one_wheel(workshop: Workshop) -> Scenario:
    paths = [
        make_wheel(workshop.directory / flavour, "foo-bar", "1.0", files={"x": flavour.encode()}, filename=name)
        for flavour, name in (("a", "Foo_Bar-1.0-py3-none-any.whl"), ("b", "foo_bar-1.0-py3-none-any.whl"))
    ]
    releases = [[artifact.read(path)] for path in paths]
    commands = [workshop.publish(release) for release in releases]
    return Scenario(commands, {"foo-bar": [names(release) for release in releases]}, private=private(*releases))


def the_same_file_twice(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0", kinds="w")
    return Scenario([workshop.publish(release), workshop.publish(release)], {"demo": [names(release)]})


def adoption_beside_a_publish(workshop: Workshop) -> Scenario:
    releases = [workshop.build("demo", version) for version in ("1.0", "2.0")]
    older = make_wheel(workshop.directory / "older", "demo", "0.1")
    return Scenario(
        [workshop.publish(release) for release in releases],
        {"demo": [names(*releases) | {older.name}]},
        before=[workshop.older_tool(older, "demo")],
        private=private(*releases),
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


def published_again_beside_a_delete(workshop: Workshop) -> Scenario:
    release = workshop.build("demo", "1.0", kinds="w")
    again = workshop.publish(release)
    return Scenario(
        [again, remove("demo")],
        {"demo": [set(), names(release)]},
        before=[workshop.publish(release)],
        after=[again],
    )


def garbage_collected_beside_a_publish(workshop: Workshop) -> Scenario:
    earlier, release = workshop.build("demo", "0.1"), workshop.build("demo", "1.0", kinds="w")
    return Scenario(
        [workshop.publish(release), collect_garbage("demo")],
        {"demo": [names(earlier, release)]},
        before=[workshop.publish(earlier)],
    )


def replaced_beside_a_publish(workshop: Workshop) -> Scenario:
    old, new, other = workshop.build("demo", "1.0"), workshop.build("demo", "1.0", flavour="b"), workshop.build("demo", "2.0")
    return Scenario(
        [workshop.publish(new, Existing.REPLACE), workshop.publish(other)],
        {"demo": [names(new, other)]},
        before=[workshop.publish(old)],
        private=private(new, other),
    )


Make = Callable[[Workshop], Scenario]
#: By name; the number of faults, and the holes of the protocol's design that it covers.
SCENARIOS: dict[str, tuple[Make, int]] = {
    "two publishers of one file, a new project (2, 9)": (of_one_project, 1),
    "two publishers of one file, a project with a release (2, 11)": (lambda w: of_one_project(w, published=1), 1),
    "two publishers of one file, a listed project": (lambda w: of_one_project(w, published=2), 1),
    "two publishers of two files, a new project (1)": (lambda w: of_one_project(w, kinds="sw"), 1),
    "three publishers, a listed project": (lambda w: of_one_project(w, published=2, publishers=3), 1),
    "two new projects (3)": (two_new_projects, 1),
    "two builds of one file (8, 11)": (two_builds_of_one_file, 1),
    "two spellings of one wheel (10)": (two_spellings_of_one_wheel, 1),
    "the same file twice": (the_same_file_twice, 1),
    "an adoption beside a publish (1, 4)": (adoption_beside_a_publish, 0),
    "an adoption beside a publish, and a fault (1, 4)": (adoption_beside_a_publish, 1),
    "the older tool beside us, a new project (4, 13)": (the_older_tool_beside_us, 0),
    "the older tool beside us, a listed project (13, 15)": (lambda w: the_older_tool_beside_us(w, published=2), 1),
    "the same bytes again beside a delete (5, 6)": (published_again_beside_a_delete, 1),
    "garbage collected beside a publish (7)": (garbage_collected_beside_a_publish, 1),
    "a file replaced beside a publish (14)": (replaced_beside_a_publish, 1),
}
#: States at which an exploration stops: in the default run, and in a full one (all of them, but for adoption with a fault).
SOME, ALL = 25_000, 1_500_000


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_order_with_every_fault_keeps_every_promise(name: str, workshop: Workshop) -> None:
    make, faults = SCENARIOS[name]
    scenario = make(workshop)
    explorer = Explorer(scenario.at_rest)
    explorer.explore(scenario.state(faults), limit=ALL if FULL else SOME)
    figure(f"simulation: {name}", faults=faults, states=explorer.states, ends=explorer.ends)
    assert explorer.ends > 10


@pytest.mark.parametrize(("publishers", "faults"), [(2, 3), (3, 2), (4, 1)])
def test_random_walks_keep_every_promise(publishers: int, faults: int, workshop: Workshop) -> None:
    scenario = of_one_project(workshop, kinds="sw", publishers=publishers)
    begin, explorer = scenario.state(faults), Explorer(scenario.at_rest)
    seed, walks = int(os.environ.get("SIMULATION_SEED", "1")), 4000 if FULL else 200
    for number in range(walks):
        chance = random.Random(f"{seed} {number}")
        explorer.walk(begin, chance.randrange)
    figure("random walks", publishers=publishers, faults=faults, walks=walks, steps=explorer.states, seed=seed)
    assert explorer.ends == walks


def test_a_violation_tells_a_schedule_that_replays(workshop: Workshop) -> None:
    make, _ = SCENARIOS["two publishers of one file, a new project (2, 9)"]
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
        Explorer(scenario.at_rest).explore(scenario.state(faults), limit=300_000)
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

    monkeypatch.setattr(Index, "_look_at_root", look)


def do_not_adopt_at_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopt, "find", lambda _storage, _project: adopt.Findings())


BROKEN_CODE: dict[Callable[[pytest.MonkeyPatch], None], Make] = {
    ignore_used_keys: published_again_beside_a_delete,
    key_by_name: two_builds_of_one_file,
    check_nothing_in_the_edit: two_builds_of_one_file,
    refuse_at_once: two_builds_of_one_file,
    mark_without_looking_at_the_root_page: of_one_project,
    do_not_adopt_at_the_page: the_older_tool_beside_us,
}


@pytest.mark.parametrize("breaks", BROKEN_CODE, ids=lambda breaks: breaks.__name__)
def test_a_broken_rule_of_publishing_is_caught(
    breaks: Callable[[pytest.MonkeyPatch], None], workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = BROKEN_CODE[breaks](workshop)
    breaks(monkeypatch)
    assert caught(scenario)


def test_deleting_an_object_before_the_page_is_caught(workshop: Workshop) -> None:
    scenario = published_again_beside_a_delete(workshop)
    assert "shows" in caught(replace(scenario, commands=[remove("demo", page_first=False)]))


def test_collecting_garbage_without_condemning_it_is_caught(workshop: Workshop) -> None:
    scenario = garbage_collected_beside_a_publish(workshop)
    broken = replace(scenario, commands=[scenario.commands[0], collect_garbage("demo", condemning=False)])
    assert "is listed and is not there" in caught(broken)


def test_an_operation_is_what_the_reference_storage_does() -> None:
    objects: Objects = {}
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
