"""Pages: a golden one of each kind, what an installer reads in them, what a person does, and what they weigh."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from base64 import b64encode
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import ProjectPage

from pypiprivate import pages, simple
from pypiprivate.model import File, Project, ProjectList, Status, timestamp

from .test_simple import FULL, projects

GOLDEN_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="POLICY">
<meta name="pypi:repository-version" content="1.4">
<meta name="pypiprivate:serial" content="7">
<title>demo</title>
<meta name="pypi:project-status" content="deprecated">
<meta name="pypi:project-status-reason" content="use other">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<style>STYLE</style>
</head>
<body>
<main>
<form action="../index.html"><button>All projects</button></form>
<h1>demo</h1>
<p><strong>Deprecated: something else is to be used.</strong> use other
<h2>Install</h2>
<pre>uv add --index private=<var>INDEX-URL</var> demo</pre>
<p>or, from here alone:
<pre>pip install --index-url <var>INDEX-URL</var> demo</pre>
<h2>Releases</h2>
<p><label hidden>Search <input type="search"></label> <output></output>
<table>
<thead><tr><th>Version<th>Released<th>Python<th>Size<th>Files
<tbody>
<tr><th><td><td><td><td>
<p><a href="0f0f/demo-1.0%2Bacme.1.tar.gz#sha256={a}" data-upload-time="2026-11-22T12:00:00.123456Z" \
data-size="1234">demo-1.0+acme.1.tar.gz</a>
<tr><th>1.0 <small>yanked: broken on &quot;Windows&quot; &amp; &lt;elsewhere&gt;</small>\
<td><td><td><td>
<p><a href="1e1e/demo-1.0-py3-none-any.whl#sha256={b}" \
data-requires-python="&gt;=3.8,&lt;4" data-core-metadata="sha256={c}" \
data-yanked="broken on &quot;Windows&quot; &amp; &lt;elsewhere&gt;" data-upload-time="2026-11-22T12:00:00.123456Z" \
data-size="5678">\
demo-1.0-py3-none-any.whl</a>
</table>
</main>
<script>SCRIPT</script>
</body>
</html>
""".format(a="aa" * 32, b="bb" * 32, c="cc" * 32)

