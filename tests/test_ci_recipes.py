"""The recipes and policies of ``docs/ci/`` do what the text says: run by a shell, and enforced by a store that knows policies.

SeaweedFS plays Amazon: it takes the id token of a CI system, checks its signature against the keys of the issuer and its claims
against the trust policy, gives keys for an hour, and holds each request against the policy of the role.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import boto3
import pytest
import yaml
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from pypiprivate import open_repository
from pypiprivate.errors import PypiPrivateError, StorageError

from .builders import make_sdist, make_wheel
from .environments import Environments
from .examples import AMBIENT, ROOT, environment, run
from .faults import Proxy, proxy, refuse
from .servers import ADMIN, DEADLINE, Server, free_ports, running

DOCS = ROOT / "docs"
RECIPES = DOCS / "ci"
BUCKET, PREFIX, PROJECT = "acme-pypi", "simple", "acme-hello"
ROLE = "arn:aws:iam::111122223333:role/publish-acme-hello"
READER = "arn:aws:iam::111122223333:role/reader"
UNLISTING = "arn:aws:iam::111122223333:role/may-not-list"
BELOW_PREFIX = "arn:aws:iam::111122223333:role/may-list-below-the-prefix"
AUDIENCE = "sts.amazonaws.com"
#: Who gives id tokens, and what they say of a release's job.
ISSUERS = {
    "github": ("https://token.actions.githubusercontent.com", "repo:acme/acme-hello:environment:private-index"),
    "gitlab": ("https://gitlab.example.com", "project_path:acme/acme-hello:ref_type:tag:ref:v0.3"),
    "jenkins": ("https://jenkins.example.com/oidc", "https://jenkins.example.com/job/acme-hello/job/v0.3/"),
}
#: A file that goes out in parts.
BIG = 9 << 20

PARSE_GROOVY = """
import pathlib, sys, tree_sitter, tree_sitter_groovy
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_groovy.language()))
tree = parser.parse(pathlib.Path(sys.argv[1]).read_bytes())
print("broken" if tree.root_node.has_error else "sound")
"""

POLICIES = {name: json.loads((RECIPES / f"iam/{name}.json").read_text("utf-8")) for name in ("publisher", "reader")}


# -- what can be validated without the service that it is for -----------------------------------------------------------------


@pytest.fixture(scope="module")
def linters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of programs that know workflows, pipelines and policies. parliament needs a setuptools with pkg_resources."""
    known = ("check-jsonschema>=0.33", "parliament>=1.6", "setuptools<81", "tree-sitter", "tree-sitter-groovy", "zizmor>=1.9")
    return Environments.of_this_run(tmp_path_factory).virtual(*known).parent


