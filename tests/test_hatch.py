"""``hatch publish -p private``: real hatch, here in this process, and from its own environment as users have it."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hatch.cli import hatch

from .builders import make_sdist, make_wheel
from .environments import Environments
from .examples import AMBIENT, environment, run

#: Flags of hatch that its own publisher alone obeys.
OF_INDEX = (
    "--repo=x",
    "-rx",
    "--user=x",
    "-ux",
    "--auth=x",
    "--ca-cert=x",
    "--client-cert=x",
    "--client-key=x",
    "--initialize-auth",
)

#: The environment of whoever runs the tests, for hatch fetches what it builds with; without what would steer hatch or us.
FETCHING = {name: value for name, value in AMBIENT.items() if not name.startswith(("HATCH_", "PP_"))}


@dataclass
class Project:
    """A project whose version 1.0 is built, beside the directory that it publishes to."""

    root: Path

    def __post_init__(self) -> None:
        make_sdist(self.dist, "acme-demo", "1.0")
        make_wheel(self.dist, "acme-demo", "1.0")
        self.configure()

    @property
    def directory(self) -> Path:
        return self.root / "project"

    @property
    def dist(self) -> Path:
        return self.directory / "dist"

    @property
    def index(self) -> Path:
        return self.root / "simple"

    def configure(self, table: str = "", pypiprivate: str = 'repository = "../simple"') -> None:
        """Write its pyproject.toml.

        :param table: lines of ``[tool.hatch.publish.private]``.
        :param pypiprivate: lines of ``[tool.pypiprivate]``.
        """
        own = '[project]\nname = "Acme.Demo"\nversion = "1.0"\n'
        text = f"{own}[tool.hatch.publish.private]\n{table}\n[tool.pypiprivate]\n{pypiprivate}\n"
        (self.directory / "pyproject.toml").write_text(text, "utf-8")

    def rebuild(self) -> None:
        make_sdist(self.dist, "acme-demo", "1.0", description="built again")

    def succeed(self, *arguments: str, verbosity: str = "-q") -> str:
        """Publish, which must succeed; return what hatch said."""
        result = self._publish(*arguments, verbosity=verbosity)
        assert result.exit_code == 0, result.output
        return result.stderr

    def fail(self, *arguments: str) -> str:
        """Publish, which must fail with a message; return that."""
        result = self._publish(*arguments)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # and no other: that would be a traceback
        assert result.stderr
        return result.stderr

    def _publish(self, *arguments: str, verbosity: str = "-q") -> Result:
        # -q hides what hatch says of its environments, and what was done; errors stay.
        return CliRunner().invoke(hatch, [verbosity, "publish", "-p", "private", *arguments])

    def published(self, index: Path | None = None) -> list[str]:
        """Return the names of the files that the index lists."""
        record = (index or self.index) / "acme-demo" / "index.json"
        return [file["filename"] for file in json.loads(record.read_bytes())["files"]] if record.exists() else []

    def published_bytes(self) -> dict[Path, bytes]:
        """Return everything that readers of the index can see."""
        return {path: path.read_bytes() for path in self.index.rglob("*") if path.is_file() and ".pypiprivate" not in path.parts}


SDIST, WHEEL = "acme_demo-1.0.tar.gz", "acme_demo-1.0-py3-none-any.whl"
BOTH = [WHEEL, SDIST]


@pytest.fixture
def hatch_home(tmp_path: Path) -> dict[str, str]:
    """Variables that keep hatch's configuration, data and cache here."""
    home = tmp_path / "hatch"
    home.mkdir()
    (home / "config.toml").touch()
    places = {"HATCH_CONFIG": home / "config.toml", "HATCH_DATA_DIR": home / "data", "HATCH_CACHE_DIR": home / "cache"}
    return {name: str(path) for name, path in places.items()}


@pytest.fixture
def project(tmp_path: Path, hatch_home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in [name for name in os.environ if name.startswith("HATCH_") or name == "FORCE_COLOR"]:
        monkeypatch.delenv(name)
    for name, value in hatch_home.items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path)
    monkeypatch.chdir(project.directory)
    return project


# What is published


