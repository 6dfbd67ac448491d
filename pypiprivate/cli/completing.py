"""``completion``: what lets a shell complete the words of a command line. Needs argcomplete, the extra ``completion``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import NoReturn

from ..errors import PypiPrivateError
from .options import Command
from .terminal import print_lines

#: The shells that argcomplete writes a script for, and that we try.
_SHELLS = ("bash", "zsh", "fish")


def complete(parser: argparse.ArgumentParser) -> NoReturn:
    """Answer the shell that asks, and end."""
    with suppress(ImportError):  # the shell shows no errors, and expects no command to run
        import argcomplete

        argcomplete.autocomplete(parser)
    raise SystemExit(0)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    parser.set_defaults(json=False)


def _completion(arguments: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        raise PypiPrivateError(
            "completion needs argcomplete, which is not installed.", hint="pip install 'pypiprivate[completion]'"
        ) from error
    print_lines(shellcode(["pypi-private"], shell=arguments.shell).splitlines())
    return 0


COMMANDS = (Command("completion", _add_completion, _completion),)
