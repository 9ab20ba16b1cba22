# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Causes in the installation: MIC, NMI and the definitions of their kinds."""

from __future__ import annotations

import json
import typing as t
from datetime import timedelta

from ..commands import shell
from ..installation import nmi, program_rights
from ..installation.chart_manifest import FINALIZER, GROUP
from ..kubernetes.sources import place
from ..matching.matching import STANDARD, Pod, Raw
from ..moments import moment
from ..names import listed
from . import chart
from .cause import (
    ERROR,
    LIKELY,
    LOGS,
    NO_IDENTITY,
    NODES,
    OBJECTS,
    POSSIBLE,
    PROVED,
    WARNING,
    Evidence,
    Look,
    Suspicion,
    Suspicions,
    Table,
)
from .crashes import (
    ARGUMENTS,
    FORBIDDEN,
    NO_KUBENET,
    OF_MIC,
    OF_NMI,
    RIGHTS,
    Crash,
    Reason,
    all_of,
    crash_of,
    crashed,
    last_words,
    lines_of,
    logs_of,
    unknown_arguments,
)
from .labels import label_of
from .observed import MIC, NMI, Component, Observed, said_by
from .shown import shown

TABLE = Table()
_DOCS = "https://azure.github.io/aad-pod-identity/docs/"
_CHART = f"{_DOCS}getting-started/installation/"
_KUBENET = f"{_DOCS}configure/aad_pod_identity_on_kubenet/"
_PROJECT = "Azure/aad-pod-identity#"
_ON_NODE_WITHOUT_RIGHTS = "NMI does not know the pods and their identities, and answers 404, 500 or not at all."
_ON_NODE = "Pods on the node get no token, or one of any identity of the node, past NMI."
# Until then a pod may still be on its way.
_STARTING = timedelta(minutes=3)
_MOST_EVIDENCE = 3
_ASSIGNED = "AzureAssignedIdentity"
# By the plurals of the definitions.
_KINDS = {
    "azureidentities": "AzureIdentity",
    "azureidentitybindings": "AzureIdentityBinding",
    "azureassignedidentities": _ASSIGNED,
}


@TABLE.cause(
    ERROR,
    "Install the chart (azureops.pod_identity.site), or take the bindings away where Workload ID serves the pods.",
    told_by="Pods that bindings select, but no Deployment or DaemonSet that is proved to be MIC or NMI.",
    references=(_CHART,),
)
def nothing_installed(observed: Observed) -> Suspicions:
    """Pods are bound to identities, and nothing runs that would give them out."""
    inventory = observed.inventory
    served = [one for one in inventory.cluster.workloads if inventory.identities_of(one)]
    if not served or observed.of(MIC) or observed.of(NMI) or not _programs_read(observed):
        return
    labels = [one.label for one in served]
    alike = [
        f"{kind} {raw['metadata'].get('namespace')}/{raw['metadata']['name']} looks like {program.upper()}, and nobody "
        "gave its namespace the rights of one."
        for kind, program in (("DaemonSet", NMI), ("Deployment", MIC))
        for raw in observed.objects[kind]
        if nmi.runs_image(raw, program)
    ]
    yield Suspicion(
        object="the installation",
        symptom="Pods get no token, or one of any identity of their node.",
        cause="Bindings select pods, but neither MIC nor NMI is installed.",
        evidence=(
            Evidence("AzureIdentityBindings of the cluster", f"They give identities to {listed(labels)}."),
            *(Evidence("DaemonSets and Deployments of the cluster", text) for text in alike[:_MOST_EVIDENCE]),
        ),
        concerns=None,
    )


