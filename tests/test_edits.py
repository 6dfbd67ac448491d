"""What can be done to a published project, asked of the values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from pypiprivate import edits, pages, simple
from pypiprivate.edits import Edit, Retention, Target
from pypiprivate.errors import ArtifactDeleted, ConfigError, NotPublished, ProjectClosed
from pypiprivate.model import Existing, File, Outcome, Project, Status, timestamp, versions_of
from pypiprivate.releases import newest, releases

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
VERSIONS = ("1.0", "1.1", "1.1.post1", "2.0.dev1", "2.0a1", "2.0rc1", "1!0.5", "1.0+local.1")
ENDINGS = (".tar.gz", "-py3-none-any.whl", "-cp311-cp311-linux_x86_64.whl")


def file(version: str = "1.0", ending: str = ".tar.gz", *, days: int = 0, yanked: bool | str = False) -> File:
    """A file that was uploaded so many days ago."""
    name = f"demo-{version}{ending}"
    sha256 = name.encode().hex()[-64:].rjust(64, "0")
    key = f"{sha256[:28]}{len(name):04x}/{name}"
    return File(name, key.replace("+", "%2B"), {"sha256": sha256}, 10, timestamp(NOW - timedelta(days=days)), yanked=yanked)


def project(*files: File) -> Project:
    return Project("demo", files, versions_of("demo", files), serial=3)


def versions(record: Project) -> list[str]:
    return [str(release.version) for release in releases(record)]


marks = st.sampled_from([False, True, "broken"])
files = st.builds(lambda v, e, d, y: file(v, e, days=d, yanked=y), st.sampled_from(VERSIONS), st.sampled_from(ENDINGS),
                  st.integers(0, 99), marks)  # fmt: skip
statuses = st.sampled_from([Status(), Status("archived"), Status("deprecated", "use other"), Status("quarantined", "malware")])
records = st.builds(
    lambda held, status: project(*held).set_status(status), st.lists(files, max_size=12, unique_by=lambda f: f.filename), statuses
)
targets = st.one_of(st.just(Target("demo")), st.sampled_from(VERSIONS).map(lambda v: Target("demo", Version(v))))


def applied(edit: Edit, record: Project) -> Project:
    """What an edit comes to; a release that is not there leaves the record as it is."""
    try:
        return edit(record)
    except NotPublished:
        return record


# -- what a user names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        ("demo", Target("demo"), "demo"),
        ("Foo.Bar_baz", Target("foo-bar-baz"), "foo-bar-baz"),
        ("demo==1.0", Target("demo", Version("1.0")), "demo 1.0"),
        ("demo==1.0.0", Target("demo", Version("1")), "demo 1.0.0"),
        (" Demo == 1.0 ", Target("demo", Version("1.0")), "demo 1.0"),
        ("demo==1!2.0+acme.1", Target("demo", Version("1!2.0+acme.1")), "demo 1!2.0+acme.1"),
        ("demo==V1.0-RC.1", Target("demo", Version("1.0rc1")), "demo 1.0rc1"),
    ],
)
def test_a_project_or_a_release_is_named_in_any_spelling(text: str, target: Target, shown: str) -> None:
    assert Target.parse(text) == target
    assert str(Target.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "==1.0", "demo==", "demo[extra]==1.0", "demo=1.0", "demo>=1.0", "demo===1.0", "demo==1.*", "demo==latest", "a b",
     "-demo", "../demo", "demo/", "d\u00e9mo", "\u212aelvin", "demo\n\x1b[2J"],
)  # fmt: skip
def test_what_is_neither_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Target.parse(text)
    assert "1.0" in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_a_release_is_exactly_that_version() -> None:
    record = project(file("1.0+local.1"), file("1.0.0"), file("1!1.0"))
    assert [f.filename for f in Target.parse("demo==1").select(record)] == ["demo-1.0.0.tar.gz"]
    assert [f.filename for f in Target.parse("demo==1.0+LOCAL-1").select(record)] == ["demo-1.0+local.1.tar.gz"]


def test_what_is_not_there_is_refused_with_what_is_there() -> None:
    record = project(file("1.0"), file("1.0", ".zip"), file("1.10"), file("1.9"))
    with pytest.raises(NotPublished, match=r"no demo 2\.0 in the index") as caught:
        Target.parse("demo==2.0").select(record)
    assert caught.value.hint == "There are 1.10, 1.9, 1.0."
    with pytest.raises(NotPublished, match=r"demo-1\.9\.tar\.gz of demo 1\.0") as caught:
        Target.parse("demo==1.0").select(record, ["demo-1.0.zip", "demo-1.9.tar.gz"])
    assert caught.value.hint == "There are demo-1.0.tar.gz, demo-1.0.zip."
    with pytest.raises(NotPublished) as caught:
        Target.parse("demo==1.0").select(project())
    assert caught.value.hint == ""
    with pytest.raises(NotPublished) as caught:
        Target.parse("demo==0").select(project(*(file(f"1.{n}") for n in range(11))))
    assert caught.value.hint.endswith(", 1.1 and older ones.")


# -- yank ---------------------------------------------------------------------------------------------------------------------


def test_a_yank_marks_a_release_or_some_of_its_files() -> None:
    record = project(file("1.0"), file("1.0", ".zip"), file("1.1"))
    yanked = edits.yank(Target.parse("demo==1.0"), reason=" leaks memory ")(record)
    assert [f.yanked for f in yanked.files] == ["leaks memory", "leaks memory", False]
    one = edits.yank(Target.parse("demo==1.0"), filenames=["demo-1.0.zip"])(record)
    assert [f.yanked for f in one.files] == [False, True, False]
    assert edits.unyank(Target.parse("demo==1.0"), filenames=["demo-1.0.zip"])(one) == record


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31mred", "left\u202eright", "x" * 1001, "\udcff", "nul\0"])
def test_a_reason_that_cannot_be_shown_is_refused(reason: str) -> None:
    with pytest.raises(ConfigError, match="reason"):
        edits.yank(Target.parse("demo==1.0"), reason=reason)
    with pytest.raises(ConfigError, match="reason"):
        edits.set_status("archived", reason=reason)


def test_a_reason_may_hold_what_means_something_to_html_and_json() -> None:
    reason = """<script>alert("x")</script> & 'ü' \\u0000 👍 #fragment"""
    record = edits.yank(Target.parse("demo==1.0"), reason=reason)(project(file()))
    assert simple.project_from_json(simple.project_to_json(record), "demo").files[0].yanked == reason
    page = pages.project_to_html(record).decode()
    assert page.count("<script") == 1, "our own"
    assert 'data-yanked="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#x27;ü&#x27; ' in page


