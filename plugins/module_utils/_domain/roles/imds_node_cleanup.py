# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Decisions of the role imds_node_cleanup: which nodes it takes, what keeps one untouched, whether a way leads there,
which node goes when, how its clean-up or its reimage ended, and what is told of it.

Results of nodes are dictionaries, as the role's README documents them. What needs the connection to the node or reads
facts of other hosts is reached through the action imds_node_cleanup_step, the rest through role_plan.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass, field

from ..names import is_ours
from ..needs import AzureNeed, KubernetesNeed
from ..nodes import node_refusals
from ..nodes.node_rules import CLEAN, CLEANED, ENDED_WELL, IN_USE, WOULD_CLEAN
from ..tokens import token
from .part import Part, Raw, Refused, Run, refuse

Object = t.Mapping[str, t.Any]
POD = "aks_node_pod"
# Files of the role with what a node goes on with that does not go its way with most others.
UNTOUCHED, FIRST, PROVE = "untouched.yml", "canary.yml", "prove.yml"
# Labels of a node that is being reimaged, the start of its kernel that has to end, and whether this role cordoned it.
# They are how a run that follows a killed one knows what is left to do.
REIMAGING, CORDONED = "azureops.pod-identity/reimage", "azureops.pod-identity/cordoned"
# On the machine where Ansible runs, as the tasks of a cluster that is a host do.
LOCAL = ("local", "ansible.builtin.local")
TABLES = "~/.azureops-pod-identity/nodes"
# How it can be asked on the node who answers pods.
ON_NODE = ("pod_network", "throw_away_namespace")
# What lets others follow; in check mode the first node ends as it would.
_WELL = (*ENDED_WELL, WOULD_CLEAN)
_INSTANCES = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"

_NOT_KNOWN = (
    "neither the API server nor Azure could be asked whether NMI still covers the node and which identities its pods "
    "could then take"
)

# One command for every way: who am I, where, and which Python is there.
HELLO = (
    'echo "user=$(id -u)"; echo "host=$(cat /proc/sys/kernel/hostname)"; '
    "for python in python3 python3.13 python3.12 python3.11 python3.10 python3.9 /usr/libexec/platform-python; do "
    "path=$(command -v $python) && \"$path\" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && "
    'echo "python=$path" && break; done; true'
)


@dataclass(frozen=True)
class Options:
    cluster_name: str = ""
    resource_group: str = ""
    kubeconfig: str = ""
    accept_open_imds: bool = False
    artifact_target: str = ""
    owner: str = "default"
    probe_namespace: str = "default"
    drain_timeout: int = 600
    ready_timeout: int = 900
    fail_on: tuple[str, ...] = ("refused", "unreachable", "stopped", "unproved", "error")

    @property
    def secret_of_tables(self) -> tuple[str, str] | None:
        """Namespace and name of the Secrets for tables; None where they go into files."""
        found = re.fullmatch("secret:([^/]+)/([^/]+)", self.artifact_target)
        return (found[1], found[2]) if found else None


@dataclass(frozen=True)
class Gate:
    """What is known of a node before it is touched.

    ``node``: what the inventory tells; nothing on somebody else's. ``seen``: what the host of the batch that asks about
    the cluster was told; None where there is nobody to ask. ``stopped_by``: the host that stopped the run.
    """

    node: Object
    seen: Object | None
    stopped_by: str

    @property
    def refusal(self) -> str:
        """Why the rules must stay, and what leads out; else empty."""
        if self.seen is not None and "nodes" not in self.seen:
            said = re.sub("[.]$", "", str(self.seen.get("msg", "no answer")))
            reason = f"whether NMI still covers the node could not be asked again ({said})"
            return node_refusals.refusal({"closed_because": [reason], "scale_set": "unknown"}, [reason])
        return _refusal(self._now)

    @property
    def is_in_use(self) -> bool:
        """Whether NMI serves there, so that nothing is to be cleaned."""
        if self.seen is not None and "nodes" not in self.seen:
            return False
        return bool(self._now.get("nmi_installation")) and self._now.get("nmi_state") == "active"

    @property
    def is_known(self) -> bool:
        """Whether the node has a name, and the cluster told why it stays closed; else it may be somebody else's."""
        is_told = self.seen is None or "nodes" in self.seen
        return is_told and bool(self.node.get("name") and self._now.get("closed_because"))

    @property
    def _now(self) -> Object:
        nodes = self.seen["nodes"] if self.seen else ()
        seen: Object = next((each for each in nodes if each["name"] == self.node.get("name")), {})
        return {**self.node, **seen}


def _refusal(node: Object) -> str:
    """Where nothing is known of the node, that is the reason; empty where the rules may go."""
    reasons = node.get("closed_because")
    if reasons is None:
        reasons = (_NOT_KNOWN,)
    return node_refusals.refusal(node, reasons, uninstalls=bool(node.get("uninstalls"))) if reasons else ""


@dataclass(frozen=True)
class Verdict:
    """What keeps a node untouched, as a part of its result; ``looks``: it is reached all the same, and looked at."""

    outcome: str
    reason: str
    looks: bool = False


@dataclass(frozen=True)
class Access:
    """What is there at the end of a way; an empty ``problem`` where it leads to the node."""

    problem: str
    user: str = ""
    python: str = ""


@dataclass(frozen=True)
class Host:
    """A host of the play: what is known of its node, the answers over the ways that were tried, and its result.

    ``looks``: its rules stay, and it is looked at.
    """

    name: str
    node: Object = field(default_factory=dict)
    answers: t.Sequence[Object] = ()
    result: Object = field(default_factory=dict)
    looks: bool = False


