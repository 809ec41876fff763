# SPDX-License-Identifier: Apache-2.0
"""Errors: one form for all of them, whatever failed and whichever door it came by."""

import json

import pytest
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from ledger.log import errors
from ledger.web import errors as web_errors
from ledger.web.problems import PROBLEM_JSON, STATUS, problem, without_token
from tests.web.asking import API, NO_SUCH_EVENT, problem_of

NAMES = vars(errors) | vars(web_errors)
ERRORS = [kind for kind in NAMES.values() if isinstance(kind, type) and issubclass(kind, errors.LedgerError)]


def body_of(error):
    answer = problem(error, instance="/here", request_id="r-1")
    assert answer.content_type == PROBLEM_JSON
    return answer, json.loads(answer.body)


def make(kind):
    more = {errors.InvalidRequestError: [[]], web_errors.OutOfRangeError: [7]}
    return kind("why", *more.get(kind, []))


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind not in (errors.LedgerError, errors.DamagedError)])
def test_each_refusal_has_a_status_of_its_own_row(kind):
    answer, body = body_of(make(kind))
    assert answer.status == STATUS[kind] == body["status"]
    assert (body["type"], body["detail"]) == ("about:blank", "why")
    assert (body["instance"], body["request_id"]) == ("/here", "r-1")
    assert body["code"] == kind.code
    assert body["title"]


def test_subclass_without_a_row_has_its_parent_s_status():
    class Special(errors.ForbiddenError):
        code = "SPECIAL"

    answer, body = body_of(Special("no", policy_name="p"))
    assert (answer.status, body["code"], body["policy_name"]) == (403, "SPECIAL", "p")


def test_places_are_in_the_answer():
    _, body = body_of(errors.InvalidRequestError.at(["body", "events", 3, "call_id"], "too long"))
    assert body["errors"] == [{"loc": ["body", "events", 3, "call_id"], "msg": "too long"}]


def test_headers_say_what_to_do_next():
    assert ("www-authenticate", "Bearer") in body_of(errors.UnauthorizedError("who?"))[0].headers
    answer, body = body_of(errors.UnavailableError("full", retry_after=7))
    assert ("retry-after", "7") in answer.headers
    assert (body["retry_after"], body["code"]) == (7, "LEDGER_UNAVAILABLE")


def test_wait_is_said_in_whole_seconds_and_in_milliseconds_rounded_up():
    answer, body = body_of(errors.RateLimitedError("slower", wait=1_000_000_001))
    assert ("retry-after", "2") in answer.headers
    assert (body["retry_after"], body["retry_after_ms"], body["code"]) == (2, 1001, "RATE_LIMITED")


@pytest.mark.parametrize("error", [ValueError("secret"), AssertionError("secret"), MemoryError("secret")])
def test_error_of_ours_says_nothing_but_the_request_id(error, capsys):
    answer, body = body_of(error)
    assert (answer.status, body["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.body.decode()
    assert "r-1" in "".join(capsys.readouterr())


def test_damage_is_an_error_of_the_service():
    answer, body = body_of(errors.DamagedError("tile 0/0 is missing"))
    assert (answer.status, body["code"]) == (500, "INTERNAL")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFoundException(), 404, "NOT_FOUND"),
        (MethodNotAllowedException(headers={"allow": "GET"}), 405, "VALIDATION_ERROR"),
        (HTTPException(status_code=413), 413, "VALIDATION_ERROR"),
        (HTTPException(status_code=429), 429, "RATE_LIMITED"),
        (HTTPException(status_code=502), 502, "INTERNAL"),
        (ValidationException(), 422, "VALIDATION_ERROR"),
        # What Litestar calls a body whose sender went away.
        (InternalServerException("client disconnected prematurely"), 400, "VALIDATION_ERROR"),
    ],
)
def test_errors_of_the_framework_have_the_same_form(error, status, code):
    answer, body = body_of(error)
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    if status == 405:
        assert answer.headers == (("allow", "GET"),)


def test_token_is_cut_out_of_logged_paths():
    assert without_token("/log/0123/t/lk_all_secret/tile/0/000") == "/log/0123/t/-/tile/0/000"
    assert without_token("/log/0123/tile/0/000") == "/log/0123/tile/0/000"
    assert without_token("/api/v1/audit/shared/lsh_secret") == "/api/v1/audit/shared/-"
    assert without_token("/api/v1/audit/shares/an-id") == "/api/v1/audit/shares/an-id"


# ---------------------------------------------------------------------------------------------------------- over HTTP


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", f"{API}/nothing", 404, "NOT_FOUND"),
        ("GET", f"{API}/events/{NO_SUCH_EVENT}", 404, "NOT_FOUND"),
        ("GET", f"{API}/events/{NO_SUCH_EVENT}/more", 404, "NOT_FOUND"),
        ("GET", f"{API}/receipts/{NO_SUCH_EVENT}", 404, "NOT_FOUND"),
        ("GET", f"{API}/receipts/{NO_SUCH_EVENT}/more", 404, "NOT_FOUND"),
        ("GET", f"{API}/events/%00", 400, "VALIDATION_ERROR"),
        ("DELETE", f"{API}/keys/{NO_SUCH_EVENT}", 404, "NOT_FOUND"),
        ("PUT", f"{API}/events", 405, "VALIDATION_ERROR"),
        ("DELETE", f"{API}/receipts/{NO_SUCH_EVENT}", 405, "VALIDATION_ERROR"),
        ("POST", "/health", 405, "VALIDATION_ERROR"),
        ("GET", "/docs/assets/nothing.js", 404, "NOT_FOUND"),
        ("GET", "/docs/assets/..%2fswagger-ui.css", 404, "NOT_FOUND"),
    ],
)
def test_every_refusal_is_a_problem_document(owner, method, path, status, code):
    answer = owner.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM_JSON
    body = answer.json()
    assert (body["status"], body["code"], body["request_id"]) == (status, code, answer.headers["x-request-id"])
    if status == 405:
        assert answer.headers["allow"]


def test_detail_does_not_repeat_endless_input(owner):
    problem = problem_of(owner.get(f"{API}/receipts/{'x' * 3000}"), 404, "NOT_FOUND")
    assert len(problem["detail"]) < 200
    problem = problem_of(owner.get(f"{API}/transparency/roots/{'x' * 3000}"), 404, "NOT_FOUND")
    assert len(problem["detail"]) < 200
    problem = problem_of(owner.delete(f"{API}/keys/{'x' * 3000}"), 404, "NOT_FOUND")
    assert len(problem["detail"]) < 200
