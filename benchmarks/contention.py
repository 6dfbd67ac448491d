"""How many publishers a document bears: the real code, on a store in memory that answers late, in virtual time.

    python -m benchmarks.contention [--latency 0.03] [--most 128]

Nobody sleeps: a clock goes from one event to the next, so the figures are the protocol's alone, without any processor's work.
Run it from the root of the checkout.
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import TypeAlias, TypeVar

from greenlet import greenlet

from pypiprivate import artifact
from pypiprivate.artifact import Artifact
from pypiprivate.errors import Contended
from pypiprivate.publish import publish
from pypiprivate.storage.base import Entry, Sent, Stat, Storage, Stored
from pypiprivate.storage.memory import MemoryStorage
from tests.builders import make_sdist, make_wheel

T = TypeVar("T")

#: What one command publishes.
Release: TypeAlias = tuple[Artifact, ...]

#: Crowds of which the middle one is shown.
_DRAWS = 5
#: Publishes a second.
_RATES = (1, 2, 4, 8, 12, 16)


class Clock:
    """Virtual time for tasks that run in turns: each runs until it sleeps, and the one that wakes first is next.

    :ivar now: seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._waking: list[tuple[float, int, greenlet]] = []
        self._numbers = count()
        self._hub = greenlet.getcurrent()

    def start(self, call: Callable[[], object], *, after: float = 0.0) -> None:
        """Let a task begin *after* so many seconds."""
        self._wake(greenlet(call, self._hub), self.now + after)

    def run(self) -> float:
        """Run until every task has ended; return the time."""
        while self._waking:
            self.now, _, task = heapq.heappop(self._waking)
            task.switch()
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let others run for so long. Only a task may."""
        self._wake(greenlet.getcurrent(), self.now + seconds)
        self._hub.switch()

    def gather(self, calls: Sequence[Callable[[], T]], /) -> list[T]:
        """Run calls at once, each a task, and return their results in order when the last one has ended, or raise an error."""
        results: dict[int, T] = {}
        errors: dict[int, Exception] = {}
        waiting = greenlet.getcurrent()

        def run(number: int, call: Callable[[], T]) -> None:
            try:
                results[number] = call()
            except Exception as error:
                errors[number] = error
            if len(results) + len(errors) == len(calls):
                self._wake(waiting, self.now)

        for number, call in enumerate(calls):
            self.start(partial(run, number, call))
        if calls:
            self._hub.switch()
        for error in errors.values():
            raise error
        return [results[number] for number in range(len(calls))]

    def _wake(self, task: greenlet, at: float) -> None:
        heapq.heappush(self._waking, (at, next(self._numbers), task))


@dataclass
class Distant:
    """A storage so many seconds away, there and back; what it does takes no time.

    :ivar requests: so far, as a bucket calls them.
    """

    inner: Storage
    clock: Clock
    latency: float
    requests: Counter[str] = field(default_factory=Counter)

    @property
    def location(self) -> str:
        """See :attr:`.Storage.location`."""
        return self.inner.location

    @property
    def conditional(self) -> bool:
        """See :attr:`.Storage.conditional`."""
        return self.inner.conditional

    def get(self, key: str) -> Stored | None:
        """See :meth:`.Storage.get`."""
        return self._far("GET", lambda: self.inner.get(key))

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        """See :meth:`.Storage.swap`."""
        self._far("PUT", lambda: self.inner.swap(key, body, replacing=replacing, content_type=content_type))

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        """See :meth:`.Storage.store`."""
        self._far("PUT", lambda: self.inner.store(key, body, sha256=sha256, sent=sent))

    def stat(self, key: str) -> Stat | None:
        """See :meth:`.Storage.stat`."""
        return self._far("HEAD", lambda: self.inner.stat(key))

    def read(self, key: str) -> Iterator[bytes]:
        """See :meth:`.Storage.read`."""
        return iter(self._far("GET", lambda: list(self.inner.read(key))))

    def list(self, prefix: str) -> Iterator[Entry]:
        """See :meth:`.Storage.list`."""
        return iter(self._far("LIST", lambda: list(self.inner.list(prefix))))

    def delete(self, key: str) -> None:
        """See :meth:`.Storage.delete`."""
        self._far("DELETE", lambda: self.inner.delete(key))

    def _far(self, verb: str, call: Callable[[], T]) -> T:
        self.requests[verb] += 1
        self.clock.sleep(self.latency / 2)
        try:
            return call()
        finally:
            self.clock.sleep(self.latency / 2)


@dataclass(frozen=True)
class Crowd:
    """What became of many publishers.

    :ivar waits: seconds that each one took.
    :ivar seconds: until the last one had ended, from when the first one began.
    """

    waits: Sequence[float]
    seconds: float
    requests: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Publishes a second."""
        return len(self.waits) / self.seconds


