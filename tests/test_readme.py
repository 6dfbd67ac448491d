"""What the README says to paste does what the README says."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from .examples import ROOT, environment, run
from .web import code_blocks

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


def test_the_complete_run_ends_as_it_says(tmp_path: Path, shell: dict[str, str]) -> None:
    complete, _, by_command_line, *_ = code_blocks("console")
    script = as_script(complete + by_command_line).replace("pip install pypiprivate\n", "")
    printed = run(["bash", "-euo", "pipefail", "-c", script], env=shell, cwd=tmp_path)
    assert "hello from the private index" in printed.splitlines()
    record = json.loads((tmp_path / "simple/acme-hello/index.json").read_bytes())
    # An older setuptools spells the sdist with a dash.
    assert {file["filename"].replace("-", "_") for file in record["files"]} == {
        "acme_hello_1.0_py3_none_any.whl",
        "acme_hello_1.0.tar.gz",
    }


def as_script(block: str) -> str:
    """Take away the prompts."""
    return "".join(line.removeprefix("$ ") for line in block.splitlines(keepends=True))
