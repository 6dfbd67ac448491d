"""The simple index: values to and from PEP 691 JSON, and the keys of its documents.

JSON is the record, and says API version 1.4 (PEP 629, 658, 691, 700, 714, 792); pages are derived from it. What a record holds
beyond what this version knows is kept and written back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, NoReturn

from .errors import UnsupportedIndex
from .filenames import is_normalized
from .model import SLASH_PAGES, Deleted, File, Project, ProjectList, Status, Used, versions_of

#: Content types of the two forms (PEP 691).
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "text/html; charset=utf-8"
#: Content type of Atom (RFC 4287).
FEED_TYPE = "application/atom+xml"

ROOT_RECORD = "index.json"
ROOT_PAGE = "index.html"
#: Page and feed of the newest releases.
NEWS_PAGE = "news.html"
NEWS_FEED = "news.xml"
#: The repository's own directory, as a key.
ROOT_SLASH = ""

_STATUSES = ("active", "archived", "deprecated", "quarantined")
#: A page whose serial has more digits would not be known as ours.
MAX_SERIAL = 10**18 - 1


def record_key(project: str) -> str:
    """Return the key of a project's record."""
    return f"{project}/index.json"


def page_key(project: str) -> str:
    """Return the key of a project's page."""
    return f"{project}/index.html"


def slash_key(project: str) -> str:
    """Return the key that is the URL of a project's directory, with the slash at its end."""
    return f"{project}/"


