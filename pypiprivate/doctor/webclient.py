"""Asks a web server as installers do: with credentials for its own host only, within http and https, and not for long."""

from __future__ import annotations

import base64
import netrc
import os
import re
import ssl
import string
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from .. import __version__
from ..errors import ConfigError, PypiPrivateError

#: Seconds that a server may take for each step of an answer.
TIMEOUT = 10.0
#: Where a chain of redirects is given up.
_HOPS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
_WITHIN = "Let it stay within http and https."
_WRITTEN = "Write it as https://HOST/PATH/, with USER:PASSWORD@ before the host if need be."
_TRUST = "pip trusts what --cert or PIP_CERT names, uv and this command what SSL_CERT_FILE names."
#: Codes of OpenSSL's verification: what they mean to whoever runs the server, and the way out.
_UNTRUSTED: Mapping[int, tuple[str, str]] = {
    9: ("its certificate is not valid yet", "Compare the clocks of server and client."),
    10: ("its certificate has expired", "Renew it; if it is new, let the server load it, and look at this machine's clock."),
    18: ("its certificate is self-signed", f"Let clients trust it, or get one from an authority that they trust: {_TRUST}"),
    19: ("its certificate comes from an authority of your own", f"Let clients trust that authority: {_TRUST}"),
    20: (
        "nobody whom this machine trusts vouches for its certificate",
        f"Let the server send its intermediate certificates, too, or let clients trust its authority: {_TRUST}",
    ),
    62: ("its certificate is for another host name", "Get one for this name, or use the name that it is for."),
}
_UNTRUSTED = {**_UNTRUSTED, 21: _UNTRUSTED[20], 64: _UNTRUSTED[62]}


class Unanswered(PypiPrivateError):
    """A web server cannot be asked, or its answer is no HTTP."""

    def __init__(self, url: str, reason: str, *, hint: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{shown(url)}: {reason}.", hint=hint)


@dataclass(frozen=True)
class Address:
    """The URL of an index, ending in ``/``, and the credentials that stood in it."""

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Take a URL apart. No error shows it: it may hide a password.

        :raises ConfigError: it is no URL of http or https.
        """
        if not _is_web(text) or re.search(r"[\s?#]", text) or not text.isprintable():
            raise ConfigError("this is no URL of an index", hint=_WRITTEN)
        parts = urlsplit(text)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        host = parts.netloc.rpartition("@")[2]
        return cls(
            f"{parts.scheme}://{host}{quote(parts.path.rstrip('/'), safe=string.punctuation)}/",
            (unquote(user), unquote(password)) if user else None,
        )


@dataclass(frozen=True)
class Answer:
    """What a server said.

    :ivar url: of the page that answered, after redirects.
    :ivar body: as much of it as was wanted.
    :ivar redirects: where it led, one after the other, as they may be shown.
    """

    url: str
    status: int
    headers: Message
    body: bytes
    redirects: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        """The media type alone, lower case; empty where none is said."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """Return a header's value, or its values with commas (RFC 9110); empty where there is none."""
        return ", ".join(str(value) for value in self.headers.get_all(name, ()))


class Client:
    """Asks the server at *address*, and wherever that leads.

    :param timeout: seconds that a server may take for each step of an answer.
    :ivar credentials: user and password: those of the address, else netrc's for its host. Sent to that server only.
    :ivar netrc_error: why netrc could not be read, without a word of it.
    """

    def __init__(self, address: Address, *, timeout: float = TIMEOUT) -> None:
        self.address, self._timeout = address, timeout
        self.netrc_error = ""
        self.credentials = address.credentials or self._from_netrc()
        self._opener = urllib.request.OpenerDirector()
        context = ssl.create_default_context()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=context),
        ):
            self._opener.add_handler(handler)

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        limit: int = 0,
        follow: bool = True,
        anonymous: bool = False,
    ) -> Answer:
        """Ask for *url*.

        :param limit: how many bytes of the body are wanted; the rest is not waited for.
        :param follow: redirects, as long as they stay within http and https.
        :param anonymous: say no credentials, even if there are some.
        :raises Unanswered: there is no answer.
        """
        if not _is_web(url):
            raise Unanswered(self.address.url, "it links to what is no web page", hint=_WITHIN)
        led: list[str] = []
        while True:
            answer = self._once(url, method, headers or {}, limit, anonymous=anonymous)
            target = _target(answer) if follow else None
            if target is None:
                return replace(answer, redirects=tuple(led))
            if len(led) == _HOPS:
                raise Unanswered(url, "redirects lead on and on", hint="Let each page answer by itself.")
            url = target
            led.append(shown(url))

    def _once(self, url: str, method: str, headers: Mapping[str, str], limit: int, *, anonymous: bool) -> Answer:
        said = {"User-Agent": f"pypiprivate/{__version__}", **headers}
        if self.credentials and not anonymous and self._is_ours(url):
            said["Authorization"] = "Basic " + base64.b64encode(":".join(self.credentials).encode()).decode()
        try:
            request = urllib.request.Request(url, method=method, headers=said)  # noqa: S310  http and https alone get here
            response = self._opener.open(request, timeout=self._timeout)
            with response:
                body = response.read(limit) if limit and method != "HEAD" else b""
                return Answer(url, response.status, response.headers, body)
        except (OSError, HTTPException, ValueError) as error:
            reason, hint = _explained(error)
            raise Unanswered(url, reason, hint=hint) from None  # it may quote what was sent

    def _is_ours(self, url: str) -> bool:
        """Tell whether *url* is of the server that the credentials are for: the same, or its own https."""
        ours, other = _server(self.address.url), _server(url)
        return ours == other or (ours == ("http", other[1], 80) and other == ("https", other[1], 443))

    def _from_netrc(self) -> tuple[str, str] | None:
        places = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
        for path in (Path(os.path.expanduser(place)) for place in places):  # noqa: PTH111  pathlib raises where there is no home
            try:
                found = netrc.netrc(str(path)).authenticators(str(urlsplit(self.address.url).hostname))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, netrc.NetrcParseError) as error:
                line = f" (line {error.lineno})" if isinstance(error, netrc.NetrcParseError) and error.lineno else ""
                self.netrc_error = f"{path} cannot be read{line}"
                continue
            return (found[0], found[2] or "") if found else None
        return None


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password, and the query, which may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _server(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _target(answer: Answer) -> str | None:
    """Return where an answer leads; None if nowhere.

    :raises Unanswered: it leads out of http and https.
    """
    location = answer.header("Location")
    if answer.status not in _REDIRECTS or not location:
        return None
    with suppress(ValueError):
        target = urljoin(answer.url, quote(location, safe=string.punctuation))
        if _is_web(target):
            return target
    raise Unanswered(answer.url, "it leads to what is no web page", hint=_WITHIN)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _explained(error: Exception) -> tuple[str, str]:
    """Put what went wrong into words: the reason, and the way out."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        detail = cause.verify_message
        return _UNTRUSTED.get(cause.verify_code, (f"its certificate is not trusted ({detail})", f"Get one that is. {_TRUST}"))
    if isinstance(cause, ssl.SSLError):
        return "it does not speak TLS there", "Check scheme and port of the URL, and the server's certificate and key."
    if isinstance(cause, TimeoutError):
        return "it took too long to answer", "Check that it runs, and the firewall between."
    if isinstance(cause, OSError):
        return f"it cannot be reached ({cause.strerror or cause})", "Check host name, port and proxy settings, and that it runs."
    return f"its answer is no HTTP ({type(cause).__name__})", "Check port and scheme of the URL."
