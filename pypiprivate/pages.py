"""Pages: what a person reads in a browser and an installer without JSON (PEP 503), derived from a record.

HTML says API version 1.4 and is frozen there (PEP 833): PEP 592, 629, 658, 714, 792. A page has one anchor a file or project,
and no other anchor. It is one object: its style and its script stand in it, and its own policy lets nothing else run.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from html import escape
from pkgutil import get_data
from urllib.parse import quote

from .filenames import SDIST_KINDS
from .model import File, Project, ProjectList, Status, readme_of
from .releases import Release, newest_of, releases_of

#: Style and script, and the policy that holds their hashes.
_LOOKS = re.compile(
    rb'(?<=<meta http-equiv="Content-Security-Policy" content=")[^"<>]*'
    rb"|(?<=<style>)[^<]*(?=</style>)|(?<=<script>).*?(?=</script>)",
    re.DOTALL,
)
_SERIAL = re.compile(rb'<meta name="pypiprivate:serial" content="([0-9]{1,18})">')
#: Relative, or absolute to what an installer can fetch.
_FETCHED = re.compile(r"(https?|file)://|[^:/?#]*([/?#]|\Z)", re.IGNORECASE)
# Nothing that HTML takes for anything but text. To see that is cheaper than to look for each thing that might be.
_PLAIN = re.compile(r"[\w./#=%:+!~ -]*\Z", re.ASCII)
# Our serial stands in the head, before anything that a project could have written.
_HEAD = 1024
#: Comments on lines of their own, and blanks that are in no text: all of it would come with every page.
_LEFT_OUT = {
    "page.css": re.compile(r"/\*.*?\*/\s*|\s+(?=[{},>])|(?<=[{};:,>])\s+|;\s*(?=})", re.DOTALL),
    "page.js": re.compile(r"\s*^\s*//.*\s*|^\s+|\s+(?=[=?:&|<>{}*/(!])|(?<=[=?:&|<>,;{*/])\s+|;\s*(?=}|\Z)", re.MULTILINE),
}
#: Not an anchor, which would be taken for a file.
_UP = '<form action="../index.html"><button>All projects</button></form>\n'
#: The way to what is new: neither is an anchor, either.
_NEWS = '<form action="news.html"><button>Newest releases</button></form>\n'
_FEED = '<link rel="alternate" type="application/atom+xml" title="Newest releases" href="news.xml">\n'
#: A box to search in, which the script shows, because it is of no use without.
_SEARCH = '<p><label hidden>Search <input type="search"></label> <output></output>\n'
#: Files of a release that are not folded up.
_FEW = 2
#: What a marker means to a reader (PEP 792).
_STATUSES = {
    "archived": "Archived: nothing new is published here.",
    "deprecated": "Deprecated: something else is to be used.",
    "quarantined": "Quarantined: its files are not offered.",
}


def page_serial(body: bytes) -> int | None:
    """Return the serial of the record that a page was derived from; None if the page is not ours."""
    match = _SERIAL.search(body[:_HEAD])
    return int(match[1]) if match else None


def page_names(body: bytes, project: str) -> bool:
    """Tell whether a root page of ours names *project*."""
    return f'<a href="{project}/">'.encode() in body


def page_is_of(body: bytes, project: str) -> bool:
    """Tell whether a page of ours is that of *project*."""
    return f"<title>{project}</title>".encode() in body[:_HEAD]


def without_looks(body: bytes) -> bytes:
    """Return what a page of ours says, without its style, its script and its policy, which differ from version to version."""
    return _LOOKS.sub(b"", body)


def project_to_html(project: Project) -> bytes:
    """Write a project's page (PEP 503, 592, 629, 658, 714, 792): one anchor a file, the newest release first."""
    readme = _readme(project)
    main = f"{_status(project.status)}{_install(project)}{readme}{_releases(project)}"
    frames = "frame-src 'self'; " if readme else ""
    return _page(project.serial, project.name, main, head=_status_metas(project.status), above=_UP, frames=frames)