@dataclass
class Place:
    """A repository in memory, some way off."""

    latency: float
    clock: Clock = field(default_factory=Clock)
    storage: MemoryStorage = field(default_factory=MemoryStorage)

    def crowd(self, releases: Sequence[Release], *, begins: Sequence[float] | None = None) -> Crowd:
        """Publish each release by a publisher of its own.

        :param begins: seconds from now; all at once if None.
        """
        distant, waits = Distant(self.storage, self.clock, self.latency), list[float]()

        def task(release: Release) -> None:
            began = self.clock.now
            with suppress(Contended):  # who gives up has not published
                publish(release, distant, sleep=self.clock.sleep, timer=lambda: self.clock.now, gather=self.clock.gather)
                waits.append(self.clock.now - began)

        start = self.clock.now
        for release, after in zip(releases, begins or [0.0] * len(releases), strict=True):
            self.clock.start(partial(task, release), after=after)
        return Crowd(waits, self.clock.run() - start, distant.requests)


def releases(directory: Path, number: int, project: str = "demo") -> list[Release]:
    """Make so many releases, each of a wheel and a sdist."""
    versions = (f"{number}.0" for number in range(number))
    made = ((make_wheel(directory, project, version), make_sdist(directory, project, version)) for version in versions)
    return [tuple(map(artifact.read, paths)) for paths in made]


def settled(latency: float, before: Sequence[Release]) -> Place:
    """Return a repository in which these were published, one after another: from the third on a project needs no root."""
    place = Place(latency)
    for release in before:
        place.crowd([release])
    return place


def main(latency: float, most: int) -> None:
    """Print what a project's document and the root's bear.

    :param most: publishers in the largest crowd.
    """
    random.seed(1)
    theory, crowds = 1 / latency, [2**power for power in range(most.bit_length())]
    print(f"A request takes {latency * 1000:.0f} ms; in theory a document takes {theory:.1f} compare-and-swaps a second.")
    with tempfile.TemporaryDirectory() as name:
        first, second, *others = releases(Path(name), 2 + 2 * most)
        _head("publishers of one project, at once")
        for number in crowds:
            _print(number, _middle(latency, [first, second], others[:number]), theory)
        _head("publishers of a new project each")
        new = [releases(Path(name), 1, f"project-{each}")[0] for each in range(most)]
        for number in crowds:
            _print(number, _middle(latency, [first], new[:number]), theory)
        _head("publishes of one project a second")
        for rate in _RATES:
            begins = [(each + random.random()) / rate for each in range(len(others))]
            _print(rate, settled(latency, [first, second]).crowd(others, begins=begins), theory)


def _middle(latency: float, before: Sequence[Release], new: Sequence[Release]) -> Crowd:
    """Let some crowds publish, for their pauses are drawn at random, and return the middle one."""
    crowds = [settled(latency, before).crowd(new) for _ in range(_DRAWS)]
    return sorted(crowds, key=attrgetter("seconds"))[_DRAWS // 2]


def _head(title: str) -> None:
    print(f"\n{title:36}  seconds  a second  share  wait, median  longest  requests each")


def _print(number: int, crowd: Crowd, theory: float) -> None:
    rates = f"{crowd.seconds:9.2f} {crowd.rate:9.1f} {crowd.rate / theory:6.2f}"
    waits = f"{median(crowd.waits):13.2f} {max(crowd.waits):8.2f}"
    print(f"{number:36} {rates} {waits} {sum(crowd.requests.values()) / len(crowd.waits):14.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds that a request takes (default: 0.03)")
    parser.add_argument("--most", type=int, default=128, help="publishers in the largest crowd, a power of two (default: 128)")
    main(**vars(parser.parse_args()))
