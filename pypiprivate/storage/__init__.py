"""Where repositories lie: the backends, built in or plugged in by the entry-point group ``pypiprivate.storage``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import entry_points

from ..errors import ConfigError
from . import local, s3
from .base import Backend, Entry, Option, Stat, Storage, Stored

__all__ = ["Backend", "Entry", "Option", "Stat", "Storage", "Stored", "backends", "find_backend", "open_storage"]

_GROUP = "pypiprivate.storage"
_BUILT_IN = {backend.type: backend for backend in (local.BACKEND, s3.BACKEND)}


def backends() -> dict[str, Backend]:
    """Return every backend by its type: those of installed plug-ins that load, and the built-in ones."""
    found = dict(_BUILT_IN)
    for type_ in entry_points(group=_GROUP).names - _BUILT_IN.keys():
        # A plug-in that is broken hurts those who name it, and nobody else.
        with suppress(ConfigError):
            found[type_] = _load(type_)
    return found


def find_backend(type_: str) -> Backend:
    """Return the backend that ``type = `` *type_* chooses.

    :raises ConfigError: there is none of that name, or its plug-in does not load.
    """
    return _BUILT_IN.get(type_) or _load(type_)


def open_storage(type_: str, options: Mapping[str, str]) -> Storage:
    """Open the repository that *options* describe on the backend *type_*.

    :param options: values by option name, checked by :mod:`pypiprivate.config`.
    :raises ConfigError: no such backend, or something that it needs is missing.
    """
    return find_backend(type_).open(options)


def _load(type_: str) -> Backend:
    for entry in entry_points(group=_GROUP, name=type_):
        try:
            backend = entry.load()
        except Exception as error:
            raise ConfigError(f"the storage plug-in {type_!r} ({entry.value}) does not load: {error}") from error
        if isinstance(backend, Backend):
            return backend
        raise ConfigError(f"the storage plug-in {type_!r} ({entry.value}) is no pypiprivate.storage.Backend")
    known = sorted({*_BUILT_IN, *entry_points(group=_GROUP).names})
    near = get_close_matches(type_, known, 1)
    hint = f"Did you mean {near[0]}?" if near else "Another one may be a plug-in that is not installed."
    raise ConfigError(f"there is no storage type {type_!r}; known are: {', '.join(known)}", hint=hint)
