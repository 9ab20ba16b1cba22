# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.wire.modules.token_cluster import AUDIENCE, TokenCluster, subject
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.state import FEDERATED_CREDENTIAL, Resource

UNKNOWN = "(known after apply)"
MODULE = "federated_identity_credential"
CONCURRENT = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"
IDENTITIES = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
ISSUER = "https://issuer.example/tenant/cluster/"
FAST = {"poll_interval": 0.1}
WHERE: dict[str, Any] = {"resource_group": "rg", "identity_name": "billing", **FAST}
PODS: dict[str, Any] = {**WHERE, "name": "pods", "issuer": ISSUER, "namespace": "ns", "service_account": "sa"}


@pytest.fixture
def identity(modules: Modules, group: str) -> str:
    """The id of an identity."""
    made = modules.succeed("user_assigned_identity", resource_group=group, name="billing")
    return str(made["state"]["id"])


def credentials(azure: SimulatedAzure, name: str = "billing") -> dict[str, dict[str, Any]]:
    """What the simulated Azure holds."""
    path = f"/resourceGroups/rg{IDENTITIES}/{name}/federatedIdentityCredentials"
    return {one["name"]: one["properties"] for one in azure.arm("GET", path).json()["value"]}


def entry(name: str, account: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "ns", "service_account": account or name, **more}


def trust(account: str, issuer: str = ISSUER) -> dict[str, Any]:
    return {"issuer": issuer, "subject": subject(account), "audiences": [AUDIENCE]}


def proving(cluster: TokenCluster, **more: Any) -> dict[str, Any]:
    return {**PODS, "issuer": cluster.issuer, "wait_exchange": True, "host": cluster.host, **more}


