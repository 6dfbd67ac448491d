"""Settings: what a user writes in any of five places becomes one repository, or one clear sentence."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypiprivate.config import Settings, load, resolve
from pypiprivate.errors import ConfigError
from pypiprivate.model import Existing
from pypiprivate.sources import OF_PROJECT, Source, Value
from pypiprivate.storage import Option, find_backend

ROOT = Path(__file__).parent.parent

#: The file that the original tool ships, word for word.
ORIGINAL = """\
[storage]
type = local-filesystem
# Choices: azure, aws-s3, local-filesystem
#
# Based on the type, the following sections (of the same name as type)
# will be applicable. You may exclude the other ones

[local-filesystem]
base_path = /path/to/privatepypi/simple

[aws-s3]
bucket = mybucket
prefix = simple
acl = private
# Use DigitalOcean Spaces or another AWS S3 compatible storage layer by
# specifying the other provider's endpoint URL and service region. For
# DigitalOcean Spaces, specify the region (nyc3 in this example) and it will be
# interpolated into the endpoint..
#
#region = nyc3
#endpoint = https://%(region)s.digitaloceanspaces.com
#
# Creds for authentication:
#
# For s3 auth, following creds may be explicitly set
#   - PP_S3_ACCESS_KEY (required)
#   - PP_S3_SECRET_KEY (required)
#   - PP_S3_SESSION_TOKEN (optional)
#
# In case any of the above required env vars are not set, pypiprivate
# will try to authenticate using boto3's default methods. More info:
# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html

[azure]
container = mycontainer
prefix = simple
# Creds for authentication
#
# Set the connection string for the storage account as environment var
# PP_AZURE_CONN_STR
"""


class Desk:
    """A user's home, a project, and whatever they wrote into them."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "project"
        self.home.mkdir()
        self.project.mkdir()

    def user(self, text: str, name: str = ".pypi-private.cfg") -> None:
        (self.home / name).write_text(text, encoding="utf-8")

    def setup_cfg(self, text: str) -> None:
        (self.project / "setup.cfg").write_text(text, encoding="utf-8")

    def pyproject(self, text: str) -> None:
        (self.project / "pyproject.toml").write_text(text, encoding="utf-8")

    def load(self, environ: Mapping[str, str] | None = None, *, interpolate: bool = False, **flags: str | None) -> Settings:
        return load(flags=flags, project=Path(), environ=environ or {}, interpolate=interpolate)

    def error(self, environ: Mapping[str, str] | None = None, *, interpolate: bool = False, **flags: str | None) -> ConfigError:
        """Return what loading raises; every test of it also shows that it is one line."""
        with pytest.raises(ConfigError) as caught:
            self.load(environ, interpolate=interpolate, **flags)
        assert "\n" not in f"{caught.value}{caught.value.hint}"
        return caught.value


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.setenv("USERPROFILE", str(desk.home))
    monkeypatch.chdir(desk.project)
    return desk


# Which source wins

USER = """\
[storage]
type = local-filesystem

[local-filesystem]
base_path = /by/default
existing = keep
index_url = https://default.example/simple

[internal]
type = local-filesystem
base_path = /by/name
existing = keep
index_url = https://name.example/simple/
"""


@pytest.mark.parametrize(
    ("flag", "variable", "project", "base_path", "origin"),
    [
        ("/by/flag", "/by/variable", "repository = /by/project", "/by/flag", "--repository"),
        (None, "/by/variable", "repository = /by/project", "/by/variable", "PP_REPOSITORY"),
        (None, "internal", "repository = /by/project", "/by/name", "~/.pypi-private.cfg [internal]"),
        (None, None, "repository = /by/project", "/by/project", "setup.cfg [publish_private]"),
        (None, None, "repository = internal", "/by/name", "~/.pypi-private.cfg [internal]"),
        (None, None, "type = local-filesystem\nbase_path = /by/keys", "/by/keys", "setup.cfg [publish_private]"),
        ("internal", None, "type = local-filesystem\nbase_path = /by/keys", "/by/name", "~/.pypi-private.cfg [internal]"),
        ("internal", None, "base_path = /without/type", "/by/name", "~/.pypi-private.cfg [internal]"),
        (None, None, "dist_dir = out", "/by/default", "~/.pypi-private.cfg [local-filesystem]"),
        (None, "", "repository =", "/by/default", "~/.pypi-private.cfg [local-filesystem]"),
        ("local-filesystem", None, "", "/by/default", "~/.pypi-private.cfg [local-filesystem]"),
    ],
)
def test_the_strongest_source_that_names_a_repository_wins(
    desk: Desk, flag: str | None, variable: str | None, project: str, base_path: str, origin: str
) -> None:
    desk.user(USER)
    desk.setup_cfg(f"[publish_private]\n{project}\n")
    settings = load(flags={"repository": flag}, project=Path(), environ={"PP_REPOSITORY": variable or ""})
    assert settings.options == {"base_path": base_path}
    assert settings.origins["base_path"] == origin


def test_a_named_repository_says_its_name_and_a_described_one_has_none(desk: Desk) -> None:
    desk.user(USER)
    named = desk.load(repository="internal")
    assert (named.repository, named.origins["repository"]) == ("internal", "--repository")
    assert desk.load().repository == "local-filesystem"
    assert desk.load(repository="/srv").repository is None


