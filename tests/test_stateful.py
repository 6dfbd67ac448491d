"""Every storage backend against a dictionary, and every edit of a record in any order: what must hold holds after each step."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pypiprivate import pages, simple
from pypiprivate.errors import Conflict, PublishRefused, StorageError
from pypiprivate.filenames import Identity, parse_filename
from pypiprivate.model import Deleted, Existing, File, Project, Status, Used, url_of, versions_of
from pypiprivate.storage import Storage
from pypiprivate.storage.base import Stored
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .proof import FULL, figure
from .repositories import Imitation
from .servers import BUCKET, seaweedfs, shared

# -- storage backends ---------------------------------------------------------------------------------------------------------

# No name is `.` or `..`, and no key is the directory of another: `D` begins each directory, `F` each name.
odd = st.text("aB9-_.+ !%&'=@~(),;#?äβ日é", max_size=6)
directories = st.sampled_from(["", "D/", "D-2/", "D+ä !/", "D/D0/", "D/D0-2/"]) | odd.map(lambda name: f"D{name}x/")
keys = st.builds(lambda directory, name: f"{directory}F{name}x", directories, odd)
bodies = st.binary(max_size=40) | st.sampled_from([b"", b"one", b"two", bytes(3000)])
prefixes = st.sampled_from(["", "D", "D/", "D-2/", "D+", "D+ä !/", "D/D0", "D/D0/F", "F", "none/", "D/none"])


class StorageMachine(RuleBasedStateMachine):
    """Does whatever a publisher may do, in any order, and expects what a dictionary would hold."""

    storage: Storage
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes] = {}
        self.seen: dict[str, list[Stored | None]] = {}

    documents: Bundle[str] = Bundle("documents")
    artifacts: Bundle[str] = Bundle("artifacts")

    @rule(target=documents, key=keys)
    def name_a_document(self, key: str) -> str:
        return f"docs/{key}"

    @rule(target=artifacts, key=keys, body=bodies)
    def store(self, key: str, body: bytes) -> str:
        """The key of an artifact says its bytes."""
        key = f"{hashlib.sha256(body).hexdigest()[:8]}/{key}"
        self.storage.store(key, body, sha256=hashlib.sha256(body).hexdigest())
        self.held[key] = body
        return key

    @rule(key=artifacts, sent=bodies)
    def store_other_bytes_than_announced(self, key: str, sent: bytes) -> None:
        with pytest.raises(StorageError):
            self.storage.store(f"{key}y", sent, sha256="0" * 64)

    @rule(key=documents)
    def get(self, key: str) -> None:
        found = self.storage.get(key)
        assert (found.body if found else None) == self.held.get(key)
        self.seen.setdefault(key, []).append(found)

    @rule(key=documents, body=bodies, data=st.data())
    def swap(self, key: str, body: bytes, data: st.DataObject) -> None:
        """On condition of what was read at any time, or of nothing being there."""
        replacing = data.draw(st.sampled_from([None, *self.seen.get(key, ())]))
        expected = replacing.body if replacing else None
        try:
            self.storage.swap(key, body, replacing=replacing, content_type=simple.JSON_TYPE)
        except Conflict:
            # A document that is again what it was may count as changed, or not; one that was just read may not.
            assert self.held.get(key) != expected or (replacing and replacing != self.storage.get(key))
        else:
            assert self.held.get(key) == expected
            self.held[key] = body

    @rule(key=documents | artifacts)
    def delete(self, key: str) -> None:
        self.storage.delete(key)
        self.held.pop(key, None)

    @rule(key=documents | artifacts)
    def look_at(self, key: str) -> None:
        stat, body = self.storage.stat(key), self.held.get(key)
        assert (stat.size if stat else None) == (None if body is None else len(body))
        if stat and stat.sha256:
            assert stat.sha256 == hashlib.sha256(self.held[key]).hexdigest()

    @rule(key=documents | artifacts)
    def read(self, key: str) -> None:
        if key in self.held:
            assert b"".join(self.storage.read(key)) == self.held[key]
        else:
            with pytest.raises(StorageError):
                b"".join(self.storage.read(key))

    @rule(prefix=prefixes, key=documents | artifacts, cut=st.integers(0, 30))
    def list_what_begins_alike(self, prefix: str, key: str, cut: int) -> None:
        for wanted in (f"docs/{prefix}", key[:cut]):
            if all(wanted.split("/")[:-1]):  # no backend is asked for `a//`
                listed = [(entry.key, entry.size) for entry in self.storage.list(wanted)]
                assert listed == sorted((key, len(body)) for key, body in self.held.items() if key.startswith(wanted))

    def teardown(self) -> None:
        type(self).steps += 1
        assert {entry.key: b"".join(self.storage.read(entry.key)) for entry in self.storage.list("")} == self.held


def check_storage(name: str, make: Callable[[], Storage], examples: int, **more: Any) -> None:
    """Run the machine over *examples* new repositories."""

    class Machine(StorageMachine):
        def __init__(self) -> None:
            super().__init__()
            self.storage = make()

    run_state_machine_as_test(Machine, settings=settings(_settings(examples, steps=40), **more))
    figure(f"stateful {name}", runs=Machine.steps, steps_each=40)


def _settings(examples: int, steps: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=slow, print_blob=True)


def test_memory_is_as_a_dictionary() -> None:
    check_storage("memory", MemoryStorage, 1000 if FULL else 60)


def test_a_store_that_ignores_a_condition_is_found_out() -> None:
    """The check has teeth."""
    for ignored in ("If-Match", "If-None-Match"):
        with pytest.raises(AssertionError):
            check_storage("", partial(Imitation, ignored), 1000, phases=[Phase.generate], derandomize=True, database=None)


def test_a_directory_is_as_a_dictionary(tmp_path: Path) -> None:
    check_storage("local", lambda: LocalStorage(tmp_path / secrets.token_hex(8)), 300 if FULL else 12)


@pytest.fixture(scope="session")
def on_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Storage]:
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as server:
        yield open_bucket(server.options())


def test_a_bucket_is_as_a_dictionary(on_seaweedfs: S3Storage) -> None:
    check_storage("SeaweedFS", lambda: S3Storage(on_seaweedfs._client, BUCKET, prefix=secrets.token_hex(8)), 100 if FULL else 6)


# -- edits of a record --------------------------------------------------------------------------------------------------------

filenames = st.sampled_from(
    [
        *(
            f"demo-{version}{kind}"
            for version in ("1.0", "1.0.0", "2.0+local.1", "1!3.0")
            for kind in (".tar.gz", "-py3-none-any.whl")
        ),
        *(
            "Demo-1.0.tar.gz",
            "demo-1.0.zip",
            "demo-1.0-1-py3-none-any.whl",
            "demo-2.0-py2.py3-none-any.whl",
            "demo-2.0-py3.py2-none-any.whl",
        ),
    ]
)
contents = st.sampled_from("abcd")
reasons = st.sampled_from([None, "why", '"><script>', "line\nline"])


@dataclass(frozen=True)
class Edited:
    """What no order of edits may ever forget."""

    bytes_of: dict[str, str]
    ever_used: set[str]
    ever_deleted: dict[Identity, set[str]]
    versions: set[str]


class RecordMachine(RuleBasedStateMachine):
    """Edits a record as every verb does, and reads it back after each edit."""

    @initialize()
    def begin(self) -> None:
        self.project = Project("demo")
        self.clock = 0
        self.past = Edited({}, set(), {}, set())

    def _now(self) -> str:
        self.clock += 1
        return f"2026-01-01T00:00:00.{self.clock:06d}Z"

    def _file(self, filename: str, content: str, key: str) -> File:
        """A file whose digest is that of its content; its key may be anything."""
        digest = hashlib.sha256(content.encode()).hexdigest()
        core = {"sha256": digest} if filename.endswith(".whl") else False
        return File(filename, url_of(key), {"sha256": digest}, len(content), self._now(), ">=3.8", core)

    @rule(filename=filenames, content=contents, existing=st.sampled_from(Existing))
    def publish(self, filename: str, content: str, existing: Existing) -> None:
        digest = hashlib.sha256(content.encode()).hexdigest()
        new = self._file(filename, content, self.project.free_key(filename, digest))
        marker, before = self.project.status.marker, self.project
        try:
            outcome = before.judge(new, existing)
            self.project = before.add(new, existing)
        except PublishRefused:
            return
        assert marker != "quarantined"
        assert marker != "archived" or self.project == before
        assert self.project.add(new, existing) == self.project, f"{outcome}: once more changes nothing"
        assert self.project.held(new).sha256 == digest or existing is Existing.KEEP

    @rule(found=st.lists(st.tuples(filenames, contents), max_size=4))
    def adopt(self, found: list[tuple[str, str]]) -> None:
        """What an older tool left; a file of that name that lies there has the bytes that it had when it was listed."""
        files = [self._file(name, content, name) for name, content in dict(found).items()]
        fresh = [file for file in files if self.past.bytes_of.get(file.key, file.sha256) == file.sha256]
        adopted, left_out = self.project.adopt(fresh)
        assert len(adopted.files) + len(adopted.withheld) + len(left_out) >= len(self.project.files) + len(self.project.withheld)
        assert adopted.adopt(fresh)[0] == adopted
        self.project = adopted

    @rule(found=st.lists(st.tuples(filenames, contents), max_size=3))
    def adopt_what_somebody_overwrote(self, found: list[tuple[str, str]]) -> None:
        """An older tool overwrites; a file that is held or was removed does not come back with other bytes."""
        files = [self._file(name, content, name) for name, content in dict(found).items()]
        known = [file for file in files if file.key in self.past.bytes_of]
        adopted, _ = self.project.adopt(known)
        before = {file.key for file in (*self.project.files, *self.project.withheld)}
        assert {file.key for file in (*adopted.files, *adopted.withheld)} == before

    @rule(marker=st.sampled_from(["active", "archived", "deprecated", "quarantined"]), reason=reasons)
    def set_status(self, marker: str, reason: str | None) -> None:
        everything = (*self.project.files, *self.project.withheld)
        offered, withheld = ((), everything) if marker == "quarantined" else (everything, ())
        self.project = replace(self.project, status=Status(marker, reason), files=offered, withheld=withheld)

    @precondition(lambda self: self.project.files)
    @rule(data=st.data(), yanked=st.booleans() | st.sampled_from(["broken", '"><script>']))
    def yank(self, data: st.DataObject, yanked: bool | str) -> None:
        wanted = data.draw(st.sampled_from(self.project.files))
        files = (replace(file, yanked=yanked) if file == wanted else file for file in self.project.files)
        self.project = replace(self.project, files=tuple(files))

    @precondition(lambda self: self.project.files or self.project.withheld)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from((*self.project.files, *self.project.withheld)))
        self.project = replace(
            self.project,
            files=tuple(file for file in self.project.files if file != gone),
            withheld=tuple(file for file in self.project.withheld if file != gone),
            used=(*self.project.used, Used(gone.key, self._now())),
            deleted=(*self.project.deleted, Deleted(gone.filename, gone.sha256)),
        )
        self.past.ever_deleted.setdefault(parse_filename(gone.filename, "demo"), set()).add(gone.sha256)

    @rule(filename=filenames, content=contents)
    def condemn_an_orphan(self, filename: str, content: str) -> None:
        """What gc does before it deletes: the key of what was stored and never listed is used up."""
        key = self.project.free_key(filename, hashlib.sha256(content.encode()).hexdigest())
        if key not in self.project.held_keys:
            self.project = replace(self.project, used=(*self.project.used, Used(key, self._now())))

    @rule()
    def write_and_read_back(self) -> None:
        """As every command does before and after its edit."""
        self.project = replace(self.project, serial=self.project.serial + 1)
        body = simple.project_to_json(self.project)
        assert simple.project_from_json(body, "demo") == self.project
        self.project = simple.project_from_json(body, "demo")

    @invariant()
    def no_url_ever_changes_its_bytes(self) -> None:
        for file in (*self.project.files, *self.project.withheld):
            assert self.past.bytes_of.setdefault(file.key, file.sha256) == file.sha256

    @invariant()
    def a_used_key_is_never_named_again(self) -> None:
        self.past.ever_used.update(used.key for used in self.project.used)
        assert {used.key for used in self.project.used} == self.past.ever_used
        assert not self.past.ever_used & {file.key for file in (*self.project.files, *self.project.withheld)}

    @invariant()
    def a_deleted_name_never_has_other_bytes(self) -> None:
        """Of a name that an adopted index spelt in several ways, the bytes of each spelling may come back."""
        for file in (*self.project.files, *self.project.withheld):
            assert file.sha256 in self.past.ever_deleted.get(
                parse_filename(file.filename, "demo"), {file.sha256}
            ) or self._held_when_deleted(file)

    def _held_when_deleted(self, file: File) -> bool:
        """An adopted index may hold twins of one name's spellings; deleting one leaves the other where it is."""
        return file.key not in self.past.ever_used and "/" not in file.key

    @invariant()
    def versions_cover_files_and_only_grow(self) -> None:
        versions = set(self.project.versions)
        assert len(versions) == len(self.project.versions)
        assert versions >= set(versions_of("demo", (*self.project.files, *self.project.withheld)))
        assert versions >= self.past.versions
        self.past.versions.update(versions)

    @invariant()
    def of_what_we_published_no_identity_is_there_twice(self) -> None:
        ours = [file.filename for file in (*self.project.files, *self.project.withheld) if "/" in file.key]
        assert len({parse_filename(name, "demo") for name in ours}) == len(ours)

    @invariant()
    def every_form_can_be_written(self) -> None:
        document: dict[str, Any] = json.loads(simple.project_to_json(self.project))
        page = pages.project_to_html(self.project).decode()
        assert page.count("<a ") == len(document["files"]) == len(self.project.files)
        assert page.count("<script") == 1, "our own"
        assert all(f'"{file.url}#sha256=' in page for file in self.project.files)


def test_edits_of_a_record_keep_the_promises_in_any_order() -> None:
    run_state_machine_as_test(RecordMachine, settings=_settings(2000 if FULL else 100, steps=40))
    figure("stateful record", runs=2000 if FULL else 100, steps_each=40)
