"""What is published, looked at: ``list``, ``show`` and ``search``, and what these ask of the storage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from pypiprivate import amend, artifact, browse, edits, open_repository, publish, simple
from pypiprivate.cli import main
from pypiprivate.edits import Target
from pypiprivate.errors import NotPublished, StorageError, UnsupportedIndex
from pypiprivate.index import Index
from pypiprivate.model import ProjectList
from pypiprivate.releases import newest, releases
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.wording import size_of

from .builders import make_sdist, make_wheel
from .repositories import Observed, failing, older_tool, put, snapshot

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
SAYING = {
    "Metadata-Version": "2.4",
    "Summary": "Greets every-body, by name.",
    "Author": "Ada",
    "Author-email": "Ada L <ada@acme.example>",
    "License-Expression": "MIT",
    "Home-page": "https://acme.example/",
}
MORE = """\
Requires-Dist: requests>=2
Requires-Dist: rich; extra == "pretty"
Requires-Dist: tomli; python_version < "3.11"
Provides-Extra: pretty
Provides-Extra: quick
Project-URL: Source, https://git.acme.example/hello
"""

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    for version in ("1.0", "1.1", "2.0rc1"):
        said = {**SAYING, "Keywords": f"greeting\n{MORE}".rstrip()}
        make_wheel(directory, "Acme.Hello", version, headers=said, requires_python=">=3.10")
        make_sdist(directory, "acme_hello", version)
    make_sdist(directory, "plain", "1.0")
    make_wheel(directory, "http_client2", "0.1", headers={"Summary": "A web client"})
    return directory


def send(storage: Storage, *paths: Path) -> None:
    publish.publish([artifact.read(path) for path in paths], storage, clock=lambda: NOW)


@pytest.fixture
def storage(dist: Path) -> MemoryStorage:
    storage = MemoryStorage()
    send(storage, *dist.iterdir())
    return storage


@pytest.fixture
def index(dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """The same in a directory, which is the repository of the project where we stand."""
    storage = LocalStorage(tmp_path / "simple")
    send(storage, *dist.iterdir())
    (tmp_path / "setup.cfg").write_text("[publish_private]\nrepository = ./simple\nindex_url = https://pypi.acme.example/\n")
    monkeypatch.chdir(tmp_path)
    return storage


def requests(do: Callable[[Storage], object], storage: Storage) -> Counter[str]:
    seen: list[str] = []
    do(Observed(storage, before=lambda verb, _key: seen.append(verb)))
    return Counter(seen)


# -- projects and releases ----------------------------------------------------------------------------------------------------


def test_projects_are_those_of_the_root_record_or_of_an_older_index(storage: MemoryStorage, dist: Path) -> None:
    assert browse.projects(storage) == ("acme-hello", "http-client2", "plain")
    assert requests(browse.projects, storage) == {"get": 1}
    older = MemoryStorage()
    assert browse.projects(older) == ()
    older_tool(older, dist / "plain-1.0.tar.gz", "plain")
    assert browse.projects(older) == ("plain",)


def test_what_the_root_record_names_otherwise_than_a_directory_is_called_is_no_project(storage: MemoryStorage) -> None:
    names = ("../evil", "Acme_Hello", "\x1b[31mred", "", "plain")
    put(storage, "index.json", simple.root_to_json(ProjectList(serial=9).add(names)))
    assert browse.projects(storage) == ("plain",)
    assert [hit.project for hit in browse.search(storage, "l")] == ["plain"]
    assert browse.search_names(storage, "evil") == ()


@pytest.mark.parametrize("url", ["./{}", "../acme-hello/{}", "..", "./", "", "%00"])
def test_a_sidecar_is_not_asked_for_where_an_inherited_url_leads_nowhere_of_ours(index: LocalStorage, url: str) -> None:
    record = browse.project(Index(index), "acme-hello")
    (release, *_) = releases(record)
    files = tuple(replace(file, url=url.format(file.url)) for file in release.files)
    assert browse.metadata(index, record, replace(release, files=files)) is None


def test_a_lost_sidecar_ends_no_search(storage: MemoryStorage) -> None:
    for key in [key for key in snapshot(storage) if key.endswith(".metadata") and "1.1" in key]:
        storage.delete(key)
    assert [hit.project for hit in browse.search(storage, "client")] == ["http-client2"]
    assert [(hit.project, hit.summary) for hit in browse.search(storage, "acme")] == [("acme-hello", None)]


def test_a_project_of_an_older_index_is_shown_as_it_would_be_adopted(dist: Path) -> None:
    older = MemoryStorage()
    older_tool(older, dist / "plain-1.0.tar.gz", "plain")
    before = snapshot(older)
    (release,) = releases(browse.project(Index(older), "plain"))
    assert (str(release.version), len(release.files)) == ("1.0", 1)
    assert snapshot(older) == before


def test_releases_come_newest_first_with_what_their_files_say(storage: MemoryStorage) -> None:
    record = browse.project(Index(storage), "acme-hello")
    assert [str(release.version) for release in releases(record)] == ["2.0rc1", "1.1", "1.0"]
    release = releases(record)[0]
    assert release.upload_time == "2026-11-22T12:00:00.000000Z"
    assert release.requires_python == ">=3.10"
    assert release.size == sum(file.size for file in release.files)
    assert release.yanked is False


def test_the_newest_release_is_the_one_that_an_installer_takes(storage: MemoryStorage) -> None:
    def now() -> str:
        release = newest(browse.project(Index(storage), "acme-hello"))
        return str(release and release.version)

    assert now() == "1.1"
    amend.amend(storage, "acme-hello", edits.yank(Target.parse("acme-hello==1.1"), reason="broken"))
    assert now() == "1.0"
    amend.amend(storage, "acme-hello", edits.yank(Target.parse("acme-hello==1.0")))
    assert now() == "2.0rc1"
    amend.amend(storage, "acme-hello", edits.yank(Target.parse("acme-hello==2.0rc1")))
    assert now() == "1.1"
    yanked = [release.yanked for release in releases(browse.project(Index(storage), "acme-hello"))]
    assert yanked == [True, "broken", True]


def test_metadata_come_from_the_sidecar_of_a_wheel(storage: MemoryStorage) -> None:
    def of(name: str) -> Any:
        record = browse.project(Index(storage), name)
        return browse.metadata(storage, record, releases(record)[0])

    assert of("acme-hello")["summary"] == "Greets every-body, by name."
    assert of("plain") is None
    storage.delete(next(key for key in snapshot(storage) if key.endswith("2.0rc1-py3-none-any.whl.metadata")))
    assert of("acme-hello") is None


def test_a_wheel_of_an_older_index_has_metadata_once_it_is_adopted(dist: Path) -> None:
    older = MemoryStorage()
    older_tool(older, dist / "http_client2-0.1-py3-none-any.whl", "http-client2")
    for adopted in (False, True):
        record = browse.project(Index(older), "http-client2")
        said = browse.metadata(older, record, releases(record)[0])
        assert (said or {}).get("summary") == ("A web client" if adopted else None)
        assert [hit.summary for hit in browse.search(older, "http")] == ["A web client" if adopted else None]
        amend.amend(older, "http-client2", edits.set_status("archived"))


# -- search -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["http client", "HTTP_CLIENT", "http-client", "client2", "p.c", "2", "httpclient"])
def test_names_are_found_however_they_are_written(storage: MemoryStorage, text: str) -> None:
    assert browse.search_names(storage, text) == ("http-client2",)


@pytest.mark.parametrize("text", ["", "-", "http client3", "web"])
def test_what_is_in_no_name_is_not_found(storage: MemoryStorage, text: str) -> None:
    assert browse.search_names(storage, text) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("client", ["http-client2"]),
        ("WEB", ["http-client2"]),
        ("web-client", ["http-client2"]),
        ("every body", ["acme-hello"]),
        ("by name.", ["acme-hello"]),
        ("a", ["acme-hello", "http-client2", "plain"]),
        ("webclient", []),
        ("..", []),
    ],
)
def test_summaries_are_found_by_their_words(storage: MemoryStorage, text: str, found: list[str]) -> None:
    assert [hit.project for hit in browse.search(storage, text)] == found


def test_a_hit_says_its_summary_where_there_is_one(storage: MemoryStorage) -> None:
    assert [hit.summary for hit in browse.search(storage, "a")] == ["Greets every-body, by name.", "A web client", None]


def listed(count: int) -> MemoryStorage:
    """A repository that lists so many projects."""
    storage = MemoryStorage()
    root = ProjectList(serial=1).add(f"project-{number}" for number in range(count))
    put(storage, "index.json", simple.root_to_json(root))
    return storage


def test_ten_thousand_names_are_searched_in_one_document() -> None:
    storage = listed(10_000)
    assert requests(lambda observed: browse.search_names(observed, "project 77"), storage) == {"get": 1}
    assert len(browse.search_names(storage, "Project.77")) == 111


def test_with_summaries_a_project_costs_two_requests_and_the_root_one(storage: MemoryStorage) -> None:
    assert requests(lambda observed: list(browse.search(observed, "x")), storage) == {"get": 1 + 3 + 2}


def test_projects_are_read_concurrently_and_told_of() -> None:
    """Each read waits until three others are under way."""
    barrier, told = Barrier(4, timeout=20), list[tuple[int, int]]()

    def wait(verb: str, key: str) -> None:
        if key != simple.ROOT_RECORD:
            barrier.wait()

    hits = list(browse.search(Observed(listed(8), before=wait), "project", workers=4, progress=lambda *at: told.append(at)))
    assert len(hits) == 8
    assert told == [(done, 8) for done in range(9)]


def test_a_search_that_nobody_reads_on_stops() -> None:
    seen = []
    search = browse.search(Observed(listed(5000), before=lambda _verb, key: seen.append(key)), "project", workers=2)
    assert next(search).project == "project-0"
    search.close()  # type: ignore[attr-defined]
    assert len(seen) < 100


def test_a_failed_read_ends_a_search(storage: MemoryStorage) -> None:
    for at in range(4):
        with pytest.raises(StorageError):
            list(browse.search(failing(storage, at, verbs=["get"]), "a"))
    put(storage, "plain/index.json", b"not json")
    with pytest.raises(UnsupportedIndex, match="plain"):
        list(browse.search(storage, "a"))


# -- from the command line ----------------------------------------------------------------------------------------------------


def json_of(capsys: Printed, *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_list_prints_a_name_a_line(index: LocalStorage, capsys: Printed) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr() == ("acme-hello\nhttp-client2\nplain\n", "")
    assert json_of(capsys, "list") == {
        "repository": index.location,
        "projects": [{"project": "acme-hello"}, {"project": "http-client2"}, {"project": "plain"}],
    }


def test_list_of_nothing_says_so_beside_the_result(tmp_path: Path, capsys: Printed) -> None:
    empty = str(tmp_path / "empty")
    assert main(["-r", empty, "list"]) == 0
    assert capsys.readouterr() == ("", f"There is no project in {empty}.\n")
    assert main(["-q", "-r", empty, "list"]) == 0
    assert capsys.readouterr() == ("", "")


def test_list_of_a_project_is_a_table_of_its_releases(index: LocalStorage, capsys: Printed) -> None:
    amend.amend(index, "acme-hello", edits.yank(Target.parse("acme-hello==1.0"), reason="leaks memory"))
    amend.amend(index, "acme-hello", edits.yank(Target.parse("acme-hello==2.0rc1")))
    assert main(["list", "Acme_Hello"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split(maxsplit=6) for line in out.splitlines()]
    assert rows[0] == ["version", "date", "files", "size", "python", "yanked"]
    assert [row[:3] for row in rows[1:]] == [[version, "2026-11-22", "2"] for version in ("2.0rc1", "1.1", "1.0")]
    assert [row[4:] for row in rows[1:]] == [["kB", ">=3.10", "yes"], ["kB", ">=3.10"], ["kB", ">=3.10", "leaks memory"]]
    assert err == ""
    found = json_of(capsys, "list", "acme-hello")
    assert (found["project"], found["status"], found["status_reason"]) == ("acme-hello", "active", None)
    assert [(r["version"], r["yanked"]) for r in found["releases"]] == [("2.0rc1", True), ("1.1", False), ("1.0", "leaks memory")]
    assert found["releases"][1]["files"] == ["acme_hello-1.1-py3-none-any.whl", "acme_hello-1.1.tar.gz"]


def test_a_status_is_told_beside_the_table(index: LocalStorage, capsys: Printed) -> None:
    amend.amend(index, "plain", edits.set_status("quarantined", reason="malware"))
    assert main(["list", "plain"]) == 0
    out, err = capsys.readouterr()
    assert err == "plain is quarantined: malware\n"
    assert len(out.splitlines()) == 2
    assert main(["-q", "list", "plain"]) == 0
    assert capsys.readouterr() == (out, "")
    assert json_of(capsys, "list", "plain")["status_reason"] == "malware"


def test_a_project_whose_files_were_deleted_is_still_known(index: LocalStorage, capsys: Printed) -> None:
    amend.remove(index, "plain", edits.delete(Target("plain"), NOW))
    assert main(["list", "plain"]) == 0
    assert capsys.readouterr() == ("", "plain has no files any more.\n")
    assert main(["show", "plain"]) == 1
    assert "there is no release of plain" in capsys.readouterr().err


def test_show_tells_what_a_release_is_and_how_to_install_it(index: LocalStorage, capsys: Printed) -> None:
    assert main(["show", "acme-hello"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[:3] == ["acme-hello 1.1", "Greets every-body, by name.", ""]
    assert lines[3:12] == [
        "published   2026-11-22",
        "author      Ada, Ada L <ada@acme.example>",
        "licence     MIT",
        "python      >=3.10",
        "requires    requests>=2",
        '            tomli; python_version < "3.11"',
        "extras      pretty, quick",
        "links       https://acme.example/",
        "            Source: https://git.acme.example/hello",
    ]
    for file in Target.parse("acme-hello==1.1").select(browse.project(Index(index), "acme-hello")):
        assert any(line.startswith(file.filename) and line.endswith(file.sha256) for line in lines)
    assert lines[-1].strip() == "pip install --index-url https://pypi.acme.example/ acme-hello==1.1"


def test_show_for_machines_has_all_of_it(index: LocalStorage, capsys: Printed) -> None:
    shown = json_of(capsys, "show", "acme-hello==1.0")
    assert {key: value for key, value in shown.items() if key != "files"} == {
        "repository": index.location,
        "index_url": "https://pypi.acme.example/",
        "project": "acme-hello",
        "serial": 1,
        "status": "active",
        "status_reason": None,
        "version": "1.0",
        "upload_time": "2026-11-22T12:00:00.000000Z",
        "requires_python": ">=3.10",
        "yanked": False,
        "summary": "Greets every-body, by name.",
        "author": "Ada, Ada L <ada@acme.example>",
        "license": "MIT",
        "requires_dist": ["requests>=2", 'rich; extra == "pretty"', 'tomli; python_version < "3.11"'],
        "provides_extra": ["pretty", "quick"],
        "links": ["https://acme.example/", "Source: https://git.acme.example/hello"],
    }
    for file in shown["files"]:
        assert (index._base / file["url"]).stat().st_size == file["size"]
        assert len(file["sha256"]) == 64


def test_show_of_what_has_no_metadata_shows_its_files(index: LocalStorage, capsys: Printed) -> None:
    amend.amend(index, "plain", edits.set_status("deprecated", reason="use acme-hello"))
    amend.amend(index, "plain", edits.yank(Target.parse("plain==1.0"), reason="old"))
    assert main(["-r", "./simple", "show", "Plain==1"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(
        "plain 1\n\npublished   2026-11-22\nstatus      plain is deprecated: use acme-hello\nyanked      old\n\nfile "
    )
    assert "pip install" not in out
    assert json_of(capsys, "show", "plain")["summary"] is None


def test_what_is_not_there_is_refused_with_what_is(index: LocalStorage, capsys: Printed) -> None:
    assert main(["show", "acme-hello==9"]) == 1
    assert "There are 2.0rc1, 1.1, 1.0." in capsys.readouterr().err
    assert main(["list", "acme-helo"]) == 1
    assert "Did you mean acme-hello?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ({"License": "  Our own.\n        You may\n        not."}, "licence     Our own."),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "licence     MIT License"),
        ({"Author-email": "ada@acme.example"}, "author      ada@acme.example"),
        ({"Requires-Dist": "not (a requirement"}, "requires    not (a requirement"),
        ({"Requires-Dist": f"a; {'(' * 4000}"}, f"requires    a; {'(' * 4000}"),
        ({"Summary": "\x1b[2Jgone"}, "\\x1b[2Jgone"),
    ],
)
def test_strange_and_older_metadata_are_shown_as_well(
    index: LocalStorage, tmp_path: Path, capsys: Printed, headers: dict[str, str], line: str
) -> None:
    send(index, make_wheel(tmp_path, "odd", "1.0", headers=headers))
    assert main(["show", "odd"]) == 0
    out = capsys.readouterr().out
    assert line in out.splitlines()
    assert "\x1b" not in out


def test_search_prints_names_and_summaries(index: LocalStorage, capsys: Printed) -> None:
    assert main(["search", "client"]) == 0
    assert capsys.readouterr() == ("http-client2  A web client\n", "")
    assert main(["search", "a"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "acme-hello    Greets every-body, by name.",
        "http-client2  A web client",
        "plain",
    ]
    assert main(["search", "--names", "l"]) == 0
    assert capsys.readouterr().out == "acme-hello\nhttp-client2\nplain\n"
    assert json_of(capsys, "search", "web client") == {
        "repository": index.location,
        "text": "web client",
        "projects": [{"project": "http-client2", "summary": "A web client"}],
        "unreadable": [],
    }


def test_nothing_found_is_no_failure(index: LocalStorage, capsys: Printed) -> None:
    assert main(["search", "c++"]) == 0
    assert capsys.readouterr() == ("", f"Nothing in {index.location} is called or says 'c++'.\n")
    assert json_of(capsys, "search", "--names", "c++")["projects"] == []


@pytest.mark.parametrize("text", ["acme.*", "acme-*", "^acme", "hello$", "acme|hello", "[a-z]", r"\w", "a.+", "(?i)a", "{}"])
def test_a_pattern_is_refused_with_another_way(index: LocalStorage, capsys: Printed, text: str) -> None:
    assert main(["search", text]) == 2
    err = capsys.readouterr().err
    assert "looks like a pattern" in err
    assert "list | grep -E" in err


@pytest.mark.parametrize("arguments", [["search", "--"], ["search", " . "], ["list", "demo==1.0"], ["list", ""], ["show", "==1"]])
def test_what_cannot_be_meant_is_wrong_usage(index: LocalStorage, capsys: Printed, arguments: list[str]) -> None:
    with suppress(SystemExit):
        assert main(arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5 * 10**12, "5.0 TB"),
     (10**16, "10000.0 TB"), (10**400, "1000000.0 TB"), (-(10**400), "0 B")],
)  # fmt: skip
def test_sizes_are_for_people(count: int, said: str) -> None:
    assert size_of(count) == said


# -- from Python --------------------------------------------------------------------------------------------------------------


def test_the_same_from_python(index: LocalStorage, tmp_path: Path) -> None:
    repository = open_repository(str(tmp_path / "simple"), environ={})
    assert repository.projects() == ("acme-hello", "http-client2", "plain")
    record, release = repository.project("Acme.Hello"), repository.releases("acme_hello")[0]
    said = repository.metadata(record, release)
    assert said
    assert said["summary"] == "Greets every-body, by name."
    assert repository.search_names("client") == ("http-client2",)
    assert [hit.project for hit in repository.search("web")] == ["http-client2"]
    with pytest.raises(NotPublished):
        repository.releases("nothing")
