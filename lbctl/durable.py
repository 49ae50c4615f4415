"""A small file replaced as a whole: after a crash or a power cut it has its old content or its new one, never a part of it and never nothing.

The order makes it so: the content is on the disk before the name points at it, and the name is there before anybody is told. Without the first
a file system may keep the new name of an empty file, without the second it may come back with the old one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def replace(path: Path, content: bytes, mode: int, sync: Callable[[int], None] = os.fsync) -> None:
    """With these permissions from the first byte. OSError where it is impossible; the old content then stays. One at a time for a path."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)  # of a crash; opened as it is it would keep its own permissions
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
        stream.flush()
        sync(stream.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        sync(directory)
    finally:
        os.close(directory)