def test_what_dist_holds_of_the_current_version_is_published(project: Project) -> None:
    make_sdist(project.dist, "acme-demo", "0.9")
    make_sdist(project.dist, "acme-other", "1.0")
    said = project.succeed(verbosity="--no-color")
    assert said.splitlines() == [f"{name}: published" for name in BOTH] + [f"acme-demo 1.0 is in {project.index}"]
    assert project.published() == BOTH


def test_the_same_files_again_are_no_error_and_change_nothing(project: Project) -> None:
    project.succeed()
    before = project.published_bytes()
    assert project.succeed(verbosity="--no-color").count(": already there\n") == 2
    assert project.published_bytes() == before


def test_files_that_are_named_begin_at_the_project_as_hatch_takes_them(project: Project) -> None:
    project.succeed(f"dist/{SDIST}")
    assert project.published() == [SDIST]


def test_of_a_directory_that_is_named_every_sdist_and_wheel_is_published(project: Project) -> None:
    make_wheel(project.directory / "wheelhouse", "acme-demo", "0.9")
    make_sdist(project.directory / "wheelhouse", "acme-demo", "1.0")
    (project.directory / "wheelhouse" / "notes.txt").touch()
    project.succeed("wheelhouse")
    assert project.published() == ["acme_demo-0.9-py3-none-any.whl", SDIST]


def test_a_directory_that_is_named_and_holds_nothing_is_refused(project: Project) -> None:
    (project.directory / "wheelhouse").mkdir()
    assert "wheelhouse holds no sdist and no wheel" in project.fail("wheelhouse")


def test_a_file_that_is_named_and_is_not_there_is_refused(project: Project) -> None:
    assert "there is no such file" in project.fail(f"dist/{SDIST}", "dist/acme_demo-1.1.tar.gz")
    assert not project.index.exists()


def test_the_dist_directory_can_be_named(project: Project) -> None:
    make_sdist(project.directory / "out", "acme-demo", "1.0")
    project.succeed("-o", "dist-dir=out")
    assert project.published() == [SDIST]


def test_where_nothing_is_built_the_message_says_how_in_words_of_hatch(project: Project) -> None:
    for path in project.dist.iterdir():
        path.unlink()
    message = project.fail()
    assert "no artifact of Acme.Demo 1.0" in message
    assert "Build it first (hatch build), or name the directory with -o dist-dir=…." in message


def test_outside_of_a_project_files_must_be_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    assert "is no project" in project.fail("-o", "repository=./simple")
    project.succeed("-o", "repository=./simple", "project/dist")
    assert project.published() == BOTH


def test_a_dry_run_looks_and_writes_nothing(project: Project) -> None:
    result = project.succeed("-o", "dry-run=yes", verbosity="--no-color")
    assert result.count(": would be published\n") == 2
    assert not project.index.exists()


@pytest.mark.parametrize("said", [["dry-run="], ["dry-run"], ["dry-run=maybe"], ["dry-run=yes", "dry_run=no"]])
def test_a_dry_run_that_is_not_clearly_said_publishes_nothing(project: Project, said: list[str]) -> None:
    assert "dry-run=…: it cannot be " in project.fail(*(word for option in said for word in ("-o", option)))
    assert not project.index.exists()


def test_no_dry_run_publishes(project: Project) -> None:
    project.succeed("-o", "dry-run=no")
    assert project.published() == BOTH


# What was published before


def test_other_bytes_are_refused_with_the_way_out_in_words_of_hatch(project: Project) -> None:
    project.succeed()
    before = project.published_bytes()
    project.rebuild()
    message = project.fail()
    assert f"{SDIST} of acme-demo is published already with other bytes" in message
    assert "-o skip-existing=yes" in message
    assert "-o replace=yes" in message
    assert project.published_bytes() == before


@pytest.mark.parametrize("option", ["existing=keep", "skip-existing=yes", "skip_existing=yes"])
def test_what_is_published_can_be_kept(project: Project, option: str) -> None:
    project.succeed()
    before = project.published_bytes()
    project.rebuild()
    project.succeed("-o", option)
    assert project.published_bytes() == before


def test_the_table_of_hatch_can_say_that_it_is_kept(project: Project) -> None:
    project.configure("skip-existing = true")
    project.succeed()
    before = project.published_bytes()
    project.rebuild()
    project.succeed()
    assert project.published_bytes() == before


