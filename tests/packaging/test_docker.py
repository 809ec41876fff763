# SPDX-License-Identifier: Apache-2.0
"""The container files, without containers: what they must never say, and the commands that they start, started here."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import ledger
from ledger.__main__ import main
from ledger.commands.serve_command import DRAIN_SECONDS
from ledger.settings import Settings
from tests.postgres import Postgres
from tests.running import Service, environment, event, eventually

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker" / "compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LEDGERS = ("one", "two")
SECRET_NAME = re.compile("KEY|PASSWORD|SECRET|TOKEN|URL")


def _instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, each with its arguments on one line."""
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in text.splitlines() if line]


IMAGE = _instructions()


def _of(instruction: str) -> list[str]:
    return [arguments for name, arguments in IMAGE if name == instruction]


def _words(instruction: str) -> list[str]:
    """The command that an instruction has in its JSON form, which no shell stands before."""
    [arguments] = _of(instruction)
    command: list[str] = json.loads(arguments[arguments.index("[") :])
    return command


def _image_environment() -> dict[str, str]:
    return dict(setting.split("=", 1) for arguments in _of("ENV") for setting in arguments.split())


def _seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s", text), text
    return int(text[:-1])


def _copied() -> list[str]:
    """What of the repository is copied into the image."""
    return [word for copy in _of("COPY") if not copy.startswith("--from") for word in copy.split()[:-1]]


def test_every_image_is_pinned() -> None:
    bases = [arguments.split()[0] for arguments in _of("FROM")]
    assert len(bases) == 2 and set(bases) == {"python:3.11-slim-bookworm"}
    assert SERVICES["db"]["image"].startswith("postgres:17")
    for image in (*bases, *(service["image"] for service in SERVICES.values())):
        assert re.fullmatch(r"[a-z-]+:\d+(\.\d+)*(-[a-z]+)*", image), image
    # Both services run the one that is built here, of this version.
    assert {SERVICES[name]["image"] for name in LEDGERS} == {f"decision-ledger:{ledger.__version__}"}
    # No registry is asked for it, neither by the service that builds it nor by the other.
    assert {SERVICES[name].get("pull_policy") for name in LEDGERS} == {"never"}
    [build] = [service["build"] for service in SERVICES.values() if "build" in service]
    assert (COMPOSE_FILE.parent / build["context"] / build["dockerfile"]).resolve() == ROOT / "docker" / "Dockerfile"


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_a_value(name: str) -> None:
    """A secret is a file that the service is given, named by a variable; whoever inspects a container sees the name."""
    service = SERVICES[name]
    mounted = {f"/run/secrets/{secret}" for secret in service["secrets"]}
    files = {key: value for key, value in service["environment"].items() if SECRET_NAME.search(key)}
    assert set(files.values()) == mounted and all(key.endswith("_FILE") for key in files)
    others = set(service["environment"].values()) - mounted | set(map(str, service.get("command", [])))
    assert not any("://" in value or "password" in value for value in others)
    assert not any(map(SECRET_NAME.search, _image_environment()))


def test_secrets_are_files_that_neither_git_nor_an_image_takes() -> None:
    assert set(COMPOSE["secrets"]) == {secret for service in SERVICES.values() for secret in service["secrets"]}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "docker/secrets/" in ignored
    seen = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(line for line in seen if not line.startswith("#")) == "*"
    assert sorted(line[1:] for line in seen if line.startswith("!")) == sorted(_copied())


def test_nobody_runs_as_root() -> None:
    users = [SERVICES["db"]["user"], *(SERVICES[name].get("user", _of("USER")[-1]) for name in LEDGERS)]
    for user in users:
        number, _, group = user.partition(":")
        assert int(number) > 0 and int(group) > 0
    # Whom the image starts is whom the secrets are given to, and who owns what lies on the volumes.
    assert _of("USER") == ["10001:10001"]
    assert any("--uid 10001" in run and "-o 10001 -g 10001 -m 700" in run for run in _of("RUN"))
    assert IMAGE.index(("USER", "10001:10001")) > max(IMAGE.index(("RUN", run)) for run in _of("RUN"))
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
        assert "privileged" not in service


