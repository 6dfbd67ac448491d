"""The build backend ``pypiprivate.build_meta`` (PEP 517, PEP 660): builds as another one does, and publishes if asked to.

``python -m build -C publish_private=yes`` publishes what it builds; without that setting on the invocation nothing here does
anything but call the backend inside. Front ends run each hook in a process of its own, so what publishing needs is imported
only when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import PypiPrivateError

if TYPE_CHECKING:
    from .invocation import Publication

__all__ = ["build_sdist", "build_wheel", "prepare_metadata_for_build_wheel"]

#: What a front end hands over: ``None`` or a mapping; its values depend on the front end.
ConfigSettings: TypeAlias = Mapping[str, Any] | None

_PREPARE = "prepare_metadata_for_build_wheel"
#: What our settings might be called, squeezed.
_OURS = ("publishprivate", "pypiprivate")


def build_sdist(sdist_directory: str, config_settings: ConfigSettings = None) -> str:
    """Build an sdist, and publish it if *config_settings* say so.

    :param sdist_directory: where it goes.
    :param config_settings: those of this invocation; the backend inside never sees ours.
    :return: its file name.
    :raises SystemExit: something that a user can cause, in one sentence; before the build wherever it is known before.
    """
    return _build(sdist_directory, config_settings, lambda theirs: _inner().build_sdist(sdist_directory, theirs))


def build_wheel(wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None) -> str:
    """Build a wheel, and publish it if *config_settings* say so. Arguments, result and errors are as of :func:`build_sdist`.

    :param metadata_directory: what :func:`prepare_metadata_for_build_wheel` made before.
    """
    if not hasattr(_inner(), _PREPARE):
        metadata_directory = None  # it was made by us, and means nothing to the backend inside
    return _build(
        wheel_directory, config_settings, lambda theirs: _inner().build_wheel(wheel_directory, theirs, metadata_directory)
    )


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: ConfigSettings = None) -> str:
    """Make the wheel's ``.dist-info`` directory. Never publishes.

    The one optional hook that is always there: for lack of it front ends would call :func:`build_wheel` only to read metadata,
    with the setting that publishes, even in a dry run of theirs.

    :return: the name of the directory within *metadata_directory*.
    """
    theirs = _without_ours(config_settings)
    if hook := getattr(_inner(), _PREPARE, None):
        return str(hook(metadata_directory, theirs))
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        return _unpacked_metadata(Path(directory, _inner().build_wheel(directory, theirs)), metadata_directory)


def __getattr__(name: str) -> Any:
    """Offer the other hooks of the backend inside, exactly where it has them (PEP 517: a hook is looked up by its name)."""
    wrap = _PASSED_ON.get(name)
    found = getattr(_inner(), name, None) if wrap else None
    if wrap is None or found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, nor has the build backend inside, if it was asked")
    return wrap(found)


def _requirements(hook: Callable[..., Any]) -> Callable[..., Any]:
    def get_requires(config_settings: ConfigSettings = None) -> Any:
        return hook(_without_ours(config_settings))

    return get_requires


def _metadata(hook: Callable[..., Any]) -> Callable[..., Any]:
    def prepare_metadata(metadata_directory: str, config_settings: ConfigSettings = None) -> Any:
        return hook(metadata_directory, _without_ours(config_settings))

    return prepare_metadata


def _editable(hook: Callable[..., Any]) -> Callable[..., Any]:
    def build_editable(
        wheel_directory: str, config_settings: ConfigSettings = None, metadata_directory: str | None = None
    ) -> Any:
        theirs = _without_ours(config_settings)
        if theirs != config_settings:
            from . import invocation

            invocation.announce("an editable install has nothing to publish, so nothing is published")
        return hook(wheel_directory, theirs, metadata_directory)

    return build_editable


_PASSED_ON: dict[str, Callable[[Any], Any]] = {
    "get_requires_for_build_sdist": _requirements,
    "get_requires_for_build_wheel": _requirements,
    "get_requires_for_build_editable": _requirements,
    "prepare_metadata_for_build_editable": _metadata,
    "build_editable": _editable,
    "UnsupportedOperation": lambda exception: exception,  # a front end catches the backend's own
}


def _build(directory: str, config_settings: ConfigSettings, build: Callable[[ConfigSettings], Any]) -> str:
    publication = _asked(config_settings, Path(directory))
    filename = str(build(_without_ours(config_settings)))
    if publication:
        publication.publish(Path(directory, filename))
    return filename


def _asked(config_settings: ConfigSettings, directory: Path) -> Publication | None:
    ours = {key: value for key, value in (config_settings or {}).items() if _is_ours(key)}
    if not ours:
        return None
    with _in_one_sentence():
        from . import invocation

        return invocation.read(ours, directory)


def _without_ours(config_settings: ConfigSettings) -> ConfigSettings:
    """Return the settings of the backend inside: some refuse what they do not know."""
    if config_settings is None:
        return None
    return {key: value for key, value in config_settings.items() if not _is_ours(key)}


def _is_ours(key: str) -> bool:
    """Tell what is meant for us, misspelt or not: a backend that ignores unknown settings would let a publish be forgotten."""
    from difflib import get_close_matches

    whole, first = _squeezed(key), _squeezed(key.partition(".")[0])
    return any(name in whole for name in _OURS) or bool(get_close_matches(first, _OURS, 1, cutoff=0.8))


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _inner() -> Any:
    from . import inner

    with _in_one_sentence():
        return inner.backend(Path.cwd())


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Let an error end the hook's process with its sentence, and no traceback."""
    try:
        yield
    except PypiPrivateError as error:
        raise SystemExit("\n".join(filter(None, (f"error: {error}", error.hint)))) from error
    except ImportError as error:
        raise SystemExit(f"error: publish_private cannot run: {error}\nInstall what it needs: pip install pypiprivate") from error


def _unpacked_metadata(wheel: Path, directory: str) -> str:
    from zipfile import ZipFile

    with ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if re.match(r"[^/]+\.dist-info/", name)]
        archive.extractall(directory, members)
    return members[0].partition("/")[0]
