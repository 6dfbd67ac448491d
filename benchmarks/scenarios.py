"""What is measured. Each scenario is a function that holds a contest and returns what it found; :data:`SCENARIOS` names them."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from statistics import median

from tests.builders import make_sdist, make_wheel, record_of, wheel_files
from tests.processes import at_once, build, in_bucket
from tests.servers import Server

from . import seeds
from .installs import ORIGINAL_RUNS, ROOT
from .peers import Field, Peer
from .proxy import LATENCY
from .report import Section, rows, table
from .timing import Command, Contestant, Result, in_turns, measured

#: Makes the artifacts of a version in a directory.
Make = Callable[[Path, str], None]
#: Publishers in a crowd.
CROWD = 32
_MB = 1_000_000
_MODULE = "".join(f"value_{number} = {number * 7919 % 104729}\n" for number in range(1000)).encode()


@dataclass(frozen=True)
class Bench:
    """What every scenario is given.

    :ivar runs: of each contestant.
    :ivar big: bytes of a big wheel.
    """

    field: Field
    runs: int
    big: int

    def releases(self, name: str, make: Make) -> Callable[[int], Path]:
        """Return what gives the directory of the *n*-th release; everybody publishes the same files."""

        @lru_cache(None)
        def dist(number: int) -> Path:
            directory = self.field.home / name / f"release-{number}/dist"
            make(directory, f"1.{number}")
            return directory

        return dist

    def contest(self, scenario: str, peers: Sequence[Peer], projects: int, make: Make) -> dict[str, Result]:
        """Let each peer publish a new release to its own repository of so many projects, in turns."""
        dist = self.releases(scenario, make)
        contestants = []
        for number, peer in enumerate(peers):
            where = f"{scenario}-{number}"
            peer.seed(where, projects)
            contestants.append(publishing(peer, where, dist))
        return in_turns(contestants, self.runs)


def publishing(peer: Peer, where: str, dist: Callable[[int], Path]) -> Contestant:
    """Return who publishes one release after another at that place."""
    numbers = count()
    return Contestant(peer.name, lambda: peer.command(where, dist(next(numbers))), peer.line)


def small_release(directory: Path, version: str) -> None:
    """One wheel and one sdist of a few kilobytes."""
    make_wheel(directory, seeds.PROJECT, version, requires_python=">=3.10", files={"demo/values.py": _MODULE})
    make_sdist(directory, seeds.PROJECT, version, requires_python=">=3.10", files={"demo/values.py": _MODULE})


def wheels(directory: Path, version: str, *, number: int = 40, size: int = _MB) -> None:
    """Many wheels of one release, which do not compress."""
    body = os.urandom(size)
    for each in range(number):
        make_wheel(directory, seeds.PROJECT, version, tags=f"py3-none-manylinux_2_{each}_x86_64", files={"demo/data.bin": body})


# -- publishing to the object store -------------------------------------------------------------------------------------------


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
    field, dist = bench.field, bench.field.home / "big/dist"
    wheel = _big_wheel(dist, bench.big)
    ours, floor = field.ours(), field.floor()
    floor.seed("big-floor", 10)
    before = _after_a_small_publish(bench, ours, "big-ours")
    verify = field.run(field.installs.bin("pypiprivate") / "python", ROOT / "benchmarks/verifying.py", wheel)
    contestants = [
        Contestant("floor", lambda: floor.command("big-floor", dist), field.line),
        Contestant("one verifying pass", lambda: verify),
        Contestant("pypiprivate", partial(_anew, field, "big-ours", before, ours.command("big-ours", dist)), field.line),
    ]
    results = in_turns(contestants, min(bench.runs, 7 if bench.big <= 1000 * _MB else 3))
    for where in ("big-floor", "big-ours"):
        field.store.clear(where)
    base = results["floor"].wall + results["one verifying pass"].wall
    lines = [
        f"One wheel of {wheel.stat().st_size / _MB:,.0f} MB, of members twice as big. Ratios are to the floor and a bare",
        "verifying pass, one after the other.",
        "",
        *table(results.values(), base),
        "",
        "Wanted: at most 1.1, and at most 120 MB of memory.",
    ]
    return Section("big", "A big wheel", lines)


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


def crowd(bench: Bench) -> Section:
    """Many publishers of one project, which begin at one moment."""
    field = bench.field
    home = field.home / "crowd"
    place = in_bucket(Server(field.line.url), home)()
    field.store.fill(place.storage.location.split("/")[3].split("?")[0], seeds.ours(10))
    releases = [build(home / "dist", f"2.{number}") for number in range(CROWD + 1)]
    at_once(place, [releases.pop()])
    field.line.traffic()
    ended = at_once(place, releases)
    if failed := [each.err for each in ended if each.code]:
        raise SystemExit(failed[0])
    took, theory, traffic = max(each.seconds for each in ended), LATENCY * CROWD, field.line.traffic()
    row = [
        str(CROWD),
        f"{took:.2f}",
        f"{CROWD / took:.1f}",
        f"{1 / LATENCY:.1f}",
        f"{theory / took:.2f}",
        f"{median(each.retries for each in ended):.0f}",
        f"{max(each.retries for each in ended)}",
        f"{traffic.requests / CROWD:.1f}",
    ]
    head = ["publishers", "wall, s", "a second", "in theory", "share", "retries, median", "most", "requests each"]
    lines = [
        "Publishers of one project, each with a release of its own; they begin at one moment, when artifacts are read and the",
        "client is there. In theory a document takes one compare-and-swap in the time that a request takes. All of them share",
        "this machine's processors; `python -m benchmarks.contention` has the figures without these.",
        "",
        *rows(head, [row]),
        "",
        "Wanted: a share of at least 0.5.",
    ]
    return Section("crowd", "Thirty-two publishers of one project", lines)


# -- on this machine ----------------------------------------------------------------------------------------------------------


def local(bench: Bench) -> Section:
    """A small release to a directory."""
    field, dist = bench.field, bench.releases("local", small_release)
    index = field.home / "local/index"
    for key, body in seeds.ours(1000).items():
        (index / key).parent.mkdir(parents=True, exist_ok=True)
        (index / key).write_bytes(body)
    program = field.installs.bin("pypiprivate") / "pypi-private"
    ours = Peer("pypiprivate", lambda _where, _count: None, lambda _where, dist: _upload(field, program, index, dist), None)
    contestants = [publishing(ours, "", dist)]
    if ORIGINAL_RUNS:
        contestants.append(publishing(_local_original(field), "", dist))
    lines = ["A small release to a directory with 1,000 projects.", "", *table(in_turns(contestants, bench.runs).values()), ""]
    return Section("local", "A local directory", [*lines, "Wanted: less than 0.30 s of CPU."])


def _upload(field: Field, program: Path, index: Path, dist: Path) -> Command:
    return field.run(program, "--repository", index, "upload", *sorted(dist.iterdir()))


def _local_original(field: Field) -> Peer:
    index, config = field.home / "local/original", field.home / "local/original.cfg"
    for key, body in seeds.pages(1000).items():
        (index / key).parent.mkdir(parents=True, exist_ok=True)
        (index / key).write_bytes(body)
    config.write_text(f"[storage]\ntype = local-filesystem\n[local-filesystem]\nbase_path = {index}\n")
    program = field.installs.bin("original") / "pypi-private"

    def command(_where: str, dist: Path) -> Command:
        version = min(dist.iterdir()).name.split("-")[1]
        what: list[str | Path] = ["-c", config, "-p", dist.parent, "publish", "-d", dist.name, seeds.PROJECT, version]
        return field.run(program, *what, PYTHONWARNINGS="ignore")

    return Peer("original", lambda _where, _count: None, command, None)


def setup(bench: Bench) -> Section:
    """A build by setup.py, which publishes or does not."""
    field, project = bench.field, bench.field.home / "setup"
    shutil.copytree(ROOT / "examples/setup_py", project, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info"))
    build_ = ("setup.py", "--quiet", "sdist", "bdist_wheel")
    publish = ("publish_private", "--repository", project / "index")
    contestants = [
        _building("pypiprivate is not installed", field, project, "plain", build_),
        _building("pypiprivate is installed", field, project, "pypiprivate", build_),
        _building("with publish_private", field, project, "pypiprivate", (*build_, *publish)),
    ]
    results = list(in_turns(contestants, bench.runs).values())
    added = results[2].wall - results[1].wall
    lines = [
        "`python setup.py sdist bdist_wheel`, and the same with `publish_private --repository DIRECTORY`.",
        "",
        *table(results),
        "",
        f"Wanted: the first two alike, and less than 0.15 s for `publish_private`. It adds {added:.2f} s.",
    ]
    return Section("setup", "Inside setup.py", lines)


def _building(name: str, field: Field, project: Path, install: str, arguments: tuple[str | Path, ...]) -> Contestant:
    command = replace(field.run(field.installs.bin(install) / "python", *arguments), cwd=project)

    def prepare() -> Command:
        for leftover in ("build", "dist", "index", "acme_setup_py.egg-info"):
            shutil.rmtree(project / leftover, ignore_errors=True)
        return command

    return Contestant(name, prepare)


def rendering(bench: Bench) -> Section:
    """All pages of a large index, from what is known of its files."""
    field, projects = bench.field, 5000
    home = field.home / "rendering"
    home.mkdir()
    listed = home / "list.jsonl"
    listed.write_text("".join(f"{json.dumps(each)}\n" for each in seeds.listed(projects, 20)))
    _records(home / "index", projects)
    python, dumb = field.installs.bin("pypiprivate") / "python", field.installs.bin("dumb-pypi") / "dumb-pypi"
    flags = ["--packages-url", "../../pool/", "--no-per-release-json", "--output-dir", str(home / "dumb")]
    contestants = [
        Contestant("a bare renderer", lambda: field.run(python, ROOT / "benchmarks/renderer.py", listed, home / "bare")),
        Contestant("pypiprivate repair --documents", partial(_unrendered, field, home / "index")),
        Contestant(
            "dumb-pypi",
            partial(_without, home / "dumb", field.run(dumb, "--package-list-json", listed, *flags, PYTHONWARNINGS="ignore")),
        ),
    ]
    results = in_turns(contestants, min(bench.runs, 3), warm=False)
    ours = results["pypiprivate repair --documents"]
    lines = [
        f"100,000 files in {projects:,} projects. pypiprivate repairs an index that has lost every page and the root: it reads",
        "and checks each record, writes each page for good (fsync), and makes the root. The others write what they are told.",
        "",
        *table(results.values()),
        "",
        f"Wanted: at least 15,000 files a second, below 150 MB. There were {100_000 / ours.wall:,.0f} a second.",
    ]
    return Section("rendering", "All pages of 100,000 files", lines)


def _records(index: Path, projects: int) -> None:
    for key, body in seeds.ours(projects, files=20, others=20).items():
        if key.endswith("/index.json"):
            (index / key).parent.mkdir(parents=True, exist_ok=True)
            (index / key).write_bytes(body)


def _unrendered(field: Field, index: Path) -> Command:
    for page in [*index.glob("*/index.html"), *index.glob("index.*")]:
        page.unlink()
    program = field.installs.bin("pypiprivate") / "pypi-private"
    return field.run(program, "--repository", index, "repair", "--documents")


def _without(tree: Path, command: Command) -> Command:
    shutil.rmtree(tree, ignore_errors=True)
    return command


def start(bench: Bench) -> Section:
    """What nobody waits for gladly."""
    field = bench.field
    programs = field.installs.bin("pypiprivate")
    python, program = programs / "python", programs / "pypi-private"
    contestants = [
        Contestant("python -c pass", lambda: field.run(python, "-c", "pass")),
        Contestant("import pypiprivate", lambda: field.run(python, "-c", "import pypiprivate")),
        Contestant("pypi-private --version", lambda: field.run(program, "--version")),
        Contestant("pypi-private --help", lambda: field.run(program, "--help")),
    ]
    results = in_turns(contestants, max(bench.runs, 15))
    bare = results["python -c pass"]
    lines = [
        *rows(
            ("", "wall, ms", "CPU, ms", "ratio of CPU", "peak, MB"),
            [
                [each.name, *_milliseconds(each), f"{each.cpu / bare.cpu:.1f}", f"{each.peak / 1e6:.0f}"]
                for each in results.values()
            ],
        ),
        "",
        "Wanted: at most 2 for the import, at most 4 for `--version` and `--help`.",
    ]
    return Section("start", "Starting", lines)


def _milliseconds(result: Result) -> list[str]:
    return [f"{result.wall * 1e3:.0f}", f"{result.cpu * 1e3:.0f}"]


#: By name, in the order of the report.
SCENARIOS: Mapping[str, Callable[[Bench], Section]] = {
    each.__name__: each for each in (small, sizes, again, forty, big, files, crowd, local, setup, rendering, start)
}
