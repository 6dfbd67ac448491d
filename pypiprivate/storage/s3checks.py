"""What only a bucket can be asked: region, clock, versions, lifecycle, and what it says to checksums, ACLs and encryption."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ..checks import Check, Verdict, fail, failure, ok, skipped, warn
from ..errors import StorageError
from .s3errors import Refused

#: Differences between two clocks: as large as a request may take, and that from which Amazon refuses signatures.
_NOTICED, _REFUSED = timedelta(seconds=60), timedelta(minutes=15)
_BODY, _OTHER = b"what is written", b"what is declared"
#: Classes that must be restored, for hours, before they can be read.
_ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
_ACL = re.compile("ACL|Grant.*")
_ENCRYPTION = re.compile("ServerSideEncryption|SSE.*|BucketKeyEnabled")


@dataclass(frozen=True)
class Bucket:
    """A bucket, and how a repository writes into it.

    :ivar root: what the repository's keys begin with, empty or ending in a slash.
    :ivar put_args: further arguments of each PutObject.
    :ivar on_aws: checksums are SHA-256 there, and MD5 elsewhere.
    :ivar translated: turns boto3's errors into ours, for what a key names.
    """

    client: Any
    name: str
    root: str
    put_args: Mapping[str, Any]
    on_aws: bool
    translated: Callable[[str], AbstractContextManager[None]]
    _heard: dict[str, str] = field(default_factory=dict)

    def survey(self) -> Iterator[Check]:
        """See :meth:`.Examining.survey`."""
        place = self._place()
        yield place
        if self._heard:
            yield self._region()
            yield self._clock()
        if place.verdict is Verdict.OK:
            yield self._versioning()
            yield self._lifecycle()

    def examine(self, key: str) -> Iterator[Check]:
        """See :meth:`.Examining.examine`. Each cause is tried by itself, so that it is told from the others."""
        needed: Mapping[str, Any] = {}
        if refused := self._refusal(key, needed):
            needed = self.put_args  # the bucket may want encryption, or an ACL, of every write
            if not needed or self._refusal(key, needed):
                yield skipped("checksum", f"nothing can be written, with or without acl, sse and put_args: {refused}")
                return
        yield self._checksum(key, needed)
        if acl := self._arguments(_ACL):
            yield self._acl(key, acl, needed)
        if encryption := self._arguments(_ENCRYPTION):
            yield self._encryption(key, encryption, needed)

    # -- what is asked --------------------------------------------------------------------------------------------------------

    def _place(self) -> Check:
        def note(http_response: Any, **_: Any) -> None:
            self._heard.update({name.lower(): value for name, value in http_response.headers.items()})

        event = "after-call.s3.HeadBucket"  # also of an answer that is an error
        self.client.meta.events.register(event, note)
        try:
            with self.translated(""):
                self.client.head_bucket(Bucket=self.name)
        except StorageError as error:
            return failure("place", error)
        finally:
            self.client.meta.events.unregister(event, note)
        return ok("place", f"the bucket {self.name} is there.")

    def _region(self) -> Check:
        there, here = self._heard.get("x-amz-bucket-region"), self.client.meta.region_name
        if not there:
            return skipped("region", "the store does not say in which region the bucket is.")
        if there != here:
            return warn("region", f"the bucket is in {there}, the settings say {here}.", f"Set region = {there}.")
        return ok("region", f"the bucket is in {there}, as the settings say.")

    def _clock(self) -> Check:
        try:
            there = parsedate_to_datetime(self._heard.get("date", ""))
            difference = datetime.now(timezone.utc) - there.astimezone(timezone.utc)
        except (ValueError, OverflowError):
            return skipped("clock", "the store does not say what time it is.")
        seconds, late = abs(difference), "ahead of" if difference > timedelta() else "behind"
        if seconds <= _NOTICED:
            return ok("clock", "this machine and the store agree on the time.")
        said = f"the clock of this machine is {seconds.total_seconds():.0f} seconds {late} the store's."
        way_out = "Set it, best by NTP: upload times are taken from it, and from 15 minutes on S3 refuses what it signed."
        return (warn if seconds < _REFUSED else fail)("clock", said, way_out)

    def _versioning(self) -> Check:
        answer = self._told("get_bucket_versioning")
        if isinstance(answer, StorageError):
            return skipped("versioning", f"whether the bucket keeps versions is not told: {answer.reason}")
        if answer.get("Status") == "Enabled":
            return ok("versioning", "the bucket keeps former versions, so what somebody deletes by hand can be brought back.")
        way_out = "Turn versioning on, with a lifecycle rule that expires noncurrent versions, or back the bucket up."
        return warn("versioning", "the bucket keeps no former versions: what somebody deletes by hand is gone.", way_out)

    def _lifecycle(self) -> Check:
        answer = self._told("get_bucket_lifecycle_configuration")
        if isinstance(answer, Refused) and answer.code == "NoSuchLifecycleConfiguration":
            return ok("lifecycle", "the bucket has no lifecycle rules.")
        if isinstance(answer, StorageError):
            return skipped("lifecycle", f"whether the bucket has lifecycle rules is not told: {answer.reason}")
        for rule in filter(self._concerns_us, answer.get("Rules", ())):
            if harm := _harm(rule):
                said = f"the lifecycle rule {rule.get('ID', '')!r} {harm}."
                return fail("lifecycle", said, f"Remove it, or keep it from what begins with {self.root or 'anything'}.")
        return ok("lifecycle", "no lifecycle rule of the bucket touches what is published.")

    def _told(self, operation: str) -> Any:
        """Return the answer, or the error that came instead: these rights are no publisher's need."""
        try:
            with self.translated(""):
                return getattr(self.client, operation)(Bucket=self.name)
        except StorageError as error:
            return error

    def _concerns_us(self, rule: Any) -> bool:
        """Tell whether a rule applies to keys of the repository. One for tags does not, unless we set some."""
        chosen = rule.get("Filter") or {}
        both = chosen.get("And") or {}
        prefix = rule.get("Prefix") or chosen.get("Prefix") or both.get("Prefix") or ""
        tagged = "Tag" in chosen or "Tags" in both
        near = prefix.startswith(self.root) or self.root.startswith(prefix)
        return rule.get("Status") == "Enabled" and near and (not tagged or "Tagging" in self.put_args)

    # -- what is tried --------------------------------------------------------------------------------------------------------

    def _checksum(self, key: str, needed: Mapping[str, Any]) -> Check:
        refused = self._refusal(key, needed, declared=_OTHER)
        if isinstance(refused, Refused) and refused.status == 400:
            return ok("checksum", "the store refuses a body that is not what was declared.")
        if refused:
            return skipped("checksum", f"whether the store compares checksums could not be tried: {refused}")
        said = "the store takes a body that is not what was declared, so damage on the way to it goes unnoticed."
        return warn("checksum", said, "Use a store that compares checksums, or look with pypi-private verify --deep.")

    def _acl(self, key: str, arguments: Mapping[str, Any], needed: Mapping[str, Any]) -> Check:
        if refused := self._refusal(key, {**needed, **arguments}):
            return fail("acl", f"the store refuses {_names(arguments)}: {refused}", refused.hint)
        return ok("acl", f"the store takes {_names(arguments)}.")

    def _encryption(self, key: str, arguments: Mapping[str, Any], needed: Mapping[str, Any]) -> Check:
        if refused := self._refusal(key, {**needed, **arguments}):
            way_out = "Correct sse and kms_key_id; kms:GenerateDataKey and kms:Decrypt are needed for the key."
            return fail("encryption", f"the store refuses {_names(arguments)}: {refused}", way_out)
        with self.translated(key):
            found = self.client.head_object(Bucket=self.name, Key=self.root + key).get("ServerSideEncryption")
        if found != arguments.get("ServerSideEncryption", found):
            said = f"the store takes {_names(arguments)}, but says of what is written: {found or 'not encrypted'}."
            return warn("encryption", said, "Look how the store encrypts, and remove sse if it does so by itself.")
        return ok("encryption", f"what is written is encrypted: {found}.")

    def _arguments(self, names: re.Pattern[str]) -> dict[str, Any]:
        return {name: value for name, value in self.put_args.items() if names.fullmatch(name)}

    def _refusal(self, key: str, arguments: Mapping[str, Any], *, declared: bytes = _BODY) -> StorageError | None:
        """Write, and return the error that came instead, if any. The checksum is that of *declared*."""
        sha256, md5 = hashlib.sha256(declared).digest(), hashlib.md5(declared, usedforsecurity=False).digest()
        checksum = {"ChecksumSHA256": _base64(sha256)} if self.on_aws else {"ContentMD5": _base64(md5)}
        try:
            with self.translated(key):
                self.client.put_object(Bucket=self.name, Key=self.root + key, Body=_BODY, **checksum, **arguments)
        except StorageError as error:
            return error
        return None


def _harm(rule: Any) -> str | None:
    expiration = rule.get("Expiration", {})
    if "Days" in expiration or "Date" in expiration:
        when = f"{expiration['Days']} days after" if "Days" in expiration else f"on {expiration['Date']:%Y-%m-%d}, whenever"
        return f"deletes files {when} they were published"
    classes = {transition.get("StorageClass") for transition in rule.get("Transitions", ())}
    archives = sorted(_ARCHIVES & classes)
    return f"moves published files to {archives[0]}, from where no client can read them" if archives else None


def _names(arguments: Mapping[str, Any]) -> str:
    return ", ".join(arguments)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
