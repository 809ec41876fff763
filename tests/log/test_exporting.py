# SPDX-License-Identifier: Apache-2.0
"""Making exports: on record before anybody can have them, and never with what is erased by then."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_verify import verify_export

from ledger.log import export_views
from ledger.log import exporting as module
from ledger.log.disclosing import EVERYTHING, Disclosing
from ledger.log.erasure import Erasure, erase
from ledger.log.errors import ForbiddenError, InvalidRequestError, NotFoundError, RateLimitedError
from ledger.log.events.logs import EvidenceExported
from ledger.log.export import Exported, NotCommittedError, require_range
from ledger.log.export_spool import KEPT_SECONDS, MAX_KEPT, ExportStatus, Spool, Spooled
from ledger.log.exporting import MAX_WAITING, TRIES, Exports, Order
from ledger.log.leaf import read_leaf
from ledger.log.working_copy import Moment
from tests.log.world import World, event


@pytest.fixture
def world(open_world: Callable[..., World]) -> Iterator[World]:
    with open_world() as world:
        world.append(*world.drafts(event("c1", payload={"reason": "because", "data_subject": "ada"})))
        yield world


@pytest.fixture
def exports(world: World) -> Exports:
    assert world.ledger.spool is not None

    async def make() -> Exports:
        assert world.ledger.spool is not None
        return Exports(world.ledger, world.ledger.spool, world.settings.verifier, world.roots.commit_heads)

    return world.run(make())


def order(world: World, **changes: Any) -> Order:
    usual: dict[str, Any] = {
        "exported": require_range(world.log, 0, None),
        "disclosing": Disclosing(EVERYTHING),
        "format": "tar",
        "actor": "operator",
        "allowed": lambda moment: None,
    }
    return Order(**(usual | changes))


def made(world: World, exports: Exports, **changes: Any) -> tuple[ExportStatus, Spooled]:
    """What became of an export, and where it lies."""

    async def make() -> ExportStatus:
        status = await exports.start(world.log, order(world, **changes))
        for task in list(exports._running):
            await task
        return status

    spooled = exports.find(world.log, world.run(make()).export_id)
    return spooled.status(), spooled


def records(world: World) -> list[EvidenceExported]:
    events = (read_leaf(leaf)[1] for leaf in world.leaves())
    return [event for event in events if isinstance(event, EvidenceExported)]


def test_heads_are_committed_for_it_and_it_is_on_record(world: World, exports: Exports) -> None:
    """Nothing was in the root log yet: an export is never weaker than it could be."""
    status, spooled = made(world, exports)
    assert status.status == "ready"
    [record] = records(world)
    assert (record.export_id, record.manifest, status.leaf_index) == (status.export_id, status.manifest, world.size - 1)
    export = verify_export(str(spooled.folder / "export.tar"), world.keys)
    assert (export.end, export.signed.tier) == (world.size - 1, "tamper-evident")
    assert {path.name for path in spooled.folder.iterdir()} == {"lock", "status.json", "export.tar"}


def erasing_before_the_record(
    world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> tuple[Spooled, list[bytes]]:
    """An export with an erasure after it was written and before it was put on record; and what was written."""
    whole, record, written = module.write_export, exports._record, list[bytes]()

    def write(*arguments: Any, **options: Any) -> Exported:
        done = whole(*arguments, **options)
        written.append((arguments[3] / "disclosures.jsonl").read_bytes())
        return done

    async def erase_first(*arguments: Any) -> int:
        if len(written) == 1:
            wanted = Erasure(grounds="subject_request", actor="operator", subject="ada")
            await erase(world.ledger, world.log, wanted, lambda moment: None)
        return await record(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_export", write)
        patched.setattr(exports, "_record", erase_first)
        return made(world, exports, **changes)[1], written


def test_erasure_takes_away_what_is_being_made_and_shows_something(
    world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="until an erasure"):
        erasing_before_the_record(world, exports, monkeypatch)
    assert world.ledger.spool is not None
    assert not [path for path in world.settings.spool.rglob("*") if path.is_file()]
    status, spooled = made(world, exports)
    export = verify_export(str(spooled.folder / "export.tar"), world.keys)
    assert (status.status, export.disclosed, export.erased) == ("ready", 1, 1), "what is left is the key's label"


def test_erasure_meanwhile_makes_what_shows_nothing_start_over(
    world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fields are no longer withheld. The first try is on record, too, although nobody ever had it."""
    spooled, written = erasing_before_the_record(world, exports, monkeypatch, disclosing=Disclosing(()))
    status = spooled.status()
    assert (status.status, len(written)) == ("ready", 2)
    export = verify_export(str(spooled.folder / "export.tar"), world.keys)
    assert (export.disclosed, export.withheld, export.erased) == (0, 1, 1)
    first, second = records(world)
    assert first.manifest != second.manifest == status.manifest
    assert first.export_id == second.export_id == status.export_id