def test_every_service_is_watched_and_comes_back() -> None:
    assert "/ready" in " ".join(_words("HEALTHCHECK"))
    assert SERVICES["db"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    for name in LEDGERS:
        assert "healthcheck" not in SERVICES[name], "the image has one"
        assert SERVICES[name]["depends_on"] == {"db": {"condition": "service_healthy"}}
        # Killed while it finishes what it took, it would have to be asked again by every caller.
        assert _seconds(SERVICES[name]["stop_grace_period"]) > DRAIN_SECONDS
    assert _of("STOPSIGNAL") == ["SIGTERM"]
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}


def test_every_variable_is_one_that_the_command_knows() -> None:
    context = main.make_context("ledger", ["serve"], resilient_parsing=True)
    for name in ("serve", "init"):
        command = main.get_command(context, name)
        assert command is not None
        known = {str(option.envvar) for option in command.params if getattr(option, "envvar", None)}
        for service in LEDGERS:
            used = set(SERVICES[service]["environment"]) | (set(_image_environment()) if name == "serve" else set())
            assert {variable for variable in used if variable.startswith("LEDGER_")} <= known
            assert not {variable for variable in SERVICES[service]["environment"] if variable[:7] != "LEDGER_"}


def test_only_the_host_itself_reaches_the_services() -> None:
    image = _image_environment()
    assert image["LEDGER_HOST"] == "0.0.0.0"
    ports = [port for name in LEDGERS for port in SERVICES[name]["ports"]]
    assert len(set(ports)) == 2
    for port in ports:
        assert re.fullmatch(rf"127\.0\.0\.1:\d+:{image['LEDGER_PORT']}", port)
    assert "ports" not in SERVICES["db"]


def test_what_is_kept_lies_on_volumes_apart() -> None:
    image = _image_environment()
    places = [image["LEDGER_DATA"], image["LEDGER_GUARD"]]
    assert _words("VOLUME") == places
    for name in LEDGERS:
        assert [volume.split(":") for volume in SERVICES[name]["volumes"]] == [
            ["data", places[0]],
            ["guard", places[1]],
        ]
    assert SERVICES["db"]["volumes"] == ["database:/var/lib/postgresql/data"]
    assert set(COMPOSE["volumes"]) == {"data", "guard", "database"}


def test_database_acknowledges_what_is_on_disk() -> None:
    program, *rest = SERVICES["db"]["command"]
    assert program == "postgres" and set(rest[::2]) == {"-c"}
    settings = dict(setting.split("=") for setting in rest[1::2])
    assert settings["synchronous_commit"] == "on" and settings["wal_compression"] == "on"
    assert not {"fsync", "full_page_writes"} & set(settings)


def test_image_installs_what_the_project_is_built_from() -> None:
    assert any(run.endswith("pip install --no-cache-dir ./verify_cli .") for run in _of("RUN"))
    assert all((ROOT / name).exists() for name in _copied())
    # Both are named by pyproject.toml or taken by its build.
    assert {"pyproject.toml", "README.md", "LICENSE", "ledger", "verify_cli"} == set(_copied())


