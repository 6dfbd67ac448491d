"""Projects whose build backend is ``pypiprivate.build_meta``, around each of the backends that people use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYPROJECT = """\
[build-system]
requires = {requires}
{backend}

[project]
name = "Acme.Demo"
version = "1.0"
description = "A demonstration."
requires-python = ">=3.10"

{table}
{own}
"""
#: A build backend with the two hooks that each must have, and no other. It notes its calls in the file $ACME_CALLS.
TWO_HOOKS = '''\
import base64, hashlib, io, json, os, tarfile, zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\\nName: Acme.Demo\\nVersion: 1.0\\n"
TAG = os.environ.get("ACME_TAG", "py3-none-any")


class UnsupportedOperation(Exception):
    """There is no such distribution of this project."""


def build_sdist(sdist_directory, config_settings=None):
    note("build_sdist", config_settings)
    if "ACME_NO_SDIST" in os.environ:
        raise UnsupportedOperation("no sdist of this")
    members = {name: Path(name).read_bytes() for name in ("pyproject.toml", "in_tree.py", "acme_demo.py")}
    with tarfile.open(Path(sdist_directory, "acme_demo-1.0.tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, body in {"PKG-INFO": METADATA.encode(), **members}.items():
            member = tarfile.TarInfo(f"acme_demo-1.0/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return "acme_demo-1.0.tar.gz"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    note("build_wheel", config_settings)
    assert metadata_directory is None
    if "ACME_NO_WHEEL" in os.environ:
        raise SystemExit("the compiler is ill")
    wheel = f"Wheel-Version: 1.0\\nGenerator: in_tree\\nRoot-Is-Purelib: true\\nTag: {TAG}\\n"
    info = "acme_demo-1.0.dist-info"
    members = {"acme_demo.py": Path("acme_demo.py").read_text(), f"{info}/METADATA": METADATA, f"{info}/WHEEL": wheel}
    members[f"{info}/RECORD"] = "".join([*map(row, members.items()), f"{info}/RECORD,,\\n"])
    with zipfile.ZipFile(Path(wheel_directory, f"acme_demo-1.0-{TAG}.whl"), "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return f"acme_demo-1.0-{TAG}.whl"


def row(member):
    name, text = member
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(text.encode())}\\n"


def note(hook, config_settings):
    if "ACME_CALLS" in os.environ:
        with open(os.environ["ACME_CALLS"], "a") as calls:
            print(json.dumps([hook, config_settings]), file=calls)
'''


@dataclass(frozen=True)
class Inner:
    """A build backend to put inside ours.

    :ivar requires: the project that it is part of.
    :ivar backend: its name, as pyproject.toml says it.
    :ivar table: what it needs in pyproject.toml to build one module.
    """

    requires: str
    backend: str
    table: str = ""


IN_TREE = Inner("", "in_tree")
INNER = (
    Inner("setuptools", "setuptools.build_meta", '[tool.setuptools]\npy-modules = ["acme_demo"]'),
    Inner("hatchling", "hatchling.build", '[tool.hatch.build]\ninclude = ["acme_demo.py"]'),
    Inner("flit-core", "flit_core.buildapi", '[tool.flit.module]\nname = "acme_demo"'),
    Inner("poetry-core", "poetry.core.masonry.api", '[tool.poetry]\npackages = [{include = "acme_demo.py"}]'),
    Inner("pdm-backend", "pdm.backend", '[tool.pdm.build]\nincludes = ["acme_demo.py"]'),
    # It refuses settings that it does not know.
    Inner(
        "scikit-build-core", "scikit_build_core.build", '[tool.scikit-build]\nwheel.cmake = false\nwheel.packages = ["src/acme"]'
    ),
    Inner("uv-build", "uv_build", '[tool.uv.build-backend]\nmodule-name = "acme"'),
    IN_TREE,
)


def make_project(directory: Path, inner: Inner = IN_TREE, *settings: str) -> Path:
    """Write a project that *inner* builds, inside our backend, and return its directory.

    :param settings: lines of ``[tool.pypiprivate]``.
    """
    named = "" if inner.backend == "setuptools.build_meta" else f'build-backend = "{inner.backend}"'
    path = 'backend-path = ["."]' if inner is IN_TREE else ""
    own = "\n".join(["[tool.pypiprivate]", named, path, *settings])
    return _write(directory, inner, ["pypiprivate", inner.requires], 'build-backend = "pypiprivate.build_meta"', own)


def make_plain_project(directory: Path, inner: Inner) -> Path:
    """Write the same project without us."""
    path = '\nbackend-path = ["."]' if inner is IN_TREE else ""
    return _write(directory, inner, [inner.requires], f'build-backend = "{inner.backend}"{path}', "")


def _write(directory: Path, inner: Inner, requires: list[str], backend: str, own: str) -> Path:
    (directory / "src" / "acme").mkdir(parents=True)
    (directory / "src" / "acme" / "__init__.py").write_text("VALUE = 1\n", "utf-8")
    (directory / "acme_demo.py").write_text('"""A demonstration."""\nVALUE = 1\n', "utf-8")
    if inner is IN_TREE:
        (directory / "in_tree.py").write_text(TWO_HOOKS, "utf-8")
    text = PYPROJECT.format(requires=json.dumps(list(filter(None, requires))), backend=backend, table=inner.table, own=own)
    (directory / "pyproject.toml").write_text(text, "utf-8")
    return directory


def listed(index: Path) -> dict[str, str]:
    """Return the sha256 of each file of the project that *index* lists."""
    record = index / "acme-demo" / "index.json"
    files: list[Mapping[str, Any]] = json.loads(record.read_bytes())["files"] if record.exists() else []
    return {str(file["filename"]): str(file["hashes"]["sha256"]) for file in files}
