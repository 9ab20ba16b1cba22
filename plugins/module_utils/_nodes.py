# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The nodes of a cluster from both sides, for the inventory plugin and the module that look at them."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ._argspec import ArgumentSpec, kubernetes_auth
from ._azure import kubeconfig, managed_clusters, scale_sets, virtual_machines
from ._azure.client import Arm
from ._azure_options import azure_auth
from ._domain.azure import arm_id, clusters, protected_identities
from ._domain.errors import Failure
from ._domain.installation import nmi
from ._domain.installation.trusted_namespaces import Belief
from ._domain.names import is_host
from ._domain.nodes import cluster_nodes
from ._kube import client as kube
from ._kube import installation
from ._kube.config import Settings
from ._kube.errors import UNRESOLVED
from ._kube.kinds import AZURE_IDENTITY_BINDING, NODE, Kind, Object

_CILIUM_NODE = Kind("cilium.io", "v2", "ciliumnodes", "CiliumNode", namespaced=False)

Options = t.Mapping[str, t.Any]
RunCommand = t.Callable[..., "tuple[int, str, str]"]


@dataclass(frozen=True)
class Fleet:
    """The nodes of one cluster; ``node_group`` is the id of their resource group, '' where Azure was not asked.

    ``unread`` says in sentences which side could not be asked, and why; ``odd`` which node calls itself or its address
    what no host is called.
    """

    nodes: tuple[cluster_nodes.Node, ...]
    cluster_id: str
    node_group: str
    unread: tuple[str, ...]
    odd: tuple[str, ...]


@dataclass(frozen=True)
class _Azure:
    """What Azure tells of a cluster; without ``arm`` nothing."""

    arm: Arm | None = None
    cluster: Object | None = None
    sets: tuple[cluster_nodes.ScaleSet, ...] | None = None

    def facts(self, protect: t.Iterable[str]) -> dict[str, t.Any]:
        if self.cluster is None:
            return {"protected": tuple(protect)}
        known = (*protected_identities.of_nodes(self.cluster), *protect)
        group = clusters.node_group(self.cluster)
        return {"addon": cluster_nodes.addon_enabled(self.cluster), "protected": known, "node_group": group}


def argument_spec() -> ArgumentSpec:
    """The options of ``observe``."""
    return ArgumentSpec(
        options={
            "resource_group": {"type": "str"},
            "cluster_name": {"type": "str"},
            "api_timeout": {"type": "float", "default": 10},
            "protected_identities": {"type": "list", "elements": "str"},
        },
        # A kubeconfig of the environment is no argument.
        required_one_of=() if Settings.parse({}).named else (("cluster_name", "kubeconfig", "host"),),
        required_by={"cluster_name": ("resource_group",)},
    ).merge(azure_auth(), kubernetes_auth())


def observe(options: Options, run_command: RunCommand, directory: str, *, check_instances: bool = False) -> Fleet:
    """Look at a cluster; a side that does not answer is left out, and both together are a Failure.

    ``directory`` is private and takes a fetched kubeconfig.
    """
    unread: list[Failure] = []
    azure = _ask_azure(options, run_command, unread) if options["cluster_name"] else _Azure()
    nodes = _ask_kubernetes(options, azure, directory, unread)
    if nodes is None:
        if azure.sets is None or azure.arm is None:
            raise Failure(" ".join(each.sentence for each in unread), error=unread[-1].error)
        nodes = _from_scale_sets(azure.arm, azure.sets, azure.facts(options["protected_identities"] or ()))
    elif check_instances:
        nodes = _with_instance(nodes, azure, unread)
    found = sorted(nodes, key=lambda node: node.name)
    return Fleet(
        nodes=tuple(node for node in found if is_host(node.name)),
        cluster_id=str((azure.cluster or {}).get("id", "")),
        node_group="" if azure.cluster is None else clusters.node_group(azure.cluster),
        unread=tuple(each.sentence for each in unread),
        odd=tuple(filter(None, map(cluster_nodes.oddity, found))),
    )


def _ask_azure(options: Options, run_command: RunCommand, unread: list[Failure]) -> _Azure:
    group, name = options["resource_group"], options["cluster_name"]
    try:
        arm = Arm.connect(options, run_command)
        cluster = managed_clusters.get(arm, group, name)
    except Failure as failure:
        unread.append(failure)
        return _Azure()
    if cluster is None:
        raise Failure(f"There is no cluster {name} in the resource group {group}; check names and subscription_id.")
    try:
        found = scale_sets.list_group(arm, clusters.node_group(cluster))
    except Failure as failure:
        unread.append(failure)
        return _Azure(arm, cluster)
    return _Azure(arm, cluster, tuple(cluster_nodes.ScaleSet.parse(each) for each in found))


def _with_instance(
    nodes: tuple[cluster_nodes.Node, ...], azure: _Azure, unread: list[Failure]
) -> tuple[cluster_nodes.Node, ...]:
    """Without nodes whose instance is gone from its scale set; the API server tells of them for a while."""
    if azure.arm is None:
        return nodes
    there: dict[str, set[str] | None] = {}
    for scale_set in {arm_id.normal(node.scale_set) for node in nodes if node.scale_set}:
        try:
            found = scale_sets.instances(azure.arm, scale_set)
            there[scale_set] = {arm_id.last_segment(str(each["id"])) for each in found}
        except Failure as failure:
            unread.append(failure)
            there[scale_set] = None

    def exists(node: cluster_nodes.Node) -> bool:
        known = there.get(arm_id.normal(node.scale_set)) if node.scale_set else None
        return known is None or node.instance_id in known

    return tuple(node for node in nodes if exists(node))


