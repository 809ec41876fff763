# SPDX-License-Identifier: Apache-2.0
"""Those who act in a tenant: members in browsers and scripts, and agents with tokens, of a running service."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple, TypeVar

import httpx

from ledger.app import Application
from tests.ledgers import Ledger
from tests.running import Service
from tests.web.asking import API, application, asgi_client

PASSWORD = "correct horse battery"
MEMBER_ROLES = ("owner", "ciso", "dpo", "architect", "auditor", "readonly")
OWN_PAGE = {"x-requested-with": "XMLHttpRequest"}

_numbers = count()
_Result = TypeVar("_Result")


class Person(NamedTuple):
    """A member, and with what he logs in."""

    id: str
    email: str
    role: str
    password: str = PASSWORD

    @property
    def login(self) -> dict[str, str]:
        return {"email": self.email, "password": self.password}


class People:
    """Makes members and agents; the first member at once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.key = service.client()
        self.nobody = service.client("")
        login = {"email": new_email(), "password": PASSWORD}
        made = self.key.post(f"{API}/setup", json=login).raise_for_status().json()
        self.founder = Person(made["id"], made["email"], "owner")

    def member(self, role: str = "readonly", **wanted: Any) -> Person:
        """A new member with a password."""
        body = {"email": new_email(), "password": PASSWORD, "role": role} | wanted
        made = self.key.post(f"{API}/members", json=body)
        assert made.status_code == 201, made.text
        return Person(made.json()["id"], body["email"], role, body["password"])

    def invited(self, role: str = "readonly", **wanted: Any) -> dict[str, Any]:
        """A new invitation, as the answer shows it."""
        made = self.key.post(f"{API}/members", json={"email": new_email(), "role": role} | wanted)
        assert made.status_code == 201, made.text
        invited: dict[str, Any] = made.json()
        return invited

    def log_in(self, person: Person) -> str:
        """The cookie of a new session, as a request sends it."""
        answer = self.nobody.post(f"{API}/auth/login", json=person.login)
        assert answer.status_code == 200, answer.text
        return cookie_of(answer)

    def browser(self, person: Person, page: dict[str, str] | None = None) -> httpx.Client:
        """A client with the cookie of a new session and the header of the service's own page, or other ones."""
        return self.with_cookie(self.log_in(person), page)

    def with_cookie(self, cookie: str, page: dict[str, str] | None = None) -> httpx.Client:
        client = self.service.client("")
        # By hand: a cookie jar keeps what is Secure away from a service without TLS.
        client.headers.update({"cookie": cookie} | (OWN_PAGE if page is None else page))
        return client

    def tokens(self, person: Person) -> dict[str, Any]:
        """Those of a new session."""
        answer = self.nobody.post(f"{API}/auth/token", json=person.login)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def script(self, person: Person) -> httpx.Client:
        """A client with an access token."""
        return self.service.client(self.tokens(person)["access_token"])

    def credential(self, agent_id: str, **wanted: Any) -> dict[str, Any]:
        """A new credential of an agent, with its secret."""
        made = self.key.post(f"{API}/agents/{agent_id}/credentials", json=wanted)
        assert made.status_code == 201, made.text
        credential: dict[str, Any] = made.json()
        return credential

    def agent_token(self, credential: dict[str, Any]) -> str:
        body = {"agent_id": credential["agent_id"], "secret": credential["secret"]}
        answer = self.nobody.post(f"{API}/auth/agent/token", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def agent(self, agent_id: str = "payments-agent", **wanted: Any) -> httpx.Client:
        """A client with the token of a new credential."""
        return self.service.client(self.agent_token(self.credential(agent_id, **wanted)))


def new_email() -> str:
    """An address that nobody else has."""
    return f"member-{next(_numbers)}@people.example"


def cookie_of(answer: httpx.Response) -> str:
    """What a browser sends back of the cookie that an answer sets."""
    return answer.headers["set-cookie"].partition(";")[0]


def is_live(client: httpx.Client) -> bool:
    """Whether what the client presents is taken; it must be taken or refused as none."""
    status = client.get(f"{API}/auth/me").status_code
    assert status in (200, 401)
    return status == 200


def apart(
    ledger: Ledger,
    act: Callable[[Application, httpx.AsyncClient, httpx.AsyncClient], Awaitable[_Result]],
    **settings: Any,
) -> _Result:
    """The result of `act(application, owner, nobody)` with a service in this process, for tests that set its clock or
    look inside.
    """
    place, keys = ledger
    wanted = {"password_memory": 64, "password_passes": 1, "login_attempts": 0} | settings

    async def run() -> _Result:
        async with (
            application(place, **wanted) as app,
            asgi_client(app, keys["owner_key"]) as owner,
            asgi_client(app) as nobody,
        ):
            return await act(app, owner, nobody)

    return asyncio.run(run())
