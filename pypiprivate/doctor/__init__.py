"""Tries what cannot be known offline, and says what to change: the store, the index as installers see it, a public index."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from .. import browse
from ..checks import Check, failure, skipped
from ..errors import PypiPrivateError
from ..storage.base import Progress, Storage, quietly
from . import project, public, store, web
from .webclient import Address, Client


def examine(
    storage: Storage,
    *,
    url: str | None,
    public_index: str | None = None,
    checked: Callable[[Check], object] = lambda _check: None,
    asking: Progress = quietly,
) -> tuple[Check, ...]:
    """Try the store, then the index at *url*, then ask the public index.

    :param url: where clients read the repository; may hold user and password, which no check says. None: unknown.
    :param public_index: the URL of an index that is asked for every project name, and so learns them.
    :param checked: is told of each check as soon as it is done.
    :param asking: is told for how many names the public index is asked; what it returns, of those that were asked for.
    :raises ConfigError: *url* or *public_index* is no URL of an index.
    """
    is_file = url is not None and urlsplit(url).scheme == "file"
    address = Address.parse(url) if url and not is_file else None
    elsewhere = Address.parse(public_index) if public_index else None
    found = store.examine(storage, checked)
    if address:
        found += _web(storage, address, checked)
    else:
        found += (skipped("index", _NO_SERVER if is_file else _NO_URL),)
    return found + (_public(storage, elsewhere, asking) if elsewhere else ())


_NO_URL = "where clients read the index is not known: set index_url, or name the URL."
_NO_SERVER = "clients read the index from a directory, so there is no server to ask."


def _web(storage: Storage, address: Address, checked: Callable[[Check], object]) -> tuple[Check, ...]:
    try:
        wanted = project.sample(storage)
    except PypiPrivateError as error:
        return (failure("index", error),)
    return web.examine(Client(address), wanted, checked)


def _public(storage: Storage, address: Address, asking: Progress) -> tuple[Check, ...]:
    try:
        names = browse.projects(storage)
    except PypiPrivateError as error:
        return (failure("public index", error),)
    return public.examine(Client(address), names, asking=asking)
