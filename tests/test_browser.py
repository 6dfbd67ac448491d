"""Pages in a real browser: through each recipe with its headers and its password, through ``serve``, and from a disk."""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Error, Page, Request, Route, sync_playwright

from pypiprivate import artifact, edits, news, pages, serve
from pypiprivate.amend import amend
from pypiprivate.edits import Target
from pypiprivate.model import File, Project, ProjectList, Status
from pypiprivate.publish import publish
from pypiprivate.recipe import Place
from pypiprivate.storage import Storage, open_storage

from . import edge
from .builders import make_sdist, make_wheel
from .examples import environment, run
from .served import USER, USERS
from .servers import READER, Server
from .test_pages import PAIR, released
from .test_readmes import HOSTILE
from .test_untrusted import ATTACKS
from .web import by_recipe, http_server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

FLAGS = """
--no-sandbox
--disable-gpu
--disable-quic
--no-first-run
--disable-background-networking
--disable-component-update
--disable-sync
"""
#: Asked of every page: what WCAG 2.2 AA says, and good habits.
AXE = {"resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that somebody has open.

    :ivar told: errors and messages on its console.
    :ivar asked: URLs that it asked for.
    :ivar statuses: of the answers.
    """

    page: Page
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def refuse(self, dialog: Dialog) -> None:
        self.told.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    # Not `inner_text`, which is empty until a browser has drawn what is far down the page.

    def rows(self) -> list[str]:
        """What each release that is shown begins with, or each project."""
        texts = self.page.locator("tbody tr:not([hidden]) th, main > ul > li:not([hidden])").all_text_contents()
        return [" ".join(text.split()) for text in texts]

    def files(self) -> list[str]:
        """The files that are shown."""
        return self.page.locator(":is(td, [open]) > p:not([hidden]) > a").all_text_contents()

    def said(self) -> str:
        return self.page.locator("output").inner_text()


@contextmanager
def opened(browser: Browser, url: str, *, asks: set[str] | None = None, **how: Any) -> Iterator[Opened]:
    """Open a page, and find at the end that it asked for nothing but itself and had nothing to complain of.

    :param asks: for what else it may ask; None: for anything, and it may complain.
    """
    with empty(browser, **how) as seen:
        seen.page.goto(url)
        yield seen
        if asks is not None:
            assert seen.told == []
            assert set(seen.asked) <= {url, *asks}


@contextmanager
def empty(browser: Browser, **how: Any) -> Iterator[Opened]:
    """Open a window in which there is nothing yet, of a browser that has never been anywhere."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    try:
        seen = Opened(context.new_page())
        seen.page.on("console", lambda message: seen.told.append(message.text))
        seen.page.on("pageerror", lambda error: seen.told.append(str(error)))
        seen.page.on("dialog", seen.refuse)
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.on("response", lambda answer: seen.statuses.append(answer.status))
        yield seen
    finally:
        context.close()


# -- an index, as it is served ------------------------------------------------------------------------------------------------

#: Writes an index.
Fill = Callable[[Storage], None]
#: Serves one that is written now, to who knows the password; gives its URL.
Way = Callable[[Fill], AbstractContextManager[str]]
WHO: dict[str, Any] = {"http_credentials": {"username": USER[0], "password": USER[1]}}
#: The ways that ask for a password, and last one that does not.
PRIVATE = ("nginx", "nginx-s3", "cloudfront")
WAYS = (*PRIVATE, "serve")


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """Serve by a recipe, before a directory or a private bucket, or as ``serve`` does where there is no nginx."""
    new_home = partial(tmp_path_factory.mktemp, request.param, numbered=True)
    needed = request.getfixturevalue
    match request.param:
        case "nginx":
            return partial(by_nginx, new_home)
        case "nginx-s3":
            return partial(by_nginx_s3, new_home, needed("seaweed"))
        case "cloudfront":
            return partial(by_cloudfront, new_home, needed("seaweed"), needed("node"))
        case _:
            return partial(by_serve, new_home)


@contextmanager
def by_nginx(new_home: Callable[[], Path], fill: Fill) -> Iterator[str]:
    home = new_home()
    place = Place("local-filesystem", {"base_path": str(home / "index")})
    fill(open_storage(place.type, place.options))
    with by_recipe("nginx", place, home, changed=impatient, users=users_in(home)) as url:
        yield url


@contextmanager
def by_nginx_s3(new_home: Callable[[], Path], server: Server, fill: Fill) -> Iterator[str]:
    home = new_home()
    place = Place("aws-s3", server.options(prefix=f"browser/{secrets.token_hex(4)}"))
    fill(open_storage(place.type, place.options))
    keys = home / "keys.json"
    keys.write_text(json.dumps(dict(zip(("AccessKeyId", "SecretAccessKey"), READER, strict=True))), "utf-8")
    with by_recipe("nginx-s3", place, home, changed=impatient, users=users_in(home), credentials=str(keys)) as url:
        yield url


@contextmanager
def by_cloudfront(new_home: Callable[[], Path], server: Server, node: str, fill: Fill) -> Iterator[str]:
    home = new_home()
    options = server.options(prefix=f"browser/{secrets.token_hex(4)}")
    fill(open_storage("aws-s3", options))
    # The stack knows Amazon's stores only; and who asks there has no need of keys.
    place = Place("aws-s3", {name: options[name] for name in ("bucket", "prefix", "region")}, "https://pypi.acme.example/simple/")
    users = {USER[0]: sha256(":".join(USER).encode()).hexdigest()}
    with edge.distribution(node, home, place, server, users) as url:
        yield url


@contextmanager
def by_serve(new_home: Callable[[], Path], fill: Fill) -> Iterator[str]:
    storage = open_storage("local-filesystem", {"base_path": str(new_home())})
    fill(storage)
    address = serve.free("127.0.0.1", 0)
    with serve.plain(storage, address) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield address.url
        finally:
            server.shutdown()


def impatient(text: str) -> str:
    """Take away the second that a guess costs: a browser tries without a password first, in each test anew."""
    assert text.count("auth_delay 1s;") == 1
    return text.replace("auth_delay 1s;", "")


def users_in(home: Path) -> str:
    (home / "users").write_text(USERS, "utf-8")
    return str(home / "users")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of a project with all that a page can show, and one of another project."""
    home = tmp_path_factory.mktemp("built")
    wheels = [make_wheel(home, "demo", "1.10", tags=f"cp31{minor}-none-any") for minor in range(3)]
    others = [make_wheel(home, "demo", version, requires_python=">=3.8") for version in ("1.9", "1.8", "2.0rc1")]
    return [make_sdist(home, "demo", "1.10"), *wheels, *others, make_wheel(home, "other", "1.0")]


@pytest.fixture(scope="module")
def fill(built: list[Path]) -> Fill:
    """Publish them, and say of them what can be said."""

    def fill(storage: Storage) -> None:
        publish([artifact.read(path) for path in built], storage)
        amend(storage, "demo", edits.yank(Target.parse("demo==1.8"), reason='loses "data" & <more>'))
        amend(storage, "demo", edits.set_status("deprecated", reason="use other"))

    return fill


@pytest.fixture(scope="module")
def site(way: Way, fill: Fill) -> Iterator[str]:
    with way(fill) as url:
        yield url


# -- who may see it -----------------------------------------------------------------------------------------------------------

#: What is shown instead of a page: what the server says of it, or nothing where the browser had no password to try.
REFUSALS = ("", "401: This index is private: name and password, please.", "Unauthorized")


@pytest.mark.parametrize("way", PRIVATE, indirect=True)
@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_a_browser_is_shown_nothing(
    browser: Browser, site: str, built: list[Path], password: str | None
) -> None:
    who = {"http_credentials": {"username": USER[0], "password": password}} if password else {}
    file = f"demo/{sha256(built[0].read_bytes()).hexdigest()[:32]}/{built[0].name}"
    paths = ("", "index.json", "demo/", file, f"{file}.metadata", "none/", "news.html")
    with empty(browser, **who) as seen:
        for path in paths:
            with suppress(Error):  # nobody is there to be asked for it
                seen.page.goto(site + path)
            assert seen.page.locator("body").inner_text().strip() in REFUSALS
        assert seen.statuses == [401] * len(paths)


def test_who_may_goes_from_the_first_page_to_a_file_by_mouse(browser: Browser, site: str, built: list[Path]) -> None:
    (wheel,) = (path for path in built if path.name == "demo-1.9-py3-none-any.whl")
    digest = sha256(wheel.read_bytes()).hexdigest()
    file = f"{site}demo/{digest[:32]}/{wheel.name}"
    with opened(browser, site, asks={f"{site}demo/", file}, **WHO) as seen:
        seen.page.get_by_role("link", name="demo").click()
        seen.page.wait_for_url(f"{site}demo/")
        assert [row.split()[0] for row in seen.rows()] == ["2.0rc1", "1.10", "1.9", "1.8"]
        with seen.page.expect_download() as download:
            seen.page.get_by_role("link", name=wheel.name).click()
        assert download.value.suggested_filename == wheel.name
        assert sha256(download.value.path().read_bytes()).hexdigest() == digest


# -- what it does -------------------------------------------------------------------------------------------------------------


def test_a_search_shows_what_matches_and_says_how_many(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}demo/", asks=set(), **WHO) as seen:
        everything = ["2.0rc1 pre-release", "1.10", "1.9", '1.8 yanked: loses "data" & <more>']
        assert seen.rows() == everything
        assert seen.said() == ""
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("Yanked")
        assert seen.rows() == everything[3:]
        assert [row.is_visible() for row in seen.page.locator("tbody tr").all()] == [False, False, False, True]
        assert seen.said() == "1 of 7"
        seen.page.keyboard.press("Escape")
        assert seen.rows() == everything
        assert seen.said() == "7 of 7"
        # What is said of a file is not said of the others.
        seen.page.keyboard.type("tar.gz")
        assert (seen.files(), seen.said()) == (["demo-1.10.tar.gz"], "1 of 7")
        seen.page.keyboard.press("Escape")
        # What is said of the release, and what is said of the file.
        seen.page.keyboard.type("1.10 cp312 wheels")
        assert seen.rows() == ["1.10"]
        assert seen.files() == ["demo-1.10-cp312-none-any.whl"]
        seen.page.keyboard.type(" no/such")
        assert (seen.rows(), seen.said()) == ([], "0 of 7")


def test_a_folded_release_opens_for_what_was_searched_in_it(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}demo/", asks=set(), **WHO) as seen:
        folded = seen.page.locator("details")
        assert folded.get_attribute("open") is not None, "an installer takes this release"
        seen.page.locator("summary").click()
        assert len(seen.files()) == 3
        seen.page.get_by_label("Search").fill("cp311")
        assert seen.files() == ["demo-1.10-cp311-none-any.whl"]


def test_sizes_are_shown_of_files_and_releases(browser: Browser, site: str, built: list[Path]) -> None:
    sizes = {path.name: path.stat().st_size for path in built}
    with opened(browser, f"{site}demo/", asks=set(), **WHO) as seen:
        row = seen.page.locator("tbody tr").filter(has_text="1.10")
        total = sum(size for name, size in sizes.items() if "1.10" in name)
        assert (row.locator("td").nth(2).text_content() or "").strip() == f"{round(total / 1000, 1):g} kB"
        assert seen.page.locator("tbody tr").filter(has_text="1.9").locator("p").text_content() == (
            f"demo-1.9-py3-none-any.whl {in_kilobytes(sizes['demo-1.9-py3-none-any.whl'])}\n"
        )


def test_version_date_and_python_are_made_columns_of(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}demo/", asks=set(), **WHO) as seen:
        published = seen.page.request.get(f"{site}demo/index.json").json()["files"][0]["upload-time"][:10]
        rows = [row.locator("th, td").all_text_contents()[:3] for row in seen.page.locator("tbody tr").all()]
        assert rows == [
            ["2.0rc1 pre-release", published, ">=3.8"],
            ["1.10", published, ""],
            ["1.9", published, ">=3.8"],
            ['1.8 yanked: loses "data" & <more>', published, ">=3.8"],
        ]
    with opened(browser, f"{site}other/", asks=set(), **WHO) as seen:
        assert seen.page.locator("tbody tr th").all_text_contents() == ["1.0"]


def test_a_release_is_as_old_as_its_first_file(browser: Browser, tmp_path: Path) -> None:
    project = released(PAIR, 2)
    sdist, wheel = project.files
    files = (replace(sdist, upload_time="2026-05-01T00:00:00Z"), replace(wheel, upload_time="2020-02-03T00:00:00Z"))
    page = write_page(tmp_path / "simple", replace(project, files=files))
    with opened(browser, page.as_uri(), asks=set()) as seen:
        assert seen.page.locator("tbody td").first.text_content() == "2020-02-03"


def in_kilobytes(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{round(size / 1000, 1):g} kB"


def test_an_announcement_of_results_is_read_aloud(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}demo/", asks=set(), **WHO) as seen:
        assert seen.page.get_by_role("status").count() == 1


def test_a_project_is_found_and_opened_by_keyboard_alone(browser: Browser, site: str) -> None:
    with opened(browser, site, asks={f"{site}other/", f"{site}index.html?"}, **WHO) as seen:
        assert seen.rows() == ["demo", "other"]
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("oth")
        assert (seen.rows(), seen.said()) == (["other"], "1 of 2")
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url(f"{site}other/")
        seen.page.get_by_role("button", name="All projects").click()
        seen.page.wait_for_url(f"{site}index.html?")
        assert seen.rows() == ["demo", "other"]


def test_pages_work_from_a_disk_too(browser: Browser, fill: Fill, tmp_path: Path) -> None:
    index = tmp_path / "simple"
    fill(open_storage("local-filesystem", {"base_path": str(index)}))
    root = f"{(index / 'index.html').as_uri()}?"
    with opened(browser, (index / "demo/index.html").as_uri(), asks={root}) as seen:
        assert seen.page.locator("pre").nth(1).inner_text() == f"pip install --index-url {index.as_uri()}/ demo"
        seen.page.get_by_role("button", name="All projects").click()
        seen.page.wait_for_url(root)
        assert seen.rows() == ["demo", "other"]


@pytest.mark.parametrize("command", [0, 1], ids=["uv", "pip"])
def test_how_to_install_is_copied_and_works(browser: Browser, site: str, tmp_path: Path, command: int) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n', "utf-8")
    (tmp_path / ".netrc").write_text('machine 127.0.0.1 login {} password "{}"\n'.format(*USER), "utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    with opened(browser, f"{site}demo/", asks=set(), permissions=["clipboard-read"], **WHO) as seen:
        seen.page.get_by_role("button", name="Copy").nth(command).click()
        assert seen.page.get_by_role("button", name="Copied").count() == 1
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == seen.page.locator("pre").nth(command).inner_text()
        assert site in copied
    words = [sys.executable, "-m", *shlex.split(copied)]
    more = ["--target", str(tmp_path / "installed")] if command else []
    run([*words, *more], env=environment(tmp_path), cwd=tmp_path)
    installed = {path.name for path in tmp_path.glob("**/*.dist-info")}
    assert "demo-1.10.dist-info" in installed or "demo-2.0rc1.dist-info" in installed


def test_the_url_to_install_from_has_no_password_in_it(browser: Browser, site: str) -> None:
    with_password = site.replace("://", f"://{USER[0]}:{USER[1].replace(' ', '%20')}@")
    with opened(browser, f"{with_password}demo/?a=b#c", **WHO) as seen:
        assert seen.page.locator("pre").all_inner_texts() == [
            f"uv add --index private={site} demo",
            f"pip install --index-url {site} demo",
        ]


def test_a_shell_reads_the_url_of_any_path_as_one_word(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "it's $(touch owned) & `co`; (x)!" / "simple"
    page = write_page(home, released(PAIR, 2))
    with opened(browser, page.as_uri(), asks=set()) as seen:
        text = seen.page.locator("pre").nth(1).inner_text()
    done = subprocess.run(["sh", "-c", f"printf '%s\\n' {text}"], capture_output=True, text=True, cwd=tmp_path, check=True)
    *_, url, name = done.stdout.splitlines()
    assert name == "acme-widgets"
    assert Path(url2pathname(urlsplit(url).path)) == home
    assert not (tmp_path / "owned").exists()


def write_page(home: Path, project: Project) -> Path:
    path = home / project.name / "index.html"
    path.parent.mkdir(parents=True)
    path.write_bytes(pages.project_to_html(project))
    return path


# -- everybody ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_in_the_way_of_anybody(browser: Browser, site: str, scheme: Any) -> None:
    for path in ("demo/", ""):
        with opened(browser, site + path, asks=set(), color_scheme=scheme, **WHO) as seen:
            results = Axe().run(seen.page, options=AXE)
            assert results.response["violations"] == []
            assert results.response["testEngine"]["name"] == "axe-core"


def test_dark_is_dark_and_light_is_light(browser: Browser, site: str) -> None:
    shown: list[list[str]] = []
    colors_of = "(tags) => tags.map((tag) => getComputedStyle(document.querySelector(tag)).color)"
    for scheme in ("light", "dark"):
        with opened(browser, f"{site}demo/", asks=set(), color_scheme=scheme, **WHO) as seen:
            shown.append(seen.page.evaluate(colors_of, ["body", "a", "small"]))
    light, dark = ([sum(map(int, color[4:-1].split(", "))) for color in colors] for colors in shown)
    assert all(in_light < 3 * 128 < in_dark for in_light, in_dark in zip(light, dark, strict=True))


def test_on_a_narrow_screen_nothing_is_to_the_right_of_it(browser: Browser, site: str) -> None:
    for path in ("demo/", ""):
        with opened(browser, site + path, asks=set(), **WHO) as seen:
            for width in (320, 390, 768):
                seen.page.set_viewport_size({"width": width, "height": 700})
                assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_all_is_there_but_what_needs_it(browser: Browser, site: str) -> None:
    with opened(browser, f"{site}demo/", asks=set(), java_script_enabled=False, **WHO) as seen:
        assert [name.split("-")[1].removesuffix(".tar.gz") for name in seen.files()] == ["2.0rc1", *["1.10"] * 4, "1.9", "1.8"]
        assert seen.rows() == ["2.0rc1 pre-release", "1.10", "", '1.8 yanked: loses "data" & <more>']
        assert "2026" in seen.page.evaluate("getComputedStyle(document.querySelector('td a'), '::after').content")
        assert all(link.is_visible() for link in seen.page.locator("tbody a").all())
        assert seen.page.locator("pre").nth(1).inner_text() == "pip install --index-url INDEX-URL demo"
        assert not seen.page.get_by_label("Search").is_visible()
        assert seen.page.get_by_role("button").all_inner_texts() == ["All projects"]
        assert "Deprecated: something else is to be used. use other" in seen.page.locator("main").inner_text()


# -- nobody else --------------------------------------------------------------------------------------------------------------

INJECTED = """
<script>document.title = "owned"; window.owned = 1</script>
<script src="https://evil.example/x.js"></script>
<script src="x.js"></script>
<img src="x" onerror="window.owned = 2"><img src="https://evil.example/x.png">
<svg onload="window.owned = 3"></svg>
<style>body { display: none }</style><link rel="stylesheet" href="x.css">
<iframe src="https://evil.example/"></iframe>
<p style="position: fixed" id="styled">x</p>
<form action="https://evil.example/"><button>Owned</button></form>
"""


def test_what_somebody_else_wrote_into_a_page_does_not_run(browser: Browser, site: str) -> None:
    with altered(browser, f"{site}demo/", policy="script-src 'unsafe-inline'") as page:
        assert page.title() == "demo"
        page.get_by_label("Search").fill("1.9")
        assert page.locator("output").inner_text() == "1 of 7", "our own script runs beside it"


@contextmanager
def altered(browser: Browser, url: str, *, policy: str) -> Iterator[Page]:
    """Open a page that somebody wrote into, and find that nothing of it runs, is seen, leads elsewhere or is fetched.

    :param policy: what its header says, among other things.
    """
    context = browser.new_context(**WHO)
    asked: list[str] = []
    refused: dict[str, str | None] = {}

    def refuse(request: Request) -> None:
        refused[request.url] = request.failure

    def alter(route: Route) -> None:
        response = route.fetch()
        assert policy in response.headers["content-security-policy"]
        route.fulfill(response=response, body=response.text().replace("<h1", f"{INJECTED}<h1", 1))

    try:
        page = context.new_page()
        page.route(url, alter)
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", refuse)
        page.goto(url)
        assert page.evaluate("window.owned") is None
        assert page.locator("h1").first.is_visible()
        assert page.evaluate("getComputedStyle(document.getElementById('styled')).position") == "static"
        yield page
        page.get_by_role("button", name="Owned").evaluate("(button) => button.click()")
        page.evaluate("new Promise(requestAnimationFrame)")
        assert page.url == url
        assert refused.keys() == {other for other in asked if other != url}
        assert set(refused.values()) == {"csp"}, "the browser's own word for what it did not even ask for"
    finally:
        context.close()


def test_hostile_metadata_do_nothing(browser: Browser, tmp_path: Path) -> None:
    attacks = [attack for attack in ATTACKS if attack.isprintable()]
    files = [
        File(f"{attack}.whl", attack, {"sha256": attack}, 1, attack, requires_python=attack, yanked=attack) for attack in attacks
    ]
    page = write_page(tmp_path / "simple", Project("demo", tuple(files), status=Status("archived", "".join(attacks))))
    with http_server(page.parent.parent) as url, opened(browser, f"{url}demo/", asks=set()) as seen:
        assert seen.page.locator("tbody a").all_text_contents() == [file.filename for file in files]
        seen.page.get_by_label("Search").fill("javascript:alert(1)")
        assert set(seen.page.evaluate("[...document.links].map((link) => link.protocol)")) <= {"http:", "https:", "file:"}


# -- READMEs and news ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def described(way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a project with a README, and what is new."""
    text, headers = f"# Hello\n\n[more](#hello)\n{HOSTILE}", {"Description-Content-Type": "text/markdown"}
    wheel = make_wheel(tmp_path_factory.mktemp("described"), "demo", "1.0", headers=headers, description=text)

    def fill(storage: Storage) -> None:
        publish([artifact.read(wheel)], storage)
        news.renew(storage)

    with way(fill) as url:
        yield url


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_readme_is_shown_in_a_frame_where_nothing_runs_and_nothing_is_fetched(
    browser: Browser, described: str, color_scheme: str
) -> None:
    with opened(browser, f"{described}demo/", color_scheme=color_scheme, **WHO) as seen:
        frame = seen.page.frame_locator("iframe")
        assert frame.locator("h1").first.inner_text() == "Hello"
        (readme,) = (url for url in seen.asked if url != f"{described}demo/")
        assert readme.endswith("/.readme/demo-1.0-py3-none-any.whl.html")
        assert seen.told == []
        assert Axe().run(seen.page, options=AXE).response["violations"] == []


def test_what_somebody_else_wrote_into_a_readme_does_not_run_even_outside_its_frame(browser: Browser, described: str) -> None:
    with opened(browser, f"{described}demo/", **WHO) as seen:
        assert seen.page.frame_locator("iframe").locator("h1").first.is_visible()
    (readme,) = (url for url in seen.asked if url != f"{described}demo/")
    with altered(browser, readme, policy="default-src 'none'") as page:
        assert page.locator("h1").first.inner_text() == "Hello"


def test_the_root_leads_to_the_news_and_these_to_projects(browser: Browser, described: str) -> None:
    asks = {f"{described}news.html", f"{described}news.html?", f"{described}demo/"}
    with opened(browser, described, asks=asks, **WHO) as seen:
        seen.page.get_by_role("button", name="Newest releases").click()
        assert seen.page.locator("h1").inner_text() == "Newest releases"
        assert Axe().run(seen.page, options=AXE).response["violations"] == []
        assert seen.page.get_by_role("link", name="demo").get_attribute("href") == "demo/"


# -- many ---------------------------------------------------------------------------------------------------------------------

#: Milliseconds, at best, for a search and all that a browser has to do for it.
SEARCH = """async (words) => {
    const box = document.querySelector("input");
    const next = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    let best = [];
    for (let round = 0; round < 3; round++)
        for (const [at, word] of words.entries()) {
            const begun = performance.now();
            box.value = word;
            box.dispatchEvent(new Event("input"));
            document.body.offsetHeight;
            await next();
            best[at] = Math.min(best[at] ?? Infinity, performance.now() - begun);
        }
    return Math.max(...best);
}"""


def test_the_time_of_a_search_grows_no_faster_than_the_files(browser: Browser, tmp_path: Path) -> None:
    took = []
    for count in (500, 5000):
        page = write_page(tmp_path / str(count), released(PAIR, count))
        with opened(browser, page.as_uri(), asks=set()) as seen:
            took.append(seen.page.evaluate(SEARCH, ["nowhere", ""]))
            assert seen.said() == f"{count} of {count}"
    assert took[1] < 40 * took[0], "ten times are meant; a browser that counts anew for each takes a hundred times as long"


def test_the_time_of_a_search_grows_no_faster_than_the_projects(browser: Browser, tmp_path: Path) -> None:
    took = []
    for count in (1000, 10_000):
        page = tmp_path / f"{count}.html"
        page.write_bytes(pages.root_to_html(ProjectList({f"acme-{number}": {} for number in range(count)})))
        with opened(browser, page.as_uri(), asks=set()) as seen:
            took.append(seen.page.evaluate(SEARCH, ["nowhere", ""]))
            assert seen.said() == f"{count} of {count}"
    assert took[1] < 40 * took[0], "ten times are meant; a browser that counts anew for each takes a hundred times as long"