# Where settings come from


def test_an_option_wins_over_the_environment_that_over_the_table_of_hatch_and_that_over_ours(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.succeed()
    project.configure('repository = "../of-table"')
    project.succeed()
    monkeypatch.setenv("PP_REPOSITORY", "../of-environment")
    project.succeed()
    project.succeed("-o", "repository=../of-option")
    for index in ("simple", "of-table", "of-environment", "of-option"):
        assert project.published(project.root / index) == BOTH


def test_a_path_on_the_command_line_begins_here_and_one_in_the_table_at_the_project(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = project.directory / "src"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    project.configure('repository = "./of-table"')
    project.succeed()
    project.succeed("-o", "repository=./of-option")
    assert project.published(project.directory / "of-table") == BOTH
    assert project.published(elsewhere / "of-option") == BOTH


def test_hatch_may_have_a_file_of_its_own(project: Project) -> None:
    (project.directory / "hatch.toml").write_text('[publish.private]\nrepository = "../of-hatch"\n', "utf-8")
    project.succeed()
    assert project.published(project.root / "of-hatch") == BOTH


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('repositry = "x"', "[tool.hatch.publish.private]: there is no setting repositry\nDid you mean repository?"),
        ('repository = ["x"]', "[tool.hatch.publish.private]: repository must be a string, a boolean or an integer"),
        ('secret_key = "x"', "[tool.hatch.publish.private]: secret_key looks like a secret"),
    ],
)
def test_a_wrong_setting_in_the_table_of_hatch_is_named(project: Project, table: str, message: str) -> None:
    project.configure(table)
    assert message in project.fail()
    assert not project.index.exists()


@pytest.mark.parametrize("option", ["repo=x", "repository=", "repository"])
def test_a_wrong_option_is_named(project: Project, option: str) -> None:
    assert f"-o {option.partition('=')[0]}=…: " in project.fail("-o", option)
    assert not project.index.exists()


@pytest.mark.parametrize("flag", OF_INDEX)
def test_a_flag_that_hatch_does_not_pass_on_is_refused(project: Project, flag: str) -> None:
    message = project.fail(flag)
    assert re.match(r"--[a-z-]+: hatch keeps this flag for its own publisher\n", message)
    assert "-o repository=…" in message
    assert not project.index.exists()


def test_variables_of_hatchs_own_publisher_mean_nothing_here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPO", "USER", "AUTH"):
        monkeypatch.setenv(f"HATCH_INDEX_{name}", "of-index")
    project.succeed("--no-prompt")
    assert project.published() == BOTH


def test_settings_in_hatchs_own_configuration_are_refused_not_ignored(project: Project) -> None:
    Path(os.environ["HATCH_CONFIG"]).write_text('[publish.private]\nrepository = "x"\n', "utf-8")
    message = project.fail()
    assert message.startswith("[publish.private] of hatch's configuration: no settings are read from here")
    assert "~/.pypi-private.cfg" in message


def test_a_publisher_that_is_disabled_waits_for_a_yes(project: Project) -> None:
    project.configure("disable = true")
    assert "Publisher is disabled: private" in project.fail("--no-prompt")
    project.succeed("--yes")
    assert project.published() == BOTH


def test_where_nothing_says_where_to_publish_the_message_does(project: Project) -> None:
    project.configure(pypiprivate="")
    message = project.fail()
    assert message.startswith("no repository is named")
    assert "-o repository=…" in message


def test_a_section_of_the_users_file_can_be_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[acme]\ntype = local-filesystem\nbase_path = simple\nindex_url = https://pypi.example.com/simple\n"
    (project.root / ".pypi-private.cfg").write_text(text, "utf-8")
    project.configure(pypiprivate='repository = "acme"')
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(project.root))
    said = project.succeed(verbosity="--no-color")
    assert said.endswith("    pip install --index-url https://pypi.example.com/simple/ acme-demo==1.0\n")
    assert project.published() == BOTH


def test_another_file_of_the_user_can_be_named(project: Project) -> None:
    (project.root / "acme.cfg").write_text("[acme]\ntype = local-filesystem\nbase_path = simple\n", "utf-8")
    project.succeed("-o", "config=../acme.cfg", "-o", "repository=acme")
    assert project.published() == BOTH


