# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be broken in a world, each with the code of the cause that a diagnosis has to tell first.

Each is a function of a world: what stands before its ``yield`` decides how the cluster is made, what comes after it
happens when everything runs and the usual workload is there. The reports that they are made of stand at each.
"""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import CERTIFICATE
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes.cluster_nodes import USER_RULES_LABEL
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.tests.kube.installation import READY
from ansible_collections.azureops.pod_identity.tests.kube.nmi import ServicePrincipals
from ansible_collections.azureops.pod_identity.tests.kube.worlds import (
    CONTRIBUTOR,
    MIC,
    NMI,
    OPERATOR,
    OTHER_TEAM,
    PLACE,
    PROXIED,
    SCALE_SETS,
    TEAM,
    USE,
    Raw,
    Relay,
    World,
    container,
)
from ansible_collections.azureops.pod_identity.tests.support import api_server as server

Act = Callable[[World], None]
_GALLERY = "/subscriptions/s/resourceGroups/aks/providers/Microsoft.Compute/galleries/nodes"
_GPU = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}
_WAITS = "attempting to acquire leader lease"


@dataclass(frozen=True)
class Fault:
    """``code``: of the cause that comes first. ``blind``: made from the catalogue alone, before the rules were read.

    ``world``: what of it is otherwise; dicts are added to those that are there. ``before``: what is done besides before
    it starts. ``breaks``: what happens when everything runs, or, where ``settled``, when the usual workload has its
    token.
    """

    code: str
    breaks: Act
    blind: bool
    settled: bool
    before: Act
    world: Mapping[str, Any]


FAULTS: dict[str, Fault] = {}


def _nothing(_world: World) -> None:
    """More is not to be done."""


def fault(
    code: str, *, blind: bool = False, settled: bool = True, before: Act = _nothing, issuer: bool = False, **world: Any
) -> Callable[[Act], Act]:
    if issuer:
        world["properties"] = {"oidcIssuerProfile": {"enabled": True}}

    def mark(breaks: Act) -> Act:
        FAULTS[breaks.__name__] = Fault(code, breaks, blind, settled, before, world)
        return breaks

    return mark


def only(name: str, code: str, *, blind: bool = True, settled: bool = False, **world: Any) -> None:
    """A world that is made so that it breaks by itself."""
    FAULTS[name] = Fault(code, _nothing, blind, settled, _nothing, world)


def build(world: World, *names: str) -> None:
    """The cluster with these faults."""
    faults = [FAULTS[name] for name in names]
    for each in faults:
        for key, value in each.world.items():
            setattr(world, key, {**getattr(world, key), **value} if isinstance(value, dict) else value)
        each.before(world)
    world.start()
    world.workload()
    for each in faults:
        if each.settled:
            world.settled()
        each.breaks(world)


def _iptables(end: str) -> str:
    """A script in place of the program."""
    return f'#!/bin/sh\n[ "$1" != --version ] || {{ echo "iptables v1.8.9 (legacy)"; exit; }}\n{end}\n'


def _late(world: World, *says: str) -> None:
    """Another workload, and what MIC says then."""
    world.identity("late")
    world.deployment("late", selector="late")
    if says:
        world.until_mic_says(*says)


def _mover(world: World, **more: Any) -> list[str]:
    """A workload that Workload ID serves."""
    return world.deployment("mover", **{"selector": None, "labels": USE, "serviceAccountName": "mover", **more})


# the installation


_LOCKED = "Resource temporarily unavailable."
_NOT_ROOT = "v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)"
only("lock_of_iptables", "nmi_crashing", iptables=_iptables(f'echo "iptables: {_LOCKED}" >&2\nexit 4'))  # #249
only(
    "no_permission_for_iptables", "nmi_crashing", iptables=_iptables(f'echo "iptables {_NOT_ROOT}" >&2\nexit 3')
)  # #294
only("kubenet", "kubenet_refused", network_plugin="kubenet")  # #875
# NMI had --host-ip until 1.6.
only("arguments_of_an_old_nmi", "arguments_of_other_version", nmi_arguments=["--host-ip=10.0.0.4"])
only("arguments_of_another_mic", "arguments_of_other_version", mic_arguments=["--leader-election-lease=aad"])
only("mic_alone_is_namespaced", "modes_differ", settled=True, mic_arguments=["--forceNamespaced=true"])


@fault("nmi_not_active", settled=False, nmi_says="Not Active", iptables=_iptables("exec sleep 600"))
def iptables_never_ends(world: World) -> None:
    world.let_nmi_be_old()


@fault("two_installations", blind=True)
def addon_beside_the_chart(world: World) -> None:
    """#740: the second cannot listen."""
    world.add_second_nmi()


