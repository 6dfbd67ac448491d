"""Tables of results, and the file that keeps those of the last run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .timing import Result

_TOOK = ("", "wall, s", "spread", "ratio", "CPU, s", "peak, MB")
_TRAFFIC = ("requests", "by verb", "sent", "received", "depth")
_HEAD = """\
<!-- Made by `make bench`; not to be edited. -->

# Results of the last `make bench`

Whole processes, in turns (A B A B …), medians. *Spread*: fastest and slowest. *Ratio*: of the medians of wall time, to the row
with 1.00. *Peak*: memory of the largest process. *Depth*: round trips one after another, each `100 Continue` among them.
Requests of the last run; *sent* and *received* with heads, from the client's side.

"""


@dataclass(frozen=True)
class Section:
    """What one scenario found.

    :ivar name: of the scenario.
    :ivar lines: of Markdown.
    """

    name: str
    title: str
    lines: Sequence[str]

    def __str__(self) -> str:
        return "\n".join([f"## {self.title} (`{self.name}`)", "", *self.lines, ""])


def table(results: Iterable[Result], base: float | None = None) -> list[str]:
    """Return a row for each result.

    :param base: the wall time that ratios are of; the first result's if None.
    """
    results = list(results)
    base = base or results[0].wall
    head = (*_TOOK, *_TRAFFIC) if any(result.traffic for result in results) else _TOOK
    return rows(head, [_row(result, base)[: len(head)] for result in results])


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; the first column to the left, all others to the right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def keep(path: Path, sections: Sequence[Section], order: Sequence[str]) -> None:
    """Write sections into the file of results; those of scenarios that were not run stay.

    :param order: names of all scenarios.
    """
    found = _sections(path.read_text("utf-8")) if path.exists() else {}
    found.update({section.name: str(section) for section in sections})
    path.write_text(_HEAD + "\n".join(found[name] for name in order if name in found), "utf-8")


def _sections(text: str) -> dict[str, str]:
    _, *sections = re.split("^(?=## )", text, flags=re.MULTILINE)
    titles = (re.match(r"## .*\(`(.+)`\)\n", section) for section in sections)
    return {title[1]: section.rstrip("\n") + "\n" for title, section in zip(titles, sections, strict=True) if title}


def _row(result: Result, base: float) -> list[str]:
    fastest, slowest = result.spread
    took = [f"{result.wall:.2f}", f"{fastest:.2f} – {slowest:.2f}", f"{result.wall / base:.2f}", f"{result.cpu:.2f}"]
    return [result.name, *took, f"{result.peak / 1e6:.0f}", *_traffic(result)]


def _traffic(result: Result) -> list[str]:
    found = result.traffic
    if not found:
        return [""] * len(_TRAFFIC)
    verbs = [f"{verb} {count}" for verb, count in sorted(found.verbs.items())]
    verbs += [f"(100 {found.continues})"] if found.continues else []
    return [str(found.requests), ", ".join(verbs), size(found.sent), size(found.received), str(found.depth)]


def size(count: float) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
