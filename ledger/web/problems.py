# SPDX-License-Identifier: Apache-2.0
"""Errors as RFC 9457 problem details, made in one place for every door.

What a domain error means in HTTP is the table below; nothing else translates one. An exception that is in no row is
ours: 500, logged with its traceback, and the answer says nothing but the request id.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar.exceptions import HTTPException, InternalServerException, ValidationException

from ledger.log.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    LedgerError,
    MalformedRequestError,
    NotFoundError,
    RateLimitedError,
    RollbackError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from ledger.web.errors import (
    HeadTooLargeError,
    OutOfRangeError,
    TooSlowError,
    UnsupportedEncodingError,
    UrlTooLongError,
)

_log = structlog.get_logger("ledger.web")

STATUS: Mapping[type[LedgerError], int] = {
    MalformedRequestError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    TooSlowError: 408,
    ConflictError: 409,
    TooLargeError: 413,
    UrlTooLongError: 414,
    UnsupportedEncodingError: 415,
    OutOfRangeError: 416,
    InvalidRequestError: 422,
    RateLimitedError: 429,
    HeadTooLargeError: 431,
    UnavailableError: 503,
    ConfigurationError: 503,
    RollbackError: 503,
}
_MISSING = re.compile(r"Missing required (\w+) parameter '([^']+)'")
_TOKEN = re.compile(r"(/t|/audit/shared)/[^/]+")
_HTTP_CODES = {401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "CONFLICT", 429: "RATE_LIMITED"}
PROBLEM_JSON = "application/problem+json"


class Answer(NamedTuple):
    """A response, before any server interface."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def problem(error: BaseException, *, instance: str, request_id: str) -> Answer:
    """The answer to a request that raised."""
    status, code, detail, extra, headers = _describe(error)
    if status == 500:
        _log.error("request_failed", path=without_token(instance), request_id=request_id, exc_info=error)
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
        **extra,
    }
    return Answer(status, msgspec.json.encode(body), PROBLEM_JSON, headers)


def without_token(path: str) -> str:
    """A path as it may be logged: the read token cut out, or that of a link."""
    return _TOKEN.sub(r"\1/-", path)


_Description = tuple[int, str, str, dict[str, Any], tuple[tuple[str, str], ...]]


def _describe(error: BaseException) -> _Description:
    match error:
        case LedgerError():
            status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
            headers: tuple[tuple[str, str], ...] = ()
            if isinstance(error, UnavailableError | RateLimitedError):
                headers = (("retry-after", str(error.retry_after)),)
            elif isinstance(error, OutOfRangeError):
                headers = (("content-range", f"bytes */{error.size}"),)
            elif status == 401:
                headers = (("www-authenticate", "Bearer"),)
            return status, error.code, error.message, error.details, headers
        case ValidationException():
            errors: list[dict[str, Any]] = [
                {
                    # Litestar names the source by a member of an enum.
                    "loc": [getattr(item.get("source"), "value", "query"), str(item.get("key", ""))],
                    "msg": str(item.get("message", "")),
                }
                for item in (error.extra if isinstance(error.extra, list) else [])
                if isinstance(item, dict)
            ]
            if (missing := _MISSING.match(error.detail)) is not None:
                errors.append({"loc": [missing[1], missing[2]], "msg": "is missing"})
            return 422, "VALIDATION_ERROR", "a parameter is wrong", {"errors": errors}, ()
        case InternalServerException(detail="client disconnected prematurely"):
            # So Litestar calls it when the rest of a body does not come. Nobody will see the answer.
            return _describe(MalformedRequestError("the request ended before its body"))
        case HTTPException():
            status = error.status_code
            code = _HTTP_CODES.get(status, "VALIDATION_ERROR" if status < 500 else "INTERNAL")
            return status, code, error.detail, {}, tuple((error.headers or {}).items())
    return 500, "INTERNAL", "an error of the service; its log has the details under this request_id", {}, ()
