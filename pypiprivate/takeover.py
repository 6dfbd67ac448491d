"""Takes over an index that another tool wrote: in place, or copied from where it lies in another layout.

A survey comes first, see :mod:`.survey`. Then each project by itself: all its files are read before the first of them is written
down, one swap of its record shows them all, and its page follows; the root comes last. Nothing of the older index is removed,
every step is idempotent, and running the same command again finishes what was begun.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeVar

from . import adopt, artifact, promote
from .adopt import Found, Reader
from .concurrency import Gather, concurrently, singly
from .errors import ArtifactDeleted, ProjectClosed, UnsupportedIndex
from .filenames import Identity, parse_filename
from .index import Index
from .model import Existing, File, Outcome, Project, url_of
from .publish import Receipt, publish
from .publish import preview as preview_of_publish
from .storage.base import Progress, Sent, Storage, quietly
from .survey import Candidate, Kind, Remark, Survey

log = logging.getLogger(__name__)

T = TypeVar("T")

#: To upload the very bytes that were deleted undoes that, on purpose; to adopt a mirror once more must not.
_DELETED = "it was deleted from this index; pypi-private upload brings it back"
#: Projects, or files, that are copied by one publish: the root is written once for all of them.
_PROJECTS, _FILES = 32, 256


class Taken(NamedTuple):
    """A file that the repository has now, and had not before."""

    project: str
    filename: str
    sha256: str
    size: int
    in_place: bool


@dataclass(frozen=True)
class Adoption:
    """What a takeover came to; in a preview, what it would come to.

    :ivar taken: the files that are new in the repository.
    :ivar present: how many were there before.
    """

    taken: tuple[Taken, ...] = ()
    present: int = 0
    remarks: tuple[Remark, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every release file of the older index is offered now."""
        return not any(remark.kind is Kind.REFUSED for remark in self.remarks)


def take(
    found: Survey,
    storage: Storage,
    *,
    read: Reader = artifact.skim_published,
    sent: Sent = lambda _: None,
    progress: Progress = quietly,
    sleep: Callable[[float], None] = time.sleep,
    gather: Gather = concurrently,
) -> Adoption:
    """Take over what a survey found.

    :param storage: the repository; that of the survey, if it was of files in place.
    :param read: how thoroughly a file is read.
    :param sent: is told of bytes read, from any thread. ``progress``: of what is copied.
    :raises StorageError: a store failed; running the same command again is safe.
    :raises UnsupportedIndex: the root cannot be understood. A project that cannot is left as it is, and remarked upon.
    """
    _check_root(storage)
    index = Index(storage, sleep=sleep, gather=gather if len(found.in_place) == 1 else singly)
    if found.files > len(found.copies):
        index.probe()
    done = gather([partial(_take_in, index, name, read, sent) for name in found.in_place])
    if recorded := [name for name, each in zip(found.in_place, done, strict=True) if each.recorded]:
        index.enlist(recorded)
    copy = partial(_copy, progress=progress, sleep=sleep)
    done += gather([partial(copy, storage, batch, read, sent) for batch in _batches(found.copies)])
    return _summed(found, done)


def preview(
    found: Survey,
    storage: Storage,
    *,
    read: Reader = artifact.skim_published,
    sent: Sent = lambda _: None,
    gather: Gather = concurrently,
) -> Adoption:
    """Say what :func:`take` would do, and write nothing. Arguments, results and errors are the same."""
    _check_root(storage)
    done = gather([partial(_would_take_in, storage, name, read, sent) for name in found.in_place])
    done += gather([partial(_would_copy, storage, batch, read, sent) for batch in _batches(found.copies)])
    return _summed(found, done)


def _check_root(storage: Storage) -> None:
    """The root comes last, so that it names what is there; whether it will refuse is seen first."""
    Index(storage, gather=singly).look_at_root()


@dataclass(frozen=True)
class _Done:
    taken: tuple[Taken, ...] = ()
    present: int = 0
    remarks: tuple[Remark, ...] = ()
    recorded: bool = False


def _summed(found: Survey, done: Sequence[_Done]) -> Adoption:
    return Adoption(
        tuple(taken for each in done for taken in each.taken),
        sum(each.present for each in done),
        (*found.remarks, *(remark for each in done for remark in each.remarks)),
    )


def _take_in(index: Index, name: str, read: Reader, sent: Sent) -> _Done:
    try:
        before = index.read(name)
        findings = adopt.find(index.storage, before, read=read, sent=sent)
        after, left_out = index.take_in(name, findings.found) if findings.found else (before, ())
        index.told((*findings.warnings, *left_out))
        if after.serial:
            index.derive(after)
    except UnsupportedIndex as error:
        return _refused(name, error)
    return _adopted(before, (after, left_out), findings)


