"""READMEs: rendered when a release is published, kept beside its files, harmless whatever they say."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pypiprivate import amend, artifact, edits, garbage, pages, promote, publish, readme, rendering, simple
from pypiprivate.artifact import Artifact
from pypiprivate.edits import Target
from pypiprivate.errors import StorageError
from pypiprivate.findings import Kind
from pypiprivate.metadata import read_core
from pypiprivate.model import Existing, File, Project, described_by, readme_of
from pypiprivate.readme import Description
from pypiprivate.repair import repair
from pypiprivate.storage.base import Storage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.verify import verify

from .breakages import edit_record, overwrite
from .builders import make_sdist, make_wheel
from .repositories import (
    Observed,
    Retried,
    check_at_rest,
    check_never_torn,
    failing,
    in_turn,
    not_at_all,
    orphans,
    record,
    snapshot,
)

T = TypeVar("T")

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"
MARKDOWN = {"Description-Content-Type": "text/markdown"}
TEXT = {"Description-Content-Type": "text/plain"}

# -- pages --------------------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a browser would find in a page: its elements, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(text: str, content_type: str = "text/markdown") -> Seen:
    return Seen(readme.page(Description(text, content_type), title="demo 1.0"))


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/markdown", "Demo\n====\n\n* [more](https://example.com)\n"),
        ("text/markdown; charset=UTF-8; variant=CommonMark", "Demo\n====\n\n* [more](https://example.com)\n"),
        ("text/x-rst; charset=UTF-8", "Demo\n====\n\n* `more <https://example.com>`_\n"),
        ("", "Demo\n====\n\n* `more <https://example.com>`_\n"),
    ],
)
def test_markdown_and_restructuredtext_are_rendered(content_type: str, text: str) -> None:
    seen = page(text, content_type)
    assert {"h1", "li"} <= set(seen.tags)
    assert seen.all("a") == [{"href": "https://example.com", "rel": "noopener noreferrer nofollow"}]
    assert seen.all("base") == [{"target": "_blank"}]


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/plain", "<b>as it is</b>"),
        ("text/x-unknown", "<b>as it is</b>"),
        ("no type at all", "<b>as it is</b>"),
        ("text/markdown; variant=Unknown", "<b>as it is</b>"),
        (f"text/markdown; variant*{'1' * 5000}=x", "<b>as it is</b>"),
        (f"text/markdown; variant*0*=x; variant*{'1' * 50}*=x", "<b>as it is</b>"),
        ("text/x-rst", "broken\n=\n\n.. raw:: html\n\n   <b>as it is</b>\n"),
        ("text/x-rst", "\n".join(" " * n + "* <b>as it is</b>\n" for n in range(0, 800, 2))),
    ],
)
def test_all_else_is_shown_as_the_text_that_it_is(content_type: str, text: str) -> None:
    seen = page(text, content_type)
    assert "b" not in seen.tags
    assert seen.all("pre") == [{"class": "text"}]
    assert text in seen.text


@pytest.mark.parametrize("missing", ["readme_renderer", "comrak", "nh3"])
def test_without_the_extra_a_readme_is_text(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in (missing, "readme_renderer")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    seen = page("# <b>Demo</b>")
    assert seen.all("pre") == [{"class": "text"}]
    assert "# <b>Demo</b>" in seen.text


HOSTILE = """
# <script>alert(1)</script> Hello <img src=x onerror=alert(1)>

