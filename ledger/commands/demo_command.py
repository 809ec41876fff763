# SPDX-License-Identifier: Apache-2.0
"""`ledger demo`: the whole story once, with real processes: a service, reports over HTTP, and the verifier on its
own.
"""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import httpx

from ledger.commands.import_command import import_file
from ledger.commands.sample import sample_events
from ledger.commands.terminal import option, refusals
from ledger.log.errors import ConflictError, LedgerError
from ledger.log.export import MANIFEST

EVENTS = 240
READERS = 8


@click.command()
@option("--input", "source", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="events to report")
@option("--out", type=click.Path(path_type=Path), help="new folder for all that is made")
@refusals
def command(source: Path | None, out: Path | None) -> None:
    """Start a ledger, report decisions, fetch receipts, close the day, verify all of it, and see forgeries refused.

    \b
    Examples:
      ledger demo
      ledger demo --input calls.jsonl.gz --out tour
    """
    folder = out or Path(f"ledger-demo-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    if folder.exists():
        raise ConflictError(f"{folder} exists already; choose another --out")
    folder.mkdir(parents=True)
    started = time.monotonic()
    story = Story(folder)
    try:
        story.tell(source)
    finally:
        story.stop_service()
    click.echo(f"\nDone in {time.monotonic() - started:.1f} s.")


class Story:
    """The steps, each of which says what it did or ends the demo with an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.guard = folder / "guard"
        self.receipts = folder / "receipts"
        self._service: subprocess.Popen[str] | None = None
        self._url = ""
        self._keys: dict[str, str] = {}

    def tell(self, source: Path | None) -> None:
        self._init()
        self._start_service()
        key = self._create_key()
        events = source or self._write_sample()
        result = asyncio.run(import_file(events, self._url, key))
        self._say(f"reported {result.accepted} decisions over HTTP ({result.duplicates} duplicates)")
        day = self.folder / "day.json"
        day.write_bytes(self._ledger("root", "close"))
        self._say(f"closed the day {json.loads(day.read_bytes())['date']}")
        count = asyncio.run(self._fetch_receipts())
        if not count:
            raise LedgerError(f"{events} holds no event, so there is nothing to show")
        self._say(f"fetched {count} receipts")
        export = self.folder / "export"
        self._ledger("export", "--out", str(export))
        self._say("exported the whole log")

        receipts = sorted(map(str, self.receipts.iterdir()))
        self._verify("receipt", *receipts)
        self._say(f"verified {len(receipts)} receipts with ledger-verify, a separate program")
        self._verify("export", str(export))
        self._say("verified the export: complete, nothing altered")
        self._verify("root", str(day))
        self._say("verified the daily root")
        self._forge(Path(receipts[len(receipts) // 2]), export)

        self.stop_service()
        self._ledger("check", "--replay")
        self._say("stopped the service and checked the data directory from the bytes up")
        self._summary(receipts[0])

    def stop_service(self) -> None:
        if self._service is not None:
            self._service.send_signal(signal.SIGTERM)
            self._service.wait(timeout=30)
            self._service = None

    def _init(self) -> None:
        self._keys = json.loads(self._ledger("init", "--json"))
        self._say(f"made a ledger in {self.data}")
        click.echo(f"    log vkey   {self._keys['log_vkey']}")
        click.echo(f"    root vkey  {self._keys['root_vkey']}")

    def _start_service(self) -> None:
        command = [sys.executable, "-m", "ledger", "serve", "--port", "0", "--root-interval", "1"]
        self._service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=self._environment())
        assert self._service.stderr is not None
        line = self._service.stderr.readline()
        if " on http" not in line:
            raise LedgerError(f"the service did not start: {line}{self._service.stderr.read()}")
        self._url = line.split(" on ")[1].strip()
        self._say(f"started the service at {self._url}")

    def _create_key(self) -> str:
        answer = httpx.post(
            f"{self._url}/api/v1/keys",
            headers={"authorization": f"Bearer {self._keys['owner_key']}"},
            json={"env": "production", "label": "demo agent", "role": "agent"},
        )
        return str(answer.raise_for_status().json()["key"])

    def _write_sample(self) -> Path:
        path = self.folder / "events.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in sample_events(EVENTS)))
        return path

    async def _fetch_receipts(self) -> int:
        """Fetch the receipt of every reported call, a few at a time."""
        self.receipts.mkdir()
        headers = {"authorization": f"Bearer {self._keys['owner_key']}"}
        async with httpx.AsyncClient(base_url=self._url, headers=headers) as client:
            ids, cursor = list[str](), dict[str, str]()
            while True:
                page = (
                    await client.get("/api/v1/events", params={"type": "call.reported", "limit": "200", **cursor})
                ).raise_for_status()
                ids += [item["event_id"] for item in page.json()["items"]]
                if page.json()["next_cursor"] is None:
                    break
                cursor = {"cursor": page.json()["next_cursor"]}
            waiting = iter(ids)

            async def read() -> None:
                for event_id in waiting:
                    answer = (await client.get(f"/api/v1/receipts/{event_id}")).raise_for_status()
                    (self.receipts / f"{event_id}.json").write_bytes(answer.content)

            await asyncio.gather(*(read() for _ in range(READERS)))
        return len(ids)

    def _forge(self, receipt: Path, export: Path) -> None:
        """Flip one byte in copies of a receipt and of the export, and see both refused."""
        forged = self.folder / "forged-receipt.json"
        forged.write_bytes(flip_byte(receipt.read_bytes(), _tool_name(receipt.read_bytes(), b'tool_name\\":\\"')))
        self._refused("receipt", forged)
        forged_export = self.folder / "forged-export"
        shutil.copytree(export, forged_export)
        entries = forged_export / "entries.jsonl"
        text = entries.read_bytes()
        entries.write_bytes(flip_byte(text, _tool_name(text, b'"tool_name":"')))
        # A forger would also correct the digest in the manifest.
        manifest = forged_export / MANIFEST
        old, new = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (export / "entries.jsonl", entries))
        manifest.write_text(manifest.read_text().replace(old, new))
        self._refused("export", forged_export)

    def _refused(self, kind: str, path: Path) -> None:
        result = self._run_verifier(kind, str(path))
        if result.returncode != 1:
            raise LedgerError(f"ledger-verify took a forged {kind}: exit {result.returncode}\n{result.stdout}")
        reason = (result.stdout + result.stderr).strip().splitlines()[0]
        self._say(f"flipped one byte in {'an export' if kind == 'export' else 'a receipt'}: refused")
        click.echo(f"    {reason[:160]}")

    def _verify(self, *arguments: str) -> None:
        result = self._run_verifier(*arguments)
        if result.returncode != 0:
            raise LedgerError(
                f"ledger-verify {arguments[0]} exits {result.returncode}:\n{result.stdout}{result.stderr}"
            )

    def _run_verifier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.data / "ledger-verify.pyz"), *arguments, *self._trust()]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def _trust(self) -> list[str]:
        return ["--key", self._keys["log_vkey"], "--root-key", self._keys["root_vkey"]]

    def _ledger(self, *arguments: str) -> bytes:
        command = [sys.executable, "-m", "ledger", *arguments]
        result = subprocess.run(command, capture_output=True, check=False, env=self._environment())
        if result.returncode != 0:
            raise LedgerError(f"ledger {arguments[0]} failed: {(result.stderr + result.stdout).decode()}")
        return result.stdout

    def _environment(self) -> dict[str, str]:
        # Only what the commands need: a setting of the caller's environment is not meant for the demo's own ledger.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
        return kept | {"LEDGER_DATA": str(self.data), "LEDGER_GUARD": str(self.guard)}

    @staticmethod
    def _say(text: str) -> None:
        click.echo(f"✓ {text}")

    def _summary(self, receipt: str) -> None:
        verifier = self.data / "ledger-verify.pyz"
        trust = " ".join(f"'{word}'" if "+" in word else word for word in self._trust())
        click.echo(f"\nEverything is in {self.folder}:")
        for name, what in (
            ("data/", "the ledger: database, keystore, master key, verifier"),
            ("guard/", "the rollback guard, which lies elsewhere as a rule"),
            ("receipts/", "a receipt for every decision"),
            ("export/", "the whole log for an auditor"),
            ("day.json", "the daily root"),
            ("forged-receipt.json, forged-export/", "one byte flipped in each"),
        ):
            click.echo(f"    {name:36}{what}")
        click.echo("\nTry it yourself:")
        click.echo(f"    python3 {verifier} receipt {receipt} {trust}")
        click.echo(f"    python3 {verifier} export {self.folder / 'forged-export'} {trust}")
        click.echo(
            f"    ledger serve --data {self.data} --guard {self.guard}      # owner key: {self._keys['owner_key']}"
        )


def _tool_name(text: bytes, mark: bytes) -> int:
    """Where the name of a tool begins: a byte that a forger has reason to change."""
    return text.index(mark) + len(mark)


def flip_byte(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
