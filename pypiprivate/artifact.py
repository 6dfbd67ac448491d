"""Built files: the only reader of wheels and sdists. What it returns was checked to the last byte.

Which rules refuse and which only warn was measured on a thousand wheels and sdists that pip installs happily: what real ones
break only warns, or is no rule. Nothing is unpacked to disk, and memory stays flat whatever the size.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import stat
import tarfile
import zlib
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, product
from pathlib import Path
from typing import BinaryIO, NamedTuple

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from . import readme
from .archive import PIECE, Kind, Member, Unsound, shown, unwatched
from .errors import ArtifactError, ConfigError, NoArtifacts
from .filenames import Identity, parse_filename, parse_version, splits
from .metadata import CoreMetadata, one, read_core, read_headers
from .model import File, url_of
from .readme import Description
from .tararchive import walk_targz
from .ziparchive import ZipArchive

#: Bytes of METADATA, PKG-INFO and WHEEL; the largest METADATA of 960 wheels has 233 kB.
MAX_METADATA = 1 << 20
#: Bytes of RECORD: 160 for each of the most members of an archive.
MAX_RECORD = 32 << 20
#: Tags in WHEEL that are looked at: each may stand for any number. A file name has room for less.
MAX_TAGS = 100_000


@dataclass(frozen=True)
class Artifact:
    """A wheel or an sdist on this disk, read and checked.

    :ivar identity: what it is; of an sdist whose old name can be split in several ways, as its metadata says.
    :ivar sha256: hex digest of the file.
    :ivar size: of the file, in bytes.
    :ivar requires_python: text of the core metadata, runs of white space collapsed; None where there is none.
    :ivar metadata: a wheel's METADATA byte for byte (PEP 658); None for an sdist.
    :ivar warnings: what is strange about it, a sentence each.
    :ivar description: the long one of its metadata; None where there is none.
    """

    path: Path
    filename: str
    identity: Identity
    sha256: str
    size: int
    requires_python: str | None
    metadata: bytes | None
    warnings: tuple[str, ...]
    description: Description | None = None

    @property
    def project(self) -> NormalizedName:
        """The normalised name of the project."""
        return self.identity.project

    @property
    def version(self) -> Version:
        """The version of the release."""
        return self.identity.version

    @property
    def source(self) -> str:
        """Where it is, for messages."""
        return str(self.path)

    @property
    def readme(self) -> Callable[[], bytes] | None:
        """Makes a page of its description; None where it has none."""
        title = f"{self.project} {self.version}"
        return partial(readme.page, self.description, title=title) if self.description else None

    def as_file(self, *, key: str, upload_time: str) -> File:
        """Describe the artifact as a record does.

        :param key: where it lies or will lie, relative to its project's directory.
        :param upload_time: as :func:`.model.timestamp` writes it.
        """
        core_metadata = {} if self.metadata is None else {"sha256": hashlib.sha256(self.metadata).hexdigest()}
        return File(
            filename=self.filename,
            url=url_of(key),
            hashes={"sha256": self.sha256},
            size=self.size,
            upload_time=upload_time,
            requires_python=self.requires_python,
            core_metadata=core_metadata or False,
        )


def read(path: Path, *, sent: Callable[[int], object] = unwatched) -> Artifact:
    """Read an artifact that is to be published and check everything about it.

    Wheels of the binary distribution format 1.x (PEP 427), sdists of PEP 625 and 721 and older ones, core metadata 1.x and 2.x.

    :param path: a file, or a link to one.
    :param sent: is told of its bytes as they are read: of most of them twice, when they are checked and when they are hashed.
    :raises ArtifactError: it is not there, cannot be read, is no artifact, or is not sound.
    """
    with _opened(path) as file:
        contents = _examine(file, path.name, _identify(path), sent)
        if contents.faults:
            raise Unsound(contents.faults[0])
        return _artifact(path, path.name, file, contents, sent)


def read_published(path: Path, project: str) -> Artifact:
    """Read an artifact that an older index offers already: it stays offered, and what is wrong with it is a warning.

    Where its insides cannot be relied upon, it has neither ``metadata`` nor ``requires_python``.

    :param path: the file; its name is a release file's of *project* (normalised).
    :raises OSError: the file cannot be read.
    :raises ValueError: the name does not parse.
    """
    with path.open("rb") as file:
        return replace(examine_published(file, path.name, project), path=path)


def examine_published(file: BinaryIO, filename: str, project: str, *, sent: Callable[[int], object] = unwatched) -> Artifact:
    """Do what :func:`read_published` does with an open file.

    :param sent: is told of its bytes, as of :func:`read`.
    """
    return _published(file, filename, project, partial(_examine, sent=sent), sent)


def skim_published(file: BinaryIO, filename: str, project: str, *, sent: Callable[[int], object] = unwatched) -> Artifact:
    """Do the same, but look at no more of it than an index needs: its frame, its metadata, and the digest of its bytes.

    :param sent: is told of its bytes once, when they are hashed.
    """
    return _published(file, filename, project, _skim, sent)


def _published(
    file: BinaryIO,
    filename: str,
    project: str,
    look: Callable[[BinaryIO, str, Identity], _Contents],
    sent: Callable[[int], object],
) -> Artifact:
    identity = parse_filename(filename, project)
    try:
        contents = look(file, filename, identity)
    except Unsound as error:
        contents = _Contents(identity, faults=(str(error),))
    return _artifact(Path(filename), filename, file, contents, sent)


@dataclass(frozen=True)
class _Contents:
    """What an artifact says of itself. ``faults`` refuse a new file; a published one that pip installs is kept with them."""

    identity: Identity
    metadata: bytes | None = None
    requires_python: str | None = None
    description: Description | None = None
    warnings: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is one, and never a pipe, which would wait for a writer. Whatever goes wrong within names the artifact."""
    try:
        _check_regular(path)
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ArtifactError(path.name, f"it cannot be read: {error.strerror or error}", path=path) from error
    except Unsound as error:
        raise ArtifactError(path.name, str(error), path=path, hint=_BUILD if path.is_file() else _NAME) from error


