"""Who publishes, and how: the command of each, what it is pointed at, and what lies there before."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.examples import environment
from tests.servers import ADMIN, BUCKET

from . import seeds
from .installs import ORIGINAL_RUNS, ROOT, Installs
from .proxy import Line, line
from .servers import DEVPI, DEVPI_INDEX, Store, devpi, pypiserver, seaweedfs
from .timing import Command, measured

REGION = "us-east-1"


@dataclass(frozen=True)
class Peer:
    """A publisher.

    :ivar seed: lays out a place (a name of its own) with so many projects.
    :ivar command: publishes what lies in a directory, at that place.
    :ivar line: what its requests go over.
    """

    name: str
    seed: Callable[[str, int], None]
    command: Callable[[str, Path], Command]
    line: Line | None


@dataclass(frozen=True)
class Field:
    """Where contests are held: programs, the object store, the line to it, and a directory for everything else."""

    home: Path
    installs: Installs
    store: Store
    line: Line

    def run(self, program: Path, *arguments: str | Path, **environ: str) -> Command:
        """Return a command with credentials for the store, and nothing else configured."""
        access_key, secret_key = ADMIN
        keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key, "AWS_DEFAULT_REGION": REGION}
        return Command(program, arguments, environment(self.home, **keys, **environ), self.home)

    # -- on the object store --------------------------------------------------------------------------------------------------

    def ours(self, *flags: str) -> Peer:
        """Return pypiprivate, this checkout. *flags* are those of ``upload``."""
        return Peer(
            "pypiprivate", lambda where, count: self.store.fill(where, seeds.ours(count)), partial(self._ours, flags), self.line
        )

    def _ours(self, flags: tuple[str, ...], where: str, dist: Path) -> Command:
        program = self.installs.bin("pypiprivate") / "pypi-private"
        return self.run(program, "--repository", self.url(where), "upload", *flags, *files(dist))

    def url(self, where: str) -> str:
        """Return the URL of a place as pypiprivate takes it."""
        return f"s3://{BUCKET}/{where}?{urlencode({'endpoint': self.line.url, 'region': REGION})}"

    def floor(self) -> Peer:
        """Return the bare script over boto3."""
        return Peer("floor", lambda where, _count: self.store.fill(where, seeds.floor()), self._floor, self.line)

    def _floor(self, where: str, dist: Path) -> Command:
        python, script = self.installs.bin("pypiprivate") / "python", ROOT / "benchmarks/floor.py"
        return self.run(python, script, self.line.url, BUCKET, f"{where}/{seeds.PROJECT}/index.json", *files(dist))

    def s3pypi(self, *flags: str, name: str = "s3pypi") -> Peer:
        """Return s3pypi, whose lock is off because its table is not there: with one, a publish takes two requests more."""
        return Peer(name, self._seed_pages, partial(self._s3pypi, flags), self.line)

    def _s3pypi(self, flags: tuple[str, ...], where: str, dist: Path) -> Command:
        place = ["--bucket", BUCKET, "--prefix", where, "--s3-endpoint-url", self.line.url, "--region", REGION, "--index.html"]
        program = self.installs.bin("s3pypi") / "s3pypi"
        return self.run(program, "upload", *files(dist), *place, *flags, AWS_ENDPOINT_URL_DYNAMODB=self.line.url)

    def original(self) -> Peer:
        """Return pypiprivate 0.5.0."""
        return Peer("original", self._seed_pages, self._original, self.line)

    def _original(self, where: str, dist: Path) -> Command:
        config = self.home / f"{where}.cfg"
        place = f"bucket = {BUCKET}\nprefix = {where}\nendpoint = {self.line.url}\nregion = {REGION}\n"
        config.write_text(f"[storage]\ntype = aws-s3\n[aws-s3]\n{place}")
        program, version = self.installs.bin("original") / "pypi-private", files(dist)[0].name.split("-")[1]
        what: list[str | Path] = ["-c", config, "-p", dist.parent, "publish", "-d", dist.name, seeds.PROJECT, version]
        return self.run(program, *what, PYTHONWARNINGS="ignore")

    def _seed_pages(self, where: str, projects: int) -> None:
        self.store.fill(where, seeds.pages(projects))

    def dumb_pypi(self) -> Peer:
        """Return dumb-pypi as it is used before a bucket: copy the artifacts, render what changed, sync it."""
        return Peer("dumb-pypi + aws s3 sync", self._seed_dumb_pypi, self._dumb_pypi, self.line)

    def _seed_dumb_pypi(self, where: str, projects: int) -> None:
        before, tree = self._dumb_pypi_list(where), self.home / where
        before.write_text("".join(f"{json.dumps(each)}\n" for each in seeds.listed(projects)))
        measured(self.run(Path("/bin/sh"), "-c", self._render(before, tree)))
        self.store.fill(where, {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()})

    def _dumb_pypi(self, where: str, dist: Path) -> Command:
        listed, before = self._dumb_pypi_list(where), self.home / f"{where}.before.jsonl"
        shutil.copy(listed, before)
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files(dist)}
        with listed.open("a") as file:
            file.writelines(f"{json.dumps(seeds.described(name, digest))}\n" for name, digest in digests.items())
        aws = f"{self.installs.bin('awscli') / 'aws'} --endpoint-url {self.line.url} s3"
        render = f"{self._render(listed, self.home / where)} --previous-package-list-json {before}"
        copy = f"{aws} cp --recursive --only-show-errors {dist} s3://{BUCKET}/{where}/pool/"
        sync = f"{aws} sync --only-show-errors {self.home / where} s3://{BUCKET}/{where}/"
        return self.run(Path("/bin/sh"), "-c", f"{copy} && {render} && {sync}", PYTHONWARNINGS="ignore")

    def _dumb_pypi_list(self, where: str) -> Path:
        return self.home / f"{where}.jsonl"

    def _render(self, listed: Path, tree: Path) -> str:
        program = self.installs.bin("dumb-pypi") / "dumb-pypi"
        what = ["--package-list-json", listed, "--packages-url", "../../pool/", "--output-dir", tree, "--no-per-release-json"]
        return shlex.join(map(str, [program, *what]))

    # -- servers of their own -------------------------------------------------------------------------------------------------

    @contextmanager
    def servers(self) -> Iterator[list[Peer]]:
        """Give twine before pypiserver and before devpi, each with a line of its own, until the end of the block."""
        home = Path(tempfile.mkdtemp(prefix="servers-", dir=self.home))
        (pool := home / "pool").mkdir()
        with ExitStack() as stack:
            pypi_server = pypiserver(self.installs.bin("pypiserver") / "pypi-server", pool)
            one = stack.enter_context(line(stack.enter_context(pypi_server)))
            other = stack.enter_context(line(stack.enter_context(devpi(self.installs.bin("devpi"), home / "devpi"))))
            yield [
                Peer("twine to pypiserver", partial(_seed_pypiserver, pool), self._twine(one, ""), one),
                Peer("twine to devpi", lambda _where, _count: None, self._twine(other, DEVPI_INDEX), other),
            ]

    def _twine(self, to: Line, path: str) -> Callable[[str, Path], Command]:
        user, password = DEVPI
        program = self.installs.bin("twine") / "twine"
        flags = ["upload", "--non-interactive", "--disable-progress-bar", "-u", user, "-p", password]
        return lambda _where, dist: self.run(program, *flags, "--repository-url", f"{to.url}{path}/", *files(dist))

    def everybody_on_s3(self) -> list[Peer]:
        """Return all who publish to the object store, but the floor."""
        with_root = self.s3pypi("--put-root-index", name="s3pypi with its root index")
        return [self.ours(), self.s3pypi(), with_root, *([self.original()] if ORIGINAL_RUNS else []), self.dumb_pypi()]


@contextmanager
def field(home: Path, installs: Installs) -> Iterator[Field]:
    """Run the object store behind a slow line until the end of the block.

    :param home: an empty directory.
    """
    with seaweedfs(home / "seaweedfs") as store, line(store.server.url) as to_store:
        yield Field(home, installs, store, to_store)


def files(dist: Path) -> list[Path]:
    """Return the artifacts in a directory."""
    return sorted(dist.iterdir())


def _seed_pypiserver(pool: Path, _where: str, projects: int) -> None:
    for each in seeds.listed(projects):
        (pool / each["filename"]).write_bytes(os.urandom(20))
