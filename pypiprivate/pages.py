"""Pages: what a person reads in a browser and an installer without JSON (PEP 503), derived from a record.

HTML says API version 1.4 and is frozen there (PEP 833): PEP 592, 629, 658, 714, 792. A page has one anchor a file or project,
and no other anchor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from .model import File, Project, ProjectList, Status

_SERIAL = re.compile(rb'<meta name="pypiprivate:serial" content="([0-9]{1,18})">')
#: Relative, or absolute to what an installer can fetch.
_FETCHED = re.compile(r"(https?|file)://|[^:/?#]*([/?#]|\Z)", re.IGNORECASE)
# Our serial stands in the head, before anything that a project could have written.
_HEAD = 1024


def page_serial(body: bytes) -> int | None:
    """Return the serial of the record that a page was derived from; None if the page is not ours."""
    match = _SERIAL.search(body[:_HEAD])
    return int(match[1]) if match else None


def page_names(body: bytes, project: str) -> bool:
    """Tell whether a root page of ours names *project*."""
    return f'<a href="{project}/">'.encode() in body


def project_to_html(project: Project) -> bytes:
    """Write a project's page (PEP 503, 592, 629, 658, 714, 792): one anchor a file, and no other anchor."""
    marker, reason = project.status
    status = f'<meta name="pypi:project-status" content="{marker}">\n' if project.status != Status() else ""
    if reason:
        status += f'<meta name="pypi:project-status-reason" content="{escape(reason)}">\n'
    lines = (_anchor(file) for file in project.files)
    return _page(project.serial, f"Links for {project.name}", lines, head=status)


def root_to_html(root: ProjectList) -> bytes:
    """Write the root page (PEP 503): one anchor a project."""
    lines = (f'<a href="{quote(name, safe="", errors="replace")}/">{escape(name)}</a><br>' for name in sorted(root.projects))
    return _page(root.serial, "Simple index", lines)


def _page(serial: int, title: str, lines: Iterable[str], *, head: str = "") -> bytes:
    body = "\n".join(lines)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        f'<meta name="pypiprivate:serial" content="{serial}">\n'
        f"{head}"
        f"<title>{escape(title)}</title>\n"
        "</head>\n"
        "<body>\n"
        f"<h1>{escape(title)}</h1>\n"
        f"{body}\n"
        "</body>\n"
        "</html>\n"
    ).encode("utf-8", "replace")


def _anchor(file: File) -> str:
    attributes = {
        "href": _inert(file.url) + _fragment(file.hashes),
        "data-requires-python": file.requires_python,
        "data-core-metadata": _core_metadata(file.core_metadata),
        # Never bare: pip's parser takes a bare attribute for none (PEP 592 allows both).
        "data-yanked": file.yanked if isinstance(file.yanked, str) else "" if file.yanked else None,
        "data-upload-time": file.upload_time,
        "data-size": str(file.size),
    }
    text = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items() if value is not None)
    return f"<a{text}>{escape(file.filename)}</a><br>"


def _inert(url: str) -> str:
    """A link that only fetches: what an inherited record holds may be ``javascript:``, and people open the page in a browser."""
    return url if _FETCHED.match(url) else f"./{url}"


def _fragment(hashes: Mapping[str, str]) -> str:
    """The one hash that a link can carry: the best that every installer takes (uv refuses a page with any other)."""
    best = next((name for name in ("sha256", "sha384", "sha512", "md5") if name in hashes), None)
    return f"#{best}={hashes[best]}" if best else ""


def _core_metadata(core_metadata: Mapping[str, str] | bool) -> str | None:
    if isinstance(core_metadata, Mapping):
        return _fragment(core_metadata).removeprefix("#") or "true"
    return "true" if core_metadata else None
