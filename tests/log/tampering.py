# SPDX-License-Identifier: Apache-2.0
"""Kinds of tampering with a ledger's tables, and what the self-check should say of each.

They are for the ledger that `grow` makes: two full tiles of entries, two closed days, sealed fields, a revoked key.
"""

from collections.abc import Callable

from tests.log.world import DAY, NOON, World, event, revoke
from tests.tables import TENANT, PostgresTables, SqliteTables, Tables

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


def add_copy(of: int, index: int, log: int = TENANT) -> Tamper:
    """One more entry, the same as an earlier one, behind the others or in another log."""

    def change(db: Tables) -> None:
        names = [*db.place(index, log), *ROW.split()]
        [row] = db.ask(f"select {', '.join(ROW.split())} from entries where {db.entry(of)}")
        marks = ", ".join("?" * len(names))
        values = (*db.place(index, log).values(), *row)
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


def copy_row(table: str, where: str, **changes: object) -> Tamper:
    """One more row like the one that meets a condition, with other values in some columns."""

    def change(db: Tables) -> None:
        unhook(db)
        names = [column[0] for column in db.connection.execute(f"select * from {table} limit 0").description]
        [row] = db.ask(f"select * from {table} where {where}")
        values = dict(zip(names, row, strict=True)) | changes
        changed(
            db, f"insert into {table} ({', '.join(names)}) values ({', '.join('?' * len(names))})", *values.values()
        )

    return change


def add_tile(level: int, number: int, log: int = TENANT) -> Tamper:
    """One more tile, where there can be none yet."""

    def change(db: Tables) -> None:
        sqlite = isinstance(db, SqliteTables)
        place = {"position": log << 40 | level << 36 | number} if sqlite else {"level": level, "number": number}
        copy_row("tiles", db.tile(0), **(place if sqlite else place | {"log_number": log}))(db)

    return change


def unhook(db: Tables) -> None:
    """Who may change rows may also drop what keeps the tables together."""
    for table in ("heads", "committed_heads") if isinstance(db, PostgresTables) else ():
        db.change(f"alter table {table} drop constraint if exists {table}_log_number_fkey")


def drop(table: str, where: str) -> Tamper:
    def change(db: Tables) -> None:
        unhook(db)
        changed(db, f"delete from {table} where {where}")

    return change


def head(name: str, value: object, log: int = TENANT) -> Tamper:
    return lambda db: changed(db, f"update heads set {name} = ? where log_number = {log}", value)


def old_checkpoint(db: Tables) -> None:
    [(note,)] = db.ask("select checkpoint from committed_heads order by size limit 1")
    head("checkpoint", note)(db)


def commitment(change_to: str, *values: object) -> Tamper:
    """The first commitment's line, with columns set."""
    return committed(f"update committed_heads set {change_to} where root_index = :first", *values)


def copy_line(**changes: int) -> Tamper:
    """The first commitment's line once more, elsewhere."""
    return copy_row("committed_heads", "root_index = (select min(root_index) from committed_heads)", **changes)


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


def record(name: str, value: str) -> Tamper:
    return lambda db: changed(db, f"update logs set {name} = ? where log_number = 1", value)


def note(name: str, text: str) -> Tamper:
    return lambda db: changed(db, "insert into notes (name, text) values (?, ?)", name, text)