@fault("nmi_missing_on_node", blind=True, values={"nmi.tolerations": "null"}, more_nodes=[{"taints": [_GPU]}])
def node_with_a_taint(world: World) -> None:
    """The DaemonSet tolerates nothing, and a pod is on a node that demands it."""
    world.identity("gpu")
    world.deployment("gpu", selector="gpu", node=1)
    world.until_assigned(2)


@fault("mic_crashing", blind=True, settled=False)
def mic_killed_for_its_memory(world: World) -> None:
    assert world.mic
    world.mic.process.send_signal(signal.SIGKILL)
    world.mic.process.wait()
    world.crashed(world.mic, reason="OOMKilled", code=137)


@fault("mic_not_running", blind=True, settled=False)
def mic_scaled_to_nothing(world: World) -> None:
    """#676: as support advises during an upgrade, and nobody scales it up again."""
    world.stop_mic()
    world.change(kinds.DEPLOYMENT, MIC, PLACE, spec={"replicas": 0})
    world.set_status(kinds.DEPLOYMENT, MIC, PLACE, replicas=0, readyReplicas=0, updatedReplicas=0, availableReplicas=0)


@fault("mic_missing", blind=True, settled=False)
def mic_deleted(world: World) -> None:
    world.stop_mic()
    world.delete(kinds.DEPLOYMENT, MIC, PLACE)


@fault("definitions_gone", blind=True)
def definitions_gone_while_nmi_runs(world: World) -> None:
    """#920, #1388"""
    world.stop_mic()
    server.clear_assigned(world.client)
    server.remove(world.client, server.definitions())


@fault("rights_missing")
def nmi_without_its_binding(world: World) -> None:
    world.delete(kinds.CLUSTER_ROLE_BINDING, NMI)


@fault("rights_missing")
def mic_that_may_not_assign(world: World) -> None:
    """Somebody wrote the role again who thought that MIC only reads."""
    role = world.client.get(kinds.CLUSTER_ROLE, None, MIC)
    assert role
    kept = [rule for rule in role["rules"] if "azureassignedidentities" not in rule["resources"]]
    world.change(kinds.CLUSTER_ROLE, MIC, rules=kept)


@fault("mic_rewrites_scale_sets", values={"mic.tag": "v1.5.5"})
def mic_that_writes_whole_scale_sets(world: World) -> None:
    """#752: MIC before 1.6 sends the image along. What Azure says to that is made up here: this MIC does not."""
    message = f"the linked scope(s) '{_GALLERY}' or the linked scope(s) are invalid."
    world.refuse(403, "LinkedAuthorizationFailed", message)
    _late(world, "LinkedAuthorizationFailed")


@fault(
    "mic_not_excepted",
    settled=False,
    values={"installMICException": "false", "nmi.micNamespace": "default"},
    mic_asks_nmi=True,
)
def mic_without_its_exception(world: World) -> None:
    """#484: NMI takes MIC for a pod like any other, and answers it so."""
    world.until_mic_says("Refresh request failed", seconds=240)  # it asks five times, within two minutes


# MIC