def test_the_life_of_a_credential(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    made = modules.check_and_do(MODULE, **PODS)
    assert credentials(azure) == {"pods": trust("sa")}
    assert made["state"]["identity_id"].lower() == identity.lower()
    assert made["state"]["credentials"] == [{"name": "pods", **trust("sa"), "namespace": "ns", "service_account": "sa"}]
    assert made["diff"]["after"] == made["state"]
    assert made["actions"] == ["create federated credential pods"]

    changed = modules.check_and_do(MODULE, **{**PODS, "issuer": ISSUER.rstrip("/")})
    assert changed["diff"]["before"] == made["state"]
    assert credentials(azure) == {"pods": trust("sa", ISSUER.rstrip("/"))}

    removed = modules.check_and_do(MODULE, **WHERE, name="pods", state="absent")
    assert removed["state"]["credentials"] == []
    assert credentials(azure) == {}


def test_names_ignore_case_and_values_do_not(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    modules.succeed(MODULE, **PODS)
    assert not modules.succeed(MODULE, **{**PODS, "name": "PODS", "identity_name": "BILLING"})["changed"]
    by_id = {"identity_id": identity.upper().replace("SUBSCRIPTIONS", "subscriptions"), "name": "Pods", **FAST}
    assert not modules.succeed(MODULE, **by_id, issuer=ISSUER, subject=subject("sa"))["changed"]
    changed = modules.check_and_do(MODULE, **by_id, subject=subject("SA"))
    assert changed["actions"] == ["change federated credential pods"]
    assert credentials(azure) == {"pods": trust("SA")}


def test_what_is_not_set_is_not_touched(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    path = f"/resourceGroups/rg{IDENTITIES}/billing/federatedIdentityCredentials"
    entry = {"id": f"{identity}/federatedIdentityCredentials/pods", "name": "pods"}
    body = {"value": [{**entry, "properties": {**trust("sa"), "later": {"a": 1}}}]}
    modules.succeed(MODULE, **PODS)
    modules.fault("GET", f"{path}\\?", status=200, body=body, count=0)
    assert not modules.succeed(MODULE, **WHERE, name="pods")["changed"]
    mark = modules.mark()
    modules.succeed(MODULE, **WHERE, name="pods", audiences=["api://other"])
    (write,) = modules.requests(mark, method="PUT")
    assert write["body"] == {"properties": {**trust("sa"), "audiences": ["api://other"], "later": {"a": 1}}}


def test_a_list_adds_and_purges(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    modules.succeed(MODULE, **PODS)
    several = [entry("two"), entry("one", issuer="https://i")]
    desired: dict[str, Any] = {**WHERE, "issuer": ISSUER, "credentials": several}
    modules.check_and_do(MODULE, **desired)
    assert set(credentials(azure)) == {"pods", "one", "two"}
    assert credentials(azure)["one"] == trust("one", "https://i")
    assert not modules.succeed(MODULE, **{**desired, "credentials": several[::-1]})["changed"]
    purged = modules.check_and_do(MODULE, **desired, purge_credentials=True)
    assert purged["actions"] == ["delete federated credential pods"]
    assert set(credentials(azure)) == {"one", "two"}
    empty: dict[str, Any] = {**WHERE, "credentials": [], "purge_credentials": True}
    refused = modules.fail(MODULE, **empty, check=True)
    assert refused["msg"].endswith("would remove all of them; if that is meant, set purge_allow_empty.")
    modules.check_and_do(MODULE, **empty, purge_allow_empty=True)
    assert credentials(azure) == {}


def test_a_list_takes_away(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=[entry("one"), entry("two"), entry("three")])
    names = [{"name": "one"}, {"name": "TWO"}, {"name": "never"}]
    modules.check_and_do(MODULE, **WHERE, credentials=names, state="absent")
    assert set(credentials(azure)) == {"three"}


def test_a_renamed_credential_makes_room_first(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    modules.succeed(MODULE, **PODS)
    renamed = {**WHERE, "issuer": ISSUER, "credentials": [entry("new", "sa")]}
    for check in (True, False):
        refused = modules.fail(MODULE, **renamed, check=check)
        assert refused["msg"] == (
            "The federated credential new cannot be written, because pods of the identity billing has the same issuer "
            f"and subject ({ISSUER}, {subject('sa')}) and Azure takes a pair only once; use the name pods, or remove "
            "that one first."
        )
    done = modules.check_and_do(MODULE, **renamed, purge_credentials=True)
    assert done["actions"] == ["delete federated credential pods", "create federated credential new"]
    assert credentials(azure) == {"new": trust("sa")}


def test_the_limit_is_counted_before_the_first_write(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    many = [entry(f"fic{number:02}") for number in range(18)]
    said = modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=many, check=True)
    assert "so the 18 federated credentials of billing need about 72 seconds." in str(said["warnings"])
    modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=many)
    mark = modules.mark()
    more = {**WHERE, "issuer": ISSUER, "credentials": [entry("one"), entry("two"), entry("three")]}
    for check in (True, False):
        refused = modules.fail(MODULE, **more, check=check)
        assert refused["msg"] == (
            "The identity billing has 18 federated credentials, and 3 more make 21, but Azure takes 20 at most; remove "
            "some, let workloads of a namespace share a service account, or use a second identity."
        )
    assert modules.writes(mark) == []
    modules.succeed(MODULE, **more, purge_credentials=True)
    assert len(credentials(azure)) == 3


def test_writes_come_one_after_the_other(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    """Also beside another run that writes on the same identity."""
    azure.control("POST", "/settings", {"time_scale": 1.0, "federated_credential_write": 0.2})
    runs = [[entry("one"), entry("two")], [entry("three"), entry("four")]]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda run: modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=run), runs))
    assert set(credentials(azure)) == {"one", "two", "three", "four"}


def test_runs_that_together_need_more_than_there_is(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    """What a run says that it has written is there, also that of one that has failed, and no more than Azure takes."""
    full = [entry(f"fic{number:02}") for number in range(14)]
    modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=full)
    azure.control("POST", "/settings", {"time_scale": 1.0, "federated_credential_write": 0.2})

    def run(cluster: str) -> dict[str, Any]:
        several = [entry(f"{cluster}{number}") for number in range(4)]
        return modules(MODULE, **WHERE, issuer=f"https://{cluster}/", credentials=several)

    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(run, ("east", "west", "north")))
    there = set(credentials(azure))
    told = [each.rpartition(" ")[2] for one in ended for each in one.get("actions", ())]
    assert sorted(told) == sorted(there - {each["name"] for each in full}) and len(there) <= 20
    failed = [one["msg"] for one in ended if one.get("failed")]
    assert len(failed) >= 2 and all("Azure takes 20 at most" in one for one in failed), failed


def test_room_that_others_have_taken_since_it_was_counted(
    modules: Modules, azure: SimulatedAzure, identity: str
) -> None:
    modules.succeed(MODULE, **WHERE, issuer=ISSUER, credentials=[entry(f"fic{number:02}") for number in range(20)])
    before = credentials(azure)
    modules.fault("GET", "federatedIdentityCredentials\\?", status=200, body={"value": []}, count=1)
    failed = modules.fail(MODULE, **PODS)
    assert failed["msg"] == (
        "Could not create the federated credential pods of the identity billing: others have written meanwhile, and "
        "it has 20, of which Azure takes 20 at most; remove some, let workloads of a namespace share a service "
        "account, or use a second identity."
    )
    assert "maximum is 20" in failed["error"]["message"] and credentials(azure) == before


@pytest.mark.parametrize("desired", [PODS, {**WHERE, "name": "old", "state": "absent"}], ids=["put", "delete"])
def test_a_write_beside_others(modules: Modules, identity: str, desired: dict[str, Any]) -> None:
    modules.succeed(MODULE, **{**PODS, "name": "old", "service_account": "old"})
    method = "DELETE" if desired.get("state") else "PUT"
    busy = {"error": {"code": CONCURRENT, "message": "Too many Federated Identity Credentials are written."}}
    modules.fault(method, "federatedIdentityCredentials", status=409, body=busy, count=0)
    failed = modules.fail(MODULE, **desired, wait_timeout=1)
    assert failed["msg"].endswith(
        "another write of federated credentials is still in progress there after 1 seconds; wait for its end, or raise "
        "wait_timeout."
    )
    assert failed["error"]["code"] == CONCURRENT
    modules.azure.control("DELETE", "/faults")
    modules.fault(method, "federatedIdentityCredentials", status=409, body=busy, count=2)
    limit = {"error": {"code": "TooManyRequests", "message": "Slow down."}}
    modules.fault(method, "federatedIdentityCredentials", status=429, body=limit, headers={"Retry-After": "1"}, count=8)
    assert modules.succeed(MODULE, **desired)["changed"]


def test_a_region_without_federated_credentials(modules: Modules, identity: str) -> None:
    body = {"error": {"code": "MethodNotAllowed", "message": "Not allowed."}}
    modules.fault("PUT", "federatedIdentityCredentials", status=405, body=body)
    failed = modules.fail(MODULE, **PODS)
    assert failed["msg"] == (
        "Could not create the federated credential pods of the identity billing: Azure offers no federated credentials "
        "for this identity (405), as in some regions; use an identity in another region, which need not be that of "
        "the cluster."
    )
    assert failed["failed_action"] == "create federated credential pods"


@pytest.mark.parametrize("fault", [{"status": 500}, {"reset": True, "after": True}])
def test_a_write_that_may_have_happened(
    modules: Modules, azure: SimulatedAzure, identity: str, fault: dict[str, Any]
) -> None:
    modules.fault("PUT", "federatedIdentityCredentials", **fault)
    modules.check_and_do(MODULE, **PODS)
    assert credentials(azure) == {"pods": trust("sa")}


def test_an_identity_that_will_exist(modules: Modules, group: str) -> None:
    predicted = modules.succeed(MODULE, **PODS, check=True)
    assert predicted["changed"]
    assert [one["name"] for one in predicted["state"]["credentials"]] == ["pods"]
    failed = modules.fail(MODULE, **PODS)
    assert failed["msg"].startswith("Could not create the federated credential pods of the identity billing: the ")
    assert failed["msg"].endswith("/billing does not exist; create it first.")
    absent = modules.succeed(MODULE, **WHERE, name="pods", state="absent")
    assert (absent["changed"], absent["state"]) == (False, {})
    desired = {key: PODS[key] for key in ("name", "namespace", "service_account")}
    mark = modules.mark()
    predicted = modules.succeed(MODULE, **desired, identity_id=UNKNOWN, issuer=UNKNOWN, check=True)
    assert predicted["state"]["identity_id"] == UNKNOWN
    assert modules.requests(mark, path="federatedIdentityCredentials") == []
    assert UNKNOWN in modules.fail(MODULE, **desired, identity_id=UNKNOWN, issuer=ISSUER)["msg"]
    assert UNKNOWN in modules.fail(MODULE, **desired, **WHERE, issuer=UNKNOWN)["msg"]


def test_the_issuer_of_a_cluster(modules: Modules, azure: SimulatedAzure, identity: str) -> None:
    by_cluster = {"cluster_resource_group": "rg", "cluster_name": "c1"}
    desired = {**{key: value for key, value in PODS.items() if key != "issuer"}, **by_cluster}
    none = "The cluster c1 does not exist in the resource group rg, so it has no issuer yet."
    assert modules.fail(MODULE, **desired)["msg"] == none
    predicted = modules.succeed(MODULE, **desired, check=True)
    assert none in str(predicted["warnings"])
    assert predicted["state"]["credentials"][0]["issuer"] == UNKNOWN
    azure.cluster()
    failed = modules.fail(MODULE, **desired)
    assert failed["msg"].startswith("The cluster c1 has no OIDC issuer; enable it first, with oidc_issuer_enabled of ")
    assert failed["msg"] in str(modules.succeed(MODULE, **desired, check=True)["warnings"])
    modules.succeed("aks_cluster", resource_group="rg", name="c1", oidc_issuer_enabled=True, **FAST)
    modules.check_and_do(MODULE, **desired)
    (cluster,) = modules.succeed("aks_cluster_info", resource_group="rg", name="c1")["clusters"]
    assert credentials(azure)["pods"]["issuer"] == cluster["oidc_issuer_url"]
    assert cluster["oidc_issuer_url"].endswith("/")
    for unneeded in ("absent", "present"):
        mark = modules.mark()
        modules.succeed(MODULE, **desired, state=unneeded)
        assert bool(modules.requests(mark, path="managedClusters")) == (unneeded == "present")


def test_an_exchange_is_waited_for(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    desired = proving(cluster)
    assert modules.succeed(MODULE, **desired, check=True)["changed"]
    assert cluster.issued == 0
    settings = {"time_scale": 1.0, "federated_credential_write": 0, "federated_credential_delay": 3}
    azure.control("POST", "/settings", settings)
    began = time.monotonic()
    modules.succeed(MODULE, **desired)
    assert time.monotonic() - began > 3
    assert cluster.issued > 1
    issued = cluster.issued
    assert not modules.succeed(MODULE, **desired)["changed"]
    assert cluster.issued == issued + 1
    azure.control("POST", "/settings", {"federated_credential_delay": 60})
    failed = modules.fail(MODULE, **{**desired, "name": "other", "service_account": "b"}, wait_timeout=2)
    assert failed["msg"] == (
        "The federated credential other of the identity billing is there, but Entra does not honour it after 2 "
        "seconds; run again to wait longer, or raise wait_timeout."
    )
    assert failed["error"]["code"] == "AADSTS70021"
    assert "other" in credentials(azure)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": ISSUER}, f"The federated credential pods trusts the issuer {ISSUER}, but the API server issues "),
        ({"service_account": "gone"}, "ServiceAccount ns/gone does not exist."),
    ],
)
def test_an_exchange_that_cannot_come(
    modules: Modules, identity: str, cluster: TokenCluster, change: dict[str, str], message: str
) -> None:
    failed = modules.fail(MODULE, **proving(cluster, **change))
    assert failed["msg"].startswith(message)