@dataclass(frozen=True)
class Batch:
    """What the hosts of a batch do next, by host; what it says of a host that it does not name is nothing.

    ``askers`` names the host that asks about the cluster. ``go`` are cleaned side by side; ``waiting`` are reached as
    well and are not. Some hosts go on with a file of the role, that of ``next``. ``pods`` were tried over a pod, which
    has to go again. ``refused`` are looked at behind the others.
    """

    stopped_by: str
    askers: t.Mapping[str, str]
    begun: t.Mapping[str, Object]
    next: t.Mapping[str, str]
    canary: str = ""
    access: t.Mapping[str, Object] = field(default_factory=dict)
    go: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    chosen: bool = False


@dataclass(frozen=True)
class Ended:
    """The result of a node after its clean-up; ``proves``: who answers its pods is to be known as well.

    ``next``: the file of the role with what is left to do for that, or for the tables that were saved; else empty.
    """

    result: Object
    proves: bool
    next: str


def accessed(output: str, errors: str, name: str | None) -> Access:
    """What the output of ``HELLO`` tells of the machine that answered, where the node of that name should."""
    lines = [line.strip().partition("=") for line in output.splitlines()]
    said = {key: value for key, dummy, value in lines if key in ("user", "host", "python")}
    user, host, python = (said.get(key, "") for key in ("user", "host", "python"))
    if "user" not in said:
        return Access(errors.strip() or "it does not run commands")
    if name is not None and name.lower() != host.lower():
        return Access(f"another machine answers there, {host}")
    return Access("", user, python)


def verdict(options: Options, gate: Gate) -> Verdict:
    """What keeps a node untouched; an empty outcome where nothing does."""
    if gate.node.get("os", "linux") != "linux":
        return Verdict(CLEAN, "It is a Windows node, on which NMI never runs.")
    refusal = "" if options.accept_open_imds else gate.refusal
    target = options.artifact_target
    is_wrong = target.startswith("secret:") and not options.secret_of_tables
    if refusal:
        outcome = IN_USE if gate.is_in_use else "refused"
        return Verdict(outcome, refusal, looks=gate.is_known and not gate.stopped_by and not is_wrong)
    if gate.stopped_by:
        return Verdict("stopped", f"Not touched, because the run stopped at {gate.stopped_by}.")
    if is_wrong:
        reason = f"imds_node_cleanup_artifact_target is {target}; a Secret is named as secret:NAMESPACE/NAME."
        return Verdict("error", reason)
    return Verdict("", "")


def gated(begun: Object, verdict: Verdict, *, stops: bool) -> Object:
    """The result of a node that is not cleaned. Nothing is known yet of what is on it, so that no way led there."""
    return {
        **begun,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        # Where nothing keeps it untouched, no way led there.
        "transport": "" if verdict.outcome else begun["transport"],
        "stops": stops,
    }


def way_to_look(refused: Object, answers: t.Sequence[Object]) -> Object:
    """The result of a node whose rules stay, with the ways that were tried to look at it; and whether one led there."""
    begun = _begun(Host("", answers=answers), [_attempt(answer) for answer in answers])
    result = {**refused, "attempts": begun["attempts"]}
    if begun["transport"]:
        return {"result": result, "transport": begun["transport"], "access": _way(answers)["access"]}
    lost = f"What is on it could not be looked at ({_why(result).rstrip('.')})." if answers else ""
    return {"result": {**result, "reason": _sentences([str(refused["reason"]), lost])}, "transport": ""}


def looked(refused: Object, transport: str, done: Object) -> Object:
    """The result of a node whose rules stay, with what a look found there; ``done`` is what the clean-up returned."""
    back_ends = list(done.get("result", {}).get("backends", {}).values())
    if not back_ends:
        said = str(done.get("msg", "")).strip() or "it told nothing."
        return {
            **refused,
            "reason": _sentences([str(refused["reason"]), f"What is on it could not be looked at: {said}"]),
        }
    counts = {key: [each for one in back_ends for each in one[key]] for key in ("found", "left")}
    living = done["result"].get("nmi")
    reasons = [str(refused["reason"]), f"An NMI lives there ({', '.join(living)})." if living else ""]
    return {**refused, **counts, "transport": transport, "reason": _sentences(reasons)}


def ways_to_ask(*, pod: bool) -> list[str]:
    """How the clean-up asks who answers pods; what a plain pod answers is asked first where one can be made."""
    return [] if pod else list(ON_NODE)


def begin(play: t.Sequence[Host], batch: t.Sequence[str]) -> Batch:
    """Before any node of the batch is looked at: nothing is chosen."""
    hosts = _of(play, batch)
    first: dict[tuple[str, str], str] = {}
    for host in hosts:
        if host.node.get("os", "linux") == "linux":
            first.setdefault(_cluster(host), host.name)
    return Batch(
        stopped_by=_stopped_by(play),
        askers={host.name: first[_cluster(host)] for host in hosts if host.node and _cluster(host) in first},
        begun={host.name: _begun(host, []) for host in hosts},
        next={host.name: UNTOUCHED for host in hosts},
    )


