# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role pod_identity_uninstall from every state that people have, each built for real, to a cluster without a trace.

helm and the API server are real; MIC and NMI do not run, but leave what they would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import inventory, kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.tests.kube.installation import owned
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, set_status
from ansible_collections.azureops.pod_identity.tests.kube.uninstalled import Site, azure, changed, helm, put, site
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import forged_release

__all__ = ["azure", "site"]  # fixtures

LED = "control-plane.alpha.kubernetes.io/leader"
PARTS = (
    kinds.DAEMON_SET,
    kinds.DEPLOYMENT,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.SERVICE_ACCOUNT,
    kinds.CLUSTER_ROLE,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.CONFIG_MAP,
    kinds.ENDPOINTS,
    kinds.SECRET,
    kinds.CUSTOM_RESOURCE_DEFINITION,
)
CUSTOM = (
    kinds.AZURE_IDENTITY,
    kinds.AZURE_IDENTITY_BINDING,
    kinds.AZURE_POD_IDENTITY_EXCEPTION,
    kinds.AZURE_ASSIGNED_IDENTITY,
)
IMAGES = "mcr.microsoft.com/oss/azure/aad-pod-identity"
HIDDEN = "hidden-credential"


def install(site: Site, name: str = "aad-pod-identity", namespace: str = "default") -> None:
    """More than one in a cluster have names of their own, and one has the exceptions."""
    values = f"mic.podDisruptionBudget.minAvailable=1,nameOverride={name},installMICException={namespace == 'default'}"
    place = ("--namespace", namespace, "--create-namespace")
    helm(site, "install", name, "CHART", *place, "--set", values.replace("False", "false").replace("True", "true"))


def record(site: Site, name: str) -> Object:
    (found,) = site.client.list_all(kinds.SECRET, labels=f"owner=helm,name={name}")
    return found


