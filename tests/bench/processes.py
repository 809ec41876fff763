# SPDX-License-Identifier: Apache-2.0
"""Server processes as a benchmark sees them: started, asked by the kernel's books what they use, stopped."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.running import environment

STOP_SECONDS = 60
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A Python module running as a server. It says ` on http://host:port` on stderr when it listens."""

    def __init__(self, name: str, module: str, *arguments: str, **extra: str) -> None:
        self.name = name
        self.said: list[str] = []
        """Lines of its stderr."""
        self._urls: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE, text=True, env=environment(**extra)
        )
        # Its stderr is read to the end, so that a full pipe never stops it.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        url = self._urls.get()
        if url is None:
            raise RuntimeError(f"{name} ended with {self.process.wait()}: {''.join(self.said)[-2000:]}")
        self.url = url
        self.target = url.removeprefix("http://")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if " on http" in line:
                self._urls.put(line.rsplit(" on ", 1)[1].strip())
        self._urls.put(None)

    @property
    def usage(self) -> "Usage":
        return usage(self.process.pid)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"bench: {self.name} did not end within {STOP_SECONDS} s of SIGTERM: killed", file=sys.stderr)
                self.process.kill()
                self.process.wait()
        self._reader.join(STOP_SECONDS)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True)
class Usage:
    """What the kernel has booked for a process so far, or for several together.

    `written` is what was handed to write calls: to files, and to sockets by those who use write for them. `booked` is
    what the kernel holds to be bound for the disk. It counts whole folios, which on newer kernels are much larger than
    what was written into them, so it can be many times too high.
    """

    cpu_seconds: float = 0
    resident: int = 0
    peak: int = 0
    written: int = 0
    booked: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def usage(process: int | str) -> Usage:
    """Of a process by number, or of "self"."""
    folder = Path("/proc") / str(process)
    status, io = _fields(folder / "status"), _fields(folder / "io")
    times = (folder / "stat").read_text().rpartition(")")[2].split()
    return Usage(
        cpu_seconds=(int(times[11]) + int(times[12])) / _TICKS,
        resident=int(status["VmRSS"].split()[0]) * 1024,
        peak=int(status["VmHWM"].split()[0]) * 1024,
        written=int(io["wchar"]),
        booked=int(io["write_bytes"]),
    )


def family(parent: int) -> list[int]:
    """A process and all that it started, and they in turn."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            owner = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            # It ended while the list was read.
            continue
        children.setdefault(owner, []).append(int(folder.name))
    found = [parent]
    for process in found:
        found += children.get(process, [])
    return found


def total_usage(processes: Sequence[int]) -> Usage:
    """Of several processes; one that ended meanwhile counts nothing."""
    total = Usage()
    for process in processes:
        try:
            total += usage(process)
        except (OSError, KeyError):
            continue
    return total


def _fields(path: Path) -> dict[str, Any]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