def _would_take_in(storage: Storage, name: str, read: Reader, sent: Sent) -> _Done:
    try:
        before = Index(storage, gather=singly).read(name)
        findings = adopt.find(storage, before, read=read, sent=sent)
    except UnsupportedIndex as error:
        return _refused(name, error)
    return _adopted(before, before.adopt(found.file for found in findings.found), findings)


def _adopted(before: Project, adopted: tuple[Project, tuple[str, ...]], findings: adopt.Findings) -> _Done:
    after, left_out = adopted
    name, held = after.name, after.held_keys
    missing = [found.file for found in findings.found if found.file.key not in held]
    remarks = [Remark(Kind.LEFT_OUT, name, filename, reason) for filename, reason in findings.left_alone.items()]
    for file, said in zip(missing, left_out, strict=True):
        remarks.append(Remark(Kind.LEFT_OUT, name, file.filename, said.partition(": ")[2]))
    taken = tuple(found for found in findings.found if found.file.key in held)
    return _Done(
        tuple(Taken(name, found.file.filename, found.file.sha256, found.file.size, in_place=True) for found in taken),
        sum(1 for file in before.held_files if "/" not in file.key),
        (*remarks, *_strange(name, taken)),
        recorded=after.serial > 0,
    )


def _strange(project: str, found: Iterable[Found]) -> Iterator[Remark]:
    for each in found:
        yield from (Remark(Kind.STRANGE, project, each.file.filename, warning) for warning in each.warnings)


def _refused(name: str, error: UnsupportedIndex) -> _Done:
    log.debug("%s is left as it is: %s", name, error)
    return _Done(remarks=(Remark(Kind.REFUSED, name, error.key, f"{error.reason}; the project is left as it is"),))


# -- copies -------------------------------------------------------------------------------------------------------------------


class _Copy(promote.Published):
    """A file of another index, read; it keeps its upload time and its marks."""

    def as_file(self, *, key: str, upload_time: str) -> File:  # noqa: ARG002  it has its own
        """Describe it as it was read, but for where it lies."""
        return replace(self.file, url=url_of(key))


