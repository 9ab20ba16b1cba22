# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause that Azure tells by one thing that is wrong, and beside each what is almost that."""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.permissions import (
    EVERYONE,
    Block,
    Denial,
    Lock,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import diagnose, of_azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.azure import (
    ASSIGN,
    CONTRIBUTOR,
    JOIN,
    NETWORK,
    OPERATOR,
    Azure,
    IdentityInAzure,
    Missing,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import Suspicion
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.tests.unit.cluster_objects import (
    ID,
    Raw,
    assigned,
    binding,
    healthy,
    identity,
    pod,
)
from ansible_collections.azureops.pod_identity.tests.unit.plugins.module_utils._domain.diagnosis.azure_world import (
    CLUSTER,
    IDENTITY,
    KUBELET,
    NODES,
    PRINCIPAL,
    SET,
    SUBNET,
    azure,
    gone,
    missing,
    rights,
    scale_set,
    there,
)
from ansible_collections.azureops.pod_identity.tests.unit.plugins.module_utils._domain.diagnosis.observed_world import (
    PROVIDER,
    ago,
    log,
    node,
    program,
    told,
    world,
)

NAME = SET.rpartition("/")[2]
THE_SET, THE_IDENTITY = f"scale set {NAME}", "AzureIdentity team/i"
SETS = "Microsoft.Compute/virtualMachineScaleSets"
ON_SET = (SET, (f"{SETS}/read", f"{SETS}/write"), CONTRIBUTOR)
ON_IDENTITY, ON_SUBNET = (IDENTITY, (ASSIGN,), OPERATOR), (SUBNET, (JOIN,), NETWORK)
OTHER = f"{ID}team-j"
ENOUGH = ((CONTRIBUTOR, NODES), (OPERATOR, "/subscriptions/s/resourceGroups/g"))
LOCK = Lock("keep", NODES, "ReadOnly")
DENIAL = Denial("lockdown", NODES, (Block(("*/write",)),), frozenset({EVERYONE}), frozenset())
POD = healthy()["Pod"][0]
PENDING: dict[str, t.Any] = {"AzureAssignedIdentity": [assigned(POD, binding(), identity(), "Created")]}
TWO_PODS = [POD, pod("web-2", "y")]
TWO: dict[str, t.Any] = {
    "AzureIdentity": [identity(), identity("j")],
    "AzureIdentityBinding": [binding(), binding("c", "j", "y")],
    "Pod": TWO_PODS,
    "AzureAssignedIdentity": [
        assigned(TWO_PODS[0], binding(), identity(), "Created"),
        assigned(TWO_PODS[1], binding("c", "j", "y"), identity("j"), "Created"),
    ],
}
LINKED = (
    'failed to update user-assigned identities on node x, error: Code="LinkedAuthorizationFailed" Message="The client '
    "has permission to perform action 'Microsoft.Compute/virtualMachineScaleSets/write' on scope 'y'; however, it does "
    "not have permission to perform action '{}' on the linked scope(s) '{}' or the linked scope(s) are invalid.\""
)


def lacking(*roles: tuple[str, str], at: t.Sequence[t.Any] = (), **barriers: t.Any) -> tuple[Missing, ...]:
    return missing(rights(*roles, **barriers), *(at or (ON_SET, ON_IDENTITY)))


def made(seconds: float) -> Raw:
    """An assignment that has been Created for so long."""
    one = PENDING["AzureAssignedIdentity"][0]
    return {**one, "metadata": {**one["metadata"], "creationTimestamp": ago(seconds)}}


def old(version: str) -> tuple[Component, ...]:
    return program(MIC, version=version), program(NMI, version=version)


def addon(state: str, **error: str) -> Raw:
    entry = {
        "name": "i",
        "namespace": "team",
        "identity": {"resourceId": IDENTITY, "clientId": "c", "objectId": "o"},
        "provisioningState": state,
        "provisioningInfo": {"error": {"error": error}} if error else {},
    }
    profile = {"enabled": True, "userAssignedIdentities": [entry]}
    return {**CLUSTER, "properties": {**CLUSTER["properties"], "podIdentityProfile": profile}}


def many(count: int, carried: int = 0, **more: t.Any) -> Observed:
    """So many pods with an identity each, of which the scale set carries some."""
    pods = [pod(f"p{one}", f"s{one}") for one in range(count)]
    ids = [identity(f"i{one}") for one in range(count)]
    bindings = [binding(f"b{one}", f"i{one}", f"s{one}") for one in range(count)]
    states = ["Assigned" if one < carried else "Created" for one in range(count)]
    lists: dict[str, t.Any] = {
        "Pod": pods,
        "Deployment": [],
        "ReplicaSet": [],
        "AzureIdentity": ids,
        "AzureIdentityBinding": bindings,
        "AzureAssignedIdentity": [assigned(*each) for each in zip(pods, bindings, ids, states)],
    }
    on = {f"team_i{one}": f"client-team-i{one}" for one in range(carried)}
    named = [there(f"{ID}team-i{one}", f"client-team-i{one}") for one in range(count)]
    return world(**lists, azure=azure(scale_set(**on), identities=named), **more)


EMPTY = scale_set()
CASES: dict[str, tuple[Observed, list[tuple[str, str, str]]]] = {
    "all is well": (world(azure=azure()), []),
    "Azure was not looked at": (world(), []),
    "nothing of Azure could be read": (world(azure=Azure({}, IdentityInAzure("", True), ""), **PENDING), []),
    # permissions
    "no role on the identity": (
        world(azure=azure(EMPTY, missing=lacking(ENOUGH[0])), **PENDING),
        [("role_missing_on_identity", f"identity {IDENTITY}", "proved")],
    ),
    "Reader is no help": (
        world(azure=azure(EMPTY, missing=lacking(ENOUGH[0], ("Reader", IDENTITY))), **PENDING),
        [("role_missing_on_identity", f"identity {IDENTITY}", "proved")],
    ),
    "the role on another identity": (
        world(azure=azure(EMPTY, missing=lacking(ENOUGH[0], (OPERATOR, OTHER))), **PENDING),
        [("role_missing_on_identity", f"identity {IDENTITY}", "proved")],
    ),
    "the role, inherited": (
        world(azure=azure(EMPTY, missing=lacking(("Contributor", "/subscriptions/s"))), **PENDING),
        [],
    ),
    "the role is missing, and nothing needs it now": (
        world(azure=azure(missing=lacking(ENOUGH[0]))),
        [("assigned_but_not_again", f"identity {IDENTITY}", "possible")],
    ),
    "the role is missing on what no pod needs": (
        world(Pod=[], AzureAssignedIdentity=[], azure=azure(EMPTY, missing=lacking(ENOUGH[0]))),
        [],
    ),
    "the role is missing in managed mode": (world({"mode": "managed"}, azure=azure(missing=())), []),
    "no role on the nodes": (
        world(azure=azure(EMPTY, missing=lacking(ENOUGH[1])), **PENDING),
        [("role_missing_on_node_resource_group", "resource group mc", "proved")],
    ),
    "only Reader on the nodes": (
        world(azure=azure(EMPTY, missing=lacking(ENOUGH[1], ("Reader", NODES))), **PENDING),
        [("role_missing_on_node_resource_group", "resource group mc", "proved")],
    ),
    "no role on the nodes, and nothing is needed": (
        world(azure=azure(missing=lacking(ENOUGH[1]))),
        [("assigned_but_not_again", f"{THE_SET.rpartition(' ')[0]} {SET}", "possible")],
    ),
    "neither role": (
        world(azure=azure(EMPTY, missing=lacking()), **PENDING),
        [
            ("role_missing_on_identity", f"identity {IDENTITY}", "proved"),
            ("role_missing_on_node_resource_group", "resource group mc", "proved"),
        ],
    ),
    "no role on the subnet, and MIC says so": (
        world(
            azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])),
            logs=(log(MIC, LINKED.format(JOIN, SUBNET)),),
            **PENDING,
        ),
        [("role_missing_on_network", f"subnet {SUBNET}", "likely")],
    ),
    "MIC says so of another subnet": (
        world(
            azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])),
            logs=(log(MIC, LINKED.format(JOIN, f"{SUBNET}-2")),),
            **PENDING,
        ),
        [],
    ),
    "NMI says so": (
        world(
            azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])),
            logs=(log(NMI, LINKED.format(JOIN, SUBNET)),),
            **PENDING,
        ),
        [],
    ),
    "no role on the subnet, MIC writes it": (
        world(azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])), components=old("v1.5.5"), **PENDING),
        [("role_missing_on_network", f"subnet {SUBNET}", "possible")],
    ),
    "no role on the subnet, MIC patches": (
        world(azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])), components=old("v1.6.0"), **PENDING),
        [],
    ),
    "denied": (
        world(azure=azure(EMPTY, missing=lacking(*ENOUGH, denials=(DENIAL,))), **PENDING),
        [("denied_by_assignment", "deny assignment lockdown", "proved")],
    ),
    "denied to others": (
        world(
            azure=azure(EMPTY, missing=lacking(*ENOUGH, denials=(replace(DENIAL, excluded=frozenset({PRINCIPAL})),))),
            **PENDING,
        ),
        [],
    ),
    "denied, and nothing is needed": (
        world(azure=azure(missing=lacking(*ENOUGH, denials=(DENIAL,)))),
        [("assigned_but_not_again", f"scale set {SET}", "possible")],
    ),
    "locked": (
        world(azure=azure(EMPTY, missing=lacking(*ENOUGH, locks=(LOCK,))), **PENDING),
        [("locked", "lock keep", "proved")],
    ),
    "locked against deletion": (
        world(azure=azure(EMPTY, missing=lacking(*ENOUGH, locks=(replace(LOCK, level="CanNotDelete"),))), **PENDING),
        [],
    ),
    # identities
    "the identity is gone": (
        world(azure=azure(EMPTY, identities=[gone()]), **PENDING),
        [("identity_gone", THE_IDENTITY, "proved")],
    ),
    "the identity is gone, and left on the scale set": (
        world(azure=azure(scale_set(IDENTITY), identities=[gone()])),
        [("identity_gone", THE_IDENTITY, "proved")],
    ),
    "an identity that nobody needs is gone": (
        world(azure=azure(identities=[there(), gone(OTHER)]), AzureIdentity=[identity(), identity("j")]),
        [],
    ),
    "it could not be looked up": (world(azure=azure(EMPTY, identities=[]), **PENDING), []),
    "another client id": (
        world(azure=azure(identities=[there(client_id="new")])),
        [("identity_recreated", THE_IDENTITY, "proved")],
    ),
    "the client id in capitals": (world(azure=azure(identities=[there(client_id="CLIENT-team-i")])), []),
    "made again, and the scale set has the old one": (
        world(azure=azure(scale_set(IDENTITY))),
        [("identity_recreated", THE_SET, "proved")],
    ),
    "just being attached": (world(azure=azure(scale_set(IDENTITY, state="Updating"))), []),
    "of another tenant": (
        world(azure=azure(EMPTY, identities=[there(tenant_id="tenant-b")]), **PENDING),
        [("identity_of_other_tenant", THE_IDENTITY, "proved")],
    ),
    "its subscription is of another tenant": (
        world(azure=azure(EMPTY, identities=[there(client_id="", tenant_id="tenant-b")]), **PENDING),
        [("identity_of_other_tenant", THE_IDENTITY, "proved")],
    ),
    "the tenant in capitals": (world(azure=azure(identities=[there(tenant_id="TENANT-A")])), []),
    "the tenant of the cluster is unknown": (
        world(azure=replace(azure(identities=[there(tenant_id="tenant-b")]), tenant_id="")),
        [],
    ),
    "a dead one beside, and MIC names it": (
        world(
            azure=azure(EMPTY, identities=[there(), gone(OTHER)]),
            logs=(log(MIC, LINKED.format(ASSIGN, f"{IDENTITY}-2,{OTHER.lower()}")),),
            **TWO,
        ),
        [("identity_gone", "AzureIdentity team/j", "proved"), ("dead_identity_blocks_others", THE_SET, "likely")],
    ),
    "a dead one beside, by the state alone": (
        world(azure=azure(EMPTY, identities=[there(), gone(OTHER)]), **TWO),
        [("identity_gone", "AzureIdentity team/j", "proved"), ("dead_identity_blocks_others", THE_SET, "possible")],
    ),
    "a dead one is left on the scale set": (
        world(
            azure=azure(scale_set(OTHER)),
            events=(
                Event(
                    "AzureIdentityBinding team/b",
                    "binding apply error",
                    f"FailedIdentityOperation: '{OTHER}' was not found",
                    "aadpodidentity.k8s.io",
                ),
            ),
            **PENDING,
        ),
        [("dead_identity_blocks_others", THE_SET, "likely"), ("ghost_on_scale_set", THE_SET, "proved")],
    ),
    "a dead one is left on the scale set, says an event alone": (
        world(
            azure=azure(scale_set(OTHER)),
            logs=(log(MIC, "Total: 1.5s"),),
            events=(
                Event(
                    "AzureIdentityBinding team/b",
                    "binding apply error",
                    f"FailedIdentityOperation: '{OTHER}' was not found",
                    "aadpodidentity.k8s.io",
                ),
            ),
            **PENDING,
        ),
        [("dead_identity_blocks_others", THE_SET, "possible"), ("ghost_on_scale_set", THE_SET, "proved")],
    ),
    "a dead one beside, and the other lacks its role": (
        world(
            azure=azure(EMPTY, identities=[there(), gone(OTHER)], missing=lacking(ENOUGH[0])),
            logs=(log(MIC, LINKED.format(ASSIGN, f"{IDENTITY},{OTHER}")),),
            **TWO,
        ),
        [
            ("role_missing_on_identity", f"identity {IDENTITY}", "proved"),
            ("identity_gone", "AzureIdentity team/j", "proved"),
        ],
    ),
    "a dead one beside, and the other is there": (
        world(azure=azure(identities=[there(), gone(OTHER)]), **TWO),
        [("identity_gone", "AzureIdentity team/j", "proved")],
    ),
    # scale sets
    "assigned, and not there": (world(azure=azure(EMPTY)), [("identity_not_on_scale_set", THE_SET, "proved")]),
    "assigned, and not there yet": (
        world(azure=azure(scale_set(state="Updating"))),
        [("identity_not_on_scale_set", THE_SET, "likely"), ("scale_set_busy", THE_SET, "possible")],
    ),
    "not assigned, and not there": (world(azure=azure(EMPTY), **PENDING), []),
    "managed mode, and not there": (
        world({"mode": "managed"}, azure=azure(EMPTY), AzureAssignedIdentity=[]),
        [("identity_not_on_scale_set", THE_SET, "proved")],
    ),
    "managed mode, and there": (world({"mode": "managed"}, azure=azure(), AzureAssignedIdentity=[]), []),
    "managed mode, and excepted": (
        world(
            {"mode": "managed"},
            azure=azure(EMPTY),
            AzureAssignedIdentity=[],
            AzurePodIdentityException=[
                {"metadata": {"name": "e", "namespace": "team"}, "spec": {"podLabels": {"app": "web"}}}
            ],
        ),
        [],
    ),
    "on another scale set": (
        world(azure=azure(EMPTY, scale_set(place=f"{SET}2", team_i="client-team-i"))),
        [("identity_not_on_scale_set", THE_SET, "proved")],
    ),
    "a ghost": (
        world(azure=azure(scale_set(OTHER, team_i="client-team-i"))),
        [("ghost_on_scale_set", THE_SET, "proved")],
    ),
    "a stranger with a client id": (world(azure=azure(scale_set(team_i="client-team-i", team_j="some"))), []),
    "the identity of the nodes is deleted": (
        world(azure=azure(kubelet=IdentityInAzure(KUBELET, False, "of-nodes", PRINCIPAL))),
        [("kubelet_identity_gone", f"identity {KUBELET}", "proved")],
    ),
    "the identity of the nodes is made again": (
        world(azure=azure(kubelet=IdentityInAzure(KUBELET, True, "before", PRINCIPAL))),
        [("kubelet_identity_gone", f"identity {KUBELET}", "proved")],
    ),
    "the identity of the nodes is taken off": (
        world(azure=azure(replace(scale_set(), carried={IDENTITY.lower(): "client-team-i"}))),
        [("kubelet_identity_gone", THE_SET, "proved")],
    ),
    "the identity of the nodes is a ghost": (
        world(azure=azure(replace(scale_set(), carried={IDENTITY.lower(): "client-team-i", KUBELET.lower(): ""}))),
        [("kubelet_identity_gone", THE_SET, "proved")],
    ),
    "a scale set without nodes": (
        world(azure=azure(scale_set(team_i="client-team-i"), replace(EMPTY, id=f"{SET}2", carried={}))),
        [],
    ),
    "pods use the identity of the nodes": (
        world(
            azure=azure(),
            AzureIdentity=[identity(resourceID=KUBELET, clientID="of-nodes")],
            AzureAssignedIdentity=[assigned(POD, binding(), identity(resourceID=KUBELET, clientID="of-nodes"))],
        ),
        [("kubelet_identity_used_by_pods", THE_IDENTITY, "possible")],
    ),
    "MIC leaves it alone": (
        world(
            azure=azure(),
            AzureIdentity=[identity(resourceID=KUBELET, clientID="of-nodes")],
            components=(program(MIC, arguments=["--immutable-user-msis=x,OF-nodes"]), program(NMI)),
        ),
        [],
    ),
    "MIC would, but for capitals": (
        world(
            azure=azure(),
            AzureIdentity=[identity(resourceID=KUBELET, clientID="OF-nodes")],
            components=(program(MIC, arguments=["--immutable-user-msis=OF-nodes"]), program(NMI)),
        ),
        [("kubelet_identity_used_by_pods", THE_IDENTITY, "possible")],
    ),
    "151 for an old MIC": (
        many(151, components=old("v1.6.3")),
        [("too_many_identities", "Deployment kube-system/mic", "possible")],
    ),
    "151 for an old MIC, and it says so": (
        many(151, components=old("v1.6.3"), logs=(log(MIC, "Number '151' Assign exceed limit '150' in one request"),)),
        [("too_many_identities", "Deployment kube-system/mic", "likely")],
    ),
    "150 for an old MIC": (many(150, components=old("v1.6.3")), []),
    "150 for an old MIC, and one is there": (many(151, 1, components=old("v1.6.3")), []),
    "150 for a MIC that writes those that are there, too": (
        many(150, 1, components=old("v1.5.5")),
        [("too_many_identities", "Deployment kube-system/mic", "possible")],
    ),
    "151 for a new MIC": (many(151, components=old("v1.7.0")), []),
    "151, all of them there": (many(151, 151, components=old("v1.5.5")), []),
    "an old line of a log": (
        many(3, components=old("v1.6.3"), logs=(log(MIC, "Number '151' Assign exceed limit '150' in one request"),)),
        [],
    ),
    "failed": (
        world(azure=azure(scale_set(state="Failed", team_i="client-team-i"))),
        [("scale_set_failed", THE_SET, "proved")],
    ),
    "busy, and waited for": (
        world(azure=azure(scale_set(state="Updating")), **PENDING),
        [("scale_set_busy", THE_SET, "possible")],
    ),
    "busy, and waited for since long": (
        world(azure=azure(scale_set(state="Updating")), AzureAssignedIdentity=[made(181)]),
        [("scale_set_busy", THE_SET, "possible")],
    ),
    "busy, and waited for a moment": (
        world(azure=azure(scale_set(state="Updating")), AzureAssignedIdentity=[made(179)]),
        [],
    ),
    "busy, and a pod just began": (
        world(
            azure=azure(scale_set(state="Updating")),
            AzureAssignedIdentity=[],
            Pod=[{**POD, "metadata": {**POD["metadata"], "creationTimestamp": ago(20)}}],
        ),
        [],
    ),
    "busy, and nobody waits": (world(azure=azure(scale_set(state="Updating", team_i="client-team-i"))), []),
    "the add-on failed": (
        world(
            {"mode": "managed"}, azure=azure(cluster=addon("Failed", code="X", message="no")), AzureAssignedIdentity=[]
        ),
        [("addon_failed", "entry team/i of the add-on", "proved")],
    ),
    "the add-on works": (
        world({"mode": "managed"}, azure=azure(cluster=addon("Assigned")), AzureAssignedIdentity=[]),
        [],
    ),
    "the add-on is at it": (
        world({"mode": "managed"}, azure=azure(cluster=addon("Updating")), AzureAssignedIdentity=[]),
        [],
    ),
    "nodes elsewhere": (
        world(
            azure=azure(EMPTY, replace(EMPTY, id=SET.replace("/mc/", "/mine/"))),
            **PENDING,
            Node=[node(provider=PROVIDER.replace("/mc/", "/mine/"))],
        ),
        [("nodes_elsewhere", f"machine {SET.replace('/mc/', '/mine/')}", "proved")],
    ),
    "the group in capitals": (
        world(azure=azure(EMPTY), **PENDING, Node=[node(provider=PROVIDER.replace("/mc/", "/MC/"))]),
        [],
    ),
    "nodes elsewhere in managed mode": (
        world(
            {"mode": "managed"},
            azure=azure(scale_set(place=SET.replace("/mc/", "/mine/"), team_i="client-team-i")),
            AzureAssignedIdentity=[],
            Node=[node(provider=PROVIDER.replace("/mc/", "/mine/"))],
        ),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_causes(name: str) -> None:
    observed, expected = CASES[name]
    assert sorted(told(of_azure.TABLE, observed)) == sorted(expected)


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_names_what_it_is_about(name: str) -> None:
    """Which it is read without: beside others, and as the one line of a run that failed."""
    for row in of_azure.TABLE.rows:
        for one in row.look(CASES[name][0]):
            assert not re.match(r"Its? ", one.cause) and not re.search(r" (?:on it|there)[.:]", one.cause), one.cause


def causes(observed: Observed) -> dict[str, Suspicion]:
    return {row.code: one for row in of_azure.TABLE.rows for one in row.look(observed)}


def test_every_cause_is_told_once_at_least() -> None:
    found = {code for dummy, expected in CASES.values() for code, dummy_object, dummy_certainty in expected}
    assert found == {row.code for row in of_azure.TABLE.rows}


def test_it_explains_what_is_seen() -> None:
    """A pod's diagnosis has the cause first, and the assignment that does not come because of it."""
    observed = world(azure=azure(EMPTY, missing=lacking(ENOUGH[0])), **PENDING)
    diagnosis = diagnose.diagnose(observed, diagnose.Scope("team", pod="web-1-a"))
    assert diagnosis.verdict == "broken"
    assert diagnosis.causes[0].code == "role_missing_on_identity"
    (seen,) = [one for one in diagnosis.causes if one.code == "assignment_pending"]
    assert seen.because == ("role_missing_on_identity",)
    other = world(
        azure=azure(EMPTY, missing=lacking(ENOUGH[0])), **{**PENDING, "Pod": [*healthy()["Pod"], pod("other", "")]}
    )
    assert not [
        one.code
        for one in diagnose.diagnose(other, diagnose.Scope("team", pod="other")).causes
        if one.code == "role_missing_on_identity"
    ]


def test_who_logged_it_tells_the_causes_of_identity_not_found_apart() -> None:
    """The same text of MIC and of NMI, and Azure's state beside it; the text alone is no cause."""
    text = 'Refresh request failed. Status Code = \'400\'. {"error_description":"Identity not found"} pod: team/web-1-a'
    logs = (log(MIC, text), log(NMI, text))
    assert causes(world(azure=azure(), logs=logs)) == {}
    off = azure(replace(scale_set(), carried={IDENTITY.lower(): "client-team-i"}))
    by_state = {
        "kubelet_identity_gone": (off, "log of Pod kube-system/mic-5d-a"),
        "identity_recreated": (azure(scale_set(IDENTITY)), "log of Pod kube-system/nmi-a"),
        "identity_not_on_scale_set": (azure(EMPTY), "log of Pod kube-system/nmi-a"),
    }
    for code, (state, source) in by_state.items():
        found = causes(world(azure=state, logs=logs))
        assert list(found) == [code]
        assert [each.source for each in found[code].evidence if each.source.startswith("log")] == [source]


def test_what_nmi_says_of_a_pod_is_not_told_of_one_whose_name_is_a_part_of_its_name() -> None:
    logs = (log(NMI, "Identity not found, pod: team/db-web-1-a", "Identity not found, pod: team/web-1-a."),)
    (found,) = causes(world(azure=azure(EMPTY), logs=logs)).values()
    said = [each.text for each in found.evidence if each.source.startswith("log")]
    assert said == ["Identity not found, pod: team/web-1-a."]


def test_the_same_refusal_three_times() -> None:
    """LinkedAuthorizationFailed: the role, a dead identity, or an old MIC that writes the network too."""
    assign, join = log(MIC, LINKED.format(ASSIGN, f"{IDENTITY},{OTHER}")), log(MIC, LINKED.format(JOIN, SUBNET))
    assert causes(world(azure=azure(EMPTY), logs=(assign, join), **PENDING)) == {}
    role = causes(world(azure=azure(EMPTY, missing=lacking(ENOUGH[0])), logs=(assign,), **PENDING))
    assert list(role) == ["role_missing_on_identity"]
    dead = causes(world(azure=azure(EMPTY, identities=[there(), gone(OTHER)]), logs=(assign,), **TWO))
    assert list(dead) == ["identity_gone", "dead_identity_blocks_others"]
    network = causes(world(azure=azure(EMPTY, missing=lacking(at=[ON_SUBNET])), logs=(join,), **PENDING))
    assert list(network) == ["role_missing_on_network"]
    for found in (role, dead, network):
        one = found[list(found)[-1]]
        assert [each for each in one.evidence if each.source == "log of Pod kube-system/mic-5d-a"]


def test_what_a_tenant_wrote_is_no_evidence() -> None:
    forged = Event("AzureIdentityBinding team/b", "x", LINKED.format(ASSIGN, IDENTITY), "somebody")
    (one,) = causes(world(azure=azure(EMPTY, missing=lacking(ENOUGH[0])), events=(forged,), **PENDING)).values()
    assert [each.source for each in one.evidence] == [f"Azure, role assignments at {IDENTITY}"]


COMMANDS = {
    "no role on the identity": f"az role assignment create --assignee-object-id {PRINCIPAL} --assignee-principal-type "
    f"ServicePrincipal --role 'Managed Identity Operator' --scope {IDENTITY}",
    "no role on the nodes": f"az role assignment create --assignee-object-id {PRINCIPAL} --assignee-principal-type "
    f"ServicePrincipal --role 'Virtual Machine Contributor' --scope {NODES}",
    "locked": f"az lock delete --ids {NODES}/providers/Microsoft.Authorization/locks/keep",
    "the identity is gone": "az identity create --subscription s --resource-group g --name team-i",
    "another client id": "kubectl --namespace team patch azureidentity i --type merge --patch "
    """'{"spec":{"clientID":"new"}}'""",
    "assigned, and not there": f"az vmss identity assign --subscription s --resource-group mc --name {NAME} "
    f"--identities {IDENTITY.lower()}",
    "a ghost": f"az vmss identity remove --subscription s --resource-group mc --name {NAME} --identities "
    f"{OTHER.lower()}",
    "failed": f"az monitor activity-log list --subscription s --resource-id {SET} --status Failed --offset 30d",
    "the identity of the nodes is deleted": "",
    "the identity of the nodes is made again": "",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str) -> None:
    (one,) = causes(CASES[name][0]).values()
    assert one.command == COMMANDS[name]


def test_a_kubelet_identity_takes_a_control_plane_with_one_of_its_own() -> None:
    """az refuses it beside the identity that Azure made for the cluster."""
    kubelet, asked = IdentityInAzure(KUBELET, True, "before", PRINCIPAL), "--assign-identity"
    (one,) = causes(world(azure=azure(kubelet=kubelet))).values()
    assert asked in one.remedy and "upgrades every node pool" in one.remedy
    cluster = {**CLUSTER, "identity": {"type": "UserAssigned", "userAssignedIdentities": {OTHER: {}}}}
    (one,) = causes(world(azure=azure(kubelet=kubelet, cluster=cluster))).values()
    assert asked not in one.remedy and "upgrades every node pool" in one.remedy
    assert one.command == (
        "az aks update --subscription s --resource-group g --name c1 --enable-managed-identity "
        f"--assign-kubelet-identity {KUBELET}"
    )


def test_no_text_of_a_tenant_leaves_its_word() -> None:
    """Names in commands are quoted, whatever they are."""
    wild = "a b;$(x)'"
    one = identity(wild, clientID="c")
    assignment = assigned(POD, binding(to=wild), one)
    lists: dict[str, t.Any] = {
        "AzureIdentity": [one],
        "AzureIdentityBinding": [binding(to=wild)],
        "AzureAssignedIdentity": [assignment],
    }
    resource_id = one["spec"]["resourceID"]
    for there_now in (there(resource_id, "new"), gone(resource_id)):
        for found in causes(world(azure=azure(EMPTY, identities=[there_now]), **lists)).values():
            words = shlex.split(found.command)
            assert [word for word in words if wild in word] and words[0] in ("kubectl", "az")


def test_an_add_on_that_lacks_a_role_names_it() -> None:
    error = {"code": "LinkedAuthorizationFailed", "message": f"... perform action '{ASSIGN}' ..."}
    cluster = addon("Failed", **error)
    observed = world({"mode": "managed"}, azure=azure(cluster=cluster), AzureAssignedIdentity=[])
    one = causes(observed)["addon_failed"]
    assert "--assignee-object-id of-the-cluster" in one.command
    assert one.concerns == frozenset({"AzureIdentity team/i", "Pod team/web-1-a"})
    dead = azure(scale_set(IDENTITY), cluster=cluster, identities=[gone()])
    one = causes(world({"mode": "managed"}, azure=dead, AzureAssignedIdentity=[]))["addon_failed"]
    assert "does not exist" in one.remedy
