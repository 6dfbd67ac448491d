"""What commands have in common: their options, and the settings and the repository that these lead to."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PypiPrivateError

if TYPE_CHECKING:
    from ..config import Settings
    from ..repository import Repository


class UsageError(PypiPrivateError):
    """The command line is incomplete: exit code 2."""


class Command(NamedTuple):
    """One command of the program.

    :ivar configure: adds its arguments to the parser that is given.
    :ivar run: does it, and returns the exit code.
    """

    name: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def general_options() -> argparse.ArgumentParser:
    """Return what may stand before a command's name or behind it; without defaults, so that one place does not undo the other."""
    general = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    general.add_argument("-v", "--verbose", action="count", help="say what is done; twice: in detail")
    general.add_argument("-q", "--quiet", action="count", help="say nothing but warnings and errors; twice: errors only")
    general.add_argument("-c", "--config", "--conf-path", metavar="FILE", help="the user's file (default: ~/.pypi-private.cfg)")
    general.add_argument("-i", "--env-interpolation", action="store_true", help="let %%(NAME)s in it mean environment variables")
    general.add_argument("-p", "--project-path", metavar="DIR", type=Path, help="the project (default: here)")
    general.add_argument("-r", "--repository", metavar="REPOSITORY", help="a section of the user's file, a URL or a path")
    return general


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would be done, and write nothing")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes`` to a command that only says what it would do without it; ``--dry-run`` says the same."""
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("-y", "--yes", action="store_true", help="do it; without, it is only said what would be done")
    acts.add_argument("-n", "--dry-run", action="store_true", help="only say what would be done, as without --yes")


def settings_of(arguments: argparse.Namespace, **flags: str | None) -> Settings:
    """Return the settings of this invocation.

    :param flags: beside those that every command has.
    :raises ConfigError: a setting is wrong, missing or contradictory.
    """
    from .. import config

    said = {"repository": arguments.repository, "config": arguments.config, **flags}
    return config.load(flags=said, project=arguments.project_path, environ=os.environ, interpolate=arguments.env_interpolation)


def repository_of(arguments: argparse.Namespace, **flags: str | None) -> Repository:
    """Return the repository of this invocation. Arguments and errors are as of :func:`settings_of`."""
    from ..repository import Repository

    return Repository(settings_of(arguments, **flags))