@given(records, targets, st.sampled_from(["", "broken"]))
def test_a_yank_changes_marks_and_nothing_else_and_is_taken_back(record: Project, target: Target, reason: str) -> None:
    yanked = applied(edits.yank(target, reason=reason), record)
    assert applied(edits.yank(target, reason=reason), yanked) == yanked
    assert [replace(f, yanked=False) for f in yanked.held_files] == [replace(f, yanked=False) for f in record.held_files]
    back = applied(edits.unyank(target), yanked)
    assert replace(back, files=(), withheld=()) == replace(record, files=(), withheld=())
    meant = {f.filename for f in record.held_files if target.version in (None, record.version_of(f.filename))}
    assert all(bool(f.yanked) == (f.filename not in meant and bool(f.yanked)) for f in back.held_files)


# -- status -------------------------------------------------------------------------------------------------------------------


def test_there_is_no_other_status() -> None:
    with pytest.raises(ConfigError, match="'retired'") as caught:
        edits.set_status("retired")
    assert "active, archived, deprecated, quarantined" in caught.value.hint


@given(records, st.sampled_from(edits.STATUSES), st.sampled_from(["", "why"]))
def test_a_status_hides_files_at_most_and_gives_them_back(record: Project, marker: str, reason: str) -> None:
    changed = edits.set_status(marker, reason=reason)(record)
    kept = record.status.reason if marker == record.status.marker else None
    assert changed.status == Status(marker, reason or kept)
    assert changed.held_files == record.held_files
    assert (changed.files == ()) or marker != "quarantined"
    assert (changed.withheld == ()) or marker == "quarantined"
    assert edits.set_status(marker, reason=reason)(changed) == changed
    back = edits.set_status(record.status.marker, reason=record.status.reason or "")(changed)
    assert back == record or (marker == record.status.marker and back.status.reason == reason)
    assert simple.project_from_json(simple.project_to_json(changed), "demo") == changed


