"""A repository in a bucket of Amazon S3, or of a store that speaks its language.

The only importer of boto3, and only when such a repository is opened. One table puts into words what the
store and boto3 say in codes.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ..errors import ConfigError, Conflict, StorageError, UnsafeStorage
from .base import IMMUTABLE, MUTABLE, OCTETS, Backend, Entry, Option, Sent, Stat, Stored

#: The backend's own (probes); never listed.
_OWN = ".pypiprivate/"
_MIB = 1 << 20
#: Up to this many bytes a file goes out in one request, from memory; a bigger one in parts, read as they are sent.
_WHOLE = 8 * _MIB
#: S3 takes parts of 5 MiB and more, and 10,000 of them at most.
_PART, _PARTS = 5 * _MIB, 9_000
#: Parts, or files of more than a MiB, that are in memory at once.
_IN_MEMORY = 3
#: Codes that mean, beside 412, that another write came in between.
_CONFLICTS = {"ConditionalRequestConflict", "OperationAborted"}
#: How often a request is sent; boto3 waits longer and longer in between.
_ATTEMPTS = 5
#: Seconds to wait before an answer that broke off is asked for again, which boto3 does not do.
_PAUSES = (0.1, 0.2, 0.5, 1.0)
#: As many as threads that publish.
_CONNECTIONS = 16
#: PutObject's names that are ours to say, that break what we promise, or whose secret every reader would need.
_NO_PUT_ARGS = re.compile(
    "Bucket|Key|Body|If.*|Content(Type|Length|MD5|Encoding)|CacheControl|Metadata|Checksum.*|SSECustomer.*|Write.*"
)
_AWS = re.compile(r"\.(amazonaws\.(com|com\.cn|eu)|api\.aws)$")

#: Runs of characters so long that they may be a token or a signature.
_LONG = re.compile(r"\S{40,}")
_KEYS = {"access_key_id": "access_key", "secret_access_key": "secret_key", "session_token": "session_token"}
_PUT_OPTIONS = {"acl": "ACL", "sse": "ServerSideEncryption", "kms_key_id": "SSEKMSKeyId"}
_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)

_UNWRITTEN = "Nothing was written."
_AGAIN = "Running the same command again is safe."

_NO_BUCKET = ("there is no bucket {bucket} at {endpoint}.", "Create it, or correct bucket, region or endpoint.")
_RIGHTS = (
    "Check the credentials and their rights: s3:GetObject, s3:PutObject and s3:DeleteObject on the objects, "
    "s3:ListBucket on the bucket (without it S3 says 403 where an object is missing)."
)
_DENIED = ("access is denied (403).", _RIGHTS)
_EXPIRED = ("the credentials have expired.", "Renew them; with single sign-on: aws sso login.")
_REGION = ("the bucket is in another region{region}.", "Set region to the bucket's own.")
_BUSY = ("the store is overloaded or failing ({detail}).", "Wait a little.")
_NO_ANSWER = (
    "{endpoint} cannot be reached or does not answer ({detail}).",
    "Check network and proxy settings, endpoint and region.",
)
_CUT = ("the connection broke off again and again ({detail}).", "Check network and proxy settings.")
_NO_S3 = ("{endpoint} does not answer as S3 does ({detail}).", "Check endpoint.")

#: Codes of S3, HTTP statuses where it gives none, and boto3's classes: reason and way out.
_FAILURES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("NoSuchBucket", "NoSuchAccessPoint", "404"), _NO_BUCKET),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "401"), _DENIED),
    "SignatureDoesNotMatch": ("the secret key is not the access key's.", "Check PP_S3_SECRET_KEY, or the profile's secret key."),
    "InvalidAccessKeyId": ("the store does not know the access key.", "Check PP_S3_ACCESS_KEY, or the profile; and endpoint."),
    **dict.fromkeys(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"), _EXPIRED),
    **dict.fromkeys(("SSOError", "LoginError", "TokenRetrievalError", "NoAuthTokenError"), _EXPIRED),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong.", "Set it."),
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "301", "307"), _REGION),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), _REGION),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests"), _BUSY),
    **dict.fromkeys(("429", "500", "502", "503", "504"), _BUSY),
    "AccessControlListNotSupported": ("the bucket takes no ACLs.", "Remove acl (and ACL from put_args)."),
    "412": ("it changed while it was being read.", ""),
    **dict.fromkeys(("405", "501"), _NO_S3),
    "SSLError": (
        "{endpoint} could not be trusted ({detail}).",
        "Check endpoint, and AWS_CA_BUNDLE if it has a certificate of its own.",
    ),
    "ProxyConnectionError": ("the proxy for {endpoint} cannot be reached.", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."),
    **dict.fromkeys(("ResponseStreamingError", "IncompleteReadError"), _CUT),
    **dict.fromkeys(("ConnectionError", "HTTPClientError", "HTTPError"), _NO_ANSWER),
    "ParamValidationError": ("{bucket} is no name of a bucket.", "Correct bucket; what comes after the name goes into prefix."),
    "NoCredentialsError": (
        "there are no credentials.",
        "Set PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY, or a profile or role for boto3.",
    ),
    "PartialCredentialsError": ("half of the credentials is missing ({detail}).", "Give both keys."),
    "ProfileNotFound": ("{detail}.", "Correct profile (or AWS_PROFILE), or create it: aws configure."),
    "NoRegionError": ("no region is set.", "Set region."),
    **dict.fromkeys(("ResponseParserError", "AttributeError", "TypeError", "LookupError", "ValueError"), _NO_S3),
}


class S3Storage:
    """A repository below a prefix of a bucket.

    :param client: boto3's client for S3, made for this repository; the credentials are in it.
    :param bucket: its name, or the ARN of an access point.
    :param prefix: of every key, without slashes around it.
    :param put_args: further arguments of PutObject, for everything that is written.
    :param conditional: False: there is one publisher only, and the store is not asked for conditional writes.
    """

    def __init__(
        self, client: Any, bucket: str, *, prefix: str = "", put_args: Mapping[str, Any] | None = None, conditional: bool = True
    ) -> None:
        self._client, self._bucket, self._put_args = client, bucket, dict(put_args or {})
        self._root = f"{prefix.strip('/')}/".lstrip("/")
        self._endpoint = _public(client.meta.endpoint_url)
        self._on_aws = _AWS.search(urlsplit(client.meta.endpoint_url).hostname or "") is not None
        self._few, self._one = BoundedSemaphore(_IN_MEMORY), Lock()
        self.conditional = conditional
        place = f"s3://{bucket}/{self._root}".rstrip("/")
        self.location = place if self._on_aws else f"{place}?endpoint={self._endpoint}"
        # boto3's managed transfer passes on only those arguments that it knows
        client.meta.events.register("provide-client-params.s3.CreateMultipartUpload", self._add_put_args)

    def get(self, key: str) -> Stored | None:
        """See :meth:`.Storage.get`."""
        for pause in _PAUSES:
            with suppress(_Cut):
                return self._get(key)
            time.sleep(pause)
        return self._get(key)

    def swap(self, key: str, body: bytes, *, replacing: Stored | None, content_type: str) -> None:
        """See :meth:`.Storage.swap`."""
        condition = {"IfMatch": replacing.etag} if replacing else {"IfNoneMatch": "*"}
        if not self.conditional:
            self._compare(key, replacing)
            condition = {}
        try:
            self._put(key, body, ContentType=content_type, CacheControl=MUTABLE, **condition)
        except _Refused as error:
            if error.status == 412 or error.code in _CONFLICTS or (replacing and self._is_absent(error)):
                raise Conflict(key) from error
            if error.code == "NotImplemented" and condition:
                header = "If-Match" if replacing else "If-None-Match"
                raise UnsafeStorage(self.location, f"{header} is not implemented") from error
            raise

    def store(self, key: str, body: bytes | Path, *, sha256: str, sent: Sent | None = None) -> None:
        """See :meth:`.Storage.store`."""
        if isinstance(body, bytes):
            self._send(key, body, sha256=sha256, what=self._what(key), sent=sent)
            return
        with _reading(body):
            size = body.stat().st_size
        if size > _WHOLE:
            with self._one:
                self._send_parts(key, body, sha256=sha256, size=size, sent=sent)
            return
        with self._few if size > _MIB else nullcontext():
            with _reading(body):
                data = body.read_bytes()
            self._send(key, data, sha256=sha256, what=str(body), sent=sent)

    def stat(self, key: str) -> Stat | None:
        """See :meth:`.Storage.stat`."""
        answer = self._find("head_object", key, ChecksumMode="ENABLED")
        if answer is None:
            return None
        return Stat(answer["ContentLength"], _sha256(answer), answer["LastModified"], answer.get("ContentType"))

    def read(self, key: str) -> Iterator[bytes]:
        """See :meth:`.Storage.read`. What breaks off is resumed where it did."""
        answer = self._find("get_object", key)
        if answer is None:
            raise StorageError(self._what(key), "there is no such object.", hint=_UNWRITTEN)
        at, etag, pauses = 0, answer["ETag"], iter(_PAUSES)
        while True:
            try:
                for piece in self._pieces(key, answer):
                    at += len(piece)
                    yield piece
                return
            except _Cut:
                pause = next(pauses, None)
                if pause is None:
                    raise
            time.sleep(pause)
            answer = self._resume(key, at, etag)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See :meth:`.Storage.list`. Keys that end in a slash, which consoles make to show directories, are left out."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._root + prefix)
        entries = self._entries(iter(pages), prefix)
        # Amazon lists in the order of keys; a store that keeps directories lists these one by one
        yield from entries if self._on_aws else sorted(entries, key=lambda entry: entry.key)

    def delete(self, key: str) -> None:
        """See :meth:`.Storage.delete`."""
        try:
            with self._translated(key, _AGAIN):
                self._client.delete_object(Bucket=self._bucket, Key=self._root + key)
        except _Refused as error:
            if not self._is_absent(error):
                raise

    def _get(self, key: str) -> Stored | None:
        answer = self._find("get_object", key)
        return Stored(b"".join(self._pieces(key, answer)), answer["ETag"]) if answer else None

    def _find(self, operation: str, key: str, **parameters: Any) -> Any | None:
        """Ask for an object; None only if the store proves that there is none."""
        try:
            return self._ask(operation, key, _UNWRITTEN, **parameters)
        except _Refused as error:
            if not self._is_absent(error):
                raise
            return None

    def _is_absent(self, error: _Refused) -> bool:
        """Tell whether an answer proves that there is no such key: a 404 may as well be the bucket's."""
        if error.status != 404 or error.code == "NoSuchBucket":
            return False
        if error.code != "NoSuchKey":
            with self._translated("", _UNWRITTEN):
                self._client.head_bucket(Bucket=self._bucket)
        return True

    def _ask(self, operation: str, key: str, hint: str, **parameters: Any) -> Any:
        with self._translated(key, hint):
            answer = getattr(self._client, operation)(Bucket=self._bucket, Key=self._root + key, **parameters)
            answer["ETag"]  # whatever answers without one is no S3 store
            return answer

    def _pieces(self, key: str, answer: Any) -> Iterator[bytes]:
        with closing(answer["Body"]) as body:
            while True:
                with self._translated(key, _UNWRITTEN, as_=_Cut):
                    piece = body.read(_MIB)
                if not piece:
                    return
                yield piece

    def _resume(self, key: str, at: int, etag: str) -> Any:
        answer = self._ask("get_object", key, _UNWRITTEN, Range=f"bytes={at}-", IfMatch=etag)
        if not answer.get("ContentRange", "").startswith(f"bytes {at}-"):
            raise StorageError(self._what(key), "the connection broke off, and the store cannot resume.", hint=_UNWRITTEN)
        return answer

    def _compare(self, key: str, replacing: Stored | None) -> None:
        found = self.get(key)
        if (found.etag if found else None) != (replacing.etag if replacing else None):
            raise Conflict(key)

    def _put(self, key: str, body: bytes, **headers: Any) -> None:
        # Amazon checks a SHA-256. Imitations may refuse that header, but know MD5, which S3 had from its first day.
        if self._on_aws:
            headers["ChecksumSHA256"] = base64.b64encode(hashlib.sha256(body).digest()).decode()
        else:
            headers["ContentMD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        self._ask("put_object", key, _AGAIN, Body=body, **headers, **self._put_args)

    def _send(self, key: str, body: bytes, *, sha256: str, what: str, sent: Sent | None) -> None:
        if hashlib.sha256(body).hexdigest() != sha256:
            raise _changed(what)
        self._put(key, body, ContentType=OCTETS, CacheControl=IMMUTABLE, Metadata={"sha256": sha256})
        if sent:
            sent(len(body))

    def _send_parts(self, key: str, path: Path, *, sha256: str, size: int, sent: Sent | None) -> None:
        if self._holds(key, sha256, size):  # a gigabyte is not sent twice
            if sent:
                sent(size)
            return
        try:
            with _reading(path), path.open("rb") as file:
                self._upload(key, _Checked(file, path, sha256), size, sent)
        except _Refused as error:
            if error.code != "NoSuchUpload":  # else: boto3 asked again for what was done, but whose reply was lost
                raise
        if not self._holds(key, sha256, size):
            raise StorageError(self._what(key), "what arrived is not what was sent.", hint=_AGAIN)

    def _holds(self, key: str, sha256: str, size: int) -> bool:
        found = self.stat(key)
        return found is not None and (found.size, found.sha256) == (size, sha256)

    def _upload(self, key: str, file: _Checked, size: int, sent: Sent | None) -> None:
        from boto3.s3.transfer import S3Transfer, TransferConfig

        part = max(_PART, size // _PARTS + 1)
        # "classic", because the other client reads the file by itself
        config = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=part, max_concurrency=_IN_MEMORY, preferred_transfer_client="classic"
        )
        config.max_in_memory_upload_chunks = _IN_MEMORY
        known = {name: value for name, value in self._put_args.items() if name in S3Transfer.ALLOWED_UPLOAD_ARGS}
        ours = {"ContentType": OCTETS, "CacheControl": IMMUTABLE, "Metadata": {"sha256": file.sha256}}
        checked = {"ChecksumAlgorithm": "SHA256"} if self._on_aws else {}
        with self._translated(key, _AGAIN):
            self._client.upload_fileobj(
                file, self._bucket, self._root + key, ExtraArgs={**known, **ours, **checked}, Callback=sent, Config=config
            )

    def _add_put_args(self, params: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        return {**self._put_args, **params}

    def _entries(self, pages: Iterator[Any], prefix: str) -> Iterator[Entry]:
        for page in self._pages(pages, prefix):
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self._root)
                if not key.startswith(_OWN) and not key.endswith("/"):
                    yield Entry(key, found["Size"], found["LastModified"])

    def _pages(self, pages: Iterator[Any], prefix: str) -> Iterator[Any]:
        while True:
            with self._translated(prefix, _UNWRITTEN):
                page = next(pages, None)
                if page is None:
                    return
                if page["IsTruncated"] and "NextContinuationToken" not in page:  # boto3 would take this for the end
                    raise StorageError(self._what(prefix), "the store does not list everything.", hint=_UNWRITTEN)
            yield page

    def _what(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._root}{key}"

    @contextmanager
    def _translated(self, key: str, hint: str, as_: type[StorageError] = StorageError) -> Iterator[None]:
        try:
            yield
        except _foreign() as error:
            reason, way = _explain(error, bucket=self._bucket, endpoint=self._endpoint)
            hint = f"{way} {hint}".strip()
            if _answer(error):
                raise _Refused(self._what(key), reason, hint=hint, status=_status(error), code=_code(error)) from error
            raise as_(self._what(key), reason, hint=hint) from error


class _Refused(StorageError):
    """The store's answer is an error: its HTTP status, and the code of S3 (or the status, where it says none)."""

    def __init__(self, what: str, reason: str, *, hint: str, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(what, reason, hint=hint)


class _Cut(StorageError):
    """The answer's body broke off."""


class _Checked:
    """A file as boto3 reads it to send it: it ends only if what was read has the digest, so that nothing else is kept."""

    def __init__(self, file: BinaryIO, path: Path, sha256: str) -> None:
        self._file, self._path, self.sha256 = file, path, sha256
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._digest.update(piece)
        if not piece and self._digest.hexdigest() != self.sha256:
            raise _changed(str(self._path))
        return piece


def open_bucket(options: Mapping[str, str], *, attempts: int = _ATTEMPTS) -> S3Storage:
    """Open the repository that *options* describe (see :data:`BACKEND`).

    :param attempts: how often a request is sent before its failure counts.
    :raises ConfigError: boto3 or credentials are missing, or a setting cannot be.
    """
    client = _client(options, attempts)
    members = client.meta.service_model.operation_model("PutObject").input_shape.members
    return S3Storage(
        client,
        options["bucket"],
        prefix=options.get("prefix", ""),
        put_args=_all_put_args(options, members),
        conditional=options.get("conditional_writes") != "off",
    )


def _client(options: Mapping[str, str], attempts: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigError("type aws-s3 needs boto3, which is not installed", hint="pip install boto3") from error
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
        session = boto3.session.Session(profile_name=options.get("profile"), region_name=options.get("region"))
        client = session.client("s3", endpoint_url=_endpoint(options), config=config, **keys)
        if not keys and session.get_credentials() is None:
            reason, hint = _FAILURES["NoCredentialsError"]
            raise ConfigError(reason, hint=hint)
    except _foreign() as error:
        reason, hint = _explain(error, bucket=options["bucket"], endpoint=options.get("endpoint", "S3"))
        raise ConfigError(reason, hint=hint) from error
    return client


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
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise ConfigError("endpoint holds a user name or a password", hint="Set PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY instead.")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"endpoint = {endpoint} is no URL", hint="Write it as https://HOST or http://HOST:PORT.")
    return endpoint


def _all_put_args(options: Mapping[str, str], members: Mapping[str, Any]) -> dict[str, Any]:
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
        raise ConfigError(f"{name} of put_args must be a {kind}")
    return value


BACKEND = Backend(
    type="aws-s3",
    scheme="s3",
    options=(
        Option("bucket", "name of the bucket, or the ARN of an access point", required=True),
        Option("prefix", "what the keys of the repository begin with, as in BUCKET/PREFIX/"),
        Option("region", "region of the bucket; else boto3's own"),
        Option("endpoint", "URL of a store that speaks S3; else Amazon's"),
        Option("profile", "profile of ~/.aws/config that gives credentials and region"),
        Option("acl", "canned ACL of what is written; none unless given", choices=_ACLS),
        Option("sse", "encryption at rest", choices=("AES256", "aws:kms", "aws:kms:dsse")),
        Option("kms_key_id", "key for sse = aws:kms"),
        Option("put_args", "further arguments of PutObject: Name=Value,Name=Value or JSON"),
        Option("conditional_writes", "off: the store has none, and there is one publisher at a time", choices=("on", "off")),
        Option("access_key", "access key; without both keys boto3 finds its own", variable="PP_S3_ACCESS_KEY"),
        Option("secret_key", "secret key", variable="PP_S3_SECRET_KEY"),
        Option("session_token", "session token of temporary keys", variable="PP_S3_SESSION_TOKEN"),
    ),
    open=open_bucket,
    url_host="bucket",
    url_path="prefix",
)


def _foreign() -> tuple[type[Exception], ...]:
    """Return everything that boto3 lets out, odd answers that trip its parsers included."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    return (
        ClientError,
        BotoCoreError,
        Boto3Error,
        ResponseParserError,
        HTTPError,
        AttributeError,
        TypeError,
        LookupError,
        ValueError,
    )


def _explain(error: Exception, *, bucket: str, endpoint: str) -> tuple[str, str]:
    """Put an error of boto3 into words: the reason, and the way out."""
    if _answer(error):
        names = [_code(error), str(_status(error))]
        detail = f"{_status(error)} {_code(error)}: {_answer(error)['Error'].get('Message', '')}"
    else:
        names = [kind.__name__ for kind in type(error).__mro__]
        detail = f"{names[0]}: {error}"
    detail = _LONG.sub("…", detail)[:300].rstrip(".: ")
    reason, way = next((_FAILURES[name] for name in names if name in _FAILURES), ("{detail}.", ""))
    return reason.format(detail=detail, bucket=bucket, endpoint=endpoint, region=_region(error)), way


def _answer(error: Exception) -> Any:
    """Return the store's answer, empty where there was none."""
    return getattr(error, "response", None) or {}


def _status(error: Exception) -> int:
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Exception) -> str:
    return str(_answer(error).get("Error", {}).get("Code", ""))


def _region(error: Exception) -> str:
    headers = _answer(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = _answer(error).get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return f", {region}" if region else ""


def _sha256(answer: Any) -> str | None:
    """Return what we noted when we wrote the object, or else what the store computed, if of the whole and not of its parts."""
    metadata: dict[str, str] = answer.get("Metadata", {})  # some stores change the case of names
    noted = {name.lower(): value for name, value in metadata.items()}.get("sha256", "")
    if re.fullmatch("[0-9a-f]{64}", noted):
        return noted
    computed = str(answer.get("ChecksumSHA256", ""))
    if "-" in answer["ETag"] or not re.fullmatch("[A-Za-z0-9+/]{43}=", computed):
        return None
    return base64.b64decode(computed).hex()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(str(path), f"{error.strerror or error}.", hint=_UNWRITTEN) from error


def _changed(what: str) -> StorageError:
    return StorageError(what, "the file changed while it was being published.", hint=_AGAIN)


def _public(url: str) -> str:
    """Return a URL in one spelling, and without what may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path}".rstrip("/")
