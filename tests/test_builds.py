"""Builds by real front ends (build, pip, uv) around real backends: what publishes, what never does, and what people are told."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeAlias

import pytest

from .backends import IN_TREE, INNER, Inner, listed, make_plain_project, make_project
from .environments import Environments
from .examples import ROOT, environment

SDIST, WHEEL = "acme_demo-1.0.tar.gz", "acme_demo-1.0-py3-none-any.whl"
SETUPTOOLS = INNER[0]
BUILD = ("python", "-m", "build", "--no-isolation")
PIP_WHEEL = ("python", "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", "out", ".")
UV_BUILD = ("uv", "build", "--no-build-isolation")
YES = ("-C", "publish_private=yes")
#: Tells which optional hooks we have and the backend inside has not, or the other way round.
COMPARE = """
import sys
from pathlib import Path
from pypiprivate import build_meta, inner
OPTIONAL = [f"get_requires_for_build_{kind}" for kind in ("sdist", "wheel", "editable")]
OPTIONAL += ["prepare_metadata_for_build_editable", "build_editable", "UnsupportedOperation"]
backend = inner.backend(Path.cwd())
print([name for name in OPTIONAL if hasattr(build_meta, name) != hasattr(backend, name)])
print(hasattr(build_meta, "prepare_metadata_for_build_wheel"))
"""

Done: TypeAlias = "subprocess.CompletedProcess[str]"


@dataclass(frozen=True)
class Machine:
    """An environment with every front end and backend, and a home where nothing is configured."""

    env: Mapping[str, str]

    def run(self, *command: str | Path, cwd: Path, **more: str) -> Done:
        whole = [shutil.which(str(command[0]), path=self.env["PATH"]) or command[0], *command[1:]]
        env = {**self.env, **more}
        return subprocess.run(whole, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@dataclass(frozen=True)
class Project:
    """A project in a directory of its own, beside ``simple``, the directory that it publishes to.

    :ivar environ: what is added to the environment.
    """

    directory: Path
    machine: Machine
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str | Path, **more: str) -> Done:
        """Run a command in the project; return how it ended."""
        notes = {"ACME_CALLS": str(self.directory.parent / "calls")}
        return self.machine.run(*command, cwd=self.directory, **{**notes, **self.environ, **more})

    def succeed(self, *command: str | Path, **more: str) -> str:
        """Run a command that must succeed; return all that it said."""
        done = self.run(*command, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def fail(self, *command: str | Path, **more: str) -> str:
        """Run a command that must fail, and not by a traceback of ours; return all that it said."""
        done = self.run(*command, **more)
        assert done.returncode in (1, 2), done.stdout + done.stderr  # 2 is uv's
        assert "pypiprivate/" not in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def index(self) -> Path:
        return self.directory.parent / "simple"

    @property
    def built(self) -> dict[str, str]:
        """The sha256 of each file in dist/."""
        artifacts = [path for path in (self.directory / "dist").glob("*") if path.suffix in {".gz", ".whl"}]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in artifacts}

    @property
    def calls(self) -> list[Any]:
        """What the in-tree backend was asked for, and with which settings."""
        notes = self.directory.parent / "calls"
        return [json.loads(line) for line in notes.read_text("utf-8").splitlines()] if notes.exists() else []


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    names = [inner.requires for inner in INNER if inner.requires]
    python = Environments.of_this_run(tmp_path_factory).virtual("build", "pip", "uv", *names)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    home = tmp_path_factory.mktemp("home")
    return Machine(
        environment(home, PATH=path, VIRTUAL_ENV=str(python.parent.parent), UV_PYTHON=str(python), SOURCE_DATE_EPOCH="1767225600")
    )


@pytest.fixture
def project(tmp_path: Path, machine: Machine) -> Project:
    """One that the in-tree backend builds: nothing builds faster."""
    return Project(make_project(tmp_path / "project", IN_TREE, 'repository = "../simple"'), machine)


# Around every backend


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: inner.backend)
def test_a_build_publishes_the_very_files_that_the_backend_builds_without_us(
    tmp_path: Path, machine: Machine, inner: Inner
) -> None:
    project = Project(make_project(tmp_path / "project", inner), machine)
    # Not every sdist has it; the relative path is the project's, also for the wheel that is built from the unpacked sdist.
    (project.directory / "setup.cfg").write_text("[publish_private]\nrepository = ../simple\n", "utf-8")
    said = project.succeed(*BUILD, *YES)
    assert listed(project.index) == project.built
    assert project.built.keys() == {SDIST, WHEEL}
    assert f"publish_private: {WHEEL}: published" in said

    assert project.succeed("python", "-c", COMPARE).split() == ["[]", "True"]
    plain = Project(make_plain_project(tmp_path / "plain", inner), machine)
    plain.succeed(*BUILD, "--wheel")
    assert plain.built[WHEEL] == project.built[WHEEL]


@pytest.mark.parametrize("backend", ["in_tree", "hatchling.build"])  # hatchling has no hook for metadata where pip calls it
@pytest.mark.parametrize(
    "command",
    [
        ("python", "-m", "pip", "install", "--dry-run", "--no-deps", "--no-build-isolation", *YES, "."),
        (*BUILD, "--metadata", *YES),
    ],
    ids=["pip", "build"],
)
def test_asking_for_metadata_publishes_nothing(tmp_path: Path, machine: Machine, backend: str, command: tuple[str, ...]) -> None:
    (inner,) = (inner for inner in INNER if inner.backend == backend)
    project = Project(make_project(tmp_path / "project", inner, 'repository = "../simple"'), machine)
    assert "acme" in project.succeed(*command).lower()
    assert not project.index.exists()


def test_editable_installs_pass_through_and_publish_nothing(tmp_path: Path, machine: Machine) -> None:
    project = Project(make_project(tmp_path / "project", SETUPTOOLS, 'repository = "../simple"'), machine)
    install = ("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", *YES, "--editable", ".")
    assert "an editable install has nothing to publish" in project.succeed(*install)
    assert not project.index.exists()
    assert str(project.directory) in project.succeed(
        "python", "-c", "import acme_demo; print(acme_demo.__file__)", PYTHONSAFEPATH="1"
    )


def test_what_a_backend_does_not_support_is_told_as_without_us(project: Project, tmp_path: Path) -> None:
    plain = Project(make_plain_project(tmp_path / "plain", IN_TREE), project.machine)
    endings = [built.run(*BUILD, *YES, ACME_NO_SDIST="1").stderr.splitlines()[-1] for built in (plain, project)]
    assert endings[0].startswith("ERROR Backend operation failed: UnsupportedOperation(")
    assert all("no sdist of this" in ending for ending in endings)
    assert endings[0].partition("(")[0] == endings[1].partition("(")[0]
    done = project.run("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--editable", ".")
    assert "missing the 'build_editable' hook" in done.stderr


# The opt-in


@pytest.mark.parametrize(
    "command",
    [
        (*BUILD, "--wheel", "-C", "publish_private"),
        (*BUILD, "--wheel", "-Cpublish-private=true", "-Cpublish-private=on"),
        (*BUILD, "--wheel", "--config-json", '{"publish_private": true}'),
        (*PIP_WHEEL, "-C", "publish_private=yes"),
        (*PIP_WHEEL, "--config-settings=publish_private=1", "--config-settings=publish_private=yes"),
        (*UV_BUILD, "--wheel", "-C", "publish_private=yes"),
        (*UV_BUILD, "--wheel", "--config-setting", "publish_private=yes", "-C", "publish_private="),
    ],
    ids=" ".join,
)
def test_every_way_to_say_it_publishes(project: Project, command: tuple[str, ...]) -> None:
    project.succeed(*command)
    assert list(listed(project.index)) == [WHEEL]
    assert [hook for hook, _ in project.calls][-1] == "build_wheel"
    assert all(not settings for _, settings in project.calls)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((*BUILD, "--wheel", "--config-json", '{"publish_private": {"existing": "keep"}}'), "neither a text nor yes or no"),
        ((*BUILD, "-C", "publish_private=nowhere"), "there is no section [nowhere]"),
        ((*BUILD, "-C", "publish_privat=yes"), "-C publish_privat: there is no such setting"),
        ((*PIP_WHEEL, "-C", "publish_private=s3://acme/simple"), "only one is set"),
        ((*UV_BUILD, "-C", "pypiprivate.x=y"), "-C pypiprivate.x: there is no such setting"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_ends_the_build_before_it_begins_with_one_sentence(
    project: Project, command: tuple[str, ...], reason: str
) -> None:
    said = project.fail(*command, PP_S3_ACCESS_KEY="AKIAEXAMPLE")
    assert said.count("error: -C p") == 1
    assert reason in said
    assert [hook for hook, _ in project.calls if hook == "build_sdist"] == []
    assert project.built == {}


def test_settings_of_the_backend_inside_arrive_without_ours(project: Project) -> None:
    project.succeed(*BUILD, *YES, "-C", "publish_private.dry-run", "-C--acme=x")
    assert project.calls == [["build_sdist", {"--acme": "x"}], ["build_wheel", {"--acme": "x"}]]
    assert not project.index.exists()


@pytest.mark.parametrize(("command", "delivered"), [(BUILD, {}), (PIP_WHEEL, None), (UV_BUILD, {})], ids=["build", "pip", "uv"])
def test_what_front_ends_deliver_when_nothing_is_set_publishes_nothing(
    project: Project, command: tuple[str, ...], delivered: Any
) -> None:
    project.succeed(*command)
    assert project.calls[-1] == ["build_wheel", delivered]
    assert not project.index.exists()


def test_a_variable_of_pip_can_say_it_for_the_user(project: Project) -> None:
    project.succeed(*PIP_WHEEL, PIP_CONFIG_SETTINGS="publish_private=yes")
    assert list(listed(project.index)) == [WHEEL]


# The canary: every file and every variable of ours names a repository, and nothing ever appears there


@pytest.fixture
def canary(tmp_path: Path, machine: Machine) -> Project:
    """A project of which everything is configured but the invocation, with its sdist in ``sdists``."""
    index = tmp_path / "simple"
    project = Project(make_project(tmp_path / "project", SETUPTOOLS, f'repository = "{index}"', 'existing = "keep"'), machine)
    (project.directory / "setup.cfg").write_text(f"[publish_private]\nrepository = {index}\n", "utf-8")
    # So that nobody knows the metadata without a hook.
    text = (project.directory / "pyproject.toml").read_text("utf-8").replace('version = "1.0"', 'dynamic = ["version"]')
    text += '[tool.setuptools.dynamic]\nversion = {attr = "acme_demo.VERSION"}\n'
    (project.directory / "pyproject.toml").write_text(text, "utf-8")
    (project.directory / "acme_demo.py").write_text('VERSION = "1.0"\n', "utf-8")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".pypi-private.cfg").write_text(
        f"[storage]\ntype = local-filesystem\n[local-filesystem]\nbase_path = {index}\n", "utf-8"
    )
    more = {"PP_REPOSITORY": str(index), "PP_CONFIG": str(home / ".pypi-private.cfg"), "PUBLISH_PRIVATE": "yes"}
    project.environ.update(more, HOME=str(home), PP_PUBLISH_PRIVATE="yes")
    return project


PIP = ("python", "-m", "pip")
NO_ISOLATION = ("--no-deps", "--no-build-isolation", "--no-index")


@pytest.mark.parametrize(
    "command",
    [
        BUILD,
        (*BUILD, "--metadata"),
        (*BUILD, "-C", "publish_private=no"),
        (*PIP, "install", *NO_ISOLATION, "."),
        (*PIP, "install", *NO_ISOLATION, "--dry-run", "."),
        (*PIP, "install", *NO_ISOLATION, "--editable", "."),
        (*PIP, "wheel", *NO_ISOLATION, "."),
        ("uv", "build", "--no-build-isolation", "--offline"),
        ("uv", "lock", "--no-build-isolation", "--offline"),
        ("uv", "sync", "--no-build-isolation", "--offline", "--inexact", "--active"),
        ("uv", "pip", "install", *NO_ISOLATION, "."),
    ],
    ids=" ".join,
)
def test_without_the_setting_nothing_publishes(canary: Project, command: tuple[str, ...]) -> None:
    canary.succeed(*command)
    assert not canary.index.exists()


def test_without_the_setting_an_sdist_never_publishes(canary: Project) -> None:
    canary.succeed(*BUILD, "--sdist")
    sdist = f"dist/{SDIST}"
    canary.succeed(*PIP, "download", *NO_ISOLATION, sdist, "-d", "out")
    canary.succeed(*PIP, "install", *NO_ISOLATION, sdist)
    canary.succeed("uv", "pip", "install", *NO_ISOLATION, sdist)
    assert not canary.index.exists()


def test_with_the_setting_the_canary_sings(canary: Project) -> None:
    canary.succeed(*BUILD, "--wheel", *YES)
    assert list(listed(canary.index)) == [WHEEL]


# Where the wheel of the default build belongs


@pytest.mark.parametrize("command", [BUILD, UV_BUILD], ids=["build", "uv"])
def test_a_relative_repository_is_the_projects_for_both_files_or_refused_with_the_reason(
    project: Project, tmp_path: Path, command: tuple[str, ...]
) -> None:
    project.succeed(*command, *YES)
    assert listed(project.index) == project.built
    shutil.rmtree(project.index)
    said = project.fail(*command, *YES, "--out-dir" if command is UV_BUILD else "--outdir", tmp_path / "elsewhere")
    assert "../simple is relative, and this build runs in a temporary directory, in the unpacked sdist" in said
    assert "Write an absolute path, or build both in the project: python -m build --sdist --wheel." in said
    assert "add -C publish_private.existing=keep" in said
    assert list(listed(project.index)) == [SDIST]
    project.succeed(*command, "--sdist", "--wheel", *YES, "-Cpublish_private.existing=keep", "-o", tmp_path / "elsewhere")
    assert listed(project.index).keys() == {SDIST, WHEEL}


@pytest.mark.parametrize("command", [BUILD, UV_BUILD], ids=["build", "uv"])
def test_an_absolute_repository_takes_both_files_wherever_they_go(
    project: Project, tmp_path: Path, command: tuple[str, ...]
) -> None:
    project.succeed(*command, "-o", tmp_path / "elsewhere", "-C", f"publish_private={tmp_path / 'absolute'}")
    assert listed(tmp_path / "absolute").keys() == {SDIST, WHEEL}


@pytest.mark.parametrize("client", [(*PIP, "wheel"), ("uv", "pip", "install")], ids=["pip", "uv"])
def test_what_is_built_from_somebodys_sdist_is_never_published(project: Project, tmp_path: Path, client: tuple[str, ...]) -> None:
    project.succeed(*BUILD, "--sdist")
    said = project.fail(*client, *NO_ISOLATION, "-C", f"publish_private={tmp_path / 'absolute'}", f"dist/{SDIST}")
    assert "is an unpacked sdist, and not one that this build has made" in said
    assert not (tmp_path / "absolute").exists()


def test_a_dependency_that_uv_builds_from_a_directory_is_never_published(project: Project, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    needs = f'dependencies = ["acme-demo @ {project.directory.as_uri()}"]'
    metadata = f'[project]\nname = "app"\nversion = "1.0"\n{needs}\n[tool.setuptools]\npy-modules = []\n'
    backend = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    (tmp_path / "app" / "pyproject.toml").write_text(backend + metadata, "utf-8")
    said = project.fail("uv", "pip", "install", "--no-build-isolation", "--no-index", *YES, tmp_path / "app")
    assert "is built to be installed, and may be a dependency" in said
    assert not project.index.exists()


# What people are told


@pytest.mark.parametrize("command", [(*BUILD, "-qq", "--wheel"), (*PIP_WHEEL, "-q"), (*UV_BUILD, "--wheel")], ids=" ".join)
def test_what_is_published_is_announced_even_when_the_front_end_is_quiet(project: Project, command: tuple[str, ...]) -> None:
    said = project.succeed(*command, *YES)
    assert f"publish_private: {WHEEL}: published\n" in said
    assert f"publish_private: acme-demo 1.0 is in {project.index}\n" in said


def test_warnings_that_are_errors_do_not_fail_a_publish_that_succeeded(project: Project) -> None:
    assert f"publish_private: {WHEEL}: published\n" in project.succeed(
        *BUILD, "--wheel", *YES, PYTHONWARNINGS="error::UserWarning"
    )
    assert list(listed(project.index)) == [WHEEL]


@pytest.mark.parametrize("command", [BUILD, UV_BUILD], ids=["build", "uv"])
def test_what_fails_leaves_the_file_and_names_the_command_that_finishes(project: Project, command: tuple[str, ...]) -> None:
    project.index.write_text("in the way", "utf-8")
    said = project.fail(*command, "--wheel", *YES)
    assert project.built.keys() == {WHEEL}
    (finish,) = (line.strip() for line in said.splitlines() if line.strip().startswith("pypi-private upload"))
    project.index.unlink()
    project.succeed(*shlex.split(finish))
    assert listed(project.index) == project.built


def test_a_second_build_is_refused_and_names_the_setting_that_keeps_what_is_published(project: Project) -> None:
    project.succeed(*BUILD, *YES)
    before = listed(project.index)
    (project.directory / "acme_demo.py").write_text("VALUE = 2\n", "utf-8")
    said = project.fail(*BUILD, *YES)
    assert "published already with other bytes" in said
    assert "-C publish_private.existing=keep" in said
    said = project.succeed(*BUILD, *YES, "-C", "publish_private.existing=keep")
    assert f"publish_private: {SDIST}: kept as published before" in said
    assert listed(project.index) == before


def test_a_wheel_that_fails_leaves_the_sdist_listed_and_running_again_completes_the_release(project: Project) -> None:
    assert "the compiler is ill" in project.fail(*BUILD, *YES, ACME_NO_WHEEL="1")
    (sdist,) = listed(project.index).values()
    project.succeed(*BUILD, *YES, "-C", "publish_private.existing=keep")
    assert listed(project.index) == {SDIST: sdist, WHEEL: project.built[WHEEL]}


# Build isolation


@pytest.fixture(scope="module")
def private_index(tmp_path_factory: pytest.TempPathFactory, machine: Machine) -> str:
    """The URL of an index of ours that serves pypiprivate and all that a build of it and setuptools needs."""
    wheels = Environments.of_this_run(tmp_path_factory).wheelhouse("setuptools", "wheel").glob("*.whl")
    index = tmp_path_factory.mktemp("private") / "simple"
    done = machine.run("pypi-private", "-q", "-r", index, "upload", *wheels, cwd=index.parent)
    assert done.returncode == 0, done.stderr
    return index.as_uri()


@pytest.fixture
def isolated(tmp_path: Path, machine: Machine, private_index: str) -> Project:
    project = Project(make_project(tmp_path / "project", SETUPTOOLS, 'repository = "../simple"'), machine)
    project.environ.update(PIP_INDEX_URL=private_index, UV_DEFAULT_INDEX=private_index)
    return project


def test_what_the_page_shows_publishes_in_build_isolation(isolated: Project) -> None:
    toml, console = (_first_block(language) for language in ("toml", "console"))
    (isolated.directory / "pyproject.toml").write_text(toml, "utf-8")
    metadata = "[metadata]\nname = acme-demo\nversion = 1.0\n[options]\npy_modules = acme_demo\n"
    (isolated.directory / "setup.cfg").write_text(metadata, "utf-8")
    isolated.succeed(*shlex.split(console.removeprefix("$ ")))
    assert isolated.built.keys() == {SDIST, WHEEL}
    assert listed(isolated.index) == isolated.built


def test_uv_publishes_in_build_isolation(isolated: Project) -> None:
    isolated.succeed("uv", "build", *YES)
    assert listed(isolated.index) == isolated.built


def test_build_isolation_works_without_publishing(isolated: Project) -> None:
    isolated.succeed("uv", "build")
    assert isolated.built.keys() == {SDIST, WHEEL}
    assert not isolated.index.exists()


def _first_block(language: str) -> str:
    """Return the first code block of docs/build.rst in *language*."""
    page = (ROOT / "docs" / "build.rst").read_text("utf-8")
    match = re.search(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", page, re.MULTILINE)
    assert match
    return dedent(match[1]).strip() + "\n"
