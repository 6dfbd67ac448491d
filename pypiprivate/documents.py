"""What is derived from a record: its page, and its slash page, which lies where the URL of their directory leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from . import pages, simple
from .model import Project, ProjectList

Record = TypeVar("Record", Project, ProjectList)


@dataclass(frozen=True)
class Document(Generic[Record]):
    """Something derived from a record, that says its serial (:func:`serial_of`).

    :ivar dump: makes it from the record.
    """

    key: str
    content_type: str
    dump: Callable[[Record], bytes]

    @property
    def is_slash(self) -> bool:
        """Whether its key is the URL of its directory."""
        return self.key == simple.ROOT_SLASH or self.key.endswith("/")

    @property
    def name(self) -> str:
        """The key, for people."""
        return self.key or "/"


def of_project(project: Project) -> tuple[Document[Project], ...]:
    """Return what is derived from a project's record: its page, then its slash page if it has one."""
    return _documents(project, simple.slash_key(project.name), pages.project_to_html, simple.project_to_json)


def of_root(root: ProjectList) -> tuple[Document[ProjectList], ...]:
    """Return what is derived from the root record: the same."""
    return _documents(root, simple.ROOT_SLASH, pages.root_to_html, simple.root_to_json)


def _documents(
    record: Record, directory: str, to_html: Callable[[Record], bytes], to_json: Callable[[Record], bytes]
) -> tuple[Document[Record], ...]:
    page = Document(f"{directory}index.html", simple.HTML_TYPE, to_html)
    forms = {"html": Document(directory, simple.HTML_TYPE, to_html), "json": Document(directory, simple.JSON_TYPE, to_json)}
    return (page, forms[record.slash_pages]) if record.slash_pages in forms else (page,)


def serial_of(body: bytes) -> int | None:
    """Return the serial of the record that a document, in either form, was derived from; None if it is not ours."""
    return simple.json_serial(body) if body.startswith(b"{") else pages.page_serial(body)