def rewrite(site: Site, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what helm keeps of the release, as an old chart, an old cluster or a helm that was killed leaves it."""
    live = record(site, name)
    body = forged_release.of(live)
    change(body)
    patch = {"metadata": {"labels": {"status": body["info"]["status"]}}, "data": forged_release.packed(body)}
    site.client.merge(kinds.SECRET, live["metadata"]["namespace"], live["metadata"]["name"], patch)


# the states


def nothing(site: Site) -> None:
    """What is assigned has its node no more, and its MIC neither, as the fixture has it."""


def old_apis(site: Site) -> None:
    install(site)

    def change(body: dict[str, Any]) -> None:
        old = body["manifest"].replace("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n")
        assert old != body["manifest"]
        for program in ("mic", "nmi"):
            metadata = f"metadata:\n  name: aad-pod-identity-psp-{program}\n"
            old += f"---\n# Source: psp.yaml\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n{metadata}"
        body["manifest"] = old
        body["config"] = {"adminsecret": {"clientSecret": HIDDEN}}

    rewrite(site, "aad-pod-identity", change)


def status(name: str) -> Callable[[Site], None]:
    def build(site: Site) -> None:
        namespace = f"{site.namespace}-{name}"
        install(site, name, namespace)
        if name == "uninstalled":
            helm(site, "uninstall", name, "--namespace", namespace, "--keep-history")
            return
        rewrite(site, name, lambda body: body["info"].update(status=name))
        if name == "uninstalling":  # it has come half way
            site.client.delete(kinds.DAEMON_SET, namespace, f"{name}-nmi")

    return build


def gone_release(site: Site) -> None:
    install(site)
    site.client.delete(kinds.SECRET, "default", record(site, "aad-pod-identity")["metadata"]["name"])


def manifests(site: Site) -> None:
    """As deployment-rbac.yaml of the project has them."""
    account = {"kind": "ServiceAccount", "namespace": "default", "name": "aad-pod-id-mic-service-account"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aad-pod-id-mic-role"}
    rules = [{"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"], "verbs": ["*"]}]
    selector = {"matchLabels": {"app.kubernetes.io/component": "mic"}}
    for kind, namespace, name, body in (
        (kinds.SERVICE_ACCOUNT, "default", account["name"], {}),
        (kinds.CLUSTER_ROLE, None, reference["name"], {"rules": rules}),
        (kinds.CLUSTER_ROLE_BINDING, None, "aad-pod-id-mic-binding", {"roleRef": reference, "subjects": [account]}),
        (kinds.POD_DISRUPTION_BUDGET, "default", "mic-pdb", {"spec": {"minAvailable": 1, "selector": selector}}),
        (kinds.DEPLOYMENT, "default", "mic", {"spec": {"replicas": 2, **template("mic")}}),
        (kinds.DAEMON_SET, "default", "nmi", {"spec": template("nmi")}),
    ):
        create(site.client, kind, namespace, name, **body)
    create(site.client, kinds.CONFIG_MAP, "default", "aad-pod-identity-config", data={"version": "1.8.17"})


def template(program: str) -> dict[str, Any]:
    labels = {"app": program, "app.kubernetes.io/component": program}
    containers = [{"name": program, "image": f"{IMAGES}/{program}:v1.8.17"}]
    pod = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {"selector": {"matchLabels": labels}, "template": pod}


def leader(site: Site, pod: str) -> None:
    annotations = {LED: json.dumps({"holderIdentity": pod})}
    create(site.client, kinds.ENDPOINTS, "default", "aad-pod-identity-mic", metadata={"annotations": annotations})


def mic(name: str, ready: bool, reason: str = "") -> Callable[[Site], None]:
    """A pod of MIC that holds the lock, and takes no identity back."""

    def build(site: Site) -> None:
        live = site.client.get(kinds.DEPLOYMENT, "default", name) or {}
        template = live["spec"]["template"]
        spec = {"replicas": 1, "selector": live["spec"]["selector"], "template": template}
        labels = {"labels": template["metadata"]["labels"]}
        owner = owned({"apiVersion": kinds.DEPLOYMENT.api_version, "kind": kinds.DEPLOYMENT.name, **live})
        between = create(site.client, kinds.REPLICA_SET, "default", "mic", metadata={**owner, **labels}, spec=spec)
        spec = {"containers": [{"name": "mic", "image": f"{IMAGES}/mic:v1.8.17"}]}
        create(site.client, kinds.POD, "default", "mic-1", metadata={**owned(between), **labels}, spec=spec)
        state = {"waiting": {"reason": reason}} if reason else {"running": {}}
        container = {"name": "mic", "image": "", "imageID": "", "restartCount": 9, "ready": ready, "state": state}
        conditions = [{"type": "Ready", "status": str(ready)}]
        answer = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
        set_status(site.client, kinds.POD, "default", "mic-1", **answer)
        leader(site, "mic-1")

    return build


def no_definitions(site: Site) -> None:
    """Somebody has removed them, objects and all, before the release, which still names an exception."""
    install(site)
    server.clear_assigned(site.client)
    end_definitions(site)
    server.until("the definitions are gone", lambda: not left_definitions(site))


def end_definitions(site: Site) -> None:
    for kind in CUSTOM:
        site.client.delete(kinds.CUSTOM_RESOURCE_DEFINITION, None, kind.resource)


def left_definitions(site: Site) -> list[Kind]:
    """Each goes by itself, when the API server gets to it."""
    return [kind for kind in CUSTOM if site.client.get(kinds.CUSTOM_RESOURCE_DEFINITION, None, kind.resource)]


def waiting_definitions(site: Site) -> None:
    """The API server deletes their objects by and by; it has come as far as the finalizer lets it."""
    end_definitions(site)

    def waits() -> bool:
        left = left_definitions(site)
        objects = site.client.list_all(kinds.AZURE_ASSIGNED_IDENTITY)
        ending = all(each["metadata"].get("deletionTimestamp") for each in objects)
        return left == [kinds.AZURE_ASSIGNED_IDENTITY] and ending

    server.until("the definitions wait for the finalizer", waits)


def buried_objects(site: Site) -> None:
    """The definitions waited for the finalizer of an AzureAssignedIdentity, and somebody took theirs away."""
    end_definitions(site)
    name = kinds.AZURE_ASSIGNED_IDENTITY.resource
    site.client.merge(kinds.CUSTOM_RESOURCE_DEFINITION, None, name, {"metadata": {"finalizers": None}})
    server.until("the definitions are gone", lambda: not left_definitions(site))


def waiting_namespace(site: Site) -> None:
    """In namespaced mode what is assigned lies beside its pod, whose namespace then does not end."""
    client, name = site.client, f"{site.namespace}-ending"
    spec = client.list_all(kinds.AZURE_ASSIGNED_IDENTITY)[0]["spec"]
    create(client, kinds.NAMESPACE, None, name)
    put(client, kinds.AZURE_ASSIGNED_IDENTITY, name, "api-ending", spec, finalizers=[FINALIZER])
    client.delete(kinds.NAMESPACE, None, name)

    def waits() -> bool:
        found = client.get(kinds.AZURE_ASSIGNED_IDENTITY, name, "api-ending")
        return bool(found and found["metadata"].get("deletionTimestamp"))

    server.until("the namespace waits for the object", waits)


def equal_names(site: Site) -> None:
    (live,) = (
        each
        for each in site.client.list_all(kinds.AZURE_ASSIGNED_IDENTITY)
        if each["metadata"]["namespace"] == "default"
    )
    name = live["metadata"]["name"]
    put(site.client, kinds.AZURE_ASSIGNED_IDENTITY, site.namespace, name, live["spec"], finalizers=[FINALIZER])


@dataclass(frozen=True)
class World:
    """States that one cluster can be in at once, built in their order."""

    starts: dict[str, Callable[[Site], None]]
    told: tuple[str, ...] = ()  # what check mode says of it
    variables: dict[str, Any] = field(default_factory=dict)
    repaired: list[str] = field(default_factory=list)  # kinds
    known: bool = True  # whether something still tells what pods had
    late: bool = False  # whether check mode cannot know all that is left to do


ALL = {"pod_identity_uninstall_scope": "all"}
LOOK = {"pod_identity_uninstall_recreate_definitions": True}
WORLDS = {
    "releases": World(
        {
            "MIC is gone": nothing,
            "AzureAssignedIdentities of nodes that no longer exist": nothing,
            "a release with PodSecurityPolicy and policy/v1beta1": old_apis,
            "a release that failed": status("failed"),
            "a release that is pending-install": status("pending-install"),
            "a release that is pending-upgrade": status("pending-upgrade"),
            "a release that is uninstalling": status("uninstalling"),
            "a release that is uninstalled": status("uninstalled"),
            "a namespace that waits for a finalizer": waiting_namespace,
        },
        (
            "PodDisruptionBudget mic-pdb in policy/v1beta1 becomes policy/v1",
            "PodSecurityPolicy aad-pod-identity-psp-mic in policy/v1beta1 is left out",
            "status uninstalling becomes failed",
            "uninstall helm release default/aad-pod-identity ",
            "uninstall helm release t-[^ ]*-pending-upgrade/pending-upgrade ",
        ),
        repaired=["PodDisruptionBudget", "PodSecurityPolicy", "PodSecurityPolicy"],
    ),
    "manifests": World(
        {
            "MIC and NMI of plain manifests": manifests,
            "a MIC without permission": mic("mic", ready=True),
            "equal names in two namespaces": equal_names,
            "definitions that wait for a finalizer": waiting_definitions,
        },
        ('"DaemonSet default/nmi"', '"Deployment default/mic"', '"PodDisruptionBudget default/mic-pdb"'),
        ALL,
        late=True,
    ),
    "buried": World(
        {
            "MIC and NMI of a release that is gone": gone_release,
            "a MIC that crashes again and again": mic("aad-pod-identity-mic", ready=False, reason="CrashLoopBackOff"),
            "objects whose definitions are gone": buried_objects,
        },
        ('"DaemonSet default/aad-pod-identity-nmi"', "such objects are not in this plan"),
        {**ALL, **LOOK},
        late=True,
    ),
    "gone": World(
        {"definitions that are gone": no_definitions},
        ("AzurePodIdentityException mic in [^ ]* is left out",),
        repaired=["AzurePodIdentityException", "AzurePodIdentityException"],
        known=False,
    ),
}


def state(site: Site) -> dict[str, str]:
    """The version of everything that is pod identity's."""
    found = {kind.name: site.client.list_all(kind) for kind in PARTS}
    ours = {
        kind: [each for each in several if _OURS.search(each["metadata"]["name"])] for kind, several in found.items()
    }
    return {
        f"{kind} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}": str(
            # The API server itself writes the status of a definition, when it gets to it.
            each["metadata"]["generation" if kind == kinds.CUSTOM_RESOURCE_DEFINITION.name else "resourceVersion"]
        )
        for kind, several in {**ours, **inventory.read_custom(site.client)}.items()
        for each in several
    }


_OURS = re.compile(r"aad-?pod-?id|(^|-)(mic|nmi)\b|^sh\.helm")


@pytest.fixture
def cluster(site: Site) -> Iterator[Site]:
    """Nothing of it outlives the test."""
    yield site
    client = site.client
    for kind in (kinds.DEPLOYMENT, kinds.DAEMON_SET, kinds.POD):
        for each in client.list_all(kind):
            if re.search("(^|-)(mic|nmi)", each["metadata"]["name"]):
                client.delete(kind, each["metadata"]["namespace"], each["metadata"]["name"])
    for each in client.list_all(kinds.SECRET, labels="owner=helm"):
        client.delete(kinds.SECRET, each["metadata"]["namespace"], each["metadata"]["name"])
    for each in client.list_all(kinds.NAMESPACE):
        if each["metadata"]["name"].startswith(f"{site.namespace}-"):
            client.delete(kinds.NAMESPACE, None, each["metadata"]["name"])


@pytest.mark.soak
@pytest.mark.parametrize("name", WORLDS)
def test_from_any_state_to_a_cluster_without_a_trace(cluster: Site, name: str) -> None:
    """More than a minute each."""
    world = WORLDS[name]
    for build in world.starts.values():
        build(cluster)
    attached = cluster.attached()
    variables = {
        "pod_identity_uninstall_wait_timeout": 30,
        "pod_identity_uninstall_release_namespaces": ["default", f"{cluster.namespace}-uninstalled"],
        **world.variables,
    }

    before = state(cluster)
    code, output = cluster.play("--check", "--diff", **variables)
    assert code == 0, output
    for sentence in world.told:
        assert re.search(sentence, output), (sentence, output)
    assert HIDDEN not in output
    assert (state(cluster), cluster.attached()) == (before, attached)
    predicted = changed(output)

    code, output = cluster.play(**variables)
    assert code == 0, output
    assert HIDDEN not in output
    assert world.late or changed(output) == predicted, output
    assert (state(cluster), cluster.attached()) == ({}, attached - ({cluster.billing} if world.known else set()))
    assert helm(cluster, "list", "--all-namespaces", "--all", "--short") == ""
    assert ("recreate_definitions=true" in output) is not world.known
    (bundle,) = cluster.bundles()
    assert HIDDEN not in json.dumps(bundle)
    assert [each["kind"] for release in bundle["releases"] for each in release["repairs"]] == world.repaired

    code, output = cluster.play(**variables)
    assert (code, changed(output)) == (0, 0), output
    assert state(cluster) == {}
