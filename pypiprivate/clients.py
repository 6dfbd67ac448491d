"""What installers are to be told of an index, so that none of them takes a stranger's project for one of ours.

A client that asks two indexes for one name takes the higher version, from whichever it comes. So either there is one index that
answers for all names, or each private project is bound to the private index by name. ``docs/clients.rst`` says more of both.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """An installer.

    :ivar alone: returns the settings for an index that answers for all names: it has them, or falls back by itself.
    :ivar beside: returns the settings for an index that has the private projects that are named, beside the public one.
    """

    name: str
    alone: Callable[[str], str]
    beside: Callable[[str, Sequence[str]], str]


def settings(client: str, index_url: str, projects: Sequence[str] = ()) -> str:
    """Return what to write into a client's file, or (pip's two steps) to run; with comments on what it needs to be safe.

    :param client: one of :data:`CLIENTS`.
    :param index_url: where clients read the index, ending in ``/`` and without credentials.
    :param projects: normalised names of the private projects; none: the index answers for all names.
    """
    known = CLIENTS[client]
    return known.beside(index_url, projects) if projects else known.alone(index_url)


# -- pip ----------------------------------------------------------------------------------------------------------------------


def _pip_alone(index_url: str) -> str:
    return f"""\
# pip.conf (where it lies: pip config debug). No extra-index-url beside it, here or in PIP_EXTRA_INDEX_URL.
[global]
index-url = {index_url}
"""


def _pip_beside(index_url: str, projects: Sequence[str]) -> str:
    return f"""\
# First the private projects, all of them that are needed, and nothing else; then what they need from the public index.
pip install --no-deps --index-url {shlex.quote(index_url)} {" ".join(projects)}
pip install -r public-requirements.txt
pip check
"""


# -- uv -----------------------------------------------------------------------------------------------------------------------


def _uv_alone(index_url: str) -> str:
    return f"""\
# pyproject.toml. This index takes the place of the public one.
[[tool.uv.index]]
name = "private"
url = {_quoted(index_url)}
default = true
"""


def _uv_beside(index_url: str, projects: Sequence[str]) -> str:
    sources = "".join(f'{project} = {{ index = "private" }}\n' for project in projects)
    return f"""\
# pyproject.toml. Not `explicit`: so uv asks this index first for every name, and takes what it has from nowhere else, also what
# only another project needs. Leave index-strategy as it is.
[[tool.uv.index]]
name = "private"
url = {_quoted(index_url)}

# These come from this index or not at all.
[tool.uv.sources]
{sources}"""


# -- Poetry -------------------------------------------------------------------------------------------------------------------


def _poetry_alone(index_url: str) -> str:
    return f"""\
# pyproject.toml. A primary source takes the place of the public index.
[[tool.poetry.source]]
name = "private"
url = {_quoted(index_url)}
priority = "primary"
"""


def _poetry_beside(index_url: str, projects: Sequence[str]) -> str:
    dependencies = "".join(f'{project} = {{ source = "private" }}\n' for project in projects)
    return f"""\
# pyproject.toml. All private projects that are needed stand here and in `dependencies` of [project], also those that only another
# one needs: Poetry takes the rest from the public index.
[[tool.poetry.source]]
name = "private"
url = {_quoted(index_url)}
priority = "explicit"

[tool.poetry.dependencies]
{dependencies}"""


# -- PDM ----------------------------------------------------------------------------------------------------------------------


def _pdm_alone(index_url: str) -> str:
    return f"""\
# pyproject.toml. A source of this name takes the place of the public index.
[[tool.pdm.source]]
name = "pypi"
url = {_quoted(index_url)}
verify_ssl = true
"""


def _pdm_beside(index_url: str, projects: Sequence[str]) -> str:
    return f"""\
# pyproject.toml. All private projects that are needed stand here, also those that only another one needs; patterns will do, as
# "acme-*". Not with `use_uv`, which does not read them.
[[tool.pdm.source]]
name = "private"
url = {_quoted(index_url)}
verify_ssl = true
include_packages = {json.dumps(list(projects))}
exclude_packages = ["*"]
"""


# -- Pipenv -------------------------------------------------------------------------------------------------------------------


def _pipenv_alone(index_url: str) -> str:
    return f"""\
# Pipfile. The one source.
[[source]]
name = "private"
url = {_quoted(index_url)}
verify_ssl = true
"""


def _pipenv_beside(index_url: str, projects: Sequence[str]) -> str:
    packages = "".join(f'{project} = {{ version = "*", index = "private" }}\n' for project in projects)
    return f"""\
# Pipfile. The public index comes first: whatever names no index is taken from the first. All private projects that are needed
# stand here, also those that only another one needs.
[[source]]
name = "pypi"
url = "https://pypi.org/simple"
verify_ssl = true

[[source]]
name = "private"
url = {_quoted(index_url)}
verify_ssl = true

[packages]
{packages}"""


def _quoted(text: str) -> str:
    """Write printable ASCII as a string of TOML."""
    return json.dumps(text)


#: Every client, by name.
CLIENTS = {
    client.name: client
    for client in (
        Client("pip", _pip_alone, _pip_beside),
        Client("uv", _uv_alone, _uv_beside),
        Client("poetry", _poetry_alone, _poetry_beside),
        Client("pdm", _pdm_alone, _pdm_beside),
        Client("pipenv", _pipenv_alone, _pipenv_beside),
    )
}
