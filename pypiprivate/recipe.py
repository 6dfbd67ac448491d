"""Recipes for serving an index: files for nginx and for Amazon, filled in for one repository.

Their templates lie in ``pypiprivate/recipes``. ``@name@`` stands for a value; a line that begins with ``@?name@`` is kept where
there is that value; ``@include FILE@`` stands for another template.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from textwrap import indent
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigError

#: What an index has below its root, as regular expressions that Python, nginx and JavaScript understand alike.
PROJECT = "[a-z0-9]+(-[a-z0-9]+)*"
DIGEST = "[0-9a-f]{32}(-[0-9]{1,9})?"
KINDS = r"(whl|tar\.gz|zip|tar\.bz2|tar\.xz|tar|tgz|tbz)"
RELEASE_FILE = rf"[A-Za-z0-9][A-Za-z0-9._+!-]{{0,254}}\.{KINDS}"
FILENAME = rf"{RELEASE_FILE}(\.metadata)?"
#: Pages and their other forms: of the index, of a project, the READMEs beside files, and what is new.
DOCUMENT = rf"({PROJECT}/)?index\.(html|json)|{PROJECT}/{DIGEST}/\.readme/{RELEASE_FILE}\.html|news\.(html|xml)"
#: Any spelling of a project's name (PEP 503).
NAME = "[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?"
#: A page fetches nothing, and is shown in nobody's frame but ours. What is inline may run here, because a page says itself, in a
#: ``<meta>``, by hash, which one style and which one script that is: both policies hold, and so the stricter one. Were the hashes
#: here, pages of a newer version would be dead until somebody renews the web server's configuration.
CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
#: A README or the news: what strangers wrote is most of it, and there is no script.
STILL_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
STILL = re.compile(r"/news\.html\Z|/\.readme/[^/]+\.html\Z")
#: Stands for ``index_url`` where there is none.
EXAMPLE_URL = "https://pypi.example.com/simple/"
#: Where the names lead that are not ours, by the recipe that falls back.
PUBLIC_URL = "https://pypi.org/simple/"
#: Where nginx looks for files that belong inside ``http { }``, on Debian and elsewhere.
DIRECTORY = "/etc/nginx/conf.d"

_PLACEHOLDER = re.compile(r"@([a-z0-9_]+)@")
_CONDITION = re.compile(r"^@\?([a-z0-9_]+)@")
_INCLUDE = re.compile(r"^( *)@include ([a-z0-9.-]+)@\n", re.MULTILINE)
_ARN = re.compile(r"arn:(?P<partition>[\w-]+):s3:(?P<region>[\w-]+):(?P<account>\d+):accesspoint[/:](?P<name>[\w.-]+)\Z")
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*\Z")


@dataclass(frozen=True)
class Place:
    """What is known of a repository.

    :ivar type: its storage backend.
    :ivar options: of that backend; credentials in it are not looked at.
    :ivar index_url: where clients are to read it, or None.
    :ivar directory: where the recipe's files will lie on the machine that serves.
    """

    type: str
    options: Mapping[str, str]
    index_url: str | None = None
    directory: str = DIRECTORY


@dataclass(frozen=True)
class Recipe:
    """One way of serving an index, or of letting somebody serve it.

    :ivar files: names of its templates; the first one is what one reads.
    :ivar values: returns what stands for each placeholder.
    """

    name: str
    about: str
    files: tuple[str, ...]
    values: Callable[[Place], dict[str, str]]


def write(recipe: Recipe, place: Place, **more: str) -> dict[str, str]:
    """Fill in a recipe for a repository, and return its files: text by name.

    :param more: values instead of those that the recipe has.
    :raises ConfigError: it is for another kind of storage, or something that it needs is missing.
    """
    values = recipe.values(place) | more
    return {name: filled(name, values) for name in recipe.files}


def filled(name: str, values: Mapping[str, str]) -> str:
    """Return one template with its values, each quoted as its language wants it.

    :raises ConfigError: a value cannot be written in that language.
    """
    return fill(template(name), values, quoted=_QUOTED[Path(name).suffix])


def site(index_url: str | None) -> SplitResult:
    """Return where clients read the index over HTTP, or an example of it."""
    return urlsplit(index_url if index_url and index_url.startswith("http") else EXAMPLE_URL)


def authority(host: str, port: int) -> str:
    """Return host and port as they stand in a URL, and in nginx's ``listen``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Tell whether this is an address, or the name, that a machine has for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def template(name: str) -> str:
    """Return a template, whole."""
    text = (resources.files(__package__) / "recipes" / name).read_text("utf-8")
    return _INCLUDE.sub(lambda match: indent(template(match[2]), match[1]), text)


