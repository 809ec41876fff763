# SPDX-License-Identifier: Apache-2.0
"""The table of who is let in, and how it is read.

A row is a method, a path with what may follow it, and seven words; a line below it that begins with `{` is its body.
Names in braces are things of a tenant that are there (things.py). A route can have several rows.

Each character of a word is of one role: owner, ciso, dpo, architect, auditor, readonly, agent, operator. It is `.` for
let in, whatever the handler says then, or `1`, `3`, `4` for 401, 403, 404. The operator is an owner of the first
tenant, all others are of the second. The words are of different credentials:

session   a member's session, and an agent's token; what is asked for is their own tenant's
key       an API key for all environments
staging   an API key for staging, where what is asked for belongs to production. It makes no operator of anybody
other     credentials of another tenant: for the operator of the first one, else of a third one
revoked   what was revoked: keys, sessions, members that are suspended, credentials and tokens of agents
expired   what has expired: keys, sessions, tokens
nobody    no credential at all, in one character
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.access.table_log import LOG
from tests.access.table_people import PEOPLE
from tests.access.table_service import SERVICE
from tests.access.table_tenant import TENANT

ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly", "agent", "operator")


class Words(NamedTuple):
    session: str
    key: str
    staging: str
    other: str
    revoked: str
    expired: str
    nobody: str


class Row(NamedTuple):
    method: str
    target: str
    words: Words
    body: str = ""

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.target.partition("?")[0]

    @property
    def by_header(self) -> bool:
        """Whether a credential is needed, which comes in a header."""
        return self.words.nobody == "1" and "{read_token}" not in self.target


def read(table: str) -> Iterator[Row]:
    row = None
    for line in table.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("{"):
            assert row is not None and not row.body, line
            row = row._replace(body=line)
            continue
        if row is not None:
            yield row
        method, target, *words = line.split()
        row = Row(method, target, Words(*words))
        assert [len(word) for word in row.words] == [len(ROLES)] * 6 + [1], line
        assert set().union(*row.words) <= set(".134"), line
    if row is not None:
        yield row


ROWS = [row for table in (LOG, PEOPLE, TENANT, SERVICE) for row in read(table)]
