"""What ``adopt`` costs beside listing and hashing alone, and beside that and durable writing; and how much memory it takes.

``python benchmarks/adopting.py [PROJECTS] [FILES] [BYTES] [ROUNDS] [s3]``: an older index of so many projects with so many wheels
each, in a directory or on SeaweedFS; each wheel has about so many bytes, unless told otherwise about as many as a file of the
public index has on average. Nothing of a directory is in memory before. Each measurement is a process of its own, in rounds:

``hash``   lists all files, reads each and hashes it, in threads. It writes nothing.
``floor``  does the same, and writes as many bytes durably as an adoption leaves behind, in as many objects (a sidecar for each
           wheel, a record and a page for each project), with nothing but the system's own calls, or bare uploads.
``adopt``  adopts them. ``again`` finds that nothing is left to do.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pypiprivate import survey, takeover
from pypiprivate.concurrency import concurrently
from pypiprivate.storage import open_storage
from pypiprivate.storage.base import Entry, Storage
from pypiprivate.storage.local import LocalStorage
from tests import servers
from tests.builders import make_wheel

#: Threads of `adopt` in a directory.
THREADS = os.cpu_count() or 1
#: Bytes that an adoption leaves behind: a sidecar of a wheel as :func:`write` makes them, and a file's part of record and page.
SIDECAR, ENTRY = 90, 450


def main(projects: int, files: int, size: int, rounds: int, *, on_s3: bool) -> None:
    """Write the index, and print what each way costs."""
    with TemporaryDirectory() as home:
        place = Path(home, "server")
        place.mkdir()
        with servers.seaweedfs(place) if on_s3 else nullcontext() as server:
            url = server.url if server else ""
            total = write(storage_of(home, url), Path(home), projects, files, size)
            print(f"{projects * files} wheels in {projects} projects, {total / 1e6:.0f} MB, {'S3' if on_s3 else 'directory'}")
            taken = [in_turn(home, url) for _ in range(rounds)]
    for way, what in (("hash", "listing and hashing alone"), ("floor", "listing, hashing and durable writing alone")):
        ratios = sorted(each["adopt"] / each[way] for each in taken)
        print(f"adopt is {median(ratios):.1f} times {what} ({ratios[0]:.1f} to {ratios[-1]:.1f})")


def in_turn(home: str, url: str) -> dict[str, float]:
    """Measure each way once, and leave the index as it was before."""
    taken = {}
    for way in ("hash", "floor", "adopt", "again"):
        forget(Path(home, "index"))
        taken[way] = measured(way, home, url)
    for name, written in (("index", r"/index\.|\.metadata\Z|\Aindex\."), ("floor", "")):
        storage = storage_of(home, url, name)
        keys = [entry.key for entry in storage.list("") if re.search(written, entry.key)]
        concurrently([partial(put_away, storage, Path(home), name, key) for key in keys])
    os.sync()
    return taken


def forget(index: Path) -> None:
    """Leave nothing of a directory's files in memory: what a large index holds would not be there, either."""
    os.sync()
    for path in index.rglob("*.whl"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def put_away(storage: Storage, home: Path, name: str, key: str) -> None:
    """Take an object out of the way.

    A file is not deleted: for minutes after many deletions, ext4 without a journal is slow to make new files.
    """
    if isinstance(storage, LocalStorage):
        (home / "gone").mkdir(exist_ok=True)
        (home / name / key).rename(home / "gone" / uuid.uuid4().hex)
    else:
        storage.delete(key)


def storage_of(home: str, url: str, name: str = "index") -> Storage:
    """Open the repository, or the place of what the floor writes."""
    if url:
        return open_storage("aws-s3", servers.Server(url).options(prefix=name))
    return open_storage("local-filesystem", {"base_path": f"{home}/{name}"})


def write(storage: Storage, home: Path, projects: int, files: int, size: int) -> int:
    """Write what the original would, and return the number of bytes."""
    text = "".join(f"value_{n} = {random.random()}\n" for n in range(size // 13)).encode()
    total = 0
    for number in range(projects):
        name = f"project-{number:05}"
        directory = home / "index" / name
        for version in range(files):
            make_wheel(directory, name, f"{version}.0", requires_python=">=3.8", files={f"{name}.py": text})
        total += sum(path.stat().st_size for path in directory.iterdir())
        if not isinstance(storage, LocalStorage):
            concurrently([partial(put, storage, path) for path in directory.iterdir()])
            shutil.rmtree(directory)
    return total


def put(storage: Storage, path: Path) -> None:
    """Upload a file."""
    body = path.read_bytes()
    storage.store(f"{path.parent.name}/{path.name}", body, sha256=hashlib.sha256(body).hexdigest())


def measured(way: str, home: str, url: str) -> float:
    """Run one way in a process of its own, print its figures, and return its seconds."""
    command = [sys.executable, __file__, "--way", way, home, url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(printed, end="")
    found = re.search(r"([0-9.]+) s", printed)
    assert found
    return float(found[1])


def run(way: str, home: str, url: str) -> None:
    """Do it, and print how long it took and the most memory that this process had."""
    storage = storage_of(home, url)
    start, before = perf_counter(), os.times()
    if way == "hash":
        count = sum(concurrently([partial(hashed, storage, entry.key) for entry in storage.list("")]))
    elif way == "floor":
        target = storage_of(home, url, "floor")
        count = sum(concurrently([partial(floor, storage, target, home, *found) for found in directories(storage)]))
    else:
        gather = partial(concurrently, workers=THREADS) if isinstance(storage, LocalStorage) else concurrently
        found = survey.survey(storage, gather=gather)
        count = len(takeover.take(found, storage, gather=gather).taken)
    seconds = perf_counter() - start
    peak = re.search(r"VmHWM:\s+([0-9]+)", Path("/proc/self/status").read_text())
    memory = f"{int(peak[1]) / 1024:.0f} MiB" if peak else "?"
    after = os.times()
    work = f"{after.user - before.user:.1f} s of work and {after.system - before.system:.1f} s of the system's"
    print(f"{way:6} {seconds:8.2f} s  {count} files, {count / seconds:.0f} a second, {memory}, {work}")


def hashed(storage: Storage, key: str) -> int:
    """Read and hash one object."""
    digest = hashlib.sha256()
    for piece in storage.read(key):
        digest.update(piece)
    return len(digest.hexdigest()) // 64


def directories(storage: Storage) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the projects, and what lies in them."""
    for name, entries in groupby(storage.list(""), key=lambda entry: entry.key.partition("/")[0]):
        yield name, list(entries)


def floor(storage: Storage, target: Storage, home: str, name: str, entries: list[Entry]) -> int:
    """Hash the files of a project, and write what has to be written for them."""
    count = sum(hashed(storage, entry.key) for entry in entries)
    bodies = {entry.key: bytes(SIDECAR) for entry in entries}
    bodies |= {f"{name}/index.{form}": bytes(ENTRY * count) for form in ("json", "html")}
    if isinstance(target, LocalStorage):
        flushed(Path(home, "floor", name), bodies)
    else:
        for key, body in bodies.items():
            target.store(key, body, sha256=hashlib.sha256(body).hexdigest())
    return count


def flushed(directory: Path, bodies: dict[str, bytes]) -> None:
    """Write files that are whole and on the disk before they are seen, and flush their directory once."""
    directory.mkdir(parents=True, exist_ok=True)
    for key, body in bodies.items():
        path = f"{directory}/{key.rpartition('/')[2]}"
        with open(f"{path}.new", "wb", buffering=0) as file:  # noqa: PTH123  nothing but the system's own calls
            file.write(body)
            os.fsync(file.fileno())
        os.rename(f"{path}.new", path)  # noqa: PTH104
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        run(*sys.argv[2:5])
    else:
        numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
        main(*(numbers + [100, 10, 1_500_000, 3][len(numbers) :]), on_s3="s3" in sys.argv)
