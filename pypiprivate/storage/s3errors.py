"""What boto3 and the stores say in codes, in words: one table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import StorageError

#: Runs of characters so long that they may be a token or a signature.
_LONG = re.compile(r"\S{40,}")
#: User and password of a URL, what is left of one that does not parse, and a header's value.
_SECRET = re.compile(r"(?<=//)\S*@|(?<=Failed to parse: ).*|(?<=Invalid header value).*", re.DOTALL)

AGAIN = "Running the same command again is safe."

_NO_BUCKET = ("there is no bucket {bucket} at {endpoint}.", "Create it, or correct bucket, region or endpoint.")
_RIGHTS = (
    "Check the credentials and their rights: s3:GetObject, s3:PutObject and s3:DeleteObject on the objects, "
    "s3:ListBucket on the bucket (without it S3 says 403 where an object is missing)."
)
_DENIED = ("access is denied (403).", _RIGHTS)
_EXPIRED = ("the credentials have expired.", "Renew them; with single sign-on: aws sso login.")
_REGION = ("the bucket is in another region{region}.", "Set region to the bucket's own.")
_BUSY = ("the store is overloaded or failing ({detail}).", "Wait a little.")
_NO_ANSWER = (
    "{endpoint} cannot be reached or does not answer ({detail}).",
    "Check network and proxy settings, endpoint and region.",
)
_CUT = ("the connection broke off again and again ({detail}).", "Check network and proxy settings.")
_NO_S3 = ("{endpoint} does not answer as S3 does ({detail}).", "Check endpoint.")

#: Codes of S3, HTTP statuses where it gives none, and boto3's classes: reason and way out.
FAILURES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("NoSuchBucket", "NoSuchAccessPoint", "404"), _NO_BUCKET),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "401"), _DENIED),
    "SignatureDoesNotMatch": ("the secret key is not the access key's.", "Check PP_S3_SECRET_KEY, or the profile's secret key."),
    "InvalidAccessKeyId": ("the store does not know the access key.", "Check PP_S3_ACCESS_KEY, or the profile; and endpoint."),
    **dict.fromkeys(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"), _EXPIRED),
    **dict.fromkeys(("SSOError", "LoginError", "TokenRetrievalError", "NoAuthTokenError"), _EXPIRED),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong.", "Set it."),
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "301", "307"), _REGION),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), _REGION),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests"), _BUSY),
    **dict.fromkeys(("429", "500", "502", "503", "504"), _BUSY),
    "AccessControlListNotSupported": ("the bucket takes no ACLs.", "Remove acl (and ACL from put_args)."),
    "412": ("it changed while it was being read.", ""),
    **dict.fromkeys(("405", "501"), _NO_S3),
    "SSLError": (
        "{endpoint} could not be trusted ({detail}).",
        "Check endpoint, and AWS_CA_BUNDLE if it has a certificate of its own.",
    ),
    "ProxyConnectionError": ("the proxy for {endpoint} cannot be reached.", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."),
    **dict.fromkeys(("ResponseStreamingError", "IncompleteReadError"), _CUT),
    **dict.fromkeys(("ConnectionError", "HTTPClientError", "HTTPError"), _NO_ANSWER),
    "ParamValidationError": ("{bucket} is no name of a bucket.", "Correct bucket; what comes after the name goes into prefix."),
    "NoCredentialsError": (
        "there are no credentials.",
        "Set PP_S3_ACCESS_KEY and PP_S3_SECRET_KEY, or a profile or role for boto3.",
    ),
    "PartialCredentialsError": ("half of the credentials is missing ({detail}).", "Give both keys."),
    "ProfileNotFound": ("{detail}.", "Correct profile (or AWS_PROFILE), or create it: aws configure."),
    "NoRegionError": ("no region is set.", "Set region."),
    **dict.fromkeys(("ResponseParserError", "AttributeError", "TypeError", "LookupError"), _NO_S3),
}


class Refused(StorageError):
    """The store's answer is an error: its HTTP status, and the code of S3 (or the status, where it says none)."""

    def __init__(self, what: str, reason: str, *, hint: str, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(what, reason, hint=hint)


class Cut(StorageError):
    """The answer's body broke off."""


def foreign() -> tuple[type[Exception], ...]:
    """Return everything that boto3 lets out, odd answers that trip its parsers included."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    return (
        ClientError,
        BotoCoreError,
        ResponseParserError,
        HTTPError,
        AttributeError,
        TypeError,
        LookupError,
        ValueError,
    )


def translated(
    error: Exception, what: str, *, hint: str, bucket: str, endpoint: str, secrets: Collection[str], as_: type[StorageError]
) -> StorageError:
    """Return an error of boto3 as one of ours: a :class:`Refused` if the store answered, else one of class *as_*.

    :param what: was asked for or written.
    :param hint: said after the way out that the table knows.
    :param secrets: what the store was sent and may say again.
    """
    reason, way = explain(error, bucket=bucket, endpoint=endpoint, secrets=secrets)
    hint = f"{way} {hint}".strip()
    if _answer(error):
        return Refused(what, reason, hint=hint, status=_status(error), code=_code(error))
    return as_(what, reason, hint=hint)


def explain(error: Exception, *, bucket: str, endpoint: str, secrets: Collection[str] = ()) -> tuple[str, str]:
    """Put an error of boto3 into words: the reason, and the way out."""
    if _answer(error):
        names = [_code(error), str(_status(error))]
        detail = f"{_status(error)} {_code(error)}: {_answer(error)['Error'].get('Message', '')}"
    else:
        names = [kind.__name__ for kind in type(error).__mro__]
        detail = f"{names[0]}: {error}"
    detail = _discreet(detail, secrets)[:300].rstrip(".: ")
    region = _discreet(_region(error), secrets)[:100]
    reason, way = next((FAILURES[name] for name in names if name in FAILURES), ("{detail}.", ""))
    return reason.format(detail=detail, bucket=bucket, endpoint=endpoint, region=region), way


def _discreet(text: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return _LONG.sub("…", _SECRET.sub("…", text))


def _answer(error: Exception) -> Any:
    """Return the store's answer, empty where there was none."""
    return getattr(error, "response", None) or {}


def _status(error: Exception) -> int:
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Exception) -> str:
    return str(_answer(error).get("Error", {}).get("Code", ""))


def _region(error: Exception) -> str:
    headers = _answer(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = _answer(error).get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return f", {region}" if region else ""
