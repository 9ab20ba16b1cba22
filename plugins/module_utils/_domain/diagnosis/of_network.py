# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Causes between a pod and NMI, and between NMI and the metadata service: rules, policies, nodes, clocks.

What of a node's own state matters here (its rules, ``route_localnet``) is not read from outside. A request in the place
of a pod tells it, so where one was made its verdict decides between causes that the objects only make possible.
"""

from __future__ import annotations

import json
import re
import typing as t
from datetime import timedelta

from ..azure import aadsts
from ..commands import shell
from ..installation import nmi
from ..kubernetes import network_policies
from ..kubernetes.objects import labels_of
from ..kubernetes.workloads import Workload
from ..matching.matching import USER_ASSIGNED, Pod, Raw
from ..moments import lately, moment
from ..nodes.cluster_nodes import USER_RULES_LABEL
from ..tokens import token, token_questions
from .cause import (
    AZURE,
    ERROR,
    LIKELY,
    LOGS,
    NODES,
    OBJECTS,
    POSSIBLE,
    PROBE,
    PROVED,
    Evidence,
    Suspicion,
    Suspicions,
    Table,
)
from .logs import Line, Log
from .observed import NMI, Asked, Component, Observed, said_by

TABLE = Table()
_REFUSED, _UNCLEAR = "nmi_dead", "unclear"
_ENGINES = ("azure-npm", "azure-npm-win", "calico-node", "cilium", "canal", "antrea-agent", "kube-router", "weave-net")
_SYSTEM = ("kube-system", "calico-system")
_NFTABLES = re.compile(r"^\s*mode:\s*['\"]?nftables['\"]?\s*$", re.MULTILINE)
# What a pod asks for, which may be any text, stands in lines that begin otherwise, or escaped in JSON.
_FAILED = r'^(?:msg=")?failed '
_UNKNOWN_POD = re.compile(_FAILED + r"to (?:get pod info from|match) pod IP:? ?(?P<ip>[0-9.]+)")
_BROKEN_WATCH = re.compile(r"^(?:\S{1,200} )?failed to (?:list|watch) \*v1\.Pod\b", re.IGNORECASE)
# Some NMIs ask first whether there is a metadata service, others (1.8.17) five times within two minutes.
_NO_IMDS = re.compile(r"the MSI endpoint is not available|dial tcp 169\.254\.169\.254:80: ", re.IGNORECASE)
_SAID_NO_IMDS = re.compile(
    _FAILED + r"[^{]*(?:error: the MSI endpoint is not available|dial tcp 169\.254\.169\.254:80: )", re.IGNORECASE
)
_SAID_NOT_IN_TIME = re.compile(_FAILED + rf'.*"error_description": ?"(?:{"|".join(sorted(aadsts.OUT_OF_TIME))})\b')
# pkg/nmi/server/server.go, appHandler.ServeHTTP.
_SERVED = re.compile(
    r"^status \(200\) took \d{1,20} ns for req\.method=GET reg\.path=/metadata/identity/oauth2/token/? "
    r"req\.remote=(?P<ip>[0-9.]+)\b"
)
# Right after its start NMI may not have heard of a pod yet; its client asks again.
_UNTIL_HEARD_OF = timedelta(seconds=10)
# A watch that breaks once or twice, as when the API server restarts, is made again.
_BROKEN = 3
# Entra takes assertions of a clock that is up to five minutes off.
_CLOCK_LIMIT = timedelta(minutes=5)
_IMDS_RESTRICTION = "https://learn.microsoft.com/azure/aks/imds-restriction"


@TABLE.cause(
    ERROR,
    "Where pods need pod identity, let NMI run on the node. Where it is gone for good, remove its rules: "
    "azureops.pod_identity.cleanup_nodes, which refuses while the node's scale set carries identities of pods.",
    told_by="Requests in place of a pod that are refused at once on a node that no NMI covers; without such requests, "
    "AKS's own mark of a node with rules of users, where objects of pod identity are left.",
    sources=(OBJECTS, PROBE, NODES),
    references=("Azure/aad-pod-identity#211",),
)
def stale_rule(observed: Observed) -> Suspicions:
    """A node without NMI still redirects the metadata address to it, so no pod there gets an answer."""
    refused = {one.node: one for one in observed.asked if one.verdict.verdict == _REFUSED}
    answered = {one.node for one in observed.asked if one.verdict.answered_by not in (token.NOBODY, token.UNKNOWN)}
    inventory = observed.inventory.cluster
    left = bool(inventory.bindings or inventory.identities or inventory.assigned)
    for name, node in observed.nodes.items():
        if name in answered or any(nmi.covers(one.workload, node) for one in observed.of(NMI)):
            continue
        marked = str(labels_of(node).get(USER_RULES_LABEL, "")).lower() == "true"
        if name in refused:
            one, certainty = refused[name], PROVED
            evidence = [one.evidence]
        elif marked and left:
            certainty, evidence = POSSIBLE, []
        else:
            continue
        if marked:
            evidence.append(Evidence(f"Node {name}", f"It has the label {USER_RULES_LABEL}."))
        yield Suspicion(
            object=f"Node {name}",
            symptom="Requests of every pod there for a token are refused at once, or hang.",
            cause="The node redirects 169.254.169.254 to NMI, and no NMI is there.",
            evidence=(*evidence, Evidence(f"Node {name}", "No NMI is to run there.")),
            certainty=certainty,
            concerns=frozenset({f"Node {name}"}),
        )


@TABLE.cause(
    ERROR,
    "Allow egress to NMI, which is 127.0.0.1:2579, or port 2579 of the node before 1.6.2.",
    told_by="The NetworkPolicies for egress that select a pod: none of them allows a connection to where NMI listens. "
    "Proved where it is known what enforces policies, or where a request in place of the pod got no answer. Policies "
    "of other kinds, such as CiliumNetworkPolicy and AdminNetworkPolicy, are not looked at.",
    sources=(OBJECTS, AZURE, PROBE),
)
def policy_blocks_nmi(observed: Observed) -> Suspicions:
    """NetworkPolicies let a pod open no connection to NMI.

    A policy sees the address behind NMI's redirect, so that to allow 169.254.169.254 is not enough.
    """
    policies, enforcer = observed.objects.get("NetworkPolicy", ()), _enforcer(observed)
    for daemons in observed.of(NMI)[:1] if policies and enforcer != "" else ():
        for workload in _clients(observed):
            asked = _asked_for(observed, workload)
            if any(one.verdict.answered_by == token.NMI for one in asked):
                continue
            port = nmi.listens_at(daemons.workload)[1]
            blocked = [
                _Blocked(pod, address, confining)
                for pod in _pods(workload)
                for address in _addresses_of_nmi(observed, daemons, pod)
                for confining in (network_policies.of_egress(policies, pod.namespace, pod.labels),)
                if confining and not network_policies.allow(confining, address, port)
            ]
            if blocked:
                silent = [one for one in asked if _is_silent(one)]
                yield _blocked(workload, blocked, port, enforcer, silent)


class _Blocked(t.NamedTuple):
    """``policies``: those that confine the pod, of which none lets it reach NMI at ``address``."""

    pod: Pod
    address: str
    policies: tuple[Raw, ...]


def _blocked(
    workload: Workload, blocked: t.Sequence[_Blocked], port: int, enforcer: str | None, silent: t.Sequence[Asked]
) -> Suspicion:
    policies, target = blocked[0].policies, f"{blocked[0].address}:{port}"
    names = [f"NetworkPolicy {workload.pod.namespace}/{one['metadata']['name']}" for one in policies]
    by_address = network_policies.allow(policies, "169.254.169.254", 80)
    aware = ". They do allow 169.254.169.254, but see the address behind NMI's redirect" if by_address else ""
    evidence = [Evidence(name, f"It selects the pod and does not allow {target}.") for name in names]
    evidence += [Evidence("the cluster", f"{enforcer} enforces policies.")] if enforcer else []
    evidence += [one.evidence for one in silent]
    return Suspicion(
        object=names[0],
        symptom="Requests for a token get no answer and time out.",
        cause=f"{' and '.join(names)} let pods of {workload.label} open no connection to NMI at {target}{aware}.",
        evidence=tuple(evidence),
        certainty=PROVED if enforcer or silent else POSSIBLE,
        concerns=_labels_of(workload, (one.pod for one in blocked)),
        remedy=f"Allow egress to {blocked[0].address}, TCP port {port}.",
        command=_allowing(policies[0], sorted({one.address for one in blocked}), port),
    )


def _allowing(policy: Raw, addresses: t.Sequence[str], port: int) -> str:
    """For the very pods that ``policy`` confines, so that it confines no others."""
    name = f"allow-nmi-beside-{policy['metadata']['name']}"[:253].rstrip("-.")
    spec = {
        "podSelector": (policy.get("spec") or {}).get("podSelector") or {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"ipBlock": {"cidr": f"{each}/32"}} for each in addresses],
                "ports": [{"protocol": network_policies.TCP, "port": port}],
            }
        ],
    }
    metadata = {"name": name, "namespace": policy["metadata"].get("namespace", "")}
    wanted = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return f"{shell('printf', '%s', json.dumps(wanted))} | {shell('kubectl', 'apply', '--filename', '-')}"


@TABLE.cause(
    ERROR,
    "Look at the rules of the node for what rejects or drops packets of pods to 169.254.169.254 or to NMI's port 2579 "
    "(raw, mangle and filter tables, or another firewall there), and let them pass. Keep NMI's own rules.",
    told_by="A request in place of a pod that was refused or not answered on a node whose NMI is Ready and says that "
    "it is Active.",
    sources=(PROBE, NODES, OBJECTS),
)
def way_to_nmi_blocked(observed: Observed) -> Suspicions:
    """NMI runs on a node, and requests of pods there do not reach it."""
    active = {
        str((pod.get("spec") or {}).get("nodeName", "")): label
        for one in observed.of(NMI)
        for pod in one.pods
        for label in (f"Pod {pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}",)
        if nmi.is_ready(pod) and observed.health.get(label) == nmi.ACTIVE
    }
    others = (policy_blocks_nmi, kube_proxy_bypasses, imds_restricted)
    explained = {pod for look in others for pod in _silenced(look, observed)}
    for one in observed.asked:
        refused = one.verdict.verdict == _REFUSED
        if one.node in active and (refused or _is_silent(one)) and one.pod_label not in explained:
            yield Suspicion(
                object=f"Node {one.node}",
                symptom="Requests for a token are refused at once." if refused else "Requests for a token time out.",
                cause=f"NMI runs on the node {one.node}, and requests of {one.pod_label} "
                f"{'are refused' if refused else 'get lost'} on the way to it.",
                evidence=(one.evidence, Evidence(active[one.node], f"It says {nmi.ACTIVE}.")),
                certainty=PROVED,
                concerns=frozenset({f"Node {one.node}", one.pod_label}),
                command=_rules_of(one.node),
            )


def _silenced(look: t.Callable[[Observed], Suspicions], observed: Observed) -> t.Iterator[str]:
    """Labels of the pods whose lack of an answer another cause explains."""
    for found in look(observed):
        if found.certainty == PROVED:
            labels = (one.pod_label for one in observed.asked)
            yield from (label for label in labels if found.concerns is None or label in found.concerns)


def _rules_of(node: str) -> str:
    """A command that shows the rules of a node, from a pod that goes with it."""
    options = ("--stdin", "--tty", f"--image={token_questions.IMAGE}", "--profile=sysadmin")
    return shell("kubectl", "debug", f"node/{node}", *options, "--", "chroot", "/host", "iptables-save")


@TABLE.cause(
    ERROR,
    "Use kube-proxy in iptables mode for these nodes, or move the workloads to Workload ID, which needs no redirect.",
    told_by="The mode of kube-proxy and the data plane, as Azure or kube-system tell them. Proved where a request in "
    "place of a pod got no answer or one of the metadata service itself; refuted where NMI answered one.",
    sources=(OBJECTS, AZURE, PROBE),
    references=("https://github.com/kubernetes/kubernetes/issues/107684", "cilium/cilium#20103"),
)
def kube_proxy_bypasses(observed: Observed) -> Suspicions:
    """What carries the cluster's traffic leaves NMI's redirect without effect.

    Only kube-proxy in iptables mode lets packets of pods reach the node's loopback address (``route_localnet``), where
    NMI listens; Cilium in place of kube-proxy may pass by iptables altogether.
    """
    daemons = observed.of(NMI)[:1]
    agreeing = [one for one in observed.asked if _is_silent(one) or one.verdict.answered_by == token.IMDS]
    if not daemons or any(one.verdict.answered_by == token.NMI for one in observed.asked):
        return
    on_loopback = nmi.listens_at(daemons[0].workload)[0].startswith("127.")
    for what, evidence in (*_nftables(observed)[: int(on_loopback)], *_cilium(observed)[:1]):
        yield Suspicion(
            object=evidence.source,
            symptom="Requests for a token time out, or the metadata service answers them itself.",
            cause=f"The cluster uses {what}, with which packets of pods do not reach NMI.",
            evidence=(evidence, *(one.evidence for one in agreeing)),
            certainty=PROVED if agreeing else POSSIBLE,
            concerns=None,
        )


def _nftables(observed: Observed) -> list[tuple[str, Evidence]]:
    what, found = "kube-proxy in nftables mode", []
    if str((_network(observed).get("kubeProxyConfig") or {}).get("mode", "")).lower() == "nftables":
        found.append((what, Evidence(_cluster(observed), "Its kubeProxyConfig has the mode NFTABLES.")))
    for raw in _of_system(observed, "ConfigMap", "kube-proxy"):
        if any(_NFTABLES.search(str(text)) for text in (raw.get("data") or {}).values()):
            found.append((what, Evidence("ConfigMap kube-system/kube-proxy", "It sets the mode nftables.")))
    for raw in _of_system(observed, "DaemonSet", "kube-proxy"):
        if nmi.flag(raw, "proxy-mode") == "nftables":
            found.append((what, Evidence("DaemonSet kube-system/kube-proxy", "It has --proxy-mode=nftables.")))
    return found


def _cilium(observed: Observed) -> list[tuple[str, Evidence]]:
    what, found = "Cilium in place of kube-proxy", []
    if str(_network(observed).get("networkDataplane", "")).lower() == "cilium":
        found.append((what, Evidence(_cluster(observed), "Its networkDataplane is cilium.")))
    for raw in _of_system(observed, "ConfigMap", "cilium-config"):
        value = str((raw.get("data") or {}).get("kube-proxy-replacement", ""))
        if value in ("true", "strict"):
            evidence = Evidence("ConfigMap kube-system/cilium-config", f"It has kube-proxy-replacement {value}.")
            found.append((what, evidence))
    return found


@TABLE.cause(
    ERROR,
    "Disable IMDS restriction (az aks update --disable-imds-restriction, with the extension aks-preview) and upgrade "
    "the node images, or use Workload ID.",
    told_by="podLinkLocalAccess of the cluster's network profile in Azure. Proved where a request in place of a pod "
    "got no answer.",
    sources=(AZURE, PROBE),
    references=(_IMDS_RESTRICTION,),
)
def imds_restricted(observed: Observed) -> Suspicions:
    """AKS keeps pods away from the metadata address, by rules of its own on every node."""
    if str(_network(observed).get("podLinkLocalAccess", "")).lower() != "none" or not observed.of(NMI):
        return
    if any(one.verdict.answered_by == token.NMI for one in observed.asked):
        return
    silent = [one for one in observed.asked if _is_silent(one)]
    yield Suspicion(
        object=_cluster(observed),
        symptom="Requests for a token get no answer.",
        cause="IMDS restriction is on, so pods outside the host network may not reach 169.254.169.254.",
        evidence=(
            Evidence(_cluster(observed), "Its podLinkLocalAccess is None."),
            *(one.evidence for one in silent),
        ),
        certainty=PROVED if silent else POSSIBLE,
        concerns=None,
    )


@TABLE.cause(
    ERROR,
    "Let NMI reach the API server (a firewall needs a network rule for its address), then restart NMI on the node.",
    told_by="NMI's log of the last 15 minutes: failed to match pod IP, where the address is that of a pod which still "
    "lives on that node or of the node itself; failed to list or watch pods, three times. Or NMI's answer to a request "
    "in place of a pod.",
    sources=(LOGS, OBJECTS, PROBE),
)
def nmi_does_not_know_pod(observed: Observed) -> Suspicions:
    """NMI cannot tell which pod asks, because its watch of the API server is broken or the pod's address is hidden."""
    by_address = {
        pod.ip: pod for pod in observed.inventory.cluster.pods if pod.lives and pod.ip and not pod.host_network
    }
    started, since = _starts(observed), _running_since(observed)
    of_node = {address: name for name, node in observed.nodes.items() for address in _addresses(node)}
    for log in observed.logs_of(NMI):
        told: dict[str, Evidence] = {}
        for line, found in _lately(observed, log, _UNKNOWN_POD):
            if _is_early(line.time, since.get((log.namespace, log.pod))):
                continue
            address = found["ip"].rstrip(".")
            pod = by_address.get(address)
            if _served_since(observed, log, line, address):
                continue
            if pod and pod.node == log.node and not _is_early(line.time, started.get((pod.namespace, pod.name))):
                told[pod.label] = said_by(log, line)
            elif of_node.get(address) == log.node:
                told[f"Node {log.node}"] = said_by(log, line)
        watches = [line for line, dummy in _lately(observed, log, _BROKEN_WATCH)]
        if any(one.node == log.node and one.verdict.verdict == token.OK for one in observed.asked):
            watches = []  # it knew a pod that had just been made
        broken = len(watches) >= _BROKEN
        if told or (broken and log.node in observed.nodes):
            hidden = f"Node {log.node}" in told
            yield Suspicion(
                object=f"Pod {log.namespace}/{log.pod}",
                symptom="NMI answers 500 after about a second.",
                cause=f"NMI on the node {log.node} does not know the pods that ask"
                + (", because their requests come from an address of the node." if hidden else "."),
                evidence=(*told.values(), *([said_by(log, watches[-1])] if broken else ())),
                certainty=LIKELY,
                concerns=frozenset({*told, f"Node {log.node}"}),
                command=shell("kubectl", "delete", "pod", "--namespace", log.namespace, log.pod),
            )
    for one in observed.asked:
        if one.verdict.verdict == "pod_unknown":
            yield Suspicion(
                object=f"Node {one.node}",
                symptom="NMI answers 500 after about a second.",
                cause=f"NMI on the node {one.node} does not know a pod that runs there.",
                evidence=(one.evidence,),
                concerns=frozenset({f"Node {one.node}", one.pod_label}),
            )


