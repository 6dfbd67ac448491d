"""A proxy on the loopback interface that lets requests through, until it is told what goes wrong.

With the next requests of a method (:meth:`Proxy.inject`), with the n-th one from now (:meth:`Proxy.inject_at`), or with a share
of all, drawn from a seed (:meth:`Proxy.at_random`).
"""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
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
class _Chance:
    """A share of the requests of a method (none: of all) to keys that a pattern is found in, and what goes wrong with them."""

    faults: Sequence[Fault]
    share: float
    method: str
    key: str
    numbers: random.Random

    def draw(self, method: str, path: str) -> Fault | None:
        """Return what goes wrong with this request; None: nothing by this rule, ask the next one."""
        if self.method not in {"", method} or not re.search(self.key, path):
            return None
        return self.numbers.choice(self.faults) if self.numbers.random() < self.share else let_through


@dataclass
class Proxy:
    """A running proxy.

    :ivar url: of it; requests keep their Host header, so that their signatures stay valid.
    :ivar requests: method and path of each request so far.
    :ivar headers: of each request so far, names in lower case.
    :ivar met: how many requests something went wrong with.
    """

    upstream: str
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    met: int = 0
    _script: list[tuple[str, Fault]] = field(default_factory=list)
    _numbered: dict[int, Fault] = field(default_factory=dict)
    _chances: list[_Chance] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, *faults: Fault, method: str) -> None:
        """Let the next requests of this method go wrong in these ways, one each; those after them go through."""
        self._script += [(method, fault) for fault in faults]

    def inject_at(self, number: int, fault: Fault) -> None:
        """Let one request go wrong, of whatever method: the *number*-th from now, beginning with 0."""
        self._numbered[len(self.requests) + number] = fault

    def at_random(self, *faults: Fault, seed: int, share: float = 0.2, method: str = "", key: str = "") -> None:
        """Let a share of the requests go wrong, each in one of these ways, until :meth:`clear`; the first rule that fits counts.

        :param seed: the same one draws the same faults for the same sequence of requests.
        :param method: of the requests that this is for; none: all.
        :param key: a regular expression that is found in their path.
        """
        self._chances.append(_Chance(faults, share, method, key, random.Random(seed)))

    def is_spent(self) -> bool:
        """Tell whether all that was scripted to go wrong has."""
        return not self._script and not self._numbered

    def clear(self) -> None:
        """Let all further requests through."""
        self._script.clear()
        self._numbered.clear()
        self._chances.clear()

    def take(self, method: str, path: str, headers: Mapping[str, str]) -> Fault:
        """Note a request, and return what happens to it."""
        with self._lock:
            fault = self._drawn(len(self.requests), method, path)
            self.requests.append((method, path))
            self.headers.append({name.lower(): value for name, value in headers.items()})
            self.met += fault is not let_through
        return fault

    def _drawn(self, number: int, method: str, path: str) -> Fault:
        if number in self._numbered:
            return self._numbered.pop(number)
        for at, (wanted, fault) in enumerate(self._script):
            if wanted == method:
                del self._script[at]
                return fault
        drawn = (chance.draw(method, path) for chance in self._chances)
        return next((fault for fault in drawn if fault), let_through)


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


def cut_head(client: _Connection, ask: Callable[[], Answer]) -> None:
    """The connection breaks in the middle of the answer's headers."""
    client.wfile.write(f"HTTP/1.1 {ask().status} \r\nServer: proxy\r\n".encode())
    client.close_connection = True


def cut_request(client: _Connection, _ask: Callable[[], Answer]) -> None:
    """The connection breaks before the request is whole: the server does not hear of it."""
    client.close_connection = True


def ask_twice(client: _Connection, ask: Callable[[], Answer]) -> None:
    """The reply is lost and the client's library asks again, in silence: who called it hears the second answer only."""
    ask()
    client.give(ask())


def delay(seconds: float) -> Fault:
    """Answer late, by so many seconds."""

    def fault(client: _Connection, ask: Callable[[], Answer]) -> None:
        time.sleep(seconds)
        client.give(ask())

    return fault


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
        self.__dict__.pop("_body", None)  # of the request before on this connection
        self.proxy.take(self.command, self.path, dict(self.headers))(self, self._ask)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815  names of the standard library

    @cached_property
    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _ask(self) -> Answer:
        server = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        try:
            server.request(self.command, self.path, self._body, dict(self.headers))
            answer = server.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            server.close()

    def give(self, answer: Answer, *, part: float = 1.0) -> None:
        """Pass an answer on, or only this part of its body."""
        _ = self._body  # a request that nobody reads would be taken for the next one
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
