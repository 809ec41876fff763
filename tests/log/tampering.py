# SPDX-License-Identifier: Apache-2.0
"""Kinds of tampering with a ledger's tables, and what the self-check should say of each.

They are for the ledger that `grow` makes: two full tiles of entries, two closed days, sealed fields, a revoked key.
"""

from collections.abc import Callable

from tests.log.world import DAY, NOON, World, event, revoke
from tests.tables import TENANT, Tables

ROOT = 0
Tamper = Callable[[Tables], object]

# Where things are in the tenant's log. The rest are reports of calls.
CREATED, REVOKED, MANIFEST = 3, 4, 5
SIZE = 600


def grow(world: World) -> None:
    key = world.create_key()
    world.together(revoke(key))
    manifest = {"agent_id": "payments-agent", "policy_version": "7", "contracts": []}
    drafts = world.drafts(event("a"), agent_manifest=manifest)
    world.append(drafts[1])
    world.fill(300)
    world.commit_heads()
    world.close_day()
    world.wake_at(NOON + DAY)
    world.fill(400)
    world.close_day()
    world.fill(SIZE)
    world.commit_heads()


def column(name: str, value: object, index: int, log: int = TENANT) -> Tamper:
    return lambda db: changed(db, f"update entries set {name} = ? where {db.entry(index, log)}", value)


def changed(db: Tables, sql: str, *values: object) -> None:
    assert db.change(sql, *values) == 1, sql


def flip(name: str, index: int, byte: int = -1, log: int = TENANT) -> Tamper:
    """One bit of a byte of an entry's bytes."""
    return lambda db: flip_where(db, "entries", name, db.entry(index, log), byte)


def flip_tile(name: str, number: int, byte: int = -1) -> Tamper:
    """The same of a full tile."""
    return lambda db: flip_where(db, "tiles", name, db.tile(number), byte)


def flip_where(db: Tables, table: str, name: str, where: str, byte: int) -> None:
    [(data,)] = db.ask(f"select {name} from {table} where {where}")
    bits = bytearray(data)
    bits[byte] ^= 1
    changed(db, f"update {table} set {name} = ? where {where}", bytes(bits))


def edit(old: bytes, new: bytes, index: int, log: int = TENANT) -> Tamper:
    """A leaf with some bytes replaced, as somebody who wants another story would."""

    def change(db: Tables) -> None:
        [(leaf,)] = db.ask(f"select leaf from entries where {db.entry(index, log)}")
        assert leaf.count(old) == 1
        column("leaf", leaf.replace(old, new), index, log)(db)

    return change


ROW = "event_id type governing recorded_at key_id agent_id tool_name verdict mode env request data_key leaf sealed"


def swap(first: int, second: int, *, whole: bool) -> Tamper:
    """Two entries change places, whole rows or leaves alone."""
    names = ROW.split() if whole else ["leaf"]

    def change(db: Tables) -> None:
        rows = [db.ask(f"select {', '.join(names)} from entries where {db.entry(i)}")[0] for i in (first, second)]
        settings = ", ".join(f"{name} = ?" for name in names)
        for index, row in zip((second, first), rows, strict=True):
            changed(db, f"update entries set {settings} where {db.entry(index)}", *row)

    return change


def add_copy(of: int, index: int) -> Tamper:
    """One more entry behind the others, the same as an earlier one."""

    def change(db: Tables) -> None:
        names = [*db.place(index), *ROW.split()]
        [row] = db.ask(f"select {', '.join(ROW.split())} from entries where {db.entry(of)}")
        marks = ", ".join("?" * len(names))
        values = (*db.place(index).values(), *row)
        changed(db, f"insert into entries ({', '.join(names)}) values ({marks})", *values)

    return change


def take_from(name: str, index: int, source: int) -> Tamper:
    """A column of an entry gets the value of another's."""
    value = "select {} from entries where {}"
    return lambda db: changed(
        db, f"update entries set {name} = ({value.format(name, db.entry(source))}) where {db.entry(index)}"
    )


def delete(index: int, log: int = TENANT) -> Tamper:
    return lambda db: changed(db, f"delete from entries where {db.entry(index, log)}")


def head(name: str, value: object, log: int = TENANT) -> Tamper:
    return lambda db: changed(db, f"update heads set {name} = ? where log_number = {log}", value)


def old_checkpoint(db: Tables) -> None:
    [(note,)] = db.ask("select checkpoint from committed_heads order by size limit 1")
    head("checkpoint", note)(db)