def root_to_html(root: ProjectList) -> bytes:
    """Write the root page (PEP 503): one anchor a project."""
    names = (f'<li><a href="{quote(name, safe="", errors="replace")}/">{escape(name)}</a>\n' for name in sorted(root.projects))
    head, above = (_FEED, _NEWS) if root.news else ("", "")
    return _page(root.serial, "Package index", f"{_SEARCH}<ul>\n{''.join(names)}</ul>\n", head=head, above=above)


def _page(serial: int, title: str, main: str, *, head: str = "", above: str = "", frames: str = "") -> bytes:
    # The policy comes before all that it is about, and the serial in the first bytes.
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{frames}{_policy()}">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        f'<meta name="pypiprivate:serial" content="{serial}">\n'
        f"<title>{escape(title)}</title>\n"
        f"{head}"
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<style>{_asset('page.css')}</style>\n"
        "</head>\n"
        "<body>\n"
        "<main>\n"
        f"{above}"
        f"<h1>{escape(title)}</h1>\n"
        f"{main}"
        "</main>\n"
        f"<script>{_asset('page.js')}</script>\n"
        "</body>\n"
        "</html>\n"
    ).encode("utf-8", "replace")


@cache
def _policy() -> str:
    """Return what a page may do: be styled and run by what it was written with, and show what lies beside it.

    A web server's header can only take away from that. So the header of our recipes need not know the hashes of this version.
    """
    style, script = (b64encode(sha256(_asset(name).encode()).digest()).decode() for name in ("page.css", "page.js"))
    return f"default-src 'none'; base-uri 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; form-action 'self'"


def style() -> str:
    """Return the style of all pages (CSS)."""
    return _asset("page.css")


@cache
def _asset(name: str) -> str:
    text = (get_data(__package__, f"assets/{name}") or b"").decode()
    return _LEFT_OUT[name].sub("", text)


# -- what a page says before its list -----------------------------------------------------------------------------------------


def _status_metas(status: Status) -> str:
    marker = f'<meta name="pypi:project-status" content="{status.marker}">\n' if status != Status() else ""
    reason = f'<meta name="pypi:project-status-reason" content="{escape(status.reason)}">\n' if status.reason else ""
    return marker + reason


def _status(status: Status) -> str:
    if status == Status():
        return ""
    said = _STATUSES.get(status.marker, status.marker)
    return f"<p><strong>{escape(said)}</strong> {escape(status.reason or '')}\n"


def _install(project: Project) -> str:
    """Return how to install it, by one index that is asked alone or first; the script fills in its URL."""
    if not project.files:
        return ""
    name = escape(project.name)
    index = "<var>INDEX-URL</var>"
    return (
        "<h2>Install</h2>\n"
        f"<pre>uv add --index private={index} {name}</pre>\n"
        "<p>or, from here alone:\n"
        f"<pre>pip install --index-url {index} {name}</pre>\n"
    )


def _readme(project: Project) -> str:
    """Show the README of the newest release that has one: a page of its own, which may do nothing but lead elsewhere."""
    described = [file for file in project.files if file.readme and not file.yanked]
    release = newest_of(releases_of(project, described)) if described else None
    if release is None:
        return ""
    # Of two files of one release the wheel's.
    file = max(release.files, key=lambda file: file.filename.endswith(".whl"))
    title, source = escape(f"README of {project.name} {release.version}"), escape(readme_of(_inert(file.url)))
    return (
        "<details open><summary>README</summary>"
        '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" loading="lazy" '
        f'title="{title}" src="{source}"></iframe></details>\n'
    )


# -- releases -----------------------------------------------------------------------------------------------------------------


def _releases(project: Project) -> str:
    found = releases_of(project, project.files)
    newest = newest_of(found)
    rows = "".join([_row(release, is_open=release is newest) for release in found])
    if not found:
        return f"{_SEARCH}<p>There are no files.\n"
    header = "<thead><tr><th>Version<th>Released<th>Python<th>Size<th>Files\n"
    return f"<h2>Releases</h2>\n{_SEARCH}<table>\n{header}<tbody>\n{rows}</table>\n"


