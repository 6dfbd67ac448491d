"""``client-config``: what installers are to be told."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from .. import clients
from ..errors import ConfigError
from .options import Command, UsageError, settings_of
from .targets import project_of, target_of
from .terminal import print_lines

if TYPE_CHECKING:
    from ..config import Settings


def _add_client_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", metavar="CLIENT", choices=tuple(clients.CLIENTS), help=", ".join(clients.CLIENTS))
    parser.add_argument(
        "projects",
        metavar="NAME",
        nargs="*",
        help="the private projects that are needed, beside a public index; none: the index answers for all names",
    )
    parser.set_defaults(json=False)


def _client_config(arguments: argparse.Namespace) -> int:
    projects = list(dict.fromkeys(map(_project, arguments.projects)))
    settings = settings_of(arguments)
    if settings.index_url is None:
        raise ConfigError("index_url is not set, where clients read the index", hint=_where_to_set_it(settings, arguments.config))
    print_lines(clients.settings(arguments.client, settings.index_url, projects).splitlines())
    return 0


def _project(text: str) -> str:
    """Read ``NAME``: which version is wanted is said to the installer itself."""
    try:
        target_of(text)
    except UsageError as error:
        raise UsageError(f"{text!r:.99} is no name of a project.", hint="Write NAME alone, as acme-hello.") from error
    return project_of(text)


def _where_to_set_it(settings: Settings, config: str | None) -> str:
    """Where a file describes the repository, there; a path or URL that is said here becomes a section of the user's file."""
    from ..sources import USER_FILE

    origin, setting = settings.origins["type"], "index_url = https://pypi.example.com/simple/"
    if origin not in ("--repository", "PP_REPOSITORY"):
        return f"Set it in {origin}: {setting}"
    file = config or os.environ.get("PP_CONFIG") or USER_FILE
    said = {"type": settings.type} | {key: text for key, text in settings.options.items() if settings.origins.get(key) == origin}
    lines = ", ".join(f"{key} = {text}" for key, text in said.items())
    return f"A path or URL has none of its own: add a section to {file}, as [acme] with {lines}, {setting}; then say -r acme."


COMMANDS = (Command("client-config", _add_client_config, _client_config),)
