"""``docs/builders.rst``: whatever builds a project, what is shown there publishes it. Every tool is the real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from .builders import make_sdist, make_wheel
from .environments import Environments
from .examples import AMBIENT, ROOT, environment, run

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the recipes speak to a shell, and there is no bash")

PYPROJECT = """
[build-system]
requires = ["{requires}"]
build-backend = "{backend}"

[project]
name = "acme-demo"
version = "1.0"
description = "A demonstration"
requires-python = ">=3.10"
{more}
[tool.pypiprivate]
repository = "../simple"
"""
CARGO = '[package]\nname = "acme-demo"\nversion = "1.0.0"\nedition = "2021"\n'


@dataclass(frozen=True)
class Tool:
    """A builder from the package registry.

    :ivar section: its section in the document.
    :ivar requirement: what it is installed as.
    :ivar requires: the project of the build backend that its users have, and ``backend`` the backend's name.
    """

    section: str
    requirement: str
    requires: str
    backend: str


TOOLS = (
    Tool("build", "build", "setuptools", "setuptools.build_meta"),
    Tool("uv", "uv", "uv_build", "uv_build"),
    Tool("Poetry", "poetry", "poetry-core", "poetry.core.masonry.api"),
    # With the libraries that it was released with: it asks for no upper bounds, and breaks with some newer ones.
    Tool("PDM", "pdm[locked]", "pdm-backend", "pdm.backend"),
    Tool("Flit", "flit", "flit_core", "flit_core.buildapi"),
    Tool("Hatch", "hatch", "hatchling", "hatchling.build"),
    Tool("maturin", "maturin", "maturin", "maturin"),
)


def recipes() -> dict[str, list[str]]:
    """Return the scripts of the document by section, without prompts."""
    text = (ROOT / "docs" / "builders.rst").read_text("utf-8")
    titles = list(re.finditer(r"^(\S.*)\n-+\n", text, re.MULTILINE))
    ends = [title.start() for title in titles[1:]] + [len(text)]
    return {title[1]: _scripts(text[title.end() : end]) for title, end in zip(titles, ends, strict=True)}


def _scripts(section: str) -> list[str]:
    blocks = re.findall(r"^\.\. code-block:: console\n\n((?:    .*\n|\n)+)", section, re.MULTILINE)
    return [re.sub(r"^\$ ", "", dedent(block).strip() + "\n", flags=re.MULTILINE) for block in blocks]


RECIPES = recipes()


@pytest.fixture
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments.of_this_run(tmp_path_factory)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "src" / "acme_demo").mkdir(parents=True)
    (project / "src" / "acme_demo" / "__init__.py").write_text('"""A demonstration."""\n\nVALUE = 1\n', "utf-8")
    return project


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of whoever runs the tests, for builders fetch what they build with; what they keep, they keep here."""
    steering = ("FLIT_", "HATCH_", "MATURIN_", "PDM_", "POETRY_", "PP_")
    kept = {name: value for name, value in AMBIENT.items() if not name.startswith(steering) and name != "VIRTUAL_ENV"}
    home = tmp_path / "tools"
    home.mkdir()
    (home / "hatch.toml").touch()
    places = {
        "HATCH_CONFIG": "hatch.toml",
        "HATCH_DATA_DIR": "hatch",
        "HATCH_CACHE_DIR": "hatch-cache",
        "PDM_CACHE_DIR": "pdm-cache",
        "PDM_CONFIG_FILE": "pdm.toml",
        "PDM_LOG_DIR": "pdm-log",
        "POETRY_CACHE_DIR": "poetry-cache",
        "POETRY_CONFIG_DIR": "poetry",
    }
    return {**kept, "PDM_CHECK_UPDATE": "0", **{name: str(home / place) for name, place in places.items()}}


def write_project(project: Path, tool: Tool) -> None:
    more = ""
    if tool.section == "maturin":
        (project / "Cargo.toml").write_text(CARGO, "utf-8")
        (project / "src" / "main.rs").write_text("fn main() {}\n", "utf-8")
        more = '[tool.maturin]\nbindings = "bin"\n'
    text = PYPROJECT.format(requires=tool.requires, backend=tool.backend, more=more)
    (project / "pyproject.toml").write_text(text, "utf-8")


def paste(script: str, python: Path, project: Path, shell: Mapping[str, str]) -> str:
    """Run a script in the project as if it were pasted, with the programs of *python*'s environment."""
    path = f"{python.parent}{os.pathsep}{shell['PATH']}"
    return run(["bash", "-euo", "pipefail", "-c", script], env={**shell, "PATH": path}, cwd=project)


def published(project: Path) -> list[str]:
    """Return the names of the files that the index lists."""
    record = project.parent / "simple" / "acme-demo" / "index.json"
    return [file["filename"] for file in json.loads(record.read_bytes())["files"]]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.section)
def test_what_the_builder_built_is_published_by_what_is_shown(
    tool: Tool, environments: Environments, project: Path, shell: dict[str, str]
) -> None:
    if tool.section == "maturin" and shutil.which("cargo", path=AMBIENT["PATH"]) is None:
        pytest.skip("maturin builds with cargo, and there is none")
    write_project(project, tool)
    for script in RECIPES[tool.section]:
        paste(script, environments.virtual(tool.requirement), project, shell)
    wheel, sdist = published(project)
    assert re.fullmatch(r"acme_demo-1\.0-py3-none-\w+\.whl", wheel)
    assert sdist == "acme_demo-1.0.tar.gz"


def test_what_a_builder_published_is_installed_by_pip(
    tmp_path: Path, environments: Environments, project: Path, shell: dict[str, str]
) -> None:
    uv = next(tool for tool in TOOLS if tool.section == "uv")
    write_project(project, uv)
    (script,) = RECIPES["uv"]
    paste(script, environments.virtual("uv"), project, shell)
    site, env = tmp_path / "site", environment(tmp_path)
    index = (tmp_path / "simple").as_uri()
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", site, "--index-url", index, "acme-demo"], env=env)
    assert run([sys.executable, "-c", "import acme_demo; print(acme_demo.VALUE)"], env=env | {"PYTHONPATH": str(site)}) == "1\n"


def test_what_cibuildwheel_left_is_published_by_what_is_shown(
    environments: Environments, project: Path, shell: dict[str, str]
) -> None:
    write_project(project, TOOLS[0])
    (script,) = RECIPES["cibuildwheel"]
    building, publishing = script.splitlines()
    # It builds in containers, of which there are none here.
    assert building == "cibuildwheel --output-dir wheelhouse"
    for tags in ("cp312-cp312-manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_28_x86_64"):
        make_wheel(project / "wheelhouse", "acme-demo", "1.0", tags=tags)
    paste(publishing, environments.virtual("build"), project, shell)
    assert published(project) == sorted(path.name for path in (project / "wheelhouse").iterdir())


def test_one_release_of_many_in_dist_is_published_by_its_name(
    environments: Environments, project: Path, shell: dict[str, str]
) -> None:
    write_project(project, TOOLS[0])
    for version in ("0.9", "1.0"):
        make_sdist(project / "dist", "acme-demo", version)
    (script,) = RECIPES["Name the release"]
    paste(script, environments.virtual("build"), project, shell)
    assert published(project) == ["acme_demo-1.0.tar.gz"]


def test_no_recipe_is_forgotten_here() -> None:
    assert {*RECIPES} == {*(tool.section for tool in TOOLS), "cibuildwheel", "Name the release"}
    assert all(RECIPES.values())
