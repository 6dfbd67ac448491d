"""One record that cannot be understood keeps no other project waiting: the others are done, and it is named in the end."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pypiprivate import open_repository
from pypiprivate.cli import main
from pypiprivate.edits import Retention
from pypiprivate.errors import UnsupportedIndex
from pypiprivate.findings import Kind
from pypiprivate.repository import Repository
from pypiprivate.storage.base import Storage
from pypiprivate.storage.local import LocalStorage

from .breakages import fill
from .builders import make_wheel
from .repositories import Observed

AGED = timedelta(days=3).total_seconds()
NAMES = ("alpha", "broken", "omega")
ERROR = "error: broken/index.json in the repository cannot be used: it is not JSON."
#: Their newest release stays.
KEEP = Retention(keep=1)


@pytest.fixture
def index(tmp_path: Path) -> LocalStorage:
    """Three projects of two releases, each with an orphan; one of the records is spoilt."""
    storage = LocalStorage(tmp_path / "index")
    fill(storage, tmp_path, *NAMES)
    repository = open_repository(storage.location, environ={})
    repository.publish([make_wheel(tmp_path, name, "2.0") for name in NAMES])
    for name in NAMES:
        litter(storage, name)
    write(storage, "broken/index.json", b"no record")
    return storage


@pytest.fixture
def repository(index: LocalStorage) -> Repository:
    return open_repository(index.location, environ={})


def litter(storage: LocalStorage, name: str) -> None:
    key = orphan(name)
    storage.store(key, b"body", sha256=hashlib.sha256(b"body").hexdigest())
    before = time.time() - AGED
    os.utime(Path(storage.location, key), (before, before))


def write(storage: LocalStorage, key: str, body: bytes) -> None:
    Path(storage.location, key).write_bytes(body)


def orphan(name: str) -> str:
    return f"{name}/{'0' * 32}/{name}-9.tar.gz"


def left(storage: Storage, named: Callable[[str], str]) -> list[str]:
    return [name for name in NAMES if storage.stat(named(name))]


def told(capsys: pytest.CaptureFixture[str], index: LocalStorage, *arguments: str) -> tuple[list[str], list[str]]:
    assert main(["-r", index.location, *arguments]) == 1
    said = capsys.readouterr()
    return said.out.splitlines(), said.err.splitlines()


def test_garbage_of_the_others_is_collected(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    _, said = told(capsys, index, "gc", "--yes")
    assert said[-2:] == [ERROR, "The other projects are done. pypi-private verify says what to do about this."]
    assert left(index, orphan) == ["broken"]


def test_the_others_are_pruned(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    _, said = told(capsys, index, "prune", "--keep", "1", "--yes")
    assert [line for line in said if line.endswith(": deleted")] == [
        line for name in ("alpha", "omega") for line in (f"{name}-1.0-py3-none-any.whl: deleted", f"{name}-1.0.tar.gz: deleted")
    ]
    assert ERROR in said


def test_a_search_finds_the_others_and_its_name(index: LocalStorage, capsys: pytest.CaptureFixture[str]) -> None:
    out, said = told(capsys, index, "search", "a")
    assert [line.split()[0] for line in out] == ["alpha", "omega"]
    assert ERROR in said
    assert [line.split()[0] for line in told(capsys, index, "search", "brok")[0]] == ["broken"]


def test_the_others_are_verified(index: LocalStorage, repository: Repository) -> None:
    write(index, "omega/index.html", b"<!DOCTYPE html>another page")
    broken = {(finding.kind, finding.key) for finding in repository.verify().findings if finding.is_broken}
    assert broken == {(Kind.RECORD_UNREADABLE, "broken/index.json"), (Kind.PAGE, "omega/index.html")}


@pytest.mark.parametrize("arguments", [("gc",), ("prune", "--keep", "1"), ("search", "a")], ids=" ".join)
def test_machines_are_told_which_it_was(
    index: LocalStorage, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    (out,), _ = told(capsys, index, *arguments, "--json")
    assert json.loads(out)["unreadable"] == [{"key": "broken/index.json", "reason": "it is not JSON"}]


def test_in_python_the_error_comes_when_the_others_are_done(index: LocalStorage, repository: Repository) -> None:
    for act in (
        repository.find_garbage,
        repository.collect_garbage,
        lambda: repository.preview_prune(KEEP),
        lambda: repository.prune(KEEP),
        lambda: list(repository.search("a")),
    ):
        with pytest.raises(UnsupportedIndex, match="broken/index.json"):
            act()
    assert left(index, orphan) == ["broken"]
    assert {file.filename for name in ("alpha", "omega") for file in repository.project(name).files} == {
        "alpha-2.0-py3-none-any.whl",
        "omega-2.0-py3-none-any.whl",
    }


def test_who_listens_is_told_and_gets_what_became_of_the_others(repository: Repository) -> None:
    errors: list[UnsupportedIndex] = []
    assert [garbage.project for garbage in repository.find_garbage(unreadable=errors.append)] == ["alpha", "omega"]
    assert [change.after.name for change in repository.preview_prune(KEEP, unreadable=errors.append)] == ["alpha", "omega"]
    assert [hit.project for hit in repository.search("a", unreadable=errors.append)] == ["alpha", "omega"]
    assert {error.key for error in errors} == {"broken/index.json"}
    assert len(errors) == 3


def test_what_is_spoilt_while_garbage_is_collected_keeps_no_other_waiting(index: LocalStorage, tmp_path: Path) -> None:
    repository = open_repository(index.location, environ={})
    reads = []

    def spoil(verb: str, key: str) -> None:
        if (verb, key) == ("get", "alpha/index.json"):
            reads.append(key)
            if len(reads) == 2:
                write(index, key, b"no record any more")

    vars(repository)["storage"] = Observed(index, before=spoil)
    errors: list[UnsupportedIndex] = []
    repository.collect_garbage(unreadable=errors.append)
    assert sorted(error.key for error in errors) == ["alpha/index.json", "broken/index.json"]
    assert left(index, orphan) == ["alpha", "broken"]
