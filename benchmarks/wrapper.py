"""What ``pypiprivate.build_meta`` costs a build that publishes nothing: pairs of builds with it and without it.

``python benchmarks/wrapper.py [PAIRS]``, with an interpreter that has ``build``, ``setuptools`` and pypiprivate.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

BACKENDS = {"without": "setuptools.build_meta", "with": "pypiprivate.build_meta"}
PYPROJECT = """\
[build-system]
requires = []
build-backend = "{backend}"
[project]
name = "acme-demo"
version = "1.0"
[tool.setuptools]
py-modules = ["acme_demo"]
"""


def main(pairs: int) -> None:
    """Print the median of each kind of build, and of the differences within the pairs."""
    with TemporaryDirectory() as directory:
        projects = {kind: project(Path(directory, kind), backend) for kind, backend in BACKENDS.items()}
        for each in projects.values():
            seconds(each)  # byte-compiles, and fills the caches of the system
        # In turns, first one and then the other first: whatever else the machine does hits both.
        order = [list(projects) if number % 2 else list(projects)[::-1] for number in range(pairs)]
        taken = [{kind: seconds(projects[kind]) for kind in kinds} for kinds in order]
    for kind in projects:
        print(f"{kind:8} {median(pair[kind] for pair in taken) * 1000:6.0f} ms")
    low, middle, high = quantiles([pair["with"] - pair["without"] for pair in taken], n=4)
    print(f"difference of a pair: {middle * 1000:.0f} ms (quartiles {low * 1000:.0f} to {high * 1000:.0f}) in {pairs} pairs")


def project(directory: Path, backend: str) -> Path:
    """Write a project of one module."""
    directory.mkdir()
    (directory / "pyproject.toml").write_text(PYPROJECT.format(backend=backend), "utf-8")
    (directory / "acme_demo.py").write_text("VALUE = 1\n", "utf-8")
    return directory


def seconds(directory: Path) -> float:
    """Build an sdist and from it a wheel, four hooks in four processes; return how long it took."""
    for leftover in ("dist", "build", "acme_demo.egg-info"):
        shutil.rmtree(directory / leftover, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "-qq"], cwd=directory, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
