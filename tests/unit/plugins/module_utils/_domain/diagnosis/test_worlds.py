# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first cause and its remedy in whole worlds: those of a trial by hand, and those whose cause lies outside of what
the collection owns, such as firewalls, taints, limits, policies, proxies, certificates, DNS and clocks.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.diagnose import (
    Cause,
    Diagnosis,
    diagnose,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Asked,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Check, Verdict
from ansible_collections.azureops.pod_identity.tests.support import observed_world
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    assigned,
    binding,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import (
    HOME,
    MIC_POD,
    NMI_POD,
    SCALE_SET,
    ago,
    lock,
    log,
    program,
    ready,
)

from .azure_world import CLUSTER, azure, gone, scale_set, there

OWNER = ("ReplicaSet", "web-1")
POD = pod(owner=OWNER)
WAITING: dict[str, t.Any] = {"AzureAssignedIdentity": [assigned(POD, binding(), identity(), state="Created")]}
ACTIVE = {f"Pod {HOME}/{NMI_POD}": "Active"}
CLIENT = "compute.VirtualMachineScaleSetsClient#Update: Failure sending request: "
REFUSED_WITH = CLIENT + 'StatusCode={} -- Original Error: Code="{}" Message="{}"'
NO_IMDS = (
    "failed to get service principal token for pod: team/web-1-a, error: adal: Failed to execute the refresh request. "
    "Error = 'Get http://169.254.169.254/: dial tcp 169.254.169.254:80: connect: connection refused'"
)
SERVED = "status (200) took 12345 ns for req.method=GET reg.path=/metadata/identity/oauth2/token req.remote=10.244.0.9"
OTHER_ID = (
    "failed to get matching identities for pod: team/web-1-a, error: no azure identity found for request clientID "
    "3333##### REDACTED #####4444"
)


def world(**more: t.Any) -> Observed:
    """With a log of MIC in which nothing is wrong."""
    return observed_world.world(**{**more, "logs": (log(MIC, "Total: 1.5s"), *more.get("logs", ()))})


def update(error: str) -> str:
    return (
        f"failed to update user-assigned identities on node {SCALE_SET} (add [1], del [0], update[0]), error: {error}"
    )


def refused(status: int, code: str, message: str = "No.", **more: t.Any) -> Observed:
    """Azure refuses MIC, which has not brought the identity to its scale set."""
    return unassigned(update(REFUSED_WITH.format(status, code, message)), **more)


def unassigned(*said: str, **more: t.Any) -> Observed:
    return world(logs=(log(MIC, *said),), **{"azure": azure(scale_set()), **WAITING, **more})


def unreached(why: str) -> Observed:
    return unassigned(update(f'{CLIENT}StatusCode=0 -- Original Error: Get "https://management.azure.com/s": {why}'))


def asked(verdict: str, by: str = "nobody", message: str = "No answer came.", **more: t.Any) -> Observed:
    told = Verdict(verdict, "", by, message, **{key: more.pop(key) for key in ("error_code", "checks") if key in more})
    return world(asked=(Asked("team", "web-1-a", "n1", told, ("team/i",)),), **{"health": ACTIVE, **more})


def tainted(key: str, effect: str = "NoSchedule") -> dict[str, t.Any]:
    """The node keeps NMI away."""
    node = {
        "metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}},
        "spec": {"taints": [{"key": key, "value": "x", "effect": effect}]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": ago(86_400)}]},
    }
    mic, nmi = program(MIC), program(NMI)
    return {"Node": [node], "components": (mic, type(nmi)(nmi.program, nmi.workload))}


def of_network(**profile: t.Any) -> t.Any:
    properties = {**CLUSTER["properties"], "networkProfile": profile}
    return azure(cluster={**CLUSTER, "properties": properties})


def denying() -> list[Raw]:
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    return [{"metadata": {"name": "deny", "namespace": "team"}, "spec": spec}]


def clock(seconds: float) -> list[Raw]:
    place = {"name": "n1", "namespace": "kube-node-lease"}
    return [{"metadata": place, "spec": {"renewTime": ago(seconds).replace("Z", ".000000Z")}}]


NODE: Raw = {
    "metadata": {"name": "n1"},
    "spec": {},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


@dataclass(frozen=True)
class World:
    """``code``: of the first cause. ``mends``: a part of its remedy, ``command`` of its command."""

    observed: Observed
    code: str
    mends: str
    command: str = ""
    verdict: str = "broken"


NAMESPACED = world(
    Deployment=[template(namespace="other")],
    Pod=[],
    ReplicaSet=[],
    AzureIdentity=[identity(behavior="namespaced")],
    AzureAssignedIdentity=[],
)
OLD, NEW = there(client_id="client-team-i"), there(client_id="made-anew")

# Of the trial by hand; its numbers.
TRIAL: dict[str, World] = {
    "D1 another client id": World(
        world(logs=(log(NMI, OTHER_ID),)), "client_id_unknown_to_nmi", "exactly as clientID", "get azureidentities"
    ),
    "D2a a firewall before the metadata service": World(
        world(logs=(log(NMI, NO_IMDS),)), "node_cannot_reach_imds", "Look on the node itself"
    ),
    "D2a the same, by a request": World(
        asked("unclear", "unknown", f"It is unclear ({NO_IMDS})."), "node_cannot_reach_imds", "Look on the node itself"
    ),
    "D2b packets to the metadata address are dropped": World(
        asked("path_blocked"), "way_to_nmi_blocked", "raw, mangle and filter tables", "iptables-save"
    ),
    "D2c port 2579 is rejected": World(
        asked("nmi_dead"), "way_to_nmi_blocked", "Keep NMI's own rules", "kubectl debug node/n1"
    ),
    "D5 a stranger holds the lock": World(
        world(Endpoints=[lock("mic-of-others")]),
        "mic_without_leader",
        "Find the pod that holds the lock",
        "metadata.name=mic-of-others",
    ),
    "D7 too many requests": World(
        refused(429, "TooManyRequests"), "mic_throttled_by_azure", "wait until Azure answers again", verdict="suspect"
    ),
    "D7 a policy": World(
        refused(403, "RequestDisallowedByPolicy"), "mic_refused_by_azure", "az policy exemption create"
    ),
    "D7 too many identities": World(
        refused(409, "TooManyUserAssignedIdentities"), "mic_refused_by_azure", "Detach identities that nobody uses"
    ),
    "D8 a clock that is late": World(world(Node=[NODE], Lease=clock(900)), "clock_skew", "timedatectl"),
    "D8 a clock that is ahead": World(world(Node=[NODE], Lease=clock(-900)), "clock_skew", "timedatectl"),
    "D9 a new MIC, and pods made anew": World(
        world(
            Pod=[pod("web-1-b", owner=OWNER)],
            AzureAssignedIdentity=[
                assigned(POD, binding(), identity()),
                assigned(pod("web-1-b", owner=OWNER), binding(), identity()),
            ],
            components=(program(MIC, ready(MIC_POD, startTime=ago(20))), program(NMI)),
        ),
        "assignment_without_cause",
        "Look whether MIC runs",
        verdict="suspect",
    ),
    "D10 a selector in another case": World(
        world(Deployment=[template(selector="X")], Pod=[], ReplicaSet=[], AzureAssignedIdentity=[]),
        "nothing_matches",
        "Write the label of the pods as 'x'",
    ),
    "D11 a namespaced identity": World(
        NAMESPACED, "nothing_matches", "Create the AzureIdentity and its AzureIdentityBinding in namespace other"
    ),
    "D12 an identity made anew": World(
        world(azure=azure(scale_set(team_i="client-team-i"), identities=(NEW,))), "identity_recreated", ""
    ),
    "D14 a taint": World(world(**tainted("sku")), "nmi_missing_on_node", "NMI"),
    "D15 the host network": World(
        world(Deployment=[template(spec={"hostNetwork": True})], Pod=[], ReplicaSet=[], AzureAssignedIdentity=[]),
        "host_network",
        "Take hostNetwork away",
        verdict="suspect",
    ),
}
# What nobody of pod identity owns.
OUTSIDE: dict[str, World] = {
    "DNS does not resolve Azure": World(
        unreached("dial tcp: lookup management.azure.com on 10.0.0.10:53: no such host"),
        "mic_cannot_reach_azure",
        "Mend DNS",
    ),
    "a firewall before Azure": World(
        unreached("dial tcp 20.61.1.1:443: i/o timeout"), "mic_cannot_reach_azure", "Allow egress of the nodes"
    ),
    "a proxy that inspects TLS": World(
        unreached("x509: certificate signed by unknown authority"), "mic_cannot_reach_azure", "inspects TLS"
    ),
    "a certificate that has expired": World(
        unreached("x509: certificate has expired or is not yet valid"),
        "mic_cannot_reach_azure",
        "the clock of the node",
    ),
    "a proxy that is gone": World(
        unreached("proxyconnect tcp: dial tcp 10.1.1.1:3128: i/o timeout"), "mic_cannot_reach_azure", "HTTPS_PROXY"
    ),
    "a lock on the nodes": World(refused(409, "ScopeLocked"), "mic_refused_by_azure", "See whether"),
    "a deny assignment": World(
        refused(403, "DenyAssignmentAuthorizationFailed"), "mic_refused_by_azure", "See whether"
    ),
    "a limit that nobody knows": World(
        refused(409, "QuotaExceeded", "Ask for more."), "mic_refused_by_azure", "Do what Azure's sentence asks for"
    ),
    "another operation on the scale set": World(
        refused(409, "Conflict", "Another operation runs."),
        "mic_refused_by_azure",
        "MIC tries again",
        verdict="suspect",
    ),
    "a role that was just given": World(
        refused(403, "LinkedAuthorizationFailed"), "mic_refused_by_azure", "Wait up to half an hour", verdict="suspect"
    ),
    "somebody deleted the identity": World(
        world(azure=azure(scale_set(team_i=""), identities=(gone(),))), "identity_gone", ""
    ),
    "a policy of the network": World(
        asked("path_blocked", NetworkPolicy=denying()),
        "policy_blocks_nmi",
        "Allow egress to 127.0.0.1",
        "kubectl apply",
    ),
    "kube-proxy in nftables mode": World(
        asked("path_blocked", azure=of_network(kubeProxyConfig={"mode": "NFTABLES"})),
        "kube_proxy_bypasses",
        "iptables mode",
    ),
    "Cilium in place of kube-proxy": World(
        asked("raw_imds", "imds", azure=of_network(networkDataplane="cilium")), "kube_proxy_bypasses", "Workload ID"
    ),
    "IMDS restriction of AKS": World(
        asked("path_blocked", azure=of_network(podLinkLocalAccess="None")),
        "imds_restricted",
        "disable-imds-restriction",
    ),
    "a mesh that answers": World(
        asked("unknown_responder", "unknown", "A server named envoy answered."),
        "no_token",
        "take 169.254.169.254 out of the mesh or proxy",
    ),
    "a firewall before the API server": World(
        world(Node=[NODE], logs=(log(NMI, *["reflector.go:178] Failed to watch *v1.Pod: dial tcp: i/o timeout"] * 3),)),
        "nmi_does_not_know_pod",
        "Let NMI reach the API server",
    ),
    "Conditional Access": World(
        asked("policy_refused", "nmi", "AADSTS53003: blocked", error_code="AADSTS53003"), "refused_by_entra", ""
    ),
    "a secret that has expired": World(
        asked("token_refused", "nmi", "AADSTS7000222: expired", error_code="AADSTS7000222"), "refused_by_entra", ""
    ),
    "a taint for virtual nodes": World(world(**tainted("virtual-kubelet.io/provider")), "nmi_missing_on_node", "NMI"),
}
WORLDS = {**TRIAL, **OUTSIDE}


@pytest.mark.parametrize("name", WORLDS)
def test_the_first_cause_and_its_remedy(name: str) -> None:
    made = WORLDS[name]
    found = diagnose(made.observed)
    first = found.causes[0]
    assert (first.code, found.verdict) == (made.code, made.verdict), codes(found)
    assert made.mends in first.fix.text and made.command in first.fix.command, first.fix
    assert not opens(first)


def codes(found: Diagnosis) -> list[tuple[str, str]]:
    return [(one.code, one.certainty) for one in found.causes]


def opens(cause: Cause) -> bool:
    """Whether a remedy removes what keeps pods from the metadata service."""
    return cause.code != "stale_rule" and "rules" in cause.fix.text and "remove" in cause.fix.text.lower()


def test_what_was_mended_is_no_cause() -> None:
    """D2a after the repair, D3, D6."""
    mended = world(logs=(log(NMI, NO_IMDS, seconds=300), log(NMI, SERVED)))
    same = world(
        Deployment=[template(), template("api", "y")],
        AzureIdentity=[identity(), {**identity("j"), "spec": identity()["spec"]}],
        AzureIdentityBinding=[binding(), binding("c", "j", "y")],
    )
    for observed in (mended, same, world()):
        found = diagnose(observed)
        # Nobody asked for a token, as in the first 80 seconds of D1 and D2, when nothing is logged yet.
        assert (found.causes, found.verdict) == ((), "unknown")
        assert "probe" in {one.source for one in found.unread}


def test_two_causes_are_both_told_and_what_follows_comes_last() -> None:
    """D16."""
    both = unassigned(
        update(REFUSED_WITH.format(403, "RequestDisallowedByPolicy", "No.")),
        asked=(Asked("team", "web-1-a", "n1", Verdict("nmi_dead", "", "nobody", "Refused.")),),
        health=ACTIVE,
    )
    found = [one.code for one in diagnose(both).causes]
    assert set(found[:2]) == {"mic_refused_by_azure", "way_to_nmi_blocked"}
    assert found[2:] == ["no_token", "assignment_pending"]


def test_a_right_token_is_no_proof_of_what_else_is_wrong() -> None:
    right = asked(
        "ok", "nmi", "It is right.", checks=(Check("audience", "a", "a", ok=True),), Endpoints=[lock("other")]
    )
    assert diagnose(right).verdict == "broken"
