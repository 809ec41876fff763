# SPDX-License-Identifier: Apache-2.0
"""Every refusal that an operation may answer, for the OpenAPI document: all of one form, each under its status.

Which ones an operation has follows from what it is: the connection can refuse any request; whoever shows a key can show
a wrong one or be too fast; a name in a path may name nothing; parameters and bodies may be wrong. What does not follow
is named where the routes are put together.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from ledger.web.problems import PROBLEM_JSON

CONNECTION = frozenset({400, 408, 413, 414, 415, 431, 500, 503})
"""What any request may get: before it reaches a route, or because the service cannot do its work."""
CREDENTIAL = frozenset({401, 403, 429})
"""What a request may get that shows a key, or should."""
LOGIN = frozenset({401, 429})
"""What whoever logs in may get, without a credential so far."""

_WHY = {
    400: "The request is not HTTP, its body not JSON, or its URL no text",
    401: "No credential, or none that is live",
    403: "The credential may not do this",
    404: "There is nothing of that name, or not for this credential",
    408: "The request came too slowly",
    409: "This contradicts what is there",
    413: "The body is too long",
    414: "The URL is too long",
    415: "The body is compressed, or framed in a way that is not taken",
    416: "There is no such part of the file",
    422: "Parameters or body are wrong; `errors` says where",
    429: "Too many requests of this key, or of this address without a live one",
    431: "Too many header fields, or too long ones",
    500: "An error of the service; its log has the details under the request id",
    503: "The service cannot take this now; nothing was written",
}
_WHOLE_SECONDS = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds until the same is taken"}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {**_WHOLE_SECONDS, "required": True}},
    503: {"Retry-After": _WHOLE_SECONDS},
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                },
            },
        },
        "retry_after": {"type": "integer", "description": "seconds, as in Retry-After"},
        "retry_after_ms": {"type": "integer", "description": "the same, exact to the millisecond"},
    },
}


def components() -> dict[str, Any]:
    """The responses that operations refer to."""
    return {_name(status): _response(status) for status in _WHY}


def refusals(path: str, operation: dict[str, Any], others: Iterable[int]) -> dict[str, Any]:
    """The refusals of an operation. Its parameters, body, security and own answers must be described already."""
    found = {*CONNECTION, *others}
    if operation.get("security") != []:
        found |= CREDENTIAL
    if operation.get("parameters") or operation.get("requestBody"):
        found.add(422)
    if "{" in path:
        found.add(404)
    responses: dict[str, Any] = {}
    for status in sorted(found):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
        own = operation["responses"].get(str(status), {})
        if "content" in own:
            # An answer that is no refusal under the same status, as of a service that says it is not ready.
            responses[str(status)] = own | {"content": own["content"] | _response(status)["content"]}
    return responses


def _response(status: int) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _WHY[status], "headers": _HEADERS.get(status, {}), "content": content}


def _name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")
