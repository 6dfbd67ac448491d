"""What a bucket promises beyond the contract of all backends: on real servers, and when things go wrong."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pypiprivate.errors import ConfigError, Conflict, PypiPrivateError, StorageError, UnsafeStorage
from pypiprivate.storage import open_storage
from pypiprivate.storage.s3 import S3Storage, open_bucket
from pypiprivate.storage.s3client import read_time
from pypiprivate.storage.s3errors import explain

from .faults import Fault, Proxy, cut_body, cut_request, let_through, lose_reply, proxy, refuse, say
from .servers import ADMIN, BUCKET, READER, Server, juicefs

JSON = "application/vnd.pypi.simple.v1+json"
RECORD = "spam/index.json"
BIG = 9 << 20
RERUN = "Running the same command again is safe."
UNWRITTEN = "Running the same command again is safe."


@pytest.fixture(scope="module")
def faulty(seaweed: Server) -> Iterator[Proxy]:
    with proxy(seaweed.url) as running:
        yield running


@pytest.fixture(scope="module")
def clients(seaweed: Server, faulty: Proxy) -> list[S3Storage]:
    """Clients that ask the proxy once, and twice at most, so that nothing waits long; they are slow to make."""
    return [open_bucket(seaweed.options(endpoint=faulty.url), attempts=attempts) for attempts in (1, 2)]


@pytest.fixture
def faults(faulty: Proxy) -> Iterator[Proxy]:
    faulty.requests.clear()
    faulty.headers.clear()
    yield faulty
    assert faulty.is_spent(), "a fault was never met"


@pytest.fixture
def storage(clients: list[S3Storage], faults: Proxy) -> S3Storage:
    """A new repository behind the proxy."""
    return S3Storage(clients[1]._client, BUCKET, prefix=secrets.token_hex(8))


@pytest.fixture
def once(clients: list[S3Storage], faults: Proxy) -> S3Storage:
    """A new repository behind the proxy, where nothing is asked twice."""
    return S3Storage(clients[0]._client, BUCKET, prefix=secrets.token_hex(8))


@pytest.fixture
def alone(seaweed: Server, faults: Proxy) -> S3Storage:
    """The same, with a client of its own, for what a client remembers."""
    return open_bucket(seaweed.options(endpoint=faults.url, prefix=secrets.token_hex(8)), attempts=1)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A file that is sent in parts."""
    path = tmp_path / "spam-1.0.tar.gz"
    path.write_bytes(b"spam" * (BIG // 4))
    return path


# what lies in the bucket


def test_what_is_written_says_what_it_is_and_how_long_to_keep_it(seaweed: Server, artifact: Path) -> None:
    storage = open_storage("aws-s3", seaweed.options(prefix="/headers/simple/"))
    storage.swap(RECORD, b"{}", replacing=storage.get(RECORD), content_type=JSON)
    storage.store("spam/0/small", b"small", sha256=sha256(b"small"))
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    artifacts = ("application/octet-stream", "max-age=31536000, immutable")
    for key, expected in {
        RECORD: (JSON, "max-age=0, must-revalidate"),
        "spam/0/small": artifacts,
        "spam/0/big": artifacts,
    }.items():
        head = seaweed.client().head_object(Bucket=BUCKET, Key=f"headers/simple/{key}")
        assert (head["ContentType"], head["CacheControl"]) == expected
        assert "ContentEncoding" not in head


def test_no_acl_and_no_framing_is_sent_but_a_checksum_is(storage: S3Storage, faults: Proxy, artifact: Path) -> None:
    storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    storage.store("spam/0/small", b"small", sha256=sha256(b"small"))
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    assert not {"x-amz-acl", "content-encoding", "x-amz-trailer", "transfer-encoding"} & {
        name for sent in faults.headers for name in sent
    }
    assert [("content-md5" in headers) for headers in faults.headers[:2]] == [True, True]


def test_the_digest_is_known_without_reading(storage: S3Storage, seaweed: Server, artifact: Path) -> None:
    body = artifact.read_bytes()
    storage.store("spam/0/small", b"small", sha256=sha256(b"small"))
    storage.store("spam/0/big", artifact, sha256=sha256(body))
    root = storage._root
    seaweed.client().put_object(Bucket=BUCKET, Key=f"{root}spam/old-1.0.tar.gz", Body=b"old", ChecksumAlgorithm="SHA256")
    seaweed.client().put_object(Bucket=BUCKET, Key=f"{root}spam/odd-1.0.tar.gz", Body=b"odd", Metadata={"sha256": "odd"})
    keys = ("spam/0/small", "spam/0/big", "spam/old-1.0.tar.gz", "spam/odd-1.0.tar.gz")
    stats = [storage.stat(key) for key in keys]
    assert [stat and stat.sha256 for stat in stats] == [sha256(b"small"), sha256(body), sha256(b"old"), None]


def test_what_consoles_put_there_is_not_listed(storage: S3Storage, seaweed: Server) -> None:
    storage.store("spam/0/small", b"small", sha256=sha256(b"small"))
    seaweed.client().put_object(Bucket=BUCKET, Key=f"{storage._root}spam/", Body=b"")
    seaweed.client().put_object(Bucket=BUCKET, Key=f"{storage._root}empty/", Body=b"")
    assert [entry.key for entry in storage.list("")] == ["spam/0/small"]


def test_a_listing_of_several_pages_is_complete(alone: S3Storage, faults: Proxy) -> None:
    alone._client.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3})
    keys = [f"spam/{number}" for number in range(8)]
    for key in keys:
        alone.store(key, b"x", sha256=sha256(b"x"))
    assert [entry.key for entry in alone.list("spam/")] == keys
    assert [method for method, _ in faults.requests].count("GET") == 3


