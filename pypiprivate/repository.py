"""The Python interface: a repository, opened from the same settings as every other surface.

>>> from pypiprivate import open_repository
>>> receipts = open_repository("s3://acme-pypi/simple").publish(["dist/acme-1.0.tar.gz"])      # doctest: +SKIP
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from . import artifact, config
from .artifact import Artifact
from .checks import Check
from .concurrency import WORKERS, Gather, concurrently, streaming
from .config import Settings
from .errors import ConfigError, Unreadable, UnsupportedIndex
from .findings import Counted, Depth, Report, silently
from .index import Index
from .model import Existing, Project
from .publish import Receipt, preview, publish, utc_now
from .releases import TOLD, Release, releases
from .storage import Storage, open_storage
from .storage.base import Passes, Progress, Sent, in_flight, quietly

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from .adopt import Reader
    from .amend import Change
    from .browse import Hit
    from .edits import Edit, Retention, Target
    from .garbage import Garbage
    from .layouts import Layout
    from .news import News
    from .repair import Repair
    from .survey import Survey
    from .takeover import Adoption

__all__ = ["Receipt", "Repository", "open_repository"]

log = logging.getLogger(__name__)

#: Artifacts that are read at once: more would wait for a processor.
READERS = os.cpu_count() or 1


@dataclass(frozen=True)
class Repository:
    """One simple index on one storage: what a user publishes to.

    Each verb imports what it needs beside publishing, for a publish waits for nothing so long as for imports.

    :ivar settings: where it is and how it is used.
    """

    settings: Settings

    @cached_property
    def storage(self) -> Storage:
        """The storage that it lies on, opened when it is first used.

        :raises ConfigError: something that it needs is missing; says who chose this repository.
        """
        try:
            return open_storage(self.settings.type, self.settings.options)
        except ConfigError as error:
            origin = error.origin or self.settings.origins["type"]
            raise ConfigError(error.reason, origin=origin, hint=error.hint) from error

    def publish(
        self,
        paths: Iterable[Path | str],
        *,
        existing: Existing | None = None,
        reading: Progress = quietly,
        progress: Progress = quietly,
    ) -> tuple[Receipt, ...]:
        """Publish built artifacts: sdists and wheels, of one project or several.

        :param paths: the files, or one of them as text; all are read and checked before the first byte is written.
        :param existing: what happens to a release file that is published already with other bytes; None: as the settings say.
        :param reading: is told of what is read and checked.
        :param progress: is told of what is sent.
        :return: a receipt for each artifact.
        :raises PypiPrivateError: see :func:`pypiprivate.publish.publish` and :func:`pypiprivate.artifact.read`.
        """
        return publish(self._read(paths, reading), self.storage, existing=existing or self.settings.existing, progress=progress)

    def preview(
        self, paths: Iterable[Path | str], *, existing: Existing | None = None, reading: Progress = quietly
    ) -> tuple[Receipt, ...]:
        """Say what :meth:`publish` would do, and write nothing. Arguments, results and errors are the same."""
        return preview(self._read(paths, reading), self.storage, existing=existing or self.settings.existing)

    def projects(self) -> tuple[str, ...]:
        """Return the normalised names of all projects, sorted.

        :raises StorageError: they could not be read.
        """
        from . import browse

        return browse.projects(self.storage)

    def project(self, name: str) -> Project:
        """Return the record of a project.

        :param name: in any spelling.
        :raises NotPublished: there is no such project.
        """
        from . import browse

        return browse.project(Index(self.storage), canonicalize_name(name))

    def change(self, project: str, edit: Edit) -> Change:
        """Make an edit of :mod:`pypiprivate.edits` that removes nothing: a yank, a status.

        :param project: normalised name.
        :raises PypiPrivateError: see :func:`pypiprivate.amend.amend`.
        """
        from . import amend

        return amend.amend(self.storage, project, edit)

    def remove(self, project: str, edit: Edit, *, removing: Progress = quietly) -> Change:
        """Make an edit of :mod:`pypiprivate.edits` that removes files, and delete their objects.

        :param project: normalised name.
        :param removing: is told of objects that are deleted: the project, and how many there are; then of each.
        :raises PypiPrivateError: see :func:`pypiprivate.amend.remove`.
        """
        from . import amend

        return amend.remove(self.storage, project, edit, removing=removing)

    def preview_change(self, project: str, edit: Edit) -> Change:
        """Say what :meth:`change` or :meth:`remove` would do, and write nothing. Arguments, results and errors are the same."""
        from . import amend

        return amend.preview(self.storage, project, edit)

    def prune(
        self,
        retention: Retention,
        projects: Iterable[str] | None = None,
        *,
        progress: Counted = silently,
        removing: Progress = quietly,
        unreadable: Unreadable | None = None,
    ) -> tuple[Change, ...]:
        """Remove the releases that *retention* lets go, and delete their objects; return the changes that removed something.

        :param projects: normalised names; None: all.
        :param progress: is told how many projects are done, and how many there are.
        :param removing: is told of objects that are deleted, as of :meth:`remove`.
        :param unreadable: is told of projects that cannot be understood; None: the first such error is raised in the end.
        :raises WrongClock: they would go by their age, and this machine's clock is not the store's.
        :raises PypiPrivateError: see :func:`pypiprivate.amend.remove_from_each`.
        """
        from . import amend, clocks, edits

        if retention.older_than and self.projects():
            clocks.compare(self.storage, utc_now)
        edit = edits.prune(retention, utc_now())
        with _in_the_end(unreadable) as told, streaming(self._workers()) as stream:
            return amend.remove_from_each(
                self.storage, projects, edit, unreadable=told, stream=stream, counted=progress, removing=removing
            )

    def preview_prune(
        self,
        retention: Retention,
        projects: Iterable[str] | None = None,
        *,
        progress: Counted = silently,
        unreadable: Unreadable | None = None,
    ) -> tuple[Change, ...]:
        """Say what :meth:`prune` would do, and write nothing. Arguments, results and errors are the same."""
        from . import amend, edits

        edit = edits.prune(retention, utc_now())
        with _in_the_end(unreadable) as told, streaming(self._workers()) as stream:
            return amend.preview_each(self.storage, projects, edit, unreadable=told, stream=stream, counted=progress)

    def promote(
        self, releases: Iterable[Target], to: Repository, *, existing: Existing | None = None, progress: Progress = quietly
    ) -> tuple[Receipt, ...]:
        """Copy *releases* that this repository offers to another one, byte for byte.

        :param existing: what happens to a file that the other one has with other bytes; None: as its settings say.
        :param progress: is told of what is sent.
        :return: a receipt of the other one for each file.
        :raises PypiPrivateError: see :func:`pypiprivate.promote.offers` and :func:`pypiprivate.publish.publish`.
        """
        from . import promote

        offers = promote.offers(self.storage, releases)
        existing = existing or to.settings.existing
        return publish(offers, to.storage, existing=existing, send=promote.send, progress=progress)

    def preview_promotion(
        self, releases: Iterable[Target], to: Repository, *, existing: Existing | None = None
    ) -> tuple[Receipt, ...]:
        """Say what :meth:`promote` would do, and write nothing. Arguments, results and errors are the same."""
        from . import promote

        return preview(promote.offers(self.storage, releases), to.storage, existing=existing or to.settings.existing)

    def releases(self, project: str) -> tuple[Release, ...]:
        """Return the releases of a project, the newest first.

        :param project: in any spelling.
        :raises NotPublished: there is no such project.
        """
        return releases(self.project(project))

    def metadata(self, project: Project, release: Release) -> RawMetadata | None:
        """Return the core metadata of a release of *project*; None where no wheel of it has any.

        :raises StorageError: they could not be read.
        """
        from . import browse

        return browse.metadata(self.storage, project, release)

    def search(
        self, text: str, *, workers: int | None = None, progress: Counted = silently, unreadable: Unreadable | None = None
    ) -> Iterator[Hit]:
        """Yield the projects whose name or summary contains *text*, as they are found: reads every project.

        :param workers: how many are read at once; None: as many as are worth it.
        :param progress: is told how many projects were read, and how many there are.
        :param unreadable: is told of records that cannot be understood; None: the first such error is raised in the end.
        :raises StorageError: one could not be read.
        """
        from . import browse

        with _in_the_end(unreadable) as told:
            yield from browse.search(self.storage, text, workers=self._workers(workers), progress=progress, unreadable=told)

    def search_names(self, text: str) -> tuple[str, ...]:
        """Return the names that contain *text*, however its words are separated and written; reads one document.

        :raises StorageError: it could not be read.
        """
        from . import browse

        return browse.search_names(self.storage, text)

    def examine(
        self,
        url: str | None = None,
        *,
        public_index: str | None = None,
        checked: Callable[[Check], object] = lambda _check: None,
        asking: Progress = quietly,
    ) -> tuple[Check, ...]:
        """Try the store, and the index as installers see it. What is written for that is removed again.

        :param url: where clients read it, perhaps with user and password; None: ``index_url`` of the settings.
        :param public_index: the URL of another index that is asked which of our project names it has, and so learns them.
        :param checked: is told of each check as soon as it is done.
        :param asking: is told for how many names the public index is asked; what it returns, of those that were asked for.
        :raises ConfigError: one of them is no URL of an index.
        """
        from . import doctor

        url = url or self.settings.index_url
        return doctor.examine(self.storage, url=url, public_index=public_index, checked=checked, asking=asking)

    def verify(
        self,
        projects: Iterable[str] = (),
        *,
        depth: Depth = Depth.FILES,
        workers: int | None = None,
        progress: Counted = silently,
        reading: Progress = quietly,
    ) -> Report:
        """Check every promise on what lies there.

        :param projects: names in any spelling; of none: all.
        :param workers: how many requests may be in flight; None: as many as are worth it.
        :param progress: is told how many projects were looked at, and how many there may be.
        :param reading: is told of files whose bytes are read, from any thread.
        :raises PypiPrivateError: see :func:`pypiprivate.verify.verify`.
        """
        from . import verify

        with streaming(self._workers(workers, depth)) as stream:
            names = _normalized(projects)
            return verify.verify(self.storage, names, depth=depth, stream=stream, counted=progress, reading=reading)

    def repair(
        self,
        projects: Iterable[str] = (),
        *,
        depth: Depth = Depth.FILES,
        workers: int | None = None,
        progress: Counted = silently,
    ) -> Repair:
        """Mend what :meth:`verify` finds and needs no human. Arguments and errors are the same."""
        from . import repair

        with streaming(self._workers(workers, depth)) as stream:
            return repair.repair(self.storage, _normalized(projects), depth=depth, stream=stream, counted=progress)

    def preview_repair(
        self,
        projects: Iterable[str] = (),
        *,
        depth: Depth = Depth.FILES,
        workers: int | None = None,
        progress: Counted = silently,
    ) -> Repair:
        """Say what :meth:`repair` would do, and write nothing. Arguments and errors are the same."""
        from . import repair

        return repair.preview(self.verify(projects, depth=depth, workers=workers, progress=progress))

    def collect_garbage(
        self,
        projects: Iterable[str] = (),
        *,
        workers: int | None = None,
        progress: Counted = silently,
        removing: Progress = quietly,
        unreadable: Unreadable | None = None,
    ) -> tuple[Garbage, ...]:
        """Remove the objects that no record has named for a day, and return what went.

        :param projects: names in any spelling; of none: all.
        :param workers: how many requests may be in flight; None: as many as are worth it.
        :param progress: is told how many projects were looked at, and how many there may be.
        :param removing: is told of objects that are deleted, as of :meth:`remove`.
        :param unreadable: is told of projects that cannot be understood; None: the first such error is raised in the end.
        :raises PypiPrivateError: see :func:`pypiprivate.garbage.collect`.
        """
        from . import garbage

        with _in_the_end(unreadable) as told, streaming(self._workers(workers)) as stream:
            names = _normalized(projects)
            collected = garbage.collect(self.storage, names, unreadable=told, stream=stream, counted=progress, removing=removing)
            return tuple(collected)

    def find_garbage(
        self,
        projects: Iterable[str] = (),
        *,
        workers: int | None = None,
        progress: Counted = silently,
        unreadable: Unreadable | None = None,
    ) -> tuple[Garbage, ...]:
        """Say what :meth:`collect_garbage` would remove, and write nothing. Arguments and errors are the same."""
        from . import garbage

        with _in_the_end(unreadable) as told, streaming(self._workers(workers)) as stream:
            found = garbage.find(self.storage, _normalized(projects), unreadable=told, stream=stream, counted=progress)
            return tuple(found)

    def renew_news(
        self,
        *,
        most: int = TOLD,
        workers: int | None = None,
        progress: Counted = silently,
        unreadable: Unreadable | None = None,
    ) -> News:
        """Bring the page and the feed of the newest releases up to the records; reads every project.

        :param most: number of releases that are told of.
        :param workers: how many requests may be in flight; None: as many as are worth it.
        :param progress: is told how many projects were read, and how many there are.
        :param unreadable: is told of records that cannot be understood; None: the first such error is raised in the end.
        :raises PypiPrivateError: see :func:`pypiprivate.news.renew`.
        """
        from . import news

        url = self.settings.index_url
        with _in_the_end(unreadable) as told, streaming(self._workers(workers)) as stream:
            return news.renew(self.storage, most=most, index_url=url, stream=stream, counted=progress, unreadable=told)

    def preview_news(
        self,
        *,
        most: int = TOLD,
        workers: int | None = None,
        progress: Counted = silently,
        unreadable: Unreadable | None = None,
    ) -> News:
        """Say what :meth:`renew_news` would do, and write nothing. Arguments, results and errors are the same."""
        from . import news

        url = self.settings.index_url
        with _in_the_end(unreadable) as told, streaming(self._workers(workers)) as stream:
            return news.preview(self.storage, most=most, index_url=url, stream=stream, counted=progress, unreadable=told)

    def _workers(self, wanted: int | None = None, depth: Depth = Depth.FILES) -> int:
        return wanted or (_hashers(self.storage) if depth is Depth.BYTES else in_flight(self.storage))

    def survey(self, projects: Iterable[str] = ()) -> Survey:
        """Look for files of an older index that lie in this repository, as ``PROJECT/FILENAME``; for :meth:`take_over`.

        :param projects: names in any spelling; of none: all.
        :raises PypiPrivateError: see :func:`pypiprivate.survey.survey`.
        """
        from . import survey

        return survey.survey(self.storage, _normalized(projects), gather=_gathering(self.storage))

    def survey_place(
        self, origin: Storage, projects: Iterable[str] = (), *, layout: Layout | None = None, files: Storage | None = None
    ) -> Survey:
        """Look for release files in an index of another tool; for :meth:`take_over`.

        :param origin: where it lies; a directory is ``LocalStorage(path)``.
        :param projects: names in any spelling; of none: all.
        :param layout: None: found out by what lies there.
        :param files: where the files lie that it only lists.
        :raises PypiPrivateError: see :func:`pypiprivate.survey.survey_place`.
        """
        from . import survey

        gather = _gathering(origin, files or origin)
        return survey.survey_place(origin, _normalized(projects), layout=layout, files=files, gather=gather)

    def take_over(
        self,
        found: Survey,
        *,
        read: Reader = artifact.skim_published,
        sent: Sent = lambda _: None,
        progress: Progress = quietly,
    ) -> Adoption:
        """Adopt what a survey found: in place, or by copying.

        :param read: how thoroughly files are read; the other one is :func:`pypiprivate.artifact.examine_published`.
        :param sent: is told of bytes read, from any thread.
        :param progress: is told of what is copied.
        :raises PypiPrivateError: see :func:`pypiprivate.takeover.take`.
        """
        from . import takeover

        gather = _gathering(self.storage, *(candidate.origin for candidate in found.copies))
        return takeover.take(found, self.storage, read=read, sent=sent, progress=progress, gather=gather)

    def preview_takeover(self, found: Survey, *, read: Reader = artifact.skim_published, sent: Sent = lambda _: None) -> Adoption:
        """Say what :meth:`take_over` would do, and write nothing. Arguments, results and errors are the same."""
        from . import takeover

        gather = _gathering(self.storage, *(candidate.origin for candidate in found.copies))
        return takeover.preview(found, self.storage, read=read, sent=sent, gather=gather)

    def _read(self, paths: Iterable[Path | str], reading: Progress) -> list[Artifact]:
        if isinstance(paths, str):  # which is iterable, too
            paths = [paths]
        # What unpacks and what hashes leaves the interpreter to others; to open a bucket takes as long as to read many a wheel.
        opening = Thread(target=self._open_early, daemon=True)  # what is wrong with an artifact does not wait for it
        opening.start()
        artifacts = concurrently([partial(_read_one, Path(path), reading) for path in paths], workers=READERS)
        opening.join()
        for read in artifacts:
            for warning in read.warnings:
                log.warning("%s: %s", read.filename, warning)
        return artifacts

    def _open_early(self) -> None:
        """Open the storage while others work. What it lacks is said when it is used: first comes what artifacts lack."""
        with suppress(Exception):
            _ = self.storage


def _read_one(path: Path, reading: Progress) -> Artifact:
    size = 0
    with suppress(OSError):  # which is said by who reads it
        size = path.stat().st_size if path.is_file() else 0
    passes = Passes(reading(path.name, size), times=2)
    read = artifact.read(path, sent=passes)
    passes.complete(size)
    return read


def _hashers(*storages: Storage) -> int:
    """To hash takes a processor, and leaves the others to other threads."""
    return max(os.cpu_count() or 1, *map(in_flight, storages))


def _gathering(*storages: Storage) -> Gather:
    """What is read is taken apart, too, so that more at once would only wait for each other."""
    return partial(concurrently, workers=min(WORKERS, _hashers(*storages)))


@contextmanager
def _in_the_end(unreadable: Unreadable | None) -> Iterator[Unreadable]:
    """One project that cannot be understood keeps no other one waiting: unless somebody listens, the error comes last."""
    errors: list[UnsupportedIndex] = []
    yield unreadable or errors.append
    if errors:
        raise errors[0]


def _normalized(projects: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(canonicalize_name, projects)))


def open_repository(
    repository: str | None = None,
    *,
    project: Path | str = ".",
    config_file: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Repository:
    """Open a repository from settings: the argument, then the environment, the project, the user's file.

    :param repository: a section of the user's file, a URL or a path; None: what the other sources say.
    :param project: the directory whose setup.cfg and pyproject.toml are read.
    :param config_file: instead of ``~/.pypi-private.cfg``.
    :param environ: instead of :data:`os.environ`.
    :raises ConfigError: a setting is wrong or missing. Nothing is read from the store yet.
    """
    flags = {"repository": repository, "config": str(config_file) if config_file else None}
    return Repository(
        config.load(flags=flags, project=Path(project), environ=os.environ if environ is None else environ, flag="{}")
    )