def choose(play: t.Sequence[Host], batch: t.Sequence[str], earlier: Batch) -> Batch:
    """Choose who goes on. Until one node of the run has ended well, one goes alone.

    What is left of an earlier result of a host that has not gone on yet does not count.
    """
    unfinished = {*earlier.go, *earlier.waiting} - earlier.next.keys() if earlier.chosen else set(batch)
    hosts = [host for host in _of(play, batch) if host.name in unfinished]
    ended = [host for host in play if host.name not in unfinished]
    attempts = {host.name: [_attempt(answer) for answer in host.answers] for host in _of(play, batch)}
    begun = {host.name: _begun(host, attempts[host.name]) for host in hosts}
    stopped_by = earlier.stopped_by or _stopped_by(ended)
    proved = any(host.result.get("transport") and host.result.get("outcome") in _WELL for host in ended)
    led = [host for host in hosts if begun[host.name]["transport"]]
    reached = [host.name for host in led]
    canary = "" if proved or stopped_by or not reached else reached[0]
    following = {host.name: UNTOUCHED for host in hosts if host.name not in reached or stopped_by}
    if canary:
        following[canary] = FIRST
    return Batch(
        stopped_by=stopped_by,
        askers=earlier.askers,
        begun={**earlier.begun, **begun},
        next=following,
        canary=canary,
        access={**earlier.access, **{host.name: _way(host.answers)["access"] for host in led}},
        go=() if canary or stopped_by else tuple(reached),
        waiting=tuple(reached) if canary or stopped_by else (),
        pods=tuple(name for name, tried in attempts.items() if any(one["transport"] == POD for one in tried)),
        refused=() if stopped_by else tuple(host.name for host in _of(play, batch) if host.looks),
        chosen=True,
    )


def ended(begun: Object, done: Object, *, first: bool, force: bool, check_mode: bool) -> Ended:
    """The result of a node, of which ``begun`` is the beginning and ``done`` what the clean-up returned."""
    back_ends = list(done.get("result", {}).get("backends", {}).values())
    outcome = _outcome(done, force=force, check_mode=check_mode)
    said = node_refusals.living(done["result"]["nmi"]) if outcome == "refused" else str(done.get("msg", ""))
    # The module predicts in check mode what it would return otherwise; the fact says what was done.
    found, removed, left = ([each for one in back_ends for each in one[key]] for key in ("found", "removed", "left"))
    result: dict[str, t.Any] = {
        **begun,
        "found": found,
        "removed": [] if check_mode else removed,
        "would_remove": removed if check_mode else [],
        "left": left,
        "outcome": outcome,
        "stops": "taken" in done or (first and outcome == "error"),
        "reason": _sentences([] if outcome in _WELL else [said], [str(begun["reason"])]),
    }
    proves = outcome in ENDED_WELL and not check_mode
    answer: Object = done.get("answer", {})
    proved = proves and answer.get("answered_by") == token.IMDS and bool(answer.get("proved"))
    if proved:
        result.update(proof=answer["answered_by"], proof_method=answer["method"])
    saved = any(one.get("saved_to") for one in back_ends)
    return Ended(result, proves, PROVE if saved or (proves and not proved) else "")


def _outcome(done: Object, *, force: bool, check_mode: bool) -> str:
    if done.get("unreachable"):
        return "unreachable"
    if done.get("failed"):
        living = done.get("result", {}).get("nmi") and not force and "taken" not in done
        return "refused" if living else "error"
    if done.get("changed"):
        return WOULD_CLEAN if check_mode else CLEANED
    return CLEAN


def _of(play: t.Sequence[Host], batch: t.Sequence[str]) -> list[Host]:
    return [host for host in play if host.name in set(batch)]


def _cluster(host: Host) -> tuple[str, str]:
    return str(host.node.get("cluster_name", "")), str(host.node.get("resource_group", ""))


def _stopped_by(hosts: t.Sequence[Host]) -> str:
    """The host that stopped the run, the last one where several did."""
    return next((host.name for host in reversed(hosts) if host.result.get("stops")), "")


def _attempt(answer: Object) -> dict[str, str]:
    problem = answer.get("access", {}).get("problem")
    if problem is None:
        kind = "it does not answer" if answer.get("unreachable") else "it does not run commands"
        problem = str(answer.get("msg") or "").strip() or kind
    return {"transport": answer["transport"], "problem": problem}


def _way(answers: t.Sequence[Object]) -> Object:
    """What was answered over the way that leads to the node."""
    return next(answer for answer in answers if "access" in answer and _attempt(answer)["problem"] == "")


def _begun(host: Host, attempts: list[dict[str, str]]) -> Object:
    """A result without an outcome."""
    return {
        "node": host.node.get("name", host.name),
        "outcome": "",
        "reason": "",
        "transport": "".join(one["transport"] for one in attempts if not one["problem"]),
        "attempts": attempts,
        **{key: [] for key in ("found", "removed", "would_remove", "left", "saved")},
        "proof": "",
        "proof_method": "",
    }


def _sentences(*parts: t.Sequence[str]) -> str:
    return " ".join(dict.fromkeys(sentence for part in parts for sentence in part if sentence))


@dataclass(frozen=True)
class Ending:
    """A plan that is the result of a node."""

    result: Object


def _why(result: Object) -> str:
    """Why no way led to the node."""
    if not result["attempts"]:
        return "There is no way to try."
    return "; ".join(f"{each['transport']}: {each['problem'].rstrip('.')}" for each in result["attempts"]) + "."


# search


@dataclass(frozen=True)
class Known:
    """A host of the inventory, what is known of its node, and its address; empty where the inventory names none."""

    host: str
    node: Object
    address: str

    @classmethod
    def parse(cls, found: Raw) -> Known:
        return cls(str(found["host"]), found["node"], str(found["address"]))

    @property
    def name(self) -> str:
        """That of the node."""
        return str(self.node.get("name", self.host))


