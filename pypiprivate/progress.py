"""Shows on a terminal how far a long upload is: a bar where rich is installed, else one plain line. Elsewhere nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .errors import printable
from .publish import Progress, quietly
from .storage.base import Sent

#: Bytes from which an upload may take long enough for somebody to wonder.
LONG = 8 * 1024 * 1024


@contextmanager
def shown_on(stream: TextIO | None) -> Iterator[Progress]:
    """Give a progress that shows uploads of :data:`LONG` bytes or more on *stream*, if there is one and it is a terminal."""
    if stream is None or not stream.isatty():
        yield quietly
        return
    try:
        import rich.console
        import rich.progress
    except ImportError:
        yield _plainly(stream)
        return
    console = rich.console.Console(file=stream)
    with rich.progress.Progress(*rich.progress.Progress.get_default_columns(), console=console, transient=True) as bars:

        def bar(filename: str, size: int) -> Sent:
            if size < LONG:
                return quietly(filename, size)
            task = bars.add_task(printable(filename), total=size)
            return lambda count: bars.advance(task, count)

        yield bar


def _plainly(stream: TextIO) -> Progress:
    def line(filename: str, size: int) -> Sent:
        if size >= LONG:
            print(f"sending {printable(filename)} ({size / 1_000_000:.1f} MB)", file=stream, flush=True)
        return quietly(filename, size)

    return line
