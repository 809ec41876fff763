# SPDX-License-Identifier: Apache-2.0
"""Where a log is read from: folders and servers, none of which is trusted; and the command on both."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ledger_verify import CannotTellError, VerificationError, log_http, trusted_keys
from ledger_verify.log import verify_log
from ledger_verify.log_files import Folder, open_source
from ledger_verify.log_http import HttpLog

from .conftest import Run
from .log_places import SIGNER, any_entries, any_log, write_log
from .textbook import tiled_log

KEYS = trusted_keys([SIGNER.vkey])
FILES = any_log(600)
KEY = ["--key", SIGNER.vkey]

Answer = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """Serves files, or what `answers` says instead; `headers` keeps those of the last request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.lstrip("/").split("log/", 1)[-1]
        self.server.asked.append((self.path, dict(self.headers)))
        default = (200, {}, FILES[path]) if path in FILES else (404, {}, b"not here")
        code, headers, body = self.server.answers.get(path, default)
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("suffix", ["/log", "/log/"])
def test_log_of_a_server(server: Server, suffix: str) -> None:
    log = verify_log(open_source(server.url + suffix), KEYS)
    assert log.checkpoint.tree_size == 600
    assert {path for path, _ in server.asked} == {f"/log/{path}" for path in FILES}
    assert {headers["Accept-Encoding"] for _, headers in server.asked} == {"gzip, identity"}
    assert not {name for _, headers in server.asked for name in headers} & {"Cookie", "Authorization", "Referer"}


def test_bundles_may_be_packed(server: Server) -> None:
    for path, content in FILES.items():
        server.answers[path] = (200, {"Content-Encoding": "gzip"}, gzip.compress(content))
    assert verify_log(HttpLog(server.url), KEYS).checkpoint.tree_size == 600


def packed(content: bytes) -> Answer:
    return 200, {"Content-Encoding": "gzip"}, gzip.compress(content)


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("checkpoint", (404, {}, b""), "no such log there"),
        ("checkpoint", (401, {}, b""), "read token"),
        ("checkpoint", (500, {}, b""), "answered 500"),
        ("checkpoint", (302, {"Location": "http://localhost:1/checkpoint"}, b""), "redirects to http://localhost:1"),
        ("checkpoint", (302, {"Location": "https://127.0.0.1/checkpoint"}, b""), "redirects to https://127.0.0.1"),
        ("checkpoint", (302, {"Location": "file:///etc/passwd"}, b""), "302"),
        ("checkpoint", (302, {"Location": "/log/checkpoint"}, b""), "302"),
        ("checkpoint", (302, {}, b""), "302"),
        ("tile/0/000", (404, {}, b""), "lacks tile/0/000,"),
        ("tile/0/000", (200, {"Content-Length": "9000"}, FILES["tile/0/000"]), "cut short"),
        ("tile/0/000", (200, {"Content-Encoding": "br"}, b""), "which nobody asked for"),
        ("tile/0/000", (200, {"Content-Encoding": "gzip"}, b"not gzip"), "no whole answer"),
        ("tile/0/000", (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 99)[:-9]), "cut short"),
    ],
)
def test_a_server_that_does_not_answer_well_tells_nothing(server: Server, path: str, answer: Answer, said: str) -> None:
    server.answers[path] = answer
    with pytest.raises(CannotTellError, match=said):
        verify_log(HttpLog(server.url + "/log"), KEYS)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("checkpoint", (200, {}, b"x" * 64_001)),
        ("checkpoint", (200, {}, b"\xff")),
        ("tile/0/000", (200, {}, bytes(8193))),
        ("tile/0/000", packed(bytes(8193))),
        ("tile/0/000", packed(bytes(100_000_000))),
        ("tile/entries/000", packed(bytes(20_000_000))),
        ("tile/0/000", (200, {}, bytes(200_000))),
    ],
)
def test_what_is_too_much_is_refused(server: Server, path: str, answer: Answer) -> None:
    server.answers[path] = answer
    with pytest.raises(VerificationError):
        verify_log(HttpLog(server.url), KEYS)


def test_a_server_that_takes_too_long_tells_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(log_http, "SILENCE_SECONDS", 0.1)
        with pytest.raises(CannotTellError):
            HttpLog(f"http://127.0.0.1:{silent.getsockname()[1]}").read("checkpoint", 100)
    monkeypatch.undo()
    monkeypatch.setattr(log_http, "ANSWER_SECONDS", -1)
    with pytest.raises(CannotTellError, match="did not arrive within"):
        HttpLog(server.url).read("checkpoint", 64_000)


def test_redirection_within_the_server_is_followed(server: Server) -> None:
    server.answers["checkpoint"] = (302, {"Location": "/elsewhere"}, b"")
    server.answers["elsewhere"] = (200, {}, FILES["checkpoint"])
    assert verify_log(HttpLog(server.url), KEYS).checkpoint.tree_size == 600


