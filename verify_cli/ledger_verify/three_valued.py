# SPDX-License-Identifier: Apache-2.0
"""Yes, no, and cannot tell (spec/claims.md, "Cannot tell").

An answer is True, False, or a `Doubt` that says what it was that could not be read. `both`, `either` and `opposite` are
Kleene's: what is certain without the part in doubt stays certain. So a doubt never turns into a yes or a no, and a
conjunction with something false is false, whatever else is withheld.
"""

from __future__ import annotations

from typing import NamedTuple, Union


class Doubt(NamedTuple):
    """What could not be read: at which index, in which field (None for the whole entry), why, and what to do about it."""

    leaf_index: int
    pointer: str | None
    why: str
    then: str = ""

    def __str__(self) -> str:
        return f"entry {self.leaf_index}" + (f", {self.pointer}" if self.pointer else "") + f": {self.why}"


Answer = Union[bool, Doubt]


def both(one: Answer, other: Answer) -> Answer:
    if one is False or other is False:
        return False
    return other if one is True else one


def either(one: Answer, other: Answer) -> Answer:
    if one is True or other is True:
        return True
    return other if one is False else one


def opposite(answer: Answer) -> Answer:
    return answer if isinstance(answer, Doubt) else not answer
