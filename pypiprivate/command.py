"""``python setup.py sdist bdist_wheel publish_private``: publishes what the run built, as one release.

``setup.py --help-commands`` imports every command that is installed: here nothing but setuptools is, until the command runs.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from setuptools import Command

# After setuptools, which brings its own where Python has none.
from distutils import log  # isort: skip
from distutils.errors import DistutilsError, DistutilsExecError, DistutilsOptionError  # isort: skip

from .errors import ConfigError, PypiPrivateError, printable

if TYPE_CHECKING:
    from .config import Settings

_NAME = "publish_private"
#: Commands that build what no index takes.
_UNPUBLISHABLE = frozenset({"bdist_dumb", "bdist_egg", "bdist_msi", "bdist_rpm", "bdist_wininst"})


class publish_private(Command):  # noqa: N801 - a command's class is named as it is typed
    """Publish what this run built to a private package index.

    What ``sdist`` and ``bdist_wheel`` built earlier in the same run becomes visible together. If the run built nothing, what
    the dist directory holds of this project's name and version is published, and the command says so.
    """

    description = "publish what this run built to your private package index"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        ("repository=", "r", "a section of the user's file, a URL or a path"),
        ("config=", "c", "the user's file (default: ~/.pypi-private.cfg)"),
        ("dist-dir=", "d", "where artifacts lie that an earlier run built (default: dist)"),
        ("existing=", None, "a file that is published already with other bytes: refuse, keep or replace (default: refuse)"),
        ("skip-existing", None, "the same as --existing=keep"),
        ("replace", None, "the same as --existing=replace"),
        ("dry-run", "n", "say what would be done, and write nothing"),
    ]
    boolean_options: ClassVar[list[str]] = ["skip-existing", "replace", "dry-run"]

    def initialize_options(self) -> None:
        """Set every flag to "not said", and take from distutils only what stands on the command line.

        :mod:`pypiprivate.config` reads our section itself: distutils drops ``prefix`` from it inside a virtual environment,
        refuses the keys of storage plug-ins everywhere, and dashed ones in some versions.
        """
        self.repository: str | None = None
        self.config: str | None = None
        self.dist_dir: str | None = None
        self.existing: str | None = None
        self.skip_existing = self.replace = self.dry_run = False
        said = self.distribution.get_option_dict(_NAME)
        self._elsewhere = {source for source, _ in said.values()} - {"command line"}
        for key in [key for key, (source, _) in said.items() if source != "command line"]:
            del said[key]

    def finalize_options(self) -> None:
        """Leave the flags as they are: :mod:`pypiprivate.config` weighs them against the other sources."""

    def run(self) -> None:
        """Publish; with ``--dry-run`` say what would be published.

        :raises DistutilsError: for everything that a user can cause, with the way out.
        """
        self._refuse_misplacement()
        self._refuse_unread_settings()
        try:
            self._publish()
        except ConfigError as error:
            raise DistutilsOptionError(_explained(error)) from error
        except PypiPrivateError as error:
            raise DistutilsExecError(_explained(error)) from error
        except ImportError as error:
            raise DistutilsError(f"{_NAME} cannot run: {error}\nInstall what it needs: pip install pypiprivate") from error

    def _refuse_misplacement(self) -> None:
        """Refuse a command line that would leave out something of what it builds."""
        commands: list[str] = self.distribution.commands
        if commands.count(_NAME) > 1:
            raise DistutilsOptionError(
                f"{_NAME} stands twice in this command line, and the second one would be skipped: put it last, and only there."
            )
        # A command of the project's own may run us without naming us.
        behind = commands[commands.index(_NAME) + 1 :] if _NAME in commands else []
        late = [command for command in behind if command.startswith(("sdist", "bdist"))]
        if late:
            raise DistutilsOptionError(f"{', '.join(late)} would build after everything is published: put {_NAME} last.")

    def _refuse_unread_settings(self) -> None:
        here = Path.cwd()
        read = {here / "setup.cfg", here / "pyproject.toml"}
        unread = sorted(source for source in self._elsewhere if here / source not in read)
        if unread:
            raise DistutilsOptionError(
                f"settings for {_NAME} are not read from {', '.join(unread)}.\nWrite them in setup.cfg, under [{_NAME}]."
            )

    def _publish(self) -> None:
        from . import surface
        from .repository import Repository

        with _without_chatter(), surface.logged_by(_Announcer(self)):
            settings = self._settings()
            paths = self._built() or self._built_before(settings)
            is_dry = self.dry_run or getattr(self.distribution, "dry_run", False)
            act, watched = surface.preview if is_dry else surface.publish, sys.stderr if self.verbose else None
            told = act(Repository(settings), paths, watched)
        self._say(told.lines)

    def _settings(self) -> Settings:
        from . import config

        flags = {
            "repository": self.repository,
            "config": self.config,
            "dist_dir": self.dist_dir,
            "existing": self.existing,
            "skip_existing": "yes" if self.skip_existing else None,
            "replace": "yes" if self.replace else None,
        }
        return config.load(flags=flags, project=Path.cwd(), environ=os.environ)

    def _built(self) -> list[Path]:
        """Return what this run built; a command may report a file twice."""
        built = [(command, Path(path).absolute()) for command, _, path in self.distribution.dist_files]
        refused = [f"{path.name} ({command})" for command, path in built if command in _UNPUBLISHABLE]
        if refused:
            raise DistutilsExecError(f"no index takes {', '.join(refused)}.\nBuild with sdist and bdist_wheel only.")
        return list(dict.fromkeys(path for _, path in built))

    def _built_before(self, settings: Settings) -> tuple[Path, ...]:
        """Return what an earlier run built of this name and version."""
        from . import artifact

        directory = settings.dist_dir or Path.cwd() / "dist"
        version = self._version()
        name = self.distribution.get_name()
        paths = artifact.select(directory, name, version)
        self._say([f"this run built nothing; publishing what {directory} holds of {name} {version}"])
        return paths

    def _version(self) -> str:
        """Return the version that a build would have: normalised, and with the tags of ``[egg_info]``."""
        try:
            version: str = self.get_finalized_command("egg_info").egg_version
        except ValueError as error:  # setuptools looks at the tags only now, and some at the version
            raise ConfigError(
                f"the project has no version: {error}", hint="Versions look like 1.0, 2.1rc1 or 1.0.post1."
            ) from error
        return version

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.announce(printable(line), level=log.INFO)


class _Announcer(logging.Handler):
    """Says what we log by way of the command, with its ``-q`` and ``-v``."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        level = log.WARN if record.levelno >= logging.WARNING else log.DEBUG
        self._command.announce(self.format(record), level=level)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hide what others log: setuptools shows every logger, and under -v boto3 logs tokens."""
    shown = logging.getLogger().handlers[:]
    for other in shown:
        other.addFilter(_is_no_chatter)
    try:
        yield
    finally:
        for other in shown:
            other.removeFilter(_is_no_chatter)


def _is_no_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name == "root"


def _explained(error: PypiPrivateError) -> str:
    return f"{error}\n{error.hint}" if error.hint else str(error)
