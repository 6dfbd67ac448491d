"""``adopt``: indexes that other tools wrote, taken over in place and copied. What the tools write, they write here themselves."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from pypiprivate import artifact, edits, layouts, pages, simple, survey, takeover
from pypiprivate.amend import remove
from pypiprivate.artifact import examine_published
from pypiprivate.cli import _parser, main
from pypiprivate.edits import Target
from pypiprivate.errors import ConfigError, NotPublished, StorageError, UnsupportedIndex
from pypiprivate.index import Index
from pypiprivate.layouts import Layout
from pypiprivate.model import Deleted, Existing, ProjectList, Status
from pypiprivate.progress import Lines
from pypiprivate.publish import publish
from pypiprivate.storage import open_storage
from pypiprivate.storage.base import Sent, Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.survey import ForeignIndex, Kind, Survey
from pypiprivate.takeover import Adoption

from . import rivals, servers
from .builders import make_sdist, make_wheel
from .environments import Environments
from .repositories import (
    Observed,
    check_at_rest,
    check_never_torn,
    document,
    during,
    failing,
    filenames,
    in_turn,
    not_at_all,
    older_tool,
    put,
    record,
    root,
    snapshot,
)

OTHER = "0" * 64
#: When everything was written that says no time of its own.
THEN = datetime(2021, 2, 3, 4, 5, 6, tzinfo=timezone.utc)


def stored() -> MemoryStorage:
    return MemoryStorage(clock=lambda: THEN)


def adopted(storage: Storage, *names: str, **more: Any) -> Adoption:
    """Adopt in place."""
    found = survey.survey(storage, names, gather=in_turn)
    return takeover.take(found, storage, sleep=not_at_all, gather=in_turn, **more)


def copied(origin: Storage, storage: Storage, *names: str, **more: Any) -> Adoption:
    """Adopt from elsewhere."""
    found = survey.survey_place(origin, names, gather=in_turn, **more)
    return takeover.take(found, storage, sleep=not_at_all, gather=in_turn)


def said(adoption: Adoption | Survey, kind: Kind) -> dict[str, str]:
    """What the remarks of a kind say, by file name."""
    return {remark.filename: remark.said for remark in adoption.remarks if remark.kind is kind}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def page(*anchors: str) -> bytes:
    return f"<!DOCTYPE html><html><body>{'<br>'.join(anchors)}</body></html>".encode()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "dist", "Demo", "1.0", requires_python=">=3.8")


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return make_sdist(tmp_path / "dist", "Demo", "1.0", files={"pyproject.toml": b""})


@pytest.fixture
def older(wheel: Path, sdist: Path) -> MemoryStorage:
    """An index of the original pypiprivate with two projects."""
    storage = stored()
    older_tool(storage, wheel, "demo")
    older_tool(storage, sdist, "demo")
    older_tool(storage, make_wheel(wheel.parent, "other", "2.0"), "other")
    return storage


# -- what the tools themselves write ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments.of_this_run(tmp_path_factory)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.shared(servers.seaweedfs, tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[servers.Server]:
    (tmp_path / "moto").mkdir()
    with servers.moto(tmp_path / "moto") as server:
        yield server


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A directory with three files of acme-demo, under names as tools of different times spell them."""
    dist = tmp_path / "acme"
    make_wheel(dist, "Acme.Demo", "1.0", requires_python=">=3.8")
    make_sdist(dist, "Acme.Demo", "1.0", requires_python=">=3.8", files={"pyproject.toml": b""})
    make_sdist(dist, "Acme.Demo", "1.1+local.1", files={"pyproject.toml": b""})
    return dist


ACME = ["acme_demo-1.0-py3-none-any.whl", "acme_demo-1.0.tar.gz", "acme_demo-1.1+local.1.tar.gz"]