def _ask_kubernetes(
    options: Options, azure: _Azure, directory: str, unread: list[Failure]
) -> tuple[cluster_nodes.Node, ...] | None:
    try:
        client = _connect(options, azure, directory)
        if client is None:
            return None
        raw = client.list_all(NODE)
        _refuse_other_cluster(raw, azure.cluster, options)
    except _OtherCluster:
        raise
    except Failure as failure:
        unread.append(_of_private(azure.cluster, failure))
        return None
    try:
        survey = installation.find(client, raw)
        unread.extend(Failure(f"{sentence} {Belief.EVERYWHERE}") for sentence in survey.unread.values())
        on_nodes = _nmi_by_node(survey.installations, raw)
    except Failure as failure:  # a right that is missing must not make NMI look absent
        unread.append(failure)
        on_nodes = {
            each["metadata"]["name"]: cluster_nodes.NmiOnNode("unknown", unread=failure.sentence) for each in raw
        }
    marked = _marked(client)
    sets = None if azure.sets is None else (*azure.sets, *_machines(raw, azure, unread))
    facts = azure.facts(options["protected_identities"] or ())
    nodes = tuple(
        cluster_nodes.from_kubernetes(each, on_nodes[each["metadata"]["name"]], marked=marked, scale_sets=sets, **facts)
        for each in raw
    )
    if not any(map(cluster_nodes.is_abandoned, nodes)):
        return nodes
    bindings = _has_bindings(client)
    return tuple(replace(node, bindings=bindings) for node in nodes)


def _has_bindings(client: kube.Client) -> bool | None:
    """Whether an AzureIdentityBinding is in the cluster; None where that may not be read."""
    try:
        return client.has_any(AZURE_IDENTITY_BINDING)
    except Failure:  # it only tells more of what is known
        return None


def _of_private(cluster: Object | None, failure: Failure) -> Failure:
    """Says of a private cluster what helps where its name is unknown."""
    if cluster is None or failure.error.get("code") != UNRESOLVED or not clusters.is_private(cluster):
        return failure
    return Failure(clusters.unresolved(cluster), error=failure.error)


def _machines(nodes: t.Iterable[Object], azure: _Azure, unread: list[Failure]) -> t.Iterator[cluster_nodes.ScaleSet]:
    """The nodes that are machines in no scale set; one that cannot be read is left out."""
    if azure.arm is None:
        return
    for machine in cluster_nodes.machines(nodes):
        try:
            body = virtual_machines.get(azure.arm, machine)
        except Failure as failure:
            unread.append(failure)
            continue
        if body is not None:
            yield cluster_nodes.ScaleSet.parse({**body, "id": machine})


def _connect(options: Options, azure: _Azure, directory: str) -> kube.Client | None:
    if Settings.parse(options).named:
        return kube.connect(options, directory, timeout=options["api_timeout"])
    if azure.arm is None:
        return None
    path = os.path.join(directory, "kubeconfig")
    fetched = kubeconfig.of_cluster(
        azure.arm, options["resource_group"], options["cluster_name"], admin=False, old=None
    )
    kubeconfig.write(path, fetched.content)
    try:
        return kube.connect({**options, "kubeconfig": path}, directory, timeout=options["api_timeout"])
    finally:
        kubeconfig.remove(path)


class _OtherCluster(Failure):
    """The API server belongs to another cluster than the one that is named."""


def _refuse_other_cluster(nodes: t.Sequence[Object], cluster: Object | None, options: Options) -> None:
    if cluster is None or not nodes or clusters.holds(cluster, nodes):
        return
    raise _OtherCluster(
        f"The API server belongs to another cluster than {options['cluster_name']}: none of its {len(nodes)} nodes "
        f"lies in the resource group {cluster['properties']['nodeResourceGroup']}; correct kubeconfig, context or "
        "cluster_name."
    )


def _nmi_by_node(
    installations: t.Sequence[installation.Installation], nodes: t.Iterable[Object]
) -> dict[str, cluster_nodes.NmiOnNode]:
    """NMI on every node; where several installations run, the one that is active there."""
    found = {}
    for node in nodes:
        name = node["metadata"]["name"]
        states, elsewhere = [], {}
        for each in installations:
            for state in each.nodes:
                if state.node != name:
                    continue
                if state.pod or nmi.covers(each.daemon_set, node):
                    states.append((each, state))
                else:
                    elsewhere[_label(each)] = state.reason
        states.sort(key=lambda pair: (pair[1].state != "active", not pair[1].pod))
        if not states:
            found[name] = cluster_nodes.NmiOnNode("missing", elsewhere=elsewhere)
            continue
        chosen, state = states[0]
        found[name] = cluster_nodes.NmiOnNode(state.state, state.pod, _label(chosen), elsewhere=elsewhere)
    return found


def _label(one: installation.Installation) -> str:
    metadata = one.daemon_set["metadata"]
    return f"DaemonSet {metadata['namespace']}/{metadata['name']}"


def _marked(client: kube.Client) -> frozenset[str]:
    """The nodes on which AKS's own monitor found rules of users; none where Cilium does not run."""
    try:
        found = client.list_all(_CILIUM_NODE, labels=f"{cluster_nodes.USER_RULES_LABEL}=true")
    except Failure:  # Cilium's kinds are missing, or may not be read: the monitor only adds to what is known
        return frozenset()
    return frozenset(str(each["metadata"]["name"]) for each in found)


def _from_scale_sets(
    arm: Arm, sets: t.Iterable[cluster_nodes.ScaleSet], facts: dict[str, t.Any]
) -> tuple[cluster_nodes.Node, ...]:
    return tuple(
        cluster_nodes.from_instance(body, each, **facts) for each in sets for body in scale_sets.instances(arm, each.id)
    )
