"""What docs/serving/s3-alone.rst says of installers that read a bucket themselves, with nothing in between."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pypiprivate import artifact, publish, simple, verify
from pypiprivate.cli import main
from pypiprivate.errors import ConfigError, StorageError
from pypiprivate.storage import open_storage
from pypiprivate.storage.base import MUTABLE
from pypiprivate.storage.s3 import S3Storage

from .builders import make_wheel
from .environments import Environments
from .examples import ROOT, environment, run
from .served import ask
from .servers import ADMIN, BUCKET, READER, Server, juicefs, moto, seaweedfs, shared
from .test_costs import release, trips
from .test_serving import OLDEST_PIP

TYPES = {"html": simple.HTML_TYPE, "json": simple.JSON_TYPE}
BOTH = pytest.mark.parametrize("form", TYPES)


@dataclass(frozen=True)
class Index:
    """An index in a bucket, and the URL under which anybody may read it who may read its objects."""

    options: Mapping[str, str]

    @property
    def url(self) -> str:
        return "{endpoint}/{bucket}/{prefix}/".format(**self.options)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with shared(moto, tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def indexes(server: Server, dist: Path) -> dict[str, Index]:
    """One of each form, where a bucket's policy lets all read."""
    return {form: fill(server, dist, form, bucket=readable(server)) for form in TYPES}


def readable(server: Server) -> str:
    """Make a bucket with the policy that the text shows (moto knows no networks), and return its name."""
    bucket = f"acme-{secrets.token_hex(4)}"
    (policy,) = blocks("json")
    with closing(server.client()) as client:
        client.create_bucket(Bucket=bucket)
        client.put_bucket_policy(Bucket=bucket, Policy=policy.replace("acme-pypi", bucket))
    return bucket


def fill(server: Server, dist: Path, form: str, **more: str) -> Index:
    options = server.options(slash_pages=form) | {"prefix": "simple"} | more
    wheels = [make_wheel(dist, "Foo.Bar", "1.0+local.1"), make_wheel(dist, "demo", "1.0"), make_wheel(dist, "demo", "2.0")]
    publish.publish(map(artifact.read, wheels), open_storage("aws-s3", options))
    return Index(options)


def blocks(language: str) -> list[str]:
    """Return the code blocks of the text in *language*."""
    text = (ROOT / "docs" / "serving" / "s3-alone.rst").read_text("utf-8")
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE).strip() + "\n" for block in found]


@BOTH
def test_a_directory_s_url_leads_to_its_page(form: str, indexes: dict[str, Index]) -> None:
    index = indexes[form]
    for path in ("", "demo/", "foo-bar/"):
        page, beside = ask(index.url, path), ask(index.url, f"{path}index.{form}")
        assert (page.status, page.body) == (200, beside.body)
        assert (page.headers["content-type"], page.headers["cache-control"]) == (TYPES[form], MUTABLE)