def test_whoever_may_no_longer_gets_nothing(world: World, exports: Exports) -> None:
    def refuse(moment: Moment) -> None:
        raise ForbiddenError("the key was revoked")

    size = world.size
    status, spooled = made(world, exports, allowed=refuse)
    assert (status.status, status.reason, status.files) == ("failed", "the key was revoked", [])
    assert world.size == size
    assert not (spooled.folder / "export.tar").exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "it could not be written: No space left on device"),
        (ZeroDivisionError("a bug"), "an internal error; the service's log has it"),
        (NotCommittedError("not yet"), "not yet"),
    ],
)
def test_failure_is_told_and_leaves_no_record(
    error: Exception, reason: str, world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fail(*arguments: Any, **options: Any) -> Exported:
        tries.append(arguments)
        arguments[3].mkdir(exist_ok=True)
        (arguments[3] / "disclosures.jsonl").write_bytes(b"in the clear")
        raise error

    monkeypatch.setattr(module, "write_export", fail)
    size = world.size
    status, spooled = made(world, exports)
    assert {path.name for path in spooled.folder.iterdir()} == {"lock", "status.json"}
    assert status.status == "failed" and status.reason is not None and status.reason.startswith(reason)
    assert world.size == size and len(tries) == (TRIES if isinstance(error, NotCommittedError) else 1)


def test_service_that_stops_ends_what_is_running(world: World, exports: Exports) -> None:
    async def stop() -> ExportStatus:
        status = await exports.start(world.log, order(world))
        await exports.stop()
        return status

    status = exports.find(world.log, world.run(stop()).export_id).status()
    assert (status.status, status.reason) == ("failed", "the service stops")
    assert records(world) == []


def test_so_many_may_wait(world: World, exports: Exports) -> None:
    async def many() -> None:
        async with exports._one_at_a_time:
            for _ in range(MAX_WAITING):
                await exports.start(world.log, order(world))
            with pytest.raises(RateLimitedError, match="exports are waiting"):
                await exports.start(world.log, order(world))
        await exports.stop()

    world.run(many())
    assert len(list(world.settings.spool.glob("*/*"))) == MAX_WAITING


def test_range_that_is_too_long_for_its_view_is_refused_at_once(
    world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_views, "MAX_PDF_ENTRIES", world.size - 1)
    with pytest.raises(InvalidRequestError, match="narrow the range"):
        made(world, exports, format="pdf")
    assert records(world) == [] and not world.settings.spool.exists()
    assert made(world, exports, format="pdf", exported=range(1, world.size))[0].status == "ready"


# What a process leaves behind that is killed


def left_behind(spool: Spool, export_id: str, state: str = "running") -> Spooled:
    spooled = spool.create("log", export_id)
    status = {"export_id": export_id, "status": state, "start": 0, "stop": 1, "disclose": [], "format": "tar"}
    spooled.write_status(ExportStatus(**status))  # type: ignore[arg-type]
    return spooled


def test_abandoned_one_has_failed_and_is_swept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "exports")
    abandoned, running = left_behind(spool, "a" * 32), left_behind(spool, "b" * 32)
    for spooled in (abandoned, running):
        spooled.export.mkdir()
    held = running.hold()
    assert abandoned.status().status == "failed" and "ask for it again" in str(abandoned.status().reason)
    assert running.status().status == "running"
    (abandoned.folder / ".export.x").mkdir()
    (abandoned.folder / ".export.x" / "disclosures.jsonl").write_bytes(b"in the clear")
    spool.sweep()
    assert {path.name for path in abandoned.folder.iterdir()} == {"lock", "status.json"}
    assert abandoned.status().status == "failed" and running.export.exists()
    os.close(held)
    spool.sweep()
    assert not running.export.exists()


def test_so_many_are_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "exports")
    for number in range(MAX_KEPT):
        spool.create("log", f"{number:032x}")
    with pytest.raises(RateLimitedError, match="exports lie ready"):
        spool.create("log", "f" * 32)
    spool.create("another", "f" * 32)
    spool.find("log", f"{7:032x}").remove()
    spool.create("log", "f" * 32)


def test_ready_one_is_kept_for_a_day(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "exports")
    fresh, old = left_behind(spool, "a" * 32, "ready"), left_behind(spool, "b" * 32, "ready")
    past = time.time() - KEPT_SECONDS - 10
    os.utime(old.folder, (past, past))
    spool.sweep()
    assert fresh.folder.exists() and not old.folder.exists()
    with pytest.raises(NotFoundError):
        old.status()


def test_erasing_forgets_what_shows_something_or_cannot_be_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "exports")
    shows, hides, broken = (left_behind(spool, digit * 32, "ready") for digit in "abc")
    (shows.folder / "status.json").write_bytes(
        (shows.folder / "status.json").read_bytes().replace(b"[]", b'["* *"]', 1)
    )
    (broken.folder / "status.json").write_bytes(b"{")
    spool.forget_disclosed("another")
    assert all(spooled.folder.exists() for spooled in (shows, hides, broken))
    spool.forget_disclosed("log")
    assert [spooled.folder.exists() for spooled in (shows, hides, broken)] == [False, True, False]


@pytest.mark.parametrize("export_id", ["", "x", "..", "a" * 31, "a" * 33, "A" * 32, "a" * 31 + "/", "a" * 31 + "\n"])
def test_names_lead_nowhere_else(export_id: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Spool(tmp_path).find("log", export_id)
