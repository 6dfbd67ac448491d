"""What a command shows while it takes long. :mod:`..progress`, which does it, is imported when there is something to wait for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ..findings import Counted
    from ..progress import Display


def watched(arguments: argparse.Namespace) -> TextIO | None:
    """Return where it is to be shown what takes long; None: nowhere."""
    return None if arguments.quiet else sys.stderr


def displayed(arguments: argparse.Namespace) -> AbstractContextManager[Display]:
    """Give what shows several things until the end of the block."""
    from .. import progress

    return progress.display_on(watched(arguments))


@contextmanager
def waiting(arguments: argparse.Namespace, doing: str) -> Iterator[Callable[[], object]]:
    """Show until the end of the block that something is being done; what is given is called when a bit of it is."""
    with displayed(arguments) as display, display.waiting(doing) as told:
        yield told


@contextmanager
def counting(arguments: argparse.Namespace, doing: str) -> Iterator[Counted]:
    """Show until the end of the block how much of it is done; what is given is told."""
    with displayed(arguments) as display, display.counting(doing) as counted:
        yield counted
