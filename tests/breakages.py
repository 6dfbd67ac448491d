"""Ways to break an index, each with what :mod:`pypiprivate.verify` should find; they work on every storage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pypiprivate import artifact, pages, simple
from pypiprivate.findings import Kind
from pypiprivate.model import Deleted, File, Project, ProjectList, Status, Used
from pypiprivate.publish import publish
from pypiprivate.storage.base import Storage

from .builders import make_sdist, make_wheel
from .repositories import record, root

#: Breaks something of a project of a sound index.
Break = Callable[[Storage, str], None]


@dataclass(frozen=True)
class Breakage:
    """One way to break an index.

    :ivar finds: the kinds of what is found; of notes, too.
    :ivar stays: whether it takes a human.
    """

    name: str
    do: Break
    finds: frozenset[Kind]
    stays: bool

    def __str__(self) -> str:
        return self.name


def fill(storage: Storage, directory: Path, *projects: str) -> None:
    """Publish a wheel and an sdist of each project."""
    for project in projects:
        paths = [make_wheel(directory, project, "1.0"), make_sdist(directory, project, "1.0")]
        publish(map(artifact.read, paths), storage)


def overwrite(storage: Storage, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
    """Write whatever lies there."""
    storage.swap(key, body, replacing=storage.get(key), content_type=content_type)


def wheel_of(storage: Storage, project: str) -> File:
    """The project's wheel, as its record has it."""
    return next(file for file in record(storage, project).held_files if file.filename.endswith(".whl"))


def edit_record(storage: Storage, edited: Project) -> None:
    """Write a record and the page made from it, as no edit of ours does."""
    overwrite(storage, simple.record_key(edited.name), simple.project_to_json(edited), simple.JSON_TYPE)
    overwrite(storage, simple.page_key(edited.name), pages.project_to_html(edited), simple.HTML_TYPE)


def edit_root(storage: Storage, edited: ProjectList) -> None:
    """Write the root record and its page."""
    overwrite(storage, simple.ROOT_RECORD, simple.root_to_json(edited), simple.JSON_TYPE)
    overwrite(storage, simple.ROOT_PAGE, pages.root_to_html(edited), simple.HTML_TYPE)


def _page(storage: Storage, key: str) -> bytes:
    stored = storage.get(key)
    assert stored
    return stored.body


def _lose(ending: str) -> Break:
    return lambda storage, project: storage.delete(f"{project}/{ending}")


def _lose_of_wheel(ending: str) -> Break:
    return lambda storage, project: storage.delete(f"{project}/{wheel_of(storage, project).key}{ending}")


def _older_page(storage: Storage, project: str) -> None:
    before = replace(record(storage, project), serial=0, files=())
    overwrite(storage, simple.page_key(project), pages.project_to_html(before), simple.HTML_TYPE)


def _edited_page(storage: Storage, project: str) -> None:
    page = _page(storage, simple.page_key(project)).replace(b"<h1>", b"<h1>Not ")
    overwrite(storage, simple.page_key(project), page, simple.HTML_TYPE)


def _page_of_another_tool(storage: Storage, project: str) -> None:
    overwrite(storage, simple.page_key(project), b"<!DOCTYPE html>\n<html><body></body></html>", simple.HTML_TYPE)


def _record(body: bytes) -> Break:
    return lambda storage, project: overwrite(storage, simple.record_key(project), body, simple.JSON_TYPE)


def _older_record(storage: Storage, project: str) -> None:
    before = replace(record(storage, project), serial=0)
    overwrite(storage, simple.record_key(project), simple.project_to_json(before), simple.JSON_TYPE)


def _listed_though_given_up(storage: Storage, project: str) -> None:
    found = record(storage, project)
    edit_record(storage, replace(found, used=(Used(found.files[0].key, "2026-01-01T00:00:00.000000Z"),)))


def _listed_twice(storage: Storage, project: str) -> None:
    found = record(storage, project)
    edit_record(storage, replace(found, files=(*found.files, found.files[0])))


def _without_its_version(storage: Storage, project: str) -> None:
    edit_record(storage, replace(record(storage, project), versions=()))


def _change(**changes: object) -> Break:
    """Give the wheel's entry other values, which no page and no record forbids."""

    def do(storage: Storage, project: str) -> None:
        found, wheel = record(storage, project), wheel_of(storage, project)
        changed: File = replace(wheel, **changes)  # type: ignore[arg-type]
        edit_record(storage, replace(found, files=tuple(changed if file == wheel else file for file in found.files)))

    return do


def _quarantined_and_offered(storage: Storage, project: str) -> None:
    edit_record(storage, replace(record(storage, project), status=Status("quarantined")))


def _active_and_withheld(storage: Storage, project: str) -> None:
    found = record(storage, project)
    edit_record(storage, replace(found, files=found.files[1:], withheld=found.files[:1]))


def _two_names_of_one_key(storage: Storage, project: str) -> None:
    found, wheel = record(storage, project), wheel_of(storage, project)
    again = replace(wheel, filename="other.whl")
    edit_record(storage, replace(found, files=(*found.files, again)))


