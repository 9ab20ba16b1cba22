# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbook migrate tells of all clusters in the end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.playbooks.migrate import PARTS
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Run

IDS = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
COUNTS = {"ready": 1, "needs": 2, "blocked": 0, "not_looked_at": 3}


def identity(used: int | None, missing: int, name: str = "web") -> dict[str, Any]:
    return {"identity_id": f"{IDS}{name}", "credentials_used": used, "credentials_missing": missing}


def plan(issuer: str | None, *identities: dict[str, Any]) -> dict[str, Any]:
    return {"cluster": {"issuer": issuer}, "summary": COUNTS, "identities": list(identities)}


def told(plans: dict[str, Any], cluster: str = "a", fails: bool = False, **failures: str) -> dict[str, Any]:
    observed = {
        "cluster": cluster,
        "fails": fails,
        "clusters": list(plans),
        "plans": list(plans.values()),
        "failures": [failures.get(name, "") for name in plans],
    }
    return PARTS["clusters"].plan({}, observed, Run())


def test_every_cluster_has_a_row() -> None:
    found = told({"a": plan("A"), "b": plan("B"), "c": {}, "d": {}}, b="Something is in the way.", c="No answer.")
    none = dict.fromkeys(COUNTS)
    assert found["clusters"] == [
        {"cluster": "a", **COUNTS, "failure": ""},
        {"cluster": "b", **COUNTS, "failure": "Something is in the way."},
        {"cluster": "c", **none, "failure": "No answer."},
        {"cluster": "d", **none, "failure": "Nothing was found out about it; see what stopped its host."},
    ]
    assert found["message"] == ""


@pytest.mark.parametrize(("cluster", "message"), [("a", ""), ("b", "No answer.")])
def test_each_cluster_fails_for_itself(cluster: str, message: str) -> None:
    assert told({"a": plan("A"), "b": {}}, cluster, b="No answer.")["message"] == message


def test_one_cluster_alone_needs_no_table() -> None:
    found = told({"a": plan("A", identity(19, 5))})
    assert (found["clusters"], found["identities"], found["message"]) == ([], [], "")


def test_an_identity_that_all_clusters_together_would_fill() -> None:
    """Each of them alone finds room; ids are compared as ARM does."""
    other = {**identity(10, 5), "identity_id": f"{IDS}WEB".upper()}
    plans = {"a": plan("A", identity(10, 6), identity(0, 3, "api")), "b": plan("B", other), "c": plan("C")}
    found = told(plans)
    assert found["identities"] == [{"identity": "WEB", "credentials": 10, "missing": 11, "clusters": "a, b"}]
    assert found["message"] == ""
    assert told(plans, fails=True)["message"].startswith("All clusters together need more federated credentials of WEB")
    assert told(plans, "c", fails=True)["message"] == ""


@pytest.mark.parametrize(
    "plans",
    [
        pytest.param({"a": plan("A", identity(10, 5)), "b": plan("B", identity(10, 5))}, id="20 are possible"),
        pytest.param({"a": plan("A", identity(10, 6)), "b": plan("A", identity(10, 6))}, id="one cluster twice"),
        pytest.param({"a": plan("A", identity(18, 9)), "b": plan("B", identity(18, 0))}, id="one cluster by itself"),
        pytest.param({"a": plan("A", identity(None, 9)), "b": plan("B", identity(None, 20))}, id="they were not read"),
    ],
)
def test_identities_with_room(plans: dict[str, Any]) -> None:
    assert told(plans)["identities"] == []


def test_clusters_without_an_issuer_will_have_one_each() -> None:
    found = told({"a": plan("", identity(10, 6)), "b": plan(None, identity(10, 6))})
    assert [row["missing"] for row in found["identities"]] == [12]