# What a self-check remembers, of a log that never had this root.
NOTE = (
    '{"ok":true,"tree_size":600,"root_hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",'
    '"checked_at":"2026-03-02T12:00:00.000Z","problem":null,"first_index":null}'
)

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
    "row added far behind": (add_copy(SIZE - 1, SIZE + 5000), "entries", SIZE + 5000),
    "row deleted": (delete(77), "entries", 77),
    "row of another type deleted": (delete(MANIFEST), "entries", MANIFEST),
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
    "column dedup": (column("dedup", bytes(16), 77), "columns", 77),
    "column dedup taken away": (column("dedup", None, 77), "columns", 77),
    "column dedup of a record": (column("dedup", bytes(16), MANIFEST), "columns", MANIFEST),
    "column dedup of a governing entry": (column("dedup", bytes(16), REVOKED), "columns", REVOKED),
    "column request taken away": (column("request", None, 77), "columns", 77),
    "column request cut short": (column("request", bytes(15), 77), "columns", 77),
    "column request of a record": (column("request", bytes(16), MANIFEST), "columns", MANIFEST),
    "column request of a governing entry": (column("request", bytes(16), REVOKED), "columns", REVOKED),
    "column data_key": (column("data_key", bytes(16), 77), "disclosures", 77),
    "column data_key of what seals nothing": (column("data_key", bytes(16), REVOKED), "disclosures", REVOKED),
    "column sealed of what seals nothing": (column("sealed", bytes(60), MANIFEST), "disclosures", MANIFEST),
    "sealed: flipped": (flip("sealed", 77), "disclosures", 77),
    "sealed: too short": (column("sealed", b"x", 77), "disclosures", 77),
    "sealed: taken away": (column("sealed", None, 77), "disclosures", 77),
    "sealed: key taken away": (column("data_key", None, 77), "disclosures", 77),
    "sealed: another entry's": (take_from("sealed", 77, 78), "disclosures", 77),
    "tile: flipped": (flip_tile("hashes", 0), "tiles", 0),
    "tile: second, flipped": (flip_tile("hashes", 1, 0), "tiles", 256),
    "tile: root flipped": (flip_tile("root", 1), "tiles", 256),
    "tile: deleted": (lambda db: changed(db, f"delete from tiles where {db.tile(1)}"), "tiles", 256),
    "tile: of the lowest level, not full yet": (add_tile(0, 2), "tiles", 512),
    "tile: of the next level, not full yet": (add_tile(1, 0), "tiles", 0),
    "tile: far behind": (add_tile(3, 9), "tiles", 9 << 32),
    "head: deleted": (drop("heads", "log_number = 1"), "head", SIZE - 1),
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
    "line: for an entry that commits to nothing": (copy_line(root_index=2), "commitments", 2),
    "line: for no entry": (copy_line(root_index=1000), "commitments", 1000),
    "line: twice": (copy_line(position=1, size=1), "commitments", 3),
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
    "day: added": (
        copy_row("days", "date = '2026-03-02'", date="2026-03-03", entry_index=1000),
        "days",
        None,
    ),
    "day: deleted": (lambda db: changed(db, "delete from days where date = '2026-03-01'"), "days", None),
    "tile: not full yet": (add_tile(0, 0, ROOT), "tiles", 0),
    "head: deleted": (drop("heads", "log_number = 0"), "head", 8),
    "head: root": (head("root", bytes(32), ROOT), "head", 8),
    "head: checkpoint": (head("checkpoint", "x", ROOT), "head", 8),
}


def box(kind: str) -> Tamper:
    """One bit of the first secret of a kind."""
    return lambda db: flip_where(
        db, "vault", "box", f"name = (select min(name) from vault where name like '{kind}/%')", -1
    )


# Beside the logs. Name: how to tamper, and all that the check says of a ledger that it loads itself.
BESIDE_ROWS: dict[str, tuple[Tamper, list[tuple[str, str, int | None]]]] = {
    "logs: another tenant": (record("tenant_id", "another"), [("tenant", "logs", None)]),
    "logs: another id": (record("log_id", "0123456789abcdef"), [("tenant", "logs", None)]),
    "logs: another origin": (
        record("origin", "localhost/log/0123456789abcdef"),
        [("tenant", "entries", 0), ("tenant", "logs", None)],
    ),
    "logs: one of the root log": (
        lambda db: changed(db, "update logs set tenant_id = 'x' where log_number = 0"),
        [("root", "logs", None)],
    ),
    "logs: deleted": (
        drop("logs", "log_number = 1"),
        [("root", "commitments", 3), ("log 1", "logs", None), ("keystore", "data_keys", None)],
    ),
    "logs: the root log deleted": (
        drop("logs", "log_number = 0"),
        [("root log", "logs", None), ("log 0", "logs", None), ("vault", "secrets", None)],
    ),
    "entry of no log": (add_copy(9, 3, log=7), [("log 7", "logs", None)]),
    "entry of a log below zero": (add_copy(9, 3, log=-7), [("log -7", "logs", None)]),
    "tile of no log": (add_tile(0, 0, log=7), [("log 7", "logs", None)]),
    "head of no log": (copy_row("heads", "log_number = 1", log_number=7), [("log 7", "logs", None)]),
    **{
        f"vault: {kind}": (box(kind), [("vault", "secrets", None)])
        for kind in ("signing", "pepper", "key", "key-prefix")
    },
    "vault: a name": (
        lambda db: changed(db, "update vault set name = 'pepper/7' where name = 'pepper/1'"),
        [("vault", "secrets", None)],
    ),
    "vault: deleted": (
        lambda db: changed(db, "delete from vault where name like 'signing/localhost/root%'"),
        [("vault", "secrets", None)],
    ),
    "note: of no log": (note("check/7", NOTE), [("notes", "notes", None)]),
    "note: no number": (note("check/x", NOTE), [("notes", "notes", None)]),
    "note: another root": (note("check/1", NOTE), [("tenant", "notes", None)]),
    "note: no JSON": (note("check/1", "{"), [("tenant", "notes", None)]),
    "note: about more than there is": (note("check/1", NOTE.replace("600", "601")), [("tenant", "notes", None)]),
    "note: about less than nothing": (note("check/1", NOTE.replace("600", "-1")), [("tenant", "notes", None)]),
    "note: well, with a problem": (note("check/1", NOTE.replace("null", '"x"', 1)), [("tenant", "notes", None)]),
    "note: no time": (note("check/1", NOTE.replace("T12", "T25")), [("tenant", "notes", None)]),
    "note: other white space": (note("check/1", NOTE.replace(",", ", ")), [("tenant", "notes", None)]),
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
    "head: deleted": "is missing",
}
