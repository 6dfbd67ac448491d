"""Every command by what it is for. Its module is imported when it is meant: ``--help`` and completion need none."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from .options import Command


class Summary(NamedTuple):
    """A command as the overview shows it.

    :ivar about: one line of help.
    :ivar module: the neighbour of this module whose ``COMMANDS`` hold it.
    """

    name: str
    about: str
    module: str

    def load(self) -> Command:
        """Import the command."""
        commands: tuple[Command, ...] = import_module(f".{self.module}", __package__).COMMANDS
        return next(command for command in commands if command.name == self.name)


GROUPS: tuple[tuple[str, tuple[Summary, ...]], ...] = (
    (
        "publish",
        (
            Summary("publish", "publish the artifacts of one release that lie in the dist directory", "publishing"),
            Summary("upload", "publish these files; they are relative to the current directory", "publishing"),
        ),
    ),
    (
        "look at what is published",
        (
            Summary("list", "list the projects, or the releases of one", "browsing"),
            Summary("show", "show a release: what it is, its files, and how to install it", "browsing"),
            Summary("search", "find projects by name or summary", "browsing"),
        ),
    ),
    (
        "change what is published",
        (
            Summary("yank", "mark a release so that installers take it only where it is pinned", "changing"),
            Summary("unyank", "take back a yank", "changing"),
            Summary("status", "say that a project is active, archived, deprecated or quarantined", "changing"),
            Summary("delete", "remove a release, or every release of a project, for good", "changing"),
            Summary("prune", "remove old releases by a rule", "changing"),
            Summary("promote", "copy releases to another repository, byte for byte", "changing"),
        ),
    ),
    (
        "take over what another tool wrote",
        (Summary("adopt", "take over an index that another tool wrote", "adopting"),),
    ),
    (
        "find out what is wrong",
        (
            Summary("doctor", "try the store, and the index as installers see it, and say what to change", "diagnosing"),
            Summary("verify", "check every promise of the index on what lies there", "maintaining"),
            Summary("repair", "mend what needs no human: pages, root, sidecars, headers", "maintaining"),
            Summary("gc", "remove what no record has named for a day", "maintaining"),
            Summary("news", "bring the page and the feed of the newest releases up to date", "maintaining"),
        ),
    ),
    (
        "serve it",
        (
            Summary("recipe", "print the files for nginx or Amazon that serve this repository", "serving"),
            Summary("serve", "serve this repository from here, for trying things and small teams", "serving"),
        ),
    ),
    (
        "use it",
        (Summary("client-config", "print what pip, uv, poetry, pdm or pipenv need to install from it safely", "clients"),),
    ),
    (
        "be helped",
        (Summary("completion", "print what lets bash, zsh or fish complete these commands", "completing"),),
    ),
)
