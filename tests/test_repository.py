"""The Python interface, what a publish tells, and how progress is shown."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pypiprivate
from pypiprivate import report
from pypiprivate.errors import ArtifactError, ConfigError
from pypiprivate.model import Existing, Outcome
from pypiprivate.publish import Receipt

from .builders import make_sdist, make_wheel
from .repositories import check_at_rest, filenames


def test_a_repository_is_opened_and_published_to_from_python(tmp_path: Path) -> None:
    repository = pypiprivate.open_repository(str(tmp_path / "index"), project=tmp_path, environ={})
    receipts = repository.publish([make_sdist(tmp_path), str(make_wheel(tmp_path))])
    assert [receipt.outcome for receipt in receipts] == [Outcome.PUBLISHED] * 2
    assert isinstance(receipts[0], pypiprivate.Receipt)
    check_at_rest(repository.storage)
    rebuilt = make_sdist(tmp_path, files={"x": b"y"})
    assert repository.preview([rebuilt], existing=Existing.KEEP)[0].outcome is Outcome.KEPT
    assert repository.publish([rebuilt], existing=Existing.KEEP)[0].outcome is Outcome.KEPT
    assert len(filenames(repository.storage, "demo")) == 2


def test_settings_come_from_the_same_sources_as_everywhere(tmp_path: Path) -> None:
    user_file = tmp_path / "my.cfg"
    user_file.write_text("[team]\ntype = local-filesystem\nbase_path = here\nexisting = keep\n")
    repository = pypiprivate.open_repository("team", config_file=user_file, project=tmp_path, environ={})
    assert repository.settings.existing is Existing.KEEP
    assert repository.settings.options == {"base_path": str(tmp_path / "here")}
    with pytest.raises(ConfigError, match="team"):
        pypiprivate.open_repository("team", project=tmp_path, environ={})


def test_one_path_need_not_be_a_list(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "dist", "demo", "1.0")
    (receipt,) = pypiprivate.open_repository(str(tmp_path / "simple")).publish(str(sdist))
    assert receipt.filename == sdist.name


def test_one_bad_artifact_and_nothing_is_written(tmp_path: Path) -> None:
    repository = pypiprivate.open_repository(str(tmp_path / "index"), project=tmp_path, environ={})
    (tmp_path / "demo-2.0.tar.gz").write_bytes(b"not gzip")
    with pytest.raises(ArtifactError, match=r"demo-2\.0"):
        repository.publish([make_sdist(tmp_path), tmp_path / "demo-2.0.tar.gz"])
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("name", ["a" * 300 + ".whl", "demo-1.0-py3-none-any.whl/demo-2.0.tar.gz"])
def test_a_file_that_cannot_even_be_looked_at_is_said_in_a_sentence(name: str, tmp_path: Path) -> None:
    repository = pypiprivate.open_repository(str(tmp_path / "index"), project=tmp_path, environ={})
    make_wheel(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        repository.publish([tmp_path / name])


SLOW = """
import threading
from pypiprivate.storage.base import Backend

opened = threading.Event()

def wait(options):
    if not opened.wait(60):
        raise TimeoutError
    raise OSError("the plug-in does not open")

BACKEND = Backend(type="slow", scheme="slow", options=(), open=wait, url_host=None, url_path=None)
"""


def test_what_is_wrong_with_an_artifact_does_not_wait_for_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in that takes its time to open, and then fails in its own way."""
    about = tmp_path / "site/slow_storage-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-storage\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pypiprivate.storage]\nslow = slow_storage:BACKEND\n")
    (tmp_path / "site/slow_storage.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path / "site")
    repository = pypiprivate.open_repository("slow://", project=tmp_path, environ={})
    opened = importlib.import_module("slow_storage").opened
    (tmp_path / "demo-2.0.tar.gz").write_bytes(b"not gzip")
    with pytest.raises(ArtifactError, match=r"demo-2\.0"):
        repository.publish([tmp_path / "demo-2.0.tar.gz"])
    opened.set()
    with pytest.raises(OSError, match="does not open"):
        repository.publish([make_sdist(tmp_path)])


def test_the_package_itself_loads_nothing_until_asked() -> None:
    code = "import sys, pypiprivate; print([m for m in sys.modules if m.startswith(('pypiprivate.', 'packaging', 'boto'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = pypiprivate.no_such_thing


def test_publishing_to_a_directory_never_imports_boto3(tmp_path: Path) -> None:
    code = (
        "import sys; from pypiprivate import open_repository; open_repository(sys.argv[1]).publish(sys.argv[2:]);"
        "print([m for m in sys.modules if m.startswith(('boto', 's3transfer', 'setuptools', 'rich'))])"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "index"), str(make_sdist(tmp_path))]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == "[]"


RECEIPT = Receipt("demo", "1.0", "demo-1.0.tar.gz", "ab" * 32, 1234, Outcome.PUBLISHED, "demo/ab/demo-1.0.tar.gz", 3)


def test_a_report_without_index_url_says_where_the_release_is() -> None:
    assert list(report.lines([RECEIPT], "/srv/simple", None)) == ["demo-1.0.tar.gz: published", "demo 1.0 is in /srv/simple"]


def test_a_report_of_nothing_is_nothing() -> None:
    assert list(report.lines([], "/srv/simple", "https://pypi.acme.example/")) == []


def test_the_value_for_machines_has_everything_that_is_known() -> None:
    assert report.as_json([RECEIPT], "/srv/simple", None) == {
        "repository": "/srv/simple",
        "index_url": None,
        "files": [
            {
                "project": "demo",
                "version": "1.0",
                "filename": "demo-1.0.tar.gz",
                "outcome": "published",
                "sha256": "ab" * 32,
                "size": 1234,
                "url": "demo/ab/demo-1.0.tar.gz",
                "serial": 3,
            }
        ],
    }