def _row(release: Release, *, is_open: bool) -> str:
    # When, for which Python and how large the anchors say; the script makes columns of it.
    return f"<tr><th>{_heading(release)}<td><td><td><td>{_files(release, is_open=is_open)}"


def _files(release: Release, *, is_open: bool) -> str:
    """Return the list of files, folded up if they are many."""
    # The script takes for said of all files what stands in the first line of a row.
    listed = "\n" + "".join([f"<p>{_anchor(file)}{_note(file, release)}\n" for file in release.files])
    if len(release.files) <= _FEW:
        return listed
    return f"<details{' open' if is_open else ''}><summary>{_kinds(release)}</summary>{listed}</details>\n"


def _heading(release: Release) -> str:
    """Return its version and what is to be said of it; nothing where everybody, the script too, reads it in a file's name."""
    version = "unknown" if release.version is None else str(release.version)
    marks = _yanked(release.yanked)
    if release.version and release.version.is_prerelease:
        marks = f" <small>pre-release</small>{marks}"
    is_read = len(release.files) <= _FEW and _version_read_in(release.files[0].filename) == version
    return "" if is_read and not marks else f"{version}{marks}"


def _version_read_in(filename: str) -> str:
    """As the script does; names that are not as they should be say something else, and then the version is written."""
    _, _, rest = filename.partition("-")
    return rest.partition("-")[0].removesuffix(".tar.gz").removesuffix(".zip")


def _yanked(mark: bool | str) -> str:
    if not mark:
        return ""
    return f" <small>yanked: {escape(mark)}</small>" if isinstance(mark, str) else " <small>yanked</small>"


def _kinds(release: Release) -> str:
    """Say what there is: ``sdist, 12 wheels``."""
    wheels = sum([file.filename.endswith(".whl") for file in release.files])
    sdists = sum([file.filename.endswith(SDIST_KINDS) for file in release.files])
    kinds = ((sdists, "sdist"), (wheels, "wheel"), (len(release.files) - sdists - wheels, "other file"))
    return ", ".join([f"{count} {kind}s" if count > 1 else kind for count, kind in kinds if count])


def _note(file: File, release: Release) -> str:
    """Say of a file what its release does not say already. Its size is written by the script, from the anchor."""
    return "" if release.yanked else _yanked(file.yanked)


def _anchor(file: File) -> str:
    url = _inert(file.url) + _fragment(file.hashes)
    # One look at all of it, for there may be thousands.
    quoted = str if _PLAIN.match(f"{url}{file.upload_time}{file.filename}") else escape
    python = f' data-requires-python="{_python(file.requires_python)}"' if file.requires_python is not None else ""
    core_metadata = f' data-core-metadata="{_core_metadata(file.core_metadata)}"' if file.core_metadata is not False else ""
    # Never bare: pip's parser takes a bare attribute for none (PEP 592 allows both).
    yanked = f' data-yanked="{escape(file.yanked) if isinstance(file.yanked, str) else ""}"' if file.yanked is not False else ""
    time = f' data-upload-time="{quoted(file.upload_time)}"' if file.upload_time is not None else ""
    return f'<a href="{quoted(url)}"{python}{core_metadata}{yanked}{time} data-size="{file.size}">{quoted(file.filename)}</a>'


@lru_cache
def _python(specifier: str) -> str:
    """A project says few different ones."""
    return escape(specifier)


def _inert(url: str) -> str:
    """A link that only fetches: what an inherited record holds may be ``javascript:``, and people open the page in a browser."""
    return url if _FETCHED.match(url) else f"./{url}"


def _fragment(hashes: Mapping[str, str]) -> str:
    """The one hash that a link can carry: the best that every installer takes (uv refuses a page with any other)."""
    for best in ("sha256", "sha384", "sha512", "md5"):
        if best in hashes:
            return f"#{best}={hashes[best]}"
    return ""


def _core_metadata(core_metadata: Mapping[str, str] | bool) -> str:
    if isinstance(core_metadata, Mapping):
        announced = _fragment(core_metadata)[1:] or "true"
        return announced if _PLAIN.match(announced) else escape(announced)
    return "true"
