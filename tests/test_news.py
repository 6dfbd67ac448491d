"""Page and feed of the newest releases: made from the records by whoever runs ``news``, never older than what is there."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

import pytest

from pypiprivate import amend, artifact, edits, news, open_repository, publish, simple
from pypiprivate.cli import main
from pypiprivate.concurrency import streaming
from pypiprivate.edits import Target
from pypiprivate.errors import Conflict, NotPublished, StorageError, UnsupportedIndex
from pypiprivate.model import File, Project, ProjectList, Status
from pypiprivate.news import News
from pypiprivate.repair import repair
from pypiprivate.storage.base import Storage, Stored
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.verify import verify

from .breakages import edit_record, edit_root, overwrite
from .builders import make_sdist, make_wheel
from .repositories import Observed, check_at_rest, failing, not_at_all, older_tool, record, root, snapshot

ATOM = "{http://www.w3.org/2005/Atom}"
URL = "https://pypi.example.com/simple/"
START = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def send(storage: Storage, *paths: Path, day: int = 0) -> None:
    artifacts = [artifact.read(path) for path in paths]
    publish.publish(artifacts, storage, clock=lambda: START + timedelta(days=day), sleep=not_at_all)


@pytest.fixture
def storage(tmp_path: Path) -> MemoryStorage:
    """Three releases of two projects, on three days."""
    storage = MemoryStorage()
    send(storage, make_wheel(tmp_path, "acme", "1.0", requires_python=">=3.10"), make_sdist(tmp_path, "acme", "1.0"))
    send(storage, make_sdist(tmp_path, "other", "1.0"), day=1)
    send(storage, make_wheel(tmp_path, "acme", "1.1"), day=2)
    return storage


def renew(storage: Storage, **how: Any) -> News:
    return news.renew(storage, **{"sleep": not_at_all, "index_url": URL, **how})


def told(found: News) -> list[tuple[str, str]]:
    return [(item.project, str(item.release.version)) for item in found.items]


def body(storage: Storage, key: str) -> bytes:
    stored = storage.get(key)
    assert stored
    return stored.body


def feed(storage: Storage) -> ET.Element:
    return ET.fromstring(body(storage, "news.xml"))


def texts(element: ET.Element, name: str) -> list[str | None]:
    return [found.text for found in element.iter(f"{ATOM}{name}")]


# -- what it says -------------------------------------------------------------------------------------------------------------


def test_the_newest_releases_are_told_of_day_by_day(storage: MemoryStorage) -> None:
    found = renew(storage)
    assert told(found) == [("acme", "1.1"), ("other", "1.0"), ("acme", "1.0")]
    assert found.written == ("news.html", "news.xml", "index.json")
    page = body(storage, "news.html").decode()
    assert re.findall(r'<time datetime="([^"]*)">', page) == ["2026-11-03", "2026-11-02", "2026-11-01"]
    assert re.findall(r"<tbody>\n<tr><th>(.*)", page) == [
        '<a href="acme/">acme</a><td>1.1<td>any<td>1 wheel',
        '<a href="other/">other</a><td>1.0<td>any<td>1 sdist',
        '<a href="acme/">acme</a><td>1.0<td>&gt;=3.10<td>1 sdist, 1 wheel',
    ]
    check_at_rest(storage)


def test_page_and_feed_are_served_as_what_they_are(storage: MemoryStorage) -> None:
    renew(storage)
    for key, type_ in (("news.html", "text/html; charset=utf-8"), ("news.xml", "application/atom+xml")):
        stat = storage.stat(key)
        assert stat
        assert stat.headers
        assert (stat.headers.content_type, stat.headers.cache_control) == (type_, "max-age=0, must-revalidate")


def test_the_feed_is_atom(storage: MemoryStorage) -> None:
    """RFC 4287, section 4: what a feed and an entry must have, and how often."""
    renew(storage)
    found = feed(storage)
    assert found.tag == f"{ATOM}feed"
    once = {f"{ATOM}{name}": 1 for name in ("id", "title", "updated")}
    for element in (found, *found.iter(f"{ATOM}entry")):
        assert {name: len(element.findall(name)) for name in once} == once
        assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", str(id_)) for id_ in texts(element, "id"))
        assert [link.get("rel") for link in element.findall(f"{ATOM}link")].count("alternate") == 1
    ids = texts(found, "id")
    assert len(ids) == len(set(ids)) == 4
    for time in (*texts(found, "updated"), *texts(found, "published")):
        assert datetime.fromisoformat(str(time).replace("Z", "+00:00")) >= START
    assert texts(found, "name") == ["pypi-private"]
    assert {child.tag for child in found} == {f"{ATOM}{name}" for name in ("id", "title", "updated", "author", "link", "entry")}


def test_the_feed_tells_of_each_release_with_its_place(storage: MemoryStorage) -> None:
    renew(storage)
    entries = feed(storage).findall(f"{ATOM}entry")
    assert [(entry.findtext(f"{ATOM}title"), entry.findtext(f"{ATOM}summary")) for entry in entries] == [
        ("acme 1.1", "1 wheel"),
        ("other 1.0", "1 sdist"),
        ("acme 1.0", "1 sdist, 1 wheel; Python >=3.10"),
    ]
    links = [str(link.get("href")) for entry in entries for link in entry.findall(f"{ATOM}link")]
    assert links == [f"{URL}acme/", f"{URL}other/", f"{URL}acme/"]
    assert feed(storage).findtext(f"{ATOM}updated") == "2026-11-03T12:00:00.000000Z"
    assert {link.get("rel"): link.get("href") for link in feed(storage).findall(f"{ATOM}link")} == {
        "self": f"{URL}news.xml",
        "alternate": f"{URL}news.html",
    }


def test_without_a_url_links_are_relative(storage: MemoryStorage) -> None:
    renew(storage, index_url=None)
    links = [str(link.get("href")) for link in feed(storage).iter(f"{ATOM}link")]
    assert [urljoin(f"{URL}news.xml", link) for link in links] == [
        f"{URL}news.xml",
        f"{URL}news.html",
        f"{URL}acme/",
        f"{URL}other/",
        f"{URL}acme/",
    ]


def test_a_file_that_comes_later_updates_its_release_and_leaves_it_in_its_place(storage: MemoryStorage, tmp_path: Path) -> None:
    send(storage, make_wheel(tmp_path, "other", "1.0"), day=9)
    found = renew(storage)
    assert told(found)[0] == ("acme", "1.1")
    assert [(item.published[:10], item.updated[:10]) for item in found.items if item.project == "other"] == [
        ("2026-11-02", "2026-11-10")
    ]
    assert str(feed(storage).findtext(f"{ATOM}updated")).startswith("2026-11-10")


def test_a_yank_is_said_and_its_reason_is_harmless(storage: MemoryStorage) -> None:
    amend.amend(storage, "acme", edits.yank(Target.parse("acme==1.1"), reason='<script>alert("1")</script>'), sleep=not_at_all)
    amend.amend(storage, "other", edits.yank(Target.parse("other==1.0")), sleep=not_at_all)
    renew(storage)
    assert b"<script" not in body(storage, "news.html") + body(storage, "news.xml")
    assert texts(feed(storage), "summary")[:2] == ['1 wheel; yanked: <script>alert("1")</script>', "1 sdist; yanked"]


def test_what_a_record_says_cannot_break_the_feed(storage: MemoryStorage) -> None:
    found = record(storage, "other")
    strange = replace(found.files[0], yanked="\0\x1b\ufffe\ud800 ]]> &amp; ü", requires_python="<&\x07>")
    edit_record(storage, replace(found, files=(strange,)))
    renew(storage)
    assert "1 sdist; Python <& >; yanked:      ]]> &amp; ü" in texts(feed(storage), "summary")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"upload_time": None}, []),
        ({"upload_time": "yesterday"}, []),
        ({"filename": "what-is-this"}, []),
        ({"upload_time": "2026-11-01T12:00:00.5Z"}, ["1.0", "2.0"]),
        ({"upload_time": "2026-11-01T12:00:00Z"}, ["2.0", "1.0"]),
    ],
)
def test_files_of_an_inherited_record_are_told_of_where_they_say_when(files: dict[str, Any], expected: list[str]) -> None:
    def file(version: str, **how: Any) -> File:
        how = {"filename": f"demo-{version}.tar.gz", "upload_time": "2026-11-01T12:00:00.25Z", **how}
        return File(url=how["filename"], hashes={}, size=1, **how)

    storage = MemoryStorage()
    edit_record(storage, Project("demo", files=(file("1.0", **files), file("2.0")), serial=1))
    edit_root(storage, ProjectList(serial=1).add(["demo"]))
    assert [version for _, version in told(renew(storage))] == (expected or ["2.0"])


def test_what_is_not_offered_is_not_told_of(storage: MemoryStorage, tmp_path: Path) -> None:
    amend.amend(storage, "acme", edits.set_status("quarantined"), sleep=not_at_all)
    older_tool(storage, make_sdist(tmp_path, "older"), "older")
    edit_root(storage, root(storage).add(["older"]))
    assert told(renew(storage)) == [("other", "1.0")]
    assert record(storage, "acme").status == Status("quarantined")
    assert b"acme" not in body(storage, "news.html") + body(storage, "news.xml")


def test_an_index_without_files_has_empty_news(storage: MemoryStorage) -> None:
    for name in ("acme", "other"):
        amend.remove(storage, name, edits.delete(Target.parse(name), now=START), sleep=not_at_all)
    assert told(renew(storage)) == []
    assert feed(storage).findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_are_told_of_than_are_wanted(storage: MemoryStorage, most: int) -> None:
    counted: list[tuple[int, int]] = []
    with streaming(4) as stream:
        found = renew(storage, most=most, stream=stream, counted=lambda done, count: counted.append((done, count)))
    assert counted == [(0, 2), (1, 2), (2, 2)]
    assert told(found) == [("acme", "1.1"), ("other", "1.0"), ("acme", "1.0")][:most]
    assert len(texts(feed(storage), "summary")) == most


def test_many_projects_are_told_of_as_few_are(tmp_path: Path) -> None:
    storage = MemoryStorage()
    names = [f"p{number:02}" for number in range(12)]
    for day, name in enumerate(names):
        send(storage, make_sdist(tmp_path, name), day=(day * 5) % 12)
    assert [project for project, _ in told(renew(storage, most=3))] == ["p07", "p02", "p09"]


class Fetches(HTMLParser):
    """What a page would have a browser fetch, or lead it to."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.tags: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.urls += [str(value) for name, value in attrs if name in ("href", "src", "action", "data", "poster")]


