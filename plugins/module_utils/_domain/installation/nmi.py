# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an installation of AAD Pod Identity is made of: NMI on the nodes, MIC with its leader, and who manages them."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, replace

from ..kubernetes.scheduling import MOMENTARY, affinity_lets, node_wanted, tolerates
from ..printed import printed

Object = t.Mapping[str, t.Any]

LEADER = "control-plane.alpha.kubernetes.io/leader"
MIC_LOCK = "aad-pod-identity-mic"
MIC_LOCK_NAMESPACE = "default"
ADDON_KEEPER = "the AKS add-on"
# What NMI says of itself, once it has written its rules and before.
ACTIVE, NOT_ACTIVE = "Active", "Not Active"
PORT, LOOPBACK = 2579, "127.0.0.1"
# How a DaemonSet tells that it could not make a pod, and how much of such a text is told.
_NOT_MADE, _LONGEST = "FailedCreate", 300
_ON_LOOPBACK_SINCE = (1, 6, 2)


@dataclass(frozen=True)
class Manager:
    """Who put an object there: ``addon``, ``flux``, ``argo``, ``helm`` or ``manifests``, and the helm release."""

    kind: str
    release_name: str = ""
    release_namespace: str = ""


@dataclass(frozen=True)
class Lock:
    """The object that MIC's leader holds, and ``instance``, the name it holds it under where that is not its pod's."""

    namespace: str
    name: str
    instance: str = ""


@dataclass(frozen=True)
class NodeState:
    """NMI on one node: ``active``, ``not_active``, ``not_ready``, ``missing``, or ``not_expected`` for the reason."""

    node: str
    state: str
    reason: str
    pod: str = ""


def runs_image(workload: Object, program: str) -> bool:
    """Whether a workload runs ``nmi`` or ``mic``, from whatever registry and under a mirror's longer name."""
    return any(
        re.search(rf"(^|[-_./]){program}$", image_repository(str(container.get("image", ""))))
        for container in _containers(workload)
    )


def image_repository(image: str) -> str:
    """``registry:5000/a/nmi:v1@sha256:...`` -> ``registry:5000/a/nmi``."""
    repository = image.partition("@")[0]
    head, slash, last = repository.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def image_tag(workload: Object) -> str:
    image = str(next(iter(_containers(workload)), {}).get("image", ""))
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def managed_by(workload: Object) -> Manager:
    metadata = workload.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    release = str(annotations.get("meta.helm.sh/release-name", ""))
    namespace = str(annotations.get("meta.helm.sh/release-namespace", ""))
    if labels.get("kubernetes.azure.com/managedby") == "aks" or "addonmanager.kubernetes.io/mode" in labels:
        return Manager("addon")
    if any(key.endswith(".toolkit.fluxcd.io/name") for key in labels):
        return Manager("flux", release, namespace)
    if "argocd.argoproj.io/instance" in labels or "argocd.argoproj.io/tracking-id" in annotations:
        return Manager("argo", release, namespace)
    if release:
        return Manager("helm", release, namespace)
    # By default Argo CD 2 tracks with a label that charts set as well; who wrote the object tells them apart.
    writers = [str(entry.get("manager", "")) for entry in metadata.get("managedFields") or ()]
    return Manager("argo" if any(writer.startswith("argocd-") for writer in writers) else "manifests")


