"""``list``, ``show`` and ``search``: what is published."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import NotPublished, Unreadable, UnsupportedIndex
from ..wording import size_of
from .options import Command, UsageError, add_json, repository_of
from .targets import project_of, target_of
from .terminal import print_json, print_lines, say, table, tell_unread, unread_as_json
from .watching import counting, waiting

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from ..browse import Hit
    from ..edits import Target
    from ..model import File, Project
    from ..releases import Release
    from ..repository import Repository

#: What no name holds, and hardly a summary, but a pattern does.
_PATTERN = re.compile(r"[\\^$*|\[\]{}]|\.\+|\(\?")


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", metavar="NAME", nargs="?", help="list its releases, not the projects")
    add_json(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NAME[==VERSION]", help="the release (default: the one that an installer takes)")
    add_json(parser)


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="part of a name or a summary; upper case, dashes and dots do not matter")
    parser.add_argument("--names", "--name", action="store_true", help="look at names only: reads one document")
    add_json(parser)


# -- list ---------------------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    name = project_of(arguments.project) if arguments.project is not None else None
    repository = repository_of(arguments)
    if name is not None:
        with waiting(arguments, f"reading {name}"):
            record = repository.project(name)
        return _list_releases(arguments, repository, record)
    with waiting(arguments, "reading the list of projects"):
        names = repository.projects()
    if arguments.json:
        print_json({"repository": repository.storage.location, "projects": [{"project": name} for name in names]})
    else:
        _print_or_say(arguments, names, f"There is no project in {repository.storage.location}.")
    return 0


def _list_releases(arguments: argparse.Namespace, repository: Repository, record: Project) -> int:
    from ..releases import releases

    found = releases(record)
    if arguments.json:
        told = {"repository": repository.storage.location, **_project_as_json(record)}
        print_json(told | {"releases": [_release_as_json(release) | _files_in_sum(release) for release in found]})
        return 0
    if (standing := _standing(record)) and not arguments.quiet:
        say(standing)
    header = ("version", "date", "files", "size", "python", "yanked")
    _print_or_say(arguments, table(header, map(_row, found)), f"{record.name} has no files any more.")
    return 0


def _row(release: Release) -> tuple[str, ...]:
    return (
        str(release.version or "?"),
        (release.upload_time or "")[:10],
        str(len(release.files)),
        size_of(release.size),
        release.requires_python or "",
        _mark(release.yanked),
    )


def _print_or_say(arguments: argparse.Namespace, lines: list[str] | tuple[str, ...], otherwise: str) -> None:
    """Nothing found is no line of a result."""
    if lines:
        print_lines(lines)
    elif not arguments.quiet:
        say(otherwise)


# -- show ---------------------------------------------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace) -> int:
    target, repository = target_of(arguments.target), repository_of(arguments)
    with waiting(arguments, f"reading {target}"):
        record, release, said = _read(repository, target)
    if arguments.json:
        print_json({"repository": repository.storage.location, **_shown_as_json(record, release, said, repository)})
    else:
        print_lines(_shown(record, release, said, repository.settings.index_url))
    return 0


def _read(repository: Repository, target: Target) -> tuple[Project, Release, RawMetadata]:
    from ..releases import Release, newest

    record = repository.project(target.project)
    if target.version:
        release = Release(target.version, target.select(record))
    elif found := newest(record):
        release = found
    else:
        raise NotPublished(f"release of {record.name}", repository.storage.location)
    return record, release, repository.metadata(record, release) or {}


def _shown(record: Project, release: Release, said: RawMetadata, index_url: str | None) -> Iterator[str]:
    yield f"{record.name} {release.version}"
    yield from filter(None, [said.get("summary")])
    yield ""
    for name, values in _facts(record, release, said):
        for at, value in enumerate(values):
            yield f"{'' if at else name:10}  {value}"
    yield ""
    rows = ((file.filename, size_of(file.size), _mark(file.yanked), file.sha256) for file in release.files)
    yield from table(("file", "size", "yanked", "sha256"), rows)
    if index_url and not record.withheld:
        from .. import report

        yield ""
        yield from report.installing(record.name, str(release.version), index_url)


def _facts(record: Project, release: Release, said: RawMetadata) -> Iterator[tuple[str, list[str]]]:
    """Yield what there is to say, and what is said of it."""
    yield "published", [release.upload_time[:10]] if release.upload_time else []
    yield "status", [_standing(record)] if _standing(record) else []
    yield "yanked", [_mark(release.yanked)] if release.yanked else []
    yield "author", [who] if (who := _author(said)) else []
    yield "licence", [licence] if (licence := _licence(said)) else []
    yield "python", [release.requires_python] if release.requires_python else []
    yield "requires", [text for text in said.get("requires_dist", []) if not _is_for_extra(text)]
    yield "extras", [", ".join(extras)] if (extras := said.get("provides_extra", [])) else []
    yield "links", _links(said)


def _author(said: RawMetadata) -> str | None:
    """An address may bring the name with it (core metadata)."""
    return ", ".join(filter(None, [said.get("author"), said.get("author_email")])) or None


def _licence(said: RawMetadata) -> str | None:
    """The text of a licence is told by its first line."""
    expression, text = said.get("license_expression"), said.get("license", "").strip()
    classified = [c.rpartition(" :: ")[2] for c in said.get("classifiers", []) if c.startswith("License ::")]
    return expression or text.partition("\n")[0] or ", ".join(classified) or None


def _links(said: RawMetadata) -> list[str]:
    links = [f"{label}: {url}" for label, url in said.get("project_urls", {}).items()]
    return [*filter(None, [said.get("home_page")]), *links]


def _is_for_extra(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(text).marker
    except (InvalidRequirement, RecursionError):  # it may hold thousands of brackets
        return False
    return "extra" in str(marker or "")


def _shown_as_json(record: Project, release: Release, said: RawMetadata, repository: Repository) -> dict[str, Any]:
    return {
        "index_url": repository.settings.index_url,
        **_project_as_json(record),
        **_release_as_json(release),
        "summary": said.get("summary"),
        "author": _author(said),
        "license": _licence(said),
        "requires_dist": said.get("requires_dist", []),
        "provides_extra": said.get("provides_extra", []),
        "links": _links(said),
        "files": [_file_as_json(record, file) for file in release.files],
    }


# -- search -------------------------------------------------------------------------------------------------------------------


def _search(arguments: argparse.Namespace) -> int:
    _check_text(arguments.text)
    repository = repository_of(arguments)
    errors: list[UnsupportedIndex] = []
    hits = _hits(arguments, repository, errors.append)
    if arguments.json:
        found = [{"project": hit.project, "summary": hit.summary} for hit in hits]
        said = {"repository": repository.storage.location, "text": arguments.text, "projects": found}
        print_json(said | unread_as_json(errors))
        return tell_unread(errors)
    rows = [(hit.project,) if arguments.names else (hit.project, hit.summary or "") for hit in hits]
    lines = table(("",) * len(rows[0]), rows)[1:] if rows else []
    _print_or_say(arguments, lines, f"Nothing in {repository.storage.location} is called or says {arguments.text!r}.")
    return tell_unread(errors)


def _hits(arguments: argparse.Namespace, repository: Repository, unreadable: Unreadable) -> list[Hit]:
    from ..browse import Hit

    if arguments.names:
        with waiting(arguments, "reading the list of projects"):
            return [Hit(name, None) for name in repository.search_names(arguments.text)]
    with counting(arguments, "reading projects") as counted:
        return list(repository.search(arguments.text, progress=counted, unreadable=unreadable))


def _check_text(text: str) -> None:
    if found := _PATTERN.search(text):
        hint = "It takes plain text: http client finds http-client and HTTP_Client2. For patterns: list | grep -E PATTERN"
        raise UsageError(f"{text!r:.99} looks like a pattern ({found[0]}), and search knows none.", hint=hint)
    if not any(map(str.isalnum, text)):
        raise UsageError(f"{text!r:.99} has nothing to look for.", hint="Write a letter or a digit, or: list")


# -- for machines; keys are only ever added -----------------------------------------------------------------------------------


def _project_as_json(record: Project) -> dict[str, Any]:
    marker, reason = record.status
    return {"project": record.name, "serial": record.serial, "status": marker, "status_reason": reason}


def _release_as_json(release: Release) -> dict[str, Any]:
    return {
        "version": str(release.version) if release.version else None,
        "upload_time": release.upload_time,
        "requires_python": release.requires_python,
        "yanked": release.yanked,
    }


def _files_in_sum(release: Release) -> dict[str, Any]:
    return {"files": [file.filename for file in release.files], "size": release.size}


def _file_as_json(record: Project, file: File) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "url": file.url if "//" in file.url else f"{record.name}/{file.url}",
        "sha256": file.sha256 or None,
        "size": file.size,
        "upload_time": file.upload_time,
        "requires_python": file.requires_python,
        "yanked": file.yanked,
    }


# -- words --------------------------------------------------------------------------------------------------------------------


def _standing(record: Project) -> str:
    """A project's status, where it is not the usual one."""
    marker, reason = record.status
    because = f": {reason}" if reason else ""
    return "" if record.status == ("active", None) else f"{record.name} is {marker}{because}"


def _mark(yanked: bool | str) -> str:
    return yanked if isinstance(yanked, str) else "yes" if yanked else ""


COMMANDS = (Command("list", _add_list, _list), Command("show", _add_show, _show), Command("search", _add_search, _search))