@TABLE.cause(
    ERROR,
    "Look on the node itself: curl -H Metadata:true http://169.254.169.254/metadata/instance?api-version=2021-02-01; a "
    "route, a firewall or a proxy there is in the way. Where it is one node of many, reimage it.",
    told_by="NMI's log of the last 15 minutes, or its answer to a request in place of a pod: the MSI endpoint is not "
    "available, or dial tcp 169.254.169.254:80.",
    sources=(LOGS, PROBE),
)
def node_cannot_reach_imds(observed: Observed) -> Suspicions:
    """A node's own way to the metadata service is broken, so NMI there gets no token for anybody."""
    for log in observed.logs_of(NMI):
        failed = _lately(observed, log, _SAID_NO_IMDS)[-1:] if log.node in observed.nodes else ()
        for line, _match in failed:
            if _served_since(observed, log, line):
                continue
            yield Suspicion(
                object=f"Node {log.node}",
                symptom="NMI answers 403 or 503, by its version within a second or after two minutes.",
                cause=f"NMI on the node {log.node} gets no answer of the metadata service.",
                evidence=(said_by(log, line),),
                certainty=LIKELY,
                concerns=frozenset({f"Node {log.node}"}),
            )
    for one in observed.asked:
        # Where NMI cannot pass on a request for metadata, it is unclear who answered.
        by_nmi = one.verdict.answered_by == token.NMI
        if (by_nmi or one.verdict.verdict == _UNCLEAR) and _NO_IMDS.search(one.verdict.message):
            yield Suspicion(
                object=f"Node {one.node}",
                symptom="NMI answers 403 or 503, by its version within a second or after two minutes.",
                cause=f"NMI on the node {one.node} gets no answer of the metadata service.",
                evidence=(one.evidence,),
                certainty=PROVED if by_nmi else LIKELY,
                concerns=frozenset({f"Node {one.node}", one.pod_label}),
            )


@TABLE.cause(
    ERROR,
    "Mend the node's time service (timedatectl, chronyc tracking), or reimage the node.",
    told_by="Times that the node's kubelet wrote (its Lease, its heartbeats) beside the API server's clock, five "
    "minutes apart or more; AADSTS700024 or 500133 in NMI's log of the last 15 minutes, or in the answer to a request "
    "in place of a pod, or a token there that has expired. In files only times of the future are told.",
    sources=(OBJECTS, LOGS, PROBE),
)
def clock_skew(observed: Observed) -> Suspicions:
    """A node's clock is so far off that Entra refuses what is signed there."""
    for name, node in observed.nodes.items():
        found = _skew(observed, name, node)
        if found:
            yield _skewed(name, PROVED, found)
    for log in observed.logs_of(NMI):
        for line, _match in _lately(observed, log, _SAID_NOT_IN_TIME)[-1:] if log.node in observed.nodes else ():
            yield _skewed(log.node, LIKELY, said_by(log, line))
    for one in observed.asked:
        if _is_out_of_time(one) and one.node in observed.nodes:
            yield _skewed(one.node, LIKELY, one.evidence)


def _is_out_of_time(one: Asked) -> bool:
    """Whether an assertion, or the token that came, is past its time."""
    expired = any(check.check == "not_expired" and not check.ok for check in one.verdict.checks)
    return expired or one.verdict.error_code in aadsts.OUT_OF_TIME