def test_a_yank_without_a_reason_keeps_the_one_that_is_there() -> None:
    target = Target.parse("demo==1.0")
    record = edits.yank(target, reason="loses data")(project(file("1.0")))
    assert edits.yank(target)(record) == record
    assert edits.yank(target, reason="worse")(record).files[0].yanked == "worse"


def test_a_rule_that_says_nothing_lets_nothing_go() -> None:
    with pytest.raises(ConfigError, match="nothing says which releases may go"):
        Retention()


@pytest.mark.parametrize("marker", ["archived", "quarantined"])
def test_a_closed_project_takes_no_new_file_and_still_yanks_and_deletes(marker: str) -> None:
    record = edits.set_status(marker)(project(file("1.0"), file("1.1")))
    with pytest.raises(ProjectClosed, match=marker):
        record.add(file("1.2"), Existing.REFUSE)
    yanked = edits.yank(Target.parse("demo==1.0"))(record)
    assert [f.yanked for f in yanked.held_files] == [True, False]
    left = edits.delete(Target.parse("demo==1.0"), NOW)(yanked)
    assert [f.filename for f in left.held_files] == ["demo-1.1.tar.gz"]
    assert left.status.marker == marker


# -- delete -------------------------------------------------------------------------------------------------------------------


@given(records, targets)
def test_what_is_deleted_is_gone_and_remembered(record: Project, target: Target) -> None:
    left = applied(edits.delete(target, NOW), record)
    gone = [f for f in record.held_files if f not in left.held_files]
    assert {f.filename for f in gone} == {
        f.filename for f in record.held_files if target.version in (None, record.version_of(f.filename))
    }
    assert [(f.filename, f.sha256) for f in gone] == [tuple(vars(d).values()) for d in left.deleted]
    assert [(f.key, timestamp(NOW)) for f in gone] == [(used.key, used.time) for used in left.used]
    assert set(left.versions) == set(versions_of("demo", left.held_files))
    assert left.status == record.status
    later = edits.delete(target, NOW + timedelta(days=1))
    assert applied(later, left) == left
    assert simple.project_from_json(simple.project_to_json(left), "demo") == left


@given(st.lists(files, min_size=1, max_size=8, unique_by=lambda f: f.filename))
def test_the_very_bytes_come_back_under_another_key_and_other_bytes_never(held: list[File]) -> None:
    left = edits.delete(Target("demo"), NOW)(project(*held))
    for f in held:
        key = left.free_key(f.filename, f.sha256)
        assert key.partition("/")[0] not in {used.directory for used in left.used}
        assert left.judge(replace(f, url=key, yanked=False), Existing.REFUSE) is Outcome.PUBLISHED
        with pytest.raises(ArtifactDeleted):
            left.judge(replace(f, url=key, hashes={"sha256": "f" * 64}), Existing.REPLACE)


def test_a_release_that_was_deleted_is_not_unknown_and_one_that_never_was_is() -> None:
    left = edits.delete(Target.parse("demo==1.0"), NOW)(project(file("1.0"), file("1.1")))
    assert left.versions == ("1.1",)
    assert edits.delete(Target.parse("demo==1.0"), NOW)(left) is left
    with pytest.raises(NotPublished):
        edits.delete(Target.parse("demo==3.0"), NOW)(left)


def test_a_release_that_came_back_is_deleted_again() -> None:
    left = edits.delete(Target.parse("demo==1.0"), NOW)(project(file("1.0")))
    back = left.add(replace(file("1.0"), url="again/demo-1.0.tar.gz"), Existing.REFUSE)
    assert back.versions == ("1.0",)
    gone = edits.delete(Target.parse("demo==1.0"), NOW)(back)
    assert gone.held_files == ()
    assert [used.key for used in gone.used] == [file("1.0").key, "again/demo-1.0.tar.gz"]
    assert len(gone.deleted) == 1


def test_what_nobody_agreed_to_stays() -> None:
    agreed = [file("1.0").key]
    record = project(file("1.0"), file("2.0"))
    assert edits.delete(Target("demo"), NOW, only=agreed)(record).files == (file("2.0"),)


