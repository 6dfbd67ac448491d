"""Asks an index through its public URL what pip and uv ask it: the way there first, then a project of it."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from .. import pages
from ..checks import Check, Verdict, fail, failure, ok, skipped, told, warn
from .project import HTML_TYPES, INSTALLER, SEE, Sample, Visit, tried, untrue
from .webclient import Answer, Client, Unanswered

_AUTHORITY = "Keep credentials in netrc, or for this command in the URL: https://USER:PASSWORD@HOST/PATH/."


def examine(client: Client, wanted: Sample | None, checked: Callable[[Check], object] = lambda _check: None) -> tuple[Check, ...]:
    """Ask the index at the client's address what installers ask.

    :param wanted: what to ask for, chosen before anything is asked, so that nothing served may be older.
    :param checked: is told of each check as soon as it is done.
    """
    return tuple(told(_asked(client, wanted), checked))


def _asked(client: Client, wanted: Sample | None) -> Iterator[Check]:
    for check in _way(client):
        yield check
        if check.verdict is Verdict.FAIL:
            yield skipped("index", "nothing else can be asked.")
            return
    yield tried("root", partial(_root, client))
    yield tried("missing project", partial(_missing, client))
    if wanted is None:
        yield skipped("project", "no project offers a file yet: ask again after the first publish.")
    else:
        yield from Visit(client, wanted).checks()


def _way(client: Client) -> Iterator[Check]:
    try:
        arrival = client.ask(client.address.url, anonymous=True)
    except Unanswered as error:
        yield failure("reachable", error)
    else:
        yield _reachable(arrival)  # who asks goes no further if it failed
        yield _transport(client)
        yield tried("credentials", partial(_credentials, client, arrival))


def _reachable(arrival: Answer) -> Check:
    if arrival.status >= 500:
        return fail("reachable", f"the server fails ({arrival.status}).", "Look into its log, and that of what stands behind it.")
    if arrival.redirects:
        said = f"it answers, but leads to {arrival.redirects[-1]}."
        return warn("reachable", said, "Give clients, and index_url, the URL that it leads to.")
    return ok("reachable", "the server answers.")


def _transport(client: Client) -> Check:
    parts = urlsplit(client.address.url)
    if parts.scheme == "https":
        return ok("https", "the server's certificate is trusted here.")
    if parts.hostname == "localhost" or _is_loopback(str(parts.hostname)):
        return ok("https", "it is plain http, which never leaves this machine.")
    way_out = "Serve it by https; until then pip needs --trusted-host."
    return warn("https", "it is plain http: anybody on the way can read and change what is installed.", way_out)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(client: Client, arrival: Answer) -> Check:
    if arrival.status not in {401, 403}:
        return _open(client)
    scheme = arrival.header("WWW-Authenticate")
    if arrival.status == 401 and "basic" not in scheme.lower():
        way_out = "Let it ask with WWW-Authenticate: Basic."
        return fail("credentials", f"it asks for {scheme or 'unnamed'} credentials, and installers know Basic.", way_out)
    if not client.credentials:
        return _unknown(client, arrival)
    status = client.ask(client.address.url).status
    if status in {401, 403}:
        return fail("credentials", f"credentials are asked for, and these are not accepted ({status}).", _AUTHORITY)
    if arrival.status == 403:
        said = "without credentials it says 403, so a client that does not send them at once is not asked for them."
        return warn("credentials", said, "Let it say 401 with WWW-Authenticate: Basic.")
    return ok("credentials", "credentials are asked for, and these are accepted.")


def _unknown(client: Client, arrival: Answer) -> Check:
    if arrival.status == 403:
        way_out = "Let it say 401 with WWW-Authenticate: Basic if it wants credentials, else let it serve the root page."
        return warn("credentials", "it refuses the root page (403) and asks for no credentials.", way_out)
    known = client.netrc_error or "none are known for this host"
    if arrival.redirects:
        known += f", and none would be sent to where it leads, {arrival.redirects[-1]}"
    return fail("credentials", f"credentials are asked for; {known}.", _AUTHORITY)


def _open(client: Client) -> Check:
    host = str(urlsplit(client.address.url).hostname)
    with suppress(OSError, UnicodeError):
        found = {str(place[4][0]).partition("%")[0] for place in socket.getaddrinfo(host, None)}
        if all(ipaddress.ip_address(address).is_private for address in found):
            return ok("credentials", "none are asked for, at an address of a private network.")
    way_out = "Ask for credentials (HTTP Basic), or let only your network reach it."
    return warn("credentials", "none are asked for: whoever reaches it can read it.", way_out)


def _root(client: Client) -> Check:
    answer = client.ask(client.address.url, headers={"Accept": "*/*"}, limit=1024)
    if answer.status != 200:
        said = f"the root page answers {answer.status}; installers do not ask for it, people and mirrors do."
        return warn("root", said, "Serve index.html for a URL that ends in a slash.")
    if problem := untrue(answer):
        return fail("root", f"the root page {problem}.", SEE)
    if pages.page_serial(answer.body) is None and answer.content_type in HTML_TYPES:
        said = "the root page was not written by this program."
        return warn("root", said, "Correct the URL: it is that of the directory with index.json.")
    return ok("root", "the root page is served.")


def _missing(client: Client) -> Check:
    answer = client.ask(f"{client.address.url}pypiprivate-doctor-{secrets.token_hex(8)}/", headers={"Accept": INSTALLER})
    if answer.status in {404, 410}:
        return ok("missing project", f"a project that is not there is answered {answer.status}.")
    if answer.status == 403:
        said = "a project that is not there is answered 403, at which uv stops instead of asking its next index."
        return fail("missing project", said, "Answer 404; of a bucket, grant s3:ListBucket to who reads it.")
    said = f"a project that is not there is answered {answer.status}, not 404."
    return fail("missing project", said, "Answer 404: no page for all that is not found.")
