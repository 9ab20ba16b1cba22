# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node pools that the pods of a workload may come to."""

from __future__ import annotations

from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.pools import nodes_to_try

SET = "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets"


def node(name: str, pool: str = "", ready: bool = True, made: int = 1, **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.azure.com/agentpool": pool} if pool else {}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": f"2026-11-{made:02}T10:00:00Z"},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def test_the_youngest_of_each_pool() -> None:
    nodes = [node("a1", "apps"), node("a2", "apps", made=3), node("a3", "apps", made=2), node("s1", "system")]
    assert nodes_to_try({}, nodes) == ("a2", "s1")


def test_a_pool_without_label_is_its_scale_set() -> None:
    ids = [f"{SET}/{name}/virtualMachines/{number}" for name in ("one", "TWO") for number in (0, 1)]
    nodes = [node(f"n{number}", providerID=each) for number, each in enumerate(ids)]
    assert nodes_to_try({}, nodes) == ("n0", "n2")
    assert nodes_to_try({}, [node("x"), node("y")]) == ("x", "y")


def test_only_where_its_pods_may_come_to_now() -> None:
    tainted: dict[str, Any] = {"taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]}
    nodes = [
        node("cordoned", "a", unschedulable=True),
        node("lost", "b", ready=False),
        node("tainted", "c", **tainted),
        node("free", "d"),
    ]
    nodes[0]["spec"]["taints"] = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    assert nodes_to_try({}, nodes) == ("free",)
    assert nodes_to_try({"tolerations": [{"key": "sku", "operator": "Exists"}]}, nodes) == ("tainted", "free")
    assert nodes_to_try({"nodeSelector": {"kubernetes.azure.com/agentpool": "b"}}, nodes) == ()


def test_no_node_without_linux() -> None:
    nodes = [node("windows", "a"), node("virtual", "b"), node("plain", "c")]
    nodes[0]["metadata"]["labels"]["kubernetes.io/os"] = "windows"
    nodes[1]["metadata"]["labels"]["type"] = "virtual-kubelet"
    assert nodes_to_try({}, nodes) == ("plain",)
