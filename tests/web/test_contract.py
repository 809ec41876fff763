# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document is true: no answer that it does not describe, whoever asks, and none that is our error."""

import pytest

from tests.running import Service
from tests.web.asking import API
from tests.web.contract import CALLERS, FLAGS, Contract
from tests.web.wire import complaints

EXAMPLES = 5
SEED = 20260301


@pytest.fixture(scope="module")
def contract(template_ledger, module_room):
    source, keys = template_ledger
    with Service(module_room.copy(source), keys, *FLAGS) as running:
        yield Contract(running)
        assert complaints(running) == []


@pytest.fixture(scope="module", params=CALLERS)
def asked(request, contract):
    """A caller, and how often each operation answered it with which status."""
    caller = request.param
    if caller != "owner" and contract.shared:
        pytest.skip("who may do what is the same on every store, and was asked on another")
    return caller, {place: contract.ask(caller, place, EXAMPLES, SEED) for place in contract.operations()}


def test_every_operation_keeps_its_contract(asked):
    _, statuses = asked
    assert len(statuses) >= 30
    assert all(statuses.values())


def test_caller_gets_what_is_his(asked):
    """The owner gets something out of every operation, but the setup, which was done; without a key nobody does, of
    those that need one.
    """
    caller, statuses = asked
    # A browser goes through these, to a provider and back; tests/tenant/routes/test_sso.py does.
    statuses = {place: counts for place, counts in statuses.items() if "/sso/{provider}" not in place.path}
    succeeded = {place for place, counts in statuses.items() if any(200 <= status < 300 for status in counts)}
    if caller == "owner":
        assert {place.path for place in set(statuses) - succeeded} == {f"{API}/setup"}
    elif caller == "nobody":
        assert succeeded == {place for place in statuses if not place.needs_key}
        assert all(counts[401] for place, counts in statuses.items() if place.needs_key)
    else:
        assert len(succeeded) >= 18
