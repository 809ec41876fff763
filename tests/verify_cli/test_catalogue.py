# SPDX-License-Identifier: Apache-2.0
"""The verifier's catalogue says what spec/vectors/catalogue.json and the table of spec/events.md say."""

from __future__ import annotations

import re

from ledger_verify.catalogue import EVENT_TYPES, SEALED_RULES
from ledger_verify.field_rules import _RULES

from .conftest import REPOSITORY


def test_catalogue_is_that_of_the_vectors(catalogue_vector: dict[str, dict[str, object]]) -> None:
    ours = {}
    for (name, version), kind in EVENT_TYPES.items():
        rules = {**kind.required, **kind.optional}
        suffix = {"sealed": "", "sealed_arguments": "/*"}
        ours[name] = {
            "v": version,
            "class": kind.event_class,
            "required": sorted(kind.required),
            "optional": sorted(kind.optional),
            "sealed": sorted(field + suffix[rule] for field, rule in rules.items() if rule in SEALED_RULES),
        }
    theirs = {
        name: {key: sorted(value) if isinstance(value, list) else value for key, value in row.items()}
        for name, row in catalogue_vector.items()
    }
    assert ours == theirs


def test_subjects_and_classes_are_those_of_the_page() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\d+) \| (\w+) \| ([a-z ]*?) *\|", page("events.md"), re.MULTILINE)
    table = {(name, int(v)): (event_class, subject.replace(" ", "_") or None) for name, v, event_class, subject in rows}
    assert table == {key: (kind.event_class, kind.subject) for key, kind in EVENT_TYPES.items()}


def test_exactly_the_governing_types_but_the_genesis_have_as_of() -> None:
    for (name, _), kind in EVENT_TYPES.items():
        assert ("as_of" in kind.required) == (kind.governing and name != "log.genesis")


def test_every_rule_is_known_and_used() -> None:
    used = {rule for kind in EVENT_TYPES.values() for rule in (*kind.required.values(), *kind.optional.values())}
    assert used == set(_RULES) | SEALED_RULES


def test_every_subject_is_a_required_field() -> None:
    assert all(kind.subject is None or kind.subject in kind.required for kind in EVENT_TYPES.values())


def page(name: str) -> str:
    return (REPOSITORY / "spec" / name).read_text(encoding="utf-8")
