"""``yank``, ``unyank``, ``status``, ``delete``, ``prune`` and ``promote``: what is done to what is published."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import UnsupportedIndex
from ..wording import size_of
from .options import Command, UsageError, add_dry_run, add_json, add_yes, repository_of
from .publishing import add_existing
from .targets import project_of, release_of, repository_named, target_of, wrong_usage
from .terminal import is_confirmed, print_json, say, tell_unread, unread_as_json
from .watching import displayed, waiting

if TYPE_CHECKING:
    from ..amend import Change
    from ..edits import Edit, Retention, Target
    from ..repository import Repository

#: What a change comes to, in words; what it is given stands before a participle: "would be " in a dry run, else nothing.
Lines: TypeAlias = "Callable[[Change, str], Iterator[str]]"

#: Those of :mod:`..edits`, which is dear to import.
_STATUSES = ("active", "archived", "deprecated", "quarantined")
_STAYS = "The name stays listed, so that it never falls through to a public index."
_DAY = re.compile(r"([0-9]{1,5})\s*(d|days?)?\Z")


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("release", metavar="NAME==VERSION")
    parser.add_argument("files", metavar="FILE", nargs="*", help="only these files of it, by name")
    add_dry_run(parser)
    add_json(parser)


def _add_yank(parser: argparse.ArgumentParser) -> None:
    _add_release(parser)
    parser.add_argument("--reason", metavar="TEXT", default="", help="shown to whoever installs it")


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", metavar="NAME")
    parser.add_argument("marker", metavar="STATUS", choices=_STATUSES, help=", ".join(_STATUSES))
    parser.add_argument("--reason", metavar="TEXT", default="", help="shown beside it")
    add_dry_run(parser)
    add_json(parser)


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NAME[==VERSION]", help="a release, or every release of a project")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_dry_run(parser)
    add_json(parser)


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("projects", metavar="NAME", nargs="*", help="only these projects (default: all)")
    parser.add_argument("--keep", metavar="N", type=int, help="of those that could go, the newest N stay")
    parser.add_argument("--older-than", metavar="DAYS", help="only what was uploaded more than so many days ago")
    for kind, about in (("pre", "pre-releases"), ("dev", "development releases"), ("yanked", "releases that are yanked")):
        parser.add_argument(f"--{kind}", dest="only", action="append_const", const=kind, help=f"only {about}")
    add_yes(parser)
    add_json(parser)


def _add_promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("releases", metavar="NAME==VERSION", nargs="+")
    parser.add_argument("--to", metavar="REPOSITORY", required=True, help="a section of the user's file, a URL or a path")
    add_existing(parser)
    add_dry_run(parser)
    add_json(parser)


def _yank(arguments: argparse.Namespace) -> int:
    from .. import edits

    target = release_of(arguments.release)
    with wrong_usage():
        edit = edits.yank(target, filenames=arguments.files, reason=arguments.reason)
    return _change(arguments, target, edit, _yanked)


def _unyank(arguments: argparse.Namespace) -> int:
    from .. import edits

    target = release_of(arguments.release)
    return _change(arguments, target, edits.unyank(target, filenames=arguments.files), _yanked)


def _status(arguments: argparse.Namespace) -> int:
    from .. import edits

    target = edits.Target(project_of(arguments.project))
    with wrong_usage():
        edit = edits.set_status(arguments.marker, reason=arguments.reason)
    return _change(arguments, target, edit, _status_lines)


def _change(arguments: argparse.Namespace, target: Target, edit: Edit, lines: Lines) -> int:
    repository = repository_of(arguments)
    act = repository.preview_change if arguments.dry_run else repository.change
    with waiting(arguments, f"changing {target}"):
        change = act(target.project, edit)
    _tell(arguments, repository, [change], lines, dry_run=arguments.dry_run)
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from .. import edits
    from ..publish import utc_now

    target, repository = target_of(arguments.target), repository_of(arguments)
    with waiting(arguments, f"looking at {target}"):
        change = repository.preview_change(target.project, edits.delete(target, utc_now()))
    agreed = [file.key for file in change.removed]
    if not arguments.dry_run and (arguments.yes or not agreed or _may_delete(target, change, repository)):
        # What is published while somebody thinks it over was not asked about.
        only = None if arguments.yes else agreed
        with displayed(arguments) as display, display.waiting(f"deleting {target}"):
            removing = display.numbers("removing from {}")
            change = repository.remove(target.project, edits.delete(target, utc_now(), only=only), removing=removing)
        _tell(arguments, repository, [change], _removed, dry_run=False)
        return 0
    if arguments.dry_run or arguments.json:
        _tell(arguments, repository, [change], _removed, dry_run=True)
    else:
        say(f"{target} is not deleted")
    return 0 if arguments.dry_run else 1


def _may_delete(target: Target, change: Change, repository: Repository) -> bool:
    files = _counted(len(change.removed), "file")
    answer = is_confirmed(f"Delete {target} ({files}) from {repository.storage.location}, for good?")
    if answer is None:
        raise UsageError(
            f"{target} is not deleted: nobody is there to be asked.", hint="Say --yes, or --dry-run to see what would go."
        )
    return answer


def _prune(arguments: argparse.Namespace) -> int:
    retention = _retention(arguments)
    names = [project_of(name) for name in arguments.projects] or None
    repository = repository_of(arguments)
    errors: list[UnsupportedIndex] = []
    with displayed(arguments) as display, display.counting("looking at projects") as counted:
        act = repository.preview_prune
        if arguments.yes:
            act = partial(repository.prune, removing=display.numbers("removing from {}"))
        changes = act(retention, names, progress=counted, unreadable=errors.append)
    _tell(arguments, repository, changes, _removed, dry_run=not arguments.yes, **unread_as_json(errors))
    if not (arguments.quiet or arguments.json):
        say(_after_prune(changes, acted=arguments.yes))
    return tell_unread(errors)


def _after_prune(changes: Sequence[Change], *, acted: bool) -> str:
    if not changes:
        return "No release goes by this rule."
    gone = [file for change in changes for file in change.removed]
    size = size_of(sum(file.size for file in gone))
    what = f"{_counted(len(gone), 'file')} of {_counted(len(changes), 'project')}, {size}"
    return f"deleted: {what}" if acted else f"{what}: say --yes to delete them."


def _retention(arguments: argparse.Namespace) -> Retention:
    from .. import edits

    age = _DAY.match(arguments.older_than or "")
    if arguments.older_than is not None and not age:
        raise UsageError(f"--older-than: {arguments.older_than!r:.99} is no number of days.", hint="Write --older-than 90.")
    if arguments.keep is not None and arguments.keep < 1:
        raise UsageError("--keep takes 1 or more.", hint="Leave it out, or delete the project's releases by name.")
    if not (arguments.keep or age or arguments.only):
        raise UsageError("nothing says which releases may go.", hint="Say --keep N, --older-than DAYS, --pre, --dev or --yanked.")
    older_than = timedelta(days=int(age[1])) if age else None
    return edits.Retention(arguments.keep or 0, older_than, frozenset(arguments.only or ()))


def _promote(arguments: argparse.Namespace) -> int:
    from .. import report
    from ..model import Existing

    releases = [release_of(release) for release in arguments.releases]
    source, target = repository_of(arguments), repository_named(arguments, arguments.to, flag="--to")
    if source.storage.location == target.storage.location:
        raise UsageError(f"--to names the repository that they come from: {target.storage.location}.")
    existing = Existing(arguments.existing) if arguments.existing else None
    if arguments.dry_run:
        with waiting(arguments, "looking at what is published"):
            receipts = source.preview_promotion(releases, target, existing=existing)
        lines = report.intentions(receipts, target.storage.location)
    else:
        with displayed(arguments) as display, display.waiting("promoting"):
            receipts = source.promote(releases, target, existing=existing, progress=display.files("copying {}"))
        lines = report.lines(receipts, target.storage.location, target.settings.index_url)
    if arguments.json:
        value = report.as_json(receipts, target.storage.location, target.settings.index_url)
        print_json(value | {"from": source.storage.location, "dry_run": arguments.dry_run})
    elif not arguments.quiet:
        for line in lines:
            say(line)
    return 0


def _tell(
    arguments: argparse.Namespace, repository: Repository, changes: Sequence[Change], lines: Lines, *, dry_run: bool, **more: Any
) -> None:
    location = repository.storage.location
    if arguments.json:
        print_json({"repository": location, "dry_run": dry_run, "projects": [_as_json(change) for change in changes], **more})
    elif not arguments.quiet:
        for line in (line for change in changes for line in lines(change, "would be " if dry_run else "")):
            say(line)
        if dry_run and changes:
            say(f"dry run: nothing was written to {location}")


def _as_json(change: Change) -> dict[str, Any]:
    """Return a change for machines; keys are only ever added."""
    marker, reason = change.after.status
    return {
        "project": change.after.name,
        "serial": change.after.serial,
        "changed": change.changed,
        "status": marker,
        "status_reason": reason,
        "marked": [{"filename": file.filename, "yanked": file.yanked} for file in change.marked],
        "removed": [file.filename for file in change.removed],
    }


def _yanked(change: Change, would: str) -> Iterator[str]:
    for file in change.marked:
        because = f": {file.yanked}" if isinstance(file.yanked, str) else ""
        yield f"{file.filename}: {would}{'yanked' if file.yanked else 'unyanked'}{because}"
    if not change.marked:
        yield f"{change.after.name}: nothing to change"


def _status_lines(change: Change, would: str) -> Iterator[str]:
    marker, reason = change.after.status
    yield f"{change.after.name} {would or 'is '}{marker}" + (f": {reason}" if reason else "")
    if change.after.withheld:
        held = _counted(len(change.after.withheld), "file")
        yield f"{held} of it kept, but not offered until it has another status."


def _removed(change: Change, would: str) -> Iterator[str]:
    for file in change.removed:
        yield f"{file.filename}: {would}deleted"
    if not change.removed:
        yield f"{change.after.name}: nothing to delete"
    elif not change.after.held_files:
        yield f"{change.after.name} {'would have' if would else 'has'} no files any more. {_STAYS}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


COMMANDS = (
    Command("yank", _add_yank, _yank),
    Command("unyank", _add_release, _unyank),
    Command("status", _add_status, _status),
    Command("delete", _add_delete, _delete),
    Command("prune", _add_prune, _prune),
    Command("promote", _add_promote, _promote),
)
