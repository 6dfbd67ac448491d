"""Renders a description and makes it harmless, in a process of its own: see :mod:`.readme`, which starts it and waits for it.

What strangers wrote may cost a renderer any time and any memory: a table of 10 kB becomes 22 MB, and substitutions that double
are never done.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from html import escape, unescape

#: Letters of markup, eight times what is shown of a description.
MOST = 4 << 20
#: Bytes of address space.
_MEMORY = 1 << 30
#: Seconds of processor time, for one that nobody waits for any more.
_SECONDS = 30

#: As the sanitizer writes it: values in quotation marks, and none of these within.
_IMAGE = re.compile(r'<img((?:\s[^\s=>"]+(?:="[^"]*")?)*)\s*/?>')
_EMPTY_LINK = re.compile(r'<a(?=[^>]*\shref=)(?:\s[^\s=>"]+="[^"]*")*></a>')
_ALTERNATIVE = re.compile(r'\salt="([^"]*)"')


def main() -> None:
    """Read the arguments of :func:`answer` from standard input, and write what it returns to standard output: both are JSON."""
    limit(_MEMORY, _SECONDS)
    json.dump(answer(**json.load(sys.stdin)), sys.stdout)


def limit(memory: int, seconds: int) -> None:
    """Let this process have no more of either, where the platform can say so.

    :param memory: bytes of address space.
    :param seconds: of processor time.
    """
    with suppress(ImportError):
        import resource

        for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
            with suppress(OSError, ValueError):  # it has less already, or the platform has no such limit
                resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def answer(text: str, kind: str, variant: str, most: int = MOST) -> dict[str, str]:
    """Return the ``html`` of a description, which is harmless, or the ``reason`` why there is none.

    :param kind: its type, ``text/markdown`` or ``text/x-rst``.
    :param variant: of Markdown: ``GFM`` or ``CommonMark``.
    :param most: letters of the result.
    """
    try:
        html = _renderer(kind, variant)(text)
        html = _harmless(html) if html else ""
    except Exception as error:  # what renderers stumble over is no reason to publish nothing
        return {"reason": f"{type(error).__name__}: {error}"}
    if not html:
        return {"reason": f"it cannot be rendered as {kind}"}
    if len(html) > most:
        return {"reason": f"rendered it has {len(html)} letters, of {most} at most"}
    return {"html": html}


def _renderer(kind: str, variant: str) -> Callable[[str], str | None]:
    if kind == "text/markdown":
        import comrak  # noqa: F401  without it nothing is rendered, but a warning is given
        from readme_renderer import markdown

        return lambda text: markdown.render(text, variant)
    from readme_renderer import rst

    return rst.render


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
