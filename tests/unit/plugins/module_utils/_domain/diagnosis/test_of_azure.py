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

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import permissions
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
    ScaleSet,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import Suspicion
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import Log
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.scope import Scope
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    ID,
    Raw,
    assigned,
    binding,
    exception,
    healthy,
    identity,
    pod,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import (
    PROVIDER,
    ago,
    log,
    node,
    program,
    told,
    world,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, worlds_by_name

from .azure_world import (
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

NAME = SET.rpartition("/")[2]
THE_SET, THE_IDENTITY = f"scale set {NAME}", "AzureIdentity team/i"
SETS = "Microsoft.Compute/virtualMachineScaleSets"
ON_SET = (SET, (f"{SETS}/read", f"{SETS}/write"), CONTRIBUTOR)
ON_IDENTITY, ON_SUBNET = (IDENTITY, (ASSIGN,), OPERATOR), (SUBNET, (JOIN,), NETWORK)
OTHER = f"{ID}team-j"
ENOUGH = ((CONTRIBUTOR, NODES), (OPERATOR, "/subscriptions/s/resourceGroups/g"))
LOCK = permissions.Lock("keep", NODES, "ReadOnly")
NOT_FOUND = Event(
    *("AzureIdentityBinding team/b", "binding apply error"),
    *(f"FailedIdentityOperation: '{OTHER}' was not found", "aadpodidentity.k8s.io"),
)
DENIAL = permissions.Denial(
    "lockdown", NODES, (permissions.Block(("*/write",)),), frozenset({permissions.EVERYONE}), frozenset()
)
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


def refused(action: str, scope: str, by: str = MIC) -> tuple[Log, ...]:
    return (log(by, LINKED.format(action, scope)),)


def since(seconds: float, one: Raw = PENDING["AzureAssignedIdentity"][0]) -> Raw:
    """An assignment that has been Created for so long, or another object."""
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
    assignments = [assigned(*each) for each in zip(pods, bindings, ids, states)]
    lists: dict[str, t.Any] = {
        "Pod": pods,
        "AzureIdentityBinding": bindings,
        "AzureIdentity": ids,
        "AzureAssignedIdentity": assignments,
    }
    on = {f"team_i{one}": f"client-team-i{one}" for one in range(carried)}
    named = [there(f"{ID}team-i{one}", f"client-team-i{one}") for one in range(count)]
    return world(**lists, Deployment=[], ReplicaSet=[], azure=azure(scale_set(**on), identities=named), **more)


EMPTY, BUSY = scale_set(), scale_set(state="Updating")


def here(*sets: ScaleSet, **more: t.Any) -> Observed:
    """The healthy cluster in an Azure with these scale sets; ``more`` is of either."""
    around = {key: more.pop(key) for key in ("cluster", "identities", "kubelet", "missing") if key in more}
    return world(more.pop("settings", None), azure=azure(*sets, **around), **more)


def waiting(*sets: ScaleSet, **more: t.Any) -> Observed:
    """MIC has not assigned the identity, and no scale set that is not given has it."""
    return here(*(sets or (EMPTY,)), **{**PENDING, **more})


def managed(*sets: ScaleSet, **more: t.Any) -> Observed:
    return here(*sets, settings={"mode": "managed"}, AzureAssignedIdentity=[], **more)


GROUPS: Groups[Observed] = {
    ("no", "cause"): {
        "all is well": here(),
        "Azure was not looked at": world(),
        "nothing of Azure could be read": world(azure=Azure({}, IdentityInAzure("", True), ""), **PENDING),
    },
    ("role_missing_on_identity", f"identity {IDENTITY}", "proved"): {
        "no role on the identity": waiting(missing=lacking(ENOUGH[0])),
        "Reader is no help": waiting(missing=lacking(ENOUGH[0], ("Reader", IDENTITY))),
        "the role on another identity": waiting(missing=lacking(ENOUGH[0], (OPERATOR, OTHER))),
    },
    ("no", "permissions"): {
        "the role, inherited": waiting(missing=lacking(("Contributor", "/subscriptions/s"))),
        "the role is missing on what no pod needs": here(
            EMPTY, missing=lacking(ENOUGH[0]), Pod=[], AzureAssignedIdentity=[]
        ),
        "the role is missing in managed mode": world({"mode": "managed"}, azure=azure(missing=())),
        "MIC says so of another subnet": waiting(missing=lacking(at=[ON_SUBNET]), logs=refused(JOIN, f"{SUBNET}-2")),
        "NMI says so": waiting(missing=lacking(at=[ON_SUBNET]), logs=refused(JOIN, SUBNET, NMI)),
        "no role on the subnet, MIC patches": waiting(missing=lacking(at=[ON_SUBNET]), components=old("v1.6.0")),
        "denied to others": waiting(
            missing=lacking(*ENOUGH, denials=(replace(DENIAL, excluded=frozenset({PRINCIPAL})),))
        ),
        "locked against deletion": waiting(missing=lacking(*ENOUGH, locks=(replace(LOCK, level="CanNotDelete"),))),
    },
    ("assigned_but_not_again", f"identity {IDENTITY}", "possible"): {
        "the role is missing, and nothing needs it now": here(missing=lacking(ENOUGH[0]))
    },
    ("role_missing_on_node_resource_group", "resource group mc", "proved"): {
        "no role on the nodes": waiting(missing=lacking(ENOUGH[1])),
        "only Reader on the nodes": waiting(missing=lacking(ENOUGH[1], ("Reader", NODES))),
    },
    (
        ("role_missing_on_identity", f"identity {IDENTITY}", "proved"),
        ("role_missing_on_node_resource_group", "resource group mc", "proved"),
    ): {"neither role": waiting(missing=lacking())},
    ("role_missing_on_network", f"subnet {SUBNET}", "likely"): {
        "no role on the subnet, and MIC says so": waiting(missing=lacking(at=[ON_SUBNET]), logs=refused(JOIN, SUBNET))
    },
    ("role_missing_on_network", f"subnet {SUBNET}", "possible"): {
        "no role on the subnet, MIC writes it": waiting(missing=lacking(at=[ON_SUBNET]), components=old("v1.5.5"))
    },
    ("denied_by_assignment", "deny assignment lockdown", "proved"): {
        "denied": waiting(missing=lacking(*ENOUGH, denials=(DENIAL,)))
    },
    ("assigned_but_not_again", f"scale set {SET}", "possible"): {
        "no role on the nodes, and nothing is needed": here(missing=lacking(ENOUGH[1])),
        "denied, and nothing is needed": here(missing=lacking(*ENOUGH, denials=(DENIAL,))),
    },
    ("locked", "lock keep", "proved"): {"locked": waiting(missing=lacking(*ENOUGH, locks=(LOCK,)))},
    ("identity_gone", THE_IDENTITY, "proved"): {
        "the identity is gone": waiting(identities=[gone()]),
        "the identity is gone, and left on the scale set": here(scale_set(IDENTITY), identities=[gone()]),
    },
    ("no", "identities"): {
        "an identity that nobody needs is gone": here(
            identities=[there(), gone(OTHER)], AzureIdentity=[identity(), identity("j")]
        ),
        "it could not be looked up": waiting(identities=[]),
        "the client id in capitals": here(identities=[there(client_id="CLIENT-team-i")]),
        "just being attached": here(scale_set(IDENTITY, state="Updating")),
        "the tenant in capitals": here(identities=[there(tenant_id="TENANT-A")]),
        "the tenant of the cluster is unknown": world(
            azure=replace(azure(identities=[there(tenant_id="tenant-b")]), tenant_id="")
        ),
    },
    ("identity_recreated", THE_IDENTITY, "proved"): {"another client id": here(identities=[there(client_id="new")])},
    ("identity_recreated", THE_SET, "proved"): {
        "made again, and the scale set has the old one": here(scale_set(IDENTITY))
    },
    ("identity_of_other_tenant", THE_IDENTITY, "proved"): {
        "of another tenant": waiting(identities=[there(tenant_id="tenant-b")]),
        "its subscription is of another tenant": waiting(identities=[there(client_id="", tenant_id="tenant-b")]),
    },
    (("identity_gone", "AzureIdentity team/j", "proved"), ("dead_identity_blocks_others", THE_SET, "likely")): {
        "a dead one beside, and MIC names it": here(
            EMPTY, identities=[there(), gone(OTHER)], logs=refused(ASSIGN, f"{IDENTITY}-2,{OTHER.lower()}"), **TWO
        )
    },
    (("identity_gone", "AzureIdentity team/j", "proved"), ("dead_identity_blocks_others", THE_SET, "possible")): {
        "a dead one beside, by the state alone": here(EMPTY, identities=[there(), gone(OTHER)], **TWO)
    },
    (("dead_identity_blocks_others", THE_SET, "likely"), ("ghost_on_scale_set", THE_SET, "proved")): {
        "a dead one is left on the scale set": waiting(scale_set(OTHER), events=(NOT_FOUND,))
    },
    (("dead_identity_blocks_others", THE_SET, "possible"), ("ghost_on_scale_set", THE_SET, "proved")): {
        "a dead one is left on the scale set, says an event alone": waiting(
            scale_set(OTHER), logs=(log(MIC, "Total: 1.5s"),), events=(NOT_FOUND,)
        )
    },
    (
        ("role_missing_on_identity", f"identity {IDENTITY}", "proved"),
        ("identity_gone", "AzureIdentity team/j", "proved"),
    ): {
        "a dead one beside, and the other lacks its role": here(
            EMPTY,
            identities=[there(), gone(OTHER)],
            missing=lacking(ENOUGH[0]),
            logs=refused(ASSIGN, f"{IDENTITY},{OTHER}"),
            **TWO,
        )
    },
    ("identity_gone", "AzureIdentity team/j", "proved"): {
        "a dead one beside, and the other is there": here(identities=[there(), gone(OTHER)], **TWO)
    },
    ("identity_not_on_scale_set", THE_SET, "proved"): {
        "assigned, and not there": here(EMPTY),
        "managed mode, and not there": managed(EMPTY),
        "on another scale set": here(EMPTY, scale_set(place=f"{SET}2", team_i="client-team-i")),
    },
    (("identity_not_on_scale_set", THE_SET, "likely"), ("scale_set_busy", THE_SET, "possible")): {
        "assigned, and not there yet": here(BUSY)
    },
    ("no", "scale sets"): {
        "not assigned, and not there": waiting(),
        "managed mode, and there": managed(),
        "managed mode, and excepted": managed(EMPTY, AzurePodIdentityException=[exception(app="web")]),
        "a stranger with a client id": here(scale_set(team_i="client-team-i", team_j="some")),
        "a scale set without nodes": here(scale_set(team_i="client-team-i"), replace(EMPTY, id=f"{SET}2", carried={})),
        "MIC leaves it alone": here(
            AzureIdentity=[identity(resourceID=KUBELET, clientID="of-nodes")],
            components=(program(MIC, arguments=["--immutable-user-msis=x,OF-nodes"]), program(NMI)),
        ),
        "150 for an old MIC": many(150, components=old("v1.6.3")),
        "150 for an old MIC, and one is there": many(151, 1, components=old("v1.6.3")),
        "151 for a new MIC": many(151, components=old("v1.7.0")),
        "151, all of them there": many(151, 151, components=old("v1.5.5")),
        "an old line of a log": many(
            3, components=old("v1.6.3"), logs=(log(MIC, "Number '151' Assign exceed limit '150' in one request"),)
        ),
        "busy, and waited for a moment": here(BUSY, AzureAssignedIdentity=[since(179)]),
        "busy, and a pod just began": here(BUSY, AzureAssignedIdentity=[], Pod=[since(20, POD)]),
        "busy, and nobody waits": here(scale_set(state="Updating", team_i="client-team-i")),
        "the add-on works": managed(cluster=addon("Assigned")),
        "the add-on is at it": managed(cluster=addon("Updating")),
        "the group in capitals": waiting(Node=[node(provider=PROVIDER.replace("/mc/", "/MC/"))]),
        "nodes elsewhere in managed mode": managed(
            scale_set(place=SET.replace("/mc/", "/mine/"), team_i="client-team-i"),
            Node=[node(provider=PROVIDER.replace("/mc/", "/mine/"))],
        ),
    },
    ("ghost_on_scale_set", THE_SET, "proved"): {"a ghost": here(scale_set(OTHER, team_i="client-team-i"))},
    ("kubelet_identity_gone", f"identity {KUBELET}", "proved"): {
        "the identity of the nodes is deleted": here(kubelet=IdentityInAzure(KUBELET, False, "of-nodes", PRINCIPAL)),
        "the identity of the nodes is made again": here(kubelet=IdentityInAzure(KUBELET, True, "before", PRINCIPAL)),
    },
    ("kubelet_identity_gone", THE_SET, "proved"): {
        "the identity of the nodes is taken off": here(
            replace(scale_set(), carried={IDENTITY.lower(): "client-team-i"})
        ),
        "the identity of the nodes is a ghost": here(
            replace(scale_set(), carried={IDENTITY.lower(): "client-team-i", KUBELET.lower(): ""})
        ),
    },
    ("kubelet_identity_used_by_pods", THE_IDENTITY, "possible"): {
        "pods use the identity of the nodes": here(
            AzureIdentity=[identity(resourceID=KUBELET, clientID="of-nodes")],
            AzureAssignedIdentity=[assigned(POD, binding(), identity(resourceID=KUBELET, clientID="of-nodes"))],
        ),
        "MIC would, but for capitals": here(
            AzureIdentity=[identity(resourceID=KUBELET, clientID="OF-nodes")],
            components=(program(MIC, arguments=["--immutable-user-msis=OF-nodes"]), program(NMI)),
        ),
    },
    ("too_many_identities", "Deployment kube-system/mic", "possible"): {
        "151 for an old MIC": many(151, components=old("v1.6.3")),
        "150 for a MIC that writes those that are there, too": many(150, 1, components=old("v1.5.5")),
    },
    ("too_many_identities", "Deployment kube-system/mic", "likely"): {
        "151 for an old MIC, and it says so": many(
            151, components=old("v1.6.3"), logs=(log(MIC, "Number '151' Assign exceed limit '150' in one request"),)
        )
    },
    ("scale_set_failed", THE_SET, "proved"): {"failed": here(scale_set(state="Failed", team_i="client-team-i"))},
    ("scale_set_busy", THE_SET, "possible"): {
        "busy, and waited for": waiting(BUSY),
        "busy, and waited for since long": here(BUSY, AzureAssignedIdentity=[since(181)]),
    },
    ("addon_failed", "entry team/i of the add-on", "proved"): {
        "the add-on failed": managed(cluster=addon("Failed", code="X", message="no"))
    },
    ("nodes_elsewhere", f"machine {SET.replace('/mc/', '/mine/')}", "proved"): {
        "nodes elsewhere": waiting(
            EMPTY,
            replace(EMPTY, id=SET.replace("/mc/", "/mine/")),
            Node=[node(provider=PROVIDER.replace("/mc/", "/mine/"))],
        )
    },
}
CASES = worlds_by_name(GROUPS)


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
    assert codes(CASES) == {row.code for row in of_azure.TABLE.rows}


def test_it_explains_what_is_seen() -> None:
    """A pod's diagnosis has the cause first, and the assignment that does not come because of it."""
    observed = waiting(missing=lacking(ENOUGH[0]))
    diagnosis = diagnose.diagnose(observed, Scope("team", pod="web-1-a"))
    assert diagnosis.verdict == "broken"
    assert diagnosis.causes[0].code == "role_missing_on_identity"
    (seen,) = [one for one in diagnosis.causes if one.code == "assignment_pending"]
    assert seen.because == ("role_missing_on_identity",)
    other = waiting(missing=lacking(ENOUGH[0]), Pod=[*healthy()["Pod"], pod("other", "")])
    of_other = diagnose.diagnose(other, Scope("team", pod="other")).causes
    assert "role_missing_on_identity" not in {one.code for one in of_other}


def test_who_logged_it_tells_the_causes_of_identity_not_found_apart() -> None:
    """The same text of MIC and of NMI, and Azure's state beside it; the text alone is no cause."""
    text = 'Refresh request failed. Status Code = \'400\'. {"error_description":"Identity not found"} pod: team/web-1-a'
    logs = (log(MIC, text), log(NMI, text))
    assert causes(here(logs=logs)) == {}
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
    (found,) = causes(here(EMPTY, logs=logs)).values()
    said = [each.text for each in found.evidence if each.source.startswith("log")]
    assert said == ["Identity not found, pod: team/web-1-a."]


def test_the_same_refusal_three_times() -> None:
    """LinkedAuthorizationFailed: the role, a dead identity, or an old MIC that writes the network too."""
    assign, join = log(MIC, LINKED.format(ASSIGN, f"{IDENTITY},{OTHER}")), log(MIC, LINKED.format(JOIN, SUBNET))
    assert causes(waiting(logs=(assign, join))) == {}
    role = causes(waiting(missing=lacking(ENOUGH[0]), logs=(assign,)))
    assert list(role) == ["role_missing_on_identity"]
    dead = causes(here(EMPTY, identities=[there(), gone(OTHER)], logs=(assign,), **TWO))
    assert list(dead) == ["identity_gone", "dead_identity_blocks_others"]
    network = causes(waiting(missing=lacking(at=[ON_SUBNET]), logs=(join,)))
    assert list(network) == ["role_missing_on_network"]
    for found in (role, dead, network):
        one = found[list(found)[-1]]
        assert [each for each in one.evidence if each.source == "log of Pod kube-system/mic-5d-a"]


def test_what_a_tenant_wrote_is_no_evidence() -> None:
    forged = Event("AzureIdentityBinding team/b", "x", LINKED.format(ASSIGN, IDENTITY), "somebody")
    (one,) = causes(waiting(missing=lacking(ENOUGH[0]), events=(forged,))).values()
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
    (one,) = causes(here(kubelet=kubelet)).values()
    assert asked in one.remedy and "upgrades every node pool" in one.remedy
    cluster = {**CLUSTER, "identity": {"type": "UserAssigned", "userAssignedIdentities": {OTHER: {}}}}
    (one,) = causes(here(kubelet=kubelet, cluster=cluster)).values()
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
    lists = {"AzureIdentityBinding": [binding(to=wild)], "AzureAssignedIdentity": [assignment]}
    resource_id = one["spec"]["resourceID"]
    for there_now in (there(resource_id, "new"), gone(resource_id)):
        for found in causes(here(EMPTY, identities=[there_now], AzureIdentity=[one], **lists)).values():
            words = shlex.split(found.command)
            assert [word for word in words if wild in word] and words[0] in ("kubectl", "az")


def test_an_add_on_that_lacks_a_role_names_it() -> None:
    error = {"code": "LinkedAuthorizationFailed", "message": f"... perform action '{ASSIGN}' ..."}
    cluster = addon("Failed", **error)
    observed = managed(cluster=cluster)
    one = causes(observed)["addon_failed"]
    assert "--assignee-object-id of-the-cluster" in one.command
    assert one.concerns == frozenset({"AzureIdentity team/i", "Pod team/web-1-a"})
    dead = azure(scale_set(IDENTITY), cluster=cluster, identities=[gone()])
    one = causes(world({"mode": "managed"}, azure=dead, AzureAssignedIdentity=[]))["addon_failed"]
    assert "does not exist" in one.remedy
