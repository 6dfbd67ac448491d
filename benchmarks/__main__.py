"""Publish side by side with the peers, and write down what it took: ``make bench``, or

    python -m benchmarks [--scenarios small,again] [--runs 7] [--big 500,2000] [--home build/bench]

from the root of the checkout. The peers come from the package registry, at the first run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from .contest import Bench
from .installs import ROOT, Installs
from .peers import field
from .proxy import LATENCY
from .report import Section, keep
from .scenarios import SCENARIOS

RESULTS = ROOT / "benchmarks/RESULTS.md"


def main(arguments: argparse.Namespace) -> None:
    """Run the scenarios; print and keep what each found as soon as it is there."""
    installs = Installs(arguments.home.resolve() / "environments")
    order = ["machine", *SCENARIOS]
    with tempfile.TemporaryDirectory(dir=arguments.home) as home, field(Path(home).resolve(), installs) as ground:
        bench = Bench(ground, arguments.runs, [size * 1_000_000 for size in arguments.big])
        for name in arguments.scenarios:
            began = time.monotonic()
            section = SCENARIOS[name](bench)
            print(f"{section}\n({time.monotonic() - began:.0f} s)\n", flush=True)
            keep(RESULTS, [section], order)
    keep(RESULTS, [machine(arguments, installs)], order)


def machine(arguments: argparse.Namespace, installs: Installs) -> Section:
    """Say on what this was measured, and what that means."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = [
        f"* {datetime.now(timezone.utc):%Y-%m-%d}, {platform.system()} {platform.release()}, {platform.machine()},",
        f"  {os.cpu_count()} processors, Python {platform.python_version()}; {arguments.runs} runs of each;",
        f"  load averages at the end: {load}.",
        f"* Each request to the object store, and to twine's servers, waits {LATENCY * 1000:.0f} ms at a proxy that counts it.",
        "  There is no TLS and no limit of bandwidth; connections are made at once. The store (SeaweedFS) and the proxy run on",
        "  the same processors as who publishes, so that ratios mean more than seconds.",
        f"* {', '.join(installs.versions())}. *original* is pypiprivate 0.5.0.",
    ]
    return Section("machine", "The machine", lines)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    as_written = argparse.RawDescriptionHelpFormatter
    reads = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=as_written)
    reads.add_argument("--scenarios", type=chosen, default=list(SCENARIOS), help=f"of {','.join(SCENARIOS)} (default: all)")
    reads.add_argument("--runs", type=int, default=7, help="of each contestant (default: 7)")
    reads.add_argument("--big", type=sizes, default=[500, 2000], help="megabytes of the big wheels (default: 500,2000)")
    reads.add_argument("--home", type=Path, default=Path("build/bench"), help="for environments, and what is measured on")
    return reads


def chosen(text: str) -> list[str]:
    """Return the scenarios named in a list."""
    names = text.split(",")
    if unknown := set(names) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return names


def sizes(text: str) -> list[int]:
    """Return the numbers in a list."""
    return [int(size) for size in text.split(",")]


if __name__ == "__main__":
    options = parser().parse_args(sys.argv[1:])
    options.home.mkdir(parents=True, exist_ok=True)
    main(options)
