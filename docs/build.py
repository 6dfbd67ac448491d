"""Render every document to HTML; a warning of docutils, or a relative link that leads nowhere, is an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree

ROOT = Path(__file__).resolve().parent.parent
HALT_AT_WARNING = {"halt_level": 2, "report_level": 2, "embed_stylesheet": True}


def main(target: Path) -> int:
    """Render into *target*; return the number of broken links."""
    broken = [problem for source in sources() for problem in render(source, target)]
    print("\n".join(broken) or f"documents are in {target}")
    return len(broken)


def sources() -> list[Path]:
    """Return the documents: those of the top, of docs/ and of examples/."""
    return sorted([*ROOT.glob("*.rst"), *ROOT.glob("docs/**/*.rst"), *ROOT.glob("examples/*.rst")])


def render(source: Path, target: Path) -> Iterator[str]:
    """Write one document as HTML, and yield each of its relative links that leads nowhere."""
    name = source.relative_to(ROOT)
    tree = publish_doctree(source.read_text("utf-8"), str(source), settings_overrides=HALT_AT_WARNING)
    for reference in tree.findall(nodes.reference):
        link = urlsplit(reference.get("refuri", ""))
        if not link.scheme and link.path:
            if not (source.parent / unquote(link.path)).exists():
                yield f"{name}: {link.path} is not there"
            elif link.path.endswith(".rst"):
                reference["refuri"] = link._replace(path=link.path.removesuffix(".rst") + ".html").geturl()
    page = (target / name).with_suffix(".html")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(publish_from_doctree(tree, writer="html5", settings_overrides=HALT_AT_WARNING))


if __name__ == "__main__":
    raise SystemExit(min(main(Path(sys.argv[1])), 1))
