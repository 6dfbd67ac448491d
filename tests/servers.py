"""Real S3 servers on the loopback interface, on free ports and in directories of their own."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from filelock import FileLock

#: The bucket that every server has.
BUCKET = "packages"
#: Access and secret keys: of who may do anything, and of who may only read (SeaweedFS knows both).
ADMIN = ("admin", "admin-secret-0123456789")
READER = ("reader", "reader-secret-0123456789")
#: Seconds that a server may take to come up.
DEADLINE = 90.0


@dataclass(frozen=True)
class Server:
    """A running S3 server."""

    url: str

    def options(self, *, keys: tuple[str, str] = ADMIN, **more: str) -> dict[str, str]:
        """Return the options of a repository on this server."""
        access_key, secret_key = keys
        return {
            "endpoint": self.url,
            "bucket": BUCKET,
            "region": "us-east-1",
            "access_key": access_key,
            "secret_key": secret_key,
            **more,
        }

    def client(self, *, keys: tuple[str, str] = ADMIN) -> Any:
        """Return a client of boto3, for looking at what really lies there."""
        access_key, secret_key = keys
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
        )


@contextmanager
def seaweedfs(directory: Path) -> Iterator[Server]:
    """Run SeaweedFS, which enforces conditions, checksums, signatures and the rights of identities."""
    s3, master, volume, filer = free_ports(4, also_above=10_000)  # where each has a second port
    (directory / "identities.json").write_text(json.dumps({"identities": _IDENTITIES}))
    command = f"""
        weed server -dir={directory} -ip=127.0.0.1 -ip.bind=127.0.0.1
        -master.port={master} -volume.port={volume} -filer.port={filer} -filer.localSocket={directory}/filer.sock
        -s3 -s3.port={s3} -s3.config={directory}/identities.json -s3.localSocket={directory}/s3.sock
        -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false
        -volume.max=100 -master.volumeSizeLimitMB=64 -master.volumePreallocate=false
    """
    with running(command.split(), directory=directory, port=s3) as url:
        yield with_bucket(Server(url))


@contextmanager
def moto(directory: Path) -> Iterator[Server]:
    """Run moto, which honours conditions, believes every signature, and is not safe under many requests at once."""
    (port,) = free_ports(1)
    with running(["moto_server", "-H", "127.0.0.1", "-p", f"{port}"], directory=directory, port=port) as url:
        yield with_bucket(Server(url))


@contextmanager
def juicefs(directory: Path) -> Iterator[Server]:
    """Run the gateway of JuiceFS, which ignores conditions."""
    port, metrics = free_ports(2)
    database = f"sqlite3://{directory}/meta.db"
    format_ = ["juicefs", "format", "--storage", "file", "--bucket", f"{directory}/data/", database, "tests"]
    subprocess.run(_installed(format_), env=_environment(directory), check=True, capture_output=True, timeout=DEADLINE)
    command = f"""
        juicefs gateway --multi-buckets --keep-etag --object-meta --no-bgjob --no-usage-report --no-agent --backup-meta 0
        --metrics 127.0.0.1:{metrics} --cache-dir {directory}/cache --log {directory}/gateway.log
        {database} 127.0.0.1:{port}
    """
    environ = {"MINIO_ROOT_USER": ADMIN[0], "MINIO_ROOT_PASSWORD": ADMIN[1]}
    with running(command.split(), directory=directory, port=port, environ=environ) as url:
        yield with_bucket(Server(url))


@contextmanager
def shared(kind: Callable[[Path], AbstractContextManager[Server]], basetemp: Path) -> Iterator[Server]:
    """Use one server together with the other worker processes of a test run; for fixtures of a whole session.

    A process of its own keeps it, until a second after the last process that uses it has said so or has died.

    :param kind: one of the functions above.
    :param basetemp: pytest's directory for the temporary files of this process.
    """
    root = basetemp.parent if "PYTEST_XDIST_WORKER" in os.environ else basetemp
    directory = root / f"shared-{kind.__name__}"
    (directory / "users").mkdir(parents=True, exist_ok=True)
    user, url = directory / f"users/{os.getpid()}-{secrets.token_hex(4)}", directory / "url"
    with FileLock(directory / "lock"):
        user.touch()
        if not url.exists():
            _start_keeper(kind.__name__, directory)
            _wait_until(url.exists, DEADLINE)
    try:
        yield Server(url.read_text())
    finally:
        user.unlink()


@contextmanager
def running(command: list[str], *, directory: Path, port: int, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server until the end of the block, and yield its URL when it answers there."""
    url, log = f"http://127.0.0.1:{port}", directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _installed(command), cwd=directory, env={**_environment(directory), **(environ or {})}, stdout=output, stderr=output
        )
    try:
        _wait_until(lambda: process.poll() is not None or _answers(url), DEADLINE)
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        yield url
    finally:
        _stop(process)


def free_ports(count: int, *, also_above: int = 0) -> list[int]:
    """Find ports that nobody listens on, below those that the system gives to outgoing connections."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(10_000, 22_000)
        if _is_free(port) and _is_free(port + also_above):
            ports.add(port)
    return sorted(ports)


_IDENTITIES = [
    {
        "name": name,
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": actions,
    }
    for name, (access_key, secret_key), actions in [
        ("admin", ADMIN, ["Admin", "Read", "List", "Tagging", "Write"]),
        ("reader", READER, ["Read", "List"]),
    ]
]


def with_bucket(server: Server) -> Server:
    """Make :data:`BUCKET` on a server that has just begun to answer, and wait until it can be written to."""

    def made() -> bool:
        with suppress(ClientError, BotoCoreError):  # a server that answers need not be ready to write
            client.create_bucket(Bucket=BUCKET)
        with suppress(ClientError, BotoCoreError):
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
            client.delete_object(Bucket=BUCKET, Key="ready")
            return True
        return False

    client = server.client()
    _wait_until(made, DEADLINE)
    return server


def _installed(command: list[str]) -> list[str]:
    """Name the program where this environment's packages put it."""
    return [str(Path(sysconfig.get_path("scripts")) / command[0]), *command[1:]]


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}


def _start_keeper(kind: str, directory: Path) -> None:
    command = [sys.executable, "-m", "tests.servers", kind, str(directory)]
    in_background = ["sh", "-c", '"$@" >"$0/keeper.log" 2>&1 &', str(directory)]
    subprocess.run([*in_background, *command], cwd=Path(__file__).parent.parent, check=True, start_new_session=True)


def _keep(kind: Callable[[Path], AbstractContextManager[Server]], directory: Path) -> None:
    home = directory / secrets.token_hex(4)
    home.mkdir()
    with kind(home) as server:
        (home / "url").write_text(server.url)
        (home / "url").replace(directory / "url")
        while _is_used(directory):
            time.sleep(1)


def _is_used(directory: Path) -> bool:
    with FileLock(directory / "lock"):
        used = any(_is_alive(int(user.name.partition("-")[0])) for user in (directory / "users").iterdir())
        if not used:
            (directory / "url").unlink()  # who comes now starts another one
        return used


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} seconds")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    _keep({"seaweedfs": seaweedfs, "moto": moto, "juicefs": juicefs}[sys.argv[1]], Path(sys.argv[2]))
