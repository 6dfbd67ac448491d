"""``pypi-private`` as people and scripts use it: arguments in, files and sentences out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pypiprivate import __version__
from pypiprivate.cli import main
from pypiprivate.storage.local import LocalStorage

from .builders import make_sdist, make_wheel
from .repositories import check_at_rest, filenames


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two releases in dist, and where we stand."""
    directory = tmp_path / "project"
    for version in ("1.0", "1.0.1"):
        make_sdist(directory / "dist", "demo", version)
        make_wheel(directory / "dist", "demo", version)
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "index")


Printed = pytest.CaptureFixture[str]


def test_publish_takes_exactly_the_named_release(project: Path, index: LocalStorage, capsys: Printed) -> None:
    assert main(["-r", "../index", "publish", "Demo", "1.0.0"]) == 0
    check_at_rest(index)
    assert filenames(index, "demo") == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "demo-1.0.tar.gz: published" in err
    assert "\x1b" not in err


def test_publishing_again_is_a_success_that_says_so(project: Path, index: LocalStorage, capsys: Printed) -> None:
    for _ in range(2):
        assert main(["-r", "../index", "publish", "demo", "1.0"]) == 0
    assert "already there" in capsys.readouterr().err


def test_upload_takes_files_from_anywhere(project: Path, index: LocalStorage) -> None:
    assert main(["-r", "../index", "upload", "dist/demo-1.0.tar.gz", str(project / "dist/demo-1.0.1.tar.gz")]) == 0
    assert filenames(index, "demo") == ["demo-1.0.1.tar.gz", "demo-1.0.tar.gz"]


def test_general_options_may_stand_behind_the_command_and_do_not_undo_those_before_it(
    project: Path, index: LocalStorage, capsys: Printed
) -> None:
    assert main(["-v", "publish", "demo", "1.0", "-r", "../index"]) == 0
    assert main(["-r", "../index", "publish", "-v", "demo", "1.0.1"]) == 0
    assert capsys.readouterr().err.count("INFO: wrote demo/index.json") == 2
    assert len(filenames(index, "demo")) == 4


