# SPDX-License-Identifier: Apache-2.0
"""`ledger vault rekey`: all opens under the new master key and nothing under the old one, whenever it is cut short."""

from typing import Any

import pytest

from ledger.commands import vault_command
from ledger.deployment import open_keystore, open_store
from ledger.log.errors import ConfigurationError, DamagedError
from ledger.log.keystore import Keystore
from ledger.log.vault import Vault, create_master_key, next_key_path, read_master_key
from ledger.settings import Settings
from tests.ledgers import Ledger
from tests.running import Service, event, run_ledger

API = "/api/v1"


def rekey(place: Settings) -> Any:
    return run_ledger("vault", "rekey", data=place)


def master_key(place: Settings) -> bytes:
    return read_master_key(place.master_key_file, None, replacing=True)


def sealed_under(place: Settings, key: bytes) -> tuple[int, int]:
    """How many of the vault's secrets and of the data keys this master key opens."""
    vault = Vault(key)
    store, keystore = open_store(place, read_only=True), open_keystore(place, vault, read_only=True)
    opened = [0, 0]
    for secret in store.secrets():
        opened[0] += vault.box(f"box {secret.name}").is_current(secret.box)
    opened[1] = sum(_opens(keystore))
    store.close()
    keystore.close()
    return opened[0], opened[1]


def _opens(keystore: Keystore) -> list[bool]:
    found = []
    for stored in keystore.all():
        try:
            stored.open()
        except DamagedError:
            found.append(False)
        else:
            found.append(True)
    return found


def report(service: Service, call_id: str) -> dict[str, Any]:
    with service.client() as client:
        answer = client.post(f"{API}/events", json={"events": [event(call_id)]}).raise_for_status().json()
        shown = client.get(f"{API}/events/{answer['items'][0]['event_id']}", params={"disclose": "all"})
        found: dict[str, Any] = shown.raise_for_status().json()["data"]["tool_args"]
    return found


def test_all_is_sealed_anew_and_goes_on_as_before(fresh_ledger: Ledger) -> None:
    place, keys = fresh_ledger
    with Service(place, keys) as service:
        shown = report(service, "before")
        with service.client() as owner:
            owner.post(
                f"{API}/setup", json={"email": "a@example.com", "password": "a long password"}
            ).raise_for_status()
            login = {"email": "a@example.com", "password": "a long password"}
            token = owner.post(f"{API}/auth/token", json=login).raise_for_status().json()["access_token"]
    old = master_key(place)
    boxes, data_keys = sealed_under(place, old)
    assert boxes and data_keys
    done = rekey(place)
    assert done.returncode == 0, done.stderr
    new = master_key(place)
    assert new != old and place.master_key_file.stat().st_mode & 0o777 == 0o600
    # One more, which keeps what API keys are found by.
    assert sealed_under(place, new) == (boxes + 1, data_keys) and sealed_under(place, old) == (0, 0)
    assert done.stdout == f"sealed {boxes + 1 + data_keys} secrets under a new master key\n"
    checked = run_ledger("check", "--replay", data=place)
    assert checked.returncode == 0, checked.stdout
    with Service(place, keys) as service:
        assert report(service, "after") == shown
        with service.client() as owner:
            [entry] = owner.get(f"{API}/events", params={"type": "vault.rekeyed"}).json()["items"]
            assert entry["data"]["secrets"] == boxes + 1 and entry["data"]["actor"] == "operator"
            first = owner.get(f"{API}/events", params={"type": "call.reported"}).json()["items"][-1]
            opened = owner.get(f"{API}/events/{first['event_id']}", params={"disclose": "all"}).json()
            assert opened["data"]["tool_args"] == shown
            # All sessions ended, and passwords did not.
            with service.client(token) as before:
                assert before.get(f"{API}/auth/me").status_code == 401
            assert owner.post(f"{API}/auth/token", json=login).status_code == 200
    again = rekey(place)
    assert again.returncode == 0, again.stderr
    assert run_ledger("check", "--replay", data=place).returncode == 0
    kept = sorted(path.name for path in place.master_key_file.parent.glob("master.key*"))
    assert kept == ["master.key", "master.key.before-1", "master.key.before-2"]


@pytest.mark.parametrize("step", ["new key", "one data key", "data keys", "vault"])
def test_cut_short_anywhere_it_is_finished_by_the_next_run(
    fresh_ledger: Ledger, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, keys = fresh_ledger
    with Service(place, keys) as service:
        report(service, "before")
    old = master_key(place)
    boxes, data_keys = sealed_under(place, old)
    cut_short(place, step, monkeypatch)
    refused = run_ledger("check", data=place)
    assert refused.returncode == 1 and "ledger vault rekey" in refused.stderr
    done = rekey(place)
    assert done.returncode == 0, done.stderr
    assert sealed_under(place, master_key(place)) == (boxes + 1, data_keys) and sealed_under(place, old) == (0, 0)
    assert run_ledger("check", "--replay", data=place).returncode == 0
    with Service(place, keys) as service:
        report(service, "after")
        with service.client() as owner:
            assert len(owner.get(f"{API}/events", params={"type": "vault.rekeyed"}).json()["items"]) == 1


class CutShort(Exception):
    """The machine stops here."""


def cut_short(place: Settings, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command up to a step and no further."""

    def stop(*arguments: Any) -> Any:
        raise CutShort

    if step == "new key":
        create_master_key(next_key_path(place.master_key_file))
        return
    if step == "vault":
        monkeypatch.setattr(vault_command, "_put_in_place", stop)
    elif step == "data keys":
        monkeypatch.setattr(vault_command, "_reseal_vault", stop)
    else:
        reseal = Keystore.reseal

        def half(keystore: Keystore) -> int:
            stored = list(keystore.all())[:1]
            monkeypatch.setattr(keystore, "all", lambda: iter(stored))
            reseal(keystore)
            raise CutShort

        monkeypatch.setattr(Keystore, "reseal", half)
    with pytest.raises(CutShort):
        vault_command.rekey.callback.__wrapped__.__wrapped__(place)  # type: ignore[union-attr]
    monkeypatch.undo()


def test_nothing_changes_beside_a_running_service(fresh_ledger: Ledger) -> None:
    place, keys = fresh_ledger
    with Service(place, keys):
        before = master_key(place)
        refused = rekey(place)
        assert refused.returncode == 1, refused.stderr
        assert "stop it first" in refused.stderr or "another process" in refused.stderr
        assert master_key(place) == before and not next_key_path(place.master_key_file).exists()


def test_key_in_the_environment_is_not_replaced(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    text = place.master_key_file.read_text().strip()
    refused = run_ledger("vault", "rekey", data=place, LEDGER_MASTER_KEY=text)
    assert refused.returncode == 1 and "name a file" in refused.stderr


def test_old_key_opens_nothing_any_more(fresh_ledger: Ledger) -> None:
    place, _ = fresh_ledger
    assert rekey(place).returncode == 0
    place.master_key_file.with_name("master.key.before-1").replace(place.master_key_file)
    refused = run_ledger("check", data=place)
    assert refused.returncode == 1
    with pytest.raises(ConfigurationError):
        Vault(master_key(place)).open("kept/secret-names", b"x" * 60)
