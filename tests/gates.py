"""A storage plug-in for tests: the built-in backends, held at a gate and able to strike their own process.

The program is run as it is. It is told to use ``gated-file:///PATH`` or ``gated-s3://BUCKET/PREFIX`` instead of ``file`` or
``s3``; what is stored is the same. Once its storage is open, be it while artifacts are read, it says ``ready`` on standard output
and waits for a line on standard input (or its end), so that a crowd begins at one moment and a delay counts from there.
``STRIKE=SIGNAL:N`` in the environment lets it send itself that signal after its N-th operation on the storage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

from pypiprivate.storage import Backend, Storage, local, s3

from .repositories import Observed

_operations = count(1)

# A shell that runs the tests in the background lets its children ignore Ctrl-C; only a main thread can mend that.
_AT_START = "import signal\n\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def _gated(backend: Backend) -> Backend:
    opened = partial(_open, backend)
    return replace(backend, type=f"gated-{backend.type}", scheme=f"gated-{backend.scheme}", open=opened)


def _open(backend: Backend, options: Mapping[str, str]) -> Storage:
    storage = Observed(backend.open(options), after=_strike)
    print("ready", flush=True)  # noqa: T201  this is its interface
    sys.stdin.readline()
    return storage


def _strike(_verb: str, _key: str) -> None:
    number, _, at = os.environ.get("STRIKE", "").partition(":")
    if number and next(_operations) == int(at):
        os.kill(os.getpid(), int(number))


LOCAL, S3 = _gated(local.BACKEND), _gated(s3.BACKEND)


def install(site: Path) -> None:
    """Write into *site*, a directory of ``sys.path``, that this is a plug-in."""
    about = site / "gates-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(_AT_START)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: gates\nVersion: 1.0\n")
    entries = [f"{backend.type} = {__name__}:{name}" for name, backend in (("LOCAL", LOCAL), ("S3", S3))]
    (about / "entry_points.txt").write_text("\n".join(["[pypiprivate.storage]", *entries, ""]))
