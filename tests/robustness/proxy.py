# SPDX-License-Identifier: Apache-2.0
"""A faulty network between a service and PostgreSQL: a proxy that knows at which message of a conversation it is.

    with Proxy(server.url("one")) as proxy:
        trap = proxy.set(COMMIT_ANSWERED, cut)
        ...                                     somebody commits by way of proxy.url
        trap.wait()

It reads just enough of the protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html) to name a
message: its letter, and the statement that it carries or answers. A trap is for one message; without one every message
is handed on as it came. `hold` is a network that swallows everything: nobody is told anything, also who connects anew,
until `release` delivers what was swallowed, or loses it.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import NamedTuple
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

PROTOCOL = 3
OTHER_SIDE = {"client": "server", "server": "client"}


class Message(NamedTuple):
    """`letter` is the type; empty for the first message of a client, which has none."""

    letter: bytes
    body: bytes
    raw: bytes


class Point(NamedTuple):
    """A place in a conversation: the next message of `letter` from this side, about a statement with `words` in it."""

    name: str
    sender: str
    letter: bytes
    words: str = ""
    without: str | None = None


_POLL = "select log_number, size, last_governing from heads"

CONNECT = Point("connect", "client", b"")
LOCK = Point("lock", "client", b"Q", "for update")
LOCKED = Point("locked", "server", b"G")
ROWS = Point("rows", "client", b"d")
ROWS_END = Point("end of rows", "client", b"c")
ROWS_TAKEN = Point("rows taken", "server", b"Z", "copy entries")
COMMIT = Point("commit", "client", b"Q", "; commit")
COMMITTED = Point("committed", "server", b"C", "; commit")
LOOK_UP = Point("look-up of repetitions", "client", b"B", "dedup = any")
READ = Point("read", "client", b"B", "from", _POLL)
FOUND = Point("found", "server", b"D", "from", _POLL)
POLL = Point("poll", "client", b"B", _POLL)
POLLED = Point("polled", "server", b"D", _POLL)


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: "Proxy", client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.statement = ""
        """What the conversation is about: the statement that was sent last."""
        self._ends = {"client": client, "server": server}
        self._prepared: dict[bytes, str] = {}
        self._lock = threading.Lock()
        self._running = 2

    def start(self) -> None:
        for sender in self._ends:
            threading.Thread(target=self._pump, args=(sender,), name=f"from-{sender}", daemon=True).start()

    def deliver(self, sender: str, data: bytes) -> None:
        self._ends[OTHER_SIDE[sender]].sendall(data)

    def cut(self) -> None:
        """Both ends are reset, as when a machine in between was restarted."""
        for end in self._ends.values():
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)

    def _pump(self, sender: str) -> None:
        with suppress(OSError, EOFError):
            for message in _messages(self._ends[sender].makefile("rb"), sender):
                self._follow(sender, message)
                self.proxy.carry(self, sender, message)
        # One end is gone. The other one learns of it behind what was sent before.
        with suppress(OSError):
            self._ends[OTHER_SIDE[sender]].shutdown(socket.SHUT_WR)
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self.proxy.forget(self)
                for end in self._ends.values():
                    end.close()

    def _follow(self, sender: str, message: Message) -> None:
        if sender == "server":
            return
        match message.letter:
            case b"Q":
                self.statement = message.body.rstrip(b"\0").decode()
            case b"P":
                name, text, _ = message.body.split(b"\0", 2)
                self._prepared[name] = " ".join(text.decode().split())
            case b"B":
                _, name, _ = message.body.split(b"\0", 2)
                self.statement = self._prepared.get(name, "")


Act = Callable[[Link, str, Message], bool]
"""What happens to a message and its connection; whether it goes on its way then."""


def cut(link: Link, sender: str, message: Message) -> bool:
    """The connection ends, and the message is lost."""
    link.cut()
    return False


def cut_within(link: Link, sender: str, message: Message) -> bool:
    """Half of the message arrives."""
    link.deliver(sender, message.raw[: len(message.raw) // 2])
    link.cut()
    return False


def cut_behind(link: Link, sender: str, message: Message) -> bool:
    """The message is sent on, and then the connection ends: who knows whether it arrived."""
    link.deliver(sender, message.raw)
    link.cut()
    return False


def hold(link: Link, sender: str, message: Message) -> bool:
    """From this message on the network swallows everything."""
    link.proxy.hold()
    return True


def delay(seconds: float) -> Act:
    """The message takes its time."""

    def act(link: Link, sender: str, message: Message) -> bool:
        # Not to wait for something: this is the slow network.
        time.sleep(seconds)
        return True

    return act


@dataclass
class Trap:
    """What is to happen at a point, once. `hit` is set when it has."""

    point: Point
    act: Act
    hit: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 20) -> None:
        assert self.hit.wait(seconds), f"nobody came to the point {self.point.name!r} within {seconds} s"

    def is_for(self, link: Link, sender: str, message: Message) -> bool:
        point = self.point
        if (sender, message.letter) != (point.sender, point.letter) or point.words not in link.statement:
            return False
        return point.without is None or point.without not in link.statement


class Proxy:
    """Listens on a free port of this machine for clients of the server and the database that `target` names."""

    def __init__(self, target: str) -> None:
        given = {name: str(value) for name, value in conninfo_to_dict(target).items()}
        host, port = given.get("host", "127.0.0.1"), given.get("port", "5432")
        self._server: tuple[str, int] | str = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        user, password = (quote(given.get(name, ""), safe="") for name in ("user", "password"))
        self.url = (
            f"postgresql://{user}:{password}@127.0.0.1:{self._listener.getsockname()[1]}/{given['dbname']}"
            "?sslmode=disable&gssencmode=disable"
        )
        self._lock = threading.Lock()
        self._links: set[Link] = set()
        self._traps: list[Trap] = []
        self._passing = threading.Event()
        self._passing.set()
        self._lost: frozenset[Link] = frozenset()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, point: Point, act: Act) -> Trap:
        trap = Trap(point, act)
        with self._lock:
            self._traps.append(trap)
        return trap

    def clear(self) -> None:
        """Take away the traps into which nobody went."""
        with self._lock:
            self._traps.clear()

    def cut_all(self) -> int:
        """Cut every connection there is; how many."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def hold(self) -> None:
        self._passing.clear()

    def release(self, *, lose: bool = False) -> None:
        """Deliver what was held, or, to `lose` it, cut all connections that there were meanwhile."""
        if lose:
            with self._lock:
                self._lost = frozenset(self._links)
            self.cut_all()
        self._passing.set()

    def carry(self, link: Link, sender: str, message: Message) -> None:
        """Hand a message on, unless something is to happen to it. Raises EOFError when the connection is over."""
        with self._lock:
            trap = next((trap for trap in self._traps if trap.is_for(link, sender, message)), None)
            if trap is not None:
                self._traps.remove(trap)
        going = True
        if trap is not None:
            going = trap.act(link, sender, message)
            trap.hit.set()
        self._passing.wait()
        if not going or link in self._lost:
            raise EOFError
        link.deliver(sender, message.raw)

    def forget(self, link: Link) -> None:
        with self._lock:
            self._links.discard(link)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), name="proxy-connect", daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._passing.wait()
        family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
        server = socket.socket(family)
        try:
            server.connect(self._server)
        except OSError:
            # As if nobody listened at all.
            client.close()
            server.close()
            return
        for end in (client, server) if family == socket.AF_INET else (client,):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(self, client, server)
        with self._lock:
            self._links.add(link)
        link.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.release(lose=True)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _messages(stream: BufferedReader, sender: str) -> Iterator[Message]:
    """The messages of one side until it ends. Raises EOFError in the middle of one."""
    if sender == "client":
        length = stream.read(4)
        body = stream.read(int.from_bytes(length) - 4)
        # A request to cancel a query comes on a connection of its own, and is none.
        letter = b"" if int.from_bytes(body[:2]) == PROTOCOL else b"\0"
        yield Message(letter, body, length + body)
    while head := stream.read(5):
        body = stream.read(int.from_bytes(head[1:]) - 4)
        if len(head) < 5:
            raise EOFError
        yield Message(head[:1], body, head + body)