GOLDEN_ROOT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="POLICY">
<meta name="pypi:repository-version" content="1.4">
<meta name="pypiprivate:serial" content="3">
<title>Package index</title>
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<style>STYLE</style>
</head>
<body>
<main>
<h1>Package index</h1>
<p><label hidden>Search <input type="search"></label> <output></output>
<ul>
<li><a href="acme/">acme</a>
<li><a href="demo/">demo</a>
</ul>
</main>
<script>SCRIPT</script>
</body>
</html>
"""

_PARTS = (("POLICY", 'Policy" content="(.*?)">'), ("STYLE", "<style>(.*?)</style>"), ("SCRIPT", "<script>(.*?)</script>"))


def without_assets(page: bytes) -> str:
    """Return a page with names for what is the same in all."""
    text = page.decode()
    for name, pattern in _PARTS:
        text = text.replace(part_of(page, pattern), name)
    return text


def part_of(page: bytes, pattern: str) -> str:
    (found,) = re.findall(pattern, page.decode(), re.DOTALL)
    assert isinstance(found, str)
    return found


def test_a_project_page_is_the_golden_one() -> None:
    assert without_assets(pages.project_to_html(FULL)) == GOLDEN_PAGE


def test_a_root_page_is_the_golden_one() -> None:
    assert without_assets(pages.root_to_html(ProjectList({"demo": {}, "acme": {}}, serial=3))) == GOLDEN_ROOT


# -- for installers -----------------------------------------------------------------------------------------------------------


def test_somebody_elses_parser_reads_both_forms_alike() -> None:
    base = "http://127.0.0.1/simple/demo/"
    from_html = ProjectPage.from_html("demo", pages.project_to_html(FULL), base_url=base)
    from_json = ProjectPage.from_json_data(json.loads(simple.project_to_json(FULL)), base_url=base)
    for page in (from_html, from_json):
        assert page.repository_version == "1.4"
        sdist, wheel = page.packages
        assert sdist.url.split("#")[0] == "http://127.0.0.1/simple/demo/0f0f/demo-1.0%2Bacme.1.tar.gz"
        assert (sdist.filename, dict(sdist.digests), sdist.is_yanked) == ("demo-1.0+acme.1.tar.gz", {"sha256": "aa" * 32}, False)
        assert (wheel.requires_python, wheel.is_yanked, wheel.yanked_reason) == (">=3.8,<4", True, FULL.files[1].yanked)
        assert wheel.has_metadata
        assert dict(wheel.metadata_digests or {}) == {"sha256": "cc" * 32}


def test_a_page_says_its_serial_and_a_foreign_one_none() -> None:
    assert pages.page_serial(pages.project_to_html(FULL)) == 7
    assert pages.page_serial(b"<!DOCTYPE html><html><body></body></html>") is None
    late = b"<!DOCTYPE html>" + b" " * 2000 + b'<meta name="pypiprivate:serial" content="9">'
    assert pages.page_serial(late) is None


def test_the_serial_is_in_the_first_bytes_however_large_it_is() -> None:
    assert pages.page_serial(pages.project_to_html(replace(FULL, serial=10**18 - 1))) == 10**18 - 1


def test_a_page_is_of_its_own_project_only() -> None:
    page = pages.project_to_html(Project("demo-more", status=Status("archived", "<title>demo</title>")))
    assert pages.page_is_of(page, "demo-more")
    assert not pages.page_is_of(page, "demo")
    assert pages.page_is_of(pages.project_to_html(Project("x" * 250)), "x" * 250)


def test_a_root_page_names_a_project_and_not_what_it_begins_with() -> None:
    page = pages.root_to_html(ProjectList({"demo-more": {}}))
    assert pages.page_names(page, "demo-more")
    assert not pages.page_names(page, "demo")
    assert not pages.page_names(page, "more")


@pytest.mark.parametrize(
    ("file", "anchor"),
    [
        (
            File("x-1.zip", "x-1.zip", {"md5": "ee"}, 1, None, yanked=True),
            '<a href="x-1.zip#md5=ee" data-yanked="" data-size="1">',
        ),
        (
            File("x-1.zip", "x-1.zip", {"sha1": "ee"}, 1, None, core_metadata=True),
            '<a href="x-1.zip" data-core-metadata="true" data-size="1">',
        ),
        (
            File("x-1.zip", "x-1.zip", {}, 1, None, core_metadata={"sha1": "e"}),
            '<a href="x-1.zip" data-core-metadata="true" data-size="1">',
        ),
    ],
)
def test_what_an_inherited_record_holds_is_shown_as_clients_can_take_it(file: File, anchor: str) -> None:
    assert anchor in pages.project_to_html(Project("x", files=(file,))).decode()


# -- for browsers -------------------------------------------------------------------------------------------------------------


def listed(*names: str, **more: object) -> Project:
    """A project of files that were published one after the other."""
    moment = datetime(2026, 1, 31, tzinfo=timezone.utc)
    files = [
        File(name, f"{at:032x}/{name}", {"sha256": f"{at:064x}"}, 1000, timestamp(moment + timedelta(at)))
        for at, name in enumerate(names)
    ]
    return Project("demo", files=tuple(files), **more)  # type: ignore[arg-type]


def rows_of(project: Project) -> list[str]:
    """Return what a page says of each release, without tags."""
    _, _, body = pages.project_to_html(project).decode().partition("<tbody>\n<tr>")
    rows = body.partition("</table>")[0].split("\n<tr>")
    return [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)).strip() for row in rows]


def test_the_newest_release_comes_first_and_what_has_no_version_last() -> None:
    page = listed("demo-1.9.tar.gz", "demo-0.1.exe", "demo-1.10rc1.tar.gz", "demo-1!0.1.tar.gz", "demo-1.10.tar.gz")
    assert rows_of(page) == [
        "demo-1!0.1.tar.gz",
        "demo-1.10.tar.gz",
        "1.10rc1 pre-release demo-1.10rc1.tar.gz",
        "demo-1.9.tar.gz",
        "unknown demo-0.1.exe",
    ]


def test_a_row_says_the_version_that_its_file_names_do_not_say_as_all_others() -> None:
    """The script reads it in those that do; see the tests with a browser."""
    page = listed("demo-1.0.0.tar.gz", "demo-v1.1.tar.gz", "demo-1.2-1-py3-none-any.whl", "demo_1.3.zip", "demo-1.4.zip")
    assert rows_of(page) == [
        "demo-1.4.zip",
        "demo-1.2-1-py3-none-any.whl",
        "1.1 demo-v1.1.tar.gz",
        "demo-1.0.0.tar.gz",
        "unknown demo_1.3.zip",
    ]


WHEELS = tuple(f"demo-1.0-cp3{minor}-none-any.whl" for minor in range(10, 13))


def test_many_files_are_folded_up_by_kind_but_not_those_that_an_installer_would_take() -> None:
    older = tuple(name.replace("1.0", "0.9") for name in WHEELS)
    newer = tuple(name.replace("1.0", "1.1a1") for name in WHEELS)
    page = listed("demo-1.0.tar.gz", *WHEELS, *older, "demo-0.9.tar.gz", "demo-0.9.zip", *newer, "strange", "more", "still more")
    assert re.findall("<details( open)?><summary>(.*?)</summary>", pages.project_to_html(page).decode()) == [
        ("", "3 wheels"),
        (" open", "sdist, 3 wheels"),
        ("", "2 sdists, 3 wheels"),
        ("", "3 other files"),
    ]
    assert b"<details" not in pages.project_to_html(listed("demo-1.0.tar.gz", WHEELS[0]))


def test_a_yanked_file_is_marked_where_its_release_is_not() -> None:
    project = listed("demo-1.0.tar.gz", WHEELS[0])
    sdist, wheel = project.files
    half = replace(project, files=(sdist, replace(wheel, yanked="wrong ABI")))
    whole = replace(project, files=tuple(replace(file, yanked=True) for file in project.files))
    assert rows_of(half) == [f"demo-1.0.tar.gz {WHEELS[0]} yanked: wrong ABI"]
    assert rows_of(whole) == [f"1.0 yanked demo-1.0.tar.gz {WHEELS[0]}"]


@pytest.mark.parametrize("marker", ["archived", "deprecated", "quarantined"])
def test_a_status_and_its_reason_can_be_read(marker: str) -> None:
    page = pages.project_to_html(Project("demo", status=Status(marker, "see <elsewhere>"))).decode()
    assert re.search(rf"<h1>demo</h1>\n<p><strong>{marker.title()}: .*</strong> see &lt;elsewhere&gt;\n", page)


def test_a_quarantined_project_offers_nothing_and_nothing_to_install() -> None:
    project = listed("demo-1.0.tar.gz", status=Status("quarantined"))
    page = pages.project_to_html(replace(project, files=(), withheld=project.files)).decode()
    assert "There are no files." in page
    assert "demo-1.0.tar.gz" not in page
    assert "install" not in page.partition("<script>")[0]


@given(projects)
def test_no_text_in_a_record_breaks_out_of_the_page(project: Project) -> None:
    assert_valid(pages.project_to_html(project), len(project.files))


@given(st.dictionaries(st.text(max_size=20), st.just({}), max_size=3))
def test_a_root_page_is_valid_whatever_is_in_it(names: dict[str, dict[str, object]]) -> None:
    assert_valid(pages.root_to_html(ProjectList(names)), len(names))


def test_every_kind_of_page_is_valid_html() -> None:
    assert_valid(pages.project_to_html(FULL), 2)
    assert_valid(pages.project_to_html(Project("demo")), 0)
    assert_valid(pages.project_to_html(listed("demo-1.0.tar.gz", *WHEELS, status=Status("archived"))), 4)


def assert_valid(page: bytes, anchors: int) -> None:
    """HTML5 without a single parse error, but for characters that may stand in no document (they come from no tool of ours)."""
    text = re.sub("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]|[\U0001fffe-\U0010ffff]", "", page.decode())
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document = parser.parse(text)
    assert len(document.findall(".//a")) == len(document.findall(".//li")) + len(document.findall(".//td//p")) == anchors
    assert len(document.findall(".//script")) == len(document.findall(".//style")) == 1


# -- what may run, and what it weighs -----------------------------------------------------------------------------------------


def test_a_page_lets_its_own_style_and_script_run_and_nothing_else() -> None:
    for page in (pages.project_to_html(FULL), pages.root_to_html(ProjectList())):
        policy, style, script = (part_of(page, pattern) for _, pattern in _PARTS)
        assert policy.split("; ") == [
            "default-src 'none'",
            "base-uri 'none'",
            f"style-src '{_source(style)}'",
            f"script-src '{_source(script)}'",
            "form-action 'self'",
        ]
        assert not re.search(rb"""<[^>]* (style|on[a-z]+|src|srcset)=|url\(|@import|\bimport\b|fetch\(""", page)
        # Nothing precedes the policy that it is about.
        assert page.index(b"Content-Security-Policy") < page.index(b"<style") < page.index(b"<script")


def _source(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_comments_and_blanks_of_style_and_script_stay_at_home() -> None:
    page = pages.project_to_html(FULL)
    assert not re.search(r"/\*|\s[{};]|[{};:,]\s", part_of(page, "<style>(.*?)</style>"))
    assert not re.search(r"^\s|^//|^$", part_of(page, "<script>(.*?)</script>"), re.MULTILINE)


def released(names: tuple[str, ...], files: int) -> Project:
    """A project as real ones are: digests that nothing compresses, times, sizes, metadata of the wheels."""
    chance, moment, found = random.Random(files), datetime(2023, 1, 1, tzinfo=timezone.utc), list[File]()
    for at in range(files // len(names)):
        moment += timedelta(days=chance.random() * 9)
        for name in names:
            filename = name.format(version=f"{at // 50}.{at // 5 % 10}.{at % 5}")
            digest, metadata = (f"{chance.getrandbits(256):064x}" for _ in range(2))
            core_metadata = {"sha256": metadata} if filename.endswith(".whl") else False
            known = digest[:32] + "/" + filename, {"sha256": digest}, chance.randrange(10**4, 10**6), timestamp(moment)
            found.append(File(filename, *known, requires_python=">=3.10", core_metadata=core_metadata))
    return Project("acme-widgets", files=tuple(found), serial=files)


PAIR = ("acme_widgets-{version}.tar.gz", "acme_widgets-{version}-py3-none-any.whl")
TAGS = [f"cp31{minor}-cp31{minor}-{platform}" for minor in range(4) for platform in ("win_amd64", "macosx_11_0_arm64")]
MANY = (PAIR[0], *(f"acme_widgets-{{version}}-{tags}.whl" for tags in TAGS))


@pytest.mark.parametrize("files", [100, 1000])
@pytest.mark.parametrize("names", [PAIR, PAIR[:1], PAIR[1:], MANY], ids=["both", "sdist", "wheel", "sdist and eight wheels"])
def test_a_page_weighs_little_more_than_its_anchors(names: tuple[str, ...], files: int) -> None:
    project = released(names, files)
    page = pages.project_to_html(project)
    anchors = b"".join(b"%s<br>\n" % anchor for anchor in re.findall(rb"<a .*?</a>", page))
    # What says the version of the standard (PEP 629) and of the record is needed without a reader, too.
    needed = b'<meta name="pypi:repository-version" content="1.4">\n<meta name="pypiprivate:serial" content="%d">\n' % files
    bare = (
        b'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n%s<title>x</title></head><body>\n%s</body></html>\n'
        % (needed, anchors)
    )
    assert len(page) <= 1.3 * len(bare)
    assert len(gzip.compress(page, 6)) <= 1.3 * len(gzip.compress(bare, 6))
