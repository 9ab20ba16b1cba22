# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each code of what is left by one thing that a cluster still has, beside a cluster that has nothing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.findings import findings
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import GROUP
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    assigned,
    binding,
    exception,
    identity,
    pod,
    release,
    template,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, worlds_by_name

Objects = dict[str, list[Raw]]

GONE = "2026-05-01T10:00:00Z"
MIC_IMAGE = "mcr.microsoft.com/oss/azure/aad-pod-identity/mic:v1.8.17"
NMI_IMAGE = "registry.example.com/nmi:v1.8.17"
RUNS_NMI = {"containers": [{"image": NMI_IMAGE}]}


def named(name: str, namespace: str = "", labels: dict[str, str] | None = None, **more: t.Any) -> Raw:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels or {}}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, **more}


def clean(**lists: list[Raw]) -> Objects:
    """A cluster that never had pod identity, and others' things in it."""
    others: Objects = {
        "CustomResourceDefinition": [named("things.example.com", spec={"group": "example.com"})],
        "ClusterRole": [
            named("view"),
            named("team-identities", rules=[{"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"]}]),
            # Called as parts of pod identity are, or of a product whose chart is called alike.
            named("aad-pod-identity-mic", rules=[{"apiGroups": [""], "resources": ["pods"]}]),
            named("x", labels={"helm.sh/chart": "aad-pod-identity-extras-1.0.0"}),
        ],
        "ClusterRoleBinding": [
            named("azure-wi-webhook-manager-rolebinding"),
            named("aad-pod-id-nmi-binding", roleRef={"name": "cluster-admin"}),
        ],
        "ServiceAccount": [named(one, "team") for one in ("default", "mic", "aad-pod-id-mic-service-account")],
        "PodDisruptionBudget": [named("web", "team"), named("mic-pdb", "team")],
        "Endpoints": [named("web", "team"), named("aad-pod-identity-mic", "team")],
        "ConfigMap": [named("kube-root-ca.crt", "team")],
        "Namespace": [named("team", status={"phase": "Active"}), named("old", status={"phase": "Terminating"})],
        "Secret": [named("sh.helm.release.v1.web.v1", "team", {"name": "web"})],
    }
    running: Objects = {
        "Deployment": [template(selector="")],
        "ReplicaSet": [template("web-1", "", owner=("Deployment", "web"))],
        "Pod": [pod(selector="", owner=("ReplicaSet", "web-1"))],
        "Node": [named("n1")],
        **{kind: [] for kind in ("AzureIdentity", "AzureIdentityBinding", "AzurePodIdentityException")},
        "AzureAssignedIdentity": [],
    }
    return {**running, **others, **lists}


def runs(image: str, name: str, replicas: int = 0, namespace: str = "kube-system") -> Raw:
    made = template(name, "", namespace, spec={"containers": [{"image": image}]})
    return {**made, "status": {"readyReplicas": replicas}}


def going(raw: Raw) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "deletionTimestamp": GONE}}


def definition(**more: t.Any) -> Raw:
    return named("azureidentities.aadpodidentity.k8s.io", spec={"group": GROUP}, **more)


ASSIGNED = assigned(pod(), binding(), identity())
LIVE = "AzureAssignedIdentity default/web-1-a-team-i"
OF_MIC = {"app.kubernetes.io/component": "mic"}
GRANTS = [{"apiGroups": ["aadpodidentity.k8s.io"], "resources": ["*"]}]
ACCOUNT = {"kind": "ServiceAccount", "namespace": "default", "name": "aad-pod-id-mic-service-account"}
GIVEN = named("aad-pod-id-mic-binding", roleRef={"name": "aad-pod-id-mic-role"}, subjects=[ACCOUNT])
LED = {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}
LOCK = named(residue.LOCK, "default", metadata=LED)
CHART = {"helm.sh/chart": "aad-pod-identity-4.1.18"}
DEFINITION = "CustomResourceDefinition azureidentities.aadpodidentity.k8s.io"
WAITS = {"type": "Terminating", "status": "True", "message": "CustomResource deletion is in progress"}