def test_storage_keys_of_a_weaker_source_are_dropped_and_never_mixed_in(desk: Desk) -> None:
    desk.setup_cfg("[publish_private]\ntype = aws-s3\nbucket = theirs\nregion = eu-west-1\nacl = public-read\n")
    settings = desk.load(repository="s3://ours")
    assert settings.options == {"bucket": "ours"}


@pytest.mark.parametrize(
    ("flags", "project", "existing", "origin"),
    [
        ({}, "", Existing.KEEP, "~/.pypi-private.cfg [internal]"),
        ({}, "existing = replace", Existing.REPLACE, "setup.cfg [publish_private]"),
        ({}, "Skip-Existing = no", Existing.REFUSE, "setup.cfg [publish_private]"),
        ({"existing": "refuse"}, "existing = replace", Existing.REFUSE, "--existing"),
        ({"skip_existing": "yes"}, "replace = yes", Existing.KEEP, "--skip-existing"),
        ({"replace": "on", "skip-existing": "0"}, "", Existing.REPLACE, "--replace"),
        ({"existing": "Keep", "skip_existing": "true"}, "", Existing.KEEP, "--existing"),
    ],
)
def test_existing_comes_from_the_strongest_source_that_says_it(
    desk: Desk, flags: dict[str, str], project: str, existing: Existing, origin: str
) -> None:
    desk.user(USER)
    desk.setup_cfg(f"[publish_private]\n{project}\n")
    settings = load(flags={"repository": "internal", **flags}, project=Path(), environ={})
    assert settings.existing is existing
    assert settings.origins["existing"] == origin


def test_existing_is_refuse_where_nobody_says_anything(desk: Desk) -> None:
    settings = desk.load(repository="/srv")
    assert settings.existing is Existing.REFUSE
    assert "existing" not in settings.origins


def test_existing_of_a_repository_that_is_not_used_does_not_count(desk: Desk) -> None:
    desk.user(USER)
    assert desk.load(repository="/elsewhere").existing is Existing.REFUSE


def test_index_url_belongs_to_the_repository_and_is_dropped_with_it(desk: Desk) -> None:
    desk.user(USER)
    desk.setup_cfg("[publish_private]\nrepository = /srv\nindex_url = https://project.example/simple\n")
    assert desk.load().index_url == "https://project.example/simple/"
    assert desk.load(repository="internal").index_url == "https://name.example/simple/"
    assert desk.load(repository="internal", index_url="https://flag.example").index_url == "https://flag.example/"
    assert desk.load(repository="/other").index_url is None


def test_a_project_may_say_the_index_url_of_a_named_repository(desk: Desk) -> None:
    desk.user(USER)
    desk.setup_cfg("[publish_private]\nrepository = internal\nindex_url = https://project.example/simple\n")
    assert desk.load().index_url == "https://project.example/simple/"


def test_what_is_blank_says_nothing_and_a_line_end_behind_a_value_is_no_part_of_it(desk: Desk) -> None:
    environ = {"PP_REPOSITORY": "s3://acme\n", "PP_CONFIG": " ", "PP_S3_ACCESS_KEY": "AKID\n", "PP_S3_SECRET_KEY": "\n"}
    assert desk.load(environ).options == {"bucket": "acme", "access_key": "AKID"}


def test_an_empty_flag_is_an_empty_variable_of_a_script_and_no_silence(desk: Desk) -> None:
    desk.user(USER)
    assert "--repository: the value is empty" in str(desk.error(repository=" "))


def test_a_section_of_another_name_in_setup_cfg_is_not_passed_over(desk: Desk) -> None:
    desk.setup_cfg("[tool.pypiprivate]\nrepository = ./here\n")
    assert "must be written [publish_private]" in str(desk.error())


def test_quotes_are_part_of_a_value_here_and_nobody_means_them(desk: Desk) -> None:
    desk.setup_cfg('[publish_private]\nrepository = "./here"\n')
    assert "repository is in quotes" in str(desk.error())


@pytest.mark.parametrize("content", ["x = " + "[" * 100_000, f"x = {'9' * 5000}"], ids=["deep", "long"])
def test_what_breaks_the_parser_of_pyproject_is_one_sentence(desk: Desk, content: str) -> None:
    desk.pyproject(content)
    assert "this is no TOML" in str(desk.error())


def test_no_other_variable_is_a_setting(desk: Desk) -> None:
    environ = {"PP_EXISTING": "keep", "PP_TYPE": "aws-s3", "PYPIPRIVATE_REPOSITORY": "/x", "REPOSITORY": "/y", "HOME": "/z"}
    assert "no repository" in str(desk.error(environ))


# Credentials


def test_credentials_come_from_their_variables_and_are_never_shown(desk: Desk) -> None:
    environ = {"PP_S3_ACCESS_KEY": "AKIDEXAMPLE", "PP_S3_SECRET_KEY": "hush", "PP_S3_SESSION_TOKEN": ""}
    settings = desk.load(environ, repository="s3://acme/simple")
    assert settings.options == {"bucket": "acme", "prefix": "simple", "access_key": "AKIDEXAMPLE", "secret_key": "hush"}
    assert settings.origins["secret_key"] == "PP_S3_SECRET_KEY"
    assert "AKIDEXAMPLE" not in repr(settings)
    assert "hush" not in repr(settings)


