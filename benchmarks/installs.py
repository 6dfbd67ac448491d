"""Environments for this checkout and for each peer, from the package registry; kept from one run to the next."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_UV = (sys.executable, "-m", "uv")
_SOURCES = ("pypiprivate", "setup.cfg", "setup.py", "pyproject.toml", "README.rst", "LICENSE.txt")
#: Arguments of each installation, in order.
_PEERS = {
    "s3pypi": [["s3pypi"]],
    "dumb-pypi": [["dumb-pypi"]],
    "awscli": [["awscli"]],
    "twine": [["twine"]],
    "pypiserver": [["pypiserver"]],
    "devpi": [["devpi-server"]],
    "plain": [["setuptools", "wheel"]],
    # It asks for versions that no longer install; these are the newest that it runs with, on a Python before 3.12.
    "original": [["--no-deps", "pypiprivate==0.5.0"], ["boto3", "jinja2", "setuptools==65.7.0"]],
}
#: The original reads its configuration by what Python 3.12 removed.
ORIGINAL_RUNS = sys.version_info < (3, 12)


class Installs:
    """Environments below a directory, made when they are first asked for.

    :param home: where they lie.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._has_ours = False

    def bin(self, name: str) -> Path:
        """Return where the programs of a peer are, of ``plain`` (setuptools alone), or of ``pypiprivate`` (this checkout)."""
        venv = self._home / name
        if name == "pypiprivate":
            if not self._has_ours:
                _make(venv, [["setuptools", "wheel", f"{_copy(self._home / 'source')}[completion]"]])
                self._has_ours = True
        elif _stamp(venv) != _PEERS[name]:
            _make(venv, _PEERS[name])
            (venv / "installed.json").write_text(json.dumps(_PEERS[name]), "utf-8")
        return venv / "bin"

    def versions(self) -> list[str]:
        """Return what was installed of the peers' own, as ``NAME VERSION``."""
        wanted = {*_PEERS, "pypiserver", "devpi-server", "boto3", "setuptools"} - {"plain", "original"}
        found = set()
        for venv in sorted(self._home.glob("*/bin")):
            listed = _uv("pip", "list", "--python", venv / "python", "--format", "json")
            found |= {f"{each['name']} {each['version']}" for each in json.loads(listed) if each["name"] in wanted}
        return sorted(found)


def _stamp(venv: Path) -> object:
    stamp = venv / "installed.json"
    return json.loads(stamp.read_text("utf-8")) if stamp.exists() else None


def _make(venv: Path, installs: Sequence[Sequence[str | Path]]) -> None:
    print(f"installing {venv.name} …", flush=True)
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, venv)
    for install in installs:
        _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", venv / "bin/python", *install)


def _copy(target: Path) -> Path:
    """Copy this checkout: a build leaves things behind."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for source in (ROOT / name for name in _SOURCES):
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return target


def _uv(*arguments: str | Path) -> str:
    done = subprocess.run([*_UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout
