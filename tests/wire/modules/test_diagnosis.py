# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a diagnosis reads of Azure: with which requests, and what becomes of those that fail."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import diagnosis
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import azure_roles
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import of_azure, of_workload_id
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.azure import Azure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    MIC,
    NMI,
    Component,
    Observed,
    Unread,
)
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import identity, pod
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.observed_world import node, program, world
from ansible_collections.azureops.pod_identity.tests.support.scale_sets import NODES
from ansible_collections.azureops.pod_identity.tests.wire.modules.diagnosed import (
    AUTHORIZATION,
    CONTRIBUTOR,
    IDENTITIES,
    OPERATOR,
    PAGE,
    Diagnosed,
    asked,
    connecting,
    lists_of_credentials,
    trust,
)
from azsandbox.azure.loopback import Credentials, SimulatedAzure

SETS = "Microsoft.Compute/virtualMachineScaleSets"


@pytest.fixture
def cluster(azure: SimulatedAzure) -> Diagnosed:
    return Diagnosed(azure)


Look = Callable[..., tuple[Azure | None, tuple[Unread, ...]]]
Observe = Callable[..., Observed]


@pytest.fixture
def observe(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> Observe:
    """Observe as the owner of the subscription, or as somebody else."""

    def observe(observed: Observed, who: Credentials | None = None, name: str = "c1", **options: Any) -> Observed:
        connect = partial(connecting(modules, monkeypatch, who), **options)
        return diagnosis.observe(connect, {"resource_group": "rg", "cluster_name": name}, observed)

    return observe


@pytest.fixture
def look(observe: Observe) -> Look:
    """Azure, and what of it was not read."""

    def look(observed: Observed, *who: Credentials, **options: Any) -> tuple[Azure | None, tuple[Unread, ...]]:
        made = observe(observed, *who, **options)
        return made.azure, made.unread

    return look


def found(azure: Azure | None) -> Azure:
    assert azure is not None
    return azure


def codes(observed: Observed, azure: Azure | None) -> list[str]:
    with_azure = Observed(observed.inventory, observed.objects, observed.components, azure=azure)
    return [row.code for row in of_azure.TABLE.rows for _one in row.look(with_azure)]


def missing(azure: Azure | None) -> list[tuple[str, str, str]]:
    return [(one.reason, one.role, one.scope) for one in found(azure).missing]


def test_all_is_well(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    cluster.grant_all()
    modules.succeed("vmss_identity", resource_group="rg", cluster_name="c1", identities=[one], poll_interval=0.1)
    observed = cluster.observed(one, state="Assigned")
    mark = modules.mark()
    azure, unread = look(observed)
    assert unread == () and codes(observed, azure) == []
    assert modules.writes(mark) == []
    azure = found(azure)
    assert azure.kubelet.principal_id == cluster.principal and azure.kubelet.exists
    assert azure.node_resource_group.lower() == cluster.nodes.lower()
    assert azure.tenant_id == cluster.azure.tenant_id == found(azure).kubelet.tenant_id
    assert azure.missing == ()
    (scale_set,) = azure.scale_sets
    assert scale_set.id == cluster.scale_set and scale_set.state == "Succeeded"
    assert scale_set.carried[one.lower()] == cluster.client_id(one)
    assert azure.named(one.upper()) is not None


def test_each_thing_is_asked_for_once(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    cluster.azure.group("rg2")
    ids = [cluster.identity(f"id-{one}", "rg2" if one % 2 else "rg") for one in range(20)]
    cluster.grant_all()
    observed = cluster.observed(*ids, ids[0].upper().replace("/SUBSCRIPTIONS/", "/subscriptions/"))
    mark = modules.mark()
    azure, unread = look(observed)
    assert unread == ()
    group = f"/subscriptions/{cluster.azure.subscription_id}/resourcegroups/"
    nodes, auth = cluster.nodes.lower(), AUTHORIZATION.lower()
    roles = f"/subscriptions/{cluster.azure.subscription_id}{auth}/roledefinitions/"
    assert sorted(asked(modules, mark)) == sorted(
        [
            cluster.cluster["id"].lower(),
            f"{nodes}/providers/{SETS.lower()}",
            f"{nodes}/providers/microsoft.compute/virtualmachines",
            cluster.kubelet.lower(),
            *(one.lower() for one in ids),
            *(f"{group}{one}{auth}/roleassignments" for one in ("rg", "rg2", NODES.lower())),
            f"{nodes}{auth}/denyassignments",
            f"{nodes}{auth}/locks",
            *(f"{roles}{azure_roles.BUILT_IN[one]}" for one in (OPERATOR, CONTRIBUTOR)),
        ]
    )
    lacking = [("not_granted", OPERATOR, one) for one in ids if "/rg2/" in one]
    assert sorted(missing(azure)) == sorted(lacking)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([], ["role_missing_on_identity", "role_missing_on_node_resource_group"]),
        ([(CONTRIBUTOR, "nodes")], ["role_missing_on_identity"]),
        ([(OPERATOR, "identity")], ["role_missing_on_node_resource_group"]),
        ([(CONTRIBUTOR, "set"), (OPERATOR, "rg")], []),
        ([("Contributor", "subscription")], []),
    ],
)
def test_what_mic_may_do(look: Look, cluster: Diagnosed, roles: list[tuple[str, str]], expected: list[str]) -> None:
    one = cluster.identity("one")
    places = {"nodes": cluster.nodes, "identity": one, "set": cluster.scale_set, "rg": cluster.rg}
    places["subscription"] = cluster.rg.partition("/resourceGroups/")[0]
    for role, place in roles:
        cluster.grant(role, places[place])
    observed = cluster.observed(one)
    azure, unread = look(observed)
    assert unread == () and codes(observed, azure) == expected


def test_a_role_of_the_customer(look: Look, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    cluster.grant(CONTRIBUTOR, cluster.nodes)
    role = partial(cluster.azure.custom_role, "Gives identities", cluster.rg)
    cluster.grant(role([f"{IDENTITIES}/*"], [f"{IDENTITIES}/assign/action"]), cluster.rg)
    azure, unread = look(cluster.observed(one))
    assert (unread, missing(azure)) == ((), [("not_granted", OPERATOR, one)])
    assert found(azure).missing[0].held == (f"Gives identities at {cluster.rg}",)
    role([f"{IDENTITIES}/assign/*"])
    azure, unread = look(cluster.observed(one))
    assert (unread, missing(azure)) == ((), [])


def test_a_lock(look: Look, cluster: Diagnosed) -> None:
    observed = cluster.observed(cluster.identity("one"))
    cluster.grant_all()
    path = f"{cluster.nodes}{AUTHORIZATION}/locks/keep"
    for level, stopped in (("CanNotDelete", []), ("ReadOnly", [("locked", CONTRIBUTOR, cluster.scale_set)])):
        cluster.azure.arm("PUT", path, {"properties": {"level": level}}, version="2020-05-01").raise_for_status()
        azure, unread = look(observed)
        assert (unread, missing(azure)) == ((), stopped)
    assert codes(observed, azure) == ["locked"]
    assert (found(azure).missing[0].by, found(azure).missing[0].at.lower()) == ("keep", cluster.nodes.lower())


def test_a_deny_assignment(look: Look, cluster: Diagnosed) -> None:
    observed = cluster.observed(cluster.identity("one"))
    cluster.grant_all()
    denial: dict[str, Any] = {"scope": cluster.nodes, "name": "lockdown", "actions": ["*/write"]}
    for excluded, expected in (([cluster.principal], []), ([], ["denied_by_assignment"])):
        cluster.azure.control("POST", "/deny-assignments", {**denial, "excluded_principals": excluded})
        azure, unread = look(observed)
        assert (unread, codes(observed, azure)) == ((), expected)


def test_an_identity_that_is_gone(look: Look, cluster: Diagnosed) -> None:
    one, two = cluster.identity("one"), cluster.identity("two")
    cluster.grant_all()
    cluster.forget(two)
    observed = cluster.observed(one, two)
    azure, unread = look(observed)
    assert (unread, missing(azure)) == ((), [])
    assert codes(observed, azure) == ["identity_gone", "dead_identity_blocks_others"]
    of_no_group = cluster.observed(f"{cluster.rg}-gone/providers/{IDENTITIES}/one")
    azure, unread = look(of_no_group)
    assert unread == () and "identity_gone" in codes(of_no_group, azure)


def test_an_identity_that_was_made_again(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    cluster.grant_all()
    modules.succeed("vmss_identity", resource_group="rg", cluster_name="c1", identities=[one], poll_interval=0.1)
    observed = cluster.observed(one, state="Assigned")
    cluster.forget(one)
    assert cluster.identity("one") == one
    azure, unread = look(observed)
    assert unread == () and codes(observed, azure) == ["identity_recreated"]


@pytest.mark.parametrize(
    "fault", [PAGE, {"status": 404, "body": {"error": {"code": "SubscriptionNotFound", "message": "no"}}, "count": 0}]
)
def test_no_answer_of_azure_is_no_absence(
    modules: Modules, look: Look, cluster: Diagnosed, fault: dict[str, Any]
) -> None:
    one = cluster.identity("one")
    cluster.grant_all()
    observed = cluster.observed(one)
    modules.fault("GET", "userAssignedIdentities/one", **fault)
    azure, (unread,) = look(observed)
    assert found(azure).named(one) is None and codes(observed, azure) == []
    assert unread.what == f"one of the identities of {cluster.rg}" or unread.what.endswith(cluster.rg)
    assert unread.source == "azure" and "network" in unread.needs


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("virtualMachineScaleSets", "the scale sets of"),
        ("virtualMachines", "the virtual machines of"),
        ("roleAssignments", "the roles that MIC has at"),
        ("roleDefinitions", "the role /subscriptions/"),
        ("denyAssignments", "the deny assignments and locks at"),
        ("locks", "the deny assignments and locks at"),
    ],
)
def test_a_page_in_place_of_a_list(modules: Modules, look: Look, cluster: Diagnosed, path: str, what: str) -> None:
    """It is told as unread, and no cause follows from it."""
    one = cluster.identity("one")
    cluster.grant_all()
    observed = cluster.observed(one)
    modules.fault("GET", f"/{path}[/?]", **PAGE)
    azure, unread = look(observed)
    assert unread and all(each.what.startswith(what) for each in unread)
    assert codes(observed, azure) == []


def test_a_stranger_learns_what_he_needs(look: Look, cluster: Diagnosed) -> None:
    """Of somebody who may read the cluster alone, everything else is told with the action that is missing."""
    one = cluster.identity("one")
    cluster.grant_all()
    who = cluster.azure.principal("somebody", ("Azure Kubernetes Service Cluster User Role", cluster.cluster["id"]))
    observed = cluster.observed(one)
    azure, unread = look(observed, who)
    assert found(azure).cluster and found(azure).scale_sets == () and found(azure).identities == {}
    assert codes(observed, azure) == []
    needs = {each.needs.partition(" at ")[0] for each in unread}
    assert needs == {f"{SETS}/read", "Microsoft.Compute/virtualMachines/read", f"{IDENTITIES}/read"}
    assert all(each.why.startswith("Could not ") and "may not perform" in each.why for each in unread)


def test_a_reader_of_all_but_roles(look: Look, cluster: Diagnosed) -> None:
    observed = cluster.observed(cluster.identity("one"))
    azure, unread = look(observed, cluster.reader_without("Microsoft.Authorization/*/read"))
    assert {each.needs.partition(" at ")[0] for each in unread} == {"Microsoft.Authorization/roleAssignments/read"}
    assert len(unread) == 2 and missing(azure) == [] and codes(observed, azure) == []


def test_a_reader_of_all_but_barriers(look: Look, cluster: Diagnosed) -> None:
    hidden = [f"Microsoft.Authorization/{kind}/read" for kind in ("denyAssignments", "locks")]
    azure, unread = look(cluster.observed(cluster.identity("one")), cluster.reader_without(*hidden))
    assert [each.needs.partition(" at ")[0] for each in unread] == hidden
    lacking = {role for _reason, role, _scope in missing(azure)}  # roles are told all the same
    assert lacking == {OPERATOR, CONTRIBUTOR, "Network Contributor"}


def test_who_may_not_read_the_cluster(look: Look, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    who = cluster.azure.principal("somebody", ("Reader", one))
    azure, unread = look(cluster.observed(one), who)
    assert found(azure).cluster == {} and found(azure).named(one) is not None
    assert [each.needs.partition(" at ")[0] for each in unread][0] == "Microsoft.ContainerService/managedClusters/read"
    assert codes(cluster.observed(one), azure) == []


def test_no_login(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    wrong = Credentials(cluster.azure.owner.client_id, "wrong", "")
    azure, (unread,) = look(cluster.observed(cluster.identity("one")), wrong)
    assert azure is None and unread.what == "Azure around the cluster c1"
    assert "AADSTS7000215" in unread.why and "wrong" not in unread.why


def test_azure_does_not_answer(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    observed = cluster.observed(cluster.identity("one"))
    modules.fault("GET", "managedClusters/c1", reset=True, count=0)
    mark = modules.mark()
    azure, (unread,) = look(observed, wait_timeout=0)
    assert azure is None and unread.what == "Azure around the cluster c1"
    assert {path.rpartition("/")[2] for path in asked(modules, mark)} <= {"c1"}


def test_azure_stops_to_answer(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    """What was read stays, and what was not is told together."""
    one = cluster.identity("one")
    observed = cluster.observed(one)
    modules.fault("GET", "roleAssignments", reset=True, count=0)
    azure, (unread,) = look(observed, wait_timeout=0)
    assert found(azure).named(one) and found(azure).scale_sets and missing(azure) == []
    assert unread.what.startswith("the roles that MIC has at") and "did not answer" in unread.why


def test_no_such_cluster_and_another_one(look: Look, cluster: Diagnosed) -> None:
    azure, (unread,) = look(cluster.observed(), name="c2")
    assert azure is None and unread.why == "There is no cluster c2 in the resource group rg."
    cluster.azure.cluster(name="c2")
    azure, (unread,) = look(cluster.observed(), name="c2")
    assert azure is None and "another one's" in unread.why


def test_an_identity_of_another_tenant(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    one, other = cluster.identity("one"), str(uuid.uuid4())
    cluster.grant_all()
    observed = cluster.observed(one)
    message = (
        f"The access token is from the wrong issuer 'https://sts.windows.net/{cluster.azure.tenant_id}/'. It must "
        f"match the tenant 'https://sts.windows.net/{other}/' associated with this subscription."
    )
    body = {"error": {"code": "InvalidAuthenticationTokenTenant", "message": message}}
    modules.fault("GET", "userAssignedIdentities/one", status=401, body=body, count=0)
    azure, unread = look(observed)
    assert unread == () and codes(observed, azure) == ["identity_of_other_tenant"]
    identity_found = found(azure).named(one)
    assert identity_found and identity_found.tenant_id == other


def test_identities_of_another_subscription(look: Look, cluster: Diagnosed) -> None:
    """Who may not look there is told once, however many a tenant names."""
    strange = f"/subscriptions/{uuid.uuid4()}/resourceGroups/theirs/providers/{IDENTITIES}"
    cluster.grant_all()
    observed = cluster.observed(*(f"{strange}/id-{one}" for one in range(12)))
    azure, (unread,) = look(observed)
    assert codes(observed, azure) == [] and "and 9 more" in unread.what


def test_no_text_of_a_tenant_chooses_a_path(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    wild = [
        f"{one}/../../../..",
        f"{cluster.rg}/../../providers/{IDENTITIES}/two",
        f"{one}?x=y",
        f"{one}#z",
        f"{one}/federatedIdentityCredentials/x",
        "/subscriptions",
        cluster.cluster["id"],
        "https://elsewhere.example/",
        "",
    ]
    cluster.grant_all()
    observed = cluster.observed(*wild)
    mark = modules.mark()
    azure, unread = look(observed)
    assert unread == () and set(found(azure).identities) == {cluster.kubelet.lower()}
    assert [path for path in asked(modules, mark) if "userassigned" in path] == [cluster.kubelet.lower()]


def test_mic_that_logs_in_by_itself(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    mic = program(MIC)
    container = {**mic.workload["spec"]["template"]["spec"]["containers"][0], "env": [{"name": "CLIENT_ID"}]}
    workload = {**mic.workload, "spec": {"template": {"spec": {"containers": [container]}}}}
    observed = cluster.observed(cluster.identity("one"), components=(Component(MIC, workload, mic.pods), program(NMI)))
    mark = modules.mark()
    azure, (unread,) = look(observed)
    assert missing(azure) == [] and codes(observed, azure) == [] and "credential of its own" in unread.why
    assert not [path for path in asked(modules, mark) if "microsoft.authorization" in path]


def test_machines_elsewhere(modules: Modules, look: Look, cluster: Diagnosed) -> None:
    """Only those that nodes are on, by one list for their group; one of a flexible scale set stands for that."""
    one = cluster.identity("one")
    cluster.grant_all()
    cluster.azure.group("mine")
    on = {each: {"clientId": cluster.client_id(each)} for each in (one, cluster.kubelet)}
    carried = {"identity": {"type": "UserAssigned", "userAssignedIdentities": on}}
    machine = cluster.azure.machine("mine", "vm-0", **carried)
    cluster.azure.machine("mine", "vm-1")
    flexible = cluster.azure.scale_set("mine", "flexible", **carried)
    cluster.azure.scale_set("mine", "stranger")
    body = {"properties": {"provisioningState": "Succeeded", "virtualMachineScaleSet": {"id": flexible}}}
    instance = cluster.azure.machine("mine", "vm-2", **body)
    nodes = [node("n1", cluster.provider), node("n2", f"azure://{machine}"), node("n3", f"azure://{instance}")]
    observed = cluster.observed(
        one, Node=nodes, Pod=[pod("p0", "s0", spec={"nodeName": "n3"})], AzureAssignedIdentity=[]
    )
    mark = modules.mark()
    azure, unread = look(observed)
    assert unread == ()
    assert sorted(each.name for each in found(azure).scale_sets) == sorted(
        [cluster.scale_set.rpartition("/")[2], "vm-0", "flexible"]
    )
    under = found(azure).under(f"azure://{instance.upper().replace('/SUBSCRIPTIONS/', '/subscriptions/')}")
    assert under is not None and under.id == flexible
    lists = [path for path in asked(modules, mark) if "microsoft.compute" in path]
    assert len(lists) == len(set(lists)) == 4
    # Somebody attached it there, where MIC does not look, so that a role would not help.
    assert codes(observed, azure) == ["nodes_elsewhere"]


# Workload ID


def federated(cluster: Diagnosed, *ids: str, **more: Any) -> Observed:
    """The cluster with a pod for each of these identities, whose service account names it."""
    labels = {"azure.workload.identity/use": "true"}
    pods = [pod(f"p{one}", f"s{one}", labels=labels, spec={"serviceAccountName": f"a{one}"}) for one in range(len(ids))]
    clients = [{"azure.workload.identity/client-id": cluster.client_id(each).upper()} for each in ids]
    accounts = [
        {"metadata": {"name": f"a{one}", "namespace": "team", "annotations": told}} for one, told in enumerate(clients)
    ]
    return cluster.observed(*ids, **{"Pod": pods, "ServiceAccount": accounts, **more})


def mistrusted(observed: Observed) -> list[tuple[str, str]]:
    rows = (row for row in of_workload_id.TABLE.rows if row.code.startswith("credential_"))
    return [(row.code, one.object) for row in rows for one in row.look(observed)]


def test_credentials_of_what_service_accounts_name(modules: Modules, observe: Observe, cluster: Diagnosed) -> None:
    """One list for each identity, and none for those of AAD Pod Identity alone."""
    one, two, other = (cluster.identity(name) for name in ("one", "two", "other"))
    cluster.grant_all()
    trust(cluster, one, "a0")
    observed = federated(cluster, one, two)
    objects = {
        **observed.objects,
        "AzureIdentity": [*observed.objects["AzureIdentity"], identity("i9", resourceID=other)],
    }
    mark = modules.mark()
    made = observe(world(None, **objects, components=observed.components))
    assert made.unread == () and made.credentials is not None
    assert {key: [each.subject for each in several] for key, several in made.credentials.items()} == {
        one.lower(): ["system:serviceaccount:team:a0"],
        two.lower(): [],
    }
    assert sorted(lists_of_credentials(modules, mark)) == [
        f"{each.lower()}/federatedidentitycredentials" for each in (one, two)
    ]
    assert mistrusted(made) == [("credential_missing", "ServiceAccount team/a1")]


def test_credentials_of_identities_that_no_azure_identity_names(
    modules: Modules, observe: Observe, cluster: Diagnosed
) -> None:
    """They are found in the group of the cluster, by one list; who is not found there is told."""
    one, two = cluster.identity("one"), cluster.identity("two")
    cluster.grant_all()
    trust(cluster, one, "a0")
    observed = federated(cluster, one, two)
    objects = {**observed.objects, "AzureIdentity": [], "AzureIdentityBinding": [], "AzureAssignedIdentity": []}
    objects["ServiceAccount"][1]["metadata"]["annotations"]["azure.workload.identity/client-id"] = "unknown"
    mark = modules.mark()
    made = observe(world(None, **objects, components=observed.components))
    lists = [path for path in asked(modules, mark) if path.endswith("userassignedidentities")]
    assert lists == [f"{cluster.rg}/providers/{IDENTITIES}".lower()]
    assert made.credentials is not None and set(made.credentials) == {one.lower()}
    (unread,) = made.unread
    assert unread.what == "the federated credentials for ServiceAccount team/a1" and "unknown" in unread.why
    assert mistrusted(made) == []


def test_credentials_of_an_identity_that_is_gone(observe: Observe, cluster: Diagnosed) -> None:
    """The identity is told as gone, not as one without credentials."""
    one = cluster.identity("one")
    cluster.grant_all()
    observed = federated(cluster, one)
    cluster.forget(one)
    made = observe(observed)
    assert (made.unread, made.credentials, mistrusted(made)) == ((), {}, [])


def test_who_may_not_read_credentials(observe: Observe, cluster: Diagnosed) -> None:
    one, two = cluster.identity("one"), cluster.identity("two")
    cluster.grant_all()
    who = cluster.reader_without(f"{IDENTITIES}/federatedIdentityCredentials/read")
    made = observe(federated(cluster, one, two), who)
    assert (made.credentials, mistrusted(made)) == ({}, [])
    (unread,) = made.unread
    assert unread.what == f"one, two among the identities with federated credentials of {cluster.rg}"
    assert unread.needs == f"{IDENTITIES}/federatedIdentityCredentials/read at {cluster.rg}"
    assert "may not perform" in unread.why


def test_a_page_in_place_of_credentials(modules: Modules, observe: Observe, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    cluster.grant_all()
    observed = federated(cluster, one)
    modules.fault("GET", "federatedIdentityCredentials", **PAGE)
    made = observe(observed)
    assert (made.credentials, mistrusted(made)) == ({}, [])
    (unread,) = made.unread
    assert unread.what.startswith("one among the identities with federated") and "network" in unread.needs


def test_credentials_are_read_within_bounds(
    modules: Modules, observe: Observe, cluster: Diagnosed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_MOST", 2)
    ids = [cluster.identity(name) for name in ("one", "two", "three")]
    cluster.grant_all()
    mark = modules.mark()
    made = observe(federated(cluster, *ids))
    assert len(lists_of_credentials(modules, mark)) == 2 and len(made.credentials or ()) == 2
    assert "the federated credentials of 1 more identities that service accounts name" in [
        each.what for each in made.unread
    ]
