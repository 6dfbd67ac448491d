"""``pypi-private``: gathers settings and files, calls the repository, prints.

Exit codes: 0 done (also "already there"), 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import PypiPrivateError, printable
from .options import UsageError, general_options
from .overview import GROUPS
from .terminal import RESCUE, say, tell_failure


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``pypi-private`` and return its exit code.

    :param argv: the arguments after the program's name; None: those of this process.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for the rest of the process
    _let_print_anything()
    words = sys.argv[1:] if argv is None else argv
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    arguments, unknown = _parser(words).parse_known_args(words)
    if unknown:
        arguments.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    _log_to_stderr(arguments.verbose - arguments.quiet)
    try:
        with _interruptible():
            return int(arguments.run(arguments))
    except PypiPrivateError as error:
        tell_failure(error, as_json=arguments.json)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        say(f"interrupted. {RESCUE}")
        # Requests to a store that hangs may be under way in other threads, which an orderly exit would wait for.
        os._exit(1)


def _let_print_anything() -> None:
    """What metadata say may not be in the alphabet of a terminal or a pipe: such letters are shown as their numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complete() -> NoReturn:
    """Answer the shell that asks, which is nobody else's to pay for."""
    from .completing import complete

    complete(_parser(os.environ.get("COMP_LINE", "").split()))


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line of these words. The commands that are not among them are known by name only."""
    about = "Publish Python projects to your own private package index, with no server to run."
    parser = _Parser(
        prog="pypi-private",
        description=about,
        epilog=_overview(),
        parents=[general_options()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pypiprivate {__version__}")
    parser.set_defaults(verbose=0, quiet=0, config=None, env_interpolation=False, project_path=Path(), repository=None)
    commands: Any = parser.add_subparsers(metavar="COMMAND", required=True, help="see below; COMMAND --help says more of each")
    for summary in (summary for _, group in GROUPS for summary in group):
        # Without `help`: the overview lists them, by group.
        if summary.name not in words:
            commands.add_parser(summary.name)
            continue
        command_parser = commands.add_parser(summary.name, description=summary.about, parents=[general_options()])
        command = summary.load()
        command.configure(command_parser)
        # What the command does not know is refused with its own usage.
        command_parser.set_defaults(run=command.run, refuse=command_parser.error)
    return parser


def _overview() -> str:
    """Return all commands, a line each, by what they are for."""
    width = max(len(summary.name) for _, group in GROUPS for summary in group)
    groups = ([f"{title}:", *(f"  {each.name.ljust(width)}  {each.about}" for each in group)] for title, group in GROUPS)
    return "\n\n".join("\n".join(lines) for lines in groups)


class _Parser(argparse.ArgumentParser):
    """A wildcard may turn a file name into an option, which the error about it quotes."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _log_to_stderr(verbosity: int) -> None:
    import logging

    from .. import surface

    levels = {-1: logging.WARNING, 0: logging.WARNING, 1: logging.INFO}
    handler = surface.OnStandardError()
    handler.setFormatter(surface.OneLine("%(levelname)s: %(message)s"))
    logger = logging.getLogger("pypiprivate")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if verbosity < -1 else levels.get(verbosity, logging.DEBUG))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: with a sentence, and nothing half-done that a re-run would not finish.

    Until then, and from then on, an interruption does what it did before: see :mod:`pypiprivate.__main__`.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
