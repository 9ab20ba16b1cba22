# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.installation import Installation, installed
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    with server.running() as started:
        yield started


@pytest.fixture(scope="session")
def client(api_server: ApiServer) -> Client:
    return api_server.client()


@pytest.fixture(scope="session")
def definitions() -> list[dict[str, Any]]:
    return server.definitions()


@pytest.fixture
def crds(client: Client, definitions: list[dict[str, Any]]) -> None:
    server.install(client, definitions)


@pytest.fixture
def namespace(client: Client) -> Iterator[str]:
    """A namespace of its own per test."""
    with server.own_namespace(client) as name:
        yield name


@pytest.fixture
def world(api_server: ApiServer, client: Client, crds: None, namespace: str) -> Iterator[Installation]:
    """MIC and NMI as objects of the namespace, with a pod that has an identity. Some files have another world."""
    with installed(api_server, client, namespace) as made:
        yield made


@pytest.fixture
def binding(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "azure_identity_binding")


@pytest.fixture
def token_info(api_server: ApiServer, crds: None) -> Runner:
    return Runner(api_server, "pod_token_info")
