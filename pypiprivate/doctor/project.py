"""Asks for one project of an index, and for a file of it, and compares what is served with what is stored."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from typing import Any
from urllib.parse import urljoin

from .. import browse, pages, simple
from ..checks import Check, Verdict, fail, failure, ok, skipped, warn
from ..concurrency import Gather, concurrently
from ..model import File, Project
from ..storage.base import Storage
from .webclient import Answer, Client, Unanswered, shown

#: What pip says that it takes; uv says much the same.
INSTALLER = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
#: Content types of pages of HTML (PEP 691).
HTML_TYPES = {"text/html", "application/vnd.pypi.simple.v1+html"}
#: Where types and forms are explained.
SEE = "docs/doctor.rst shows how to, for nginx and CloudFront."
#: Of how many projects the records are looked at, for one with all that is to be tried.
_SAMPLE = 32
#: The longest page, and the longest sidecar, that are read (bytes).
_PAGE, _SIDECAR = 16 << 20, 4 << 20
#: Seconds: a page may be this old without anybody wondering, a file should stay at least that long.
_SOON, _LONG = 600, 86_400
_CACHING = "Serve records and pages with Cache-Control: max-age=0, must-revalidate, files with max-age=31536000, immutable."


@dataclass(frozen=True)
class Sample:
    """What of a repository is asked for: the smallest project that has what is to be tried, as it is stored.

    :ivar page_serial: of its page as it is stored, which a publisher writes a moment after the record; -1: it has none.
    :ivar file: a wheel with a sidecar if there is one, else any file.
    :ivar plus: project and file with a ``+`` in its name, if one was found.
    """

    project: Project
    page_serial: int
    file: File
    plus: tuple[str, File] | None

    @property
    def archive(self) -> File:
        """An sdist if there is one: a server may take its ending for a Content-Encoding."""
        return next((file for file in self.project.files if file.filename.endswith(".gz")), self.file)


def sample(storage: Storage, *, gather: Gather = concurrently) -> Sample | None:
    """Choose what to ask for; None where the first projects offer no files.

    :raises PypiPrivateError: the store could not be read.
    """
    names = browse.projects(storage)[:_SAMPLE]
    stored = gather([partial(storage.get, simple.record_key(name)) for name in names])
    records = [simple.project_from_json(found.body, name) for name, found in zip(names, stored, strict=True) if found]
    offers = [record for record in records if record.files]
    if not offers:
        return None
    best = min(offers, key=_order)
    file = next(filter(_has_sidecar, best.files), best.files[0])
    plus = next(((record.name, file) for record in offers for file in record.files if "+" in file.filename), None)
    page = storage.get(simple.page_key(best.name))
    serial = pages.page_serial(page.body) if page else None
    return Sample(best, -1 if serial is None else serial, file, plus)


def _order(record: Project) -> tuple[bool, bool, int]:
    """Put a project first that has a sidecar, and a sdist, and few other files."""
    archived = any(file.filename.endswith(".gz") for file in record.files)
    return not any(map(_has_sidecar, record.files)), not archived, len(record.files)


def _has_sidecar(file: File) -> bool:
    return isinstance(file.core_metadata, dict) and "sha256" in file.core_metadata


def tried(name: str, attempt: Callable[[], Check]) -> Check:
    """Return what *attempt* finds, or that it was not answered."""
    try:
        return attempt()
    except Unanswered as error:
        return failure(name, error)


def untrue(answer: Answer) -> str | None:
    """Return what is wrong with the type of a page; None if it is what it says to be."""
    if answer.content_type not in {*HTML_TYPES, simple.JSON_TYPE}:
        return f"is served as {answer.content_type or 'nothing in particular'}, which installers do not take for an index"
    is_json = answer.body.lstrip().startswith(b"{")
    if is_json != (answer.content_type == simple.JSON_TYPE):
        return f"is {'JSON' if is_json else 'not JSON'}, but is served as {answer.content_type}"
    return None


class Visit:
    """What is asked of one project.

    :param wanted: chosen before anything is asked, so that nothing served may be older.
    """

    def __init__(self, client: Client, wanted: Sample) -> None:
        self._client, self._wanted = client, wanted
        self._name = wanted.project.name
        self._page = f"{client.address.url}{self._name}/"

    def checks(self) -> Iterator[Check]:
        """Yield what is found; nothing more where the page is not there."""
        first = tried("html", self._html)
        yield first
        if first.verdict is Verdict.FAIL:
            yield skipped("project", f"nothing else of {self._name} can be asked.")
            return
        for name, attempt in (
            ("json", self._json),
            ("vary", self._vary),
            ("record", self._record),
            ("page caching", self._page_caching),
            ("no slash", self._no_slash),
            ("other spelling", self._other_spelling),
            ("file", self._file),
            ("head", self._head),
            ("ranges", self._ranges),
            ("encoding", self._encoding),
            ("file caching", self._file_caching),
            ("sidecar", self._sidecar),
            ("plus", self._plus),
        ):
            yield tried(name, attempt)

    @cached_property
    def _by_default(self) -> Answer:
        return self._client.ask(self._page, headers={"Accept": "*/*"}, limit=_PAGE)

    @cached_property
    def _by_accept(self) -> Answer:
        return self._client.ask(self._page, headers={"Accept": INSTALLER}, limit=_PAGE)

    def _url(self, file: File, name: str = "") -> str:
        """Return a file's URL as installers do: relative to the page that answered."""
        page = f"{self._client.address.url}{name}/" if name else self._by_accept.url
        try:
            return urljoin(page, file.url)
        except ValueError:
            return ""

    # pages

    def _html(self) -> Check:
        answer = self._by_default
        if answer.status != 200:
            said = f"the page of {self._name} answers {answer.status}."
            return fail("html", said, "Serve index.html for a URL that ends in a slash, from the directory with the root page.")
        if problem := untrue(answer):
            return fail("html", f"the page of {self._name} {problem}.", SEE)
        if answer.content_type == simple.JSON_TYPE:
            said = "those who do not ask for JSON get it, too: pip before 22.2, and people, cannot read it."
            return warn("html", said, f"Give HTML by default; {SEE}")
        return ok("html", f"HTML is served by default, with a true type{_by_way_of(answer)}.")

    def _json(self) -> Check:
        answer = self._by_accept
        if answer.status != 200:
            return fail("json", f"those who ask for JSON are answered {answer.status}.", SEE)
        if problem := untrue(answer):
            return fail("json", f"what those get who ask for JSON {problem}.", SEE)
        if answer.content_type != simple.JSON_TYPE:
            said = "those who ask for JSON get HTML: it works, but not with pip --uploaded-prior-to or uv --exclude-newer."
            return warn("json", said, f"Choose index.json by Accept; {SEE}")
        return ok("json", "JSON is served to those who ask for it, with a true type.")

    def _vary(self) -> Check:
        forms = (self._by_default, self._by_accept)
        if forms[0].content_type == forms[1].content_type:
            return skipped("vary", "there is one form only.")
        if not all({"accept", "*"} & set(re.split(r"[,\s]+", form.header("Vary").lower())) for form in forms):
            said = "the answers do not say Vary: Accept, so a cache may give one form to those who want the other."
            return warn("vary", said, "Add Vary: Accept to both.")
        if forms[0].header("ETag") and forms[0].header("ETag") == forms[1].header("ETag"):
            said = "both forms have one ETag, so a cache may keep the one in place of the other."
            return warn("vary", said, "Let the server make the ETag of what it serves.")
        return ok("vary", "both forms say Vary: Accept.")

    def _record(self) -> Check:
        forms = {answer.content_type: answer for answer in (self._by_default, self._by_accept)}
        checks = [self._compared(answer) for answer in forms.values()]
        return next((check for check in checks if check.verdict is not Verdict.OK), checks[-1])

    def _compared(self, answer: Answer) -> Check:
        """Compare one form with what was stored before it was asked for."""
        is_record = answer.content_type == simple.JSON_TYPE
        stored, served = self._wanted.project.serial if is_record else self._wanted.page_serial, _serial(answer, self._name)
        if served is None:
            way_out = "Correct the URL, or let the server serve this repository."
            return fail("record", f"what is served is no page of this program for {self._name}.", way_out)
        if served < stored:
            return self._stale(answer, served, stored)
        if self._wanted.file.sha256.encode() not in answer.body:
            said = f"what is served of {self._name} does not have {self._wanted.file.filename} as it is stored."
            return fail("record", said, "The URL seems to be that of another repository: correct it, or --repository.")
        return ok("record", f"what is served of {self._name} is what is stored (serial {served}).")

    def _stale(self, answer: Answer, served: int, stored: int) -> Check:
        said = f"what is served of {self._name} is not what is stored: serial {served}, not {stored}; {_age(answer)}."
        allowed, age = _max_age(answer), answer.header("Age")
        if allowed and int(age if age.isdecimal() else 0) <= allowed:
            way_out = f"A cache may keep it for {allowed} seconds: let pages say max-age=0, must-revalidate."
            return warn("record", said, way_out)
        return fail("record", said, "Let caches ask again (max-age=0, must-revalidate), and throw away what they hold of it.")

    def _page_caching(self) -> Check:
        answer = self._by_accept
        said = answer.header("Cache-Control")
        if not said:
            return warn("page caching", "pages do not say how long they may be kept, so caches guess.", _CACHING)
        if (_max_age(answer) or 0) > _SOON or "immutable" in said.lower():
            return warn("page caching", f"pages may be kept for long ({said}), so new releases appear late.", _CACHING)
        return ok("page caching", f"pages are asked for again ({said}).")

    def _no_slash(self) -> Check:
        url = self._page.rstrip("/")
        answer = self._client.ask(url, follow=False)
        location = urljoin(url, answer.header("Location")) if answer.header("Location") else ""
        if answer.status == 200:
            said = "a page without its slash is served as it is, and its links lead astray."
            return fail("no slash", said, "Redirect it to the URL with the slash.")
        if not location:
            said = f"a page without its slash is answered {answer.status}; installers add it, people do not."
            return warn("no slash", said, "Redirect it to the URL with the slash.")
        if location != self._page:
            said = f"a page without its slash leads to {shown(location)}."
            return warn("no slash", said, "Let it lead to the same URL with a slash; of nginx: absolute_redirect off.")
        return ok("no slash", "a page without its slash leads to the one with it.")

    def _other_spelling(self) -> Check:
        spelling = self._name.upper().replace("-", "_")
        status = self._client.ask(f"{self._client.address.url}{spelling}/").status
        if status in {200, 404, 410}:
            how = "leads to it" if status == 200 else f"is answered {status}, as installers never ask for it"
            return ok("other spelling", f"a name that is not normalised {how}.")
        said = f"a name that is not normalised is answered {status}."
        return warn("other spelling", said, "Redirect it to the normalised name, or answer 404.")

    # files

    def _file(self) -> Check:
        file = self._wanted.file
        answer = self._client.ask(self._url(file))
        size, encoded = answer.header("Content-Length"), answer.header("Content-Encoding")
        if answer.status != 200:
            said = f"{file.filename} is listed, and is answered {answer.status}."
            return fail("file", said, "Serve everything below the directory with the root page.")
        if size.isdecimal() and not encoded and int(size) != file.size:
            return fail("file", f"{file.filename} has {size} bytes, not {file.size}.", "Let nothing on the way change files.")
        return ok("file", f"{file.filename} is served{_by_way_of(answer)}.")

    def _head(self) -> Check:
        places = {"pages": self._page, "files": self._url(self._wanted.file)}
        refused = {what: self._client.ask(url, method="HEAD").status for what, url in places.items()}
        for what, status in refused.items():
            if status != 200:
                return warn("head", f"HEAD is answered {status} for {what}.", "Allow it: installers look at files by it.")
        return ok("head", "HEAD is answered for pages and files.")

    def _ranges(self) -> Check:
        answer = self._client.ask(self._url(self._wanted.file), headers={"Range": "bytes=0-0"})
        if answer.status == 206 and answer.header("Content-Range").startswith("bytes 0-0/"):
            return ok("ranges", "parts of files can be had.")
        said = "files come whole only: nobody can resume a download, and a wheel without sidecar is read whole for its metadata."
        return warn("ranges", said, "Allow range requests (206).")

    def _encoding(self) -> Check:
        file = self._wanted.archive
        answer = self._client.ask(self._url(file), headers={"Accept-Encoding": "gzip, deflate, br"})
        if encoding := answer.header("Content-Encoding"):
            said = f"{file.filename} comes with Content-Encoding: {encoding}, which clients undo before they compare the hash."
            return fail("encoding", said, "Serve files as application/octet-stream, and compress none of them.")
        return ok("encoding", "files have no Content-Encoding.")

    def _file_caching(self) -> Check:
        answer = self._client.ask(self._url(self._wanted.file), method="HEAD")
        said = answer.header("Cache-Control").lower()
        if "no-store" in said or ("immutable" not in said and (_max_age(answer) or 0) < _LONG):
            return warn("file caching", f"files may not be kept for long ({said or 'no Cache-Control'}).", _CACHING)
        return ok("file caching", f"files may be kept ({said}).")

    def _sidecar(self) -> Check:
        file = self._wanted.file
        if not _has_sidecar(file):
            return skipped("sidecar", f"no wheel of {self._name} has one.")
        answer = self._client.ask(f"{self._url(file)}.metadata", limit=_SIDECAR)
        if answer.status != 200:
            said = f"{file.filename}.metadata is announced, and is answered {answer.status}, at which pip and uv give up."
            return fail("sidecar", said, "Serve what ends in .whl.metadata, too.")
        said_to_be: Any = file.core_metadata
        if hashlib.sha256(answer.body).hexdigest() != said_to_be["sha256"]:
            return fail("sidecar", f"{file.filename}.metadata is not what was stored.", "Let nothing on the way change files.")
        return ok("sidecar", f"the metadata beside a wheel is served{_by_way_of(answer)}.")

    def _plus(self) -> Check:
        if self._wanted.plus is None:
            return skipped("plus", f"no file of the first {_SAMPLE} projects has a + in its name.")
        name, file = self._wanted.plus
        status = self._client.ask(self._url(file, name)).status
        if status != 200:
            said = f"{file.filename} is answered {status}: its + does not arrive."
            return fail("plus", said, "Pass the URL on as it came: %2B must not become a + for S3; of nginx: $request_uri.")
        return ok("plus", "a file with a + in its name is served.")


