# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The nodes of a cluster: what is known of each, what is wrong with it, and why its IMDS may not be opened to pods."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from ..azure import arm_id
from ..names import is_host

Object = t.Mapping[str, t.Any]

NOT_READY = "not_ready"
NMI_MISSING = "nmi_missing"
NMI_NOT_ACTIVE = "nmi_not_active"
RULES_SUSPECTED = "rules_suspected"
NOT_INSPECTED = "not_inspected"
WINDOWS = "windows"
GROUPS = (NOT_READY, NMI_MISSING, NMI_NOT_ACTIVE, RULES_SUSPECTED, NOT_INSPECTED, WINDOWS)

# What azure-iptables-monitor of AKS puts on the CiliumNode (or node) that holds rules of users.
USER_RULES_LABEL = "kubernetes.azure.com/user-iptables-rules"
SYSTEM_ASSIGNED = "system-assigned"

# Nothing that a client or a server would take for another place or for more than the path.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/%?#\s]+"
_GROUP = rf"/subscriptions/{_SEGMENT}/resourcegroups/{_SEGMENT}"
_SET = rf"{_GROUP}/providers/microsoft\.compute/virtualmachinescalesets/{_SEGMENT}"
_PROVIDER = re.compile(rf"azure://(?P<set>{_SET})/virtualmachines/(?P<id>{_SEGMENT})", re.I)
_MACHINE = re.compile(rf"azure://(?P<machine>{_GROUP}/providers/microsoft\.compute/virtualmachines/{_SEGMENT})", re.I)


@dataclass(frozen=True)
class ScaleSet:
    """A scale set of nodes, or a machine that is in none.

    ``identities`` are resource ids, and ``system-assigned`` for its own identity.
    """

    id: str
    os: str
    identities: tuple[str, ...]

    @classmethod
    def parse(cls, body: Object) -> ScaleSet:
        properties = body.get("properties") or {}
        profile = properties.get("virtualMachineProfile") or properties
        disk = (profile.get("storageProfile") or {}).get("osDisk") or {}
        identity = body.get("identity") or {}
        own = (SYSTEM_ASSIGNED,) if "systemassigned" in str(identity.get("type", "")).lower() else ()
        return cls(
            id=str(body.get("id", "")),
            os=str(disk.get("osType") or "Linux").lower(),
            identities=(*own, *(identity.get("userAssignedIdentities") or {})),
        )


@dataclass(frozen=True)
class NmiOnNode:
    """NMI on a node, and which installation runs, or would run, there; empty where none does.

    ``unread`` is why the API server, which told of the node, did not tell of NMI. ``elsewhere``: the DaemonSets of NMI
    that leave the node out, by their label, with the reason.
    """

    state: str
    pod: str = ""
    installation: str = ""
    unread: str = ""
    elsewhere: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """One node.

    ``machine`` is the resource id of a node that is a machine in no scale set.
    ``odd_addresses`` are what it says instead of addresses; where there are any, ``addresses`` is empty.
    ``ready``, ``cordoned`` and ``nmi`` are None where the API server could not be asked, ``foreign_identities`` where
    Azure could not. ``bindings``: whether an AzureIdentityBinding is in the cluster; None where nobody looked.
    """

    name: str
    scale_set: str = ""
    instance_id: str = ""
    addresses: tuple[str, ...] = ()
    pod_cidr: str = ""
    os: str = "linux"
    ready: bool | None = None
    ready_since: str = ""
    nmi: NmiOnNode | None = None
    user_rules: bool = False
    boot_id: str = ""
    cordoned: bool | None = None
    labels: t.Mapping[str, str] = field(default_factory=dict)
    addon: bool | None = None
    foreign_identities: tuple[str, ...] | None = None
    machine: str = ""
    odd_addresses: tuple[str, ...] = ()
    bindings: bool | None = None
    of_cluster: bool = False

    @property
    def inspected(self) -> bool:
        """Whether the API server told about it, rather than its scale set alone."""
        return self.ready is not None

    def transports(self) -> tuple[str, ...]:
        """The ways to a Linux node that may work, in the order in which they are tried."""
        if self.os != "linux":
            return ()
        ways = (
            ("ssh", not self.odd_addresses),
            ("aks_node_pod", bool(self.ready)),
            # Whoever writes the providerID of a node would choose whose machine runs a command.
            ("vmss_run_command", self.of_cluster),
        )
        return tuple(way for way, open_ in ways if open_)

    def view(self) -> dict[str, t.Any]:
        """As results and host variables show it."""
        nmi = self.nmi or NmiOnNode("unknown")
        return {
            "name": self.name,
            "scale_set": self.scale_set,
            "scale_set_name": arm_id.last_segment(self.scale_set),
            "instance_id": self.instance_id,
            "machine": self.machine,
            "addresses": list(self.addresses),
            "odd_addresses": list(self.odd_addresses),
            "pod_cidr": self.pod_cidr,
            "os": self.os,
            "ready": self.ready,
            "ready_since": self.ready_since,
            "nmi_state": nmi.state,
            "nmi_pod": nmi.pod,
            "nmi_installation": nmi.installation,
            "nmi_elsewhere": dict(nmi.elsewhere),
            "user_rules": self.user_rules,
            "boot_id": self.boot_id,
            "cordoned": self.cordoned,
            "labels": dict(self.labels),
            "addon": self.addon,
            "bindings": self.bindings,
            "foreign_identities": None if self.foreign_identities is None else list(self.foreign_identities),
            "groups": list(groups(self)),
            "transports": list(self.transports()),
            "closed_because": list(closed_because(self)),
        }


