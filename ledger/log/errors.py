# SPDX-License-Identifier: Apache-2.0
"""Why the ledger refuses, split by what the caller does next.

    LedgerError
    ├── MalformedRequestError      400  send JSON
    ├── UnauthorizedError          401  present a live credential
    ├── ForbiddenError             403  ask somebody who may
    ├── NotFoundError              404  look elsewhere
    ├── ConflictError              409  read what is there, then decide again
    ├── TooLargeError              413  send less at once
    ├── InvalidRequestError        422  correct the named places
    ├── RateLimitedError           429  send the same after `retry_after` seconds, and less often from then on
    ├── UnavailableError           503  try again after `retry_after` seconds; nothing was written
    ├── ConfigurationError              an operator must change something before the service can start
    │   └── RollbackError               put a newer database in place: this one lacks what was published
    └── DamagedError               500  run `ledger check`: stored data that must exist does not

    BehindError                         another process wrote what this one has not caught up with: catch up, ask again
    OutcomeUnknownError                 the store may or may not have committed: stop this log, reload, go on from there

Statuses are named for orientation only; `web/problems.py` owns them.
"""

from typing import Any


class LedgerError(Exception):
    """Base of what the ledger refuses on purpose. `code` is one of the published codes; `details` goes into the
    answer.
    """

    code = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def for_operator(self) -> str:
        """The message as it may be logged; callers are shown no more than `message`."""
        return self.message


class MalformedRequestError(LedgerError):
    code = "VALIDATION_ERROR"


class UnauthorizedError(LedgerError):
    code = "UNAUTHORIZED"


class ForbiddenError(LedgerError):
    code = "FORBIDDEN"


class NotFoundError(LedgerError):
    code = "NOT_FOUND"


class ConflictError(LedgerError):
    code = "CONFLICT"


class TooLargeError(LedgerError):
    code = "VALIDATION_ERROR"


class InvalidRequestError(LedgerError):
    """`errors` names each wrong place: [{"loc": ["body", "events", 3, "call_id"], "msg": "…"}]."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, errors: list[dict[str, Any]]) -> None:
        super().__init__(message, errors=errors)

    @classmethod
    def at(cls, loc: list[str | int], msg: str) -> "InvalidRequestError":
        return cls(msg, [{"loc": loc, "msg": msg}])


class RateLimitedError(LedgerError):
    """The caller, and nobody else, is too fast. `wait` is how long for, in nanoseconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, wait: int = 1_000_000_000) -> None:
        self.retry_after = -(-wait // 1_000_000_000)
        super().__init__(message, retry_after=self.retry_after, retry_after_ms=-(-wait // 1_000_000))
        self.wait = wait


class UnavailableError(LedgerError):
    """`cause` is what somebody else's program said of it, perhaps with addresses and names: for the operator alone."""

    code = "LEDGER_UNAVAILABLE"

    def __init__(self, message: str, retry_after: int = 1, cause: object = "") -> None:
        super().__init__(message, retry_after=retry_after)
        self.retry_after = retry_after
        self.cause = " ".join(str(cause).split())

    @property
    def for_operator(self) -> str:
        return f"{self.message}: {self.cause}" if self.cause else self.message


class ConfigurationError(LedgerError):
    code = "NOT_CONFIGURED"


class RollbackError(ConfigurationError):
    """The database is older than what was released, has another history, or is not the copy that signs."""


class DamagedError(LedgerError):
    code = "INTERNAL"


class OutcomeUnknownError(Exception):
    """The store lost contact, or failed, after it was told to commit."""


class BehindError(Exception):
    """The store has an entry that the tree in memory does not hold yet."""
