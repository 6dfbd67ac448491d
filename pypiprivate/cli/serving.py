"""``recipe`` and ``serve``: how an index is read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import recipe
from ..errors import PypiPrivateError
from ..recipe import Place
from .options import Command, UsageError, add_json, repository_of, settings_of
from .terminal import print_json, print_lines, say
from .watching import waiting

if TYPE_CHECKING:
    from ..config import Settings
    from ..repository import Repository
    from ..serve import Address

_NO_URL = f"index_url is not set, where clients read the index: the recipe says {recipe.EXAMPLE_URL} in its place."
_NO_NGINX = "this is Python's own server, for trying only. For use: pip install 'pypiprivate[serve]'."
_NO_KEYS = "this is Python's own server, for trying only: nginx reads a bucket with PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY."


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    known = "; ".join(f"{found.name}: {found.about}" for found in recipe.RECIPES.values())
    parser.add_argument("name", metavar="NAME", choices=tuple(recipe.RECIPES), help=known)
    parser.add_argument("--into", metavar="DIR", type=Path, help="write the recipe's files there, instead of printing the first")
    parser.add_argument("--force", action="store_true", help="also over files that say something else")
    add_json(parser)


def _recipe(arguments: argparse.Namespace) -> int:
    chosen, settings = recipe.RECIPES[arguments.name], settings_of(arguments)
    place = _place(settings)
    if arguments.into:
        place = Place(place.type, place.options, place.index_url, arguments.into.absolute().as_posix())
    files = recipe.write(chosen, place)
    if settings.index_url is None:
        say(_NO_URL)
    if arguments.into:
        if not arguments.force:
            _refuse_others(arguments.into, files)
        _write(arguments.into, files)
    if arguments.json:
        print_json({"recipe": chosen.name, "files": files})
    elif not arguments.into:
        first, *others = files
        print_lines(files[first].splitlines())
        for other in others:
            say(f"{other} belongs beside it: pypi-private recipe {chosen.name} --into {recipe.DIRECTORY} writes both.")
    return 0


def _refuse_others(directory: Path, files: dict[str, str]) -> None:
    """Somebody may have edited what an earlier run wrote, or have a nginx.conf of their own there."""
    for path, text in ((directory / name, text) for name, text in files.items()):
        with _writable(directory):
            if path.exists() and path.read_bytes() != text.encode():
                hint = "Nothing was written. Name another directory, move it away, or say --force to write over it."
                raise PypiPrivateError(f"{path} is there already, and says something else.", hint=hint)


def _write(directory: Path, files: dict[str, str]) -> None:
    with _writable(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            say(f"{_written(directory / name, text.encode())} {directory / name}")


def _written(path: Path, content: bytes) -> str:
    """Write a file unless it says that already; return which."""
    if path.is_file() and path.read_bytes() == content:
        return "unchanged"
    path.write_bytes(content)
    return "wrote"


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PypiPrivateError(f"{directory} cannot be written to: {error.strerror}.") from error


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--auth", metavar="FILE", type=Path, help="names and hashed passwords, as htpasswd writes them")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="address to listen on (default: this machine's own)"
    )
    parser.add_argument("--port", metavar="PORT", type=int, default=8080, help="port to listen on; 0: any (default: 8080)")
    add_json(parser)


def _serve(arguments: argparse.Namespace) -> int:
    from .. import serve, simple

    repository = repository_of(arguments)
    if arguments.auth:
        _check_users(arguments.auth)
    with waiting(arguments, "looking at what is published"):
        is_empty = repository.storage.get(simple.ROOT_PAGE) is None
    if is_empty:
        say("nothing is published there yet.")
    address = serve.free(arguments.host, arguments.port, _path(repository.settings))
    try:
        _run(arguments, repository, address)
    except KeyboardInterrupt:
        say("ended.")
        return 0
    raise PypiPrivateError("nginx ended by itself; what it says of it stands above, with -v in more detail.")


def _check_users(path: Path) -> None:
    """A file that lets nobody in would be found out by the first who asks."""
    from .. import serve

    way_out = "Make it: htpasswd -c FILE NAME."
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file.", hint=way_out) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", hint="Name a file that htpasswd wrote.") from error
    if not serve.has_users(text):
        raise UsageError(f"{path} lets nobody in: it has no line NAME:HASH with a hash that nginx takes.", hint=way_out)


def _run(arguments: argparse.Namespace, repository: Repository, address: Address) -> None:
    from .. import serve

    place, program = _place(repository.settings), serve.nginx_program()
    if program and serve.has_recipe(place):
        level = ("crit", "error", "info")[min(arguments.verbose, 2)]
        with serve.nginx(program, place, address, users=arguments.auth, level=level) as process:
            _announce(arguments, repository, address)
            process.wait()
        return
    if arguments.auth:
        way_out = "Say PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY." if program else "pip install 'pypiprivate[serve]'"
        raise PypiPrivateError("Python's own server asks for no passwords, and nginx cannot be used.", hint=way_out)
    with serve.plain(repository.storage, address) as server:
        _announce(arguments, repository, address)
        say(_NO_KEYS if program else _NO_NGINX)
        server.serve_forever()


def _announce(arguments: argparse.Namespace, repository: Repository, address: Address) -> None:
    for line in _lines(address, repository.storage.location, asks=bool(arguments.auth)):
        say(line)
    if arguments.json:
        print_json({"index_url": address.url, "location": repository.storage.location})


def _lines(address: Address, location: str, *, asks: bool) -> Iterator[str]:
    yield f"serving {location} at {address.url} until Ctrl-C."
    yield f"install from it: pip install --index-url {address.url} PROJECT"
    yield f"             or: uv pip install --index-url {address.url} PROJECT"
    if asks:
        yield f"name and password belong in ~/.netrc: machine {address.host} login NAME password PASSWORD"
    if not address.is_loopback:
        then = "passwords cross the network as they are: put TLS before it." if asks else "anybody there can read it: see --auth."
        yield f"it is reachable from other machines, and {then}"


def _path(settings: Settings) -> str:
    """Return the path that the index has for its clients."""
    return recipe.site(settings.index_url).path.rstrip("/")


def _place(settings: Settings) -> Place:
    return Place(settings.type, settings.options, settings.index_url)


COMMANDS = (Command("recipe", _add_recipe, _recipe), Command("serve", _add_serve, _serve))