def from_kubernetes(
    raw: Object,
    nmi: NmiOnNode,
    *,
    marked: t.Container[str] = (),
    scale_sets: t.Iterable[ScaleSet] | None = None,
    **azure: t.Any,
) -> Node:
    """A node as the API server tells of it; ``marked`` are those with rules of users by AKS's own monitor."""
    metadata, status = raw.get("metadata") or {}, raw.get("status") or {}
    labels = metadata.get("labels") or {}
    name = str(metadata.get("name", ""))
    ready: Object = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    spec = raw.get("spec") or {}
    place = _PROVIDER.fullmatch(str(spec.get("providerID", "")))
    alone = _MACHINE.fullmatch(str(spec.get("providerID", "")))
    told = [str(each["address"]) for each in status.get("addresses") or () if str(each.get("type")).endswith("IP")]
    odd = tuple(each for each in told if not is_host(each))
    node = Node(
        name=name,
        scale_set=place["set"] if place else "",
        instance_id=place["id"] if place else "",
        addresses=() if odd else tuple(told),
        odd_addresses=odd,
        pod_cidr=_pod_cidr(raw.get("spec") or {}),
        os=str(labels.get("kubernetes.io/os", "linux")).lower(),
        ready=ready.get("status") == "True",
        ready_since=str(ready.get("lastTransitionTime", "")),
        nmi=nmi,
        user_rules=name in marked or str(labels.get(USER_RULES_LABEL, "")).lower() == "true",
        boot_id=str((status.get("nodeInfo") or {}).get("bootID", "")),
        cordoned=bool(spec.get("unschedulable")),
        labels=labels,
        machine=alone["machine"] if alone else "",
    )
    return with_azure(node, scale_sets, **azure)


def oddity(node: Node) -> str:
    """Why a node is not contacted by what it calls its name or its addresses, in a sentence; empty where it may be."""
    if not is_host(node.name):
        return (
            f"The node {node.name!r} is left out, because that is not the name of a host; look at who writes nodes and "
            "instances there."
        )
    if node.odd_addresses:
        return (
            f"Node {node.name} is not reached by ssh, because it calls {node.odd_addresses[0]!r} its address, which is "
            "neither an IP address nor a DNS name; look at who writes the status of that node."
        )
    return ""


def machines(nodes: t.Iterable[Object]) -> tuple[str, ...]:
    """The resource ids of those nodes, as the API server tells of them, that are in no scale set."""
    providers = [str((each.get("spec") or {}).get("providerID", "")) for each in nodes]
    found = map(_MACHINE.fullmatch, providers)
    return tuple(each["machine"] for each in found if each)


def _pod_cidr(spec: Object) -> str:
    """The IPv4 range of the node's pods; a node of two families has one of each."""
    ranges = spec.get("podCIDRs") or [spec.get("podCIDR")]
    return next((str(each) for each in ranges if each and ":" not in str(each)), "")


def from_instance(body: Object, scale_set: ScaleSet, **azure: t.Any) -> Node:
    """A node as its scale set tells of it."""
    properties = body.get("properties") or {}
    profile = properties.get("osProfile") or {}
    node = Node(
        # The kubelet registers under the computer's name in lower case.
        name=str(profile.get("computerName") or body.get("name", "")).lower(),
        scale_set=scale_set.id,
        instance_id=str(body.get("instanceId") or arm_id.last_segment(str(body.get("id", "")))),
        os=scale_set.os,
    )
    return with_azure(node, (scale_set,), **azure)


