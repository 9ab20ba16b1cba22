# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules pod_identity_removal and pod_identity_removal_info against a real API server, where no MIC lives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.objects import assignment, create, manifest
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import forged_release
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing"
OURS = marks("removal")
CUSTOM = (
    kinds.AZURE_IDENTITY,
    kinds.AZURE_IDENTITY_BINDING,
    kinds.AZURE_POD_IDENTITY_EXCEPTION,
    kinds.AZURE_ASSIGNED_IDENTITY,
)


def identity(namespace: str, name: str = "billing", **metadata: Any) -> dict[str, Any]:
    spec = {"type": 0, "resourceID": ID, "clientID": "11111111-1111-4111-8111-111111111111"}
    return manifest(kinds.AZURE_IDENTITY, name, namespace, metadata=metadata, spec=spec)


@pytest.fixture
def world(
    api_server: ApiServer, client: Client, crds: None, definitions: list[dict[str, Any]], namespace: str
) -> Iterator[str]:
    """What a MIC that died has left, and nothing of other tests; its roles are those of the project's manifests."""
    server.remove(client, definitions)
    server.install(client, definitions)
    binding = manifest(kinds.AZURE_IDENTITY_BINDING, "billing", namespace)
    assigned = assignment("api", namespace, identity(namespace), binding, "gone")
    hung = {"finalizers": [FINALIZER]}
    account = {"kind": "ServiceAccount", "namespace": namespace, "name": "aad-pod-id-mic-service-account"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aad-pod-id-mic-role"}
    rules = [{"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["*"]}]
    leader = {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}
    labels = {"podLabels": {"app": "agent"}}
    for kind, body in (
        (kinds.AZURE_IDENTITY, identity(namespace, labels=OURS)),
        (kinds.AZURE_POD_IDENTITY_EXCEPTION, manifest(kinds.AZURE_POD_IDENTITY_EXCEPTION, "a", namespace, spec=labels)),
        (
            kinds.AZURE_ASSIGNED_IDENTITY,
            manifest(kinds.AZURE_ASSIGNED_IDENTITY, "api", namespace, metadata=hung, spec=assigned),
        ),
        (kinds.CONFIG_MAP, manifest(kinds.CONFIG_MAP, residue.SETTINGS, namespace)),
        (kinds.CONFIG_MAP, manifest(kinds.CONFIG_MAP, "theirs", namespace)),
        (kinds.ENDPOINTS, manifest(kinds.ENDPOINTS, residue.LOCK, namespace, metadata=leader)),
        (kinds.SERVICE_ACCOUNT, manifest(kinds.SERVICE_ACCOUNT, account["name"], namespace)),
        (kinds.CLUSTER_ROLE, manifest(kinds.CLUSTER_ROLE, reference["name"], rules=rules)),
        (kinds.CLUSTER_ROLE, manifest(kinds.CLUSTER_ROLE, "theirs", rules=rules)),
        (
            kinds.CLUSTER_ROLE_BINDING,
            manifest(kinds.CLUSTER_ROLE_BINDING, "aad-pod-id-mic-binding", roleRef=reference, subjects=[account]),
        ),
    ):
        client.create(kind, body["metadata"].get("namespace"), body)
    yield namespace
    everything = {"parts": list(removal.PARTS), "scope": "all", "clean_identities": [ID], "wait_sleep": 1}
    Runner(api_server, "pod_identity_removal")(**everything).ok()
    client.delete(kinds.CLUSTER_ROLE, None, "theirs")
    server.install(client, definitions)


def test_everything_goes_in_its_order_and_nothing_of_others(api_server: ApiServer, client: Client, world: str) -> None:
    remove, look = Runner(api_server, "pod_identity_removal"), Runner(api_server, "pod_identity_removal_info")
    everything = {"parts": list(removal.PARTS), "owner": "removal", "wait_sleep": 1}
    found = look(owner="removal").ok()
    mine = {
        (each["kind"], each["name"]): each["removable"] for each in found["objects"] if each["namespace"] in (world, "")
    }
    assert mine == {
        ("AzureIdentity", "billing"): True,
        ("AzurePodIdentityException", "a"): False,
        ("AzureAssignedIdentity", "api"): True,
        **{("CustomResourceDefinition", kind.resource): True for kind in CUSTOM},
        ("ConfigMap", residue.SETTINGS): True,
        ("Endpoints", residue.LOCK): True,
        ("ClusterRoleBinding", "aad-pod-id-mic-binding"): True,
        ("ClusterRole", "aad-pod-id-mic-role"): True,
        ("ServiceAccount", "aad-pod-id-mic-service-account"): True,
    }
    assert (found["identities"], found["releases"], found["programs"]) == ([ID.lower()], [], [])

    assert f"AzurePodIdentityException {world}/a do not carry the labels" in remove(**everything).failure()
    everything["scope"] = "all"
    assert "It is not proved that the identity" in remove(**everything).failure()
    assert look(owner="removal").ok()["objects"] == found["objects"]
    everything["clean_identities"] = [ID.upper()]
    predicted = remove(**everything, check=True).ok()
    assert look(owner="removal").ok()["objects"] == found["objects"]
    done = remove(**everything).ok()
    assert done["changes"] == predicted["changes"]
    assert done["actions"] == predicted["actions"] and done["changed"] and done["removal"] == {"objects": []}
    assert done["actions"][0] == f"delete AzureAssignedIdentity {world}/api and take MIC's finalizer from it"
    assert look().ok()["objects"] == []
    assert client.get(kinds.CLUSTER_ROLE, None, "theirs") and client.get(kinds.CONFIG_MAP, world, "theirs")
    assert not remove(**everything).ok()["changed"]


def test_what_was_saved_can_be_applied_again(api_server: ApiServer, client: Client, world: str) -> None:
    documents = Runner(api_server, "pod_identity_removal_info")().ok()["documents"]
    saved = [each for each in documents if each["metadata"]["namespace"] == world]
    assert [each["kind"] for each in saved] == ["AzureIdentity", "AzurePodIdentityException"]
    client.delete(kinds.AZURE_IDENTITY, world, "billing")
    again = client.create(kinds.AZURE_IDENTITY, world, saved[0])
    assert again["spec"]["resourceID"] == ID and again["metadata"]["labels"] == OURS


@pytest.mark.soak
def test_definitions_that_hang_on_a_dead_mic(api_server: ApiServer, client: Client, world: str) -> None:
    """They were deleted first, as many instructions have it, and wait for a finalizer that nobody takes away."""
    for kind in CUSTOM:
        client.delete(kinds.CUSTOM_RESOURCE_DEFINITION, None, kind.resource)
    found = Runner(api_server, "pod_identity_removal_info")().ok()["objects"]
    assert [each["name"] for each in found if each["terminating"] and each["kind"] == "CustomResourceDefinition"]
    remove = Runner(api_server, "pod_identity_removal")
    options = {"scope": "all", "wait_sleep": 1}
    parts = [part for part in removal.PARTS if part != "assigned"]
    assert re.search("while AzureAssignedIdentity .*/api is there", remove(parts=parts, **options).failure())
    remove(parts=list(removal.PARTS), clean_identities=[ID], **options).ok()
    assert client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, kinds.AZURE_ASSIGNED_IDENTITY.resource) is None


def test_what_is_held_by_somebody_else_stops_nothing(api_server: ApiServer, client: Client, world: str) -> None:
    client.merge(kinds.AZURE_ASSIGNED_IDENTITY, world, "api", {"metadata": {"finalizers": [FINALIZER, "theirs/hold"]}})
    remove = Runner(api_server, "pod_identity_removal")
    options = {"parts": ["assigned"], "clean_identities": [ID], "wait_sleep": 1, "wait_timeout": 1}
    remove(**options).ok()
    (held,) = client.list_all(kinds.AZURE_ASSIGNED_IDENTITY)
    assert held["metadata"]["finalizers"] == ["theirs/hold"] and held["metadata"]["deletionTimestamp"]
    # Everything goes but what it needs, and it is told.
    everything = {**options, "parts": list(removal.PARTS), "scope": "all"}
    (left,) = [
        each for each in remove(**everything).ok()["removal"]["objects"] if each["kind"] == "AzureAssignedIdentity"
    ]
    assert (left["name"], left["foreign_finalizers"], left["terminating"]) == ("api", ["theirs/hold"], True)
    assert len([each for each in CUSTOM if client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, each.resource)]) == 4
    assert client.list_all(kinds.AZURE_IDENTITY) == () and not remove(**everything).ok()["changed"]
    client.merge(kinds.AZURE_ASSIGNED_IDENTITY, world, "api", {"metadata": {"finalizers": None}})
    assert remove(**everything).ok()["changed"]


@pytest.mark.soak
def test_helm_removes_what_it_could_not(api_server: ApiServer, client: Client, world: str) -> None:
    """Its manifest is that of an old chart, and its record says that somebody began to remove it."""
    values = f"mic.podDisruptionBudget.minAvailable=1,nameOverride={world},installMICException=false"
    place = ("--namespace", world)
    api_server.helm("install", "old", "CHART", *place, "--set", values)
    (live,) = client.list_all(kinds.SECRET, world, labels="owner=helm")
    body = forged_release.of(live)
    old = body["manifest"].replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n")
    old += "---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata:\n  name: mic\n"
    body.update(manifest=old, config={"adminsecret": {"clientSecret": "hidden"}})
    body["info"]["status"] = "uninstalling"
    client.merge(kinds.SECRET, world, live["metadata"]["name"], {"data": forged_release.packed(body)})
    with pytest.raises(RuntimeError, match="failed to delete release"):
        api_server.helm("uninstall", "old", *place)

    remove = Runner(api_server, "pod_identity_removal")
    options = {"parts": ["records"], "release_namespaces": [world]}
    (found,) = Runner(api_server, "pod_identity_removal_info")(release_namespaces=[world]).ok()["releases"]
    assert [(each["kind"], each["replacement_api"]) for each in found["repairs"]] == [
        ("PodDisruptionBudget", "policy/v1"),
        ("PodSecurityPolicy", ""),
    ]
    assert all(each["document"] in old for each in found["repairs"])
    before = client.get(kinds.SECRET, world, live["metadata"]["name"])
    predicted = remove(**options, check=True)
    assert client.get(kinds.SECRET, world, live["metadata"]["name"]) == before
    done = remove(**options)
    assert (
        done.ok()["actions"]
        == predicted.ok()["actions"]
        == [
            f"repair the record of helm release {world}/old: PodDisruptionBudget mic-pdb in policy/v1beta1 becomes "
            "policy/v1, PodSecurityPolicy mic in policy/v1beta1 is left out, "
            f"ClusterRoleBinding {world}-mic is left until the end, "
            f"ClusterRoleBinding {world}-nmi is left until the end, status uninstalling becomes failed"
        ]
    )
    assert done.ok()["changed"] and "hidden" not in predicted.output + done.output
    assert not remove(**options).ok()["changed"]
    assert "failed" in api_server.helm("list", "--all", *place)
    api_server.helm("uninstall", "old", *place)
    assert api_server.helm("list", "--all", "--short", *place) == ""
    assert client.list_all(kinds.POD_DISRUPTION_BUDGET, world) == () == client.list_all(kinds.DAEMON_SET, world)


def test_programs_that_no_release_holds(api_server: ApiServer, client: Client, world: str) -> None:
    flux = "kustomize.toolkit.fluxcd.io"
    managed = {f"{flux}/name": "platform", f"{flux}/namespace": "flux-system"}
    for kind, program in ((kinds.DAEMON_SET, "nmi"), (kinds.DEPLOYMENT, "mic")):
        labels = {"app": program}
        containers = [{"name": program, "image": f"aks/{program}:v1"}]
        pod = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        spec = {"selector": {"matchLabels": labels}, "template": pod}
        create(client, kind, world, program, metadata={"labels": managed}, spec=spec)
    look = Runner(api_server, "pod_identity_removal_info")
    assert look().ok()["reconciled_by"] == [
        f"{kind.name} {world}/{name} (managed by Flux, Kustomization flux-system/platform)"
        for kind, name in ((kinds.DAEMON_SET, "nmi"), (kinds.DEPLOYMENT, "mic"))
    ]
    for kind, program in ((kinds.DAEMON_SET, "nmi"), (kinds.DEPLOYMENT, "mic")):
        client.merge(kind, world, program, {"metadata": {"labels": dict.fromkeys(managed)}})
    assert look().ok()["reconciled_by"] == []
    remove = Runner(api_server, "pod_identity_removal")
    options: dict[str, Any] = {"parts": ["assigned", "programs"], "wait_sleep": 1}
    assert f"DaemonSet {world}/nmi, Deployment {world}/mic do not carry" in remove(**options).failure()
    options["scope"] = "all"
    assert "It is not proved" in remove(**options).failure()
    options["clean_identities"] = [ID]
    assert "while AzureAssignedIdentity" in remove(**{**options, "parts": ["programs"]}).failure()
    predicted = remove(**options, check=True).ok()
    assert client.get(kinds.DAEMON_SET, world, "nmi")
    done = remove(**options).ok()
    assert done["actions"] == predicted["actions"]
    assert done["changes"] == predicted["changes"]
    assert done["actions"][1:] == [f"delete Deployment {world}/mic", f"delete DaemonSet {world}/nmi"]
    assert client.get(kinds.DAEMON_SET, world, "nmi") is None is client.get(kinds.DEPLOYMENT, world, "mic")
    assert not remove(**options).ok()["changed"]