_BUILD = "Nothing was published. Build the artifact anew."
_NAME = "Nothing was published. Name wheels (.whl) and sdists (.tar.gz) that are there."


def _check_regular(path: Path) -> None:
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise Unsound("it is a link to nothing" if path.is_symlink() else "there is no such file") from error
    if stat.S_ISDIR(found.st_mode):
        raise Unsound("it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise Unsound("it is a pipe, a socket or a device")
    if not found.st_size:
        raise Unsound("it is empty")


def _artifact(path: Path, filename: str, file: BinaryIO, contents: _Contents, sent: Callable[[int], object]) -> Artifact:
    return Artifact(
        path=path,
        filename=filename,
        identity=contents.identity,
        sha256=_sha256(file, sent),
        size=file.tell(),
        requires_python=contents.requires_python,
        metadata=contents.metadata,
        warnings=(*contents.faults, *contents.warnings),
        description=contents.description,
    )


def _sha256(file: BinaryIO, sent: Callable[[int], object]) -> str:
    """Leave the file at its end."""
    if isinstance(file, io.BytesIO):
        sent(file.seek(0, io.SEEK_END))
        return hashlib.sha256(file.getvalue()).hexdigest()
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
        sent(len(piece))
    return digest.hexdigest()


#: What lies beside wheels and sdists, by the end of its name.
_OTHERS = {
    ".egg": "an egg, which installers no longer take (PEP 715)",
    ".exe": "a Windows installer",
    ".msi": "a Windows installer",
    ".rpm": "a package of an operating system",
    ".deb": "a package of an operating system",
    ".dmg": "a package of an operating system",
    ".asc": "a signature",
    ".sig": "a signature",
    ".metadata": "the metadata of a wheel, which is published with the wheel",
    ".html": "a page",
    ".json": "a document",
}
#: What `bdist` (bdist_dumb) writes: a tree from the root of the file system, named like an sdist.
_DUMB = re.compile(r"-[0-9][^-]*\.(linux|macosx|win|cygwin|freebsd|openbsd|netbsd|solaris|aix)[-0-9][^/]*\.(tar\.\w+|zip)\Z")


_PUBLISHED = "Wheels (.whl) and sdists (.tar.gz) are published; python -m build makes both."


def _identify(path: Path) -> Identity:
    """Parse the name, or say what it is the name of."""
    try:
        for ending, what in _OTHERS.items():
            if path.name.endswith(ending):
                raise ValueError(f"it is {what}, and no artifact")
        if _DUMB.search(path.name):
            raise ValueError("it is what bdist_dumb built, and no sdist: no installer takes it")
        return parse_filename(path.name)
    except ValueError as error:
        raise ArtifactError(path.name, str(error), path=path, hint=_PUBLISHED) from error


def _examine(file: BinaryIO, filename: str, identity: Identity, sent: Callable[[int], object]) -> _Contents:
    """Read the archive to its end."""
    with _damage_named():
        if identity.kind == ".whl":
            return _examine_wheel(ZipArchive(file), identity, sent)
        if identity.kind == ".zip":
            return _examine_sdist(ZipArchive(file).walk(sent), filename, identity)
        if identity.kind == ".tar.gz":
            return _examine_sdist(walk_targz(file, sent), filename, identity)
        raise _other_kind(identity)


def _skim(file: BinaryIO, filename: str, identity: Identity) -> _Contents:
    """Read no more of the archive than its metadata."""
    with _damage_named():
        if identity.kind == ".whl":
            return _skim_wheel(ZipArchive(file), identity)
        if identity.kind == ".zip":
            return _skim_sdist(ZipArchive(file).walk(), filename, identity)
        if identity.kind == ".tar.gz":
            return _skim_sdist(walk_targz(file), filename, identity)
        raise _other_kind(identity)


@contextmanager
def _damage_named() -> Iterator[None]:
    """On hostile bytes the standard library's readers raise more than they document."""
    try:
        yield
    except Unsound:
        raise
    except (tarfile.TarError, zlib.error, csv.Error, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        raise Unsound(f"it is damaged ({error})") from error


def _other_kind(identity: Identity) -> Unsound:
    return Unsound(f"it is a {identity.kind}, and sdists are published as .tar.gz only (PEP 625)")


def _examine_wheel(archive: ZipArchive, identity: Identity, sent: Callable[[int], object]) -> _Contents:
    contents, info = _skim_wheel(archive, identity), _find_dist_info(archive.members, identity)
    return replace(contents, faults=tuple(_compare_with_record(archive, info, sent)))


def _skim_wheel(archive: ZipArchive, identity: Identity) -> _Contents:
    info = _find_dist_info(archive.members, identity)
    metadata = _read_small(archive, f"{info}/METADATA", MAX_METADATA)
    core = read_core(metadata, "METADATA")
    _check_release(core, [(identity.project, identity.version)])
    warnings = _check_wheel(_read_small(archive, f"{info}/WHEEL", MAX_METADATA), identity)
    warnings += core.missing_licenses({member.name for member in archive.members}, f"{info}/licenses")
    return _Contents(identity, metadata, core.requires_python, core.description, core.warnings + warnings)


def _find_dist_info(members: Sequence[Member], identity: Identity) -> str:
    """Return the name of the one folder with metadata. Those of vendored projects lie deeper."""
    infos = {name for member in members if (name := member.name.partition("/")[0]).endswith(".dist-info")}
    if len(infos) != 1:
        raise Unsound(f"it has {len(infos)} .dist-info folders instead of one")
    (info,) = infos
    if (identity.project, identity.version) not in splits(info.removesuffix(".dist-info")):
        raise Unsound(f"its folder {shown(info)} is not named after {identity.project} {identity.version}")
    return info


def _read_small(archive: ZipArchive, name: str, most: int) -> bytes:
    if not any(member.name == name and member.kind is Kind.FILE for member in archive.members):
        raise Unsound(f"it has no {name}")
    return _whole(archive.read(name), name, most)


def _whole(pieces: Iterator[bytes], name: str, most: int) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > most:
            raise Unsound(f"its {name} is larger than {most >> 20} MiB")
    return bytes(body)


def _check_release(core: CoreMetadata, named: Sequence[tuple[NormalizedName, Version]]) -> None:
    if (core.project, core.version) not in named:
        spelt = " or ".join(f"{project} {version}" for project, version in named)
        raise Unsound(f"its metadata says {core.project:.99} {core.version!s:.99}, its name says {spelt}")


def _check_wheel(body: bytes, identity: Identity) -> tuple[str, ...]:
    """Installers refuse a major Wheel-Version that they do not know, and go by the tags of the file name."""
    headers = read_headers(body, "WHEEL")
    version = one(headers, "Wheel-Version", "WHEEL")
    if not re.fullmatch(r"1\.[0-9]+", version):
        raise Unsound(f"its Wheel-Version is not 1.x: {shown(version)}")
    tags = frozenset(islice(chain.from_iterable(map(_expanded, headers.get_all("Tag", []))), MAX_TAGS))
    build = "".join(map(str, identity.build))
    said = {"tags": tags == identity.tags, "build number": headers.get("Build", "").strip() == build}
    return tuple(f"the {what} in its WHEEL and in its name differ" for what, same in said.items() if not same)


def _expanded(tag: str) -> Iterator[str]:
    """``py2.py3-none-any`` is two tags (PEP 425)."""
    return map("-".join, product(*(part.split(".") for part in tag.strip().lower().split("-"))))


def _compare_with_record(archive: ZipArchive, info: str, sent: Callable[[int], object]) -> Iterator[str]:
    """Read every member, and yield what is not as RECORD says (PEP 376, 427)."""
    record = _read_record(archive, info)
    exempt = {f"{info}/RECORD", f"{info}/RECORD.jws", f"{info}/RECORD.p7s"}
    for member in archive.members:
        pieces = archive.read(member.name, sent)
        if member.kind is Kind.DIRECTORY or member.name in exempt:
            deque(pieces, maxlen=0)  # its checksum
        elif member.name not in record:
            raise Unsound(f"its RECORD lacks {shown(member.name)}")
        elif fault := _compare(member, pieces, record[member.name]):
            yield fault


class _Row(NamedTuple):
    digest: str
    size: str


def _read_record(archive: ZipArchive, info: str) -> Mapping[str, _Row]:
    name = f"{info}/RECORD"
    members, rows = {member.name for member in archive.members}, dict[str, _Row]()
    text = io.TextIOWrapper(io.BytesIO(_read_small(archive, name, MAX_RECORD)), encoding="utf-8", newline="")
    for row in filter(None, csv.reader(text)):
        path, *rest = row
        if path.endswith("/"):
            continue  # some tools list folders
        if len(rest) != 2:
            raise Unsound(f"the row of {shown(path)} in its RECORD has {len(row)} fields instead of three")
        if path not in members:
            raise Unsound(f"its RECORD names {shown(path)}, which is not in it")
        if rows.setdefault(path, _Row(*rest)) != _Row(*rest):
            raise Unsound(f"its RECORD names {shown(path)} twice")
    return rows


def _compare(member: Member, pieces: Iterator[bytes], row: _Row) -> str | None:
    algorithm, _, expected = row.digest.partition("=")
    digest = hashlib.new(algorithm if algorithm in _ALGORITHMS else "sha256")
    for piece in pieces:
        digest.update(piece)
    if algorithm not in _ALGORITHMS:
        return f"its RECORD has no hash of sha256 or better for {shown(member.name)}"
    if urlsafe_b64encode(digest.digest()).decode().rstrip("=") != expected.rstrip("="):
        return f"its RECORD has another hash for {shown(member.name)}"
    if row.size not in ("", str(member.size)):
        return f"its RECORD has another size for {shown(member.name)}"
    return None


#: "sha256 or better" of those that every installer knows.
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})