def _skewed(node: str, certainty: str, evidence: Evidence) -> Suspicion:
    return Suspicion(
        object=f"Node {node}",
        symptom="Entra refuses assertions as not yet or no longer valid.",
        cause=f"The clock of the node {node} is off, or an assertion is used past its time.",
        evidence=(evidence,),
        certainty=certainty,
        concerns=frozenset({f"Node {node}"}),
    )


def _skew(observed: Observed, name: str, node: Raw) -> Evidence | None:
    if observed.now.year < 2000:
        return None
    beats = [each.get("lastHeartbeatTime") for each in (node.get("status") or {}).get("conditions") or ()]
    renewed = [
        (raw.get("spec") or {}).get("renewTime")
        for raw in observed.objects.get("Lease", ())
        if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == ("kube-node-lease", name)
    ]
    # A heartbeat may be minutes old on a good node, a Lease may not while the node is Ready; one in a file may.
    is_now = nmi.is_ready(node) and not observed.from_files
    ahead = max((when for when in map(moment, (*beats, *renewed)) if when), default=observed.now)
    behind = min((when for when in map(moment, renewed) if when and is_now), default=observed.now)
    for when, word in ((ahead, "ahead"), (behind, "behind")):
        if abs(when - observed.now) >= _CLOCK_LIMIT and (when > observed.now) == (word == "ahead"):
            minutes = abs(when - observed.now) // timedelta(minutes=1)
            text = f"Its kubelet wrote a time that is {minutes} minutes {word} of the API server's."
            return Evidence(f"Node {name}", text, when.isoformat())
    return None


