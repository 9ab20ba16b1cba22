# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Federated credentials of applications; what they share with those of identities is tested there."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire.modules.token_cluster import AUDIENCE, TokenCluster, subject
from azsandbox.azure.loopback import Credentials, SimulatedAzure

MODULE = "application_federated_credential"
OWNED = "Application.ReadWrite.OwnedBy"
ISSUER = "https://issuer.example/tenant/cluster/"
FAST = {"poll_interval": 0.1}
PODS: dict[str, Any] = {"name": "pods", "issuer": ISSUER, "namespace": "ns", "service_account": "sa", **FAST}


@dataclass(frozen=True)
class Application:
    """One, and its owner with the least rights, who calls the module."""

    azure: SimulatedAzure
    owner: Credentials
    itself: Credentials

    @property
    def where(self) -> dict[str, Any]:
        return {"app_id": self.itself.client_id, "who": self.owner, **FAST}

    @property
    def trusts(self) -> dict[str, dict[str, Any]]:
        """What the simulated Graph holds."""

        def read() -> list[dict[str, Any]]:
            found = self.azure.server.azure.state.principal_by_app(self.itself.client_id)
            assert found is not None
            return [dict(each.body) for each in found.federated]

        return {each["name"]: each for each in self.azure.in_loop(read)}

    def __contains__(self, name: str) -> bool:
        return name in self.trusts


def owned(azure: SimulatedAzure, **more: Any) -> Application:
    owner = azure.principal("mover", ("Reader", f"/subscriptions/{azure.subscription_id}"), graph=[OWNED])
    return Application(azure, owner, azure.principal("billing", owners=[owner.object_id], **more))


@pytest.fixture
def application(azure: SimulatedAzure) -> Application:
    return owned(azure)


def entry(name: str, account: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "ns", "service_account": account or name, **more}


def trust(account: str, issuer: str = ISSUER) -> dict[str, Any]:
    return {"issuer": issuer, "subject": subject(account), "audiences": [AUDIENCE]}


def test_the_life_of_a_credential(modules: Modules, application: Application) -> None:
    made = modules.check_and_do(MODULE, **{**application.where, **PODS})
    assert made["state"] == {
        "app_id": application.itself.client_id,
        "object_id": application.itself.application_id,
        "name": "billing",
        "credentials": [{"name": "pods", **trust("sa"), "namespace": "ns", "service_account": "sa"}],
    }
    assert {name: application.trusts["pods"][name] for name in trust("sa")} == trust("sa")
    path = f"applications/{application.itself.application_id}/federatedIdentityCredentials/pods"
    kind = "Microsoft.Graph/applications/federatedIdentityCredentials"
    assert made["changes"] == [{"verb": "create", "kind": kind, "id": path, "why": ""}]
    changed = modules.check_and_do(MODULE, **{**application.where, **PODS, "name": "PODS", "service_account": "other"})
    assert changed["actions"] == ["change federated credential pods"]
    assert application.trusts["pods"]["subject"] == subject("other")
    removed = modules.check_and_do(MODULE, **application.where, name="pods", state="absent")
    assert (removed["state"]["credentials"], application.trusts) == ([], {})


def test_what_is_not_set_is_not_touched(modules: Modules, azure: SimulatedAzure) -> None:
    application = owned(azure, federated=[{"name": "pods", **trust("sa"), "description": "why", "later": {"a": 1}}])
    assert not modules.succeed(MODULE, **application.where, name="pods")["changed"]
    modules.check_and_do(MODULE, **application.where, name="pods", audiences=["api://other"])
    found = application.trusts["pods"]
    assert (found["description"], found["later"], found["audiences"]) == ("why", {"a": 1}, ["api://other"])


