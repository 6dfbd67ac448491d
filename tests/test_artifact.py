"""What is published was read to the last byte; what is not sound is refused by name and reason; what real artifacts do passes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import Version

from pypiprivate import archive
from pypiprivate.artifact import Artifact, read, read_published, select
from pypiprivate.errors import ArtifactError, ConfigError, NoArtifacts, printable
from pypiprivate.metadata import read_headers
from tests.builders import core_metadata, make_sdist, make_wheel, record_of, wheel_files, write_targz, write_zip

INFO = "demo-1.0.dist-info"
WHEEL = "demo-1.0-py3-none-any.whl"
SDIST = "demo-1.0.tar.gz"


def refusal(path: Path) -> str:
    """Return why *path* is refused, after checking that it is told as one sentence that names the file."""
    with pytest.raises(ArtifactError) as caught:
        read(path)
    error = caught.value
    assert error.filename == path.name
    assert str(error) == printable(f"{path}: {error.reason}")
    assert "\n" not in str(error)
    assert len(error.reason) < 400
    return error.reason


def test_a_wheel_is_described_by_its_name_its_bytes_and_its_metadata(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "Demo.Project", "1.0", requires_python=">=3.8", build="2local", tags="py2.py3-none-any")
    artifact = read(path)
    assert (artifact.project, artifact.version) == ("demo-project", Version("1.0"))
    assert artifact.identity.build == (2, "local")
    assert artifact.identity.tags == {"py2-none-any", "py3-none-any"}
    assert artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert artifact.size == path.stat().st_size
    assert artifact.requires_python == ">=3.8"
    assert artifact.metadata == core_metadata("Demo.Project", "1.0", requires_python=">=3.8")
    assert (artifact.path, artifact.filename, artifact.warnings) == (path, path.name, ())


def test_an_sdist_is_described_alike_and_has_no_sidecar(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, "demo", "1!2.0+local.1", requires_python="!=3.9.*,>=3.8")
    artifact = read(path)
    assert (artifact.filename, artifact.project, artifact.version) == (
        "demo-1!2.0+local.1.tar.gz",
        "demo",
        Version("1!2.0+local.1"),
    )
    assert artifact.requires_python == "!=3.9.*,>=3.8"
    assert (artifact.metadata, artifact.warnings) == (None, ())


def test_requires_python_is_the_text_with_runs_of_white_space_collapsed(tmp_path: Path) -> None:
    assert read(make_wheel(tmp_path, requires_python="  >=3.8,\n   <4 ")).requires_python == ">=3.8, <4"


def test_an_empty_requires_python_is_none(tmp_path: Path) -> None:
    assert read(make_wheel(tmp_path, requires_python="")).requires_python is None


def test_metadata_is_kept_byte_for_byte(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\r\nName: demo\r\nVersion: 1.0\r\nAuthor: Zoë\r\n\r\n<script>\r\n".encode()
    assert read(make_wheel(tmp_path, files={f"{INFO}/METADATA": metadata})).metadata == metadata


def test_a_link_to_an_artifact_is_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    link = tmp_path / "dist" / WHEEL
    link.symlink_to(make_wheel(tmp_path))
    assert read(link).project == "demo"


# ------------------------------------------------------------------- what real artifacts do and passes

NAMES = [
    ("Foo_Bar", "foo-bar", "Foo_Bar-1.0.tar.gz", "Foo_Bar-1.0"),
    ("foo.bar", "foo-bar", "foo.bar-1.0.tar.gz", "foo.bar-1.0"),
    ("foo-bar", "foo-bar", "foo-bar-1.0.tar.gz", "foo-bar-1.0"),
    ("A--b__c", "a-b-c", "A--b__c-1.0.tar.gz", "A--b__c-1.0"),
    ("foo-bar", "foo-bar", "foo_bar-1.0.0.tar.gz", "foo-bar-1.0"),
]


@pytest.mark.parametrize(("name", "project", "filename", "top"), NAMES, ids=str)
def test_names_are_compared_normalised(tmp_path: Path, name: str, project: str, filename: str, top: str) -> None:
    path = write_targz(tmp_path / filename, {f"{top}/PKG-INFO": core_metadata(name, "1.0")})
    assert (read(path).project, read(path).version) == (project, Version("1.0"))


@pytest.mark.parametrize(("version", "read_as"), [("1.0.post1", ("foo", "1.0.post1")), ("1", ("foo-1-0", "1"))])
def test_the_metadata_decides_how_an_old_sdist_name_is_split(tmp_path: Path, version: str, read_as: tuple[str, str]) -> None:
    members = {"foo-1.0-1/PKG-INFO": core_metadata("foo-1.0" if version == "1" else "foo", version)}
    artifact = read(write_targz(tmp_path / "foo-1.0-1.tar.gz", members))
    assert (artifact.project, artifact.version) == (read_as[0], Version(read_as[1]))


def test_a_zip_sdist_is_accepted_with_a_warning(tmp_path: Path) -> None:
    artifact = read(make_sdist(tmp_path, format=".zip", requires_python=">=3.8"))
    assert (artifact.project, artifact.requires_python, artifact.identity.kind) == ("demo", ">=3.8", ".zip")
    assert ".zip" in artifact.warnings[0]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"])
def test_every_finished_metadata_version_passes_without_a_warning(tmp_path: Path, version: str) -> None:
    assert read(make_wheel(tmp_path, headers={"Metadata-Version": version})).warnings == ()


WARNED: list[tuple[str, dict[str, str], str]] = [
    ("an unknown minor metadata version", {"Metadata-Version": "2.99"}, "Metadata-Version 2.99"),
    ("a missing licence file", {"Metadata-Version": "2.4", "License-File": "LICENSE"}, "License-File 'LICENSE'"),
]


@pytest.mark.parametrize(("headers", "warning"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_warned_of(tmp_path: Path, make: Callable[..., Path], headers: dict[str, str], warning: str) -> None:
    (told,) = read(make(tmp_path, headers=headers)).warnings
    assert warning in told


def test_a_licence_file_that_is_there_or_older_than_its_rule_is_not_warned_of(tmp_path: Path) -> None:
    there = {"Metadata-Version": "2.4", "License-File": "LICENSE"}
    assert read(make_wheel(tmp_path, headers=there, files={f"{INFO}/licenses/LICENSE": b"MIT"})).warnings == ()
    assert read(make_sdist(tmp_path, headers=there, files={"LICENSE": b"MIT"})).warnings == ()
    assert read(make_wheel(tmp_path, headers={"Metadata-Version": "2.1", "License-File": "LICENSE"})).warnings == ()


def test_a_line_among_the_headers_that_is_none_is_warned_of_because_it_ends_them(tmp_path: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nLicense: first\nsecond line\nRequires-Python: >=3.8\n\n"
    artifact = read(make_wheel(tmp_path, files={f"{INFO}/METADATA": metadata}))
    assert artifact.requires_python is None
    assert artifact.warnings == ("its metadata has a line that is no header, and headers after it do not count",)


@pytest.mark.parametrize("tag", ["py3", "", "-".join([".".join(map(str, range(50_000)))] * 3)], ids=["short", "empty", "bomb"])
def test_tags_that_are_none_are_warned_of(tmp_path: Path, tag: str) -> None:
    wheel = f"Wheel-Version: 1.0\nTag: {tag}\n".encode()
    assert read(make_wheel(tmp_path, files={f"{INFO}/WHEEL": wheel})).warnings == (
        "the tags in its WHEEL and in its name differ",
    )


def test_tags_in_the_wheel_file_that_are_not_those_of_the_name_are_warned_of(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, filename="demo-1.0-py2-none-any.whl")
    assert read(path).warnings == ("the tags in its WHEEL and in its name differ",)


@pytest.mark.parametrize("beyond", [0, 1, 100, 300])
def test_a_member_may_end_anywhere_near_the_end_of_a_piece(tmp_path: Path, beyond: int) -> None:
    files = {"demo/zeros": bytes(archive.PIECE + beyond)}
    assert read(make_wheel(tmp_path, files=files)).warnings == ()
    assert read(make_sdist(tmp_path, files=files)).warnings == ()


def wheel_with(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write *members* and a RECORD that is right for them."""
    return write_zip(path / WHEEL, {**members, f"{INFO}/RECORD": record_of(members, f"{INFO}/RECORD")})


