"""Many publishers at once, in real processes that begin at one moment; and one that stalls anywhere while another publishes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from pypiprivate import artifact

from .builders import make_sdist
from .processes import Ended, NewPlace, at_once, build, in_a_row, in_bucket, in_directories, send
from .proof import FULL, figure
from .repositories import Observed, check_at_rest, during, filenames, orphans, record, root

#: Publishers in a crowd.
CROWD = 32 if FULL else 8
#: A publisher stalls before every so many operations.
STEP = 1 if FULL else 3


@pytest.fixture(params=["local", "seaweedfs"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> NewPlace:
    if request.param == "local":
        return in_directories(tmp_path)
    return in_bucket(request.getfixturevalue("seaweed"), tmp_path)


def test_a_crowd_on_one_project_loses_nothing_and_nobody_gives_up(new_place: NewPlace, tmp_path: Path) -> None:
    place, releases = new_place(), [build(tmp_path / "dist", f"{number}.0") for number in range(CROWD)]
    crowd = at_once(place, releases)
    assert [ended.err for ended in crowd if ended.code] == []
    copy = place.copy()
    check_at_rest(copy)
    assert filenames(copy, "demo") == sorted(Path(file).name for files in releases for file in files)
    assert orphans(copy) == []
    tell("a crowd on one project", place.kind, crowd)


def test_a_crowd_of_new_projects_is_listed_whole(new_place: NewPlace, tmp_path: Path) -> None:
    place, names = new_place(), sorted(f"demo{number}" for number in range(CROWD))
    crowd = at_once(place, [build(tmp_path / "dist", project=name) for name in names])
    assert [ended.err for ended in crowd if ended.code] == []
    copy = place.copy()
    check_at_rest(copy)
    assert list(root(copy).projects) == names
    assert [len(record(copy, name).files) for name in names] == [2] * CROWD
    assert orphans(copy) == []
    tell("a crowd of new projects", place.kind, crowd)


@pytest.mark.skipif(not FULL, reason="takes 32 publishes one after another, and a machine that does nothing else")
def test_a_crowd_on_one_project_takes_less_than_three_times_as_long_as_one_after_another(
    new_place: NewPlace, tmp_path: Path
) -> None:
    place, releases = new_place(), [build(tmp_path / "dist", f"{number}.0") for number in range(CROWD)]
    alone = sum(ended.seconds for ended in in_a_row(place, releases))
    crowd = at_once(new_place(), releases)
    together = max(ended.seconds for ended in crowd)
    assert together < 3 * alone
    figure("back-off", place=place.kind, publishers=CROWD, one_by_one=round(alone, 2), at_once=round(together, 2))


def test_of_a_crowd_with_one_file_name_and_different_bytes_exactly_one_wins(new_place: NewPlace, tmp_path: Path) -> None:
    place = new_place()
    builds = [make_sdist(tmp_path / f"dist{number}", files={"x": str(number).encode()}) for number in range(8)]
    crowd = at_once(place, [[str(path)] for path in builds])
    assert sorted(ended.code for ended in crowd) == [0] + [1] * 7
    assert all("demo-1.0.tar.gz of demo is published already with other bytes" in ended.err for ended in crowd if ended.code)
    copy = place.copy()
    check_at_rest(copy)
    (winner,) = (path for path, ended in zip(builds, crowd, strict=True) if ended.code == 0)
    assert [file.sha256 for file in record(copy, "demo").files] == [artifact.read(winner).sha256]


def test_of_a_crowd_with_one_file_and_the_same_bytes_all_succeed(new_place: NewPlace, tmp_path: Path) -> None:
    place, files = new_place(), build(tmp_path)
    crowd = at_once(place, [files] * 8)
    assert [ended.err for ended in crowd if ended.code] == []
    copy = place.copy()
    check_at_rest(copy)
    assert filenames(copy, "demo") == sorted(Path(file).name for file in files)
    assert orphans(copy) == []


@pytest.mark.parametrize("published", [0, 1])
def test_a_publisher_that_stalls_anywhere_loses_nothing_of_another(new_place: NewPlace, tmp_path: Path, published: int) -> None:
    one, other, *before = [build(tmp_path / "dist", f"{number}.0") for number in range(2 + published)]
    operations: list[str] = []
    for at in range(0, 100, STEP):
        storage = new_place().storage
        for files in before:
            send(files, storage)
        operations.clear()
        stalled = during(storage, at, partial(send, other, storage))
        send(one, Observed(stalled, after=lambda verb, _key: operations.append(verb)))
        if at >= len(operations):
            break
        check_at_rest(storage)
        assert filenames(storage, "demo") == sorted(Path(file).name for files in (one, other, *before) for file in files)
        assert orphans(storage) == []
    assert at > 5


def tell(name: str, place: str, crowd: Sequence[Ended]) -> None:
    """Write down what a crowd took: seconds of a publish, and how often it looked again."""
    seconds, retries = sorted(ended.seconds for ended in crowd), sorted(ended.retries for ended in crowd)
    middle = len(crowd) // 2
    figure(
        name,
        place=place,
        publishers=len(crowd),
        seconds_median=round(seconds[middle], 2),
        seconds_most=round(seconds[-1], 2),
        retries_median=retries[middle],
        retries_most=retries[-1],
    )