def test_a_list_adds_and_purges(modules: Modules, azure: SimulatedAzure) -> None:
    expression = {"value": "claims['sub'] matches 'repo:*'", "languageVersion": 1}
    flexible = {"issuer": "https://i", "audiences": [AUDIENCE], "claimsMatchingExpression": expression}
    branches = {"name": "branches", **flexible}
    application = owned(azure, federated=[{"name": "old", **trust("old")}, branches])
    wanted = {**application.where, "issuer": ISSUER, "credentials": [entry("two"), entry("one")]}
    modules.check_and_do(MODULE, **wanted)
    assert set(application.trusts) == {"old", "branches", "two", "one"}
    purged = modules.check_and_do(MODULE, **wanted, purge_credentials=True)
    assert purged["actions"] == ["delete federated credential old"]
    assert purged["kept_credentials"] == [{"name": "branches", "reason": "flexible_credential"}]
    empty: dict[str, Any] = {**application.where, "credentials": [], "purge_credentials": True}
    assert modules.fail(MODULE, **empty)["msg"].endswith("if that is meant, set purge_allow_empty.")
    modules.check_and_do(MODULE, **empty, purge_allow_empty=True)
    assert set(application.trusts) == {"branches"}
    left = modules.succeed(MODULE, **application.where, credentials=[{"name": "branches"}], state="absent")
    assert (left["changed"], set(application.trusts)) == (False, {"branches"})


def test_long_lists_come_in_pages(modules: Modules, azure: SimulatedAzure, application: Application) -> None:
    modules.succeed(MODULE, **application.where, issuer=ISSUER, credentials=[entry(f"fic{n}") for n in range(7)])
    azure.control("POST", "/settings", {"page_size": 3})
    found = modules.succeed(MODULE, **application.where, name="never", state="absent")
    assert len(found["state"]["credentials"]) == 7


@pytest.mark.parametrize("fault", [{"status": 500}, {"reset": True, "after": True}, {"cut": True}])
@pytest.mark.parametrize("absent", [False, True], ids=["present", "absent"])
def test_a_write_that_may_have_happened(
    modules: Modules, application: Application, fault: dict[str, Any], absent: bool
) -> None:
    if absent:
        modules.succeed(MODULE, **{**application.where, **PODS})
    modules.fault("PATCH,DELETE", "federatedIdentityCredentials", **fault)
    wanted = {"name": "pods", "state": "absent"} if absent else PODS
    modules.check_and_do(MODULE, **{**application.where, **wanted})
    assert ("pods" in application) != absent


def test_a_write_beside_others(modules: Modules, application: Application) -> None:
    message = "Error due to concurrent requests being made to the tenant. Please wait briefly and retry."
    busy = {"error": {"code": "Directory_ConcurrencyViolation", "message": message}}
    modules.fault("PATCH", "federatedIdentityCredentials", status=409, body=busy, count=3)
    assert modules.succeed(MODULE, **{**application.where, **PODS})["changed"]
    modules.fault("DELETE", "federatedIdentityCredentials", status=409, body=busy, count=0)
    failed = modules.fail(MODULE, **application.where, name="pods", state="absent", wait_timeout=1)
    assert failed["msg"].endswith(
        "another write is still in progress there after 1 seconds; wait for its end, or raise wait_timeout."
    )


@pytest.mark.parametrize(
    ("graph", "owner", "may"),
    [([], True, False), ([OWNED], False, False), (["Application.Read.All"], True, False), ([OWNED], True, True)],
)
def test_who_may(modules: Modules, azure: SimulatedAzure, graph: list[str], owner: bool, may: bool) -> None:
    who = azure.principal("mover", ("Reader", f"/subscriptions/{azure.subscription_id}"), graph=graph)
    itself = azure.principal("billing", owners=[who.object_id] if owner else [])
    application = Application(azure, who, itself)
    if may:
        assert modules.succeed(MODULE, **{**application.where, **PODS})["changed"]
        return
    failed = modules.fail(MODULE, **{**application.where, **PODS})
    assert failed["error"]["code"] == "Authorization_RequestDenied"
    assert "an administrator of the tenant can grant this principal the permission Application." in failed["msg"]
    assert application.trusts == {}


