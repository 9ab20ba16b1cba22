# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which workloads a cluster has, what they get, and how the installation that decides it is recognized."""

from __future__ import annotations

import typing as t

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import workloads
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching import inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import Pod, Rules
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    binding,
    exception,
    healthy,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each


def labels(templates: dict[str, list[Raw]], pods: list[Raw]) -> list[tuple[str, int]]:
    found = workloads.find(templates, [Pod.parse(raw) for raw in pods])
    return [(workload.label, len(workload.pods)) for workload in found]


def test_pods_belong_to_the_top_of_their_templates() -> None:
    templates = {
        "Deployment": [template("web")],
        "ReplicaSet": [template("web-1", owner=("Deployment", "web")), template("bare")],
        "CronJob": [{"metadata": {"name": "night", "namespace": "team"}, "spec": {"jobTemplate": {"spec": {}}}}],
        "Job": [template("night-1", owner=("CronJob", "night")), template("once")],
    }
    pods = [
        pod("web-1-a", owner=("ReplicaSet", "web-1")),
        pod("web-1-b", owner=("ReplicaSet", "web-1")),
        pod("night-1-a", owner=("Job", "night-1")),
        pod("alone"),
    ]
    assert labels(templates, pods) == [
        ("CronJob team/night", 1),
        ("Deployment team/web", 2),
        ("Job team/once", 0),
        ("Pod team/alone", 1),
        ("ReplicaSet team/bare", 0),
    ]


def test_owners_of_unknown_kinds() -> None:
    templates = {
        "ReplicaSet": [
            template("r-1", owner=("Rollout", "r"), replicas=0),
            template("r-2", owner=("Rollout", "r"), replicas=2),
        ]
    }
    pods = [
        pod("r-2-a", owner=("ReplicaSet", "r-2")),
        pod("kafka-0", owner=("StrimziPodSet", "kafka")),
        pod("kafka-1", owner=("StrimziPodSet", "kafka")),
        pod("kafka-2", "y", owner=("StrimziPodSet", "kafka")),
    ]
    assert labels(templates, pods) == [
        ("ReplicaSet team/r-2", 1),
        ("StrimziPodSet team/kafka", 2),
        ("StrimziPodSet team/kafka", 1),
    ]
    found = workloads.find(templates, [])
    assert [workload.owner for workload in found] == ["Rollout r"]


def test_the_last_state_of_an_owner_at_nothing() -> None:
    """Its pods come back with it; those of earlier states do not."""

    def of(name: str, owner: str, **more: t.Any) -> Raw:
        made = template(name, owner=("Rollout", owner), replicas=0)
        return {**made, "metadata": {**made["metadata"], **more}}

    sets = [
        of("r-2", "r", annotations={"rollout.argoproj.io/revision": "10"}),
        of("r-1", "r", annotations={"rollout.argoproj.io/revision": "9"}),
        of("s-1", "s", creationTimestamp="2026-01-01T00:00:00Z"),
        of("s-2", "s", creationTimestamp="2026-01-02T00:00:00Z"),
    ]
    assert labels({"ReplicaSet": sets}, []) == [("ReplicaSet team/r-2", 0), ("ReplicaSet team/s-2", 0)]
    # What is no revision counts each for itself.
    assert labels({"StatefulSet": sets[:2]}, []) == [("StatefulSet team/r-1", 0), ("StatefulSet team/r-2", 0)]


def test_templates_that_own_each_other_end() -> None:
    templates = {"ReplicaSet": [template("a", owner=("ReplicaSet", "b")), template("b", owner=("ReplicaSet", "a"))]}
    assert labels(templates, [pod(owner=("ReplicaSet", "a"))]) == []


def test_a_row() -> None:
    objects = healthy()
    objects["Deployment"].append(template("api", "y"))
    whole = Inventory(Cluster.parse(objects, {}))
    web = next(one for one in whole.cluster.workloads if one.name == "web")
    known = {"namespace": "team", "name": "i", "binding": "b", "type": 0, "client_id": "client-team-i"}
    plain = {"namespace": "team", "kind": "Deployment", "name": "web", "owner": "", "selector": "x", "pods": 1}
    plain |= {"exceptions": [], "host_network": False, "taken_for_mic": False, "service_account": "web"}
    assert whole.row(web) == {
        **plain,
        "identities": [{**known, "resource_id": identity()["spec"]["resourceID"]}],
        "default": {"statuses": [200], "answers": ["token"], "identities": ["team/i"], "deterministic": True},
        "service_account_shared_with": 1,
        "federated_subject": "system:serviceaccount:team:web",
    }
    assert whole.assignments() == {"computed": 1, "live": 1, "equal": 1}
    (row,) = map(whole.identity_row, whole.cluster.identities)
    assert row["federated_subjects"] == ["system:serviceaccount:team:web"]


