"""CloudFront as far as tests can have it: the function of the recipe's template, run by Node in front of a private bucket."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from pypiprivate import recipe

from .servers import READER, Server

EDGE = Path(__file__).parent / "data" / "edge.mjs"
#: The helper methods of a key value store: `get` fails where there is no key, everything fails where the store does.
_USERS = """
const users = {users};
function found(key) {{
  if (key === 'broken') {{ throw new Error('the store is not there'); }}
  return Object.prototype.hasOwnProperty.call(users, key);
}}
export default {{
  kvs: () => ({{
    exists: async (key) => found(key),
    get: async (key) => {{ if (!found(key)) {{ throw new Error('no such key'); }} return users[key]; }},
  }}),
}};
"""


class _Template(yaml.SafeLoader):
    """CloudFormation's short forms, as what they are short for."""


def _long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {tag: loader.construct_scalar(node)}


_Template.add_multi_constructor("!", _long_form)


def written(place: recipe.Place) -> str:
    """Return the template for a repository."""
    return recipe.write(recipe.RECIPES["cloudfront"], place)["cloudfront.yaml"]


def read(text: str) -> dict[str, Any]:
    """Return what a template says."""
    return dict(yaml.load(text, _Template))


def properties(template: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the properties of one resource."""
    return dict(template["Resources"][name]["Properties"])


def module_of_users(users: Mapping[str, str]) -> str:
    """Return the module ``cloudfront`` that the function imports, with a store of these users and their hashes."""
    return _USERS.format(users=json.dumps(users))


def prepare(home: Path, template: Mapping[str, Any], users: Mapping[str, str]) -> Path:
    """Put into *home* the function as it stands in the template, the module that it imports, and what calls it."""
    store = home / "node_modules" / "cloudfront"
    store.mkdir(parents=True)
    (store / "package.json").write_text('{"name": "cloudfront", "main": "index.mjs", "type": "module"}', "utf-8")
    (store / "index.mjs").write_text(module_of_users(users), "utf-8")
    (home / "function.mjs").write_text(properties(template, "Gate")["FunctionCode"] + "\nexport { handler };\n", "utf-8")
    shutil.copy(EDGE, home)
    return home


@contextmanager
def distribution(node: str, home: Path, place: recipe.Place, server: Server, users: Mapping[str, str]) -> Iterator[str]:
    """Serve a private bucket as the stack of the recipe does: the function, requests that are signed, headers of the template.

    There is no cache and no compression, and one origin on one machine.

    :param node: the program.
    :param home: an empty directory.
    :param server: has the bucket of *place*; it is asked with keys that may only read.
    :param users: the hash or hashes of each.
    """
    template = read(written(place))
    environ = os.environ | {"DISTRIBUTION": json.dumps(_configured(template, place, server))}
    command = [node, EDGE.name, "serve"]
    with subprocess.Popen(command, cwd=prepare(home, template, users), env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}{urlsplit(place.index_url or '').path}"
        finally:
            process.terminate()


def _configured(template: Mapping[str, Any], place: recipe.Place, server: Server) -> dict[str, Any]:
    (origin,) = properties(template, "Distribution")["DistributionConfig"]["Origins"]
    policy = properties(template, "Headers")["ResponseHeadersPolicyConfig"]
    access_key, secret_key = READER
    return {
        "origin": server.url,
        "path": f"/{place.options['bucket']}{origin.get('OriginPath', '')}",
        "region": place.options["region"],
        "keys": {"access": access_key, "secret": secret_key},
        "headers": headers_of(policy),
        "removed": [item["Header"] for item in policy["RemoveHeadersConfig"]["Items"]],
    }


def headers_of(policy: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that a response headers policy puts over those of the origin."""
    custom = {item["Header"]: (item, item["Value"]) for item in policy["CustomHeadersConfig"]["Items"]}
    security = {_NAMES[kind]: (item, _value(kind, item)) for kind, item in policy["SecurityHeadersConfig"].items()}
    found = custom | security
    assert all(item["Override"] for item, _ in found.values()), "only such ones are known here"
    return {name: value for name, (_, value) in found.items()}


_NAMES = {
    "ContentSecurityPolicy": "Content-Security-Policy",
    "ContentTypeOptions": "X-Content-Type-Options",
    "ReferrerPolicy": "Referrer-Policy",
    "StrictTransportSecurity": "Strict-Transport-Security",
}


def _value(kind: str, item: Mapping[str, Any]) -> str:
    if kind == "ContentTypeOptions":
        return "nosniff"
    if kind == "StrictTransportSecurity":
        return f"max-age={item['AccessControlMaxAgeSec']}"
    return str(item[kind])
