"""What an examination says: one check, a verdict and two sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from .errors import PypiPrivateError


class Verdict(Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    :ivar name: a word or two, the same in every version.
    :ivar said: one sentence: what was found, or why nothing was.
    :ivar way_out: one sentence: what to change; empty where nothing is to be changed.
    """

    name: str
    verdict: Verdict
    said: str
    way_out: str = ""


def ok(name: str, said: str) -> Check:
    """Return a check that found everything as it should be."""
    return Check(name, Verdict.OK, said)


def warn(name: str, said: str, way_out: str) -> Check:
    """Return a check that found something that works, but could be better or may surprise."""
    return Check(name, Verdict.WARN, said, way_out)


def fail(name: str, said: str, way_out: str) -> Check:
    """Return a check that found something that does not work."""
    return Check(name, Verdict.FAIL, said, way_out)


def skipped(name: str, said: str) -> Check:
    """Return a check that could not be made."""
    return Check(name, Verdict.SKIPPED, said)


def told(checks: Iterable[Check], checked: Callable[[Check], object]) -> Iterator[Check]:
    """Pass *checks* on, and tell *checked* of each as soon as it is done."""
    for check in checks:
        checked(check)
        yield check


def failure(name: str, error: PypiPrivateError) -> Check:
    """Return a check that an error ended."""
    return fail(name, str(error), error.hint)
