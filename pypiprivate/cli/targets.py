"""What a user names on the command line: projects, releases, and a second repository."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .options import UsageError

if TYPE_CHECKING:
    from ..edits import Target
    from ..repository import Repository


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Take what cannot be meant for wrong usage: exit code 2."""
    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error), hint=error.hint) from error


def target_of(text: str) -> Target:
    """Read ``NAME`` or ``NAME==VERSION``.

    :raises UsageError: it is neither.
    """
    from ..edits import Target

    with wrong_usage():
        return Target.parse(text)


def project_of(text: str) -> str:
    """Read ``NAME`` and return it normalised.

    :raises UsageError: it is none, or a release.
    """
    target = target_of(text)
    if target.version:
        raise UsageError(f"{text!r:.99} is a release, not a project.", hint=f"Write {target.project}.")
    return target.project


def release_of(text: str) -> Target:
    """Read ``NAME==VERSION``.

    :raises UsageError: it is none, or a project.
    """
    target = target_of(text)
    if target.version is None:
        raise UsageError(f"{text!r:.99} names no release.", hint=f"Write {target.project}==VERSION.")
    return target


def repository_named(arguments: argparse.Namespace, named: str, *, flag: str) -> Repository:
    """Return another repository than that of the invocation.

    :param named: a section of the user's file, a URL or a path.
    :param flag: that said so, for messages.
    :raises ConfigError: a setting is wrong, missing or contradictory.
    """
    from .. import config
    from ..repository import Repository

    settings = config.load(
        flags={"repository": named, "config": arguments.config},
        project=arguments.project_path,
        environ=os.environ,
        flag=flag,
        interpolate=arguments.env_interpolation,
    )
    return Repository(settings)
