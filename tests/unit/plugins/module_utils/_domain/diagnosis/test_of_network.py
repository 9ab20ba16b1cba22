# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause between pods and NMI: a world that has it, worlds that nearly have it, and hostile ones."""

from __future__ import annotations

import json
import subprocess
import typing as t
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import diagnose
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.azure import (
    Azure,
    IdentityInAzure,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Line, Log
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Asked,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.of_network import TABLE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Check, Verdict
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    Raw,
    healthy,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import (
    HOME,
    NMI_POD,
    NOW,
    ago,
    program,
    ready,
    told,
    world,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, worlds_by_name

NODE = "Node n1"
ADDRESS, NODE_ADDRESS = "10.244.0.7", "10.224.0.4"


def node(name: str = "n1", ready: bool = True, **more: t.Any) -> Raw:
    conditions = [{"type": "Ready", "status": str(ready), "lastHeartbeatTime": more.pop("beat", ago(200))}]
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": NODE_ADDRESS}]
    return {
        "metadata": {"name": name, "labels": more.pop("labels", {})},
        "spec": more,
        "status": {"addresses": addresses, "conditions": conditions},
    }


def azure(**network: t.Any) -> Azure:
    cluster = {
        "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/aks",
        "name": "aks",
        "properties": {"networkProfile": network},
    }
    return Azure(cluster, IdentityInAzure("k", True), "mc")


def asked(verdict: str, by: str = "nobody", message: str = "It is so.", where: str = "n1", **more: t.Any) -> Asked:
    return Asked("team", "web-1-a", where, Verdict(verdict, "", by, message, **more))


def policy(name: str = "p", namespace: str = "team", selector: Raw | None = None, **spec: t.Any) -> Raw:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": selector or {}, "policyTypes": ["Egress"], **spec},
    }


def to(cidr: str, port: int = 2579) -> list[Raw]:
    return [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": port}]}]


def said(*texts: str, where: str = "n1", when: str = "", by: str = NMI) -> Log:
    return Log(by, HOME, NMI_POD, where, tuple(Line(text, "E", when or ago(30)) for text in texts))


def here(*seen: Asked | Log, **more: t.Any) -> Observed:
    """A pod of the node; ``seen`` was answered and logged."""
    one = pod(owner=("ReplicaSet", "web-1"), podIP=ADDRESS, startTime=ago(600))
    answers = tuple(each for each in seen if isinstance(each, Asked))
    logs = tuple(each for each in seen if isinstance(each, Log))
    return world(**{"Node": [node()], "Pod": [one], "asked": answers, "logs": logs, **more})


NMI_LABEL = f"Pod {HOME}/{NMI_POD}"


def active(*seen: Asked | Log, **more: t.Any) -> Observed:
    """NMI says of itself that it has written its rules."""
    return here(*seen, **{"health": {NMI_LABEL: "Active"}, **more})


def served(address: str = ADDRESS, path: str = "/metadata/identity/oauth2/token", status: int = 200) -> str:
    return f"status ({status}) took 12345 ns for req.method=GET reg.path={path} req.remote={address}"


def denied(*seen: Asked, **more: t.Any) -> Observed:
    return here(*seen, NetworkPolicy=[policy(egress=[])], **more)


def allowed(cidr: str, **more: t.Any) -> Observed:
    """With a policy that allows this alone."""
    return here(NetworkPolicy=[policy(egress=to(cidr))], **more)


def found(observed: Observed) -> list[tuple[str, str, str]]:
    return told(TABLE, observed)


def daemons(version: str = "v1.8.17", *arguments: str, **template: t.Any) -> tuple[Component, ...]:
    one = program(NMI, version=version, arguments=arguments)
    one.workload["spec"]["template"]["spec"].update(template)
    return program(MIC), one


def restarted(seconds: float) -> tuple[Component, ...]:
    """The container of NMI's pod started so long ago."""
    status = {"name": "nmi", "state": {"running": {"startedAt": ago(seconds)}}}
    return program(MIC), program(NMI, ready(NMI_POD, containerStatuses=[status]))


def system(kind: str, name: str, namespace: str = "kube-system", **content: t.Any) -> dict[str, list[Raw]]:
    return {kind: [{"metadata": {"name": name, "namespace": namespace}, **content}]}


def lease(renewed: str, namespace: str = "kube-node-lease") -> Raw:
    return {"metadata": {"name": "n1", "namespace": namespace}, "spec": {"renewTime": renewed}}


def arguments(*given: str) -> Raw:
    return {"template": {"spec": {"containers": [{"name": "p", "image": "kube-proxy", "args": list(given)}]}}}


ELSEWHERE: dict[str, t.Any] = {"nodeSelector": {"pool": "other"}}
NFTABLES = azure(kubeProxyConfig={"mode": "NFTABLES"})
MARKED = {"kubernetes.azure.com/user-iptables-rules": "true"}
UNBOUND: dict[str, list[Raw]] = {"AzureIdentity": [], "AzureIdentityBinding": [], "AzureAssignedIdentity": []}
IP_UNKNOWN = f'failed to get pod info from pod IP: {ADDRESS}, error: "failed to match pod IP {ADDRESS} with []"'
BROKEN = "reflector.go:178] Failed to watch *v1.Pod: dial tcp: i/o timeout"
NO_IMDS = (
    "failed to get service principal token for pod: team/web-1-a, error: adal: Failed to execute the refresh request. "
    """Error = 'Get "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01": """
    "dial tcp 169.254.169.254:80: connect: network is unreachable'"
)
NO_IMDS_BEFORE = (
    "failed to get service principal token for pod: team/web-1-a, error: the MSI endpoint is not available. Failed "
    "HTTP request to MSI endpoint"
)
SKEWED = "AADSTS700024: Client assertion is not within its valid time range."
REFUSED = (
    "failed to get service principal token for pod: team/web-1-a, error: adal: Refresh request failed. Status Code = "
    """'401'. Response body: {"error":"invalid_client","error_description":"TEXT"} Endpoint https://login.example/"""
)
SKEWED_FOR_NMI = REFUSED.replace("TEXT", SKEWED)

GROUPS: Groups[Observed] = {
    ("no", "cause"): {"healthy": here(), "nothing was read but objects": world()},
    ("stale_rule", NODE, "proved"): {
        "refused where no NMI is": here(asked("nmi_dead"), components=daemons(**ELSEWHERE)),
        "refused where nothing is installed": here(asked("nmi_dead"), components=(), **UNBOUND),
    },
    ("no", "stale_rule"): {
        "refused where an NMI ought to be": here(asked("nmi_dead")),
        "refused on another node": here(asked("nmi_dead", where="n2"), components=()),
        "marked, and nothing of pod identity": here(components=(), Node=[node(labels=MARKED)], **UNBOUND),
        "marked, and NMI there": here(Node=[node(labels=MARKED)]),
        "marked, and IMDS answers": here(asked("raw_imds", "imds"), components=(), Node=[node(labels=MARKED)]),
    },
    ("way_to_nmi_blocked", NODE, "proved"): {
        "refused where NMI is active": active(asked("nmi_dead")),
        "lost where NMI is active": active(asked("path_blocked")),
        "lost, and a policy of others": active(
            asked("path_blocked"), NetworkPolicy=[policy(selector={"matchLabels": {"app": "db"}})]
        ),
    },
    ("no", "way_to_nmi_blocked"): {
        "refused where it is not known whether NMI is active": here(asked("nmi_dead")),
        "refused where NMI has not written its rules": active(asked("nmi_dead"), health={NMI_LABEL: "Not Active"}),
        "refused where NMI is not Ready": active(
            asked("nmi_dead"), components=(program(MIC), program(NMI, ready(NMI_POD, conditions=[])))
        ),
        "the proxy of the pod does not reach Entra": active(asked("path_blocked", "workload_identity_proxy")),
        "NMI answers": active(asked("not_assigned", "nmi")),
    },
    ("stale_rule", NODE, "possible"): {"marked by AKS": here(components=(), Node=[node(labels=MARKED)])},
    ("policy_blocks_nmi", "NetworkPolicy team/p", "possible"): {
        "all egress denied": denied(),
        "denied, and the proxy of the pod does not reach Entra": denied(
            asked("path_blocked", "workload_identity_proxy")
        ),
        "denied, and the cluster could not be read": denied(
            DaemonSet=[], azure=Azure({}, IdentityInAzure("", True), "")
        ),
        "the metadata address only": here(NetworkPolicy=[policy(egress=to("169.254.169.254/32", 80))]),
        "an older NMI, the loopback address allowed": allowed("127.0.0.1/32", components=daemons("v1.6.1")),
        "another port, that of the default allowed": allowed(
            "127.0.0.1/32", components=daemons("v1.8.17", "--nmi-port=2580")
        ),
    },
    ("policy_blocks_nmi", "NetworkPolicy team/p", "proved"): {
        "denied, enforced by Azure": denied(azure=azure(networkPolicy="calico")),
        "denied, enforced by what runs": denied(**system("DaemonSet", "azure-npm")),
        "denied, and no answer": denied(asked("path_blocked")),
    },
    ("no", "policy_blocks_nmi"): {
        "denied, and NMI answers": denied(asked("ok", "nmi")),
        "denied, and nothing enforces": denied(DaemonSet=[], azure=azure(networkPolicy="none")),
        "denied, and a tenant's DaemonSet is called as one that enforces": denied(
            azure=azure(), **system("DaemonSet", "calico-node", "team")
        ),
        "allowed": allowed("127.0.0.1/32"),
        "allowed by the second": here(NetworkPolicy=[policy(egress=[]), policy("q", egress=to("127.0.0.0/8"))]),
        "an older NMI, the node's address allowed": allowed(f"{NODE_ADDRESS}/32", components=daemons("v1.6.1")),
        "another address, and that allowed": allowed(
            "127.0.0.9/32", components=daemons("v1.8.17", "--nmi-listen-address=127.0.0.9")
        ),
        "all addresses are listened at": allowed(
            "127.0.0.1/32", components=daemons("v1.8.17", "--nmi-listen-address=0.0.0.0")
        ),
        "for other pods": here(NetworkPolicy=[policy(selector={"matchLabels": {"app": "db"}})]),
        "in another namespace": here(NetworkPolicy=[policy(namespace="other")]),
        "for ingress": here(NetworkPolicy=[policy(policyTypes=["Ingress"])]),
        "no NMI": denied(components=()),
        "pods that ask nobody": denied(Pod=[pod(selector="")], Deployment=[], ReplicaSet=[]),
        "pods of the host network": denied(Pod=[], Deployment=[template(spec={"hostNetwork": True})], ReplicaSet=[]),
    },
    ("kube_proxy_bypasses", "ManagedCluster aks", "possible"): {
        "nftables by Azure": here(azure=NFTABLES),
        "Cilium": here(azure=azure(networkDataplane="cilium")),
    },
    ("kube_proxy_bypasses", "ConfigMap kube-system/kube-proxy", "possible"): {
        "nftables by its ConfigMap": here(
            **system("ConfigMap", "kube-proxy", data={"config.conf": 'kind: X\nmode: "nftables"\n'})
        )
    },
    ("kube_proxy_bypasses", "DaemonSet kube-system/kube-proxy", "possible"): {
        "nftables by an argument": here(**system("DaemonSet", "kube-proxy", spec=arguments("--proxy-mode=nftables")))
    },
    ("kube_proxy_bypasses", "ManagedCluster aks", "proved"): {
        "nftables, and silence": here(asked("path_blocked"), azure=NFTABLES)
    },
    ("no", "kube_proxy_bypasses"): {
        "nftables, and NMI answers": here(asked("not_assigned", "nmi"), azure=NFTABLES),
        "nftables, and an older NMI on the node's address": here(azure=NFTABLES, components=daemons("v1.6.1")),
        "Cilium beside kube-proxy": here(
            **system("ConfigMap", "cilium-config", data={"kube-proxy-replacement": "false"})
        ),
        "IPVS": here(azure=azure(kubeProxyConfig={"mode": "IPVS"}, networkDataplane="azure")),
        "a tenant's ConfigMap": here(**system("ConfigMap", "kube-proxy", "team", data={"c": "mode: nftables"})),
        "nftables in words": here(**system("ConfigMap", "kube-proxy", data={"c": "# mode: nftables\nmode:"})),
    },
    ("kube_proxy_bypasses", "ConfigMap kube-system/cilium-config", "proved"): {
        "Cilium by its own settings, and IMDS answers": here(
            asked("raw_imds", "imds"), **system("ConfigMap", "cilium-config", data={"kube-proxy-replacement": "true"})
        )
    },
    ("imds_restricted", "ManagedCluster aks", "possible"): {"restricted": here(azure=azure(podLinkLocalAccess="None"))},
    ("imds_restricted", "ManagedCluster aks", "proved"): {
        "restricted, and silence": here(asked("path_blocked"), azure=azure(podLinkLocalAccess="None"))
    },
    ("no", "imds_restricted"): {
        "restricted, and NMI answers": here(asked("ok", "nmi"), azure=azure(podLinkLocalAccess="None")),
        "restricted, and no NMI": here(azure=azure(podLinkLocalAccess="None"), components=()),
        "not restricted": here(azure=azure(podLinkLocalAccess="IMDS")),
    },
    ("nmi_does_not_know_pod", f"Pod {HOME}/{NMI_POD}", "likely"): {
        "a pod that NMI does not know": here(said(IP_UNKNOWN)),
        "a broken watch": here(said(*[BROKEN] * 3)),
        "a pod that NMI does not know after its start": here(said(IP_UNKNOWN), components=restarted(60)),
        "a pod that NMI does not know, and another got a token": here(
            said(IP_UNKNOWN), said(served("10.244.0.99"), when=ago(10))
        ),
        "a hidden address": here(said(IP_UNKNOWN.replace(ADDRESS, NODE_ADDRESS))),
    },
    ("no", "nmi_does_not_know_pod"): {
        "a watch that broke while the API server restarted": here(said(*[BROKEN] * 2)),
        "a watch that was broken an hour ago": here(said(*[BROKEN] * 9, when=ago(3600))),
        "a pod that NMI did not know a while ago": here(
            said(IP_UNKNOWN, when=ago(1000)), Pod=[pod(podIP=ADDRESS, startTime=ago(7200))]
        ),
        "a pod that NMI did not know right after its own start": here(said(IP_UNKNOWN), components=restarted(35)),
        "a pod that got its token since": here(said(IP_UNKNOWN), said(served(), when=ago(10))),
        "a broken watch, and a token in place of a new pod": here(said(*[BROKEN] * 3), asked("ok", "nmi")),
        "a pod that just started": here(said(IP_UNKNOWN, when=ago(595))),
        "an address of a pod that was there before": here(said(IP_UNKNOWN, when=ago(900))),
        "an address of no pod": here(said(IP_UNKNOWN.replace(ADDRESS, "10.244.0.99"))),
        "a pod of another node": here(said(IP_UNKNOWN, where="n2")),
        "a watch of something else": here(said("Failed to watch *v1.ConfigMap: forbidden")),
        "a node that there is not": here(said(*[BROKEN] * 3, where="n9")),
        "MIC says it": here(said(IP_UNKNOWN, by=MIC)),
    },
    ("nmi_does_not_know_pod", NODE, "proved"): {"NMI says so now": here(asked("pod_unknown", "nmi"))},
    ("node_cannot_reach_imds", NODE, "likely"): {
        "no IMDS": here(said(NO_IMDS)),
        "no IMDS, in the words of 1.8.0": here(said(NO_IMDS_BEFORE)),
        "no IMDS for what a pod asks of it": here(
            said(
                "failed executing request for http://169.254.169.254:80/metadata/instance?api-version=2021-02-01, "
                """error: Get "http://169.254.169.254:80/metadata/instance?api-version=2021-02-01": """
                "dial tcp 169.254.169.254:80: i/o timeout"
            )
        ),
        "no IMDS since a token": here(said(NO_IMDS), said(served(), when=ago(50))),
        "no IMDS, and a refusal since": here(said(NO_IMDS), said(served(status=503), when=ago(10))),
        "no IMDS, and what a pod asked of it since": here(
            said(NO_IMDS), said(served(path="/metadata/instance"), when=ago(10))
        ),
        "no IMDS, and a token of a service principal since": here(
            said(NO_IMDS), said(served(), when=ago(10)), AzureIdentity=[identity(), identity("sp", type=1)]
        ),
        "an answer by somebody that says so now": here(asked("unclear", "unknown", f"It is unclear ({NO_IMDS}).")),
    },
    ("no", "node_cannot_reach_imds"): {
        "no IMDS a while ago": here(said(NO_IMDS, when=ago(1000))),
        "no IMDS on a node that is gone": here(said(NO_IMDS, where="n9")),
        "no IMDS, says MIC": here(said(NO_IMDS, by=MIC)),
        "another one says so": here(asked("unknown_responder", "unknown", NO_IMDS)),
        "no IMDS, and a token since": here(said(NO_IMDS), said(served(), when=ago(10))),
        "no IMDS before a restart of NMI, and a token since": here(
            replace(said(NO_IMDS), previous=True), said(served("10.244.0.99"), when=ago(10))
        ),
    },
    ("node_cannot_reach_imds", NODE, "proved"): {
        "NMI says now that it gets none": here(asked("token_refused", "nmi", f"NMI answered 403 ({NO_IMDS})."))
    },
    ("clock_skew", NODE, "proved"): {
        "a heartbeat of the future": here(Node=[node(beat=ago(-400))]),
        "an old lease": here(Lease=[lease(ago(400).replace("Z", ".123456Z"))]),
        "a lease of the future in a file": here(from_files=True, Lease=[lease(ago(-400))]),
    },
    ("no", "clock_skew"): {
        "a heartbeat a little ahead": here(Node=[node(beat=ago(-200))]),
        "an old heartbeat": here(Node=[node(beat=ago(4000))]),
        "an old lease in a file": here(from_files=True, Lease=[lease(ago(400))]),
        "an old lease of a node that is away": here(Node=[node(ready=False)], Lease=[lease(ago(400))]),
        "a fresh lease": here(Lease=[lease(ago(5))]),
        "a tenant's lease": here(Lease=[lease(ago(-4000), "team")]),
        "a lease without a time": here(Lease=[lease("2026-99-99")]),
        "Entra said so to NMI a while ago": here(said(SKEWED_FOR_NMI, when=ago(1000))),
        "Entra says so on a node that is not known": here(
            asked("token_refused", "nmi", error_code="AADSTS700024", where="n9")
        ),
        "Entra says another thing now": here(asked("token_refused", "nmi", error_code="AADSTS7000215")),
        "a token from a cache": here(
            asked("stale_token", "workload_identity_proxy", checks=(Check("not_expired", "after 1", "2", ok=True),))
        ),
        "Entra says another thing": here(said("AADSTS7000240: other")),
        "the time is not known": here(Node=[node(beat=ago(-400))], now=NOW.replace(year=1970)),
    },
    ("clock_skew", NODE, "likely"): {
        "Entra says so to NMI": here(said(SKEWED_FOR_NMI)),
        "Entra says so now": here(asked("token_refused", "nmi", SKEWED, error_code="AADSTS700024")),
        "Entra says so of a user's assertion": here(asked("token_refused", "nmi", error_code="AADSTS500133")),
        "a token that has expired": here(
            asked("stale_token", "nmi", checks=(Check("not_expired", "after 2", "1", ok=False),))
        ),
    },
}
CASES = worlds_by_name(GROUPS)


@pytest.mark.parametrize("case", CASES)
def test_the_causes_of_a_world(case: str) -> None:
    observed, causes = CASES[case]
    assert found(observed) == causes


def test_every_code_is_found_in_some_world() -> None:
    assert codes(CASES) == {row.code for row in TABLE.rows}


@pytest.mark.parametrize("case", [case for case, (dummy, causes) in CASES.items() if causes])
def test_what_was_found_concerns_the_pod(case: str) -> None:
    observed, causes = CASES[case]
    ours = {row.code for row in TABLE.rows}
    told_of = diagnose.diagnose(observed, Scope("team", pod="web-1-a")).causes
    assert {one.code for one in told_of} & ours == {code for code, *rest in causes}


def test_what_pods_of_another_workload_suffer_is_not_told_of_this_one() -> None:
    other = template("db", selector="y")
    other["spec"]["template"]["metadata"]["labels"]["app"] = "db"
    objects = healthy()
    objects["Deployment"].append(other)
    observed = here(Deployment=objects["Deployment"], NetworkPolicy=[policy(selector={"matchLabels": {"app": "db"}})])
    assert [code for code, *rest in found(observed)] == ["policy_blocks_nmi"]
    causes = diagnose.diagnose(observed, Scope("team", workload="web")).causes
    assert "policy_blocks_nmi" not in {one.code for one in causes}


def test_the_command_allows_it_for_the_very_pods_that_are_confined(tmp_path: Path) -> None:
    """It is run by a shell with a kubectl that writes down what it is given."""
    hostile = "p'; touch hurt #"
    selector = {"matchLabels": {"app": "web"}}
    observed = here(NetworkPolicy=[policy(hostile, selector=selector)])
    (one,) = [one for one in diagnose.diagnose(observed).causes if one.code == "policy_blocks_nmi"]
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\ncat > given\necho "$@" > words\n')
    kubectl.chmod(0o755)
    subprocess.run(["sh", "-c", one.fix.command], check=True, cwd=tmp_path, env={"PATH": f"{tmp_path}:/bin:/usr/bin"})
    given = json.loads((tmp_path / "given").read_text())
    assert (tmp_path / "words").read_text() == "apply --filename -\n"
    assert not (tmp_path / "hurt").exists()
    assert given["spec"]["podSelector"] == selector
    beside = [policy(hostile, selector=selector), {**given, "metadata": given["metadata"]}]
    assert found(here(NetworkPolicy=beside)) == []


def test_a_command_is_safe_whatever_the_names_are(tmp_path: Path) -> None:
    log = Log(NMI, HOME, "nmi$(touch hurt)", "n1", (Line(IP_UNKNOWN, "E", ago(30)),))
    (one,) = [one for row in TABLE.rows for one in row.look(here(log))]
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho "$5" > word\n')
    (tmp_path / "kubectl").chmod(0o755)
    subprocess.run(["sh", "-c", one.command], check=True, cwd=tmp_path, env={"PATH": f"{tmp_path}:/bin:/usr/bin"})
    assert (tmp_path / "word").read_text() == "nmi$(touch hurt)\n"
    assert not (tmp_path / "hurt").exists()


TOLD = (IP_UNKNOWN, BROKEN, NO_IMDS, NO_IMDS_BEFORE, SKEWED_FOR_NMI)


@pytest.mark.parametrize("text", TOLD)
@pytest.mark.parametrize(
    "line",
    [
        "matched identityType:0 clientid:c resource:TEXT",
        "status (404) took 5 ns for req.method=GET reg.path=/metadata/TEXT req.remote=10.244.0.7",
        "metadata header is not specified, req.method=GET reg.path=/TEXT req.remote=10.244.0.7",
        "clientid mismatch, requested:TEXT available:c",
    ],
)
def test_what_a_pod_asks_for_tells_nothing(text: str, line: str) -> None:
    assert found(here(said(*[line.replace("TEXT", text)] * 3))) == []


@pytest.mark.parametrize("text", TOLD)
def test_what_entra_repeats_of_it_tells_nothing(text: str) -> None:
    asked = f"AADSTS500011: The resource principal named {text} was not found in the tenant."
    line = REFUSED.replace("TEXT", json.dumps(asked)[1:-1])
    assert found(here(said(*[line] * 3))) == []
    assert found(here(said(*[text] * 3))) != []


@pytest.mark.parametrize("text", [BROKEN, NO_IMDS, SKEWED_FOR_NMI])
def test_the_newest_line_is_shown(text: str) -> None:
    lines = tuple(Line(text, "E", ago(seconds)) for seconds in (3600, 90, 60, 30))
    (one,) = [one for row in TABLE.rows for one in row.look(here(Log(NMI, HOME, NMI_POD, "n1", lines)))]
    assert [each.time for each in one.evidence] == [ago(30)]


def test_the_limit_of_a_clock_is_five_minutes() -> None:
    for seconds, skewed in ((299, False), (300, True)):
        beat = (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert bool(found(here(Node=[node(beat=beat)]))) is skewed