def _by_way_of(answer: Answer) -> str:
    return f", by way of {answer.redirects[-1]}" if answer.redirects else ""


def _serial(answer: Answer, name: str) -> int | None:
    """Return the serial of a served record or page; None if it is none of this program's for *name*."""
    if answer.content_type != simple.JSON_TYPE:
        return pages.page_serial(answer.body) if pages.page_is_of(answer.body, name) else None
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        document = json.loads(answer.body)
        return int(document["meta"]["_last-serial"]) if document["name"] == name else None
    return None


def _max_age(answer: Answer) -> int | None:
    """Return how many seconds a shared cache may keep an answer (RFC 9111)."""
    said = dict(re.findall(r'(s-maxage|max-age)\s*=\s*"?(\d{1,12})', answer.header("Cache-Control").lower()))
    age = said.get("s-maxage", said.get("max-age"))
    return int(age) if age else None


def _age(answer: Answer) -> str:
    """Say how old an answer is, as far as it says so itself."""
    if answer.header("Age").isdecimal():
        return f"a cache keeps it since {answer.header('Age')} seconds"
    with suppress(ValueError, OverflowError):
        modified = parsedate_to_datetime(answer.header("Last-Modified"))
        seconds = (datetime.now(timezone.utc) - modified.astimezone(timezone.utc)).total_seconds()
        return f"it was last modified {seconds:.0f} seconds ago"
    return "it does not say how old it is"