def test_the_page_runs_nothing_and_asks_for_nothing_from_elsewhere(storage: MemoryStorage) -> None:
    renew(storage)
    seen = Fetches(body(storage, "news.html"))
    assert set(seen.urls) == {"news.xml", "index.html", "acme/", "other/"}
    assert not {"script", "img", "iframe", "object"} & set(seen.tags)
    assert b"default-src 'none'; style-src 'sha256-" in body(storage, "news.html")


def test_the_root_leads_to_them_and_lists_no_project_more(storage: MemoryStorage) -> None:
    before = Fetches(body(storage, "index.html"))
    assert "form" not in before.tags
    renew(storage)
    seen = Fetches(body(storage, "index.html"))
    assert seen.tags.count("a") == before.tags.count("a") == 2
    assert [url for url in seen.urls if url not in before.urls] == ["news.xml", "news.html"]
    assert '<link rel="alternate" type="application/atom+xml"' in body(storage, "index.html").decode()
    assert root(storage).news
    assert simple.root_from_json(simple.root_to_json(root(storage))) == root(storage)


# -- how it is written --------------------------------------------------------------------------------------------------------


def test_again_it_writes_nothing(storage: MemoryStorage) -> None:
    renew(storage)
    before, writes = snapshot(storage), list[str]()
    again = renew(Observed(storage, before=lambda verb, _: writes.append(verb) if verb not in ("get", "list") else None))
    assert (again.written, writes, snapshot(storage)) == ((), [], before)