@TABLE.cause(
    ERROR,
    "Restore the definitions, and the objects from a bundle or from git: with a definition all objects of its kind go.",
    told_by="MIC or NMI runs, and a definition of their kinds is not there, or is being deleted.",
    references=(f"{_PROJECT}920", f"{_PROJECT}1388"),
)
def definitions_gone(observed: Observed) -> Suspicions:
    """A definition of the kinds of AAD Pod Identity is gone, and with it every object of that kind."""
    running = [one.label for one in observed.components if one.program in (MIC, NMI)]
    for plural, kind in _KINDS.items() if running else ():
        name = f"{plural}.{GROUP}"
        evidence = _definition_lost(observed, name, kind)
        if evidence:
            remedy, command = "", chart.apply_definitions()
            if evidence.time:
                remedy, command = _end_deletion(observed, name, kind)
            yield Suspicion(
                object=f"CustomResourceDefinition {name}",
                symptom="Every pod loses its identity; MIC and NMI log that the server could not find the resource.",
                cause=f"The definition of {kind} is {'being deleted' if evidence.time else 'gone'}, while "
                f"{listed(running)} runs.",
                evidence=(evidence, *_finalizers_of(observed, kind)),
                concerns=None,
                remedy=remedy,
                command=command,
            )


def _end_deletion(observed: Observed, name: str, kind: str) -> tuple[str, str]:
    """Remedy and command for a definition that is being deleted, as long as objects with finalizers hold it.

    A finalizer of somebody else is not taken away: what it is there for, nobody here knows.
    """
    held = [each for raw in observed.objects.get(kind, ()) for each in raw["metadata"].get("finalizers") or ()]
    if any(each != FINALIZER for each in held):
        return (
            f"Let those whose finalizers objects of the kind {kind} have end their work, then restore the definition: "
            "until then no object of the kind can be made.",
            "",
        )
    wait = shell("kubectl", "wait", "--for=delete", f"crd/{name}", "--timeout=2m")
    command = f"{wait} && {chart.apply_definitions()}"
    if held:
        columns = "--output=custom-columns=:metadata.namespace,:metadata.name"
        get = shell("kubectl", "get", name, "--all-namespaces", "--no-headers", columns)
        patch = ("patch", name, "--type=merge", "--patch", '{"metadata":{"finalizers":null}}')
        each = f'kubectl --namespace "$namespace" {shell(*patch)} "$name"'
        command = f"{get} | while read -r namespace name; do {each}; done; {command}"
    return (
        f"Let the deletion end and restore the definition; objects of the kind {kind} "
        + ("are made again by MIC." if kind == _ASSIGNED else "come back from a bundle or from git."),
        command,
    )


def _finalizers_of(observed: Observed, kind: str) -> t.Iterator[Evidence]:
    """One object of the kind that finalizers hold."""
    for raw in observed.objects.get(kind, ()):
        finalizers = raw["metadata"].get("finalizers") or ()
        if finalizers:
            names = shown(listed([str(each) for each in finalizers]))
            yield Evidence(f"{kind} {'/'.join(place(raw))}", f"It has the finalizers {names}.")
            return


def _definition_lost(observed: Observed, name: str, kind: str) -> Evidence | None:
    definitions = observed.objects.get("CustomResourceDefinition")
    if definitions is None:
        # A cluster that was asked for the kind does not know it; what files lack is told as unread.
        if kind in observed.objects or any(one.what == name for one in observed.unread):
            return None
        return Evidence("the API server", f"It does not know {name}.")
    found = next((raw for raw in definitions if raw["metadata"]["name"] == name), None)
    if found is None:
        return Evidence("CustomResourceDefinitions of the cluster", f"There is no {name}.")
    deleted = str(found["metadata"].get("deletionTimestamp") or "")
    return Evidence(f"CustomResourceDefinition {name}", "It is being deleted.", deleted) if deleted else None


@TABLE.cause(
    ERROR,
    "Install MIC with the same chart as NMI, or set operation-mode=managed for NMI where no MIC is wanted.",
    told_by="NMI runs in standard mode, and no Deployment is proved to be MIC.",
    references=(f"{_DOCS}configure/standard_to_managed_mode/",),
)
def mic_missing(observed: Observed) -> Suspicions:
    """NMI waits for assignments that nobody makes, because MIC is not installed."""
    if observed.of(MIC) or observed.inventory.cluster.rules.mode != STANDARD or not _programs_read(observed):
        return
    for one in observed.of(NMI)[:1]:
        mode = nmi.flag(one.workload, "operation-mode") or "not set, which is standard"
        yield Suspicion(
            object=one.label,
            symptom=NO_IDENTITY,
            cause="NMI is in standard mode, and there is no MIC that would assign identities.",
            evidence=(Evidence(one.label, f"Its operation-mode is {mode}."),),
            concerns=None,
        )


