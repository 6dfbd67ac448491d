"""Settings: what holds of everything that the user wrote, from the strongest source to the weakest.

The strongest source that names a repository wins whole: what weaker ones say of *their* repository never mixes with it.
Nothing here knows a backend by name; keys, URLs and errors derive from what each backend declares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import ConfigError
from .model import Existing
from .sources import (
    OF_PROJECT,
    OF_REPOSITORY,
    SECRET,
    USER_FILE,
    Source,
    UserFile,
    Value,
    declared_options,
    read_environment,
    read_flags,
    read_project,
    read_user_file,
    underscored,
)
from .storage import Backend, Option, backends, find_backend

__all__ = ["BOOLEANS", "USER_FILE", "Settings", "load", "resolve", "settle"]

_ALIASES = {"skip_existing": Existing.KEEP, "replace": Existing.REPLACE}
#: Words for yes and no.
BOOLEANS = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}
_URL = "A repository's URL is SCHEME://HOST/PATH?OPTION=VALUE, as s3://bucket/prefix?region=eu-west-1 or file:///srv/pypi/simple."
_INDEX_URL = (
    "It begins with https://, http:// or file:///, has no query, and is percent-encoded, as https://pypi.example.com/simple/."
)
_SHORTEST = (
    "Name one with --repository, PP_REPOSITORY, or in setup.cfg: [publish_private] and below it repository = /srv/pypi/simple "
    f"(a directory) or repository = s3://BUCKET/PREFIX; or describe it in {USER_FILE}."
)


@dataclass(frozen=True)
class Settings:
    """Which repository to publish to, and how.

    :ivar repository: its section in the user's file, or None where a URL, a path or the project's own keys describe it.
    :ivar type: its storage backend.
    :ivar options: what :func:`pypiprivate.storage.open_storage` takes, credentials included, and so never shown.
    :ivar index_url: where clients read it, ending in ``/``, or None.
    :ivar existing: what to do with a release file that is published already with other bytes.
    :ivar dist_dir: where built artifacts lie, or None where nothing says it.
    :ivar origins: by key, who said it; a default has none.
    """

    repository: str | None
    type: str
    options: Mapping[str, str] = field(repr=False)
    index_url: str | None
    existing: Existing
    dist_dir: Path | None
    origins: Mapping[str, str]


def load(
    *,
    flags: Mapping[str, str | None],
    project: Path,
    environ: Mapping[str, str],
    here: Path | None = Path(),
    flag: str = "--{}",
    interpolate: bool = False,
) -> Settings:
    """Read every source and resolve them: the one door for all surfaces.

    Command line, then ``PP_REPOSITORY`` and ``PP_CONFIG``, then the project, then the user's file, then the default.

    :param flags: what this invocation says, by key, dashed or underscored; None is "not said".
    :param project: the directory of the project, with its setup.cfg and pyproject.toml; the flag ``dist_dir`` is relative to it.
    :param environ: the environment; apart from the two above, only the variables of credentials are read.
    :param here: where relative paths in flags and the environment begin; None: *project* lies in a temporary directory, and no
        relative path means anything, those in its files neither.
    :param flag: how a flag is written in messages, with ``{}`` for its dashed key.
    :param interpolate: let the environment serve ``%(NAME)s`` in the user's file.
    :raises ConfigError: a setting is wrong, missing or contradictory, or a file cannot be read.
    """
    said_here = read_flags(flags, flag, here, project), read_environment(environ, here)
    stated = (*said_here, read_project(project, None if here is None else project))
    return settle(stated, environ, interpolate=environ if interpolate else {})


def settle(stated: Sequence[Source], environ: Mapping[str, str], *, interpolate: Mapping[str, str]) -> Settings:
    """Read the user's file, if what is stated needs it, and resolve everything.

    :param stated: what was said, strongest source first.
    :param environ: where credentials are looked up.
    :param interpolate: serves ``%(NAME)s`` in the user's file; empty for none.
    :raises ConfigError: see :func:`load`.
    """
    config = _first("config", stated)
    # A broken file of the user must not hurt who neither names nor needs it.
    user = read_user_file(config, interpolate) if config or _asks_user_file(stated) else None
    return resolve(stated, user, environ)


def resolve(stated: Sequence[Source], user: UserFile | None, environ: Mapping[str, str]) -> Settings:
    """Settle what the sources say: values in, settings out.

    ``existing`` and ``dist_dir`` come from the strongest source that says them. ``index_url`` belongs to the repository: it is
    taken from the source that names the repository or a stronger one, else from the repository's own section.

    :param stated: command line, environment and project, strongest first.
    :param user: the user's file, or None for none.
    :param environ: where credentials are looked up, by the variables that the backend declares.
    :raises ConfigError: no repository is named, or a setting is unknown, missing, contradictory or a secret.
    """
    for source in stated:
        _refuse_unknown(source, OF_PROJECT, declared_options)
    rank = _strongest(stated)
    named, described = _describe(stated[rank] if rank < len(stated) else _default(user), user)
    backend = _backend(described["type"])
    _refuse_unknown(described, OF_REPOSITORY, lambda: backend.options)
    options = _options(backend, described, environ)
    existing, stance = _existing((*stated, described))
    index_url = _first("index_url", (*stated[: rank + 1], described))
    dist_dir = _first("dist_dir", stated)
    said = {"repository": named, "type": described["type"], "existing": stance, "index_url": index_url, "dist_dir": dist_dir}
    return Settings(
        repository=named.text if named else None,
        type=backend.type,
        options={key: value.text for key, value in options.items()},
        index_url=_index_url(index_url) if index_url else None,
        existing=existing,
        dist_dir=dist_dir.path() if dist_dir else None,
        origins={key: value.origin for key, value in {**said, **options}.items() if value},
    )


def _first(key: str, sources: Iterable[Source]) -> Value | None:
    return next((source[key] for source in sources if key in source), None)


def _strongest(stated: Sequence[Source]) -> int:
    """Return the rank of the first source that says where to publish; one past the end where none does."""
    return next((rank for rank, source in enumerate(stated) if "repository" in source or _storage_keys(source)), len(stated))


def _storage_keys(source: Source) -> list[str]:
    return [key for key, value in source.items() if key == "type" or (value.needed and key not in OF_PROJECT)]


def _asks_user_file(stated: Sequence[Source]) -> bool:
    chosen = next(iter(stated[_strongest(stated) :]), {})
    return not _storage_keys(chosen) and not ("repository" in chosen and _is_place(chosen["repository"].text))


def _default(user: UserFile | None) -> Source:
    """Return what ``[storage]`` of the user's file says: the ``type`` that it gives names a section."""
    said = user.section("storage") if user else {}
    _refuse_unknown(said, frozenset({"type"}), tuple)
    if "type" in said:
        return {"repository": said["type"]}
    without = f"no repository is named, and {user.name} has no [storage] with a type" if user else "no repository is named"
    offered = ", ".join(user.repositories) if user else ""
    raise ConfigError(
        without, hint=f"Choose one of these with --repository or as that type: {offered}." if offered else _SHORTEST
    )


# A repository is described by a section of the user's file, a URL, a path, or the source's own keys


def _describe(chosen: Source, user: UserFile | None) -> tuple[Value | None, Source]:
    """Return the repository's name, if it has one, and its description: ``type``, the storage's keys, the rest of its section."""
    repository, keys = chosen.get("repository"), _storage_keys(chosen)
    if repository is None:
        return None, _own(chosen)
    if keys:
        reason = f"{keys[0]} (in {chosen[keys[0]].origin}) and repository both say where to publish"
        raise repository.wrong(reason, "Keep repository, or type and the storage's keys.")
    if not _is_place(repository.text):
        return repository, _section(repository, user)
    return None, _from_url(repository) if _is_url(repository.text) else _from_path(repository)


def _own(chosen: Source) -> Source:
    if "type" not in chosen:
        key = _storage_keys(chosen)[0]
        takers = " or ".join(b.type for b in backends().values() if key in {option.name for option in b.options})
        raise chosen[key].wrong(f"{key} is said without type", f"Say type = {takers} beside it.")
    return {key: value for key, value in chosen.items() if key == "type" or key not in OF_PROJECT}


def _section(repository: Value, user: UserFile | None) -> Source:
    name = repository.text
    if "@" in name:
        raise repository.wrong("this is no repository, and it may hold a password", _credentials())
    if user is None or name not in user.repositories:
        where = user.name if user else f"{USER_FILE}, which does not exist"
        near = _nearest(name, user.repositories) if user else ""
        hint = f"{near} Add that section; or write a directory with a slash, ./{name}, and a bucket as s3://{name}."
        raise repository.wrong(f"there is no section [{name}] in {where}", hint.strip())
    said = user.section(name)
    if "type" in said:
        return said
    # A section that is named like a storage type is of that type, as in the original's file.
    implied, types = Value(name, f"{user.name} [{name}]", user.directory), sorted(backends())
    if name not in types:
        raise implied.wrong("the section has no type", f"Add one of: {', '.join(f'type = {known}' for known in types)}.")
    return {"type": implied, **said}


