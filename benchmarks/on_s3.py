"""Scenarios on the object store, behind the slow line."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.builders import make_wheel, record_of, wheel_files

from . import seeds
from .contest import Bench, publishing, small_release
from .installs import ORIGINAL_RUNS, ROOT
from .peers import Field, Peer
from .report import Section, table
from .timing import Command, Contestant, in_turns, measured

_MB = 1_000_000


def small(bench: Bench) -> Section:
    """A release of two small artifacts, by everybody."""
    field = bench.field
    with field.servers() as servers:
        results = bench.contest("small", [field.floor(), *field.everybody_on_s3(), *servers], 1000, small_release)
    ours, s3pypi = results["pypiprivate"], results["s3pypi"]
    lines = [
        "1 wheel and 1 sdist of a project with 20 files, among 1,000 projects; twine's servers keep theirs on the local disk,",
        "and devpi's index is empty.",
        "",
        *table(results.values()),
        "",
        "Wanted: at most 1.0 of the floor, 0.75 of s3pypi, 8 requests, a depth of 4, no LIST and no HEAD.",
        f"pypiprivate takes {ours.wall / s3pypi.wall:.2f} of s3pypi.",
    ]
    return Section("small", "A small publish", lines)


def sizes(bench: Bench) -> Section:
    """The same in repositories of 10 and of 10,000 projects."""
    bench, field = replace(bench, runs=min(bench.runs, 3)), bench.field
    on_all = [peer for peer in field.everybody_on_s3() if peer.name not in ("s3pypi", "dumb-pypi + aws s3 sync")]
    lines = ["The same among 10 projects, and among 10,000; dumb-pypi, which syncs every page, among 10 only.", ""]
    for projects in (10, 10_000):
        peers = [field.floor(), *(on_all if projects > 10 else [*on_all, field.dumb_pypi()])]
        results = bench.contest(f"sizes-{projects}", peers, projects, small_release)
        lines += [f"{projects:,} projects:", "", *table(results.values()), ""]
    return Section("sizes", "Few and many projects", [*lines, "Wanted: the same requests and bytes for both, as the floor."])


def again(bench: Bench) -> Section:
    """What is published already."""
    field, release = bench.field, bench.releases("again", small_release)(0)
    peers = [field.ours(), replace(field.ours("--dry-run"), name="pypiprivate --dry-run"), field.s3pypi()]
    peers += [field.original()] if ORIGINAL_RUNS else []
    for number, peer in enumerate(peers):
        peer.seed(f"again-{number}", 1000)
    published = replace(field.ours(), name="published before")
    in_turns([publishing(published, "again-1", lambda _: release)], 1, warm=False)  # which a dry run does not
    contestants = [publishing(peer, f"again-{number}", lambda _: release) for number, peer in enumerate(peers)]
    results = in_turns(contestants, bench.runs)
    lines = ["The small release, published before; 1,000 projects.", "", *table(results.values()), ""]
    return Section("again", "Publishing again, and --dry-run", [*lines, "Wanted: a depth of at most 2, and no artifact sent."])


def wheels(directory: Path, version: str, *, number: int = 40, size: int = _MB) -> None:
    """Many wheels of one release, which do not compress."""
    body = os.urandom(size)
    for each in range(number):
        make_wheel(directory, seeds.PROJECT, version, tags=f"py3-none-manylinux_2_{each}_x86_64", files={"demo/data.bin": body})


def forty(bench: Bench) -> Section:
    """A release of many wheels."""
    field = bench.field
    with field.servers() as servers:
        others = [field.s3pypi(), *([field.original()] if ORIGINAL_RUNS else []), servers[0]]
        results = bench.contest("forty", [field.floor(), field.ours(), *others], 10, wheels)
    lines = ["40 wheels of 1 MB, of one release; 10 projects.", "", *table(results.values()), ""]
    return Section("forty", "Forty wheels", [*lines, "Wanted: at most 1.1 of the floor."])


def big(bench: Bench) -> Section:
    """One big wheel, stored anew each time."""
    lines = ["One wheel, of members twice as big. Ratios are to the floor and a bare verifying pass, one after the other.", ""]
    for size in bench.big:
        lines += [*_big(bench, size), ""]
    return Section("big", "Big wheels", [*lines, "Wanted: at most 1.1, and at most 120 MB of memory."])


def _big(bench: Bench, size: int) -> list[str]:
    field, name = bench.field, f"big-{size}"
    wheel = _big_wheel(field.home / name / "dist", size)
    ours, floor = field.ours(), field.floor()
    places = to_floor, to_ours = f"{name}-floor", f"{name}-ours"
    floor.seed(to_floor, 10)
    before = _after_a_small_publish(bench, ours, to_ours)
    verify = field.run(field.installs.bin("pypiprivate") / "python", ROOT / "benchmarks/verifying.py", wheel)
    contestants = [
        Contestant("floor", lambda: floor.command(to_floor, wheel.parent), field.line),
        Contestant("one verifying pass", lambda: verify),
        Contestant("pypiprivate", partial(_anew, field, to_ours, before, ours.command(to_ours, wheel.parent)), field.line),
    ]
    results = in_turns(contestants, bench.runs)
    megabytes = wheel.stat().st_size / _MB
    wheel.unlink()
    for where in places:
        field.store.clear(where)
    base = results["floor"].wall + results["one verifying pass"].wall
    return [f"{megabytes:,.0f} MB:", "", *table(results.values(), base)]


def _after_a_small_publish(bench: Bench, peer: Peer, where: str) -> dict[str, bytes]:
    """Return the documents of a repository that has seen one: it need not be probed any more."""
    peer.seed(where, 10)
    measured(peer.command(where, bench.releases("big-before", small_release)(1)))
    return bench.field.store.documents(where, seeds.ours(10))


def _anew(field: Field, where: str, before: Mapping[str, bytes], command: Command) -> Command:
    """Put a repository back to what it was."""
    field.store.clear(where)
    field.store.fill(where, before)
    return command


def _big_wheel(directory: Path, size: int) -> Path:
    """Write a wheel of about *size* bytes; what is in it is twice as big."""
    directory.mkdir(parents=True)
    block = os.urandom(5 * _MB) + b"not so random, " * (5 * _MB // 15)
    small = wheel_files(seeds.PROJECT, "1.0")
    _, record = small.popitem()
    with zipfile.ZipFile(
        directory / f"{seeds.PROJECT}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as wheel:
        for number in range(max(1, size // (5 * _MB))):
            name, body = f"demo/data-{number}.bin", number.to_bytes(16, "big") + block
            wheel.writestr(name, body)
            record = record_of({name: body}, "").partition(b"\n")[0] + b"\n" + record
        for name, body in {**small, f"{seeds.PROJECT}-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(name, body)
    return Path(str(wheel.filename))


def files(bench: Bench) -> Section:
    """A project of many files."""
    field, dist = bench.field, bench.releases("files", small_release)
    contestants = []
    for number in (20, 5000):
        field.store.fill(f"files-{number}", seeds.ours(10, number))
        peer = replace(field.ours(), name=f"pypiprivate, {number:,} files")
        contestants.append(publishing(peer, f"files-{number}", dist))
    results = in_turns(contestants, bench.runs)
    lines = ["A small release of a project that has so many files.", "", *table(results.values()), "", "Wanted: at most 1.3."]
    return Section("files", "A project of 5,000 files", lines)