def _lock(world: World) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"holderIdentity": "another", "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now}
    annotations = {"control-plane.alpha.kubernetes.io/leader": json.dumps(record)}
    world.create(kinds.ENDPOINTS, MIC, "default", annotations=annotations)


@fault("mic_without_leader", blind=True, settled=False, mic_says=(_WAITS,), before=_lock)
def lock_of_a_stranger(world: World) -> None:
    """#1199: somebody else has the lock, and renews it."""
    world.until_mic_says(_WAITS)


def _throttle(world: World) -> None:
    body = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}
    world.fault(path=SCALE_SETS, method="PATCH", status=429, body=body, headers={"Retry-After": "60"})


@fault("mic_throttled_by_azure", blind=True, settled=False, before=_throttle)
def azure_throttles(world: World) -> None:
    """#676"""
    world.until_mic_says("TooManyRequests", "throttled")


@fault("mic_slow", settled=False, values={"mic.clientQps": "1"})
def mic_holds_itself_back(world: World) -> None:
    """#1267"""
    world.deployment("many", pods=40)
    world.until_mic_says(*(f"Waited for {seconds}." for seconds in range(5, 40)))


# Azure


@fault(
    "role_missing_on_identity",
    blind=True,
    settled=False,
    before=lambda world: world.roles.discard((OPERATOR, "identities")),
)
def no_permission_on_the_identity(world: World) -> None:
    """#585"""
    world.until_mic_says("AuthorizationFailed")


@fault(
    "role_missing_on_node_resource_group",
    blind=True,
    settled=False,
    before=lambda world: world.roles.discard((CONTRIBUTOR, "nodes")),
)
def no_permission_on_the_nodes(world: World) -> None:
    world.until_mic_says("AuthorizationFailed")


@fault("denied_by_assignment", blind=True)
def nodes_locked_down(world: World) -> None:
    denial = {"scope": world.place("nodes"), "name": "lockdown", "actions": ["*/write"], "excluded_principals": []}
    world.azure.control("POST", "/deny-assignments", denial)
    _late(world, "DenyAssignmentAuthorizationFailed", "AuthorizationFailed")


@fault("locked", blind=True)
def lock_on_the_nodes(world: World) -> None:
    path = f"{world.place('nodes')}/providers/Microsoft.Authorization/locks/keep"
    world.azure.arm("PUT", path, {"properties": {"level": "ReadOnly"}}, version="2020-05-01").raise_for_status()
    _late(world, "ScopeLocked")


@fault("identity_gone", blind=True)
def identity_deleted(world: World) -> None:
    """#339"""
    world.forget(world.managed_identity("web")["id"])
    assert world.ask(world.pod_of()).status == 403


@fault("identity_recreated", blind=True)
def identity_made_again(world: World) -> None:
    """#681: the AzureIdentity has the old client id, the scale set a dead entry."""
    world.forget(world.managed_identity("web")["id"])
    world.managed_identity("web")
    server.until("NMI is refused", lambda: world.ask(world.pod_of()).status == 403)


@fault("identity_of_other_tenant")
def identity_in_another_tenant(world: World) -> None:
    """What Azure says to MIC then is made up here."""
    message = "Failed to perform resource identity operation. Status: 'BadRequest'."
    body = {"error": {"code": "FailedIdentityOperation", "message": message}}
    world.fault(path=SCALE_SETS, method="PATCH", status=400, body=body)
    made = world.identity("far")
    world.edit(lambda body: body["properties"].update(tenantId="8d8bd5c3-0b1c-4b9a-8b5a-6f0f0c5a0001"), made["id"])
    world.deployment("far", selector="far")
    world.until_mic_says("FailedIdentityOperation")


@fault("role_missing_on_network", values={"mic.tag": "v1.5.5"})
def subnet_of_others(world: World) -> None:
    """#511: MIC before 1.6 sends the subnet along. What Azure says to that is made up here: this MIC does not."""
    world.azure.arm("PUT", "/resourceGroups/net", {"location": "westeurope"}).raise_for_status()
    network = f"{world.place('identities').rpartition('/')[0]}/net/providers/Microsoft.Network/virtualNetworks"
    subnet = f"{network}/company/subnets/nodes"
    world.edit(lambda body: _move(body, subnet))
    action = "Microsoft.Network/virtualNetworks/subnets/join/action"
    message = f"does not have permission to perform action '{action}' on the linked scope(s) '{subnet}'"
    world.refuse(403, "LinkedAuthorizationFailed", message)
    _late(world, "LinkedAuthorizationFailed")


@fault("dead_identity_blocks_others")
def ghost_in_every_change(world: World) -> None:
    """#339, #725: Azure refuses each change that leaves a deleted identity there. That it does is made up here."""
    ghost = world.managed_identity("ghost")["id"]
    world.forget(ghost)
    world.edit(lambda body: body["identity"]["userAssignedIdentities"].update({ghost: {}}))
    world.refuse(400, "FailedIdentityOperation", f"Resource '{ghost}' was not found.")
    _late(world, "FailedIdentityOperation")


@fault("too_many_identities", values={"mic.tag": "v1.6.3", "mic.clientQps": "500"})
def more_identities_than_an_old_mic_divides(world: World) -> None:
    """#813: MIC before 1.7 asks for all at once. What Azure says to that is made up here: this MIC does not."""
    message = "User Assigned Identities Number '151' Assign exceed limit '150' in one request."
    world.refuse(400, "FailedIdentityOperation", message)
    for number in range(151):
        world.identity(f"many{number}")
        world.deployment(f"many{number}", selector=f"many{number}")
    world.until_mic_says("exceed limit")


@fault("nodes_elsewhere")
def node_of_another_resource_group(world: World) -> None:
    world.azure.arm("PUT", "/resourceGroups/own", {"location": "westeurope"}).raise_for_status()
    carried = {world.kubelet_id: {"clientId": world.kubelet_client_id, "principalId": "p"}}
    identity = {"type": "UserAssigned", "userAssignedIdentities": carried}
    made = world.azure.scale_set("own", "workers", identity=identity)
    world.add_node("workers-0", f"{made}/virtualMachines/0")
    world.cover(node=-1)
    world.identity("far")
    world.deployment("far", selector="far", node=-1)
    world.until_mic_says("workers")


@fault("identity_not_on_scale_set", blind=True)
def scale_set_loses_an_identity(world: World) -> None:
    """#633: an update of the cluster wrote over them."""
    world.edit(lambda body: _drop(body, "/web"))
    assert world.ask(world.pod_of()).status == 403


@fault("identity_gone")
def dead_identity_in_a_batch(world: World) -> None:
    """#515: MIC asks for several identities at once, and one of them is gone. This MIC then asks for each alone."""
    world.pause_mic()
    world.forget(world.identity("old")["id"])
    world.deployment("old", selector="old")
    _late(world)
    world.restart_mic()
    world.until_mic_says("FailedIdentityOperation")
    world.until_assigned(2)


@fault("kubelet_identity_gone", blind=True)
def nodes_lose_their_identity(world: World) -> None:
    """#778"""
    world.edit(lambda body: _drop(body, "agentpool"))
    world.restart_mic()
    _late(world, "Identity not found")


@fault("kubelet_identity_used_by_pods", blind=True)
def pods_use_the_identity_of_the_nodes(world: World) -> None:
    """#987"""
    world.bind("node", TEAM, "node", resource_id=world.kubelet_id, client_id=world.kubelet_client_id)
    world.deployment("node", selector="node")
    world.until_assigned(2)


@fault("scale_set_failed", blind=True)
def scale_set_that_failed(world: World) -> None:
    world.edit(lambda body: body["properties"].update(provisioningState="Failed"))