def _is_place(text: str) -> bool:
    """Tell a URL or a path from a section's name; what may be USER:PASSWORD@HOST is no drive, and not to be shown."""
    if re.match(r"[^/\\]*:[^/\\]*@", text):
        return False
    return _is_url(text) or text.startswith((".", "~")) or re.search(r"[/\\]|^[A-Za-z]:", text) is not None


def _is_url(text: str) -> bool:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    return "://" in text or (scheme is not None and scheme[1].lower() in {backend.scheme for backend in backends().values()})


def _from_path(repository: Value) -> Source:
    backend = next(backend for backend in backends().values() if backend.scheme == "file")
    return {"type": replace(repository, text=backend.type), str(backend.url_path): repository}


def _from_url(repository: Value) -> Source:
    """Read ``SCHEME://HOST/PATH?OPTION=VALUE``, percent-decoded (RFC 3986). No error shows it: it may hide a password."""
    url = _split(repository)
    backend = _of_scheme(url.scheme, repository)
    if "@" in url.netloc or ":" in url.netloc:
        raise repository.wrong("a repository's URL takes no user, password or port", f"{_URL} {_credentials()}")
    if url.netloc and not backend.url_host:
        raise repository.wrong(f"a {url.scheme} URL has no host", f"Write three slashes: {url.scheme}:///srv/pypi/simple.")
    # Where there is a host the path begins after the slash; where there is none it is the root, or a Windows drive.
    path = url.path.strip("/") if backend.url_host else re.sub(r"^/(?=[A-Za-z]:/)", "", url.path)
    said = {"type": replace(repository, text=backend.type)}
    pairs = (pair.partition("=")[::2] for pair in url.query.split("&"))
    for key, text in ((backend.url_host, url.netloc), (backend.url_path, path), *pairs):
        if key and text:
            name = underscored(_unquoted(key, repository))
            if name in said:
                raise repository.wrong(f"the URL says {name} twice", "Keep one of the two.")
            said[name] = replace(repository, text=_unquoted(text, repository))
    return said


def _split(repository: Value) -> SplitResult:
    text = repository.text
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise repository.wrong("the URL cannot be understood", _URL) from error
    if not url.scheme or "://" not in text or "#" in text or not text.isprintable():
        raise repository.wrong("this is no repository's URL", f"{_URL} A # is written %23.")
    return url


def _of_scheme(scheme: str, repository: Value) -> Backend:
    known = {backend.scheme: backend for backend in backends().values()}
    if scheme not in known:
        reason = f"there is no storage for {scheme}:// URLs; known are {', '.join(sorted(known))}"
        raise repository.wrong(reason, "repository is where to publish; where clients read it is index_url.")
    return known[scheme]


def _unquoted(text: str, repository: Value) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise repository.wrong("the URL's percent-encoding is not UTF-8", _URL) from error


# What is known


def _refuse_unknown(source: Source, ours: frozenset[str], declared: Callable[[], Iterable[Option]]) -> None:
    for key in sorted(source.keys() - ours):
        value, options = source[key], {option.name: option for option in declared()}
        if key in options and not options[key].variable:
            continue
        if key in options or SECRET.search(key):
            raise value.wrong(f"{key} looks like a secret, and none may stand here", _credentials(key))
        if value.needed:
            raise _unknown(key, value, {*ours, *(name for name, option in options.items() if not option.variable)})


