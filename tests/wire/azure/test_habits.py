# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What unmodified clients do beyond the requests that recordings show: odd paths, filters, batches, pages, polls."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from azsandbox.azure.loopback import SimulatedAzure

CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
IDENTITIES = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
EVENTS = "/providers/Microsoft.Insights/eventtypes/management/values"


def identities(azure: SimulatedAzure, count: int) -> list[str]:
    """Names of new identities in the group rg."""
    azure.group()
    names = [f"one-{number}" for number in range(count)]
    for name in names:
        azure.arm("PUT", f"{IDENTITIES}/{name}", {"location": "westeurope", "tags": {"team": name}}).raise_for_status()
    return names


@pytest.mark.parametrize(
    "path", ["/resourceGroups//rg", "/resourceGroups/rg//providers/Microsoft.Authorization//locks"]
)
def test_two_slashes_are_one(azure: SimulatedAzure, path: str) -> None:
    """As az and msrest build paths of an empty parent."""
    identities(azure, 0)
    assert azure.arm("GET", path, version="2015-01-01").status_code == 200
    url = f"{azure.endpoints.arm}//subscriptions/{azure.subscription_id}/resourceGroups/rg?api-version=2022-09-01"
    assert azure.arm("GET", url).status_code == 200


@pytest.mark.parametrize("quote", ["", "'"])
@pytest.mark.parametrize("end", ["", " and eventTimestamp le {later}"])
def test_times_of_the_activity_log(azure: SimulatedAzure, quote: str, end: str) -> None:
    """az writes them without quotes."""
    identities(azure, 1)
    moment, day = datetime.now(UTC), timedelta(days=1)
    before, later = (f"{quote}{each.strftime('%Y-%m-%dT%H:%M:%SZ')}{quote}" for each in (moment - day, moment + day))
    asked = f"eventTimestamp ge {before}{end.format(later=later)} and eventChannels eq 'Admin, Operation'"
    asked += " and resourceGroupName eq 'rg'"
    found, wrong = (
        azure.arm("GET", f"/subscriptions/{azure.subscription_id}{EVENTS}", params={"$filter": text})
        for text in (asked, "eventTimestamp ge yesterday")
    )
    assert len(found.json()["value"]) == 4
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BadRequest")


def test_orchestrators(azure: SimulatedAzure) -> None:
    """What azure_rm_aks asks before it makes a cluster."""
    path = f"/subscriptions/{azure.subscription_id}/providers/Microsoft.ContainerService/locations/westeurope"
    kind = {"resource-type": "managedClusters"}
    answer = azure.arm("GET", f"{path}/orchestrators", version="2019-04-01", params=kind)
    (found,) = answer.json()["properties"]["orchestrators"]
    assert found["orchestratorVersion"] == azure.config.kubernetes_version


@pytest.mark.parametrize(("scale", "expected"), [(0.02, "1"), (0.5, "15"), (1, None), (0, None)])
def test_polls_tell_when_to_come_back(azure: SimulatedAzure, scale: float, expected: str | None) -> None:
    """Where time passes faster than Azure's; else, as recorded, clients decide."""
    azure.control("POST", "/settings", {"time_scale": scale})
    gate = asyncio.Event()
    azure.compute.pause = gate.wait
    azure.group()
    made = azure.begin_cluster()
    assert "Retry-After" not in made.headers
    url = made.headers["Azure-AsyncOperation"]
    assert azure.arm("GET", url).headers.get("Retry-After") == expected
    azure.in_loop(gate.set)
    azure.wait(made)
    assert "Retry-After" not in azure.arm("GET", url).headers


def test_resources_by_tag(azure: SimulatedAzure) -> None:
    identities(azure, 2)
    both = "tagname eq 'team' and tagvalue eq 'one-1'"
    for text, count in (("tagName eq 'Team'", 2), (both, 1), ("tagName eq 'x'", 0)):
        assert len(azure.arm("GET", "/resources", params={"$filter": text}).json()["value"]) == count