@fault("addon_failed", blind=True, settled=False, addon=True)
def addon_that_failed(world: World) -> None:
    world.give("web")
    world.settled()
    identity = {"resourceId": f"{world.place('identities')}/providers/Microsoft.ManagedIdentity/x", "clientId": "c"}
    one = {"name": "late", "namespace": TEAM, "identity": identity, "provisioningState": "Failed"}
    profile = {"enabled": True, "userAssignedIdentities": [one], "userAssignedIdentityExceptions": []}
    world.edit(lambda body: body["properties"].update(podIdentityProfile=profile), world.cluster["id"])


# identities, bindings, labels


@fault("field_misspelled")
def fields_of_an_old_version(world: World) -> None:
    """#175"""
    made = world.managed_identity("old")
    spec = {"type": 0, "ResourceID": made["id"], "ClientID": made["properties"]["clientId"]}
    world.kubectl_apply(kinds.AZURE_IDENTITY, "old", spec=spec)
    world.kubectl_apply(kinds.AZURE_IDENTITY_BINDING, "old", spec={"AzureIdentity": "old", "Selector": "old"})
    pod = world.deployment("old", selector="old")[0]
    assert world.ask(pod).status == 404


@fault("secret_missing", blind=True)
def secret_that_is_missing(world: World) -> None:
    _principal(world)


@fault("secret_empty", blind=True)
def secret_without_a_value(world: World) -> None:
    world.create(kinds.SECRET, "principal", stringData={"password": ""})
    _principal(world)


@fault("secret_ambiguous", blind=True)
def secret_with_two_keys(world: World) -> None:
    world.create(kinds.SECRET, "principal", stringData={"first": "one", "second": "two"})
    _principal(world)


@fault("tenant_missing", blind=True)
def principal_without_a_tenant(world: World) -> None:
    """#74"""
    world.create(kinds.SECRET, "principal", stringData={"password": "sesame"})
    _principal(world, tenantID="")


@fault("label_not_on_template", blind=True)
def label_on_the_deployment_alone(world: World) -> None:
    world.identity("api")
    world.deployment("api", selector=None, own_labels={"aadpodidbinding": "api"})


@fault("nothing_matches", values={"forceNamespaced": "true"})
def binding_of_another_namespace(world: World) -> None:
    """#1065: forced into namespaced mode, MIC and NMI look in the namespace of the pod alone."""
    world.identity("far", OTHER_TEAM)
    world.deployment("far", selector="far")


@fault("ambiguous_default")
def selector_of_two_bindings(world: World) -> None:
    world.identity("second", selector="web")
    world.until_assigned(2)


@fault("client_id_unknown_to_nmi", blind=True)
def client_id_of_another_identity(world: World) -> None:
    """StackExchangeRedis#79: with the client id of Workload ID, to NMI."""
    other = world.managed_identity("other")["properties"]["clientId"]
    assert world.ask(world.pod_of(), client_id=other).status == 404


@fault("client_timeout_short")
def client_with_little_patience(world: World) -> None:
    """#556: it has gone when MIC, which was away, assigns the identity."""
    world.pause_mic()
    world.identity("late")
    pod = world.deployment("late", selector="late")[0]
    server.until("NMI knows the pod", lambda: world.ask(pod).status == 404)
    with pytest.raises(TimeoutError):
        world.ask(pod, TEAM, 1)
    world.until_nmi_says("context canceled")
    world.restart_mic()
    world.until_assigned(2)
    world.until_served(pod)


@fault("unlabelled_pod_asks", blind=True)
def pod_without_a_label_asks(world: World) -> None:
    """#799"""
    pod = world.deployment("agent", selector=None)[0]
    assert world.ask(pod).status == 404


# network


@fault("policy_blocks_nmi", properties={"networkProfile": {"networkPolicy": "azure"}})
def policy_that_allows_imds_alone(world: World) -> None:
    """#716"""
    only = [{"ipBlock": {"cidr": "169.254.169.254/32"}}]
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": only}]}
    world.create(kinds.NETWORK_POLICY, "egress", spec=spec)


