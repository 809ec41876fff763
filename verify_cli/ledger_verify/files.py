# SPDX-License-Identifier: Apache-2.0
"""Files of the caller: read whole within a bound, written whole or not at all."""

from __future__ import annotations

import contextlib
import os

from ledger_verify.errors import CannotTellError

MAX_FILE_BYTES = 16_000_000  # JSON of this size needs some 300 MB while it is parsed
_USUAL_BYTES = 65_536


def is_url(place: str) -> bool:
    """Whether a place is on the network, and no file or folder."""
    return "://" in place


def read_file(path: str, limit: int = MAX_FILE_BYTES, what: str = "the file") -> bytes:
    """The bytes of a file of at most `limit` bytes."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read(min(limit + 1, _USUAL_BYTES))
            if len(raw) == _USUAL_BYTES:  # room for the longest file costs more than verifying a usual one
                raw += stream.read(limit + 1 - len(raw))
    except OSError as error:
        raise CannotTellError(f"cannot read {what}: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise CannotTellError("no file can have this name") from None
    if len(raw) > limit:
        raise CannotTellError(f"{what} is longer than {limit} bytes")
    return raw


def write_file(path: str, content: bytes, what: str) -> None:
    """Put a file in place at once: after a crash there is the old one or the new one, and nothing in between."""
    import tempfile  # brings compression and random numbers with it, and most commands write nothing

    folder = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".ledger-verify-", dir=folder)
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        temporary = None
        if os.name == "posix":  # the name is on disk, too
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise CannotTellError(f"cannot write {what}: {error.strerror}") from None
    except ValueError:
        raise CannotTellError("no file can have this name") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
