"""Core metadata as wheels and sdists have it, as far as an index needs it."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from .archive import Unsound, shown
from .readme import Description

#: Letters of Requires-Python, which every page repeats; real ones have some twenty.
MAX_SPECIFIER = 1000


class CoreMetadata(NamedTuple):
    """What an index looks at (core metadata specification).

    :ivar metadata_version: major and minor.
    :ivar requires_python: runs of white space collapsed; None where there is none.
    :ivar strange: a line among the headers is none, which ends them.
    :ivar description: the long one, None where there is none.
    """

    project: NormalizedName
    version: Version
    metadata_version: tuple[int, int]
    requires_python: str | None
    license_files: Sequence[str]
    strange: bool
    description: Description | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is no reason to refuse it."""
        told = []
        if self.metadata_version not in _KNOWN:
            told.append(
                "its Metadata-Version {}.{} is not known here: newer fields were not checked".format(*self.metadata_version)
            )
        if self.strange:
            told.append("its metadata has a line that is no header, and headers after it do not count")
        return tuple(told)

    def missing_licenses(self, names: Container[str], folder: str) -> tuple[str, ...]:
        """Warn of what a License-File names and *names* lack. Before 2.4 (PEP 639) each tool had its own idea of its folder."""
        missing = [file for file in self.license_files if f"{folder}/{file}" not in names]
        return tuple(f"its License-File {shown(file)} is not in it" for file in missing if self.metadata_version >= (2, 4))


#: 2.0 was never finished and is in use.
_KNOWN = {(1, 0), (1, 1), (1, 2), *((2, minor) for minor in range(7))}


def read_core(body: bytes, source: str) -> CoreMetadata:
    """Read core metadata 1.x or 2.x.

    :param source: the name of the file, for messages.
    :raises Unsound: it is not UTF-8, lacks what it must have or has it twice, or a version or a specifier in it is none.
    """
    headers = read_headers(body, source)
    name, version = one(headers, "Name", source), one(headers, "Version", source)
    try:
        release = canonicalize_name(name), Version(version)
    except ValueError as error:
        raise Unsound(f"its {source} has the version {shown(version)}, which is none (PEP 440)") from error
    metadata_version = _metadata_version(one(headers, "Metadata-Version", source))
    return CoreMetadata(
        *release,
        metadata_version,
        _requires_python(headers),
        headers.get_all("License-File", []),
        bool(headers.defects),
        _description(headers, body.decode("utf-8")),
    )


def read_headers(body: bytes, source: str) -> Message:
    """Read what has the form of an e-mail, in UTF-8. Headers only: a Content-Type among them is not to split the description.

    :raises Unsound: it is not UTF-8, or has a NUL.
    """
    try:
        headers = HeaderParser().parsestr(_head(body.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise Unsound(f"its {source} is not UTF-8") from error
    if any("\0" in value for value in headers.values()):
        raise Unsound(f"its {source} has a NUL in a header")
    return headers


#: An empty line, and the end of the one before it.
_EMPTY_LINE = re.compile(r"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r|\n)")


def _head(text: str) -> str:
    """All up to the first empty line: the description behind it is most of the text, and would be taken apart line by line."""
    empty = _EMPTY_LINE.search(text)
    return text[: empty.end()] if empty else text


def one(headers: Message, name: str, source: str) -> str:
    """Return the value of a header.

    :raises Unsound: it is not there, or more than once.
    """
    values = headers.get_all(name, [])
    if len(values) != 1:
        raise Unsound(f"its {source} has {len(values)} headers {name} instead of one")
    return str(values[0]).strip()


def _metadata_version(text: str) -> tuple[int, int]:
    if not (match := re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})", text)):
        raise Unsound(f"its Metadata-Version is none: {shown(text)}")
    major, minor = map(int, match.groups())
    if not 1 <= major <= 2:
        raise Unsound(f"its Metadata-Version {text} is not known here")
    return major, minor


def _requires_python(headers: Message) -> str | None:
    if "Requires-Python" not in headers:
        return None
    text = " ".join(one(headers, "Requires-Python", "metadata").split())
    if len(text) > MAX_SPECIFIER:
        raise Unsound(f"its Requires-Python is longer than {MAX_SPECIFIER} letters")
    try:
        SpecifierSet(text)
    except ValueError as error:
        raise Unsound(f"its Requires-Python is no version specifier: {shown(text)}") from error
    return text or None


def _description(headers: Message, text: str) -> Description | None:
    """From the body (2.1), else from the header, whose lines are indented: by seven blanks and a bar, or by eight blanks."""
    text = text[len(_head(text)) :] or re.sub(r"(?m)^( {7}\||        )", "", str(headers.get("Description", "")))
    is_said = text.strip() not in ("", "UNKNOWN")
    return Description(text, str(headers.get("Description-Content-Type", ""))) if is_said else None