def projects_with_page(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the project directories among *keys* that have a page."""
    directories = (key.removesuffix("/index.html") for key in keys if key.endswith("/index.html"))
    return tuple(sorted(name for name in directories if is_normalized(name)))


def legacy_filenames(project: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return the names of what lies right in a project's directory and may be a file of an older index."""
    names = (key.removeprefix(f"{project}/") for key in keys)
    return tuple(name for name in names if "/" not in name and name not in ("", "index.html", "index.json"))


# -- JSON ---------------------------------------------------------------------------------------------------------------------


def project_to_json(project: Project) -> bytes:
    """Write a project's record (PEP 691, PEP 700, PEP 792). Keys of our own begin with ``_``; there are no nulls."""
    document: dict[str, Any] = {
        **project.extra,
        "meta": _meta(project),
        "name": project.name,
        "versions": list(project.versions),
        "files": [_file_to_json(file) for file in project.files],
    }
    if project.status != Status():
        marker, reason = project.status
        document["project-status"] = {"status": marker} | ({"reason": reason} if reason else {})
    own = {
        "_listed": project.listed,
        "_conditions": project.conditions,
        "_slash": project.slash_pages,
        "_used": [{"key": used.key, "time": used.time} for used in project.used],
        "_deleted": [{"filename": gone.filename, "sha256": gone.sha256} for gone in project.deleted],
        "_withheld": [_file_to_json(file) for file in project.withheld],
    }
    return _dump(document | {key: value for key, value in own.items() if value})


def project_from_json(body: bytes, name: str) -> Project:
    """Read the record of the project *name* (normalised).

    :raises UnsupportedIndex: it is no such record, or of a newer major version.
    """
    reader = _Reader(record_key(name))
    document = reader.document(body)
    if document.pop("name", None) != name:
        reader.refuse(f"it is not the record of {name}")
    meta, api_version, serial = reader.meta(document)
    files = tuple(_file_from_json(reader, item) for item in reader.objects(document, "files"))
    return Project(
        name=name,
        files=files,
        # Mandatory since API 1.1 (PEP 700); an older record is completed.
        versions=tuple(reader.strings(document, "versions")) if "versions" in document else versions_of(name, files),
        status=reader.status(document),
        serial=serial,
        listed=document.pop("_listed", False) is True,
        conditions=reader.optional(document, "_conditions", str),
        slash_pages=reader.slash_pages(document),
        used=tuple(Used(reader.text(item, "key"), reader.text(item, "time")) for item in reader.objects(document, "_used")),
        deleted=tuple(
            Deleted(reader.text(item, "filename"), reader.text(item, "sha256")) for item in reader.objects(document, "_deleted")
        ),
        withheld=tuple(_file_from_json(reader, item) for item in reader.objects(document, "_withheld")),
        api_version=api_version,
        extra=document,
        extra_meta=meta,
    )


def json_serial(body: bytes) -> int | None:
    """Return the serial of a record; None if it is no record of ours."""
    with suppress(UnsupportedIndex):
        reader = _Reader("")
        return reader.meta(reader.document(body))[2] or None
    return None


def root_to_json(root: ProjectList) -> bytes:
    """Write the root record (PEP 691)."""
    document = {
        **root.extra,
        "meta": _meta(root),
        "projects": [{**root.projects[name], "name": name} for name in sorted(root.projects)],
    }
    own = {"_conditions": root.conditions, "_news": root.news, "_slash": root.slash_pages}
    return _dump(document | {key: value for key, value in own.items() if value})


def root_from_json(body: bytes) -> ProjectList:
    """Read the root record.

    :raises UnsupportedIndex: it is no such record, or of a newer major version.
    """
    reader = _Reader(ROOT_RECORD)
    document = reader.document(body)
    meta, api_version, serial = reader.meta(document)
    return ProjectList(
        projects={reader.text(item, "name"): item for item in reader.objects(document, "projects")},
        serial=serial,
        conditions=reader.optional(document, "_conditions", str),
        news=document.pop("_news", False) is True,
        slash_pages=reader.slash_pages(document),
        api_version=api_version,
        extra=document,
        extra_meta=meta,
    )


def root_names(body: bytes) -> list[str]:
    """Return the names in a root record as they stand there, also one that stands there twice. Errors are as of the above."""
    reader = _Reader(ROOT_RECORD)
    return [reader.text(item, "name") for item in reader.objects(reader.document(body), "projects")]


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def _meta(record: Project | ProjectList) -> dict[str, Any]:
    major, minor = record.api_version
    return {**record.extra_meta, "api-version": f"{major}.{minor}", "_last-serial": record.serial}


def _file_to_json(file: File) -> dict[str, Any]:
    item = {**file.extra, "filename": file.filename, "url": file.url, "hashes": dict(file.hashes), "size": file.size}
    if file.upload_time is not None:
        item["upload-time"] = file.upload_time
    if file.requires_python is not None:
        item["requires-python"] = file.requires_python
    if file.core_metadata is not False:
        item["core-metadata"] = dict(file.core_metadata) if isinstance(file.core_metadata, Mapping) else file.core_metadata
    if file.yanked is not False:
        item["yanked"] = file.yanked
    if file.readme:
        item["_readme"] = True
    return item


def _file_from_json(reader: _Reader, item: dict[str, Any]) -> File:
    hashes = reader.required(item, "hashes", dict)
    for name, value in hashes.items():
        if not isinstance(value, str):
            reader.refuse_kind(name)
    core_metadata = item.pop("core-metadata", False)
    if not isinstance(core_metadata, (bool, dict)):
        reader.refuse("core-metadata of a file is neither true or false nor hashes")
    yanked = item.pop("yanked", False)
    if not isinstance(yanked, (bool, str)):
        reader.refuse("yanked of a file is neither true or false nor a text")
    return File(
        filename=reader.text(item, "filename"),
        url=reader.text(item, "url"),
        hashes=hashes,
        size=reader.required(item, "size", int),
        upload_time=reader.optional(item, "upload-time", str),
        requires_python=reader.optional(item, "requires-python", str),
        core_metadata=core_metadata,
        yanked=True if yanked == "" else yanked,  # PEP 700: a text is not empty
        readme=item.pop("_readme", False) is True,
        extra=item,
    )


class _Reader:
    """Takes a document apart key by key, so that what is left over is what this version does not know."""

    def __init__(self, key: str) -> None:
        self.key = key

    def refuse(self, reason: str) -> NoReturn:
        raise UnsupportedIndex(self.key, reason)

    def document(self, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body.decode("utf-8"), parse_constant=self._no_number, parse_float=self._finite)
        except (ValueError, RecursionError) as error:
            raise UnsupportedIndex(self.key, "it is not JSON") from error
        if not isinstance(document, dict):
            self.refuse("it is not a JSON object")
        return document

    def meta(self, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[int, int], int]:
        """Take ``meta`` out: what is unknown in it, the API version (PEP 629; never lowered), the serial."""
        meta = self.required(document, "meta", dict)
        version = self.text(meta, "api-version")
        match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", version)
        if not match or match[1] != "1":
            self.refuse(f"its api-version is {version!r}, and this program understands 1.x")
        serial = self.optional(meta, "_last-serial", int)
        if serial is not None and not 0 <= serial < MAX_SERIAL:
            self.refuse("its serial is negative or too large")
        return meta, max((1, int(match[2])), (1, 4)), serial or 0

    def status(self, document: dict[str, Any]) -> Status:
        status = self.optional(document, "project-status", dict) or {}
        marker = self.optional(status, "status", str) or "active"
        if marker not in _STATUSES:
            self.refuse(f"its project-status {marker!r} is none of PEP 792's")
        return Status(marker, self.optional(status, "reason", str) or None)

    def slash_pages(self, document: dict[str, Any]) -> str | None:
        form: str | None = self.optional(document, "_slash", str)
        if form not in (None, *SLASH_PAGES):
            self.refuse(f"its slash page is of a form that this program does not know, {form!r}")
        return form

    def required(self, document: dict[str, Any], key: str, kind: type) -> Any:
        # What JSON is read as is of these types, and not of others that inherit from them; a bool is no int.
        value = document.pop(key, None)
        return value if type(value) is kind else self.refuse_kind(key)

    def optional(self, document: dict[str, Any], key: str, kind: type) -> Any:
        value = document.pop(key, None)
        return value if value is None or type(value) is kind else self.refuse_kind(key)

    def text(self, document: dict[str, Any], key: str) -> str:
        value = document.pop(key, None)
        return value if isinstance(value, str) else self.refuse_kind(key)

    def refuse_kind(self, key: str) -> NoReturn:
        self.refuse(f"its {key!r} is missing or not of the right kind")

    def objects(self, document: dict[str, Any], key: str) -> list[dict[str, Any]]:
        return self._items(document, key, dict)

    def strings(self, document: dict[str, Any], key: str) -> list[str]:
        return self._items(document, key, str)

    def _items(self, document: dict[str, Any], key: str, kind: type) -> list[Any]:
        items = self.optional(document, key, list) or []
        if not all(isinstance(item, kind) for item in items):
            self.refuse(f"its {key!r} holds something that is not of the right kind")
        return list(items)

    def _no_number(self, name: str) -> NoReturn:
        raise ValueError(name)

    def _finite(self, text: str) -> float:
        """1e999 is JSON, and could not be written back."""
        return number if isfinite(number := float(text)) else self._no_number(text)
