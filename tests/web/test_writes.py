# SPDX-License-Identifier: Apache-2.0
"""What routes that write have in common: bodies, sealed texts, the second look under the lock, and repetitions."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.log.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    MalformedRequestError,
    UnavailableError,
)
from ledger.log.events.tenants import TenantChanged
from ledger.log.working_copy import Draft
from ledger.web.writes import idempotency, read_json, seal_texts, sealed_texts_of, where, write
from tests.tables import dump
from tests.web.asking import API, application, asgi_client

pytestmark = pytest.mark.any_store("what is written is the same on every store")


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    number: int = 0


DECODER = msgspec.json.Decoder(Wanted)


def request(body=b"", **headers):
    """What these functions look at of a request."""

    async def read():
        return body

    return SimpleNamespace(body=read, headers={name.replace("_", "-"): value for name, value in headers.items()})


def read(body):
    return asyncio.run(read_json(request(body), DECODER))


def apart(fresh_ledger, act):
    """The result of `act(service, principal)` with the owner's principal of a service in this process."""
    place, keys = fresh_ledger

    async def run():
        async with application(place) as app:
            return await act(app.service, await app.service.access.token(keys["owner_key"]))

    return asyncio.run(run())


# -------------------------------------------------------------------------------------------------------------- bodies


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**53), 2**53))
def test_body_is_read_as_it_was_written(name, number):
    assert read(msgspec.json.encode({"name": name, "number": number})) == Wanted(name, number)


@pytest.mark.parametrize(
    ("body", "error", "loc"),
    [
        (b"", MalformedRequestError, None),
        (b"{", MalformedRequestError, None),
        (b"\xff", MalformedRequestError, None),
        (b"[]", InvalidRequestError, ["body"]),
        (b"{}", InvalidRequestError, ["body"]),
        (b'{"name":1}', InvalidRequestError, ["body", "name"]),
        (b'{"name":"a","name":"a"}', InvalidRequestError, ["body"]),
        (b'{"name":"a","more":1}', InvalidRequestError, ["body"]),
        (b'{"name":"a","number":1.5}', InvalidRequestError, ["body", "number"]),
        (b'{"name":"\\ud800"}', InvalidRequestError, ["body", "name"]),
    ],
)
def test_wrong_body_is_named_where_it_is_wrong(body, error, loc):
    with pytest.raises(error) as caught:
        read(body)
    assert loc is None or caught.value.details["errors"][0]["loc"] == loc


# -------------------------------------------------------------------------------------------------------- sealed texts


@pytest.mark.parametrize(
    "given_texts",
    [
        {},
        {"name": None, "webhook_url": None},
        {"name": "Größe 😀"},
        {"name": "", "webhook_url": None},
        {"name": "a", "webhook_url": "https://example.org/" + "x" * 2000},
    ],
)
def test_texts_are_sealed_and_found_again(fresh_ledger, given_texts):
    async def act(service, principal):
        ledger, log = service.ledger, principal.log
        texts = await seal_texts(ledger, log, given_texts)
        there = {name: text for name, text in given_texts.items() if text is not None}
        assert (texts.blob is None) == (texts.data_key is None) == (not there)
        event = TenantChanged(
            actor=principal.actor, plan="starter", name=texts.of("name"), webhook_url=texts.of("webhook_url")
        )
        for name in ("name", "webhook_url"):
            assert (texts.of(name) is UNSET) == (name not in there)
        appended = await write(service, principal, "tenant:write", lambda moment: [texts.draft(event)], texts=texts)
        [item] = appended.items
        assert where(item) == {"ledger-event-id": item.event_id, "ledger-leaf-index": str(item.leaf_index)}
        assert sealed_texts_of(ledger, log, item.leaf_index) == there
        assert sealed_texts_of(ledger, log, -1) == {}
        stored = dump(fresh_ledger[0])
        assert not any(len(text) > 5 and text.encode() in stored for text in there.values())

    apart(fresh_ledger, act)


# ------------------------------------------------------------------------------------------------------------- writing