def test_credentials_of_another_storage_are_not_taken(desk: Desk) -> None:
    assert desk.load({"PP_S3_ACCESS_KEY": "AKIDEXAMPLE"}, repository="/srv").options == {"base_path": "/srv"}


@pytest.mark.parametrize(
    ("key", "variables"),
    [
        ("secret_key", "PP_S3_SECRET_KEY."),
        ("access-key", "PP_S3_ACCESS_KEY."),
        ("session_token", "PP_S3_SESSION_TOKEN."),
        ("aws_secret_key", "PP_S3_SECRET_KEY."),
        ("aws_access_key_id", "PP_S3_ACCESS_KEY."),
        ("Password", "PP_S3_ACCESS_KEY, PP_S3_SECRET_KEY"),
        ("sas_token", "PP_S3_ACCESS_KEY, PP_S3_SECRET_KEY"),
        ("connection_string", "PP_S3_ACCESS_KEY, PP_S3_SECRET_KEY"),
    ],
)
@pytest.mark.parametrize("place", ["user", "default", "setup.cfg", "pyproject.toml", "url"])
def test_a_secret_in_a_file_or_url_is_refused_and_not_shown(desk: Desk, place: str, key: str, variables: str) -> None:
    if place == "user":
        desk.user(f"[storage]\ntype = aws-s3\n[aws-s3]\nbucket = acme\n{key} = hush\n")
    if place == "default":
        desk.user(f"[DEFAULT]\n{key} = hush\n[storage]\ntype = aws-s3\n[aws-s3]\nbucket = acme\n")
    if place == "setup.cfg":
        desk.setup_cfg(f"[publish_private]\ntype = aws-s3\nbucket = acme\n{key} = hush\n")
    if place == "pyproject.toml":
        desk.pyproject(f'[tool.pypiprivate]\nrepository = "/srv"\n{key.lower()} = "hush"\n')
    error = desk.error(repository=f"s3://acme?{key}=hush" if place == "url" else None)
    assert key.lower().replace("-", "_") in str(error).lower()
    assert variables in error.hint
    assert "hush" not in f"{error}{error.hint}{error!r}"


def test_a_secret_in_a_project_is_refused_also_where_another_source_wins(desk: Desk) -> None:
    desk.setup_cfg("[publish_private]\nsecret_key = hush\n")
    assert "secret_key" in str(desk.error(repository="/srv"))


def test_a_secret_in_a_section_that_is_not_used_is_nobodys_business(desk: Desk) -> None:
    desk.user(USER + "[other]\npassword = hush\nfrobnicate = 100%\n")
    assert desk.load().options == {"base_path": "/by/default"}


def test_a_kms_key_id_is_no_secret(desk: Desk) -> None:
    assert desk.load(repository="s3://acme?kms_key_id=1234").options["kms_key_id"] == "1234"


# The user's file


def test_the_originals_file_works_word_for_word(desk: Desk) -> None:
    desk.user(ORIGINAL)
    assert desk.load().options == {"base_path": "/path/to/privatepypi/simple"}
    desk.user(
        ORIGINAL.replace("type = local-filesystem", "type = aws-s3").replace("#region", "region").replace("#endpoint", "endpoint")
    )
    assert desk.load().options == {
        "bucket": "mybucket",
        "prefix": "simple",
        "acl": "private",
        "region": "nyc3",
        "endpoint": "https://nyc3.digitaloceanspaces.com",
    }


def test_our_example_file_describes_every_repository_that_it_shows(desk: Desk) -> None:
    desk.user((ROOT / "example.pypi-private.cfg").read_text(encoding="utf-8"))
    assert desk.load().type == "local-filesystem"
    assert desk.load(repository="aws-s3").options["bucket"] == "acme-pypi"
    assert desk.load(repository="internal").index_url == "https://pypi.example.com/simple/"


def test_a_storage_that_we_do_not_have_is_named_when_it_is_used(desk: Desk) -> None:
    desk.user(ORIGINAL)
    error = desk.error(repository="azure")
    assert "azure" in str(error)
    assert "type = aws-s3, type = local-filesystem" in error.hint


def test_a_comment_behind_a_value_of_one_word_is_cut(desk: Desk) -> None:
    desk.user(
        "[storage]\ntype = aws-s3     ; used when 100% nothing else is named\n[aws-s3]\nbucket = acme # ours\nprefix = a/b ;x\n"
    )
    assert desk.load().options == {"bucket": "acme", "prefix": "a/b"}


@pytest.mark.parametrize("text", ["/srv/a ; b", "/srv/#1/c # d"])
def test_a_path_keeps_what_looks_like_a_comment(desk: Desk, text: str) -> None:
    desk.user(f"[storage]\ntype = local-filesystem\n[local-filesystem]\nbase_path = {text}\n")
    assert desk.load().options == {"base_path": text}


def test_what_has_several_words_or_quotes_keeps_what_looks_like_a_comment(desk: Desk) -> None:
    desk.user('[aws-s3]\nbucket = acme\nprefix = a b ; c\nput_args = {"Tagging": "a # b"}\n')
    options = desk.load(repository="aws-s3").options
    assert (options["prefix"], options["put_args"]) == ("a b ; c", '{"Tagging": "a # b"}')


