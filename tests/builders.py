"""Real, tiny, installable wheels and sdists from keyword arguments: equal arguments give equal bytes.

>>> make_wheel(tmp_path, "Demo", "1.0", requires_python=">=3.10")                  # demo-1.0-py3-none-any.whl
>>> make_sdist(tmp_path, "Demo", "1.0", files={"src/more.py": b"other bytes"})     # demo-1.0.tar.gz
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def make_wheel(
    directory: Path,
    project: str = "demo",
    version: str = "1.0",
    *,
    tags: str = "py3-none-any",
    build: str = "",
    requires_python: str | None = None,
    headers: Mapping[str, str] | None = None,
    description: str = "",
    files: Mapping[str, bytes] | None = None,
    filename: str | None = None,
) -> Path:
    """Write a wheel into *directory* (made if missing) and return its path.

    :param tags: python, ABI and platform as in the file name.
    :param build: the build tag, ``1`` or ``2local``.
    :param requires_python: of METADATA, none if None.
    :param headers: further headers of METADATA, or other values for Name, Version and Metadata-Version.
    :param description: the body of METADATA.
    :param files: further members; one of the same name as a default one (also METADATA, WHEEL, RECORD) replaces it.
    :param filename: instead of the normalised one.
    """
    members = wheel_files(
        project,
        version,
        tags=tags,
        build=build,
        metadata=core_metadata(project, version, requires_python=requires_python, headers=headers, description=description),
        files=files,
    )
    parts = [_escaped(project), version, *([build] if build else []), tags]
    return write_zip(directory / (filename or "-".join(parts) + ".whl"), members)


def make_sdist(
    directory: Path,
    project: str = "demo",
    version: str = "1.0",
    *,
    format: str = ".tar.gz",
    requires_python: str | None = None,
    headers: Mapping[str, str] | None = None,
    description: str = "",
    files: Mapping[str, bytes] | None = None,
    filename: str | None = None,
) -> Path:
    """Write a sdist that setuptools can build into *directory* (made if missing) and return its path.

    :param format: ``.tar.gz`` or ``.zip``.
    :param files: further members, by their path inside the top folder; PKG-INFO and setup.py may be replaced.
    :param filename: instead of the normalised one; the top folder is always ``NAME-VERSION``, normalised.

    The others as in :func:`make_wheel`.
    """
    top = f"{_escaped(project)}-{version}"
    inside = {
        "PKG-INFO": core_metadata(project, version, requires_python=requires_python, headers=headers, description=description),
        "setup.py": f"from setuptools import setup\nsetup(name={project!r}, version={version!r}, py_modules=[])\n".encode(),
        **(files or {}),
    }
    write = {".tar.gz": write_targz, ".zip": write_zip}[format]
    return write(directory / (filename or top + format), {f"{top}/{name}": body for name, body in inside.items()})


def core_metadata(
    project: str,
    version: str,
    *,
    requires_python: str | None = None,
    headers: Mapping[str, str] | None = None,
    description: str = "",
) -> bytes:
    """Return a METADATA or PKG-INFO file."""
    given = {"Metadata-Version": "2.1", "Name": project, "Version": version}
    if requires_python is not None:
        given["Requires-Python"] = requires_python
    given.update(headers or {})
    return ("".join(f"{name}: {value}\n" for name, value in given.items()) + f"\n{description}").encode()


def wheel_files(
    project: str,
    version: str,
    *,
    tags: str = "py3-none-any",
    build: str = "",
    metadata: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return the members of a wheel, RECORD last and right for all others unless *files* brings its own."""
    info = f"{_escaped(project)}-{version}.dist-info"
    python, abi, platform = tags.split("-")
    expanded = [f"{p}-{a}-{f}" for p in python.split(".") for a in abi.split(".") for f in platform.split(".")]
    wheel = ["Wheel-Version: 1.0", "Generator: tests", "Root-Is-Purelib: true", *(f"Tag: {tag}" for tag in expanded)]
    wheel += [f"Build: {build}"] if build else []
    members = {
        f"{_escaped(project)}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{info}/METADATA": metadata if metadata is not None else core_metadata(project, version),
        f"{info}/WHEEL": "\n".join([*wheel, ""]).encode(),
        **(files or {}),
    }
    record = members.pop(f"{info}/RECORD", None)
    return {**members, f"{info}/RECORD": record if record is not None else record_of(members, f"{info}/RECORD")}


def record_of(members: Mapping[str, bytes], itself: str) -> bytes:
    """Return the RECORD of *members*; *itself* is its own name, listed without a hash."""
    return "".join([*(f"{name},{_digest(body)},{len(body)}\n" for name, body in members.items()), f"{itself},,\n"]).encode()


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip archive with the same time in every member."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            archive.writestr(info, body)
    return path


def write_targz(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a gzipped tar archive with the same time in every member."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(body), 1767225600, 0o644
            archive.addfile(info, io.BytesIO(body))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar.getvalue(), mtime=0))
    return path


def _escaped(project: str) -> str:
    return re.sub(r"[-_.]+", "_", project).lower()


def _digest(body: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
