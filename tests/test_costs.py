"""What things cost, exactly: requests and round trips to a bucket, and what is imported. Nothing here is timed."""

from __future__ import annotations

import gc
import hashlib
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest

from pypiprivate import artifact, cli, edits, layouts, pages, simple
from pypiprivate.__main__ import main
from pypiprivate.artifact import Artifact
from pypiprivate.cli import adopting, changing, maintaining, publishing
from pypiprivate.cli.overview import GROUPS
from pypiprivate.model import Existing
from pypiprivate.publish import preview, publish
from pypiprivate.releases import TOLD
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .builders import make_sdist, make_wheel
from .examples import ROOT
from .faults import Proxy, proxy
from .repositories import Observed, check_at_rest, in_turn, not_at_all
from .servers import ADMIN, BUCKET, Server

T = TypeVar("T")


@pytest.fixture(scope="module")
def seen(seaweed: Server) -> Iterator[Proxy]:
    with proxy(seaweed.url) as running:
        yield running


@pytest.fixture
def storage(seaweed: Server, seen: Proxy) -> S3Storage:
    """An empty repository behind a proxy that notes each request."""
    return open_bucket(seaweed.options(endpoint=seen.url, prefix=secrets.token_hex(8)))


@pytest.fixture
def existing(storage: S3Storage, tmp_path: Path) -> S3Storage:
    """A repository of one project."""
    publish(release(tmp_path, "1.0"), storage)
    publish(release(tmp_path, "1.1"), storage)  # only now its record says that the root names it
    return storage


def release(directory: Path, version: str, project: str = "acme") -> list[Artifact]:
    return [artifact.read(make(directory, project, version)) for make in (make_wheel, make_sdist)]


# what is asked of a bucket


@dataclass
class Trips:
    """Counts round trips: what is gathered is asked at once, however long it takes, and waits for all answers together."""

    count: int = 0

    def request(self, **_: object) -> None:
        self.count += 1

    def gather(self, calls: Sequence[Callable[[], T]], /) -> list[T]:
        begun, ends = self.count, [self.count]

        def from_the_beginning(call: Callable[[], T]) -> T:
            self.count = begun
            result = call()
            ends.append(self.count)
            return result

        results = in_turn([partial(from_the_beginning, call) for call in calls])
        self.count = max(ends)
        return results


def trips(storage: S3Storage) -> Trips:
    counted = Trips()
    storage._client.meta.events.register("before-send.s3", counted.request)
    return counted


def asked(seen: Proxy, call: Callable[[], object]) -> Counter[str]:
    """Do it, and count its requests by verb; a listing is one of its own."""
    seen.requests.clear()
    seen.headers.clear()
    call()
    return Counter("LIST" if "list-type" in path else verb for verb, path in seen.requests)


def test_a_release_of_a_known_project_is_seven_requests_in_four_round_trips(
    existing: S3Storage, seen: Proxy, tmp_path: Path
) -> None:
    counted = trips(existing)
    new = release(tmp_path, "1.2")
    # First the record and the page are read, then two artifacts and a sidecar go out, then the record, then the page.
    assert asked(seen, lambda: publish(new, existing, gather=counted.gather)) == {"GET": 2, "PUT": 5}
    assert counted.count == 4
    check_at_rest(existing)


def test_who_loses_to_another_looks_at_record_and_page_again_and_sends_no_page_in_vain(
    existing: S3Storage, tmp_path: Path
) -> None:
    ours, other = release(tmp_path, "1.2"), release(tmp_path, "1.3")
    done, gathered = list[tuple[str, str]](), list[int]()

    def note(verb: str, key: str) -> None:
        if (verb, key) == ("swap", simple.record_key("acme")) and ("swap", key) not in done:
            publish(other, existing)
        done.append((verb, key))

    def gather(calls: Sequence[Callable[[], T]], /) -> list[T]:
        gathered.append(len(calls))
        return in_turn(calls)

    publish(ours, Observed(existing, before=note), gather=gather, sleep=not_at_all)
    record, page = simple.record_key("acme"), simple.page_key("acme")
    assert done[5:] == [("swap", record), ("get", record), ("swap", record), ("get", page), ("swap", page)]
    # Two to look at, three to store, a page made while the record is on its way for the first time only; then one of each.
    assert gathered == [2, 3, 2, 1, 1]
    check_at_rest(existing)


def test_who_loses_the_root_to_another_looks_at_its_page_again_and_sends_none_in_vain(
    existing: S3Storage, tmp_path: Path
) -> None:
    done = list[tuple[str, str]]()

    def note(verb: str, key: str) -> None:
        if (verb, key) == ("swap", simple.ROOT_RECORD) and ("swap", key) not in done:
            publish(release(tmp_path, "1.0", "other"), existing)
        done.append((verb, key))

    publish(release(tmp_path, "1.0", "new"), Observed(existing, before=note), gather=in_turn, sleep=not_at_all)
    record, page = simple.ROOT_RECORD, simple.ROOT_PAGE
    assert done[done.index(("swap", record)) :] == [
        *(("swap", record), ("get", record), ("swap", record)),
        *(("get", page), ("swap", page)),
    ]
    check_at_rest(existing)