def plain() -> dict[str, bytes]:
    members = wheel_files("demo", "1.0")
    del members[f"{INFO}/RECORD"]
    return members


def test_folders_vendored_metadata_and_signatures_are_no_reason_to_refuse(tmp_path: Path) -> None:
    members = plain() | {"demo/": b"", "demo/_vendor/six-1.0.dist-info/METADATA": b"Name: six\n"}
    record = record_of(members, f"{INFO}/RECORD") + b"demo/elsewhere/,,\n\n"
    signed = {f"{INFO}/RECORD": record, f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b"."}
    assert read(write_zip(tmp_path / WHEEL, members | signed)).warnings == ()


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_hashes_of_sha256_and_better_count(tmp_path: Path, algorithm: str) -> None:
    assert read(write_zip(tmp_path / WHEEL, {**plain(), f"{INFO}/RECORD": hashed(plain(), algorithm)})).warnings == ()


def hashed(members: Mapping[str, bytes], algorithm: str) -> bytes:
    """Return a RECORD with other hashes, padded and without sizes, as some tools write them."""
    digest = {name: urlsafe(hashlib.new(algorithm, body).digest()) for name, body in members.items()}
    return "".join(f"{name},{algorithm}={value},\r\n" for name, value in digest.items()).encode() + f"{INFO}/RECORD,,\n".encode()


def urlsafe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode()


def test_names_with_commas_blanks_and_other_alphabets_pass(tmp_path: Path) -> None:
    members = plain() | {"demo/a, b.txt": b"1", "demo/größe €.txt": b"2", 'demo/"quoted".txt': b"3"}
    rows = record_of(plain(), f"{INFO}/RECORD").decode()
    for name in ("demo/a, b.txt", "demo/größe €.txt", 'demo/"quoted".txt'):
        digest = urlsafe(hashlib.sha256(members[name]).digest())
        rows += f'"{name.replace(chr(34), chr(34) * 2)}",sha256={digest},1\n'
    assert read(write_zip(tmp_path / WHEEL, {**members, f"{INFO}/RECORD": rows.encode()})).warnings == ()


def test_a_single_member_may_be_packed_a_thousandfold(tmp_path: Path) -> None:
    assert read(make_wheel(tmp_path, files={"demo/zeros": bytes(8 << 20)})).size < 50_000
    assert read(make_sdist(tmp_path, files={"zeros": bytes(8 << 20)})).size < 50_000


# -------------------------------------------------------------------------------- zip archives by hand

CENTRAL = (
    "made",
    "need",
    "flags",
    "method",
    "time",
    "date",
    "crc",
    "packed",
    "size",
    "named",
    "more",
    "comment",
    "disk",
    "inner",
)
CENTRAL_FIELDS = (*CENTRAL, "mode", "offset")
LOCAL_FIELDS = ("need", "flags", "method", "time", "date", "crc", "packed", "size", "named", "more")
END_FIELDS = ("disk", "first_disk", "here", "count", "length", "start", "comment")


@dataclass
class Part:
    """A member as it is written, with fields of its two headers overridden."""

    name: bytes
    body: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    local: Mapping[str, int] = field(default_factory=dict)
    central: Mapping[str, int] = field(default_factory=dict)
    packed: bytes | None = None
    after: bytes = b""
    shared_with_first: bool = False


def zipped(
    parts: Sequence[Part], *, before: bytes = b"", gap: bytes = b"", comment: bytes = b"", after: bytes = b"", **end: int
) -> bytes:
    """Return a zip archive. *end* overrides fields of its end record; with ``wide`` it has a zip64 one, too."""
    out, directory, wide = bytearray(before), bytearray(), end.pop("wide", None)
    for part in parts:
        offset = len(before) if part.shared_with_first else len(out)
        body = part.packed if part.packed is not None else deflated(part.body) if part.method == 8 else part.body
        values = dict.fromkeys(CENTRAL_FIELDS, 0) | {"flags": part.flags, "method": part.method, "crc": zlib.crc32(part.body)}
        values |= {
            "packed": len(body),
            "size": len(part.body),
            "named": len(part.name),
            "mode": part.mode << 16,
            "offset": offset,
        }
        local_name = part.name if part.local_name is None else part.local_name
        local = values | {"named": len(local_name), "more": len(part.local_extra)} | dict(part.local)
        central = values | {"more": len(part.extra)} | dict(part.central)
        if not part.shared_with_first:
            out += b"PK\3\4" + struct.pack("<5H3L2H", *(local[name] for name in LOCAL_FIELDS)) + local_name + part.local_extra
            out += body + part.after
        directory += b"PK\1\2" + struct.pack("<6H3L5H2L", *(central[name] for name in CENTRAL_FIELDS)) + part.name + part.extra
    out += gap
    last = {"count": len(parts), "here": len(parts), "length": len(directory), "start": len(out), "comment": len(comment)}
    out += directory
    if wide is not None:
        start = len(out)
        out += b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, len(parts), len(parts) + wide, len(directory), last["start"])
        out += b"PK\6\7" + struct.pack("<LQL", 0, start, 1)
    values = dict.fromkeys(END_FIELDS, 0) | last | end
    return bytes(out + b"PK\5\6" + struct.pack("<4H2LH", *(values[name] for name in END_FIELDS)) + comment + after)


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def parts(extra: Mapping[str, bytes] | None = None) -> list[Part]:
    return [Part(name.encode(), body) for name, body in wheel_files("demo", "1.0", files=extra).items()]


def first(**changes: object) -> list[Part]:
    """Return the parts of a sound wheel with changes in the first."""
    changed, *others = parts()
    for name, value in changes.items():
        assert hasattr(changed, name)
        setattr(changed, name, value)
    return [changed, *others]


def streamed(layout: str, *, sign: bytes = b"", wrong: int = 0) -> list[Part]:
    """Return a wheel whose first member was written as a stream: its sums stand after its bytes."""
    part = parts()[0]
    sums = (zlib.crc32(part.body), len(deflated(part.body)), len(part.body) + wrong)
    descriptor = sign + struct.pack(layout, *sums)
    return first(flags=8, local={"flags": 8, "crc": 0, "packed": 0, "size": 0}, after=descriptor)


def zip64_field(*values: int) -> bytes:
    return struct.pack("<2H", 1, 8 * len(values)) + struct.pack(f"<{len(values)}Q", *values)


def widened() -> list[Part]:
    """Return a wheel whose first member says its sizes in zip64 fields, as for a file of more than 4 GiB."""
    part = parts()[0]
    sizes = (len(part.body), len(deflated(part.body)))
    tops = {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}
    padded = struct.pack("<2H", 0x5455, 1) + b"x" + zip64_field(*sizes) + b"\0"
    return first(local=tops, central=tops, local_extra=zip64_field(*sizes), extra=padded)


