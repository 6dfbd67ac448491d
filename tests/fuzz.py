"""Hostile artifacts and documents, in numbers: ``python -m tests.fuzz --inputs 100000 --seed 1``.

Inputs are real wheels, sdists and records, changed: bytes of the file, or what the archive or the document holds, packed anew, so
that checksums do not end it early. With atheris (``pip install atheris``) those that reach new code are kept and changed further.
Prints the figures as a line of JSON; ends with 1 and names the input where it found something, which it leaves in ``--keep``.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import importlib.util
import io
import json
import os
import random
import re
import resource
import signal
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

from pypiprivate import artifact, pages, simple
from pypiprivate.errors import ArtifactError, PublishRefused, PypiPrivateError, UnsupportedIndex
from pypiprivate.filenames import is_normalized
from pypiprivate.model import Existing, File, Project

from .builders import make_sdist, make_wheel, record_of, write_targz, write_zip

#: Seconds of processor time that one input may take, and MiB that all of them together may.
SECONDS, MIB = 2.0, 200
#: Inputs that once broke something. The part of a name before the first ``.`` says what, the rest what it is read as.
REGRESSIONS = Path(__file__).parent / "data" / "regressions"


class Hang(BaseException):
    """An input took too long; no handler of ours may swallow it."""


@dataclass(frozen=True)
class Kind:
    """What an input is read as.

    :ivar suffix: of files of this kind.
    :ivar read: reads it; raises nothing but what it may.
    :ivar vary: changes what it holds and packs it anew.
    """

    suffix: str
    read: Callable[[bytes], str]
    vary: Callable[[bytes, random.Random], bytes]


def _read_artifact(filename: str) -> Callable[[bytes], str]:
    def read(data: bytes) -> str:
        path = Path(_workshop().name, filename)
        path.write_bytes(data)
        try:
            found = artifact.read(path)
        except ArtifactError as error:
            assert_plain(error)
            return "refused"
        assert found.sha256 == sha256(data).hexdigest()
        # Whatever is taken must be publishable to its end.
        offered = found.as_file(key=f"{found.sha256[:32]}/{filename}", upload_time="2026-01-01T00:00:00.000000Z")
        _write_and_read(Project(found.project).add(offered, Existing.REFUSE))
        return "taken"

    return read


def _read_record(data: bytes) -> str:
    """The way of every record that somebody publishes to."""
    try:
        project = simple.project_from_json(data, "demo")
    except UnsupportedIndex as error:
        assert_plain(error)
        return "refused"
    _write_and_read(project)
    new = File("demo-9.0.tar.gz", f"{project.free_key('demo-9.0.tar.gz', 'a' * 64)}", {"sha256": "a" * 64}, 1, None)
    with suppress(PublishRefused):
        project = project.add(new, Existing.REPLACE)
    project, _ = project.adopt([replace(new, filename="demo-8.0.tar.gz", url="demo-8.0.tar.gz")])
    _write_and_read(replace(project, serial=project.serial + 1))
    return "taken"


def assert_plain(error: PypiPrivateError) -> None:
    """An error is one printable line, and so is the way out."""
    assert str(error).isprintable(), error
    assert error.hint.isprintable(), error


def _write_and_read(project: Project) -> None:
    body = simple.project_to_json(project)
    assert simple.project_to_json(simple.project_from_json(body, project.name)) == body
    page = pages.project_to_html(project)
    assert pages.page_serial(page) == project.serial
    assert page.count(b"<a ") == len(project.files)


def _read_root(data: bytes) -> str:
    try:
        root = simple.root_from_json(data)
    except UnsupportedIndex as error:
        assert_plain(error)
        return "refused"
    root = root.add(["demo-9"])
    body = simple.root_to_json(root)
    assert simple.root_to_json(simple.root_from_json(body)) == body
    page = pages.root_to_html(root)
    assert pages.page_serial(page) == root.serial
    assert all(pages.page_names(page, name) for name in root.projects if is_normalized(name))
    return "taken"


# -- how inputs are changed ---------------------------------------------------------------------------------------------------

#: What parsers trip over.
_ATOMS = [
    *(
        b"",
        b"\0",
        b"\n",
        b"\r\n",
        b" ",
        b"../",
        b"/",
        b"\\",
        b"..",
        b"-",
        b"--",
        b",",
        b'"',
        b"\xff\xfe",
        b"\x1b[31m",
        b"\xc2\x9b",
        b"<a>",
    ),
    *("٣".encode(), "\u202e".encode(), "İ".encode(), "💥".encode(), b"%2F", b"1e999", b"9" * 4300, b"-1", b"null", b"A" * 5000),
    *(
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"\x1f\x8b\x08",
        b"ustar",
        b"\xff" * 4,
        b"\x00" * 4,
        b"\xff" * 8,
        b"Name: x\n",
    ),
    *(b"Metadata-Version: 9.9\n", b"Requires-Python: >=3,<", b"Content-Type: multipart/mixed; boundary=x\n", b"a-" * 100),
]
_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    10**18,
    10**4299,
    1.5,
    "",
    "\0",
    "\ud800",
    "\x1b[31m",
    "<a>",
    "javascript:x",
    [],
    {},
    "-1" * 500,
    "a." * 500,
]


def vary_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        end = min(end, at + rng.choice((0, 1, 4, 64, 1024)))
        piece = rng.choice(_ATOMS) if rng.random() < 0.5 else rng.randbytes(rng.choice((1, 2, 4, 8)))
        data = rng.choice(
            (
                data[:at] + piece + data[end:],
                data[:at] + data[end:],
                data[:at] + data[at:end] * 2 + data[end:],
                data[:at],
                data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
            )
        )
    return data[: 1 << 20]


def _vary_text(text: str, rng: random.Random) -> str:
    return vary_bytes(text.encode("utf-8", "surrogatepass"), rng).decode("utf-8", "replace")


def _vary_wheel(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = _vary_members(members, rng)
    if rng.random() < 0.7:  # a RECORD that is right, so that what is behind it is reached
        record = next((name for name in members if name.endswith("/RECORD")), "")
        members[record] = record_of({name: body for name, body in members.items() if name != record}, record)
    path = Path(_workshop().name, "packed.zip")
    return write_zip(path, members).read_bytes()


def _vary_sdist(data: bytes, rng: random.Random) -> bytes:
    tar = gzip.decompress(data)
    if rng.random() < 0.5:
        return gzip.compress(vary_bytes(tar, rng), 1)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = {member.name: (file.read() if (file := archive.extractfile(member)) else b"") for member in archive}
    return write_targz(Path(_workshop().name, "packed.tar.gz"), _vary_members(members, rng)).read_bytes()


def _vary_members(members: Mapping[str, bytes], rng: random.Random) -> dict[str, bytes]:
    name = rng.choice([*members, ""])
    varied = dict(members)
    body = varied.pop(name, b"")
    renamed = name if rng.random() < 0.7 else _vary_text(name, rng)
    return {**varied, renamed: vary_bytes(body, rng)} if rng.random() < 0.95 else varied


def _vary_document(data: bytes, rng: random.Random) -> bytes:
    document = json.loads(data)
    if not isinstance(document, dict):
        return vary_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 2, 5))):
        _vary_value(document, rng)
    return json.dumps(document).encode()


def _vary_value(value: Any, rng: random.Random) -> None:
    """Change something somewhere in a document."""
    places: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
    if not places:
        return
    place = rng.choice(places)
    inner = value[place]
    if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
        _vary_value(inner, rng)
    elif isinstance(inner, str) and rng.random() < 0.5:
        value[place] = _vary_text(inner, rng)
    elif isinstance(value, dict) and rng.random() < 0.3:
        value[_vary_text(place, rng)] = value.pop(place)
    elif isinstance(value, list) and rng.random() < 0.3:
        value.append(inner)
    else:
        value[place] = rng.choice(_VALUES)


WHEEL, SDIST, ZIP = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz", "demo-1.0.zip"
#: By the first byte of an input.
KINDS = (
    Kind(".whl", _read_artifact(WHEEL), _vary_wheel),
    Kind(".tar.gz", _read_artifact(SDIST), _vary_sdist),
    Kind(".zip", _read_artifact(ZIP), _vary_wheel),
    Kind(".record.json", _read_record, _vary_document),
    Kind(".root.json", _read_root, _vary_document),
)


def corpus() -> list[bytes]:
    """Return what inputs are made from: the number of a kind, and a file of that kind."""
    directory = Path(_workshop().name, "corpus")
    headers = {
        "Metadata-Version": "2.4",
        "License-File": "LICENSE",
        "Summary": "a demo",
        "Description-Content-Type": "text/x-rst",
    }
    more = {"requires_python": ">=3.8, <4", "headers": headers, "description": "A demo.\n"}
    made = [
        (0, make_wheel(directory, "demo", "1.0")),
        (0, make_wheel(directory / "more", "demo", "1.0", files={"demo/data.bin": bytes(5000), "demo/ä.py": b"x"}, **more)),  # type: ignore[arg-type]
        (1, make_sdist(directory, "demo", "1.0")),
        (1, make_sdist(directory / "more", "demo", "1.0", files={"a" * 150 + "/ä.py": b"x" * 3000}, **more)),  # type: ignore[arg-type]
        (2, make_sdist(directory, "demo", "1.0", format=".zip")),
    ]
    inputs = [bytes([number]) + path.read_bytes() for number, path in made]
    inputs += [b"\3" + simple.project_to_json(_full_project()), b"\4" + _ROOT]
    return inputs + [tagged(path) for path in regressions()]


def regressions() -> list[Path]:
    """Return the inputs that once broke something."""
    return sorted(REGRESSIONS.glob("*"))


def tagged(path: Path) -> bytes:
    """Return a file as an input."""
    number = next(number for number, kind in enumerate(KINDS) if path.name.endswith(kind.suffix))
    return bytes([number]) + path.read_bytes()


_ROOT = json.dumps(
    {
        "meta": {"api-version": "1.4", "_last-serial": 7},
        "projects": [{"name": "demo", "_x": 1}, {"name": "acme"}],
        "_conditions": "x",
    }
).encode()


def _full_project() -> Project:
    digest = "0123456789abcdef" * 4
    document = {
        "meta": {"api-version": "1.4", "_last-serial": 3},
        "name": "demo",
        "versions": ["1.0"],
        "files": [
            {
                "filename": name,
                "url": f"{digest[:32]}/{name}",
                "hashes": {"sha256": digest},
                "size": 1000,
                "upload-time": "2026-01-01T00:00:00.000000Z",
                "requires-python": ">=3.8",
                "core-metadata": {"sha256": digest},
                "yanked": "broken",
            }
            for name in (WHEEL, SDIST)
        ],
        "project-status": {"status": "deprecated", "reason": "see demo2"},
        "_listed": True,
        "_used": [{"key": "abc/demo-0.9.zip", "time": "2026-01-01T00:00:00Z"}],
        "_deleted": [{"filename": "demo-0.9.zip", "sha256": digest}],
        "_withheld": [],
    }
    return simple.project_from_json(json.dumps(document).encode(), "demo")


def vary(data: bytes, rng: random.Random) -> bytes:
    """Change an input: its file's bytes, or what the file holds where it can still be unpacked."""
    number, body = data[:1] or b"\0", data[1:]
    if rng.random() < 0.6:
        with suppress(Exception):  # the standard library reads what was damaged before, and raises anything
            return number + KINDS[number[0] % len(KINDS)].vary(body, rng)
    return number + vary_bytes(body, rng)