@dataclass(frozen=True)
class Inventory:
    """``named``: names that alone are wanted. ``has_api_server``: the environment names one.

    ``clusters``: hosts that are clusters, as other playbooks take them. A node of the inventory aks_nodes has the
    variables of its cluster too.
    """

    named: tuple[str, ...]
    hosts: tuple[Known, ...]
    has_api_server: bool
    clusters: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Inventory:
        named = [each.strip() for each in str(observed["node"]).split(",")]
        rows = zip(observed["hosts"], observed["nodes"], observed["addresses"])
        hosts = [Known(str(host), node, str(address)) for host, node, address in rows]
        linux = [each for each in hosts if each.node.get("os", "linux") == "linux" and each.host != "localhost"]
        local = zip(hosts, observed["clusters"], observed["connections"])
        clusters = [each.host for each, name, way in local if name and way in LOCAL and not each.node]
        return cls(tuple(filter(None, named)), tuple(linux), bool(observed["environment"]), tuple(clusters))


@dataclass(frozen=True)
class NamedCluster:
    """That of a kubeconfig alone has no name."""

    cluster_name: str
    resource_group: str


@dataclass(frozen=True)
class Search:
    """``clusters`` are looked at. ``hosts`` of the inventory that are Linux nodes, as far as is known."""

    named: tuple[str, ...]
    hosts: tuple[Known, ...]
    clusters: tuple[NamedCluster, ...]


def search(options: Options, found: Inventory, _run: Run) -> Search:
    """Refuses where there is no place to look for nodes, or clusters are in the place of nodes."""
    if found.clusters and not options.cluster_name:
        raise Refused(
            f"These hosts are clusters, not nodes: {', '.join(found.clusters)}; give their nodes by an inventory of "
            "the plugin azureops.pod_identity.aks_nodes, -i FILE.aks_nodes.yml, or name one cluster with "
            "-e pod_identity_resource_group=... -e pod_identity_cluster_name=..."
        )
    clusters = [NamedCluster(options.cluster_name, options.resource_group)] if options.cluster_name else []
    clusters = clusters or [NamedCluster(*_cluster(Host(each.host, each.node))) for each in found.hosts if each.node]
    if not clusters and (options.kubeconfig or found.has_api_server):
        clusters = [NamedCluster("", "")]
    if not clusters and not found.hosts:
        raise Refused(
            "Neither a cluster nor an inventory is named; set pod_identity_cluster_name and "
            "pod_identity_resource_group, or pod_identity_kubeconfig, or give an inventory, such as -i node1, (with "
            "the comma)."
        )
    return Search(found.named, found.hosts, tuple(dict.fromkeys(clusters)))


# take


@dataclass(frozen=True)
class Fleet:
    """``nodes`` of a cluster, as aks_node_info tells of them; ``addresses`` of all hosts that Ansible knows by now."""

    named: tuple[str, ...]
    hosts: tuple[Known, ...]
    cluster: NamedCluster
    nodes: tuple[Object, ...]
    addresses: t.Mapping[str, str]

    @classmethod
    def parse(cls, observed: Raw) -> Fleet:
        search, cluster = observed["search"], observed["cluster"]
        return cls(
            tuple(search["named"]),
            tuple(map(Known.parse, search["hosts"])),
            NamedCluster(cluster["cluster_name"], cluster["resource_group"]),
            tuple(observed["nodes"]),
            dict(zip(observed["all_hosts"], observed["all_addresses"])),
        )

    def host_of(self, node: Object) -> str:
        """The host of the inventory that is this node, by name or address; else one of the node's name."""
        name = node["name"]
        by_name = [each.host for each in self.hosts if each.host in (name, name.lower())]
        by_address = [each.host for each in self.hosts if each.address in node["addresses"]]
        return str([*by_name, *by_address, name][0])


@dataclass(frozen=True)
class Taken:
    """A host to add. ``instance``: its resource id in the scale set."""

    host: str
    address: str
    node: Object
    instance: str


@dataclass(frozen=True)
class Take:
    hosts: tuple[Taken, ...]


def take(options: Options, fleet: Fleet, _run: Run) -> Take:
    """A cluster that is named gives all its nodes; else the inventory chooses among them, if it has hosts."""
    return Take(tuple(_taken(options, fleet)))


def _taken(options: Options, fleet: Fleet) -> t.Iterator[Taken]:
    chosen = {each.host for each in fleet.hosts}
    for node in fleet.nodes:
        host, name = fleet.host_of(node), node["name"]
        is_wanted = bool(options.cluster_name) or not chosen or host in chosen
        is_named = not fleet.named or not {name, host}.isdisjoint(fleet.named)
        if node["os"] == "linux" and is_wanted and is_named:
            # A host of the inventory keeps its own address.
            own = fleet.addresses.get(host, "") or host
            address = own if host in fleet.addresses else (*node["addresses"], name)[0]
            instance = f"{node['scale_set']}/virtualMachines/{node['instance_id']}"
            yield Taken(host, address, {**node, **vars(fleet.cluster)}, instance)


# rest


