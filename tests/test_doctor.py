"""``doctor`` finds what is wrong with a store and with what serves it, says so, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pypiprivate import artifact, doctor, open_repository
from pypiprivate.checks import Check
from pypiprivate.cli import main
from pypiprivate.doctor.webclient import Address, Client, Unanswered
from pypiprivate.errors import ConfigError, StorageError
from pypiprivate.publish import publish
from pypiprivate.storage import localchecks
from pypiprivate.storage.base import Entry, Stat, Storage, Stored
from pypiprivate.storage.local import LocalStorage
from pypiprivate.storage.memory import MemoryStorage
from pypiprivate.storage.s3 import S3Storage, open_bucket
from pypiprivate.storage.s3checks import Bucket

from .builders import make_sdist, make_wheel
from .faults import Answer, Fault, Proxy, let_through, proxy, refuse, say
from .repositories import Imitation, Observed, in_turn, put, snapshot
from .servers import ADMIN, BUCKET, READER, Server, juicefs, moto
from .web import _nginx, code_blocks, free_port, http_server, nginx, nginx_before_bucket

JSON = "application/vnd.pypi.simple.v1+json"
#: Of keys in a bucket that other processes of the tests use, too.
PREFIX = f"doctor-{os.getpid()}"
#: What a web server's user needs; the temporary directory of the tests is open to nobody else.
ALL_OK_BUT = {"readable"}


def verdicts(checks: tuple[Check, ...]) -> dict[str, str]:
    return {check.name: check.verdict.value for check in checks}


def remarkable(checks: tuple[Check, ...]) -> dict[str, str]:
    """What is not ok."""
    return {name: verdict for name, verdict in verdicts(checks).items() if verdict != "ok" and name not in ALL_OK_BUT}


def named(checks: tuple[Check, ...], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def fill(storage: Storage, directory: Path) -> None:
    files = [
        make_wheel(directory, "demo", "1.0"),
        make_sdist(directory, "demo", "1.0"),
        make_wheel(directory, "Other.One", "2.0+cu118"),
    ]
    publish([artifact.read(path) for path in files], storage, gather=in_turn)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("srv") / "simple"
    fill(LocalStorage(path), tmp_path_factory.mktemp("dist"))
    return path


@pytest.fixture(scope="module")
def from_nginx(index: Path) -> Iterator[str]:
    with nginx(index) as url:
        yield url


@pytest.fixture(scope="module")
def way(from_nginx: str) -> Iterator[Proxy]:
    with proxy(from_nginx) as running:
        yield running


@pytest.fixture
def web(way: Proxy) -> Iterator[Proxy]:
    """A proxy before nginx, which is configured as the README says."""
    way.clear()
    yield way
    way.clear()


def url_of(web: Proxy) -> str:
    return f"{web.url}/simple/"


def asked(web: Proxy, index: Path) -> tuple[Check, ...]:
    return doctor.web.examine(Client(Address.parse(url_of(web))), doctor.project.sample(LocalStorage(index)))


def change(web: Proxy, key: str, fault: Fault, *, method: str = "") -> None:
    web.at_random(fault, seed=0, share=1.0, method=method, key=key)


def changed(edit: Callable[[Answer], Answer]) -> Fault:
    """Pass on something else than the server's answer."""

    def fault(client: Any, ask: Callable[[], Answer]) -> None:
        client.give(edit(ask()))

    return fault


def headers(**wanted: str | None) -> Fault:
    """Replace headers; None removes one."""
    new = {name.replace("_", "-"): value for name, value in wanted.items()}

    def edit(answer: Answer) -> Answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in {n.lower() for n in new}}
        return replace(answer, headers={**kept, **{name: value for name, value in new.items() if value is not None}})

    return changed(edit)


def body(edit: Callable[[bytes], bytes]) -> Fault:
    return changed(lambda answer: replace(answer, body=edit(answer.body)))


def status(code: int) -> Fault:
    return changed(lambda answer: replace(answer, status=code))


# -- through the public URL ---------------------------------------------------------------------------------------------------


def test_nginx_as_the_readme_configures_it_is_all_ok(index: Path, from_nginx: str) -> None:
    checks = doctor.examine(LocalStorage(index), url=from_nginx.rstrip("/"))
    assert remarkable(checks) == {}
    assert len(checks) == len(verdicts(checks)) > 25


def test_pythons_own_server_works_with_html_only(index: Path) -> None:
    with http_server(index) as url:
        checks = doctor.examine(LocalStorage(index), url=url)
    assert remarkable(checks) == {
        "json": "warn",
        "vary": "skipped",
        "page caching": "warn",
        "ranges": "warn",
        "file caching": "warn",
    }
    assert "--exclude-newer" in named(checks, "json").said


