"""Artifacts, documents, names and answers of strangers: none crashes, hangs, breaks out of a page or steers a terminal."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypiprivate import artifact, pages
from pypiprivate.errors import ArtifactError, PypiPrivateError, UnsupportedIndex
from pypiprivate.model import File, Project, ProjectList, Status
from pypiprivate.publish import publish
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import open_bucket

from . import fuzz
from .builders import make_sdist, make_wheel
from .faults import Proxy, proxy, say
from .proof import FULL, figure
from .repositories import in_turn, put, record, snapshot

Done: TypeAlias = "subprocess.CompletedProcess[bytes]"

# -- fuzzing ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", fuzz.regressions(), ids=lambda path: path.name)
def test_what_once_broke_something_no_longer_does(path: Path) -> None:
    trial = fuzz.Trial()
    trial.run(fuzz.tagged(path))
    assert trial.total == 1
    assert trial.slowest < fuzz.SECONDS


def test_changed_artifacts_and_documents_are_read_or_refused(tmp_path: Path) -> None:
    _fuzz("fuzz", 50_000 if FULL else 2_000, tmp_path, "--unguided")


@pytest.mark.skipif(not FULL or importlib.util.find_spec("atheris") is None, reason="a matter of minutes, and of atheris")
def test_inputs_that_reach_new_code_are_read_or_refused(tmp_path: Path) -> None:
    _fuzz("fuzz guided by coverage", 100_000, tmp_path)


def _fuzz(name: str, inputs: int, keep: Path, *more: str) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", f"{inputs}", "--keep", str(keep), *more]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}  # 3 times slower with
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    figure(name, **figures)
    assert figures["inputs"] >= inputs
    assert figures["slowest_s"] < fuzz.SECONDS
    assert figures["peak_mib"] < fuzz.MIB
    kinds = {kind.suffix.strip(".") for kind in fuzz.KINDS}
    assert {f"{kind} {outcome}" for kind in kinds for outcome in ("taken", "refused")} <= figures.keys()


@pytest.mark.parametrize("depth", [500, 960, 970, 980, 984, 985, 986, 990, 1000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_a_record_nested_however_deep_is_kept_or_refused(tmp_path: Path, depth: int, opening: bytes, closing: bytes) -> None:
    """What can be read can be written, for both recurse alike."""
    nested = opening * depth + b"1" + closing * depth
    body = b'{"meta":{"api-version":"1.4","_last-serial":3},"name":"demo","versions":[],"files":[],"x":' + nested + b"}"
    storage = MemoryStorage()
    put(storage, "demo/index.json", body)
    try:
        publish([artifact.read(make_wheel(tmp_path))], storage, gather=in_turn)
    except UnsupportedIndex:
        assert snapshot(storage) == {"demo/index.json": body}
    else:
        assert nested in snapshot(storage)["demo/index.json"]


# -- pages --------------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page says to a parser.

    :ivar tags: every start tag with its attributes, in order.
    :ivar links: what the anchors show.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.other: list[str] = []
        self._inside = ""
        self.feed(body.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "no attribute stands twice"
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "a":
            self.links.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "a":
            self.links[-1] += data

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    handle_pi = unknown_decl = handle_comment

    @property
    def anchors(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "a"]

    @property
    def frames(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "iframe"]

    @property
    def metas(self) -> dict[str | None, str | None]:
        return {attributes["name"]: attributes["content"] for tag, attributes in self.tags if "name" in attributes}

    def assert_framed(self, metas: int, anchors: int) -> None:
        """Nothing but our own tags, with our own attributes."""
        count = Counter(tag for tag, _ in self.tags)
        assert count.keys() <= _ATTRIBUTES.keys()
        # A project is an item of the list; a file a paragraph of its release.
        places = Counter(before for (before, _), (tag, _) in pairwise(self.tags) if tag == "a")
        assert places.keys() <= {"li", "p"}
        assert count["li"] == places["li"]
        assert {tag: count[tag] for tag in ("meta", "a", "style", "script", "input", "form", "iframe")} == {
            "meta": metas,
            "a": anchors,
            "style": 1,
            "script": 1,
            "input": 1,
            "form": self.tags.count(_UP),
            "iframe": len(self.frames),
        }
        assert len(self.frames) <= 1
        for frame in self.frames:
            assert frame["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
            _assert_link_only_fetches(frame["src"])
        assert all(attributes.keys() <= _ATTRIBUTES[tag] for tag, attributes in self.tags)
        assert self.other == []


_UP: tuple[str, dict[str, str | None]] = ("form", {"action": "../index.html"})
_PLAIN = (
    """head title style body main h1 h2 p pre var strong small ul li output table thead tbody tr th td summary button script"""
)
#: Our own tags, and what they may say.
_ATTRIBUTES: dict[str, set[str]] = {
    **{tag: set() for tag in _PLAIN.split()},
    "html": {"lang"},
    "meta": {"charset", "http-equiv", "name", "content"},
    "a": {"href", "data-requires-python", "data-core-metadata", "data-yanked", "data-upload-time", "data-size"},
    "form": {"action"},
    "label": {"hidden"},
    "input": {"type"},
    "details": {"open"},
    "iframe": {"sandbox", "loading", "title", "src"},
}


ATTACKS = [
    "<script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "</a></body></html><a href='https://evil.example/'>",
    "--><!-- <![CDATA[ <?php ?>",
    "</title><script>alert(1)</script>",
    "&quot;&gt;&lt;script&gt;&#60;",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//",
    "\tjava\nscript:alert(1)",
    " javascript:alert(1)",
    "javascript://evil.example/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "x\r\nSet-Cookie: owned=1\r\n\r\n<html>",
    "\x1b]0;owned\x07\x1b[31m\x9b31m\u202e",
    "\0<\ud800>\udcff",
    '<meta name="pypiprivate:serial" content="999">',
]
texts = st.sampled_from(ATTACKS) | st.text(max_size=20) | st.lists(st.sampled_from(ATTACKS), max_size=3).map("".join)
hostile_files = st.builds(
    File,
    filename=texts,
    url=texts,
    hashes=st.dictionaries(st.sampled_from(["sha256", "md5"]) | texts, texts, max_size=2),
    size=st.integers(0, 10**12),
    upload_time=st.none() | texts,
    requires_python=st.none() | texts,
    core_metadata=st.booleans() | st.dictionaries(st.just("sha256"), texts, min_size=1),
    yanked=st.booleans() | texts.filter(bool),
    readme=st.booleans(),
    extra=st.dictionaries(texts.map("_{}".format), texts, max_size=1),
)


@given(
    st.builds(
        Project,
        name=st.just("demo"),
        files=st.lists(hostile_files, max_size=3).map(tuple),
        status=st.builds(Status, st.sampled_from(["active", "archived", "quarantined"]), st.none() | texts),
        serial=st.integers(0, 10**9),
        extra=st.dictionaries(texts, texts, max_size=1),
    )
)
def test_a_page_says_what_the_record_says_and_no_text_becomes_a_tag(project: Project) -> None:
    body = pages.project_to_html(project)
    page = Page(body)
    marked = project.status != Status()
    page.assert_framed(6 + marked + bool(project.status.reason), len(project.files))
    assert page.links == [_utf8(file.filename) for file in project.files]
    assert pages.page_serial(body) == project.serial
    assert page.metas.get("pypi:project-status-reason", "") == _utf8(project.status.reason or "")
    # None of these names says a version, so they are in the order of the record.
    for file, anchor in zip(project.files, page.anchors, strict=True):
        assert anchor.get("data-requires-python") == (file.requires_python and _utf8(file.requires_python))
        assert anchor.get("data-upload-time") == (file.upload_time and _utf8(file.upload_time)) or file.upload_time == ""
        assert anchor.get("data-yanked", False) == (
            _utf8(file.yanked) if isinstance(file.yanked, str) else "" if file.yanked else False
        )
        _assert_link_only_fetches(anchor["href"])


@given(st.dictionaries(texts, st.just({}), max_size=5))
def test_a_root_page_links_to_directories_only(projects: dict[str, dict[str, Any]]) -> None:
    page = Page(pages.root_to_html(ProjectList(projects, serial=1)))
    page.assert_framed(6, len(projects))
    assert page.links == [_utf8(name) for name in sorted(projects)]
    for anchor in page.anchors:
        assert anchor.keys() == {"href"}
        assert re.fullmatch(r"[A-Za-z0-9_.~%-]*/", anchor["href"] or ""), "nothing but one step down"


@pytest.mark.parametrize("name", ["demo", "acme-2", "0", "Foo.Bar_x"])
def test_a_root_page_links_to_a_project_by_its_plain_name(name: str) -> None:
    assert Page(pages.root_to_html(ProjectList({name: {}}))).anchors == [{"href": f"{name}/"}]


@pytest.mark.parametrize(
    "url",
    [
        "0123/demo-1.0%2Bx.tar.gz",
        "https://files.example/demo-1.0.tar.gz",
        "HTTP://files.example/x",
        "file:///srv/x",
        "/a:b/c",
        "../x:y",
        "",
    ],
)
def test_links_that_fetch_are_kept_as_they_are(url: str) -> None:
    file = File("demo-1.0.tar.gz", url, {"sha256": "0"}, 1, None)
    assert Page(pages.project_to_html(Project("demo", (file,)))).anchors[0]["href"] == f"{url}#sha256=0"


def _assert_link_only_fetches(href: str | None) -> None:
    """As a browser reads it: it drops blanks, tabs and line ends."""
    href = re.sub("[\t\r\n]", "", href or "").strip("".join(map(chr, range(33))))
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", href)
    assert scheme is None or scheme[1].lower() in {"http", "https", "file"}, href


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


# -- artifacts ----------------------------------------------------------------------------------------------------------------

FIELDS = [
    "Name",
    "Version",
    "Summary",
    "Requires-Python",
    "Author",
    "Description",
    "License",
    "Home-page",
    "Keywords",
    "Classifier",
]


@pytest.mark.parametrize("make", [make_wheel, make_sdist], ids=["wheel", "sdist"])
@pytest.mark.parametrize("field", FIELDS)
def test_no_metadata_field_breaks_out_of_a_page_or_a_record(tmp_path: Path, field: str, make: Any) -> None:
    taken = 0
    for number, attack in enumerate(text for text in ATTACKS if "\ud800" not in text):
        path = make(tmp_path / f"{number}", headers={field: attack})
        storage = MemoryStorage()
        try:
            publish([artifact.read(path)], storage, gather=in_turn)
        except ArtifactError as error:
            fuzz.assert_plain(error)
            continue
        taken += 1
        Page(snapshot(storage)["demo/index.html"]).assert_framed(6, 1)
        Page(snapshot(storage)["index.html"]).assert_framed(6, 1)
        (file,) = record(storage, "demo").files
        assert (file.filename, file.requires_python) == (path.name, None)
        json.loads(snapshot(storage)["demo/index.json"].decode("ascii"))
    assert bool(taken) == (field not in {"Name", "Version", "Requires-Python"})


@pytest.mark.parametrize("attack", [*ATTACKS, "../../etc/passwd", "a/../b", "..", "%2e%2e%2f", "demo\\..\\x"])
@pytest.mark.parametrize(
    "pattern", ["{}", "{}-1.0-py3-none-any.whl", "demo-{}.tar.gz", "demo-1.0-py3-none-{}.whl", "demo-1.0+{}.tar.gz"]
)
def test_no_file_name_reaches_a_url_unless_it_is_one_of_a_release_file(tmp_path: Path, pattern: str, attack: str) -> None:
    path = tmp_path / re.sub("[/\0\ud800-\udfff]", "_", pattern.format(attack))
    if not path.name.strip("."):
        return
    path.write_bytes(make_wheel(tmp_path / "real").read_bytes())
    with pytest.raises(ArtifactError) as caught:
        artifact.read(path)
    assert str(caught.value).isprintable()


# -- headers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n "])
@pytest.mark.parametrize("name", ["ContentLanguage", "ContentDisposition", "Tagging", "GrantRead", "StorageClass"])
def test_no_setting_adds_a_header_to_a_request(name: str, end: str) -> None:
    keys = {"access_key": "any", "secret_key": "any", "region": "us-east-1"}
    with proxy() as server:
        server.inject(*[say(200, headers={"ETag": '"0"'})] * 20, method="PUT")
        put_args = json.dumps({name: f"en{end}X-Evil: 1{end}{end}GET /evil HTTP/1.1"})
        try:
            storage = open_bucket({**keys, "bucket": "b", "endpoint": server.url, "put_args": put_args}, attempts=1)
            storage.swap("index.json", b"{}", replacing=None, content_type="application/json")
        except PypiPrivateError as error:
            fuzz.assert_plain(error)
        assert all("x-evil" not in headers for headers in server.headers)
        assert not any("evil" in path for _, path in server.requests)


# -- what people see ----------------------------------------------------------------------------------------------------------

#: Sets a terminal's title, forges a line, overwrites it, turns the text red (in eight bits as well) and its direction round.
HOSTILE = "\x1b]0;owned\x07x\nFORGED: all is well\rFORGED\x9b31m\u202e\u2028FORGED\udcff"


def _run(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run the program; return all that it printed once it is sure that nothing of it steers a terminal or forges a line."""
    keys = {"PP_S3_ACCESS_KEY": "any", "PP_S3_SECRET_KEY": "any", "PYTHONIOENCODING": "utf-8"}
    env = {**os.environ, **keys, **(environ or {})}
    command = [sys.executable, "-m", "pypiprivate", *arguments]
    done: Done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    printed = done.stdout.decode() + done.stderr.decode()
    assert all(line.isprintable() for line in printed.split("\n")), printed
    assert not any(line.startswith("FORGED") for line in printed.split("\n")), printed
    assert "Traceback" not in printed
    return printed