@fault("nmi_does_not_know_pod", before=lambda world: vars(world).update(relay=Relay(world.api_server)))
def firewall_before_the_api_server(world: World) -> None:
    """#780: NMI's watch breaks, so that it never hears of new pods."""
    assert world.relay
    world.relay.cut()
    pod = world.deployment("late", selector="web")[0]
    world.age(kinds.POD, pod, TEAM)
    world.let_nmi_be_old()
    assert world.ask(pod).status == 500


@fault(
    "stale_rule",
    values={"nmi.tolerations": "null"},
    more_nodes=[{"taints": [_GPU], "labels": {USER_RULES_LABEL: "true"}}],
)
def node_that_aks_marked(world: World) -> None:
    """#113: AKS marks nodes with rules of others, and NMI does not run there any more. Its rules are not seen here."""
    world.deployment("plain", selector=None, node=1)


@fault("clock_skew")
def kubelet_ahead_of_its_time(world: World) -> None:
    beat = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.set_status(kinds.NODE, world.nodes[0], "", conditions=[{**READY[0], "lastHeartbeatTime": beat}])


@fault("clock_skew")
def assertion_of_the_future(world: World) -> None:
    """Entra, whose clock is an hour behind the node's, refuses what NMI signs with a certificate."""
    client_id = str(uuid.uuid4())
    spec = ServicePrincipals(world.azure, world.client, client_id).spec(CERTIFICATE)
    world.create(kinds.AZURE_IDENTITY, "signed", spec={"type": CERTIFICATE, "clientID": client_id, **spec})
    world.create(kinds.AZURE_IDENTITY_BINDING, "signed", spec={"azureIdentity": "signed", "selector": "signed"})
    pod = world.deployment("signed", selector="signed")[0]
    world.until_assigned(2)
    world.until_served(pod)
    world.shift_clock_of_entra(-3600)
    assert "AADSTS700024" in world.ask(pod).body


@fault("imds_restricted")
def pods_kept_from_imds(world: World) -> None:
    world.edit(lambda body: body["properties"]["networkProfile"].update(podLinkLocalAccess="None"), world.cluster["id"])


@fault("kube_proxy_bypasses")
def data_plane_of_cilium(world: World) -> None:
    """cilium#20103"""
    changed = {"networkDataplane": "cilium"}
    world.edit(lambda body: body["properties"]["networkProfile"].update(changed), world.cluster["id"])


# Workload ID


def _trusted(world: World, **labels: Any) -> None:
    world.credential(world.account("mover", **labels), "mover")


def _known(world: World) -> None:
    """A workload that was changed by the webhook; nothing trusts it."""
    client_id = world.account("mover")["properties"]["clientId"]
    _mover(world, mutated=world.mutated(client_id))


def _moving(name: str, code: str, *acts: Callable[[World], object], issuer: bool = True, webhook: bool = True) -> None:
    """These one after the other, and at last the webhook."""

    def breaks(world: World) -> None:
        for act in acts:
            act(world)
        if webhook:
            world.webhook()

    breaks.__name__ = name
    fault(code, issuer=issuer)(breaks)


def _wrong(name: str, code: str, properties: Callable[[World], dict[str, Any]]) -> None:
    """A workload whose federated credential is nearly right."""
    _moving(name, code, lambda world: world.mover(**properties(world)))


