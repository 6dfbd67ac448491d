"""What docs/serving/s3-alone.rst says of installers that read a bucket themselves, with nothing in between."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pypiprivate import artifact, publish, simple, verify
from pypiprivate.errors import ConfigError, StorageError
from pypiprivate.storage import open_storage
from pypiprivate.storage.base import MUTABLE

from .builders import make_wheel
from .environments import Environments
from .examples import environment, run
from .served import ask
from .servers import BUCKET, READER, Server, juicefs, moto, seaweedfs, shared
from .test_serving import OLDEST_PIP

TYPES = {"html": simple.HTML_TYPE, "json": simple.JSON_TYPE}
BOTH = pytest.mark.parametrize("form", TYPES)


@dataclass(frozen=True)
class Index:
    """An index in a bucket, and the URL under which anybody may read it who may read its objects."""

    server: Server
    prefix: str

    @property
    def url(self) -> str:
        return f"{self.server.url}/{BUCKET}/{self.prefix}/"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with shared(moto, tmp_path_factory.getbasetemp()) as server:
        yield server


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def indexes(server: Server, dist: Path) -> dict[str, Index]:
    """One of each form, where the bucket's policy lets anybody read; in earnest those in a network of one's own."""
    resource = f"arn:aws:s3:::{BUCKET}/open-*"
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    with closing(server.client()) as client:
        client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    return {form: fill(server, dist, form, within="open") for form in TYPES}


def fill(server: Server, dist: Path, form: str, within: str = "private", **more: str) -> Index:
    prefix = f"{within}-{secrets.token_hex(4)}/simple"
    storage = open_storage("aws-s3", server.options(prefix=prefix, slash_pages=form) | more)
    wheels = [make_wheel(dist, "Foo.Bar", "1.0+local.1"), make_wheel(dist, "demo", "1.0"), make_wheel(dist, "demo", "2.0")]
    publish.publish(map(artifact.read, wheels), storage)
    return Index(server, prefix)


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
    what = ["--index-url", fill(server, dist, form).url, "--target", str(tmp_path / "installed"), "demo"]
    command = [sys.executable, "-m", "uv", "pip", "install", "--preview-features", "s3-endpoint", *what]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode == 0) == signs, done.stderr
    assert (tmp_path / "installed/demo").exists() == signs


def test_no_listing_shows_them(indexes: dict[str, Index]) -> None:
    index = indexes["html"]
    storage = open_storage("aws-s3", index.server.options(prefix=index.prefix, slash_pages="html"))
    assert storage.get("")
    assert storage.get("demo/")
    assert not [entry.key for entry in storage.list("") if not entry.key or entry.key.endswith("/")]
    assert verify.verify(storage).findings == ()


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
        fill(server, dist, "html", **more)
    assert "Leave slash_pages out" in caught.value.hint


@pytest.mark.parametrize("form", ["html", "json", "off"])
@pytest.mark.parametrize("prefix", [{}, {"prefix": "/"}])
def test_a_bucket_without_prefix_has_no_place_for_them(form: str, prefix: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="slash_pages needs a prefix"):
        open_storage("aws-s3", {"bucket": BUCKET, "slash_pages": form, **prefix})
