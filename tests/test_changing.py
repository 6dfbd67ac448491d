"""``yank``, ``status``, ``delete``, ``prune``, ``promote`` from the command line: words, JSON, questions, exit codes."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pypiprivate import artifact, edits, open_repository, publish
from pypiprivate.cli import main
from pypiprivate.edits import Retention, Target
from pypiprivate.model import Outcome
from pypiprivate.storage.local import LocalStorage

from .builders import make_sdist, make_wheel
from .repositories import check_at_rest, filenames, orphans, record, snapshot

SDIST, WHEEL = "demo-1.0.tar.gz", "demo-1.0-py3-none-any.whl"

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    for version in ("1.0", "1.1", "2.0.dev1"):
        make_sdist(directory, "demo", version)
    make_wheel(directory, "demo", "1.0")
    make_sdist(directory, "other", "1.0")
    make_sdist(directory / "rebuilt", "demo", "1.0", files={"new": b"new"})
    return directory


@pytest.fixture
def index(dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """The repository of the project where we stand; its releases are a month apart, demo 2.0.dev1 is of today."""
    storage = LocalStorage(tmp_path / "simple")
    now = datetime.now(timezone.utc)
    for age, version in enumerate(("2.0.dev1", "1.1", "1.0")):
        then = now - timedelta(days=30 * age)
        paths = [path for path in dist.iterdir() if f"-{version}" in path.name]
        publish.publish([artifact.read(path) for path in paths], storage, clock=partial(min, now, then))
    (tmp_path / "setup.cfg").write_text("[publish_private]\nrepository = ./simple\n")
    monkeypatch.chdir(tmp_path)
    return storage


def told(capsys: Printed, *arguments: str, code: int = 0) -> list[str]:
    """Run a command, which prints no result, and return its messages."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()