@dataclass(frozen=True)
class Left:
    """``taken``: the hosts that are taken by now, with their nodes."""

    named: tuple[str, ...]
    hosts: tuple[Known, ...]
    taken: tuple[Known, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Left:
        search = observed["search"]
        taken = [Known(host, node, "") for host, node in zip(observed["taken"], observed["nodes"])]
        return cls(tuple(search["named"]), tuple(map(Known.parse, search["hosts"])), tuple(taken))


@dataclass(frozen=True)
class Rest:
    """Hosts of which no cluster tells, and which are taken all the same."""

    hosts: tuple[str, ...]


def rest(options: Options, found: Left, _run: Run) -> Rest:
    """Refuses where a node that is named was not found, or none at all."""
    taken = {name for each in found.taken for name in (each.host, each.name)}
    wanted = [each for each in found.hosts if not found.named or each.host in found.named]
    added = [each for each in wanted if each.host not in taken and not options.cluster_name]
    names = {*taken, *(name for each in added for name in (each.host, each.name))}
    missing = [each for each in found.named if each not in names]
    place = "in the inventory" if found.hosts else "in the cluster of the kubeconfig"
    place = f"in cluster {options.cluster_name}" if options.cluster_name else place
    if missing:
        raise Refused(
            f'There is no Linux node {", ".join(missing)} {place}; correct the name, which "kubectl get nodes" shows.'
        )
    if not names:
        raise Refused(f"There is no Linux node {place}, so there is nothing to clean.")
    return Rest(tuple(each.host for each in added))


# without_pod


@dataclass(frozen=True)
class Lacking:
    """Rights that access_review_info found missing."""

    missing: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Lacking:
        return cls(tuple(observed["missing"]))


@dataclass(frozen=True)
class WithoutPod:
    """What is said before anything is removed."""

    message: str


def without_pod(options: Options, found: Lacking, _run: Run) -> WithoutPod:
    """What remains as proof where no plain pod may be made."""
    return WithoutPod(
        f"{_no_pod(options, found.missing)} What remains is the network of a pod that runs on the node, else a "
        "throw-away namespace there; name another imds_node_cleanup_probe_namespace for more."
    )


def _no_pod(options: Options, missing: t.Sequence[Raw]) -> str:
    rights = ", ".join(map(_right, missing))
    return (
        f"No plain pod is made for the proof, because in the namespace {options.probe_namespace} these rights are "
        f"missing: {rights}."
        if rights
        else ""
    )


def _right(missing: Raw) -> str:
    below = f"/{missing['subresource']}" if missing["subresource"] else ""
    return f"{missing['verb']} {missing['resource']}{below}"


# gone


@dataclass(frozen=True)
class Unreached:
    """A node to which no way led. ``looked``: its cluster was looked at again, ``there``: and still has it."""

    result: Object
    node: Object
    looked: bool
    there: bool

    @classmethod
    def parse(cls, observed: Raw) -> Unreached:
        return cls(observed["result"], observed["node"], bool(observed["looked"]), bool(observed["there"]))


def gone(_options: Options, found: Unreached, _run: Run) -> Ending:
    """An autoscaler takes nodes away at any time; such a node is no failure."""
    if found.looked and not found.there:
        return Ending({**found.result, "outcome": "gone", "reason": "The node does not exist any more."})
    command = "az vmss reimage (drain the node first)"
    if found.node.get("scale_set"):
        command = (
            "imds_node_cleanup_reimage=true drains and reimages it, or do it yourself: az vmss reimage --ids "
            f"{found.node['scale_set']} --instance-ids {found.node['instance_id']} (drain the node first)"
        )
    cure = f"Without touching it, a reimage of the instance clears its rules, as does a reboot: {command}"
    reason = f"{_why(found.result)} {cure}"
    return Ending({**found.result, "outcome": "unreachable", "reason": reason})


# lost, failed


@dataclass(frozen=True)
class Broken:
    """Something that did not tell how it ended, most often because it took too long.

    ``told``: what is left of it: ``msg``, ``timed_out``, ``unreachable``. ``first``: the node goes alone. ``proves``:
    who answers its pods was to be known. ``saved``: files on the node with its tables.
    """

    result: Object
    told: Object
    first: bool
    proves: bool
    saved: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Broken:
        flags = {name: bool(observed[name]) for name in ("first", "proves")}
        return cls(observed["result"], observed["told"], **flags, saved=tuple(observed["saved"]))

    @property
    def reason(self) -> str:
        return str(self.told.get("msg") or "It went wrong.")


def lost(_options: Options, broken: Broken, _run: Run) -> Ending:
    """The result of a node of which the clean-up told nothing."""
    contact = bool(broken.told["timed_out"] or broken.told["unreachable"])
    outcome, stops = ("unreachable", False) if contact else ("error", broken.first)
    return Ending({**broken.result, "outcome": outcome, "stops": stops, "reason": broken.reason})


def failed(_options: Options, broken: Broken, _run: Run) -> Ending:
    """The result of a node where something went wrong behind the clean-up."""
    in_time = not broken.told["timed_out"]
    return Ending(
        {
            **broken.result,
            "outcome": "error" if in_time or not broken.proves else "unproved",
            "stops": bool(broken.result["stops"]) or (broken.first and in_time),
            "saved": broken.result["saved"] or _only_there(broken.saved),
            "reason": broken.reason,
        }
    )


def _only_there(files: t.Sequence[str]) -> list[str]:
    return [f"only on the node: {each}" for each in files]


# tables


@dataclass(frozen=True)
class Files:
    """Those on a node with its tables as they were."""

    node: str
    files: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Files:
        return cls(observed["node"], tuple(observed["files"]))


@dataclass(frozen=True)
class Reading:
    """A command, because a node may have no Python. The end of what a terminal shows may get lost; a dot marks it."""

    file: str
    command: str


@dataclass(frozen=True)
class Tables:
    """How tables are read, and where they go: a directory of the controller or a Secret."""

    in_secret: bool
    namespace: str
    name: str
    directory: str
    reads: tuple[Reading, ...]


def tables(options: Options, found: Files, _run: Run) -> Tables:
    """One Secret for each node, because the size of one is limited."""
    in_secret = options.artifact_target.startswith("secret:")
    namespace, name = options.secret_of_tables or ("", "")
    command = "gzip -c < {0} > /dev/null && gzip -c < {0} | base64" if in_secret else "base64 < {0}"
    reads = [Reading(each, f"{command.format(shlex.quote(each))} && echo .") for each in found.files]
    directory = f"{options.artifact_target or TABLES}/{found.node}"
    return Tables(in_secret, namespace, f"{name}-{found.node}", directory, tuple(reads))


# read


@dataclass(frozen=True)
class Outputs:
    """What was read of ``number`` files, by file."""

    number: int
    outputs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, observed: Raw) -> Outputs:
        return cls(len(observed["files"]), tuple(zip(observed["files"], observed["outputs"])))


