"""Publishing to a real S3 server while the way there fails: nothing is lost, nothing is torn, and every report is true."""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from pypiprivate import artifact, simple
from pypiprivate.artifact import Artifact
from pypiprivate.errors import StorageError, UnsafeStorage
from pypiprivate.publish import Receipt, publish
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .builders import make_sdist, make_wheel
from .faults import (
    Fault,
    Proxy,
    ask_twice,
    cut_body,
    cut_head,
    cut_request,
    delay,
    lose_reply,
    proxy,
    refuse,
)
from .proof import FULL, figure
from .repositories import check_at_rest, check_never_torn, filenames, in_turn, not_at_all, orphans, record
from .servers import BUCKET, Server

#: What may go wrong with any request.
ANYWHERE: dict[str, Fault] = {
    "late": delay(0.01),
    "500": refuse(500, "InternalError"),
    "503": refuse(503, "SlowDown"),
    "403": refuse(403, "AccessDenied"),
    "time-out": refuse(400, "RequestTimeout"),
    "request cut": cut_request,
    "head cut": cut_head,
    "body cut": cut_body,
    "reply lost": lose_reply,
    "asked twice": ask_twice,
}
#: What only a write is told.
CONFLICT = refuse(409, "ConditionalRequestConflict")

#: All that a publisher may be told when a request fails.
REASONS = "|".join(
    [
        r"access is denied \(403\)\.",
        r"the store is overloaded or failing \((500 InternalError|503 SlowDown|400 RequestTimeout|\d+ \d+).*\)\.",
        r"http://\S+ cannot be reached or does not answer \(.+\)\.",
        r"http://\S+ does not answer as S3 does \(.+\)\.",
        r"the connection broke off (again and again \(.+\)|before the answer began)\.",
        r"\d+ (ConditionalRequestConflict|\d+): .+\.",
    ]
)


@pytest.fixture(scope="module")
def faulty(seaweed: Server) -> Iterator[Proxy]:
    with proxy(seaweed.url) as running:
        yield running


@pytest.fixture(scope="module")
def direct(seaweed: Server) -> S3Storage:
    """A repository that is looked at without faults; slow to make."""
    return open_bucket(seaweed.options())


@pytest.fixture(scope="module")
def behind(seaweed: Server, faulty: Proxy) -> S3Storage:
    """A repository behind the proxy, where nothing is asked twice; slow to make."""
    return open_bucket(seaweed.options(endpoint=faulty.url), attempts=1)


@dataclass(frozen=True)
class Repository:
    """One repository: *faulty* is what a publisher uses, *direct* what we look at it with."""

    faulty: S3Storage
    direct: S3Storage

    def at(self, prefix: str) -> Repository:
        return Repository(*(S3Storage(storage._client, BUCKET, prefix=prefix) for storage in (self.faulty, self.direct)))

    def publish(self, artifacts: Sequence[Artifact]) -> tuple[Receipt, ...]:
        return publish(artifacts, self.faulty, sleep=not_at_all, gather=in_turn)

    def tried(self, artifacts: Sequence[Artifact]) -> bool:
        """Publish, and tell whether we were told that it is done; a failure has to be told well."""
        try:
            receipts = self.publish(artifacts)
        except StorageError as error:
            assert_told_well(error)
            return False
        assert {receipt.filename for receipt in receipts} == {artifact.filename for artifact in artifacts}
        return True


@pytest.fixture
def repository(behind: S3Storage, direct: S3Storage, faulty: Proxy) -> Iterator[Repository]:
    yield Repository(behind, direct).at(secrets.token_hex(8))
    faulty.clear()


def assert_told_well(error: StorageError) -> None:
    """One sentence with the thing and a reason that is true, and a hint that says what to do."""
    assert not isinstance(error, UnsafeStorage), "a good store is blamed"
    assert re.fullmatch(rf"s3://{BUCKET}/\S+: ({REASONS})", str(error)), str(error)
    assert error.hint.endswith("Running the same command again is safe.")


def build(directory: Path, version: str, project: str = "demo") -> list[Artifact]:
    paths = [make_sdist(directory, project, version), make_wheel(directory, project, version)]
    return [artifact.read(path) for path in paths]


# each fault at each request


