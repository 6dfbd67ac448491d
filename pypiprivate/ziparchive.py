"""Zip archives, read strictly.

:mod:`zipfile` passes in silence over data before, between and after the members, names cut at NUL, duplicate and overlapping
members and headers that contradict each other, and what it lets pass differs between versions of Python.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from .archive import PIECE, RAW, Kind, Member, Unsound, check_many, check_members, check_unpacked, inflated, shown, unwatched


class ZipArchive:
    """A zip archive (PKWARE's APPNOTE 6.3) of stored and deflated files, as wheels are.

    Its frame is checked at once: members, central directory and end record lie side by side from first byte to last, and agree.

    :param file: opened for reading; stays the caller's.
    :ivar members: in the order in which they lie.
    :raises Unsound: the frame or a member's name is not sound, or there is more in it than allowed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        start, end, count = self._find_directory()
        entries = sorted(self._read_directory(start, end, count), key=lambda entry: entry.offset)
        self.members = tuple(entry.member for entry in entries)
        check_members(self.members)
        check_unpacked(sum(member.size for member in self.members), self._size)
        borders = [*(entry.offset for entry in entries), start]
        if borders[0] != 0:
            raise Unsound("there is data before its first member")
        self._entries = {e.member.name: (e, self._find_data(e, until)) for e, until in zip(entries, borders[1:], strict=True)}

    def read(self, name: str, sent: Callable[[int], object] = unwatched) -> Iterator[bytes]:
        """Unpack a member in pieces.

        :param sent: is told of its packed bytes as they are read.
        :raises KeyError: there is none of this name.
        :raises Unsound: the member is damaged; this may be known with the last piece only.
        """
        entry, start = self._entries[name]
        packed = self._pieces(start, entry.packed, sent)
        return _checked(entry, inflated(packed, RAW) if entry.method == _DEFLATED else packed)

    def walk(self, sent: Callable[[int], object] = unwatched) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Unpack every member, as :func:`walk_targz` does."""
        for member in self.members:
            yield member, self.read(member.name, sent)

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
        check_many(count, length)
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
        """In one piece, which is no larger than allowed: a wheel may have thousands of members."""
        directory, at = self._read(at, end - at), 0
        for _ in range(count):
            if at + _CENTRAL.size > len(directory):
                raise Unsound("it is cut short")
            fields = _CENTRAL.unpack_from(directory, at)
            sign, _, _, flags, method, _, _, crc, packed, size, named, more, comment, _, _, mode, offset = fields
            named_at, at = at + _CENTRAL.size, at + _CENTRAL.size + named + more + comment
            raw, extra = directory[named_at : named_at + named], directory[named_at + named : named_at + named + more]
            if sign != b"PK\1\2" or at > len(directory):
                raise Unsound("its central directory is damaged")
            size, packed, offset = _wide((size, packed, offset), extra)
            member = _zip_member(raw, flags, size, mode >> 16)
            yield _Entry(member, raw, flags, method, crc, packed, offset, _extra_field(extra, _UNICODE_NAME)[5:])
        if at != len(directory):
            raise Unsound("its central directory holds more than it counts")

    def _find_data(self, entry: _Entry, until: int) -> int:
        """Return where a member's bytes start: after a header that agrees with the directory. They end right before *until*."""
        if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
            raise Unsound(f"member {shown(entry.member.name)} is encrypted, or packed otherwise than by deflate")
        header = self._read(entry.offset, _LOCAL.size + len(entry.raw))
        sign, _, flags, method, _, _, crc, packed, size, named, more = _LOCAL.unpack_from(header)
        raw, extra_at = header[_LOCAL.size :], entry.offset + _LOCAL.size + named
        extra = self._read(extra_at, more) if more else b""
        size, packed = _wide((size, packed), extra)
        # Written as a stream, it had no sums yet.
        sums = entry.sums if flags & _STREAMED and (crc, packed, size) == (0, 0, 0) else (crc, packed, size)
        same = (sign, named, raw, flags, method, sums)
        agrees = same == (b"PK\3\4", len(raw), entry.raw, entry.flags, entry.method, entry.sums)
        other_names = {entry.unicode_name, _extra_field(extra, _UNICODE_NAME)[5:]} - {b"", raw}
        if not agrees or other_names:
            raise Unsound(f"the headers of member {shown(entry.member.name)} contradict each other")
        start: int = extra_at + more
        self._check_descriptor(entry, start + entry.packed, until)
        return start

    def _check_descriptor(self, entry: _Entry, at: int, until: int) -> None:
        """After a member that was written as a stream, its checksum and sizes stand again, in one of four forms; else nothing."""
        layout = _DESCRIPTORS.get(until - at) if entry.flags & _STREAMED else None
        if (self._unpack(layout, at) != entry.sums) if layout else (at != until or entry.flags & _STREAMED):
            raise Unsound(f"member {shown(entry.member.name)} overlaps what follows, or there is data between them")

    def _pieces(self, start: int, size: int, sent: Callable[[int], object]) -> Iterator[bytes]:
        for at in range(start, start + size, PIECE):
            piece = self._read(at, min(PIECE, start + size - at))
            sent(len(piece))
            yield piece

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
_TOP = 0xFFFFFFFF
_TOPS = (0xFFFF, _TOP, _TOP)
_STORED, _DEFLATED = 0, 8
#: Flags: encryption, patch data, strong encryption, masked headers; sizes after the data; names in UTF-8.
_ENCRYPTED, _STREAMED, _UTF8 = 0x2061, 0x8, 0x800


class _Entry(NamedTuple):
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
        raise Unsound(f"the name of member {shown(raw)} is not UTF-8") from error
    kind = Kind.DIRECTORY if name.endswith("/") else Kind.FILE
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR) or (size and kind is Kind.DIRECTORY):
        raise Unsound(f"member {shown(name)} is neither file nor folder")
    return Member(name.removesuffix("/"), kind, size)


def _wide(narrow: tuple[int, ...], extra: bytes) -> Sequence[int]:
    """Return each size or offset, from the zip64 extra field where it says that it does not fit."""
    field = _extra_field(extra, _ZIP64)
    if _TOP not in narrow:
        return narrow
    wide = iter([int.from_bytes(field[at : at + 8], "little") for at in range(0, len(field) - 7, 8)])
    return [next(wide, value) if value == _TOP else value for value in narrow]


def _extra_field(extra: bytes, wanted: int) -> bytes:
    if not extra:
        return b""
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
        raise Unsound(f"member {shown(entry.member.name)} is damaged: it has another size or checksum than it says")
