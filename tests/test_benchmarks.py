"""What the benchmarks measure with is right; nothing is timed here."""

from __future__ import annotations

import http.client
import random
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks import seeds
from benchmarks.contention import Clock, Place, releases, settled
from benchmarks.proxy import Line, depth, line
from benchmarks.report import Section, keep
from benchmarks.timing import Command, Contestant, in_turns, measured
from pypiprivate.findings import Depth
from pypiprivate.simple import HTML_TYPE, JSON_TYPE
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.verify import verify

from .examples import ROOT, environment, run
from .repositories import check_at_rest, filenames
from .web import code_blocks

VERBS = ("GET", "LIST", "PUT", "DELETE")

# -- virtual time -------------------------------------------------------------------------------------------------------------


def test_who_wakes_first_is_next_and_the_clock_stands_still_in_between() -> None:
    clock, seen = Clock(), list[tuple[str, float]]()

    def task(name: str, *naps: float) -> None:
        for nap in naps:
            clock.sleep(nap)
            seen.append((name, clock.now))

    clock.start(lambda: task("early", 1, 3))
    clock.start(lambda: task("late", 1, 1), after=0.5)
    assert clock.run() == 4
    assert seen == [("early", 1), ("late", 1.5), ("late", 2.5), ("early", 4)]


def test_calls_that_are_gathered_take_as_long_as_the_longest_and_keep_their_order() -> None:
    clock, seen = Clock(), list[list[float]]()

    def nap(seconds: float) -> float:
        clock.sleep(seconds)
        return seconds

    clock.start(lambda: seen.append(clock.gather([partial(nap, 3), partial(nap, 1), partial(nap, 2)])))
    clock.start(lambda: seen.append(clock.gather([])), after=5)
    assert clock.run() == 5
    assert seen == [[3, 1, 2], []]


def test_the_requests_that_the_document_names_are_those_of_a_publish(tmp_path: Path) -> None:
    first, second, third = releases(tmp_path, 3)
    (other,) = releases(tmp_path, 1, "other")
    place = Place(1.0)
    found = {
        "the first release of a repository": place.crowd([first]),
        "the first release of a project": place.crowd([other]),
        "the second": place.crowd([second]),
        "any later one": place.crowd([third]),
        "one that is there": place.crowd([third]),
    }
    (table,) = re.findall(r"^command +GET .*\n=.*\n((?:.+\n)+?)=", (ROOT / "docs/scale.rst").read_text("utf-8"), re.MULTILINE)
    named = dict(re.split(" {2,}", line, maxsplit=1) for line in table.splitlines())
    counted = {what: [*(crowd.requests.get(verb, 0) for verb in VERBS), crowd.seconds] for what, crowd in found.items()}
    assert {what: [float(number) for number in numbers.split()] for what, numbers in named.items()} == counted


def test_the_simulation_runs_as_it_is_shown() -> None:
    (shown,) = code_blocks("console", ROOT / "docs/scale.rst")
    command, *output = shown.splitlines()
    assert command == "$ python -m benchmarks.contention"
    said = run([sys.executable, *command.split()[2:], "--most", "1"], env=environment(ROOT), cwd=ROOT)
    # Alone, nothing is left to chance.
    assert [line for line in output if re.match(" +1 ", line)][:2] == [
        line for line in said.splitlines() if line[:37].strip() == "1"
    ][:2]


def test_a_crowd_in_virtual_time_loses_nothing_and_is_the_same_each_time(tmp_path: Path) -> None:
    first, *others = releases(tmp_path, 9)

    def crowd() -> tuple[float, Mapping[str, int]]:
        random.seed(7)
        place = settled(0.03, [first])
        found = place.crowd(others)
        check_at_rest(place.storage)
        assert filenames(place.storage, "demo") == sorted(file.filename for release in (first, *others) for file in release)
        return found.seconds, found.requests

    assert crowd() == crowd()


@pytest.mark.parametrize("latency", [0.03, 0.1])
def test_thirty_two_publishers_of_one_project_reach_half_of_what_a_document_bears(tmp_path: Path, latency: float) -> None:
    random.seed(1)
    first, second, *others = releases(tmp_path, 34)
    assert settled(latency, [first, second]).crowd(others).rate >= 0.5 / latency


# -- whole processes, and what they find --------------------------------------------------------------------------------------


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    work = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(50_000_000)'], check=True)"
    run = measured(Command(Path(sys.executable), ("-c", work), environment(tmp_path), tmp_path))
    assert run.cpu > 0
    assert run.wall > 0
    assert 50_000_000 < run.peak < 100_000_000


def test_a_process_that_fails_ends_the_benchmark_with_what_it_said(tmp_path: Path) -> None:
    command = Command(Path(sys.executable), ("-c", "raise SystemExit('no such bucket')"), environment(tmp_path), tmp_path)
    with pytest.raises(SystemExit, match="no such bucket"):
        measured(command)