def test_default_serves_every_section_and_helpers_need_not_be_settings(desk: Desk) -> None:
    desk.user(
        "[DEFAULT]\nroot = /srv\nregion = eu-west-1\nnote = 100% ours\nbase-path = /never\n"
        "[one]\ntype = local-filesystem\nteam = blue\nbase_path = %(root)s/%(Team)s\n"
        "[two]\ntype = aws-s3\nbucket = acme\n"
    )
    assert desk.load(repository="one").options == {"base_path": "/srv/blue"}
    assert desk.load(repository="two").options == {"bucket": "acme", "region": "eu-west-1"}


def test_dashed_and_underscored_keys_are_the_same_in_any_case(desk: Desk) -> None:
    desk.user("[x]\nTYPE = local-filesystem\nBase-Path = /srv/%(other-key)s\nother-key = y\nindex-url = http://localhost\n")
    settings = desk.load(repository="x")
    assert settings.options == {"base_path": "/srv/y"}
    assert settings.index_url == "http://localhost/"


def test_a_section_that_names_its_type_need_not_be_named_like_it(desk: Desk) -> None:
    desk.user(
        "[storage]\ntype = internal\n[internal]\ntype = local-filesystem\nbase_path = /srv\n[aws-s3]\ntype = local-filesystem\n"
    )
    assert desk.load().repository == "internal"
    assert "base_path is missing" in str(desk.error(repository="aws-s3"))


def test_relative_paths_are_relative_to_the_file_that_says_them(desk: Desk) -> None:
    desk.user("[x]\ntype = local-filesystem\nbase_path = simple\n")
    assert desk.load(repository="x").options == {"base_path": str(desk.home / "simple")}
    desk.setup_cfg("[publish_private]\ntype = local-filesystem\nbase_path = ../simple\ndist_dir = out\n")
    settings = load(flags={}, project=desk.project, environ={})
    assert settings.options == {"base_path": str(desk.project / "../simple")}
    assert settings.dist_dir == desk.project / "out"


def test_a_dist_dir_of_the_command_line_is_relative_to_the_project(desk: Desk) -> None:
    flags = {"repository": "./simple", "dist-dir": "out"}
    settings = load(flags=flags, project=desk.home, environ={})
    assert settings.dist_dir == desk.home / "out"
    assert settings.options == {"base_path": str(desk.project / "simple")}


def test_home_is_expanded(desk: Desk) -> None:
    assert desk.load(repository="~/simple").options == {"base_path": str(desk.home / "simple")}
    assert "home directory" in str(desk.error(repository="~no-such-user-here/simple"))


def test_another_file_is_named_by_flag_variable_or_project_in_this_order(desk: Desk) -> None:
    for name in ("flag", "variable", "project"):
        desk.user(f"[x]\ntype = local-filesystem\nbase_path = /by/{name}\n", f"{name}.cfg")
    desk.setup_cfg("[publish_private]\nrepository = x\nconfig = ../home/project.cfg\n")
    environ = {"PP_CONFIG": "../home/variable.cfg"}
    assert desk.load().options == {"base_path": "/by/project"}
    assert desk.load(environ).options == {"base_path": "/by/variable"}
    settings = desk.load(environ, config="~/flag.cfg")
    assert settings.options == {"base_path": "/by/flag"}
    assert settings.origins["base_path"] == "~/flag.cfg [x]"


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(desk: Desk, content: bytes) -> None:
    (desk.home / ".pypi-private.cfg").write_bytes(content + USER.replace("\n", "\r\n").encode())
    assert desk.load().options == {"base_path": "/by/default"}


# Interpolation from the environment


def test_the_environment_serves_names_and_never_becomes_a_key(desk: Desk) -> None:
    desk.user("[x]\ntype = local-filesystem\nbase_path = %(HOME)s/simple\n")
    environ = {"HOME": "/home/100%(me)s", "index_url": "nonsense", "EXISTING": "keep", "frobnicate": "1", "password": "hush"}
    settings = desk.load(environ, interpolate=True, repository="x")
    assert settings.options == {"base_path": "/home/100%(me)s/simple"}
    assert (settings.index_url, settings.existing) == (None, Existing.REFUSE)


def test_a_key_of_the_section_is_stronger_than_the_environment(desk: Desk) -> None:
    desk.user("[x]\ntype = local-filesystem\nroot = /mine\nbase_path = %(root)s\n")
    assert desk.load({"ROOT": "/theirs"}, interpolate=True, repository="x").options == {"base_path": "/mine"}


def test_without_being_asked_the_environment_serves_nothing(desk: Desk) -> None:
    desk.user("[x]\ntype = local-filesystem\nbase_path = %(HOME)s/simple\n")
    error = desk.error({"HOME": "/root"}, repository="x")
    assert error.origin == "~/.pypi-private.cfg [x]"
    assert "base_path refers to %(home)s" in str(error)
    assert "-i" in error.hint


@pytest.mark.parametrize(
    ("text", "fact"), [("/srv/100%", "has a % that begins nothing"), ("%(base_path)s/x", "refers to itself")]
)
def test_what_cannot_be_interpolated_is_one_sentence_in_the_section_that_is_used(desk: Desk, text: str, fact: str) -> None:
    desk.user(f"[x]\ntype = local-filesystem\nbase_path = {text}\n[y]\ntype = local-filesystem\nbase_path = /50%%\n")
    error = desk.error(repository="x")
    assert error.origin == "~/.pypi-private.cfg [x]"
    assert fact in str(error)
    assert desk.load(repository="y").options == {"base_path": "/50%"}