@pytest.mark.parametrize("kind", [*ANYWHERE, "409"])
def test_whatever_fails_in_a_further_release_it_is_told_well_and_running_again_heals(
    repository: Repository, faulty: Proxy, tmp_path: Path, kind: str
) -> None:
    fault = {**ANYWHERE, "409": CONFLICT}[kind]
    repository.publish(build(tmp_path, "0"))
    every = 1 if FULL else 3
    for number in count(0 if FULL else [*ANYWHERE, "409"].index(kind) % every, every):
        release = build(tmp_path, f"{number + 1}")
        faulty.inject_at(number, fault)
        told = repository.tried(release)
        if not faulty.is_spent():
            break
        check_as_a_reader(repository.direct, "demo")
        if not told:
            repository.publish(release)
        assert_listed(repository, release)
    check_at_rest(repository.direct)
    assert number >= 7  # a release of two files into a listed project is seven requests
    assert len(filenames(repository.direct, "demo")) == 4 + 2 * (number // every)
    assert orphans(repository.direct) == []


@pytest.mark.parametrize("kind", [*ANYWHERE, "409"])
def test_whatever_fails_in_the_first_release_of_all_it_is_told_well_and_running_again_heals(
    repository: Repository, faulty: Proxy, tmp_path: Path, kind: str
) -> None:
    fault = {**ANYWHERE, "409": CONFLICT}[kind]
    release, every = build(tmp_path, "1.0"), 1 if FULL else 7
    first = 0 if FULL else [*ANYWHERE, "409"].index(kind) % every  # each kind meets other requests
    for number in count(first, every):
        fresh = repository.at(secrets.token_hex(8))
        faulty.inject_at(number, fault)
        told = fresh.tried(release)
        if not faulty.is_spent():
            break
        check_never_torn(fresh.direct)
        if not told:
            fresh.publish(release)
        check_at_rest(fresh.direct)
        assert_listed(fresh, release)
        assert orphans(fresh.direct) == []
    assert number >= 17


def assert_listed(repository: Repository, artifacts: Sequence[Artifact]) -> None:
    """What was reported as published is listed, and these very bytes are served."""
    project = artifacts[0].project
    listed = {file.filename: file for file in record(repository.direct, project).files}
    for built in artifacts:
        file = listed[built.filename]
        assert file.sha256 == built.sha256
        assert b"".join(repository.direct.read(f"{project}/{file.key}")) == built.path.read_bytes()


# an answer that breaks off


@pytest.mark.parametrize("fault", [cut_body, cut_head], ids=["body", "head"])
def test_a_record_that_breaks_off_is_read_again_once_for_each_time(
    repository: Repository, faulty: Proxy, tmp_path: Path, fault: Fault
) -> None:
    for version in ("0", "0.1"):  # the second one marks the project as listed
        repository.publish(build(tmp_path, version))
    clean = requests_of(faulty, lambda: repository.publish(build(tmp_path, "1")))
    faulty.inject(fault, method="GET")
    once = requests_of(faulty, lambda: repository.publish(build(tmp_path, "2")))
    faulty.inject(fault, fault, fault, method="GET")
    thrice = requests_of(faulty, lambda: repository.publish(build(tmp_path, "3")))
    gets = [sum(method == "GET" for method, _ in requests) for requests in (clean, once, thrice)]
    assert gets == [2, 3, 5]
    assert [len(requests) - got for requests, got in zip((clean, once, thrice), gets, strict=True)] == [5, 5, 5]
    check_at_rest(repository.direct)


@pytest.mark.parametrize("fault", [cut_body, cut_head], ids=["body", "head"])
def test_a_record_that_always_breaks_off_ends_the_command_after_five_times_and_nothing_is_written(
    repository: Repository, faulty: Proxy, tmp_path: Path, fault: Fault
) -> None:
    repository.publish(build(tmp_path, "0"))
    faulty.inject(*[fault] * 5, method="GET")
    requests = requests_of(faulty, lambda: repository.tried(build(tmp_path, "1")))
    assert [(method, path.rpartition("/")[2]) for method, path in requests] == [("GET", "index.json")] * 5
    assert len(filenames(repository.direct, "demo")) == 2


def test_a_file_of_an_older_index_that_breaks_off_is_read_on_and_adopted(
    repository: Repository, faulty: Proxy, seaweed: Server, tmp_path: Path
) -> None:
    older = make_wheel(tmp_path, "demo", "0.1")
    page = f'<html><body><a href="{older.name}">{older.name}</a></body></html>'.encode()
    for key, body in {f"demo/{older.name}": older.read_bytes(), "demo/index.html": page}.items():
        seaweed.client().put_object(Bucket=BUCKET, Key=f"{repository.direct._root}{key}", Body=body)
    faulty.at_random(cut_body, seed=0, share=1, method="GET", key=r"\.whl$")
    requests = requests_of(faulty, lambda: repository.tried(build(tmp_path, "1.0")))
    reads = [path for method, path in requests if method == "GET" and path.endswith(".whl")]
    assert len(reads) == 5  # each time from where it broke off, and then the command gives up
    faulty.clear()
    repository.publish(build(tmp_path, "1.0"))
    check_at_rest(repository.direct)
    assert filenames(repository.direct, "demo") == [older.name, "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]


def requests_of(faulty: Proxy, call: Callable[[], object]) -> list[tuple[str, str]]:
    before = len(faulty.requests)
    call()
    return faulty.requests[before:]


# a fifth of all requests fails, for publishers side by side


@dataclass
class Publisher:
    """Publishes to a project of its own and to one that others use too, through a proxy of its own.

    :ivar reported: what it was told to be published, by project and file name.
    """

    number: int
    repository: Repository
    proxy: Proxy
    directory: Path
    commands: int = 0
    reported: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self, publishes: int) -> None:
        for release in range(publishes):
            project = "shared" if release % 5 == 4 else f"demo{self.number}"
            self._repeat(build(self.directory, f"{release}.{self.number}", project))

    def _repeat(self, artifacts: list[Artifact]) -> None:
        for _ in range(200):
            self.commands += 1
            told = self.repository.tried(artifacts)
            if self.commands % 20 == 0:
                check_as_a_reader(self.repository.direct, artifacts[0].project)
            if told:
                assert_listed(self.repository, artifacts)
                self.reported.update({(built.project, built.filename): built.sha256 for built in artifacts})
                return
        raise AssertionError(f"not published by 200 commands: {artifacts}")


def check_as_a_reader(storage: S3Storage, project: str) -> None:
    """Whatever page and record list is there while others publish: look at what lists before looking at what is listed."""
    page, found = storage.get(simple.page_key(project)), storage.get(simple.record_key(project))
    files = simple.project_from_json(found.body, project).files if found else ()
    listed = {file.url: (file.sha256, file.size) for file in files}
    links = re.findall(r'<a href="([^"#]+)#sha256=([0-9a-f]{64})"', page.body.decode()) if page else []
    assert {(url, sha256) for url, sha256 in links} <= {(url, sha256) for url, (sha256, _) in listed.items()}
    for file in random.Random(len(files)).sample(files, min(10, len(files))):
        stat = storage.stat(f"{project}/{file.key}")
        assert stat is not None
        assert (stat.sha256, stat.size) == (file.sha256, file.size)
        if isinstance(file.core_metadata, dict):
            sidecar = storage.stat(f"{project}/{file.key}.metadata")
            assert sidecar is not None
            assert sidecar.sha256 == file.core_metadata["sha256"]


@pytest.mark.parametrize("seed", [2026])
def test_with_a_fifth_of_all_requests_failing_nothing_is_lost_and_every_report_is_true(
    seaweed: Server, direct: S3Storage, tmp_path: Path, seed: int
) -> None:
    publishers, each = 4, 250 if FULL else 15
    prefix, began = secrets.token_hex(8), time.monotonic()
    with ExitStack() as stack:
        crowd = []
        for number in range(publishers):
            between = stack.enter_context(proxy(seaweed.url))
            between.at_random(CONFLICT, *ANYWHERE.values(), seed=seed + number, method="PUT")
            between.at_random(*ANYWHERE.values(), seed=seed + number)
            behind = open_bucket(seaweed.options(endpoint=between.url), attempts=1)
            crowd.append(Publisher(number, Repository(behind, direct).at(prefix), between, tmp_path / str(number)))
        with ThreadPoolExecutor(publishers) as pool:
            list(pool.map(lambda publisher: publisher.run(each), crowd))
    seconds = time.monotonic() - began
    repository = Repository(direct, direct).at(prefix)
    check_at_rest(repository.direct)
    projects = ["shared", *(f"demo{number}" for number in range(publishers))]
    listed = {(name, file.filename): file.sha256 for name in projects for file in record(repository.direct, name).files}
    assert listed == {key: sha256 for publisher in crowd for key, sha256 in publisher.reported.items()}
    assert len(listed) == 2 * publishers * each
    assert orphans(repository.direct) == []
    requests, met = sum(len(publisher.proxy.requests) for publisher in crowd), sum(publisher.proxy.met for publisher in crowd)
    assert met > requests / 10
    figure(
        "faults over HTTP",
        seed=seed,
        publishes=publishers * each,
        commands=sum(publisher.commands for publisher in crowd),
        requests=requests,
        faults=met,
        lost=0,
        seconds=round(seconds, 1),
    )