def test_one_refusal_of_five_is_refused(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    """With the write and without one; no exchange more than is needed to know."""
    azure.control("POST", "/faults", {"aadsts": 700213, "every": 5})
    for changed in (True, False):
        issued = cluster.issued
        failed = modules.fail(MODULE, **proving(cluster, exchange_samples=50))
        assert failed["msg"] == (
            "Entra granted 12 of 15 exchanges by the federated credential pods of the identity billing and refused the "
            "others (AADSTS700213 3 times), but at least 95 % have to be granted; create a federated identity "
            "credential with this subject, or wait a minute if it is new, then run again."
        )
        (found,) = failed["exchanges"]
        assert (found["proved"], found["asked"], found["rate"]) == (False, 15, 0.8)
        assert (failed.get("changed", False), failed["error"]["code"]) == (changed, "AADSTS700213")
        assert cluster.issued == issued + 15
    assert set(credentials(azure)) == {"pods"}
    lower = modules.succeed(MODULE, **proving(cluster, exchange_samples=50, exchange_min_rate=0.8))
    assert (lower["exchanges"][0]["asked"], lower["exchanges"][0]["granted"]) == (50, 40)


def test_exchanges_are_spread_and_counted_for_each(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    several = [entry("one"), entry("two"), {"name": "other", "subject": "repo:x"}]
    sampled = {"exchange_samples": 3, "exchange_seconds": 2, "exchange_min_rate": 0.5}
    desired = {**WHERE, "issuer": cluster.issuer, "credentials": several, "wait_exchange": True, "host": cluster.host}
    began = time.monotonic()
    made = modules.succeed(MODULE, **desired, **sampled)
    assert time.monotonic() - began >= 2
    assert [(one["credential"], one["asked"]) for one in made["exchanges"]] == [("one", 3), ("two", 3)]
    assert "exchanges" not in modules.succeed(MODULE, **desired, **sampled, check=True)


def test_what_was_waited_for_is_no_sample(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    azure.control("POST", "/faults", {"aadsts": 70021, "count": 2})
    made = modules.succeed(MODULE, **proving(cluster, exchange_samples=4, exchange_min_rate=1))
    (found,) = made["exchanges"]
    assert (found["waited"], found["asked"], found["rate"], found["codes"]) == (2, 4, 1.0, {})


def test_an_exchange_that_nobody_answers_proves_nothing(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    azure.control("POST", "/faults", {"path": "proof=assertion", "nth": 2, "count": 0, "reset": True})
    failed = modules.fail(MODULE, **proving(cluster, exchange_samples=3, exchange_min_rate=0.1))
    assert "AADSTS" not in failed["msg"]
    assert "exchanges" not in failed


@pytest.fixture
def protected(azure: SimulatedAzure, identity: str) -> list[str]:
    """What AKS wrote for identity bindings, and two that match expressions, which this API version hides."""
    names = ["aks-identity-binding", "branches", "tags"]
    trusts = ["https://ib.oic.prod-aks.azure.com/t/c", "https://gitlab.example", "https://gitlab.example"]

    def make() -> None:
        for name, issuer in zip(names, trusts, strict=True):
            path = f"{identity}/federatedIdentityCredentials/{name}"
            binding = {"subject": "c", "audiences": ["api://AKSIdentityBinding"]}
            properties = {"issuer": issuer, **(binding if name == names[0] else {"audiences": [AUDIENCE]})}
            body = {"id": path, "name": name, "type": FEDERATED_CREDENTIAL, "properties": properties}
            azure.server.azure.state.put(Resource(path, FEDERATED_CREDENTIAL, body, {"visible": 0.0}))

    azure.in_loop(make)
    return names


def test_what_this_module_never_removes(
    modules: Modules, azure: SimulatedAzure, identity: str, protected: list[str]
) -> None:
    modules.succeed(MODULE, **PODS)
    wanted = {**WHERE, "issuer": ISSUER, "credentials": [entry("one")], "purge_credentials": True}
    purged = modules.check_and_do(MODULE, **wanted)
    assert purged["actions"] == ["delete federated credential pods", "create federated credential one"]
    reasons = ["identity_binding_credential", "flexible_credential", "flexible_credential"]
    kept = [(one["name"], one["reason"]) for one in purged["kept_credentials"]]
    assert kept == list(zip(protected, reasons, strict=True))
    emptied = modules.check_and_do(MODULE, **WHERE, credentials=[], purge_credentials=True, purge_allow_empty=True)
    assert [one["name"] for one in emptied["state"]["credentials"]] == protected
    named = [{"name": name} for name in protected]
    for options in ({"credentials": named}, {"name": protected[0]}):
        left = modules.succeed(MODULE, **WHERE, **options, state="absent")
        assert not left["changed"]
        assert len(left["kept_credentials"]) == len(left["warnings"]) == len(options.get("credentials", [1]))
    assert list(credentials(azure)) == protected


def test_what_a_cluster_left_behind(
    modules: Modules, azure: SimulatedAzure, identity: str, cluster: TokenCluster
) -> None:
    modules.succeed("user_assigned_identity", resource_group="rg", name="empty")
    entries = [entry("pods", "sa"), entry("gone"), entry("blue", issuer=ISSUER), {"name": "other", "subject": "repo:x"}]
    modules.succeed(MODULE, **WHERE, issuer=cluster.issuer, credentials=entries)
    info = f"{MODULE}_info"
    plain = modules.succeed(info, resource_group="rg")
    free = [(one["identity_id"].rsplit("/", 1)[1], one["free"]) for one in plain["identities"]]
    assert free == [("billing", 16), ("empty", 20)]
    assert [one["name"] for one in plain["identities"][0]["credentials"]] == ["blue", "gone", "other", "pods"]
    assert plain["findings"] == []
    by_cluster = {"cluster_resource_group": "rg", "cluster_name": "c1"}
    checked = {"check_service_accounts": True, "host": cluster.host}
    found = modules.succeed(info, resource_group="rg", **by_cluster, **checked)["findings"]
    told = [(one["credential"], one["code"]) for one in found]
    assert told == [("blue", "foreign_issuer"), ("gone", "subject_missing")]
    by_id = modules.succeed(info, identity_id=identity, issuer=ISSUER)["findings"]
    assert [one["credential"] for one in by_id] == ["gone", "other", "pods"]
    assert modules.succeed(info, resource_group="none")["identities"] == []
    assert modules.succeed(info, resource_group="rg", identity_name="none")["identities"] == []
    failed = modules(info, resource_group="rg", check_service_accounts=True)
    assert "check_service_accounts is True but any of" in failed["msg"]
