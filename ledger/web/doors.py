# SPDX-License-Identifier: Apache-2.0
"""Between Litestar and the handlers that know no framework: requests in, answers out, and what is injected."""

from typing import Any

from litestar import Request, Response
from litestar.di import NamedDependency

from ledger.web.access import Principal
from ledger.web.asked import Asked
from ledger.web.front import Call, read_query
from ledger.web.problems import Answer
from ledger.web.service import Service


def provide_service(request: Request[Any, Any, Any]) -> Service:
    service = request.app.state["service"]
    assert isinstance(service, Service)
    return service


async def provide_principal(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Principal:
    return await service.access.principal(asked_of(request), request.scope["client"])


def asked_of(request: Request[Any, Any, Any]) -> Asked:
    asked = request.scope["state"]["asked"]
    assert isinstance(asked, Asked)
    return asked


async def call_of(service: Service, request: Request[Any, Any, Any], argument: str = "") -> Call:
    """The request of a hot route that came in by Litestar's door."""
    return Call(
        principal=await provide_principal(request, service),
        argument=argument,
        query=read_query(request.scope["query_string"]),
        accept=asked_of(request).accept,
        body=await request.body(),
    )


def answer_response(answer: Answer) -> Response[bytes]:
    # As a header, since Litestar would add a second charset to a media type that has one.
    headers = {"content-type": answer.content_type, **dict(answer.headers)}
    return Response(answer.body, status_code=answer.status, headers=headers)
