"""Every backend keeps the same promise, a plug-in's included."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pypiprivate.checks import Check, fail, ok
from pypiprivate.errors import ConfigError, StorageError
from pypiprivate.storage import Storage, backends, find_backend, open_storage
from pypiprivate.storage.conformance import StorageContract
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .servers import BUCKET, moto, seaweedfs, shared

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="session")
def on_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Storage]:
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as server:
        yield open_bucket(server.options())


@pytest.fixture(scope="session")
def on_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Storage]:
    with shared(moto, tmp_path_factory.getbasetemp()) as server:
        yield open_bucket(server.options())


@pytest.fixture(scope="module")
def on_amazon() -> Iterator[S3Storage]:
    options = {"bucket": BUCKET, "region": "eu-west-1", "access_key": "any", "secret_key": "any"}
    from moto import mock_aws  # only where its tests run

    with mock_aws():
        storage = open_bucket(options)
        storage._client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield storage


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()


class TestLocal(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage(tmp_path / "index")


class TestSeaweedFS(StorageContract):
    @pytest.fixture
    def storage(self, on_seaweedfs: S3Storage) -> Storage:
        return _emptied(on_seaweedfs)


class TestMotoAsAmazon(StorageContract):
    """Amazon as moto plays it inside this process: with Amazon's addresses and checksums."""

    writers = 1

    @pytest.fixture
    def storage(self, on_amazon: S3Storage) -> Storage:
        return _emptied(on_amazon)


class TestMoto(StorageContract):
    writers = 1

    @pytest.fixture
    def storage(self, on_moto: S3Storage) -> Storage:
        return _emptied(on_moto)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the example of a plug-in, as a user would, where this process finds it."""
    source, site = tmp_path_factory.mktemp("plugin") / "source", tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", site, source], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield
        sys.modules.pop("pypiprivate_sqlite", None)


@pytest.mark.usefixtures("plugin")
class TestPlugin(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return open_storage("sqlite", {"database": str(tmp_path / "index.db")})


@pytest.mark.usefixtures("plugin")
def test_a_plugin_stands_beside_the_built_in_backends() -> None:
    assert list(backends()) == ["local-filesystem", "aws-s3", "sqlite"]
    assert find_backend("sqlite").scheme == "sqlite"


def test_an_unknown_type_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match="no storage type 'azure'; known are: aws-s3, local-filesystem"):
        find_backend("azure")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("no_such_module:BACKEND", "does not load: No module named"),
        ("pypiprivate.storage.local:NO_SUCH_NAME", "does not load: .*NO_SUCH_NAME"),
        ("pypiprivate.storage.local:LocalStorage", "is no pypiprivate.storage.Backend"),
    ],
)
def test_a_broken_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, reason: str) -> None:
    _install(tmp_path, f"broken = {says}", monkeypatch)
    with pytest.raises(ConfigError, match=f"the storage plug-in 'broken' .{says}. {reason}"):
        find_backend("broken")


def test_a_plugin_does_not_replace_a_built_in_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "aws-s3 = no_such_module:BACKEND", monkeypatch)
    assert entry_points(group="pypiprivate.storage").names >= {"aws-s3"}
    assert find_backend("aws-s3").options[0].name == "bucket"


def _emptied(storage: S3Storage) -> S3Storage:
    """Return a repository of its own in the same bucket; a client is slow to make, and may be shared."""
    return S3Storage(storage._client, BUCKET, prefix=secrets.token_hex(8))


def _install(site: Path, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = site / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pypiprivate.storage]\n{entry}\n")
    monkeypatch.syspath_prepend(site)


# -- what the suite says of a backend that does wrong what it offers ----------------------------------------------------------


class Copies(MemoryStorage):
    """Says what it likes of what it copied."""

    def copy(self, key: str, source: Storage, source_key: str, *, sha256: str) -> bool:
        body = b"".join(source.read(source_key))
        self.swap(key, body, replacing=None, content_type="text/plain")
        return True


class Names(MemoryStorage):
    """Shows what is its own, and what is no directory."""

    def names(self) -> Iterator[str]:
        yield from {key.partition("/")[0] for key in self._objects}


class Relabels(MemoryStorage):
    """Makes an object where there is none, and leaves the headers of what there is."""

    def relabel(self, key: str) -> bool:
        if self.get(key) is None:
            self.swap(key, b"", replacing=None, content_type="text/plain")
        return True


class Surveys(MemoryStorage):
    """Writes where it may only look, and says of what is wrong no way out."""

    def survey(self) -> Iterator[Check]:
        self.store("survey", b"", sha256=hashlib.sha256(b"").hexdigest())
        yield ok("place", "it is there.")

    def examine(self, _key: str) -> Iterator[Check]:
        yield fail("trial", "it does not work.", "")


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (Copies, StorageContract.test_a_copy_is_what_was_copied_and_is_served_as_what_is_stored),
        (Copies, partial(StorageContract.test_other_bytes_than_announced_are_not_copied, there=True)),
        (Copies, StorageContract.test_what_lies_with_a_stranger_is_not_copied),
        (Names, StorageContract.test_names_are_those_under_which_something_lies),
        (Relabels, StorageContract.test_relabelling_gives_an_artifact_its_headers_and_leaves_its_bytes),
        (Relabels, StorageContract.test_nothing_cannot_be_relabelled),
        (Surveys, StorageContract.test_a_survey_writes_nothing_and_says_first_whether_the_place_is_there),
        (Surveys, StorageContract.test_an_examination_leaves_nothing_but_its_own_key),
    ],
)
def test_a_backend_that_offers_more_must_do_it_right(wrong: type[MemoryStorage], test: Callable[..., None]) -> None:
    with pytest.raises(AssertionError):
        test(StorageContract(), storage=wrong())


def test_a_store_that_cannot_say_what_it_copied_may_fail_to() -> None:
    class Fails(MemoryStorage):
        def copy(self, key: str, *_: object, **__: object) -> bool:
            raise StorageError(key, "it changed meanwhile.")

    StorageContract().test_other_bytes_than_announced_are_not_copied(Fails(), there=True)
    with pytest.raises(StorageError):
        StorageContract().test_a_copy_is_what_was_copied_and_is_served_as_what_is_stored(Fails())
