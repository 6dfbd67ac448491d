"""What it takes to read a wheel once: decompress and hash every member, and hash the whole. ``verifying.py WHEEL``."""

import hashlib
import sys
import zipfile

PIECE = 1 << 20


def main(path: str) -> None:
    """Read it."""
    with open(path, "rb") as file:  # noqa: PTH123  pathlib is no part of the floor
        hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else drain(file, hashlib.sha256())
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                drain(file, hashlib.sha256())


def drain(file, digest) -> None:  # type: ignore[no-untyped-def]
    """Hash a file to its end."""
    while piece := file.read(PIECE):
        digest.update(piece)


if __name__ == "__main__":
    main(sys.argv[1])