@TABLE.cause(
    ERROR,
    "Bring MIC to run: see the state and the events of its pods.",
    told_by="The Deployment of MIC without a pod that is Ready, though none of them crashes.",
    references=(f"{_PROJECT}676",),
)
def mic_not_running(observed: Observed) -> Suspicions:
    """No pod of MIC is ready, so nothing is assigned and nothing is taken back."""
    for one in observed.of(MIC):
        if observed.inventory.cluster.rules.mode != STANDARD or any(map(nmi.is_ready, one.pods)):
            continue
        if any(crash_of(pod, observed) for pod in one.pods):
            continue
        namespace, name = place(one.workload)
        if (one.workload.get("spec") or {}).get("replicas") == 0:
            states, remedy = "it is scaled to no replicas", "Scale it up again."
            command = shell("kubectl", "--namespace", namespace, "scale", "deployment", name, "--replicas=2")
        else:
            states = (
                ", ".join(sorted(f"{pod['metadata']['name']} {_state(pod)}" for pod in one.pods)) or "it has no pod"
            )
            command = shell("kubectl", "--namespace", namespace, "describe", "pods")
            remedy = "See the state and the events of its pods."
        yield Suspicion(
            object=one.label,
            symptom=NO_IDENTITY,
            cause=f"No pod of MIC is Ready: {states}.",
            evidence=(Evidence(one.label, shown(f"{states[0].upper()}{states[1:]}.")), *_warnings(observed, one)),
            concerns=None,
            remedy=_kept(one, remedy),
            command=command,
        )


@TABLE.cause(
    ERROR,
    "See the log of the run before the last restart.",
    told_by="The state of the containers of MIC; why, by their logs before and after the restart.",
    sources=(OBJECTS, LOGS),
    references=(f"{_PROJECT}723", f"{_PROJECT}1013", f"{_PROJECT}1199"),
)
def mic_crashing(observed: Observed) -> Suspicions:
    """MIC ends again and again; until it runs, nothing is assigned and nothing is taken back."""
    for one in observed.of(MIC):
        for reason, crashes in crashed(observed, one, OF_MIC):
            if reason.key != ARGUMENTS and not (reason.key == RIGHTS and _lacking(observed, one)):
                yield _crashing(observed, one, reason, crashes, NO_IDENTITY, concerns=None)


@TABLE.cause(
    ERROR,
    "See the log of the run before the last restart.",
    told_by="The state of the containers of NMI; why, by their logs before and after the restart.",
    sources=(OBJECTS, LOGS),
    references=(f"{_PROJECT}249", f"{_PROJECT}294", f"{_PROJECT}728", f"{_PROJECT}740", f"{_PROJECT}877"),
)
def nmi_crashing(observed: Observed) -> Suspicions:
    """NMI ends again and again on a node, which leaves its rules without anybody behind them, or no rules at all."""
    for one in observed.of(NMI):
        for reason, crashes in crashed(observed, one, OF_NMI):
            if reason.key not in (ARGUMENTS, NO_KUBENET) and not (reason.key == RIGHTS and _lacking(observed, one)):
                nodes = {crash.node for crash in crashes}
                yield _crashing(observed, one, reason, crashes, _ON_NODE, concerns=_on_nodes(observed, nodes))


@TABLE.cause(
    ERROR,
    "Give the service account these rights again: with the ClusterRole and the ClusterRoleBinding of the chart.",
    told_by="The ClusterRoles that ClusterRoleBindings give to the service accounts of MIC and NMI. Likely where only "
    "these tell it, since another authorizer may allow the same; proved where MIC or NMI logs that it is forbidden.",
    sources=(OBJECTS, LOGS),
    references=(_CHART,),
)
def rights_missing(observed: Observed) -> Suspicions:
    """MIC or NMI may not read or write what it works with: its role or the binding of it was changed or deleted."""
    for one in (*observed.of(MIC), *observed.of(NMI)):
        rights = _lacking(observed, one)
        if not rights:
            continue
        account = f"ServiceAccount {one.namespace}/{program_rights.account_of(one.workload)}"
        said = [said_by(log, line) for pod in one.pods for log, line in lines_of(observed, one.program, pod, FORBIDDEN)]
        yield Suspicion(
            object=account,
            symptom=NO_IDENTITY if one.program == MIC else _ON_NODE_WITHOUT_RIGHTS,
            cause=f"No ClusterRole gives {account}, as which {one.label} runs, the rights that {one.program.upper()} "
            f"needs: {program_rights.described(rights)}.",
            evidence=(
                Evidence("ClusterRoles and ClusterRoleBindings of the cluster", f"None gives them to {account}."),
                *said[-1:],
            ),
            certainty=PROVED if said else LIKELY,
            concerns=None,
            remedy=_kept(one, rights_missing),
            command=chart.apply_again(one.workload),
        )


