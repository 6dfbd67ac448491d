"""Pauses between tries on a contended document: of what length, and why."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from pypiprivate.pacing import Pace

#: Seconds that a request takes.
TRIP = 0.1


def paces(rate: float, tries: int = 12, trip: float = TRIP) -> list[float]:
    """Pauses of a publisher that loses so often, while others write the document *rate* times in a round trip."""
    pace, pauses, looked = Pace(), list[float](), 1000.0
    for _ in range(tries):
        serial = round((looked - 1000.0) / trip * rate)
        pauses.append(pace.pause(serial, looked, looked + trip))
        looked += 2 * trip + pauses[-1]
    return pauses


def late(rate: float) -> float:
    """Mean of the later pauses, in round trips."""
    random.seed(1)
    return mean(pause for _ in range(200) for pause in paces(rate)[6:]) / TRIP


def test_pauses_grow_while_the_document_is_written_all_the_time_and_shrink_once_it_is_not() -> None:
    quiet, wanted, busy = late(0.3), late(0.86), late(1.0)
    assert quiet < wanted / 1.5 < wanted < busy / 3


@pytest.mark.parametrize("trip", [0.02, 0.1, 0.4])
def test_pauses_are_as_long_as_the_store_is_far(trip: float) -> None:
    random.seed(1)
    assert 1.4 < mean(paces(0.86, tries=1, trip=trip)[0] for _ in range(500)) / trip < 1.6


def test_no_pause_hammers_a_near_store_or_forgets_to_come_back() -> None:
    random.seed(1)
    near = [pause for _ in range(100) for pause in paces(0.0, trip=0.0001)]
    far = [pause for _ in range(100) for pause in paces(1.0, tries=40, trip=0.5)]
    assert mean(near) > 0.005
    assert 1.5 < max(far) <= 2


def test_whatever_a_clock_or_a_restored_backup_says_there_is_a_pause() -> None:
    pace = Pace()
    said = [
        pace.pause(serial, looked, lost)
        for serial, looked, lost in [(9, 5.0, 5.0), (10, 5.0, 5.0), (3, 4.0, 4.0), (900, 9.0, 9.1)]
    ]
    assert all(0 <= pause <= 2 for pause in said)
