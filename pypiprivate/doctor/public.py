"""Asks another, public index which of our names it has: an installer that asks both may take the stranger's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import partial

from ..checks import Check, fail, failure, ok, warn
from ..concurrency import Gather, concurrently
from ..storage.base import Progress, quietly
from .webclient import Client, Unanswered, shown

#: Names that are asked for before the next ones are: where all of them fail, no others are tried.
_BATCH = 64
_WAY_OUT = (
    "Let no client ask both indexes for it: uv with this index first and tool.uv.sources, pip with this --index-url alone; "
    "or take another name, or the name on that index."
)


def examine(
    client: Client, names: Sequence[str], *, gather: Gather = concurrently, asking: Progress = quietly
) -> tuple[Check, ...]:
    """Say which of *names* (normalised) the index at the client's address has, too. It learns them all by being asked.

    :param asking: is told whom it is that is asked for how many names; what it returns, of those that were asked for.
    :return: a warning for each, and a verdict on the whole.
    """
    try:
        status = _ask(client, f"pypiprivate-doctor-{secrets.token_hex(8)}")
    except Unanswered as error:
        return (failure("public index", error),)
    if status not in {404, 410}:
        said = f"{shown(client.address.url)} answers {status} for a name that nobody has, so it cannot tell which it has."
        return (fail("public index", said, "Name the simple index itself: its URL mostly ends in /simple/."),)
    return tuple(_compared(client, names, gather, asking))


def _compared(client: Client, names: Sequence[str], gather: Gather, asking: Progress) -> Iterator[Check]:
    where, there, unknown = shown(client.address.url), [], []
    asked = asking(where, len(names))
    for begin in range(0, len(names), _BATCH):
        batch = names[begin : begin + _BATCH]
        statuses = dict(zip(batch, gather([partial(_status, client, name) for name in batch]), strict=True))
        asked(len(batch))
        there += [name for name, status in statuses.items() if status == 200]
        unknown += [name for name, status in statuses.items() if status not in {200, 404, 410}]
        if unknown == list(names[: begin + len(batch)]):
            unknown = list(names)
            break
    for name in there:
        yield warn("public name", f"{where} has a project {name}, too.", _WAY_OUT)
    if unknown:
        said = f"of {len(unknown)} names {where} does not say whether it has them, {unknown[0]} for one."
        yield fail("public index", said, "Ask again later: it may be overloaded, or refuse so many questions.")
    else:
        yield ok("public index", f"{where} has {len(there)} of {len(names)} names.")


def _status(client: Client, name: str) -> int:
    try:
        return _ask(client, name)
    except Unanswered:
        return 0


def _ask(client: Client, name: str) -> int:
    url = f"{client.address.url}{name}/"
    status = client.ask(url, method="HEAD").status
    return client.ask(url).status if status in {405, 501} else status
