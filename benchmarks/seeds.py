"""What lay in a repository before: so many projects, in each tool's own layout; the one that is published to is ``demo``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pypiprivate import pages as html
from pypiprivate import simple
from pypiprivate.model import File, Project, ProjectList, url_of

PROJECT = "demo"
_TIME = "2026-01-01T00:00:00Z"


def names(projects: int) -> list[str]:
    """Return the names of so many projects."""
    return [PROJECT, *(f"project-{number:05}" for number in range(projects - 1))]


def ours(projects: int, files: int = 20, others: int = 2) -> dict[str, bytes]:
    """Return records and pages as pypiprivate writes them.

    :param files: of the project that is published to; the *others* have so many. Their bytes are not there.
    """
    root = ProjectList(serial=1).add(names(projects))
    objects = {simple.ROOT_RECORD: simple.root_to_json(root), simple.ROOT_PAGE: html.root_to_html(root)}
    for name in root.projects:
        project = _project(name, files if name == PROJECT else others)
        objects[simple.record_key(name)] = simple.project_to_json(project)
        objects[simple.page_key(name)] = html.project_to_html(project)
    return objects


def floor() -> dict[str, bytes]:
    """Return the one index that the floor reads and writes."""
    index = {"files": [{"filename": name, "url": name} for name in _filenames(PROJECT, 20)]}
    return {f"{PROJECT}/index.json": json.dumps(index).encode()}


def pages(projects: int) -> dict[str, bytes]:
    """Return pages of links to file names beside them, as s3pypi and the original pypiprivate write them."""
    objects = {f"{name}/index.html": _page(_filenames(name, 20 if name == PROJECT else 2)) for name in names(projects)}
    return {**objects, "index.html": _page(f"{name}/" for name in names(projects))}


def listed(projects: int, files: int = 2) -> list[dict[str, Any]]:
    """Return the list of files that dumb-pypi is given."""
    return [described(name) for project in names(projects) for name in _filenames(project, files)]


def described(filename: str, sha256: str = "") -> dict[str, Any]:
    """Return a line of that list."""
    digest = sha256 or hashlib.sha256(filename.encode()).hexdigest()
    return {"filename": filename, "hash": f"sha256={digest}", "upload_timestamp": 1767225600, "requires_python": ">=3.10"}


def _filenames(project: str, count: int) -> Iterator[str]:
    stem = project.replace("-", "_")
    for number in range(count):
        yield f"{stem}-0.{number // 2}" + (".tar.gz" if number % 2 else "-py3-none-any.whl")


def _project(name: str, count: int) -> Project:
    files = tuple(_file(filename) for filename in _filenames(name, count))
    return Project(name, files, tuple(f"0.{number}" for number in range(count // 2)), serial=count, listed=True)


def _file(filename: str) -> File:
    digest = hashlib.sha256(filename.encode()).hexdigest()
    sidecar = filename.endswith(".whl") and {"sha256": digest}
    return File(filename, url_of(f"{digest[:32]}/{filename}"), {"sha256": digest}, 20_000, _TIME, ">=3.10", sidecar)


def _page(links: Iterator[str]) -> bytes:
    lines = "".join(f'    <a href="{link}">{link}</a><br>\n' for link in links)
    return f"<!DOCTYPE html>\n<html>\n<body>\n{lines}</body>\n</html>\n".encode()
