"""Python environments with a setuptools of our choice and pypiprivate, as users install it; each is made once per test run."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from .examples import AMBIENT, ROOT, run

UV = (sys.executable, "-m", "uv")
_SOURCES = ("pypiprivate", "setup.cfg", "setup.py", "pyproject.toml", "README.rst", "LICENSE.txt")


@dataclass(frozen=True)
class Environments:
    """Makes environments, and keeps them for every test and every xdist worker of this run.

    :ivar shared: the directory that they lie in.
    """

    shared: Path

    @classmethod
    def of_this_run(cls, tmp_path_factory: pytest.TempPathFactory) -> Environments:
        """Return those of this run, whichever worker asks."""
        base = tmp_path_factory.getbasetemp()
        shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "environments"
        shared.mkdir(exist_ok=True)
        return cls(shared)

    def virtual(self, *requirements: str, without: str | None = None) -> Path:
        """Return the interpreter of a virtual environment.

        :param requirements: as ``setuptools==80.9.0``; the rest is what pypiprivate asks for, as new as can be.
        :param without: a project that is taken out again.
        """

        def make(venv: Path) -> None:
            run([*UV, "venv", "--quiet", "--python", sys.executable, venv], env=AMBIENT)
            run([*UV, "pip", "install", "--quiet", "--python", _python_of(venv), self._wheel(), *requirements], env=AMBIENT)
            if without:
                run([*UV, "pip", "uninstall", "--quiet", "--python", _python_of(venv), without], env=AMBIENT)

        return _python_of(self._once(_slug("virtual", *requirements, *(("without", without) if without else ())), make))

    def importable(self, *requirements: str) -> Path:
        """Return a directory for PYTHONPATH: with it an interpreter needs no virtual environment."""

        def make(target: Path) -> None:
            where = ["--python", sys.executable, "--target", str(target)]
            run([*UV, "pip", "install", "--quiet", *where, self._wheel(), *requirements], env=AMBIENT)

        return self._once(_slug("importable", *requirements), make)

    def wheelhouse(self, *requirements: str) -> Path:
        """Return a directory with the wheel of pypiprivate, and those of all that it and *requirements* need."""

        def make(directory: Path) -> None:
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
            run([*fetch, "-d", directory, self._wheel(), *requirements], env=AMBIENT)

        return self._once(_slug("wheelhouse", *requirements), make)

    def foreign(self, *installs: tuple[str, ...]) -> Path:
        """Return the directory of the programs of a virtual environment without pypiprivate, for a tool of somebody else.

        :param installs: arguments of each ``pip install``, in order.
        """

        def make(venv: Path) -> None:
            run([*UV, "venv", "--quiet", "--python", sys.executable, venv], env=AMBIENT)
            for install in installs:
                run([*UV, "pip", "install", "--quiet", "--python", _python_of(venv), *install], env=AMBIENT)

        return _python_of(self._once(_slug("foreign", *(word for install in installs for word in install)), make)).parent

    def _wheel(self) -> Path:
        """Return the wheel of this checkout, built from a copy: a build leaves things behind."""

        def make(directory: Path) -> None:
            sources = directory / "sources"
            sources.mkdir(parents=True)
            for source in (ROOT / name for name in _SOURCES):
                if source.is_dir():
                    shutil.copytree(source, sources / source.name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, sources)
            run([*UV, "build", "--quiet", "--wheel", "--python", sys.executable, "-o", directory, sources], env=AMBIENT)

        (wheel,) = self._once("wheel", make).glob("*.whl")
        return wheel

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the directory *name*, filled by *make* if nobody did it yet; a failed attempt leaves no trace."""
        directory = self.shared / name
        with FileLock(f"{directory}.lock"):
            if not (directory / ".ready").exists():
                shutil.rmtree(directory, ignore_errors=True)
                make(directory)
                (directory / ".ready").touch()
        return directory


def _python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _slug(*words: str) -> str:
    return re.sub(r"[^\w.]+", "-", " ".join(words))
