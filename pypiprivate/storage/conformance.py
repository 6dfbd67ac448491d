"""The promise of every storage backend, as tests: a backend's own tests inherit them.

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self) -> MyStorage:
            return MyStorage(...)          # a new, empty repository for each test

Nothing but tests imports this module; it needs pytest.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from ..checks import Check, Verdict
from ..errors import Conflict, StorageError
from .base import OCTETS, Storage, Stored

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
RECORD = "spam/index.json"

#: Keys that real indexes have, or may have.
KEYS = [
    "index.json",
    "spam/index.html",
    "spam/0123456789abcdef0123456789abcdef/spam-1.0+cu118-py3-none-any.whl",
    "spam/0123456789abcdef0123456789abcdef/spam-1.0+cu118-py3-none-any.whl.metadata",
    "spam/0123456789abcdef0123456789abcdef-2/spam-1!2.0.tar.gz",
    "spam/Spam_Eggs-1.0~x.tar.gz",
    "spam/a file (1), with %2B & 'more' = @.zip",
    "spam/späm-β.tar.gz",
]


class StorageContract:
    """Tests that hold for every backend; a subclass gives the fixture ``storage``: a new, empty repository.

    :cvar writers: how many threads write at once; 1 for a test server that is not made for more.
    """

    writers = 12

    @pytest.fixture
    def storage(self) -> Storage:
        """Give a new, empty repository."""
        raise NotImplementedError("a subclass says which storage is tested")

    # documents

    def test_what_was_never_written_is_none(self, storage: Storage) -> None:
        assert storage.get(RECORD) is None
        assert storage.stat(RECORD) is None
        assert list(storage.list("")) == []

    @pytest.mark.parametrize("key", KEYS)
    def test_a_document_is_read_as_it_was_written(self, storage: Storage, key: str) -> None:
        storage.swap(key, b"one", replacing=None, content_type=JSON)
        assert _body(storage, key) == b"one"
        assert [entry.key for entry in storage.list("")] == [key]

    def test_a_document_may_be_empty_and_hold_any_bytes(self, storage: Storage) -> None:
        for key, body in {"empty": b"", "binary": bytes(range(256)) * 100}.items():
            storage.swap(key, body, replacing=None, content_type=HTML)
            assert _body(storage, key) == body

    def test_a_document_is_replaced_by_who_read_it_last(self, storage: Storage) -> None:
        storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
        storage.swap(RECORD, b"two", replacing=storage.get(RECORD), content_type=JSON)
        assert _body(storage, RECORD) == b"two"

    def test_what_exists_is_not_created_again(self, storage: Storage) -> None:
        storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
        with pytest.raises(Conflict):
            storage.swap(RECORD, b"two", replacing=None, content_type=JSON)
        assert _body(storage, RECORD) == b"one"

    def test_a_change_that_was_not_read_is_not_overwritten(self, storage: Storage) -> None:
        storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
        old = storage.get(RECORD)
        storage.swap(RECORD, b"two", replacing=old, content_type=JSON)
        with pytest.raises(Conflict):
            storage.swap(RECORD, b"three", replacing=old, content_type=JSON)
        assert _body(storage, RECORD) == b"two"

    def test_what_was_deleted_since_is_not_replaced(self, storage: Storage) -> None:
        storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
        old = storage.get(RECORD)
        storage.delete(RECORD)
        with pytest.raises(Conflict):
            storage.swap(RECORD, b"two", replacing=old, content_type=JSON)
        assert storage.get(RECORD) is None

    def test_a_conflict_names_the_key(self, storage: Storage) -> None:
        with pytest.raises(Conflict) as caught:
            storage.swap(RECORD, b"two", replacing=Stored(b"one", '"0123456789abcdef0123456789abcdef"'), content_type=JSON)
        assert caught.value.key == RECORD

    def test_of_many_who_create_one_wins(self, storage: Storage) -> None:
        for key in ("a/index.json", "b/index.json"):
            assert self._winners(storage, key, None) == 1

    def test_of_many_who_replace_one_wins(self, storage: Storage) -> None:
        storage.swap(RECORD, b"first", replacing=None, content_type=JSON)
        for _ in range(2):
            assert self._winners(storage, RECORD, storage.get(RECORD)) == 1

    # artifacts

    @pytest.mark.parametrize("key", KEYS)
    def test_an_artifact_is_read_as_it_was_stored(self, storage: Storage, key: str, tmp_path: Path) -> None:
        path = tmp_path / "artifact"
        path.write_bytes(b"artifact")
        storage.store(key, path, sha256=_sha256(b"artifact"))
        assert b"".join(storage.read(key)) == b"artifact"
        assert [entry.key for entry in storage.list("")] == [key]

    @pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 9 << 20], ids=lambda size: f"{size}-bytes")
    def test_an_artifact_is_kept_whatever_its_size(self, storage: Storage, tmp_path: Path, size: int) -> None:
        body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        path, sent = tmp_path / "artifact", list[int]()
        path.write_bytes(body)
        storage.store("spam/artifact", path, sha256=_sha256(body), sent=sent.append)
        stat = storage.stat("spam/artifact")
        assert stat is not None
        assert (stat.size, sum(sent)) == (size, size)
        assert _sha256(b"".join(storage.read("spam/artifact"))) == _sha256(body)

    def test_a_sidecar_is_stored_from_memory(self, storage: Storage) -> None:
        sent = list[int]()
        storage.store("spam/sidecar", b"Name: spam", sha256=_sha256(b"Name: spam"), sent=sent.append)
        assert b"".join(storage.read("spam/sidecar")) == b"Name: spam"
        assert sum(sent) == len(b"Name: spam")

    def test_storing_twice_is_storing_once(self, storage: Storage) -> None:
        for _ in range(2):
            storage.store("spam/sidecar", b"Name: spam", sha256=_sha256(b"Name: spam"))
        assert b"".join(storage.read("spam/sidecar")) == b"Name: spam"

    @pytest.mark.parametrize("size", [10, 9 << 20], ids=lambda size: f"{size}-bytes")
    def test_other_bytes_than_announced_are_not_stored(self, storage: Storage, tmp_path: Path, size: int) -> None:
        path = tmp_path / "artifact"
        path.write_bytes(b"x" * size)
        for body in (path, b"x" * size):
            with pytest.raises(StorageError, match="changed while it was being published"):
                storage.store("spam/artifact", body, sha256=_sha256(b"something else"))
            assert storage.stat("spam/artifact") is None

    def test_a_file_that_is_gone_is_named(self, storage: Storage, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"gone-1\.0\.tar\.gz"):
            storage.store("spam/artifact", tmp_path / "gone-1.0.tar.gz", sha256=_sha256(b""))
        assert storage.stat("spam/artifact") is None

    def test_what_is_not_there_cannot_be_read(self, storage: Storage) -> None:
        with pytest.raises(StorageError):
            b"".join(storage.read("spam/artifact"))

    def test_many_store_the_same_at_once(self, storage: Storage) -> None:
        def store(_: int) -> None:
            storage.store("spam/sidecar", b"Name: spam", sha256=_sha256(b"Name: spam"))

        with ThreadPoolExecutor(self.writers) as pool:
            list(pool.map(store, range(self.writers)))
        assert b"".join(storage.read("spam/sidecar")) == b"Name: spam"

    # what a store says of objects

    def test_stat_says_what_is_known(self, storage: Storage) -> None:
        storage.store("spam/sidecar", b"Name: spam", sha256=_sha256(b"Name: spam"))
        storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
        sidecar, record = storage.stat("spam/sidecar"), storage.stat(RECORD)
        assert sidecar is not None
        assert record is not None
        assert (sidecar.size, record.size) == (10, 2)
        assert sidecar.sha256 in {None, _sha256(b"Name: spam")}
        assert sidecar.content_type in {None, OCTETS}
        assert record.content_type in {None, JSON}
        assert _is_recent(sidecar.modified)

    def test_listing_says_key_size_and_time_in_the_order_of_keys(self, storage: Storage) -> None:
        keys = ["a-b/x", "a.c/x", "a/b/c/x", "a/b/x", "a/x", "a0/x", "index.json"]
        for key in reversed(keys):
            storage.store(key, key.encode(), sha256=_sha256(key.encode()))
        entries = list(storage.list(""))
        assert [entry.key for entry in entries] == sorted(keys)
        assert [entry.size for entry in entries] == [len(key) for key in sorted(keys)]
        assert all(_is_recent(entry.modified) for entry in entries)

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("proj/", ["proj/0/file", "proj/index.html", "proj/index.json"]),
            ("proj", ["proj-2/index.html", "proj/0/file", "proj/index.html", "proj/index.json"]),
            ("proj/index", ["proj/index.html", "proj/index.json"]),
            ("proj/0/", ["proj/0/file"]),
            ("proj/0/file", ["proj/0/file"]),
            ("proj/0/file/", []),
            ("none/", []),
            ("none/none", []),
        ],
    )
    def test_a_prefix_is_the_beginning_of_keys(self, storage: Storage, prefix: str, expected: list[str]) -> None:
        for key in ("proj/index.html", "proj/index.json", "proj/0/file", "proj-2/index.html", "other"):
            storage.store(key, b"x", sha256=_sha256(b"x"))
        assert [entry.key for entry in storage.list(prefix)] == expected

    # removing

    def test_what_is_deleted_is_gone(self, storage: Storage) -> None:
        storage.store("spam/0/a", b"x", sha256=_sha256(b"x"))
        storage.store("spam/0/b", b"x", sha256=_sha256(b"x"))
        storage.delete("spam/0/a")
        assert storage.stat("spam/0/a") is None
        assert [entry.key for entry in storage.list("")] == ["spam/0/b"]

    def test_deleting_nothing_is_no_error(self, storage: Storage) -> None:
        storage.delete("spam/0/a")
        storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
        storage.delete("spam/0/a")
        assert [entry.key for entry in storage.list("")] == [RECORD]

    def test_what_was_deleted_can_be_stored_again(self, storage: Storage) -> None:
        for _ in range(2):
            storage.store("spam/0/a", b"x", sha256=_sha256(b"x"))
            storage.delete("spam/0/a")
        storage.store("spam/0/a", b"x", sha256=_sha256(b"x"))
        assert b"".join(storage.read("spam/0/a")) == b"x"

    # the backend's own

    def test_a_probe_of_conditions_works_and_is_not_listed(self, storage: Storage) -> None:
        key = ".pypiprivate/probe-0123456789abcdef"
        storage.swap(key, b"probe", replacing=None, content_type=OCTETS)
        assert _body(storage, key) == b"probe"
        assert list(storage.list("")) == []
        assert list(storage.list(".pypiprivate/")) == []
        storage.delete(key)
        assert storage.get(key) is None

    def test_location_is_one_line_without_credentials(self, storage: Storage) -> None:
        assert storage.location.isprintable()
        assert "@" not in storage.location
        assert storage.location == storage.location.rstrip("/")

    # what a backend may offer beside the seven verbs; what it offers it does right

    def test_a_copy_is_what_was_copied_and_is_served_as_what_is_stored(self, storage: Storage) -> None:
        copy = _offered(storage, "copy")
        storage.store("spam/0/a", b"artifact", sha256=_sha256(b"artifact"))
        done = copy("eggs/0/b", storage, "spam/0/a", sha256=_sha256(b"artifact"))
        assert done in (True, False)
        assert [entry.key for entry in storage.list("")] == (["eggs/0/b"] if done else []) + ["spam/0/a"]
        original, copied = storage.stat("spam/0/a"), storage.stat("eggs/0/b" if done else "spam/0/a")
        assert original
        assert copied
        assert (copied.size, copied.sha256, copied.headers) == (original.size, original.sha256, original.headers)
        assert b"".join(storage.read("eggs/0/b" if done else "spam/0/a")) == b"artifact"

    @pytest.mark.parametrize("there", [True, False])
    def test_other_bytes_than_announced_are_not_copied(self, storage: Storage, there: bool) -> None:
        copy = _offered(storage, "copy")
        if there:
            storage.store("spam/0/a", b"artifact", sha256=_sha256(b"artifact"))
        assert not _done(lambda: copy("eggs/0/b", storage, "spam/0/a", sha256=_sha256(b"something else")))
        assert storage.stat("eggs/0/b") is None

    def test_what_lies_with_a_stranger_is_not_copied(self, storage: Storage) -> None:
        copy, stranger = _offered(storage, "copy"), _Stranger()
        assert copy("eggs/0/b", stranger, "spam/0/a", sha256=_sha256(b"artifact")) is False
        assert storage.stat("eggs/0/b") is None

    def test_names_are_those_under_which_something_lies(self, storage: Storage) -> None:
        names = _offered(storage, "names")
        assert list(names()) == []
        for key in ("index.json", "a-b/index.json", "a/0/x", "a/1/y", "Z/z", ".pypiprivate/probe-0123456789abcdef"):
            storage.swap(key, b"x", replacing=None, content_type=JSON)
        assert sorted(names()) == ["Z", "a", "a-b"]

    def test_relabelling_gives_an_artifact_its_headers_and_leaves_its_bytes(self, storage: Storage) -> None:
        relabel = _offered(storage, "relabel")
        storage.store("spam/0/a", b"artifact", sha256=_sha256(b"artifact"))
        storage.swap("spam/0/b", b"artifact", replacing=None, content_type=HTML)
        done, right, mended = relabel("spam/0/b"), storage.stat("spam/0/a"), storage.stat("spam/0/b")
        assert right
        assert mended
        assert (mended.headers == right.headers) is done
        assert b"".join(storage.read("spam/0/b")) == b"artifact"

    def test_nothing_cannot_be_relabelled(self, storage: Storage) -> None:
        assert _offered(storage, "relabel")("spam/0/a") is False
        assert storage.stat("spam/0/a") is None

    def test_what_is_created_lies_there(self, storage: Storage) -> None:
        create, bodies = _offered(storage, "create"), {key: key.encode() for key in KEYS}
        assert create(bodies) == frozenset()
        assert {entry.key: _body(storage, entry.key) for entry in storage.list("")} == bodies

    def test_nothing_is_created_where_something_lies(self, storage: Storage) -> None:
        create = _offered(storage, "create")
        storage.swap("spam/a", b"one", replacing=None, content_type=OCTETS)
        storage.store("spam/b", b"one", sha256=_sha256(b"one"))
        assert create({"spam/a": b"two", "spam/b": b"two", "spam/c": b"two"}) == {"spam/a", "spam/b"}
        assert [_body(storage, f"spam/{name}") for name in "abc"] == [b"one", b"one", b"two"]

    def test_what_is_opened_can_be_read_anywhere(self, storage: Storage) -> None:
        open_, sha256 = _offered(storage, "open_file"), hashlib.sha256(b"bytes").hexdigest()
        storage.store("spam/3/a", b"bytes", sha256=sha256)
        with open_("spam/3/a") as file:
            assert file.seek(0, 2) == 5
            assert (file.seek(1), file.read(2), file.read()) == (1, b"yt", b"es")
        with pytest.raises(StorageError), open_("spam/3/b"):
            pass

    def test_of_many_who_create_the_same_one_wins(self, storage: Storage) -> None:
        create = _offered(storage, "create")
        start, bodies = Barrier(self.writers), [secrets.token_bytes(16) for _ in range(self.writers)]

        def write(body: bytes) -> bool:
            start.wait()
            return not create({RECORD: body})

        with ThreadPoolExecutor(self.writers) as pool:
            winners = [body for body, won in zip(bodies, pool.map(write, bodies), strict=True) if won]
        assert winners == [_body(storage, RECORD)]

    def test_a_survey_writes_nothing_and_says_first_whether_the_place_is_there(self, storage: Storage) -> None:
        survey = _offered(storage, "survey")
        _check_said(survey())
        assert list(storage.list("")) == []
        storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
        before = storage.get(RECORD)
        first, *_ = _check_said(survey())
        assert first.verdict is Verdict.OK
        assert storage.get(RECORD) == before
        assert [entry.key for entry in storage.list("")] == [RECORD]

    def test_an_examination_leaves_nothing_but_its_own_key(self, storage: Storage) -> None:
        examine, key = _offered(storage, "examine"), ".pypiprivate/doctor-0123456789abcdef"
        storage.swap(key, b"written by who asks", replacing=None, content_type=OCTETS)
        _check_said(examine(key))
        storage.delete(key)
        assert storage.get(key) is None
        assert list(storage.list("")) == []

    def _winners(self, storage: Storage, key: str, replacing: Stored | None) -> int:
        """Let all write at once, each its own body; what is read afterwards is a winner's."""
        start = Barrier(self.writers)

        def write(body: bytes) -> bool:
            start.wait()
            try:
                storage.swap(key, body, replacing=replacing, content_type=JSON)
            except Conflict:
                return False
            return True

        bodies = [secrets.token_bytes(16) for _ in range(self.writers)]
        with ThreadPoolExecutor(self.writers) as pool:
            winners = [body for body, won in zip(bodies, pool.map(write, bodies), strict=True) if won]
        assert _body(storage, key) in winners
        return len(winners)


class _Stranger:
    """Another kind of storage, which has nothing in common with any."""

    location = "stranger:"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a copy asked a storage that it knows nothing of for {name}")


def _offered(storage: Storage, name: str) -> Any:
    """Return what a backend offers beside the seven verbs; the test is not for one that does not."""
    return getattr(storage, name, None) or pytest.skip(f"{type(storage).__name__} offers no {name}")


def _done(copy: Callable[[], bool]) -> bool:
    """A copy that cannot be made may be an error, too."""
    try:
        return copy()
    except StorageError:
        return False


def _check_said(checks: Iterable[Any]) -> list[Check]:
    """Each says what it found, and what to change where something is not as it should be."""
    found = list(checks)
    assert all(isinstance(check, Check) and check.name and check.said for check in found)
    assert [check.name for check in found if check.verdict in {Verdict.WARN, Verdict.FAIL} and not check.way_out] == []
    return found


def _body(storage: Storage, key: str) -> bytes | None:
    found = storage.get(key)
    return found.body if found else None


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _is_recent(moment: datetime) -> bool:
    return abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=10)
