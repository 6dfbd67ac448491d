"""``python -m pypiprivate`` is ``pypi-private``."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