def _batches(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Files of some projects at once; never a part of those of a project."""
    batch: list[Candidate] = []
    projects = 0
    for at, candidate in enumerate(candidates):
        if at == 0 or candidate.project != candidates[at - 1].project:
            if projects == _PROJECTS or len(batch) >= _FILES:
                yield batch
                batch, projects = [], 0
            projects += 1
        batch.append(candidate)
    if batch:
        yield batch


def _copy(
    storage: Storage,
    batch: Sequence[Candidate],
    read: Reader,
    sent: Sent,
    *,
    progress: Progress,
    sleep: Callable[[float], None],
) -> _Done:
    seen = _Batch.of(storage, batch, read, sent)
    _finish(storage, seen.complete(), sleep)
    copying = partial(publish, send=promote.send, progress=progress)
    return _offered(seen, partial(copying, storage=storage, existing=Existing.KEEP, sleep=sleep, gather=singly))


def _would_copy(storage: Storage, batch: Sequence[Candidate], read: Reader, sent: Sent) -> _Done:
    act = partial(preview_of_publish, storage=storage, existing=Existing.KEEP, gather=singly)
    return _offered(_Batch.of(storage, batch, read, sent), act)


def _finish(storage: Storage, names: Sequence[str], sleep: Callable[[float], None]) -> None:
    """Bring pages and root up to what an earlier run wrote down, where this one has nothing to add."""
    index = Index(storage, sleep=sleep, gather=singly)
    index.look(names)
    for name in names:
        index.settle(name)
    index.finish([index.project(name) for name in names])


class _Known(NamedTuple):
    """What the repository has of a project, by file name and digest, and what was deleted and has not come back."""

    held: frozenset[tuple[str, str]]
    deleted: frozenset[tuple[Identity | str, str]]

    @classmethod
    def of(cls, record: Project) -> _Known:
        held = frozenset((file.filename, file.sha256) for file in record.held_files)
        deleted = {(_identity(each.filename, record.name), each.sha256) for each in record.deleted}
        return cls(held, frozenset(deleted - {(_identity(filename, record.name), sha256) for filename, sha256 in held}))


def _identity(filename: str, project: str) -> Identity | str:
    try:
        return parse_filename(filename, project)
    except ValueError:  # an inherited record may hold anything
        return filename


@dataclass
class _Batch:
    """The files of some projects, read; of those that the repository has already nothing more is wanted."""

    storage: Storage
    offers: list[_Copy] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    present: int = 0
    known: dict[str, _Known] = field(default_factory=dict)

    @classmethod
    def of(cls, storage: Storage, candidates: Iterable[Candidate], read: Reader, sent: Sent) -> _Batch:
        batch = cls(storage)
        for candidate in candidates:
            try:
                batch.add(candidate, read, sent)
            except UnsupportedIndex as error:
                batch.refuse(candidate.project, candidate.filename, str(error))
        batch.leave_out_twins()
        return batch

    def add(self, candidate: Candidate, read: Reader, sent: Sent) -> None:
        sha256 = candidate.link.hashes.get("sha256", "") if candidate.link else ""
        if sha256 and self.passes_over(candidate.project, candidate.filename, sha256):
            # The older index says which bytes it has, and these are known: a takeover that was interrupted reads nothing twice.
            sent(candidate.entry.size)
            return
        identity, found = adopt.read_found(
            candidate.origin, candidate.entry, candidate.project, link=candidate.link, read=read, sent=sent
        )
        if self.passes_over(identity.project, found.file.filename, found.file.sha256):
            return
        self.remarks += _strange(identity.project, [found])
        self.offers.append(_Copy(candidate.origin, identity.project, candidate.entry.key, found.file, identity, found.metadata))

    def passes_over(self, project: str, filename: str, sha256: str) -> bool:
        """Tell whether there is nothing to do: the repository has these bytes under this name, or deleted them."""
        if project not in self.known:
            self.known[project] = _Known.of(Index(self.storage).project(project))
        known = self.known[project]
        if (filename, sha256) in known.held:
            self.present += 1
        elif (_identity(filename, project), sha256) in known.deleted:
            self.remarks.append(Remark(Kind.LEFT_OUT, project, filename, _DELETED))
        else:
            return False
        return True

    def complete(self) -> list[str]:
        """Names of projects of which there are files, but none to add."""
        return sorted({name for name, known in self.known.items() if known.held} - {offer.project for offer in self.offers})

    def leave_out_twins(self) -> None:
        """Of one release file with different bytes nobody knows which are right, and what is published stays for ever."""
        twins: dict[Identity, list[_Copy]] = {}
        for offer in self.offers:
            twins.setdefault(offer.identity, []).append(offer)
        for group in twins.values():
            first, *others = group
            if len({offer.sha256 for offer in group}) > 1:
                places = ", ".join(offer.source for offer in group)
                for offer in group:
                    self.refuse(offer.project, offer.filename, f"it is there more than once with different bytes: {places}")
                self.offers = [offer for offer in self.offers if offer not in group]
            for offer in others if first in self.offers else ():
                self.remarks.append(Remark(Kind.LEFT_OUT, offer.project, offer.filename, f"it is the same as {first.source}"))
                self.offers.remove(offer)

    def refuse(self, project: str, filename: str, said: str) -> None:
        self.remarks.append(Remark(Kind.REFUSED, project, filename, said))


def _offered(batch: _Batch, act: Callable[[Sequence[_Copy]], Sequence[Receipt]]) -> _Done:
    offers = batch.offers
    while True:
        try:
            receipts = act(offers)
        except (ArtifactDeleted, ProjectClosed, UnsupportedIndex) as error:
            closed = _closed(offers, error)
            for offer in closed:
                batch.refuse(offer.project, offer.filename, str(error))
            offers = [offer for offer in offers if offer not in closed]
        else:
            return _copied(batch, receipts)


def _closed(offers: Sequence[_Copy], error: ArtifactDeleted | ProjectClosed | UnsupportedIndex) -> list[_Copy]:
    """The offers that an error is about; it is raised if that is the repository as a whole."""
    project = error.key.partition("/")[0] if isinstance(error, UnsupportedIndex) else error.project
    filename = error.filename if isinstance(error, ArtifactDeleted) else None
    closed = [offer for offer in offers if offer.project == project and offer.filename == (filename or offer.filename)]
    if not closed:
        raise error
    return closed


def _copied(batch: _Batch, receipts: Iterable[Receipt]) -> _Done:
    taken, present = list[Taken](), batch.present
    for receipt in receipts:
        if receipt.outcome is Outcome.PUBLISHED:
            taken.append(Taken(receipt.project, receipt.filename, receipt.sha256, receipt.size, in_place=False))
        elif receipt.outcome is Outcome.PRESENT:
            present += 1
        else:
            batch.refuse(receipt.project, receipt.filename, "the repository has a file of this name with other bytes")
    return _Done(tuple(taken), present, tuple(batch.remarks))
