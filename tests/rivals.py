"""What other tools write, written by themselves: each runs in an environment of its own, and reaches no other machine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from .environments import Environments
from .examples import environment, run
from .servers import ADMIN, BUCKET, Server
from .web import await_port, free_port

#: Python has no SafeConfigParser any more, which the original pypiprivate reads its configuration with.
ORIGINAL_RUNS = sys.version_info < (3, 12)
_ORIGINAL = (("--no-deps", "pypiprivate==0.5.0"), ("boto3", "jinja2", "setuptools==65.7.0"))


def original(environments: Environments, index: Path, dist: Path, releases: Sequence[tuple[str, str]]) -> None:
    """Publish *releases* from *dist* by the original pypiprivate, each name as it is spelt here."""
    index.mkdir(exist_ok=True)
    config = index.parent / "original.cfg"
    config.write_text(f"[storage]\ntype = local-filesystem\n[local-filesystem]\nbase_path = {index}\n")
    program = environments.foreign(*_ORIGINAL) / "pypi-private"
    for name, version in releases:
        command: list[str | Path] = [program, "-c", config, "-p", dist.parent, "publish", "-d", dist.name, name, version]
        # It warns of what was deprecated in 2012 and since.
        run(command, env=environment(index.parent, PYTHONWARNINGS="ignore"))


def s3pypi(environments: Environments, server: Server, dist: Path, *flags: str, prefix: str) -> None:
    """Upload everything in *dist* by s3pypi, below *prefix* of the bucket."""
    program = environments.foreign(("s3pypi",)) / "s3pypi"
    where = ["--bucket", BUCKET, "--prefix", prefix, "--s3-endpoint-url", server.url, "--region", "us-east-1"]
    keys = {"AWS_ACCESS_KEY_ID": ADMIN[0], "AWS_SECRET_ACCESS_KEY": ADMIN[1], "AWS_ENDPOINT_URL_DYNAMODB": server.url}
    command: list[str | Path] = [program, "upload", *sorted(dist.iterdir()), *where, *flags]
    run(command, env=environment(dist.parent, **keys))


def dumb_pypi(environments: Environments, output: Path, listed: Sequence[dict[str, Any]]) -> None:
    """Make the pages of *listed* by dumb-pypi."""
    packages = output.parent / "dumb-pypi.jsonl"
    packages.write_text("".join(f"{json.dumps(each)}\n" for each in listed))
    program = environments.foreign(("dumb-pypi",)) / "dumb-pypi"
    command: list[str | Path] = [
        program,
        "--package-list-json",
        packages,
        "--output-dir",
        output,
        "--packages-url",
        "../../pool/",
    ]
    run(command, env=environment(output.parent, PYTHONWARNINGS="ignore"))


@contextmanager
def pypiserver(environments: Environments, directory: Path) -> Iterator[str]:
    """Serve a directory by pypiserver, and give the URL of its index."""
    port, log = free_port(), directory.parent / "pypiserver.log"
    program = environments.foreign(("pypiserver",)) / "pypi-server"
    command: list[str | Path] = [program, "run", "-i", "127.0.0.1", "-p", str(port), "--disable-fallback", directory]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment(directory.parent), stdout=output, stderr=output)
    try:
        await_port(process, port, log)
        yield f"http://127.0.0.1:{port}/simple/"
    finally:
        process.terminate()
        process.wait(30)


def bandersnatch(environments: Environments, mirror: Path, releases: Sequence[dict[str, Any]], *settings: str) -> None:
    """Mirror an index of *releases* by bandersnatch, from a server that answers as it wants to be answered.

    :param releases: of one project, ``acme-demo``: ``path``, ``version``, ``upload_time`` and marks of each file.
    :param settings: further lines of its configuration.
    """
    with _index_to_mirror(releases) as url:
        config = mirror.parent / "bandersnatch.conf"
        lines = [
            "[mirror]",
            f"directory = {mirror}",
            f"master = {url}",
            "allow-non-https = true",
            "simple-format = ALL",
            *settings,
        ]
        config.write_text("\n".join([*lines, ""]))
        program = environments.foreign(("bandersnatch",)) / "bandersnatch"
        run([program, "-c", config, "sync", "acme-demo"], env=environment(mirror.parent))


@contextmanager
def _index_to_mirror(releases: Sequence[dict[str, Any]]) -> Iterator[str]:
    bodies = {_path_of(release): release["path"].read_bytes() for release in releases}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            metadata = json.dumps(_metadata(releases, f"http://127.0.0.1:{server.server_port}")).encode()
            body = metadata if self.path.endswith("/json") else bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-PyPI-Last-Serial", "17")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _path_of(release: dict[str, Any]) -> str:
    digest = hashlib.blake2b(release["path"].read_bytes(), digest_size=32).hexdigest()
    return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{release['path'].name}"


def _metadata(releases: Sequence[dict[str, Any]], url: str) -> dict[str, Any]:
    files: dict[str, list[dict[str, Any]]] = {}
    for release in releases:
        body = release["path"].read_bytes()
        files.setdefault(release["version"], []).append(
            {
                "filename": release["path"].name,
                "url": f"{url}{_path_of(release)}",
                "size": len(body),
                "digests": {"sha256": hashlib.sha256(body).hexdigest(), "md5": hashlib.md5(body).hexdigest()},
                "upload_time_iso_8601": release["upload_time"],
                "requires_python": release.get("requires_python"),
                "yanked": release.get("yanked", False),
                "yanked_reason": release.get("yanked_reason"),
            }
        )
    info = {"name": "acme-demo", "version": releases[-1]["version"]}
    return {"info": info, "last_serial": 17, "releases": files, "urls": []}


def links_of(url: str) -> str:
    """Return a page that a server gives."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())
