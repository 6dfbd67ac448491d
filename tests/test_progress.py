"""What is shown of something that takes long, on terminals, in logs, and where nobody looks."""

from __future__ import annotations

import errno
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from pypiprivate import progress, surface
from pypiprivate.progress import PATIENCE, PAUSE, Lines
from pypiprivate.storage.base import Progress
from pypiprivate.wording import duration_of, number_of

MB = 1_000_000
#: Long enough for nothing to be shown in a test.
NEVER = 3600.0


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


class Gone(Terminal):
    """A terminal that somebody has closed."""

    tried = False

    def write(self, _text: str) -> int:
        self.tried = True
        raise OSError(errno.EIO, "Input/output error")


class Clock:
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


@contextmanager
def shown_on(stream: TextIO | None, *, patience: float) -> Iterator[Progress]:
    with progress.display_on(stream, patience=patience) as display:
        yield display.files("sending {}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


# -- lines --------------------------------------------------------------------------------------------------------------------


def test_a_long_file_is_told_of_at_once_then_every_half_minute_and_when_it_is_done(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    sent = lines.display.files("sending {}")("big.whl", 500 * MB)
    for _ in range(64):
        clock.now += 1
        sent(MB)
        lines.tick()
    clock.now += 1
    sent(436 * MB)
    lines.tick()
    assert stream.getvalue().splitlines() == [
        "sending big.whl: 2.0 MB of 500.0 MB, 1.0 MB/s, 8 minutes to go",
        "sending big.whl: 32.0 MB of 500.0 MB, 1.0 MB/s, 8 minutes to go",
        "sending big.whl: 62.0 MB of 500.0 MB, 1.0 MB/s, 7 minutes to go",
        "sending big.whl: done, 500.0 MB in 65 seconds",
    ]


def test_what_is_done_before_anybody_wonders_is_not_told_of(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    sent = lines.display.files("sending {}")("small.whl", 10)
    clock.now += PATIENCE / 2
    lines.tick()
    sent(10)
    clock.now += PAUSE
    lines.tick()
    assert stream.getvalue() == ""


def test_of_what_has_no_bytes_nothing_is_said_and_what_is_waited_for_is(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    with lines.display.waiting("adopting"):
        lines.display.files("{}")("reading", 0)(0)
        clock.now += PATIENCE + 1
        lines.tick()
    assert "adopting" in stream.getvalue()
    assert "reading" not in stream.getvalue()


def test_what_stands_still_is_told_of_too_and_without_a_guess(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    lines.display.files("sending {}")("stuck.whl", 10 * MB)
    for _ in range(2):
        clock.now += PAUSE
        lines.tick()
    assert stream.getvalue() == "sending stuck.whl: 0 B of 10.0 MB\n" * 2


def test_a_part_that_is_sent_again_is_counted_once(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    sent = lines.display.files("sending {}")("big.whl", 10 * MB)
    for part in (5 * MB, -5 * MB, 5 * MB):
        sent(part)
    clock.now += 5
    lines.tick()
    sent(5 * MB)
    sent(0)
    assert stream.getvalue().splitlines() == [
        "sending big.whl: 5.0 MB of 10.0 MB, 1.0 MB/s, 5 seconds to go",
        "sending big.whl: done, 10.0 MB in 5 seconds",
    ]


def test_lines_that_nobody_reads_hurt_nobody(clock: Clock) -> None:
    lines = Lines(Closed(), clock=clock)
    sent = lines.display.files("sending {}")("big.whl", 10)
    clock.now += PATIENCE
    lines.tick()
    sent(10)
    assert lines.clock() == 1000 + PATIENCE


def test_in_a_log_lines_come_by_themselves_also_while_nothing_moves() -> None:
    stream = io.StringIO()
    with shown_on(stream, patience=0) as shown:
        sent = shown("big\x1b[2J.whl", 20 * MB)
        assert eventually(lambda: stream.getvalue() == "sending big\\x1b[2J.whl: 0 B of 20.0 MB\n")
        sent(20 * MB)
    assert stream.getvalue().splitlines()[1].startswith("sending big\\x1b[2J.whl: done, 20.0 MB in ")


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["nobody", "a log"])
def test_what_is_quick_is_silent(stream: io.StringIO | None) -> None:
    with (
        shown_on(stream, patience=NEVER) as shown,
        progress.display_on(stream, patience=NEVER) as display,
        display.counting("reading") as counted,
    ):
        shown("small.whl", 10)(10)
        counted(0, 10_000)
        counted(10_000, 10_000)
    assert stream is None or stream.getvalue() == ""


def test_many_things_are_counted_in_a_log_also_before_it_is_known_how_many_and_when_more_come(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    with lines.display.counting("reading projects") as counted:
        clock.now += 5
        lines.tick()
        counted(0, 100)
        counted(100, 100)
        clock.now += PAUSE - 1
        lines.tick()
        clock.now += 1
        lines.tick()
        counted(1000, 1600)
        clock.now += PAUSE
        lines.tick()
        counted(2000, 2000)
    assert stream.getvalue().splitlines() == [
        "reading projects: 5 seconds so far",
        "reading projects: 100 of 100, 3/s, 0 seconds to go",
        "reading projects: 1,000 of 1,600, 15/s, 39 seconds to go",
        "reading projects: done, 2,000 in 65 seconds",
    ]


def test_what_has_no_known_end_is_told_of_where_nothing_else_is(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    with lines.display.waiting("publishing") as told:
        sent = lines.display.files("sending {}")("big.whl", 40 * MB)
        for _ in range(2):
            clock.now += PATIENCE
            lines.tick()
        sent(40 * MB)
        told()
        lines.tick()
    assert stream.getvalue().splitlines() == [
        "sending big.whl: 0 B of 40.0 MB",
        "sending big.whl: done, 40.0 MB in 4 seconds",
        "publishing: 1 in 4 seconds",
        "publishing: done, 1 in 4 seconds",
    ]


def test_what_fails_is_not_said_to_be_done(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)

    def fail() -> None:
        with lines.display.waiting("reading acme"):
            clock.now += PATIENCE
            lines.tick()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stream.getvalue() == "reading acme: 2 seconds so far\n"


def test_what_is_removed_of_a_project_is_counted(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=clock)
    removed = lines.display.numbers("removing from {}")("acme", 4000)
    removed(1000)
    clock.now += 10
    lines.tick()
    removed(3000)
    assert stream.getvalue().splitlines() == [
        "removing from acme: 1,000 of 4,000, 100/s, 30 seconds to go",
        "removing from acme: done, 4,000 in 10 seconds",
    ]


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["nobody", "a log"])
def test_what_one_waits_for_may_be_quick_too(stream: io.StringIO | None) -> None:
    with progress.display_on(stream, patience=NEVER) as display, display.waiting("reading acme") as told:
        assert told() == 1
    assert stream is None or stream.getvalue() == ""


# -- terminals ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def xterm(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return Terminal()


def test_a_bar_is_drawn_for_what_takes_long_with_amount_rate_and_time(xterm: Terminal) -> None:
    with shown_on(xterm, patience=0) as shown:
        sent = shown("big.whl", 20 * MB)
        sent(MB)
        assert eventually(lambda: "1.0 MB of 20.0 MB" in xterm.getvalue())

        def is_rate_shown() -> bool:
            sent(1)
            return "/s" in xterm.getvalue()

        assert eventually(is_rate_shown)
    assert "sending big.whl" in xterm.getvalue()


def test_no_bar_is_drawn_for_what_is_quick_or_done(xterm: Terminal) -> None:
    with shown_on(xterm, patience=NEVER) as shown:
        shown("quick.whl", 10)(1)
    with shown_on(xterm, patience=0) as shown:
        shown("done.whl", 10)(10)
        shown("long.whl", 10)
        assert eventually(lambda: "long.whl" in xterm.getvalue())
    assert "quick.whl" not in xterm.getvalue()


def test_what_is_quick_loads_nothing_that_draws(xterm: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    with (
        progress.display_on(xterm, patience=NEVER) as display,
        display.counting("reading") as counted,
        progress.display_on(xterm, patience=NEVER) as other,
        other.waiting("asking"),
    ):
        counted(1, 2)
    assert not any(name.partition(".")[0] == "rich" for name in sys.modules)


def test_what_is_logged_stands_above_the_bars(xterm: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", xterm)
    with shown_on(xterm, patience=0) as shown:
        shown("big.whl", 10)
        assert eventually(lambda: "big.whl" in xterm.getvalue())
        drawn = len(xterm.getvalue())
        surface.OnStandardError().emit(logging.makeLogRecord({"msg": "stored acme"}))
        assert eventually(lambda: "stored acme\n" in xterm.getvalue() and "big.whl" in xterm.getvalue()[drawn:])
    above, _, below = xterm.getvalue()[drawn:].partition("stored acme\n")
    # The bar is wiped away before the line is written, and drawn again below it.
    assert "\x1b[2K" in above
    assert "big.whl" in below


@pytest.mark.usefixtures("xterm")
def test_a_terminal_that_is_gone_hurts_nobody() -> None:
    gone, before = Gone(), (sys.stdout, sys.stderr)
    with shown_on(gone, patience=0) as shown:
        sent = shown("big.whl", 10)
        assert eventually(lambda: gone.tried)
        sent(10)
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("lacking", ["rich", "a terminal that can draw"])
def test_where_no_bar_can_be_drawn_there_are_lines(monkeypatch: pytest.MonkeyPatch, xterm: Terminal, lacking: str) -> None:
    if lacking == "rich":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    else:
        monkeypatch.setenv("TERM", "dumb")
    with shown_on(xterm, patience=0) as shown:
        shown("big.whl", 10 * MB)
        assert eventually(lambda: xterm.getvalue() == "sending big.whl: 0 B of 10.0 MB\n")


# -- words --------------------------------------------------------------------------------------------------------------------


def test_durations_and_numbers_are_written_as_one_would_say_them() -> None:
    assert [duration_of(seconds) for seconds in (5, 600, 7200)] == ["5 seconds", "10 minutes", "2.0 hours"]
    assert [number_of(amount) for amount in (0, 12.4, 1_234_567)] == ["0", "12", "1,234,567"]
