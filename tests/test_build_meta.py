"""The hooks of ``pypiprivate.build_meta``, called as a front end calls them: what they ask for, pass on, refuse and say."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from pypiprivate import build_meta, cli, inner

from .backends import IN_TREE, listed, make_project

SDIST, WHEEL = "acme_demo-1.0.tar.gz", "acme_demo-1.0-py3-none-any.whl"
YES = {"publish_private": "yes"}
Announced: TypeAlias = "Callable[[], list[str]]"
#: The hooks that a backend may have, with arguments for them.
OPTIONAL: dict[str, tuple[str, ...]] = {
    "get_requires_for_build_sdist": (),
    "get_requires_for_build_wheel": (),
    "get_requires_for_build_editable": (),
    "prepare_metadata_for_build_editable": ("metadata",),
    "build_editable": ("wheels",),
}
#: A backend with all of them: each returns its name and what it was called with.
EVERY_HOOK = """
def build_sdist(*args): return ["build_sdist", *args]
def build_wheel(*args): return ["build_wheel", *args]
def prepare_metadata_for_build_wheel(*args): return ["prepare_metadata_for_build_wheel", *args]
""" + "".join(f"def {name}(*args): return ['{name}', *args]\n" for name in OPTIONAL)


@dataclass
class Project:
    """A project that the in-tree backend builds, inside ours; it is the current directory.

    :ivar directory: where it lies; its index is ``../simple``, and nothing else is configured.
    """

    directory: Path

    @property
    def index(self) -> Path:
        return self.directory.parent / "simple"

    @property
    def dist(self) -> Path:
        (self.directory / "dist").mkdir(exist_ok=True)
        return self.directory / "dist"

    def sdist(self, settings: Mapping[str, Any] | None = None) -> str:
        return build_meta.build_sdist(str(self.dist), settings)

    def wheel(self, settings: Mapping[str, Any] | None = None) -> str:
        return build_meta.build_wheel(str(self.dist), settings)

    def refuse(self, settings: Mapping[str, Any] | None, hook: Callable[..., str] = build_meta.build_wheel) -> str:
        """Call a hook that must end its process with a message, and return that."""
        with pytest.raises(SystemExit) as ending:
            hook(str(self.dist), settings)
        assert isinstance(ending.value.code, str)
        assert all(line.isprintable() for line in ending.value.code.splitlines())
        return ending.value.code

    def configure(self, text: str, name: str = "setup.cfg") -> None:
        (self.directory / name).write_text(text, "utf-8")

    @property
    def calls(self) -> list[Any]:
        """What the backend inside was asked for, and with which settings."""
        notes = self.directory.parent / "calls"
        return [json.loads(line) for line in notes.read_text("utf-8").splitlines()] if notes.exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    project = Project(make_project(tmp_path / "project", IN_TREE, 'repository = "../simple"'))
    monkeypatch.chdir(project.directory)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("ACME_CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("CIBUILDWHEEL", raising=False)
    yield project
    sys.modules.pop("in_tree", None)


@pytest.fixture
def announced(recwarn: pytest.WarningsRecorder) -> Callable[[], list[str]]:
    """What was announced so far: front ends show warnings."""
    return lambda: [str(warning.message) for warning in recwarn]


# The opt-in


@pytest.mark.parametrize("settings", [None, {}, {"--build-option": "x"}])
def test_without_the_setting_nothing_is_published(project: Project, settings: Any) -> None:
    assert (project.sdist(settings), project.wheel(settings)) == (SDIST, WHEEL)
    assert not project.index.exists()
    assert project.calls == [["build_sdist", settings], ["build_wheel", settings]]


@pytest.mark.parametrize("value", ["yes", "true", "1", "on", "YES", " yes\n", "", True, ["yes"], ["yes", "1"], ["", True]])
@pytest.mark.parametrize("key", ["publish_private", "publish-private"])
def test_the_setting_publishes_in_every_form_in_which_front_ends_deliver_it(
    project: Project, announced: Announced, key: str, value: Any
) -> None:
    project.wheel({key: value})
    assert list(listed(project.index)) == [WHEEL]
    assert announced() == [
        f"publish_private: {WHEEL}: published",
        f"publish_private: acme-demo 1.0 is in {project.index}",
    ]


@pytest.mark.parametrize("value", ["no", "false", "0", "off", "NO", " no ", False, None, [], [None], ["no"], ["no", False]])
def test_no_is_no(project: Project, value: Any) -> None:
    project.wheel({"publish_private": value})
    assert not project.index.exists()


@pytest.mark.parametrize("value", [1, 1.5, {"existing": "keep"}, [["yes"]], [{}]])
def test_a_value_of_another_kind_is_refused_and_not_shown(project: Project, value: Any) -> None:
    message = project.refuse({"publish_private": value})
    assert message.startswith("error: -C publish_private: its value is neither a text nor yes or no\n")
    assert project.calls == []


@pytest.mark.parametrize("repository", ["{}", "file://{}"])
def test_the_value_may_be_the_repository_itself(project: Project, announced: Announced, repository: str) -> None:
    elsewhere = project.directory.parent / "elsewhere"
    project.sdist({"publish_private": repository.format(elsewhere)})
    assert list(listed(elsewhere)) == [SDIST]
    assert announced()[-1] == f"publish_private: acme-demo 1.0 is in {elsewhere}"
    assert not project.index.exists()


def test_a_relative_path_on_the_command_line_begins_at_the_project(project: Project, announced: Announced) -> None:
    project.sdist({"publish_private": "yes", "publish_private.repository": "../elsewhere"})
    assert announced()[-1].endswith(f"is in {project.directory.parent / 'elsewhere'}")


def test_the_value_may_be_a_section_of_the_users_file_which_can_be_named(project: Project, announced: Announced) -> None:
    project.configure("[staging]\ntype = local-filesystem\nbase_path = simple-of-staging\n", "../users.cfg")
    project.sdist({"publish_private": "staging", "publish-private.config": "../users.cfg"})
    assert announced()[-1].endswith(f"is in {project.directory.parent / 'simple-of-staging'}")


@pytest.mark.parametrize(
    ("settings", "origin", "reason"),
    [
        ({"publish_private": ["yes", "no"]}, "publish_private", "it is said twice, and differently"),
        ({"publish_private": "a", "publish-private": "b"}, "publish_private", "it is said twice, and differently"),
        (
            {**YES, "publish_private.existing": ["keep", "refuse"]},
            "publish_private.existing",
            "it is said twice, and differently",
        ),
        ({"publish_private.existing": "keep"}, "publish_private.existing", "it is said without publish_private"),
        ({"publish_private": "nowhere"}, "publish_private.repository", "there is no section [nowhere] in ~/.pypi-private.cfg"),
        ({"publish_private": "ftp://acme"}, "publish_private.repository", "there is no storage for ftp:// URLs"),
        ({**YES, "publish_private.existing": "kep"}, "publish_private.existing", "existing cannot be 'kep'"),
        ({**YES, "publish_private.existing": ""}, "publish_private.existing", "the value is empty"),
        ({**YES, "publish_private.dry_run": "perhaps"}, "publish_private.dry_run", "it cannot be 'perhaps'"),
        ({**YES, "publish_private.config": "gone.cfg"}, "publish_private.config", "there is no file"),
        ({"publish_private": "no", "publish_private.bucket": "acme"}, "publish_private.bucket", "there is no such setting"),
    ],
)
@pytest.mark.parametrize("hook", [build_meta.build_sdist, build_meta.build_wheel])
def test_what_is_wrong_is_refused_before_the_build(
    project: Project, hook: Callable[..., str], settings: Any, origin: str, reason: str
) -> None:
    message = project.refuse(settings, hook)
    assert message.startswith(f"error: -C {origin}: {reason}")
    assert len(message.splitlines()) == 2
    assert project.calls == []


@pytest.mark.parametrize(
    "key",
    [
        *("publish_privat", "publish-privat", "publishprivate", "publish.private", "Publish_Private", "--publish-private"),
        *(
            "pypiprivate",
            "pypi-private",
            "pypiprivate.repository",
            "tool.pypiprivate",
            "public_private",
            "publish_privat.existing",
        ),
        *("publish_private.", "publish_private.repositry", "publish_private.dist_dir", "publish_private.base_path"),
        *("publish_private.secret_key", "publish_private.existing.keep", "publish\x1b_private"),
    ],
)
@pytest.mark.parametrize("beside", [{}, YES])
def test_what_is_misspelt_is_refused_and_never_forgotten(project: Project, key: str, beside: Any) -> None:
    message = project.refuse({**beside, key: "hush"})
    assert "there is no such setting\nWrite publish_private=yes, and publish_private.KEY=VALUE with one of these" in message
    assert "hush" not in message
    assert project.calls == []


@pytest.mark.parametrize("key", ["publish", "private", "--build-option", "cmake.build-type", "builddir", "index-private"])
def test_what_is_not_meant_for_us_goes_to_the_backend_inside(project: Project, key: str) -> None:
    project.wheel({key: "x", "publish_private": "no"})
    assert project.calls == [["build_wheel", {key: "x"}]]


@pytest.mark.parametrize(
    "environ", [{"PP_S3_ACCESS_KEY": "AKIAEXAMPLE"}, {"PP_S3_SECRET_KEY": "hush"}, {"AWS_PROFILE": "not-configured"}]
)
def test_credentials_that_are_missing_are_missed_before_the_build(
    project: Project, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    message = project.refuse({"publish_private": "s3://acme/simple?region=eu-west-1"})
    assert message.startswith("error: -C publish_private.repository: ")
    assert "hush" not in message
    assert project.calls == []


def test_a_library_that_is_missing_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("pypiprivate.invocation", raising=False)
    monkeypatch.setitem(sys.modules, "pypiprivate.invocation", None)
    message = project.refuse(YES)
    assert message.startswith("error: publish_private cannot run: ")
    assert message.endswith("\nInstall what it needs: pip install pypiprivate")


def test_in_cibuildwheel_the_hook_refuses_before_the_build(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIBUILDWHEEL", "1")
    assert "pypi-private upload wheelhouse/*.whl" in project.refuse(YES)
    assert project.calls == []
    project.wheel({"publish_private": "no"})
    assert project.calls == [["build_wheel", {}]]


# Settings


def test_settings_stand_in_setup_cfg_as_well(project: Project, announced: Announced) -> None:
    make_project(project.directory.parent / "other")
    shutil.copy(project.directory.parent / "other" / "pyproject.toml", project.directory)
    project.configure("[publish_private]\nrepository = ../of-setup-cfg\n")
    project.sdist(YES)
    assert announced()[-1].endswith(f"is in {project.directory.parent / 'of-setup-cfg'}")


@pytest.mark.parametrize("said", [{"existing": "keep"}, {"skip_existing": ""}, {"skip-existing": True}, {"replace": "no"}])
def test_what_is_published_already_is_treated_as_is_said(project: Project, announced: Announced, said: dict[str, Any]) -> None:
    project.sdist(YES)
    before = listed(project.index)
    project.configure("VALUE = 2\n", "acme_demo.py")
    settings = YES | {f"publish_private.{key}": value for key, value in said.items()}
    if said == {"replace": "no"}:
        assert "published already with other bytes" in project.refuse(settings, build_meta.build_sdist)
    else:
        project.sdist(settings)
        assert f"publish_private: {SDIST}: kept as published before" in announced()
    assert listed(project.index) == before


def test_a_dry_run_writes_nothing(project: Project, announced: Announced) -> None:
    project.wheel(YES | {"publish_private.dry-run": ""})
    assert announced() == [
        f"publish_private: {WHEEL}: would be published",
        f"publish_private: dry run: nothing was written to {project.index}",
    ]
    assert not project.index.exists()


@pytest.fixture
def unpacked(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sdist of the project, unpacked where front ends unpack it; it is the current directory."""
    project.sdist()
    shutil.unpack_archive(project.dist / SDIST, tmp_path / "temporary", filter="data")
    monkeypatch.chdir(tmp_path / "temporary" / "acme_demo-1.0")
    return Path.cwd()