@pytest.mark.skipif(not rivals.ORIGINAL_RUNS, reason="the original does not run on this Python")
def test_an_index_of_the_original_is_adopted_in_place(environments: Environments, acme: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    rivals.original(environments, index, acme, [("acme_demo", "1.0"), ("acme_demo", "1.1+local.1")])
    before = snapshot(LocalStorage(index))
    assert main(["-r", str(index), "adopt"]) == 0
    storage = LocalStorage(index)
    check_at_rest(storage)
    assert filenames(storage, "acme-demo") == ACME
    assert {key: snapshot(storage)[key] for key in before if not key.endswith(".html")} == {
        key: body for key, body in before.items() if not key.endswith(".html")
    }
    assert not adopted(storage).taken


def test_an_index_of_s3pypi_is_adopted_in_place(environments: Environments, acme: Path, seaweedfs: servers.Server) -> None:
    rivals.s3pypi(environments, seaweedfs, acme, "--index.html", "--put-root-index", prefix="s3pypi")
    storage = open_storage("aws-s3", seaweedfs.options(prefix="s3pypi"))
    assert sorted(taken.filename for taken in adopted(storage).taken) == ACME
    check_at_rest(storage)
    writes: list[str] = []
    assert adopted(Observed(storage, before=lambda verb, key: writes.append(verb))).present == 3
    assert {"swap", "store", "delete"} & {*writes} == set()
    other = open_storage("aws-s3", seaweedfs.options(prefix="copied"))
    assert len(copied(storage, other).taken) == 3
    check_at_rest(other)


@pytest.mark.parametrize("flags", [(), ("--index.html",)])
def test_hashes_that_s3pypi_noted_are_compared_wherever_its_page_lies(
    environments: Environments, acme: Path, moto: servers.Server, flags: tuple[str, ...], tmp_path: Path
) -> None:
    rivals.s3pypi(environments, moto, acme, *flags, prefix="in/a/prefix")
    key = "in/a/prefix/acme-demo/index.html" if flags else "in/a/prefix/acme-demo/"
    noted = moto.client().get_object(Bucket=servers.BUCKET, Key=key)["Body"].read()
    wrong = re.sub(rb"(acme_demo-1.0.tar.gz#sha256=)[0-9a-f]+", rb"\g<1>" + OTHER.encode(), noted)
    moto.client().put_object(Bucket=servers.BUCKET, Key=key, Body=wrong)
    storage = open_storage("aws-s3", moto.options(prefix="in/a/prefix"))
    target = LocalStorage(tmp_path / "copy")
    for adoption, taken in ((copied(storage, target), 2), (adopted(storage), 0)):
        assert len(adoption.taken) == taken
        ((filename, why),) = said(adoption, Kind.REFUSED).items()
        assert filename.endswith("acme_demo-1.0.tar.gz")
        assert "another sha256" in why
    check_at_rest(target)
    moto.client().put_object(Bucket=servers.BUCKET, Key=key, Body=noted)
    assert len(adopted(storage).taken) == 3
    check_at_rest(storage)


def test_what_dumb_pypi_lists_keeps_its_times_and_marks(environments: Environments, acme: Path, tmp_path: Path) -> None:
    wheel, sdist, local = sorted(acme.iterdir())
    listed: list[dict[str, Any]] = [
        {"filename": wheel.name, "hash": f"sha256={sha256(wheel)}", "upload_timestamp": 1600000000, "requires_python": ">=3.8"},
        {"filename": sdist.name, "yanked_reason": "broken <b>"},
        {"filename": local.name, "hash": f"md5={hashlib.md5(local.read_bytes()).hexdigest()}", "yanked_reason": ""},
    ]
    rivals.dumb_pypi(environments, tmp_path / "dumb", listed)
    arguments = ["-r", str(tmp_path / "index"), "adopt", "--from", str(tmp_path / "dumb")]
    assert main(arguments) == 1  # where the files lie it does not say
    assert main([*arguments, "--files", str(acme)]) == 0
    storage = LocalStorage(tmp_path / "index")
    check_at_rest(storage)
    files = {file.filename: file for file in record(storage, "acme-demo").files}
    assert sorted(files) == ACME
    assert files[wheel.name].upload_time == "2020-09-13T12:26:40.000000Z"
    assert (files[wheel.name].yanked, files[sdist.name].yanked, files[local.name].yanked) == (False, "broken <b>", False)
    assert set(files[local.name].hashes) == {"md5", "sha256"}


def test_what_pypiserver_serves_is_taken_and_nothing_else(environments: Environments, acme: Path, tmp_path: Path) -> None:
    make_wheel(acme / "deeper", "other", "2.0")
    make_wheel(acme / ".hidden", "hidden", "2.0")
    with rivals.pypiserver(environments, acme) as url:
        served = {name: layouts.read_html(rivals.links_of(f"{url}{name}/").encode()) for name in ("acme-demo", "other")}
        assert "hidden" not in rivals.links_of(url)
    assert main(["-r", str(tmp_path / "index"), "adopt", "--from", str(acme), "--layout", "pypiserver"]) == 0
    storage = LocalStorage(tmp_path / "index")
    check_at_rest(storage)
    assert {name: filenames(storage, name) for name in root(storage).projects} == {
        name: sorted(links) for name, links in served.items()
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a current bandersnatch does not run on this Python")
@pytest.mark.parametrize("settings", [(), ("hash-index = true",), ("root_uri = https://mirror.example/pypi",)])
def test_a_mirror_of_bandersnatch_keeps_times_and_reasons(
    environments: Environments, acme: Path, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    wheel, sdist, local = sorted(acme.iterdir())
    releases: list[dict[str, Any]] = [
        {"path": wheel, "version": "1.0", "upload_time": "2020-01-02T03:04:05.678901Z", "requires_python": ">=3.8"},
        {"path": sdist, "version": "1.0", "upload_time": "2020-01-02T03:04:06Z", "yanked": True, "yanked_reason": 'a "b" <c>'},
        {"path": local, "version": "1.1+local.1", "upload_time": "2020-01-02T03:04:07Z", "yanked": True},
    ]
    mirror = tmp_path / "mirror"
    rivals.bandersnatch(environments, mirror, releases, *settings)
    assert list((mirror / "web" / "simple").rglob("index.v1_json"))
    assert main(["-r", str(tmp_path / "index"), "adopt", "--from", str(mirror)]) == 0
    storage = LocalStorage(tmp_path / "index")
    check_at_rest(storage)
    files = {file.filename: file for file in record(storage, "acme-demo").files}
    assert [files[name].upload_time for name in ACME] == [f"2020-01-02T03:04:0{n}Z" for n in ("5.678901", "6.000000", "7.000000")]
    assert [files[name].yanked for name in ACME] == [False, 'a "b" <c>', True]
    assert files[wheel.name].requires_python == ">=3.8"
    assert files[wheel.name].sha256 == sha256(wheel)
    reads: list[str] = []
    again = copied(Observed(LocalStorage(mirror), before=lambda verb, key: reads.append(verb)), storage)
    assert (again.present, "read" in reads) == (3, False)


# -- in place -----------------------------------------------------------------------------------------------------------------


def test_marks_times_and_hashes_of_the_older_page_are_kept(wheel: Path, sdist: Path) -> None:
    storage = stored()
    others = [make_sdist(wheel.parent, "demo", version) for version in ("2.0", "3.0", "4.0")]
    for path in (wheel, sdist, *others):
        put(storage, f"demo/{path.name}", path.read_bytes())
    sha512 = hashlib.sha512(sdist.read_bytes()).hexdigest()
    put(storage, f"demo/{others[2].name}", b"damaged")
    anchors = (
        f'<a href="{wheel.name}#sha256={sha256(wheel)}" data-upload-time="2020-01-02T03:04:05Z" data-yanked="a &lt;b&gt;">w</a>',
        f'<a href="./{sdist.name}#sha512={sha512}" data-yanked>s</a>',
        f'<A HREF="/demo/{others[0].name}#md5=12" data-yanked="" data-upload-time="yesterday">2</A>',
        f'<a href="{others[1].name}#sha256={sha256(others[1]).upper()}" data-requires-python="&gt;=2.7">3</a>',
        f'<a href="{others[2].name}" data-requires-python="&gt;=3.9">4</a>',
        '<a href="../">up</a><a>nothing</a><a href="http://[">wrong</a>',
    )
    put(storage, "demo/index.html", page(*anchors))
    adoption = adopted(storage)
    check_at_rest(storage)
    files = {file.filename: file for file in record(storage, "demo").files}
    kept = files[wheel.name]
    assert (kept.upload_time, kept.yanked, kept.requires_python) == ("2020-01-02T03:04:05.000000Z", "a <b>", ">=3.8")
    assert files[sdist.name].yanked is True
    assert files[sdist.name].hashes == {"sha256": sha256(sdist), "sha512": sha512}
    assert (files[others[0].name].yanked, files[others[0].name].upload_time) == (True, "2021-02-03T04:05:06.000000Z")
    assert files[others[1].name].hashes == {"sha256": sha256(others[1])}
    assert files[others[2].name].requires_python == ">=3.9"
    assert adoption.is_complete


def test_a_file_whose_older_page_says_another_sha256_is_not_copied(wheel: Path, sdist: Path) -> None:
    """Installers refused it, and a record of ours would say that it is sound."""
    origin, storage = place_of({f"demo/{path.name}": path.read_bytes() for path in (wheel, sdist)}), stored()
    put(origin, "demo/index.html", page(f'<a href="{wheel.name}#sha256={OTHER}">w</a>', f'<a href="{sdist.name}">s</a>'))
    for _ in range(2):
        adoption = copied(origin, storage)
        check_at_rest(storage)
        assert filenames(storage, "demo") == [sdist.name]
        assert "another sha256" in said(adoption, Kind.REFUSED)[wheel.name]
        assert not adoption.is_complete


def test_a_project_whose_older_page_says_another_sha256_stays_as_it_is(wheel: Path, sdist: Path) -> None:
    """A page of ours would not say it any more, and the next adoption would take the file."""
    storage = stored()
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    put(storage, f"demo/{sdist.name}", sdist.read_bytes())
    put(storage, "demo/index.html", page(f'<a href="{wheel.name}#sha256={OTHER}">w</a>', f'<a href="{sdist.name}">s</a>'))
    before = snapshot(storage)
    preview = takeover.preview(survey.survey(storage), storage)
    for adoption in (preview, adopted(storage), adopted(storage)):
        assert "another sha256" in said(adoption, Kind.REFUSED)[f"demo/{wheel.name}"]
        assert not adoption.is_complete
        assert {key: body for key, body in snapshot(storage).items() if key.startswith("demo/")} == before
    storage.delete(f"demo/{wheel.name}")
    assert adopted(storage).is_complete
    assert filenames(storage, "demo") == [sdist.name]


@pytest.mark.parametrize("strange", ["<![foo[x]]>", "<![foo", "<![CDATA[x]]>", "<!foo>"])
def test_what_follows_a_strange_section_of_a_page_is_read(wheel: Path, strange: str) -> None:
    storage = stored()
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    put(storage, "demo/index.html", page(f"{strange}x>", f'<a href="{wheel.name}" data-yanked="bad">w</a>'))
    adopted(storage)
    assert [file.yanked for file in record(storage, "demo").files] == ["bad"]


def test_metadata_count_more_than_what_a_page_says_of_python(wheel: Path) -> None:
    storage = stored()
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    put(storage, "demo/index.html", page(f'<a href="{wheel.name}" data-requires-python="&gt;=3.6">w</a>'))
    assert ">=3.6" in said(adopted(storage), Kind.STRANGE)[wheel.name]
    assert record(storage, "demo").files[0].requires_python == ">=3.8"


def test_whoever_adopts_by_publishing_keeps_marks_too(wheel: Path, tmp_path: Path) -> None:
    from pypiprivate.artifact import read

    storage = stored()
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    put(storage, "demo/index.html", page(f'<a href="{wheel.name}" data-yanked="no">w</a>'))
    publish([read(make_sdist(tmp_path, "demo", "2.0"))], storage, gather=in_turn)
    check_at_rest(storage)
    assert [file.yanked for file in record(storage, "demo").files] == ["no", False]


def test_one_survey_says_how_much_there_is_to_read(older: MemoryStorage) -> None:
    found = survey.survey(older, gather=in_turn)
    sizes = [entry.size for entry in older.list("") if not entry.key.endswith(".html")]
    assert (found.in_place, found.files, found.size) == (("demo", "other"), 3, sum(sizes))
    told: list[int] = []
    takeover.take(found, older, sent=told.append, sleep=not_at_all)
    assert sum(told) == found.size
    again = survey.survey(older)
    assert (again.files, again.size) == (0, 0)


def test_a_preview_says_the_same_and_writes_nothing(older: MemoryStorage) -> None:
    put(older, "demo/notes.txt", b"")
    before, found = snapshot(older), survey.survey(older)
    would = takeover.preview(found, older)
    assert snapshot(older) == before
    assert would == takeover.take(found, older)
    assert said(would, Kind.LEFT_OUT) == {"notes.txt": "the name is neither that of a wheel (.whl) nor of an sdist (.tar.gz)"}


def test_only_the_projects_that_are_named(older: MemoryStorage) -> None:
    adopted(older, "other")
    assert filenames(older, "other") == ["other-2.0-py3-none-any.whl"]
    assert older.get("demo/index.json") is None
    assert set(root(older).projects) == {"demo", "other"}
    with pytest.raises(NotPublished, match="no-such"):
        adopted(older, "no-such")


def test_a_project_is_adopted_beside_a_record_too(older: MemoryStorage, tmp_path: Path) -> None:
    adopted(older)
    late = make_sdist(tmp_path, "demo", "3.0")
    put(older, f"demo/{late.name}", late.read_bytes())  # by a tool whose page was lost, or lies elsewhere
    assert [taken.filename for taken in adopted(older).taken] == [late.name]
    check_at_rest(older)
    assert late.name in filenames(older, "demo")


def test_what_was_deleted_is_not_adopted_again(older: MemoryStorage, wheel: Path) -> None:
    adopted(older)
    index = Index(older, gather=in_turn)
    body = b"".join(older.read(f"demo/{wheel.name}"))
    index.finish([index.change("demo", lambda project: project.remove(project.files, "2026-01-01T00:00:00.000000Z"))])
    put(older, f"demo/{wheel.name}", body)
    adoption = adopted(older, "demo")
    assert said(adoption, Kind.LEFT_OUT)[wheel.name] == "it was replaced or deleted before"
    assert adoption.taken == ()
    check_at_rest(older)


def test_directories_that_no_installer_asks_for_are_copied_from(wheel: Path, sdist: Path) -> None:
    storage = stored()
    put(storage, f"Demo/{wheel.name}", wheel.read_bytes())
    put(storage, f"Demo/{sdist.name}", sdist.read_bytes())
    put(storage, "Demo/index.html", page(f'<a href="{wheel.name}" data-yanked="why">w</a>'))
    put(storage, "Demo/other-1.0.tar.gz", b"")
    put(storage, "assets/style.css", b"")
    adoption = adopted(storage)
    check_at_rest(storage)
    assert [file.yanked for file in record(storage, "demo").files] == ["why", False]
    assert set(said(adoption, Kind.STRANGE)) == {wheel.name, sdist.name}
    assert set(said(adoption, Kind.LEFT_OUT)) == {"Demo/other-1.0.tar.gz"}
    assert storage.get(f"Demo/{wheel.name}")
    assert set(root(storage).projects) == {"demo"}
    assert (adopted(storage, "demo").present, adopted(storage, "demo").taken) == (2, ())


def test_files_that_lie_anywhere_else_are_left_out_and_said(older: MemoryStorage) -> None:
    put(older, "loose-1.0.tar.gz", b"")
    put(older, "deep/down/deep-1.0.tar.gz", b"")
    adopted(older)
    adoption = adopted(older)
    assert set(said(adoption, Kind.LEFT_OUT)) == {"loose-1.0.tar.gz", "deep/down/deep-1.0.tar.gz"}
    assert adoption.is_complete


@pytest.mark.parametrize(
    "url",
    ["https://x.example/demo-0.1.tar.gz", "//x.example/demo/demo-0.1.tar.gz", "/demo/demo-0.1.tar.gz", "../demo-0.1.tar.gz"],
)
def test_a_page_that_lists_files_elsewhere_is_never_replaced(older: MemoryStorage, url: str) -> None:
    before = page(f'<a href="{url}">elsewhere</a>')
    put(older, "demo/index.html", before)
    for act in (takeover.preview, takeover.take):
        adoption = act(survey.survey(older), older)
        assert url in said(adoption, Kind.REFUSED)["demo/index.html"]
        assert not adoption.is_complete
    stored_page = older.get("demo/index.html")
    assert stored_page
    assert stored_page.body == before
    assert filenames(older, "other")
    with pytest.raises(UnsupportedIndex, match="elsewhere|not in the project's directory"):
        Index(older).look(["demo"])


def test_a_page_that_lists_what_is_gone_is_replaced_and_it_is_said(older: MemoryStorage, wheel: Path) -> None:
    put(older, "demo/index.html", page('<a href="demo-0.1.tar.gz">gone</a>', f'<a href="{wheel.name}">w</a>'))
    adoption = adopted(older)
    assert said(adoption, Kind.LEFT_OUT) == {"demo-0.1.tar.gz": "the older page lists it, but it is not there"}
    check_at_rest(older)


def test_a_record_that_cannot_be_read_stops_its_project_only(older: MemoryStorage) -> None:
    put(older, "demo/index.json", b"{}")
    adoption = adopted(older)
    assert list(said(adoption, Kind.REFUSED)) == ["demo/index.json"]
    assert filenames(older, "other")


def test_a_record_that_was_lost_is_not_made_anew_from_less(older: MemoryStorage, tmp_path: Path) -> None:
    from pypiprivate.artifact import read

    adopted(older)
    publish([read(make_wheel(tmp_path, "demo", "2.0"))], older, gather=in_turn)
    older.delete("demo/index.json")
    before = snapshot(older)
    for act in (takeover.preview, takeover.take):
        assert "missing" in said(act(survey.survey(older), older), Kind.REFUSED)["demo/index.json"]
    assert snapshot(older) == before


def test_sidecars_of_an_older_index_are_no_strange_files(older: MemoryStorage, wheel: Path) -> None:
    put(older, f"demo/{wheel.name}.metadata", b"other bytes")
    adoption = adopted(older)
    assert adoption.remarks == ()
    assert next(file for file in record(older, "demo").files if file.filename == wheel.name).core_metadata is False


def test_a_thorough_reader_finds_more(tmp_path: Path) -> None:
    storage = stored()
    rows = ("demo-1.0.dist-info/METADATA,sha256=AAAA,1", "demo/__init__.py,,", "demo-1.0.dist-info/WHEEL,,")
    lies = "\n".join([*rows, ""]).encode()
    wheel = make_wheel(tmp_path, "demo", "1.0", files={"demo-1.0.dist-info/RECORD": lies})
    put(storage, f"demo/{wheel.name}", wheel.read_bytes())
    found = survey.survey(storage)
    assert takeover.preview(found, storage).remarks == ()
    assert "RECORD" in said(takeover.preview(found, storage, read=examine_published), Kind.STRANGE)[wheel.name]


@pytest.mark.parametrize("name", ["demo-1.0.zip", "demo-1.0.tar.bz2", "demo-1.0.tar.gz"])
def test_old_and_damaged_sdists_stay_offered(tmp_path: Path, name: str) -> None:
    storage = stored()
    body = (
        make_sdist(tmp_path, "demo", "1.0", format=".zip", requires_python=">=3.7").read_bytes() if name.endswith("zip") else b"x"
    )
    put(storage, f"demo/{name}", body)
    adoption = adopted(storage)
    check_at_rest(storage)
    assert filenames(storage, "demo") == [name]
    assert (name in said(adoption, Kind.STRANGE)) == (not name.endswith("zip"))
    assert record(storage, "demo").files[0].requires_python == (">=3.7" if name.endswith("zip") else None)


def test_a_directory_of_files_of_others_is_left_alone(older: MemoryStorage) -> None:
    put(older, "wrong/demo-5.0.tar.gz", b"")
    assert said(adopted(older), Kind.LEFT_OUT) == {"demo-5.0.tar.gz": "it is named as a file of demo"}
    assert older.get("wrong/index.json") is None


def test_a_file_that_changes_while_it_is_read_stops_the_command(older: MemoryStorage) -> None:
    def grow(verb: str, key: str) -> None:
        if verb == "read":
            put(older, key, b"longer than it was " * 500)

    with pytest.raises(StorageError, match="changed while it was read"):
        adopted(Observed(older, before=grow))


def test_without_room_for_a_big_file_the_command_says_so(older: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(older, "demo/demo-3.0.tar.gz", bytes(5 << 20))
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/directory")
    with pytest.raises(StorageError, match="temporary directory"):
        adopted(older)


def test_an_sdist_without_metadata_stays_offered(tmp_path: Path) -> None:
    storage = stored()
    from .builders import write_targz

    put(storage, "demo/demo-1.0.tar.gz", write_targz(tmp_path / "demo-1.0.tar.gz", {"demo-1.0/setup.py": b""}).read_bytes())
    assert "PKG-INFO" in said(adopted(storage), Kind.STRANGE)["demo-1.0.tar.gz"]
    assert filenames(storage, "demo") == ["demo-1.0.tar.gz"]


@pytest.mark.parametrize(
    ("key", "body", "said"),
    [
        ("index.json", b"no record", "it is not JSON"),
        ("index.json", b'{"meta": {"api-version": "2.0"}, "projects": []}', "api-version"),
        ("index.html", pages.root_to_html(ProjectList(serial=9)), "older"),
    ],
    ids=["unreadable", "of-a-newer-version", "outdated"],
)
def test_a_root_that_will_refuse_is_seen_before_the_first_project_is_written(
    older: MemoryStorage, key: str, body: bytes, said: str
) -> None:
    put(older, "index.json", simple.root_to_json(ProjectList(serial=3)))
    put(older, key, body)
    copies = survey.survey_place(older, layout=Layout.DIRECTORY, gather=in_turn)
    for found in (survey.survey(older, gather=in_turn), copies):
        assert found.files
        for act in (takeover.take, takeover.preview):
            before = snapshot(older)
            with pytest.raises(UnsupportedIndex, match=said):
                act(found, older, gather=in_turn)
            assert snapshot(older) == before


class Spoiling(MemoryStorage):
    """Somebody spoils the root while files are copied here."""

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        put(self, "index.json", b"no record")
        super().store(key, body, sha256=sha256, sent=sent)


def test_a_root_that_is_spoilt_meanwhile_ends_it_and_is_no_projects_fault(older: MemoryStorage) -> None:
    found = survey.survey_place(older, layout=Layout.DIRECTORY, gather=in_turn)
    with pytest.raises(UnsupportedIndex, match=r"index\.json"):
        takeover.take(found, Spoiling(), gather=in_turn)


def test_a_flat_directory_is_not_adopted_in_place_and_that_is_no_success(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ((), ("-q",), ("--dry-run",)):
        assert main(["-r", str(wheel.parent), "adopt", *arguments]) == 1
        assert f"adopt --from {wheel.parent} into another one" in capsys.readouterr().err
    assert main(["-r", str(tmp_path / "index"), "adopt", "--from", str(wheel.parent)]) == 0
    assert filenames(LocalStorage(tmp_path / "index"), "demo") == [wheel.name]


def test_a_directory_that_is_not_there_is_said_to_be_none(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"
    by_layout = ([str(missing), "--layout", layout] for layout in layouts.LAYOUTS)
    for arguments in ([str(missing)], [str(wheel.parent), "--files", str(missing)], *by_layout):
        assert main(["-r", str(tmp_path / "index"), "adopt", "--from", *arguments]) == 1
        assert f"error: nothing lies in {missing}: there is no such place, or it is empty" in capsys.readouterr().err
    assert not missing.exists()


def test_where_there_is_nothing_to_adopt_that_is_no_success(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/README.txt").touch()
    (tmp_path / "notes/packages.json").touch()
    for place, layout in ((wheel.parent, "dumb-pypi"), (tmp_path / "notes", "dumb-pypi"), (tmp_path / "notes", "directory")):
        assert main(["-r", str(tmp_path / "index"), "adopt", "--from", str(place), "--layout", layout]) == 1
        assert f"error: there is nothing to adopt in {place}" in capsys.readouterr().err
    for place in (tmp_path / "nowhere", tmp_path / "notes"):
        assert main(["-r", str(place), "adopt"]) == 1
        assert f"error: there is nothing to adopt in {place}" in capsys.readouterr().err
    assert not (tmp_path / "index").exists()


def test_an_index_in_which_all_is_ours_already_is_a_success(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish([artifact.read(wheel)], LocalStorage(tmp_path / "index"))
    before = snapshot(LocalStorage(tmp_path / "index"))
    assert main(["-r", str(tmp_path / "index"), "adopt"]) == 0
    assert capsys.readouterr().err == "no file was adopted\n"
    assert main(["-r", str(tmp_path / "index"), "adopt", "--dry-run"]) == 0
    assert capsys.readouterr().err.startswith("no file would be adopted\ndry run: ")
    assert snapshot(LocalStorage(tmp_path / "index")) == before


# -- at every moment ----------------------------------------------------------------------------------------------------------


def offered(storage: Storage, project: str) -> set[str]:
    """What installers see: the page of the project, whoever wrote it."""
    found = storage.get(f"{project}/index.html")
    return {name for name in layouts.read_html(found.body) if layouts.is_release_file(name)} if found else set()


def prepared(dist: Path) -> MemoryStorage:
    """An older index, a part of it under a name that is not normalised."""
    storage = stored()
    for version in ("0.1", "0.2"):
        older_tool(storage, make_wheel(dist, "demo", version), "demo")
    odd = make_sdist(dist, "Odd.Name", "1.0")
    put(storage, f"Odd.Name/{odd.name}", odd.read_bytes())
    return storage


def operations(dist: Path) -> int:
    count = 0

    def counted(_verb: str, _key: str) -> None:
        nonlocal count
        count += 1

    adopted(Observed(prepared(dist), before=counted))
    return count


def test_nothing_of_the_older_index_disappears_at_any_moment(tmp_path: Path) -> None:
    storage = prepared(tmp_path)
    before, lying = offered(storage, "demo"), set(snapshot(storage))

    def check(_verb: str, _key: str) -> None:
        check_never_torn(storage)
        assert offered(storage, "demo") >= before
        assert set(snapshot(storage)) >= lying

    adopted(Observed(storage, before=check, after=check))
    check_at_rest(storage)
    assert len(before) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_loses_nothing_and_a_rerun_finishes(tmp_path: Path, when: str) -> None:
    at = 0
    while True:
        storage = prepared(tmp_path)
        try:
            adopted(failing(storage, at, when=when))
        except StorageError:
            at += 1
        else:
            break
        check_never_torn(storage)
        assert len(offered(storage, "demo")) == 2
        adopted(storage)
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 2
        assert len(filenames(storage, "odd-name")) == 1
        writes: list[str] = []
        adopted(Observed(storage, before=lambda verb, _, writes=writes: writes.append(verb)))  # type: ignore[misc]
        assert not {"swap", "store", "delete"} & {*writes}
    assert at > 10


def test_beside_a_publisher_both_are_done(tmp_path: Path) -> None:
    from pypiprivate.artifact import read

    ours = read(make_wheel(tmp_path, "demo", "9.0"))
    for at in range(operations(tmp_path)):
        storage = prepared(tmp_path)

        def publisher(storage: MemoryStorage = storage) -> None:
            publish([ours], storage, sleep=not_at_all, gather=in_turn)

        adopted(during(storage, at, publisher))
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 3


def test_beside_the_older_tool_a_rerun_has_all(tmp_path: Path) -> None:
    late = make_wheel(tmp_path, "demo", "0.3")
    for at in range(operations(tmp_path)):
        storage = prepared(tmp_path)

        def tool(storage: MemoryStorage = storage) -> None:
            older_tool(storage, late, "demo")

        adopted(during(storage, at, tool))
        adopted(storage)
        check_at_rest(storage)
        assert late.name in filenames(storage, "demo")


def test_a_read_that_fails_is_no_absence(older: MemoryStorage) -> None:
    found, before = survey.survey(older), snapshot(older)
    with pytest.raises(StorageError):
        takeover.take(found, failing(older, 0, verbs=("read",)), gather=in_turn)
    assert {key: body for key, body in snapshot(older).items() if key in before} == before
    with pytest.raises(StorageError):
        survey.survey(failing(older, 0, verbs=("list",)))


# -- copied from elsewhere ----------------------------------------------------------------------------------------------------


def place_of(files: Mapping[str, bytes]) -> MemoryStorage:
    storage = stored()
    for key, body in files.items():
        put(storage, key, body)
    return storage


def test_the_layouts_of_pypicloud_are_taken_with_what_it_noted(wheel: Path, sdist: Path) -> None:
    noted = {"hash_sha256": sha256(wheel), "hash_md5": OTHER[:32], "requires_python": ">=3.3", "summary": "x"}
    meta = json.dumps(noted).encode()
    in_directory = {
        f"demo/1.0/{wheel.name}": wheel.read_bytes(),
        f"demo/1.0/{wheel.name}.meta": meta,
        f"demo/1.0/.{sdist.name}.1234": b"half an upload",
    }
    storage = stored()
    adoption = copied(place_of(in_directory), storage, layout=layouts.LAYOUTS["pypicloud"])
    assert "another md5" in adoption.remarks[0].said
    assert record(storage, "demo").files[0].upload_time == "2021-02-03T04:05:06.000000Z"
    in_bucket = place_of({f"a1b2/demo/{sdist.name}": sdist.read_bytes(), f"demo/1.0/{wheel.name}": wheel.read_bytes()})
    adoption = copied(in_bucket, storage)
    assert ([taken.filename for taken in adoption.taken], adoption.present) == ([sdist.name], 1)
    check_at_rest(storage)
    for broken in (b"no JSON", b"[]"):
        with pytest.raises(ForeignIndex, match="meta"):
            copied(place_of({**in_directory, f"demo/1.0/{wheel.name}.meta": broken}), storage)


def test_what_is_no_release_file_is_left_out_and_said(wheel: Path) -> None:
    place = place_of({wheel.name: wheel.read_bytes(), "demo-1.0-py3.8.egg": b"", "README.txt": b""})
    adoption = copied(place, stored())
    assert set(said(adoption, Kind.LEFT_OUT)) == {"demo-1.0-py3.8.egg", "README.txt"}
    assert adoption.is_complete


def test_names_and_metadata_decide_which_project_an_old_sdist_is_of(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "foo-1-0", "1", filename="foo-1.0-1.tar.gz")
    storage = stored()
    copied(place_of({sdist.name: sdist.read_bytes()}), storage)
    assert filenames(storage, "foo-1-0") == [sdist.name]
    assert copied(place_of({sdist.name: sdist.read_bytes()}), storage).present == 1


def test_one_name_with_two_contents_is_not_decided_for_anybody(tmp_path: Path) -> None:
    one, two = make_sdist(tmp_path, "demo", "1.0"), make_sdist(tmp_path / "b", "demo", "1.0", files={"x": b"y"})
    fine = make_sdist(tmp_path, "demo", "2.0")
    files = {f"a/{one.name}": one.read_bytes(), f"b/{two.name}": two.read_bytes(), fine.name: fine.read_bytes()}
    storage = stored()
    adoption = copied(place_of(files), storage)
    assert "a/demo-1.0.tar.gz" in said(adoption, Kind.REFUSED)[one.name]
    assert filenames(storage, "demo") == [fine.name]
    assert not adoption.is_complete
    files[f"b/{two.name}"] = one.read_bytes()
    adoption = copied(place_of(files), storage)
    assert "the same as" in said(adoption, Kind.LEFT_OUT)[one.name]
    assert filenames(storage, "demo") == [one.name, fine.name]
    check_at_rest(storage)


def test_two_spellings_of_one_wheel_are_one(tmp_path: Path) -> None:
    one, two = make_wheel(tmp_path, "demo", "1.0"), make_wheel(tmp_path, "demo", "1.0", filename="Demo-1.0-py3-none-any.whl")
    storage = stored()
    copied(place_of({one.name: one.read_bytes()}), storage)
    adoption = copied(place_of({two.name: two.read_bytes()}), storage)
    assert (adoption.taken, adoption.present, adoption.is_complete) == ((), 1, True)


def test_what_the_repository_has_otherwise_stays_as_published(tmp_path: Path) -> None:
    storage, index = stored(), Index(stored())
    ours, theirs = make_sdist(tmp_path, "demo", "1.0"), make_sdist(tmp_path / "b", "demo", "1.0", files={"x": b"y"})
    copied(place_of({ours.name: ours.read_bytes()}), storage)
    adoption = copied(place_of({theirs.name: theirs.read_bytes()}), storage)
    assert "other bytes" in said(adoption, Kind.REFUSED)[ours.name]
    index = Index(storage, gather=in_turn)
    index.finish([index.change("demo", lambda project: project.remove(project.files, "2026-01-01T00:00:00.000000Z"))])
    more = make_sdist(tmp_path, "demo", "2.0")
    place = place_of({theirs.name: theirs.read_bytes(), more.name: more.read_bytes()})
    adoption = copied(place, storage)
    assert "was deleted" in said(adoption, Kind.REFUSED)[ours.name]
    assert filenames(storage, "demo") == [more.name]
    check_at_rest(storage)
    index.change("demo", lambda project: project.set_status(Status("archived")))
    last, other = make_sdist(tmp_path, "demo", "3.0"), make_sdist(tmp_path, "other", "1.0")
    files = {path.name: path.read_bytes() for path in (last, more, other)}
    adoption = takeover.preview(survey.survey_place(place_of(files)), storage)
    assert "archived" in said(adoption, Kind.REFUSED)[last.name]
    assert [taken.filename for taken in adoption.taken] == [other.name]


def deleted(storage: Storage, named: str) -> None:
    target = Target.parse(named)
    remove(storage, target.project, edits.delete(target, THEN), sleep=not_at_all)


def test_what_was_deleted_stays_so_when_the_same_is_adopted_again(wheel: Path, tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "demo", "2.0")
    files = {f"demo/{path.name}": path.read_bytes() for path in (wheel, sdist)}
    listing = page(*(f'<a href="{path.name}#sha256={sha256(path)}">x</a>' for path in (wheel, sdist)))
    for place in (place_of(files), place_of({**files, "demo/index.html": listing})):
        storage = stored()
        copied(place, storage)
        deleted(storage, "demo==1.0")
        before = snapshot(storage)
        for adoption in (takeover.preview(survey.survey_place(place), storage, gather=in_turn), copied(place, storage)):
            assert (adoption.taken, adoption.present, adoption.is_complete) == ((), 1, True)
            reason = "it was deleted from this index; pypi-private upload brings it back"
            assert said(adoption, Kind.LEFT_OUT) == {wheel.name: reason}
        assert snapshot(storage) == before
        publish([artifact.read(wheel)], storage)
        assert copied(place, storage).present == 2


def test_what_was_deleted_is_known_in_another_spelling_and_beside_names_that_say_nothing(tmp_path: Path) -> None:
    one, two = make_wheel(tmp_path, "demo", "1.0"), make_wheel(tmp_path, "demo", "1.0", filename="Demo-1.0-py3-none-any.whl")
    storage = stored()
    copied(place_of({one.name: one.read_bytes()}), storage)
    deleted(storage, "demo")
    found = record(storage, "demo")
    body = simple.project_to_json(replace(found, deleted=(Deleted("what is this", OTHER), *found.deleted)))
    put(storage, "demo/index.json", body)
    assert list(said(copied(place_of({two.name: two.read_bytes()}), storage), Kind.LEFT_OUT)) == [two.name]
    publish([artifact.read(one)], storage)
    assert copied(place_of({two.name: two.read_bytes()}), storage).present == 1


def test_what_was_deleted_stays_so_in_place(older: MemoryStorage, tmp_path: Path) -> None:
    odd = make_sdist(tmp_path, "Odd.Name", "1.0")
    put(older, f"Odd.Name/{odd.name}", odd.read_bytes())
    adopted(older)
    lying = snapshot(older)["other/other-2.0-py3-none-any.whl"]
    deleted(older, "odd-name")
    deleted(older, "other")
    put(older, "other/other-2.0-py3-none-any.whl", lying)
    adoption = adopted(older)
    assert (adoption.taken, adoption.present) == ((), 2)
    assert set(said(adoption, Kind.LEFT_OUT)) == {odd.name, "other-2.0-py3-none-any.whl"}
    assert (filenames(older, "odd-name"), filenames(older, "other")) == ([], [])


def test_documents_that_nobody_understands_stop_their_project_or_all(tmp_path: Path) -> None:
    storage = stored()
    files = {path.name: path.read_bytes() for path in (make_sdist(tmp_path, "demo", "1.0"), make_sdist(tmp_path, "other", "1.0"))}
    put(storage, "demo/index.json", b"{}")
    adoption = copied(place_of(files), storage)
    assert list(said(adoption, Kind.REFUSED)) == ["demo-1.0.tar.gz"]
    assert filenames(storage, "other") == ["other-1.0.tar.gz"]
    put(storage, "index.json", b"{}")
    more = {"more-1.0.tar.gz": make_sdist(tmp_path, "more", "1.0").read_bytes()}
    with pytest.raises(UnsupportedIndex):
        copied(place_of(more), storage)
    adopts = place_of({"elsewhere/index.html": page('<a href="https://x.example/elsewhere-1.0.tar.gz">x</a>')})
    found = survey.survey_place(place_of({"elsewhere-2.0.tar.gz": make_sdist(tmp_path, "elsewhere", "2.0").read_bytes()}))
    assert list(said(takeover.take(found, adopts), Kind.REFUSED)) == ["elsewhere-2.0.tar.gz"]


def test_pages_say_which_files_and_where(wheel: Path, sdist: Path) -> None:
    files = {
        f"files/{wheel.name}": wheel.read_bytes(),
        f"simple/demo/{sdist.name}": sdist.read_bytes(),
        "simple/index.html": page('<a href="demo/">demo</a>'),
        "simple/demo/index.html": page(
            f'<a href="../../files/{wheel.name}">w</a>', f'<a href="{sdist.name}">s</a>', '<a href="demo-3.0.tar.gz">gone</a>'
        ),
        "files/unlisted-1.0.tar.gz": b"",
        "docs/index.html": page('<a href="more.html">more</a>'),
    }
    storage = stored()
    adoption = copied(place_of(files), storage, layout=Layout.SIMPLE)
    assert filenames(storage, "demo") == [wheel.name, sdist.name]
    assert said(adoption, Kind.LEFT_OUT) == {"files/unlisted-1.0.tar.gz": "no page lists it"}
    assert "not there" in said(adoption, Kind.REFUSED)["demo-3.0.tar.gz"]
    with pytest.raises(NotPublished, match="nothing-of"):
        copied(place_of(files), storage, "nothing-of-the-kind")
    files[f"more/{wheel.name}"] = b""
    files["simple/demo/index.html"] = page(f'<a href="https://cdn.example/x/{wheel.name}">w</a>')
    adoption = copied(place_of(files), stored())
    assert "2 places" in said(adoption, Kind.REFUSED)[wheel.name]


def test_our_own_index_is_one_that_can_be_adopted(older: MemoryStorage) -> None:
    adopted(older)
    storage = stored()
    assert len(copied(older, storage).taken) == 3
    check_at_rest(storage)
    assert record(storage, "demo").files[0].upload_time == record(older, "demo").files[0].upload_time


def test_more_than_one_index_is_ambiguous(wheel: Path) -> None:
    link = page(f'<a href="{wheel.name}">w</a>')
    files = {f"{name}/demo/{file}": body for name in ("a", "b") for file, body in {"index.html": link, wheel.name: b""}.items()}
    with pytest.raises(ConfigError, match="more than one index: a/, b/") as caught:
        survey.survey_place(place_of(files))
    assert "--layout" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "layout", "reason"),
    [
        ({"README": b""}, None, "no index"),
        ({"packages.json": b'{"name": "node"}', "demo-1.0.tar.gz": b""}, None, "packages.json"),
        ({"packages.json": b"{", "demo-1.0.tar.gz": b""}, None, "packages.json"),
        ({"demo-1.0.tar.gz": b""}, Layout.SIMPLE, "no page"),
    ],
)
def test_a_place_that_is_no_index_is_one_sentence(files: Mapping[str, bytes], layout: Layout | None, reason: str) -> None:
    with pytest.raises((ConfigError, ForeignIndex), match=reason) as caught:
        survey.survey_place(place_of(files), layout=layout)
    assert "--layout" in caught.value.hint


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"files": 1}', b"\xff", b"[" * 200_000])
def test_a_page_that_is_none_stops_the_survey(body: bytes) -> None:
    with pytest.raises(ForeignIndex, match="index.v1_json"):
        survey.survey_place(place_of({"simple/demo/index.v1_json": body}))


def test_a_list_names_what_it_likes(sdist: Path) -> None:
    lines = [{"filename": "demo-1.0-py3.8.egg"}, {"filename": sdist.name, "upload_timestamp": 1e99, "requires_python": "what"}]
    place = place_of(
        {"packages.json": "\n".join([*map(json.dumps, lines), ""]).encode(), f"pool/{sdist.name}": sdist.read_bytes()}
    )
    storage = stored()
    adoption = copied(place, storage)
    assert list(said(adoption, Kind.LEFT_OUT)) == ["demo-1.0-py3.8.egg"]
    assert record(storage, "demo").files[0].upload_time == "2021-02-03T04:05:06.000000Z"


def test_a_copy_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (make_wheel(tmp_path, "demo", "1.0"), make_sdist(tmp_path, "other", "1.0"))}
    at = 0
    while True:
        storage = stored()
        try:
            copied(place_of(files), failing(storage, at))
        except StorageError:
            at += 1
        else:
            break
        check_never_torn(storage)
        copied(place_of(files), storage)
        check_at_rest(storage)
        writes: list[str] = []
        assert copied(place_of(files), Observed(storage, before=lambda verb, _, w=writes: w.append(verb))).present == 2  # type: ignore[misc]
        assert not {"swap", "store", "delete"} & {*writes}
    assert at > 6


def test_beside_a_publisher_a_copy_loses_nothing(tmp_path: Path) -> None:
    from pypiprivate.artifact import read

    ours, theirs = read(make_wheel(tmp_path, "demo", "9.0")), make_wheel(tmp_path, "demo", "1.0")
    place, counted = place_of({theirs.name: theirs.read_bytes()}), list[str]()
    copied(place, Observed(stored(), before=lambda verb, _: counted.append(verb)))
    for at in range(len(counted)):
        storage = stored()

        def publisher(storage: MemoryStorage = storage) -> None:
            publish([ours], storage, sleep=not_at_all, gather=in_turn)

        copied(place, during(storage, at, publisher))
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 2


def test_many_projects_are_copied_in_batches_that_never_part_one(tmp_path: Path) -> None:
    body = make_sdist(tmp_path, "demo", "1.0").read_bytes()
    files = {f"{name}-{version}.tar.gz": body for name in map("p{:03}".format, range(40)) for version in range(8)}
    storage, roots = stored(), list[str]()
    watched = Observed(storage, before=lambda verb, key: roots.append(key) if (verb, key) == ("swap", "index.json") else None)
    assert len(copied(place_of(files), watched).taken) == 320
    check_at_rest(storage)
    assert len(roots) == 2


# -- the command --------------------------------------------------------------------------------------------------------------


def test_the_command_tells_people_what_it_found(older: MemoryStorage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key, body in snapshot(older).items():
        path = tmp_path / "index" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    for number in range(7):
        (tmp_path / "index/demo" / f"notes-{number}.txt").touch()
    index = str(tmp_path / "index")
    assert main(["-r", index, "adopt", "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert "3 files to read" in told
    assert "3 files of 2 projects: would be adopted where they lie" in told
    assert "and 2 more" in told
    assert not (tmp_path / "index/demo/index.json").exists()
    assert main(["-r", index, "adopt", "--json", "--deep", "Demo"]) == 0
    printed = capsys.readouterr()
    assert "notes" not in printed.err
    value = json.loads(printed.out)
    assert [file["filename"] for file in value["files"]] == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert (value["complete"], value["dry_run"], value["read"]["files"], len(value["remarks"])) == (True, False, 2, 7)
    assert main(["-r", index, "adopt", "other"]) == 0
    assert "1 file of 1 project: adopted" in capsys.readouterr().err
    assert main(["-r", index, "-q", "adopt"]) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "index/gone").mkdir()
    (tmp_path / "index/gone/gone-1.0.tar.gz").touch()
    (tmp_path / "index/gone/index.html").write_bytes(page('<a href="../gone-0.1.tar.gz">elsewhere</a>'))
    assert main(["-r", index, "-q", "adopt"]) == 1
    assert capsys.readouterr().err.startswith("not taken:\n  gone: gone/index.html: it lists gone-0.1.tar.gz")
    shutil.rmtree(tmp_path / "index/gone")
    assert main(["-r", index, "adopt"]) == 0
    assert "3 files: there already" in capsys.readouterr().err
    check_at_rest(LocalStorage(tmp_path / "index"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layout", "simple"], "--from"),
        (["--files", "x/y"], "--from"),
        (["--from", "{index}"], "repository itself"),
        (["demo==1.0"], "release"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(tmp_path / "index")
    assert main(["-r", index, "adopt", *(argument.format(index=index) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_how_far_it_is_and_how_long_it_takes_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pypiprivate.cli import adopting

    wheel = make_wheel(tmp_path, "demo", files={"demo/large.bin": random.Random(1).randbytes(3 << 20)})
    log, now = io.StringIO(), [0.0]
    lines = Lines(log, clock=lambda: now[0])

    class Slow(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            now[0] += size >= 1 << 20 if size else 0
            lines.tick()
            return super().read(size)

    read = adopting._reader(lines.display, deep=True)
    with Slow(wheel) as file:
        found = read(cast("BinaryIO", file), wheel.name, "demo")
    assert found.sha256 == artifact.read(wheel).sha256
    first, last = log.getvalue().splitlines()
    assert re.fullmatch(r"checking demo-1.0-py3-none-any.whl: .* of 3\.1 MB, .* [kM]B/s, \d+ seconds to go", first)
    assert re.fullmatch(r"checking demo-1.0-py3-none-any.whl: done, 3\.1 MB in \d+ seconds", last)
    assert main(["-r", str(tmp_path / "index"), "adopt", "--from", str(tmp_path)]) == 0
    assert capsys.readouterr().err.startswith("1 file to read, 3.1 MB\n")


def test_every_command_of_the_documentation_is_one() -> None:
    text = (Path(__file__).parent.parent / "docs/adopting.rst").read_text("utf-8")
    commands = re.findall(r"^    pypi-private (.+)$", text, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        words = shlex.split(command, comments=True)
        arguments = _parser(words).parse_args(words)
        assert arguments.layout in (None, "auto", *layouts.LAYOUTS)


def test_records_of_what_was_adopted_say_the_standard(older: MemoryStorage) -> None:
    adopted(older)
    value = document(older, "demo/index.json")
    assert value["meta"]["api-version"] == "1.4"
    assert all(set(file) >= {"filename", "url", "hashes", "size", "upload-time"} for file in value["files"])
    assert pages.page_serial(snapshot(older)["demo/index.html"]) == value["meta"]["_last-serial"]
    assert Existing.KEEP.value == "keep"