@pytest.mark.parametrize(
    ("recipe", "schema"),
    [
        ("github-actions.yml", ["vendor.github-workflows"]),
        ("gitlab-ci.yml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_a_recipe_is_valid_by_the_schema_of_its_service(linters: Path, recipe: str, schema: list[str]) -> None:
    assert "ok" in run([linters / "check-jsonschema", "--builtin-schema", *schema, RECIPES / recipe], env=AMBIENT)


def test_the_workflow_has_no_known_weakness(linters: Path, tmp_path: Path) -> None:
    def found(text: str) -> str:
        (tmp_path / "workflow.yml").write_text(text, "utf-8")
        options = ("--offline", "--quiet", "--no-exit-codes", "--format=json")
        return run([linters / "zizmor", *options, tmp_path / "workflow.yml"], env=AMBIENT)

    text = (RECIPES / "github-actions.yml").read_text("utf-8")
    assert json.loads(found(text)) == []
    assert "template-injection" in found(text.replace("-m build\n", "-m build ${{ github.event.head_commit.message }}\n"))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_has_no_known_weakness(linters: Path, policy: str) -> None:
    def found(text: str) -> str:
        command = [str(linters / "parliament"), "--json"]
        done = subprocess.run(command, input=text, env=AMBIENT, capture_output=True, text=True)
        return str(done.stdout)

    text = (RECIPES / f"iam/{policy}.json").read_text("utf-8")
    assert found(text) == ""
    assert "UNKNOWN_ACTION" in found(text.replace("s3:GetObject", "s3:GetObjekt"))


def test_the_jenkinsfile_is_groovy(linters: Path) -> None:
    # Whether Jenkins knows its words, only a Jenkins can tell.
    assert run([linters / "python", "-c", PARSE_GROOVY, RECIPES / "Jenkinsfile"], env=AMBIENT) == "sound\n"


def test_every_action_is_pinned_by_commit() -> None:
    used = re.findall(r"uses: (\S+)(.*)", (RECIPES / "github-actions.yml").read_text("utf-8"))
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", version)


def test_the_text_names_every_file_and_every_statement() -> None:
    text = (DOCS / "ci.rst").read_text("utf-8")
    files = {path.relative_to(DOCS).as_posix() for path in RECIPES.rglob("*") if path.is_file()}
    assert files == set(re.findall(r"<(ci/[^>]+)>`_", text))
    for policy in POLICIES.values():
        for statement in policy["Statement"]:
            assert f"``{statement['Sid']}``" in text


# -- a store that enforces policies, and takes the tokens of CI systems -------------------------------------------------------


@dataclass(frozen=True)
class Amazon:
    """A running store, with the roles of the policies.

    :ivar url: of its S3 and its STS.
    """

    url: str
    key: RSAPrivateKey

    def token(self, ci: str, *, subject: str | None = None, audience: str = AUDIENCE) -> str:
        """Return an id token as a CI system gives it to a job of a release, or of another subject."""
        issuer, released = ISSUERS[ci]
        now = int(time.time())
        claims = {"iss": issuer, "sub": subject or released, "aud": audience, "iat": now, "exp": now + 600}
        signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', 'kid': 'test'})}.{_encoded(claims)}"
        return f"{signed}.{_base64(self.key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def assume(self, role: str, token: str) -> dict[str, str]:
        """Exchange an id token for the keys of a role; return them as the variables that boto3 reads."""
        config = Config(signature_version=UNSIGNED)
        with closing(boto3.client("sts", endpoint_url=self.url, region_name="eu-west-1", config=config)) as client:
            answer = client.assume_role_with_web_identity(RoleArn=role, RoleSessionName="test", WebIdentityToken=token)
        keys = answer["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def client(self, role: str | None = None) -> Any:
        """Return a client with the keys of a role, or who may do anything."""
        keys = (*ADMIN, None) if role is None else self.assume(role, self.token("github")).values()
        access_key, secret_key, session_token = keys
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
        )

    def publish(self, role: str, *paths: Path, through: Proxy | None = None) -> list[str]:
        """Publish as who has a role; return what became of each file."""
        keys = self.assume(role, self.token("github")).values()
        names = ("PP_S3_ACCESS_KEY", "PP_S3_SECRET_KEY", "PP_S3_SESSION_TOKEN")
        endpoint = quote(through.url if through else self.url, safe="")
        repository = open_repository(
            f"s3://{BUCKET}/{PREFIX}?region=eu-west-1&endpoint={endpoint}",
            project=paths[0].parent,
            environ=dict(zip(names, keys, strict=True)),
        )
        return [receipt.outcome.value for receipt in repository.publish(paths)]

    def objects(self) -> dict[str, str]:
        """Return what lies in the bucket: keys and ETags."""
        with closing(self.client()) as client:
            found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {entry["Key"]: entry["ETag"] for entry in found}


@pytest.fixture(scope="module")
def running_amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amazon]:
    key = generate_private_key(65537, 2048)
    directory = tmp_path_factory.mktemp("amazon")
    with _keys_of_issuers(key, tmp_path_factory.mktemp("issuers")) as keys_url:
        (directory / "iam.json").write_text(json.dumps(_iam(keys_url)), "utf-8")
        with _seaweedfs(directory) as url:
            yield Amazon(url, key)


@pytest.fixture
def amazon(running_amazon: Amazon) -> Amazon:
    """The store, with an empty bucket."""
    with closing(running_amazon.client()) as client:
        for key in running_amazon.objects():
            client.delete_object(Bucket=BUCKET, Key=key)
    return running_amazon


@contextmanager
def _keys_of_issuers(key: RSAPrivateKey, directory: Path) -> Iterator[str]:
    """Serve the public key that all issuers sign with."""
    numbers = key.public_key().public_numbers()
    modulus, exponent = (_base64(n.to_bytes((n.bit_length() + 7) // 8, "big")) for n in (numbers.n, numbers.e))
    keys = [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "test", "n": modulus, "e": exponent}]
    (directory / "keys.json").write_text(json.dumps({"keys": keys}), "utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys.json"
        finally:
            server.shutdown()


@contextmanager
def _seaweedfs(directory: Path) -> Iterator[str]:
    s3, master, volume, filer = free_ports(4, also_above=10_000)  # where each has a second port
    keys = {"accessKey": ADMIN[0], "secretKey": ADMIN[1]}
    admin = {"name": "admin", "credentials": [keys], "actions": ["Admin", "Read", "List", "Tagging", "Write"]}
    (directory / "identities.json").write_text(json.dumps({"identities": [admin]}), "utf-8")
    command = f"""
        weed server -dir={directory} -ip=127.0.0.1 -ip.bind=127.0.0.1
        -master.port={master} -volume.port={volume} -filer.port={filer} -filer.localSocket={directory}/filer.sock
        -s3 -s3.port={s3} -s3.config={directory}/identities.json -s3.iam.config={directory}/iam.json
        -s3.localSocket={directory}/s3.sock -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false
        -volume.max=100 -master.volumeSizeLimitMB=64 -master.volumePreallocate=false
    """
    with running(command.split(), directory=directory, port=s3) as url:
        with closing(Server(url).client()) as client:
            _patiently(partial(client.create_bucket, Bucket=BUCKET))
            # A server that answers need not be ready to write.
            _patiently(partial(client.put_object, Bucket=BUCKET, Key="ready", Body=b"yes"))
        yield url


def _patiently(call: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            call()
        except (ClientError, BotoCoreError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _iam(keys_url: str) -> dict[str, Any]:
    """Say to SeaweedFS what the files of ``docs/ci/iam/`` say to Amazon."""
    publisher = POLICIES["publisher"]
    *others, listing = publisher["Statement"]
    below = {**listing, "Condition": {"StringLike": {"s3:prefix": [f"{PREFIX}/*"]}}}
    policies = {
        ROLE: publisher,
        READER: POLICIES["reader"],
        UNLISTING: {**publisher, "Statement": others},
        BELOW_PREFIX: {**publisher, "Statement": [*others, below]},
    }
    trust = {"Version": "2012-10-17", "Statement": [_trusted(ci) for ci in ISSUERS]}
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "sts",
            "signingKey": base64.b64encode(os.urandom(32)).decode(),
        },
        "providers": [_provider(ci, keys_url) for ci in ISSUERS],
        "policy": {"defaultEffect": "Deny"},
        "roles": [
            {"roleName": arn.rpartition("/")[2], "roleArn": arn, "trustPolicy": trust, "attachedPolicies": [arn]}
            for arn in policies
        ],
        "policies": [{"name": arn, "document": document} for arn, document in policies.items()],
    }


def _provider(ci: str, keys_url: str) -> dict[str, Any]:
    issuer, _ = ISSUERS[ci]
    name = f"arn:aws:iam::111122223333:oidc-provider/{issuer.removeprefix('https://')}"
    config = {"issuer": issuer, "clientId": AUDIENCE, "jwksUri": keys_url}
    return {"name": name, "type": "oidc", "enabled": True, "config": config}


def _trusted(ci: str) -> Any:
    """Return the statement of a trust policy. SeaweedFS calls the claims of any issuer ``oidc:…``, and wants a list."""
    text = (RECIPES / f"iam/trust-{ci}.json").read_text("utf-8")
    issuer = ISSUERS[ci][0].removeprefix("https://")
    (statement,) = json.loads(text.replace(f'"{issuer}:', '"oidc:'))["Statement"]
    return {**statement, "Action": [statement["Action"]]}


def _encoded(claims: Mapping[str, object]) -> str:
    return _base64(json.dumps(claims).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# -- policies -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci", ISSUERS)
def test_seaweedfs_gives_the_role_to_the_job_of_a_release(amazon: Amazon, ci: str) -> None:
    assert amazon.assume(ROLE, amazon.token(ci))["AWS_SESSION_TOKEN"]


@pytest.mark.parametrize(
    ("ci", "subject"),
    [
        ("github", "repo:acme/acme-hello:ref:refs/tags/v0.3"),
        ("github", "repo:acme/acme-hello:pull_request"),
        ("github", "repo:mallory/acme-hello:environment:private-index"),
        ("gitlab", "project_path:acme/acme-hello:ref_type:branch:ref:v0.3"),
        ("gitlab", "project_path:mallory/acme-hello:ref_type:tag:ref:v0.3"),
        ("jenkins", "https://jenkins.example.com/job/acme-hello/job/PR-7/"),
        ("jenkins", "https://jenkins.example.com/job/mallory/job/v0.3/"),
        # Whom one issuer calls so, another one may not.
        ("jenkins", "repo:acme/acme-hello:environment:private-index"),
    ],
)
def test_seaweedfs_gives_the_role_to_no_other_job(amazon: Amazon, ci: str, subject: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        amazon.assume(ROLE, amazon.token(ci, subject=subject))


@pytest.mark.parametrize("ci", ISSUERS)
def test_seaweedfs_gives_the_role_to_no_token_for_another_service(amazon: Amazon, ci: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        amazon.assume(ROLE, amazon.token(ci, audience="https://elsewhere.example.com"))


def test_a_publisher_needs_exactly_what_its_policy_allows_in_the_bucket(amazon: Amazon, tmp_path: Path) -> None:
    first = [make_wheel(tmp_path, PROJECT, "1.0"), make_sdist(tmp_path, PROJECT, "1.0")]
    big = make_wheel(tmp_path, PROJECT, "2.0", files={"acme_hello/data": os.urandom(BIG)})
    with proxy(amazon.url) as observed:
        publish = partial(amazon.publish, ROLE, through=observed)
        assert publish(*first) == ["published", "published"]
        assert publish(*first) == ["already there", "already there"]
        observed.at_random(refuse(400, "InvalidRequest"), seed=0, share=1, key="partNumber=")
        with pytest.raises(StorageError):
            publish(big)
        observed.clear()
        assert publish(big) == ["published"]
    needed = {_allowed_by(*_as_permission(*request)) for request in observed.requests}
    assert needed == {
        (statement["Sid"], action) for statement in POLICIES["publisher"]["Statement"] for action in _listed(statement["Action"])
    }


def _as_permission(method: str, path: str) -> tuple[str, str]:
    """Return the action and the resource that Amazon asks a policy for."""
    url = urlsplit(path)
    bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
    if not key:
        return "s3:ListBucket", f"arn:aws:s3:::{bucket}"
    upload = "uploadId" in parse_qs(url.query)
    action = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject"}.get(method)
    return f"s3:{action or ('AbortMultipartUpload' if upload else 'DeleteObject')}", f"arn:aws:s3:::{bucket}/{key}"


def _allowed_by(action: str, resource: str) -> tuple[str, str]:
    (statement,) = (
        statement
        for statement in POLICIES["publisher"]["Statement"]
        if action in _listed(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in _listed(statement["Resource"]))
    )
    return statement["Sid"], action


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_publisher_cannot_publish_another_project_to_the_bucket(amazon: Amazon, tmp_path: Path) -> None:
    amazon.publish(ROLE, make_wheel(tmp_path, PROJECT, "1.0"))
    before = amazon.objects()
    with pytest.raises(PypiPrivateError, match="access is denied"):
        amazon.publish(ROLE, make_wheel(tmp_path, "acme-other", "1.0"))
    assert amazon.objects() == before


@pytest.mark.parametrize("key", ["acme-other/index.json", "acme-hello-2/index.json", "evil", ".pypiprivate/else"])
def test_a_publisher_cannot_touch_what_is_not_its_own_in_the_bucket(amazon: Amazon, key: str) -> None:
    with closing(amazon.client()) as admin:
        admin.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=b"another's")
    before = amazon.objects()
    with closing(amazon.client(ROLE)) as client:
        for operation, more in (("put_object", {"Body": b"x"}), ("delete_object", {}), ("get_object", {})):
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(client, operation)(Bucket=BUCKET, Key=f"{PREFIX}/{key}", **more)
    assert amazon.objects() == before


def test_a_publisher_cannot_delete_what_it_published_to_the_bucket(amazon: Amazon, tmp_path: Path) -> None:
    amazon.publish(ROLE, make_wheel(tmp_path, PROJECT, "1.0"))
    before = amazon.objects()
    with closing(amazon.client(ROLE)) as client:
        for key in before:
            with pytest.raises(ClientError, match="AccessDenied"):
                client.delete_object(Bucket=BUCKET, Key=key)
    assert amazon.objects() == before


def test_a_publisher_who_may_not_list_the_bucket_is_told_so(amazon: Amazon, tmp_path: Path) -> None:
    with pytest.raises(PypiPrivateError, match="access is denied") as refused:
        amazon.publish(UNLISTING, make_wheel(tmp_path, PROJECT, "1.0"))
    assert "s3:ListBucket on the bucket" in str(refused.value.hint)
    assert not amazon.objects()


def test_a_condition_on_the_prefix_is_too_narrow_for_big_files_in_a_bucket(amazon: Amazon, tmp_path: Path) -> None:
    assert amazon.publish(BELOW_PREFIX, make_wheel(tmp_path, PROJECT, "1.0")) == ["published"]
    record = f"{PREFIX}/{PROJECT}/index.json"
    before = amazon.objects()[record]
    with pytest.raises(PypiPrivateError, match="access is denied"):
        amazon.publish(BELOW_PREFIX, make_wheel(tmp_path, PROJECT, "2.0", files={"acme_hello/data": os.urandom(BIG)}))
    assert amazon.objects()[record] == before


def test_a_reader_of_the_bucket_reads_everything_and_writes_nothing(amazon: Amazon, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, PROJECT, "1.0")
    amazon.publish(ROLE, wheel)
    before = amazon.objects()
    with closing(amazon.client(READER)) as client:
        for key, etag in before.items():
            assert client.get_object(Bucket=BUCKET, Key=key)["ETag"] == etag
        with pytest.raises(client.exceptions.NoSuchKey):
            client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/acme-none/index.json")
        assert client.list_objects_v2(Bucket=BUCKET)["KeyCount"] == len(before)
    with pytest.raises(PypiPrivateError, match="access is denied"):
        amazon.publish(READER, make_wheel(tmp_path, PROJECT, "2.0"))
    assert amazon.objects() == before


# -- recipes ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What a job runs: shell scripts, one after the other, and the variables that it sets for them."""

    scripts: tuple[str, ...]
    variables: Mapping[str, str]


def github_jobs() -> tuple[Job, Job]:
    """Return the build and the publish job of the GitHub workflow."""

    def job(name: str) -> Job:
        steps = [step for step in workflow["jobs"][name]["steps"] if "run" in step]
        variables = {key: value for step in steps for key, value in step.get("env", {}).items()}
        return Job(tuple(step["run"] for step in steps), variables)

    workflow = yaml.safe_load((RECIPES / "github-actions.yml").read_text("utf-8"))
    return job("build"), job("publish")


def gitlab_jobs() -> tuple[Job, Job]:
    """Return the build and the publish job of the GitLab pipeline; one shell runs all lines of a job."""

    def job(name: str) -> Job:
        return Job(("\n".join(pipeline[name]["script"]),), pipeline[name].get("variables", {}))

    pipeline = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text("utf-8"))
    return job("build"), job("publish")


def jenkins_jobs() -> tuple[Job, Job]:
    """Return the build and the publish stage of the Jenkinsfile."""
    _, build, publish = (RECIPES / "Jenkinsfile").read_text("utf-8").split(" stage('")
    return _stage(build), _stage(publish)


def _stage(text: str) -> Job:
    return Job(tuple(re.findall(r"\bsh '(.*)'\n", text)), dict(re.findall(r"^ +(\w+) = '(.*)'$", text, re.MULTILINE)))


def github_credentials(amazon: Amazon, _directory: Path) -> dict[str, str]:
    """Do as the action ``configure-aws-credentials`` does with what the workflow says."""
    workflow = yaml.safe_load((RECIPES / "github-actions.yml").read_text("utf-8"))
    job = workflow["jobs"]["publish"]
    assert (job["permissions"], job["environment"]) == ({"id-token": "write"}, "private-index")
    (said,) = (step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", ""))
    return {**amazon.assume(said["role-to-assume"], amazon.token("github")), "AWS_REGION": said["aws-region"]}


def gitlab_credentials(amazon: Amazon, _directory: Path) -> dict[str, str]:
    """Give the tokens that the job asks for, as variables."""
    pipeline = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text("utf-8"))
    asked = pipeline["publish"]["id_tokens"]
    return {name: amazon.token("gitlab", audience=token["aud"]) for name, token in asked.items()}


def jenkins_credentials(amazon: Amazon, directory: Path) -> dict[str, str]:
    """Bind the token as a file, as the stage says."""
    (variable,) = re.findall(r"withCredentials\(\[file\(.*variable: '(\w+)'\)\]\)", (RECIPES / "Jenkinsfile").read_text("utf-8"))
    (directory / "id-token").write_text(amazon.token("jenkins"), "utf-8")
    return {variable: str(directory / "id-token")}


CI = {
    "github": (github_jobs, github_credentials),
    "gitlab": (gitlab_jobs, gitlab_credentials),
    "jenkins": (jenkins_jobs, jenkins_credentials),
}


@dataclass(frozen=True)
class Runner:
    """What runs jobs: a shell, each time in a directory with nothing else in it.

    :ivar env: has what the jobs install.
    """

    env: Mapping[str, str]
    directory: Path

    def build(self, job: Job) -> Path:
        """Run the job in a checkout of the project; return what it leaves."""
        checkout = self.directory / "checkout"
        shutil.copytree(ROOT / "examples/pyproject", checkout, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info"))
        settings = checkout / "pyproject.toml"
        settings.write_text(settings.read_text("utf-8").replace("acme-pyproject", PROJECT), "utf-8")
        self._run(job, checkout)
        return checkout / "dist"

    def publish(self, job: Job, dist: Path, credentials: Mapping[str, str]) -> None:
        """Run the job where nothing is but the artifacts of the other one."""
        shutil.copytree(dist, self.directory / "workspace/dist")
        self._run(job, self.directory / "workspace", **credentials)

    def _run(self, job: Job, cwd: Path, **more: str) -> None:
        for script in job.scripts:
            run(["sh", "-e", "-c", script], env={**self.env, **job.variables, **more}, cwd=cwd)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what an isolated build of the project installs, from the registry that this machine uses."""
    wheelhouse = tmp_path_factory.mktemp("wheelhouse")
    run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", wheelhouse, "setuptools>=77"], env=AMBIENT)
    return wheelhouse


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Path) -> Callable[[], Runner]:
    """Makes runners. The jobs' own ``pip install`` finds there what it is to install, and no index is asked."""
    python = Environments.of_this_run(tmp_path_factory).virtual("build", "pip")
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    home = tmp_path_factory.mktemp("home")
    env = environment(home, PATH=path, TMPDIR=str(home), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheelhouse))
    return lambda: Runner(env, tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def built(runner: Callable[[], Runner]) -> dict[str, Path]:
    """What the build job of each recipe leaves: one release, built three times."""
    return {ci: runner().build(jobs()[0]) for ci, (jobs, _) in CI.items()}


@pytest.mark.parametrize(("ci", "rebuilt"), [("github", "gitlab"), ("gitlab", "jenkins"), ("jenkins", "github")])
def test_a_recipe_publishes_to_a_directory_and_running_all_of_it_again_changes_nothing(
    ci: str, rebuilt: str, built: dict[str, Path], runner: Callable[[], Runner], tmp_path: Path
) -> None:
    _, publish = CI[ci][0]()
    elsewhere = {"PP_REPOSITORY": str(tmp_path / "index")}
    runner().publish(publish, built[ci], elsewhere)
    record = tmp_path / f"index/{PROJECT}/index.json"
    before = record.read_bytes()
    assert _hashes(before) == _hashes_of(built[ci])
    assert {Path(name).suffix for name in _hashes(before)} == {".gz", ".whl"}

    assert _hashes_of(built[rebuilt]).keys() == _hashes(before).keys()
    assert _hashes_of(built[rebuilt]) != _hashes(before)
    runner().publish(publish, built[rebuilt], elsewhere)
    assert record.read_bytes() == before


@pytest.mark.parametrize("ci", CI)
def test_a_recipe_publishes_to_its_bucket_with_no_more_than_an_id_token(
    ci: str, runner: Callable[[], Runner], amazon: Amazon, tmp_path: Path
) -> None:
    jobs, credentials = CI[ci]
    dist = tmp_path / "dist"
    built = {path.name for path in (make_wheel(dist, PROJECT, "0.3"), make_sdist(dist, PROJECT, "0.3"))}
    endpoints = {"AWS_ENDPOINT_URL_S3": amazon.url, "AWS_ENDPOINT_URL_STS": amazon.url}
    runner().publish(jobs()[1], dist, {**credentials(amazon, tmp_path), **endpoints})
    with closing(amazon.client()) as client:
        record = client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{PROJECT}/index.json")["Body"].read()
    assert set(_hashes(record)) == built


@pytest.mark.parametrize("ci", CI)
def test_no_credentials_are_where_code_of_the_project_runs(ci: str) -> None:
    build, publish = CI[ci][0]()
    assert any("python -m build" in script for script in build.scripts)
    assert not any(name.startswith(("AWS_", "PP_")) for name in build.variables)
    assert not any("-m build" in script for script in publish.scripts)
    assert not any("KEY" in name for name in publish.variables)


def _hashes(record: bytes) -> dict[str, str]:
    return {file["filename"]: file["hashes"]["sha256"] for file in json.loads(record)["files"]}


def _hashes_of(dist: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dist.iterdir()}
