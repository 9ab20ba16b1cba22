# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbook migrate tells of all clusters in the end, and with which it begins."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.migrate import PARTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.tests.unit.fleet_objects import credential, identity, plan
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

COUNTS = {"ready": 1, "needs": 2, "blocked": 0, "not_looked_at": 3}


def observed(
    plans: dict[str, Any], cluster: str, fails: bool = False, stages: Any = None, **failures: str | bool
) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "fails": fails,
        "clusters": list(plans),
        "plans": list(plans.values()),
        "stages": [(stages or {}).get(name, []) for name in plans],
        "failures": [failures.get(name, "") for name in plans],
    }


def told(plans: dict[str, Any], cluster: str = "a", **more: Any) -> dict[str, Any]:
    return PARTS["clusters"].plan({}, observed(plans, cluster, **more), Run())


def counted(issuer: str | None, *identities: dict[str, Any]) -> dict[str, Any]:
    return {**plan(issuer, *identities), "summary": COUNTS}


def test_every_cluster_has_a_row() -> None:
    found = told({"a": counted("A"), "b": counted("B"), "c": {}, "d": {}}, b="Something is in the way.", c="No answer.")
    none = dict.fromkeys(COUNTS)
    assert found["clusters"] == [
        {"cluster": "a", **COUNTS, "stages": "", "failure": ""},
        {"cluster": "b", **COUNTS, "stages": "", "failure": "Something is in the way."},
        {"cluster": "c", **none, "stages": "", "failure": "No answer."},
        {"cluster": "d", **none, "stages": "", "failure": "Nothing was found out about it; see what stopped its host."},
    ]
    assert found["message"] == ""


def test_the_table_tells_how_far_the_workloads_of_each_are() -> None:
    rows = [{"state": state} for state in ("switched", "blocked", "switched")]
    found = told({"a": counted("A"), "b": counted("B")}, stages={"b": rows})
    assert [row["stages"] for row in found["clusters"]] == ["", "2 switched, 1 blocked"]


@pytest.mark.parametrize(("cluster", "message"), [("a", ""), ("b", "No answer.")])
def test_each_cluster_fails_for_itself(cluster: str, message: str) -> None:
    assert told({"a": counted("A"), "b": {}}, cluster, b="No answer.")["message"] == message


def test_one_cluster_alone_needs_no_table() -> None:
    found = told({"a": counted("A", identity(credential("A", "x"), wants=["y"]))})
    assert (found["clusters"], found["identities"], found["strays"], found["message"]) == ([], [], [], "")


def test_credentials_of_other_clusters_are_told_for_one_cluster_too() -> None:
    """They take the room of its own, whether their clusters are gone or not."""
    of = identity(credential("B", "x"), wants=["y"])
    assert [each["issuer"] for each in told({"a": counted("A", of)})["strays"]] == ["B"]
    assert told({"a": counted("", of)})["strays"] == []  # nobody knows which are its own


def test_an_identity_that_all_clusters_together_would_fill() -> None:
    """Its clusters fail for it where they are told to."""
    there = [credential("C", f"x{number}") for number in range(10)]
    several = [f"s{number}" for number in range(6)]
    plans = {"a": counted("A", identity(*there, wants=several)), "b": counted("B", identity(*there, wants=several))}
    plans["c"] = counted("C")
    found = told(plans)
    assert found["identities"] == [{"identity": "web", "credentials": 10, "missing": 12, "clusters": "a, b"}]
    assert found["message"] == ""
    assert told(plans, fails=True)["message"].startswith("Identity web has 10 federated credentials and needs 12 more")
    assert told(plans, "c", fails=True)["message"] == ""


def test_an_application_that_all_clusters_together_would_fill() -> None:
    """It has no resource id."""
    there = [credential("C", f"x{number}") for number in range(10)]
    several = [f"s{number}" for number in range(6)]
    made = {**identity(*there, wants=several), "identity_id": ""}
    of = [{**made, "client_id": each} for each in ("one", "ONE", "two")]
    plans = {"a": counted("A", of[0]), "b": counted("B", of[1]), "c": counted("C", of[2])}
    found = told(plans, fails=True)
    wanted = {"identity": "application one", "credentials": 10, "missing": 12, "clusters": "a, b"}
    assert found["identities"] == [wanted]
    assert found["message"].startswith("Application one has 10 federated credentials and needs 12 more for a, b;")
    assert found["message"].endswith("or use a second application.")
    assert told(plans, "c", fails=True)["message"] == ""


def test_credentials_of_clusters_that_are_none_of_these() -> None:
    plans: dict[str, Any] = {
        "a": counted("A", identity(credential("A", "mine"), credential("B", "other"), credential("Z", "old"))),
        "b": counted("B"),
    }
    found = told(plans)
    row = {"identity": "web", "credential": "Z-old", "service_account": "shop/old", "issuer": "Z"}
    assert (found["strays"], found["unknown"]) == ([row], "")
    found = told({**plans, "c": {}})
    assert (found["strays"], found["unknown"]) == ([row], "Some may be of c, whose issuer is not known.")


def begin(plans: dict[str, Any], cluster: str, **failures: Any) -> str:
    """Why it is not begun; '' where it is."""
    try:
        PARTS["begin"].plan({}, observed(plans, cluster, **failures), Run())
    except Refused as refused:
        return str(refused)
    return ""


CANARY_FAILED = "It was not begun, because cluster a, which comes before it, failed; see why, and run again."


@cases(
    "failures, message",
    ("the first batch", {"a": False, "b": False, "c": False}, ""),
    ("behind one that was moved", {"a": "", "b": False, "c": False}, ""),
    ("behind one that failed", {"a": "No token.", "b": False, "c": False}, CANARY_FAILED),
    ("behind two", {"a": "No token.", "b": "Not begun.", "c": False}, CANARY_FAILED),
    ("beside one that is away", {"a": "", "b": False, "away": "No answer.", "c": False}, ""),
)
def test_a_batch_begins_where_none_before_has_failed(failures: dict[str, Any], message: str) -> None:
    plans = {name: {} if name == "away" else counted(name) for name in failures}
    assert begin(plans, "c", **failures) == message


def test_no_batch_begins_where_nothing_was_tried_before() -> None:
    plans: dict[str, Any] = {"a": {}, "b": counted("B")}
    assert begin(plans, "b", a="No answer.", b=False) == (
        "It was not begun, because of those before it (a) none could be looked at; see why."
    )