def as_json(capsys: Printed, *arguments: str, code: int = 0) -> Any:
    assert main([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    assert code or err == ""
    return json.loads(out)


# -- yank ---------------------------------------------------------------------------------------------------------------------


def test_yank_and_unyank_say_what_they_marked(index: LocalStorage, capsys: Printed) -> None:
    assert told(capsys, "yank", "Demo==1.0.0", "--reason", "leaks memory") == [
        f"{WHEEL}: yanked: leaks memory",
        f"{SDIST}: yanked: leaks memory",
    ]
    check_at_rest(index)
    assert told(capsys, "yank", "demo==1.0", "--reason", "leaks memory") == ["demo: nothing to change"]
    assert told(capsys, "unyank", "demo==1.0", WHEEL) == [f"{WHEEL}: unyanked"]
    assert [file.yanked for file in record(index, "demo").files if "-1.0" in file.filename] == [False, "leaks memory"]
    assert told(capsys, "yank", "demo==1.0", WHEEL) == [f"{WHEEL}: yanked"]
    assert told(capsys, "-q", "unyank", "demo==1.0") == []
    assert not any(file.yanked for file in record(index, "demo").files)
    check_at_rest(index)


def test_yank_for_machines(index: LocalStorage, capsys: Printed) -> None:
    assert as_json(capsys, "yank", "demo==1.0", SDIST, "--reason", "x") == {
        "repository": index.location,
        "dry_run": False,
        "projects": [
            {
                "project": "demo",
                "serial": 4,
                "changed": True,
                "status": "active",
                "status_reason": None,
                "marked": [{"filename": SDIST, "yanked": "x"}],
                "removed": [],
            }
        ],
    }
    again = as_json(capsys, "yank", "demo==1.0", SDIST, "--reason", "x")["projects"][0]
    assert (again["changed"], again["marked"], again["serial"]) == (False, [], 4)


# -- status -------------------------------------------------------------------------------------------------------------------


def test_status_says_what_the_project_is_now(index: LocalStorage, capsys: Printed) -> None:
    assert told(capsys, "status", "demo", "deprecated", "--reason", "use other") == ["demo is deprecated: use other"]
    assert told(capsys, "status", "other", "quarantined") == [
        "other is quarantined",
        "1 file of it kept, but not offered until it has another status.",
    ]
    assert filenames(index, "other") == []
    assert told(capsys, "status", "other", "active") == ["other is active"]
    assert filenames(index, "other") == ["other-1.0.tar.gz"]
    check_at_rest(index)
    changed = as_json(capsys, "status", "demo", "archived", "--reason", "done")["projects"][0]
    assert (changed["changed"], changed["status"], changed["status_reason"]) == (True, "archived", "done")
    assert as_json(capsys, "status", "demo", "archived", "--reason", "done")["projects"][0]["changed"] is False


def test_an_archived_project_takes_no_release_until_it_is_active_again(
    index: LocalStorage, dist: Path, tmp_path: Path, capsys: Printed
) -> None:
    told(capsys, "status", "demo", "archived", "--reason", "done")
    new = str(make_sdist(tmp_path, "demo", "3.0"))
    refused = told(capsys, "upload", new, code=1)
    assert refused[0] == "error: demo is archived (done) and takes no new files."
    assert told(capsys, "upload", str(dist / SDIST))[0] == f"{SDIST}: already there"
    assert told(capsys, "delete", "demo==1.1", "--yes") == ["demo-1.1.tar.gz: deleted"]
    told(capsys, "status", "demo", "active")
    assert told(capsys, "upload", new)[0] == "demo-3.0.tar.gz: published"


# -- delete -------------------------------------------------------------------------------------------------------------------


def test_delete_says_what_is_gone_and_again_that_nothing_is_left(index: LocalStorage, dist: Path, capsys: Printed) -> None:
    assert told(capsys, "delete", "demo==1.0", "-y") == [f"{WHEEL}: deleted", f"{SDIST}: deleted"]
    assert orphans(index) == []
    assert told(capsys, "delete", "demo==1.0", "-y") == ["demo: nothing to delete"]
    assert told(capsys, "delete", "demo==1.0") == ["demo: nothing to delete"]  # nobody need be asked
    error, _ = told(capsys, "upload", str(dist / "rebuilt" / SDIST), code=1)
    assert "was deleted from the index" in error
    assert told(capsys, "upload", str(dist / SDIST))[0] == f"{SDIST}: published"
    check_at_rest(index)


def test_the_last_release_leaves_the_name_and_says_why(index: LocalStorage, capsys: Printed) -> None:
    assert told(capsys, "delete", "other", "--yes") == [
        "other-1.0.tar.gz: deleted",
        "other has no files any more. The name stays listed, so that it never falls through to a public index.",
    ]
    assert told(capsys, "delete", "demo", "--dry-run")[-2:] == [
        "demo would have no files any more. The name stays listed, so that it never falls through to a public index.",
        f"dry run: nothing was written to {index.location}",
    ]
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "demo\nother\n"


def test_where_nobody_can_be_asked_nothing_is_deleted(
    index: LocalStorage, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(index)
    for stdin in (sys.stdin, None):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert told(capsys, "delete", "demo==1.0", code=2) == [
            "error: demo 1.0 is not deleted: nobody is there to be asked.",
            "Say --yes, or --dry-run to see what would go.",
        ]
    assert as_json(capsys, "delete", "demo", code=2)["error"]["kind"] == "UsageError"
    assert snapshot(index) == before


def test_an_interrupted_deletion_is_ended_by_the_same_command(index: LocalStorage, capsys: Printed) -> None:
    key = next(key for key in snapshot(index) if key.endswith(SDIST))
    body = index.get(key)
    told(capsys, "delete", "demo==1.0", "--yes")
    assert body
    index.store(key, body.body, sha256=body.etag)  # as if it had been left
    assert orphans(index) == [key]
    assert told(capsys, "delete", "demo==1.0") == ["demo: nothing to delete"]
    assert orphans(index) == []


class Terminal:
    """Runs the program on a terminal of its own, and answers it."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        import pty  # there is none on Windows

        # Theirs stays open here, too: what is not read yet when the last one closes it may be lost.
        self._ours, self._theirs = pty.openpty()
        environ = {**os.environ, "TERM": "dumb", "PYTHONIOENCODING": "utf-8:strict"}
        command = [sys.executable, "-m", "pypiprivate", *arguments]
        tty, pipe = self._theirs, subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=directory, env=environ, stdin=tty, stdout=pipe, stderr=tty, start_new_session=True
        )
        self._deadline = time.monotonic() + 60
        self.shown = ""

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            self._read_on()

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def interrupt(self) -> None:
        """As who presses Ctrl-C again where nothing happens: a signal just before Python waits is noticed when that ends."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self._read_on()

    def end(self) -> tuple[int, str, str]:
        """Wait for it; return the exit code, the result and everything that was on the terminal."""
        assert self.process.stdout
        while self.process.poll() is None:
            self._read_on()
        while self._read(0):
            pass
        out = self.process.stdout.read().decode()
        self.process.stdout.close()
        os.close(self._ours)
        os.close(self._theirs)
        return self.process.returncode, out, self.shown.replace("\r\n", "\n")

    def _read_on(self) -> None:
        if time.monotonic() > self._deadline:
            self.process.kill()
            pytest.fail(f"does not go on after: {self.shown}")
        self._read(0.2)

    def _read(self, seconds: float) -> bool:
        """Read what is shown, or will be within so many seconds; tell whether anything was."""
        readable, _, _ = select.select([self._ours], [], [], seconds)
        if readable:
            self.shown += os.read(self._ours, 4096).decode(errors="replace")
        return bool(readable)


on_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
QUESTION = "for good? [y/N] "


@on_a_terminal
@pytest.mark.parametrize("answer", [b"y\n", b"YES\n", b" yes \n"])
def test_on_a_terminal_it_asks_and_a_yes_deletes(index: LocalStorage, tmp_path: Path, answer: bytes) -> None:
    terminal = Terminal(tmp_path, "delete", "demo==1.0")
    terminal.read_until(QUESTION)
    terminal.type(answer)
    code, out, shown = terminal.end()
    assert (code, out) == (0, "")
    assert f"Delete demo 1.0 (2 files) from {index.location}, {QUESTION}" in shown
    assert f"{SDIST}: deleted" in shown
    assert SDIST not in filenames(index, "demo")
    check_at_rest(index)


@on_a_terminal
@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"yess\n", b"\x04", b"\xff\xfe\n", b"\x1b[A\n"])
def test_on_a_terminal_anything_else_deletes_nothing(index: LocalStorage, tmp_path: Path, answer: bytes) -> None:
    before = snapshot(index)
    terminal = Terminal(tmp_path, "delete", "other", "--json")
    terminal.read_until("Delete other (1 file)")
    terminal.read_until(QUESTION)
    terminal.type(answer)
    code, out, shown = terminal.end()
    assert code == 1
    assert json.loads(out)["dry_run"] is True
    assert "Traceback" not in shown
    assert snapshot(index) == before


class Answering(io.StringIO):
    """Says that it is a terminal, on which *answer* stands."""

    def isatty(self) -> bool:
        return True

    def undecodable(self, *_: object) -> str:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("no\n", 1), ("", 1), (None, 1)])