def test_contestants_take_turns(tmp_path: Path) -> None:
    turns: list[str] = []

    def contestant(name: str) -> Contestant:
        command = Command(Path(sys.executable), ("-S", "-c", "pass"), environment(tmp_path), tmp_path)

        def prepare() -> Command:
            turns.append(name)
            return command

        return Contestant(name, prepare)

    results = in_turns([contestant("A"), contestant("B")], 2)
    assert turns == ["A", "B"] * 3
    assert {name: len(result.runs) for name, result in results.items()} == {"A": 2, "B": 2}


def test_what_a_publish_finds_is_sound() -> None:
    storage = MemoryStorage()
    for key, body in seeds.ours(3).items():
        storage.swap(key, body, replacing=None, content_type=JSON_TYPE if key.endswith(".json") else HTML_TYPE)
    assert verify(storage, depth=Depth.DOCUMENTS).findings == ()


# -- the line that counts -----------------------------------------------------------------------------------------------------


def test_depth_is_the_longest_chain_of_what_does_not_overlap() -> None:
    assert depth([]) == 0
    assert depth([(0, 10), (1, 2), (2, 3), (8, 11)]) == 3
    assert depth([(0, 4), (1, 5), (2, 6)]) == 1


@pytest.fixture
def met() -> Iterator[Line]:
    """A line to a server whose ``/met`` answers only once two ask for it, and whose ``/alone`` refuses if two do."""
    barrier, together = Barrier(2), Barrier(2)

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            if self.path == "/met":
                barrier.wait(30)
            self.send_response(409 if self.path.startswith("/alone") and self._meets_another() else 200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"yes")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _meets_another(self) -> bool:
            try:
                together.wait(0.3)
            except BrokenBarrierError:
                together.reset()
                return False
            return True

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with line(f"http://127.0.0.1:{server.server_port}", latency=0) as opened:
            yield opened
        server.shutdown()


def ask(line: Line, verb: str, path: str, body: bytes | None = None, *, times: int = 1, **headers: str) -> list[bytes]:
    """Send a request so many times over one connection."""
    connection, bodies = http.client.HTTPConnection(urlsplit(line.url).netloc, timeout=30), []
    for _ in range(times):
        connection.request(verb, path, body, headers)
        bodies.append(connection.getresponse().read())
    connection.close()
    return bodies


def test_conditional_writes_of_one_key_take_turns_and_those_that_succeed_are_noted(met: Line) -> None:
    condition: dict[str, Any] = {"If-Match": "abc"}

    def swap(path: str) -> list[bytes]:
        return ask(met, "PUT", path, b"x", **condition)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(swap, ["/alone", "/alone", "/alone?again", "/other"])) == [[b"yes"]] * 4
    ask(met, "PUT", "/without", b"x")
    ask(met, "GET", "/other", **condition)
    swaps = met.traffic().swaps
    assert {path: len(moments) for path, moments in swaps.items()} == {"/alone": 3, "/other": 1}


def test_requests_and_bytes_are_counted_on_their_way_and_each_time_anew(met: Line) -> None:
    assert ask(met, "GET", "/", times=3) == [b"yes"] * 3
    assert ask(met, "HEAD", "/") == [b""]
    before = met.traffic()
    assert (before.verbs, before.requests, before.continues, before.depth) == ({"GET": 3, "HEAD": 1}, 4, 0, 4)
    assert ask(met, "PUT", "/", b"x" * 100_000) == [b"yes"]
    after = met.traffic()
    assert after.verbs == {"PUT": 1}
    assert 100_000 < after.sent < 101_000
    assert 3 < after.received < 1_000
    assert met.traffic().requests == 0


def test_waiting_for_leave_to_send_a_body_is_a_round_trip_more(met: Line) -> None:
    assert ask(met, "PUT", "/", b"body", Expect="100-continue") == [b"yes"]
    traffic = met.traffic()
    assert (traffic.verbs, traffic.continues, traffic.depth) == ({"PUT": 1}, 1, 2)


def test_what_is_under_way_at_once_is_one_round_trip(met: Line) -> None:
    threads = [Thread(target=ask, args=(met, "GET", "/met")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    traffic = met.traffic()
    assert (traffic.requests, traffic.depth) == (2, 1)


# -- the report ---------------------------------------------------------------------------------------------------------------


def test_results_of_scenarios_that_were_not_run_stay_where_they_were(tmp_path: Path) -> None:
    path, order = tmp_path / "RESULTS.md", ["one", "two", "three"]
    keep(path, [Section("three", "Three", ["c"]), Section("one", "One", ["a"])], order)
    keep(path, [Section("two", "Two", ["b"]), Section("one", "One", ["new"])], order)
    _, *sections = path.read_text("utf-8").split("\n## ")
    assert sections == ["One (`one`)\n\nnew\n", "Two (`two`)\n\nb\n", "Three (`three`)\n\nc\n"]