@pytest.mark.usefixtures("unpacked")
def test_a_wheel_from_the_unpacked_sdist_is_of_the_project_beside_whose_dist_it_goes(
    project: Project, announced: Announced
) -> None:
    project.wheel(YES)
    assert list(listed(project.index)) == [WHEEL]
    assert announced()[-1].endswith(f"is in {project.index}")


def test_a_pyproject_toml_that_an_sdist_spells_anew_is_still_the_projects(
    project: Project, unpacked: Path, announced: Announced
) -> None:
    text = (unpacked / "pyproject.toml").read_text("utf-8")
    (unpacked / "pyproject.toml").write_text("# anew\n" + text.replace('version = "1.0"', 'version="1.1"\ndynamic = []'), "utf-8")
    project.wheel(YES)
    assert announced()[-1].endswith(f"is in {project.index}")


@pytest.mark.parametrize(
    "beside", [None, "", "not TOML", 'project = 1\n[build-system]\nrequires = ["pypiprivate"]', "another name"]
)
def test_a_wheel_from_the_unpacked_sdist_that_goes_elsewhere_takes_no_relative_path(
    project: Project, unpacked: Path, tmp_path: Path, beside: str | None
) -> None:
    (tmp_path / "another" / "dist").mkdir(parents=True)
    if beside is not None:
        same = (unpacked / "pyproject.toml").read_text("utf-8").replace("Acme.Demo", "Acme.Other")
        (tmp_path / "another" / "pyproject.toml").write_text(same if beside == "another name" else beside, "utf-8")
    shutil.copy(project.dist / SDIST, tmp_path / "another" / "dist")
    with pytest.raises(
        SystemExit, match="is relative, and this build runs in a temporary directory, in the unpacked sdist\nWrite"
    ):
        build_meta.build_wheel(str(tmp_path / "another" / "dist"), YES)
    assert [hook for hook, _ in project.calls] == ["build_sdist"]


