"""The recipe for CloudFront: the template is valid, and its function lets in whom it should, and nothing through but an index."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pypiprivate import open_repository, recipe
from pypiprivate.errors import ConfigError
from pypiprivate.model import readme_of

from . import edge
from .builders import make_sdist, make_wheel
from .examples import ROOT, environment, run
from .servers import ADMIN, Server
from .web import _nginx, free_port

BUCKET = "cloudfront"
OPTIONS = {"bucket": BUCKET, "prefix": "simple", "region": "eu-west-1"}
INDEX_URL = "https://pypi.acme.example/simple/"
#: CloudFront takes no longer function (bytes).
LONGEST_FUNCTION = 10_240

ALICE, CI = ("alice", "correct horse"), ("ci@acme", "p:w/ö+d")
USERS = {
    "alice": hashlib.sha256(b"alice:correct horse").hexdigest(),
    # While a password is being changed, both are good.
    "ci@acme": " ".join(hashlib.sha256(pair.encode()).hexdigest() for pair in ("ci@acme:old", "ci@acme:p:w/ö+d")),
    "empty": "",
}
JSON = "application/vnd.pypi.simple.v1+json"
PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
DIGEST = "0123456789abcdef" * 2
WHEEL = f"acme-hello/{DIGEST}/acme_hello-1.0-py3-none-any.whl"


def written(**options: str) -> str:
    """Return the template for a repository."""
    return edge.written(recipe.Place("aws-s3", OPTIONS | options, INDEX_URL))


def properties(name: str) -> dict[str, Any]:
    return edge.properties(edge.read(written()), name)


# -- the template -------------------------------------------------------------------------------------------------------------


def test_the_template_is_valid_cloudformation(tmp_path: Path) -> None:
    good = written()
    (tmp_path / "good.yaml").write_text(good, "utf-8")
    (tmp_path / "bad.yaml").write_text(good.replace("TLSv1.2_2021", "TLSv0").replace("!Ref Caching", "!Ref Catching"), "utf-8")
    command = [str(Path(sysconfig.get_path("scripts"), "cfn-lint")), "--format", "json", "-t", "good.yaml", "bad.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    found = {(finding["Filename"], finding["Rule"]["Id"]) for finding in json.loads(done.stdout)}
    assert {name for name, _ in found} == {"bad.yaml"}
    assert {"E1012", "E3030"} & {rule for _, rule in found}, found


def test_the_function_fits_into_cloudfront() -> None:
    code = properties("Gate")["FunctionCode"]
    assert "@" not in re.sub(r"\[[^]]*\]", "", code), "a placeholder was left"
    assert len(code.encode()) < LONGEST_FUNCTION


def test_nobody_but_the_distribution_may_read_the_bucket() -> None:
    allowed = [s for s in properties("BucketPolicy")["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {statement["Action"] for statement in allowed} == {"s3:GetObject", "s3:ListBucket"}
    for statement in allowed:
        assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert statement["Condition"]["StringEquals"]["AWS:SourceArn"]["Sub"].endswith("distribution/${Distribution}")
    assert set(properties("Bucket")["PublicAccessBlockConfiguration"].values()) == {True}


def test_publishers_may_do_what_the_documented_policy_of_a_publisher_allows() -> None:
    documented = json.loads((ROOT / "docs/ci/iam/publisher.json").read_text("utf-8"))["Statement"]

    def actions(statements: list[dict[str, Any]]) -> set[str]:
        return {action for s in statements for action in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}

    assert actions(properties("Publishers")["PolicyDocument"]["Statement"]) == actions(documented)


@pytest.mark.parametrize(
    ("prefix", "index_url", "base", "keys", "objects", "repository"),
    [
        ("simple", INDEX_URL, "/simple/", "/simple/", "/simple/*", "s3://${Bucket}/simple?region=${AWS::Region}"),
        ("", "https://pypi.acme.example/", "/", "/", "/*", "s3://${Bucket}?region=${AWS::Region}"),
        ("/a/b/", INDEX_URL, "/simple/", "/a/b/", "/a/b/*", "s3://${Bucket}/a/b?region=${AWS::Region}"),
    ],
)
def test_the_index_may_lie_anywhere_in_the_bucket_and_below_the_host(
    prefix: str, index_url: str, base: str, keys: str, objects: str, repository: str
) -> None:
    place = recipe.Place("aws-s3", {"bucket": BUCKET, "prefix": prefix}, index_url)
    text = recipe.write(recipe.RECIPES["cloudfront"], place)["cloudfront.yaml"]
    assert f"const BASE = '{base}';\n" in text
    assert f"const KEYS = '{keys}';\n" in text
    assert text.count(f'"${{Bucket.Arn}}{objects}"') >= 2
    assert edge.read(text)["Outputs"]["Repository"]["Value"] == {"Sub": repository}


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (recipe.Place("local-filesystem", {"base_path": "/srv/pypi/simple"}), "for a bucket"),
        (recipe.Place("aws-s3", {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/pypi"}), "access point"),
        (recipe.Place("aws-s3", {"bucket": BUCKET, "endpoint": "https://s3.acme.example"}), "endpoint"),
        (recipe.Place("aws-s3", {"bucket": BUCKET, "prefix": "it's"}), "prefix"),
    ],
)
def test_a_repository_that_the_stack_could_not_make_is_refused(place: recipe.Place, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refusal:
        recipe.write(recipe.RECIPES["cloudfront"], place)
    assert "nginx" in refusal.value.hint


# -- the function, request by request -----------------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Case:
    """A request, and what becomes of it: the key that is fetched, or a status (and where it leads)."""

    uri: str
    expected: str | int | tuple[int, str]
    accept: str = PIP
    authorization: str | None = basic(*ALICE)
    method: str = "GET"
    more: Mapping[str, Any] = field(default_factory=dict)

    def event(self) -> dict[str, Any]:
        said = {"accept": self.accept, "authorization": self.authorization, "user-agent": "test"}
        headers = {name: {"value": value} for name, value in said.items() if value is not None}
        request = {"method": self.method, "uri": self.uri, "querystring": {}, "headers": headers, "cookies": {}}
        return {"version": "1.0", "context": {"eventType": "viewer-request"}, "request": request | dict(self.more)}


def pages() -> Iterator[Case]:
    yield Case("/simple/", "/simple/index.json")
    yield Case("/simple/", "/simple/index.html", accept=BROWSER)
    yield Case("/simple/", "/simple/index.html", accept="")
    yield Case("/simple/", "/simple/index.html", accept="application/json")
    yield Case("/simple/", "/simple/index.html", accept="application/vnd.pypi.simple.v1+html")
    yield Case("/simple/", "/simple/index.html", accept="application/vnd.pypi.simple.v2+json")
    yield Case("/simple/", "/simple/index.json", accept="application/vnd.pypi.simple.latest+json")
    yield Case("/simple/", "/simple/index.json", accept=JSON.upper())
    yield Case("/simple/acme-hello/", "/simple/acme-hello/index.json")
    yield Case("/simple/acme-hello/", "/simple/acme-hello/index.html", accept=BROWSER)
    yield Case("/simple/acme-hello/", "/simple/acme-hello/index.json", method="HEAD")
    yield Case("/simple/0/", "/simple/0/index.json")
    yield Case("/simple/acme-hello/index.json", "/simple/acme-hello/index.json", accept=BROWSER)
    yield Case("/simple/index.html", "/simple/index.html")
    yield Case("/simple/news.html", "/simple/news.html", accept=BROWSER)
    yield Case("/simple/news.xml", "/simple/news.xml")
    readme = readme_of(f"/simple/{WHEEL}")
    yield Case(readme, readme, accept=BROWSER)
    several = {"headers": {"accept": {"value": JSON, "multiValue": [{"value": "text/html"}, {"value": JSON}]}}}
    several["headers"]["authorization"] = {"value": basic(*ALICE)}
    yield Case("/simple/", "/simple/index.json", more=several)


def files() -> Iterator[Case]:
    yield Case(f"/simple/{WHEEL}", f"/simple/{WHEEL}")
    yield Case(f"/simple/{WHEEL}.metadata", f"/simple/{WHEEL}.metadata")
    yield Case(f"/simple/acme/{DIGEST}-2/acme-1.zip", f"/simple/acme/{DIGEST}-2/acme-1.zip")
    yield Case("/simple/acme/acme-1.0.tar.gz", "/simple/acme/acme-1.0.tar.gz")
    for spelling in ("acme-1.0%2Blocal.tar.gz", "acme-1.0%2blocal.tar.gz", "acme-1.0+local.tar.gz"):
        yield Case(f"/simple/acme/{spelling}", "/simple/acme/acme-1.0%2Blocal.tar.gz")
    for spelling in ("acme-1%212.0.tar.gz", "acme-1!2.0.tar.gz"):
        yield Case(f"/simple/acme/{spelling}", "/simple/acme/acme-1!2.0.tar.gz")
    asked = {"querystring": {"versions": {"value": ""}, "list-type": {"value": "2"}}}
    yield Case(f"/simple/{WHEEL}", f"/simple/{WHEEL}", more=asked)


def led_elsewhere() -> Iterator[Case]:
    yield Case("/simple", (301, "/simple/"))
    yield Case("/simple/acme-hello", (301, "/simple/acme-hello/"))
    for spelling in ("Acme_Hello/", "acme.hello", "ACME-HELLO/", "acme__hello/", "Acme.-_Hello"):
        yield Case(f"/simple/{spelling}", (301, "/simple/acme-hello/"))
    yield Case("/simple/robots.txt", (301, "/simple/robots-txt/"))


def hostile() -> Iterator[Case]:
    below = [
        "../secret",
        "acme/../../secret",
        "%2e%2e/",
        "%2e%2e%2fsecret",
        "..%5c..%5cboot.ini",
        ".git/config",
        ".git/",
        "%2egit/HEAD",
    ]
    below += [
        ".pypiprivate/probe-1",
        ".pypiprivate/lock",
        "acme/.index.json.tmp",
        "acme/index.json~",
        "acme/index.json.bak",
        "acme//",
        "/",
    ]
    below += [
        "acme/%00",
        "acme/index.json%00.html",
        "acme%2findex.json",
        "acme%252findex.json",
        "%61cme/",
        "acme/acme-1.0.tar.gz/",
    ]
    below += [
        "acme/x.exe",
        "acme/a.whl?x",
        "acme/a.whl#x",
        f"acme/{DIGEST}/",
        f"acme/{DIGEST}/.whl",
        f"acme/{DIGEST.upper()}/a.whl",
    ]
    below += [
        f"Acme/{DIGEST}/a.whl",
        f"acme/{DIGEST}/b/a.whl",
        "acme/.readme/a.whl.html",
        f"acme/{DIGEST}/.readme/a.html",
        f"acme/{DIGEST}/.readme/a.whl",
        f"acme/{DIGEST}/.readme/",
        f"acme/{DIGEST}/.readme/.readme/a.whl.html",
        f"acme/{DIGEST}/.other/a.whl.html",
        "acme/news.html",
        "acme/a%25.whl",
        "acme/a%2Fb.whl",
        "acme/a b.whl",
        "-acme",
        "acme-",
        "äcme/",
    ]
    below += [
        "//evil.example/",
        "\\\\evil.example",
        "acme\n",
        "acme/index.json\n",
        "acme/\r\nset-cookie: a=b",
        "a" * 9000,
        "acme/" + "a" * 300 + ".whl",
    ]
    for path in below:
        yield Case(f"/simple/{path}", 404)
    for uri in (
        "/",
        "",
        "*",
        "//simple/",
        "/Simple/",
        "/simple2/",
        "/index.json",
        "http://evil.example/simple/",
        "/./simple/",
        "/%73imple/",
    ):
        yield Case(uri, 404)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", ""):
        yield Case("/simple/", 405, method=method)


def strangers() -> Iterator[Case]:
    for uri in ("/simple/", f"/simple/{WHEEL}", "/simple/none/", "/simple", "/simple/Acme", "/", "/.git/config", "/simple/../x"):
        yield Case(uri, 401, authorization=None)
    yield Case("/simple/", 401, authorization=None, method="PUT")
    wrong = [
        basic("alice", "wrong"),
        basic("alice", ""),
        basic("bob", "correct horse"),
        basic("empty", ""),
        basic("", ""),
        basic("a" * 65, ""),
    ]
    wrong += [
        basic("__proto__", "x"),
        basic("constructor", "x"),
        basic("al ice", "x"),
        basic("fails ", "x"),
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic ::",
    ]
    wrong += [
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + "A" * 9000,
    ]
    wrong += [
        "Bearer " + USERS["alice"],
        "Basic " + USERS["alice"],
        basic(*ALICE)[6:],
        f"{basic(*ALICE)}, {basic('bob', 'x')}",
        f"x{basic(*ALICE)}",
    ]
    for authorization in wrong:
        yield Case("/simple/", 401, authorization=authorization)
    twice = {"value": basic("bob", "x"), "multiValue": [{"value": basic(*ALICE)}, {"value": basic("bob", "x")}]}
    yield Case("/simple/", 401, more={"headers": {"authorization": twice}})


def known() -> Iterator[Case]:
    for authorization in (
        basic(*ALICE),
        basic(*CI),
        basic("ci@acme", "old"),
        basic(*ALICE).replace("Basic", "bAsIc"),
        basic(*ALICE).rstrip("="),
    ):
        yield Case("/simple/", "/simple/index.json", authorization=authorization)


CASES = [*pages(), *files(), *led_elsewhere(), *hostile(), *strangers(), *known()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the function, and what calls it."""
    return edge.prepare(tmp_path_factory.mktemp("edge"), edge.read(written()), USERS)


