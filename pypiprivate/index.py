"""One repository's documents, and the only way to change them: look, edit a frozen value, write on condition, else look again.

Everything mutable goes through :meth:`Index.change`, :meth:`Index.derive` and :meth:`Index.enlist`, which share one
compare-and-swap loop. A page is only ever replaced by one of a higher serial, and a page that is not ours is adopted before it
is replaced.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from operator import ge, gt
from typing import TypeAlias, TypeVar
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from . import adopt, documents, pages, simple
from .concurrency import Gather, concurrently
from .documents import Document, Record
from .errors import Conflict, Contended, StorageError, UnsupportedIndex
from .filenames import is_normalized
from .model import Project, ProjectList
from .pacing import Pace
from .probe import probe, probe_slash
from .storage.base import Headers, Storage, Stored, in_flight, slash_pages

log = logging.getLogger(__name__)

T = TypeVar("T")
#: Of two serials.
Comparison: TypeAlias = Callable[[int, int], bool]

#: Seconds after which a contended document is given up.
PATIENCE = 120.0
_LOST = "Nothing was written. Restore it from a backup or a bucket version; pypi-private verify says what to do if there is none."
#: To a directory, or the page in it, on the same server.
_PROJECT_LINK = re.compile(
    rb"""<a\s(?:[^<>]*\s)?href\s*=\s*["']?(?![a-z]+:|//)(?:[^"'>\s]*/)?([^"'>\s/?#]+)/(?:index\.html)?["'#\s>]""", re.IGNORECASE
)


