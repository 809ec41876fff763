# SPDX-License-Identifier: Apache-2.0
"""A submission to the sequencer: what callers hand over, and the steps that each takes by itself.

    prepare     before the transaction: what to add to which logs, as far as that can be known
    decide      under the lock: against the state as it is, all parts or none
    conclude    after the commit: what the caller gets

A refusal in one of the first two concerns nobody else, and adds nothing anywhere.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from ledger.log.errors import LedgerError
from ledger.log.store import Known
from ledger.log.working_copy import Committed, Decide, Item, Log, Plan, WorkingCopy
from ledger.tlog.note import SigningKey

_log = structlog.get_logger("ledger.sequencer")


class Appended(NamedTuple):
    """Result of a submission: the log as committed with it, and an item for each draft, in order."""

    committed: Committed
    items: list[Item]


Admit = Callable[[WorkingCopy, Plan], None]
"""Raises a LedgerError where what is planned may not be added to a log with what the batch has added so far."""


class Part(NamedTuple):
    """What a submission adds to one log. With `signer`, that key signs the log's head from this transaction on; with
    `admit`, what is new in it is looked at once more, without what is there already.
    """

    log: Log
    decide: Decide
    signer: SigningKey | None = None
    admit: Admit | None = None


_Result = TypeVar("_Result")
_Concluded = TypeVar("_Concluded", covariant=True)


class Work(Protocol[_Concluded]):
    """What a caller wants done, in two steps around the transaction."""

    def prepare(self) -> "Prepared":
        """What to add, decided as far as it can be before the lock. Raises a LedgerError to refuse."""
        ...

    def conclude(self, appended: list[Appended]) -> _Concluded:
        """What the caller gets after the commit, from a result for each part. Raises a LedgerError when that cannot be
        told; the events are written then all the same.
        """
        ...


class Prepared(NamedTuple):
    """Parts for one or several different logs, all or nothing. Each `decide` runs under the lock and raises a
    LedgerError to refuse. `dedup_keys` must name every dedup key of the drafts.
    """

    parts: Sequence[Part]
    dedup_keys: Sequence[bytes] = ()

    def prepare(self) -> "Prepared":
        return self

    def conclude(self, appended: list[Appended]) -> list[Appended]:
        return appended


class Submission(NamedTuple):
    work: Work[Any]
    weight: int
    future: asyncio.Future[Any]


Outcome = list[tuple[WorkingCopy, list[Item]]] | Exception
"""What was added to each of its logs, or why nothing was."""


def decide(submission: Prepared, copies: Mapping[int, WorkingCopy]) -> Outcome:
    """Decide all parts, then add them: a refusal of one leaves nothing of the others."""
    planned = [(copies[part.log.number], part) for part in submission.parts]
    plans = [copy.plan(part.decide) for copy, part in planned]
    for (copy, part), plan in zip(planned, plans, strict=True):
        if part.admit is not None:
            part.admit(copy, plan)
    for (copy, part), plan in zip(planned, plans, strict=True):
        copy.add(plan, part.signer)
    return [(copy, plan.items) for (copy, _), plan in zip(planned, plans, strict=True)]


def refusal_alone(submission: Prepared, now: int, known: Mapping[bytes, Known]) -> Exception | None:
    """Why a submission would be refused by itself, on what is committed."""
    try:
        decide(submission, {part.log.number: WorkingCopy(part.log, now, known) for part in submission.parts})
    except Exception as refusal:
        return refusal
    return None


def reads(outcome: Outcome) -> bool:
    """Whether to conclude means to read: of what was there already, there is nothing in memory."""
    return not isinstance(outcome, Exception) and any(item.duplicate for _, items in outcome for item in items)


def attempt(step: Callable[[], _Result]) -> _Result | Exception:
    """The result of a step of one submission, or the error that it alone fails with."""
    try:
        return step()
    except LedgerError as refusal:
        return refusal
    except Exception as error:
        _log.exception("submission_failed")
        return error


def conclude(work: Work[Any], outcome: Outcome) -> Any:
    if isinstance(outcome, Exception):
        return outcome
    # A log to which the whole batch added nothing (all duplicates) was not written; what is committed stands for it.
    appended = [Appended(copy.result() if copy.rows else copy.log.committed, items) for copy, items in outcome]
    return attempt(lambda: work.conclude(appended))