GROUPS: Groups[Objects] = {
    (("installation_left", "DaemonSet kube-system/nmi"), ("installation_left", "Deployment kube-system/mic")): {
        "mic and nmi": clean(DaemonSet=[runs(NMI_IMAGE, "nmi")], Deployment=[runs(MIC_IMAGE, "mic", 2)])
    },
    ("installation_left", "Pod kube-system/nmi-x"): {
        "a pod of nmi that its DaemonSet left": clean(Pod=[pod("nmi-x", "", "kube-system", spec=RUNS_NMI)])
    },
    ("installation_left", "DaemonSet kube-system/nmi"): {
        "pods of what is listed itself": clean(
            DaemonSet=[runs(NMI_IMAGE, "nmi")],
            Pod=[pod("nmi-x", "", "kube-system", ("DaemonSet", "nmi"), spec=RUNS_NMI)],
        )
    },
    ("assignment_not_deleted", LIVE): {
        "a finalizer that nobody takes away": clean(AzureAssignedIdentity=[going(ASSIGNED)]),
        "being taken from a node that is gone": clean(AzureAssignedIdentity=[going(ASSIGNED)], Node=[]),
    },
    (("installation_left", "Deployment kube-system/mic"), ("assignment_not_deleted", LIVE)): {
        "a finalizer, and a MIC that does not run": clean(
            AzureAssignedIdentity=[going(ASSIGNED)], Deployment=[runs(MIC_IMAGE, "mic")]
        )
    },
    (("installation_left", "Deployment kube-system/mic"), ("assignment_left", LIVE)): {
        "a finalizer that MIC will take away": clean(
            AzureAssignedIdentity=[going(ASSIGNED)], Deployment=[runs(MIC_IMAGE, "mic", 1)]
        ),
        "being taken by MIC from a node that is gone": clean(
            AzureAssignedIdentity=[going(ASSIGNED)], Node=[], Deployment=[runs(MIC_IMAGE, "mic", 1)]
        ),
    },
    ("assignment_left", LIVE): {"assigned": clean(AzureAssignedIdentity=[ASSIGNED])},
    ("assignment_orphaned", LIVE): {
        "assigned on a node that is gone": clean(AzureAssignedIdentity=[ASSIGNED], Node=[])
    },
    (("assignment_not_deleted", "AzureAssignedIdentity old/web-1-a-team-i"), ("namespace_stuck", "Namespace old")): {
        "a namespace that does not end": clean(
            AzureAssignedIdentity=[going(assigned(pod(), binding(), identity(), namespace="old"))]
        )
    },
    ("definition_left", DEFINITION): {"a kind": clean(CustomResourceDefinition=[definition()])},
    ("definition_stuck", DEFINITION): {
        "a kind that does not go": clean(CustomResourceDefinition=[going(definition(status={"conditions": [WAITS]}))]),
        "a kind that does not go and does not say why": clean(CustomResourceDefinition=[going(definition())]),
    },
    (
        ("binding_left", "AzureIdentityBinding team/b"),
        ("identity_left", "AzureIdentity team/i"),
        ("exception_left", "AzurePodIdentityException team/e"),
    ): {
        "objects": clean(
            AzureIdentity=[identity()],
            AzureIdentityBinding=[binding()],
            AzurePodIdentityException=[exception(app="web")],
        )
    },
    ("release_left", "Secret kube-system/sh.helm.release.v1.aad-pod-identity.v2"): {
        "releases": clean(
            Secret=[
                release(revision=1, status="superseded"),
                release(revision=2, status="failed"),
                release("aad-pod-identity-web", chart="web"),
            ]
        )
    },
    (("not_believed", "helm release kube-system/x"), ("not_believed", "helm release team/aad-pod-identity")): {
        "a release of somebody who may write in his namespace only": clean(
            Secret=[release(namespace="team"), release("x", hooks=[{"name": "h"}])], ClusterRoleBinding=[]
        )
    },
    ("credential_left", "Secret kube-system/aad-pod-identity-mic"): {
        "the credential of MIC": clean(Secret=[named("aad-pod-identity-mic", "kube-system", {**CHART, **OF_MIC})])
    },
    (
        ("role_left", "ClusterRole aad-pod-identity-mic"),
        ("role_left", "ClusterRole renamed-nmi"),
        ("role_left", "ClusterRoleBinding aad-pod-identity-nmi"),
        ("role_left", "ServiceAccount kube-system/x"),
    ): {
        "roles of the chart": clean(
            ClusterRole=[named("aad-pod-identity-mic", rules=GRANTS), named("renamed-nmi", labels=CHART)],
            ClusterRoleBinding=[named("aad-pod-identity-nmi", roleRef={"name": "aad-pod-identity-nmi"})],
            ServiceAccount=[named("x", "kube-system", CHART)],
        )
    },
    (
        ("role_left", "ClusterRole aad-pod-id-nmi-role"),
        ("role_left", "ClusterRoleBinding aad-pod-id-mic-binding"),
        ("role_left", "ServiceAccount default/aad-pod-id-mic-service-account"),
    ): {
        "roles of the manifests": clean(
            ClusterRole=[named("aad-pod-id-nmi-role", rules=GRANTS)],
            ClusterRoleBinding=[GIVEN],
            ServiceAccount=[named(ACCOUNT["name"], "default")],
        )
    },
    ("budget_left", "PodDisruptionBudget kube-system/mic-pdb"): {
        "a budget": clean(
            PodDisruptionBudget=[named("mic-pdb", "kube-system", spec={"selector": {"matchLabels": OF_MIC}})]
        )
    },
    ("lock_left", "Endpoints default/aad-pod-identity-mic"): {"the lock of the leader": clean(Endpoints=[LOCK])},
    ("settings_left", "ConfigMap kube-system/aad-pod-identity-config"): {
        "settings": clean(ConfigMap=[named("aad-pod-identity-config", "kube-system")])
    },
    (
        ("assignment_not_deleted", LIVE),
        *(("not_believed", one) for one in ("DaemonSet team/nmi", "Deployment team/mic", "Pod team/nmi-x")),
        *(("not_believed", one) for one in ("PodDisruptionBudget team/mic-pdb", f"Endpoints team/{residue.LOCK}")),
        *(
            ("not_believed", f"{kind} team/aad-pod-identity-{name}")
            for kind, name in (("ConfigMap", "config"), ("Secret", "mic"))
        ),
        ("not_believed", "ServiceAccount team/x"),
    ): {
        "what is called and labelled as its parts are": clean(
            DaemonSet=[template("nmi", "", spec=RUNS_NMI)],
            Deployment=[runs(MIC_IMAGE, "mic", 1, "team")],
            Pod=[pod("nmi-x", "", spec=RUNS_NMI)],
            ServiceAccount=[named("x", "team", CHART)],
            PodDisruptionBudget=[named("mic-pdb", "team", spec={"selector": {"matchLabels": OF_MIC}})],
            Endpoints=[named(residue.LOCK, "team", metadata=LED)],
            ConfigMap=[named("aad-pod-identity-config", "team")],
            Secret=[named("aad-pod-identity-mic", "team", {**CHART, **OF_MIC})],
            AzureAssignedIdentity=[going(ASSIGNED)],
        )
    },
    ("label_left", "Deployment team/web"): {"a label": clean(Deployment=[template()], ReplicaSet=[], Pod=[])},
    ("not_read", "Secret"): {
        "a kind that was not read": {kind: several for kind, several in clean().items() if kind != "Secret"}
    },
}
CASES = worlds_by_name(GROUPS)


