"""Real projects, built and published by their own ``setup.py``, installed by real clients from real servers."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from packaging.utils import canonicalize_name
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, DistributionPackage, PyPISimple

from pypiprivate import __version__

from .builders import make_wheel
from .examples import AMBIENT, EXAMPLES, PUBLISH, ROOT, Example, environment, publish_all, run
from .servers import ADMIN, Server, seaweedfs
from .web import http_server, nginx, nginx_before_bucket

#: The oldest pip that runs on a Python.
OLDEST_PIP = "19.2.3" if sys.version_info < (3, 12) else "23.1.2"
#: What an installer picks of each project.
NEWEST = {str(canonicalize_name(example.project)): example for example in EXAMPLES}
UV = [sys.executable, "-m", "uv"]
PIP = [sys.executable, "-m", "pip"]
PYPI_PRIVATE = [sys.executable, "-m", "pypiprivate"]

ANYBODY_MAY_READ = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::end-to-end/*"},
        # So that what is not there is 404, not 403.
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::end-to-end"},
    ],
}

IMPORT_ALL = """
import importlib, importlib.metadata, json, sys
projects, modules = zip(*json.loads(sys.argv[1]))
for module in modules:
    importlib.import_module(module)
print(json.dumps({project: importlib.metadata.version(project) for project in projects}))
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine where nothing is configured."""
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def dists(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> tuple[Path, list[Path]]:
    """A directory to which every example has published itself, and the artifacts that lie there."""
    index = tmp_path_factory.mktemp("srv") / "simple"
    built = publish_all(str(index), tmp_path_factory.mktemp("workshop"), env=env)
    too_new = make_wheel(tmp_path_factory.mktemp("dist"), "acme-requires", "2.0", requires_python=">=3.99")
    run([*PYPI_PRIVATE, "-r", index, "upload", too_new], env=env)
    return index, [too_new, *(artifact for dist in built.values() for artifact in dist.iterdir())]


@pytest.fixture(scope="module")
def index(dists: tuple[Path, list[Path]]) -> Path:
    return dists[0]


@pytest.fixture(scope="module")
def from_file(index: Path) -> str:
    return index.as_uri() + "/"


@pytest.fixture(scope="module")
def from_http_server(index: Path) -> Iterator[str]:
    with http_server(index) as url:
        yield url


@pytest.fixture(scope="module")
def from_nginx(index: Path) -> Iterator[str]:
    with nginx(index) as url:
        yield url


@pytest.fixture(scope="module")
def bucket(
    tmp_path_factory: pytest.TempPathFactory, dists: tuple[Path, list[Path]], env: dict[str, str]
) -> Iterator[tuple[Server, str]]:
    """A bucket that anybody may read, to which the same artifacts were published from the command line."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        with closing(server.client()) as client:
            client.create_bucket(Bucket="end-to-end")
            client.put_bucket_policy(Bucket="end-to-end", Policy=json.dumps(ANYBODY_MAY_READ))
        repository = f"s3://end-to-end/simple?region=us-east-1&endpoint={quote(server.url, safe='')}"
        credentials = dict(zip(("PP_S3_ACCESS_KEY", "PP_S3_SECRET_KEY"), ADMIN, strict=True))
        run([*PYPI_PRIVATE, "-r", repository, "upload", *dists[1]], env=env | credentials)
        yield server, "end-to-end"