def test_what_is_published_or_only_tried_is_two_requests_in_one_round_trip(
    existing: S3Storage, seen: Proxy, tmp_path: Path
) -> None:
    counted = trips(existing)
    old, new = release(tmp_path, "1.1"), release(tmp_path, "1.2")
    assert asked(seen, lambda: publish(old, existing, gather=counted.gather)) == {"GET": 2}
    assert asked(seen, lambda: preview(new, existing, gather=counted.gather)) == {"GET": 2}
    assert counted.count == 2


def test_forty_wheels_take_no_more_round_trips_than_one(existing: S3Storage, seen: Proxy, tmp_path: Path) -> None:
    counted = trips(existing)
    wheels = [artifact.read(make_wheel(tmp_path, "acme", f"2.{number}")) for number in range(40)]
    assert asked(seen, lambda: publish(wheels, existing, gather=counted.gather)) == {"GET": 2, "PUT": 82}
    assert counted.count == 4


def test_how_many_other_projects_there_are_changes_nothing(existing: S3Storage, seen: Proxy, tmp_path: Path) -> None:
    costs = []
    for size in (10, 10_000):
        crowd(existing, size)
        to_known = asked(seen, partial(publish, release(tmp_path, f"2.{size}"), existing))
        assert not any("/acme/" not in path for _, path in seen.requests)  # so its bytes are none of theirs, either
        to_new = asked(seen, partial(publish, release(tmp_path, "1.0", f"new-{size}"), existing))
        costs.append((to_known, to_new))
    assert costs[0] == costs[1]


def crowd(storage: S3Storage, size: int) -> None:
    """Let the root name so many projects more."""
    others = [f"other-{number}" for number in range(size)]
    root = replace(simple.root_from_json(body(storage, simple.ROOT_RECORD)).add(others), serial=size)
    for key, after in ((simple.ROOT_RECORD, simple.root_to_json(root)), (simple.ROOT_PAGE, pages.root_to_html(root))):
        storage.swap(key, after, replacing=storage.get(key), content_type="text/html")


def body(storage: S3Storage, key: str) -> bytes:
    found = storage.get(key)
    assert found
    return found.body


def test_nothing_small_waits_for_a_word_before_its_body_is_sent(existing: S3Storage, seen: Proxy, tmp_path: Path) -> None:
    asked(seen, partial(publish, release(tmp_path, "1.2"), existing))
    assert [headers for headers in seen.headers if "expect" in headers] == []
    large = b"large" * (1 << 19)
    asked(seen, partial(existing.store, "acme/0/large", large, sha256=hashlib.sha256(large).hexdigest()))
    assert [headers["expect"] for headers in seen.headers] == ["100-continue"]


def test_no_part_of_what_is_big_waits_either(existing: S3Storage, seen: Proxy, tmp_path: Path) -> None:
    big, body = tmp_path / "big", b"big" * (3 << 20)
    big.write_bytes(body)
    asked(seen, partial(existing.store, "acme/0/big", big, sha256=hashlib.sha256(body).hexdigest()))
    assert [verb for verb, path in seen.requests if "partNumber" in path] == ["PUT", "PUT"]
    assert [headers for headers in seen.headers if "expect" in headers] == []


# what a program imports: nothing that it does not need


#: What belongs to whoever measures the tests, or makes this package importable where it is worked on.
OF_OTHERS = ("__editable__", "_distutils_hack", "tomllib", "tomli")