def fill(text: str, values: Mapping[str, str], *, quoted: Callable[[str], str]) -> str:
    """Put values into a template.

    :param quoted: writes a value so that it stays one inside the quotes of the template's language.
    :raises KeyError: the template asks for a value that there is not.
    """
    lines = []
    for line in text.splitlines(keepends=True):
        condition = _CONDITION.match(line)
        if condition is None or values[condition[1]]:
            lines.append(_PLACEHOLDER.sub(lambda match: quoted(values[match[1]]), _CONDITION.sub("", line)))
    return "".join(lines)


# -- values -------------------------------------------------------------------------------------------------------------------


def _of_directory(place: Place) -> dict[str, str]:
    if "base_path" not in place.options:
        raise _other_recipe(place, "a directory", "nginx-s3")
    return {**_of_nginx(place), "base_path": Path(place.options["base_path"]).as_posix(), "public_url": ""}


def _falling_back(place: Place) -> dict[str, str]:
    return _of_directory(place) | {"public_url": PUBLIC_URL}


def _of_bucket(place: Place) -> dict[str, str]:
    values = {**_of_nginx(place), **_bucket(place)}
    return values | {
        "credentials": "/etc/nginx/pypi-private-keys.json",
        "resolver": "127.0.0.53",
        "authorities": "/etc/ssl/certs/ca-certificates.crt",
    }


def _of_nginx(place: Place) -> dict[str, str]:
    url = site(place.index_url)
    path = url.path.rstrip("/")
    if not _PATH.match(path):
        raise ConfigError(f"the path of index_url, {path!r}, is none that a recipe can be written for")
    tls = url.scheme == "https"
    host, port = url.hostname or "", url.port or (443 if tls else 80)
    inside = is_loopback(host)
    listen = f"{authority(host, port) if inside else port}{' ssl' if tls else ''}"
    return {
        "tls": "yes" if tls else "",
        "plain": "" if tls or inside else "yes",
        "listen": listen,
        "listen6": "" if inside else f"[::]:{listen}",
        "host": host,
        "path": path,
        "path_pattern": path.replace(".", r"\."),
        "directory": place.directory,
        "certificate": f"/etc/ssl/certs/{host}.pem",
        "certificate_key": f"/etc/ssl/private/{host}.key",
        "users": "/etc/nginx/pypi-private.htpasswd",
        "s3_host": "",
        "csp": CSP,
        "still_csp": STILL_CSP,
        "project": PROJECT,
        "digest": DIGEST,
        "filename": FILENAME,
        "document": DOCUMENT,
        "kinds": KINDS,
        "name": NAME,
    }


def _of_cloudfront(place: Place) -> dict[str, str]:
    """Return what the stack is made with: the bucket is made by it, too, so it is none behind an access point or an endpoint."""
    if "bucket" not in place.options:
        raise _other_recipe(place, "a bucket", "nginx")
    bucket, prefix = place.options["bucket"], place.options.get("prefix", "").strip("/")
    if bucket.startswith("arn:") or "endpoint" in place.options:
        reason = "the recipe makes a bucket of Amazon's, and this repository is behind an access point or an endpoint"
        raise ConfigError(reason, hint="Try recipe nginx-s3.")
    if not re.fullmatch(r"[A-Za-z0-9._~/-]*", prefix):
        raise ConfigError(f"the prefix {prefix!r} is none that the recipe can be written for", hint="Try recipe nginx-s3.")
    return {**_of_nginx(place), "bucket": bucket, "prefix": prefix and f"{prefix}/", "location": prefix and f"/{prefix}"}


