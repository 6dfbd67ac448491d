"""Gzipped tar archives, read strictly.

:mod:`tarfile` takes a damaged header for the end of the archive, and passes in silence over what follows, in the tar archive or
after it.
"""

from __future__ import annotations

import io
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO

from .archive import (
    GZIP,
    MAX_HEADER,
    PIECE,
    Kind,
    Member,
    Unsound,
    check_many,
    check_members,
    check_unpacked,
    inflated,
    shown,
    unwatched,
)


def walk_targz(file: BinaryIO, sent: Callable[[int], object] = unwatched) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Read a gzipped tar archive (pax, GNU or older) once, from its first byte to its last: each member, and its bytes in pieces.

    Nothing is known to be sound before the last member was taken.

    :param file: opened for reading; stays the caller's.
    :param sent: is told of its bytes as they are read.
    :raises Unsound: the archive is damaged, not safe to unpack, or larger than allowed.
    :raises tarfile.TarError: the archive is damaged.
    """
    stream = _Gunzipped(file, sent)
    members, letters = [], 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8", errors="surrogateescape") as archive:
        while isinstance(header := archive.next(), _Header):
            member = _tar_member(header)
            members.append(member)
            letters += len(member.name) + len(member.target)
            check_many(len(members), letters)
            stream.allow(member.size)
            body = _body(archive, header)
            yield member, body
            deque(body, maxlen=0)  # what the caller left
            archive.members.clear()  # type: ignore[attr-defined]  # kept for random access only
        stream.allow(0)
        _check_rest(archive)
    check_members(members)


class _Gunzipped(io.RawIOBase):
    """What a gzip file unpacks to, to be read forward once and no further than allowed.

    A second gzip member is refused as data after the end: readers differ in whether they see it.
    """

    def __init__(self, file: BinaryIO, sent: Callable[[int], object]) -> None:
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._pieces = inflated(_packed(file, sent), GZIP)
        self._piece, self._at = b"", 0
        self._read = 0
        self.allow(0)

    def allow(self, size: int) -> None:
        """Let *size* bytes be read, and as many more as may stand before the next member."""
        check_unpacked(self._read + size, self._size)
        self._allowed = self._read + size + MAX_HEADER

    def read(self, size: int = -1) -> bytes:
        if self._at == len(self._piece):
            self._piece, self._at = next(filter(None, self._pieces), b""), 0
        piece = self._piece[self._at : self._at + size]
        self._at += len(piece)
        self._read += len(piece)
        if self._read > self._allowed:
            raise Unsound(f"there are more than {MAX_HEADER >> 20} MiB in it that belong to no member")
        return piece


def _packed(file: BinaryIO, sent: Callable[[int], object]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        sent(len(piece))
        yield piece


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
        raise Unsound(f"member {shown(header.name)} is a device, a pipe or something else that no sdist holds")
    if header.size < 0 or (header.size and kind is not Kind.FILE) or header.size != header.said <= _MAX_OCTAL:
        raise Unsound(f"the headers of member {shown(header.name)} contradict each other")
    return Member(header.name, kind, header.size, header.linkname)


def _body(archive: tarfile.TarFile, header: tarfile.TarInfo) -> Iterator[bytes]:
    if file := archive.extractfile(header) if header.isreg() else None:
        yield from iter(lambda: file.read(PIECE), b"")


def _check_rest(archive: tarfile.TarFile) -> None:
    """After the end mark there are zeros to the end, at most; reading them checks the last of the gzip file, too."""
    while piece := archive.fileobj.read(PIECE):
        if any(piece):
            raise Unsound("there is data after its end")
