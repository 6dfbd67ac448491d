"""What stands where: flags, environment, setup.cfg, pyproject.toml and the user's file, each value with who said it.

Nothing is judged here but what makes a file unreadable; :mod:`pypiprivate.config` decides what holds.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from .errors import ConfigError
from .storage import Option, backends

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

#: The user's file where nothing names another.
USER_FILE = "~/.pypi-private.cfg"
#: Keys of every repository, whatever its storage.
OF_REPOSITORY = frozenset({"type", "index_url", "existing", "skip_existing", "replace"})
#: Keys that are paths of this machine.
_PATHS = frozenset({"config", "dist_dir"})
#: Keys of a project and of the command line.
OF_PROJECT = OF_REPOSITORY | _PATHS | {"repository"}
#: Names that nobody gives to anything but a secret.
SECRET = re.compile(
    r"secret|passw|passphrase|pwd|token|credential|(access|api|private|account|shared)_?key|conn(ection)?_str", re.IGNORECASE
)

_OF_WRAPPER = frozenset({"build_backend", "backend_path"})  # in [tool.pypiprivate]; the PEP 517 wrapper reads them itself
_INI = "It is an INI file: a [section] on a line of its own, and below it lines with key = value."


@dataclass(frozen=True)
class Value:
    """What one place says of one key.

    :ivar text: as it is meant: interpolated, without comment and surrounding white space; never empty.
    :ivar origin: the file and section, flag or variable that says it, for messages.
    :ivar directory: what a relative path is relative to; None: it is gone when the command ends.
    :ivar needed: False where the key need not be one of ours: it came from ``[DEFAULT]``, or serves its neighbours' ``%(…)s``.
    """

    text: str = field(repr=False)
    origin: str
    directory: Path | None
    needed: bool = True

    def wrong(self, reason: str, hint: str = "") -> ConfigError:
        """Return the error that this value is."""
        return ConfigError(reason, origin=self.origin, hint=hint)

    def path(self) -> Path:
        """Return the absolute path that it says, ``~`` expanded.

        :raises ConfigError: it is none on this system.
        """
        try:
            path = Path(self.text).expanduser()
        except RuntimeError as error:
            raise self.wrong(f"whose home directory is meant by {self.text} is not known") from error
        if "\0" in self.text or (PureWindowsPath(path).drive and not path.is_absolute()):
            raise self.wrong(f"{self.text} is no path on this system")
        if self.directory is None and not path.is_absolute():
            hint = (
                "Write an absolute path, or build both in the project: python -m build --sdist --wheel. A sdist published "
                "before this stays, and one that is built again has other bytes: add -C publish_private.existing=keep."
            )
            raise self.wrong(
                f"{self.text} is relative, and this build runs in a temporary directory, in the unpacked sdist", hint
            )
        try:
            return (self.directory or Path()).joinpath(path).absolute()
        except FileNotFoundError as error:
            raise self.wrong("the current directory is gone, and the path begins there", "Change to one that exists.") from error


#: All that one place says, by underscored key.
Source = Mapping[str, Value]


@dataclass(frozen=True)
class UserFile:
    """The user's own file: one section for each repository, and ``[storage]``, whose ``type`` names the default one.

    :ivar name: as the user would write its path.
    :ivar directory: where it lies.
    :ivar parser: its sections as they stand; each is looked at only when it is used.
    :ivar environ: serves ``%(NAME)s`` in it; empty unless environment interpolation was asked for.
    """

    name: str
    directory: Path
    parser: configparser.RawConfigParser
    environ: Mapping[str, str] = field(repr=False)

    @property
    def repositories(self) -> list[str]:
        """The names that can be used as ``repository``."""
        return [name for name in self.parser.sections() if name != "storage"]

    def section(self, name: str) -> Source:
        """Return what the section *name* says; nothing where there is none.

        :raises ConfigError: a value does not interpolate, or one key is said twice.
        """
        return _ini_section(self.parser, name, Value("", f"{self.name} [{name}]", self.directory), self.environ)


def read_flags(flags: Mapping[str, str | None], flag: str, here: Path | None, project: Path) -> Source:
    """Return what the command line says.

    :param flags: values by key, dashed or underscored; None is "not said".
    :param flag: how a flag is written in messages, with ``{}`` for its dashed key.
    :param here: what paths are relative to; None: no relative path means anything.
    :param project: what ``dist_dir`` is relative to.
    :raises ConfigError: a value is blank: a script's variable was empty, and the next source is not what it meant.
    """
    said: dict[str, Value] = {}
    for key, text in flags.items():
        if text is not None:
            value = Value(text.strip(), flag.format(key.replace("_", "-")), project if underscored(key) == "dist_dir" else here)
            if not value.text:
                raise value.wrong("the value is empty", "Give one, or leave the option out.")
            _add(said, key, value)
    return said


def read_environment(environ: Mapping[str, str], here: Path | None) -> Source:
    """Return what ``PP_REPOSITORY`` and ``PP_CONFIG`` say; no other variable is a setting.

    :param here: what paths are relative to; None: no relative path means anything.
    """
    variables = {"repository": "PP_REPOSITORY", "config": "PP_CONFIG"}
    texts = {key: environ.get(name, "").strip() for key, name in variables.items()}  # a CI's variable may end in a newline
    return {key: Value(text, variables[key], here) for key, text in texts.items() if text}


def read_project(directory: Path, base: Path | None) -> Source:
    """Return what the project says, in setup.cfg and pyproject.toml together; nothing where neither speaks of us.

    :param directory: where the two files lie; either may be missing.
    :param base: what paths in them are relative to; None: no relative path means anything.
    :raises ConfigError: a file cannot be read or parsed, two places contradict each other, or a section is misnamed.
    """
    said: dict[str, Value] = {}
    for key, value in (*_setup_cfg(directory, base), *_pyproject_toml(directory, base)):
        _add(said, key, value)
    return said


def read_user_file(config: Value | None, environ: Mapping[str, str]) -> UserFile | None:
    """Return the user's file, or None where it is the default one and does not exist.

    :param config: the path of another file, which then must exist.
    :param environ: serves ``%(NAME)s`` in it; pass an empty mapping for none.
    :raises ConfigError: it cannot be read, or is no INI file.
    """
    named = config or Value(USER_FILE, USER_FILE, Path())
    path = named.path()
    text = _read(path, named.text)
    if text is not None:
        return UserFile(named.text, path.parent, _parsed(text, named.text), environ)
    if config:
        raise config.wrong(f"there is no file {path}", "Name a file that exists, or leave this out.")
    return None


def underscored(key: str) -> str:
    """Return the one spelling of a key that may be dashed."""
    return key.replace("-", "_")


def declared_options() -> list[Option]:
    """Return the options of every backend."""
    return [option for backend in backends().values() for option in backend.options]


def _setup_cfg(directory: Path, base: Path | None) -> Iterator[tuple[str, Value]]:
    name = str(directory / "setup.cfg")
    parser = _parsed(_read(directory / "setup.cfg", name) or "", name)
    for section in parser.sections():
        if section != "publish_private" and _squeezed(section) in _MISNAMED:
            raise ConfigError(f"the section [{section}] must be written [publish_private]", origin=name)
    yield from _ini_section(parser, "publish_private", Value("", f"{name} [publish_private]", base), {}).items()


#: How the section might be called in setup.cfg by someone who knows pyproject.toml's.
_MISNAMED = frozenset({"publishprivate", "pypiprivate", "toolpypiprivate", "toolpublishprivate", "tooldistutilspublishprivate"})


def _pyproject_toml(directory: Path, base: Path | None) -> Iterator[tuple[str, Value]]:
    name = str(directory / "pyproject.toml")
    tools = _table(_toml(directory / "pyproject.toml", name), "tool", name)
    for misnamed in sorted(tools.keys() - {"pypiprivate"}):
        if _squeezed(misnamed) in {"pypiprivate", "publishprivate"}:
            raise ConfigError(f"the table [tool.{misnamed}] must be written [tool.pypiprivate]", origin=name)
    place = Value("", f"{name} [tool.pypiprivate]", base)
    ours = _table(tools, "pypiprivate", name)
    yield from _toml_values({key: said for key, said in ours.items() if underscored(key) not in _OF_WRAPPER}, place)
    distutils = _table(tools, "distutils", name)
    for table in ("publish_private", "publish-private"):  # setuptools takes both
        yield from _toml_values(_table(distutils, table, name), Value("", f"{name} [tool.distutils.{table}]", base))


def _toml(path: Path, name: str) -> Mapping[str, object]:
    try:
        return dict(tomllib.loads(_read(path, name) or ""))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"this is no TOML: {error}", origin=name) from error


def _table(parent: Mapping[str, object], key: str, name: str) -> Mapping[str, object]:
    table = parent.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{key} is no table", origin=name, hint="Write [tool.pypiprivate] and below it key = value.")
    return table


def _toml_values(table: Mapping[str, object], place: Value) -> Iterator[tuple[str, Value]]:
    for key, said in table.items():
        text = _toml_text(said)
        if text is None:
            raise place.wrong(f"{key} must be a string, a boolean or an integer")
        if text.strip():
            yield key, Value(text.strip(), place.origin, place.directory)


def _toml_text(said: object) -> str | None:
    if isinstance(said, bool):
        return "yes" if said else "no"
    return str(said) if isinstance(said, str | int) else None


def _ini_section(parser: configparser.RawConfigParser, section: str, place: Value, environ: Mapping[str, str]) -> Source:
    written = dict(parser.items(section)) if parser.has_section(section) else {}
    inherited = {key for key in written if parser.defaults().get(key) == written[key]}
    raw = {key: _uncommented(key, text) for key, text in written.items()}
    # The environment serves names and never becomes a key; its own % means itself.
    served = {parser.optionxform(name): text.replace("%", "%%") for name, text in environ.items()}
    names = {**served, **{underscored(key): text for key, text in raw.items()}, **raw}
    helpers = {underscored(name.lower()) for text in raw.values() for name in re.findall(r"%\(([^)]+)\)s", text)}
    said: dict[str, Value] = {}
    for key in sorted(raw, key=inherited.__contains__):  # the section's own first
        if key in inherited and (underscored(key) in said or not _known_to_anyone(underscored(key))):
            continue
        meant = _interpolated(parser, section, key, names, place)
        if re.fullmatch(r"([\"']).*\1", meant):
            raise place.wrong(f"{key} is in quotes, and here they would be part of the value", "Remove them.")
        if meant:
            needed = key not in inherited and underscored(key) not in helpers
            _add(said, key, Value(meant, place.origin, place.directory, needed))
    return said


def _uncommented(key: str, text: str) -> str:
    """Cut a comment behind a value of one word; a path may contain anything, and keeps it."""
    match = re.fullmatch(r"([^\s\"']+)\s+[;#].*", text)
    paths = {*_PATHS, *(option.name for option in declared_options() if option.path)} if match else _PATHS
    return match[1] if match and underscored(key) not in paths else text


def _known_to_anyone(key: str) -> bool:
    return key in OF_PROJECT or bool(SECRET.search(key)) or key in {option.name for option in declared_options()}


def _interpolated(parser: configparser.RawConfigParser, section: str, key: str, names: Mapping[str, str], place: Value) -> str:
    try:
        return configparser.BasicInterpolation().before_get(parser, section, key, names[key], names).strip()
    except configparser.InterpolationMissingOptionError as error:
        hint = "With -i the environment serves such names in the user's file, if the variable is set; a plain % is written %%."
        raise place.wrong(f"{key} refers to %({error.reference})s, and the section has no such key", hint) from error
    except configparser.InterpolationDepthError as error:
        raise place.wrong(f"{key} refers to itself", "Break the circle of %(…)s.") from error
    except configparser.InterpolationError as error:
        raise place.wrong(f"{key} has a % that begins nothing", "A plain % is written %%.") from error


def _add(said: dict[str, Value], key: str, value: Value) -> None:
    other = said.setdefault(underscored(key), value)
    if other.text != value.text:
        places = "twice, dashed and underscored" if other.origin == value.origin else f"differently in {other.origin}"
        raise value.wrong(f"{underscored(key)} is said {places}", "Keep one of the two.")


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _read(path: Path, name: str) -> str | None:
    """Return the text of the file, or None where there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):  # HOME=/dev/null is no directory
        return None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", origin=name) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"line {line} is not UTF-8", origin=name, hint="Save the file as UTF-8.") from error


def _parsed(text: str, name: str) -> configparser.RawConfigParser:
    """Parse INI. The errors of configparser quote the line, which may hold a secret: ours only number it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.DuplicateSectionError as error:
        raise ConfigError(f"line {error.lineno} opens [{error.section}] a second time", origin=name) from error
    except configparser.DuplicateOptionError as error:
        raise ConfigError(f"line {error.lineno} says {error.option} of [{error.section}] a second time", origin=name) from error
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError(f"line {error.lineno} stands before the first [section]", origin=name, hint=_INI) from error
    except configparser.ParsingError as error:
        reason = f"line {error.errors[0][0]} is neither a [section] nor key = value"
        raise ConfigError(reason, origin=name, hint=_INI) from error
    return parser
