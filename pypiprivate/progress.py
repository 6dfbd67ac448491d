"""Shows how far something is that takes longer than a moment: bars on a terminal where rich is installed, else lines.

Lines are for logs, too: one as soon as something turns out to be long, one every half minute, and one when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, TextIO, TypeAlias

from .errors import printable
from .wording import duration_of, number_of, size_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from .publish import Progress
    from .storage.base import Sent

#: Seconds after which somebody may wonder.
PATIENCE = 2.0
#: Seconds between two lines about the same thing.
PAUSE = 30.0
#: Seconds between two looks at what is under way.
_TICK = 0.25

#: Told, again and again, how many things are done and how many there are.
Counted: TypeAlias = Callable[[int, int], object]
#: Begins something: what is done, and how much of it there is. What it returns is told of each part that is done.
Begin: TypeAlias = "Callable[[str, int], Sent]"
#: Writes an amount for people.
Measure: TypeAlias = Callable[[float], str]


@contextmanager
def shown_on(stream: TextIO | None, doing: str = "sending {}", *, patience: float = PATIENCE) -> Iterator[Progress]:
    """Give a progress that shows on *stream*, if there is one, how far each file is that takes long.

    :param doing: what is done with a file, whose name stands for ``{}``.
    :param patience: seconds after which something takes long.
    """
    with _under_way(stream, size_of, patience) as begin:
        yield lambda filename, size: begin(doing.format(printable(filename)), size)


@contextmanager
def counted_on(stream: TextIO | None, doing: str, *, patience: float = PATIENCE) -> Iterator[Counted]:
    """Give a progress that shows on *stream*, if there is one, how far one is with many things, if that takes long.

    :param doing: what is done with them, as ``reading projects``.
    :param patience: seconds after which it takes long.
    """
    with _under_way(stream, number_of, patience) as begin:
        advance: Sent | None = None
        seen = 0

        def counted(done: int, count: int) -> None:
            nonlocal advance, seen
            advance = advance or begin(doing, count)
            advance(done - seen)
            seen = done

        yield counted


def _under_way(stream: TextIO | None, measure: Measure, patience: float) -> AbstractContextManager[Begin]:
    if stream is None:
        return nullcontext(lambda _doing, _total: lambda _count: None)
    with suppress(ImportError):
        if stream.isatty() and (bars := _bars(stream, measure, patience)):
            return _drawn(bars)
    return _told(Lines(stream, measure, patience))


# -- lines --------------------------------------------------------------------------------------------------------------------


@dataclass
class _Task:
    doing: str
    total: int
    begun: float
    done: int = 0
    said: float | None = None


@dataclass
class Lines:
    """Tells of what is under way in lines on a stream.

    :ivar measure: writes an amount of it.
    :ivar patience: seconds after which something is told of.
    :ivar clock: gives the present moment in seconds.
    """

    stream: TextIO
    measure: Measure
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    _tasks: list[_Task] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, doing: str, total: int) -> Sent:
        """Take something up; what this returns is told of each part that is done."""
        task = _Task(doing, total, self.clock())
        with self._lock:
            self._tasks.append(task)
        return lambda count: self._advance(task, count)

    def tick(self) -> None:
        """Tell of whatever is due."""
        with self._lock:
            now = self.clock()
            for task in self._tasks:
                if now >= (task.begun + self.patience if task.said is None else task.said + PAUSE):
                    task.said = now
                    self._say(self._state(task, now - task.begun))

    def _advance(self, task: _Task, count: int) -> None:
        with self._lock:
            task.done += count
            if task.done >= task.total and task in self._tasks:
                self._tasks.remove(task)
                if task.said is not None:
                    self._say(f"{task.doing}: done, {self.measure(task.total)} in {duration_of(self.clock() - task.begun)}")

    def _state(self, task: _Task, passed: float) -> str:
        state = f"{task.doing}: {self.measure(task.done)} of {self.measure(task.total)}"
        if task.done <= 0 or not passed:
            return state
        rate = task.done / passed
        return f"{state}, {self.measure(rate)}/s, {duration_of((task.total - task.done) / rate)} to go"

    def _say(self, line: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more
            print(line, file=self.stream, flush=True)


@contextmanager
def _told(lines: Lines) -> Iterator[Begin]:
    """Look at them every now and then, also while nothing moves."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(_TICK):
            lines.tick()

    watcher = Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield lines.begin
    finally:
        ended.set()
        watcher.join()


# -- bars ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _drawn(bars: Bars) -> Iterator[Begin]:
    def begin(doing: str, total: int) -> Sent:
        task = bars.add_task(doing, total=total)
        return lambda count: bars.advance(task, count)

    with bars:
        yield begin


def _bars(stream: TextIO, measure: Measure, patience: float) -> Bars | None:
    """Return bars for what is long and not done; None for a terminal that cannot draw them."""
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Amounts(ProgressColumn):
        def render(self, task: Task) -> Text:
            rate = f", {measure(task.speed)}/s" if task.speed else ""
            return Text(f"{measure(task.completed)} of {measure(task.total or 0)}{rate}")

    class Patient(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table([task for task in self.tasks if not task.finished and (task.elapsed or 0) >= patience])

    console = Console(file=stream)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), Amounts(), TimeRemainingColumn())
    return None if console.is_dumb_terminal else Patient(*columns, console=console, transient=True)
