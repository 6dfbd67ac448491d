"""No client installs a stranger's project for one of ours.

Real clients, a private index, and a public one on which an attacker has the same names with higher versions; both are on the
loopback interface, and nothing else can be reached.
"""

from __future__ import annotations

import base64
import http.client
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from pypiprivate import clients, open_repository, recipe
from pypiprivate.cli import main

from .builders import make_wheel
from .environments import UV, Environments
from .examples import ROOT, environment, run
from .web import _nginx, free_port, http_server

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    import tomli as toml

PIP_ASKS = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
USER, PASSWORD = "alice", "correct-horse"
#: What is right: two private projects, one of which only the other one needs, and two public ones.
RIGHT = {"acme-app": "1.0", "acme-hello": "1.0", "public-lib": "1.0", "public-dep": "1.0"}


def wheel(directory: Path, project: str, version: str, *requires: str) -> Path:
    said = "".join(f"Requires-Dist: {name}\n" for name in requires)
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{said}\n".encode()
    info = f"{project.replace('-', '_')}-{version}.dist-info"
    return make_wheel(directory, project, version, files={f"{info}/METADATA": metadata})


@dataclass
class Public:
    """A public index, and the credentials that were sent to it by mistake.

    :ivar url: under another host name than the private one: clients keep passwords by host.
    """

    url: str = ""
    credentials: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our index. Of one project all files were deleted; of another one only a page of an older tool is there."""
    index, dist = tmp_path_factory.mktemp("private") / "simple", tmp_path_factory.mktemp("dist")
    repository = open_repository(str(index))
    retired = wheel(dist, "acme-retired", "1.0")
    repository.publish([wheel(dist, "acme-app", "1.0", "acme-hello", "public-lib"), wheel(dist, "acme-hello", "1.0"), retired])
    assert main(["-r", str(index), "delete", "--yes", "acme-retired"]) == 0
    (index / "acme-older").mkdir()
    (index / "acme-older" / "index.html").write_text("<!DOCTYPE html><title>acme-older</title>", "utf-8")
    return index


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Public]:
    """An attacker has put our names there, with higher versions."""
    index, dist = tmp_path_factory.mktemp("public") / "simple", tmp_path_factory.mktemp("dist")
    names = ("acme-app", "acme-hello", "acme-retired", "acme-next")
    attack = [wheel(dist, name, "99.0") for name in names]
    open_repository(str(index)).publish(
        [*attack, wheel(dist, "public-lib", "1.0", "public-dep"), wheel(dist, "public-dep", "1.0")]
    )
    found = Public()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            found.credentials += filter(None, [self.headers["Authorization"]])
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(index.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://localhost:{server.server_port}/simple/"
        yield found
        server.shutdown()


@contextmanager
def falling_back(index: Path, public: Public, home: Path) -> Iterator[str]:
    """Serve a directory by the recipe, for one user, with the reserved names that it shows; give the URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/simple/"
    (home / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", "utf-8")
    here = {"listen": f"127.0.0.1:{port}", "listen6": "", "public_url": public.url, "users": f"{home}/users"}
    place = recipe.Place("local-filesystem", {"base_path": str(index)}, url, str(home))
    files = recipe.write(recipe.RECIPES["nginx-fallback"], place, **here)
    site, reserved = re.subn(r"# (\S+ +yes;)", r"\1", files["nginx-fallback.conf"])
    assert reserved == 2
    # Guessing is not what is tried here.
    (home / "site.conf").write_text(site.replace("auth_delay 1s;", ""), "utf-8")
    (home / "names.js").write_text(files["names.js"], "utf-8")
    with _nginx(f'include "{home}/site.conf";', port):
        yield url


@pytest.fixture(scope="module")
def fallback(private: Path, public: Public, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with falling_back(private, public, tmp_path_factory.mktemp("nginx")) as url:
        yield url


@pytest.fixture(scope="module")
def plain(private: Path) -> Iterator[str]:
    """Our index by a server that knows no other one and asks for no password."""
    with http_server(private) as url:
        yield url


# -- falling back -------------------------------------------------------------------------------------------------------------


def ask(url: str, path: str, *, accept: str = PIP_ASKS, method: str = "GET", user: str | None = USER) -> tuple[int, str, str]:
    """Return status, Location and Content-Type of an answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    pair = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    connection.request(
        method, f"/simple{path}", headers={"Accept": accept, **({"Authorization": f"Basic {pair}"} if user else {})}
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("Location", ""), answer.headers.get("Content-Type", "").partition(";")[0]


@pytest.mark.parametrize("name", ["public-lib", "a", "0", "none-of-ours"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_name_that_is_not_ours_leads_to_the_public_index(name: str, method: str, fallback: str, public: Public) -> None:
    assert ask(fallback, f"/{name}/", method=method)[:2] == (302, f"{public.url}{name}/")


@pytest.mark.parametrize("accept", [PIP_ASKS, "text/html"])
@pytest.mark.parametrize("name", ["acme-hello", "acme-retired", "acme-older"])
def test_a_name_of_ours_never_leads_there_also_without_files(name: str, accept: str, fallback: str) -> None:
    assert ask(fallback, f"/{name}/", accept=accept)[:2] == (200, "")


def test_the_page_of_an_older_tool_serves_those_who_ask_for_json(fallback: str) -> None:
    assert ask(fallback, "/acme-older/") == (200, "", "text/html")
    assert ask(fallback, "/acme-hello/") == (200, "", "application/vnd.pypi.simple.v1+json")


@pytest.mark.parametrize("name", ["acme-next", "acme-anything", "acme-"])
def test_a_reserved_name_leads_nowhere_before_anything_is_published(name: str, fallback: str) -> None:
    assert ask(fallback, f"/{name}/")[:2] == (404, "")


@pytest.mark.parametrize("spelling", ["Acme_Hello", "acme.hello/", "ACME-HELLO/", "acme-hello", "Public.Lib/", "public-lib"])
def test_another_spelling_leads_to_the_name_here(spelling: str, fallback: str) -> None:
    name = re.sub(r"[-_.]+", "-", spelling.strip("/")).lower()
    assert ask(fallback, f"/{spelling}")[:2] == (301, f"/simple/{name}/")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/acme-hello/index.json", 200),
        ("/public-lib/index.json", 404),
        ("/public-lib/public_lib-1.0-py3-none-any.whl", 404),
        ("/.pypiprivate/", 404),
        ("/public-lib/../acme-hello/", 200),
        ("/%70ublic-lib%0a/", 404),
    ],
)
def test_nothing_but_the_page_of_a_project_leads_there(path: str, status: int, fallback: str) -> None:
    assert ask(fallback, path)[:2] == (status, "")


def test_a_project_whose_first_publish_has_begun_is_ours_already(private: Path, fallback: str) -> None:
    (private / "begun" / ("0" * 32)).mkdir(parents=True)
    assert ask(fallback, "/begun/")[:2] == (404, "")


def test_a_page_that_cannot_be_read_is_an_error_and_not_missing(private: Path, fallback: str) -> None:
    (private / "broken").symlink_to("broken")
    (private / "torn").mkdir()
    (private / "torn" / "index.html").symlink_to("index.html")
    for name in ("broken", "torn"):
        for accept in (PIP_ASKS, "text/html"):
            assert ask(fallback, f"/{name}/", accept=accept)[:2] == (503, "")


@pytest.mark.parametrize("made", [True, False], ids=["empty", "missing"])
def test_where_there_is_no_index_no_name_leads_anywhere(made: bool, public: Public, tmp_path: Path) -> None:
    # As where a disk is not mounted.
    index = tmp_path / "simple"
    if made:
        index.mkdir()
    with falling_back(index, public, tmp_path) as url:
        assert ask(url, "/acme-hello/")[:2] == (503, "")
        assert ask(url, "/public-lib/")[:2] == (503, "")


@pytest.mark.parametrize("path", ["/", "/acme-hello/", "/public-lib/", "/acme-next/", "/Public.Lib", "/acme-hello/x-1.whl"])
def test_who_is_not_known_learns_nothing(path: str, fallback: str) -> None:
    assert ask(fallback, path, user=None)[:2] == (401, "")
    assert ask(fallback, path, user="mallory")[:2] == (401, "")


def test_who_would_write_is_refused(fallback: str) -> None:
    assert ask(fallback, "/public-lib/", method="POST")[:2] == (405, "")


# -- clients ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Where somebody installs: a project's directory with a virtual environment, and tools from the package registry."""

    project: Path
    tools: Environments
    env: dict[str, str]

    @classmethod
    def fresh(cls, home: Path, tools: Environments) -> Machine:
        """Return one from which nothing but the loopback interface can be reached."""
        unplugged = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
        unplugged |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        said = {"VIRTUAL_ENV": str(home / "project" / ".venv"), "CI": "1", "NO_COLOR": "1", "PDM_CHECK_UPDATE": "false"}
        said |= {
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "PIPENV_VERBOSITY": "-1",
            "PIPENV_PYPI_MIRROR": "",
            "POETRY_NO_INTERACTION": "1",
        }
        env = environment(home, **unplugged, **said)
        del env["UV_NO_CONFIG"]
        machine = cls(home / "project", tools, env)
        run([*UV, "venv", "--quiet", "--python", sys.executable, machine.project / ".venv"], env=env)
        return machine

    def write(self, name: str, text: str) -> None:
        (self.project / name).write_text(text, "utf-8")

    def pyproject(self, text: str, *dependencies: str) -> None:
        listed = ", ".join(f'"{name}"' for name in dependencies)
        python = ">={}.{}".format(*sys.version_info)
        head = f'[project]\nname = "consumer"\nversion = "1"\nrequires-python = "{python}"\ndependencies = [{listed}]\n'
        self.write("pyproject.toml", head + text)

    def run(self, *command: str | Path) -> None:
        run(command, env=self.env, cwd=self.project)

    def tool(self, requirement: str) -> Path:
        return self.tools.foreign((requirement,)) / requirement.partition("[")[0]

    def installed(self) -> dict[str, str]:
        """Return name and version of what is in the environment, but for the tools' own."""
        found = (path.name.removesuffix(".dist-info").split("-") for path in (self.project / ".venv").rglob("*.dist-info"))
        return {name.replace("_", "-"): version for name, version in found if name.startswith(("acme", "public"))}


@pytest.fixture
def machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine.fresh(tmp_path, Environments.of_this_run(tmp_path_factory))


def pip(machine: Machine) -> list[str]:
    return [sys.executable, "-m", "pip", "--python", str(machine.project / ".venv")]


def install_by_pip(machine: Machine, text: str, public: Public, projects: Sequence[str]) -> None:
    if not projects:
        machine.write("pip.conf", text)
        machine.env["PIP_CONFIG_FILE"] = str(machine.project / "pip.conf")
        machine.run(*pip(machine), "install", "--quiet", "acme-app")
        return
    machine.env["PIP_INDEX_URL"] = public.url
    machine.write("public-requirements.txt", "public-lib\n")
    machine.run("bash", "-euc", 'pip() { "$0" -m pip --python .venv "$@"; }\n' + text, sys.executable)


def install_by_uv(machine: Machine, text: str, public: Public, projects: Sequence[str]) -> None:
    stand_in = f'[[tool.uv.index]]\nname = "public"\nurl = "{public.url}"\ndefault = true\n' if projects else ""
    machine.pyproject(text + stand_in, "acme-app")
    machine.run(*UV, "sync", "--quiet", "--python", sys.executable)


def install_by_poetry(machine: Machine, text: str, public: Public, projects: Sequence[str]) -> None:
    stand_in = f'[[tool.poetry.source]]\nname = "public"\nurl = "{public.url}"\npriority = "primary"\n' if projects else ""
    machine.pyproject(text + stand_in, *(projects or ["acme-app"]))
    machine.env.update({"POETRY_HTTP_BASIC_PRIVATE_USERNAME": USER, "POETRY_HTTP_BASIC_PRIVATE_PASSWORD": PASSWORD})
    machine.run(machine.tool("poetry"), "install", "--quiet", "--no-root")


def install_by_pdm(machine: Machine, text: str, public: Public, projects: Sequence[str]) -> None:
    stand_in = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{public.url}"\nverify_ssl = true\n' if projects else ""
    machine.pyproject(text + stand_in + "[tool.pdm]\ndistribution = false\n", "acme-app")
    if not projects:
        machine.env.update({"PDM_PYPI_USERNAME": USER, "PDM_PYPI_PASSWORD": PASSWORD})
    # With the libraries that it was released with.
    machine.run(machine.tool("pdm[locked]"), "install", "--quiet")


def install_by_pipenv(machine: Machine, text: str, public: Public, projects: Sequence[str]) -> None:
    machine.write(
        "Pipfile", text.replace("https://pypi.org/simple", public.url) + ("" if projects else '[packages]\nacme-app = "*"\n')
    )
    machine.run(machine.tool("pipenv"), "install", "--python", sys.executable)


INSTALL: dict[str, Callable[[Machine, str, Public, Sequence[str]], None]] = {
    "pip": install_by_pip,
    "uv": install_by_uv,
    "poetry": install_by_poetry,
    "pdm": install_by_pdm,
    "pipenv": install_by_pipenv,
}
every_client = pytest.mark.parametrize("client", clients.CLIENTS)


@every_client
def test_one_index_that_falls_back_gives_nobody_elses_project(
    client: str, machine: Machine, fallback: str, public: Public
) -> None:
    netrc = Path(machine.env["HOME"], ".netrc")
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", "utf-8")
    netrc.chmod(0o600)
    INSTALL[client](machine, clients.settings(client, fallback), public, ())
    assert machine.installed() == RIGHT
    assert public.credentials == []


@every_client
def test_an_index_beside_the_public_one_gives_nobody_elses_project(
    client: str, machine: Machine, plain: str, public: Public
) -> None:
    projects = ("acme-app", "acme-hello")
    INSTALL[client](machine, clients.settings(client, plain, projects), public, projects)
    assert machine.installed() == RIGHT


def test_uv_takes_also_what_is_not_named_from_the_index_that_has_it(machine: Machine, plain: str, public: Public) -> None:
    install_by_uv(machine, clients.settings("uv", plain, ["acme-app"]), public, ["acme-app"])
    assert machine.installed() == RIGHT


# -- what is warned of is so --------------------------------------------------------------------------------------------------


def test_with_an_extra_index_pip_installs_the_strangers_project(machine: Machine, plain: str, public: Public) -> None:
    machine.run(*pip(machine), "install", "--quiet", "--index-url", public.url, "--extra-index-url", plain, "acme-hello")
    assert machine.installed() == {"acme-hello": "99.0"}


def test_with_an_explicit_index_uv_installs_the_strangers_project_unless_it_is_named(
    machine: Machine, plain: str, public: Public
) -> None:
    text = clients.settings("uv", plain, ["acme-app"]).replace("\n\n", "\nexplicit = true\n\n", 1)
    install_by_uv(machine, text, public, ["acme-app"])
    assert machine.installed() == RIGHT | {"acme-hello": "99.0"}


def test_with_an_explicit_index_uv_is_safe_where_all_are_dependencies(machine: Machine, plain: str, public: Public) -> None:
    projects = ["acme-app", "acme-hello"]
    text = clients.settings("uv", plain, projects).replace("\n\n", "\nexplicit = true\n\n", 1)
    machine.pyproject(f'{text}[[tool.uv.index]]\nname = "public"\nurl = "{public.url}"\ndefault = true\n', *projects)
    machine.run(*UV, "sync", "--quiet", "--python", sys.executable)
    assert machine.installed() == RIGHT


# -- the command --------------------------------------------------------------------------------------------------------------

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "my.cfg"
    path.write_text(
        "[acme]\ntype = local-filesystem\nbase_path = simple\nindex_url = https://pypi.acme.example/simple\n"
        "[bare]\ntype = local-filesystem\nbase_path = simple\n",
        "utf-8",
    )
    return str(path)


@every_client
def test_the_command_prints_what_the_text_shows(client: str, config: str, capsys: Printed) -> None:
    shown = code_blocks()
    for projects in ([], ["acme-app", "acme-hello"]):
        assert main(["-c", config, "-r", "acme", "client-config", client, *projects]) == 0
        out, err = capsys.readouterr()
        assert out in shown, out
        assert err == ""


def code_blocks() -> list[str]:
    """Return the literal blocks of the text."""
    text = (ROOT / "docs" / "clients.rst").read_text("utf-8")
    blocks = re.findall(r"^\.\. code-block:: \w+\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip() + "\n" for block in blocks]


def test_names_are_normalised_and_told_once(config: str, capsys: Printed) -> None:
    assert main(["-c", config, "-r", "acme", "client-config", "uv", "Acme_Hello", "acme.hello"]) == 0
    assert capsys.readouterr().out.count("acme-hello = {") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-r", "bare", "client-config", "uv"], 1, "index_url"),
        (["-r", "bare", "client-config", "uv"], 1, "my.cfg [bare]: index_url = https://"),
        (
            ["-r", "acme", "client-config", "uv", "acme hello"],
            2,
            "'acme hello' is no name of a project.\nWrite NAME alone, as acme-hello.",
        ),
        (["-r", "./dir", "client-config", "pip"], 1, "my.cfg, as [acme] with type = local-filesystem, base_path = "),
        (["-r", "s3://acme/simple", "client-config", "pip"], 1, "type = aws-s3, bucket = acme, prefix = simple, index_url = "),
        (["-r", "acme", "client-config", "uv", "acme-hello==1.0"], 2, "not a project"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments: list[str], code: int, words: str, config: str, capsys: Printed) -> None:
    assert main(["-c", config, *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def test_an_unknown_client_is_wrong_usage(capsys: Printed) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["client-config", "easy_install"])
    assert "pipenv" in capsys.readouterr().err


def test_an_url_stays_one_value_in_every_language() -> None:
    url = "https://pypi.acme.example/a\"b\\c'd/"
    for client in ("uv", "poetry", "pdm", "pipenv"):
        for projects in ([], ["acme-hello"]):
            assert url in str(toml.loads(clients.settings(client, url, projects))).replace("\\\\", "\\").replace("\\'", "'")
