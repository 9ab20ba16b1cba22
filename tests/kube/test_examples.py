# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of what asks a cluster alone, on a real API server, as ansible-playbook runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    JOB,
    POD,
    SERVICE_ACCOUNT,
    Kind,
)
from ansible_collections.azureops.pod_identity.plugins.modules import (
    access_review_info,
    azure_identity_binding,
    azure_pod_identity_exception,
    imds_answer_info,
    nmi_info,
    pod_token_info,
    workload_identity_service_account,
    workload_identity_webhook_info,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player

NAMESPACES = ("billing", "reports", "platform", "monitoring", "backup")
IDENTITIES = (
    "/subscriptions/7f1f4a5e-6a0f-4d0c-9a0e-2f8f8d1c2b3a/resourceGroups/pod-identity-demo"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
)
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
TENANT_ID = "5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10"
# There is no kubelet that would start a probe, and no MIC that would detach anything.
SOON = {"start_timeout": 2, "timeout": 1}
# What earlier tasks of somebody's playbook would have registered.
REGISTERED = {
    "billing": {"state": {"id": f"{IDENTITIES}/billing", "client_id": CLIENT_ID, "tenant_id": TENANT_ID}},
    "cluster": {"state": {"kubelet_identity": {"resource_id": f"{IDENTITIES}/demo-agentpool"}}},
    "vault_reports_password": "sesame",
}


@pytest.fixture(scope="module")
def namespaces(client: Client) -> Iterator[None]:
    for name in NAMESPACES:
        client.create(server.NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for namespace, name in (("billing", "api"), ("reports", "default")):  # here is no controller that would
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        client.create(SERVICE_ACCOUNT, namespace, body)
    yield
    for name in NAMESPACES:
        client.delete(server.NAMESPACE, None, name)
    server.until(
        "the namespaces are gone",
        lambda: not {each["metadata"]["name"] for each in client.list_all(server.NAMESPACE)}.intersection(NAMESPACES),
        120,
    )


@pytest.fixture
def shared(client: Client, crds: None, namespaces: None) -> Iterator[None]:
    """The AzureIdentity of somebody else that an example binds."""
    spec = {"type": 0, "resourceID": f"{IDENTITIES}/shared", "clientID": CLIENT_ID.replace("2f", "3f")}
    body = {"apiVersion": AZURE_IDENTITY.api_version, "kind": AZURE_IDENTITY.name, "metadata": {"name": "shared"}}
    client.create(AZURE_IDENTITY, "platform", {**body, "spec": spec})
    yield
    client.delete(AZURE_IDENTITY, "platform", "shared")


def played(api_server: ApiServer, folder: Path, tasks: list[dict[str, Any]]) -> int:
    """Runs them; how many changed something."""
    play = {
        "hosts": "localhost",
        "module_defaults": {
            "group/azureops.pod_identity.kubernetes": {"kubeconfig": api_server.kubeconfig()},
            "azureops.pod_identity.imds_answer_info": SOON,
            "azureops.pod_identity.pod_token_info": {**SOON, "allow_detach": True},
        },
        "tasks": tasks,
    }
    status, output = Player(folder).play(play, **REGISTERED)
    assert status == 0, output
    (changed,) = re.findall(r"changed=(\d+)", output)
    return int(changed)


def examples(module: Any, api_server: ApiServer) -> list[dict[str, Any]]:
    text = module.EXAMPLES.replace("/etc/ansible/prod.kubeconfig", api_server.kubeconfig())
    return list(yaml.safe_load(text))


def names(client: Client, kind: Kind) -> set[str]:
    found = (each["metadata"] for each in client.list_all(kind))
    return {
        f"{each['namespace']}/{each['name']}" for each in found if each["namespace"] in (*NAMESPACES, "kube-system")
    }


@pytest.mark.soak(sample=2, group="examples")
def test_bindings(client: Client, api_server: ApiServer, shared: None, tmp_path: Path) -> None:
    *make, take_away = examples(azure_identity_binding, api_server)
    assert played(api_server, tmp_path / "first", make) == len(make)
    assert names(client, AZURE_IDENTITY) == {"billing/billing", "reports/reports", "platform/shared"}
    written = {"billing/billing", "billing/billing-batch", "platform/billing-shared", "reports/reports"}
    assert names(client, AZURE_IDENTITY_BINDING) == written
    assert played(api_server, tmp_path / "second", make) == 0
    # What another example has bound to the identity stays in its way.
    left = {**take_away["azureops.pod_identity.azure_identity_binding"], "allow_in_use": True}
    assert played(api_server, tmp_path / "away", [{"azureops.pod_identity.azure_identity_binding": left}]) == 1
    assert "billing/billing" not in names(client, AZURE_IDENTITY)


@pytest.mark.soak(sample=2, group="examples")
def test_exceptions(client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path) -> None:
    *make, take_away = examples(azure_pod_identity_exception, api_server)
    assert played(api_server, tmp_path / "first", make) == len(make)
    assert names(client, AZURE_POD_IDENTITY_EXCEPTION) == {"kube-system/addon", "monitoring/agents", "backup/backup"}
    assert played(api_server, tmp_path / "second", make) == 0
    assert played(api_server, tmp_path / "away", [take_away]) == 1
    assert names(client, AZURE_POD_IDENTITY_EXCEPTION) == {"monitoring/agents", "backup/backup"}


@pytest.mark.soak(sample=2, group="examples")
def test_service_accounts(client: Client, api_server: ApiServer, namespaces: None, tmp_path: Path) -> None:
    *make, take_away = examples(workload_identity_service_account, api_server)
    assert played(api_server, tmp_path / "first", make) == 2
    assert names(client, SERVICE_ACCOUNT) == {"billing/api", "reports/default", "reports/default-reports"}
    assert played(api_server, tmp_path / "second", make) == 0
    assert played(api_server, tmp_path / "away", [take_away]) == 1
    assert names(client, SERVICE_ACCOUNT) == {"billing/api", "reports/default"}


@pytest.mark.soak(sample=2, group="examples")
def test_review(api_server: ApiServer, namespaces: None, tmp_path: Path) -> None:
    assert played(api_server, tmp_path / "all", examples(access_review_info, api_server)) == 0


@pytest.mark.soak(sample=2, group="examples")
def test_nmi(api_server: ApiServer, tmp_path: Path) -> None:
    """That one serves is found where there are nodes, in the sandbox."""
    look, _assertion = examples(nmi_info, api_server)
    assert played(api_server, tmp_path / "all", [look]) == 0


@pytest.mark.soak(sample=2, group="examples")
def test_webhook_of_workload_id(
    client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path
) -> None:
    """None is there, and the last of the templates is not either."""
    look, assertion, manifest, live = examples(workload_identity_webhook_info, api_server)
    tasks = [
        look,
        refused(assertion, "Assertion failed"),
        manifest,
        refused(live, "does not exist: name one that does"),
    ]
    assert played(api_server, tmp_path / "all", tasks) == 0
    assert client.list_all(POD, "billing") == ()


@pytest.mark.soak(sample=2, group="examples")
def test_token(client: Client, api_server: ApiServer, crds: None, namespaces: None, tmp_path: Path) -> None:
    """A probe that cannot start proves nothing, which the next task says; the pod of the last one does not run."""
    probe, assertion, *others, inside = examples(pod_token_info, api_server)
    tasks = [probe, refused(assertion, "did not start within 2 s"), *others]
    tasks += [refused(inside, "does not run: name one that does")]
    assert played(api_server, tmp_path / "all", tasks) == 0
    assert client.list_all(JOB, "billing") == ()


@pytest.mark.soak(sample=2, group="examples")
def test_answer(client: Client, api_server: ApiServer, tmp_path: Path) -> None:
    probe, assertion = examples(imds_answer_info, api_server)
    assert played(api_server, tmp_path / "all", [probe, refused(assertion, "did not start within 2 s")]) == 0
    assert client.list_all(JOB, "default") == ()


def refused(task: dict[str, Any], reason: str) -> dict[str, Any]:
    """The task, which has to fail for that reason."""
    passed = f"told is not failed or {reason!r} not in told.msg"
    return {**task, "register": "told", "failed_when": passed}