def _examine_sdist(walk: Iterable[tuple[Member, Iterator[bytes]]], filename: str, identity: Identity) -> _Contents:
    names, core = set[str](), None
    for member, pieces in walk:
        names.add(member.name)
        if member.kind is Kind.FILE and re.fullmatch(r"[^/]+/PKG-INFO", member.name):
            core = read_core(_whole(pieces, "PKG-INFO", MAX_METADATA), "PKG-INFO")
        deque(pieces, maxlen=0)
    top = _find_top(names)
    if core is None:
        raise Unsound(f"it has no PKG-INFO in its folder {shown(top)}")
    _check_release(core, splits(filename.removesuffix(identity.kind)))
    if (core.project, core.version) not in splits(top):
        raise Unsound(f"its folder {shown(top)} is not named after {core.project} {core.version}")
    warnings = core.warnings + core.missing_licenses(names, top)
    if identity.kind != ".tar.gz":
        warnings += (f"it is a {identity.kind} sdist, and newer tools make .tar.gz only (PEP 625)",)
    found = identity._replace(project=core.project, version=core.version)
    return _Contents(found, None, core.requires_python, core.description, warnings)


def _skim_sdist(walk: Iterator[tuple[Member, Iterator[bytes]]], filename: str, identity: Identity) -> _Contents:
    for member, pieces in walk:
        if member.kind is Kind.FILE and re.fullmatch(r"[^/]+/PKG-INFO", member.name):
            core = read_core(_whole(pieces, "PKG-INFO", MAX_METADATA), "PKG-INFO")
            _check_release(core, splits(filename.removesuffix(identity.kind)))
            found = identity._replace(project=core.project, version=core.version)
            return _Contents(found, None, core.requires_python, core.description, core.warnings)
    raise Unsound("it has no PKG-INFO in its folder")


