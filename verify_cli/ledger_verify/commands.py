# SPDX-License-Identifier: Apache-2.0
"""The commands: what each takes, and the questions that it asks (`command`).

What only one of these commands needs it imports itself: the single file is compiled anew each time that it is run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from ledger_verify import outcomes
from ledger_verify.command import PINNED, Command, Options, Question, add, files, shown_place
from ledger_verify.encodings import parse_decimal
from ledger_verify.errors import CannotTellError, MalformedError, VerificationError
from ledger_verify.files import read_file
from ledger_verify.pin_commands import PIN_COMMANDS
from ledger_verify.receipt import verify_receipt
from ledger_verify.report import Outcome, failure
from ledger_verify.sequence import ANY, DETECT, LEDGER
from ledger_verify.trust import CANNOT_TELL, TrustedKeys


def _receipt(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    def ask(file: str) -> Question:
        return file, lambda: outcomes.receipt_outcome(file, verify_receipt(read_file(file), keys))

    return map(ask, options.files)


def _export(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.export import verify_export

    [path] = options.files
    yield path, lambda: outcomes.export_outcome(path, verify_export(path, keys))


def _root(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.day import verify_day_file

    [file] = options.files
    yield file, lambda: outcomes.day_outcome(file, verify_day_file(read_file(file), keys))


def _claim_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "claims", metavar="CLAIMS", help="a file with claims (spec/claims.md)")
    add(parser, "path", metavar="EXPORT", help="the complete range that they are held against")


def _claim(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.claim_judges import Judges
    from ledger_verify.claim_outcomes import claim_outcomes
    from ledger_verify.claims import MAX_CLAIMS_BYTES, parse_claims
    from ledger_verify.export import verify_export

    def answer() -> list[Outcome]:
        try:
            judges = Judges(parse_claims(read_file(options.claims, MAX_CLAIMS_BYTES, "the claims file")))
        except (VerificationError, CannotTellError) as error:  # of the reader's own file, which is no evidence
            return [failure(options.claims, CANNOT_TELL, f"the claims file is unusable: {error}")]
        export = verify_export(options.path, keys, judges.visit, judges.begin)
        return claim_outcomes(options.path, export, judges.findings(export.end))

    yield options.path, answer


def _state_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "path", metavar="PATH", help="an export of the tenant's log")
    add(parser, "--at", metavar="INDEX", type=_index, required=True, help="after which entry")


def _index(text: str) -> int:
    try:
        return parse_decimal(text, "INDEX")
    except MalformedError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _state(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.state_command import state_outcome

    yield options.path, lambda: state_outcome(options.path, options.at, keys)


def _explain(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.explain import explain

    [file] = options.files
    yield file, lambda: explain(file, keys)


def _proof_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "file", metavar="FILE", help="a .tlog-proof")
    add(parser, "--entry", metavar="FILE", help="the leaf's exact bytes, where the proof has none as its extra data")
    _add_entries(parser, "by default its own words decide")


def _proof(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.proof import verify_proof

    def answer() -> Outcome:
        leaf = None if options.entry is None else read_file(options.entry, what="the entry")
        return outcomes.proof_outcome(options.file, verify_proof(read_file(options.file), keys, leaf, options.entries))

    yield options.file, answer


def _consistency_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "file", metavar="FILE", help="the answer of GET /api/v1/transparency/consistency, as it came")
    what = "checkpoint: a signed note, or any JSON answer of the service that holds it"
    add(parser, "--old", metavar="FILE", required=True, help=f"the older {what}")
    add(parser, "--new", metavar="FILE", required=True, help=f"the newer {what}")


def _consistency(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.consistency import verify_consistency_files

    def answer() -> Outcome:
        old, new = read_file(options.old, what="the older file"), read_file(options.new, what="the newer file")
        consistency = verify_consistency_files(read_file(options.file), old, new, keys)
        return outcomes.consistency_outcome(options.file, consistency)

    yield options.file, answer


def _add_entries(parser: argparse.ArgumentParser, default: str) -> None:
    add(
        parser,
        "--entries",
        choices=(DETECT, LEDGER, ANY),
        default=DETECT,
        help=f"check as an entry of Decision Ledger, or take any bytes; {default}",
    )


def _log_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "place", metavar="URL|DIR", help="where the log's `checkpoint` and `tile/` lie")
    _add_entries(parser, "by default the first entry decides for all")
    add(parser, "--state", metavar="FILE", help="remember a verified run here, and next time read only what is new")


def _log(options: Options, keys: TrustedKeys) -> Iterable[Question]:
    from ledger_verify.log import verify_log
    from ledger_verify.log_files import open_source
    from ledger_verify.log_state import read_state, write_state

    place = shown_place(options.place)

    def answer() -> Outcome:
        state = None if options.state is None else read_state(options.state)
        try:
            log = verify_log(open_source(options.place), keys, options.entries, state, _progress)
        finally:
            _progress(0, 0)
        if options.state is not None and log.signed.tier is not None:
            write_state(options.state, log.state)
        return outcomes.log_outcome(place, log)

    yield place, answer


def _progress(done: int, size: int) -> None:
    """A line on a terminal that is written over, and wiped at the end."""
    if sys.stderr.isatty():
        print(f"\r{done} of {size} entries" if size else "\r\x1b[K", end="", file=sys.stderr, flush=True)


COMMANDS = (
    Command(
        "receipt",
        "check that an entry is in a log",
        """\
  ledger-verify receipt --root-key "$ROOT_VKEY" receipt.json
  ledger-verify receipt --key "$LOG_VKEY" --json receipts/*.json
""",
        files("FILE", many=True),
        _receipt,
        trust=PINNED,
    ),
    Command(
        "export",
        "check a complete range of a log, in a folder or an archive",
        """\
  ledger-verify export --key "$LOG_VKEY" --root-key "$ROOT_VKEY" export-2026-11/
  ledger-verify export --pin ledger.pins export-2026-11.tar
""",
        files("PATH", many=False),
        _export,
        trust=PINNED,
    ),
    Command(
        "claim",
        "hold claims against a complete range: that nothing, everything, or so much of it is of a kind",
        """\
  ledger-verify claim --key "$LOG_VKEY" --root-key "$ROOT_VKEY" claims.json export-2026-11/
""",
        _claim_arguments,
        _claim,
        trust=PINNED,
        things="claims",
    ),
    Command(
        "state",
        "say from the entries alone who could act after one of them: members, keys, credentials, the kill switch",
        """\
  ledger-verify state --key "$LOG_VKEY" --root-key "$ROOT_VKEY" --at 41 export-2026-11/
""",
        _state_arguments,
        _state,
        trust=PINNED,
    ),
    Command(
        "explain",
        "say in words what is checked of any evidence, what that means, and what it leaves open",
        """\
  ledger-verify explain --key "$LOG_VKEY" --root-key "$ROOT_VKEY" receipt.json
  ledger-verify explain --key "$LOG_VKEY" --root-key "$ROOT_VKEY" export-2026-11/
""",
        files("FILE|EXPORT", many=False),
        _explain,
        trust=PINNED,
    ),
    Command(
        "root",
        "check the daily root of the root log",
        """\
  ledger-verify root --root-key "$ROOT_VKEY" 2026-11-22.json
  ledger-verify root --policy trust.policy 2026-11-22.json
""",
        files("FILE", many=False),
        _root,
        trust=PINNED,
    ),
    Command(
        "proof",
        "check a C2SP tlog-proof: that an entry is in a log, ours or another's",
        """\
  ledger-verify proof --key "$LOG_VKEY" event.tlog-proof
  ledger-verify proof --key "$LOG_VKEY" --entry leaf.bin other.tlog-proof
""",
        _proof_arguments,
        _proof,
    ),
    Command(
        "consistency",
        "check that one checkpoint's tree is a prefix of another's",
        """\
  ledger-verify consistency --key "$LOG_VKEY" --old march.json --new today.json answer.json
""",
        _consistency_arguments,
        _consistency,
    ),
    Command(
        "log",
        "derive a whole tlog-tiles log again: every entry, tile, root and signature",
        """\
  ledger-verify log --root-key "$ROOT_VKEY" https://ledger.example.com/root/
  ledger-verify log --key "$LOG_VKEY" --state log.state https://ledger.example.com/log/5f0c/t/"$TOKEN"/
  ledger-verify log --key "$LOG_VKEY" --entries any mirrored-log/
""",
        _log_arguments,
        _log,
    ),
    *PIN_COMMANDS,
)