PROJECT = r"/simple/demo/$"
FILE = r"\.whl$"
CHANGES: dict[str, tuple[str, Fault, str, str, str]] = {
    # what is wrong: where, what is answered there, which check says so, and how
    "403 for what is missing": ("doctor-", say(403), "missing project", "fail", "uv stops"),
    "200 for what is missing": ("doctor-", say(200), "missing project", "fail", "answered 200"),
    "410 for what is missing": ("doctor-", say(410), "missing project", "ok", "410"),
    "no root page": ("simple/$", say(404), "root", "warn", "answers 404"),
    "a root page of plain text": ("simple/$", headers(Content_Type="text/plain"), "root", "fail", "text/plain"),
    "a root page of somebody else": ("simple/$", body(lambda _: b"<!DOCTYPE html>"), "root", "warn", "not written by"),
    "no page of a project": (PROJECT, say(404), "html", "fail", "answers 404"),
    "a page without type": (PROJECT, headers(Content_Type=None), "html", "fail", "nothing in particular"),
    "a page of plain text": (PROJECT, headers(Content_Type="text/plain"), "html", "fail", "text/plain"),
    "HTML that says to be JSON": (PROJECT, headers(Content_Type=JSON), "html", "fail", "not JSON"),
    "JSON that says to be HTML": (PROJECT, headers(Content_Type="text/html"), "json", "fail", "is JSON, but"),
    "JSON of the wrong type": (
        PROJECT,
        changed(
            lambda a: replace(
                a, headers={**a.headers, "Content-Type": a.headers["Content-Type"].replace(JSON, "application/json")}
            )
        ),
        "json",
        "fail",
        "application/json, which installers do not take",
    ),
    "no JSON": (
        PROJECT,
        changed(lambda a: replace(a, status=406) if a.headers["Content-Type"] == JSON else a),
        "json",
        "fail",
        "answered 406",
    ),
    "no Vary": (PROJECT, headers(Vary="Accept-Encoding"), "vary", "warn", "Vary: Accept"),
    "one ETag for two forms": (PROJECT, headers(ETag='"same"'), "vary", "warn", "one ETag"),
    "another repository's page": (PROJECT, body(lambda b: b.replace(b"demo", b"dema")), "record", "fail", "no page of this"),
    "a page that says nothing of caching": (PROJECT, headers(Cache_Control=None), "page caching", "warn", "guess"),
    "a page that is kept for a day": (PROJECT, headers(Cache_Control="max-age=86400"), "page caching", "warn", "appear late"),
    "a page that is kept for ever": (PROJECT, headers(Cache_Control="immutable"), "page caching", "warn", "appear late"),
    "no redirect to the slash": ("demo$", say(404), "no slash", "warn", "answered 404"),
    "a page without its slash": ("demo$", say(200), "no slash", "fail", "astray"),
    "a redirect to another port": (
        "demo$",
        say(301, headers={"Location": "http://127.0.0.1:8080/simple/demo/?sig=hush"}),
        "no slash",
        "warn",
        "leads to http://127.0.0.1:8080/simple/demo/.",
    ),
    "an error for another spelling": ("DEMO", say(500), "other spelling", "warn", "answered 500"),
    "a redirect of another spelling": ("DEMO", say(301, headers={"Location": "../demo/"}), "other spelling", "ok", "leads to it"),
    "a file that is not served": (FILE, say(404), "file", "fail", "is listed, and is answered 404"),
    "a file that is too short": (FILE, body(lambda b: b[:9]), "file", "fail", "has 9 bytes"),
    "a file that is compressed on the way": (
        r"\.gz$",
        headers(Content_Encoding="gzip"),
        "encoding",
        "fail",
        "undo before they compare",
    ),
    "files that may not be kept": (FILE, headers(Cache_Control="no-store"), "file caching", "warn", "no-store"),
    "files that are kept for an hour": (FILE, headers(Cache_Control="max-age=3600"), "file caching", "warn", "max-age=3600"),
    "files that are kept for a year": (FILE, headers(Cache_Control="max-age=31536000"), "file caching", "ok", "31536000"),
    "no sidecar": (r"\.metadata$", say(404), "sidecar", "fail", "pip and uv give up"),
    "another sidecar": (r"\.metadata$", body(lambda b: b + b"\n"), "sidecar", "fail", "not what was stored"),
    "a + that does not arrive": (r"%2B", say(404), "plus", "fail", "does not arrive"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_web_server_does_wrong_is_said(what: str, web: Proxy, index: Path) -> None:
    key, fault, name, verdict, text = CHANGES[what]
    change(web, key, fault)
    check = named(asked(web, index), name)
    assert check.verdict.value == verdict
    assert text in check.said
    assert "hush" not in check.said
    assert bool(check.way_out) == (verdict in {"warn", "fail"})


def test_json_for_everybody_is_a_warning(web: Proxy, index: Path) -> None:
    record = (index / "demo" / "index.json").read_bytes()
    change(web, PROJECT, changed(lambda answer: Answer(200, {**answer.headers, "Content-Type": JSON}, record)))
    checks = asked(web, index)
    assert named(checks, "html").verdict.value == "warn"
    assert verdicts(checks)["vary"] == "skipped"


def test_a_head_that_is_refused_and_ranges_that_are_ignored_are_warnings(web: Proxy, index: Path) -> None:
    change(web, FILE, say(405), method="HEAD")
    change(web, FILE, say(200, b"everything"), method="GET")
    checks = asked(web, index)
    assert {name: verdicts(checks)[name] for name in ("head", "ranges")} == {"head": "warn", "ranges": "warn"}
    assert "405 for files" in named(checks, "head").said


def test_a_file_of_another_repository_under_the_same_serial_is_seen(web: Proxy, index: Path) -> None:
    (sha256,) = [
        file["hashes"]["sha256"]
        for file in json.loads((index / "demo" / "index.json").read_bytes())["files"]
        if file["filename"].endswith(".whl")
    ]
    change(web, PROJECT, body(lambda page: page.replace(sha256.encode(), b"0" * 64)))
    assert "another repository" in named(asked(web, index), "record").way_out


@pytest.mark.parametrize(
    ("said", "verdict", "age"),
    [
        ({"Cache_Control": "max-age=300", "Age": "30"}, "warn", "keeps it since 30 seconds"),
        ({"Cache_Control": "public, s-maxage=300"}, "warn", "last modified"),
        ({"Cache_Control": "max-age=300", "Age": "301"}, "fail", "keeps it since 301 seconds"),
        ({"Cache_Control": "max-age=0", "Last_Modified": "long ago"}, "fail", "does not say how old"),
    ],
)
def test_a_page_older_than_the_record_is_seen(web: Proxy, index: Path, said: dict[str, str], verdict: str, age: str) -> None:
    record = json.loads((index / "demo" / "index.json").read_bytes())
    record["meta"]["_last-serial"] = 0
    old = json.dumps(record).encode()
    change(web, PROJECT, headers(**said))
    passed = web._chances.pop().faults[0]

    def stale(client: Any, ask: Callable[[], Answer]) -> None:
        answer = ask()
        passed(client, lambda: replace(answer, body=old) if answer.headers["Content-Type"] == JSON else answer)

    change(web, PROJECT, stale)
    check = named(asked(web, index), "record")
    assert check.verdict.value == verdict
    assert "serial 0, not 1" in check.said
    assert age in check.said


def test_each_form_may_be_old_by_itself(web: Proxy, index: Path) -> None:
    serial = b'<meta name="pypiprivate:serial" content="%d">'
    change(web, PROJECT, body(lambda page: page.replace(serial % 1, serial % 0)))
    assert "serial 0, not 1" in named(asked(web, index), "record").said


def test_a_page_that_waits_for_its_publisher_is_not_old(index: Path, tmp_path: Path) -> None:
    copytree(index, tmp_path / "simple")
    record = tmp_path / "simple" / "demo" / "index.json"
    record.write_bytes(record.read_bytes().replace(b'"_last-serial":1', b'"_last-serial":2'))
    with http_server(tmp_path / "simple") as url:
        assert named(doctor.examine(LocalStorage(tmp_path / "simple"), url=url), "record").verdict.value == "ok"


@pytest.mark.parametrize("page", [b"[]", b"{}", b'{"meta": {"_last-serial": "x"}, "name": "demo"}', b"[" * 100_000])
def test_a_page_that_is_no_record_is_said_to_be_none(web: Proxy, index: Path, page: bytes) -> None:
    change(web, PROJECT, changed(lambda answer: replace(answer, body=page) if answer.headers["Content-Type"] == JSON else answer))
    assert verdicts(asked(web, index))["record"] == "fail"


def test_an_index_without_files_is_asked_for_what_it_has(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "simple")
    tmp_path.joinpath("simple").mkdir()
    with nginx(tmp_path / "simple") as url:
        checks = doctor.examine(storage, url=url)
    assert remarkable(checks) == {"root": "warn", "project": "skipped"}


def test_a_project_without_sidecar_and_links_that_are_none_are_no_riddle(web: Proxy, index: Path) -> None:
    wanted = doctor.project.sample(LocalStorage(index))
    assert wanted
    client = Client(Address.parse(url_of(web)))
    plain = replace(wanted, file=replace(wanted.file, core_metadata=False), plus=None)
    checks = doctor.web.examine(client, plain)
    assert remarkable(checks) == {"sidecar": "skipped", "plus": "skipped"}
    for url in ("ftp://files.example/demo.whl", "http://[", "http://127.0.0.1:0/demo.whl"):
        checks = doctor.web.examine(client, replace(wanted, file=replace(wanted.file, url=url)))
        assert "links to what is no web page" in named(checks, "file").said


def test_where_nobody_listens_and_where_nobody_speaks_http_are_told_apart(index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        client = Client(Address.parse(f"http://127.0.0.1:{port}/simple/"), timeout=0.2)
        checks = doctor.web.examine(client, None)
    assert verdicts(checks) == {"reachable": "fail", "index": "skipped"}
    assert "too long" in checks[0].said
    closed = doctor.examine(LocalStorage(index), url=f"http://127.0.0.1:{port}/")
    assert "refused" in named(closed, "reachable").said
    with talking(b"220 mail.example ESMTP\r\n") as port:
        checks = doctor.web.examine(Client(Address.parse(f"http://127.0.0.1:{port}/")), None)
        assert "no HTTP" in checks[0].said
        checks = doctor.web.examine(Client(Address.parse(f"https://127.0.0.1:{port}/")), None)
        assert "does not speak TLS" in checks[0].said


@contextmanager
def talking(first: bytes) -> Iterator[int]:
    """Run a server that says the same to everybody."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(first)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_server_that_fails_is_asked_no_more(web: Proxy, index: Path) -> None:
    change(web, "", say(502))
    before = len(web.requests)
    assert verdicts(asked(web, index)) == {"reachable": "fail", "index": "skipped"}
    assert len(web.requests) == before + 1


def test_a_connection_that_breaks_later_is_said_where_it_broke(web: Proxy, index: Path) -> None:
    def cut(client: Any, _ask: Callable[[], Answer]) -> None:
        client.close_connection = True

    change(web, FILE, cut)
    assert named(asked(web, index), "file").verdict.value == "fail"


# -- redirects, credentials, certificates -------------------------------------------------------------------------------------


def test_a_redirect_is_followed_and_said_and_credentials_stay_with_their_host(web: Proxy, index: Path) -> None:
    with proxy() as front:
        change(front, "", redirect_to(web.url))
        client = Client(Address.parse(f"{front.url.replace('http://', 'http://ci:hush@')}/simple/"))
        checks = doctor.web.examine(client, doctor.project.sample(LocalStorage(index)))
        assert all("authorization" in asked for asked in front.headers[1:])
    assert f"leads to {web.url}/simple/." in named(checks, "reachable").said
    assert f"by way of {web.url}/simple/demo/." in named(checks, "html").said
    assert not any("authorization" in asked for asked in web.headers)
    assert "hush" not in repr((checks, client.address))
    assert verdicts(checks)["sidecar"] == "ok"


def redirect_to(url: str) -> Fault:
    def fault(client: Any, _ask: Callable[[], Answer]) -> None:
        client.give(Answer(302, {"Location": f"{url}{client.path}"}, b""))

    return fault


@pytest.mark.parametrize("location", ["ftp://files.example/", "file:///etc/passwd", "http://[", "http://127.0.0.1:0/"])
def test_a_redirect_out_of_the_web_is_not_followed(web: Proxy, index: Path, location: str) -> None:
    change(web, "", say(302, headers={"Location": location}))
    check = named(asked(web, index), "reachable")
    assert check.verdict.value == "fail"
    assert "no web page" in check.said


def test_redirects_that_lead_round_are_given_up(web: Proxy, index: Path) -> None:
    change(web, "", say(302, headers={"Location": "./"}))
    assert "on and on" in named(asked(web, index), "reachable").said


@pytest.fixture(scope="module")
def asking(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The README's nginx, behind a password."""
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text("ci:{PLAIN}hush@/%\n")
    users.chmod(0o644)
    with guarded(index, f'auth_basic "index"; auth_basic_user_file "{users}";') as url:
        yield url


@contextmanager
def guarded(index: Path, more: str, listen: str = "") -> Iterator[str]:
    (site,), port = code_blocks("nginx"), free_port()
    site = site.replace("/srv/pypi;", f'"{index.parent}"; {more}').replace("127.0.0.1:8080;", f"127.0.0.1:{port}{listen};")
    with _nginx(site, port) as url:
        yield f"{url}/{index.name}/"


def with_user(url: str, user: str) -> str:
    return url.replace("//", f"//{user}@")


def test_credentials_of_the_url_are_accepted_and_never_said(asking: str, index: Path) -> None:
    url = with_user(asking, "ci:hush%40%2F%25")
    checks = doctor.examine(LocalStorage(index), url=url)
    assert remarkable(checks) == {}
    assert "accepted" in named(checks, "credentials").said
    assert "hush" not in repr(checks)


def test_credentials_of_netrc_are_taken_for_their_host(
    asking: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ci password hush@/%\nmachine example login x password y\n")
    netrc.chmod(0o600)
    assert remarkable(doctor.examine(LocalStorage(index), url=asking)) == {}
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))
    assert "none are known" in named(doctor.examine(LocalStorage(index), url=asking), "credentials").said
    (tmp_path / "other").write_text("machine example login x password y\n")
    assert "none are known" in named(doctor.examine(LocalStorage(index), url=asking), "credentials").said


def test_a_netrc_that_cannot_be_read_is_said_without_a_word_of_it(
    asking: str, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("\nhush hush\n")
    check = named(doctor.examine(LocalStorage(index), url=asking), "credentials")
    assert "netrc cannot be read (line" in check.said
    assert "hush" not in check.said
    (tmp_path / "netrc").write_bytes(b"\xff\xfe")
    assert named(doctor.examine(LocalStorage(index), url=asking), "credentials").verdict.value == "fail"


@pytest.mark.parametrize(("user", "text"), [("ci:wrong", "not accepted (401)"), ("", "none are known")])
def test_credentials_that_are_wrong_or_missing_end_the_questions(asking: str, index: Path, user: str, text: str) -> None:
    checks = doctor.examine(LocalStorage(index), url=with_user(asking, user) if user else asking)
    assert text in named(checks, "credentials").said
    assert remarkable(checks) == {"credentials": "fail", "index": "skipped"}
    assert "wrong" not in repr(checks)


def test_a_server_that_asks_for_other_credentials_is_not_for_installers(web: Proxy, index: Path) -> None:
    change(web, "", say(401, headers={"WWW-Authenticate": "Negotiate"}))
    assert "Negotiate" in named(asked(web, index), "credentials").said
    web.clear()
    change(web, "", say(401))
    assert "unnamed" in named(asked(web, index), "credentials").said


def test_a_403_where_credentials_are_wanted_is_a_warning(web: Proxy, index: Path) -> None:
    def guard(client: Any, ask: Callable[[], Answer]) -> None:
        client.give(ask() if "Authorization" in client.headers else Answer(403, {}, b""))

    change(web, "", guard)
    url = with_user(url_of(web), "token")
    checks = doctor.examine(LocalStorage(index), url=url)
    assert remarkable(checks) == {"credentials": "warn"}
    assert "401" in named(checks, "credentials").way_out
    web.clear()
    change(web, "simple/$", say(403))
    assert remarkable(asked(web, index)) == {"credentials": "warn", "root": "warn"}


def test_a_redirect_to_a_host_that_asks_says_that_none_are_sent_there(asking: str, index: Path) -> None:
    elsewhere = asking.removesuffix("/simple/")
    with proxy() as front:
        change(front, "", redirect_to(elsewhere))
        check = named(doctor.examine(LocalStorage(index), url=f"{front.url}/simple/"), "credentials")
    assert f"none would be sent to where it leads, {elsewhere}/simple/" in check.said


def test_credentials_go_on_from_http_to_https_of_their_host_only() -> None:
    client = Client(Address.parse("http://ci:hush@pypi.example/simple/"))
    assert client._is_ours("https://pypi.example/simple/")
    assert client._is_ours("http://pypi.example:80/files/")
    for other in ("https://pypi.example:8443/", "http://pypi.example:8080/", "https://pypi.example.org/", "http://example/"):
        assert not client._is_ours(other)
    assert not Client(Address.parse("https://pypi.example/"))._is_ours("http://pypi.example/")


def test_plain_http_and_an_open_door_are_warnings_outside_of_a_private_network(
    web: Proxy, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The address is nobody's; a proxy of the environment answers in its name.
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    def direct(client: Any, ask: Callable[[], Answer]) -> None:
        client.path = client.path.partition("//100.64.0.1")[2] or client.path
        client.give(ask())

    change(web, "", direct)
    checks = doctor.examine(LocalStorage(index), url="http://100.64.0.1/simple/")
    assert remarkable(checks) == {"https": "warn", "credentials": "warn"}
    assert "whoever reaches it" in named(checks, "credentials").said


def test_a_name_that_leads_to_this_machine_may_be_plain_http(web: Proxy, index: Path) -> None:
    checks = doctor.examine(LocalStorage(index), url=url_of(web).replace("127.0.0.1", "localhost"))
    assert named(checks, "https").verdict.value == "ok"
    assert not doctor.web._is_loopback("pypi.example")


Days = tuple[int, int]


def certificate(directory: Path, *, days: Days = (-1, 1), name: str = "localhost") -> tuple[Path, Path]:
    """Make a certificate that vouches for itself, from and until so many days from now."""
    key, now = generate_private_key(SECP256R1()), datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days[0])).not_valid_after(now + timedelta(days[1]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    cert, private = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert, private


@pytest.mark.parametrize(
    ("days", "name", "trusted", "text"),
    [
        ((-1, 1), "localhost", True, ""),
        ((-1, 1), "localhost", False, "self-signed"),
        ((-2, -1), "localhost", True, "has expired"),
        ((1, 2), "localhost", True, "not valid yet"),
        ((-1, 1), "pypi.example", True, "for another host name"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: Days, name: str, trusted: bool, text: str
) -> None:
    cert, key = certificate(tmp_path, days=days, name=name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with guarded(index, f'ssl_certificate "{cert}"; ssl_certificate_key "{key}";', " ssl") as url:
        checks = doctor.examine(LocalStorage(index), url=url.replace("http://127.0.0.1", "https://localhost"))
    assert remarkable(checks) == ({"reachable": "fail", "index": "skipped"} if text else {})
    assert text in named(checks, "reachable").said
    assert bool(named(checks, "reachable").way_out) == bool(text)


def test_another_reason_not_to_trust_a_certificate_is_said_in_openssls_words() -> None:
    error = ssl.SSLCertVerificationError("x")
    error.verify_code, error.verify_message = 23, "certificate revoked"
    from pypiprivate.doctor.webclient import _explained

    assert "certificate revoked" in _explained(error)[0]


@pytest.mark.parametrize(
    "url",
    ["pypi.example/simple", "ftp://pypi.example/", "https://", "https://h:x/", "https://h/?q=1", "https://h/#f", "http://[/"],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="no URL of an index"):
        Address.parse(url)
    with pytest.raises(ConfigError) as refused:
        Address.parse("https://ci:hush@host/ x")
    assert "hush" not in str(refused.value)


def test_an_unanswered_question_shows_no_secret() -> None:
    error = Unanswered("https://ci:hush@host/path?signature=hush", "it is asleep", hint="Wake it.")
    assert str(error) == "https://host/path: it is asleep."


# -- names that are public, too -----------------------------------------------------------------------------------------------


@contextmanager
def public_index(**statuses: int) -> Iterator[str]:
    """Run an index that answers 404 except for these names; one of status 405 answers GET only."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            name = self.path.split("/")[2].replace("-", "_")
            code = statuses.get(name, statuses.get("all", 404))
            self.send_response(200 if code == 405 and self.command == "GET" else code)
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815  names of the standard library

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


def test_names_that_a_public_index_has_too_are_warnings(index: Path) -> None:
    with public_index(demo=200) as url:
        checks = doctor.examine(LocalStorage(index), url=None, public_index=url)
    assert named(checks, "public name").verdict.value == "warn"
    assert "project demo, too" in named(checks, "public name").said
    assert "1 of 2 names" in named(checks, "public index").said


def test_a_public_index_that_knows_no_head_is_asked_otherwise() -> None:
    with public_index(demo=405) as url:
        checks = doctor.public.examine(Client(Address.parse(url)), ["demo"])
    assert verdicts(checks) == {"public name": "warn", "public index": "ok"}


def test_a_name_of_which_nothing_is_known_is_a_failure() -> None:
    with public_index(demo=429, other_one=200) as url:
        checks = doctor.public.examine(Client(Address.parse(url)), ["demo", "other-one", "third"])
    assert verdicts(checks) == {"public name": "warn", "public index": "fail"}
    assert "of 1 names" in named(checks, "public index").said


def test_a_public_index_that_goes_away_is_asked_no_more() -> None:
    names, asked = [f"p{number}" for number in range(1000)], []

    def gather(calls: Any) -> list[Any]:
        asked.extend(calls)
        return [0 for _ in calls]

    with public_index() as url:
        checks = doctor.public.examine(Client(Address.parse(url)), names, gather=gather)
    assert "of 1000 names" in named(checks, "public index").said
    assert len(asked) < 100


def test_what_has_every_name_or_is_not_there_is_no_public_index() -> None:
    with public_index(all=200) as url:
        assert "Name the simple index" in doctor.public.examine(Client(Address.parse(url)), ["demo"])[0].way_out
    (check,) = doctor.public.examine(Client(Address.parse(url)), ["demo"])
    assert check.verdict.value == "fail"
    assert doctor.public._status(Client(Address.parse(url)), "demo") == 0


# -- the store ----------------------------------------------------------------------------------------------------------------


def left_behind(storage: MemoryStorage) -> list[str]:
    return [key for key in storage._objects if key.startswith(".pypiprivate/")]


def filled(directory: Path) -> MemoryStorage:
    storage = MemoryStorage()
    fill(storage, directory)
    return storage


def test_a_sound_store_is_ok_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    storage = filled(tmp_path)
    before = snapshot(storage)
    assert set(verdicts(doctor.store.examine(storage)).values()) == {"ok"}
    assert set(verdicts(doctor.store.examine(MemoryStorage())).values()) == {"ok"}
    assert snapshot(storage) == before
    assert left_behind(storage) == []


def test_nothing_but_random_keys_of_its_own_is_written(tmp_path: Path) -> None:
    written: list[str] = []
    storage = filled(tmp_path)
    doctor.store.examine(Observed(storage, before=lambda verb, key: written.append(key) if verb in {"swap", "store"} else None))
    assert written
    assert all(key.startswith(".pypiprivate/") for key in written)


def test_an_interruption_at_any_moment_leaves_nothing_behind(tmp_path: Path) -> None:
    storage, interrupted = filled(tmp_path), 0
    for at in range(100):
        count = 0

        def interrupt(_verb: str, _key: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at + 1:
                raise KeyboardInterrupt

        try:
            doctor.store.examine(Observed(storage, after=interrupt))
        except KeyboardInterrupt:
            interrupted += 1
        else:
            break
        assert left_behind(storage) == []
    assert 10 < interrupted < 99


@pytest.mark.parametrize("ignored", ["If-Match", "If-None-Match"])
def test_a_store_that_ignores_conditions_fails(ignored: str) -> None:
    check = named(doctor.store.examine(Imitation(ignored)), "conditions")
    assert check.verdict.value == "fail"
    assert ignored in check.said


def test_conditions_that_are_switched_off_are_a_warning() -> None:
    storage = Observed(MemoryStorage())
    storage.conditional = False
    check = named(doctor.store.examine(storage), "conditions")
    assert check.verdict.value == "warn"


def test_each_verb_that_is_refused_is_named(tmp_path: Path) -> None:
    for verb, failed in (("swap", {"write"}), ("list", {"list"}), ("store", {"store"}), ("delete", {"delete"})):
        checks = doctor.store.examine(denying(filled(tmp_path), verb))
        assert {name for name, verdict in verdicts(checks).items() if verdict == "fail"} == failed
    checks = doctor.store.examine(denying(MemoryStorage(), "get"))
    assert {name for name, verdict in verdicts(checks).items() if verdict == "fail"} == {"read", "absent", "list", "write"}


def denying(storage: Storage, verb: str) -> Observed:
    def deny(asked: str, key: str) -> None:
        if asked == verb:
            raise StorageError(key, "access is denied (403).")

    return Observed(storage, before=deny)


class Forgetful(MemoryStorage):
    """A store that does one thing wrong."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self.wrong, self.gone = wrong, False

    def get(self, key: str) -> Stored | None:
        own = key.startswith(".pypiprivate/doctor")
        if own and self.wrong == "absent":
            return Stored(b"", "")
        return None if own and self.wrong == "write" else super().get(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        return iter(()) if self.wrong == "list" else super().list(prefix)

    def stat(self, key: str) -> Stat | None:
        found = super().stat(key)
        if found and self.wrong == "type":
            return replace(found, content_type="text/html")
        return None if self.wrong == "store" else found

    def delete(self, key: str) -> None:
        if self.wrong != "delete":
            super().delete(key)


@pytest.mark.parametrize(
    ("wrong", "name", "verdict"),
    [
        ("absent", "absent", "fail"),
        ("list", "list", "fail"),
        ("write", "write", "fail"),
        ("store", "store", "fail"),
        ("type", "store", "warn"),
        ("delete", "delete", "fail"),
    ],
)
def test_a_store_that_does_not_do_what_it_says_is_found_out(tmp_path: Path, wrong: str, name: str, verdict: str) -> None:
    storage = Forgetful("")
    fill(storage, tmp_path)
    storage.wrong = wrong
    assert named(doctor.store.examine(storage), name).verdict.value == verdict


def test_a_lost_reply_to_our_own_write_is_no_verdict() -> None:
    class Retried(MemoryStorage):
        def swap(self, key: str, body: bytes, **more: Any) -> None:
            super().swap(key, body, **more)
            super().swap(key, body, **more)

    assert verdicts(doctor.store.examine(Retried()))["write"] == "ok"


def test_an_index_that_cannot_be_read_is_said_once_for_each_question() -> None:
    storage = MemoryStorage()
    put(storage, "index.json", b"not JSON")
    with public_index() as url:
        checks = doctor.examine(storage, url=url, public_index=url)
    assert verdicts(checks)["read"] == "fail"
    assert {verdicts(checks)[name] for name in ("index", "public index")} == {"fail"}


def test_a_store_may_fail_in_what_is_its_own() -> None:
    class Own(MemoryStorage):
        def examine(self, key: str) -> Iterator[Check]:
            raise StorageError(key, "it went away.")

    assert "went away" in named(doctor.store.examine(Own()), "store's own").said


def test_without_url_or_with_a_directory_for_one_there_is_no_server_to_ask(index: Path) -> None:
    assert "set index_url" in named(doctor.examine(LocalStorage(index), url=None), "index").said
    assert "no server" in named(doctor.examine(LocalStorage(index), url=index.as_uri()), "index").said


# -- a directory --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter, and a umask that leaves it so."""
    before = os.umask(0o022)
    with TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path
    os.umask(before)


def test_a_directory_that_anybody_may_read_is_ok(open_directory: Path) -> None:
    storage = LocalStorage(open_directory)
    assert set(verdicts(doctor.store.examine(storage)).values()) == {"ok"}
    assert list(storage.list("")) == []
    assert [path for path in open_directory.rglob("*") if "doctor" in path.name or "probe" in path.name] == []


def test_a_umask_that_closes_files_is_a_warning(open_directory: Path) -> None:
    os.umask(0o077)
    check = named(doctor.store.examine(LocalStorage(open_directory)), "readable")
    assert check.verdict.value == "warn"
    assert "what is written" in check.said
    (open_directory / "index.html").touch(0o600)
    os.umask(0o022)
    assert "index.html" in named(doctor.store.examine(LocalStorage(open_directory)), "readable").said


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path / "not" / "there")
    assert verdicts(doctor.store.examine(storage)) == {"place": "warn", "write": "skipped"}
    assert not (tmp_path / "not").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)  # of whoever runs this, root included
    assert verdicts(doctor.store.examine(storage)) == {"place": "fail", "write": "skipped"}
    assert "not writable" in named(doctor.store.examine(LocalStorage(tmp_path)), "place").said


def test_a_place_that_is_no_directory_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a directory" in named(doctor.store.examine(LocalStorage(tmp_path / "file")), "place").said
    check = named(doctor.store.examine(LocalStorage(tmp_path / "file" / "below")), "place")
    assert check.verdict.value == "fail"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no second file system to link to")
def test_a_project_on_another_file_system_fails(tmp_path: Path) -> None:
    (tmp_path / "demo").symlink_to("/proc/self")
    check = named(doctor.store.examine(LocalStorage(tmp_path)), "file system")
    assert check.verdict.value == "fail"
    assert str(tmp_path / "demo") in check.said


def test_locks_that_keep_nobody_out_or_cannot_be_taken_fail(tmp_path: Path) -> None:
    def broken(key: str) -> AbstractContextManager[None]:
        raise StorageError(key, "no locks available.")

    def useless(_key: str) -> AbstractContextManager[None]:
        return nullcontext()

    (tmp_path / "key").touch()
    for lock, text in ((useless, "keeps nobody out"), (broken, "no locks available")):
        check = next(localchecks.examine(tmp_path, "key", lock, useless))
        assert check.verdict.value == "fail"
        assert text in check.said


# -- a bucket -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def road(seaweed: Server) -> Iterator[Proxy]:
    with proxy(seaweed.url) as running:
        yield running


@pytest.fixture
def faulty(road: Proxy) -> Iterator[Proxy]:
    road.clear()
    yield road
    road.clear()


def bucket(server: Server, at: Proxy | None = None, *, keys: tuple[str, str] = ADMIN, **more: str) -> S3Storage:
    options = server.options(keys=keys, **{"prefix": PREFIX, **({"endpoint": at.url} if at else {}), **more})
    return open_bucket(options, attempts=1)


def keys(server: Server) -> list[str]:
    listed = server.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/.pypiprivate/").get("Contents", [])
    return [entry["Key"] for entry in listed]


@pytest.fixture(scope="module")
def own_bucket(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, str]:
    """A bucket that anybody may read, with an index in it."""
    name = "doctors-own"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"},
            {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"},
        ],
    }
    client = seaweed.client()
    with suppress(ClientError):  # another process of the tests made it
        client.create_bucket(Bucket=name)
    client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    return seaweed, name


def test_nginx_before_a_bucket_is_ok(own_bucket: tuple[Server, str], tmp_path: Path) -> None:
    server, name = own_bucket
    prefix = f"simple-{os.getpid()}"
    storage = bucket(server, bucket=name, prefix=prefix)
    fill(storage, tmp_path)
    with nginx_before_bucket(server.url, name, prefix) as url:
        checks = doctor.examine(storage, url=url)
    assert remarkable(checks) == {"region": "skipped", "versioning": "warn"}
    client = server.client()
    listed = client.list_objects_v2(Bucket=name, Prefix=f"{prefix}/.pypiprivate/")
    assert "Contents" not in listed


def test_a_store_that_ignores_conditions_is_found_for_real(tmp_path: Path) -> None:
    with juicefs(tmp_path) as server:
        checks = doctor.store.examine(bucket(server))
        assert keys(server) == []
    assert verdicts(checks)["conditions"] == "fail"
    assert remarkable(checks) == {
        "region": "skipped",
        "versioning": "skipped",
        "lifecycle": "skipped",
        "conditions": "fail",
    }


def test_a_store_that_compares_no_checksums_knows_its_region_and_rules(tmp_path: Path) -> None:
    with moto(tmp_path) as server:
        client = server.client()
        assert remarkable(doctor.store.examine(bucket(server))) == {"versioning": "warn", "checksum": "warn"}
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        assert remarkable(doctor.store.examine(bucket(server))) == {"checksum": "warn"}
        check = named(doctor.store.examine(bucket(server, region="eu-west-1")), "region")
        assert (check.verdict.value, "us-east-1" in check.way_out) == ("warn", True)
        encrypted = doctor.store.examine(bucket(server, sse="aws:kms", kms_key_id="alias/packages", acl="public-read"))
        assert named(encrypted, "encryption").said == "what is written is encrypted: aws:kms."
        assert named(encrypted, "acl").verdict.value == "ok"
        assert check_rules(server, client) == RULED
        with proxy(server.url) as faulty:
            change(faulty, "", headers(x_amz_server_side_encryption=None), method="HEAD")
            check = named(doctor.store.examine(bucket(server, faulty, sse="AES256")), "encryption")
            assert (check.verdict.value, "not encrypted" in check.said) == ("warn", True)
            faulty.clear()
            change(faulty, "", has("x-amz-server-side-encryption", let_through, refuse(403, "AccessDenied")), method="PUT")
            wanting = verdicts(doctor.store.examine(bucket(server, faulty, sse="AES256", acl="private")))
            assert {wanting[name] for name in ("write", "acl", "encryption")} == {"ok"}
            assert verdicts(doctor.store.examine(bucket(server, faulty, acl="private")))["checksum"] == "skipped"
        assert keys(server) == []


RULES: list[tuple[dict[str, Any], str]] = [
    ({"Filter": {"Prefix": f"{PREFIX}/demo/"}, "Expiration": {"Days": 30}}, "deletes files 30 days after"),
    ({"Prefix": "doc", "Expiration": {"Date": datetime(2030, 1, 2, tzinfo=timezone.utc)}}, "on 2030-01-02"),
    ({"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "GLACIER"),
    ({"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}, ""),
    ({"Filter": {"Prefix": "elsewhere/"}, "Expiration": {"Days": 30}}, ""),
    ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 30}}, ""),
    ({"Filter": {"And": {"Prefix": f"{PREFIX}/", "Tags": [{"Key": "a", "Value": "b"}]}}, "Expiration": {"Days": 30}}, ""),
    ({"Filter": {"Prefix": ""}, "Status": "Disabled", "Expiration": {"Days": 30}}, ""),
    ({"Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}, ""),
]
RULED = ["fail" if text else "ok" for _, text in RULES]


def check_rules(server: Server, client: Any) -> list[str]:
    found = []
    for rule, text in RULES:
        whole = {"ID": "a rule", "Status": "Enabled", **rule}
        client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [whole]})
        (check,) = [check for check in bucket(server).survey() if check.name == "lifecycle"]
        assert text in check.said
        found.append(check.verdict.value)
    return found


@pytest.mark.parametrize(
    ("minutes", "verdict", "text"),
    [(0, "ok", "agree"), (-5, "warn", "seconds ahead of"), (5, "warn", "seconds behind"), (60, "fail", "seconds behind")],
)
def test_a_clock_that_is_wrong_is_noticed(seaweed: Server, faulty: Proxy, minutes: int, verdict: str, text: str) -> None:
    there = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=minutes), usegmt=True)
    change(faulty, f"{BUCKET}$", headers(Date=there))
    check = named(tuple(bucket(seaweed, faulty).survey()), "clock")
    assert check.verdict.value == verdict
    assert text in check.said


@pytest.mark.parametrize("date", [None, "soon", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_a_store_that_does_not_know_the_time_is_not_blamed(seaweed: Server, faulty: Proxy, date: str | None) -> None:
    change(faulty, f"{BUCKET}$", headers(Date=date))
    assert named(tuple(bucket(seaweed, faulty).survey()), "clock").verdict.value == "skipped"


def test_who_may_only_read_is_told_so_and_why_nothing_was_tried(seaweed: Server) -> None:
    checks = doctor.store.examine(bucket(seaweed, keys=READER))
    failed = {name for name, verdict in verdicts(checks).items() if verdict == "fail"}
    assert failed == {"write"}
    assert "denied" in named(checks, "write").said
    assert named(checks, "checksum").verdict.value == "skipped"


def test_a_bucket_that_is_not_there_ends_the_questions(seaweed: Server) -> None:
    checks = doctor.store.examine(bucket(seaweed, bucket="nothing-here"))
    assert verdicts(checks) == {"place": "fail", "region": "skipped", "clock": "ok", "write": "skipped"}
    (port,) = [free_port()]
    checks = doctor.store.examine(bucket(seaweed, endpoint=f"http://127.0.0.1:{port}"))
    assert verdicts(checks) == {"place": "fail", "write": "skipped"}


def has(header: str, fault: Fault, other: Fault = let_through) -> Fault:
    """Go wrong in one way with requests that say this header, in the other with those that do not."""

    def chosen(client: Any, ask: Callable[[], Answer]) -> None:
        (fault if header in client.headers else other)(client, ask)

    return chosen


def test_an_acl_that_the_bucket_refuses_is_told_from_other_causes(seaweed: Server, faulty: Proxy) -> None:
    change(faulty, "", has("x-amz-acl", refuse(400, "AccessControlListNotSupported")), method="PUT")
    checks = doctor.store.examine(bucket(seaweed, faulty, acl="public-read"))
    assert verdicts(checks)["write"] == "fail"
    assert verdicts(checks)["checksum"] == "ok"
    assert "Remove acl" in named(checks, "acl").way_out
    assert keys(seaweed) == []


def test_an_encryption_that_is_refused_is_told_from_other_causes(seaweed: Server, faulty: Proxy) -> None:
    sse = "x-amz-server-side-encryption"
    change(faulty, "", has(sse, refuse(400, "KMS.NotFoundException", "no such key")), method="PUT")
    checks = doctor.store.examine(bucket(seaweed, faulty, sse="aws:kms", kms_key_id="x"))
    assert "no such key" in named(checks, "encryption").said
    assert "kms:Decrypt" in named(checks, "encryption").way_out
    assert keys(seaweed) == []


def test_amazons_checksum_is_tried_as_it_is_sent_there(seaweed: Server) -> None:
    storage = bucket(seaweed)
    aws = Bucket(storage._client, BUCKET, f"{PREFIX}/", {}, on_aws=True, translated=storage._translated)
    try:
        assert named(tuple(aws.examine(".pypiprivate/doctor-sha256")), "checksum").verdict.value == "ok"
    finally:
        storage.delete(".pypiprivate/doctor-sha256")


def test_a_checksum_that_cannot_be_tried_is_skipped(seaweed: Server, faulty: Proxy) -> None:
    faulty.inject(let_through, refuse(503, "SlowDown"), method="PUT")
    storage = bucket(seaweed, faulty)
    assert named(tuple(storage.examine(".pypiprivate/doctor-md5")), "checksum").verdict.value == "skipped"
    storage.delete(".pypiprivate/doctor-md5")


# -- the command --------------------------------------------------------------------------------------------------------------


def test_the_command_prints_each_check_and_succeeds_despite_warnings(
    index: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with http_server(index) as url:
        assert main(["-r", str(index), "doctor", with_user(url, "ci:hush")]) == 0
        out, err = capsys.readouterr()
        assert "ok       sidecar: the metadata beside a wheel is served.\n" in out
        assert "warn     json: " in out
        assert "hush" not in out + err
        assert main(["-r", str(index), "doctor", "-q", url]) == 0
    assert {line[:7].strip() for line in capsys.readouterr().out.splitlines()} == {"warn", ""}


def test_the_command_fails_where_a_check_fails_and_says_it_to_machines(
    index: Path, capsys: pytest.CaptureFixture[str], web: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change(web, "doctor-", say(403))
    with public_index(demo=200) as public:
        assert main(["-r", str(index), "doctor", "--json", url_of(web), "--public-index", public]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["repository"] == str(index)
    assert told["url"] == url_of(web)
    checks = {check["name"]: check for check in told["checks"]}
    assert checks["missing project"]["verdict"] == "fail"
    assert checks["public name"]["way_out"]


def test_quietly_nothing_is_said_where_nothing_is_wrong(open_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-p", str(open_directory), "-r", str(open_directory), "doctor", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_index_url_of_the_settings_is_asked(index: Path, from_nginx: str, tmp_path: Path) -> None:
    config = tmp_path / "pypi-private.cfg"
    config.write_text(f"[here]\ntype = local-filesystem\nbase_path = {index}\nindex_url = {from_nginx}\n")
    repository = open_repository("here", project=tmp_path, config_file=config, environ={})
    assert named(repository.examine(), "reachable").verdict.value == "ok"


@pytest.mark.parametrize("arguments", [["hush"], ["--public-index", "ftp://hush/"]])
def test_what_is_no_url_is_wrong_usage(index: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-r", str(index), "doctor", *arguments]) == 2
    assert "hush" not in capsys.readouterr().err


def test_an_interrupted_command_leaves_nothing_in_the_store(seaweed: Server, faulty: Proxy) -> None:
    def late(client: Any, ask: Callable[[], Answer]) -> None:
        answer = ask()
        stored.set()
        interrupted.wait(60)
        client.give(answer)

    stored, interrupted = Event(), Event()
    faulty.inject(late, method="PUT")
    environ = {**os.environ, "PP_S3_ACCESS_KEY": ADMIN[0], "PP_S3_SECRET_KEY": ADMIN[1]}
    repository = f"s3://{BUCKET}/{PREFIX}?region=us-east-1&endpoint={faulty.url}"
    command = [sys.executable, "-m", "pypiprivate", "-r", repository, "doctor"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert stored.wait(60)
    assert keys(seaweed) != []
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    interrupted.set()
    assert process.returncode == 1
    assert b"interrupted" in said
    assert keys(seaweed) == []