def with_azure(
    node: Node,
    scale_sets: t.Iterable[ScaleSet] | None,
    *,
    node_group: str = "",
    addon: bool | None = None,
    protected: t.Collection[str] = (),
) -> Node:
    """The node with what Azure tells: whether the add-on is on, and identities of its scale set that nobody named.

    ``node_group`` is the node resource group of the cluster, empty where Azure did not tell it. ``protected`` are the
    ids of those that may stand open to pods, as they always did.
    """
    node = replace(node, addon=addon, of_cluster=bool(node_group) and arm_id.contains(node_group, node.scale_set))
    mine = next((each for each in scale_sets or () if arm_id.same(each.id, node.scale_set or node.machine)), None)
    if mine is None:
        return node
    known = {arm_id.normal(each) for each in protected}
    return replace(node, foreign_identities=tuple(each for each in mine.identities if arm_id.normal(each) not in known))


def outside(instance: str, what: str, group: str | None) -> str:
    """Why an instance is none of a cluster with that node resource group, both given by their ids; '' where it is one.

    ``what`` is the instance for people. Where no group is asked for nothing is said.
    """
    is_plain = _PROVIDER.fullmatch(f"azure://{arm_id.normal(instance)}") is not None
    if group is None or (is_plain and arm_id.same(arm_id.group_of(instance), group)):
        return ""
    return (
        f"The {what} does not lie in the node resource group of the cluster, {group or 'which is unknown'}, so it is "
        "not touched; look at who writes the providerID of nodes."
    )


def other_computer(instance: Object, what: str, node: str | None) -> str:
    """Why an instance is not that node; '' where its computer has the name of the node, or no node is named."""
    told = str(((instance.get("properties") or {}).get("osProfile") or {}).get("computerName") or "")
    if node is None or told.lower() == node.lower():
        return ""
    return (
        f"The {what} is not the node {node}, because the name of its computer is {told or 'not told'}, so it is not "
        "touched; look at who writes the providerID of nodes."
    )


def addon_enabled(cluster: Object) -> bool:
    profile = (cluster.get("properties") or {}).get("podIdentityProfile") or {}
    return bool(profile.get("enabled"))


def groups(node: Node) -> tuple[str, ...]:
    """What is wrong with a node. NMI never runs on Windows, so such a node is in one group only."""
    if node.os != "linux":
        return (WINDOWS,)
    found = []
    if not node.inspected:
        return (NOT_INSPECTED,)
    if not node.ready:
        found.append(NOT_READY)
    if node.nmi is not None and node.nmi.unread:
        return (*found, NOT_INSPECTED)
    active = node.nmi is not None and node.nmi.state == "active"
    if not active:
        found.append(NMI_NOT_ACTIVE if node.nmi is not None and node.nmi.pod else NMI_MISSING)
    if not active or node.user_rules:
        found.append(RULES_SUSPECTED)
    return tuple(found)


def closed_because(node: Node) -> tuple[str, ...]:
    """Why NMI's rules on a node must stay: what pods could reach without them."""
    reasons = []
    if node.nmi is not None and node.nmi.unread:
        reasons.append(f"whether NMI still covers the node could not be read ({node.nmi.unread.rstrip('.')})")
    if node.nmi is not None and node.nmi.installation:
        reasons.append(f"{node.nmi.installation} still covers the node (NMI there: {node.nmi.state})")
    if node.addon:
        reasons.append("the pod identity add-on of AKS still covers the node")
    carrier = node.scale_set or node.machine
    what = "scale set" if node.scale_set or not node.inspected else "virtual machine"
    if node.foreign_identities is None and node.inspected and not carrier:
        reasons.append("it is no machine of Azure, so it is not known which identities its pods could then take")
    elif node.foreign_identities is None:
        reasons.append(f"the identities of its {what} could not be read, and every pod could then take them")
    elif node.foreign_identities:
        names = ", ".join(arm_id.last_segment(each) for each in node.foreign_identities)
        reasons.append(f"its {what} {arm_id.last_segment(carrier)} carries {names}, which every pod could then take")
    return tuple(reasons)


def is_abandoned(node: Node) -> bool:
    """Whether AAD Pod Identity is gone from a node and identities are still on its scale set or machine."""
    gone = node.nmi is not None and node.nmi.state == "missing" and not node.nmi.installation
    return gone and bool(node.foreign_identities) and not node.addon
