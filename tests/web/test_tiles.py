# SPDX-License-Identifier: Apache-2.0
"""Logs derived again from their tiles alone, as a third party would, and compared with the signed checkpoint."""

import json

import pytest
from ledger_verify.checkpoint import Checkpoint, parse_checkpoint
from ledger_verify.merkle import CompactRange, leaf_hash
from ledger_verify.note import open_note

from ledger.tlog.tiles import TilePath, parse_bundle
from tests.running import Service, event, eventually
from tests.tables import opened
from tests.web.asking import API, problem_of, report

WIDTH = 256
HASH = 32


@pytest.fixture(scope="module")
def log_path(owner):
    """The path of the tenant's log, which has grown past one full tile and a bit."""
    for start in range(0, 600, 200):
        report(owner, *(event(f"tile-{n}") for n in range(start, start + 200)))
    origin = owner.get(f"{API}/transparency/head").json()["origin"]
    return "/log/" + origin.rsplit("/", 1)[1]


def get_checkpoint(client, path, vkey) -> Checkpoint:
    answer = client.get(f"{path}/checkpoint").raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "no-cache"
    open_note(answer.content, [vkey])
    return parse_checkpoint(answer.text)


def widths(size):
    """(number, width) of the tiles over `size` hashes."""
    return [(n, min(WIDTH, size - n * WIDTH)) for n in range(-(-size // WIDTH))]


def get_tile(client, path, level, number, width):
    answer = client.get(f"{path}/{TilePath(level, number, width).format()}").raise_for_status()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "immutable" in answer.headers["cache-control"]
    assert "max-age=31536000" in answer.headers["cache-control"]
    return answer


def derive(client, path, size):
    """Root hash and entries of the first `size` leaves, from tiles only, each tile checked against the level below."""
    entries = [
        entry for n, width in widths(size) for entry in parse_bundle(get_tile(client, path, None, n, width).content)
    ]
    assert len(entries) == size
    hashes = [leaf_hash(entry) for entry in entries]
    tree = CompactRange()
    for value in hashes:
        tree.append(value)
    level = 0
    while hashes:
        for number, width in widths(len(hashes)):
            want = b"".join(hashes[number * WIDTH : number * WIDTH + width])
            assert get_tile(client, path, level, number, width).content == want
        above = []
        for number in range(len(hashes) // WIDTH):
            part = CompactRange()
            for value in hashes[number * WIDTH : (number + 1) * WIDTH]:
                part.append(value)
            above.append(part.root())
        hashes, level = above, level + 1
    return tree.root(), entries


def test_tenant_s_log_is_its_tiles(service, auditor, log_path):
    head = get_checkpoint(auditor, log_path, service.keys["log_vkey"])
    assert head.tree_size > 2 * WIDTH
    root, entries = derive(auditor, log_path, head.tree_size)
    assert root == head.root_hash
    assert [json.loads(entry)["type"] for entry in entries[:2]] == ["log.genesis", "tenant.created"]
    assert {json.loads(entry)["source"] for entry in entries} == {head.origin}


def test_every_earlier_width_of_the_last_tile_can_be_read(auditor, log_path):
    size = parse_checkpoint(auditor.get(f"{log_path}/checkpoint").text).tree_size
    number, width = divmod(size, WIDTH)
    longest = get_tile(auditor, log_path, 0, number, width).content
    for shorter in {1, 2, width // 2, width - 1, width}:
        assert get_tile(auditor, log_path, 0, number, shorter).content == longest[: shorter * HASH]
        bundle = get_tile(auditor, log_path, None, number, shorter).content
        assert len(parse_bundle(bundle)) == shorter
    full = get_tile(auditor, log_path, 0, 0, WIDTH).content
    assert get_tile(auditor, log_path, 0, 0, 17).content == full[: 17 * HASH]


def test_root_log_is_public_and_is_its_tiles(service, nobody, log_path):
    vkey = service.keys["root_vkey"]
    head = eventually(lambda: (h := get_checkpoint(nobody, "/root", vkey)).tree_size > 3 and h)
    root, entries = derive(nobody, "/root", head.tree_size)
    assert root == head.root_hash
    assert [json.loads(entry)["type"] for entry in entries[:2]] == ["log.genesis", "log.created"]
    assert nobody.get("/root/tile/0/000.p/1").headers["cache-control"].startswith("public")


def test_tenant_s_tiles_are_private_to_caches(auditor, log_path):
    assert auditor.get(f"{log_path}/tile/0/000").headers["cache-control"].startswith("private")


@pytest.mark.parametrize(
    "path",
    ["tile/0/003", "tile/0/002.p/255", "tile/0/999", "tile/0/x001/000", "tile/1/000", "tile/1/000.p/3",
     "tile/2/000.p/1", "tile/63/000.p/1", "tile/entries/003", "tile/entries/002.p/255", "tile/0/000.p/0",
     "tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/0", "tile/0/0000",
     "tile/0/x000/000", "tile/00/000", "tile/64/000", "tile/-1/000", "tile/0/000/", "tile/0/-01", "tile/x/000",
     "tile/entries", "tile", "", "checkpoint/", "Checkpoint", "tile/0/000%01", "tile/0/%D9%A0%D9%A0%D9%A0",
     "tile//0/000", "tile/0/%2e%2e/0/000", "tile/0/%30%30%30", "tile/0/x999/x999/x999/x999/x999/999",
     "tile/" + "0/" * 200, "issuer/x", "t/x", "tile/0/000.p/1/2"],
)  # fmt: skip
def test_tile_that_is_not_there_is_not_found(auditor, nobody, log_path, path):
    assert auditor.get(f"{log_path}/{path}").status_code == 404
    assert nobody.get(f"/root/{path}").status_code == 404


def test_a_log_is_for_its_owner_and_auditors(owner, auditor, agent, nobody, log_path):
    for client in (owner, auditor):
        assert client.get(f"{log_path}/tile/0/000").status_code == 200
    problem_of(agent.get(f"{log_path}/tile/0/000"), 403, "FORBIDDEN")
    problem_of(nobody.get(f"{log_path}/tile/0/000"), 401, "UNAUTHORIZED")
    for other in ("/log/0123456789abcdef", "/log/root", f"{log_path}0"):
        problem_of(owner.get(f"{other}/checkpoint"), 404, "NOT_FOUND")


# ---------------------------------------------------------------------------------------------------------- read token


def test_auditor_s_key_in_the_path_reads_everything(service, nobody, log_path):
    token = service.create_key(role="auditor", env="all")["key"]
    path = f"{log_path}/t/{token}"
    head = get_checkpoint(nobody, path, service.keys["log_vkey"])
    assert derive(nobody, path, head.tree_size)[0] == head.root_hash
    problem_of(nobody.get(f"/log/0123456789abcdef/t/{token}/checkpoint"), 404, "NOT_FOUND")
    problem_of(nobody.get(f"{path}/tile/0/999"), 404, "NOT_FOUND")


def test_other_keys_do_not_belong_in_a_path(service, nobody, log_path):
    for token in (service.keys["owner_key"], service.create_key()["key"]):
        problem_of(nobody.get(f"{log_path}/t/{token}/checkpoint"), 403, "FORBIDDEN")
    for token in ("x", "lk_all_" + "A" * 43, "%01", "é"):
        problem_of(nobody.get(f"{log_path}/t/{token}/checkpoint"), 401, "UNAUTHORIZED")


def test_revoked_token_reads_nothing(service, owner, nobody, log_path):
    key = service.create_key(role="auditor", env="all")
    path = f"{log_path}/t/{key['key']}/checkpoint"
    assert nobody.get(path).status_code == 200
    assert owner.delete(f"{API}/keys/{key['id']}").status_code == 204
    problem_of(nobody.get(path), 401, "UNAUTHORIZED")


def test_token_is_never_logged_not_even_when_the_service_fails(fresh_ledger):
    place, keys = fresh_ledger
    with Service(place, keys, "--access-log") as service:
        token = service.create_key(role="auditor", env="all")["key"]
        with service.client() as client:
            report(client, *(event(f"logged-{n}") for n in range(300)))
            path = "/log/" + client.get(f"{API}/transparency/head").json()["origin"].rsplit("/", 1)[1]
        service.terminate()
        # A store that has lost a tile: the one way to an error of the service that a test can take.
        with opened(place) as tables:
            assert tables.change("delete from tiles") == 1
        service.start()
        with service.client("") as client:
            for tile in ("checkpoint", "tile/0/001.p/1", "tile/0/999", "nothing", ""):
                client.get(f"{path}/t/{token}/{tile}")
            client.get(f"{path}/t/{token}")
            client.post(f"{path}/t/{token}/checkpoint")
            problem_of(client.get(f"{path}/t/{token}/tile/0/000"), 500, "INTERNAL")
        service.terminate()
    log = service.log_path.read_text()
    assert log.count('"event": "request"') >= 8
    assert f"{path}/t/-/checkpoint" in log
    assert "request_failed" in log
    assert token not in log
    assert token[-20:] not in log
