"""``setup.py … publish_private``, run as users run it; over the range of setuptools, in and out of a virtual environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest

from .environments import Environments

SETUP = """
from setuptools import setup
setup(name="Acme.Demo", version="1.0", py_modules=["acme_demo"])
"""
#: A setup() whose command ``{name}`` has the body {body}.
CUSTOM = """
from setuptools import Command, setup
from setuptools.command.sdist import sdist
class custom({base}):
    user_options = []
    def initialize_options(self): super().initialize_options()
    def finalize_options(self): super().finalize_options()
    def run(self):
        {body}
setup(name="Acme.Demo", version="1.0", py_modules=["acme_demo"], cmdclass={{"{name}": custom}})
"""
#: A storage plug-in that asks for the very keys that distutils drops inside a virtual environment.
PLUGIN = """
from pypiprivate.storage import Backend, Option
from pypiprivate.storage.local import BACKEND as LOCAL

def open(options):
    if options["user"] == "nobody":
        raise KeyboardInterrupt
    return LOCAL.open({"base_path": "/".join((options["root"], options["home"], options["prefix"]))})

OPTIONS = (Option("root", "a directory", path=True), *(Option(name, "any word") for name in ("home", "prefix", "user")))
BACKEND = Backend("acme-cellar", "cellar", OPTIONS, open, None, "root")
"""

Done: TypeAlias = "subprocess.CompletedProcess[str]"


@dataclass
class Project:
    """A project in a directory of its own, beside the directory that it publishes to.

    :ivar python: the interpreter that runs its setup.py.
    :ivar environ: what is added to the environment.
    """

    root: Path
    python: Path = Path(sys.executable)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir()
        self.write("setup.py", SETUP)
        self.write("acme_demo.py", "VALUE = 1\n")
        self.configure("repository = ../simple")

    @property
    def directory(self) -> Path:
        return self.root / "project"

    @property
    def index(self) -> Path:
        return self.root / "simple"

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, "utf-8")

    def configure(self, *lines: str) -> None:
        self.write("setup.cfg", "\n".join(["[publish_private]", *lines, ""]))

    def custom(self, name: str, *body: str, base: str = "Command") -> None:
        """Give it a command of its own."""
        self.write("setup.py", CUSTOM.format(name=name, base=base, body="\n        ".join(body)))

    def run(self, *arguments: str) -> Done:
        """Run its setup.py."""
        command = [str(self.python), "setup.py", *arguments]
        env = {**os.environ, **self.environ}
        return subprocess.run(command, cwd=self.directory, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def succeed(self, *arguments: str) -> str:
        """Run its setup.py, which must succeed; return what it said on stdout."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fail(self, *arguments: str) -> str:
        """Run its setup.py, which must fail with a message; return that."""
        done = self.run(*arguments)
        _, error, message = done.stderr.rpartition("error: ")
        assert done.returncode == 1
        assert error, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return message

    def published(self, index: Path | None = None) -> list[str]:
        """Return the kinds of the files that the index lists."""
        record = (index or self.index) / "acme-demo" / "index.json"
        names = [file["filename"] for file in json.loads(record.read_bytes())["files"]] if record.exists() else []
        return sorted("".join(Path(name).suffixes[-2:]) if name.endswith(".tar.gz") else Path(name).suffix for name in names)

    def published_bytes(self) -> dict[Path, bytes]:
        """Return everything that readers of the index can see."""
        return {path: path.read_bytes() for path in self.index.rglob("*") if path.is_file() and ".pypiprivate" not in path.parts}


