# SPDX-License-Identifier: Apache-2.0
"""The vault: a box opens under its own name and master key, and the master key is read from a private place only."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.errors import ConfigurationError
from ledger.log.vault import Vault, create_master_key, read_master_key

VAULT = Vault(bytes(range(32)))
TEXT = base64.b64encode(bytes(range(32))).decode()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_secret_comes_back_under_its_name(name: str, secret: bytes) -> None:
    box = VAULT.seal(name, secret)
    assert VAULT.open(name, box) == secret
    assert VAULT.seal(name, secret) != box
    assert len(secret) < 4 or secret not in box


def test_box_opens_under_no_other_name_key_or_bytes() -> None:
    box = VAULT.seal("pepper/1", b"secret")
    attempts = [
        (VAULT, "pepper/2", box),
        (VAULT, "", box),
        (Vault(bytes(32)), "pepper/1", box),
        (VAULT, "pepper/1", b""),
    ]
    attempts += [(VAULT, "pepper/1", box[:i] + bytes([box[i] ^ 1]) + box[i + 1 :]) for i in range(len(box))]
    attempts += [(VAULT, "pepper/1", box[:i]) for i in range(len(box))]
    for vault, name, data in attempts:
        with pytest.raises(ConfigurationError, match="does not open"):
            vault.open(name, data)


def test_purposes_have_keys_of_their_own() -> None:
    purposes = ["keystore", "api keys", "box x", "", "x", "xx"]
    assert len({VAULT.derive(purpose) for purpose in purposes} | {bytes(range(32))}) == len(purposes) + 1
    assert VAULT.derive("keystore") == Vault(bytes(range(32))).derive("keystore")
    assert VAULT.derive("keystore") != Vault(bytes(32)).derive("keystore")


def test_created_master_key_is_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    key = create_master_key(path)
    assert read_master_key(path, None) == key and len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="exists already"):
        create_master_key(path)
    assert read_master_key(path, None) == key


def test_half_a_master_key_that_a_full_disk_left_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.with_name("master.key.new").write_bytes(b"AAAA")
    key = create_master_key(path)
    assert read_master_key(path, None) == key
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_environment_comes_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    assert read_master_key(path, TEXT) == bytes(range(32))
    assert read_master_key(tmp_path / "missing", f" {TEXT}\n") == bytes(range(32))


@pytest.mark.parametrize(
    "text", ["", "not base64!", TEXT[:-4], TEXT + "AAAA", base64.b64encode(bytes(31)).decode(), "é"]
)
def test_master_key_of_another_form_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(0o600)
    for environment in (text, None):
        with pytest.raises(ConfigurationError, match="32 bytes in base64") as caught:
            read_master_key(path, environment)
        assert not text or text not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_master_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    create_master_key(path)
    os.chmod(path, mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:o}.*chmod 600"):
        read_master_key(path, None)


def test_missing_master_key_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="restore the file from its backup"):
        read_master_key(tmp_path / "master.key", None)


def test_master_key_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_master_key(tmp_path / "master.key", None)