def test_a_location_names_bucket_prefix_and_endpoint(seaweed: Server) -> None:
    upper = seaweed.url.replace("http://127.0.0.1", "http://LOCALHOST") + "/"
    assert open_bucket(seaweed.options()).location == f"s3://{BUCKET}?endpoint={seaweed.url}"
    assert (
        open_bucket(seaweed.options(prefix="a/b/", endpoint=upper)).location == f"s3://{BUCKET}/a/b?endpoint={upper.lower()[:-1]}"
    )
    assert open_bucket({**KEYS, "bucket": BUCKET, "prefix": "a", "region": "eu-west-1"}).location == f"s3://{BUCKET}/a"


def test_settings_of_put_object_go_with_everything_that_is_written(seaweed: Server, faults: Proxy, artifact: Path) -> None:
    put_args = '{"StorageClass": "STANDARD_IA", "BucketKeyEnabled": "true", "Tagging": "a=1&b=2"}'
    storage = open_bucket(seaweed.options(endpoint=faults.url, prefix="put-args", acl="private", put_args=put_args))
    storage.swap(RECORD, b"{}", replacing=storage.get(RECORD), content_type=JSON)
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    writes = [headers for (method, path), headers in zip(faults.requests, faults.headers, strict=True) if creates(method, path)]
    names = ("x-amz-acl", "x-amz-storage-class", "x-amz-server-side-encryption-bucket-key-enabled", "x-amz-tagging")
    assert [tuple(headers.get(name) for name in names) for headers in writes] == [
        ("private", "STANDARD_IA", "true", "a=1&b=2")
    ] * 2


# big artifacts


def test_a_big_artifact_is_not_sent_twice(storage: S3Storage, faults: Proxy, artifact: Path) -> None:
    sent = list[int]()
    for _ in range(2):
        storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()), sent=sent.append)
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    methods = [method for method, _ in faults.requests]
    assert (methods.count("PUT"), methods.count("POST"), sum(sent)) == (2, 2, 2 * BIG)


def test_a_lost_reply_to_the_last_request_of_a_big_artifact_is_looked_into(
    storage: S3Storage, faults: Proxy, artifact: Path
) -> None:
    faults.inject(let_through, lose_reply, refuse(404, "NoSuchUpload"), method="POST")
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    assert sha256(b"".join(storage.read("spam/0/big"))) == sha256(artifact.read_bytes())


def test_a_big_artifact_that_is_refused_is_an_error(once: S3Storage, faults: Proxy, artifact: Path) -> None:
    faults.inject(refuse(403, "AccessDenied"), method="POST")
    with pytest.raises(StorageError, match="access is denied"):
        once.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))


def refuse_at_once(client: Any, _ask: object) -> None:
    """Answer before the body was sent, and hang up."""
    client.wfile.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    client.close_connection = True


