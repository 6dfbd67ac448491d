"""``client-config``: what installers are to be told."""

from __future__ import annotations

import argparse

from .. import clients
from ..errors import ConfigError
from .options import Command, settings_of
from .targets import project_of
from .terminal import print_lines


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
    projects = list(dict.fromkeys(map(project_of, arguments.projects)))
    index_url = settings_of(arguments).index_url
    if index_url is None:
        hint = "Set it beside the repository, as index_url = https://pypi.example.com/simple/."
        raise ConfigError("index_url is not set, where clients read the index", hint=hint)
    print_lines(clients.settings(arguments.client, index_url, projects).splitlines())
    return 0


COMMANDS = (Command("client-config", _add_client_config, _client_config),)
