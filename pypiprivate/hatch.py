"""``hatch publish -p private``: what hatch finds by the entry-point group ``hatch``.

hatchling looks there as well, in builds in which there is no hatch: nothing else is imported until hatch asks for its publishers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchling.plugin import hookimpl

if TYPE_CHECKING:
    from .hatch_publisher import PrivatePublisher


@hookimpl
def hatch_register_publisher() -> type[PrivatePublisher]:
    """Return the publisher ``private``."""
    from .hatch_publisher import PrivatePublisher

    return PrivatePublisher
