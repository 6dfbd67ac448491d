"""What zip and tar archives have in common, and what is refused in both.

Two readers of one archive must never see two different contents, so every byte has its place, or the archive is refused. Bytes
come in pieces of at most :data:`PIECE`, and no more than were declared.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import dropwhile, pairwise

#: Bytes in memory at a time.
PIECE = 1 << 20
#: The most members; the largest of 960 wheels has 16,235.
MAX_MEMBERS = 200_000
#: Bytes that the names and other particulars of all members may take together: 160 for each of the most members.
MAX_DIRECTORY = 32 << 20
#: Letters between two slashes of a name.
MAX_STEP = 255
#: Bytes that may stand before a member of a tar archive: long names and extended headers.
MAX_HEADER = 1 << 20
#: Unpacked bytes that any archive may have, because they are a second's work ...
UNPACKED_ALWAYS = 256 << 20
#: ... else the most for each packed one (the largest total seen is 18, though single members go past 1,000) ...
MAX_RATIO = 100
#: ... and never more than this, which leaves a wheel of 4 GiB 16 for each packed one.
MAX_UNPACKED = 64 << 30


class Unsound(ValueError):
    """An archive, or what it holds, cannot be trusted; the text says why."""


class Kind(Enum):
    """What a member is; devices, pipes and all else are refused."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"


def unwatched(_count: int) -> None:
    """Take no notice of bytes that are read."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    :ivar name: without a slash at its end.
    :ivar size: bytes when unpacked; 0 unless it is a file.
    :ivar target: of a link.
    """

    name: str
    kind: Kind
    size: int = 0
    target: str = ""


#: For :func:`zlib.decompressobj`: bare deflate, or the whole of gzip with its checksum.
RAW, GZIP = -15, 31


def shown(text: str | bytes) -> str:
    """Return a name that a stranger chose as a message may show it: quoted, and not endless."""
    return repr(text if len(text) < 100 else text[:100]) + ("…" if len(text) > 100 else "")


def inflated(packed: Iterable[bytes], form: int) -> Iterator[bytes]:
    """Unpack what must end exactly where its packed bytes end.

    :param packed: in pieces.
    :param form: :data:`RAW` or :data:`GZIP`.
    :raises Unsound: it ends before or after them.
    :raises zlib.error: it is damaged.
    """
    inflater = zlib.decompressobj(form)
    for piece in packed:
        rest = piece
        while rest:
            if inflater.eof:
                raise Unsound("there is data after the end of what is compressed")
            yield inflater.decompress(rest, PIECE)
            rest = inflater.unconsumed_tail or inflater.unused_data
    while not inflater.eof:
        last = inflater.decompress(b"", PIECE)
        if not last and not inflater.eof:
            raise Unsound("it is cut short: what is compressed does not end")
        yield last


def check_many(members: int, letters: int) -> None:
    """Refuse more members, or more letters or bytes in their names, than allowed."""
    if members > MAX_MEMBERS or letters > MAX_DIRECTORY:
        raise Unsound(f"it has more than {MAX_MEMBERS:,} members, or more than {MAX_DIRECTORY >> 20} MiB of names")


def check_unpacked(unpacked: int, packed: int) -> None:
    """Refuse an archive of *packed* bytes that has more than allowed when unpacked."""
    if unpacked > _most_unpacked(packed):
        small, most = UNPACKED_ALWAYS >> 20, MAX_UNPACKED >> 30
        raise Unsound(f"it unpacks to more than is allowed ({small} MiB, or {MAX_RATIO} times its size up to {most} GiB)")


def _most_unpacked(packed: int) -> int:
    return min(MAX_UNPACKED, max(UNPACKED_ALWAYS, packed * MAX_RATIO))


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def check_members(members: Sequence[Member]) -> None:
    """Refuse members that do not unpack to one tree, the same everywhere and nothing outside of it."""
    for member in members:
        if reason := _unsafe(member.name):
            raise Unsound(f"member {shown(member.name)} {reason}")
    # Sorted with a slash at its end, a name stands right before an equal one and before those under it.
    for one, other in pairwise(sorted(members, key=lambda member: member.name + "/")):
        within = f"{other.name}/".startswith(f"{one.name}/")
        if within and not (one.kind is Kind.DIRECTORY and (one.name != other.name or other.kind is Kind.DIRECTORY)):
            raise Unsound(f"member {shown(one.name)} is there twice, or both a file and a folder")
    _check_links(members)


def _unsafe(path: str) -> str | None:
    """Say what is wrong with a relative path, if anything."""
    if _CONTROL.search(path):
        return "has a control character in its name"
    if "\\" in path:
        return "has a backslash in its name"
    if path.startswith("/") or _DRIVE.match(path):
        return "has an absolute name"
    steps = path.split("/")
    if not {"", ".", ".."}.isdisjoint(steps):
        return "has '..', '.' or nothing for a folder in its name"
    if max(map(len, steps)) > MAX_STEP:
        return "has a longer name than file systems take"
    return None


def _check_links(members: Sequence[Member]) -> None:
    """A link stays under the folder that all is in. A hard link is to a file before it."""
    files = set()
    for member in members:
        if member.kind is Kind.SYMLINK and not _stays_inside(member):
            raise Unsound(f"link {shown(member.name)} leaves the archive: {shown(member.target)}")
        if member.kind is Kind.HARDLINK and member.target not in files:
            raise Unsound(f"link {shown(member.name)} is to no file before it: {shown(member.target)}")
        if member.kind in (Kind.FILE, Kind.HARDLINK):
            files.add(member.name)


def _stays_inside(link: Member) -> bool:
    """Steps up come first in its target, and leave the top folder above it: later ones may start behind another link."""
    steps = link.target.removesuffix("/").split("/")
    down = [step for step in dropwhile(lambda step: step in (".", ".."), steps) if step != "."]
    up = sum(step == ".." for step in steps[: len(steps) - len(down)])
    return not (down and _unsafe("/".join(down))) and up < link.name.count("/") and bool(link.target)