def test_who_does_not_say_yes_is_told_that_nothing_was_deleted(
    index: LocalStorage, monkeypatch: pytest.MonkeyPatch, answer: str | None, code: int
) -> None:
    before, stdin, stderr = snapshot(index), Answering(answer), Answering()
    if answer is None:
        monkeypatch.setattr(stdin, "readline", stdin.undecodable)
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert main(["delete", "other"]) == code
    assert QUESTION in stderr.getvalue()
    assert stderr.getvalue().endswith("other is not deleted\n") == (code == 1)
    assert (snapshot(index) == before) == (code == 1)


@on_a_terminal
def test_ctrl_c_at_the_question_deletes_nothing(index: LocalStorage, tmp_path: Path) -> None:
    before = snapshot(index)
    terminal = Terminal(tmp_path, "delete", "other")
    terminal.read_until(QUESTION)
    terminal.interrupt()
    code, _, shown = terminal.end()
    assert code == 1
    assert "interrupted." in shown
    assert "Traceback" not in shown
    assert snapshot(index) == before


@on_a_terminal
def test_what_is_published_while_somebody_thinks_it_over_stays(index: LocalStorage, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "delete", "other")
    terminal.read_until(QUESTION)
    publish.publish([artifact.read(make_sdist(tmp_path, "other", "2.0"))], index)
    terminal.type(b"y\n")
    code, _, shown = terminal.end()
    assert code == 0
    assert "other-1.0.tar.gz: deleted" in shown
    assert filenames(index, "other") == ["other-2.0.tar.gz"]
    check_at_rest(index)


# -- prune --------------------------------------------------------------------------------------------------------------------