_moving("workload_id_without_its_webhook", "webhook_missing", _trusted, _mover, webhook=False)
# AKS#3897, AWI#863: no pod of its workloads is made any more.
_moving(
    *("webhook_that_is_dead", "webhook_not_running"),
    *(_trusted, lambda world: world.webhook(runs=False), lambda world: _mover(world, pods=0)),
    webhook=False,
)
_moving("pod_older_than_the_webhook", "pod_not_mutated", _trusted, _mover)  # AWI#790
_moving(  # AWI#720
    *("label_on_the_service_account_alone", "label_missing_on_template"),
    *(World.webhook, lambda world: _trusted(world, labels=USE), lambda world: _mover(world, labels={})),
    webhook=False,
)
_moving(
    *("account_without_a_client_id", "client_id_not_annotated"),
    *(lambda world: world.create(kinds.SERVICE_ACCOUNT, "mover"), lambda world: _mover(world, mutated=world.mutated())),
)
_moving("account_that_is_missing", "service_account_missing", lambda world: _mover(world, mutated=world.mutated()))
_moving("cluster_without_an_issuer", "issuer_disabled", _known, issuer=False)
_moving("account_without_a_credential", "credential_missing", _known)
_wrong("issuer_without_its_slash", "credential_wrong", lambda world: {"issuer": world.issuer.rstrip("/")})
_wrong("issuer_of_another_cluster", "issuer_of_other_cluster", lambda world: {"issuer": f"{world.issuer}other/"})
_wrong("subject_in_capitals", "credential_wrong", lambda _world: {"subject": f"system:serviceaccount:{TEAM}:Mover"})
_wrong("audience_in_other_case", "credential_wrong", lambda _world: {"audiences": ["api://AzureADTokenexchange"]})
# AWI#1424: the API server creates no pod of it.
_moving(
    *("proxy_in_a_confined_namespace", "proxy_refused", _trusted, lambda world: world.confine(TEAM, "baseline")),
    lambda world: _mover(world, annotations=PROXIED, pods=0),
)
# AWI#1050: since then the webhook refuses pods of it.
_moving(
    *("proxy_on_the_host_network", "host_network_refused", _trusted),
    lambda world: _mover(world, annotations=PROXIED, pods=0, hostNetwork=True),
)


def _changed(name: str, code: str, change: Callable[[list[Raw]], None], **deployment: Any) -> None:
    """A workload of Workload ID whose pod has other containers than the webhook would leave it."""

    def make(world: World) -> None:
        made = world.account("mover")
        world.credential(made, "mover")
        containers = world.mutated(made["properties"]["clientId"])
        change(containers)
        (pod,) = _mover(world, mutated=containers, **deployment)
        if len(containers) > 1:
            _show(world, pod, code)

    _moving(name, code, make)


def _show(world: World, pod: str, code: str) -> None:
    """The state of the application's container and of the proxy, as their kubelet has it."""
    runs: Raw = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    ended: Raw = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    refused: Raw = {"waiting": {"reason": "CreateContainerConfigError", "message": "runAsUser breaks non-root policy"}}
    states = {"app": runs, "azwi-proxy": refused} if code == "proxy_not_started" else {"app": ended, "azwi-proxy": runs}
    statuses = [container(name, state, ready=state is runs) for name, state in states.items()]
    world.set_status(kinds.POD, pod, containerStatuses=statuses)
    if code == "proxy_holds_pod":
        world.overdue(pod)


def _tell_old_path(containers: list[Raw]) -> None:
    """AKS#5541: the webhook has the token elsewhere from 1.6.0 on."""
    containers[0]["args"] = ["--token-file=/var/run/secrets/azure/tokens/azure-identity-token"]
    (own,) = (each for each in containers[0]["env"] if each["name"] == "AZURE_FEDERATED_TOKEN_FILE")
    own["value"] = "/var/run/secrets/azure/wi/token/azure-identity-token"


def _set_up_app_authentication(containers: list[Raw]) -> None:
    """AWI#1115"""
    containers[0]["env"].append({"name": "AzureServicesAuthConnectionString", "value": "RunAs=App"})


def _add_proxy(containers: list[Raw]) -> None:
    """AWI#1009, AWI#774"""
    containers.append({"name": "azwi-proxy", "image": "proxy"})


