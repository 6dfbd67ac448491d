"""Whole processes, in turns: what each took, and the middle of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from .proxy import Line, Traffic

LAUNCHER = Path(__file__).with_name("launch.py")
#: Seconds that no command takes.
DEADLINE = 1800


@dataclass(frozen=True)
class Command:
    """What a shell would be told. *program* is a path.

    :ivar environ: all of its environment.
    """

    program: Path
    arguments: tuple[str | Path, ...]
    environ: Mapping[str, str]
    cwd: Path


@dataclass(frozen=True)
class Run:
    """What a process and its children took.

    :ivar wall: seconds. ``cpu``: seconds of processor.
    :ivar peak: bytes of memory of the largest of them.
    """

    wall: float
    cpu: float
    peak: int
    traffic: Traffic | None = None


@dataclass(frozen=True)
class Contestant:
    """Who is measured.

    :ivar prepare: makes the next command; not measured.
    :ivar line: what its requests go over.
    """

    name: str
    prepare: Callable[[], Command]
    line: Line | None = None


@dataclass(frozen=True)
class Result:
    """What a contestant took in all runs."""

    name: str
    runs: Sequence[Run] = field(repr=False)

    @property
    def wall(self) -> float:
        """Median, seconds."""
        return median(run.wall for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Fastest and slowest, seconds."""
        return min(run.wall for run in self.runs), max(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median, seconds of processor."""
        return median(run.cpu for run in self.runs)

    @property
    def peak(self) -> int:
        """The most, bytes."""
        return max(run.peak for run in self.runs)

    @property
    def traffic(self) -> Traffic | None:
        """Of the last run."""
        return self.runs[-1].traffic


def in_turns(contestants: Sequence[Contestant], runs: int, *, warm: bool = True) -> dict[str, Result]:
    """Run A B A B …: whatever else the machine does hits all of them. By name.

    :param warm: let each run once before it counts.
    """
    taken: dict[str, list[Run]] = {each.name: [] for each in contestants}
    for number in range(runs + warm):
        for each in contestants:
            run = measured(each.prepare(), each.line)
            if number or not warm:
                taken[each.name].append(run)
    return {name: Result(name, found) for name, found in taken.items()}


def measured(command: Command, line: Line | None = None) -> Run:
    """Run a command that must succeed.

    :raises SystemExit: it failed; with the end of what it printed.
    """
    if line:
        line.traffic()
    log = command.cwd / "output.log"
    launch = [sys.executable, "-I", "-S", LAUNCHER, log, command.program, *command.arguments]
    done = subprocess.run(launch, env=command.environ, cwd=command.cwd, capture_output=True, check=True, timeout=DEADLINE)
    took = json.loads(done.stdout)
    if took["code"]:
        said = " ".join(map(str, (command.program, *command.arguments)))
        raise SystemExit(f"{said}: {took['code']}\n{log.read_text(errors='replace')[-3000:]}")
    return Run(took["wall"], took["cpu"], took["peak"], line.traffic() if line else None)