def imported(code: str, *arguments: object) -> set[str]:
    """Run a program, and return the modules beyond Python's own that it has imported when it ends."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('imported:', *sys.modules)"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    # Unmeasured: what measures imports, too.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    names = done.stdout.rpartition("imported:")[2].split()
    return {n for n in names if n.partition(".")[0] not in sys.stdlib_module_names and not n.startswith(OF_OTHERS)} - {"__main__"}


PROGRAM = "from pypiprivate.__main__ import main; main()"
#: What ``--help`` is made of.
OVERVIEW = {
    "pypiprivate",
    "pypiprivate.__main__",
    "pypiprivate.cli",
    "pypiprivate.cli.options",
    "pypiprivate.cli.overview",
    "pypiprivate.cli.terminal",
    "pypiprivate.errors",
}


def test_to_import_the_package_imports_nothing() -> None:
    assert imported("import pypiprivate") == {"pypiprivate"}


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_to_be_told_of_the_program_imports_no_command(argument: str) -> None:
    assert imported(PROGRAM, argument) == OVERVIEW


def test_a_command_is_imported_alone() -> None:
    commands = {"publishing", "browsing", "changing", "adopting", "diagnosing", "maintaining", "serving", "clients", "completing"}
    of_commands = {f"pypiprivate.cli.{name}" for name in commands}
    assert imported(PROGRAM, "completion", "--help") & of_commands == {"pypiprivate.cli.completing"}
    assert imported(PROGRAM, "upload", "--help") & of_commands == {"pypiprivate.cli.publishing"}


#: What does the work of one command or the other.
DOERS = {
    f"pypiprivate.{name}"
    for name in (
        *("repository", "surface", "progress", "report", "storage", "config", "index", "artifact", "publish", "simple", "pages"),
        *("amend", "browse", "doctor", "garbage", "news", "promote", "repair", "serve", "survey", "takeover", "verify"),
    )
}
COMMANDS = [summary.name for _, group in GROUPS for summary in group]


@pytest.mark.parametrize("command", COMMANDS)
def test_to_be_told_of_a_command_imports_nothing_that_does_it(command: str) -> None:
    used = imported(PROGRAM, command, "--help")
    assert used & DOERS == set()
    assert not any(name.startswith(("boto", "packaging", "rich")) for name in used)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("pypi-private do", "doctor"),
        ("pypi-private --conf", "--config"),
        ("pypi-private adopt --lay", "--layout"),
        ("pypi-private adopt --layout dir", "directory"),
        ("pypi-private serve --po", "--port"),
        ("pypi-private recipe cloud", "cloudfront"),
        ("pypi-private status demo arch", "archived"),
        ("pypi-private client-config po", "poetry"),
        ("pypi-private gc --wor", "--workers"),
    ],
)
def test_to_complete_a_line_imports_nothing_that_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, answer: str
) -> None:
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer")}
    for name, value in {**asked, "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}.items():
        monkeypatch.setenv(name, value)
    used = imported(f"import os; os._exit = sys.exit; {PROGRAM}")  # so that it can be asked at its end
    assert answer in (tmp_path / "answer").read_text()
    assert "argcomplete" in used
    assert used & DOERS == set()
    assert not any(name.startswith(("boto", "packaging", "rich")) for name in used)


def test_choices_that_are_dear_to_import_are_known_by_name() -> None:
    assert ("auto", *layouts.LAYOUTS) == adopting._LAYOUTS
    assert edits.STATUSES == changing._STATUSES
    assert tuple(choice.value for choice in Existing) == publishing._EXISTING
    assert maintaining._TOLD == TOLD


def test_a_publish_to_a_directory_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    used = imported(PROGRAM, "-r", tmp_path / "index", "upload", make_sdist(tmp_path))
    assert {name.partition(".")[0] for name in used} == {"pypiprivate", "packaging", "filelock"}
    verbs = {"amend", "browse", "doctor", "edits", "garbage", "promote", "repair", "serve", "survey", "takeover", "verify"}
    assert used & {f"pypiprivate.{name}" for name in verbs} == set()


def test_a_small_publish_to_a_bucket_needs_nothing_of_boto3_but_what_lies_below_it(
    seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PP_S3_ACCESS_KEY", ADMIN[0])
    monkeypatch.setenv("PP_S3_SECRET_KEY", ADMIN[1])
    url = f"s3://{BUCKET}/{secrets.token_hex(8)}?endpoint={seaweed.url}&region=us-east-1"
    used = imported(PROGRAM, "-r", url, "upload", make_sdist(tmp_path))
    assert used & {"botocore", "boto3", "s3transfer", "filelock"} == {"botocore"}


def test_a_project_that_only_has_it_installed_imports_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme.py").touch()
    build = "import setuptools; setuptools.setup(name='acme', version='1', py_modules=['acme'])"
    used = imported(build, "--quiet", "sdist")
    assert (tmp_path / "dist").is_dir()
    assert {name for name in used if name.startswith("pypiprivate")} == set()


@pytest.fixture
def as_before() -> Iterator[None]:
    """Undo what the program does to its own process."""
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)
    gc.unfreeze()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_before")
def test_the_program_looks_for_no_garbage_in_what_it_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pypi-private", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("pypiprivate ")
    assert gc.get_freeze_count() > max(50_000, len(gc.get_objects()))
    assert gc.get_threshold()[0] >= 150_000  # objects that a publish makes
    assert sys.getswitchinterval() <= 0.001  # what sends waits no longer for what computes


def test_to_import_the_package_imports_hardly_anything() -> None:
    """Not even what takes as long as to start Python."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import pypiprivate; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"typing", "dataclasses", "re"} & set(done.stdout.split())


def test_a_shell_that_asks_is_answered_by_the_parser_of_what_stands_in_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = SimpleNamespace(autocomplete=lambda parser: parser.parse_args(["yank", "--help"]))
    monkeypatch.setitem(sys.modules, "argcomplete", library)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setenv("COMP_LINE", "pypi-private yank --re")
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 0
    assert "--reason" in capsys.readouterr().out
