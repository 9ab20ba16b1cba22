# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an operator is told where NMI's rules on a node stay: why, which state that is, and the commands that lead out.

A node is what aks_node_info tells of it, with the names of its cluster where these are known.
"""

from __future__ import annotations

import typing as t

from ..azure import arm_id
from ..names import listed

Object = t.Mapping[str, t.Any]

_PLAYBOOK = "ansible-playbook azureops.pod_identity."
_BOTH = "imds_node_cleanup_accept_open_imds=true (and, where an NMI lives there, imds_node_cleanup_force=true)"
LEFTOVERS = f"{_PLAYBOOK}leftovers"
SITE = f'"{_PLAYBOOK}site -e @FILE" with your file of variables'


def refusal(node: Object, reasons: t.Sequence[str], *, uninstalls: bool = False) -> str:
    """Why the rules of a node stay, and what to do. ``uninstalls``: the role pod_identity_uninstall is what runs."""
    state, ways = _state_and_ways(node, uninstalls=uninstalls)
    return " ".join(filter(None, (state, f"The rules stay, because {'; and '.join(reasons)}.", *ways)))


def _state_and_ways(node: Object, *, uninstalls: bool) -> tuple[str, tuple[str, ...]]:
    if node.get("nmi_installation"):
        return _installed(node)
    if node.get("addon"):
        return "The pod identity add-on of AKS is on, and its NMI was not found on the node.", (
            f'Switch it off and clean the nodes: "{uninstall(node)}".',
            f"As a last resort {_BOTH} removes the rules.",
        )
    if node.get("foreign_identities") and node.get("nmi_state") == "missing":
        return _uninstalled(node, uninstalls=uninstalls)
    if node.get("foreign_identities") and node.get("ready") is None:
        return "The API server could not be asked whether AAD Pod Identity is installed.", (
            "Let it answer and run this again, which then names the command that leads out.",
            _last_resort(node),
        )
    return "", (_ask_again(node), _last_resort(node))


def _installed(node: Object) -> tuple[str, tuple[str, ...]]:
    """With the chart or with the add-on of AKS."""
    namespace, dummy, daemon_set = str(node["nmi_installation"]).rpartition(" ")[2].partition("/")
    state, pod = node.get("nmi_state"), node.get("nmi_pod")
    again = f'"kubectl delete pod --namespace {namespace} {pod}"'
    look = f'"kubectl describe daemonset --namespace {namespace} {daemon_set}"'
    if state == "active":
        return "AAD Pod Identity is installed, NMI serves on the node, and the rules are its own.", (
            f"Nothing is to be cleaned; where pods get no token all the same, delete its pod, and the next one writes "
            f"the rules anew: {again}.",
            f'To remove AAD Pod Identity and clean the nodes: "{uninstall(node)}".',
        )
    broken = f"AAD Pod Identity is installed, and NMI does not serve on the node ({state})."
    last = f"As a last resort {_BOTH} removes the rules until NMI writes them again."
    if node.get("ready") is False:
        return broken, ("NMI writes its rules anew as soon as the node is Ready, so repair the node.", last)
    if not pod:
        way = f"No pod of NMI is there, and {look} tells why; {SITE} repairs the installation."
        return broken, (way, last)
    return broken, (
        f"Delete its pod, and the next one writes the rules anew: {again}.",
        f"Where that does not help, {SITE} repairs the installation.",
        last,
    )


def _left_out(node: Object) -> tuple[str, ...]:
    """The ways where NMI serves other nodes, and what it is installed with keeps it away from this one."""
    namespace, dummy, daemon_set = next(iter(node["nmi_elsewhere"])).rpartition(" ")[2].partition("/")
    return (
        "To have NMI there again, change the labels or taints of the node, or what the DaemonSet selects, tolerates "
        f'and has as affinity: "kubectl get daemonset --namespace {namespace} {daemon_set} --output yaml". What '
        f"somebody changed of it by hand {SITE} takes back.",
        f'To remove AAD Pod Identity and clean the nodes: "{uninstall(node)}".',
        f'To see whose these identities are, and to detach what nobody uses: "{leftovers(node)}".',
    )


def _uninstalled(node: Object, *, uninstalls: bool) -> tuple[str, tuple[str, ...]]:
    """The installation is gone, or leaves the node out; its identities are not."""
    elsewhere = listed([f"{each} ({why})" for each, why in (node.get("nmi_elsewhere") or {}).items()])
    state = "AAD Pod Identity is not installed any more."
    if elsewhere:
        state = f"AAD Pod Identity is installed, and leaves the node out: {elsewhere}."
    if uninstalls:
        return state, (
            "Name what may go in pod_identity_uninstall_remove_unknown_identities, or what may stand open to every pod "
            "in pod_identity_uninstall_protected_identities, and run this again.",
            _last_resort(node),
        )
    bindings = node.get("bindings")
    bundle = (
        f'"{_PLAYBOOK}restore -e @FILE -e pod_identity_restore_bundle=BUNDLE -e pod_identity_restore_sha256=DIGEST"'
    )
    back = f"To have it back: {SITE}, or {bundle}, where one was kept."
    away = f'To remove what is left of it and clean the nodes: "{uninstall(node, overrides=bindings is True)}".'
    look = f'To see whose these identities are, and to detach what nobody uses: "{leftovers(node)}".'
    rest = (
        "What may stand open to every pod is named in imds_node_cleanup_protected_identities.",
        _last_resort(node),
    )
    if elsewhere:
        return state, (*_left_out(node), *rest)
    if bindings is False:
        return f"{state} No binding of a pod is in the cluster.", (look, away, *rest)
    told = f"{state} Bindings of pods are still in the cluster." if bindings else state
    return told, (back, away, look, *rest)


def uninstall(node: Object, *, overrides: bool = False) -> str:
    """The command, which refuses where something is in use, and names then what ``overrides`` that."""
    is_used = " -e pod_identity_uninstall_allow_in_use=true" if overrides else ""
    name = node.get("cluster_name") or "NAME"
    return f"{_PLAYBOOK}uninstall -e @FILE -e pod_identity_uninstall_confirm={name}{is_used}"


def leftovers(node: Object) -> str:
    return f"{LEFTOVERS}{_cluster(node)}"


def living(seen: t.Sequence[str]) -> str:
    """Why a node is refused where an NMI lives, though nothing in the cluster spoke against it or that was accepted."""
    return (
        f"An NMI lives on this node ({', '.join(seen)}) and would write its rules again. Remove AAD Pod Identity and "
        f'clean the nodes: "{uninstall({})}"; or set imds_node_cleanup_force=true to remove the rules all the same.'
    )


def _ask_again(node: Object) -> str:
    if node.get("closed_because") is None:
        return f"Name the cluster, which is then asked:{_cluster({})}."
    if node.get("foreign_identities") is None and not (node.get("scale_set") or node.get("machine")):
        return ""
    return "Mend that, or let this credential read it, and run this again."


def _cluster(node: Object) -> str:
    group, name = node.get("resource_group") or "RG", node.get("cluster_name") or "NAME"
    return f" -e pod_identity_resource_group={group} -e pod_identity_cluster_name={name}"


def _last_resort(node: Object) -> str:
    foreign = [arm_id.last_segment(each) for each in node.get("foreign_identities") or ()]
    opens = f" and opens {listed(foreign)} to every pod of the node" if foreign else ""
    return f"As a last resort {_BOTH} removes the rules{opens}."
