"""The publisher ``private`` of hatch: gathers settings and files as hatch's own one does, calls the repository, displays."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from hatch.publish.plugin.interface import PublisherInterface

from . import artifact, config, surface
from .errors import ConfigError, PypiPrivateError, printable
from .repository import Repository
from .sources import read_environment, read_flags, read_project, underscored

_TABLE = "[tool.hatch.publish.private]"
#: What hatch puts among the options unasked; nothing here prompts.
_OF_HATCH = frozenset({"no_prompt", "initialize_auth"})
#: Flags that hatch keeps for its own publisher.
_KEPT = frozenset({"repo", "user", "auth", "ca_cert", "client_cert", "client_key", "initialize_auth"})
#: How hints of ours read in hatch.
_IN_HATCH = {
    "--repository": "-o repository=…",
    "--skip-existing": "-o skip-existing=yes",
    "--replace": "-o replace=yes",
    "with -d": "with -o dist-dir=…",
    "python setup.py sdist bdist_wheel, or python -m build": "hatch build",
}


class PrivatePublisher(PublisherInterface):
    """Publish to a private package index.

    What ``dist`` holds of the project's current version is published, or the files and directories that are named. Settings:
    ``-o KEY=VALUE``, the environment, ``[tool.hatch.publish.private]``, and then as everywhere.
    """

    PLUGIN_NAME = "private"

    def publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        """Publish; with ``-o dry-run=yes`` say what would be published.

        :param artifacts: files and directories, relative to the project, as hatch takes them; none: the current version.
        :param options: those of this invocation, by key.
        """
        try:
            with surface.logged_by(_Displayer(self.app)):
                lines = self._publish(artifacts, {key: said for key, said in options.items() if key not in _OF_HATCH})
        except PypiPrivateError as error:
            self.app.abort("\n".join(filter(None, (str(error), _in_hatch(error.hint)))))
        else:
            for line in lines:
                self.app.display_info(printable(line))

    def _publish(self, artifacts: Sequence[str], options: dict[str, str]) -> Sequence[str]:
        _refuse_kept_flags()
        dry_run = _take_dry_run(options)
        settings = self._settings(options)
        paths = self._named(artifacts) if artifacts else self._current(settings)
        repository = Repository(settings)
        return (surface.preview if dry_run else surface.publish)(repository, paths, sys.stderr).lines

    def _settings(self, options: Mapping[str, str]) -> config.Settings:
        if self.plugin_config.keys() - {"disable"}:
            hint = f"What holds for all your projects stands in {config.USER_FILE}."
            raise ConfigError("no settings are read from here", origin="[publish.private] of hatch's configuration", hint=hint)
        here, root = Path(), Path(self.root)
        said_here = read_flags(options, "-o {}=…", here, root), read_environment(os.environ, here)
        stated = (*said_here, read_flags(self._table(), _TABLE, root, root), read_project(root, root))
        return config.settle(stated, os.environ, interpolate={})

    def _table(self) -> Mapping[str, str]:
        return {key: _text(key, said) for key, said in self.project_config.items() if key != "disable"}

    def _named(self, artifacts: Sequence[str]) -> list[Path]:
        """Return the files that are named, and what lies in directories that are named."""
        paths = (Path(self.root, name) for name in artifacts)
        return [file for path in paths for file in (_within(path) if path.is_dir() else [path])]

    def _current(self, settings: config.Settings) -> Sequence[Path]:
        return artifact.select(settings.dist_dir or Path(self.root, "dist"), *self._release())

    def _release(self) -> tuple[str, str]:
        """Return name and version of the project."""
        project = self.app.project
        if project.root is None:
            hint = "Run hatch in the project, or name the files that shall be published."
            raise ConfigError(f"{self.root} is no project, and has no current version", hint=hint)
        metadata = project.metadata.core_raw_metadata
        if not {"name", "version"} <= metadata.keys():
            metadata = _built_metadata(project)
        return str(metadata["name"]), str(metadata["version"])


def _built_metadata(project: Any) -> Mapping[str, Any]:
    """Ask the build backend, as ``hatch version`` does."""
    if not hasattr(project, "prepare_build_environment"):
        hint = "Upgrade hatch to 1.16 or newer, or name the files that shall be published."
        raise ConfigError("this version of hatch does not tell a version that its build backend has to find out", hint=hint)
    project.prepare_build_environment()
    with project.location.as_cwd(), project.build_env.get_env_vars():
        metadata: Mapping[str, Any] = project.build_frontend.get_core_metadata()
    return metadata


def _refuse_kept_flags() -> None:
    """Refuse a flag that would silently mean nothing: ``-r staging`` would publish to somewhere else."""
    context = click.get_current_context()
    for flag in context.command.params:
        if flag.name in _KEPT and context.get_parameter_source(flag.name) is click.core.ParameterSource.COMMANDLINE:
            hint = "Where to publish is said by -o repository=…, and credentials come from the environment."
            raise ConfigError("hatch keeps this flag for its own publisher", origin=flag.opts[0], hint=hint)


def _take_dry_run(options: dict[str, str]) -> bool:
    said = {options.pop(key) for key in list(options) if underscored(key) == "dry_run"} or {"no"}
    meant = {config.BOOLEANS.get(text.strip().lower()) for text in said}
    if len(meant) > 1 or None in meant:
        raise ConfigError(f"it cannot be {' and '.join(map(repr, sorted(said)))}", origin="-o dry-run=…", hint="It is yes or no.")
    return meant == {True}


def _within(directory: Path) -> list[Path]:
    found = sorted(path for path in directory.glob("*") if path.name.endswith((".whl", ".tar.gz")))
    if not found:
        raise ConfigError(f"{directory} holds no sdist and no wheel", hint="Build first (hatch build), or name another one.")
    return found


def _text(key: str, said: object) -> str:
    if isinstance(said, bool):
        return "yes" if said else "no"
    if isinstance(said, str | int):
        return str(said)
    raise ConfigError(f"{key} must be a string, a boolean or an integer", origin=_TABLE)


def _in_hatch(hint: str) -> str:
    return re.sub("|".join(map(re.escape, _IN_HATCH)), lambda match: _IN_HATCH[match[0]], hint)


class _Displayer(logging.Handler):
    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    def emit(self, record: logging.LogRecord) -> None:
        display = self._app.display_warning if record.levelno >= logging.WARNING else self._app.display_debug
        display(self.format(record))