def _is_silent(one: Asked) -> bool:
    return one.verdict.verdict == "path_blocked" and one.verdict.answered_by == token.NOBODY


def _clients(observed: Observed) -> t.Iterator[Workload]:
    """Workloads whose pods ask NMI."""
    return (one for one in observed.inventory.cluster.workloads if one.pod.selector and not one.pod.host_network)


def _pods(workload: Workload) -> tuple[Pod, ...]:
    return tuple(pod for pod in workload.pods if pod.lives) or (workload.pod,)


def _labels_of(workload: Workload, pods: t.Iterable[Pod]) -> frozenset[str]:
    return frozenset({workload.label, *(f"Pod {one.namespace}/{one.name}" for one in pods)})


def _asked_for(observed: Observed, workload: Workload) -> list[Asked]:
    names = {(pod.namespace, pod.name) for pod in workload.pods}
    return [one for one in observed.asked if (one.namespace, one.pod) in names]


def _addresses_of_nmi(observed: Observed, daemons: Component, pod: Pod) -> list[str]:
    """Where NMI listens for a pod; nothing where that is not known."""
    address = nmi.listens_at(daemons.workload)[0]
    return [address] if address else _addresses(observed.nodes.get(pod.node, {}))[:1]


def _addresses(node: Raw) -> list[str]:
    told = (node.get("status") or {}).get("addresses") or ()
    return [str(each.get("address", "")) for each in told if each.get("type") == "InternalIP"]


