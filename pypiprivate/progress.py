"""Shows how far something is that takes longer than a moment: bars on a terminal where rich is installed, else lines.

Lines are for logs, too: one as soon as something turns out to be long, one every half minute, and one when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, RLock, Thread
from typing import TYPE_CHECKING, TextIO, TypeAlias

from .errors import printable
from .wording import duration_of, number_of, size_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from .storage.base import Progress, Sent

#: Seconds after which somebody may wonder.
PATIENCE = 2.0
#: Seconds between two lines about the same thing.
PAUSE = 30.0
#: Seconds between two looks at what is under way.
_TICK = 0.25

#: Told, again and again, how many things are done and how many there are.
Counted: TypeAlias = Callable[[int, int], object]
#: Writes an amount for people.
Measure: TypeAlias = Callable[[float], str]


@dataclass(eq=False)
class Task:
    """Something that is under way. Parts of it may be done in several threads.

    :ivar doing: what is done. ``measure``: writes how much of it.
    :ivar total: how much there is of it; None where nobody knows that (yet).
    :ivar begun: when, in seconds of the display's clock. ``said``: when it was told of last.
    """

    doing: str
    total: int | None
    measure: Measure
    begun: float
    done: int = 0
    said: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def advance(self, count: int) -> int:
        """Add to what is done, and return how much that is."""
        with self._lock:
            self.done += count
            return self.done

    def state(self, now: float) -> str:
        """Say how far it is, how fast it goes, and how long the rest will take."""
        passed = now - self.begun
        if self.total is None:
            return f"{self.measure(self.done)} in {duration_of(passed)}" if self.done else f"{duration_of(passed)} so far"
        state = f"{self.measure(self.done)} of {self.measure(self.total)}"
        if self.done <= 0 or passed <= 0:
            return state
        rate = self.done / passed
        return f"{state}, {self.measure(rate)}/s, {duration_of(max(0, self.total - self.done) / rate)} to go"

    def outcome(self, now: float) -> str:
        """Say what it came to."""
        amount = f", {self.measure(self.done)}" if self.done else ""
        return f"done{amount} in {duration_of(now - self.begun)}"


@dataclass
class Display:
    """What is under way, to be shown in one place.

    :ivar clock: gives the present moment in seconds.
    :ivar ended: is told of what is done. ``tasks``: what is not; only to be read with the ``lock``.
    """

    clock: Callable[[], float] = time.monotonic
    ended: Callable[[Task], object] = lambda _task: None
    tasks: list[Task] = field(default_factory=list)
    lock: AbstractContextManager[bool] = field(default_factory=RLock)

    def files(self, doing: str) -> Progress:
        """Return a progress that shows how much of each file is done.

        :param doing: what is done with a file, whose name stands for ``{}``.
        """
        return lambda name, size: self._parts(doing.format(printable(name)), size, size_of)

    def numbers(self, doing: str) -> Progress:
        """Return the same for what is counted, as the objects of a project, whose name stands for ``{}``."""
        return lambda name, count: self._parts(doing.format(printable(name)), count, number_of)

    @contextmanager
    def counting(self, doing: str) -> Iterator[Counted]:
        """Show how far one is with many things, of which is told how many they are as soon as that is known.

        :param doing: what is done with them, as ``reading projects``.
        """
        with self._under_way(doing) as task:

            def counted(done: int, count: int) -> None:
                task.total = count
                task.advance(done - task.done)

            yield counted

    @contextmanager
    def waiting(self, doing: str) -> Iterator[Callable[[], object]]:
        """Show for how long one is at something of which nobody knows the end; what is given may be told of each part."""
        with self._under_way(doing) as task:
            yield lambda: task.advance(1)

    @contextmanager
    def _under_way(self, doing: str) -> Iterator[Task]:
        task = self._begin(doing, None, number_of)
        yield task
        self._end(task)  # not what failed

    def _parts(self, doing: str, total: int, measure: Measure) -> Sent:
        if not total:  # of which nobody would hear the end
            return lambda _: None
        task = self._begin(doing, total, measure)

        def sent(count: int) -> None:
            if task.advance(count) >= total:
                self._end(task)

        return sent

    def long(self, patience: float) -> list[Task]:
        """Return what takes longer than *patience*; what has no known end only where nothing else does."""
        with self.lock:
            begun = self.clock() - patience
            long = [task for task in self.tasks if task.begun <= begun]
        return [task for task in long if task.total is not None] or long

    def _begin(self, doing: str, total: int | None, measure: Measure) -> Task:
        task = Task(doing, total, measure, self.clock())
        with self.lock:
            self.tasks.append(task)
        return task

    def _end(self, task: Task) -> None:
        with self.lock:
            if task in self.tasks:
                self.tasks.remove(task)
                self.ended(task)


def display_on(stream: TextIO | None, *, patience: float = PATIENCE) -> AbstractContextManager[Display]:
    """Give a display that shows on *stream*, if there is one, what takes long.

    :param patience: seconds after which something takes long.
    """
    if stream is None:
        return nullcontext(Display())
    return _shown(Lines(stream, patience), _draw if stream.isatty() else _tell)


@contextmanager
def _shown(lines: Lines, show: Callable[[Lines, Event], None]) -> Iterator[Display]:
    """Show what is under way by a thread of its own, also while nothing moves."""
    ended = Event()
    watcher = Thread(target=show, args=(lines, ended), name="progress", daemon=True)
    watcher.start()
    try:
        yield lines.display
    finally:
        ended.set()
        watcher.join()


# -- lines --------------------------------------------------------------------------------------------------------------------


@dataclass
class Lines:
    """Tells of what is under way in lines on a stream.

    :ivar patience: seconds after which something is told of.
    :ivar clock: gives the present moment in seconds.
    :ivar display: what is told of.
    """

    stream: TextIO
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    display: Display = field(init=False)

    def __post_init__(self) -> None:
        self.display = Display(self.clock, self._tell_end)

    def tick(self) -> None:
        """Tell of whatever is due."""
        with self.display.lock:
            now = self.clock()
            for task in self.display.long(self.patience):
                if task.said is None or now >= task.said + PAUSE:
                    task.said = now
                    self._say(f"{task.doing}: {task.state(now)}")

    def _tell_end(self, task: Task) -> None:
        if task.said is not None:
            self._say(f"{task.doing}: {task.outcome(self.clock())}")

    def _say(self, line: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            print(line, file=self.stream, flush=True)


def _tell(lines: Lines, ended: Event) -> None:
    """Look every now and then whether there is something to tell."""
    while not ended.wait(_TICK):
        lines.tick()


# -- bars ---------------------------------------------------------------------------------------------------------------------


def _console(stream: TextIO) -> Console | None:
    """Return a console that can draw; None for a terminal that cannot."""
    from rich.console import Console

    console = Console(file=stream)
    return None if console.is_dumb_terminal else console


def _draw(lines: Lines, ended: Event) -> None:
    """Draw a bar for each thing that takes long, as long as it is under way; where that cannot be, tell of it in lines."""
    # Most often there is nothing to draw, and to be able to takes longer than to ask.
    while not lines.display.long(lines.patience):
        if ended.wait(_TICK):
            return
    with suppress(ImportError, OSError, ValueError):  # nothing draws, or nobody looks any more
        if console := _console(lines.stream):
            with _bars(lines, console):
                ended.wait()
            return
    _tell(lines, ended)


def _bars(lines: Lines, console: Console) -> Live:
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def bars() -> Table:
        table = Table.grid(padding=(0, 1))
        for task in lines.display.long(lines.patience):
            bar = ProgressBar(total=task.total, completed=task.done, width=40)
            table.add_row(Text(task.doing), bar, Text(task.state(lines.clock())))
        return table

    return Live(get_renderable=bars, console=console, transient=True, refresh_per_second=10)
