# SPDX-License-Identifier: Apache-2.0
"""Clients of a file's service: the owner's, and one with a key of each other role."""

from collections.abc import Iterator

import httpx
import pytest

from tests.running import Service


@pytest.fixture(scope="module")
def owner(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def agent(service: Service) -> Iterator[httpx.Client]:
    with service.client(service.create_key()["key"]) as client:
        yield client


@pytest.fixture(scope="module")
def auditor(service: Service) -> Iterator[httpx.Client]:
    with service.client(service.create_key(role="auditor", env="all")["key"]) as client:
        yield client


@pytest.fixture(scope="module")
def nobody(service: Service) -> Iterator[httpx.Client]:
    with service.client("") as client:
        yield client


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    """The owner's Authorization."""
    return f"Bearer {service.keys['owner_key']}"
