# SPDX-License-Identifier: Apache-2.0
"""Claims as their page defines them, written down once more: each definition by itself, over the whole history.

An answer is 0, 0.5 or 1; `and` is min, `or` is max, `not` is 1 - x. Entries are the JSON that their bytes say, values
that are disclosed are given by pointer. Nothing here uses the package under test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

KNOWN = {"call.reported", "key.created", "key.revoked", "log.genesis", "heads.committed"}
ENVELOPE = {"type", "subject", "time", "recordedat", "id", "source"}
NOTHING, UNKNOWN = object(), object()

Json = dict[str, Any]


class Seen(NamedTuple):
    """An entry and the values of its sealed fields that are disclosed."""

    event: Json
    disclosed: dict[str, Any]

    @property
    def known(self) -> bool:
        return self.event["type"] in KNOWN and self.event["data"]["v"] == 1


def value(entry: Seen, name: str) -> Any:
    if name in ENVELOPE:
        return entry.event.get(name, NOTHING)
    path = name.split("/")[1:] if name.startswith("/") else ["data", name]
    if not entry.known and path != ["data", "v"]:
        return UNKNOWN
    found: Any = entry.event
    for number, part in enumerate(path, 1):
        if not isinstance(found, dict) or part not in found:
            return NOTHING
        found = found[part]
        if isinstance(found, dict) and "$sealed" in found:
            pointer = "/" + "/".join(path[:number])
            found = entry.disclosed.get(pointer, UNKNOWN)
            if found is UNKNOWN:
                return UNKNOWN
    return found


def holds(entry: Seen, name: str, wanted: Any) -> float:
    found = value(entry, name)
    if isinstance(wanted, dict) and "exists" in wanted:
        if found is UNKNOWN and entry.known:  # in these histories the place of a commitment is a whole one
            found = "there"
        return 0.5 if found is UNKNOWN else float((found is not NOTHING) == wanted["exists"])
    if found is UNKNOWN:
        return 0.5
    if found is NOTHING:
        return 0.0
    if isinstance(wanted, dict) and "same" in wanted:
        return float(isinstance(found, (str, bool, int)))
    if isinstance(wanted, dict):
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        return float(number and wanted.get("at_least", found) <= found <= wanted.get("at_most", found))
    choices = wanted if isinstance(wanted, list) else [wanted]
    return float(any(found == choice and isinstance(found, bool) == isinstance(choice, bool) for choice in choices))


def matches(pattern: Json, entry: Seen) -> float:
    return min([holds(entry, *item) for item in pattern.items()] + [1.0 if entry.known else 0.5])


def bound(pattern: Json, entry: Seen) -> dict[str, Any]:
    return {
        wanted["same"]: value(entry, name)
        for name, wanted in pattern.items()
        if isinstance(wanted, dict) and "same" in wanted
    }


def agrees(anchor: Json, entry: Seen, own: dict[str, Any]) -> bool:
    return all(own[name] == found for name, found in bound(anchor, entry).items())


def inside(claim: Json, history: list[Seen], i: int, own: dict[str, Any]) -> float:
    limits = claim.get("between")
    if limits is None:
        return 1.0
    after, before = limits.get("after", -1), limits.get("before", len(history))
    if (isinstance(after, int) and i <= after) or (isinstance(before, int) and i >= before):
        return 0.0
    first = after + 1 if isinstance(after, int) else 0
    names = set().union(*(bound(a, history[i]) for a in (after, before) if isinstance(a, dict)))
    if any(own[name] is UNKNOWN for name in names):
        return 0.5

    def shut(at: int) -> float:
        if isinstance(before, int) or matches(before, history[at]) == 0:
            return 0.0
        if UNKNOWN in bound(before, history[at]).values():
            return 0.5
        return matches(before, history[at]) if agrees(before, history[at], own) else 0.0

    def opened(at: int) -> float:
        if matches(after, history[at]) == 0:
            return 0.0
        if UNKNOWN in bound(after, history[at]).values():
            return 0.5
        return matches(after, history[at]) if agrees(after, history[at], own) else 0.0

    if isinstance(after, int):
        return min([1 - shut(at) for at in range(first, i + 1)])
    return max([min([opened(k)] + [1 - shut(at) for at in range(k + 1, i + 1)]) for k in range(i)] + [0.0])


def enough_before(claim: Json, history: list[Seen], i: int, own: dict[str, Any]) -> float:
    pattern, wanted, distinct = claim["earlier"], claim.get("at_least", 1), claim.get("distinct")
    if any(own[name] is UNKNOWN for name in bound(pattern, history[i])):
        return 0.5
    certain, possible, unread = set(), set(), 0
    for at in range(i):
        entry = history[at]
        answer = matches(pattern, entry)
        found = at if distinct is None else value(entry, distinct)
        if answer == 0 or not (found is UNKNOWN or isinstance(found, (str, bool, int))):
            continue
        if UNKNOWN in bound(pattern, entry).values():
            unread += 1
        elif not agrees(pattern, entry, own):
            continue
        elif found is UNKNOWN:
            unread += 1
        else:
            (certain if answer == 1 else possible).add((type(found), found))
    low, high = len(certain), len(certain | possible) + unread
    return 1.0 if low >= wanted else 0.5 if high >= wanted else 0.0


def judged(claim: Json, history: list[Seen], start: int = 0) -> tuple[float, int | None]:
    """The answer over the entries from `start` on, and the first entry that contradicts the claim."""
    kind = next(kind for kind in ("never", "always", "count") if kind in claim)
    answers: list[tuple[float, int]] = []
    meant: list[tuple[float, int]] = []
    for i in range(start, len(history)):
        entry = history[i]
        match = matches(claim[kind], entry)
        if match == 0:
            continue
        own = bound(claim[kind], entry)
        is_meant = min(match, inside(claim, history, i, own))
        meant.append((is_meant, i))
        if kind == "never":
            answers.append((1 - is_meant, i))
        elif kind == "always":
            has = matches(claim["has"], entry) if "has" in claim else enough_before(claim, history, i, own)
            answers.append((max(1 - is_meant, has), i))
    if kind != "count":
        answer = min([answer for answer, _ in answers], default=1.0)
        return answer, next((i for answer, i in answers if answer == 0), None)
    least = claim.get("is", claim.get("at_least", 0))
    most = claim.get("is", claim.get("at_most", len(history)))
    certain = [i for answer, i in meant if answer == 1]
    low, high = len(certain), sum(answer > 0 for answer, _ in meant)
    if low > most:
        return 0.0, certain[most]
    return (0.0 if high < least else 1.0 if least <= low and high <= most else 0.5), None
