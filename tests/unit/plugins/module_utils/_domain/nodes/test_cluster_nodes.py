# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import protected_identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import cluster_nodes
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.cluster_nodes import (
    NmiOnNode,
    Node,
    ScaleSet,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

GROUP = "/subscriptions/5e1c/resourceGroups/MC_rg_shop/providers"
SET = f"{GROUP}/Microsoft.Compute/virtualMachineScaleSets/aks-pool-1-vmss"
IDENTITY = f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities"
NODE_GROUP = GROUP.partition("/providers")[0]
MACHINE = f"{GROUP}/Microsoft.Compute/virtualMachines/aks-pool-1"
MISSING = NmiOnNode("missing")
ACTIVE = NmiOnNode("active", "nmi-1", "DaemonSet default/nmi")


def raw(name: str = "n1", *, ready: str = "True", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **labels}},
        "spec": {"providerID": f"azure://{SET.lower()}/virtualMachines/7"},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-31T08:15:00Z"}],
            "addresses": [{"type": "InternalIP", "address": "10.224.0.4"}, {"type": "Hostname", "address": name}],
        },
    }


def test_node_as_the_api_server_tells_of_it() -> None:
    node = cluster_nodes.from_kubernetes(raw(), MISSING, node_group=NODE_GROUP)
    assert (node.name, node.instance_id, node.addresses) == ("n1", "7", ("10.224.0.4",))
    assert node.scale_set == SET.lower()
    assert (node.ready, node.ready_since) == (True, "2026-01-31T08:15:00Z")
    assert node.transports() == ("ssh", "aks_node_pod", "vmss_run_command")
    assert (node.boot_id, node.cordoned, node.labels) == ("", False, {"kubernetes.io/os": "linux"})


def test_no_command_is_run_where_a_node_says_that_it_is_elsewhere() -> None:
    for group in (NODE_GROUP.replace("/MC_", "/mc_other_"), NODE_GROUP + "x", ""):
        node = cluster_nodes.from_kubernetes(raw(), MISSING, node_group=group)
        assert node.transports() == ("ssh", "aks_node_pod"), group


@for_each(
    "-oProxyCommand=id",
    "-F/tmp/x",
    "10.0.0.4 -oProxyCommand=id",
    "fe80::1%$(id)",
    "$(id)",
    "10.0.0.4;id",
    "root@10.0.0.4",
    "ssh://10.0.0.4",
    "10.0.0.4\n",
    "{{ lookup('env', 'HOME') }}",
    "nöde",
    "a" * 254,
    "",
)
def test_what_is_no_address_contacts_nobody(address: str) -> None:
    """Not even where a good address stands beside it."""
    good = {"type": "InternalIP", "address": "10.224.0.4"}
    body = {**raw(), "status": {"addresses": [good, {"type": "ExternalIP", "address": address}]}}
    node = cluster_nodes.from_kubernetes(body, MISSING)
    assert (node.addresses, node.odd_addresses) == ((), (address,))
    assert "ssh" not in node.transports()
    assert node.view()["odd_addresses"] == [address] and node.view()["addresses"] == []
    assert cluster_nodes.oddity(node).startswith(
        f"Node n1 is not reached by ssh, because it calls {address!r} its address"
    )


@pytest.mark.parametrize("address", ["10.224.0.4", "fd00::4", "n1.internal.example", "AKS-1", "a_b"])
def test_what_is_an_address(address: str) -> None:
    body = {**raw(), "status": {"addresses": [{"type": "InternalIP", "address": address}]}}
    node = cluster_nodes.from_kubernetes(body, MISSING)
    assert (node.addresses, node.odd_addresses, cluster_nodes.oddity(node)) == ((address,), (), "")


@pytest.mark.parametrize("name", ["-oproxycommand=id", "", "a,b", "a b", "all:!x", "a[1:9]", "node\n"])
def test_a_name_that_no_host_has_is_told(name: str) -> None:
    body = {"instanceId": "7", "properties": {"osProfile": {"computerName": name}}}
    node = cluster_nodes.from_instance(body, ScaleSet(SET, "linux", ()))
    assert cluster_nodes.oddity(node) == (
        f"The node {name!r} is left out, because that is not the name of a host; look at who writes nodes and "
        "instances there."
    )


