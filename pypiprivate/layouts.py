"""Indexes of other tools: what their pages and lists say of files, and which layout lies somewhere. Reads nothing itself.

Whatever is wrong in a page is passed over here: it is an older index as it is, and not one that we wrote.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from .errors import ConfigError
from .filenames import is_normalized, parse_filename
from .model import File, timestamp

#: Letters of a requires-python and of a reason: every page repeats them.
_LONGEST = 1_000


@dataclass(frozen=True)
class Link:
    """A file as an older index lists it.

    :ivar filename: the last part of its URL.
    :ivar url: as it stands there, without its fragment; where a list has file names only, that.
    :ivar hashes: hex digests by name of algorithm, of those that every Python knows.
    :ivar upload_time: as :func:`.model.timestamp` writes it; None where nothing says it.
    :ivar requires_python: a specifier, white space collapsed; None where there is none.
    :ivar yanked: False, True, or the reason (PEP 592).
    """

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    upload_time: str | None = None
    requires_python: str | None = None
    yanked: bool | str = False

    def describe(self, file: File, digests: Mapping[str, str]) -> File:
        """Return *file*, of which the bytes say all that they can, with what only the index knew: marks, times, more hashes.

        :param digests: of the bytes; a hash is kept where they confirm it.
        """
        confirmed = {name: value for name, value in self.hashes.items() if digests.get(name) == value}
        return replace(
            file,
            hashes={**confirmed, **file.hashes},
            upload_time=self.upload_time or file.upload_time,
            requires_python=file.requires_python or self.requires_python,
            yanked=self.yanked,
        )

    def contradicts(self, file: File, digests: Mapping[str, str]) -> Iterator[str]:
        """Yield what the index says otherwise than the bytes do, a sentence each."""
        for name, value in self.hashes.items():
            if digests.get(name) != value:
                yield f"the older index says another {name} than its bytes have; it is listed with the true one"
        if self.requires_python and file.requires_python and _spelt(self.requires_python) != _spelt(file.requires_python):
            yield (
                f"the older index says that it requires Python {self.requires_python}, its metadata say "
                f"{file.requires_python}; its metadata count"
            )

    def completed(self, other: Link) -> Link:
        """Return the link with what another form of the same page says beyond it."""
        return replace(
            self,
            hashes={**other.hashes, **self.hashes},
            upload_time=self.upload_time or other.upload_time,
            requires_python=self.requires_python or other.requires_python,
            yanked=self.yanked if isinstance(self.yanked, str) else other.yanked or self.yanked,
        )


# -- pages and lists ----------------------------------------------------------------------------------------------------------


def read_html(body: bytes) -> dict[str, Link]:
    """Return what a page (PEP 503) links to, by file name; of two links to one name the first."""
    parser = _Anchors()
    parser.feed(body.decode("utf-8", "replace"))
    parser.close()
    return _by_filename(map(_html_link, parser.found))


def read_json(body: bytes) -> dict[str, Link]:
    """Return what a page of the JSON form (PEP 691) lists, by file name.

    :raises ValueError: it is no such page.
    """
    document = json.loads(body.decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("it is no object")
    files = document.get("files", [] if "projects" in document else None)  # a root page lists none
    if not isinstance(files, list):
        raise ValueError("it has no files")
    return _by_filename(_json_link(file) for file in files if isinstance(file, dict))


def read_list(body: bytes) -> dict[str, Link]:
    """Return what ``packages.json`` of dumb-pypi lists: a JSON object a line.

    :raises ValueError: it is no such list.
    """
    items = [json.loads(line) for line in body.decode("utf-8").splitlines() if line.strip()]
    if not all(isinstance(item, dict) and isinstance(item.get("filename"), str) for item in items):
        raise ValueError("a line of it names no file")
    return _by_filename(map(_listed_link, items))


def read_meta(filename: str, body: bytes) -> Link:
    """Return what ``FILENAME.meta`` of pypicloud's storage in a directory says.

    :raises ValueError: it is no such document.
    """
    item = json.loads(body.decode("utf-8"))
    if not isinstance(item, dict):
        raise ValueError("it is no object")
    hashes = {"sha256": item.get("hash_sha256"), "md5": item.get("hash_md5")}
    return Link(filename, filename, _hashes(hashes), requires_python=_specifier(item.get("requires_python")))


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            # The first of two attributes of one name counts (HTML).
            self.found.append(dict(reversed(attrs)))

    def parse_marked_section(self, i: int, report: bool = True) -> int:  # noqa: ARG002
        """Take ``<![`` for a comment up to the next ``>``, as HTML does; Python gives up at some of them."""
        return self.parse_bogus_comment(i)


def _html_link(attributes: Mapping[str, str | None]) -> Link:
    href = attributes.get("href") or ""
    url, fragment = _sound(href), href.partition("#")[2].strip()
    parts = (part.partition("=") for part in fragment.split("&"))
    return Link(
        _filename(url),
        url,
        _hashes({name: value for name, _, value in parts}),
        _time(attributes.get("data-upload-time")),
        _specifier(attributes.get("data-requires-python")),
        # That it is there says it (PEP 592), with or without a reason.
        "data-yanked" in attributes and _reason(attributes["data-yanked"]),
    )


def _json_link(item: Mapping[str, Any]) -> Link:
    url = _sound(_text(item.get("url")))
    hashes, yanked = item.get("hashes"), item.get("yanked")
    return Link(
        _text(item.get("filename")) or _filename(url),
        url,
        _hashes(hashes if isinstance(hashes, dict) else {}),
        _time(item.get("upload-time")),
        _specifier(item.get("requires-python")),
        yanked not in (None, False) and _reason(yanked),
    )


def _listed_link(item: Mapping[str, Any]) -> Link:
    algorithm, _, digest = _text(item.get("hash")).partition("=")
    seconds, reason = item.get("upload_timestamp"), item.get("yanked_reason")
    return Link(
        item["filename"],
        item["filename"],
        _hashes({algorithm: digest}),
        _moment(lambda: datetime.fromtimestamp(float(seconds), timezone.utc)) if seconds else None,
        _specifier(item.get("requires_python")),
        # It shows an empty reason as none, and the file as not yanked.
        _reason(reason) if reason else False,
    )


def _by_filename(links: Iterable[Link]) -> dict[str, Link]:
    found: dict[str, Link] = {}
    for link in links:
        found.setdefault(link.filename, link)
    return found


def _filename(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _sound(url: str) -> str:
    """A URL without its fragment; empty where it is none, and leads nowhere."""
    try:
        return urlsplit(urldefrag(url.strip())[0]).geturl()
    except ValueError:
        return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _hashes(hashes: Mapping[str, object]) -> dict[str, str]:
    """Those that can be compared: of every Python, and as long as they must be."""
    known = {name.lower(): str(value).lower() for name, value in hashes.items()}
    return {name: value for name, value in known.items() if name in _LENGTHS and re.fullmatch(_LENGTHS[name], value)}


_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_LENGTHS = {name: f"[0-9a-f]{{{2 * hashlib.new(name, usedforsecurity=False).digest_size}}}" for name in _ALGORITHMS}


def _time(value: object) -> str | None:
    # Python before 3.11 reads neither a Z nor more than six digits of a second.
    text = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", _text(value)).replace("Z", "+00:00")
    return _moment(lambda: datetime.fromisoformat(text)) if text else None


def _moment(read: Callable[[], datetime]) -> str | None:
    try:
        moment = read()
        return timestamp((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc))
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _specifier(value: object) -> str | None:
    text = " ".join(_text(value).split())
    try:
        return str(text) if len(text) <= _LONGEST and SpecifierSet(text) and text else None
    except ValueError:
        return None


def _spelt(specifier: str) -> frozenset[str]:
    return frozenset(map(str, SpecifierSet(specifier)))


def _reason(value: object) -> bool | str:
    text = " ".join(_text(value).split())
    return "".join(c for c in text if c.isprintable())[:_LONGEST] or True


# -- layouts ------------------------------------------------------------------------------------------------------------------


class Layout(Enum):
    """How an index of another tool lies: the value is what a user calls it."""

    DIRECTORY = "directory"
    SIMPLE = "simple"
    DUMB_PYPI = "dumb-pypi"


#: What a user may say: the layouts, and the tools that write them.
LAYOUTS = {
    **{layout.value: layout for layout in Layout},
    "bandersnatch": Layout.SIMPLE,
    "pypicloud": Layout.DIRECTORY,
    "pypiprivate": Layout.SIMPLE,
    "pypiserver": Layout.DIRECTORY,
    "s3pypi": Layout.SIMPLE,
}

#: dumb-pypi's own list of all files.
PACKAGES = "packages.json"
#: Forms of a project's page, the one that says most first; bandersnatch has its own names.
_JSON_FORMS = ("index.v1_json", "index.json")
_HTML_FORMS = ("index.html", "index.v1_html")
PAGE_FORMS = (*_JSON_FORMS, *_HTML_FORMS)


def is_page(key: str) -> bool:
    """Tell whether *key* may be that of a project's page: in a directory that is called like a project."""
    directory, _, name = key.rpartition("/")
    return name in PAGE_FORMS and is_normalized(canonicalize_name(directory.rpartition("/")[2]))


def read_page(key: str, body: bytes) -> dict[str, Link]:
    """Return what a page lists, by file name.

    :raises ValueError: it is no page of the form that its name says.
    """
    return read_json(body) if key.rpartition("/")[2] in _JSON_FORMS else read_html(body)


def is_release_file(filename: str, project: str | None = None) -> bool:
    """Tell whether *filename* is that of a release file; of *project* (normalised), if it is given."""
    try:
        return parse_filename(filename, project).project == (project or parse_filename(filename).project)
    except ValueError:
        return False


def is_hidden(key: str) -> bool:
    """Tell whether servers of directories pass over *key*: a part of it begins with a dot."""
    return any(part.startswith(".") for part in key.split("/"))


def pages_of_projects(keys: Iterable[str]) -> dict[str, list[str]]:
    """Return the keys of what may be pages of projects, by directory, the form that says most first."""
    pages: dict[str, list[str]] = {}
    for key in filter(is_page, keys):
        pages.setdefault(posixpath.dirname(key), []).append(key)
    return {directory: sorted(forms, key=_form) for directory, forms in pages.items()}


def check_one_index(directories: Iterable[str], place: str) -> None:
    """Make sure that the directories of projects are of one index.

    :param place: what the user called it, for messages.
    :raises ConfigError: they are of more than one.
    """
    tops = sorted({_top(directory) for directory in directories})
    if len(tops) > 1:
        named = ", ".join(tops[:5])
        hint = "Name the one that is meant, or say --layout directory to take every wheel and sdist that lies there."
        raise ConfigError(f"in {place} lies more than one index: {named}", hint=hint)


def _top(directory: str) -> str:
    """The directory of the index that a project's directory is in. A mirror may sort projects by their first letter."""
    top, _, name = directory.rpartition("/")
    is_sorted = re.search(r"(^|/)simple/.$", top) and name.lower().startswith(top[-1].lower())
    return f"{posixpath.dirname(top) if is_sorted else top}/"


def _form(key: str) -> int:
    return PAGE_FORMS.index(key.rpartition("/")[2])


def leads_below(directory: str, url: str) -> bool:
    """Tell whether a link on the page in *directory* is a relative one, to what lies right there or deeper."""
    return _is_relative(url) and next(resolve(directory, url)).startswith(f"{directory}/")


def resolve(directory: str, url: str) -> Iterator[str]:
    """Yield the keys at which what a page in *directory* links to may lie, the likeliest first.

    A mirror may say absolute URLs of where it is served; the ends of their paths are tried then.
    """
    path = unquote(urlsplit(url).path)
    if _is_relative(url):
        yield posixpath.normpath(posixpath.join(directory, path))
        return
    parts = path.strip("/").split("/")
    for at in range(len(parts) - 1):
        end = "/".join(parts[at:])
        above = directory.split("/")
        yield from ("/".join((*above[:n], end)) for n in range(len(above)))


def _is_relative(url: str) -> bool:
    parts = urlsplit(url)
    return not parts.scheme and not parts.netloc and not parts.path.startswith("/")
