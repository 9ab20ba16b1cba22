# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of AAD Pod Identity may go from a cluster, and what must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import residue
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import FINALIZER
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.helm_releases import Release
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import marks
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal import removal
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.removal.removal import Observed, Rules
from ansible_collections.azureops.pod_identity.tests.support import cluster_objects as objects
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

RELEASE = Release("pods", "apis", 3, "deployed", "4.1.18", {})
OF_RELEASE = {"meta.helm.sh/release-name": "apis", "meta.helm.sh/release-namespace": "pods"}
OF_AKS = {"addonmanager.kubernetes.io/mode": "Reconcile"}
ID = f"{objects.ID}team-i"


def ours(raw: dict[str, Any], owner: str = "default") -> dict[str, Any]:
    return {**raw, "metadata": {**raw["metadata"], "labels": marks(owner)}}


def assigned(called: str = "web-team-i", /, finalizer: str = FINALIZER, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": called, "namespace": "default", "finalizers": [finalizer] if finalizer else []},
        "spec": {"azureIdentityRef": objects.identity(**spec)},
    }


def named(name: str, namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}}


def by_flux(controller: str) -> dict[str, str]:
    return {f"{controller}.toolkit.fluxcd.io/{key}": key for key in ("name", "namespace")}


def cluster(**kinds: Any) -> Observed:
    return Observed({kind: tuple(found) for kind, found in kinds.items()})


NMI = [ours(named("nmi"))]


def labels(parts: list[str], observed: Observed, rules: Rules) -> list[str]:
    return [each.summary for each in removal.decide(parts, observed, rules)]


def test_what_goes_and_in_which_order() -> None:
    observed = cluster(
        AzureIdentity=[ours(objects.identity())],
        AzurePodIdentityException=[ours(named("agents"))],
        AzureAssignedIdentity=[assigned(), assigned("old", finalizer="")],
        CustomResourceDefinition=[{"metadata": {"name": "azureidentities.aadpodidentity.k8s.io"}}],
        ConfigMap=[named(residue.SETTINGS)],
    )
    shuffled = ["remains", "definitions", "identities", "assigned", "exceptions"]
    assert labels(shuffled, observed, Rules(clean=frozenset({ID.lower()}))) == [
        "delete AzureAssignedIdentity default/web-team-i and take MIC's finalizer from it",
        "delete AzureAssignedIdentity default/old",
        "delete AzurePodIdentityException default/agents",
        "delete AzureIdentity team/i",
        "delete CustomResourceDefinition azureidentities.aadpodidentity.k8s.io",
        "delete ConfigMap default/aad-pod-identity-config",
    ]
    assert labels(["exceptions"], observed, Rules()) == ["delete AzurePodIdentityException default/agents"]
    assert labels(shuffled, Observed(), Rules()) == []


def test_what_a_tenant_holds_stops_nothing_but_the_definitions() -> None:
    """It is gone for MIC, and its identity still has to be proved clean."""
    metadata = {"deletionTimestamp": "T", "finalizers": ["theirs/hold"]}
    raw = assigned()
    held = {**raw, "metadata": {**raw["metadata"], **metadata}}
    definition = {"metadata": {"name": "azureidentities.aadpodidentity.k8s.io"}}
    found = {"AzureAssignedIdentity": [held], "AzureIdentity": [ours(objects.identity())]}
    found |= {"CustomResourceDefinition": [definition], "ConfigMap": [named(residue.SETTINGS)]}
    observed, parts = Observed.parse(found), list(removal.PARTS)
    assert labels(parts, observed, Rules(clean=frozenset({ID.lower()}))) == [
        "delete AzureIdentity team/i",
        "delete ConfigMap default/aad-pod-identity-config",
    ]
    with pytest.raises(Failure, match="It is not proved that the identity of AzureAssignedIdentity default/web-team-i"):
        removal.decide(parts, observed, Rules())
    (row,) = [each for each in removal.rows(observed, Rules()) if each["kind"] == "AzureAssignedIdentity"]
    assert (row["terminating"], row["foreign_finalizers"]) == (True, ["theirs/hold"])
    assert removal.attached(observed) == [ID.lower()]
    for other in ({"finalizers": ["theirs/hold"]}, {**metadata, "finalizers": [FINALIZER, "theirs/hold"]}):
        still = {**raw, "metadata": {**raw["metadata"], "deletionTimestamp": None, **other}}
        assert not removal.is_held("AzureAssignedIdentity", still)