@pytest.mark.parametrize("fault", [refuse(503, "SlowDown"), refuse_at_once, cut_request, lose_reply])
def test_a_part_that_did_not_arrive_is_sent_again(storage: S3Storage, faults: Proxy, artifact: Path, fault: Fault) -> None:
    sent: list[int] = []
    faults.inject(fault, method="PUT")
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()), sent=sent.append)
    assert (sum(sent), sha256(b"".join(storage.read("spam/0/big")))) == (BIG, sha256(artifact.read_bytes()))


def test_a_big_artifact_that_did_not_arrive_whole_is_an_error(storage: S3Storage, faults: Proxy, artifact: Path) -> None:
    empty = say(200, headers={"ETag": '"x"', "Last-Modified": "Sun, 22 Nov 2026 12:00:00 GMT"})
    faults.inject(let_through, let_through, empty, method="HEAD")  # there is no object, but a bucket; what arrived
    with pytest.raises(StorageError, match="what arrived is not what was sent"):
        storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))


def test_nothing_is_left_of_a_big_artifact_that_changed_on_its_way(storage: S3Storage, seaweed: Server, artifact: Path) -> None:
    with pytest.raises(StorageError, match=f"{artifact}: the file changed while it was being published"):
        storage.store("spam/0/big", artifact, sha256=sha256(b"before"))
    uploads = seaweed.client().list_multipart_uploads(Bucket=BUCKET, Prefix=storage._root)
    assert (storage.stat("spam/0/big"), uploads.get("Uploads", [])) == (None, [])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs to know the memory of a process")
