# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""azure_identity_binding with whatever people may write into its options, while there is no cluster yet."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.modules import azure_identity_binding
from ansible_collections.azureops.pod_identity.tests.unit.plugins.modules import offline
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

RESOURCE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
CLIENT_ID = "2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77"
GOOD: dict[str, Any] = {
    **dict.fromkeys(("name", "namespace", "binding_name", "selector"), "billing"),
    "resource_id": RESOURCE_ID,
    "client_id": CLIENT_ID,
    "labels": {"team": "a"},
}
ENTRIES = offline.entries(azure_identity_binding, "bindings", GOOD)


def run(options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return offline.run(azure_identity_binding, options)


@settings(max_examples=300)
@given(
    ENTRIES,
    st.dictionaries(st.sampled_from(["owner", "purge_namespaces", "accept", "batch", "namespace"]), offline.VALUES),
)
def test_whatever_is_written_is_predicted_or_refused_in_a_sentence(
    entries: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    offline.is_sound(*run({"bindings": entries, **options}), "bindings", entries)


def test_a_huge_list_is_predicted() -> None:
    entries = [{**GOOD, "name": f"i{number}", "binding_name": None, "selector": f"s{number}"} for number in range(5000)]
    status, result = run({"bindings": entries})
    assert (status, len(result["actions"]), len(result["planned"])) == (0, 10000, 10000)
    assert result["reassigned_pods"] == 0


@table(
    "options, words",
    ({}, "one of the following is required"),
    ({"name": "a"}, "namespace"),
    ({"bindings": [GOOD], "name": "a", "namespace": "a"}, "mutually exclusive"),
    ({"bindings": [{**GOOD, "namespace": None}]}, "has no namespace"),
    ({"bindings": [], "purge_bindings": True, "namespace": "a"}, "purge_allow_empty"),
    ({**GOOD, "purge_bindings": True}, "give that list"),
    ({"bindings": [GOOD], "batch": 0}, "set 1 or more"),
    ({"bindings": [{**GOOD, "labels": {"a": None}}]}, "put it in quotes"),
    ({"bindings": [{**GOOD, "labels": {"a": True}}]}, "put it in quotes"),
    ({"bindings": [{**GOOD, "annotations": {"a": 1.1}}]}, "put it in quotes"),
    ({**GOOD, "client_password_secret": 5}, "client_password_secret must be a dictionary, and is of type int"),
    ({"bindings": [GOOD, {"client_password_secret": 5.5}]}, "bindings[1].client_password_secret must be a dict"),
    ({"bindings": [{"client_password_secret": [True]}]}, "bindings[0].client_password_secret must be a dictionary"),
    ({**GOOD, "proxy_headers": 5}, "option proxy_headers must be a dictionary"),
    ({**GOOD, "batch": float("inf")}, "option batch must be a whole number"),
    ({**GOOD, "batch": "-Infinity"}, "option batch must be a whole number"),
)
def test_options_that_do_not_fit_together(options: dict[str, Any], words: str) -> None:
    status, result = run(options)
    assert status == 1 and words in result["msg"]


def test_no_secret_is_shown_where_options_cannot_be_read() -> None:
    status, result = run({"bindings": [{**GOOD, "client_password": "pa55-word-x", "client_password_secret": 5}]})
    assert status == 1 and result["failed"] and "pa55" not in str(result)


def test_secrets_of_a_list_are_not_shown() -> None:
    principal = {"type": 1, "client_id": CLIENT_ID, "tenant_id": CLIENT_ID, "client_password": "pa55-word-x"}
    entries = [{"name": name, "namespace": "n", "selector": name, **principal} for name in "ab"]
    status, result = run({"bindings": entries})
    assert (status, len(result["actions"])) == (0, 6)
    assert "pa55" not in str(result)
