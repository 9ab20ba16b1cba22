# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of a migration reads of Azure: with which requests, and what becomes of those that fail."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._azure import migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Arm
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import Credential
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.inventory import Cluster, Inventory
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.observed import Choices, Observed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.world import World
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import binding, identity, pod
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire.modules.diagnosed import (
    AUDIENCE,
    IDENTITIES,
    PAGE,
    Diagnosed,
    asked,
    connecting,
    lists_of_credentials,
    trust,
)
from azsandbox.azure.loopback import Credentials, SimulatedAzure

Observe = Callable[..., Observed]
Login = Callable[..., Callable[[], Arm]]
WEB = "system:serviceaccount:team:web"


@pytest.fixture
def cluster(azure: SimulatedAzure) -> Diagnosed:
    return Diagnosed(azure)


@pytest.fixture
def login(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> Login:
    return partial(connecting, modules, monkeypatch)


@pytest.fixture
def observe(login: Login) -> Observe:
    """With what Azure tells of pods of these identities, as the owner of the subscription or as somebody else."""

    def observe(
        cluster: Diagnosed,
        *ids: str,
        who: Credentials | None = None,
        name: str = "c1",
        choices: Choices | None = None,
        **more: Any,
    ) -> Observed:
        made = cluster.observed(*ids, **more)
        seen = Observed(made.inventory, made.objects)
        return migration.observe(login(who), {"resource_group": "rg", "cluster_name": name}, seen, choices or Choices())

    return observe


def set_up(cluster: Diagnosed, **properties: Any) -> None:
    """Gives the cluster these properties."""
    path = str(cluster.cluster["id"])
    body = cluster.azure.arm("GET", path).json()
    body["properties"].update(properties)
    cluster.azure.arm("PUT", path, body).raise_for_status()


def test_one_request_for_the_cluster_and_one_for_each_identity(
    modules: Modules, observe: Observe, cluster: Diagnosed
) -> None:
    one, two = cluster.identity("one"), cluster.identity("two")
    trust(cluster, one, "web")
    mark = modules.mark()
    made = observe(cluster, one, two)
    assert made.unread == () and modules.writes(mark) == []
    told = {key: [each.subject for each in several] for key, several in (made.credentials or {}).items()}
    assert told == {one.lower(): ["system:serviceaccount:team:web"], two.lower(): []}
    paths = asked(modules, mark)
    assert len(paths) == len(set(paths)) == 3 and len(lists_of_credentials(modules, mark)) == 2
    assert made.cloud.audience.startswith("api://AzureADTokenExchange") and made.cloud.login_host


def test_identities_that_no_workload_gets_are_read_too_and_each_once(
    modules: Modules, observe: Observe, cluster: Diagnosed
) -> None:
    one, other = cluster.identity("one"), cluster.identity("other")
    twice = [identity("a", resourceID=one), identity("b", resourceID=one.upper()), identity("c", resourceID=other)]
    broken = identity("d", resourceID="/subscriptions/s/../nowhere")
    mark = modules.mark()
    made = observe(cluster, AzureIdentity=[*twice, broken])
    assert set(made.credentials or ()) == {one.lower(), other.lower()}
    assert len(lists_of_credentials(modules, mark)) == 2


def test_issuer_and_add_on(observe: Observe, cluster: Diagnosed) -> None:
    made = observe(cluster)
    assert (made.issuer, made.addon) == ("", False)
    set_up(cluster, oidcIssuerProfile={"enabled": True}, securityProfile={"workloadIdentity": {"enabled": True}})
    made = observe(cluster)
    assert made.issuer and made.issuer.startswith("https://") and made.addon is True


def test_no_such_cluster_and_another_one(observe: Observe, cluster: Diagnosed) -> None:
    made = observe(cluster, name="c2")
    (unread,) = made.unread
    assert unread.why == "There is no cluster c2 in the resource group rg."
    assert (made.credentials, made.issuer) == (None, None)
    cluster.azure.cluster(name="c2")
    made = observe(cluster, name="c2")
    (unread,) = made.unread
    assert "another one's" in unread.why and (made.credentials, made.issuer) == (None, None)


def test_an_identity_that_is_gone_has_no_credentials(observe: Observe, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    cluster.forget(one)
    made = observe(cluster, one)
    assert (made.unread, made.credentials) == ((), {})


def test_who_may_not_read_credentials(observe: Observe, cluster: Diagnosed) -> None:
    who = cluster.reader_without(f"{IDENTITIES}/federatedIdentityCredentials/read")
    made = observe(cluster, cluster.identity("one"), who=who)
    assert (made.credentials, made.issuer) == ({}, "")
    (unread,) = made.unread
    assert unread.what == f"one among the identities with federated credentials of {cluster.rg}"
    assert unread.needs == f"{IDENTITIES}/federatedIdentityCredentials/read at {cluster.rg}"


def test_who_may_read_nothing(observe: Observe, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    made = observe(cluster, one, who=cluster.azure.principal("nobody"))
    assert (made.credentials, made.issuer, made.addon) == ({}, None, None)
    assert len(made.unread) == 2 and all("may not perform" in each.why for each in made.unread)


@pytest.mark.parametrize("place", ["managedClusters", "federatedIdentityCredentials"])
def test_a_page_in_place_of_an_answer(modules: Modules, observe: Observe, cluster: Diagnosed, place: str) -> None:
    """Nothing counts as absent for it."""
    one = cluster.identity("one")
    modules.fault("GET", place, **PAGE)
    made = observe(cluster, one)
    (unread,) = made.unread
    assert "network" in unread.needs
    if place == "managedClusters":
        assert (made.issuer, made.addon) == (None, None) and made.credentials == {one.lower(): ()}
    else:
        assert made.credentials == {}


def test_a_login_that_fails(
    monkeypatch: pytest.MonkeyPatch, modules: Modules, cluster: Diagnosed, observe: Observe
) -> None:
    who = cluster.azure.principal("somebody")
    monkeypatch.setattr(
        type(modules), "login", lambda *_arguments: {"AZURE_SECRET": "wrong", "AZURE_CLIENT_ID": who.client_id}
    )
    made = observe(cluster, cluster.identity("one"), who=who)
    (unread,) = made.unread
    assert unread.what == "Azure around the cluster c1" and made.credentials is None


def test_identities_are_read_within_bounds(
    modules: Modules, observe: Observe, cluster: Diagnosed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those first that workloads get."""
    monkeypatch.setattr(migration, "_MOST", 1)
    one, other = cluster.identity("one"), cluster.identity("other")
    made = observe(cluster, one, other)
    assert len(made.credentials or ()) == 1
    assert [each.what for each in made.unread] == [
        "the federated credentials of 1 more identities that AzureIdentities name"
    ]
    spare = [identity("spare", resourceID=other), identity("i0", resourceID=one, clientID=cluster.client_id(one))]
    assert set(observe(cluster, one, AzureIdentity=spare).credentials or ()) == {one.lower()}


def principals(cluster: Diagnosed, *app_ids: str) -> dict[str, Any]:
    """A pod for each of these applications, by AzureIdentities of type 1."""
    spec: dict[str, Any] = {"type": 1, "resourceID": "", "tenantID": cluster.azure.tenant_id}
    several = [identity(f"a{one}", clientID=each, **spec) for one, each in enumerate(app_ids)]
    return {
        "AzureIdentity": several,
        "AzureIdentityBinding": [binding(f"a{one}", f"a{one}", f"a{one}") for one in range(len(app_ids))],
        "Pod": [pod(f"a{one}", f"a{one}") for one in range(len(app_ids))],
        "AzureAssignedIdentity": [],
    }


def application(cluster: Diagnosed, name: str, **more: Any) -> Credentials:
    """One that trusts a service account."""
    trusted = {"name": "web", "issuer": "https://issuer/", "subject": WEB, "audiences": [AUDIENCE]}
    return cluster.azure.principal(name, federated=[trusted], **more)


def reader(cluster: Diagnosed, *graph: str) -> Credentials:
    return cluster.azure.principal("reader", ("Reader", cluster.rg.partition("/resourceGroups/")[0]), graph=[*graph])


def of_graph(modules: Modules, mark: int) -> list[str]:
    return [each["path"].lower() for each in modules.requests(mark) if each["path"].startswith("/v1.0/")]


def test_applications_of_service_principals(modules: Modules, observe: Observe, cluster: Diagnosed) -> None:
    """Two requests each, of those that workloads get; ids are compared without regard to case."""
    one, other = application(cluster, "one"), application(cluster, "other")
    objects = principals(cluster, one.client_id.upper())
    objects["AzureIdentity"].append(identity("unused", type=1, clientID=other.client_id))
    mark = modules.mark()
    made = observe(cluster, who=reader(cluster, "Application.Read.All"), **objects)
    told = {key: [each.subject for each in several] for key, several in (made.credentials or {}).items()}
    assert (told, made.unread, made.tenant) == ({one.client_id: [WEB]}, (), cluster.azure.tenant_id)
    assert len(of_graph(modules, mark)) == 2 and modules.writes(mark) == []
    mark = modules.mark()
    observe(cluster, cluster.identity("managed"))
    assert of_graph(modules, mark) == []


def test_applications_that_may_not_be_read_or_are_none(observe: Observe, cluster: Diagnosed) -> None:
    """Managed identities are read all the same."""
    one, nobody = application(cluster, "one"), str(uuid.uuid4())
    made = observe(cluster, who=reader(cluster), **principals(cluster, one.client_id))
    (unread,) = made.unread
    assert unread.what == f"the federated credentials of the application {one.client_id}"
    assert "may not perform" in unread.why or "Insufficient privileges" in unread.why
    assert (unread.needs, made.credentials) == ("Application.Read.All of Microsoft Graph", {})
    made = observe(cluster, who=reader(cluster, "Application.Read.All"), **principals(cluster, nobody, one.client_id))
    (unread,) = made.unread
    assert "has no application with that client id" in unread.why and set(made.credentials or ()) == {one.client_id}


def test_graph_that_cannot_be_reached(modules: Modules, observe: Observe, cluster: Diagnosed) -> None:
    one = cluster.identity("one")
    objects = principals(cluster, application(cluster, "a").client_id, application(cluster, "b").client_id)
    objects["AzureIdentity"].append(identity("managed", resourceID=one))
    modules.fault("GET", "/v1.0/applications", **PAGE)
    made = observe(cluster, who=reader(cluster, "Application.Read.All"), **objects)
    assert set(made.credentials or ()) == {one.lower()} and made.issuer == ""
    assert len(made.unread) == 2 and all("network" in each.needs for each in made.unread)


def test_applications_are_read_within_bounds(
    observe: Observe, cluster: Diagnosed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "_MOST_APPLICATIONS", 1)
    ids = [application(cluster, name).client_id for name in ("a", "b")]
    made = observe(cluster, who=reader(cluster, "Application.Read.All"), **principals(cluster, *ids))
    assert set(made.credentials or ()) == {ids[0]}
    assert [each.what for each in made.unread] == ["the federated credentials of 1 more applications"]


def test_identities_that_take_the_place_of_others(observe: Observe, cluster: Diagnosed) -> None:
    """Azure alone says their client ids; the service principal is not asked about any more."""
    one, gone = cluster.identity("money"), cluster.identity("gone")
    cluster.forget(gone)
    objects = principals(cluster, str(uuid.uuid4()), str(uuid.uuid4()))
    made = observe(cluster, choices=Choices(replacements={"team/a0": one, "team/a1": gone}), **objects)
    assert (made.client_ids, made.unread) == ({one.lower(): cluster.client_id(one)}, ())
    assert made.credentials == {one.lower(): ()}


def test_where_azure_is_not_asked() -> None:
    nothing = Observed(Inventory(Cluster()))
    made = migration.without({"cloud_environment": "azurechinacloud"}, nothing)
    assert (made.cloud.login_host, made.cloud.audience) == ("login.chinacloudapi.cn", f"{AUDIENCE}China")
    assert [each.what for each in made.unread] == ["Azure"]
    assert migration.without({"cloud_environment": None}, nothing).cloud.login_host == "login.microsoftonline.com"
    assert migration.without({"cloud_environment": "https://mine.example"}, nothing).cloud.login_host == ""


def trusting(observe: Observe, cluster: Diagnosed) -> World:
    """A pod whose service account its identity trusts already."""
    set_up(cluster, oidcIssuerProfile={"enabled": True})
    issuer = cluster.azure.arm("GET", str(cluster.cluster["id"])).json()["properties"]["oidcIssuerProfile"]["issuerURL"]
    one = cluster.identity("one")
    trust(cluster, one, "web", issuer)
    account = {"metadata": {"namespace": "team", "name": "web"}}
    return World(observe(cluster, one, ServiceAccount=[account]))


def signed(cluster: Diagnosed, credential: Credential) -> str:
    """A token of the service account, as the API server of that cluster issues it."""
    now = int(time.time())
    claims = {"iss": credential.issuer, "sub": credential.subject, "aud": list(credential.audiences)}
    return str(cluster.azure.compute.sign({**claims, "iat": now, "nbf": now, "exp": now + 600}))


@pytest.mark.parametrize(("every", "granted"), [(0, 20), (10, 18)])
def test_exchanges_by_credentials_that_exist(
    observe: Observe, login: Login, cluster: Diagnosed, every: int, granted: int
) -> None:
    world = trusting(observe, cluster)
    if every:
        cluster.azure.control("POST", "/faults", {"aadsts": 700213, "every": every})
    told = migration.exchange(login()(), world, partial(signed, cluster), 20, None)
    (made,) = told.exchanges
    (client_id,) = [one.client_id for one in world.candidates]
    assert (made.service_account, made.client_id, made.workload) == ("team/web", client_id, "")
    assert (made.asked, made.granted) == (20, granted)
    assert made.codes == ({"AADSTS700213": 20 - granted} if every else {}) and told.unread == world.observed.unread
    blocked = {item.code for one in world.candidates for item in plan.plan(one, World(told)).blocked}
    assert "exchanges_fail" not in blocked


def test_what_cannot_be_exchanged_is_told(observe: Observe, login: Login, cluster: Diagnosed) -> None:
    world = trusting(observe, cluster)

    def forbidden(_credential: Credential) -> str:
        raise Failure("The user of this connection may not create serviceaccounts/token.")

    told = migration.exchange(login()(), world, forbidden, 3, None)
    (unread,) = told.unread[len(world.observed.unread) :]
    assert told.exchanges == () and unread.why.startswith("The user of this connection may not")
    assert migration.exchange(login()(), world, forbidden, 3, ["other"]).unread == world.observed.unread
    cluster.azure.control("POST", "/faults", {"path": "/oauth2/v2.0/token", "status": 503, "count": 0})
    told = migration.exchange(login()(), world, partial(signed, cluster), 3, None)
    assert told.exchanges == () and told.unread[-1].what == "exchanges by 1 federated credentials"