@pytest.mark.parametrize(
    "url",
    ["ftp://x/", "file:///etc", "http://", "http:///x", "http://u:p@x/", "http://x/?q", "http://x/#f", "http://x:y/",
     "http://[::1", "://x", "http://x/\r\nHost: y", "http://x/a b", "http://é/"],
)  # fmt: skip
def test_url_that_names_no_log(url: str) -> None:
    with pytest.raises(CannotTellError):
        open_source(url).read("checkpoint", 100)


def test_nobody_listens(server: Server) -> None:
    with pytest.raises(CannotTellError, match="cannot reach the server"):
        HttpLog("http://127.0.0.1:1/").read("checkpoint", 100)


def test_environment_names_no_proxy(server: Server, run: Run) -> None:
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    assert run("log", server.url, *KEY, env=proxied).returncode == 0


# ------------------------------------------------------------------------------------------------------------- folders


def test_log_of_a_folder(tmp_path: Path) -> None:
    assert verify_log(Folder(str(write_log(tmp_path, FILES))), KEYS).checkpoint.tree_size == 600


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("replace", [_pipe, Path.mkdir])
def test_what_is_no_file_tells_nothing(tmp_path: Path, replace: Callable[[Path], None]) -> None:
    folder = write_log(tmp_path, FILES)
    (folder / "tile/0/000").unlink()
    replace(folder / "tile/0/000")
    with pytest.raises(CannotTellError):
        verify_log(Folder(str(folder)), KEYS)


# --------------------------------------------------------------------------------------------------------- the command


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    good = write_log(tmp_path / "good", FILES)
    bad = write_log(tmp_path / "bad", {**FILES, "tile/0/001": bytes(8192)})
    other = ["--key", SIGNER.vkey.replace("example.com/log", "x")]
    for code, place, options in (
        (0, good, KEY),
        (0, good, ["--root-key", SIGNER.vkey]),
        (3, good, []),
        (1, bad, KEY),
        (1, bad, []),
        (1, good, [*KEY, "--entries", "ledger"]),
        (2, good, other),
        (2, tmp_path / "none", KEY),
        (2, tmp_path, KEY),
        (2, "http://127.0.0.1:1/", KEY),
        (2, good, [*KEY, "--entries", "other"]),
        (2, good, [*KEY, "--state", tmp_path / "no" / "folder"]),
    ):
        done = run("log", place, *options)
        assert done.returncode == code, (place, options, done)
        assert ("OK " in done.stdout) == (code == 0) and ("FAIL " in done.stdout) == (code == 1)
        assert "Traceback" not in done.stderr


def test_json_says_what_was_checked(run: Run, tmp_path: Path) -> None:
    done = run("log", write_log(tmp_path, FILES), *KEY, "--json")
    answer = json.loads(done.stdout)
    [result] = answer["results"]
    assert (answer["format"], answer["verdict"], answer["tier"]) == ("ledger-verify/v1", "verified", "tamper-detecting")
    assert (result["tree_size"], result["from"], result["entries"]) == (600, 0, "any")
    assert result["checked"] == ["bundles", "tiles", "root"] and result["origin"] == SIGNER.name
    assert done.stderr == ""


def test_state_is_written_after_success_alone(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    place = write_log(tmp_path / "log", any_log(300))
    assert run("log", place, "--state", state).returncode == 3
    assert not state.exists()  # nobody vouched for it
    assert run("log", place, "--state", state, *KEY).returncode == 0
    first = state.read_bytes()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    forked = write_log(tmp_path / "forked", tiled_log(SIGNER, [b"x", *any_entries(600)[1:]]))
    done = run("log", forked, "--state", state, *KEY)
    assert done.returncode == 1 and "pin add" in done.stdout
    assert state.read_bytes() == first
    # What the message says to do next.
    pin, fork = ["--pin", tmp_path / "book"], tmp_path / "fork.json"
    assert run("pin", "add", state, *pin, *KEY).returncode == 0
    assert run("pin", "check", forked, *pin, "--proof-out", fork).returncode == 1
    assert run("equivocation", fork, *KEY).returncode == 0
    grown = write_log(tmp_path / "grown", FILES)
    done = run("log", grown, "--state", state, *KEY, "--json")
    assert json.loads(done.stdout)["results"][0]["from"] == 300
    assert state.read_bytes() != first
    assert run("log", place, "--state", state, *KEY).returncode == 1  # the old copy is stale


@pytest.mark.parametrize("at", [0, 40, 200, 400, -2, -1])
def test_damaged_state_is_not_used(run: Run, tmp_path: Path, at: int) -> None:
    state, place = tmp_path / "state", write_log(tmp_path / "log", any_log(5))
    assert run("log", place, "--state", state, *KEY).returncode == 0
    raw = bytearray(state.read_bytes())
    raw[at] ^= 1
    state.write_bytes(bytes(raw))
    done = run("log", place, "--state", state, *KEY)
    assert done.returncode == 2 and "the state is unusable" in done.stderr


def test_read_token_is_not_shown(server: Server, run: Run) -> None:
    for place in (f"{server.url}/log/t/secret", f"{server.url}/none/t/secret/"):
        for options in (KEY, [*KEY, "--json"]):
            done = run("log", place, *options)
            assert "secret" not in done.stdout + done.stderr and "/t/-" in done.stdout + done.stderr
