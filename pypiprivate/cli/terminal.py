"""What the program prints, and asks: messages on standard error, results on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..errors import PypiPrivateError, UnsupportedIndex, printable

#: What is true of every command.
RESCUE = "Running the same command again is safe and finishes what was begun."


def say(text: str) -> None:
    """Print a message for people."""
    # Whoever closed our standard error does not want to know, and it changes nothing of what was done.
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print a result for people. Who closes the pipe, as ``head`` does, has read enough.

    :raises PypiPrivateError: standard output takes no more.
    """
    with suppress(_Closed):
        _print("\n".join(map(printable, lines)))


def print_json(value: Any) -> None:
    """Print a result for machines: one JSON document on one line.

    :raises PypiPrivateError: standard output takes no more.
    """
    import json

    _print(json.dumps(value))


class _Closed(PypiPrivateError):
    """Nobody reads standard output any more."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, columns as wide as what stands in them; none where there are no rows."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (header, *cells)]


def tell_failure(error: PypiPrivateError, *, as_json: bool) -> None:
    """Print what went wrong and the way out."""
    if as_json:
        with suppress(PypiPrivateError):
            print_json({"error": {"kind": type(error).__name__, "message": str(error), "hint": error.hint}})
    for line in filter(None, (f"error: {error}", error.hint)):
        say(line)


def tell_unread(errors: Iterable[UnsupportedIndex]) -> int:
    """Print which projects could not be understood, after the others were done; return the exit code."""
    lines = sorted(f"error: {error}" for error in errors)
    for line in lines:
        say(line)
    if lines:
        say("The other projects are done. pypi-private verify says what to do about this.")
    return 1 if lines else 0


def unread_as_json(errors: Iterable[UnsupportedIndex]) -> dict[str, Any]:
    """Return the same for machines; keys are only ever added."""
    return {"unreadable": [{"key": error.key, "reason": error.reason} for error in sorted(errors, key=attrgetter("key"))]}


def is_confirmed(question: str) -> bool | None:
    """Ask whoever sits there; None where nobody does."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    except UnicodeDecodeError:
        return False


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  or Python tries again at its exit, and complains
        kind = _Closed if isinstance(error, BrokenPipeError) else PypiPrivateError
        raise kind(f"the result cannot be printed: {error.strerror}.", hint=RESCUE) from error
