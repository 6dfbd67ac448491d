"""What ``adopt`` costs beside listing and hashing alone, and how much memory it takes.

``python benchmarks/adopting.py [PROJECTS] [FILES] [BYTES] [s3]``: an older index of so many projects with so many wheels each, in
a directory or on SeaweedFS; each wheel has about so many bytes. Each measurement is a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pypiprivate import survey, takeover
from pypiprivate.index import concurrently
from pypiprivate.storage import open_storage
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from tests import servers
from tests.builders import make_wheel


def main(projects: int, files: int, size: int, *, on_s3: bool) -> None:
    """Write the index, and print what each way costs."""
    with TemporaryDirectory() as home:
        place = Path(home, "server")
        place.mkdir()
        with servers.seaweedfs(place) if on_s3 else nullcontext() as server:
            url = server.url if server else ""
            storage = storage_of(home, url)
            total = write(storage, Path(home), projects, files, size)
            print(f"{projects * files} wheels in {projects} projects, {total / 1e6:.0f} MB, {'S3' if on_s3 else 'directory'}")
            taken = {way: measured(way, home, url) for way in ("hash", "adopt", "again")}
    print(f"adopt is {taken['adopt'] / taken['hash']:.1f} times listing and hashing alone")


def storage_of(home: str, url: str) -> Storage:
    """Open the repository."""
    if url:
        return open_storage("aws-s3", servers.Server(url).options(prefix="index"))
    return open_storage("local-filesystem", {"base_path": f"{home}/index"})


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
    start = time.perf_counter()
    if way == "hash":
        count = sum(concurrently([partial(hashed, storage, entry.key) for entry in storage.list("")]))
    else:
        found = survey.survey(storage)
        count = len(takeover.take(found, storage).taken)
    seconds = time.perf_counter() - start
    peak = re.search(r"VmHWM:\s+([0-9]+)", Path("/proc/self/status").read_text())
    memory = f"{int(peak[1]) / 1024:.0f} MiB" if peak else "?"
    print(f"{way:6} {seconds:8.2f} s  {count} files, {count / seconds:.0f} a second, {memory}, {os.times().user:.1f} s of CPU")


def hashed(storage: Storage, key: str) -> int:
    """Read and hash one object."""
    digest = hashlib.sha256()
    for piece in storage.read(key):
        digest.update(piece)
    return len(digest.hexdigest()) // 64


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        run(*sys.argv[2:5])
    else:
        numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
        main(*(numbers + [1000, 10, 20_000][len(numbers) :]), on_s3="s3" in sys.argv)