@dataclass(frozen=True)
class Table:
    """``content``: as base64."""

    name: str
    content: str


@dataclass(frozen=True)
class Read:
    """``whole``: all of them could be read."""

    tables: tuple[Table, ...]
    whole: bool


def read(options: Options, found: Outputs, _run: Run) -> Read:
    """The tables that could be read to their end."""
    ending = ".gz" if options.artifact_target.startswith("secret:") else ""
    ended = [(file, output) for file, output in found.outputs if re.search(r"\.\s*$", output)]
    names = [file.rpartition("/")[2] + ending for file, dummy in ended]
    contents = [re.sub(r"[\s.]", "", output) for dummy, output in ended]
    return Read(tuple(map(Table, names, contents)), len(ended) == found.number)


# secret


@dataclass(frozen=True)
class Secrets:
    """Labels of the Secret of that name, if it is there."""

    labels: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Secrets:
        return cls(tuple(each or {} for each in observed["labels"]))


@dataclass(frozen=True)
class Whose:
    """Whether it belongs to somebody else."""

    foreign: bool


def secret(options: Options, found: Secrets, _run: Run) -> Whose:
    """A Secret of somebody else is not written to."""
    return Whose(not all(is_ours({"metadata": {"labels": each}}, options.owner) for each in found.labels))


# saved


@dataclass(frozen=True)
class Saved:
    """``places``: where tables are on the controller or in the cluster; ``problems``: what was said where that failed.

    ``files``: those on the node. ``foreign``: the Secret belongs to somebody else.
    """

    result: Object
    files: tuple[str, ...]
    in_secret: bool
    foreign: bool
    places: tuple[str, ...]
    problems: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Saved:
        lists = {name: tuple(filter(None, observed[name])) for name in ("places", "problems", "files")}
        return cls(
            observed["result"], in_secret=bool(observed["in_secret"]), foreign=bool(observed["foreign"]), **lists
        )


def saved(options: Options, found: Saved, _run: Run) -> Ending:
    name = f"{options.artifact_target}-{found.result['node']}"
    places = [name] if found.in_secret else list(found.places)
    if places:
        return Ending({**found.result, "saved": places})
    why = re.sub("[.]$", "", (*found.problems, "they could not be read")[0])
    if found.foreign:
        why = f"the Secret {name[len('secret:') :]} belongs to somebody else"
    reason = f"The tables as they were are only on the node, because {why}."
    return Ending({**found.result, "saved": _only_there(found.files), "reason": reason})


# proof


@dataclass(frozen=True)
class Asked:
    """What was said to the question who answers pods, in the order in which it was asked.

    ``missing``: rights to ask from a plain pod. ``first``: the node goes alone.
    """

    result: Object
    said: tuple[Object, ...]
    missing: tuple[Raw, ...]
    first: bool

    @classmethod
    def parse(cls, observed: Raw) -> Asked:
        return cls(observed["result"], tuple(observed["said"]), tuple(observed["missing"]), bool(observed["first"]))


def proof(options: Options, asked: Asked, _run: Run) -> Ending:
    """Who answered pods. The last answer counts: what is known is not asked again."""
    answers = [each["answer"] for each in asked.said if "answer" in each]
    nothing = {"proved": False, "answered_by": token.UNKNOWN, "method": ""}
    answer = answers[-1] if answers else nothing
    who = answer["answered_by"]
    result = {
        **asked.result,
        "proof": who,
        "proof_method": answer["method"],
        "stops": asked.first and who in (token.NOBODY, token.NMI),
    }
    if not answer["proved"]:
        messages = [each["message"] for each in answers]
        messages += [str(each.get("msg", "")) for each in asked.said if "answer" not in each]
        reasons = [asked.result["reason"], _no_pod(options, asked.missing), *messages]
        result.update(outcome="unproved", reason=" ".join(filter(None, reasons)))
    return Ending(result)


# turns