SOUND_ZIPS: dict[str, bytes] = {
    "written by hand": zipped(parts()),
    "with a comment": zipped(parts(), comment=b"built with love"),
    "with a zip64 end record": zipped(parts(), wide=0),
    "with nothing but a zip64 end record": zipped(
        parts(), wide=0, count=0xFFFF, here=0xFFFF, length=0xFFFFFFFF, start=0xFFFFFFFF
    ),
    "with zip64 sizes": zipped(widened()),
    "with sums after the data": zipped(streamed("<3L")),
    "with signed sums after the data": zipped(streamed("<3L", sign=b"PK\7\x08")),
    "with wide sums after the data": zipped(streamed("<LQQ")),
    "with wide signed sums after the data": zipped(streamed("<LQQ", sign=b"PK\7\x08")),
    "stored": zipped(first(method=0)),
    "from a system without modes": zipped(first(mode=0)),
    "with the same name twice in one member": zipped(
        first(extra=struct.pack("<2HBL", 0x7075, 5 + 16, 1, 0) + b"demo/__init__.py")
    ),
    "with a folder of no bytes, deflated": zipped([*parts(), Part(b"demo/more/", mode=0o040755)]),
}


@pytest.mark.parametrize("body", SOUND_ZIPS.values(), ids=SOUND_ZIPS.keys())
def test_zip_archives_of_every_writer_are_read(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / WHEEL
    path.write_bytes(body)
    assert read(path).warnings == ()


def one_more(name: bytes, body: bytes = b"", **changes: object) -> bytes:
    """Return a wheel with a member more, which RECORD has if it is decent."""
    part = Part(name, body)
    for field_name, value in changes.items():
        setattr(part, field_name, value)
    recorded = {f"{INFO}/RECORD": record_of({**plain(), name.decode("cp437"): body}, f"{INFO}/RECORD")}
    return zipped([*parts(recorded), part])


MANY = struct.pack("<Q", 200_001)
BOMB = deflated(bytes(1 << 20))

UNSOUND_ZIPS: dict[str, tuple[bytes, str]] = {
    "data before": (zipped(parts(), before=b"#!/bin/sh\n"), "data before its first member"),
    "data before, offsets not adjusted": (b"#!/bin/sh\n" + zipped(parts()), "belongs to no member"),
    "data after": (zipped(parts(), after=b"more"), "data after its end"),
    "a zero after": (zipped(parts(), after=b"\0"), "data after its end"),
    "two archives in a row": (zipped(parts()) * 2, "belongs to no member"),
    "data between members and directory": (zipped(parts(), gap=b"hidden"), "data between"),
    "data between members": (zipped(first(after=b"hidden")), "data between"),
    "a hidden member": (zipped(first(after=zipped([Part(b"demo/evil.py", b"1")])[:50])), "data between"),
    "an end record in the comment": (zipped(parts(), comment=b"PK\5\6" + bytes(18)), "belongs to no member"),
    "a comment longer than it says": (zipped(parts(), comment=b"abc")[:-1], "data after its end"),
    "cut in the middle": (zipped(parts())[:300], "no zip archive"),
    "cut at the end": (zipped(parts())[:-1], "cut short"),
    "cut at the beginning": (zipped(parts())[7:], "belongs to no member"),
    "not a zip at all": (b"<!DOCTYPE html>", "no zip archive"),
    "a gzip": (gzip.compress(b"x" * 99), "no zip archive"),
    "zeros": (bytes(4096), "no zip archive"),
    "one part of several": (zipped(parts(), disk=1), "in several"),
    "fewer members here than in all": (zipped(parts(), here=1), "in several"),
    "fewer members than it has": (zipped(parts(), count=1, here=1), "holds more than it counts"),
    "more members than it has": (zipped(parts(), count=9, here=9), "cut short"),
    "a million members": (zipped(parts(), wide=1_000_000 - 4, count=0xFFFF, here=0xFFFF), "contradict"),
    "end records that count differently": (zipped(parts(), wide=0, count=5, here=5), "contradict"),
    "end records that start differently": (zipped(parts(), wide=0, start=5), "contradict"),
    "more members than allowed": (
        zipped(parts(), wide=0, count=0xFFFF, here=0xFFFF).replace(b"\x04" + bytes(7), MANY),
        "more than 200,000",
    ),
    "more names than allowed": (zipped([Part(b"n" * 60_000)] * 600), "more than 200,000 members, or more than 32 MiB of names"),
    "zip64 record elsewhere": (zipped(parts(), wide=0).replace(struct.pack("<Q", 44), struct.pack("<Q", 45), 1), "contradict"),
    "no zip64 record": (zipped(parts(), wide=0).replace(b"PK\6\6", b"PK\0\0", 1), "contradict"),
    "a directory longer than the file": (zipped(parts(), length=1 << 31), "belongs to no member"),
    "a directory that starts after the file": (zipped(parts(), start=0xFFFFFFF0), "belongs to no member"),
    "a damaged directory": (zipped(parts()).replace(b"PK\1\2", b"PK\1\3", 1), "directory is damaged"),
    "a member that starts after the file": (zipped(first(central={"offset": 1 << 30})), "data before"),
    "a directory entry longer than the directory": (zipped(first(central={"comment": 60_000})), "damaged"),
    "a damaged extra field": (zipped(first(extra=struct.pack("<2H", 1, 99))), "extra field"),
    "two zip64 fields": (zipped(first(extra=zip64_field(1) * 2)), "extra field"),
    "no zip64 field where one must be": (zipped(first(central={"size": 0xFFFFFFFF})), "times its size"),
    "members that overlap": (zipped([*parts(), Part(b"demo/copy.py", parts()[0].body, shared_with_first=True)]), "overlaps"),
    "a member that runs into the next": (zipped(first(central={"packed": 500}, local={"packed": 500})), "overlaps"),
    "headers with different names": (zipped(first(local_name=b"demo/__main__.py")), "headers of member"),
    "headers with different methods": (zipped(first(local={"method": 0})), "headers of member"),
    "headers with different flags": (zipped(first(local={"flags": 2})), "headers of member"),
    "headers with different sizes": (zipped(first(local={"size": 3})), "headers of member"),
    "headers with different checksums": (zipped(first(local={"crc": 3})), "headers of member"),
    "an empty local header without sums after": (zipped(first(local={"crc": 0, "packed": 0, "size": 0})), "headers of member"),
    "sums after the data missing": (zipped(first(flags=8)), "data between"),
    "wrong sums after the data": (zipped(streamed("<3L", wrong=1)), "data between"),
    "another name in an extra field": (zipped(first(extra=struct.pack("<2HBL", 0x7075, 9, 1, 0) + b"evil")), "headers of member"),
    "another name in the local extra field": (
        zipped(first(local_extra=struct.pack("<2HBL", 0x7075, 9, 1, 0) + b"evil")),
        "headers of member",
    ),
    "no local header": (zipped(parts()).replace(b"PK\3\4", b"PK\3\5", 1), "headers of member"),
    "an encrypted member": (zipped(first(flags=1)), "encrypted"),
    "a strongly encrypted member": (zipped(first(flags=0x41)), "encrypted"),
    "a member packed by bzip2": (zipped(first(method=12)), "deflate"),
    "a member packed by lzma": (zipped(first(method=14)), "deflate"),
    "a member packed by zstandard": (zipped(first(method=93)), "deflate"),
    "a wrong checksum": (zipped(first(central={"crc": 1}, local={"crc": 1})), "another size or checksum"),
    "a flipped bit in stored data": (
        zipped(first(method=0)).replace(b"__version__", b"__vursion__", 1),
        "another size or checksum",
    ),
    "fewer bytes than it says": (zipped(first(central={"size": 90}, local={"size": 90})), "another size or checksum"),
    "more bytes than it says": (zipped(first(central={"size": 3}, local={"size": 3})), "another size or checksum"),
    "deflate that does not end": (zipped(first(packed=deflated(parts()[0].body)[:-1])), "does not end"),
    "deflate that ends too early": (zipped(first(packed=deflated(parts()[0].body) + b"hidden")), "after the end"),
    "no deflate at all": (zipped(first(packed=b"\xff" * 30)), "damaged"),
    "a bomb of a member": (zipped(first(packed=BOMB)), "another size or checksum"),
    "a bomb that says so": (zipped(first(central={"size": 1 << 31}, local={"size": 1 << 31})), "times its size"),
    "a bomb of many members": (
        zipped([*parts(), *(Part(b"demo/%d" % n, packed=BOMB, central={"size": 1 << 26}) for n in range(9))]),
        "times its size",
    ),
    "the same name twice": (one_more(b"demo/__init__.py", b"evil"), "twice"),
    "the metadata twice": (one_more(INFO.encode() + b"/METADATA", b"evil"), "twice"),
    "a file and a folder of one name": (one_more(b"demo/__init__.py/evil.py", b"1"), "a file and a folder"),
    "a folder of a file's name": (one_more(b"demo/__init__.py/"), "a file and a folder"),
    "a name that climbs": (one_more(b"../evil.py", b"1"), "'..'"),
    "a name that climbs in the middle": (one_more(b"demo/../../evil.py", b"1"), "'..'"),
    "a name that climbs at the end": (one_more(b"demo/.."), "'..'"),
    "a name with a dot": (one_more(b"demo/./evil.py", b"1"), "'.'"),
    "a name with nothing for a folder": (one_more(b"demo//evil.py", b"1"), "nothing for a folder"),
    "no name": (one_more(b"", b"1"), "nothing for a folder"),
    "a slash for a name": (one_more(b"/"), "nothing for a folder"),
    "an absolute name": (one_more(b"/etc/passwd", b"1"), "absolute"),
    "a name with a drive": (one_more(b"C:/evil.py", b"1"), "absolute"),
    "a name relative to a drive": (one_more(b"C:evil.py", b"1"), "absolute"),
    "a name with backslashes": (one_more(b"demo\\evil.py", b"1"), "backslash"),
    "a name that climbs with backslashes": (one_more(b"..\\..\\evil.py", b"1"), "backslash"),
    "a name on a share": (one_more(b"\\\\host\\share\\evil.py", b"1"), "backslash"),
    "a name longer than file systems take": (one_more(b"demo/" + b"n" * 256, b"1"), "file systems"),
    "a name with NUL": (one_more(b"demo/good.py\0evil", b"1"), "control character"),
    "a name with a line break": (one_more(b"demo/a\nb.py", b"1"), "control character"),
    "a name with an escape sequence": (one_more(b"demo/\x1b[2J.py", b"1"), "control character"),
    "a name that is not UTF-8": (zipped([*parts(), Part(b"demo/\xff.py", flags=0x800)]), "not UTF-8"),
    "a symbolic link": (one_more(b"demo/link", b"/etc/passwd", mode=0o120777), "neither file nor folder"),
    "a device": (one_more(b"demo/device", mode=0o020666), "neither file nor folder"),
    "a pipe": (one_more(b"demo/pipe", mode=0o010666), "neither file nor folder"),
    "a socket": (one_more(b"demo/socket", mode=0o140666), "neither file nor folder"),
    "a folder with bytes": (one_more(b"demo/folder/", b"evil"), "neither file nor folder"),
    "nothing in it": (zipped([]), "0 .dist-info folders"),
}


@pytest.mark.parametrize(("body", "reason"), UNSOUND_ZIPS.values(), ids=UNSOUND_ZIPS.keys())
def test_a_zip_archive_is_refused_with(tmp_path: Path, body: bytes, reason: str) -> None:
    path = tmp_path / WHEEL
    path.write_bytes(body)
    assert reason in refusal(path)


# ------------------------------------------------------------------------ what a wheel must have in it


def without(name: str) -> dict[str, bytes]:
    members = plain()
    del members[f"{INFO}/{name}"]
    return members


def with_metadata(text: str | bytes) -> dict[str, bytes]:
    return plain() | {f"{INFO}/METADATA": text.encode() if isinstance(text, str) else text}


def with_header(**headers: str) -> dict[str, bytes]:
    return plain() | {
        f"{INFO}/METADATA": core_metadata("demo", "1.0", headers={k.replace("_", "-"): v for k, v in headers.items()})
    }


UNSOUND_WHEELS: dict[str, tuple[dict[str, bytes], str]] = {
    "two .dist-info": (plain() | {"other-1.0.dist-info/METADATA": b""}, "2 .dist-info folders"),
    "two .dist-info of one project": (plain() | {"Demo-1.0.dist-info/METADATA": b""}, "2 .dist-info folders"),
    "no METADATA": (without("METADATA"), "no demo-1.0.dist-info/METADATA"),
    "a folder METADATA": (without("METADATA") | {f"{INFO}/METADATA/": b""}, "no demo-1.0.dist-info/METADATA"),
    "no WHEEL": (without("WHEEL"), "no demo-1.0.dist-info/WHEEL"),
    "a newer wheel format": (plain() | {f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"}, "Wheel-Version"),
    "no wheel format": (plain() | {f"{INFO}/WHEEL": b"Tag: py3-none-any\n"}, "Wheel-Version"),
    "a WHEEL that is not UTF-8": (plain() | {f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: \xff\n"}, "WHEEL is not UTF-8"),
    "a huge METADATA": (with_metadata(core_metadata("demo", "1.0", description="x" * (1 << 20))), "larger than 1 MiB"),
    "a huge WHEEL": (plain() | {f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n" + b"x" * (1 << 20)}, "larger than 1 MiB"),
    "metadata of another project": (with_header(Name="other"), "metadata says other 1.0"),
    "metadata of another version": (with_header(Version="1.0.post1"), "metadata says demo 1.0.post1"),
    "metadata of a local version": (with_header(Version="1.0+local"), "metadata says demo 1.0+local"),
    "a version that is none": (with_header(Version="latest"), "'latest'"),
    "no version": (with_metadata("Metadata-Version: 2.1\nName: demo\n\n"), "0 headers Version"),
    "no name": (with_metadata("Metadata-Version: 2.1\nVersion: 1.0\n\n"), "0 headers Name"),
    "no metadata version": (with_metadata("Name: demo\nVersion: 1.0\n\n"), "0 headers Metadata-Version"),
    "two names": (with_metadata("Metadata-Version: 2.1\nName: demo\nName: evil\nVersion: 1.0\n\n"), "2 headers Name"),
    "two versions": (with_metadata("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nversion: 2.0\n\n"), "2 headers Version"),
    "headers in the description": (with_metadata("Metadata-Version: 2.1\n\nName: demo\nVersion: 1.0\n"), "0 headers"),
    "empty metadata": (with_metadata(""), "0 headers"),
    "a newer major metadata version": (with_header(Metadata_Version="3.0"), "Metadata-Version 3.0"),
    "an impossible metadata version": (with_header(Metadata_Version="two"), "'two'"),
    "a metadata version of no parts": (with_header(Metadata_Version="2"), "'2'"),
    "a huge metadata version": (with_header(Metadata_Version="2." + "9" * 9), "Metadata-Version"),
    "metadata that is not UTF-8": (
        with_metadata(core_metadata("demo", "1.0") + "Zoë".encode("latin-1")),
        "METADATA is not UTF-8",
    ),
    "metadata in UTF-16": (with_metadata(core_metadata("demo", "1.0").decode().encode("utf-16")), "METADATA is not UTF-8"),
    "metadata after a byte order mark": (with_metadata(b"\xef\xbb\xbf" + core_metadata("demo", "1.0")), "0 headers"),
    "a NUL in a header": (with_header(Summary="a\0b"), "NUL"),
    "a NUL in the name": (with_header(Name="demo\0"), "NUL"),
    "requires-python that is no specifier": (with_header(Requires_Python="three"), "'three'"),
    "requires-python with markup": (with_header(Requires_Python='>=3"><script>'), "Requires-Python"),
    "requires-python with a control character": (with_header(Requires_Python=">=3.8\x1b[2J"), "Requires-Python"),
    "requires-python without end": (with_header(Requires_Python=",".join([">=3"] * 10_000)), "longer than 1000"),
    "requires-python in other digits": (with_header(Requires_Python=">=３.８"), "Requires-Python"),
    "requires-python twice": (
        with_metadata("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Python: >=3\nRequires-Python: <3\n\n"),
        "2 headers Requires-Python",
    ),
    "a name of a hundred thousand letters": (with_header(Name="x" * 100_000), "metadata says"),
    "a version of a hundred thousand digits": (with_header(Version="1" * 100_000), "METADATA"),
}


@pytest.mark.parametrize(("members", "reason"), UNSOUND_WHEELS.values(), ids=UNSOUND_WHEELS.keys())
def test_a_wheel_is_refused_with(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    assert reason in refusal(wheel_with(tmp_path, members))


@pytest.mark.parametrize("release", [("other", "1.0"), ("demo", "1.1"), ("demo", "1.0.post1")], ids=str)
def test_a_wheel_of_another_release_is_refused(tmp_path: Path, release: tuple[str, str]) -> None:
    assert "not named after demo 1.0" in refusal(make_wheel(tmp_path, *release, filename=WHEEL))


def test_a_wheel_without_dist_info_is_refused(tmp_path: Path) -> None:
    assert "0 .dist-info folders" in refusal(write_zip(tmp_path / WHEEL, {"demo/__init__.py": b""}))


def test_a_wheel_without_a_record_is_refused(tmp_path: Path) -> None:
    assert "no demo-1.0.dist-info/RECORD" in refusal(write_zip(tmp_path / WHEEL, plain()))


GOOD = record_of(plain(), f"{INFO}/RECORD").decode()
_FIRST, _REST = GOOD.split("\n", 1)

UNSOUND_RECORDS: dict[str, tuple[str | bytes, str]] = {
    "a member missing": (_REST, "lacks 'demo/__init__.py'"),
    "nothing": ("", "lacks"),
    "a member that is not there": (GOOD + "demo/ghost.py,,\n", "'demo/ghost.py', which is not in it"),
    "a path that climbs": (GOOD + "../../ghost.py,,\n", "which is not in it"),
    "an absolute path": (GOOD + "/etc/passwd,,\n", "which is not in it"),
    "a row of one field": (GOOD + "demo/__init__.py\n", "row"),
    "a row of four fields": (GOOD + "demo/__init__.py,,,\n", "row"),
    "two rows that differ": (GOOD + "demo/__init__.py,,\n", "twice"),
    "letters that are not UTF-8": (GOOD.encode() + b"\xff,,\n", "damaged"),
    "a field without end": (GOOD + '"' + "x" * 200_000, "damaged"),
    "NUL": (GOOD + "demo/\0.py,,\n", ""),
}

FAULTY_RECORDS: dict[str, tuple[str, str]] = {
    "a wrong hash": ("demo/__init__.py,sha256=AAAA,22\n" + _REST, "another hash for 'demo/__init__.py'"),
    "an empty hash": ("demo/__init__.py,sha256=,22\n" + _REST, "another hash"),
    "a hash in hex": (
        f"demo/__init__.py,sha256={hashlib.sha256(plain()['demo/__init__.py']).hexdigest()},\n" + _REST,
        "another hash",
    ),
    "a wrong size": (_FIRST.rsplit(",", 1)[0] + ",7\n" + _REST, "another size"),
    "a size that is none": (_FIRST.rsplit(",", 1)[0] + ",big\n" + _REST, "another size"),
    "no hash": ("demo/__init__.py,,\n" + _REST, "no hash of sha256 or better"),
    "an md5 hash": (hashed(plain(), "md5").decode(), "no hash of sha256 or better"),
    "an sha1 hash": (hashed(plain(), "sha1").decode(), "no hash of sha256 or better"),
    "an sha224 hash": (hashed(plain(), "sha224").decode(), "no hash of sha256 or better"),
    "an unknown hash": ("demo/__init__.py,shake_128=AAAA,\n" + _REST, "no hash of sha256 or better"),
}


def wheel_with_record(directory: Path, record: str | bytes) -> Path:
    body = record.encode() if isinstance(record, str) else record
    return write_zip(directory / WHEEL, {**plain(), f"{INFO}/RECORD": body})


@pytest.mark.parametrize(
    ("record", "reason"), (UNSOUND_RECORDS | FAULTY_RECORDS).values(), ids=(UNSOUND_RECORDS | FAULTY_RECORDS).keys()
)
def test_a_record_is_refused_with(tmp_path: Path, record: str | bytes, reason: str) -> None:
    assert reason in refusal(wheel_with_record(tmp_path, record))


# ----------------------------------------------------------------------------- sdists, members by hand


@dataclass
class Entry:
    """A member of a tar archive."""

    name: str
    body: bytes = b""
    type: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o644
    pax: Mapping[str, str] = field(default_factory=dict)


def tarred(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.mode, info.size = entry.type, entry.target, entry.mode, len(entry.body)
            info.pax_headers = dict(entry.pax)
            tar.addfile(info, io.BytesIO(entry.body))
    return out.getvalue()


PKG_INFO = Entry("demo-1.0/PKG-INFO", core_metadata("demo", "1.0"))
CODE = Entry("demo-1.0/demo.py", b"answer = 42\n")


def sdist(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a sound sdist with more members."""
    return gzip.compress(tarred(Entry("demo-1.0", type=tarfile.DIRTYPE), PKG_INFO, CODE, *entries, format=format))


def link(name: str, target: str) -> Entry:
    return Entry(f"demo-1.0/{name}", type=tarfile.SYMTYPE, target=target)


def hardlink(name: str, target: str) -> Entry:
    return Entry(f"demo-1.0/{name}", type=tarfile.LNKTYPE, target=target)


LONG = "demo-1.0/" + "long/" * 40 + "name.py"

SOUND_SDISTS: dict[str, bytes] = {
    "with a pax header": sdist(Entry(LONG, b"1"), Entry("demo-1.0/größe.py", b"2", pax={"mtime": "1.5", "comment": "x"})),
    "of GNU tar": sdist(Entry(LONG, b"1"), hardlink("l" * 120, "demo-1.0/demo.py"), format=tarfile.GNU_FORMAT),
    "of old tar": sdist(format=tarfile.USTAR_FORMAT),
    "with a name that is not UTF-8": sdist(Entry("demo-1.0/\udcff.py", b"1"), format=tarfile.GNU_FORMAT),
    "with a link to a neighbour": sdist(link("other.py", "demo.py")),
    "with a link to nothing": sdist(link("other.py", "missing.py")),
    "with a link up to the top": sdist(link("a/b/top", "../.."), link("a/other.py", "./../demo.py")),
    "with a link to a folder": sdist(Entry("demo-1.0/a/b.py", b"1"), link("c", "a/")),
    "with a hard link": sdist(hardlink("other.py", "demo-1.0/demo.py"), hardlink("third.py", "demo-1.0/other.py")),
    "with a setuid bit": sdist(Entry("demo-1.0/tool", b"1", mode=0o4755)),
    "with a folder twice": sdist(Entry("demo-1.0", type=tarfile.DIRTYPE)),
    "with an old type": sdist(Entry("demo-1.0/old.py", b"1", type=tarfile.AREGTYPE), Entry("demo-1.0/c", type=tarfile.CONTTYPE)),
    "with metadata deeper down": sdist(Entry("demo-1.0/demo.egg-info/PKG-INFO", b"Name: other\n")),
    "without padding": gzip.compress(tarred(PKG_INFO).rstrip(b"\0").ljust(1024, b"\0") + bytes(1024)),
    "of a member as large as a block": sdist(Entry("demo-1.0/block", b"x" * 512), Entry("demo-1.0/blocks", b"y" * 10240)),
    "with a file name in its gzip header": b"\x1f\x8b\x08\x08\0\0\0\0\2\xffdemo.tar\0"
    + gzip.compress(tarred(PKG_INFO), mtime=0)[10:],
    "packed hardly": gzip.compress(tarred(PKG_INFO, CODE), compresslevel=0),
}


@pytest.mark.parametrize("body", SOUND_SDISTS.values(), ids=SOUND_SDISTS.keys())
def test_sdists_of_every_writer_are_read(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / SDIST
    path.write_bytes(body)
    assert read(path).warnings == ()


def crooked(body: bytes, at: int, value: bytes) -> bytes:
    """Return a tar archive with other bytes in the header at *at*, and its checksum right again."""
    tar = bytearray(body)
    tar[at : at + len(value)] = value
    start = at // 512 * 512
    tar[start + 148 : start + 156] = b" " * 8
    tar[start + 148 : start + 156] = b"%06o\0 " % sum(tar[start : start + 512])
    return gzip.compress(bytes(tar))


TAR = tarred(PKG_INFO, CODE)
PACKED = gzip.compress(TAR, mtime=0)
SIZE_AT = 1024 + 124  # of CODE, after a header and a block of PKG-INFO
TYPE_AT = 1024 + 156

UNSOUND_SDISTS: dict[str, tuple[bytes, str]] = {
    "not gzip": (TAR, "damaged"),
    "a zip": (zipped(parts()), "damaged"),
    "gzip of something else": (gzip.compress(b"hello"), "damaged"),
    "gzip of nothing": (gzip.compress(b""), ""),
    "gzip of zeros": (gzip.compress(bytes(10240)), ""),
    "cut gzip": (PACKED[:-20], "cut short"),
    "gzip without its checksum": (PACKED[:-8], "cut short"),
    "gzip without its last byte": (PACKED[:-1], "cut short"),
    "gzip cut in its header": (PACKED[:5], "cut short"),
    "a wrong gzip checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "damaged"),
    "a wrong gzip length": (PACKED[:-4] + bytes(4), "damaged"),
    "a flipped bit in gzip": (PACKED[:60] + bytes([PACKED[60] ^ 16]) + PACKED[61:], ""),
    "data after gzip": (PACKED + b"more", "after the end"),
    "zeros after gzip": (PACKED + bytes(512), "after the end"),
    "two gzips in a row": (PACKED + PACKED, "after the end"),
    "data after the tar's end mark": (gzip.compress(TAR + b"more"), "data after its end"),
    "two tars in a row": (gzip.compress(TAR + TAR), "data after its end"),
    "a tar without end mark": (gzip.compress(TAR.rstrip(b"\0").ljust(2048, b"\0")), "cut short"),
    "a tar cut in a member": (gzip.compress(TAR[:600]), ""),
    "a tar cut in a header": (gzip.compress(TAR[:1100]), "cut short"),
    "a damaged first header": (gzip.compress(b"x" + TAR[1:]), "damaged"),
    "a damaged second header": (gzip.compress(TAR[:1024] + b"x" + TAR[1025:]), "damaged"),
    "more zeros after the end than sense": (gzip.compress(TAR + bytes(2 << 20)), "belong to no member"),
    "a negative size": (crooked(TAR, SIZE_AT, b"\xff" * 12), ""),
    "a size past the end": (crooked(TAR, SIZE_AT, b"00000777777\0"), ""),
    "a size of 8 GiB": (crooked(TAR, SIZE_AT, b"77777777777\0"), "times its size"),
    "a size of 1 EiB": (crooked(TAR, SIZE_AT, b"\x80" + bytes(3) + b"\x10" + bytes(7)), "times its size"),
    "a size that is none": (crooked(TAR, SIZE_AT, b"hello world\0"), "damaged"),
    "an unknown type": (crooked(TAR, TYPE_AT, b"Z"), "something else that no sdist holds"),
    "a sparse file": (crooked(TAR, TYPE_AT, b"S"), ""),
    "a folder with bytes": (crooked(TAR, TYPE_AT, b"5"), "headers of member"),
    "a size in a pax header that the tar header contradicts": (
        sdist(Entry("demo-1.0/a", b"x" * 600, pax={"size": "0"})),
        "headers of member",
    ),
    "a negative size in a pax header": (sdist(Entry("demo-1.0/a", b"x" * 600, pax={"size": "-512"})), "headers of member"),
    "a pax header for all members": (
        gzip.compress(tarfile.TarInfo.create_pax_global_header({"path": "demo-1.0/demo.py"}) + TAR),
        "twice",
    ),
    "a long name without end": (
        gzip.compress(tarred(Entry("././@LongLink", bytes(4 << 20), type=b"L"), PKG_INFO)),
        "belong to no member",
    ),
    "a pax header of 4 MiB": (gzip.compress(tarred(Entry("x", b"1" * (4 << 20), type=b"x"), PKG_INFO)), ""),
    "pax headers in pax headers": (gzip.compress(tarred(Entry("x", b"6 a=b\n", type=b"x"))[:1024] * 900), ""),
    "the same file twice": (sdist(Entry("demo-1.0/demo.py", b"evil")), "twice"),
    "the metadata twice": (sdist(PKG_INFO), "twice"),
    "a file and a folder of one name": (sdist(Entry("demo-1.0/demo.py/evil", b"1")), "a file and a folder"),
    "a name that climbs": (sdist(Entry("demo-1.0/../../evil", b"1")), "'..'"),
    "a name that climbs at once": (sdist(Entry("../evil", b"1")), "'..'"),
    "an absolute name": (sdist(Entry("/etc/passwd", b"1")), "absolute"),
    "a name with a drive": (sdist(Entry("C:/evil", b"1")), "absolute"),
    "a name with a backslash": (sdist(Entry("demo-1.0/..\\evil", b"1")), "backslash"),
    "a name with a line break": (sdist(Entry("demo-1.0/a\nb", b"1")), "control character"),
    "a name with NUL": (sdist(Entry("demo-1.0/a", b"1", pax={"path": "demo-1.0/a\0b"})), "control character"),
    "a dot before all": (gzip.compress(tarred(Entry("./demo-1.0/PKG-INFO", PKG_INFO.body))), "'.'"),
    "an absolute link": (sdist(link("l", "/etc/passwd")), "leaves the archive"),
    "a link that climbs": (sdist(link("l", "../evil")), "leaves the archive"),
    "a link that climbs far": (sdist(link("a/b/l", "../../../../etc")), "leaves the archive"),
    "a link that climbs to the outside of the top": (sdist(link("a/l", "../..")), "leaves the archive"),
    "a link that climbs behind another": (sdist(link("a/up", ".."), link("l", "a/up/../evil")), "leaves the archive"),
    "a link with a backslash": (sdist(link("l", "..\\evil")), "leaves the archive"),
    "a link with a drive": (sdist(link("l", "C:/evil")), "leaves the archive"),
    "a link to nothing at all": (sdist(link("l", "")), "leaves the archive"),
    "a file behind a link": (sdist(link("l", "a"), Entry("demo-1.0/l/evil", b"1")), "a file and a folder"),
    "a link at the top": (gzip.compress(tarred(PKG_INFO, Entry("demo-1.0", type=tarfile.SYMTYPE, target="/tmp"))), ""),
    "a hard link to the outside": (sdist(hardlink("l", "/etc/passwd")), "to no file before it"),
    "a hard link that climbs": (sdist(hardlink("l", "demo-1.0/../../evil")), "to no file before it"),
    "a hard link to what is not there": (sdist(hardlink("l", "demo-1.0/missing")), "to no file before it"),
    "a hard link to a link": (sdist(link("l", "demo.py"), hardlink("h", "demo-1.0/l")), "to no file before it"),
    "a character device": (sdist(Entry("demo-1.0/null", type=tarfile.CHRTYPE)), "a device"),
    "a block device": (sdist(Entry("demo-1.0/sda", type=tarfile.BLKTYPE)), "a device"),
    "a pipe": (sdist(Entry("demo-1.0/pipe", type=tarfile.FIFOTYPE)), "a pipe"),
    "two folders at the top": (sdist(Entry("other/file", b"1")), "2 files or folders at its top"),
    "a file beside the folder": (sdist(Entry("setup.py", b"1")), "2 files or folders at its top"),
    "what bdist_dumb writes": (gzip.compress(tarred(Entry("./usr/lib/demo.py", b"1"))), "'.'"),
    "no folder": (gzip.compress(tarred(Entry("PKG-INFO", PKG_INFO.body))), "no PKG-INFO in its folder 'PKG-INFO'"),
    "no metadata": (gzip.compress(tarred(CODE)), "no PKG-INFO in its folder 'demo-1.0'"),
    "a link for metadata": (gzip.compress(tarred(CODE, link("PKG-INFO", "demo.py"))), "no PKG-INFO in its folder 'demo-1.0'"),
    "huge metadata": (
        gzip.compress(tarred(Entry("demo-1.0/PKG-INFO", core_metadata("demo", "1.0", description="x" * (1 << 20))))),
        "larger than 1 MiB",
    ),
    "metadata that is not UTF-8": (gzip.compress(tarred(Entry("demo-1.0/PKG-INFO", b"\xff"))), "PKG-INFO is not UTF-8"),
    "metadata of another project": (
        gzip.compress(tarred(Entry("demo-1.0/PKG-INFO", core_metadata("other", "1.0")))),
        "metadata says other 1.0",
    ),
    "metadata of another version": (
        gzip.compress(tarred(Entry("demo-1.0/PKG-INFO", core_metadata("demo", "1.1")))),
        "metadata says demo 1.1",
    ),
    "a folder named after another version": (
        gzip.compress(tarred(Entry("demo-1.1/PKG-INFO", PKG_INFO.body))),
        "is not named after demo 1.0",
    ),
    "a folder named after another project": (
        gzip.compress(tarred(Entry("other-1.0/PKG-INFO", PKG_INFO.body))),
        "is not named after demo 1.0",
    ),
    "a folder without version": (
        gzip.compress(tarred(Entry("demo/PKG-INFO", PKG_INFO.body))),
        "is not named after demo 1.0",
    ),
}


@pytest.mark.parametrize(("body", "reason"), UNSOUND_SDISTS.values(), ids=UNSOUND_SDISTS.keys())
def test_an_sdist_is_refused_with(tmp_path: Path, body: bytes, reason: str) -> None:
    path = tmp_path / SDIST
    path.write_bytes(body)
    assert reason in refusal(path)


def test_a_zip_sdist_is_held_to_the_same(tmp_path: Path) -> None:
    assert "no PKG-INFO in its folder 'demo-1.0'" in refusal(write_zip(tmp_path / "demo-1.0.zip", {"demo-1.0/setup.py": b""}))


# --------------------------------------------------------------------------------- what is no artifact

NO_ARTIFACTS: dict[str, str] = {
    "demo-1.0-py3.11.egg": "an egg",
    "demo-1.0.win32.exe": "a Windows installer",
    "demo-1.0.msi": "a Windows installer",
    "demo-1.0-1.noarch.rpm": "a package of an operating system",
    "demo-1.0.deb": "a package of an operating system",
    "demo-1.0.linux-x86_64.tar.gz": "bdist_dumb",
    "demo-1.0.linux-aarch64.zip": "bdist_dumb",
    "demo-1.0.macosx-14.0-arm64.tar.gz": "bdist_dumb",
    "demo-1.0.win-amd64.zip": "bdist_dumb",
    "demo-1.0.win32.zip": "bdist_dumb",
    "demo-1.0.tar.xz": ".tar.xz",
    "demo-1.0.tar.bz2": ".tar.bz2",
    "demo-1.0.tar": ".tar",
    "demo-1.0.tgz": ".tgz",
    "demo-1.0.tar.gz.asc": "a signature",
    "demo-1.0-py3-none-any.whl.asc": "a signature",
    "demo-1.0-py3-none-any.whl.metadata": "the metadata of a wheel",
    "index.html": "a page",
    "index.json": "a document",
    "demo-1.0.tar.gz.part": "neither",
    "demo-1.0.TAR.GZ": "neither",
    "demo": "neither",
    ".demo-1.0.tar.gz": "begins with a letter or digit",
    "demo-1.0 .tar.gz": "ASCII",
    "demo 1.0.tar.gz": "ASCII",
    "bädpkg-1.0-py3-none-any.whl": "ASCII",
    "demo-1.0-py3-none-any\n.whl": "ASCII",
    "demo-1.0\x1b[2J.tar.gz": "ASCII",
    "demo-1.0%2e.tar.gz": "ASCII",
    "-demo-1.0.tar.gz": "ASCII",
    "demo.tar.gz": "sdist",
    "demo-latest.tar.gz": "sdist",
    "demo-.tar.gz": "sdist",
    "demo-1.0.whl": "wheel",
    "demo-1.0-py3-none.whl": "wheel",
    "demo-latest-py3-none-any.whl": "wheel",
    "demo-1.0-x1-py3-none-any.whl": "wheel",
    "demo-1.0-1-2-py3-none-any.whl": "wheel",
    "demo-1.0-py3-none-any.whl.whl": "wheel",
    "demo--1.0-py3-none-any.whl": "wheel",
    "demo-1.0-py3-none-any+.whl": "wheel",
    "..-1.0-py3-none-any.whl": "ASCII",
    "demo_-1.0-py3-none-any.whl": "wheel",
}


@pytest.mark.parametrize(("filename", "reason"), NO_ARTIFACTS.items(), ids=repr)
def test_a_file_that_is_no_artifact_is_refused_by_name(tmp_path: Path, filename: str, reason: str) -> None:
    path = make_wheel(tmp_path).rename(tmp_path / filename)
    assert reason in refusal(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / WHEEL
    path.touch()
    assert refusal(path) == "it is empty"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / WHEEL) == "there is no such file"


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).symlink_to("nowhere")
    assert refusal(tmp_path / WHEEL) == "it is a link to nothing"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).symlink_to(WHEEL)
    assert "cannot be read" in refusal(tmp_path / WHEEL)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).mkdir()
    assert refusal(tmp_path / WHEEL) == "it is a directory"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / WHEEL)
    assert "a pipe" in refusal(tmp_path / WHEEL)


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="there are no devices with names here")
def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / WHEEL).symlink_to("/dev/zero")
    assert "a device" in refusal(tmp_path / WHEEL)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user reads everything")
def test_a_file_that_may_not_be_read_is_refused_with_what_the_system_says(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    path.chmod(0)
    assert refusal(path) == "it cannot be read: Permission denied"


def test_a_hint_tells_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read(make_wheel(tmp_path, "other", filename=WHEEL))
    assert "Build" in caught.value.hint


# -------------------------------------------------------------------------- what an older index offers


def test_a_sound_published_file_is_read_as_if_it_were_new(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, requires_python=">=3.8")
    assert read_published(path, "demo") == Artifact(
        path=path,
        filename=WHEEL,
        identity=read(make_wheel(tmp_path, requires_python=">=3.8")).identity,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
        requires_python=">=3.8",
        metadata=core_metadata("demo", "1.0", requires_python=">=3.8"),
        warnings=(),
    )


@pytest.mark.parametrize(("record", "reason"), FAULTY_RECORDS.values(), ids=FAULTY_RECORDS.keys())
def test_a_published_wheel_with_a_faulty_record_keeps_its_metadata(tmp_path: Path, record: str, reason: str) -> None:
    artifact = read_published(wheel_with_record(tmp_path, record), "demo")
    assert artifact.metadata == plain()[f"{INFO}/METADATA"]
    assert reason in artifact.warnings[0]


@pytest.mark.parametrize("filename", ["demo-1.0.tar.bz2", "demo-1.0.tgz", SDIST, WHEEL, "demo-1.0.zip"])
def test_a_published_file_that_cannot_be_understood_is_described_by_its_bytes(tmp_path: Path, filename: str) -> None:
    path = tmp_path / filename
    path.write_bytes(b"rubbish")
    artifact = read_published(path, "demo")
    assert (artifact.sha256, artifact.size) == (hashlib.sha256(b"rubbish").hexdigest(), 7)
    assert (artifact.project, artifact.version) == ("demo", Version("1.0"))
    assert (artifact.metadata, artifact.requires_python, len(artifact.warnings)) == (None, None, 1)


@pytest.mark.parametrize("filename", [SDIST, WHEEL, "demo-1.0.zip"])
def test_a_published_file_that_is_empty_is_described_too(tmp_path: Path, filename: str) -> None:
    (tmp_path / filename).touch()
    artifact = read_published(tmp_path / filename, "demo")
    assert (artifact.size, artifact.metadata, len(artifact.warnings)) == (0, None, 1)


def test_an_older_name_of_a_published_sdist_means_its_project(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, "foo", "1.0.post1", filename="foo-1.0-1.tar.gz")
    artifact = read_published(path, "foo")
    assert (artifact.project, str(artifact.version), artifact.warnings) == ("foo", "1.0.post1", ())


def test_a_project_that_is_named_like_a_platform_is_not_taken_for_what_bdist_dumb_builds(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, "foo.linux", "1.0", filename="foo.linux-1.0.tar.gz")
    assert read(path).project == "foo-linux"


def test_a_build_number_that_only_the_name_has_is_a_warning(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, build="1").rename(tmp_path / "demo-1.0-2-py3-none-any.whl")
    assert read(path).warnings == ("the build number in its WHEEL and in its name differ",)


# ------------------------------------------------------------------------------------------- selecting


def lying(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).touch()
    return directory


def selected(directory: Path, project: str, version: str) -> list[str]:
    return [path.name for path in select(directory, project, version)]


def test_exactly_the_artifacts_of_the_release_are_selected(tmp_path: Path) -> None:
    ours = ["foo-1.0-1-py3-none-any.whl", "foo-1.0-py3-none-any.whl", "foo-1.0.tar.gz", "foo-1.0.zip"]
    others = ["foo-1.0.1.tar.gz", "foo-1.0.post1.tar.gz", "foo-1.0a1.tar.gz", "foo-1.0+local.tar.gz", "foo-1!1.0.tar.gz"]
    others += ["foo_bar-1.0.tar.gz", "foo_bar-1.0-py3-none-any.whl", "foo-bar-1.0.tar.gz", "foo-11.0.tar.gz", "foobar-1.0.tar.gz"]
    others += ["foo-1.0.1-py3-none-any.whl", "foo-1.0.post1-py3-none-any.whl"]
    assert selected(lying(tmp_path, *ours, *others), "foo", "1.0") == sorted(ours)


def test_every_spelling_of_project_and_version_is_one(tmp_path: Path) -> None:
    names = ["Foo.Bar-1.0.tar.gz", "Foo_Bar-1.0-py3-none-any.whl", "foo-bar-1.0.0.tar.gz", "foo_bar-1.tar.gz"]
    lying(tmp_path, *names)
    for project in ("foo-bar", "Foo.Bar", "foo__bar", "FOO_bar"):
        for version in ("1.0", "1", "v1.0.0", " 1.0 "):
            assert selected(tmp_path, project, version) == sorted(names)


def test_what_is_no_artifact_is_passed_over(tmp_path: Path) -> None:
    passed = [
        "foo-1.0-py3.11.egg",
        "foo-1.0.tar.gz.asc",
        "foo-1.0.linux-x86_64.tar.gz",
        "foo-1.0.tar.bz2",
        "notes.txt",
        "föö-1.0.tar.gz",
    ]
    assert selected(lying(tmp_path, "foo-1.0.tar.gz", *passed), "foo", "1.0") == ["foo-1.0.tar.gz"]


def test_an_sdist_whose_old_name_has_two_meanings_is_selected_by_its_metadata(tmp_path: Path) -> None:
    write_targz(tmp_path / "foo-1.0-1.tar.gz", {"foo-1.0-1/PKG-INFO": core_metadata("foo", "1.0.post1")})
    assert selected(tmp_path, "foo", "1.0.post1") == ["foo-1.0-1.tar.gz"]
    for project, version in (("foo-1.0", "1"), ("foo", "1.0"), ("foo", "1")):
        with pytest.raises(NoArtifacts):
            select(tmp_path, project, version)


def test_an_sdist_of_two_meanings_that_cannot_be_read_is_selected_so_that_reading_tells_why(tmp_path: Path) -> None:
    lying(tmp_path, "foo-1.0-1.tar.gz")
    assert selected(tmp_path, "foo", "1.0.post1") == ["foo-1.0-1.tar.gz"]


def test_nothing_found_lists_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoArtifacts) as caught:
        select(lying(tmp_path, "foo-1.1.tar.gz", "notes.txt"), "foo", "1.0")
    assert caught.value.present == ("foo-1.1.tar.gz", "notes.txt")
    assert (caught.value.project, caught.value.version, caught.value.directory) == ("foo", "1.0", tmp_path)


@pytest.mark.parametrize("version", ["latest", "", "1.0-py3", "1" * 9999])
def test_a_version_that_is_none_is_told(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigError, match="is no version"):
        select(tmp_path, "foo", version)


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dist cannot be listed: No such file"):
        select(tmp_path / "dist", "foo", "1.0")
    with pytest.raises(ConfigError, match=r"cannot be listed: Not a directory"):
        select(make_wheel(tmp_path), "foo", "1.0")


# ---------------------------------------------------------------------------------------------- bounds


def test_memory_stays_flat_whatever_the_size(tmp_path: Path) -> None:
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1 << 14))
    wheel = make_wheel(tmp_path, files={f"demo/{n}": noise * 10 for n in range(4)})
    source = make_sdist(tmp_path, files={f"{n}": noise * 10 for n in range(4)})
    tracemalloc.start()
    try:
        read(wheel)
        read(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


def test_hundreds_of_thousands_of_tar_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 50)
    body = sdist(*(Entry(f"demo-1.0/{n}") for n in range(60)))
    (tmp_path / SDIST).write_bytes(body)
    assert "more than 50 members" in refusal(tmp_path / SDIST)


def test_a_large_archive_may_grow_by_the_ratio_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED_ALWAYS", 1 << 10)
    assert read(make_wheel(tmp_path, files={"demo/text": b"some text\n" * 100})).size
    assert "times its size" in refusal(make_wheel(tmp_path, files={"demo/zeros": bytes(1 << 20)}))
    assert "times its size" in refusal(make_sdist(tmp_path, files={"zeros": bytes(1 << 20)}))


LINES = ["Name: spam", "Summary: a b", " more of it", "", " ", "no header", "X:", ": y", "\u2028z: 1"]


@example(["Name: spam", "", "Summary: of the description"], ["\r\n", "\r\n", "\n"])
@example(["", "Name: spam", "", ""], ["\n"] * 4)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=8, max_size=8))
def test_headers_are_those_that_an_email_of_these_bytes_has(lines: list[str], ends: list[str]) -> None:
    text = "".join(line + end for line, end in zip(lines, ends, strict=False))
    read, expected = read_headers(text.encode(), "METADATA"), HeaderParser().parsestr(text)
    assert read.items() == expected.items()
    assert list(map(type, read.defects)) == list(map(type, expected.defects))