BOTH = [".tar.gz", ".whl"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# What is published


def test_what_this_run_built_is_published(project: Project) -> None:
    said = project.succeed("sdist", "bdist_wheel", "publish_private")
    assert project.published() == BOTH
    assert said.count(": published\n") == 2
    assert f"acme-demo 1.0 is in {project.index}" in said


def test_what_an_earlier_run_built_is_left_out(project: Project) -> None:
    project.succeed("sdist")
    project.succeed("bdist_wheel", "publish_private")
    assert project.published() == [".whl"]


def test_a_run_that_built_nothing_publishes_what_dist_holds_of_this_version(project: Project) -> None:
    project.succeed("sdist", "bdist_wheel")
    (wheel,) = (project.directory / "dist").glob("*.whl")
    wheel.with_name(wheel.name.replace("1.0", "1.0.1")).write_bytes(b"another version")
    said = project.succeed("publish_private")
    assert f"this run built nothing; publishing what {project.directory / 'dist'} holds of Acme.Demo 1.0" in said
    assert project.published() == BOTH


def test_the_version_is_looked_for_with_its_egg_info_tags(project: Project) -> None:
    project.configure("repository = ../simple", "[egg_info]", "tag_build = .dev7")
    project.succeed("sdist")
    assert "of Acme.Demo 1.0.dev7" in project.succeed("publish_private")
    assert project.published() == [".tar.gz"]


def test_a_run_that_built_nothing_and_finds_nothing_fails(project: Project) -> None:
    assert str(project.directory / "dist") in project.fail("publish_private")
    assert not project.index.exists()


def test_a_version_that_is_none_is_named(project: Project) -> None:
    project.configure("repository = ../simple", "[egg_info]", "tag_build = nonsense")
    assert "1.0nonsense" in project.fail("publish_private")


def test_artifacts_are_taken_from_where_the_build_put_them(project: Project) -> None:
    project.succeed("sdist", "-d", "out", "bdist_wheel", "-d", str(project.root / "elsewhere"), "publish_private")
    assert project.published() == BOTH


@pytest.mark.parametrize("flag", ["--dist-dir=out", "-dout"])
def test_the_dist_directory_can_be_named(project: Project, flag: str) -> None:
    project.succeed("sdist", "-d", "out")
    project.succeed("publish_private", flag)
    assert project.published() == [".tar.gz"]


def test_an_sdist_that_is_reported_twice_is_published_once(project: Project) -> None:
    project.custom("sdist", "super().run()", "self.distribution.dist_files *= 2", base="sdist")
    assert project.succeed("sdist", "publish_private").count(": published\n") == 1


def test_a_command_of_the_projects_own_may_build_and_publish(project: Project) -> None:
    project.custom("release", *(f"self.run_command({name!r})" for name in ("sdist", "bdist_wheel", "publish_private")))
    # Command has no initialize_options of its own.
    setup = (project.directory / "setup.py").read_text("utf-8")
    project.write("setup.py", setup.replace("super().initialize_options()", "...").replace("super().finalize_options()", "..."))
    project.succeed("release")
    assert project.published() == BOTH


def test_nothing_is_published_if_one_artifact_is_broken(project: Project) -> None:
    broken = ["super().run()", "path = self.distribution.dist_files[-1][2]", "open(path, 'ab').write(b'garbage')"]
    project.custom("sdist", *broken, base="sdist")
    assert ".tar.gz: " in project.fail("bdist_wheel", "sdist", "publish_private")
    assert project.published() == []


@pytest.mark.parametrize("builder", ["bdist_egg", "bdist_dumb"])
def test_what_no_index_takes_is_named_and_refused_with_all_that_was_built_beside_it(project: Project, builder: str) -> None:
    message = project.fail("sdist", builder, "publish_private")
    assert f"({builder})" in message
    assert "Build with sdist and bdist_wheel only." in message
    assert not project.index.exists()


@pytest.mark.parametrize("flag", ["-n", "--dry-run"])
def test_a_dry_run_looks_and_writes_nothing(project: Project, flag: str) -> None:
    said = project.succeed("sdist", "bdist_wheel", "publish_private", flag)
    assert said.count(": would be published\n") == 2
    assert not project.index.exists()


# Where the command stands


def test_a_build_after_it_is_refused_before_anything_is_published(project: Project) -> None:
    assert "bdist_wheel would build after everything is published" in project.fail("sdist", "publish_private", "bdist_wheel")
    assert not project.index.exists()


def test_a_command_after_it_that_builds_nothing_is_welcome(project: Project) -> None:
    project.succeed("sdist", "publish_private", "egg_info")
    assert project.published() == [".tar.gz"]


@pytest.mark.parametrize(
    "commands", [("sdist", "publish_private", "bdist_wheel", "publish_private"), ("release", "publish_private")]
)
def test_standing_twice_in_a_command_line_it_is_refused(project: Project, commands: tuple[str, ...]) -> None:
    project.configure("repository = ../simple", "[aliases]", "release = sdist publish_private")
    assert "publish_private stands twice" in project.fail(*commands)
    assert not project.index.exists()


def test_an_alias_may_stand_for_it(project: Project) -> None:
    project.configure("[aliases]", "release = sdist bdist_wheel publish_private --repository=../simple")
    project.succeed("release")
    assert project.published() == BOTH


# What was published before


def test_the_same_files_again_are_no_error_and_change_nothing(project: Project) -> None:
    project.succeed("sdist", "bdist_wheel", "publish_private")
    before = project.published_bytes()
    project.succeed("publish_private")
    assert project.published_bytes() == before


@pytest.fixture
def rebuilt(project: Project) -> Project:
    """A project whose release is published, and whose source has changed since."""
    project.succeed("sdist", "publish_private")
    project.write("acme_demo.py", "VALUE = 2\n")
    return project


def test_other_bytes_are_refused_with_the_way_out(rebuilt: Project) -> None:
    before = rebuilt.published_bytes()
    assert "--skip-existing" in rebuilt.fail("sdist", "publish_private")
    assert rebuilt.published_bytes() == before


@pytest.mark.parametrize("flag", ["--skip-existing", "--existing=keep"])
def test_what_is_published_can_be_kept(rebuilt: Project, flag: str) -> None:
    before = rebuilt.published_bytes()
    rebuilt.succeed("sdist", "publish_private", flag)
    assert rebuilt.published_bytes() == before


@pytest.mark.parametrize("flag", ["--replace", "--existing=replace"])
def test_what_is_published_can_be_replaced(rebuilt: Project, flag: str) -> None:
    before = rebuilt.published_bytes()
    rebuilt.succeed("sdist", "publish_private", flag)
    assert rebuilt.published() == [".tar.gz"]
    assert rebuilt.published_bytes() != before


def test_flags_that_contradict_each_other_are_refused(rebuilt: Project) -> None:
    assert "contradict" in rebuilt.fail("sdist", "publish_private", "--skip-existing", "--replace")


# Where settings come from


def test_the_command_line_wins_over_the_environment_and_that_over_setup_cfg(project: Project) -> None:
    project.environ["PP_REPOSITORY"] = "../of-environment"
    project.succeed("sdist", "publish_private")
    project.succeed("publish_private", "--repository", "../of-command-line")
    assert project.published(project.root / "of-environment") == [".tar.gz"]
    assert project.published(project.root / "of-command-line") == [".tar.gz"]
    assert not project.index.exists()


def test_a_section_of_a_file_can_be_named(project: Project) -> None:
    (project.root / "pypi-private.cfg").write_text("[acme]\ntype = local-filesystem\nbase_path = simple\n", "utf-8")
    project.succeed("sdist", "publish_private", "-c", "../pypi-private.cfg", "-r", "acme")
    assert project.published() == [".tar.gz"]


@pytest.mark.parametrize("table", ["tool.pypiprivate", "tool.distutils.publish_private", "tool.distutils.publish-private"])
def test_pyproject_toml_is_read_as_well(project: Project, table: str) -> None:
    (project.directory / "setup.cfg").unlink()
    metadata = '[project]\nname = "Acme.Demo"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["acme_demo"]\n'
    project.write("setup.py", "from setuptools import setup\nsetup()\n")
    project.write("pyproject.toml", f'{metadata}[{table}]\nrepository = "../simple"\nskip-existing = true\n')
    project.succeed("sdist", "publish_private")
    assert project.published() == [".tar.gz"]


def test_a_misnamed_section_is_refused(project: Project) -> None:
    project.write("setup.cfg", "[publish-private]\nrepository = ../simple\n")
    message = project.fail("sdist", "publish_private")
    assert "[publish-private] must be written [publish_private]" in message


def test_settings_that_setup_py_passes_are_refused(project: Project) -> None:
    project.write("setup.py", SETUP.replace("name=", "options={'publish_private': {'existing': 'keep'}}, name="))
    assert "settings for publish_private are not read from setup script" in project.fail("sdist", "publish_private")
    assert not project.index.exists()


def test_settings_in_a_file_of_distutils_are_refused_by_its_name(project: Project) -> None:
    (project.root / ".pydistutils.cfg").write_text("[publish_private]\nexisting = keep\n", "utf-8")
    project.environ["HOME"] = str(project.root)
    assert f"are not read from {project.root / '.pydistutils.cfg'}" in project.fail("sdist", "publish_private")
    assert not project.index.exists()


def test_an_unknown_flag_is_refused_before_anything_is_built(project: Project) -> None:
    assert "option --bucket not recognized" in project.fail("sdist", "publish_private", "--bucket=acme")
    assert not (project.directory / "dist").exists()


# What it says


def test_how_to_install_comes_last(project: Project) -> None:
    project.configure("repository = ../simple", "index_url = https://pypi.example.com/simple")
    last = project.succeed("sdist", "publish_private").rstrip().splitlines()[-1]
    assert last.strip() == "pip install --index-url https://pypi.example.com/simple/ acme-demo==1.0"


def test_quiet_means_nothing_but_warnings(project: Project) -> None:
    assert "publish" not in project.succeed("--quiet", "sdist", "publish_private")
    assert project.published() == [".tar.gz"]


def test_what_is_odd_about_an_artifact_is_shown_even_when_quiet(project: Project) -> None:
    done = project.run("--quiet", "sdist", "--formats=zip", "publish_private")
    assert done.returncode == 0, done.stderr
    assert ".zip: " in done.stderr
    assert project.published() == [".zip"]


class Forbidding(BaseHTTPRequestHandler):
    """A store that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815 - likewise

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def forbidding() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_verbose_shows_no_chatter_of_other_libraries_and_no_credentials(project: Project, forbidding: str) -> None:
    project.environ |= {"PP_S3_ACCESS_KEY": "AKIAEXAMPLE", "PP_S3_SECRET_KEY": "s3cr3t", "PP_S3_SESSION_TOKEN": "t0k3n"}
    project.configure("type = aws-s3", "bucket = acme", "prefix = simple", "region = eu-west-1", f"endpoint = {forbidding}")
    done = project.run("-v", "-v", "sdist", "publish_private")
    assert done.returncode == 1
    assert "access is denied" in done.stderr
    for hidden in ("t0k3n", "s3cr3t", "AKIAEXAMPLE", "botocore", "Traceback"):
        assert hidden not in done.stdout + done.stderr


def test_ctrl_c_ends_it_as_it_ends_every_command(project: Project) -> None:
    _plug_in(project, user="nobody")
    done = project.run("sdist", "publish_private")
    assert (done.returncode, done.stderr.rstrip().splitlines()[-1]) == (1, "interrupted")
    assert not project.index.exists()


# What is not installed


def _hide(project: Project, module: str) -> None:
    """Make *module* look as if it were not installed."""
    (project.root / "hidden").mkdir()
    missing = f"""
from importlib.machinery import PathFinder

def find_spec(cls, name, *more, go_on=PathFinder.find_spec):
    return None if name == {module!r} else go_on(name, *more)

PathFinder.find_spec = classmethod(find_spec)
"""
    (project.root / "hidden" / "sitecustomize.py").write_text(missing, "utf-8")
    project.environ["PYTHONPATH"] = str(project.root / "hidden")


@pytest.mark.parametrize("module", ["boto3", "filelock"])
@pytest.mark.parametrize("arguments", [("--help-commands",), ("publish_private", "--help"), ("sdist",)])
def test_a_missing_library_is_in_no_other_commands_way(project: Project, module: str, arguments: tuple[str, ...]) -> None:
    _hide(project, module)
    project.succeed(*arguments)


def test_a_directory_needs_no_boto3(project: Project) -> None:
    _hide(project, "boto3")
    project.succeed("sdist", "publish_private")
    assert project.published() == [".tar.gz"]


def test_boto3_is_asked_for_where_it_is_needed(project: Project) -> None:
    _hide(project, "boto3")
    assert "boto3, which is not installed" in project.fail("sdist", "publish_private", "-r", "s3://acme/simple")


def test_what_is_needed_everywhere_is_asked_for_by_name(project: Project) -> None:
    _hide(project, "filelock")
    message = project.fail("sdist", "publish_private")
    assert message == "publish_private cannot run: No module named 'filelock'\nInstall what it needs: pip install pypiprivate\n"


# Every setuptools


@dataclass(frozen=True)
class Setuptools:
    """A way to have setuptools.

    :ivar requirements: of the environment; the newest of what is not named.
    :ivar without: a project that is taken out again.
    :ivar virtual: whether it is a virtual environment.
    """

    name: str
    requirements: tuple[str, ...] = ()
    without: str | None = None
    virtual: bool = True

    def use_in(self, project: Project, environments: Environments) -> None:
        """Let *project* use it."""
        if self.virtual:
            project.python = environments.virtual(*self.requirements, without=self.without)
        else:
            project.environ["PYTHONPATH"] = str(environments.importable(*self.requirements))
            project.python = Path(sys.executable).resolve()
            assert not (project.python.parent.parent / "pyvenv.cfg").exists()


SETUPTOOLS = [
    Setuptools("58.5.3", ("setuptools==58.5.3", "wheel==0.37.1")),
    Setuptools("62.6.0-not-virtual", ("setuptools==62.6.0", "wheel==0.41.3"), virtual=False),
    Setuptools("65.5.1", ("setuptools==65.5.1", "wheel==0.41.3")),
    Setuptools("68.2.2", ("setuptools==68.2.2", "wheel==0.45.1")),
    Setuptools("70.0.0", ("setuptools==70.0.0",)),
    Setuptools("75.3.2-without-wheel", ("setuptools==75.3.2",), without="wheel"),
    Setuptools("80.9.0", ("setuptools==80.9.0",)),
    Setuptools("newest"),
    Setuptools("newest-not-virtual", virtual=False),
]
NEEDS_DISTUTILS = pytest.mark.skipif(sys.version_info >= (3, 12), reason="setuptools below 66 needs Python 3.10 or 3.11")


@pytest.fixture(
    params=[
        pytest.param(
            s, id=s.name, marks=[pytest.mark.xdist_group(f"setuptools-{s.name}"), *([NEEDS_DISTUTILS] if s.name < "66" else [])]
        )
        for s in SETUPTOOLS
    ]
)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project under each setuptools."""
    project = Project(tmp_path)
    request.param.use_in(project, Environments.of_this_run(tmp_path_factory))
    return project


def _plug_in(project: Project, *, user: str) -> None:
    """Install a storage plug-in for *project* and let it publish there, by keys that distutils drops, or does not know."""
    metadata = project.root / "plugin" / "acme_cellar-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-cellar\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text("[pypiprivate.storage]\nacme-cellar = acme_cellar:BACKEND\n", "utf-8")
    (project.root / "plugin" / "acme_cellar.py").write_text(PLUGIN, "utf-8")
    path = [str(project.root / "plugin"), project.environ.get("PYTHONPATH", "")]
    project.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    project.configure(
        "type = acme-cellar", "root = ..", "home = cellar", "prefix = simple", f"user = {user}", "skip-existing = no"
    )


def test_every_setuptools_publishes_once_and_leaves_every_key_to_us(anywhere: Project) -> None:
    _plug_in(anywhere, user="me")
    index = anywhere.root / "cellar" / "simple"
    assert "acme-demo 1.0 is in" in anywhere.succeed("sdist", "bdist_wheel", "publish_private")
    assert anywhere.published(index) == BOTH
    assert "this run built nothing" in anywhere.succeed("publish_private")
    anywhere.write("acme_demo.py", "VALUE = 2\n")
    assert "--skip-existing" in anywhere.fail("sdist", "publish_private")
    assert anywhere.published(index) == BOTH


def test_every_setuptools_can_try_without_writing(anywhere: Project) -> None:
    said = anywhere.succeed("sdist", "publish_private", "--dry-run")
    assert ".tar.gz: would be published\n" in said
    assert f"dry run: nothing was written to {anywhere.index}" in said
    assert not anywhere.index.exists()


def test_every_setuptools_names_the_place_of_a_wrong_value(anywhere: Project) -> None:
    anywhere.configure("repository = ../simple", "existing = maybe")
    assert "setup.cfg [publish_private]: existing cannot be 'maybe'\nIt is one of" in anywhere.fail("sdist", "publish_private")
    anywhere.configure("repositry = ../simple")
    assert "setup.cfg [publish_private]: there is no setting repositry\nDid you mean repository?" in anywhere.fail(
        "publish_private"
    )


def test_every_setuptools_lists_and_explains_the_command(anywhere: Project) -> None:
    assert "publish_private" in anywhere.succeed("--help-commands")
    assert "--skip-existing" in anywhere.succeed("publish_private", "--help")


def test_the_global_dry_run_of_older_setuptools_is_honoured(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    project = Project(tmp_path, Environments.of_this_run(tmp_path_factory).virtual("setuptools==80.9.0"))
    project.succeed("sdist")
    assert "dry run: nothing was written" in project.succeed("--dry-run", "publish_private")
    assert not project.index.exists()
