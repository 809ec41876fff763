# SPDX-License-Identifier: Apache-2.0
"""Looking at many short texts of one form together: one match instead of one for each."""

import re
from collections.abc import Sequence

IDS = re.compile(r"(?:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n)*")
"""UUIDv7s, 36 characters."""

TIMES = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z\n)*")
"""Times with milliseconds, 24 characters; that a month has such a day is another question."""

HASHES = re.compile(r"(?:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\n)*")
"""32 bytes in canonical base64url, 43 characters: digests and salts."""


def all_match(pattern: re.Pattern[str], width: int, texts: Sequence[str]) -> bool:
    """Whether each text is `width` characters of the form that `pattern` repeats, each on a line."""
    lines = "\n".join([*texts, ""])
    # The length gives the number of lines, so that no text has a line break in it and none is longer than its place.
    return len(lines) == len(texts) * (width + 1) and pattern.fullmatch(lines) is not None