def _lacking(observed: Observed, one: Component) -> list[program_rights.Right]:
    mode = observed.inventory.cluster.rules.mode
    return program_rights.lacking(one.workload, program_rights.needed(one.program, mode), observed.objects)


@TABLE.cause(
    ERROR,
    "Take the argument away, or use the image and the chart of the same version.",
    told_by="A container of MIC or NMI that crashes, an argument in its log, and the same argument in its template.",
    sources=(OBJECTS, LOGS),
    references=(_CHART,),
)
def arguments_of_other_version(observed: Observed) -> Suspicions:
    """MIC or NMI does not know an argument that it is given: the template is of another version than the image."""
    for one in (*observed.of(MIC), *observed.of(NMI)):
        for reason, crashes in crashed(observed, one, OF_MIC if one.program == MIC else OF_NMI):
            if reason.key != ARGUMENTS:
                continue
            for argument, evidence in unknown_arguments(observed, one, crashes):
                nodes = {crash.node for crash in crashes}
                yield Suspicion(
                    object=one.label,
                    symptom=NO_IDENTITY if one.program == MIC else _ON_NODE,
                    cause=f"{one.program.upper()} ends, because it does not know the argument {argument}.",
                    evidence=(crashes[0].evidence, evidence, Evidence(one.label, f"It has the argument {argument}.")),
                    concerns=None if one.program == MIC else _on_nodes(observed, nodes),
                    remedy=_kept(one, arguments_of_other_version),
                    command=shell("kubectl", "--namespace", place(one.workload)[0], "edit", *_resource(one)),
                )


@TABLE.cause(
    ERROR,
    "Use another network plugin, or set nmi.allowNetworkPluginKubenet, and pods can take the address of others.",
    told_by="NMI that crashes without allow-network-plugin-kubenet; its log, or the network plugin of the cluster.",
    sources=(OBJECTS, LOGS),
    references=(f"{_PROJECT}875", _KUBENET),
)
def kubenet_refused(observed: Observed) -> Suspicions:
    """NMI ends, because the nodes use kubenet, where a pod can pretend to be another one."""
    network = (observed.azure.cluster.get("properties") or {}).get("networkProfile") or {} if observed.azure else {}
    on_kubenet = network.get("networkPlugin") == "kubenet"
    for one in observed.of(NMI):
        if nmi.flag(one.workload, "allow-network-plugin-kubenet") == "true":
            continue
        for reason, crashes in crashed(observed, one, OF_NMI):
            if reason.key != NO_KUBENET and not (on_kubenet and reason.key == "" and one.version >= (1, 7)):
                continue
            azure = (Evidence("the cluster in Azure", "Its network plugin is kubenet."),) if on_kubenet else ()
            yield Suspicion(
                object=one.label,
                symptom=_ON_NODE,
                cause="NMI ends, because the nodes use kubenet and that is not allowed.",
                evidence=(crashes[0].evidence, *last_words(observed, one, reason, crashes), *azure),
                certainty=PROVED if on_kubenet and reason.key else LIKELY,
                concerns=_on_nodes(observed, {crash.node for crash in crashes}),
                remedy=_kept(one, kubenet_refused),
                command=chart.set_value(one.workload, "nmi.allowNetworkPluginKubenet=true"),
            )