@dataclass(frozen=True)
class Batchmates:
    """The hosts of a batch: what is known of their nodes, and their results."""

    hosts: tuple[Host, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Batchmates:
        rows = zip(observed["hosts"], observed["nodes"], observed["results"])
        return cls(tuple(Host(host, node, (), result) for host, node, result in rows))


@dataclass(frozen=True)
class Turns:
    """Hosts whose nodes are reimaged, one after the other; ``begun`` by a killed run come first."""

    begun: tuple[str, ...]
    new: tuple[str, ...]


def turns(_options: Options, found: Batchmates, _run: Run) -> Turns:
    begun = [host.name for host in found.hosts if REIMAGING in (host.node.get("labels") or {})]
    unreached = [
        host.name
        for host in found.hosts
        if host.result.get("outcome") == "unreachable" and host.result["transport"] == ""
    ]
    return Turns(tuple(begun), tuple(name for name in unreached if name not in begun))


# progress


@dataclass(frozen=True)
class Looked:
    """``node``: as the last look saw it; empty where it saw none."""

    result: Object
    node: Object

    @classmethod
    def parse(cls, observed: Raw) -> Looked:
        return cls(observed["result"], observed["node"])


@dataclass(frozen=True)
class Progress:
    """How far the reimage of a node is.

    ``begun``: it has the mark of a run that was killed. ``from_boot``: the start of the kernel that has to end;
    ``done``: it has ended. ``instance``: resource id. ``mark`` and ``release`` are the changes of the node before and
    after. ``why`` no way led to it.
    """

    begun: bool
    from_boot: str
    done: bool
    instance: str
    mark: Object
    release: Object
    why: str


def progress(_options: Options, found: Looked, _run: Run) -> Progress:
    """A look that came before the marks saw whether somebody else had cordoned the node, which then stays so."""
    node, labels = found.node, found.node.get("labels") or {}
    begun, boot, is_cordoned = REIMAGING in labels, str(node.get("boot_id", "")), bool(node.get("cordoned"))
    from_boot = str(labels.get(REIMAGING, boot))
    is_ours = CORDONED in labels if begun else bool(node) and not is_cordoned
    marks = {REIMAGING: boot} if is_cordoned else {REIMAGING: boot, CORDONED: "true"}
    release: dict[str, t.Any] = {"metadata": {"labels": {REIMAGING: None, CORDONED: None}}}
    return Progress(
        begun=begun,
        from_boot=from_boot,
        done=boot != from_boot,
        instance=f"{node.get('scale_set') or ''}/virtualMachines/{node.get('instance_id') or ''}",
        mark={"metadata": {"labels": marks}, "spec": {"unschedulable": True}},
        release={**release, "spec": {"unschedulable": False}} if is_ours else release,
        why=_why(found.result),
    )


# may_reimage


@dataclass(frozen=True)
class Candidate:
    """``node``: as the last look saw it, beside all ``nodes``. ``stopping``: hosts that stop the run."""

    result: Object
    node: Object
    nodes: tuple[Object, ...]
    node_resource_group: str
    stopping: tuple[str, ...]
    has_api_server: bool

    @classmethod
    def parse(cls, observed: Raw) -> Candidate:
        stops = zip(observed["hosts"], observed["stops"])
        return cls(
            observed["result"],
            observed["node"],
            tuple(observed["nodes"]),
            observed["node_resource_group"] or "",
            tuple(host for host, stop in stops if stop),
            bool(observed["environment"]),
        )

    @property
    def begun(self) -> bool:
        return REIMAGING in (self.node.get("labels") or {})

    @property
    def others(self) -> list[str]:
        """Other nodes that are being reimaged."""
        found = [each["name"] for each in self.nodes if REIMAGING in (each.get("labels") or {})]
        return [name for name in found if name != self.result["node"]]


@dataclass(frozen=True)
class MayReimage:
    """``refusal``: what a reimage would open to pods; else empty. The needs are what has to be permitted."""

    refusal: str
    azure: tuple[AzureNeed, ...]
    kubernetes: tuple[KubernetesNeed, ...]


def may_reimage(options: Options, found: Candidate, run: Run) -> MayReimage:
    """Refuses with what completes "It was not reimaged, because", before anybody is asked for permission."""
    refuse(_obstacles(options, found))
    refusal = "" if options.accept_open_imds else _refusal(found.node)
    instance = progress(options, Looked(found.result, found.node), run).instance
    azure = AzureNeed(instance, (f"{_INSTANCES}/read", f"{_INSTANCES}/reimage/action"))
    kubernetes = (
        KubernetesNeed(("get", "patch"), "nodes"),
        KubernetesNeed(("list",), "pods"),
        KubernetesNeed(("create",), "pods", subresource="eviction"),
    )
    return MayReimage(refusal, (azure,), kubernetes)


def _obstacles(options: Options, found: Candidate) -> t.Iterator[str]:
    """The first one."""
    if found.stopping:
        yield f"the run stopped at {found.stopping[-1]}"
    elif found.node.get("ready") is None or not (options.kubeconfig or found.has_api_server):
        yield "a node is drained first, and the API server could not be asked"
    elif not found.node_resource_group:
        yield (
            "Azure could not be asked for the node resource group of the cluster, so nothing proves whose instance it "
            "is: name the cluster"
        )
    elif not found.node.get("scale_set"):
        yield "it is no instance of a scale set"
    elif found.others and not found.begun:
        yield (
            f"{', '.join(found.others)} is still being reimaged, and it is one node at a time: clean it in the same "
            'run, or wait until it is Ready and run "kubectl uncordon" and '
            f'"kubectl label node {found.others[0]} {REIMAGING}-"'
        )


# permitted


@dataclass(frozen=True)
class Forbidden:
    """What permission_info and access_review_info found missing."""

    azure: tuple[Raw, ...]
    kubernetes: tuple[Raw, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Forbidden:
        return cls(tuple(observed["azure"]), tuple(observed["kubernetes"]))


@dataclass(frozen=True)
class Permitted:
    """Nothing is missing."""


def permitted(_options: Options, found: Forbidden, _run: Run) -> Permitted:
    """Refuses where a permission is missing, as ``may_reimage``."""
    lacking = []
    for each in found.azure:
        by = f" by {each['by']}" if each["by"] else ""
        lacking.append(f"{each['action']} at {each['scope']} ({each['reason']}{by})")
    lacking += [f"{_right(each)} in the cluster" for each in found.kubernetes]
    if lacking:
        raise Refused(f"these permissions are missing: {', '.join(lacking)}")
    return Permitted()


# released


@dataclass(frozen=True)
class Release:
    """``done``: the node was changed; else ``code`` and ``message`` are those of the API server."""

    node: str
    done: bool
    code: str
    message: str

    @classmethod
    def parse(cls, observed: Raw) -> Release:
        return cls(observed["node"], bool(observed["done"]), str(observed["code"]), str(observed["message"]))


@dataclass(frozen=True)
class Released:
    """What is said where the node is still cordoned; else empty."""

    cordoned: str


def released(_options: Options, found: Release, run: Run) -> Released:
    if run.check_mode or found.done or found.code == "NotFound":
        return Released("")
    return Released(
        f"It is still cordoned ({found.message.strip('.')}): kubectl uncordon {found.node}; kubectl label node "
        f"{found.node} {REIMAGING}- {CORDONED}-"
    )


# interrupted


@dataclass(frozen=True)
class Interrupted:
    """``reimaged``: what vmss_instance_reimage returned, ``problem``: what was said, ``pods``: those that are left.

    ``done``: the node had its new system before.
    """

    result: Object
    reimaged: Object
    done: bool
    problem: str
    pods: tuple[str, ...]

    @classmethod
    def parse(cls, observed: Raw) -> Interrupted:
        return cls(
            observed["result"],
            observed["reimaged"],
            bool(observed["done"]),
            str(observed["problem"]),
            tuple(observed["pods"]),
        )


@dataclass(frozen=True)
class Interruption:
    """``began``: Azure may have begun, so that the node is not as it was."""

    began: bool
    result: Object


def interrupted(options: Options, found: Interrupted, _run: Run) -> Interruption:
    """Why a node is not as it should be."""
    reimaged = found.reimaged
    began = found.done or bool(reimaged.get("changed") or (reimaged.get("failed") and reimaged.get("started", True)))
    if found.problem:
        problem = found.problem
    elif began:
        problem = f"its new system was not Ready within {options.ready_timeout} seconds"
    else:
        problem = f"these pods did not end within {options.drain_timeout} seconds: {', '.join(found.pods)}"
    problem = problem.strip(".")
    if began:
        reason = f"Its reimage has begun, and it stays cordoned: {problem}. Run again, which goes on from there."
        return Interruption(True, {**found.result, "outcome": "error", "transport": "reimage", "reason": reason})
    return Interruption(
        False, {**found.result, "reason": f"{_why(found.result)} It was not reimaged, because {problem}."}
    )


# report


@dataclass(frozen=True)
class Results:
    """By host; nothing of one that the run did not come to."""

    results: tuple[tuple[str, Object], ...]

    @classmethod
    def parse(cls, observed: Raw) -> Results:
        return cls(tuple(zip(observed["hosts"], observed["results"])))


@dataclass(frozen=True)
class Report:
    """``rows`` of the table. ``reasons``: each once, behind its nodes.

    ``failure``: the sentence with which the run fails; else empty.
    """

    results: tuple[Object, ...]
    rows: tuple[Object, ...]
    reasons: tuple[str, ...]
    failure: str


def report(options: Options, found: Results, _run: Run) -> Report:
    results = tuple(_ended(host, result) for host, result in found.results)
    bad = [each for each in results if each["outcome"] in options.fail_on]
    failure = ""
    if bad:
        outcomes, names = (list(dict.fromkeys(each[name] for each in bad)) for name in ("outcome", "node"))
        failure = (
            f"{len(bad)} of {len(results)} nodes did not end as they should ({', '.join(outcomes)}): "
            f"{', '.join(names)}; the reasons are above."
        )
    nodes: dict[str, list[str]] = {}
    for each in results:
        nodes.setdefault(each["reason"], []).append(each["node"])
    reasons = tuple(f"{', '.join(names)}: {reason}" for reason, names in nodes.items() if reason)
    return Report(results, tuple(map(_row, results)), reasons, failure)


def _ended(host: str, result: Object) -> Object:
    """The result; one that has no outcome is that of a node that the run did not come to."""
    if result.get("outcome"):
        return result
    whole = result or {key: value for key, value in _begun(Host(host), []).items() if key not in ("outcome", "reason")}
    return {**whole, "transport": "", "outcome": "stopped", "reason": "The run did not come to this node."}


def _row(result: Object) -> Object:
    counts: dict[str, t.Any] = {name: len(result[name]) if result["transport"] else "" for name in ("found", "removed")}
    if result["outcome"] == WOULD_CLEAN:
        counts["removed"] = ""
    method = f" ({result['proof_method']})" if result["proof_method"] else ""
    return {**result, **counts, "proof": result["proof"] + method}


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "search": Part(Options, Inventory, search),
    "take": Part(Options, Fleet, take),
    "rest": Part(Options, Left, rest),
    "without_pod": Part(Options, Lacking, without_pod),
    "gone": Part(Options, Unreached, gone),
    "lost": Part(Options, Broken, lost),
    "failed": Part(Options, Broken, failed),
    "tables": Part(Options, Files, tables),
    "read": Part(Options, Outputs, read),
    "secret": Part(Options, Secrets, secret),
    "saved": Part(Options, Saved, saved),
    "proof": Part(Options, Asked, proof),
    "turns": Part(Options, Batchmates, turns),
    "progress": Part(Options, Looked, progress),
    "may_reimage": Part(Options, Candidate, may_reimage),
    "permitted": Part(Options, Forbidden, permitted),
    "released": Part(Options, Release, released),
    "interrupted": Part(Options, Interrupted, interrupted),
    "report": Part(Options, Results, report),
}
