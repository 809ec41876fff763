# SPDX-License-Identifier: Apache-2.0
"""Make `spec/vectors/{entries,disclosures,receipts,days,exports}.json` from a throw-away ledger: `python -m
tests.vectors.make`, or only those that are named, e.g. `python -m tests.vectors.make exports`.

Keys, salts and ids are random, so each run makes other bytes; the committed files are what counts, and they are made
again only when a format changes. Both implementations read them: `tests/vectors/test_vectors.py` and the verifier's own
tests.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.deployment import TENANT_PARTS
from ledger.log.days import day_document
from ledger.log.disclosing import EVERYTHING, Disclosing
from ledger.log.erasure import Erasure, erase
from ledger.log.export import write_export
from ledger.log.keystore import Keystore
from ledger.log.ledger import Ledger, Release, initialise
from ledger.log.receipts import fresh_receipt, receipt
from ledger.log.report import Reporter, dedup_keys, draft_report, read_report
from ledger.log.roots import RootLog
from ledger.log.sequencer import Log
from ledger.log.store.keys import SqliteKeys
from ledger.log.store.sqlite import SqliteStore
from ledger.log.vault import Vault

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z
DAY = 86_400_000

Case = dict[str, Any]


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def new_ledger(folder: Path, clock: Clock) -> Ledger:
    vault = Vault(bytes(32))
    store = SqliteStore.initialise(folder / "ledger.db")
    keystore = Keystore(SqliteKeys.initialise(folder / "keystore.db"), vault)
    release = Release("0.1.0", "00" * 32)
    initialise(store, keystore, vault, "example.com", clock, TENANT_PARTS, "tenant", lambda log: [], release)
    return Ledger(store, keystore, vault, TENANT_PARTS, clock)


async def report(ledger: Ledger, log: Log, *events: Case) -> list[int]:
    """Leaf indexes of reported events."""
    body = read_report(json.dumps({"events": events}).encode())
    drafts = draft_report(ledger, log, body, Reporter(key_id="example-key", env="production"), ledger.clock())
    appended = await ledger.sequencer.submit(log, lambda moment: drafts, dedup_keys=dedup_keys(drafts))
    return [item.leaf_index for item in appended.items]


def example_event(call_id: str, payload: Case) -> Case:
    return {
        "call_id": call_id,
        "agent_id": "payments-agent",
        "tool_name": "send_money",
        "verdict": "allow",
        "mode": "enforce",
        "timestamp": "2026-03-01T11:59:59Z",
        "payload": payload,
    }


async def make() -> dict[str, Case]:
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        ledger = new_ledger(Path(name), clock)
        ledger.sequencer.start()
        roots, log = RootLog(ledger), ledger.log(1)
        await report(ledger, log, example_event("c-0", {}))
        await roots.close_day()
        clock.now += DAY
        payload = {
            "tool_args": {"amount": 98.7, "recipient": "GB123"},
            "principal": {"user_id": "ada"},
            "reason": "é\n",
        }
        [index] = await report(ledger, log, example_event("c-1", payload))
        [leaf] = ledger.store.leaves(1, index, index + 1)
        texts = {"as answered to the report": fresh_receipt(log, log.committed, index, leaf).text()}
        await report(ledger, log, example_event("c-2", {"tool_args": {"a b": 1, "$x": None}}))
        await roots.commit_heads()
        texts["committed to the root log, all disclosed"] = receipt(ledger, log, index, leaf, disclose=True).text()
        await roots.close_day()
        await report(ledger, log, *(example_event(f"c-{n}", {}) for n in range(3, 12)))
        texts["within a closed day"] = receipt(ledger, log, index, leaf).text()
        days = [day_document(ledger, day).text() for day in ledger.store.days()]
        leaves = ledger.store.leaves(1, 0, 6) + ledger.store.leaves(0, 0, 8)
        wanted = Erasure(grounds="subject_request", actor="operator", subject="ada")
        await erase(ledger, log, wanted, lambda moment: None)
        clock.now += DAY
        await roots.close_day()
        disclosures = json.loads(texts["committed to the root log, all disclosed"])["disclosures"]
        exported = _exported(ledger, log, Path(name))
        vkeys = {"log": log.signer.vkey.format(), "root": ledger.root.signer.vkey.format()}
        await ledger.sequencer.stop()
        ledger.close()
    return {
        "receipts": _file(
            "Receipt files with the vkeys they are checked with; `tier` is the verdict of those that hold.",
            vkeys,
            [*_receipt_cases(texts), *_mutations(texts["within a closed day"].decode(), _RECEIPT_EDITS)],
        ),
        "days": _file(
            "Day documents with the vkey of the root log.",
            vkeys,
            [
                *({"name": f"day {n}", "ok": True, "file": text.decode()} for n, text in enumerate(days, 1)),
                *_mutations(days[1].decode(), _DAY_EDITS),
            ],
        ),
        "exports": _file(
            "Export folders as maps from file name to text; the verifier in them is a stand-in.",
            vkeys,
            list(_export_cases(exported, log.signer.sign)),
        ),
        "entries": _file("Entries: one line each, without the newline.", {}, list(_entry_cases(leaves))),
        "disclosures": _file(
            "Disclosures with the entry they belong to.", {}, list(_disclosure_cases(leaf.decode(), disclosures))
        ),
    }


def _exported(ledger: Ledger, log: Log, folder: Path) -> dict[str, str]:
    """The files of an export of leaves 1 to 3 with all disclosures that are left: what leaf 2 had was erased."""
    stand_in = folder / "verifier"
    stand_in.write_text("stands in for the verifier\n")
    out = folder / "export"
    everything = Disclosing(EVERYTHING)
    write_export(ledger, log, range(1, 4), out, disclosing=everything, verifier=stand_in, progress=lambda done: None)
    return {path.name: path.read_text() for path in sorted(out.iterdir())}


def _export_cases(files: dict[str, str], sign: Callable[[str], str]) -> Iterator[Case]:
    yield {"name": "leaves 1 to 3", "ok": True, "erased": 4, "files": files}
    first, second, *rest = files["entries.jsonl"].splitlines(keepends=True)
    for name, lines in (
        ("an entry missing", [first, *rest]),
        ("an entry twice", [first, first, second, *rest]),
        ("two entries swapped", [second, first, *rest]),
        ("an entry altered", [first.replace('"v":1', '"v":2'), second, *rest]),
    ):
        yield {
            "name": name,
            "ok": False,
            "why": "step 3 or 4",
            "files": _resealed(files, sign, {"entries.jsonl": "".join(lines)}),
        }
    genesis, erasure = files["governing.jsonl"].splitlines(keepends=True)
    for name, chain in (
        ("no genesis in the governing chain", [erasure]),
        ("the governing chain twice", [genesis, genesis, erasure]),
        ("a governing entry altered", [genesis, erasure.replace("subject_request", "other")]),
        ("no governing chain", []),
    ):
        yield {
            "name": name,
            "ok": False,
            "why": "step 7",
            "files": _resealed(files, sign, {"governing.jsonl": "".join(chain)}),
        }
    keys = files["keys.jsonl"]
    states = files["fields.jsonl"]
    for name, why, changed in (
        ("no history of keys", "step 8", {"keys.jsonl": ""}),
        ("the history of keys twice", "step 8", {"keys.jsonl": keys * 2}),
        ("a field that is not named", "step 9", {"fields.jsonl": ""}),
        ("a field called withheld", "step 9", {"fields.jsonl": states.replace("erased", "withheld")}),
    ):
        yield {"name": name, "ok": False, "why": why, "files": _resealed(files, sign, changed)}
    manifest = _manifest(files)
    for name, members in (
        ("the range moved by one", {"from": manifest["from"] + 1, "to": manifest["to"] + 1}),
        ("the range one shorter", {"to": manifest["to"] - 1}),
        ("a hash too many on the left", {"left": manifest["left"] * 2}),
        ("no hash on the right", {"right": []}),
        ("another origin", {"origin": "example.com/log/other"}),
        ("no root under a daily root", {"root": None}),
        ("other counts of fields", {"fields": {"disclosed": 0, "erased": 0, "withheld": 0}}),
        ("a format to come", {"format": "ledger-export/v4"}),
    ):
        yield {"name": name, "ok": False, "why": "manifest", "files": files | {
            "manifest.note": sign(canonical(manifest | members) + "\n")}}  # fmt: skip
    unsigned = files["manifest.note"].replace("\n\n— example.com", "\n\n— example.org")
    yield {"name": "signed under another name", "ok": False, "why": "step 8", "files": files | {
        "manifest.note": unsigned}}  # fmt: skip
    swapped = "".join(reversed(files["disclosures.jsonl"].splitlines(keepends=True)))
    yield {"name": "a file too many", "ok": False, "why": "step 1", "files": files | {"more.txt": "x"}}
    yield {"name": "a file changed", "ok": False, "why": "step 1", "files": files | {"README.txt": "x"}}
    if swapped != files["disclosures.jsonl"]:
        yield {"name": "disclosures out of order", "ok": False, "why": "step 5", "files": _resealed(
            files, sign, {"disclosures.jsonl": swapped})}  # fmt: skip


def _manifest(files: dict[str, str]) -> Case:
    manifest: Case = json.loads(files["manifest.note"].split("\n")[0])
    return manifest


def _resealed(files: dict[str, str], sign: Callable[[str], str], changed: dict[str, str]) -> dict[str, str]:
    """The files with some changed and the manifest made to fit and signed, as the operator himself could do it."""
    files = files | changed
    manifest = _manifest(files)
    manifest["files"] = [
        {"name": name, "sha256": sha256(text.encode()).hexdigest(), "size": len(text.encode())}
        for name, text in files.items()
        if name != "manifest.note"
    ]
    return files | {"manifest.note": sign(canonical(manifest) + "\n")}


def _file(about: str, vkeys: dict[str, str], cases: list[Case]) -> Case:
    return {"about": about, "vkeys": vkeys, "cases": cases} if vkeys else {"about": about, "cases": cases}


def _receipt_cases(texts: dict[str, bytes]) -> Iterator[Case]:
    for name, text in texts.items():
        tier = "tamper-detecting" if json.loads(text)["root"] is None else "tamper-evident"
        yield {"name": name, "ok": True, "tier": tier, "file": text.decode()}


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


Edit = tuple[str, str, Callable[[Any], Any]]


def _mutations(text: str, edits: list[Edit]) -> Iterator[Case]:
    """A file that was changed in a named way and written again as a forger would."""
    for name, why, edit in edits:
        value = json.loads(text)
        changed = edit(value)
        yield {"name": name, "ok": False, "why": why, "file": canonical(changed) + "\n"}
    yield {"name": "no newline at the end", "ok": False, "why": "framing", "file": text[:-1]}
    yield {"name": "two newlines at the end", "ok": False, "why": "framing", "file": text + "\n"}
    yield {"name": "a space after a colon", "ok": False, "why": "framing", "file": text.replace('":', '": ', 1)}
    yield {"name": "a member twice", "ok": False, "why": "framing", "file": text.replace("{", '{"format":"x",', 1)}


def _with(**members: Any) -> Callable[[Any], Any]:
    return lambda value: value | members


def _within(name: str, **members: Any) -> Callable[[Any], Any]:
    return lambda value: value | {name: value[name] | members}


def _grown(note: str) -> str:
    """A checkpoint whose tree size is one more than what was signed."""
    origin, size, rest = note.split("\n", 2)
    return f"{origin}\n{int(size) + 1}\n{rest}"


_RECEIPT_EDITS: list[Edit] = [
    ("another verdict", "leaf", lambda v: v | {"entry": v["entry"].replace('"allow"', '"deny"')}),
    ("another index", "inclusion", lambda v: v | {"leaf_index": v["leaf_index"] + 1}),
    ("a path with a hash missing", "inclusion", lambda v: v | {"inclusion_path": v["inclusion_path"][:-1]}),
    ("a path with a hash too many", "inclusion", lambda v: v | {"inclusion_path": v["inclusion_path"] * 2}),
    ("a daily root without a root", "structure", _with(root=None)),
    ("an unknown member", "structure", _with(note="x")),
    ("a member missing", "structure", lambda v: {k: v[k] for k in v if k != "disclosures"}),
    ("another format", "structure", _with(format="ledger-receipt/v2")),
    ("an index that is a string", "structure", lambda v: v | {"leaf_index": str(v["leaf_index"])}),
    ("a truth for an index", "structure", _with(leaf_index=True)),
    ("another count of heads", "root", _within("root", heads_count=2)),
    ("another position among the heads", "root", _within("root", heads_index=1)),
    ("another entry index of the root", "root", lambda v: v | {"root": v["root"] | {"entry_index": 0}}),
    (
        "a head that was never signed",
        "signature",
        lambda v: v | {"checkpoint": _grown(v["checkpoint"])},
    ),
    ("the root log's head as the log's", "origin", lambda v: v | {"checkpoint": v["root"]["checkpoint"]}),
    ("another date of the day", "day", _within("daily_root", date="2026-03-03")),
    ("a disclosure that is none", "disclosure", _with(disclosures=["AAAA"])),
]
_DAY_EDITS: list[Edit] = [
    ("another date", "date", _with(date="2026-03-03")),
    ("no day before", "previous", _with(previous_checkpoint=None, consistency_path=[])),
    ("the same head as the day before", "previous", lambda v: v | {"previous_checkpoint": v["checkpoint"]}),
    ("a consistency proof cut short", "consistency", lambda v: v | {"consistency_path": v["consistency_path"][:-1]}),
    ("another index", "inclusion", lambda v: v | {"entry_index": v["entry_index"] + 1}),
    ("the heads of another entry", "inclusion", lambda v: v | {"heads": v["heads"] | {"entry": v["entry"]}}),
    ("an unknown member", "structure", _with(note="x")),
    ("another format", "structure", _with(format="ledger-day/v2")),
]


def _entry_cases(leaves: list[bytes]) -> Iterator[Case]:
    for leaf in leaves:
        value = json.loads(leaf)
        yield {"name": f"{value['type']} {value['id'][-4:]}", "ok": True, "entry": leaf.decode()}
    call = json.loads(next(leaf for leaf in leaves if b"tool_args" in leaf))
    changes: list[Edit] = [
        ("an unknown member of the envelope", "envelope", _with(extra="x")),
        ("no id", "envelope", lambda v: {k: v[k] for k in v if k != "id"}),
        ("an id that is no UUIDv7", "envelope", _with(id="01a2013b-00bf-415c-95f8-fb5db729f327")),
        ("another specversion", "envelope", _with(specversion="1.1")),
        ("a time without milliseconds", "envelope", _with(recordedat="2026-03-01T12:00:00Z")),
        ("null for an absent member", "envelope", _with(time=None)),
        ("a float in an open field", "data", _within("data", call_id=1.5)),
        ("an unknown member of the data", "data", _within("data", surprise="x")),
        ("an unknown verdict", "data", _within("data", verdict="maybe")),
        ("an open value where a field is sealed", "data", _within("data", reason="because")),
        ("a commitment where a field is open", "data", _within("data", agent_id={"$sealed": "A" * 43})),
        ("a commitment of the wrong length", "data", _within("data", reason={"$sealed": "A" * 42})),
        ("an argument that is not sealed", "data", _within("data", tool_args={"amount": 1})),
    ]
    for name, why, edit in changes:
        yield {"name": name, "ok": False, "why": why, "entry": canonical(edit(call))}
    text = canonical(call)
    yield {"name": "a space", "ok": False, "why": "canonical", "entry": text.replace(",", ", ", 1)}
    yield {
        "name": "an escape that is not needed",
        "ok": False,
        "why": "canonical",
        "entry": text.replace("send", "\\u0073end"),
    }
    yield {"name": "members in another order", "ok": False, "why": "canonical", "entry": json.dumps(
        dict(reversed(call.items())), separators=(",", ":"), ensure_ascii=False)}  # fmt: skip


def _disclosure_cases(entry: str, disclosures: list[str]) -> Iterator[Case]:
    for text in disclosures:
        yield {"name": "as disclosed", "ok": True, "entry": entry, "disclosures": [text]}
    yield {"name": "all, in order of their pointers", "ok": True, "entry": entry, "disclosures": disclosures}
    yield {"name": "out of order", "ok": False, "why": "S4", "entry": entry, "disclosures": disclosures[::-1]}
    yield {"name": "one twice", "ok": False, "why": "S4", "entry": entry, "disclosures": disclosures[:1] * 2}
    yield {"name": "padded", "ok": False, "why": "S1", "entry": entry, "disclosures": [disclosures[0] + "="]}
    changed = disclosures[0][:-1] + ("A" if disclosures[0][-1] != "A" else "B")
    yield {"name": "changed in the last place", "ok": False, "why": "S2", "entry": entry, "disclosures": [changed]}


EXAMPLE = re.compile(
    r"<!-- example: (?P<vectors>[a-z]+) / (?P<case>.+?) / (?P<member>\S+) -->\n```\n.*?```\n", re.DOTALL
)


def example(vectors: str, case: str, member: str) -> str:
    """The text that a page of the specification shows for a vector."""
    content = json.loads((VECTORS / f"{vectors}.json").read_text())
    value = next(found for found in content["cases"] if found["ok"] and found["name"].startswith(case))
    for step in member.split(":"):
        value = value[step]
    return value if isinstance(value, str) else "\n".join(value)


def with_examples(page: str) -> str:
    """A page with every example taken from the vectors anew."""

    def fill(found: re.Match[str]) -> str:
        text = example(found["vectors"], found["case"], found["member"]).rstrip("\n")
        return f"<!-- example: {found['vectors']} / {found['case']} / {found['member']} -->\n```\n{text}\n```\n"

    return EXAMPLE.sub(fill, page)


def main(*wanted: str) -> None:
    for name, content in asyncio.run(make()).items():
        if wanted and name not in wanted:
            continue
        cases = ",\n    ".join(json.dumps(case, ensure_ascii=False) for case in content["cases"])
        head = ",\n  ".join(f'"{k}": {json.dumps(v, ensure_ascii=False)}' for k, v in content.items() if k != "cases")
        (VECTORS / f"{name}.json").write_text(f'{{\n  {head},\n  "cases": [\n    {cases}\n  ]\n}}\n')
    for page in VECTORS.parent.glob("*.md"):
        page.write_text(with_examples(page.read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])
