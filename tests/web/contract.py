# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document held against a running service: what that answers to requests that fit, and to others.

    python -m tests.web.contract --examples 500 --seed 7

asks every operation so many times with requests that fit, and as often with ones that do not, as owner, auditor, agent
and nobody. `test_contract.py` is the same with few examples and a fixed seed.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from tests.postgres import PostgresServer
from tests.running import CHEAP_LOGINS, Service, event, eventually, run_ledger
from tests.web.asking import API
from tests.web.event_stream import EVENT_STREAM

CALLERS = ("owner", "auditor", "agent", "nobody")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
TIMEOUT_SECONDS = 60
FLAGS = ("--stranger-rate", "0", *CHEAP_LOGINS)
"""Of the service: asked as fast as it can answer, by one address, it would soon refuse."""


PASSWORD = "correct horse battery"


class Operation(NamedTuple):
    method: str
    path: str
    needs_key: bool


class People:
    """Members and agents to be named: each request that needs one gets its own, since it may end it."""

    def __init__(self, owner: httpx.Client) -> None:
        self._owner = owner
        self._numbers = count()
        self._login = {"email": self.email(), "password": PASSWORD}
        self._post("setup", self._login)

    def email(self) -> str:
        return f"member-{next(self._numbers)}@contract.example"

    def invited(self) -> dict[str, Any]:
        return self._post("members", {"email": self.email()})

    def tokens(self) -> dict[str, Any]:
        """Those of a new session of the member who owns the tenant."""
        return self._post("auth/token", self._login)

    def credential(self) -> dict[str, Any]:
        return self._post("agents/payments-agent/credentials", {})

    def bodies(self) -> dict[tuple[str, str], Callable[[], dict[str, Any]]]:
        """By method and path, what a generator never guesses of a body."""
        return {
            ("POST", f"{API}/auth/login"): lambda: self._login,
            ("POST", f"{API}/auth/token"): lambda: self._login,
            ("POST", f"{API}/auth/refresh"): lambda: {"refresh_token": self.tokens()["refresh_token"]},
            ("POST", f"{API}/auth/revoke"): lambda: {"token": self.tokens()["access_token"]},
            ("POST", f"{API}/auth/introspect"): lambda: {"token": self.tokens()["access_token"]},
            ("POST", f"{API}/auth/agent/token"): self._secret,
            ("POST", f"{API}/auth/credentials"): lambda: {"agent_id": "payments-agent", "env": "staging"},
            ("POST", f"{API}/agents/{{agent_id}}/credentials"): lambda: {"label": "in-contract"},
            ("PATCH", f"{API}/auth/me"): lambda: {"organization": "Contract"},
            ("POST", f"{API}/members"): lambda: {"email": self.email(), "role": "dpo", "name": "Ada"},
            ("PATCH", f"{API}/members/{{member_id}}"): lambda: {"role": "auditor"},
            ("POST", f"{API}/invitations/accept"): self._invitation,
        }

    def _secret(self) -> dict[str, Any]:
        made = self.credential()
        return {"agent_id": made["agent_id"], "secret": made["secret"]}

    def _invitation(self) -> dict[str, Any]:
        return {"invitation": self.invited()["invitation"], "password": PASSWORD}

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = self._owner.post(f"{API}/{path}", json=body).raise_for_status().json()
        return made


