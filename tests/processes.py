"""The program in processes of its own: let run, held at a gate, or struck by a signal."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE
from urllib.parse import urlencode

from pypiprivate import artifact, publish
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage

from . import gates
from .builders import make_sdist, make_wheel
from .repositories import in_turn, not_at_all, put, snapshot
from .servers import ADMIN, BUCKET, Server

#: Seconds that no command takes.
DEADLINE = 240.0


@dataclass(frozen=True)
class Place:
    """A repository: as the program is told of it, and what really lies there.

    :ivar kind: of its storage, for figures.
    :ivar environ: environment variables of the program.
    """

    kind: str
    url: str
    storage: Storage
    environ: Mapping[str, str]

    def copy(self) -> MemoryStorage:
        """Everything that lies there now, so that a check asks the store once."""
        storage = MemoryStorage()
        for key, body in snapshot(self.storage).items():
            put(storage, key, body)
        return storage


#: Makes a new, empty place.
NewPlace = Callable[[], Place]


def in_directories(parent: Path) -> NewPlace:
    """Places below a directory."""
    environ = _plugged(parent / "site")

    def new_place() -> Place:
        path = parent / f"index-{secrets.token_hex(4)}"
        return Place("local", path.as_uri(), LocalStorage(path), environ)

    return new_place


def in_bucket(server: Server, parent: Path) -> NewPlace:
    """Places in the bucket of a server; *parent* is for temporary files."""
    keys = dict(zip(("PP_S3_ACCESS_KEY", "PP_S3_SECRET_KEY"), ADMIN, strict=True))
    environ, client = _plugged(parent / "site") | keys, server.client()
    query = urlencode({"endpoint": server.url, "region": "us-east-1"})

    def new_place() -> Place:
        prefix = secrets.token_hex(8)
        return Place("seaweedfs", f"s3://{BUCKET}/{prefix}?{query}", S3Storage(client, BUCKET, prefix=prefix), environ)

    return new_place


def _plugged(site: Path) -> dict[str, str]:
    gates.install(site)
    path = [str(site), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def build(directory: Path, version: str = "1.0", project: str = "demo") -> list[str]:
    """A sdist and a wheel."""
    return [str(make_sdist(directory, project, version)), str(make_wheel(directory, project, version))]


def send(files: Sequence[str], storage: Storage) -> None:
    """Publish in this process, one operation after another and without waiting."""
    publish.publish([artifact.read(Path(file)) for file in files], storage, sleep=not_at_all, gather=in_turn)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    :ivar code: minus the number of the signal that killed it, if one did.
    :ivar began: when the gate opened, or it was started, where it met none; ``ended``: when it had ended. Seconds.
    """

    code: int
    err: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """What it took."""
        return self.ended - self.began

    @property
    def retries(self) -> int:
        """How often a document had changed before it could be written; only ``-vv`` tells."""
        return self.err.count("looking again")


def upload(place: Place, files: Sequence[str]) -> Ended:
    """Run the program as anybody does."""
    with _running(place, files) as process:
        return _ended(process)


def struck(place: Place, files: Sequence[str], number: signal.Signals, *, after: int) -> Ended:
    """Run a command that sends itself a signal after so many operations on the storage."""
    with _gated(place, files, STRIKE=f"{number.value}:{after}") as process:
        return _ended(process)


def struck_later(place: Place, files: Sequence[str], number: signal.Signals, *, seconds: float) -> Ended:
    """Run a command and send it a signal so many seconds after its first operation on the storage began."""
    with _gated(place, files) as process:
        _wait_at_gate(process)
        print(file=process.stdin, flush=True)
        time.sleep(seconds)  # the moment is what is tested
        process.send_signal(number)
        return _ended(process)


def struck_early(place: Place, files: Sequence[str], number: signal.Signals, *, importing: str) -> Ended:
    """Run a command and send it a signal once it has imported a module."""
    with _gated(place, files, PYTHONPROFILEIMPORTTIME="1") as process:
        assert process.stderr
        assert any(line.endswith(f" {importing}\n") for line in process.stderr)
        process.send_signal(number)
        return _ended(process)


def in_a_row(place: Place, loads: Sequence[Sequence[str]]) -> list[Ended]:
    """Run a command for each load of files, one after another; each gets ready before it counts."""
    return [ended for files in loads for ended in at_once(place, [files])]


def at_once(place: Place, loads: Sequence[Sequence[str]]) -> list[Ended]:
    """Run a command for each load of files; they begin at one moment."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(_gated(place, files, "-vv")) for files in loads]
        for process in crowd:
            _wait_at_gate(process)
        return list(stack.enter_context(ThreadPoolExecutor(len(crowd))).map(_ended, crowd))


@contextmanager
def _gated(place: Place, files: Sequence[str], *flags: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    with _running(replace(place, url=f"gated-{place.url}"), files, *flags, **environ) as process:
        yield process


@contextmanager
def _running(place: Place, files: Sequence[str], *flags: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pypiprivate", *flags, "-r", place.url, "upload", *files]
    env = {**os.environ, **place.environ, **environ}
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()  # only where a test failed is there anything to kill


def _wait_at_gate(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    assert process.stdout.readline() == "ready\n", process.communicate()[1]


def _ended(process: subprocess.Popen[str]) -> Ended:
    began = time.monotonic()
    _, err = process.communicate(timeout=DEADLINE)
    return Ended(process.returncode, err, began, time.monotonic())
