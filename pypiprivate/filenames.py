"""What the names of release files, projects and versions mean.

Stricter than :mod:`packaging.utils` where that lets pass what no index should offer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from .errors import ConfigError


class Identity(NamedTuple):
    """What the name of a release file parses to: two spellings of one name are one file.

    :ivar kind: ``.whl``, or the format of an sdist.
    :ivar tags: of a wheel, expanded and in lower case.
    """

    project: NormalizedName
    version: Version
    kind: str
    build: BuildTag = ()
    tags: frozenset[str] = frozenset()


#: Formats of sdists, the longest first, so that `.tar.gz` is not taken for `.gz`. Only the first two are published (PEP 625 and
#: its past); an older index may hold the others.
SDIST_KINDS = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tar", ".tgz", ".tbz")
# No file system takes longer names, and what a name parses to may grow faster than it: tags multiply.
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}\Z")
_WHEEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._]*[A-Za-z0-9])?\Z")
_WHEEL_TAG = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\Z")
# So short a name is no longer than a file system takes, also with other tags.
_SHORT = 240
#: Names as tools write them today: one dash only before the version, normalised.
_TODAY = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*-([a-z0-9.!+]+)(?:\.tar\.gz|-[^-]+-[^-]+-[^-]+\.whl)\Z")
_PROJECT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


def is_normalized(name: str) -> bool:
    """Tell whether *name* is a normalised project name (PEP 503), and so may be a directory of the index."""
    return bool(_PROJECT.match(name))


@lru_cache(maxsize=1 << 12)  # of one file it is asked several times
def parse_filename(filename: str, project: str | None = None) -> Identity:
    """Parse the name of a wheel (binary distribution format) or an sdist (PEP 625, and the names from before it).

    Stricter than :mod:`packaging.utils`, which lets pass non-ASCII letters, blanks and empty names.

    :param project: normalised name of the project that it should be a file of, if known. The older names of sdists have dashes in
        name and version alike: ``foo-1.0-1.tar.gz`` is foo 1.0.post1 or foo-1-0 1.
    :raises ValueError: it is no such name; the text says why.
    """
    if not _FILENAME.match(filename):
        raise ValueError("a file name has at most 255 ASCII letters, digits and . _ - + ! and begins with a letter or digit")
    if filename.endswith(".whl"):
        return _parse_wheel(filename)
    for kind in SDIST_KINDS:
        if filename.endswith(kind):
            return _parse_sdist(filename.removesuffix(kind), kind, project)
    raise ValueError("the name is neither that of a wheel (.whl) nor of an sdist (.tar.gz)")


def version_in(filename: str, project: str) -> Version | None:
    """Return the version that a release file's name says; None where it says none. The tags of a wheel may be any.

    The same as :func:`parse_filename` finds, and much cheaper where names are as they should be: an index has many.

    :param project: normalised name of the project.
    """
    match = _TODAY.match(filename)
    if match and len(filename) <= _SHORT:
        return _version(match[1])
    if filename.endswith(".whl"):  # tags are dear to parse, and say nothing of it
        filename = f"{filename.rsplit('-', 3)[0]}-py3-none-any.whl"
    try:
        return parse_filename(filename, project).version
    except ValueError:
        return None


@lru_cache(maxsize=1 << 14)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:
        return None


def _parse_wheel(filename: str) -> Identity:
    try:
        project, version, build, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise ValueError(f"the name is not that of a wheel ({error})") from error
    parts = filename.removesuffix(".whl").split("-")
    if not _WHEEL_NAME.match(parts[0]) or not all(_WHEEL_TAG.match(tag) for tag in parts[-3:]) or parts[-1].endswith(".whl"):
        raise ValueError("the name is not that of a wheel (NAME-VERSION-PYTHON-ABI-PLATFORM.whl)")
    return Identity(project, version, ".whl", build, frozenset(str(tag) for tag in tags))


def _parse_sdist(stem: str, kind: str, project: str | None) -> Identity:
    meanings = splits(stem)
    for name, version in meanings:
        if name == project:
            return Identity(name, version, kind)
    if not meanings:
        raise ValueError("the name is not that of an sdist (NAME-VERSION.tar.gz)")
    return Identity(*meanings[0], kind)


def splits(stem: str) -> list[tuple[NormalizedName, Version]]:
    """Return each project and version that ``NAME-VERSION`` may mean, the shortest version first."""
    found = []
    for at in (at for at in reversed(range(1, len(stem))) if stem[at] == "-"):
        name = canonicalize_name(stem[:at])
        with suppress(ValueError):  # also what int() has against too many digits
            found += [(name, Version(stem[at + 1 :]))] if is_normalized(name) else []
    return found


def parse_version(version: str) -> Version:
    """Parse a version that a user wrote (PEP 440).

    :raises ConfigError: it is none.
    """
    try:
        return Version(version)
    except ValueError as error:
        raise ConfigError(
            f"{version!r:.99} is no version (PEP 440)", hint="Versions look like 1.0, 2.1rc1 or 1.0.post1."
        ) from error