def left(objects: Objects, unread: dict[str, str] | None = None) -> list[tuple[str, str]]:
    inventory = Inventory(Cluster.parse(objects, {}, unread))
    return [(finding.code, finding.object) for finding in findings.residue(inventory)]


def test_nothing_is_left_of_what_was_never_there() -> None:
    assert left(clean()) == []


@pytest.mark.parametrize("name", CASES)
def test_residue(name: str) -> None:
    objects, expected = CASES[name]
    assert left(objects) == expected


def test_each_code_has_a_case_and_none_is_a_finding_too() -> None:
    assert codes(CASES) == {check.code for check in findings.residue_checks()}


def test_texts() -> None:
    for objects, _expected in CASES.values():
        for finding in findings.residue(Inventory(Cluster.parse(objects, {}))):
            assert finding.message.endswith(".") and finding.remedy.endswith("."), finding
            assert finding.severity in ("error", "warning", "info")


def test_what_may_not_be_read_says_why() -> None:
    objects = {**clean(), "Secret": []}
    inventory = Inventory(Cluster.parse(objects, {}, {"Secret": "The user may not list secrets."}))
    (finding,) = findings.residue(inventory)
    assert (finding.code, finding.object, finding.severity) == ("not_read", "Secret", "error")
    assert finding.message.endswith("The user may not list secrets.")


def test_releases_are_looked_for_by_what_they_made() -> None:
    holder = {"meta.helm.sh/release-name": "identities", "meta.helm.sh/release-namespace": "kube-system"}
    annotated = {"annotations": holder}
    foreign = named("web", "team", metadata={"annotations": {"meta.helm.sh/release-name": "web"}})
    objects = {"ClusterRole": [named("renamed-nmi", labels=CHART, metadata=annotated)], "ServiceAccount": [foreign]}
    assert residue.releases(objects) == {("kube-system", "identities")}