<iframe src="https://evil.example"></iframe> <object data="x"></object> <embed src=x> <form action="https://evil.example"><button>
<style>body { background: url(https://evil.example) }</style> <link rel=stylesheet href=https://evil.example>
<meta http-equiv=refresh content="0; url=https://evil.example"> <base href="https://evil.example"> <svg onload=alert(1)>
<a href="javascript:alert(1)" onclick="alert(1)" target="_top" rel="opener">a</a> <a href=" java\tscript:alert(1)">b</a>
<a href="data:text/html,x">c</a> <a href="//evil.example">d</a> <a href="../other/">e</a> <a href="&#106;avascript:alert(1)">f</a>
<p style="position: fixed" class="x" id="y">g</p> <math><mi href="javascript:alert(1)"> <template><script>x</script></template>
[h](javascript:alert(1)) ![i "j" <k>](https://evil.example/pixel.png) <https://example.com/?a=1&b=2> [l](HTTP://example.com)
![](https://evil.example/2.png) [![badge](https://evil.example/3.svg)](https://example.com/badge) <video src=x></video>
<img alt='" onload="alert(1)' src=x> <img alt="</pre><script>" src=x> <input type=image src=x> </body></html><script>alert(2)
"""


@pytest.mark.parametrize("content_type", ["text/markdown", "text/markdown; variant=CommonMark", "text/x-rst", "text/plain"])
def test_a_hostile_description_is_harmless(content_type: str) -> None:
    seen = page(HOSTILE, content_type)
    dangerous = {"script", "iframe", "object", "embed", "form", "button", "link", "svg", "math", "template", "video", "img"}
    assert not dangerous & set(seen.tags)
    assert (seen.tags.count("style"), seen.tags.count("base"), seen.tags.count("meta")) == (1, 1, 5)
    names = {name for tag, attributes in seen.elements for name in attributes if tag not in ("meta", "base", "html")}
    assert names <= {"href", "rel", "class", "id", "lang", "target", "type", "disabled"}
    for link in seen.all("a"):
        assert re.match(r"https?://|#", link.get("href") or "#", re.IGNORECASE), link
        assert link["rel"] == "noopener noreferrer nofollow"


def test_an_image_is_the_text_that_stands_for_it() -> None:
    seen = page('![an *image* "x" <y>](https://example.com/i.png) [![badge](https://example.com/b.svg)](https://example.com)')
    assert 'an image "x" <y>' in seen.text
    assert "badge" in seen.text
    assert "img" not in seen.tags


def test_a_link_within_stays_and_one_to_files_of_the_project_leads_nowhere() -> None:
    seen = page("# More\n\n[down](#more) [file](docs/more.md)\n")
    assert [(link.get("href"), link.get("target")) for link in seen.all("a")] == [("#user-content-more", "_self"), (None, None)]
    assert {"id": "user-content-more"} in seen.all("h1")


def test_its_policy_allows_its_one_style_and_nothing_else() -> None:
    body = readme.page(Description("x"), title='<demo> "1"').decode()
    (style,) = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in body
    assert "<title>README of &lt;demo&gt; &quot;1&quot;</title>" in body


# -- rendering ----------------------------------------------------------------------------------------------------------------

MANY = """
# More

[down](#more) [file](docs/more.md) <a href="#more" target="_top">up</a> ![a "b"](c.png) ![](d.png) [![](e.png)](https://example.com)
"""


def rendered(text: str, kind: str = "text/markdown", variant: str = "GFM", **how: int) -> dict[str, str]:
    """Render in this process."""
    return rendering.answer(text, kind, variant, **how)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HOSTILE, "text/markdown"),
        (MANY, "text/markdown"),
        (HOSTILE, "text/x-rst"),
        ("Demo\n====\n\n`a <https://b>`_", "text/x-rst"),
    ],
)
def test_a_process_of_its_own_says_what_this_one_says(text: str, kind: str) -> None:
    html = rendered(text, kind)["html"]
    assert html in readme.page(Description(text, kind), title="demo 1.0").decode()
    assert not {"img", "script"} & set(Seen(html.encode()).tags)


def test_what_cannot_be_rendered_says_why() -> None:
    assert rendered("broken\n=\n\n.. raw:: html\n\n   <b>", "text/x-rst") == {"reason": "it cannot be rendered as text/x-rst"}
    assert set(rendered("\n".join(" " * n + "* a\n" for n in range(0, 800, 2)), "text/x-rst")) == {"reason"}
    assert rendered("# Demo", most=10)["reason"].endswith("letters, of 10 at most")


def test_a_renderer_is_asked_and_answers_in_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows; and this process is to go on without limits
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"text": "*ä*", "kind": "text/markdown", "variant": "GFM"})))
    rendering.main()
    assert json.loads(capsys.readouterr().out) == {"html": "<p><em>ä</em></p>\n"}


def test_a_renderer_has_so_much_memory_and_so_much_time() -> None:
    resource = pytest.importorskip("resource")
    limits = (resource.RLIMIT_AS, resource.RLIMIT_CPU)
    before = [resource.getrlimit(what) for what in limits]
    try:
        rendering.limit(1 << 50, 1 << 30)
        assert [resource.getrlimit(what)[0] for what in limits] == [1 << 50, 1 << 30]
        rendering.limit(-2, 1 << 29)
        assert [resource.getrlimit(what)[0] for what in limits][1] == 1 << 29
    finally:
        for what, limit in zip(limits, before, strict=True):
            resource.setrlimit(what, limit)


def chain(length: int) -> str:
    """Write substitutions of which each is the next one twice."""
    links = (f".. |a{n}| replace:: |a{n + 1}| |a{n + 1}|\n" for n in range(length))
    return "".join(links) + f".. |a{length}| replace:: boom\n\n|a0|\n"


def test_what_explodes_is_shown_as_text_and_soon(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, readme.log.name)
    began = time.monotonic()
    body = readme.page(Description(chain(40), "text/x-rst"), title="demo 1.0", patience=1)
    assert time.monotonic() - began < 10
    assert Seen(body).all("pre") == [{"class": "text"}]
    assert "a README is kept as text: rendering it takes longer than 1 s" in caplog.text


def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let another program be taken for the interpreter."""
    program = tmp_path / "interpreter"
    program.write_text(f"#!{sys.executable} -I\nimport os, signal, sys\nsys.stdin.read()\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.skipif(os.name != "posix", reason="a script is no program there")
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('no JSON')", "Expecting value"),
        ("print('[]')", "list indices must be"),
        ("os.abort()", "its renderer ended with exit code -6: "),
        ("sys.exit('one\\ntwo \\x1b[31m')", r"its renderer ended with exit code 1: two \x1b[31m"),
        ('print(\'{"reason": "so"}\')', "kept as text: so"),
    ],
)
def test_anything_but_a_good_answer_means_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: str, reason: str
) -> None:
    caplog.set_level(logging.INFO, readme.log.name)
    renderer(tmp_path, monkeypatch, code)
    assert page("# <b>Demo</b>").all("pre") == [{"class": "text"}]
    assert reason in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="a script is no program there")
def test_what_ctrl_c_ends_is_not_published_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer(tmp_path, monkeypatch, "signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        page("# Demo")


@pytest.mark.parametrize(("length", "is_cut"), [(readme.MOST // 2, False), (readme.MOST // 2 + 1, True)])
def test_a_long_description_is_cut_and_says_so(length: int, is_cut: bool) -> None:
    seen = page("ä" * length, "text/plain")
    assert seen.text.count("ä") == min(length, readme.MOST // 2)
    assert ("longer than 512 KiB" in seen.text) is is_cut


@pytest.mark.parametrize(
    ("metadata", "description"),
    [
        ("Description-Content-Type: text/plain\n\nOne\nTwo\n", Description("One\nTwo\n", "text/plain")),
        ("Description: One\n       |Two\n       |\n       |  Three\n\n", Description("One\nTwo\n\n  Three")),
        ("Description: One\n        Two\n        \n          Three\n\n", Description("One\nTwo\n\n  Three")),
        ("Description: UNKNOWN\n\n", None),
        ("\n  \n", None),
        ("", None),
    ],
)
def test_a_description_is_read_from_the_body_or_the_header(metadata: str, description: Description | None) -> None:
    body = f"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n{metadata}"
    assert read_core(body.encode(), "METADATA").description == description


# -- publishing ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return tmp_path / "dist"


def built(dist: Path, version: str = "1.0", text: str = "Hello", **how: Any) -> list[Artifact]:
    """Sdist and wheel of a release with the same description."""
    made = (make_sdist, make_wheel)
    return [artifact.read(make(dist, "demo", version, **{"description": text, "headers": TEXT, **how})) for make in made]


def send(artifacts: Iterable[Artifact], storage: Storage, existing: Existing = Existing.REFUSE) -> None:
    publish.publish(artifacts, storage, existing=existing, sleep=not_at_all, gather=in_turn)


def readmes(storage: Storage) -> list[str]:
    """Their keys, without directories."""
    return sorted(key.rpartition("/")[2] for key in snapshot(storage) if described_by(key))


def file_of(storage: Storage, filename: str) -> File:
    return next(file for file in record(storage, "demo").held_files if file.filename == filename)


def key_of_readme(storage: Storage, filename: str = WHEEL) -> str:
    return readme_of(f"demo/{file_of(storage, filename).key}")


def project_page(storage: Storage) -> bytes:
    stored = storage.get("demo/index.html")
    assert stored
    return stored.body


def test_one_readme_of_a_release_lies_beside_its_wheel(dist: Path) -> None:
    storage = MemoryStorage()
    send(built(dist), storage)
    check_at_rest(storage)
    assert readmes(storage) == [f"{WHEEL}.html"]
    assert {file.filename: file.readme for file in record(storage, "demo").files} == {SDIST: False, WHEEL: True}
    stat = storage.stat(key_of_readme(storage))
    assert stat
    assert stat.headers
    assert (stat.headers.content_type, stat.headers.cache_control) == ("text/html; charset=utf-8", "max-age=0, must-revalidate")
    assert b"Hello" in b"".join(storage.read(key_of_readme(storage)))
    assert orphans(storage) == []


def test_an_sdist_has_one_where_no_wheel_has(dist: Path) -> None:
    storage = MemoryStorage()
    sdist, _ = built(dist)
    send([sdist], storage)
    assert readmes(storage) == [f"{SDIST}.html"]
    send(built(dist), storage)
    assert readmes(storage) == [f"{WHEEL}.html", f"{SDIST}.html"]
    (frame,) = Seen(project_page(storage)).all("iframe")
    assert frame["src"] == readme_of(file_of(storage, WHEEL).url)


def test_without_a_description_there_is_none(dist: Path) -> None:
    storage = MemoryStorage()
    send(built(dist, text=""), storage)
    assert readmes(storage) == []
    assert b"readme" not in snapshot(storage)["demo/index.json"]
    assert "iframe" not in Seen(project_page(storage)).tags


def test_a_small_publish_with_a_readme_takes_eight_requests_in_four_round_trips(dist: Path) -> None:
    storage, verbs, trips = MemoryStorage(), list[str](), list[int]()
    for version in ("1.0", "2.0"):
        send(built(dist, version), storage)

    def gather(calls: Sequence[Callable[[], T]], /) -> list[T]:
        """All at once are one round trip, if none of them takes several."""
        before, results = len(verbs), [call() for call in calls]
        trips.append(len(verbs) - before)
        assert trips[-1] <= len(calls)
        return results

    publish.publish(built(dist, "3.0"), Observed(storage, before=lambda verb, _key: verbs.append(verb)), gather=gather)
    assert sorted(verbs) == ["get", "get", "store", "store", "store", "swap", "swap", "swap"]
    # What is not gathered goes one after another, but for the page, which is gathered alone.
    assert len([trip for trip in trips if trip]) + len(verbs) - sum(trips) == 4


def test_publishing_again_writes_nothing(dist: Path) -> None:
    storage = MemoryStorage()
    send(built(dist), storage)
    before = snapshot(storage)
    writes: list[str] = []
    send(built(dist), Observed(storage, before=lambda verb, _: writes.append(verb) if verb in ("swap", "store") else None))
    assert (writes, snapshot(storage)) == ([], before)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_is_never_torn_and_a_rerun_finishes(dist: Path, when: str) -> None:
    for at in count():
        storage = MemoryStorage()
        try:
            send(built(dist), failing(storage, at, when=when))
        except StorageError:
            check_never_torn(storage)
        else:
            break
        send(built(dist), storage)
        check_at_rest(storage)
        assert readmes(storage) == [f"{WHEEL}.html"]
    assert at >= 8


def test_a_write_that_was_done_though_its_reply_was_lost_is_done(dist: Path) -> None:
    storage = MemoryStorage()
    send(built(dist), Retried(storage))
    check_at_rest(storage)
    assert readmes(storage) == [f"{WHEEL}.html"]


def test_the_readme_of_a_file_that_is_there_already_stays_as_it_was_made(dist: Path) -> None:
    storage = MemoryStorage()
    send(built(dist), storage)
    key, body = key_of_readme(storage), b"<!DOCTYPE html>made by another version</html>\n"
    amend.remove(storage, "demo", edits.delete(Target.parse("demo==1.0"), now=NOW))
    key = key.replace("/.readme/", "-2/.readme/")
    overwrite(storage, key, body, simple.HTML_TYPE)
    send(built(dist), storage)
    assert key_of_readme(storage) == key
    assert b"".join(storage.read(key)) == body


# -- the project's page -------------------------------------------------------------------------------------------------------


def file(version: str, **more: Any) -> File:
    name = f"demo-{version}-py3-none-any.whl"
    url = f"{version.replace('.', '').ljust(32, '0')}/{name}".replace("+", "%2B")
    return File(name, url, {"sha256": "0" * 64}, 1, None, **{"readme": True, "core_metadata": True, **more})


def shown(*files: File) -> list[dict[str, str | None]]:
    seen = Seen(pages.project_to_html(Project("demo", files=files)))
    assert len(seen.all("a")) == len(files)
    return seen.all("iframe")


def test_the_page_shows_the_readme_in_a_frame_that_may_do_nothing() -> None:
    (frame,) = shown(file("1.0+local"))
    assert frame == {
        "sandbox": "allow-popups allow-popups-to-escape-sandbox",
        "loading": "lazy",
        "title": "README of demo 1.0+local",
        "src": readme_of(file("1.0+local").url),
    }


@pytest.mark.parametrize(
    ("files", "title"),
    [
        ((file("1.0"), file("1.10"), file("1.9")), "README of demo 1.10"),
        ((file("1.0"), file("2.0", yanked="bad"), file("3.0", readme=False)), "README of demo 1.0"),
        ((file("1.0"), file("2.0rc1")), "README of demo 1.0"),
        ((file("2.0rc1"), file("2.0rc2")), "README of demo 2.0rc2"),
        ((file("1.0"), replace(file("2.0"), filename="what-is-this")), "README of demo 1.0"),
        ((file("1.0", yanked=True),), None),
        ((), None),
    ],
)
def test_it_is_that_of_the_newest_release_that_has_one(files: tuple[File, ...], title: str | None) -> None:
    assert [frame["title"] for frame in shown(*files)] == ([title] if title else [])


def test_a_record_keeps_the_mark_and_takes_nothing_else_for_one() -> None:
    project = Project("demo", files=(file("1.0"), file("2.0", readme=False)), serial=1)
    body = simple.project_to_json(project)
    assert body.count(b'"_readme":true') == 1
    assert simple.project_from_json(body, "demo").files == project.files
    strange = body.replace(b'"_readme":true', b'"_readme":"yes"')
    assert not simple.project_from_json(strange, "demo").files[0].readme


# -- afterwards ---------------------------------------------------------------------------------------------------------------


class Clock:
    """Everybody's clock, of the store and of who collects garbage."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(timezone.utc) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(dist: Path, clock: Clock) -> MemoryStorage:
    """With two releases that have READMEs."""
    storage = MemoryStorage(clock=clock)
    for version in ("1.0", "2.0"):
        send(built(dist, version), storage)
    return storage


def collect(storage: Storage, clock: Clock) -> list[str]:
    """Collect garbage three days later, and return the names of what went."""
    clock.ahead += timedelta(days=3)
    gone = garbage.collect(storage, clock=clock, sleep=not_at_all)
    return sorted(leftover.entry.key.rpartition("/")[2] for found in gone for leftover in found.leftovers)


def test_a_deletion_takes_the_readme_along(storage: MemoryStorage, clock: Clock) -> None:
    amend.remove(storage, "demo", edits.delete(Target.parse("demo==2.0"), now=NOW), sleep=not_at_all)
    assert readmes(storage) == [f"{WHEEL}.html"]
    assert (orphans(storage), collect(storage, clock)) == ([], [])
    check_at_rest(storage)
    assert [frame["title"] for frame in Seen(project_page(storage)).all("iframe")] == ["README of demo 1.0"]


def test_a_deletion_that_was_interrupted_is_finished_with_the_readme(storage: MemoryStorage) -> None:
    delete = edits.delete(Target.parse("demo==2.0"), now=NOW)
    for at in count():
        try:
            amend.remove(failing(storage, at, verbs=("delete",)), "demo", delete, sleep=not_at_all, gather=in_turn)
        except StorageError:
            continue
        break
    assert at >= 3
    assert (orphans(storage), readmes(storage)) == ([], [f"{WHEEL}.html"])


def test_garbage_is_the_readme_of_a_file_that_went_and_never_that_of_one_that_is_there(
    storage: MemoryStorage, dist: Path, clock: Clock
) -> None:
    assert collect(storage, clock) == []
    before = snapshot(storage)
    replaced = built(dist, "2.0", "Hello again")
    send(replaced, storage, Existing.REPLACE)
    went = ["demo-2.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl.html", "demo-2.0-py3-none-any.whl.metadata"]
    assert collect(storage, clock) == [*went, "demo-2.0.tar.gz"]
    assert readme_of(f"demo/{file_of(storage, WHEEL).key}") in before.keys() & snapshot(storage).keys()
    assert len(readmes(storage)) == 2
    check_at_rest(storage)


def test_the_readme_of_a_publish_that_crashed_is_garbage(dist: Path, storage: MemoryStorage, clock: Clock) -> None:
    with pytest.raises(StorageError):
        send(built(dist, "3.0"), failing(storage, 4))
    assert len(readmes(storage)) == 3
    assert "demo-3.0-py3-none-any.whl.html" in collect(storage, clock)
    assert len(readmes(storage)) == 2


def test_a_quarantine_withholds_the_readme_and_keeps_it(storage: MemoryStorage, clock: Clock) -> None:
    amend.amend(storage, "demo", edits.set_status("quarantined"), sleep=not_at_all)
    assert "iframe" not in Seen(project_page(storage)).tags
    assert collect(storage, clock) == []
    assert verify(storage).findings == ()
    amend.amend(storage, "demo", edits.set_status("active"), sleep=not_at_all)
    assert len(Seen(project_page(storage)).all("iframe")) == 1
    assert len(readmes(storage)) == 2


def test_a_yank_shows_the_readme_of_the_release_before(storage: MemoryStorage) -> None:
    amend.amend(storage, "demo", edits.yank(Target.parse("demo==2.0")), sleep=not_at_all)
    assert [frame["title"] for frame in Seen(project_page(storage)).all("iframe")] == ["README of demo 1.0"]


def kinds(storage: Storage) -> list[Kind]:
    return [finding.kind for finding in verify(storage).findings]


@pytest.mark.parametrize("filename", [WHEEL, SDIST])
def test_a_lost_readme_is_found_and_made_anew(dist: Path, filename: str) -> None:
    storage = MemoryStorage()
    send([one for one in built(dist, text="# Hello", headers=MARKDOWN) if one.filename == filename], storage)
    key, before = key_of_readme(storage, filename), snapshot(storage)
    storage.delete(key)
    assert [(finding.kind, finding.key) for finding in verify(storage).findings] == [(Kind.README_MISSING, key)]
    repaired = repair(storage, sleep=not_at_all)
    assert (len(repaired.mended), repaired.left, snapshot(storage), kinds(storage)) == (1, (), before, [])


@pytest.mark.parametrize("is_withheld", [False, True])
def test_the_mark_of_a_file_that_has_no_description_is_taken_off(dist: Path, is_withheld: bool) -> None:
    storage = MemoryStorage()
    send(built(dist, text=""), storage)
    if is_withheld:
        amend.amend(storage, "demo", edits.set_status("quarantined"), sleep=not_at_all)
    found = record(storage, "demo")
    files, withheld = ([replace(file, readme=True) for file in files] for files in (found.files, found.withheld))
    edit_record(storage, replace(found, files=tuple(files), withheld=tuple(withheld)))
    assert kinds(storage) == [Kind.README_MISSING] * 2
    assert repair(storage, sleep=not_at_all).left == ()
    assert (kinds(storage), [file.readme for file in record(storage, "demo").held_files]) == ([], [False, False])
    assert record(storage, "demo") == replace(found, serial=found.serial + 2)


@pytest.mark.parametrize("length", [0, 1])
def test_a_readme_is_not_made_of_other_bytes_than_the_listed_ones(storage: MemoryStorage, length: int) -> None:
    wheel = file_of(storage, WHEEL)
    storage.delete(key_of_readme(storage))
    other = b"x" * (wheel.size - length)
    storage.store(f"demo/{wheel.key}", other, sha256=sha256(other).hexdigest())
    assert set(kinds(storage)) == {Kind.FILE_DAMAGED, Kind.README_MISSING}
    assert {finding.kind for finding in repair(storage, sleep=not_at_all).left} == {Kind.FILE_DAMAGED, Kind.README_MISSING}
    assert len(readmes(storage)) == 1


def test_a_readme_whose_file_is_lost_waits_for_the_file(storage: MemoryStorage) -> None:
    storage.delete(key_of_readme(storage))
    storage.delete(f"demo/{file_of(storage, WHEEL).key}")
    assert {finding.kind for finding in repair(storage, sleep=not_at_all).left} == {Kind.FILE_MISSING, Kind.README_MISSING}
    assert file_of(storage, WHEEL).readme


def test_a_readme_that_is_served_as_something_else_is_mended(storage: MemoryStorage) -> None:
    key, before = key_of_readme(storage), snapshot(storage)
    overwrite(storage, key, before[key], "application/octet-stream")
    assert [(finding.kind, finding.key) for finding in verify(storage).findings] == [(Kind.HEADERS, key)]
    assert repair(storage, sleep=not_at_all).left == ()
    assert (kinds(storage), snapshot(storage)) == ([], before)


def test_a_readme_that_another_version_made_is_as_good(storage: MemoryStorage) -> None:
    overwrite(storage, key_of_readme(storage), b"<!DOCTYPE html>made otherwise", simple.HTML_TYPE)
    assert kinds(storage) == []


def promoted(storage: Storage) -> MemoryStorage:
    target = MemoryStorage()
    offers = promote.offers(storage, [Target.parse("demo==1.0")])
    publish.publish(offers, target, send=promote.send, sleep=not_at_all)
    check_at_rest(target)
    return target


def test_a_promotion_has_the_readme(storage: MemoryStorage) -> None:
    target = promoted(storage)
    assert [file.readme for file in record(target, "demo").files] == [file.readme for file in record(storage, "demo").files][:2]
    assert snapshot(target)[key_of_readme(target)] == snapshot(storage)[key_of_readme(storage)]


def test_a_readme_that_somebody_spoilt_is_not_promoted(storage: MemoryStorage) -> None:
    key = key_of_readme(storage)
    before = snapshot(storage)[key]
    overwrite(storage, key, b"<!DOCTYPE html><script>alert(1)</script>", simple.HTML_TYPE)
    target = promoted(storage)
    assert snapshot(target)[key_of_readme(target)] == before


def test_a_lost_readme_is_promoted_all_the_same(storage: MemoryStorage) -> None:
    storage.delete(key_of_readme(storage))
    target = promoted(storage)
    assert (readmes(target), kinds(target)) == ([f"{WHEEL}.html"], [])


def test_an_sdist_whose_metadata_nothing_vouches_for_is_promoted_without_a_readme(dist: Path) -> None:
    storage = MemoryStorage()
    send([built(dist)[0]], storage)
    target = promoted(storage)
    assert (readmes(target), [file.readme for file in record(target, "demo").files]) == ([], [False])


def test_metadata_that_cannot_be_read_are_promoted_without_a_readme(storage: MemoryStorage) -> None:
    body, found = b"no metadata", record(storage, "demo")
    wheel = file_of(storage, WHEEL)
    storage.store(f"demo/{wheel.key}.metadata", body, sha256=sha256(body).hexdigest())
    vouched = replace(wheel, core_metadata={"sha256": sha256(body).hexdigest()})
    edit_record(storage, replace(found, files=tuple(vouched if file == wheel else file for file in found.files)))
    assert readmes(promoted(storage)) == []