@for_each(
    (["assigned"], cluster(AzureAssignedIdentity=[assigned()]), "It is not proved that the identity of"),
    (
        *(["assigned"], cluster(AzureAssignedIdentity=[assigned(type=1)], AzureIdentityBinding=[objects.binding()])),
        "while AzureIdentityBinding team/b is there",
    ),
    (["identities"], cluster(AzureAssignedIdentity=[assigned()]), "while AzureAssignedIdentity default/web-team-i"),
    (["identities"], cluster(AzureIdentity=[objects.identity()]), "AzureIdentity team/i do not carry the labels"),
    (["identities"], cluster(AzureIdentity=[ours(objects.identity(), "b")]), "with the owner 'default'"),
    (["definitions"], cluster(AzureIdentity=[ours(objects.identity())]), "while AzureIdentity team/i is there"),
    (["definitions"], cluster(AzureIdentityBinding=[ours(objects.binding())]), "AzureIdentityBinding team/b is"),
    (["definitions"], Observed(programs=("DaemonSet x/nmi",)), "while DaemonSet x/nmi is there"),
    (["remains"], Observed(programs=("Deployment x/mic",)), "while Deployment x/mic is there"),
    (["programs"], cluster(DaemonSet=[named("nmi")]), "DaemonSet default/nmi do not carry the labels"),
    (["programs"], cluster(DaemonSet=NMI, AzureIdentity=[objects.identity()]), "every pod could take them without NMI"),
    (
        ["programs"],
        cluster(DaemonSet=NMI, AzureAssignedIdentity=[assigned()]),
        "while AzureAssignedIdentity default/web",
    ),
)
def test_what_is_refused(parts: list[str], observed: Observed, sentence: str) -> None:
    with pytest.raises(Failure) as raised:
        removal.decide(parts, observed, Rules())
    assert sentence in raised.value.sentence


def test_what_an_earlier_task_removes_does_not_stand_in_the_way() -> None:
    bound = {"AzureIdentityBinding": [objects.binding()], "AzureIdentity": [ours(objects.identity())]}
    observed = cluster(AzureAssignedIdentity=[assigned()], **bound)
    running = replace(observed, programs=("Deployment x/mic",))
    everything = removal.without(running, ["programs", "bindings", "assigned"])
    assert labels(list(removal.PARTS), everything, Rules()) == ["delete AzureIdentity team/i"]
    with pytest.raises(Failure):
        labels(["identities"], removal.without(observed, ["programs", "bindings"]), Rules())


def test_mic_goes_before_nmi_and_what_they_left_behind_both() -> None:
    found = {"DaemonSet": [runs("nmi")], "Deployment": [runs("mic"), runs("web")]}
    found |= {"ConfigMap": [named(residue.SETTINGS)], "AzureIdentity": [objects.identity()]}
    observed = Observed.parse(found)
    assert observed.programs == ("Deployment default/mic", "DaemonSet default/nmi")
    everything = Rules(everything=True, clean=frozenset({ID.lower()}))
    assert labels(["remains", "programs"], observed, everything) == [
        "delete Deployment default/mic",
        "delete DaemonSet default/nmi",
        "delete ConfigMap default/aad-pod-identity-config",
    ]
    gone = removal.without(observed, ["programs"])
    assert labels(["remains", "programs"], gone, Rules()) == ["delete ConfigMap default/aad-pod-identity-config"]


def test_what_a_tenant_calls_so_neither_goes_nor_stands_in_the_way() -> None:
    flux = by_flux("kustomize")
    subjects = [{"kind": "ServiceAccount", "namespace": "pods", "name": "x"}]
    given = {"roleRef": {"name": "aad-pod-id-mic-role"}, "subjects": subjects}
    spared = {"spec": {"selector": {"matchLabels": {"app.kubernetes.io/component": "mic"}}}}
    found = {
        "ClusterRoleBinding": [{"metadata": {"name": "aad-pod-id-mic-binding"}, **given}],
        "DaemonSet": [{**runs("nmi"), "metadata": {"name": "nmi", "namespace": "team", "labels": {**OF_AKS, **flux}}}],
        "Deployment": [{**runs("mic"), "metadata": {"name": "mic", "namespace": "team"}}],
        "ConfigMap": [
            named(residue.SETTINGS, "team", annotations={**OF_RELEASE, "meta.helm.sh/release-namespace": "team"}),
            named(residue.SETTINGS, "pods"),
        ],
        "PodDisruptionBudget": [{**named("mic-pdb", "team"), **spared}],
    }
    observed = Observed.parse(found, named=["other"])
    assert (observed.programs, observed.addon, observed.reconciled_by) == ((), (), ())
    assert observed.namespaces == ("other",)
    for rules in (Rules(), Rules(everything=True, clean=frozenset({ID.lower()}))):
        assert labels(list(removal.PARTS), observed, rules) == [
            "delete ConfigMap pods/aad-pod-identity-config",
            "delete ClusterRoleBinding aad-pod-id-mic-binding",
        ]
    assert [each.label for each in observed.doubts] == [
        "DaemonSet team/nmi",
        "Deployment team/mic",
        "PodDisruptionBudget team/mic-pdb",
        "ConfigMap team/aad-pod-identity-config",
    ]
    assert len(Observed.parse(found, named=["team"]).doubts) == 0