def keeper(raw: Object) -> str:
    """Who would put the object there again, by name; empty where nobody does."""
    kind, metadata = managed_by(raw).kind, raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if kind == "flux":
        for prefix, resource in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
            name, place = (labels.get(f"{prefix}.toolkit.fluxcd.io/{what}", "") for what in ("name", "namespace"))
            if name:
                return f"managed by Flux, {resource} {place}/{name}"
        return "managed by Flux"
    if kind == "argo":
        tracked = str(annotations.get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
        name = tracked or labels.get("argocd.argoproj.io/instance") or labels.get("app.kubernetes.io/instance", "")
        return f"managed by Argo CD, Application {name}" if name else "managed by Argo CD"
    return ADDON_KEEPER if kind == "addon" else ""


def flag(workload: Object, name: str) -> str:
    """Value of ``--name=value`` among the arguments of a workload's containers; empty where it is not given."""
    for container in _containers(workload):
        for argument in _command(container):
            key, _equals, value = str(argument).lstrip("-").partition("=")
            if key == name:
                return value
    return ""


def forces_namespaces(workload: Object) -> bool:
    """Whether MIC or NMI is told to match pods with identities of their own namespace only."""
    for container in _containers(workload):
        arguments = {str(argument).lstrip("-") for argument in _command(container)}
        variables = {entry.get("name"): entry.get("value") for entry in container.get("env") or ()}
        if arguments & {"forceNamespaced", "forceNamespaced=true"} or variables.get("FORCENAMESPACED") == "true":
            return True
    return False


def version(workload: Object) -> tuple[int, ...]:
    """The version that the tag of the image names; empty where it names none."""
    return numbers(image_tag(workload))


def numbers(text: str) -> tuple[int, ...]:
    """``v1.8.17`` -> (1, 8, 17); empty for what is no version."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+].*)?", text)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def probe_port(nmi: Object) -> int:
    port = flag(nmi, "http-probe-port")
    return int(port) if port.isdigit() else 8080


def listens_at(nmi: Object) -> tuple[str, int]:
    """Address and port to which NMI redirects the requests of pods; the address is empty where it is the node's own."""
    port = flag(nmi, "nmi-port")
    number = int(port) if port.isdigit() else PORT
    found = version(nmi)
    if found and found < _ON_LOOPBACK_SINCE:
        return "", number
    told = flag(nmi, "nmi-listen-address")
    return (LOOPBACK if told in ("", "0.0.0.0", "localhost") else told), number


def lock_of(mic: Object) -> Lock:
    return Lock(
        namespace=flag(mic, "leader-election-namespace") or MIC_LOCK_NAMESPACE,
        name=flag(mic, "leader-election-name") or MIC_LOCK,
        instance=flag(mic, "leader-election-instance"),
    )


def leader(lock: Lock, holder: Object | None, running: t.Collection[str]) -> str:
    """The MIC pod that holds the lock; empty where the holder is gone or nobody ever held it."""
    annotations = ((holder or {}).get("metadata") or {}).get("annotations") or {}
    try:
        name = str(json.loads(annotations.get(LEADER, "{}")).get("holderIdentity", ""))
    except ValueError:
        return ""
    return name if name in running or (lock.instance and name == lock.instance and running) else ""


def rolled_out(workload: Object) -> bool:
    """Whether the pods of a DaemonSet or Deployment are those of its present template."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    if status.get("observedGeneration", 0) < (workload.get("metadata") or {}).get("generation", 0):
        return False
    if "desiredNumberScheduled" in status:
        return bool(status.get("updatedNumberScheduled", 0) >= status["desiredNumberScheduled"])
    return bool(status.get("updatedReplicas", 0) >= spec.get("replicas", 1) >= status.get("replicas", 0))


def is_ready(found: Object) -> bool:
    """Whether a pod or a node is ready."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def node_states(
    nmi: Object, nodes: t.Iterable[Object], pods: t.Iterable[Object], health: t.Callable[[Object], str]
) -> tuple[NodeState, ...]:
    """NMI on every node. ``health`` asks the NMI in a pod for what it says of itself; ``Active`` means it serves."""
    by_node = {_node_of(pod): pod for pod in pods}
    return tuple(_node_state(nmi, node, by_node, health) for node in sorted(nodes, key=_name))


def _node_of(pod: Object) -> str:
    """Name of the node that a pod is on, or waits for."""
    spec = pod.get("spec") or {}
    return str(spec.get("nodeName") or node_wanted(spec))


def why_not_made(states: t.Sequence[NodeState], events: t.Iterable[Object]) -> tuple[NodeState, ...]:
    """The states, with what the newest event of the DaemonSet says where a pod is missing: such as a quota."""
    failed = [each for each in events if each.get("reason") == _NOT_MADE]
    newest = max(failed, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""), default=None)
    if newest is None:
        return tuple(states)
    why = f"no NMI pod could be made: {printed(str(newest.get('message') or ''))[:_LONGEST].rstrip('.')}"
    return tuple(replace(each, reason=why) if each.state == "missing" else each for each in states)