@TABLE.cause(
    ERROR,
    "Let NMI run on the node: tolerate its taint, select its labels, or keep pods with identities away from it.",
    told_by="A node without a pod of NMI that is Ready, with pods that get identities, or on which NMI is to run. "
    "Not told within three minutes of the end of its pod.",
)
def nmi_missing_on_node(observed: Observed) -> Suspicions:
    """No NMI works on a node, so that pods there ask the endpoint of the node, which gives them any identity."""
    several = observed.of(NMI)
    if not several or "Node" not in observed.objects:
        return
    wanting = _wanting(observed)
    working: set[str] = set()
    idle: dict[str, list[tuple[Component, nmi.NodeState]]] = {}
    for one in several:
        crashing = {crash.node for dummy, crashes in crashed(observed, one, OF_NMI) for crash in crashes}
        pods = [pod for pod in one.pods if not _deleted(pod)]
        # The successor of a pod is made when that is gone.
        replaced = {
            str((pod.get("spec") or {}).get("nodeName")) for pod in one.pods if _is_young(observed, _deleted(pod))
        }
        for state in nmi.node_states(one.workload, observed.nodes.values(), pods, lambda pod: nmi.ACTIVE):
            node = observed.nodes[state.node]
            if state.state == "active" or state.node in crashing or state.node in replaced:
                working.add(state.node)
            elif state.state != "not_expected" or (state.node in wanting and nmi.is_ready(node)):
                pod = next((pod for pod in pods if pod["metadata"]["name"] == state.pod), {})
                if not _is_young(observed, _ready_since(node)) and not _is_young(observed, _made(pod)):
                    idle.setdefault(state.node, []).append((one, state))
    by_reason: dict[str, list[str]] = {}
    for name, states in idle.items():
        if name not in working and len(states) == len(several):
            by_reason.setdefault(states[0][1].reason, []).append(name)
    for reason, names in by_reason.items():
        yield _without_nmi(observed, reason, sorted(names), idle[names[0]], wanting)


def _without_nmi(
    observed: Observed,
    reason: str,
    nodes: t.Sequence[str],
    states: t.Sequence[tuple[Component, nmi.NodeState]],
    wanting: t.Mapping[str, t.AbstractSet[str]],
) -> Suspicion:
    """``states``: those of the first node, of each NMI."""
    one, state = states[0]
    pods = sorted(pod for node in nodes for pod in wanting.get(node, ()))
    who = f" {listed(pods)} {'wants' if len(pods) == 1 else 'want'} an identity there." if pods else ""
    where = f"node {nodes[0]}" if len(nodes) == 1 else f"the nodes {listed(nodes)}"
    return Suspicion(
        object=f"Node {nodes[0]}" if len(nodes) == 1 else one.label,
        symptom=_ON_NODE,
        cause=f"No NMI works on {where}: {reason}.{who}",
        evidence=tuple(Evidence(each.label, f"On node {told.node}: {told.reason}.") for each, told in states),
        concerns=_on_nodes(observed, set(nodes)),
        remedy=_kept(one, nmi_missing_on_node),
        command=_for_node(one, state, observed.nodes[state.node]),
    )


def _for_node(one: Component, state: nmi.NodeState, node: Raw) -> str:
    """What lets NMI run on the node, or shows why it does not."""
    where = ("kubectl", "--namespace", place(one.workload)[0])
    if state.pod:
        return shell(*where, "describe", "pod", state.pod)
    change = nmi.letting(one.workload, node) if state.state == "not_expected" else {}
    if not change:
        return shell(*where, "describe", *_resource(one))
    patch = json.dumps({"spec": {"template": {"spec": change}}}, separators=(",", ":"))
    return shell(*where, "patch", *_resource(one), "--type=merge", f"--patch={patch}")


def _is_young(observed: Observed, since: str) -> bool:
    """Whether what is missing may still be on its way."""
    when = moment(since)
    return when is not None and observed.now - when < _STARTING


def _made(raw: Raw) -> str:
    return str((raw.get("metadata") or {}).get("creationTimestamp") or "")


def _deleted(raw: Raw) -> str:
    """When its grace ends; empty where nobody has deleted it."""
    return str((raw.get("metadata") or {}).get("deletionTimestamp") or "")


def _ready_since(node: Raw) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return next((str(each.get("lastTransitionTime") or "") for each in conditions if each.get("type") == "Ready"), "")


