# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests.support import odd_answers
from ansible_collections.azureops.pod_identity.tests.support.azure_answers import ODD
from ansible_collections.azureops.pod_identity.tests.support.fixed import pairs
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.odd_answers import Ended
from ansible_collections.azureops.pod_identity.tests.wire.modules.token_cluster import AUDIENCE, TokenCluster, subject
from azsandbox.azure.loopback import Credentials, SimulatedAzure

MODULE = "federated_identity_exchange_info"
FAST = {"poll_interval": 0.1}
READ = "Application.Read.All"


def entry(name: str, account: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "ns", "service_account": account or name, **more}


@pytest.fixture
def identities(modules: Modules, cluster: TokenCluster) -> dict[str, str]:
    """Ids of identities, of which one has credentials of every kind."""
    made = {}
    for name in ("billing", "reports"):
        made[name] = str(modules.succeed("user_assigned_identity", resource_group="rg", name=name)["state"]["id"])
    entries = [
        entry("a-foreign", "sa", issuer="https://other.example/"),
        entry("b-gone", "gone"),
        entry("c-closed", "closed"),
        entry("d-right", "sa"),
        {"name": "e-repo", "subject": "repo:x"},
    ]
    where = {"resource_group": "rg", "identity_name": "billing", **FAST}
    modules.succeed("federated_identity_credential", **where, issuer=cluster.issuer, credentials=entries)
    where["identity_name"] = "reports"
    modules.succeed("federated_identity_credential", **where, issuer=cluster.issuer, **entry("pods", "web"))
    return made


def service_principal(modules: Modules, azure: SimulatedAzure, cluster: TokenCluster) -> Credentials:
    """With a federated credential, which the owner of the subscription may read."""
    trust = {"name": "pods", "issuer": cluster.issuer, "subject": subject("sa"), "audiences": [AUDIENCE]}

    def allow() -> None:
        owner = azure.server.azure.state.principal_by_app(azure.owner.client_id)
        assert owner is not None
        owner.graph.append(READ)

    azure.in_loop(allow)
    return azure.principal("application", federated=[trust])


def test_every_pair_is_tried_without_a_pod(
    modules: Modules, azure: SimulatedAzure, cluster: TokenCluster, identities: dict[str, str]
) -> None:
    who = service_principal(modules, azure, cluster)
    mark, issued = modules.mark(), cluster.issued
    applications = [{"app_id": who.client_id.upper()}]
    found = modules.succeed(
        MODULE, resource_group="rg", applications=applications, host=cluster.host, exchange_samples=3, **FAST
    )
    assert [
        (one["identity_id"].rpartition("/")[2], one["app_id"], one["credential"], one["proved"], one["code"])
        for one in found["exchanges"]
    ] == [
        ("billing", "", "a-foreign", False, "foreign_issuer"),
        ("billing", "", "b-gone", False, "subject_missing"),
        ("billing", "", "c-closed", False, "token_forbidden"),
        ("billing", "", "d-right", True, ""),
        ("reports", "", "pods", True, ""),
        ("", who.client_id, "pods", True, ""),
    ]
    right = found["exchanges"][3]
    assert (right["asked"], right["granted"], right["rate"], right["message"]) == (3, 3, 1.0, "")
    assert found["exchanges"][1]["message"] == (
        "The federated credential b-gone of the identity billing is for the service account ns/gone, which does not "
        "exist in the connected cluster, so it was not tried."
    )
    assert (found["unread"], found["changed"]) == ([], False)
    assert modules.writes(mark) == []
    assert cluster.issued - issued == 10  # the first told the issuer, which is not the one that is trusted
    assert {one["caller"] for one in modules.requests(mark, path="oauth2")} > {who.client_id}


def test_one_of_fifty_and_one_of_five(
    modules: Modules, azure: SimulatedAzure, cluster: TokenCluster, identities: dict[str, str]
) -> None:
    asked = {"identity_ids": [identities["reports"]], "host": cluster.host, "exchange_samples": 50, **FAST}
    azure.control("POST", "/faults", {"aadsts": 700213, "every": 50})
    (one,) = modules.succeed(MODULE, **asked)["exchanges"]
    assert (one["proved"], one["asked"], one["rate"], one["codes"]) == (True, 50, 0.98, {"AADSTS700213": 1})
    azure.control("DELETE", "/faults")
    azure.control("POST", "/faults", {"aadsts": 700213, "every": 5})
    (one,) = modules.succeed(MODULE, **asked)["exchanges"]
    assert (one["proved"], one["asked"], one["rate"], one["code"]) == (False, 15, 0.8, "exchange_refused")
    assert one["message"].startswith("Entra granted 12 of 15 exchanges by the federated credential pods of the ")


