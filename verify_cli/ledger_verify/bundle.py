# SPDX-License-Identifier: Apache-2.0
"""Write the single-file verifier: `python -m ledger_verify.bundle OUT.pyz`.

The file is a zip archive that Python runs as it is. It is the same to the last byte from every Python version, machine and
day, so its SHA-256 can be published and compared: the names are sorted, the times are the zip format's first, the
permissions are fixed, and nothing is compressed, because compressed bytes differ between versions of zlib.

It holds the package's own sources and one starting file. It needs Python 3.9 or later and nothing else, and also runs
under `python -I -S`, where neither the environment nor installed packages have a say.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile

PACKAGE = "ledger_verify"
SHEBANG = b"#!/usr/bin/env python3\n"

_FIRST_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_644 = 0o100644 << 16
_UNIX = 3
_START = b"""\
# SPDX-License-Identifier: Apache-2.0
import sys

from ledger_verify.cli import main

sys.exit(main())
"""


def bundle() -> bytes:
    """The bytes of the single-file verifier."""
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_contents().items()):
            info = zipfile.ZipInfo(name, _FIRST_TIME)
            info.create_system = _UNIX  # otherwise the system that it was made on
            info.external_attr = _REGULAR_FILE_644
            archive.writestr(info, content)
    return buffer.getvalue()


def _contents() -> dict[str, bytes]:
    folder = os.path.dirname(os.path.abspath(__file__))
    contents = {"__main__.py": _START}
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                contents[f"{PACKAGE}/{name}"] = file.read()
    return contents


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m ledger_verify.bundle OUT.pyz", file=sys.stderr)
        return 2
    content = bundle()
    try:
        with open(arguments[0], "wb") as file:
            file.write(content)
        os.chmod(arguments[0], 0o755)
    except OSError as error:
        print(f"cannot write {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{hashlib.sha256(content).hexdigest()}  {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
