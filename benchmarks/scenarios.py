"""What is measured, by name. Each scenario is a function that holds a contest and returns what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .contest import Bench
from .crowds import crowd
from .on_disk import local, rendering, setup, start
from .on_s3 import again, big, files, forty, sizes, small
from .report import Section

#: By name, in the order of the report.
SCENARIOS: Mapping[str, Callable[[Bench], Section]] = {
    each.__name__: each for each in (small, sizes, again, forty, big, files, crowd, local, setup, rendering, start)
}
