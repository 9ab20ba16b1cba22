# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that reports no change lets the real MIC re-assign no pod; it does so after any write of an AzureIdentity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
)
from ansible_collections.azureops.pod_identity.tests.kube import mic as programs
from ansible_collections.azureops.pod_identity.tests.kube.mic import NODES, Mic, World
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

HOME = "team-a"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
OTHER_ID = "b1d9c1c8-1f5a-4a0e-9a74-0a6d5a3a7c21"
NAMES = ("by-hand", "by-helm", "of-others", "ours")


@pytest.fixture
def mic(api_server: ApiServer, crds: None) -> Iterator[Mic]:
    with programs.running(api_server) as running:
        yield running
        client = api_server.client()
        for kind in (AZURE_IDENTITY_BINDING, AZURE_IDENTITY):
            for name in NAMES:
                client.delete(kind, HOME, name)
        running.show(World())


def entry(mic: Mic, name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "selector": name, "resource_id": mic.resource_ids[0], "client_id": CLIENT_ID, **changes}


def foreign(client: Client, wanted: dict[str, Any], manager: str, labels: dict[str, str]) -> None:
    """A pair as somebody else's tool makes it."""
    name = wanted["name"]
    for kind, spec in (
        (AZURE_IDENTITY, {"type": 0, "resourceID": wanted["resource_id"], "clientID": wanted["client_id"]}),
        (AZURE_IDENTITY_BINDING, {"azureIdentity": name, "selector": wanted["selector"]}),
    ):
        metadata = {"name": name, "namespace": HOME, "labels": labels}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
        status, answer = client._request("POST", kind.path(HOME), [("fieldManager", manager)], body)
        assert status == 201, answer


def versions(mic: Mic) -> dict[str, tuple[str, str]]:
    """Of the assignments, by identity; MIC deletes them or writes them where it assigns anew."""
    found = {}
    for one in mic.assigned():
        metadata = one["metadata"]
        found[one["spec"]["azureIdentityRef"]["metadata"]["name"]] = (metadata["uid"], metadata["resourceVersion"])
    return found


def test_only_what_changes_is_assigned_anew(mic: Mic, binding: Runner, client: Client) -> None:
    hand, helm, others, ours = wanted = [entry(mic, name) for name in NAMES]
    foreign(client, hand, "kubectl-create", {})
    foreign(client, helm, "helm", {"app.kubernetes.io/managed-by": "Helm"})
    binding(namespace=HOME, bindings=[others], owner="other-team").ok()
    binding(namespace=HOME, bindings=[ours]).ok()
    pods = {
        (HOME, name): {
            "metadata": {"labels": {"aadpodidbinding": name}},
            "spec": {"nodeName": NODES[0]},
            "status": {"phase": "Running"},
        }
        for name in NAMES
    }
    mic.show(World(pods=pods))
    server.until("all are assigned", lambda: all_assigned(mic))
    before = versions(mic)

    for check in (True, False):
        for options in (
            {"bindings": [ours], "purge_bindings": True},
            {"bindings": wanted[:2] + wanted[3:]},
            {"bindings": [{**ours, "resource_id": ours["resource_id"].upper()}]},
        ):
            assert not binding(check=check, namespace=HOME, **options).ok()["changed"]
    for stranger in (hand, helm, others):
        assert "adopt: true" in binding(namespace=HOME, bindings=[{**stranger, "client_id": OTHER_ID}]).failure()
    mic.show(World(pods=pods))
    assert versions(mic) == before

    assert binding(namespace=HOME, bindings=[{**ours, "client_id": OTHER_ID}]).ok()["reassigned_pods"] == 1
    server.until("MIC assigns anew", lambda: all_assigned(mic) and versions(mic)["ours"] != before["ours"])
    assert {**versions(mic), "ours": None} == {**before, "ours": None}


def all_assigned(mic: Mic) -> bool:
    states = [(one.get("status") or {}).get("status") for one in mic.assigned()]
    return states == ["Assigned"] * len(NAMES)
