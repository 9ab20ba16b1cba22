# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.report.build import build
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_report import PARTS
from ansible_collections.azureops.pod_identity.tests.support.report_world import (
    TIME,
    diagnosis,
    inventory,
    objects,
    plan,
    token,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/shop"
CLUSTER = {"id": ID, "name": "shop", "resource_group": "rg"}
LEFT: dict[str, Any] = {
    "diagnosis": {},
    "verification": [],
    "rules": [],
    "leftovers": {},
    "removal": {},
    "plan": {},
    "stages": [],
}
LIVE = ["inventory", "diagnosis", "plan", "installations", "nodes"]


def known(cluster: dict[str, Any] | None = None, /, failure: str = "", **more: Any) -> dict[str, Any]:
    found = {"host": "localhost", "cluster": CLUSTER if cluster is None else cluster, "now": TIME, "failure": failure}
    found["named"] = ""
    return {**found, "left": {**LEFT, **more.pop("left", {})}, **more}


def looks(options: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {look.name: look for look in PARTS["observed"].looks_at(options, found, Run())}


def observed(options: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return PARTS["observed"].plan(options, found, Run())


@table(
    "options, said",
    ({}, "pod_identity_report_target does not say where"),
    ({"target": "a.html", "formats": ["csv"]}, "a.html is one file, of the format html"),
    ({"target": "a", "log_files": ["l"]}, "name their files with pod_identity_report_files."),
)
def test_what_cannot_be_reported_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        PARTS["options"].plan(options, {}, Run())


def test_files_need_no_connection() -> None:
    assert PARTS["options"].plan({"target": "a"}, {}, Run()) == {"connects": True}
    assert PARTS["options"].plan({"target": "a", "files": ["f"]}, {}, Run()) == {"connects": False}


def test_it_looks_at_everything_in_a_cluster_that_is_named() -> None:
    found = looks({}, known(inventory=inventory(objects())))
    assert list(found) == [*LIVE, "carriers"] and not found["carriers"].in_cluster
    named = {"subscription_id": "s", "resource_group": "rg", "cluster_name": "shop"}
    for key in ("diagnosis", "plan", "nodes", "carriers"):
        assert named.items() <= found[key].arguments.items()
    assert set(found["carriers"].arguments["inventory"]) == {"workloads", "identities", "assigned"}
    assert found["plan"].arguments["dry_run"] is False
    assert all(look.tolerates({}) for look in found.values())


def test_nothing_is_asked_of_azure_where_no_cluster_is_named() -> None:
    for cluster in ({}, {"id": "(known after apply)"}):
        found = looks({}, known(cluster))
        assert list(found) == LIVE
        assert not any("cluster_name" in look.arguments for look in found.values())


def test_what_plays_have_found_is_not_looked_at_again() -> None:
    whole, narrow = {"scope": "the cluster", "causes": []}, {"scope": "Pod a/b", "causes": []}
    found = looks({}, known({}, left={"diagnosis": whole, "plan": {"templates": []}}))
    assert list(found) == ["inventory", "installations", "nodes"]
    assert list(looks({}, known({}, left={"diagnosis": narrow}))) == LIVE


def test_nodes_that_were_cleaned_are_told_with_their_rules() -> None:
    cleaned = {"node": "n1", "outcome": "cleaned", "reason": "", "found": ["-A x"] * 2, "removed": ["-A x"] * 2}
    one = observed({}, known(left={"rules": [{**cleaned, "left": []}]}))
    (cluster,) = build({"clusters": [one]}).clusters
    assert [(node.name, node.rules) for node in cluster.nodes] == [("n1", "cleaned (2 found and 2 removed)")]


def test_files_have_the_time_of_the_oldest() -> None:
    options = {"files": ["/a", "/b"]}
    found = looks(options, known({}))
    assert [name for name in found if name in (*LIVE, "carriers")] == ["inventory", "diagnosis", "plan"]
    assert not any(look.in_cluster or look.tolerates for look in found.values())
    ages: dict[str, Any] = {
        "age of 0": {"stat": {"exists": True, "mtime": 86400.5}},
        "age of 1": {"stat": {"exists": False}},
    }
    told = observed(options, known({}, inventory={"workloads": []}, **ages))
    assert told["sources"]["inventory"]["observed_at"] == "1970-01-02T00:00:00Z"


def test_what_cannot_be_looked_at_is_told_with_its_reason() -> None:
    told = observed({}, known(nodes={"failed": True, "msg": "They may not be listed."}, left={"stages": [{"a": 1}]}))
    assert told == {
        "name": "shop",
        "failure": "",
        "sources": {
            "stages": {"observed_at": TIME, "result": [{"a": 1}]},
            "nodes": {"failure": "They may not be listed."},
        },
    }
    assert looks({}, known(failure="No.")) == {}
    assert observed({}, known(failure="No."))["failure"] == "No."


def test_a_host_is_a_cluster() -> None:
    assert observed({}, {**known(), "host": "east"})["name"] == "east"
    assert observed({}, known({}))["name"] == "localhost"


def test_a_cluster_that_could_not_be_found_is_called_as_the_options_do() -> None:
    assert observed({}, known({}, failure="No.", named="shop"))["name"] == "shop"
    assert observed({}, {**known({}, failure="No.", named="shop"), "host": "east"})["name"] == "east"


def test_a_report_can_be_made_of_it() -> None:
    found = objects()
    results: dict[str, Any] = {
        "inventory": inventory(found, audit=True),
        "diagnosis": diagnosis(found),
        "plan": plan(found),
    }
    one = observed({}, known(left={"verification": [token()]}, nodes={"failed": True, "msg": "No."}, **results))
    (cluster,) = build({"clusters": [one]}).clusters
    assert (cluster.name, cluster.verdict, cluster.observed_at) == ("shop", "broken", TIME)
    assert "No." in [each.why for each in cluster.unread if each.source == "nodes"]
