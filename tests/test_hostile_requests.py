"""What somebody sends who wants in: nothing but the index can be fetched, and nothing at all without a password."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pypiprivate.model import readme_of
from pypiprivate.recipe import Place

from .served import HIDDEN, SECRET, USER, USERS, ask, basic, bucket, directory, files_of
from .servers import READER, seaweedfs, shared
from .web import by_recipe

NOT_FOUND = frozenset({404})
#: A page by another spelling of its path, or not: both are fine.
SAME_PAGE = frozenset({200, 301, 404})
#: Refused as it is, by anybody and before anything is looked at.
MALFORMED = frozenset({400, 403, 404, 405, 408, 413, 414, 501, 505})


@dataclass(frozen=True)
class Row:
    """A request, byte for byte.

    :ivar raw: ``AUTH`` stands for the line of the credentials.
    :ivar allowed: statuses with credentials.
    :ivar anonymous: statuses without.
    """

    raw: bytes
    allowed: frozenset[int] = NOT_FOUND
    anonymous: frozenset[int] = frozenset({401})


def get(path: str | bytes, allowed: frozenset[int] = NOT_FOUND, *, anonymous: frozenset[int] = frozenset({401})) -> Row:
    path = path if isinstance(path, bytes) else path.encode()
    return Row(b"GET " + path + b" HTTP/1.1\r\nHost: pypi\r\nConnection: close\r\nAUTH\r\n", allowed, anonymous)


def malformed(path: str | bytes) -> Row:
    return get(path, MALFORMED, anonymous=MALFORMED | {401})


def method(line: str, *more: str, body: str = "") -> Row:
    head = "\r\n".join((line, "Host: pypi", "Connection: close", "AUTH", *more)).replace("AUTH\r\n", "AUTH")
    return Row(f"{head}\r\n\r\n{body}".replace("AUTH\r\n\r\n", "AUTH\r\n").encode(), MALFORMED, MALFORMED | {401})


def headers(
    *lines: str, path: str = "/simple/", allowed: frozenset[int] = SAME_PAGE, anonymous: frozenset[int] | None = None
) -> Row:
    head = "".join(f"{line}\r\n" for line in lines)
    raw = f"GET {path} HTTP/1.1\r\nHost: pypi\r\nConnection: close\r\nAUTH{head}\r\n".encode()
    return Row(raw, allowed, anonymous or frozenset({401}))


WHEEL, README = "@WHEEL@", "@README@"
ROWS = {
    # What lies about.
    **{f"hidden {name}": get(f"/simple/{name}".replace(" ", "%20"), frozenset({404, 301})) for name in HIDDEN},
    "site root": get("/"),
    "beside the index": get("/secret.txt"),
    "index of the site": get("/index.html"),
    "beside the prefix": get("/simple-secret.txt"),
    "robots": get("/robots.txt"),
    "error page by its name": get("/@error_html"),
    "internal name": get("/@elsewhere"),
    "directory of a file": get(f"/{WHEEL}/../"),
    "README right in a project": get("/simple/demo/.readme/demo-1.0-py3-none-any.whl.html"),
    "README of nothing": get("/simple/demo/0123456789abcdef0123456789abcdef/.readme/.html"),
    "README of what is hidden": get("/simple/demo/0123456789abcdef0123456789abcdef/.readme/../../../.git/config.html"),
    "README with an ending": get(f"/{README}.bak"),
    "news of a project": get("/simple/demo/news.html"),
    "news above the index": get("/news.html"),
    "news with an ending": get("/simple/news.html~"),
    "directory of a digest": get("/simple/demo/0123456789abcdef0123456789abcdef/"),
    "record of a digest": get("/simple/demo/0123456789abcdef0123456789abcdef/index.json"),
    "missing project": get("/simple/nope/"),
    "missing file": get("/simple/demo/demo-3.0-py3-none-any.whl"),
    # Traversal.
    "dots": get("/simple/../secret.txt"),
    "dots twice": get("/simple/demo/../../secret.txt"),
    "dots above the root": malformed("/../../../../etc/passwd"),
    "dots above the root, from within": malformed("/simple/../../etc/passwd"),
    "dots at the end": get("/simple/demo/..", SAME_PAGE),
    "dots with a page": get("/simple/nope/../demo/", SAME_PAGE),
    "encoded dots": get("/simple/%2e%2e/secret.txt"),
    "encoded dots above the root": malformed("/%2e%2e/%2e%2e/etc/passwd"),
    "half-encoded dots": get("/simple/.%2e/secret.txt"),
    "encoded slash": get("/simple/..%2fsecret.txt"),
    "encoded slash in capitals": get("/simple/..%2Fsecret.txt"),
    "encoded slash above the root": malformed("/simple%2f..%2f..%2f..%2fetc%2fpasswd"),
    "encoded dots and slash": get("/simple/%2e%2e%2fsecret.txt"),
    "encoded slash before a page": get("/simple%2fdemo/", SAME_PAGE),
    "double encoding": get("/simple/%252e%252e/secret.txt"),
    "double encoding of a slash": get("/simple/..%252fsecret.txt"),
    "triple encoding": get("/simple/%25252e%25252e/secret.txt"),
    "overlong UTF-8": get("/simple/%c0%ae%c0%ae/secret.txt"),
    "overlong slash": get("/simple/..%c0%afsecret.txt"),
    "UTF-16 escape": malformed("/simple/%u002e%u002e/secret.txt"),
    "full-width dots": get("/simple/%ef%bc%8e%ef%bc%8e/secret.txt"),
    "backslash": get("/simple/..\\secret.txt"),
    "encoded backslash": get("/simple/..%5csecret.txt"),
    "parameter after dots": get("/simple/..;/secret.txt"),
    "four dots": get("/simple/..../secret.txt"),
    "many dots": malformed("/simple/" + "../" * 60 + "etc/passwd"),
    "slashes": get("//secret.txt"),
    "slashes before a page": get("/simple///demo///", SAME_PAGE),
    "a host in the path": get("//evil.example/simple/demo", SAME_PAGE),
    "current directory": get("/simple/./.git/config"),
    "file as a directory": get("/simple/index.html/", frozenset({301, 404})),
    "page as a directory": get("/simple/demo/index.html/.git/config"),
    # Other spellings of what is hidden.
    "git in capitals": get("/simple/.GIT/config"),
    "git encoded": get("/simple/%2egit/config"),
    "git twice encoded": get("/simple/%252egit/config"),
    "own directory encoded": get("/simple/%2Epypiprivate/locks/demo"),
    "own directory after dots": get("/simple/demo/../.pypiprivate/tmp-demo-1.0.whl"),
    "temporary file as a wheel": get("/simple/.pypiprivate/tmp-demo-1.0.whl"),
    "stream of NTFS": get("/simple/demo/index.html::$DATA"),
    "trailing dot": get("/simple/demo/index.html."),
    "trailing blank": get("/simple/demo/index.html%20"),
    "trailing newline": get("/simple/demo/index.html%0a"),
    "trailing newline of a page": get("/simple/demo/%0a"),
    "trailing newline of a wheel": get(f"/{WHEEL}%0a"),
    "tilde": get("/simple/demo/index.html~"),
    "glob": get("/simple/*/index.html"),
    "short name": get("/simple/GIT~1/config"),
    "capitals of a page": get("/simple/DEMO/index.html"),
    "another kind of file": get("/simple/demo/demo-1.0.exe"),
    "name with a blank": get("/simple/demo/a%20b-1.0.tar.gz"),
    "name that begins with a dash": get("/simple/-demo/"),
    "name that ends in a dash": get("/simple/demo-/"),
    "name that is long": get("/simple/" + "a" * 4000 + "/"),
    "digest that is no digest": get("/simple/demo/0123456789ABCDEF0123456789ABCDEF/demo-1.0-py3-none-any.whl"),
    # NUL and its kin.
    "NUL": malformed(b"/simple/\0"),
    "encoded NUL": malformed("/simple/demo/index.html%00.whl"),
    "encoded NUL before an ending": malformed("/secret.txt%00/simple/"),
    "control characters": malformed(b"/simple/\x01\x7f/"),
    "carriage return and newline": get("/simple/%0d%0aSet-Cookie:%20a=b/"),
    "header in a redirect": get("/simple/demo%0d%0aLocation:%20https:%2f%2fevil.example"),
    "bad escape": malformed("/simple/%zz/"),
    "escape cut short": malformed("/simple/%"),
    "bytes that are no UTF-8": get(b"/simple/\xff\xfe/"),
    # Queries.
    "query with dots": get("/simple/?../secret.txt", SAME_PAGE),
    "query of a listing": get("/simple/?list-type=2&prefix=", SAME_PAGE),
    "query of an ACL": get("/simple/demo/?acl", SAME_PAGE),
    "query of a version": get("/simple/demo/?versionId=null", SAME_PAGE),
    "query of another type": get("/simple/demo/?response-content-type=text/html&response-content-disposition=inline", SAME_PAGE),
    "signed query": get("/simple/.git/config?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b"),
    "fragment": get("/simple/.git/config#/simple/demo/"),
    "encoded question mark": get("/simple/.git/config%3f/index.html"),
    # Request lines.
    "absolute": get("http://evil.example/simple/", SAME_PAGE),
    "absolute, to a file": get("http://pypi/secret.txt"),
    "absolute, of another scheme": malformed("file:///etc/passwd"),
    "metadata of a cloud": get("http://169.254.169.254/latest/meta-data/"),
    "no slash": malformed("simple/"),
    "asterisk": malformed("*"),
    "too long": malformed("/simple/" + "a" * 9000),
    "version 0.9": Row(b"GET /simple/\r\n", frozenset({0, 400, 401}), frozenset({0, 400, 401})),
    "version 1.0": Row(b"GET /simple/.git/config HTTP/1.0\r\nAUTH\r\n"),
    "version 3": Row(b"GET /simple/ HTTP/3.0\r\nHost: pypi\r\nAUTH\r\n", MALFORMED, MALFORMED | {401}),
    "HTTP/2 in the clear": Row(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MALFORMED | {0}, MALFORMED | {0, 401}),
    "no HTTP": Row(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", MALFORMED, MALFORMED | {401}),
    # Methods.
    "PUT": method("PUT /simple/demo/index.html HTTP/1.1", "Content-Length: 4", body="evil"),
    "PUT of a little": method("PUT /simple/demo/index.html HTTP/1.1", "Content-Length: 1", body="e"),
    "POST": method("POST /simple/ HTTP/1.1", "Content-Length: 0"),
    "DELETE": method("DELETE /simple/demo/index.json HTTP/1.1"),
    "PATCH": method("PATCH /simple/ HTTP/1.1", "Content-Length: 0"),
    "OPTIONS": method("OPTIONS /simple/ HTTP/1.1"),
    "TRACE": method("TRACE /simple/ HTTP/1.1"),
    "CONNECT": method("CONNECT 169.254.169.254:80 HTTP/1.1"),
    "PROPFIND": method("PROPFIND /simple/ HTTP/1.1", "Depth: 1"),
    "COPY": method("COPY /simple/.git/config HTTP/1.1", "Destination: /simple/demo/index.html"),
    "MKCOL": method("MKCOL /simple/new/ HTTP/1.1"),
    "PURGE": method("PURGE /simple/ HTTP/1.1"),
    "a method of nobody's": method("EVIL /simple/ HTTP/1.1"),
    "a method in small letters": method("get /simple/ HTTP/1.1"),
    # Headers.
    "method override": headers("X-HTTP-Method-Override: DELETE", path="/simple/demo/index.json"),
    "rewritten URL": headers("X-Original-URL: /secret.txt", "X-Rewrite-URL: /secret.txt"),
    "accelerated": headers("X-Accel-Redirect: /secret.txt", "X-Sendfile: /etc/passwd"),
    "from a friend": headers("X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"),
    "user of a proxy": headers("X-Remote-User: alice", "X-Forwarded-User: alice", "Remote-User: alice"),
    "another host": headers("X-Forwarded-Host: evil.example", path="/simple/demo"),
    "headers of Amazon": headers("X-Amz-Copy-Source: /packages/secret", "x-amz-acl: public-read", "X-Amz-Date: 20000101T000000Z"),
    "own signature": headers("X-Amz-Security-Token: evil", "X-Amz-Content-Sha256: evil"),
    "broken Accept": headers("Accept: ../../secret.txt"),
    "Accept that is long": headers("Accept: " + "application/json," * 400),
    "headers that are too long": headers("X-Long: " + "a" * 40_000, allowed=MALFORMED, anonymous=MALFORMED),
    "headers that are too many": headers(*(f"X-{n}: {'a' * 1000}" for n in range(60)), allowed=MALFORMED, anonymous=MALFORMED),
    "two hosts": headers("Host: evil.example", allowed=MALFORMED, anonymous=MALFORMED),
    "header with a blank before its colon": headers("X-A : b", allowed=MALFORMED | {200}, anonymous=MALFORMED | {401}),
    "folded header": headers("X-A: b", "\tX-B: c", allowed=MALFORMED | {200}, anonymous=MALFORMED | {401}),
    "length and chunks": headers("Content-Length: 5", "Transfer-Encoding: chunked", allowed=MALFORMED, anonymous=MALFORMED),
    "two lengths": headers("Content-Length: 0", "Content-Length: 5", allowed=MALFORMED, anonymous=MALFORMED),
    "odd coding": headers("Transfer-Encoding: xchunked", allowed=MALFORMED, anonymous=MALFORMED),
    "negative length": headers("Content-Length: -1", allowed=MALFORMED, anonymous=MALFORMED),
    "body that is long": headers("Content-Length: 99999999999", allowed=MALFORMED, anonymous=MALFORMED | {401}),
    "expectation": headers("Expect: 100-continue", "Content-Length: 1000", allowed=MALFORMED, anonymous=MALFORMED | {401}),
    "upgrade": headers("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    # Ranges.
    "range past the end": headers("Range: bytes=999999999-", path=f"/{WHEEL}", allowed=frozenset({416})),
    "range backwards": headers("Range: bytes=9-1", path=f"/{WHEEL}", allowed=frozenset({200, 416})),
    "range of nothing": headers("Range: bytes=-0", path=f"/{WHEEL}", allowed=frozenset({200, 416})),
    "range that overflows": headers("Range: bytes=-18446744073709551616", path=f"/{WHEEL}", allowed=frozenset({200, 206, 416})),
    "ranges without end": headers(
        "Range: bytes=" + ",".join(f"{n}-" for n in range(900)), path=f"/{WHEEL}", allowed=frozenset({200, 206, 416})
    ),
    "range of what is hidden": headers("Range: bytes=0-9", path="/simple/.git/config", allowed=NOT_FOUND),
    # Credentials.
    "credentials in the URL": get("http://alice:correct%20horse@pypi/simple/", MALFORMED | {200}, anonymous=MALFORMED | {401}),
    **{
        f"credentials: {what}": Row(
            f"GET /simple/ HTTP/1.1\r\nHost: pypi\r\nConnection: close\r\nAuthorization: {value}\r\n\r\n".encode(),
            frozenset({400, 401}),
            frozenset({400, 401}),
        )
        for what, value in {
            "of nobody": basic("nobody", USER[1]),
            "a wrong password": basic(USER[0], "wrong"),
            "no password": basic(USER[0], ""),
            "the password cut short": basic(USER[0], USER[1][:-1]),
            "the hash as password": basic(USER[0], USERS.strip().partition(":")[2]),
            "the name in capitals": basic(USER[0].upper(), USER[1]),
            "a name with a newline": basic("alice\nbob", USER[1]),
            "a NUL after the name": basic(f"{USER[0]}\0", USER[1]),
            "a NUL before the password": basic(USER[0], f"\0{USER[1]}"),
            "nothing": "Basic ",
            "no Base64": "Basic !!!!",
            "another scheme": "Bearer " + basic(*USER).removeprefix("Basic "),
            "a digest": 'Digest username="alice", uri="/simple/"',
            "much": "Basic " + "QUFB" * 1500,
        }.items()
    },
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    (work / "users").write_text(USERS, "utf-8")
    work.chmod(0o755)
    return work


@contextmanager
def before_directory(work: Path) -> Iterator[str]:
    place = Place("local-filesystem", {"base_path": str(directory(work))})
    (work / "nginx").mkdir()
    with by_recipe("nginx", place, work / "nginx", users=str(work / "users")) as url:
        yield url


@contextmanager
def before_bucket(work: Path) -> Iterator[str]:
    with shared(seaweedfs, work.parent) as server:
        place = Place("aws-s3", bucket(server, "hostile/simple", work))
        (work / "nginx-s3").mkdir()
        keys = work / "keys.json"
        keys.write_text(json.dumps(dict(zip(("AccessKeyId", "SecretAccessKey"), READER, strict=True))), "utf-8")
        with by_recipe("nginx-s3", place, work / "nginx-s3", users=str(work / "users"), credentials=str(keys)) as url:
            yield url


@dataclass(frozen=True)
class Outcome:
    """Answers of one server to every row, and the bodies that it may send."""

    with_credentials: dict[str, bytes]
    anonymous: dict[str, bytes]
    published: frozenset[bytes]


@pytest.fixture(scope="module", params=[before_directory, before_bucket], ids=["directory", "bucket"])
def outcome(request: pytest.FixtureRequest, work: Path) -> Iterator[Outcome]:
    with request.param(work) as url:
        wheel = next(path for path in files_of(url, "foo-bar") if path.endswith(".whl"))
        paths = ["", "index.html", "index.json"]
        for project in ("demo", "foo-bar", "many", "older"):
            paths += [f"{project}/", f"{project}/index.html", *files_of(url, project)]
            paths += [] if project == "older" else [f"{project}/index.json"]
        published = [ask(url, path) for path in paths]
        assert {answer.status for answer in published} == {200}

        def sent(authorization: bytes, row: Row) -> bytes:
            whole = row.raw.replace(b"AUTH", authorization).replace(WHEEL.encode(), f"simple/{wheel}".encode())
            whole = whole.replace(README.encode(), readme_of(f"simple/{wheel}").encode())
            return exchanged(url, whole)

        with ThreadPoolExecutor(48) as pool:
            anonymous = pool.map(partial(sent, b""), ROWS.values())
            known = pool.map(partial(sent, f"Authorization: {basic(*USER)}\r\n".encode()), ROWS.values())
            answers = dict(zip(ROWS, known, strict=True)), dict(zip(ROWS, anonymous, strict=True))
        yield Outcome(*answers, frozenset(answer.body for answer in published))


def exchanged(url: str, raw: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes the connection or says no more."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall(raw)
            while more := connection.recv(65536):
                answer += more
        except (ConnectionResetError, BrokenPipeError):  # it had heard enough
            pass
    return answer


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", answer)
    return int(found[1]) if found else 0


def test_the_table_is_long() -> None:
    assert len(ROWS) == 176  # as docs/serving says


@pytest.mark.parametrize("name", ROWS)
def test_without_a_password_nobody_learns_anything(outcome: Outcome, name: str) -> None:
    answer = outcome.anonymous[name]
    assert status(answer) in ROWS[name].anonymous
    assert SECRET.encode() not in answer
    assert not any(body in answer for body in outcome.published)


@pytest.mark.parametrize("name", ROWS)
def test_with_a_password_only_the_index_can_be_fetched(outcome: Outcome, name: str) -> None:
    answer = outcome.with_credentials[name]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) in ROWS[name].allowed
    assert SECRET.encode() not in answer
    assert b"evil" not in head.lower()
    assert b"set-cookie" not in head.lower()
    if status(answer) == 200:
        assert body in outcome.published
    if status(answer) >= 400:
        assert len(body) < 400
        assert not re.search(rb"nginx/[0-9]|hostile|packages|/srv|amz|NoSuchKey", answer)


@pytest.mark.parametrize("name", ROWS)
def test_one_request_gets_one_answer(outcome: Outcome, name: str) -> None:
    answer = outcome.with_credentials[name]
    assert len(re.findall(rb"HTTP/1\.1 [0-9]{3} [A-Z]", answer)) <= 1
