"""How long to wait before a document that others write, too, is tried again."""

from __future__ import annotations

import math
import random

#: Tries in a round trip to aim at, of all who wait: with two, six of seven round trips see a write. With fewer a document idles;
#: of more, most are in vain.
_WANTED = 2.0
#: The first mean pause, in round trips.
_FIRST = 1.5
#: By how much a mean pause may shrink and grow at once: a few round trips tell little.
_LEAST, _MOST = 0.7, 1.5
#: Bounds of a mean pause, in seconds: a near store is not hammered, and nobody forgets to come back.
_SHORTEST, _LONGEST = 0.01, 1.0
#: Where more round trips than this share saw a write, how many tries there were in each cannot be told.
_BUSY = 0.9
#: No round trip is taken to be shorter (seconds), whatever the clock says.
_INSTANT = 0.001


class Pace:
    """The pauses of one publisher at one document.

    Publishers do not see each other, and whoever has won goes home. But a document counts its writes, so each sees how often
    others wrote it between two looks of its own. Where tries fall at random, *n* of them in a round trip, a share of 1 - exp(-n)
    of the round trips sees a write; so from this share follows *n*, and pauses grow while it is above what is wanted, and shrink
    below. All is counted in round trips of the store at hand, be it near or far: each try that is lost has taken one.
    """

    def __init__(self) -> None:
        self._trip = math.inf
        self._mean = 0.0
        self._before: tuple[int, float] | None = None

    def pause(self, serial: int, looked: float, lost: float) -> float:
        """Return the seconds to wait after a lost try, drawn at random.

        :param serial: of the document that the try began with.
        :param looked: when that was read; ``lost``: when the try was over. Seconds of one clock.
        """
        self._trip = min(self._trip, max(lost - looked, _INSTANT))
        mean = self._mean * self._correction(self._before, (serial, looked)) if self._before else self._trip * _FIRST
        self._mean = min(max(mean, _SHORTEST, self._trip / 2), _LONGEST)
        self._before = serial, looked
        return random.uniform(0, 2 * self._mean)

    def _correction(self, before: tuple[int, float], now: tuple[int, float]) -> float:
        writes, trips = now[0] - before[0], (now[1] - before[1]) / self._trip
        tries = -math.log(1 - min(writes / max(trips, 1), _BUSY))
        return min(max(tries / _WANTED, _LEAST), _MOST)