@TABLE.cause(
    ERROR,
    "Delete the pod of NMI; where its successor says the same, see its log.",
    told_by="NMI says of itself that it is not active: it has written no rules.",
    sources=(OBJECTS, NODES),
)
def nmi_not_active(observed: Observed) -> Suspicions:
    """NMI runs and is Ready, but has written no rules on its node, which its probe cannot see."""
    for one in observed.of(NMI):
        for pod in one.pods:
            said = observed.health.get(label_of(pod), nmi.ACTIVE)
            if said == nmi.ACTIVE or _is_young(observed, _made(pod)) or crash_of(pod, observed):
                continue
            node = str((pod.get("spec") or {}).get("nodeName") or "")
            yield Suspicion(
                object=label_of(pod),
                symptom=_ON_NODE,
                cause=f"NMI on node {node} has written no rules.",
                evidence=(Evidence(label_of(pod), f"Its health is {said!r}."),),
                concerns=_on_nodes(observed, {node}),
                command=shell("kubectl", "--namespace", *place(pod)[:1], "delete", "pod", place(pod)[1]),
            )


@TABLE.cause(
    ERROR,
    "Take one of them away: the chart (helm uninstall RELEASE), or the add-on (az aks update --disable-pod-identity, "
    "with the extension aks-preview), which forgets its identities and exceptions. The playbook "
    "azureops.pod_identity.uninstall removes both.",
    told_by="Two DaemonSets that are proved to be NMI run on one node, where both use the same ports and rules.",
    references=(f"{_PROJECT}740",),
)
def two_installations(observed: Observed) -> Suspicions:
    """Two NMIs run on the same nodes, and take the ports and the rules away from each other."""
    several = observed.of(NMI)
    for number, one in enumerate(several):
        for other in several[number + 1 :]:
            nodes = _nodes_of(observed, one) & _nodes_of(observed, other)
            if not nodes:
                continue
            addon = next((each for each in (one, other) if nmi.managed_by(each.workload).kind == "addon"), None)
            away = one if other is addon else other
            yield Suspicion(
                object=away.label,
                symptom="One of two NMIs crashes (address already in use), and pods get the answers of either.",
                cause=f"{one.label} and {other.label} both run NMI on {listed(sorted(nodes))}.",
                evidence=tuple(
                    Evidence(
                        each.label, f"It runs {nmi.image_tag(each.workload) or 'an image without a tag'}, {_by(each)}."
                    )
                    for each in (one, other)
                ),
                concerns=_on_nodes(observed, nodes),
                remedy=_kept(away, two_installations),
                command=_uninstall(away),
            )


def _nodes_of(observed: Observed, one: Component) -> frozenset[str]:
    if observed.nodes:
        return frozenset(name for name, node in observed.nodes.items() if nmi.covers(one.workload, node))
    return frozenset(str((pod.get("spec") or {}).get("nodeName") or "") for pod in one.pods) - {""}


def _by(one: Component) -> str:
    manager = nmi.managed_by(one.workload)
    if manager.kind == "helm":
        return f"from the release {manager.release_name}"
    return {"addon": "from the AKS add-on", "manifests": "from manifests"}.get(
        manager.kind, f"managed by {manager.kind}"
    )


def _uninstall(one: Component) -> str:
    manager, namespace = nmi.managed_by(one.workload), place(one.workload)[0]
    if manager.kind == "helm":
        return shell("helm", "uninstall", manager.release_name, "--namespace", manager.release_namespace or namespace)
    if nmi.keeper(one.workload):
        return ""
    return shell("kubectl", "--namespace", namespace, "delete", *_resource(one))