def _node_state(
    nmi: Object, node: Object, pods: t.Mapping[str, Object], health: t.Callable[[Object], str]
) -> NodeState:
    name = _name(node)
    pod = pods.get(name)
    unexpected = _not_expected(nmi, node)
    if unexpected:
        return NodeState(name, "not_expected", unexpected, _name(pod or {}))
    if pod is None:
        return NodeState(name, "missing", "no NMI pod runs there")
    if not is_ready(pod):
        return NodeState(name, "not_ready", _why_not_ready(pod), _name(pod))
    said = health(pod)
    if said != ACTIVE:
        return NodeState(name, "not_active", f"NMI says {said!r} of itself", _name(pod))
    return NodeState(name, "active", "", _name(pod))


def covers(nmi: Object, node: Object) -> bool:
    """Whether NMI runs on the node as soon as the node is Ready."""
    return not _excluded(nmi, node)


def _not_expected(nmi: Object, node: Object) -> str:
    return _excluded(nmi, node) or ("" if is_ready(node) else "it is not Ready")  # nodes report it just as pods do


def _excluded(nmi: Object, node: Object) -> str:
    labels = (node.get("metadata") or {}).get("labels") or {}
    template = _template(nmi)
    if labels.get("kubernetes.io/os", "linux") != "linux":
        return f"its operating system is {labels['kubernetes.io/os']}"
    if labels.get("type") == "virtual-kubelet":
        return "it is a virtual node"
    for key, value in _not_selected(template, labels).items():
        return f"NMI selects nodes with {key}={value}"
    for taint in _untolerated(template, node):
        return f"NMI does not tolerate its taint {taint.get('key')}:{taint.get('effect')}"
    return "" if affinity_lets(template, node) else "NMI's affinity leaves it out"


def letting(nmi: Object, node: Object) -> dict[str, t.Any]:
    """A merge patch of the spec of NMI's pods that lets them onto the node; empty where none is needed or helps."""
    labels, template = (node.get("metadata") or {}).get("labels") or {}, _template(nmi)
    change: dict[str, t.Any] = {}
    if others := _not_selected(template, labels):
        change["nodeSelector"] = dict.fromkeys(others)
    if any(_untolerated(template, node)):
        change["tolerations"] = [{"operator": "Exists"}]
    if not affinity_lets(template, node):
        change["affinity"] = {"nodeAffinity": None}
    for_linux = labels.get("kubernetes.io/os", "linux") == "linux" and labels.get("type") != "virtual-kubelet"
    return change if for_linux else {}


def _template(nmi: Object) -> Object:
    return ((nmi.get("spec") or {}).get("template") or {}).get("spec") or {}


def _not_selected(template: Object, labels: Object) -> dict[str, t.Any]:
    return {key: value for key, value in (template.get("nodeSelector") or {}).items() if labels.get(key) != value}


def _untolerated(template: Object, node: Object) -> t.Iterator[Object]:
    for taint in (node.get("spec") or {}).get("taints") or ():
        # A DaemonSet's pods tolerate what is momentary, whatever the template says.
        momentary = taint.get("effect") == "PreferNoSchedule" or taint.get("key") in MOMENTARY
        if not momentary and not tolerates(template.get("tolerations") or (), taint):
            yield taint


def _why_not_ready(pod: Object) -> str:
    status = pod.get("status") or {}
    for entry in status.get("conditions") or ():
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return f"its pod is not scheduled: {printed(str(entry.get('message') or ''))[:_LONGEST].rstrip('.')}"
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"its container waits: {waiting['reason']}"
    return f"its pod is {status.get('phase', 'Unknown')} and not Ready"


def _command(container: Object) -> list[t.Any]:
    return [*(container.get("command") or ()), *(container.get("args") or ())]


def _containers(workload: Object) -> t.Sequence[Object]:
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    containers: t.Sequence[Object] = spec.get("containers") or ()
    return containers


def _name(item: Object) -> str:
    return str((item.get("metadata") or {}).get("name", ""))
