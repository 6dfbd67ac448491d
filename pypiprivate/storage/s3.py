"""A repository in a bucket of Amazon S3, or of a store that speaks its language.

This and its two neighbours are the only importers of boto3, and only when such a repository is opened: ``s3client`` makes the
client, ``s3errors`` puts into words what the store and boto3 say in codes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ..checks import Check
from ..errors import ConfigError, Conflict, StorageError, UnsafeStorage
from ..model import SLASH_PAGES
from . import s3checks
from .base import IMMUTABLE, MUTABLE, OCTETS, Backend, Entry, Headers, Option, Sent, Stat, Storage, Stored
from .s3client import ATTEMPTS, SMALL, client_of, put_args_of
from .s3errors import AGAIN, Cut, Refused, foreign, translated

#: The backend's own (probes); never listed.
_OWN = ".pypiprivate/"
_MIB = 1 << 20
#: Up to this many bytes a file goes out in one request, from memory; a bigger one in parts, read as they are sent.
_WHOLE = 8 * _MIB
#: S3 takes parts of 5 MiB and more, and 10,000 of them at most.
_PART, _PARTS = 5 * _MIB, 9_000
#: Parts, or files that are not small, that are in memory at once.
_IN_MEMORY = 3
#: Codes that mean, beside 412, that another write came in between.
_CONFLICTS = {"ConditionalRequestConflict", "OperationAborted"}
#: Seconds to wait before an answer that broke off is asked for again, which boto3 does not do.
_PAUSES = (0.1, 0.2, 0.5, 1.0)
#: One of these headers says where an answer's body ends.
_LENGTHS = {"content-length", "transfer-encoding"}
#: Characters from which a key is no plain word, as ``admin``, that messages may hold for other reasons.
_TELLING = 8
_AWS = re.compile(r"\.(amazonaws\.(com|com\.cn|eu)|api\.aws)$")


class S3Storage:
    """A repository below a prefix of a bucket.

    :param client: boto3's client for S3, made for this repository; the credentials are in it.
    :param bucket: its name, or the ARN of an access point.
    :param prefix: of every key, without slashes around it.
    :param put_args: further arguments of PutObject, for everything that is written.
    :param conditional: False: there is one publisher only, and the store is not asked for conditional writes.
    :param slash_pages: see :class:`.Slashing`. There is no place for them without a prefix: the bucket's own URL lists it.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        *,
        prefix: str = "",
        put_args: Mapping[str, Any] | None = None,
        conditional: bool = True,
        slash_pages: str = "",
    ) -> None:
        self._client, self._bucket, self._put_args = client, bucket, dict(put_args or {})
        self._root = f"{prefix.strip('/')}/".lstrip("/")
        self._endpoint = _public(client.meta.endpoint_url)
        self._on_aws = _AWS.search(urlsplit(client.meta.endpoint_url).hostname or "") is not None
        self._few, self._one = BoundedSemaphore(_IN_MEMORY), Lock()
        self.conditional = conditional
        self.slash_pages = slash_pages if self._root else None
        place = f"s3://{bucket}/{self._root}".rstrip("/")
        self.location = place if self._on_aws else f"{place}?endpoint={self._endpoint}"
        # What a request says of the credentials, for a server may echo it. The secret key is never sent.
        self._secrets: set[str] = set()
        client.meta.events.register("before-send.s3", self._note_secrets)
        # boto3's managed transfer passes on only those arguments that it knows
        client.meta.events.register("provide-client-params.s3.CreateMultipartUpload", self._add_put_args)

    def get(self, key: str) -> Stored | None:
        """See :meth:`.Storage.get`."""
        for pause in _PAUSES:
            with suppress(Cut):
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
        except Refused as error:
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
        with self._few if size > SMALL else nullcontext():
            with _reading(body):
                data = body.read_bytes()
            self._send(key, data, sha256=sha256, what=str(body), sent=sent)

    def copy(self, key: str, source: Storage, source_key: str, *, sha256: str) -> bool:
        """See :meth:`.Copying.copy`. Only of what the store itself has computed the digest, and may read."""
        if not isinstance(source, S3Storage) or source._endpoint != self._endpoint:  # noqa: SLF001  one of our kind
            return False
        etag = source._proven(source_key, sha256)  # noqa: SLF001
        if etag is None:
            return False
        headers = {
            "ContentType": OCTETS,
            "CacheControl": IMMUTABLE,
            "Metadata": {"sha256": sha256},
            "MetadataDirective": "REPLACE",
        }
        try:
            with self._translated(key):
                answer = self._client.copy_object(
                    Bucket=self._bucket,
                    Key=self._root + key,
                    CopySource={"Bucket": source._bucket, "Key": source._root + source_key},  # noqa: SLF001
                    CopySourceIfMatch=etag,
                    ChecksumAlgorithm="SHA256",
                    **headers,
                    **self._put_args,
                )
        except Refused:  # it may have changed, other credentials may read it, or the store knows no copies
            return False
        said = answer.get("CopyObjectResult", {}).get("ChecksumSHA256")
        if said is not None and _decoded(said) != sha256:
            raise StorageError(self._what(key), "what arrived is not what was copied.", hint=AGAIN)
        return True

    def relabel(self, key: str) -> bool:
        """See :meth:`.Relabelling.relabel`. A copy of the object onto itself, on condition that it is what we looked at."""
        found = self._find("head_object", key)
        if found is None:
            return False
        place = {"Bucket": self._bucket, "Key": self._root + key}
        headers = {"ContentType": OCTETS, "CacheControl": IMMUTABLE, "Metadata": found.get("Metadata", {})}
        try:
            with self._translated(key):
                self._client.copy_object(
                    **place,
                    CopySource=place,
                    CopySourceIfMatch=found["ETag"],
                    MetadataDirective="REPLACE",
                    **headers,
                    **self._put_args,
                )
        except Refused:  # it may be larger than a copy can be, or the store knows no copies
            return False
        return True

    def stat(self, key: str) -> Stat | None:
        """See :meth:`.Storage.stat`."""
        answer = self._find("head_object", key, ChecksumMode="ENABLED")
        if answer is None:
            return None
        with self._translated(key):
            size, modified = answer["ContentLength"], answer["LastModified"]
            return Stat(size, _sha256(answer), modified, answer.get("ContentType"), _headers(answer))

    def read(self, key: str) -> Iterator[bytes]:
        """See :meth:`.Storage.read`. What breaks off is resumed where it did."""
        answer = self._find("get_object", key)
        if answer is None:
            raise StorageError(self._what(key), "there is no such object.", hint=AGAIN)
        at, etag, pauses = 0, answer["ETag"], iter(_PAUSES)
        while True:
            try:
                for piece in self._pieces(key, answer):
                    at += len(piece)
                    yield piece
                return
            except Cut:
                pause = next(pauses, None)
                if pause is None:
                    raise
            time.sleep(pause)
            answer = self._resume(key, at, etag)

    def list(self, prefix: str) -> Iterator[Entry]:
        """See :meth:`.Storage.list`. Keys that end in a slash are left out: consoles make some to show directories."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._root + prefix)
        entries = self._entries(iter(pages), prefix)
        # Amazon lists in the order of keys; a store that keeps directories lists these one by one
        yield from entries if self._on_aws else sorted(entries, key=lambda entry: entry.key)

    def names(self) -> Iterator[str]:
        """See :meth:`.Naming.names`."""
        listing = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._root, Delimiter="/")
        for page in self._pages(iter(listing), ""):
            for found in page.get("CommonPrefixes", ()):
                name = found["Prefix"].removeprefix(self._root)
                if name != _OWN:
                    yield name.removesuffix("/")

    def delete(self, key: str) -> None:
        """See :meth:`.Storage.delete`."""
        try:
            with self._translated(key):
                self._client.delete_object(Bucket=self._bucket, Key=self._root + key)
        except Refused as error:
            if not self._is_absent(error):
                raise

    def survey(self) -> Iterator[Check]:
        """See :meth:`.Examining.survey`."""
        return self._examined().survey()

    def examine(self, key: str) -> Iterator[Check]:
        """See :meth:`.Examining.examine`."""
        return self._examined().examine(key)

    def _examined(self) -> s3checks.Bucket:
        return s3checks.Bucket(self._client, self._bucket, self._root, self._put_args, self._on_aws, self._translated)

    def _get(self, key: str) -> Stored | None:
        answer = self._find("get_object", key)
        return Stored(b"".join(self._pieces(key, answer)), answer["ETag"], _headers(answer)) if answer else None

    def _proven(self, key: str, sha256: str) -> str | None:
        """Return the ETag of an object of which the store has computed that digest; what we noted proves nothing."""
        answer = self._find("head_object", key, ChecksumMode="ENABLED")
        return str(answer["ETag"]) if answer and _computed(answer) == sha256 else None

    def _find(self, operation: str, key: str, **parameters: Any) -> Any | None:
        """Ask for an object; None only if the store proves that there is none."""
        try:
            return self._ask(operation, key, **parameters)
        except Refused as error:
            if not self._is_absent(error):
                raise
            return None

    def _is_absent(self, error: Refused) -> bool:
        """Tell whether an answer proves that there is no such key: a 404 may as well be the bucket's."""
        if error.status != 404 or error.code == "NoSuchBucket":
            return False
        if error.code != "NoSuchKey":
            with self._translated(""):
                self._client.head_bucket(Bucket=self._bucket)
        return True

    def _ask(self, operation: str, key: str, **parameters: Any) -> Any:
        with self._translated(key):
            answer = getattr(self._client, operation)(Bucket=self._bucket, Key=self._root + key, **parameters)
            if "Body" in answer and not _LENGTHS & answer["ResponseMetadata"]["HTTPHeaders"].keys():
                # what broke off in its headers would be taken for an empty object
                raise Cut(self._what(key), "the connection broke off before the answer began.", hint=AGAIN)
            answer["ETag"]  # whatever answers without one is no S3 store
            return answer

    def _pieces(self, key: str, answer: Any) -> Iterator[bytes]:
        with closing(answer["Body"]) as body:
            while True:
                with self._translated(key, as_=Cut):
                    piece = body.read(_MIB)
                if not piece:
                    return
                yield piece

    def _resume(self, key: str, at: int, etag: str) -> Any:
        answer = self._ask("get_object", key, Range=f"bytes={at}-", IfMatch=etag)
        if not answer.get("ContentRange", "").startswith(f"bytes {at}-"):
            raise StorageError(self._what(key), "the connection broke off, and the store cannot resume.", hint=AGAIN)
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
        self._ask("put_object", key, Body=body, **headers, **self._put_args)

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
        except Refused as error:
            if error.code != "NoSuchUpload":  # else: boto3 asked again for what was done, but whose reply was lost
                raise
        if not self._holds(key, sha256, size):
            raise StorageError(self._what(key), "what arrived is not what was sent.", hint=AGAIN)

    def _holds(self, key: str, sha256: str, size: int) -> bool:
        found = self.stat(key)
        return found is not None and (found.size, found.sha256) == (size, sha256)

    def _upload(self, key: str, file: _Checked, size: int, sent: Sent | None) -> None:
        from boto3.s3.inject import upload_fileobj
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
        with self._translated(key):
            upload_fileobj(
                self._client,
                file,  # type: ignore[arg-type]  # it is read, and nothing else
                self._bucket,
                self._root + key,
                ExtraArgs={**known, **ours, **checked},
                Callback=sent,
                Config=config,
            )

    def _note_secrets(self, request: Any, **_: Any) -> None:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        key = re.search("Credential=([^/]+)/", headers.get("authorization", ""))
        told = (key[1] if key else "", headers.get("x-amz-security-token", ""))
        self._secrets.update(text for text in told if len(text) >= _TELLING)

    def _add_put_args(self, params: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        return {**self._put_args, **params}

    def _pages(self, pages: Iterator[Any], prefix: str) -> Iterator[Any]:
        while True:
            with self._translated(prefix):
                page = next(pages, None)
                if page is None:
                    return
                if page["IsTruncated"] and "NextContinuationToken" not in page:  # boto3 would take this for the end
                    raise StorageError(self._what(prefix), "the store does not list everything.", hint=AGAIN)
            yield page

    def _entries(self, pages: Iterator[Any], prefix: str) -> Iterator[Entry]:
        for page in self._pages(pages, prefix):
            with self._translated(prefix):
                found = [(entry["Key"], entry["Size"], entry["LastModified"]) for entry in page.get("Contents", ())]
            for name, size, modified in found:
                key = name.removeprefix(self._root)
                if key and not key.startswith(_OWN) and not key.endswith("/"):
                    yield Entry(key, size, modified)

    def _what(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._root}{key}"

    @contextmanager
    def _translated(self, key: str, *, as_: type[StorageError] = StorageError) -> Iterator[None]:
        try:
            yield
        except foreign() as error:
            what = self._what(key)
            place = {"bucket": self._bucket, "endpoint": self._endpoint}
            # Without the cause, which a traceback would show: boto3 quotes answers, header values and proxy URLs as they are.
            raise translated(error, what, hint=AGAIN, **place, secrets=tuple(self._secrets), as_=as_) from None


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


def open_bucket(options: Mapping[str, str], *, attempts: int = ATTEMPTS) -> S3Storage:
    """Open the repository that *options* describe (see :data:`BACKEND`).

    :param attempts: how often a request is sent before its failure counts.
    :raises ConfigError: boto3 or credentials are missing, or a setting cannot be.
    """
    if options.get("slash_pages") and not options.get("prefix", "").strip("/"):
        reason = "slash_pages needs a prefix, for the URL of a bucket itself is a listing"
        raise ConfigError(reason, hint="Choose one, as in: prefix = simple")
    client = client_of(options, attempts)
    members = client.meta.service_model.operation_model("PutObject").input_shape.members
    return S3Storage(
        client,
        options["bucket"],
        prefix=options.get("prefix", ""),
        put_args=put_args_of(options, members),
        conditional=options.get("conditional_writes") != "off",
        slash_pages=options.get("slash_pages", ""),
    )


_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)

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
        Option("slash_pages", "objects PROJECT/ beside the pages, for clients that read the bucket itself", choices=SLASH_PAGES),
        Option("access_key", "access key; without both keys boto3 finds its own", variable="PP_S3_ACCESS_KEY"),
        Option("secret_key", "secret key", variable="PP_S3_SECRET_KEY"),
        Option("session_token", "session token of temporary keys", variable="PP_S3_SESSION_TOKEN"),
    ),
    open=open_bucket,
    url_host="bucket",
    url_path="prefix",
)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _headers(answer: Any) -> Headers:
    return Headers(answer.get("ContentType", ""), answer.get("CacheControl", ""), answer.get("ContentEncoding", ""))


def _sha256(answer: Any) -> str | None:
    """Return what we noted when we wrote the object, or else what the store computed."""
    metadata: dict[str, str] = answer.get("Metadata", {})  # some stores change the case of names
    noted = {name.lower(): value for name, value in metadata.items()}.get("sha256", "")
    if re.fullmatch("[0-9a-f]{64}", noted):
        return noted
    return _computed(answer)


def _computed(answer: Any) -> str | None:
    """Return the digest that the store computed, if of the whole and not of its parts."""
    return None if "-" in answer["ETag"] else _decoded(answer.get("ChecksumSHA256", ""))


def _decoded(checksum: object) -> str | None:
    return base64.b64decode(str(checksum)).hex() if re.fullmatch("[A-Za-z0-9+/]{43}=", str(checksum)) else None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(str(path), f"{error.strerror or error}.", hint=AGAIN) from error


def _changed(what: str) -> StorageError:
    return StorageError(what, "the file changed while it was being published.", hint=AGAIN)


def _public(url: str) -> str:
    """Return a URL in one spelling, and without what may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path}".rstrip("/")
