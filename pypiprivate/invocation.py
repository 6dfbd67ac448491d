"""What one call of a build hook asks of us, by ``-C publish_private=…``, and the doing of it.

Everything that can be refused is refused before the build; what fails after it leaves the built file where it is.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import config, report, surface
from .errors import ArtifactDeleted, ArtifactError, ArtifactExists, ConfigError, PypiPrivateError, printable
from .repository import Repository
from .sources import underscored

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_SWITCH = "publish_private"
#: Settings for which the bare key means yes.
_SWITCHES = frozenset({"replace", "skip_existing", "allow_linux_tag", "dry_run"})
#: All that may stand behind the dot. What a storage needs stands in the repository's URL.
_KEYS = _SWITCHES | {"config", "existing", "repository"}
_HOW = f"Write {_SWITCH}=yes, and {_SWITCH}.KEY=VALUE with one of these keys: {', '.join(sorted(_KEYS))}."
_OF_ITSELF = "Publish from a build of the project itself; a wheel that was built otherwise is published by pypi-private upload."
_OPT_IN = f"Nothing is published unless the invocation says so: -C {_SWITCH}=yes."


@dataclass(frozen=True)
class Publication:
    """A publish that was asked for, checked as far as can be before there is a file.

    :ivar dry_run: say what would be done.
    :ivar allow_linux_tag: take a wheel that runs on machines like this one only.
    :ivar by_hand: the command that publishes a built file to the same place, when it stands before the file's path.
    """

    repository: Repository
    dry_run: bool
    allow_linux_tag: bool
    by_hand: tuple[str, ...]

    def publish(self, path: Path) -> None:
        """Publish the built file, and announce it by a warning, which front ends show even when they are quiet.

        :raises SystemExit: it was not published; says how to do it without building again.
        """
        try:
            with _logged():
                self._refuse_unrepaired(path)
                lines = list(self._published(path))
        except PypiPrivateError as error:
            raise SystemExit(self._failure(error, path)) from error
        except KeyboardInterrupt:
            raise SystemExit(f"interrupted.\n{self._rescue(path)}") from None
        announce(*lines)

    def _refuse_unrepaired(self, path: Path) -> None:
        platforms = path.stem.rpartition("-")[2].split(".") if path.suffix == ".whl" else []
        if any(platform.startswith("linux_") for platform in platforms) and not self.allow_linux_tag:
            reason = "its tag says linux_*, so it may run on machines like this one only"
            hint = f"Repair it (auditwheel, cibuildwheel) and upload the result, or say -C {_SWITCH}.allow_linux_tag=yes."
            raise ArtifactError(path.name, reason, hint=hint)

    def _published(self, path: Path) -> Iterator[str]:
        location = self.repository.storage.location
        if self.dry_run:
            return iter(surface.preview(self.repository, [path], sys.stderr).lines)
        return report.lines(surface.publish(self.repository, [path], sys.stderr).receipts, location, None)

    def _failure(self, error: PypiPrivateError, path: Path) -> str:
        ways = [error.hint]
        if isinstance(error, ArtifactExists):
            ways.append(f"In a build that is -C {_SWITCH}.existing=keep.")
        elif not isinstance(error, ArtifactError | ArtifactDeleted):  # these would be refused again
            ways.append(self._rescue(path))
        return "\n".join(filter(None, (f"error: {error}", *ways)))

    def _rescue(self, path: Path) -> str:
        command = printable(shlex.join([*self.by_hand, str(path)]))
        return (
            f"The file is built. Where the build leaves it (build and uv build do), this publishes it, in the project:\n{command}"
        )


def announce(*lines: str) -> None:
    """Say something by a warning: front ends hide what a build prints when they are quiet, but show its warnings."""
    for line in lines:
        text = f"{_SWITCH}: {printable(line)}"
        try:
            warnings.warn_explicit(text, UserWarning, _SWITCH, 1)
        except UserWarning:  # warnings are errors here and in the front end, and what is done is no error
            sys.stderr.write(f"{text}\n")


def read(settings: Mapping[str, Any], directory: Path) -> Publication | None:
    """Return the publish that *settings* ask for; None where they say no.

    :param settings: those of the invocation that are ours, as the front end delivered them.
    :param directory: where the built file goes.
    :raises ConfigError: a setting is wrong or unknown, the repository cannot be opened, or this build cannot publish.
    """
    said = _said(settings)
    if not _asked(said):
        return None
    if os.environ.get("CIBUILDWHEEL"):
        hint = "Publish what it made when it is done: pypi-private upload wheelhouse/*.whl."
        raise ConfigError("cibuildwheel repairs and tests a wheel after this build", origin=f"-C {_SWITCH}", hint=hint)
    dry_run, allow_linux_tag = _yes(said, "dry_run"), _yes(said, "allow_linux_tag")
    repository = Repository(_settings(said, directory))
    with _logged():
        _ = repository.storage  # credentials that are missing are missed now
    return Publication(repository, dry_run, allow_linux_tag, _by_hand(said, repository.settings))


def _said(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said by key, underscored, without our prefix; the opt-in itself is the empty key."""
    said: dict[str, str] = {}
    for key, value in settings.items():
        prefix, dot, name = underscored(key).partition(".")
        if prefix != _SWITCH or (dot and name not in _KEYS):
            raise ConfigError("there is no such setting", origin=f"-C {key}", hint=_HOW)
        # Front ends deliver a repeated key as a list.
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                _add(said, name, _text(one, key, name))
    return said


