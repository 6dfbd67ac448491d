"""Shows on a terminal how far something long is: a bar where rich is installed, else one plain line. Elsewhere nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeAlias

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


#: Told, again and again, how many things are done and how many there are.
Counted: TypeAlias = Callable[[int, int], object]
#: Things from which going through them may take long enough for somebody to wonder.
MANY = 200


@contextmanager
def counted_on(stream: TextIO | None, doing: str) -> Iterator[Counted]:
    """Give a progress that shows on *stream*, if it is a terminal, how far one is with :data:`MANY` things or more.

    :param doing: what is done to them, as ``reading projects``.
    """
    if stream is None or not stream.isatty():
        yield lambda _done, _all: None
        return
    try:
        import rich.console
        import rich.progress
    except ImportError:
        yield _counted_plainly(stream, doing)
        return
    columns = (*rich.progress.Progress.get_default_columns(), rich.progress.MofNCompleteColumn())
    with rich.progress.Progress(*columns, console=rich.console.Console(file=stream), transient=True) as bars:
        task = bars.add_task(doing, total=None, visible=False)
        yield lambda done, count: bars.update(task, completed=done, total=count, visible=count >= MANY)


def _counted_plainly(stream: TextIO, doing: str) -> Counted:
    def line(done: int, count: int) -> None:
        if done == 0 and count >= MANY:
            print(f"{doing} ({count})", file=stream, flush=True)

    return line


def _plainly(stream: TextIO) -> Progress:
    def line(filename: str, size: int) -> Sent:
        if size >= LONG:
            print(f"sending {printable(filename)} ({size / 1_000_000:.1f} MB)", file=stream, flush=True)
        return quietly(filename, size)

    return line
