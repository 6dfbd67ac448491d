"""How long to wait before a document that others write, too, is tried again."""

from __future__ import annotations

import math
import random

#: By so much a mean pause grows with each lost try, from the first of these lengths to the last, in round trips. Shorter ones
#: cost more tries that are in vain, and longer ones let the document idle.
_GROWTH, _FIRST, _LAST = 1.15, 1.0, 2.0
#: No round trip counts as shorter (seconds): where a store refuses at once, it may yet need longer to write.
_NEAR = 0.02
#: The longest mean pause, in seconds.
_LONGEST = 1.0


class Pace:
    """The pauses of one publisher at one document, drawn at random so that a crowd spreads out.

    What is too long for a store in the next room is too short for one on another continent. So pauses are counted in round trips
    of the store at hand: each try that is lost has taken one.
    """

    def __init__(self) -> None:
        self._trip = math.inf
        self._trips = _FIRST

    def pause(self, lost: float) -> float:
        """Return the seconds to wait after a try that was lost within *lost* seconds."""
        self._trip = min(self._trip, max(lost, _NEAR))
        mean = min(self._trip * self._trips, _LONGEST)
        self._trips = min(self._trips * _GROWTH, _LAST)
        return random.uniform(0, 2 * mean)
