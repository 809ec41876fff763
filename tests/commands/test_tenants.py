# SPDX-License-Identifier: Apache-2.0
"""`ledger tenants`: through a running service, and in a directory that nobody serves."""

import json

from tests.commands.outcomes import done, refused
from tests.ledgers import Ledger
from tests.running import Service, run_ledger


def test_tenant_made_beside_a_service_is_served_at_once(service: Service) -> None:
    flags = ("--id", "example", "--name", "red \x1b[31m alert", "--plan", "starter", "--json")
    made = json.loads(done(run_ledger("tenants", "create", *flags, data=service.settings)))
    assert (made["tenant_id"], made["plan"]) == ("example", "starter")
    with service.client(made["owner_key"]) as client:
        assert client.get("/api/v1/tenant").json()["tenant_id"] == "example"
    first, second = done(run_ledger("tenants", "list", data=service.settings)).splitlines()
    assert first.split("  ")[:2] == ["example", "starter"]
    assert first.endswith(r"red \x1b[31m alert")
    assert second.startswith(service.keys["tenant_id"])
    refused(
        run_ledger("tenants", "create", "--id", "example", data=service.settings), "there is a tenant example already"
    )
    assert done(run_ledger("tenants", "list", data=service.settings)).splitlines()[0] == first


def test_tenant_made_without_a_service(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    lines = done(run_ledger("tenants", "create", data=place)).splitlines()
    assert [line.split()[0] for line in lines] == ["tenant", "owner", "log"]
    listed = json.loads(done(run_ledger("tenants", "list", "--json", data=place)))["items"]
    assert len(listed) == 2
    done(run_ledger("check", data=place))
    refused(run_ledger("tenants", "create", "--id", "a b", data=place), "422")
