"""``adopt``: takes over an index that another tool wrote."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

from ..wording import size_of
from .options import Command, UsageError, add_dry_run, add_json, repository_of
from .targets import project_of, repository_named
from .terminal import print_json, say
from .watching import displayed, waiting

if TYPE_CHECKING:
    from ..adopt import Reader
    from ..artifact import Artifact
    from ..progress import Display
    from ..repository import Repository
    from ..survey import Remark, Survey
    from ..takeover import Adoption

#: Remarks of one wording that are shown for people; machines get all.
_SHOWN = 5

#: Those of :mod:`..layouts`, which is dear to import.
_LAYOUTS = ("auto", "directory", "simple", "dumb-pypi", "bandersnatch", "pypicloud", "pypiprivate", "pypiserver", "s3pypi")
#: By the kind of a remark.
_TITLES = {
    "strange": "strange, and taken as it is",
    "left out": "left out",
    "refused": "not taken",
}


def _add_adopt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("projects", metavar="NAME", nargs="*", help="only these projects (default: all)")
    place = "another index: a directory, a URL or a section of the user's file; without it the repository's own older files"
    parser.add_argument("--from", dest="place", metavar="PLACE", help=place)
    about = f"how PLACE lies: {', '.join(_LAYOUTS)} (default: auto)"
    parser.add_argument("--layout", choices=_LAYOUTS, metavar="LAYOUT", help=about)
    parser.add_argument("--files", metavar="PLACE", help="where the files lie that PLACE only lists")
    parser.add_argument("--deep", action="store_true", help="look at every member of every archive, which takes far longer")
    add_dry_run(parser)
    add_json(parser)


def _adopt(arguments: argparse.Namespace) -> int:
    repository, names = repository_of(arguments), [project_of(name) for name in arguments.projects]
    with waiting(arguments, "looking for files"):
        found = _survey(arguments, repository, names)
    if found.files and not arguments.quiet:
        say(f"{_files(found.files)} to read, {size_of(found.size)}")
    with displayed(arguments) as display, display.waiting("adopting"):
        adoption = _taken(repository, found, arguments, display)
    location = repository.storage.location
    if arguments.json:
        print_json({"repository": location, "dry_run": arguments.dry_run, **_as_json(found, adoption)})
    else:
        for line in (*_remarks(adoption, arguments.quiet), *_results(adoption, location, arguments)):
            say(line)
    return 0 if adoption.is_complete else 1


def _survey(arguments: argparse.Namespace, repository: Repository, names: Sequence[str]) -> Survey:
    from .. import layouts

    if arguments.place is None:
        if arguments.layout or arguments.files is not None:
            raise UsageError("--layout and --files say how another index lies, and none is named.", hint="Say --from PLACE.")
        return repository.survey(names)
    if "" in (arguments.place, arguments.files):
        raise UsageError("--from or --files names nothing.", hint="Say a directory, a URL or a section of your file.")
    layout = layouts.LAYOUTS.get(arguments.layout)
    origin = repository_named(arguments, arguments.place, flag="--from")
    files = repository_named(arguments, arguments.files, flag="--files") if arguments.files is not None else None
    if origin.storage.location == repository.storage.location:
        raise UsageError("--from names the repository itself.", hint="Leave it out to adopt what lies there in place.")
    return repository.survey_place(origin.storage, names, layout=layout, files=files.storage if files else None)


def _taken(repository: Repository, found: Survey, arguments: argparse.Namespace, display: Display) -> Adoption:
    sent, read = display.files("{}")("reading", found.size), _reader(display, deep=arguments.deep)
    if arguments.dry_run:
        return repository.preview_takeover(found, read=read, sent=sent)
    return repository.take_over(found, read=read, sent=sent, progress=display.files("copying {}"))


def _reader(display: Display, *, deep: bool) -> Reader:
    """Show how far each file is when it was fetched: it is hashed, and a thorough reader looks at each byte before."""
    from .. import artifact
    from ..storage.base import Passes

    look, times = (artifact.examine_published, 2) if deep else (artifact.skim_published, 1)
    checking = display.files("checking {}")

    def read(file: BinaryIO, filename: str, project: str) -> Artifact:
        size = file.seek(0, os.SEEK_END)
        passes = Passes(checking(filename, size), times=times)
        found = look(file, filename, project, sent=passes)
        passes.complete(size)
        return found

    return read


def _remarks(adoption: Adoption, quiet: int) -> Iterator[str]:
    """Who wants to hear of errors only hears what could not be taken."""
    for kind in ("refused",) if quiet else _TITLES:
        remarks = [remark for remark in adoption.remarks if remark.kind.value == kind]
        if remarks:
            yield f"{_TITLES[kind]}:"
            yield from _grouped(remarks)


def _results(adoption: Adoption, location: str, arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.quiet:
        return
    would = "would be " if arguments.dry_run else ""
    for in_place, how in ((True, "adopted where they lie"), (False, "copied")):
        taken = [taken for taken in adoption.taken if taken.in_place is in_place]
        if taken:
            names = len({each.project for each in taken})
            projects = f"{names} project{'s' if names > 1 else ''}"
            yield f"{_files(len(taken))} of {projects}: {would}{how} ({size_of(sum(each.size for each in taken))})"
    if adoption.present:
        yield f"{_files(adoption.present)}: there already"
    if not (adoption.taken or adoption.present):
        yield f"no file {would or 'was '}adopted"
    if arguments.dry_run:
        yield f"dry run: nothing was written to {location}"
    elif adoption.taken or adoption.present:
        yield f"the index is in {location}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _grouped(remarks: Sequence[Remark]) -> Iterator[str]:
    """A mirror may have ten thousand files of which the same is to be said."""
    for said, group in groupby(sorted(remarks, key=lambda remark: remark.said), key=lambda remark: remark.said):
        names = [f"{remark.project}: {remark.filename}" if remark.project else remark.filename for remark in group]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"  {', '.join(names[:_SHOWN])}{more}: {said}"


def _as_json(found: Survey, adoption: Adoption) -> dict[str, Any]:
    """Return an adoption for machines; keys are only ever added."""
    return {
        "complete": adoption.is_complete,
        "read": {"files": found.files, "bytes": found.size},
        "present": adoption.present,
        "files": [{**taken._asdict()} for taken in adoption.taken],
        "remarks": [{**remark._asdict(), "kind": remark.kind.name.lower()} for remark in adoption.remarks],
    }


COMMANDS = (Command("adopt", _add_adopt, _adopt),)
