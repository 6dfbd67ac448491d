"""``verify``, ``repair``, ``gc`` and ``news``: whether the index keeps its promises, and what is done for it now and then."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedIndex
from ..findings import Depth, Finding, Kind, Report
from ..wording import size_of
from .options import Command, UsageError, add_dry_run, add_json, add_yes, repository_of
from .targets import project_of
from .terminal import print_json, print_lines, say, tell_unread, unread_as_json
from .watching import counting, displayed

if TYPE_CHECKING:
    from ..garbage import Garbage
    from ..news import News
    from ..repair import Repair
    from ..repository import Repository

_WORKERS = "requests that may be in flight (default: 32; in a directory 1, or to read all bytes one for each processor)"
#: Findings of one kind that are shown without --verbose.
_SHOWN = 20
#: What a request takes of a process, so that more at once only wait for each other.
_MOST_WORKERS = 256
#: That of :mod:`..releases`, which is dear to import.
_TOLD = 100
#: More make no page that anybody reads.
_MOST_NEWS = 10_000


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("projects", metavar="NAME", nargs="*", help="only these projects (default: the whole index)")
    parser.add_argument("--workers", metavar="N", type=int, help=_WORKERS)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    depth = parser.add_mutually_exclusive_group()
    _add_documents(depth)
    depth.add_argument("--deep", action="store_const", dest="depth", const=Depth.BYTES, help="read every byte of every file, too")
    add_json(parser)


def _add_repair(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    _add_documents(parser)
    add_dry_run(parser)
    add_json(parser)


def _add_documents(parser: Any) -> None:
    about = "look at records and pages only, and at no file"
    parser.add_argument("--documents", action="store_const", dest="depth", const=Depth.DOCUMENTS, default=Depth.FILES, help=about)


def _add_news(parser: argparse.ArgumentParser) -> None:
    about = f"releases that are told of (default: {_TOLD})"
    parser.add_argument("--limit", metavar="N", type=int, default=_TOLD, help=about)
    add_dry_run(parser)
    add_json(parser)


def _add_gc(parser: argparse.ArgumentParser) -> None:
    _add_names(parser)
    add_yes(parser)
    add_json(parser)


# -- verify -------------------------------------------------------------------------------------------------------------------


def _verify(arguments: argparse.Namespace) -> int:
    repository = repository_of(arguments)
    names, workers = _names(arguments), _workers(arguments)
    with displayed(arguments) as display, display.counting("verifying projects") as counted:
        reading = display.files("reading {}")
        report = repository.verify(names, depth=arguments.depth, workers=workers, progress=counted, reading=reading)
    if arguments.json:
        print_json(_report_as_json(report, repository))
    else:
        print_lines([*_by_kind(report.findings, most=None if arguments.verbose else _SHOWN), _in_sum(report)])
    return 0 if report.is_sound else 1


def _names(arguments: argparse.Namespace) -> list[str]:
    return [project_of(name) for name in arguments.projects]


def _workers(arguments: argparse.Namespace) -> int | None:
    wanted: int | None = arguments.workers
    if wanted is not None and not 1 <= wanted <= _MOST_WORKERS:
        raise UsageError(f"--workers takes a number from 1 to {_MOST_WORKERS}.")
    return wanted


def _by_kind(findings: Iterable[Finding], *, most: int | None) -> Iterator[str]:
    """Yield what was found under a heading for each kind, worst first, with the way out below it."""
    found: dict[Kind, list[Finding]] = {kind: [] for kind in Kind}
    for finding in findings:
        found[finding.kind].append(finding)
    for kind, ones in found.items():
        if ones:
            note = "" if ones[0].is_broken else " (no promise is broken)"
            yield f"{kind.value}: {len(ones)}{note}"
            yield from (f"  {finding.key}: {finding.problem}" for finding in ones[:most])
            if most and len(ones) > most:
                yield f"  … and {len(ones) - most} more; --verbose shows all"
            yield f"  -> {ones[0].way_out}"
            yield ""


def _in_sum(report: Report) -> str:
    broken = sum(finding.is_broken for finding in report.findings)
    looked = _many(report.projects, "project")
    if report.depth is not Depth.DOCUMENTS:
        looked += f", {_many(report.files, 'file')}"
    verdict = "every promise is kept" if report.is_sound else f"{_many(broken, 'promise')} broken"
    return f"looked at {looked}: {verdict}"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _report_as_json(report: Report, repository: Repository) -> dict[str, Any]:
    """Return a report for machines; keys are only ever added."""
    return {
        "repository": repository.storage.location,
        "depth": report.depth.value,
        "projects": report.projects,
        "files": report.files,
        "sound": report.is_sound,
        "kinds": {kind.name.lower(): count for kind, count in report.kinds.items()},
        "findings": [_finding_as_json(finding) for finding in report.findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.name.lower(),
        "broken": finding.is_broken,
        "key": finding.key,
        "problem": finding.problem,
        "way_out": finding.way_out,
    }


# -- repair -------------------------------------------------------------------------------------------------------------------


def _repair(arguments: argparse.Namespace) -> int:
    repository = repository_of(arguments)
    act = repository.preview_repair if arguments.dry_run else repository.repair
    names, workers = _names(arguments), _workers(arguments)
    with counting(arguments, "repairing projects") as counted:
        repair = act(names, depth=arguments.depth, workers=workers, progress=counted)
    if arguments.json:
        print_json(_repair_as_json(repair, repository) | {"dry_run": arguments.dry_run})
    else:
        _tell_repair(arguments, repair, repository)
    return 1 if repair.left else 0


def _tell_repair(arguments: argparse.Namespace, repair: Repair, repository: Repository) -> None:
    if not arguments.quiet:
        done = "would be mended" if arguments.dry_run else "mended"
        for finding in repair.mended:
            say(f"{finding.key}: {done} ({finding.problem})")
        say(f"{_many(len(repair.mended), 'finding')} {done} in {repository.storage.location}")
        if arguments.dry_run:
            say(f"dry run: nothing was written to {repository.storage.location}")
    if repair.left:
        say(f"{_many(len(repair.left), 'finding')} left for a human:")
        for line in _by_kind(repair.left, most=None if arguments.verbose else _SHOWN):
            say(line)


def _repair_as_json(repair: Repair, repository: Repository) -> dict[str, Any]:
    """Return a repair for machines; keys are only ever added."""
    return {
        "repository": repository.storage.location,
        "mended": [_finding_as_json(finding) for finding in repair.mended],
        "left": [_finding_as_json(finding) for finding in repair.left],
    }


# -- gc -----------------------------------------------------------------------------------------------------------------------


def _gc(arguments: argparse.Namespace) -> int:
    repository = repository_of(arguments)
    errors: list[UnsupportedIndex] = []
    with displayed(arguments) as display, display.counting("looking at projects") as counted:
        act = repository.find_garbage
        if arguments.yes:
            act = partial(repository.collect_garbage, removing=display.numbers("removing from {}"))
        found = act(_names(arguments), workers=_workers(arguments), progress=counted, unreadable=errors.append)
    if arguments.json:
        print_json(_garbage_as_json(found, repository) | {"dry_run": not arguments.yes} | unread_as_json(errors))
    elif not arguments.quiet and found:
        _tell_garbage(found, repository, done=arguments.yes)
    elif not arguments.quiet:
        # Who lets it run every night does not ask for a second look.
        nothing = f"nothing is due: no object was removed from {repository.storage.location}"
        say(nothing if arguments.yes else _none_due(arguments, repository))
    return tell_unread(errors)


def _tell_garbage(found: Sequence[Garbage], repository: Repository, *, done: bool) -> None:
    for leftover in (leftover for garbage in found for leftover in garbage.leftovers):
        say(f"{leftover.entry.key}: {'removed' if done else 'would be removed'} ({size_of(leftover.entry.size)})")
    count, size = sum(len(garbage.leftovers) for garbage in found), sum(garbage.size for garbage in found)
    say(f"{_many(count, 'object')}, {size_of(size)} {'removed' if done else 'would be removed'}")
    if not done:
        say(f"dry run: nothing was removed from {repository.storage.location}. Say --yes to do it.")


def _none_due(arguments: argparse.Namespace, repository: Repository) -> str:
    """Say what will be due one day; who sees an object that nobody lists wonders why it stays."""
    from ..concurrency import streaming
    from ..garbage import GRACE, find
    from ..publish import utc_now
    from ..storage.base import in_flight

    # The store's clock, which says how old an object is, may be ahead of ours: hence twice.
    later = utc_now() + 2 * GRACE
    told = counting(arguments, "looking at projects for what is not due yet")
    with streaming(_workers(arguments) or in_flight(repository.storage)) as stream, told as counted:
        # What cannot be understood was told of when it was looked for what is due.
        look = partial(find, clock=lambda: later, unreadable=lambda _: None)
        found = look(repository.storage, _names(arguments), stream=stream, counted=counted)
        waiting = [leftover for garbage in found for leftover in garbage.leftovers]
    if not waiting:
        return f"there is nothing to remove from {repository.storage.location}"
    first = min(leftover.since for leftover in waiting)[:16].replace("T", " ")
    verb = "waits" if len(waiting) == 1 else "wait"
    size = size_of(sum(leftover.entry.size for leftover in waiting))
    return (
        f"nothing is due yet: {_many(len(waiting), 'object')} ({size}) {verb} until a day has passed, the first since {first} UTC"
    )


def _garbage_as_json(found: Sequence[Garbage], repository: Repository) -> dict[str, Any]:
    """Return garbage for machines; keys are only ever added."""
    objects = [
        {"key": leftover.entry.key, "size": leftover.entry.size, "since": leftover.since, "why": leftover.why.name.lower()}
        for garbage in found
        for leftover in garbage.leftovers
    ]
    return {"repository": repository.storage.location, "size": sum(garbage.size for garbage in found), "objects": objects}


# -- news ---------------------------------------------------------------------------------------------------------------------


def _news(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.limit <= _MOST_NEWS:
        raise UsageError(f"--limit takes a number from 1 to {_MOST_NEWS}.")
    repository = repository_of(arguments)
    errors: list[UnsupportedIndex] = []
    act = repository.preview_news if arguments.dry_run else repository.renew_news
    with counting(arguments, "reading projects") as counted:
        news = act(most=arguments.limit, progress=counted, unreadable=errors.append)
    if arguments.json:
        print_json(_news_as_json(news, repository) | {"dry_run": arguments.dry_run} | unread_as_json(errors))
    elif not arguments.quiet:
        _tell_news(news, repository, dry_run=arguments.dry_run)
    return tell_unread(errors)


def _tell_news(news: News, repository: Repository, *, dry_run: bool) -> None:
    for key in news.written:
        say(f"{key}: {'would be written' if dry_run else 'written'}")
    if not news.written:
        say("nothing is new")
    say(f"{_many(len(news.items), 'release')} told of in {repository.storage.location}")
    if dry_run:
        say(f"dry run: nothing was written to {repository.storage.location}")


def _news_as_json(news: News, repository: Repository) -> dict[str, Any]:
    """Return the news for machines; keys are only ever added."""
    releases = [
        {
            "project": item.project,
            "version": str(item.release.version),
            "published": item.published,
            "updated": item.updated,
            "files": [file.filename for file in item.release.files],
            "requires_python": item.release.requires_python,
            "yanked": item.release.yanked,
        }
        for item in news.items
    ]
    return {"repository": repository.storage.location, "written": list(news.written), "releases": releases}


COMMANDS = (
    Command("verify", _add_verify, _verify),
    Command("repair", _add_repair, _repair),
    Command("gc", _add_gc, _gc),
    Command("news", _add_news, _news),
)