@pytest.mark.parametrize(
    ("client", "form"), [("oldest pip", "html"), ("pip", "html"), ("pip", "json"), ("uv", "html"), ("uv", "json")]
)
def test_installers_install(
    client: str, form: str, indexes: dict[str, Index], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python: Path | str = sys.executable
    if client == "oldest pip":
        python = Environments.of_this_run(tmp_path_factory).foreign((f"pip=={OLDEST_PIP}",)) / "python"
    tool = ["uv"] if client == "uv" else []
    what = ["--index-url", indexes[form].url, "--target", str(tmp_path / "installed"), "demo", "Foo.Bar"]
    run([python, "-m", *tool, "pip", "install", "--quiet", *what], env=environment(tmp_path))
    installed = {path.name for path in (tmp_path / "installed").glob("*.dist-info")}
    assert installed == {"demo-2.0.dist-info", "foo_bar-1.0+local.1.dist-info"}


@BOTH
@pytest.mark.parametrize("signs", [True, False])
def test_uv_reads_a_private_index_by_signing(form: str, server: Server, dist: Path, tmp_path: Path, signs: bool) -> None:
    keys = {"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]} if signs else {}
    env = environment(tmp_path, UV_S3_ENDPOINT_URL=server.url, AWS_REGION="us-east-1", **keys)
    index = fill(server, dist, form, prefix=f"private-{secrets.token_hex(4)}/simple")
    what = ["--index-url", index.url, "--target", str(tmp_path / "installed"), "demo"]
    command = [sys.executable, "-m", "uv", "pip", "install", "--preview-features", "s3-endpoint", *what]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode == 0) == signs, done.stderr
    assert (tmp_path / "installed/demo").exists() == signs


def test_the_text_s_commands_do_what_it_says(
    server: Server, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index is there already; a setting, a repair, and every installer reads it."""
    bucket = readable(server)
    (settings,), (repair, unsigned, signed) = blocks("ini"), blocks("console")
    here = settings.replace("acme-pypi", bucket).replace("eu-west-1", f"us-east-1\nendpoint = {server.url}")
    monkeypatch.setenv("PP_S3_ACCESS_KEY", ADMIN[0])
    monkeypatch.setenv("PP_S3_SECRET_KEY", ADMIN[1])
    (tmp_path / "before").write_text(here.replace("slash_pages = html\n", ""), "utf-8")
    (tmp_path / "after").write_text(here, "utf-8")
    assert main(["-c", str(tmp_path / "before"), "upload", str(make_wheel(dist, "acme-hello", "1.0"))]) == 0
    assert main(["-c", str(tmp_path / "after"), *repair.removeprefix("$ pypi-private ").split()]) == 0
    assert "slash_pages = html" in capsys.readouterr().err

    amazon = r"https://(acme-pypi\.)?s3\.eu-west-1\.amazonaws\.com(/acme-pypi)?/simple/"
    keys = {"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]}
    for block, more in ((unsigned, {}), (signed, keys)):
        text = re.sub(amazon, f"{server.url}/{bucket}/simple/", block)
        text = text.replace("https://s3.eu-west-1.amazonaws.com AWS_REGION=eu-west-1", f"{server.url} AWS_REGION=us-east-1")
        lines = re.findall(r"^\$ (.+)", text, re.MULTILINE)
        exports = [line for line in lines if line.startswith("export")]
        for number, line in enumerate(line for line in lines if line not in exports):
            target = tmp_path / f"{len(more)}-{number}"
            installed = _installed_by("\n".join([*exports, line]), target, environment(tmp_path, **more))
            assert installed == ["acme_hello-1.0.dist-info"], line


def _installed_by(script: str, venv: Path, env: Mapping[str, str]) -> list[str]:
    """Run lines of a shell, in which ``pip`` and ``uv`` install into a new environment; return what is there then."""
    run([sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, venv], env=env)
    tools = "".join(f'{tool}() {{ "{sys.executable}" -m {tool} "$@"; }}\n' for tool in ("pip", "uv"))
    here = dict.fromkeys(("PIP_PYTHON", "UV_PYTHON"), str(venv / "bin" / "python"))
    run(["/bin/sh", "-ec", tools + script], env={**env, **here})
    return [path.name for path in venv.glob("lib/*/site-packages/acme*.dist-info")]


def test_no_listing_shows_them(indexes: dict[str, Index]) -> None:
    index = indexes["html"]
    storage = open_storage("aws-s3", index.options)
    assert storage.get("")
    assert storage.get("demo/")
    assert not [entry.key for entry in storage.list("") if not entry.key or entry.key.endswith("/")]
    assert verify.verify(storage).findings == ()


@BOTH
def test_a_release_of_a_known_project_is_nine_requests_in_four_round_trips(form: str, server: Server, tmp_path: Path) -> None:
    """Two more than without: the slash page is read with the page, and written with it."""
    options = server.options(prefix=secrets.token_hex(8), slash_pages=form)
    storage, requests = open_storage("aws-s3", options), list[str]()
    assert isinstance(storage, S3Storage)
    for version in ("1.0", "1.1"):
        publish.publish(release(tmp_path, version), storage)
    new, counted = release(tmp_path, "1.2"), trips(storage)
    storage._client.meta.events.register("before-send.s3", lambda request, **_: requests.append(request.method))
    publish.publish(new, storage, gather=counted.gather)
    assert Counter(requests) == {"GET": 3, "PUT": 6}
    assert counted.count == 4


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [(seaweedfs, {}, "would read empty pages"), (juicefs, {"conditional_writes": "off"}, "cannot be written there")],
    ids=["seaweedfs", "juicefs"],
)
def test_a_store_that_takes_such_keys_for_directories_is_refused(
    kind: object, more: dict[str, str], why: str, dist: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        shared(kind, tmp_path_factory.getbasetemp()) as server,  # type: ignore[arg-type]
        pytest.raises(StorageError, match=why) as caught,
    ):
        fill(server, dist, "html", prefix=secrets.token_hex(4), **more)
    assert "Leave slash_pages out" in caught.value.hint


@pytest.mark.parametrize("form", ["html", "json", "off"])
@pytest.mark.parametrize("prefix", [{}, {"prefix": "/"}])
def test_a_bucket_without_prefix_has_no_place_for_them(form: str, prefix: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="slash_pages needs a prefix"):
        open_storage("aws-s3", {"bucket": BUCKET, "slash_pages": form, **prefix})
