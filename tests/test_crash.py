"""Real processes, struck by signals after any operation and at any moment: nothing is torn, and the same command finishes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import pytest

from .processes import (
    Ended,
    NewPlace,
    Place,
    build,
    in_a_row,
    in_bucket,
    in_directories,
    send,
    struck,
    struck_early,
    struck_later,
    upload,
)
from .proof import FULL, figure
from .repositories import check_at_rest, check_never_torn, filenames, orphans

#: Signals, how much is published before, and after every so many operations one strikes.
STEPS = (
    [(number, published, 1) for number in (SIGKILL, SIGTERM, SIGINT) for published in (0, 1)]
    if FULL
    else [(SIGKILL, 0, 5), (SIGKILL, 1, 4), (SIGTERM, 1, 7), (SIGINT, 0, 12)]
)
#: At each place, how often each signal strikes at a random moment.
MOMENTS = {SIGKILL: 100, SIGTERM: 20, SIGINT: 20} if FULL else {SIGKILL: 5, SIGTERM: 1, SIGINT: 1}
#: So many of them happen to one repository, which grows meanwhile.
AT_ONE_PLACE = 10


@pytest.fixture(params=["local", "seaweedfs"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> NewPlace:
    if request.param == "local":
        return in_directories(tmp_path)
    return in_bucket(request.getfixturevalue("seaweed"), tmp_path)


@pytest.mark.parametrize(("number", "published", "step"), STEPS, ids=lambda value: getattr(value, "name", None))
def test_struck_after_any_operation_nothing_is_torn_and_the_same_command_finishes(
    new_place: NewPlace, tmp_path: Path, number: Signals, published: int, step: int
) -> None:
    *before, files = releases = [build(tmp_path / "dist", f"{release}.0") for release in range(published + 1)]
    again: list[float] = []
    for after in count(1, step):
        place = new_place()
        for earlier in before:
            send(earlier, place.storage)
        ended = struck(place, files, number, after=after)
        check_never_torn(place.copy())
        if ended.code == 0:
            break
        check_word(ended, number)
        again.append(check_finishes(place, releases))
    assert after > 5
    figure(
        "struck after an operation",
        place=place.kind,
        signal=number.name,
        published=published,
        runs=len(again),
        seconds_again_most=round(max(again), 2),
    )


def test_struck_at_a_random_moment_nothing_is_torn_and_the_same_command_finishes(new_place: NewPlace, tmp_path: Path) -> None:
    moments, again = random.Random(1), list[float]()
    to_strike = moments.sample([*MOMENTS], counts=MOMENTS.values(), k=sum(MOMENTS.values()))
    while to_strike:
        if len(again) % AT_ONE_PLACE == 0:
            place, releases = new_place(), [build(tmp_path / "dist", f"{release}.0") for release in range(2)]
            _, whole = in_a_row(place, releases)
        releases.append(build(tmp_path / "dist", f"{len(releases)}.0"))
        ended = struck_later(place, releases[-1], to_strike[-1], seconds=moments.uniform(0, 0.3 * whole.seconds))
        copy = place.copy()
        check_never_torn(copy)
        assert {Path(file).name for files in releases[:-1] for file in files} <= set(filenames(copy, "demo"))
        if " is in " not in ended.err:  # its last words; then all was done before, and it is not counted
            check_word(ended, to_strike.pop())
        again.append(check_finishes(place, releases))
        assert len(again) < 10 * sum(MOMENTS.values()), "hardly any was under way"
    counts = {signal.name: times for signal, times in MOMENTS.items()}
    figure("struck at a random moment", place=place.kind, runs=len(again), seconds_again_most=round(max(again), 2), **counts)


@pytest.mark.parametrize("number", [SIGTERM, SIGINT], ids=lambda number: number.name)
def test_struck_while_it_starts_the_program_ends_with_a_sentence(tmp_path: Path, number: Signals) -> None:
    place = in_directories(tmp_path)()
    ended = struck_early(place, build(tmp_path / "dist"), number, importing="pypiprivate.errors")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("interrupted. Running the same command again is safe")
    assert "Traceback" not in ended.err
    assert list(place.storage.list("")) == []


def check_word(ended: Ended, number: Signals) -> None:
    """A command that was interrupted says so and what to do; one that was killed says nothing."""
    if number == SIGKILL:
        assert ended.code == -SIGKILL
    else:
        assert ended.code == 1
        assert ended.err.endswith("interrupted. Running the same command again is safe and finishes what was begun.\n")
        assert "Traceback" not in ended.err


def check_finishes(place: Place, releases: Sequence[Sequence[str]]) -> float:
    """The last release's command, once more, leaves all releases and nothing else; return its seconds."""
    again = upload(place, releases[-1])
    assert (again.code, again.err.count("\n")) == (0, 3), again.err
    copy = place.copy()
    check_at_rest(copy)
    assert filenames(copy, "demo") == sorted(Path(file).name for files in releases for file in files)
    assert orphans(copy) == []
    return again.seconds