@for_each(
    f"{SET}/../../../../../resourceGroups/prod/providers/Microsoft.Compute/virtualMachineScaleSets/db",
    SET.replace("MC_rg_shop", "MC_rg_shop/../prod"),
    SET.replace("MC_rg_shop", ".."),
    SET.replace("aks-pool-1-vmss", ".."),
    SET.replace("aks-pool-1-vmss", "a%2f..%2fb"),
    SET.replace("aks-pool-1-vmss", "a?x="),
    SET.replace("Microsoft.Compute", "Microsoft.Compute/x/y/z"),
)
def test_an_instance_has_one_place(place: str) -> None:
    """A client or Azure might take such a path for another one than it was compared as."""
    body = {**raw(), "spec": {"providerID": f"azure://{place}/virtualMachines/7"}}
    node = cluster_nodes.from_kubernetes(body, MISSING)
    assert (node.scale_set, node.instance_id) == ("", "")
    group = GROUP.removesuffix("/providers")
    assert cluster_nodes.outside(f"{place}/virtualMachines/7", "it", group) != ""
    assert cluster_nodes.outside(f"{SET}/virtualMachines/7", "it", group) == ""
    assert cluster_nodes.outside(f"{SET}/virtualMachines/7", "it", "") != "", "a group that is not known"
    alone = MACHINE.replace("MC_rg_shop", "MC_rg_shop/../prod")
    assert cluster_nodes.machines([{"spec": {"providerID": f"azure://{alone}"}}]) == ()


def test_the_start_of_a_node_and_whether_it_takes_pods() -> None:
    body = {**raw(), "status": {"nodeInfo": {"bootID": "5f3c"}}, "spec": {"unschedulable": True}}
    view = cluster_nodes.from_kubernetes(body, MISSING).view()
    assert (view["boot_id"], view["cordoned"]) == ("5f3c", True)
    assert cluster_nodes.Node("n").view()["cordoned"] is None


def test_node_of_another_provider_has_no_scale_set() -> None:
    node = cluster_nodes.from_kubernetes({**raw(), "spec": {"providerID": "kind://docker/kind/n1"}}, MISSING)
    assert (node.scale_set, node.transports()) == ("", ("ssh", "aks_node_pod"))


@for_each(
    ({"podCIDR": "10.244.3.0/24", "podCIDRs": ["10.244.3.0/24"]}, "10.244.3.0/24"),
    ({"podCIDR": "fd00:1::/80", "podCIDRs": ["fd00:1::/80", "10.244.3.0/24"]}, "10.244.3.0/24"),
    ({"podCIDR": "10.244.3.0/24"}, "10.244.3.0/24"),
    ({}, ""),  # Azure CNI gives pods addresses of the virtual network
)
def test_range_of_the_pods_of_a_node(spec: dict[str, Any], pod_cidr: str) -> None:
    node = cluster_nodes.from_kubernetes({**raw(), "spec": spec}, MISSING)
    assert (node.pod_cidr, node.view()["pod_cidr"]) == (pod_cidr, pod_cidr)


def test_node_as_its_scale_set_tells_of_it() -> None:
    body = {"instanceId": "7", "properties": {"osProfile": {"computerName": "AKS-pool-1-vmss000007"}}}
    node = cluster_nodes.from_instance(body, ScaleSet(SET, "linux", ()), addon=False, node_group=NODE_GROUP)
    told = (node.name, node.instance_id, node.ready, node.foreign_identities)
    assert told == ("aks-pool-1-vmss000007", "7", None, ())
    assert node.transports() == ("ssh", "vmss_run_command")


@for_each(
    case("well", Node("n", ready=True, nmi=ACTIVE), ()),
    case("no-nmi", Node("n", ready=True, nmi=MISSING), ("nmi_missing", "rules_suspected")),
    case("lazy", Node("n", ready=True, nmi=NmiOnNode("not_active", "nmi-1")), ("nmi_not_active", "rules_suspected")),
    case(
        "down-with-pod",
        Node("n", ready=False, nmi=NmiOnNode("not_expected", "nmi-1")),
        ("not_ready", "nmi_not_active", "rules_suspected"),
    ),
    case("down-without", Node("n", ready=False, nmi=MISSING), ("not_ready", "nmi_missing", "rules_suspected")),
    case("monitor", Node("n", ready=True, nmi=ACTIVE, user_rules=True), ("rules_suspected",)),
    case("scale-set-alone", Node("n"), ("not_inspected",)),
    case(
        "nmi-unread",
        Node("n", ready=False, nmi=NmiOnNode("unknown", unread="May not.")),
        ("not_ready", "not_inspected"),
    ),
    case("windows", Node("n", os="windows", ready=False), ("windows",)),
    case("windows-scale-set-alone", Node("n", os="windows"), ("windows",)),
)
def test_groups(node: Node, groups: tuple[str, ...]) -> None:
    assert cluster_nodes.groups(node) == groups
    assert set(groups) <= set(cluster_nodes.GROUPS)