@pytest.mark.parametrize(
    "arguments",
    [
        ("-r", "./index", "upload", HOSTILE),
        ("-r", "./index", "upload", f"{HOSTILE}.whl"),
        ("-r", "./index", "upload", f"-{HOSTILE}.whl"),
        ("-r", "./index", "upload", f"--{HOSTILE}=x", "x.whl"),
        ("-r", "./index", "upload", "--json", f"demo-{HOSTILE}.tar.gz"),
        ("-r", "./index", "upload", f"--existing={HOSTILE}", "x.whl"),
        ("-r", "./index", "publish", HOSTILE, HOSTILE),
        ("-r", "./index", "publish", "demo", "2.0", "-d", "."),
        ("-r", "./index", "publish", "demo", "1.0", "-d", HOSTILE),
        ("-r", HOSTILE, "publish", "demo", "1.0"),
        ("-r", f"s3://{HOSTILE}", "publish", "demo", "1.0"),
        ("-r", f"./{HOSTILE}", "-vv", "upload", "demo-1.0-py3-none-any.whl"),
        ("-r", f"./{HOSTILE}", "-vv", "upload", "--json", "demo-1.0-py3-none-any.whl"),
        ("-c", HOSTILE, "publish", "demo", "1.0"),
        ("-c", "hostile.cfg", "-r", "a", "publish", "demo", "1.0"),
        ("-c", "hostile.cfg", "-r", "b", "publish", "demo", "1.0"),
        (HOSTILE,),
    ],
    ids=lambda arguments: " ".join(arguments).replace(HOSTILE, "HOSTILE").replace("/", "|"),
)
def test_hostile_names_neither_steer_a_terminal_nor_forge_a_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    wheel = make_wheel(tmp_path)
    for name in (HOSTILE, f"{HOSTILE}.whl", f"demo-{HOSTILE}.tar.gz"):
        (tmp_path / name).write_bytes(wheel.read_bytes())
    config = f"[a]\ntype = {HOSTILE!r}\n[b]\n{HOSTILE!a} = 1\ntype = local-filesystem\nbase_path = \x1b[31m\x9b/index\n"
    (tmp_path / "hostile.cfg").write_text(config, "utf-8")
    if arguments[1:2] == (f"./{HOSTILE}",):
        (tmp_path / HOSTILE).unlink()
    assert _run(*arguments, cwd=tmp_path)