@TABLE.cause(
    WARNING,
    "Upgrade the chart to 4.1.18 (MIC 1.8.17), which changes the identities of a scale set and nothing else of it.",
    told_by="A Deployment of MIC before 1.6.",
    sources=(OBJECTS, LOGS),
    references=(f"{_PROJECT}635", f"{_PROJECT}752", f"{_PROJECT}753"),
)
def mic_rewrites_scale_sets(observed: Observed) -> Suspicions:
    """MIC before 1.6 writes scale sets as a whole: what it does not know is lost, and it needs rights on images."""
    refused = all_of("LinkedAuthorizationFailed", "galleries|images|applicationSecurityGroups")
    for one in observed.of(MIC):
        if not one.version or one.version >= (1, 6):
            continue
        lines = [
            said_by(log, line)
            for log in observed.logs_of(MIC)
            for line, dummy in log.matching(refused)
            if any(place(pod) == (log.namespace, log.pod) for pod in one.pods)
        ]
        yield Suspicion(
            object=one.label,
            symptom="Assignments fail with LinkedAuthorizationFailed about an image, or scale sets lose settings.",
            cause=f"MIC {'.'.join(map(str, one.version))} writes scale sets as a whole.",
            evidence=(Evidence(one.label, f"Its image has the tag {nmi.image_tag(one.workload)}."), *lines[-1:]),
            certainty=PROVED,
            # Only where it is refused it explains what is missing.
            concerns=None if lines else frozenset(),
            remedy=_kept(one, mic_rewrites_scale_sets),
            command=chart.upgrade(one.workload),
        )


@TABLE.cause(
    WARNING,
    "Give MIC and NMI the same forceNamespaced and operation-mode, as the chart does.",
    told_by="The arguments and variables of MIC and NMI.",
)
def modes_differ(observed: Observed) -> Suspicions:
    """MIC and NMI are configured differently, so that NMI refuses what MIC assigns, or nobody needs it."""
    for one in observed.of(MIC):
        for other in observed.of(NMI):
            if nmi.flag(other.workload, "operation-mode").lower() == "managed":
                yield _differs(
                    one, other, "operation-mode=managed", "MIC assigns identities that NMI does not look at."
                )
                continue
            confined = [nmi.forces_namespaces(each.workload) for each in (one, other)]
            if confined == [False, True]:
                effect = "Pods are assigned identities of other namespaces, and NMI refuses them."
                yield _differs(one, other, "forceNamespaced", effect, concerns=None)
            elif confined == [True, False]:
                effect = "NMI would give out what MIC assigned before identities were confined to their namespaces."
                yield _differs(one, other, "forceNamespaced", effect)


def _differs(
    one: Component, other: Component, what: str, effect: str, concerns: frozenset[str] | None = frozenset()
) -> Suspicion:
    def told(each: Component) -> Evidence:
        mode = nmi.flag(each.workload, "operation-mode") or "not set"
        confined = str(nmi.forces_namespaces(each.workload)).lower()
        return Evidence(each.label, f"operation-mode is {mode}, forceNamespaced is {confined}.")

    return Suspicion(
        object=other.label,
        symptom=effect,
        cause=f"{one.label} and {other.label} differ in {what}.",
        evidence=(told(one), told(other)),
        concerns=concerns,
        remedy=_kept(other, modes_differ),
        command=shell("kubectl", "--namespace", place(other.workload)[0], "edit", *_resource(other)),
    )


@TABLE.cause(
    ERROR,
    "Except MIC (an AzurePodIdentityException with its labels), or name its namespace with MICNamespace.",
    told_by="Pods of MIC that NMI takes for pods like any other; their logs.",
    sources=(OBJECTS, LOGS),
    references=(f"{_PROJECT}484",),
)
def mic_not_excepted(observed: Observed) -> Suspicions:
    """NMI catches the requests of MIC itself, which gets no token for Azure then."""
    failed = all_of("refresh|token|MSI|metadata/identity", r"\b(?:403|404|Forbidden|Not Found)\b")
    inventory = observed.inventory
    nodes = {str((pod.get("spec") or {}).get("nodeName") or "") for one in observed.of(NMI) for pod in one.pods}
    for one in observed.of(MIC):
        for raw in one.pods:
            pod = Pod.parse(raw)
            if pod.host_network or pod.node not in nodes or not pod.lives:
                continue
            if inventory.answers.taken_for_mic(pod) or inventory.answers.exceptions(pod):
                continue
            said = [said_by(log, line) for log, line in lines_of(observed, MIC, raw, failed)]
            if not said and any(True for dummy in logs_of(observed, MIC, raw)):
                continue  # it gets its tokens, from a service principal
            rules = inventory.cluster.rules
            yield Suspicion(
                object=one.label,
                symptom="MIC logs 403 or 404 from the endpoint for tokens, and assigns nothing.",
                cause=f"NMI takes {label_of(raw)} for a pod like any other.",
                evidence=(
                    Evidence(
                        label_of(raw), f"MICNamespace of NMI is {rules.mic_namespace}; no exception covers the pod."
                    ),
                    *said[-1:],
                ),
                certainty=LIKELY if said else POSSIBLE,
                concerns=None,
                remedy=_kept(one, mic_not_excepted),
                command=chart.set_value(one.workload, "installMICException=true"),
            )
            break


