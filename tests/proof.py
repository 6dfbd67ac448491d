"""How thorough a run is, and where it writes down its figures: ``make proof`` asks for all, ``make test`` for a share of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

#: Run the full counts of docs/proof.rst, which take minutes rather than seconds.
FULL = os.environ.get("PROOF") == "full"


def figure(name: str, **values: float | str) -> None:
    """Write down what a test has measured, as a line of JSON in the file that ``PROOF_FIGURES`` names; nowhere if none."""
    if target := os.environ.get("PROOF_FIGURES"):
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **values}) + "\n")
