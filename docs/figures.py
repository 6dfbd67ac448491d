"""Turn the figures of a ``make proof`` run, a line of JSON each, into the table that docs/proof.rst includes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HEAD = ".. Made by ``make proof``; not to be edited.\n\n"


def main(source: Path, target: Path) -> None:
    """Write *target* anew from *source*."""
    figures = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    target.write_text(HEAD + "\n".join(map(item, sorted(figures, key=lambda figure: str(figure["name"])))) + "\n", "utf-8")


def item(figure: dict[str, float | str]) -> str:
    """Return one figure as an item of a list: its name, then each value."""
    values = ", ".join(
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in rest(figure)
    )
    return f"* **{figure['name']}**: {values}"


def rest(figure: dict[str, float | str]) -> list[tuple[str, float | str]]:
    """Return the values without the name."""
    return [(name, value) for name, value in figure.items() if name != "name"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
