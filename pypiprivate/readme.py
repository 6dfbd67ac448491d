"""A project's long description as a page of its own, which can be shown to anybody: it runs nothing and fetches nothing.

Markdown and reStructuredText are rendered where the extra ``readme`` is installed, by :mod:`.rendering` in a process of its own,
which may be ended; all else is shown as the text that it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
from base64 import b64encode
from email.message import Message
from html import escape
from importlib.util import find_spec
from threading import Lock
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

#: Bytes of a description (UTF-8) that are shown; the largest README of 960 wheels has 230 kB.
MOST = 512 << 10
_CUT = "The rest of this description is not shown: it is longer than 512 KiB."

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 50rem; margin: 1rem; padding: 0; overflow-wrap: anywhere; }
pre { overflow: auto; padding: .75rem; border-radius: .4rem; background: #8881; line-height: 1.4; overflow-wrap: normal; }
pre.text { background: none; padding: 0; white-space: pre-wrap; }
code, pre, tt, kbd, .literal { font-family: ui-monospace, monospace; font-size: .9em; }
pre code { font-size: inherit; }
td p { margin: 0; }
table { border-collapse: collapse; display: block; overflow: auto; }
th, td { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; }
blockquote { margin: 0; padding-left: 1rem; border-left: .25rem solid #8886; }
a[href] { color: light-dark(#0b57d0, #a8c7fa); }
"""
#: What renders a type, and comes with the extra.
_NEEDED = {"text/markdown": ("readme_renderer", "nh3", "comrak"), "text/x-rst": ("readme_renderer", "nh3", "docutils")}
#: Letters of a Description-Content-Type; real ones have some fifty.
_LONGEST_TYPE = 200
#: Our own modules are found where this process found them, and no setting of the environment changes what is run.
#: Ctrl-C ends it at once, unless it is to be ignored.
_CHILD = """\
import json, signal, sys
if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.path[:] = json.loads(sys.argv[1])
from pypiprivate.rendering import main
main()
"""
#: How a process ends that Ctrl-C ended, on Windows (STATUS_CONTROL_C_EXIT) and elsewhere.
_INTERRUPTED = (0xC000013A, -signal.SIGINT)
#: Each may take a gigabyte.
_ONE_AT_A_TIME = Lock()


class Description(NamedTuple):
    """A long description as core metadata have it.

    :ivar content_type: Description-Content-Type; empty where nothing says it.
    """

    text: str
    content_type: str = ""


def page(description: Description, *, title: str, patience: float = 20) -> bytes:
    """Write a description as a whole HTML document.

    :param title: of what it is the description, as text.
    :param patience: seconds; what takes longer to render is shown as text.
    :return: it needs nothing else, and its own policy (CSP 3) lets it have nothing else.
    """
    text, is_whole = _shortened(description.text)
    body = _rendered(text, description.content_type, patience) or f'<pre class="text">{escape(text)}</pre>'
    ending = "" if is_whole else f"<p><strong>{_CUT}</strong></p>\n"
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(_STYLE)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        # In a frame of a project's page, where nothing but a window of its own may lead elsewhere.
        '<base target="_blank">\n'
        f"<title>README of {escape(title)}</title>\n"
        f"<style>{_STYLE}</style>\n"
        "</head>\n"
        "<body>\n"
        f"{body}\n"
        f"{ending}"
        "</body>\n"
        "</html>\n"
    ).encode("utf-8", "replace")


def policy(style: str) -> str:
    """Return what a page with this one style says of itself (CSP 3), so that it holds whoever serves it."""
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _shortened(text: str) -> tuple[str, bool]:
    body = text.encode("utf-8", "replace")
    return body[:MOST].decode("utf-8", "ignore"), len(body) <= MOST


def _rendered(text: str, content_type: str, patience: float) -> str | None:
    """None for plain text, for what is unknown, and for what cannot be rendered."""
    try:
        kind, variant = _kind(content_type)
        _check_renderable(kind)
        with _ONE_AT_A_TIME:
            return _asked({"text": text, "kind": kind, "variant": variant}, patience)
    except Exception as error:  # whatever strangers wrote is no reason to publish nothing
        log.info("a README is kept as text: %.200s", ascii(str(error))[1:-1])
        return None


def _kind(content_type: str) -> tuple[str, str]:
    """Return type and variant. Where nothing is said, it is reStructuredText if it can be (core metadata specification).

    :raises ValueError: it is none.
    """
    if len(content_type) > _LONGEST_TYPE:
        raise ValueError(f"its type has {len(content_type)} letters")
    header = Message()
    header["Content-Type"] = content_type or "text/x-rst"
    return header.get_content_type(), str(header.get_param("variant", "GFM"))


def _check_renderable(kind: str) -> None:
    if kind not in _NEEDED:
        raise ValueError(f"it cannot be rendered as {kind}")
    if not all(map(find_spec, _NEEDED[kind])):
        raise ValueError("install pypiprivate[readme] to have it rendered")


def _asked(question: dict[str, str], patience: float) -> str:
    """Return what :func:`.rendering.answer` made of it in a process of its own.

    :raises ValueError: no good answer came in time.
    """
    done = _run([sys.executable, "-I", "-c", _CHILD, json.dumps([place for place in sys.path if place])], question, patience)
    if done.returncode in _INTERRUPTED:
        raise KeyboardInterrupt  # of all that the terminal runs: a text in its place would be published
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ValueError(f"its renderer ended with exit code {done.returncode}: {said}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "html" not in answer:
        raise ValueError(answer["reason"])
    return str(answer["html"])


def _run(command: list[str], question: dict[str, str], patience: float) -> subprocess.CompletedProcess[bytes]:
    asked = json.dumps(question).encode()
    try:
        return subprocess.run(command, input=asked, capture_output=True, timeout=patience, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as late:
        raise ValueError(f"rendering it takes longer than {patience:g} s") from late
