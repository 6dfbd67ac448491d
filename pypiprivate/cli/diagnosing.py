"""``doctor``: tries what cannot be known offline, and says what to change."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..checks import Check, Verdict
from ..errors import ConfigError
from .options import Command, UsageError, add_json, repository_of
from .terminal import print_json, print_lines
from .watching import displayed


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url", metavar="URL", nargs="?", help="where clients read the index, perhaps with USER:PASSWORD@ (default: index_url)"
    )
    parser.add_argument("--public-index", metavar="URL", help="ask this index which of our project names it has; it learns them")
    add_json(parser)


def _doctor(arguments: argparse.Namespace) -> int:
    from ..doctor.webclient import shown  # dear, and no other command needs it

    for name, text in (("URL", arguments.url), ("--public-index", arguments.public_index)):
        _check_url(name, text)
    repository = repository_of(arguments)
    with displayed(arguments) as display, display.waiting("examining") as told:
        checks = repository.examine(
            arguments.url,
            public_index=arguments.public_index,
            checked=lambda _check: told(),
            asking=display.numbers("asking {}"),
        )
    url = arguments.url or repository.settings.index_url
    is_sound = all(check.verdict is not Verdict.FAIL for check in checks)
    if arguments.json:
        said = {"repository": repository.storage.location, "url": shown(url) if url else None, "ok": is_sound}
        print_json(said | {"checks": [_as_json(check) for check in checks]})
    elif lines := [line for check in checks for line in _lines(check, quiet=bool(arguments.quiet))]:
        print_lines(lines)
    return 0 if is_sound else 1


def _check_url(name: str, text: str | None) -> None:
    from ..doctor.webclient import Address

    try:
        _ = text is None or Address.parse(text)
    except ConfigError as error:
        raise UsageError(f"{name}: {error}.", hint=error.hint) from error


def _as_json(check: Check) -> dict[str, Any]:
    return {"name": check.name, "verdict": check.verdict.value, "said": check.said, "way_out": check.way_out}


def _lines(check: Check, *, quiet: bool) -> Iterator[str]:
    if check.verdict in {Verdict.WARN, Verdict.FAIL} or not quiet:
        yield f"{check.verdict.value:<7}  {check.name}: {check.said}"
    if check.way_out:
        yield f"         {check.way_out}"


COMMANDS = (Command("doctor", _add_doctor, _doctor),)
