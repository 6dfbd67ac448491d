"""Records: a golden one, round trips, and documents that nobody should trust."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypiprivate import pages, simple
from pypiprivate.errors import UnsupportedIndex
from pypiprivate.model import Deleted, File, Project, ProjectList, Status, Used

SDIST = File(
    "demo-1.0+acme.1.tar.gz",
    "0f0f/demo-1.0%2Bacme.1.tar.gz",
    {"sha256": "aa" * 32},
    1234,
    "2026-11-22T12:00:00.123456Z",
)
WHEEL = File(
    "demo-1.0-py3-none-any.whl",
    "1e1e/demo-1.0-py3-none-any.whl",
    {"sha256": "bb" * 32},
    5678,
    "2026-11-22T12:00:00.123456Z",
    requires_python=">=3.8,<4",
    core_metadata={"sha256": "cc" * 32},
    yanked='broken on "Windows" & <elsewhere>',
)
FULL = Project(
    "demo",
    files=(SDIST, WHEEL),
    versions=("1.0+acme.1", "1.0"),
    status=Status("deprecated", "use other"),
    serial=7,
    listed=True,
    conditions="0123456789abcdef",
    used=(Used("2d2d/demo-0.9.tar.gz", "2026-01-01T00:00:00Z"),),
    deleted=(Deleted("demo-0.8.tar.gz", "dd" * 32),),
    withheld=(SDIST,),
    extra={"_theirs": {"kept": True}, "alternate": ["x"]},
    extra_meta={"_tracks": 1},
)


def test_a_record_is_the_golden_one() -> None:
    assert json.loads(simple.project_to_json(FULL)) == {
        "meta": {"api-version": "1.4", "_last-serial": 7, "_tracks": 1},
        "name": "demo",
        "project-status": {"status": "deprecated", "reason": "use other"},
        "versions": ["1.0+acme.1", "1.0"],
        "files": [
            {
                "filename": "demo-1.0+acme.1.tar.gz",
                "url": "0f0f/demo-1.0%2Bacme.1.tar.gz",
                "hashes": {"sha256": "aa" * 32},
                "size": 1234,
                "upload-time": "2026-11-22T12:00:00.123456Z",
            },
            {
                "filename": "demo-1.0-py3-none-any.whl",
                "url": "1e1e/demo-1.0-py3-none-any.whl",
                "hashes": {"sha256": "bb" * 32},
                "size": 5678,
                "upload-time": "2026-11-22T12:00:00.123456Z",
                "requires-python": ">=3.8,<4",
                "core-metadata": {"sha256": "cc" * 32},
                "yanked": 'broken on "Windows" & <elsewhere>',
            },
        ],
        "_listed": True,
        "_conditions": "0123456789abcdef",
        "_used": [{"key": "2d2d/demo-0.9.tar.gz", "time": "2026-01-01T00:00:00Z"}],
        "_deleted": [{"filename": "demo-0.8.tar.gz", "sha256": "dd" * 32}],
        "_withheld": [
            {
                "filename": "demo-1.0+acme.1.tar.gz",
                "url": "0f0f/demo-1.0%2Bacme.1.tar.gz",
                "hashes": {"sha256": "aa" * 32},
                "size": 1234,
                "upload-time": "2026-11-22T12:00:00.123456Z",
            }
        ],
        "_theirs": {"kept": True},
        "alternate": ["x"],
    }


def test_what_is_written_is_read_back_whole() -> None:
    assert simple.project_from_json(simple.project_to_json(FULL), "demo") == FULL
    root = ProjectList({"demo": {"_x": 1}}, 3, "0123456789abcdef", (1, 4), {"_y": 2}, {"_z": 3})
    assert simple.root_from_json(simple.root_to_json(root)) == root


def test_an_empty_project_and_an_empty_root_are_written_and_read_too() -> None:
    assert simple.project_from_json(simple.project_to_json(Project("demo", serial=1)), "demo") == Project("demo", serial=1)
    assert simple.root_from_json(simple.root_to_json(ProjectList())) == ProjectList()


def test_nulls_and_empty_reasons_of_an_inherited_record_are_not_passed_on() -> None:
    item = {
        "filename": "x-1.zip",
        "url": "x-1.zip",
        "hashes": {},
        "size": 1,
        "yanked": "",
        "requires-python": None,
        "upload-time": None,
    }
    body = json.dumps({"meta": {"api-version": "1.0"}, "name": "x", "files": [item]}).encode()
    written = json.loads(simple.project_to_json(simple.project_from_json(body, "x")))
    assert written["files"] == [{"filename": "x-1.zip", "url": "x-1.zip", "hashes": {}, "size": 1, "yanked": True}]
    assert written["versions"] == ["1"]
    assert written["meta"] == {"api-version": "1.4", "_last-serial": 0}


def test_a_newer_minor_version_is_kept_and_the_page_stays_at_the_frozen_one() -> None:
    body = json.dumps({"meta": {"api-version": "1.9"}, "name": "x", "files": [], "versions": []}).encode()
    project = simple.project_from_json(body, "x")
    assert json.loads(simple.project_to_json(project))["meta"]["api-version"] == "1.9"
    assert b'"pypi:repository-version" content="1.4"' in pages.project_to_html(project)


def _with(**changes: Any) -> bytes:
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "demo", "files": [], "versions": [], **changes}).encode()


def _with_file(**changes: Any) -> bytes:
    return _with(files=[{"filename": "d-1.zip", "url": "d-1.zip", "hashes": {}, "size": 1, **changes}])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html>",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"meta": NaN}',
        b'{"meta": 1e999}',
        b'{"meta": {"api-version": "1.4", "_last-serial": ' + b"9" * 5000 + b"}}",
        _with(name="other"),
        _with(name=None),
        _with(meta=None),
        _with(meta={"api-version": 1.4}),
        _with(meta={"api-version": "1"}),
        _with(meta={"api-version": "2.0"}),
        _with(meta={"api-version": "1.4", "_last-serial": "7"}),
        _with(meta={"api-version": "1.4", "_last-serial": -1}),
        _with(meta={"api-version": "1.4", "_last-serial": True}),
        _with(files={}),
        _with(files=["x"]),
        _with(versions=[1]),
        _with(_used=[{"key": 1, "time": ""}]),
        _with(_conditions=1),
        _with(**{"project-status": "archived"}),
        _with(**{"project-status": {"status": "sleeping"}}),
        _with_file(filename=None),
        _with_file(url=1),
        _with_file(hashes=None),
        _with_file(hashes={"sha256": 1}),
        _with_file(size="1"),
        _with_file(size=True),
        _with_file(**{"core-metadata": "yes"}),
        _with_file(**{"requires-python": 3}),
        _with_file(yanked=3),
    ],
)
def test_a_record_that_cannot_be_understood_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(UnsupportedIndex, match=r"demo/index\.json"):
        simple.project_from_json(body, "demo")


def test_a_root_record_that_cannot_be_understood_is_refused() -> None:
    with pytest.raises(UnsupportedIndex, match=r"index\.json"):
        simple.root_from_json(b'{"meta": {"api-version": "1.4"}, "projects": [{}]}')


texts = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5
)
extras = st.dictionaries(texts.map(lambda text: f"_x{text}"), plain, max_size=3)
some_files = st.builds(
    File,
    filename=texts,
    url=texts,
    hashes=st.dictionaries(st.sampled_from(["sha256", "sha512"]), texts),
    size=st.integers(0),
    upload_time=st.none() | texts,
    requires_python=st.none() | texts,
    core_metadata=st.booleans() | st.dictionaries(st.just("sha256"), texts, min_size=1),
    yanked=st.booleans() | texts.filter(bool),
    extra=extras,
)
projects = st.builds(
    Project,
    name=st.just("demo"),
    files=st.lists(some_files, max_size=3).map(tuple),
    versions=st.just(("1.0",)),
    serial=st.integers(0, 10**9),
    listed=st.booleans(),
    withheld=st.lists(some_files, max_size=2).map(tuple),
    extra=extras,
    extra_meta=extras,
)


@given(projects)
def test_nothing_in_a_record_is_lost_by_reading_and_writing_it(project: Project) -> None:
    assert simple.project_from_json(simple.project_to_json(project), "demo") == project


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(body: bytes) -> None:
    with pytest.raises(UnsupportedIndex) as caught:
        simple.project_from_json(body, "demo")
    assert caught.value.hint
