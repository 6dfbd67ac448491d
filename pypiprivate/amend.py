"""Changes what is published: one edit of a project's record, then its page, then the objects that it gave up.

Every step is idempotent, so running the same command again is the recovery from everything, as with a publish.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from . import browse
from .concurrency import Gather, Stream, concurrently, in_turn, singly
from .edits import Edit
from .errors import NotPublished, Unreadable, UnsupportedIndex, raised
from .findings import Counted, silently, telling
from .index import Index
from .model import File, Project, readme_of
from .storage.base import Progress, Storage, quietly

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Change:
    """What an edit came to.

    :ivar before: the record that was edited. ``after``: the record as it then is, in a preview as it would be.
    """

    before: Project
    after: Project

    @property
    def removed(self) -> tuple[File, ...]:
        """Files that were there before and are not there any more."""
        return tuple(file for file in self.before.held_files if file.key not in self._keys)

    @property
    def marked(self) -> tuple[File, ...]:
        """Files that are yanked otherwise than before, as they are now."""
        before = {file.key: file.yanked for file in self.before.held_files}
        return tuple(file for file in self.after.held_files if before.get(file.key, file.yanked) != file.yanked)

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return bool(self.removed or self.marked) or self.before.status != self.after.status

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(file.key for file in self.after.held_files)


def amend(
    storage: Storage,
    project: str,
    edit: Edit,
    *,
    sleep: Callable[[float], None] = time.sleep,
    gather: Gather = concurrently,
) -> Change:
    """Make *edit* to the record of *project* (normalised), and bring page and root up to it.

    :raises NotPublished: there is no such project, or not what the edit wants of it.
    :raises StorageError: the store failed; running the same command again is safe.
    :raises UnsupportedIndex: a document in the way cannot be understood; nothing was written.
    """
    index = Index(storage, sleep=sleep, gather=gather)
    return _amend(index, project, edit)


def preview(storage: Storage, project: str, edit: Edit, *, gather: Gather = concurrently) -> Change:
    """Say what :func:`amend` or :func:`remove` would do, and write nothing. Arguments, results and errors are the same."""
    before = browse.project(Index(storage, gather=gather), project)
    return Change(before, edit(before))


def remove(
    storage: Storage,
    project: str,
    edit: Edit,
    *,
    removing: Progress = quietly,
    sleep: Callable[[float], None] = time.sleep,
    gather: Gather = concurrently,
) -> Change:
    """Make an *edit* that removes files, as :func:`amend` does, and then delete the objects of whatever was ever deleted.

    A page lists nothing of it any more by then; and who repeats an interrupted command finishes it.

    :param removing: is told of objects that are deleted: the project, and how many there are; what it returns is told of each.
    """
    index = Index(storage, sleep=sleep, gather=gather)
    change = _amend(index, project, edit)
    if gone := _deleted_keys(change.after):
        index.give_up(change.after)
        stored = {entry.key.removeprefix(f"{project}/") for entry in storage.list(f"{project}/")}
        readmes = [readme for key in gone if (readme := readme_of(key)) in stored]
        files = [key for key in gone if key in stored or f"{key}.metadata" in stored]
        _delete(index, project, readmes, removing)
        discard(index, project, files, removing)
    return change


def remove_from_each(
    storage: Storage,
    projects: Iterable[str] | None,
    edit: Edit,
    *,
    unreadable: Unreadable = raised,
    counted: Counted = silently,
    removing: Progress = quietly,
    sleep: Callable[[float], None] = time.sleep,
    stream: Stream = in_turn,
) -> tuple[Change, ...]:
    """Do to each of *projects* what :func:`remove` does; return those changes that removed something.

    :param projects: normalised names; None: all that are listed.
    :param unreadable: is told of projects that cannot be understood, from any thread; nothing of them is removed.
    :param counted: is told how many projects are done, and how many there are.
    :param stream: runs calls, at once or in turn.
    """
    act = partial(remove, storage, edit=edit, removing=removing, sleep=sleep, gather=singly)
    return _of_each(storage, projects, lambda name: act(project=name), unreadable=unreadable, counted=counted, stream=stream)


def preview_each(
    storage: Storage,
    projects: Iterable[str] | None,
    edit: Edit,
    *,
    unreadable: Unreadable = raised,
    counted: Counted = silently,
    stream: Stream = in_turn,
) -> tuple[Change, ...]:
    """Say what :func:`remove_from_each` would do, and write nothing. Arguments, results and errors are the same."""
    act = partial(preview, storage, edit=edit, gather=singly)
    return _of_each(storage, projects, lambda name: act(project=name), unreadable=unreadable, counted=counted, stream=stream)


def _of_each(
    storage: Storage,
    projects: Iterable[str] | None,
    act: Callable[[str], Change],
    *,
    unreadable: Unreadable,
    counted: Counted,
    stream: Stream,
) -> tuple[Change, ...]:
    def removing(name: str) -> Change | None:
        try:
            change = act(name)
        except NotPublished:
            # The root may name a project of an older index that never had a file.
            if projects is None:
                return None
            raise
        except UnsupportedIndex as error:
            unreadable(error)
            return None
        return change if change.removed else None

    names = browse.projects(storage) if projects is None else tuple(dict.fromkeys(projects))
    results = stream(partial(removing, name) for name in names)
    return tuple(filter(None, telling(results, counted, len(names))))


def discard(index: Index, project: str, keys: Iterable[str], removing: Progress = quietly) -> None:
    """Delete the objects under *keys* (relative to the project's directory) and their sidecars; no record may name one."""
    _delete(index, project, [f"{key}{ending}" for key in keys for ending in (".metadata", "")], removing)


def _delete(index: Index, project: str, keys: Sequence[str], removing: Progress) -> None:
    if not keys:
        return
    removed = removing(project, len(keys))

    def delete(key: str) -> None:
        index.storage.delete(f"{project}/{key}")
        removed(1)

    index.gather([partial(delete, key) for key in keys])
    for key in keys:
        log.info("deleted %s/%s", project, key)


def _amend(index: Index, name: str, edit: Edit) -> Change:
    before = browse.project(index, name)

    def edited(record: Project) -> Project:
        nonlocal before
        after = edit(record)
        # Where our own success met us because its reply was lost, there is nothing left to do; what we did is told all the same.
        before = record if after != record else before
        return after

    try:
        if edit(before) == before and not before.serial:
            return Change(before, before)  # nobody asked to have an older index adopted
        index.settle(name)
        after = index.change(name, edited)
    except NotPublished:
        # Refusing comes last: what a record holds already is finished first.
        if (project := index.project(name)).serial:
            index.finish([project])
        raise
    (after,) = index.finish([after])
    return Change(before, after)


def _deleted_keys(project: Project) -> list[str]:
    """Keys of files that were deleted, and of others of the same name, which were replaced before."""
    names = {gone.filename for gone in project.deleted}
    return project.orphans(used.key for used in project.used if used.key.rpartition("/")[2] in names)
