"""What docs/commands.rst shows does what it says, line by line."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import cli
from pypiprivate.cli import browsing, changing
from pypiprivate.cli.options import Command

from .builders import make_sdist, make_wheel
from .examples import ROOT, environment, run

DOCUMENT = (ROOT / "docs" / "commands.rst").read_text("utf-8")
SAYING = {
    "Summary": "Greets by name",
    "Author": "Ada Acme",
    "License": "MIT",
    "Requires-Dist": "requests>=2",
    "Provides-Extra": "pretty",
}


def blocks(language: str) -> list[str]:
    """Return the code blocks of the document in *language*, without their indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", DOCUMENT, re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE).strip() + "\n" for block in found]


def shown() -> Iterator[tuple[str, str]]:
    """Yield each command of the document and what it is said to print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output.rstrip("\n")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose two repositories are those of the document."""
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    (settings,) = blocks("ini")
    (home / ".pypi-private.cfg").write_text(settings.replace("/srv/", f"{tmp_path}/srv/"), "utf-8")
    script = programs / "pypi-private"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pypiprivate "$@"\n', "utf-8")
    script.chmod(0o755)
    env = environment(home, PATH=f"{programs}:/usr/bin:/bin", PYTHONPATH=str(ROOT), PP_REPOSITORY="staging")
    for version in ("1.0", "1.1", "2.0.dev1"):
        make_wheel(tmp_path / "dist", "acme-hello", version, headers=SAYING, requires_python=">=3.10")
        make_sdist(tmp_path / "dist", "acme-hello", version)
    make_wheel(tmp_path / "dist", "http-client", "1.0", headers={"Summary": "A web client"})
    run([script, "upload", *(tmp_path / "dist").iterdir()], env=env)
    return env


#: What is another one on another day or by another zlib. The width of a column is nobody's promise, either.
_VARYING = (
    (r"\b20\d\d-\d\d-\d\d\b", "DATE"),
    (r"\b\d+(\.\d)? k?B\b", "SIZE"),
    (r"\b[0-9a-f]{12}(…|[0-9a-f]{52})", "SHA256"),
    (" +", " "),
)


def constant(text: str) -> str:
    for varying, name in _VARYING:
        text = re.sub(varying, name, text)
    return text.rstrip("\n")


def pattern_of(output: str) -> str:
    return re.escape(constant(output)).replace("…", ".+")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the document speaks to a shell, and there is no bash")
def test_every_command_prints_what_is_shown_and_the_python_runs(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command, output in shown():
        printed = run(["bash", "-euc", f"{command} 2>&1"], env=env, cwd=tmp_path).replace(f"{tmp_path}/srv/", "/srv/")
        assert re.fullmatch(pattern_of(output), constant(printed)), f"{command} prints\n{printed}"
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, env["HOME"])
    monkeypatch.chdir(tmp_path)
    (python,) = blocks("python")
    names: dict[str, Any] = {}
    exec(python, names)
    assert [receipt.filename for receipt in names["receipts"]] == ["acme_hello-1.1-py3-none-any.whl", "acme_hello-1.1.tar.gz"]


@pytest.mark.parametrize("command", [*browsing.COMMANDS, *changing.COMMANDS], ids=lambda command: command.name)
def test_every_command_and_each_of_its_options_is_in_the_document(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(rf"^(\w+, )?{command.name}(, \w+)?\n~+\n", DOCUMENT, re.MULTILINE)
    with pytest.raises(SystemExit):
        cli.main([command.name, "--help"])
    general = {
        "--help",
        "--verbose",
        "--quiet",
        "--config",
        "--conf-path",
        "--env-interpolation",
        "--project-path",
        "--repository",
    }
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - general - {"--name"}
    assert {option for option in options if option not in DOCUMENT} == set()
