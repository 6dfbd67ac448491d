"""An index to be served, with things lying in and around it that nobody may see; and what asks a server for it."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pypiprivate import artifact, news
from pypiprivate.publish import publish
from pypiprivate.storage import Storage, open_storage
from pypiprivate.storage.s3 import S3Storage

from .builders import make_sdist, make_wheel
from .servers import Server

#: Stands in everything that nobody may see.
SECRET = "nobody-may-read-this"
#: Name and password of who may read the index, and the same as htpasswd writes it (crypt's SHA-512).
USER = ("alice", "correct horse")
USERS = "alice:$6$aSaltForTests$/uXDV0HphTC45rqEwlPHvAzheDmcd9/Vp3mwl3J5uSUVfIqEwKLj5.rNMMQZmMeAqr5izTVg0zt.doY26Di2L0\n"
#: The name of a store, which only a name server of the tests knows.
STORE = "store.test"
JSON = "application/vnd.pypi.simple.v1+json"
#: What pip and a browser send.
PIP_ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
BROWSER_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
#: Lies in the index or beside it, and is no part of it.
HIDDEN = (
    ".git/config",
    ".htpasswd",
    ".env",
    ".pypiprivate/locks/demo",
    ".pypiprivate/tmp-demo-1.0.whl",
    "notes.txt",
    "backup.zip",
    "index.html~",
    "index.json.bak",
    "demo/.index.html.swp",
    "demo/.hidden-1.0-py3-none-any.whl",
    "demo/index.json.tmp",
    "demo/demo-9.0-py3-none-any.whl.part",
    "demo/setup.cfg",
    "demo/deeper/than/anything/demo-1.0.tar.gz",
    "Demo/demo-1.0.tar.gz",
    "demo/a b-1.0.tar.gz",
)


@dataclass(frozen=True)
class Answered:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    url: str,
    path: str = "",
    *,
    accept: str = BROWSER_ACCEPT,
    user: tuple[str, str] | None = USER,
    method: str = "GET",
    trusting: Path | None = None,
    **headers: str,
) -> Answered:
    """Ask for *path* below *url*, as it is written; redirects are not followed.

    :param user: name and password.
    :param trusting: the certificate of the server.
    :param headers: with ``_`` for ``-``.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=trusting) if trusting else None
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=30, context=context)
        if context
        else http.client.HTTPConnection(parts.netloc, timeout=30)
    )
    sent = {"Accept": accept, **({"Authorization": basic(*user)} if user else {})}
    with closing(connection):
        connection.request(
            method, parts.path + path, headers=sent | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, found, answer.read())


def basic(name: str, password: str) -> str:
    """Return the value of Authorization (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def directory(root: Path) -> Path:
    """Make an index in a directory below *root*, with what nobody may see in it and beside it, and return it."""
    index = root / "srv" / "simple"
    index.mkdir(parents=True)
    fill(open_storage("local-filesystem", {"base_path": str(index)}), root / "dist")
    for name in (*HIDDEN, "../secret.txt", "../index.html"):
        path = index / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET, "utf-8")
    older = index / "older"
    older.mkdir()
    (older / "index.html").write_text('<!DOCTYPE html><a href="older-1.0.tar.gz">older-1.0.tar.gz</a>', "utf-8")
    (older / "older-1.0.tar.gz").write_bytes(make_sdist(root / "dist", "older").read_bytes())
    return index


def bucket(server: Server, prefix: str, root: Path) -> dict[str, str]:
    """Make the same index in a bucket, and return the options of the repository."""
    options = server.options(prefix=prefix)
    storage = open_storage("aws-s3", options)
    assert isinstance(storage, S3Storage)
    fill(storage, root / "dist")
    older = make_sdist(root / "dist", "older").read_bytes()
    with closing(server.client()) as client:
        for name in HIDDEN:
            client.put_object(Bucket=options["bucket"], Key=f"{prefix}/{name}", Body=SECRET.encode())
        client.put_object(Bucket=options["bucket"], Key=f"{prefix}-secret.txt", Body=SECRET.encode())
        page = b'<!DOCTYPE html><a href="older-1.0.tar.gz">older-1.0.tar.gz</a>'
        client.put_object(Bucket=options["bucket"], Key=f"{prefix}/older/index.html", Body=page, ContentType="text/html")
        # As a careless tool stores it: a client would undo the encoding before it hashes.
        gzipped = {"ContentType": "application/x-tar", "ContentEncoding": "gzip"}
        client.put_object(Bucket=options["bucket"], Key=f"{prefix}/older/older-1.0.tar.gz", Body=older, **gzipped)
    return options


def fill(storage: Storage, dist: Path) -> None:
    """Publish a few projects, and tell of them: odd names, a local version, an epoch, a README, a page worth compressing."""
    made = [
        make_wheel(dist, "Foo.Bar", "1.0", requires_python=">=3.8", description="Foo\n===\n\nBar\n" * 20),
        make_sdist(dist, "Foo.Bar", "1.0", files={"more.txt": bytes(range(256)) * 64}),
        make_wheel(dist, "demo", "1.0+local.1"),
        make_wheel(dist, "demo", "1!2.0"),
        *(make_wheel(dist, "many", f"1.{minor}") for minor in range(12)),
    ]
    publish([artifact.read(path) for path in made], storage)
    news.renew(storage)


def files_of(url: str, project: str, **how: object) -> list[str]:
    """Return the paths below the index of what a project's page lists, as they stand there."""
    page = ask(url, f"{project}/", **how).body.decode()  # type: ignore[arg-type]
    return [f"{project}/{found}" for found in re.findall(r'href="([^"#]*)', page)]


@dataclass(frozen=True)
class Certified:
    """What a server for 127.0.0.1 shows, its key, and whom one has to trust for it."""

    certificate: Path
    key: Path
    authority: Path


def certified(home: Path) -> Certified:
    """Make a certificate for 127.0.0.1 and :data:`STORE`, and an authority that signs it."""
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("tests", authority, signed_by=None)
    leaf = _certificate("127.0.0.1", own, signed_by=(root, authority))
    made = Certified(home / "server.pem", home / "server.key", home / "authority.pem")
    made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made.key.write_bytes(own.private_bytes(*form))
    return made


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, *, signed_by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer, issuer_key = (signed_by[0].subject, signed_by[1]) if signed_by else (name, key)
    now, day = datetime.now(timezone.utc), timedelta(days=1)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False)
    usage |= {"digital_signature": True, "key_cert_sign": signed_by is None, "encipher_only": False, "decipher_only": False}
    builder = (
        x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if signed_by:
        names = x509.IPAddress(ipaddress.ip_address(subject)), x509.DNSName(STORE)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
