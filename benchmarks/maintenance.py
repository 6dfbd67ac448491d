"""What ``verify`` and ``repair`` cost on a large index: time, requests a second, and memory.

    python -m benchmarks.maintenance local [PROJECTS [FILES]]  # in a directory; 5,000 projects of 20 files each
    python -m benchmarks.maintenance bucket [PROJECTS [FILES]] # SeaweedFS, 30 ms away; 200 projects of 10 files each
    python -m benchmarks.maintenance memory [PROJECTS [FILES]] # a store of no cost, 30 ms away: what is ours alone

Files are small, every other one is a wheel with a sidecar. Run it from the root of the checkout.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from pypiprivate import pages, simple
from pypiprivate.concurrency import concurrently, streaming
from pypiprivate.findings import Depth
from pypiprivate.model import File, Project, ProjectList, timestamp, url_of
from pypiprivate.publish import utc_now
from pypiprivate.repair import repair
from pypiprivate.storage.base import IN_FLIGHT, MUTABLE, Storage, in_flight
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import open_bucket
from pypiprivate.verify import verify
from tests.repositories import Observed
from tests.servers import BUCKET, seaweedfs

#: Seconds that a request is under way, there and back.
LATENCY = 0.030
#: Writes an object, whatever lies there.
Write = Callable[[str, bytes, str], object]


def main(arguments: Sequence[str]) -> None:
    """Run one of the two."""
    sizes = [int(argument) for argument in arguments[1:]]
    {"local": local, "bucket": bucket, "memory": memory}[arguments[0]](*sizes)


def local(projects: int = 5_000, files: int = 20, rounds: int = 3) -> None:
    """Repair an index in a directory that lost its pages and the root, from its records, beside reading it all; verify it."""
    with tempfile.TemporaryDirectory() as name:
        directory, count = Path(name, "index"), projects * files
        measure("made", count, make, _writing_to(directory), projects, files)
        pairs = []
        for _ in range(rounds):
            read = _in_a_process("listed and hashed alone", count, _hash, directory)
            _lose_pages(directory)
            pairs.append((read, _in_a_process("repaired from the records alone", count, _repair, directory)))
        ratio = median(repaired / read for read, repaired in pairs)
        rate = count / median(repaired for _, repaired in pairs)
        print(f"repair: {rate:,.0f} files a second, {ratio:.2f} times listing and hashing alone (medians of {rounds})")
        _in_a_process("verified", count, _verify, directory)


def _lose_pages(directory: Path) -> None:
    """Put them away. They are not deleted: for minutes after many deletions, ext4 without a journal is slow to make new files."""
    gone = directory.parent / f"{directory.name}-gone-{secrets.token_hex(4)}"
    gone.mkdir()
    for page in (*directory.glob("*/index.html"), directory / "index.html", directory / "index.json"):
        page.rename(gone / secrets.token_hex(8))


def bucket(projects: int = 200, files: int = 10) -> None:
    """Verify an index in a bucket that is some way off, with many requests at once and with one after another."""
    with tempfile.TemporaryDirectory() as name, seaweedfs(Path(name)) as server, _far_away(server.url) as url:
        client, prefix = server.client(), secrets.token_hex(4)

        def write(key: str, body: bytes, content_type: str) -> None:
            meta = {"sha256": hashlib.sha256(body).hexdigest()}
            key = f"{prefix}/{key}"
            client.put_object(
                Bucket=BUCKET, Key=key, Body=body, ContentType=content_type, CacheControl=_cache(key), Metadata=meta
            )

        measure("made", projects * files, make, write, projects, files)
        _compare(open_bucket(server.options(endpoint=url, prefix=prefix)), projects, files)


def memory(projects: int = 200, files: int = 10) -> None:
    """Do the same on a store that is as far off, and takes no work of any processor."""
    storage = MemoryStorage()

    def write(key: str, body: bytes, content_type: str) -> None:
        if content_type == "application/octet-stream":
            storage.store(key, body, sha256=hashlib.sha256(body).hexdigest())
        else:
            storage.swap(key, body, replacing=None, content_type=content_type)

    make(write, projects, files)
    _compare(Observed(storage, before=lambda _verb, _key: time.sleep(LATENCY)), projects, files)


def _compare(storage: Storage, projects: int, files: int, rounds: int = 3) -> None:
    few, requests = max(1, projects // 20), files + files // 2 + 2
    names, ratios = [f"project-{number}" for number in range(few)], []
    for _ in range(rounds):
        alone = measure("verified one request after another", few * requests, verify, storage, names) / few
        with streaming(IN_FLIGHT) as stream:
            many = measure(f"verified with {IN_FLIGHT} in flight", projects * requests, _soundly, storage, stream) / projects
        ratios.append(alone / many)
    ratio, minutes = median(ratios), alone / median(ratios) * 10_000 / 60
    print(f"{ratio:.1f} times as fast (median of {rounds}); 100,000 files in 10,000 projects would take {minutes:.1f} minutes")


def make(write: Write, projects: int, files: int) -> None:
    """Write an index as publishes would have left it."""
    with ThreadPoolExecutor(8) as pool:
        names = [f"project-{number}" for number in range(projects)]
        list(pool.map(lambda name: _make_project(write, name, files), names))
    root = ProjectList(serial=1).add(names)
    write(simple.ROOT_RECORD, simple.root_to_json(root), simple.JSON_TYPE)
    write(simple.ROOT_PAGE, pages.root_to_html(root), simple.HTML_TYPE)


def _make_project(write: Write, name: str, count: int) -> None:
    files = tuple(_make_file(write, name, number) for number in range(count))
    versions = tuple(f"1.{number}" for number in range(count))
    project = Project(name, files, versions, serial=count, listed=True)
    write(simple.record_key(name), simple.project_to_json(project), simple.JSON_TYPE)
    write(simple.page_key(name), pages.project_to_html(project), simple.HTML_TYPE)


def _make_file(write: Write, project: str, number: int) -> File:
    stem = f"{project.replace('-', '_')}-1.{number}"
    filename = stem + (".tar.gz" if number % 2 else "-py3-none-any.whl")
    body, metadata = f"{filename} is small".encode(), f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.{number}\n".encode()
    digest = hashlib.sha256(body).hexdigest()
    key = f"{digest[:32]}/{filename}"
    write(f"{project}/{key}", body, "application/octet-stream")
    if number % 2 == 0:
        write(f"{project}/{key}.metadata", metadata, "application/octet-stream")
    announced = number % 2 == 0 and {"sha256": hashlib.sha256(metadata).hexdigest()}
    return File(filename, url_of(key), {"sha256": digest}, len(body), timestamp(utc_now()), ">=3.10", announced)


def _writing_to(directory: Path) -> Write:
    def write(key: str, body: bytes, _content_type: str) -> None:
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    return write


def _cache(key: str) -> str:
    return MUTABLE if "/index." in key else "max-age=31536000, immutable"


def measure(what: str, count: int, act: Callable[..., object], *arguments: object) -> float:
    """Do it, print how long it took, how much of a processor that was, how many that is a second, and return the seconds."""
    begin, worked = time.perf_counter(), time.process_time()
    act(*arguments)
    seconds, worked = time.perf_counter() - begin, time.process_time() - worked
    print(f"{what}: {seconds:.2f} s ({worked:.2f} s of work), {count / seconds:,.0f} a second", flush=True)
    return seconds


def _in_a_process(what: str, count: int, act: Callable[[Path], object], directory: Path) -> float:
    """In a process of its own, whose memory nothing else has grown; return the seconds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, what, count, act, directory).result()


