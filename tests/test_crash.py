"""Real processes: killed at any moment, and crowds of them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from pypiprivate.storage.local import LocalStorage

from .builders import make_sdist, make_wheel
from .repositories import check_at_rest, check_never_torn, filenames, orphans, root

#: Publishes as the program does, and kills itself with SIGKILL once it has done so many operations on the storage.
KILLED = """
import os, signal, sys
from pathlib import Path
from pypiprivate import artifact, publish
from pypiprivate.storage.local import LocalStorage
from tests.repositories import Observed

left = int(sys.argv[1])

def count(verb, key):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

publish.publish([artifact.read(Path(path)) for path in sys.argv[3:]], Observed(LocalStorage(Path(sys.argv[2])), after=count))
"""


def build(directory: Path, version: str, project: str = "demo") -> list[str]:
    return [str(make_sdist(directory, project, version)), str(make_wheel(directory, project, version))]


def start(index: Path, files: Sequence[str], *flags: str) -> subprocess.Popen[str]:
    run = [sys.executable, "-m", "pypiprivate", *flags, "-r", str(index), "upload", *files]
    return subprocess.Popen(run, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=120)
    return process.returncode, err


@pytest.mark.parametrize("published", [0, 2])
def test_killed_after_any_operation_nothing_is_torn_and_the_same_command_finishes(tmp_path: Path, published: int) -> None:
    files = build(tmp_path / "dist", "9.0")
    for after in count(1):
        index = tmp_path / f"index-{after}"
        storage = LocalStorage(index)
        for number in range(published):
            assert finish(start(index, build(tmp_path / "dist", f"{number}.0")))[0] == 0
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(after), str(index), *files], cwd=Path(__file__).parents[1], check=False
        )
        check_never_torn(storage)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert finish(start(index, files))[0] == 0
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 2 * published + 2
        assert orphans(storage) == []
    assert after > 5


def test_killed_at_random_moments_nothing_is_lost(tmp_path: Path) -> None:
    index, moments = tmp_path / "index", random.Random(1)
    storage = LocalStorage(index)
    assert finish(start(index, build(tmp_path / "dist", "0.1")))[0] == 0
    for number in range(1, 21):
        files = build(tmp_path / "dist", f"{number}.0")
        process = start(index, files)
        time.sleep(moments.uniform(0.05, 0.6))  # the moment is what is tested
        process.kill()
        process.communicate()
        check_never_torn(storage)
        assert "demo-0.1.tar.gz" in filenames(storage, "demo")
        assert finish(start(index, files))[0] == 0
        check_at_rest(storage)
        assert len(filenames(storage, "demo")) == 2 + 2 * number
    assert orphans(storage) == []


def test_a_crowd_on_one_project_loses_nothing_and_nobody_gives_up(tmp_path: Path) -> None:
    index = tmp_path / "index"
    crowd = [start(index, build(tmp_path / "dist", f"{number}.0")) for number in range(16)]
    assert [err for code, err in map(finish, crowd) if code] == []
    storage = LocalStorage(index)
    check_at_rest(storage)
    assert len(filenames(storage, "demo")) == 32
    assert orphans(storage) == []


def test_a_crowd_of_new_projects_is_listed_whole(tmp_path: Path) -> None:
    index = tmp_path / "index"
    crowd = [start(index, build(tmp_path / "dist", "1.0", f"demo{number}")) for number in range(16)]
    assert [code for code, _ in map(finish, crowd) if code] == []
    storage = LocalStorage(index)
    check_at_rest(storage)
    assert set(root(storage).projects) == {f"demo{number}" for number in range(16)}


def test_of_a_crowd_with_one_file_name_and_different_bytes_exactly_one_wins(tmp_path: Path) -> None:
    index = tmp_path / "index"
    files = [make_sdist(tmp_path / f"dist{number}", files={"x": str(number).encode()}) for number in range(8)]
    results = [finish(process) for process in [start(index, [str(file)]) for file in files]]
    assert sorted(code for code, _ in results) == [0] + [1] * 7
    assert all("published already with other bytes" in err for code, err in results if code)
    check_at_rest(LocalStorage(index))


def test_of_a_crowd_with_one_file_and_the_same_bytes_all_succeed(tmp_path: Path) -> None:
    index, file = tmp_path / "index", str(make_sdist(tmp_path))
    results = [finish(process) for process in [start(index, [file]) for _ in range(8)]]
    assert [code for code, _ in results] == [0] * 8
    check_at_rest(LocalStorage(index))
    assert filenames(LocalStorage(index), "demo") == ["demo-1.0.tar.gz"]