# The project's files


@pytest.mark.parametrize(
    "table",
    ["tool.pypiprivate", "tool.distutils.publish_private", "tool.distutils.publish-private", "tool.distutils.'publish-private'"],
)
def test_pyproject_says_the_same_in_native_types(desk: Desk, table: str) -> None:
    desk.pyproject(
        f'[{table}]\ntype = "aws-s3"\nbucket = " acme "\nprefix = 7\nconditional-writes = false\nskip-existing = true\n'
        'put_args = "Tagging=a,ContentLanguage=en"\nregion = ""\n'
    )
    settings = desk.load()
    assert settings.options == {
        "bucket": "acme",
        "prefix": "7",
        "conditional_writes": "off",
        "put_args": "Tagging=a,ContentLanguage=en",
    }
    assert settings.existing is Existing.KEEP
    assert settings.origins["bucket"] == f"pyproject.toml [{table}]".replace("'", "")


def test_the_wrappers_own_keys_are_not_ours(desk: Desk) -> None:
    desk.pyproject('[tool.pypiprivate]\nrepository = "/srv"\nbuild-backend = "hatchling.build"\nbackend-path = [".", "x"]\n')
    assert desk.load().options == {"base_path": "/srv"}
    desk.pyproject('[tool.distutils.publish_private]\nrepository = "/srv"\nbuild-backend = "hatchling.build"\n')
    assert "build_backend" in str(desk.error())


def test_a_pyproject_that_says_nothing_of_us_is_no_matter(desk: Desk) -> None:
    desk.pyproject('[project]\nname = "x"\n[tool.black]\nline-length = 1\n')
    assert desk.load(repository="/srv").options == {"base_path": "/srv"}


def test_both_files_speak_together_and_may_not_contradict(desk: Desk) -> None:
    desk.setup_cfg("[publish_private]\ntype = aws-s3\nbucket = acme\n")
    desk.pyproject('[tool.pypiprivate]\nbucket = "acme"\nprefix = "simple"\n')
    assert desk.load().options == {"bucket": "acme", "prefix": "simple"}
    desk.pyproject('[tool.pypiprivate]\nbucket = "other"\n')
    assert str(desk.error()) == ("pyproject.toml [tool.pypiprivate]: bucket is said differently in setup.cfg [publish_private]")


def test_setup_cfg_interpolates_as_setuptools_does(desk: Desk) -> None:
    desk.setup_cfg(
        "[metadata]\nx = 5% of that\n[publish_private]\nrepository = s3://acme/100%%25?region=%(where)s\nwhere = eu-west-1\n"
    )
    assert desk.load().options == {"bucket": "acme", "prefix": "100%", "region": "eu-west-1"}


@pytest.mark.parametrize("section", ["publish-private", "Publish_Private", "publish_private "])
def test_a_misnamed_section_of_setup_cfg_is_refused_with_the_right_name(desk: Desk, section: str) -> None:
    desk.setup_cfg(f"[{section}]\nrepository = /srv\n")
    error = desk.error(repository="/srv")
    assert f"[{section}] must be written [publish_private]" in str(error)
    assert error.origin == "setup.cfg"


@pytest.mark.parametrize("table", ["publish_private", "publish-private", "pypi-private", "PyPIPrivate"])
def test_a_misnamed_table_of_pyproject_is_refused_with_the_right_name(desk: Desk, table: str) -> None:
    desk.pyproject(f'[tool.{table}]\nrepository = "/srv"\n')
    assert str(desk.error(repository="/srv")) == (f"pyproject.toml: the table [tool.{table}] must be written [tool.pypiprivate]")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("tool = 1", "tool is no table"),
        ("[tool]\npypiprivate = 'x'", "pypiprivate is no table"),
        ("[tool]\ndistutils = [1]", "distutils is no table"),
        ("[tool.pypiprivate]\nprefix = 1.5", "prefix must be a string"),
        ("[tool.pypiprivate]\nput_args = {ACL = 'x'}", "put_args must be a string"),
        ("[tool.pypiprivate]\nput_args = [1]", "put_args must be a string"),
        ("[tool.pypiprivate\n", "this is no TOML"),
    ],
)
def test_a_pyproject_of_another_shape_is_one_sentence(desk: Desk, text: str, fact: str) -> None:
    desk.pyproject(text)
    error = desk.error(repository="/srv")
    assert str(error).startswith("pyproject.toml")
    assert fact in str(error)


# URLs and paths


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("s3://acme", {"bucket": "acme"}),
        ("S3://acme/", {"bucket": "acme"}),
        ("s3://acme/a/b/?", {"bucket": "acme", "prefix": "a/b"}),
        ("s3://acme/a%2Bb%20c+d", {"bucket": "acme", "prefix": "a+b c+d"}),
        (
            "s3://acme/simple?region=eu-west-1&endpoint=http://127.0.0.1:9000&conditional-writes=no",
            {
                "bucket": "acme",
                "prefix": "simple",
                "region": "eu-west-1",
                "endpoint": "http://127.0.0.1:9000",
                "conditional_writes": "off",
            },
        ),
        ("s3://acme?region=&acl=private", {"bucket": "acme", "acl": "private"}),
        ("file:///srv/pypi/simple/", {"base_path": "/srv/pypi/simple"}),
        ("file:///srv/my%20index%231", {"base_path": "/srv/my index#1"}),
        ("/srv/pypi/simple", {"base_path": "/srv/pypi/simple"}),
        ("/srv/a:b", {"base_path": "/srv/a:b"}),
    ],
)
def test_a_url_or_path_says_it_all(desk: Desk, text: str, options: dict[str, str]) -> None:
    desk.user("this file is broken, and nobody needs it")
    assert desk.load(repository=text).options == options


