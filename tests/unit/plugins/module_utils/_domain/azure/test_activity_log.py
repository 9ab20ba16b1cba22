# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure import activity_log
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

ONE = "/subscriptions/s/resourcegroups/g/providers/microsoft.managedidentity/userassignedidentities/one"
WRITE = "Microsoft.Compute/virtualMachineScaleSets/write"
MIC = frozenset({"mic-object", "mic-client"})
PATCH = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {ONE: {}}}}
ATTACHED = json.dumps(PATCH)
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"


def event(body: Any = ATTACHED, *, what: str = WRITE, at: str = "2026-05-01T10:00:00Z", **more: Any) -> dict[str, Any]:
    properties = {} if body is None else {"requestbody": body if isinstance(body, str) else json.dumps(body)}
    return {
        "caller": "mic-object",
        "operationName": {"value": what, "localizedValue": "Create or Update Virtual Machine Scale Set"},
        "operationId": "o1",
        "eventTimestamp": at,
        "properties": properties,
        **more,
    }


FOUND = ((ONE, "2026-05-01T10:00:00Z"),)
CASES: dict[str, tuple[list[dict[str, Any]], tuple[tuple[str, str], ...], int]] = {
    "attached": ([event()], FOUND, 0),
    "detached": ([event({"identity": {"userAssignedIdentities": {ONE: None}}})], FOUND, 0),
    "begin and end of one write": ([event(), event(None, at="2026-05-01T10:00:05Z")], FOUND, 0),
    "twice": ([event(operationId="o2", at="2026-05-02T10:00:00Z"), event()], ((ONE, "2026-05-02T10:00:00Z"),), 0),
    "a machine": ([event(what="Microsoft.Compute/virtualMachines/write")], FOUND, 0),
    "known by its client id": ([event(caller="somebody", claims={"appid": "MIC-CLIENT"})], FOUND, 0),
    "known by its object id": ([event(caller="", claims={OBJECT_ID: "mic-object"})], FOUND, 0),
    "names as plain text": ([{**event(), "operationName": WRITE.upper()}], FOUND, 0),
    "somebody else": ([event(caller="aks")], (), 0),
    "something else": ([event(what="Microsoft.Compute/virtualMachineScaleSets/start/action")], (), 0),
    "the whole scale set": ([event({**PATCH, "sku": {}, "properties": {}})], (), 0),
    "tags": ([event({"tags": {}})], (), 0),
    "no identities in it": (
        [event({"identity": {"type": "None"}}), event({"identity": None}, operationId="o2")],
        (),
        0,
    ),
    "without its body": ([event(None), event(None), event(None, operationId="o2")], (), 2),
    "cut off": ([event('{"identity": {"userAss')], (), 1),
    "no object": ([event("[]")], (), 1),
    "nothing at all": ([{}, {"caller": "mic-object"}], (), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_what_mic_wrote(name: str) -> None:
    events, identities, undetermined = CASES[name]
    found = activity_log.writes(events, MIC)
    assert (found.identities, found.undetermined) == (identities, undetermined)
    assert bool(activity_log.undetermined(found)) == bool(undetermined)
    assert [each for each, _why in activity_log.sources(found)] == [each for each, _at in identities]


def test_the_reason_tells_the_day() -> None:
    found = activity_log.writes([event(), event({"identity": {"userAssignedIdentities": {"x": {}}}}, at="")], MIC)
    told = ["the activity log (MIC wrote it on 2026-05-01)", "the activity log"]
    assert [why for _each, why in activity_log.sources(found)] == told


@for_each(
    (None, (), set()),
    (None, ("MIC ",), {"mic"}),
    ({"identityProfile": {"kubeletidentity": {"objectId": "O", "clientId": "c"}}}, ("x",), {"o", "c", "x"}),
    ({"servicePrincipalProfile": {"clientId": "msi"}}, (), set()),
    ({"servicePrincipalProfile": {"clientId": "sp"}}, (), {"sp"}),
)
def test_who_mic_may_have_been(cluster: Any, named: tuple[str, ...], expected: set[str]) -> None:
    body = None if cluster is None else {"properties": cluster}
    assert activity_log.principals(body, (), named) == expected
    assert activity_log.principals(body, ("OWN", ""), named) == {*expected, "own"}


@for_each((1, "2026-05-30T12:05:00.000000Z"), (90, "2026-03-02T12:05:00.000000Z"), (365, "2026-03-02"))
def test_the_question(days: int, begin: str) -> None:
    now = datetime.datetime(2026, 5, 31, 12, tzinfo=datetime.timezone.utc)
    asked = activity_log.query("MC_rg", days, now)
    assert asked.startswith(f"eventTimestamp ge '{begin}")
    assert asked.endswith(" and eventTimestamp le '2026-05-31T12:00:00.000000Z' and resourceGroupName eq 'MC_rg'")