def runs(program: str, **metadata: Any) -> dict[str, Any]:
    containers = [{"image": f"mcr.microsoft.com/oss/azure/aad-pod-identity/{program}:v1.8.17"}]
    return {**named(program, **metadata), "spec": {"template": {"spec": {"containers": containers}}}}


@for_each(
    ({}, ""),
    ({"annotations": OF_RELEASE}, ""),
    ({"labels": by_flux("kustomize")}, "managed by Flux, Kustomization namespace/name"),
    ({"labels": by_flux("helm")}, "managed by Flux, HelmRelease namespace/name"),
    ({"labels": {"argocd.argoproj.io/instance": "platform"}}, "managed by Argo CD, Application platform"),
    (
        {"annotations": {"argocd.argoproj.io/tracking-id": "platform:apps/DaemonSet:default/nmi"}},
        "managed by Argo CD, Application platform",
    ),
    ({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "the AKS add-on"),
)
def test_who_would_bring_it_back(metadata: dict[str, Any], keeper: str) -> None:
    observed = Observed.parse({"DaemonSet": [runs("nmi", **metadata)]})
    assert observed.reconciled_by == ((f"DaemonSet default/nmi ({keeper})",) if keeper else ())


def test_what_aks_manages_is_left_to_its_addon() -> None:
    def of_aks(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "metadata": {**raw["metadata"], "labels": OF_AKS}}

    definition = {"metadata": {"name": "azureidentities.aadpodidentity.k8s.io"}}
    nmi, own = ("DaemonSet kube-system/nmi",), ours(objects.identity("own"))
    observed = replace(
        cluster(
            AzureIdentity=[of_aks(objects.identity()), own],
            AzurePodIdentityException=[of_aks(named("agents"))],
            CustomResourceDefinition=[definition],
            ConfigMap=[named(residue.SETTINGS)],
        ),
        programs=("Deployment x/mic", *nmi),
        addon=nmi,
    )
    first = [(row["name"], row["by_aks"], row["removable"]) for row in removal.rows(observed, Rules())[:2]]
    assert first == [("i", True, True), ("own", False, True)]
    assert [each["metadata"]["name"] for each in removal.documents(observed)] == ["own"]
    assert labels(["identities", "exceptions"], observed, Rules()) == ["delete AzureIdentity team/own"]
    with pytest.raises(Failure):
        labels(["definitions"], observed, Rules())

    # The definitions that it takes away take with them what others have made of their kinds.
    off, everything = removal.without(observed, ["addon"]), list(removal.PARTS)
    assert (off.programs, off.addon) == (("Deployment x/mic",), ())
    left = labels(everything, removal.without(off, ["programs"]), Rules())
    assert left == ["delete ConfigMap default/aad-pod-identity-config"]

    # What it has left behind nobody manages any more.
    unmanaged = replace(observed, programs=(), addon=())
    assert len(labels(everything, unmanaged, Rules())) == 5
    assert len(removal.documents(unmanaged)) == 3


def test_no_finalizer_is_taken_for_an_identity_that_is_not_proved_clean() -> None:
    observed = cluster(AzureAssignedIdentity=[assigned(), assigned("other", name="j"), assigned("secret", type=1)])
    with pytest.raises(Failure) as raised:
        removal.decide(["assigned"], observed, Rules(everything=True, clean=frozenset({ID.lower()})))
    assert raised.value.results["unproved"] == [f"AzureAssignedIdentity default/other ({objects.ID}team-j)"]


def test_whose_an_object_is() -> None:
    theirs, released = objects.identity(), objects.identity("r")
    released["metadata"]["annotations"].update(OF_RELEASE)
    observed = cluster(AzureIdentity=[theirs, released, ours(objects.identity("o"), "a")])
    rows = removal.rows(replace(observed, releases=(RELEASE,)), Rules(owner="a"))
    assert {row["name"]: row["removable"] for row in rows} == {"i": False, "r": True, "o": True}
    assert [row["removable"] for row in removal.rows(observed, Rules(everything=True))] == [True] * 3


def test_what_goes_with_its_release_or_with_the_addon_is_not_removed_by_itself() -> None:
    """Of what is left; test_residue.py tells it from what is others'."""
    grants = {"rules": [{"apiGroups": ["aadpodidentity.k8s.io"]}]}
    chart = {"helm.sh/chart": "aad-pod-identity-4.1.18", "app.kubernetes.io/component": "mic"}
    gone = {**OF_RELEASE, "meta.helm.sh/release-name": "gone"}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "hidden"}
    credential = {"data": {"ClientSecret": "aGlkZGVu"}}
    nmi = {"spec": {"template": {"spec": {"containers": [{"image": "mcr.microsoft.com/nmi:1"}]}}}}
    found = {
        "DaemonSet": [{**named("nmi", "kube-system", labels=OF_AKS), **nmi}],
        "AzureIdentity": [objects.identity()],
        "ClusterRole": [
            {**named("aad-pod-id-mic-role", ""), **grants},
            {**named("aad-pod-identity-nmi", "", annotations=OF_RELEASE), **grants},
            {**named("aad-pod-identity-mic", "", annotations=gone), **grants},
            {**named("aad-pod-id-nmi-role", "", labels=OF_AKS), **grants},
        ],
        "Secret": [
            {**named("aad-pod-identity-mic", "pods", labels=chart, annotations=applied), **credential},
            objects.release("apis", namespace="pods"),
        ],
    }
    observed = Observed.parse(found)
    assert observed.programs == observed.addon == ("DaemonSet kube-system/nmi",)
    assert [each.label for each in observed.releases] == ["pods/apis"]
    names = ["i", "aad-pod-identity-mic", "aad-pod-id-mic-role", "aad-pod-identity-mic"]
    assert [row["name"] for row in removal.rows(observed, Rules())] == names
    assert "hidden" not in str(observed) and "aGlkZGVu" not in str(observed)
    abandoned = Observed.parse({**found, "DaemonSet": []})
    assert "aad-pod-id-nmi-role" in [row["name"] for row in removal.rows(abandoned, Rules())]