def test_hostile_archives_and_an_older_index_neither_steer_a_terminal_nor_forge_a_line(tmp_path: Path) -> None:
    legacy = tmp_path / "index" / "demo"
    legacy.mkdir(parents=True)
    (legacy / "index.html").write_text("<html></html>")
    (legacy / HOSTILE[:-1]).write_bytes(b"x")
    make_wheel(legacy, version="0.9", files={f"demo/{HOSTILE[:-1]}": b""}, headers={"License-File": HOSTILE[:-1]})
    make_sdist(legacy, version="0.8", headers={"Metadata-Version": HOSTILE[:-1]})
    license_ = {"Metadata-Version": "2.4", "License-File": "\x1b[31m\u202eLICENSE"}
    printed = _run("-r", "./index", "-vv", "upload", make_wheel(tmp_path, headers=license_), cwd=tmp_path)
    assert "left alone" in printed
    assert "License-File" in printed
    for number, files in enumerate([{HOSTILE[:-1]: b""}, {"demo-1.0.dist-info/RECORD": f"{HOSTILE[:-1]},,\n".encode()}]):
        printed = _run("-r", "./index", "upload", make_wheel(tmp_path / f"{number}", files=files), cwd=tmp_path)
        assert "error: " in printed


@pytest.mark.parametrize(
    "changes",
    [
        {"project-status": {"status": "archived", "reason": HOSTILE}},
        {"project-status": {"status": HOSTILE}},
        {"name": HOSTILE},
        {"meta": {"api-version": HOSTILE}},
        {"_deleted": [{"filename": "demo-1.0-py3-none-any.whl", "sha256": HOSTILE}]},
        {"files": [{"filename": "demo-1.0-py3-none-any.whl", "url": HOSTILE, "hashes": {"sha256": HOSTILE}, "size": 1}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_hostile_records_neither_steer_a_terminal_nor_forge_a_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    document = {"meta": {"api-version": "1.4", "_last-serial": 1}, "name": "demo", "versions": [], "files": [], **changes}
    (tmp_path / "index" / "demo").mkdir(parents=True)
    (tmp_path / "index" / "demo" / "index.json").write_text(json.dumps(document))
    assert "error: " in _run("-r", "./index", "-vv", "upload", make_wheel(tmp_path), cwd=tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with proxy() as running:
        yield running


_XML = "<Error><Code>{0}</Code><Message>{0}</Message><Region>{0}</Region></Error>"
_REFERENCES = "&#x9b;31m&#10;FORGED&#13;FORGED&#x202e;&#x2028;FORGED"


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 418])
@pytest.mark.parametrize(
    "body",
    [HOSTILE.encode("utf-8", "replace"), _XML.format(HOSTILE).encode("utf-8", "replace"), _XML.format(_REFERENCES).encode()],
    ids=["bare", "raw", "references"],
)
def test_hostile_answers_neither_steer_a_terminal_nor_forge_a_line(
    server: Proxy, tmp_path: Path, status: int, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    from pypiprivate.cli import main

    server.clear()
    headers = {"x-amz-bucket-region": "\x1b[31m\x9b31m", "Location": "/\x1b[31m", "ETag": "\x1b[31m"}
    for method in ("GET", "HEAD", "PUT"):
        server.inject(*[say(status, body, headers=headers)] * 50, method=method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PP_S3_ACCESS_KEY", "any")
        patch.setenv("PP_S3_SECRET_KEY", "any")
        url = f"s3://bucket/simple?region=us-east-1&endpoint={server.url}"
        code = main(["-r", url, "-vv", "upload", "--json", str(make_wheel(tmp_path))])
    out, err = capfd.readouterr()
    assert code == 1
    assert all(line.isprintable() for line in (out + err).split("\n")), err
    assert not any(line.startswith("FORGED") for line in (out + err).split("\n")), err
    assert json.loads(out)["error"]["message"]