@pytest.fixture(scope="module")
def from_s3(bucket: tuple[Server, str]) -> Iterator[str]:
    server, name = bucket
    with nginx_before_bucket(server.url, name, "simple") as url:
        yield url


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    """The URL of the index from the server that the test is parametrised with."""
    url: str = request.getfixturevalue(f"from_{request.param}")
    return url


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel of the oldest pip, from the registry that this machine uses."""
    wheelhouse = tmp_path_factory.mktemp("wheelhouse")
    run([*PIP, "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", wheelhouse, f"pip=={OLDEST_PIP}"], env=AMBIENT)
    return wheelhouse


@pytest.fixture
def venv(tmp_path: Path, env: dict[str, str]) -> Path:
    """An empty virtual environment."""
    run([*UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], env=env)
    return tmp_path / "venv"


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture
def install(venv: Path, env: dict[str, str], request: pytest.FixtureRequest) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Install into *venv* by the client that the test is parametrised with: ``install(index_url, *requirements_and_options)``."""
    client = request.param
    command: list[str | Path]
    if client == "uv":
        command = [*UV, "pip", "install", "--python", python_of(venv)]
    elif client == "newest_pip":
        command = [*PIP, "--python", python_of(venv), "install"]
    else:
        wheelhouse = request.getfixturevalue("wheelhouse")
        run([*UV, "pip", "install", "--quiet", "--no-index", "-f", wheelhouse, "--python", python_of(venv), "pip"], env=env)
        command = [python_of(venv), "-m", "pip", "install"]

    def install(index_url: str, *what: str | Path) -> subprocess.CompletedProcess[str]:
        whole = [*command, "--index-url", index_url, *what]
        return subprocess.run(whole, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    return install


every_source = pytest.mark.parametrize("source", ["file", "http_server", "nginx", "s3"], indirect=True)
negotiated = pytest.mark.parametrize("source", ["nginx", "s3"], indirect=True)
every_client = pytest.mark.parametrize("install", ["oldest_pip", "newest_pip", "uv"], indirect=True)
Install = Callable[..., "subprocess.CompletedProcess[str]"]


def record(index: Path, project: str) -> Any:
    return json.loads((index / canonicalize_name(project) / "index.json").read_bytes())


@every_client
@every_source
def test_every_example_installs_and_imports(source: str, install: Install, venv: Path, env: dict[str, str]) -> None:
    wanted = [example.project for example in NEWEST.values() if example.project != "acme-extras"]
    done = install(source, *wanted, "acme-extras[upper]")
    assert done.returncode == 0, done.stderr
    modules = json.dumps([(example.project, example.module) for example in NEWEST.values()])
    installed = json.loads(run([python_of(venv), "-c", IMPORT_ALL, modules], env=env))
    assert installed == {example.project: example.version for example in NEWEST.values()}


@every_client
@negotiated
def test_a_version_is_chosen_as_asked(install: Install, source: str, venv: Path, env: dict[str, str]) -> None:
    done = install(source, "acme-stages==1.0rc1", "acme.epoch<=1!2", "acme_local==1.0", "acme-requires>=1")
    assert done.returncode == 0, done.stderr
    shown = run([*UV, "pip", "list", "--format", "json", "--python", python_of(venv)], env=env)
    versions = {found["name"]: found["version"] for found in json.loads(shown)}
    expected = {"acme-stages": "1.0rc1", "acme-epoch": "1!2.0", "acme-local": "1.0+acme.1", "acme-requires": "1.0"}
    assert versions.items() >= expected.items()


@every_client
@every_source
def test_hashes_of_the_record_pass_hash_checking_mode(source: str, install: Install, index: Path, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("".join(pinned(index, NEWEST[name]) for name in ("acme-local", "acme-epoch", "acme-dotted")), "utf-8")
    done = install(source, "--require-hashes", "-r", requirements)
    assert done.returncode == 0, done.stderr


@every_client
@negotiated
def test_another_hash_fails_hash_checking_mode(install: Install, source: str, index: Path, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(re.sub("sha256:..", "sha256:00", pinned(index, NEWEST["acme-dotted"])), "utf-8")
    done = install(source, "--require-hashes", "-r", requirements)
    assert done.returncode != 0
    assert "hash" in done.stderr.lower()


def pinned(index: Path, example: Example) -> str:
    files = record(index, example.project)["files"]
    hashes = " ".join(f"--hash=sha256:{file['hashes']['sha256']}" for file in files)
    return f"{example.project}=={example.version} {hashes}\n"


@every_source
def test_pip_downloads_the_very_bytes_that_were_published(source: str, index: Path, tmp_path: Path, env: dict[str, str]) -> None:
    names = ["acme-local", "acme-epoch", "acme-html", "acme-unicode"]
    common: list[str | Path] = [*PIP, "download", "--quiet", "--no-deps", "--index-url", source, "-d", tmp_path]
    run([*common, *names], env=env)
    run([*common, "--no-binary=:all:", "--no-build-isolation", *names], env=env)
    downloaded = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    files = chain.from_iterable(record(index, name)["files"] for name in names)
    assert downloaded == {file["filename"]: file["hashes"]["sha256"] for file in files}


@every_source
def test_pip_lists_every_version(source: str, env: dict[str, str]) -> None:
    shown = run([*PIP, "index", "versions", "--pre", "--index-url", source, "acme-stages"], env=env)
    assert "Available versions: 1.0.post1, 1.0, 1.0rc1, 1.0.dev1" in shown


@negotiated
@pytest.mark.parametrize("install", ["newest_pip"], indirect=True)
@pytest.mark.parametrize(("days", "installs"), [(-1, False), (1, True)])
def test_pip_honours_upload_times(days: int, installs: bool, install: Install, source: str) -> None:
    when = (datetime.now(timezone.utc) + timedelta(days=days)).isoformat()
    done = install(source, f"--uploaded-prior-to={when}", "acme-dotted")
    assert (done.returncode == 0) == installs, done.stderr


@pytest.mark.parametrize("install", ["uv"], indirect=True)
@pytest.mark.parametrize(("days", "installs"), [(-1, False), (1, True)])
# uv reads the times of plain pages, too.
@every_source
def test_uv_honours_upload_times(source: str, days: int, installs: bool, install: Install) -> None:
    when = (datetime.now(timezone.utc) + timedelta(days=days)).isoformat()
    done = install(source, f"--exclude-newer={when}", "acme-dotted")
    assert (done.returncode == 0) == installs, done.stderr


CONSUMER = """
[project]
name = "consumer"
version = "1.0"
requires-python = ">={python}"
dependencies = ["acme-extras[upper]", "acme-setup-py", "acme-upper", "acme-local", "acme-epoch"]

[tool.uv.sources]
acme-extras = {{ index = "acme" }}
acme-setup-py = {{ index = "acme" }}
acme-upper = {{ index = "acme" }}
acme-local = {{ index = "acme" }}
acme-epoch = {{ index = "acme" }}

[[tool.uv.index]]
name = "acme"
url = "{url}"
explicit = true
"""


@every_source
def test_uv_locks_and_syncs_a_project_with_an_explicit_index(
    source: str, index: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    python = "{}.{}".format(*sys.version_info)
    (tmp_path / "pyproject.toml").write_text(CONSUMER.format(url=source, python=python), "utf-8")
    # Here the project's own configuration counts.
    configured = {name: value for name, value in env.items() if name != "UV_NO_CONFIG"}
    run([*UV, "lock", "--quiet", "--python", sys.executable], env=configured, cwd=tmp_path)
    run([*UV, "sync", "--quiet", "--locked", "--python", sys.executable], env=configured, cwd=tmp_path)
    locked = set(re.findall(r"sha256:([0-9a-f]{64})", (tmp_path / "uv.lock").read_text("utf-8")))
    names = ["acme-extras", "acme-setup-py", "acme-upper", "acme-local", "acme-epoch"]
    assert locked == {file["hashes"]["sha256"] for name in names for file in record(index, name)["files"]}
    run([python_of(tmp_path / ".venv"), "-c", "import acme_extras, acme_upper, acme_local, acme_epoch"], env=env)


@negotiated
@pytest.mark.parametrize("accept", [ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY], ids=["html", "json"])
def test_another_parser_reads_what_the_record_says(accept: str, source: str, index: Path) -> None:
    with PyPISimple(source, accept=accept) as client:
        assert set(client.get_index_page().projects) == NEWEST.keys()
        for name in NEWEST:
            page = client.get_project_page(name)
            assert page.repository_version == record(index, name)["meta"]["api-version"]
            read = [as_recorded(package, client) for package in page.packages]
            assert sorted(read, key=by_name) == sorted(map(facts, record(index, name)["files"]), key=by_name)


def as_recorded(package: DistributionPackage, client: PyPISimple) -> dict[str, Any]:
    """Return what the parser understood, and what lies where it points to."""
    sidecar = client.get_package_metadata_bytes(package) if package.has_metadata else None
    response = client.s.get(package.url)
    assert "Content-Encoding" not in response.headers
    # SeaweedFS takes application/octet-stream for "you say".
    assert response.headers["Content-Type"] in {"application/octet-stream", "application/gzip"}
    assert hashlib.sha256(response.content).hexdigest() == package.digests["sha256"]
    return {
        "filename": package.filename,
        "sha256": package.digests["sha256"],
        "requires-python": package.requires_python,
        "metadata": hashlib.sha256(sidecar).hexdigest() if sidecar else None,
        "yanked": package.is_yanked,
    }


def by_name(file: dict[str, Any]) -> str:
    return str(file["filename"])


def facts(file: dict[str, Any]) -> dict[str, Any]:
    return {
        "filename": file["filename"],
        "sha256": file["hashes"]["sha256"],
        "requires-python": file.get("requires-python"),
        "metadata": file.get("core-metadata", {}).get("sha256"),
        "yanked": bool(file.get("yanked")),
    }


@negotiated
def test_json_gives_sizes_and_times_and_versions(source: str, index: Path) -> None:
    with PyPISimple(source, accept=ACCEPT_JSON_ONLY) as client:
        for name in NEWEST:
            page = client.get_project_page(name)
            files = {file["filename"]: index / name / unquote(file["url"]) for file in record(index, name)["files"]}
            assert sorted(page.versions or ()) == sorted(record(index, name)["versions"])
            assert {package.version for package in page.packages} == set(page.versions or ())
            for package in page.packages:
                assert package.size == files[package.filename].stat().st_size
                assert package.upload_time is not None
                assert timedelta(0) <= datetime.now(timezone.utc) - package.upload_time < timedelta(hours=1)


@pytest.mark.skipif("acme-c-extension" not in NEWEST, reason="no C compiler, so that example is not built")
def test_a_wheel_for_one_platform_stands_beside_its_sdist(index: Path) -> None:
    filenames = {file["filename"] for file in record(index, "acme-c-extension")["files"]}
    (wheel,) = {name for name in filenames if name.endswith(".whl")}
    assert not wheel.endswith("-any.whl")
    assert [name.endswith(".tar.gz") for name in filenames - {wheel}] == [True]


def test_a_bucket_holds_what_a_directory_holds(bucket: tuple[Server, str], index: Path) -> None:
    server, name = bucket
    with closing(server.client()) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="simple/")
        objects = {found["Key"].removeprefix("simple/"): found["Size"] for page in pages for found in page["Contents"]}
    files = {path.relative_to(index).as_posix(): path.stat().st_size for path in index.rglob("*") if path.is_file()}
    own = {key for key in files if key.startswith(".pypiprivate/")}
    assert objects.keys() == files.keys() - own
    documents = {key for key in objects if key.endswith(("index.json", "index.html"))}
    assert all(objects[key] == files[key] for key in objects.keys() - documents)


def test_the_project_publishes_itself(tmp_path: Path, venv: Path, env: dict[str, str]) -> None:
    checkout, index = tmp_path / "checkout", tmp_path / "simple"
    checkout.mkdir()
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE.txt"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "pypiprivate", checkout / "pypiprivate", ignore=shutil.ignore_patterns("__pycache__"))
    # What runs there is a copy, whose coverage nobody asked for.
    unmeasured = {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}
    run([sys.executable, *PUBLISH, "--repository", str(index)], env=unmeasured, cwd=checkout)
    run([*UV, "pip", "install", "--no-deps", "--index-url", index.as_uri(), "--python", python_of(venv), "pypiprivate"], env=env)
    with zipfile.ZipFile(next((checkout / "dist").glob("*.whl"))) as wheel:
        modules = {name for name in wheel.namelist() if name.startswith("pypiprivate/")}
    source = [path for path in (ROOT / "pypiprivate").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    assert modules == {path.relative_to(ROOT).as_posix() for path in source}
    assert run([python_of(venv), "-c", "import pypiprivate; print(pypiprivate.__version__)"], env=env).strip() == __version__
