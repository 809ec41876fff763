# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all, also after a crash of the machine.

A file is written under another name, synced, and renamed; then the folder is synced, since it is what holds the name.
"""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read. A crash leaves the old one or the new one."""
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    rename(unfinished, path)


def rename(finished: Path, path: Path) -> None:
    """Give something its name for good. What is in it must be on disk already."""
    finished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