def changed(principal, plan="starter"):
    return [Draft(TenantChanged(actor=principal.actor, plan=plan))]


def test_what_may_not_be_is_not_even_decided(fresh_ledger):
    async def act(service, principal):
        before = principal.log.committed.head.size
        weaker = msgspec.structs.replace(principal, role="readonly", operator=False)

        def decide(moment):
            raise AssertionError("decided for who may not")

        with pytest.raises(ForbiddenError):
            await write(service, weaker, "tenant:write", decide)
        demoted = msgspec.structs.replace(principal, recheck=lambda moment: "readonly", operator=False)
        with pytest.raises(ForbiddenError):
            await write(service, demoted, "tenant:write", decide)
        assert principal.log.committed.head.size == before

    apart(fresh_ledger, act)


def test_refusal_of_a_decision_writes_nothing(fresh_ledger):
    async def act(service, principal):
        before = principal.log.committed.head.size

        def decide(moment):
            raise ConflictError("not now")

        with pytest.raises(ConflictError, match="not now"):
            await write(service, principal, "tenant:write", decide)
        with pytest.raises(ConflictError, match="not now"):
            repeatable = idempotency(request(idempotency_key="k"), principal, TenantChanged, Wanted("a"))
            await write(service, principal, "tenant:write", decide, repeatable=repeatable)
        assert principal.log.committed.head.size == before

    apart(fresh_ledger, act)


def test_repetition_is_the_same_entry_and_another_request_a_conflict(fresh_ledger):
    async def act(service, principal):
        def repeatable(named, wanted, who=principal):
            return idempotency(request(idempotency_key=named), who, TenantChanged, wanted)

        assert idempotency(request(), principal, TenantChanged, Wanted("a")) is None

        async def ask(named, wanted):
            appended = await write(
                service,
                principal,
                "tenant:write",
                lambda moment: changed(principal),
                repeatable=repeatable(named, wanted),
            )
            return appended.items[0]

        before = principal.log.committed.head.size
        first = await ask("k", Wanted("a", 1))
        for again in (Wanted("a", 1), Wanted(name="a", number=1)):
            item = await ask("k", again)
            assert (item.duplicate, item.event_id, item.leaf_index) == (True, first.event_id, before)
        for other in (Wanted("a", 2), Wanted("b", 1)):
            with pytest.raises(ConflictError, match="Idempotency-Key"):
                await ask("k", other)
        assert principal.log.committed.head.size == before + 1
        assert not (await ask("l", Wanted("a", 1))).duplicate
        someone = msgspec.structs.replace(principal, key_id="another")
        assert repeatable("k", Wanted("a"), someone)[0] != repeatable("k", Wanted("a"))[0]

    apart(fresh_ledger, act)


def test_text_sealed_under_a_key_that_is_gone_is_not_written(fresh_ledger):
    """An erasure between sealing and writing takes the key: the caller is told to come again, and seals once more."""
    place, keys = fresh_ledger

    async def run():
        async with application(place) as app, asgi_client(app, keys["owner_key"]) as owner:
            ledger, principal = app.service.ledger, await app.service.access.token(keys["owner_key"])
            log = principal.log
            first, second = [await seal_texts(ledger, log, {"name": "x"}, subject="somebody") for _ in range(2)]

            async def rename(texts):
                draft = texts.draft(TenantChanged(actor=principal.actor, name=texts.of("name")))
                return await write(app.service, principal, "tenant:write", lambda moment: [draft], texts=texts)

            await rename(first)
            erased = await owner.post(f"{API}/erasures", json={"subject": "somebody", "grounds": "other"})
            assert erased.json()["entries"] == 1
            before = log.committed.head.size
            with pytest.raises(UnavailableError):
                await rename(second)
            assert log.committed.head.size == before
            [item] = (await rename(await seal_texts(ledger, log, {"name": "y"}, subject="somebody"))).items
            assert sealed_texts_of(ledger, log, item.leaf_index) == {"name": "y"}

    asyncio.run(run())
