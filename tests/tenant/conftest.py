# SPDX-License-Identifier: Apache-2.0
"""The owner's client of a file's service, and the people of its tenant."""

from collections.abc import Iterator

import httpx
import pytest

from tests.running import Service
from tests.tenant.people_world import People


@pytest.fixture(scope="module")
def owner(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def people(service: Service) -> People:
    return People(service)


@pytest.fixture(scope="module")
def nobody(service: Service) -> Iterator[httpx.Client]:
    with service.client("") as client:
        yield client