def test_a_url_may_say_what_belongs_to_every_repository(desk: Desk) -> None:
    settings = desk.load(repository="s3://acme?index_url=https://pypi.example.com/simple&existing=keep")
    assert (settings.index_url, settings.existing) == ("https://pypi.example.com/simple/", Existing.KEEP)


@pytest.mark.parametrize("text", [".", "..", "./x", "x/y", "~"])
def test_what_has_a_slash_or_begins_with_a_dot_or_tilde_is_a_path(desk: Desk, text: str) -> None:
    expected = desk.home if text == "~" else desk.project / text
    assert desk.load(repository=text).options == {"base_path": str(expected)}


@pytest.mark.parametrize("text", ["u:hush@h", "user:hush@host/simple", ":hush@h"])
def test_what_may_hold_a_password_is_no_path_and_is_not_shown(desk: Desk, text: str) -> None:
    error = desk.error(repository=text)
    assert "may hold a password" in str(error)
    assert "hush" not in f"{error}{error.hint}"


@pytest.mark.skipif(os.name == "nt", reason="there it is a path")
@pytest.mark.parametrize(
    "text", ["C:\\srv\\a@b", "C:\\srv\\pypi", "c:/srv/pypi", "\\\\server\\share\\pypi", "C:pypi", "file:///C:/srv/pypi"]
)
def test_a_windows_path_elsewhere_is_refused_instead_of_becoming_an_odd_directory(desk: Desk, text: str) -> None:
    assert "is no path on this system" in str(desk.error(repository=text))


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ("s3://acme?regoin=x", "there is no setting regoin", "Did you mean region?"),
        ("s3://acme?bucket=other", "the URL says bucket twice", "Keep one"),
        ("s3://acme?region=a&region=b", "the URL says region twice", "Keep one"),
        ("s3://acme?type=file", "the URL says type twice", "Keep one"),
        ("s3://acme?repository=x", "repository has no meaning here", "Say it in"),
        ("s3://acme?acl=%ff", "not UTF-8", "SCHEME://"),
        ("s3://acme?acl=%00", "acl holds a NUL", ""),
        ("s3://acme/x#y", "no repository's URL", "%23"),
        ("s3://acme/x\ty", "no repository's URL", "SCHEME://"),
        ("s3:acme", "no repository's URL", "s3://bucket"),
        ("my_s3://acme", "no repository's URL", "s3://bucket"),
        ("s3://[acme", "cannot be understood", "s3://bucket"),
        ("s3://acme:80/x", "no user, password or port", "s3://bucket"),
        ("s3:///simple", "bucket is missing, and aws-s3 needs it", " is: "),
        ("file://", "base_path is missing", " is: "),
        ("file://srv/pypi", "a file URL has no host", "file:///srv/pypi"),
        ("file:///srv%00", "is no path on this system", ""),
        ("https://pypi.example.com/simple", "there is no storage for https:// URLs; known are file, s3", "index_url"),
        ("s3://acme?conditional_writes=perhaps", "conditional_writes cannot be 'perhaps'", "on, off"),
    ],
)
def test_a_wrong_url_is_one_sentence_with_the_way_out(desk: Desk, text: str, fact: str, hint: str) -> None:
    error = desk.error({"PP_REPOSITORY": text})
    assert error.origin == "PP_REPOSITORY"
    assert fact in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKID:hush@acme/simple",
        "s3://hush@acme",
        "s3://AKID:hu/sh@acme",
        "s3://AKID:hu?sh@acme",
        "s3://AKID:hu#sh@acme",
        "https://me:hush@pypi.example.com/",
        "s3://acme?endpoint=https://me:hush@minio.example.com",
        "s3://acme#hush",
        "s3://acme?secret_key=hush",
        "file://me:hush@host/srv",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(desk: Desk, text: str) -> None:
    error = desk.error(repository=text)
    assert error.origin == "--repository"
    for secret in ("hush", "hu", "sh@", "AKID"):
        assert secret not in f"{error}{error.hint}".replace("publish", "")


def as_url(options: Mapping[str, str]) -> str:
    query = "&".join(f"{key}={quote(text, safe='')}" for key, text in options.items() if key not in {"bucket", "prefix"})
    return f"s3://{quote(options['bucket'])}/{quote(options['prefix'])}?{query}"


texts = st.text(min_size=1).filter(lambda text: text.isprintable() and "@" not in text)


@given(
    st.fixed_dictionaries(
        {"bucket": st.text(string.ascii_lowercase + string.digits + "-.", min_size=1)},
        optional=dict.fromkeys(("region", "profile", "kms_key_id", "put_args"), texts),
    ),
    texts.filter(lambda text: not text.startswith("/") and not text.endswith("/")),
)
def test_every_option_survives_the_way_through_a_url(options: dict[str, str], prefix: str) -> None:
    described = {**options, "prefix": prefix}
    settings = resolve([{"repository": Value(as_url(described), "a test", Path())}], None, {})
    assert settings.options == described


