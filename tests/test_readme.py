"""What the README says to paste does what the README says."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .builders import make_sdist
from .examples import ROOT, environment, run
from .servers import ADMIN, seaweedfs, shared
from .web import code_blocks, http_server

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the README speaks to a shell, and there is no bash")


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in which ``pip install pypiprivate`` was run, and which has the network unplugged."""
    venv = tmp_path / "venv"
    home = tmp_path / "home"
    home.mkdir()
    run([sys.executable, "-m", "venv", "--without-pip", venv], env=environment(home))
    site = Path(run([venv / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], env={}).strip())
    (site / "installed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n", "utf-8")
    for module, command in (("pip", "pip"), ("pypiprivate", "pypi-private")):
        script = venv / "bin" / command
        script.write_text(f'#!/bin/sh\nexec python -m {module} "$@"\n', "utf-8")
        script.chmod(0o755)
    return environment(home, PATH=f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}")


def paste(script: str, shell: dict[str, str], cwd: Path, **more: str) -> str:
    """Run a block as if it were pasted; return what it printed."""
    return run(["bash", "-euo", "pipefail", "-c", as_script(script)], env=shell | more, cwd=cwd)


@pytest.fixture
def published(tmp_path: Path, shell: dict[str, str]) -> str:
    """What the complete run printed; its project is in ``acme-hello``, its index in ``simple``."""
    complete, *_ = code_blocks("console")
    return paste(complete.replace("$ pip install pypiprivate\n", ""), shell, tmp_path)


def test_the_complete_run_ends_as_it_says(tmp_path: Path, published: str) -> None:
    assert published.splitlines()[-1] == "hello from the private index"
    record = json.loads((tmp_path / "simple/acme-hello/index.json").read_bytes())
    # An older setuptools spells the sdist with a dash.
    assert {file["filename"].replace("-", "_") for file in record["files"]} == {
        "acme_hello_1.0_py3_none_any.whl",
        "acme_hello_1.0.tar.gz",
    }


@pytest.mark.usefixtures("published")
def test_what_any_builder_left_is_published_from_the_command_line(tmp_path: Path, shell: dict[str, str]) -> None:
    before = (tmp_path / "simple/acme-hello/index.json").read_bytes()
    paste(code_blocks("console")[1], shell, tmp_path / "acme-hello")
    assert (tmp_path / "simple/acme-hello/index.json").read_bytes() == before


@pytest.mark.usefixtures("published")
def test_the_same_goes_into_a_bucket(tmp_path: Path, shell: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    access_key, secret_key = ADMIN
    script = code_blocks("console")[2].replace("KEY=…", f"KEY={access_key}", 1).replace("KEY=…", f"KEY={secret_key}", 1)
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as server, closing(server.client()) as client:
        client.create_bucket(Bucket="acme-pypi")
        paste(script, shell, tmp_path / "acme-hello", AWS_ENDPOINT_URL_S3=server.url)
        stored = client.get_object(Bucket="acme-pypi", Key="simple/acme-hello/index.json")["Body"].read()
    assert len(json.loads(stored)["files"]) == 2


@pytest.mark.usefixtures("published")
def test_every_way_to_install_that_is_shown_installs(tmp_path: Path, shell: dict[str, str]) -> None:
    _, _, _, dangerous, two_steps = code_blocks("console")
    inline = next(
        line for line in (ROOT / "README.rst").read_text("utf-8").split("``") if line.startswith("pip install --index-url")
    )
    (tmp_path / "public-requirements.txt").write_text("", "utf-8")
    (tmp_path / "empty").mkdir()
    with http_server(tmp_path / "simple") as url, http_server(tmp_path / "empty") as public:
        for block in (dangerous, two_steps, inline):
            script = "pip uninstall --yes --quiet acme-hello\n" + block.replace("https://pypi.acme.example/simple/", url)
            assert "Successfully installed acme-hello-1.0" in paste(script, shell, tmp_path, PIP_INDEX_URL=public)


def test_the_python_shown_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sdist(tmp_path / "dist", "acme-hello", "1.0")
    monkeypatch.chdir(tmp_path)
    (shown,) = code_blocks("python")
    names: dict[str, Any] = {}
    exec(shown.replace("/srv/pypi/simple", str(tmp_path / "simple")), names)
    assert [receipt.filename for receipt in names["receipts"]] == ["acme_hello-1.0.tar.gz"]


def test_the_build_backend_shown_publishes_what_it_builds(tmp_path: Path, shell: dict[str, str]) -> None:
    backend, *_ = code_blocks("toml")
    (tmp_path / "pyproject.toml").write_text(backend + '[project]\nname = "acme-hello"\nversion = "1.0"\n', "utf-8")
    (tmp_path / "acme_hello.py").write_text("", "utf-8")
    build = next(text for text in (ROOT / "README.rst").read_text("utf-8").split("``") if text.startswith("python -m build -C"))
    paste(f"{build} --no-isolation", shell, tmp_path, PP_REPOSITORY=str(tmp_path / "simple"))
    assert len(json.loads((tmp_path / "simple/acme-hello/index.json").read_bytes())["files"]) == 2


@pytest.mark.usefixtures("published")
def test_the_settings_shown_for_uv_lock(tmp_path: Path, shell: dict[str, str]) -> None:
    *_, shown = code_blocks("toml")
    head = '[project]\nname = "consumer"\nversion = "1"\ndependencies = ["acme-hello"]\nrequires-python = ">=3.10"\n'
    configured = {name: value for name, value in shell.items() if name != "UV_NO_CONFIG"}
    with http_server(tmp_path / "simple") as url:
        text = head + shown.replace("https://pypi.acme.example/simple/", url)
        (tmp_path / "pyproject.toml").write_text(text, "utf-8")
        run([sys.executable, "-m", "uv", "lock", "--quiet", "--python", sys.executable], env=configured, cwd=tmp_path)
    assert "acme_hello-1.0-py3-none-any.whl" in (tmp_path / "uv.lock").read_text("utf-8")


def test_what_a_script_may_do_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_sdist(tmp_path / "dist", "acme-hello", "1.0")
    monkeypatch.chdir(tmp_path)
    (shown,) = code_blocks("python", ROOT / "docs" / "python.rst")
    exec(shown.replace("/srv/pypi", str(tmp_path)), {})
    assert "acme_hello-1.0.tar.gz" in capsys.readouterr().out


def as_script(block: str) -> str:
    """Take away the prompts."""
    return "".join(line.removeprefix("$ ") for line in block.splitlines(keepends=True))