class Index:
    """The records and pages of one repository, for one command.

    :param sleep: waits for so many seconds. ``timer``: tells how many have gone by.
    :param gather: runs calls, at once or in turn.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
        gather: Gather = concurrently,
    ) -> None:
        self.storage = storage
        self.gather = gather
        self._sleep, self._timer = sleep, timer
        # What a look read and no write has used yet. The loop's first try need not read it again, for its write is conditional.
        self._seen: dict[str, Stored | None] = {}
        # A look and the change that follows it read the same bytes, and of thousands of files that takes longer than a request.
        self._project = lru_cache(maxsize=4)(_project)
        # Pages that were made before they were asked for.
        self._made: dict[str, tuple[object, bytes]] = {}
        self._findings: dict[str, adopt.Findings] = {}
        self._warned: set[str] = set()
        self._root: ProjectList | None = None
        self._rooted: frozenset[str] = frozenset()
        # Where the store was probed: a mark, not the place itself, for records are read by many.
        # A path may hold bytes that are no text.
        place = storage.location.encode("utf-8", "surrogatepass")
        self._here = hashlib.sha256(place).hexdigest()[:16] if storage.conditional else None
        # What records are told of slash pages with their next change; to give them up is for `repair` alone.
        wanted = slash_pages(storage)
        self._slash = wanted if wanted != "off" else ""
        self._vouched = not storage.conditional and not self._slash

    # -- look: every read that a command decides on, before its first write ---------------------------------------------------

    def look(self, names: Iterable[str]) -> dict[str, Project]:
        """Read record and page of each project, and the root's where a project is not marked as listed.

        A project of an older index comes back as it will be once adopted; nothing is written.

        :raises StorageError: a read failed; that is never taken for "absent".
        :raises UnsupportedIndex: a document cannot be understood.
        """
        names = tuple(names)
        self._read(key for name in names for key in self._keys(name))
        projects = {name: self._looked(name) for name in names}
        if not all(project.listed for project in projects.values()):
            self.look_at_root(names)
        records: list[Project | ProjectList] = [*projects.values(), self._root or ProjectList()]
        self._vouched = self._vouched or any(self._vouches(record) for record in records)
        return projects

    def project(self, name: str) -> Project:
        """Read a project's record now; one of serial 0 where there is none."""
        return self._project(name, self.storage.get(simple.record_key(name)))

    def read(self, name: str) -> Project:
        """Do the same, and read its page with it: the first change of either looks no second time.

        :raises UnsupportedIndex: the record cannot be understood, or is older than the page that was made from it.
        """
        self._read(self._keys(name))
        record, page = self._keys(name)[:2]
        return self._not_older(record, self._seen[record], self._seen[page], partial(self._project, name))

    def probe(self) -> None:
        """Make sure that the store honours conditional writes, unless a record says that it was seen to. Comes before any write.

        :raises UnsafeStorage: it does not.
        :raises StorageError: it does not keep slash pages, and is to.
        """
        if self._vouched:
            return
        if self.storage.conditional:
            probe(self.storage)
        if self._slash:
            probe_slash(self.storage)
        self._vouched = True

    def _vouches(self, record: Project | ProjectList) -> bool:
        return record.conditions == self._here and (not self._slash or record.slash_pages == self._slash)

    def _keys(self, name: str) -> tuple[str, ...]:
        """Of what a command will want to write; of a slash page that the record alone tells of it is known too late."""
        return simple.record_key(name), simple.page_key(name), *([simple.slash_key(name)] if self._slash else [])

    def _read(self, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        self._seen.update(zip(keys, self.gather([partial(self.storage.get, key) for key in keys]), strict=True))

    def _looked(self, name: str) -> Project:
        record, page = simple.record_key(name), self._seen[simple.page_key(name)]
        project = self._not_older(record, self._seen[record], page, partial(self._project, name))
        if project.serial and (page is None or documents.serial_of(page.body) is not None):
            return project
        # Nothing of ours yet, or an older tool was here since: what it left counts from the start.
        self._findings[name] = adopt.find(self.storage, project)
        return project.adopt(found.file for found in self._findings[name].found)[0]

    def _not_older(self, key: str, stored: Stored | None, page: Stored | None, load: Callable[[Stored | None], Record]) -> Record:
        """Load the record that was read with a page; the page is made from it, so it cannot be the older one."""
        made_from = (documents.serial_of(page.body) or 0) if page else 0
        record = load(stored)
        if record.serial < made_from:
            # Both may have been written between the two reads: a record comes before its page, so now it is there.
            self._seen.pop(key, None)
            record = load(self.storage.get(key))
        if record.serial < made_from:
            state = f"older (serial {record.serial})" if record.serial else "missing"
            reason = f"it is {state}, although the page beside it was made from serial {made_from}"
            raise UnsupportedIndex(key, reason, hint=_LOST)
        return record

    def look_at_root(self, names: Sequence[str] = ()) -> None:
        """Read root record and root page, and see which of these projects both name.

        :raises UnsupportedIndex: the record cannot be understood, or is older than the page that was made from it.
        """
        self._read((simple.ROOT_RECORD, simple.ROOT_PAGE, *([simple.ROOT_SLASH] if self._slash else [])))
        record, page = self._seen[simple.ROOT_RECORD], self._seen[simple.ROOT_PAGE]
        if record:  # a missing one is made anew from the directories
            self._root = self._not_older(simple.ROOT_RECORD, record, page, _root)
        if not self._root or not page or not all(map(self._is_current, kept(self.storage, documents.of_root(self._root)))):
            return
        self._rooted = frozenset(name for name in names if name in self._root.projects and pages.page_names(page.body, name))

    def _is_current(self, document: Document[ProjectList]) -> bool:
        if document.key not in self._seen:
            self._read([document.key])
        stored = self._seen[document.key]
        return stored is not None and self._root is not None and (documents.serial_of(stored.body) or -1) >= self._root.serial

    # -- change: records ------------------------------------------------------------------------------------------------------

    def change(self, name: str, edit: Callable[[Project], Project]) -> Project:
        """Edit a project's record by compare-and-swap, and return it as it then is. An edit that changes nothing writes nothing.

        :param edit: a pure function; it sees the newest record, perhaps several times, and may refuse by raising.
        :raises Contended: others kept changing it.
        :raises StorageError: whether it was changed is unknown; running the command again finds out.
        """

        def edited(before: Project) -> Project:
            after = self._edited(before, edit)
            # Root record and root page were seen to name it in this command; worth no write of its own.
            return after if after is before else replace(after, listed=after.listed or name in self._rooted)

        return self._swap(
            simple.record_key(name),
            load=partial(self._project, name),
            edit=edited,
            dump=simple.project_to_json,
            content_type=simple.JSON_TYPE,
            beside=self._keys(name)[1:],
            meanwhile=self._make_page,
        )

    def _make_page(self, project: Project) -> None:
        """While the record is under way: to make a page of thousands of files takes longer. Not while a disk is locked."""
        self._made[simple.page_key(project.name)] = project, pages.project_to_html(project)

    def settle(self, name: str) -> None:
        """Write down what a look found of an older index, before anything new is stored beside it."""
        findings = self._findings.get(name, adopt.Findings())
        if findings.found:
            self._adopt(name, findings)
        self._warn(name, findings.warnings)

    def take_in(self, name: str, found: Sequence[adopt.Found]) -> tuple[Project, tuple[str, ...]]:
        """Put files of an older index into a project's record, each with its sidecar; return it, and why some were left out."""
        self.probe()
        files = adopt.keep_sidecars(self.storage, name, found, self.gather)
        left_out: tuple[str, ...] = ()

        def edit(project: Project) -> Project:
            nonlocal left_out
            adopted, left_out = project.adopt(files)
            return adopted

        return self.change(name, edit), left_out

    def _adopt(self, name: str, findings: adopt.Findings) -> Project:
        project, left_out = self.take_in(name, findings.found)
        self._warn(name, (*findings.warnings, *left_out))
        return project

    def told(self, warnings: Iterable[str]) -> None:
        """Take it that these were said already."""
        self._warned.update(warnings)

    def _warn(self, name: str, warnings: Sequence[str]) -> None:
        """Say each thing once, though a command may look at an older directory twice."""
        for warning in warnings:
            if warning not in self._warned:
                log.warning("adopting %s: %s", name, warning)
        self._warned.update(warnings)

    def _edited(self, before: Record, edit: Callable[[Record], Record]) -> Record:
        after = edit(before)
        form = self._slash or after.slash_pages
        if after == before and (form == before.slash_pages or not before.serial):
            return before
        return replace(after, serial=before.serial + 1, conditions=self._here or before.conditions, slash_pages=form)

    # -- derive and enlist: pages, and the root -------------------------------------------------------------------------------

    def derive(self, project: Project, *, is_right: Comparison = ge) -> Project:
        """Bring a project's pages up to its record; return the record, which is newer if a page of an older tool was adopted.

        A slash page that the record has given up is taken away: who began before may have put it back.

        :param is_right: tells of a page's serial and the record's whether the page stays.
        """
        derived = self._derive(
            documents.of_project(project),
            project,
            adopt=lambda: self._adopt(project.name, adopt.find(self.storage, self.project(project.name))),
            is_right=is_right,
        )
        self._tidy(simple.slash_key(project.name), derived)
        return derived

    def give_up(self, project: Project) -> None:
        """Take away the slash page that a project's record has given up. It comes before any object is deleted that it may list.

        :raises StorageError: it may still be there.
        """
        self._give_up(simple.slash_key(project.name), project)

    def enlist(self, names: Sequence[str]) -> None:
        """Make sure that root record and root page name these projects."""
        # The root record of an older index is made from every project directory that has a page.
        self._derive_root(self._list(names if self._root else (*self._directories(), *names)))

    def announce_news(self) -> bool:
        """Have root record and root page say that there are news; return whether they did not."""
        said = False

        def edit(root: ProjectList) -> ProjectList:
            nonlocal said
            said = root.news
            return replace(root, news=True)

        self._derive_root(self._change_root(edit))
        return not said

    def _derive_root(self, root: ProjectList, *, is_right: Comparison = ge) -> None:
        derived = self._derive(
            documents.of_root(root),
            root,
            adopt=lambda: self._list(self._directories()),
            is_right=is_right,
        )
        self._tidy(simple.ROOT_SLASH, derived)

    def _tidy(self, key: str, record: Project | ProjectList) -> None:
        try:
            self._give_up(key, record)
        except StorageError as error:  # who publishes need not be allowed to delete
            log.warning("%s was given up, and may still be there: %s", key or "/", error)

    def _give_up(self, key: str, record: Project | ProjectList) -> None:
        if record.slash_pages != "off" or slash_pages(self.storage) is None:
            return
        stored = self.storage.get(key)
        made_from = documents.serial_of(stored.body) if stored else None
        # One of a higher serial is wanted again; what is not ours is for `repair`.
        if made_from is not None and made_from <= record.serial:
            self.storage.delete(key)
            log.info("deleted %s", key or "/")

    def _list(self, names: Sequence[str]) -> ProjectList:
        return self._change_root(lambda root: root.add(names))

    def _change_root(self, edit: Callable[[ProjectList], ProjectList]) -> ProjectList:
        outlived: tuple[str, ...] = ()

        def load(stored: Stored | None) -> ProjectList:
            nonlocal outlived
            # A look compared it with its page.
            page = None if stored and self._root else self.storage.get(simple.ROOT_PAGE)
            if stored:
                return self._not_older(simple.ROOT_RECORD, stored, page, _root)
            # One that was lost, or never was, is made anew: above the page that outlived it, and of all that this names.
            outlived = _linked(page.body) if page else ()
            return ProjectList(serial=(documents.serial_of(page.body) or 0) if page else 0)

        return self._swap(
            simple.ROOT_RECORD,
            load=load,
            edit=lambda before: self._edited(before, lambda root: edit(root.add(outlived))),
            dump=simple.root_to_json,
            content_type=simple.JSON_TYPE,
            beside=(simple.ROOT_PAGE, simple.ROOT_SLASH),
        )

    def _directories(self) -> tuple[str, ...]:
        return simple.projects_with_page(entry.key for entry in self.storage.list(""))

    def _derive(
        self,
        documents: Sequence[Document[Record]],
        record: Record,
        *,
        adopt: Callable[[], Record],
        is_right: Comparison,
    ) -> Record:
        """Bring documents up to their record, at once; those that came too early for what another one had adopted, again."""
        documents = kept(self.storage, documents)
        records = self.gather(
            [partial(self._derive_one, document, record, adopt=adopt, is_right=is_right) for document in documents]
        )
        newest = max(records, key=lambda record: record.serial)
        behind = [document for document, made_from in zip(documents, records, strict=True) if made_from.serial < newest.serial]
        return self._derive(behind, newest, adopt=adopt, is_right=is_right) if behind else newest

    def _derive_one(
        self, document: Document[Record], record: Record, *, adopt: Callable[[], Record], is_right: Comparison
    ) -> Record:

        def load(stored: Stored | None) -> tuple[int, bytes]:
            nonlocal record
            found = documents.serial_of(stored.body) if stored else None
            if stored and found is None:
                # Another tool wrote this page, and with it perhaps files that no record holds yet.
                record = adopt()
            return -1 if found is None else found, stored.body if stored else b""

        def edit(page: tuple[int, bytes]) -> tuple[int, bytes]:
            return page if is_right(page[0], record.serial) else (record.serial, self._dump(document, record))

        self._swap(document.key, load=load, edit=edit, dump=lambda page: page[1], content_type=document.content_type)
        return record

    def _dump(self, document: Document[Record], record: Record) -> bytes:
        made = self._made.pop(document.key, None)
        return made[1] if made and made[0] is record else document.dump(record)

    def finish(self, projects: Sequence[Project]) -> tuple[Project, ...]:
        """Bring pages and root up to these records, all that a command does after its commit; return the records."""
        projects = self.gather([partial(self.derive, project) for project in projects])
        if unlisted := [project.name for project in projects if not project.listed]:
            self.enlist(unlisted)
        return tuple(projects)

    def accompany(self, key: str, page: bytes) -> None:
        """Put a page beside a file of which it was made. One that lies there already was made of the same bytes, and stays."""
        self._seen[key] = None  # nearly always nothing lies there, and a look would be one more request

        def load(stored: Stored | None) -> bytes:
            return stored.body if stored else b""

        def edit(found: bytes) -> bytes:
            return found or page

        self._swap(key, load=load, edit=edit, dump=lambda made: made, content_type=simple.HTML_TYPE)

    def renew(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> bool:
        """Write a document that is made from many records; return whether it had to be written.

        :param replacing: as it was read before the records were.
        :raises Conflict: it is not that any more, so another one may have read newer records.
        """
        if replacing and replacing.body == body:
            return False
        self.probe()
        self.storage.swap(key, body, replacing=replacing, content_type=content_type)
        log.info("wrote %s", key)
        return True

    # -- mend: documents that are not what their serial says ------------------------------------------------------------------

    def mend(self, project: Project, page: Stored | None) -> None:
        """Bring a project's page up to its record, also a page of the same serial that says something else.

        :param page: as it was read; it is only replaced if it still is that, or read again.
        """
        self._seen[simple.page_key(project.name)] = page
        self.derive(project, is_right=gt)

    def mend_root(self, names: Sequence[str]) -> None:
        """Make sure that root record and root page name these projects, and that the page is the record's."""
        self._derive_root(self._list(names), is_right=gt)

    def shape(self, project: Project, form: str) -> None:
        """Give a project's slash page another form, of :data:`.model.SLASH_PAGES`, or take it away.

        Who is to publish beside this, and began before, may put it back once more; :mod:`.verify` finds that, and the next
        command that changes the project takes it away.
        """
        self.derive(self.change(project.name, lambda project: replace(project, slash_pages=form)))
        if form == "off":
            self.storage.delete(simple.slash_key(project.name))

    def shape_root(self, form: str) -> None:
        """Do the same to the root's."""
        self._derive_root(self._change_root(lambda root: replace(root, slash_pages=form)))
        if form == "off":
            self.storage.delete(simple.ROOT_SLASH)

    def relabel(self, key: str, headers: Headers) -> None:
        """Write a document once more as it is, on condition that it still is, so that it is served with *headers*."""
        self._swap(
            key,
            load=lambda stored: (stored.body, stored.headers in (None, headers)) if stored else (b"", True),
            edit=lambda found: (found[0], True),
            dump=lambda found: found[0],
            content_type=headers.content_type,
        )

    # -- the compare-and-swap loop --------------------------------------------------------------------------------------------

    def _swap(
        self,
        key: str,
        *,
        load: Callable[[Stored | None], T],
        edit: Callable[[T], T],
        dump: Callable[[T], bytes],
        content_type: str,
        beside: Iterable[str] = (),
        meanwhile: Callable[[T], None] | None = None,
    ) -> T:
        """Edit the document under *key* until nobody has come in between.

        :param beside: keys of what everybody writes next, so that it is not any more what a look saw if somebody came.
        :param meanwhile: what can be done while the first try is under way; of many tries nearly all are in vain.
        """
        pace, deadline = Pace(), self._timer() + PATIENCE
        while self._timer() < deadline:
            stored, looked = self._look_up(key), self._timer()
            before = load(stored)
            after = edit(before)
            if after == before:
                return before
            self.probe()
            try:
                swap = partial(self.storage.swap, key, dump(after), replacing=stored, content_type=content_type)
                if meanwhile and in_flight(self.storage) > 1:
                    self.gather([swap, partial(meanwhile, after)])
                else:
                    swap()
            except Conflict:
                log.debug("%s changed since it was read; looking again", key)
                for other in beside:
                    self._seen.pop(other, None)
                meanwhile = None
                self._sleep(pace.pause(self._timer() - looked))
            else:
                log.info("wrote %s", key or "/")
                return after
        raise Contended(key, PATIENCE)

    def _look_up(self, key: str) -> Stored | None:
        """Return what a look saw, to one thread only; else what is there now."""
        try:
            return self._seen.pop(key)
        except KeyError:
            return self.storage.get(key)


def kept(storage: Storage, documents: Sequence[Document[Record]]) -> Sequence[Document[Record]]:
    """Return those of what is derived from a record that a storage has a place for."""
    return documents if slash_pages(storage) is not None else [document for document in documents if not document.is_slash]


def _project(name: str, stored: Stored | None) -> Project:
    return simple.project_from_json(stored.body, name) if stored else Project(name)


def _root(stored: Stored | None) -> ProjectList:
    return simple.root_from_json(stored.body) if stored else ProjectList()


def _linked(page: bytes) -> tuple[str, ...]:
    """Names of the projects to whose directories a root page links, be it ours or another tool's; normalised, and sorted."""
    names = {canonicalize_name(unquote(name.decode("utf-8", "replace"))) for name in _PROJECT_LINK.findall(page)}
    return tuple(sorted(filter(is_normalized, names)))
