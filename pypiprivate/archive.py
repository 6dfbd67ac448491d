"""Zip and gzipped tar archives, read strictly: every byte has its place, or the archive is refused.

Two readers of one archive must never see two different contents. :mod:`zipfile` and :mod:`tarfile` pass in silence over data
before, between and after the members, names cut at NUL, duplicate members and headers that contradict each other, and what they
let pass differs between versions of Python. Bytes come in pieces of at most :data:`PIECE`, and no more than was declared.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import tarfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import dropwhile, pairwise
from typing import Any, BinaryIO

#: Bytes in memory at a time.
PIECE = 1 << 20
#: The most members; the largest of 960 wheels has 16,235.
MAX_MEMBERS = 200_000
#: Bytes that the names and other particulars of all members may take together: 160 for each of the most members.
MAX_DIRECTORY = 32 << 20
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


class ZipArchive:
    """A zip archive (PKWARE's APPNOTE 6.3) of stored and deflated files, as wheels are.

    Its frame is checked at once: members, central directory and end record lie side by side from first byte to last, and agree.

    :param file: opened for reading; stays the caller's.
    :raises Unsound: the frame or a member's name is not sound, or there is more in it than allowed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        start, end, count = self._find_directory()
        entries = sorted(self._read_directory(start, end, count), key=lambda entry: entry.offset)
        _check_members([entry.member for entry in entries])
        _check_unpacked(sum(entry.member.size for entry in entries), self._size)
        borders = [*(entry.offset for entry in entries), start]
        if borders[0] != 0:
            raise Unsound("there is data before its first member")
        self._entries = {e.member.name: (e, self._find_data(e, until)) for e, until in zip(entries, borders[1:], strict=True)}

    @property
    def members(self) -> tuple[Member, ...]:
        """Every member, in the order in which they lie."""
        return tuple(entry.member for entry, _ in self._entries.values())

    def read(self, name: str) -> Iterator[bytes]:
        """Unpack a member in pieces.

        :raises KeyError: there is none of this name.
        :raises Unsound: the member is damaged; this may be known with the last piece only.
        """
        entry, start = self._entries[name]
        packed = self._pieces(start, entry.packed)
        return _checked(entry, _inflated(packed, _RAW) if entry.method == _DEFLATED else packed)

    def walk(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Unpack every member, as :func:`walk_targz` does."""
        for member in self.members:
            yield member, self.read(member.name)

    def _find_directory(self) -> tuple[int, int, int]:
        """Return where the central directory starts and ends, and how many members it has."""
        at = self._find_end()
        _, disk, first_disk, here, count, length, start, _ = self._unpack(_END, at)
        if disk or first_disk or here != count:
            raise Unsound("it is one part of a zip archive in several")
        if at >= _LOCATOR.size and self._read(at - _LOCATOR.size, 4) == b"PK\6\7":
            at, count, length, start = self._find_directory64(at - _LOCATOR.size, (count, length, start))
        if start + length != at:
            raise Unsound("there is data in it that belongs to no member, or it is cut short")
        _check_many(count, length)
        return start, at, count

    def _find_end(self) -> int:
        """The end record is the last thing in the file, but for a comment whose length it tells."""
        tail_at = max(0, self._size - _END.size - 0xFFFF)
        tail = self._read(tail_at, self._size - tail_at)
        at = tail.rfind(b"PK\5\6")
        if at < 0:
            raise Unsound("it is no zip archive, or cut short")
        if at + _END.size + self._unpack(_END, tail_at + at)[-1] != len(tail):
            raise Unsound("there is data after its end")
        return tail_at + at

    def _find_directory64(self, locator_at: int, narrow: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """The same from the larger record, which must say the same wherever the smaller one could."""
        _, disk, at, _ = self._unpack(_LOCATOR, locator_at)
        sign, size, _, _, here_disk, first_disk, here, count, length, start = self._unpack(_END64, at)
        agrees = all(small in (wide, top) for small, wide, top in zip(narrow, (count, length, start), _TOPS, strict=True))
        if sign != b"PK\6\6" or at + 12 + size != locator_at or disk or here_disk or first_disk or here != count or not agrees:
            raise Unsound("its two end records contradict each other")
        return at, count, length, start

    def _read_directory(self, at: int, end: int, count: int) -> Iterator[_Entry]:
        for _ in range(count):
            sign, *_, flags, method, _, _, crc, packed, size, named, more, comment, _, _, mode, offset = self._unpack(
                _CENTRAL, at
            )
            raw, extra = self._read(at + _CENTRAL.size, named), self._read(at + _CENTRAL.size + named, more)
            at += _CENTRAL.size + named + more + comment
            if sign != b"PK\1\2" or at > end:
                raise Unsound("its central directory is damaged")
            size, packed, offset = _wide((size, packed, offset), extra)
            member = _zip_member(raw, flags, size, mode >> 16)
            yield _Entry(member, raw, flags, method, crc, packed, offset, _extra_field(extra, _UNICODE_NAME)[5:])
        if at != end:
            raise Unsound("its central directory holds more than it counts")

    def _find_data(self, entry: _Entry, until: int) -> int:
        """Return where a member's bytes start: after a header that agrees with the directory. They end right before *until*."""
        if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
            raise Unsound(f"member {entry.member.name!r} is encrypted, or packed otherwise than by deflate")
        sign, _, flags, method, _, _, crc, packed, size, named, more = self._unpack(_LOCAL, entry.offset)
        name_at = entry.offset + _LOCAL.size
        raw, extra = self._read(name_at, named), self._read(name_at + named, more)
        size, packed = _wide((size, packed), extra)
        sums = (crc, packed, size) if (crc, packed, size) != (0, 0, 0) or not flags & _STREAMED else entry.sums
        unicode_names = {entry.unicode_name, _extra_field(extra, _UNICODE_NAME)[5:], b"", entry.raw}
        if (sign, raw, flags, method, sums) != (b"PK\3\4", entry.raw, entry.flags, entry.method, entry.sums) or len(
            unicode_names
        ) > 2:
            raise Unsound(f"the headers of member {entry.member.name!r} contradict each other")
        start: int = name_at + named + more
        self._check_descriptor(entry, start + entry.packed, until)
        return start

    def _check_descriptor(self, entry: _Entry, at: int, until: int) -> None:
        """After a member that was written as a stream, its checksum and sizes stand again, in one of four forms; else nothing."""
        layout = _DESCRIPTORS.get(until - at) if entry.flags & _STREAMED else None
        if (self._unpack(layout, at) != entry.sums) if layout else (at != until or entry.flags & _STREAMED):
            raise Unsound(f"member {entry.member.name!r} overlaps what follows, or there is data between them")

    def _pieces(self, start: int, size: int) -> Iterator[bytes]:
        for at in range(start, start + size, PIECE):
            yield self._read(at, min(PIECE, start + size - at))

    def _unpack(self, layout: struct.Struct, at: int) -> tuple[Any, ...]:
        return layout.unpack(self._read(at, layout.size))

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(min(at, self._size))
        data = self._file.read(size)
        if len(data) != size:
            raise Unsound("it is cut short")
        return data


_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
#: Tags of extra fields: larger sizes, and Info-ZIP's other name.
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_DESCRIPTORS = {n: struct.Struct(f) for n, f in ((12, "<3L"), (16, "<4x3L"), (20, "<LQQ"), (24, "<4xLQQ"))}
#: What a narrow count, length or offset says when it stands in the wide record.
_TOPS = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
_STORED, _DEFLATED = 0, 8
#: Flags: encryption, patch data, strong encryption, masked headers; sizes after the data; names in UTF-8.
_ENCRYPTED, _STREAMED, _UTF8 = 0x2061, 0x8, 0x800
#: For :func:`zlib.decompressobj`: bare deflate, or the whole of gzip with its checksum.
_RAW, _GZIP = -15, 31


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the central directory says of a member: ``packed`` bytes, ``offset`` of its local header."""

    member: Member
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    offset: int
    unicode_name: bytes

    @property
    def sums(self) -> tuple[int, int, int]:
        return self.crc, self.packed, self.member.size


def _zip_member(raw: bytes, flags: int, size: int, mode: int) -> Member:
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError as error:
        raise Unsound(f"the name of member {raw!r} is not UTF-8") from error
    kind = Kind.DIRECTORY if name.endswith("/") else Kind.FILE
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR) or (size and kind is Kind.DIRECTORY):
        raise Unsound(f"member {name!r} is neither file nor folder")
    return Member(name.removesuffix("/"), kind, size)


def _wide(narrow: Sequence[int], extra: bytes) -> Iterator[int]:
    """Yield each size or offset, from the zip64 extra field where it says that it does not fit."""
    field, used = _extra_field(extra, _ZIP64), 0
    for value in narrow:
        if value == 0xFFFFFFFF and used + 8 <= len(field):
            yield int.from_bytes(field[used : used + 8], "little")
            used += 8
        else:
            yield value


def _extra_field(extra: bytes, wanted: int) -> bytes:
    found, at = [b""], 0
    while at + _EXTRA.size <= len(extra):
        tag, size = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + size
        if tag == wanted:
            found.append(extra[at - size : at])
    if at > len(extra) or len(found) > 2:
        raise Unsound("an extra field of a member is damaged")
    return found[-1]


def _checked(entry: _Entry, pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = crc = 0
    for piece in pieces:
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        if size > entry.member.size:
            break
        yield piece
    if (size, crc) != (entry.member.size, entry.crc):
        raise Unsound(f"member {entry.member.name!r} is damaged: it has another size or checksum than it says")


def _inflated(packed: Iterable[bytes], form: int) -> Iterator[bytes]:
    """Unpack what must end exactly where its packed bytes end."""
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


def walk_targz(file: BinaryIO) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Read a gzipped tar archive (pax, GNU or older) once, from its first byte to its last: each member, and its bytes in pieces.

    Nothing is known to be sound before the last member was taken.

    :param file: opened for reading; stays the caller's.
    :raises Unsound: the archive is damaged, not safe to unpack, or larger than allowed.
    :raises tarfile.TarError: the archive is damaged.
    """
    stream = _Gunzipped(file)
    members, letters = [], 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8", errors="surrogateescape") as archive:
        while isinstance(header := archive.next(), _Header):
            member = _tar_member(header)
            members.append(member)
            letters += len(member.name) + len(member.target)
            _check_many(len(members), letters)
            stream.allow(member.size)
            body = _body(archive, header)
            yield member, body
            deque(body, maxlen=0)  # what the caller left
            archive.members.clear()  # type: ignore[attr-defined]  # kept for random access only
        stream.allow(0)
        _check_rest(archive)
    _check_members(members)


class _Gunzipped(io.RawIOBase):
    """What a gzip file unpacks to, to be read forward once and no further than allowed.

    A second gzip member is refused as data after the end: readers differ in whether they see it.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._pieces = _inflated(iter(lambda: file.read(PIECE), b""), _GZIP)
        self._piece, self._at = b"", 0
        self._read = 0
        self._limit = _most_unpacked(size)
        self.allow(0)

    def allow(self, size: int) -> None:
        """Let *size* bytes be read, and as many more as may stand before the next member."""
        self._allowed = self._read + size + MAX_HEADER
        if self._allowed > self._limit + MAX_HEADER:
            raise Unsound(_TOO_LARGE)

    def read(self, size: int = -1) -> bytes:
        if self._at == len(self._piece):
            self._piece, self._at = next(filter(None, self._pieces), b""), 0
        piece = self._piece[self._at : self._at + size]
        self._at += len(piece)
        self._read += len(piece)
        if self._read > self._allowed:
            raise Unsound(f"there are more than {MAX_HEADER >> 20} MiB in it that belong to no member")
        return piece


class _Header(tarfile.TarInfo):
    """A header of a tar archive. tarfile takes a damaged one for the end of the archive."""

    said = 0

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        if len(buf) == tarfile.BLOCKSIZE and not any(buf):
            return super().frombuf(buf, encoding, errors)  # the end mark
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise Unsound(f"it is damaged or cut short ({error})") from error
        header.said = header.size
        return header


_TAR_KINDS = {
    **dict.fromkeys(tarfile.REGULAR_TYPES, Kind.FILE),
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARDLINK,
}
#: The most that the size field of a tar header holds; a pax header may say more.
_MAX_OCTAL = 8**11 - 1


def _tar_member(header: _Header) -> Member:
    kind = _TAR_KINDS.get(header.type)
    if kind is None or header.issparse():
        raise Unsound(f"member {header.name!r} is a device, a pipe or something else that no sdist holds")
    if header.size < 0 or (header.size and kind is not Kind.FILE) or header.size != header.said <= _MAX_OCTAL:
        raise Unsound(f"the headers of member {header.name!r} contradict each other")
    return Member(header.name, kind, header.size, header.linkname)


def _body(archive: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    if file := archive.extractfile(header) if header.isreg() else None:
        yield from iter(lambda: file.read(PIECE), b"")


def _check_rest(archive: tarfile.TarFile) -> None:
    """After the end mark there are zeros to the end, at most; reading them checks the last of the gzip file, too."""
    while piece := archive.fileobj.read(PIECE):
        if any(piece):
            raise Unsound("there is data after its end")


def _check_many(members: int, letters: int) -> None:
    if members > MAX_MEMBERS or letters > MAX_DIRECTORY:
        raise Unsound(f"it has more than {MAX_MEMBERS:,} members, or more than {MAX_DIRECTORY >> 20} MiB of names")


_TOO_LARGE = f"it unpacks to more than {MAX_RATIO} times its size, or to more than {MAX_UNPACKED >> 30} GiB"


def _check_unpacked(unpacked: int, packed: int) -> None:
    if unpacked > _most_unpacked(packed):
        raise Unsound(_TOO_LARGE)


def _most_unpacked(packed: int) -> int:
    return min(MAX_UNPACKED, max(UNPACKED_ALWAYS, packed * MAX_RATIO))


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def _check_members(members: Sequence[Member]) -> None:
    """Refuse what does not unpack to one tree, the same everywhere and nothing outside of it."""
    for member in members:
        if reason := _unsafe(member.name):
            raise Unsound(f"member {member.name!r} {reason}")
    # Sorted with a slash at its end, a name stands right before an equal one and before those under it.
    for one, other in pairwise(sorted(members, key=lambda member: member.name + "/")):
        within = f"{other.name}/".startswith(f"{one.name}/")
        if within and not (one.kind is Kind.DIRECTORY and (one.name != other.name or other.kind is Kind.DIRECTORY)):
            raise Unsound(f"member {one.name!r} is there twice, or both a file and a folder")
    _check_links(members)


def _unsafe(path: str) -> str | None:
    """Say what is wrong with a relative path, if anything."""
    if _CONTROL.search(path):
        return "has a control character in its name"
    if "\\" in path:
        return "has a backslash in its name"
    if path.startswith("/") or _DRIVE.match(path):
        return "has an absolute name"
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        return "has '..', '.' or nothing for a folder in its name"
    return None


def _check_links(members: Sequence[Member]) -> None:
    """A link stays under the folder that all is in. A hard link is to a file before it."""
    files = set()
    for member in members:
        if member.kind is Kind.SYMLINK and not _stays_inside(member):
            raise Unsound(f"link {member.name!r} leaves the archive: {member.target!r}")
        if member.kind is Kind.HARDLINK and member.target not in files:
            raise Unsound(f"link {member.name!r} is to no file before it: {member.target!r}")
        if member.kind in (Kind.FILE, Kind.HARDLINK):
            files.add(member.name)


def _stays_inside(link: Member) -> bool:
    """Steps up come first in its target, and leave the top folder above it: later ones may start behind another link."""
    steps = link.target.removesuffix("/").split("/")
    down = [step for step in dropwhile(lambda step: step in (".", ".."), steps) if step != "."]
    up = sum(step == ".." for step in steps[: len(steps) - len(down)])
    return not (down and _unsafe("/".join(down))) and up < link.name.count("/") and bool(link.target)
