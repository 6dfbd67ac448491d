"""Pauses between tries on a contended document: of what length, and why."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import mean

import pytest

from pypiprivate.errors import Conflict, Contended
from pypiprivate.index import Index
from pypiprivate.pacing import Pace
from pypiprivate.storage.memory import MemoryStorage

from .repositories import Observed, in_turn, not_at_all


@pytest.fixture(autouse=True)
def _same_each_time() -> None:
    random.seed(1)


def after(*lost: float) -> float:
    """Mean of the last pause of publishers whose tries took so long, in round trips of 0.1 seconds."""
    paces = [Pace() for _ in range(2000)]
    return mean([pace.pause(seconds) for seconds in lost][-1] for pace in paces) / 0.1


def test_pauses_grow_from_one_round_trip_to_two() -> None:
    means = [after(*[0.1] * tries) for tries in (1, 3, 5, 7, 40)]
    assert means == pytest.approx([1.0, 1.15**2, 1.15**4, 2.0, 2.0], rel=0.1)


@pytest.mark.parametrize("far", [0.2, 0.5, 3.0])
def test_pauses_are_as_long_as_the_store_is_far(far: float) -> None:
    assert after(*[0.1 * far] * 5) == pytest.approx(after(*[0.1] * 5) * far, rel=0.1)


def test_a_try_that_took_long_for_another_reason_is_soon_forgotten() -> None:
    assert after(9.0, 0.1, 0.1) == pytest.approx(after(0.1, 0.1, 0.1), rel=0.1)


def test_no_pause_hammers_a_near_store_or_forgets_to_come_back() -> None:
    assert after(0.0) == pytest.approx(0.2, rel=0.1)
    assert max(Pace().pause(60.0) for _ in range(1000)) <= 2


@pytest.mark.parametrize("trip", [0.1, 0.3])
def test_the_loop_tells_how_long_its_lost_tries_took(trip: float) -> None:
    now, pauses, losses = [0.0], list[float](), iter([True] * 100)

    def request(verb: str, key: str) -> None:
        now[0] += trip
        if verb == "swap" and key == "demo/index.json" and next(losses, False):
            raise Conflict(key)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)

    storage = Observed(MemoryStorage(), before=request)
    Index(storage, sleep=sleep, timer=lambda: now[0], gather=in_turn).change(
        "demo", lambda project: replace(project, listed=True)
    )
    assert mean(pauses) == pytest.approx(2 * trip, rel=0.2)


def test_the_deadline_is_told_by_the_same_clock() -> None:
    now = [0.0]

    def request(verb: str, key: str) -> None:
        now[0] += 50
        if verb == "swap" and key == "demo/index.json":
            raise Conflict(key)

    index = Index(Observed(MemoryStorage(), before=request), sleep=not_at_all, timer=lambda: now[0], gather=in_turn)
    with pytest.raises(Contended, match="gave up"):
        index.change("demo", lambda project: replace(project, listed=True))
