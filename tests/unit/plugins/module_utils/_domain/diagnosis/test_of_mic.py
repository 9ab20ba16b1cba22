# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause that MIC's log, events and lock tell, what is nearly one, and text that is made to look like one."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import azure, of_mic
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import (
    LIKELY,
    POSSIBLE,
    PROVED,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Observed,
    Unread,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import ID, assigned, binding, identity, pod
from ansible_collections.azureops.pod_identity.tests.support.observed_world import (
    MIC_POD,
    SCALE_SET,
    ago,
    lock,
    log,
    program,
    ready,
    told,
    world,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, for_each, worlds_by_name

from . import azure_world

Told = list[tuple[str, str, str]]
MIC_LABEL, IDENTITY = "Deployment kube-system/mic", "AzureIdentity team/i"
POD = pod(owner=("ReplicaSet", "web-1"))
PENDING = [assigned(POD, binding(), identity(), state="Created")]

CLIENT = "compute.VirtualMachineScaleSetsClient"
LINKED = (
    f'{CLIENT}#Update: Failure sending request: StatusCode=403 -- Original Error: Code="LinkedAuthorizationFailed" '
    "Message=\"The client 'c' with object id 'o' has permission to perform action "
    "'Microsoft.Compute/virtualMachineScaleSets/write' on scope '/subscriptions/s/resourceGroups/mc/providers/"
    f"Microsoft.Compute/virtualMachineScaleSets/{SCALE_SET}'; however, it does not have permission to perform action "
    f"'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) '{ID}team-i' or the "
    'linked scope(s) are invalid."'
)
NOT_ALLOWED = (
    f"{CLIENT}#Get: Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned "
    "an error. Status=403 Code=\"AuthorizationFailed\" Message=\"The client 'c' with object id 'o' does not have "
    "authorization to perform action 'Microsoft.Compute/virtualMachineScaleSets/read' over scope '/subscriptions/s'.\""
)
MANY = (
    f'{CLIENT}#Update: Failure sending request: StatusCode=429 -- Original Error: Code="TooManyRequests" '
    'Message="The request is being throttled."'
)
POLICY = (
    f'{CLIENT}#Update: Failure sending request: StatusCode=403 -- Original Error: Code="RequestDisallowedByPolicy" '
    "Message=\"Resource 'aks-pool-1-vmss' was disallowed by policy 'no-identities'.\""
)
FULL = (
    f'{CLIENT}#Update: Failure sending request: StatusCode=409 -- Original Error: Code="TooManyUserAssignedIdentities" '
    'Message="The resource has too many identities."'
)
WAITS = "VMSSGet client throttled, retry after: 2026-01-02 12:10:00.1 +0000 UTC m=+600.1"


def login(body: str, status: int = 400) -> str:
    return (
        f"{CLIENT}#Get: Failure sending request: StatusCode={status} -- Original Error: azure.BearerAuthorizer"
        "#WithAuthorization: Failed to refresh the Token for request to https://management.azure.com/subscriptions/s?"
        f"api-version=2019-12-01: StatusCode={status} -- Original Error: adal: Refresh request failed. Status Code = "
        f"'{status}'. Response body: {body} Endpoint http://169.254.169.254/metadata/identity/oauth2/token"
    )


NO_IDENTITY = login('{"error":"invalid_request","error_description":"Identity not found"}')
NO_SECRET = login('{"error":"invalid_client","error_description":"AADSTS7000222: The provided keys are expired."}', 401)
BY_NMI = login("getting assigned identities for pod default/mic-1 in CREATED state failed after 16 attempts", 404)


def unreached(why: str) -> str:
    return (
        f"{CLIENT}#Get: Failure sending request: StatusCode=0 -- Original Error: "
        f'Get "https://management.azure.com/subscriptions/s": {why}'
    )


def update(error: str, place: str = SCALE_SET) -> str:
    return (
        f"failed to update user-assigned identities on node {place} (add [1], del [0], update[0]), error: failed to "
        f"update identities for {place} in mc, error: {error}"
    )


def reconcile(error: str, place: str = SCALE_SET) -> str:
    return f"failed to update user-assigned identities on node {place}, error: {error}"


def apply(error: str, to: str = "team/b", pod: str = "team/web-1-a") -> str:
    return f"failed to apply binding {to} node n1 for pod {pod}, error: {error}"


def pending(*texts: str, **more: t.Any) -> Observed:
    """MIC has not assigned the one identity, and has logged this."""
    return world(AzureAssignedIdentity=PENDING, logs=(log(MIC, *texts),), **more)


def noted(*events: Event, **more: t.Any) -> Observed:
    """The same in events alone."""
    return world(AzureAssignedIdentity=PENDING, events=events, **more)


def settled(*texts: str, seconds: float = 30, **more: t.Any) -> Observed:
    return world(logs=(log(MIC, *texts, seconds=seconds),), **more)


def event(
    error: str,
    of: str = "AzureIdentityBinding team/b",
    reason: str = "binding apply error",
    by: str = "aadpodidentity.k8s.io",
) -> Event:
    return Event(of, reason, apply(error), by, warning=True, time=ago(9))


def restarted(count: int, seconds: float) -> tuple[t.Any, ...]:
    status = {"restartCount": count, "lastState": {"terminated": {"exitCode": 1, "finishedAt": ago(seconds)}}}
    return program(MIC, ready(MIC_POD, containerStatuses=[status])), program(NMI)


def unlocked(annotations: dict[str, str]) -> Observed:
    return world(Endpoints=[{"metadata": {**lock()["metadata"], "annotations": annotations}}])


LOST = log(MIC, "lost leader lease", previous=True)
AZURE = azure.Azure({}, azure.IdentityInAzure("k", exists=True), "mc")
ON_IDENTITY = (azure_world.IDENTITY, (azure.ASSIGN,), azure.OPERATOR)
NO_ROLE = azure_world.missing(azure_world.rights((azure.CONTRIBUTOR, azure_world.NODES)), ON_IDENTITY)
LACKING = azure_world.azure(azure_world.scale_set(), missing=NO_ROLE)
GRANTED = azure_world.azure(azure_world.scale_set())
UNCARRIED = azure_world.azure(azure.ScaleSet(azure_world.SET, "Succeeded", {}, ()))
NOT_READ = (Unread("azure", "role assignments", "no right", "Reader"),)
TOTALS = ("** stats collected **", "Cloud provider GET: 2s", "Cloud provider PATCH: 3m10.2s", "Total: 3m20s")
FAST = ("Cloud provider PATCH: 12.3ms", "Total: 812.5ms")
WAITED = "Waited for 12.3s due to client-side throttling, not priority and fairness, request: POST:https://10.0.0.1/a"
OLD_WAITED = "Throttling request took 12.3s, request: POST:https://10.0.0.1/a"

GROUPS: Groups[Observed] = {
    ("no", "cause"): {"healthy": world(), "managed mode has no leader": world({"mode": "managed"}, Endpoints=[])},
    ("mic_without_leader", MIC_LABEL, PROVED): {
        "no lock": world(Endpoints=[]),
        "a lock without record": unlocked({}),
        "a holder that is gone": world(Endpoints=[lock("mic-old")]),
        "a holder that hangs": world(Endpoints=[lock(renewed=300)]),
        "a record that is no record": unlocked({"control-plane.alpha.kubernetes.io/leader": "[1]"}),
    },
    ("no", "mic_without_leader"): {
        "locks not read": Observed(world().inventory, {}, (program(MIC),), now=world().now),
        "a holder that is late": world(Endpoints=[lock(renewed=50)]),
        "a long lease": world(Endpoints=[lock(renewed=100, leaseDurationSeconds=30)]),
        "a clock that is ahead": world(Endpoints=[lock(renewed=-90)]),
        "an instance by name": world(
            Endpoints=[lock("one")], components=(program(MIC, arguments=["--leader-election-instance=one"]),)
        ),
        "MIC starts": world(Endpoints=[], components=(program(MIC, ready(MIC_POD, startTime=ago(5))),)),
        "MIC is not Ready": world(Endpoints=[], components=(program(MIC, ready(MIC_POD, conditions=[])),)),
        "the lease was lost once": world(components=restarted(1, 600), logs=(LOST,)),
        "the lease was lost long ago": world(components=restarted(7, 86_400), logs=(LOST,)),
        "restarts of another kind": world(components=restarted(7, 600)),
        "the lease is lost in a forged line": world(
            components=restarted(7, 600), logs=(log(MIC, "x\nlost leader lease", previous=True),)
        ),
    },
    ("mic_without_leader", MIC_LABEL, LIKELY): {
        "the lease is lost often": world(components=restarted(7, 600), logs=(LOST,))
    },
    ("mic_slow", MIC_LABEL, LIKELY): {
        "MIC holds requests back": pending(WAITED),
        "an old MIC holds requests back": pending(OLD_WAITED),
        "long cycles": pending(*TOTALS),
        "cycles that are always long": settled(*TOTALS, *TOTALS, *TOTALS),
    },
    ("no", "mic_slow"): {
        "a short wait": pending(WAITED.replace("12.3s", "1.2s")),
        "waits that are over": settled(WAITED),
        "a long cycle that is over": settled(*TOTALS),
        "short cycles": pending(*FAST, *FAST),
        "a long cycle, then a short one": pending(*TOTALS, *FAST),
        "a wait that is no wait": pending(f"reg.path=/ {WAITED}"),
        "a total that is no total": pending("Total: 9h99999999999s of x", "a Total: 9h"),
    },
    ("mic_throttled_by_azure", MIC_LABEL, LIKELY): {
        "429": pending(update(MANY)),
        "MIC waits as Azure asks": pending(update(WAITS)),
        "429 in an event, and in MIC's log": pending(update(MANY), events=(event(MANY),)),
        "429 in a reconciliation": settled(reconcile(MANY)),
        "429 while it reads": settled(
            "failed to generate identity assignment state, error: failed to get a list of user-assigned identites "
            f"from node {SCALE_SET}, error: failed to get identity resource, error: {WAITS}"
        ),
    },
    ("mic_throttled_by_azure", MIC_LABEL, POSSIBLE): {"429 in an event": noted(event(MANY))},
    ("no", "mic_throttled_by_azure"): {
        "429 in an event, and not in MIC's log": pending("Total: 1.5s", events=(event(MANY),)),
        "429 in an event of somebody else": noted(event(MANY, by="tenant")),
        "429 that is over": settled(update(MANY)),
        "429 in a reconciliation long ago": settled(reconcile(MANY), seconds=7200),
        "429 of a scale set that is not there": pending(update(MANY, "aks-other-1-vmss"), apply(MANY, "team/x")),
        "429 behind a line break": pending(f"pod team/x\n{update(MANY)}"),
    },
    ("mic_refused_by_azure", IDENTITY, LIKELY): {
        "no right at the identity": pending(update(LINKED), apply(LINKED)),
        "no right, in an event": noted(event(LINKED)),
        "no right, without assignments": world(AzureAssignedIdentity=[], logs=(log(MIC, apply(LINKED)),)),
        "no right, and Azure was not all read": pending(update(LINKED), azure=GRANTED, unread=NOT_READ),
        "a node without provider id": pending(update(LINKED, "n1"), Node=[{"metadata": {"name": "n1"}}]),
        "a scale set by the names of nodes": pending(
            update(LINKED),
            Node=[{"metadata": {"name": f"{SCALE_SET}000001"}}],
            Pod=[pod(owner=("ReplicaSet", "web-1"), spec={"nodeName": f"{SCALE_SET}000001"})],
        ),
    },
    ("mic_refused_by_azure", MIC_LABEL, LIKELY): {
        "no right at what no object names": pending(apply(LINKED.replace("team-i", "other"))),
        "no right at the scale set": pending(update(NOT_ALLOWED)),
        "a policy": pending(update(POLICY)),
        "a policy, and Azure was looked at": pending(update(POLICY), azure=GRANTED),
        "too many identities": pending(update(FULL), azure=GRANTED),
        "a code that nobody knows": pending(update(POLICY.replace("RequestDisallowedByPolicy", "QuotaOfMoon"))),
    },
    ("mic_refused_by_azure", IDENTITY, POSSIBLE): {
        "no right, and Azure shows the roles now": pending(update(LINKED), azure=GRANTED),
        "a conflict, which passes": pending(update(LINKED.replace("LinkedAuthorizationFailed", "Conflict"))),
    },
    ("no", "mic_refused_by_azure"): {
        "no right that is over": settled(update(LINKED), apply(LINKED)),
        "no right, and Azure tells of the role": pending(update(LINKED), azure=LACKING),
        "no right, and Azure tells of the identity, not all read": pending(
            update(LINKED),
            azure=azure_world.azure(azure_world.scale_set(), identities=(azure_world.gone(),)),
            unread=NOT_READ,
        ),
        "no right of a pod that is not there": pending(apply(LINKED, pod="team/other")),
        "no right through a binding that is not there": pending(apply(LINKED, to="team/other")),
        "no right, in an event of another object": noted(event(LINKED, "AzureIdentityBinding team/c")),
        "no right, in an event of another kind": noted(event(LINKED, reason="binding applied")),
        "no right, in an event of somebody else": noted(event(LINKED, by="tenant")),
        "no right, and MIC is gone": noted(event(LINKED), components=(program(NMI),)),
        "no right, said by NMI": world(AzureAssignedIdentity=PENDING, logs=(log(NMI, update(LINKED)),)),
    },
    ("mic_cannot_reach_azure", MIC_LABEL, LIKELY): {
        "no DNS": pending(update(unreached("dial tcp: lookup management.azure.com on 10.0.0.10:53: no such host"))),
        "a firewall": settled(reconcile(unreached("dial tcp 20.61.1.1:443: i/o timeout"))),
        "a firewall, and Azure was looked at": pending(
            update(unreached("dial tcp 20.61.1.1:443: connect: connection refused")), azure=GRANTED
        ),
        "an inspecting proxy": pending(update(unreached("x509: certificate signed by unknown authority"))),
        "a dead proxy": pending(update(unreached("proxyconnect tcp: dial tcp 10.1.1.1:3128: i/o timeout"))),
    },
    ("mic_cannot_reach_azure", MIC_LABEL, POSSIBLE): {
        "no DNS, in an event": noted(event(unreached("dial tcp: lookup management.azure.com: no such host")))
    },
    ("no", "mic_cannot_reach_azure"): {
        "no DNS that is over": settled(update(unreached("dial tcp: lookup management.azure.com: no such host"))),
        "the metadata service is another matter": pending(
            update(unreached("dial tcp 169.254.169.254:80: i/o timeout"))
        ),
    },
    ("mic_cannot_login", MIC_LABEL, LIKELY): {
        "no identity for MIC": pending(update(NO_IDENTITY)),
        "no secret for MIC": pending(update(NO_SECRET), azure=AZURE),
        "no identity for MIC in a reconciliation": settled(reconcile(NO_IDENTITY)),
    },
    ("mic_cannot_login", MIC_LABEL, POSSIBLE): {
        "no identity for MIC in an event": noted(event(NO_IDENTITY)),
        "no identity for MIC, and Azure shows it now": pending(update(NO_IDENTITY), azure=GRANTED),
    },
    ("no", "mic_cannot_login"): {
        "no identity for MIC, and Azure tells it": pending(update(NO_IDENTITY), azure=UNCARRIED),
        "no identity for MIC that is over": settled(update(NO_IDENTITY)),
        "NMI caught MIC's request": pending(update(BY_NMI)),
    },
}
CASES = worlds_by_name(GROUPS)


@pytest.mark.parametrize("observed, expected", CASES.values(), ids=CASES)
def test_causes(observed: Observed, expected: Told) -> None:
    assert told(of_mic.TABLE, observed) == expected


def test_every_cause_has_cases() -> None:
    assert codes(CASES) == {row.code for row in of_mic.TABLE.rows}


def one(observed: Observed) -> t.Any:
    (found,) = [each for row in of_mic.TABLE.rows for each in row.look(observed)]
    return found


@for_each(
    (
        pending(apply(LINKED)),
        "Azure refuses what MIC asks for with LinkedAuthorizationFailed (Microsoft.ManagedIdentity/"
        "userAssignedIdentities/assign/action): MIC's identity may not use what the update names, or that does not "
        "exist any more.",
        f"az identity show --ids {ID}team-i",
    ),
    (
        pending(update(NO_SECRET)),
        "MIC gets no token for itself: Microsoft Entra ID answers AADSTS7000222.",
        f"az vmss identity show --resource-group mc --name {SCALE_SET}",
    ),
    (
        pending(update(MANY), apply(MANY), update(WAITS)),
        "Azure refused MIC 1 request, because it was asked too often; MIC asks it nothing until 2026-01-02T12:10:00Z.",
        "",
    ),
    (
        pending(update(WAITS)),
        "Azure was asked too often; MIC asks it nothing until 2026-01-02T12:10:00Z.",
        "",
    ),
    (
        pending(update(POLICY)),
        "Azure refuses what MIC asks for with RequestDisallowedByPolicy: a policy forbids it.",
        "",
    ),
    (
        pending(update(POLICY.replace("RequestDisallowedByPolicy", "QuotaOfMoon"))),
        "Azure refuses what MIC asks for with QuotaOfMoon: it says 'Resource 'aks-pool-1-vmss' was disallowed "
        "by policy 'no-identities''.",
        "",
    ),
    (
        world(Endpoints=[lock("mic-of-others")]),
        "The lock is held by 'mic-of-others', which is no pod of MIC.",
        "kubectl get pods --all-namespaces --field-selector metadata.name=mic-of-others",
    ),
    (
        pending(WAITED, components=(program(MIC, arguments=["--clientQps=7"]),)),
        "MIC held back 1 request to the API server for up to 12 seconds, because it allows itself 7 a second.",
        "helm upgrade pi aad-pod-identity --repo "
        "https://raw.githubusercontent.com/Azure/aad-pod-identity/master/charts --version 4.1.18 "
        "--namespace kube-system --reset-then-reuse-values --set mic.clientQps=50",
    ),
    (
        pending(*TOTALS),
        "MIC's cycles take 200 seconds, with up to 190 in Cloud provider PATCH; a pod that starts meanwhile waits "
        "for the next one.",
        "",
    ),
    (
        world(Endpoints=[lock(renewed=300)]),
        f"{MIC_POD!r} holds the lock, but has not renewed it for 300 seconds.",
        "kubectl --namespace kube-system rollout restart deployment mic",
    ),
)
def test_sentences_and_commands(observed: Observed, cause: str, command: str) -> None:
    assert (one(observed).cause, one(observed).command) == (cause, command)


@for_each(
    ("dial tcp: lookup management.azure.com: no such host", "its name cannot be resolved.", "Mend DNS"),
    ("x509: certificate signed by unknown authority", "is not trusted.", "inspects TLS"),
    ("proxyconnect tcp: dial tcp 10.1.1.1:3128: i/o timeout", "cannot be reached.", "Correct HTTPS_PROXY"),
    ("net/http: TLS handshake timeout", "refused, cut or not answered.", "Allow egress"),
)
def test_why_azure_is_not_reached_and_what_mends_it(why: str, told: str, remedy: str) -> None:
    found = one(pending(update(unreached(why))))
    assert found.cause.startswith("MIC does not reach management.azure.com: ") and found.cause.endswith(told)
    assert remedy in found.remedy


def test_it_tells_who_waits() -> None:
    assert one(pending(apply(LINKED))).concerns == {
        "AzureAssignedIdentity web-1-a-team-i",
        "AzureAssignedIdentity default/web-1-a-team-i",
        "Pod team/web-1-a",
        IDENTITY,
    }


def test_lines_of_one_request_count_once_and_two_cycles_twice() -> None:
    logs = (log(MIC, update(MANY), apply(MANY), seconds=300), log(MIC, update(MANY), apply(MANY), seconds=120))
    observed = world(AzureAssignedIdentity=PENDING, logs=logs)
    assert one(observed).cause == "Azure refused MIC 2 requests, because it was asked too often."


@for_each(
    (POLICY, "Exempt the node resource group from the policy"),
    (FULL, "Detach identities that nobody uses any more"),
    (LINKED, "Wait up to half an hour: Azure shows the roles"),
)
def test_the_remedy_is_that_of_the_code(error: str, begins: str) -> None:
    assert one(pending(update(error), azure=GRANTED)).remedy.startswith(begins)


def test_a_resource_id_is_quoted_in_a_command() -> None:
    hostile = identity(resourceID=f"{ID}team-i")
    observed = pending(apply(LINKED), AzureIdentity=[hostile])
    assert one(observed).command == f"az identity show --ids {ID}team-i"
    # Of a longer id only the part that Azure can have is compared, so that it is never taken for the one in the log.
    observed = pending(apply(LINKED), AzureIdentity=[identity(resourceID=f"{ID}team-i; reboot")])
    assert one(observed).object == MIC_LABEL
    assert one(observed).command == ""


def test_many_pods_that_wait_take_no_time() -> None:
    pods = [pod(f"p{number}") for number in range(3000)]
    texts = [apply(MANY, pod=f"team/p{number}") for number in range(2000)] + [reconcile(MANY, "other")] * 1000
    observed = world(Pod=pods, Deployment=[], ReplicaSet=[], AzureAssignedIdentity=[], logs=(log(MIC, *texts),))
    before = time.process_time()
    assert one(observed).cause == "Azure refused MIC 1 request, because it was asked too often."
    assert time.process_time() - before < 10


@pytest.mark.parametrize("piece", ["failed to apply binding ", "a/", 'Code="', "/subscriptions/", "1", "\n", " "])
def test_long_hostile_lines_take_no_time(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    observed = pending(text, apply(text), update(text), f"Total: {text}", f"Waited for {text}")
    before = time.process_time()
    assert told(of_mic.TABLE, observed) == []
    assert time.process_time() - before < 20
