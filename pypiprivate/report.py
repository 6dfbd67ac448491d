"""What a surface tells of a publish: lines for people, a value for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .model import Outcome

if TYPE_CHECKING:
    from .publish import Receipt


def lines(receipts: Sequence[Receipt], location: str, index_url: str | None) -> Iterator[str]:
    """Yield what a person wants to read after a publish; how to install it comes last.

    :param location: of the repository, without credentials.
    :param index_url: where clients read it, if known.
    """
    for receipt in receipts:
        yield f"{receipt.filename}: {receipt.outcome.value}"
    releases = sorted({(receipt.project, receipt.version) for receipt in receipts})
    for project, version in releases:
        yield f"{project} {version} is in {location}"
    if index_url and releases:
        yield from installing(*releases[-1], index_url)


def intentions(receipts: Sequence[Receipt], location: str) -> Iterator[str]:
    """Yield what a dry run found: nothing of it was done."""
    would_be = {
        Outcome.PUBLISHED: "would be published",
        Outcome.REPLACED: "would be published in place of the one that is there",
        Outcome.KEPT: "would stay as published before",
        Outcome.PRESENT: "is there already",
    }
    for receipt in receipts:
        yield f"{receipt.filename}: {would_be[receipt.outcome]}"
    yield f"dry run: nothing was written to {location}"


def as_json(receipts: Sequence[Receipt], location: str, index_url: str | None) -> dict[str, Any]:
    """Return the same for machines; keys are only ever added."""
    return {
        "repository": location,
        "index_url": index_url,
        "files": [
            {
                "project": receipt.project,
                "version": receipt.version,
                "filename": receipt.filename,
                "outcome": receipt.outcome.name.lower(),
                "sha256": receipt.sha256,
                "size": receipt.size,
                "url": receipt.url,
                "serial": receipt.serial,
            }
            for receipt in receipts
        ],
    }


def installing(project: str, version: str, index_url: str) -> Iterator[str]:
    """Yield how to install a release. These are the safe ways: no client asks two indexes for one name."""
    yield "To install it with uv, in pyproject.toml:"
    yield "    [[tool.uv.index]]"
    yield '    name = "private"'
    yield f'    url = "{index_url}"'
    yield "    [tool.uv.sources]"
    yield f'    {project} = {{ index = "private" }}'
    yield "or with pip, where this index has all that it depends on:"
    yield f"    pip install --index-url {index_url} {project}=={version}"
