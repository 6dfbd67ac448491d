"""Shells complete commands, options and files: asked as each shell asks, and with the shells that this machine has."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from argcomplete.shell_integration import shellcode

from pypiprivate.cli import main

#: Calls the function that bash calls when somebody presses the tabulator, for the words of its arguments.
BASH = """
source <(pypi-private completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete pypi-private
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "pypi-private completion fish | source; complete --do-complete $argv[1]"
ZSH = "autoload -Uz compinit; compinit -u -d dump; source <(pypi-private completion zsh); echo loa''ded\n"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment with our program in its path, in a directory with one file."""
    program = tmp_path / "bin" / "pypi-private"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pypiprivate "$@"\n')
    program.chmod(0o755)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "release-notes.txt").touch()
    monkeypatch.chdir(tmp_path / "here")
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}


def ask(env: dict[str, str], shell: str, line: str) -> list[str]:
    """Ask as a shell's function does: the line in the environment, the answer on file descriptor 8."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": shell, "_ARGCOMPLETE_IFS": "\n", "IFS": "\n"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    command = ["bash", "-c", "exec pypi-private 8>&1 9>/dev/null 1>/dev/null 2>&1"]
    answer = subprocess.run(command, env=env | asked, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return [word.strip() for word in answer.stdout.split("\n") if word.strip()]


def words(answer: list[str]) -> set[str]:
    """What is offered, without what zsh and fish say of it."""
    return {word.partition("\t")[0].partition(":")[0].strip() for word in answer}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_the_librarys(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out.strip() == shellcode(["pypi-private"], shell=shell).strip()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_answered_commands_options_choices_and_files(env: dict[str, str], shell: str) -> None:
    assert words(ask(env, shell, "pypi-private comp")) == {"completion"}
    assert {"--reason", "--dry-run", "--repository"} <= words(ask(env, shell, "pypi-private yank --"))
    assert words(ask(env, shell, "pypi-private status demo arch")) == {"archived"}
    assert words(ask(env, shell, "pypi-private upload rel")) == {"release-notes.txt"}


def test_bash_completes(env: dict[str, str]) -> None:
    for line, offered in (("pypi-private doc", ["doctor "]), ("pypi-private doctor --pub", ["--public-index "])):
        command = ["bash", "--norc", "-c", BASH, "bash", line]
        assert subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=60).stdout.splitlines() == offered


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish on this machine")
def test_fish_completes(env: dict[str, str]) -> None:
    command = ["fish", "--no-config", "-c", FISH, "pypi-private doctor --pub"]
    said = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=60).stdout.splitlines()
    assert [line.partition("\t")[0] for line in said] == ["--public-index"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh on this machine")
def test_zsh_completes(env: dict[str, str]) -> None:
    with terminal(["zsh", "-f", "-i"], env) as tty:
        os.write(tty, ZSH.encode())
        read_until(tty, "loaded")
        os.write(tty, b"pypi-private doctor --pub\t")
        assert "--public-index" in read_until(tty, "--public-index")


@contextmanager
def terminal(command: list[str], env: dict[str, str]) -> Iterator[int]:
    """Run a program on a terminal of its own, and yield the other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    os.close(theirs)
    try:
        yield ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(tty: int, text: str, *, seconds: float = 60) -> str:
    """Return what is written there until *text* comes, or the time is up."""
    said, deadline = "", time.monotonic() + seconds
    with suppress(OSError):  # the program ended
        while text not in said and time.monotonic() < deadline:
            if select.select([tty], [], [], 0.1)[0]:
                said += os.read(tty, 4096).decode(errors="replace")
    return said


def test_nobody_else_pays_for_it() -> None:
    script = "import sys; from pypiprivate.cli import main; main(['completion', 'tcsh'])"
    script = f"try:\n    {script}\nexcept SystemExit:\n    print('argcomplete' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60).stdout == "False\n"


def test_without_the_library_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete.shell_integration", None)
    assert main(["completion", "bash"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: completion needs argcomplete, which is not installed.",
        "pip install 'pypiprivate[completion]'",
    ]


def test_without_the_library_a_shell_that_asks_hears_nothing_and_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    with pytest.raises(SystemExit) as ended:
        main(["completion", "bash"])
    assert ended.value.code == 0
    assert capsys.readouterr() == ("", "")


def test_a_shell_that_is_not_known_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