@for_each(
    ({cluster_nodes.USER_RULES_LABEL: "true"}, (), True),
    ({cluster_nodes.USER_RULES_LABEL: "false"}, (), False),
    ({}, ("n1",), True),
)
def test_the_monitor_of_aks_is_believed(label: dict[str, str], marked: tuple[str, ...], suspected: bool) -> None:
    node = cluster_nodes.from_kubernetes(raw(**label), ACTIVE, marked=marked)
    assert ("rules_suspected" in cluster_nodes.groups(node)) is suspected


CLUSTER = {
    "id": "x",
    "identity": {"type": "UserAssigned", "userAssignedIdentities": {f"{IDENTITY}/control": {}}},
    "properties": {
        "identityProfile": {"kubeletidentity": {"resourceId": f"{IDENTITY}/kubelet"}},
        "addonProfiles": {"omsagent": {"enabled": True, "identity": {"resourceId": f"{IDENTITY}/oms"}}},
        "ingressProfile": {"webAppRouting": {"identity": {"resourceId": f"{IDENTITY}/routing"}}},
        "podIdentityProfile": {
            "enabled": True,
            "userAssignedIdentities": [{"identity": {"resourceId": f"{IDENTITY}/billing"}}],
        },
    },
}


def test_foreign_identities() -> None:
    carried: dict[str, Any] = {f"{IDENTITY.upper()}/KUBELET": {}, f"{IDENTITY}/billing": {}, f"{IDENTITY}/mine": {}}
    body = {"id": SET, "identity": {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": carried}}
    protected = (*protected_identities.of_nodes(CLUSTER), f"{IDENTITY}/mine")
    node = cluster_nodes.from_kubernetes(
        raw(), MISSING, scale_sets=[ScaleSet.parse(body)], protected=protected, addon=False
    )
    assert node.foreign_identities == ("system-assigned", f"{IDENTITY}/billing")
    (reason,) = cluster_nodes.closed_because(node)
    assert "system-assigned, billing, which every pod could then take" in reason
    abandoned = cluster_nodes.is_abandoned
    assert abandoned(node) and not abandoned(replace(node, nmi=None))
    assert not abandoned(replace(node, addon=True)) and not abandoned(replace(node, nmi=ACTIVE))
    assert not abandoned(replace(node, foreign_identities=()))
    assert abandoned(replace(node, nmi=NmiOnNode("missing", elsewhere={"DaemonSet default/nmi": "It is so."})))


def test_a_machine_in_no_scale_set_has_identities_of_its_own() -> None:
    nodes = [raw(), {**raw("n2"), "spec": {"providerID": f"azure://{MACHINE}"}}]
    assert cluster_nodes.machines(nodes) == (MACHINE,)
    body = {"id": MACHINE, "identity": {"type": "UserAssigned", "userAssignedIdentities": {f"{IDENTITY}/stray": {}}}}
    node = cluster_nodes.from_kubernetes(nodes[1], MISSING, scale_sets=[ScaleSet.parse(body)], addon=False)
    assert (node.scale_set, node.transports()) == ("", ("ssh", "aks_node_pod"))
    (reason,) = cluster_nodes.closed_because(node)
    assert "its virtual machine aks-pool-1 carries stray" in reason


@for_each(
    case("nothing", Node("n", ready=True, nmi=MISSING, foreign_identities=()), ()),
    case("scale-set-alone", Node("n", foreign_identities=()), ()),
    case("nmi", Node("n", ready=True, nmi=ACTIVE, foreign_identities=()), ("DaemonSet default/nmi",)),
    case(
        "nmi-on-a-node-that-is-down",
        Node("n", ready=False, nmi=NmiOnNode("not_expected", "", "DaemonSet a/nmi"), foreign_identities=()),
        ("DaemonSet a/nmi",),
    ),
    case("azure-unread", Node("n", SET, ready=True, nmi=MISSING), ("identities of its scale set",)),
    case("elsewhere", Node("n", ready=True, nmi=MISSING), ("is no machine of Azure",)),
    case(
        "machine-unread",
        Node("n", machine=MACHINE, ready=True, nmi=MISSING),
        ("identities of its virtual machine could not be read",),
    ),
    case("addon", Node("n", nmi=MISSING, addon=True, foreign_identities=()), ("add-on",)),
    case(
        "all",
        Node("n", nmi=ACTIVE, addon=True, foreign_identities=(f"{IDENTITY}/a",)),
        ("DaemonSet", "add-on", "carries a,"),
    ),
    case(
        "nmi-unread",
        Node("n", ready=True, nmi=NmiOnNode("unknown", unread="May not list pods."), foreign_identities=()),
        ("could not be read (May not list pods)",),
    ),
)
def test_what_must_stay_closed(node: Node, reasons: tuple[str, ...]) -> None:
    found = cluster_nodes.closed_because(node)
    assert len(found) == len(reasons)
    assert all(part in sentence for part, sentence in zip_longest(reasons, found, fillvalue=""))
