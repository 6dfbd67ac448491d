"""What may enter a record, asked of the values alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from pypiprivate.errors import ArtifactDeleted, ArtifactExists, ProjectClosed
from pypiprivate.filenames import parse_filename, version_in
from pypiprivate.model import Deleted, Existing, File, Outcome, Project, ProjectList, Status, Used

NOW = "2026-11-22T12:00:00.000000Z"


def file(filename: str = "demo-1.0.tar.gz", content: str = "a", *, key: str | None = None, time: str = NOW) -> File:
    sha256 = content.encode().hex().ljust(64, "0")
    return File(filename, key or f"{sha256[:32]}/{filename}", {"sha256": sha256}, 10, time)


@pytest.mark.parametrize(
    ("filename", "project", "version", "kind"),
    [
        ("demo-1.0-py3-none-any.whl", "demo", "1.0", ".whl"),
        ("Foo.Bar-1.0-py3-none-any.whl", "foo-bar", "1.0", ".whl"),
        ("demo-1!2.0-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "demo", "1!2.0", ".whl"),
        ("demo-1.0+acme.1.tar.gz", "demo", "1.0+acme.1", ".tar.gz"),
        ("foo-bar-1.0.tar.gz", "foo-bar", "1.0", ".tar.gz"),
        ("demo-1.0.zip", "demo", "1.0", ".zip"),
        ("demo-1.0.tar.bz2", "demo", "1.0", ".tar.bz2"),
        ("demo-2024.01.02.tar.gz", "demo", "2024.1.2", ".tar.gz"),
    ],
)
def test_a_file_name_says_project_version_and_kind(filename: str, project: str, version: str, kind: str) -> None:
    identity = parse_filename(filename)
    assert (identity.project, str(identity.version), identity.kind) == (project, version, kind)


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "bädpkg-1.0-py3-none-any.whl",
        "..-1.0-py3-none-any.whl",
        ".demo-1.0-py3-none-any.whl",
        "_demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any .whl",
        "demo-1.0-py3-none-any.whl.whl",
        "demo-1.0-py3-none-.whl",
        "demo-1.0.whl",
        "demo-latest-py3-none-any.whl",
        "demo-1.0-py3-none-any-variant-x.whl",
        "demo.tar.gz",
        "demo-latest.tar.gz",
        "-1.0.tar.gz",
        "demo_-1.0.tar.gz",
        "demo-1.0.tar.gz\n",
        "demo-1.0.egg",
        "demo-1.0.tar.gz.asc",
        "../demo-1.0.tar.gz",
        "index.html",
    ],
)
def test_what_is_no_release_file_is_refused_by_name(filename: str) -> None:
    with pytest.raises(ValueError, match=r"name"):
        parse_filename(filename)


def test_two_spellings_of_one_wheel_are_one_identity() -> None:
    assert parse_filename("Foo_Bar-1.0.0-py2.py3-none-any.whl") == parse_filename("foo_bar-1.0-py3.py2-none-any.whl")
    assert parse_filename("foo_bar-1.0-1-py3-none-any.whl") != parse_filename("foo_bar-1.0-py3-none-any.whl")


def test_publishing_the_same_bytes_again_changes_nothing() -> None:
    project = Project("demo").add(file(), Existing.REFUSE)
    again = file(time="2027-01-01T00:00:00.000000Z")
    assert project.judge(again, Existing.REFUSE) is Outcome.PRESENT
    assert project.add(again, Existing.REPLACE) is project


def test_equal_bytes_under_another_spelling_are_already_there() -> None:
    project = Project("foo-bar").add(file("Foo_Bar-1.0-py3-none-any.whl"), Existing.REFUSE)
    assert project.judge(file("foo_bar-1.0-py3-none-any.whl"), Existing.REFUSE) is Outcome.PRESENT


def test_our_own_entry_of_a_lost_reply_counts_as_published() -> None:
    project = Project("demo").add(file(), Existing.REFUSE)
    assert project.judge(file(), Existing.REFUSE) is Outcome.PUBLISHED
    assert project.add(file(), Existing.REFUSE) is project


def test_other_bytes_are_refused_and_the_error_says_both_digests() -> None:
    project = Project("demo").add(file(content="a"), Existing.REFUSE)
    with pytest.raises(ArtifactExists) as caught:
        project.add(file(content="b"), Existing.REFUSE)
    assert (caught.value.published, caught.value.offered) == (file(content="a").sha256, file(content="b").sha256)
    assert "--skip-existing" in caught.value.hint


def test_keep_keeps_what_is_published() -> None:
    project = Project("demo").add(file(content="a"), Existing.REFUSE)
    assert project.judge(file(content="b"), Existing.KEEP) is Outcome.KEPT
    assert project.add(file(content="b"), Existing.KEEP) is project


def test_replace_swaps_the_file_under_a_new_key_and_remembers_the_old_one() -> None:
    project = Project("demo").add(file(content="a"), Existing.REFUSE)
    replaced = project.add(file(content="b"), Existing.REPLACE)
    assert replaced.files == (file(content="b"),)
    assert replaced.used == (Used(file(content="a").key, NOW),)
    back = replaced.free_key("demo-1.0.tar.gz", file(content="a").sha256)
    assert back == file(content="a").sha256[:32] + "-2/demo-1.0.tar.gz"


def test_replace_takes_the_place_of_every_spelling_that_an_adopted_index_holds() -> None:
    twins = (file("Foo_Bar-1.0-py3-none-any.whl", "a"), file("foo_bar-1.0-py3-none-any.whl", "b"))
    project = Project("foo-bar", files=twins)
    assert project.add(file("foo_bar-1.0-py3-none-any.whl", "c"), Existing.REPLACE).files == (
        file("foo_bar-1.0-py3-none-any.whl", "c"),
    )
    assert project.judge(file("foo_bar-1.0-py3-none-any.whl", "b", time="x"), Existing.REFUSE) is Outcome.PRESENT


@pytest.mark.parametrize("marker", ["archived", "quarantined"])
def test_a_closed_project_takes_no_new_file(marker: str) -> None:
    project = Project("demo", status=Status(marker, "we moved on"))
    with pytest.raises(ProjectClosed, match="we moved on") as caught:
        project.add(file(), Existing.REPLACE)
    assert caught.value.status == marker


def test_a_deprecated_project_still_takes_files() -> None:
    assert Project("demo", status=Status("deprecated")).add(file(), Existing.REFUSE).files == (file(),)


def test_an_archived_project_still_recognises_what_it_has_and_a_quarantined_one_hides_it() -> None:
    held = Project("demo").add(file(), Existing.REFUSE)
    again = file(time="later")
    assert replace(held, status=Status("archived")).judge(again, Existing.REFUSE) is Outcome.PRESENT
    with pytest.raises(ProjectClosed):
        replace(held, files=(), withheld=held.files, status=Status("quarantined")).judge(again, Existing.REFUSE)


@pytest.mark.parametrize("existing", list(Existing))
def test_a_deleted_name_is_never_given_to_other_bytes(existing: Existing) -> None:
    project = Project("demo", deleted=(Deleted("demo-1.0.0.tar.gz", file(content="a").sha256),))
    with pytest.raises(ArtifactDeleted):
        project.add(file(content="b"), existing)
    assert project.add(file(content="a"), existing).files == (file(content="a"),)


def test_a_used_key_is_never_named_again_whatever_the_case() -> None:
    sha256 = file(content="m").sha256
    used = (Used(f"{sha256[:32].upper()}/x", NOW), Used(f"{sha256[:32]}-2/y", NOW))
    assert Project("demo", used=used).free_key("demo-1.0.tar.gz", sha256) == f"{sha256[:32]}-3/demo-1.0.tar.gz"


def test_adopting_leaves_out_what_is_held_used_or_deleted_and_says_why() -> None:
    project = Project(
        "demo",
        files=(file("demo-1.0.tar.gz", "a"), file("demo-5.0.tar.gz", key="demo-5.0.tar.gz")),
        used=(Used("demo-2.0.tar.gz", NOW),),
        deleted=(Deleted("demo-3.0.tar.gz", "f" * 64),),
    )
    found = [file(f"demo-{n}.0.tar.gz", "b", key=f"demo-{n}.0.tar.gz") for n in (1, 2, 3, 4, 5)]
    adopted, left_out = project.adopt(found)
    assert [f.filename for f in adopted.files] == ["demo-1.0.tar.gz", "demo-5.0.tar.gz", "demo-4.0.tar.gz"]
    assert [text.split(" was ")[0] for text in left_out] == ["demo-1.0.tar.gz", "demo-2.0.tar.gz", "demo-3.0.tar.gz"]


def test_what_is_found_in_a_quarantined_project_is_not_offered() -> None:
    adopted, _ = Project("demo", status=Status("quarantined")).adopt([file()])
    assert (adopted.files, adopted.withheld) == ((), (file(),))


def test_versions_are_normalised_and_named_once() -> None:
    project = Project("demo")
    for name in ("demo-1.0.0.tar.gz", "demo-1.0.0-py3-none-any.whl", "demo-2024.01.tar.gz"):
        project = project.add(file(name, name), Existing.REFUSE)
    assert project.versions == ("1.0.0", "2024.1")


def test_a_file_of_an_unknown_kind_is_kept_and_hurts_nobody() -> None:
    odd = file("demo-1.0-variants.json", "v")
    project = Project("demo", files=(odd,)).add(file(), Existing.REFUSE)
    assert project.files == (odd, file())


def test_the_list_of_projects_only_grows() -> None:
    one = ProjectList().add(["demo"])
    assert one.add(["demo"]) is one
    assert set(one.add(["other"]).projects) == {"demo", "other"}


files = st.builds(
    file,
    st.sampled_from([f"demo-{n}.0{k}" for n in (1, 2) for k in (".tar.gz", ".zip", "-py3-none-any.whl")]),
    st.sampled_from("abc"),
)


def by_version(project: Project) -> dict[Version | None, list[File]]:
    return {version: list(found) for version, found in project._of_version.items()}


@given(st.lists(st.tuples(files, st.sampled_from(Existing))))
def test_whatever_is_added_no_identity_is_there_twice_and_no_url_ever_changes_its_bytes(
    steps: list[tuple[File, Existing]],
) -> None:
    project, bytes_of = Project("demo"), dict[str, str]()
    for offered, existing in steps:
        new = replace(offered, url=project.free_key(offered.filename, offered.sha256))
        try:
            project = project.add(new, existing)
        except ArtifactExists:
            continue
        identities = [parse_filename(held.filename) for held in project.files]
        assert len(identities) == len(set(identities))
        # What an edit carries on of what was found before it is what would be found anew.
        assert by_version(project) == by_version(replace(project))
        for held in project.files:
            assert bytes_of.setdefault(held.key, held.sha256) == held.sha256
            assert held.key not in {used.key for used in project.used}


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("foo-1.0-1.tar.gz", "foo", "1.0.post1"),
        ("foo-1.0-1.tar.gz", "foo-1-0", "1"),
        ("foo-1.0-beta.tar.gz", "foo", "1.0b0"),
        ("foo-bar-1.0.tar.gz", "foo-bar", "1.0"),
    ],
)
def test_an_older_name_is_understood_by_the_project_that_it_is_a_file_of(filename: str, project: str, version: str) -> None:
    identity = parse_filename(filename, project)
    assert (identity.project, str(identity.version)) == (project, version)
    added = Project(project).add(file(filename), Existing.REFUSE)
    assert added.versions == (version,)
    with pytest.raises(ArtifactExists):
        added.add(file(f"{project}-{version}.tar.gz", "other"), Existing.REFUSE)


def test_two_names_with_the_same_bytes_do_not_share_a_directory() -> None:
    one = Project("demo").add(file("demo-1.0-1-py3-none-any.whl", "m"), Existing.REFUSE)
    sha256 = file(content="m").sha256
    assert one.free_key("demo-1.0-2-py3-none-any.whl", sha256).startswith(f"{sha256[:32]}-2/")
    assert one.free_key("demo-1.0-1-py3-none-any.whl", sha256).startswith(f"{sha256[:32]}/")


def test_adopting_keeps_every_spelling_that_an_older_index_holds() -> None:
    found = [file(name, name, key=name) for name in ("Demo-1.0.tar.gz", "demo-1.0.tar.gz", "demo-1.0.0.tar.gz")]
    adopted, left_out = Project("demo").adopt(found)
    assert (adopted.files, left_out) == (tuple(found), ())


@pytest.mark.parametrize(
    "url", ["./{}", "../demo/{}", "https://pypi.example.com/demo/{}", "/simple/demo/{}?as=it", "../../simple/demo/{}"]
)
def test_what_a_url_may_lead_to_is_no_orphan(url: str) -> None:
    ours, older = f"{'a' * 32}/demo-1.0.tar.gz", "Demo-0.9.zip"
    held = (file(key=url.format(ours)), file(older, "b", key=url.format(older)))
    assert Project("demo", files=held).orphans([ours, older, "other-1.0.tar.gz"]) == ["other-1.0.tar.gz"]


def test_a_file_of_another_name_does_not_keep_what_was_deleted_of_an_older_index() -> None:
    published = file("demo-1.0.tar.gz", "b")
    assert Project("demo", files=(published,)).orphans(["demo-1.0.tar.gz"]) == ["demo-1.0.tar.gz"]


NAMES = r"[a-zA-Z_.]{1,3}[a-z0-9_.-]{0,3}-[0-9a-c.!+-]{1,5}(-[a-z0-9_.]{0,3}){0,4}(\.tar\.gz|\.zip|\.whl)?"


@given(st.from_regex(NAMES, fullmatch=True) | st.from_regex(r"a-[0-9a-c.!+]{1,5}(-p-n-a\.whl|\.tar\.gz)", fullmatch=True))
def test_a_version_is_found_as_by_parsing_the_name_of_a_file_without_its_tags(filename: str) -> None:
    whole = f"{filename.rsplit('-', 3)[0]}-py3-none-any.whl" if filename.endswith(".whl") else filename
    try:
        expected = parse_filename(whole, "a").version
    except ValueError:
        expected = None
    assert version_in(filename, "a") == expected


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("demo-1.0-py3-none-any.whl", "1.0"),
        ("demo-1.0-1a-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "1.0"),
        ("demo-1.0.whl", "None"),
        ("demo-1.0-garbage.whl", "None"),
        ("demo-1.0-py3-none.whl", "None"),
        ("demo-1.0-x1-py3-none-any.whl", "None"),
        ("demo-1.0-py3-none-any-a-b-c.whl", "None"),
        ("demo-1.0.tar.gz", "1.0"),
    ],
)
def test_a_file_is_of_the_version_that_its_whole_name_says(filename: str, version: str) -> None:
    assert str(Project("demo").version_of(filename)) == version
    try:
        assert str(parse_filename(filename, "demo").version) == version
    except ValueError:
        assert version == "None"