_changed("token_at_another_path", "token_path_differs", _tell_old_path)
_changed("library_of_old", "library_knows_no_workload_id", _set_up_app_authentication)
_changed("proxy_that_may_not_start", "proxy_not_started", _add_proxy, annotations=PROXIED)
_changed("proxy_of_a_deleted_pod", "proxy_holds_pod", _add_proxy, annotations=PROXIED)


def _move(body: dict[str, Any], subnet: str) -> None:
    """The nodes of a scale set into another subnet, as far as Azure remembers it."""
    (interface,) = body["properties"]["virtualMachineProfile"]["networkProfile"]["networkInterfaceConfigurations"]
    for one in interface["properties"]["ipConfigurations"]:
        one["properties"]["subnet"]["id"] = subnet


def _drop(body: dict[str, Any], part: str) -> None:
    """Take identities from a scale set, as far as Azure remembers them."""
    carried = body["identity"]["userAssignedIdentities"]
    for key in [one for one in carried if part in one.lower()]:
        del carried[key]


def _principal(world: World, **spec: Any) -> Any:
    """What NMI says to a pod whose identity is a service principal with a Secret of that name."""
    whole = {
        "type": 1,
        "tenantID": world.azure.tenant_id,
        "adEndpoint": world.azure.endpoints.entra,
        "clientID": world.azure.principal("reports").client_id,
        "clientPassword": {"namespace": TEAM, "name": "principal"},
        **spec,
    }
    world.create(kinds.AZURE_IDENTITY, "reports", spec=whole)
    world.create(kinds.AZURE_IDENTITY_BINDING, "reports", spec={"azureIdentity": "reports", "selector": "reports"})
    pod = world.deployment("reports", selector="reports")[0]
    world.until_assigned(2)
    server.until("NMI refuses", lambda: world.ask(pod).status not in (200, 404))
    return world.ask(pod)


PAIRS: tuple[tuple[str, str], ...] = (
    ("lock_of_iptables", "no_permission_on_the_identity"),
    ("lock_of_iptables", "mic_killed_for_its_memory"),
    ("kubenet", "no_permission_on_the_nodes"),
    ("arguments_of_an_old_nmi", "lock_of_a_stranger"),
    ("arguments_of_another_mic", "no_permission_for_iptables"),
    ("iptables_never_ends", "azure_throttles"),
    ("no_permission_on_the_identity", "no_permission_on_the_nodes"),
    ("mic_deleted", "kubenet"),
    ("lock_of_a_stranger", "no_permission_for_iptables"),
    ("mic_scaled_to_nothing", "arguments_of_an_old_nmi"),
    ("mic_alone_is_namespaced", "identity_deleted"),
    ("node_with_a_taint", "identity_made_again"),
    ("addon_beside_the_chart", "secret_with_two_keys"),
    ("identity_deleted", "secret_that_is_missing"),
    ("identity_made_again", "label_on_the_deployment_alone"),
    ("scale_set_loses_an_identity", "policy_that_allows_imds_alone"),
    ("lock_on_the_nodes", "client_id_of_another_identity"),
    ("nodes_locked_down", "fields_of_an_old_version"),
    ("scale_set_that_failed", "pod_without_a_label_asks"),
    ("principal_without_a_tenant", "nodes_lose_their_identity"),
    ("policy_that_allows_imds_alone", "workload_id_without_its_webhook"),
    ("fields_of_an_old_version", "label_on_the_service_account_alone"),
    ("webhook_that_is_dead", "identity_deleted"),
    ("account_that_is_missing", "selector_of_two_bindings"),
    ("pods_kept_from_imds", "binding_of_another_namespace"),
    ("cluster_without_an_issuer", "secret_without_a_value"),
    ("kubelet_ahead_of_its_time", "identity_deleted"),
    ("node_that_aks_marked", "secret_that_is_missing"),
)
"""Faults of one world at once; each has another subject than the other."""