def _unknown(key: str, value: Value, known: set[str]) -> ConfigError:
    if key in OF_PROJECT:
        places = "the repository's own section" if key in OF_REPOSITORY else "the project or on the command line"
        return value.wrong(f"{key} has no meaning here", f"Say it in {places}.")
    return value.wrong(f"there is no setting {key}", _nearest(key, known))


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, 1)
    listed = ", ".join(sorted(known))
    return f"Did you mean {near[0]}?" if near else f"Known are: {listed}." if listed else ""


def _credentials(key: str = "") -> str:
    variables = {option.name: option.variable for option in declared_options() if option.variable}
    key = key.lower()
    fitting = [variables[name] for name in variables if name in key or ("secret" in name and "secret" in key)]
    return f"Credentials come from the environment only: {', '.join(fitting or variables.values())}."


# What a value means


def _backend(type_: Value) -> Backend:
    try:
        return find_backend(type_.text)
    except ConfigError as error:
        raise type_.wrong(error.reason, error.hint) from error


def _options(backend: Backend, described: Source, environ: Mapping[str, str]) -> dict[str, Value]:
    options = {}
    for option in backend.options:
        if option.variable and environ.get(option.variable, "").strip():
            options[option.name] = Value(environ[option.variable].strip(), option.variable, Path())
        elif option.name in described:
            options[option.name] = _checked(option, described[option.name])
        elif option.required:
            raise described["type"].wrong(
                f"{option.name} is missing, and {backend.type} needs it", f"{option.name} is: {option.help}."
            )
    return options


def _checked(option: Option, value: Value) -> Value:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@", value.text):
        raise value.wrong(f"{option.name} holds a user or password", _credentials())
    if option.path:
        return replace(value, text=str(value.path()))
    if "\0" in value.text:
        raise value.wrong(f"{option.name} holds a NUL")
    return replace(value, text=_choice(option, value)) if option.choices else value


def _choice(option: Option, value: Value) -> str:
    """Return the choice that is meant; where it is on or off, any word for yes or no will do."""
    meant = BOOLEANS.get(value.text.lower())
    for choice in option.choices:
        if choice == value.text or (meant is not None and BOOLEANS.get(choice) == meant):
            return choice
    raise value.wrong(f"{option.name} cannot be {value.text!r}", f"It is one of: {', '.join(option.choices)}.")


def _index_url(value: Value) -> str:
    try:
        url = urlsplit(value.text)
    except ValueError as error:
        raise value.wrong("index_url is no URL", _INDEX_URL) from error
    if "@" in url.netloc:
        hint = "Messages and recipes print it; clients keep credentials in netrc or a keyring."
        raise value.wrong("index_url must not hold a user or password", hint)
    whole = url.netloc if url.scheme in {"http", "https"} else url.scheme == "file" and url.path.startswith("/")
    if not whole or url.query or url.fragment or not re.fullmatch(r"[!-~]+", value.text):
        raise value.wrong("index_url is no URL that clients can read", _INDEX_URL)
    return value.text.rstrip("/") + "/"


def _existing(sources: Sequence[Source]) -> tuple[Existing, Value | None]:
    for source in sources:
        said = {key: source[key] for key in ("existing", *_ALIASES) if key in source}
        if said:
            stance = _stance(said)
            decisive = [value for key, value in said.items() if _ALIASES.get(key, stance) is stance]
            return stance, (decisive or list(said.values()))[0]
    return Existing.REFUSE, None


def _stance(said: Source) -> Existing:
    allowed = set(Existing)
    for key, value in said.items():
        if key == "existing":
            allowed &= {_named(value)}
        else:
            allowed &= {_ALIASES[key]} if _boolean(key, value) else set(Existing) - {_ALIASES[key]}
    if not allowed:
        origins = ", ".join(sorted({value.origin for value in said.values()}))
        raise ConfigError(f"{' and '.join(said)} contradict each other", origin=origins, hint="Keep one of them.")
    return Existing.REFUSE if Existing.REFUSE in allowed else allowed.pop()


def _named(value: Value) -> Existing:
    try:
        return Existing(value.text.lower())
    except ValueError as error:
        known = ", ".join(existing.value for existing in Existing)
        raise value.wrong(f"existing cannot be {value.text!r}", f"It is one of: {known}.") from error


def _boolean(key: str, value: Value) -> bool:
    meant = BOOLEANS.get(value.text.lower())
    if meant is None:
        raise value.wrong(f"{key} cannot be {value.text!r}", "It is yes or no.")
    return meant