def test_memory_stays_flat_whatever_the_size(seaweed: Server, tmp_path: Path) -> None:
    script = """if True:
        import hashlib, json, re, sys
        from pathlib import Path
        from pypiprivate.storage import open_storage
        storage, path = open_storage("aws-s3", json.loads(sys.argv[1])), Path(sys.argv[2])
        storage.store("spam/0/huge", path, sha256=sys.argv[3])
        print(re.search(r"VmHWM: *(.*) kB", Path("/proc/self/status").read_text().replace("\t", " "))[1])
    """
    digest = hashlib.sha256()
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(150 << 20)
    for _ in range(150):
        digest.update(bytes(1 << 20))
    options = json.dumps(seaweed.options(prefix="memory"))
    command = [sys.executable, "-c", script, options, str(tmp_path / "huge"), digest.hexdigest()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000


# conditions


def test_a_lost_reply_is_a_conflict_that_holds_our_own_bytes(storage: S3Storage, faults: Proxy) -> None:
    faults.inject(lose_reply, method="PUT")
    with pytest.raises(Conflict):
        storage.swap(RECORD, b"ours", replacing=None, content_type=JSON)
    found = storage.get(RECORD)
    assert found is not None
    assert found.body == b"ours"


@pytest.mark.parametrize(
    "fault", [refuse(409, "ConditionalRequestConflict"), refuse(409, "OperationAborted"), refuse(412, "PreconditionFailed")]
)
def test_a_write_that_came_in_between_is_a_conflict(once: S3Storage, faults: Proxy, fault: Fault) -> None:
    faults.inject(fault, method="PUT")
    with pytest.raises(Conflict):
        once.swap(RECORD, b"{}", replacing=None, content_type=JSON)


@pytest.mark.parametrize("fault", [refuse(404, "NoSuchKey"), say(404)])
def test_what_is_replaced_but_gone_is_a_conflict(once: S3Storage, faults: Proxy, fault: Fault) -> None:
    once.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    faults.inject(fault, method="PUT")
    with pytest.raises(Conflict):
        once.swap(RECORD, b"new", replacing=once.get(RECORD), content_type=JSON)


def test_a_missing_bucket_is_no_conflict(once: S3Storage, faults: Proxy) -> None:
    once.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    faults.inject(refuse(404, "NoSuchBucket"), method="PUT")
    with pytest.raises(StorageError, match="there is no bucket"):
        once.swap(RECORD, b"new", replacing=once.get(RECORD), content_type=JSON)


def test_a_store_without_conditions_that_says_so_is_unsafe(once: S3Storage, faults: Proxy) -> None:
    faults.inject(refuse(501, "NotImplemented"), method="PUT")
    with pytest.raises(UnsafeStorage, match="If-None-Match is not implemented"):
        once.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    once.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    faults.inject(refuse(501, "NotImplemented"), method="PUT")
    with pytest.raises(UnsafeStorage, match="If-Match is not implemented"):
        once.swap(RECORD, b"new", replacing=once.get(RECORD), content_type=JSON)


def test_who_vouches_for_one_publisher_needs_no_conditions(seaweed: Server, faults: Proxy) -> None:
    prefix = secrets.token_hex(8)
    storage = open_bucket(seaweed.options(endpoint=faults.url, prefix=prefix, conditional_writes="off"), attempts=1)
    assert not storage.conditional
    storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
    storage.swap(RECORD, b"two", replacing=storage.get(RECORD), content_type=JSON)
    with pytest.raises(Conflict):
        storage.swap(RECORD, b"three", replacing=None, content_type=JSON)
    assert not {"if-match", "if-none-match"} & {name for headers in faults.headers for name in headers}
    faults.inject(refuse(501, "NotImplemented"), method="PUT")
    with pytest.raises(StorageError, match="does not answer as S3"):
        storage.swap("egg/index.json", b"{}", replacing=None, content_type=JSON)


def test_juicefs_ignores_conditions(tmp_path: Path) -> None:
    with juicefs(tmp_path) as server:
        storage = open_bucket(server.options())
        storage.swap(RECORD, b"one", replacing=None, content_type=JSON)
        stale = storage.get(RECORD)
        storage.swap(RECORD, b"two", replacing=None, content_type=JSON)
        storage.swap(RECORD, b"three", replacing=stale, content_type=JSON)
        found = storage.get(RECORD)
    assert found is not None
    assert found.body == b"three"


# answers that break off


def test_a_document_that_breaks_off_is_read_again(storage: S3Storage, faults: Proxy) -> None:
    storage.swap(RECORD, b"x" * 1_000, replacing=None, content_type=JSON)
    faults.inject(cut_body, cut_body, method="GET")
    found = storage.get(RECORD)
    assert found is not None
    assert found.body == b"x" * 1_000


def test_a_document_that_always_breaks_off_is_an_error(storage: S3Storage, faults: Proxy) -> None:
    storage.swap(RECORD, b"x" * 1_000, replacing=None, content_type=JSON)
    faults.inject(*[cut_body] * 5, method="GET")
    with pytest.raises(StorageError, match=f"{RECORD}: the connection broke off again and again") as caught:
        storage.get(RECORD)
    assert UNWRITTEN in caught.value.hint


def test_a_stream_that_breaks_off_goes_on_where_it_did(storage: S3Storage, faults: Proxy, artifact: Path) -> None:
    body = artifact.read_bytes()
    storage.store("spam/0/big", artifact, sha256=sha256(body))
    faults.inject(cut_body, cut_body, method="GET")
    assert sha256(b"".join(storage.read("spam/0/big"))) == sha256(body)
    ranges = [
        headers.get("range") for (method, _), headers in zip(faults.requests, faults.headers, strict=True) if method == "GET"
    ]
    assert ranges[0] is None
    assert ranges[1] != ranges[2]


def test_a_stream_that_always_breaks_off_is_an_error(storage: S3Storage, faults: Proxy) -> None:
    storage.store("spam/0/small", b"x" * 1_000, sha256=sha256(b"x" * 1_000))
    faults.inject(*[cut_body] * 5, method="GET")
    with pytest.raises(StorageError, match="the connection broke off again and again"):
        b"".join(storage.read("spam/0/small"))


def test_a_stream_is_not_put_together_from_two_objects(storage: S3Storage, faults: Proxy) -> None:
    storage.store("spam/0/small", b"x" * 1_000, sha256=sha256(b"x" * 1_000))
    stream = storage.read("spam/0/small")
    faults.inject(cut_body, method="GET")
    faults.inject(refuse(412, "PreconditionFailed"), method="GET")
    with pytest.raises(StorageError, match="it changed while it was being read"):
        b"".join(stream)


def test_a_store_that_cannot_resume_is_an_error(storage: S3Storage, faults: Proxy) -> None:
    storage.store("spam/0/small", b"x" * 1_000, sha256=sha256(b"x" * 1_000))
    faults.inject(cut_body, say(200, b"x" * 1_000, headers={"ETag": '"x"'}), method="GET")
    with pytest.raises(StorageError, match="the store cannot resume"):
        b"".join(storage.read("spam/0/small"))


def test_a_stream_may_be_left_early(storage: S3Storage, artifact: Path) -> None:
    storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    stream = storage.read("spam/0/big")
    assert next(stream)
    del stream
    assert storage.stat("spam/0/big") is not None


# a failed read is never "absent"


@pytest.mark.parametrize(
    "fault",
    [
        refuse(403, "AccessDenied"),
        refuse(500, "InternalError"),
        refuse(503, "SlowDown"),
        refuse(404, "NoSuchBucket"),
        say(429),
        lose_reply,
    ],
    ids=["403", "500", "503", "no bucket", "429", "cut"],
)
@pytest.mark.parametrize("verb", ["get", "stat", "list", "read"])
def test_a_failed_read_is_never_absent(once: S3Storage, faults: Proxy, verb: str, fault: Fault) -> None:
    faults.inject(fault, method="HEAD" if verb == "stat" else "GET")
    if verb == "stat":
        faults.inject(fault, method="HEAD")
        faults.inject(let_through, method="HEAD")
    with pytest.raises(StorageError) as caught:
        use(once, verb)
    assert UNWRITTEN in caught.value.hint
    faults.clear()


def test_a_bare_404_is_believed_only_if_the_bucket_is_there(once: S3Storage, faults: Proxy) -> None:
    faults.inject(say(404), method="GET")
    assert once.get(RECORD) is None
    faults.inject(say(404), method="GET")
    faults.inject(say(404), method="HEAD")
    with pytest.raises(StorageError, match=f"there is no bucket {BUCKET}"):
        once.get(RECORD)


def test_an_answer_without_size_and_time_is_no_answer(once: S3Storage, faults: Proxy) -> None:
    faults.inject(say(200, headers={"ETag": '"x"'}), method="HEAD")
    with pytest.raises(StorageError, match="does not answer as S3 does"):
        once.stat(RECORD)


def test_an_incomplete_listing_is_an_error(once: S3Storage, faults: Proxy) -> None:
    cut_short = b"<ListBucketResult><IsTruncated>true</IsTruncated><Name>packages</Name></ListBucketResult>"
    faults.inject(say(200, cut_short), method="GET")
    with pytest.raises(StorageError, match="the store does not list everything"):
        list(once.list(""))


@pytest.mark.parametrize("body", [b"<html><p>welcome</html>", b"<html></html>", b""], ids=["no xml", "xml", "empty"])
@pytest.mark.parametrize("verb", ["get", "stat", "list", "swap", "read", "store"])
def test_a_web_server_is_no_store(once: S3Storage, faults: Proxy, verb: str, body: bytes) -> None:
    method = {"stat": "HEAD", "swap": "PUT", "store": "PUT"}.get(verb, "GET")
    faults.inject(say(200, body, headers={"Content-Type": "text/html"}), method=method)
    with pytest.raises(StorageError, match="does not answer as S3 does|overloaded or failing"):
        use(once, verb)


def test_deleting_what_is_gone_is_no_error_but_a_refusal_is(once: S3Storage, faults: Proxy) -> None:
    faults.inject(refuse(404, "NoSuchKey"), refuse(403, "AccessDenied"), method="DELETE")
    once.delete(RECORD)
    with pytest.raises(StorageError, match="access is denied") as caught:
        once.delete(RECORD)
    assert RERUN in caught.value.hint


# one clear sentence each


@pytest.mark.parametrize(
    ("fault", "reason", "hint"),
    [
        (refuse(403, "AccessDenied"), "access is denied", "s3:ListBucket"),
        (refuse(403, "ExpiredToken"), "the credentials have expired", "aws sso login"),
        (refuse(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong", "Set it"),
        (refuse(301, "PermanentRedirect"), "the bucket is in another region, eu-south-2", "Set region"),
        (refuse(400, "AuthorizationHeaderMalformed"), "the bucket is in another region, eu-south-2", "Set region"),
        (say(301, headers={"x-amz-bucket-region": "eu-west-3"}), "the bucket is in another region, eu-west-3", "Set region"),
        (refuse(400, "AccessControlListNotSupported"), "the bucket takes no ACLs", "Remove acl"),
        (refuse(503, "SlowDown", "Reduce your rate."), "overloaded or failing .503 SlowDown: Reduce your rate", "Wait"),
        (refuse(400, "KMS.DisabledException", "The key is disabled."), "400 KMS.DisabledException: The key is disabled", ""),
        (say(405), "does not answer as S3 does", "Check endpoint"),
        (lose_reply, "cannot be reached or does not answer", "Check network"),
    ],
)
def test_an_error_says_what_and_what_to_do(alone: S3Storage, faults: Proxy, fault: Fault, reason: str, hint: str) -> None:
    faults.inject(fault, fault, method="PUT")  # twice, because boto3 looks for the right region by itself
    with pytest.raises(StorageError, match=f"^s3://{BUCKET}/{alone._root}{RECORD}: .*{reason}") as caught:
        alone.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    assert hint in caught.value.hint
    assert RERUN in caught.value.hint
    faults.clear()


def test_an_error_tells_no_secret(once: S3Storage, faults: Proxy) -> None:
    token = secrets.token_urlsafe(60)
    faults.inject(refuse(400, "Odd", f"you sent {token} and I do not like it"), method="PUT")
    with pytest.raises(StorageError, match="400 Odd: you sent … and I do not like it") as caught:
        once.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    assert token not in str(caught.value) + caught.value.hint


def test_a_short_failure_is_outlasted(storage: S3Storage, faults: Proxy) -> None:
    faults.inject(refuse(503, "SlowDown"), method="PUT")
    faults.inject(refuse(500, "InternalError"), method="GET")
    storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
    assert storage.get(RECORD) is not None


@pytest.mark.parametrize("verb", ["get", "stat", "list", "swap", "store", "delete", "read"])
def test_a_missing_bucket_is_named(seaweed: Server, verb: str) -> None:
    with pytest.raises(StorageError, match=f"there is no bucket missing at {seaweed.url}"):
        use(open_bucket(seaweed.options(bucket="missing"), attempts=1), verb)


@pytest.mark.parametrize("verb", ["swap", "store", "delete"])
def test_who_may_only_read_is_told(seaweed: Server, verb: str) -> None:
    storage = open_bucket(seaweed.options(keys=READER, prefix=secrets.token_hex(8)), attempts=1)
    assert (storage.get(RECORD), storage.stat(RECORD), list(storage.list(""))) == (None, None, [])
    with pytest.raises(StorageError, match="access is denied") as caught:
        use(storage, verb)
    assert "s3:PutObject" in caught.value.hint


def test_a_wrong_secret_is_told(seaweed: Server) -> None:
    with pytest.raises(StorageError, match="the secret key is not the access key's") as caught:
        open_bucket(seaweed.options(keys=(ADMIN[0], "wrong")), attempts=1).get(RECORD)
    assert "PP_S3_SECRET_KEY" in caught.value.hint


def test_an_unknown_access_key_is_told(seaweed: Server) -> None:
    with pytest.raises(StorageError, match="the store does not know the access key") as caught:
        open_bucket(seaweed.options(keys=("nobody", "wrong")), attempts=1).get(RECORD)
    assert "PP_S3_ACCESS_KEY" in caught.value.hint


def test_a_closed_port_is_told(seaweed: Server) -> None:
    with pytest.raises(StorageError, match="http://127.0.0.1:9 cannot be reached"):
        open_bucket(seaweed.options(endpoint="http://127.0.0.1:9"), attempts=1).get(RECORD)


def test_a_proxy_that_is_not_there_is_told(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:proxy-password@127.0.0.1:9")
    with pytest.raises(StorageError, match="the proxy for http://store.invalid cannot be reached") as caught:
        open_bucket(seaweed.options(endpoint="http://store.invalid"), attempts=1).get(RECORD)
    assert "proxy-password" not in str(caught.value) + caught.value.hint


def test_a_server_that_cannot_be_trusted_is_told(faults: Proxy, seaweed: Server) -> None:
    endpoint = faults.url.replace("http:", "https:")
    with pytest.raises(StorageError, match=f"{endpoint} could not be trusted"):
        open_bucket(seaweed.options(endpoint=endpoint), attempts=1).get(RECORD)


@pytest.mark.parametrize("bucket", ["a b", "packages/simple", "arn:aws:s3:::packages"])
def test_a_name_that_no_bucket_has_is_told(seaweed: Server, bucket: str) -> None:
    with pytest.raises(StorageError, match="is no name of a bucket|ARN") as caught:
        open_bucket(seaweed.options(bucket=bucket), attempts=1).get(RECORD)
    assert bucket in str(caught.value)


# credentials and settings

KEYS = {"access_key": "any", "secret_key": "any"}


@pytest.mark.parametrize("keys", [{"access_key": "any"}, {"secret_key": "any"}, {"session_token": "any"}])
def test_half_of_the_keys_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY"):
        open_bucket({"bucket": BUCKET, **keys})


def test_no_credentials_at_all_are_told() -> None:
    with pytest.raises(ConfigError, match="there are no credentials") as caught:
        open_bucket({"bucket": BUCKET})
    assert "PP_S3_ACCESS_KEY" in caught.value.hint


def test_an_unknown_profile_is_told() -> None:
    with pytest.raises(ConfigError, match=r"The config profile \(nobody\) could not be found"):
        open_bucket({"bucket": BUCKET, "profile": "nobody"})


def test_a_profile_gives_credentials_and_region(seaweed: Server, aws_config: Path) -> None:
    aws_config.write_text(
        f"[profile ci]\nregion = us-east-1\naws_access_key_id = {ADMIN[0]}\naws_secret_access_key = {ADMIN[1]}\n"
    )
    storage = open_bucket({"bucket": BUCKET, "profile": "ci", "endpoint": seaweed.url, "prefix": secrets.token_hex(8)})
    assert storage.get(RECORD) is None


def test_half_a_profile_is_told(aws_config: Path) -> None:
    aws_config.write_text("[profile ci]\naws_access_key_id = any\n")
    with pytest.raises(ConfigError, match="half of the credentials is missing"):
        open_bucket({"bucket": BUCKET, "profile": "ci"})


def test_a_broken_file_of_profiles_is_told(aws_config: Path) -> None:
    aws_config.write_text("[profile ci\n")
    with pytest.raises(ConfigError, match="Unable to parse config file"):
        open_bucket({"bucket": BUCKET, "profile": "ci"})


def test_an_expired_single_sign_on_is_told(aws_config: Path) -> None:
    aws_config.write_text(
        """
        [profile ci]
        sso_session = acme
        sso_account_id = 123456789012
        sso_role_name = publisher
        region = eu-west-1
        [sso-session acme]
        sso_region = eu-west-1
        sso_start_url = https://acme.invalid/start
    """.replace("        ", "")
    )
    with pytest.raises(PypiPrivateError, match="the credentials have expired") as caught:
        open_bucket({"bucket": BUCKET, "profile": "ci"}, attempts=1).get(RECORD)
    assert "aws sso login" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"endpoint": "https://user:hidden@store.invalid"}, "endpoint holds a user name or a password"),
        ({"endpoint": "127.0.0.1:9000"}, "endpoint = 127.0.0.1:9000 is no URL"),
        ({"endpoint": "ftp://store.invalid"}, "is no URL"),
        ({"region": "eu west"}, "Provided region_name 'eu west' doesn't match a supported format."),
        ({"kms_key_id": "any"}, "kms_key_id is for sse = aws:kms"),
        ({"kms_key_id": "any", "sse": "AES256"}, "kms_key_id is for sse = aws:kms"),
        ({"acl": "private", "put_args": "ACL=public-read"}, "put_args says ACL, which has an option of its own"),
        ({"put_args": "StorageClass"}, "put_args takes Name=Value"),
        ({"put_args": "{StorageClass: x}"}, "this is no JSON"),
        ({"put_args": "Storageclass=STANDARD"}, "Storageclass is no argument of PutObject"),
        ({"put_args": "Xyzzy=1"}, "Xyzzy is no argument of PutObject"),
        ({"put_args": "IfMatch=x"}, "IfMatch is not for put_args"),
        ({"put_args": "ContentType=text/plain"}, "ContentType is not for put_args"),
        ({"put_args": "SSECustomerKey=x"}, "SSECustomerKey is not for put_args"),
        ({"put_args": "BucketKeyEnabled=perhaps"}, "BucketKeyEnabled of put_args must be of type boolean"),
        (
            {"put_args": "ObjectLockEventHoldDurationDays=many"},
            "ObjectLockEventHoldDurationDays of put_args must be of type integer",
        ),
        ({"put_args": '{"StorageClass": 1}'}, "StorageClass of put_args must be of type string"),
    ],
)
def test_a_setting_that_cannot_be_is_told(options: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)) as caught:
        open_bucket({"bucket": BUCKET, **KEYS, **options})
    assert "hidden" not in str(caught.value) + caught.value.hint


