"""``pypi-private``: gathers settings and files, calls the repository, prints.

Exit codes: 0 done (also "already there"), 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, artifact, config, progress, report
from .errors import PypiPrivateError, printable
from .model import Existing
from .repository import Repository

_RESCUE = "Running the same command again is safe and finishes what was begun."


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pypi-private`` and return its exit code.

    :param argv: the arguments after the program's name; None: those of this process.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for the rest of the process
    arguments = _parser().parse_args(argv)
    _log_to_stderr(arguments.verbose - arguments.quiet)
    try:
        with _interruptible():
            arguments.run(arguments)
    except PypiPrivateError as error:
        _tell_failure(error, as_json=arguments.json)
        return 1
    except KeyboardInterrupt:
        _say(f"interrupted. {_RESCUE}")
        # Requests to a store that hangs may be under way in other threads, which an orderly exit would wait for.
        os._exit(1)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = "Publish Python projects to your own private package index, with no server to run."
    parser = _Parser(prog="pypi-private", description=about, parents=[_general_options()])
    parser.add_argument("--version", action="version", version=f"pypiprivate {__version__}")
    parser.set_defaults(verbose=0, quiet=0, config=None, env_interpolation=False, project_path=Path(), repository=None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_publish(commands)
    _add_upload(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """A wildcard may turn a file name into an option, which the error about it quotes."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _general_options() -> argparse.ArgumentParser:
    """Return what may stand before a command's name or behind it; without defaults, so that one place does not undo the other."""
    general = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    general.add_argument("-v", "--verbose", action="count", help="say what is done; twice: in detail")
    general.add_argument("-q", "--quiet", action="count", help="say nothing but warnings and errors; twice: errors only")
    general.add_argument("-c", "--config", "--conf-path", metavar="FILE", help=f"the user's file (default: {config.USER_FILE})")
    general.add_argument("-i", "--env-interpolation", action="store_true", help="let %%(NAME)s in it mean environment variables")
    general.add_argument("-p", "--project-path", metavar="DIR", type=Path, help="the project (default: here)")
    general.add_argument("-r", "--repository", metavar="REPOSITORY", help="a section of the user's file, a URL or a path")
    return general


def _add_publish(commands: Any) -> None:
    about = "publish the artifacts of one release that lie in the dist directory"
    publish = commands.add_parser("publish", help=about, description=about, parents=[_general_options()])
    publish.add_argument("name", metavar="NAME")
    publish.add_argument("release", metavar="VERSION")
    publish.add_argument("-d", "--dist-dir", metavar="DIST_DIR", help="where they lie, relative to the project (default: dist)")
    _add_publishing_options(publish)
    publish.set_defaults(run=_publish)


def _add_upload(commands: Any) -> None:
    about = "publish these files; they are relative to the current directory"
    upload = commands.add_parser("upload", help=about, description=about, parents=[_general_options()])
    upload.add_argument("files", metavar="FILE", nargs="+", type=Path)
    _add_publishing_options(upload)
    upload.set_defaults(run=_upload)


def _add_publishing_options(command: argparse.ArgumentParser) -> None:
    existing = command.add_mutually_exclusive_group()
    choices = [choice.value for choice in Existing]
    existing.add_argument(
        "--existing", choices=choices, help="a file that is published already with other bytes (default: refuse)"
    )
    existing.add_argument(
        "--skip-existing", dest="existing", action="store_const", const="keep", help="the same as --existing keep"
    )
    existing.add_argument(
        "--replace", dest="existing", action="store_const", const="replace", help="the same as --existing replace"
    )
    command.add_argument("-n", "--dry-run", action="store_true", help="say what would be done, and write nothing")
    command.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def _publish(arguments: argparse.Namespace) -> None:
    settings = _settings(arguments, dist_dir=arguments.dist_dir)
    directory = settings.dist_dir or arguments.project_path / "dist"
    _send(arguments, settings, artifact.select(directory, arguments.name, arguments.release))


def _upload(arguments: argparse.Namespace) -> None:
    _send(arguments, _settings(arguments), arguments.files)


def _settings(arguments: argparse.Namespace, **flags: str | None) -> config.Settings:
    return config.load(
        flags={"repository": arguments.repository, "config": arguments.config, "existing": arguments.existing, **flags},
        project=arguments.project_path,
        environ=os.environ,
        interpolate=arguments.env_interpolation,
    )


def _send(arguments: argparse.Namespace, settings: config.Settings, paths: Iterable[Path]) -> None:
    repository = Repository(settings)
    if arguments.dry_run:
        receipts = repository.preview(paths)
        lines = report.intentions(receipts, repository.storage.location)
    else:
        with progress.shown_on(sys.stderr) as shown:
            receipts = repository.publish(paths, progress=shown)
        lines = report.lines(receipts, repository.storage.location, settings.index_url)
    if arguments.json:
        _print_json(report.as_json(receipts, repository.storage.location, settings.index_url) | {"dry_run": arguments.dry_run})
    elif not arguments.quiet:
        for line in lines:
            _say(line)


def _tell_failure(error: PypiPrivateError, *, as_json: bool) -> None:
    if as_json:
        with suppress(PypiPrivateError):
            _print_json({"error": {"kind": type(error).__name__, "message": str(error), "hint": error.hint}})
    for line in filter(None, (f"error: {error}", error.hint)):
        _say(line)


def _print_json(value: Any) -> None:
    try:
        print(json.dumps(value), flush=True)
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  or Python tries again at its exit, and complains
        raise PypiPrivateError(f"the result cannot be printed: {error.strerror}.", hint=_RESCUE) from error


def _say(text: str) -> None:
    # Whoever closed our standard error does not want to know, and it changes nothing of what was done.
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def _log_to_stderr(verbosity: int) -> None:
    levels = {-1: logging.WARNING, 0: logging.WARNING, 1: logging.INFO}
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logger = logging.getLogger("pypiprivate")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if verbosity < -1 else levels.get(verbosity, logging.DEBUG))


class _OneLine(logging.Formatter):
    """No file name or answer of a server can steer the terminal or forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: with a sentence, and nothing half-done that a re-run would not finish."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
