"""``pypi-private``, also as ``python -m pypiprivate``: an interruption ends it with a sentence from its first moment on."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

#: Objects after which garbage is looked for: some fifty megabytes, and more than a publish makes.
_COLLECTED = 250_000
#: Seconds after which a thread that computes lets others go on. They wait for a store, and what they send next is soon made.
_TURN = 0.0005


def main() -> int:
    """Run the program on the arguments of this process and return its exit code."""
    for number in [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]:
        signal.signal(number, _leave)
    # Hardly anything that a command makes, or imports, is garbage: to look for it every 700 objects takes a fifth of the time.
    gc.set_threshold(_COLLECTED)
    sys.setswitchinterval(_TURN)
    # To import what it needs takes longer than many a command. What is interruptible in another way says so while it runs.
    from . import cli

    try:
        return cli.main()
    finally:
        # Python's last deeds are to look for garbage in all that was imported, which takes longer than to import some of it.
        gc.freeze()


def _leave(_number: int, _frame: object) -> None:
    """Imports may turn an exception into another one, so none is raised; nothing was done yet, or everything."""
    with suppress(OSError):
        os.write(2, b"interrupted. Running the same command again is safe.\n")
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