def test_ten_thousand_files_are_deleted_in_linear_time() -> None:
    record = project(*(file(f"1.{n}") for n in range(10_000)))
    begin = process_time()
    assert edits.delete(Target("demo"), NOW)(record).held_files == ()
    assert process_time() - begin < 10  # it takes a tenth of a second, and takes minutes where it compares each with each


# -- prune --------------------------------------------------------------------------------------------------------------------

retentions = (
    st.tuples(
        st.integers(0, 4),
        st.sampled_from([None, timedelta(days=30)]),
        st.sets(st.sampled_from(["pre", "dev", "yanked"]), max_size=2).map(frozenset),
    )
    .filter(lambda rule: rule != (0, None, frozenset()))
    .map(lambda rule: Retention(*rule))
)


@given(records, retentions)
def test_a_rule_takes_what_it_says_and_never_what_an_installer_would_take(record: Project, retention: Retention) -> None:
    left = edits.prune(retention, NOW)(record)
    gone = [release for release in releases(record) if str(release.version) not in versions(left)]
    assert newest(left) == newest(record)
    for release in gone:
        assert release.version
        assert all(
            f.upload_time and f.upload_time < timestamp(NOW - (retention.older_than or timedelta(-1))) for f in release.files
        )
        is_a = {"pre": release.version.is_prerelease, "dev": release.version.is_devrelease, "yanked": bool(release.yanked)}
        assert not retention.only or any(is_a[kind] for kind in retention.only)
    if gone:
        assert len([v for v in left.versions if Version(v) > gone[0].version]) >= retention.keep  # type: ignore[operator]
    assert edits.prune(retention, NOW + timedelta(0))(left) == left


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(keep=1), ["2.0rc1", "1.1"]),
        (Retention(keep=3), ["2.0rc1", "2.0.dev2", "2.0.dev1", "1.1"]),
        (Retention(keep=9), ["2.0rc1", "2.0.dev2", "2.0.dev1", "1.2", "1.1", "1.0", "0.9"]),
        (Retention(older_than=timedelta(days=30)), ["2.0rc1", "2.0.dev2", "2.0.dev1", "1.2", "1.1"]),
        (Retention(only=frozenset({"dev"})), ["2.0rc1", "1.2", "1.1", "1.0", "0.9"]),
        (Retention(keep=1, only=frozenset({"dev"})), ["2.0rc1", "2.0.dev2", "1.2", "1.1", "1.0", "0.9"]),
        (Retention(only=frozenset({"pre"})), ["1.2", "1.1", "1.0", "0.9"]),
        (Retention(only=frozenset({"yanked"})), ["2.0rc1", "2.0.dev2", "2.0.dev1", "1.1", "1.0", "0.9"]),
        (Retention(only=frozenset({"yanked", "pre"})), ["1.1", "1.0", "0.9"]),
    ],
)
def test_rules_in_examples(retention: Retention, left: list[str]) -> None:
    held = [("0.9", 90), ("1.0", 60), ("1.1", 40), ("1.2", 20), ("2.0.dev1", 9), ("2.0.dev2", 8), ("2.0rc1", 1)]
    record = project(*(file(v, days=days, yanked=v == "1.2") for v, days in held))
    assert versions(edits.prune(retention, NOW)(record)) == left


def test_a_release_is_as_old_as_its_newest_file_and_one_without_a_time_is_not_old() -> None:
    timeless = replace(file("0.8"), upload_time=None)
    record = project(file("1.0", days=90), file("1.0", ".zip", days=1), timeless, file("0.9", days=90), file("2.0"))
    assert versions(edits.prune(Retention(older_than=timedelta(days=30)), NOW)(record)) == ["2.0", "1.0", "0.8"]


def test_what_has_no_version_is_never_pruned_and_goes_with_the_project() -> None:
    strange = replace(file(), filename="notes.txt", url="notes.txt")
    record = project(file("1.0"), file("2.0"), strange)
    assert edits.prune(Retention(keep=1), NOW)(record).files == (file("2.0"), strange)
    assert edits.delete(Target("demo"), NOW)(record).files == ()
    assert newest(project(strange)) is None
