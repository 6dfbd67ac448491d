"""Every failing path with recognisable credentials: none of them is in anything that we print, log, raise, return or write."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from pypiprivate import open_repository
from pypiprivate.errors import ConfigError, PypiPrivateError
from pypiprivate.storage.s3 import S3Storage, open_bucket

from .builders import make_wheel
from .faults import Answer, Fault, Proxy, proxy
from .proof import FULL, figure
from .servers import ADMIN, BUCKET, READER, Server, free_ports, seaweedfs, shared

#: Short ones: what is long is easily told from a word.
ACCESS, SECRET, TOKEN, PASSWORD = "AKIAFAKEACCESS", "fAkEsEcReT", "fAkEtOkEn", "fAkEpAsSwOrD"
NEEDLES = (ACCESS, SECRET, TOKEN, PASSWORD)
KEYS = {"PP_S3_ACCESS_KEY": ACCESS, "PP_S3_SECRET_KEY": SECRET, "PP_S3_SESSION_TOKEN": TOKEN}


def leaks(text: str | bytes, needles: tuple[str, ...] = NEEDLES) -> list[str]:
    """Return which credentials a text holds: plain, quoted, in base64, or half of one."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    forms = {
        needle: [
            needle,
            quote(needle, safe=""),
            needle[: len(needle) * 2 // 3],
            b64encode(needle.encode()).decode().rstrip("=")[:-1],
        ]
        for needle in needles
    }
    return [needle for needle, spelt in forms.items() if any(form.encode() in data for form in spelt)]


def assert_discreet(error: PypiPrivateError) -> None:
    """Neither the error nor its traceback, with all causes that it shows, holds credentials."""
    assert leaks("".join(traceback.format_exception(error)) + str(error) + error.hint + repr(error)) == []


def test_the_search_finds_what_it_searches_for() -> None:
    assert leaks(f"xx{SECRET}xx") == [SECRET]
    assert leaks(f"Authorization: Basic {b64encode(PASSWORD.encode()).decode()}") == [PASSWORD]
    assert leaks(f"bad port {PASSWORD[:-3]}") == [PASSWORD]
    assert leaks("access is denied (403).") == []


# -- answers that say again what they were asked ------------------------------------------------------------------------------


def echo(status: int, code: str, *, form: str = "xml", location: str = "") -> Fault:
    """Answer with the headers of the request, as helpful gateways do."""

    def fault(client: Any, _ask: Callable[[], Answer]) -> None:
        # The credentials come first, for a message may be cut.
        headers = sorted(client.headers.items(), key=lambda item: not re.search("auth|token", item[0], re.IGNORECASE))
        said = " ".join(f"{name}: {value}" for name, value in headers) + f" //user:{PASSWORD}@host"
        region = client.headers.get("X-Amz-Security-Token", "")
        xml = f"<Error><Code>{code}</Code><Message>{escape(said)}</Message><Region>{escape(region)}</Region></Error>"
        bodies = {
            "xml": xml,
            "html": f"<html><body>{escape(said)}</body></html>",
            "text": said,
            "json": json.dumps(dict(headers)),
        }
        more = {"Location": location, "x-amz-bucket-region": region, "X-Echo": said}
        client.give(Answer(status, {name: value for name, value in more.items() if value}, bodies[form].encode()))

    return fault


