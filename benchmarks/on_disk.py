"""Scenarios on this machine, with no network."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import seeds
from .contest import Bench, publishing, small_release
from .installs import ORIGINAL_RUNS, ROOT
from .peers import Field, Peer
from .report import Section, rows, table
from .timing import Command, Contestant, Result, in_turns

#: What is completed: a command, an option, and a value of an argument.
_LINES = ("pypi-private up", "pypi-private upload --rep", "pypi-private status demo arch")


def local(bench: Bench) -> Section:
    """A small release to a directory."""
    field, dist = bench.field, bench.releases("local", small_release)
    index = field.home / "local/index"
    _lay(index, seeds.ours(1000))
    program = field.installs.bin("pypiprivate") / "pypi-private"
    ours = Peer("pypiprivate", lambda _where, _count: None, lambda _where, dist: _upload(field, program, index, dist), None)
    contestants = [publishing(ours, "", dist)]
    if ORIGINAL_RUNS:
        contestants.append(publishing(_local_original(field), "", dist))
    lines = ["A small release to a directory with 1,000 projects.", "", *table(in_turns(contestants, bench.runs).values()), ""]
    return Section("local", "A local directory", [*lines, "Wanted: less than 0.30 s of CPU."])


def _lay(index: Path, objects: Mapping[str, bytes]) -> None:
    for key, body in objects.items():
        (index / key).parent.mkdir(parents=True, exist_ok=True)
        (index / key).write_bytes(body)


def _upload(field: Field, program: Path, index: Path, dist: Path) -> Command:
    return field.run(program, "--repository", index, "upload", *sorted(dist.iterdir()))


def _local_original(field: Field) -> Peer:
    index, config = field.home / "local/original", field.home / "local/original.cfg"
    _lay(index, seeds.pages(1000))
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
    objects = seeds.ours(projects, files=20, others=20)
    _lay(index, {key: body for key, body in objects.items() if key.endswith("/index.json")})


def _unrendered(field: Field, index: Path) -> Command:
    # Put away, not deleted: for minutes after many deletions, ext4 without a journal is slow to make new files.
    gone = index.parent / f"gone-{secrets.token_hex(4)}"
    gone.mkdir()
    for page in [*index.glob("*/index.html"), *index.glob("index.*")]:
        page.rename(gone / secrets.token_hex(8))
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
        *(Contestant(f"completion of {line!r}", partial(_completion, field, program, line)) for line in _LINES),
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
        "Wanted: at most 2 for the import, at most 4 for `--version`, `--help` and completion.",
    ]
    return Section("start", "Starting", lines)


def _completion(field: Field, program: Path, line: str) -> Command:
    """Ask as a shell does when somebody presses the tab key at the end of *line*."""
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9", "_ARGCOMPLETE": "1"}
    return field.run(program, **asked, _ARGCOMPLETE_SHELL="bash", _ARGCOMPLETE_STDOUT_FILENAME=os.devnull)


def _milliseconds(result: Result) -> list[str]:
    return [f"{result.wall * 1e3:.0f}", f"{result.cpu * 1e3:.0f}"]
