"""Who publishes what, one after another: what the scenarios have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

from tests.builders import make_sdist, make_wheel

from . import seeds
from .peers import Field, Peer
from .timing import Contestant, Result, in_turns

#: Makes the artifacts of a version in a directory.
Make = Callable[[Path, str], None]
_MODULE = "".join(f"value_{number} = {number * 7919 % 104729}\n" for number in range(1000)).encode()


@dataclass(frozen=True)
class Bench:
    """What every scenario is given.

    :ivar runs: of each contestant.
    :ivar big: bytes of each big wheel.
    """

    field: Field
    runs: int
    big: Sequence[int]

    def releases(self, name: str, make: Make) -> Callable[[int], Path]:
        """Return what gives the directory of the *n*-th release; everybody publishes the same files."""

        @lru_cache(None)
        def dist(number: int) -> Path:
            directory = self.field.home / name / f"release-{number}/dist"
            make(directory, f"1.{number}")
            return directory

        return dist

    def contest(self, scenario: str, peers: Sequence[Peer], projects: int, make: Make) -> dict[str, Result]:
        """Let each peer publish a new release to its own repository of so many projects, in turns."""
        dist = self.releases(scenario, make)
        contestants = []
        for number, peer in enumerate(peers):
            where = f"{scenario}-{number}"
            peer.seed(where, projects)
            contestants.append(publishing(peer, where, dist))
        return in_turns(contestants, self.runs)


def publishing(peer: Peer, where: str, dist: Callable[[int], Path]) -> Contestant:
    """Return who publishes one release after another at that place."""
    numbers = count()
    return Contestant(peer.name, lambda: peer.command(where, dist(next(numbers))), peer.line)


def small_release(directory: Path, version: str) -> None:
    """One wheel and one sdist of a few kilobytes."""
    make_wheel(directory, seeds.PROJECT, version, requires_python=">=3.10", files={"demo/values.py": _MODULE})
    make_sdist(directory, seeds.PROJECT, version, requires_python=">=3.10", files={"demo/values.py": _MODULE})
