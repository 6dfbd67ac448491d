"""What is new in an index: a page for people and an Atom feed (RFC 4287), made from the records of all projects.

No publish writes them, so that publishers of different projects never contend for one object: a scheduled job does, or the last
step of a pipeline. Who finds them changed since before the records were read reads the records again, so nobody replaces them by
what was read earlier.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import groupby

from . import browse, pages, simple
from .concurrency import Stream, in_turn
from .errors import Conflict, NotPublished, StorageError, Unreadable, UnsupportedIndex, raised
from .findings import Counted, silently
from .index import Index
from .inspection import is_time
from .model import Project, ProjectList
from .readme import policy
from .releases import TOLD, Release, releases
from .storage.base import Storage, Stored

#: How often another one may come first.
_TRIES = 10
_TITLE = "Newest releases"
_NEVER = "1970-01-01T00:00:00Z"
#: At the beginning of the feed, before anything that a project could have written.
_SERIAL = re.compile(rb"<!-- pypiprivate:serial ([0-9]{1,18}) -->")
_ID = re.compile(rb"<id>urn:uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})</id>")
_HEAD = 1024


@dataclass(frozen=True)
class Item:
    """A release that is told of.

    :ivar project: normalised name.
    :ivar release: of the files that the project offers, those with an upload time.
    """

    project: str
    release: Release

    @property
    def published(self) -> str:
        """When its first file was published, as ``upload_time``."""
        return min(self._times)

    @property
    def updated(self) -> str:
        """When its last file was published."""
        return max(self._times)

    @property
    def files(self) -> str:
        """What it has, in words."""
        wheels = sum(file.filename.endswith(".whl") for file in self.release.files)
        kinds = (("sdist", len(self.release.files) - wheels), ("wheel", wheels))
        return ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in kinds if count)

    @property
    def yanked(self) -> str:
        """The mark and its reason; empty where it is not yanked (PEP 592)."""
        mark = self.release.yanked
        return f"yanked: {mark}" if isinstance(mark, str) else "yanked" if mark else ""

    @property
    def _times(self) -> list[str]:
        return [file.upload_time for file in self.release.files if file.upload_time]


@dataclass(frozen=True)
class News:
    """What is new, and what became of it.

    :ivar items: the newest first.
    :ivar serial: the serials of all records, added up; by it both are known to be ours.
    :ivar written: keys of the documents that had to be written; in a preview, that would be.
    """

    items: tuple[Item, ...]
    serial: int
    written: tuple[str, ...] = ()


def renew(
    storage: Storage,
    *,
    most: int = TOLD,
    index_url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    stream: Stream = in_turn,
    counted: Counted = silently,
    unreadable: Unreadable = raised,
) -> News:
    """Bring page and feed up to the records, and have the root page lead there; what is right already is not written.

    :param most: number of releases that are told of.
    :param index_url: where clients read the index, ending in ``/``; None: all links are relative.
    :param sleep: waits for so many seconds between tries on a contended document.
    :param stream: runs calls, at once or in turn.
    :param counted: is told, again and again, how many projects were read, and how many there are.
    :param unreadable: is told of records that cannot be understood, from any thread; nothing is told of their projects.
    :raises NotPublished: there is no index, or one of an older tool that is not adopted yet.
    :raises UnsupportedIndex: the root record cannot be understood, or another program wrote what lies there.
    :raises StorageError: the store failed, or others kept coming first; running the same command again is safe.
    """
    index, written = Index(storage, sleep=sleep), list[str]()
    for _ in range(_TRIES):
        found = {key: storage.get(key) for key in (simple.NEWS_PAGE, simple.NEWS_FEED)}
        news = _read(storage, most, stream, counted, unreadable)
        try:
            for document in _documents(news, storage, index_url):
                if _is_written(index, document, found[document.key]):
                    written.append(document.key)
        except Conflict:
            continue
        # After them, so that the root leads to what is there.
        written += [simple.ROOT_RECORD] if index.announce_news() else []
        return replace(news, written=tuple(written))
    raise StorageError(simple.NEWS_PAGE, "others kept writing it, so this run gave up; theirs is as new.")


def _is_written(index: Index, document: _Document, found: Stored | None) -> bool:
    body = document.made(found.body if found else b"")
    return index.renew(document.key, body, replacing=found, content_type=document.content_type)


def preview(
    storage: Storage,
    *,
    most: int = TOLD,
    index_url: str | None = None,
    stream: Stream = in_turn,
    counted: Counted = silently,
    unreadable: Unreadable = raised,
) -> News:
    """Say what :func:`renew` would do, and write nothing. Arguments, results and errors are the same."""
    news = _read(storage, most, stream, counted, unreadable)
    would_be = [document.key for document in _documents(news, storage, index_url) if not document.is_right(storage)]
    would_be += [] if _root(storage).news else [simple.ROOT_RECORD]
    return replace(news, written=tuple(would_be))


# -- records ------------------------------------------------------------------------------------------------------------------


def _read(storage: Storage, most: int, stream: Stream, counted: Counted, unreadable: Unreadable) -> News:
    _root(storage)
    names, items, serial = browse.projects(storage), list[Item](), 0
    counted(0, len(names))
    for done, record in enumerate(stream(partial(_record, storage, name, unreadable) for name in names), 1):
        counted(done, len(names))
        serial += record.serial
        items += _items(record)
        # No more is kept than is told of, however large the index is.
        items = sorted(items, key=_newest_first, reverse=True)[:most] if len(items) > 2 * most else items
    # One that was too long would not be known again.
    return News(tuple(sorted(items, key=_newest_first, reverse=True)[:most]), min(serial, simple.MAX_SERIAL))


def _root(storage: Storage) -> ProjectList:
    stored = storage.get(simple.ROOT_RECORD)
    if stored is None:
        raise NotPublished("index with a root record", storage.location, hint="An older one gets it by: pypi-private adopt")
    return simple.root_from_json(stored.body)


def _record(storage: Storage, name: str, unreadable: Unreadable) -> Project:
    stored = storage.get(simple.record_key(name))
    try:
        return simple.project_from_json(stored.body, name) if stored else Project(name)
    except UnsupportedIndex as error:
        unreadable(error)
        return Project(name)


def _items(record: Project) -> Iterator[Item]:
    """Of what is offered; an inherited record may not say when it was published."""
    dated = tuple(file for file in record.files if file.upload_time and is_time(file.upload_time))
    found = releases(replace(record, files=dated, withheld=()))
    return (Item(record.name, release) for release in found if release.version)


def _newest_first(item: Item) -> tuple[str, str, str]:
    # Without the Z a time sorts before those that say more digits of the same second.
    return item.published.rstrip("Z"), item.project, str(item.release.version)


# -- documents ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Document:
    """One of the two documents.

    :ivar serial_of: reads the serial of one that lies there; None where it is not ours.
    :ivar dump: writes it; is told what lies there.
    """

    key: str
    content_type: str
    serial_of: Callable[[bytes], int | None]
    dump: Callable[[bytes], bytes]

    def made(self, found: bytes) -> bytes:
        """Return it as it should be, of it as it is."""
        if found and self.serial_of(found) is None:
            raise UnsupportedIndex(self.key, "another program wrote it")
        return self.dump(found)

    def is_right(self, storage: Storage) -> bool:
        """Tell whether it lies there as it should be."""
        stored = storage.get(self.key)
        found = stored.body if stored else b""
        return self.made(found) == found


def _documents(news: News, storage: Storage, index_url: str | None) -> tuple[_Document, _Document]:
    born = uuid.uuid5(uuid.NAMESPACE_URL, storage.location)

    def feed(found: bytes) -> bytes:
        return _feed(news, index_url or "", _feed_id(found) or born)

    return (
        _Document(simple.NEWS_PAGE, simple.HTML_TYPE, pages.page_serial, lambda _: _page(news)),
        _Document(simple.NEWS_FEED, simple.FEED_TYPE, _feed_serial, feed),
    )


def _page(news: News) -> bytes:
    days = groupby(news.items, key=lambda item: item.published[:10])
    body = "\n".join(line for day, items in days for line in _day(day, items))
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(pages.style())}">\n'
        f'<meta name="pypiprivate:serial" content="{news.serial}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_TITLE}</title>\n"
        f'<link rel="alternate" type="{simple.FEED_TYPE}" title="{_TITLE}" href="{simple.NEWS_FEED}">\n'
        f"<style>{pages.style()}</style>\n"
        "</head>\n"
        "<body>\n"
        "<main>\n"
        f"<h1>{_TITLE}</h1>\n"
        f'<p><a href="{simple.ROOT_PAGE}">All projects</a> · <a href="{simple.NEWS_FEED}">Atom feed</a>\n'
        f"{body}\n"
        "</main>\n"
        "</body>\n"
        "</html>\n"
    ).encode("utf-8", "replace")


def _day(day: str, items: Iterable[Item]) -> Iterator[str]:
    yield f'<h2><time datetime="{day}">{day}</time></h2>'
    yield "<table>"
    yield "<thead><tr><th>Project<th>Version<th>Python<th>Files"
    yield "<tbody>"
    for item in items:
        link = f'<a href="{item.project}/">{item.project}</a>'
        said = (str(item.release.version), item.release.requires_python or "any", item.files)
        yanked = f" <small>{escape(item.yanked)}</small>" if item.yanked else ""
        yield f"<tr><th>{link}{''.join(f'<td>{escape(text)}' for text in said)}{yanked}"
    yield "</table>"


def _feed(news: News, base: str, id_: uuid.UUID) -> bytes:
    """Write the feed; *base* is where the index is read, or empty."""
    updated = max((item.updated for item in news.items), default=_NEVER)
    entries = "".join(_entry(item, base, id_) for item in news.items)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<!-- pypiprivate:serial {news.serial} -->\n"
        '<feed xmlns="http://www.w3.org/2005/Atom">\n'
        f"<id>urn:uuid:{id_}</id>\n"
        f"<title>{_TITLE}</title>\n"
        f"<updated>{updated}</updated>\n"
        "<author><name>pypi-private</name></author>\n"
        f'<link rel="self" type="{simple.FEED_TYPE}" href="{escape(base)}{simple.NEWS_FEED}"/>\n'
        f'<link rel="alternate" type="text/html" href="{escape(base)}{simple.NEWS_PAGE}"/>\n'
        f"{entries}"
        "</feed>\n"
    ).encode("utf-8", "replace")


def _entry(item: Item, base: str, feed: uuid.UUID) -> str:
    """The id of an entry follows from that of the feed, so that it is the same in every feed that this release will be in."""
    name = f"{item.project} {item.release.version}"
    python = item.release.requires_python
    summary = "; ".join(filter(None, (item.files, python and f"Python {python}", item.yanked)))
    return (
        "<entry>\n"
        f"<id>urn:uuid:{uuid.uuid5(feed, name)}</id>\n"
        f"<title>{name}</title>\n"
        f"<published>{item.published}</published>\n"
        f"<updated>{item.updated}</updated>\n"
        f'<link rel="alternate" type="text/html" href="{escape(base)}{item.project}/"/>\n'
        f"<summary>{_xml(summary)}</summary>\n"
        "</entry>\n"
    )


def _xml(text: str) -> str:
    """A reason may hold what XML cannot (XML 1.0, section 2.2)."""
    return escape("".join(character if character.isprintable() else " " for character in text))


def _feed_serial(body: bytes) -> int | None:
    match = _SERIAL.search(body[:_HEAD])
    return int(match[1]) if match else None


def _feed_id(body: bytes) -> uuid.UUID | None:
    """The id that a feed has stays, also when the index moves."""
    match = _ID.search(body[:_HEAD])
    return uuid.UUID(match[1].decode()) if match else None