def test_compose_reads_its_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("docker compose is not here")
    result = subprocess.run([docker, "compose", "-f", COMPOSE_FILE, "config", "-q"], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == "", result.stderr


def _first_steps() -> list[str]:
    """The commands that the compose file tells its reader to type."""
    lines = COMPOSE_FILE.read_text().splitlines()
    return [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]


def _make_secrets(folder: Path) -> Path:
    """Type those steps, but those that would need root or an engine; the folder of secrets."""
    (folder / "docker").mkdir()
    steps = [step for step in _first_steps() if not step.startswith(("sudo ", "docker "))]
    subprocess.run(["bash", "-euc", "\n".join(steps)], cwd=folder, check=True, timeout=20)
    return folder / "docker" / "secrets"


def test_first_steps_make_every_secret(tmp_path: Path) -> None:
    folder = _make_secrets(tmp_path)
    assert {path.name for path in folder.iterdir()} == set(COMPOSE["secrets"])
    assert all(path.stat().st_mode & 0o777 == 0o400 for path in folder.iterdir())
    password = (folder / "database_password").read_text()
    assert re.fullmatch("[0-9a-f]{48}", password)
    db = SERVICES["db"]["environment"]
    wanted = f"postgresql://{db['POSTGRES_USER']}:{password}@db:5432/{db['POSTGRES_DB']}\n"
    assert (folder / "database_url").read_text() == wanted
    owners = [step.split()[2:] for step in _first_steps() if step.startswith("sudo chown ")]
    number = _of("USER")[0].partition(":")[0]
    assert [number, "master_key", "database_url"] in owners
    assert [SERVICES["db"]["user"].partition(":")[0], "database_password"] in owners


class Container(Service):
    """A service as its image starts it: entry point, command and variables, with paths and ports of this machine."""

    def __init__(self, name: str, keys: dict[str, str], told: dict[str, str]) -> None:
        self.told = told
        super().__init__(Settings(Path(told["LEDGER_DATA"])), keys, log_name=f"{name}.stderr")

    def start(self) -> None:
        self._log = self.log_path.open("ab")
        begin = self._log.tell()
        self.process = subprocess.Popen([*_words("ENTRYPOINT"), *_words("CMD")], stderr=self._log, env=self.told)
        self.url = self._read_url(begin)

    def is_healthy(self) -> bool:
        """What the engine would find."""
        told = self.told | {"LEDGER_PORT": self.url.rpartition(":")[2]}
        return subprocess.run(_words("HEALTHCHECK"), env=told, capture_output=True, timeout=20).returncode == 0


def _variables(name: str, folder: Path, secrets: Path) -> dict[str, str]:
    image = _image_environment()
    told = image | SERVICES[name]["environment"]
    for variable, value in told.items():
        if value.startswith("/run/secrets/"):
            told[variable] = str(secrets / Path(value).name)
        elif value.startswith("/var/lib/"):
            told[variable] = str(folder / Path(value).name)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # A free port, and nothing that other machines could reach.
    return environment(**told | {"PATH": path, "LEDGER_HOST": "127.0.0.1", "LEDGER_PORT": "0"})


def test_the_same_commands_serve_one_ledger(tmp_path: Path, postgres: Postgres) -> None:
    secrets = _make_secrets(tmp_path)
    (secrets / "database_url").unlink()
    (secrets / "database_url").write_text(f"{postgres.new_database()}\n")
    told = {name: _variables(name, tmp_path, secrets) for name in LEDGERS}
    [once] = [step for step in _first_steps() if " run --rm one " in step]
    init = [*_words("ENTRYPOINT"), *once.partition(" one ")[2].split()]
    made = subprocess.run(init, env=told["one"], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    keys = {"owner_key": re.findall(r"^owner key  (\S+)$", made.stdout, re.MULTILINE)[0]}
    assert not (tmp_path / "ledger" / "master.key").exists(), "the master key is the secret's"
    with Container("one", keys, told["one"]) as one, Container("two", keys, told["two"]) as two:
        for container in (one, two):
            eventually(container.is_healthy, "the health check to pass", 60)
        with one.client() as client:
            answer = client.post("/api/v1/events", json={"events": [event("by one")]}).raise_for_status().json()
        [item] = answer["items"]
        with two.client() as client:
            receipt = client.get(f"/api/v1/receipts/{item['event_id']}").raise_for_status().json()
        assert receipt["leaf_index"] == item["leaf_index"]
        assert (one.terminate(), two.terminate()) == (0, 0)
        assert not one.is_healthy()
        assert keys["owner_key"] not in one.log_path.read_text() + two.log_path.read_text()