def _enforcer(observed: Observed) -> str | None:
    """What enforces NetworkPolicies; empty where nothing does, None where that is not known."""
    network = _network(observed)
    engine = str(network.get("networkPolicy") or "none").lower()
    if engine != "none" or str(network.get("networkDataplane", "")).lower() == "cilium":
        return engine if engine != "none" else "cilium"
    known = "DaemonSet" in observed.objects
    for raw in observed.objects.get("DaemonSet", ()):
        if raw["metadata"]["name"] in _ENGINES and raw["metadata"].get("namespace") in _SYSTEM:
            return str(raw["metadata"]["name"])
    return "" if known and observed.azure and observed.azure.cluster else None


def _network(observed: Observed) -> Raw:
    cluster = observed.azure.cluster if observed.azure else {}
    return (cluster.get("properties") or {}).get("networkProfile") or {}


def _cluster(observed: Observed) -> str:
    return f"ManagedCluster {(observed.azure.cluster if observed.azure else {}).get('name', '')}".strip()


def _of_system(observed: Observed, kind: str, name: str) -> t.Iterator[Raw]:
    for raw in observed.objects.get(kind, ()):
        if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == ("kube-system", name):
            yield raw


def _starts(observed: Observed) -> dict[tuple[str, str], str]:
    return {
        place: str((raw.get("status") or {}).get("startTime") or raw["metadata"].get("creationTimestamp") or "")
        for place, raw in observed.pods.items()
    }


