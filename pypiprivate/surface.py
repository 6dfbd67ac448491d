"""What every surface does alike, be it a command, a program or a hook: publish or preview, and show what we log meanwhile."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from . import progress, report
from .errors import printable
from .publish import Receipt
from .repository import Repository


@dataclass(frozen=True)
class Told:
    """What came of it: a receipt for each file, and the same in lines for people."""

    receipts: tuple[Receipt, ...]
    lines: tuple[str, ...]


def publish(repository: Repository, paths: Iterable[Path], watched: TextIO | None) -> Told:
    """Publish the files, and show on *watched*, if anybody is to see it, how far that is.

    :raises PypiPrivateError: see :meth:`.Repository.publish`.
    """
    with progress.display_on(watched) as display, display.waiting("publishing"):
        receipts = repository.publish(paths, reading=display.files("reading {}"), progress=display.files("sending {}"))
    return Told(receipts, tuple(report.lines(receipts, repository.storage.location, repository.settings.index_url)))


def preview(repository: Repository, paths: Iterable[Path], watched: TextIO | None) -> Told:
    """Say what :func:`publish` would do, and write nothing. Arguments, results and errors are the same."""
    with progress.display_on(watched) as display, display.waiting("looking at what is published"):
        receipts = repository.preview(paths, reading=display.files("reading {}"))
    return Told(receipts, tuple(report.intentions(receipts, repository.storage.location)))


@contextmanager
def logged_by(handler: logging.Handler) -> Iterator[None]:
    """Give what we log to *handler* alone, on one line and without control characters."""
    ours = logging.getLogger(__package__)
    level, propagate, others = ours.level, ours.propagate, ours.handlers
    handler.setFormatter(OneLine("%(message)s"))
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.handlers, ours.propagate = others, propagate
        ours.setLevel(level)


class OnStandardError(logging.Handler):
    """Writes to what standard error is at the moment: while a display draws there, lines come above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        with suppress(OSError, ValueError):  # nobody reads it any more
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201  to the terminal, as it is meant


class OneLine(logging.Formatter):
    """Formats what is logged so that no file name or answer of a server can steer the terminal or forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record on one line and without control characters."""
        return printable(super().format(record))
