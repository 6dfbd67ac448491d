"""The projects of ``examples/``, each built and published by its own ``setup.py``, as a user does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The environment as the tests found it, for the one thing that needs it: fetching an old pip from the user's registry.
AMBIENT = dict(os.environ)
#: What a user types.
PUBLISH = ("setup.py", "--quiet", "sdist", "bdist_wheel", "publish_private")


@dataclass(frozen=True)
class Example:
    """One release of an example project.

    :ivar directory: below ``examples/``.
    :ivar project: its name as the project spells it.
    :ivar module: what is there to import once it is installed.
    """

    directory: str
    project: str
    version: str
    module: str


EXAMPLES = (
    Example("setup_py", "acme-setup-py", "1.0", "acme_setup_py"),
    Example("setup_cfg", "acme-setup-cfg", "2.1.0", "acme_setup_cfg"),
    Example("pyproject", "acme-pyproject", "0.3", "acme_pyproject"),
    Example("dotted", "acme.dotted", "1.0", "acme.dotted"),
    Example("upper", "Acme_Upper", "1.0", "acme_upper"),
    Example("local", "acme-local", "1.0+acme.1", "acme_local"),
    Example("epoch", "acme-epoch", "1!2.0", "acme_epoch"),
    Example("requires", "acme-requires", "1.0", "acme_requires"),
    Example("unicode", "acme-unicode", "1.0", "acme_unicode"),
    Example("html", "acme-html", "1.0", "acme_html"),
    Example("extras", "acme-extras", "1.0", "acme_extras"),
    Example("data", "acme-data", "1.0", "acme_data"),
    # The last one is what an installer picks.
    *(Example("stages", "acme-stages", version, "acme_stages") for version in ("1.0.dev1", "1.0rc1", "1.0", "1.0.post1")),
    # Without a compiler it cannot be built, here or by anybody.
    *([Example("c_extension", "acme-c-extension", "1.0", "acme_c_extension")] if shutil.which("cc") else []),
)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing is configured: no index, no proxy, no credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "SYSTEMROOT", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(home / "pip-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(home / "uv-cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def run(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a command that must succeed, and return what it printed on stdout.

    :raises AssertionError: it failed; with everything it printed.
    """
    done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def publish_all(repository: str, workshop: Path, *, env: Mapping[str, str]) -> dict[Example, Path]:
    """Build and publish every example, two at a time; return the dist directory of each.

    :param workshop: where the projects are copied to.
    """
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(EXAMPLES, pool.map(lambda e: publish(e, repository, workshop, env=env), EXAMPLES), strict=True))


def publish(example: Example, repository: str, workshop: Path, *, env: Mapping[str, str]) -> Path:
    """Build and publish one example in one ``setup.py`` run; return its dist directory."""
    project = workshop / f"{example.directory}-{example.version}"
    shutil.copytree(ROOT / "examples" / example.directory, project, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info"))
    if (project / "VERSION").exists():
        (project / "VERSION").write_text(example.version, "utf-8")
    run([sys.executable, *PUBLISH, "--repository", repository], env=env, cwd=project)
    return project / "dist"
