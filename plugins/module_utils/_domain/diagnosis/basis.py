# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a verdict rests on, in one list: a cluster is healthy only where nothing of it is missing.

Whoever reads a source tells why a part of it was not read (``Observed.unread``). Where nothing was told of a source,
what is missing is found here by what was observed of it, so that what nobody looked at is never called well.
"""

from __future__ import annotations

import typing as t

from ..installation import nmi
from ..installation.chart_manifest import GROUP
from ..kubernetes.objects import labels_of
from ..tokens import token
from . import asked_of_pods, reading
from .cause import AZURE, EVENTS, LOGS, NODES, OBJECTS, PROBE, RULES
from .observed import NMI, Observed, Unread
from .scope import Scope, workload_in

Missing = t.Iterator[Unread]

_CUSTOM = {
    "AzureIdentity": "azureidentities",
    "AzureIdentityBinding": "azureidentitybindings",
    "AzureAssignedIdentity": "azureassignedidentities",
    "AzurePodIdentityException": "azurepodidentityexceptions",
}
_DEFINITION = "CustomResourceDefinition"
KINDS = (
    *("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job", "Node", _DEFINITION),
    *("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy"),
    *("MutatingWebhookConfiguration", "Secret", "Lease", "ConfigMap"),
)
_ALL = 10**12  # bytes of logs, more than there are


def unread(observed: Observed, scope: Scope) -> tuple[Unread, ...]:
    """All that was not looked at. Raises Failure where ``scope`` names what does not exist."""
    told = {one.source for one in observed.unread}
    missing = [one for source, look in BASIS.items() if source not in told for one in look(observed, scope)]
    return (*observed.unread, *missing)


def _objects(observed: Observed, _scope: Scope) -> Missing:
    """Lists of kinds; none of a custom resource that the cluster does not know."""
    kinds = [kind for kind in KINDS if kind not in observed.objects]
    known = observed.objects.get(_DEFINITION)
    names = None if known is None else {str(each["metadata"]["name"]) for each in known}
    for kind, plural in _CUSTOM.items():
        if kind not in observed.objects and (names is None or f"{plural}.{GROUP}" in names):
            kinds.append(kind)
    if kinds:
        yield Unread(OBJECTS, ", ".join(kinds), "they were not read", "the right to list them in the whole cluster")


def _events(observed: Observed, _scope: Scope) -> Missing:
    if observed.events is None:
        yield Unread(EVENTS, "events", "they were not read", "list on events in the whole cluster")


def _logs(observed: Observed, _scope: Scope) -> Missing:
    wanted, dummy = reading.logs_wanted(observed.components, _ALL, observed.now)
    read = {(log.namespace, log.pod) for log in observed.logs}
    for one in wanted:
        if not one.previous and (one.namespace, one.pod) not in read:
            yield Unread(LOGS, one.label, "it was not read", f"get on pods/log in namespace {one.namespace}")


def _health(observed: Observed, _scope: Scope) -> Missing:
    for label, pod in _pods_of_nmi(observed):
        if label not in observed.health:
            needs = f"get on pods/proxy in namespace {pod['metadata'].get('namespace', '')}"
            yield Unread(NODES, f"what {label} says of itself", "NMI was not asked", needs)


def _azure(observed: Observed, _scope: Scope) -> Missing:
    if observed.azure is None:
        needs = "resource_group and cluster_name (pod_identity_resource_group and pod_identity_cluster_name)"
        yield Unread(AZURE, "Azure", "no cluster is named", needs)


def _tokens(observed: Observed, scope: Scope) -> Missing:
    """Objects alone prove no token: a request in the place of a pod does."""
    questions, unasked = asked_of_pods.questions(observed, scope)
    asked = {(one.namespace, one.pod) for one in observed.asked}
    silent = [one for one in questions if (one.target.namespace, one.target.pod) not in asked]
    yield from unasked
    yield from asked_of_pods.not_asked(silent, "no token was asked for", asked_of_pods.OPTION)
    if not questions and not unasked:
        needs = "a pod that uses an identity, and then a token in its place"
        yield Unread(PROBE, f"a token in {scope.label}", "no workload there gets an identity", needs)


def _rules(observed: Observed, scope: Scope) -> Missing:
    """Of nodes on which no NMI runs, which would write its rules itself, and no request was answered."""
    answered = {one.node for one in observed.asked if one.verdict.answered_by not in (token.NOBODY, token.UNKNOWN)}
    covered = {str((pod.get("spec") or {}).get("nodeName", "")) for dummy, pod in _pods_of_nmi(observed)}
    bare = sorted(_nodes(observed, scope) - answered - covered)
    if bare:
        what = f"rules of NMI that may be left on {len(bare)} node{'s' if len(bare) > 1 else ''}, such as {bare[0]}"
        yield Unread(RULES, what, "no NMI runs there, and rules cannot be seen from outside", "cleanup_nodes --check")


def _nodes(observed: Observed, scope: Scope) -> set[str]:
    """Those with iptables: of the pods that ``scope`` names, else all."""
    found = {name for name, node in observed.nodes.items() if labels_of(node).get("kubernetes.io/os") != "windows"}
    if not scope.workload and not scope.pod:
        return found
    pods = workload_in(observed, scope).pods
    return found & {pod.node for pod in pods if pod.lives and scope.pod in ("", pod.name)}


def _pods_of_nmi(observed: Observed) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    """Those that are Ready and stay, with their labels."""
    for one in observed.of(NMI):
        for pod in one.pods:
            if nmi.is_ready(pod) and not pod["metadata"].get("deletionTimestamp"):
                yield f"Pod {pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}", pod


BASIS: t.Mapping[str, t.Callable[[Observed, Scope], Missing]] = {
    OBJECTS: _objects,
    EVENTS: _events,
    LOGS: _logs,
    NODES: _health,
    AZURE: _azure,
    PROBE: _tokens,
    RULES: _rules,
}
