"""The main path: artifacts in, a release in the index, receipts out.

1. look    record and page of every project; nothing is written before all were looked at
2. store   artifacts and sidecars, under keys that say their bytes
3. record  all files of a project in one compare-and-swap: the commit point
4. derive  the page from the record
5. list    the project in the root, unless its record is marked as listed

Every step is idempotent, so running the same command again is the recovery from everything. Refusing comes last: what a record
already holds gets its page and its place in the root first.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, Protocol, TypeAlias

from packaging.version import Version

from .artifact import Artifact
from .concurrency import Gather, concurrently
from .errors import ArtifactError, PublishRefused
from .filenames import Identity
from .index import Index
from .model import Deleted, Existing, File, Outcome, Project, readme_of, timestamp
from .storage.base import Progress, Sent, Storage, quietly

log = logging.getLogger(__name__)


class Offer(Protocol):
    """What may enter an index: an artifact on this disk, or a file of another repository."""

    @property
    def project(self) -> str:
        """Normalised name."""

    @property
    def version(self) -> Version:
        """The release that it belongs to."""

    @property
    def filename(self) -> str:
        """Its name in the index."""

    @property
    def source(self) -> str:
        """Where it is, for messages."""

    @property
    def identity(self) -> Identity:
        """What its name parses to."""

    @property
    def sha256(self) -> str:
        """Hex digest of its bytes."""

    @property
    def size(self) -> int:
        """Number of its bytes."""

    @property
    def metadata(self) -> bytes | None:
        """Its sidecar."""

    @property
    def readme(self) -> Callable[[], bytes] | None:
        """Makes a page of its description; None where it has none."""

    def as_file(self, *, key: str, upload_time: str) -> File:
        """Describe it as a record does."""


#: Stores the bytes of an offer under a key; what it gets last is to be told of bytes sent.
Send: TypeAlias = Callable[[Any, Storage, str, Sent], None]


@dataclass(frozen=True)
class Receipt:
    """What became of one artifact.

    :ivar project: normalised name. ``version``: normalised.
    :ivar sha256: of the artifact on our disk; ``size``: its bytes.
    :ivar url: of the file that the index now offers, relative to the repository's root and percent-encoded.
    :ivar serial: of the project's record after it; in a plan, before it.
    """

    project: str
    version: str
    filename: str
    sha256: str
    size: int
    outcome: Outcome
    url: str
    serial: int


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(timezone.utc)


def send_from_disk(artifact: Artifact, storage: Storage, key: str, sent: Sent) -> None:
    """Store an artifact of this disk."""
    storage.store(key, artifact.path, sha256=artifact.sha256, sent=sent)


def publish(
    artifacts: Iterable[Offer],
    storage: Storage,
    *,
    existing: Existing = Existing.REFUSE,
    send: Send = send_from_disk,
    progress: Progress = quietly,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    timer: Callable[[], float] = time.monotonic,
    gather: Gather = concurrently,
) -> tuple[Receipt, ...]:
    """Publish *artifacts* to the repository on *storage*: those of one project become visible in one swap of its record.

    :param existing: what happens to a release file that is published already with other bytes.
    :param send: stores one of them.
    :param progress: is told of what is sent.
    :param clock: gives the upload time (UTC).
    :param sleep: waits for so many seconds between tries on a contended document. ``timer``: tells how many have gone by.
    :param gather: runs calls, at once or in turn.
    :return: a receipt for each artifact, by project and file name.
    :raises PublishRefused: the index does not take one of them; nothing of this command was stored then, unless another publisher
        came first in the last moment.
    :raises StorageError: the store failed; running the same command again is safe.
    :raises UnsupportedIndex: a document in the way cannot be understood; nothing was written.
    """
    releases = _by_project(artifacts)
    index = Index(storage, sleep=sleep, timer=timer, gather=gather)
    command = _Command(index, existing, timestamp(clock()), send, progress)
    projects = index.look(releases)
    try:
        plans = [command.plan(projects[name], releases[name]) for name in releases]
        for name in releases:
            index.settle(name)
        command.store([entry for plan in plans for entry in plan.new])
        # To store a release may take hours, and the time of a file that is replaced counts from now on.
        command = replace(command, now=timestamp(clock()))
        plans = [command.record(name, releases[name]) for name in releases]
    except PublishRefused:
        index.finish([project for name in releases if (project := index.project(name)).serial])
        raise
    index.finish([plan.project for plan in plans])
    return tuple(receipt for plan in plans for receipt in plan.receipts())


def preview(
    artifacts: Iterable[Offer],
    storage: Storage,
    *,
    existing: Existing = Existing.REFUSE,
    clock: Callable[[], datetime] = utc_now,
    gather: Gather = concurrently,
) -> tuple[Receipt, ...]:
    """Say what :func:`publish` would do, and write nothing. Arguments, results and errors are the same."""
    releases = _by_project(artifacts)
    index = Index(storage, gather=gather)
    command = _Command(index, existing, timestamp(clock()), send_from_disk, quietly)
    projects = index.look(releases)
    return tuple(receipt for name in releases for receipt in command.plan(projects[name], releases[name]).receipts())


def _by_project(artifacts: Iterable[Offer]) -> dict[str, list[Offer]]:
    releases: dict[str, list[Offer]] = {}
    for artifact in sorted(artifacts, key=lambda artifact: (artifact.project, artifact.filename)):
        others = releases.setdefault(artifact.project, [])
        twin = next((other for other in others if other.identity == artifact.identity), None)
        if twin and twin.sha256 != artifact.sha256:
            reason = f"{twin.source} and {artifact.source} are one release file with different bytes."
            raise ArtifactError(artifact.filename, reason, hint="Empty the directory and build once, or name one of the two.")
        if not twin:
            others.append(artifact)
    return releases


@dataclass(frozen=True)
class _Entry:
    """One artifact, the file that the record holds or will hold for it, and what it comes to."""

    artifact: Offer
    file: File
    outcome: Outcome


@dataclass(frozen=True)
class _Plan:
    """A record with all artifacts of a command in it."""

    project: Project
    entries: tuple[_Entry, ...] = ()

    @property
    def new(self) -> list[_Entry]:
        return [entry for entry in self.entries if entry.outcome in (Outcome.PUBLISHED, Outcome.REPLACED)]

    def receipts(self) -> list[Receipt]:
        return [_receipt(self.project, entry) for entry in self.entries]


class _Unstored(Exception):
    """The newest record wants a key under which this command has stored nothing: a former one was used meanwhile."""

    def __init__(self, entries: list[_Entry]) -> None:
        super().__init__()
        self.entries = entries


@dataclass(frozen=True)
class _Command:
    """What stays the same throughout one command; which keys it has stored, and which of them it has tried to commit."""

    index: Index
    existing: Existing
    now: str
    send: Send
    progress: Progress
    stored: set[tuple[str, str]] = field(default_factory=set)
    tried: set[tuple[str, str]] = field(default_factory=set)

    def plan(self, project: Project, artifacts: Sequence[Offer]) -> _Plan:
        """Add *artifacts* to the record as it is given; every check of the command is in here."""
        entries, described = [], _described(artifacts)
        for artifact in artifacts:
            gone = self._came_and_went(project, artifact)
            key = gone or project.free_key(artifact.filename, artifact.sha256)
            file = replace(artifact.as_file(key=key, upload_time=self.now), readme=artifact in described)
            if gone:
                entries.append(_Entry(artifact, file, Outcome.PUBLISHED))
                continue
            outcome = project.judge(file, self.existing)
            project = project.add(file, self.existing)
            is_new = outcome in (Outcome.PUBLISHED, Outcome.REPLACED)
            entries.append(_Entry(artifact, file if is_new else project.held(file), outcome))
        return _Plan(project, tuple(entries))

    def _came_and_went(self, project: Project, artifact: Offer) -> str | None:
        """Return the key under which this was published, in a swap whose reply was lost, if it was deleted since.

        It stays deleted: whoever deleted it came after us.
        """
        if Deleted(artifact.filename, artifact.sha256) not in project.deleted:
            return None
        if any(file.sha256 == artifact.sha256 for file in project.held_files):
            return None
        ours = (used.key for used in project.used if (project.name, used.key) in self.tried)
        return next((key for key in ours if key.endswith(f"/{artifact.filename}")), None)

    def store(self, entries: Sequence[_Entry]) -> None:
        if entries:
            self.index.probe()
        self.index.gather([call for entry in entries for call in self._puts(entry)])
        self.stored.update((entry.artifact.project, entry.file.key) for entry in entries)

    def record(self, name: str, artifacts: Sequence[Offer]) -> _Plan:
        """Commit: all files of the project in one swap of its record."""
        plan = _Plan(Project(name))

        def edit(project: Project) -> Project:
            nonlocal plan
            plan = self.plan(project, artifacts)
            if unstored := [entry for entry in plan.new if (name, entry.file.key) not in self.stored]:
                raise _Unstored(unstored)
            self.tried.update((name, entry.file.key) for entry in plan.new)
            return plan.project

        while True:
            try:
                return _Plan(self.index.change(name, edit), plan.entries)
            except _Unstored as missing:
                self.store(missing.entries)

    def _puts(self, entry: _Entry) -> list[Callable[[], None]]:
        key = f"{entry.artifact.project}/{entry.file.key}"
        puts: list[Callable[[], None]] = [partial(self._put_artifact, key, entry.artifact)]
        if entry.artifact.metadata is not None:
            puts.append(partial(self._put_sidecar, f"{key}.metadata", entry.artifact.metadata))
        if entry.file.readme and entry.artifact.readme:
            puts.append(partial(self._put_readme, readme_of(key), entry.artifact.readme))
        return puts

    def _put_artifact(self, key: str, artifact: Offer) -> None:
        sent = self.progress(artifact.filename, artifact.size)
        self.send(artifact, self.index.storage, key, sent)
        log.info("stored %s", key)

    def _put_sidecar(self, key: str, metadata: bytes) -> None:
        self.index.storage.store(key, metadata, sha256=hashlib.sha256(metadata).hexdigest())

    def _put_readme(self, key: str, make: Callable[[], bytes]) -> None:
        self.index.accompany(key, make())


def _described(artifacts: Iterable[Offer]) -> list[Offer]:
    """Return those whose README is published: one of each release, a wheel if there is one."""
    chosen: dict[Version, Offer] = {}
    for artifact in sorted(artifacts, key=lambda artifact: artifact.identity.kind != ".whl"):
        if artifact.readme:
            chosen.setdefault(artifact.version, artifact)
    return list(chosen.values())


def _receipt(project: Project, entry: _Entry) -> Receipt:
    artifact, file = entry.artifact, entry.file
    url = file.url if "//" in file.url else f"{project.name}/{file.url}"
    version = str(artifact.version)
    return Receipt(project.name, version, file.filename, artifact.sha256, artifact.size, entry.outcome, url, project.serial)
