"""How long a search takes in a repository of many projects: CPU and requests by name, time with summaries behind a slow store.

    python -m benchmarks.searching [--projects 10000] [--latency 0.03] [--workers 32]

With summaries each project costs two requests. The store is a directory whose every request waits for *latency* first.
Run it from the root of the checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pypiprivate import browse, simple
from pypiprivate.model import File, Project, ProjectList, timestamp, url_of
from pypiprivate.publish import utc_now
from pypiprivate.storage.local import LocalStorage
from tests.repositories import Observed


def make(base: Path, count: int) -> None:
    """Write the documents and sidecars of so many projects; there are no wheels, for a search reads none."""
    names = [f"acme-{'http' if number % 7 else 'tool'}-{number}" for number in range(count)]
    base.mkdir()
    (base / simple.ROOT_RECORD).write_bytes(simple.root_to_json(ProjectList(serial=1).add(names)))
    now = timestamp(utc_now())
    for name in names:
        metadata = (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: Does what {name} does\n\n{'text ' * 400}\n".encode()
        )
        digest, filename = hashlib.sha256(name.encode()).hexdigest(), f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
        key, sidecar = f"{digest[:32]}/{filename}", hashlib.sha256(metadata).hexdigest()
        file = File(filename, url_of(key), {"sha256": digest}, 1000, now, core_metadata={"sha256": sidecar})
        (base / name / digest[:32]).mkdir(parents=True)
        (base / name / f"{key}.metadata").write_bytes(metadata)
        (base / simple.record_key(name)).write_bytes(simple.project_to_json(Project(name, (file,), ("1.0",), serial=1)))


def distant(base: Path, latency: float) -> tuple[Observed, Counter[str]]:
    """Return the repository far away, and what counts its requests."""
    requests: Counter[str] = Counter()

    def wait(verb: str, _key: str) -> None:
        requests[verb] += 1
        time.sleep(latency)

    return Observed(LocalStorage(base), before=wait), requests


def by_name(base: Path) -> None:
    """Search once here, and once by the program, whose start counts too."""
    storage, requests = distant(base, 0)
    begin = time.process_time()
    found = browse.search_names(storage, "Acme.Tool")
    print(f"by name: {len(found)} found, {time.process_time() - begin:.3f} s of CPU, requests: {dict(requests)}")
    before = children_cpu()
    subprocess.run(
        [sys.executable, "-m", "pypiprivate", "-r", base, "search", "--names", "acme-tool"], check=True, capture_output=True
    )
    print(f"by name, from the command line: {children_cpu() - before:.3f} s of CPU")


def children_cpu() -> float:
    """Return the seconds that child processes have computed so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_summary(base: Path, latency: float, workers: int) -> None:
    """Search what every project says of itself."""
    storage, requests = distant(base, latency)
    cpu, wall = time.process_time(), time.perf_counter()
    hits = list(browse.search(storage, "what acme tool", workers=workers))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    alone = sum(requests.values()) * latency
    print(f"with summaries: {len(hits)} found in {wall:.1f} s ({cpu:.1f} s of CPU), requests: {dict(requests)}")
    print(f"one after another, the requests alone would wait {alone:.0f} s: {alone / wall:.1f} times as long")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds a request")
    parser.add_argument("--workers", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory, "simple")
        make(base, arguments.projects)
        by_name(base)
        by_summary(base, arguments.latency, arguments.workers)


if __name__ == "__main__":
    main()