def _text(value: Any, key: str, name: str) -> str:
    """Return what one value says; all words for yes are one where they may stand."""
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if not isinstance(value, str):  # it is not shown: it may hold a secret
        raise ConfigError("its value is neither a text nor yes or no", origin=f"-C {key}", hint=_HOW)
    text = value.strip()
    if name and name not in _SWITCHES:
        return text
    meant = config.BOOLEANS.get(text.lower() or "yes")
    return text if meant is None else "yes" if meant else "no"


def _add(said: dict[str, str], key: str, text: str) -> None:
    if said.setdefault(key, text) != text:
        where = f"-C {_SWITCH}.{key}".rstrip(".")
        raise ConfigError("it is said twice, and differently", origin=where, hint="Keep one of the two.")


def _asked(said: dict[str, str]) -> bool:
    """Tell whether to publish. The opt-in is taken out; where it is no word for yes or no, it names the repository."""
    if said and "" not in said:
        raise ConfigError(f"it is said without {_SWITCH}", origin=f"-C {_SWITCH}.{next(iter(said))}", hint=_OPT_IN)
    switch = said.pop("", "no")
    if switch not in {"yes", "no"}:
        _add(said, "repository", switch)
    return switch != "no"


def _yes(said: dict[str, str], key: str) -> bool:
    text = said.pop(key, "no")
    if text not in {"yes", "no"}:
        raise ConfigError(f"it cannot be {text!r}", origin=f"-C {_SWITCH}.{key}", hint="It is yes or no.")
    return text == "yes"


def _settings(said: Mapping[str, str], directory: Path) -> config.Settings:
    project = _project(directory)
    flag = f"-C {_SWITCH}.{{}}"
    return config.load(flags=said, project=project or Path.cwd(), here=project, environ=os.environ, flag=flag)


def _project(directory: Path) -> Path | None:
    """Return the directory that the user takes for the project; None where it is not to be found.

    ``python -m build`` and ``uv build`` unpack the sdist that they have just made in a temporary directory, and build the wheel
    there. It then goes to the ``dist`` of the project, beside a pyproject.toml that says the same as the sdist's.

    :raises ConfigError: what is built is not what the user stands in: uv hands settings to the builds of dependencies, too.
    """
    here, outer = Path.cwd(), directory.absolute().parent
    if not (here / "PKG-INFO").exists():
        _refuse_dependency(here, directory)
        return here
    identity = _identity(here)
    if identity and _identity(outer) == identity:
        return outer
    if not (directory / f"{here.name}.tar.gz").exists():
        reason = f"{here} is an unpacked sdist, and not one that this build has made"
        raise ConfigError(reason, origin=f"-C {_SWITCH}", hint=_OF_ITSELF)
    return None


def _refuse_dependency(here: Path, directory: Path) -> None:
    """Refuse a project that is built because another one needs it: uv puts such wheels into its cache, which is marked as one."""
    is_in_cache = any((parent / "CACHEDIR.TAG").exists() for parent in directory.absolute().parents)
    if is_in_cache and here != Path(os.environ.get("PWD", "")):
        reason = f"{here} is built to be installed, and may be a dependency"
        raise ConfigError(reason, origin=f"-C {_SWITCH}", hint=_OF_ITSELF)


def _identity(project: Path) -> tuple[Any, ...] | None:
    """Return what stays the same in an sdist's pyproject.toml: pdm-backend writes it anew, with the version that it has found."""
    try:
        said = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    metadata = said.get("project")
    return said.get("build-system"), said.get("tool"), metadata.get("name") if isinstance(metadata, dict) else None


def _by_hand(said: Mapping[str, str], settings: config.Settings) -> tuple[str, ...]:
    flags = {key: said[key] for key in ("config", "repository") if key in said}
    if said.keys() & {"existing", "replace", "skip_existing"}:
        flags["existing"] = settings.existing.value
    return ("pypi-private", "upload", *(f"--{key}={text}" for key, text in flags.items()))


@contextmanager
def _logged() -> Iterator[None]:
    """Show the warnings that we log, one line each, and nothing else of what is logged.

    A backend inside may show every logger (setuptools does), and boto3 logs tokens.
    """
    ours, root, handler = logging.getLogger(__package__), logging.getLogger(), logging.StreamHandler()
    handler.setFormatter(surface.OneLine("%(levelname)s: %(message)s"))
    level, propagate = root.level, ours.propagate
    ours.addHandler(handler)
    ours.propagate = False
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(level)
        ours.propagate = propagate
        ours.removeHandler(handler)