def _listed_though_deleted(storage: Storage, project: str) -> None:
    found, wheel = record(storage, project), wheel_of(storage, project)
    edit_record(storage, replace(found, deleted=(Deleted(wheel.filename, "0" * 64),)))


def _older_page_without_record(storage: Storage, project: str) -> None:
    storage.delete(simple.record_key(project))
    _page_of_another_tool(storage, project)


def lose_of_respelt(ending: str) -> Break:
    """Of a wheel to which the record leads in a roundabout way."""

    def do(storage: Storage, project: str) -> None:
        found, wheel = record(storage, project), wheel_of(storage, project)
        respelt = replace(wheel, url=f"../{project}//./{wheel.url}")
        edit_record(storage, replace(found, files=tuple(respelt if file == wheel else file for file in found.files)))
        storage.delete(f"{project}/{wheel.key}{ending}")

    return do


def _longer_file(storage: Storage, project: str) -> None:
    key = f"{project}/{wheel_of(storage, project).key}"
    data = b"".join(storage.read(key)) + b"more"
    storage.store(key, data, sha256=hashlib.sha256(data).hexdigest())


def _other_file(storage: Storage, project: str) -> None:
    file = wheel_of(storage, project)
    data = b"x" * file.size
    storage.store(f"{project}/{file.key}", data, sha256=hashlib.sha256(data).hexdigest())


def _other_sidecar(storage: Storage, project: str) -> None:
    data = b"Metadata-Version: 2.1\n"
    key = f"{project}/{wheel_of(storage, project).key}.metadata"
    storage.store(key, data, sha256=hashlib.sha256(data).hexdigest())


def _other_metadata(storage: Storage, project: str) -> None:
    """The record announces what the sidecar has, and the wheel has something else."""
    found, file = record(storage, project), wheel_of(storage, project)
    data = b"Metadata-Version: 2.1\n"
    announced = replace(file, core_metadata={"sha256": hashlib.sha256(data).hexdigest()})
    _other_sidecar(storage, project)
    edit_record(storage, replace(found, files=tuple(announced if one == file else one for one in found.files)))


def _other_unhashed_metadata(storage: Storage, project: str) -> None:
    found, file = record(storage, project), wheel_of(storage, project)
    announced = replace(file, core_metadata=True)
    _other_sidecar(storage, project)
    edit_record(storage, replace(found, files=tuple(announced if one == file else one for one in found.files)))


def _lost_with_other_metadata(storage: Storage, project: str) -> None:
    _other_metadata(storage, project)
    storage.delete(f"{project}/{wheel_of(storage, project).key}.metadata")


def _wheel_and_sidecar(storage: Storage, project: str) -> None:
    key = f"{project}/{wheel_of(storage, project).key}"
    storage.delete(key)
    storage.delete(f"{key}.metadata")


def _other_wheel_and_no_sidecar(storage: Storage, project: str) -> None:
    _other_file(storage, project)
    storage.delete(f"{project}/{wheel_of(storage, project).key}.metadata")


def _unlisted(storage: Storage, project: str) -> None:
    found = root(storage)
    edit_root(storage, replace(found, projects={name: {} for name in found.projects if name != project}))


def _listed_without_record(storage: Storage, _project: str) -> None:
    edit_root(storage, root(storage).add(["ghost"]))


def _named_twice(storage: Storage, project: str) -> None:
    document = json.loads(_page(storage, simple.ROOT_RECORD))
    document["projects"].append({"name": project})
    overwrite(storage, simple.ROOT_RECORD, json.dumps(document).encode(), simple.JSON_TYPE)


def _lose_root(key: str) -> Break:
    return lambda storage, _project: storage.delete(key)


def _edited_root_page(storage: Storage, _project: str) -> None:
    page = _page(storage, simple.ROOT_PAGE).replace(b"<h1>", b"<h1>Not ")
    overwrite(storage, simple.ROOT_PAGE, page, simple.HTML_TYPE)


def _older_root_page(storage: Storage, _project: str) -> None:
    overwrite(storage, simple.ROOT_PAGE, pages.root_to_html(ProjectList()), simple.HTML_TYPE)


def _older_root_record(storage: Storage, _project: str) -> None:
    overwrite(storage, simple.ROOT_RECORD, simple.root_to_json(replace(root(storage), serial=0)), simple.JSON_TYPE)


def _root_record(storage: Storage, _project: str) -> None:
    overwrite(storage, simple.ROOT_RECORD, b"[]", simple.JSON_TYPE)


def _served_as_text(ending: str) -> Break:
    def do(storage: Storage, project: str) -> None:
        overwrite(storage, f"{project}/{ending}", _page(storage, f"{project}/{ending}"), "text/plain")

    return do


def _file_served_as_text(ending: str) -> Break:
    def do(storage: Storage, project: str) -> None:
        key = f"{project}/{wheel_of(storage, project).key}{ending}"
        overwrite(storage, key, _page(storage, key), "text/plain")

    return do


