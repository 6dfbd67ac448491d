"""What pip and uv make of what was yanked, archived, deprecated, quarantined, deleted, pruned or promoted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pypiprivate import open_repository
from pypiprivate.edits import STATUSES, Edit, Retention, Target, delete, set_status, unyank, yank
from pypiprivate.repository import Repository

from .builders import make_wheel
from .examples import environment, run
from .repositories import check_at_rest
from .web import http_server, nginx

UV = [sys.executable, "-m", "uv"]
PIP = [sys.executable, "-m", "pip"]
NOW = datetime.now(timezone.utc)
REASON = """leaks memory & "more" <b>"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return environment(tmp_path_factory.mktemp("home"), PIP_NO_CACHE_DIR="1", UV_NO_CACHE="1")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with demo 1.0, 1.1 and 2.0, and with consumer, which needs demo."""
    repository = open_repository(str(tmp_path / "srv/simple"), environ={})
    wheels = [make_wheel(tmp_path / "dist", "demo", version) for version in ("1.0", "1.1", "2.0")]
    needing = make_wheel(tmp_path / "dist", "consumer", "1.0", headers={"Requires-Dist": "demo>=1"})
    repository.publish([*wheels, needing])
    return repository


@pytest.fixture(params=[http_server, nginx], ids=["html", "json"])
def url(repository: Repository, request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param(Path(repository.storage.location)) as url:
        yield url


@dataclass(frozen=True)
class Installed:
    """What came of it: versions by project, and what was said."""

    code: int
    versions: dict[str, str]
    said: str


Install = Callable[..., Installed]


@pytest.fixture(params=["pip", "uv"])
def install(url: str, env: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Install:
    """Install into a new directory: ``install(*requirements_and_options)``."""
    command = [*PIP, "install", "--no-warn-conflicts"] if request.param == "pip" else [*UV, "pip", "install"]

    def install(*what: str) -> Installed:
        target = tmp_path / f"site-{len(list(tmp_path.iterdir()))}"
        whole = [*command, "--target", str(target), "--index-url", url, *what]
        done = subprocess.run(whole, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        versions = dict(path.name.removesuffix(".dist-info").split("-") for path in target.glob("*.dist-info"))
        return Installed(done.returncode, versions, f"{done.stdout}\n{done.stderr}")

    return install


def change(repository: Repository, edit: Edit) -> None:
    repository.change("demo", edit)
    check_at_rest(repository.storage)


def test_a_yanked_release_is_skipped_unless_it_is_pinned_and_then_the_reason_is_shown(
    repository: Repository, install: Install
) -> None:
    change(repository, yank(Target.parse("demo==2.0"), reason=REASON))
    free = install("demo")
    assert (free.code, free.versions) == (0, {"demo": "1.1"})
    assert "leaks" not in free.said
    pinned = install("demo==2.0")
    assert (pinned.code, pinned.versions) == (0, {"demo": "2.0"})
    assert "yanked" in pinned.said
    assert REASON in pinned.said.replace("&quot;", '"')
    assert install("demo>1.1").code != 0
    assert install("consumer").versions == {"consumer": "1.0", "demo": "1.1"}
    change(repository, unyank(Target.parse("demo==2.0")))
    assert install("demo").versions == {"demo": "2.0"}


def test_a_yank_without_a_reason_is_a_yank(repository: Repository, install: Install) -> None:
    change(repository, yank(Target.parse("demo==2.0")))
    assert install("demo").versions == {"demo": "1.1"}
    pinned = install("demo==2.0")
    assert pinned.versions == {"demo": "2.0"}
    assert "yanked" in pinned.said


def test_where_everything_is_yanked_nothing_is_chosen(repository: Repository, install: Install) -> None:
    for version in ("1.0", "1.1", "2.0"):
        change(repository, yank(Target.parse(f"demo=={version}"), reason="recalled"))
    assert install("demo==1.0").versions == {"demo": "1.0"}
    free = install("demo")
    assert free.code != 0
    assert "demo" in free.said


@pytest.mark.parametrize("marker", ["archived", "deprecated", "active"])
def test_what_is_archived_or_deprecated_installs_as_ever(repository: Repository, install: Install, marker: str) -> None:
    change(repository, set_status(marker, reason=REASON))
    assert install("demo").versions == {"demo": "2.0"}
    assert install("consumer").versions == {"consumer": "1.0", "demo": "2.0"}


def test_what_is_quarantined_installs_for_nobody_and_comes_back(repository: Repository, install: Install) -> None:
    change(repository, set_status("quarantined", reason="malware"))
    for wanted in ("demo", "demo==1.0", "consumer"):
        refused = install(wanted)
        assert refused.code != 0
        assert "demo" in refused.said
    change(repository, set_status("active"))
    assert install("demo").versions == {"demo": "2.0"}


def test_what_is_deleted_is_not_there_and_the_rest_is(repository: Repository, install: Install) -> None:
    repository.remove("demo", delete(Target.parse("demo==2.0"), NOW))
    assert install("demo").versions == {"demo": "1.1"}
    assert install("demo==2.0").code != 0
    repository.prune(Retention(keep=1))
    assert install("demo==1.0").code != 0
    repository.remove("demo", delete(Target("demo"), NOW))
    check_at_rest(repository.storage)
    assert install("demo").code != 0
    assert install("consumer", "--no-deps").versions == {"consumer": "1.0"}


def test_a_name_without_files_keeps_a_client_from_a_second_index(
    repository: Repository, url: str, env: dict[str, str], tmp_path: Path
) -> None:
    """A name is taken from the first index that knows it, also where no file is left."""
    repository.remove("demo", delete(Target("demo"), NOW))
    public = open_repository(str(tmp_path / "public/simple"), environ={})
    public.publish([make_wheel(tmp_path / "evil", "demo", "99.0")])
    with http_server(tmp_path / "public/simple") as elsewhere:
        command = [
            *UV,
            "pip",
            "install",
            "--target",
            str(tmp_path / "site"),
            "--index",
            url,
            "--default-index",
            elsewhere,
            "demo",
        ]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode != 0, done.stderr
    assert not (tmp_path / "site/demo").exists()


def test_what_was_promoted_installs_by_the_hash_of_where_it_came_from(
    repository: Repository, env: dict[str, str], tmp_path: Path
) -> None:
    production = open_repository(str(tmp_path / "production/simple"), environ={})
    repository.promote([Target.parse("demo==1.1")], production)
    (file,) = Target.parse("demo==1.1").select(repository.project("demo"))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"demo==1.1 --hash=sha256:{file.sha256}\n")
    with http_server(tmp_path / "production/simple") as url:
        for client, target in (([*PIP, "install"], "by-pip"), ([*UV, "pip", "install"], "by-uv")):
            options = ["--target", str(tmp_path / target), "--index-url", url, "--require-hashes", "-r", str(requirements)]
            run([*client, *options], env=env)
            assert (tmp_path / target / "demo/__init__.py").exists()


def test_the_status_is_in_both_forms(repository: Repository) -> None:
    project = Path(repository.storage.location, "demo")
    for marker in STATUSES[1:]:
        change(repository, set_status(marker, reason=REASON))
        assert json.loads((project / "index.json").read_bytes())["project-status"] == {"status": marker, "reason": REASON}
        page = (project / "index.html").read_text("utf-8")
        assert f'<meta name="pypi:project-status" content="{marker}">' in page
        assert 'content="leaks memory &amp; &quot;more&quot; &lt;b&gt;">' in page
    change(repository, set_status("active"))
    assert "project-status" not in json.loads((project / "index.json").read_bytes())
