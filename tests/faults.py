"""A proxy on the loopback interface that lets requests through, until it is told what goes wrong with the next ones."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


#: Does what goes wrong with one request: is given the connection to the client, and what asks the server behind.
Fault = Callable[["_Connection", Callable[[], Answer]], None]


@dataclass
class Proxy:
    """A running proxy.

    :ivar url: of it; requests keep their Host header, so that their signatures stay valid.
    :ivar requests: method and path of each request so far.
    :ivar headers: of each request so far, names in lower case.
    """

    upstream: str
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _script: list[tuple[str, Fault]] = field(default_factory=list)

    def inject(self, *faults: Fault, method: str) -> None:
        """Let the next requests of this method go wrong in these ways, one each; those after them go through."""
        self._script += [(method, fault) for fault in faults]

    def is_spent(self) -> bool:
        """Tell whether all that was to go wrong has."""
        return not self._script

    def clear(self) -> None:
        """Let all further requests through."""
        self._script.clear()

    def take(self, method: str) -> Fault:
        """Return what happens to a request of this method."""
        for at, (wanted, fault) in enumerate(self._script):
            if wanted == method:
                del self._script[at]
                return fault
        return let_through


@contextmanager
def proxy(upstream: str = "") -> Iterator[Proxy]:
    """Run a proxy before the server at *upstream* until the end of the block."""
    state = Proxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Connection", (_Connection,), {"proxy": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def let_through(client: _Connection, ask: Callable[[], Answer]) -> None:
    """Nothing goes wrong."""
    client.give(ask())


def lose_reply(client: _Connection, ask: Callable[[], Answer]) -> None:
    """The server does it, but the client does not hear of it."""
    ask()
    client.close_connection = True


def cut_body(client: _Connection, ask: Callable[[], Answer]) -> None:
    """The connection breaks in the middle of the answer's body."""
    client.give(ask(), part=0.5)
    client.close_connection = True


def refuse(status: int, code: str, message: str = "injected", *, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with an error of S3, and do not ask the server."""
    error = f"<Error><Code>{code}</Code><Message>{message}</Message><Region>eu-south-2</Region></Error>"
    return say(status, error.encode(), headers={"Content-Type": "application/xml", **(headers or {})})


def say(status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer this, and do not ask the server."""

    def fault(client: _Connection, ask: Callable[[], Answer]) -> None:
        client.give(Answer(status, headers or {}, body))

    return fault


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client is gone
            self.close_connection = True

    def _handle(self) -> None:
        self.proxy.requests.append((self.command, self.path))
        self.proxy.headers.append({name.lower(): value for name, value in self.headers.items()})
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.take(self.command)(self, lambda: self._ask(body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815  names of the standard library

    def _ask(self, body: bytes) -> Answer:
        server = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        try:
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            server.close()

    def give(self, answer: Answer, *, part: float = 1.0) -> None:
        """Pass an answer on, or only this part of its body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: int(len(answer.body) * part)] if self.command != "HEAD" else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
