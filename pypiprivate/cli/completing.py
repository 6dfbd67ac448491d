"""``completion``: what lets a shell complete the words of a command line. Needs argcomplete, the extra ``completion``."""

from __future__ import annotations

import argparse
import os

from ..errors import PypiPrivateError
from .options import Command
from .terminal import print_lines

#: The shells that argcomplete writes a script for, and that we try.
_SHELLS = ("bash", "zsh", "fish")


def complete_if_asked(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it is a shell that asks; nobody else pays for it."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        raise SystemExit(0) from None  # the shell shows no errors, and expects no command to run
    argcomplete.autocomplete(parser)


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


COMMANDS = (Command("completion", "print what lets bash, zsh or fish complete these commands", _add_completion, _completion),)
