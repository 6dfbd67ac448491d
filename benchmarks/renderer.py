"""What it takes to write an index at all: a page and a JSON document for each project. ``renderer.py LIST DIRECTORY``.

*LIST* holds a line of JSON for each file, as dumb-pypi reads it.
"""

import json
import os
import sys
from html import escape


def main(listed: str, directory: str) -> None:
    """Write it."""
    projects: dict[str, list[dict[str, str]]] = {}
    with open(listed) as lines:  # noqa: PTH123  pathlib is no part of the floor
        for line in lines:
            file = json.loads(line)
            projects.setdefault(file["filename"].split("-")[0].replace("_", "-"), []).append(file)
    for name, files in projects.items():
        os.makedirs(f"{directory}/{name}", exist_ok=True)  # noqa: PTH103
        write(f"{directory}/{name}/index.json", json.dumps({"name": name, "files": files}))
        write(f"{directory}/{name}/index.html", "".join(map(link, files)))
    write(f"{directory}/index.html", "".join(f'<a href="{name}/">{name}</a><br>\n' for name in sorted(projects)))


def link(file: dict[str, str]) -> str:
    """Return an anchor."""
    name, requires = escape(file["filename"]), escape(file["requires_python"])
    return f'<a href="../../pool/{name}#{file["hash"]}" data-requires-python="{requires}">{name}</a><br>\n'


def write(path: str, text: str) -> None:
    """Write a file."""
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
