# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of a workload: its owner, how its pods are replaced, and what its namespace asks of them."""

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.places import Places, policies
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import Raw
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

from .migration_world import Made, made, metadata, template


def told(*changes: t.Callable[[Made], object]) -> dict[str, t.Any]:
    (found,) = made(*changes).data()["templates"]
    return t.cast("dict[str, t.Any]", found)


def marked(**more: t.Any) -> t.Callable[[Made], None]:
    return lambda one: one.objects["Deployment"][0]["metadata"].update(more)


RELEASE = {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"}
FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


@table(
    "marks, kind, name",
    ({}, "", ""),
    ({"managedFields": [{"manager": "kubectl-client-side-apply"}]}, "", ""),
    ({"annotations": RELEASE}, "helm", "shop/web"),
    ({"labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "old"}}, "helm", "old"),
    ({"managedFields": [{"manager": "helm"}]}, "helm", ""),
    ({"annotations": RELEASE, "labels": FLUX}, "flux", "Kustomization flux-system/apps"),
    ({"managedFields": [{"manager": "kustomize-controller"}]}, "flux", ""),
    ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:team/web"}}, "argo", "shop"),
    ({"managedFields": [{"manager": "argocd-controller"}]}, "argo", ""),
    ({"labels": {"kubernetes.azure.com/managedby": "aks"}}, "addon", ""),
    ({"ownerReferences": [{"kind": "Database", "name": "x", "controller": True}]}, "operator", "Database x"),
)
def test_owner(marks: Raw, kind: str, name: str) -> None:
    assert told(marked(**marks))["owner"] == {"kind": kind, "name": name}


@table(
    "kind, spec, surge",
    ("Deployment", {}, True),
    ("Deployment", {"replicas": 1}, True),
    ("Deployment", {"strategy": {"type": "Recreate"}}, False),
    ("StatefulSet", {"replicas": 3}, False),
    ("StatefulSet", {"replicas": 1}, False),
    ("StatefulSet", {}, False),
    ("StatefulSet", {"replicas": 0}, True),
    ("StatefulSet", {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}, False),
    ("DaemonSet", {}, True),
    ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}, True),
    ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, False),
    ("ReplicaSet", {"replicas": 2}, False),
    ("CronJob", {}, True),
    ("Job", {}, False),
)
def test_rollout(kind: str, spec: Raw, surge: bool) -> None:
    def change(one: Made) -> None:
        pods = {"jobTemplate": {"spec": {"template": template()}}} if kind == "CronJob" else {"template": template()}
        one.objects["Deployment"] = one.objects["Deployment"][1:]
        one.objects["Pod"] = one.objects["Pod"][1:]
        one.objects["ReplicaSet"] = one.objects["ReplicaSet"][1:]
        one.objects[kind].append({"metadata": metadata("only"), "spec": {**spec, **pods}})

    found = told(change)
    assert (found["name"], found["rollout"]["surge"]) == ("only", surge)


@table(
    "modes, replicas, surge",
    (["ReadWriteOnce"], 1, False),
    (["ReadWriteOncePod"], 1, False),
    (["ReadWriteMany"], 1, True),
    (["ReadWriteOnce", "ReadOnlyMany"], 1, True),
    (["ReadWriteOnce"], 2, True),
)
def test_volumes_that_one_node_alone_may_have(modes: list[str], replicas: int, surge: bool) -> None:
    def change(one: Made) -> None:
        one.objects["Deployment"][0]["spec"]["replicas"] = replicas
        one.web["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
        one.objects["PersistentVolumeClaim"] = [{"metadata": metadata("data"), "spec": {"accessModes": modes}}]

    assert told(change)["rollout"]["surge"] is surge


def test_budgets_that_select_its_pods() -> None:
    def change(one: Made) -> None:
        one.objects["PodDisruptionBudget"] = [
            {"metadata": metadata("mine"), "spec": {"selector": {"matchLabels": {"app": "web"}}}},
            {"metadata": metadata("all"), "spec": {"selector": {}}},
            {"metadata": metadata("none"), "spec": {}},
            {"metadata": metadata("others"), "spec": {"selector": {"matchLabels": {"app": "db"}}}},
            {"metadata": metadata("elsewhere", "other"), "spec": {"selector": {}}},
        ]

    assert told(change)["rollout"]["budgets"] == ["all", "mine"]


def quota(**hard: str) -> Raw:
    return {"metadata": metadata("q"), "spec": {"hard": {key.replace("_", "."): each for key, each in hard.items()}}}


def limits(**more: t.Any) -> Raw:
    return {"metadata": metadata("l"), "spec": {"limits": [{"type": "Container", **more}]}}


@table(
    "quotas, ranges, unset",
    ([], [], ()),
    ([quota(pods="3", requests_storage="1Gi")], [], ()),
    ([quota(cpu="1")], [], ("requests.cpu",)),
    ([quota(limits_memory="1Gi", memory="1Gi")], [], ("limits.memory", "requests.memory")),
    ([quota(cpu="1")], [limits(defaultRequest={"cpu": "1"})], ()),
    ([quota(cpu="1", limits_cpu="2")], [limits(default={"cpu": "1"})], ()),
    ([quota(cpu="1")], [limits(type="Pod", default={"cpu": "1"})], ("requests.cpu",)),
)
def test_what_quotas_want_of_containers(quotas: list[Raw], ranges: list[Raw], unset: tuple[str, ...]) -> None:
    assert Places({"ResourceQuota": quotas, "LimitRange": ranges})["team"].unset == unset
    assert Places({"ResourceQuota": quotas})["team"].unset is None


GATE = "K8sLabels.constraints.gatekeeper.sh"


@table(
    "match, looks",
    ({}, True),
    ({"kinds": [{"kinds": ["Service"]}]}, False),
    ({"kinds": [{"kinds": ["Deployment"]}]}, True),
    ({"kinds": [{"kinds": ["*"]}]}, True),
    ({"namespaces": ["team"]}, True),
    ({"namespaces": ["other"]}, False),
    ({"excludedNamespaces": ["te*"]}, False),
    ({"excludedNamespaces": ["*am"]}, False),
    ({"namespaces": ["*ea*"]}, True),
    ({"namespaceSelector": {"matchLabels": {"tier": "x"}}}, True),
    ({"namespaceSelector": {"matchLabels": {"tier": "y"}}}, False),
)
def test_constraints_of_gatekeeper(match: Raw, looks: bool) -> None:
    objects = {GATE: [{"metadata": {"name": "all"}, "spec": {"match": match}}]}
    found = policies("Deployment", "team", {"tier": "x"}, objects)
    assert found == (("K8sLabels all",) if looks else ())


def test_policies_of_others() -> None:
    rules = {"matchConstraints": {"resourceRules": [{"resources": ["pods"]}]}}
    admission: list[Raw] = [{"metadata": {"name": "a"}, "spec": rules}, {"metadata": {"name": "b"}, "spec": {}}]
    objects: dict[str, list[Raw]] = {
        "ValidatingAdmissionPolicy": admission,
        "ClusterPolicy": [{"metadata": {"name": "c"}}],
        "Policy": [{"metadata": metadata("mine")}, {"metadata": metadata("theirs", "other")}],
        "Deployment": [{"metadata": metadata("web")}],
    }
    found = policies("Deployment", "team", None, objects)
    assert found == ("ClusterPolicy c", "Policy team/mine", "ValidatingAdmissionPolicy a")
