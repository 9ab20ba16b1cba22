# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role workload_identity_migration looks at, and what it tells of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.workload_identity_migration import (
    KEPT,
    PARTS,
)

RUN = Run()
ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web"


def blocker(**changed: str) -> dict[str, str]:
    made = {
        "object": "the Workload ID webhook",
        "code": "two_webhooks",
        "stage": "switch",
        "reason": "It is installed as addon and chart.",
        "remedy": "Keep one of both.",
        "accepted_by": "",
    }
    return {**made, **changed}


def template(name: str = "web", verdict: str = "needs", **changed: Any) -> dict[str, Any]:
    made = {
        "namespace": "shop",
        "kind": "Deployment",
        "name": name,
        "verdict": verdict,
        "steps": ["label", "proof"],
        "blocked": [],
        "noted": [],
        "identities": [{"name": "shop/web", "replacement": ""}],
        "client_id": "1",
        "service_account": name,
        "new_service_account": name,
    }
    return {**made, **changed}


def info(*templates: dict[str, Any], **changed: Any) -> dict[str, Any]:
    counts = {
        verdict: sum(each["verdict"] == verdict for each in templates) for verdict in ("ready", "needs", "blocked")
    }
    summary = {"templates": len(templates), **counts, "namespaces": [{"namespace": "shop", **counts}]}
    made: dict[str, Any] = {name: [] for name in KEPT}
    return {**made, "cluster": {}, "summary": summary, "templates": list(templates), **changed}


def planned(found: dict[str, Any], **options: Any) -> dict[str, Any]:
    return PARTS["plan"].plan(options, {"host": "prod", "info": {**found, "changed": False}}, RUN)


def test_what_it_tells_of_workloads() -> None:
    moved = template("api", "ready", steps=[])
    other = template("old", service_account="default", new_service_account="default-web", identities=[], client_id="7")
    told = planned(info(template(), moved, other))
    then = "Next: -e workload_identity_migration_until=canary"
    assert told["verdict"] == f"Of 3 workloads 1 are ready, 2 can move, and something is in the way of 0. {then}"
    assert [row["steps"] for row in told["workloads"]] == ["label, proof", "", "label, proof"]
    assert told["workloads"][0] == {
        "workload": "Deployment shop/web",
        "verdict": "needs",
        "identity": "shop/web",
        "service_account": "web",
        "steps": "label, proof",
    }
    assert (told["workloads"][2]["service_account"], told["workloads"][2]["identity"]) == (
        "default-web (now default)",
        "7",
    )
    replaced = template(identities=[{"name": "shop/web", "replacement": ID}])
    assert planned(info(replaced))["workloads"][0]["identity"] == "shop/web (then web)"
    assert told["message"] == "" and told["path"] == told["text"] == ""
    assert set(told["fact"]) == set(KEPT)


def test_nothing_to_move() -> None:
    assert planned(info())["verdict"] == "No workload gets an identity, so there is nothing to move."


def test_what_was_not_looked_at_is_part_of_the_verdict() -> None:
    unread = [{"what": "Azure", "why": "no cluster is named there", "needs": "the name of the cluster"}]
    told = planned(info(template(), not_looked_at=unread))
    assert " Not all was looked at. Next: " in told["verdict"] and told["not_looked_at"] == unread


def test_what_is_in_the_way_of_several_is_one_row() -> None:
    blocked = template("a", "blocked", blocked=[blocker()]), template("b", "blocked", blocked=[blocker()])
    own = template("c", "blocked", blocked=[blocker(object="Deployment shop/c", code="manifest_has_owner")])
    rows = planned(info(*blocked, own))["blocked"]
    assert [(row["code"], row["workloads"]) for row in rows] == [("two_webhooks", 2), ("manifest_has_owner", 1)]


@pytest.mark.parametrize("fails", [False, True])
def test_it_fails_where_it_is_told_to(fails: bool) -> None:
    blocked = info(template(), template("a", "blocked", blocked=[blocker()]))
    message = planned(blocked, fail_on_blocked=fails)["message"]
    assert message.startswith("Something is in the way of shop/a: mend what the plan names") is fails
    assert planned(info(template()), fail_on_blocked=fails)["message"] == ""
    # Somebody who goes back does so because something is in the way.
    assert planned(blocked, fail_on_blocked=fails, undo=True)["message"] == ""


def test_consumers_and_gains_that_a_person_has_to_look_at() -> None:
    consumer = {"object": "TriggerAuthentication shop/q", "product": "KEDA", "subjects": ["a", "b"], "next": "Do it."}
    consumers = [{**consumer, "reason": "", "state": state} for state in ("prepared", "moved")]
    gain = {"identity": ID, "service_accounts": ["shop/web"]}
    gains = [{**gain, "gained": ["User vault"]}, {**gain, "gained": []}]
    told = planned(info(template(), consumers=consumers, gains=gains))
    assert [(row["subjects"], row["state"]) for row in told["consumers"]] == [("a, b", "prepared"), ("a, b", "moved")]
    assert told["gains"] == [{"identity": "web", "service_accounts": "shop/web", "gained": "User vault"}]
    assert told["fact"]["gains"] == gains


def test_the_file_of_a_second_run_is_equal() -> None:
    found = info(template())
    turned = dict(reversed(found.items()))
    one, two = (planned(each, directory="/plans/") for each in (found, turned))
    assert one["path"] == "/plans/prod/plan.json" and one["text"] == two["text"]
    assert json.loads(one["text"]) == found


def look(observed: dict[str, Any], **options: Any) -> dict[str, Any]:
    (only,) = PARTS["plan"].looks_at(options, {"host": "prod", **observed}, RUN)
    return {"in_cluster": only.in_cluster, **only.arguments}


def test_what_it_looks_at() -> None:
    options: dict[str, Any] = {"accept": ["cannot_surge"], "replacements": {"shop/web": ID}}
    live = look({"cluster": {"name": "prod", "resource_group": "rg"}}, **options)
    assert live["replacements"] == {"shop/web": ID}
    assert (live["cluster_name"], live["resource_group"], live["accept"]) == ("prod", "rg", ["cannot_surge"])
    assert live["in_cluster"] and live["dry_run"] and live["exchange_samples"] == 3
    saved = look({"cluster": {}}, files=["/a.json"])
    assert saved["files"] == ["/a.json"] and not saved["in_cluster"] and not saved["dry_run"]
    assert saved["exchange_samples"] == 0 and saved["cluster_name"] is None


def test_options() -> None:
    assert PARTS["options"].plan({}, {}, RUN)["connects"]
    assert not PARTS["options"].plan({"files": ["/a.json"]}, {}, RUN)["connects"]


def test_what_a_person_has_to_know_is_shown() -> None:
    """Though it is in nobody's way; each once."""
    several = blocker(
        object="Deployment shop/web", code="several_identities", reason="It gets a, b.", remedy="Name one."
    )
    rows = planned(info(template(noted=[several]), template("api", noted=[several])))["noted"]
    assert rows == [
        {
            "object": "Deployment shop/web",
            "code": "several_identities",
            "workloads": 2,
            "reason": "It gets a, b.",
            "remedy": "Name one.",
        }
    ]