#: Calls the function in nginx's own engine, which knows no more of the language than CloudFront's does.
IN_NGINX = """
async function ask(r) {
  const events = JSON.parse(r.requestText);
  const results = [];
  for (let i = 0; i < events.length; i++) {
    results.push(await handler(events[i]));
  }
  r.return(200, JSON.stringify(results));
}
export default { ask };
"""
NGINX = """
js_path "{home}";
js_import gate from gate.js;
server {{ listen 127.0.0.1:{port}; client_max_body_size 9m; client_body_buffer_size 9m; location / {{ js_content gate.ask; }} }}
"""


def ask(node: str, home: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """Return what the function makes of the requests: a request, or an answer."""
    events = json.dumps([case.event() for case in cases])
    done = subprocess.run([node, "edge.mjs", "ask"], cwd=home, input=events, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def ask_in_nginx(home: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """Return the same, from another engine."""
    (home / "cloudfront").write_text(edge.module_of_users(USERS), "utf-8")
    (home / "gate.js").write_text(properties("Gate")["FunctionCode"] + IN_NGINX, "utf-8")
    port = free_port()
    events = json.dumps([case.event() for case in cases]).encode()
    with _nginx(NGINX.format(home=home, port=port), port) as url, urllib.request.urlopen(url, events, timeout=60) as answer:
        return list(json.loads(answer.read()))


@pytest.fixture(scope="module", params=["node", "nginx"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    if request.param == "nginx":
        return ask_in_nginx(tmp_path_factory.mktemp("njs"), CASES)
    return ask(request.getfixturevalue("node"), request.getfixturevalue("home"), CASES)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case.method} {case.uri:.40} {case.expected}" for case in CASES])
def test_a_request_becomes_what_it_should(number: int, results: list[dict[str, Any]]) -> None:
    case, result = CASES[number], results[number]
    if isinstance(case.expected, str):
        assert result.get("uri") == case.expected
        assert result["querystring"] == {}
        assert "authorization" not in result["headers"]
    else:
        status, location = case.expected if isinstance(case.expected, tuple) else (case.expected, None)
        headers = {name: header["value"] for name, header in result["headers"].items()}
        assert (result["statusCode"], headers.get("location")) == (status, location)
        assert headers["cache-control"] == "no-store"
        assert ("www-authenticate" in headers) == (status == 401)
        assert ("allow" in headers) == (status == 405)


def test_a_store_of_users_that_fails_lets_nobody_in_and_calls_nobody_unknown(node: str, home: Path) -> None:
    (result,) = ask(node, home, [Case("/simple/", 503, authorization=basic("broken", "x"))])
    assert result["statusCode"] == 503
    assert "not there" in result["failed"]


def test_the_command_shown_stores_what_the_function_looks_for(tmp_path: Path) -> None:
    text = (ROOT / "docs/serving/cloudfront.rst").read_text("utf-8")
    shown = re.search(r'\$\(printf .*\)"', text)
    assert shown
    script = f'USERNAME=alice PASSWORD="correct horse"; echo "{shown[0]}'
    assert run(["bash", "-euc", script], env=environment(tmp_path)).strip() == USERS["alice"]


# -- all of it before a bucket ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A store with a private bucket in which a few projects are published."""
    dist = tmp_path_factory.mktemp("dist")
    wheels = [
        make_wheel(dist, "acme-hello", "1.0"),
        make_wheel(dist, "acme-local", "1.0+acme.1"),
        make_sdist(dist, "acme-hello", "1.0"),
    ]
    with closing(seaweed.client()) as client:
        client.create_bucket(Bucket=BUCKET)
    repository = f"s3://{BUCKET}/simple?region=us-east-1&endpoint={quote(seaweed.url, safe='')}"
    credentials = dict(zip(("PP_S3_ACCESS_KEY", "PP_S3_SECRET_KEY"), ADMIN, strict=True))
    open_repository(repository, environ=credentials).publish(wheels)
    return seaweed


@pytest.fixture(scope="module")
def url(node: str, store: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = recipe.Place("aws-s3", OPTIONS, INDEX_URL)
    with edge.distribution(node, tmp_path_factory.mktemp("distribution"), place, store, USERS) as url:
        yield url


def fetch(url: str, **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": basic(*ALICE), **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_pip_and_uv_install_with_a_password_from_netrc(client: str, url: str, tmp_path: Path) -> None:
    env = environment(tmp_path)
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {ALICE[0]} password '{ALICE[1]}'\n".replace("'", '"'), "utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    tool = {
        "pip": [sys.executable, "-m", "pip", "install"],
        "uv": [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable],
    }
    target = tmp_path / "installed"
    run([*tool[client], "--quiet", "--target", target, "--index-url", url, "acme-hello", "Acme.Local"], env=env)
    assert {path.name for path in target.glob("*.dist-info")} == {"acme_hello-1.0.dist-info", "acme_local-1.0+acme.1.dist-info"}
    (tmp_path / ".netrc").unlink()
    refused = subprocess.run(
        [*tool[client], "--target", target / "2", "--index-url", url, "acme-hello"], env=env, capture_output=True, text=True
    )
    assert refused.returncode != 0
    assert "401" in refused.stderr + refused.stdout or "credentials" in refused.stderr


def test_pages_come_in_the_form_that_is_asked_for(url: str) -> None:
    status, headers, body = fetch(f"{url}acme-hello/", Accept=PIP)
    assert (status, headers["Content-Type"], headers["Vary"]) == (200, JSON, "Accept, Accept-Encoding")
    assert [file["filename"] for file in json.loads(body)["files"]] == [
        "acme_hello-1.0-py3-none-any.whl",
        "acme_hello-1.0.tar.gz",
    ]
    status, headers, body = fetch(f"{url}acme-hello/", Accept=BROWSER)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in headers
    assert body.endswith(b"</html>\n")


def test_nobody_reads_the_bucket_itself(url: str, store: Server) -> None:
    assert fetch(f"{url}index.html")[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{store.url}/{BUCKET}/simple/index.html", timeout=30)


def test_what_is_missing_is_not_found_and_a_spelling_leads_to_the_page(url: str) -> None:
    assert fetch(f"{url}none/")[0] == 404
    assert fetch(f"{url}Acme_Hello", Accept=PIP)[0] == 200


def test_a_part_of_a_file_can_be_had(url: str) -> None:
    (file,) = json.loads(fetch(f"{url}acme-local/", Accept=PIP)[2])["files"]
    whole = fetch(f"{url}acme-local/{file['url']}")
    status, _, part = fetch(f"{url}acme-local/{file['url']}", Range="bytes=10-19")
    assert (status, part) == (206, whole[2][10:20])
    assert whole[1]["Cache-Control"] == "max-age=31536000, immutable"


def test_the_text_shows_and_explains_what_the_template_asks_for_and_tells() -> None:
    text = (ROOT / "docs/serving/cloudfront.rst").read_text("utf-8")
    template = edge.read(written())
    for name in (*template["Parameters"], *template["Outputs"]):
        assert f"``{name}``" in text, name