def test_a_broken_file_of_the_user_hurts_those_who_need_it_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / ".pypi-private.cfg").write_text("this is no INI file", "utf-8")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(project.root))
    project.succeed()
    assert project.published() == BOTH
    assert "~/.pypi-private.cfg: line 1 " in project.fail("-o", "repository=acme")


# What is said


def test_a_warning_about_an_artifact_is_shown_and_can_be_hidden(project: Project) -> None:
    make_wheel(
        project.dist, "acme-demo", "1.0", files={"acme_demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py2-none-any\n"}
    )
    warning = f"{WHEEL}: the tags in its WHEEL and in its name differ\n"
    assert project.succeed() == warning
    assert project.succeed(verbosity="-qq") == ""


def test_hatch_shows_what_is_done_when_it_is_asked_to(project: Project) -> None:
    assert "wrote acme-demo/index.json" in project.succeed(verbosity="-v")


# Beside what hatch does without it


def test_hatchs_own_publisher_is_as_it_was(project: Project) -> None:
    (project.directory / "empty").mkdir()
    result = CliRunner().invoke(hatch, ["publish", "-n", "-u", "x", "-a", "x", "-r", "http://127.0.0.1:9/", "empty"])
    assert (result.exit_code, result.stderr) == (1, "No artifacts found\n")


# From environments of their own

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "Acme.Demo"
dynamic = ["version"]

[tool.hatch.version]
path = "acme_demo.py"

[tool.hatch.build.targets.wheel]
only-include = ["acme_demo.py"]

[tool.pypiprivate]
repository = "../simple"
"""


@pytest.fixture
def dynamic(tmp_path: Path) -> Project:
    """A project whose version stands in its code, and which is not built."""
    project = Project(tmp_path)
    for path in project.dist.iterdir():
        path.unlink()
    (project.directory / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (project.directory / "acme_demo.py").write_text('__version__ = "1.0"\n', "utf-8")
    return project


@pytest.fixture
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments.of_this_run(tmp_path_factory)


def test_a_project_is_built_and_published_by_hatch_and_nothing_else(
    dynamic: Project, environments: Environments, hatch_home: dict[str, str]
) -> None:
    python = environments.virtual("hatch")
    for command in (("--version",), ("publish", "--help"), ("build",), ("publish", "-p", "private")):
        run([python, "-m", "hatch", *command], env=FETCHING | hatch_home, cwd=dynamic.directory)
    assert sorted(dynamic.published()) == sorted(path.name for path in dynamic.dist.iterdir())
    assert len(dynamic.published()) == 2


def test_a_version_that_only_the_build_backend_knows_is_asked_of_it(dynamic: Project, hatch_home: dict[str, str]) -> None:
    make_wheel(dynamic.dist, "acme-demo", "1.0")
    make_wheel(dynamic.dist, "acme-demo", "0.9")
    run([sys.executable, "-m", "hatch", "publish", "-p", "private"], env=FETCHING | hatch_home, cwd=dynamic.directory)
    assert dynamic.published() == [WHEEL]


def test_a_hatch_that_does_not_tell_such_a_version_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("hatch.project.core.Project.prepare_build_environment")
    (project.directory / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    assert "Upgrade hatch to 1.16 or newer, or name the files" in project.fail()
    project.succeed("dist")
    assert project.published() == BOTH


def test_hatchling_finds_it_in_a_build_without_hatch_and_pays_nothing(environments: Environments, tmp_path: Path) -> None:
    load = "from hatchling.plugin.manager import PluginManager; PluginManager().build_hook.collect()"
    show = "import sys; print('pypiprivate.hatch' in sys.modules, {'pypiprivate.hatch_publisher', 'hatch'} & {*sys.modules})"
    assert run([environments.virtual("hatchling"), "-c", f"{load}; {show}"], env=environment(tmp_path)) == "True set()\n"


def test_nobody_else_ever_imports_it(environments: Environments, tmp_path: Path) -> None:
    load = "import pypiprivate.cli, pypiprivate.command; pypiprivate.open_repository"
    show = "import sys; print([name for name in sys.modules if 'hatch' in name])"
    assert run([environments.virtual("hatchling"), "-c", f"{load}; {show}"], env=environment(tmp_path)) == "[]\n"