def _root_served_as_text(storage: Storage, _project: str) -> None:
    for key in (simple.ROOT_RECORD, simple.ROOT_PAGE):
        overwrite(storage, key, _page(storage, key), "text/plain")


def _mendable(name: str, do: Break, *finds: Kind) -> Breakage:
    return Breakage(name, do, frozenset(finds), stays=False)


def _final(name: str, do: Break, *finds: Kind) -> Breakage:
    return Breakage(name, do, frozenset(finds), stays=True)


#: Of one project, and mended by a repair.
MENDABLE = (
    _mendable("no page", _lose("index.html"), Kind.PAGE),
    _mendable("older page", _older_page, Kind.PAGE),
    _mendable("edited page", _edited_page, Kind.PAGE),
    _mendable("page of another tool", _page_of_another_tool, Kind.PAGE),
    _mendable("no sidecar", _lose_of_wheel(".metadata"), Kind.SIDECAR_MISSING),
    _mendable("other sidecar", _other_sidecar, Kind.SIDECAR_DAMAGED),
)
#: Where the store keeps headers.
HEADERS = (
    _mendable("record served as text", _served_as_text("index.json"), Kind.HEADERS),
    _mendable("page served as text", _served_as_text("index.html"), Kind.HEADERS),
    _mendable("wheel served as text", _file_served_as_text(""), Kind.HEADERS),
    _mendable("sidecar served as text", _file_served_as_text(".metadata"), Kind.HEADERS),
    _mendable("root served as text", _root_served_as_text, Kind.HEADERS),
)
ROOT = (
    _mendable("no root record", _lose_root(simple.ROOT_RECORD), Kind.ROOT),
    _mendable("no root page", _lose_root(simple.ROOT_PAGE), Kind.PAGE),
    _mendable("older root page", _older_root_page, Kind.PAGE),
    _mendable("edited root page", _edited_root_page, Kind.PAGE),
    _mendable("not in the root", _unlisted, Kind.UNLISTED),
)
NO_FILE = _final("no file", _lose_of_wheel(""), Kind.FILE_MISSING)
#: Takes a human.
FINAL = (
    _final("no record", _lose("index.json"), Kind.RECORD_MISSING),
    _final("unreadable record", _record(b"{"), Kind.RECORD_UNREADABLE),
    _final("older record", _older_record, Kind.RECORD_OUTDATED),
    _final("listed, though given up", _listed_though_given_up, Kind.RECORD_CONTRADICTORY),
    _final("listed twice", _listed_twice, Kind.RECORD_CONTRADICTORY),
    _final("version not counted", _without_its_version, Kind.RECORD_CONTRADICTORY),
    _final("another name", _change(filename="demo.whl"), Kind.RECORD_CONTRADICTORY),
    _final("no specifier", _change(requires_python="banana"), Kind.RECORD_CONTRADICTORY),
    _final("no time", _change(upload_time="yesterday"), Kind.RECORD_CONTRADICTORY),
    _final("no day", _change(upload_time="2026-02-30T00:00:00Z"), Kind.RECORD_CONTRADICTORY),
    _final("quarantined, and offered", _quarantined_and_offered, Kind.RECORD_CONTRADICTORY),
    _final("active, and withheld", _active_and_withheld, Kind.RECORD_CONTRADICTORY),
    _final("two names of one key", _two_names_of_one_key, Kind.RECORD_CONTRADICTORY),
    _final("listed, though deleted with other bytes", _listed_though_deleted, Kind.RECORD_CONTRADICTORY),
    _final("no record, and a page of another tool", _older_page_without_record, Kind.RECORD_MISSING),
    NO_FILE,
    _final("no file, and another spelling", lose_of_respelt(""), Kind.FILE_MISSING),
    _final("longer file", _longer_file, Kind.FILE_DAMAGED),
    _final("no file and no sidecar", _wheel_and_sidecar, Kind.FILE_MISSING, Kind.SIDECAR_MISSING),
    _final("sidecar of other metadata", _lost_with_other_metadata, Kind.SIDECAR_MISSING),
    _final("no record of a listed project", _listed_without_record, Kind.RECORD_MISSING),
    _final("named twice in the root", _named_twice, Kind.RECORD_CONTRADICTORY),
    _final("older root record", _older_root_record, Kind.RECORD_OUTDATED),
    _final("unreadable root record", _root_record, Kind.RECORD_UNREADABLE),
)
#: Where the store says the sha256 of a file, or where all bytes are read.
BYTES = (
    _final("other file", _other_file, Kind.FILE_DAMAGED),
    _final("other file, no sidecar", _other_wheel_and_no_sidecar, Kind.FILE_DAMAGED, Kind.SIDECAR_MISSING),
)
#: Where all bytes are read.
DEEP = (
    _final("other metadata in the wheel", _other_metadata, Kind.METADATA_DIFFERS),
    _final("other metadata in the wheel, unhashed", _other_unhashed_metadata, Kind.METADATA_DIFFERS),
    _final("another md5, and no sha256", _change(hashes={"md5": "0" * 32}), Kind.FILE_DAMAGED),
)
