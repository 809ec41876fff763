# SPDX-License-Identifier: Apache-2.0
"""Programs as forks of a process that has already imported what they are going to import.

Of most commands that tests run, and of many a service, the imports are what takes the time: the same modules of the
same libraries, many hundred times. So each process of a test run starts one Python that imports them once, and then
forks whenever a program is to be started. The fork runs what `python -m MODULE` runs, with arguments, an environment, a
working directory and standard streams of its own, up to the interpreter's own end. It is a process like any other, and
can be sent signals, limited and killed like any other.

What a program does when it starts from nothing is seen by the tests of the packages, the tour, the image, the
benchmarks, and all that start `sys.executable`.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

WHAT_PROGRAMS_IMPORT = (
    "ledger.commands.check_command",
    "ledger.commands.demo_command",
    "ledger.commands.import_command",
    "ledger.commands.serve_command",
    "ledger.log.store.postgres_keys",
    "rich.progress",
)
REPOSITORY = Path(__file__).parents[1]
MESSAGE_BYTES = 1 << 20
NUMBER_BYTES = 4

_Asked = tuple[dict[str, Any], list[int]]


class Forked:
    """A program that was started; what tests use of `subprocess.Popen`."""

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int
    ) -> None:
        self.returncode: int | None = None
        self._told, told = socket.socketpair()
        with told:
            asked = {"module": module, "arguments": arguments, "environment": environment, "folder": os.getcwd()}
            files = [0, stdout, stderr, told.fileno()]
            socket.send_fds(_forking(), [json.dumps(asked).encode()], files)
        # Else a signal might meet another process that has got the same number since.
        self.pid, self._process = self._read_process()

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not _ready([self._told.fileno()], timeout):
                raise subprocess.TimeoutExpired("a fork", timeout or 0)
            status = self._told.recv(NUMBER_BYTES, socket.MSG_WAITALL)
            self.returncode = os.waitstatus_to_exitcode(_number(status))
            self._told.close()
            os.close(self._process)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read_process(self) -> tuple[int, int]:
        number, files, _, _ = socket.recv_fds(self._told, NUMBER_BYTES, 1, socket.MSG_WAITALL)
        return _number(number), files[0]


def _number(sent: bytes) -> int:
    assert len(sent) == NUMBER_BYTES, "the process that forks has ended"
    return int.from_bytes(sent)


def run_forked(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; the result has exit code, stdout and stderr."""
    pipes = [os.pipe(), os.pipe()]
    process = Forked(module, arguments, environment, pipes[0][1], pipes[1][1])
    deadline = monotonic() + timeout
    said: dict[int, bytes] = {}
    for read_end, write_end in pipes:
        os.close(write_end)
        said[read_end] = b""
    try:
        waiting = set(said)
        while waiting:
            ready = _ready(waiting, max(0, deadline - monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired([module, *arguments], timeout)
            for read_end in ready:
                data = os.read(read_end, 1 << 16)
                said[read_end] += data
                if not data:
                    waiting.remove(read_end)
        code = process.wait(max(0, deadline - monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        for read_end in said:
            os.close(read_end)
    stdout, stderr = (data.decode() for data in said.values())
    return subprocess.CompletedProcess([module, *arguments], code, stdout, stderr)


def _ready(files: Iterable[int], seconds: float | None) -> list[int]:
    """Which of the files can be read, or have ended; none when the time is over."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return [file for file, _ in poll.poll(None if seconds is None else ceil(seconds * 1000))]


@cache
def _forking() -> socket.socket:
    """The connection to the process that forks, which ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, its):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_BYTES)
    with its:
        number = its.fileno()
        command = [sys.executable, "-m", "tests.forked", str(number)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=REPOSITORY, pass_fds=[number]
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _fork_on_demand(asking: socket.socket) -> _Asked | None:
    """Fork until nobody can ask any more. In a fork, this returns what it is to do."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in _ready([asking.fileno(), *running], None):
            if ready in running:
                pid, told = running.pop(ready)
                _, status = os.waitpid(pid, 0)
                with told, suppress(OSError):
                    told.sendall(status.to_bytes(NUMBER_BYTES))
                os.close(ready)
                continue
            message, files, _, _ = socket.recv_fds(asking, MESSAGE_BYTES, 4)
            if not message:
                return None
            told = socket.socket(fileno=files.pop())
            pid = os.fork()
            if pid == 0:
                for other, (_, its) in running.items():
                    os.close(other)
                    its.close()
                told.close()
                asking.close()
                return json.loads(message), files
            for file in files:
                os.close(file)
            process = os.pidfd_open(pid)
            # Who asked may be gone.
            with suppress(OSError):
                socket.send_fds(told, [pid.to_bytes(NUMBER_BYTES)], [process])
            running[process] = pid, told


def _become(asked: dict[str, Any], files: list[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [asked["module"], *asked["arguments"]]
    sys.path[0] = asked["folder"]
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    for name in WHAT_PROGRAMS_IMPORT:
        import_module(name)
    # A fork is not to go through all that once more whenever it collects garbage, and when it ends.
    gc.collect()
    gc.freeze()
    # Ctrl-C on a terminal is meant for the tests.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (asked := _fork_on_demand(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _become(*asked)


if __name__ == "__main__":
    main()