def test_batch(azure: SimulatedAzure) -> None:
    """As the inventory plugin of the peer asks: every answer is the one of the request by itself."""
    identities(azure, 1)
    scope = f"/subscriptions/{azure.subscription_id}"
    reader = azure.principal("reader", ("Reader", f"{scope}/resourceGroups/rg"))
    places = {
        "relative": f"{scope}/resourceGroups/rg?api-version=2022-09-01",
        "absolute": f"{azure.endpoints.arm}{scope}{IDENTITIES}?api-version=2023-01-31",
        "machines": f"{scope}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01",
        "hidden": f"{scope}/resourceGroups/other?api-version=2022-09-01",
        "gap": f"{scope}/providers/Microsoft.HybridCompute/machines?api-version=2024-05-20-preview",
    }
    asked = {"requests": [{"httpMethod": "GET", "url": url, "name": name} for name, url in places.items()]}
    url = f"{azure.endpoints.arm}/batch?api-version=2015-11-01"
    answer = azure.arm("POST", url, asked, who=reader)
    found = {each["name"]: each for each in answer.json()["responses"]}
    statuses = {name: each["httpStatusCode"] for name, each in found.items()}
    assert statuses == {"relative": 200, "absolute": 200, "machines": 200, "hidden": 403, "gap": 501}
    assert found["relative"]["content"]["name"] == "rg"
    assert [each["name"] for each in found["absolute"]["content"]["value"]] == ["one-0"]


# pages


def pages(azure: SimulatedAzure, path: str, **query: str) -> list[list[str]]:
    """Names on each page."""
    found, answer = [], azure.arm("GET", path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        found.append([each["name"] for each in body["value"]])
        if "nextLink" not in body:
            return found
        answer = azure.arm("GET", body["nextLink"])


def test_lists_come_in_pages(azure: SimulatedAzure) -> None:
    names = identities(azure, 5)
    assert pages(azure, IDENTITIES) == [names]
    assert pages(azure, IDENTITIES, **{"$top": "3"}) == [names[:3], names[3:]]
    azure.control("POST", "/settings", {"page_size": 2})
    assert pages(azure, IDENTITIES) == [names[:2], names[2:4], names[4:]]
    azure.control("POST", "/settings", {"page_size": 5})
    assert pages(azure, IDENTITIES) == [names]
    for query in ({"$top": "many"}, {"$skiptoken": "?"}):
        answer = azure.arm("GET", IDENTITIES, params=query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidQueryParameter")


def test_pages_of_graph(azure: SimulatedAzure) -> None:
    names = {azure.principal(f"somebody-{number}").object_id for number in range(4)}
    headers = {"Authorization": f"Bearer {azure.token(scope='https://graph.microsoft.com/.default')}"}
    url = f"{azure.endpoints.graph}/v1.0/servicePrincipals?$filter=startswith(displayName,'somebody')&$top=3"
    first = azure.session.get(url, headers=headers, timeout=20).json()
    second = azure.session.get(first["@odata.nextLink"], headers=headers, timeout=20).json()
    assert [len(each["value"]) for each in (first, second)] == [3, 1] and "@odata.nextLink" not in second
    assert {each["id"] for each in (*first["value"], *second["value"])} == names


# updates that fail


def test_a_failed_update_is_not_applied(azure: SimulatedAzure) -> None:
    """The same request does it again, when what stood against it is gone."""
    made = azure.cluster()
    body = {"location": "westeurope", "properties": {"oidcIssuerProfile": {"enabled": True}}}

    def issuer() -> str | None:
        return azure.compute.clusters[made["id"].lower()].issuer_url

    azure.compute.update_error = "no room"
    assert azure.wait(azure.arm("PUT", CLUSTER, body))["status"] == "Failed"
    assert azure.arm("GET", CLUSTER).json()["properties"]["provisioningState"] == "Failed"
    assert azure.in_loop(issuer) is None
    azure.compute.update_error = None
    assert azure.wait(azure.arm("PUT", CLUSTER, body))["status"] == "Succeeded"
    found = azure.arm("GET", CLUSTER).json()["properties"]["oidcIssuerProfile"]
    assert azure.in_loop(issuer) == found["issuerURL"]
