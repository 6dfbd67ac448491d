"""Many publishers of one project, which begin at one moment: whole processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from pypiprivate import simple
from tests.processes import NewPlace, at_once, build, in_bucket
from tests.servers import BUCKET, Server

from . import seeds
from .contest import Bench
from .proxy import LATENCY, Line, line
from .report import Section, rows
from .servers import Store

#: Publishers in a crowd.
CROWD = 32
#: Seconds that a request is under way: as everywhere here, and longer, so that it is not this machine's processors that bind.
_LATENCIES = (LATENCY, 0.1)


@dataclass(frozen=True)
class _Round:
    """What a crowd took.

    :ivar seconds: until the last one had ended.
    :ivar rate: swaps of the project's record in a second, from the first to the last.
    :ivar retries: of each.
    :ivar requests: of all.
    """

    seconds: float
    rate: float
    retries: Sequence[int]
    requests: int


def crowd(bench: Bench) -> Section:
    """Let each of many publish a release of its own to one project."""
    home = bench.field.home / "crowd"
    releases = [build(home / "dist", f"2.{number}") for number in range(CROWD + 1)]
    body = [_row(latency, _rounds(bench, home / f"{latency}", latency, releases)) for latency in _LATENCIES]
    head = [
        "a request, ms",
        "wall, s",
        "spread",
        "share",
        "swaps a second",
        "spread",
        "share",
        "retries, median",
        "most",
        "requests each",
    ]
    lines = [
        f"{CROWD} publishers of one project, each with a release of its own; they begin at one moment, when the client is",
        "there, and the last one has ended when the wall time ends. *Swaps a second*: of the project's record, from the first",
        "that succeeds to the last. In theory a document takes one compare-and-swap in the time that a request takes; *share*",
        "is the part of it that is reached, in the whole wall time and from first to last. All publishers, the store and the",
        "line share this machine's processors; `python -m benchmarks.contention` has the figures without these.",
        "",
        *rows(head, body),
        "",
        "Wanted: a share of at least 0.5.",
    ]
    return Section("crowd", "Thirty-two publishers of one project", lines)


def _rounds(bench: Bench, home: Path, latency: float, releases: Sequence[list[str]]) -> list[_Round]:
    with line(bench.field.store.server.url, latency) as far:
        new_place = in_bucket(Server(far.url), home)
        return [_round(bench.field.store, far, new_place, releases) for _ in range(bench.runs)]


def _round(store: Store, far: Line, new_place: NewPlace, releases: Sequence[list[str]]) -> _Round:
    first, *others = releases
    place = new_place()
    prefix = urlsplit(place.url).path.strip("/")
    store.fill(prefix, seeds.ours(10))
    at_once(place, [first])  # from then on the repository need not be probed
    far.traffic()
    ended = at_once(place, others)
    traffic = far.traffic()
    if failed := [each.err for each in ended if each.code]:
        raise SystemExit(failed[0])
    seconds = max(each.ended for each in ended) - min(each.began for each in ended)
    swaps = traffic.swaps[f"/{BUCKET}/{prefix}/{simple.record_key(seeds.PROJECT)}"]
    return _Round(seconds, (len(swaps) - 1) / (max(swaps) - min(swaps)), [each.retries for each in ended], traffic.requests)


def _row(latency: float, rounds: Sequence[_Round]) -> list[str]:
    seconds, rates = [each.seconds for each in rounds], [each.rate for each in rounds]
    took, rate, retries = median(seconds), median(rates), [retries for each in rounds for retries in each.retries]
    return [
        f"{latency * 1000:.0f}",
        f"{took:.2f}",
        f"{min(seconds):.2f} – {max(seconds):.2f}",
        f"{CROWD * latency / took:.2f}",
        f"{rate:.1f}",
        f"{min(rates):.1f} – {max(rates):.1f}",
        f"{rate * latency:.2f}",
        f"{median(retries):.0f}",
        f"{max(retries)}",
        f"{median(each.requests for each in rounds) / CROWD:.1f}",
    ]
