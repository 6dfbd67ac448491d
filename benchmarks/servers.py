"""The servers that are published to, on free ports of the loopback interface."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.servers import ADMIN, BUCKET, Server, free_ports, running, with_bucket
from tests.web import await_port

#: Of devpi's only user.
DEVPI = ("root", "secret")
#: Where it has its index: user and name.
DEVPI_INDEX = f"/{DEVPI[0]}/dev"


@dataclass(frozen=True)
class Store:
    """A running SeaweedFS.

    :ivar server: its S3 side.
    :ivar filer: URL of its other side, which asks for no signature: for writing what was there before.
    """

    server: Server
    filer: str

    def fill(self, prefix: str, objects: Mapping[str, bytes]) -> None:
        """Write objects below a prefix of the bucket, quickly."""
        local = threading.local()

        def put(item: tuple[str, bytes]) -> None:
            key, body = item
            if not hasattr(local, "connection"):
                local.connection = http.client.HTTPConnection(urlsplit(self.filer).netloc)
            local.connection.request("PUT", f"/buckets/{BUCKET}/{prefix}/{quote(key)}", body)
            answer = local.connection.getresponse()
            answer.read()
            if answer.status != 201:
                raise SystemExit(f"{key}: the filer answered {answer.status}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, objects.items()))

    def documents(self, prefix: str, keys: Iterable[str]) -> dict[str, bytes]:
        """Read objects below a prefix."""
        client = self.server.client()
        return {key: client.get_object(Bucket=BUCKET, Key=f"{prefix}/{key}")["Body"].read() for key in keys}

    def clear(self, prefix: str) -> None:
        """Remove everything below a prefix."""
        connection = http.client.HTTPConnection(urlsplit(self.filer).netloc)
        connection.request("DELETE", f"/buckets/{BUCKET}/{prefix}?recursive=true&ignoreRecursiveError=true")
        connection.getresponse().read()


@contextmanager
def seaweedfs(directory: Path) -> Iterator[Store]:
    """Run SeaweedFS with room for gigabytes."""
    directory.mkdir()
    s3, master, volume, filer = free_ports(4, also_above=10_000)
    access_key, secret_key = ADMIN
    identity = {
        "name": "admin",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    command = f"""
        weed server -dir={directory} -ip=127.0.0.1 -ip.bind=127.0.0.1
        -master.port={master} -volume.port={volume} -filer.port={filer} -filer.localSocket={directory}/filer.sock
        -s3 -s3.port={s3} -s3.config={directory}/identities.json -s3.localSocket={directory}/s3.sock
        -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false
        -volume.max=0 -master.volumeSizeLimitMB=1024 -master.volumePreallocate=false
    """
    with running(command.split(), directory=directory, port=s3) as url:
        yield Store(with_bucket(Server(url)), f"http://127.0.0.1:{filer}")


@contextmanager
def pypiserver(program: Path, directory: Path) -> Iterator[str]:
    """Serve a directory, to which anybody may upload, by pypiserver; give its URL."""
    (port,) = free_ports(1)
    options = ["-i", "127.0.0.1", "-p", str(port), "-P", ".", "-a", ".", "--disable-fallback"]
    with _started([program, "run", *options, directory], port, directory.parent):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def devpi(programs: Path, directory: Path) -> Iterator[str]:
    """Run devpi-server with an index ``root/dev``; give its URL."""
    (port,) = free_ports(1)
    init: list[str | Path] = [programs / "devpi-init", "--serverdir", directory, "--root-passwd", DEVPI[1], "--no-root-pypi"]
    subprocess.run(init, env=_environment(directory), check=True, capture_output=True)
    serve: list[str | Path] = [programs / "devpi-server", "--serverdir", directory, "--host", "127.0.0.1", "--port", str(port)]
    with _started(serve, port, directory.parent):
        token = _devpi(port, "POST", "/+login", {"user": DEVPI[0], "password": DEVPI[1]})["result"]["password"]
        auth = {"X-Devpi-Auth": base64.b64encode(f"{DEVPI[0]}:{token}".encode()).decode()}
        _devpi(port, "PUT", DEVPI_INDEX, {"type": "stage", "volatile": False, "bases": []}, **auth)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _started(command: list[str | Path], port: int, home: Path) -> Iterator[None]:
    log = home / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=_environment(home), stdout=output, stderr=output)
    try:
        await_port(process, port, log, seconds=120)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONWARNINGS": "ignore"}


def _devpi(port: int, verb: str, path: str, body: object, **headers: str) -> dict[str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    said = {"Accept": "application/json", "Content-Type": "application/json", **headers}
    connection.request(verb, path, json.dumps(body), said)
    answer = connection.getresponse()
    told = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"devpi answered {answer.status} to {verb} {path}: {told!r}")
    return json.loads(told)  # type: ignore[no-any-return]
