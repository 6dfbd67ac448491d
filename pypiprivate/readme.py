"""A project's long description as a page of its own, which can be shown to anybody: it runs nothing and fetches nothing.

Markdown and reStructuredText are rendered where the extra ``readme`` is installed; all else is shown as the text that it is.
"""

from __future__ import annotations

import hashlib
import logging
import re
from base64 import b64encode
from collections.abc import Callable
from email.message import Message
from html import escape, unescape
from threading import Lock
from typing import NamedTuple

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
#: As the sanitizer writes it: values in quotation marks, and none of these within.
_IMAGE = re.compile(r'<img((?:\s[^\s=>"]+(?:="[^"]*")?)*)\s*/?>')
_EMPTY_LINK = re.compile(r'<a(?=[^>]*\shref=)(?:\s[^\s=>"]+="[^"]*")*></a>')
_ALTERNATIVE = re.compile(r'\salt="([^"]*)"')
#: Renderers keep things in their modules.
_ONE_AT_A_TIME = Lock()


class Description(NamedTuple):
    """A long description as core metadata have it.

    :ivar content_type: Description-Content-Type; empty where nothing says it.
    """

    text: str
    content_type: str = ""


def page(description: Description, *, title: str) -> bytes:
    """Write a description as a whole HTML document.

    :param title: of what it is the description, as text.
    :return: it needs nothing else, and its own policy (CSP 3) lets it have nothing else.
    """
    text, is_whole = _shortened(description.text)
    body = _rendered(text, description.content_type) or f'<pre class="text">{escape(text)}</pre>'
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


def _rendered(text: str, content_type: str) -> str | None:
    """None for plain text, for what is unknown, and for what cannot be rendered."""
    kind, variant = _kind(content_type)
    try:
        with _ONE_AT_A_TIME:
            render = _renderer(kind, variant)
            html = render(text) if render else None
        if html:
            return _harmless(html)
        log.info("a README is kept as text: it cannot be rendered as %s", kind)
    except ImportError:
        log.info("a README is kept as text: install pypiprivate[readme] to have it rendered")
    except Exception as error:  # what renderers stumble over is no reason to publish nothing
        log.info("a README is kept as text: %s: %s", type(error).__name__, error)
    return None


def _kind(content_type: str) -> tuple[str, str]:
    """Return type and variant. Where nothing is said, it is reStructuredText if it can be (core metadata specification)."""
    header = Message()
    header["Content-Type"] = content_type or "text/x-rst"
    return header.get_content_type(), str(header.get_param("variant", "GFM"))


def _renderer(kind: str, variant: str) -> Callable[[str], str | None] | None:
    if kind == "text/x-rst":
        from readme_renderer import rst

        return rst.render
    if kind == "text/markdown":
        import comrak  # noqa: F401  without it nothing is rendered, but a warning is given
        from readme_renderer import markdown

        return lambda text: markdown.render(text, variant)
    return None


def _harmless(html: str) -> str:
    """Sanitize it once more, and stricter: no images, no links into the index, nobody is told who comes."""
    import nh3
    from readme_renderer import clean

    texts = _EMPTY_LINK.sub("", _IMAGE.sub(_alternative, html)).replace('<a href="#', '<a target="_self" href="#')
    return nh3.clean(
        texts,
        tags=clean.ALLOWED_TAGS - {"img", "picture"},
        attributes={**clean.ALLOWED_ATTRIBUTES, "a": {"href", "title", "target"}},
        attribute_filter=_kept,
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto"},
        set_tag_attribute_values={"input": {"disabled": ""}},
    )


def _alternative(image: re.Match[str]) -> str:
    found = _ALTERNATIVE.search(image[1])
    return escape(unescape(found[1])) if found else ""


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """Files of the project that a link leads to are not beside its README."""
    if (tag, attribute) == ("a", "href"):
        return value if re.match(r"#|https?://|mailto:", value, re.IGNORECASE) else None
    if (tag, attribute) == ("a", "target"):
        return "_self" if value == "_self" else None
    return value
