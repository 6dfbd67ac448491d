"""The Python interface: a repository, opened from the same settings as every other surface.

>>> from pypiprivate import open_repository
>>> receipts = open_repository("s3://acme-pypi/simple").publish(["dist/acme-1.0.tar.gz"])      # doctest: +SKIP
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import artifact, config
from .artifact import Artifact
from .config import Settings
from .errors import ConfigError
from .model import Existing
from .publish import Progress, Receipt, preview, publish, quietly
from .storage import Storage, open_storage

__all__ = ["Receipt", "Repository", "open_repository"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repository:
    """One simple index on one storage: what a user publishes to.

    :ivar settings: where it is and how it is used.
    """

    settings: Settings

    @cached_property
    def storage(self) -> Storage:
        """The storage that it lies on, opened when it is first used.

        :raises ConfigError: something that it needs is missing; says who chose this repository.
        """
        try:
            return open_storage(self.settings.type, self.settings.options)
        except ConfigError as error:
            origin = error.origin or self.settings.origins["type"]
            raise ConfigError(error.reason, origin=origin, hint=error.hint) from error

    def publish(
        self, paths: Iterable[Path | str], *, existing: Existing | None = None, progress: Progress = quietly
    ) -> tuple[Receipt, ...]:
        """Publish built artifacts: sdists and wheels, of one project or several.

        :param paths: the files; all are read and checked before the first byte is written.
        :param existing: what happens to a release file that is published already with other bytes; None: as the settings say.
        :param progress: is told of what is sent.
        :return: a receipt for each artifact.
        :raises PypiPrivateError: see :func:`pypiprivate.publish.publish` and :func:`pypiprivate.artifact.read`.
        """
        return publish(self._read(paths), self.storage, existing=existing or self.settings.existing, progress=progress)

    def preview(self, paths: Iterable[Path | str], *, existing: Existing | None = None) -> tuple[Receipt, ...]:
        """Say what :meth:`publish` would do, and write nothing. Arguments, results and errors are the same."""
        return preview(self._read(paths), self.storage, existing=existing or self.settings.existing)

    def _read(self, paths: Iterable[Path | str]) -> list[Artifact]:
        artifacts = [artifact.read(Path(path)) for path in paths]
        for read in artifacts:
            for warning in read.warnings:
                log.warning("%s: %s", read.filename, warning)
        return artifacts


def open_repository(
    repository: str | None = None,
    *,
    project: Path | str = ".",
    config_file: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Repository:
    """Open a repository from settings: the argument, then the environment, the project, the user's file.

    :param repository: a section of the user's file, a URL or a path; None: what the other sources say.
    :param project: the directory whose setup.cfg and pyproject.toml are read.
    :param config_file: instead of ``~/.pypi-private.cfg``.
    :param environ: instead of :data:`os.environ`.
    :raises ConfigError: a setting is wrong or missing. Nothing is read from the store yet.
    """
    flags = {"repository": repository, "config": str(config_file) if config_file else None}
    return Repository(
        config.load(flags=flags, project=Path(project), environ=os.environ if environ is None else environ, flag="{}")
    )