def test_a_preview_says_what_would_be_written_and_writes_nothing(storage: MemoryStorage) -> None:
    before = snapshot(storage)
    assert news.preview(storage, index_url=URL).written == ("news.html", "news.xml", "index.json")
    assert snapshot(storage) == before
    renew(storage)
    assert news.preview(storage, index_url=URL) == renew(storage)
    assert news.preview(storage, index_url=None).written == ("news.xml",)


def test_a_publish_does_not_touch_them(storage: MemoryStorage, tmp_path: Path) -> None:
    renew(storage)
    keys: list[str] = []
    send(Observed(storage, before=lambda _, key: keys.append(key)), make_sdist(tmp_path, "new", "1.0"), day=3)
    assert not [key for key in keys if "news" in key]
    assert root(storage).news
    assert renew(storage).written == ("news.html", "news.xml")


def test_what_was_read_earlier_replaces_nothing(storage: MemoryStorage, tmp_path: Path) -> None:
    """One that read the records before a publish, and writes after another that read them later."""

    class Slow(Observed):
        def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
            if key == "news.xml" and b"acme 1.2" not in body:
                send(self.inner, make_wheel(tmp_path, "acme", "1.2"), day=4)
                renew(self.inner)
            super().swap(key, body, replacing=replacing, content_type=content_type)

    assert renew(Slow(storage)).written == ("news.html",)
    assert b"acme 1.2" in body(storage, "news.xml")
    assert b"<td>1.2<" in body(storage, "news.html")
    assert renew(storage).written == ()