def test_prune_only_says_what_would_go_until_it_is_told_to(index: LocalStorage, capsys: Printed) -> None:
    before = snapshot(index)
    assert told(capsys, "prune", "--keep", "1", "--dry-run") == told(capsys, "prune", "--keep", "1")
    lines = told(capsys, "prune", "--keep", "1")
    assert lines[:2] == [f"{WHEEL}: would be deleted", f"{SDIST}: would be deleted"]
    assert lines[2] == f"dry run: nothing was written to {index.location}"
    assert lines[3].startswith("2 files of 1 project, ")
    assert lines[3].endswith(": say --yes to delete them.")
    assert snapshot(index) == before
    lines = told(capsys, "prune", "--keep", "1", "--yes")
    assert lines[:2] == [f"{WHEEL}: deleted", f"{SDIST}: deleted"]
    assert lines[2].startswith("deleted: 2 files of 1 project, ")
    assert told(capsys, "prune", "--keep", "1", "--yes") == ["No release goes by this rule."]
    check_at_rest(index)
    assert orphans(index) == []


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        (["--older-than", "45"], {SDIST, WHEEL}),
        (["--older-than", "45d", "other"], set()),
        (["--older-than", "45 days", "--keep", "9"], set()),
        (["--older-than", "29", "--pre"], set()),
        (["--dev"], {"demo-2.0.dev1.tar.gz"}),
        (["--pre", "Demo"], {"demo-2.0.dev1.tar.gz"}),
        (["--yanked"], set()),
        (["--yanked", "--dev", "--keep", "1"], set()),
    ],
)
def test_rules(index: LocalStorage, capsys: Printed, rule: list[str], gone: set[str]) -> None:
    result = as_json(capsys, "prune", *rule)
    assert result["dry_run"] is True
    assert {name for project in result["projects"] for name in project["removed"]} == gone
    result = as_json(capsys, "prune", *rule, "--yes")
    assert result["dry_run"] is False
    assert {name for project in result["projects"] for name in project["removed"]} == gone
    assert not gone & set(filenames(index, "demo"))
    assert told(capsys, "-q", "prune", *rule) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prune"], "nothing says which releases may go"),
        (["prune", "demo", "--yes"], "nothing says which releases may go"),
        (["prune", "--keep", "0"], "--keep takes 1 or more"),
        (["prune", "--keep", "-1"], "--keep takes 1 or more"),
        (["prune", "--older-than", "soon"], "'soon' is no number of days"),
        (["prune", "--older-than", ""], "'' is no number of days"),
        (["prune", "--older-than", "-3", "--pre"], "--older-than"),
        (["prune", "demo==1.0", "--pre"], "'demo==1.0' is a release"),
        (["yank", "demo"], "'demo' names no release"),
        (["yank", "demo=1.0"], "'demo=1.0' is neither NAME nor NAME==VERSION"),
        (["yank", "demo==one"], "'one' is no version"),
        (["yank", "demo==1.0", "--reason", "a\nb"], "the reason has control characters"),
        (["status", "demo==1.0", "archived"], "'demo==1.0' is a release"),
        (["status", "demo", "archived", "--reason", "\x07"], "the reason has control characters"),
        (["status", "demo", "closed"], "invalid choice: 'closed'"),
        (["delete", "demo[extra]"], "is neither NAME nor NAME==VERSION"),
        (["promote", "demo", "--to", "./other"], "'demo' names no release"),
        (["promote", "demo==1.0"], "--to"),
        (["promote", "demo==1.0", "--to", "./simple"], "--to names the repository that they come from"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_two(
    index: LocalStorage, capsys: Printed, arguments: list[str], words: str
) -> None:
    before = snapshot(index)
    try:
        code = main(arguments)
    except SystemExit as left:
        code = int(left.code or 0)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert words in err
    assert snapshot(index) == before


@pytest.mark.parametrize(
    "arguments",
    [["yank", "demo==9"], ["unyank", "demo==1.0", "nothing.whl"], ["status", "demon", "archived"], ["delete", "demo==9", "--yes"],
     ["prune", "demon", "--pre"], ["promote", "demo==9", "--to", "./other"]],
)  # fmt: skip
def test_what_is_not_there_is_exit_code_one(index: LocalStorage, capsys: Printed, arguments: list[str]) -> None:
    before = snapshot(index)
    error, hint = told(capsys, *arguments, code=1)
    assert error.startswith("error: there is no ")
    assert hint
    assert snapshot(index) == before


@pytest.mark.parametrize(
    "arguments",
    [["yank", "demo==1.0"], ["status", "demo", "quarantined"], ["delete", "demo==1.0"], ["delete", "demo", "--yes"],
     ["promote", "demo==1.0", "--to", "./production"]],
)  # fmt: skip
def test_a_dry_run_says_what_would_be_and_writes_nothing(
    index: LocalStorage, tmp_path: Path, capsys: Printed, arguments: list[str]
) -> None:
    before = snapshot(index)
    lines = told(capsys, *arguments, "--dry-run")
    assert "would be" in lines[0]
    assert "dry run: nothing was written to " in lines[-1]
    assert as_json(capsys, *arguments, "-n")["dry_run"] is True
    assert snapshot(index) == before
    assert not (tmp_path / "production").exists()


# -- promote ------------------------------------------------------------------------------------------------------------------


def test_promote_tells_what_arrived_where(index: LocalStorage, tmp_path: Path, capsys: Printed) -> None:
    production = LocalStorage(tmp_path / "production")
    assert told(capsys, "promote", "demo==1.0", "other==1.0", "--to", "./production") == [
        f"{WHEEL}: published",
        f"{SDIST}: published",
        "other-1.0.tar.gz: published",
        f"demo 1.0 is in {production.location}",
        f"other 1.0 is in {production.location}",
    ]
    check_at_rest(production)
    assert told(capsys, "promote", "demo==1.0", "--to", "./production")[0] == f"{WHEEL}: already there"
    assert told(capsys, "-q", "promote", "demo==1.1", "--to", "./production") == []


def test_promote_for_machines(index: LocalStorage, tmp_path: Path, capsys: Printed) -> None:
    result = as_json(capsys, "promote", "demo==1.1", "--to", "./production")
    assert result["from"] == index.location
    assert result["repository"] == str(tmp_path / "production")
    assert [(file["filename"], file["outcome"]) for file in result["files"]] == [("demo-1.1.tar.gz", "published")]


def test_other_bytes_in_the_other_one_are_refused_unless_it_is_said(
    index: LocalStorage, dist: Path, tmp_path: Path, capsys: Printed
) -> None:
    production = LocalStorage(tmp_path / "production")
    publish.publish([artifact.read(dist / "rebuilt" / SDIST)], production)
    promote = ("promote", "demo==1.0", "--to", "./production")
    assert "published already with other bytes" in told(capsys, *promote, code=1)[0]
    assert filenames(production, "demo") == [SDIST]
    assert told(capsys, *promote, "--skip-existing")[:2] == [f"{WHEEL}: published", f"{SDIST}: kept as published before"]
    assert told(capsys, *promote, "--replace")[1] == f"{SDIST}: published in place of the one before"
    check_at_rest(production)


def test_errors_about_the_other_one_name_its_flag(index: LocalStorage, capsys: Printed) -> None:
    assert told(capsys, "promote", "demo==1.0", "--to", "nowhere", code=1)[0].startswith(
        "error: --to: there is no section [nowhere]"
    )
    assert told(capsys, "promote", "demo==1.0", "--to", "", code=1)[0] == "error: --to: the value is empty"


def test_sections_of_the_users_file_may_be_promoted_between(
    index: LocalStorage, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = "[{}]\ntype = local-filesystem\nbase_path = {}\nindex_url = https://{}.example/\n"
    (tmp_path / "my.cfg").write_text("".join(section.format(name, name, name) for name in ("simple", "production")))
    lines = told(capsys, "-c", "my.cfg", "-r", "simple", "promote", "demo==1.1", "--to", "production")
    assert lines[0] == "demo-1.1.tar.gz: published"
    assert lines[-1].strip() == "pip install --index-url https://production.example/ demo==1.1"


# -- from Python --------------------------------------------------------------------------------------------------------------


def test_the_same_from_python(index: LocalStorage, tmp_path: Path) -> None:
    staging, production = (open_repository(str(tmp_path / name), environ={}) for name in ("simple", "production"))
    one = Target.parse("demo==1.0")
    assert staging.preview_promotion([one], production)[0].outcome is Outcome.PUBLISHED
    assert len(staging.promote([one], production)) == 2
    assert staging.preview_change("demo", edits.yank(one)).changed
    assert len(staging.change("demo", edits.yank(one)).marked) == 2
    keeping = Retention(keep=1)
    assert [change.after.name for change in staging.preview_prune(keeping)] == ["demo"]
    assert len(staging.prune(keeping, ["demo"])[0].removed) == 2
    assert staging.remove("other", edits.delete(Target("other"), datetime.now(timezone.utc))).after.held_files == ()
    check_at_rest(index)
