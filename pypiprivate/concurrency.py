"""Several calls at once, or in turn: whoever makes them need not know which."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Requests in flight at once.
WORKERS = 16
# Results of a stream that may wait for a slower one before them, for each worker.
_AHEAD = 4


class Gather(Protocol):
    """Runs calls, at once or in turn, and returns their results in order."""

    def __call__(self, calls: Sequence[Callable[[], T]], /) -> list[T]:
        """Run *calls*; the first error is raised."""


def concurrently(calls: Sequence[Callable[[], T]], /, workers: int = WORKERS) -> list[T]:
    """Run *calls* in threads and return their results in order; the first error ends what has not begun."""
    if len(calls) == 1:
        return [calls[0]()]
    pool = ThreadPoolExecutor(workers)
    try:
        results = [future.result() for future in [pool.submit(call) for call in calls]]
    except BaseException as error:
        # An error waits for what is under way, so that nothing is written behind the caller's back; Ctrl-C does not.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
    return results


class Stream(Protocol):
    """Runs calls, some of them ahead, and yields their results in order; takes no more calls than it is ahead."""

    def __call__(self, calls: Iterable[Callable[[], T]], /) -> Iterator[T]:
        """Run *calls*; the first error is raised."""


def in_turn(calls: Iterable[Callable[[], T]], /) -> Iterator[T]:
    """Run each call when its result is asked for."""
    return (call() for call in calls)


def singly(calls: Sequence[Callable[[], T]], /) -> list[T]:
    """Run calls one after another: where many projects are changed at once, each has one request under way."""
    return [call() for call in calls]


@contextmanager
def streaming(workers: int = WORKERS) -> Iterator[Stream]:
    """Give a :class:`Stream` that runs so many calls at once, all its uses taken together, however many there are to come.

    Its calls may be made from the results of another use of it, but must not wait for one.
    """
    if workers == 1:
        yield in_turn
        return
    pool = ThreadPoolExecutor(workers)

    def streamed(calls: Iterable[Callable[[], T]], /) -> Iterator[T]:
        ahead: deque[Future[T]] = deque()
        for call in calls:
            ahead.append(pool.submit(call))
            if len(ahead) == workers * _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    try:
        yield streamed
    except BaseException as error:
        # As above: nothing is done behind the caller's back, but Ctrl-C does not wait.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