def test_who_is_always_overtaken_gives_up(storage: MemoryStorage) -> None:
    class Overtaken(Observed):
        def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
            if key == "news.html":
                raise Conflict(key)
            super().swap(key, body, replacing=replacing, content_type=content_type)

    with pytest.raises(StorageError, match=r"news\.html.*gave up"):
        renew(Overtaken(storage))


def test_after_an_older_backup_came_back_it_is_told_of(storage: MemoryStorage, tmp_path: Path) -> None:
    before = snapshot(storage)
    send(storage, make_wheel(tmp_path, "acme", "1.2"), day=4)
    renew(storage)
    for key, content in before.items():
        overwrite(storage, key, content)
    assert "news.xml" in renew(storage).written
    assert b"acme 1.2" not in body(storage, "news.xml")


def test_a_record_that_cannot_be_understood_is_left_out_and_told_of(
    storage: MemoryStorage, index: LocalStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in (storage, index):
        overwrite(each, "other/index.json", b"no record")
    for act in (news.preview, renew):
        errors: list[UnsupportedIndex] = []
        assert {item.project for item in act(storage, unreadable=errors.append).items} == {"acme"}
        assert [error.key for error in errors] == ["other/index.json"]
        with pytest.raises(UnsupportedIndex):
            act(storage)
    assert run(index) == 1
    assert "other/index.json" in capsys.readouterr().err
    assert index.get("news.xml")


def test_two_at_once_end_with_the_newer_one(storage: MemoryStorage, tmp_path: Path) -> None:
    class Overtaken(Observed):
        """Another one, who sees a release more, comes first at each document."""

        def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
            if key == "news.html":
                send(self.inner, make_wheel(tmp_path, "acme", "1.2"), day=4)
                renew(self.inner)
            super().swap(key, body, replacing=replacing, content_type=content_type)

    assert renew(Overtaken(storage)).written == ()
    assert b"acme 1.2" in body(storage, "news.xml")
    assert renew(storage).written == ()


def test_ids_stay_wherever_the_index_moves_and_however_it_is_called(storage: MemoryStorage) -> None:
    renew(storage)
    elsewhere = MemoryStorage()
    for key, content in snapshot(storage).items():
        overwrite(elsewhere, key, content)
    assert elsewhere.location != storage.location
    assert renew(elsewhere, index_url="https://other.example.com/").written == ("news.xml",)
    assert texts(feed(elsewhere), "id") == texts(feed(storage), "id")
    storage.delete("news.xml")
    renew(storage)
    assert texts(feed(storage), "id") == texts(feed(elsewhere), "id")


def test_where_it_lies_is_not_told(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "very secret")
    send(storage, make_sdist(tmp_path / "dist"))
    renew(storage)
    assert b"secret" not in body(storage, "news.html") + body(storage, "news.xml")
    assert uuid.UUID(str(feed(storage).findtext(f"{ATOM}id"))).version == 5


@pytest.mark.parametrize("key", ["news.html", "news.xml"])
def test_what_another_program_wrote_is_left_alone(storage: MemoryStorage, key: str) -> None:
    overwrite(storage, key, b"<html>Our holidays</html>")
    for act in (renew, news.preview):
        with pytest.raises(UnsupportedIndex, match=f"{key} in the repository cannot be used: another program wrote it"):
            act(storage)
    assert body(storage, key) == b"<html>Our holidays</html>"


def test_without_an_index_there_is_no_news(tmp_path: Path) -> None:
    storage = MemoryStorage()
    older_tool(storage, make_sdist(tmp_path), "demo")
    before = snapshot(storage)
    for act in (renew, news.preview):
        with pytest.raises(NotPublished, match="no index with a root record"):
            act(storage)
    assert snapshot(storage) == before


def test_a_failed_read_is_never_absent(storage: MemoryStorage) -> None:
    renew(storage)
    before = snapshot(storage)
    for at in range(9):
        with pytest.raises(StorageError):
            renew(failing(storage, at, verbs=("get",)))
        assert snapshot(storage) == before


@pytest.mark.parametrize("at", range(4))
def test_after_an_interruption_the_same_command_finishes(storage: MemoryStorage, at: int) -> None:
    with pytest.raises(StorageError):
        renew(Swaps(storage, at))
    renew(storage)
    check_at_rest(storage)
    assert renew(storage).written == ()


class Swaps(Observed):
    """A store that goes away at a write of a document of the index, from 0; probes are none."""

    def __init__(self, inner: Storage, at: int) -> None:
        super().__init__(inner)
        self.left = at

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        if not key.startswith(".pypiprivate/"):
            self.left -= 1
            if self.left < 0:
                raise StorageError(key, "the store went away.")
        super().swap(key, body, replacing=replacing, content_type=content_type)


def test_an_index_with_news_is_sound_and_a_repair_keeps_them(storage: MemoryStorage) -> None:
    renew(storage)
    assert verify(storage).findings == ()
    before = snapshot(storage)
    storage.delete("index.html")
    repair(storage, sleep=not_at_all)
    assert snapshot(storage) == before


def test_a_serial_that_is_too_large_is_known_again(storage: MemoryStorage) -> None:
    for name in ("acme", "other"):
        edit_record(storage, replace(record(storage, name), serial=simple.MAX_SERIAL - 1))
    renew(storage)
    assert renew(storage).written == ()


# -- the program --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    storage = LocalStorage(tmp_path / "index")
    send(storage, make_wheel(tmp_path, "acme", "1.0", requires_python=">=3.10"))
    send(storage, make_sdist(tmp_path, "other", "1.0"), day=1)
    return storage


def run(index: LocalStorage, *arguments: str) -> int:
    return main(["-r", index.location, "news", *arguments])


def test_the_program_says_what_it_wrote(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(index, "--dry-run") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "news.html: would be written"
    assert lines[-1] == f"dry run: nothing was written to {index.location}"
    assert index.get("news.html") is None
    assert run(index) == 0
    assert capsys.readouterr().err.splitlines() == [
        "news.html: written",
        "news.xml: written",
        "index.json: written",
        f"2 releases told of in {index.location}",
    ]
    assert run(index) == 0
    assert capsys.readouterr().err.splitlines()[0] == "nothing is new"
    assert run(index, "-q") == 0
    assert capsys.readouterr() == ("", "")


def test_the_program_says_it_to_machines(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(index, "--json", "--limit", "1") == 0
    assert json.loads(capsys.readouterr().out) == {
        "repository": index.location,
        "written": ["news.html", "news.xml", "index.json"],
        "releases": [
            {
                "project": "other",
                "version": "1.0",
                "published": "2026-11-02T12:00:00.000000Z",
                "updated": "2026-11-02T12:00:00.000000Z",
                "files": ["other-1.0.tar.gz"],
                "requires_python": None,
                "yanked": False,
            }
        ],
        "dry_run": False,
        "unreadable": [],
    }


@pytest.mark.parametrize("limit", ["0", "-1", "10001"])
def test_the_program_refuses_a_limit_that_makes_no_page(
    index: LocalStorage, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(index, "--limit", limit) == 2
    assert "--limit takes a number from 1 to 10000." in capsys.readouterr().err


def test_a_script_does_what_the_program_does(index: LocalStorage, tmp_path: Path) -> None:
    repository = open_repository(index.location, project=tmp_path, environ={}, config_file=_empty(tmp_path))
    acts: list[Callable[..., News]] = [repository.preview_news, repository.renew_news]
    assert [act(most=1).written for act in (*acts, *acts)] == [("news.html", "news.xml", "index.json")] * 2 + [()] * 2


def _empty(directory: Path) -> Path:
    path = directory / "empty.cfg"
    path.write_text("", "utf-8")
    return path