# what they have in common


def _programs_read(observed: Observed) -> bool:
    return "Deployment" in observed.objects and "DaemonSet" in observed.objects


def _resource(one: Component) -> tuple[str, str]:
    return str(one.workload["kind"]).lower(), place(one.workload)[1]


def _kept(one: Component, remedy: str | Look) -> str:
    """The remedy, or that of the table for one of its functions; with where to carry it out, if that is elsewhere."""
    text = remedy if isinstance(remedy, str) else next(row.remedy for row in TABLE.rows if row.look is remedy)
    keeper = nmi.keeper(one.workload)
    if not keeper:
        return text
    return f"{text} Change {one.label} where it comes from ({keeper}): what is changed in the cluster is undone."


def _wanting(observed: Observed) -> dict[str, set[str]]:
    """Labels of the pods that get an identity through NMI, by their nodes."""
    inventory, found = observed.inventory, dict[str, set[str]]()
    for workload in inventory.cluster.workloads:
        if workload.pod.host_network or not inventory.identities_of(workload):
            continue
        for pod in workload.pods:
            if pod.lives and pod.node and not inventory.answers.exceptions(pod):
                found.setdefault(pod.node, set()).add(pod.label)
    return found


def _on_nodes(observed: Observed, nodes: t.AbstractSet[str]) -> frozenset[str]:
    wanting = _wanting(observed)
    return frozenset(f"Node {node}" for node in nodes).union(*(wanting.get(node, set()) for node in nodes))


def _state(pod: Raw) -> str:
    """What keeps a pod from being Ready."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return shown(f"waits ({waiting['reason']}: {waiting.get('message') or 'without a message'})", 300)
    for condition in status.get("conditions") or ():
        if condition.get("status") == "False" and condition.get("message"):
            return shown(f"is not {condition.get('type')} ({condition['message']})", 300)
    return f"is {status.get('phase') or 'Unknown'}"


def _crashing(
    observed: Observed,
    one: Component,
    reason: Reason,
    crashes: t.Sequence[Crash],
    symptom: str,
    *,
    concerns: frozenset[str] | None,
) -> Suspicion:
    named, pods = one.program.upper(), listed([crash.label for crash in crashes])
    why = f", because {reason.cause}" if reason.cause else ""
    namespace, pod = place(crashes[0].pod)
    told = reason.key == "" or crashes[0].reason == "OOMKilled"
    evidence = (*(crash.evidence for crash in crashes[:_MOST_EVIDENCE]), *last_words(observed, one, reason, crashes))
    return Suspicion(
        object=one.label,
        symptom=symptom,
        cause=f"{named} ends again and again ({pods}){why}.",
        evidence=evidence,
        # That it crashes is proved by its state; why, by what its log says, is not.
        certainty=PROVED if told else LIKELY,
        concerns=concerns,
        remedy=_kept(one, reason.remedy or "See the log of the run before the last restart."),
        command=shell("kubectl", "--namespace", namespace, "logs", "--previous", pod),
    )


def _warnings(observed: Observed, one: Component) -> tuple[Evidence, ...]:
    """The latest events about what makes its pods, and about these."""
    names = {one.label, *map(label_of, one.pods)}
    names |= {label_of(each, each["kind"]) for each in _replica_sets(observed, one)}
    told = [event for event in observed.events or () if event.warning and event.object in names]
    return tuple(
        Evidence(f"event of {event.object}", shown(f"{event.reason}: {event.message}"), event.time)
        for event in told[-_MOST_EVIDENCE:]
    )


def _replica_sets(observed: Observed, one: Component) -> t.Iterator[Raw]:
    uid = one.workload["metadata"].get("uid")
    for raw in observed.objects.get("ReplicaSet", ()):
        if uid and any(each.get("uid") == uid for each in raw["metadata"].get("ownerReferences") or ()):
            yield {**raw, "kind": "ReplicaSet"}