def test_the_nearest_name_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        open_bucket({"bucket": BUCKET, **KEYS, "put_args": "Storageclass=STANDARD"})
    assert caught.value.hint == "Do you mean StorageClass?"


def test_settings_become_arguments_of_put_object() -> None:
    put_args = " StorageClass=STANDARD_IA , BucketKeyEnabled=True, ObjectLockEventHoldDurationDays=3, Tagging=a=1&b=2 "
    storage = open_bucket({"bucket": BUCKET, **KEYS, "sse": "aws:kms", "kms_key_id": "key", "put_args": put_args})
    assert storage._put_args == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key",
        "StorageClass": "STANDARD_IA",
        "BucketKeyEnabled": True,
        "ObjectLockEventHoldDurationDays": 3,
        "Tagging": "a=1&b=2",
    }


def test_amazon_checks_a_sha256_of_everything(artifact: Path) -> None:
    seen = list[Mapping[str, Any]]()
    from moto import mock_aws  # only where its tests run

    with mock_aws():
        storage = open_bucket({"bucket": BUCKET, **KEYS, "region": "us-east-1"})
        storage._client.create_bucket(Bucket=BUCKET)
        storage._client.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.headers), unique_id="x")
        storage.swap(RECORD, b"{}", replacing=None, content_type=JSON)
        storage.store("spam/0/small", b"small", sha256=sha256(b"small"))
        storage.store("spam/0/big", artifact, sha256=sha256(artifact.read_bytes()))
    assert sum("x-amz-checksum-sha256" in headers for headers in seen) == 2