@pytest.mark.usefixtures("unpacked")
@pytest.mark.parametrize("said", ["setting", "environment"])
def test_an_absolute_path_is_taken_wherever_the_wheel_goes(
    project: Project, tmp_path: Path, announced: Announced, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copy(project.dist / SDIST, tmp_path)
    monkeypatch.setenv("PP_REPOSITORY", str(elsewhere) if said == "environment" else "relative/path")
    build_meta.build_wheel(str(tmp_path), {"publish_private": str(elsewhere)} if said == "setting" else YES)
    assert announced()[-1].endswith(f"is in {elsewhere}")


@pytest.mark.usefixtures("unpacked")
@pytest.mark.parametrize("said", ["setting", "environment"])
def test_a_relative_path_on_the_invocation_is_refused_there_as_well(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    shutil.copy(project.dist / SDIST, tmp_path)
    monkeypatch.setenv("PP_REPOSITORY", "./simple")
    with pytest.raises(SystemExit, match="PP_REPOSITORY|publish_private.repository") as ending:
        build_meta.build_wheel(str(tmp_path), {"publish_private": "./simple"} if said == "setting" else YES)
    assert "./simple is relative" in str(ending.value.code)


def test_an_sdist_that_this_build_has_not_made_is_never_published_from(project: Project, unpacked: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is an unpacked sdist, and not one that this build has made\nPublish from a build of"):
        build_meta.build_wheel(str(tmp_path), {"publish_private": str(tmp_path / "elsewhere")})
    assert [hook for hook, _ in project.calls] == ["build_sdist"]
    (unpacked / "dist").mkdir()
    build_meta.build_wheel(str(unpacked / "dist"), YES | {"publish_private.dry_run": "yes"})  # there it is a project


def test_what_uv_builds_into_its_cache_is_published_only_where_the_user_stands(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    (cache / "builds-v0" / "tmp").mkdir(parents=True)
    (cache / "CACHEDIR.TAG").touch()
    settings = {"publish_private": str(tmp_path / "elsewhere")}
    monkeypatch.setenv("PWD", str(tmp_path))
    with pytest.raises(SystemExit, match="is built to be installed, and may be a dependency\nPublish from a build of"):
        build_meta.build_wheel(str(cache / "builds-v0" / "tmp"), settings)
    assert project.calls == []
    monkeypatch.setenv("PWD", str(Path.cwd()))
    build_meta.build_wheel(str(cache / "builds-v0" / "tmp"), settings)
    assert (tmp_path / "elsewhere").exists()


# Failing after the build


def test_a_release_file_with_other_bytes_is_refused_and_both_ways_out_are_named(project: Project) -> None:
    project.sdist(YES)
    project.configure("VALUE = 2\n", "acme_demo.py")
    message = project.refuse(YES, build_meta.build_sdist)
    assert f"{SDIST} of acme-demo is published already with other bytes" in message
    assert message.endswith("In a build that is -C publish_private.existing=keep.")


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({}, []),
        ({"repository": "../its index"}, ["--repository=../its index"]),
        ({"skip_existing": True}, ["--existing=keep"]),
        ({"existing": "replace"}, ["--existing=replace"]),
    ],
)
def test_what_fails_leaves_the_file_and_says_how_to_publish_it_word_for_word(
    project: Project, settings: dict[str, Any], flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = (project.directory / settings.get("repository", "../simple")).resolve()
    index.write_text("in the way", "utf-8")
    message = project.refuse(YES | {f"publish_private.{key}": value for key, value in settings.items()})
    program, *arguments = shlex.split(message.splitlines()[-1])
    assert [program, *arguments] == ["pypi-private", "upload", *flags, str(project.dist / WHEEL)]
    index.unlink()
    monkeypatch.setattr(logging.getLogger("pypiprivate"), "handlers", [])
    assert cli.main(arguments) == 0
    assert list(listed(index)) == [WHEEL]


def test_an_interruption_says_how_to_finish(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    message = project.refuse(YES)
    assert message.startswith("interrupted.\n")
    assert message.endswith(f"pypi-private upload {project.dist / WHEEL}")


@pytest.mark.parametrize("tag", ["cp311-cp311-linux_x86_64", "cp311-cp311-manylinux_2_17_x86_64.linux_x86_64"])
def test_a_wheel_for_this_machine_only_is_refused_unless_that_is_meant(
    project: Project, announced: Announced, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    monkeypatch.setenv("ACME_TAG", tag)
    message = project.refuse(YES)
    assert "its tag says linux_*" in message
    assert "upload /" not in message
    assert not project.index.exists()
    if "." not in tag:  # the backend that the tests have writes one tag only
        project.wheel(YES | {"publish_private.allow_linux_tag": "yes"})
        assert announced()[0] == f"publish_private: acme_demo-1.0-{tag}.whl: published"


def test_no_file_name_can_forge_a_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TAG", "py3-none-any\nWARNING: all is well\x1b[2J")
    assert "\\nWARNING: all is well\\x1b[2J" in project.refuse(YES)


# What it says


def test_warnings_that_are_errors_do_not_fail_what_succeeded(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        project.wheel(YES)
    assert f"publish_private: {WHEEL}: published\n" in capsys.readouterr().err
    assert list(listed(project.index)) == [WHEEL]


def test_what_is_odd_about_a_file_is_shown_and_no_chatter_even_if_the_backend_inside_shows_every_logger(
    project: Project, announced: Announced, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    backend = (project.directory / "in_tree.py").read_text("utf-8")
    project.configure(backend.replace('"Metadata-Version: 2.1', '"Metadata-Version: 2.9'), "in_tree.py")
    with caplog.at_level(logging.DEBUG):
        project.wheel(YES)
        assert logging.getLogger().level == logging.DEBUG
    assert capsys.readouterr().err.startswith(f"WARNING: {WHEEL}: ")
    assert caplog.records == []
    assert logging.getLogger("pypiprivate").propagate
    assert announced()[0].endswith(": published")


# The hooks


@pytest.fixture
def full(project: Project) -> ModuleType:
    """The backend inside, with every optional hook."""
    project.configure(EVERY_HOOK, "in_tree.py")
    build_meta.__getattr__("build_editable")
    return sys.modules["in_tree"]


def test_optional_hooks_are_there_exactly_when_the_backend_inside_has_them(full: ModuleType) -> None:
    for name, arguments in OPTIONAL.items():
        assert getattr(build_meta, name)(*arguments, {"--x": "y"})[:-1] in ([name, *arguments], [name, *arguments, {"--x": "y"}])
        delattr(full, name)
        assert not hasattr(build_meta, name)


@pytest.mark.parametrize(
    "name", ["get_requires_for_build_sdist", "get_requires_for_build_wheel", "get_requires_for_build_editable"]
)
@pytest.mark.parametrize(("settings", "theirs"), [(None, None), ({}, {}), (YES, {}), ({**YES, "x": "y"}, {"x": "y"})])
def test_hooks_for_requirements_pass_on_the_settings_that_are_not_ours(
    full: ModuleType, name: str, settings: Any, theirs: Any
) -> None:
    assert getattr(build_meta, name)(settings) == [name, theirs]
    assert getattr(build_meta, name)() == [name, None]


def test_hooks_for_metadata_pass_on_the_settings_that_are_not_ours(full: ModuleType, project: Project) -> None:
    name = "prepare_metadata_for_build_editable"
    assert getattr(build_meta, name)("there", {**YES, "x": "y"}) == [name, "there", {"x": "y"}]
    prepared = build_meta.prepare_metadata_for_build_wheel("there", {**YES, "x": "y"})
    assert prepared == str(["prepare_metadata_for_build_wheel", "there", {"x": "y"}])
    assert not project.index.exists()


def test_an_editable_install_publishes_nothing_and_says_so(full: ModuleType, project: Project, announced: Announced) -> None:
    assert build_meta.build_editable("wheels", YES, "metadata") == ["build_editable", "wheels", {}, "metadata"]
    assert announced() == ["publish_private: an editable install has nothing to publish, so nothing is published"]
    assert build_meta.build_editable("wheels") == ["build_editable", "wheels", None, None]
    assert not project.index.exists()


def test_metadata_of_the_backends_own_is_passed_back_to_it(full: ModuleType, project: Project) -> None:
    assert project.wheel() == str(["build_wheel", str(project.dist), None, None])
    built = build_meta.build_wheel(str(project.dist), {"x": "y"}, "metadata")
    assert built == str(["build_wheel", str(project.dist), {"x": "y"}, "metadata"])


def test_a_backend_that_makes_no_metadata_gets_them_from_its_wheel_and_nothing_is_published(
    project: Project, tmp_path: Path
) -> None:
    directory = build_meta.prepare_metadata_for_build_wheel(str(tmp_path), YES)
    assert directory == "acme_demo-1.0.dist-info"
    assert sorted(path.name for path in (tmp_path / directory).iterdir()) == ["METADATA", "RECORD", "WHEEL"]
    assert project.calls == [["build_wheel", {}]]
    assert not project.index.exists()
    build_meta.build_wheel(str(project.dist), None, str(tmp_path / directory))  # which the backend inside must not see


def test_an_unsupported_operation_is_the_backends_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_NO_SDIST", "1")
    with pytest.raises(build_meta.UnsupportedOperation, match="no sdist of this"):
        project.sdist(YES)
    assert build_meta.UnsupportedOperation is sys.modules["in_tree"].UnsupportedOperation


def test_nothing_else_of_the_backend_inside_is_offered(full: ModuleType) -> None:
    assert not hasattr(build_meta, "note")
    assert not hasattr(build_meta, "__path__")


# Which backend is inside


def test_setuptools_is_inside_unless_another_one_is_named(project: Project) -> None:
    project.configure("[build-system]\nrequires = []\n", "pyproject.toml")
    assert inner.backend(project.directory) is import_module("setuptools.build_meta")


def test_it_may_be_an_object_in_a_module_and_keys_may_be_underscored(project: Project) -> None:
    project.configure(
        "class outer:\n    class backend:\n        build_sdist = build_wheel = lambda *args: 'built'\n", "in_tree.py"
    )
    text = '[tool.pypiprivate]\nbuild_backend = "in_tree:outer.backend"\nbackend_path = ["."]\n'
    project.configure(text, "pyproject.toml")
    assert project.sdist() == "built"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("build-backend = 1", "build-backend cannot be 1"),
        ('build-backend = ""', "build-backend cannot be ''"),
        ('build-backend = "pypiprivate.build_meta"', "build-backend cannot be 'pypiprivate.build_meta'"),
        ('build-backend = "acme_not_there.build"', "cannot be imported: No module named 'acme_not_there'"),
        ('build-backend = "json:not_there"', "cannot be imported: module 'json' has no attribute 'not_there'"),
        ('build-backend = "json"', "json is no build backend: it has no build_sdist"),
        ('build-backend = "in_tree"\nbackend-path = "."', "backend-path is no list of strings"),
        ('build-backend = "in_tree"\nbackend-path = [1]', "backend-path is no list of strings"),
        ('build-backend = "in_tree"\nbackend-path = [".."]', "backend-path leads out of the project"),
    ],
)
def test_a_backend_that_cannot_be_inside_is_refused_in_one_sentence(project: Project, table: str, message: str) -> None:
    project.configure(f"[tool.pypiprivate]\n{table}\n", "pyproject.toml")
    for hook in (build_meta.build_sdist, build_meta.build_wheel):
        said = project.refuse(None, hook)
        assert said.startswith("error: pyproject.toml [tool.pypiprivate]: ")
        assert message in said


@pytest.mark.parametrize(("text", "key"), [("tool = 1", "tool"), ("[tool]\npypiprivate = 'x'", "pypiprivate")])
def test_a_table_that_is_none_is_refused(project: Project, text: str, key: str) -> None:
    project.configure(text, "pyproject.toml")
    assert project.refuse(None).startswith(f"error: pyproject.toml: {key} is no table\n")


def test_a_build_that_publishes_nothing_imports_nothing_that_publishing_needs(project: Project) -> None:
    calls = [
        "build_meta.build_sdist('dist')",
        "build_meta.build_wheel('dist', {'--option': 'x'})",
        "build_meta.prepare_metadata_for_build_wheel('dist')",
        "hasattr(build_meta, 'build_editable')",
    ]
    script = f"import sys; from pypiprivate import build_meta; {'; '.join(calls)}; print(*sys.modules)"
    assert project.dist.is_dir()
    done = subprocess.run([sys.executable, "-c", script], cwd=project.directory, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert imported.isdisjoint({"boto3", "botocore", "filelock", "packaging"})
    ours = {name for name in imported if name.partition(".")[0] == "pypiprivate"}
    assert ours == {"pypiprivate", "pypiprivate.build_meta", "pypiprivate.errors", "pypiprivate.inner"}
