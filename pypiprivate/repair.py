"""Mends what :mod:`.verify` finds and needs no human: pages, the root, sidecars, READMEs, headers.

Every document is written by compare-and-swap, from the record that was read, so that it is safe beside running publishers. It
never touches a listed file's bytes, writes nothing but what was found wrong, and again it writes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import documents, readme, simple
from .concurrency import Stream, in_turn, singly
from .documents import Document, Record
from .errors import UnsupportedIndex
from .findings import MENDABLE, Counted, Depth, Finding, Kind, Report, silently
from .index import Index
from .inspection import README_HEADERS, RECORD_HEADERS, Read, headers_of, is_announced, key_of, read_back
from .model import File, Project, ProjectList, described_by
from .storage.base import Entry, Storage, Stored, slash_pages
from .verify import State, Tally, counting, examine, examine_root

log = logging.getLogger(__name__)


#: Needs no second look: it is mended by a write on condition of what was seen.
#: A sidecar or a README is not, and may be one that is being deleted.
_SETTLED = MENDABLE - {Kind.SIDECAR_MISSING, Kind.SIDECAR_DAMAGED, Kind.README_MISSING}


@dataclass(frozen=True)
class Repair:
    """What became of what was wrong.

    :ivar report: what was found before.
    :ivar mended: what is right again.
    """

    report: Report
    mended: tuple[Finding, ...]

    @property
    def left(self) -> tuple[Finding, ...]:
        """What is still broken, and needs a human."""
        mended = set(self.mended)
        return tuple(finding for finding in self.report.findings if finding.is_broken and finding not in mended)


def preview(report: Report) -> Repair:
    """Say what :func:`repair` would mend of what was found. Whether a sidecar can be rebuilt only the wheel itself tells."""
    return Repair(report, tuple(_mendable(report.findings)))


def _mendable(findings: Iterable[Finding]) -> list[Finding]:
    """Nothing is made from a root record that is older than its page."""
    findings = tuple(findings)
    of_root = {simple.ROOT_RECORD, simple.ROOT_PAGE, "/"} | {f.key for f in findings if f.kind is Kind.UNLISTED}
    stays = of_root if (Kind.RECORD_OUTDATED, simple.ROOT_RECORD) in {(f.kind, f.key) for f in findings} else ()
    return [finding for finding in findings if finding.kind in MENDABLE and finding.key not in stays]


def repair(
    storage: Storage,
    names: Sequence[str] = (),
    *,
    depth: Depth = Depth.FILES,
    sleep: Callable[[float], None] = time.sleep,
    stream: Stream = in_turn,
    counted: Counted = silently,
) -> Repair:
    """Verify the index, and mend what can be mended.

    Arguments and errors are as of :func:`.verify.verify`; running the same command again is safe.

    :param depth: ``DOCUMENTS``: pages and root, from the records alone.
    :param sleep: waits for so many seconds.
    """
    index = Index(storage, sleep=sleep, gather=singly)
    tally, mended = Tally(depth), list[Finding]()
    states = examine(storage, names, depth=depth, stream=stream, settled=_SETTLED)
    results = stream(partial(_mend, index, state) for state in _probed(index, states))
    for state, right in counting(storage, names, results, counted):
        tally.add(state)
        mended += right
    findings = examine_root(storage, tally, names, stream=stream)
    mended += _mend_root(index, findings, tally, names)
    return Repair(tally.report(findings), tuple(mended))


def _probed(index: Index, states: Iterable[State]) -> Iterable[State]:
    """Once, and before the first write: does the store honour conditions?"""
    for state in states:
        if any(finding.kind in MENDABLE for finding in state.findings):
            index.probe()
        yield state


def _mend(index: Index, state: State) -> tuple[State, list[Finding]]:
    wrong = (finding for finding in state.findings if finding.kind in MENDABLE)
    try:
        return state, [finding for finding in wrong if state.project and _is_mended(index, state.project, state.page, finding)]
    except UnsupportedIndex as error:  # a page of another tool lists what would be lost
        log.warning("%s is left as it is: %s", state.name, error)
        return state, []


def _is_mended(index: Index, project: Project, page: Stored | None, finding: Finding) -> bool:
    if finding.kind is Kind.PAGE:
        index.mend(project, page)
        return True
    if finding.kind is Kind.SLASH:
        index.shape(project, _form(index, project))
        return True
    if finding.kind is Kind.HEADERS:
        return _mend_headers(index, finding.key, documents.of_project(project))
    if finding.kind is Kind.README_MISSING:
        return _mend_readme(index, project, finding.key)
    return _mend_sidecar(index.storage, project, finding.key)


def _form(index: Index, record: Record) -> str:
    """The form of slash page that the settings want, or else its record, which has given them up."""
    return slash_pages(index.storage) or record.slash_pages or "off"


def _mend_headers(index: Index, name: str, documents: Iterable[Document[Record]]) -> bool:
    known = {document.name: (document.key, headers_of(document)) for document in documents}
    if name.rpartition("/")[2] == simple.ROOT_RECORD:
        known[name] = (name, RECORD_HEADERS)
    if described_by(name):
        known[name] = (name, README_HEADERS)
    if name in known:
        index.relabel(*known[name])
        return True
    relabel: Any = getattr(index.storage, "relabel", None)
    return bool(relabel and relabel(name))


def _mend_sidecar(storage: Storage, project: Project, key: str) -> bool:
    """From the wheel itself, where its bytes are the listed ones and its metadata those that are announced."""
    file, read = _read_listed(storage, project, key.removesuffix(".metadata"))
    if read is None or read.metadata is None or not is_announced(read.metadata, file):
        return False
    storage.store(key, read.metadata, sha256=hashlib.sha256(read.metadata).hexdigest())
    log.info("stored %s", key)
    return True


def _mend_readme(index: Index, project: Project, key: str) -> bool:
    """From the file itself, where its bytes are the listed ones; of one without a description the record says none any more."""
    file, read = _read_listed(index.storage, project, described_by(key) or "")
    if read is None:
        return False
    if read.description:
        title = f"{project.name} {project.version_of(file.filename)}"
        index.accompany(key, readme.page(read.description, title=title))
    else:
        index.derive(index.change(project.name, lambda record: record.without_readme(file)))
    return True


def _read_listed(storage: Storage, project: Project, key: str) -> tuple[File, Read | None]:
    """Return the file that lies under *key*, and what its bytes say; None if they are not those that the record says."""
    file = next(file for file in project.held_files if key_of(project.name, file) == key)
    found = storage.stat(key)
    if found is None or found.size != file.size:
        return file, None
    read = read_back(storage, project.name, file, Entry(key, found.size, found.modified))
    return file, read if read and read.sha256 == file.sha256 else None


def _mend_root(index: Index, findings: Sequence[Finding], tally: Tally, names: Sequence[str]) -> list[Finding]:
    mendable = _mendable(findings)
    kinds = {finding.kind for finding in mendable}
    if Kind.ROOT in kinds and names:
        index.enlist(names)  # it is made from every directory that has a page, not from these alone
    elif Kind.ROOT in kinds:
        index.mend_root((*tally.listed, *tally.paged))
    elif kinds & {Kind.PAGE, Kind.UNLISTED}:
        index.mend_root([finding.key.rstrip("/") for finding in mendable if finding.kind is Kind.UNLISTED])
    if Kind.SLASH in kinds:
        index.shape_root(_form(index, _root(index.storage)))
    for finding in (finding for finding in mendable if finding.kind is Kind.HEADERS):
        _mend_headers(index, finding.key, documents.of_root(_root(index.storage)))
    return mendable


def _root(storage: Storage) -> ProjectList:
    stored = storage.get(simple.ROOT_RECORD)
    return simple.root_from_json(stored.body) if stored else ProjectList()
