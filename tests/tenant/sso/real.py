# SPDX-License-Identifier: Apache-2.0
"""A certified OpenID provider as a process, and somebody who logs in there: by its forms, or with a browser."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

HERE = Path(__file__).parent
PACKAGES = ("oidc-provider@9.13.3", "playwright-core@1.65.1")
NODE_MAJOR = 20
ACCOUNTS: dict[str, dict[str, Any]] = {
    "ada": {"email": "ada@example.org", "email_verified": True, "name": "Ada"},
    "bob": {"email": "Bob@Example.org", "email_verified": True, "name": "Bob"},
    "mallory": {"email": "mallory@example.net", "email_verified": True},
    "unverified": {"email": "ada@example.org", "email_verified": False},
    "nameless": {},
}


def node_folder() -> Path:
    """Where the packages from npm are, outside of the repository; installed there once. Skips where that cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node, or no npm, on this machine")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout
    if int(re.findall(r"\d+", version)[0]) < NODE_MAJOR:
        pytest.skip(f"the OpenID provider wants node {NODE_MAJOR}, here is {version.strip()}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "decision-ledger-tests" / "-".join(PACKAGES).replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Tests of two files may want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "node_modules" / ".package-lock.json").exists():
            command = [
                npm,
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                str(folder),
                *PACKAGES,
            ]
            installed = subprocess.run(command, capture_output=True, text=True, timeout=100)
            if installed.returncode != 0:
                pytest.skip(f"npm cannot install the OpenID provider: {installed.stderr[-300:]}")
    return folder


def _script(name: str, argument: dict[str, Any]) -> list[str]:
    """A script that is given as text finds packages in the working directory."""
    return ["node", "--input-type=module", "-e", (HERE / name).read_text(), json.dumps(argument)]


class RealProvider:
    """The provider as a process, with its clients; `issuer` is its address."""

    def __init__(self, folder: Path, clients: list[dict[str, Any]]) -> None:
        command = _script("provider.mjs", {"clients": clients, "accounts": ACCOUNTS})
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().strip()
        assert self.issuer, "the provider ended before it began"

    def log_in(self, url: str, login: str) -> str:
        """Log in by the provider's forms and agree; the address that the browser is sent back to."""
        with httpx.Client(timeout=60) as browser:
            answer = browser.get(url)
            # Pages of the provider, each with one form or a redirect to the next.
            for _ in range(20):
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["location"])
                    if not url.startswith(self.issuer):
                        return url
                    answer = browser.get(url)
                    continue
                [(url, form)] = re.findall(r'<form[^>]* action="([^"]+)"[^>]*>(.*?)</form>', answer.text, re.DOTALL)
                fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
                if 'name="login"' in form:
                    fields |= {"login": login, "password": "any"}
                answer = browser.post(url, data=fields)
        raise AssertionError(f"the provider does not come to an end: {answer.text}")

    def __enter__(self) -> "RealProvider":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)


def browse(folder: Path, profile: Path, start: str, origin: str, login: str = "", consent: bool = True) -> Any:
    """What a browser shows after somebody logged in with it, and its cookies. Skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine")
    told = {"program": program, "profile": str(profile), "start": start, "login": login, "consent": consent}
    command = _script("browse.mjs", told | {"origin": origin})
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
