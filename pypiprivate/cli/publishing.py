"""``publish`` and ``upload``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .options import Command, add_dry_run, add_json, settings_of
from .terminal import print_json, say
from .watching import watched

if TYPE_CHECKING:
    from ..config import Settings

#: Those of :class:`..model.Existing`, which is dear to import.
_EXISTING = ("refuse", "keep", "replace")


def add_existing(parser: argparse.ArgumentParser) -> None:
    """Add what is to happen to a file that is published already with other bytes."""
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--existing", choices=_EXISTING, help="a file that is published already with other bytes (default: refuse)"
    )
    existing.add_argument(
        "--skip-existing", dest="existing", action="store_const", const="keep", help="the same as --existing keep"
    )
    existing.add_argument(
        "--replace", dest="existing", action="store_const", const="replace", help="the same as --existing replace"
    )


def _add_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("release", metavar="VERSION")
    parser.add_argument("-d", "--dist-dir", metavar="DIST_DIR", help="where they lie, relative to the project (default: dist)")
    _add_publishing_options(parser)


def _add_upload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    _add_publishing_options(parser)


def _add_publishing_options(parser: argparse.ArgumentParser) -> None:
    add_existing(parser)
    add_dry_run(parser)
    add_json(parser)


def _publish(arguments: argparse.Namespace) -> int:
    from .. import artifact

    settings = settings_of(arguments, existing=arguments.existing, dist_dir=arguments.dist_dir)
    directory = settings.dist_dir or arguments.project_path / "dist"
    return _send(arguments, settings, artifact.select(directory, arguments.name, arguments.release))


def _upload(arguments: argparse.Namespace) -> int:
    return _send(arguments, settings_of(arguments, existing=arguments.existing), arguments.files)


def _send(arguments: argparse.Namespace, settings: Settings, paths: Iterable[Path]) -> int:
    from .. import report, surface
    from ..repository import Repository

    repository = Repository(settings)
    act = surface.preview if arguments.dry_run else surface.publish
    told = act(repository, paths, watched(arguments))
    if arguments.json:
        value = report.as_json(told.receipts, repository.storage.location, settings.index_url)
        print_json(value | {"dry_run": arguments.dry_run})
    elif not arguments.quiet:
        for line in told.lines:
            say(line)
    return 0


COMMANDS = (Command("publish", _add_publish, _publish), Command("upload", _add_upload, _upload))