@given(
    st.lists(
        st.sampled_from(["s3", "file", "://", "/", "?", "&", "=", "%", "%00", "[", "#", "@", ":", "~", "\\", "region", "x"])
    ).map("".join)
)
def test_whatever_is_named_becomes_settings_or_one_sentence(text: str) -> None:
    try:
        resolve([{"repository": Value(text or ".", "a test", Path())}], None, {})
    except ConfigError as error:
        assert str(error).startswith("a test: ")  # noqa: PT017  (no error is fine too)


# Keys and values


@pytest.mark.parametrize(
    ("project", "fact", "hint"),
    [
        ("repositry = internal", "there is no setting repositry", "Did you mean repository?"),
        ("repository = /srv\nbuket = x", "there is no setting buket", "Did you mean bucket?"),
        ("repository = /srv\nzzz = x", "there is no setting zzz", "Known are: "),
        ("type = local-filesystem\nbase_path = /srv\nbucket = x", "there is no setting bucket", "base_path"),
        ("dry_run = yes", "there is no setting dry_run", "Known are: "),
        ("bucket = acme", "bucket is said without type", "type = aws-s3"),
        ("repository = internal\nbucket = x", "repository both say where to publish", "Keep repository"),
        ("repository = internal\ntype = aws-s3", "repository both say where to publish", "Keep repository"),
        ("type = aws_s3\nbucket = x", "there is no storage type 'aws_s3'", ""),
        ("type = aws-s3", "bucket is missing, and aws-s3 needs it", " is: "),
        ("repository = /srv\nexisting = overwrite", "existing cannot be 'overwrite'", "refuse, keep, replace"),
        ("repository = /srv\nreplace = maybe", "replace cannot be 'maybe'", "yes or no"),
        ("repository = /srv\nreplace = yes\nskip_existing = yes", "skip_existing and replace contradict each other", "Keep one"),
        (
            "repository = /srv\nexisting = keep\nskip_existing = no",
            "existing and skip_existing contradict each other",
            "Keep one",
        ),
        ("repository = /srv\ndist-dir = a\ndist_dir = b", "dist_dir is said twice", "Keep one"),
        ("repository = /srv\nindex_url = pypi.example.com", "index_url is no URL", "https://"),
        ("repository = /srv\nindex_url = ftp://pypi.example.com", "index_url is no URL", "https://"),
        ("repository = /srv\nindex_url = https:///simple", "index_url is no URL", "https://"),
        ("repository = /srv\nindex_url = file:simple", "index_url is no URL", "file:///"),
        ("repository = /srv\nindex_url = https://x/simple?a=b", "index_url is no URL", "no query"),
        ("repository = /srv\nindex_url = https://x/my simple", "index_url is no URL", "percent-encoded"),
        ("repository = /srv\nindex_url = https://[x/", "index_url is no URL", "https://"),
        ("repository = /srv\nindex_url = https://me:hush@x/simple", "index_url must not hold a user or password", "netrc"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_its_file(desk: Desk, project: str, fact: str, hint: str) -> None:
    desk.setup_cfg(f"[publish_private]\n{project}\n")
    error = desk.error()
    assert error.origin == "setup.cfg [publish_private]"
    assert fact in str(error)
    assert hint in error.hint
    assert "hush" not in f"{error}{error.hint}"


def test_an_index_url_of_a_directory_is_fine(desk: Desk) -> None:
    assert desk.load(repository="/srv", index_url="file:///srv").index_url == "file:///srv/"


def test_a_contradiction_between_two_files_names_both(desk: Desk) -> None:
    desk.setup_cfg("[publish_private]\nrepository = /srv\nexisting = replace\n")
    desk.pyproject("[tool.pypiprivate]\nskip_existing = true\n")
    error = desk.error()
    assert "setup.cfg [publish_private]" in str(error)
    assert "pyproject.toml [tool.pypiprivate]" in str(error)


def test_a_surface_names_its_own_flags(desk: Desk) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags={"skip_existing": "perhaps", "repository": "/srv"}, project=Path(), environ={}, flag="-C {}")
    assert caught.value.origin == "-C skip-existing"


@pytest.mark.parametrize(
    ("section", "fact", "hint"),
    [
        ("[x]\ntype = local-filesystem\nbase_paht = /srv", "there is no setting base_paht", "Did you mean base_path?"),
        ("[x]\ntype = local-filesystem\nbase_path = /srv\nrepository = y", "repository has no meaning here", "in the project"),
        ("[x]\ntype = local-filesystem\nbase_path = /a\nbase-path = /b", "base_path is said twice", "Keep one"),
        ("[x]\nbase_path = /srv", "the section has no type", "type = aws-s3, type = local-filesystem"),
        ("[x]\ntype = local", "there is no storage type 'local'", ""),
        ("[x]\ntype = local-filesystem", "base_path is missing", " is: "),
        ("[x]\ntype = aws-s3\nbucket = b\nendpoint = http://me:hush@h", "endpoint holds a user or password", "PP_S3_SECRET_KEY"),
    ],
)
def test_a_wrong_section_is_one_sentence_that_names_it(desk: Desk, section: str, fact: str, hint: str) -> None:
    desk.user(section)
    error = desk.error(repository="x")
    assert error.origin == "~/.pypi-private.cfg [x]"
    assert fact in str(error)
    assert hint in error.hint
    assert "hush" not in f"{error}{error.hint}"


@pytest.mark.parametrize(
    ("key", "fact"),
    [("bucket = acme", "there is no setting bucket"), ("existing = keep", "existing has no meaning here")],
)
def test_the_storage_section_only_says_which_section_is_used(desk: Desk, key: str, fact: str) -> None:
    desk.user(f"[storage]\ntype = aws-s3\n{key}\n[aws-s3]\nbucket = b\n")
    assert str(desk.error()) == f"~/.pypi-private.cfg [storage]: {fact}"


def test_an_unknown_repository_names_the_nearest_or_shows_what_there_is(desk: Desk) -> None:
    assert "~/.pypi-private.cfg, which does not exist" in str(desk.error(repository="internal"))
    desk.user(USER)
    error = desk.error({"PP_REPOSITORY": "intrenal"})
    assert str(error) == "PP_REPOSITORY: there is no section [intrenal] in ~/.pypi-private.cfg"
    assert "Did you mean internal?" in error.hint
    assert "Known are: internal, local-filesystem." in desk.error(repository="zzz").hint
    assert "./zzz" in desk.error(repository="zzz").hint
    desk.user("[storage]\ntype = aws-s3\n")
    assert str(desk.error()) == "~/.pypi-private.cfg [storage]: there is no section [aws-s3] in ~/.pypi-private.cfg"


def test_nothing_configured_shows_the_shortest_way(desk: Desk) -> None:
    error = desk.error()
    assert "no repository is named" in str(error)
    for way in ("--repository", "PP_REPOSITORY", "[publish_private]", "s3://", "~/.pypi-private.cfg"):
        assert way in error.hint


def test_a_user_file_without_default_shows_its_repositories(desk: Desk) -> None:
    desk.user("[internal]\ntype = local-filesystem\nbase_path = /srv\n[staging]\n")
    error = desk.error()
    assert "~/.pypi-private.cfg has no [storage] with a type" in str(error)
    assert "internal, staging" in error.hint
    desk.user("")
    assert "PP_REPOSITORY" in desk.error().hint


# Files that cannot be read


@pytest.mark.parametrize("origin", ["--config", "PP_CONFIG", "setup.cfg [publish_private]"])
def test_a_file_that_was_named_must_exist(desk: Desk, origin: str) -> None:
    if origin.startswith("setup.cfg"):
        desk.setup_cfg("[publish_private]\nconfig = missing.cfg\n")
    environ = {"PP_CONFIG": "missing.cfg"} if origin == "PP_CONFIG" else {}
    error = desk.error(environ, repository="/srv", config="missing.cfg" if origin == "--config" else None)
    assert str(error) == f"{origin}: there is no file {desk.project / 'missing.cfg'}"


def test_a_home_that_is_no_directory_is_a_home_without_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.project / "null").touch()
    monkeypatch.setenv("HOME", str(desk.project / "null"))
    assert "no repository is named" in str(desk.error())


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"[x]\ntype = local-filesystem\nhush hush\n", "line 3 is neither a [section] nor key = value"),
        (b"# ours\nhush = hush\n", "line 2 stands before the first [section]"),
        (b"[x]\n[y]\n[x]\n", "line 3 opens [x] a second time"),
        (b"[x]\na = hush\nA = hush\n", "line 3 says a of [x] a second time"),
        (b"[x]\na = 1\nb = hush \xff\n", "line 3 is not UTF-8"),
        (b"\xff\xfe[\0x\0]\0", "line 1 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "line 1 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_ini_is_one_sentence_with_the_line_and_without_its_text(desk: Desk, content: bytes, fact: str) -> None:
    (desk.home / ".pypi-private.cfg").write_bytes(content)
    (desk.project / "broken.cfg").write_bytes(content)
    assert str(desk.error()) == f"~/.pypi-private.cfg: {fact}"
    error = desk.error(config="broken.cfg", repository="/srv")
    assert str(error) == f"broken.cfg: {fact}"
    assert "hush" not in f"{error}{error.hint}"


def make_directory(path: Path) -> None:
    path.mkdir()


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [make_directory, make_loop])
def test_a_file_that_cannot_be_read_is_one_sentence(desk: Desk, make: Callable[[Path], None]) -> None:
    make(desk.project / "setup.cfg")
    error = desk.error(repository="/srv")
    assert error.origin == "setup.cfg"
    assert "cannot be read" in str(error)


def test_a_value_never_shows_its_text(desk: Desk) -> None:
    source: Source = {"password": Value("hush", "a test", Path())}
    assert "hush" not in repr(source)


# The reference


@pytest.mark.parametrize("name", sorted(OF_PROJECT))
def test_the_reference_explains_every_setting(name: str) -> None:
    assert f"\n``{name}``\n    " in (ROOT / "docs" / "configuration.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "option", [*find_backend("local-filesystem").options, *find_backend("aws-s3").options], ids=lambda o: o.name
)
def test_the_reference_says_of_each_option_what_its_backend_declares(option: Option) -> None:
    reference = (ROOT / "docs" / "configuration.rst").read_text(encoding="utf-8")
    said = reference.partition(f"\n``{option.variable or option.name}``\n")[2].partition("\n\n")[0]
    assert option.help in " ".join(said.replace("``", "").split())
    assert ("Required." in said) == option.required
