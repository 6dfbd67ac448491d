"""From settings to a client of S3: credentials, endpoint, and the arguments that every write carries."""

from __future__ import annotations

import difflib
import gzip
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from .s3errors import FAILURES, explain, foreign

#: How often a request is sent; boto3 waits longer and longer in between.
ATTEMPTS = 5
#: Bytes that are sent without being asked for, and of which many may be in memory at once.
SMALL = 2 << 20
#: Kept open at most: one for each of the most threads that a command takes (``verify --workers 256``), and one that lists.
_CONNECTIONS = 257
#: PutObject's names that are ours to say, that break what we promise, or whose secret every reader would need.
_NO_PUT_ARGS = re.compile(
    "Bucket|Key|Body|If.*|Content(Type|Length|MD5|Encoding)|CacheControl|Metadata|Checksum.*|SSECustomer.*|Write.*"
)
_KEYS = {"access_key_id": "access_key", "secret_access_key": "secret_key", "session_token": "session_token"}
_PUT_OPTIONS = {"acl": "ACL", "sse": "ServerSideEncryption", "kms_key_id": "SSEKMSKeyId"}


def client_of(options: Mapping[str, str], attempts: int) -> Any:
    """Return boto3's client for the bucket that *options* describe: that of botocore, below boto3's own layers.

    What boto3 adds to it, resources and managed transfers, costs a small publish a sixth of its time, and is not used in it.

    :param attempts: how often a request is sent before its failure counts.
    :raises ConfigError: boto3 or credentials are missing, or a setting cannot be.
    """
    if find_spec("boto3") is None:
        raise ConfigError("type aws-s3 needs boto3, which is not installed", hint="pip install boto3")
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=_CONNECTIONS,
        user_agent_extra="pypiprivate",
        # else checksums of boto3's choice, in a framing that imitations store as part of the object; we send our own
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    keys = _keys(options)
    try:
        session = get_session()
        session.set_config_variable("profile", options.get("profile"))
        _hasten(session.get_component("data_loader"))
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_time)
        endpoint = _endpoint(options)
        client = session.create_client("s3", options.get("region"), endpoint_url=endpoint, config=config, **keys)
        client.meta.events.register("before-sign.s3.PutObject", _send_small_at_once)
        client.meta.events.register("before-sign.s3.UploadPart", _send_at_once)
        if not keys and session.get_credentials() is None:
            _, hint = FAILURES["NoCredentialsError"]
            raise ConfigError(f"there are no credentials for the bucket {options['bucket']}", hint=hint)
    except foreign() as error:
        reason, hint = explain(error, bucket=options["bucket"], endpoint=options.get("endpoint", "S3"))
        raise ConfigError(reason, hint=hint) from None  # it may quote what it read
    return client


def read_time(value: Any) -> Any:
    """Read a time as S3 writes it. botocore's own way, which takes any form, is a sixth of the work of a small request.

    :raises ValueError: it is none in any form.
    """
    from botocore.utils import parse_timestamp

    text = str(value)
    with suppress(ValueError):
        read = datetime.fromisoformat if text[:4].isdecimal() else parsedate_to_datetime
        moment = read(text.replace("Z", "+00:00"))
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return parse_timestamp(value)


def _send_small_at_once(request: Any, **_: Any) -> None:
    """boto3 lets every body wait until the store asks for it: one more round trip, for what a refusal would cost to send."""
    from botocore.utils import determine_content_length

    size = determine_content_length(request.data)
    if size is not None and size <= SMALL:
        _send_at_once(request)


def _send_at_once(request: Any, **_: Any) -> None:
    """Of a part, too: whoever may not write here was told so when the upload began."""
    del request.headers["Expect"]


def _hasten(loader: Any) -> None:
    """Half of the time that a client takes to make goes into models: look for them in one place, and read them plainly."""
    loader.file_loader = _Models()
    # botocore, to be sure, would look into each of four hundred directories.
    loader.list_available_services = lambda _kind: [
        found.name for path in map(Path, loader.search_paths) if path.is_dir() for found in path.iterdir()
    ]


class _Models:
    """botocore's ``JSONFileLoader``, but with plain dictionaries: they are ordered, too, and take half the time to make."""

    def exists(self, path: str) -> bool:
        return any(Path(path + ending).is_file() for ending in _OPENERS)

    def load_file(self, path: str) -> Any | None:
        for ending, opened in _OPENERS.items():
            with suppress(FileNotFoundError), opened(path + ending, "rb") as file:
                return json.load(file)
        return None


#: How models are packed, by the end of their names.
_OPENERS: Mapping[str, Callable[[str, str], Any]] = {".json": open, ".json.gz": gzip.open}


def _keys(options: Mapping[str, str]) -> dict[str, Any]:
    keys = {f"aws_{name}": options[option] for name, option in _KEYS.items() if options.get(option)}
    if keys and not {"aws_access_key_id", "aws_secret_access_key"} <= keys.keys():
        raise ConfigError(
            "of PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY only one is set, or neither beside PP_S3_SESSION_TOKEN",
            hint="Set both, or none of the three to use boto3's own credentials.",
        )
    return keys


def _endpoint(options: Mapping[str, str]) -> str | None:
    endpoint = options.get("endpoint")
    if not endpoint:
        return None
    if "@" in endpoint:
        raise ConfigError("endpoint holds a user name or a password", hint="Set PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY instead.")
    try:
        parts = urlsplit(endpoint)
        sound = parts.scheme in {"http", "https"} and parts.hostname
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"endpoint = {endpoint} is no URL", hint="Write it as https://HOST or http://HOST:PORT.")
    return endpoint


def put_args_of(options: Mapping[str, str], members: Mapping[str, Any]) -> dict[str, Any]:
    """Return what acl, sse, kms_key_id and put_args say, as PutObject takes it."""
    arguments = {name: options[option] for option, name in _PUT_OPTIONS.items() if options.get(option)}
    if "SSEKMSKeyId" in arguments and not arguments.get("ServerSideEncryption", "").startswith("aws:kms"):
        raise ConfigError("kms_key_id is for sse = aws:kms", hint="Set sse = aws:kms beside it.")
    for name, value in _parsed(options.get("put_args") or "").items():
        if name in arguments:
            raise ConfigError(f"put_args says {name}, which has an option of its own", hint="Say it once.")
        arguments[name] = _put_arg(name, value, members)
    return arguments


def _parsed(text: str) -> dict[str, Any]:
    form = 'put_args takes Name=Value,Name=Value or, where a value holds a comma, {"Name": "Value"}'
    if not text.lstrip().startswith("{"):
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if not all(equals for _, equals, _ in pairs):
            raise ConfigError(form)
        return {name.strip(): value.strip() for name, _, value in pairs}
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise ConfigError(f"{form}; this is no JSON: {error}") from error


def _put_arg(name: str, value: Any, members: Mapping[str, Any]) -> Any:
    known = sorted(member for member in members if not _NO_PUT_ARGS.fullmatch(member))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        reason = "is not for put_args" if name in members else "is no argument of PutObject"
        raise ConfigError(f"{name} {reason}", hint=f"Do you mean {near[0]}?" if near else f"put_args takes {', '.join(known)}.")
    kind = members[name].type_name
    if kind == "boolean" and str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    if kind == "integer" and str(value).isdecimal():
        return int(value)
    if kind in {"boolean", "integer"} or not isinstance(value, str):
        raise ConfigError(f"{name} of put_args must be of type {kind}")
    return value