def test_the_default_of_several() -> None:
    objects = healthy()
    objects["AzureIdentity"].append(identity("j"))
    objects["AzureIdentityBinding"].append(binding("c", "j"))
    whole = Inventory(Cluster.parse(objects, {}))
    row = whole.row(whole.cluster.workloads[0])
    assert row["default"]["identities"] == ["team/i", "team/j"] and row["default"]["deterministic"] is False
    assert whole.assignments() == {"computed": 2, "live": 1, "equal": 1}
    objects["AzurePodIdentityException"] = [exception(app="web")]
    row = (covered := Inventory(Cluster.parse(objects, {}))).row(covered.cluster.workloads[0])
    assert row["exceptions"] == ["e"]
    assert row["default"] == {"statuses": [200], "answers": ["node_token"], "identities": [], "deterministic": True}


def runs(image: str, *arguments: str, **environment: str) -> Raw:
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    container = {"image": image, "args": list(arguments), "env": variables}
    return {"metadata": {"name": "n"}, "spec": {"template": {"spec": {"containers": [container]}}}}


@for_each(
    ([], [], {}, Rules()),
    ([runs("r/nmi:v1.7.4")], [runs("r/mic:v1.7.4")], {}, Rules(version=(1, 7, 4))),
    ([runs("r/nmi@sha256:00", "--operation-mode=managed", "--forceNamespaced")], [], {}, Rules("managed", True)),
    ([runs("r/nmi:latest")], [runs("r/mic:x", FORCENAMESPACED="true")], {}, Rules(force_namespaced=True)),
    ([runs("r/nmi:latest", FORCENAMESPACED="false")], [], {}, Rules()),
    (
        [runs("r/nmi:1.8.2", "--MICNamespace=kube-system", "--set-retry-after-header=true")],
        [],
        {"mode": None, "force_namespaced": None, "version": None},
        Rules(version=(1, 8, 2), mic_namespace="kube-system", retry_after=True),
    ),
    (
        [runs("r/nmi:1.8.2", "--operation-mode=managed", "--forceNamespaced")],
        [],
        inventory.settings("standard", False, "v1.8.17"),
        Rules(),
    ),
)
def test_how_the_installation_decides(
    nmi: list[Raw], mic: list[Raw], settings: dict[str, t.Any], expected: Rules
) -> None:
    assert inventory.rules(nmi, mic, settings) == expected


def test_it_tells_of_the_namespaces_that_are_named_and_computes_from_all() -> None:
    objects = {**healthy(), "AzureIdentity": [identity(), identity("k", namespace="quiet")]}
    objects["Deployment"] += [template("web", namespace="other"), template("idle", selector="", namespace="other")]

    def told(*namespaces: str) -> tuple[list[str], list[str]]:
        found = Inventory(Cluster.parse(objects, {}), namespaces)
        places = [f"{row['namespace']}/{row['name']}" for row in found.workload_rows()]
        return sorted(places), [row["name"] for row in found.identity_rows()]

    assert told("team") == (["other/web", "team/web"], ["i"])
    assert told("other") == (["other/idle", "other/web"], [])
    assert told("quiet") == ([], ["k"])
    assert told() == ([], [])
    only = Inventory(Cluster.parse(objects, {}), ["other"])
    assert {row["name"]: len(row["identities"]) for row in only.workload_rows()} == {"web": 1, "idle": 0}
    assert only.assignments() == Inventory(Cluster.parse(objects, {})).assignments()


def test_a_workload_of_a_tenant_says_nothing_of_the_installation() -> None:
    theirs = template("nmi", "", spec={"containers": [{"image": "x/nmi:v1.6.0", "args": ["--operation-mode=managed"]}]})
    objects = {"DaemonSet": [theirs], "ClusterRoleBinding": []}
    assert Cluster.parse(objects, {}).rules == Rules()
    assert Cluster.parse(objects, {}, named=["team"]).rules.mode == "managed"
    assert Cluster.parse({"DaemonSet": [theirs]}, {}).rules.mode == "managed"
