"""The build backend that does the building: setuptools, or the one that ``[tool.pypiprivate]`` of pyproject.toml names.

Imported by every hook of every build, also of those that publish nothing: only the standard library, and little of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_DEFAULT = "setuptools.build_meta"
_TABLE = "pyproject.toml [tool.pypiprivate]"


@cache
def backend(project: Path) -> Any:
    """Return the build backend of a project: a module, or an object in one (PEP 517).

    :param project: the directory of the source tree, with its pyproject.toml: the current one while a hook runs.
    :raises ConfigError: it is misnamed, cannot be imported, is no build backend, or is this wrapper again.
    """
    table = _table(project)
    name = table.get("build-backend", _DEFAULT)
    if not isinstance(name, str) or name.partition(":")[0] in ("", "pypiprivate.build_meta"):
        raise ConfigError(
            f"build-backend cannot be {name!r}",
            origin=_TABLE,
            hint='It names the backend that builds, as build-backend = "hatchling.build".',
        )
    # As a front end does for the backend that it calls itself.
    sys.path[:0] = _paths(project, table.get("backend-path", []))
    return _imported(name)


def _table(project: Path) -> Mapping[str, Any]:
    table: Any = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    for key in ("tool", "pypiprivate"):
        table = table.get(key, {})
        if not isinstance(table, Mapping):
            hint = "Write [tool.pypiprivate] and below it key = value."
            raise ConfigError(f"{key} is no table", origin="pyproject.toml", hint=hint)
    return {key.replace("_", "-"): value for key, value in table.items()}


def _paths(project: Path, said: Any) -> list[str]:
    if not isinstance(said, list) or not all(isinstance(path, str) for path in said):
        raise ConfigError("backend-path is no list of strings", origin=_TABLE, hint='Write backend-path = ["."].')
    paths = [(project / path).resolve() for path in said]
    outside = [path for path in paths if not path.is_relative_to(project.resolve())]
    if outside:
        raise ConfigError(f"backend-path leads out of the project, to {outside[0]}", origin=_TABLE)
    return [str(path) for path in paths]


def _imported(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in filter(None, path.split(".")):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        hint = "Name what it is part of in requires of [build-system], beside pypiprivate; an in-tree one needs backend-path."
        raise ConfigError(f"the build backend {name} cannot be imported: {error}", origin=_TABLE, hint=hint) from error
    missing = [hook for hook in ("build_sdist", "build_wheel") if not hasattr(found, hook)]
    if missing:
        hint = "Take its name from its own manual, as setuptools.build_meta, hatchling.build or flit_core.buildapi."
        raise ConfigError(f"{name} is no build backend: it has no {missing[0]}", origin=_TABLE, hint=hint)
    return found
