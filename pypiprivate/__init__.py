"""Publish a Python project to your own private package index as part of its own build, with no server to run."""

from __future__ import annotations

# Type checkers take this name for true. To import it from typing takes as long as to start Python.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .publish import Receipt as Receipt
    from .repository import Repository as Repository
    from .repository import open_repository as open_repository

__version__ = "1.0.0"
__all__ = ["Receipt", "Repository", "__version__", "open_repository"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: a build that merely has pypiprivate installed pays nothing for it.
    if name in ("Repository", "open_repository", "Receipt"):
        from . import repository

        return getattr(repository, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
