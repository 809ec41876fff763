# SPDX-License-Identifier: Apache-2.0
"""A program that is forked instead of started from nothing is the same to whoever meets it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import Forked, run_forked
from tests.running import environment

SECONDS = 60

PROGRAM = """
import atexit, os, sys, threading, __main__
print(__name__, __main__.__spec__.name, sys.argv[1:], os.environ["TOLD"], os.getcwd(), os.read(0, 1))
print("to stderr", file=sys.stderr)
atexit.register(print, "at exit")
thread = threading.Thread(target=print, args=("thread",))
thread.start()
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make a program that ends with the given code; how to start it."""
    monkeypatch.chdir(tmp_path)

    def write(source: str) -> tuple[str, list[str], dict[str, str]]:
        Path("a_program.py").write_text(source)
        return "a_program", ["one", "zw\u00f6lf", "a\udc80b"], environment(TOLD="here")

    return write


@pytest.mark.parametrize(
    "end",
    [
        "pass",
        "sys.exit(3)",
        "sys.exit('a reason')",
        # What ends at once waits for no thread, and flushes nothing.
        "thread.join(); os._exit(4)",
        "thread.join(); os.kill(os.getpid(), 9)",
        "thread.join(); os.abort()",
    ],
)
def test_program_ends_as_it_would(program, end):
    module, arguments, told = program(PROGRAM + end)
    forked = run_forked(module, arguments, told, SECONDS)
    fresh = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, env=told, timeout=SECONDS
    )
    assert (forked.returncode, forked.stdout) == (fresh.returncode, fresh.stdout)
    assert forked.stderr == fresh.stderr


def test_exception_is_told_on_stderr(program):
    forked = run_forked(*program(PROGRAM + "1 / 0"), SECONDS)
    assert forked.returncode == 1 and forked.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_forks_share_nothing(program):
    """Neither open files, nor what one imports, nor what its random numbers begin with."""
    asked = program(
        "import random, os, sys; print(random.random(), 'this' in sys.modules, os.listdir('/proc/self/fd'))"
    )
    one, other = (run_forked(*asked, SECONDS).stdout.split(maxsplit=1) for _ in range(2))
    assert one[0] != other[0]
    # The fourth is the list's own.
    assert one[1] == other[1] == "False ['0', '1', '2', '3']\n"


def test_signal_reaches_the_program():
    with open(os.devnull, "w") as null:
        read_end, write_end = os.pipe()
        process = Forked("http.server", ["0"], environment(PYTHONUNBUFFERED="1"), write_end, null.fileno())
        os.close(write_end)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert process.poll() is None and os.stat(f"/proc/{process.pid}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == process.poll() == process.returncode == -signal.SIGTERM
        # It is over, and so is all that it held; nobody is there to get another signal.
        process.kill()
        while os.read(read_end, 4096):
            pass
        os.close(read_end)


def test_program_that_does_not_end_is_killed():
    with pytest.raises(subprocess.TimeoutExpired):
        run_forked("http.server", ["0"], environment(), 0.2)
