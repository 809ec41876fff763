# SPDX-License-Identifier: Apache-2.0
"""Rules of disclosure: what they name they show, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.disclosing import EVERYTHING, MAX_RULES, NOTHING, Disclosing
from ledger.log.errors import InvalidRequestError

CALL = "call.reported"


@pytest.mark.parametrize(
    ("rule", "shown", "hidden"),
    [
        (f"{CALL} /data/reason", [(CALL, "/data/reason")], [(CALL, "/data/reasons"), ("key.created", "/data/reason")]),
        (f"{CALL} /data/tool_args", [(CALL, "/data/tool_args")], [(CALL, "/data/tool_args/amount")]),
        (
            f"{CALL} /data/tool_args/*",
            [(CALL, "/data/tool_args/amount"), (CALL, "/data/tool_args/a.b-c_d")],
            [
                (CALL, "/data/tool_args"),
                (CALL, "/data/tool_argsx"),
                (CALL, "/data/reason"),
                ("x.y", "/data/tool_args/a"),
            ],
        ),
        ("* /data/label", [("key.created", "/data/label"), ("x.y", "/data/label")], [(CALL, "/data/reason")]),
        (f"{CALL} *", [(CALL, "/data/reason"), (CALL, "/data/tool_args/amount")], [("key.created", "/data/label")]),
        ("* *", [(CALL, "/data/reason"), ("key.created", "/data/label")], []),
    ],
)
def test_rule_shows_what_it_names(rule: str, shown: list[tuple[str, str]], hidden: list[tuple[str, str]]) -> None:
    disclosing = Disclosing([rule])
    assert all(disclosing.shows(kind, pointer) for kind, pointer in shown)
    assert not any(disclosing.shows(kind, pointer) for kind, pointer in hidden)


POINTERS = ["/data/reason", "/data/tool_args/amount", "/data/tool_args/to", "/data/principal", "/data/label"]
PARTS = st.tuples(st.sampled_from(["*", CALL, "key.created"]), st.sampled_from(["*", "/data/tool_args/*", *POINTERS]))


@given(st.lists(PARTS, max_size=6), st.sampled_from([CALL, "key.created"]), st.sampled_from(POINTERS))
def test_rules_together_show_what_any_of_them_shows(rules: list[tuple[str, str]], kind: str, pointer: str) -> None:
    def names(rule: tuple[str, str]) -> bool:
        where = rule[1] == pointer or (rule[1].endswith("*") and pointer.startswith(rule[1][:-1]))
        return where and rule[0] in ("*", kind)

    disclosing = Disclosing(" ".join(rule) for rule in rules)
    assert disclosing.shows(kind, pointer) == any(map(names, rules))
    assert list(disclosing.rules) == sorted({" ".join(rule) for rule in rules})
    assert bool(disclosing) == bool(rules)


def test_none_and_all() -> None:
    assert not Disclosing(NOTHING) and not Disclosing(NOTHING).shows(CALL, "/data/reason")
    assert Disclosing(EVERYTHING).shows("anything.else", "/data/x/y")


NO_POINTERS = ["data/x", "/x", "/data/*x", "/data/x*", "/data/x/*/y", "/data//x", "/data/é", "/data/", "* ", " *"]
NO_RULES = ["", " ", "*", "* ", CALL, f"{CALL} ", f" {CALL} *", "call *", "call.* *", f"{CALL} *\n", "x" * 200]


@pytest.mark.parametrize("rule", [*NO_RULES, *(f"{CALL} {pointer}" for pointer in NO_POINTERS)])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(InvalidRequestError, match="no rule"):
        Disclosing([rule])


def test_too_many_rules_are_refused() -> None:
    many = [f"{CALL} /data/x{number}" for number in range(MAX_RULES + 1)]
    assert len(Disclosing(many[1:]).rules) == MAX_RULES
    with pytest.raises(InvalidRequestError, match="at most 64"):
        Disclosing(many)