def _running_since(observed: Observed) -> dict[tuple[str, str], str]:
    """When the containers of NMI's pods started last."""
    found = {}
    for pod in (pod for one in observed.of(NMI) for pod in one.pods):
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        times = [str(((each.get("state") or {}).get("running") or {}).get("startedAt") or "") for each in statuses]
        found[str(pod["metadata"].get("namespace", "")), str(pod["metadata"]["name"])] = max(times, default="")
    return found


def _lately(observed: Observed, log: Log, pattern: t.Pattern[str]) -> list[tuple[Line, t.Match[str]]]:
    """Lines of a time that still counts: what healed since stays in a log."""
    return [each for each in log.matching(pattern) if lately(each[0].time, observed.now)]


def _served_since(observed: Observed, log: Log, failed: Line, address: str = "") -> bool:
    """Whether NMI has given out a token since a line, to ``address`` where one is named.

    Where each is of an identity of the node, NMI has it from the metadata service.
    """
    if any(one.type != USER_ASSIGNED for one in observed.inventory.cluster.identities):
        return False  # for a service principal it asks Entra
    since = moment(failed.time)
    for other in observed.logs_of(NMI):
        if (other.namespace, other.pod) == (log.namespace, log.pod) and since:
            for line, found in other.matching(_SERVED):
                when = moment(line.time)
                if when and when >= since and address in ("", found["ip"]):
                    return True
    return False


def _is_early(line: str, start: str | None) -> bool:
    """Whether a line is of the time before NMI can have heard of a pod, or of another pod with its address."""
    when, since = moment(line), moment(start)
    return when is not None and since is not None and when < since + _UNTIL_HEARD_OF
