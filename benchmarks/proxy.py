"""A line to a server: each request waits on its way, and what it takes is counted.

The line runs in a process of its own, so that whoever measures does not slow it down. A client that sends ``Expect:
100-continue`` waits for that answer first: a round trip more. Connections are made at once, and bandwidth is what this machine
has.

Conditional writes of one key reach the server one at a time. SeaweedFS lets one that meets another wait for a lock that it
looks at once a second; Amazon's store, for which it stands here, answers at once.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from operator import itemgetter
from urllib.parse import urlsplit

#: Seconds that a request is under way, there and back.
LATENCY = 0.030
_PIECE = 1 << 18
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError)


@dataclass(frozen=True)
class Traffic:
    """What went over a line.

    :ivar verbs: number of requests by HTTP method.
    :ivar continues: answers of ``100 Continue``, each a round trip more.
    :ivar sent: bytes towards the server, heads included; ``received``: from it.
    :ivar depth: round trips one after another: the longest chain of which none overlaps the next.
    :ivar swaps: moments (seconds) at which conditional writes succeeded, by path.
    """

    verbs: Mapping[str, int]
    continues: int
    sent: int
    received: int
    depth: int
    swaps: Mapping[str, Sequence[float]]

    @property
    def requests(self) -> int:
        """Number of requests."""
        return sum(self.verbs.values())


def depth(spans: Iterable[tuple[float, float]]) -> int:
    """Return the length of the longest chain of *spans* (begin, end) in which each begins when the one before has ended."""
    length, end = 0, -math.inf
    for begins, ends in sorted(spans, key=itemgetter(1)):
        if begins >= end:
            length, end = length + 1, ends
    return length


@dataclass(frozen=True)
class Line:
    """An open line.

    :ivar url: where clients connect to, without a slash at the end.
    """

    url: str
    _ours: Connection

    def traffic(self) -> Traffic:
        """Return what went over it since this was asked last."""
        self._ours.send(None)
        return self._ours.recv()  # type: ignore[no-any-return]


@contextmanager
def line(url: str, latency: float = LATENCY) -> Iterator[Line]:
    """Open a line to the server at *url* until the end of the block.

    :param latency: seconds that each request waits.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(url, latency, theirs), daemon=True)
    process.start()
    try:
        yield Line(f"http://127.0.0.1:{ours.recv()}", ours)
    finally:
        process.terminate()
        process.join()


# -- in the process of the line -----------------------------------------------------------------------------------------------


def _run(url: str, latency: float, told: Connection) -> None:
    asyncio.run(_Exchange(url, latency).serve(told))


@dataclass
class _Counts:
    verbs: Counter[str] = field(default_factory=Counter)
    continues: int = 0
    sent: int = 0
    received: int = 0
    spans: list[tuple[float, float]] = field(default_factory=list)
    swaps: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class _Head:
    """The head of a request or an answer."""

    raw: bytes
    first: list[str]
    headers: Mapping[str, str]

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def path(self) -> str:
        return urlsplit(self.first[1]).path

    @property
    def is_conditional(self) -> bool:
        return self.first[0] == "PUT" and not self.headers.keys().isdisjoint(("if-match", "if-none-match"))

    @property
    def length(self) -> int | None:
        """Bytes of the body, None where it does not say."""
        return int(self.headers["content-length"]) if "content-length" in self.headers else None


class _Exchange:
    def __init__(self, url: str, latency: float) -> None:
        place = urlsplit(url)
        self._host, self._port, self._latency = place.hostname, place.port, latency
        self._counts = _Counts()
        self._turns = defaultdict[str, asyncio.Lock](asyncio.Lock)

    def _turn(self, request: _Head) -> AbstractAsyncContextManager[None]:
        return self._turns[request.path] if request.is_conditional else nullcontext()

    async def serve(self, told: Connection) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=4 * _PIECE, backlog=1024)
        told.send(server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(told.fileno(), self._tell, told)
        await server.serve_forever()

    def _tell(self, told: Connection) -> None:
        told.recv()
        counts, self._counts = self._counts, _Counts()
        told.send(
            Traffic(dict(counts.verbs), counts.continues, counts.sent, counts.received, depth(counts.spans), dict(counts.swaps))
        )

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back = None
        with suppress(*_GONE):
            request = await _head(reader)
            there, back = await asyncio.open_connection(self._host, self._port, limit=4 * _PIECE)
            while await self._exchange(request, (reader, writer), (there, back)):
                request = await _head(reader)
        for each in filter(None, (writer, back)):
            each.close()

    async def _exchange(
        self,
        request: _Head,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        """Pass on one request and its answer; tell whether another one may follow."""
        began, counts = time.perf_counter(), self._counts
        counts.verbs[request.first[0]] += 1
        await asyncio.sleep(self._latency)
        raw = request.raw
        if request.headers.get("expect", "").lower() == "100-continue":
            client[1].write(_CONTINUE)
            counts.continues += 1
            began = _noted(counts, began)
            raw = re.sub(rb"(?im)^expect:.*\r\n", b"", raw)
            await asyncio.sleep(self._latency)
        async with self._turn(request):
            server[1].write(raw)
            passed = await _relay(request, client[0], server[1], unless_said=0)  # others count meanwhile
            counts.sent += len(request.raw) + passed
            answer = await _head(server[0])
            while answer.first[1] == "100":
                answer = await _head(server[0])
        client[1].write(answer.raw)
        bodiless = request.first[0] == "HEAD" or answer.first[1] in ("204", "304")
        passed = 0 if bodiless else await _relay(answer, server[0], client[1], unless_said=None)
        counts.received += len(answer.raw) + passed
        ended = _noted(counts, began)
        if request.is_conditional and answer.first[1] == "200":
            counts.swaps[request.path].append(ended)
        is_framed = bodiless or answer.is_chunked or answer.length is not None
        return is_framed and answer.headers.get("connection", "").lower() != "close" and answer.first[0] == "HTTP/1.1"


def _noted(counts: _Counts, began: float) -> float:
    now = time.perf_counter()
    counts.spans.append((began, now))
    return now


async def _head(reader: asyncio.StreamReader) -> _Head:
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *rest = raw[:-4].decode("latin-1").split("\r\n")
    fields = (field.partition(":") for field in rest)
    return _Head(raw, first.split(" ", 2), {name.strip().lower(): value.strip() for name, _, value in fields})


async def _relay(head: _Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, unless_said: int | None) -> int:
    """Pass on a body, and return its bytes, the frames of chunks among them.

    :param unless_said: its length where the head says none; None: it ends with the connection.
    """
    if head.is_chunked:
        return await _relay_chunks(reader, writer)
    length, passed = unless_said if head.length is None else head.length, 0
    while length is None or passed < length:
        piece = await reader.read(_PIECE if length is None else min(_PIECE, length - passed))
        if not piece and length is not None:
            raise ConnectionResetError  # whoever waits for the rest would wait for ever, and may keep others from their turn
        if not piece:
            break
        passed += len(piece)
        writer.write(piece)
        await writer.drain()
    return passed


async def _relay_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    passed = 0
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        chunk = line + (await reader.readexactly(size + 2) if size else await _trailer(reader))
        passed += len(chunk)
        writer.write(chunk)
        await writer.drain()
        if not size:
            return passed


async def _trailer(reader: asyncio.StreamReader) -> bytes:
    lines = [await reader.readuntil(b"\r\n")]
    while lines[-1] != b"\r\n":
        lines.append(await reader.readuntil(b"\r\n"))
    return b"".join(lines)