def _find_top(names: Iterable[str]) -> str:
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1:
        raise Unsound(f"it has {len(tops)} files or folders at its top instead of one, NAME-VERSION")
    return tops.pop()


def select(directory: Path, project: str, version: str) -> tuple[Path, ...]:
    """Find the artifacts of one release by what their names parse to; whatever else lies there is passed over.

    An sdist whose old name can be split in several ways (``foo-1.0-1.tar.gz``) is taken if its metadata says so.

    :param directory: where they were built to.
    :param project: name of the project in any spelling.
    :param version: in any spelling (PEP 440): ``1.0`` is ``1.0.0``.
    :returns: their paths, by name; not checked yet.
    :raises NoArtifacts: there is none; says what is there.
    :raises ConfigError: the version is none, or the directory is not there or cannot be listed.
    """
    release = canonicalize_name(project), parse_version(version)
    present = _list(directory)
    found = tuple(path for path in present if _is_of(path, *release))
    if not found:
        raise NoArtifacts(project, version, directory, [path.name for path in present])
    return found


def _list(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        hint = "Build first (python setup.py sdist bdist_wheel, or python -m build), or name the directory with -d."
        raise ConfigError(f"{directory} cannot be listed: {error.strerror}", hint=hint) from error


def _is_of(path: Path, project: NormalizedName, version: Version) -> bool:
    try:
        identity = parse_filename(path.name)
    except ValueError:
        return False
    if identity.kind not in (".tar.gz", ".zip"):
        return identity.kind == ".whl" and identity[:2] == (project, version)
    meanings = splits(path.name.removesuffix(identity.kind))
    return (project, version) in meanings and (len(meanings) == 1 or _says(path, project, version))


def _says(path: Path, project: NormalizedName, version: Version) -> bool:
    """Ask the metadata. What cannot be read is taken, for reading it again tells why."""
    try:
        return read(path).identity[:2] == (project, version)
    except ArtifactError:
        return True
