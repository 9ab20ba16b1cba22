# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in the same cluster and on the same scale sets, and how all of that looks, byte for byte."""

from __future__ import annotations

from typing import Any

from applications import account, pod
from operators import GROUP, Operator
from sandboxes import eventually

from azsandbox import programs

_CHANGES_BY_ITSELF = ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "nodes", "componentstatuses")
_OURS = "aadpodidentity.k8s.io"
_WEBHOOK = "azure-workload-identity-system"
_LIKE = f"{_OURS}.example.com"
_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NAMES = {"plural": "azureidentities", "singular": "azureidentitylike", "kind": "AzureIdentityLike"}
_WORKLOAD = (
    account("mover", "default", "11111111-1111-4111-8111-111111111111"),
    pod("mover", labels={"azure.workload.identity/use": "true"}, serviceAccountName="mover"),
)
_DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"azureidentities.{_LIKE}"},
    "spec": {
        "group": _LIKE,
        "scope": "Namespaced",
        "names": _NAMES,
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}],
    },
}
_OBJECT = {
    "apiVersion": f"{_LIKE}/v1",
    "kind": "AzureIdentityLike",
    "metadata": {"name": "billing", "namespace": "default"},
    "spec": {"type": 0, "clientID": "11111111-1111-4111-8111-111111111111"},
}


def add(operator: Operator, kubeconfig: str) -> None:
    """An identity on the scale set, roles there, Workload ID with a workload, definitions of a similar name.

    The sandbox is one that has Workload ID.
    """
    az, exec_ = operator.sandbox.az, operator.sandbox.exec
    (nodes,) = az("vmss", "list")
    foreign = az("identity", "create", "--resource-group", GROUP, "--name", "foreign")
    place = ("--resource-group", nodes["resourceGroup"], "--name", nodes["name"])
    az("vmss", "identity", "assign", *place, "--identities", foreign["id"])
    who = ("--assignee-object-id", foreign["principalId"], "--assignee-principal-type", "ServicePrincipal")
    scope = nodes["id"].partition("/providers/")[0]
    az("role", "assignment", "create", *who, "--role", "Managed Identity Operator", "--scope", scope)
    chart = str(programs.built("workload-identity") / "charts/workload-identity-webhook")
    made = ("--namespace", _WEBHOOK, "--create-namespace", "--set", "azureTenantID=common,replicaCount=1", "--wait")
    exec_("helm", "--kubeconfig", kubeconfig, "install", "workload-identity-webhook", chart, *made)
    for objects in ([_DEFINITION], [_OBJECT, *_WORKLOAD]):
        operator.apply(*objects)
        definition = f"customresourcedefinition/{_DEFINITION['metadata']['name']}"  # type: ignore[index]
        exec_("kubectl", "wait", "--for=condition=Established", definition)
    exec_("kubectl", "wait", "--for=condition=Ready", "pod/mover", "--timeout=90s")
    (mover,) = operator.kubectl("get", "pod", "mover")["spec"]["containers"]
    assert any(each["name"] == "AZURE_FEDERATED_TOKEN_FILE" for each in mover["env"])
    eventually(lambda: in_cluster(operator) == in_cluster(operator), 60)


def in_cluster(operator: Operator) -> dict[str, dict[str, Any]]:
    """Every object that is not pod identity's, by its name, whole; but what changes by itself all the time."""
    kinds = operator.sandbox.exec("kubectl", "api-resources", "--verbs=list", "-o", "name").split()
    chosen = ",".join(kind for kind in kinds if kind not in _CHANGES_BY_ITSELF)
    found = operator.kubectl("get", chosen, "--all-namespaces")["items"]
    return {_name(each): each for each in found if not _is_ours(each)}


def _name(each: dict[str, Any]) -> str:
    metadata = each["metadata"]
    return f"{each['apiVersion']} {each['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def _is_ours(each: dict[str, Any]) -> bool:
    name = str(each["metadata"]["name"])
    of_helm = name.startswith("sh.helm.release.v1.aad-pod-identity.")
    return each["apiVersion"] == f"{_OURS}/v1" or name.endswith(f".{_OURS}") or name.startswith("aad-pod-id") or of_helm


def in_azure(operator: Operator) -> dict[str, Any]:
    """Scale sets without the identity of pods, identities, clusters and roles, each as Azure shows it."""
    az = operator.sandbox.az
    scale_sets = az("vmss", "list")
    for each in scale_sets:
        carried = each["identity"]["userAssignedIdentities"]
        each["identity"]["userAssignedIdentities"] = {
            name: entry for name, entry in carried.items() if not name.lower().endswith("/billing")
        }
    return {
        "scale sets": scale_sets,
        "identities": az("identity", "list"),
        "clusters": az("aks", "list"),
        "roles": sorted(az("role", "assignment", "list", "--all"), key=lambda each: str(each["id"])),
    }
