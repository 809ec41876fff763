# SPDX-License-Identifier: Apache-2.0
"""Decisions about keys, and the way from a secret to the key it stands for, on a ledger in this process."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from ledger.log.errors import ConflictError, NotFoundError, UnauthorizedError
from ledger.log.fold import State
from ledger.log.working_copy import Moment
from ledger.tenant import keys
from ledger.tenant.keys import KeyResolver, draft_key, require_live, revoke_key
from ledger.tenant.secrets import Secrets
from ledger.tenant.state import TenantState
from tests.tables import contents, dump
from tests.tenant.test_state import created, fold, revoked
from tests.web.asking import API, Clock, application, asgi_client, problem_of

NOW = 1_772_366_400_000


def state_of(*events):
    return State(len(events) - 1, {TenantState: fold(*events)})


# ----------------------------------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize(
    ("events", "now", "reason"),
    [
        ([], NOW, "revoked"),
        ([created("other")], NOW, "revoked"),
        ([created("k"), revoked("k")], NOW, "revoked"),
        ([created("k", NOW)], NOW, "expired"),
        ([created("k", NOW - 1)], NOW, "expired"),
        ([created("k", NOW), revoked("k")], NOW, "revoked"),
    ],
)
def test_dead_key_is_refused(events, now, reason):
    with pytest.raises(UnauthorizedError, match=reason):
        require_live(state_of(*events), "k", now)


@pytest.mark.parametrize("expires_at", [None, NOW + 1])
def test_live_key_is_given_back(expires_at):
    assert require_live(state_of(created("k", expires_at)), "k", NOW).key_id == "k"


def test_revocation_is_decided_on_the_state_under_the_lock():
    [draft] = revoke_key(Moment(state_of(created("k")), NOW, 1), "k", "operator")
    assert (draft.event.key_id, draft.event.actor, draft.subject) == ("k", "operator", "k")
    with pytest.raises(NotFoundError):
        revoke_key(Moment(state_of(), NOW, 0), "k", "operator")
    with pytest.raises(ConflictError):
        revoke_key(Moment(state_of(created("k"), revoked("k")), NOW, 2), "k", "operator")


# ------------------------------------------------------------------------------------------------------------- secrets


def in_ledger(fresh_ledger, act, **options):
    """The result of `act(application, keys)` on a ledger of its own."""
    place, made = fresh_ledger

    async def live():
        async with application(place, **options) as app:
            result = act(app, made)
            return await result if asyncio.iscoroutine(result) else result

    return asyncio.run(live())


def test_new_secret_is_random_and_in_no_leaf(fresh_ledger):
    def act(app, made):
        ledger = app.service.ledger
        log = ledger.log(1)
        data_key = ledger.data_key(log, None, NOW)
        return [
            draft_key(
                Secrets(None, ledger.vault),
                log,
                data_key,
                NOW,
                role="agent",
                env="staging",
                label="l",
                actor="operator",
            )
            for _ in range(20)
        ]

    drafts = in_ledger(fresh_ledger, act)
    assert len({new.secret for new in drafts}) == len({new.key_id for new in drafts}) == 20
    for new in drafts:
        assert re.fullmatch(r"lk_staging_[A-Za-z0-9_-]{43}", new.secret)
        assert new.secret.startswith(new.prefix)
        assert len(new.prefix) == len("lk_staging_") + 8
        assert new.secret not in repr(new.draft)
        assert new.secret[-20:].encode() not in b"".join(side.box for side in new.draft.side)


def test_secret_is_stored_nowhere(fresh_ledger):
    place, made = fresh_ledger
    secret = made["owner_key"].removeprefix("lk_all_")
    for file in filter(Path.is_file, place.data.rglob("*")):
        assert secret.encode() not in file.read_bytes(), file.name
    assert secret.encode() not in dump(place)
    names = [name for name, _ in contents(place)["vault"]]
    assert any(name.startswith("key/") for name in names)
    assert not any(secret in name for name in names)


@pytest.mark.parametrize("secret", ["", "x", "lk_all_", "lk_all_" + "A" * 43, "\udcff", "é" * 1000, "\x00"])
def test_other_text_stands_for_no_key(fresh_ledger, secret):
    def act(app, made):
        with pytest.raises(UnauthorizedError):
            KeyResolver(app.service.ledger, Secrets(app.service.ledger.store, app.service.ledger.vault)).resolve(secret)
        return KeyResolver(app.service.ledger, Secrets(app.service.ledger.store, app.service.ledger.vault)).resolve(
            made["owner_key"]
        )

    log, key = in_ledger(fresh_ledger, act)
    assert (log.number, key.role, key.env) == (1, "owner", "all")


def test_resolver_remembers_few_secrets_and_resolves_all(fresh_ledger, monkeypatch):
    monkeypatch.setattr(keys, "CACHED_SECRETS", 2)

    async def act(app, made):
        async with asgi_client(app, made["owner_key"]) as owner:
            answers = [await owner.post(f"{API}/keys", json={"env": "all", "label": str(n)}) for n in range(5)]
        secrets = [answer.json()["key"] for answer in answers]
        resolver = KeyResolver(app.service.ledger, Secrets(app.service.ledger.store, app.service.ledger.vault))
        found = [[resolver.resolve(secret)[1].key_id for secret in secrets] for _ in range(2)]
        return found, [answer.json()["id"] for answer in answers], len(resolver._owners)

    found, ids, remembered = in_ledger(fresh_ledger, act)
    assert found == [ids, ids]
    assert remembered <= 2


# -------------------------------------------------------------------------------------------------------------- expiry


def test_key_expires_at_its_millisecond(fresh_ledger):
    clock = Clock(time.time_ns() // 1_000_000 + 1000)

    async def act(app, made):
        async with asgi_client(app, made["owner_key"]) as owner:
            expires_at = clock.now + 60_000
            text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(expires_at // 1000))}.{expires_at % 1000:03d}Z"
            key = (await owner.post(f"{API}/keys", json={"env": "all", "label": "short", "expires_at": text})).json()
            assert key["expires_at"] == text
            statuses = []
            async with asgi_client(app, key["key"]) as client:
                for now in (expires_at - 1, expires_at, expires_at + 86_400_000):
                    clock.now = now
                    answer = await client.get(f"{API}/transparency/head")
                    statuses.append(answer.status_code)
                    valid = await owner.post(f"{API}/keys/validate", json={"key": key["key"]})
                    assert valid.json()["valid"] == (answer.status_code == 200)
            problem_of(answer, 401, "UNAUTHORIZED")
            past = await owner.post(f"{API}/keys", json={"env": "all", "label": "short", "expires_at": text})
            assert problem_of(past, 422)["errors"][0]["loc"] == ["body", "expires_at"]
            return statuses

    assert in_ledger(fresh_ledger, act, clock=clock) == [200, 401, 401]


def test_key_revoked_while_its_events_wait_reports_nothing(fresh_ledger):
    """The credential is asked again under the lock: at the commit it must be live, not only at the door."""
    clock = Clock(time.time_ns() // 1_000_000 + 1000)

    async def act(app, made):
        async with asgi_client(app, made["owner_key"]) as owner:
            key = (await owner.post(f"{API}/keys", json={"env": "all", "label": "x"})).json()
            principal = await app.service.access.token(key["key"])
            before = principal.log.committed.head.size
            assert (await owner.delete(f"{API}/keys/{key['id']}")).status_code == 204

            def decide(moment):
                principal.recheck(moment)
                raise AssertionError("a revoked key got past the second look")

            with pytest.raises(UnauthorizedError):
                await app.service.ledger.sequencer.submit(principal.log, decide)
            return principal.log.committed.head.size - before

    assert in_ledger(fresh_ledger, act, clock=clock) == 1