def commitment(change_to: str, *values: object) -> Tamper:
    """The first commitment's line, with columns set."""
    return committed(f"update committed_heads set {change_to} where root_index = :first", *values)


def committed(sql: str, *values: object) -> Tamper:
    def change(db: Tables) -> None:
        [(index,)] = db.ask("select min(root_index) from committed_heads")
        changed(db, sql.replace(":first", str(index)), *values)

    return change


def other_note(db: Tables) -> None:
    """A commitment whose checkpoint is a real one, but a later one."""
    [(note,)] = db.ask("select checkpoint from heads where log_number = 1")
    commitment("checkpoint = ?", note)(db)


def day_checkpoint(source: str, date: str) -> Tamper:
    return lambda db: changed(db, f"update days set checkpoint = ({source}) where date = '{date}'")


# Name: how to tamper, the check that fails, its first index.
TENANT_ROWS: dict[str, tuple[Tamper, str, int]] = {
    "leaf: last byte": (flip("leaf", 77), "entries", 77),
    "leaf: first byte": (flip("leaf", 77, 0), "entries", 77),
    "leaf: empty": (column("leaf", b"", 77), "entries", 77),
    "leaf: a genesis in the middle": (take_from("leaf", 9, 0), "ids", 9),
    "leaf: another verdict": (edit(b'"verdict":"allow"', b'"verdict":"deny"', 77), "columns", 77),
    "leaf: white space": (edit(b',"env"', b', "env"', 77), "entries", 77),
    "leaf: another source": (edit(b"localhost/log", b"elsewhere/log", 77), "entries", 77),
    "leaf: another time": (edit(b'"recordedat":"2026-03-01', b'"recordedat":"2026-02-28', 77), "columns", 77),
    "leaf: another commitment": (edit(b'"amount"', b'"amouns"', 77), "disclosures", 77),
    "leaf: unknown version": (edit(b'"v":1', b'"v":2', 77), "entries", 77),
    "leaf: unknown type": (edit(b'"type":"call.reported"', b'"type":"call.retorted"', 77), "entries", 77),
    "leaf: an open field no column repeats": (edit(b'"subject":"', b'"subject":"x', 77), "tiles", 0),
    "leaf: another call": (edit(b'"call_id":"fill-77"', b'"call_id":"fill-78"', 77), "columns", 77),
    "leaf: the same in the second tile": (edit(b'"subject":"', b'"subject":"x', 377), "tiles", 256),
    "leaf: the same at the edge": (edit(b'"subject":"', b'"subject":"x', 577), "head", SIZE - 1),
    "leaf: first entry": (flip("leaf", 0), "entries", 0),
    "leaf: governing, not JSON": (flip("leaf", CREATED), "entries", CREATED),
    "leaf: governing, revokes another key": (edit(b'"key_id":"0', b'"key_id":"1', REVOKED), "entries", REVOKED),
    "leaf: governing, expires never": (
        edit(b'"key_id"', b'"expires_at":"never","key_id"', CREATED),
        "entries",
        CREATED,
    ),
    "leaf: governing, another as_of": (edit(b'"as_of":3', b'"as_of":2', REVOKED), "as_of", REVOKED),
    "leaf: governing, another actor": (edit(b'"actor":"operator"', b'"actor":"operatos"', REVOKED), "tiles", 0),
    "leaf: record, another text": (edit(b'"policy_version":"7"', b'"policy_version":"8"', MANIFEST), "tiles", 0),
    "rows swapped": (swap(77, 78, whole=True), "columns", 77),
    "leaves swapped": (swap(77, 78, whole=False), "ids", 77),
    "row added": (add_copy(SIZE - 1, SIZE), "entries", SIZE),
    "row deleted": (delete(77), "entries", 77),
    "first row deleted": (delete(0), "entries", 0),
    "last row deleted": (delete(SIZE - 1), "entries", SIZE - 1),
    "governing row deleted": (delete(REVOKED), "entries", REVOKED),
    "all rows deleted": (lambda db: db.change(f"delete from entries where {db.entries()}"), "entries", 0),
    "column event_id": (column("event_id", bytes(16), 77), "ids", 77),
    "column type": (column("type", "call.decided", 77), "columns", 77),
    "column governing": (column("governing", False, REVOKED), "columns", REVOKED),
    "column governing of a call": (column("governing", True, 77), "columns", 77),
    "column recorded_at": (column("recorded_at", NOON + 1, 77), "columns", 77),
    "column key_id": (column("key_id", "other", 77), "columns", 77),
    "column key_id taken away": (column("key_id", None, 77), "columns", 77),
    "column agent_id": (column("agent_id", "other", 77), "columns", 77),
    "column tool_name": (column("tool_name", "other", 77), "columns", 77),
    "column verdict": (column("verdict", "deny", 77), "columns", 77),
    "column mode": (column("mode", "observe", 77), "columns", 77),
    "column env": (column("env", "staging", 77), "columns", 77),
    "column verdict of a record": (column("verdict", "allow", MANIFEST), "columns", MANIFEST),
    "sealed: flipped": (flip("sealed", 77), "disclosures", 77),
    "sealed: too short": (column("sealed", b"x", 77), "disclosures", 77),
    "sealed: taken away": (column("sealed", None, 77), "disclosures", 77),
    "sealed: key taken away": (column("data_key", None, 77), "disclosures", 77),
    "sealed: another entry's": (take_from("sealed", 77, 78), "disclosures", 77),
    "tile: flipped": (flip_tile("hashes", 0), "tiles", 0),
    "tile: second, flipped": (flip_tile("hashes", 1, 0), "tiles", 256),
    "tile: root flipped": (flip_tile("root", 1), "tiles", 256),
    "tile: deleted": (lambda db: changed(db, f"delete from tiles where {db.tile(1)}"), "tiles", 256),
    "head: root": (head("root", bytes(32)), "head", SIZE - 1),
    "head: smaller": (head("size", SIZE - 1), "head", SIZE - 2),
    "head: larger": (head("size", SIZE + 1), "entries", SIZE),
    "head: empty": (head("size", 0), "head", 0),
    "head: last_governing": (head("last_governing", CREATED), "head", SIZE - 1),
    "head: last_id": (head("last_id", bytes(16)), "head", SIZE - 1),
    "head: checkpoint of another size": (old_checkpoint, "head", SIZE - 1),
    "head: checkpoint no note": (head("checkpoint", "no note"), "head", SIZE - 1),
}