def _of_reader(place: Place) -> dict[str, str]:
    values = _bucket(place)
    bucket, partition = place.options["bucket"], "aws-cn" if values["region"].startswith("cn-") else "aws"
    key = place.options.get("kms_key_id", "")
    if key.startswith("alias/"):
        raise ConfigError("a policy cannot name a KMS key by its alias", hint="Say its ARN or its ID as kms_key_id.")
    return {
        "prefix": values["prefix"],
        "bucket_arn": bucket if bucket.startswith("arn:") else f"arn:{partition}:s3:::{bucket}",
        "objects": f"{bucket}/object" if bucket.startswith("arn:") else f"arn:{partition}:s3:::{bucket}",
        "kms_key_id": key,
        "kms_key_arn": key if key.startswith("arn:") else f"arn:{partition}:kms:{values['region']}:*:key/{key}",
    }


def _bucket(place: Place) -> dict[str, str]:
    """Return where the objects are, and how to ask for them."""
    if "bucket" not in place.options:
        raise _other_recipe(place, "a bucket", "nginx")
    options, prefix = place.options, place.options.get("prefix", "").strip("/")
    arn = _ARN.match(options["bucket"])
    region = options.get("region", "") or (arn["region"] if arn else "us-east-1" if "endpoint" in options else "")
    if not region:
        raise ConfigError(
            f"the region of the bucket {options['bucket']} is not said, and requests are signed for one",
            hint="Say region beside bucket, as region = eu-west-1, or ?region=eu-west-1 in the URL.",
        )
    scheme, host, in_path = _address(options, arn, region)
    return {
        "region": region,
        "prefix": prefix and f"{prefix}/",
        "s3_scheme": scheme,
        "s3_host": host,
        "s3_name": host.rpartition(":")[0] or host,
        "s3_tls": "yes" if scheme == "https" else "",
        "s3_bucket": in_path,
    }


def _address(options: Mapping[str, str], arn: re.Match[str] | None, region: str) -> tuple[str, str, str]:
    """Return scheme and host of a store, and what stands in the path before the keys."""
    bucket, domain = options["bucket"], "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "endpoint" in options:
        endpoint = urlsplit(options["endpoint"])
        return endpoint.scheme, endpoint.netloc, f"{endpoint.path.strip('/')}/{bucket}".lstrip("/")
    if arn:
        return "https", f"{arn['name']}-{arn['account']}.s3-accesspoint.{region}.{domain}", ""
    # A certificate for *.s3.REGION holds for no name with a dot.
    return ("https", f"s3.{region}.{domain}", bucket) if "." in bucket else ("https", f"{bucket}.s3.{region}.{domain}", "")


def _other_recipe(place: Place, wanted: str, other: str) -> ConfigError:
    return ConfigError(f"this recipe is for {wanted}, and the repository is of type {place.type}", hint=f"Try recipe {other}.")


# -- quoting ------------------------------------------------------------------------------------------------------------------


def _in_nginx(value: str) -> str:
    """Refuse what nginx would take for a variable's name: there is no way to say that it is none."""
    # Expressions of ours quote their dots.
    if re.search(r"\$|\\(?!\.)", value) or not value.isprintable():
        raise ConfigError(f"nginx cannot be told of {value!r}", hint="Choose a path without $, \\\\ and control characters.")
    return value.replace('"', r"\"")


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


_QUOTED: dict[str, Callable[[str], str]] = {".conf": _in_nginx, ".json": _in_json, ".yaml": _in_json, ".js": _in_json}

#: Every recipe, by name.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("nginx", "nginx before a directory", ("nginx.conf", "names.js"), _of_directory),
        Recipe("nginx-fallback", "the same; other names lead to PyPI", ("nginx-fallback.conf", "names.js"), _falling_back),
        Recipe("nginx-s3", "nginx before a private bucket", ("nginx-s3.conf", "s3.js"), _of_bucket),
        Recipe("cloudfront", "CloudFront before a private bucket, by CloudFormation", ("cloudfront.yaml",), _of_cloudfront),
        Recipe("iam", "the policy of whoever serves a bucket: reading, and nothing else", ("iam-reader.json",), _of_reader),
    )
}