ANSWERS = [
    *((400, "InvalidArgument"), (400, "AuthorizationHeaderMalformed"), (400, "ExpiredToken"), (401, "Unauthorized")),
    *(
        (403, "AccessDenied"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "RequestTimeTooSkewed"),
        (403, TOKEN),
    ),
    *((404, "NoSuchBucket"), (405, "MethodNotAllowed"), (409, "Odd"), (412, "Odd"), (418, "Teapot"), (429, "SlowDown")),
    *((500, "InternalError"), (501, "NotImplemented"), (502, ""), (503, "ServiceUnavailable"), (200, "InternalError")),
    *((301, "PermanentRedirect"), (302, "Found"), (307, "TemporaryRedirect")),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with proxy() as running:
        yield running


@pytest.fixture(scope="module")
def echoed(server: Proxy) -> S3Storage:
    options = {"bucket": "b", "region": "us-east-1", "access_key": ACCESS, "secret_key": SECRET, "session_token": TOKEN}
    return open_bucket({**options, "endpoint": server.url}, attempts=1)


@pytest.mark.parametrize("form", ["xml", "html", "text", "json"] if FULL else ["xml", "text"])
@pytest.mark.parametrize(("status", "code"), ANSWERS, ids=lambda value: str(value).replace(TOKEN, "TOKEN"))
def test_no_answer_brings_credentials_into_an_error_or_its_traceback(
    server: Proxy, echoed: S3Storage, caplog: pytest.LogCaptureFixture, tmp_path: Path, status: int, code: str, form: str
) -> None:
    caplog.set_level(logging.DEBUG, "pypiprivate")
    storage = S3Storage(echoed._client, "b")  # which has sent nothing yet
    (tmp_path / "file").write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    seen = 0
    for call in (
        partial(storage.get, "index.json"),
        partial(storage.swap, "index.json", b"{}", replacing=None, content_type="application/json"),
        partial(storage.store, "demo/0/x", tmp_path / "file", sha256=digest),
        partial(storage.stat, "demo/0/x"),
        lambda: list(storage.list("demo/")),
        lambda: list(storage.read("demo/0/x")),
        partial(storage.delete, "demo/0/x"),
    ):
        server.clear()
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            server.inject(*[echo(status, code, form=form, location=f"{server.url}/elsewhere")] * 5, method=method)
        try:
            call()
        except PypiPrivateError as error:
            seen += 1
            assert_discreet(error)
    assert seen or status in {200, 404, 412}
    assert leaks(caplog.text) == []


@pytest.mark.parametrize("endpoint", ["http://[", "http://[::1", "ftp://host", "host:9000", "http://", "//host"])
def test_an_endpoint_that_is_no_url_is_named(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="is no URL"):
        open_bucket({"bucket": "b", "region": "us-east-1", "access_key": ACCESS, "secret_key": SECRET, "endpoint": endpoint})


def test_no_redirect_takes_credentials_to_another_host(server: Proxy) -> None:
    options = {"bucket": "b", "region": "us-east-1", "access_key": ACCESS, "secret_key": SECRET, "session_token": TOKEN}
    with proxy() as elsewhere:
        for status, code in [(301, "PermanentRedirect"), (302, "Found"), (307, "TemporaryRedirect"), (308, "PermanentRedirect")]:
            server.clear()
            for method in ("GET", "HEAD"):
                server.inject(*[echo(status, code, location=f"{elsewhere.url}/b/index.json")] * 5, method=method)
            with pytest.raises(PypiPrivateError):
                open_bucket({**options, "endpoint": server.url}, attempts=1).get("index.json")
        assert elsewhere.requests == []


# -- commands -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A command that fails, or not, with credentials about.

    :ivar arguments: of the program, or of setup.py where they begin with ``publish_private``.
    :ivar files: written into the directory that it runs in.
    :ivar given: what stands in files or on the command line by the user's own hand, and is let stand where it is.
    """

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    code: int = 1


def _cases(url: str, closed: str, answering: str, keys: Mapping[str, str]) -> Iterator[Case]:
    """Yield every failing path that was thought of.

    :param url: of a real store. ``closed``: of nobody. ``answering``: of one that repeats all headers of a request.
    :param keys: credentials that the real store takes.
    """
    upload = ("-vv", "upload", "demo-1.0-py3-none-any.whl", "--json")

    def at(endpoint: str, bucket: str = BUCKET) -> tuple[str, ...]:
        return ("-r", f"s3://{bucket}/simple?region=us-east-1&endpoint={endpoint}", *upload)

    yield Case("the right keys", at(url), keys, code=0)
    yield Case("a dry run", (*at(url), "--dry-run"), keys, code=0)
    yield Case("unknown keys", at(url), KEYS)
    yield Case("a wrong secret key", at(url), {**keys, "PP_S3_SECRET_KEY": SECRET})
    yield Case("half of the keys", at(url), {"PP_S3_SECRET_KEY": SECRET})
    yield Case("no bucket", at(url, "no-such-bucket"), keys)
    yield Case("no bucket, a dry run", (*at(url, "no-such-bucket"), "--dry-run"), keys)
    yield Case("a closed port", at(closed), KEYS)
    yield Case("a store that echoes", at(answering), KEYS)
    yield Case("a token with a line end", at(url), {**keys, "PP_S3_SESSION_TOKEN": f"{TOKEN}\nX: {TOKEN}"})
    yield Case("a key with a line end", at(url), {**KEYS, "PP_S3_ACCESS_KEY": f"{ACCESS}\r\n"})
    yield Case("keys that are no ASCII", at(url), {**KEYS, "PP_S3_ACCESS_KEY": f"{ACCESS}ä\u2028"})
    yield Case("a password in the endpoint", at(f"http://user:{PASSWORD}@127.0.0.1:9"), KEYS)
    yield Case("half a URL as endpoint", at(f"user:{PASSWORD}@127.0.0.1:9"), KEYS)
    yield Case("an endpoint that does not parse", at(f"http://user:{PASSWORD}@[::1"), KEYS)
    yield Case("a password in the repository", ("-r", f"s3://user:{PASSWORD}@bucket/simple", *upload), KEYS)
    yield Case("a repository that does not parse", ("-r", f"s3://user:{PASSWORD}@[bucket/simple", *upload), KEYS)
    yield Case("a repository of another kind", ("-r", f"https://user:{PASSWORD}@host/simple", *upload), KEYS)
    yield Case("a secret in a URL's options", ("-r", f"s3://bucket/simple?secret_key={SECRET}", *upload), {})
    yield Case("a repository in the environment", upload, {**KEYS, "PP_REPOSITORY": f"s3://user:{PASSWORD}@bucket/simple"})
    for number, broken in enumerate(
        (f"http://user:{PASSWORD}@127.0.0.1:1", f"http://user:{PASSWORD}/x@127.0.0.1:1", f"user:{PASSWORD}@h:x")
    ):
        environ = {
            **KEYS,
            "HTTP_PROXY": broken,
            "http_proxy": broken,
            "HTTPS_PROXY": broken,
            "https_proxy": broken,
            "NO_PROXY": "",
        }
        yield Case(f"a proxy with a password, {number}", at("http://store.invalid"), environ)
    profile = f"[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    aws = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    yield Case("keys of a profile", at(answering), aws, {"credentials": profile})
    yield Case("a profile that does not parse", at(url), aws, {"credentials": f"{profile}{SECRET}\n[{TOKEN}\n"})
    yield Case("a profile that is missing", (at(url)[0], f"{at(url)[1]}&profile=none", *upload), aws, {"credentials": profile})
    yield from _configured(url, keys)
    yield from _built(url, closed, answering, keys)


def _configured(url: str, keys: Mapping[str, str]) -> Iterator[Case]:
    upload = ("-c", "my.cfg", "-vv", "upload", "demo-1.0-py3-none-any.whl", "--json")
    sound = f"[storage]\ntype = aws-s3\n[aws-s3]\nbucket = {BUCKET}\nregion = us-east-1\nendpoint = {url}\n"
    for number, line in enumerate(
        (
            f"secret_key = {SECRET}",
            f"aws_secret_access_key = {SECRET}",
            f"password={PASSWORD}",
            f"put_args = SSECustomerKey={SECRET}",
            f"index_url = https://user:{PASSWORD}@pypi.example/simple/",
            f"kms_key_id = %({SECRET}",
            f"{SECRET}",
            f"[{SECRET}",
        )
    ):
        yield Case(f"a secret in a file, {number}", upload, keys, {"my.cfg": f"{sound}{line}\n"})
    interpolated = sound.replace(url, "%(ENDPOINT)s")
    environ = {**KEYS, "ENDPOINT": f"http://user:{PASSWORD}@127.0.0.1:9"}
    yield Case("a secret by interpolation", ("-i", *upload), environ, {"my.cfg": interpolated})
    yield Case("no interpolation", upload, environ, {"my.cfg": interpolated})


def _built(url: str, closed: str, answering: str, keys: Mapping[str, str]) -> Iterator[Case]:
    setup = "from setuptools import setup\nsetup(name='demo', version='1.0', py_modules=[])\n"
    command = ("sdist", "bdist_wheel", "publish_private", "-v")
    where = "[publish_private]\ntype = aws-s3\nbucket = {}\nregion = us-east-1\nendpoint = {}\n"
    for name, config, environ, code in (
        ("the right keys", where.format(BUCKET, url), keys, 0),
        ("unknown keys", where.format(BUCKET, url), KEYS, 1),
        ("a closed port", where.format(BUCKET, closed), KEYS, 1),
        ("a store that echoes", where.format(BUCKET, answering), KEYS, 1),
        ("a secret in setup.cfg", f"{where.format(BUCKET, url)}secret_key = {SECRET}\n", keys, 1),
        ("a password in setup.cfg", f"[publish_private]\nrepository = s3://user:{PASSWORD}@bucket/x\n", keys, 1),
    ):
        yield Case(f"setup.py, {name}", command, environ, {"setup.py": setup, "setup.cfg": config}, code)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with shared(seaweedfs, tmp_path_factory.getbasetemp()) as running:
        yield running


def test_no_command_prints_or_writes_credentials(store: Server, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    sound = {"PP_S3_ACCESS_KEY": ADMIN[0], "PP_S3_SECRET_KEY": ADMIN[1]}
    with proxy() as answering:
        for method in ("GET", "HEAD", "PUT"):
            answering.inject(*[echo(418, "Teapot")] * 500, method=method)
        cases = list(_cases(store.url, f"http://127.0.0.1:{port}", answering.url, sound))
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(partial(_run, tmp_path), range(len(cases)), cases))
    for case, (code, printed, directory) in zip(cases, done, strict=True):
        assert code == case.code, f"{case.name}: {printed}"
        assert "Traceback" not in printed, f"{case.name}: {printed}"
        assert leaks(printed, (*NEEDLES, ADMIN[1])) == [], f"{case.name}: {printed}"
        for path in (path for path in directory.rglob("*") if path.is_file() and path.name not in case.files):
            assert leaks(path.read_bytes(), (*NEEDLES, ADMIN[1])) == [], f"{case.name}: {path}"
    figure("secrets", commands=len(cases), failing=sum(case.code != 0 for case in cases))
    _assert_nothing_stored_holds(store, (*NEEDLES, *ADMIN[1:], READER[1]))


def _run(tmp_path: Path, number: int, case: Case) -> tuple[int, str, Path]:
    directory = tmp_path / f"{number}"
    directory.mkdir()
    make_wheel(directory)
    for name, text in case.files.items():
        (directory / name).write_text(text, "utf-8")
    program = ["setup.py"] if "publish_private" in case.arguments else ["-m", "pypiprivate"]
    env = {**os.environ, "HOME": str(directory), "PYTHONIOENCODING": "utf-8", **case.environ}
    command = [sys.executable, *program, *case.arguments]
    done = subprocess.run(command, cwd=directory, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), directory


def _assert_nothing_stored_holds(store: Server, needles: tuple[str, ...]) -> None:
    client = store.client()
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET, Prefix="simple/").get("Contents", [])]
    assert any(key.endswith("demo/index.json") for key in keys)
    for key in keys:
        answer = client.get_object(Bucket=BUCKET, Key=key)
        assert leaks(key.encode() + answer["Body"].read() + repr(answer["Metadata"]).encode(), needles) == []


# -- the Python interface -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "repository",
    [
        f"s3://user:{PASSWORD}@bucket/simple",
        f"s3://user:{PASSWORD}@[bucket/simple",
        f"s3://bucket/simple?endpoint=http://user:{PASSWORD}@host",
        f"s3://bucket/simple?endpoint=http://user:{PASSWORD}@[host",
        f"s3://bucket/simple?secret_key={SECRET}",
        f"s3://bucket/simple?token={TOKEN}",
        f"https://user:{PASSWORD}@host/",
        f"file://user:{PASSWORD}@host/srv",
    ],
)
def test_no_error_of_the_python_interface_holds_credentials(tmp_path: Path, repository: str) -> None:
    with pytest.raises(PypiPrivateError) as caught:
        open_repository(repository, project=tmp_path, environ=KEYS).publish([make_wheel(tmp_path)])
    # Its own lines: a traceback quotes the source, and the call above holds none of them.
    assert leaks("".join(traceback.format_exception(caught.value)) + caught.value.hint) == []


def test_no_value_that_people_print_holds_credentials() -> None:
    repository = open_repository("s3://bucket/simple?region=us-east-1", environ=KEYS)
    assert (
        leaks(
            f"{repository!r} {repository.settings!r} {repository.settings} {repository.storage!r} {repository.storage.location}"
        )
        == []
    )