ROOT_ROWS: dict[str, tuple[Tamper, str, int | None]] = {
    "leaf: not JSON": (flip("leaf", 4, log=ROOT), "entries", 4),
    "line": (commitment("line = ?", bytes(90)), "commitments", 3),
    "line: another text": (commitment("line = ?", b"\n"), "commitments", 3),
    "line: another place": (commitment("position = 1"), "commitments", 3),
    "line: another size": (commitment("size = 7"), "commitments", 3),
    "line: another log": (commitment("log_number = 0"), "commitments", 3),
    "line: no log": (commitment("log_number = 9"), "commitments", 3),
    "checkpoint": (commitment("checkpoint = 'x'"), "commitments", 3),
    "checkpoint: a later one": (other_note, "commitments", 3),
    "line: deleted": (committed("delete from committed_heads where root_index = :first"), "commitments", 3),
    "day: another date": (
        lambda db: changed(db, "update days set date = '2026-03-03' where date = '2026-03-02'"),
        "days",
        None,
    ),
    "day: another entry": (
        lambda db: changed(db, "update days set entry_index = 6 where date = '2026-03-02'"),
        "days",
        None,
    ),
    "day: another checkpoint": (
        day_checkpoint("select checkpoint from heads where log_number = 1", "2026-03-02"),
        "days",
        7,
    ),
    "day: an older checkpoint": (
        day_checkpoint("select checkpoint from days where date = '2026-03-01'", "2026-03-02"),
        "days",
        7,
    ),
    "day: a later checkpoint": (
        day_checkpoint("select checkpoint from heads where log_number = 0", "2026-03-01"),
        "days",
        7,
    ),
    "day: no checkpoint": (
        lambda db: changed(db, "update days set checkpoint = '' where date = '2026-03-02'"),
        "days",
        7,
    ),
    "day: deleted": (lambda db: changed(db, "delete from days where date = '2026-03-01'"), "days", None),
    "head: root": (head("root", bytes(32), ROOT), "head", 8),
    "head: checkpoint": (head("checkpoint", "x", ROOT), "head", 8),
}


# Where the state cannot be loaded, so that the ledger does not open: what it says then.
REFUSALS = {
    "leaf: first entry": "governing entry 0 is damaged",
    "leaf: governing, not JSON": "governing entry 3 is damaged",
    "leaf: governing, revokes another key": "governing entry 4 is damaged",
    "leaf: governing, expires never": "governing entry 3 is damaged",
    "last row deleted": "entry 599 of log 1 is missing",
    "all rows deleted": "of log 1 is missing",
    "tile: deleted": "full tiles 0/0 to 0/1 of log 1",
    "head: larger": "entry 600 of log 1 is missing",
}