@for_each(
    ("AzureIdentity", None, []),
    ("AzureIdentity", [], []),
    ("AzureIdentity", ["theirs/hold", "old"], ["theirs/hold", "old"]),
    ("AzureIdentity", [FINALIZER], [FINALIZER]),  # MIC takes it from no other kind
    ("AzureAssignedIdentity", [FINALIZER, "theirs/hold"], ["theirs/hold"]),
    ("CustomResourceDefinition", ["customresourcecleanup.apiextensions.k8s.io"], []),
    ("Deployment", ["foregroundDeletion", "orphan", "theirs/hold"], ["theirs/hold"]),
)
def test_whose_finalizers_are_foreign(kind: str, finalizers: list[str] | None, foreign: list[str]) -> None:
    live = {"metadata": {"name": "i", "namespace": "team", "finalizers": finalizers}}
    (row,) = removal.rows(cluster(**{kind: [live]}), Rules(everything=True))
    assert row["foreign_finalizers"] == foreign


def test_objects_can_be_applied_again() -> None:
    live = ours(objects.identity(clientPassword={"name": "p", "namespace": "vault"}))
    live["metadata"].update(uid="1", resourceVersion="2", finalizers=["x"], deletionTimestamp="now")
    observed = cluster(AzureIdentity=[live], AzureAssignedIdentity=[assigned(), assigned("sp", type=1)])
    (document,) = removal.documents(observed)
    assert document["apiVersion"] == "aadpodidentity.k8s.io/v1" and document["kind"] == "AzureIdentity"
    assert document["metadata"] == {"name": "i", "namespace": "team", "labels": marks("default")}
    assert document["spec"] == live["spec"]
    assert removal.attached(observed) == [ID.lower()]


def test_which_secrets_may_go() -> None:
    """Whoever may write an AzureIdentity may name any Secret."""

    def named(name: str, place: dict[str, str], **spec: Any) -> Any:
        identity = objects.identity(**{"type": 1, "clientPassword": place, **spec})
        return {**identity, "metadata": {**identity["metadata"], "name": name}}

    team = objects.identity()["metadata"]["namespace"]
    several = [
        ours(named("own", {"name": "own", "namespace": team})),
        ours(named("short", {"name": "short"})),
        ours(named("other", {"name": "database", "namespace": "production"})),
        ours(named("managed", {"name": "managed", "namespace": team}, type=0)),
        ours(named("path", {"name": "..", "namespace": team})),
        ours(named("shared", {"name": "shared", "namespace": team})),
        named("theirs", {"name": "shared", "namespace": team}),
    ]
    found = cluster(AzureIdentity=several)
    going, stays = removal.credentials(found, Rules())
    assert going == [f"{team}/own", f"{team}/short"]
    assert stays == sorted(["production/database", f"{team}/shared"])
    assert removal.credentials(found, Rules(everything=True))[0] == [f"{team}/own", f"{team}/shared", f"{team}/short"]