def _measured(what: str, count: int, act: Callable[[Path], object], directory: Path) -> float:
    before = _peak()
    seconds = measure(what, count, act, directory)
    print(f"    at most {_peak():.0f} MB of memory, {before:.0f} MB of it before", flush=True)
    return seconds


def _peak() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found[1]) / 1000 if found else 0.0


def _hash(directory: Path) -> None:
    storage = LocalStorage(directory)
    concurrently([partial(_hash_one, storage, entry.key) for entry in storage.list("")])


def _hash_one(storage: Storage, key: str) -> str:
    digest = hashlib.sha256()
    for piece in storage.read(key):
        digest.update(piece)
    return digest.hexdigest()


def _verify(directory: Path) -> None:
    storage = LocalStorage(directory)
    with streaming(in_flight(storage)) as stream:
        _soundly(storage, stream)


def _soundly(storage: Storage, stream: Any) -> None:
    report = verify(storage, stream=stream)
    if report.findings:
        raise SystemExit(f"not sound: {report.findings[:3]}")


def _repair(directory: Path) -> None:
    storage = LocalStorage(directory)
    with streaming(in_flight(storage)) as stream:
        done = repair(storage, depth=Depth.DOCUMENTS, stream=stream)
    if done.left or not done.mended:
        raise SystemExit(f"not mended: {done.left[:3]}")


# -- a server that is some way off --------------------------------------------------------------------------------------------


@contextmanager
def _far_away(url: str) -> Iterator[str]:
    """Pass connections on to a server, each way late by half of :data:`LATENCY`; in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_line, args=(urlsplit(url).port, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _run_line(port: int, told: Connection) -> None:
    async def serve() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while piece := await reader.read(1 << 16):
        loop.call_later(LATENCY / 2, writer.write, piece)
    loop.call_later(LATENCY / 2, writer.close)


if __name__ == "__main__":
    main(sys.argv[1:])