def test_a_prediction_names_the_least_rights(modules: Modules, application: Application) -> None:
    predicted = modules.succeed(MODULE, **{**application.where, **PODS}, check=True)
    least = {"application": application.itself.application_id, "graph_permissions": [OWNED]}
    assert predicted["permissions"] == [least]
    modules.succeed(MODULE, **{**application.where, **PODS})
    assert modules.succeed(MODULE, **{**application.where, **PODS}, check=True)["permissions"] == []


def test_an_application_that_does_not_exist(modules: Modules, application: Application) -> None:
    nobody = str(uuid.uuid4())
    for check in (True, False):
        failed = modules.fail(MODULE, **{**application.where, **PODS, "app_id": nobody}, check=check)
        assert failed["msg"].startswith(f"The tenant of this credential has no application with the client id {nobody}")
    left = modules.succeed(MODULE, **{**application.where, "app_id": nobody}, name="pods", state="absent")
    assert (left["changed"], left["state"]) == (False, {})
    mark = modules.mark()
    assert "app_id must be" in modules.fail(MODULE, **{**application.where, **PODS, "app_id": "billing"})["msg"]
    assert modules.requests(mark) == []


def test_the_token_goes_nowhere_else(modules: Modules, azure: SimulatedAzure, application: Application) -> None:
    context = f"{azure.endpoints.graph}/v1.0/$metadata#applications('x')/federatedIdentityCredentials"
    elsewhere = f"{azure.endpoints.arm}/page2"
    body = {"@odata.context": context, "value": [], "@odata.nextLink": elsewhere}
    mark = modules.mark()
    modules.fault("GET", "federatedIdentityCredentials", status=200, body=body)
    failed = modules.fail(MODULE, **{**application.where, **PODS})
    assert f"the answer refers to '{elsewhere}', which is not Microsoft Graph at 127.0.0.3" in failed["msg"]
    assert [one for one in modules.requests(mark) if "page2" in one["path"]] == []


def test_a_cloud_without_graph(modules: Modules, azure: SimulatedAzure, application: Application) -> None:
    document = azure.session.get(f"{azure.endpoints.arm}/metadata/endpoints?api-version=2019-05-01", timeout=20).json()
    without = [{name: value for name, value in each.items() if "raph" not in name} for each in document]
    modules.fault("GET", "/metadata/endpoints", status=200, body=without)
    failed = modules.fail(MODULE, **{**application.where, **PODS})
    assert failed["msg"].startswith("The cloud AzureCloud does not say where its Microsoft Graph is, which knows the ")


def test_an_exchange(modules: Modules, azure: SimulatedAzure, application: Application, cluster: TokenCluster) -> None:
    """From a service account's token to one of the service principal, many times."""
    azure.control("POST", "/settings", {"time_scale": 1.0, "federated_credential_delay": 2})
    azure.control("POST", "/faults", {"aadsts": 700213, "every": 10, "nth": 20})
    proved = {"wait_exchange": True, "host": cluster.host, "exchange_samples": 20, "exchange_min_rate": 0.8}
    wanted = {**application.where, **PODS, "issuer": cluster.issuer, **proved}
    made = modules.succeed(MODULE, **wanted)
    (found,) = made["exchanges"]
    assert found["waited"] > 0
    assert (found["credential"], found["asked"], found["proved"]) == ("pods", 20, True)
    assert not modules.succeed(MODULE, **wanted)["changed"]
    caller = application.itself.client_id
    assert modules.requests(path="oauth2", caller=caller, status="200")
    foreign = modules.fail(MODULE, **wanted, exchange_tenant=str(uuid.uuid4()))
    assert foreign["error"]["code"] == "AADSTS90002"


def test_the_issuer_of_a_cluster(modules: Modules, application: Application, cluster: TokenCluster) -> None:
    wanted = {name: value for name, value in PODS.items() if name != "issuer"}
    by_cluster = {"cluster_resource_group": "rg", "cluster_name": "c1"}
    modules.check_and_do(MODULE, **{**application.where, **wanted}, **by_cluster)
    assert application.trusts["pods"]["issuer"] == cluster.issuer