def test_boto3_is_imported_only_when_a_bucket_is_opened() -> None:
    script = "import sys, pypiprivate.storage as s; s.backends(); assert not {'boto3', 'botocore'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_missing_boto3_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigError, match="needs boto3") as caught:
        open_bucket({"bucket": BUCKET})
    assert "pip install boto3" in caught.value.hint


@pytest.fixture
def aws_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


def use(storage: S3Storage, verb: str) -> object:
    """Call one verb of a storage."""
    uses: dict[str, Callable[[], object]] = {
        "get": lambda: storage.get(RECORD),
        "stat": lambda: storage.stat(RECORD),
        "list": lambda: list(storage.list("")),
        "read": lambda: list(storage.read(RECORD)),
        "swap": lambda: storage.swap(RECORD, b"{}", replacing=None, content_type=JSON),
        "store": lambda: storage.store("spam/0/small", b"small", sha256=sha256(b"small")),
        "delete": lambda: storage.delete(RECORD),
    }
    return uses[verb]()


def creates(method: str, path: str) -> bool:
    """Tell whether a request begins to write an object."""
    return (method == "PUT" and "partNumber" not in path) or (method == "POST" and path.endswith("?uploads"))


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("endpoint", ["user:hunter2@host", "http://user:hunter2@host", "http://host/hunter2@"])
def test_a_password_in_the_endpoint_is_refused_and_not_shown(endpoint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_bucket({"bucket": "acme", "endpoint": endpoint, "access_key": "a", "secret_key": "s"})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("text", ["Failed to parse: http://u:hun ter2@127.0.0.1:9", "Invalid header value b'tok\\nhunter2'"])
def test_what_a_library_says_is_told_without_its_secrets(text: str) -> None:
    reason, _ = explain(ValueError(text), bucket="acme", endpoint="http://host")
    assert "ter2" not in reason


@pytest.mark.parametrize(
    "said",
    [
        "Sun, 22 Nov 2026 19:23:07 GMT",
        "2026-11-22T19:23:07Z",
        "2026-11-22T19:23:07.000Z",
        "2026-11-22T20:23:07+01:00",
        "2026-11-22T19:23:07",
        "20261122T192307Z",
        "Sunday, 22-Nov-26 19:23:07 GMT",
        1795375387,
    ],
)
def test_a_time_is_read_in_every_form_that_stores_write(said: object) -> None:
    assert read_time(said) == datetime(2026, 11, 22, 19, 23, 7, tzinfo=timezone.utc)


def test_what_is_no_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        read_time("yesterday")