# -- how they are tried -------------------------------------------------------------------------------------------------------


@dataclass
class Trial:
    """Tries inputs and takes the figures.

    :ivar counts: inputs by kind and by what became of them.
    :ivar slowest: seconds of processor time of the slowest one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def run(self, data: bytes) -> None:
        """Try one input.

        :raises Exception: it broke something.
        :raises Hang: it took longer than :data:`SECONDS`.
        """
        kind = KINDS[(data[:1] or b"\0")[0] % len(KINDS)]
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            outcome = kind.read(data[1:])
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.slowest = max(self.slowest, time.process_time() - begin)
        self.counts[f"{kind.suffix.strip('.')} {outcome}"] += 1

    @property
    def total(self) -> int:
        """Inputs tried."""
        return sum(self.counts.values())

    def figures(self) -> dict[str, int | float]:
        """Return what was measured; memory is this process's at its peak, the interpreter and a mutator included."""
        return {
            "inputs": self.total,
            "slowest_s": round(self.slowest, 3),
            "peak_mib": round(_peak()),
            **dict(sorted(self.counts.items())),
        }


def _peak() -> float:
    """Return the most memory that this process had, in MiB. What getrusage says may be the parent's that started it."""
    status = Path("/proc/self/status")
    if status.exists() and (match := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(match[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many are tried (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same inputs (without atheris)")
    parser.add_argument("--keep", type=Path, default=Path(), metavar="DIR", help="where an input that breaks something is left")
    parser.add_argument("--unguided", action="store_true", help="do without atheris")
    arguments = parser.parse_args()
    signal.signal(signal.SIGPROF, _hang)
    warnings.simplefilter("ignore")  # a name twice in an archive is just what is wanted
    trial, guided = Trial(), not arguments.unguided and importlib.util.find_spec("atheris") is not None
    run = _run_guided if guided else _run_unguided
    return run(trial, arguments.inputs, arguments.seed, arguments.keep)


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise Hang(f"an input took more than {SECONDS} s")


def _run_unguided(trial: Trial, inputs: int, seed: int, keep: Path) -> int:
    rng, seeds = random.Random(seed), corpus()
    pool = list(seeds)
    for data in seeds:
        _try(trial, data, keep)
    while trial.total < inputs:
        data = vary(rng.choice(pool if rng.random() < 0.3 else seeds), rng)
        _try(trial, data, keep)
        # What was changed once is changed again, now and then.
        if rng.random() < 0.1:
            if len(pool) >= 500:
                del pool[rng.randrange(len(pool))]
            pool.append(data)
    return _report(trial, guided=0)


def _run_guided(trial: Trial, inputs: int, seed: int, keep: Path) -> int:
    atheris: Any = importlib.import_module("atheris")
    directory = Path(_workshop().name, "seeds")
    directory.mkdir()
    seeds = corpus()
    for number, data in enumerate(seeds):
        (directory / f"{number}").write_bytes(data)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        rng, choice = random.Random(number), random.Random(number + 1).random()
        if choice < 0.2:
            return bytes(atheris.Mutate(data, most))
        # Changes to what was changed before end ever earlier; what is whole is changed as often.
        return vary(data if choice < 0.6 else rng.choice(seeds), rng)[:most]

    def try_one(data: bytes) -> None:
        _try(trial, data, keep)
        if trial.total >= inputs:
            _end(_report(trial, guided=1))

    for module in _INSTRUMENTED:
        _instrument(atheris, importlib.import_module(f"pypiprivate.{module}"))
    atheris.Setup(
        [
            sys.argv[0],
            f"-seed={seed}",
            f"-max_len={1 << 16}",
            "-verbosity=0",
            f"-artifact_prefix={_workshop().name}/",
            str(directory),
        ],
        try_one,
        custom_mutator=mutate,
    )
    atheris.Fuzz()
    return 1  # it does not come back


#: What is to be explored.
_INSTRUMENTED = ("archive", "artifact", "metadata", "model", "simple", "tararchive", "ziparchive")


def _instrument(atheris: Any, module: Any) -> None:
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for function in [value, *vars(value).values()] if isinstance(value, type) else [value]:
            if hasattr(function, "__code__"):
                function.__code__ = atheris.instrument_func(function).__code__


def _try(trial: Trial, data: bytes, keep: Path) -> None:
    try:
        trial.run(data)
    except BaseException:
        kind = KINDS[(data[:1] or b"\0")[0] % len(KINDS)]
        path = keep / f"broken-{sha256(data).hexdigest()[:12]}{kind.suffix}"
        path.write_bytes(data[1:])
        sys.stderr.write(f"{path} broke something\n")
        raise


def _report(trial: Trial, *, guided: int) -> int:
    figures = trial.figures()
    sys.stdout.write(json.dumps({**figures, "guided": guided}) + "\n")
    sys.stdout.flush()
    return int(figures["peak_mib"] > MIB)


def _end(code: int) -> None:
    """End at once: libFuzzer knows no other way."""
    _workshop().cleanup()
    os._exit(code)


_WORKSHOPS: list[tempfile.TemporaryDirectory[str]] = []


def _workshop() -> tempfile.TemporaryDirectory[str]:
    """Return this process's directory for temporary files."""
    if not _WORKSHOPS:
        _WORKSHOPS.append(tempfile.TemporaryDirectory(prefix="fuzz-"))
    return _WORKSHOPS[0]


if __name__ == "__main__":
    sys.exit(main())