class Contract:
    """A service with something to find in it, and its document."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._people = People(service.client())
        self._bodies = self._people.bodies()
        self._keys = {
            "owner": service.keys["owner_key"],
            "auditor": service.create_key(role="auditor", env="all")["key"],
            "agent": service.create_key(role="agent")["key"],
        }
        with service.client(self._keys["agent"]) as agent:
            reported = agent.post(f"{API}/events", json={"events": [event("in-contract")]}).raise_for_status()
        with service.client() as owner:
            self._date = owner.post(f"{API}/transparency/roots").raise_for_status().json()["date"]
            owner.post(f"{API}/transparency/verify").raise_for_status()
            self._export_id = self._export(owner)
        [item] = reported.json()["items"]
        self._event_id, self._leaf_index = item["event_id"], item["leaf_index"]
        self._numbers = count()
        schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
        schema.config.output.truncation.enabled = False
        # An operation keeps what requests are made from, which takes longer to make than some requests.
        every = (found.ok() for found in schema.get_all_operations())
        self._described = {_named(found): found for found in every if not _is_endless(found)}

    @staticmethod
    def _export(owner: httpx.Client) -> str:
        """The id of an export that is ready."""
        answer = owner.post(f"{API}/audit/exports", json={"to": 2})
        if answer.status_code == 429:  # the requests that fit have made as many as are kept
            return "0" * 32
        status = answer.raise_for_status().json()
        path = f"{API}/audit/exports/{status['export_id']}"
        eventually(lambda: owner.get(path).json()["status"] == "ready", "an export")
        return str(status["export_id"])

    def _share(self) -> dict[str, str]:
        """Id and secret of a new link."""
        with self._service.client() as owner:
            made = owner.post(f"{API}/audit/shares", json={}).raise_for_status().json()
        return {"share_id": made["id"], "token": made["token"]}

    @property
    def shared(self) -> bool:
        """Whether the service is on a database server."""
        return self._service.settings.shared

    def operations(self) -> list[Operation]:
        return list(self._described)

    def ask(self, caller: str, operation: Operation, examples: int, seed_number: int) -> Counter[int]:
        """Ask one operation; how often it answered with which status. Raises when an answer breaks the contract."""
        described = self._described[operation]
        statuses: Counter[int] = Counter()

        def check(mode: GenerationMode) -> None:
            cases = described.as_strategy(generation_mode=mode)

            @seed(seed_number)
            # The strategies are those of the library, and so is their health.
            @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(st.data())
            def one(data: st.DataObject) -> None:
                case = data.draw(cases)
                if data.draw(st.booleans()):
                    self._name_something(case)
                accept = data.draw(st.sampled_from(["*/*", "application/json", "text/plain"]))
                headers = self._credential(caller, operation) | {"accept": accept}
                answer = case.call(headers=headers, timeout=TIMEOUT_SECONDS)
                statuses[answer.status_code] += 1
                case.validate_response(answer, checks=CHECKS)

            one()

        check(GenerationMode.POSITIVE)
        try:
            check(GenerationMode.NEGATIVE)
        except Unsatisfiable:
            # Nothing can be wrong with a request of which no more is described than a name in its path.
            assert not (described.query or described.body), operation
        return statuses

    def _credential(self, caller: str, operation: Operation) -> dict[str, str]:
        """The header that says who asks. Nobody logs out with a key: the owner does so as a member."""
        if caller == "owner" and operation.path.endswith("/auth/logout"):
            return {"authorization": f"Bearer {self._people.tokens()['access_token']}"}
        return {"authorization": f"Bearer {self._keys[caller]}"} if caller in self._keys else {}

    def _name_something(self, case: Case) -> None:
        """Names that a generator never guesses: of what is there, instead of what is not."""
        known: dict[str, Any] = {"event_id": self._event_id, "date": self._date}
        known |= {"export_id": self._export_id, "name": "export.tar", "provider": "nobody"}
        known |= {"tenant_id": self._service.keys["tenant_id"]}
        if case.method == "DELETE" and "export_id" in case.path_parameters:
            with self._service.client() as owner:
                known["export_id"] = self._export(owner)
        if "key_id" in case.path_parameters:
            known["key_id"] = self._service.create_key()["id"]
        if "member_id" in case.path_parameters:
            known["member_id"] = self._people.invited()["id"]
        if "agent_id" in case.path_parameters:
            made = self._people.credential()
            known |= {"agent_id": made["agent_id"], "credential_id": made["id"]}
        if {"share_id", "token"} & set(case.path_parameters):
            known |= self._share()
        for name in case.path_parameters:
            case.path_parameters[name] = known[name]
        if "event_id" in case.path_parameters and next(self._numbers) % 2:
            # By the call's id it is the same event.
            case.path_parameters["event_id"], case.query = "in-contract", {"agent_id": "payments-agent"}
        if case.path.endswith("/consistency"):
            case.query = {"from": "1", "to": "2"}
        elif case.path.endswith("/inclusion"):
            case.query = {"leaf_index": self._leaf_index}
        elif (case.method, case.path) == ("POST", f"{API}/events"):
            case.body, case.media_type = {"events": [event(f"in-contract-{next(self._numbers)}")]}, "application/json"
        elif (case.method, case.path) == ("PUT", f"{API}/auth/sso/config"):
            wanted = {"provider": "contract", "issuer": "https://id.example.org", "client_id": "ledger"}
            case.body, case.media_type = wanted, "application/json"
        elif (case.method, case.path) == ("POST", f"{API}/auth/sso/config/test"):
            # Nobody listens there: the answer says so.
            case.body, case.media_type = {"issuer": "http://127.0.0.1:1"}, "application/json"
        elif (case.method, case.path) == ("POST", f"{API}/erasures"):
            case.body, case.media_type = {"event_ids": [self._event_id], "grounds": "other"}, "application/json"
        elif (body := self._bodies.get((case.method, case.path))) is not None:
            case.body, case.media_type = body(), "application/json"


def _is_endless(described: APIOperation) -> bool:
    """Whether the answer is a stream, which whoever asks has to end."""
    return EVENT_STREAM in described.definition.raw["responses"].get("200", {}).get("content", {})


def _named(described: APIOperation) -> Operation:
    needs_key = described.definition.raw.get("security") != []
    return Operation(described.method.upper(), described.path, needs_key)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.web.contract", description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="requests of each kind per operation and caller")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="of a service on PostgreSQL")
    options = parser.parse_args()
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        where: list[str] = []
        if options.postgres:
            where = ["--database-url", stack.enter_context(PostgresServer()).create_database("contract")]
        made = run_ledger("init", "--json", *where, data=data)
        service = stack.enter_context(Service(data, json.loads(made.stdout), *where, *FLAGS))
        contract = Contract(service)
        for caller in CALLERS:
            for operation in contract.operations():
                statuses = dict(sorted(contract.ask(caller, operation, options.examples, options.seed).items()))
                print(f"{caller:8}{operation.method:7}{operation.path:42}{statuses}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