def test_a_refusal_that_stays_is_told_not_waited_for(
    modules: Modules, azure: SimulatedAzure, cluster: TokenCluster, identities: dict[str, str]
) -> None:
    settings = {"time_scale": 1.0, "federated_credential_write": 0, "federated_credential_delay": 60}
    azure.control("POST", "/settings", settings)
    where = {"resource_group": "rg", "identity_name": "reports", **FAST}
    modules.succeed("federated_identity_credential", **where, issuer=cluster.issuer, **entry("new", "new"))
    found = modules.succeed(MODULE, identity_ids=[identities["reports"]], host=cluster.host, **FAST)["exchanges"]
    assert [(one["credential"], one["proved"], one["codes"]) for one in found] == [
        ("new", False, {"AADSTS70021": 1}),
        ("pods", True, {}),
    ]


def test_only_some_service_accounts(modules: Modules, cluster: TokenCluster, identities: dict[str, str]) -> None:
    issued = cluster.issued
    twice = [identities["reports"], identities["reports"].upper().replace("SUBSCRIPTIONS", "subscriptions")]
    found = modules.succeed(
        MODULE, identity_ids=twice, resource_group="rg", service_accounts=["ns/web"], host=cluster.host, **FAST
    )
    assert [(one["namespace"], one["service_account"]) for one in found["exchanges"]] == [("ns", "web")]
    assert cluster.issued == issued + 1


def test_what_may_not_be_read_leaves_the_rest(
    modules: Modules, azure: SimulatedAzure, cluster: TokenCluster, identities: dict[str, str]
) -> None:
    who = azure.principal("reader", ("Reader", identities["reports"]))
    stranger, nobody = azure.principal("application"), str(uuid.uuid4())
    missing = identities["billing"].replace("billing", "missing")
    found = modules.succeed(
        MODULE,
        identity_ids=[identities["billing"], identities["reports"]],
        applications=[{"app_id": stranger.client_id}],
        host=cluster.host,
        who=who,
        **FAST,
    )
    assert [(one["credential"], one["proved"]) for one in found["exchanges"]] == [("pods", True)]
    assert len(found["unread"]) == 2
    assert "list the federated credentials of the identity" in found["unread"][0]
    assert found["unread"][1].startswith(f"Could not read the application {stranger.client_id}: Insufficient privi")
    service_principal(modules, azure, cluster)
    absent = modules.succeed(
        MODULE, identity_ids=[missing], applications=[{"app_id": nobody}], host=cluster.host, **FAST
    )
    assert absent["exchanges"] == []
    assert absent["unread"] == [
        "The identity missing does not exist, so nothing was tried for it.",
        f"The application {nobody} does not exist, so nothing was tried for it.",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identity_ids": ["billing"]}, "billing"),
        ({"identity_ids": [], "applications": [{"app_id": "billing"}]}, "app_id must be"),
        ({"resource_group": "rg", "service_accounts": ["web"]}, "write namespace/name"),
        ({"resource_group": "rg", "exchange_samples": 0}, "exchange_samples"),
    ],
)
def test_what_makes_no_sense(modules: Modules, cluster: TokenCluster, options: dict[str, Any], message: str) -> None:
    mark = modules.mark()
    assert message in modules.fail(MODULE, host=cluster.host, **options)["msg"]
    assert modules.requests(mark) == []


READS = (
    "userAssignedIdentities[?]",
    "userAssignedIdentities/reports[?]",
    "reports/federatedIdentityCredentials",
    "applications[(]",
    "applications/[^/]+/federated",
)


@pytest.mark.parametrize(("read", "odd"), pairs(READS, list(ODD)))
def test_nothing_is_proved_by_an_odd_answer(
    modules: Modules, azure: SimulatedAzure, cluster: TokenCluster, identities: dict[str, str], read: str, odd: str
) -> None:
    who = service_principal(modules, azure, cluster)
    modules.fault("GET", read, **ODD[odd], count=0)
    result = modules(
        MODULE,
        resource_group="rg",
        applications=[{"app_id": who.client_id}],
        host=cluster.host,
        environment={"ANSWER_WITHIN": "2"} if odd == "hang" else {},
        wait_timeout=8,
        poll_interval=0.1,
    )
    odd_answers.judge(Ended(result, (), ""), None, "exchanges")