def test_the_original_command_and_its_file_work_as_they_are(
    tmp_path: Path, project: Path, index: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.cfg").write_text("[storage]\ntype = local-filesystem\n[local-filesystem]\nbase_path = %(BASE)s/index\n")
    monkeypatch.setenv("BASE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["-v", "-c", "my.cfg", "-i", "-p", "project", "publish", "-d", "dist", "demo", "1.0"]) == 0
    assert len(filenames(index, "demo")) == 2


def test_nothing_found_lists_what_is_there(project: Path, capsys: Printed) -> None:
    assert main(["-r", "../index", "publish", "demo", "2.0"]) == 1
    err = capsys.readouterr().err
    assert "demo 2.0" in err
    assert "demo-1.0.1.tar.gz" in err


def test_a_dry_run_says_what_would_happen_and_writes_nothing(project: Path, index: LocalStorage, capsys: Printed) -> None:
    assert main(["-r", "../index", "publish", "--dry-run", "demo", "1.0"]) == 0
    assert "would be published" in capsys.readouterr().err
    assert not (project.parent / "index").exists()
    assert main(["-r", "../index", "publish", "-n", "--json", "demo", "1.0"]) == 0
    assert json.loads(capsys.readouterr().out)["dry_run"] is True


def test_json_goes_to_standard_output_and_people_are_told_nothing(project: Path, capsys: Printed) -> None:
    assert main(["-r", "../index", "publish", "--json", "demo", "1.0"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == ""
    assert [(f["filename"], f["outcome"], f["serial"]) for f in result["files"]] == [
        ("demo-1.0-py3-none-any.whl", "published", 1),
        ("demo-1.0.tar.gz", "published", 1),
    ]


def test_a_failure_is_json_too_when_asked_for(project: Path, capsys: Printed) -> None:
    assert main(["-r", "../index", "upload", "--json", "missing.whl"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["kind"] == "ArtifactError"
    assert "missing.whl" in err


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ([], 1, "published already with other bytes"),
        (["--existing", "refuse"], 1, "--skip-existing"),
        (["--skip-existing"], 0, "kept as published before"),
        (["--existing", "keep"], 0, "kept as published before"),
        (["--replace"], 0, "in place of the one before"),
    ],
)
def test_a_rebuilt_artifact_is_refused_kept_or_replaced(
    project: Path, index: LocalStorage, capsys: Printed, flags: list[str], code: int, words: str
) -> None:
    assert main(["-r", "../index", "publish", "demo", "1.0"]) == 0
    make_sdist(project / "dist", "demo", "1.0", files={"new.txt": b"new"})
    assert main(["-r", "../index", "publish", *flags, "demo", "1.0"]) == code
    assert words in capsys.readouterr().err
    check_at_rest(index)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["publish"],
        ["publish", "demo"],
        ["upload"],
        ["fly"],
        ["publish", "demo", "1.0", "--keep", "--replace"],
        ["publish", "demo", "1.0", "--skip-existing", "--replace"],
        ["publish", "demo", "1.0", "--existing", "maybe"],
    ],
)
def test_wrong_usage_is_exit_code_two(arguments: list[str], capsys: Printed) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: pypi-private" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", ""],
        ["doctor", "--public-index", ""],
        ["adopt", "--files", ""],
        ["adopt", "--from", ".", "--files", ""],
        ["adopt", "--from", ""],
    ],
)
def test_what_is_empty_is_wrong_usage(tmp_path: Path, capsys: Printed, arguments: list[str]) -> None:
    assert main(["-r", str(tmp_path), *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_terminal_cannot_show_is_shown_as_numbers(project: Path, encoding: str) -> None:
    make_wheel(project / "dist", "other", "1.0", headers={"Summary": "日本語"})
    run = [sys.executable, "-m", "pypiprivate", "-r", "../index"]
    subprocess.run([*run, "publish", "other", "1.0"], check=True)
    for arguments in (["show", "other"], ["search", "other"]):
        environ = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([*run, *arguments], env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert r"\u65e5\u672c\u8a9e" in done.stdout


def test_the_version_is_told(capsys: Printed) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"pypiprivate {__version__}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["publish", "demo", "1.0"], "repository"),
        (["-c", "missing.cfg", "publish", "demo", "1.0"], "missing.cfg"),
        (["-r", "nowhere", "publish", "demo", "1.0"], "nowhere"),
        (["-r", "user:hunter2@host", "publish", "demo", "1.0"], "may hold a password"),
        (["-r", "", "publish", "demo", "1.0"], "--repository: the value is empty"),
        (["-r", "s3://bucket", "publish", "demo", "1.0"], "--repository: there are no credentials for the bucket bucket"),
        (["-r", "http://127.0.0.1:8080/simple", "publish", "demo", "1.0"], "where clients read it is index_url"),
        (["-r", "../index", "upload", "dist/*.egg"], "dist/*.egg: there is no such file"),
        (["-r", "./setup.py", "publish", "demo", "1.0"], "setup.py"),
        (["-r", "gopher://x/y", "publish", "demo", "1.0"], "gopher"),
        (["-r", "../index", "publish", "demo", "not a version"], "not a version"),
        (["-r", "../index", "publish", "-d", "nowhere", "demo", "1.0"], "nowhere"),
        (["-r", "../index", "upload", "dist"], "directory"),
        (["-r", "../index", "upload", "setup.py"], "setup.py"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_one(project: Path, capsys: Printed, arguments: list[str], words: str) -> None:
    (project / "setup.py").write_text("")
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "hunter2" not in err
    assert "Traceback" not in err


def test_with_an_index_url_the_last_lines_say_how_to_install(project: Path, capsys: Printed) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.pypiprivate]\nrepository = "../index"\nindex_url = "https://pypi.acme.example/simple"\n'
    )
    assert main(["publish", "demo", "1.0"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].strip() == "pip install --index-url https://pypi.acme.example/simple/ demo==1.0"
    assert '    url = "https://pypi.acme.example/simple/"' in lines
    assert "--extra-index-url" not in "".join(lines)


def test_quiet_says_nothing_and_verbose_says_what_is_done(project: Path, capsys: Printed) -> None:
    assert main(["-q", "-r", "../index", "publish", "demo", "1.0"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["-v", "-r", "../index", "publish", "demo", "1.0.1"]) == 0
    assert "INFO: wrote demo/index.json" in capsys.readouterr().err
    assert main(["-qq", "-r", "../index", "upload", "missing.whl"]) == 1
    assert "missing.whl" in capsys.readouterr().err


def test_a_strange_artifact_is_warned_of_and_cannot_steer_the_terminal(project: Path, capsys: Printed) -> None:
    path = make_wheel(project / "dist", "demo", "3.0", headers={"Metadata-Version": "2.99"})
    assert main(["-r", "../index", "upload", str(path)]) == 0
    assert "WARNING: demo-3.0-py3-none-any.whl: " in capsys.readouterr().err
    assert main(["-r", "../index", "upload", "evil\x1b[2J\nname.whl"]) == 1
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "evil\\x1b[2J\\nname.whl" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_at_once_and_says_that_running_it_again_is_safe(project: Path, number: int) -> None:
    environ = {**os.environ, "PP_S3_ACCESS_KEY": "AKIAEXAMPLE", "PP_S3_SECRET_KEY": "not-to-be-seen", "NO_PROXY": "*"}
    with socket.create_server(("127.0.0.1", 0)) as store:  # takes requests and never answers
        url = f"s3://bucket/simple?region=eu-west-1&endpoint=http://127.0.0.1:{store.getsockname()[1]}"
        run = [sys.executable, "-m", "pypiprivate", "-r", url, "publish", "demo", "1.0"]
        with subprocess.Popen(run, cwd=project, env=environ, stderr=subprocess.PIPE, text=True) as process:
            request, _ = store.accept()
            with request:
                assert request.recv(3) == b"GET"
                process.send_signal(number)
                _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.startswith("interrupted. Running the same command again is safe")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["_let_print_anything", "_parser", "_interruptible", "tell_failure"])
def test_there_is_no_moment_at_which_an_interruption_ends_otherwise(project: Path, number: int, moment: str) -> None:
    """The process interrupts itself when it first comes to some function of the program."""
    program = f"""
import os, sys
from pypiprivate import cli
from pypiprivate.__main__ import main

def interrupted(*arguments, go_on=cli.{moment}, **more):
    os.kill(os.getpid(), {int(number)})
    return go_on(*arguments, **more)

sys.argv = ["pypi-private", "-r", "../index", "publish", "demo", "9"]
cli.{moment} = interrupted
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("interrupted. Running the same command again is safe")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["list"], ["verify"], ["show", "demo"], ["search", "demo"]], ids=" ".join)
def test_who_has_read_enough_ends_a_command_quietly(
    project: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: Printed
) -> None:
    assert main(["-r", "../index", "publish", "demo", "1.0"]) == 0
    capfd.readouterr()
    assert run_unread(monkeypatch, ["-q", "-r", "../index", *arguments]) == 0
    assert capfd.readouterr().err == ""
    # What nobody reads has been looked at all the same.
    Path(project.parent, "index/demo/index.html").unlink()
    assert run_unread(monkeypatch, ["-q", "-r", "../index", "verify"]) == 1


def run_unread(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    """Run the program with a standard output whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    unread = os.fdopen(writer, "w")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", unread)
        code = main(arguments)
        sys.stdout.close()
    with suppress(BrokenPipeError):
        unread.close()
    return code


@pytest.mark.parametrize("command", ["list", "-q verify", "show demo"])
def test_nothing_is_said_of_a_pipe_that_is_closed_when_the_process_ends_either(project: Path, command: str) -> None:
    assert main(["-r", "../index", "publish", "demo", "1.0"]) == 0
    piped = f"{{ {sys.executable} -m pypiprivate -r ../index {command}; echo $? >&2; }} | true"
    done = subprocess.run(["sh", "-c", piped], cwd=project, capture_output=True, text=True, check=False)
    assert done.stderr == "0\n"


@pytest.mark.parametrize("command", ["list", "gc", "upload x", "adopt"])
def test_what_a_command_does_not_know_is_refused_with_its_own_usage(command: str, capsys: Printed) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--bogus"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: pypi-private {command.split(maxsplit=1)[0]} ")
    assert said.endswith(f"pypi-private {command.split(maxsplit=1)[0]}: error: unrecognized arguments: --bogus\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(("streams", "code"), [("2>&-", 0), ("2>/dev/full", 0), ("--json >/dev/full", 1), ("--json >&- 2>&-", 0)])
def test_streams_that_are_closed_or_full_change_nothing_of_what_is_done(
    project: Path, index: LocalStorage, streams: str, code: int
) -> None:
    command = f"{sys.executable} -m pypiprivate -r ../index publish demo 1.0 {streams}"
    done = subprocess.run(["sh", "-c", command], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("cannot be printed" in done.stderr) == (code == 1)
    check_at_rest(index)


def test_a_path_from_a_directory_that_is_gone_is_one_sentence(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["-r", "./index", "upload", str(project / "dist/demo-1.0.tar.gz")]) == 1
    assert "--repository: the current directory is gone" in capsys.readouterr().err


def test_the_module_runs_as_the_program(project: Path, index: LocalStorage) -> None:
    environ = {**os.environ, "PP_REPOSITORY": str(project.parent / "index")}
    run = [sys.executable, "-W", "error", "-m", "pypiprivate", "publish", "demo", "1.0"]
    done = subprocess.run(run, cwd=project, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(filenames(index, "demo")) == 2
