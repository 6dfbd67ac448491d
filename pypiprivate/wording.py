"""How amounts are written for people."""

from __future__ import annotations

_LARGEST = 10**18


def size_of(count: float) -> str:
    """Write a number of bytes: in powers of a thousand, as disks and stores count."""
    # An inherited record may say any number.
    size, units = float(min(max(count, 0), _LARGEST)), iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while size >= 999.95 and (larger := next(units, None)):
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if unit != "B" else f"{size:.0f} B"


def number_of(count: float) -> str:
    """Write a number of things."""
    return f"{count:,.0f}"


def duration_of(seconds: float) -> str:
    """Write how long something takes, about as one would say it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
